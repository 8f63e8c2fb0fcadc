//! Why no connection came about.

use std::{fmt, net::SocketAddr, path::PathBuf, time::Duration};

use super::{
    redirect::{self, Fault},
    retry_after,
};
use crate::proto::format::{escape, excerpt};

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

/// The other side, as the URL names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} port {}", escape(self.host.as_bytes()), self.port)
    }
}

/// Why a certificate is not trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Distrust {
    /// Signed by nobody known here.
    UnknownIssuer,
    /// Signed by itself, or the chain ends in a root that is not known here.
    SelfSigned,
    /// Past its validity.
    Expired,
    /// Before its validity.
    NotYetValid,
    /// It is for other names than this.
    WrongName(String),
    /// Anything else, in the TLS library's words.
    Other(String),
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
        /// What the TLS library said.
        why: String,
        /// The peer's first bytes were no TLS record.
        not_tls: bool,
    },
    /// The certificate is not trusted.
    Untrusted {
        /// Whom we asked.
        peer: Peer,
        /// Why not.
        why: Distrust,
    },
    /// The file of `--cafile` cannot be used.
    CaFile {
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
        fault: Fault,
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
            Error::Connect { .. } | Error::UnixSocket { .. } => 7,
            Error::Violation { .. } => 8,
            Error::Refused { .. } => 22,
            Error::Redirect { fault, .. } => fault.status(),
            Error::TimedOut { .. } => 28,
            Error::Tls { .. } => 35,
            Error::Lost { .. } => 56,
            Error::Untrusted { .. } => 60,
            Error::CaFile { .. } => 77,
        }
    }

    /// Whether another attempt would end the same way: certificates, HTTP 4xx but 408, 425 and 429, and any
    /// other answer that is neither 101 nor 5xx.
    pub fn is_permanent(&self) -> bool {
        match self {
            Error::Request(_) | Error::NoTls | Error::Untrusted { .. } | Error::CaFile { .. } => true,
            Error::Redirect { .. } => true,
            Error::Refused { refusal, .. } => !matches!(refusal.status, 408 | 425 | 429 | 500..),
            _ => false,
        }
    }

    /// How long the server asks us to wait before the next attempt: Retry-After, a number of seconds or a
    /// date (RFC 9110 section 10.2.3), at most [`super::LONGEST_RETRY_AFTER`]. `now` is the wall clock, in
    /// seconds since 1970.
    pub fn retry_after(&self, now: u64) -> Option<Duration> {
        let Error::Refused { refusal, .. } = self else { return None };
        retry_after::wait(refusal.retry_after.as_deref()?, now)
    }

    /// What may help, naming the option.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Error::NoTls => "this build has no TLS: build with the feature tls",
            Error::TimedOut { phase: Phase::Upgrade, .. } => {
                "is it a WebSocket server? --connect-timeout SEC waits longer"
            }
            Error::TimedOut { .. } => "--connect-timeout SEC waits longer",
            Error::Tls { not_tls: true, .. } => {
                "the port does not speak TLS: use ws:// (mqtt:// in place of mqtts://), or another port"
            }
            Error::Untrusted { why, .. } => return Some(distrust_hint(why)),
            Error::Violation { speaks_tls: true, .. } => "the port speaks TLS: use wss://",
            Error::Refused { refusal, .. } => return refusal_hint(refusal),
            Error::Redirect { fault, .. } => return fault.hint().map(str::to_owned),
            _ => return None,
        };
        Some(text.to_owned())
    }
}

fn distrust_hint(why: &Distrust) -> String {
    let text = match why {
        Distrust::UnknownIssuer => "--cafile FILE names the CA to trust (PEM); --insecure checks nothing",
        Distrust::SelfSigned => {
            "--cafile FILE with this certificate or its root (PEM) trusts it; --insecure checks nothing"
        }
        Distrust::Expired | Distrust::NotYetValid => "is this clock right? --insecure checks nothing",
        Distrust::WrongName(_) => "--servername NAME asks for and checks another name",
        Distrust::Other(_) => "--insecure checks nothing",
    };
    text.to_owned()
}

