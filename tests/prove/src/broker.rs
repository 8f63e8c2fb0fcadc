//! mosquitto without queue limits, which can be stopped and started again on the same ports.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::child::Child;

/// The ports that a broker may get.
const FIRST_PORT: u16 = 12_000;
const PORTS: u16 = 20_000;

pub struct Broker {
    dir: PathBuf,
    child: Option<Child>,
    /// WebSocket, anyone.
    pub ws: u16,
    /// MQTT over TCP, anyone.
    pub tcp: u16,
}

impl Broker {
    /// Starts one whose files stand in `dir`, a directory of its own. `settings` come before the listeners.
    pub fn start(dir: &Path, settings: &str) -> Result<Self, String> {
        fs::create_dir_all(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        let (ws, tcp) = (free_port()?, free_port()?);
        // mosquitto drops beyond 1,000 messages by default. Without `socket_domain ipv4` 2.0.11 listens for
        // WebSocket on every address, whatever is asked.
        let conf = format!(
            "allow_anonymous true\nmax_queued_messages 0\nmax_queued_bytes 0\nlog_dest file {log}\n{user}\
             persistence_location {dir}/\n{settings}\
             listener {ws} 127.0.0.1\nprotocol websockets\nsocket_domain ipv4\nlistener {tcp} 127.0.0.1\n",
            log = dir.join("mosquitto.log").display(),
            dir = dir.display(),
            user = if rustix::process::geteuid().is_root() { "user root\n" } else { "" },
        );
        fs::write(dir.join("mosquitto.conf"), conf).map_err(|error| error.to_string())?;
        let mut broker = Self { dir: dir.to_owned(), child: None, ws, tcp };
        broker.start_again()?;
        Ok(broker)
    }

    /// Its log.
    pub fn log(&self) -> PathBuf {
        self.dir.join("mosquitto.log")
    }

    /// After [`Broker::stop`].
    pub fn start_again(&mut self) -> Result<(), String> {
        let mut command = Command::new("mosquitto");
        command.arg("-c").arg(self.dir.join("mosquitto.conf")).stdin(Stdio::null()).stderr(Stdio::null());
        let child = self.child.insert(Child::start(&mut command)?);
        let end = Instant::now() + Duration::from_secs(20);
        for port in [self.ws, self.tcp] {
            while TcpStream::connect(("127.0.0.1", port)).is_err() {
                if let Ok(Some(status)) = child.0.try_wait() {
                    return Err(format!("mosquitto has ended, {status}: see {}", self.dir.display()));
                }
                if Instant::now() > end {
                    return Err(format!("mosquitto does not listen on {port}"));
                }
                thread::sleep(Duration::from_millis(2));
            }
        }
        Ok(())
    }

    /// SIGTERM: what it has acknowledged is written down first (persistence).
    pub fn stop(&mut self) -> Result<(), String> {
        match self.child.take() {
            Some(child) => child.terminate().map(|_| ()),
            None => Ok(()),
        }
    }

    /// SIGKILL: what it has acknowledged since it last wrote its state down is lost.
    pub fn kill(&mut self) -> Result<(), String> {
        match self.child.take() {
            Some(child) => child.kill().map(|_| ()),
            None => Ok(()),
        }
    }
}

/// A loopback port that nobody has just now, below those that the system gives to connections (32768 and above, where
/// it was not told otherwise): of these any connection may get one before mosquitto listens, or while it is stopped.
fn free_port() -> Result<u16, String> {
    static TRIED: AtomicU32 = AtomicU32::new(0);
    for _ in 0..PORTS {
        let n = process::id().wrapping_mul(64).wrapping_add(TRIED.fetch_add(1, Ordering::Relaxed));
        let port = FIRST_PORT + (n % u32::from(PORTS)) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Err("no port is free".to_owned())
}
