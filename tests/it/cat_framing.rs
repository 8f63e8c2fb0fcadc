//! `wspipe cat --in --out`: each framing from end to end, and messages of every size.

use std::{
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use crate::{
    serve::serve,
    support::{
        Run, bash,
        scripted::{Conn, Scripted, frame},
        wait_until, websockets, wspipe,
    },
};

/// Bytes without a pattern, the same in every run.
fn noise(n: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..n.div_ceil(8)).flat_map(|_| next()).take(n).collect()
}

/// What the Python echo gives back.
#[track_caller]
fn echoed(args: &[&str], input: impl Into<Vec<u8>>) -> Run {
    let server = websockets::shared();
    let run =
        wspipe(["cat", &server.url("/echo"), "-W", "15"]).args(args).stdin(input).shows(server.log()).run();
    run.status(0).says_nothing();
    run
}

/// The messages that `input` is, as a server gets them: first byte and payload.
fn sent(args: &[&str], input: impl Into<Vec<u8>>) -> Vec<(u8, Vec<u8>)> {
    let server = Scripted::start(|conn| {
        conn.upgrade()?;
        conn.messages_to_close().map(|_| ())
    });
    let run = wspipe(["cat", &server.ws("/"), "-w", "0"]).args(args).stdin(input).run();
    run.status(0).stdout_is("").says_nothing();
    messages(&server.finish()[0])
}

/// The data messages in what a client sent after its request.
fn messages(bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let start = bytes.windows(4).position(|w| w == b"\r\n\r\n").expect("a request") + 4;
    let (mut rest, mut all) = (&bytes[start..], Vec::<(u8, Vec<u8>)>::new());
    let mut take = |n: usize| {
        let (head, tail) = rest.split_at(n);
        rest = tail;
        head
    };
    loop {
        let start = take(2);
        let length = match start[1] & 0x7f {
            126 => take(2).iter().fold(0, |n, b| n << 8 | usize::from(*b)),
            127 => take(8).iter().fold(0, |n, b| n << 8 | usize::from(*b)),
            n => usize::from(n),
        };
        let mask = take(4);
        let payload = take(length).iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m);
        match start[0] {
            0x88 => return all,
            0x89 | 0x8a => {}
            first if first & 0x0f == 0 => all.last_mut().expect("a beginning").1.extend(payload),
            first => all.push((first | 0x80, payload.collect())),
        }
    }
}

fn prefixed(messages: &[&[u8]]) -> Vec<u8> {
    messages.iter().flat_map(|m| [&(m.len() as u32).to_be_bytes(), *m].concat()).collect()
}

/// Prints what a server sends: these frames, and Close.
#[track_caller]
fn printed(args: &[&str], frames: &[(u8, &[u8])]) -> Run {
    let bytes: Vec<u8> = frames.iter().flat_map(|(first, payload)| frame(*first, payload)).collect();
    let server = Scripted::start(move |conn| {
        conn.upgrade()?;
        conn.write(&bytes)?;
        conn.close(1000, "")
    });
    let run = wspipe(["cat", &server.ws("/"), "-W", "15"]).args(args).run();
    server.finish();
    run
}

#[test]
fn null_terminated_records_hold_newlines() {
    let input = b"one\ntwo\0\0\n\0last";
    echoed(&["-0", "-C", "4"], input).stdout_is(b"one\ntwo\0\0\n\0last\0");
    echoed(&["--in", "null", "--out", "null", "-C", "4"], input).stdout_is(b"one\ntwo\0\0\n\0last\0");
    assert_eq!(
        sent(&["--in", "null"], b"a\nb\0\0c"),
        [(0x81, b"a\nb".to_vec()), (0x81, Vec::new()), (0x81, b"c".to_vec())]
    );
}

#[test]
fn length_prefixed_records_hold_anything() {
    let large = noise(200_000);
    let input = prefixed(&[b"", b"\n\0\xff", &large, b"x"]);
    echoed(&["--in", "length", "--out", "length", "-b", "-C", "4"], input.clone()).stdout_is(&input);
    assert_eq!(
        sent(&["--in", "length", "-b"], input),
        [(0x82, Vec::new()), (0x82, b"\n\0\xff".to_vec()), (0x82, large), (0x82, b"x".to_vec())]
    );
}

#[test]
fn a_length_that_lies_is_refused() {
    for cut in [&b"\0\0\0\x01a\0\0\0\x05four"[..], b"\0\0\0\x01a\0\0"] {
        let run = wspipe(["cat", &websockets::shared().url("/echo"), "--in", "length"]).stdin(cut).run();
        run.status(26).one_line(&["stdin", "record 2"]);
    }
}

#[test]
fn base64_lines_are_binary_messages() {
    // Empty; not UTF-8; longer than a fragment.
    let large = noise(100_000);
    let lines = format!("\n/wDDKA==\n{}\n", data_encoding::BASE64.encode(&large));
    let all = sent(&["--in", "base64", "-b"], lines.as_str());
    assert_eq!(all, [(0x82, Vec::new()), (0x82, b"\xff\x00\xc3\x28".to_vec()), (0x82, large)]);
    echoed(&["--in", "base64", "--out", "base64", "-b", "-C", "3"], lines.as_str()).stdout_is(&lines);
    let run =
        wspipe(["cat", &websockets::shared().url("/echo"), "--in", "base64", "-b"]).stdin("AA==\n!!\n").run();
    run.status(26).one_line(&["line 2", "base64"]);
}

