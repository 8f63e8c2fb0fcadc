//! MQTT packets, as far as the scripts need them (MQTT 5.0 sections 2.1 and 3.3; 3.1.1 is the same without
//! properties).

/// The whole length of the first packet, once its fixed header is there.
pub fn length(bytes: &[u8]) -> Option<usize> {
    let (mut value, mut shift) = (0, 0);
    for (i, byte) in bytes.iter().skip(1).take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            return Some(2 + i + value);
        }
    }
    None
}

/// What follows the fixed header.
pub fn rest(packet: &[u8]) -> &[u8] {
    let start = packet.iter().skip(1).position(|byte| byte & 0x80 == 0).map_or(packet.len(), |at| at + 2);
    packet.get(start..).unwrap_or_default()
}

/// A Variable Byte Integer.
pub fn varint(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let more = value >= 0x80;
        bytes.push((value & 0x7f) as u8 | if more { 0x80 } else { 0 });
        value >>= 7;
        if !more {
            return bytes;
        }
    }
}

/// A packet with this first byte.
pub fn packet(first: u8, rest: &[u8]) -> Vec<u8> {
    [&[first], varint(rest.len()).as_slice(), rest].concat()
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP with this first byte.
pub fn ack(first: u8, id: u16) -> Vec<u8> {
    packet(first, &id.to_be_bytes())
}

/// A text or binary data with its length.
pub fn text(text: &[u8]) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes(), text].concat()
}

/// What a PUBLISH says.
pub struct Publish {
    pub qos: u8,
    pub dup: bool,
    /// 0 at QoS 0.
    pub id: u16,
    pub topic: Vec<u8>,
    /// 5.0.
    pub properties: Vec<u8>,
    pub payload: Vec<u8>,
}

impl Publish {
    pub fn encode(&self, v5: bool) -> Vec<u8> {
        let mut rest = text(&self.topic);
        if self.qos > 0 {
            rest.extend(self.id.to_be_bytes());
        }
        if v5 {
            rest.extend(varint(self.properties.len()));
            rest.extend(&self.properties);
        }
        rest.extend(&self.payload);
        packet(0x30 | u8::from(self.dup) << 3 | self.qos << 1, &rest)
    }

    /// None where it is cut short.
    pub fn decode(packet: &[u8], v5: bool) -> Option<Self> {
        let (qos, dup) = (packet[0] >> 1 & 3, packet[0] & 8 != 0);
        let mut rest = rest(packet);
        let mut take = |n: usize| {
            let (part, left) = rest.split_at_checked(n)?;
            rest = left;
            Some(part.to_vec())
        };
        let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u16::from(*byte));
        let topic = number(&take(2)?);
        let topic = take(usize::from(topic))?;
        let id = if qos > 0 { number(&take(2)?) } else { 0 };
        let mut properties = Vec::new();
        if v5 {
            let mut section = vec![0];
            while length(&section).is_none() {
                section.extend(take(1)?);
            }
            properties = take(length(&section)? - section.len())?;
        }
        let payload = rest.to_vec();
        Some(Self { qos, dup, id, topic, properties, payload })
    }
}
