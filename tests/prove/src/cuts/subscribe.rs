//! `sub` through cuts, from a publisher directly at the broker.

use std::{
    collections::HashSet,
    fs::File,
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
    /// Something when its last line has come; its lines, once it has ended.
    last: mpsc::Receiver<()>,
    arrived: mpsc::Receiver<Arrivals>,
}

fn run(setting: &Setting, variant: Variant) -> Result<String, String> {
    let begun = Instant::now();
    let amount = Amount::of(setting);
    let scratch = Scratch::new(variant.name)?;
    let mut settings = "max_inflight_messages 100\n".to_owned();
    if variant.qos == "2" {
        settings.push_str("log_type debug\n");
    }
    let broker = Broker::start(&scratch.dir().join("broker"), &settings)?;
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
        let doubled = figures.doubled;
        let finished = finish(&mut stream, setting, amount, &mut figures).and_then(|()| {
            let doubled = figures.doubled - doubled;
            if variant.qos == "2" { by_the_broker(&broker, number, doubled) } else { Ok(()) }
        });
        if let Err(why) = finished {
            return Err(scratch.keep(&format!("client {number}: {why}")));
        }
    }
    let mut line = figures.line(variant.name, amount.lanes, begun);
    if variant.qos == "2" && figures.doubled > 0 {
        line.push_str(" (doubled: mosquitto sent PUBLISH again after PUBREL)");
    }
    Ok(line)
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
    let ((has_all, last), (done, arrived)) = (mpsc::channel(), mpsc::channel());
    let lines = amount.lines;
    thread::spawn(move || read_all(stdout, lines, &has_all, &done));
    Ok(Stream { lane, publisher, last, arrived })
}

/// To the end of stdout.
fn read_all(stdout: ChildStdout, lines: u64, has_all: &mpsc::Sender<()>, done: &mpsc::Sender<Arrivals>) {
    let mut arrivals = Arrivals::default();
    let mut input = BufReader::with_capacity(64 * 1024, stdout);
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
        let before = arrivals.next;
        arrivals.take(line.strip_suffix(b"\n").unwrap_or(&line));
        line.clear();
        if arrivals.next == lines && before < lines {
            let _ = has_all.send(());
        }
    }
    let _ = done.send(arrivals);
}

/// mosquitto 2.0.11 that is cut off twice forgets that a message is past PUBREL and sends its PUBLISH again, which
/// no receiver can tell from a new message (MQTT 5.0 section 4.3.3). Its log shows which; nothing else may double.
fn by_the_broker(broker: &Broker, number: usize, doubled: u64) -> Result<(), String> {
    if doubled == 0 {
        return Ok(());
    }
    let log = BufReader::new(File::open(broker.log()).map_err(|error| error.to_string())?);
    let topic = format!("'cuts/{number}'");
    let (mut released, mut again) = (HashSet::new(), 0);
    let mut client = String::new();
    for line in log.lines().map_while(Result::ok) {
        let Some((_, event)) = line.split_once(": ") else { continue };
        if let Some((to, what)) =
            event.strip_prefix("Sending PUBLISH to ").and_then(|rest| rest.split_once(" ("))
        {
            let mut fields = what.split(", ");
            let (dup, id) = (fields.next() == Some("d1"), fields.nth(2));
            if fields.next() == Some(&topic) {
                again += u64::from(id.is_some_and(|id| released.remove(id)) && dup);
                to.clone_into(&mut client);
            }
        } else if let Some((to, id)) =
            event.strip_prefix("Sending PUBREL to ").and_then(|rest| rest.split_once(" ("))
        {
            if to == client {
                released.insert(id.trim_end_matches(')').to_owned());
            }
        }
    }
    if doubled > again {
        return Err(format!(
            "{doubled} lines came twice at QoS 2, mosquitto sent {again} of them again after PUBREL"
        ));
    }
    Ok(())
}

fn finish(
    stream: &mut Stream,
    setting: &Setting,
    amount: Amount,
    figures: &mut Figures,
) -> Result<(), String> {
    let status = stream.publisher.ended(limit(setting))?;
    if !status.success() {
        return Err(format!("its publisher: {status}"));
    }
    // To its end, and where it stops too early, too.
    let has_all = stream.last.recv_timeout(limit(setting));
    if has_all == Err(mpsc::RecvTimeoutError::Timeout) {
        return Err("its lines do not come to an end".to_owned());
    }
    let pid = Pid::from_child(&stream.lane.child.0);
    kill_process(pid, Signal::TERM).map_err(|error| error.to_string())?;
    let ended = stream.lane.ended(Duration::from_secs(30))?;
    let arrivals = stream.arrived.recv_timeout(limit(setting));
    let arrivals = arrivals.map_err(|_| "its stdout does not end".to_owned())?;
    if let Some(why) = arrivals.wrong {
        return Err(why);
    }
    if arrivals.next != amount.lines {
        return Err(format!(
            "{} lines of {}, and then it ended: {}; it said {:?}",
            arrivals.next, amount.lines, ended.status, ended.stderr
        ));
    }
    if std::os::unix::process::ExitStatusExt::signal(&ended.status) != Some(Signal::TERM.as_raw()) {
        return Err(format!("{} in place of SIGTERM's own end", ended.status));
    }
    figures.lines += arrivals.next;
    figures.doubled += arrivals.doubled;
    figures.reconnects += ended.reconnects();
    figures.counts.add(&stream.lane.relay.counts());
    Ok(())
}
