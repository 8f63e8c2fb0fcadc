//! What `wspipe cat` does while it runs: pings, stalls on either side, opening messages.

use std::{
    fs,
    io::{Read, Write},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::support::{
    bash,
    scripted::{Conn, Scripted, frame},
    temp_dir, wait_until, websockets, wspipe,
};

// --- Pings

#[test]
fn pings_go_out_at_the_interval() {
    let server = Scripted::start(|conn| {
        conn.upgrade()?;
        let begun = Instant::now();
        let mut payloads = Vec::new();
        while payloads.len() < 5 {
            let (first, payload) = conn.frame()?;
            assert_eq!(first, 0x89, "nothing but pings");
            // Exactly as often, and never in a bunch.
            let least = Duration::from_millis(190) * (payloads.len() as u32 + 1);
            assert!(begun.elapsed() >= least - Duration::from_millis(50), "{:?}", begun.elapsed());
            assert!(!payloads.contains(&payload), "each can be told from the others");
            conn.write(frame(0x8a, &payload))?;
            payloads.push(payload);
        }
        assert!(begun.elapsed() < Duration::from_secs(4), "five in {:?}", begun.elapsed());
        conn.close(1000, "")
    });
    let run = wspipe(["cat", &server.ws("/"), "--no-stdin", "--ping-interval", "0.2", "-d"]).run();
    run.status(0).stdout_is("");
    let told = run.stderr.lines().filter(|line| line.contains("pong in ") && line.ends_with(" ms")).count();
    assert_eq!(told, 5, "-d says each round trip:\n{}", run.stderr);
    server.finish();
}

#[test]
fn no_ping_without_an_interval() {
    let server = Scripted::start(|conn| {
        conn.upgrade()?;
        assert!(conn.is_quiet(Duration::from_millis(600))?, "nothing is sent");
        conn.close(1000, "")
    });
    wspipe(["cat", &server.ws("/"), "--no-stdin"]).run().status(0).says_nothing();
    server.finish();
}

#[test]
fn a_silent_peer_is_given_up() {
    let server = Scripted::start(|conn| {
        conn.upgrade()?;
        conn.write(frame(0x81, b"one"))?;
        conn.drain()
    });
    let args = ["--no-stdin", "--ping-interval", "0.2", "--ping-timeout", "0.4"];
    let run = wspipe(["cat", &server.ws("/")]).args(args).run();
    run.status(28).stdout_is("one\n").one_line(&["ping", "0.4 s"]).within(Duration::from_secs(5));
    assert!(run.took >= Duration::from_millis(600), "not before the Ping and its limit: {:?}", run.took);
    // Messages that it may have read are 55, whatever else there is to say.
    let run = wspipe(["cat", &server.ws("/"), "-w", "inf"]).args(&args[1..]).stdin("x\n").run();
    run.status(55).stdout_is("one\n").one_line(&["ping", "0.4 s", "1 sent but not confirmed"]);
}

#[test]
fn whatever_comes_is_life() {
    // No Ping is ever answered, but there is traffic: messages, pings, or the parts of one long message.
    type Sign = fn(usize) -> Vec<u8>;
    let signs: [Sign; 3] = [
        |_| frame(0x81, b"x"),
        |_| frame(0x89, b"p"),
        |n| {
            frame(
                if n == 0 {
                    0x01
                } else if n == 19 {
                    0x80
                } else {
                    0x00
                },
                b"x",
            )
        },
    ];
    for sign in signs {
        let server = Scripted::start(move |conn| {
            conn.upgrade()?;
            for n in 0..20 {
                conn.write(sign(n))?;
                thread::sleep(Duration::from_millis(100));
            }
            conn.close(1000, "")
        });
        let args = ["--no-stdin", "--ping-interval", "0.1", "--ping-timeout", "0.6"];
        wspipe(["cat", &server.ws("/")]).args(args).run().status(0).says_nothing();
        server.finish();
    }
}

// --- Stalls

#[test]
fn a_peer_that_takes_what_we_send_is_alive() {
    // The Pings lie behind megabytes that it reads slowly; none is answered within the limit.
    let server = Scripted::start(|conn| {
        conn.upgrade()?;
        for _ in 0..300 {
            conn.skim()?;
            thread::sleep(Duration::from_millis(10));
        }
        conn.drain()
    });
    let script = r#"head -c 100000000 /dev/zero | tr '\0' x | "$WSPIPE" cat "$1" -W 2.5 --close-timeout 0.2 \
        --ping-interval 0.2 --ping-timeout 0.6; exit "${PIPESTATUS[2]}""#;
    bash(script, [server.ws("/")]).run().status(28).one_line(&["not done within 2.5 s"]);
    server.finish();
}

/// `n` numbered lines of 1000 bytes with their newline.
fn lines(n: usize) -> Vec<u8> {
    (0..n).flat_map(|i| format!("{i:0999}\n").into_bytes()).collect()
}

fn as_frames(lines: &[u8]) -> Vec<u8> {
    lines.chunks(1000).flat_map(|line| frame(0x81, &line[..999])).collect()
}

#[test]
fn a_stalled_stdout_stops_no_ping_and_is_no_timeout() {
    // 20 MB against a reader that sleeps beyond several intervals and limits.
    let expected = lines(20_000);
    let frames = as_frames(&expected);
    let pings = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&pings);
    let server = Scripted::start(move |conn| {
        conn.upgrade()?;
        let writer = conn.write_aside(frames.clone());
        let mut waiting = Vec::new();
        while !writer.is_finished() {
            if conn.is_quiet(Duration::from_millis(50))? {
                continue;
            }
            let (first, payload) = conn.frame()?;
            assert_eq!(first, 0x89);
            seen.fetch_add(1, Ordering::SeqCst);
            waiting.extend(frame(0x8a, &payload));
        }
        writer.join().expect("it does not panic")?;
        conn.write(waiting)?;
        conn.close(1000, "")
    });
    let args = ["--no-stdin", "--ping-interval", "0.2", "--ping-timeout", "0.5"];
    let mut running = wspipe(["cat", &server.ws("/")]).args(args).open_stdout().start();
    assert!(wait_until(|| pings.load(Ordering::SeqCst) >= 2), "pings go on behind a stalled stdout");
    // The buffers are full now: what follows is rest.
    let before = running.cpu_time();
    thread::sleep(Duration::from_millis(1500));
    let spent = running.cpu_time() - before;
    assert!(spent < Duration::from_millis(200), "it sleeps: {spent:?} of 1.5 s");
    assert!(pings.load(Ordering::SeqCst) >= 6, "pings go on: {pings:?}");
    assert!(!running.has_ended(), "{}", running.stderr_so_far());
    let mut read = Vec::new();
    running.take_stdout().read_to_end(&mut read).expect("a pipe can be read");
    running.finish().status(0).says_nothing().below_mib(MIB);
    assert!(read == expected, "{} of {} bytes came", read.len(), expected.len());
    server.finish();
}

