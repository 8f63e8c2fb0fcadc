//! Messages that do not fit the buffer.

use std::thread;

use super::*;

const SIZE: usize = 1_000_003;

fn payload(seed: usize) -> Vec<u8> {
    (0..SIZE).map(|n| b'a' + ((n * 7 + seed) % 26) as u8).collect()
}

/// A frame, masked where the peer is a client.
fn wire(first: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let mut wire = vec![first, if mask.is_some() { 0xff } else { 127 }];
    wire.extend_from_slice(&(payload.len() as u64).to_be_bytes());
    wire.extend_from_slice(mask.as_ref().map_or(&[], |mask| &mask[..]));
    wire.extend(payload.iter().enumerate().map(|(n, byte)| byte ^ mask.map_or(0, |mask| mask[n % 4])));
    wire
}

/// Written by a thread, since the socket does not hold it all. Other frames stand around and between.
fn sent(mut peer: TcpStream, mask: Option<[u8; 4]>) -> thread::JoinHandle<TcpStream> {
    let short = |text: &[u8]| {
        let mut wire = vec![0x81, text.len() as u8 | if mask.is_some() { 0x80 } else { 0 }];
        wire.extend_from_slice(mask.as_ref().map_or(&[], |mask| &mask[..]));
        wire.extend(text.iter().enumerate().map(|(n, byte)| byte ^ mask.map_or(0, |mask| mask[n % 4])));
        wire
    };
    let all = [
        short(b"before"),
        wire(0x82, &payload(0), mask),
        wire(0x81, &payload(1), mask),
        short(b"between"),
        wire(0x82, &payload(2), mask),
    ]
    .concat();
    thread::spawn(move || {
        peer.write_all(&all).unwrap();
        peer
    })
}

fn check(c: &mut Connection) {
    assert_eq!(next(c), Got::Message(Kind::Text, b"before".to_vec()));
    assert!(next(c) == Got::Message(Kind::Binary, payload(0)));
    assert!(next(c) == Got::Message(Kind::Text, payload(1)));
    assert_eq!(next(c), Got::Message(Kind::Text, b"between".to_vec()));
    assert!(next(c) == Got::Message(Kind::Binary, payload(2)));
}

#[test]
fn among_small_ones_for_both_roles() {
    let (mut c, peer) = client(SIZE);
    let writer = sent(peer, None);
    check(&mut c);
    writer.join().unwrap();

    let (near, peer) = pair();
    let mut c = Connection::server(Stream::plain(near), Vec::new(), SIZE);
    let writer = sent(peer, Some([1, 20, 130, 255]));
    check(&mut c);
    writer.join().unwrap();
}

#[test]
fn the_buffer_can_be_taken_and_given_back() {
    let (mut c, peer) = client(SIZE);
    let writer = sent(peer, None);
    let mut buffers = Vec::new();
    while buffers.len() < 3 {
        match c.read() {
            Read::Large(_, message) => {
                let message = std::mem::take(message);
                assert!(message == payload(buffers.len()));
                // Room for a separator.
                assert!(message.capacity() > SIZE);
                buffers.push(message.as_ptr());
                c.reuse(message);
            }
            Read::Got(_) => {}
            Read::Lost(lost) => panic!("{lost:?}"),
            Read::Blocked => wait(&c, c.interest(true)),
        }
    }
    assert!(buffers.iter().all(|at| *at == buffers[0]), "one buffer for all: {buffers:?}");
    writer.join().unwrap();
}

