//! The server's side of a connection, WebSocket or plain TCP, which is cut at the very byte it is told.

pub mod attend;
pub mod exchange;
pub mod model;
pub mod packet;
pub mod sweep;

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use tungstenite::handshake::derive_accept_key;

/// A panic of another thread is the end anyway.
pub fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// How long the client may say nothing.
const READ_LIMIT: Duration = Duration::from_secs(15);

/// Whose bytes are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What we send.
    Sent,
    /// What we have read.
    Read,
}

/// The end of a connection: after `at` bytes of that side, by FIN or by RST.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    pub side: Side,
    pub at: usize,
    pub reset: bool,
}

pub struct Wire {
    stream: TcpStream,
    websocket: bool,
    cut: Option<Cut>,
    /// Bytes so far, of the WebSocket layer where there is one.
    pub sent: usize,
    pub read: usize,
    /// What was read and is not decoded yet, and the bytes within frames.
    raw: Vec<u8>,
    inside: Vec<u8>,
    /// What is left of the frame being read: bytes, mask, place in the mask.
    frame: Option<(u64, [u8; 4], usize)>,
    closed: bool,
    /// Close and Ping get no answer.
    silent: bool,
    pings: u64,
    /// The payload of the last Pong.
    pong: Vec<u8>,
}

/// The script ends here: the cut is made.
fn cut_made() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "cut")
}

