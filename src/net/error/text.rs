//! The errors as text: one line each, safe to print.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::Path,
};

use super::{Clue, Error, Obstacle, Peer, Phase, Refusal};
use crate::{
    net::redirect,
    proto::format::{escape, excerpt},
};

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Resolve => "resolve",
            Phase::Connect => "connect",
            Phase::ProxyResolve => "resolve (of the proxy)",
            Phase::ProxyConnect => "connect (to the proxy)",
            Phase::Proxy => "proxy",
            Phase::Tls => "TLS handshake",
            Phase::Upgrade => "upgrade",
        })
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} port {}", escape(self.host.as_bytes()), self.port)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Request(why) => write!(f, "cannot make the request: {}", excerpt(why.as_bytes())),
            Error::NoTls => f.write_str("wss:// and mqtts:// need TLS, which this build does not have"),
            Error::Resolve { host, why } => {
                write!(f, "could not resolve host {}: {}", excerpt(host.as_bytes()), excerpt(why.as_bytes()))
            }
            Error::Connect { peer, attempts } => {
                write!(f, "could not connect to {peer}: ")?;
                write_attempts(f, attempts)
            }
            Error::UnixSocket { path, why } => {
                let path = path.to_string_lossy();
                write!(f, "could not connect to unix:{}: {why}", excerpt(path.as_bytes()))
            }
            Error::ConnectProxy { proxy, attempts } => {
                write!(f, "could not connect to the proxy {proxy}: ")?;
                write_attempts(f, attempts)
            }
            Error::ResolveProxy { host, why } => {
                let (host, why) = (excerpt(host.as_bytes()), excerpt(why.as_bytes()));
                write!(f, "could not resolve the proxy {host}: {why}")
            }
            Error::Proxy { proxy, peer, why } => {
                write!(f, "the proxy {proxy} did not connect to {peer}: {why}")
            }
            Error::TimedOut { phase, peer, limit } => {
                write!(f, "timed out after {} s in phase {phase}: {peer}", limit.as_secs_f64())
            }
            Error::Tls { peer, why, clue } => {
                write!(f, "TLS handshake with {peer} failed: {}", excerpt(why.as_bytes()))?;
                if *clue == Clue::NotTls { f.write_str(" (the answer is not TLS)") } else { Ok(()) }
            }
            Error::Untrusted { peer, why } => {
                write!(f, "the certificate of {peer} is not trusted: {why}")
            }
            Error::CaFile { path, why } => unusable(f, "CA file", path, why),
            Error::ClientCertificate { path, why } => unusable(f, "client certificate or key", path, why),
            Error::PinFile { path, why } => unusable(f, "file of --pin", path, why),
            Error::Pin { peer, key } => write!(f, "the public key of {peer} is none of --pin: it is {key}"),
            Error::Violation { peer, why, .. } => write!(f, "upgrade with {peer} failed: {why}"),
            Error::Refused { peer, refusal } => write!(f, "upgrade refused by {peer}: {refusal}"),
            Error::Redirect { peer, status, fault } => {
                write!(f, "redirect (HTTP {status}) by {peer}: {fault}")
            }
            Error::Lost { peer, why } => {
                write!(f, "connection to {peer} lost during the upgrade: {}", excerpt(why.as_bytes()))
            }
        }
    }
}

fn unusable(f: &mut fmt::Formatter<'_>, what: &str, path: &Path, why: &str) -> fmt::Result {
    let path = path.to_string_lossy();
    write!(f, "cannot use the {what} {}: {}", excerpt(path.as_bytes()), excerpt(why.as_bytes()))
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP {}", self.status)?;
        if !self.reason.is_empty() {
            write!(f, " {}", excerpt(self.reason.as_bytes()))?;
        }
        if let Some(location) = &self.location {
            write!(f, ", Location: {}", excerpt(redirect::public(location).as_bytes()))?;
        }
        let mut lines = self.body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        match lines.find(|line| !line.is_empty()) {
            Some(line) => write!(f, ": {}", excerpt(line)),
            None => Ok(()),
        }
    }
}

