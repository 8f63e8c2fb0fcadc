//! RFC 6455's frames and its closing handshake at the program's boundary. tests/conformance/rfc6455.tsv says
//! which statement is tested where.

use std::{collections::HashSet, io, time::Duration};

use crate::{
    conformance_ws::frames,
    support::{
        bash, hex,
        scripted::{Conn, Scripted, frame},
        wspipe,
    },
};

/// A server that sends these bytes behind its answer.
fn sending(bytes: Vec<u8>, then: impl Fn(&mut Conn) -> io::Result<()> + Send + Sync + 'static) -> Scripted {
    Scripted::start(move |conn| {
        conn.upgrade()?;
        conn.write(&bytes)?;
        then(conn)
    })
}

/// What is sent, and a good message behind it, end the connection with Close and this code and print nothing.
#[track_caller]
fn fails_with(code: u16, bytes: Vec<u8>, name: &str, texts: &[&str]) {
    let bytes = [bytes, frame(0x81, b"behind")].concat();
    let server = sending(bytes, Conn::drain);
    let run = wspipe(["cat", &server.ws("/"), "--no-stdin", "--close-timeout", "0.3"]).run();
    let seen = server.finish();
    if run.stderr.is_empty() {
        run.fail(name);
    }
    run.status(8).stdout_is("").one_line(texts).within(Duration::from_secs(5));
    let frames = frames(&seen[0]);
    assert_eq!(frames.len(), 1, "{name}: Close alone");
    assert_eq!((frames[0].first, &frames[0].payload[..2]), (0x88, &code.to_be_bytes()[..]), "{name}");
}

// --- Frames of ours

#[test]
fn frames_are_masked_each_with_its_own_key() {
    let lengths = [0, 1, 125, 126, 127, 65_535, 65_536];
    let mut input: Vec<u8> = lengths.iter().flat_map(|n| [vec![b'x'; *n], b"\n".to_vec()].concat()).collect();
    input.extend(b"same\n".repeat(600));
    for (args, opcode) in [(&[][..], 0x81), (&["-b"], 0x82)] {
        let server = Scripted::start(|conn| {
            conn.upgrade()?;
            conn.write(frame(0x89, b"").repeat(40))?;
            conn.messages_to_close().map(drop)
        });
        let run = wspipe(["cat", &server.ws("/"), "-w", "0.3", "--ping-interval", "0.05"]);
        run.args(args).stdin(input.clone()).run().status(0);
        let seen = server.finish();
        let frames = frames(&seen[0]);
        let count = |first: u8| frames.iter().filter(|frame| frame.first == first).count();
        assert_eq!(count(opcode), lengths.len() + 600);
        assert!(count(0x8a) > 0 && count(0x89) > 0, "pongs and pings: {} {}", count(0x8a), count(0x89));
        assert_eq!((count(0x88), frames.last().expect("some").first), (1, 0x88), "Close is the last");
        let sent = frames.iter().filter(|frame| frame.first == opcode).map(|frame| frame.payload.len());
        assert!(sent.take(lengths.len()).eq(lengths), "in order, whole");
        let keys: HashSet<[u8; 4]> = frames.iter().map(|frame| frame.key).collect();
        assert!(keys.len() + 1 >= frames.len(), "{} keys for {} frames", keys.len(), frames.len());
        // No step from one key to the next tells the one after it.
        let steps: HashSet<u32> = frames
            .windows(2)
            .map(|pair| u32::from_be_bytes(pair[1].key).wrapping_sub(u32::from_be_bytes(pair[0].key)))
            .collect();
        assert!(steps.len() + 2 >= frames.len(), "{} steps for {} frames", steps.len(), frames.len());
    }
}

// --- Frames of the server's

#[test]
fn reserved_bits_fail_the_connection() {
    for first in [0x81, 0x82, 0x88, 0x89, 0x8a] {
        for bits in [0x40, 0x20, 0x10, 0x70] {
            let name = format!("{:#x}", first | bits);
            fails_with(1002, frame(first | bits, b"\x03\xe8"), &name, &["eserved bits"]);
        }
    }
    for bits in [0x40, 0x20, 0x10] {
        let bytes = [frame(0x01, b"a"), frame(0x80 | bits, b"b")].concat();
        fails_with(1002, bytes, "a continuation", &["eserved bits"]);
    }
}

#[test]
fn reserved_opcodes_fail_the_connection() {
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        for payload in [&b""[..], b"xy"] {
            fails_with(1002, frame(0x80 | opcode, payload), &format!("opcode {opcode}"), &["opcode"]);
        }
    }
}

#[test]
fn masked_frames_fail_the_connection() {
    for bytes in ["81 81 00000000 78", "82 80 01020304", "89 80 01020304", "88 82 00000000 03e8"] {
        fails_with(1002, hex(bytes), bytes, &["mask"]);
    }
    fails_with(1002, hex("01 01 61  80 81 00000000 62"), "a continuation", &["mask"]);
}

#[test]
fn lengths_that_are_not_in_the_shortest_form_fail_the_connection() {
    let long = [hex("82 7f 000000000000ffff"), vec![b'x'; 65_535]].concat();
    fails_with(1002, long, "65535 in 8 bytes", &["length"]);
    for bytes in [
        "81 7e 0005 68656c6c6f",
        "82 7e 0000",
        "81 7f 0000000000000005 68656c6c6f",
        "89 7e 0001 78",
        "8a 7f 0000000000000000",
        "88 7e 0002 03e8",
        "01 7e 0001 61",
        // The highest of the 64 bits is not one of the length's.
        "82 7f 8000000000000000",
        "82 7f ffffffffffffffff",
    ] {
        fails_with(1002, hex(bytes), bytes, &["length"]);
    }
    // What follows the peer's Close is nothing, however it is made.
    let server = sending([frame(0x88, b"\x03\xe8"), hex("81 7e 0001 78")].concat(), Conn::end);
    wspipe(["cat", &server.ws("/"), "--no-stdin"]).run().status(0).stdout_is("");
    server.finish();
}

