//! TCP to the first of several addresses that answers (RFC 8305 section 5, "Happy Eyeballs").

use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, SocketAddr, TcpStream},
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use rustix::{
    io::{Errno, FdFlags, fcntl_setfd, ioctl_fionbio},
    net::{AddressFamily, SocketType, bind, connect, socket, sockopt},
};

use super::stream::error_text;
use crate::sys::{PollFd, PollFlags};

/// The head start of each attempt over the next one.
const HEAD_START: Duration = Duration::from_millis(250);

/// Attempts to connect. The next one starts when the last one failed or has had its head start; none has a
/// limit of its own below the caller's, since none holds up the others.
pub(super) struct Dial {
    waiting: VecDeque<SocketAddr>,
    running: Vec<(SocketAddr, TcpStream)>,
    failed: Vec<(SocketAddr, String)>,
    /// The local address.
    from: Option<IpAddr>,
    next_at: Instant,
    /// One has failed since the last start: the next one need not wait.
    hurry: bool,
    /// All addresses, in order, for the message.
    order: Vec<SocketAddr>,
}

impl Dial {
    /// Attempts from the local address `from`, which must be of the addresses' family, or from any. An address
    /// that is there twice is tried once: never two attempts to one address (RFC 6455 section 4.1).
    pub(super) fn new(addresses: Vec<SocketAddr>, from: Option<IpAddr>, now: Instant) -> Dial {
        let mut order = Vec::with_capacity(addresses.len());
        for address in addresses {
            if !order.contains(&address) {
                order.push(address);
            }
        }
        Dial {
            waiting: order.iter().copied().collect(),
            running: Vec::new(),
            failed: Vec::new(),
            from,
            next_at: now,
            hurry: false,
            order,
        }
    }

    /// The first connection, if there is one; fails when every address has, with each one's reason.
    pub(super) fn advance(&mut self, now: Instant) -> Result<Option<TcpStream>, Vec<(SocketAddr, String)>> {
        loop {
            if let Some(tcp) = self.finished() {
                return Ok(Some(tcp));
            }
            if !self.running.is_empty() && !self.hurry && now < self.next_at {
                return Ok(None);
            }
            let Some(address) = self.waiting.pop_front() else {
                return if self.running.is_empty() { Err(self.reasons()) } else { Ok(None) };
            };
            self.next_at = now + HEAD_START;
            self.hurry = false;
            log::debug!("connecting to {address}");
            match start(address, self.from) {
                Ok(tcp) => self.running.push((address, tcp)),
                Err(why) => self.fail(address, why),
            }
        }
    }

    /// The earliest time for the next attempt, if one is left.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        (!self.waiting.is_empty()).then_some(self.next_at)
    }

    pub(super) fn interests<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) {
        fds.extend(self.running.iter().map(|(_, tcp)| PollFd::new(tcp, PollFlags::OUT)));
    }

    /// Takes the failed ones out and the first connected one.
    fn finished(&mut self) -> Option<TcpStream> {
        let mut i = 0;
        while i < self.running.len() {
            match outcome(&self.running[i].1) {
                Ok(false) => i += 1,
                Ok(true) => return Some(self.running.remove(i).1),
                Err(error) => {
                    let (address, _) = self.running.remove(i);
                    self.fail(address, error_text(&error));
                }
            }
        }
        None
    }

    fn fail(&mut self, address: SocketAddr, why: String) {
        log::debug!("{address}: {why}");
        self.failed.push((address, why));
        self.hurry = true;
    }

    fn reasons(&mut self) -> Vec<(SocketAddr, String)> {
        let failed = &mut self.failed;
        let of =
            |address| failed.iter().position(|(other, _)| other == address).map(|n| failed.swap_remove(n));
        self.order.iter().filter_map(of).collect()
    }
}

/// A socket that is connecting, or connected already.
fn start(address: SocketAddr, from: Option<IpAddr>) -> Result<TcpStream, String> {
    let text = |error: io::Error| error_text(&error);
    let fd = open(address).map_err(text)?;
    if let Some(from) = from {
        let failed = |errno: Errno| format!("--bind {from}: {}", error_text(&errno.into()));
        bind(&fd, &SocketAddr::new(from, 0)).map_err(failed)?;
    }
    match connect(&fd, &address) {
        Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => Ok(TcpStream::from(fd)),
        Err(errno) => Err(text(errno.into())),
    }
}

/// A non-blocking socket of the address's family.
fn open(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let fd = socket(family, SocketType::STREAM, None)?;
    fcntl_setfd(&fd, FdFlags::CLOEXEC)?;
    ioctl_fionbio(&fd, true)?;
    // Small messages must not wait for an acknowledgement, and a peer that vanished must be noticed some day.
    sockopt::set_tcp_nodelay(&fd, true)?;
    sockopt::set_socket_keepalive(&fd, true)?;
    Ok(fd)
}

