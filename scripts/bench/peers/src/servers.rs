//! The servers. One connection each, but for the echoes.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
};

use crate::{
    frames::{self, Counter},
    now, pace,
    tls::{self, Stream},
    upgrade::upgrade,
};

const CLOSE: u8 = 0x88;
const PONG: u8 = 0x8a;
/// About how much is handed to one write.
const BLOCK: usize = 256 * 1024;

pub fn listen() -> io::Result<TcpListener> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    println!("{}", listener.local_addr()?.port());
    Ok(listener)
}

/// Listens, says where, and waits for one connection.
pub fn accept() -> io::Result<TcpStream> {
    let (stream, _) = listen()?.accept()?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The same under TLS, where `pem` is the file with certificate and key.
fn accept_by(pem: Option<&str>) -> io::Result<Box<dyn Stream>> {
    let stream = accept()?;
    match pem {
        Some(pem) => tls::accept(stream, pem),
        None => Ok(Box::new(stream)),
    }
}

/// Counts messages until `count` have come, or `bytes` bytes of them, and goes on until Close or the end.
pub fn ws_sink(count: u64, bytes: u64, rate: u64, pem: Option<&str>) -> io::Result<()> {
    let mut stream = accept_by(pem)?;
    let ahead = upgrade(&mut *stream)?;
    let start = now();
    let mut end = start;
    let mut counter = Counter::new(&ahead);
    let mut out = Vec::new();
    let mut closed = false;
    loop {
        while let Some(control) = counter.scan() {
            out.clear();
            match control.opcode {
                8 => {
                    frames::put(&mut out, CLOSE, &control.payload);
                    closed = true;
                }
                9 => frames::put(&mut out, PONG, &control.payload),
                _ => {}
            }
            stream.write_all(&out)?;
        }
        let whole = counter.messages >= count && counter.bytes >= bytes && counter.between_frames();
        if whole && end == start {
            end = now();
        }
        // Who leaves with no close_notify is counted all the same.
        if closed || !counter.fill(&mut *stream).unwrap_or(false) {
            break;
        }
        pace(start, counter.bytes, rate);
    }
    let Counter { messages, bytes, fragments, .. } = counter;
    println!(
        r#"{{"start":{start},"end":{end},"messages":{messages},"bytes":{bytes},"fragments":{fragments},"closed":{closed}}}"#
    );
    Ok(())
}

/// Sends `count` messages of `size` bytes made beforehand, then Close, and reads to the end.
pub fn ws_source(count: u64, size: usize, text: bool, pem: Option<&str>) -> io::Result<()> {
    let payload: Vec<u8> = (0..size).map(|n| b'a' + (n % 26) as u8).collect();
    let first = if text { 0x81 } else { 0x82 };
    let mut block = Vec::new();
    let mut each = 0;
    while block.is_empty() || block.len() + size < BLOCK {
        frames::put(&mut block, first, &payload);
        each += 1;
    }
    let frame = block.len() / each as usize;
    let mut stream = accept_by(pem)?;
    upgrade(&mut *stream)?;
    let start = now();
    let mut left = count;
    while left > 0 {
        let part = left.min(each);
        stream.write_all(&block[..part as usize * frame])?;
        left -= part;
    }
    let end = now();
    let mut close = Vec::new();
    frames::put(&mut close, CLOSE, &1000u16.to_be_bytes());
    stream.write_all(&close)?;
    // Up to the answer: ending at once could cut what is under way.
    let mut counter = Counter::new(&[]);
    let closed = loop {
        match counter.scan() {
            Some(control) if control.opcode == 8 => break true,
            Some(_) => {}
            None if counter.fill(&mut *stream)? => {}
            None => break false,
        }
    };
    println!(r#"{{"start":{start},"end":{end},"closed":{closed}}}"#);
    Ok(())
}

/// Echoes messages in single frames until Close.
pub fn ws_echo() -> io::Result<()> {
    let listener = listen()?;
    loop {
        let (mut stream, _) = listener.accept()?;
        // A client that breaks off is not this server's matter.
        let _ = ws_echo_one(&mut stream);
    }
}

fn ws_echo_one(stream: &mut TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = upgrade(stream)?;
    let mut part = vec![0; 64 * 1024];
    let mut out = Vec::new();
    loop {
        out.clear();
        let mut closed = false;
        while let Some((first, payload)) = frames::take(&mut buffer) {
            match first & 0x0f {
                8 => {
                    frames::put(&mut out, CLOSE, &payload);
                    closed = true;
                }
                9 => frames::put(&mut out, PONG, &payload),
                10 => {}
                _ => frames::put(&mut out, first, &payload),
            }
        }
        if !out.is_empty() {
            stream.write_all(&out)?;
        }
        if closed {
            return Ok(());
        }
        match stream.read(&mut part)? {
            0 => return Ok(()),
            n => buffer.extend_from_slice(&part[..n]),
        }
    }
}

/// Reads to the end.
pub fn tcp_sink(pem: Option<&str>) -> io::Result<()> {
    let mut stream = accept_by(pem)?;
    let start = now();
    let mut buffer = vec![0; BLOCK];
    let mut bytes = 0u64;
    loop {
        match stream.read(&mut buffer)? {
            0 => break,
            n => bytes += n as u64,
        }
    }
    println!(r#"{{"start":{start},"end":{},"bytes":{bytes}}}"#, now());
    Ok(())
}

/// Sends `bytes` bytes, `size` a write.
pub fn tcp_source(bytes: u64, size: usize, pem: Option<&str>) -> io::Result<()> {
    let block = vec![b'x'; size];
    let mut stream = accept_by(pem)?;
    let start = now();
    let mut left = bytes;
    while left > 0 {
        let part = left.min(size as u64);
        stream.write_all(&block[..part as usize])?;
        left -= part;
    }
    let end = now();
    stream.finish()?;
    while stream.read(&mut [0; 4096])? > 0 {}
    println!(r#"{{"start":{start},"end":{end}}}"#);
    Ok(())
}

/// Echoes bytes.
pub fn tcp_echo() -> io::Result<()> {
    let listener = listen()?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        loop {
            match stream.read(&mut buffer) {
                Ok(0) | Err(_) => break,
                Ok(n) => stream.write_all(&buffer[..n])?,
            }
        }
    }
}
