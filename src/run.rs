//! The loop: poll(2), connecting again, and the only place that sleeps or reads the clock.
//!
//! One turn: signals; the connection (being made, read, or gone); the machine's timers; what it wants sent;
//! what it wants printed; then poll(2) on all that is waited for.

use std::{
    collections::VecDeque,
    fs::OpenOptions,
    io::{self, Write},
    os::fd::AsFd,
    time::{Duration, Instant},
};

use log::debug;

use crate::{
    config::{Endpoint, Ready},
    error::Error,
    mode::{Handed, Kind, Machine, Next},
    net::{self, Connection, Connector, Read, Shared},
    proto::{
        backoff::Backoff,
        link::{Lost, Received},
    },
    sys::{self, Input, Output, PollFd, PollFlags, Signals},
};

/// Frames read before everything else gets its turn.
const FRAMES_A_TURN: usize = 512;
/// Bytes read before that: tungstenite reads on by itself while fragments of a message arrive, and each few of
/// them may be owed an answer.
const BYTES_A_TURN: usize = 1024 * 1024;
/// Above this many bytes that wait for stdout the socket is not read, so that memory stays bounded.
const OUTPUT_MARK: usize = 256 * 1024;
/// Above this many bytes that wait for the socket the machine is not asked for more, and the socket is not read:
/// a Ping is owed a Pong, a PUBLISH its PUBACK, and a peer that sends but does not read would have us hoard them.
/// One mark for both, or answers would gather in the machine between the two.
const QUEUE_MARK: usize = 1024 * 1024;
/// How long the server may take to end the TCP connection once Close went both ways.
const LINGER: Duration = Duration::from_millis(250);

/// How a run ended, where nothing failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself.
    Done,
    /// By a signal: its number. The clean close is done.
    Signal(i32),
}

/// A connection that held so long was a good one: the next backoff begins anew.
const GOOD: Duration = Duration::from_secs(10);

/// Where the connection stands.
enum Link {
    Down,
    /// Until the backoff is over.
    Waiting(Instant),
    Connecting(Box<Connector>),
    Up(Box<Up>),
}

/// A connection in use.
struct Up {
    connection: Connection,
    /// Our Close is queued or sent: when the wait for the peer's ends.
    close_by: Option<Instant>,
    /// The peer's Close has come.
    peer_closed: bool,
    /// More may lie in TLS or tungstenite, unseen by poll(2).
    may_have_more: bool,
    /// poll(2) has told that a read will not block, or of an error.
    ready: bool,
    /// The machine knows that all was handed to the kernel.
    told_sent: bool,
    /// Why nothing can be sent any more. The connection lasts until all that came before is read.
    broken: Option<Lost>,
    /// `Connection::sent` when it was told so last, and the end of each thing given since.
    told_at: u64,
    /// `Connection::sent` when not all could be handed over.
    moved_at: u64,
    ends: VecDeque<u64>,
    since: Instant,
}

impl Up {
    /// How much of what was given since the last `handle_sent` the kernel has.
    fn handed(&self) -> Handed {
        let sent = self.connection.sent();
        let whole = self.ends.partition_point(|end| *end <= sent);
        let before = whole.checked_sub(1).map_or(self.told_at, |last| self.ends[last]);
        Handed { whole: whole as u64, partly: whole < self.ends.len() && sent > before }
    }

    /// What waits for the socket is short enough to read on and to be added to.
    fn is_short(&self) -> bool {
        self.connection.queued() < QUEUE_MARK
    }
}

/// Drives `machine` to its end.
pub fn run(
    endpoint: &Endpoint,
    machine: &mut dyn Machine,
    output: Output,
    signals: &mut Signals,
    seed: u64,
) -> Result<End, Error> {
    let shared = Shared::new(&endpoint.tls);
    let mut turns = Loop {
        endpoint,
        machine,
        input: Input::stdin(),
        output,
        signals,
        shared,
        backoff: Backoff::new(seed),
        link: Link::Down,
        unreachable: None,
        stopped_by: None,
        signalled: false,
        reading: true,
        output_gone: false,
        write_error: None,
    };
    while !turns.turn()? {}
    turns.verdict()
}

