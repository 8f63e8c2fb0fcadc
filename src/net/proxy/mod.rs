//! The way through a proxy: who is looked up, what is asked for, and the handshake over the socket.
//!
//! The handshakes themselves (`http`, `socks`) are bytes in, bytes out. Nothing is read from the socket that is
//! not theirs: the first byte behind the proxy's answer is the server's.

mod http;
mod socks;

use std::{
    io::{self, ErrorKind, Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use super::{
    error::{Error, Obstacle, Peer},
    stream::error_text,
};
use crate::{
    config::{Proxy, ProxyScheme},
    sys::{PollFd, PollFlags},
};

/// How long the text of a refusal is waited for.
const TEXT_WAIT: Duration = Duration::from_secs(1);

/// What the proxy is asked to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Name(String),
    Address(IpAddr),
}

/// The proxy of one attempt and what is known on the way to it.
pub(super) struct Way {
    proxy: Proxy,
    pub(super) peer: Peer,
    target: Peer,
    /// For socks5://, once looked up: what to ask for, the next one last.
    targets: Option<Vec<IpAddr>>,
    /// What was asked for in vain, and the reply.
    replies: Vec<(IpAddr, u8)>,
    /// Where the proxy is.
    addresses: Vec<SocketAddr>,
}

impl Way {
    pub(super) fn new(proxy: &Proxy, target: &Peer) -> Way {
        let peer = Peer { host: proxy.host.clone(), port: proxy.port };
        let (proxy, target) = (proxy.clone(), target.clone());
        Way { proxy, peer, target, targets: None, replies: Vec::new(), addresses: Vec::new() }
    }

    /// The server's name has to be looked up here, and has not been yet.
    pub(super) fn wants_target(&self) -> bool {
        self.proxy.scheme == ProxyScheme::Socks5 && self.targets.is_none()
    }

    /// Takes the addresses of the server or of the proxy, whichever was wanted. Gives back where to dial once
    /// the proxy's are known.
    pub(super) fn resolved(&mut self, addresses: Vec<SocketAddr>) -> Option<Vec<SocketAddr>> {
        if self.wants_target() {
            self.targets = Some(addresses.iter().rev().map(SocketAddr::ip).collect());
            return None;
        }
        self.addresses = addresses;
        Some(self.addresses.clone())
    }

    /// The name could not be looked up.
    pub(super) fn unresolved(&self, why: String) -> Error {
        match self.wants_target() {
            true => {
                let why =
                    format!("{why}; it is looked up here for socks5://, socks5h:// leaves it to the proxy");
                Error::Resolve { host: self.target.host.clone(), why }
            }
            false => Error::ResolveProxy { host: self.peer.host.clone(), why },
        }
    }

    /// The connection to the proxy stands.
    pub(super) fn begin(&self, tcp: TcpStream) -> Proxying {
        let host = match self.targets.as_ref().and_then(|targets| targets.last()) {
            Some(address) => Host::Address(*address),
            None => match self.target.host.parse() {
                Ok(address) => Host::Address(address),
                Err(_) => Host::Name(self.target.host.clone()),
            },
        };
        log::debug!("asking the proxy {} for {}", self.proxy, shown(&host, self.target.port));
        let machine = match self.proxy.scheme {
            ProxyScheme::Http => {
                Machine::Http(http::Connect::new(&host, self.target.port, self.proxy.login.as_ref()))
            }
            ProxyScheme::Socks5 | ProxyScheme::Socks5h => {
                Machine::Socks(socks::Socks::new(&host, self.target.port, self.proxy.login.as_ref()))
            }
        };
        Proxying { tcp: Some(tcp), machine, out: Vec::new(), text_until: None }
    }

    /// The handshake failed: where to dial for another address of the server, or the error. A server with
    /// addresses in both families is often reached from the proxy in one of them only.
    pub(super) fn failed(&mut self, why: Obstacle) -> Result<Vec<SocketAddr>, Error> {
        let targets = self.targets.as_mut().and_then(|targets| Some((targets.pop()?, targets.is_empty())));
        match (why, targets) {
            (Obstacle::Reply { code, .. }, Some((address, last))) => {
                self.replies.push((address, code));
                if last || !socks::is_of_the_address(code) {
                    let addresses = std::mem::take(&mut self.replies);
                    return Err(self.error(Obstacle::Reply { code, addresses }));
                }
                log::debug!("the proxy did not reach {address}: {}", super::error::socks_reply(code));
                Ok(self.addresses.clone())
            }
            (why, _) => Err(self.error(why)),
        }
    }

    fn error(&self, why: Obstacle) -> Error {
        Error::Proxy { proxy: self.peer.clone(), peer: self.target.clone(), why: Box::new(why) }
    }

    /// What to report when the limit is reached in the handshake: the refusal whose text is still coming.
    pub(super) fn cut_short(&self, handshake: &mut Proxying) -> Option<Error> {
        handshake.text_until.take()?;
        Some(self.error(handshake.machine.handle_end()))
    }
}

/// `host:port`, IPv6 in brackets.
fn shown(host: &Host, port: u16) -> String {
    match host {
        Host::Name(name) => format!("{name}:{port}"),
        Host::Address(address) => SocketAddr::new(*address, port).to_string(),
    }
}

enum Machine {
    Http(http::Connect),
    Socks(socks::Socks),
}

/// How far a handshake is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// More must come.
    Going,
    /// Refused; a text that says why may still come.
    Refused,
    /// The way to the server is open.
    Open,
}