#[test]
fn the_buffer_can_come_back_while_the_next_message_does() {
    // Early it takes the place of the new one, late it does not; either way the message is whole.
    for late in [false, true] {
        let (mut c, mut peer) = client(SIZE);
        let spare = vec![b'?'; SIZE + 1];
        let at = spare.as_ptr();
        let wire = wire(0x81, &payload(3), None);
        let (head, rest) = wire.split_at(if late { 800_000 } else { 200_000 });
        let (head, rest) = (head.to_vec(), rest.to_vec());
        let came = head.len() as u64;
        let (go, gone) = std::sync::mpsc::channel();
        let writer = thread::spawn(move || {
            peer.write_all(&head).unwrap();
            gone.recv().unwrap();
            peer.write_all(&rest).unwrap();
            peer
        });
        while c.received() < came {
            assert_eq!(c.read(), Read::Blocked);
            if c.received() < came {
                wait(&c, c.interest(true));
            }
        }
        c.reuse(spare);
        go.send(()).unwrap();
        loop {
            match c.read() {
                Read::Large(_, message) => {
                    assert!(*message == payload(3));
                    assert_eq!(message.as_ptr() == at, !late);
                    break;
                }
                Read::Blocked => {}
                other => panic!("{other:?}"),
            }
            wait(&c, c.interest(true));
        }
        writer.join().unwrap();
    }
}

#[test]
fn a_turn_takes_no_more_than_it_may() {
    let (mut c, peer) = client(SIZE);
    let writer = sent(peer, None);
    assert_eq!(next(&mut c), Got::Message(Kind::Text, b"before".to_vec()));
    let mut before = c.received();
    loop {
        c.allow(10_000);
        let blocked = c.read() == Read::Blocked;
        assert!(c.received() - before <= 10_000);
        before = c.received();
        if !blocked {
            break;
        }
        if !c.is_held() {
            wait(&c, c.interest(true));
        }
    }
    c.allow(usize::MAX);
    assert!(next(&mut c) == Got::Message(Kind::Text, payload(1)));
    assert_eq!(next(&mut c), Got::Message(Kind::Text, b"between".to_vec()));
    assert!(next(&mut c) == Got::Message(Kind::Binary, payload(2)));
    writer.join().unwrap();
}

#[test]
fn what_is_wrong_with_them() {
    // Text that is not UTF-8, in its last byte.
    let mut text = payload(0);
    text[SIZE - 1] = 0xc3;
    let violation = Lost::Violation(1007, "text that is not UTF-8".into());
    // Above the limit, masked by a server, with a reserved bit.
    let large = wire(0x82, &payload(0), None);
    let masked = wire(0x82, &payload(0), Some([1; 4]));
    let cases = [
        (wire(0x81, &text, None), SIZE, 1007, violation),
        (large.clone(), SIZE - 1, 1009, Lost::TooLarge(SIZE - 1)),
        (masked, SIZE, 1002, Lost::Violation(1002, String::new())),
        (wire(0xc2, &payload(0), None), SIZE, 1002, Lost::Violation(1002, String::new())),
    ];
    for (wire, limit, code, expected) in cases {
        let (mut c, mut peer) = client(limit);
        let mut writer = peer.try_clone().unwrap();
        let writer = thread::spawn(move || writer.write_all(&wire));
        let Got::Lost(lost) = next(&mut c) else { panic!("{expected:?}") };
        match (&lost, &expected) {
            (Lost::Violation(code, _), Lost::Violation(other, text)) if text.is_empty() => {
                assert_eq!(code, other)
            }
            _ => assert_eq!(lost, expected),
        }
        assert_eq!(next(&mut c), Got::Lost(lost));
        c.finish();
        let (first, reason) = frame(&mut peer);
        assert_eq!((first, &reason[..2]), (0x88, &u16::to_be_bytes(code)[..]));
        drop(c);
        // It fails where not all was read.
        let _ = writer.join().unwrap();
    }
}

#[test]
fn one_that_ends_too_early_is_no_message() {
    let (mut c, mut peer) = client(SIZE);
    peer.write_all(b"\x81\x01x").unwrap();
    peer.write_all(&wire(0x82, &payload(0), None)[..200_000]).unwrap();
    drop(peer);
    assert_eq!(next(&mut c), Got::Message(Kind::Text, b"x".to_vec()));
    assert_eq!(next(&mut c), Got::Lost(Lost::Eof));
    assert_eq!(next(&mut c), Got::Lost(Lost::Eof));
}
