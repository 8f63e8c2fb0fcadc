//! What leaves: a stream and the queue before it.

use std::io::{self, ErrorKind, Write};

use super::stream::{Stream, error_text};
use crate::proto::link::Lost;

/// A queue that grew beyond this many bytes gives its memory back when it is empty.
const KEEP_QUEUE: usize = 256 * 1024;

/// A stream with a queue for what the socket does not take at once. A large message to a slow reader costs
/// linear time: the rest stays where it is.
pub(super) struct Out {
    pub(super) stream: Stream,
    queue: Vec<u8>,
    /// How much of `queue` the kernel has.
    head: usize,
    /// The last write found the socket full.
    blocked: bool,
    /// Why writing failed. The queue is empty then.
    failed: Option<Lost>,
}

impl Out {
    pub(super) fn new(stream: Stream) -> Out {
        Out { stream, queue: Vec::new(), head: 0, blocked: false, failed: None }
    }

    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.queue.len() - self.head
    }

    #[inline(always)]
    pub(super) fn check(&self) -> Result<(), Lost> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    /// Writes the queue. True: it is empty.
    pub(super) fn drain(&mut self) -> Result<bool, Lost> {
        self.check()?;
        while self.head < self.queue.len() {
            match self.stream.write(&self.queue[self.head..]) {
                Ok(n) if n > 0 => self.head += n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.blocked = true;
                    return Ok(false);
                }
                other => return Err(self.fail(other)),
            }
        }
        self.blocked = false;
        self.head = 0;
        self.queue.clear();
        if self.queue.capacity() > KEEP_QUEUE {
            self.queue = Vec::new();
        }
        Ok(true)
    }

    /// Writes `buf` behind the queue and keeps what the socket does not take.
    pub(super) fn put(&mut self, buf: &[u8]) {
        let mut rest = buf;
        match self.drain() {
            Ok(true) => match self.stream.write(buf) {
                Ok(n) if n > 0 || buf.is_empty() => rest = &buf[n..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                other => {
                    self.fail(other);
                    return;
                }
            },
            Ok(false) => {}
            Err(_) => return,
        }
        self.append(rest);
    }

    /// Writes the queue where it is longer than `most`, and the socket was not found full by the last write: for
    /// that the next `drain` looks again. Failures are kept for `check`.
    #[inline(always)]
    pub(super) fn drain_if_above(&mut self, most: usize) {
        if self.len() > most && !self.blocked {
            let _ = self.drain();
        }
    }

    #[inline(always)]
    pub(super) fn append(&mut self, rest: &[u8]) {
        self.tail().extend_from_slice(rest);
    }

    /// The queue, to append to.
    #[inline(always)]
    pub(super) fn tail(&mut self) -> &mut Vec<u8> {
        // Moving the queue down is paid for by what has left.
        if self.head > self.queue.len() / 2 {
            self.queue.drain(..self.head);
            self.head = 0;
        }
        &mut self.queue
    }

    fn fail(&mut self, result: io::Result<usize>) -> Lost {
        let text = match result {
            Ok(_) => String::from("the socket takes nothing"),
            Err(error) => error_text(&error),
        };
        self.queue = Vec::new();
        self.head = 0;
        self.failed = Some(Lost::Io(text.clone()));
        Lost::Io(text)
    }
}
