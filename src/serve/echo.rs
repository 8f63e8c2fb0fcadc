//! A WebSocket client being echoed.

use std::{
    net::SocketAddr,
    os::fd::{AsFd, BorrowedFd},
};

use bytes::Bytes;

use super::Limits;
use crate::{
    net::{Connection, Read},
    proto::{
        format::escape,
        link::{Kind, Lost, Received, Transmit},
    },
    sys::PollFlags,
};

/// Messages read in one turn.
const MESSAGES_A_TURN: usize = 256;
/// Bytes read from the socket in one turn.
const BYTES_A_TURN: usize = 128 << 10;

/// An upgraded connection.
pub struct Echo {
    connection: Connection,
    peer: SocketAddr,
    /// A large message on its way back; nothing is read until its last part is queued.
    pending: Option<Pending>,
    /// Our Close was sent: nothing is echoed any more.
    closing: bool,
    /// Nothing more is read; what is queued goes out, then our side is shut. Why, for the log.
    ending: Option<String>,
    messages: u64,
    bytes: u64,
}

/// A message on its way back in fragments.
struct Pending {
    kind: Kind,
    rest: Bytes,
    first: bool,
}

/// What a turn came to.
pub enum Progress {
    /// The connection goes on.
    Going,
    /// All that had to be said was said, and our side is shut. Why.
    Finished(String),
    /// The connection is broken. Why.
    Gone(String),
}

impl Echo {
    /// Begins where the upgrade ended.
    pub fn new(connection: Connection, peer: SocketAddr) -> Echo {
        Echo { connection, peer, pending: None, closing: false, ending: None, messages: 0, bytes: 0 }
    }

    /// Messages echoed, wholly or in part.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// Bytes in them.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes that wait to be sent.
    pub fn queued(&self) -> usize {
        self.connection.queued() + self.pending.as_ref().map_or(0, |pending| pending.rest.len())
    }

    /// The end has begun, on one side or the other.
    pub fn is_closing(&self) -> bool {
        self.closing || self.ending.is_some()
    }

    /// Whether a turn has something to do without poll(2).
    pub fn is_hungry(&self, readable: bool, limits: &Limits) -> bool {
        if self.ending.is_some() {
            return false;
        }
        (readable && self.wants_input(limits))
            || (self.pending.is_some() && self.connection.queued() <= limits.mark)
    }

    /// What to poll for.
    pub fn interest(&self, limits: &Limits) -> PollFlags {
        let flags = self.connection.interest(self.wants_input(limits));
        match self.ending {
            Some(_) => flags | PollFlags::OUT,
            None => flags,
        }
    }

    /// Sends Close 1001. What of a large message was not queued yet is dropped: Close may stand between
    /// fragments (RFC 6455 section 5.4).
    pub fn handle_stop(&mut self) {
        if self.is_closing() {
            return;
        }
        self.pending = None;
        self.closing = true;
        let reason = String::from("the server stops");
        // A failure shows at the next read.
        let _ = self.connection.send(Transmit::Close { code: Some(1001), reason });
    }

    /// Echoes for one turn. `readable` and `writable` say what the socket is good for, and are updated.
    pub fn turn(&mut self, readable: &mut bool, writable: &mut bool, limits: &Limits) -> Progress {
        let result = self.feed(limits).and_then(|()| self.read(readable, limits));
        let result = result.and_then(|()| self.feed(limits));
        if let Err(lost) = result {
            match self.handle_lost(lost) {
                Ok(why) => self.ending = Some(why),
                Err(gone) => return Progress::Gone(gone),
            }
        }
        self.flush(writable)
    }

    fn flush(&mut self, writable: &mut bool) -> Progress {
        match self.connection.flush() {
            Ok(true) => *writable = self.pending.is_some(),
            Ok(false) => {
                *writable = false;
                return Progress::Going;
            }
            Err(lost) => return Progress::Gone(describe(&lost)),
        }
        if let Some(why) = &self.ending {
            self.connection.finish();
            return Progress::Finished(why.clone());
        }
        Progress::Going
    }