#[test]
fn text_that_is_not_utf8_fails_the_connection() {
    for (name, bytes) in [
        ("a lone continuation byte", frame(0x81, b"a\x80")),
        ("a surrogate", frame(0x81, b"\xed\xa0\x80")),
        ("above U+10FFFF", frame(0x81, b"\xf4\x90\x80\x80")),
        ("an overlong form", frame(0x81, b"\xc0\xaf")),
        ("cut at the message's end", [frame(0x01, b"a\xe2\x82"), frame(0x80, b"")].concat()),
        ("in a later fragment", [frame(0x01, b"\xc3"), frame(0x80, b"(")].concat()),
    ] {
        fails_with(1007, bytes, name, &["UTF-8"]);
    }
    let reason = frame(0x88, b"\x03\xe8\xc3(");
    fails_with(1007, reason, "a Close reason", &["UTF-8"]);
}

#[test]
fn fragments_are_one_message_in_their_order() {
    let bytes = [
        frame(0x01, b"f\xc3"),
        frame(0x00, b"\xbcr \xe2"),
        frame(0x00, b""),
        frame(0x89, b"between"),
        frame(0x00, b"\x82"),
        frame(0x8a, b"nobody asked"),
        frame(0x80, b"\xac"),
        // A new one, of the other type: no UTF-8.
        frame(0x02, b"\xff"),
        frame(0x80, b"!"),
        frame(0x81, b"whole"),
    ];
    let server = sending(bytes.concat(), |conn| conn.close(1000, ""));
    let run = wspipe(["cat", &server.ws("/"), "--no-stdin", "--out", "json"]).run();
    server.finish();
    run.status(0).says_nothing();
    let out = String::from_utf8(run.stdout.clone()).expect("JSON");
    let expected = [
        r#"{"type":"ping","payload":"between","#,
        r#"{"type":"pong","payload":"nobody asked","#,
        "{\"type\":\"text\",\"payload\":\"f\u{fc}r \u{20ac}\",",
        r#"{"type":"binary","payload_base64":"/yE=","#,
        r#"{"type":"text","payload":"whole","#,
        r#"{"type":"close","code":1000,"#,
    ];
    assert_eq!(out.lines().count(), expected.len(), "{out}");
    assert!(out.lines().zip(expected).all(|(line, start)| line.starts_with(start)), "{out}");
}

#[test]
fn a_ping_within_a_message_is_answered_before_its_end() {
    let server = Scripted::start(|conn| {
        conn.upgrade()?;
        for ping in [vec![], vec![0xff; 125]] {
            conn.write([frame(0x01, b"he"), frame(0x89, &ping)].concat())?;
            assert_eq!(conn.frame()?, (0x8a, ping), "the same bytes come back");
            conn.write(frame(0x80, b"llo"))?;
        }
        conn.close(1000, "")
    });
    wspipe(["cat", &server.ws("/"), "--no-stdin"]).run().status(0).stdout_is("hello\nhello\n");
    server.finish();
}

#[test]
fn a_ping_is_answered_up_to_the_peers_close_and_not_after_it() {
    let server = Scripted::start(|conn| {
        conn.upgrade()?;
        conn.write(frame(0x81, b"x"))?;
        assert_eq!(conn.frame()?, (0x88, hex("03e8")), "our Close");
        conn.write(frame(0x89, b"still there?"))?;
        assert_eq!(conn.frame()?, (0x8a, b"still there?".to_vec()));
        conn.write([frame(0x88, &hex("03e8")), frame(0x89, b"no more")].concat())?;
        conn.end()
    });
    let run = wspipe(["cat", &server.ws("/"), "--no-stdin", "-C1"]).run();
    let seen = server.finish();
    run.status(0).stdout_is("x\n").says_nothing();
    assert_eq!(frames(&seen[0]).len(), 2, "Close and one Pong");
}

// --- Close

#[test]
fn the_peers_close_is_answered_and_nothing_follows() {
    for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999] {
        let body = [&u16::to_be_bytes(code)[..], "gr\u{fc}n".as_bytes()].concat();
        let server = sending(frame(0x88, &body), Conn::end);
        // Input without an end, none of which may follow.
        let script = r#"yes | "$WSPIPE" cat "$1" --quiet; exit "${PIPESTATUS[1]}""#;
        bash(script, [server.ws("/")]).run();
        let seen = server.finish();
        let frames = frames(&seen[0]);
        let last = frames.last().expect("Close");
        assert_eq!((last.first, &last.payload), (0x88, &body), "the code that came goes back");
        assert_eq!(frames.iter().filter(|frame| frame.first == 0x88).count(), 1);
    }
}

#[test]
fn the_server_ends_tcp_first() {
    // By whom Close began does not matter.
    for begun_by_us in [true, false] {
        let server = Scripted::start(move |conn| {
            conn.upgrade()?;
            conn.write(frame(0x81, b"x"))?;
            if !begun_by_us {
                conn.write(frame(0x88, &hex("03e8")))?;
            }
            assert_eq!(conn.frame()?, (0x88, hex("03e8")));
            if begun_by_us {
                conn.write(frame(0x88, &hex("03e8")))?;
            }
            assert!(conn.is_quiet(Duration::from_millis(60))?, "no end of TCP yet");
            conn.end()
        });
        let args: &[&str] = if begun_by_us { &["-C1"] } else { &[] };
        wspipe(["cat", &server.ws("/"), "--no-stdin"]).args(args).run().status(0).stdout_is("x\n");
        server.finish();
    }
}
