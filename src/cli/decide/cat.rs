//! `wspipe cat`: framings, what ends it, and what is sent first.

use std::{ffi::OsStr, fs::File, os::unix::ffi::OsStrExt, path::Path, time::Duration};

use bytes::Bytes;

use super::{DEFAULT_URL, Env, at_most, given, read_up_to, url_text, websocket};
use crate::{
    cli::{
        command::Command,
        error::{UsageError, shown_os},
        flags,
        low::LowArgs,
        value::{Payload, Seconds, Wait},
    },
    config::{Cat, Framing, Mode},
};

#[cfg(test)]
mod tests;

/// The longest reason of a Close: a control frame's 125 bytes less the code (RFC 6455 section 5.5).
const LONGEST_REASON: usize = 123;

/// The largest `--on-open @FILE`: it is kept for the next connect.
const LARGEST_FILE: u64 = 64 << 20;

/// Decides.
///
/// # Errors
/// Options that contradict each other, a bad URL, a file that cannot be read.
#[inline(never)]
pub fn cat(low: &LowArgs, env: Env<'_>) -> Result<Mode, UsageError> {
    at_most(low, 1, "a URL; messages come from stdin and from --on-open")?;
    let Some(url) = low.positionals.first() else {
        return Err(UsageError::new(format_args!("there is no URL, as in: wspipe cat {DEFAULT_URL}")));
    };
    let endpoint = websocket(low, url_text(url, Command::Cat)?, env)?;
    needs(low)?;
    let (input, output) = framings(low)?;
    let (count, until) = (count(low)?, until(low)?);
    let quiet = match low.cat.wait {
        Some(Wait(quiet)) => quiet,
        // Something else says when it is over.
        None if low.cat.no_stdin || low.cat.echo || count.is_some() || until.is_some() => None,
        None => low.or_default(low.cat.wait, "--wait").0,
    };
    let cat = Cat {
        input,
        output,
        binary: low.binary,
        strict: low.strict,
        no_stdin: low.cat.no_stdin || low.cat.echo,
        count,
        until,
        quiet,
        timeout: limit(low.timeout, "--timeout")?,
        ping_interval: limit(low.cat.ping_interval, "--ping-interval")?,
        ping_timeout: limit(low.cat.ping_timeout, "--ping-timeout")?,
        on_open: on_open(low)?,
        reconnect: low.cat.reconnect,
        max_retries: low.max_retries,
        close_code: close_code(low)?,
        close_reason: close_reason(low)?,
        echo: low.cat.echo,
        raw: low.raw,
    };
    Ok(Mode::Cat(endpoint, cat))
}

/// Options that make no sense without another, or beside one.
fn needs(low: &LowArgs) -> Result<(), UsageError> {
    if low.cat.ping_timeout.is_some() && low.cat.ping_interval.is_none() {
        return Err(UsageError::new("--ping-timeout needs --ping-interval: without it no Ping is sent"));
    }
    if low.max_retries.is_some() && !low.cat.reconnect {
        return Err(UsageError::new("--max-retries needs --reconnect"));
    }
    if !low.cat.echo {
        return Ok(());
    }
    let beside = given(&[
        (low.cat.input.is_some(), "--in"),
        (low.cat.output.is_some(), "--out"),
        (low.null, "-0/--null"),
        (low.cat.no_stdin, "--no-stdin"),
        (low.strict, "--strict"),
        (low.raw, "--raw"),
    ]);
    match beside.first() {
        Some(name) => Err(UsageError::new(format_args!(
            "--echo goes without {name}: it reads no stdin and prints nothing on stdout"
        ))),
        None => Ok(()),
    }
}

/// --in and --out; where one of them is not given, -0 is it.
fn framings(low: &LowArgs) -> Result<(Framing, Framing), UsageError> {
    if low.null && low.cat.input.is_some() && low.cat.output.is_some() {
        return Err(UsageError::new(
            "-0/--null is --in null --out null, and both are given: say one of them",
        ));
    }
    let null = low.null.then_some(Framing::Null);
    let input = low.or_default(low.cat.input.or(null), "--in");
    let output = low.or_default(low.cat.output.or(null), "--out");
    if input == Framing::Json && low.binary {
        return Err(UsageError::new("--in json goes without -b/--binary: each line says its own type"));
    }
    if low.strict && !matches!(output, Framing::Line | Framing::Null) {
        return Err(UsageError::new(
            "--strict is for --out line and --out null: no message can hold what separates the others",
        ));
    }
    Ok((input, output))
}

