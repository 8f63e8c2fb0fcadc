//! Why no connection came about.

mod alert;
mod distrust;
mod hint;
mod text;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

pub use self::{
    alert::{Alert, Clue},
    distrust::{Distrust, Fault},
};

/// A step on the way to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Looking up the name.
    Resolve,
    /// TCP.
    Connect,
    /// The TLS handshake.
    Tls,
    /// The HTTP upgrade to WebSocket.
    Upgrade,
}

/// The other side, as the URL names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// An answer other than 101.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// The status code.
    pub status: u16,
    /// The reason phrase, as sent.
    pub reason: String,
    /// The header Location.
    pub location: Option<String>,
    /// The header Retry-After.
    pub retry_after: Option<String>,
    /// The header WWW-Authenticate.
    pub www_authenticate: Option<String>,
    /// The start of the body, at most 4 KiB.
    pub body: Vec<u8>,
}

/// Why no connection came about. `Display` is one line and safe to print.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The request cannot be made: header or path (a usage error).
    Request(String),
    /// wss:// or mqtts:// in a build without TLS.
    NoTls,
    /// The name has no address.
    Resolve {
        /// The name.
        host: String,
        /// What the resolver said.
        why: String,
    },
    /// No address took the connection.
    Connect {
        /// Whom we asked.
        peer: Peer,
        /// Each address with its error.
        attempts: Vec<(SocketAddr, String)>,
    },
    /// The limit for the whole way was reached.
    TimedOut {
        /// Where we were.
        phase: Phase,
        /// Whom we asked.
        peer: Peer,
        /// The limit.
        limit: Duration,
    },
    /// The TLS handshake failed.
    Tls {
        /// Whom we asked.
        peer: Peer,
        /// What the peer or the TLS library said.
        why: String,
        /// What it is probably about.
        clue: Clue,
    },
    /// The certificate is not trusted.
    Untrusted {
        /// Whom we asked.
        peer: Peer,
        /// Why not.
        why: Box<Distrust>,
    },
    /// The file of `--cafile`, or the directory of `--capath`, cannot be used.
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The client certificate or its key (`--cert`, `--key`, `--pkcs12`) cannot be used.
    ClientCertificate {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The server's key is none of `--pin`.
    Pin {
        /// Whom we asked.
        peer: Peer,
        /// The key that it has, as `--pin` would name it.
        key: String,
    },
    /// The file of `--pin` cannot be used.
    PinFile {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The peer broke HTTP or the rules of the upgrade (RFC 6455 section 4.1).
    Violation {
        /// Whom we asked.
        peer: Peer,
        /// How.
        why: String,
        /// The peer's first byte is that of a TLS record.
        speaks_tls: bool,
    },
    /// The upgrade was refused.
    Refused {
        /// Whom we asked.
        peer: Peer,
        /// The answer.
        refusal: Box<Refusal>,
    },
    /// The connection broke during the upgrade.
    Lost {
        /// Whom we asked.
        peer: Peer,
        /// How.
        why: String,
    },
}

impl Error {
    /// The exit status, curl's number.
    pub fn status(&self) -> u8 {
        match self {
            Error::Request(_) | Error::NoTls => 2,
            Error::Resolve { .. } => 6,
            Error::Connect { .. } => 7,
            Error::Violation { .. } => 8,
            Error::Refused { .. } => 22,
            Error::TimedOut { .. } => 28,
            Error::Tls { .. } => 35,
            Error::Lost { .. } => 56,
            Error::Untrusted { .. } => 60,
            Error::PinFile { .. } => 26,
            Error::ClientCertificate { .. } => 58,
            Error::CaFile { .. } => 77,
            Error::Pin { .. } => 90,
        }
    }

    /// Whether another attempt would end the same way: certificates, HTTP 4xx but 408, 425 and 429, and any
    /// other answer that is neither 101 nor 5xx.
    pub fn is_permanent(&self) -> bool {
        match self {
            Error::Request(_) | Error::NoTls | Error::Untrusted { .. } | Error::CaFile { .. } => true,
            Error::ClientCertificate { .. } | Error::Pin { .. } | Error::PinFile { .. } => true,
            Error::Tls { clue, .. } => clue.is_permanent(),
            Error::Refused { refusal, .. } => !matches!(refusal.status, 408 | 425 | 429 | 500..),
            _ => false,
        }
    }

    /// How long the server asks us to wait before the next attempt: Retry-After in seconds (RFC 9110
    /// section 10.2.3). A date there is not taken.
    pub fn retry_after(&self) -> Option<Duration> {
        let Error::Refused { refusal, .. } = self else { return None };
        let seconds = refusal.retry_after.as_deref()?.trim().parse::<u32>().ok()?;
        Some(Duration::from_secs(seconds.into()))
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests;
