//! The client's packets as the model reads them, and the broker's as it writes them.

use super::super::{V5, Version, peer::packet};

/// The number of a message, out or in, which is its place in the books.
pub type Number = usize;
pub type Check<T = ()> = Result<T, String>;

/// A packet of the client's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    Connect { clean: bool },
    Publish { dup: bool, qos: u8, topic: Option<u8>, alias: Option<u16>, id: u16, message: Number },
    PubAck(u16),
    PubRec(u16),
    PubRel(u16),
    PubComp(u16),
    Subscribe(u16, Vec<u8>),
    Unsubscribe(u16, Vec<u8>),
    PingReq,
    Disconnect(u8),
}

/// A packet of the broker's, as much of it as matters once the client has all of its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// The window and the broker's topic aliases, and which session of the broker's it is.
    ConnAck {
        present: bool,
        session: u64,
        receive_maximum: u16,
    },
    Refused,
    Publish {
        dup: bool,
        qos: u8,
        id: u16,
        message: Number,
    },
    PubAck(u16, u8),
    PubRec(u16, u8),
    PubRel(u16),
    PubComp(u16),
    SubAck(u16),
    UnsubAck(u16),
    PingResp,
    Disconnect,
}

/// Where the first packet ends, when it is all there.
pub fn frame(bytes: &[u8]) -> Option<(usize, usize)> {
    let (mut len, mut used) = (0, 1);
    loop {
        let byte = *bytes.get(used)?;
        len |= usize::from(byte & 0x7f) << (7 * (used - 1));
        used += 1;
        if byte & 0x80 == 0 {
            break;
        }
    }
    (bytes.len() >= used + len).then_some((used, used + len))
}

/// Takes a whole packet apart.
pub fn parse(bytes: &[u8], version: Version) -> Check<Sent> {
    let head = frame(bytes).filter(|(_, end)| *end == bytes.len());
    let (start, _) = head.ok_or_else(|| format!("not one whole packet: {:02x?}", beginning(bytes)))?;
    let mut body = Body { rest: &bytes[start..], v5: version == V5 };
    one(bytes[0], &mut body).ok_or_else(|| format!("the client sent {:02x?}", beginning(bytes)))
}

fn beginning(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(40)]
}

fn one(first: u8, body: &mut Body<'_>) -> Option<Sent> {
    let sent = match first {
        0x10 => return connect(body),
        0x30..=0x3f => return publish(first, body),
        0x40 => Sent::PubAck(body.id(&[])?),
        0x50 => Sent::PubRec(body.id(&[])?),
        0x62 => Sent::PubRel(body.id(&[])?),
        // "Packet Identifier not found" is what a repeated PUBREL gets.
        0x70 => Sent::PubComp(body.id(&[0x92])?),
        0x82 | 0xa2 => {
            let id = body.u16().filter(|id| *id != 0)?;
            body.properties()?;
            let mut filters = Vec::new();
            while !body.rest.is_empty() {
                filters.push(digit(body.string()?)?);
                if first == 0x82 {
                    body.u8()?;
                }
            }
            return Some(if first == 0x82 {
                Sent::Subscribe(id, filters)
            } else {
                Sent::Unsubscribe(id, filters)
            });
        }
        0xc0 => Sent::PingReq,
        0xe0 => Sent::Disconnect(if body.rest.is_empty() { 0 } else { body.u8()? }),
        _ => return None,
    };
    body.rest.is_empty().then_some(sent)
}

fn connect(body: &mut Body<'_>) -> Option<Sent> {
    let level = if body.v5 { 5 } else { 4 };
    if body.string()? != b"MQTT" || body.u8()? != level {
        return None;
    }
    let flags = body.u8()?;
    body.u16()?;
    body.properties()?;
    let id = body.string()?;
    (id == b"me" && flags & !2 == 0 && body.rest.is_empty())
        .then_some(Sent::Connect { clean: flags & 2 != 0 })
}

fn publish(first: u8, body: &mut Body<'_>) -> Option<Sent> {
    let (dup, qos) = (first & 8 != 0, first >> 1 & 3);
    let topic = match body.string()? {
        b"" => None,
        topic => Some(digit(topic)?),
    };
    let id = if qos > 0 { body.u16().filter(|id| *id != 0)? } else { 0 };
    let alias = match body.properties()? {
        [] => None,
        [0x23, high, low] => Some(u16::from_be_bytes([*high, *low])),
        _ => return None,
    };
    let message = number(body.rest)?;
    // No DUP at QoS 0 [MQTT-3.3.1-2], no QoS 3, no RETAIN here.
    let sound = qos < 3 && first & 1 == 0 && !(qos == 0 && dup) && (topic.is_some() || alias.is_some());
    sound.then_some(Sent::Publish { dup, qos, topic, alias, id, message })
}

/// The decimal digits that a payload begins with.
pub fn number(payload: &[u8]) -> Option<Number> {
    let digits = payload.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(None, |sum, byte| Some(sum.unwrap_or(0) * 10 + usize::from(byte - b'0')))
}

/// Topics and filters are told apart by their last byte.
fn digit(topic: &[u8]) -> Option<u8> {
    topic.last().filter(|byte| byte.is_ascii_digit()).map(|byte| byte - b'0')
}

struct Body<'a> {
    rest: &'a [u8],
    v5: bool,
}

impl<'a> Body<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (part, rest) = self.rest.split_at_checked(n)?;
        self.rest = rest;
        Some(part)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|byte| byte[0])
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let len = self.u16()?;
        self.take(usize::from(len))
    }

    /// Below 128 bytes; none in 3.1.1.
    fn properties(&mut self) -> Option<&'a [u8]> {
        if !self.v5 {
            return Some(&[]);
        }
        let len = self.u8().filter(|len| *len < 0x80)?;
        self.take(usize::from(len))
    }

    /// A packet identifier, and in 5.0 perhaps one of these reasons.
    fn id(&mut self, reasons: &[u8]) -> Option<u16> {
        let id = self.u16().filter(|id| *id != 0)?;
        if self.v5 && !self.rest.is_empty() {
            self.u8().filter(|reason| reasons.contains(reason))?;
        }
        Some(id)
    }
}

/// A message for the client; the payload is its number and `size` bytes more.
pub fn to_client(
    version: Version,
    dup: bool,
    qos: u8,
    topic: u8,
    id: u16,
    message: Number,
    size: usize,
) -> Vec<u8> {
    let mut body = vec![0, 3, b'i', b'/', b'0' + topic];
    if qos > 0 {
        body.extend_from_slice(&id.to_be_bytes());
    }
    if version == V5 {
        body.push(0);
    }
    body.extend_from_slice(message.to_string().as_bytes());
    body.resize(body.len() + size, b'.');
    packet(0x30 | u8::from(dup) << 3 | qos << 1, &body)
}
