//! `pub -l` through cuts, into a subscriber directly at the broker.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Seek, Write},
    process::{ChildStdout, Command, Stdio},
    sync::mpsc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{
    Amount, Figures,
    lane::{Lane, all_but_a_few, limit},
    lines::{self, Arrivals, WIRE, feed},
    side_by_side,
};
use crate::{
    Outcome, Setting,
    broker::Broker,
    child::Child,
    relay::{Plan, Way},
    scratch::Scratch,
};

/// What is the same for the lanes of a run.
#[derive(Clone, Copy)]
struct Variant {
    name: &'static str,
    scheme: &'static str,
    qos: &'static str,
    version: &'static str,
    stream: u64,
    /// After its cuts nobody is there any more, and it gives up.
    gives_up: bool,
}

impl Variant {
    /// Clean sessions: the broker forgets what was under way, at every cut.
    fn loses_session(&self) -> bool {
        self.version == "311"
    }

    /// It also forgets what it has not passed on before PUBREL, and that is not sent anew.
    fn may_lose(&self) -> bool {
        self.loses_session() && self.qos == "2"
    }
}

const VARIANTS: [Variant; 7] = [
    Variant { name: "pub-q1", scheme: "ws", qos: "1", version: "5", stream: 100, gives_up: false },
    Variant { name: "pub-q2", scheme: "ws", qos: "2", version: "5", stream: 200, gives_up: false },
    Variant { name: "pub-q1-tcp", scheme: "mqtt", qos: "1", version: "5", stream: 300, gives_up: false },
    Variant { name: "pub-q1-311", scheme: "ws", qos: "1", version: "311", stream: 400, gives_up: false },
    Variant { name: "pub-q2-311", scheme: "ws", qos: "2", version: "311", stream: 450, gives_up: false },
    Variant { name: "pub-q1-gives-up", scheme: "ws", qos: "1", version: "5", stream: 500, gives_up: true },
    Variant { name: "pub-q2-gives-up", scheme: "mqtt", qos: "2", version: "5", stream: 600, gives_up: true },
];

pub fn prove(setting: &Setting) -> Outcome {
    side_by_side(
        setting,
        &VARIANTS,
        |variant| variant.name,
        |setting, variant| Run::start(setting, variant).and_then(Run::finish),
    )
}

struct Run<'a> {
    setting: &'a Setting,
    variant: Variant,
    amount: Amount,
    lanes: Vec<Lane>,
    /// stdin of those that give up: what they have read of it can be seen.
    files: Vec<File>,
    subscriber: Subscriber,
    begun: Instant,
    broker: Broker,
    _scratch: Scratch,
}

