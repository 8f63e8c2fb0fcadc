//! What was typed -> what is done: defaults, URLs, and which options go together.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read},
    os::unix::ffi::OsStrExt,
    time::Duration,
};

use bytes::Bytes;

use self::{
    cat::cat, client::example, mqtt::mqtt, property::properties, publish::publish, request::request,
    route::route, subscribe::subscribe, timing::timing, tls::tls,
};
use super::{
    command::Command,
    error::{UsageError, shown, shown_os},
    flags,
    low::LowArgs,
    suggest,
    value::{Milliseconds, Payload, Seconds, Size},
};
use crate::config::{
    Config, Echo, Endpoint, Mode, Report, RoundTrip, Serve, Verbosity, topic,
    url::{self, Purpose, Url, Userinfo},
};

mod cat;
mod client;
mod http;
mod mqtt;
mod property;
mod proxy;
mod publish;
mod request;
mod route;
mod secret;
mod subscribe;
mod timing;
mod tls;

/// The environment.
type Env<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Where `echo` and `serve` meet.
const DEFAULT_URL: &str = "ws://localhost:8000/websocket";

/// What `echo` sends.
const DEFAULT_MESSAGE: &[u8] = b"hello";

/// Decides.
///
/// # Errors
/// Options that contradict each other, a bad URL, a file that cannot be read.
pub fn decide(low: &LowArgs, env: Env<'_>) -> Result<Config, UsageError> {
    let verbosity = match (low.quiet, low.debug) {
        (true, 0) => Verbosity::Quiet,
        (true, _) => return Err(UsageError::new("--quiet and -d contradict each other")),
        (false, 0) => Verbosity::Normal,
        (false, 1) => Verbosity::Debug,
        (false, _) => Verbosity::Trace,
    };
    // None of these is inlined: side by side in one function, what they decide is moved field by field (8 KB).
    let mode = match low.command {
        Command::Echo => echo(low, env),
        Command::Cat => cat(low, env),
        Command::Mqtt => round_trip(low, env),
        Command::Pub => publish(low, env),
        Command::Sub => subscribe(low, env),
        Command::Rr => request(low, env),
        Command::Serve => serve(low),
    }?;
    Ok(Config { mode, verbosity, warnings: low.warnings.take() })
}

#[inline(never)]
fn echo(low: &LowArgs, env: Env<'_>) -> Result<Mode, UsageError> {
    at_most(low, 2, "URL and MESSAGE; quote a MESSAGE that has spaces")?;
    let text = low.positionals.first().map(|url| url_text(url, Command::Echo)).transpose()?;
    let endpoint = websocket(low, text.unwrap_or(DEFAULT_URL), env)?;
    let binary = low.binary;
    let message = echo_message(low, endpoint.max_message)?;
    if !binary && std::str::from_utf8(&message).is_err() {
        return Err(UsageError::new(
            "MESSAGE is not UTF-8, as a text message must be: -b sends it as a binary one",
        ));
    }
    let (count, interval) = pace(low)?;
    let skip = low.or_default(low.skip, "--skip");
    let timeout = positive(low, low.timeout, "--timeout")?;
    let max_rtt = low.max_rtt.map(|Milliseconds(limit)| limit);
    let (raw, report) = (low.raw, report(low));
    let echo = Echo { message, binary, count, interval, skip, max_rtt, timeout, raw, report };
    Ok(Mode::Echo(endpoint, echo))
}

/// MESSAGE, or --size bytes, no more of them than a reply may have.
fn echo_message(low: &LowArgs, limit: usize) -> Result<Bytes, UsageError> {
    let message = low.positionals.get(1).map(|message| message.as_bytes());
    if message.is_some() && low.size.is_some() {
        return Err(UsageError::new("MESSAGE and --size contradict each other: say one of them"));
    }
    let message = message.unwrap_or(DEFAULT_MESSAGE);
    let size = low.size.map_or(message.len(), |Size(size)| size);
    if size > limit {
        return Err(UsageError::new(format_args!(
            "a reply of {size} bytes is more than --max-message ({limit} bytes) takes"
        )));
    }
    if low.size.is_none() {
        return Ok(Bytes::copy_from_slice(message));
    }
    let pattern = (b'0'..=b'9').chain(b'A'..=b'Z').chain(b'a'..=b'z');
    Ok(pattern.cycle().take(size).collect())
}

