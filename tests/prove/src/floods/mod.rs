//! Floods of what a peer may send, and a stdout that nobody reads: memory and time stay bounded.

mod measure;
mod stall;
mod table;

use std::{
    io,
    net::{TcpListener, TcpStream},
    path::Path,
    process::ExitStatus,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use self::measure::{Measured, Usage};
use crate::{
    Outcome, Setting,
    peer::{Wire, frame, packet},
    scratch::Scratch,
};

/// How long a flood may take.
const LIMIT: Duration = Duration::from_secs(240);
/// What any of them may cost when it is over: so much of the time, with one step of the account more.
const IDLE_ONE_OF: u32 = 20;
const STEP: Duration = Duration::from_millis(10);

/// The status of `time` where SIGTERM has ended what it ran.
const TERMINATED: i32 = 128 + 15;

/// How it is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It goes on, until SIGTERM.
    Alive,
    /// By itself, with this status.
    Status(i32),
}

struct Flood {
    name: &'static str,
    /// `sub`, or `cat`.
    arguments: Vec<String>,
    websocket: bool,
    /// CONNACK, and what follows the identifier in SUBACK; `None` is the usual.
    connack: Option<Vec<u8>>,
    suback: Option<Vec<u8>>,
    /// Sent once, again and again, and once.
    first: Vec<u8>,
    unit: Vec<u8>,
    last: Vec<u8>,
    /// How often `unit` is sent.
    times: u64,
    /// Messages, frames or packets in a unit, for the figures.
    each: u64,
    /// What it sends is read only when it can send no more.
    reads: bool,
    end: End,
    /// The largest resident set, in KiB, and why it may be more than usual.
    most: u64,
    why: &'static str,
}

/// The proof.
pub fn floods(setting: &Setting) -> Outcome {
    let scratch = Scratch::new("floods")?;
    println!("measured by GNU time: {}", measure::check(scratch.dir())?);
    let floods = table::floods(setting);
    let count = floods.len() + stall::STALLS.len();
    let mut wrong = Vec::new();
    thread::scope(|scope| {
        // These only wait.
        let stalls: Vec<_> =
            stall::STALLS.iter().map(|&(name, run)| (name, scope.spawn(move || run(setting)))).collect();
        for flood in &floods {
            tell(flood.name, flood.run(setting, scratch.dir()), &mut wrong);
        }
        for (name, stall) in stalls {
            let panicked = |_| Err("a panic".to_owned());
            tell(name, stall.join().unwrap_or_else(panicked), &mut wrong);
        }
    });
    match wrong.is_empty() {
        true => Ok(vec![format!("{count} floods and stalls")]),
        false => Err(wrong.join(", ")),
    }
}

fn tell(name: &'static str, outcome: Result<String, String>, wrong: &mut Vec<&'static str>) {
    match outcome {
        Ok(line) => println!("{name}: {line}"),
        Err(error) => {
            println!("{name}: WRONG: {error}");
            wrong.push(name);
        }
    }
}

/// The payload of the last Ping, and the identifier of the last PUBLISH: the answer tells that all is dealt with.
const LAST: &[u8] = b"the last one";
const LAST_ID: u16 = 0xfffe;