impl Wire {
    pub fn new(stream: TcpStream, websocket: bool, cut: Option<Cut>) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(READ_LIMIT))?;
        stream.set_write_timeout(Some(READ_LIMIT))?;
        Ok(Self::of(stream, websocket, cut))
    }

    fn of(stream: TcpStream, websocket: bool, cut: Option<Cut>) -> Self {
        Self {
            stream,
            websocket,
            cut,
            sent: 0,
            read: 0,
            raw: Vec::new(),
            inside: Vec::new(),
            frame: None,
            closed: false,
            silent: false,
            pings: 0,
            pong: Vec::new(),
        }
    }

    /// The reading side alone, for another thread, with what was read already: Close and Ping get no answer.
    pub fn reader(&mut self) -> io::Result<Self> {
        let mut reader = Self::of(self.stream.try_clone()?, self.websocket, None);
        (reader.raw, reader.inside) = (std::mem::take(&mut self.raw), std::mem::take(&mut self.inside));
        (reader.frame, reader.silent) = (self.frame.take(), true);
        Ok(reader)
    }

    /// The Pings that came so far.
    pub fn pings(&self) -> u64 {
        self.pings
    }

    /// The payload of the last Pong.
    pub fn pong(&self) -> &[u8] {
        &self.pong
    }

    /// Reads and forgets all that still comes.
    pub fn drain(&mut self) -> io::Result<()> {
        self.stream.set_read_timeout(None)?;
        io::copy(&mut self.stream, &mut io::sink()).map(|_| ())
    }

    /// Writes, and calls `blocked` whenever the client has taken nothing for `patience`.
    pub fn write_patiently(
        &mut self,
        mut bytes: &[u8],
        patience: Duration,
        blocked: &mut dyn FnMut(),
    ) -> io::Result<()> {
        self.stream.set_write_timeout(Some(patience))?;
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(n) => bytes = &bytes[n..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => blocked(),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether the cut has been reached.
    pub fn is_cut(&self) -> bool {
        self.cut.is_some_and(|cut| match cut.side {
            Side::Sent => self.sent >= cut.at,
            Side::Read => self.read >= cut.at,
        })
    }

    /// Makes the cut if it is due: RST by a close that lingers for no time, FIN with whatever still comes read.
    fn cut_if_due(&mut self) -> io::Result<()> {
        let Some(cut) = self.cut.filter(|_| self.is_cut()) else { return Ok(()) };
        if cut.reset {
            rustix::net::sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO))?;
        } else {
            self.stream.shutdown(Shutdown::Write)?;
            io::copy(&mut self.stream, &mut io::sink())?;
        }
        Err(cut_made())
    }

    /// Bytes as they are.
    pub fn write_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.cut_if_due()?;
        let room = match self.cut {
            Some(Cut { side: Side::Sent, at, .. }) => at - self.sent,
            _ => usize::MAX,
        };
        let part = &bytes[..bytes.len().min(room)];
        self.stream.write_all(part)?;
        self.sent += part.len();
        // At its very end all of it is sent: that is for the next call.
        if part.len() < bytes.len() { self.cut_if_due() } else { Ok(()) }
    }

    /// MQTT packets, in one binary frame on a WebSocket.
    pub fn send(&mut self, packets: &[u8]) -> io::Result<()> {
        match self.websocket && !packets.is_empty() {
            true => self.write_raw(&frame(0x82, packets)),
            false => self.write_raw(packets),
        }
    }

    /// More bytes from the client; false at its end. Where a byte read may be the last, one at a time, so that
    /// what is answered does not depend on how they came.
    fn fill(&mut self) -> io::Result<bool> {
        self.cut_if_due()?;
        let mut buffer = [0; 16 * 1024];
        let most = if self.cut.is_some_and(|cut| cut.side == Side::Read) { 1 } else { buffer.len() };
        let n = self.stream.read(&mut buffer[..most])?;
        self.read += n;
        self.raw.extend_from_slice(&buffer[..n]);
        Ok(n > 0)
    }

    /// Reads the upgrade request and answers it, choosing `mqtt` if that was asked for.
    pub fn upgrade(&mut self) -> io::Result<()> {
        if !self.websocket {
            return Ok(());
        }
        let end = loop {
            if let Some(at) = self.raw.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            if !self.fill()? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        };
        let head = String::from_utf8_lossy(&self.raw[..end]).into_owned();
        self.raw.drain(..end);
        let value = |name: &str| {
            let fields = head.lines().filter_map(|line| line.split_once(':'));
            fields.into_iter().find(|field| field.0.eq_ignore_ascii_case(name)).map(|field| field.1.trim())
        };
        let key = derive_accept_key(value("Sec-WebSocket-Key").unwrap_or_default().as_bytes());
        let chosen =
            value("Sec-WebSocket-Protocol").map(|name| format!("Sec-WebSocket-Protocol: {name}\r\n"));
        self.write_raw(
            format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {key}\r\n{}\r\n",
                chosen.unwrap_or_default()
            )
            .as_bytes(),
        )
    }

    /// The next MQTT packet, whole; none at the end.
    pub fn packet(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(packet) = self.buffered()? {
                return Ok(Some(packet));
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// Reads once; false at the end.
    pub fn read_more(&mut self) -> io::Result<bool> {
        self.fill()
    }

    /// The next MQTT packet, if what was read holds it all.
    pub fn buffered(&mut self) -> io::Result<Option<Vec<u8>>> {
        if self.websocket {
            self.unframe()?;
        } else {
            self.inside.append(&mut self.raw);
        }
        let length = packet::length(&self.inside).filter(|length| self.inside.len() >= *length);
        Ok(length.map(|length| self.inside.drain(..length).collect()))
    }

    /// Takes what has come out of its frames, each byte as soon as it is there. Close and Ping are answered.
    fn unframe(&mut self) -> io::Result<()> {
        loop {
            if let Some((left, mask, place)) = &mut self.frame {
                let n = self.raw.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                for byte in self.raw.drain(..n) {
                    self.inside.push(byte ^ mask[*place % 4]);
                    *place += 1;
                }
                *left -= n as u64;
                if *left > 0 {
                    return Ok(());
                }
                self.frame = None;
            }
            let Some(head) = head(&self.raw) else { return Ok(()) };
            if head.opcode < 8 {
                self.raw.drain(..head.length);
                self.frame = Some((head.payload, head.mask, 0));
                continue;
            }
            let end = head.length + head.payload as usize;
            if self.raw.len() < end {
                return Ok(());
            }
            let bytes = self.raw[head.length..end].iter().zip(head.mask.iter().cycle());
            let payload: Vec<u8> = bytes.map(|(byte, mask)| byte ^ mask).collect();
            self.raw.drain(..end);
            self.pings += u64::from(head.opcode == 9);
            match head.opcode {
                10 => self.pong = payload,
                _ if self.silent => {}
                8 if !std::mem::replace(&mut self.closed, true) => {
                    self.write_raw(&frame(0x88, &payload))?;
                    self.cut_if_due()?;
                    self.stream.shutdown(Shutdown::Write)?;
                }
                9 => self.write_raw(&frame(0x8a, &payload))?,
                _ => {}
            }
        }
    }
}

struct Head {
    opcode: u8,
    /// Of the head itself.
    length: usize,
    payload: u64,
    mask: [u8; 4],
}

/// The head of a client's frame, which is masked (RFC 6455 section 5.2), once it is all there.
fn head(raw: &[u8]) -> Option<Head> {
    let long = match raw.get(1)? & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let wide = raw.get(2..2 + long)?.iter().fold(0, |length, byte| length << 8 | u64::from(*byte));
    let payload = if long == 0 { u64::from(raw[1] & 0x7f) } else { wide };
    let mask = raw.get(2 + long..6 + long)?.try_into().ok()?;
    Some(Head { opcode: raw[0] & 0x0f, length: 6 + long, payload, mask })
}

/// A server's frame. The first byte is FIN, the reserved bits and the opcode.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        n @ 0..=125 => frame.push(n as u8),
        n @ 126..=0xffff => {
            frame.push(126);
            frame.extend((n as u16).to_be_bytes());
        }
        n => {
            frame.push(127);
            frame.extend((n as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}
