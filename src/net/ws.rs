//! An established connection: WebSocket messages (RFC 6455) by tungstenite, or plain bytes for mqtt://.
//!
//! tungstenite is a sound frame layer with some edges that this module rounds off: errors become sticky and
//! are answered with Close, a payload is dropped before the next read, what is queued is counted, and its
//! out-buffer, which moves its whole rest after each partial write, never holds a rest. The frames that come by
//! the million take a short way past it: see `pipe`.

mod mask;
mod pipe;

use std::{
    fmt,
    io::ErrorKind,
    os::fd::{AsFd, BorrowedFd},
};

use tungstenite::{
    Message, WebSocket,
    error::{CapacityError, Error as WsError, ProtocolError},
    protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
};

use self::pipe::{Collected, Front, Pipe};
use super::{
    plain::Plain,
    stream::{self, Stream},
};
use crate::{
    proto::link::{Established, Kind, Lost, Received, Transmit},
    sys::PollFlags,
};

/// Bytes asked of the socket at once, for frames that take no short way. Each read zero-fills as much (0.4 us
/// here for 64 KiB; 128 KiB: 0.8 us), a TLS record holds 16 KiB, and the buffer stays resident: as much is fast for
/// bulk and small for a one-shot.
pub(super) const READ_BUFFER: usize = 32 * 1024;
/// Frames gather up to here before a write, unless flushed: DISCONNECT and Close leave in one.
pub(super) const WRITE_BUFFER: usize = 64 * 1024;
/// A frame header can announce any length and memory is reserved by it, so that a limit must exist.
const MAX_MESSAGE: usize = 1 << 30;
/// Frames after the peer's Close that one read discards before it calls the connection closed.
const MAX_DISCARDED: usize = 1000;
/// Largest control frame payload (RFC 6455 section 5.5).
const MAX_CONTROL: usize = 125;

