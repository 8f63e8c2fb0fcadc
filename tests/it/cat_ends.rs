//! How `wspipe cat` ends, with which status, and what it says on the wire and on stderr.

use std::{thread, time::Duration};

use rustix::process::Signal;

use crate::support::{
    Run, bash, hex,
    scripted::{Conn, Scripted, frame},
    websockets, wspipe,
};

/// A server that sends these messages, and then does this.
pub fn sends(
    messages: &'static [&'static str],
    then: impl Fn(&mut Conn) -> std::io::Result<()> + Send + Sync + 'static,
) -> Scripted {
    Scripted::start(move |conn| {
        conn.upgrade()?;
        let frames: Vec<u8> = messages.iter().flat_map(|m| frame(0x81, m.as_bytes())).collect();
        conn.write(frames)?;
        then(conn)
    })
}

/// `sends` with no stdin.
#[track_caller]
fn ended(
    args: &[&str],
    messages: &'static [&'static str],
    then: impl Fn(&mut Conn) -> std::io::Result<()> + Send + Sync + 'static,
) -> Run {
    let server = sends(messages, then);
    let run = wspipe(["cat", &server.ws("/"), "--no-stdin"]).args(args).run();
    server.finish();
    run
}

/// Answers Close, whatever comes before it.
pub fn answer(conn: &mut Conn) -> std::io::Result<()> {
    conn.messages_to_close().map(|_| ())
}

// --- Our decision

#[test]
fn a_count_of_messages() {
    // What follows the last one is not printed.
    let messages = &["one", "", "three", "four"];
    ended(&["-C", "3"], messages, answer).status(0).stdout_is("one\n\nthree\n").says_nothing();
    ended(&["-C", "4"], messages, answer).status(0).stdout_is("one\n\nthree\nfour\n").says_nothing();
    ended(&["-1"], messages, answer).status(0).stdout_is("one\n").says_nothing();
}

#[test]
fn a_text_in_a_message() {
    let messages = &["one", "still under way", "all DONE now", "after"];
    let run = ended(&["--until", "DONE"], messages, answer);
    run.status(0).stdout_is("one\nstill under way\nall DONE now\n").says_nothing();
}

#[test]
fn a_count_that_is_not_met() {
    let close = |conn: &mut Conn| conn.close(1000, "");
    ended(&["-C", "3"], &["one", "two"], close).status(1).stdout_is("one\ntwo\n").one_line(&["2", "3"]);
    let run = ended(&["--until", "DONE"], &["one", "done"], close);
    run.status(1).stdout_is("one\ndone\n").one_line(&["DONE"]);
    // By quiet, and by the clock.
    let run = wspipe(["cat", &websockets::shared().url("/mute"), "-C", "1", "-w", "0.2"]).stdin("x\n").run();
    run.status(1).one_line(&["0", "1"]).within(Duration::from_secs(10));
    ended(&["-C", "3", "-W", "0.4"], &["one"], answer).status(28).stdout_is("one\n").one_line(&["0.4 s"]);
}

#[test]
fn a_reply_slower_than_the_quiet() {
    // -C says what is waited for: the default quiet of a second does not cut it off.
    let late = |conn: &mut Conn| {
        assert_eq!(conn.message()?, (0x81, b"ask".to_vec()));
        thread::sleep(Duration::from_millis(1500));
        conn.write(frame(0x81, b"answer"))?;
        answer(conn)
    };
    let server = sends(&[], late);
    let run = wspipe(["cat", &server.ws("/"), "-C", "1"]).stdin("ask\n").run();
    run.status(0).stdout_is("answer\n").says_nothing();
    server.finish();
    // Each message that comes starts the quiet anew.
    let server = sends(&[], |conn| {
        conn.message()?;
        for _ in 0..5 {
            thread::sleep(Duration::from_millis(300));
            conn.write(frame(0x81, b"x"))?;
        }
        answer(conn)
    });
    let run = wspipe(["cat", &server.ws("/")]).stdin("ask\n").run();
    run.status(0).stdout_is("x\nx\nx\nx\nx\n").says_nothing();
    assert!(
        run.took > Duration::from_millis(2400),
        "five times 0.3 s, and the second of quiet: {:?}",
        run.took
    );
    server.finish();
}