#[test]
fn json_lines_carry_every_message_over() {
    // One cat prints what a server sends, the other sends it on: text, binary, empty ones, and both with bytes
    // that JSON must escape. What is no message is shown by the one and passed over by the other.
    let large = noise(100_000);
    let frames: &[(u8, &[u8])] = &[
        (0x81, "grüße \"\\\n\u{1}\u{2028}🦀".as_bytes()),
        (0x82, b"\xff\x00\xfe"),
        (0x89, b"ping"),
        (0x81, b""),
        (0x82, b""),
        (0x82, b"binary, but UTF-8"),
        (0x8a, b"pong"),
        (0x82, &large),
    ];
    let run = printed(&["--out", "json"], frames);
    run.status(0).says_nothing();
    let lines: Vec<&[u8]> = run.stdout.split_inclusive(|b| *b == b'\n').collect();
    let kinds = ["text", "binary", "ping", "text", "binary", "binary", "pong", "binary", "close"];
    assert_eq!(lines.len(), kinds.len(), "a line each: {:?}", String::from_utf8_lossy(&run.stdout));
    for (line, kind) in lines.iter().zip(kinds) {
        let line = String::from_utf8_lossy(line);
        assert!(line.contains(&format!("\"type\":\"{kind}\"")), "{line} is a {kind}");
        assert!(line.contains("\"time\":\"20") && line.contains("Z\""), "{line} says when");
    }
    let close = String::from_utf8_lossy(lines[8]);
    assert!(close.contains("1000"), "{close} says the code");
    let expected: Vec<(u8, Vec<u8>)> = frames
        .iter()
        .filter(|(first, _)| first & 0x08 == 0)
        .map(|(first, payload)| (*first, payload.to_vec()))
        .collect();
    assert_eq!(sent(&["--in", "json"], run.stdout.clone()), expected);
}

#[test]
fn json_into_json_through_a_pipe() {
    let input: Vec<u8> = (0..500).flat_map(|i| format!("message {i} \"ü\"\n").into_bytes()).collect();
    let url = websockets::shared().url("/echo");
    // Without -C for the second: what it had read of the line for Close when its last reply came would count as unsent.
    let script = r#""$WSPIPE" cat "$1" --out json -C 500 -W 15 |
        "$WSPIPE" cat "$1" --in json --out line -W 15"#;
    let run = bash(script, [&url]).stdin(input.clone()).run();
    run.status(0).stdout_is(&input).says_nothing();
}

#[test]
fn json_that_is_no_message_is_refused_with_its_line() {
    for (line, what) in [
        ("{\"type\":\"text\"", "line 2"),
        ("{\"type\":\"text\"}", "line 2"),
        ("{\"type\":\"binary\",\"payload_base64\":\"!\"}", "line 2"),
        ("[1]", "line 2"),
    ] {
        let input = format!("{{\"type\":\"text\",\"payload\":\"ok\"}}\n{line}\n");
        let run = wspipe(["cat", &websockets::shared().url("/echo"), "--in", "json"]).stdin(input).run();
        run.status(26).one_line(&["stdin", what]);
    }
}

#[test]
fn a_stream_in_chunks_comes_back_as_it_was() {
    let bytes = noise(1 << 20);
    let server = serve("/", &[]);
    // How many messages it will be nobody knows: quiet ends it.
    let run =
        wspipe(["cat", &server.url("/"), "--in", "chunk", "--out", "chunk", "-b"]).stdin(bytes.clone()).run();
    run.status(0).says_nothing();
    assert!(run.stdout == bytes, "{} bytes came", run.stdout.len());
    // A chunk is what is there: one write, one message, with no wait for more.
    let server = websockets::shared();
    let mut running = wspipe(["cat", &server.url("/echo"), "--in", "chunk"]).open_stdin().start();
    for n in 1..=3 {
        running.write("abc");
        assert!(wait_until(|| running.stdout_so_far().len() == 4 * n), "one message each");
    }
    drop(running.take_stdin());
    running.finish().status(0).stdout_is("abc\nabc\nabc\n");
}

#[test]
fn text_in_chunks_is_cut_between_code_points() {
    let text = "grüße 世界 🦀".as_bytes();
    let server = Scripted::start(|conn| {
        conn.upgrade()?;
        let all = conn.messages_to_close()?;
        let (_, messages) = all.split_last().expect("Close at least");
        assert!(messages.iter().all(|m| std::str::from_utf8(m).is_ok()), "each is UTF-8: {messages:x?}");
        assert_eq!(messages.concat(), "grüße 世界 🦀".as_bytes());
        Ok(())
    });
    let mut running = wspipe(["cat", &server.ws("/"), "--in", "chunk", "-w", "0"]).open_stdin().start();
    for byte in text {
        running.write([*byte]);
        thread::sleep(Duration::from_millis(2));
    }
    drop(running.take_stdin());
    running.finish().status(0).says_nothing();
    server.finish();
}

