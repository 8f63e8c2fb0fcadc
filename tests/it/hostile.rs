//! A WebSocket server that misbehaves: each fault has its status, one clear line, and bounded memory and time.

use std::{io, time::Duration};

use crate::support::{
    Run, hex,
    scripted::{Conn, Scripted, accept_head, frame, header},
    wspipe,
};

/// No fault of a peer is worth more memory than this.
const MIB: u64 = 24;

/// `wspipe echo` with short limits against the script.
#[track_caller]
fn echo(script: impl Fn(&mut Conn) -> io::Result<()> + Send + Sync + 'static) -> Run {
    let server = Scripted::start(script);
    let run = wspipe(["echo", &server.ws("/"), "--quiet"])
        .args(["--connect-timeout", "0.5", "--close-timeout", "0.3", "-W", "1"])
        .run();
    server.finish();
    run.below_mib(MIB).within(Duration::from_secs(5));
    run
}

/// The status, one line with these texts, nothing on stdout.
#[track_caller]
fn fails(script: impl Fn(&mut Conn) -> io::Result<()> + Send + Sync + 'static, status: i32, texts: &[&str]) {
    echo(script).status(status).stdout_is("").one_line(&[&["127.0.0.1"], texts].concat());
}

/// The client's bytes up to its first frame are read, and then these are sent.
fn replying(bytes: Vec<u8>) -> impl Fn(&mut Conn) -> io::Result<()> + Send + Sync + 'static {
    move |conn| {
        conn.upgrade()?;
        conn.frame()?;
        conn.write(&bytes)?;
        conn.drain()
    }
}

// --- Before the upgrade

#[test]
fn accepts_and_stays_silent() {
    fails(Conn::drain, 28, &["upgrade", "127.0.0.1", "0.5 s"]);
}

#[test]
fn ends_before_the_upgrade() {
    fails(
        |conn| {
            conn.head()?;
            conn.end()
        },
        56,
        &["upgrade", "127.0.0.1"],
    );
}

#[test]
fn resets_before_the_upgrade() {
    fails(
        |conn| {
            conn.head()?;
            conn.reset()
        },
        56,
        &["upgrade", "reset"],
    );
}

#[test]
fn refusals_show_status_and_body() {
    for status in ["301 Moved Permanently", "401 Unauthorized", "403 Forbidden", "404 Not Found", "503 Busy"]
    {
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nLocation: ws://elsewhere.example/\r\n\
             WWW-Authenticate: Basic\r\nContent-Length: 22\r\n\r\nno \x1b[31mway\x07 in, sorry"
        );
        fails(
            move |conn| {
                conn.head()?;
                conn.write(&answer)?;
                conn.end()
            },
            22,
            &[&status[..3], "way", "sorry"],
        );
    }
}

#[test]
fn a_redirect_names_its_target_and_is_not_followed() {
    fails(
        |conn| {
            assert_eq!(conn.index, 0, "one connection only");
            conn.head()?;
            conn.write(
                "HTTP/1.1 301 Moved\r\nLocation: ws://elsewhere.example/\r\nContent-Length: 0\r\n\r\n",
            )?;
            conn.end()
        },
        22,
        &["301", "ws://elsewhere.example/"],
    );
}

#[test]
fn a_refusal_with_a_chunked_body() {
    fails(
        |conn| {
            conn.head()?;
            conn.write("HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nnever\r\n0\r\n\r\n")?;
            conn.end()
        },
        22,
        &["403", "never"],
    );
}

#[test]
fn a_refusal_whose_body_never_ends_or_never_comes() {
    fails(
        |conn| {
            conn.head()?;
            conn.write("HTTP/1.1 503 Busy\r\n\r\n")?;
            loop {
                conn.write([b'x'; 4096])?;
            }
        },
        22,
        &["503", "xxx"],
    );
    fails(
        |conn| {
            conn.head()?;
            conn.write("HTTP/1.1 503 Busy\r\nContent-Length: 100\r\n\r\nso far")?;
            conn.drain()
        },
        22,
        &["503", "so far"],
    );
}

