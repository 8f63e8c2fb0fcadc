//! `wspipe pub -l`, given numbered records not too far ahead of what has arrived.

use std::{
    fs::File,
    io::Write,
    process::{ChildStdin, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::{child::Child, ledger::record};

/// Records in one write to its stdin.
const BATCH: u64 = 32;

/// The publisher and the thread that writes its stdin.
pub struct Feeder {
    child: Child,
    thread: Option<JoinHandle<std::io::Result<()>>>,
    arrived: Arc<AtomicU64>,
    cap: Arc<AtomicU64>,
}

impl Feeder {
    /// Starts `publisher` with records from 0 to `total - 1`. It is given `ahead` more than have arrived, so that what
    /// waits in the broker stays bounded, and none beyond the cap, at first `cap`. Its stderr goes to `log`.
    pub fn start(
        publisher: &mut Command,
        log: File,
        total: u64,
        ahead: u64,
        cap: u64,
    ) -> Result<Self, String> {
        let mut child = Child::start(publisher.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log))?;
        let stdin = child.0.stdin.take().ok_or("the publisher has no stdin")?;
        let arrived = Arc::new(AtomicU64::new(0));
        let cap = Arc::new(AtomicU64::new(cap));
        let (seen, most) = (Arc::clone(&arrived), Arc::clone(&cap));
        let limit = move || most.load(Ordering::Relaxed).min(seen.load(Ordering::Relaxed) + ahead);
        let thread = thread::spawn(move || feed(stdin, limit, total));
        Ok(Self { child, thread: Some(thread), arrived, cap })
    }

    /// So many have arrived by now.
    pub fn set_arrived(&self, count: u64) {
        self.arrived.store(count, Ordering::Relaxed);
    }

    /// Raises the cap. However late the one who watches is, there is something left for what comes after.
    pub fn allow(&self, more: u64) {
        self.cap.fetch_add(more, Ordering::Relaxed);
    }

    /// All that is left may go.
    pub fn allow_all(&self) {
        self.cap.store(u64::MAX, Ordering::Relaxed);
    }

    /// Everything was given, and its status is 0.
    pub fn finish(mut self, limit: Duration) -> Result<(), String> {
        let status = self.child.ended(limit).map_err(|error| format!("pub: {error}"))?;
        if !status.success() {
            return Err(format!("pub: {status}"));
        }
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(Ok(()))) | None => Ok(()),
            Some(Ok(Err(error))) => Err(format!("pub did not read all of its input: {error}")),
            Some(Err(_)) => Err("the feeding thread panicked".to_owned()),
        }
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        // The thread waits for nothing more, and the pipe's other end is gone with the child.
        self.set_arrived(u64::MAX / 2);
        self.allow_all();
    }
}

fn feed(mut stdin: ChildStdin, limit: impl Fn() -> u64, total: u64) -> std::io::Result<()> {
    let (mut some, mut one) = (Vec::new(), Vec::new());
    let mut next = 0;
    while next < total {
        if next >= limit() {
            thread::sleep(Duration::from_micros(200));
            continue;
        }
        some.clear();
        for n in next..total.min(next + BATCH) {
            record(n, &mut one);
            some.extend_from_slice(&one);
            some.push(b'\n');
        }
        next += BATCH;
        stdin.write_all(&some)?;
    }
    Ok(())
}
