//! Floods of what a peer may send, and a stdout that nobody reads: memory and time stay bounded.

mod measure;
mod stall;
mod table;

use std::{
    io::{self, Read},
    net::{TcpListener, TcpStream},
    os::unix::process::ExitStatusExt,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    Outcome, Setting,
    child::Child,
    peer::{Wire, frame, packet},
};

/// How long a flood may take.
const LIMIT: Duration = Duration::from_secs(240);
/// What any of them may cost when it is over, in one second.
const IDLE: Duration = Duration::from_millis(50);

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
    let mut wrong = Vec::new();
    let mut count = 0;
    for &(name, run) in stall::STALLS {
        count += 1;
        match run(setting) {
            Ok(line) => println!("{name}: {line}"),
            Err(error) => {
                println!("{name}: WRONG: {error}");
                wrong.push(name);
            }
        }
    }
    for flood in table::floods(setting) {
        count += 1;
        match flood.run(setting) {
            Ok(line) => println!("{}: {line}", flood.name),
            Err(error) => {
                println!("{}: WRONG: {error}", flood.name);
                wrong.push(flood.name);
            }
        }
    }
    match wrong.is_empty() {
        true => Ok(vec![format!("{count} floods and stalls")]),
        false => Err(wrong.join(", ")),
    }
}

/// The payload of the last Ping, and the identifier of the last PUBLISH: the answer tells that all is dealt with.
const LAST: &[u8] = b"the last one";
const LAST_ID: u16 = 0xfffe;

impl Flood {
    fn run(&self, setting: &Setting) -> Result<String, String> {
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
        let port = listener.local_addr().map_err(|error| error.to_string())?.port();
        let scheme = if self.websocket { "ws" } else { "mqtt" };
        let mut command = Command::new(&setting.wspipe);
        command.args(&self.arguments).arg(format!("{scheme}://127.0.0.1:{port}"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = Child::start(&mut command)?;
        let (tell, told) = mpsc::channel();
        let outcome = thread::scope(|scope| {
            scope.spawn(|| {
                // The error is what the client's end looks like from here.
                let _ = self.serve(&listener, &tell);
            });
            let outcome = self.watch(&mut child, &told);
            // However it went: the server sees an end.
            let _ = child.0.kill();
            let _ = TcpStream::connect(("127.0.0.1", port));
            outcome
        });
        let mut errors = String::new();
        drop(child.0.stderr.take().map(|mut stderr| stderr.read_to_string(&mut errors)));
        outcome.map_err(|error| format!("{error}\n  stderr: {errors:?}"))
    }

    /// Watches the process to its end: the figures.
    fn watch(&self, child: &mut Child, told: &mpsc::Receiver<()>) -> Result<String, String> {
        let (pid, begun) = (child.0.id(), Instant::now());
        let (mut peak, mut spent, mut ended, mut answered) = (0, Duration::ZERO, None, false);
        while begun.elapsed() < LIMIT && ended.is_none() && !answered {
            peak = peak.max(measure::peak(pid));
            spent = spent.max(measure::cpu(pid));
            ended = child.0.try_wait().map_err(|error| error.to_string())?;
            // The server has gone where the client has left.
            match told.recv_timeout(Duration::from_millis(2)) {
                Ok(()) => answered = true,
                Err(mpsc::RecvTimeoutError::Disconnected) => thread::sleep(Duration::from_millis(2)),
                Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
        }
        let took = begun.elapsed();
        let mut idle = Duration::ZERO;
        if ended.is_none() && self.end == End::Alive {
            let before = measure::cpu(pid);
            thread::sleep(Duration::from_secs(1));
            idle = measure::cpu(pid).saturating_sub(before);
            (peak, spent) = (peak.max(measure::peak(pid)), before);
            kill_process(Pid::from_child(&child.0), Signal::TERM).map_err(|error| error.to_string())?;
        }
        let status = match ended {
            Some(status) => status,
            None => child.ended(Duration::from_secs(20))?,
        };
        let right = match self.end {
            End::Alive => answered && status.signal() == Some(15),
            End::Status(code) => status.code() == Some(code),
        };
        let figures = self.figures(took, spent, peak, idle, &status.to_string());
        match right && peak <= self.most && idle <= IDLE {
            true => Ok(figures),
            false => Err(format!("{figures}; expected {:?}, answered: {answered}", self.end)),
        }
    }

    fn figures(&self, took: Duration, spent: Duration, peak: u64, idle: Duration, status: &str) -> String {
        let seconds = took.as_secs_f64();
        let mut line = format!("{:.2} s ({:.2} s of the processor's)", seconds, spent.as_secs_f64());
        let messages = self.times * self.each;
        if self.end == End::Alive {
            let rate = messages as f64 / seconds;
            line = format!("{messages} in {line}, {rate:.0}/s, idle after it {} ms/s", idle.as_millis());
        }
        let (peak, most) = (peak as f64 / 1024.0, self.most / 1024);
        let why = if self.why.is_empty() { String::new() } else { format!(" ({})", self.why) };
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
            self.flood(&mut wire, subscribes, &mut || drop(begin.send(())))
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
