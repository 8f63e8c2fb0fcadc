//! The stream as tungstenite sees it, and the short way past it.
//!
//! What comes is read into one buffer. A whole message in one frame that lies there complete is given out as
//! it is: no copy, no count of references, a third of the time. One that is larger is read into a buffer of its own,
//! which is given out with it. Everything else (control frames, fragments, whatever breaks the protocol) is
//! tungstenite's. It is handed exactly one frame at a time, so that between two frames it holds no byte and either way
//! can be taken. What is sent is made into frames here as well, but for Close and the answers to Ping and Close.

use std::{
    io::{self, ErrorKind, Read as _, Write},
    ops::Range,
};

use tungstenite::protocol::Role;

use super::{
    WRITE_BUFFER,
    mask::{Keys, apply},
};
use crate::{
    net::{out::Out, stream::Stream},
    proto::link::Kind,
};

/// Frames up to this size, header included, can take the short way. A read asks for what is free of it. The fuzz target
/// has no large ones.
const BUFFER: usize = if cfg!(fuzzing) { 200 } else { 128 * 1024 };
/// What lies in the buffer is moved to its front where less than this is free behind it.
const LEAST_READ: usize = BUFFER / 4;
/// How much of a large message is read at once: zeroed right before, while the cache has it.
const LARGE_READ: usize = BUFFER / 2;

/// Takes every write whole and never fails one, so that a read goes on where a Pong cannot leave. Failures are
/// kept for `flush`.
pub(super) struct Pipe {
    pub(super) out: Out,
    /// Bytes that tungstenite handed over.
    pub(super) accepted: u64,
    /// Bytes that reads may still take from the socket.
    pub(super) allowance: usize,
    role: Role,
    keys: Keys,
    /// What the peer's Close says: tungstenite hides a code that nobody may send.
    pub(super) close_code: Option<u16>,
    /// A frame's length breaks section 5.2: tungstenite takes any form.
    pub(super) unsound: bool,
    /// Read and not given out: `start..end`.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Bytes of the frame that tungstenite is reading, or that is a large message, as far as they have not come.
    rest: u64,
    /// A large message is being read.
    large: Option<Large>,
    /// Its buffer, up to `Large::filled`, and rubbish behind that; kept for the next one.
    vessel: Vec<u8>,
    /// tungstenite has the beginning of a message in fragments.
    fragments: bool,
    /// The receiving side is at its end: how. An error is told once.
    ended: Option<io::Result<()>>,
}

/// What lies at the front of the buffer.
pub(super) enum Front {
    /// A whole message, now given out: its payload in the buffer.
    Message(Kind, Range<usize>),
    /// The beginning of what may become one.
    Partial,
    /// Something for tungstenite.
    Other,
}

/// A message that does not fit the buffer.
struct Large {
    kind: Kind,
    mask: Option<[u8; 4]>,
    filled: usize,
}

/// What [`Pipe::collect`] found.
pub(super) enum Collected {
    /// The whole message is in the vessel.
    Whole(Kind),
    /// More of it is to come.
    Blocked,
    /// It is text, and not UTF-8.
    NotUtf8,
    /// Something for tungstenite.
    Other,
}

/// A frame header (RFC 6455 section 5.2): its first byte, its length, the payload's, and the mask.
struct Header {
    first: u8,
    len: usize,
    payload: u64,
    mask: Option<[u8; 4]>,
    /// The length has its shortest form, and its highest bit is 0.
    sound: bool,
}

impl Header {
    /// None where more bytes are needed.
    #[inline(always)]
    fn parse(data: &[u8]) -> Option<Header> {
        let [first, second, rest @ ..] = data else { return None };
        let (payload, at, least) = match second & 0x7f {
            126 => (u64::from(u16::from_be_bytes(*rest.first_chunk()?)), 4, 126),
            127 => (u64::from_be_bytes(*rest.first_chunk()?), 10, 1 << 16),
            short => (u64::from(short), 2, 0),
        };
        let sound = payload >= least && payload >> 63 == 0;
        if second & 0x80 == 0 {
            return Some(Header { first: *first, len: at, payload, mask: None, sound });
        }
        let mask = *data.get(at..)?.first_chunk()?;
        Some(Header { first: *first, len: at + 4, payload, mask: Some(mask), sound })
    }
}

impl Pipe {
    /// `ahead` is what was read with the HTTP head.
    pub(super) fn new(stream: Stream, mut ahead: Vec<u8>, role: Role) -> Pipe {
        let end = ahead.len();
        // Zeroed at the start: pages that no read reaches are never there.
        let buffer = if ahead.is_empty() {
            vec![0; BUFFER]
        } else {
            ahead.resize(end.max(BUFFER), 0);
            ahead
        };
        Pipe {
            out: Out::new(stream),
            accepted: 0,
            allowance: usize::MAX,
            role,
            keys: Keys::new(),
            close_code: None,
            unsound: false,
            buffer,
            start: 0,
            end,
            rest: 0,
            large: None,
            vessel: Vec::new(),
            fragments: false,
            ended: None,
        }
    }

