//! The request of the opening handshake (RFC 6455 section 4.1, points 1 to 12 of the client's), as RFC 9112 writes it.
//! Options are checked where they are read; here again, so that nothing gets a line of its own, wherever it came from.
//! What goes out is not logged, and no error shows a value: they may be secrets.

use data_encoding::BASE64;
use rand::{TryRng as _, rngs::SysRng};

use crate::{config::Endpoint, net::error::Error};

/// What the handshake itself sets.
const OURS: [&str; 5] =
    ["connection", "upgrade", "sec-websocket-key", "sec-websocket-version", "sec-websocket-extensions"];
/// The longest path with its query, and the longest name of a header, in bytes.
const LONGEST: usize = 65_534;
/// How many of the last names go out first.
const LAST: usize = 5;

/// The request as bytes, its key, and the subprotocols that it offers.
pub(super) fn request(endpoint: &Endpoint) -> Result<(Vec<u8>, String, Vec<String>), Error> {
    let target = &endpoint.url.target;
    check_target(target).map_err(|why| Error::Request(format!("path of the URL: {why}")))?;
    let mut fields = Fields::new(endpoint)?;
    randomness()?;
    let key = BASE64.encode(&rand::random::<[u8; 16]>());
    for (name, value) in &endpoint.headers {
        fields.add(name, value)?;
    }
    if !fields.offered.is_empty() {
        let names = fields.offered.join(", ");
        fields.append("sec-websocket-protocol", field_value("Sec-WebSocket-Protocol", &names)?);
    }
    let mut head = format!(
        "GET {target} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n",
        fields.host
    );
    // Names may stand in any order (RFC 9110 section 5.3): in this one servers and proxies are known to take them.
    let (first, last) = fields.others.split_at(fields.others.len().saturating_sub(LAST));
    for field in last.iter().rev().chain(first) {
        head.push_str(&field.lines);
    }
    head.push_str("\r\n");
    Ok((head.into_bytes(), key, fields.offered))
}

/// The key of the handshake, and the masks after it, come from a generator that panics when the system has no seed for
/// it: in a chroot without /dev/random, where a static glibc hides getrandom(2) (scripts/build-static unhides it).
fn randomness() -> Result<(), Error> {
    let seed = SysRng.try_fill_bytes(&mut [0; 32]);
    seed.map_err(|error| Error::Request(format!("no random numbers from the system (/dev/random): {error}")))
}

/// Path and query in the form that a request line has (RFC 9112 section 3.2.1): of the characters of RFC 3986, with
/// brackets, which browsers do not encode either.
fn check_target(target: &str) -> Result<(), &'static str> {
    if target.len() > LONGEST {
        return Err("uri too long");
    }
    if !target.starts_with('/') {
        return Err("path does not start with slash");
    }
    let known = |byte: u8| byte.is_ascii_graphic() && !b"\"#<>\\^`{|}".contains(&byte);
    if target.bytes().all(known) { Ok(()) } else { Err("invalid uri character") }
}

/// All header lines of one name.
struct Field {
    /// In lower case.
    name: String,
    lines: String,
}

/// The headers that are not the same in every request.
struct Fields {
    host: String,
    offered: Vec<String>,
    others: Vec<Field>,
}

impl Fields {
    fn new(endpoint: &Endpoint) -> Result<Fields, Error> {
        let host = ascii("Host", field_value("Host", &host_header(endpoint))?)?.to_owned();
        let mut fields = Fields { host, offered: endpoint.subprotocols.clone(), others: Vec::new() };
        fields.append("user-agent", concat!("wspipe/", env!("CARGO_PKG_VERSION")));
        Ok(fields)
    }

    /// One header of `-H`: Host and User-Agent take the place of ours (an empty User-Agent is not sent),
    /// Sec-WebSocket-Protocol adds to what is offered, what the handshake sets is refused.
    fn add(&mut self, given: &str, value: &str) -> Result<(), Error> {
        let name = field_name(given)?;
        let value = field_value(given, value)?;
        match name.as_str() {
            ours if OURS.contains(&ours) => {
                return Err(Error::Request(format!("the handshake itself sets {given}")));
            }
            "host" => self.host = ascii(given, value)?.to_owned(),
            "sec-websocket-protocol" => {
                let names = ascii(given, value)?.split(',');
                self.offered.extend(names.map(|name| name.trim().to_owned()));
            }
            "user-agent" => self.replace(&name, value),
            _ => self.append(&name, value),
        }
        Ok(())
    }

    fn at(&self, name: &str) -> Option<usize> {
        self.others.iter().position(|field| field.name == name)
    }

    /// In the place of what is there, or nothing at all if it is empty.
    fn replace(&mut self, name: &str, value: &str) {
        match self.at(name) {
            Some(at) if value.is_empty() => drop(self.others.swap_remove(at)),
            Some(at) => self.others[at].lines = line(name, value),
            None if value.is_empty() => {}
            None => self.append(name, value),
        }
    }

    /// After the lines of that name: their order has a meaning (RFC 9110 section 5.3).
    fn append(&mut self, name: &str, value: &str) {
        let lines = line(name, value);
        match self.at(name) {
            Some(at) => self.others[at].lines.push_str(&lines),
            None => self.others.push(Field { name: name.to_owned(), lines }),
        }
    }
}

/// A header line. Names mean the same in any case (RFC 9110 section 5.1), but some servers want these two as their
/// RFCs write them.
fn line(name: &str, value: &str) -> String {
    let name = match name {
        "sec-websocket-protocol" => "Sec-WebSocket-Protocol",
        "origin" => "Origin",
        other => other,
    };
    format!("{name}: {value}\r\n")
}

/// The name in lower case, without blanks around it: a token (RFC 9110 sections 5.1 and 5.6.2).
fn field_name(given: &str) -> Result<String, Error> {
    let name = given.trim();
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || name.len() > LONGEST || !name.bytes().all(known) {
        return Err(Error::Request(format!("\"{given}\" is no header name")));
    }
    Ok(name.to_ascii_lowercase())
}

/// The value without blanks around it: no control characters but tabs (RFC 9110 section 5.5).
fn field_value<'a>(name: &str, value: &'a str) -> Result<&'a str, Error> {
    let value = value.trim();
    if value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
        return Err(Error::Request(format!("the value of header {name} has control characters")));
    }
    Ok(value)
}

/// A value that has to be read, and not only handed on, by the server.
fn ascii<'a>(name: &str, value: &'a str) -> Result<&'a str, Error> {
    if value.is_ascii() {
        return Ok(value);
    }
    Err(Error::Request(format!("the value of header {name} is not ASCII")))
}

/// `host[:port]`, the port left out where it is the default, IPv6 in brackets and without its zone.
fn host_header(endpoint: &Endpoint) -> String {
    let url = &endpoint.url;
    let host = url.host.split('%').next().unwrap_or_default();
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    if url.port == url.scheme.default_port() { host } else { format!("{host}:{}", url.port) }
}

#[cfg(test)]
mod tests;
