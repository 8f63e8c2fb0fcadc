//! From parts of a record to the pieces of a message, and the check of UTF-8 across them.

use bytes::{Bytes, BytesMut};

use super::super::link::Kind;
use super::{FRAGMENT, Piece};

/// In a message that has begun, a part from this size is given as it is; smaller ones are gathered, so that
/// input that dribbles in does not become a flood of tiny frames.
const DIRECT: usize = FRAGMENT / 4;

/// Turns parts of records into pieces of at most [`FRAGMENT`] bytes. Holds back at most so many bytes of
/// its own; a part that was offered is shared, not copied, where it need not be held.
#[derive(Debug, Default)]
pub struct Assembler {
    /// The beginning of a message, or the next bytes of one that has begun: at most [`FRAGMENT`].
    held: BytesMut,
    /// What was offered and not yet given or held; whether the message ends with it.
    offered: Option<(Bytes, bool)>,
    /// Pieces of the message were given, its last one not.
    begun: bool,
    /// How many bytes of it.
    given: u64,
}

impl Assembler {
    /// Takes a part of the message and whether the message ends with it. The one before must have been
    /// polled to the end.
    pub fn offer(&mut self, part: Bytes, ends: bool) {
        debug_assert!(self.offered.is_none(), "a part is waiting");
        self.offered = Some((part, ends));
    }

    /// A whole message whose last part is `part`, if that makes one piece: the short way.
    #[inline]
    pub fn only(&mut self, kind: Kind, part: Bytes) -> Result<Piece, Bytes> {
        if self.begun || !self.held.is_empty() || part.len() > FRAGMENT {
            return Err(part);
        }
        Ok(Piece { kind, payload: part, first: true, last: true })
    }

    /// The next piece, or none before the next part.
    pub fn poll(&mut self, kind: Kind) -> Option<Piece> {
        let (mut part, ends) = self.offered.take()?;
        let total = self.held.len() + part.len();
        if ends && total <= FRAGMENT {
            let payload = self.join(part);
            return Some(self.piece(kind, payload, true));
        }
        let gather = !self.begun || part.len() < DIRECT;
        if !ends && total <= FRAGMENT && gather {
            self.held.extend_from_slice(&part);
            return None;
        }
        let payload = if self.held.is_empty() {
            part.split_to(part.len().min(FRAGMENT))
        } else {
            self.held.split().freeze()
        };
        if ends || !part.is_empty() {
            self.offered = Some((part, ends));
        }
        Some(self.piece(kind, payload, false))
    }

    fn join(&mut self, part: Bytes) -> Bytes {
        if self.held.is_empty() {
            return part;
        }
        self.held.extend_from_slice(&part);
        self.held.split().freeze()
    }

    fn piece(&mut self, kind: Kind, payload: Bytes, last: bool) -> Piece {
        let first = !self.begun;
        self.begun = !last;
        self.given = if last { 0 } else { self.given + payload.len() as u64 };
        Piece { kind, payload, first, last }
    }

    /// Pieces of a message were given, its last one not.
    pub fn in_message(&self) -> bool {
        self.begun
    }

    /// Bytes of a message are held here.
    pub fn is_holding(&self) -> bool {
        !self.held.is_empty() || self.offered.is_some()
    }

    /// There is no part of a message here, and none was given without the end.
    #[inline]
    pub fn is_empty(&self) -> bool {
        !self.begun && !self.is_holding()
    }

    /// How many bytes of the message came before the next part.
    pub fn position(&self) -> u64 {
        self.given + self.held.len() as u64
    }

    /// How many bytes are held in a buffer of our own.
    #[cfg(test)]
    pub fn held(&self) -> usize {
        self.held.len()
    }
}

/// Text that is no UTF-8.
#[derive(Debug, PartialEq, Eq)]
pub struct NotUtf8 {
    /// So many bytes of the part are good.
    pub good: usize,
    /// So many bytes before the part belong to the sequence that is broken.
    pub before: usize,
}

/// The check of UTF-8 over parts that end where they like.
#[derive(Debug, Default)]
pub struct Utf8 {
    /// A sequence that the last part cut.
    cut: [u8; 4],
    len: usize,
}

impl Utf8 {
    /// Checks the next part; a sequence cut by its end is kept for the next one.
    pub fn check(&mut self, part: &[u8]) -> Result<(), NotUtf8> {
        let mut start = 0;
        let before = self.len;
        while self.len > 0 {
            let Some(&byte) = part.get(start) else { return Ok(()) };
            // A sequence of four bytes is either whole or broken: `len` is at most 3 here.
            self.cut[self.len] = byte;
            start += 1;
            match std::str::from_utf8(&self.cut[..=self.len]) {
                Ok(_) => self.len = 0,
                Err(e) if e.error_len().is_none() => self.len += 1,
                Err(_) => return Err(NotUtf8 { good: 0, before }),
            }
        }
        let rest = &part[start..];
        let Err(e) = std::str::from_utf8(rest) else { return Ok(()) };
        let good = e.valid_up_to();
        if e.error_len().is_some() {
            return Err(NotUtf8 { good: start + good, before: 0 });
        }
        // A cut sequence has at most three bytes.
        self.len = rest.len() - good;
        self.cut[..self.len].copy_from_slice(&rest[good..]);
        Ok(())
    }

    /// The text ends: an error if it does inside of a sequence.
    pub fn end(&mut self) -> Result<(), NotUtf8> {
        match std::mem::take(&mut self.len) {
            0 => Ok(()),
            before => Err(NotUtf8 { good: 0, before }),
        }
    }

    /// The sequence that the last part cut, up to three bytes.
    pub fn cut(&self) -> &[u8] {
        &self.cut[..self.len]
    }
}