#[inline(never)]
fn round_trip(low: &LowArgs, env: Env<'_>) -> Result<Mode, UsageError> {
    at_most(low, 1, "a URL; the message is -m's and the topic -t's")?;
    let Some(text) = low.positionals.first() else {
        return Err(UsageError::new("there is no URL, as in: wspipe mqtt ws://localhost:9001/mqtt"));
    };
    let (mut endpoint, userinfo) = mqtt_endpoint(low, url_text(text, Command::Mqtt)?, env)?;
    let mqtt = mqtt(low, userinfo, env, &mut properties(low)?)?;
    endpoint.connect_login = mqtt.has_login();
    let topic = low.or_default(low.topics.last().cloned(), "--topic");
    check_topic("-t/--topic", &topic)?;
    let Payload(message) = low.or_default(low.message.clone(), "--message");
    let qos = low.or_default(low.qos, "--qos");
    let (count, interval) = pace(low)?;
    let timeout = positive(low, low.timeout, "--timeout")?;
    let max_rtt = low.max_rtt.map(|Milliseconds(limit)| limit);
    let retain = low.retain;
    let report = report(low);
    let round_trip =
        RoundTrip { mqtt, topic, message, qos, retain, count, interval, max_rtt, timeout, report };
    Ok(Mode::RoundTrip(endpoint, round_trip))
}

fn report(low: &LowArgs) -> Report {
    Report { json: low.client.json, plot: low.plot.clone() }
}

fn serve(low: &LowArgs) -> Result<Mode, UsageError> {
    at_most(low, 1, "a URL")?;
    let text = low.positionals.first().map(|url| url_text(url, Command::Serve)).transpose()?;
    let (url, _) = read_url(text.unwrap_or(DEFAULT_URL), Purpose::Listen)?;
    Ok(Mode::Serve(Serve { url, max_message: max_message(low)? }))
}

