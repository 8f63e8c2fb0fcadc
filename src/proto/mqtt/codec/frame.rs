//! The fixed header (MQTT 5.0 section 2.1): where a packet ends, and whether a server may send it at all.

use super::{
    super::packet::Version,
    Error,
    read::{Reader, varint},
};

/// A fixed header that is all there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    /// Packet type and flags.
    pub(super) first: u8,
    /// Length of the fixed header in bytes.
    pub(super) len: usize,
    /// Length of the whole packet in bytes.
    pub(super) total: usize,
}

/// Finds the first packet: its whole length when `buf` holds it all, none when more bytes are needed.
/// `max` is the largest whole packet that is taken, in bytes.
///
/// # Errors
/// As soon as the bytes show it: `Unexpected` and wrong flags from the first byte on, `TooLarge` from the fixed
/// header on. The stream cannot be read on after an error.
pub fn frame(buf: &[u8], version: Version, max: usize) -> Result<Option<usize>, Error> {
    let Some(header) = header(buf, version)? else {
        return Ok(None);
    };
    if header.total > max {
        return Err(Error::TooLarge(header.total, topic(buf, header)));
    }
    Ok((buf.len() >= header.total).then_some(header.total))
}

/// Reads and checks the fixed header; none when it is not all there.
pub(super) fn header(buf: &[u8], version: Version) -> Result<Option<Header>, Error> {
    let Some((&first, rest)) = buf.split_first() else {
        return Ok(None);
    };
    check_first(first, version)?;
    let Some((remaining, len)) = varint(rest)? else {
        return Ok(None);
    };
    let len = 1 + len;
    Ok(Some(Header { first, len, total: len + remaining as usize }))
}

/// Packet type and flags (sections 2.1.2 and 2.1.3).
fn check_first(first: u8, version: Version) -> Result<(), Error> {
    let (kind, flags) = (first >> 4, first & 0x0f);
    let expected = match kind {
        3 => return check_publish_flags(flags),
        6 => 0b0010,
        2 | 4 | 5 | 7 | 9 | 11 | 13 => 0,
        14 | 15 if version == Version::V5 => 0,
        _ => return Err(Error::Unexpected(kind)),
    };
    if flags != expected {
        return Err(Error::Malformed("reserved flags of the fixed header (section 2.1.3)"));
    }
    Ok(())
}

fn check_publish_flags(flags: u8) -> Result<(), Error> {
    let (dup, qos) = (flags & 0b1000 != 0, flags >> 1 & 0b11);
    match qos {
        3 => Err(Error::Malformed("PUBLISH with QoS 3 (section 3.3.1.2)")),
        0 if dup => Err(Error::Malformed("PUBLISH with DUP at QoS 0 (section 3.3.1.1)")),
        _ => Ok(()),
    }
}

/// The Topic Name of a PUBLISH, if that much of it is there.
fn topic(buf: &[u8], header: Header) -> Option<String> {
    if header.first >> 4 != 3 {
        return None;
    }
    let packet = &buf[..buf.len().min(header.total)];
    let topic = Reader::new(packet.get(header.len..)?).topic().ok()?;
    (!topic.is_empty()).then(|| topic.to_owned())
}
