//! A stdout that nobody reads for a while: no memory, no work, signs of life all the same, and nothing is lost.

use std::{
    io::{self, Read},
    net::{TcpListener, TcpStream},
    process::{Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use super::measure;
use crate::{
    Setting,
    child::Child,
    peer::{
        Wire, frame,
        packet::{self, Publish},
    },
};

pub type Stall = (&'static str, fn(&Setting) -> Result<String, String>);

pub const STALLS: &[Stall] = &[
    ("cat, stdout stalled", |setting| stall(setting, false)),
    ("sub, stdout stalled", |setting| stall(setting, true)),
];

/// Messages of `SIZE` bytes and a newline: more than all buffers on the way hold.
const MESSAGES: usize = 24 * 1024;
const SIZE: usize = 1023;
const MOST: u64 = 16 * 1024;

fn stall(setting: &Setting, subscribes: bool) -> Result<String, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let port = listener.local_addr().map_err(|error| error.to_string())?.port();
    let url = format!("ws://127.0.0.1:{port}");
    let arguments: &[&str] = match subscribes {
        true => &["sub", &url, "-V", "5", "-t", "t", "-k", "1"],
        false => &["cat", &url, "--no-stdin", "-w", "inf", "--ping-interval", "1"],
    };
    let mut command = Command::new(&setting.wspipe);
    command.args(arguments).args(["--close-timeout", "0.3"]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = Child::start(&mut command)?;
    let pings = AtomicU64::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            let _ = serve(&listener, subscribes, &pings);
        });
        let outcome = watch(setting, &mut child, &pings);
        let _ = child.0.kill();
        let _ = TcpStream::connect(("127.0.0.1", port));
        outcome
    })
}

fn watch(setting: &Setting, child: &mut Child, pings: &AtomicU64) -> Result<String, String> {
    let (pid, seconds) = (child.0.id(), setting.amount(5, 60));
    // Until all buffers are full.
    thread::sleep(Duration::from_secs(1));
    let (before, seen) = (measure::cpu(pid), pings.load(Ordering::SeqCst));
    thread::sleep(Duration::from_secs(seconds));
    let spent = measure::cpu(pid).saturating_sub(before);
    let alive = pings.load(Ordering::SeqCst) - seen;
    let mut stdout = child.0.stdout.take().ok_or("stdout is a pipe")?;
    let mut all = vec![0; MESSAGES * (SIZE + 1)];
    stdout.read_exact(&mut all).map_err(|error| format!("not all of it came: {error}"))?;
    let whole = all
        .chunks_exact(SIZE + 1)
        .enumerate()
        .all(|(n, record)| record == [line(n), b"\n".to_vec()].concat());
    let peak = measure::peak(pid);
    let figures = format!(
        "{seconds} s: {alive} signs of life sent, {} ms of the processor's, peak {:.1} MiB of at most {}, \
         then all {MESSAGES} messages",
        spent.as_millis(),
        peak as f64 / 1024.0,
        MOST / 1024
    );
    match whole && alive + 2 >= seconds && peak <= MOST && spent.as_millis() <= 50 * u128::from(seconds) {
        true => Ok(figures),
        false => Err(format!("{figures}; the output is right: {whole}")),
    }
}

fn line(n: usize) -> Vec<u8> {
    format!("{n:0SIZE$}").into_bytes()
}

fn serve(listener: &TcpListener, subscribes: bool, pings: &AtomicU64) -> io::Result<()> {
    let (stream, _) = listener.accept()?;
    let mut wire = Wire::new(stream, true, None)?;
    wire.upgrade()?;
    if subscribes {
        wire.packet()?;
        wire.send(&[0x20, 3, 0, 0, 0])?;
        let subscribe = wire.packet()?.unwrap_or_default();
        let id = packet::rest(&subscribe).get(..2).unwrap_or_default().to_vec();
        wire.send(&packet::packet(0x90, &[&id, [0, 0].as_slice()].concat()))?;
    }
    let mut reader = wire.reader()?;
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut requests = 0;
            while reader.read_more()? {
                while let Some(packet) = reader.buffered()? {
                    requests += u64::from(packet[0] == 0xc0);
                }
                pings.store(requests + reader.pings(), Ordering::SeqCst);
            }
            Ok::<_, io::Error>(())
        });
        for n in 0..MESSAGES {
            let (topic, properties, payload) = (b"t".to_vec(), Vec::new(), line(n));
            let message = match subscribes {
                true => frame(
                    0x82,
                    &Publish { qos: 0, dup: false, id: 0, topic, properties, payload }.encode(true),
                ),
                false => frame(0x81, &payload),
            };
            wire.write_patiently(&message, Duration::from_secs(1), &mut || {})?;
        }
        Ok(())
    })
}
