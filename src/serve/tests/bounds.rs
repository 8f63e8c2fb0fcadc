//! Memory, time and fairness: what one client can do to the server and to the others.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tungstenite::Message;

use super::{Limits, Running, limits, peer, server, turn_until};

/// Writes copies of `bytes` until the socket has taken nothing for a while; returns how many bytes it took.
fn write_until_stalled(stream: &mut TcpStream, bytes: &[u8]) -> usize {
    stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut taken = 0;
    loop {
        match stream.write(&bytes[taken % bytes.len()..]) {
            Ok(n) => taken += n,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return taken;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_client_that_does_not_read_stalls_only_itself() {
    let server = Running::start(limits());
    let mut deaf = peer::raw(server.port);
    let message = vec![b'x'; 100_000];
    let frame = peer::frame(peer::BINARY, &message);
    let taken = write_until_stalled(&mut deaf, &frame);

    let limits = limits();
    let queued = server.ask(|server| server.queued());
    assert!(queued > limits.mark, "{queued}: not stalled");
    assert!(queued <= limits.mark + limits.part + message.len(), "{queued}");

    let mut other = peer::tungstenite(server.port);
    for n in 0..100 {
        other.send(Message::text(n.to_string())).unwrap();
        assert_eq!(other.read().unwrap(), Message::text(n.to_string()));
    }

    // When it reads again nothing is missing.
    let whole = taken / frame.len();
    assert!(whole > 10, "{taken}");
    for _ in 0..whole {
        let (first, payload) = peer::read_frame(&mut deaf);
        assert!(first == peer::BINARY && payload == message);
    }
}

#[test]
fn large_messages_to_a_client_that_does_not_read_are_bounded_too() {
    let server = Running::start(limits());
    let mut deaf = peer::raw(server.port);
    let frame = peer::frame(peer::BINARY, &vec![b'x'; 8 << 20]);
    write_until_stalled(&mut deaf, &frame);
    let limits = limits();
    let queued = server.ask(|server| server.queued());
    assert!(queued > 0, "not stalled");
    assert!(queued <= limits.mark + limits.part + limits.message, "{queued}");
}

#[test]
fn pings_of_a_client_that_does_not_read_are_bounded() {
    let server = Running::start(limits());
    let mut deaf = peer::raw(server.port);
    let pings = peer::frame(peer::PING, &[b'x'; 125]).repeat(1000);
    write_until_stalled(&mut deaf, &pings);
    let limits = limits();
    let queued = server.ask(|server| server.queued());
    assert!(queued <= limits.mark + 1000, "{queued}");
    assert!(queued > 0, "not stalled");
}

/// Floods from a thread until stopped, while another client counts on being served.
fn served_beside(flood: &'static [u8], opening: &[u8]) {
    let server = Running::start(limits());
    let mut flooding = peer::raw(server.port);
    flooding.write_all(opening).unwrap();
    let mut draining = flooding.try_clone().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    // Ends by itself too: a server that is starved could not be told.
    let end = Instant::now() + Duration::from_secs(15);
    let writer = thread::spawn(move || {
        while Instant::now() < end && !told.load(Ordering::Relaxed) && flooding.write_all(flood).is_ok() {}
        let _ = flooding.shutdown(std::net::Shutdown::Both);
    });
    let reader = thread::spawn(move || while draining.read(&mut [0; 65536]).is_ok_and(|n| n > 0) {});
    let mut other = peer::tungstenite(server.port);
    let start = Instant::now();
    for n in 0..20 {
        other.send(Message::text(n.to_string())).unwrap();
        assert_eq!(other.read().unwrap(), Message::text(n.to_string()));
    }
    let took = start.elapsed();
    stop.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    reader.join().unwrap();
    assert!(took < Duration::from_secs(10), "{took:?} for 20 round trips");
}

#[test]
fn endless_fragments_starve_nobody() {
    let fragments = peer::frame(0x00, b"").repeat(10_000).leak();
    served_beside(fragments, &peer::frame(0x01, b"x"));
}

#[test]
fn a_flood_of_messages_starves_nobody() {
    let messages = peer::frame(peer::TEXT, b"x").repeat(10_000).leak();
    served_beside(messages, b"");
}

#[test]
fn what_follows_a_close_starves_nobody() {
    let messages = peer::frame(peer::TEXT, b"x").repeat(10_000).leak();
    served_beside(messages, &peer::frame(peer::CLOSE, b""));
}

#[test]
fn no_more_clients_than_the_limit() {
    let server = Running::start(Limits { clients: 2, ..limits() });
    let first = peer::raw(server.port);
    let _second = peer::raw(server.port);
    let mut third = peer::tcp(server.port);
    third.write_all(peer::request("/websocket").as_bytes()).unwrap();
    third.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(third.read(&mut [0]).is_err(), "a third client was served");
    assert_eq!(server.ask(|server| (server.client_count(), server.full.is_some())), (2, true));

    drop(first);
    third.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert!(peer::read_head(&mut third).starts_with("HTTP/1.1 101 "));
    assert_eq!(server.ask(|server| server.client_count()), 2);
}

#[test]
fn a_full_server_does_not_spin() {
    let mut server = server("/", Limits { clients: 1, ..limits() });
    let _first = peer::tcp(server.local_port());
    let _second = peer::tcp(server.local_port());
    let now = Instant::now();
    turn_until(&mut server, now, "full", |server| server.full.is_some());
    for _ in 0..3 {
        let start = Instant::now();
        server.turn(now, Some(Duration::from_millis(50)), None).unwrap();
        assert!(start.elapsed() >= Duration::from_millis(45), "{:?}", start.elapsed());
    }
}

#[test]
fn a_stalled_client_does_not_make_the_server_spin() {
    let mut server = server("/websocket", limits());
    let now = Instant::now();
    let mut deaf = peer::tcp(server.local_port());
    deaf.write_all(peer::request("/websocket").as_bytes()).unwrap();
    deaf.set_nonblocking(true).unwrap();
    let frame = peer::frame(peer::BINARY, &[b'x'; 50_000]);
    let mut stalled = 0;
    let mut at = 0;
    while stalled < 50 {
        server.turn(now, Some(Duration::from_millis(1)), None).unwrap();
        match deaf.write(&frame[at..]) {
            Ok(n) => (at, stalled) = ((at + n) % frame.len(), 0),
            Err(_) => stalled += 1,
        }
    }
    let start = Instant::now();
    server.turn(now, Some(Duration::from_millis(50)), None).unwrap();
    assert!(start.elapsed() >= Duration::from_millis(45), "{:?}", start.elapsed());
}

#[test]
fn after_close_a_client_has_five_seconds_to_end_its_side() {
    let mut server = server("/websocket", limits());
    let start = Instant::now();
    let mut stream = peer::tcp(server.local_port());
    stream.write_all(peer::request("/websocket").as_bytes()).unwrap();
    stream.write_all(&peer::frame(peer::CLOSE, b"")).unwrap();
    turn_until(&mut server, start, "accepted", |server| server.client_count() == 1);
    for _ in 0..10 {
        server.turn(start, Some(Duration::from_millis(1)), None).unwrap();
    }
    peer::read_head(&mut stream);
    assert_eq!(peer::read_frame(&mut stream), (peer::CLOSE, vec![]));
    peer::assert_eof(&mut stream);
    server.turn(start + Duration::from_millis(4_900), Some(Duration::ZERO), None).unwrap();
    assert_eq!(server.client_count(), 1);
    server.turn(start + Duration::from_millis(5_100), Some(Duration::ZERO), None).unwrap();
    assert_eq!(server.client_count(), 0);
}

#[test]
fn a_stop_says_going_away_and_ends_when_all_have_answered() {
    let server = Running::start(limits());
    let mut clients: Vec<_> = (0..5).map(|_| peer::raw(server.port)).collect();
    let mut unborn = peer::tcp(server.port);
    unborn.write_all(b"GET /").unwrap();
    server.wait_for("all there", |server| server.client_count() == 6);
    server.ask(|server| server.stop(Instant::now()));
    let start = Instant::now();
    peer::assert_eof(&mut unborn);
    for client in &mut clients {
        assert_eq!(peer::read_close_code(client), 1001);
        client.write_all(&peer::frame(peer::CLOSE, &peer::close(1001, ""))).unwrap();
        peer::assert_eof(client);
    }
    drop(clients);
    server.wait_for("over", |server| server.is_over());
    assert!(start.elapsed() < Duration::from_millis(1_900), "{:?}", start.elapsed());
    assert!(TcpStream::connect(("127.0.0.1", server.port)).is_err());
}

#[test]
fn a_stop_waits_two_seconds_for_who_does_not_answer() {
    let mut server = server("/websocket", limits());
    let start = Instant::now();
    let mut mute = peer::tcp(server.local_port());
    mute.write_all(peer::request("/websocket").as_bytes()).unwrap();
    turn_until(&mut server, start, "accepted", |server| server.client_count() == 1);
    for _ in 0..5 {
        server.turn(start, Some(Duration::from_millis(1)), None).unwrap();
    }
    peer::read_head(&mut mute);
    server.stop(start);
    for millis in [0, 1, 1_900] {
        server.turn(start + Duration::from_millis(millis), Some(Duration::ZERO), None).unwrap();
        assert!(!server.is_over(), "{millis} ms");
    }
    assert_eq!(peer::read_close_code(&mut mute), 1001);
    server.turn(start + Duration::from_millis(2_100), Some(Duration::ZERO), None).unwrap();
    assert!(server.is_over());
}
