//! `sub` through cuts, from a publisher directly at the broker.

use std::{
    io::{BufRead, BufReader},
    process::{ChildStdout, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{
    Amount, Figures,
    lane::{Lane, limit, not_far_ahead},
    lines::{Arrivals, WIRE, feed},
    side_by_side,
};
use crate::{
    Outcome, Setting,
    broker::Broker,
    child::Child,
    relay::{Plan, Way},
    scratch::Scratch,
};

#[derive(Clone, Copy)]
struct Variant {
    name: &'static str,
    scheme: &'static str,
    qos: &'static str,
    stream: u64,
}

const VARIANTS: [Variant; 3] = [
    Variant { name: "sub-q1", scheme: "ws", qos: "1", stream: 700 },
    Variant { name: "sub-q2", scheme: "ws", qos: "2", stream: 800 },
    Variant { name: "sub-q2-tcp", scheme: "mqtt", qos: "2", stream: 900 },
];

pub fn prove(setting: &Setting) -> Outcome {
    side_by_side(setting, &VARIANTS, |variant| variant.name, run)
}

/// A subscriber and its publisher.
struct Stream {
    lane: Lane,
    publisher: Child,
    /// Its lines, once they are all there or it has ended.
    arrived: mpsc::Receiver<Arrivals>,
}

fn run(setting: &Setting, variant: Variant) -> Result<String, String> {
    let begun = Instant::now();
    let amount = Amount::of(setting);
    let scratch = Scratch::new(variant.name)?;
    let broker = Broker::start(&scratch.dir().join("broker"), "max_inflight_messages 100\n")?;
    // All at once: the cuts come while they connect and subscribe, too.
    let lanes: Result<Vec<Lane>, String> = (0..amount.lanes)
        .map(|number| subscriber(setting, variant, amount, &broker, &scratch, number))
        .collect();
    let mut streams = Vec::new();
    for (number, lane) in (0..).zip(lanes?) {
        streams.push(publish_to(lane, setting, variant, amount, &broker, &scratch, number)?);
    }
    let mut figures = Figures::default();
    for (number, mut stream) in streams.into_iter().enumerate() {
        let at = |why: String| format!("client {number}: {why}");
        finish(&mut stream, setting, variant, amount, &mut figures).map_err(at)?;
    }
    Ok(figures.line(variant.name, amount.lanes, begun))
}

fn subscriber(
    setting: &Setting,
    variant: Variant,
    amount: Amount,
    broker: &Broker,
    scratch: &Scratch,
    number: u64,
) -> Result<Lane, String> {
    let websocket = variant.scheme == "ws";
    let plan = Plan {
        target: if websocket { broker.ws } else { broker.tcp },
        websocket,
        lines: Way::Down,
        bytes: amount.lines * WIRE,
        cuts: amount.cuts,
        rhythm: amount.rhythm,
        spare_first: false,
        gone_after: false,
    };
    Lane::start(setting, plan, variant.stream + number, |command, port| {
        command.args([
            "sub",
            "-q",
            variant.qos,
            "-V",
            "5",
            "-t",
            &format!("cuts/{number}"),
            "--retry-connect",
        ]);
        command.args(["-k", "2", "--ack-timeout", "3", "--connect-timeout", "3"]);
        command.arg("--ready").arg(ready(scratch, number)).stdin(Stdio::null());
        if variant.qos == "2" {
            command.args(["-C", &amount.lines.to_string()]);
        }
        command.arg(format!("{}://127.0.0.1:{port}", variant.scheme));
    })
}

fn ready(scratch: &Scratch, number: u64) -> std::path::PathBuf {
    scratch.dir().join(format!("ready-{number}"))
}

/// Waits for the subscription, then publishes to it.
fn publish_to(
    mut lane: Lane,
    setting: &Setting,
    variant: Variant,
    amount: Amount,
    broker: &Broker,
    scratch: &Scratch,
    number: u64,
) -> Result<Stream, String> {
    let begun = Instant::now();
    while std::fs::read(ready(scratch, number)).map_or(true, |text| text.is_empty()) {
        if begun.elapsed() > limit(setting) {
            return Err(format!("the subscription of client {number} does not stand"));
        }
        thread::sleep(Duration::from_millis(2));
    }
    let mut command = Command::new(&setting.wspipe);
    command.args(["pub", "-l", "-q", variant.qos, "-t", &format!("cuts/{number}")]);
    command.arg(format!("mqtt://127.0.0.1:{}", broker.tcp));
    let mut publisher = Child::start(command.stdin(Stdio::piped()).stdout(Stdio::null()))?;
    let progress = lane.relay.progress();
    let stdin = publisher.0.stdin.take().ok_or("no stdin")?;
    drop(feed(stdin, amount.lines, 1, move || not_far_ahead(amount, progress.cuts())));
    let stdout = lane.child.0.stdout.take().ok_or("no stdout")?;
    let (done, arrived) = mpsc::channel();
    let lines = amount.lines;
    let once = variant.qos == "2";
    thread::spawn(move || read_all(stdout, lines, once, &done));
    Ok(Stream { lane, publisher, arrived })
}

/// To the end of stdout. The arrivals are told when the last line has come, or, where every line is to come `once`,
/// at the end.
fn read_all(stdout: ChildStdout, lines: u64, once: bool, done: &mpsc::Sender<Arrivals>) {
    let mut arrivals = Arrivals::default();
    let mut input = BufReader::with_capacity(64 * 1024, stdout);
    let (mut line, mut told) = (Vec::new(), false);
    while input.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
        arrivals.take(line.strip_suffix(b"\n").unwrap_or(&line));
        line.clear();
        if arrivals.next == lines && !once && !std::mem::replace(&mut told, true) {
            let _ = done.send(std::mem::take(&mut arrivals));
        }
    }
    if !told {
        let _ = done.send(arrivals);
    }
}

fn finish(
    stream: &mut Stream,
    setting: &Setting,
    variant: Variant,
    amount: Amount,
    figures: &mut Figures,
) -> Result<(), String> {
    let status = stream.publisher.ended(limit(setting))?;
    if !status.success() {
        return Err(format!("its publisher: {status}"));
    }
    let arrivals = stream.arrived.recv_timeout(limit(setting));
    let arrivals = arrivals.map_err(|_| "its lines do not come to an end".to_owned())?;
    if let Some(why) = arrivals.wrong {
        return Err(why);
    }
    if arrivals.next != amount.lines {
        let ended = stream.lane.ended(Duration::from_secs(30))?;
        return Err(format!(
            "{} lines of {}, {} came twice, and then it ended: {}; it said {:?}",
            arrivals.next, amount.lines, arrivals.doubled, ended.status, ended.stderr
        ));
    }
    let ended = match variant.qos {
        "2" => {
            let ended = stream.lane.ended(limit(setting))?;
            ended.check(0)?;
            if arrivals.doubled > 0 {
                return Err(format!("{} lines came twice at QoS 2", arrivals.doubled));
            }
            ended
        }
        _ => {
            let pid = Pid::from_child(&stream.lane.child.0);
            kill_process(pid, Signal::TERM).map_err(|error| error.to_string())?;
            let ended = stream.lane.ended(Duration::from_secs(30))?;
            let by = std::os::unix::process::ExitStatusExt::signal(&ended.status);
            if by != Some(Signal::TERM.as_raw()) {
                return Err(format!("{} in place of SIGTERM's own end", ended.status));
            }
            ended
        }
    };
    figures.lines += arrivals.next;
    figures.doubled += arrivals.doubled;
    figures.reconnects += ended.reconnects();
    figures.counts.add(&stream.lane.relay.counts());
    Ok(())
}
