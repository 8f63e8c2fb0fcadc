//! `wspipe serve`: a WebSocket echo server to test against. Many clients, one thread, one poll(2) loop.
//!
//! [`Server::turn`] is one turn of that loop: accept, let every client do a bounded amount of work, forget
//! those that left, wait. Time is an argument, so tests drive it without waiting. What one client costs is
//! bounded (see [`Limits`]), and a client that does not read what it asked for is not read either: it stalls
//! itself and nobody else.

mod client;
mod echo;
mod listen;
#[cfg(test)]
mod tests;

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr, TcpListener},
    os::fd::{AsFd, BorrowedFd},
    time::{Duration, Instant},
};

use client::Client;

use crate::{
    config,
    net::stream::error_text,
    proto::format::escape,
    sys::{self, PollFd, PollFlags},
};

/// Its number where nobody says which signal it was.
const SIGINT: i32 = rustix::process::Signal::INT.as_raw();

/// Connections taken from one listening socket in one turn.
const ACCEPTS_A_TURN: usize = 64;

/// Descriptors that are not clients: the standard streams, the signal pipe, the listening sockets, and some
/// for what libraries open.
const SPARE_DESCRIPTORS: u64 = 32;

/// How soon accepting is tried again after the system had no descriptor and no client of ours to wait for.
const ACCEPT_RETRY: Duration = Duration::from_secs(1);

/// What a client may take and for how long.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Clients at a time; the next ones wait in the kernel's queue.
    pub clients: usize,
    /// The largest message taken, in bytes; a larger one is answered with Close 1009.
    pub message: usize,
    /// Bytes waiting to be sent above which a client is not read. What waits is at most this, one
    /// [`Limits::part`] and one message.
    pub mark: usize,
    /// An echo above this many bytes goes out as fragments of this size, as the queue drains.
    pub part: usize,
    /// Bytes of a request head.
    pub head: usize,
    /// From accept to the whole request head.
    pub head_time: Duration,
    /// From a Close, sent or received, or from a refusal, to the end of the connection.
    pub close_time: Duration,
    /// From SIGINT or SIGTERM to the end of every connection.
    pub stop_time: Duration,
}

impl Limits {
    /// The server's own limits around the largest message.
    pub fn new(message: usize) -> Limits {
        Limits {
            clients: client_limit(),
            message,
            mark: 1 << 20,
            part: 1 << 20,
            head: 64 << 10,
            head_time: Duration::from_secs(10),
            close_time: Duration::from_secs(5),
            stop_time: Duration::from_secs(2),
        }
    }
}

/// As many clients as there are descriptors for, up to a number that one poll(2) set carries well.
fn client_limit() -> usize {
    let most = 4096;
    let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let room = descriptors.map_or(most, |limit| limit.saturating_sub(SPARE_DESCRIPTORS).clamp(1, most));
    usize::try_from(room).unwrap_or(usize::MAX)
}

/// How the server came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The signal that ended it, SIGINT or SIGTERM by number; to be raised now that all is closed.
    pub signal: i32,
    /// Clients that had their upgrade.
    pub clients: u64,
    /// Messages echoed.
    pub messages: u64,
}

/// Why the server could not do its work.
#[derive(Debug)]
pub enum Error {
    /// The host of the URL has no address.
    Resolve {
        /// The host.
        host: String,
        /// What the resolver said.
        error: String,
    },
    /// No listening socket.
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the operating system said.
        error: io::Error,
    },
    /// poll(2) failed.
    Poll(io::Error),
}

impl Error {
    /// The exit status.
    pub fn status(&self) -> u8 {
        match self {
            Error::Resolve { .. } => 6,
            Error::Listen { .. } | Error::Poll(_) => 7,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Resolve { host, error } => {
                write!(f, "could not resolve {}: {error}", escape(host.as_bytes()))
            }
            Error::Listen { address, error } => {
                write!(f, "could not listen on {address}: {}", error_text(error))?;
                match error.kind() {
                    io::ErrorKind::AddrInUse => {
                        f.write_str(" (give another port in the URL, or 0 for any free one)")
                    }
                    io::ErrorKind::PermissionDenied if address.port() < 1024 => {
                        f.write_str(" (ports from 1024 on need no privilege)")
                    }
                    _ => Ok(()),
                }
            }
            Error::Poll(error) => write!(f, "could not wait for clients: {}", error_text(error)),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Resolve { .. } => None,
            Error::Listen { error, .. } | Error::Poll(error) => Some(error),
        }
    }
}

