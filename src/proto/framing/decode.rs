//! Input to the pieces of messages.

use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr;
use std::collections::VecDeque;

use super::super::link::Kind;
use super::assemble::{Assembler, NotUtf8, Utf8};
use super::{Error, Framing, JSON_LINE, Piece, base64, json};

/// Cuts input into the messages to send.
///
/// Memory: what was pushed and not yet polled, and at most [`super::FRAGMENT`] bytes besides; in `json` a
/// whole line and its payload.
#[derive(Debug)]
pub struct Decoder {
    framing: Framing,
    kind: Kind,
    /// Pushed, and not begun.
    queue: VecDeque<Bytes>,
    /// The rest of what is being read.
    data: Bytes,
    /// In `line` and `null`: so many bytes of `data` are UTF-8, or it is not asked for.
    good: usize,
    /// What is wrong behind them.
    bad: Option<NotUtf8>,
    /// No more will be pushed.
    finished: bool,
    /// The end of the input was turned into the last message.
    ended: bool,
    /// How many records are complete.
    records: u64,
    message: Assembler,
    utf8: Utf8,
    /// In `length`: the length before the message, as far as it is here.
    prefix: BytesMut,
    /// In `length`: how many bytes of the message are to come, once that is known.
    remaining: Option<usize>,
    base64: base64::Line,
    /// In `json`: the line so far.
    line: BytesMut,
    pub(super) line_limit: usize,
    error: Option<Error>,
}

/// What reading on gave.
enum Step {
    /// A message in one piece.
    Only(Piece),
    /// A part was offered to the assembler, or something was skipped: look again.
    More,
    /// Push more.
    Wait,
}

impl Decoder {
    /// For input in `framing`, sent as `kind`; in `json` each message says its own.
    pub fn new(framing: Framing, kind: Kind) -> Decoder {
        Decoder {
            framing,
            kind,
            queue: VecDeque::new(),
            data: Bytes::new(),
            good: 0,
            bad: None,
            finished: false,
            ended: false,
            records: 0,
            message: Assembler::default(),
            utf8: Utf8::default(),
            prefix: BytesMut::new(),
            remaining: None,
            base64: base64::Line::default(),
            line: BytesMut::new(),
            line_limit: JSON_LINE,
            error: None,
        }
    }

    /// Takes the next bytes of the input. They are shared with the pieces, not copied, but for a record
    /// that has begun before or does not end in them.
    pub fn push(&mut self, data: Bytes) {
        if !data.is_empty() {
            self.queue.push_back(data);
        }
    }

    /// The input has ended: what is there of the last record counts without its separator.
    pub fn finish(&mut self) {
        self.finished = true;
    }

    /// The next piece; none before more is pushed, or behind the last one. After an error the same error
    /// again.
    #[inline]
    pub fn poll_piece(&mut self) -> Option<Result<Piece, Error>> {
        // The path that counts: a whole line, checked before, in one piece.
        if let Some(end) = self.short_line() {
            let piece = Piece { kind: self.kind, payload: self.data.split_to(end), first: true, last: true };
            self.data.advance(1);
            return Some(Ok(piece));
        }
        self.poll_any()
    }

    /// Lends a whole line that `poll_piece` would give next, short and in one piece: half the time for who only
    /// copies it. None says nothing about what `poll_piece` has.
    #[inline]
    pub fn lend_line<R>(&mut self, take: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let end = self.short_line()?;
        let taken = take(&self.data[..end]);
        self.data.advance(end + 1);
        Some(taken)
    }

