//! Messages as JSON Lines.
//!
//! Written: `{"type":"text","payload":"…","time":"…"}`, the same with `binary`, `ping` and `pong`, where
//! `payload_base64` stands for a payload that is no UTF-8, and `{"type":"close","code":1000,"reason":"…",
//! "time":"…"}`. Read: the same; unknown keys are ignored.

use bytes::Bytes;
use serde_core::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

use super::super::format::{self, json};
use super::super::link::Kind;

/// The message in a line; none for a line that is blank or tells of a ping, pong or close.
/// An error says what is wrong, fit for one line.
pub fn decode(line: &Bytes) -> Result<Option<(Kind, Bytes)>, String> {
    if line.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    let Line { kind, payload, payload_base64 } = serde_json::from_slice(line)
        .map_err(|e| format!("no JSON at byte {}: {}", e.column(), json::fault(&e)))?;
    let kind = match kind.as_deref() {
        Some("text") => Kind::Text,
        Some("binary") => Kind::Binary,
        Some("ping" | "pong" | "close") => return Ok(None),
        Some(other) => return Err(format!("unknown type \"{}\"", start(other))),
        None => return Err("no type in the object".into()),
    };
    let payload = match (payload, payload_base64) {
        (Some(Cow::Borrowed(text)), None) => line.slice_ref(text.as_bytes()),
        (Some(Cow::Owned(text)), None) => Bytes::from(text),
        (None, Some(text)) => base64(kind, &text)?,
        (Some(_), Some(_)) => return Err("both payload and payload_base64".into()),
        (None, None) => return Err("no payload in the object".into()),
    };
    Ok(Some((kind, payload)))
}

fn base64(kind: Kind, text: &str) -> Result<Bytes, String> {
    let bytes = super::base64::Line::default()
        .decode(text.as_bytes(), true)
        .map_err(|byte| format!("payload_base64 is no base64 at byte {byte}"))?;
    if kind == Kind::Text && std::str::from_utf8(&bytes).is_err() {
        return Err("payload_base64 of a text message is no UTF-8".into());
    }
    Ok(Bytes::from(bytes))
}

/// As much of a strange word as an error message needs.
fn start(text: &str) -> String {
    format::escape(text.chars().take(40).collect::<String>().as_bytes())
}

/// What a line says that is read; the rest is passed over and not built.
#[derive(Default)]
struct Line<'a> {
    kind: Option<Cow<'a, str>>,
    payload: Option<Cow<'a, str>>,
    payload_base64: Option<Cow<'a, str>>,
}

impl<'de> Deserialize<'de> for Line<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Line<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Line<'de>, A::Error> {
                let mut line = Line::default();
                while let Some(Text(key)) = map.next_key()? {
                    let (slot, name) = match &*key {
                        "type" => (&mut line.kind, "type"),
                        "payload" => (&mut line.payload, "payload"),
                        "payload_base64" => (&mut line.payload_base64, "payload_base64"),
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                    if slot.is_some() {
                        return Err(A::Error::duplicate_field(name));
                    }
                    *slot = Some(map.next_value::<Text<'de>>()?.0);
                }
                Ok(line)
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// A string: borrowed from the line where it has no escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Characters;

        impl<'de> Visitor<'de> for Characters {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(Characters)
    }
}

/// Appends a line. `escape` writes what could steer a terminal as `\uNNNN`, which reads back the same.
pub fn encode(out: &mut Vec<u8>, name: &str, body: Body<'_>, time: u64, escape: bool) {
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(name.as_bytes());
    out.push(b'"');
    match body {
        Body::Payload(payload) => json::payload(out, payload, escape),
        Body::Reason(None) => {}
        Body::Reason(Some((code, reason))) => {
            json::integer(out, "code", code.into());
            json::member(out, "reason", reason, escape);
        }
    }
    json::member(out, "time", &format::rfc3339(time), false);
    out.extend_from_slice(b"}\n");
}

/// What a line tells besides its type and time.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// The payload of a message, Ping or Pong.
    Payload(&'a [u8]),
    /// The code and reason of a Close.
    Reason(Option<(u16, &'a str)>),
}
