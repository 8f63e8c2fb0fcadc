//! Messages and Close, as RFC 6455 has them.

use std::{io::Write, net::Shutdown, thread};

use tungstenite::{
    Error, Message,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use super::{Running, limits, peer};

#[test]
fn messages_come_back_as_they_went() {
    let server = Running::start(limits());
    let mut socket = peer::tungstenite(server.port);
    let messages = [
        Message::text("hello"),
        Message::text(""),
        Message::binary(Vec::new()),
        Message::binary(&b"\x00\xff\x80text"[..]),
        Message::text("Grüße\u{1F600}\u{0}\n"),
        Message::binary(vec![7; 125]),
        Message::binary(vec![7; 126]),
        Message::binary(vec![7; 65_535]),
        Message::binary(vec![7; 65_536]),
        // Above `Limits::part`: comes back in fragments, the text cut inside a character.
        Message::binary((0..5_000_000).map(|n| n as u8).collect::<Vec<_>>()),
        Message::text(format!("x{}", "ü".repeat(1_500_000))),
    ];
    for message in messages {
        socket.send(message.clone()).unwrap();
        let reply = socket.read().unwrap();
        assert!(reply == message, "{} bytes came back as {} bytes", message.len(), reply.len());
    }
    socket.close(None).unwrap();
    assert!(matches!(socket.read(), Ok(Message::Close(None))));
    assert!(matches!(socket.read(), Err(Error::ConnectionClosed)));
    server.wait_for("gone", |server| server.client_count() == 0);
    assert_eq!(server.ask(|server| (server.served, server.messages)), (1, 11));
}

#[test]
fn a_message_up_to_a_mebibyte_is_one_frame() {
    let server = Running::start(limits());
    let mut stream = peer::raw(server.port);
    let data = vec![b'x'; 1 << 20];
    stream.write_all(&peer::frame(peer::BINARY, &data)).unwrap();
    let (first, payload) = peer::read_frame(&mut stream);
    assert_eq!(first, peer::BINARY);
    assert!(payload == data);
}

#[test]
fn fragments_are_put_together_around_a_ping() {
    let server = Running::start(limits());
    let mut stream = peer::raw(server.port);
    for (first, payload) in [(0x01, "Gr\u{fc}".as_bytes()), (peer::PING, b"p"), (0x00, b""), (0x80, b"n")] {
        stream.write_all(&peer::frame(first, payload)).unwrap();
    }
    assert_eq!(peer::read_frame(&mut stream), (peer::PONG, b"p".to_vec()));
    assert_eq!(peer::read_frame(&mut stream), (peer::TEXT, "Grün".as_bytes().to_vec()));
}

#[test]
fn a_pong_unasked_is_nothing() {
    let server = Running::start(limits());
    let mut stream = peer::raw(server.port);
    stream.write_all(&peer::frame(peer::PONG, b"unasked")).unwrap();
    stream.write_all(&peer::frame(peer::TEXT, b"next")).unwrap();
    assert_eq!(peer::read_frame(&mut stream), (peer::TEXT, b"next".to_vec()));
}

#[test]
fn close_is_answered_and_the_server_ends_the_connection() {
    let server = Running::start(limits());
    let bodies = [peer::close(1000, ""), peer::close(1001, "bye \u{1b}[31m"), peer::close(4999, "x"), vec![]];
    for body in bodies {
        let mut stream = peer::raw(server.port);
        stream.write_all(&peer::frame(peer::TEXT, b"last")).unwrap();
        stream.write_all(&peer::frame(peer::CLOSE, &body)).unwrap();
        assert_eq!(peer::read_frame(&mut stream), (peer::TEXT, b"last".to_vec()));
        let (first, payload) = peer::read_frame(&mut stream);
        assert_eq!(first, peer::CLOSE);
        assert_eq!(payload.get(..2), body.get(..2), "{body:?}");
        peer::assert_eof(&mut stream);
        drop(stream);
        server.wait_for("gone", |server| server.client_count() == 0);
    }
}

#[test]
fn tungstenite_closes_with_a_code() {
    let server = Running::start(limits());
    let mut socket = peer::tungstenite(server.port);
    socket.close(Some(CloseFrame { code: CloseCode::Away, reason: "going".into() })).unwrap();
    match socket.read().unwrap() {
        Message::Close(Some(frame)) => assert_eq!(frame.code, CloseCode::Away),
        other => panic!("{other:?}"),
    }
    assert!(matches!(socket.read(), Err(Error::ConnectionClosed)));
}

#[test]
fn violations_are_closed_with_their_code() {
    let server = Running::start(limits());
    let unmasked = vec![peer::TEXT, 1, b'x'];
    let fragmented_ping = peer::frame(0x09, b"p");
    let huge = [&[peer::BINARY, 0xff][..], &(1_u64 << 63).to_be_bytes()[..], &[0; 4]].concat();
    let cases = [
        ("unmasked", unmasked, 1002),
        ("reserved opcode", peer::frame(0x83, b"x"), 1002),
        ("reserved bit", peer::frame(0xc1, b"x"), 1002),
        ("fragmented ping", fragmented_ping, 1002),
        ("continuation of nothing", peer::frame(0x80, b"x"), 1002),
        ("not UTF-8", peer::frame(peer::TEXT, b"\xff\xfe"), 1007),
        ("2^63 bytes", huge, 1002),
        ("above the limit", peer::frame(peer::BINARY, &vec![0; (8 << 20) + 1]), 1009),
    ];
    for (what, bytes, code) in cases {
        let mut stream = peer::raw(server.port);
        // What comes before a violation is echoed, what comes after it is dropped.
        stream.write_all(&peer::frame(peer::TEXT, what.as_bytes())).unwrap();
        stream.write_all(&bytes).unwrap();
        stream.write_all(&peer::frame(peer::TEXT, b"after")).unwrap();
        assert_eq!(peer::read_frame(&mut stream), (peer::TEXT, what.as_bytes().to_vec()));
        assert_eq!(peer::read_close_code(&mut stream), code, "{what}");
        peer::assert_eof(&mut stream);
    }
    server.wait_for("gone", |server| server.client_count() == 0);
}

#[test]
fn a_message_at_the_limit_passes_also_in_fragments() {
    let server = Running::start(super::Limits::new(1000));
    let mut stream = peer::raw(server.port);
    stream.write_all(&peer::frame(0x02, &[1; 600])).unwrap();
    stream.write_all(&peer::frame(0x80, &[1; 400])).unwrap();
    assert_eq!(peer::read_frame(&mut stream), (peer::BINARY, vec![1; 1000]));
    stream.write_all(&peer::frame(0x02, &[1; 600])).unwrap();
    stream.write_all(&peer::frame(0x80, &[1; 401])).unwrap();
    assert_eq!(peer::read_close_code(&mut stream), 1009);
}

#[test]
fn who_stops_sending_still_gets_the_replies() {
    let server = Running::start(limits());
    let mut stream = peer::raw(server.port);
    for n in 0..1000_u32 {
        stream.write_all(&peer::frame(peer::BINARY, &n.to_be_bytes())).unwrap();
    }
    stream.shutdown(Shutdown::Write).unwrap();
    for n in 0..1000_u32 {
        assert_eq!(peer::read_frame(&mut stream), (peer::BINARY, n.to_be_bytes().to_vec()));
    }
    peer::assert_eof(&mut stream);
}

#[test]
fn many_messages_at_once_keep_their_order() {
    let server = Running::start(limits());
    let mut stream = peer::raw(server.port);
    let mut writer = stream.try_clone().unwrap();
    let sending = thread::spawn(move || {
        for n in 0..50_000_u32 {
            writer.write_all(&peer::frame(peer::BINARY, &n.to_be_bytes())).unwrap();
        }
    });
    let mut reader = std::io::BufReader::new(&mut stream);
    for n in 0..50_000_u32 {
        assert_eq!(peer::read_frame(&mut reader), (peer::BINARY, n.to_be_bytes().to_vec()));
    }
    sending.join().unwrap();
}

#[test]
fn a_hundred_clients_at_once() {
    let server = Running::start(limits());
    let mut sockets: Vec<_> = (0..100).map(|_| peer::tungstenite(server.port)).collect();
    assert_eq!(server.ask(|server| server.client_count()), 100);
    for round in 0..3 {
        for (n, socket) in sockets.iter_mut().enumerate() {
            socket.send(Message::text(format!("{round} {n}"))).unwrap();
        }
        for (n, socket) in sockets.iter_mut().enumerate() {
            assert_eq!(socket.read().unwrap(), Message::text(format!("{round} {n}")));
        }
    }
    drop(sockets);
    server.wait_for("gone", |server| server.client_count() == 0);
    assert_eq!(server.ask(|server| (server.served, server.messages)), (100, 300));
}
