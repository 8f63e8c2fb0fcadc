//! One machine a command, between the loop and the protocols. No I/O, no clock.

mod cat;
mod echo;
mod mqtt;
mod publish;
mod request;
mod roundtrip;
mod rtt;
mod subscribe;

use std::time::{Duration, Instant};

use bytes::Bytes;

use self::rtt::RoundTrips;
use crate::{
    config::{Mode, Ready},
    proto::{
        format::{Zone, escape},
        link::{self, Established, Lost, Received, Transmit},
        tally::Tally,
    },
};

/// What the loop drives. The methods are of the four kinds that [`crate::proto`] names; after each
/// `handle_*` the loop drains the `poll_*`.
pub trait Machine {
    /// A connection is up. `by` is the end of the limit for the whole way in, for MQTT up to CONNACK.
    fn handle_connected(&mut self, established: &Established, by: Instant, now: Instant);

    /// Something arrived.
    fn handle_received(&mut self, received: Received<'_>, now: Instant);

    /// A message arrived, and `message` may be taken, for another buffer.
    fn handle_large(&mut self, kind: link::Kind, message: &mut Vec<u8>, now: Instant) {
        self.handle_received(Received::Message(kind, message), now);
    }

    /// Bytes arrived, of whole messages or of parts.
    fn handle_heard(&mut self, _now: Instant) {}

    /// All that `poll_transmit` gave has been handed to the kernel.
    fn handle_sent(&mut self, now: Instant);

    /// The kernel, full before or now, took some of what `poll_transmit` gave.
    fn handle_progress(&mut self, _now: Instant) {}

    /// The connection is no more. Also told where the peer leaves our Close unanswered.
    fn handle_lost(&mut self, lost: Lost, handed: Handed, now: Instant);

    /// No connection came to be, as `text` says; `permanent` where trying again is of no use.
    fn handle_unreachable(&mut self, permanent: bool, text: &str, now: Instant);

    /// Bytes from stdin.
    fn handle_input(&mut self, _data: Bytes, _now: Instant) {}

    /// stdin has ended.
    fn handle_input_end(&mut self, _now: Instant) {}

    /// stdin could not be read.
    fn handle_input_failed(&mut self, _error: &str, _now: Instant) {}

    /// `n` bytes of `output` have been written.
    fn handle_written(&mut self, n: usize, now: Instant);

    /// The reader of stdout has gone: a quiet, clean end.
    fn handle_output_closed(&mut self, now: Instant);

    /// The loop stopped or resumed reading the socket.
    fn handle_reading(&mut self, reading: bool, now: Instant);

    /// The deadline may have passed. Late and extra calls do no harm.
    fn handle_timeout(&mut self, now: Instant);

    /// SIGINT or SIGTERM: end cleanly.
    fn handle_stop(&mut self, now: Instant);

    /// Whether the peer is to be given up for dead: the connection is then dropped without Close.
    fn poll_drop(&mut self, _now: Instant) -> Option<Lost> {
        None
    }

    /// The next thing to send.
    fn poll_transmit(&mut self, now: Instant) -> Option<Transmit>;

    /// A line for the terminal's stderr that takes the place of the one before (`--progress`).
    fn poll_progress(&mut self, _now: Instant) -> Option<String> {
        None
    }

    /// Something to be told, once, that it is time (`--ready`).
    fn poll_ready(&mut self) -> Option<Ready> {
        None
    }

    /// Bytes for stdout that wait to be written; those that come first, where they lie in several places.
    fn output(&self) -> &[u8];

    /// How many there are in all.
    fn unwritten(&self) -> usize {
        self.output().len()
    }

    /// A buffer of `handle_large` that is free again.
    fn take_spare(&mut self) -> Vec<u8> {
        Vec::new()
    }

    /// Whether stdin is to be read now.
    fn wants_input(&self) -> bool {
        false
    }

    /// Whether stdin matters to the end: the loop looks whether anything waits there.
    fn has_input(&self) -> bool {
        false
    }

    /// Whether so much waits to be sent, or to be printed behind `output`, that nothing is to be read.
    fn is_congested(&self) -> bool {
        false
    }

    /// When `handle_timeout` is due.
    fn poll_deadline(&self) -> Option<Instant>;

    /// The machine has said, or is about to say, its last on this connection: the wait for the peer's Close
    /// begins, even where the socket takes nothing more.
    fn is_closing(&self) -> bool;

    /// A limit has run out: what is left to be said and heard gets little time.
    fn is_late(&self) -> bool {
        false
    }

    /// Asked where there is no connection: what now?
    fn poll_next(&self) -> Next;

    /// What has come on this connection, or on the last one where there is none.
    fn milestones(&self) -> Milestones;

    /// What a test of round trips counted so far.
    fn tally(&mut self) -> Option<Tally<'_>> {
        None
    }

