//! URLs: ws, wss, mqtt and mqtts (RFC 3986; RFC 6455 section 3), checked part by part.
//!
//! Every error names the part or the position that is wrong, and no error shows a password.

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

/// A URL's scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// ws://, port 80.
    Ws,
    /// wss://, port 443.
    Wss,
    /// mqtt://, port 1883.
    Mqtt,
    /// mqtts://, port 8883.
    Mqtts,
}

impl Scheme {
    /// By TLS.
    pub fn is_tls(self) -> bool {
        matches!(self, Scheme::Wss | Scheme::Mqtts)
    }

    /// With the WebSocket layer.
    pub fn is_websocket(self) -> bool {
        matches!(self, Scheme::Ws | Scheme::Wss)
    }

    /// The port where the URL has none.
    pub fn default_port(self) -> u16 {
        match self {
            Scheme::Ws => 80,
            Scheme::Wss => 443,
            Scheme::Mqtt => 1883,
            Scheme::Mqtts => 8883,
        }
    }

    /// As it is written before `://`.
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Ws => "ws",
            Scheme::Wss => "wss",
            Scheme::Mqtt => "mqtt",
            Scheme::Mqtts => "mqtts",
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A checked URL. `Display` gives it back without userinfo; for log lines there is [`Url::shown`]. `Debug`
/// hides the query.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    /// The scheme.
    pub scheme: Scheme,
    /// Host name or address literal, IPv6 without brackets.
    pub host: String,
    /// The port, given or default.
    pub port: u16,
    /// Path and query as they go into the request line; begins with `/`. Empty for mqtt(s)://.
    pub target: String,
}

impl Url {
    /// The host, IPv6 in brackets, and the port where it is not the scheme's default: the value of
    /// the Host header (RFC 6455 section 4.1).
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == self.scheme.default_port() { host } else { format!("{host}:{}", self.port) }
    }

    /// For log lines and output: without the query, in which tokens are handed over.
    pub fn shown(&self) -> String {
        format!("{}://{}{}", self.scheme, self.authority(), self.shown_target())
    }

    fn shown_target(&self) -> String {
        match self.target.split_once('?') {
            Some((path, _)) => format!("{path}?..."),
            None => self.target.clone(),
        }
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Url")
            .field("scheme", &self.scheme)
            .field("host", &self.host)
            .field("port", &self.port)
            .field("target", &self.shown_target())
            .finish()
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority(), self.target)
    }
}

/// What a URL is for: it decides the schemes and the path where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A WebSocket client: ws and wss; no path is `/`.
    WebSocket,
    /// An MQTT client: ws, wss, mqtt and mqtts; over WebSocket no path is `/mqtt`.
    Mqtt,
    /// A server to be: ws alone, no userinfo, no query; port 0 lets the system choose.
    Listen,
}

/// The part before `@`, percent-decoded. `Debug` hides the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Userinfo {
    /// What is before the first `:`.
    pub user: Vec<u8>,
    /// What is after it.
    pub password: Option<Vec<u8>>,
}

impl fmt::Debug for Userinfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Userinfo").field("user", &String::from_utf8_lossy(&self.user)).finish_non_exhaustive()
    }
}

/// Why a text is no URL for its purpose, in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlError(String);

