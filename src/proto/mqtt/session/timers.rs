//! Keep Alive, and the limits on every answer.

use std::time::{Duration, Instant};

use super::{Event, Phase, Session, State, Timer, codec};

/// A PINGRESP is not expected sooner than this, however short Keep Alive is.
const PING_LIMIT_MIN: Duration = Duration::from_secs(5);
/// Above this many PINGREQs without an answer (the reader is stalled), the youngest ones are counted as one.
const PINGS_MAX: usize = 64;

/// PINGREQs without an answer.
#[derive(Debug)]
pub(super) struct Ping {
    /// Of the last of them, among the packets queued.
    pub serial: u64,
    /// QoS 0 PUBLISHes accepted before it.
    pub covers: u64,
    /// How many PINGRESPs are owed.
    pub count: u32,
    /// When the last of them reached the kernel.
    pub at: Option<Instant>,
}

#[derive(Debug, Default)]
pub(super) struct Timers {
    connack_by: Option<Instant>,
    /// The Keep Alive in force; none when it is off.
    pub keep_alive: Option<Duration>,
    /// The last sign of life from the server.
    pub life: Option<Instant>,
    /// Since when the owner does not read.
    suspended: Option<Instant>,
    /// When it last took up reading again.
    resumed: Option<Instant>,
    /// A limit has run out, and the owner was told.
    timed_out: bool,
}

impl Timers {
    /// A connection begins.
    pub fn begin(&mut self, now: Instant, connack_by: Instant) {
        *self = Timers {
            connack_by: Some(connack_by),
            suspended: self.suspended.map(|_| now),
            ..Timers::default()
        };
    }

    /// It has ended.
    pub fn end(&mut self) {
        *self = Timers { suspended: self.suspended, ..Timers::default() };
    }

    pub fn handle_reading(&mut self, reading: bool, now: Instant) {
        if !reading {
            self.suspended.get_or_insert(now);
            return;
        }
        let Some(since) = self.suspended.take() else { return };
        self.resumed = Some(now);
        if let Some(by) = self.connack_by {
            self.connack_by = by.checked_add(now.saturating_duration_since(since));
        }
    }
}

impl State {
    pub fn handle_sent(&mut self, now: Instant) {
        self.sent.handle_sent(now, self.oldest_outstanding());
        let taken = self.sent.taken();
        for ping in self.pings.iter_mut().rev().take_while(|ping| ping.at.is_none()) {
            // All that was handed out is in the kernel now.
            ping.at = (ping.serial <= taken).then_some(now);
        }
    }

    /// The lowest serial number whose time still matters.
    fn oldest_outstanding(&self) -> u64 {
        let [publish, release] = self.outgoing.oldest();
        let request = self.requests.front().map(|request| request.serial);
        [publish, release, request].into_iter().flatten().min().unwrap_or(u64::MAX)
    }

    /// PINGRESP may take as long as any other answer, but not longer than Keep Alive: a shorter Keep Alive asks
    /// for a dead server to be noticed sooner.
    fn ping_limit(&self) -> Duration {
        let limit = self.options.ack_timeout;
        self.timers.keep_alive.map_or(limit, |keep_alive| limit.min(keep_alive.max(PING_LIMIT_MIN)))
    }

    /// When the answer to a packet of ours is overdue, by when it reached the kernel.
    fn answer_by(&self, since: Option<Instant>, limit: Duration) -> Option<Instant> {
        since.max(since.and(self.timers.resumed))?.checked_add(limit)
    }

    pub fn poll_deadline(&self) -> Option<(Instant, Timer)> {
        if self.timers.timed_out {
            return None;
        }
        let reading = self.timers.suspended.is_none();
        match self.phase {
            Phase::Connecting if reading => self.timers.connack_by.map(|at| (at, Timer::ConnAck)),
            Phase::Connected => {
                let answer = if reading { self.next_answer() } else { None };
                let keep_alive = self.keep_alive_at().map(|at| (at, Timer::KeepAlive));
                answer.into_iter().chain(keep_alive).min_by_key(|deadline| deadline.0)
            }
            _ => None,
        }
    }

