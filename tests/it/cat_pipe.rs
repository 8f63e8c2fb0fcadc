//! `wspipe cat` in a pipe: what goes in comes out, to the byte, however it is fed and read.

use std::{
    io::{BufRead, BufReader, Read, Write},
    thread,
    time::Duration,
};

use crate::{
    serve::serve,
    support::{
        bash,
        scripted::{Scripted, frame},
        websockets, wspipe,
    },
};

/// The lines of `seq n`.
fn seq(n: u32) -> Vec<u8> {
    (1..=n).flat_map(|i| format!("{i}\n").into_bytes()).collect()
}

#[test]
fn a_hundred_thousand_lines_come_back_every_time() {
    let sum = |script: &str| {
        let run = bash(script, [websockets::bulk().url("/")]).shows(websockets::bulk().log()).run();
        run.status(0).says_nothing();
        run.stdout
    };
    let expected = sum("seq 100000 | md5sum");
    // Twenty times in a row; what the build without TLS has in its place is not in the way here.
    let times = if cfg!(feature = "tls") { 20 } else { 3 };
    for _ in 0..times {
        assert_eq!(sum(r#"seq 100000 | "$WSPIPE" cat "$1" -C 100000 -W 20 | md5sum"#), expected);
    }
}

#[test]
fn the_end_of_stdin_loses_no_reply() {
    // Without -C the quiet of a second ends it: all replies are there by then.
    let run = wspipe(["cat", &websockets::shared().url("/echo")]).stdin(seq(20_000)).run();
    run.status(0).stdout_is(seq(20_000)).says_nothing();
}

#[test]
#[cfg(feature = "tls")]
fn the_same_through_tls() {
    use crate::support::{certs, nginx};
    let url = format!("wss://127.0.0.1:{}/echo", nginx::shared().good);
    let args = ["cat", &url, "--cafile", &certs::shared().ca.to_string_lossy()];
    let run = wspipe(args).args(["-C", "20000"]).stdin(seq(20_000)).run();
    run.status(0).stdout_is(seq(20_000)).says_nothing();
    let large: Vec<u8> = (0..5_000_000u32).map(|i| (i / 7) as u8).collect();
    let run = wspipe(args).args(["--in", "whole", "--out", "whole", "-b", "-1"]).stdin(large.clone()).run();
    run.status(0).says_nothing();
    assert!(run.stdout == large, "{} bytes came", run.stdout.len());
}

#[test]
fn a_long_last_line_without_a_newline() {
    let line: String = (0..20_000).map(|i| format!("{i:09} ")).collect();
    assert_eq!(line.len(), 200_000);
    let input = format!("first\n{line}");
    let run = wspipe(["cat", &websockets::shared().url("/echo"), "-C", "2"]).stdin(input.as_str()).run();
    run.status(0).stdout_is(format!("{input}\n")).says_nothing();
}

#[test]
fn empty_lines_and_carriage_returns_are_messages_as_they_are() {
    let input = "\n\na\r\n\n \nlast\r\n";
    let server = Scripted::start(|conn| {
        conn.upgrade()?;
        let all = conn.messages_to_close()?;
        assert_eq!(all[..6], ["", "", "a\r", "", " ", "last\r"].map(|m| m.as_bytes().to_vec()));
        assert_eq!(all.len(), 7, "six messages and Close");
        Ok(())
    });
    wspipe(["cat", &server.ws("/"), "-w", "0"]).stdin(input).run().status(0).stdout_is("").says_nothing();
    server.finish();
    let run = wspipe(["cat", &websockets::shared().url("/echo"), "-C", "6"]).stdin(input).run();
    run.status(0).stdout_is(input).says_nothing();
}

#[test]
fn no_input_is_no_message() {
    let server = Scripted::start(|conn| {
        conn.upgrade()?;
        assert_eq!(conn.messages_to_close()?.len(), 1, "Close alone");
        Ok(())
    });
    wspipe(["cat", &server.ws("/"), "-w", "0"]).run().status(0).stdout_is("").says_nothing();
    server.finish();
}

#[test]
fn a_reader_that_takes_one_line() {
    // The reader goes while much is under way in both directions.
    let script =
        r#"seq 200000 | "$WSPIPE" cat "$1" -W 20 | head -n 1; echo "${PIPESTATUS[1]} ${PIPESTATUS[2]}""#;
    let server = serve("/", &[]);
    bash(script, [server.url("/")]).run().status(0).stdout_is("1\n0 0\n").says_nothing();
}

#[test]
fn a_reader_that_goes_while_the_socket_is_idle() {
    // Nothing more comes from either side: only stdout itself tells.
    let server = Scripted::start(|conn| {
        conn.upgrade()?;
        conn.write(frame(0x81, b"one"))?;
        assert_eq!(conn.frame()?, (0x88, vec![3, 0xe8]), "Close 1000 follows the reader");
        conn.write(frame(0x88, &[3, 0xe8]))?;
        conn.end()
    });
    let mut running = wspipe(["cat", &server.ws("/")]).open_stdin().open_stdout().start();
    let mut line = String::new();
    BufReader::new(running.take_stdout()).read_line(&mut line).expect("a line comes");
    assert_eq!(line, "one\n");
    running.finish().status(0).says_nothing().within(Duration::from_secs(10));
    server.finish();
}

/// Close 1000 follows a mebibyte of lines.
fn speaks_a_mebibyte(lines: &[u8]) -> Scripted {
    let frames: Vec<u8> = lines.split_inclusive(|b| *b == b'\n').flat_map(|l| frame(0x81, trim(l))).collect();
    Scripted::start(move |conn| {
        conn.upgrade()?;
        conn.write(&frames)?;
        conn.close(1000, "")
    })
}

fn trim(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").unwrap_or(line)
}

#[test]
fn a_slow_reader_gets_everything() {
    // The server's Close is long there while the reader takes a KiB a millisecond.
    let lines: Vec<u8> = (0..32_768).flat_map(|i| format!("{i:031}\n").into_bytes()).collect();
    let server = speaks_a_mebibyte(&lines);
    let mut running = wspipe(["cat", &server.ws("/")]).open_stdout().start();
    let mut stdout = running.take_stdout();
    let (mut read, mut buffer) = (Vec::new(), [0; 1024]);
    while let Ok(n @ 1..) = stdout.read(&mut buffer) {
        read.extend_from_slice(&buffer[..n]);
        thread::sleep(Duration::from_millis(1));
    }
    running.finish().status(0).says_nothing();
    assert!(read == lines, "{} of {} bytes came", read.len(), lines.len());
    server.finish();
}

#[test]
fn a_slow_writer_is_no_writer_of_more_messages() {
    // Pieces end within lines and within code points.
    let input = "grüße\n世界\n\n🦀 and more\nlast".as_bytes();
    let url = websockets::shared().url("/echo");
    let mut running = wspipe(["cat", &url, "-C", "5"]).open_stdin().start();
    let mut stdin = running.take_stdin();
    for piece in input.chunks(2) {
        stdin.write_all(piece).expect("it reads its stdin");
        thread::sleep(Duration::from_millis(5));
    }
    drop(stdin);
    running.finish().status(0).stdout_is([input, b"\n"].concat()).says_nothing();
}

#[test]
fn a_message_goes_at_once_and_comes_at_once() {
    // A conversation: nothing waits for a buffer to fill or for the end of stdin.
    let url = websockets::shared().url("/echo");
    let mut running = wspipe(["cat", &url]).open_stdin().start();
    for n in 1..=20 {
        running.write(format!("line {n}\n"));
        running.wait_stdout_lines(n);
    }
    drop(running.take_stdin());
    let run = running.finish();
    run.status(0).says_nothing();
    assert_eq!(run.stdout.len(), (1..=20).map(|n| format!("line {n}\n").len()).sum::<usize>());
}

#[test]
fn invalid_utf8_is_refused_with_its_line() {
    let server = Scripted::start(|conn| {
        conn.upgrade()?;
        let all = conn.messages_to_close()?;
        assert_eq!(all[..2], [b"one".to_vec(), "zwölf".as_bytes().to_vec()]);
        assert_eq!(all.len(), 3, "and nothing of the third: {all:?}");
        Ok(())
    });
    let input = b"one\nzw\xc3\xb6lf\nthr\xffee\nfour\n";
    let run = wspipe(["cat", &server.ws("/")]).stdin(input).run();
    run.status(26).stdout_is("").one_line(&["stdin", "line 3", "UTF-8"]);
    server.finish();
    // Cut by the end of the line, and by the end of the input.
    for (input, line) in [(&b"ok\n\xf0\x9f\n"[..], "line 2"), (b"ok\nok\n\xc3", "line 3")] {
        let run = wspipe(["cat", &websockets::shared().url("/echo")]).stdin(input).run();
        run.status(26).one_line(&[line, "UTF-8"]);
    }
}

#[test]
fn binary_messages_may_be_anything() {
    let server = Scripted::start(|conn| {
        conn.upgrade()?;
        assert_eq!(conn.message()?, (0x82, b"one".to_vec()));
        assert_eq!(conn.message()?, (0x82, b"\xff\x00\xfe".to_vec()));
        conn.messages_to_close().map(|_| ())
    });
    let run = wspipe(["cat", &server.ws("/"), "-b", "-w", "0"]).stdin(b"one\n\xff\x00\xfe\n").run();
    run.status(0).says_nothing();
    server.finish();
}

#[test]
fn invalid_utf8_in_a_message_under_way() {
    // Its beginning has left in fragments by then: only Close 1007 tells the server to drop it.
    let server = Scripted::start(|conn| {
        conn.upgrade()?;
        let mut sent = 0;
        loop {
            let (first, payload) = conn.frame()?;
            if first == 0x88 {
                assert_eq!(payload[..2], 1007u16.to_be_bytes(), "Close 1007");
                break;
            }
            assert_eq!(first, if sent == 0 { 0x01 } else { 0x00 }, "text in fragments, with no end");
            sent += payload.len();
        }
        assert!((65_536..=300_000).contains(&sent), "what came before it: {sent}");
        conn.write(frame(0x88, &1007u16.to_be_bytes()))?;
        conn.end()
    });
    let input = [&vec![b'x'; 300_000][..], b"\xff", &vec![b'y'; 300_000]].concat();
    let run = wspipe(["cat", &server.ws("/")]).stdin(input).run();
    run.status(26).stdout_is("").one_line(&["line 1", "UTF-8"]);
    server.finish();
}

#[test]
fn large_messages_come_whole_and_are_held_once() {
    const MIB: usize = 1024 * 1024;
    let large: Vec<u8> = (0..16 * MIB).map(|n| b'a' + (n / 7 % 26) as u8).collect();
    let messages = [b"first".to_vec(), large.clone(), b"between".to_vec(), large, b"last".to_vec()];
    let frames: Vec<u8> = messages.iter().flat_map(|message| frame(0x81, message)).collect();
    let server = Scripted::start(move |conn| {
        conn.upgrade()?;
        conn.write(&frames)?;
        conn.close(1000, "")
    });
    let record = |framing: &str, message: &Vec<u8>| match framing {
        "line" => [message, &b"\n"[..]].concat(),
        "length" => [&(message.len() as u32).to_be_bytes(), &message[..]].concat(),
        _ => message.clone(),
    };
    for framing in ["line", "length", "chunk"] {
        let run = wspipe(["cat", &server.ws("/"), "--no-stdin", "--out", framing]).run();
        // 16 of the message, and what a debug build needs for itself.
        run.status(0).says_nothing().below_mib(30);
        let expected: Vec<u8> = messages.iter().flat_map(|message| record(framing, message)).collect();
        assert!(run.stdout == expected, "{framing}: {} bytes came", run.stdout.len());
    }
    server.finish();
}