impl<'a> Run<'a> {
    fn start(setting: &'a Setting, variant: Variant) -> Result<Run<'a>, String> {
        let begun = Instant::now();
        let mut amount = Amount::of(setting);
        if variant.gives_up || variant.loses_session() {
            amount = Amount { cuts: 3, lines: amount.lines.min(20_000), ..amount };
        }
        let scratch = Scratch::new(variant.name)?;
        let broker = Broker::start(&scratch.dir().join("broker"), "max_inflight_messages 100\n")?;
        let subscriber = Subscriber::start(setting, &broker, &scratch, variant.may_lose(), amount.lanes)?;
        let (mut lanes, mut files) = (Vec::new(), Vec::new());
        for number in 0..amount.lanes {
            let stdin = if variant.gives_up { Some(file_of(amount.lines, &scratch, number)?) } else { None };
            let mut lane = Self::lane(setting, variant, amount, &broker, number, stdin.as_ref())?;
            if let Some(pipe) = lane.child.0.stdin.take() {
                let progress = lane.relay.progress();
                let allowed = move || all_but_a_few(amount, progress.cuts());
                // It ends with its reader at the latest.
                drop(feed(pipe, amount.lines, 1, allowed));
            }
            files.extend(stdin);
            lanes.push(lane);
        }
        Ok(Run { setting, variant, amount, lanes, files, subscriber, begun, broker, _scratch: scratch })
    }

    fn lane(
        setting: &Setting,
        variant: Variant,
        amount: Amount,
        broker: &Broker,
        number: u64,
        stdin: Option<&File>,
    ) -> Result<Lane, String> {
        let websocket = variant.scheme == "ws";
        let plan = Plan {
            target: if websocket { broker.ws } else { broker.tcp },
            websocket,
            lines: Way::Up,
            bytes: amount.lines * WIRE,
            cuts: amount.cuts,
            rhythm: amount.rhythm,
            spare_first: false,
            gone_after: variant.gives_up,
        };
        let stdin = stdin.map(File::try_clone).transpose().map_err(|error| error.to_string())?;
        Lane::start(setting, plan, variant.stream + number, |command, port| {
            command.args(["pub", "-l", "-q", variant.qos, "-V", variant.version, "--retry-connect"]);
            command.args(["--ack-timeout", "3", "--connect-timeout", "3", "-t", &format!("cuts/{number}")]);
            command.arg(format!("{}://127.0.0.1:{port}", variant.scheme));
            if variant.may_lose() {
                // 3.1.1 has no Receive Maximum, and mosquitto 2.0.11 with `max_queued_messages 0` ends a connection
                // on which more than its `max_inflight_messages` are under way at QoS 2.
                command.args(["-M", "20"]);
            }
            if let Some(file) = stdin {
                command.args(["--max-retries", "2"]).stdin(file);
            }
        })
    }

    fn finish(mut self) -> Result<String, String> {
        let mut figures = Figures::default();
        let limit = limit(self.setting);
        let mut ended = Vec::new();
        for lane in &mut self.lanes {
            ended.push(lane.ended(limit)?);
            figures.counts.add(&lane.relay.counts());
        }
        let arrivals = self.subscriber.finish(self.setting, &self.broker)?;
        let (mut announced, mut unsent, mut unacknowledged, mut unconfirmed, mut missing) = (0, 0, 0, 0, 0);
        for (number, (ended, arrivals)) in ended.iter().zip(&arrivals).enumerate() {
            let at = |why: String| format!("client {number}: {why}");
            if let Some(why) = &arrivals.wrong {
                return Err(at(why.clone()));
            }
            let doubled = ended.said(" messages are sent anew") + ended.said(" message is sent anew");
            announced += doubled;
            // At QoS 1 the broker cannot tell the repetition in a session that it kept. What else comes twice is
            // announced.
            let of_session = self.variant.qos == "1" && !self.variant.loses_session();
            if !of_session && arrivals.doubled > doubled {
                return Err(at(format!("{} lines came twice, {doubled} announced", arrivals.doubled)));
            }
            match self.files.get_mut(number) {
                Some(file) => {
                    let (not_sent, waiting) = account(ended, file, arrivals).map_err(at)?;
                    unsent += not_sent;
                    unacknowledged += waiting;
                }
                None => {
                    let said = ended.said(" not confirmed");
                    ended.check(if said > 0 { 55 } else { 0 }).map_err(at)?;
                    if arrivals.missing > said {
                        return Err(at(format!("{} lines are missing, {said} said so", arrivals.missing)));
                    }
                    unconfirmed += said;
                    missing += arrivals.missing;
                    if arrivals.next != self.amount.lines {
                        return Err(at(format!(
                            "status 0, but {} lines of {}",
                            arrivals.next, self.amount.lines
                        )));
                    }
                }
            }
            figures.lines += arrivals.next - arrivals.missing;
            figures.doubled += arrivals.doubled;
            figures.reconnects += ended.reconnects();
        }
        if self.variant.gives_up && unsent + unacknowledged == 0 {
            return Err("none of them gave up with something left".to_owned());
        }
        let mut line = figures.line(self.variant.name, self.amount.lanes, self.begun);
        if self.variant.gives_up {
            line +=
                &format!(", gave up with {unsent} not sent and {unacknowledged} not acknowledged, as said");
        } else if self.variant.loses_session() {
            line += &format!(", {announced} announced as perhaps doubled");
        }
        if unconfirmed > 0 {
            line += &format!(", {missing} missing of {unconfirmed} said not confirmed");
        }
        Ok(line)
    }
}

/// All lines, to be read from the beginning.
fn file_of(lines: u64, scratch: &Scratch, number: u64) -> Result<File, String> {
    let path = scratch.dir().join(format!("lines-{number}"));
    let (mut all, mut scratch) = (Vec::new(), Vec::new());
    for n in 0..lines {
        lines::line(n, 1, &mut scratch);
        all.extend_from_slice(&scratch);
        all.push(b'\n');
    }
    std::fs::write(&path, all).and_then(|()| File::open(&path)).map_err(|error| error.to_string())
}

/// One that gave up: what it said against what there is. Not sent, and not acknowledged.
fn account(ended: &super::lane::Ended, file: &mut File, arrivals: &Arrivals) -> Result<(u64, u64), String> {
    ended.check(55)?;
    let (not_sent, waiting) = (ended.said(" not sent"), ended.said(" not acknowledged"));
    // The offset is the one of the program that read.
    let offset = file.stream_position().and_then(|offset| file.rewind().map(|()| offset));
    let mut read = Vec::new();
    let offset = offset.map_err(|error| error.to_string())?;
    file.take(offset).read_to_end(&mut read).map_err(|error| error.to_string())?;
    let whole = read.iter().filter(|byte| **byte == b'\n').count() as u64;
    let lines = whole + u64::from(read.last().is_some_and(|byte| *byte != b'\n'));
    let (least, most) = (lines.saturating_sub(not_sent + waiting), lines.saturating_sub(not_sent));
    if !(least..=most).contains(&arrivals.next) {
        return Err(format!(
            "{lines} lines read, {not_sent} said not sent, {waiting} said not acknowledged, but {} are there",
            arrivals.next
        ));
    }
    Ok((not_sent, waiting))
}

/// `wspipe sub` directly at the broker, and a thread that looks at every line.
struct Subscriber {
    /// Killed when all is there.
    _child: Child,
    reader: JoinHandle<Vec<Arrivals>>,
    end: mpsc::Receiver<()>,
}

const END: &str = "cuts/end";

impl Subscriber {
    fn start(
        setting: &Setting,
        broker: &Broker,
        scratch: &Scratch,
        gaps: bool,
        lanes: u64,
    ) -> Result<Subscriber, String> {
        let ready = scratch.dir().join("ready");
        let mut command = Command::new(&setting.wspipe);
        // QoS 1 always: nothing cuts this connection, and at QoS 2 mosquitto falls behind.
        command.args(["sub", "-v", "-t", "cuts/#", "-q", "1", "-V", "5", "--ready"]).arg(&ready);
        command.arg(format!("mqtt://127.0.0.1:{}", broker.tcp));
        let mut child = Child::start(command.stdin(Stdio::null()).stdout(Stdio::piped()))?;
        let begun = Instant::now();
        while std::fs::read(&ready).is_ok_and(|text| text.is_empty()) || !ready.exists() {
            if begun.elapsed() > Duration::from_secs(20) {
                return Err("the subscription does not stand".to_owned());
            }
            thread::sleep(Duration::from_millis(2));
        }
        let stdout = child.0.stdout.take().ok_or("no stdout")?;
        let (done, end) = mpsc::channel();
        let reader = thread::spawn(move || {
            let arrivals = read_all(stdout, lanes, gaps);
            let _ = done.send(());
            arrivals
        });
        Ok(Subscriber { _child: child, reader, end })
    }

