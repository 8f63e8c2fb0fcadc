//! A connection of the client and its other half, to the server.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    time::{Duration, Instant},
};

use rustix::event::PollFlags;

use super::{
    Counts, Plan, Way,
    fate::{End, Fate, Trigger},
};

/// What waits in the relay, a way.
const BUFFER: usize = 16 * 1024;
/// Between two portions of a limited flow.
const TICK: Duration = Duration::from_millis(10);
/// How long the sides may take to close after a FIN.
const DRAIN: Duration = Duration::from_secs(1);

enum State {
    Flowing,
    /// This way has ended for its reader; the other goes on until then.
    Half(Way, Instant),
    /// Nothing passes; the client has to notice.
    Silent(Instant),
    /// Both sides were told of the end, or only the server is left; what comes is dropped.
    Draining(Instant),
    Dead,
}

/// One direction.
#[derive(Default)]
struct Flow {
    buffer: Vec<u8>,
    passed: u64,
    /// The source has ended, and the sink was told.
    ended: bool,
    told: bool,
    /// The sink's buffer is full.
    blocked: bool,
    /// Not before then.
    held: Option<Instant>,
    tokens: f64,
    counted: Option<Instant>,
    /// The last bytes that passed, until the end of the HTTP head was among them.
    tail: [u8; 4],
    head: Option<u64>,
}

pub struct Pair {
    /// The client's socket, then the server's.
    sockets: [TcpStream; 2],
    flows: [Flow; 2],
    fate: Fate,
    born: Instant,
    state: State,
    websocket: bool,
    lines: Way,
}

/// The connection is broken, not ended.
struct Broken;

/// RST in place of FIN, once it is closed.
pub fn reset(socket: &TcpStream) {
    let _ = rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO));
}

impl Pair {
    pub fn new(
        client: TcpStream,
        server: TcpStream,
        fate: Fate,
        plan: &Plan,
        now: Instant,
    ) -> std::io::Result<Pair> {
        for socket in [&client, &server] {
            socket.set_nonblocking(true)?;
            socket.set_nodelay(true)?;
        }
        let (sockets, flows) = ([client, server], Default::default());
        let (websocket, lines) = (plan.websocket, plan.lines);
        Ok(Pair { sockets, flows, fate, born: now, state: State::Flowing, websocket, lines })
    }

    pub fn is_dead(&self) -> bool {
        matches!(self.state, State::Dead)
    }

    /// Its cut is still to come.
    pub fn will_be_cut(&self) -> bool {
        matches!(self.state, State::Flowing) && !matches!(self.fate.trigger, Trigger::Never)
    }

    pub fn passed(&self, way: Way) -> u64 {
        self.flows[way as usize].passed
    }

    /// `rate` is for the lines, in bytes a second.
    pub fn advance(&mut self, rate: Option<f64>, counts: &mut Counts, now: Instant) {
        match self.state {
            State::Flowing => {
                let ok = self.pass(Way::Up, rate, counts, now).is_ok()
                    && self.pass(Way::Down, rate, counts, now).is_ok();
                if !ok {
                    return self.reset();
                }
                if self.flows.iter().all(|flow| flow.told) {
                    self.state = State::Dead;
                } else if self.is_due(now) {
                    self.cut(counts, now);
                }
            }
            State::Half(closed, until) => {
                let open = if closed == Way::Up { Way::Down } else { Way::Up };
                self.drop_input(closed);
                let ok = self.pass(open, rate, counts, now).is_ok();
                if !ok || until <= now || self.flows[open as usize].told {
                    self.shut(now);
                }
            }
            State::Silent(until) => {
                if self.drop_input(Way::Up) || until <= now {
                    self.reset();
                }
            }
            State::Draining(until) => {
                let ended = [Way::Up, Way::Down].map(|way| self.drop_input(way));
                if ended == [true, true] || until <= now {
                    self.state = State::Dead;
                }
            }
            State::Dead => {}
        }
    }

    /// Whether the cut is due.
    fn is_due(&mut self, now: Instant) -> bool {
        let up = &self.flows[Way::Up as usize];
        if self.fate.spared && up.head.is_none_or(|head| up.passed <= head) {
            return false;
        }
        let age = now.saturating_duration_since(self.born);
        match self.fate.trigger {
            Trigger::Never => false,
            Trigger::Bytes(way, n, patience) => self.passed(way) >= n || age >= patience,
            Trigger::Time(at, way, further) => {
                if age >= at {
                    let patience = age + Duration::from_millis(300);
                    self.fate.trigger = Trigger::Bytes(way, self.passed(way) + further, patience);
                }
                false
            }
        }
    }

    fn cut(&mut self, counts: &mut Counts, now: Instant) {
        let [_, down] = &self.flows;
        match (self.websocket, down.head) {
            (true, None) => counts.in_upgrade += 1,
            (true, Some(head)) if down.passed <= head + 4 => counts.in_login += 1,
            (false, _) if down.passed <= 4 => counts.in_login += 1,
            _ => {}
        }
        match self.fate.end {
            End::Fin => {
                counts.fins += 1;
                self.shut(now);
            }
            End::Reset => {
                counts.resets += 1;
                self.reset();
            }
            End::Half(way) => {
                counts.half_closes += 1;
                let _ = self.sockets[1 - way as usize].shutdown(Shutdown::Write);
                self.state = State::Half(way, now + Duration::from_millis(400));
            }
            End::Orphan => {
                counts.orphans += 1;
                // The descriptor stays open until the server's half has ended; this ends the connection at once.
                reset(&self.sockets[0]);
                let _ = rustix::net::connect_unspec(&self.sockets[0]);
                self.state = State::Draining(now + Duration::from_secs(3));
            }
            End::Silent => {
                counts.silences += 1;
                self.state = State::Silent(now + Duration::from_secs(20));
            }
        }
    }