fn count(low: &LowArgs) -> Result<Option<u64>, UsageError> {
    match (low.count, low.cat.one_message) {
        (Some(0), _) => {
            Err(UsageError::new("-C/--count takes at least 1, not 0: --no-stdin -w 0 waits for none"))
        }
        (Some(2..), true) => {
            Err(UsageError::new("-1/--one-message and -C/--count contradict each other: say one of them"))
        }
        (count, false) => Ok(count),
        (_, true) => Ok(Some(1)),
    }
}

fn until(low: &LowArgs) -> Result<Option<Bytes>, UsageError> {
    match &low.cat.until {
        Some(Payload(text)) if text.is_empty() => {
            Err(UsageError::new("--until takes a text, not '': every message contains that (-C 1 takes any)"))
        }
        until => Ok(until.as_ref().map(|Payload(text)| text.clone())),
    }
}

/// A limit that has no default: 0 would be no time at all.
fn limit(value: Option<Seconds>, long: &'static str) -> Result<Option<Duration>, UsageError> {
    match value {
        Some(Seconds(Duration::ZERO)) => {
            let spelling = flags::by_long(Command::Cat, long).map(|flag| flag.spelling(Command::Cat));
            let spelling = spelling.unwrap_or_else(|| long.to_owned());
            Err(UsageError::new(format_args!(
                "{spelling} takes more than 0 seconds; without it there is none"
            )))
        }
        value => Ok(value.map(|Seconds(duration)| duration)),
    }
}

/// Codes that may stand in a Close frame (RFC 6455 section 7.4 and IANA's registry). 1004, 1005, 1006
/// and 1015 never do.
fn close_code(low: &LowArgs) -> Result<u16, UsageError> {
    match low.or_default(low.cat.close_status_code, "--close-status-code") {
        code @ (1000..=1003 | 1007..=1014 | 3000..=4999) => Ok(code),
        code => Err(UsageError::new(format_args!(
            "--close-status-code takes 1000 to 1003, 1007 to 1014 or 3000 to 4999 (RFC 6455 section 7.4), \
             not '{code}'"
        ))),
    }
}

fn close_reason(low: &LowArgs) -> Result<String, UsageError> {
    let reason = low.cat.close_reason.clone().unwrap_or_default();
    if reason.len() > LONGEST_REASON {
        return Err(UsageError::new(format_args!(
            "--close-reason takes at most {LONGEST_REASON} bytes (RFC 6455 section 5.5), not {}",
            reason.len()
        )));
    }
    Ok(reason)
}

/// The messages of --on-open, in order, read whole.
fn on_open(low: &LowArgs) -> Result<Vec<Bytes>, UsageError> {
    low.cat.on_open.iter().map(|Payload(text)| opening(text, low.binary)).collect()
}

/// TEXT, @FILE, or @@TEXT for a text that begins with '@'.
fn opening(argument: &Bytes, binary: bool) -> Result<Bytes, UsageError> {
    let is_sound = |content: &[u8]| binary || std::str::from_utf8(content).is_ok();
    let why = "not UTF-8, as a text message must be: -b sends it as a binary one";
    let file = argument.strip_prefix(b"@").filter(|rest| !rest.starts_with(b"@"));
    let Some(file) = file else {
        let text = if argument.starts_with(b"@") { argument.slice(1..) } else { argument.clone() };
        if !is_sound(&text) {
            // It may hold a token, so that it is not shown.
            return Err(UsageError::new(format_args!("--on-open: the text is {why}")));
        }
        return Ok(text);
    };
    if matches!(file, b"" | b"-") {
        return Err(UsageError::new(format_args!(
            "--on-open takes TEXT or @FILE, not '@{}' (stdin is sent after it anyway; @@ begins a text with '@')",
            String::from_utf8_lossy(file)
        )));
    }
    let path = Path::new(OsStr::from_bytes(file));
    let fail = |why: &str| {
        let path = shown_os(path);
        UsageError::with_status(26, format_args!("--on-open @FILE: {path}: {why}"))
    };
    // One byte more is enough to see that it has too many.
    let content = File::open(path).and_then(|file| read_up_to(LARGEST_FILE + 1, &file));
    let content = content.map_err(|error| fail(&error.to_string()))?;
    if content.len() as u64 > LARGEST_FILE {
        return Err(fail("it has more than 64 MiB (stdin takes any length)"));
    }
    if !is_sound(&content) {
        return Err(fail(&format!("it is {why}")));
    }
    Ok(content.into())
}
