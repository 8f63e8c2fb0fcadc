//! mqtt:// and mqtts://: the bytes as they are.

use std::{
    fmt,
    io::{ErrorKind, Read as _},
};

use super::{
    out::Out,
    stream::{Stream, alert, error_text},
    ws::{READ_BUFFER, Read, WRITE_BUFFER},
};
use crate::proto::link::{Kind, Lost, Received, Transmit};

/// Bytes asked of the socket at once, until a read fills them: a one-shot gets no more, and touches fewer pages.
const FIRST_READ: usize = 4 * 1024;

/// A connection without frames: whatever a read gives is a binary message.
pub(super) struct Plain {
    pub(super) out: Out,
    buffer: Vec<u8>,
    /// The last read filled it: there is more than a few packets.
    filled: bool,
    /// Bytes that reads may still take from the socket.
    pub(super) allowance: usize,
    /// Close was sent: the sending side ends when the queue is empty.
    closing: bool,
}

impl Plain {
    pub(super) fn new(stream: Stream) -> Plain {
        let buffer = vec![0; FIRST_READ];
        Plain { out: Out::new(stream), buffer, filled: false, allowance: usize::MAX, closing: false }
    }

    pub(super) fn read(&mut self, sticky: &mut Option<Lost>) -> Read<'_> {
        if self.allowance == 0 {
            return Read::Blocked;
        }
        if self.filled {
            self.buffer.resize(READ_BUFFER, 0);
        }
        let most = self.buffer.len().min(self.allowance);
        let lost = match self.out.stream.read(&mut self.buffer[..most]) {
            Ok(0) if self.closing => Lost::Closed,
            Ok(0) => Lost::Eof,
            Ok(n) => {
                self.allowance -= n;
                self.filled = n == self.buffer.len();
                return Read::Got(Received::Message(Kind::Binary, &self.buffer[..n]));
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Read::Blocked,
            // Some brokers reset the connection in answer to DISCONNECT.
            Err(error)
                if error.kind() == ErrorKind::ConnectionReset && self.closing && self.out.len() == 0 =>
            {
                Lost::Closed
            }
            Err(error) => match alert(&error).filter(|alert| alert.is_about_us()) {
                Some(alert) => Lost::Refused(alert.with_hint()),
                None => Lost::Io(error_text(&error)),
            },
        };
        *sticky = Some(lost.clone());
        Read::Lost(lost)
    }

    pub(super) fn send(&mut self, what: Transmit) -> Result<(), Lost> {
        self.out.check()?;
        match what {
            Transmit::Data { .. } if self.closing => return Err(Lost::Closed),
            // As with frames, packets gather until a flush and leave in one write.
            Transmit::Data { payload, .. } if self.out.len() + payload.len() <= WRITE_BUFFER => {
                self.out.append(&payload);
            }
            Transmit::Data { payload, .. } => self.out.put(&payload),
            // There is no such thing outside WebSocket.
            Transmit::Ping(_) => {}
            Transmit::Close { .. } => self.closing = true,
        }
        self.out.check()
    }

    pub(super) fn flush(&mut self) -> Result<bool, Lost> {
        let flushed = self.out.drain()?;
        if flushed && self.closing {
            self.out.stream.finish();
        }
        Ok(flushed)
    }
}

impl fmt::Debug for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plain").field("queued", &self.out.len()).finish_non_exhaustive()
    }
}
