//! The network: from a URL to a connection that carries messages. Non-blocking throughout: the loop polls,
//! and everything here does what can be done without waiting.

mod dial;
mod error;
mod out;
mod plain;
pub(crate) mod resolve;
pub mod stream;
#[cfg(feature = "tls")]
mod tls;
pub mod upgrade;
pub mod ws;

use std::{
    fmt,
    net::TcpStream,
    time::{Duration, Instant},
};

pub use error::{Alert, Clue, Distrust, Error, Fault, Peer, Phase, Refusal};
pub use ws::{Connection, Read};

use crate::{
    config::{self, Endpoint},
    proto::link::Established,
    sys::PollFd,
};

/// What all connections of a process share: the TLS context. It is made when the first one needs it, while the
/// network is busy: reading the files takes time.
pub struct Shared {
    #[cfg(feature = "tls")]
    tls: config::Tls,
    #[cfg(feature = "tls")]
    context: Option<tls::Context>,
}

impl Shared {
    /// Keeps the options; reads nothing yet.
    #[cfg_attr(not(feature = "tls"), expect(unused_variables))]
    pub fn new(tls: &config::Tls) -> Shared {
        Shared {
            #[cfg(feature = "tls")]
            tls: tls.clone(),
            #[cfg(feature = "tls")]
            context: None,
        }
    }

    #[cfg(feature = "tls")]
    fn context(&mut self, peer: &Peer) -> Result<&tls::Context, Error> {
        if self.context.is_none() {
            if self.tls.insecure {
                log::warn!("--insecure: the server's certificate is not checked");
            }
            self.context = Some(tls::Context::new(&self.tls, peer)?);
        }
        // Just made where it was missing.
        Ok(self.context.as_ref().expect("the context is there"))
    }

    /// What follows a failed handshake: another attempt, once in a process, where it was for want of a CA and the
    /// system has more of them than were looked at.
    #[cfg(feature = "tls")]
    fn widened(&mut self, error: Error) -> Result<Step, Error> {
        let wants_ca = matches!(&error, Error::Untrusted { why, .. } if why.wants_ca());
        match self.context.as_mut().is_some_and(|context| wants_ca && context.widen()) {
            true => {
                log::debug!("{error}: trying again with the system's bundle of CA certificates");
                Ok(Step::Go(State::Start))
            }
            false => Err(error),
        }
    }
}

/// How long the steps took, as far as they are done. Measured between calls of `advance`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// Looking up the name; zero for a literal.
    pub resolve: Option<Duration>,
    /// TCP, from the first attempt.
    pub connect: Option<Duration>,
    /// The TLS handshake.
    pub tls: Option<Duration>,
    /// The HTTP upgrade.
    pub upgrade: Option<Duration>,
}

/// One attempt to get a connection: resolve, dial, TLS, upgrade, under one deadline.
pub struct Connector {
    endpoint: Endpoint,
    peer: Peer,
    deadline: Instant,
    state: State,
    since: Instant,
    timings: Timings,
}

impl fmt::Display for Timings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps = [
            ("resolve", self.resolve),
            ("connect", self.connect),
            ("TLS", self.tls),
            ("upgrade", self.upgrade),
        ];
        let mut first = true;
        for (name, took) in steps {
            let Some(took) = took else { continue };
            let comma = if first { "" } else { ", " };
            write!(f, "{comma}{name} {:.3} ms", took.as_secs_f64() * 1e3)?;
            first = false;
        }
        Ok(())
    }
}

enum State {
    Start,
    Resolving(resolve::Lookup),
    Dialing(dial::Dial),
    #[cfg(feature = "tls")]
    Tls(tls::Handshake),
    Upgrading(Box<upgrade::Upgrade>),
    /// A connection or an error has been given out.
    Over,
}

enum Step {
    Go(State),
    Wait(State),
    Done(Connection),
}

impl Connector {
    /// When it must be over.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// An attempt that must be over at `now` plus the endpoint's `connect_timeout`.
    pub fn new(endpoint: &Endpoint, now: Instant) -> Connector {
        let peer = Peer { host: endpoint.url.host.clone(), port: endpoint.url.port };
        // A limit beyond the clock's end is no limit; 30 years are within it.
        let deadline = now
            .checked_add(endpoint.connect_timeout)
            .unwrap_or_else(|| now + Duration::from_secs(30 * 365 * 86_400));
        Connector {
            endpoint: endpoint.clone(),
            peer,
            deadline,
            state: State::Start,
            since: now,
            timings: Timings::default(),
        }
    }

    /// Does all that can be done without waiting. `None`: poll for `interests` until `wake_at`. Calling it
    /// more often than needed does no harm; after a connection or an error it fails.
    pub fn advance(&mut self, shared: &mut Shared, now: Instant) -> Result<Option<Connection>, Error> {
        loop {
            let state = std::mem::replace(&mut self.state, State::Over);
            match self.step(state, shared, now)? {
                Step::Go(state) => self.state = state,
                Step::Done(connection) => return Ok(Some(connection)),
                Step::Wait(state) => {
                    self.state = state;
                    break;
                }
            }
        }
        if now >= self.deadline {
            return Err(self.timed_out());
        }
        // Certificates and keys are read while the network is under way.
        #[cfg(feature = "tls")]
        if self.endpoint.url.scheme.is_tls() {
            shared.context(&self.peer)?;
        }
        Ok(None)
    }