#[test]
fn not_http_at_all() {
    fails(
        |conn| {
            conn.write("SSH-2.0-OpenSSH_9.2\r\n")?;
            conn.drain()
        },
        8,
        &["HTTP"],
    );
}

#[test]
fn a_200_is_no_upgrade() {
    fails(
        |conn| {
            conn.head()?;
            conn.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")?;
            conn.end()
        },
        22,
        &["200", "hello"],
    );
}

#[test]
fn a_wrong_accept() {
    fails(
        |conn| {
            conn.head()?;
            conn.write(accept_head("Sec-WebSocket-Key: another\r\n"))?;
            conn.drain()
        },
        8,
        &["Sec-WebSocket-Accept"],
    );
}

#[test]
fn a_101_that_lacks_what_it_must_have() {
    for missing in ["Upgrade: websocket\r\n", "Connection: Upgrade\r\n"] {
        fails(
            move |conn| {
                let head = conn.head()?;
                conn.write(accept_head(&head).replacen(missing, "", 1))?;
                conn.drain()
            },
            8,
            &[missing.split(':').next().unwrap_or_default()],
        );
    }
}

#[test]
fn extensions_and_subprotocols_that_nobody_asked_for() {
    for (line, text) in [
        ("Sec-WebSocket-Extensions: permessage-deflate\r\n", "permessage-deflate"),
        ("Sec-WebSocket-Protocol: chat\r\n", "chat"),
    ] {
        fails(
            move |conn| {
                let head = conn.head()?;
                let answer = accept_head(&head);
                conn.write(answer.replacen("\r\n\r\n", &format!("\r\n{line}\r\n"), 1))?;
                conn.drain()
            },
            8,
            &[text],
        );
    }
}

#[test]
fn a_head_dribbled_byte_by_byte_is_a_head() {
    let run = echo(|conn| {
        let head = conn.head()?;
        for byte in
            accept_head(&head).replace("Connection: Upgrade", "connection: keep-alive, Upgrade").bytes()
        {
            conn.write([byte])?;
            std::thread::sleep(Duration::from_micros(200));
        }
        let (first, payload) = conn.frame()?;
        assert_eq!((first, payload.as_slice()), (0x81, &b"hello"[..]));
        for byte in frame(0x81, b"hello") {
            conn.write([byte])?;
        }
        assert_eq!(conn.frame()?, (0x88, hex("03e8")), "Close 1000");
        conn.write(frame(0x88, &hex("03e8")))?;
        conn.end()
    });
    run.status(0).stdout_is("hello\n").says_nothing();
}

#[test]
fn the_head_and_the_first_frame_in_one_piece() {
    let run = echo(|conn| {
        let head = conn.head()?;
        conn.write([accept_head(&head).as_bytes(), &frame(0x81, b"hello")].concat())?;
        conn.frame()?;
        conn.frame()?;
        conn.write(frame(0x88, &hex("03e8")))?;
        conn.end()
    });
    run.status(0).stdout_is("hello\n");
}

#[test]
fn an_endless_head() {
    fails(
        |conn| {
            conn.head()?;
            conn.write("HTTP/1.1 101 Switching Protocols\r\n")?;
            loop {
                conn.write("X-More: of the same, and more of the same\r\n".repeat(100))?;
            }
        },
        8,
        &["head"],
    );
}

#[test]
fn an_endless_slow_head() {
    fails(
        |conn| {
            conn.head()?;
            conn.write("HTTP/1.1 101 Switching Protocols\r\nX: ")?;
            loop {
                conn.write("x")?;
                std::thread::sleep(Duration::from_millis(20));
            }
        },
        28,
        &["upgrade", "0.5 s"],
    );
}

