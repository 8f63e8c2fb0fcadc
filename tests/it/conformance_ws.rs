//! RFC 6455's opening handshake at the program's boundary: what goes out, and which answers are refused.
//! tests/conformance/rfc6455.tsv says which statement is tested where.

use std::{
    collections::HashSet,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use rustix::process::Signal;

use crate::support::{
    Run,
    scripted::{Conn, Scripted, accept_head, header},
    wait_until, wait_within, wspipe,
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
pub struct Frame {
    pub first: u8,
    pub key: [u8; 4],
    pub payload: Vec<u8>,
}

/// The frames behind a client's request. Each is masked, and its length in the shortest form.
#[track_caller]
pub fn frames(seen: &[u8]) -> Vec<Frame> {
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
fn one_connection_at_a_time() {
    let open = AtomicUsize::new(0);
    let server = Scripted::start(move |conn| {
        open.fetch_add(1, Ordering::SeqCst);
        // The upgrade is held back until the client has ended the connection before it.
        assert!(wait_within(Duration::from_secs(5), || open.load(Ordering::SeqCst) == 1), "two at once");
        conn.upgrade()?;
        let ended = conn.close(1001, "again");
        open.fetch_sub(1, Ordering::SeqCst);
        ended
    });
    let running = wspipe(["cat", &server.ws("/"), "--reconnect", "--no-stdin", "-d"]).start();
    assert!(wait_until(|| running.stderr_so_far().matches("CONNECTED").count() >= 4));
    running.signal(Signal::TERM);
    running.finish().signalled(Signal::TERM);
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
        b"Sec-WebSocket-Protocol: \xff\r\n",
    ] {
        refused(&OFFER, more(line), &["ubprotocol"]);
    }
    refused(&[], more(b"Sec-WebSocket-Protocol: a\r\n"), &["ubprotocol"]);
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