    /// Nothing is read while much waits to be sent. After our Close nothing is echoed, so nothing adds to it.
    fn wants_input(&self, limits: &Limits) -> bool {
        self.ending.is_none()
            && (self.closing || self.pending.is_none() && self.connection.queued() <= limits.mark)
    }

    /// Queues parts of a large message up to the mark.
    fn feed(&mut self, limits: &Limits) -> Result<(), Lost> {
        while let Some(pending) = &mut self.pending {
            if self.connection.queued() > limits.mark {
                break;
            }
            let part = pending.rest.split_to(limits.part.min(pending.rest.len()));
            let last = pending.rest.is_empty();
            let frame = Transmit::Data { kind: pending.kind, payload: part, first: pending.first, last };
            pending.first = false;
            if last {
                self.pending = None;
            }
            self.connection.send(frame)?;
        }
        Ok(())
    }

    fn read(&mut self, readable: &mut bool, limits: &Limits) -> Result<(), Lost> {
        self.connection.allow(BYTES_A_TURN);
        for _ in 0..MESSAGES_A_TURN {
            if !*readable || !self.wants_input(limits) {
                break;
            }
            match self.connection.read() {
                Read::Got(Received::Message(..)) | Read::Large(..) if self.closing => {}
                Read::Got(Received::Message(kind, data)) => {
                    let data = Bytes::copy_from_slice(data);
                    self.take(kind, data, limits)?;
                }
                Read::Large(kind, data) => {
                    let data = Bytes::from(std::mem::take(data));
                    self.take(kind, data, limits)?;
                }
                // The Pong is queued, and asked for nothing.
                Read::Got(Received::Ping(_) | Received::Pong(_)) => {}
                Read::Got(Received::Close(close)) => self.ending = Some(describe_close(close)),
                // The allowance may be used up instead: then poll(2) says at once that there is more.
                Read::Blocked => *readable = false,
                Read::Lost(lost) => return Err(lost),
            }
        }
        Ok(())
    }

    fn take(&mut self, kind: Kind, data: Bytes, limits: &Limits) -> Result<(), Lost> {
        self.messages += 1;
        self.bytes += data.len() as u64;
        self.pending = Some(Pending { kind, rest: data, first: true });
        self.feed(limits)
    }

    /// The connection takes no more input: what to say at its end, or that nothing can be said.
    fn handle_lost(&mut self, lost: Lost) -> Result<String, String> {
        self.pending = None;
        let why = describe(&lost);
        match lost {
            Lost::Io(_) | Lost::Refused(_) => Err(why),
            // Half closed: what it asked for before is still due.
            Lost::Eof | Lost::Closed | Lost::Unanswered | Lost::Silent(_) => Ok(why),
            Lost::Violation(..) | Lost::TooLarge(_) => {
                log::debug!("{}: {why}", self.peer);
                Ok(why)
            }
        }
    }
}

impl AsFd for Echo {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.connection.as_fd()
    }
}

fn describe(lost: &Lost) -> String {
    match lost {
        // A server here waits for neither.
        Lost::Unanswered | Lost::Silent(_) => String::from("no answer"),
        Lost::Closed => String::from("closed"),
        Lost::Eof => String::from("end of stream without Close"),
        Lost::Io(text) | Lost::Refused(text) => text.clone(),
        Lost::Violation(code, text) => format!("protocol violation, Close {code}: {text}"),
        Lost::TooLarge(limit) => format!("message above {limit} bytes, Close 1009"),
    }
}

fn describe_close(close: Option<(u16, &str)>) -> String {
    match close {
        None => String::from("Close"),
        Some((code, "")) => format!("Close {code}"),
        Some((code, reason)) => format!("Close {code} {}", escape(reason.as_bytes())),
    }
}
