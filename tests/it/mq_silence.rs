//! A broker that falls silent, at each stage that `pub`, `sub` and `rr` go through: each wait has its limit, and
//! the one line that says so names what was waited for.

use std::{thread, time::Duration};

use crate::{
    mq_scripted::{CONNACK, ack, answer_publisher, id_of, message, wires},
    mqtt_scripted::{Say, broker, usual},
    support::{
        Run, Running, Wspipe, hex,
        scripted::{Conn, Scripted, frame, packets},
        unaccepting, wspipe,
    },
};

/// The shortest limits, and no second connection.
const SHORT: [&str; 7] =
    ["--connect-timeout", "0.4", "--ack-timeout", "0.3", "--close-timeout", "0.2", "--no-reconnect"];

/// What each command needs to have something to do.
const COMMANDS: [(&str, &[&str]); 4] = [
    ("pub", &["-t", "a", "-m", "x"]),
    ("pub", &["-t", "a", "-l"]),
    ("sub", &["-t", "a"]),
    ("rr", &["-t", "a", "-m", "x"]),
];

fn limited(command: &str, url: &str, args: &[&str]) -> Wspipe {
    wspipe([command, url]).args(SHORT).args(args)
}

/// It timed out, in one line that has all of `texts`, soon.
#[track_caller]
fn silent(run: &Run, texts: &[&str]) {
    run.status(28).stdout_is("").within(Duration::from_secs(4)).one_line(&[&["127.0.0.1"], texts].concat());
}

