//! The errors as text: one line each, safe to print.

use std::{fmt, net::SocketAddr, path::Path};

use super::{Clue, Error, Peer, Phase, Refusal};
use crate::proto::format::{escape, excerpt};

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Resolve => "resolve",
            Phase::Connect => "connect",
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
                for (i, (address, why)) in attempts.iter().enumerate() {
                    let separator = if i == 0 { "" } else { "; " };
                    write!(f, "{separator}{}: {why}", Bracketed(*address))?;
                }
                Ok(())
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
            write!(f, ", Location: {}", excerpt(location.as_bytes()))?;
        }
        let mut lines = self.body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        match lines.find(|line| !line.is_empty()) {
            Some(line) => write!(f, ": {}", excerpt(line)),
            None => Ok(()),
        }
    }
}

/// An address without its port, IPv6 in brackets.
struct Bracketed(SocketAddr);

impl fmt::Display for Bracketed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            SocketAddr::V4(address) => write!(f, "{}", address.ip()),
            SocketAddr::V6(address) => write!(f, "[{}]", address.ip()),
        }
    }
}