#[test]
fn a_reply_that_is_on_its_way_is_no_quiet() {
    // One message that takes twice as long as the quiet to come in.
    let server = sends(&[], |conn| {
        conn.message()?;
        let reply = frame(0x81, &[b'x'; 70_000]);
        for part in reply.chunks(10_000) {
            conn.write(part)?;
            thread::sleep(Duration::from_millis(200));
        }
        answer(conn)
    });
    let args = ["cat", &server.ws("/"), "-w", "0.6", "--close-timeout", "0.2"];
    let run = wspipe(args).stdin("ask\n").run();
    run.status(0).says_nothing();
    assert_eq!(run.stdout.len(), 70_001);
    server.finish();
    // Pings are no messages: they keep nothing open.
    let server = sends(&[], |conn| {
        while conn.write(frame(0x89, b"there?")).is_ok() {
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    });
    let run = wspipe(["cat", &server.ws("/"), "-w", "0.3", "--close-timeout", "0.2"]).stdin("").run();
    run.status(0).within(Duration::from_millis(1500));
    server.finish();
}

#[test]
fn quiet_after_the_end_of_stdin() {
    let url = websockets::shared().url("/echo");
    let run = wspipe(["cat", &url]).stdin("x\n").run();
    run.status(0).stdout_is("x\n").says_nothing();
    assert!(run.took >= Duration::from_secs(1), "a second is the default: {:?}", run.took);
    let run = wspipe(["cat", &url, "-w", "0.2"]).stdin("x\n").run();
    run.status(0).stdout_is("x\n").says_nothing().within(Duration::from_millis(950));
    assert!(run.took >= Duration::from_millis(200), "not before it: {:?}", run.took);
}

#[test]
fn quiet_is_no_end_while_stdin_is_open() {
    let url = websockets::shared().url("/echo");
    let mut running = wspipe(["cat", &url, "-w", "0.1"]).open_stdin().start();
    running.write("one\n");
    running.wait_stdout_lines(1);
    thread::sleep(Duration::from_millis(500));
    assert!(!running.has_ended(), "stdin is open");
    running.write("two");
    drop(running.take_stdin());
    running.finish().status(0).stdout_is("one\ntwo\n").says_nothing();
}

#[test]
fn no_quiet_at_all_waits_for_close() {
    let server = sends(&[], |conn| {
        conn.message()?;
        thread::sleep(Duration::from_millis(1300));
        conn.write(frame(0x81, b"late"))?;
        // Ours, and the Ping behind it, have been read.
        conn.write(frame(0x8a, b""))?;
        conn.close(1000, "")
    });
    let run = wspipe(["cat", &server.ws("/"), "-w", "inf"]).stdin("x\n").run();
    assert_eq!(String::from_utf8_lossy(&run.stdout), "late\n");
    server.finish();
}

#[test]
fn the_limit_of_the_whole_run() {
    let run = ended(&["-W", "0.4"], &["one"], answer);
    run.status(28).stdout_is("one\n").one_line(&["0.4 s"]).within(Duration::from_secs(5));
    // Connecting is part of it.
    let server = Scripted::start(Conn::drain);
    let run = wspipe(["cat", &server.ws("/"), "-W", "0.4"]).run();
    run.status(28).one_line(&["127.0.0.1"]).within(Duration::from_secs(5));
}

#[test]
fn what_comes_behind_our_close_waits_for_a_slow_reader() {
    let server = sends(&[], |conn| {
        while conn.message()?.0 != 0x88 {}
        for _ in 0..100 {
            conn.write(frame(0x82, &[b'x'; 60_000]))?;
        }
        conn.write(frame(0x88, &1000u16.to_be_bytes()))?;
        conn.end()
    });
    // The reader begins only when the limit for the answer to our Close is long over.
    let script =
        r#"set -o pipefail; "$WSPIPE" cat "$1" --no-stdin -w 0 --close-timeout 0.3 | (sleep 1.5; wc -c)"#;
    let run = bash(script, [server.ws("/")]).run();
    run.status(0);
    assert_eq!(String::from_utf8_lossy(&run.stdout).trim(), (100 * 60_001).to_string());
    server.finish();
}

#[test]
fn an_opening_that_nobody_reads_is_unconfirmed() {
    let server = sends(&[], Conn::drain);
    let args = ["cat", &server.ws("/"), "--no-stdin", "--on-open", "hi", "-w", "0.2"];
    wspipe(args)
        .args(["--close-timeout", "0.2", "--quiet"])
        .run()
        .status(55)
        .one_line(&["message of --on-open: 1 sent but not confirmed"])
        .never_says(&["stdin"]);
    server.finish();
}

#[test]
fn a_reply_with_close_right_behind_it() {
    // That the reply is one to the request only the user knows: no Pong and no answer to a Close of ours tells.
    let reply = |conn: &mut Conn| {
        assert_eq!(conn.message()?, (0x81, b"ask".to_vec()));
        conn.write([frame(0x81, b"answer"), frame(0x88, &1000u16.to_be_bytes())].concat())?;
        while conn.frame()?.0 != 0x88 {}
        conn.end()
    };
    for args in [["-C", "1"], ["-w", "inf"]] {
        let server = sends(&[], reply);
        let run = wspipe(["cat", &server.ws("/")]).args(args).stdin("ask\n").run();
        run.status(55).stdout_is("answer\n").one_line(&["1 sent but not confirmed"]);
        server.finish();
    }
}

#[test]
fn the_limit_says_what_was_not_read() {
    let server = sends(&[], Conn::drain);
    let args = ["cat", &server.ws("/"), "-W", "0.4", "--close-timeout", "0.2"];
    wspipe(args).stdin("x\ny\n").run().status(28).one_line(&["0.4 s", "2 sent but not confirmed"]);
    server.finish();
    // The same with a socket that takes nothing any more.
    let server = sends(&[], |_| {
        thread::sleep(Duration::from_secs(2));
        Ok(())
    });
    let script = r#"yes | "$WSPIPE" cat "$1" -W 0.6 --close-timeout 0.2; exit "${PIPESTATUS[1]}""#;
    bash(script, [server.ws("/")]).run().status(28).one_line(&["0.6 s", "not sent"]);
    server.finish();
    // And for a line that is refused: the one before it.
    let server = sends(&[], Conn::drain);
    let args = ["cat", &server.ws("/"), "--close-timeout", "0.2"];
    let run = wspipe(args).stdin(b"fine\n\xff\n").run();
    run.status(26).one_line(&["line 2", "message of stdin: 1 sent but not confirmed"]);
    server.finish();
}

#[test]
fn our_close_says_what_was_asked() {
    let server = sends(&["x"], |conn| {
        let all = conn.messages_to_close()?;
        assert_eq!(all, [[&4000u16.to_be_bytes()[..], b"see you"].concat()]);
        Ok(())
    });
    let args = ["cat", &server.ws("/"), "-C1", "--close-status-code", "4000", "--close-reason", "see you"];
    wspipe(args).run().status(0).stdout_is("x\n").says_nothing();
    server.finish();
}

#[test]
fn signals_say_close() {
    for (signal, code) in [(Signal::INT, "1000"), (Signal::TERM, "3000")] {
        let server = sends(&["one", "two"], move |conn| {
            let (first, payload) = conn.message()?;
            assert_eq!(
                (first, &payload[..2]),
                (0x88, &code.parse::<u16>().expect("a code").to_be_bytes()[..])
            );
            // What still comes is printed.
            conn.write(frame(0x81, b"three"))?;
            conn.write(frame(0x88, &payload))?;
            conn.end()
        });
        let mut running = wspipe(["cat", &server.ws("/"), "--close-status-code", code]).open_stdin().start();
        running.wait_stdout_lines(2);
        running.signal(signal);
        let run = running.finish();
        run.signalled(signal).stdout_is("one\ntwo\nthree\n");
        server.finish();
    }
}

// --- The server's decision

#[test]
fn the_servers_close() {
    for (code, reason) in [(1000, ""), (1000, "bye"), (1001, "going away")] {
        let run = ended(&[], &["one"], move |conn| conn.close(code, reason));
        run.status(0).stdout_is("one\n");
        if !reason.is_empty() {
            run.says(&[&code.to_string(), reason]);
        }
    }
    let run = ended(&[], &["one"], |conn| {
        conn.write(frame(0x88, b""))?;
        assert_eq!(conn.frame()?, (0x88, Vec::new()), "Close with no code is answered with none");
        conn.end()
    });
    run.status(0).stdout_is("one\n");
    let run = ended(&[], &["one"], |conn| conn.close(1008, "no \u{1b}[2Jentry\u{9b}\u{202e}"));
    run.status(10).stdout_is("one\n").one_line(&["1008", "no", "entry"]);
    assert!(!run.stderr.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "shown escaped: {:?}", run.stderr);
    ended(&[], &[], |conn| conn.close(4321, "")).status(10).one_line(&["4321"]);
}

#[test]
fn close_with_stdin_left() {
    // The server takes a few messages of an endless stdin and says Close 1000: not all was sent.
    let server = sends(&["hello"], |conn| {
        for _ in 0..3 {
            conn.message()?;
        }
        conn.close(1000, "enough")
    });
    let run = bash(r#"yes | "$WSPIPE" cat "$1" -W 20; exit "${PIPESTATUS[1]}""#, [server.ws("/")]).run();
    run.status(55).stdout_is("hello\n").one_line(&["1000", "enough", "not sent"]);
    server.finish();
    // The same for a stdin that is short, but was never read.
    let lines: Vec<u8> = b"line\n".repeat(2_000_000);
    let server = sends(&[], |conn| {
        conn.message()?;
        conn.close(1000, "")
    });
    let run = wspipe(["cat", &server.ws("/")]).stdin(lines).run();
    run.status(55).one_line(&["1000"]);
    server.finish();
}

#[test]
fn close_with_an_idle_stdin() {
    // Nothing is left that was not sent.
    let server = sends(&["hello"], |conn| conn.close(1000, ""));
    let mut running = wspipe(["cat", &server.ws("/")]).open_stdin().start();
    let stdin = running.take_stdin();
    running.finish().status(0).stdout_is("hello\n").within(Duration::from_secs(10));
    drop(stdin);
    server.finish();
}

#[test]
fn the_end_without_close() {
    let run = ended(&[], &["one", "two"], Conn::end);
    run.status(56).stdout_is("one\ntwo\n").one_line(&["127.0.0.1", "Close"]);
    // The reader of a pipe cannot know whether that was all: the status says so, -C unmet or not.
    ended(&["-C", "3"], &["one"], Conn::end).status(56).stdout_is("one\n");
}

#[test]
fn a_reset() {
    // The reset may overtake what was sent before it; in this order it does not: the client has read.
    let server = Scripted::start(|conn| {
        conn.upgrade()?;
        conn.write(frame(0x81, b"one"))?;
        conn.message()?;
        conn.reset()
    });
    let mut running = wspipe(["cat", &server.ws("/")]).open_stdin().start();
    running.wait_stdout_lines(1);
    running.write("x\n");
    let run = running.finish();
    // Whether the server has read `x` nobody told: 55 where it counts, and it says why.
    run.status(55).stdout_is("one\n").one_line(&["reset", "1"]);
    server.finish();
    let run = ended(&[], &[], |conn| {
        conn.write([0x81, 5, b'h'])?;
        conn.reset()
    });
    run.status(56).stdout_is("").one_line(&["127.0.0.1"]);
}

#[test]
fn a_violation() {
    for (bytes, code) in [("81 02 c328", "03ef"), ("83 00", "03ea"), ("c1 00", "03ea"), ("80 00", "03ea")] {
        let run = ended(&[], &["one"], move |conn| {
            conn.write(hex(bytes))?;
            let (first, payload) = conn.message()?;
            assert_eq!((first, &payload[..2]), (0x88, &hex(code)[..]), "{bytes}");
            conn.end()
        });
        run.status(8).stdout_is("one\n").one_line(&["127.0.0.1"]);
    }
}

#[test]
fn a_close_that_is_not_answered() {
    // The Pong of the Ping behind the last message tells that it was read.
    let pongs = |conn: &mut Conn| loop {
        if let (0x89, payload) = conn.frame()? {
            conn.write(frame(0x8a, &payload))?;
        }
    };
    let server = sends(&[], pongs);
    let run = wspipe(["cat", &server.ws("/"), "-w", "0.1", "--close-timeout", "0.3"]).stdin("x\n").run();
    run.status(0).stdout_is("").within(Duration::from_secs(5));
    server.finish();
    // Nothing tells here.
    let server = sends(&[], Conn::drain);
    let run = wspipe(["cat", &server.ws("/"), "-w", "0.1", "--close-timeout", "0.3"]).stdin("x\ny\n").run();
    run.status(55).stdout_is("").says(&["2"]).within(Duration::from_secs(5));
    server.finish();
    // Nothing was sent: nothing can be missing, but what a client waits for by -C.
    ended(&["-C1", "--close-timeout", "0.3"], &["one"], Conn::drain).status(0).stdout_is("one\n");
}

#[test]
fn the_upgrade_refused() {
    let server = Scripted::start(|conn| {
        conn.head()?;
        conn.write("HTTP/1.1 403 Forbidden\r\nContent-Length: 8\r\n\r\ngo away\n")?;
        conn.end()
    });
    // Input that had no chance to leave is not lost: it was never read.
    let run = wspipe(["cat", &server.ws("/")]).stdin("x\n").run();
    run.status(22).stdout_is("").one_line(&["403", "go away"]);
}
