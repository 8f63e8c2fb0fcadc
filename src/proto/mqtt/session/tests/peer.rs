//! The scripted server: its packets written out, and the client's read by a reader of its own.

use super::{V5, Version};

pub fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> =
        text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16).unwrap()).collect();
    digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}

/// A packet from its first byte and its body.
pub fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut all = vec![first];
    let mut len = body.len();
    while len > 0x7f {
        all.push(len as u8 | 0x80);
        len >>= 7;
    }
    all.push(len as u8);
    all.extend_from_slice(body);
    all
}

/// Properties (below 128 bytes) with their length, in 5.0.
fn section(version: Version, properties: &str) -> Vec<u8> {
    if version != V5 {
        return Vec::new();
    }
    let bytes = hex(properties);
    [&[bytes.len() as u8], bytes.as_slice()].concat()
}

pub fn connack(version: Version, present: bool, reason: u8, properties: &str) -> Vec<u8> {
    packet(0x20, &[&[u8::from(present), reason], section(version, properties).as_slice()].concat())
}

pub fn publish(version: Version, topic: &str, payload: &str, qos: u8, id: u16) -> Vec<u8> {
    publish_with(version, topic, payload, qos, id, "")
}

pub fn publish_with(
    version: Version,
    topic: &str,
    payload: &str,
    qos: u8,
    id: u16,
    properties: &str,
) -> Vec<u8> {
    let mut body = (topic.len() as u16).to_be_bytes().to_vec();
    body.extend_from_slice(topic.as_bytes());
    if qos > 0 {
        body.extend_from_slice(&id.to_be_bytes());
    }
    body.extend_from_slice(&section(version, properties));
    body.extend_from_slice(payload.as_bytes());
    packet(0x30 | qos << 1, &body)
}

/// PUBACK, PUBREC, PUBREL, PUBCOMP by the first byte; the reason stands in 5.0 where it is not 0.
pub fn ack(version: Version, first: u8, id: u16, reason: u8) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    if version == V5 && reason != 0 {
        body.push(reason);
    }
    packet(first, &body)
}

pub const PUBACK: u8 = 0x40;
pub const PUBREC: u8 = 0x50;
pub const PUBREL: u8 = 0x62;
pub const PUBCOMP: u8 = 0x70;
pub const PINGRESP: &[u8] = &[0xd0, 0];

pub fn suback(version: Version, id: u16, reasons: &[u8]) -> Vec<u8> {
    packet(0x90, &[&id.to_be_bytes(), section(version, "").as_slice(), reasons].concat())
}

pub fn unsuback(version: Version, id: u16, reasons: &[u8]) -> Vec<u8> {
    let reasons = if version == V5 { reasons } else { &[] };
    packet(0xb0, &[&id.to_be_bytes(), section(version, "").as_slice(), reasons].concat())
}

/// The client's packets as texts: the inverse of what the codec writes, by another hand.
pub fn describe(mut bytes: &[u8], version: Version) -> Vec<String> {
    let mut all = Vec::new();
    while let [first, rest @ ..] = bytes {
        let (mut len, mut shift, mut used) = (0, 0, 0);
        loop {
            len |= usize::from(rest[used] & 0x7f) << shift;
            shift += 7;
            used += 1;
            if rest[used - 1] & 0x80 == 0 {
                break;
            }
        }
        all.push(one(*first, &rest[used..used + len], version));
        bytes = &rest[used + len..];
    }
    all
}

fn one(first: u8, mut body: &[u8], version: Version) -> String {
    let v5 = version == V5;
    match first {
        0x10 => {
            let clean = if body[7] & 2 != 0 { " clean" } else { "" };
            body = &body[10..];
            skip_properties(&mut body, v5);
            format!("CONNECT{clean} {}", string(&mut body))
        }
        0x30..=0x3f => {
            let qos = first >> 1 & 3;
            let topic = string(&mut body);
            let id = if qos > 0 { format!(" {}", u16(&mut body)) } else { String::new() };
            skip_properties(&mut body, v5);
            let dup = if first & 8 != 0 { " dup" } else { "" };
            format!("PUBLISH {topic} {} q{qos}{id}{dup}", String::from_utf8_lossy(body))
        }
        0x40 | 0x50 | 0x62 | 0x70 => {
            let name = ["PUBACK", "PUBREC", "PUBREL", "PUBCOMP"][usize::from(first >> 4) - 4];
            let id = u16(&mut body);
            let reason = body.first().map(|reason| format!(" {reason:#04x}")).unwrap_or_default();
            format!("{name} {id}{reason}")
        }
        0x82 | 0xa2 => {
            let subscribe = first == 0x82;
            let id = u16(&mut body);
            skip_properties(&mut body, v5);
            let mut filters = Vec::new();
            while !body.is_empty() {
                filters.push(string(&mut body));
                body = &body[usize::from(subscribe)..];
            }
            format!("{} {id} {}", if subscribe { "SUBSCRIBE" } else { "UNSUBSCRIBE" }, filters.join(","))
        }
        0xc0 => "PINGREQ".to_owned(),
        0xe0 => match body {
            [] => "DISCONNECT".to_owned(),
            [reason] | [reason, 0] => format!("DISCONNECT {reason:#04x}"),
            [reason, 5, 0x11, 0, 0, 0, expiry] => format!("DISCONNECT {reason:#04x} expiry {expiry}"),
            _ => panic!("an odd DISCONNECT: {body:?}"),
        },
        0xf0 => format!("AUTH {:#04x}", body[0]),
        other => panic!("the client sent a packet that begins with {other:#04x}"),
    }
}

fn u16(body: &mut &[u8]) -> u16 {
    let n = u16::from_be_bytes([body[0], body[1]]);
    *body = &body[2..];
    n
}

fn string(body: &mut &[u8]) -> String {
    let len = usize::from(u16(body));
    let text = String::from_utf8(body[..len].to_vec()).unwrap();
    *body = &body[len..];
    text
}

/// Properties below 128 bytes.
fn skip_properties(body: &mut &[u8], v5: bool) {
    if v5 {
        *body = &body[1 + usize::from(body[0])..];
    }
}
