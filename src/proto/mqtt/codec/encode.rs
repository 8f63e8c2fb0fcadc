//! Packets to be sent (MQTT 5.0 and 3.1.1, chapter 3), all but CONNECT and PUBLISH. Everything is checked before
//! the first byte is appended.

use bytes::{BufMut, BytesMut};
use mqttbytes::{v4, v5};

use super::{
    super::{
        packet::{Filter, QoS, Version},
        topic,
    },
    Error, MAX_REMAINING_LENGTH,
    properties::id,
};

/// A string's or binary value's length, where it fits its two bytes (sections 1.5.4 and 1.5.6).
macro_rules! check_binary {
    ($what:literal, $bytes:expr) => {
        if $bytes.len() > usize::from(u16::MAX) {
            Err(Error::Unsendable(concat!($what, " is longer than 65,535 bytes")))
        } else {
            Ok(())
        }
    };
}
pub(super) use check_binary;

/// A UTF-8 Encoded String (section 1.5.4).
macro_rules! check_text {
    ($what:literal, $text:expr) => {
        if memchr::memchr(0, $text.as_bytes()).is_some() {
            Err(Error::Unsendable(concat!($what, " contains U+0000")))
        } else {
            $crate::proto::mqtt::codec::encode::check_binary!($what, $text)
        }
    };
}
pub(super) use check_text;

pub(super) fn check_pairs(pairs: &[(String, String)]) -> Result<(), Error> {
    for (key, value) in pairs {
        check_text!("a user property's name", key)?;
        check_text!("a user property's value", value)?;
    }
    Ok(())
}

/// Bytes of a Variable Byte Integer (section 1.5.5); `value` is at most 268,435,455.
pub(super) fn varint_len(value: usize) -> usize {
    match value {
        0..=0x7f => 1,
        0x80..=0x3fff => 2,
        0x4000..=0x1f_ffff => 3,
        _ => 4,
    }
}

