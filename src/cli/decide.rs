//! What was typed -> what is done: defaults, URLs, and which options go together.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    time::Duration,
};

use bytes::Bytes;

use self::{
    cat::cat, client::example, mqtt::mqtt, property::properties, publish::publish, request::request,
    subscribe::subscribe, tls::tls,
};
use super::{
    command::Command,
    error::{UsageError, shown},
    flags,
    low::LowArgs,
    value::{Header, Payload, Seconds, Size, header_value},
};
use crate::config::{
    Config, Echo, Endpoint, Mode, RoundTrip, Serve, Verbosity, topic,
    url::{self, Purpose, Url, Userinfo},
};

mod cat;
mod client;
mod mqtt;
mod property;
mod publish;
mod request;
mod subscribe;
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
pub fn decide(low: LowArgs, env: Env<'_>) -> Result<Config, UsageError> {
    let verbosity = match (low.quiet, low.debug) {
        (true, 0) => Verbosity::Quiet,
        (true, _) => return Err(UsageError::new("--quiet and -d contradict each other")),
        (false, 0) => Verbosity::Normal,
        (false, 1) => Verbosity::Debug,
        (false, _) => Verbosity::Trace,
    };
    let mode = match low.command {
        Command::Echo => echo(low)?,
        Command::Cat => cat(&low)?,
        Command::Mqtt => round_trip(low, env)?,
        Command::Pub => publish(&low, env)?,
        Command::Sub => subscribe(&low, env)?,
        Command::Rr => request(&low, env)?,
        Command::Serve => serve(low)?,
    };
    Ok(Config { mode, verbosity })
}

fn echo(low: LowArgs) -> Result<Mode, UsageError> {
    at_most(&low, 2, "URL and MESSAGE; quote a MESSAGE that has spaces")?;
    let text = low.positionals.first().map(|url| url_text(url, Command::Echo)).transpose()?;
    let endpoint = websocket(&low, text.unwrap_or(DEFAULT_URL))?;
    let binary = low.binary;
    let message = echo_message(&low, endpoint.max_message)?;
    if !binary && std::str::from_utf8(&message).is_err() {
        return Err(UsageError::new(
            "MESSAGE is not UTF-8, as a text message must be: -b sends it as a binary one",
        ));
    }
    let (count, interval) = pace(&low)?;
    let skip = low.or_default(low.skip, "--skip")?;
    let timeout = positive(&low, low.timeout, "--timeout")?;
    Ok(Mode::Echo(endpoint, Echo { message, binary, count, interval, skip, timeout, raw: low.raw }))
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
        return Err(UsageError::new(format!(
            "a reply of {size} bytes is more than --max-message ({limit} bytes) takes"
        )));
    }
    if low.size.is_none() {
        return Ok(Bytes::copy_from_slice(message));
    }
    let pattern = (b'0'..=b'9').chain(b'A'..=b'Z').chain(b'a'..=b'z');
    Ok(pattern.cycle().take(size).collect())
}

fn round_trip(low: LowArgs, env: Env<'_>) -> Result<Mode, UsageError> {
    at_most(&low, 1, "a URL; the message is -m's and the topic -t's")?;
    let Some(text) = low.positionals.first() else {
        return Err(UsageError::new("there is no URL, as in: wspipe mqtt ws://localhost:9001/mqtt"));
    };
    let (endpoint, userinfo) = mqtt_endpoint(&low, url_text(text, Command::Mqtt)?)?;
    let mqtt = mqtt(&low, userinfo, env, &mut properties(&low)?)?;
    let topic = low.or_default(low.topics.last().cloned(), "--topic")?;
    check_topic("-t/--topic", &topic)?;
    let Payload(message) = low.or_default(low.message.clone(), "--message")?;
    let qos = low.or_default(low.qos, "--qos")?;
    let (count, interval) = pace(&low)?;
    let timeout = positive(&low, low.timeout, "--timeout")?;
    let retain = low.retain;
    Ok(Mode::RoundTrip(endpoint, RoundTrip { mqtt, topic, message, qos, retain, count, interval, timeout }))
}

fn serve(low: LowArgs) -> Result<Mode, UsageError> {
    at_most(&low, 1, "a URL")?;
    let text = low.positionals.first().map(|url| url_text(url, Command::Serve)).transpose()?;
    let (url, _) = read_url(text.unwrap_or(DEFAULT_URL), Purpose::Listen)?;
    Ok(Mode::Serve(Serve { url, max_message: max_message(&low)? }))
}

/// No more than `most` positionals.
fn at_most(low: &LowArgs, most: usize, takes: &str) -> Result<(), UsageError> {
    let Some(extra) = low.positionals.get(most) else { return Ok(()) };
    let (name, extra) = (low.command.name(), shown(&extra.to_string_lossy()));
    Err(UsageError::new(format!("{extra} is one argument too many: 'wspipe {name}' takes {takes}")))
}

/// A positional where a URL is due.
fn url_text(argument: &OsStr, command: Command) -> Result<&str, UsageError> {
    let text = shown(&argument.to_string_lossy());
    let Some(url) = argument.to_str() else {
        return Err(UsageError::new(format!("{text} is not a URL: it is not UTF-8")));
    };
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
    Err(UsageError::new(format!("{text} is not a URL, there is no '://' in it: {instead}")))
}

fn read_url(text: &str, purpose: Purpose) -> Result<(Url, Option<Userinfo>), UsageError> {
    let (url, userinfo) =
        url::parse(text, purpose).map_err(|why| UsageError::new(format!("URL {}: {why}", shown(text))))?;
    if url.scheme.is_tls() && !cfg!(feature = "tls") {
        return Err(UsageError::new(format!(
            "{}:// needs TLS, and this wspipe was built without it",
            url.scheme
        )));
    }
    Ok((url, userinfo))
}

