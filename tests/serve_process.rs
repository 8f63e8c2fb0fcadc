//! What the echo server shares with its whole process: signals and descriptors.

use std::{
    fs::File,
    io::{Read, Write},
    net::TcpStream,
    sync::{Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Resource, Rlimit, Signal, getpid, getrlimit, kill_process, setrlimit};
use wspipe::{
    config::{Scheme, Serve, Url},
    serve::{self, Limits, Outcome, Server},
    sys::Signals,
};

/// Each test changes the process; one at a time.
static PROCESS: Mutex<()> = Mutex::new(());

const REQUEST: &[u8] = b"GET /websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

fn url(port: u16) -> Url {
    Url { scheme: Scheme::Ws, host: String::from("localhost"), port, target: String::from("/websocket") }
}

/// A port that was free a moment ago in both families.
fn free_port() -> u16 {
    Server::bind(&url(0), Limits::new(1000)).unwrap().local_port()
}

fn raise(signal: Signal) {
    let me: Pid = getpid();
    kill_process(me, signal).unwrap();
}

/// Runs the server until it ends by a signal; `during` has a client with its upgrade.
fn run_until_signal(during: impl FnOnce(&mut TcpStream)) -> Outcome {
    let port = free_port();
    let mut signals = Signals::install().unwrap();
    let (sender, outcome) = mpsc::channel();
    let thread = thread::spawn(move || {
        let config = Serve { url: url(port), max_message: 1000 };
        sender.send(serve::run(&config, &mut signals).map_err(|error| error.to_string()))
    });
    let end = Instant::now() + Duration::from_secs(20);
    let mut client = loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(client) => break client,
            Err(error) => assert!(Instant::now() < end, "{error}"),
        }
    };
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    client.write_all(REQUEST).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    during(&mut client);
    let outcome = outcome.recv_timeout(Duration::from_secs(20)).expect("ends").unwrap();
    thread.join().unwrap().unwrap();
    outcome
}

fn assert_going_away(client: &mut TcpStream) {
    let mut close = [0; 4];
    client.read_exact(&mut close).unwrap();
    assert_eq!((close[0], u16::from_be_bytes([close[2], close[3]])), (0x88, 1001));
}

#[test]
fn a_signal_closes_every_connection_and_is_reported() {
    let _alone = PROCESS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    for signal in [Signal::TERM, Signal::INT] {
        let start = Instant::now();
        let outcome = run_until_signal(|client| {
            // The text "x", masked with zeros.
            client.write_all(&[0x81, 0x81, 0, 0, 0, 0, b'x']).unwrap();
            let mut echo = [0; 3];
            client.read_exact(&mut echo).unwrap();
            assert_eq!(&echo, b"\x81\x01x");
            raise(signal);
            assert_going_away(client);
            client.write_all(&[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9]).unwrap();
            client.read_to_end(&mut Vec::new()).unwrap();
            client.shutdown(std::net::Shutdown::Both).unwrap();
        });
        // No waiting for anything once the last client has gone.
        assert!(start.elapsed() < Duration::from_millis(1_500), "{:?}", start.elapsed());
        assert_eq!(outcome, Outcome { signal: signal.as_raw(), clients: 1, messages: 1 });
    }
}

#[test]
fn a_second_signal_does_not_wait_for_anybody() {
    let _alone = PROCESS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let mut asked = None;
    let outcome = run_until_signal(|client| {
        asked = Some(Instant::now());
        raise(Signal::TERM);
        assert_going_away(client);
        raise(Signal::INT);
    });
    assert_eq!(outcome.signal, Signal::TERM.as_raw());
    let took = asked.unwrap().elapsed();
    assert!(took < Duration::from_millis(1_500), "{took:?}");
}

#[test]
fn without_descriptors_the_rest_waits_until_a_client_leaves() {
    let _alone = PROCESS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let mut server = Server::bind(&url(0), Limits { clients: 1000, ..Limits::new(1000) }).unwrap();
    let connect = || TcpStream::connect(("127.0.0.1", server.local_port())).unwrap();
    let mut clients: Vec<_> = (0..10).map(|_| connect()).collect();
    // Use up all descriptors, then give three back.
    let before = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(200), maximum: before.maximum }).unwrap();
    let mut used: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    used.truncate(used.len() - 3);

    let start = Instant::now();
    let turn = |server: &mut Server, at: Instant| server.turn(at, Some(Duration::from_millis(10)), None);
    for _ in 0..10 {
        turn(&mut server, start).unwrap();
    }
    let room = server.client_count();
    assert_eq!(room, 3);
    let waited = Instant::now();
    turn(&mut server, start).unwrap();
    assert!(waited.elapsed() >= Duration::from_millis(9), "spins: {:?}", waited.elapsed());

    // One leaves: its descriptors, at both ends, are room for two.
    drop(clients.remove(0));
    for _ in 0..10 {
        turn(&mut server, start).unwrap();
    }
    assert_eq!(server.client_count(), room + 1);

    // Or the shortage ends elsewhere: noticed within a second.
    setrlimit(Resource::Nofile, before).unwrap();
    for _ in 0..10 {
        turn(&mut server, start + Duration::from_millis(1_100)).unwrap();
    }
    assert_eq!(server.client_count(), 9);
}
