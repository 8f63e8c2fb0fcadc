//! Records of a byte stream, such as stdin and stdout, to messages and back.
//!
//! [`Decoder`] cuts what is read into the frames to send; [`Encoder`] appends what was received to the
//! output. What the one writes the other reads back, as far as the framing can show it.

mod assemble;
pub(in crate::proto) mod base64;
mod decode;
mod encode;
mod json;
#[cfg(test)]
mod tests;

pub use decode::Decoder;
pub use encode::{Control, Encoder};

use bytes::Bytes;
use std::fmt;

use super::link::Kind;

/// The largest payload of a [`Piece`] in bytes. A record up to this size is always one piece, however its
/// bytes came in; a larger one is given in fragments while it comes.
pub const FRAGMENT: usize = 64 * 1024;

/// The longest line of JSON in bytes: such a line has to be held until it is whole. The default limit of a
/// message, 64 MiB, fits even where each byte is escaped as `\u00NN`.
pub const JSON_LINE: usize = 512 * 1024 * 1024;

/// How messages stand in a byte stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// A message is a line, without its `\n`; a `\r` before it belongs to the message.
    #[default]
    Line,
    /// A message ends with a zero byte.
    Null,
    /// Four bytes, the length (big-endian), stand before each message.
    Length,
    /// No borders: what was read at once is a message; payloads are written back to back.
    Chunk,
    /// All of the input is one message; payloads are written back to back.
    Whole,
    /// A message is a line of base64 (RFC 4648 section 4), with its padding or without.
    Base64,
    /// A message is a line with a JSON object (JSON Lines).
    Json,
}

impl Framing {
    /// Every framing, in the order of the help text.
    pub const ALL: [Framing; 7] = [
        Framing::Line,
        Framing::Null,
        Framing::Length,
        Framing::Chunk,
        Framing::Whole,
        Framing::Base64,
        Framing::Json,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Framing::Line => "line",
            Framing::Null => "null",
            Framing::Length => "length",
            Framing::Chunk => "chunk",
            Framing::Whole => "whole",
            Framing::Base64 => "base64",
            Framing::Json => "json",
        }
    }

    /// What error messages call a record.
    fn record(self) -> &'static str {
        match self {
            Framing::Line | Framing::Base64 | Framing::Json => "line",
            Framing::Null | Framing::Length | Framing::Chunk | Framing::Whole => "record",
        }
    }
}

/// One frame of a message to send. Text may be cut between the frames inside of a code point, as RFC 6455
/// section 5.6 allows; the message as a whole is UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Text or binary; of the whole message.
    pub kind: Kind,
    /// At most [`FRAGMENT`] bytes. Empty for an empty message, or at the end of a message whose end was not
    /// yet in sight when its last bytes were given.
    pub payload: Bytes,
    /// The message begins with this piece.
    pub first: bool,
    /// The message ends with this piece (FIN).
    pub last: bool,
}

/// Why input is refused. Records are counted from 1; blank lines and control messages of JSON count too, so
/// that the number is the line's number in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// A message to be sent as text is no UTF-8.
    Utf8 {
        /// The framing of the input.
        framing: Framing,
        /// The number of the record.
        record: u64,
        /// Where in the message, from 1, the first bytes stand that are no UTF-8.
        byte: u64,
        /// Pieces of this message were already given.
        mid: bool,
    },
    /// A line is no JSON, or no message in it.
    Json {
        /// The number of the line.
        record: u64,
        /// What is wrong with it.
        what: String,
    },
    /// A line is no base64.
    Base64 {
        /// The number of the line.
        record: u64,
        /// Where in the line, from 1, it goes wrong.
        byte: u64,
        /// Pieces of this message were already given.
        mid: bool,
    },
    /// The input ended inside of a record that says its length.
    Length {
        /// The number of the record.
        record: u64,
        /// How many bytes are missing, of the message or of the length itself.
        missing: u64,
        /// Pieces of this message were already given.
        mid: bool,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Utf8 { framing, record, byte, .. } => {
                write!(f, "{} {record}: no UTF-8 at byte {byte}", framing.record())
            }
            Error::Json { record, what } => write!(f, "line {record}: {what}"),
            Error::Base64 { record, byte, .. } => write!(f, "line {record}: no base64 at byte {byte}"),
            Error::Length { record, missing, .. } => {
                write!(f, "record {record}: the input ends {missing} bytes before its end")
            }
        }
    }
}

impl std::error::Error for Error {}

/// What the reader of the output cannot tell apart; said once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warning {
    /// A message that holds a newline was written as more than one line.
    NewlineInside,
    /// A message that holds a zero byte was written between zero bytes.
    NulInside,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Warning::NewlineInside => "a message has a newline inside and looks like several lines of output",
            Warning::NulInside => "a message has a zero byte inside and looks like several records of output",
        })
    }
}

/// Why a message is not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It holds a newline, in `line` and strict.
    NewlineInside,
    /// It holds a zero byte, in `null` and strict.
    NulInside,
    /// It is longer than the length of `length` can say: its size in bytes.
    TooLong(usize),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::NewlineInside => f.write_str("a newline inside the message, refused by --strict"),
            Refused::NulInside => f.write_str("a zero byte inside the message, refused by --strict"),
            Refused::TooLong(size) => {
                write!(f, "{size} bytes are more than a length of 32 bits can say")
            }
        }
    }
}

impl std::error::Error for Refused {}
