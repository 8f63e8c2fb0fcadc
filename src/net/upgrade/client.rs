//! The client's side of the opening handshake (RFC 6455 section 4.1).

mod request;

use std::{
    io::{self, ErrorKind, Read as _, Write as _},
    time::{Duration, Instant},
};

use self::request::request;
use super::{MAX_HEAD, MAX_HEADERS, accept_key, has_token};
use crate::{
    config::Endpoint,
    net::{
        error::{Error, Peer, Refusal},
        redirect::{LONGEST_NAME, is_redirect},
        stream::{Stream, alert, error_text},
        ws::Connection,
    },
    proto::{
        format::{escape, excerpt},
        link::Established,
    },
    sys::{PollFd, PollFlags},
};

/// How much of a refusal's body is kept.
const MAX_BODY: usize = 4096;
/// How long a refusal's body is waited for.
const BODY_WAIT: Duration = Duration::from_secs(1);

/// An upgrade under way: the request goes out, the response comes in, byte by byte if it must.
pub(in crate::net) struct Upgrade {
    /// Taken when the connection is handed over.
    stream: Option<Stream>,
    peer: Peer,
    tls: bool,
    max_message: usize,
    request: Vec<u8>,
    sent: usize,
    accept: String,
    offered: Vec<String>,
    received: Vec<u8>,
    /// Bytes of interim (1xx) heads, already dropped.
    skipped: usize,
    refused: Option<Refused>,
    /// A redirect is followed: its body is of no interest.
    follow: bool,
}

/// A refusal whose body is still coming.
struct Refused {
    refusal: Refusal,
    framing: Framing,
    until: Instant,
}

/// Where a body ends (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::net) enum Framing {
    Length(usize),
    Chunked,
    ToEnd,
}

/// What a complete head means.
enum Head {
    Upgraded { subprotocol: Option<String>, len: usize },
    Interim { len: usize },
    Refused { refusal: Refusal, framing: Framing, len: usize },
}

impl Upgrade {
    pub(in crate::net) fn new(endpoint: &Endpoint, peer: &Peer, stream: Stream) -> Result<Upgrade, Error> {
        let (request, key, offered) = request(endpoint)?;
        Ok(Upgrade {
            stream: Some(stream),
            peer: peer.clone(),
            tls: endpoint.url.scheme.is_tls(),
            max_message: endpoint.max_message,
            request,
            sent: 0,
            accept: accept_key(&key),
            offered,
            received: Vec::new(),
            skipped: 0,
            refused: None,
            follow: endpoint.redirects.is_some(),
        })
    }

    /// Goes on as far as the socket lets it.
    pub(in crate::net) fn advance(&mut self, now: Instant) -> Result<Option<Connection>, Error> {
        self.write_request()?;
        loop {
            let fresh = match self.read() {
                Ok(Some(0)) => return Err(self.ended(None)),
                Ok(Some(fresh)) => fresh,
                Ok(None) => break,
                Err(error) => return Err(self.ended(Some(error))),
            };
            if let Some(connection) = self.arrived(fresh, now)? {
                return Ok(Some(connection));
            }
        }
        if self.refused.as_ref().is_some_and(|refused| now >= refused.until) {
            return Err(self.refusal());
        }
        Ok(None)
    }

    /// When `advance` must be called at the latest, below the deadline.
    pub(in crate::net) fn wake_at(&self) -> Option<Instant> {
        self.refused.as_ref().map(|refused| refused.until)
    }

    /// What to report when the whole deadline comes first: the refusal, if its head is there.
    pub(in crate::net) fn cut_short(&mut self) -> Option<Error> {
        self.refused.is_some().then(|| self.refusal())
    }

