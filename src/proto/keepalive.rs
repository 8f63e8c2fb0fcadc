//! WebSocket Pings of ours: keepalive, a limit on the peer's silence, and barriers (RFC 6455 section 5.5.2).
//!
//! A Pong says that the peer's WebSocket layer has read all that we sent before the Ping, so every Ping is a
//! barrier, and one number names both.

use std::time::{Duration, Instant};

use bytes::Bytes;

/// A Ping that the peer has not answered.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    number: u64,
    /// When the kernel had it; none while it is still queued.
    sent: Option<Instant>,
}

/// The machine. All limits are suspended while the owner does not read the socket.
#[derive(Debug)]
pub struct Keepalive {
    interval: Option<Duration>,
    limit: Option<Duration>,
    next: Option<Instant>,
    /// A Ping is to go as soon as it can.
    due: bool,
    number: u64,
    /// The oldest Ping without a Pong, and the newest: in between nothing needs to be known.
    oldest: Option<Waiting>,
    newest: Option<Waiting>,
    /// The last sign of life, or the return from not reading.
    heard: Option<Instant>,
    reading: bool,
}

impl Keepalive {
    /// `interval`: a Ping as often. `limit`: how long the peer may be silent once a Ping has reached the
    /// kernel.
    pub fn new(interval: Option<Duration>, limit: Option<Duration>) -> Keepalive {
        Keepalive {
            interval,
            limit,
            next: None,
            due: false,
            number: 0,
            oldest: None,
            newest: None,
            heard: None,
            reading: true,
        }
    }

    /// A new connection: Pings of the last one are forgotten.
    pub fn handle_connected(&mut self, now: Instant) {
        self.oldest = None;
        self.newest = None;
        self.heard = Some(now);
        self.next = self.interval.and_then(|interval| now.checked_add(interval));
    }

    /// The connection is gone: nothing is due.
    pub fn handle_lost(&mut self) {
        self.next = None;
        self.due = false;
        self.oldest = None;
        self.newest = None;
    }

    /// Anything arrived.
    pub fn handle_heard(&mut self, now: Instant) {
        self.heard = Some(now);
    }

    /// A Pong: the number of our Ping that it answers, and the round-trip time where that is known. A Pong
    /// answers all Pings before it too (section 5.5.3).
    pub fn handle_pong(&mut self, payload: &[u8], now: Instant) -> Option<(u64, Option<Duration>)> {
        let number = std::str::from_utf8(payload).ok()?.parse().ok()?;
        let newest = self.newest.filter(|_| number <= self.number)?;
        if number == newest.number {
            self.oldest = None;
            self.newest = None;
            return Some((number, newest.sent.map(|sent| now.saturating_duration_since(sent))));
        }
        // The oldest still waiting is now a later one; when that was sent is not kept, so count from here.
        self.oldest = self.oldest.map(|oldest| Waiting {
            number: oldest.number.max(number + 1),
            sent: oldest.sent.map(|sent| sent.max(now)),
        });
        Some((number, None))
    }

    /// All that was given has reached the kernel.
    pub fn handle_sent(&mut self, now: Instant) {
        for waiting in [&mut self.oldest, &mut self.newest].into_iter().flatten() {
            waiting.sent.get_or_insert(now);
        }
    }

    /// The owner stopped or resumed reading: limits restart in full.
    pub fn handle_reading(&mut self, reading: bool, now: Instant) {
        self.reading = reading;
        self.heard = Some(now);
    }

