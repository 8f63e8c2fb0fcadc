//! SIGKILL at every system call between the first one for a connection and the end; then the same command again.
//!
//! strace delivers the signal as the call begins, before it does anything: at each of them in turn that is every
//! state in which the kernel can be left between two calls.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    Outcome, Setting,
    peer::{
        attend::{Attended, Broker},
        exchange::{Exchange, Files, MESSAGES, end, records},
        sweep::tally,
    },
    scratch::Scratch,
};

const AT_ONCE: usize = 6;
/// Runs for a place that is not reached.
const ATTEMPTS: usize = 6;

/// The proof.
pub fn syscalls(setting: &Setting) -> Outcome {
    if let Err(why) = traces() {
        return Ok(vec![format!("NOT POSSIBLE here: {why}")]);
    }
    let scratch = Scratch::new("syscalls")?;
    let (mut all, mut calls) = (0, BTreeSet::new());
    for n in 0..32_u8 {
        let bit = |place: u8| n >> place & 1 == 1;
        let (subscribes, qos, websocket) = (bit(0), 1 + u8::from(bit(1)), bit(2));
        let (stepwise, v5) = (bit(3), !bit(4));
        if v5 || setting.long {
            let exchange = Exchange { subscribes, qos, websocket, v5, forgets: false, stepwise };
            let (kills, places) = sweep(setting, exchange, &scratch)?;
            all += kills;
            calls.extend(places.into_iter().map(|(call, _)| call));
        }
    }
    let calls = Vec::from_iter(calls).join(" ");
    Ok(vec![format!("{all} kills in all, {MESSAGES} messages in each run, at calls of {calls}")])
}

/// Whether strace is there and may trace and kill.
fn traces() -> Result<(), String> {
    let arguments = ["-o", "/dev/null", "-e", "inject=exit_group:signal=KILL:when=1", "true"];
    let run = Command::new("strace").args(arguments).stdin(Stdio::null()).output();
    let run = run.map_err(|error| format!("strace does not start: {error}"))?;
    match run.status.signal() {
        Some(9) => Ok(()),
        _ => Err(format!("strace cannot trace: {}", String::from_utf8_lossy(&run.stderr).trim())),
    }
}

/// A system call, and which of its kind.
type Place = (String, usize);

fn sweep(setting: &Setting, exchange: Exchange, scratch: &Scratch) -> Result<(usize, Vec<Place>), String> {
    let name = exchange.name();
    let place = |error: String| format!("{name}: {error}");
    let dir = scratch.slot(0)?;
    let log = dir.join("trace");
    let whole = run(setting, exchange, &["-o", &log.display().to_string()], &dir).map_err(place)?;
    if whole.status.code() != Some(0) {
        return Err(place(format!("under strace: {}", end(&whole))));
    }
    let places = places(&fs::read_to_string(&log).map_err(|error| error.to_string())?);
    let tally = tally(&places, AT_ONCE, scratch, |(call, when), dir| {
        let inject = format!("inject={call}:signal=KILL:when={when}");
        let arguments = ["-e", &format!("trace={call}"), "-e", &inject, "-o", "/dev/null"];
        let once =
            || run(setting, exchange, &arguments, dir).map_err(|error| format!("{call} {when}: {error}"));
        // How much comes at once is not the same each time, and with it how many calls there are.
        let mut seen = once()?;
        for _ in 1..ATTEMPTS {
            if seen.status.signal() == Some(9) {
                break;
            }
            seen = once()?;
        }
        Ok(end(&seen))
    })
    .map_err(place)?;
    let killed = tally.get("signal 9").copied().unwrap_or(0);
    if killed * 10 < places.len() * 9 {
        return Err(place(format!("{killed} of {} places were reached", places.len())));
    }
    println!("{name}: {killed} kills at {} places", places.len());
    Ok((killed, places))
}

/// The calls of a trace from the first socket on.
fn places(trace: &str) -> Vec<Place> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut places, mut begun) = (Vec::new(), false);
    for line in trace.lines() {
        let Some((call, _)) = line.split_once('(') else { continue };
        // Ends and signals are told of, too: `+++ exited with 0 +++`.
        if call.is_empty() || !call.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            continue;
        }
        let count = seen.entry(call).or_insert(0);
        *count += 1;
        begun |= call == "socket";
        if begun {
            places.push((call.to_owned(), *count));
        }
    }
    places
}

/// A run under strace, and if it was killed, a second one without: what holds after both.
fn run(setting: &Setting, exchange: Exchange, strace: &[&str], dir: &Path) -> Result<Attended, String> {
    let files = Files::new(dir)?;
    let mut broker = exchange.broker()?;
    let mut arguments = exchange.arguments(&broker.url());
    if exchange.subscribes {
        arguments.extend(["-c", "-i", "killed"].map(str::to_owned));
    }
    let is_output = |payload: &[u8]| records(&files.output).iter().any(|record| record == payload);
    let mut first = Command::new("strace");
    first.arg("-qq").args(strace).arg(&setting.wspipe).args(&arguments);
    if exchange.subscribes {
        first.args(["-C", &MESSAGES.to_string()]);
    }
    let mut child = files.start(&mut first)?;
    let seen = broker.attend(&mut child, None, false, &is_output)?;
    let killed = seen.status.signal() == Some(9);
    if !killed && seen.status.code() != Some(0) {
        return Err(format!("{}: {}", end(&seen), files.errors()));
    }
    if exchange.subscribes {
        exchange.check_output(&broker.model, &files.output, usize::from(killed), killed)?;
    }
    if killed {
        again(setting, exchange, &arguments, &mut broker, &files)?;
    }
    if let Some(wrong) = broker.model.wrong.first() {
        return Err(wrong.clone());
    }
    Ok(seen)
}

/// The command that was killed, to its end.
fn again(
    setting: &Setting,
    exchange: Exchange,
    arguments: &[String],
    broker: &mut Broker,
    files: &Files,
) -> Result<(), String> {
    let is_output = |payload: &[u8]| records(&files.output).iter().any(|record| record == payload);
    if !exchange.subscribes {
        // A new process has a session of its own; what arrived before was with the other one.
        broker.model.acknowledged.clear();
    }
    broker.stops = exchange.subscribes;
    let mut second = Command::new(&setting.wspipe);
    let mut child = files.start(second.args(arguments))?;
    let seen = broker.attend(&mut child, None, false, &is_output)?;
    let said = |error: String| format!("{error}; again: {}, {:?}", end(&seen), files.errors());
    if exchange.subscribes {
        exchange.check_output(&broker.model, &files.output, 1, true).map_err(said)?;
        let ended = seen.status.signal() == Some(15) && broker.model.is_through();
        return if ended { Ok(()) } else { Err(said("not all is through".to_owned())) };
    }
    match seen.status.code() == Some(0) && broker.model.acknowledged.len() == MESSAGES {
        true => Ok(()),
        false => Err(said("not all is confirmed".to_owned())),
    }
}