    fn shut(&mut self, now: Instant) {
        for socket in &self.sockets {
            let _ = socket.shutdown(Shutdown::Write);
        }
        self.state = State::Draining(now + DRAIN);
    }

    fn reset(&mut self) {
        self.sockets.iter().for_each(reset);
        self.state = State::Dead;
    }

    /// Reads and drops what comes on this way; whether that has ended.
    fn drop_input(&mut self, way: Way) -> bool {
        let flow = &mut self.flows[way as usize];
        let mut part = [0; 4096];
        while !flow.ended {
            match self.sockets[way as usize].read(&mut part) {
                Ok(0) => flow.ended = true,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => flow.ended = true,
            }
        }
        flow.ended
    }

    fn pass(&mut self, way: Way, rate: Option<f64>, counts: &mut Counts, now: Instant) -> Result<(), Broken> {
        let (from, to) = (way as usize, 1 - way as usize);
        let flow = &mut self.flows[from];
        if !flow.ended && flow.buffer.len() < BUFFER {
            let mut part = [0; 8192];
            match self.sockets[from].read(&mut part) {
                Ok(0) => flow.ended = true,
                Ok(n) => {
                    if let (true, Some(delay)) = (flow.buffer.is_empty(), self.fate.delay[from]) {
                        flow.held = Some(now + delay);
                    }
                    flow.buffer.extend_from_slice(&part[..n]);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return Err(Broken),
            }
        }
        let rate = match (self.fate.throttle, rate) {
            _ if way != self.lines => None,
            (Some(throttle), Some(rate)) => Some(rate.min(throttle)),
            (_, rate) => rate,
        };
        flow.refill(rate, now);
        if flow.held.is_some_and(|until| until > now) {
            return Ok(());
        }
        flow.held = None;
        let part = flow.portion(way, &self.fate, rate.is_some());
        if part > 0 {
            flow.write(&self.sockets[to], part)?;
        }
        if let Some((_, _, pause)) = self.fate.stall.take_if(|(at, n, _)| *at == way && flow.passed >= *n) {
            flow.held = Some(now + pause);
            counts.stalls += 1;
        } else if flow.ended && flow.buffer.is_empty() && !flow.told {
            flow.told = true;
            let _ = self.sockets[to].shutdown(Shutdown::Write);
        }
        Ok(())
    }

    /// What to wait for.
    pub fn interest(&self, now: Instant) -> Vec<(&TcpStream, PollFlags)> {
        let mut interest = Vec::new();
        for way in [Way::Up, Way::Down] {
            let flow = &self.flows[way as usize];
            let full = match self.state {
                State::Flowing | State::Half(..) => flow.buffer.len() >= BUFFER,
                State::Silent(_) => way == Way::Down,
                State::Draining(_) => false,
                State::Dead => true,
            };
            if !flow.ended && !full {
                interest.push((&self.sockets[way as usize], PollFlags::IN));
            }
            let passing = matches!(self.state, State::Flowing | State::Half(..));
            if passing && flow.blocked && flow.tokens >= 1.0 && flow.held.is_none_or(|until| until <= now) {
                interest.push((&self.sockets[1 - way as usize], PollFlags::OUT));
            }
        }
        interest
    }

    /// How long there is nothing to do but to look at the sockets.
    pub fn timeout(&self, now: Instant) -> Duration {
        let mut least = Duration::from_millis(50);
        for (flow, dribble) in self.flows.iter().zip(self.fate.dribble) {
            let busy = !flow.buffer.is_empty() && !flow.blocked;
            match flow.held.filter(|until| *until > now) {
                Some(until) => least = least.min(until - now),
                None if busy && flow.passed < dribble && flow.tokens >= 1.0 => return Duration::ZERO,
                None if busy => least = least.min(TICK),
                None => {}
            }
        }
        least
    }
}

impl Flow {
    fn refill(&mut self, rate: Option<f64>, now: Instant) {
        let since = self.counted.replace(now).map_or(TICK, |at| now.saturating_duration_since(at));
        self.tokens = match rate {
            Some(rate) => (self.tokens + rate * since.as_secs_f64()).clamp(0.0, (rate / 20.0).max(600.0)),
            None => f64::MAX,
        };
    }

    /// How much may pass now.
    fn portion(&self, way: Way, fate: &Fate, limited: bool) -> usize {
        let mut most = self.buffer.len() as u64;
        if limited {
            most = most.min(self.tokens as u64);
        }
        if self.passed < fate.dribble[way as usize] {
            most = most.min(1);
        }
        match fate.trigger {
            Trigger::Bytes(at, n, _) if at == way => most = most.min(n.saturating_sub(self.passed)),
            _ => {}
        }
        match fate.stall {
            Some((at, n, _)) if at == way => most = most.min(n.saturating_sub(self.passed)),
            _ => {}
        }
        most as usize
    }

    fn write(&mut self, mut sink: &TcpStream, part: usize) -> Result<(), Broken> {
        self.blocked = false;
        match sink.write(&self.buffer[..part]) {
            Ok(n) => {
                self.look_for_head(n);
                self.passed += n as u64;
                self.tokens -= n as f64;
                self.buffer.drain(..n);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.blocked = true;
                Ok(())
            }
            Err(_) => Err(Broken),
        }
    }

    /// Where the HTTP head ends, if there is one.
    fn look_for_head(&mut self, n: usize) {
        if self.head.is_some() {
            return;
        }
        for (at, byte) in self.buffer[..n].iter().enumerate() {
            self.tail.rotate_left(1);
            self.tail[3] = *byte;
            if self.tail == *b"\r\n\r\n" {
                self.head = Some(self.passed + at as u64 + 1);
                return;
            }
        }
    }
}
