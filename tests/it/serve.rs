//! `wspipe serve`, as the peer of `wspipe echo` and of clients written out in bytes.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use rustix::process::Signal;

use crate::support::{PATIENCE, Running, free_port, hex, listens, skipped, wait_until, wspipe};

/// `wspipe serve` at a URL of its own; ended by the guard.
pub struct Serve {
    pub running: Running,
    pub port: u16,
}

pub fn serve(path: &str, args: &[&str]) -> Serve {
    for _ in 0..5 {
        let port = free_port();
        let mut running = wspipe(["serve", &format!("ws://127.0.0.1:{port}{path}")]).args(args).start();
        if wait_until(|| listens(port) || running.has_ended()) && !running.has_ended() {
            return Serve { running, port };
        }
    }
    panic!("wspipe serve does not listen");
}

impl Serve {
    pub fn url(&self, path: &str) -> String {
        format!("ws://127.0.0.1:{}{path}", self.port)
    }

    /// A client that has upgraded.
    fn client(&self) -> TcpStream {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
        // The key and the accept value of RFC 6455 section 1.3.
        let request = "GET /websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
        stream.write_all(request.as_bytes()).expect("it reads");
        let head = read_head(&mut stream);
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
        stream
    }
}

fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("a head comes");
        head.push(byte[0]);
    }
    String::from_utf8(head).expect("heads are ASCII")
}

#[track_caller]
fn answers(stream: &mut TcpStream, expected: &str) {
    let mut bytes = vec![0; hex(expected).len()];
    stream.read_exact(&mut bytes).expect("an answer comes");
    assert_eq!(bytes, hex(expected), "expected {expected}");
}

/// Frames of the tests below are masked with zeros, so that payloads can be read.
#[track_caller]
fn sends(stream: &mut TcpStream, frames: &str) {
    stream.write_all(&hex(frames)).expect("it reads");
}

#[test]
fn echo_against_serve() {
    let server = serve("/websocket", &[]);
    let url = server.url("/websocket");
    wspipe(["echo", &url]).run().status(0).stdout_is("hello\n");
    wspipe(["echo", &url, "grüße"]).run().status(0).stdout_is("grüße\n");
    wspipe(["echo", &url, "-b", ""]).run().status(0).stdout_is("\n");
    let run = wspipe(["echo", &url, "-b", "--size", "1048576"]).run();
    run.status(0);
    assert_eq!(run.stdout.len(), 1_048_577);
    wspipe(["echo", &url, "-c", "5", "-i", "0.01", "--size", "1000"]).run().status(0);
}

#[test]
fn only_its_path_upgrades() {
    let server = serve("/websocket", &[]);
    wspipe(["echo", &server.url("/other"), "--quiet"]).run().status(22).one_line(&["404"]);
    let any = serve("/", &[]);
    wspipe(["echo", &any.url("/what/ever?you=like")]).run().status(0);
}

#[test]
fn what_is_no_upgrade_gets_http() {
    let server = serve("/websocket", &[]);
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).expect("it listens");
    stream.write_all(b"GET /websocket HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it reads");
    let head = read_head(&mut stream);
    assert!(head.starts_with("HTTP/1.1 4"), "{head}");
}

#[test]
fn frames_come_back_as_they_are() {
    let server = serve("/websocket", &[]);
    let mut client = server.client();
    sends(&mut client, "81 82 00000000 6869");
    answers(&mut client, "81 02 6869");
    sends(&mut client, "82 81 00000000 ff");
    answers(&mut client, "82 01 ff");
    // Two fragments with a ping between them: the pong may overtake, the message comes back whole.
    sends(&mut client, "01 81 00000000 61  89 81 00000000 70  80 81 00000000 62");
    answers(&mut client, "8a 01 70  81 02 6162");
    // Close comes back with its code, and then the end.
    sends(&mut client, "88 82 00000000 03e8");
    answers(&mut client, "88 02 03e8");
    assert_eq!(client.read(&mut [0]).expect("a clean end"), 0);
}

#[test]
fn masks_are_taken_off() {
    let server = serve("/websocket", &[]);
    let mut client = server.client();
    // RFC 6455 section 5.7: a single-frame masked text message, "Hello".
    sends(&mut client, "81 85 37fa213d 7f9f4d5158");
    answers(&mut client, "81 05 48656c6c6f");
}

