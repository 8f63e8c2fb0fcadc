//! The machines in virtual time: what the loop tells them, and what they ask of it.

use bytes::Bytes;

use super::*;
use crate::config::{self, Endpoint, Tls, url};

mod stalls;

const SECOND: Duration = Duration::from_secs(1);

fn endpoint(text: &str, purpose: url::Purpose) -> Endpoint {
    Endpoint {
        url: url::parse(text, purpose).expect("a good URL").0,
        headers: Vec::new(),
        subprotocols: Vec::new(),
        connect_timeout: 30 * SECOND,
        close_timeout: 5 * SECOND,
        max_message: 1 << 20,
        proxy: config::ProxyRules::default(),
        tls: Tls::default(),
        route: config::Route::default(),
        redirects: None,
        connect_login: false,
        timing: None,
    }
}

fn echo(count: Option<u64>, interval: Duration) -> Box<dyn Machine> {
    let options = config::Echo {
        message: Bytes::from_static(b"hello"),
        binary: false,
        count,
        interval,
        skip: 0,
        max_rtt: None,
        timeout: 10 * SECOND,
        raw: false,
        report: config::Report::default(),
    };
    let mode = Mode::Echo(endpoint("ws://h/", url::Purpose::WebSocket), options);
    machine(&mode, world()).expect("echo connects")
}

fn world() -> World {
    World {
        seed: 1,
        terminal: false,
        stderr_terminal: false,
        last_byte: None,
        started: (Instant::now(), 0),
        zone: Zone::utc,
    }
}

fn login() -> config::Mqtt {
    config::Mqtt {
        version: Some(config::Version::V311),
        client_id: None,
        keep_session: false,
        session_expiry: None,
        keep_alive: 0,
        username: None,
        password: None,
        will: None,
        receive_maximum: None,
        connect_properties: config::ConnectProperties::default(),
        disconnect_session_expiry: None,
        disconnect_user_properties: Vec::new(),
        ack_timeout: 30 * SECOND,
    }
}

fn round_trip(count: Option<u64>, interval: Duration) -> Box<dyn Machine> {
    let options = config::RoundTrip {
        mqtt: login(),
        topic: "t".to_owned(),
        message: Bytes::from_static(b"hello"),
        qos: config::QoS::AtMostOnce,
        retain: false,
        count,
        interval,
        max_rtt: None,
        timeout: 10 * SECOND,
        report: config::Report::default(),
    };
    let mode = Mode::RoundTrip(endpoint("mqtt://h", url::Purpose::Mqtt), options);
    machine(&mode, world()).expect("mqtt connects")
}

fn connected(machine: &mut dyn Machine, now: Instant) {
    machine.handle_connected(&Established::default(), now + 30 * SECOND, now);
    machine.handle_timeout(now);
}

/// Hands all to the kernel: how many messages it was.
fn sent(machine: &mut dyn Machine, now: Instant) -> usize {
    let count = std::iter::from_fn(|| machine.poll_transmit(now)).count();
    machine.handle_sent(now);
    count
}

fn text(machine: &mut dyn Machine, text: &str, now: Instant) {
    machine.handle_received(Received::Message(crate::proto::link::Kind::Text, text.as_bytes()), now);
}

/// CONNACK, SUBACK, and what was published comes back, in MQTT 3.1.1.
fn one_round(machine: &mut dyn Machine, now: Instant) {
    let binary = crate::proto::link::Kind::Binary;
    let packets: [&[u8]; 3] = [b"\x20\x02\0\0", b"\x90\x03\0\x01\0", b"\x30\x08\0\x01thello"];
    connected(machine, now);
    sent(machine, now);
    for packet in packets {
        machine.handle_received(Received::Message(binary, packet), now);
        sent(machine, now);
    }
}

#[test]
fn output_takes_no_more_room_than_what_is_pending() {
    let mut out = OutBuffer::default();
    out.push(&[b'x'; 1000]);
    for _ in 0..10_000 {
        out.push(&[b'x'; 100]);
        out.written(100);
        assert_eq!(out.pending().len(), 1000);
    }
    assert!(out.data.capacity() < 10_000, "{}", out.data.capacity());
}

#[test]
fn echoes_wait_for_the_socket_and_for_replies() {
    let now = Instant::now();
    let mut machine = echo(Some(u64::MAX), Duration::from_nanos(1));
    connected(&mut *machine, now);
    for n in 0..1000 {
        machine.handle_timeout(now + SECOND + Duration::from_nanos(n));
    }
    // The first one was never taken: no more are made, and no timer that is past keeps the loop awake.
    assert!(machine.poll_deadline().is_some_and(|at| at > now + 2 * SECOND));
    assert_eq!(sent(&mut *machine, now + SECOND), 1);
    let mut all = 1;
    for n in 0..200_000 {
        machine.handle_timeout(now + SECOND + Duration::from_nanos(n));
        all += sent(&mut *machine, now + SECOND);
    }
    assert!(all < 100_000, "{all} without a reply");
    assert!(machine.poll_deadline().is_some_and(|at| at > now + 2 * SECOND));
    text(&mut *machine, "hello", now + 2 * SECOND);
    assert!(machine.poll_deadline().is_some_and(|at| at <= now + 2 * SECOND), "there is room for one more");
}

