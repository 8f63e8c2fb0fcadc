//! Numbered records from `pub -l` through mosquitto to `sub` with a persistent session, appended to one file.

use std::{
    fmt::{self, Display},
    fs::File,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{broker::Broker, child::Child, feeder::Feeder, ledger::Ledger};

const TOPIC: &str = "proof/records";
/// The index of MQTT over WebSocket in [`Flow`]'s URLs.
pub const WEBSOCKET: usize = 0;
/// The index of MQTT over TCP.
pub const TCP: usize = 1;
/// What the publisher is ahead of the subscriber: a new one finds messages waiting, and new ones come too.
pub const AHEAD: u64 = 3000;
/// Without a new record for so long something is stuck.
pub const STUCK: Duration = Duration::from_secs(60);

pub struct Flow {
    wspipe: PathBuf,
    dir: PathBuf,
    /// The broker's: [`WEBSOCKET`] and [`TCP`].
    urls: [String; 2],
    qos: u64,
    total: u64,
    begun: Instant,
    pub ledger: Ledger,
    pub feeder: Feeder,
    starts: usize,
}

/// Of one flow, or of several after each other. Nothing was missing.
#[derive(Default)]
pub struct Figures {
    total: u64,
    doubled: u64,
    torn: u64,
    out_of_order: u64,
    took: Duration,
}

impl Figures {
    pub fn add(&mut self, other: &Figures) {
        self.total += other.total;
        self.doubled += other.doubled;
        self.torn += other.torn;
        self.out_of_order += other.out_of_order;
        self.took += other.took;
    }
}

impl Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { total, doubled, torn, out_of_order, took } = self;
        let secs = took.as_secs_f64();
        write!(
            f,
            "0 of {total} missing, {doubled} doubled, {torn} torn and repeated, {out_of_order} out of order; \
             {secs:.0} s"
        )
    }
}

impl Flow {
    /// Makes the session and starts the publisher of `total` records, at the broker's URL number `from`, and `cap` of
    /// them for now. All is logged in `dir`.
    pub fn start(
        wspipe: &Path,
        dir: &Path,
        broker: &Broker,
        from: usize,
        qos: u64,
        (total, cap): (u64, u64),
    ) -> Result<Self, String> {
        let urls = [format!("ws://127.0.0.1:{}", broker.ws), format!("mqtt://127.0.0.1:{}", broker.tcp)];
        begin_session(subscriber(wspipe, &urls[WEBSOCKET], qos).arg("-E").stderr(log(dir)?))?;
        let mut publisher = publisher(wspipe, &urls[from], qos);
        let feeder = Feeder::start(&mut publisher, log(dir)?, total, AHEAD, cap)?;
        let ledger = Ledger::new(&dir.join("out"), total)?;
        let (wspipe, dir) = (wspipe.to_owned(), dir.to_owned());
        Ok(Self { wspipe, dir, urls, qos, total, begun: Instant::now(), ledger, feeder, starts: 0 })
    }

    /// Starts the subscriber: every third one comes by `mqtt://`, the others by WebSocket.
    pub fn subscribe(&mut self) -> Result<Child, String> {
        self.starts += 1;
        let way = if self.starts % 3 == 0 { TCP } else { WEBSOCKET };
        let mut command = subscriber(&self.wspipe, &self.urls[way], self.qos);
        Child::start(command.stdout(self.ledger.appender()?).stderr(log(&self.dir)?))
    }

    /// Until so many different records are in the file.
    pub fn wait_for(&mut self, goal: u64, child: &mut Child) -> Result<(), String> {
        let mut last = (self.ledger.distinct, Instant::now());
        while self.ledger.distinct < goal {
            thread::sleep(Duration::from_micros(300));
            self.ledger.read()?;
            self.feeder.set_arrived(self.ledger.distinct);
            if self.ledger.distinct != last.0 {
                last = (self.ledger.distinct, Instant::now());
            } else if last.1.elapsed() > STUCK {
                return Err(format!(
                    "nothing came for {} s, and {} of {} records are there",
                    STUCK.as_secs(),
                    last.0,
                    self.total
                ));
            }
            if let Some(status) = child.0.try_wait().map_err(|error| error.to_string())? {
                return Err(format!("sub ended by itself: {status}"));
            }
        }
        Ok(())
    }

    /// The subscriber has ended in the middle of something.
    pub fn handle_ended(&mut self) -> Result<(), String> {
        self.ledger.handle_ended()?;
        self.feeder.set_arrived(self.ledger.distinct);
        Ok(())
    }

    /// All arrives at `child`, the publisher ends with status 0, and then nothing is left in the session: all was
    /// acknowledged. Figures.
    pub fn finish(mut self, mut child: Child) -> Result<Figures, String> {
        self.feeder.allow_all();
        self.wait_for(self.total, &mut child)?;
        self.feeder.finish(STUCK)?;
        let status = child.terminate()?;
        if status.signal() != Some(15) {
            return Err(format!("sub after SIGTERM: {status}"));
        }
        let mut ledger = self.ledger;
        ledger.finish()?;
        let doubled = ledger.doubled;
        let mut command = subscriber(&self.wspipe, &self.urls[WEBSOCKET], self.qos);
        command.args(["-W", "0.5"]).stdout(ledger.appender()?).stderr(log(&self.dir)?);
        let status = Child::start(&mut command)?.ended(STUCK)?;
        ledger.finish()?;
        if status.code() != Some(28) || ledger.doubled != doubled {
            return Err(format!("{} came again at the end, {status}", ledger.doubled - doubled));
        }
        Ok(Figures {
            total: self.total,
            doubled,
            torn: ledger.torn_records,
            out_of_order: ledger.out_of_order,
            took: self.begun.elapsed(),
        })
    }
}

/// `pub -l`.
pub fn publisher(wspipe: &Path, url: &str, qos: u64) -> Command {
    let mut command = Command::new(wspipe);
    command.args(["pub", url, "-t", TOPIC, "-l", "-q", &qos.to_string()]);
    command
}

fn subscriber(wspipe: &Path, url: &str, qos: u64) -> Command {
    let mut command = Command::new(wspipe);
    command.args(["sub", url, "-t", TOPIC, "-c", "-i", "prove", "-q", &qos.to_string()]).stdin(Stdio::null());
    command
}

/// The session is there before the first message.
fn begin_session(command: &mut Command) -> Result<(), String> {
    let status = Child::start(command.stdout(Stdio::null()))?.ended(STUCK)?;
    if !status.success() {
        return Err(format!("the first sub, with -E: {status}"));
    }
    Ok(())
}

/// What the programs say, for who looks after a failure.
pub fn log(dir: &Path) -> Result<File, String> {
    let path = dir.join("wspipe.log");
    File::options()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(|error| format!("{}: {error}", path.display()))
}