#[test]
fn the_request_is_as_rfc_6455_says() {
    let server = Scripted::start(|conn| {
        let head = conn.head()?;
        assert!(head.starts_with("GET /a/b?c=d HTTP/1.1\r\n"), "{head}");
        assert_eq!(header(&head, "Upgrade").map(str::to_lowercase).as_deref(), Some("websocket"));
        assert_eq!(header(&head, "Connection").map(str::to_lowercase).as_deref(), Some("upgrade"));
        assert_eq!(header(&head, "Sec-WebSocket-Version"), Some("13"));
        assert_eq!(header(&head, "Sec-WebSocket-Key").map(str::len), Some(24));
        assert_eq!(header(&head, "Sec-WebSocket-Extensions"), None);
        assert_eq!(header(&head, "Sec-WebSocket-Protocol"), None);
        let host = header(&head, "Host").unwrap_or_default();
        assert!(host.starts_with("127.0.0.1:"), "a port that is not the default is part of Host: {host}");
        conn.write("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")?;
        conn.end()
    });
    wspipe(["echo", &server.ws("/a/b?c=d")]).run().status(22);
    server.finish();
}

// --- Frames

#[test]
fn faulty_frames_end_with_the_right_close() {
    for (name, bytes, status, close, text) in [
        ("2^63 bytes", hex("82 7f 8000000000000000"), 8, "03ea", "length"),
        ("2^63 - 1 bytes", hex("82 7f 7fffffffffffffff"), 63, "03f1", "limit"),
        ("a terabyte", hex("82 7f 0000010000000000"), 63, "03f1", "limit"),
        ("masked", hex("81 85 00000000 68656c6c6f"), 8, "03ea", "mask"),
        ("reserved opcode 3", hex("83 01 78"), 8, "03ea", "opcode"),
        ("reserved control opcode 11", hex("8b 00"), 8, "03ea", "opcode"),
        ("reserved bit 1", hex("c1 05 68656c6c6f"), 8, "03ea", "reserved"),
        ("reserved bit 3", hex("91 05 68656c6c6f"), 8, "03ea", "reserved"),
        ("invalid UTF-8", hex("81 02 c328"), 8, "03ef", "UTF-8"),
        ("UTF-8 that ends early", hex("81 01 c3"), 8, "03ef", "UTF-8"),
        ("a fragmented ping", hex("09 00"), 8, "03ea", "fragment"),
        ("a ping of 126 bytes", [hex("89 7e 007e"), vec![0; 126]].concat(), 8, "03ea", ""),
        ("continuation of nothing", hex("80 01 78"), 8, "03ea", ""),
        ("a message within a message", hex("01 01 78  81 01 78"), 8, "03ea", ""),
        ("Close with one byte", hex("88 01 03"), 8, "03ea", ""),
    ] {
        let server = Scripted::start(move |conn| {
            conn.upgrade()?;
            conn.frame()?;
            conn.write(&bytes)?;
            let (first, payload) = conn.frame()?;
            let code = payload.get(..2).unwrap_or_default();
            assert_eq!((first, code), (0x88, &hex(close)[..]), "{name}: Close with its code");
            conn.drain()
        });
        let run = wspipe(["echo", &server.ws("/"), "--quiet", "--close-timeout", "0.3", "-W", "1"]).run();
        server.finish();
        run.below_mib(MIB).within(Duration::from_secs(4));
        if run.stderr.is_empty() {
            run.fail(name);
        }
        run.status(status).stdout_is("").one_line(&[text]);
    }
}

#[test]
fn a_message_of_many_fragments_above_the_limit() {
    let server = Scripted::start(|conn| {
        conn.upgrade()?;
        conn.frame()?;
        conn.write(frame(0x02, b"x"))?;
        let part = frame(0x00, &vec![b'x'; 1 << 18]);
        for _ in 0..4096 {
            conn.write(&part)?;
        }
        conn.drain()
    });
    let run =
        wspipe(["echo", &server.ws("/"), "--quiet", "--max-message", "2M", "--close-timeout", "0.3"]).run();
    run.status(63).stdout_is("").one_line(&["127.0.0.1", "limit"]).below_mib(MIB);
}

#[test]
fn resets_in_the_middle_of_a_frame() {
    fails(
        |conn| {
            conn.upgrade()?;
            conn.frame()?;
            conn.write(hex("81 05 68 65"))?;
            conn.reset()
        },
        56,
        &["127.0.0.1", "reset"],
    );
}

