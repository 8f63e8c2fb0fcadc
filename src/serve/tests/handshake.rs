//! Requests, good and bad.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use super::{Running, limits, peer, server, turn_until};

#[test]
fn the_answer_to_a_good_request() {
    let server = Running::start(limits());
    let mut stream = peer::tcp(server.port);
    stream.write_all(peer::request("/websocket").as_bytes()).unwrap();
    let head = peer::read_head(&mut stream);
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    // The accept value of RFC 6455 section 1.3.
    assert!(head.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{head}");
    assert!(!head.contains("Protocol:"), "{head}");
}

#[test]
fn both_families_of_localhost() {
    let server = Running::start(limits());
    let mut reached = 0;
    for address in ["127.0.0.1", "::1"] {
        let Ok(mut stream) = TcpStream::connect((address, server.port)) else { continue };
        stream.write_all(peer::request("/websocket").as_bytes()).unwrap();
        assert!(peer::read_head(&mut stream).starts_with("HTTP/1.1 101 "), "{address}");
        reached += 1;
    }
    let sockets = server.ask(|server| server.listeners.len());
    assert_eq!(reached, sockets);
}

#[test]
fn the_first_subprotocol_offered_is_chosen() {
    let server = Running::start(limits());
    let mut stream = peer::tcp(server.port);
    let offer = "Sec-WebSocket-Protocol: chat.v2, mqtt\r\nSec-WebSocket-Protocol: x\r\n";
    stream.write_all(peer::request_with("/websocket", offer).as_bytes()).unwrap();
    let head = peer::read_head(&mut stream);
    assert!(head.contains("\r\nSec-WebSocket-Protocol: chat.v2\r\n"), "{head}");
}

#[test]
fn another_path_is_404_and_names_the_right_one() {
    let server = Running::start(limits());
    for path in ["/", "/websocket/", "/Websocket", "/elsewhere?/websocket"] {
        let answer = peer::exchange(server.port, peer::request(path).as_bytes());
        assert!(answer.starts_with("HTTP/1.1 404 "), "{path}: {answer}");
        assert!(answer.contains("\r\nConnection: close\r\n"), "{path}: {answer}");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(body.contains(" /websocket "), "{path}: {body}");
        assert!(answer.contains(&format!("\r\nContent-Length: {}\r\n", body.len())), "{path}: {answer}");
    }
}

#[test]
fn a_query_does_not_matter_and_the_root_takes_any_path() {
    let named = Running::at("/websocket?a", limits());
    let root = Running::at("/", limits());
    for (port, path) in [(named.port, "/websocket?token=1"), (root.port, "/any/path"), (root.port, "/")] {
        let mut stream = peer::tcp(port);
        stream.write_all(peer::request(path).as_bytes()).unwrap();
        assert!(peer::read_head(&mut stream).starts_with("HTTP/1.1 101 "), "{path}");
    }
}

#[test]
fn refusals_have_their_status_and_an_end() {
    let server = Running::start(limits());
    let good = peer::request("/websocket");
    let cases = [
        (good.replace("GET", "POST"), "405"),
        (good.replace("Upgrade: websocket\r\n", ""), "426"),
        (good.replace("Version: 13", "Version: 8"), "426"),
        (good.replace("HTTP/1.1", "HTTP/1.0"), "400"),
        (good.replace("dGhl", "dGh"), "400"),
        (String::from("\0\u{1}\u{2}garbage\r\n\r\n"), "400"),
        (String::from("hello\n"), "400"),
        (format!("GET /websocket HTTP/1.1\r\nHost: x\r\nX: {}", "y".repeat(70_000)), "431"),
    ];
    for (request, status) in cases {
        let answer = peer::exchange(server.port, request.as_bytes());
        let start = &request[..request.len().min(80)];
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{start:?}: {answer:?}");
        assert_eq!(status == "426", answer.contains("\r\nSec-WebSocket-Version: 13\r\n"), "{answer}");
    }
    server.wait_for("all gone", |server| server.client_count() == 0);
}

#[test]
fn a_refusal_arrives_although_the_client_goes_on_sending() {
    let server = Running::start(limits());
    let body = "x".repeat(300_000);
    let request = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n{body}");
    let answer = peer::exchange(server.port, request.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer:?}");
}

#[test]
fn a_tls_handshake_ends_without_an_answer() {
    let server = Running::start(limits());
    let answer = peer::exchange(server.port, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
    assert_eq!(answer, "");
}

#[test]
fn a_request_byte_by_byte() {
    let server = Running::start(limits());
    let mut stream = peer::tcp(server.port);
    stream.set_nodelay(true).unwrap();
    for byte in peer::request("/websocket").as_bytes() {
        stream.write_all(&[*byte]).unwrap();
    }
    assert!(peer::read_head(&mut stream).starts_with("HTTP/1.1 101 "));
}

#[test]
fn frames_that_came_with_the_request_are_not_lost() {
    let server = Running::start(limits());
    let mut stream = peer::tcp(server.port);
    let mut bytes = peer::request("/websocket").into_bytes();
    bytes.extend(peer::frame(peer::TEXT, b"early"));
    bytes.extend(&peer::frame(peer::BINARY, b"half of this")[..7]);
    stream.write_all(&bytes).unwrap();
    peer::read_head(&mut stream);
    assert_eq!(peer::read_frame(&mut stream), (peer::TEXT, b"early".to_vec()));
    stream.write_all(&peer::frame(peer::BINARY, b"half of this")[7..]).unwrap();
    assert_eq!(peer::read_frame(&mut stream), (peer::BINARY, b"half of this".to_vec()));
}

#[test]
fn half_a_request_has_ten_seconds() {
    let mut server = server("/websocket", limits());
    let start = Instant::now();
    let mut silent = peer::tcp(server.local_port());
    let mut half = peer::tcp(server.local_port());
    half.write_all(b"GET /websocket HTTP/1.1\r\nHost:").unwrap();
    turn_until(&mut server, start, "accepted", |server| server.client_count() == 2);

    let early = start + Duration::from_millis(9_900);
    for _ in 0..5 {
        server.turn(early, Some(Duration::from_millis(1)), None).unwrap();
    }
    half.set_nonblocking(true).unwrap();
    assert!(half.read(&mut [0]).is_err(), "refused too early");
    half.set_nonblocking(false).unwrap();

    let late = start + Duration::from_millis(10_100);
    for _ in 0..5 {
        server.turn(late, Some(Duration::from_millis(1)), None).unwrap();
    }
    for stream in [&mut half, &mut silent] {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
    // Neither closes its side: it has the closing time, and no more.
    assert_eq!(server.client_count(), 2);
    turn_until(&mut server, late + Duration::from_secs(6), "gone", |server| server.client_count() == 0);
}

#[test]
fn a_client_that_leaves_before_its_request_is_forgotten() {
    let server = Running::start(limits());
    let mut stream = peer::tcp(server.port);
    stream.write_all(b"GET / HT").unwrap();
    server.wait_for("accepted", |server| server.client_count() == 1);
    drop(stream);
    server.wait_for("forgotten", |server| server.client_count() == 0);
}
