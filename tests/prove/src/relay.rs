//! A network that fails: a relay on loopback that cuts, resets, half-closes, delays, throttles, dribbles and stalls
//! what passes through it, at random points of a seed.
//!
//! One thread for each relay, one client at a time behind it as a rule; an older connection may linger beside the
//! new one, as it does on a real network.

mod fate;
mod pair;

use std::{
    io::ErrorKind,
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

pub use self::fate::Rhythm;
use self::{fate::Fate, pair::Pair};
use crate::random::Random;

/// A direction. Up is from wspipe to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Up = 0,
    Down = 1,
}

/// What a relay is to do.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Where the server is.
    pub target: u16,
    /// An HTTP upgrade comes first.
    pub websocket: bool,
    /// The way that the numbered lines take, and about how many bytes they are: they are spread over the cuts.
    pub lines: Way,
    pub bytes: u64,
    /// So many connections are cut; then all passes untouched.
    pub cuts: u64,
    pub rhythm: Rhythm,
    /// The first connection comes to be unharmed, and is cut later.
    pub spare_first: bool,
    /// After the cuts nobody is there any more, in place of a quiet network.
    pub gone_after: bool,
}

/// How often each thing was done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub connections: u64,
    /// End of stream for both sides, behind all that had passed.
    pub fins: u64,
    /// RST to both sides.
    pub resets: u64,
    /// End of stream for one side, while the other direction went on for a while.
    pub half_closes: u64,
    /// RST to the client; the server hears nothing until its session is taken over.
    pub orphans: u64,
    /// Nothing passes any more, and nobody is told.
    pub silences: u64,
    /// Of these five: in the HTTP upgrade, and after it before the server's first answer was through.
    pub in_upgrade: u64,
    pub in_login: u64,
    pub delays: u64,
    pub throttles: u64,
    pub dribbles: u64,
    pub stalls: u64,
}

impl Counts {
    pub fn cuts(&self) -> u64 {
        self.fins + self.resets + self.half_closes + self.orphans + self.silences
    }

    pub fn add(&mut self, other: &Counts) {
        self.connections += other.connections;
        self.fins += other.fins;
        self.resets += other.resets;
        self.half_closes += other.half_closes;
        self.orphans += other.orphans;
        self.silences += other.silences;
        self.in_upgrade += other.in_upgrade;
        self.in_login += other.in_login;
        self.delays += other.delays;
        self.throttles += other.throttles;
        self.dribbles += other.dribbles;
        self.stalls += other.stalls;
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} cuts ({} FIN, {} RST, {} half-closed, {} orphaned, {} silent; {} of them in the upgrade, {} before \
             the first answer), {} delayed, {} throttled, {} dribbled, {} stalled",
            self.cuts(),
            self.fins,
            self.resets,
            self.half_closes,
            self.orphans,
            self.silences,
            self.in_upgrade,
            self.in_login,
            self.delays,
            self.throttles,
            self.dribbles,
            self.stalls
        )
    }
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    cuts: AtomicU64,
    /// There is a connection that is not cut any more.
    settled: AtomicBool,
    counts: Mutex<Counts>,
}

/// How far the cuts have come; for those who deal out the lines.
#[derive(Clone)]
pub struct Progress(Arc<Shared>);

impl Progress {
    pub fn cuts(&self) -> u64 {
        self.0.cuts.load(Ordering::Relaxed)
    }

    /// The cuts are over, and the client knows: it has come again. Of some cuts nobody is told at once.
    pub fn is_settled(&self) -> bool {
        self.0.settled.load(Ordering::Relaxed)
    }
}

/// Ends with its owner.
pub struct Relay {
    pub port: u16,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    pub fn start(plan: Plan, random: Random) -> Result<Relay, String> {
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
        // Small, so that a cut loses little of what was written: the buffers of loopback take megabytes.
        rustix::net::sockopt::set_socket_recv_buffer_size(&listener, 4096).map_err(|e| e.to_string())?;
        listener.set_nonblocking(true).map_err(|error| error.to_string())?;
        let port = listener.local_addr().map_err(|error| error.to_string())?.port();
        let shared = Arc::new(Shared::default());
        let mut work = Work {
            listener,
            plan,
            random,
            shared: Arc::clone(&shared),
            pairs: Vec::new(),
            accepted: 0,
            begun: Instant::now(),
            line_bytes: 0,
            counts: Counts::default(),
        };
        let thread = thread::spawn(move || work.run());
        Ok(Relay { port, shared, thread: Some(thread) })
    }