/// Serves until SIGINT or SIGTERM, then closes every connection (Close 1001) and returns. A second signal
/// cuts the closing short. Says `LISTENING <URL>` at info once clients can connect.
pub fn run(config: &config::Serve, signals: &mut sys::Signals) -> Result<Outcome, Error> {
    let Some(hosts) = listen::resolve(&config.url.host, Some(signals.as_fd()))? else {
        return Ok(Outcome { signal: signals.take().unwrap_or(SIGINT), clients: 0, messages: 0 });
    };
    let mut server = Server::listen(&config.url, &hosts, Limits::new(config.max_message))?;
    log::info!("LISTENING {}", server.url());
    let signal = loop {
        if let Some(signal) = signals.take() {
            break signal;
        }
        server.turn(Instant::now(), None, Some(signals.as_fd()))?;
    };
    server.stop(Instant::now());
    while !server.is_over() && signals.take().is_none() {
        server.turn(Instant::now(), None, Some(signals.as_fd()))?;
    }
    server.clients.iter().for_each(Client::say_left);
    Ok(Outcome { signal, clients: server.served, messages: server.messages })
}

/// The server: its listening sockets and its clients.
pub struct Server {
    url: config::Url,
    limits: Limits,
    listeners: Vec<Listener>,
    clients: Vec<Client>,
    /// Set while there is no room: when to try again at the latest.
    full: Option<Option<Instant>>,
    /// The lack of room was reported.
    said_full: bool,
    /// Set by `stop`: when the last connection ends, polite or not.
    stop_at: Option<Instant>,
    served: u64,
    messages: u64,
}

/// A listening socket, and whether a connection may be waiting in it.
struct Listener {
    socket: TcpListener,
    ready: bool,
}

impl Server {
    /// Listens on every address of the URL's host, which it looks up. Nothing is accepted before the first
    /// [`Server::turn`], but the kernel lets clients connect from here on.
    pub fn bind(url: &config::Url, limits: Limits) -> Result<Server, Error> {
        let hosts = listen::resolve(&url.host, None)?.unwrap_or_default();
        Server::listen(url, &hosts, limits)
    }

    fn listen(url: &config::Url, hosts: &[IpAddr], limits: Limits) -> Result<Server, Error> {
        let (sockets, port) = listen::bind(hosts, url.port)?;
        for socket in &sockets {
            if let Ok(address) = socket.local_addr() {
                log::debug!("listening on {address}");
            }
        }
        Ok(Server {
            url: config::Url { port, ..url.clone() },
            limits,
            listeners: sockets.into_iter().map(|socket| Listener { socket, ready: true }).collect(),
            clients: Vec::new(),
            full: None,
            said_full: false,
            stop_at: None,
            served: 0,
            messages: 0,
        })
    }

    /// The URL to connect to, with the real port.
    pub fn url(&self) -> &config::Url {
        &self.url
    }

    /// The port listened on.
    pub fn local_port(&self) -> u16 {
        self.url.port
    }

    /// Connections that are open, upgraded or not.
    pub fn client_count(&self) -> usize {
        self.clients.len()
    }

    /// Bytes that wait to be sent, of all clients together.
    pub fn queued(&self) -> usize {
        self.clients.iter().map(Client::queued).sum()
    }

    /// After [`Server::stop`]: every connection has ended.
    pub fn is_over(&self) -> bool {
        self.stop_at.is_some() && self.clients.is_empty()
    }

    /// Stops listening and sends Close 1001 (going away) to every client. The turns that follow wait for
    /// their answers, at most [`Limits::stop_time`].
    pub fn stop(&mut self, now: Instant) {
        self.listeners.clear();
        self.stop_at = Some(now + self.limits.stop_time);
        for client in &mut self.clients {
            client.handle_stop(now, &self.limits);
        }
    }

    /// One turn of the loop: whatever can be done at `now`, then poll(2) for at most `limit` (none: as long as
    /// it takes), sooner when a time limit of a client comes or `wake` is readable.
    pub fn turn(
        &mut self,
        now: Instant,
        limit: Option<Duration>,
        wake: Option<BorrowedFd<'_>>,
    ) -> Result<(), Error> {
        self.accept(now);
        for client in &mut self.clients {
            client.turn(now, &self.url.target, &self.limits);
        }
        self.forget_the_gone(now);
        self.wait(now, limit, wake).map_err(Error::Poll)
    }