#[test]
fn ends_in_the_middle_of_a_frame_or_without_close() {
    for bytes in ["81 05 68 65", ""] {
        fails(
            move |conn| {
                conn.upgrade()?;
                conn.frame()?;
                conn.write(hex(bytes))?;
                conn.end()
            },
            56,
            &["127.0.0.1", "Close"],
        );
    }
}

#[test]
fn a_reply_that_never_ends_in_time() {
    fails(replying(hex("81 05 68 65")), 28, &["reply", "1 s"]);
}

#[test]
fn a_ping_flood_does_not_hide_that_no_reply_comes() {
    let run = echo(|conn| {
        conn.upgrade()?;
        let ping = frame(0x89, &[b'p'; 125]).repeat(100);
        loop {
            conn.write(&ping)?;
        }
    });
    run.status(28).stdout_is("").one_line(&["reply"]);
}

#[test]
fn a_flood_of_pings_is_answered_and_the_reply_found() {
    let run = echo(|conn| {
        conn.upgrade()?;
        let (_, message) = conn.frame()?;
        conn.write(frame(0x89, b"last ping").repeat(1000))?;
        conn.write(frame(0x81, &message))?;
        let mut pongs = 0;
        loop {
            match conn.frame()? {
                (0x8a, payload) => {
                    assert_eq!(payload, b"last ping");
                    pongs += 1;
                }
                (first, _) => {
                    assert_eq!(first, 0x88, "pongs, and then Close");
                    break;
                }
            }
        }
        // Only the latest ping must be answered (RFC 6455 section 5.5.3).
        assert!(pongs > 0, "no ping was answered");
        conn.write(frame(0x88, &hex("03e8")))?;
        conn.end()
    });
    run.status(0).stdout_is("hello\n");
}

// --- Close

#[test]
fn a_close_instead_of_the_reply() {
    // 1000, 1001 and none are no failures of the connection, but no reply came: the test failed.
    for (body, text) in [("", "Close"), ("03e8", "1000"), ("03e9", "1001")] {
        fails(replying(frame(0x88, &hex(body))), 1, &[text, "repl"]);
    }
    let reason = [hex("03f3"), b"out \x1b[2Jof order".to_vec()].concat();
    fails(replying(frame(0x88, &reason)), 10, &["1011", "out", "of order"]);
}

#[test]
fn a_close_is_answered() {
    let run = echo(|conn| {
        conn.upgrade()?;
        conn.frame()?;
        conn.write(frame(0x88, &hex("03f3")))?;
        assert_eq!(conn.frame()?, (0x88, hex("03f3")), "our Close has the peer's code");
        conn.end()
    });
    run.status(10);
}

#[test]
fn close_and_then_never_the_end() {
    // The reply is here and Close answered: an end that does not come is waited for, but not for long.
    let run = echo(|conn| {
        conn.upgrade()?;
        let (_, message) = conn.frame()?;
        conn.write(frame(0x81, &message))?;
        conn.frame()?;
        conn.write(frame(0x88, &hex("03e8")))?;
        conn.drain()
    });
    run.status(0).stdout_is("hello\n").within(Duration::from_secs(3));
}

#[test]
fn close_that_is_never_answered() {
    let run = echo(|conn| {
        conn.upgrade()?;
        let (_, message) = conn.frame()?;
        conn.write(frame(0x81, &message))?;
        conn.drain()
    });
    // The echo test passed; that Close found no answer is said, and not more than the close timeout spent on it.
    run.stdout_is("hello\n").within(Duration::from_secs(3));
    run.status(0);
}

#[test]
fn server_sent_text_never_reaches_stderr_raw() {
    let reason = [hex("03f3"), "\u{1b}]0;title\u{7}\u{9b}2J\u{202e}".as_bytes().to_vec()].concat();
    let run = echo(replying(frame(0x88, &reason)));
    run.status(10).one_line(&["title"]);
    if run.stderr.contains(['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}']) {
        run.fail("control characters of the server reach the terminal");
    }
}