/// The bound on memory, whatever flows: what a debug build needs for itself, and a few buffers.
const MIB: u64 = 24;

#[test]
fn a_peer_that_goes_while_stdout_is_stalled() {
    // All that it sent is printed, and then said what became of it.
    let expected = lines(2000);
    let frames = as_frames(&expected);
    let server = Scripted::start(move |conn| {
        conn.upgrade()?;
        conn.write(&frames)?;
        conn.end()
    });
    let mut running = wspipe(["cat", &server.ws("/"), "--no-stdin"]).open_stdout().start();
    thread::sleep(Duration::from_millis(1300));
    let mut read = Vec::new();
    running.take_stdout().read_to_end(&mut read).expect("a pipe can be read");
    running.finish().status(56).one_line(&["stdout stalled 1 s"]);
    assert!(read == expected, "{} of {} bytes came", read.len(), expected.len());
    server.finish();
}

#[test]
fn a_stalled_server_stops_stdin() {
    let server = Scripted::start(|conn| {
        conn.upgrade()?;
        conn.write(frame(0x81, b"one"))?;
        thread::sleep(Duration::from_secs(3));
        Ok(())
    });
    let mut running = wspipe(["cat", &server.ws("/"), "--close-timeout", "0.3"]).open_stdin().start();
    let mut stdin = running.take_stdin();
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    let feeder = thread::spawn(move || {
        let line = [&[b'x'; 999][..], b"\n"].concat();
        while stdin.write_all(&line).is_ok() {
            count.fetch_add(line.len(), Ordering::SeqCst);
        }
    });
    running.wait_stdout_lines(1);
    // Until nothing moves any more.
    let mut before = 0;
    assert!(wait_until(|| {
        thread::sleep(Duration::from_millis(200));
        let now = taken.load(Ordering::SeqCst);
        std::mem::replace(&mut before, now) == now && now > 0
    }));
    let cpu = running.cpu_time();
    thread::sleep(Duration::from_secs(1));
    let spent = running.cpu_time() - cpu;
    assert!(spent < Duration::from_millis(100), "it sleeps: {spent:?} of 1 s");
    // Ctrl-C ends it all the same, and says what was lost.
    running.signal(Signal::INT);
    let run = running.finish();
    run.signalled(Signal::INT).stdout_is("one\n").says(&["sent"]).below_mib(MIB);
    feeder.join().expect("it does not panic");
    server.finish();
}

