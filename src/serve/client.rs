//! One client, from accept to the end of its connection.
//!
//! ```text
//! Head --request--> Answer --101 sent--> Open --Close both ways, end, violation--> Drain
//!   |                 |                    |                                         |
//!   |                 +--refusal sent------|--------------------------------> Drain  |
//!   +------ gone, or a limit of time ------+------------ gone ---> Over <--EOF, 5 s--+
//! ```
//!
//! `Drain` reads and drops what the client still sends: closing a socket with unread bytes makes the kernel
//! reset the connection, and the client might lose our last words.

use std::{
    io::{self, Read, Write},
    mem,
    net::{Shutdown, SocketAddr, TcpStream},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Instant,
};

use super::{
    Limits,
    echo::{Echo, Progress},
};
use crate::{
    net::{
        Connection,
        stream::{Stream, error_text},
        upgrade::{self, Refuse, Request},
    },
    proto::format::escape,
    sys::PollFlags,
};

/// Reads of a head, or of what is dropped, in one turn.
const READS_A_TURN: usize = 16;

/// A connection and what it is about.
pub struct Client {
    peer: SocketAddr,
    state: State,
    /// When the state ends, polite or not.
    deadline: Option<Instant>,
    /// The last read did not end in "would block".
    readable: bool,
    /// Nor did the last write.
    writable: bool,
    /// Had its upgrade.
    served: bool,
    messages: u64,
    bytes: u64,
    /// Why it ended, for the log.
    end: String,
}

enum State {
    /// The request head is coming in.
    Head { socket: TcpStream, head: Head },
    /// The HTTP response is going out.
    Answer { socket: TcpStream, response: Vec<u8>, then: Then },
    /// WebSocket.
    Open(Box<Echo>),
    /// Our side is shut; what the client sends is dropped.
    Drain { socket: OwnedFd },
    /// Nothing left.
    Over,
}

/// What follows a response.
enum Then {
    /// WebSocket, beginning with these bytes that came with the request.
    Open(Vec<u8>),
    /// The end.
    Refused,
}

/// The bytes of a request head so far.
#[derive(Default)]
struct Head {
    bytes: Vec<u8>,
    /// How many of them were parsed in vain.
    parsed: usize,
}

impl Head {
    /// Whether parsing is worth it: the head may end in what is new, or there is twice as much as last time.
    /// A head that comes byte by byte would otherwise cost its length squared.
    fn is_due(&self) -> bool {
        let new = &self.bytes[self.parsed.saturating_sub(3)..];
        self.bytes.len() >= 2 * self.parsed || [&b"\n\r\n"[..], b"\n\n"].iter().any(|end| contains(new, end))
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}

impl Client {
    /// A connection just accepted.
    pub fn new(socket: TcpStream, peer: SocketAddr, now: Instant, limits: &Limits) -> io::Result<Client> {
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        // A client that vanished without a word must not hold its place for ever.
        rustix::net::sockopt::set_socket_keepalive(&socket, true)?;
        log::debug!("{peer}: connected");
        Ok(Client {
            peer,
            state: State::Head { socket, head: Head::default() },
            deadline: Some(now + limits.head_time),
            readable: true,
            writable: true,
            served: false,
            messages: 0,
            bytes: 0,
            end: String::new(),
        })
    }

    /// Nothing is left to do.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Whether it had its upgrade.
    pub fn was_served(&self) -> bool {
        self.served
    }

    /// Messages echoed.
    pub fn messages(&self) -> u64 {
        match &self.state {
            State::Open(echo) => echo.messages(),
            _ => self.messages,
        }
    }

    /// When a limit of time ends the present state.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Bytes that wait to be sent.
    pub fn queued(&self) -> usize {
        match &self.state {
            State::Answer { response, .. } => response.len(),
            State::Open(echo) => echo.queued(),
            _ => 0,
        }
    }

    /// The next turn has something to do without poll(2).
    pub fn is_hungry(&self, limits: &Limits) -> bool {
        match &self.state {
            State::Head { .. } | State::Drain { .. } => self.readable,
            State::Answer { .. } => self.writable,
            State::Open(echo) => echo.is_hungry(self.readable, limits),
            State::Over => false,
        }
    }