    pub fn progress(&self) -> Progress {
        Progress(Arc::clone(&self.shared))
    }

    pub fn counts(&self) -> Counts {
        self.shared.counts.lock().map_or_else(|broken| *broken.into_inner(), |counts| *counts)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The thread's own.
struct Work {
    listener: TcpListener,
    plan: Plan,
    random: Random,
    shared: Arc<Shared>,
    pairs: Vec<Pair>,
    accepted: u64,
    begun: Instant,
    /// What has passed on the way of the lines, on connections that are gone.
    line_bytes: u64,
    counts: Counts,
}

impl Work {
    fn run(&mut self) {
        while !self.shared.stop.load(Ordering::Relaxed) {
            self.wait();
            let now = Instant::now();
            self.accept(now);
            let rate = self.rate(now);
            for pair in &mut self.pairs {
                pair.advance(rate, &mut self.counts, now);
            }
            let way = self.plan.lines;
            let mut passed = 0;
            self.pairs.retain(|pair| {
                passed += if pair.is_dead() { pair.passed(way) } else { 0 };
                !pair.is_dead()
            });
            self.line_bytes += passed;
            if let Ok(mut shared) = self.shared.counts.lock() {
                *shared = self.counts;
            }
            self.shared.cuts.store(self.counts.cuts(), Ordering::Relaxed);
        }
    }

    fn accept(&mut self, now: Instant) {
        let client = match self.listener.accept() {
            Ok((client, _)) => client,
            Err(error) => {
                assert!(error.kind() == ErrorKind::WouldBlock, "accept: {error}");
                return;
            }
        };
        self.counts.connections += 1;
        let done = self.counts.cuts() + self.pairs.iter().filter(|pair| pair.will_be_cut()).count() as u64;
        let cut = done < self.plan.cuts;
        if !cut && self.plan.gone_after {
            return pair::reset(&client);
        }
        let Ok(server) = TcpStream::connect(("127.0.0.1", self.plan.target)) else {
            return pair::reset(&client);
        };
        let spared = self.plan.spare_first && self.accepted == 0;
        let fate = match cut {
            true => Fate::draw(&self.plan, self.accepted, spared, &mut self.random),
            false => Fate::untouched(),
        };
        self.accepted += 1;
        fate.count(&mut self.counts);
        if let Ok(pair) = Pair::new(client, server, fate, &self.plan, now) {
            self.pairs.push(pair);
            self.shared.settled.fetch_or(!cut, Ordering::Relaxed);
        }
    }

    /// Bytes a second for the lines, so that they last as long as the cuts; none once these are done.
    fn rate(&self, now: Instant) -> Option<f64> {
        let cuts = self.counts.cuts();
        let left = self.plan.cuts.saturating_sub(cuts);
        if left == 0 {
            return None;
        }
        let passed: u64 = self.pairs.iter().map(|pair| pair.passed(self.plan.lines)).sum();
        let rest = self.plan.bytes.saturating_sub(self.line_bytes + passed) as f64;
        let seconds = now.saturating_duration_since(self.begun).as_secs_f64();
        let each = if cuts < 4 { self.plan.rhythm.seconds_a_cut() } else { seconds / cuts as f64 };
        Some((rest / (left as f64 * each)).max(8192.0))
    }

    fn wait(&self) {
        let now = Instant::now();
        let mut timeout = Duration::from_millis(50);
        let mut set = vec![PollFd::new(&self.listener, PollFlags::IN)];
        for pair in &self.pairs {
            timeout = timeout.min(pair.timeout(now));
            for (socket, flags) in pair.interest(now) {
                set.push(PollFd::new(socket, flags));
            }
        }
        let timeout = Timespec { tv_sec: 0, tv_nsec: timeout.as_nanos() as _ };
        // Interrupted or not: the next turn looks at everything.
        let _ = poll(&mut set, Some(&timeout));
    }
}