/// Runs that are all under way at once, each with its peer: the limits run side by side.
#[derive(Default)]
struct AtOnce(Vec<(Running, Vec<&'static str>, Option<Scripted>)>);

impl AtOnce {
    fn start(&mut self, run: Wspipe, texts: &[&'static str]) {
        self.0.push((run.start(), texts.to_vec(), None));
    }

    fn with(&mut self, server: Scripted, run: Wspipe, texts: &[&'static str]) {
        self.0.push((run.start(), texts.to_vec(), Some(server)));
    }

    /// Each of them is [`silent`]; its peer's packets.
    #[track_caller]
    fn all_silent(self) -> Vec<(Run, Vec<String>)> {
        let mut ended = Vec::new();
        for (running, texts, server) in self.0 {
            let run = running.finish();
            silent(&run, &texts);
            ended.extend(server.map(|server| (run, wires(server).remove(0))));
        }
        ended
    }
}

/// Does nothing at all.
fn nothing(conn: &mut Conn) -> std::io::Result<()> {
    conn.drain()
}

// --- Before CONNACK

#[test]
fn nothing_after_tcp() {
    let server = Scripted::start(nothing);
    // Nobody even accepts.
    let (port, _listener, _queued) = unaccepting();
    let mut all = AtOnce::default();
    for (command, args) in COMMANDS {
        all.start(limited(command, &server.ws("/mqtt"), args), &["upgrade", "0.4 s"]);
        all.start(limited(command, &server.mqtt(), args), &["CONNACK"]);
        all.start(limited(command, &format!("mqtt://127.0.0.1:{port}"), args), &["connect", "0.4 s"]);
    }
    all.all_silent();
}

#[cfg(feature = "tls")]
#[test]
fn nothing_in_the_tls_handshake() {
    let server = Scripted::start(nothing);
    let mut all = AtOnce::default();
    for (command, args) in COMMANDS {
        for scheme in ["wss", "mqtts"] {
            let url = format!("{scheme}://127.0.0.1:{}", server.port());
            all.start(limited(command, &url, args), &["TLS", "0.4 s"]);
        }
    }
    all.all_silent();
}

#[test]
fn no_connack() {
    let over_websocket = Scripted::start(|conn| {
        conn.upgrade()?;
        conn.drain()
    });
    let mut all = AtOnce::default();
    for (command, args) in COMMANDS {
        all.start(limited(command, &over_websocket.ws("/mqtt"), args), &["CONNACK"]);
        for version in ["5", "311"].iter().filter(|version| command != "rr" || **version == "5") {
            let server = Scripted::start(nothing);
            let run = limited(command, &server.mqtt(), args).args(["-V", version]);
            all.with(server, run, &["CONNACK"]);
        }
    }
    for (run, wire) in all.all_silent() {
        // Though no CONNACK came the broker may have accepted: DISCONNECT, so that no will fires.
        let disconnect = |packet: &String| ["e000", "e00700051100000000"].contains(&&packet[..]);
        if wire.len() != 2 || !disconnect(&wire[1]) {
            run.fail(&format!("{wire:?}"));
        }
    }
}

// --- Acknowledgements

fn silent_at(first: u8) -> Scripted {
    Scripted::start(move |conn| {
        broker(conn, |packet| match packet[0] {
            kind if kind & 0xf6 == first => Say::Nothing,
            0x30..0x40 | 0x62 => answer_publisher(packet),
            _ => Say::Usual,
        })
    })
}

/// The last packet of a connection that was given up.
#[track_caller]
fn ends_with_disconnect(run: &Run, wire: &[String]) {
    if !wire.last().is_some_and(|packet| packet.starts_with("e0")) {
        run.fail(&format!("no DISCONNECT: {wire:?}"));
    }
}

#[test]
fn no_suback_and_no_unsuback() {
    let mut all = AtOnce::default();
    for (command, args, kind, text) in [
        ("sub", &["-t", "a"][..], 0x82, "for SUBACK"),
        ("rr", &["-t", "a", "-m", "x"], 0x82, "for SUBACK"),
        ("sub", &["-U", "a"], 0xa2, "for UNSUBACK"),
        ("sub", &["-U", "b", "-t", "a"], 0xa2, "for UNSUBACK"),
        ("sub", &["-U", "b", "-t", "a"], 0x82, "for SUBACK"),
    ] {
        let server = silent_at(kind);
        let run = limited(command, &server.mqtt(), args);
        all.with(server, run, &[text, "acknowledgement"]);
    }
    all.all_silent().iter().for_each(|(run, wire)| ends_with_disconnect(run, wire));
}

#[test]
fn no_puback_pubrec_or_pubcomp() {
    for (qos, kind) in [("1", 0x32), ("2", 0x34), ("2", 0x62)] {
        let mut all = AtOnce::default();
        for (command, args) in COMMANDS.iter().filter(|(command, _)| *command != "sub") {
            let server = silent_at(kind);
            let run = limited(command, &server.mqtt(), args).args(["-q", qos]).stdin("x\n");
            // Past PUBREC the broker has the message, and may still drop it with its session.
            let texts: &[_] = match (*command, kind) {
                ("pub", 0x32 | 0x34) => &["(PUBACK or PUBREC)", "1 not acknowledged"],
                ("pub", 0x62) => &["(PUBCOMP)", "1 not acknowledged"],
                (_, 0x62) => &["(PUBCOMP)"],
                _ => &["(PUBACK or PUBREC)"],
            };
            all.with(server, run, texts);
        }
        for (run, wire) in all.all_silent() {
            ends_with_disconnect(&run, &wire);
        }
    }
}

#[test]
fn no_pubrel() {
    // The N-th message is acknowledged up to PUBCOMP before DISCONNECT; where PUBREL does not come in time that is
    // given up, and the message is on stdout all the same.
    let server = Scripted::start(|conn| {
        broker(conn, |packet| match packet[0] {
            0x82 => Say::These([usual(packet, true), message(0x34, 5, b"x")].concat()),
            0x50 => Say::Nothing,
            _ => Say::Usual,
        })
    });
    let run = limited("sub", &server.mqtt(), &["-t", "a", "-q", "2", "-C", "1"]).run();
    run.status(0).stdout_is("x\n").one_line(&["no PUBREL"]).within(Duration::from_secs(3));
    assert!(run.took >= Duration::from_millis(300), "PUBREL is waited for");
    let wire = wires(server).remove(0);
    assert!(wire.contains(&"50020005".to_owned()), "{wire:?}");
    assert!(wire.last().is_some_and(|packet| packet.starts_with("e0")), "{wire:?}");
}

#[test]
fn no_pingresp() {
    let server = silent_at(0xc0);
    let mut all = AtOnce::default();
    // pub: the one after the last PUBLISH of QoS 0.
    for args in [&["-m", "x"][..], &["-l"]] {
        let run = limited("pub", &server.mqtt(), &["-t", "a"]).args(args).stdin("x\n");
        all.start(run, &["PINGREQ", "1 not confirmed"]);
    }
    // The keepalive's.
    for (command, args) in
        [("sub", &["-t", "a"][..]), ("pub", &["-t", "a", "-l"]), ("rr", &["-t", "a", "-l"])]
    {
        let run = limited(command, &server.mqtt(), args).args(["-k", "1"]).open_stdin();
        all.start(run, &["PINGREQ"]);
    }
    all.all_silent();
}

#[test]
fn silence_of_a_moment_is_a_new_connection_by_default() {
    // The same waits with reconnecting on, as it is for `sub` and `pub -l`: the next connection does what was asked.
    let server = Scripted::start(|conn| {
        let first = conn.index == 0;
        broker(conn, |packet| match packet[0] {
            0x82 if first => Say::Nothing,
            0x82 => Say::These([usual(packet, true), message(0x30, 0, b"x")].concat()),
            _ => Say::Usual,
        })
    });
    let limits = ["--ack-timeout", "0.3", "--close-timeout", "0.2", "-W", "10"];
    let run = wspipe(["sub", &server.mqtt(), "-t", "a", "-C", "1"]).args(limits).run();
    // Nothing was subscribed to when the first connection was given up; what the broker lost is said.
    run.stdout_is("x\n").says(&["SUBACK", "connecting again"]);
    assert_eq!(server.finish().len(), 2);
    let server = Scripted::start(|conn| {
        let first = conn.index == 0;
        broker(conn, |packet| match packet[0] {
            0xc0 if first => Say::Nothing,
            0x32 => Say::These(ack(0x40, id_of(packet))),
            _ => Say::Usual,
        })
    });
    let mut from = wspipe(["pub", &server.mqtt(), "-t", "a", "-l", "-q", "1", "-k", "1"])
        .args(limits)
        .open_stdin()
        .start();
    from.wait_stderr("connecting again");
    from.write("x\n");
    drop(from.take_stdin());
    from.finish().status(0).one_line(&["PINGREQ", "connecting again"]);
    assert_eq!(wires(server).len(), 2);
}

// --- The end

/// Speaks MQTT over WebSocket, and says nothing more after DISCONNECT: no Close, no end.
fn mute_at_the_end(conn: &mut Conn) -> std::io::Result<()> {
    conn.upgrade()?;
    loop {
        let (first, payload) = conn.message()?;
        if first == 0x88 {
            return conn.drain();
        }
        for packet in packets(&payload) {
            let answer = match packet[0] {
                0x10 => hex(CONNACK),
                0x32 => ack(0x40, id_of(&packet)),
                0x82 => [usual(&packet, true), message(0x30, 0, b"x")].concat(),
                0xe0 | 0x30 => Vec::new(),
                _ => usual(&packet, true),
            };
            if !answer.is_empty() {
                conn.write(frame(0x82, &answer))?;
            }
        }
    }
}

#[test]
fn no_answer_to_close() {
    // DISCONNECT and Close have left: that is all that MQTT asks for.
    for (command, args) in [("pub", &["-t", "a", "-m", "x", "-q", "1"][..]), ("sub", &["-t", "a", "-C", "1"])]
    {
        let server = Scripted::start(mute_at_the_end);
        let run = limited(command, &server.ws("/mqtt"), args).run();
        run.status(0).says_nothing().within(Duration::from_secs(3));
        assert!(run.took >= Duration::from_millis(200), "the answer is waited for");
        server.finish();
    }
    let server = Scripted::start(mute_at_the_end);
    let run = limited("rr", &server.ws("/mqtt"), &["-t", "a", "-m", "x", "-W", "0.3"]).run();
    silent(&run, &["no response to request 1"]);
    server.finish();
    // Over TCP the broker should end the connection, and does not.
    let server = Scripted::start(|conn| {
        broker(conn, |packet| match packet[0] {
            0xe0 => Say::Nothing,
            _ => answer_publisher(packet),
        })
    });
    let run = limited("pub", &server.mqtt(), &["-t", "a", "-m", "x", "-q", "1"]).run();
    run.status(0).says_nothing().within(Duration::from_secs(3));
    server.finish();
}

// --- The limit for all of it

#[test]
fn the_limit_of_the_run_holds_at_every_stage() {
    let deaf = Scripted::start(nothing);
    let mut all = AtOnce::default();
    for (command, args, stages) in [
        ("pub", &["-t", "a", "-m", "x", "-q", "1"][..], &[0, 0x10, 0x32][..]),
        ("pub", &["-t", "a", "-m", "x", "-q", "2"], &[0x34, 0x62]),
        ("pub", &["-t", "a", "-m", "x"], &[0xc0]),
        ("pub", &["-t", "a", "-l", "-q", "1"], &[0, 0x10]),
        ("sub", &["-t", "a"], &[0, 0x10, 0x82]),
        ("sub", &["-U", "a"], &[0xa2]),
    ] {
        for stage in stages {
            let limits = ["-W", "0.4", "--close-timeout", "0.2"];
            let run = |url: &str| wspipe([command, url]).args(limits).args(args).open_stdin();
            if *stage == 0 {
                all.start(run(&deaf.ws("/mqtt")), &["0.4 s"]);
                continue;
            }
            let server = silent_at(*stage);
            let run = run(&server.mqtt());
            all.with(server, run, &["0.4 s"]);
        }
    }
    all.all_silent();
}

/// What `-W` limits in `rr` is each response: a broker that is slow with CONNACK does not use that up.
#[test]
fn the_limit_of_a_response_begins_with_its_request() {
    let server = Scripted::start(|conn| {
        broker(conn, |packet| match packet[0] {
            0x10 => {
                thread::sleep(Duration::from_millis(500));
                Say::Usual
            }
            0x30 => Say::Nothing,
            _ => Say::Usual,
        })
    });
    let run = wspipe(["rr", &server.mqtt(), "-t", "a", "-m", "x", "-W", "0.3"]).run();
    run.says(&["no response to request 1"]);
    silent(&run, &["no response to request 1"]);
    assert!(run.took >= Duration::from_millis(800));
    server.finish();
}
