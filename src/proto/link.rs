//! What crosses the line between a machine and the network: messages in, messages out.
//!
//! The same types serve WebSocket (RFC 6455) and plain MQTT connections, where only binary data exists.

use std::time::Duration;

use bytes::Bytes;

/// The kind of a WebSocket data message (RFC 6455 section 5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8 text.
    Text,
    /// Bytes.
    Binary,
}

/// What a machine wants sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transmit {
    /// One frame of a data message. A message in one frame has both `first` and `last`.
    /// Text must be UTF-8 by the sender's own check.
    /// On a plain MQTT connection the payload is written as it is.
    Data {
        /// Text or binary; of the whole message.
        kind: Kind,
        /// The frame's payload.
        payload: Bytes,
        /// The message begins with this frame.
        first: bool,
        /// The message ends with this frame (FIN).
        last: bool,
    },
    /// A Ping of at most 125 bytes.
    Ping(Bytes),
    /// Close with a code and a reason of at most 123 bytes (RFC 6455 section 5.5.1); the last thing
    /// sent. Ends the sending side of a plain connection.
    Close {
        /// The status code, or none for a Close without a body.
        code: Option<u16>,
        /// The reason; empty without a code.
        reason: String,
    },
}

impl Transmit {
    /// A whole message in one frame.
    pub fn message(kind: Kind, payload: Bytes) -> Transmit {
        Transmit::Data { kind, payload, first: true, last: true }
    }
}

/// What arrived. Fragments are put together and pings are answered by the network layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received<'a> {
    /// A whole text or binary message; text is valid UTF-8. On a plain MQTT connection: some bytes.
    Message(Kind, &'a [u8]),
    /// A Ping; the Pong is already on its way.
    Ping(&'a [u8]),
    /// A Pong.
    Pong(&'a [u8]),
    /// The peer's Close; code and reason, or none where it had no body (1005).
    Close(Option<(u16, &'a str)>),
}

/// Why a connection is no more, told to the machine after the last `Received`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// End of stream after both sides' Close, or after ours on a plain connection.
    Closed,
    /// End of stream with no Close from the peer.
    Eof,
    /// The operating system or TLS reported an error: its text.
    Io(String),
    /// The peer refused our TLS client certificate, or the want of one, by an alert that in TLS 1.3 comes in place of
    /// the first data (RFC 8446 section 4.4.2.4): its text, with what helps.
    Refused(String),
    /// The peer broke the WebSocket protocol; we sent Close with the code (1002, 1007).
    Violation(u16, String),
    /// A message above the limit in bytes; we sent Close 1009.
    TooLarge(usize),
    /// The peer did not answer our Close within the limit; said by the loop.
    Unanswered,
    /// The peer was silent for this long after a Ping of ours; the machine's own verdict.
    Silent(Duration),
}

/// How the connection came to be, told to the machine when it is up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Established {
    /// The subprotocol that the server chose.
    pub subprotocol: Option<String>,
    /// The peer's address, for log lines.
    pub peer: String,
}
