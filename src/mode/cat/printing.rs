//! What `cat` prints: messages as records, the large ones without a copy.

use std::{mem, time::Instant};

use log::warn;

use super::{
    super::{Failure, Kind, OutBuffer},
    Cat,
};
use crate::proto::{
    framing::{Framing, Refused, Warning},
    link,
};

/// After a signal, what comes above this many bytes that wait for stdout is dropped.
const STOPPED_MARK: usize = 256 * 1024;

/// Bytes that wait for stdout, and a large message among them in the buffer that it came in.
#[derive(Default)]
pub(super) struct Printed {
    /// What came before the message that was adopted: it goes first.
    older: OutBuffer,
    /// That message and what came after it, or just what came.
    out: OutBuffer,
    /// `out` has a buffer that was adopted, to be given back.
    adopted: bool,
    spare: Vec<u8>,
}

impl Printed {
    /// What goes next: all of it, but for what an adopted message is ahead of.
    #[inline(always)]
    pub(super) fn pending(&self) -> &[u8] {
        let older = self.older.pending();
        if older.is_empty() { self.out.pending() } else { older }
    }

    /// A large message waits behind what goes next.
    #[inline(always)]
    pub(super) fn is_full(&self) -> bool {
        !self.older.pending().is_empty()
    }

    /// Bytes in all.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.older.pending().len() + self.out.pending().len()
    }

    #[inline(always)]
    pub(super) fn tail(&mut self) -> &mut Vec<u8> {
        self.out.tail()
    }

    pub(super) fn written(&mut self, n: usize) {
        if !self.older.pending().is_empty() {
            if n < self.older.pending().len() {
                return self.older.written(n);
            }
            // It may be an earlier message's.
            self.spare = mem::take(&mut self.older).data;
            return;
        }
        let last = n == self.out.pending().len();
        if last && mem::take(&mut self.adopted) {
            self.spare = mem::take(&mut self.out).data;
        } else {
            self.out.written(n);
        }
    }

    pub(super) fn discard(&mut self) {
        *self = Printed::default();
    }

    /// The buffer of a message, once that is written.
    pub(super) fn take_spare(&mut self) -> Vec<u8> {
        mem::take(&mut self.spare)
    }

    /// Appends a message by taking its buffer; by a copy where something waits ahead of one that was adopted before.
    fn adopt(&mut self, message: &mut Vec<u8>) {
        if !self.older.pending().is_empty() || (self.adopted && !self.out.pending().is_empty()) {
            return self.out.push(message);
        }
        self.older = mem::take(&mut self.out);
        self.out = OutBuffer { data: mem::take(message), start: 0 };
        self.adopted = true;
    }
}

impl Cat {
    /// Prints a message without a copy of it, where the record shows it as it is.
    pub(super) fn handle_large_message(&mut self, kind: link::Kind, message: &mut Vec<u8>, now: Instant) {
        let plain = !self.options.echo && self.encoder.is_plain();
        if !plain {
            return self.handle_message(kind, message, now);
        }
        if !self.is_printing() {
            return;
        }
        let around = match self.encoder.around(message) {
            Ok(around) => around,
            Err(refused) => return self.refuse(&refused),
        };
        self.warn_once(around.warning);
        self.count(message, now);
        let before = around.before.as_ref().map_or(&[][..], |length| length);
        self.out.tail().extend_from_slice(before);
        self.out.adopt(message);
        self.out.tail().extend_from_slice(around.behind.as_slice());
    }

    /// Appends to the output; false where nothing more is to be printed.
    #[inline(always)]
    pub(super) fn print(&mut self, kind: link::Kind, payload: &[u8], now: Instant) -> bool {
        if !self.is_printing() {
            return false;
        }
        // Only JSON tells the time.
        let time = if self.options.output == Framing::Json { self.micros(now) } else { 0 };
        match self.encoder.message(self.out.tail(), kind, payload, time) {
            Ok(warning) => self.warn_once(warning),
            Err(refused) => {
                self.refuse(&refused);
                return false;
            }
        }
        true
    }

    /// Whether messages are printed still.
    #[inline(always)]
    fn is_printing(&mut self) -> bool {
        let done = self.met && (self.options.count.is_some() || self.options.until.is_some());
        // After a signal the loop reads on whatever stdout does, for the peer's Close.
        let full = self.stopped && self.out.len() >= STOPPED_MARK;
        self.dropped += u64::from(full && !done);
        let refused = self.failure.as_ref().is_some_and(|f| f.kind == Kind::Refused);
        !(done || full || self.output_gone || refused)
    }

    #[inline(always)]
    fn warn_once(&self, warning: Option<Warning>) {
        if let Some(warning) = warning {
            warn!("{}: {warning}", self.url);
        }
    }

    fn refuse(&mut self, refused: &Refused) {
        let text = format!("{}: message {}: {refused}", self.url, self.received + 1);
        self.fail(Failure::new(Kind::Refused, text), 1000, "");
    }
}

#[cfg(test)]
mod tests;
