//! Brokers of a kind: over WebSocket or plain TCP, whichever the client begins with, MQTT 3.1.1 or 5.0 as its
//! CONNECT says. Packets are skipped by their Remaining Length; nothing is checked.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
};

use crate::{
    cpu, frames, now,
    servers::{accept, listen},
    upgrade::upgrade,
};

const BLOCK: usize = 256 * 1024;
const TOPIC: &[u8] = b"bench/topic";

/// A client's stream with the frames taken off.
struct Transport {
    stream: TcpStream,
    framed: bool,
    /// As it came; frames in it are still masked.
    raw: Vec<u8>,
    filled: usize,
    /// Of the data frame under way: payload bytes to come, and the mask, turned to what is next.
    left: u64,
    mask: [u8; 4],
    /// MQTT bytes, and how far they are dealt with.
    plain: Vec<u8>,
    at: usize,
    open: bool,
}

impl Transport {
    /// Waits for a client, and upgrades it where it asks for that.
    fn accept() -> io::Result<Transport> {
        Transport::new(accept()?)
    }

    fn new(mut stream: TcpStream) -> io::Result<Transport> {
        let mut first = [0];
        if stream.peek(&mut first)? == 0 {
            return Err(io::Error::other("the client went before its first byte"));
        }
        let framed = first == *b"G";
        let ahead = if framed { upgrade(&mut stream)? } else { Vec::new() };
        let mut raw = vec![0; BLOCK];
        raw[..ahead.len()].copy_from_slice(&ahead);
        let (filled, left, mask) = (ahead.len(), 0, [0; 4]);
        Ok(Transport { stream, framed, raw, filled, left, mask, plain: Vec::new(), at: 0, open: true })
    }

    /// Reads once; false at the end of the stream.
    fn fill(&mut self) -> io::Result<bool> {
        self.plain.drain(..self.at);
        self.at = 0;
        let n = if self.open { read(&mut self.stream, &mut self.raw[self.filled..])? } else { 0 };
        self.filled += n;
        if self.framed {
            self.unframe()?;
        } else {
            self.plain.extend_from_slice(&self.raw[..self.filled]);
            self.filled = 0;
        }
        Ok(n > 0)
    }

    /// Data frames' payloads to `plain`; Close and Ping are answered.
    fn unframe(&mut self) -> io::Result<()> {
        let mut at = 0;
        loop {
            let here = self.left.min((self.filled - at) as u64) as usize;
            let from = self.plain.len();
            self.plain.extend_from_slice(&self.raw[at..at + here]);
            frames::unmask_fast(&mut self.plain[from..], self.mask);
            self.mask.rotate_left(here % 4);
            at += here;
            self.left -= here as u64;
            if self.left > 0 {
                break;
            }
            let Some(head) = frames::header(&self.raw[at..self.filled]) else { break };
            if head.first & 0x08 == 0 {
                at += head.len;
                self.left = head.payload;
                self.mask = head.mask.unwrap_or_default();
                continue;
            }
            let mut front = self.raw[at..self.filled].to_vec();
            let whole = front.len();
            let Some((first, payload)) = frames::take(&mut front) else { break };
            at += whole - front.len();
            self.answer(first & 0x0f, &payload)?;
        }
        self.raw.copy_within(at..self.filled, 0);
        self.filled -= at;
        Ok(())
    }

    fn answer(&mut self, opcode: u8, payload: &[u8]) -> io::Result<()> {
        let mut out = Vec::new();
        match opcode {
            8 => {
                frames::put(&mut out, 0x88, payload);
                self.open = false;
            }
            9 => frames::put(&mut out, 0x8a, payload),
            _ => {}
        }
        self.stream.write_all(&out)
    }

    /// Sends packets, as one frame where there are frames.
    fn send(&mut self, packets: &[u8]) -> io::Result<()> {
        if !self.framed || packets.is_empty() {
            return self.stream.write_all(packets);
        }
        let mut out = Vec::with_capacity(packets.len() + 10);
        frames::put(&mut out, 0x82, packets);
        self.stream.write_all(&out)
    }

    /// The next packet that is all there: its first byte, and what follows the fixed header.
    #[inline]
    fn packet(&mut self) -> Option<(u8, &[u8])> {
        let bytes = &self.plain[self.at..];
        let (mut len, mut header) = (0, 1);
        loop {
            let byte = *bytes.get(header)?;
            len |= usize::from(byte & 0x7f) << (7 * (header - 1));
            header += 1;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let body = bytes.get(header..header + len)?;
        self.at += header + len;
        Some((bytes[0], body))
    }

    /// The next packet, once it has come.
    fn wait(&mut self) -> io::Result<(u8, Vec<u8>)> {
        loop {
            if let Some((first, body)) = self.packet() {
                return Ok((first, body.to_vec()));
            }
            if !self.fill()? {
                return Err(io::Error::other("the client went too early"));
            }
        }
    }
}

/// A client that leaves without reading all resets the connection: an end like any other.
fn read(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    match stream.read(buffer) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(0),
        result => result,
    }
}

