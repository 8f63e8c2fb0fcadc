//! How `wspipe cat` ends where stdin or stdout has to do with it: closed, failing, stalled.

use std::{fs, io::Read, thread, time::Duration};

use rustix::process::Signal;

use super::cat_ends::{answer, sends};
use crate::support::{
    bash,
    scripted::{Conn, Scripted, frame},
    wspipe,
};

// --- stdin

#[test]
fn stdin_that_is_closed_or_null_does_not_end_it_early() {
    for stdin in ["</dev/null", "<&-"] {
        for end in ["-C 1", "--until answer", "-w 2"] {
            let server = sends(&[], |conn| {
                thread::sleep(Duration::from_millis(400));
                conn.write(frame(0x81, b"answer"))?;
                answer(conn)
            });
            let script = format!(r#""$WSPIPE" cat "$1" {end} -W 20 {stdin}"#);
            bash(&script, [server.ws("/")]).run().status(0).stdout_is("answer\n").says_nothing();
            server.finish();
        }
    }
}

#[test]
fn no_stdin_leaves_stdin_alone() {
    let dir = crate::support::temp_dir("cat");
    let file = dir.join("input");
    fs::write(&file, "one\ntwo\n").expect("target/tmp is writable");
    let server = sends(&["x"], |conn| {
        assert_eq!(conn.messages_to_close()?.len(), 1, "Close alone");
        Ok(())
    });
    // Who comes next reads it from its beginning.
    let script = r#"{ "$WSPIPE" cat "$1" --no-stdin -C 1 -W 20; cat; } <"$2""#;
    let run = bash(script, [server.ws("/").as_ref(), file.as_os_str()]).run();
    run.status(0).stdout_is("x\none\ntwo\n").says_nothing();
    server.finish();
}

#[test]
fn stdin_that_cannot_be_read() {
    let server = sends(&[], answer);
    let run = bash(r#""$WSPIPE" cat "$1" -W 20 </"#, [server.ws("/")]).run();
    run.status(26).one_line(&["stdin", "directory"]);
}

#[test]
fn stdout_that_cannot_be_written() {
    let server = sends(&["one"], answer);
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
    wspipe(["cat", &server.ws("/"), "--no-stdin"]).stdout(full).run().status(23).one_line(&["stdout"]);
}

#[test]
fn everything_before_the_end_is_printed_however_slow_the_reader() {
    // Each end comes while most of the output waits for a reader that begins late.
    type End = fn(&mut Conn) -> std::io::Result<()>;
    let ends: [(End, i32); 3] =
        [(|conn| conn.close(1000, ""), 0), (|conn| conn.close(1011, ""), 10), (Conn::end, 56)];
    for (end, status) in ends {
        let server = Scripted::start(move |conn| {
            conn.upgrade()?;
            let frames: Vec<u8> =
                (0..30_000).flat_map(|i| frame(0x81, format!("{i:06}").as_bytes())).collect();
            conn.write(frames)?;
            end(conn)
        });
        let mut running = wspipe(["cat", &server.ws("/"), "--no-stdin"]).open_stdout().start();
        thread::sleep(Duration::from_millis(500));
        let mut read = Vec::new();
        running.take_stdout().read_to_end(&mut read).expect("a pipe can be read");
        running.finish().status(status);
        let expected: Vec<u8> = (0..30_000).flat_map(|i| format!("{i:06}\n").into_bytes()).collect();
        assert!(read == expected, "{} of {} bytes came", read.len(), expected.len());
        server.finish();
    }
}

#[test]
fn a_message_cut_in_the_middle_is_one_message() {
    let server = sends(&[], |conn| {
        // A few fragments, and gone.
        for _ in 0..3 {
            conn.skim()?;
        }
        conn.reset()
    });
    let run =
        bash(r#"yes x | tr -d '\n' | "$WSPIPE" cat "$1" -W 20; exit "${PIPESTATUS[2]}""#, [server.ws("/")])
            .run();
    run.status(55).one_line(&["message of stdin: 1 cut off"]).never_says(&["not sent"]);
    server.finish();
}

#[test]
fn a_limit_bounds_a_stalled_stdout() {
    // The reader of stdout has stopped: during the connection, and after it.
    type End = fn(&mut Conn) -> std::io::Result<()>;
    let ends: [(End, &str); 2] = [(Conn::drain, "not done within 0.6 s"), (|conn| conn.close(1000, ""), "")];
    for (end, why) in ends {
        let server = Scripted::start(move |conn| {
            conn.upgrade()?;
            conn.write(frame(0x82, &vec![b'x'; 1 << 20]))?;
            end(conn)
        });
        let script =
            r#""$WSPIPE" cat "$1" --no-stdin -W 0.6 --close-timeout 0.3 | sleep 3; exit "${PIPESTATUS[0]}""#;
        let run = bash(script, [server.ws("/")]).run();
        run.status(28).one_line(&[why, "stdout stalled", "bytes were not written"]);
        server.finish();
    }
}

#[test]
fn a_signal_waits_for_a_slow_reader_but_not_for_ever() {
    // 1 MiB waits; the reader takes it slowly after the signal: all of it comes, though the pipe takes 64 KiB.
    let reply = |conn: &mut Conn| {
        conn.upgrade()?;
        conn.write(frame(0x82, &vec![b'x'; 1 << 20]))?;
        conn.messages_to_close().map(|_| ())
    };
    let server = Scripted::start(reply);
    let mut running = wspipe(["cat", &server.ws("/"), "--no-stdin"]).open_stdout().start();
    let mut stdout = running.take_stdout();
    stdout.read_exact(&mut [0]).expect("a pipe can be read");
    running.signal(Signal::TERM);
    let mut read = 1;
    let mut part = vec![0; 1 << 17];
    loop {
        thread::sleep(Duration::from_millis(50));
        match stdout.read(&mut part).expect("a pipe can be read") {
            0 => break,
            n => read += n,
        }
    }
    running.finish().signalled(Signal::TERM).never_says(&["stalled"]);
    assert_eq!(read, (1 << 20) + 1);
    server.finish();
    // One that takes nothing is not waited for, and what it missed is said.
    let server = Scripted::start(reply);
    let mut running = wspipe(["cat", &server.ws("/"), "--no-stdin"]).open_stdout().start();
    let mut stdout = running.take_stdout();
    stdout.read_exact(&mut [0]).expect("a pipe can be read");
    running.signal(Signal::TERM);
    let run = running.finish();
    run.signalled(Signal::TERM).one_line(&["stdout stalled", "bytes were not written"]);
    run.within(Duration::from_secs(4));
    server.finish();
}