/// Appends a Variable Byte Integer; `value` is at most 268,435,455.
pub(super) fn put_varint(out: &mut BytesMut, mut value: usize) {
    while value > 0x7f {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// Appends a string or binary value whose length was checked.
pub(super) fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    debug_assert!(bytes.len() <= usize::from(u16::MAX));
    out.put_u16(bytes.len() as u16);
    out.extend_from_slice(bytes);
}

/// Appends checked User Properties.
pub(super) fn put_pairs(out: &mut BytesMut, pairs: &[(String, String)]) {
    for (key, value) in pairs {
        out.put_u8(id::USER_PROPERTY);
        put_bytes(out, key.as_bytes());
        put_bytes(out, value.as_bytes());
    }
}

/// Appends checked Authentication Method and Authentication Data.
pub(super) fn put_authentication(out: &mut BytesMut, method: Option<&str>, data: Option<&[u8]>) {
    if let Some(method) = method {
        out.put_u8(id::AUTHENTICATION_METHOD);
        put_bytes(out, method.as_bytes());
    }
    if let Some(data) = data {
        out.put_u8(id::AUTHENTICATION_DATA);
        put_bytes(out, data);
    }
}

/// Appends what follows a fixed header's first byte.
pub(super) fn put_packet(out: &mut BytesMut, first: u8, body: &[u8]) -> Result<(), Error> {
    if body.len() > MAX_REMAINING_LENGTH {
        return Err(TOO_LONG);
    }
    out.reserve(1 + varint_len(body.len()) + body.len());
    out.put_u8(first);
    put_varint(out, body.len());
    out.extend_from_slice(body);
    Ok(())
}

/// Appends a property section with its length.
pub(super) fn put_section(out: &mut BytesMut, section: &[u8]) -> Result<(), Error> {
    if section.len() > MAX_REMAINING_LENGTH {
        return Err(TOO_LONG);
    }
    put_varint(out, section.len());
    out.extend_from_slice(section);
    Ok(())
}

const TOO_LONG: Error = Error::Unsendable("the packet is longer than 268,435,455 bytes");

/// PUBACK, PUBREC, PUBREL or PUBCOMP: which one to append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the standard's own names
pub enum AckType {
    PubAck,
    PubRec,
    PubRel,
    PubComp,
}

/// Appends an acknowledgement; the reason is left out in 3.1.1 and where it is 0x00.
///
/// # Errors
/// `Unsendable`: packet identifier 0, or a reason that the packet's table does not have.
pub fn ack(out: &mut BytesMut, version: Version, kind: AckType, pkid: u16, reason: u8) -> Result<(), Error> {
    let (first, reasons): (u8, &[u8]) = match kind {
        AckType::PubAck => (0x40, &RECEIPTS),
        AckType::PubRec => (0x50, &RECEIPTS),
        AckType::PubRel => (0x62, &RELEASES),
        AckType::PubComp => (0x70, &RELEASES),
    };
    check_pkid(pkid)?;
    if version == Version::V311 || reason == 0 {
        out.put_slice(&[first, 2]);
        out.put_u16(pkid);
        return Ok(());
    }
    if !reasons.contains(&reason) {
        return Err(Error::Unsendable("a reason code that the acknowledgement does not have"));
    }
    out.put_slice(&[first, 3]);
    out.put_u16(pkid);
    out.put_u8(reason);
    Ok(())
}

/// Reason codes of PUBACK and PUBREC (sections 3.4.2.1 and 3.5.2.1).
const RECEIPTS: [u8; 9] = [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
/// Reason codes of PUBREL and PUBCOMP (sections 3.6.2.1 and 3.7.2.1).
const RELEASES: [u8; 2] = [0x00, 0x92];

fn check_pkid(pkid: u16) -> Result<(), Error> {
    if pkid == 0 { Err(Error::Unsendable("packet identifier 0")) } else { Ok(()) }
}

/// Appends SUBSCRIBE; `id` is the Subscription Identifier (5.0, 1 to 268,435,455).
///
/// # Errors
/// `Unsendable`, also for what 3.1.1 does not have: it would change what is delivered.
pub fn subscribe(
    out: &mut BytesMut,
    version: Version,
    pkid: u16,
    filters: &[Filter],
    id: Option<u32>,
    user_properties: &[(String, String)],
) -> Result<(), Error> {
    check_pkid(pkid)?;
    if filters.is_empty() {
        return Err(Error::Unsendable("SUBSCRIBE without a topic filter"));
    }
    for filter in filters {
        check_subscription(filter)?;
    }
    if id.is_some_and(|id| id == 0 || id as usize > MAX_REMAINING_LENGTH) {
        return Err(Error::Unsendable("the subscription identifier is not 1 to 268,435,455"));
    }
    check_pairs(user_properties)?;
    match version {
        Version::V311 => {
            if id.is_some() || !user_properties.is_empty() {
                return Err(Error::Unsendable("SUBSCRIBE has no properties in MQTT 3.1.1"));
            }
            subscribe_v4(out, pkid, filters)
        }
        Version::V5 => {
            let filters = filters.iter().map(filter_v5).collect();
            let id = id.map(|id| id as usize);
            let properties = v5::SubscribeProperties { id, user_properties: user_properties.to_vec() };
            let packet = v5::Subscribe { pkid, filters, properties: Some(properties) };
            put_through_scratch(out, |scratch| packet.write(scratch))
        }
    }
}

fn check_subscription(filter: &Filter) -> Result<(), Error> {
    topic::check_filter(&filter.filter).map_err(Error::Unsendable)?;
    if filter.retain_handling > 2 {
        return Err(Error::Unsendable("retain handling is not 0, 1 or 2"));
    }
    if filter.no_local && topic::shared(&filter.filter).is_some() {
        return Err(Error::Unsendable("no local on a shared subscription"));
    }
    Ok(())
}

fn subscribe_v4(out: &mut BytesMut, pkid: u16, filters: &[Filter]) -> Result<(), Error> {
    if filters.iter().any(|f| f.no_local || f.retain_as_published || f.retain_handling != 0) {
        return Err(Error::Unsendable("MQTT 3.1.1 has no subscription options but the QoS"));
    }
    let filters = filters.iter().map(|f| v4::SubscribeFilter::new(f.filter.clone(), qos(f.qos))).collect();
    let packet = v4::Subscribe { pkid, filters };
    put_through_scratch(out, |scratch| packet.write(scratch))
}

fn filter_v5(filter: &Filter) -> v5::SubscribeFilter {
    v5::SubscribeFilter {
        path: filter.filter.clone(),
        qos: qos(filter.qos),
        nolocal: filter.no_local,
        preserve_retain: filter.retain_as_published,
        retain_forward_rule: match filter.retain_handling {
            0 => v5::RetainForwardRule::OnEverySubscribe,
            1 => v5::RetainForwardRule::OnNewSubscribe,
            _ => v5::RetainForwardRule::Never,
        },
    }
}

fn qos(qos: QoS) -> mqttbytes::QoS {
    match qos {
        QoS::AtMostOnce => mqttbytes::QoS::AtMostOnce,
        QoS::AtLeastOnce => mqttbytes::QoS::AtLeastOnce,
        QoS::ExactlyOnce => mqttbytes::QoS::ExactlyOnce,
    }
}

/// Lets mqttbytes write into a buffer of its own: on an error it leaves half a packet there.
fn put_through_scratch(
    out: &mut BytesMut,
    write: impl FnOnce(&mut BytesMut) -> Result<usize, mqttbytes::Error>,
) -> Result<(), Error> {
    let mut scratch = BytesMut::new();
    // Everything else was checked: what is left to fail is the Remaining Length.
    write(&mut scratch).map_err(|_| TOO_LONG)?;
    out.extend_from_slice(&scratch);
    Ok(())
}

/// Appends UNSUBSCRIBE.
///
/// # Errors
/// `Unsendable`, also for user properties in 3.1.1.
pub fn unsubscribe(
    out: &mut BytesMut,
    version: Version,
    pkid: u16,
    filters: &[String],
    user_properties: &[(String, String)],
) -> Result<(), Error> {
    check_pkid(pkid)?;
    if filters.is_empty() {
        return Err(Error::Unsendable("UNSUBSCRIBE without a topic filter"));
    }
    for filter in filters {
        topic::check_filter(filter).map_err(Error::Unsendable)?;
    }
    check_pairs(user_properties)?;
    let filters = filters.to_vec();
    match version {
        Version::V311 if !user_properties.is_empty() => {
            Err(Error::Unsendable("UNSUBSCRIBE has no properties in MQTT 3.1.1"))
        }
        Version::V311 => {
            let packet = v4::Unsubscribe { pkid, topics: filters };
            put_through_scratch(out, |scratch| packet.write(scratch))
        }
        Version::V5 => {
            let properties = v5::UnsubscribeProperties { user_properties: user_properties.to_vec() };
            let packet = v5::Unsubscribe { pkid, filters, properties: Some(properties) };
            put_through_scratch(out, |scratch| packet.write(scratch))
        }
    }
}

/// Appends PINGREQ.
pub fn pingreq(out: &mut BytesMut) {
    out.extend_from_slice(&[0xc0, 0x00]);
}

/// Appends DISCONNECT; in 3.1.1 reason and properties are left out, so that the server drops the will whatever
/// the reason: to have it published there, close without DISCONNECT.
///
/// # Errors
/// `Unsendable`: a reason that a client may not send (in 3.1.1 also 0x04, with the will), or a property out of
/// range.
pub fn disconnect(
    out: &mut BytesMut,
    version: Version,
    reason: u8,
    session_expiry_interval: Option<u32>,
    user_properties: &[(String, String)],
) -> Result<(), Error> {
    if !matches!(reason, 0x00 | 0x04 | 0x80..=0x83 | 0x90 | 0x93..=0x99) {
        return Err(Error::Unsendable("a reason code that a client's DISCONNECT does not have"));
    }
    if version == Version::V311 && reason == 0x04 {
        return Err(Error::Unsendable("DISCONNECT in MQTT 3.1.1 cannot ask for the will"));
    }
    check_pairs(user_properties)?;
    let mut section = BytesMut::new();
    if let Some(value) = session_expiry_interval {
        section.put_u8(id::SESSION_EXPIRY_INTERVAL);
        section.put_u32(value);
    }
    put_pairs(&mut section, user_properties);
    if version == Version::V311 || (reason == 0 && section.is_empty()) {
        out.extend_from_slice(&[0xe0, 0x00]);
        return Ok(());
    }
    // The property length could be left out with an empty section; servers exist that then wait for it.
    let mut body = BytesMut::new();
    body.put_u8(reason);
    put_section(&mut body, &section)?;
    put_packet(out, 0xe0, &body)
}

/// Appends AUTH (5.0).
///
/// # Errors
/// `Unsendable`: a reason other than 0x18 and 0x19, or a property out of range.
pub fn auth(out: &mut BytesMut, reason: u8, method: &str, data: Option<&[u8]>) -> Result<(), Error> {
    if !matches!(reason, 0x18 | 0x19) {
        return Err(Error::Unsendable("a reason code that a client's AUTH does not have"));
    }
    check_text!("the authentication method", method)?;
    if let Some(data) = data {
        check_binary!("the authentication data", data)?;
    }
    let mut section = BytesMut::new();
    put_authentication(&mut section, Some(method), data);
    let mut body = BytesMut::new();
    body.put_u8(reason);
    put_section(&mut body, &section)?;
    put_packet(out, 0xf0, &body)
}
