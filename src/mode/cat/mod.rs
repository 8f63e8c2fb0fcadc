//! `wspipe cat`: stdin to the socket, the socket to stdout, at the same time, byte-exact.
//!
//! ```text
//! Starting -> Open -> Draining -> Closing -> Ended
//!              ^  \______________________/     |
//!              +--------- reconnect -----------+
//! ```
//! Open: both directions flow. Draining: the end is decided (`-C`, `--until`, quiet after stdin's end); what
//! was read from stdin still goes out. Closing: Close is given; what still comes is printed.

mod outgoing;
mod printing;
mod verdict;

use std::time::Instant;

use bytes::Bytes;
use log::{debug, info, warn};

use self::{outgoing::Outgoing, printing::Printed, verdict::PeerClosed};
use super::{Failure, Handed, Kind, Machine, Milestones, Next, Stalls, World, micros_since};
use crate::{
    config::{self, Endpoint},
    proto::{
        framing::{Control, Encoder},
        keepalive::Keepalive,
        latency::Millis,
        link::{self, Established, Lost, Received, Transmit},
    },
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No connection yet, or none any more and another is wanted.
    Starting,
    Open,
    Draining,
    Closing,
    Ended,
}

/// The machine.
pub struct Cat {
    options: config::Cat,
    url: String,
    phase: Phase,
    outgoing: Outgoing,
    encoder: Encoder,
    out: Printed,
    keepalive: Keepalive,
    received: u64,
    /// `-C` or `--until` is met.
    met: bool,
    input_ended: bool,
    /// The end of `-W`.
    limit: Option<Instant>,
    /// Since when nothing happened after stdin's end: the last byte left, or the last message came.
    quiet_since: Option<Instant>,
    /// A control frame is among what came since the last `handle_heard`.
    control_heard: bool,
    connected_before: bool,
    /// Failed attempts in a row.
    retries: u64,
    peer_closed: Option<PeerClosed>,
    reading: bool,
    stalls: Stalls,
    failure: Option<Failure>,
    /// A signal, or a reader of stdout that has gone: what is missing is nobody's fault.
    stopped: bool,
    output_gone: bool,
    /// Messages that came after a signal and had no place.
    dropped: u64,
    milestones: Milestones,
    /// The wall clock less the monotonic one, for times in JSON.
    epoch: (Instant, u64),
}

impl Cat {
    /// Before the first connection.
    pub fn new(endpoint: &Endpoint, options: &config::Cat, world: World) -> Cat {
        let kind = if options.binary { link::Kind::Binary } else { link::Kind::Text };
        let escape = world.terminal && !options.raw;
        Cat {
            url: endpoint.url.shown(),
            phase: Phase::Starting,
            outgoing: Outgoing::new(options, kind),
            encoder: Encoder::new(options.output, escape, options.strict),
            out: Printed::default(),
            keepalive: Keepalive::new(options.ping_interval, options.ping_timeout),
            received: 0,
            met: options.count.is_none() && options.until.is_none(),
            input_ended: options.no_stdin || options.echo,
            limit: options.timeout.and_then(|limit| world.started.0.checked_add(limit)),
            quiet_since: None,
            control_heard: false,
            connected_before: false,
            retries: 0,
            peer_closed: None,
            reading: true,
            stalls: Stalls::default(),
            failure: None,
            stopped: false,
            output_gone: false,
            dropped: 0,
            milestones: Milestones::default(),
            epoch: world.started,
            options: options.clone(),
        }
    }

    fn micros(&self, now: Instant) -> u64 {
        micros_since(self.epoch, now)
    }

    fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Draining | Phase::Closing)
    }

    #[inline(always)]
    fn handle_message(&mut self, kind: link::Kind, payload: &[u8], now: Instant) {
        if self.options.echo {
            // Once the end is decided nothing goes back any more, and after a signal the loop reads on regardless.
            if self.phase == Phase::Open {
                self.outgoing.echo(kind, payload);
            }
        } else if !self.print(kind, payload, now) {
            return;
        }
        self.count(payload, now);
    }

    /// One more was received; it may be the last.
    #[inline(always)]
    fn count(&mut self, payload: &[u8], now: Instant) {
        self.received += 1;
        if self.quiet_since.is_some() {
            self.quiet_since = Some(now);
        }
        let counted = self.options.count.is_some_and(|count| self.received >= count);
        let until = self.options.until.as_deref();
        if counted || until.is_some_and(|text| contains(payload, text)) {
            self.met = true;
            self.drain();
        }
    }

    fn print_control(&mut self, control: Control<'_>, now: Instant) {
        if !self.output_gone && self.phase != Phase::Ended {
            let time = self.micros(now);
            self.encoder.control(self.out.tail(), control, time);
        }
    }

    /// The end is decided: what was read from stdin goes out, then Close.
    fn drain(&mut self) {
        if self.phase == Phase::Open {
            self.phase = Phase::Draining;
        }
    }

    /// Ends it for a reason of our own: at once, with this Close.
    fn fail(&mut self, failure: Failure, code: u16, reason: &str) {
        self.failure.get_or_insert(failure);
        self.close(code, reason);
    }

    /// Close goes out next, and nothing of stdin any more.
    fn close(&mut self, code: u16, reason: &str) {
        match self.phase {
            Phase::Starting => {
                self.phase = Phase::Ended;
                self.outgoing.handle_end();
                let url = self.url.clone();
                self.account(&url);
            }
            Phase::Open | Phase::Draining => {
                self.phase = Phase::Closing;
                self.outgoing.close(code, reason);
            }
            Phase::Closing | Phase::Ended => {}
        }
    }

    fn close_as_asked(&mut self) {
        let reason = self.options.close_reason.clone();
        self.close(self.options.close_code, &reason);
    }

    /// Whether all that was read from stdin, to its end, is with the kernel.
    fn is_all_sent(&self) -> bool {
        self.input_ended && self.outgoing.is_all_sent()
    }

    /// The quiet begins when the last byte has left; where nothing was left to send, no `handle_sent` tells.
    fn look_at_quiet(&mut self, now: Instant) {
        if self.quiet_since.is_none() && self.is_all_sent() {
            self.quiet_since = Some(now);
        }
    }

    /// When the quiet after stdin's end has lasted long enough.
    fn quiet_at(&self) -> Option<Instant> {
        let since = self.quiet_since.filter(|_| self.phase == Phase::Open && self.reading)?;
        since.checked_add(self.options.quiet?)
    }
}

/// Whether `text` stands in `payload`; the empty one stands everywhere.
fn contains(payload: &[u8], text: &[u8]) -> bool {
    memchr::memmem::find(payload, text).is_some()
}

impl Machine for Cat {
    fn handle_connected(&mut self, established: &Established, _by: Instant, now: Instant) {
        info!("CONNECTED {} ({})", self.url, established.peer);
        self.phase = Phase::Open;
        self.milestones = Milestones::default();
        self.connected_before = true;
        self.peer_closed = None;
        self.outgoing.handle_connected();
        self.keepalive.handle_connected(now);
    }

    fn handle_received(&mut self, received: Received<'_>, now: Instant) {
        if !self.is_up() {
            return;
        }
        self.retries = 0;
        self.control_heard |= !matches!(received, Received::Message(..));
        match received {
            Received::Message(kind, payload) => {
                self.milestones.message.get_or_insert(now);
                self.handle_message(kind, payload, now);
            }
            Received::Ping(payload) => {
                debug!("ping, {} bytes", payload.len());
                self.print_control(Control::Ping(payload), now);
            }
            Received::Pong(payload) => {
                let ours = self.keepalive.handle_pong(payload, now);
                match ours.and_then(|(_, rtt)| rtt) {
                    Some(rtt) => debug!("pong in {} ms", Millis(rtt)),
                    None => debug!("pong, {} bytes", payload.len()),
                }
                if let Some((number, _)) = ours {
                    self.outgoing.handle_pong(number);
                }
                self.print_control(Control::Pong(payload), now);
            }
            Received::Close(close) => {
                self.print_control(Control::Close(close), now);
                self.handle_close(close);
            }
        }
    }

    fn handle_large(&mut self, kind: link::Kind, message: &mut Vec<u8>, now: Instant) {
        if !self.is_up() {
            return;
        }
        self.retries = 0;
        self.milestones.message.get_or_insert(now);
        self.handle_large_message(kind, message, now);
    }

    fn handle_heard(&mut self, now: Instant) {
        self.keepalive.handle_heard(now);
        // Bytes of no control frame are those of a message: while one is coming in there is no quiet.
        if !std::mem::take(&mut self.control_heard) && self.quiet_since.is_some() {
            self.quiet_since = Some(now);
        }
    }

    fn handle_sent(&mut self, now: Instant) {
        self.outgoing.handle_sent();
        self.keepalive.handle_sent(now);
        self.look_at_quiet(now);
    }

    fn handle_progress(&mut self, now: Instant) {
        // Our Ping may lie behind megabytes in the kernel: a peer that takes them is alive.
        self.keepalive.handle_heard(now);
    }

    fn handle_lost(&mut self, lost: Lost, handed: Handed, now: Instant) {
        self.keepalive.handle_lost();
        self.outgoing.handle_lost(handed);
        // What broke the protocol, or the limit, would do so again.
        let permanent = matches!(lost, Lost::Violation(..) | Lost::TooLarge(_))
            || self.peer_closed.as_ref().is_some_and(|close| close.permanent);
        if self.phase == Phase::Open && !permanent && self.wants_retry() {
            let how = self.describe_end(&lost, now);
            warn!("{}: connecting again", how.text);
            self.phase = Phase::Starting;
            self.quiet_since = None;
            return;
        }
        self.outgoing.handle_end();
        self.end(&lost, now);
    }

