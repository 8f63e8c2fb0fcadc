//! Statements of RFC 6455 for a client, at the program's boundary: what it puts on the wire, and what it refuses.
//! tests/conformance/rfc6455.tsv says which statement is tested where.

use std::{collections::HashSet, io, time::Duration};

use crate::support::{
    Run, bash, hex,
    scripted::{Conn, Scripted, accept_head, frame, header},
    wspipe,
};

/// What a server answers to a request's head, changed by `edit`; gives the client's run and all it sent.
#[track_caller]
fn answered(args: &[&str], edit: impl Fn(String) -> Vec<u8> + Send + Sync + 'static) -> (Run, Vec<u8>) {
    let server = Scripted::start(move |conn| {
        let head = conn.head()?;
        conn.write(edit(accept_head(&head)))?;
        conn.messages_to_close().map(drop)
    });
    let run = wspipe(["cat", &server.ws("/"), "--quiet"]).args(args).stdin("late\n").run();
    let mut seen = server.finish();
    assert_eq!(seen.len(), 1, "one connection");
    (run, seen.remove(0))
}

/// The answer is refused as a violation, and the client sends no byte behind its request.
#[track_caller]
fn refused(args: &[&str], edit: impl Fn(String) -> Vec<u8> + Send + Sync + 'static, texts: &[&str]) {
    let (run, seen) = answered(args, edit);
    run.status(8).stdout_is("").one_line(texts);
    assert!(seen.ends_with(b"\r\n\r\n"), "nothing is sent over what is no WebSocket: {seen:?}");
}

/// The answer is taken: the message of stdin arrives.
#[track_caller]
fn taken(args: &[&str], edit: impl Fn(String) -> Vec<u8> + Send + Sync + 'static) {
    let (run, seen) = answered(&[&["-w", "0.01"], args].concat(), edit);
    run.status(0);
    let frames = frames(&seen);
    assert_eq!((frames[0].first, frames[0].payload.as_slice()), (0x81, &b"late"[..]));
}

/// A frame of a client's.
struct Frame {
    first: u8,
    key: [u8; 4],
    payload: Vec<u8>,
}

/// The frames behind a client's request. Each is masked, and its length in the shortest form.
#[track_caller]
fn frames(seen: &[u8]) -> Vec<Frame> {
    let start = seen.windows(4).position(|w| w == b"\r\n\r\n").expect("a request") + 4;
    let mut rest = &seen[start..];
    let mut all = Vec::new();
    while let [first, second, more @ ..] = rest {
        assert_eq!(second & 0x80, 0x80, "frame {} is masked", all.len());
        let (length, wide) = match second & 0x7f {
            126 => (more[..2].iter().fold(0, |n, b| n << 8 | usize::from(*b)), 2),
            127 => (more[..8].iter().fold(0, |n, b| n << 8 | usize::from(*b)), 8),
            short => (usize::from(short), 0),
        };
        let form = if length < 126 {
            0
        } else if length < 65_536 {
            2
        } else {
            8
        };
        assert_eq!(wide, form, "the length {length} has its shortest form");
        let key = more[wide..wide + 4].try_into().expect("four bytes");
        let masked = &more[wide + 4..wide + 4 + length];
        let payload = masked.iter().zip(<[u8; 4]>::into_iter(key).cycle()).map(|(b, k)| b ^ k).collect();
        all.push(Frame { first: *first, key, payload });
        rest = &more[wide + 4 + length..];
    }
    all
}

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

fn lines_called(head: &str, name: &str) -> usize {
    head.lines()
        .filter(|line| line.split_once(':').is_some_and(|(n, _)| n.eq_ignore_ascii_case(name)))
        .count()
}

// --- The opening handshake

#[test]
fn resource_names() {
    for (tail, target) in [
        ("", "/"),
        ("/", "/"),
        ("?q=1", "/?q=1"),
        ("/chat/%20?a=/b?c", "/chat/%20?a=/b?c"),
        ("/a%23b", "/a%23b"),
        ("/\u{e9}?\u{20ac}", "/%C3%A9?%E2%82%AC"),
    ] {
        let server = Scripted::start(|conn| {
            conn.head()?;
            conn.write("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")?;
            conn.end()
        });
        wspipe(["echo", &server.ws(tail)]).run().status(22);
        let seen = server.finish();
        let line = format!("GET {target} HTTP/1.1\r\n");
        assert!(seen[0].starts_with(line.as_bytes()), "{tail}: {}", String::from_utf8_lossy(&seen[0]));
    }
}

#[test]
fn a_url_that_is_none_opens_no_connection() {
    let server = Scripted::start(Conn::drain);
    for (tail, text) in [("/#top", "fragment"), ("#", "fragment"), ("/a b", "space"), ("/%2", "'%'")] {
        wspipe(["cat", &server.ws(tail)]).run().status(2).stdout_is("").says(&[text]);
    }
    for scheme in ["http", "https", "tcp"] {
        let url = server.ws("/").replacen("ws", scheme, 1);
        wspipe(["cat", &url]).run().status(2);
    }
    assert_eq!(server.finish().len(), 0);
}

