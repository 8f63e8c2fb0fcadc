//! `wspipe cat --reconnect`: what is sent again, what is known to be lost, and what nobody can know.

use std::time::Duration;

use rustix::process::Signal;

use crate::support::{
    bash, hex,
    scripted::{Conn, Scripted, frame},
    wait_until, wspipe,
};

/// Reads a message, and answers the Ping that stands behind it: it is confirmed.
fn confirm(conn: &mut Conn) -> std::io::Result<Vec<u8>> {
    let (_, message) = conn.message()?;
    loop {
        if let (0x89, payload) = conn.frame()? {
            conn.write(frame(0x8a, &payload))?;
            return Ok(message);
        }
    }
}

#[test]
fn a_line_after_the_cut_goes_to_the_next_connection() {
    let server = Scripted::start(|conn| {
        conn.upgrade()?;
        assert_eq!(conn.message()?, (0x81, b"hello".to_vec()), "--on-open comes on each connection");
        match conn.index {
            0 => {
                assert_eq!(confirm(conn)?, b"one");
                conn.write(frame(0x81, b"first"))?;
                conn.end()
            }
            _ => {
                conn.write(frame(0x81, b"second"))?;
                assert_eq!(conn.message()?, (0x81, b"two".to_vec()));
                conn.messages_to_close().map(|_| ())
            }
        }
    });
    let args = ["--reconnect", "--on-open", "hello", "-w", "0.1"];
    let mut running = wspipe(["cat", &server.ws("/")]).args(args).open_stdin().start();
    running.write("one\n");
    running.wait_stderr("again");
    running.write("two\n");
    running.wait_stdout_lines(2);
    drop(running.take_stdin());
    // All of stdin is confirmed, and the cut was said.
    running.finish().status(0).stdout_is("first\nsecond\n").one_line(&["Close", "again"]);
    assert_eq!(server.finish().len(), 2);
}

#[test]
fn what_was_sent_and_not_confirmed_is_unknown() {
    let server = Scripted::start(|conn| {
        conn.upgrade()?;
        if conn.index == 0 {
            conn.message()?;
            assert_eq!(conn.frame()?.0, 0x89, "the Ping that nobody answers");
            return conn.reset();
        }
        conn.write(frame(0x81, b"back"))?;
        assert_eq!(conn.message()?, (0x81, b"two".to_vec()), "and not the first again");
        conn.messages_to_close().map(|_| ())
    });
    let mut running = wspipe(["cat", &server.ws("/"), "--reconnect", "-w", "0.1"]).open_stdin().start();
    running.write("one\n");
    running.wait_stdout_lines(1);
    running.write("two\n");
    drop(running.take_stdin());
    running.finish().status(55).stdout_is("back\n").says(&["reset", "again", "1 sent but not confirmed"]);
    server.finish();
}

#[test]
fn what_the_kernel_did_not_get_is_sent_on_the_next_connection() {
    // The first connection is never read. What its buffers took nobody knows; the rest comes, whole, in order,
    // and the count at the end is exact.
    const LINES: usize = 20_000;
    let server = Scripted::start(|conn| {
        conn.upgrade()?;
        if conn.index == 0 {
            std::thread::sleep(Duration::from_millis(500));
            return conn.reset();
        }
        let all = conn.messages_to_close()?;
        let (_, lines) = all.split_last().expect("Close at least");
        let lost = LINES - lines.len();
        assert!(lost > 0 && lost < LINES, "some were in the buffers: {lost}");
        for (n, line) in lines.iter().enumerate() {
            assert!(line.starts_with(format!("{:06} ", n + lost).as_bytes()), "line {n} of {}", lines.len());
        }
        Ok(())
    });
    let input: Vec<u8> =
        (0..LINES).flat_map(|n| format!("{n:06} {}\n", "x".repeat(992)).into_bytes()).collect();
    let run = wspipe(["cat", &server.ws("/"), "--reconnect", "-w", "0.1"]).stdin(input).run();
    run.status(55).says(&["again", "messages of stdin"]);
    let seen = server.finish();
    let arrived = count_frames(&seen[1]);
    let last = run.stderr.lines().last().unwrap_or_default();
    let number = |what: &str| -> usize {
        let before = last.split(what).next().filter(|before| before.len() < last.len()).unwrap_or("0");
        before.rsplit([' ', ',']).find_map(|word| word.parse().ok()).unwrap_or(0)
    };
    let counted = number(" sent but not confirmed") + number(" cut off");
    assert_eq!(counted + arrived, LINES, "{last}");
}

