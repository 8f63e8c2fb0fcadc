//! What `wspipe pub`, `wspipe sub` and `wspipe rr` share: sources, output, reconnecting.

use std::{fs::File, path::Path, time::Duration};

use bytes::Bytes;

use super::{Env, at_most, given, mqtt::mqtt, mqtt_endpoint, property::Properties, read_up_to, url_text};
use crate::{
    cli::{
        command::Command,
        error::{UsageError, shown, shown_os},
        flags,
        low::LowArgs,
        value::{Payload, Seconds, Separator},
    },
    config::{Endpoint, Mqtt, Output, PublishProperties, Reconnect, Shape, Source},
};

#[cfg(test)]
mod tests;

/// The largest payload: an MQTT packet's 268,435,455 bytes (MQTT 5.0 section 2.1.4) less the longest topic
/// with its length, and the packet identifier.
const LARGEST_PAYLOAD: u64 = 268_435_455 - 65_537 - 2;

/// Endpoint, login and session of the one URL.
pub fn connection(
    low: &LowArgs,
    env: Env<'_>,
    properties: &mut Properties,
) -> Result<(Endpoint, Mqtt), UsageError> {
    let takes = match low.command {
        Command::Sub => "a URL; topics are -t's",
        _ => "a URL; the message is -m's and the topic -t's",
    };
    at_most(low, 1, takes)?;
    let Some(url) = low.positionals.first() else {
        let (name, example) = (low.command.name(), example(low.command));
        return Err(UsageError::new(format_args!("there is no URL, as in: wspipe {name} {example}")));
    };
    let (mut endpoint, userinfo) = mqtt_endpoint(low, url_text(url, low.command)?, env)?;
    let mqtt = mqtt(low, userinfo, env, properties)?;
    endpoint.connect_login = mqtt.has_login();
    Ok((endpoint, mqtt))
}

/// A URL and the least that a command needs.
pub fn example(command: Command) -> &'static str {
    match command {
        Command::Sub => "ws://localhost:9001/mqtt -t TOPIC",
        Command::Pub | Command::Rr => "ws://localhost:9001/mqtt -t TOPIC -m TEXT",
        _ => "ws://localhost:9001/mqtt",
    }
}

/// By default only what goes on and on connects again; --max-retries and --retry-connect ask for it.
pub fn reconnect(low: &LowArgs, by_default: bool) -> Result<Reconnect, UsageError> {
    let client = &low.client;
    if client.no_reconnect && low.max_retries.is_some() && !client.retry_connect {
        return Err(UsageError::new(
            "--no-reconnect and --max-retries contradict each other: say one of them (with --retry-connect \
             they are for the first connect)",
        ));
    }
    let asked = low.max_retries.is_some() || client.retry_connect;
    Ok(Reconnect {
        enabled: !client.no_reconnect && (by_default || asked),
        max_retries: low.max_retries,
        retry_connect: client.retry_connect,
    })
}

/// The one source.
///
/// # Errors
/// None or several of them, a file that cannot be read.
pub fn source(low: &LowArgs) -> Result<Source, UsageError> {
    let client = &low.client;
    let lines = client.topic_from_line.is_some();
    // For rr -0 says how the lines end and begin, not that there are some.
    let null = low.null && low.command == Command::Pub;
    let given = given(&[
        (low.message.is_some(), "-m/--message"),
        (client.file.is_some(), "-f/--file"),
        (client.stdin_file, "-s/--stdin-file"),
        (client.null_message, "-n/--null-message"),
        (client.stdin_line && !lines, "-l/--stdin-line"),
        (null && (!client.stdin_line || lines), "-0/--null"),
        (client.input.is_some(), "--in"),
        (lines, "--topic-from-line"),
    ]);
    if let [one, other, ..] = given[..] {
        return Err(UsageError::new(format_args!(
            "{one} and {other} contradict each other: say one of them"
        )));
    }
    if let Some(Payload(message)) = &low.message {
        return Ok(Source::Message(message.clone()));
    }
    if let Some(path) = &client.file {
        return read(path).map(Source::Message);
    }
    if client.null_message {
        return Ok(Source::Message(Bytes::new()));
    }
    if client.stdin_file {
        return Ok(Source::Stdin);
    }
    if let Some(Separator(separator)) = &client.topic_from_line {
        return Ok(Source::TopicLines(separator.clone()));
    }
    if let Some(input) = &client.input {
        return Ok(input.clone());
    }
    match (low.null && (null || client.stdin_line), client.stdin_line) {
        (true, _) => Ok(Source::Nulls),
        (false, true) => Ok(Source::Lines),
        (false, false) => Err(UsageError::new(
            "there is no message: say -m TEXT, -f FILE, -s (all of stdin), -l (each line of it) or -n (empty)",
        )),
    }
}

