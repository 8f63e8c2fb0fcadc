//! The typed values of flags. Each says what it takes when it is something else.

use std::{
    ffi::{OsStr, OsString},
    fmt::Display,
    os::unix::ffi::OsStrExt,
    path::PathBuf,
    str::FromStr,
};

use bytes::Bytes;

use super::error::{shown, shown_os};
use crate::config::{Framing, QoS, Ready, Source, TimingFormat, Version};

mod time;
mod tls;

pub use time::{Milliseconds, Seconds, Wait};
pub use tls::{Protocol, Version as TlsVersion};

/// A value that an argument can be.
pub trait FromArg: Sized {
    /// # Errors
    /// What the argument should have been; the flag's name is added by the caller.
    fn from_arg(argument: &OsStr) -> Result<Self, String>;
}

/// The format of `--timing`; none where the flag stands alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing(pub Option<TimingFormat>);

/// Bytes, with a suffix k, M or G if need be, up to 4G.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub usize);

/// A message: any bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload(pub Bytes);

/// Session Expiry Interval: seconds, or never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry(pub u32);

/// An HTTP header: name and value. None leaves it out, as curl's `-H 'Name:'`; `-H 'Name;'` is an empty value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header(pub String, pub Option<String>);

/// Cookies as they go into the header: `a=b`, or several with `; ` between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cookie(pub String);

/// A token of RFC 9110 section 5.6.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token(pub String);

/// Retain Handling of a subscription (MQTT 5.0 section 3.8.3.1), as its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetainHandling(pub u8);

/// What stands between topic and payload in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Separator(pub String);

fn utf8(argument: &OsStr) -> Result<&str, String> {
    argument.to_str().ok_or_else(|| format!("{} is not UTF-8", shown_os(argument)))
}