/// Data frames that end a message in what a client sent after its request.
fn count_frames(bytes: &[u8]) -> usize {
    let mut at = bytes.windows(4).position(|w| w == b"\r\n\r\n").expect("a request") + 4;
    let mut count = 0;
    while at < bytes.len() {
        let wide = match bytes[at + 1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let length = match wide {
            0 => usize::from(bytes[at + 1] & 0x7f),
            _ => bytes[at + 2..at + 2 + wide].iter().fold(0, |n, b| n << 8 | usize::from(*b)),
        };
        count += usize::from(bytes[at] & 0x88 == 0x80);
        at += 2 + wide + 4 + length;
    }
    count
}

#[test]
fn a_message_cut_in_the_middle_is_lost_and_not_sent_in_parts() {
    let server = Scripted::start(|conn| {
        conn.upgrade()?;
        if conn.index == 0 {
            for _ in 0..3 {
                conn.skim()?;
            }
            return conn.reset();
        }
        // Not the rest of the long one, nor its beginning again.
        assert_eq!(conn.message()?, (0x81, b"after".to_vec()));
        conn.messages_to_close().map(|_| ())
    });
    let script = r#"{ head -c 20000000 /dev/zero | tr '\0' x; echo; echo after; } |
        "$WSPIPE" cat "$1" --reconnect -w 0.1 -W 20"#;
    let run = bash(script, [server.ws("/")]).run();
    run.status(55).says(&["again", "message of stdin: 1 cut off"]);
    server.finish();
}

#[test]
fn close_1001_and_back() {
    let server = Scripted::start(|conn| {
        conn.upgrade()?;
        conn.write(frame(0x81, format!("connection {}", conn.index).as_bytes()))?;
        match conn.index {
            0 => conn.close(1001, "restart"),
            _ => conn.messages_to_close().map(|_| ()),
        }
    });
    let mut running = wspipe(["cat", &server.ws("/"), "--reconnect", "--no-stdin", "-C", "2"]).start();
    running.wait_stdout_lines(2);
    running
        .finish()
        .status(0)
        .stdout_is("connection 0\nconnection 1\n")
        .one_line(&["1001", "restart", "again"]);
    server.finish();
}

#[test]
fn a_close_that_refuses_us_is_not_tried_again() {
    for (code, status) in [(1000, None), (1008, Some(10)), (1003, Some(10))] {
        let server = Scripted::start(move |conn| {
            conn.upgrade()?;
            match conn.index {
                0 => conn.close(code, "that is all"),
                _ => conn.messages_to_close().map(|_| ()),
            }
        });
        let args = ["cat", &server.ws("/"), "--reconnect", "--no-stdin"];
        match status {
            // What is no refusal is: who asks for --reconnect wants the stream to go on.
            None => {
                let mut running = wspipe(args).args(["-d"]).start();
                running.wait_stderr("again");
                assert!(wait_until(|| running.stderr_so_far().matches("CONNECTED").count() == 2));
                running.signal(Signal::TERM);
                running.finish().signalled(Signal::TERM);
                assert_eq!(server.finish().len(), 2);
            }
            Some(status) => {
                wspipe(args).run().status(status).one_line(&[&code.to_string(), "that is all"]);
                assert_eq!(server.finish().len(), 1);
            }
        }
    }
}

#[test]
fn retries_have_an_end() {
    let server = Scripted::start(|conn| {
        if conn.index == 0 {
            conn.upgrade()?;
            return conn.end();
        }
        conn.head()?;
        conn.write("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")?;
        conn.end()
    });
    let run = wspipe(["cat", &server.ws("/"), "--reconnect", "--max-retries", "2", "--no-stdin"]).run();
    run.status(22).stdout_is("").says(&["again", "503"]);
    assert_eq!(server.finish().len(), 3, "the connection, and two attempts");
}

#[test]
fn a_refusal_for_good_is_not_tried_again() {
    let server = Scripted::start(|conn| {
        if conn.index == 0 {
            conn.upgrade()?;
            return conn.end();
        }
        conn.head()?;
        conn.write("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")?;
        conn.end()
    });
    let run = wspipe(["cat", &server.ws("/"), "--reconnect", "--no-stdin"]).run();
    run.status(22).says(&["again", "404"]);
    assert_eq!(server.finish().len(), 2);
    // What broke the protocol once would break it again.
    let server = Scripted::start(|conn| {
        conn.upgrade()?;
        conn.write(hex("83 00"))?;
        conn.end()
    });
    wspipe(["cat", &server.ws("/"), "--reconnect", "--no-stdin"]).run().status(8);
    assert_eq!(server.finish().len(), 1);
}

#[test]
fn a_silent_peer_is_left_for_a_new_connection() {
    let server = Scripted::start(|conn| {
        conn.upgrade()?;
        if conn.index == 0 {
            return conn.drain();
        }
        conn.write(frame(0x81, b"alive"))?;
        conn.messages_to_close().map(|_| ())
    });
    let args = ["--reconnect", "--no-stdin", "-C1", "--ping-interval", "0.2", "--ping-timeout", "0.3"];
    wspipe(["cat", &server.ws("/")])
        .args(args)
        .run()
        .status(0)
        .stdout_is("alive\n")
        .one_line(&["ping", "again"]);
    server.finish();
}

#[test]
fn a_signal_while_waiting_to_connect_again() {
    let server = Scripted::start(|conn| {
        conn.upgrade()?;
        conn.end()
    });
    // Each connection ends at once: the pauses grow.
    let mut running = wspipe(["cat", &server.ws("/"), "--reconnect", "--no-stdin"]).start();
    running.wait_stderr("again");
    running.signal(Signal::TERM);
    running.finish().signalled(Signal::TERM).within(Duration::from_secs(10));
}
