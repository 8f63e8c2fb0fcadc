//! Bytes to packets and back, in front of mqttbytes.

use bytes::BytesMut;

use super::packet::{Connect, Filter, Outgoing, Packet, Version};

/// What is wrong with the bytes (decoding) or with the request (encoding).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The peer broke the standard: what, and the section.
    Malformed(&'static str),
    /// A packet type that a server may not send, or that the version does not have.
    Unexpected(u8),
    /// A packet above our limit: its whole size in bytes, and for a PUBLISH its topic if that much was read.
    TooLarge(usize, Option<String>),
    /// What we were asked to send cannot be encoded: why.
    Unsendable(&'static str),
}

/// Finds the first packet: its whole length when `buf` holds it all, none when more bytes are needed.
/// `max` is the largest whole packet that is taken, in bytes.
pub fn frame(buf: &[u8], version: Version, max: usize) -> Result<Option<usize>, Error> {
    let _ = (buf, version, max);
    todo!()
}

/// Decodes one whole packet, as `frame` cut it.
pub fn decode(packet: &[u8], version: Version) -> Result<Packet<'_>, Error> {
    let _ = (packet, version);
    todo!()
}

/// Appends CONNECT. Like all encoders: on `Err` nothing was appended.
pub fn connect(out: &mut BytesMut, version: Version, packet: &Connect) -> Result<(), Error> {
    let _ = (out, version, packet);
    todo!()
}

/// Appends PUBLISH.
pub fn publish(out: &mut BytesMut, version: Version, packet: &Outgoing<'_>) -> Result<(), Error> {
    let _ = (out, version, packet);
    todo!()
}

/// The whole size in bytes of what `publish` would append, for the server's Maximum Packet Size.
pub fn publish_size(version: Version, packet: &Outgoing<'_>) -> Result<usize, Error> {
    let _ = (version, packet);
    todo!()
}

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
pub fn ack(out: &mut BytesMut, version: Version, kind: AckType, pkid: u16, reason: u8) -> Result<(), Error> {
    let _ = (out, version, kind, pkid, reason);
    todo!()
}

/// Appends SUBSCRIBE; `id` is the Subscription Identifier (5.0, 1 to 268,435,455).
pub fn subscribe(
    out: &mut BytesMut,
    version: Version,
    pkid: u16,
    filters: &[Filter],
    id: Option<u32>,
    user_properties: &[(String, String)],
) -> Result<(), Error> {
    let _ = (out, version, pkid, filters, id, user_properties);
    todo!()
}

/// Appends UNSUBSCRIBE.
pub fn unsubscribe(
    out: &mut BytesMut,
    version: Version,
    pkid: u16,
    filters: &[String],
    user_properties: &[(String, String)],
) -> Result<(), Error> {
    let _ = (out, version, pkid, filters, user_properties);
    todo!()
}

/// Appends PINGREQ.
pub fn pingreq(out: &mut BytesMut) {
    out.extend_from_slice(&[0xc0, 0x00]);
}

/// Appends DISCONNECT; in 3.1.1 reason and properties are left out.
pub fn disconnect(
    out: &mut BytesMut,
    version: Version,
    reason: u8,
    session_expiry_interval: Option<u32>,
    user_properties: &[(String, String)],
) -> Result<(), Error> {
    let _ = (out, version, reason, session_expiry_interval, user_properties);
    todo!()
}

/// Appends AUTH (5.0).
pub fn auth(out: &mut BytesMut, reason: u8, method: &str, data: Option<&[u8]>) -> Result<(), Error> {
    let _ = (out, reason, method, data);
    todo!()
}