    /// Notes that a Ping is due, though it may be long before anything can be sent.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.next.is_some_and(|at| at <= now) {
            self.next = self.interval.and_then(|interval| now.checked_add(interval));
            self.due = true;
        }
    }

    /// A Ping that is due, as its payload. Not while the last one is still queued: it would not come sooner.
    pub fn poll_ping(&mut self, now: Instant) -> Option<Bytes> {
        self.handle_timeout(now);
        if !std::mem::take(&mut self.due) {
            return None;
        }
        if self.newest.is_some_and(|newest| newest.sent.is_none()) {
            return None;
        }
        Some(self.ping().1)
    }

    /// A Ping now: its number and payload.
    pub fn ping(&mut self) -> (u64, Bytes) {
        self.number += 1;
        let waiting = Waiting { number: self.number, sent: None };
        self.oldest.get_or_insert(waiting);
        self.newest = Some(waiting);
        (self.number, Bytes::from(self.number.to_string()))
    }

    /// Whether the peer has been silent for too long.
    pub fn is_dead(&self, now: Instant) -> bool {
        self.silent_at().is_some_and(|at| at <= now)
    }

    /// When something is due: a Ping, or the end of the limit.
    pub fn deadline(&self) -> Option<Instant> {
        [self.next, self.silent_at()].into_iter().flatten().min()
    }

    fn silent_at(&self) -> Option<Instant> {
        let sent = self.oldest.filter(|_| self.reading)?.sent?;
        sent.max(self.heard.unwrap_or(sent)).checked_add(self.limit?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn up(limit: u32) -> (Keepalive, Instant) {
        let mut keepalive = Keepalive::new(Some(10 * SECOND), Some(limit * SECOND));
        let now = Instant::now();
        keepalive.handle_connected(now);
        (keepalive, now)
    }

    #[test]
    fn pings_go_out_at_the_interval_and_pongs_tell_the_time() {
        let (mut keepalive, now) = up(5);
        assert_eq!(keepalive.poll_ping(now + 9 * SECOND), None);
        assert_eq!(keepalive.poll_ping(now + 10 * SECOND).as_deref(), Some(&b"1"[..]));
        keepalive.handle_sent(now + 11 * SECOND);
        assert_eq!(keepalive.handle_pong(b"1", now + 13 * SECOND), Some((1, Some(2 * SECOND))));
        assert_eq!(keepalive.deadline(), Some(now + 20 * SECOND));
    }

    #[test]
    fn silence_counts_from_the_kernel_and_any_traffic_ends_it() {
        let (mut keepalive, now) = up(5);
        keepalive.poll_ping(now + 10 * SECOND);
        assert!(!keepalive.is_dead(now + 100 * SECOND), "still queued");
        keepalive.handle_sent(now + 11 * SECOND);
        assert!(!keepalive.is_dead(now + 15 * SECOND));
        assert!(keepalive.is_dead(now + 16 * SECOND));
        keepalive.handle_heard(now + 15 * SECOND);
        assert!(!keepalive.is_dead(now + 19 * SECOND));
        assert!(keepalive.is_dead(now + 20 * SECOND));
    }

    #[test]
    fn while_nothing_is_read_nobody_is_dead() {
        let (mut keepalive, now) = up(5);
        keepalive.poll_ping(now + 10 * SECOND);
        keepalive.handle_sent(now + 10 * SECOND);
        keepalive.handle_reading(false, now + 11 * SECOND);
        assert!(!keepalive.is_dead(now + 1000 * SECOND));
        assert!(keepalive.poll_ping(now + 1000 * SECOND).is_some(), "our Pings go on");
        keepalive.handle_sent(now + 1000 * SECOND);
        keepalive.handle_reading(true, now + 1000 * SECOND);
        assert!(!keepalive.is_dead(now + 1004 * SECOND), "in full");
        assert!(keepalive.is_dead(now + 1005 * SECOND));
    }

    #[test]
    fn a_ping_that_cannot_go_yet_does_not_keep_the_loop_awake() {
        let (mut keepalive, now) = up(5);
        for n in 1..10 {
            let now = now + n * 10 * SECOND;
            keepalive.handle_timeout(now);
            assert_eq!(keepalive.deadline(), Some(now + 10 * SECOND));
        }
        assert!(keepalive.poll_ping(now + 91 * SECOND).is_some(), "once it can");
        assert_eq!(keepalive.poll_ping(now + 91 * SECOND), None, "and once only");
    }

    #[test]
    fn a_queued_ping_is_not_followed_by_another() {
        let (mut keepalive, now) = up(5);
        assert!(keepalive.poll_ping(now + 10 * SECOND).is_some());
        assert_eq!(keepalive.poll_ping(now + 20 * SECOND), None);
        keepalive.handle_sent(now + 21 * SECOND);
        assert_eq!(keepalive.poll_ping(now + 30 * SECOND).as_deref(), Some(&b"2"[..]));
    }

    #[test]
    fn pongs_of_others_and_of_the_future_are_nothing() {
        let (mut keepalive, now) = up(5);
        keepalive.ping();
        keepalive.handle_sent(now);
        for payload in [&b""[..], b"x", b"7", b"-1", b"\xff", b"99999999999999999999999"] {
            assert_eq!(keepalive.handle_pong(payload, now), None);
        }
        assert_eq!(keepalive.handle_pong(b"1", now), Some((1, Some(Duration::ZERO))));
        assert_eq!(keepalive.handle_pong(b"1", now), None, "twice");
    }

    #[test]
    fn a_pong_for_an_earlier_ping_leaves_the_later_one_waiting() {
        let (mut keepalive, now) = up(5);
        keepalive.ping();
        keepalive.ping();
        keepalive.handle_sent(now);
        assert_eq!(keepalive.handle_pong(b"1", now + SECOND), Some((1, None)));
        assert!(keepalive.is_dead(now + 6 * SECOND));
        assert_eq!(keepalive.handle_pong(b"2", now + 2 * SECOND), Some((2, Some(2 * SECOND))));
        assert!(!keepalive.is_dead(now + 100 * SECOND));
    }
}