fn refusal_hint(refusal: &Refusal) -> Option<String> {
    let text = match refusal.status {
        status if redirect::is_redirect(status) => "--location follows redirects",
        400 if find(&refusal.body, b"HTTPS port") => "the port speaks TLS: use wss://",
        401 => "--auth USER:PASSWORD or --bearer-file FILE sends a login",
        403 => "--origin ORIGIN or a login may be wanted",
        404 => "check the path of the URL",
        200..300 => "no WebSocket at this path?",
        _ => return None,
    };
    Some(text.to_owned())
}

fn find(haystack: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(haystack, needle).is_some()
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
            Error::UnixSocket { path, why } => {
                let path = path.to_string_lossy();
                write!(f, "could not connect to unix:{}: {why}", excerpt(path.as_bytes()))
            }
            Error::TimedOut { phase, peer, limit } => {
                write!(f, "timed out after {} s in phase {phase}: {peer}", limit.as_secs_f64())
            }
            Error::Tls { peer, why, not_tls } => {
                write!(f, "TLS handshake with {peer} failed: {}", excerpt(why.as_bytes()))?;
                if *not_tls { f.write_str(" (the answer is not TLS)") } else { Ok(()) }
            }
            Error::Untrusted { peer, why } => {
                write!(f, "the certificate of {peer} is not trusted: {why}")
            }
            Error::CaFile { path, why } => {
                let path = path.to_string_lossy();
                write!(f, "cannot use the CA file {}: {}", excerpt(path.as_bytes()), excerpt(why.as_bytes()))
            }
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

impl std::error::Error for Error {}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Distrust::UnknownIssuer => f.write_str("its issuer is unknown here"),
            Distrust::SelfSigned => f.write_str("it is self-signed, or its root is unknown here"),
            Distrust::Expired => f.write_str("it has expired"),
            Distrust::NotYetValid => f.write_str("it is not yet valid"),
            Distrust::WrongName(name) => write!(f, "it is not for {}", excerpt(name.as_bytes())),
            Distrust::Other(text) => f.write_str(&excerpt(text.as_bytes())),
        }
    }
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
struct Bracketed(SocketAddr);

impl fmt::Display for Bracketed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            SocketAddr::V4(address) => write!(f, "{}", address.ip()),
            SocketAddr::V6(address) => write!(f, "[{}]", address.ip()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer() -> Peer {
        Peer { host: String::from("example.org"), port: 80 }
    }

    fn refused(status: u16) -> Error {
        let refusal = Refusal {
            status,
            reason: String::from("No\x1b[2J"),
            retry_after: Some(String::from("120")),
            body: b"\r\n<p>\x07bell</p>\nmore".to_vec(),
            ..Refusal::default()
        };
        Error::Refused { peer: peer(), refusal: Box::new(refusal) }
    }

    #[test]
    fn lines_are_single_safe_and_bounded() {
        assert_eq!(
            refused(503).to_string(),
            r"upgrade refused by example.org port 80: HTTP 503 No\x1b[2J: <p>\x07bell</p>"
        );
        let attempts = vec![
            ("[::1]:80".parse().unwrap(), String::from("Connection refused")),
            ("127.0.0.1:80".parse().unwrap(), String::from("Connection timed out")),
        ];
        assert_eq!(
            Error::Connect { peer: peer(), attempts }.to_string(),
            "could not connect to example.org port 80: [::1]: Connection refused; \
             127.0.0.1: Connection timed out"
        );
    }

    #[test]
    fn what_to_try_again() {
        for status in [408, 425, 429, 500, 503] {
            assert!(!refused(status).is_permanent(), "{status}");
        }
        for status in [200, 301, 400, 401, 403, 404, 426] {
            assert!(refused(status).is_permanent(), "{status}");
        }
        assert_eq!(refused(503).retry_after(0), Some(Duration::from_secs(120)));
        assert!(Error::Untrusted { peer: peer(), why: Distrust::Expired }.is_permanent());
        assert!(!Error::Lost { peer: peer(), why: String::new() }.is_permanent());
    }
}
