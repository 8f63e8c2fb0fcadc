//! How received messages become text: safe on a terminal, by a template, as JSON.
//!
//! [`Template`] is the output of `sub` and `rr`: the payload, `-v`, `--json`, or `-F` with the directives of
//! mosquitto_sub 2.1. Where the two differ on purpose:
//!
//! - JSON is always valid and whole. A payload that is no UTF-8 stands as `payload_base64`, correlation data as
//!   `correlation-data-base64`; a NUL cuts nothing off. What `%J` cannot take as JSON stands as
//!   `payload_base64`, too, and is reported; numbers and escapes in it stay as they came. Several subscription
//!   identifiers are one array.
//! - `%E` is not negative above 2,147,483,647.
//! - Padding that would be negative is none: `%-p` and `%-4x` put no blanks after a payload that is wider.
//! - `%05C` without a content type is five blanks, as the manual has it, and not five zeros.
//! - `-v` says `(null)` for an empty payload with `-N`, too.
//! - A time directive that strftime(3) does not know is an error, and so is a width or precision above
//!   [`MAX_WIDTH`]: a typing mistake, and memory.
//! - `%U` and `@N` end in three zeros: times are kept in microseconds.
//!
//! mosquitto_sub 2.0 differs from 2.1 in more: it halves the payload of `%x` with a width, splits no
//! hexadecimal, has no `%f` and `%d`, and in `%j` writes `retain` as a number, `tst` with a `Z` before the offset,
//! and user properties as one object.

mod escape;
mod field;
pub(in crate::proto) mod json;
mod parse;
mod read;
mod template;
mod time;
mod zone;

use mqttbytes::v5::PublishProperties;

use escape::is_steering;
pub use escape::{escape, excerpt};
pub use parse::MAX_WIDTH;
pub use read::{JsonMessage, parse_json};
pub use template::{Template, Unfit, Written};
pub use time::rfc3339;
pub use zone::Zone;

/// A message that was received, as far as it can be printed.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Topic Name; where it came as a topic alias, the one that it stands for.
    pub topic: &'a str,
    /// The payload.
    pub payload: &'a [u8],
    /// Quality of service of this delivery: 0, 1 or 2.
    pub qos: u8,
    /// RETAIN flag.
    pub retain: bool,
    /// A repeated delivery.
    pub dup: bool,
    /// Packet identifier; 0 at QoS 0.
    pub mid: u16,
    /// MQTT 5.0 only.
    pub properties: Option<&'a PublishProperties>,
    /// When it came, in microseconds since 1970 (UTC).
    pub time: u64,
}