#[test]
fn the_host_header() {
    let server = Scripted::start(|conn| {
        conn.head()?;
        conn.write("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")?;
        conn.end()
    });
    let there = format!("::127.0.0.1:{}", server.port());
    let expected = [
        ("ws://Host.example/", "host.example"),
        ("ws://host.example:80/", "host.example"),
        ("ws://host.example:443/", "host.example:443"),
        ("ws://[::1]:8080/", "[::1]:8080"),
        ("ws://[2001:db8::1]/", "[2001:db8::1]"),
        ("ws://user:word@192.0.2.7/", "192.0.2.7"),
    ];
    for (url, _) in expected {
        wspipe(["echo", url, "--connect-to", &there]).run().status(22);
    }
    let seen = server.finish();
    for ((url, host), head) in expected.iter().zip(&seen) {
        let head = String::from_utf8_lossy(head);
        assert_eq!((header(&head, "Host"), lines_called(&head, "Host")), (Some(*host), 1), "{url}: {head}");
    }
}

#[test]
fn every_command_sends_each_header_once() {
    for (command, rest) in [
        ("echo", &[][..]),
        ("cat", &["--no-stdin"]),
        ("mqtt", &[]),
        ("pub", &["-t", "a", "-m", "b"]),
        ("sub", &["-t", "a", "--no-reconnect"]),
        ("rr", &["-t", "a", "-m", "b"]),
    ] {
        let server = Scripted::start(|conn| {
            conn.head()?;
            conn.write("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")?;
            conn.end()
        });
        wspipe([command, &server.ws("/x")]).args(rest).run().status(22);
        let seen = server.finish();
        let head = String::from_utf8(seen[0].clone()).expect("ASCII");
        let lines: Vec<&str> = head.strip_suffix("\r\n\r\n").expect("its end").split("\r\n").collect();
        assert_eq!(lines[0], "GET /x HTTP/1.1");
        assert!(lines[1..].iter().all(|line| line.contains(": ") && !line.contains(['\r', '\n'])), "{head}");
        for name in ["Host", "Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version"] {
            assert_eq!(lines_called(&head, name), 1, "{command}, {name}: {head}");
        }
        assert_eq!(header(&head, "Upgrade"), Some("websocket"));
        assert_eq!(header(&head, "Connection"), Some("Upgrade"));
        assert_eq!(header(&head, "Sec-WebSocket-Version"), Some("13"));
        assert_eq!(lines_called(&head, "Sec-WebSocket-Extensions"), 0, "no extension is offered");
        assert_eq!(lines_called(&head, "Origin"), 0, "no browser");
    }
}

#[test]
fn a_key_is_sixteen_random_bytes_for_each_connection() {
    // Two connections of one process, and one of each of three others.
    let server = Scripted::start(|conn| match conn.index {
        0 => {
            conn.upgrade()?;
            conn.end()
        }
        _ => {
            conn.head()?;
            conn.write("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")?;
            conn.end()
        }
    });
    wspipe(["cat", &server.ws("/"), "--reconnect", "--no-stdin"]).run().status(22);
    for _ in 0..3 {
        wspipe(["echo", &server.ws("/")]).run().status(22);
    }
    let seen = server.finish();
    assert_eq!(seen.len(), 5);
    let nonces: HashSet<Vec<u8>> = seen
        .iter()
        .map(|head| {
            let head = String::from_utf8_lossy(head);
            let key = header(&head, "Sec-WebSocket-Key").expect("a key");
            data_encoding::BASE64.decode(key.as_bytes()).expect("base64 with its padding")
        })
        .collect();
    assert!(nonces.iter().all(|nonce| nonce.len() == 16), "{nonces:?}");
    assert_eq!(nonces.len(), 5, "each is another: {nonces:?}");
}

#[test]
fn nothing_is_sent_before_the_answer() {
    let server = Scripted::start(|conn| {
        let head = conn.head()?;
        assert!(conn.is_quiet(Duration::from_millis(300))?, "not a byte behind the request");
        conn.write(accept_head(&head))?;
        assert_eq!(conn.message()?, (0x81, b"first".to_vec()));
        conn.messages_to_close().map(drop)
    });
    wspipe(["cat", &server.ws("/"), "-w", "0.01", "--on-open", "first"]).stdin("x\n").run().status(0);
    server.finish();
}

#[test]
fn upgrade_and_connection_in_the_answer() {
    let with = |old: &'static str, new: &'static str| {
        move |answer: String| answer.replacen(old, new, 1).into_bytes()
    };
    let upgrade = |new| with("Upgrade: websocket\r\n", new);
    for good in ["Upgrade: WebSocket\r\n", "upgrade:\t WEBSOCKET \r\n"] {
        taken(&[], upgrade(good));
    }
    for bad in [
        "",
        "Upgrade:\r\n",
        "Upgrade: websockets\r\n",
        "Upgrade: h2c, websocket\r\n",
        "Upgrade: websocket\r\nUpgrade: websocket\r\n",
        "Upgrade: web\u{17f}ocket\r\n",
    ] {
        refused(&[], upgrade(bad), &["Upgrade"]);
    }
    let connection = |new| with("Connection: Upgrade\r\n", new);
    for good in ["connection: upgrade\r\n", "Connection: keep-alive , UPGRADE\r\n"] {
        taken(&[], connection(good));
    }
    for bad in ["", "Connection: close\r\n", "Connection: Upgraded\r\n", "Connection: Up grade\r\n"] {
        refused(&[], connection(bad), &["Connection"]);
    }
    refused(&[], with("HTTP/1.1", "HTTP/1.0"), &["HTTP/1.0"]);
}

