//! The reader of stdout stops for ten minutes, in virtual time: the loop's part, a peer whose answers lie in
//! order behind its data, and what must hold all the while.

use std::collections::VecDeque;

use super::*;
use crate::proto::link::Kind as Frame;

mod cat;
mod subscribe;

/// How long the reader is away, in seconds.
const AWAY: u32 = 600;
/// Above so much output the loop does not read (`run::OUTPUT_MARK`).
const OUTPUT_MARK: usize = 256 * 1024;
/// What a write to a pipe takes at a time.
const PIPE: usize = 4096;
/// More turns at one moment are a loop that spins.
const TURNS: usize = 100_000;

/// What comes from the peer.
#[derive(Debug)]
enum Sent {
    Message(Frame, Vec<u8>),
    Pong(Bytes),
    Close,
    /// It cuts the connection.
    End,
}

/// The other side: what it answers goes behind all that it has sent before.
trait Peer {
    fn handle(&mut self, transmit: Transmit, wire: &mut VecDeque<Sent>);

    /// Messages that it knows to be output.
    fn acknowledged(&self) -> usize {
        0
    }
}

/// The loop of [`crate::run`] without descriptors and without a clock.
struct Stall<P> {
    machine: Box<dyn Machine>,
    peer: P,
    now: Instant,
    /// On its way to us: the kernels' and the server's memory, not ours.
    wire: VecDeque<Sent>,
    reading: bool,
    /// The kernel takes nothing of what is sent: it waits here.
    stuck: bool,
    queued: Vec<Transmit>,
    /// stdout's reader takes what there is.
    taken: bool,
    printed: Vec<u8>,
    /// Bytes of a message as printed, all of the same length.
    record: usize,
    /// The most that ever waited for stdout.
    most: usize,
    over: bool,
}

impl<P: Peer> Stall<P> {
    /// Connected, with a reader that takes nothing from the start.
    fn new(mut machine: Box<dyn Machine>, peer: P, record: usize) -> Stall<P> {
        let now = Instant::now();
        connected(&mut *machine, now);
        Stall {
            machine,
            peer,
            now,
            wire: VecDeque::new(),
            reading: true,
            stuck: false,
            queued: Vec::new(),
            taken: false,
            printed: Vec::new(),
            record,
            most: 0,
            over: false,
        }
    }

    fn has_room(&self) -> bool {
        self.machine.output().len() < OUTPUT_MARK && !self.machine.is_congested()
    }

    /// One turn of the loop; whether anything moved.
    fn turn(&mut self) -> bool {
        let mut moved = false;
        while self.reading && self.has_room() && !self.over {
            let Some(sent) = self.wire.pop_front() else { break };
            moved = true;
            self.receive(sent);
        }
        if self.machine.poll_deadline().is_some_and(|at| at <= self.now) {
            moved = true;
            self.machine.handle_timeout(self.now);
            assert_eq!(self.machine.poll_drop(self.now), None, "given up for dead");
        }
        moved |= self.transmit();
        self.most = self.most.max(self.machine.output().len());
        let n = self.machine.output().len().min(PIPE);
        if self.taken && n > 0 {
            moved = true;
            self.printed.extend_from_slice(&self.machine.output()[..n]);
            self.machine.handle_written(n, self.now);
            self.transmit();
        }
        if self.has_room() != self.reading {
            moved = true;
            self.reading = !self.reading;
            self.machine.handle_reading(self.reading, self.now);
        }
        moved
    }

    fn receive(&mut self, sent: Sent) {
        match &sent {
            Sent::Message(kind, payload) => {
                self.machine.handle_received(Received::Message(*kind, payload), self.now);
            }
            Sent::Pong(payload) => self.machine.handle_received(Received::Pong(payload), self.now),
            Sent::Close => {
                self.machine.handle_received(Received::Close(Some((1000, ""))), self.now);
                self.lose(Lost::Closed);
            }
            Sent::End => return self.lose(Lost::Eof),
        }
        if !self.over {
            self.machine.handle_heard(self.now);
        }
    }

    fn lose(&mut self, lost: Lost) {
        self.over = true;
        self.machine.handle_lost(lost, Handed::default(), self.now);
    }

    fn transmit(&mut self) -> bool {
        let before = self.queued.len();
        while let Some(transmit) = self.machine.poll_transmit(self.now).filter(|_| !self.over) {
            self.queued.push(transmit);
        }
        let any = if self.stuck { self.queued.len() > before } else { !self.queued.is_empty() };
        if any && !self.stuck {
            self.queued.drain(..).for_each(|transmit| self.peer.handle(transmit, &mut self.wire));
            self.machine.handle_sent(self.now);
        }
        // Acknowledged after output, at every moment.
        assert!(self.peer.acknowledged() <= self.printed.len() / self.record);
        any
    }

    /// All that can happen at this moment.
    fn settle(&mut self) {
        assert!((0..TURNS).any(|_| !self.turn()), "the loop spins");
    }

    /// Time goes by, from one deadline to the next.
    fn pass(&mut self, seconds: u32) {
        let end = self.now + seconds * SECOND;
        self.settle();
        while let Some(at) = self.machine.poll_deadline().filter(|at| *at <= end) {
            assert!(at > self.now, "due at once, again and again");
            self.now = at;
            self.settle();
        }
        self.now = end;
        self.settle();
    }

    /// The reader is back, and it goes on to the end.
    fn finish(&mut self, seconds: u32) -> Result<(), Failure> {
        self.taken = true;
        self.pass(seconds);
        assert_eq!(self.machine.poll_next(), Next::Done);
        assert!(self.machine.output().is_empty());
        self.machine.take_outcome()
    }

    /// What waited for stdout never was more than the mark and the one message that reached it.
    fn assert_bounded(&self) {
        assert!(self.most < OUTPUT_MARK + self.record, "{} bytes waited", self.most);
    }
}

/// Message `n` of `size` bytes.
fn payload(n: usize, size: usize) -> Vec<u8> {
    let mut payload = format!("{n:07}").into_bytes();
    payload.resize(size, b'.');
    payload
}

/// The first `count` messages of `size` bytes as lines.
fn lines(count: usize, size: usize) -> Vec<u8> {
    (0..count).flat_map(|n| [payload(n, size), vec![b'\n']].concat()).collect()
}