    /// How it ended. Asked once `poll_next` says `Done`.
    fn take_outcome(&mut self) -> Result<(), Failure>;
}

/// What has come on a connection, for `--timing`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Milestones {
    /// The connection stands with CONNACK only: MQTT.
    pub login: bool,
    /// CONNACK 0x00.
    pub connack: Option<Instant>,
    /// The first data message, for MQTT the first PUBLISH.
    pub message: Option<Instant>,
}

/// What the machine wants where there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Connect at once.
    Connect,
    /// Connect after the backoff.
    Reconnect,
    /// Nothing more: the outcome stands.
    Done,
}

/// How much of what `poll_transmit` gave since the last `handle_sent` the kernel has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Handed {
    /// So many were handed over whole.
    pub whole: u64,
    /// The next one in part.
    pub partly: bool,
}

/// Why a run ends with a status other than 0, one variant a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The test failed: the echo differs, a reply is missing.
    TestFailed,
    /// The peer broke WebSocket or MQTT.
    Protocol,
    /// The broker denied a publish or a subscription.
    Denied,
    /// The peer ended it: Close code, DISCONNECT, CONNACK for another reason than login.
    Ended,
    /// A limit ran out.
    TimedOut,
    /// Input unsent or unconfirmed.
    Unconfirmed,
    /// The connection broke with no Close or DISCONNECT.
    Lost,
    /// A message above the limit.
    TooLarge,
    /// stdin or a file cannot be read, or its content is refused.
    Input,
    /// Output is refused (`--strict`).
    Refused,
    /// Login denied.
    Login,
    /// The client certificate was refused, or is missing.
    Tls,
    /// No connection came to be: the network's own error says why.
    Unreachable,
}

/// A [`Kind`] with its line for stderr.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Decides the exit status.
    pub kind: Kind,
    /// What was being done, and what came back.
    pub text: String,
}

impl Failure {
    /// See [`Machine::is_late`].
    fn is_late(failure: &Option<Failure>) -> bool {
        failure.as_ref().is_some_and(|failure| failure.kind == Kind::TimedOut)
    }

    fn new(kind: Kind, text: impl Into<String>) -> Failure {
        Failure { kind, text: text.into() }
    }

    /// For a connection to `url` that ended while `doing` was under way, with nothing else to blame.
    fn lost(lost: &Lost, url: &str, doing: &str) -> Failure {
        let (kind, what) = match lost {
            Lost::Closed | Lost::Eof => {
                (Kind::Lost, "the server ended the connection with no Close".to_owned())
            }
            Lost::Unanswered => (Kind::TimedOut, "the server did not answer our Close".to_owned()),
            Lost::Silent(limit) => {
                (Kind::TimedOut, format!("no answer to our Ping within {} s", limit.as_secs_f64()))
            }
            Lost::Io(text) => (Kind::Lost, format!("connection lost: {text}")),
            Lost::Refused(text) => (Kind::Tls, format!("the TLS handshake failed: {text}")),
            Lost::Violation(_, text) => (Kind::Protocol, format!("the server broke the protocol: {text}")),
            Lost::TooLarge(limit) => {
                let text = format!("message above the limit of {limit} bytes (--max-message raises it)");
                (Kind::TooLarge, text)
            }
        };
        Failure::new(kind, format!("{url}: {doing}: {what}"))
    }
}

/// What a machine must be told of the world, since it cannot ask.
#[derive(Clone, Copy, Debug)]
pub struct World {
    /// Random.
    pub seed: u64,
    /// stdout is a terminal.
    pub terminal: bool,
    /// stderr is one.
    pub stderr_terminal: bool,
    /// The last byte of stdout where that is a file with something in it.
    pub last_byte: Option<u8>,
    /// The start of the program, by both clocks: the second in microseconds since 1970.
    pub started: (Instant, u64),
    /// Looks up the local time zone, for templates that show it.
    pub zone: fn() -> Zone,
}

/// Microseconds since 1970 at `now`, from the same moment by both clocks.
fn micros_since(epoch: (Instant, u64), now: Instant) -> u64 {
    let since = now.saturating_duration_since(epoch.0).as_micros();
    epoch.1.saturating_add(u64::try_from(since).unwrap_or(u64::MAX))
}