    fn accept(&mut self, now: Instant) {
        if self.full.is_some_and(|retry| retry.is_some_and(|at| at <= now)) {
            self.full = None;
        }
        for index in 0..self.listeners.len() {
            for _ in 0..ACCEPTS_A_TURN {
                if self.full.is_some() || !self.listeners[index].ready {
                    break;
                }
                if self.clients.len() >= self.limits.clients {
                    self.handle_full(None, "the most clients that this process has room for");
                    break;
                }
                self.accept_one(index, now);
            }
        }
    }

    /// Takes one connection from a listening socket that may have one.
    fn accept_one(&mut self, index: usize, now: Instant) {
        match self.listeners[index].socket.accept() {
            Ok((socket, peer)) => match Client::new(socket, peer, now, &self.limits) {
                Ok(client) => self.clients.push(client),
                Err(error) => log::debug!("{peer}: {}", error_text(&error)),
            },
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.listeners[index].ready = false,
            Err(error) if is_shortage(&error) => {
                self.handle_full(Some(now + ACCEPT_RETRY), &error_text(&error));
            }
            // The connection was gone before we took it (ECONNABORTED and, on Linux, network errors), or a
            // signal came: the next one.
            Err(error) => log::debug!("accept: {}", error_text(&error)),
        }
    }

    /// No room for another client: the listening sockets rest until a client leaves, or until `retry`.
    fn handle_full(&mut self, retry: Option<Instant>, why: &str) {
        self.full = Some(retry);
        if !self.said_full {
            self.said_full = true;
            log::warn!("{} clients, no more taken until one leaves: {why}", self.clients.len());
        }
    }

    fn forget_the_gone(&mut self, now: Instant) {
        let cut = self.stop_at.is_some_and(|at| at <= now);
        let before = self.clients.len();
        let (served, messages) = (&mut self.served, &mut self.messages);
        self.clients.retain(|client| {
            let gone = cut || client.is_over();
            if gone {
                client.say_left();
                *served += u64::from(client.was_served());
                *messages += client.messages();
            }
            !gone
        });
        if self.clients.len() < before {
            self.full = None;
        }
    }

    /// poll(2) over everything that is waited for. A descriptor from which nothing is wanted is not in the
    /// set: a hang-up would end every wait at once.
    fn wait(
        &mut self,
        now: Instant,
        limit: Option<Duration>,
        wake: Option<BorrowedFd<'_>>,
    ) -> io::Result<()> {
        let timeout = self.timeout(now, limit);
        let mut set = Vec::with_capacity(self.listeners.len() + self.clients.len() + 1);
        let mut owners = Vec::with_capacity(set.capacity());
        if let Some(wake) = &wake {
            set.push(PollFd::new(wake, PollFlags::IN));
            owners.push(Owner::Wake);
        }
        if self.full.is_none() {
            for (index, listener) in self.listeners.iter().enumerate() {
                set.push(PollFd::new(&listener.socket, PollFlags::IN));
                owners.push(Owner::Listener(index));
            }
        }
        for (index, client) in self.clients.iter().enumerate() {
            let Some((descriptor, flags)) = client.interest(&self.limits) else { continue };
            set.push(PollFd::from_borrowed_fd(descriptor, flags));
            owners.push(Owner::Client(index));
        }
        sys::poll(&mut set, timeout)?;
        let ready: Vec<PollFlags> = set.iter().map(PollFd::revents).collect();
        for (owner, flags) in owners.into_iter().zip(ready) {
            match owner {
                _ if flags.is_empty() => {}
                Owner::Wake => {}
                Owner::Listener(index) => self.listeners[index].ready = true,
                Owner::Client(index) => self.clients[index].handle_ready(flags),
            }
        }
        Ok(())
    }

    /// How long poll(2) may wait.
    fn timeout(&self, now: Instant, limit: Option<Duration>) -> Option<Duration> {
        let accepting = self.full.is_none() && self.listeners.iter().any(|listener| listener.ready);
        if accepting || self.is_over() || self.clients.iter().any(|client| client.is_hungry(&self.limits)) {
            return Some(Duration::ZERO);
        }
        let clients = self.clients.iter().filter_map(Client::deadline);
        let nearest = clients.chain(self.stop_at).chain(self.full.flatten()).min();
        let timer = nearest.map(|at| at.saturating_duration_since(now));
        [timer, limit].into_iter().flatten().min()
    }
}

/// Whose a descriptor of the poll(2) set is.
enum Owner {
    Wake,
    Listener(usize),
    Client(usize),
}

/// The process or the system has no descriptor or no memory for another connection.
fn is_shortage(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM]
        .iter()
        .any(|e| error.raw_os_error() == Some(e.raw_os_error()))
}
