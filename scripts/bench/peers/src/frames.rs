//! Frames (RFC 6455 section 5.2) with as little work as possible: headers are read, payloads skipped.

use std::io::{self, Read};

const BUFFER: usize = 256 * 1024;

/// A control frame, unmasked.
pub struct Control {
    pub opcode: u8,
    pub payload: Vec<u8>,
}

/// A header: FIN and opcode, payload length, mask, its own length.
pub struct Header {
    pub first: u8,
    pub payload: u64,
    pub mask: Option<[u8; 4]>,
    pub len: usize,
}

/// Parses a header, if all of it is there.
#[inline]
pub fn header(bytes: &[u8]) -> Option<Header> {
    let (&first, &second) = (bytes.first()?, bytes.get(1)?);
    let (payload, at) = match second & 0x7f {
        126 => (u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 4),
        127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?), 10),
        short => (u64::from(short), 2),
    };
    if second & 0x80 == 0 {
        return Some(Header { first, payload, mask: None, len: at });
    }
    let mask = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(Header { first, payload, mask: Some(mask), len: at + 4 })
}

/// Counts the messages on a connection.
pub struct Counter {
    buffer: Vec<u8>,
    filled: usize,
    /// Payload bytes of the frame under way that are still to come.
    skip: u64,
    /// The frame under way ends a message.
    ends: bool,
    pub messages: u64,
    pub bytes: u64,
    pub fragments: u64,
}

impl Counter {
    pub fn new(ahead: &[u8]) -> Counter {
        let mut buffer = vec![0; BUFFER];
        buffer[..ahead.len()].copy_from_slice(ahead);
        Counter { buffer, filled: ahead.len(), skip: 0, ends: false, messages: 0, bytes: 0, fragments: 0 }
    }

    /// Counts what is in the buffer, up to the first control frame.
    pub fn scan(&mut self) -> Option<Control> {
        let mut at = 0;
        let mut control = None;
        loop {
            let here = self.skip.min((self.filled - at) as u64);
            at += here as usize;
            self.skip -= here;
            if self.skip > 0 {
                break;
            }
            if std::mem::take(&mut self.ends) {
                self.messages += 1;
            }
            let Some(head) = header(&self.buffer[at..self.filled]) else { break };
            if head.first & 0x08 != 0 {
                let (start, end) = (at + head.len, at + head.len + head.payload as usize);
                if end > self.filled {
                    break;
                }
                let mut payload = self.buffer[start..end].to_vec();
                unmask(&mut payload, head.mask);
                control = Some(Control { opcode: head.first & 0x0f, payload });
                at = end;
                break;
            }
            at += head.len;
            self.skip = head.payload;
            self.bytes += head.payload;
            self.ends = head.first & 0x80 != 0;
            self.fragments += u64::from(!self.ends);
        }
        self.buffer.copy_within(at..self.filled, 0);
        self.filled -= at;
        control
    }

    /// No frame is under way whose payload has not come.
    pub fn between_frames(&self) -> bool {
        self.skip == 0
    }

    /// Reads once; false at the end of the stream.
    pub fn fill(&mut self, stream: &mut (impl Read + ?Sized)) -> io::Result<bool> {
        let n = stream.read(&mut self.buffer[self.filled..])?;
        self.filled += n;
        Ok(n > 0)
    }
}

fn unmask(payload: &mut [u8], mask: Option<[u8; 4]>) {
    let Some(mask) = mask else { return };
    for (byte, key) in payload.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

/// The same, many bytes at a time.
pub fn unmask_fast(payload: &mut [u8], mask: [u8; 4]) {
    let mut wide = [0; 32];
    wide.chunks_exact_mut(4).for_each(|part| part.copy_from_slice(&mask));
    let mut blocks = payload.chunks_exact_mut(32);
    for block in &mut blocks {
        for (byte, key) in block.iter_mut().zip(wide) {
            *byte ^= key;
        }
    }
    unmask(blocks.into_remainder(), Some(mask));
}

/// Appends an unmasked frame.
pub fn put(out: &mut Vec<u8>, first: u8, payload: &[u8]) {
    out.push(first);
    match payload.len() {
        n @ 0..=125 => out.push(n as u8),
        n @ 126..=0xffff => {
            out.push(126);
            out.extend_from_slice(&(n as u16).to_be_bytes());
        }
        n => {
            out.push(127);
            out.extend_from_slice(&(n as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}

/// Takes one whole frame off the front of `buffer`, unmasked.
pub fn take(buffer: &mut Vec<u8>) -> Option<(u8, Vec<u8>)> {
    let head = header(buffer)?;
    let end = head.len + head.payload as usize;
    if end > buffer.len() {
        return None;
    }
    let mut payload = buffer[head.len..end].to_vec();
    unmask(&mut payload, head.mask);
    buffer.drain(..end);
    Some((head.first, payload))
}