    /// Nothing is held back: all that was pushed was given. A message that was begun and whose bytes so far
    /// were all given does not count, see [`Decoder::in_message`].
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
            && self.queue.is_empty()
            && !self.message.is_holding()
            && (self.framing != Framing::Chunk || self.utf8.cut().is_empty())
            && self.prefix.is_empty()
            && (self.remaining.is_none() || self.message.in_message())
            && self.base64.is_empty()
            && self.line.is_empty()
    }

    /// The first piece of a message was given and its last one not; stays so after an error inside of it.
    pub fn in_message(&self) -> bool {
        self.message.in_message()
    }

    /// Where the next line ends, if it is whole here, checked, and short.
    #[inline]
    fn short_line(&mut self) -> Option<usize> {
        if self.framing != Framing::Line || !self.message.is_empty() {
            return None;
        }
        let end = memchr(b'\n', &self.data)?;
        if end >= self.good || end > super::FRAGMENT {
            return None;
        }
        self.good -= end + 1;
        self.records += 1;
        Some(end)
    }

    #[inline(never)]
    fn poll_any(&mut self) -> Option<Result<Piece, Error>> {
        loop {
            if let Some(error) = &self.error {
                return Some(Err(error.clone()));
            }
            if let Some(piece) = self.message.poll(self.kind) {
                return Some(Ok(piece));
            }
            match self.step() {
                Ok(Step::Only(piece)) => return Some(Ok(piece)),
                Ok(Step::More) => {}
                Ok(Step::Wait) => return None,
                Err(error) => self.error = Some(error),
            }
        }
    }

    fn step(&mut self) -> Result<Step, Error> {
        if self.data.is_empty() {
            match self.queue.pop_front() {
                Some(data) => self.load(data),
                None if self.finished && !self.ended => {
                    self.ended = true;
                    return self.end();
                }
                None => return Ok(Step::Wait),
            }
        }
        match self.framing {
            Framing::Line => self.separated(b'\n'),
            Framing::Null => self.separated(0),
            Framing::Length => self.length(),
            Framing::Chunk => self.chunk(),
            Framing::Whole => {
                let part = std::mem::take(&mut self.data);
                self.part(part, false)
            }
            Framing::Base64 => self.base64(),
            Framing::Json => self.json(),
        }
    }

    /// Separators are never part of a sequence of UTF-8, so what was read can be checked all at once.
    fn load(&mut self, data: Bytes) {
        self.good = data.len();
        if self.kind == Kind::Text && matches!(self.framing, Framing::Line | Framing::Null) {
            if let Err(bad) = self.utf8.check(&data) {
                self.good = bad.good;
                self.bad = Some(bad);
            }
        }
        self.data = data;
    }

    fn separated(&mut self, separator: u8) -> Result<Step, Error> {
        let found = memchr(separator, &self.data);
        if let Some(bad) = &self.bad {
            // A separator behind the bad place, or none: the bad place is in this record.
            if found.is_none_or(|end| end >= self.good) {
                return Err(self.not_utf8(self.good, bad.before));
            }
        }
        let Some(end) = found else {
            let part = std::mem::take(&mut self.data);
            self.message.offer(part, false);
            return Ok(Step::More);
        };
        let part = self.data.split_to(end);
        self.data.advance(1);
        self.good -= end + 1;
        Ok(self.complete(part))
    }

    /// The last part of a message.
    fn complete(&mut self, part: Bytes) -> Step {
        self.records += 1;
        match self.message.only(self.kind, part) {
            Ok(piece) => Step::Only(piece),
            Err(part) => {
                self.message.offer(part, true);
                Step::More
            }
        }
    }

    /// A part of a message that is checked on its own.
    fn part(&mut self, part: Bytes, ends: bool) -> Result<Step, Error> {
        if self.kind == Kind::Text {
            let mut checked = self.utf8.check(&part);
            if ends && checked.is_ok() {
                checked = self.utf8.end().map_err(|bad| NotUtf8 { good: part.len(), ..bad });
            }
            checked.map_err(|bad| self.not_utf8(bad.good, bad.before))?;
        }
        if ends {
            return Ok(self.complete(part));
        }
        self.message.offer(part, false);
        Ok(Step::More)
    }

    fn not_utf8(&self, good: usize, before: usize) -> Error {
        let byte = (self.message.position() + good as u64).saturating_sub(before as u64) + 1;
        Error::Utf8 { framing: self.framing, record: self.records + 1, byte, mid: self.message.in_message() }
    }

    fn length(&mut self) -> Result<Step, Error> {
        let Some(remaining) = self.remaining else {
            let missing = 4 - self.prefix.len();
            self.prefix.extend_from_slice(&self.data.split_to(missing.min(self.data.len())));
            let Ok(prefix) = <[u8; 4]>::try_from(&self.prefix[..]) else { return Ok(Step::More) };
            self.prefix.clear();
            let length = u32::from_be_bytes(prefix) as usize;
            if length == 0 {
                return self.part(Bytes::new(), true);
            }
            self.remaining = Some(length);
            return Ok(Step::More);
        };
        let part = self.data.split_to(remaining.min(self.data.len()));
        let remaining = remaining - part.len();
        self.remaining = (remaining > 0).then_some(remaining);
        self.part(part, remaining == 0)
    }

    fn chunk(&mut self) -> Result<Step, Error> {
        let part = std::mem::take(&mut self.data);
        if self.kind == Kind::Binary {
            return Ok(self.complete(part));
        }
        // What the last one cut stands before this one, and what this one cuts waits for the next.
        let before = BytesMut::from(self.utf8.cut());
        if let Err(bad) = self.utf8.check(&part) {
            return Err(Error::Utf8 {
                framing: self.framing,
                record: self.records + 1,
                byte: (before.len() + bad.good - bad.before) as u64 + 1,
                mid: false,
            });
        }
        let cut = self.utf8.cut().len();
        if before.len() + part.len() == cut {
            return Ok(Step::More);
        }
        let part = part.slice(..part.len() - cut.min(part.len()));
        if before.is_empty() {
            return Ok(self.complete(part));
        }
        // At most three bytes: nothing of the message is given for them yet.
        self.message.offer(before.freeze(), false);
        let none = self.message.poll(self.kind);
        debug_assert!(none.is_none(), "three bytes make no piece");
        Ok(self.complete(part))
    }

    fn base64(&mut self) -> Result<Step, Error> {
        let found = memchr(b'\n', &self.data);
        let part = match found {
            Some(end) => {
                let part = self.data.split_to(end);
                self.data.advance(1);
                part
            }
            None => std::mem::take(&mut self.data),
        };
        self.base64_part(&part, found.is_some())
    }

    fn base64_part(&mut self, part: &[u8], ends: bool) -> Result<Step, Error> {
        let record = self.records + 1;
        let mid = self.message.in_message();
        let decoded = self.base64.decode(part, ends).map_err(|byte| Error::Base64 { record, byte, mid })?;
        self.part(Bytes::from(decoded), ends)
    }

    fn json(&mut self) -> Result<Step, Error> {
        let found = memchr(b'\n', &self.data);
        let part = self.data.split_to(found.unwrap_or(self.data.len()));
        if self.line.len() + part.len() > self.line_limit {
            let what = format!("longer than {} MiB", self.line_limit >> 20);
            return Err(Error::Json { record: self.records + 1, what });
        }
        if found.is_none() {
            self.line.extend_from_slice(&part);
            return Ok(Step::More);
        }
        self.data.advance(1);
        if self.line.is_empty() {
            return self.json_line(&part);
        }
        self.line.extend_from_slice(&part);
        // Taken, not kept: a long line's memory goes back.
        let line = std::mem::take(&mut self.line);
        self.json_line(&line.freeze())
    }

    fn json_line(&mut self, line: &Bytes) -> Result<Step, Error> {
        let decoded = json::decode(line).map_err(|what| Error::Json { record: self.records + 1, what })?;
        let Some((kind, payload)) = decoded else {
            self.records += 1;
            return Ok(Step::More);
        };
        self.kind = kind;
        Ok(self.complete(payload))
    }

    /// The end of the input.
    fn end(&mut self) -> Result<Step, Error> {
        let partial = !self.message.is_empty();
        match self.framing {
            Framing::Line | Framing::Null | Framing::Chunk if !partial && self.utf8.cut().is_empty() => {
                Ok(Step::Wait)
            }
            Framing::Line | Framing::Null | Framing::Whole => self.part(Bytes::new(), true),
            Framing::Chunk => {
                Err(Error::Utf8 { framing: self.framing, record: self.records + 1, byte: 1, mid: false })
            }
            Framing::Length => self.length_end(),
            Framing::Base64 if self.base64.is_empty() => Ok(Step::Wait),
            Framing::Base64 => self.base64_part(&[], true),
            Framing::Json => {
                let line = std::mem::take(&mut self.line);
                self.json_line(&line.freeze())
            }
        }
    }

    fn length_end(&self) -> Result<Step, Error> {
        let missing = match self.remaining {
            Some(remaining) => remaining,
            None if self.prefix.is_empty() => return Ok(Step::Wait),
            None => 4 - self.prefix.len(),
        };
        let mid = self.message.in_message();
        Err(Error::Length { record: self.records + 1, missing: missing as u64, mid })
    }

    /// For what the tests hold against it.
    #[cfg(test)]
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// How many bytes are held in buffers of our own.
    #[cfg(test)]
    pub fn held(&self) -> usize {
        self.message.held() + self.prefix.len() + self.line.len()
    }
}
