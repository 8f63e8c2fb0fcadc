//! The network: from a URL to a connection that carries messages. Non-blocking throughout: the loop polls,
//! and everything here does what can be done without waiting.

mod dial;
mod error;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
mod local;
mod out;
mod plain;
mod proxy;
mod redirect;
pub(crate) mod resolve;
mod retry_after;
pub mod stream;
#[cfg(feature = "tls")]
mod tls;
pub mod upgrade;
pub mod ws;

use std::{
    fmt,
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

pub use error::{Alert, Clue, Distrust, Error, Fault, Obstacle, Peer, Phase, Refusal};
pub use redirect::Fault as RedirectFault;
pub use retry_after::LONGEST as LONGEST_RETRY_AFTER;
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
}

/// How long the steps took, as far as they are done. Each begins where the one before it ended, so reading the CA
/// bundle counts to the step that the network is at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// Looking up the name; zero for a literal.
    pub resolve: Option<Duration>,
    /// TCP, from the first attempt.
    pub connect: Option<Duration>,
    /// The proxy's handshake, for the address of the server that it could reach.
    pub proxy: Option<Duration>,
    /// The TLS handshake.
    pub tls: Option<Duration>,
    /// The HTTP upgrade.
    pub upgrade: Option<Duration>,
}

/// One attempt to get a connection: resolve, dial, proxy, TLS, upgrade, under one deadline.
pub struct Connector {
    endpoint: Endpoint,
    peer: Peer,
    /// Where a proxy is on the way.
    way: Option<proxy::Way>,
    deadline: Instant,
    state: State,
    phase: Phase,
    since: Instant,
    timings: Timings,
    /// Redirects followed so far.
    followed: u32,
    clock: Option<fn() -> Instant>,
}

impl fmt::Display for Timings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps = [
            ("resolve", self.resolve),
            ("connect", self.connect),
            ("proxy", self.proxy),
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
    Proxying(proxy::Proxying),
    /// `--unix-socket`.
    Local(local::Local),
    #[cfg(feature = "tls")]
    Tls(tls::Handshake),
    Upgrading(Box<upgrade::Upgrade>),
    /// A connection or an error has been given out.
    Over,
}