struct Loop<'a> {
    endpoint: &'a Endpoint,
    machine: &'a mut dyn Machine,
    input: Input,
    output: Output,
    signals: &'a mut Signals,
    shared: Shared,
    backoff: Backoff,
    link: Link,
    unreachable: Option<net::Error>,
    stopped_by: Option<i32>,
    /// poll(2) has told of a signal: only then is it asked for, which takes a system call.
    signalled: bool,
    /// The socket is being read; not while stdout is stalled.
    reading: bool,
    output_gone: bool,
    write_error: Option<io::Error>,
}

impl Loop<'_> {
    /// One turn; true when all is over.
    fn turn(&mut self) -> Result<bool, Error> {
        let now = Instant::now();
        self.take_signal(now);
        self.advance_link(now);
        if self.machine.poll_deadline().is_some_and(|at| at <= now) {
            self.machine.handle_timeout(now);
            if let Some(lost) = self.machine.poll_drop(now) {
                self.drop_link(lost, now);
            }
        }
        self.transmit(now);
        if self.write_output(now) {
            // What is written may be acknowledged; a reader that has gone is the end.
            self.transmit(now);
        }
        if let Some(line) = self.machine.poll_progress(now) {
            // A terminal that takes nothing misses a line.
            let _ = Output::stderr().write(format!("\r{line}\x1b[K").as_bytes());
        }
        if let Some(ready) = self.machine.poll_ready() {
            tell(&ready).map_err(Error::Ready)?;
        }
        if self.is_over() {
            return Ok(true);
        }
        self.decide_reading(now);
        self.wait()?;
        Ok(false)
    }

    fn is_over(&self) -> bool {
        let idle =
            matches!(self.link, Link::Down | Link::Waiting(_)) && self.machine.poll_next() == Next::Done;
        // What was received is printed however slow the reader, but a signal does not wait for it.
        idle && (self.machine.output().is_empty() || self.stopped_by.is_some())
    }

    fn verdict(self) -> Result<End, Error> {
        let outcome = self.machine.take_outcome();
        let error = match (self.write_error, outcome) {
            (Some(error), _) => Some(Error::Stdout(error)),
            (None, Ok(())) => None,
            (None, Err(failure)) if failure.kind == Kind::Unreachable => self.unreachable.map(Error::Net),
            (None, Err(failure)) => Some(Error::Mode(failure)),
        };
        match (self.stopped_by, error) {
            (Some(signal), error) => {
                if let Some(error) = error {
                    log::error!("{error}");
                }
                Ok(End::Signal(signal))
            }
            (None, Some(error)) => Err(error),
            (None, None) => Ok(End::Done),
        }
    }

    /// The first signal ends cleanly, the second at once.
    fn take_signal(&mut self, now: Instant) {
        if !std::mem::take(&mut self.signalled) {
            return;
        }
        let Some(signal) = self.signals.take() else { return };
        let again = self.stopped_by.replace(signal).is_some();
        if again {
            debug!("second signal: leaving at once");
            return self.drop_link(Lost::Unanswered, now);
        }
        self.machine.handle_stop(now);
    }

    fn advance_link(&mut self, now: Instant) {
        match &mut self.link {
            Link::Down | Link::Waiting(_) => self.advance_down(now),
            // Stopped, or nobody reads stdout: what is being made is of no use.
            Link::Connecting(_) if self.machine.poll_next() == Next::Done => self.link = Link::Down,
            Link::Connecting(connector) => {
                let by = connector.deadline();
                match connector.advance(&mut self.shared, now) {
                    Ok(None) => {}
                    Ok(Some(connection)) => self.handle_connected(connection, by, now),
                    Err(error) => {
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
                let retry_after = self.unreachable.take().and_then(|error| error.retry_after());
                let pause = self.backoff.next(retry_after);
                debug!("connecting again in {:.1} s", pause.as_secs_f64());
                self.link = Link::Waiting(now + pause);
            }
            (Next::Reconnect, Link::Waiting(until)) if *until > now => {}
            (Next::Connect | Next::Reconnect, _) => {
                self.link = Link::Connecting(Box::new(Connector::new(self.endpoint, now)));
                self.advance_link(now);
            }
        }
    }

    fn handle_connected(&mut self, connection: Connection, by: Instant, now: Instant) {
        if let Link::Connecting(connector) = &self.link {
            debug!("{}", connector.timings());
        }
        self.unreachable = None;
        self.machine.handle_connected(connection.established(), by, now);
        self.link = Link::Up(Box::new(Up {
            connection,
            close_by: None,
            peer_closed: false,
            may_have_more: true,
            ready: true,
            told_sent: true,
            broken: None,
            told_at: 0,
            moved_at: 0,
            ends: VecDeque::new(),
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

    /// Whether the socket is read. Asked right before each wait: what has just been written may be all that
    /// held it up, and stdout would not wake the loop for that any more.
    fn decide_reading(&mut self, now: Instant) {
        let wanted = has_room(self.machine, self.stopped_by.is_some());
        let resumed = wanted && !self.reading;
        if wanted != self.reading && matches!(self.link, Link::Up(_)) {
            self.reading = wanted;
            self.machine.handle_reading(wanted, now);
        }
        let Link::Up(up) = &mut self.link else { return };
        if let Some(by) = up.close_by.as_mut().filter(|_| resumed) {
            let limit = if up.peer_closed { LINGER } else { self.endpoint.close_timeout };
            *by = (*by).max(now + limit);
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

    fn drop_link(&mut self, lost: Lost, now: Instant) {
        let Link::Up(mut up) = std::mem::replace(&mut self.link, Link::Down) else { return };
        let handed = up.handed();
        up.connection.finish();
        if now.saturating_duration_since(up.since) >= GOOD {
            self.backoff.reset();
        }
        self.look_at_input(now);
        self.machine.handle_lost(lost, handed, now);
        // Another connection is begun at once, or waited for.
        self.advance_down(now);
    }

    /// Takes what the machine wants sent while the queue is short, and flushes.
    fn transmit(&mut self, now: Instant) {
        let Err(lost) = self.try_transmit(now) else { return };
        if let Link::Up(up) = &mut self.link {
            // What the peer said before it went is still to be read: messages, a Close, a refusal.
            up.broken = Some(lost);
            up.may_have_more = true;
        }
    }

    fn try_transmit(&mut self, now: Instant) -> Result<(), Lost> {
        let Link::Up(up) = &mut self.link else { return Ok(()) };
        if self.machine.is_closing() {
            up.close_by.get_or_insert(now + self.endpoint.close_timeout);
        }
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
                let sent = up.connection.send(what);
                up.ends.push_back(up.connection.sent() + up.connection.queued() as u64);
                sent?;
            }
            if !up.connection.flush()? {
                let sent = up.connection.sent();
                if std::mem::replace(&mut up.moved_at, sent) < sent {
                    self.machine.handle_progress(now);
                }
                return Ok(());
            }
            if !std::mem::replace(&mut up.told_sent, true) {
                up.ends.clear();
                up.told_at = up.connection.sent();
                // The machine may have held something back for this.
                self.machine.handle_sent(Instant::now());
            } else if idle {
                return Ok(());
            }
        }
    }

    fn write_output(&mut self, now: Instant) -> bool {
        if self.output_gone || self.machine.output().is_empty() {
            return false;
        }
        match self.output.write(self.machine.output()) {
            Ok(0) => return false,
            Ok(n) => self.machine.handle_written(n, now),
            Err(error) => self.lose_output(error, now),
        }
        true
    }

    fn lose_output(&mut self, error: io::Error, now: Instant) {
        self.output_gone = true;
        self.machine.handle_output_closed(now);
        if error.kind() != io::ErrorKind::BrokenPipe {
            self.write_error = Some(error);
        }
    }

    /// Reads stdin once. Only after poll(2) said that it is ready.
    fn read_input(&mut self, now: Instant) {
        match self.input.read() {
            Ok(data) if data.is_empty() => self.machine.handle_input_end(now),
            Ok(data) => self.machine.handle_input(data, now),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => self.machine.handle_input_failed(&error.to_string(), now),
        }
    }

    /// The connection is gone: whether something waits on stdin decides whether all input was sent.
    fn look_at_input(&mut self, now: Instant) {
        if !self.machine.has_input() {
            return;
        }
        let mut fds = [PollFd::new(&self.input, PollFlags::IN)];
        if sys::poll(&mut fds, Some(Duration::ZERO)).is_ok() && !fds[0].revents().is_empty() {
            self.read_input(now);
        }
    }

    /// poll(2) on all that is waited for, and stdin read where it is ready.
    fn wait(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        let timeout = self.wake_at(now).map(|at| at.saturating_duration_since(now));
        let mut fds = Vec::with_capacity(4);
        fds.push(PollFd::new(&*self.signals, PollFlags::IN));
        // With no event asked for, poll(2) still tells that the reader of stdout has gone.
        let events = if self.machine.output().is_empty() { PollFlags::empty() } else { PollFlags::OUT };
        let output = (!self.output_gone).then(|| add(&mut fds, &self.output, events));
        let input = self.wants_input().then(|| add(&mut fds, &self.input, PollFlags::IN));
        let mut socket = None;
        match &self.link {
            Link::Down | Link::Waiting(_) => {}
            Link::Connecting(connector) => connector.interests(&mut fds),
            Link::Up(up) => {
                let events = up.connection.interest(self.reading && up.is_short());
                // A descriptor of which nothing is wanted would still tell of POLLHUP, at once and for ever.
                if !events.is_empty() && up.broken.is_none() {
                    socket = Some(add(&mut fds, &up.connection, events));
                }
            }
        }
        sys::poll(&mut fds, timeout).map_err(Error::Poll)?;
        let gone = output.is_some_and(|n| Output::is_gone(fds[n].revents()));
        let ready = input.is_some_and(|n| !fds[n].revents().is_empty());
        self.signalled = !fds[0].revents().is_empty();
        let socket = socket.map(|n| fds[n].revents());
        drop(fds);
        if let (Link::Up(up), Some(events)) = (&mut self.link, socket) {
            up.ready |= up.connection.is_readable(events);
        }
        if gone {
            self.lose_output(io::ErrorKind::BrokenPipe.into(), Instant::now());
        } else if ready {
            self.read_input(Instant::now());
        }
        Ok(())
    }

    /// stdin is read only where what comes from it can go out soon.
    fn wants_input(&self) -> bool {
        let Link::Up(up) = &self.link else { return false };
        up.connection.queued() < QUEUE_MARK && self.machine.wants_input()
    }

    fn wake_at(&self, now: Instant) -> Option<Instant> {
        let link = match &self.link {
            Link::Down if self.machine.poll_next() != Next::Done => Some(now),
            Link::Down => None,
            Link::Waiting(until) => Some(*until),
            // The machine gave up meanwhile, by its own limit.
            Link::Connecting(_) if self.machine.poll_next() == Next::Done => Some(now),
            Link::Connecting(connector) => Some(connector.wake_at()),
            Link::Up(up) if up.may_have_more && self.reading && up.is_short() => Some(now),
            Link::Up(up) => up.close_by.filter(|_| self.reading),
        };
        [link, self.machine.poll_deadline()].into_iter().flatten().min()
    }
}

/// Adds a descriptor; its place.
fn add<'a>(fds: &mut Vec<PollFd<'a>>, fd: &'a impl AsFd, events: PollFlags) -> usize {
    fds.push(PollFd::new(fd, events));
    fds.len() - 1
}

/// Whether what the socket brings has a place. After a signal it needs none: only the peer's Close is waited
/// for, and that may lie behind what a stalled stdout left unread.
fn has_room(machine: &dyn Machine, stopped: bool) -> bool {
    stopped || (machine.output().len() < OUTPUT_MARK && !machine.is_congested())
}

/// `--ready`: a line into a file or an open descriptor.
fn tell(ready: &Ready) -> io::Result<()> {
    let path = match ready {
        Ready::File(path) => path.clone(),
        // The descriptor by its name: the same open file, or one like it.
        Ready::Fd(number) => format!("/dev/fd/{number}").into(),
    };
    OpenOptions::new().write(true).create(true).truncate(true).open(path)?.write_all(b"ready\n")
}
