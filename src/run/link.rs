//! The connection in the loop: made, read, written, and given up.

use std::{
    collections::VecDeque,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use log::{debug, warn};

use super::{Loop, QUEUE_MARK, has_room};
use crate::{
    mode::{Handed, Machine, Next},
    net::{Connection, Connector, Read},
    proto::link::{Kind, Lost, Received},
};

/// Frames read before everything else gets its turn.
const FRAMES_A_TURN: usize = 512;
/// Bytes read before that: tungstenite reads on by itself while fragments of a message arrive, and each few of
/// them may be owed an answer.
const BYTES_A_TURN: usize = 1024 * 1024;
/// How long the server may take to end the TCP connection once Close went both ways.
pub(super) const LINGER: Duration = Duration::from_millis(250);

/// The same for its Close, where a limit has run out already.
const LATE: Duration = Duration::from_millis(250);
/// A connection that held so long was a good one: the next backoff begins anew.
const GOOD: Duration = Duration::from_secs(10);

/// Where the connection stands.
pub(super) enum Link {
    Down,
    /// Until the backoff is over.
    Waiting(Instant),
    Connecting(Box<Connector>),
    Up(Box<Up>),
}

/// A connection in use.
pub(super) struct Up {
    pub(super) connection: Connection,
    /// Our Close is queued or sent: when the wait for the peer's ends.
    pub(super) close_by: Option<Instant>,
    /// The peer's Close has come.
    pub(super) peer_closed: bool,
    /// More may lie in TLS or tungstenite, unseen by poll(2).
    pub(super) may_have_more: bool,
    /// poll(2) has told that a read will not block, or of an error.
    pub(super) ready: bool,
    /// The kernel took no more the last time, and `Connection::sent` when the machine was told of that.
    blocked: bool,
    moved_at: u64,
    /// The machine knows that all was handed to the kernel.
    told_sent: bool,
    /// Why nothing can be sent any more. The connection lasts until all that came before is read.
    pub(super) broken: Option<Lost>,
    /// Of the things given since then: how many the kernel has, and the place in the stream (as `Connection::sent`
    /// counts) of each of the others, its first byte and the one behind its last.
    handed: u64,
    given: VecDeque<(u64, u64)>,
    since: Instant,
}

impl Up {
    /// How much of what was given since the last `handle_sent` the kernel has.
    fn handed(&mut self) -> Handed {
        let sent = self.connection.sent();
        while self.given.front().is_some_and(|(_, end)| *end <= sent) {
            self.given.pop_front();
            self.handed += 1;
        }
        Handed { whole: self.handed, partly: self.given.front().is_some_and(|(start, _)| *start < sent) }
    }

    /// What waits for the socket is short enough to read on and to be added to.
    pub(super) fn is_short(&self) -> bool {
        self.connection.queued() < QUEUE_MARK
    }
}

/// Kept apart from what is done for small ones.
#[cold]
fn hand_over(machine: &mut dyn Machine, kind: Kind, message: &mut Vec<u8>, now: Instant) {
    machine.handle_large(kind, message, now);
}

/// Seconds since 1970: a Retry-After may name a date.
fn wall_clock() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

impl Loop<'_> {
    pub(super) fn advance_link(&mut self, now: Instant) {
        match &mut self.link {
            Link::Down | Link::Waiting(_) => self.advance_down(now),
            // Stopped, or nobody reads stdout: what is being made is of no use.
            Link::Connecting(connector) if self.machine.poll_next() == Next::Done => {
                self.timing.handle_failed(connector, now);
                self.link = Link::Down;
            }
            Link::Connecting(connector) => {
                let by = connector.deadline();
                match connector.advance(&mut self.shared, now) {
                    Ok(None) => {}
                    // The last step took its time: a certificate was checked.
                    Ok(Some(connection)) => self.handle_connected(connection, by, Instant::now()),
                    Err(error) => {
                        self.timing.handle_failed(connector, Instant::now());
                        self.link = Link::Down;
                        self.machine.handle_unreachable(error.is_permanent(), &error.to_string(), now);
                        self.unreachable = Some(error);
                        self.advance_down(now);
                    }
                }
            }
            Link::Up(_) => self.advance_up(now),
        }
    }

    /// There is no connection: make one, now or after the backoff.
    fn advance_down(&mut self, now: Instant) {
        match (self.machine.poll_next(), &self.link) {
            (Next::Done, _) => self.link = Link::Down,
            (Next::Reconnect, Link::Down) => {
                let retry_after = self.unreachable.take().and_then(|error| error.retry_after(wall_clock()));
                let pause = self.backoff.next(retry_after);
                let seconds = pause.as_secs_f64();
                match retry_after {
                    Some(asked) if asked == pause => {
                        warn!("connecting again in {seconds:.1} s (Retry-After)")
                    }
                    _ => debug!("connecting again in {seconds:.1} s"),
                }
                self.link = Link::Waiting(now + pause);
            }
            (Next::Reconnect, Link::Waiting(until)) if *until > now => {}
            (Next::Connect | Next::Reconnect, _) => {
                self.timing.begin(now);
                let connector = Connector::new(self.endpoint, now).clocked(Instant::now);
                self.link = Link::Connecting(Box::new(connector));
                self.advance_link(now);
            }
        }
    }

    fn handle_connected(&mut self, connection: Connection, by: Instant, now: Instant) {
        if let Link::Connecting(connector) = &self.link {
            debug!("{}", connector.timings());
            self.timing.handle_connected(connector);
        }
        self.unreachable = None;
        self.machine.handle_connected(connection.established(), by, now);
        self.link = Link::Up(Box::new(Up {
            connection,
            close_by: None,
            peer_closed: false,
            may_have_more: true,
            ready: true,
            blocked: false,
            moved_at: 0,
            told_sent: true,
            broken: None,
            handed: 0,
            given: VecDeque::new(),
            since: now,
        }));
    }

    /// Reads, where stdout keeps up; ends what has broken, or has waited long enough for the peer's Close.
    fn advance_up(&mut self, now: Instant) {
        let Link::Up(up) = &mut self.link else { return };
        if self.reading && (std::mem::take(&mut up.ready) || up.may_have_more) {
            if let Some(lost) = self.read(now) {
                return self.drop_link(lost, now);
            }
        }
        let Link::Up(up) = &mut self.link else { return };
        if let Some(lost) = up.broken.take_if(|_| !up.may_have_more) {
            return self.drop_link(lost, now);
        }
        // What the peer still says, its Close too, may lie behind what a stalled stdout leaves unread.
        if self.reading && up.close_by.is_some_and(|at| at <= now) {
            let lost = if up.peer_closed { Lost::Closed } else { Lost::Unanswered };
            self.drop_link(lost, now);
        }
    }

    /// Reads what there is. The machine is told of bytes, too: a long message on a slow link is life.
    fn read(&mut self, now: Instant) -> Option<Lost> {
        let received = |link: &Link| match link {
            Link::Up(up) => up.connection.received(),
            _ => 0,
        };
        let before = received(&self.link);
        let lost = self.read_frames(now);
        if received(&self.link) > before {
            self.machine.handle_heard(now);
        }
        lost
    }

    fn read_frames(&mut self, now: Instant) -> Option<Lost> {
        let stopped = self.stopped_by.is_some();
        let Link::Up(up) = &mut self.link else { return None };
        up.connection.allow(BYTES_A_TURN);
        for _ in 0..FRAMES_A_TURN {
            if !up.is_short() {
                break;
            }
            match up.connection.read() {
                Read::Got(received) => {
                    let close = matches!(received, Received::Close(_));
                    self.machine.handle_received(received, now);
                    if close {
                        up.peer_closed = true;
                        // What we answered, or would still say, has nobody to go to after this.
                        let linger = now + LINGER;
                        up.close_by = Some(up.close_by.map_or(linger, |at| at.min(linger)));
                    }
                }
                Read::Large(kind, message) => hand_over(self.machine, kind, message, now),
                Read::Blocked => {
                    up.may_have_more = up.connection.is_held();
                    return None;
                }
                Read::Lost(lost) => return Some(lost),
            }
            if !has_room(self.machine, stopped) {
                break;
            }
        }
        up.may_have_more = true;
        None
    }

    pub(super) fn drop_link(&mut self, lost: Lost, now: Instant) {
        let Link::Up(mut up) = std::mem::replace(&mut self.link, Link::Down) else { return };
        let handed = up.handed();
        up.connection.finish();
        if now.saturating_duration_since(up.since) >= GOOD {
            self.backoff.reset();
        }
        self.look_at_input(now);
        self.machine.handle_lost(lost, handed, now);
        self.timing.end(self.machine.milestones(), now);
        // Another connection is begun at once, or waited for.
        self.advance_down(now);
    }

    /// Takes what the machine wants sent while the queue is short, and flushes.
    pub(super) fn transmit(&mut self, now: Instant) {
        self.await_close(now);
        let outcome = self.try_transmit(now);
        // What is sent may be found unfit only then.
        self.await_close(now);
        let Err(lost) = outcome else { return };
        if let Link::Up(up) = &mut self.link {
            // What the peer said before it went is still to be read: messages, a Close, a refusal.
            up.broken = Some(lost);
            up.may_have_more = true;
        }
    }

    /// From when on the peer's Close is waited for.
    fn await_close(&mut self, now: Instant) {
        let Link::Up(up) = &mut self.link else { return };
        if up.close_by.is_none() && self.machine.is_closing() {
            let limit = self.endpoint.close_timeout;
            up.close_by = Some(now + if self.machine.is_late() { limit.min(LATE) } else { limit });
        }
    }

    fn try_transmit(&mut self, now: Instant) -> Result<(), Lost> {
        let Link::Up(up) = &mut self.link else { return Ok(()) };
        if up.broken.is_some() {
            return Ok(());
        }
        loop {
            // A queue that was full leaves it open whether the machine has more.
            let mut idle = false;
            while up.is_short() {
                let Some(what) = self.machine.poll_transmit(now) else {
                    idle = true;
                    break;
                };
                up.told_sent = false;
                let start = up.connection.sent() + up.connection.queued() as u64;
                if let Err(lost) = up.connection.send(what) {
                    // Nothing of it left.
                    up.given.push_back((u64::MAX, u64::MAX));
                    return Err(lost);
                }
                up.given.push_back((start, up.connection.sent() + up.connection.queued() as u64));
            }
            let flushed = up.connection.flush()?;
            let stuck = std::mem::replace(&mut up.blocked, !flushed) || !flushed;
            if stuck && std::mem::replace(&mut up.moved_at, up.connection.sent()) != up.connection.sent() {
                // This moment, not that of the turn: the process may have been stopped in between.
                self.machine.handle_progress(Instant::now());
            }
            if !flushed {
                // A queue that never empties keeps no record of what has left.
                up.handed();
                return Ok(());
            }
            if !std::mem::replace(&mut up.told_sent, true) {
                up.given.clear();
                up.handed = 0;
                // The machine may have held something back for this.
                self.machine.handle_sent(Instant::now());
            } else if idle {
                return Ok(());
            }
        }
    }
}
