//! A subscriber with a persistent session, killed again and again while messages flow (DESIGN section 3, promise
//! 2: acknowledged after output, so that a kill loses nothing).

use std::{os::unix::process::ExitStatusExt, path::Path, thread, time::Duration};

use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};

use crate::{
    Outcome, Setting,
    broker::Broker,
    flow::{Flow, STUCK, TCP},
    random::Random,
    scratch::Scratch,
};

/// More than mosquitto's 20, so that a kill finds much under way.
const IN_FLIGHT: u64 = 200;
/// One kill of so many comes soon after the start.
const EARLY_ONE_OF: u64 = 5;
/// "Soon": before or in the handshake, CONNECT and SUBSCRIBE, and what a session brings at once.
const EARLY_MICROS: u64 = 12_000;
/// After one kill of so many the next subscriber's write is cut by a limit,
const FULL_ONE_OF: u64 = 5;
/// within so many bytes from where the file ends then.
const FULL_BYTES: u64 = 1500;

pub fn run(setting: &Setting) -> Outcome {
    let mut figures = Vec::new();
    for qos in [1, 2] {
        let scratch = Scratch::new(&format!("kills-{qos}"))?;
        match kills(setting, qos, scratch.dir()) {
            Ok(line) => figures.push(format!("QoS {qos}: {line}")),
            Err(error) => return Err(scratch.keep(&format!("QoS {qos}: {error}"))),
        }
    }
    Ok(figures)
}

fn kills(setting: &Setting, qos: u64, dir: &Path) -> Result<String, String> {
    let total = setting.amount(30_000, 1_000_000);
    let kills = setting.amount(30, 500);
    let broker = Broker::start(dir, &format!("max_inflight_messages {IN_FLIGHT}\n"))?;
    // Records that every subscriber finds, one of them more that follow its limit, and as many at first and last.
    let span = total / (kills + 2 * kills.div_ceil(FULL_ONE_OF) + 2);
    let mut flow = Flow::start(&setting.wspipe, dir, &broker, TCP, qos, (total, span))?;
    let mut random = Random::new(setting.seed, 100 + qos);
    let (mut silent, mut full, mut from) = (0, 0, 0);
    for kill in 0..kills {
        flow.feeder.allow(span);
        silent += u64::from(kill_one(&mut flow, from + random.below(span), &mut random)?);
        from += span;
        if kill % FULL_ONE_OF == FULL_ONE_OF - 1 {
            end_in_write(&mut flow, span, 1 + random.below(FULL_BYTES))?;
            full += 1;
            from += 2 * span;
        }
    }
    let last = flow.subscribe()?;
    let line = flow.finish(last)?;
    Ok(format!("{kills} kills ({silent} before anything was written), {full} writes cut by a limit: {line}"))
}

/// One subscriber's life: killed soon, or when `goal` records are there. Whether it wrote nothing.
fn kill_one(flow: &mut Flow, goal: u64, random: &mut Random) -> Result<bool, String> {
    let before = (flow.ledger.distinct, flow.ledger.doubled);
    let mut child = flow.subscribe()?;
    if random.below(EARLY_ONE_OF) == 0 {
        thread::sleep(Duration::from_micros(random.below(EARLY_MICROS)));
    } else {
        flow.wait_for(goal.max(before.0 + 1), &mut child)?;
        // Not always right after a write.
        thread::sleep(Duration::from_micros(random.below(3000)));
    }
    let status = child.kill()?;
    if status.signal() != Some(Signal::KILL.as_raw()) {
        return Err(format!("sub ended by itself before it was killed: {status}"));
    }
    flow.handle_ended()?;
    Ok(before == (flow.ledger.distinct, flow.ledger.doubled))
}

/// SIGKILL seldom comes in the middle of a write(2), which takes microseconds. So another life ends by a limit of the
/// file's size, so many bytes `more`, which leaves the same in the file: the beginning of a record.
fn end_in_write(flow: &mut Flow, span: u64, more: u64) -> Result<(), String> {
    flow.feeder.allow(span);
    let mut child = flow.subscribe()?;
    flow.wait_for(flow.ledger.distinct + 1, &mut child)?;
    let most = Some(flow.ledger.len()? + more);
    let limit = Rlimit { current: most, maximum: most };
    prlimit(Some(Pid::from_child(&child.0)), Resource::Fsize, limit)
        .map_err(|error| format!("prlimit: {error}"))?;
    // What comes now is beyond the limit, if what came before was not.
    flow.feeder.allow(span);
    flow.feeder.set_arrived(flow.ledger.distinct + 2 * span);
    let status = child.ended(STUCK)?;
    if status.code() != Some(23) {
        return Err(format!("sub whose output was full ended with {status}"));
    }
    flow.handle_ended()
}