    /// A last message comes behind all others.
    fn finish(self, setting: &Setting, broker: &Broker) -> Result<Vec<Arrivals>, String> {
        let mut command = Command::new(&setting.wspipe);
        command.args(["pub", "-t", END, "-m", "end", "-q", "2"]);
        command.arg(format!("mqtt://127.0.0.1:{}", broker.tcp)).stdin(Stdio::null());
        let status = Child::start(&mut command)?.ended(Duration::from_secs(60))?;
        if !status.success() {
            return Err(format!("the last message: {status}"));
        }
        self.end.recv_timeout(limit(setting)).map_err(|_| "the last message does not come".to_owned())?;
        self.reader.join().map_err(|_| "the reader has panicked".to_owned())
    }
}

/// Until the end is announced.
fn read_all(stdout: ChildStdout, lanes: u64, gaps: bool) -> Vec<Arrivals> {
    let mut arrivals: Vec<Arrivals> = (0..lanes).map(|_| Arrivals { gaps, ..Arrivals::default() }).collect();
    let mut input = BufReader::with_capacity(256 * 1024, stdout);
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        if text.starts_with(END.as_bytes()) {
            break;
        }
        let rest = text.strip_prefix(b"cuts/").unwrap_or_default();
        let space = rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
        let lane = std::str::from_utf8(&rest[..space]).ok().and_then(|text| text.parse::<usize>().ok());
        match lane.and_then(|lane| arrivals.get_mut(lane)) {
            Some(of_lane) => of_lane.take(rest.get(space + 1..).unwrap_or_default()),
            None => {
                let _ = writeln!(std::io::stderr(), "prove: a line that nobody published");
                arrivals[0].wrong.get_or_insert("a line that nobody published".to_owned());
            }
        }
        line.clear();
    }
    arrivals
}
