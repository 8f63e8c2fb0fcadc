//! Connections that go bad under `pub` and `sub`: a server that stops reading, another client with the same
//! client id, a session that is gone.

use std::{
    io,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::{
    mq_pipes::{open_urls, subscribed},
    mq_scripted::{CONNACK, answer_publisher, message, publish, subscribe, wires},
    mqtt_scripted::{broker, usual},
    support::{
        Run, hex, mosquitto,
        scripted::{Conn, Scripted, frame},
        wait_until, wspipe,
    },
};

// --- A socket that takes nothing

/// More than the kernel takes for a connection on loopback.
fn many_lines() -> Vec<u8> {
    let line = [vec![b'x'; 16_000], vec![b'\n']].concat();
    line.repeat(1500)
}

/// `pub` to a server that answers CONNECT and then reads no more: until the run is over.
fn to_a_deaf_server(ws: bool, args: &[&str]) -> Run {
    let over = Arc::new(Mutex::new(()));
    let held = over.lock().expect("nobody else has it");
    let wait = Arc::clone(&over);
    let server = Scripted::start(move |conn: &mut Conn| -> io::Result<()> {
        if conn.index > 0 {
            return broker(conn, answer_publisher);
        }
        if ws {
            conn.upgrade()?;
            conn.frame()?;
            conn.write(frame(0x82, &hex(CONNACK)))?;
        } else {
            conn.packet()?;
            conn.write(hex(CONNACK))?;
        }
        drop(wait.lock());
        Ok(())
    });
    let url = if ws { server.ws("/mqtt") } else { server.mqtt() };
    let run = wspipe(["pub", &url, "-t", "a", "-l", "--ack-timeout", "0.5", "--close-timeout", "0.3"])
        .args(args)
        .stdin(many_lines())
        .run();
    drop(held);
    server.finish();
    run
}

#[test]
fn a_server_that_stops_reading_is_given_up() {
    for ws in [false, true] {
        let run = to_a_deaf_server(ws, &["--no-reconnect"]);
        run.status(28).one_line(&["publishing", "stopped reading", "not confirmed"]);
        run.within(Duration::from_secs(8));
    }
}

#[test]
fn a_server_that_stops_reading_is_left_for_another_connection() {
    let run = to_a_deaf_server(false, &[]);
    // At QoS 0 nobody knows what became of what was sent.
    run.status(55).says(&["stopped reading", "connecting again", "not confirmed"]);
}

#[test]
fn a_slow_server_is_not_given_up() {
    // One message, of which more is left than the kernel takes at once: it is never all handed over meanwhile.
    const SIZE: usize = 24 << 20;
    let server = Scripted::start(|conn| {
        conn.packet()?;
        conn.write(hex(CONNACK))?;
        // Fixed header, topic, no properties, payload.
        let mut left = 5 + 3 + 1 + SIZE;
        let mut part = vec![0; 64 << 10];
        for _ in 0..160 {
            conn.read_exact(&mut part)?;
            left -= part.len();
            thread::sleep(Duration::from_millis(15));
        }
        conn.read_exact(&mut vec![0; left])?;
        broker(conn, answer_publisher)
    });
    let begun = Instant::now();
    let run = publish(&server, &["-t", "a", "-s", "--ack-timeout", "1"]).stdin(vec![b'x'; SIZE]).run();
    run.status(0).says_nothing();
    assert!(begun.elapsed() > Duration::from_secs(2), "slower than the limit");
    let wire = wires(server);
    assert_eq!(wire[0][2..], ["c000", "e0070005 1100000000"].map(|packet| packet.replace(' ', "")));
}

// --- Another client with the same client id

/// mosquitto 2.0.11 ends the older connection without a word. Each of the two would take the session back for
/// ever: one gives up, the other goes on.
#[test]
fn of_two_subscribers_with_one_client_id_one_gives_up() {
    let pairs = open_urls().into_iter().flat_map(|url| ["5", "311"].map(|version| (url.clone(), version)));
    let pairs: Vec<_> = pairs
        .enumerate()
        .map(|(n, (url, version))| {
            let topic = format!("rivals/{n}");
            let args = ["-t", &topic, "-i", &format!("rival-{n}"), "-V", version, "-W", "60"];
            let start = || subscribed(wspipe(["sub", &url]).args(args).shows(mosquitto::shared().log()));
            (topic.clone(), [start(), start()])
        })
        .collect();
    for (topic, mut both) in pairs {
        // Four pauses each, of 0.5 s, 1, 2 and 4 at most.
        assert!(wait_until(|| both.iter_mut().any(|sub| sub.has_ended())), "both go on for {topic}");
        let [mut first, second] = both;
        let (loser, winner) = if first.has_ended() { (first, second) } else { (second, first) };
        let loser = loser.finish();
        // Later ones say so in 5.0.
        match loser.stderr.contains("DISCONNECT 0x8e Session taken over") {
            true => loser.status(10),
            false => loser.status(56).says(&["another client probably uses the same client id", "-i rival-"]),
        };
        let url = mosquitto::shared().tcp_url();
        wspipe(["pub", &url, "-t", &topic, "-m", "x", "-q", "1"]).run().status(0);
        assert!(wait_until(|| winner.stdout_so_far() == b"x\n"), "the winner goes on");
        winner.signal(Signal::TERM);
        winner.finish().signalled(Signal::TERM);
    }
}

// --- A session that is gone

#[test]
fn each_gap_is_said_once_and_is_56_in_the_end() {
    for version in ["5", "311"] {
        let five = version == "5";
        let server = Scripted::start(move |conn| {
            let last = conn.index == 2;
            let connack = if five { CONNACK } else { "20 02 00 00" };
            conn.packet()?;
            conn.write(hex(connack))?;
            // The subscription is asked for again each time.
            let subscribe = conn.packet()?;
            assert_eq!(subscribe[0], 0x82);
            conn.write(usual(&subscribe, five))?;
            if last {
                conn.write(if five { message(0x30, 0, b"x") } else { hex("30 04 0001 61 78") })?;
                conn.packet()?;
            }
            conn.end()
        });
        let run = subscribe(&server, &["-t", "a", "-C", "1", "-V", version]).run();
        run.status(56).stdout_is("x\n");
        let gaps = |kind: &str| {
            let said = |line: &&str| line.contains(kind) && line.contains("in between is missing");
            run.stderr.lines().filter(said).count()
        };
        assert_eq!((gaps("warning"), gaps("")), (2, 3), "{}", run.stderr);
        assert_eq!(server.finish().len(), 3);
    }
}