    /// The answer, or the progress of what is sent, that is overdue first. Queues are in order of sending: only
    /// their oldest count.
    fn next_answer(&self) -> Option<(Instant, Timer)> {
        let limit = self.options.ack_timeout;
        let sent = |serial: Option<u64>| self.sent.at(serial?);
        let [publish, release] = self.outgoing.oldest();
        let request = self.requests.front().map(|request| request.serial);
        let ping = self.pings.front().and_then(|ping| ping.at);
        let deadlines = [
            // A server that waits for us to read may take nothing: our own stall is not held against it.
            (self.answer_by(self.sent.stalled(), limit), Timer::Sending),
            (self.answer_by(ping.max(ping.and(self.timers.life)), self.ping_limit()), Timer::PingResp),
            (self.answer_by(sent(request), limit), Timer::Subscription),
            (self.answer_by(sent(publish), limit), Timer::Publish),
            (self.answer_by(sent(release), limit), Timer::Release),
        ];
        deadlines.into_iter().filter_map(|(at, timer)| Some((at?, timer))).min_by_key(|deadline| deadline.0)
    }

    /// When PINGREQ is due: not while anything is on its way to the kernel, since that will do as well.
    fn keep_alive_at(&self) -> Option<Instant> {
        self.sent.idle_since()?.checked_add(self.timers.keep_alive?)
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        // At most twice: a PINGREQ that is queued has no deadline before it reached the kernel.
        while let Some((at, timer)) = self.poll_deadline() {
            if at > now {
                return;
            }
            if timer == Timer::KeepAlive && self.ping() {
                continue;
            }
            self.timers.timed_out = true;
            let event = match timer {
                // Without one the connection cannot be kept.
                Timer::KeepAlive => {
                    self.violated(0x82, "its Maximum Packet Size allows no PINGREQ".to_owned())
                }
                timer => Some(Event::TimedOut(timer)),
            };
            self.events.extend(event);
        }
    }

    /// Queues PINGREQ, unless one that says as much is still in the out-buffer. False where the server takes none.
    pub fn ping(&mut self) -> bool {
        let (covers, taken) = (self.qos0_accepted, self.sent.taken());
        if self.pings.back().is_some_and(|ping| ping.serial > taken && ping.covers == covers) {
            return true;
        }
        let Ok(serial) = self.queue(|out, _| {
            codec::pingreq(out);
            Ok(())
        }) else {
            return false;
        };
        if self.pings.len() < PINGS_MAX {
            self.pings.push_back(Ping { serial, covers, count: 1, at: None });
        } else if let Some(last) = self.pings.back_mut() {
            *last = Ping { serial, covers, count: last.count.saturating_add(1), at: None };
        }
        true
    }

    /// PINGRESP: the oldest PINGREQ is answered. One that nobody asked for is a sign of life, no more.
    pub fn handle_pingresp(&mut self) -> Option<Event<'static>> {
        let taken = self.sent.taken();
        let ping = self.pings.front_mut().filter(|ping| ping.count > 1 || ping.serial <= taken)?;
        ping.count -= 1;
        if ping.count > 0 {
            return None;
        }
        let confirmed = ping.covers - self.qos0_confirmed;
        self.qos0_confirmed = ping.covers;
        self.pings.pop_front();
        Some(Event::Confirmed { confirmed, left: self.qos0_accepted - self.qos0_confirmed })
    }
}

impl Session {
    /// Queues PINGREQ now; its PINGRESP confirms the QoS 0 PUBLISHes before it.
    pub fn ping(&mut self, _now: Instant) {
        if self.state.phase == Phase::Connected {
            self.state.ping();
        }
    }
}