/// Whether the connection is there. Safe to ask at any time: SO_ERROR is 0 while it is still being made.
fn outcome(tcp: &TcpStream) -> io::Result<bool> {
    sockopt::socket_error(tcp)??;
    match tcp.peer_addr() {
        // A port of the ephemeral range that nobody listens on can come to be connected with itself.
        Ok(peer) if tcp.local_addr().is_ok_and(|local| local == peer) => Err(Errno::CONNREFUSED.into()),
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv6Addr, TcpListener};

    use super::*;
    use crate::sys::poll;

    /// A port where nobody listens, held by a socket that does not.
    fn closed() -> (SocketAddr, rustix::fd::OwnedFd) {
        let fd = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        rustix::net::bind(&fd, &"127.0.0.1:0".parse::<SocketAddr>().unwrap()).unwrap();
        let address = rustix::net::getsockname(&fd).unwrap().try_into().unwrap();
        (address, fd)
    }

    /// An address where a connection neither succeeds nor fails: a full backlog that nobody accepts from.
    fn silent() -> (SocketAddr, rustix::fd::OwnedFd, Vec<TcpStream>) {
        let (address, fd) = closed();
        rustix::net::listen(&fd, 0).unwrap();
        let mut fill = Vec::new();
        while let Ok(tcp) = TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
            fill.push(tcp);
        }
        (address, fd, fill)
    }

    fn wait(dial: &Dial) {
        let mut fds = Vec::new();
        dial.interests(&mut fds);
        poll(&mut fds, Some(Duration::from_secs(20))).unwrap();
    }

    fn run(addresses: Vec<SocketAddr>) -> Result<TcpStream, Vec<(SocketAddr, String)>> {
        let now = Instant::now();
        let mut dial = Dial::new(addresses, None, now);
        loop {
            if let Some(tcp) = dial.advance(now)? {
                return Ok(tcp);
            }
            wait(&dial);
        }
    }

    #[test]
    fn goes_on_after_a_refusal() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (refusing, _held) = closed();
        let good = listener.local_addr().unwrap();
        let tcp = run(vec![refusing, good]).unwrap();
        assert_eq!(tcp.peer_addr().unwrap(), good);
        assert!(tcp.nodelay().unwrap());
        assert!(sockopt::socket_keepalive(&tcp).unwrap());
    }

    #[test]
    fn names_every_failure_in_order() {
        let (first, _held) = closed();
        let (second, _held_too) = closed();
        let third = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        let reasons = run(vec![first, second, third]).unwrap_err();
        assert_eq!(reasons[0], (first, String::from("Connection refused")));
        assert_eq!(reasons[1], (second, String::from("Connection refused")));
        assert_eq!(reasons[2].0, third);
        assert_eq!(reasons.len(), 3);
        assert!(run(Vec::new()).unwrap_err().is_empty());
    }

    #[test]
    fn from_a_local_address() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let good = listener.local_addr().unwrap();
        let from: IpAddr = "127.0.0.2".parse().unwrap();
        let now = Instant::now();
        let mut dial = Dial::new(vec![good], Some(from), now);
        let tcp = loop {
            if let Some(tcp) = dial.advance(now).unwrap() {
                break tcp;
            }
            wait(&dial);
        };
        assert_eq!(tcp.local_addr().unwrap().ip(), from);
        // TEST-NET-1 (RFC 5737) is nobody's own.
        let mut dial = Dial::new(vec![good], Some("192.0.2.1".parse().unwrap()), now);
        let reasons = dial.advance(now).unwrap_err();
        assert_eq!(reasons[0].1, "--bind 192.0.2.1: Cannot assign requested address");
    }

    #[test]
    fn one_attempt_to_one_address() {
        let (mute, _listener, _fill) = silent();
        let start = Instant::now();
        let mut dial = Dial::new(vec![mute, mute], None, start);
        for n in 0..4 {
            assert!(dial.advance(start + HEAD_START * n).unwrap().is_none());
            assert_eq!((dial.running.len(), dial.wake_at()), (1, None));
        }
        let (refusing, _held) = closed();
        assert_eq!(run(vec![refusing; 3]).unwrap_err().len(), 1);
    }

    #[test]
    fn silence_does_not_hold_up_the_next_address() {
        let (mute, _listener, _fill) = silent();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let good = listener.local_addr().unwrap();
        let start = Instant::now();
        let mut dial = Dial::new(vec![mute, good], None, start);
        assert!(dial.advance(start).unwrap().is_none());
        assert_eq!(dial.wake_at(), Some(start + HEAD_START));
        // Time has not come: the second is not tried, however often we look.
        assert!(dial.advance(start + HEAD_START / 2).unwrap().is_none());
        assert_eq!(dial.running.len(), 1);
        let later = start + HEAD_START;
        let tcp = loop {
            if let Some(tcp) = dial.advance(later).unwrap() {
                break tcp;
            }
            wait(&dial);
        };
        assert_eq!(tcp.peer_addr().unwrap(), good);
        assert_eq!(dial.wake_at(), None);
    }
}
