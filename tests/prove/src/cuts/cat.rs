//! `cat --reconnect` through cuts, to a server that counts.

use std::{
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::{
    Amount, Figures,
    lane::{Ended, Lane, evenly, limit},
    lines::{WIRE, feed, number},
};
use crate::{
    Outcome, Setting,
    relay::{Plan, Way},
};

/// What came, over all connections.
#[derive(Default)]
struct Seen {
    numbers: Vec<bool>,
    wrong: Option<String>,
}

impl Seen {
    fn count(&self) -> u64 {
        self.numbers.iter().filter(|seen| **seen).count() as u64
    }

    fn fail(&mut self, why: String) {
        self.wrong.get_or_insert(why);
    }
}

/// A WebSocket server that reads, answers Ping and Close, and keeps account.
struct Server {
    port: u16,
    seen: Arc<Mutex<Seen>>,
    /// Connections being read.
    stop: Arc<AtomicBool>,
}

impl Server {
    fn start(lines: u64, bulk: u64) -> Result<Server, String> {
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
        let port = listener.local_addr().map_err(|error| error.to_string())?.port();
        let seen = Arc::new(Mutex::new(Seen { numbers: vec![false; lines as usize], wrong: None }));
        let stop = Arc::new(AtomicBool::new(false));
        let (shared, stopped) = (Arc::clone(&seen), Arc::clone(&stop));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream.filter_running(&stopped) else { break };
                let seen = Arc::clone(&shared);
                thread::spawn(move || read_all(stream, bulk, &seen));
            }
        });
        Ok(Server { port, seen, stop })
    }
}

/// `Err` also where the owner has gone.
trait FilterRunning: Sized {
    fn filter_running(self, stop: &AtomicBool) -> Self;
}

