//! Both sides over loopback: a `Connection` and a scripted peer, or two `Connection`s.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    time::Duration,
};

use bytes::Bytes;

use super::*;
use crate::sys::{PollFd, poll};

mod large;

const LIMIT: usize = 64 << 20;

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let far = listener.accept().unwrap().0;
    far.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    (near, far)
}

/// A client and the bare socket of its peer.
fn client(limit: usize) -> (Connection, TcpStream) {
    let (near, far) = pair();
    (Connection::client(Stream::plain(near), Vec::new(), limit, Established::default()), far)
}

fn plain() -> (Connection, TcpStream) {
    let (near, far) = pair();
    (Connection::plain(Stream::plain(near), Established::default()), far)
}

/// An owned copy of what a read gave.
#[derive(Debug, PartialEq, Eq)]
enum Got {
    Message(Kind, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
    Lost(Lost),
}

fn wait(connection: &Connection, flags: PollFlags) {
    let mut fds = [PollFd::new(connection, flags)];
    poll(&mut fds, Some(Duration::from_secs(20))).unwrap();
    assert!(!fds[0].revents().is_empty(), "nothing within 20 s");
}

fn next(connection: &mut Connection) -> Got {
    loop {
        match connection.read() {
            Read::Got(received) => return own(received),
            Read::Large(kind, data) => return Got::Message(kind, data.clone()),
            Read::Lost(lost) => return Got::Lost(lost),
            Read::Blocked => {}
        }
        wait(connection, connection.interest(true));
    }
}

fn own(received: Received<'_>) -> Got {
    match received {
        Received::Message(kind, data) => Got::Message(kind, data.to_vec()),
        Received::Ping(data) => Got::Ping(data.to_vec()),
        Received::Pong(data) => Got::Pong(data.to_vec()),
        Received::Close(c) => Got::Close(c.map(|(code, r)| (code, r.to_owned()))),
    }
}

fn text(data: &str) -> Transmit {
    Transmit::message(Kind::Text, Bytes::copy_from_slice(data.as_bytes()))
}

fn binary(len: usize) -> Transmit {
    Transmit::message(Kind::Binary, (0..len).map(|i| (i * 7) as u8).collect::<Vec<u8>>().into())
}

fn close(code: u16, reason: &str) -> Transmit {
    Transmit::Close { code: Some(code), reason: reason.to_owned() }
}

/// One frame off the wire: first byte, unmasked payload.
fn frame(peer: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut head = [0; 2];
    peer.read_exact(&mut head).unwrap();
    assert_eq!(head[1] & 0x80, 0x80, "a client masks");
    let len = match head[1] & 0x7f {
        126 => {
            let mut bytes = [0; 2];
            peer.read_exact(&mut bytes).unwrap();
            usize::from(u16::from_be_bytes(bytes))
        }
        127 => {
            let mut bytes = [0; 8];
            peer.read_exact(&mut bytes).unwrap();
            usize::try_from(u64::from_be_bytes(bytes)).unwrap()
        }
        len => usize::from(len),
    };
    let mut mask = [0; 4];
    peer.read_exact(&mut mask).unwrap();
    let mut payload = vec![0; len];
    peer.read_exact(&mut payload).unwrap();
    payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    (head[0], payload)
}

#[test]
fn messages_both_ways_and_the_count_of_bytes() {
    let (mut c, mut peer) = client(LIMIT);
    c.send(text("hello")).unwrap();
    c.send(binary(300)).unwrap();
    c.send(binary(70_000)).unwrap();
    assert!(c.queued() > 0 || c.sent() > 0);
    while !c.flush().unwrap() {
        wait(&c, c.interest(false));
    }
    assert_eq!(c.queued(), 0);
    assert_eq!(c.sent(), (2 + 4 + 5) + (4 + 4 + 300) + (10 + 4 + 70_000));
    assert_eq!(frame(&mut peer), (0x81, b"hello".to_vec()));
    assert_eq!(frame(&mut peer).1.len(), 300);
    assert_eq!(frame(&mut peer).1[69_999], (69_999_u32 * 7) as u8);

    // A fragmented text with a Ping in the middle, then an empty binary message.
    peer.write_all(b"\x01\x02he\x89\x01!\x80\x03llo\x82\x00").unwrap();
    let before = c.sent();
    assert_eq!(next(&mut c), Got::Ping(b"!".to_vec()));
    assert_eq!((c.queued(), c.sent() - before), (0, 2 + 4 + 1), "the Pong goes at once");
    assert_eq!(next(&mut c), Got::Message(Kind::Text, b"hello".to_vec()));
    assert_eq!(next(&mut c), Got::Message(Kind::Binary, Vec::new()));
    assert!(c.flush().unwrap());
    assert_eq!(frame(&mut peer), (0x8a, b"!".to_vec()));
    assert_eq!(c.read(), Read::Blocked);
}

#[test]
fn fragments_as_they_were_asked_for() {
    let (mut c, mut peer) = client(LIMIT);
    for (payload, first, last) in [("a", true, false), ("b", false, false), ("c", false, true)] {
        let payload = Bytes::from_static(payload.as_bytes());
        c.send(Transmit::Data { kind: Kind::Text, payload, first, last }).unwrap();
    }
    c.flush().unwrap();
    assert_eq!(frame(&mut peer), (0x01, b"a".to_vec()));
    assert_eq!(frame(&mut peer), (0x00, b"b".to_vec()));
    assert_eq!(frame(&mut peer), (0x80, b"c".to_vec()));
}

#[test]
fn bytes_read_with_the_head_come_first() {
    let (near, mut far) = pair();
    let ahead = b"\x81\x02hi\x82\x03ab".to_vec();
    let mut c = Connection::client(Stream::plain(near), ahead, LIMIT, Established::default());
    assert_eq!(next(&mut c), Got::Message(Kind::Text, b"hi".to_vec()));
    assert_eq!(c.read(), Read::Blocked);
    far.write_all(b"c").unwrap();
    assert_eq!(next(&mut c), Got::Message(Kind::Binary, b"abc".to_vec()));
}

#[test]
fn large_message_to_a_slow_reader() {
    const LEN: usize = 32 << 20;
    let (mut c, mut peer) = client(LIMIT);
    c.send(binary(LEN)).unwrap();
    let whole = LEN + 10 + 4;
    assert_eq!(c.flush(), Ok(false), "no socket takes 32 MiB at once");
    assert_eq!(c.queued() + c.sent() as usize, whole);
    assert_eq!(c.interest(false), PollFlags::OUT);
    let reader = std::thread::spawn(move || {
        let mut received = Vec::new();
        let mut buf = vec![0; 30_000];
        while received.len() < whole {
            let n = peer.read(&mut buf).unwrap();
            received.extend_from_slice(&buf[..n]);
        }
        received
    });
    while !c.flush().unwrap() {
        assert_eq!(c.queued() + c.sent() as usize, whole);
        wait(&c, c.interest(false));
    }
    let received = reader.join().unwrap();
    assert_eq!(received[..2], [0x82, 0xff]);
    let mask = &received[10..14];
    assert!((0..LEN).all(|i| received[14 + i] ^ mask[i % 4] == (i * 7) as u8));
}

#[test]
fn closing_by_us() {
    let (mut c, mut peer) = client(LIMIT);
    let long = "ä".repeat(100);
    c.send(close(1000, &long)).unwrap();
    assert_eq!(c.send(text("late")), Err(Lost::Closed));
    assert_eq!(c.send(close(1001, "again")), Ok(()));
    assert!(c.flush().unwrap());
    let (first, payload) = frame(&mut peer);
    assert_eq!((first, &payload[..2]), (0x88, &1000_u16.to_be_bytes()[..]));
    // 123 bytes would cut a character in two.
    assert_eq!(payload[2..], long.as_bytes()[..122]);
    // What comes before the answer is still given out.
    peer.write_all(b"\x81\x01x\x88\x02\x03\xe8").unwrap();
    assert_eq!(next(&mut c), Got::Message(Kind::Text, b"x".to_vec()));
    assert_eq!(next(&mut c), Got::Close(Some((1000, String::new()))));
    peer.shutdown(Shutdown::Both).unwrap();
    assert_eq!(next(&mut c), Got::Lost(Lost::Closed));
    assert_eq!(next(&mut c), Got::Lost(Lost::Closed));
}

#[test]
fn closing_by_the_peer() {
    let (mut c, mut peer) = client(LIMIT);
    peer.write_all(b"\x88\x06\x03\xf3oops\x81\x01x").unwrap();
    assert_eq!(next(&mut c), Got::Close(Some((1011, String::from("oops")))));
    assert_eq!(c.send(text("late")), Err(Lost::Closed));
    assert!(c.queued() > 0);
    assert!(c.flush().unwrap());
    assert_eq!(frame(&mut peer), (0x88, b"\x03\xf3oops".to_vec()));
    // What follows Close is discarded.
    assert_eq!(c.read(), Read::Blocked);
    drop(peer);
    assert_eq!(next(&mut c), Got::Lost(Lost::Closed));

    let (mut c, mut peer) = client(LIMIT);
    peer.write_all(b"\x88\x00").unwrap();
    assert_eq!(next(&mut c), Got::Close(None));
}

#[test]
fn violations_are_answered_and_sticky() {
    let cases: [(&[u8], u16, Lost); 6] = [
        (b"\x81\x02\xc3\x28\x81\x01x", 1007, Lost::Violation(1007, "text that is not UTF-8".into())),
        (b"\xc1\x01x\x81\x01x", 1002, Lost::Violation(1002, "Reserved bits are non-zero".into())),
        (b"\x81\x81\x00\x00\x00\x00x\x81\x01x", 1002, Lost::Violation(1002, String::new())),
        (b"\x81\x7e\x00\x01x\x81\x01x", 1002, Lost::Violation(1002, String::new())),
        (b"\x82\x7e\x10\x01", 1009, Lost::TooLarge(4096)),
        (b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", 1009, Lost::TooLarge(4096)),
    ];
    for (bytes, code, expected) in cases {
        let (mut c, mut peer) = client(4096);
        peer.write_all(bytes).unwrap();
        let Got::Lost(lost) = next(&mut c) else { panic!("{bytes:x?}") };
        match (&lost, &expected) {
            (Lost::Violation(code, _), Lost::Violation(expected, text)) if text.is_empty() => {
                assert_eq!(code, expected);
            }
            _ => assert_eq!(lost, expected),
        }
        assert_eq!(next(&mut c), Got::Lost(lost));
        assert!(c.finish());
        let (first, payload) = frame(&mut peer);
        assert_eq!((first, &payload[..2]), (0x88, &code.to_be_bytes()[..]), "{bytes:x?}");
    }
}

#[test]
fn message_above_the_limit_in_fragments() {
    let (mut c, mut peer) = client(10);
    peer.write_all(b"\x02\x06aaaaaa\x80\x06bbbbbb").unwrap();
    assert_eq!(next(&mut c), Got::Lost(Lost::TooLarge(10)));
}

#[test]
fn end_without_close_and_reset() {
    let (mut c, mut peer) = client(LIMIT);
    peer.write_all(b"\x81\x01x\x81\x05ab").unwrap();
    drop(peer);
    assert_eq!(next(&mut c), Got::Message(Kind::Text, b"x".to_vec()));
    assert_eq!(next(&mut c), Got::Lost(Lost::Eof));

    let (mut c, mut peer) = client(LIMIT);
    c.send(text("unread")).unwrap();
    c.flush().unwrap();
    peer.write_all(b"\x81\x04last").unwrap();
    // The peer goes with data unread: a reset. What it had sent before must still be readable.
    poll(&mut [PollFd::new(&peer, PollFlags::IN)], Some(Duration::from_secs(20))).unwrap();
    wait(&c, PollFlags::IN);
    drop(peer);
    wait(&c, PollFlags::HUP);
    while c.send(text("into the void")).and_then(|()| c.flush()).is_ok() {}
    assert!(matches!(c.flush(), Err(Lost::Io(_))), "sticky");
    assert_eq!(c.queued(), 0);
    assert_eq!(next(&mut c), Got::Message(Kind::Text, b"last".to_vec()));
    assert!(matches!(next(&mut c), Got::Lost(_)));
}

#[test]
fn long_pings_are_cut() {
    let (mut c, mut peer) = client(LIMIT);
    c.send(Transmit::Ping(vec![7; 200].into())).unwrap();
    c.flush().unwrap();
    assert_eq!(frame(&mut peer), (0x89, vec![7; 125]));
    peer.write_all(b"\x8a\x01\x07").unwrap();
    assert_eq!(next(&mut c), Got::Pong(vec![7]));
}

#[test]
fn server_and_client() {
    let (near, far) = pair();
    let mut c = Connection::client(Stream::plain(near), Vec::new(), LIMIT, Established::default());
    let mut s = Connection::server(Stream::plain(far), Vec::new(), LIMIT);
    assert!(s.established().peer.starts_with("127.0.0.1:"));
    c.send(text("hello")).unwrap();
    c.flush().unwrap();
    assert_eq!(next(&mut s), Got::Message(Kind::Text, b"hello".to_vec()));
    s.send(text("hello")).unwrap();
    s.flush().unwrap();
    assert_eq!(s.sent(), 7);
    assert_eq!(next(&mut c), Got::Message(Kind::Text, b"hello".to_vec()));
    c.send(close(1000, "")).unwrap();
    c.flush().unwrap();
    assert_eq!(next(&mut s), Got::Close(Some((1000, String::new()))));
    assert!(s.flush().unwrap());
    assert_eq!(next(&mut s), Got::Lost(Lost::Closed));
    assert!(s.finish());
    drop(s);
    assert_eq!(next(&mut c), Got::Close(Some((1000, String::new()))));
    assert_eq!(next(&mut c), Got::Lost(Lost::Closed));
}

#[test]
fn plain_bytes() {
    let (mut c, mut peer) = plain();
    c.send(text("ab")).unwrap();
    c.send(text("cd")).unwrap();
    assert_eq!(c.queued(), 4);
    assert_eq!(c.interest(true), PollFlags::IN | PollFlags::OUT);
    c.send(close(1000, "")).unwrap();
    assert_eq!(c.send(text("late")), Err(Lost::Closed));
    assert!(c.flush().unwrap());
    assert_eq!((c.queued(), c.sent()), (0, 4));
    let mut all = Vec::new();
    peer.read_to_end(&mut all).unwrap();
    assert_eq!(all, b"abcd");
    peer.write_all(b"bye").unwrap();
    assert_eq!(next(&mut c), Got::Message(Kind::Binary, b"bye".to_vec()));
    drop(peer);
    assert_eq!(next(&mut c), Got::Lost(Lost::Closed));

    let (mut c, peer) = plain();
    drop(peer);
    assert_eq!(next(&mut c), Got::Lost(Lost::Eof));
}

/// Frames as bytes, and what a reader is to get of them.
fn random_frames(seed: u64, masked: bool) -> (Vec<u8>, Vec<Got>) {
    let mut state = seed;
    let mut random = move |below: u64| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) % below
    };
    let (mut wire, mut expected) = (Vec::new(), Vec::new());
    let mut put = |first: u8, payload: &[u8], key: u32| {
        let bit = if masked { 0x80 } else { 0 };
        wire.push(first);
        match payload.len() {
            n @ 0..=125 => wire.push(bit | n as u8),
            n @ 126..=0xffff => {
                wire.push(bit | 126);
                wire.extend_from_slice(&(n as u16).to_be_bytes());
            }
            n => {
                wire.push(bit | 127);
                wire.extend_from_slice(&(n as u64).to_be_bytes());
            }
        }
        let key = if masked { key.to_be_bytes() } else { [0; 4] };
        wire.extend_from_slice(if masked { &key } else { &[] });
        wire.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    };
    for n in 0..200 {
        let len = [5, 70, 200, 70_000, 200_000][random(5) as usize].min(5 + n * n * 10);
        let text: String =
            std::iter::repeat_with(|| ['a', 'ß', '€', '🙂'][random(4) as usize]).take(len / 2).collect();
        let (kind, first) = if random(2) == 0 { (Kind::Text, 1) } else { (Kind::Binary, 2) };
        let payload = text.as_bytes();
        let key = random(1 << 32) as u32;
        match random(5) {
            0 => {
                put(0x89, b"ping", key);
                expected.push(Got::Ping(b"ping".to_vec()));
            }
            1 => {
                let middle = payload.len() / 2;
                put(first, &payload[..middle], key);
                put(0x8a, b"pong", key);
                put(0x80, &payload[middle..], key);
                expected.push(Got::Pong(b"pong".to_vec()));
                expected.push(Got::Message(kind, payload.to_vec()));
            }
            _ => {
                put(0x80 | first, payload, key);
                expected.push(Got::Message(kind, payload.to_vec()));
            }
        }
    }
    (wire, expected)
}

