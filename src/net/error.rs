//! Why no connection came about.

mod alert;
mod distrust;
mod hint;
mod text;

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use super::{redirect, retry_after};

pub(super) use text::socks_reply;

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
    /// Looking up the proxy's name.
    ProxyResolve,
    /// TCP to the proxy.
    ProxyConnect,
    /// The proxy's handshake.
    Proxy,
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

/// Why a proxy does not lead to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// An HTTP proxy's answer to CONNECT other than 2xx. Its `www_authenticate` is Proxy-Authenticate.
    Refused {
        /// The answer.
        refusal: Box<Refusal>,
        /// A login was sent.
        login: bool,
    },
    /// A SOCKS proxy's reply other than 0 (RFC 1928 section 6).
    Reply {
        /// The last reply.
        code: u8,
        /// Each address of the server that was asked for, with its reply; none where the name was.
        addresses: Vec<(IpAddr, u8)>,
    },
    /// A SOCKS proxy refused user name and password (RFC 1929).
    LoginRefused,
    /// A SOCKS proxy takes none of the methods of authentication offered.
    NoMethod {
        /// User name and password were among them.
        login: bool,
    },
    /// It broke HTTP or SOCKS5.
    Violation {
        /// How.
        why: String,
        /// The scheme that its bytes look like.
        speaks: Option<&'static str>,
    },
    /// The connection broke in the handshake.
    Lost(String),
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
    /// The proxy's name has no address.
    ResolveProxy {
        /// The name.
        host: String,
        /// What the resolver said.
        why: String,
    },
    /// No address of the proxy took the connection.
    ConnectProxy {
        /// The proxy.
        proxy: Peer,
        /// Each address with its error.
        attempts: Vec<(SocketAddr, String)>,
    },
    /// The proxy does not lead to the server.
    Proxy {
        /// The proxy.
        proxy: Peer,
        /// Whom it was asked for.
        peer: Peer,
        /// Why not.
        why: Box<Obstacle>,
    },
    /// The Unix socket of `--unix-socket` took no connection.
    UnixSocket {
        /// The socket.
        path: PathBuf,
        /// Why.
        why: String,
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
    /// A redirect that is not followed, though `--location` was said.
    Redirect {
        /// Who redirects.
        peer: Peer,
        /// The status code of HTTP.
        status: u16,
        /// Why it is not followed.
        fault: redirect::Fault,
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
            Error::ResolveProxy { .. } => 5,
            Error::Resolve { .. } => 6,
            Error::Connect { .. } | Error::UnixSocket { .. } | Error::ConnectProxy { .. } => 7,
            Error::Violation { .. } => 8,
            Error::Refused { .. } => 22,
            Error::Redirect { fault, .. } => fault.status(),
            Error::TimedOut { .. } => 28,
            Error::Tls { .. } => 35,
            Error::Lost { .. } => 56,
            Error::Untrusted { .. } => 60,
            Error::PinFile { .. } => 26,
            Error::ClientCertificate { .. } => 58,
            Error::CaFile { .. } => 77,
            Error::Proxy { .. } => 97,
            Error::Pin { .. } => 90,
        }
    }

    /// Whether another attempt would end the same way: certificates, HTTP 4xx but 408, 425 and 429, and any
    /// other answer that is neither 101 nor 5xx; a proxy's refusal of the login or the target.
    pub fn is_permanent(&self) -> bool {
        match self {
            Error::Request(_) | Error::NoTls | Error::Untrusted { .. } | Error::CaFile { .. } => true,
            Error::ClientCertificate { .. } | Error::Pin { .. } | Error::PinFile { .. } => true,
            Error::Redirect { .. } => true,
            Error::Tls { clue, .. } => clue.is_permanent(),
            Error::Refused { refusal, .. } => refusal.is_permanent(),
            Error::Proxy { why, .. } => why.is_permanent(),
            _ => false,
        }
    }

    /// How long the server, or the proxy, asks us to wait before the next attempt: Retry-After, a number of
    /// seconds or a date (RFC 9110 section 10.2.3), at most [`super::LONGEST_RETRY_AFTER`]. `now` is the wall clock,
    /// in seconds since 1970.
    pub fn retry_after(&self, now: u64) -> Option<Duration> {
        let refusal = match self {
            Error::Refused { refusal, .. } => refusal,
            Error::Proxy { why, .. } => match &**why {
                Obstacle::Refused { refusal, .. } => refusal,
                _ => return None,
            },
            _ => return None,
        };
        retry_after::wait(refusal.retry_after.as_deref()?, now)
    }
}

impl Refusal {
    fn is_permanent(&self) -> bool {
        !matches!(self.status, 408 | 425 | 429 | 500..)
    }
}

impl Obstacle {
    fn is_permanent(&self) -> bool {
        match self {
            Obstacle::Refused { refusal, .. } => refusal.is_permanent(),
            // Not allowed by the ruleset; command or address type not supported.
            Obstacle::Reply { code, addresses } => {
                let for_good = |code: u8| matches!(code, 2 | 7 | 8);
                for_good(*code) && addresses.iter().all(|(_, code)| for_good(*code))
            }
            Obstacle::LoginRefused | Obstacle::NoMethod { .. } => true,
            Obstacle::Violation { .. } | Obstacle::Lost(_) => false,
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests;