    /// What to poll for.
    pub fn interests<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) {
        match &self.state {
            State::Start | State::Over => {}
            State::Resolving(lookup) => fds.push(PollFd::new(lookup, crate::sys::PollFlags::IN)),
            State::Dialing(dial) => dial.interests(fds),
            #[cfg(feature = "tls")]
            State::Tls(handshake) => handshake.interests(fds),
            State::Upgrading(upgrade) => upgrade.interests(fds),
        }
    }

    /// The time at which `advance` must be called at the latest.
    pub fn wake_at(&self) -> Instant {
        let sooner = match &self.state {
            State::Dialing(dial) => dial.wake_at(),
            State::Upgrading(upgrade) => upgrade.wake_at(),
            _ => None,
        };
        sooner.map_or(self.deadline, |at| at.min(self.deadline))
    }

    /// How long the steps took so far.
    pub fn timings(&self) -> Timings {
        self.timings
    }

    fn step(&mut self, state: State, shared: &mut Shared, now: Instant) -> Result<Step, Error> {
        match state {
            State::Start => self.start(now),
            State::Resolving(mut lookup) => match lookup.take() {
                None => Ok(Step::Wait(State::Resolving(lookup))),
                Some(answer) => {
                    let addresses = answer.map_err(|why| self.unresolved(why))?;
                    Ok(self.resolved(addresses, now))
                }
            },
            State::Dialing(mut dial) => match dial.advance(now) {
                Ok(None) => Ok(Step::Wait(State::Dialing(dial))),
                Ok(Some(tcp)) => self.dialed(tcp, shared, now),
                Err(attempts) => Err(Error::Connect { peer: self.peer.clone(), attempts }),
            },
            #[cfg(feature = "tls")]
            State::Tls(mut handshake) => match handshake.advance() {
                Ok(None) => Ok(Step::Wait(State::Tls(handshake))),
                Ok(Some(stream)) => self.secured(stream, now),
                Err(error) => shared.widened(error),
            },
            State::Upgrading(mut upgrade) => match upgrade.advance(now)? {
                None => Ok(Step::Wait(State::Upgrading(upgrade))),
                Some(connection) => {
                    self.timings.upgrade = Some(self.lap(now));
                    Ok(Step::Done(connection))
                }
            },
            State::Over => Err(Error::Request(String::from("the attempt is over"))),
        }
    }

    fn start(&mut self, now: Instant) -> Result<Step, Error> {
        if self.endpoint.url.scheme.is_tls() && !cfg!(feature = "tls") {
            return Err(Error::NoTls);
        }
        match resolve::resolve(&self.peer.host, self.peer.port) {
            Ok(resolve::Resolved::Now(addresses)) => Ok(self.resolved(addresses, now)),
            Ok(resolve::Resolved::Later(lookup)) => Ok(Step::Go(State::Resolving(lookup))),
            Err(why) => Err(self.unresolved(why)),
        }
    }

    fn resolved(&mut self, addresses: Vec<std::net::SocketAddr>, now: Instant) -> Step {
        self.timings.resolve = Some(self.lap(now));
        Step::Go(State::Dialing(dial::Dial::new(addresses, now)))
    }

    /// The TCP connection stands. A proxy's handshake will have its place here, before TLS.
    #[cfg_attr(not(feature = "tls"), expect(unused_variables))]
    fn dialed(&mut self, tcp: TcpStream, shared: &mut Shared, now: Instant) -> Result<Step, Error> {
        self.timings.connect = Some(self.lap(now));
        #[cfg(feature = "tls")]
        if self.endpoint.url.scheme.is_tls() {
            let given = self.endpoint.tls.servername.as_deref();
            let name = tls::server_name(given.unwrap_or(&self.peer.host));
            let context = shared.context(&self.peer)?;
            return match tls::Handshake::start(context, &name, &self.peer, stream::Socket::new(tcp)) {
                Ok(Ok(stream)) => self.secured(stream, now),
                Ok(Err(handshake)) => Ok(Step::Wait(State::Tls(handshake))),
                Err(error) => shared.widened(error),
            };
        }
        self.transported(stream::Stream::plain(tcp))
    }

    #[cfg(feature = "tls")]
    fn secured(&mut self, stream: stream::Stream, now: Instant) -> Result<Step, Error> {
        self.timings.tls = Some(self.lap(now));
        self.transported(stream)
    }

    /// The byte stream stands.
    fn transported(&mut self, stream: stream::Stream) -> Result<Step, Error> {
        if !self.endpoint.url.scheme.is_websocket() {
            let established = Established { subprotocol: None, peer: stream.peer() };
            return Ok(Step::Done(Connection::plain(stream, established)));
        }
        let upgrade = upgrade::Upgrade::new(&self.endpoint, &self.peer, stream)?;
        Ok(Step::Go(State::Upgrading(Box::new(upgrade))))
    }

    /// The time since the last step ended.
    fn lap(&mut self, now: Instant) -> Duration {
        let duration = now.saturating_duration_since(self.since);
        self.since = now;
        duration
    }

    fn unresolved(&self, why: String) -> Error {
        Error::Resolve { host: self.peer.host.clone(), why }
    }

    fn timed_out(&mut self) -> Error {
        let phase = match std::mem::replace(&mut self.state, State::Over) {
            State::Start | State::Resolving(_) => Phase::Resolve,
            State::Dialing(_) => Phase::Connect,
            #[cfg(feature = "tls")]
            State::Tls(_) => Phase::Tls,
            State::Upgrading(mut upgrade) => match upgrade.cut_short() {
                Some(refused) => return refused,
                None => Phase::Upgrade,
            },
            State::Over => Phase::Upgrade,
        };
        Error::TimedOut { phase, peer: self.peer.clone(), limit: self.endpoint.connect_timeout }
    }
}

#[cfg(test)]
mod tests;
#[cfg(all(test, feature = "tls", not(target_vendor = "apple")))]
mod tls_tests;
