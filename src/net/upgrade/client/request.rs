//! The request of the opening handshake (RFC 6455 section 4.1, points 1 to 12 of the client's), as RFC 9112 writes it.
//! Options are checked where they are read; here again, so that nothing gets a line of its own, wherever it came from.
//! What goes out is not logged, and no error shows a value: they may be secrets.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use rand::{TryRng as _, rngs::SysRng};

use crate::{config::Endpoint, net::error::Error};

/// What the handshake itself sets.
const OURS: [&str; 5] =
    ["Connection", "Upgrade", "Sec-WebSocket-Key", "Sec-WebSocket-Version", "Sec-WebSocket-Extensions"];
/// The longest path with its query, and the longest name of a header, in bytes.
const LONGEST: usize = 65_534;

/// The request as bytes, its key, and the subprotocols that it offers.
pub(super) fn request(endpoint: &Endpoint) -> Result<(Vec<u8>, String, Vec<String>), Error> {
    let target = &endpoint.url.target;
    check_target(target).map_err(|why| Error::Request(format!("path of the URL: {why}")))?;
    let mut fields = Fields::new(endpoint)?;
    randomness()?;
    let key = BASE64_STANDARD.encode(rand::random::<[u8; 16]>());
    for (name, value) in &endpoint.headers {
        fields.add(name, value)?;
    }
    let mut head = format!(
        "GET {target} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n",
        fields.host
    );
    if !fields.agent.is_empty() {
        push_line(&mut head, "User-Agent", &fields.agent);
    }
    head.push_str(&fields.others);
    if !fields.offered.is_empty() {
        let names = fields.offered.join(", ");
        push_line(&mut head, "Sec-WebSocket-Protocol", field_value("Sec-WebSocket-Protocol", &names)?);
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

/// The headers that are not the same in every request.
struct Fields {
    host: String,
    /// Empty: the header is not sent.
    agent: String,
    offered: Vec<String>,
    /// The lines of the others, in the order and the spelling in which they were given.
    others: String,
}

impl Fields {
    fn new(endpoint: &Endpoint) -> Result<Fields, Error> {
        let host = ascii("Host", field_value("Host", &host_header(endpoint))?)?.to_owned();
        let agent = concat!("wspipe/", env!("CARGO_PKG_VERSION")).to_owned();
        Ok(Fields { host, agent, offered: endpoint.subprotocols.clone(), others: String::new() })
    }

    /// One header of `-H`: Host and User-Agent take the place of ours (an empty User-Agent is not sent),
    /// Sec-WebSocket-Protocol adds to what is offered, what the handshake sets is refused.
    fn add(&mut self, given: &str, value: &str) -> Result<(), Error> {
        let name = field_name(given)?;
        let value = field_value(given, value)?;
        let is = |other: &&str| name.eq_ignore_ascii_case(other);
        if OURS.iter().any(is) {
            return Err(Error::Request(format!("the handshake itself sets {given}")));
        }
        if is(&"Host") {
            self.host = ascii(given, value)?.to_owned();
        } else if is(&"Sec-WebSocket-Protocol") {
            let names = ascii(given, value)?.split(',');
            self.offered.extend(names.map(|name| name.trim().to_owned()));
        } else if is(&"User-Agent") {
            self.agent = value.to_owned();
        } else {
            push_line(&mut self.others, name, value);
        }
        Ok(())
    }
}

fn push_line(head: &mut String, name: &str, value: &str) {
    for part in [name, ": ", value, "\r\n"] {
        head.push_str(part);
    }
}

/// The name without blanks around it: a token (RFC 9110 sections 5.1 and 5.6.2).
fn field_name(given: &str) -> Result<&str, Error> {
    let name = given.trim();
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || name.len() > LONGEST || !name.bytes().all(known) {
        return Err(Error::Request(format!("\"{given}\" is no header name")));
    }
    Ok(name)
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
