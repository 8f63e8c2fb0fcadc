//! Whatever comes, in whatever pieces.

use super::{peer::*, *};

/// A generator of our own, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % n
    }
}

/// Everything a server may say in one go.
fn stream(version: Version) -> Vec<u8> {
    let large = "y".repeat(700);
    let mut packets = vec![connack(version, false, 0, "")];
    for n in 1..=20u16 {
        packets.push(publish(version, "t", &n.to_string(), (n % 3) as u8, n));
        packets.push(publish(version, "a/ä", &large, 2, 100 + n));
        packets.push(ack(version, PUBREL, n, 0));
        packets.push(PINGRESP.to_vec());
        packets.push(ack(version, PUBREC, 1000 + n, 0));
    }
    packets.push(publish(version, "end", "", 0, 0));
    packets.concat()
}

/// Events, and packets sent, with the stream cut as `cut` says.
fn run(version: Version, mut cut: impl FnMut() -> usize) -> (Vec<String>, Vec<String>) {
    let mut owner = Owner::new(options(version));
    owner.session.handle_connected(owner.now, owner.now + LIMIT);
    let (mut events, mut sent) = (Vec::new(), owner.sent());
    let bytes = stream(version);
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(cut().min(rest.len()));
        events.extend(owner.given(chunk));
        rest = after;
    }
    while !owner.tokens.is_empty() {
        owner.acknowledge();
    }
    sent.extend(owner.sent());
    (events, sent)
}

#[test]
fn chunks_make_no_difference() {
    for version in BOTH {
        let whole = run(version, || usize::MAX);
        assert_eq!(whole.0.last().map(String::as_str), Some("message end  q0"));
        assert!(whole.0.len() > 40 && whole.1.len() > 50, "{} {}", whole.0.len(), whole.1.len());
        assert_eq!(run(version, || 1), whole);
        for seed in 1..200 {
            let mut random = Random(seed);
            let most = 1 + random.below(300);
            assert_eq!(run(version, || 1 + random.below(most)), whole, "seed {seed}");
        }
    }
}

#[test]
fn chunks_not_drained_at_once_make_no_difference() {
    let mut owner = Owner::new(options(V5));
    owner.session.handle_connected(owner.now, owner.now + LIMIT);
    owner.sent();
    let mut random = Random(77);
    let (bytes, mut events) = (stream(V5), Vec::new());
    for chunk in bytes.chunks(37) {
        owner.session.handle_bytes(chunk, owner.now);
        for _ in 0..random.below(4) {
            events.extend(owner.session.poll_event(owner.now).map(text));
        }
    }
    events.extend(owner.events());
    assert_eq!(events, run(V5, || usize::MAX).0);
}

#[test]
fn the_in_buffer_stays_small() {
    let mut owner = Owner::connected(V5);
    // No chunk ends where a packet ends, for 10 MB.
    let packets = publish(V5, "t", &"x".repeat(90), 0, 0).repeat(1000);
    owner.given(&packets[..50]);
    for _ in 0..100 {
        let shown: usize =
            [&packets[50..], &packets[..50]].concat().chunks(997).map(|chunk| owner.given(chunk).len()).sum();
        assert_eq!(1000, shown);
        assert!(owner.session.input.bytes.capacity() < 10_000);
    }
}

#[test]
fn a_large_packet_leaves_no_large_buffer() {
    let mut owner = Owner::connected_with(Options { max_packet: 1 << 24, ..options(V5) }, "");
    for chunk in publish(V5, "t", &"x".repeat(5_000_000), 0, 0).chunks(100_000) {
        owner.given(chunk);
    }
    assert_eq!(owner.given(&publish(V5, "t", "a", 0, 0)), ["message t a q0"]);
    assert!(owner.session.input.bytes.capacity() <= 1 << 20);
}

#[test]
fn random_bytes_do_no_harm() {
    for seed in 1..3000 {
        let mut random = Random(seed);
        let version = BOTH[random.below(2)];
        let mut owner = Owner::new(options(version));
        owner.session.handle_connected(owner.now, owner.now + LIMIT);
        if random.below(4) > 0 {
            owner.given(&connack(version, false, 0, ""));
        }
        for _ in 0..20 {
            let bytes: Vec<u8> = (0..random.below(40)).map(|_| random.below(256) as u8).collect();
            owner.given(&bytes);
        }
        owner.sent();
    }
}

/// Random packets, requests, losses and pauses: no panic, and the books balance.
#[test]
fn random_lives() {
    for seed in 1..600 {
        let mut random = Random(seed);
        let version = BOTH[random.below(2)];
        let window = 1 + random.below(5) as u16;
        let mut owner = Owner::new(Options { max_inflight: window, ..options(version) });
        let (mut accepted, mut through) = (0, 0);
        let mut events = owner.connect(false, "");
        for _ in 0..300 {
            let id = 1 + random.below(8) as u16;
            let known = random.below(10) > 0;
            match random.below(12) {
                0 => accepted += u64::from(owner.publish("t", "x", 1 + (id % 2) as u8).is_ok()),
                1 => drop(owner.publish("t", "x", 0)),
                2 => events.extend(owner.given(&ack(version, PUBREC, id, 0))),
                3 => events.extend(owner.given(&ack(version, PUBCOMP, id, 0))),
                4 => events.extend(owner.given(&ack(version, PUBACK, id, 0))),
                5 => events.extend(owner.given(&publish(version, "in", "", (id % 3) as u8, id))),
                6 => events.extend(owner.given(&ack(version, PUBREL, id, 0))),
                7 if !owner.tokens.is_empty() => owner.acknowledge(),
                8 => drop(owner.sent()),
                9 => owner.pass(Duration::from_secs(3)),
                10 => owner.session.handle_timeout(owner.now),
                11 if !owner.session.is_connected() || random.below(8) == 0 => {
                    owner.lost();
                    events.extend(owner.connect(known, ""));
                }
                _ => {}
            }
            events.extend(owner.events());
            through += events.drain(..).filter(|event| event.starts_with("acknowledged")).count() as u64;
            assert_eq!(accepted, through + owner.session.in_flight() as u64, "seed {seed}");
            assert!(owner.session.in_flight() <= usize::from(window), "seed {seed}");
        }
    }
}