/// The names of those options that are given.
fn given(options: &[(bool, &'static str)]) -> Vec<&'static str> {
    options.iter().filter(|(given, _)| *given).map(|(_, name)| *name).collect()
}

/// What is in a file, as far as it is no more than `most` bytes.
fn read_up_to(most: u64, file: &File) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    file.take(most).read_to_end(&mut content)?;
    Ok(content)
}

/// No more than `most` positionals.
fn at_most(low: &LowArgs, most: usize, takes: &str) -> Result<(), UsageError> {
    let Some(last) = low.positionals.get(most) else { return Ok(()) };
    // The URL is hardly what should not be there.
    let is_url = |text: &&OsString| text.to_string_lossy().contains("://");
    let extra = match low.positionals[..most].iter().rfind(|text| !is_url(text)) {
        Some(other) if is_url(&last) => other,
        _ => last,
    };
    let (name, extra) = (low.command.name(), shown_os(extra));
    Err(UsageError::new(format_args!("{extra} is one argument too many: 'wspipe {name}' takes {takes}")))
}

/// A positional where a URL is due.
fn url_text(argument: &OsStr, command: Command) -> Result<&str, UsageError> {
    let text = shown_os(argument);
    let Some(url) = argument.to_str() else {
        return Err(UsageError::new(format_args!("{text} is not a URL: it is not UTF-8")));
    };
    if let Some(instead) = suggest::overlay(url) {
        return Err(UsageError::new(format_args!("{text} is not a URL: {instead}")));
    }
    if url.contains("://") {
        return Ok(url);
    }
    let instead = match command {
        Command::Echo => format!("a message stands after the URL, as in: wspipe echo {DEFAULT_URL} {text}"),
        Command::Cat if url == "-" => "stdin is read without it, and --no-stdin leaves it alone".to_owned(),
        Command::Cat => format!("as in: wspipe cat {DEFAULT_URL}"),
        Command::Mqtt if !url.is_empty() && url.bytes().all(|b| b.is_ascii_digit()) => {
            "to test N times say --count N (-c keeps the session here)".to_owned()
        }
        Command::Mqtt | Command::Pub | Command::Sub | Command::Rr => {
            format!("as in: wspipe {} {}", command.name(), example(command))
        }
        Command::Serve => format!("as in: wspipe serve {DEFAULT_URL}"),
    };
    Err(UsageError::new(format_args!("{text} is not a URL, there is no '://' in it: {instead}")))
}

fn read_url(text: &str, purpose: Purpose) -> Result<(Url, Option<Userinfo>), UsageError> {
    let (url, userinfo) = url::parse(text, purpose)
        .map_err(|why| UsageError::new(format_args!("URL {}: {why}", shown(text))))?;
    if url.scheme.is_tls() && !cfg!(feature = "tls") {
        return Err(UsageError::new(format_args!(
            "{}:// needs TLS, and this wspipe was built without it",
            url.scheme
        )));
    }
    Ok((url, userinfo))
}

/// The endpoint of a command that speaks MQTT, and the login of its URL.
fn mqtt_endpoint(low: &LowArgs, url: &str, env: Env<'_>) -> Result<(Endpoint, Option<Userinfo>), UsageError> {
    let (url, userinfo) = read_url(url, Purpose::Mqtt)?;
    let mut endpoint = endpoint(low, url, env)?;
    if endpoint.url.scheme.is_websocket() {
        endpoint.subprotocols = vec!["mqtt".to_owned()];
        endpoint.headers = http::headers(low, None, env)?;
    } else {
        http::none(low, endpoint.url.scheme)?;
    }
    Ok((endpoint, userinfo))
}

/// The endpoint of a command that is about the WebSocket itself.
fn websocket(low: &LowArgs, url: &str, env: Env<'_>) -> Result<Endpoint, UsageError> {
    let (url, userinfo) = read_url(url, Purpose::WebSocket)?;
    let mut endpoint = endpoint(low, url, env)?;
    endpoint.headers = http::headers(low, userinfo, env)?;
    endpoint.subprotocols = http::subprotocols(low)?;
    Ok(endpoint)
}

fn endpoint(low: &LowArgs, url: Url, env: Env<'_>) -> Result<Endpoint, UsageError> {
    let tls = tls(low, url.scheme.is_tls())?;
    let proxy = proxy::rules(low, env, &url)?;
    Ok(Endpoint {
        url,
        headers: Vec::new(),
        subprotocols: Vec::new(),
        connect_timeout: positive(low, low.connect_timeout, "--connect-timeout")?,
        close_timeout: low.or_default(low.close_timeout, "--close-timeout").0,
        max_message: max_message(low)?,
        proxy,
        tls,
        route: route(low)?,
        redirects: http::redirects(low)?,
        connect_login: false,
        timing: timing(low)?,
    })
}

fn max_message(low: &LowArgs) -> Result<usize, UsageError> {
    match low.or_default(low.max_message, "--max-message") {
        Size(0) => Err(UsageError::new("--max-message takes at least 1 byte, not 0")),
        Size(size) => Ok(size),
    }
}

/// Count and interval.
fn pace(low: &LowArgs) -> Result<(Option<u64>, Duration), UsageError> {
    let spelling =
        |long| flags::by_long(low.command, long).map_or(long.to_owned(), |flag| flag.spelling(low.command));
    if low.count == Some(0) {
        return Err(UsageError::new(format_args!("{} takes at least 1, not 0", spelling("--count"))));
    }
    if low.interval.is_some() && low.count.is_none() {
        return Err(UsageError::new(format_args!(
            "{} needs {}",
            spelling("--interval"),
            spelling("--count")
        )));
    }
    Ok((low.count, low.or_default(low.interval, "--interval").0))
}

/// A limit in time: 0 would be no time at all, not no limit.
fn positive(low: &LowArgs, value: Option<Seconds>, long: &'static str) -> Result<Duration, UsageError> {
    let Seconds(duration) = low.or_default(value, long);
    if duration.is_zero() {
        return Err(UsageError::new(format_args!(
            "{long} takes more than 0 seconds: every wait has a limit"
        )));
    }
    Ok(duration)
}

fn check_topic(flag: &str, name: &str) -> Result<(), UsageError> {
    topic::check_name(name).map_err(|why| UsageError::new(format_args!("{flag} {}: {why}", shown(name))))
}
