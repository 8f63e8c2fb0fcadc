//! Peers for the benchmarks: servers that are never the bottleneck, what feeds and drains pipes, and the plain
//! relay that round trips are compared with.
//!
//! Each server listens on a free loopback port, prints it, serves one connection and prints what it saw as one
//! line of JSON. Times are nanoseconds of the monotonic clock, which all processes of the machine share.

mod args;
mod frames;
mod load;
mod mqtt;
mod pipes;
mod servers;
mod tls;
mod upgrade;

use std::{io, process::ExitCode};

use args::Args;

const USAGE: &str = "\
bench-peers WHAT [NAME=VALUE...]
  ws-sink   count=N [bytes=N] [rate=R] accept, upgrade, count N messages of N bytes; to the end; at most R bytes a second
  ws-source count=N size=S kind=text   accept, upgrade, send N messages of S bytes, Close
  ws-echo                              echo messages until Close, connection after connection
  tcp-sink                             read until the end
  tcp-source bytes=N write=S           send N bytes, S a write
  tcp-echo                             echo bytes until the end, connection after connection
  ws-loaded rate=R size=S              send R messages of S bytes a second and echo what comes, to the end
  tcp-loaded rate=R size=S             the same with lines and no frames
  mqtt-sink   count=N [receive=R]      ws or TCP: count PUBLISHes, to the end; R: Receive Maximum in CONNACK
  mqtt-source count=N size=S frame=one|many   ws or TCP: N PUBLISHes of S bytes, one or many to a frame
  mqtt-broker                          ws or TCP: acknowledge all, connection after connection
  feed      count=N size=S format=line|length|raw     write records to stdout
  drain     bytes=N [rate=R]           read N bytes from stdin, then to the end; at most R bytes a second
  drain-only bytes=N                   read N bytes from stdin
  pingpong  count=N size=S             write a line to stdout, read one from stdin; figures on stderr
  pingpong-among count=N size=S        the same with other lines in between
  relay     port=P                     stdin and stdout to and from a TCP connection, by poll(2)
  tls-out   port=P size=S              stdin to a TLS connection, S bytes at a time at most
  tls-in    port=P size=S              the other way, to stdout
ws-sink, ws-source, tcp-sink and tcp-source take tls=FILE (PEM: certificate and key) as well.";

fn run() -> io::Result<()> {
    let args = Args::parse()?;
    match args.what() {
        "ws-sink" => {
            servers::ws_sink(args.number("count")?, args.or_zero("bytes")?, args.rate()?, args.tls())
        }
        "ws-source" => {
            let text = args.text("kind")? == "text";
            servers::ws_source(args.number("count")?, args.size("size")?, text, args.tls())
        }
        "ws-echo" => servers::ws_echo(),
        "tcp-sink" => servers::tcp_sink(args.tls()),
        "tcp-source" => servers::tcp_source(args.number("bytes")?, args.size("write")?, args.tls()),
        "tcp-echo" => servers::tcp_echo(),
        "mqtt-sink" => {
            let receive_maximum = args.text("receive").map_or(Ok(0), |_| args.number("receive"))?;
            mqtt::sink(args.number("count")?, receive_maximum)
        }
        "mqtt-source" => {
            mqtt::source(args.number("count")?, args.size("size")?, args.text("frame")? == "many")
        }
        "mqtt-broker" => mqtt::broker(),
        "ws-loaded" => load::loaded(args.number("rate")?, args.size("size")?, true),
        "tcp-loaded" => load::loaded(args.number("rate")?, args.size("size")?, false),
        "feed" => pipes::feed(args.number("count")?, args.size("size")?, args.text("format")?),
        "drain" => pipes::drain(args.number("bytes")?, args.rate()?, false),
        "drain-only" => pipes::drain(args.number("bytes")?, 0, true),
        "pingpong" => pipes::pingpong(args.size("count")?, args.size("size")?, false),
        "pingpong-among" => pipes::pingpong(args.size("count")?, args.size("size")?, true),
        "tls-out" => tls::pipe(args.number("port")?, false, args.size("size")?),
        "tls-in" => tls::pipe(args.number("port")?, true, args.size("size")?),
        "relay" => pipes::relay(args.number("port")?),
        _ => Err(io::Error::other(USAGE)),
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-peers: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Sleeps until `bytes` since `start` are no more than `rate` a second; 0 is no limit.
fn pace(start: u64, bytes: u64, rate: u64) {
    if let Some(due) = (bytes * 1000).checked_div(rate) {
        let ahead = due.saturating_mul(1_000_000).saturating_sub(now() - start);
        std::thread::sleep(std::time::Duration::from_nanos(ahead));
    }
}

/// The monotonic clock in nanoseconds.
fn now() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// The CPU time of this process in nanoseconds.
fn cpu() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
