//! Limits that hold when everything else is stuck, and those that must not count what nobody could help.

use std::{
    io::Read,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use rustix::process::Signal;

use crate::{
    mq_request::{asked, response},
    mq_scripted::{CONNACK, answer_publisher, message},
    mqtt_scripted::{Say, broker, usual},
    support::{
        bash, hex,
        scripted::{Conn, Scripted, frame},
        wait_until, wspipe,
    },
};

/// A broker over TCP that answers SUBSCRIBE with `count` messages of 10,000 bytes.
fn talkative(count: usize) -> Scripted {
    Scripted::start(move |conn| {
        broker(conn, move |packet| match packet[0] {
            0x82 => {
                let one = message(0x30, 0, &[b'x'; 10_000]);
                Say::These([usual(packet, true), one.repeat(count)].concat())
            }
            _ => Say::Usual,
        })
    })
}

#[test]
fn what_is_met_before_the_limit_still_ends_by_it_where_stdout_is_stalled() {
    // Less than is read ahead of stdout: the last one is there.
    let server = talkative(20);
    let script =
        r#""$WSPIPE" sub "$1" -t a -C 20 -W 1 --close-timeout 0.5 | sleep 6; exit "${PIPESTATUS[0]}""#;
    let run = bash(script, [server.mqtt()]).run();
    run.status(28).one_line(&["stdout stalled", "bytes were not written"]).never_says(&["again"]);
    let wire = server.finish();
    assert_eq!(wire.len(), 1, "no other connection");
    assert!(
        wire[0].windows(2).any(|two| two == [0xe0, 7] || two == [0xe0, 0]),
        "DISCONNECT left at the limit"
    );
}

#[test]
fn a_second_signal_does_not_wait_for_a_slow_reader() {
    let server = Scripted::start(|conn| {
        conn.upgrade()?;
        conn.write(frame(0x82, &vec![b'x'; 1 << 20]))?;
        conn.messages_to_close().map(|_| ())
    });
    let args = ["cat", &server.ws("/"), "--no-stdin", "--close-timeout", "30"];
    let mut running = wspipe(args).open_stdout().start();
    let mut stdout = running.take_stdout();
    stdout.read_exact(&mut [0]).expect("a pipe can be read");
    running.signal(Signal::INT);
    // It moves, slowly, to the end.
    let reader = thread::spawn(move || {
        while stdout.read(&mut [0; 4096]).is_ok_and(|n| n > 0) {
            thread::sleep(Duration::from_millis(50));
        }
    });
    thread::sleep(Duration::from_millis(300));
    running.signal(Signal::INT);
    running
        .finish()
        .signalled(Signal::INT)
        .one_line(&["bytes were not written"])
        .within(Duration::from_secs(3));
    reader.join().expect("the reader ends");
    server.finish();
}

#[test]
fn a_stopped_process_finds_no_limit_run_out() {
    // Stopped, with a full socket, for longer than the limit; the server reads all the time.
    let server = Scripted::start(|conn| {
        conn.packet()?;
        conn.write(hex(CONNACK))?;
        conn.drain()
    });
    let args = ["-t", "a", "-s", "--ack-timeout", "0.6", "--close-timeout", "0.3", "--no-reconnect"];
    let running = wspipe(["pub", &server.mqtt()]).args(args).stdin(vec![b'x'; 60 << 20]).start();
    assert!(wait_until(|| server.received() > 1 << 20));
    running.signal(Signal::STOP);
    thread::sleep(Duration::from_millis(1200));
    running.signal(Signal::CONT);
    assert!(wait_until(|| server.received() > 60 << 20), "all of it came");
    // Nobody answers its PINGREQ.
    running.finish().status(28).one_line(&["PINGREQ"]).never_says(&["stopped reading"]);
    server.finish();
}

#[test]
fn a_connection_that_is_given_up_leaves_nothing_for_the_next() {
    let server = Scripted::start(|conn: &mut Conn| {
        if conn.index > 0 {
            return broker(conn, answer_publisher);
        }
        conn.packet()?;
        conn.write(hex(CONNACK))?;
        thread::sleep(Duration::from_millis(1500));
        conn.reset()
    });
    let line = [vec![b'x'; 16_000], vec![b'\n']].concat();
    let args = ["-t", "a", "-l", "--ack-timeout", "0.4", "--close-timeout", "0.2", "--max-retries", "1"];
    let run = wspipe(["pub", &server.mqtt()]).args(args).stdin(line.repeat(1500)).run();
    run.status(55).says(&["stopped reading", "connecting again"]).never_says(&["no Close"]);
    assert_eq!(server.finish().len(), 2, "the second one holds");
}

#[test]
fn a_line_that_comes_after_close_goes_to_the_next_connection() {
    let there = Arc::new(AtomicBool::new(false));
    let answered = Arc::clone(&there);
    let server = Scripted::start(move |conn| {
        conn.upgrade()?;
        if conn.index > 0 {
            assert_eq!(conn.message()?, (0x81, b"one".to_vec()), "nothing is lost in between");
            return conn.messages_to_close().map(|_| ());
        }
        conn.write(frame(0x88, &1001u16.to_be_bytes()))?;
        assert_eq!(conn.frame()?.0, 0x88, "the answer");
        answered.store(true, Ordering::SeqCst);
        thread::sleep(Duration::from_millis(200));
        conn.end()
    });
    let mut running = wspipe(["cat", &server.ws("/"), "--reconnect", "-w", "0.1"]).open_stdin().start();
    assert!(wait_until(|| there.load(Ordering::SeqCst)));
    running.write("one\n");
    drop(running.take_stdin());
    running.finish().status(0).says(&["1001", "again"]).never_says(&["not confirmed"]);
    server.finish();
}

#[test]
fn a_maximum_packet_size_that_allows_nothing_is_refused() {
    let server = Scripted::start(|conn| {
        conn.packet()?;
        conn.write(hex("20 08 00 00 05 27 00000001"))?;
        conn.drain()
    });
    let run = wspipe(["pub", &server.mqtt(), "-t", "a", "-l", "-k", "1", "-W", "8", "--no-reconnect"])
        .args(["--close-timeout", "0.3"])
        .open_stdin()
        .start();
    run.finish().status(8).one_line(&["Maximum Packet Size"]).within(Duration::from_secs(5));
    server.finish();
}

#[test]
fn a_stalled_stdout_is_no_missing_response() {
    // The responses lie unread behind the stall for longer than their limit.
    let server = Scripted::start(|conn| {
        broker(conn, |packet| match packet[0] >> 4 {
            3 => {
                let (topic, correlation) = asked(packet);
                Say::These(response(&topic, Some(&correlation), &"y".repeat(8000)))
            }
            _ => Say::Usual,
        })
    });
    let script =
        r#"seq 1000 | "$WSPIPE" rr "$1" -t a -l -W 1 | { sleep 2.5; wc -c; }; exit "${PIPESTATUS[1]}""#;
    let run = bash(script, [server.mqtt()]).run();
    run.status(0).stdout_is("8001000\n").says_nothing();
    server.finish();
}