#[test]
fn ten_megabytes_as_one_message() {
    let bytes = noise(10_000_000);
    let run = echoed(&["--in", "whole", "--out", "whole", "-b", "-C", "1"], bytes.clone());
    assert!(run.stdout == bytes, "{} bytes came", run.stdout.len());
    // Nothing at all is one empty message.
    assert_eq!(sent(&["--in", "whole"], ""), [(0x81, Vec::new())]);
    assert_eq!(sent(&["--in", "whole"], "a\n\0b\n"), [(0x81, b"a\n\0b\n".to_vec())]);
}

#[test]
fn a_newline_within_a_message_passes_with_one_warning() {
    let frames: &[(u8, &[u8])] = &[(0x81, b"a\nb"), (0x81, b"plain"), (0x81, b"\n")];
    let run = printed(&[], frames);
    run.status(0).stdout_is("a\nb\nplain\n\n\n").one_line(&["newline"]);
    // There is none where it cannot be mistaken.
    printed(&["--out", "null"], frames).status(0).stdout_is("a\nb\0plain\0\n\0").says_nothing();
    printed(&["--out", "null"], &[(0x81, b"a\0b")]).status(0).stdout_is(b"a\0b\0").one_line(&["zero byte"]);
}

#[test]
fn strict_refuses_a_newline_within_a_message() {
    let frames: &[(u8, &[u8])] = &[(0x81, b"first"), (0x81, b"a\nb"), (0x81, b"after")];
    let run = printed(&["--strict"], frames);
    run.status(23).stdout_is("first\n").one_line(&["newline"]);
    printed(&["--strict"], &[(0x81, b"a"), (0x82, b"b")]).status(0).stdout_is("a\nb\n").says_nothing();
    printed(&["--strict", "--out", "null"], frames).status(0).stdout_is("first\0a\nb\0after\0");
}

#[test]
fn what_is_above_max_message_is_refused() {
    // In one frame, by its head alone; in fragments, by their sum.
    let one = |conn: &mut Conn| conn.write(frame(0x82, &[b'x'; 2000]));
    let many = |conn: &mut Conn| {
        conn.write(frame(0x02, &[b'x'; 600]))?;
        conn.write(frame(0x80, &[b'x'; 600]))
    };
    for send in [one as fn(&mut Conn) -> _, many] {
        let server = Scripted::start(move |conn| {
            conn.upgrade()?;
            conn.write(frame(0x82, &[b'y'; 1000]))?;
            send(conn)?;
            let (first, payload) = conn.message()?;
            assert_eq!((first, &payload[..2]), (0x88, &1009u16.to_be_bytes()[..]), "Close 1009");
            conn.end()
        });
        let run = wspipe(["cat", &server.ws("/"), "--max-message", "1000"]).run();
        run.status(63).one_line(&["1000", "--max-message"]);
        run.stdout_is([&[b'y'; 1000][..], b"\n"].concat());
        server.finish();
    }
}

/// A server that takes one message of any size, after a pause in which all buffers fill, and counts the frames, the bytes of data and of the largest frame.
fn sink(expected: u64) -> Scripted {
    Scripted::start(move |conn| {
        conn.upgrade()?;
        thread::sleep(Duration::from_millis(200));
        let (mut frames, mut bytes, mut largest) = (0, 0, 0);
        let mut last = 0;
        loop {
            let (first, length) = conn.skim()?;
            match first {
                0x88 => break,
                0x89 => {}
                _ => {
                    assert_eq!(first & 0x0f != 0, frames == 0, "one message");
                    (frames, bytes, largest, last) = (frames + 1, bytes + length, largest.max(length), first);
                }
            }
        }
        assert_eq!((bytes, last), (expected, 0x80), "all of it, with an end");
        assert!(largest <= 1 << 20 && frames > 10, "in fragments: {frames} of at most {largest} bytes");
        conn.write(frame(0x88, &[3, 0xe8]))?;
        conn.end()
    })
}

/// Sends what a shell command prints to a [`sink`]: the length of the message must not show in memory.
#[track_caller]
fn sinks(command: &str, length: u64, args: &[&str]) {
    let server = sink(length);
    let source = Command::new("/bin/sh").args(["-c", command]).stdout(Stdio::piped()).spawn();
    let mut source = source.expect("there is a shell");
    let stdin = source.stdout.take().expect("it is piped");
    let run = wspipe(["cat", &server.ws("/"), "-w", "0"]).args(args).stdin_from(stdin).run();
    run.status(0).stdout_is("").says_nothing().below_mib(20);
    server.finish();
    let _ = source.wait();
}

#[test]
fn a_line_of_a_hundred_megabytes_is_one_message() {
    sinks("head -c 100000000 /dev/zero | tr '\\0' x", 100_000_000, &[]);
}

#[test]
fn two_hundred_megabytes_as_one_message() {
    sinks("head -c 200000000 /dev/zero", 200_000_000, &["-b", "--in", "whole"]);
}
