//! Messages as JSON: `--json`, `%j` and `%J`; and the parts that other JSON Lines are made of.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use mqttbytes::v5::PublishProperties;
use serde_core::de::IgnoredAny;

use super::{
    Message, excerpt, field,
    time::{Local, push_rfc3339},
};

/// Appends the line of `--json`, without its end:
/// `{"time":"2026-02-28T23:59:59.000001Z","topic":"a/b","qos":1,"retain":false,"mid":7,"payload":"…"}`.
///
/// `time` is UTC. `dup` is there only if true, `mid` only above QoS 0. `payload_base64` stands for a payload that
/// is no UTF-8. `properties` is an object as in `%j`, and not there if empty.
pub(super) fn line(out: &mut Vec<u8>, message: &Message<'_>, escape: bool) {
    out.extend_from_slice(b"{\"time\":\"");
    push_rfc3339(out, message.time);
    out.push(b'"');
    head(out, message, escape);
    if message.dup {
        out.extend_from_slice(b",\"dup\":true");
    }
    if message.qos > 0 {
        integer(out, "mid", message.mid.into());
    }
    payload(out, message.payload, escape);
    if let Some(all) = message.properties {
        properties(out, all, escape);
    }
    out.push(b'}');
}

/// Appends `%j`, or with `raw` `%J`, where the payload is JSON itself, and not a string. False where it is
/// none: then it is in `payload_base64`.
pub(super) fn object(
    out: &mut Vec<u8>,
    message: &Message<'_>,
    local: &Local<'_>,
    raw: bool,
    escape: bool,
) -> bool {
    out.extend_from_slice(b"{\"tst\":\"");
    local.push_iso8601(out, true);
    out.push(b'"');
    head(out, message, escape);
    integer(out, "payloadlen", message.payload.len() as u64);
    if message.qos > 0 {
        integer(out, "mid", message.mid.into());
    }
    if let Some(all) = message.properties {
        properties(out, all, escape);
    }
    let mut fits = true;
    if message.payload.is_empty() {
        out.extend_from_slice(b",\"payload\":null");
    } else if !raw {
        payload(out, message.payload, escape);
    } else if let Some(json) = valid(message.payload) {
        out.extend_from_slice(b",\"payload\":");
        compact(out, json, escape);
    } else {
        base64(out, "payload_base64", message.payload);
        fits = false;
    }
    out.push(b'}');
    fits
}

fn head(out: &mut Vec<u8>, message: &Message<'_>, escape: bool) {
    member(out, "topic", message.topic, escape);
    integer(out, "qos", message.qos.into());
    out.extend_from_slice(if message.retain { b",\"retain\":true" } else { b",\"retain\":false" });
}

/// Appends `,"payload":"…"`, or `payload_base64` where it is no UTF-8.
pub(in crate::proto) fn payload(out: &mut Vec<u8>, payload: &[u8], escape: bool) {
    match std::str::from_utf8(payload) {
        Ok(text) => member(out, "payload", text, escape),
        Err(_) => base64(out, "payload_base64", payload),
    }
}

/// Appends `,"properties":{…}` with the names of MQTT 5.0 section 3.3.2.3 as mosquitto spells them; nothing where
/// there is none.
fn properties(out: &mut Vec<u8>, all: &PublishProperties, escape: bool) {
    let start = out.len();
    out.extend_from_slice(b",\"properties\":{");
    let empty = out.len();
    if let Some(format) = all.payload_format_indicator {
        integer(out, "payload-format-indicator", format.into());
    }
    if let Some(seconds) = all.message_expiry_interval {
        integer(out, "message-expiry-interval", seconds.into());
    }
    if let Some(text) = &all.content_type {
        member(out, "content-type", text, escape);
    }
    if let Some(topic) = &all.response_topic {
        member(out, "response-topic", topic, escape);
    }
    if let Some(data) = &all.correlation_data {
        match std::str::from_utf8(data) {
            Ok(text) => member(out, "correlation-data", text, escape),
            Err(_) => base64(out, "correlation-data-base64", data),
        }
    }
    match all.subscription_identifiers[..] {
        [] => {}
        [id] => integer(out, "subscription-identifier", id as u64),
        _ => {
            key(out, "subscription-identifier");
            list(out, &all.subscription_identifiers, |out, &id| field::number(out, id as u64, 0, b'0'));
        }
    }
    if let Some(alias) = all.topic_alias {
        integer(out, "topic-alias", alias.into());
    }
    if !all.user_properties.is_empty() {
        key(out, "user-properties");
        list(out, &all.user_properties, |out, (name, value)| {
            out.push(b'{');
            string(out, name, escape);
            out.push(b':');
            string(out, value, escape);
            out.push(b'}');
        });
    }
    if out.len() == empty {
        out.truncate(start);
        return;
    }
    // The comma before the first one.
    out.remove(empty);
    out.push(b'}');
}

fn list<T>(out: &mut Vec<u8>, items: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
    for (at, item) in items.iter().enumerate() {
        out.push(if at == 0 { b'[' } else { b',' });
        write(out, item);
    }
    out.push(b']');
}

fn key(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// Appends `,"name":"text"`.
pub(in crate::proto) fn member(out: &mut Vec<u8>, name: &str, text: &str, escape: bool) {
    key(out, name);
    string(out, text, escape);
}

/// Appends `,"name":value`.
pub(in crate::proto) fn integer(out: &mut Vec<u8>, name: &str, value: u64) {
    key(out, name);
    field::number(out, value, 0, b'0');
}

fn base64(out: &mut Vec<u8>, name: &str, bytes: &[u8]) {
    key(out, name);
    out.push(b'"');
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    // Exactly the length that it needs.
    let _ = BASE64_STANDARD.encode_slice(bytes, &mut out[start..]);
    out.push(b'"');
}

/// Appends a JSON string. With `escape` what could steer a terminal is `\uNNNN`, which reads back the same.
fn string(out: &mut Vec<u8>, text: &str, escape: bool) {
    let start = out.len();
    // Writing to a Vec does not fail, and a string is always JSON.
    let _ = serde_json::to_writer(&mut *out, text);
    if escape {
        unsteer(out, start);
    }
}

/// Writes what could steer a terminal as `\uNNNN`, from `start` on, where there are only JSON strings and what is
/// ASCII.
fn unsteer(out: &mut Vec<u8>, start: usize) {
    if !out[start..].iter().any(|&b| b >= 0x7f) {
        return;
    }
    let written = out.split_off(start);
    for chunk in written.utf8_chunks() {
        for c in chunk.valid().chars() {
            if super::is_steering(c) {
                out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes());
            } else {
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
    }
}

/// What is wrong with a line, fit for one line itself: without the line number, which is always 1 here.
pub(in crate::proto) fn fault(error: &serde_json::Error) -> String {
    let text = error.to_string();
    excerpt(text.rsplit_once(" at line ").map_or(&*text, |(what, _)| what).as_bytes())
}

/// The payload, if it is JSON (RFC 8259).
fn valid(payload: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(payload).ok()?;
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    Some(text)
}

/// Appends JSON without the blanks between its parts, so that it is one line. All else stays, above all numbers
/// that no floating point holds.
fn compact(out: &mut Vec<u8>, json: &str, escape: bool) {
    let start = out.len();
    let (mut quoted, mut escaped) = (false, false);
    out.extend(json.bytes().filter(|&byte| {
        if !quoted {
            quoted = byte == b'"';
            return !matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        }
        quoted = escaped || byte != b'"';
        escaped = !escaped && byte == b'\\';
        true
    }));
    if escape {
        unsteer(out, start);
    }
}