#[test]
fn any_frames_however_they_are_cut() {
    for seed in 0..12 {
        let masked = seed % 2 == 1;
        let (wire, expected) = random_frames(seed, masked);
        let (near, mut peer) = pair();
        let near = Stream::plain(near);
        let mut c = match masked {
            true => Connection::server(near, Vec::new(), LIMIT),
            false => Connection::client(near, Vec::new(), LIMIT, Established::default()),
        };
        let sender = std::thread::spawn(move || {
            let (mut at, mut step) = (0, 1);
            while at < wire.len() {
                step = step * 7 % 9973 + seed as usize;
                let end = (at + step * (1 + at / 100_000)).min(wire.len());
                peer.write_all(&wire[at..end]).unwrap();
                at = end;
            }
            peer
        });
        for (n, expected) in expected.into_iter().enumerate() {
            // As little at a time as makes every kind of frame stop in its middle.
            let got = loop {
                c.allow(1 + n * 100);
                match c.read() {
                    Read::Blocked => {}
                    Read::Got(received) => break own(received),
                    Read::Large(kind, data) => break Got::Message(kind, data.clone()),
                    Read::Lost(lost) => break Got::Lost(lost),
                }
                if !c.is_held() {
                    wait(&c, c.interest(true));
                }
            };
            assert!(got == expected, "seed {seed}, message {n}");
            c.flush().unwrap();
        }
        // With pongs unread, a close would reset the connection.
        let peer = sender.join().unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        c.allow(usize::MAX);
        assert_eq!(next(&mut c), Got::Lost(Lost::Eof));
    }
}