impl State {
    fn phase(&self) -> Option<Phase> {
        match self {
            State::Start | State::Resolving(_) => Some(Phase::Resolve),
            State::Dialing(_) | State::Local(_) => Some(Phase::Connect),
            State::Proxying(_) => Some(Phase::Proxy),
            #[cfg(feature = "tls")]
            State::Tls(_) => Some(Phase::Tls),
            State::Upgrading(_) => Some(Phase::Upgrade),
            State::Over => None,
        }
    }
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
            way: None,
            deadline,
            state: State::Start,
            phase: Phase::Resolve,
            since: now,
            timings: Timings::default(),
            followed: 0,
            clock: None,
        }
    }

    /// With a clock for the timings: the work of a step, a certificate to check say, is done after `now` was
    /// looked up. Without one they are measured between calls of `advance`.
    pub fn clocked(mut self, clock: fn() -> Instant) -> Connector {
        self.clock = Some(clock);
        self
    }

    /// Does all that can be done without waiting. `None`: poll for `interests` until `wake_at`. Calling it
    /// more often than needed does no harm; after a connection or an error it fails.
    pub fn advance(&mut self, shared: &mut Shared, now: Instant) -> Result<Option<Connection>, Error> {
        loop {
            let state = std::mem::replace(&mut self.state, State::Over);
            self.phase = state.phase().unwrap_or(self.phase);
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
            State::Start | State::Local(_) | State::Over => {}
            State::Resolving(lookup) => fds.push(PollFd::new(lookup, crate::sys::PollFlags::IN)),
            State::Dialing(dial) => dial.interests(fds),
            State::Proxying(handshake) => handshake.interests(fds),
            #[cfg(feature = "tls")]
            State::Tls(handshake) => handshake.interests(fds),
            State::Upgrading(upgrade) => upgrade.interests(fds),
        }
    }

    /// The time at which `advance` must be called at the latest.
    pub fn wake_at(&self) -> Instant {
        let sooner = match &self.state {
            State::Dialing(dial) => dial.wake_at(),
            State::Proxying(handshake) => handshake.wake_at(),
            State::Local(local) => Some(local.wake_at()),
            State::Upgrading(upgrade) => upgrade.wake_at(),
            _ => None,
        };
        sooner.map_or(self.deadline, |at| at.min(self.deadline))
    }

    /// How long the steps took so far.
    pub fn timings(&self) -> Timings {
        self.timings
    }

    /// The step that is under way, or that failed, and when the one before it ended.
    pub fn phase(&self) -> (Phase, Instant) {
        (self.phase, self.since)
    }

    fn step(&mut self, state: State, shared: &mut Shared, now: Instant) -> Result<Step, Error> {
        match state {
            State::Start => self.start(now),
            State::Resolving(mut lookup) => match lookup.take() {
                None => Ok(Step::Wait(State::Resolving(lookup))),
                Some(answer) => {
                    let addresses = answer.map_err(|why| self.unresolved(why))?;
                    self.resolved(addresses, now)
                }
            },
            State::Dialing(mut dial) => match dial.advance(now) {
                Ok(None) => Ok(Step::Wait(State::Dialing(dial))),
                Ok(Some(tcp)) => self.dialed(tcp, shared, now),
                Err(attempts) => Err(self.unreached(attempts)),
            },
            State::Proxying(mut handshake) => match handshake.advance(now) {
                Ok(None) => Ok(Step::Wait(State::Proxying(handshake))),
                Ok(Some(tcp)) => {
                    self.timings.proxy = Some(self.lap(now));
                    self.reached(stream::Socket::new(tcp).proxied(true), shared, now)
                }
                Err(why) => self.refused_by_proxy(why, now),
            },
            State::Local(mut local) => match local.advance(now)? {
                None => Ok(Step::Wait(State::Local(local))),
                Some(stream) => self.dialed(stream, shared, now),
            },
            #[cfg(feature = "tls")]
            State::Tls(mut handshake) => match handshake.advance() {
                Ok(None) => Ok(Step::Wait(State::Tls(handshake))),
                Ok(Some(stream)) => self.secured(stream, now),
                Err(error) => self.widened(shared, error, now),
            },
            State::Upgrading(mut upgrade) => match upgrade.advance(now) {
                Ok(None) => Ok(Step::Wait(State::Upgrading(upgrade))),
                Ok(Some(connection)) => {
                    self.timings.upgrade = Some(self.lap(now));
                    Ok(Step::Done(connection))
                }
                Err(Error::Refused { refusal, .. })
                    if redirect::is_followed(&self.endpoint, refusal.status) =>
                {
                    self.redirected(&refusal, now)
                }
                Err(error) => Err(error),
            },
            State::Over => Err(Error::Request(String::from("the attempt is over"))),
        }
    }

    fn start(&mut self, now: Instant) -> Result<Step, Error> {
        if self.endpoint.url.scheme.is_tls() && !cfg!(feature = "tls") {
            return Err(Error::NoTls);
        }
        let route = &self.endpoint.route;
        if let Some(path) = &route.unix_socket {
            self.way = None;
            return Ok(Step::Go(State::Local(local::Local::new(path, now))));
        }
        let (host, port) = route.target(&self.peer.host, self.peer.port);
        let chosen = self.endpoint.proxy.proxy_for(&self.endpoint.url);
        let proxy = chosen.map_err(|error| Error::Request(error.to_string()))?;
        if self.endpoint.proxy.is_exempt(&self.endpoint.url) {
            log::debug!("{} is reached without the proxy: --no-proxy or NO_PROXY names it", self.peer.host);
        }
        self.way = proxy.map(|proxy| proxy::Way::new(proxy, &Peer { host, port }));
        self.look_up(now)
    }

    /// Looks up what is to be dialed, or asked of a proxy.
    fn look_up(&mut self, now: Instant) -> Result<Step, Error> {
        let route = &self.endpoint.route;
        let (host, port) = match &self.way {
            Some(way) if !way.wants_target() => (way.peer.host.clone(), way.peer.port),
            _ => route.target(&self.peer.host, self.peer.port),
        };
        if let Some(addresses) = route.pinned(&host, port) {
            return self.resolved(addresses, now);
        }
        match resolve::resolve(&host, port) {
            Ok(resolve::Resolved::Now(addresses)) => self.resolved(addresses, now),
            Ok(resolve::Resolved::Later(lookup)) => Ok(Step::Go(State::Resolving(lookup))),
            Err(why) => Err(self.unresolved(why)),
        }
    }

    fn resolved(&mut self, addresses: Vec<SocketAddr>, now: Instant) -> Result<Step, Error> {
        let ours = !self.way.as_ref().is_some_and(proxy::Way::wants_target);
        let usable = self.endpoint.route.usable(addresses, ours).map_err(|why| self.unresolved(why))?;
        let addresses = match &mut self.way {
            None => usable,
            Some(way) => match way.resolved(usable) {
                Some(addresses) => addresses,
                // That was the server; now the proxy.
                None => return self.look_up(now),
            },
        };
        self.timings.resolve = Some(self.lap(now));
        Ok(Step::Go(State::Dialing(dial::Dial::new(addresses, self.endpoint.route.bind, now))))
    }

    /// The TCP connection stands, to the server or to the proxy.
    fn dialed(&mut self, tcp: TcpStream, shared: &mut Shared, now: Instant) -> Result<Step, Error> {
        self.timings.connect = Some(self.lap(now));
        match &self.way {
            Some(way) => Ok(Step::Go(State::Proxying(way.begin(tcp)))),
            None => self.reached(stream::Socket::new(tcp), shared, now),
        }
    }

    fn refused_by_proxy(&mut self, why: Obstacle, now: Instant) -> Result<Step, Error> {
        let Some(way) = &mut self.way else {
            return Err(Error::Request(String::from("there is no proxy")));
        };
        let addresses = way.failed(why)?;
        Ok(Step::Go(State::Dialing(dial::Dial::new(addresses, self.endpoint.route.bind, now))))
    }

    /// The bytes go to the server from here on.
    #[cfg_attr(not(feature = "tls"), expect(unused_variables))]
    fn reached(&mut self, socket: stream::Socket, shared: &mut Shared, now: Instant) -> Result<Step, Error> {
        #[cfg(feature = "tls")]
        if self.endpoint.url.scheme.is_tls() {
            self.phase = Phase::Tls;
            let given = self.endpoint.tls.servername.as_deref();
            let name = tls::server_name(given.unwrap_or(&self.peer.host));
            let context = shared.context(&self.peer)?;
            return match tls::Handshake::start(context, &name, &self.peer, socket) {
                Ok(Ok(stream)) => self.secured(stream, now),
                Ok(Err(handshake)) => Ok(Step::Wait(State::Tls(handshake))),
                Err(error) => self.widened(shared, error, now),
            };
        }
        self.transported(stream::Stream::bare(socket))
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
        self.phase = Phase::Upgrade;
        let upgrade = upgrade::Upgrade::new(&self.endpoint, &self.peer, stream)?;
        Ok(Step::Go(State::Upgrading(Box::new(upgrade))))
    }

    /// What follows a failed handshake: another attempt, once in a process, where it was for want of a CA and the
    /// system has more of them than were looked at.
    #[cfg(feature = "tls")]
    fn widened(&mut self, shared: &mut Shared, error: Error, now: Instant) -> Result<Step, Error> {
        let wants_ca = matches!(&error, Error::Untrusted { why, .. } if why.wants_ca());
        if !shared.context.as_mut().is_some_and(|context| wants_ca && context.widen()) {
            return Err(error);
        }
        log::debug!("{error}: trying again with the system's bundle of CA certificates");
        self.timings = Timings::default();
        self.since = now;
        Ok(Step::Go(State::Start))
    }

    /// The whole way again, to another URL, under the same deadline. The times of the last leg count.
    fn redirected(&mut self, refusal: &Refusal, now: Instant) -> Result<Step, Error> {
        redirect::follow(&mut self.endpoint, refusal.location.as_deref(), self.followed)
            .map_err(|fault| Error::Redirect { peer: self.peer.clone(), status: refusal.status, fault })?;
        let url = &self.endpoint.url;
        self.peer = Peer { host: url.host.clone(), port: url.port };
        self.followed += 1;
        self.timings = Timings::default();
        self.since = now;
        Ok(Step::Go(State::Start))
    }

    /// The time since the last step ended.
    fn lap(&mut self, now: Instant) -> Duration {
        let now = self.clock.map_or(now, |clock| clock());
        let duration = now.saturating_duration_since(self.since);
        self.since = now;
        duration
    }

    fn unresolved(&self, why: String) -> Error {
        match &self.way {
            Some(way) => way.unresolved(why),
            None => {
                let (host, _) = self.endpoint.route.target(&self.peer.host, self.peer.port);
                Error::Resolve { host, why }
            }
        }
    }

    fn unreached(&self, attempts: Vec<(SocketAddr, String)>) -> Error {
        match &self.way {
            Some(way) => Error::ConnectProxy { proxy: way.peer.clone(), attempts },
            None => Error::Connect { peer: self.peer.clone(), attempts },
        }
    }

    fn timed_out(&mut self) -> Error {
        // Up to the proxy's answer it is the proxy that lets us wait.
        let proxy = self.way.as_ref().filter(|way| !way.wants_target()).map(|way| way.peer.clone());
        let (phase, peer) = match (std::mem::replace(&mut self.state, State::Over), proxy) {
            (State::Start | State::Resolving(_), Some(proxy)) => (Phase::ProxyResolve, Some(proxy)),
            (State::Start | State::Resolving(_), None) => (Phase::Resolve, None),
            (State::Dialing(_), Some(proxy)) => (Phase::ProxyConnect, Some(proxy)),
            (State::Dialing(_) | State::Local(_), _) => (Phase::Connect, None),
            (State::Proxying(mut handshake), proxy) => {
                if let Some(refused) = self.way.as_ref().and_then(|way| way.cut_short(&mut handshake)) {
                    return refused;
                }
                (Phase::Proxy, proxy)
            }
            #[cfg(feature = "tls")]
            (State::Tls(_), _) => (Phase::Tls, None),
            (State::Upgrading(mut upgrade), _) => match upgrade.cut_short() {
                Some(refused) => return refused,
                None => (Phase::Upgrade, None),
            },
            (State::Over, _) => (Phase::Upgrade, None),
        };
        let peer = peer.unwrap_or_else(|| self.peer.clone());
        Error::TimedOut { phase, peer, limit: self.endpoint.connect_timeout }
    }
}

#[cfg(test)]
mod tests;
#[cfg(all(test, feature = "tls", not(target_vendor = "apple")))]
mod tls_tests;
