//! A server that does to each connection what a script says: right, wrong or nothing at all.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use data_encoding::BASE64;
use sha1::{Digest as _, Sha1};

use super::broken;

/// How long a script waits for the client: longer than any client under test waits for it.
const READ_LIMIT: Duration = Duration::from_secs(15);

/// What happens on a connection. An error ends it and is nobody's fault: the client may leave at any
/// time. A panic fails the test.
type Script = dyn Fn(&mut Conn) -> io::Result<()> + Send + Sync;

/// A listening script.
pub struct Scripted {
    port: u16,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    seen: Mutex<Vec<Vec<u8>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    panics: AtomicBool,
}

impl Scripted {
    pub fn start(script: impl Fn(&mut Conn) -> io::Result<()> + Send + Sync + 'static) -> Scripted {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let shared = Arc::new(Shared::default());
        let ours = Arc::clone(&shared);
        let acceptor = thread::spawn(move || accept(&listener, &ours, Arc::new(script)));
        Scripted { port, shared, acceptor: Some(acceptor) }
    }

    /// `ws://` with this path.
    pub fn ws(&self, path: &str) -> String {
        format!("ws://127.0.0.1:{}{path}", self.port)
    }

    /// `mqtt://`.
    pub fn mqtt(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Bytes that all connections received so far.
    pub fn received(&self) -> usize {
        self.shared.seen.lock().expect("held for a moment only").iter().map(Vec::len).sum()
    }

    /// Waits for the scripts and gives what each connection received, in the order of connecting.
    pub fn finish(mut self) -> Vec<Vec<u8>> {
        self.stop();
        loop {
            let next = self.shared.threads.lock().expect("held for a moment only").pop();
            let Some(thread) = next else { break };
            let _ = thread.join();
        }
        assert!(!self.shared.panics.load(Ordering::SeqCst), "a script's check failed, see above");
        std::mem::take(&mut *self.shared.seen.lock().expect("held for a moment only"))
    }

    fn stop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // The acceptor sees the flag at its next connection: this one.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.stop();
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>, script: Arc<Script>) {
    for stream in listener.incoming().flatten() {
        if shared.stop.load(Ordering::SeqCst) {
            return;
        }
        let index = {
            let mut seen = shared.seen.lock().expect("held for a moment only");
            seen.push(Vec::new());
            seen.len() - 1
        };
        let (ours, script) = (Arc::clone(shared), Arc::clone(&script));
        let thread = thread::spawn(move || {
            let panics = Arc::clone(&ours);
            let mut conn = Conn { index, stream, shared: ours };
            let _ = conn.stream.set_read_timeout(Some(READ_LIMIT));
            let _ = conn.stream.set_write_timeout(Some(READ_LIMIT));
            let _ = conn.stream.set_nodelay(true);
            if catch_unwind(AssertUnwindSafe(|| script(&mut conn))).is_err() {
                panics.panics.store(true, Ordering::SeqCst);
            }
        });
        shared.threads.lock().expect("held for a moment only").push(thread);
    }
}

/// The server's side of a connection. Everything read is kept for [`Scripted::finish`].
pub struct Conn {
    /// 0 for the first connection to this server.
    pub index: usize,
    stream: TcpStream,
    shared: Arc<Shared>,
}

impl Conn {
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    pub fn read_exact(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.stream.read_exact(buffer)?;
        self.keep(buffer);
        Ok(())
    }

    /// Writes from another thread while the script reads.
    pub fn write_aside(&self, bytes: Vec<u8>) -> JoinHandle<io::Result<()>> {
        let stream = self.stream.try_clone();
        thread::spawn(move || stream?.write_all(&bytes))
    }

