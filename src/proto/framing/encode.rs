//! Received messages to records of the output.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use memchr::memchr;

use super::super::format;
use super::super::link::Kind;
use super::{Framing, Refused, Warning, json};

/// A control frame that arrived, for output that can tell of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control<'a> {
    /// A Ping and its payload.
    Ping(&'a [u8]),
    /// A Pong and its payload.
    Pong(&'a [u8]),
    /// A Close, with its code and reason where it had them.
    Close(Option<(u16, &'a str)>),
}

/// What makes a record of a payload that stands in it as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Around {
    /// The length.
    pub before: Option<[u8; 4]>,
    /// The separator.
    pub behind: Option<u8>,
    /// Worth a line on stderr.
    pub warning: Option<Warning>,
}

/// Appends messages to a buffer, each as one record.
#[derive(Debug)]
pub struct Encoder {
    framing: Framing,
    escape: bool,
    strict: bool,
    warned: bool,
}

impl Encoder {
    /// `escape`: the output is a terminal, and control bytes are written as text. In `line` and `null` a
    /// message then holds no separator any more; in `chunk` and `whole` newlines and tabs stay.
    /// `strict`: refuse a message with the separator inside, at a terminal too.
    pub fn new(framing: Framing, escape: bool, strict: bool) -> Encoder {
        Encoder { framing, escape, strict, warned: false }
    }

    /// Appends a message; `time` in microseconds since 1970 (UTC) is when it came. A refused message leaves
    /// `out` as it was.
    #[inline]
    pub fn message(
        &mut self,
        out: &mut Vec<u8>,
        kind: Kind,
        payload: &[u8],
        time: u64,
    ) -> Result<Option<Warning>, Refused> {
        if self.framing == Framing::Line && !self.escape {
            return self.separated(out, payload, b'\n');
        }
        self.other(out, kind, payload, time)
    }

    /// Whether a record holds the payload as it is.
    pub fn is_plain(&self) -> bool {
        match self.framing {
            Framing::Line | Framing::Null | Framing::Length | Framing::Chunk | Framing::Whole => !self.escape,
            Framing::Base64 | Framing::Json => false,
        }
    }

    /// The rest of a record, for a payload that need not be copied: as `message` would do it where `is_plain`.
    pub fn around(&mut self, payload: &[u8]) -> Result<Around, Refused> {
        let separated = |separator, warning| Around { behind: Some(separator), warning, before: None };
        match self.framing {
            Framing::Line => Ok(separated(b'\n', self.check(payload, b'\n')?)),
            Framing::Null => Ok(separated(0, self.check(payload, 0)?)),
            Framing::Length => Ok(Around { before: Some(length(payload)?), ..Around::default() }),
            Framing::Chunk | Framing::Whole | Framing::Base64 | Framing::Json => Ok(Around::default()),
        }
    }

    /// Appends a control frame in `json`; nothing in the other framings.
    pub fn control(&mut self, out: &mut Vec<u8>, control: Control<'_>, time: u64) {
        if self.framing != Framing::Json {
            return;
        }
        let (name, body) = match control {
            Control::Ping(payload) => ("ping", json::Body::Payload(payload)),
            Control::Pong(payload) => ("pong", json::Body::Payload(payload)),
            Control::Close(reason) => ("close", json::Body::Reason(reason)),
        };
        json::encode(out, name, body, time, self.escape);
    }

    fn other(
        &mut self,
        out: &mut Vec<u8>,
        kind: Kind,
        payload: &[u8],
        time: u64,
    ) -> Result<Option<Warning>, Refused> {
        match self.framing {
            Framing::Line => return self.separated(out, payload, b'\n'),
            Framing::Null => return self.separated(out, payload, 0),
            Framing::Length => {
                let length = length(payload)?;
                if self.escape {
                    out.extend_from_slice(format::escape(&length).as_bytes());
                    out.extend_from_slice(format::escape(payload).as_bytes());
                } else {
                    out.extend_from_slice(&length);
                    out.extend_from_slice(payload);
                }
            }
            Framing::Chunk | Framing::Whole if self.escape => escape_lines(out, payload),
            Framing::Chunk | Framing::Whole => out.extend_from_slice(payload),
            Framing::Base64 => {
                out.extend_from_slice(BASE64_STANDARD.encode(payload).as_bytes());
                out.push(b'\n');
            }
            Framing::Json => {
                let name = match kind {
                    Kind::Text => "text",
                    Kind::Binary => "binary",
                };
                json::encode(out, name, json::Body::Payload(payload), time, self.escape);
            }
        }
        Ok(None)
    }

    /// What is to be said of a separator inside a message.
    #[inline(always)]
    fn check(&mut self, payload: &[u8], separator: u8) -> Result<Option<Warning>, Refused> {
        if (!self.strict && self.warned) || memchr(separator, payload).is_none() {
            return Ok(None);
        }
        if self.strict {
            return Err(if separator == 0 { Refused::NulInside } else { Refused::NewlineInside });
        }
        // Escaped, it is no separator any more.
        if self.escape {
            return Ok(None);
        }
        self.warned = true;
        Ok(Some(if separator == 0 { Warning::NulInside } else { Warning::NewlineInside }))
    }

    #[inline]
    fn separated(
        &mut self,
        out: &mut Vec<u8>,
        payload: &[u8],
        separator: u8,
    ) -> Result<Option<Warning>, Refused> {
        let warning = self.check(payload, separator)?;
        if self.escape {
            out.extend_from_slice(format::escape(payload).as_bytes());
        } else {
            out.reserve(payload.len() + 1);
            out.extend_from_slice(payload);
        }
        out.push(separator);
        Ok(warning)
    }
}

/// How long a payload is, as `length` has it.
fn length(payload: &[u8]) -> Result<[u8; 4], Refused> {
    u32::try_from(payload.len()).map(u32::to_be_bytes).map_err(|_| Refused::TooLong(payload.len()))
}

/// Escaped but for newlines (also after a carriage return) and tabs: the text has lines of its own.
fn escape_lines(out: &mut Vec<u8>, payload: &[u8]) {
    for line in payload.split_inclusive(|&b| b == b'\n') {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let end = if text.len() == line.len() { "" } else { "\n" };
        let text = if end.is_empty() { text } else { text.strip_suffix(b"\r").unwrap_or(text) };
        for (at, cell) in text.split(|&b| b == b'\t').enumerate() {
            if at > 0 {
                out.push(b'\t');
            }
            out.extend_from_slice(format::escape(cell).as_bytes());
        }
        out.extend_from_slice(end.as_bytes());
    }
}
