//! What is to become of a connection.

use std::time::Duration;

use super::{Counts, Plan, Way};
use crate::random::Random;

/// How the cuts follow each other. A client's pauses grow with each connection that lasts less than 10 s, so that
/// many cuts take either many clients or a long connection now and then.
#[derive(Clone, Copy, Debug)]
pub enum Rhythm {
    /// Short connections only.
    Short,
    /// So many short ones, then one that lasts long enough to be a good one.
    Bursts(u64),
}

impl Rhythm {
    /// A guess, until there is something to measure.
    pub fn seconds_a_cut(self) -> f64 {
        match self {
            Rhythm::Short => 2.0,
            Rhythm::Bursts(_) => 3.5,
        }
    }
}

/// How it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Fin,
    Reset,
    /// End of stream for the reader of this way.
    Half(Way),
    Orphan,
    Silent,
}

/// When it ends.
#[derive(Clone, Copy, Debug)]
pub enum Trigger {
    Never,
    /// When so many bytes have passed, or after this time.
    Bytes(Way, u64, Duration),
    /// So many bytes after this time.
    Time(Duration, Way, u64),
}

#[derive(Clone, Copy, Debug)]
pub struct Fate {
    pub trigger: Trigger,
    /// Not before the client has sent something behind its upgrade request, which shows that it has the answer.
    pub spared: bool,
    pub end: End,
    /// How long the bytes of each way are held.
    pub delay: [Option<Duration>; 2],
    /// The first bytes of each way that pass one at a time.
    pub dribble: [u64; 2],
    /// Bytes a second.
    pub throttle: Option<f64>,
    /// At this place of a way nothing goes on for so long.
    pub stall: Option<(Way, u64, Duration)>,
}

/// A connection that lasts so long begins the pauses anew (`GOOD` in src/run/link.rs, and some more).
const GOOD: Duration = Duration::from_millis(10_150);

impl Fate {
    pub fn untouched() -> Fate {
        let (trigger, end) = (Trigger::Never, End::Fin);
        Fate { trigger, spared: false, end, delay: [None; 2], dribble: [0; 2], throttle: None, stall: None }
    }

    /// `number` counts connections from 0; a `spared` one is cut only behind its handshake.
    pub fn draw(plan: &Plan, number: u64, spared: bool, random: &mut Random) -> Fate {
        let long = matches!(plan.rhythm, Rhythm::Bursts(burst) if number % (burst + 1) == burst);
        let way = way(random);
        let trigger = match long {
            true => Trigger::Time(GOOD + millis(300, random), way, random.below(200)),
            false => short(plan, spared, random),
        };
        let end = match random.below(100) {
            0..30 => End::Fin,
            30..62 => End::Reset,
            62..72 => End::Half(Way::Up),
            72..82 => End::Half(Way::Down),
            82..96 => End::Orphan,
            _ => End::Silent,
        };
        let mut fate = Fate { trigger, spared, end, ..Fate::untouched() };
        if random.below(5) == 0 {
            fate.delay[way as usize] = Some(Duration::from_millis(1) + millis(60, random));
        }
        if random.below(4) == 0 {
            fate.dribble[way as usize] = 1 + random.below(2000);
        }
        if random.below(6) == 0 {
            fate.throttle = Some(2000.0 + random.below(6000) as f64);
        }
        if random.below(6) == 0 {
            // Now and then longer than an acknowledgement may take.
            let most = if random.below(10) == 0 { 4000 } else { 700 };
            fate.stall = Some((way, random.below(4000), Duration::from_millis(50) + millis(most, random)));
        }
        fate
    }

    pub fn count(&self, counts: &mut Counts) {
        counts.delays += u64::from(self.delay.iter().any(Option::is_some));
        counts.throttles += u64::from(self.throttle.is_some());
        counts.dribbles += u64::from(self.dribble.iter().any(|n| *n > 0));
    }
}

fn way(random: &mut Random) -> Way {
    if random.below(2) == 0 { Way::Up } else { Way::Down }
}

fn millis(limit: u64, random: &mut Random) -> Duration {
    Duration::from_millis(random.below(limit))
}

/// The end of a short connection: at a byte of the handshake, of what comes right behind it, or of the flow of
/// lines; or at a moment.
fn short(plan: &Plan, spared: bool, random: &mut Random) -> Trigger {
    // About the size of the upgrade and its answer.
    let (up, down) = if plan.websocket { (260, 135) } else { (0, 0) };
    let patience = Duration::from_millis(300) + millis(900, random);
    // Some powers of two: as many cuts among the first bytes as among the thousands.
    let some = |random: &mut Random, bits| {
        let bits = random.below(bits);
        random.below(1 << bits)
    };
    let kind = random.below(100).max(if spared { 35 } else { 0 });
    match kind {
        0..12 => Trigger::Bytes(Way::Up, random.below(up + 1), patience),
        12..25 => Trigger::Bytes(Way::Up, up + random.below(120), patience),
        25..35 => Trigger::Bytes(Way::Down, random.below(down + 40), patience),
        35..60 => Trigger::Bytes(Way::Up, up + 150 + some(random, 16), patience),
        60..85 => Trigger::Bytes(Way::Down, down + 50 + some(random, 16), patience),
        _ => Trigger::Time(Duration::from_millis(50) + millis(700, random), way(random), random.below(200)),
    }
}
