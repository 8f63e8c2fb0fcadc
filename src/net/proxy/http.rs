//! CONNECT (RFC 9110 section 9.3.6) over HTTP/1.1, with Basic authentication (RFC 7617). Bytes in, bytes out.

use base64::prelude::{BASE64_STANDARD, Engine as _};

use super::{Host, Progress, shown};
use crate::{
    config::proxy::Login,
    net::{
        error::Obstacle,
        upgrade::{Framing, dechunk, refused},
    },
    proto::format::excerpt,
};

/// The largest head taken, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// The most headers taken in a head.
const MAX_HEADERS: usize = 124;
/// How much of a refusal's text is kept.
const MAX_BODY: usize = 4096;

/// The client's side of CONNECT.
pub(super) struct Connect {
    request: Vec<u8>,
    login: bool,
    /// The head that is coming; after a refusal its body.
    received: Vec<u8>,
    /// Bytes of interim (1xx) heads, already dropped.
    skipped: usize,
    /// A refusal whose body is still coming.
    refused: Option<(crate::net::Refusal, Framing)>,
}

impl Connect {
    /// The login has no ':' in its user name and no control characters (`config::Proxy`).
    pub(super) fn new(host: &Host, port: u16, login: Option<&Login>) -> Connect {
        let target = shown(host, port);
        let mut request = format!(
            "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nUser-Agent: wspipe/{}\r\n",
            env!("CARGO_PKG_VERSION")
        );
        if let Some((user, password)) = login {
            let pair = [user, b":".as_slice(), password].concat();
            request.push_str(&format!("Proxy-Authorization: Basic {}\r\n", BASE64_STANDARD.encode(&pair)));
        }
        request.push_str("\r\n");
        Connect {
            request: request.into_bytes(),
            login: login.is_some(),
            received: Vec::new(),
            skipped: 0,
            refused: None,
        }
    }

    pub(super) fn poll_transmit(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.request)
    }

    pub(super) fn handle_bytes(&mut self, bytes: &[u8]) -> Result<(usize, Progress), Obstacle> {
        let mut taken = 0;
        while self.refused.is_none() && taken < bytes.len() {
            // A head ends with a newline: only there it is looked at, and nothing behind it is taken.
            let rest = &bytes[taken..];
            let line = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
            self.received.extend_from_slice(&rest[..line]);
            taken += line;
            self.check_start()?;
            if self.skipped + self.received.len() > MAX_HEAD {
                return Err(violation(format!("its response head exceeds {} KiB", MAX_HEAD / 1024)));
            }
            let ends = self.received.ends_with(b"\n\n") || self.received.ends_with(b"\n\r\n");
            if ends && self.head()? {
                return Ok((taken, Progress::Open));
            }
        }
        if self.refused.is_none() {
            return Ok((taken, Progress::Going));
        }
        self.received.extend_from_slice(&bytes[taken..]);
        if self.body_complete() { Err(self.handle_end()) } else { Ok((bytes.len(), Progress::Refused)) }
    }

    /// Nothing more comes: what there is of a refusal, or that there is no answer.
    pub(super) fn handle_end(&mut self) -> Obstacle {
        let Some((mut refusal, framing)) = self.refused.take() else {
            return Obstacle::Lost(String::from(match self.received.is_empty() {
                true => "it closed the connection without an answer",
                false => "it closed the connection within its response head",
            }));
        };
        refusal.body = match framing {
            Framing::Chunked => dechunk(&self.received).0,
            Framing::Length(length) => self.received[..self.received.len().min(length)].to_vec(),
            Framing::ToEnd => std::mem::take(&mut self.received),
        };
        refusal.body.truncate(MAX_BODY);
        Obstacle::Refused { refusal: Box::new(refusal), login: self.login }
    }

    /// What is no HTTP is known by its first bytes; some would never end a line.
    fn check_start(&self) -> Result<(), Obstacle> {
        let start = self.received.len().min(5);
        if self.received[..start] == b"HTTP/"[..start] {
            return Ok(());
        }
        let first = excerpt(&self.received[..self.received.len().min(48)]);
        let speaks = matches!(self.received.first(), Some(4 | 5)).then_some("socks5h");
        Err(Obstacle::Violation { why: format!("the answer is not HTTP: \"{first}\""), speaks })
    }

    /// Takes a head that is complete. True: the tunnel is there.
    fn head(&mut self) -> Result<bool, Obstacle> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        match response.parse(&self.received) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) => return Ok(false),
            Err(httparse::Error::TooManyHeaders) => {
                return Err(violation(format!("more than {MAX_HEADERS} headers in its response")));
            }
            Err(_) => return Err(violation(String::from("malformed HTTP response head"))),
        }
        match response.code.unwrap_or_default() {
            // What follows is the tunnel, whatever Content-Length says.
            200..300 => return Ok(true),
            // It changes to another protocol, and none was asked for.
            101 => return Err(violation(String::from("101 in answer to CONNECT"))),
            100..200 => self.skipped += self.received.len(),
            _ => {
                let (mut refusal, framing) = refused(&response);
                let wanted = response.headers.iter().filter(|h| h.name.eq_ignore_ascii_case(AUTHENTICATE));
                let wanted: Vec<_> = wanted.map(|h| String::from_utf8_lossy(h.value)).collect();
                refusal.www_authenticate = (!wanted.is_empty()).then(|| wanted.join(", "));
                self.refused = Some((refusal, framing));
            }
        }
        self.received.clear();
        Ok(false)
    }

    fn body_complete(&self) -> bool {
        match self.refused.as_ref().map(|(_, framing)| framing) {
            None => false,
            Some(Framing::Length(length)) => self.received.len() >= (*length).min(MAX_BODY),
            Some(Framing::Chunked) => self.received.len() >= 2 * MAX_BODY || dechunk(&self.received).1,
            Some(Framing::ToEnd) => self.received.len() >= MAX_BODY,
        }
    }
}

const AUTHENTICATE: &str = "Proxy-Authenticate";

fn violation(why: String) -> Obstacle {
    Obstacle::Violation { why, speaks: None }
}

#[cfg(test)]
mod tests;