    /// Takes a message off the front of the buffer, at most `limit` bytes long. Text is UTF-8.
    #[inline(always)]
    pub(super) fn take(&mut self, limit: usize) -> Front {
        if self.rest > 0 || self.fragments || self.ended.is_some() {
            return Front::Other;
        }
        let data = &self.buffer[self.start..self.end];
        let Some(header) = Header::parse(data) else { return Front::Partial };
        let Some((kind, payload)) = self.message(&header, limit) else { return Front::Other };
        if payload > BUFFER - header.len {
            return Front::Other;
        }
        if data.len() < header.len + payload {
            return Front::Partial;
        }
        let start = self.start + header.len;
        let range = start..start + payload;
        if !self.reveal(kind, range.clone(), header.mask) {
            return Front::Other;
        }
        self.start = range.end;
        Front::Message(kind, range)
    }

    /// The kind and the length of the message where `header` begins one that is whole, as it should be, and allowed.
    #[inline(always)]
    fn message(&self, header: &Header, limit: usize) -> Option<(Kind, usize)> {
        let kind = match header.first {
            0x81 => Kind::Text,
            0x82 => Kind::Binary,
            _ => return None,
        };
        let masked = header.mask.is_some() == (self.role == Role::Server);
        let payload = usize::try_from(header.payload).ok()?;
        (masked && header.sound && payload <= limit).then_some((kind, payload))
    }

    /// Goes on with a large message, or begins it: after `take` said `Other`.
    pub(super) fn collect(&mut self, limit: usize) -> Collected {
        if self.large.is_none() && !self.begin_large(limit) {
            return Collected::Other;
        }
        while self.rest > 0 {
            match self.read_large() {
                Ok(0) => {
                    // tungstenite tells the end.
                    (self.large, self.rest) = (None, 0);
                    return Collected::Other;
                }
                Ok(_) => {}
                Err(_) => return Collected::Blocked,
            }
        }
        let Some(large) = self.large.take() else { return Collected::Other };
        self.vessel.truncate(large.filled);
        if let Some(mask) = large.mask {
            apply(&mut self.vessel, mask);
        }
        match large.kind == Kind::Binary || std::str::from_utf8(&self.vessel).is_ok() {
            true => Collected::Whole(large.kind),
            false => Collected::NotUtf8,
        }
    }

    /// Moves the beginning of a large message from the buffer to the vessel. False: there is none at the front.
    fn begin_large(&mut self, limit: usize) -> bool {
        if self.rest > 0 || self.fragments || self.ended.is_some() {
            return false;
        }
        let Some(header) = Header::parse(&self.buffer[self.start..self.end]) else { return false };
        let Some((kind, payload)) = self.message(&header, limit) else { return false };
        let start = self.start + header.len;
        let end = self.end.min(start + payload);
        // One byte more for the separator of whoever prints it.
        if self.vessel.capacity() < payload + 1 {
            self.vessel = Vec::new();
            self.vessel.reserve_exact(payload + 1);
        }
        begin(&mut self.vessel, &self.buffer[start..end]);
        self.large = Some(Large { kind, mask: header.mask, filled: end - start });
        self.rest = (payload - (end - start)) as u64;
        self.start = end;
        true
    }

    /// Reads more of it; 0 at the end of the stream.
    fn read_large(&mut self) -> io::Result<usize> {
        let Some(Large { filled, .. }) = self.large else { return Ok(0) };
        let end = filled + usize::try_from(self.rest).unwrap_or(usize::MAX).min(LARGE_READ);
        let mut vessel = std::mem::take(&mut self.vessel);
        if vessel.len() < end {
            vessel.resize(end, 0);
        }
        let result = self.read_stream(&mut vessel[filled..end]);
        self.vessel = vessel;
        let n = result?;
        self.rest -= n as u64;
        self.large.iter_mut().for_each(|large| large.filled += n);
        Ok(n)
    }

    /// The buffer of the large message that `collect` found whole.
    pub(super) fn vessel(&mut self) -> &mut Vec<u8> {
        &mut self.vessel
    }

    /// A buffer that the next large message can have; or the one under way, while most of it is to come: memory that
    /// was never touched is a page fault for every 4 KiB, and is given up here.
    pub(super) fn reuse(&mut self, mut vessel: Vec<u8>) {
        if vessel.capacity() < self.vessel.capacity() {
            return;
        }
        if let Some(Large { filled, .. }) = self.large {
            if filled as u64 > self.rest {
                return;
            }
            begin(&mut vessel, &self.vessel[..filled]);
        }
        self.vessel = vessel;
    }

    /// Unmasks a payload. False, and all as it was, for text that is not UTF-8: tungstenite says so.
    #[inline(always)]
    fn reveal(&mut self, kind: Kind, range: Range<usize>, mask: Option<[u8; 4]>) -> bool {
        let payload = &mut self.buffer[range];
        if let Some(mask) = mask {
            apply(payload, mask);
        }
        if kind == Kind::Binary || std::str::from_utf8(payload).is_ok() {
            return true;
        }
        if let Some(mask) = mask {
            apply(payload, mask);
        }
        false
    }

