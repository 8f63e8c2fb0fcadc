//! Connections of `pub`, `sub` and `rr`: logging in, reconnecting, and the way out.
//!
//! ```text
//! Starting -> LoggingIn -> Up -> Closing -> Ended
//!    ^            |         |
//!    +-- Leaving <+---------+
//! ```

use std::time::{Duration, Instant};

use log::{debug, warn};

use super::{Client, Keep, rival::Rival};
use crate::{
    config::{Endpoint, Mqtt, Reconnect},
    mode::{Failure, Kind, Next, Stalls},
    proto::{
        format::escape,
        link::{Lost, Transmit},
        mqtt::{
            packet::Version,
            session::{Event, Timer},
        },
    },
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No connection; one is wanted.
    Starting,
    LoggingIn,
    Up,
    /// The connection is given up for another one.
    Leaving,
    /// DISCONNECT and Close are queued or sent.
    Closing,
    Ended,
}

/// What a session tells that every command takes the same way.
#[derive(Debug)]
pub enum General {
    Refused { reason: u8, text: Option<String>, reference: Option<String> },
    Disconnected { reason: u8, text: Option<String>, reference: Option<String> },
    Auth,
    Violated { reason: u8, what: String, too_large: bool },
    TimedOut(Timer),
}

/// Splits off what [`Driver::handle_general`] takes. The rest borrows the session.
pub fn general(event: Event<'_>) -> Result<General, Event<'_>> {
    Ok(match event {
        Event::Refused { reason, text, server_reference: reference } => {
            General::Refused { reason, text, reference }
        }
        Event::Disconnected { reason, text, server_reference: reference } => {
            General::Disconnected { reason, text, reference }
        }
        Event::Auth { .. } => General::Auth,
        Event::Violated { reason, what, too_large } => General::Violated { reason, what, too_large },
        Event::TimedOut(timer) => General::TimedOut(timer),
        other => return Err(other),
    })
}

/// The client with its connections.
pub struct Driver {
    /// The session and its words.
    pub client: Client,
    phase: Phase,
    policy: Reconnect,
    /// CONNACK 0x00 has come once.
    accepted_before: bool,
    /// Failed attempts in a row.
    retries: u64,
    failure: Option<Failure>,
    /// The next connection is not to wait for the backoff: only the version changes.
    at_once: bool,
    /// DISCONNECT and Close have reached the kernel.
    left: bool,
    stopped: bool,
    stalls: Stalls,
    /// The end of `-W`, and its length.
    limit: Option<(Instant, Duration)>,
    /// What was wanted is there.
    met: bool,
    /// A limit of the way out has run out.
    late: bool,
    rival: Rival,
}

impl Driver {
    /// Before the first connection.
    pub fn new(
        endpoint: &Endpoint,
        options: &Mqtt,
        policy: Reconnect,
        keep: Keep,
        inflight: Option<u16>,
        seed: u64,
    ) -> Driver {
        Driver {
            client: Client::new(endpoint, options, keep, inflight, seed),
            phase: Phase::Starting,
            policy,
            accepted_before: false,
            retries: 0,
            failure: None,
            at_once: true,
            left: false,
            stopped: false,
            stalls: Stalls::default(),
            limit: None,
            met: false,
            late: false,
            rival: Rival::new(options.client_id.is_some()),
        }
    }

    /// `-W`: all of it may last so long from `started` on.
    pub fn limit(mut self, started: Instant, length: Option<Duration>) -> Driver {
        self.limit = length.and_then(|length| Some((started.checked_add(length)?, length)));
        self
    }

    /// What was wanted is there: `-W` is no failure any more, but it still ends the way out.
    pub fn handle_met(&mut self) {
        self.met = true;
    }

    /// Ends it where `-W` is over.
    pub fn handle_limit(&mut self, now: Instant) {
        let Some((_, length)) = self.limit.filter(|(at, _)| *at <= now && !self.is_over()) else { return };
        if self.met {
            return self.handle_late(now);
        }
        let text =
            format!("{}: not done within {} s: the time is over", self.client.url(), length.as_secs_f64());
        self.fail(Failure::new(Kind::TimedOut, text), now);
    }

    /// CONNACK 0x00 has come and nothing ended it.
    pub fn is_up(&self) -> bool {
        self.phase == Phase::Up
    }

    /// The end is decided; nothing more is begun.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Closing | Phase::Ended)
    }

    /// See [`crate::mode::Machine::is_closing`].
    pub fn is_closing(&self) -> bool {
        matches!(self.phase, Phase::Closing | Phase::Leaving)
    }

    /// See [`crate::mode::Machine::is_late`].
    pub fn is_late(&self) -> bool {
        self.late || Failure::is_late(&self.failure)
    }

    /// A limit of the way out has run out.
    pub fn handle_late(&mut self, now: Instant) {
        self.late = true;
        self.finish(now);
    }

    /// SIGINT or SIGTERM has come.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// A connection is up.
    pub fn handle_connected(&mut self, by: Instant, now: Instant) {
        self.phase = Phase::LoggingIn;
        self.client.handle_connected(by, now);
    }

    /// CONNACK 0x00.
    pub fn handle_accepted(&mut self, session_present: bool, doubled: u64, now: Instant) {
        self.client.handle_accepted(session_present, now);
        if doubled > 0 {
            let url = self.client.url();
            // Present, but perhaps only since a CONNECT whose CONNACK never came.
            let lost = if session_present { "may have lost" } else { "lost" };
            let messages = if doubled == 1 { "message is" } else { "messages are" };
            warn!("{url}: the server {lost} the session: {doubled} {messages} sent anew and may be doubled");
        }
        self.phase = Phase::Up;
        let found = session_present || self.client.session.is_clean();
        self.rival.handle_accepted(self.accepted_before && found, now);
        self.accepted_before = true;
        self.retries = 0;
    }

    /// What every command takes the same way. `doing` is what is under way.
    pub fn handle_general(&mut self, general: General, doing: &str, now: Instant) {
        if self.is_over() {
            return debug!("after the end: {general:?}");
        }
        let (failure, permanent) = match general {
            General::Refused { reason, text, reference } => {
                let refused = self.client.handle_refused(reason, text.as_deref(), reference.as_deref());
                let Some(failure) = refused else { return self.leave(true, now) };
                (failure, is_permanent(reason, self.client.session.version()))
            }
            General::Disconnected { reason, text, reference } => {
                let failure = self.client.disconnected(reason, text.as_deref(), reference.as_deref());
                (failure, is_permanent(reason, Version::V5))
            }
            General::Auth => (self.client.unexpected_auth(), true),
            General::Violated { reason, what, too_large } => {
                (self.client.violated(reason, &what, too_large), true)
            }
            General::TimedOut(timer) => (self.client.timed_out(timer, doing), false),
        };
        if permanent || !self.try_again() {
            return self.fail(failure, now);
        }
        warn!("{}: connecting again", failure.text);
        self.leave(false, now);
    }

    /// Whether another connection is to be made; it counts as made then.
    fn try_again(&mut self) -> bool {
        let again = self.may_retry();
        self.retries += u64::from(again);
        again
    }

    fn may_retry(&self) -> bool {
        let begun = self.accepted_before || self.policy.retry_connect;
        let left = self.policy.max_retries.is_none_or(|most| self.retries < most);
        let enabled = if self.accepted_before { self.policy.enabled } else { self.policy.retry_connect };
        enabled && begun && left && !self.stopped && !self.is_over()
    }

    /// Closes this connection for the next one.
    fn leave(&mut self, at_once: bool, now: Instant) {
        self.at_once = at_once;
        self.rival.reset();
        self.phase = Phase::Leaving;
        self.client.leave(now);
    }

    /// The connection is gone.
    pub fn handle_lost(&mut self, lost: &Lost, doing: &str, now: Instant) {
        match self.phase {
            Phase::Leaving => {
                self.client.session.handle_lost(now);
                self.phase = Phase::Starting;
            }
            Phase::Closing => {
                self.client.session.handle_lost(now);
                self.phase = Phase::Ended;
                if !self.left && self.failure.is_none() {
                    self.failure = Some(Failure::lost(lost, self.client.url(), "sending DISCONNECT"));
                }
            }
            Phase::LoggingIn | Phase::Up => self.handle_cut(lost, doing, now),
            Phase::Starting | Phase::Ended => {}
        }
    }

    /// The connection is gone, and nobody wanted that.
    fn handle_cut(&mut self, lost: &Lost, doing: &str, now: Instant) {
        let Some(mut failure) = self.client.handle_lost(lost, doing, now) else {
            self.phase = Phase::Starting;
            self.at_once = true;
            return;
        };
        self.at_once = false;
        let stall = self.stalls.seconds(now);
        if let Some(seconds) = stall {
            failure.text.push_str(&format!("; stdout stalled {seconds} s"));
        }
        if stall.is_some() {
            // Reason enough to be cut off.
            self.rival.reset();
        }
        let rival = self.rival.handle_lost(lost, now);
        if rival {
            let id = escape(self.client.session.client_id().as_bytes());
            failure.text.push_str(&format!(
                ", soon after CONNACK and time after time: another client probably uses the same client id (-i {id})"
            ));
        }
        let permanent = rival
            || failure.kind == Kind::Login
            || matches!(lost, Lost::Violation(..) | Lost::TooLarge(_) | Lost::Refused(_));
        if permanent || !self.try_again() {
            self.phase = Phase::Ended;
            self.failure.get_or_insert(failure);
            return;
        }
        warn!("{}: connecting again", failure.text);
        self.phase = Phase::Starting;
    }

    /// No connection came to be.
    pub fn handle_unreachable(&mut self, permanent: bool, text: &str) {
        self.at_once = false;
        self.rival.reset();
        if !permanent && self.try_again() {
            return warn!("{text}: trying again");
        }
        self.phase = Phase::Ended;
        let failure = match self.accepted_before {
            true => Failure::new(Kind::Lost, text),
            false => Failure::new(Kind::Unreachable, ""),
        };
        self.failure.get_or_insert(failure);
    }

    /// All has reached the kernel.
    pub fn handle_sent(&mut self, now: Instant) {
        self.client.session.handle_sent(now);
        self.left |= self.phase == Phase::Closing && self.client.has_said_all();
    }

    /// The loop stopped or resumed reading.
    pub fn handle_reading(&mut self, reading: bool, now: Instant) {
        self.client.session.handle_reading(reading, now);
        self.stalls.handle(reading, now);
    }

    /// SIGINT or SIGTERM: no more connections are made.
    pub fn handle_stop(&mut self) {
        self.stopped = true;
        if self.phase == Phase::Starting {
            self.phase = Phase::Ended;
        }
    }

    /// Ends it: DISCONNECT 0x00 and Close where there is a connection.
    pub fn finish(&mut self, now: Instant) {
        match self.phase {
            Phase::Starting => self.phase = Phase::Ended,
            Phase::LoggingIn | Phase::Up => {
                self.phase = Phase::Closing;
                self.client.finish(0, now);
            }
            Phase::Leaving => self.phase = Phase::Closing,
            Phase::Closing | Phase::Ended => {}
        }
    }

    /// Ends it for a reason; the first one stands.
    pub fn fail(&mut self, failure: Failure, now: Instant) {
        self.failure.get_or_insert(failure);
        self.finish(now);
    }

    /// Why it ended, where something failed.
    pub fn failure(&mut self) -> &mut Option<Failure> {
        &mut self.failure
    }

    /// See [`crate::mode::Machine::poll_transmit`].
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        self.client.poll_transmit(now)
    }

    /// When the session or `-W` is due.
    pub fn poll_deadline(&self) -> Option<Instant> {
        let limit = self.limit.map(|(at, _)| at).filter(|_| !self.is_over());
        let session = self.client.session.poll_deadline().map(|(at, _)| at);
        [limit, session].into_iter().flatten().min()
    }

    /// See [`crate::mode::Machine::poll_next`].
    pub fn poll_next(&self) -> Next {
        match self.phase {
            Phase::Starting if self.at_once => Next::Connect,
            Phase::Starting => Next::Reconnect,
            _ => Next::Done,
        }
    }
}

/// Whether trying again is of no use after this reason in CONNACK or DISCONNECT.
fn is_permanent(reason: u8, version: Version) -> bool {
    if version == Version::V311 || reason < 0x80 {
        // 3.1.1: only "server unavailable" may pass.
        return reason != 3 && reason != 0;
    }
    matches!(reason, 0x81 | 0x82 | 0x84 | 0x85 | 0x86 | 0x87 | 0x8a | 0x8c | 0x8e | 0x93 | 0x95 | 0x9c | 0x9d)
}