/// The endpoint of a command that speaks MQTT, and the login of its URL.
fn mqtt_endpoint(low: &LowArgs, url: &str) -> Result<(Endpoint, Option<Userinfo>), UsageError> {
    let (url, userinfo) = read_url(url, Purpose::Mqtt)?;
    let mut endpoint = endpoint(low, url)?;
    if endpoint.url.scheme.is_websocket() {
        endpoint.subprotocols = vec!["mqtt".to_owned()];
    } else if !endpoint.headers.is_empty() {
        let scheme = endpoint.url.scheme;
        return Err(UsageError::new(format!(
            "-H and --origin are for ws:// and wss://: {scheme}:// has no HTTP request"
        )));
    }
    Ok((endpoint, userinfo))
}

/// The endpoint of a command that is about the WebSocket itself.
fn websocket(low: &LowArgs, url: &str) -> Result<Endpoint, UsageError> {
    let (url, userinfo) = read_url(url, Purpose::WebSocket)?;
    let mut endpoint = endpoint(low, url)?;
    if let Some(userinfo) = userinfo {
        basic_auth(&mut endpoint.headers, &userinfo)?;
    }
    endpoint.subprotocols = subprotocols(low)?;
    Ok(endpoint)
}

fn endpoint(low: &LowArgs, url: Url) -> Result<Endpoint, UsageError> {
    let tls = tls(low, url.scheme.is_tls())?;
    Ok(Endpoint {
        url,
        headers: headers(low)?,
        subprotocols: Vec::new(),
        connect_timeout: positive(low, low.connect_timeout, "--connect-timeout")?,
        close_timeout: low.or_default(low.close_timeout, "--close-timeout")?.0,
        max_message: max_message(low)?,
        tls,
    })
}

fn max_message(low: &LowArgs) -> Result<usize, UsageError> {
    match low.or_default(low.max_message, "--max-message")? {
        Size(0) => Err(UsageError::new("--max-message takes at least 1 byte, not 0")),
        Size(size) => Ok(size),
    }
}

fn headers(low: &LowArgs) -> Result<Vec<(String, String)>, UsageError> {
    let mut headers: Vec<(String, String)> = Vec::new();
    for Header(name, value) in &low.headers {
        // Twice is an error by RFC 9110 sections 7.2 and 11.6.2, and by RFC 6454 section 7.
        let once = ["host", "authorization", "origin", "user-agent"];
        let once = once.iter().any(|once| name.eq_ignore_ascii_case(once));
        if once && has_header(&headers, name) {
            return Err(UsageError::new(format!("-H/--header: {name} is given twice")));
        }
        headers.push((name.clone(), value.clone()));
    }
    if let Some(origin) = &low.origin {
        if has_header(&headers, "origin") {
            return Err(UsageError::new("--origin and -H 'Origin: ...' say the same: one is enough"));
        }
        let value =
            header_value(origin).map_err(|why| UsageError::new(format!("the value of --origin {why}")))?;
        headers.push(("Origin".to_owned(), value));
    }
    Ok(headers)
}

fn has_header(headers: &[(String, String)], name: &str) -> bool {
    headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name))
}

/// The URL's userinfo as HTTP Basic authentication (RFC 7617), unless -H has said otherwise.
fn basic_auth(headers: &mut Vec<(String, String)>, userinfo: &Userinfo) -> Result<(), UsageError> {
    if has_header(headers, "authorization") {
        return Ok(());
    }
    let mut pair = userinfo.user.clone();
    if pair.contains(&b':') {
        return Err(UsageError::new("URL: HTTP Basic authentication cannot send a ':' in the user name"));
    }
    pair.push(b':');
    pair.extend_from_slice(userinfo.password.as_deref().unwrap_or_default());
    if pair.iter().any(u8::is_ascii_control) {
        return Err(UsageError::new("URL: HTTP Basic authentication cannot send control characters"));
    }
    headers.push(("Authorization".to_owned(), format!("Basic {}", data_encoding::BASE64.encode(&pair))));
    Ok(())
}

fn subprotocols(low: &LowArgs) -> Result<Vec<String>, UsageError> {
    let mut names: Vec<String> = Vec::new();
    for name in &low.subprotocols {
        if names.contains(&name.0) {
            let name = &name.0;
            return Err(UsageError::new(format!("--subprotocol {name} is given twice")));
        }
        names.push(name.0.clone());
    }
    Ok(names)
}

/// Count and interval.
fn pace(low: &LowArgs) -> Result<(Option<u64>, Duration), UsageError> {
    let spelling =
        |long| flags::by_long(low.command, long).map_or(long.to_owned(), |flag| flag.spelling(low.command));
    if low.count == Some(0) {
        return Err(UsageError::new(format!("{} takes at least 1, not 0", spelling("--count"))));
    }
    if low.interval.is_some() && low.count.is_none() {
        return Err(UsageError::new(format!("{} needs {}", spelling("--interval"), spelling("--count"))));
    }
    Ok((low.count, low.or_default(low.interval, "--interval")?.0))
}

/// A limit in time: 0 would be no time at all, not no limit.
fn positive(low: &LowArgs, value: Option<Seconds>, long: &'static str) -> Result<Duration, UsageError> {
    let Seconds(duration) = low.or_default(value, long)?;
    if duration.is_zero() {
        return Err(UsageError::new(format!("{long} takes more than 0 seconds: every wait has a limit")));
    }
    Ok(duration)
}

fn check_topic(flag: &str, name: &str) -> Result<(), UsageError> {
    topic::check_name(name).map_err(|why| UsageError::new(format!("{flag} {}: {why}", shown(name))))
}
