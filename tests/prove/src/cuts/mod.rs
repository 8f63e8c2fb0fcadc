//! Nothing is lost by cuts: `pub`, `sub` and `cat --reconnect` through a network that fails (`relay.rs`).
//!
//! A client's pauses grow to 30 s while its connections last less than 10 s. So the cuts are shared out among
//! several clients, each with a relay, a client identifier and a topic of its own, and in the long form every few
//! short connections are followed by a long one.

mod cat;
mod lane;
mod lines;
mod publish;
mod subscribe;

use std::{thread, time::Instant};

pub use self::{cat::prove as cat, publish::prove as publish, subscribe::prove as subscribe};
use crate::{
    Outcome, Setting,
    relay::{Counts, Rhythm},
};

/// The amounts of a run.
#[derive(Clone, Copy)]
struct Amount {
    lanes: u64,
    /// Each lane has so many.
    lines: u64,
    cuts: u64,
    rhythm: Rhythm,
}

impl Amount {
    fn of(setting: &Setting) -> Amount {
        match setting.long {
            // 1,000,008 lines, 1,008 cuts. More lines than there are packet identifiers in each lane.
            true => Amount { lanes: 12, lines: 83_334, cuts: 84, rhythm: Rhythm::Bursts(4) },
            false => Amount { lanes: 10, lines: 3000, cuts: 4, rhythm: Rhythm::Short },
        }
    }
}

/// What a run has done.
#[derive(Default)]
struct Figures {
    lines: u64,
    doubled: u64,
    counts: Counts,
    reconnects: u64,
}

impl Figures {
    fn line(&self, what: &str, clients: u64, begun: Instant) -> String {
        format!(
            "{what}: {} lines of {clients} clients, {}, {} connections, {} reconnects said, {} lines doubled, {:.0} s",
            self.lines,
            self.counts,
            self.counts.connections,
            self.reconnects,
            self.doubled,
            begun.elapsed().as_secs_f64()
        )
    }
}

/// Runs side by side: they mostly wait. All the lines, or all that is wrong.
fn side_by_side<V: Copy + Sync>(
    setting: &Setting,
    variants: &[V],
    name: fn(&V) -> &'static str,
    run: fn(&Setting, V) -> Result<String, String>,
) -> Outcome {
    let one = |variant: &V| {
        let line = run(setting, *variant).map_err(|why| format!("{}: {why}", name(variant)))?;
        // The long form takes its time.
        if setting.long {
            eprintln!("{line}");
        }
        Ok(line)
    };
    let outcomes: Vec<Result<String, String>> = thread::scope(|scope| {
        let threads: Vec<_> = variants.iter().map(|variant| scope.spawn(move || one(variant))).collect();
        let panicked = |_| Err("a run has panicked".to_owned());
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(panicked)).collect()
    });
    let failed = outcomes.iter().any(Result::is_err);
    let lines: Vec<String> = outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(|why| why)).collect();
    if failed { Err(lines.join("\n")) } else { Ok(lines) }
}