#[test]
fn sec_websocket_accept_in_the_answer() {
    fn edit(change: fn(&str) -> String) -> impl Fn(String) -> Vec<u8> + Send + Sync + 'static {
        move |answer| {
            let right = header(&answer, "Sec-WebSocket-Accept").expect("it is there").to_owned();
            let line = format!("Sec-WebSocket-Accept: {right}\r\n");
            answer.replacen(&line, &change(&right), 1).into_bytes()
        }
    }
    taken(&[], edit(|right| format!("sec-websocket-accept: \t{right} \t\r\n")));
    let changes: [fn(&str) -> String; 6] = [
        |_| String::new(),
        |_| "Sec-WebSocket-Accept:\r\n".into(),
        |right| format!("Sec-WebSocket-Accept: {}\r\n", right.to_lowercase().replace('=', "")),
        |right| format!("Sec-WebSocket-Accept: {right}=\r\n"),
        |right| format!("Sec-WebSocket-Accept: {right}\r\nSec-WebSocket-Accept: {right}\r\n"),
        // The right one of two does not help.
        |right| format!("Sec-WebSocket-Accept: {right}\r\nSec-WebSocket-Accept: x\r\n"),
    ];
    for change in changes {
        refused(&[], edit(change), &["Sec-WebSocket-Accept"]);
    }
}

/// One more line of the answer.
fn more(line: &'static [u8]) -> impl Fn(String) -> Vec<u8> + Send + Sync + 'static {
    move |answer| {
        let plain = answer.replace("Sec-WebSocket-Protocol: a, b\r\n", "");
        let head = plain.strip_suffix("\r\n").expect("its end");
        [head.as_bytes(), line, b"\r\n"].concat()
    }
}

#[test]
fn extensions_in_the_answer() {
    for line in [
        &b"Sec-WebSocket-Extensions: permessage-deflate\r\n"[..],
        b"sec-websocket-extensions: foo; a=\"b c\"\r\n",
        b"Sec-WebSocket-Extensions:\r\n",
        b"Sec-WebSocket-Extensions: , ,\r\n",
        b"Sec-WebSocket-Extensions: \xff\xfe\r\n",
        b"Sec-WebSocket-Extensions:\r\nSec-WebSocket-Extensions: x\r\n",
    ] {
        refused(&[], more(line), &["xtension"]);
    }
}

#[test]
fn subprotocols_in_the_answer() {
    const OFFER: [&str; 4] = ["--subprotocol", "a", "--subprotocol", "b"];
    taken(&OFFER, more(b"Sec-WebSocket-Protocol: b\r\n"));
    taken(&OFFER, more(b""));
    for line in [
        &b"Sec-WebSocket-Protocol: c\r\n"[..],
        b"Sec-WebSocket-Protocol: A\r\n",
        b"Sec-WebSocket-Protocol: a, b\r\n",
        b"Sec-WebSocket-Protocol: a,\r\n",
        b"Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: a\r\n",
        b"Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b\r\n",
        b"Sec-WebSocket-Protocol:\r\n",
        b"Sec-WebSocket-Protocol: \xff\r\n",
    ] {
        refused(&OFFER, more(line), &["ubprotocol"]);
    }
    refused(&[], more(b"Sec-WebSocket-Protocol: a\r\n"), &["ubprotocol"]);
    refused(&[], more(b"Sec-WebSocket-Protocol:\r\n"), &["ubprotocol"]);
}

/// In TLS the first byte is the handshake's, and none of the request leaves in clear.
#[cfg(feature = "tls")]
#[test]
fn no_request_leaves_before_tls() {
    let server = Scripted::start(|conn| conn.drain());
    let url = server.ws("/").replacen("ws", "wss", 1);
    wspipe(["echo", &url, "--connect-timeout", "0.3"]).run().status(28).says(&["TLS"]);
    let seen = server.finish();
    assert_eq!(seen[0][0], 0x16, "a record of the handshake");
    assert!(!seen[0].windows(4).any(|w| w == b"GET " || w == b"Host"), "{:?}", seen[0]);
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
    run.status(0);
    let texts: Vec<&str> = run.stderr.lines().collect();
    assert!(texts.is_empty(), "{texts:?}");
    let out = String::from_utf8(run.stdout.clone()).expect("JSON");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 3, "{out}");
    assert!(lines[0].contains("f\u{fc}r \u{20ac}") && lines[0].contains("text"), "{out}");
    assert!(lines[1].contains("binary") && lines[2].contains("whole"), "{out}");
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