#[test]
fn violations_end_one_client_only() {
    let server = serve("/websocket", &[]);
    let mut witness = server.client();
    for (frames, close) in [
        ("81 01 61", "03ea"),                        // not masked
        ("83 80 00000000", "03ea"),                  // a reserved opcode
        ("c1 81 00000000 61", "03ea"),               // a reserved bit
        ("81 81 00000000 ff", "03ef"),               // text that is no UTF-8
        ("09 80 00000000", "03ea"),                  // a fragmented ping
        ("82 ff 7fffffffffffffff 00000000", "03f1"), // 2^63 - 1 bytes
    ] {
        let mut client = server.client();
        sends(&mut client, frames);
        let mut start = [0; 4];
        client.read_exact(&mut start).expect("Close comes");
        assert_eq!((start[0], &start[2..]), (0x88, &hex(close)[..]), "after {frames}");
    }
    sends(&mut witness, "81 81 00000000 61");
    answers(&mut witness, "81 01 61");
}

#[test]
fn many_clients_at_once() {
    let server = serve("/websocket", &[]);
    let mut clients: Vec<TcpStream> = (0..100).map(|_| server.client()).collect();
    for round in 0..3u8 {
        clients.iter_mut().for_each(|client| sends(client, &format!("82 81 00000000 {round:02x}")));
        clients.iter_mut().for_each(|client| answers(client, &format!("82 01 {round:02x}")));
    }
}

#[test]
fn a_client_that_does_not_read_stalls_nobody_and_fills_nothing() {
    let server = serve("/websocket", &[]);
    let mut greedy = server.client();
    greedy.set_write_timeout(Some(Duration::from_millis(300))).expect("not zero");
    let mut frame = hex("82 fe ffff 00000000");
    frame.resize(frame.len() + 65535, b'x');
    // Sends until the server reads no more of it, or has read far more than it may keep.
    let taken = (0..2000).take_while(|_| greedy.write_all(&frame).is_ok()).count();
    assert!(taken < 2000, "the server kept reading 128 MB that nobody took");
    wspipe(["echo", &server.url("/websocket")]).run().status(0);
    server.running.signal(Signal::TERM);
    server.running.finish().signalled(Signal::TERM).below_mib(64);
}

#[test]
fn signals_say_close_to_everybody() {
    for signal in [Signal::INT, Signal::TERM] {
        let server = serve("/websocket", &[]);
        let mut client = server.client();
        server.running.signal(signal);
        // Close 1001, with a reason in words.
        let mut close = [0; 4];
        client.read_exact(&mut close).expect("Close comes");
        assert_eq!((close[0], &close[2..]), (0x88, &hex("03e9")[..]));
        client.read_exact(&mut vec![0; usize::from(close[1]) - 2]).expect("the reason");
        sends(&mut client, "88 82 00000000 03e9");
        assert_eq!(client.read(&mut [0]).expect("a clean end"), 0);
        server.running.finish().signalled(signal);
    }
}

#[test]
fn ipv6() {
    let listener = match TcpListener::bind("[::1]:0") {
        Ok(listener) => listener,
        Err(error) => return skipped("serve::ipv6", &format!("no IPv6 on loopback: {error}")),
    };
    let port = listener.local_addr().expect("a bound socket has an address").port();
    drop(listener);
    let url = format!("ws://[::1]:{port}/");
    let mut running = wspipe(["serve", &url]).start();
    running.wait_stderr("LISTENING");
    wspipe(["echo", &url]).run().status(0).stdout_is("hello\n");
    // A name with both families, where one of them listens.
    wspipe(["echo", &format!("ws://localhost:{port}/")]).run().status(0).stdout_is("hello\n");
}

#[test]
fn a_port_in_use() {
    let server = serve("/websocket", &[]);
    let run = wspipe(["serve", &server.url("/websocket"), "--quiet"]).run();
    run.stdout_is("").one_line(&["in use"]);
    assert!(!run.stderr.is_empty());
}

#[test]
fn only_ws_is_served() {
    for url in ["wss://localhost/", "mqtt://localhost"] {
        wspipe(["serve", url]).run().status(2).one_line(&["ws://"]);
    }
}

#[test]
fn half_closed_clients_get_their_replies() {
    let server = serve("/websocket", &[]);
    let mut client = server.client();
    sends(&mut client, "82 81 00000000 61");
    client.shutdown(Shutdown::Write).expect("connected");
    answers(&mut client, "82 01 61");
}

#[test]
fn slow_heads_are_whole_heads() {
    let server = serve("/websocket", &[]);
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).expect("it listens");
    stream.set_nodelay(true).expect("a socket");
    let request = "GET /websocket HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    for byte in request.as_bytes() {
        stream.write_all(&[*byte]).expect("it reads");
        thread::yield_now();
    }
    assert!(read_head(&mut stream).starts_with("HTTP/1.1 101 "));
}
