//! Which of the packets queued were handed out, and when they reached the kernel.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Serial numbers grow from 1 over all connections, so that those of an earlier one are below all of this one.
#[derive(Debug)]
pub(super) struct Sent {
    queued: u64,
    taken: u64,
    kernel: u64,
    /// "Up to this serial number, at this time", in order.
    marks: VecDeque<(u64, Instant)>,
    last: Option<Instant>,
    /// Since when nothing has left of what was handed out; none while the kernel has all of it.
    stalled: Option<Instant>,
    /// Marks closer together than this become one, so that their number has a bound.
    grain: Duration,
}

impl Sent {
    /// `limit` is the longest time of interest; times may be up to 1/256 of it early.
    pub fn new(limit: Duration) -> Sent {
        let marks = VecDeque::new();
        Sent { queued: 0, taken: 0, kernel: 0, marks, last: None, stalled: None, grain: limit / 256 }
    }

    /// One more packet is queued: its serial number.
    pub fn queue(&mut self) -> u64 {
        self.queued += 1;
        self.queued
    }

    /// All that is queued is handed out.
    pub fn take(&mut self, now: Instant) {
        self.taken = self.queued;
        self.stalled.get_or_insert(now);
    }

    /// Some of what was handed out has reached the kernel.
    pub fn handle_progress(&mut self, now: Instant) {
        self.stalled = self.stalled.map(|_| now);
    }

    /// Since when the kernel has taken nothing; none while nothing is on its way to it.
    pub fn stalled(&self) -> Option<Instant> {
        self.stalled
    }

    /// The last serial number handed out.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// All that was handed out has reached the kernel. Nobody asks about serial numbers below `oldest`.
    pub fn handle_sent(&mut self, now: Instant, oldest: u64) {
        if self.kernel == self.taken {
            return;
        }
        self.kernel = self.taken;
        self.stalled = None;
        self.last = Some(now);
        while self.marks.front().is_some_and(|mark| mark.0 < oldest) {
            self.marks.pop_front();
        }
        match self.marks.back_mut() {
            Some((serial, at)) if now.saturating_duration_since(*at) < self.grain => *serial = self.kernel,
            _ => self.marks.push_back((self.kernel, now)),
        }
    }

    /// When that packet reached the kernel; none while it has not.
    pub fn at(&self, serial: u64) -> Option<Instant> {
        let n = self.marks.partition_point(|mark| mark.0 < serial);
        self.marks.get(n).map(|mark| mark.1)
    }

    /// Since when nothing was sent; none while something is on its way to the kernel.
    pub fn idle_since(&self) -> Option<Instant> {
        if self.kernel == self.queued { self.last } else { None }
    }

    /// The connection is gone, with all that was queued.
    pub fn reset(&mut self) {
        self.taken = self.queued;
        self.kernel = self.queued;
        self.marks.clear();
        self.last = None;
        self.stalled = None;
    }
}