impl UrlError {
    pub(super) fn new(text: impl Into<String>) -> UrlError {
        UrlError(text.into())
    }
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UrlError {}

/// What is wrong.
pub(super) fn bad<T>(text: impl Into<String>) -> Result<T, UrlError> {
    Err(UrlError::new(text))
}

/// Reads a URL and its userinfo.
///
/// # Errors
/// The part or the position that is wrong, and what was probably meant.
pub fn parse(text: &str, purpose: Purpose) -> Result<(Url, Option<Userinfo>), UrlError> {
    check_characters(text)?;
    let (scheme, rest) = split_scheme(text, purpose)?;
    let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    // The last `@` ends the userinfo (WHATWG URL): an unencoded one in a password does no harm.
    let (userinfo, host_port) = match authority.rsplit_once('@') {
        Some((userinfo, host_port)) => (Some(userinfo), host_port),
        None => (None, authority),
    };
    let (host, port) = match host_and_port(host_port, purpose) {
        // What looks like a host is then the beginning of a password: it must not be shown.
        Err(_) if tail.contains('@') => {
            return bad("there is an '@' after the first '/', '?' or '#': \
                 in a user name or password write these as %2F, %3F and %23");
        }
        result => result?,
    };
    let userinfo = userinfo.map(decode_userinfo).transpose()?.flatten();
    if purpose == Purpose::Listen && userinfo.is_some() {
        return bad("a user name or password means nothing to a server");
    }
    let before = text.len() - tail.len();
    let target = target(tail, text[..before].chars().count(), scheme, purpose)?;
    let port = port.unwrap_or(scheme.default_port());
    Ok((Url { scheme, host, port, target }, userinfo))
}

/// No spaces, no control characters.
pub(super) fn check_characters(text: &str) -> Result<(), UrlError> {
    for (index, c) in text.chars().enumerate() {
        let position = index + 1;
        if c == ' ' {
            return bad(format!("a space at position {position}: write it as %20"));
        }
        if c.is_control() {
            return bad(format!("a control character (U+{:04X}) at position {position}", u32::from(c)));
        }
    }
    Ok(())
}

fn split_scheme(text: &str, purpose: Purpose) -> Result<(Scheme, &str), UrlError> {
    let Some((name, rest)) = text.split_once("://") else {
        return bad("there is no '://': a URL begins with its scheme, as in ws://localhost:8000/");
    };
    let is_scheme_char = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    if name.is_empty() || !name.bytes().all(is_scheme_char) {
        return bad("there is no scheme at its beginning: it begins with ws:// or wss://");
    }
    let name = name.to_ascii_lowercase();
    let scheme = match name.as_str() {
        "ws" => Scheme::Ws,
        "wss" => Scheme::Wss,
        "mqtt" => Scheme::Mqtt,
        "mqtts" => Scheme::Mqtts,
        "http" => return bad("http:// is not a WebSocket scheme: write ws:// for the same server"),
        "https" => return bad("https:// is not a WebSocket scheme: write wss:// for the same server"),
        "tcp" if purpose == Purpose::Mqtt => return bad("MQTT over TCP is written mqtt://, not tcp://"),
        "ssl" | "tls" if purpose == Purpose::Mqtt => {
            return bad(format!("MQTT over TLS is written mqtts://, not {name}://"));
        }
        _ => return bad(format!("scheme '{name}' is none of {}", schemes(purpose))),
    };
    match purpose {
        Purpose::WebSocket if !scheme.is_websocket() => {
            bad(format!("{scheme}:// is for the MQTT commands, as in: wspipe mqtt {scheme}://..."))
        }
        Purpose::Listen if scheme != Scheme::Ws => {
            bad(format!("the server speaks ws:// only, not {scheme}://: put a TLS front before it"))
        }
        _ => Ok((scheme, rest)),
    }
}

fn schemes(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::WebSocket => "ws, wss",
        Purpose::Mqtt => "ws, wss, mqtt, mqtts",
        Purpose::Listen => "ws",
    }
}

pub(super) fn host_and_port(text: &str, purpose: Purpose) -> Result<(String, Option<u16>), UrlError> {
    if let Some(rest) = text.strip_prefix('[') {
        let Some((address, rest)) = rest.split_once(']') else {
            return bad(format!("the '[' of '{text}' has no ']' after it"));
        };
        let host = ipv6(address)?;
        return match rest.strip_prefix(':') {
            Some(digits) => Ok((host, Some(port(digits, purpose)?))),
            None if rest.is_empty() => Ok((host, None)),
            None => bad(format!("after the ']' of the IPv6 address comes '{rest}', not ':' and a port")),
        };
    }
    let Some((host, digits)) = text.split_once(':') else {
        return Ok((name_or_ipv4(text)?, None));
    };
    if text.parse::<Ipv6Addr>().is_ok() {
        return bad(format!("an IPv6 address stands in brackets: [{text}]"));
    }
    if digits.contains(':') {
        // It may be a login with its '@' forgotten: it is not shown.
        return bad("more than one ':' after the '://': an IPv6 address stands in brackets, [::1]:8000");
    }
    let host = name_or_ipv4(host)?;
    Ok((host, Some(port(digits, purpose)?)))
}

/// A port of 1 to 65535, for [`Purpose::Listen`] 0 too.
pub(super) fn port(digits: &str, purpose: Purpose) -> Result<u16, UrlError> {
    if digits.is_empty() {
        return bad("there is no port after the ':' of the host");
    }
    let number = if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse::<u16>().ok() } else { None };
    match number {
        Some(0) if purpose != Purpose::Listen => bad("port '0' is not a number from 1 to 65535"),
        Some(number) => Ok(number),
        None if digits.len() <= 5 || digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            bad(format!("port '{digits}' is not a number from 1 to 65535"))
        }
        // Perhaps a password with its '@' forgotten: it is not shown.
        None => bad("the port, behind the ':' of the host, is not a number from 1 to 65535"),
    }
}

