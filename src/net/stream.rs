//! One byte stream: TCP, plain or under TLS, as tungstenite needs it.
//!
//! It hides nothing that poll(2) must know: which direction blocked last is recorded, because a TLS
//! library need not tell it, and what was taken is counted.

use std::{
    fmt,
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    os::fd::{AsFd, BorrowedFd},
    sync::{Arc, OnceLock},
};

use super::error::Alert;
use super::local;
#[cfg(feature = "tls")]
use super::tls::Session;
use crate::sys::PollFlags;

/// The socket below TLS. Swallows EINTR and remembers what blocked.
pub(super) struct Socket {
    tcp: TcpStream,
    /// The direction that blocked last, cleared by whoever starts an operation.
    blocked: PollFlags,
    first: First,
    /// The other end is a proxy's.
    proxied: bool,
}

/// The first byte that a socket received. Shared, because a TLS handshake that fails takes its socket along.
#[derive(Clone, Default)]
pub(super) struct First(Arc<OnceLock<u8>>);

impl First {
    /// The byte, once it has come.
    #[cfg(feature = "tls")]
    pub(super) fn get(&self) -> Option<u8> {
        self.0.get().copied()
    }
}

impl Socket {
    /// Takes a connected socket and makes it non-blocking.
    pub(super) fn new(tcp: TcpStream) -> Socket {
        // fcntl on an open socket does not fail; a socket that is not one shows at the first read.
        let _ = tcp.set_nonblocking(true);
        Socket { tcp, blocked: PollFlags::empty(), first: First::default(), proxied: false }
    }

    /// The same, known to lead through a proxy.
    pub(super) fn proxied(self, proxied: bool) -> Socket {
        Socket { proxied, ..self }
    }

    /// What to poll for after the last operation would block; empty after one that did not.
    #[cfg(feature = "tls")]
    pub(super) fn blocked(&self) -> PollFlags {
        self.blocked
    }

    /// The first byte received, now or later.
    #[cfg(feature = "tls")]
    pub(super) fn first(&self) -> First {
        self.first.clone()
    }
}

impl Read for Socket {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let result = retry(|| self.tcp.read(buf));
        match &result {
            Ok(n) if *n > 0 => _ = self.first.0.get_or_init(|| buf[0]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.blocked = PollFlags::IN,
            _ => {}
        }
        result
    }
}

impl Write for Socket {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let result = retry(|| self.tcp.write(buf));
        if matches!(&result, Err(error) if error.kind() == ErrorKind::WouldBlock) {
            self.blocked = PollFlags::OUT;
        }
        result
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("tcp", &self.tcp).finish_non_exhaustive()
    }
}

/// Repeats what a signal interrupted.
fn retry<T>(mut operation: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match operation() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

enum Inner {
    Plain(Socket),
    #[cfg(feature = "tls")]
    Tls(Box<Session>),
}

/// A connected, non-blocking byte stream.
///
/// `write` goes on until the stream would block and then reports what it took: TLS takes 16 KiB at a
/// time, and a caller that moves the rest of a large buffer after each of them takes quadratic time.
pub struct Stream {
    inner: Inner,
    written: u64,
    received: u64,
    /// The last read of a plain socket took all that was there: the next would block. What has come since
    /// then poll(2) tells.
    drained: bool,
    /// What a blocked read waits for; normally IN.
    read_wants: PollFlags,
    /// What a blocked write waits for; normally OUT.
    write_wants: PollFlags,
    /// An error met after a part had been taken; the next write reports it.
    deferred: Option<io::Error>,
    end: End,
}

/// How far `finish` got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Open,
    /// close_notify waits for the socket.
    #[cfg(feature = "tls")]
    Waiting,
    Finished,
}

impl End {
    fn is_waiting(self) -> bool {
        match self {
            End::Open | End::Finished => false,
            #[cfg(feature = "tls")]
            End::Waiting => true,
        }
    }
}

