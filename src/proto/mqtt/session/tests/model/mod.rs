//! The session against a model of a broker, in virtual time: connections that break at any byte, old ones
//! that still deliver, sessions that the broker loses, and every order of events that TCP allows.
//!
//! `WSPIPE_MODEL_OPERATIONS=10000000 cargo test --release --lib model -- --nocapture` runs so many
//! operations; `WSPIPE_MODEL_SEED=N cargo test --lib model` runs one seed, and prints what happened where it
//! fails.
//!
//! ```text
//! operations -> world -> client (the owner of the real session) -> wire -> bytes -> broker
//!                  ^                                                                   |
//!                  +---------------------------- books <-------------------------------+
//! ```

mod books;
mod broker;
mod client;
mod operations;
mod packets;
mod wire;
mod world;

use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Instant,
};

use super::V311;
use books::Tally;
use operations::{Operation, Setup};
use packets::Check;
use world::World;

/// Operations where no number is asked for.
const QUICK: u64 = 250_000;
/// Tries to leave something out of what fails.
const SHRINKS: usize = 3000;

/// One life; the trace where it is wanted.
fn live(setup: &Setup, operations: &[Operation], trace: &mut Option<Vec<String>>) -> Check<Tally> {
    let mut world = World::new(setup, trace.is_some());
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        operations.iter().try_for_each(|operation| world.apply(*operation))?;
        world.settle()
    }));
    if let (Some(all), Some(lines)) = (trace.as_mut(), world.trace.take()) {
        all.extend(lines);
    }
    outcome.unwrap_or_else(|_| Err("a panic".to_owned()))?;
    Ok(Tally { operations: operations.len() as u64, lives: 1, ..world.books.tally })
}

/// Leaves out, or makes smaller, what the failure does not need.
fn shrink(setup: &Setup, mut operations: Vec<Operation>) -> Vec<Operation> {
    let mut tries = 0;
    let mut fails = |operations: &[Operation]| {
        tries += 1;
        tries <= SHRINKS && live(setup, operations, &mut None).is_err()
    };
    let mut size = operations.len() / 2;
    while size > 0 {
        let (mut start, before) = (0, operations.len());
        while start < operations.len() {
            let mut fewer = operations.clone();
            fewer.drain(start..(start + size).min(operations.len()));
            if fails(&fewer) {
                operations = fewer;
            } else {
                start += size;
            }
        }
        // Single ones are tried until none of them can go.
        size = if size == 1 && operations.len() < before { 1 } else { size / 2 };
    }
    for n in 0..operations.len() {
        while let Some(smaller) = operations[n].smaller() {
            let mut less = operations.clone();
            less[n] = smaller;
            if less == operations || !fails(&less) {
                break;
            }
            operations = less;
        }
    }
    operations
}

/// What failed, in as few steps as were found.
fn report(setup: &Setup, operations: Vec<Operation>, why: &str) -> String {
    let all = operations.len();
    let least = shrink(setup, operations);
    let mut trace = Some(Vec::new());
    let last = live(setup, &least, &mut trace).err().unwrap_or_default();
    let lines = trace.unwrap_or_default().join("\n");
    format!(
        "seed {}: {why}\n{setup:?}\n{} of {all} operations are enough:\n{lines}\n=> {last}\n\
         again: WSPIPE_MODEL_SEED={} cargo test --lib model",
        setup.seed,
        least.len(),
        setup.seed
    )
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text}: a number, please")))
}

#[test]
fn lives_in_virtual_time() {
    let wanted = number("WSPIPE_MODEL_OPERATIONS").unwrap_or(QUICK);
    let only = number("WSPIPE_MODEL_SEED");
    let (begun, mut tally) = (Instant::now(), Tally::default());
    for seed in only.unwrap_or(1).. {
        let (setup, operations) = Setup::draw(seed);
        match live(&setup, &operations, &mut None) {
            Ok(one) => tally.add(&one),
            Err(why) => panic!("after {} operations, {}", tally.operations, report(&setup, operations, &why)),
        }
        if only.is_some() || tally.operations >= wanted {
            break;
        }
    }
    println!("{:.1} s: {tally:#?}", begun.elapsed().as_secs_f64());
}

#[test]
fn all_packet_identifiers_are_under_way_at_once() {
    let (drawn, _) = Setup::draw(1);
    let setup = Setup { version: V311, max_inflight: 65_535, receive_maximum: 65_535, clean: false, ..drawn };
    for qos in [1, 2] {
        let publish = Operation::Publish { qos, topic: 0, alias: 0, size: 0, count: 70_000 };
        let inject = Operation::Inject { qos, topic: 0, size: 0, count: 70_000 };
        // The out-buffer holds less than all of them.
        let mut operations =
            vec![Operation::Connect, Operation::Flow, Operation::Subscribe(0), Operation::Flow, inject];
        operations.extend([publish, Operation::Kernel(u32::MAX)].repeat(12));
        operations.extend([
            Operation::Up(500_000),
            Operation::Cut(100_000),
            Operation::Connect,
            Operation::Flow,
        ]);
        let tally = live(&setup, &operations, &mut None).unwrap();
        assert_eq!((tally.most_in_flight, tally.received[usize::from(qos)]), (65_535, 70_000));
    }
}