/// What one read gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Read<'a> {
    /// Something arrived; there may be more without poll(2) knowing.
    Got(Received<'a>),
    /// A message larger than most, which has this buffer for itself: it may be taken, for another.
    Large(Kind, &'a mut Vec<u8>),
    /// Nothing more until the socket is ready.
    Blocked,
    /// The end; every further read says the same.
    Lost(Lost),
}

/// A connection that is up. Nothing here blocks.
#[derive(Debug)]
pub struct Connection {
    established: Established,
    layer: Layer,
    /// Bytes that the stream had taken before this connection began (the upgrade).
    base: u64,
    /// The receiving side is at its end. A failure of the sending side is kept apart, in `Out`: what the
    /// peer sent before it went can still be read.
    lost: Option<Lost>,
}

#[derive(Debug)]
enum Layer {
    WebSocket(Box<Framed>),
    Plain(Plain),
}

impl Connection {
    /// The client's side of a WebSocket, after its upgrade. `read_ahead` is what followed the response head;
    /// `max_message` in bytes, at most 1 GiB counts.
    pub(super) fn client(
        stream: Stream,
        read_ahead: Vec<u8>,
        max_message: usize,
        established: Established,
    ) -> Connection {
        let base = stream.written();
        let framed = Framed::new(stream, read_ahead, max_message, Role::Client);
        Connection::new(established, Layer::WebSocket(Box::new(framed)), base)
    }

    /// The server's side, after its upgrade: `read_ahead` is what followed the request head; `max_message`
    /// in bytes, at most 1 GiB counts.
    pub fn server(stream: Stream, read_ahead: Vec<u8>, max_message: usize) -> Connection {
        let established = Established { subprotocol: None, peer: stream.peer() };
        let base = stream.written();
        let framed = Framed::new(stream, read_ahead, max_message, Role::Server);
        Connection::new(established, Layer::WebSocket(Box::new(framed)), base)
    }

    /// A plain connection (mqtt://, mqtts://): the bytes as they are, as binary messages.
    pub(super) fn plain(stream: Stream, established: Established) -> Connection {
        let base = stream.written();
        Connection::new(established, Layer::Plain(Plain::new(stream)), base)
    }

    fn new(established: Established, layer: Layer, base: u64) -> Connection {
        Connection { established, layer, base, lost: None }
    }

    /// How it came to be.
    pub fn established(&self) -> &Established {
        &self.established
    }

    /// The next message or control frame that has arrived. Call until it says `Blocked`: bytes hide from
    /// poll(2) under TLS and in the frame buffer. Pings are answered by themselves (then `queued` is above
    /// zero until a flush), and so is the peer's Close.
    ///
    /// A Close code that no peer may send (1005, 1006, 999) is a violation.
    pub fn read(&mut self) -> Read<'_> {
        if let Some(lost) = &self.lost {
            return Read::Lost(lost.clone());
        }
        match &mut self.layer {
            Layer::WebSocket(framed) => framed.read(&mut self.lost),
            Layer::Plain(plain) => plain.read(&mut self.lost),
        }
    }

    /// Queues `what`, and may write some of it. That the socket is full is no error: the rest stays queued.
    /// A Ping above 125 bytes and a Close reason above 123 are cut (the reason between characters).
    ///
    /// Fails when an earlier or this write failed, and with `Lost::Closed` for data or a Ping after Close in
    /// either direction. A second Close is nothing.
    pub fn send(&mut self, what: Transmit) -> Result<(), Lost> {
        match &mut self.layer {
            Layer::WebSocket(framed) => framed.send(what),
            Layer::Plain(plain) => plain.send(what),
        }
    }

    /// Writes what is queued, answers to pings included. True: the kernel has it all. A failure is sticky.
    /// After a violation by the peer this still sends our Close.
    pub fn flush(&mut self) -> Result<bool, Lost> {
        match &mut self.layer {
            Layer::WebSocket(framed) => framed.flush(),
            Layer::Plain(plain) => plain.flush(),
        }
    }

    /// Begins a turn of reading: what has come by now is seen, and reads take at most `bytes` from the socket,
    /// after which they say `Blocked`; without this they are not limited. One read goes on as long as
    /// fragments of a message arrive, and a server has other clients.
    pub fn allow(&mut self, bytes: usize) {
        match &mut self.layer {
            Layer::WebSocket(framed) => framed.ws.get_mut().allowance = bytes,
            Layer::Plain(plain) => plain.allowance = bytes,
        }
        self.stream_mut().look_again();
    }

    /// Gives back a buffer like that of [`Read::Large`], for the next one.
    pub fn reuse(&mut self, buffer: Vec<u8>) {
        if let Layer::WebSocket(framed) = &mut self.layer {
            framed.ws.get_mut().reuse(buffer);
        }
    }

    /// Whether the last `Blocked` may have been for want of `allow` only.
    pub fn is_held(&self) -> bool {
        match &self.layer {
            Layer::WebSocket(framed) => framed.ws.get_ref().allowance == 0,
            Layer::Plain(plain) => plain.allowance == 0,
        }
    }

    /// Bytes queued in user space, frame headers included; 0 after a complete flush.
    pub fn queued(&self) -> usize {
        match &self.layer {
            Layer::WebSocket(framed) => framed.queued(),
            Layer::Plain(plain) => plain.out.len(),
        }
    }

    /// Bytes that the kernel took since the connection was made: frames with their headers, before TLS.
    pub fn sent(&self) -> u64 {
        self.stream().written() - self.base
    }

    /// Bytes that came, those of the HTTP head included; not only of whole messages.
    pub fn received(&self) -> u64 {
        self.stream().received()
    }

    /// What to poll the socket for. `read`: the caller wants what comes.
    pub fn interest(&self, read: bool) -> PollFlags {
        self.stream().interest(read && self.lost.is_none(), self.queued() > 0)
    }

    /// Whether poll(2) has told by `events` that a read can go on, or fail.
    pub fn is_readable(&self, events: PollFlags) -> bool {
        let other_than_write = !PollFlags::OUT;
        events.intersects(self.stream().interest(true, false) | other_than_write)
    }

    /// Ends the sending side, after Close or a loss: what is queued, TLS close_notify, shutdown(SHUT_WR).
    /// Best effort. False: call again when the socket is ready for `interest(false)`.
    pub fn finish(&mut self) -> bool {
        if matches!(self.flush(), Ok(false)) {
            return false;
        }
        self.stream_mut().finish()
    }

    fn stream(&self) -> &Stream {
        match &self.layer {
            Layer::WebSocket(framed) => &framed.ws.get_ref().out.stream,
            Layer::Plain(plain) => &plain.out.stream,
        }
    }

    fn stream_mut(&mut self) -> &mut Stream {
        match &mut self.layer {
            Layer::WebSocket(framed) => &mut framed.ws.get_mut().out.stream,
            Layer::Plain(plain) => &mut plain.out.stream,
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream().as_fd()
    }
}

/// tungstenite over a `Pipe`, with what it does not keep itself.
struct Framed {
    ws: WebSocket<Pipe>,
    role: Role,
    /// The largest message in bytes.
    limit: usize,
    /// The last message given out. Dropped before the next read: while a payload lives, the buffer that it
    /// is a slice of cannot be used again and reads shrink to one frame each.
    last: Option<Message>,
    /// Bytes of all frames handed to tungstenite, against `Pipe::accepted`.
    enqueued: u64,
}

impl Framed {
    fn new(stream: Stream, read_ahead: Vec<u8>, max_message: usize, role: Role) -> Framed {
        let limit = max_message.clamp(1, MAX_MESSAGE);
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(WRITE_BUFFER)
            .max_message_size(Some(limit))
            .max_frame_size(Some(limit));
        let pipe = Pipe::new(stream, read_ahead, role);
        let ws = WebSocket::from_raw_socket(pipe, role, Some(config));
        Framed { ws, role, limit, last: None, enqueued: 0 }
    }

    #[inline(always)]
    fn read(&mut self, sticky: &mut Option<Lost>) -> Read<'_> {
        self.last = None;
        // Whatever comes after the peer's Close is tungstenite's too.
        while self.ws.can_read() {
            match self.ws.get_mut().take(self.limit) {
                Front::Message(kind, range) => {
                    let payload = self.ws.get_ref().bytes(range);
                    return Read::Got(Received::Message(kind, payload));
                }
                Front::Other => break,
                Front::Partial if self.ws.get_mut().fill().is_err() => return Read::Blocked,
                Front::Partial => {}
            }
        }
        self.read_other(sticky)
    }

    /// What does not lie whole in the buffer: by tungstenite, where it is no large message.
    fn read_other(&mut self, sticky: &mut Option<Lost>) -> Read<'_> {
        if self.ws.can_read() {
            match self.ws.get_mut().collect(self.limit) {
                Collected::Whole(kind) => return Read::Large(kind, self.ws.get_mut().vessel()),
                Collected::Blocked => return Read::Blocked,
                Collected::NotUtf8 => {
                    let lost = self.fail(WsError::Utf8(String::new()));
                    return Read::Lost(sticky.insert(lost).clone());
                }
                Collected::Other => {}
            }
        }
        self.read_by_tungstenite(sticky)
    }

    fn read_by_tungstenite(&mut self, sticky: &mut Option<Lost>) -> Read<'_> {
        let mut discarded = 0;
        let message = loop {
            let active = self.ws.can_write();
            match self.ws.read() {
                Ok(message) => {
                    self.count_answer(&message, active);
                    let code = self.ws.get_ref().close_code.filter(|_| message.is_close());
                    if let Some(code) = code.filter(|code| !CloseCode::from(*code).is_allowed()) {
                        // The answer, 1002, is on its way. Its failure changes nothing.
                        let _ = self.ws.flush();
                        let text = format!("Close with the code {code}, which nobody may send");
                        return Read::Lost(sticky.insert(Lost::Violation(1002, text)).clone());
                    }
                    if let Message::Ping(payload) = &message {
                        // Behind our Close tungstenite is silent; only the peer's Close ends the duty (section
                        // 5.5.2).
                        if !active {
                            self.ws.get_mut().put_frame(0x8a, payload);
                        }
                        // The Pong goes before whatever is sent next, so that ends of frames can be counted.
                        // A failure is kept for the next flush.
                        let _ = self.ws.flush();
                    }
                    break message;
                }
                // Whatever follows the peer's Close is discarded (RFC 6455 section 1.4).
                Err(WsError::Protocol(ProtocolError::ReceivedAfterClosing)) if discarded < MAX_DISCARDED => {
                    discarded += 1;
                }
                Err(WsError::Io(error)) if error.kind() == ErrorKind::WouldBlock => return Read::Blocked,
                Err(error) => {
                    let lost = self.fail(error);
                    *sticky = Some(lost.clone());
                    return Read::Lost(lost);
                }
            }
        };
        match self.last.insert(message) {
            Message::Text(text) => Read::Got(Received::Message(Kind::Text, text.as_bytes())),
            Message::Binary(data) => Read::Got(Received::Message(Kind::Binary, data)),
            Message::Ping(data) => Read::Got(Received::Ping(data)),
            Message::Pong(data) => Read::Got(Received::Pong(data)),
            Message::Close(frame) => Read::Got(Received::Close(
                frame.as_ref().map(|frame| (u16::from(frame.code), frame.reason.as_str())),
            )),
            // read() gives whole messages only.
            Message::Frame(frame) => Read::Got(Received::Message(Kind::Binary, frame.payload())),
        }
    }

    /// tungstenite answers Ping and Close itself, at the next read, write or flush.
    fn count_answer(&mut self, message: &Message, active: bool) {
        let payload = match message {
            Message::Ping(data) => data.len(),
            Message::Close(frame) => frame.as_ref().map_or(0, |frame| 2 + frame.reason.len()),
            _ => return,
        };
        if active {
            self.enqueued += self.wire_len(payload);
        }
    }

    /// Turns an error into what the machine is told, and answers a violation with Close.
    fn fail(&mut self, error: WsError) -> Lost {
        let unsound = self.ws.get_ref().unsound;
        let (code, lost) = match error {
            WsError::Io(_) if unsound && !self.ws.can_read() => return Lost::Closed,
            WsError::Io(_) if unsound => {
                let text = String::from(
                    "a frame's length that is not in its shortest form, or has its highest bit set",
                );
                (CloseCode::Protocol, Lost::Violation(1002, text))
            }
            WsError::ConnectionClosed
            | WsError::AlreadyClosed
            | WsError::Protocol(ProtocolError::ReceivedAfterClosing) => return Lost::Closed,
            WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => return Lost::Eof,
            WsError::Io(error) => return Lost::Io(stream::error_text(&error)),
            WsError::Utf8(_) => {
                (CloseCode::Invalid, Lost::Violation(1007, String::from("text that is not UTF-8")))
            }
            WsError::Capacity(CapacityError::MessageTooLong { max_size, .. }) => {
                (CloseCode::Size, Lost::TooLarge(max_size))
            }
            WsError::Protocol(error) => (CloseCode::Protocol, Lost::Violation(1002, error.to_string())),
            other => (CloseCode::Protocol, Lost::Violation(1002, other.to_string())),
        };
        let reason = match &lost {
            Lost::Violation(_, text) => text.clone(),
            _ => String::from("message too large"),
        };
        // That Close cannot leave does not change what happened.
        let _ = self.close(code, &reason).and_then(|()| self.flush());
        lost
    }

    fn send(&mut self, what: Transmit) -> Result<(), Lost> {
        let (first, payload) = match what {
            Transmit::Data { kind, payload, first, last } => {
                let opcode = match (first, kind) {
                    (false, _) => 0,
                    (true, Kind::Text) => 1,
                    (true, Kind::Binary) => 2,
                };
                (opcode | if last { 0x80 } else { 0 }, payload)
            }
            Transmit::Ping(mut payload) => {
                payload.truncate(MAX_CONTROL);
                (0x89, payload)
            }
            Transmit::Close { code: Some(code), reason } => {
                return self.close(CloseCode::from(code), &reason);
            }
            Transmit::Close { code: None, .. } => return self.close_with(None),
        };
        self.ws.get_ref().out.check()?;
        if !self.ws.can_write() {
            return Err(Lost::Closed);
        }
        let pipe = self.ws.get_mut();
        pipe.put_frame(first, &payload);
        pipe.out.check()
    }

    fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), Lost> {
        let reason = cut(reason, MAX_CONTROL - 2);
        self.close_with(Some(CloseFrame { code, reason: reason.into() }))
    }

    fn close_with(&mut self, frame: Option<CloseFrame>) -> Result<(), Lost> {
        if !self.ws.can_write() {
            return Ok(());
        }
        let payload = frame.as_ref().map_or(0, |frame| 2 + frame.reason.len());
        self.enqueued += self.wire_len(payload);
        self.written(|ws| ws.close(frame))
    }

    fn flush(&mut self) -> Result<bool, Lost> {
        self.written(WebSocket::flush)?;
        let flushed = self.ws.get_mut().out.drain()?;
        if flushed {
            self.enqueued = self.ws.get_ref().accepted;
        }
        Ok(flushed)
    }

    /// Runs a write of tungstenite's. As a server it is at its end once it handed over the answer to Close.
    fn written(
        &mut self,
        write: impl FnOnce(&mut WebSocket<Pipe>) -> Result<(), WsError>,
    ) -> Result<(), Lost> {
        match write(&mut self.ws) {
            Ok(()) | Err(WsError::ConnectionClosed | WsError::AlreadyClosed) => self.ws.get_ref().out.check(),
            Err(WsError::Protocol(ProtocolError::SendAfterClosing)) => Err(Lost::Closed),
            Err(other) => Err(Lost::Io(other.to_string())),
        }
    }

    fn queued(&self) -> usize {
        let pipe = self.ws.get_ref();
        let gathered = self.enqueued.saturating_sub(pipe.accepted);
        pipe.out.len() + usize::try_from(gathered).unwrap_or(usize::MAX / 2)
    }

    /// The length of a frame on the wire (RFC 6455 section 5.2).
    fn wire_len(&self, payload: usize) -> u64 {
        let extended = match payload {
            0..=125 => 0,
            126..=0xffff => 2,
            _ => 8,
        };
        let mask = if self.role == Role::Client { 4 } else { 0 };
        2 + extended + mask + payload as u64
    }
}

impl fmt::Debug for Framed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Payloads may be secrets.
        f.debug_struct("Framed").field("role", &self.role).finish_non_exhaustive()
    }
}

/// At most `max` bytes of `text`, cut between characters.
fn cut(text: &str, max: usize) -> &str {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests;