impl Stream {
    /// A plain stream over a connected socket, which becomes non-blocking.
    pub fn plain(tcp: TcpStream) -> Stream {
        Stream::bare(Socket::new(tcp))
    }

    /// The same over a socket that is ready for it.
    pub(super) fn bare(socket: Socket) -> Stream {
        Stream::over(Inner::Plain(socket))
    }

    /// A stream under TLS, after its handshake.
    #[cfg(feature = "tls")]
    pub(super) fn tls(session: Box<Session>) -> Stream {
        Stream::over(Inner::Tls(session))
    }

    fn over(inner: Inner) -> Stream {
        Stream {
            inner,
            written: 0,
            received: 0,
            drained: false,
            read_wants: PollFlags::IN,
            write_wants: PollFlags::OUT,
            deferred: None,
            end: End::Open,
        }
    }

    /// Bytes taken by the kernel since the stream was made, counted above TLS.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Bytes read since the stream was made, counted above TLS.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// The next read asks the system, whatever the last one found.
    pub(super) fn look_again(&mut self) {
        self.drained = false;
    }

    /// What to poll for so that a read, a write or both can go on.
    pub fn interest(&self, read: bool, write: bool) -> PollFlags {
        let mut flags = PollFlags::empty();
        if read {
            flags |= self.read_wants;
        }
        if write || self.end.is_waiting() {
            flags |= self.write_wants;
        }
        flags
    }

    /// The peer's address: `IP:PORT`, `unix:PATH`, or `proxy IP:PORT`.
    pub fn peer(&self) -> String {
        let socket = self.socket();
        let address = match socket.tcp.peer_addr() {
            Ok(address) => address.to_string(),
            Err(_) => local::peer(&socket.tcp).unwrap_or_else(|| String::from("unknown")),
        };
        if socket.proxied { format!("proxy {address}") } else { address }
    }

    /// Ends the sending side: TLS close_notify, then shutdown(SHUT_WR). Returns false if close_notify waits
    /// for the socket; errors count as done, for the peer is gone then.
    pub fn finish(&mut self) -> bool {
        if self.end == End::Finished {
            return true;
        }
        if !self.notify() {
            return false;
        }
        let _ = self.socket().tcp.shutdown(Shutdown::Write);
        self.end = End::Finished;
        true
    }

    /// Sends close_notify where there is TLS. False: it waits for the socket.
    fn notify(&mut self) -> bool {
        match &mut self.inner {
            Inner::Plain(_) => true,
            #[cfg(feature = "tls")]
            Inner::Tls(tls) => {
                tls.socket_mut().blocked = PollFlags::empty();
                if matches!(tls.shutdown(), Err(error) if error.kind() == ErrorKind::WouldBlock) {
                    self.end = End::Waiting;
                    self.write_wants = tls.socket().blocked;
                    return false;
                }
                true
            }
        }
    }

    fn socket(&self) -> &Socket {
        match &self.inner {
            Inner::Plain(socket) => socket,
            #[cfg(feature = "tls")]
            Inner::Tls(tls) => tls.socket(),
        }
    }

    fn clear_blocked(&mut self) {
        match &mut self.inner {
            Inner::Plain(socket) => socket.blocked = PollFlags::empty(),
            #[cfg(feature = "tls")]
            Inner::Tls(tls) => tls.socket_mut().blocked = PollFlags::empty(),
        }
    }