#[test]
fn a_verdict_outlives_the_reader_of_stdout() {
    let now = Instant::now();
    let mut machine = echo(None, Duration::ZERO);
    connected(&mut *machine, now);
    text(&mut *machine, "something else", now);
    machine.handle_output_closed(now);
    assert_eq!(machine.take_outcome().map_err(|failure| failure.kind), Err(Kind::TestFailed));

    // Before there is one, it is a quiet end.
    let mut machine = echo(Some(3), SECOND);
    connected(&mut *machine, now);
    machine.handle_output_closed(now);
    assert!(machine.is_closing());
    assert_eq!(machine.take_outcome(), Ok(()));

    // A signal neither makes one nor takes it back.
    let mut machine = echo(None, Duration::ZERO);
    connected(&mut *machine, now);
    machine.handle_timeout(now + 11 * SECOND);
    machine.handle_stop(now + 11 * SECOND);
    assert_eq!(machine.take_outcome().map_err(|failure| failure.kind), Err(Kind::TimedOut));
}

#[test]
fn a_health_check_that_prints_nothing_needs_no_reader() {
    let now = Instant::now();
    let mut machine = round_trip(None, SECOND);
    machine.handle_output_closed(now);
    assert_eq!(machine.poll_next(), Next::Connect);
    connected(&mut *machine, now);
    machine.handle_output_closed(now);
    assert!(!machine.is_closing());

    let mut machine = round_trip(Some(3), SECOND);
    connected(&mut *machine, now);
    machine.handle_output_closed(now);
    assert!(machine.is_closing());
    assert_eq!(machine.take_outcome(), Ok(()));
}

#[test]
fn nothing_is_due_once_it_is_over() {
    let now = Instant::now();
    let mut machine = round_trip(Some(3), 2 * SECOND);
    one_round(&mut *machine, now);
    assert_eq!(machine.poll_deadline(), Some(now + 2 * SECOND), "the next round");
    machine.handle_stop(now + SECOND);
    sent(&mut *machine, now + SECOND);
    assert_eq!(machine.poll_deadline(), None);
    machine.handle_lost(Lost::Closed, Handed::default(), now + SECOND);
    assert_eq!(machine.poll_deadline(), None);
}

#[test]
fn limits_rest_while_nothing_is_read() {
    let now = Instant::now();
    let mut echo = echo(Some(3), Duration::ZERO);
    connected(&mut *echo, now);
    let mut round_trip = round_trip(Some(3), Duration::ZERO);
    one_round(&mut *round_trip, now);
    for mut machine in [echo, round_trip] {
        machine.handle_timeout(now);
        sent(&mut *machine, now);
        machine.handle_reading(false, now + SECOND);
        assert_eq!(machine.poll_deadline(), None);
        machine.handle_timeout(now + 600 * SECOND);
        assert!(!machine.is_closing());
        machine.handle_reading(true, now + 600 * SECOND);
        assert_eq!(machine.poll_deadline(), Some(now + 610 * SECOND));
        machine.handle_timeout(now + 610 * SECOND);
        assert_eq!(machine.take_outcome().map_err(|failure| failure.kind), Err(Kind::TimedOut));
    }
}

#[test]
fn a_close_that_came_before_our_disconnect_is_told() {
    let now = Instant::now();
    let mut machine = round_trip(Some(3), SECOND);
    one_round(&mut *machine, now);
    machine.handle_stop(now);
    machine.handle_received(Received::Close(Some((1008, "enough"))), now);
    machine.handle_lost(Lost::Closed, Handed::default(), now);
    let failure = machine.take_outcome().expect_err("DISCONNECT did not leave");
    assert_eq!(failure.kind, Kind::Lost);
    assert!(
        failure.text.ends_with("sending DISCONNECT: the server closed the connection (code 1008: enough)")
    );
}

#[test]
fn a_short_stall_does_not_hide_the_long_one_before() {
    let begun = Instant::now();
    let at = |seconds| begun + Duration::from_secs(seconds);
    let mut stalls = Stalls::default();
    assert_eq!(stalls.seconds(at(0)), None);
    for (from, to) in [(10, 50), (52, 54)] {
        stalls.handle(false, at(from));
        stalls.handle(true, at(to));
    }
    assert_eq!(stalls.seconds(at(55)), Some(40));
    stalls.handle(false, at(60));
    assert_eq!(stalls.seconds(at(62)), Some(40), "still the longest");
    assert_eq!(stalls.seconds(at(200)), Some(140), "the one that goes on");
    stalls.handle(true, at(201));
    assert_eq!(stalls.seconds(at(262)), None, "a minute later");
}
