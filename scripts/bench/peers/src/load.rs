//! A server that sends lines at a steady rate, and echoes what comes in between them.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::{frames, now, servers::accept, upgrade::upgrade};

const TEXT: u8 = 0x81;
/// How often lines go out.
const TICK: Duration = Duration::from_millis(1);
/// At most so many seconds' worth in one write, where the client has been slow.
const AT_ONCE: f64 = 0.01;

/// `rate` lines a second of `size` bytes, as messages where `framed`; to the client's Close or the end.
pub fn loaded(rate: f64, size: usize, framed: bool) -> io::Result<()> {
    let mut stream = accept()?;
    let ahead = if framed { upgrade(&mut stream)? } else { Vec::new() };
    let out = Mutex::new(stream.try_clone()?);
    let stop = AtomicBool::new(false);
    let start = now();
    let sent = std::thread::scope(|scope| {
        let load = scope.spawn(|| send(rate, size, framed, &out, &stop));
        // A client that breaks off is the end like any other.
        let _ = echo(&mut stream, ahead, framed, &out);
        stop.store(true, Ordering::Relaxed);
        // What blocks in a write to a client that has gone.
        let _ = stream.shutdown(Shutdown::Both);
        load.join().unwrap_or(0)
    });
    let seconds = (now() - start) as f64 / 1e9;
    println!(r#"{{"sent":{sent},"rate":{:.0}}}"#, sent as f64 / seconds);
    Ok(())
}

fn write(out: &Mutex<TcpStream>, bytes: &[u8]) -> io::Result<()> {
    out.lock().unwrap_or_else(PoisonError::into_inner).write_all(bytes)
}

/// The load; gives the lines that went out.
fn send(rate: f64, size: usize, framed: bool, out: &Mutex<TcpStream>, stop: &AtomicBool) -> u64 {
    let mut line = Vec::new();
    if framed {
        frames::put(&mut line, TEXT, &vec![b'l'; size]);
    } else {
        line = vec![b'l'; size];
        line.push(b'\n');
    }
    let most = ((rate * AT_ONCE) as u64).max(1);
    let block = line.repeat(most as usize);
    let (start, mut sent) = (now(), 0);
    while !stop.load(Ordering::Relaxed) {
        let due = ((now() - start) as f64 / 1e9 * rate) as u64 - sent;
        if due == 0 {
            std::thread::sleep(TICK);
            continue;
        }
        let part = due.min(most);
        if write(out, &block[..part as usize * line.len()]).is_err() {
            break;
        }
        sent += part;
        if due <= most {
            std::thread::sleep(TICK);
        }
    }
    sent
}

fn echo(stream: &mut TcpStream, ahead: Vec<u8>, framed: bool, out: &Mutex<TcpStream>) -> io::Result<()> {
    let mut buffer = ahead;
    let mut part = vec![0; 64 * 1024];
    loop {
        let mut answer = Vec::new();
        let mut closed = false;
        if !framed {
            answer.append(&mut buffer);
        }
        while let Some((first, payload)) = if framed { frames::take(&mut buffer) } else { None } {
            match first & 0x0f {
                8 => {
                    frames::put(&mut answer, 0x88, &payload);
                    closed = true;
                }
                9 => frames::put(&mut answer, 0x8a, &payload),
                10 => {}
                _ => frames::put(&mut answer, first, &payload),
            }
        }
        if !answer.is_empty() {
            write(out, &answer)?;
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
