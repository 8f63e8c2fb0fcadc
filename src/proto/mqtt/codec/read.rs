//! A bounded cursor over one packet's fields.

use super::{super::topic, Error};

const SHORT: Error = Error::Malformed("the packet ends inside a field");

/// What is left to read. Every method takes from the front or fails; none reads past the end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All that is left.
    pub(super) fn rest(self) -> &'a [u8] {
        self.0
    }

    /// Fails on trailing bytes.
    pub(super) fn end(self) -> Result<(), Error> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::Malformed("bytes are left after the last field")) }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(SHORT)?;
        self.0 = rest;
        Ok(*head)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Error> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Error> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Error> {
        self.array().map(u32::from_be_bytes)
    }

    /// A Packet Identifier (MQTT 5.0 section 2.2.1).
    pub(super) fn packet_id(&mut self) -> Result<u16, Error> {
        match self.u16()? {
            0 => Err(Error::Malformed("packet identifier 0 (section 2.2.1)")),
            pkid => Ok(pkid),
        }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let (head, rest) = self.0.split_at_checked(len).ok_or(SHORT)?;
        self.0 = rest;
        Ok(head)
    }

    /// Binary Data (section 1.5.6).
    pub(super) fn binary(&mut self) -> Result<&'a [u8], Error> {
        let len = self.u16()?;
        self.take(len.into())
    }

    /// A UTF-8 Encoded String (section 1.5.4), U+0000 not yet ruled out.
    fn utf8(&mut self) -> Result<&'a str, Error> {
        std::str::from_utf8(self.binary()?)
            .map_err(|_| Error::Malformed("a string is not UTF-8 (section 1.5.4)"))
    }

    /// A UTF-8 Encoded String (section 1.5.4).
    pub(super) fn text(&mut self) -> Result<&'a str, Error> {
        let text = self.utf8()?;
        if memchr::memchr(0, text.as_bytes()).is_some() {
            return Err(Error::Malformed("a string contains U+0000 (section 1.5.4)"));
        }
        Ok(text)
    }

    /// A Topic Name (section 4.7), perhaps empty.
    pub(super) fn topic(&mut self) -> Result<&'a str, Error> {
        let topic = self.utf8()?;
        if topic::find_forbidden(topic).is_some() {
            return Err(Error::Malformed("a topic name contains a wildcard or U+0000 (section 4.7)"));
        }
        Ok(topic)
    }

    /// A Variable Byte Integer in as few bytes as can be (section 1.5.5).
    pub(super) fn varint(&mut self) -> Result<u32, Error> {
        let (value, len) = varint(self.0)?.ok_or(SHORT)?;
        self.take(len)?;
        Ok(value)
    }

    /// The properties (section 2.2.2), their length taken off: exactly so many bytes.
    pub(super) fn properties(&mut self) -> Result<&'a [u8], Error> {
        let len = self.varint()?;
        self.take(len as usize)
    }
}

/// A Variable Byte Integer at the start of `bytes` and how many bytes it has; none when it is not all there.
pub(super) fn varint(bytes: &[u8]) -> Result<Option<(u32, usize)>, Error> {
    let mut value = 0;
    for (at, &byte) in bytes.iter().take(4).enumerate() {
        value |= u32::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            if byte == 0 && at > 0 {
                return Err(Error::Malformed("a length has more bytes than it needs (section 1.5.5)"));
            }
            return Ok(Some((value, at + 1)));
        }
    }
    if bytes.len() >= 4 {
        return Err(Error::Malformed("a length has more than four bytes (section 1.5.5)"));
    }
    Ok(None)
}