    /// Reads until the client ends the connection, so that our end of it is no reset.
    pub fn drain(&mut self) -> io::Result<()> {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer)? {
                0 => return Ok(()),
                n => self.keep(&buffer[..n]),
            }
        }
    }

    /// Nothing comes from the client for this long; what does come stays to be read.
    pub fn is_quiet(&mut self, time: Duration) -> io::Result<bool> {
        self.stream.set_read_timeout(Some(time))?;
        let waiting = self.stream.peek(&mut [0]);
        self.stream.set_read_timeout(Some(READ_LIMIT))?;
        Ok(waiting.is_err_and(|e| matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)))
    }

    /// Ends our direction, and reads what still comes.
    pub fn end(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)?;
        self.drain()
    }

    /// Ends the connection with a reset: bytes are left unread.
    pub fn reset(&mut self) -> io::Result<()> {
        let linger = Some(Duration::ZERO);
        rustix::net::sockopt::set_socket_linger(&self.stream, linger)?;
        Ok(())
    }

    fn keep(&self, bytes: &[u8]) {
        self.shared.seen.lock().expect("held for a moment only")[self.index].extend_from_slice(bytes);
    }

    // --- WebSocket

    /// Reads the head of the upgrade request.
    pub fn head(&mut self) -> io::Result<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        String::from_utf8(head).map_err(|_| broken("the request is not UTF-8"))
    }

    /// Reads the request and upgrades, choosing the subprotocol that was asked for.
    pub fn upgrade(&mut self) -> io::Result<()> {
        let head = self.head()?;
        self.write(accept_head(&head))
    }

    /// The next frame: its first byte and its payload, unmasked. Clients must mask.
    pub fn frame(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut start = [0; 2];
        self.read_exact(&mut start)?;
        assert!(start[1] & 0x80 != 0, "a client's frame is masked");
        let length = match start[1] & 0x7f {
            126 => {
                let mut long = [0; 2];
                self.read_exact(&mut long)?;
                u64::from(u16::from_be_bytes(long))
            }
            127 => {
                let mut long = [0; 8];
                self.read_exact(&mut long)?;
                u64::from_be_bytes(long)
            }
            short => u64::from(short),
        };
        let mut mask = [0; 4];
        self.read_exact(&mut mask)?;
        let mut payload = vec![0; length as usize];
        self.read_exact(&mut payload)?;
        payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        Ok((start[0], payload))
    }

    /// The next data message, or Close, with the first byte that it would have in one frame. Fragments are put
    /// together, pings answered, pongs passed over.
    pub fn message(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut message: Option<(u8, Vec<u8>)> = None;
        loop {
            let (first, payload) = self.frame()?;
            match first {
                0x89 => self.write(frame(0x8a, &payload))?,
                0x8a => {}
                0x88 => return Ok((first, payload)),
                _ => {
                    assert_eq!(message.is_none(), first & 0x0f != 0, "a frame out of its order: {first:#x}");
                    message.get_or_insert((first | 0x80, Vec::new())).1.extend(payload);
                    if first & 0x80 != 0 {
                        return Ok(message.take().expect("just made"));
                    }
                }
            }
        }
    }

    /// Reads messages until the client's Close, answers it, and gives what came before, with its payload last.
    pub fn messages_to_close(&mut self) -> io::Result<Vec<Vec<u8>>> {
        let mut all = Vec::new();
        loop {
            let (first, payload) = self.message()?;
            all.push(payload);
            if first == 0x88 {
                self.write(frame(0x88, all.last().expect("just pushed")))?;
                self.end()?;
                return Ok(all);
            }
        }
    }

    /// Says Close with this body (code and reason) and reads what still comes.
    pub fn close(&mut self, code: u16, reason: &str) -> io::Result<()> {
        self.write(frame(0x88, &[&code.to_be_bytes(), reason.as_bytes()].concat()))?;
        while self.message()?.0 != 0x88 {}
        self.end()
    }

    /// The head of the next frame, its first byte and length; the payload is read and not kept.
    pub fn skim(&mut self) -> io::Result<(u8, u64)> {
        let mut start = [0; 2];
        self.stream.read_exact(&mut start)?;
        let mut rest = [0; 12];
        let long = match start[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        self.stream.read_exact(&mut rest[..long + 4])?;
        let wide = rest[..long].iter().fold(0, |length, byte| length << 8 | u64::from(*byte));
        let length = if long == 0 { u64::from(start[1] & 0x7f) } else { wide };
        let read = io::copy(&mut (&self.stream).take(length), &mut io::sink())?;
        if read < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok((start[0], length))
    }

    // --- MQTT

    /// The next packet, whole.
    pub fn packet(&mut self) -> io::Result<Vec<u8>> {
        read_packet(|buffer| self.read_exact(buffer))
    }
}

/// Header fields' values by name, in the case of the request.
pub fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(n, _)| n.eq_ignore_ascii_case(name))
        .map(|(_, v)| v.trim())
}

/// The right answer to the request.
pub fn accept_head(head: &str) -> String {
    let key = header(head, "Sec-WebSocket-Key").unwrap_or_default();
    let digest = Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    let mut answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n",
        BASE64.encode(&digest)
    );
    if let Some(subprotocol) = header(head, "Sec-WebSocket-Protocol") {
        answer.push_str(&format!("Sec-WebSocket-Protocol: {subprotocol}\r\n"));
    }
    answer + "\r\n"
}

/// A frame as servers send it: not masked. The first byte is FIN, the reserved bits and the opcode.
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

/// One MQTT packet, whole, from something that fills a buffer.
pub fn read_packet(mut read_exact: impl FnMut(&mut [u8]) -> io::Result<()>) -> io::Result<Vec<u8>> {
    let mut packet = vec![0];
    read_exact(&mut packet)?;
    let (mut length, mut shift) = (0, 0);
    loop {
        let mut byte = [0];
        read_exact(&mut byte)?;
        packet.push(byte[0]);
        length |= usize::from(byte[0] & 0x7f) << shift;
        shift += 7;
        if byte[0] < 0x80 {
            break;
        }
        if shift > 21 {
            return Err(broken("a remaining length of more than four bytes"));
        }
    }
    let start = packet.len();
    packet.resize(start + length, 0);
    read_exact(&mut packet[start..])?;
    Ok(packet)
}

/// The packets that make up `bytes`.
pub fn packets(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        all.push(read_packet(|buffer| bytes.read_exact(buffer)).expect("whole packets"));
    }
    all
}

/// Remaining Length (MQTT 5.0 section 2.1.4).
pub fn remaining_length(mut length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let more = length >= 0x80;
        bytes.push((length & 0x7f) as u8 | if more { 0x80 } else { 0 });
        length >>= 7;
        if !more {
            return bytes;
        }
    }
}