    /// What to poll for; nothing where nothing is wanted.
    pub fn interest(&self, limits: &Limits) -> Option<(BorrowedFd<'_>, PollFlags)> {
        let (descriptor, flags) = match &self.state {
            State::Head { socket, .. } => (socket.as_fd(), PollFlags::IN),
            State::Answer { socket, .. } => (socket.as_fd(), PollFlags::OUT),
            State::Open(echo) => (echo.as_fd(), echo.interest(limits)),
            State::Drain { socket } => (socket.as_fd(), PollFlags::IN),
            State::Over => return None,
        };
        (!flags.is_empty()).then_some((descriptor, flags))
    }

    /// poll(2) reported `flags`.
    pub fn handle_ready(&mut self, flags: PollFlags) {
        // An error or a hang-up shows in whatever is tried next.
        self.readable |= flags.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR);
        self.writable |= flags.intersects(PollFlags::OUT | PollFlags::HUP | PollFlags::ERR);
    }

    /// The server stops: Close 1001, or the end for who is no WebSocket client yet.
    pub fn handle_stop(&mut self, now: Instant, limits: &Limits) {
        match &mut self.state {
            State::Open(echo) => {
                echo.handle_stop();
                self.deadline = Some(now + limits.stop_time);
                self.writable = true;
            }
            State::Drain { .. } => {}
            _ => self.end("the server stops"),
        }
    }

    /// Does what can be done at `now`, a bounded amount. `target` is the path that upgrades.
    pub fn turn(&mut self, now: Instant, target: &str, limits: &Limits) {
        if self.deadline.is_some_and(|at| at <= now) {
            self.handle_timeout(now, limits);
        }
        self.turn_head(now, target, limits);
        self.turn_answer(limits);
        self.turn_open(now, limits);
        self.turn_drain();
    }

    /// Logs the end.
    pub fn say_left(&self) {
        let why = if self.end.is_empty() { "cut off" } else { &self.end };
        log::debug!("{}: left ({why}); messages {}, bytes {}", self.peer, self.messages(), self.bytes);
    }

    fn end(&mut self, why: impl Into<String>) {
        if self.end.is_empty() {
            self.end = why.into();
        }
        self.state = State::Over;
        self.deadline = None;
    }

    fn handle_timeout(&mut self, now: Instant, limits: &Limits) {
        match &self.state {
            State::Head { .. } => {
                let seconds = limits.head_time.as_secs_f64();
                let text = format!("no whole request head within {seconds} s");
                self.refuse(plain_response("408 Request Timeout", &text), &text, now, limits);
            }
            State::Answer { .. } => self.end("timed out: the response was not taken"),
            State::Open(_) => self.end("timed out closing"),
            State::Drain { .. } | State::Over => self.end("timed out closing"),
        }
    }

    fn turn_head(&mut self, now: Instant, target: &str, limits: &Limits) {
        for _ in 0..READS_A_TURN {
            let State::Head { socket, head } = &mut self.state else { return };
            if !self.readable {
                return;
            }
            let mut chunk = [0; 4096];
            match socket.read(&mut chunk) {
                Ok(0) => return self.end("end of stream before a request"),
                Ok(n) => head.bytes.extend_from_slice(&chunk[..n]),
                Err(error) => return self.handle_read_error(&error),
            }
            if !head.is_due() && head.bytes.len() < limits.head {
                continue;
            }
            head.parsed = head.bytes.len();
            match upgrade::parse_request(&head.bytes) {
                Ok(Some(request)) => self.handle_request(&request, target, now, limits),
                Ok(None) if head.bytes.len() < limits.head => {}
                Ok(None) => self.handle_refusal(Refuse::TooLarge, now, limits),
                Err(refuse) => self.handle_refusal(refuse, now, limits),
            }
        }
    }

    fn handle_read_error(&mut self, error: &io::Error) {
        match error.kind() {
            io::ErrorKind::WouldBlock => self.readable = false,
            io::ErrorKind::Interrupted => {}
            _ => self.end(error_text(error)),
        }
    }