impl Machine {
    /// The next bytes to send; empty where there are none now.
    fn poll_transmit(&mut self) -> Vec<u8> {
        match self {
            Machine::Http(connect) => connect.poll_transmit(),
            Machine::Socks(socks) => socks.poll_transmit(),
        }
    }

    /// Looks at bytes that came and says how many of them are its own and must not come again.
    fn handle_bytes(&mut self, bytes: &[u8]) -> Result<(usize, Progress), Obstacle> {
        match self {
            Machine::Http(connect) => connect.handle_bytes(bytes),
            Machine::Socks(socks) => socks.handle_bytes(bytes),
        }
    }

    /// Nothing more comes.
    fn handle_end(&mut self) -> Obstacle {
        match self {
            Machine::Http(connect) => connect.handle_end(),
            Machine::Socks(_) => Obstacle::Lost(String::from("it closed the connection")),
        }
    }
}

/// A handshake under way.
pub(super) struct Proxying {
    /// Taken when the way is open.
    tcp: Option<TcpStream>,
    machine: Machine,
    /// Still to be sent.
    out: Vec<u8>,
    /// A refusal is there, and its text is waited for.
    text_until: Option<Instant>,
}

impl Proxying {
    /// Goes on as far as the socket lets it. Gives the socket back once it leads to the server.
    pub(super) fn advance(&mut self, now: Instant) -> Result<Option<TcpStream>, Obstacle> {
        let Some(mut tcp) = self.tcp.take() else {
            return Err(Obstacle::Lost(String::from("the handshake is over")));
        };
        loop {
            self.send(&mut tcp)?;
            match self.receive(&mut tcp) {
                Ok(Some(Progress::Open)) => return Ok(Some(tcp)),
                Ok(Some(Progress::Going)) => {}
                Ok(Some(Progress::Refused)) => self.text_until = self.text_until.or(Some(now + TEXT_WAIT)),
                Ok(None) => break,
                Err(why) => return Err(why),
            }
        }
        if self.text_until.is_some_and(|until| now >= until) {
            return Err(self.machine.handle_end());
        }
        self.tcp = Some(tcp);
        Ok(None)
    }

    pub(super) fn interests<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) {
        let Some(tcp) = &self.tcp else { return };
        let writing = if self.out.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
        fds.push(PollFd::new(tcp, PollFlags::IN | writing));
    }

    /// When `advance` must be called at the latest, below the deadline.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.text_until
    }

    fn send(&mut self, tcp: &mut TcpStream) -> Result<(), Obstacle> {
        self.out.extend(self.machine.poll_transmit());
        while !self.out.is_empty() {
            match tcp.write(&self.out) {
                Ok(n) => _ = self.out.drain(..n),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // What it said before it closed says more.
                Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
                    self.out.clear();
                }
                Err(error) => return Err(Obstacle::Lost(error_text(&error))),
            }
        }
        Ok(())
    }

    /// Looks at what is there and takes the handshake's part of it. `None`: nothing is there.
    fn receive(&mut self, tcp: &mut TcpStream) -> Result<Option<Progress>, Obstacle> {
        let mut buffer = [0; 4096];
        let there = match retry(|| tcp.peek(&mut buffer)) {
            Ok(0) => return Err(self.machine.handle_end()),
            Ok(n) => n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) if self.text_until.is_none() => return Err(Obstacle::Lost(error_text(&error))),
            Err(_) => return Err(self.machine.handle_end()),
        };
        let (taken, progress) = self.machine.handle_bytes(&buffer[..there])?;
        // They were there a moment ago, and nobody else reads them.
        retry(|| tcp.read_exact(&mut buffer[..taken])).map_err(|error| Obstacle::Lost(error_text(&error)))?;
        Ok(Some(progress))
    }
}

fn retry<T>(mut operation: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match operation() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// A handshake without a socket: the answer in pieces, and then its end. What a piece leaves over comes again
/// with the next one, as it does where a socket is only looked into.
#[cfg(any(test, fuzzing))]
pub(super) fn drive(http: bool, login: bool, pieces: &[&[u8]]) -> (usize, Option<Obstacle>) {
    let host = Host::Address(super::fuzz::ADDRESS);
    let login = login.then(|| (b"user".to_vec(), b"password".to_vec()));
    let mut machine = match http {
        true => Machine::Http(http::Connect::new(&host, 80, login.as_ref())),
        false => Machine::Socks(socks::Socks::new(&host, 80, login.as_ref())),
    };
    let (mut own, mut there) = (0, Vec::new());
    for piece in pieces {
        there.extend_from_slice(piece);
        machine.poll_transmit();
        match machine.handle_bytes(&there) {
            Ok((taken, progress)) => {
                own += taken;
                if progress == Progress::Open {
                    return (own, None);
                }
                there.drain(..taken);
            }
            Err(why) => return (own, Some(why)),
        }
    }
    (own, Some(machine.handle_end()))
}

#[cfg(test)]
mod tests;
