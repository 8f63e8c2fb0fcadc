//! Packets as a server sends them, for what the client only reads.

use bytes::{BufMut, BytesMut};
use wspipe::proto::mqtt::packet::{
    Ack, Acks, ConnAckProperties, Packet, Publish, PublishProperties, Version,
};

/// Appends a packet.
pub fn packet(out: &mut Vec<u8>, version: Version, packet: &Packet<'_>) {
    let mut body = BytesMut::new();
    let first = match packet {
        Packet::ConnAck { session_present, reason, properties } => {
            body.put_slice(&[u8::from(*session_present), *reason]);
            // The form of 3.1.1 passes in 5.0, and is read without properties.
            let old_style = (1..=5).contains(reason);
            if version == Version::V5 && !old_style {
                section(&mut body, &properties.as_deref().map(connack).unwrap_or_default());
            }
            0x20
        }
        Packet::Publish(packet) => publish(&mut body, version, packet),
        Packet::PubAck(packet) => ack(&mut body, version, packet, 0x40),
        Packet::PubRec(packet) => ack(&mut body, version, packet, 0x50),
        Packet::PubRel(packet) => ack(&mut body, version, packet, 0x62),
        Packet::PubComp(packet) => ack(&mut body, version, packet, 0x70),
        Packet::SubAck(packet) => acks(&mut body, version, packet, 0x90),
        Packet::UnsubAck(packet) => acks(&mut body, version, packet, 0xb0),
        Packet::PingResp => 0xd0,
        Packet::Disconnect { reason, text, server_reference } => {
            let mut properties = BytesMut::new();
            put_text(&mut properties, 0x1f, text.as_deref());
            put_text(&mut properties, 0x1c, server_reference.as_deref());
            body.put_u8(*reason);
            section(&mut body, &properties);
            0xe0
        }
        Packet::Auth { reason, method, data } => {
            let mut properties = BytesMut::new();
            put_text(&mut properties, 0x15, method.as_deref());
            put_binary(&mut properties, 0x16, data.as_deref());
            body.put_u8(*reason);
            section(&mut body, &properties);
            0xf0
        }
    };
    out.push(first);
    varint(out, body.len());
    out.extend_from_slice(&body);
}

fn varint(out: &mut impl BufMut, mut value: usize) {
    while value > 0x7f {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

fn section(out: &mut BytesMut, properties: &[u8]) {
    varint(out, properties.len());
    out.put_slice(properties);
}

fn publish(body: &mut BytesMut, version: Version, packet: &Publish<'_>) -> u8 {
    body.put_u16(packet.topic.len() as u16);
    body.put_slice(packet.topic.as_bytes());
    if packet.pkid != 0 {
        body.put_u16(packet.pkid);
    }
    if version == Version::V5 {
        section(body, &packet.properties.as_deref().map(publish_properties).unwrap_or_default());
    }
    body.put_slice(packet.payload);
    0x30 | u8::from(packet.dup) << 3 | (packet.qos as u8) << 1 | u8::from(packet.retain)
}

fn ack(body: &mut BytesMut, version: Version, ack: &Ack, first: u8) -> u8 {
    body.put_u16(ack.pkid);
    if version == Version::V5 {
        body.put_u8(ack.reason);
        let mut properties = BytesMut::new();
        put_text(&mut properties, 0x1f, ack.text.as_deref());
        section(body, &properties);
    }
    first
}

fn acks(body: &mut BytesMut, version: Version, acks: &Acks, first: u8) -> u8 {
    body.put_u16(acks.pkid);
    if version == Version::V5 {
        let mut properties = BytesMut::new();
        put_text(&mut properties, 0x1f, acks.text.as_deref());
        section(body, &properties);
    }
    body.put_slice(&acks.reasons);
    first
}

fn put_text(out: &mut BytesMut, id: u8, text: Option<&str>) {
    put_binary(out, id, text.map(str::as_bytes));
}

fn put_binary(out: &mut BytesMut, id: u8, data: Option<&[u8]>) {
    let Some(data) = data else { return };
    out.put_u8(id);
    out.put_u16(data.len() as u16);
    out.put_slice(data);
}

fn put_u8(out: &mut BytesMut, id: u8, value: Option<u8>) {
    value.into_iter().for_each(|value| out.put_slice(&[id, value]));
}

fn put_u16(out: &mut BytesMut, id: u8, value: Option<u16>) {
    let Some(value) = value else { return };
    out.put_u8(id);
    out.put_u16(value);
}

fn put_u32(out: &mut BytesMut, id: u8, value: Option<u32>) {
    let Some(value) = value else { return };
    out.put_u8(id);
    out.put_u32(value);
}

fn put_pairs(out: &mut BytesMut, pairs: &[(String, String)]) {
    for (name, value) in pairs {
        put_text(out, 0x26, Some(name));
        out.put_u16(value.len() as u16);
        out.put_slice(value.as_bytes());
    }
}

/// In another order than a client writes them: the order means nothing.
fn publish_properties(p: &PublishProperties) -> BytesMut {
    let mut out = BytesMut::new();
    put_pairs(&mut out, &p.user_properties);
    for id in &p.subscription_identifiers {
        out.put_u8(0x0b);
        varint(&mut out, *id);
    }
    put_text(&mut out, 0x03, p.content_type.as_deref());
    put_binary(&mut out, 0x09, p.correlation_data.as_deref());
    put_text(&mut out, 0x08, p.response_topic.as_deref());
    put_u16(&mut out, 0x23, p.topic_alias);
    put_u32(&mut out, 0x02, p.message_expiry_interval);
    put_u8(&mut out, 0x01, p.payload_format_indicator);
    out
}

fn connack(p: &ConnAckProperties) -> BytesMut {
    let mut out = BytesMut::new();
    put_u32(&mut out, 0x11, p.session_expiry_interval);
    put_u16(&mut out, 0x21, p.receive_max);
    put_u8(&mut out, 0x24, p.max_qos);
    put_u8(&mut out, 0x25, p.retain_available);
    put_u32(&mut out, 0x27, p.max_packet_size);
    put_text(&mut out, 0x12, p.assigned_client_identifier.as_deref());
    put_u16(&mut out, 0x22, p.topic_alias_max);
    put_text(&mut out, 0x1f, p.reason_string.as_deref());
    put_pairs(&mut out, &p.user_properties);
    put_u8(&mut out, 0x28, p.wildcard_subscription_available);
    put_u8(&mut out, 0x29, p.subscription_identifiers_available);
    put_u8(&mut out, 0x2a, p.shared_subscription_available);
    put_u16(&mut out, 0x13, p.server_keep_alive);
    put_text(&mut out, 0x1a, p.response_information.as_deref());
    put_text(&mut out, 0x1c, p.server_reference.as_deref());
    put_text(&mut out, 0x15, p.authentication_method.as_deref());
    put_binary(&mut out, 0x16, p.authentication_data.as_deref());
    out
}