    /// A valid request: 101 where the path is ours, 404 elsewhere.
    fn handle_request(&mut self, request: &Request, target: &str, now: Instant, limits: &Limits) {
        let right = path(target);
        if right != "/" && request.path() != right {
            let text = format!("WebSocket is at {right} here");
            let why = format!("404 for {}", escape(request.path().as_bytes()));
            return self.refuse(plain_response("404 Not Found", &text), &why, now, limits);
        }
        // Whatever the client speaks, it gets it back: any subprotocol will do.
        let subprotocol = request.subprotocols.first().map(String::as_str);
        if let Some(name) = subprotocol {
            log::debug!(
                "{}: subprotocol {} of {} offered",
                self.peer,
                escape(name.as_bytes()),
                request.subprotocols.len()
            );
        }
        let response = upgrade::response(Ok((request, subprotocol)));
        if let State::Head { socket, mut head } = mem::replace(&mut self.state, State::Over) {
            let then = Then::Open(head.bytes.split_off(request.head_len));
            self.state = State::Answer { socket, response, then };
        }
    }

    /// No valid request.
    fn handle_refusal(&mut self, refuse: Refuse, now: Instant, limits: &Limits) {
        if matches!(&self.state, State::Head { head, .. } if head.bytes.starts_with(b"\x16\x03")) {
            // Its reader expects a TLS record: an HTTP response would only puzzle it.
            log::info!("{}: a TLS handshake; this server is ws:// only", self.peer);
            return self.end("TLS");
        }
        let response = upgrade::response(Err(refuse));
        let line = response.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let why = escape(line.strip_prefix(b"HTTP/1.1 ").unwrap_or(line));
        self.refuse(response, &why, now, limits);
    }

    fn refuse(&mut self, response: Vec<u8>, why: &str, now: Instant, limits: &Limits) {
        self.end = format!("refused: {why}");
        self.deadline = Some(now + limits.close_time);
        if let State::Head { socket, .. } = mem::replace(&mut self.state, State::Over) {
            self.state = State::Answer { socket, response, then: Then::Refused };
        }
    }

    fn turn_answer(&mut self, limits: &Limits) {
        while let State::Answer { socket, response, .. } = &mut self.state {
            if !self.writable || response.is_empty() {
                break;
            }
            match socket.write(response) {
                Ok(n) => drop(response.drain(..n)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.end(error_text(&error)),
            }
        }
        if !matches!(&self.state, State::Answer { response, .. } if response.is_empty()) {
            return;
        }
        let State::Answer { socket, then, .. } = mem::replace(&mut self.state, State::Over) else { return };
        self.readable = true;
        match then {
            Then::Open(ahead) => {
                self.served = true;
                self.deadline = None;
                let connection = Connection::server(Stream::plain(socket), ahead, limits.message);
                self.state = State::Open(Box::new(Echo::new(connection, self.peer)));
            }
            Then::Refused => {
                // It fails where the client is gone; reading tells that too.
                let _ = socket.shutdown(Shutdown::Write);
                self.state = State::Drain { socket: socket.into() };
            }
        }
    }

    fn turn_open(&mut self, now: Instant, limits: &Limits) {
        let State::Open(echo) = &mut self.state else { return };
        if !self.writable && !echo.is_hungry(self.readable, limits) {
            return;
        }
        let progress = echo.turn(&mut self.readable, &mut self.writable, limits);
        if echo.is_closing() && self.deadline.is_none() {
            self.deadline = Some(now + limits.close_time);
        }
        (self.messages, self.bytes) = (echo.messages(), echo.bytes());
        match progress {
            Progress::Going => {}
            Progress::Gone(why) => self.end(why),
            Progress::Finished(why) => {
                self.end = why;
                self.readable = true;
                // The buffers go with the connection, the socket stays a little longer.
                match echo.as_fd().try_clone_to_owned() {
                    Ok(socket) => self.state = State::Drain { socket },
                    Err(_) => self.state = State::Over,
                }
            }
        }
    }

    fn turn_drain(&mut self) {
        for _ in 0..READS_A_TURN {
            let State::Drain { socket } = &self.state else { return };
            if !self.readable {
                return;
            }
            let mut dropped = [0; 16 << 10];
            match rustix::io::read(socket, &mut dropped) {
                Ok(0) => self.end("closed"),
                Ok(_) => {}
                Err(error) => self.handle_read_error(&error.into()),
            }
        }
    }
}

/// A target without its query.
fn path(target: &str) -> &str {
    target.split('?').next().unwrap_or_default()
}

/// A refusal that `net::upgrade` does not know, with a line of text for whoever looks with curl.
fn plain_response(status: &str, text: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {}\r\n\r\n{text}\n",
        text.len() + 1
    )
    .into_bytes()
}