    fn handle_unreachable(&mut self, permanent: bool, text: &str, _now: Instant) {
        self.retries += 1;
        if !permanent && self.wants_retry() {
            return warn!("{text}: trying again");
        }
        self.phase = Phase::Ended;
        self.outgoing.handle_end();
        if self.account(text) {
            return;
        }
        self.failure.get_or_insert(Failure::new(Kind::Unreachable, ""));
    }

    fn handle_input(&mut self, data: Bytes, _now: Instant) {
        self.outgoing.push(data);
    }

    fn handle_input_end(&mut self, _now: Instant) {
        self.input_ended = true;
        self.outgoing.finish_input();
    }

    fn handle_input_failed(&mut self, error: &str, _now: Instant) {
        self.input_ended = true;
        let failure = Failure::new(Kind::Input, format!("could not read stdin: {error}"));
        self.fail(failure, 1000, "");
    }

    fn handle_written(&mut self, n: usize, _now: Instant) {
        self.out.written(n);
    }

    fn handle_output_closed(&mut self, _now: Instant) {
        self.output_gone = true;
        self.out.discard();
        self.close_as_asked();
    }

    fn handle_reading(&mut self, reading: bool, now: Instant) {
        self.reading = reading;
        self.keepalive.handle_reading(reading, now);
        self.stalls.handle(reading, now);
        if reading && self.quiet_since.is_some() {
            self.quiet_since = Some(now);
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.keepalive.handle_timeout(now);
        if self.limit.is_some_and(|at| at <= now) && !matches!(self.phase, Phase::Closing | Phase::Ended) {
            let seconds = self.options.timeout.unwrap_or_default().as_secs_f64();
            let text = format!("{}: not done within {seconds} s", self.url);
            self.fail(Failure::new(Kind::TimedOut, text), 1000, "");
        }
        if self.quiet_at().is_some_and(|at| at <= now) {
            self.drain();
        }
    }

    fn handle_stop(&mut self, _now: Instant) {
        self.stopped = true;
        self.close_as_asked();
    }

    fn poll_drop(&mut self, now: Instant) -> Option<Lost> {
        let dead = self.is_up() && self.keepalive.is_dead(now);
        dead.then(|| Lost::Silent(self.options.ping_timeout.unwrap_or_default()))
    }

    fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        if !self.is_up() {
            return None;
        }
        if self.phase != Phase::Closing {
            if let Some(payload) = self.keepalive.poll_ping(now) {
                self.outgoing.count_control();
                return Some(Transmit::Ping(payload));
            }
        }
        if self.outgoing.is_held() {
            return None;
        }
        match self.outgoing.poll_transmit(self.input_ended, &mut self.keepalive) {
            Ok(Some(transmit)) => return Some(transmit),
            Ok(None) => self.look_at_quiet(now),
            Err((error, mid)) => {
                // A message that has begun cannot be taken back: 1007 tells the peer to drop it.
                let code = if mid { 1007 } else { self.options.close_code };
                self.fail(Failure::new(Kind::Input, format!("stdin: {error}")), code, "");
                return self.outgoing.poll_close();
            }
        }
        if self.phase == Phase::Draining {
            self.close_as_asked();
            return self.outgoing.poll_close();
        }
        None
    }

    fn output(&self) -> &[u8] {
        self.out.pending()
    }

    fn unwritten(&self) -> usize {
        self.out.len()
    }

    fn take_spare(&mut self) -> Vec<u8> {
        self.out.take_spare()
    }

    fn wants_input(&self) -> bool {
        self.phase == Phase::Open && !self.input_ended && self.outgoing.wants_input()
    }

    fn has_input(&self) -> bool {
        !self.input_ended
    }

    fn is_congested(&self) -> bool {
        self.outgoing.is_congested() || self.out.is_full()
    }

    fn poll_deadline(&self) -> Option<Instant> {
        let limit = self.limit.filter(|_| !matches!(self.phase, Phase::Closing | Phase::Ended));
        let keepalive = self.keepalive.deadline().filter(|_| self.is_up());
        [limit, keepalive, self.quiet_at()].into_iter().flatten().min()
    }

    fn is_closing(&self) -> bool {
        matches!(self.phase, Phase::Draining | Phase::Closing)
    }

    fn is_late(&self) -> bool {
        Failure::is_late(&self.failure)
    }

    fn milestones(&self) -> Milestones {
        self.milestones
    }

    fn poll_next(&self) -> Next {
        match self.phase {
            Phase::Starting if self.connected_before => Next::Reconnect,
            Phase::Starting => Next::Connect,
            _ => Next::Done,
        }
    }

    fn take_outcome(&mut self) -> Result<(), Failure> {
        if self.dropped > 0 {
            let text = format!("{} messages that came after the signal were not printed", self.dropped);
            match &mut self.failure {
                Some(failure) => failure.text.push_str(&format!("; {text}")),
                None => {
                    self.failure = Some(Failure::new(Kind::TimedOut, format!("{}: {text}", self.url)));
                }
            }
        }
        self.failure.take().map_or(Ok(()), Err)
    }
}