    fn write_once(&mut self, buf: &[u8]) -> io::Result<usize> {
        match &mut self.inner {
            Inner::Plain(socket) => socket.write(buf),
            #[cfg(feature = "tls")]
            Inner::Tls(tls) => tls.write(buf),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.clear_blocked();
        let result = match &mut self.inner {
            Inner::Plain(_) if std::mem::take(&mut self.drained) => Err(ErrorKind::WouldBlock.into()),
            Inner::Plain(socket) => {
                let result = socket.read(buf);
                self.drained = matches!(result, Ok(n) if n > 0 && n < buf.len());
                result
            }
            #[cfg(feature = "tls")]
            Inner::Tls(tls) => tls.read(buf),
        };
        let blocked = self.socket().blocked;
        self.read_wants = if blocked.is_empty() { PollFlags::IN } else { blocked };
        self.received += result.as_ref().map_or(0, |n| *n as u64);
        match result {
            // The layers above know a proper end by Close or DISCONNECT; a missing close_notify adds nothing.
            Err(error) if is_unexpected_eof(&error) => Ok(0),
            other => other,
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if let Some(error) = self.deferred.take() {
            return Err(error);
        }
        self.clear_blocked();
        let mut done = 0;
        while done < buf.len() {
            match self.write_once(&buf[done..]) {
                Ok(0) => break,
                Ok(n) => {
                    done += n;
                    self.written += n as u64;
                }
                Err(error) if done == 0 || error.kind() == ErrorKind::WouldBlock => {
                    let blocked = self.socket().blocked;
                    self.write_wants = if blocked.is_empty() { PollFlags::OUT } else { blocked };
                    return if done == 0 { Err(error) } else { Ok(done) };
                }
                // The kernel tells a reset once: keep it for the next call.
                Err(error) => {
                    self.deferred = Some(error);
                    break;
                }
            }
        }
        self.write_wants = PollFlags::OUT;
        Ok(done)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket().tcp.as_fd()
    }
}

#[cfg(feature = "tls")]
impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.tcp.as_fd()
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("peer", &self.peer()).finish_non_exhaustive()
    }
}

/// OpenSSL 3 reports a TCP end without close_notify as an error of its own.
fn is_unexpected_eof(error: &io::Error) -> bool {
    error.kind() == ErrorKind::UnexpectedEof
        || (error.kind() == ErrorKind::Other && error.to_string().contains("unexpected eof while reading"))
}

/// The TLS alert that an I/O error of a [`Stream`] is.
pub(super) fn alert(error: &io::Error) -> Option<&Alert> {
    error.get_ref()?.downcast_ref()
}

/// The text of an I/O error as strerror(3) has it, or the reason out of an OpenSSL error line.
pub fn error_text(error: &io::Error) -> String {
    let text = error.to_string();
    if let Some(at) = text.rfind(" (os error ") {
        return text[..at].to_owned();
    }
    openssl_reason(&text).unwrap_or(text)
}

/// `error:0A000086:SSL routines:FUNCTION:REASON:FILE:LINE:` -> REASON.
pub(super) fn openssl_reason(text: &str) -> Option<String> {
    let start = text.find("error:")?;
    let reason = text[start..].split(':').nth(4)?;
    (!reason.is_empty()).then(|| reason.to_owned())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_short_read_is_the_last_of_its_turn() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut stream = Stream::plain(listener.accept().unwrap().0);
        let mut buf = [0; 4];
        let came = |stream: &Stream| {
            let mut fds = [crate::sys::PollFd::new(stream, PollFlags::IN)];
            crate::sys::poll(&mut fds, None).unwrap();
        };
        peer.write_all(b"abc").unwrap();
        came(&stream);
        assert_eq!(stream.read(&mut buf).unwrap(), 3);
        peer.write_all(b"defgh").unwrap();
        came(&stream);
        // Not asked for; the next one is, and so is the first of a turn.
        assert_eq!(stream.read(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(stream.interest(true, false), PollFlags::IN);
        assert_eq!(stream.read(&mut buf).unwrap(), 4);
        assert_eq!(stream.read(&mut buf).unwrap(), 1, "a full read says nothing of what is left");
        peer.write_all(b"i").unwrap();
        came(&stream);
        stream.look_again();
        assert_eq!(stream.read(&mut buf).unwrap(), 1);
        drop(peer);
        came(&stream);
        stream.look_again();
        assert_eq!(stream.read(&mut buf).unwrap(), 0);
        assert_eq!(stream.read(&mut buf).unwrap(), 0, "the end stays");
    }
}