    pub(super) fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.buffer[range]
    }

    /// Queues a frame whose first byte is `first`; writes where much has gathered. tungstenite hands over at once
    /// what it has of its own, so that all leaves in the order in which it was given.
    #[inline(always)]
    pub(super) fn put_frame(&mut self, first: u8, payload: &[u8]) {
        let mut head = [first; 10];
        let (short, len) = match payload.len() {
            short @ 0..=125 => (short as u8, 2),
            long @ 126..=0xffff => {
                head[2..4].copy_from_slice(&(long as u16).to_be_bytes());
                (126, 4)
            }
            long => {
                head[2..].copy_from_slice(&(long as u64).to_be_bytes());
                (127, 10)
            }
        };
        let key = (self.role == Role::Client).then(|| self.keys.next());
        head[1] = short | if key.is_some() { 0x80 } else { 0 };
        let queue = self.out.tail();
        queue.reserve(len + 4 + payload.len());
        queue.extend_from_slice(&head[..len]);
        queue.extend_from_slice(key.as_ref().map_or(&[], |key| &key[..]));
        let start = queue.len();
        queue.extend_from_slice(payload);
        if let Some(key) = key {
            apply(&mut queue[start..], key);
        }
        self.out.drain_if_above(WRITE_BUFFER);
    }

    /// Reads more into the buffer, behind what waits there; `WouldBlock`, or else there is more, or the end,
    /// which tungstenite is to find.
    pub(super) fn fill(&mut self) -> io::Result<()> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.buffer.len() - self.end < LEAST_READ {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let (end, len) = (self.end, self.buffer.len());
        // Never without room: what waits is shorter than a frame that fits.
        let mut buffer = std::mem::take(&mut self.buffer);
        let result = self.read_stream(&mut buffer[end..len]);
        self.buffer = buffer;
        self.end += result?;
        Ok(())
    }

    /// Reads what the allowance lets; 0 at the end. Errors but `WouldBlock` are the end as well.
    fn read_stream(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.ended.is_some() {
            return Ok(0);
        }
        if self.allowance == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        let most = buf.len().min(self.allowance);
        match self.out.stream.read(&mut buf[..most]) {
            Ok(0) => self.ended = Some(Ok(())),
            Ok(n) => {
                self.allowance -= n;
                return Ok(n);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(error),
            Err(error) => self.ended = Some(Err(error)),
        }
        Ok(0)
    }

    /// Finds out how long the next frame is. False: the stream ends before.
    fn begin_frame(&mut self) -> io::Result<bool> {
        loop {
            let data = &self.buffer[self.start..self.end];
            if let Some(header) = Header::parse(data) {
                if !header.sound {
                    self.unsound = true;
                    return Err(ErrorKind::InvalidData.into());
                }
                if header.first == 0x88 && self.close_code.is_none() && header.payload >= 2 {
                    let code = data.get(header.len..header.len + 2);
                    if code.is_none() && self.ended.is_none() {
                        self.fill()?;
                        continue;
                    }
                    let mask = header.mask.unwrap_or_default();
                    self.close_code =
                        code.map(|code| u16::from_be_bytes([code[0] ^ mask[0], code[1] ^ mask[1]]));
                }
                self.rest = (header.len as u64).saturating_add(header.payload);
                let control = header.first & 0x08 != 0;
                let last = header.first & 0x80 != 0;
                self.fragments = if control { self.fragments } else { !last };
                return Ok(true);
            }
            if self.ended.is_some() {
                return Ok(false);
            }
            self.fill()?;
        }
    }

    fn tell_end(&mut self) -> io::Result<usize> {
        self.ended.replace(Ok(())).unwrap_or(Ok(())).map(|()| 0)
    }

    fn give(&mut self, buf: &mut [u8], most: usize) -> usize {
        let n = (self.end - self.start).min(most).min(buf.len());
        buf[..n].copy_from_slice(&self.buffer[self.start..self.start + n]);
        self.start += n;
        n
    }
}

/// Puts `data` at the front of `vessel`. What is initialised behind it stays so: that need not be done again.
fn begin(vessel: &mut Vec<u8>, data: &[u8]) {
    let (over, behind) = data.split_at(data.len().min(vessel.len()));
    vessel[..over.len()].copy_from_slice(over);
    vessel.extend_from_slice(behind);
}

impl io::Read for Pipe {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.rest == 0 && !self.begin_frame()? {
            // The rest of a header that will never be whole, and then the end.
            return match self.give(buf, usize::MAX) {
                0 => self.tell_end(),
                n => Ok(n),
            };
        }
        let most = usize::try_from(self.rest).unwrap_or(usize::MAX);
        let mut n = self.give(buf, most);
        if n == 0 {
            let most = most.min(buf.len());
            n = self.read_stream(&mut buf[..most])?;
        }
        if n == 0 {
            return self.tell_end();
        }
        self.rest -= n as u64;
        Ok(n)
    }
}

impl Write for Pipe {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.out.len() + buf.len() <= WRITE_BUFFER {
            self.out.append(buf);
        } else {
            self.out.put(buf);
        }
        self.accepted += buf.len() as u64;
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.out.drain();
        Ok(())
    }
}
