//! What the MQTT commands share: login, session and will.

use std::{
    fs::File,
    hash::{BuildHasher, Hasher, RandomState},
    io::Read,
    os::unix::ffi::OsStringExt,
    path::Path,
};

use bytes::Bytes;

use super::{Env, check_topic, positive};
use crate::{
    cli::{
        error::{UsageError, shown},
        low::LowArgs,
        value::{Expiry, Payload},
    },
    config::{Mqtt, QoS, Version, Will, url::Userinfo},
};

/// The longest string or binary field of an MQTT packet (MQTT 5.0 section 1.5.4).
const MQTT_FIELD: usize = 65_535;

/// Login, session and will.
///
/// # Errors
/// Options that need another option or another version, a password that cannot be read.
pub fn mqtt(low: &LowArgs, userinfo: Option<Userinfo>, env: Env<'_>) -> Result<Mqtt, UsageError> {
    let (username, password) = login(low, userinfo, env)?;
    let client_id = client_id(low)?;
    if low.keep_session && low.id.is_none() {
        return Err(UsageError::new(
            "-c/--disable-clean-session needs -i ID: without a name there is no session to come back to",
        ));
    }
    let will = will(low)?;
    let needs_5 = [
        (low.session_expiry.is_some(), "-x/--session-expiry-interval"),
        (low.will_delay_interval.is_some(), "--will-delay-interval"),
        (password.is_some() && username.is_none(), "a password without a user name"),
    ];
    let needs_5 = needs_5.into_iter().find(|(given, _)| *given).map(|(_, what)| what);
    let version = match (low.version, needs_5) {
        (Some(Version::V311), Some(what)) => {
            return Err(UsageError::new(format!("{what} needs MQTT 5.0: not with -V 311")));
        }
        // Falling back to 3.1.1 would drop what was asked for.
        (None, Some(_)) => Some(Version::V5),
        (version, _) => version,
    };
    Ok(Mqtt {
        version,
        client_id,
        keep_session: low.keep_session,
        session_expiry: low.session_expiry.map(|Expiry(seconds)| seconds),
        keep_alive: low.or_default(low.keepalive, "--keepalive")?,
        username,
        password,
        will,
        ack_timeout: positive(low, low.ack_timeout, "--ack-timeout")?,
    })
}

/// User name and password: with -u nothing of the URL counts, so that nobody's password goes with
/// another's name; a password from an option goes before the URL's.
fn login(
    low: &LowArgs,
    userinfo: Option<Userinfo>,
    env: Env<'_>,
) -> Result<(Option<String>, Option<Bytes>), UsageError> {
    let given = password(low, env)?;
    let (username, url_password) = match (&low.username, userinfo) {
        (Some(username), _) => (Some(username.clone()), None),
        (None, Some(userinfo)) => {
            let user = String::from_utf8(userinfo.user)
                .map_err(|_| UsageError::new("URL: the user name is not UTF-8, as MQTT wants it"))?;
            // ws://:token@host is how a URL says a password alone.
            (Some(user).filter(|user| !user.is_empty()), userinfo.password.map(Bytes::from))
        }
        (None, None) => (None, None),
    };
    let password = given.or(url_password);
    if let Some(name) = &username {
        field("the user name", name.as_bytes())?;
        if name.contains('\0') {
            return Err(UsageError::new("the user name has a NUL in it, which MQTT does not allow"));
        }
    }
    if let Some(password) = &password {
        field("the password", password)?;
    }
    Ok((username, password))
}

fn password(low: &LowArgs, env: Env<'_>) -> Result<Option<Bytes>, UsageError> {
    let sources = [
        (low.password.is_some(), "-P/--pw"),
        (low.password_file.is_some(), "--password-file"),
        (low.password_env.is_some(), "--password-env"),
    ];
    let given: Vec<&str> = sources.iter().filter(|(given, _)| *given).map(|(_, name)| *name).collect();
    if given.len() > 1 {
        return Err(UsageError::new(format!(
            "{} contradict each other: say one of them",
            given.join(" and ")
        )));
    }
    if let Some(Payload(password)) = &low.password {
        return Ok(Some(password.clone()));
    }
    if let Some(path) = &low.password_file {
        return read_password(path).map(Some);
    }
    let Some(name) = &low.password_env else { return Ok(None) };
    if name.is_empty() || name.contains('=') {
        return Err(UsageError::new(format!(
            "--password-env takes the name of a variable, not {}",
            shown(name)
        )));
    }
    match env(name) {
        Some(value) => Ok(Some(value.into_vec().into())),
        None => Err(UsageError::new(format!("--password-env: the variable {} is not set", shown(name)))),
    }
}

/// The only line of a file, without its end.
fn read_password(path: &Path) -> Result<Bytes, UsageError> {
    let fail = |why: &str| {
        UsageError::with_status(26, format!("--password-file {}: {why}", shown(&path.to_string_lossy())))
    };
    let mut content = Vec::new();
    // Beyond the longest password and a line end there is only an error to find.
    let limit = MQTT_FIELD as u64 + 3;
    File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut content))
        .map_err(|error| fail(&error.to_string()))?;
    if content.last() == Some(&b'\n') {
        content.pop();
        if content.last() == Some(&b'\r') {
            content.pop();
        }
    }
    if content.contains(&b'\n') {
        return Err(fail("it has more than one line"));
    }
    if content.len() > MQTT_FIELD {
        return Err(fail("it has more than 65535 bytes"));
    }
    Ok(content.into())
}

fn client_id(low: &LowArgs) -> Result<Option<String>, UsageError> {
    let id = match (&low.id, &low.id_prefix) {
        (Some(_), Some(_)) => {
            return Err(UsageError::new("-i/--id and -I/--id-prefix contradict each other: say one of them"));
        }
        (Some(id), None) if id.is_empty() => {
            return Err(UsageError::new("-i/--id takes a name, not '': without -i one is generated"));
        }
        (Some(id), None) => Some(id.clone()),
        // Each RandomState of the standard library has keys of its own: enough to be unlike others.
        (None, Some(prefix)) => {
            Some(format!("{prefix}{:08x}", RandomState::new().build_hasher().finish() as u32))
        }
        (None, None) => None,
    };
    if let Some(id) = &id {
        field("the client identifier", id.as_bytes())?;
    }
    Ok(id)
}

fn will(low: &LowArgs) -> Result<Option<Will>, UsageError> {
    let Some(topic) = &low.will_topic else {
        let given = [
            (low.will_payload.is_some(), "--will-payload"),
            (low.will_qos.is_some(), "--will-qos"),
            (low.will_retain, "--will-retain"),
            (low.will_delay_interval.is_some(), "--will-delay-interval"),
        ];
        return match given.into_iter().find(|(given, _)| *given) {
            Some((_, name)) => Err(UsageError::new(format!("{name} needs --will-topic"))),
            None => Ok(None),
        };
    };
    check_topic("--will-topic", topic)?;
    let payload = low.will_payload.clone().map(|Payload(payload)| payload).unwrap_or_default();
    field("--will-payload", &payload)?;
    let qos: QoS = low.or_default(low.will_qos, "--will-qos")?;
    Ok(Some(Will {
        topic: topic.clone(),
        payload,
        qos,
        retain: low.will_retain,
        delay_interval: low.will_delay_interval,
        properties: None,
    }))
}

fn field(what: &str, bytes: &[u8]) -> Result<(), UsageError> {
    if bytes.len() <= MQTT_FIELD {
        return Ok(());
    }
    Err(UsageError::new(format!("{what} has {} bytes: MQTT takes at most {MQTT_FIELD}", bytes.len())))
}