#[test]
fn nothing_to_do_takes_no_time() {
    let url = websockets::shared().url("/echo");
    let mut running = wspipe(["cat", &url]).open_stdin().start();
    running.write("x\n");
    running.wait_stdout_lines(1);
    let before = running.cpu_time();
    thread::sleep(Duration::from_secs(1));
    let spent = running.cpu_time() - before;
    assert!(spent < Duration::from_millis(50), "it sleeps: {spent:?} of 1 s");
    drop(running.take_stdin());
    running.finish().status(0);
}

// --- Opening messages

#[test]
fn opening_messages_go_before_stdin() {
    let file = temp_dir("cat").join("login.json");
    fs::write(&file, "{\"login\":\n\"anna\"}\n").expect("target/tmp is writable");
    let at_file = format!("@{}", file.display());
    for (flags, kind) in [(&[][..], 0x81), (&["-b"], 0x82)] {
        let server = Scripted::start(move |conn| {
            conn.upgrade()?;
            for text in ["hello", "{\"login\":\n\"anna\"}\n", "", "@at", "from stdin"] {
                assert_eq!(conn.message()?, (kind, text.as_bytes().to_vec()));
            }
            conn.messages_to_close().map(|_| ())
        });
        let opening = ["--on-open", "hello", "--on-open", &at_file, "--on-open", "", "--on-open", "@@at"];
        let run =
            wspipe(["cat", &server.ws("/"), "-w", "0"]).args(flags).args(opening).stdin("from stdin\n").run();
        run.status(0).says_nothing();
        server.finish();
    }
}

#[test]
fn opening_messages_without_stdin() {
    let url = websockets::shared().url("/echo");
    let run =
        wspipe(["cat", &url, "--no-stdin", "--on-open", "sub 1", "--on-open", "sub 2", "-C", "2"]).run();
    run.status(0).stdout_is("sub 1\nsub 2\n").says_nothing();
    let run = wspipe(["cat", &url, "--on-open", "@/nonexistent/file"]).run();
    run.status(26).one_line(&["/nonexistent/file"]);
}

// --- Echo

#[test]
fn echo_sends_every_message_back_as_it_came() {
    let server = Scripted::start(|conn: &mut Conn| {
        conn.upgrade()?;
        let large = vec![b'x'; 300_000];
        for (first, payload) in [(0x81, &b"text"[..]), (0x82, b"\xff\x00"), (0x81, b""), (0x82, &large)] {
            conn.write(frame(first, payload))?;
            let (echoed, bytes) = conn.message()?;
            assert!(echoed == first && bytes == payload, "{echoed:#x}, {} bytes", bytes.len());
        }
        conn.close(1000, "")
    });
    wspipe(["cat", "--echo", &server.ws("/")])
        .stdin("not read\n")
        .run()
        .status(0)
        .stdout_is("")
        .says_nothing();
    server.finish();
}

#[test]
fn echoes_that_cannot_leave_take_little_memory() {
    // A peer that sends without end and reads nothing; its messages are empty, what is kept of them is not.
    let server = Scripted::start(|conn: &mut Conn| {
        conn.upgrade()?;
        // It ends by the end of the connection.
        let _ = conn.write(frame(0x81, b"").repeat(10_000_000));
        Ok(())
    });
    let running = wspipe(["cat", "--echo", &server.ws("/"), "--close-timeout", "0.3"]).start();
    thread::sleep(Duration::from_secs(3));
    running.signal(Signal::INT);
    running.finish().signalled(Signal::INT).below_mib(MIB);
    server.finish();
}
