//! PUBLISH to be sent (MQTT 5.0 section 3.3): measured and checked first, then appended in one go.

use bytes::{BufMut, BytesMut};

use super::{
    super::{
        packet::{Outgoing, PublishProperties, QoS, Version},
        topic,
    },
    Error, MAX_REMAINING_LENGTH,
    encode::{check_binary, check_pairs, check_text, put_bytes, put_pairs, put_varint, varint_len},
    properties::id,
};

/// The lengths that stand in the packet, in bytes.
#[derive(Clone, Copy)]
struct Layout {
    /// Property Length.
    properties: usize,
    /// Remaining Length.
    remaining: usize,
}

impl Layout {
    fn size(self) -> usize {
        1 + varint_len(self.remaining) + self.remaining
    }
}

/// Appends PUBLISH.
///
/// # Errors
/// `Unsendable` for what the standard forbids; then nothing was appended.
pub fn publish(out: &mut BytesMut, version: Version, packet: &Outgoing<'_>) -> Result<(), Error> {
    let layout = layout(version, packet)?;
    out.reserve(layout.size());
    // Few appends: each of them looks for room, and a short message has hardly more than this.
    let mut head = [0; 1 + 4 + 2];
    head[0] = 0x30 | u8::from(packet.dup) << 3 | (packet.qos as u8) << 1 | u8::from(packet.retain);
    // At most four bytes, as `layout` has checked.
    let mut rest = layout.remaining;
    let mut len = 1;
    while rest > 0x7f {
        head[len] = rest as u8 | 0x80;
        rest >>= 7;
        len += 1;
    }
    head[len] = rest as u8;
    head[len + 1..len + 3].copy_from_slice(&(packet.topic.len() as u16).to_be_bytes());
    out.extend_from_slice(&head[..len + 3]);
    out.extend_from_slice(packet.topic.as_bytes());
    if packet.qos != QoS::AtMostOnce {
        out.put_u16(packet.pkid);
    }
    if version == Version::V5 {
        put_varint(out, layout.properties);
        if let Some(properties) = packet.properties {
            put_properties(out, properties);
        }
    }
    out.extend_from_slice(packet.payload);
    Ok(())
}

/// The whole size in bytes of what `publish` would append, for the server's Maximum Packet Size.
///
/// # Errors
/// As `publish`.
pub fn publish_size(version: Version, packet: &Outgoing<'_>) -> Result<usize, Error> {
    layout(version, packet).map(Layout::size)
}

/// Checks the packet and measures it.
fn layout(version: Version, packet: &Outgoing<'_>) -> Result<Layout, Error> {
    let aliased = version == Version::V5 && packet.properties.is_some_and(|p| p.topic_alias.is_some());
    if !(packet.topic.is_empty() && aliased) {
        topic::check_name(packet.topic).map_err(Error::Unsendable)?;
    }
    let mut remaining = 2 + packet.topic.len() + packet.payload.len();
    if packet.qos != QoS::AtMostOnce {
        if packet.pkid == 0 {
            return Err(Error::Unsendable("packet identifier 0"));
        }
        remaining += 2;
    } else if packet.dup {
        return Err(Error::Unsendable("DUP at QoS 0"));
    }
    let properties = match (version, packet.properties) {
        (_, None) => 0,
        (Version::V5, Some(properties)) => check_publish(properties)?,
        (Version::V311, Some(properties)) if properties_len(properties) == 0 => 0,
        (Version::V311, Some(_)) => return Err(Error::Unsendable("PUBLISH has no properties in MQTT 3.1.1")),
    };
    if version == Version::V5 {
        remaining += varint_len(properties) + properties;
    }
    if remaining > MAX_REMAINING_LENGTH {
        return Err(Error::Unsendable("the packet is longer than 268,435,455 bytes"));
    }
    Ok(Layout { properties, remaining })
}

/// What holds for PUBLISH and not for a will (section 3.3.2.3), and the Property Length.
fn check_publish(p: &PublishProperties) -> Result<usize, Error> {
    if p.topic_alias == Some(0) {
        return Err(Error::Unsendable("topic alias 0"));
    }
    if !p.subscription_identifiers.is_empty() {
        return Err(Error::Unsendable("a subscription identifier in a client's PUBLISH"));
    }
    check_properties(p)?;
    Ok(properties_len(p))
}

/// Checks the properties that PUBLISH and a will share.
pub(super) fn check_properties(p: &PublishProperties) -> Result<(), Error> {
    if p.payload_format_indicator.is_some_and(|value| value > 1) {
        return Err(Error::Unsendable("the payload format indicator is neither 0 nor 1"));
    }
    if let Some(value) = &p.content_type {
        check_text!("the content type", value)?;
    }
    if let Some(value) = &p.response_topic {
        topic::check_name(value).map_err(|_| Error::Unsendable("the response topic is no topic name"))?;
    }
    if let Some(value) = &p.correlation_data {
        check_binary!("the correlation data", value)?;
    }
    check_pairs(&p.user_properties)
}

/// What `put_properties` appends, in bytes.
pub(super) fn properties_len(p: &PublishProperties) -> usize {
    let mut len = 0;
    len += p.payload_format_indicator.map_or(0, |_| 1 + 1);
    len += p.message_expiry_interval.map_or(0, |_| 1 + 4);
    len += p.topic_alias.map_or(0, |_| 1 + 2);
    len += p.content_type.as_ref().map_or(0, |value| 1 + 2 + value.len());
    len += p.response_topic.as_ref().map_or(0, |value| 1 + 2 + value.len());
    len += p.correlation_data.as_ref().map_or(0, |value| 1 + 2 + value.len());
    len + p.user_properties.iter().map(|(key, value)| 1 + 2 + key.len() + 2 + value.len()).sum::<usize>()
}

/// Appends checked properties, without their length.
pub(super) fn put_properties(out: &mut BytesMut, p: &PublishProperties) {
    if let Some(value) = p.payload_format_indicator {
        out.put_slice(&[id::PAYLOAD_FORMAT_INDICATOR, value]);
    }
    if let Some(value) = p.message_expiry_interval {
        out.put_u8(id::MESSAGE_EXPIRY_INTERVAL);
        out.put_u32(value);
    }
    if let Some(value) = p.topic_alias {
        out.put_u8(id::TOPIC_ALIAS);
        out.put_u16(value);
    }
    if let Some(value) = &p.content_type {
        out.put_u8(id::CONTENT_TYPE);
        put_bytes(out, value.as_bytes());
    }
    if let Some(value) = &p.response_topic {
        out.put_u8(id::RESPONSE_TOPIC);
        put_bytes(out, value.as_bytes());
    }
    if let Some(value) = &p.correlation_data {
        out.put_u8(id::CORRELATION_DATA);
        put_bytes(out, value);
    }
    put_pairs(out, &p.user_properties);
}
