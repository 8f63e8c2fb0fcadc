//! The loop: poll(2), connecting again, and the only place that sleeps or reads the clock.
//!
//! One turn: signals; the connection (being made, read, or gone); the machine's timers; what it wants sent;
//! what it wants printed; then poll(2) on all that is waited for.

mod link;
mod report;
mod timing;

use std::{
    fs::OpenOptions,
    io::{self, Write},
    os::fd::AsFd,
    time::{Duration, Instant},
};

use log::debug;

pub use self::report::Reporter;
use self::{
    link::{LINGER, Link},
    timing::Timing,
};
pub use crate::proto::histogram::Look;
use crate::{
    config::{Endpoint, Ready},
    error::Error,
    mode::{Failure, Kind, Machine, Next},
    net::{self, Shared},
    proto::{backoff::Backoff, link::Lost},
    sys::{self, Input, Output, PollFd, PollFlags, Signals},
};

/// Above this many bytes that wait for stdout the socket is not read, so that memory stays bounded.
const OUTPUT_MARK: usize = 256 * 1024;
/// Above this many bytes that wait for the socket the machine is not asked for more, and the socket is not read:
/// a Ping is owed a Pong, a PUBLISH its PUBACK, and a peer that sends but does not read would have us hoard them.
/// One mark for both, or answers would gather in the machine between the two.
const QUEUE_MARK: usize = 1024 * 1024;
/// How a run ended, where nothing failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself.
    Done,
    /// By a signal: its number. The clean close is done.
    Signal(i32),
}

/// How often the socket is read before a limit counts: 512 frames each.
const TURNS_TO_CATCH_UP: usize = 16;
/// Once a signal has come: how long stdout may take nothing.
const STALL: Duration = Duration::from_secs(1);

/// Drives `machine` to its end. What stdout has not taken at `output_by`, after the end by `-W`, is given up.
pub fn run(
    endpoint: &Endpoint,
    machine: &mut dyn Machine,
    output: Output,
    output_by: Option<Instant>,
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
        timing: Timing::new(endpoint.timing, &endpoint.url, Instant::now()),
        unreachable: None,
        stopped_by: None,
        signalled: false,
        reading: true,
        output_gone: false,
        output_by,
        stopped_output: None,
        abandoned: false,
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
    timing: Timing,
    unreachable: Option<net::Error>,
    stopped_by: Option<i32>,
    /// poll(2) has told of a signal: only then is it asked for, which takes a system call.
    signalled: bool,
    /// The socket is being read; not while stdout is stalled.
    reading: bool,
    output_gone: bool,
    /// When what stdout has not taken is given up: by `-W`, and after a signal, where that is the last moment,
    /// and the one when stdout took something last.
    output_by: Option<Instant>,
    stopped_output: Option<(Instant, Instant)>,
    /// It was.
    abandoned: bool,
    write_error: Option<io::Error>,
}

impl Loop<'_> {
    /// One turn; true when all is over.
    fn turn(&mut self) -> Result<bool, Error> {
        let now = Instant::now();
        self.take_signal(now);
        self.advance_link(now);
        if self.is_due(now) {
            self.catch_up(now);
        }
        if self.is_due(now) {
            self.machine.handle_timeout(now);
            if let Some(lost) = self.machine.poll_drop(now) {
                self.drop_link(lost, now);
            }
        }
        self.timing.look(|| self.machine.milestones());
        self.transmit(now);
        if self.write_output(now) {
            // What is written may be acknowledged; a reader that has gone is the end.
            self.transmit(now);
        }
        if self.output_by().is_some_and(|by| by <= now) {
            self.abandon_output(now);
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

    fn is_due(&self, now: Instant) -> bool {
        self.machine.poll_deadline().is_some_and(|at| at <= now)
    }

    /// Before a limit counts, what can be done is done: poll(2) tells that a full socket has room only when much of
    /// it is free, and this process may have been stopped, with all kinds of answers unread.
    fn catch_up(&mut self, now: Instant) {
        self.transmit(now);
        for _ in 0..TURNS_TO_CATCH_UP {
            let Link::Up(up) = &self.link else { return };
            if !up.may_have_more || !self.reading {
                return;
            }
            self.advance_link(now);
        }
    }

    fn is_over(&self) -> bool {
        let over = self.machine.poll_next() == Next::Done || self.abandoned;
        // What was received is printed however slow the reader.
        let printed = self.machine.output().is_empty() || self.output_gone;
        over && printed && matches!(self.link, Link::Down | Link::Waiting(_))
    }

    /// When what waits for stdout is given up.
    fn output_by(&self) -> Option<Instant> {
        if self.output_gone || self.machine.output().is_empty() {
            return None;
        }
        let stopped = self.stopped_output.map(|(last, took)| last.min(took + STALL));
        [self.output_by, stopped].into_iter().flatten().min()
    }

    /// Nobody reads stdout, and the time is over.
    fn abandon_output(&mut self, now: Instant) {
        self.abandoned = true;
        self.output_gone = true;
        if self.stopped_by.is_none() {
            // Close was given long ago; its answer lies behind what nobody wanted.
            self.drop_link(Lost::Unanswered, now);
        }
    }

    fn verdict(self) -> Result<End, Error> {
        let unwritten = self.machine.unwritten();
        let stalled = self.abandoned.then(|| format!("stdout stalled, {unwritten} bytes were not written"));
        let outcome = self.machine.take_outcome();
        let error = match (self.write_error, outcome, stalled) {
            (Some(error), ..) => Some(Error::Stdout(error)),
            (None, Ok(()), None) => None,
            (None, Ok(()), Some(stalled)) => {
                let text = format!("{}: {stalled}", self.endpoint.url.shown());
                Some(Error::Mode(Failure { kind: Kind::TimedOut, text }))
            }
            (None, Err(failure), stalled) if failure.kind == Kind::Unreachable => {
                stalled.iter().for_each(|stalled| log::warn!("{}: {stalled}", self.endpoint.url.shown()));
                self.unreachable.map(Error::Net)
            }
            (None, Err(mut failure), stalled) => {
                failure.text.extend(stalled.map(|stalled| format!("; {stalled}")));
                Some(Error::Mode(failure))
            }
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
            self.stopped_output = Some((now, now));
            return self.drop_link(Lost::Unanswered, now);
        }
        self.stopped_output = Some((now + self.endpoint.close_timeout, now));
        self.machine.handle_stop(now);
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

    fn write_output(&mut self, now: Instant) -> bool {
        if self.output_gone || self.machine.output().is_empty() {
            return false;
        }
        match self.output.write(self.machine.output()) {
            Ok(0) => return false,
            Ok(n) => {
                if let Some((_, took)) = &mut self.stopped_output {
                    *took = now;
                }
                self.machine.handle_written(n, now);
                self.reuse_buffer();
            }
            Err(error) => self.lose_output(error, now),
        }
        true
    }

    /// The buffer of a large message is for the next one: fresh memory is a page fault for every 4 KiB.
    fn reuse_buffer(&mut self) {
        let spare = self.machine.take_spare();
        if let (Link::Up(up), true) = (&mut self.link, spare.capacity() > 0) {
            up.connection.reuse(spare);
        }
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
        // What is said after the peer's Close goes nowhere.
        !up.peer_closed && up.connection.queued() < QUEUE_MARK && self.machine.wants_input()
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
        [link, self.machine.poll_deadline(), self.output_by()].into_iter().flatten().min()
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