impl Flood {
    fn run(&self, setting: &Setting, dir: &Path) -> Result<String, String> {
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
        let port = listener.local_addr().map_err(|error| error.to_string())?.port();
        let scheme = if self.websocket { "ws" } else { "mqtt" };
        let arguments = [self.arguments.as_slice(), &[format!("{scheme}://127.0.0.1:{port}")]].concat();
        let mut process = Measured::start(dir, &setting.wspipe, &arguments)?;
        let (tell, told) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                // The error is what the client's end looks like from here.
                let _ = self.serve(&listener, &tell);
            });
            let idle = Duration::from_millis(setting.amount(200, 1000));
            let outcome = self.watch(&mut process, &told, idle);
            // However it went: the server sees an end.
            let errors = process.errors();
            drop(process);
            let _ = TcpStream::connect(("127.0.0.1", port));
            outcome.map_err(|error| format!("{error}\n  stderr: {errors:?}"))
        })
    }

    /// Watches the process to its end: the figures.
    fn watch(
        &self,
        process: &mut Measured,
        told: &mpsc::Receiver<()>,
        rest: Duration,
    ) -> Result<String, String> {
        let begun = Instant::now();
        let (mut ended, mut answered) = (None, false);
        while begun.elapsed() < LIMIT && ended.is_none() && !answered {
            ended = process.try_end()?;
            // The server has gone where the client has left.
            match told.recv_timeout(Duration::from_millis(2)) {
                Ok(()) => answered = true,
                Err(mpsc::RecvTimeoutError::Disconnected) => thread::sleep(Duration::from_millis(2)),
                Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
        }
        let took = begun.elapsed();
        let mut idle = Duration::ZERO;
        if ended.is_none() {
            let before = measure::cpu(process.pid);
            thread::sleep(rest);
            idle = measure::cpu(process.pid).saturating_sub(before);
            process.signal(Signal::TERM)?;
        }
        let status = match ended {
            Some(status) => status,
            None => process.ended(Duration::from_secs(20))?,
        };
        let right = match self.end {
            End::Alive => answered && status.code() == Some(TERMINATED),
            End::Status(code) => status.code() == Some(code),
        };
        let usage = process.usage()?;
        let figures = self.figures(took, &usage, (idle, rest), status);
        match right && usage.peak <= self.most && idle <= rest / IDLE_ONE_OF + STEP {
            true => Ok(figures),
            false => Err(format!("{figures}; expected {:?}, answered: {answered}", self.end)),
        }
    }

    fn figures(
        &self,
        took: Duration,
        usage: &Usage,
        (idle, rest): (Duration, Duration),
        status: ExitStatus,
    ) -> String {
        let seconds = took.as_secs_f64();
        let mut line = format!("{:.2} s ({:.2} s of the processor's)", seconds, usage.cpu.as_secs_f64());
        let messages = self.times * self.each;
        if self.end == End::Alive {
            let rate = messages as f64 / seconds;
            line = format!(
                "{messages} in {line}, {rate:.0}/s, then {} ms of {} ms",
                idle.as_millis(),
                rest.as_millis()
            );
        }
        let (peak, most) = (usage.peak as f64 / 1024.0, self.most / 1024);
        let why = if self.why.is_empty() { String::new() } else { format!(" ({})", self.why) };
        let status = match status.code() {
            Some(TERMINATED) => "ended by SIGTERM".to_owned(),
            _ => status.to_string(),
        };
        format!("{line}, peak {peak:.1} MiB of at most {most}{why}, {status}")
    }

    /// The server. Tells when the client has answered what was sent last.
    fn serve(&self, listener: &TcpListener, tell: &mpsc::Sender<()>) -> io::Result<()> {
        let (stream, _) = listener.accept()?;
        let mut wire = Wire::new(stream, self.websocket, None)?;
        wire.upgrade()?;
        let subscribes = self.arguments[0] == "sub";
        if subscribes {
            wire.packet()?;
            wire.send(self.connack.as_deref().unwrap_or(&[0x20, 3, 0, 0, 0]))?;
            let subscribe = wire.packet()?.unwrap_or_default();
            let id = packet::rest(&subscribe).get(..2).unwrap_or_default().to_vec();
            let rest = self.suback.as_deref().unwrap_or(&[0, 1]);
            wire.send(&packet::packet(0x90, &[&id, rest].concat()))?;
        }
        let mut reader = wire.reader()?;
        thread::scope(|scope| {
            let (begin, begins) = mpsc::channel::<()>();
            let reads = self.reads;
            scope.spawn(move || {
                if !reads {
                    let _ = begins.recv();
                }
                if answers(&mut reader)? {
                    let _ = tell.send(());
                }
                reader.drain()
            });
            // Whoever does not read does so once nothing is taken any more, or all is sent.
            self.flood(&mut wire, subscribes, &mut || {
                // It has begun already, or it has gone.
                let _ = begin.send(());
            })
        })
    }

    fn flood(&self, wire: &mut Wire, subscribes: bool, blocked: &mut dyn FnMut()) -> io::Result<()> {
        let some = (64 * 1024 / self.unit.len().max(1)).max(1) as u64;
        let many = self.unit.repeat(some as usize);
        let mut write = |bytes: &[u8]| wire.write_patiently(bytes, Duration::from_secs(1), blocked);
        write(&self.first)?;
        for _ in 0..self.times / some {
            write(&many)?;
        }
        write(&self.unit.repeat((self.times % some) as usize))?;
        write(&self.last)?;
        let (topic, id) = (b"t".to_vec(), LAST_ID);
        let (properties, payload) = (Vec::new(), Vec::new());
        let publish = packet::Publish { qos: 1, dup: false, id, topic, properties, payload };
        match (subscribes, self.websocket) {
            (true, true) => write(&frame(0x82, &publish.encode(true)))?,
            (true, false) => write(&publish.encode(true))?,
            (false, _) => write(&frame(0x89, LAST))?,
        }
        blocked();
        Ok(())
    }
}

/// Reads until the answer to the last thing sent has come; false if the client leaves before.
fn answers(reader: &mut Wire) -> io::Result<bool> {
    loop {
        while let Some(packet) = reader.buffered()? {
            if packet[0] == 0x40 && packet[2..4] == LAST_ID.to_be_bytes() {
                return Ok(true);
            }
        }
        if reader.pong() == LAST {
            return Ok(true);
        }
        if !reader.read_more()? {
            return Ok(false);
        }
    }
}