#[test]
fn plain_bytes_in_any_amount() {
    let (mut c, mut peer) = plain();
    let mut expected = Vec::new();
    for len in [1, 4096, 4097, 300_000, 10] {
        let part: Vec<u8> = (0..len).map(|n| (n * 7 + len) as u8).collect();
        let sent = part.clone();
        let writer = std::thread::spawn(move || peer.write_all(&sent).map(|()| peer));
        expected.extend(part);
        let mut came = 0;
        while came < len {
            let Got::Message(Kind::Binary, data) = next(&mut c) else { panic!("{len} bytes") };
            assert!(data == expected[..data.len()]);
            came += data.len();
            expected.drain(..data.len());
        }
        assert_eq!(came, len);
        peer = writer.join().unwrap().unwrap();
    }
}

#[test]
fn bad_text_in_one_frame_and_what_follows_close() {
    let (mut c, mut peer) = client(LIMIT);
    peer.write_all(b"\x81\x02ok\x81\x02\xc3(\x81\x02no").unwrap();
    assert_eq!(next(&mut c), Got::Message(Kind::Text, b"ok".to_vec()));
    let bad = Got::Lost(Lost::Violation(1007, String::from("text that is not UTF-8")));
    assert_eq!(next(&mut c), bad);
    assert_eq!(next(&mut c), bad);
    let (mut c, mut peer) = client(LIMIT);
    peer.write_all(b"\x81\x02ok\x88\x00\x81\x02no\x82\x01x").unwrap();
    assert_eq!(next(&mut c), Got::Message(Kind::Text, b"ok".to_vec()));
    assert_eq!(next(&mut c), Got::Close(None));
    c.flush().unwrap();
    drop(peer);
    assert_eq!(next(&mut c), Got::Lost(Lost::Closed));
    // The header of a frame that never comes whole.
    let (mut c, mut peer) = client(LIMIT);
    peer.write_all(b"\x82\x01x\x82\x7e\x01").unwrap();
    drop(peer);
    assert_eq!(next(&mut c), Got::Message(Kind::Binary, b"x".to_vec()));
    assert_eq!(next(&mut c), Got::Lost(Lost::Eof));
}