    pub(in crate::net) fn interests<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) {
        if let Some(stream) = &self.stream {
            let flags: PollFlags = stream.interest(true, self.sent < self.request.len());
            fds.push(PollFd::new(stream, flags));
        }
    }

    fn write_request(&mut self) -> Result<(), Error> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        while self.sent < self.request.len() {
            match stream.write(&self.request[self.sent..]) {
                Ok(0) => break,
                Ok(n) => self.sent += n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // A server may refuse and close before it has read everything: its answer says more.
                Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
                    self.sent = self.request.len();
                }
                Err(error) => return Err(self.lost(error_text(&error))),
            }
        }
        Ok(())
    }

    /// Reads once. `None`: nothing there.
    fn read(&mut self) -> io::Result<Option<usize>> {
        let Some(stream) = &mut self.stream else { return Ok(None) };
        let mut buf = [0; 4096];
        match stream.read(&mut buf) {
            Ok(n) => {
                self.received.extend_from_slice(&buf[..n]);
                Ok(Some(n))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Looks at what has come, of which the last `fresh` bytes are new.
    fn arrived(&mut self, fresh: usize, now: Instant) -> Result<Option<Connection>, Error> {
        if self.refused.is_some() {
            return if self.body_complete() { Err(self.refusal()) } else { Ok(None) };
        }
        // A head ends with a newline; a long one that comes in single bytes is not parsed for each of them.
        let start = self.received.len() - fresh;
        if start > 1024 && memchr::memchr(b'\n', &self.received[start..]).is_none() {
            return self.check_size().map(|()| None);
        }
        self.heads(now)
    }

    /// Takes the heads that are complete.
    fn heads(&mut self, now: Instant) -> Result<Option<Connection>, Error> {
        loop {
            match self.head()? {
                None => return Ok(None),
                Some(Head::Interim { len }) => {
                    self.skipped += len;
                    self.received.drain(..len);
                }
                Some(Head::Upgraded { subprotocol, len }) => return Ok(self.connection(subprotocol, len)),
                Some(Head::Refused { refusal, framing, len }) => {
                    self.received.drain(..len);
                    let followed = self.follow && is_redirect(refusal.status);
                    self.refused = Some(Refused { refusal, framing, until: now + BODY_WAIT });
                    return if followed || self.body_complete() { Err(self.refusal()) } else { Ok(None) };
                }
            }
        }
    }

    fn head(&self) -> Result<Option<Head>, Error> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let len = match response.parse(&self.received) {
            Ok(httparse::Status::Complete(len)) if self.skipped + len <= MAX_HEAD => len,
            Ok(httparse::Status::Complete(_)) => return Err(self.too_large()),
            Ok(httparse::Status::Partial) => return self.check_size().map(|()| None),
            Err(httparse::Error::TooManyHeaders) => {
                return Err(self.violation(format!("more than {MAX_HEADERS} headers in the response")));
            }
            Err(_) if self.received.starts_with(b"HTTP/") => {
                return Err(self.violation(String::from("malformed HTTP response head")));
            }
            Err(_) => {
                let start = &self.received[..self.received.len().min(48)];
                return Err(self.violation(format!("the answer is not HTTP: \"{}\"", excerpt(start))));
            }
        };
        let head = match response.code.unwrap_or_default() {
            101 => {
                if response.version != Some(1) {
                    return Err(self.violation(String::from("101 in HTTP/1.0")));
                }
                let subprotocol = self.check(response.headers).map_err(|why| self.violation(why))?;
                Head::Upgraded { subprotocol, len }
            }
            100..200 => Head::Interim { len },
            _ => {
                let (refusal, framing) = refused(&response);
                Head::Refused { refusal, framing, len }
            }
        };
        Ok(Some(head))
    }

    /// The checks of a 101 in RFC 6455 section 4.1, and of what may stand once only in section 11.3; gives the
    /// subprotocol.
    fn check(&self, headers: &[httparse::Header<'_>]) -> Result<Option<String>, String> {
        match values(headers, "Upgrade")[..] {
            [] => return Err(String::from("101 without Upgrade: websocket")),
            [one] if one.eq_ignore_ascii_case(b"websocket") => {}
            ref all => return Err(format!("101 with Upgrade: {}", list(all))),
        }
        if !has_token(headers, "Connection", "Upgrade") {
            return Err(String::from("101 without Connection: Upgrade"));
        }
        match values(headers, "Sec-WebSocket-Accept")[..] {
            [] => return Err(String::from("101 without Sec-WebSocket-Accept")),
            [one] if one == self.accept.as_bytes() => {}
            [_] => return Err(String::from("wrong Sec-WebSocket-Accept")),
            _ => return Err(String::from("more than one Sec-WebSocket-Accept")),
        }
        // None was asked for, and an empty list is malformed (section 9.1).
        let extensions = values(headers, "Sec-WebSocket-Extensions");
        if extensions.iter().any(|value| value.is_empty()) {
            return Err(String::from("an empty Sec-WebSocket-Extensions (RFC 6455 section 9.1)"));
        }
        if !extensions.is_empty() {
            let used = list(&extensions);
            return Err(format!("the server uses an extension that was not asked for: {used}"));
        }
        subprotocol(&self.offered, &values(headers, "Sec-WebSocket-Protocol"))
    }

    fn connection(&mut self, subprotocol: Option<String>, head_len: usize) -> Option<Connection> {
        let stream = self.stream.take()?;
        let read_ahead = self.received.split_off(head_len);
        if let Some(chosen) = &subprotocol {
            log::debug!("subprotocol {}", shortened(chosen));
        }
        let established = Established { subprotocol, peer: stream.peer() };
        Some(Connection::client(stream, read_ahead, self.max_message, established))
    }

    fn body_complete(&self) -> bool {
        let Some(refused) = &self.refused else { return false };
        match refused.framing {
            Framing::Length(len) => self.received.len() >= len.min(MAX_BODY),
            // Chunk lengths take room too, so that twice as much is enough unless someone plays with us.
            Framing::Chunked => self.received.len() >= 2 * MAX_BODY || dechunk(&self.received).1,
            Framing::ToEnd => self.received.len() >= MAX_BODY,
        }
    }

    fn refusal(&mut self) -> Error {
        let Some(refused) = self.refused.take() else {
            return self.lost(String::from("the answer is incomplete"));
        };
        let mut body = match refused.framing {
            Framing::Chunked => dechunk(&self.received).0,
            Framing::Length(len) => self.received[..self.received.len().min(len)].to_vec(),
            Framing::ToEnd => std::mem::take(&mut self.received),
        };
        body.truncate(MAX_BODY);
        log_body(body.trim_ascii_end());
        let refusal = Box::new(Refusal { body, ..refused.refusal });
        Error::Refused { peer: self.peer.clone(), refusal }
    }

    /// The stream came to its end, by an error or without.
    fn ended(&mut self, error: Option<io::Error>) -> Error {
        if self.refused.is_some() {
            return self.refusal();
        }
        // In TLS 1.3 a refused or missing client certificate shows only here (RFC 8446 section 4.4.2.4).
        if let Some(alert) = error.as_ref().and_then(alert) {
            return Error::Tls { peer: self.peer.clone(), why: alert.to_string(), clue: alert.clue() };
        }
        // What was not looked at for want of a newline.
        if let Err(error) = self.head() {
            return error;
        }
        match error {
            Some(error) => self.lost(error_text(&error)),
            None if self.received.is_empty() => {
                self.lost(String::from("the server closed it without an answer"))
            }
            None => self.lost(String::from("the server closed it within the response head")),
        }
    }

    fn check_size(&self) -> Result<(), Error> {
        if self.skipped + self.received.len() > MAX_HEAD { Err(self.too_large()) } else { Ok(()) }
    }

    fn too_large(&self) -> Error {
        self.violation(format!("the response head exceeds {} KiB", MAX_HEAD / 1024))
    }

    fn violation(&self, why: String) -> Error {
        let speaks_tls = !self.tls && matches!(self.received.first(), Some(0x15 | 0x16));
        Error::Violation { peer: self.peer.clone(), why, speaks_tls }
    }

    fn lost(&self, why: String) -> Error {
        Error::Lost { peer: self.peer.clone(), why }
    }
}

/// The body of a refusal, line by line.
fn log_body(body: &[u8]) {
    if body.is_empty() {
        return;
    }
    for line in body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end) {
        log::debug!("| {}", escape(line));
    }
}

/// The values of all headers called `name`, without the blanks around them.
fn values<'a>(headers: &'a [httparse::Header<'_>], name: &str) -> Vec<&'a [u8]> {
    let named = headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
    named.map(|header| header.value.trim_ascii()).collect()
}

/// Values for a message.
fn list(values: &[&[u8]]) -> String {
    excerpt(&values.join(&b", "[..]))
}

/// Which subprotocol it is (RFC 6455 section 4.1 point 6), by the values of all its headers. Brokers that answer
/// `mqtt` though asked for something else of MQTT's, or with a list, are let pass with a warning: a listed
/// deviation. An empty header names none: the API server of Kubernetes sends it where it chose none.
fn subprotocol(offered: &[String], chosen: &[&[u8]]) -> Result<Option<String>, String> {
    if chosen.iter().all(|value| value.is_empty()) {
        if !offered.is_empty() {
            let names: Vec<String> = offered.iter().map(|name| shortened(name)).collect();
            log::warn!("the server chose no subprotocol; offered: {}", names.join(", "));
        }
        return Ok(None);
    }
    let one = offered.iter().find(|name| *chosen == [name.as_bytes()]);
    if let Some(one) = one {
        return Ok(Some(one.clone()));
    }
    let list = list(chosen);
    let mut elements = chosen.iter().flat_map(|value| value.split(|byte| *byte == b','));
    let mqtt = offered.iter().any(|name| name.starts_with("mqtt"));
    if mqtt && elements.any(|name| name.trim_ascii().eq_ignore_ascii_case(b"mqtt")) {
        log::warn!("the server answered the subprotocol with \"{list}\"; taken as mqtt");
        return Ok(Some(String::from("mqtt")));
    }
    Err(format!("the server chose a subprotocol that was not offered: {list}"))
}

/// A subprotocol for a log line. Some servers take a token as one of them, and no name is that long.
fn shortened(name: &str) -> String {
    match name.char_indices().nth(LONGEST_NAME) {
        Some(_) => format!("{}...", escaped(&name.chars().take(8).collect::<String>())),
        None => escaped(name),
    }
}

fn escaped(text: &str) -> String {
    excerpt(text.as_bytes())
}

/// What a refusal says, but for its body.
pub(in crate::net) fn refused(response: &httparse::Response<'_, '_>) -> (Refusal, Framing) {
    let headers = &*response.headers;
    let value = |name: &str| {
        let header = headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        Some(String::from_utf8_lossy(header.value).trim().to_owned())
    };
    let status = response.code.unwrap_or_default();
    let framing = if status == 204 || status == 304 {
        Framing::Length(0)
    } else if has_token(headers, "Transfer-Encoding", "chunked") {
        Framing::Chunked
    } else {
        value("Content-Length").and_then(|text| text.parse().ok()).map_or(Framing::ToEnd, Framing::Length)
    };
    let refusal = Refusal {
        status,
        reason: response.reason.unwrap_or_default().to_owned(),
        location: value("Location"),
        retry_after: value("Retry-After"),
        www_authenticate: value("WWW-Authenticate"),
        body: Vec::new(),
    };
    (refusal, framing)
}

/// The payload of the chunks that are there, and whether the last one is (RFC 9112 section 7.1).
pub(in crate::net) fn dechunk(mut raw: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let (line, len) = match httparse::parse_chunk_size(raw) {
            Ok(httparse::Status::Complete((line, len))) => (line, usize::try_from(len).unwrap_or(usize::MAX)),
            Ok(httparse::Status::Partial) => return (body, false),
            // Not chunks at all: nothing more to wait for.
            Err(_) => return (body, true),
        };
        if len == 0 {
            return (body, true);
        }
        let rest = &raw[line..];
        let there = len.min(rest.len());
        body.extend_from_slice(&rest[..there]);
        match rest.get(there..).and_then(|rest| rest.strip_prefix(b"\r\n")) {
            Some(next) if there == len => raw = next,
            _ => return (body, false),
        }
    }
}

#[cfg(any(test, fuzzing))]
pub(in crate::net) mod drive;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