/// The machine of a mode that connects; none for `serve`.
pub fn machine(mode: &Mode, world: World) -> Option<Box<dyn Machine>> {
    match mode {
        Mode::Echo(endpoint, options) => Some(Box::new(echo::Echo::new(endpoint, options, world.terminal))),
        Mode::RoundTrip(endpoint, options) => {
            Some(Box::new(roundtrip::RoundTrip::new(endpoint, options, world.seed)))
        }
        Mode::Cat(endpoint, options) => Some(Box::new(cat::Cat::new(endpoint, options, world))),
        Mode::Publish(endpoint, options) => Some(publish::machine(endpoint, options, world)),
        Mode::Subscribe(endpoint, options) => Some(subscribe::machine(endpoint, options, world)),
        Mode::Request(endpoint, options) => Some(request::machine(endpoint, options, world)),
        Mode::Serve(_) => None,
    }
}

/// `(code 1008: reason)`; `(no code)` for a Close without a body.
fn describe_close(close: Option<(u16, &str)>) -> String {
    match close {
        None => "(no code)".to_owned(),
        Some((code, "")) => format!("(code {code})"),
        Some((code, reason)) => format!("(code {code}: {})", escape(reason.as_bytes())),
    }
}

/// Whether a Close says that all is well (RFC 6455 section 7.4.1; none is 1005).
fn is_normal_close(close: Option<(u16, &str)>) -> bool {
    matches!(close, None | Some((1000 | 1001 | 1005, _)))
}

/// Whether the socket is read. What lies unread behind a stalled stdout says nothing about the peer: limits on
/// its answers rest meanwhile, and begin anew when reading resumes.
#[derive(Default)]
struct Reading {
    suspended: bool,
    resumed: Option<Instant>,
}

impl Reading {
    fn handle(&mut self, reading: bool, now: Instant) {
        self.suspended = !reading;
        self.resumed = reading.then_some(now);
    }

    /// When the answer to what was sent at `since` is overdue.
    fn answer_by(&self, since: Instant, limit: Duration) -> Option<Instant> {
        if self.suspended {
            return None;
        }
        self.resumed.map_or(since, |at| at.max(since)).checked_add(limit)
    }
}

/// How long the socket was not read for want of a reader of stdout: what a peer that goes may have gone for.
#[derive(Default)]
struct Stalls {
    since: Option<Instant>,
    /// The longest of late, and its end.
    last: Option<(Duration, Instant)>,
}

/// A stall that ended so long ago has nothing to do with what happens now.
const STALL_MATTERS: Duration = Duration::from_secs(60);

impl Stalls {
    fn handle(&mut self, reading: bool, now: Instant) {
        if !reading {
            self.since = Some(now);
            return;
        }
        if let Some(since) = self.since.take() {
            // The short ones of a reader that is back do not hide the long one.
            let length = now.saturating_duration_since(since);
            let longer = self.recent(now).filter(|(last, _)| *last > length);
            self.last = longer.or(Some((length, now)));
        }
    }

    /// The longest within the last minute, whole seconds of it.
    fn seconds(&self, now: Instant) -> Option<u64> {
        let last = self.recent(now).map(|(length, _)| length);
        let longest = self.since.map(|since| now.saturating_duration_since(since)).max(last)?;
        Some(longest.as_secs()).filter(|seconds| *seconds > 0)
    }

    fn recent(&self, now: Instant) -> Option<(Duration, Instant)> {
        self.last.filter(|(_, end)| now.saturating_duration_since(*end) < STALL_MATTERS)
    }
}

/// An output buffer that grew beyond this many bytes gives its memory back when it is empty.
const KEEP_OUTPUT: usize = 4 * 1024 * 1024;

/// Bytes that wait for stdout.
#[derive(Default)]
struct OutBuffer {
    data: Vec<u8>,
    start: usize,
}

impl OutBuffer {
    #[inline(always)]
    fn pending(&self) -> &[u8] {
        &self.data[self.start..]
    }

    /// Where to append.
    #[inline(always)]
    fn tail(&mut self) -> &mut Vec<u8> {
        // A reader that never catches up leaves it never empty. Moving it down is paid for by what has left.
        if self.start > 0 && self.start >= self.data.len() - self.start {
            self.data.drain(..self.start);
            self.start = 0;
        }
        &mut self.data
    }

    fn push(&mut self, bytes: &[u8]) {
        self.tail().extend_from_slice(bytes);
    }

    fn written(&mut self, n: usize) {
        self.start += n;
        if self.start == self.data.len() {
            self.data.clear();
            self.start = 0;
            if self.data.capacity() > KEEP_OUTPUT {
                self.data = Vec::new();
            }
        }
    }

    fn discard(&mut self) {
        *self = OutBuffer::default();
    }
}

/// Close 1000.
fn close_normally() -> Transmit {
    Transmit::Close { code: Some(1000), reason: String::new() }
}

#[cfg(test)]
mod tests;
