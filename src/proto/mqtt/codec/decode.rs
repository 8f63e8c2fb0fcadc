//! One whole packet from a server, field by field (MQTT 5.0 and 3.1.1, chapter 3).

use super::{
    super::packet::{Ack, Acks, Packet, Publish, QoS, Version},
    Error, frame, is_reason, properties,
    read::Reader,
};

/// Decodes one whole packet, as `frame` cut it. A PUBLISH borrows it and allocates only for its properties.
///
/// # Errors
/// `Malformed`, `Unexpected` and `TooManyProperties`. A refusal in the form of 3.1.1 (return codes 1 to 5)
/// passes in 5.0 too: servers that do not speak 5.0 send it.
pub fn decode(packet: &[u8], version: Version) -> Result<Packet<'_>, Error> {
    let header = match frame::header(packet, version)? {
        Some(header) if header.total == packet.len() => header,
        _ => return Err(Error::Malformed("not one whole packet (section 2.1.4)")),
    };
    let mut body = Reader::new(&packet[header.len..]);
    match header.first >> 4 {
        2 => connack(body, version),
        3 => publish(header.first, body, version).map(Packet::Publish),
        4 => ack(body, version, &[0x00, 0x10]).map(Packet::PubAck),
        5 => ack(body, version, &[0x00, 0x10]).map(Packet::PubRec),
        6 => ack(body, version, &[0x00]).map(Packet::PubRel),
        7 => ack(body, version, &[0x00]).map(Packet::PubComp),
        9 => suback(body, version).map(Packet::SubAck),
        11 => unsuback(body, version).map(Packet::UnsubAck),
        13 => body.end().map(|()| Packet::PingResp),
        14 => disconnect(&mut body),
        15 => auth(&mut body),
        kind => Err(Error::Unexpected(kind)), // `header` lets none through
    }
}

/// CONNACK (section 3.2).
fn connack(mut body: Reader<'_>, version: Version) -> Result<Packet<'static>, Error> {
    let flags = body.u8()?;
    let reason = body.u8()?;
    if flags > 1 {
        return Err(Error::Malformed("reserved flags of CONNACK (section 3.2.2.1)"));
    }
    if flags == 1 && reason != 0 {
        return Err(Error::Malformed("CONNACK refuses with Session Present 1 (section 3.2.2.1.1)"));
    }
    let old_style = version == Version::V311 || (body.is_empty() && (1..=5).contains(&reason));
    let known = if old_style { reason <= 5 } else { is_reason(reason, &[0x00]) };
    if !known {
        return Err(Error::Malformed("an unknown reason code in CONNACK (section 3.2.2.2)"));
    }
    let properties = if old_style { None } else { properties::connack(body.properties()?)? };
    body.end()?;
    Ok(Packet::ConnAck { session_present: flags == 1, reason, properties })
}

/// PUBLISH (section 3.3); `header` has checked the flags.
fn publish<'a>(first: u8, mut body: Reader<'a>, version: Version) -> Result<Publish<'a>, Error> {
    let qos =
        QoS::from_u8(first >> 1 & 0b11).ok_or(Error::Malformed("PUBLISH with QoS 3 (section 3.3.1.2)"))?;
    let topic = body.topic()?;
    let pkid = if qos == QoS::AtMostOnce { 0 } else { body.packet_id()? };
    let properties = match version {
        Version::V311 => None,
        Version::V5 => properties::publish(body.properties()?).map_err(|error| match error {
            Error::TooManyProperties(_) => Error::TooManyProperties(Some(topic.to_owned())),
            error => error,
        })?,
    };
    if topic.is_empty() && properties.as_ref().is_none_or(|p| p.topic_alias.is_none()) {
        return Err(Error::Malformed("PUBLISH with neither topic nor topic alias (section 3.3.2.1)"));
    }
    Ok(Publish {
        dup: first & 0b1000 != 0,
        qos,
        retain: first & 1 != 0,
        topic,
        pkid,
        payload: body.rest(),
        properties,
    })
}

/// PUBACK, PUBREC, PUBREL, PUBCOMP (sections 3.4 to 3.7): 2, 3 or more bytes in 5.0.
fn ack(mut body: Reader<'_>, version: Version, successes: &[u8]) -> Result<Ack, Error> {
    let pkid = body.packet_id()?;
    let (mut reason, mut text) = (0, None);
    if version == Version::V5 && !body.is_empty() {
        reason = body.u8()?;
        if !is_reason(reason, successes) {
            return Err(Error::Malformed(
                "an unknown reason code in an acknowledgement (sections 3.4 to 3.7)",
            ));
        }
        if !body.is_empty() {
            text = properties::ack(body.properties()?)?;
        }
    }
    body.end()?;
    Ok(Ack { pkid, reason, text })
}

/// SUBACK (section 3.9).
fn suback(mut body: Reader<'_>, version: Version) -> Result<Acks, Error> {
    let pkid = body.packet_id()?;
    let text = match version {
        Version::V311 => None,
        Version::V5 => properties::ack(body.properties()?)?,
    };
    let reasons = body.rest();
    let known = |&reason: &u8| match version {
        Version::V311 => matches!(reason, 0..=2 | 0x80),
        Version::V5 => is_reason(reason, &[0x00, 0x01, 0x02]),
    };
    if reasons.is_empty() || !reasons.iter().all(known) {
        return Err(Error::Malformed("no reason code, or an unknown one, in SUBACK (section 3.9.3)"));
    }
    Ok(Acks { pkid, reasons: reasons.to_vec(), text })
}

/// UNSUBACK (section 3.11).
fn unsuback(mut body: Reader<'_>, version: Version) -> Result<Acks, Error> {
    let pkid = body.packet_id()?;
    if version == Version::V311 {
        body.end()?;
        return Ok(Acks { pkid, reasons: Vec::new(), text: None });
    }
    let text = properties::ack(body.properties()?)?;
    let reasons = body.rest();
    if reasons.is_empty() || !reasons.iter().all(|&reason| is_reason(reason, &[0x00, 0x11])) {
        return Err(Error::Malformed("no reason code, or an unknown one, in UNSUBACK (section 3.11.3)"));
    }
    Ok(Acks { pkid, reasons: reasons.to_vec(), text })
}

/// DISCONNECT (section 3.14): reason and property length may both be left out, or the latter alone.
fn disconnect(body: &mut Reader<'_>) -> Result<Packet<'static>, Error> {
    let reason = if body.is_empty() { 0 } else { body.u8()? };
    if !is_reason(reason, &[0x00]) {
        return Err(Error::Malformed("an unknown reason code in DISCONNECT (section 3.14.2.1)"));
    }
    let section = if body.is_empty() { &[] } else { body.properties()? };
    let (text, server_reference) = properties::disconnect(section)?;
    body.end()?;
    Ok(Packet::Disconnect { reason, text, server_reference })
}

/// AUTH (section 3.15): reason and property length stand or are left out together. Whether a method must be
/// there is for the session to say: it knows what was asked.
fn auth(body: &mut Reader<'_>) -> Result<Packet<'static>, Error> {
    if body.is_empty() {
        return Ok(Packet::Auth { reason: 0, method: None, data: None });
    }
    let reason = body.u8()?;
    if !matches!(reason, 0x00 | 0x18 | 0x19) {
        return Err(Error::Malformed("an unknown reason code in AUTH (section 3.15.2.1)"));
    }
    let (method, data) = properties::auth(body.properties()?)?;
    body.end()?;
    Ok(Packet::Auth { reason, method, data })
}