fn whole<T: FromStr + Display + PartialOrd>(argument: &OsStr, lowest: T, highest: T) -> Result<T, String> {
    let text = utf8(argument)?;
    let parsed = if is_digits(text) { text.parse().ok() } else { None };
    match parsed {
        Some(number) if number >= lowest && number <= highest => Ok(number),
        _ => Err(format!("takes a whole number from {lowest} to {highest}, not {}", shown(text))),
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

impl FromArg for String {
    fn from_arg(argument: &OsStr) -> Result<Self, String> {
        utf8(argument).map(str::to_owned)
    }
}

impl FromArg for PathBuf {
    fn from_arg(argument: &OsStr) -> Result<Self, String> {
        if argument.is_empty() { Err("takes the name of a file, not ''".into()) } else { Ok(argument.into()) }
    }
}

impl FromArg for OsString {
    fn from_arg(argument: &OsStr) -> Result<Self, String> {
        Ok(argument.to_owned())
    }
}

impl FromArg for Payload {
    fn from_arg(argument: &OsStr) -> Result<Self, String> {
        Ok(Payload(Bytes::copy_from_slice(argument.as_bytes())))
    }
}

impl FromArg for u64 {
    fn from_arg(argument: &OsStr) -> Result<Self, String> {
        whole(argument, 0, u64::MAX)
    }
}

impl FromArg for u32 {
    fn from_arg(argument: &OsStr) -> Result<Self, String> {
        whole(argument, 0, u32::MAX)
    }
}

impl FromArg for u16 {
    fn from_arg(argument: &OsStr) -> Result<Self, String> {
        whole(argument, 0, u16::MAX)
    }
}

impl FromArg for Timing {
    fn from_arg(argument: &OsStr) -> Result<Self, String> {
        let text = utf8(argument)?;
        match text {
            "auto" => Ok(Timing(None)),
            "text" => Ok(Timing(Some(TimingFormat::Text))),
            "json" => Ok(Timing(Some(TimingFormat::Json))),
            _ => Err(format!("takes text or json, not {}", shown(text))),
        }
    }
}

impl FromArg for Size {
    fn from_arg(argument: &OsStr) -> Result<Self, String> {
        const HIGHEST: u64 = 4 << 30;
        let text = utf8(argument)?;
        let (digits, unit) = match text.as_bytes().last() {
            Some(b'k' | b'K') => (&text[..text.len() - 1], 1 << 10),
            Some(b'm' | b'M') => (&text[..text.len() - 1], 1 << 20),
            Some(b'g' | b'G') => (&text[..text.len() - 1], 1 << 30),
            _ => (text, 1),
        };
        let number = if is_digits(digits) { digits.parse::<u64>().ok() } else { None };
        number
            .and_then(|number| number.checked_mul(unit))
            .filter(|size| *size <= HIGHEST)
            .and_then(|size| usize::try_from(size).ok())
            .map(Size)
            .ok_or_else(|| {
                format!("takes a number of bytes (1000, 64k, 8M), at most 4G, not {}", shown(text))
            })
    }
}

impl FromArg for Framing {
    fn from_arg(argument: &OsStr) -> Result<Self, String> {
        let text = utf8(argument)?;
        match text {
            "line" => Ok(Framing::Line),
            "null" => Ok(Framing::Null),
            "length" => Ok(Framing::Length),
            "chunk" => Ok(Framing::Chunk),
            "whole" => Ok(Framing::Whole),
            "base64" => Ok(Framing::Base64),
            "json" => Ok(Framing::Json),
            _ => Err(format!("takes line, null, length, chunk, whole, base64 or json, not {}", shown(text))),
        }
    }
}

impl FromArg for QoS {
    fn from_arg(argument: &OsStr) -> Result<Self, String> {
        let text = utf8(argument)?;
        match text {
            "0" => Ok(QoS::AtMostOnce),
            "1" => Ok(QoS::AtLeastOnce),
            "2" => Ok(QoS::ExactlyOnce),
            _ => Err(format!("takes 0, 1 or 2, not {}", shown(text))),
        }
    }
}

impl FromArg for Version {
    fn from_arg(argument: &OsStr) -> Result<Self, String> {
        let text = utf8(argument)?;
        match text {
            "311" | "mqttv311" => Ok(Version::V311),
            "5" | "mqttv5" => Ok(Version::V5),
            "31" | "mqttv31" => Err("MQTT 3.1 is not supported: say 311 or 5".into()),
            _ => Err(format!("takes 311 or 5, not {}", shown(text))),
        }
    }
}

impl FromArg for Expiry {
    fn from_arg(argument: &OsStr) -> Result<Self, String> {
        let text = utf8(argument)?;
        if matches!(text, "-1" | "never" | "\u{221e}") {
            return Ok(Expiry(u32::MAX));
        }
        match u32::from_arg(argument) {
            Ok(seconds) => Ok(Expiry(seconds)),
            Err(_) => Err(format!("takes a whole number of seconds or never, not {}", shown(text))),
        }
    }
}

impl FromArg for Source {
    fn from_arg(argument: &OsStr) -> Result<Self, String> {
        match utf8(argument)? {
            "line" => Ok(Source::Lines),
            "null" => Ok(Source::Nulls),
            "whole" => Ok(Source::Stdin),
            "json" => Ok(Source::Json),
            text => Err(format!("takes line, null, whole or json, not {}", shown(text))),
        }
    }
}

impl FromArg for RetainHandling {
    fn from_arg(argument: &OsStr) -> Result<Self, String> {
        match utf8(argument)? {
            "always" => Ok(RetainHandling(0)),
            "new" => Ok(RetainHandling(1)),
            "never" => Ok(RetainHandling(2)),
            text => Err(format!("takes always, new or never, not {}", shown(text))),
        }
    }
}

impl FromArg for Separator {
    fn from_arg(argument: &OsStr) -> Result<Self, String> {
        match utf8(argument)? {
            "" => Err("takes what stands between topic and payload, not ''".into()),
            text if text.contains('\n') => Err("takes no newline: that ends the line".into()),
            "\\t" => Ok(Separator("\t".to_owned())),
            text => Ok(Separator(text.to_owned())),
        }
    }
}

impl FromArg for Ready {
    fn from_arg(argument: &OsStr) -> Result<Self, String> {
        let Some(fd) = argument.as_bytes().strip_prefix(b"fd:") else {
            return PathBuf::from_arg(argument).map(Ready::File);
        };
        // 0 to 2 have their own use, and i32::MAX is the system's last.
        match whole(OsStr::from_bytes(fd), 3, u32::MAX >> 1) {
            Ok(fd) => Ok(Ready::Fd(fd)),
            Err(_) => Err(format!(
                "takes FILE or fd:N with N from 3 (as in --ready fd:3 3> FILE), not {}",
                shown_os(argument)
            )),
        }
    }
}

/// Whether it is a token of RFC 9110 section 5.6.2: a header's name, a subprotocol.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

impl FromArg for Token {
    fn from_arg(argument: &OsStr) -> Result<Self, String> {
        let text = utf8(argument)?;
        if text.contains(',') {
            return Err(format!("takes one name, not {}: repeat the option for more", shown(text)));
        }
        if !is_token(text) {
            return Err(format!("takes a name without spaces or separators, not {}", shown(text)));
        }
        Ok(Token(text.to_owned()))
    }
}

/// Headers that the handshake writes itself, and what to say instead.
const OWNED: [(&str, &str); 10] = [
    ("connection", "the handshake writes it"),
    ("upgrade", "the handshake writes it"),
    ("proxy-authorization", "it is for the proxy: --proxy http://USER:PASSWORD@HOST:PORT"),
    ("content-length", "the request has no body"),
    ("transfer-encoding", "the request has no body"),
    ("sec-websocket-key", "the handshake writes it"),
    ("sec-websocket-version", "the handshake writes it"),
    ("sec-websocket-accept", "only a server sends it"),
    ("sec-websocket-extensions", "no extension is supported"),
    ("sec-websocket-protocol", "say --subprotocol (MQTT commands offer mqtt by themselves)"),
];

impl FromArg for Header {
    fn from_arg(argument: &OsStr) -> Result<Self, String> {
        // The value may be a secret, so that errors name the header only.
        let text = argument.to_str().ok_or("takes 'Name: value', and it is not UTF-8")?;
        let (name, value) = match (text.split_once(':'), text.strip_suffix(';')) {
            (Some((name, value)), _) => (name, value),
            (None, Some(name)) => (name, ";"),
            (None, None) => return Err("takes 'Name: value', and there is no ':' in it".into()),
        };
        if value.starts_with("//") && matches!(name, "ws" | "wss" | "mqtt" | "mqtts" | "http" | "https") {
            return Err(format!("takes 'Name: value', not {}", shown(text)));
        }
        if !is_token(name) {
            return Err(format!("{} is not a header's name", shown(name)));
        }
        if let Some((_, why)) = OWNED.iter().find(|(owned, _)| name.eq_ignore_ascii_case(owned)) {
            return Err(format!("{name} cannot be given: {why}"));
        }
        if !text.contains(':') {
            return match name.eq_ignore_ascii_case("user-agent") {
                true => Err("User-Agent cannot be empty: -H 'User-Agent:' leaves it out".into()),
                false => Ok(Header(name.to_owned(), Some(String::new()))),
            };
        }
        let value = header_value(value).map_err(|why| format!("the value of {name} {why}"))?;
        Ok(Header(name.to_owned(), Some(value).filter(|value| !value.is_empty())))
    }
}

impl FromArg for Cookie {
    fn from_arg(argument: &OsStr) -> Result<Self, String> {
        // As above: no part of it is shown.
        let text = argument.to_str().ok_or("takes NAME=VALUE, and it is not UTF-8")?;
        let value = header_value(text)?;
        match value.split_once('=') {
            Some((name, _)) if is_token(name) => Ok(Cookie(value.trim_end_matches([';', ' ']).to_owned())),
            Some(_) => Err("takes NAME=VALUE, and what is before the '=' is not a cookie's name".into()),
            None => Err("takes NAME=VALUE, and there is no '=' in it".into()),
        }
    }
}

/// A header's value, trimmed: visible ASCII, spaces and tabs (RFC 9110 section 5.5).
///
/// # Errors
/// Says which character is wrong; reads well after "the value of X".
pub fn header_value(value: &str) -> Result<String, String> {
    let value = value.trim_matches([' ', '\t']);
    match value.chars().enumerate().find(|(_, c)| !matches!(c, ' '..='~' | '\t')) {
        Some((at, c)) => Err(format!("has the character U+{:04X} at position {}", u32::from(c), at + 1)),
        None => Ok(value.to_owned()),
    }
}