/// An address without its port, IPv6 in brackets.
struct Bracketed(IpAddr);

impl fmt::Display for Bracketed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => write!(f, "{address}"),
            IpAddr::V6(address) => write!(f, "[{address}]"),
        }
    }
}

fn write_attempts(f: &mut fmt::Formatter<'_>, attempts: &[(SocketAddr, String)]) -> fmt::Result {
    for (i, (address, why)) in attempts.iter().enumerate() {
        let separator = if i == 0 { "" } else { "; " };
        write!(f, "{separator}{}: {why}", Bracketed(address.ip()))?;
    }
    Ok(())
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Obstacle::Refused { refusal, .. } => write_refusal(f, refusal),
            Obstacle::Reply { code, addresses } if addresses.len() < 2 => {
                write!(f, "{} (SOCKS reply {code})", socks_reply(*code))
            }
            Obstacle::Reply { addresses, .. } => {
                for (i, (address, code)) in addresses.iter().enumerate() {
                    let separator = if i == 0 { "" } else { "; " };
                    let why = socks_reply(*code);
                    write!(f, "{separator}{}: {why} (SOCKS reply {code})", Bracketed(*address))?;
                }
                Ok(())
            }
            Obstacle::LoginRefused => f.write_str("it refused user name and password"),
            Obstacle::NoMethod { login: true } => {
                f.write_str("it takes neither user name and password nor no authentication")
            }
            Obstacle::NoMethod { login: false } => f.write_str("it wants a login"),
            Obstacle::Violation { why, .. } => f.write_str(why),
            Obstacle::Lost(why) => f.write_str(&excerpt(why.as_bytes())),
        }
    }
}

/// A proxy's refusal: proxies answer in HTML, of which only the text says something.
fn write_refusal(f: &mut fmt::Formatter<'_>, refusal: &Refusal) -> fmt::Result {
    let head = format!("{} {}", refusal.status, refusal.reason);
    write!(f, "HTTP {}", excerpt(head.trim_end().as_bytes()))?;
    let text = without_tags(&refusal.body);
    let mut lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    // Its title mostly says the status once more.
    let says_more =
        |line: &[u8]| !line.is_empty() && line != head.as_bytes() && line != refusal.reason.as_bytes();
    match lines.find(|line| says_more(line)) {
        Some(line) => write!(f, ": {}", excerpt(line)),
        None => Ok(()),
    }
}

/// What stands outside of `<...>`, each tag a line end, without what `<style>` and `<script>` enclose. What
/// does not begin with a tag is no HTML and stays as it is.
fn without_tags(body: &[u8]) -> Vec<u8> {
    let mut rest = body.trim_ascii_start();
    if !rest.starts_with(b"<") {
        return rest.to_vec();
    }
    let mut text = Vec::new();
    while let Some(start) = memchr::memchr(b'<', rest) {
        text.extend_from_slice(&rest[..start]);
        text.push(b'\n');
        let tag = &rest[start..];
        let is = |name: &[u8]| tag.get(1..=name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name));
        let end = match (is(b"style"), is(b"script")) {
            (true, _) => memchr::memmem::find(tag, b"</style>"),
            (_, true) => memchr::memmem::find(tag, b"</script>"),
            _ if is(b"!--") => memchr::memmem::find(tag, b"-->"),
            _ => Some(0),
        };
        let end = end.and_then(|at| Some(at + memchr::memchr(b'>', &tag[at..])? + 1));
        rest = &tag[end.unwrap_or(tag.len())..];
    }
    text.extend_from_slice(rest);
    text
}

/// The names of RFC 1928 section 6.
pub(in crate::net) fn socks_reply(code: u8) -> &'static str {
    match code {
        0 => "succeeded",
        1 => "general SOCKS server failure",
        2 => "connection not allowed by ruleset",
        3 => "Network unreachable",
        4 => "Host unreachable",
        5 => "Connection refused",
        6 => "TTL expired",
        7 => "Command not supported",
        8 => "Address type not supported",
        _ => "unassigned reply",
    }
}
