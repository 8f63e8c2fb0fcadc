//! Bytes to packets and back, in front of mqttbytes.
//!
//! mqttbytes 0.6 has the types and the encoders of SUBSCRIBE and UNSUBSCRIBE. What comes from the network is
//! decoded here: its readers corrupt payloads, wait forever on complete packets and accept much that is
//! malformed. PUBLISH is the hot path both ways and allocates nothing when it has no properties.
//!
//! ```text
//! bytes -> frame (one whole packet) -> decode -> Packet        CONNECT, PUBLISH, … -> bytes appended
//!             fixed header              fields and properties, each bounded
//! ```

mod connect;
mod decode;
mod encode;
mod frame;
mod properties;
mod publish;
mod read;
#[cfg(test)]
mod tests;

use std::fmt;

pub use connect::connect;
pub use decode::decode;
pub use encode::{AckType, ack, auth, disconnect, pingreq, subscribe, unsubscribe};
pub use frame::frame;
pub use properties::PROPERTIES_MAX;
pub use publish::{publish, publish_size};

use super::reason;

/// The largest Remaining Length, in bytes (MQTT 5.0 section 2.1.4).
pub const MAX_REMAINING_LENGTH: usize = 268_435_455;

/// What is wrong with the bytes (decoding) or with the request (encoding).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The peer broke the standard: what, and the section.
    Malformed(&'static str),
    /// A packet type (0 to 15) that a server may not send, or that the version does not have.
    Unexpected(u8),
    /// A packet above our limit: its whole size in bytes, and for a PUBLISH its topic if that much was read.
    TooLarge(usize, Option<String>),
    /// More than [`PROPERTIES_MAX`] properties in a packet; for a PUBLISH its topic.
    TooManyProperties(Option<String>),
    /// What we were asked to send cannot be encoded: why.
    Unsendable(&'static str),
}

impl Error {
    /// The reason code for the DISCONNECT (5.0) that answers what the peer did: 0x81, 0x82 or 0x95.
    /// An `Unsendable` is no fault of the peer's; it has 0x83.
    pub fn reason(&self) -> u8 {
        match self {
            Error::Malformed(_) => 0x81,
            Error::Unexpected(_) => 0x82,
            Error::Unsendable(_) => 0x83,
            Error::TooLarge(..) | Error::TooManyProperties(_) => 0x95,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Malformed(what) => write!(f, "malformed packet: {what}"),
            Error::Unexpected(kind) => write!(f, "unexpected packet: {} from a server", type_name(*kind)),
            Error::TooLarge(size, None) => write!(f, "packet too large: {size} bytes"),
            // The topic is the peer's text: escaped.
            Error::TooLarge(size, Some(topic)) => {
                write!(f, "packet too large: {size} bytes on topic {topic:?}")
            }
            Error::TooManyProperties(topic) => {
                write!(f, "packet too large: more than {PROPERTIES_MAX} properties")?;
                topic.as_ref().map_or(Ok(()), |topic| write!(f, " on topic {topic:?}"))
            }
            Error::Unsendable(why) => write!(f, "cannot be sent: {why}"),
        }
    }
}

impl std::error::Error for Error {}

/// The packet type's name (MQTT 5.0 section 2.1.2).
fn type_name(kind: u8) -> &'static str {
    match kind {
        1 => "CONNECT",
        2 => "CONNACK",
        3 => "PUBLISH",
        4 => "PUBACK",
        5 => "PUBREC",
        6 => "PUBREL",
        7 => "PUBCOMP",
        8 => "SUBSCRIBE",
        9 => "SUBACK",
        10 => "UNSUBSCRIBE",
        11 => "UNSUBACK",
        12 => "PINGREQ",
        13 => "PINGRESP",
        14 => "DISCONNECT",
        15 => "AUTH",
        _ => "packet type 0",
    }
}

/// Whether a reason code from the server is one: `successes` are those of the packet's own table, and any
/// failure of section 2.4 passes, because servers send them where the packet's table has none (mosquitto:
/// PUBACK 0x95, DISCONNECT 0x8C) and a failure means the same everywhere.
fn is_reason(code: u8, successes: &[u8]) -> bool {
    successes.contains(&code) || (code >= 0x80 && reason::is_listed(code))
}