impl FilterRunning for std::io::Result<TcpStream> {
    fn filter_running(self, stop: &AtomicBool) -> Self {
        match stop.load(Ordering::Relaxed) {
            true => Err(std::io::ErrorKind::ConnectionAborted.into()),
            false => self,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // It wakes up, and ends.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// One connection: the lines have to come in order.
fn read_all(stream: TcpStream, bulk: u64, seen: &Mutex<Seen>) {
    let _ = stream.set_nodelay(true);
    let _ = stream.set_read_timeout(Some(Duration::from_secs(60)));
    let Ok(mut socket) = tungstenite::accept(stream) else { return };
    let (mut last, mut scratch) = (None, Vec::new());
    while let Ok(message) = socket.read() {
        let tungstenite::Message::Text(text) = message else { continue };
        let Ok(mut seen) = seen.lock() else { return };
        match number(text.as_bytes(), bulk, &mut scratch) {
            Err(why) => seen.fail(why),
            Ok(n) if last.is_some_and(|last| last >= n) => seen.fail(format!("line {n} behind {last:?}")),
            Ok(n) => {
                last = Some(n);
                match seen.numbers.get_mut(n as usize) {
                    Some(place @ false) => *place = true,
                    Some(true) => seen.fail(format!("line {n} came twice")),
                    None => seen.fail(format!("line {n} was never sent")),
                }
            }
        }
    }
}

/// What it said about its input, against what the server has.
#[derive(Default)]
struct Account {
    read: u64,
    seen: u64,
    not_sent: u64,
    unconfirmed: u64,
    cut_off: u64,
    zeros: u64,
}

pub fn prove(setting: &Setting) -> Outcome {
    let begun = Instant::now();
    let amount = Amount::of(setting);
    let mut lanes = Vec::new();
    for number in 0..amount.lanes {
        lanes.push(start(setting, amount, number)?);
    }
    let (mut figures, mut all) = (Figures::default(), Account::default());
    for (number, (lane, server, fed)) in lanes.iter_mut().enumerate() {
        let at = |why: String| format!("client {number}: {why}");
        let ended = lane.ended(limit(setting)).map_err(at)?;
        // One that waits for the last cut would not see the end of its reader.
        let written = fed.take().map_or(0, written);
        figures.counts.add(&lane.relay.counts());
        figures.reconnects += ended.reconnects();
        if written != amount.lines {
            let last = ended.stderr.last().map_or("nothing", |line| line);
            return Err(at(format!("it ended after {written} lines of stdin; it said last: {last}")));
        }
        check(&ended, server, amount, &mut all).map_err(at)?;
        if is_idle(number as u64) && !ended.status.success() {
            return Err(at(format!("{} after cuts that found nothing to cut", ended.status)));
        }
    }
    figures.lines = all.read;
    Ok(vec![
        figures.line("cat", amount.lanes, begun),
        format!(
            "cat: of {} lines {} are at the server; said: {} confirmed, {} sent but not confirmed, {} cut off, {} not \
             sent; {} of {} clients ended with 0",
            all.read,
            all.seen,
            all.read - all.not_sent - all.unconfirmed - all.cut_off,
            all.unconfirmed,
            all.cut_off,
            all.not_sent,
            all.zeros,
            amount.lanes
        ),
    ])
}

/// What was written to one that has ended.
fn written(fed: thread::JoinHandle<u64>) -> u64 {
    let by = Instant::now() + Duration::from_secs(5);
    while !fed.is_finished() && Instant::now() < by {
        thread::sleep(Duration::from_millis(2));
    }
    if fed.is_finished() { fed.join().unwrap_or_default() } else { 0 }
}

type Started = (Lane, Server, Option<thread::JoinHandle<u64>>);

fn start(setting: &Setting, amount: Amount, number: u64) -> Result<Started, String> {
    // Some have more between two cuts than the buffers of the kernel take (3 MB on loopback), in messages of up to
    // 200 kB.
    let bulk = if number % 4 == 1 { 300 } else { 1 };
    let server = Server::start(amount.lines, bulk)?;
    let plan = Plan {
        target: server.port,
        websocket: true,
        lines: Way::Up,
        // The bulk is not to get through before it is cut.
        bytes: amount.lines * WIRE * bulk.div_ceil(4),
        cuts: amount.cuts,
        rhythm: amount.rhythm,
        // `cat` tries again only where it was connected before.
        spare_first: true,
        gone_after: false,
    };
    let mut lane = Lane::start(setting, plan, 1000 + number, |command, port| {
        command.args(["cat", "--reconnect", "--ping-interval", "1", "--ping-timeout", "2", "-w", "0.3"]);
        command.args(["--connect-timeout", "3"]).arg(format!("ws://127.0.0.1:{port}/"));
    })?;
    let stdin = lane.child.0.stdin.take().ok_or("no stdin")?;
    let progress = lane.relay.progress();
    // And some say nothing before the cuts are over: theirs has to be status 0.
    let idle = is_idle(number);
    let fed = feed(stdin, amount.lines, bulk, move || match idle && !progress.is_settled() {
        true => 0,
        false => evenly(amount, progress.cuts()),
    });
    Ok((lane, server, Some(fed)))
}

fn is_idle(number: u64) -> bool {
    number % 4 == 3
}

fn check(ended: &Ended, server: &Server, amount: Amount, all: &mut Account) -> Result<(), String> {
    let not_sent = ended.said(" not sent");
    let unconfirmed = ended.said(" sent but not confirmed");
    let cut_off = ended.said(" cut off in the middle");
    let short = not_sent + unconfirmed + cut_off;
    ended.check(if short > 0 { 55 } else { 0 })?;
    let seen = server.seen.lock().map_err(|_| "a connection's thread has panicked")?;
    if let Some(why) = &seen.wrong {
        return Err(why.clone());
    }
    let here = seen.count();
    let (least, most) = (amount.lines.saturating_sub(short), amount.lines.saturating_sub(not_sent + cut_off));
    if !(least..=most).contains(&here) {
        return Err(format!(
            "{here} lines of {} are there; said: {not_sent} not sent, {unconfirmed} sent but not confirmed, \
             {cut_off} cut off",
            amount.lines
        ));
    }
    all.read += amount.lines;
    all.seen += here;
    all.not_sent += not_sent;
    all.unconfirmed += unconfirmed;
    all.cut_off += cut_off;
    all.zeros += u64::from(short == 0);
    Ok(())
}
