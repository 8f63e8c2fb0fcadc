//! Passwords and tokens: from a file, the environment or a prompt, so that `ps` need not show them.

use std::{
    fs::{self, File},
    os::unix::{ffi::OsStringExt, fs::MetadataExt},
    path::Path,
};

use bytes::Bytes;

use super::{Env, given, mqtt::MQTT_FIELD, read_up_to};
use crate::cli::{
    error::{UsageError, shown, shown_os},
    low::LowArgs,
    value::{Payload, header_value},
};

/// The options that give a password, as far as they are given.
fn sources(low: &LowArgs) -> Vec<&'static str> {
    given(&[
        (low.password.is_some(), "-P/--pw"),
        (low.password_file.is_some(), "--password-file"),
        (low.password_env.is_some(), "--password-env"),
        (low.ask_password, "--ask-password"),
    ])
}

/// Refuses a password beside `other`, which has one.
pub fn none(low: &LowArgs, other: &str) -> Result<(), UsageError> {
    match sources(low).first() {
        Some(name) => {
            Err(UsageError::new(format_args!("{other} and {name} contradict each other: say one of them")))
        }
        None => Ok(()),
    }
}

/// Refuses a password where nobody has said whose it is.
pub fn none_without_user(low: &LowArgs) -> Result<(), UsageError> {
    match sources(low).first() {
        Some(name) => {
            Err(UsageError::new(format_args!("{name} needs a user: --auth USER, or USER@ in the URL")))
        }
        None => Ok(()),
    }
}

/// The password of the one option that gives it.
///
/// # Errors
/// Several options; a file that cannot be read (status 26), a variable that is not set, nobody to ask.
pub fn password(low: &LowArgs, env: Env<'_>) -> Result<Option<Bytes>, UsageError> {
    let given = sources(low);
    if given.len() > 1 {
        return Err(UsageError::new(format_args!(
            "{} contradict each other: say one of them",
            given.join(" and ")
        )));
    }
    if let Some(Payload(password)) = &low.password {
        return Ok(Some(password.clone()));
    }
    if let Some(path) = &low.password_file {
        return only_line(low, "--password-file", path, MQTT_FIELD).map(|line| Some(line.into()));
    }
    if low.ask_password {
        let answer = low.ask.map(|ask| ask("Password: "));
        return answer
            .unwrap_or_else(|| Err("there is nobody to ask".to_owned()))
            .map(|password| Some(password.into()))
            .map_err(|why| UsageError::new(format_args!("--ask-password: {why}")));
    }
    let Some(name) = &low.password_env else { return Ok(None) };
    if name.is_empty() || name.contains('=') {
        return Err(UsageError::new(format_args!(
            "--password-env takes the name of a variable, not {}",
            shown(name)
        )));
    }
    match env(name) {
        Some(value) => Ok(Some(value.into_vec().into())),
        None => Err(UsageError::new(format_args!("--password-env: the variable {} is not set", shown(name)))),
    }
}

/// The token of `--bearer-file` (RFC 6750 section 2.1, but any visible ASCII).
pub fn bearer(low: &LowArgs, path: &Path) -> Result<String, UsageError> {
    let fail = |why: &str| unusable("--bearer-file", path, why);
    let line = only_line(low, "--bearer-file", path, MQTT_FIELD)?;
    let text = String::from_utf8(line).map_err(|_| fail("it is not ASCII"))?;
    let token = header_value(&text).map_err(|why| fail(&format!("it {why}")))?;
    match token.find([' ', '\t']) {
        Some(at) => Err(fail(&format!("there is a space behind {at} characters of the token"))),
        None if token.is_empty() => Err(fail("it is empty")),
        None => Ok(token),
    }
}

fn unusable(option: &str, path: &Path, why: &str) -> UsageError {
    UsageError::with_status(26, format_args!("{option} {}: {why}", shown_os(path)))
}

/// The only line of a file, without its end, at most `most` bytes long. Warns where others can read the file.
pub fn only_line(low: &LowArgs, option: &str, path: &Path, most: usize) -> Result<Vec<u8>, UsageError> {
    let fail = |why: &str| unusable(option, path, why);
    // Beyond the longest line and its end there is only an error to find.
    let limit = most as u64 + 3;
    let content = File::open(path).and_then(|file| {
        warn_where_open(low, option, &file, path);
        read_up_to(limit, &file)
    });
    let mut content = content.map_err(|error| fail(&error.to_string()))?;
    if content.last() == Some(&b'\n') {
        content.pop();
        if content.last() == Some(&b'\r') {
            content.pop();
        }
    }
    if content.contains(&b'\n') {
        return Err(fail("it has more than one line"));
    }
    if content.len() > most {
        return Err(fail(&format!("it has more than {most} bytes")));
    }
    Ok(content)
}

/// Warns of a file with a secret in it that others can read.
pub fn warn_where_open(low: &LowArgs, option: &str, file: &File, path: &Path) {
    if let Some(mode) = open_to_others(file, path) {
        low.warn(format!(
            "{option} {}: others can use this file too (mode {mode:03o}): chmod 600",
            shown_os(path)
        ));
    }
}

/// The permissions of a regular file of which group or others have some.
fn open_to_others(file: &File, path: &Path) -> Option<u32> {
    let metadata = file.metadata().ok()?;
    let mode = metadata.mode() & 0o777;
    let real = fs::canonicalize(path);
    let handed = is_handed_over(path) || real.is_ok_and(|path| is_handed_over(&path));
    (metadata.is_file() && mode & 0o077 != 0 && !handed).then_some(mode)
}

/// What the shell or systemd hands over: `/dev/fd/N`, and a credential, which is guarded by its directory.
fn is_handed_over(path: &Path) -> bool {
    ["/dev", "/proc", "/run/credentials"].iter().any(|place| path.starts_with(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handed_over_is_not_judged_by_its_mode() {
        for path in ["/dev/fd/63", "/proc/self/fd/3", "/run/credentials/probe.service/broker"] {
            assert!(is_handed_over(Path::new(path)), "{path}");
        }
        for path in ["/run/credentials.txt", "/etc/run/credentials/x", "dev/fd/3", "/devices"] {
            assert!(!is_handed_over(Path::new(path)), "{path}");
        }
    }
}
