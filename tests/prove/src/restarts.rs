//! mosquitto stopped and started again under a publisher at QoS 1 (DESIGN section 3, promise 1).

use std::{
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use crate::{
    Outcome, Setting,
    acks::Acks,
    broker::Broker,
    feeder::Feeder,
    flow::{AHEAD, Flow, STUCK, log, publisher},
    random::Random,
    scratch::Scratch,
};

/// One stop of so many follows the one before at once, so that clients find nobody on their way back.
const HASTY_ONE_OF: u64 = 5;
/// After at most so many milliseconds.
const HASTY_MILLIS: u64 = 800;

pub fn run(setting: &Setting) -> Outcome {
    let mut figures = Vec::new();
    for (name, run) in
        [("SIGTERM", stops as fn(&Setting, &Path) -> Result<String, String>), ("SIGKILL", kills)]
    {
        let scratch = Scratch::new(&format!("restarts-{name}"))?;
        match run(setting, scratch.dir()) {
            Ok(line) => figures.push(format!("{name}: {line}")),
            Err(error) => return Err(scratch.keep(&format!("{name}: {error}"))),
        }
    }
    Ok(figures)
}

/// It writes its state down first: nothing is missing at a subscriber with a persistent session.
fn stops(setting: &Setting, dir: &Path) -> Result<String, String> {
    let total = setting.amount(10_000, 500_000);
    let stops = setting.amount(3, 50);
    let mut broker = Broker::start(dir, "persistence true\n")?;
    let mut flow = Flow::start(&setting.wspipe, dir, &broker, broker.tcp, 1, total)?;
    let mut child = flow.subscribe()?;
    let mut random = Random::new(setting.seed, 200);
    let span = total / (stops + 1);
    for stop in 0..stops {
        if is_hasty(stop) {
            thread::sleep(Duration::from_millis(random.below(HASTY_MILLIS)));
        } else {
            let goal = stop * span + random.below(span);
            flow.wait_for(goal.max(flow.ledger.distinct + 1), &mut child)?;
        }
        broker.stop()?;
        broker.start_again()?;
    }
    Ok(format!("{stops} restarts: {}", flow.finish(child)?))
}

/// It loses what it acknowledged: here each record was, by the account of a relay.
fn kills(setting: &Setting, dir: &Path) -> Result<String, String> {
    let begun = Instant::now();
    let total = setting.amount(10_000, 500_000);
    let kills = setting.amount(3, 50);
    let mut broker = Broker::start(dir, "persistence true\n")?;
    let acks = Acks::start(broker.tcp, total)?;
    let mut command = publisher(&setting.wspipe, acks.port, 1);
    let feeder = Feeder::start(&mut command, log(dir)?, total, AHEAD)?;
    let mut random = Random::new(setting.seed, 201);
    let span = total / (kills + 1);
    for kill in 0..kills {
        if is_hasty(kill) {
            thread::sleep(Duration::from_millis(random.below(HASTY_MILLIS)));
        } else {
            acks.wait_for((kill * span + random.below(span)).max(acks.count() + 1), &feeder)?;
        }
        broker.kill()?;
        broker.start_again()?;
    }
    acks.wait_for(total, &feeder)?;
    feeder.finish(STUCK)?;
    let (pubacks, connections) = acks.finish()?;
    let secs = begun.elapsed().as_secs_f64();
    Ok(format!(
        "{kills} restarts: {total} of {total} acknowledged, by {pubacks} PUBACKs on {connections} connections; {secs:.0} s"
    ))
}

/// Whether this stop does not wait until clients are back.
fn is_hasty(stop: u64) -> bool {
    stop % HASTY_ONE_OF == HASTY_ONE_OF - 1
}