/// CONNACK to the CONNECT that must come first; true for 5.0.
fn log_in(transport: &mut Transport, receive_maximum: u16) -> io::Result<bool> {
    let (first, connect) = transport.wait()?;
    if first != 0x10 {
        return Err(io::Error::other("the first packet is no CONNECT"));
    }
    let v5 = connect.get(6) == Some(&5);
    let [high, low] = receive_maximum.to_be_bytes();
    match (v5, receive_maximum) {
        (true, 0) => transport.send(&[0x20, 3, 0, 0, 0])?,
        (true, _) => transport.send(&[0x20, 6, 0, 0, 3, 0x21, high, low])?,
        (false, _) => transport.send(&[0x20, 2, 0, 0])?,
    }
    Ok(v5)
}

/// Connection after connection, takes what comes and answers what wants an answer, up to DISCONNECT or the end.
pub fn broker() -> io::Result<()> {
    let listener = listen()?;
    loop {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        // A client that breaks off is not this server's matter.
        let _ = broker_one(stream);
    }
}

fn broker_one(stream: TcpStream) -> io::Result<()> {
    let mut transport = Transport::new(stream)?;
    log_in(&mut transport, 0)?;
    loop {
        let mut out = Vec::new();
        while let Some((first, body)) = transport.packet() {
            if first >> 4 == 3 && first & 0x06 != 0 {
                let topic = usize::from(u16::from_be_bytes([body[0], body[1]]));
                out.extend_from_slice(&[0x40, 2, body[2 + topic], body[3 + topic]]);
            }
            if first >> 4 == 12 {
                out.extend_from_slice(&[0xd0, 0]);
            }
            if first >> 4 == 14 && !transport.framed {
                return Ok(());
            }
        }
        transport.send(&out)?;
        if !transport.fill()? {
            return Ok(());
        }
    }
}

/// Counts PUBLISHes to the end, and acknowledges those of QoS 1 in as few writes as reads. `receive_maximum`
/// goes into CONNACK (5.0), where it is not 0.
pub fn sink(count: u64, receive_maximum: u16) -> io::Result<()> {
    let mut transport = Transport::accept()?;
    log_in(&mut transport, receive_maximum)?;
    let start = now();
    let (mut end, mut messages, mut bytes) = (start, 0u64, 0u64);
    let mut out = Vec::new();
    let mut left = false;
    loop {
        let before = messages;
        while let Some((first, body)) = transport.packet() {
            match first >> 4 {
                3 => {
                    messages += 1;
                    bytes += body.len() as u64;
                    if first & 0x06 != 0 {
                        let topic = usize::from(u16::from_be_bytes([body[0], body[1]]));
                        out.extend_from_slice(&[0x40, 2, body[2 + topic], body[3 + topic]]);
                    }
                }
                12 => out.extend_from_slice(&[0xd0, 0]),
                14 => left = true,
                _ => {}
            }
        }
        // Who leaves before its acknowledgements is counted all the same.
        let answered = transport.send(&out);
        out.clear();
        if messages > before && before < count {
            end = now();
        }
        if answered.is_err() || !transport.fill()? {
            break;
        }
    }
    println!(
        r#"{{"start":{start},"end":{end},"messages":{messages},"bytes":{bytes},"disconnect":{left},"peer_cpu":{}}}"#,
        cpu()
    );
    Ok(())
}

/// Sends `count` PUBLISHes of `size` bytes at QoS 0, made beforehand, once a SUBSCRIBE has come: each in its
/// own frame, or `together` in large ones. Reads to the end then.
pub fn source(count: u64, size: usize, together: bool) -> io::Result<()> {
    let mut transport = Transport::accept()?;
    let v5 = log_in(&mut transport, 0)?;
    let suback = loop {
        if let (0x82, body) = transport.wait()? {
            break suback(&body, v5);
        }
    };
    let packet = publish(size, v5);
    let framed_each = transport.framed && !together;
    let mut unit = Vec::new();
    if framed_each {
        frames::put(&mut unit, 0x82, &packet);
    } else {
        unit = packet;
    }
    let each = (BLOCK / unit.len()).max(1) as u64;
    let block = unit.repeat(each as usize);
    transport.send(&suback)?;
    let start = now();
    let mut left = count;
    while left > 0 {
        let part = left.min(each);
        let packets = &block[..part as usize * unit.len()];
        if framed_each {
            transport.stream.write_all(packets)?
        } else {
            transport.send(packets)?
        }
        left -= part;
    }
    let end = now();
    while transport.fill()? {
        transport.at = transport.plain.len();
    }
    println!(r#"{{"start":{start},"end":{end},"peer_cpu":{}}}"#, cpu());
    Ok(())
}

/// QoS 0 granted for one filter, which is all that the benchmarks subscribe to.
fn suback(subscribe: &[u8], v5: bool) -> Vec<u8> {
    let mut out = vec![0x90, if v5 { 4 } else { 3 }, subscribe[0], subscribe[1]];
    out.resize(if v5 { 6 } else { 5 }, 0);
    out
}

fn publish(size: usize, v5: bool) -> Vec<u8> {
    let mut out = vec![0x30];
    let mut len = 2 + TOPIC.len() + usize::from(v5) + size;
    while len > 0x7f {
        out.push(len as u8 | 0x80);
        len >>= 7;
    }
    out.push(len as u8);
    out.extend_from_slice(&(TOPIC.len() as u16).to_be_bytes());
    out.extend_from_slice(TOPIC);
    out.extend(v5.then_some(0));
    out.extend((0..size).map(|n| b'a' + (n % 26) as u8));
    out
}