/// -f: read once, at the start.
fn read(path: &Path) -> Result<Bytes, UsageError> {
    if path == Path::new("-") {
        return Err(UsageError::new(
            "-f takes the name of a file, not '-': -s sends all of stdin (./- is a file)",
        ));
    }
    let fail = |why: &str| UsageError::with_status(26, format_args!("-f/--file {}: {why}", shown_os(path)));
    // One byte more is enough to see that it has too many.
    let content = File::open(path).and_then(|file| read_up_to(LARGEST_PAYLOAD + 1, &file));
    let content = content.map_err(|error| fail(&error.to_string()))?;
    if content.len() as u64 > LARGEST_PAYLOAD {
        return Err(fail("it has more bytes than an MQTT packet takes (256 MiB)"));
    }
    Ok(content.into())
}

/// How messages stand on stdout.
pub fn output(low: &LowArgs) -> Result<Output, UsageError> {
    let client = &low.client;
    if low.null && client.no_newline {
        return Err(UsageError::new("-0/--null and -N/--no-newline contradict each other: say one of them"));
    }
    let shape = match (client.json, &client.format, client.verbose) {
        (true, None, false) => Shape::Json,
        (true, Some(_), _) => return Err(UsageError::new("--json and -F/--format contradict each other")),
        (true, None, true) => {
            return Err(UsageError::new("--json goes without -v/--verbose: the topic is in each line"));
        }
        // As with mosquitto, -F goes before -v.
        (false, Some(format), _) => {
            check_format(format)
                .map_err(|why| UsageError::new(format_args!("-F/--format {}: {why}", shown(format))))?;
            Shape::Format(format.clone())
        }
        (false, None, true) => Shape::Verbose,
        (false, None, false) => Shape::Payload,
    };
    let end = match (low.null, client.no_newline) {
        (true, _) => Some(0),
        (false, true) => None,
        (false, false) => Some(b'\n'),
    };
    Ok(Output { shape, end, raw: low.raw })
}

/// Whether it is a sound template.
fn check_format(format: &str) -> Result<(), String> {
    crate::config::Template::parse(format).map(drop)
}

/// A limit that has no default: 0 would be no time at all.
pub fn limit(low: &LowArgs, value: Option<Seconds>, long: &str) -> Result<Option<Duration>, UsageError> {
    match value {
        Some(Seconds(Duration::ZERO)) => {
            let spelling = spelling(low.command, long);
            Err(UsageError::new(format_args!(
                "{spelling} takes more than 0 seconds; without it there is none"
            )))
        }
        value => Ok(value.map(|Seconds(duration)| duration)),
    }
}

/// A number that is at least 1.
pub fn at_least_1<T: From<u8> + PartialEq>(
    low: &LowArgs,
    value: Option<T>,
    long: &str,
) -> Result<Option<T>, UsageError> {
    if value == Some(T::from(0)) {
        return Err(UsageError::new(format_args!("{} takes at least 1, not 0", spelling(low.command, long))));
    }
    Ok(value)
}

fn spelling(command: Command, long: &str) -> String {
    flags::by_long(command, long).map_or_else(|| long.to_owned(), |flag| flag.spelling(command))
}

/// What the properties of PUBLISH say of a payload that is known.
pub fn check_payload(source: &Source, properties: &PublishProperties) -> Result<(), UsageError> {
    match source {
        Source::Message(payload)
            if properties.payload_format_indicator == Some(1) && std::str::from_utf8(payload).is_err() =>
        {
            Err(UsageError::new(
                "-D publish payload-format-indicator 1 says that the payload is UTF-8, and it is not",
            ))
        }
        _ => Ok(()),
    }
}

/// The topics, checked.
pub fn check_topics(low: &LowArgs) -> Result<(), UsageError> {
    low.topics.iter().try_for_each(|topic| super::check_topic("-t/--topic", topic))
}