/// What stands between the brackets.
pub(super) fn ipv6(address: &str) -> Result<String, UrlError> {
    if let Some((_, zone)) = address.split_once('%') {
        return bad(format!("zone '{zone}' of the IPv6 address: zone ids (RFC 6874) are not supported"));
    }
    match address.parse::<Ipv6Addr>() {
        Ok(parsed) => Ok(parsed.to_string()),
        Err(_) => bad(format!("'{address}' in brackets is not an IPv6 address")),
    }
}

/// A host without brackets.
pub(super) fn name_or_ipv4(host: &str) -> Result<String, UrlError> {
    if host.is_empty() {
        return bad("there is no host after the '://'");
    }
    if !host.is_ascii() {
        return bad(format!("host '{host}' is not ASCII: write its punycode form (xn--...)"));
    }
    if host.contains('%') {
        return bad(format!("host '{host}': a host name is not percent-encoded"));
    }
    // The underscore is not for host names, but the DNS and container networks have it.
    let wrong = |c: &char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'));
    if let Some(c) = host.chars().find(wrong) {
        return bad(format!("character '{c}' cannot be in a host name ('{host}')"));
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    let labels_fit = name.split('.').all(|label| (1..=63).contains(&label.len()));
    if name.len() > 253 || !labels_fit {
        return bad(format!("host '{host}': a name has up to 253 characters in labels of 1 to 63"));
    }
    let last = name.rsplit('.').next().unwrap_or(name);
    if last.bytes().all(|b| b.is_ascii_digit()) && host.parse::<Ipv4Addr>().is_err() {
        return bad(format!("host '{host}' is not an IPv4 address: four numbers from 0 to 255"));
    }
    Ok(host.to_ascii_lowercase())
}

pub(super) fn decode_userinfo(text: &str) -> Result<Option<Userinfo>, UrlError> {
    if text.is_empty() {
        return Ok(None);
    }
    let (user, password) = match text.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (text, None),
    };
    let Some(user) = percent_decode(user) else {
        return bad("in the user name a '%' is not followed by two hexadecimal digits: write it as %25");
    };
    let password = match password.map(percent_decode) {
        Some(None) => {
            return bad("in the password a '%' is not followed by two hexadecimal digits: write it as %25");
        }
        Some(decoded) => decoded,
        None => None,
    };
    Ok(Some(Userinfo { user, password }))
}

/// None where a `%` is not followed by two hexadecimal digits.
fn percent_decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let high = char::from(bytes.next()?).to_digit(16)?;
        let low = char::from(bytes.next()?).to_digit(16)?;
        decoded.push(u8::try_from(high << 4 | low).ok()?);
    }
    Some(decoded)
}

/// The request target of `tail`, which begins after `before` characters of the URL.
fn target(tail: &str, before: usize, scheme: Scheme, purpose: Purpose) -> Result<String, UrlError> {
    if tail.contains('#') {
        return bad("a WebSocket URL has no fragment (RFC 6455 section 3): a '#' of the path is written %23");
    }
    if !scheme.is_websocket() {
        return if tail.is_empty() {
            Ok(String::new())
        } else {
            bad(format!("{scheme}:// takes no path ('{tail}'): the topic is given with -t"))
        };
    }
    if purpose == Purpose::Listen && tail.contains('?') {
        return bad("a query ('?') means nothing to a server");
    }
    let default_path = if purpose == Purpose::Mqtt { "/mqtt" } else { "/" };
    let mut target = String::with_capacity(tail.len() + default_path.len());
    if !tail.starts_with('/') {
        target.push_str(default_path);
    }
    for (index, c) in tail.char_indices() {
        if c == '%' && !tail[index + 1..].bytes().take(2).map(|b| b.is_ascii_hexdigit()).eq([true, true]) {
            let position = before + tail[..index].chars().count() + 1;
            return bad(format!(
                "the '%' at position {position} is not followed by two hexadecimal digits: write it as %25"
            ));
        }
        push_encoded(&mut target, c);
    }
    Ok(target)
}

/// Percent-encodes what RFC 3986 does not allow in a path or query; encoded bytes stay as they are.
fn push_encoded(target: &mut String, c: char) {
    if c.is_ascii() && !matches!(c, '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}') {
        target.push(c);
        return;
    }
    let mut buffer = [0; 4];
    for byte in c.encode_utf8(&mut buffer).bytes() {
        target.push_str(&format!("%{byte:02X}"));
    }
}

#[cfg(test)]
mod tests;
