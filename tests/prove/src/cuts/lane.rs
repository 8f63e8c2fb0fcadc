//! A client with a relay of its own.

use std::{
    io::{BufRead, BufReader},
    process::{Command, ExitStatus, Stdio},
    thread::{self, JoinHandle},
    time::Duration,
};

use super::Amount;
use crate::{
    Setting,
    child::Child,
    random::Random,
    relay::{Plan, Relay},
};

pub struct Lane {
    pub child: Child,
    pub relay: Relay,
    stderr: Option<JoinHandle<Vec<String>>>,
}

/// How a lane has ended.
pub struct Ended {
    pub status: ExitStatus,
    pub stderr: Vec<String>,
}

impl Lane {
    /// `command` has the URL's place still open: it is made of the relay's port.
    pub fn start(
        setting: &Setting,
        plan: Plan,
        stream: u64,
        command: impl FnOnce(&mut Command, u16),
    ) -> Result<Lane, String> {
        let relay = Relay::start(plan, Random::new(setting.seed, stream))?;
        let mut wspipe = Command::new(&setting.wspipe);
        wspipe.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).env_remove("RUST_LOG");
        command(&mut wspipe, relay.port);
        let mut child = Child::start(&mut wspipe)?;
        let stderr = child.0.stderr.take().map(|stderr| {
            thread::spawn(move || {
                let lines = BufReader::new(stderr).split(b'\n');
                lines.map_while(Result::ok).map(|line| String::from_utf8_lossy(&line).into_owned()).collect()
            })
        });
        Ok(Lane { child, relay, stderr })
    }

    pub fn ended(&mut self, limit: Duration) -> Result<Ended, String> {
        let status = self.child.ended(limit)?;
        let stderr = self.stderr.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        Ok(Ended { status, stderr })
    }
}

impl Ended {
    /// How often it said that it connects again.
    pub fn reconnects(&self) -> u64 {
        let again = |line: &&String| line.ends_with(": connecting again") || line.ends_with(": trying again");
        self.stderr.iter().filter(again).count() as u64
    }

    /// The number before `what`, over all lines.
    pub fn said(&self, what: &str) -> u64 {
        let number = |line: &String| -> Option<u64> {
            let (before, _) = line.split_once(what)?;
            before.trim_end().rsplit(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
        };
        self.stderr.iter().filter_map(number).sum()
    }

    /// The status has to be this one.
    pub fn check(&self, status: i32) -> Result<(), String> {
        if self.status.code() == Some(status) {
            return Ok(());
        }
        let last = self.stderr.last().map_or("nothing", |line| line);
        Err(format!("{} in place of status {status}; it said last: {last}", self.status))
    }
}

/// The limit of everything.
pub fn limit(setting: &Setting) -> Duration {
    Duration::from_secs(setting.amount(120, 1800))
}

/// What is kept back until the cuts are done, so that each of them finds something to cut.
const KEPT: u64 = 8;

/// How many lines may be given after so many cuts. A window of acknowledgements bounds what is under way: all but a
/// few for each cut that is still to come.
pub fn all_but_a_few(amount: Amount, cuts: u64) -> u64 {
    amount.lines.saturating_sub(KEPT * amount.cuts.saturating_sub(cuts))
}

/// The same where the broker would have to queue them: no more than some cuts ahead.
pub fn not_far_ahead(amount: Amount, cuts: u64) -> u64 {
    all_but_a_few(amount, cuts).min(evenly(amount, cuts + 5))
}

/// The same where nothing bounds what is under way: shared out evenly.
pub fn evenly(amount: Amount, cuts: u64) -> u64 {
    amount.lines * (cuts + 1) / (amount.cuts + 1)
}
