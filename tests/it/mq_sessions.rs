//! What CONNACK says, sessions that are lost at the wrong moment, and large messages over WebSocket: scripted brokers.

use std::{io, thread, time::Duration};

use rustix::process::Signal;

use crate::{
    mq_scripted::{
        CONNACK, CONNACK_PRESENT, ack, answer_publisher, id_of, message, publish, subscribe, wires,
    },
    mqtt_scripted::{Say, broker, usual},
    support::{
        hex,
        scripted::{Conn, Scripted, frame, packets, read_packet},
        to_hex, wspipe,
    },
};

// --- A session that is lost in the middle of QoS 2

#[test]
fn a_new_session_knows_no_old_identifiers() {
    // PUBREC was sent for 5. In the same session, 5 again is the same message; in a new one it is another.
    for (connack, again, printed, status) in
        [(CONNACK_PRESENT, 0x3c, "one\nend\n", 0), (CONNACK, 0x34, "one\ntwo\nend\n", 56)]
    {
        let server = Scripted::start(move |conn| {
            if conn.index == 0 {
                return broker(conn, |packet| match packet[0] {
                    0x82 => Say::These([usual(packet, true), message(0x34, 5, b"one")].concat()),
                    0x50 => Say::End,
                    _ => Say::Usual,
                });
            }
            let present = connack == CONNACK_PRESENT;
            broker(conn, |packet| match packet[0] {
                0x10 if present => Say::These([hex(connack), message(again, 5, b"one")].concat()),
                0x82 => Say::These([usual(packet, true), message(again, 5, b"two")].concat()),
                0x50 => Say::These(ack(0x62, 5)),
                0x70 => Say::These(message(0x30, 0, b"end")),
                _ => Say::Usual,
            })
        });
        let count = printed.lines().count().to_string();
        let run = subscribe(&server, &["-t", "a", "-q", "2", "-C", &count]).run();
        run.status(status).stdout_is(printed).says(&["connecting again"]);
        let wire = wires(server);
        assert_eq!(wire[1].iter().filter(|packet| packet.starts_with("5002")).count(), 1, "{wire:?}");
    }
}

#[test]
fn a_publisher_whose_session_is_lost_before_pubrec() {
    // 1 is past PUBREC: nothing confirms it any more. 2 and 3 are not: those go out anew, and are counted.
    let server = Scripted::start(|conn| {
        if conn.index == 0 {
            return broker(conn, |packet| match packet[0] {
                0x34 if id_of(packet) == 1 => Say::These(ack(0x50, 1)),
                0x34 if id_of(packet) == 3 => Say::End,
                0x34 | 0x62 => Say::Nothing,
                _ => Say::Usual,
            });
        }
        broker(conn, answer_publisher)
    });
    let run = publish(&server, &["-t", "a", "-l", "-q", "2", "-M", "3"]).stdin("1\n2\n3\n").run();
    run.status(55).says(&["connecting again", "2 messages", "may be doubled", "1 not confirmed"]);
    let wire = wires(server).remove(1);
    let payloads: Vec<&str> =
        wire.iter().filter(|p| p.starts_with("34")).map(|p| &p[p.len() - 2..]).collect();
    assert_eq!(payloads, ["32", "33"]);
    assert_eq!(wire.iter().filter(|packet| packet.starts_with("62")).count(), 2);
}

// --- 3.1.1

#[test]
fn fallback_with_a_will_and_a_late_connack() {
    for (command, args) in [("pub", &["-m", "x", "-q", "1"][..]), ("sub", &["-E"])] {
        for say in ["20 02 00 01", "20 03 00 84 00"] {
            let server = Scripted::start(move |conn| {
                broker(conn, |packet| match packet[0] {
                    0x10 if packet[8] == 5 => {
                        thread::sleep(Duration::from_millis(400));
                        Say::Bytes(say)
                    }
                    0x32 => answer_publisher(packet),
                    _ => Say::Usual,
                })
            });
            let will = ["--will-topic", "w", "--will-payload", "gone", "-i", "ab"];
            let run = wspipe([command, &server.mqtt(), "-t", "a", "-d"]).args(args).args(will).run();
            // At info, which -d shows.
            run.status(0).says(&["refuses MQTT 5.0", "3.1.1", "CONNECTED", "MQTT 3.1.1"]);
            let wire = wires(server);
            assert_eq!(wire.len(), 2, "{command}");
            assert_eq!(wire[0].len(), 1, "nothing follows a refused CONNECT: {wire:?}");
            let connect = "10 17 0004 4d515454 04 06 003c 0002 6162 0001 77 0004 676f6e65";
            assert_eq!(wire[1][0], to_hex(&hex(connect)), "{command}: the will goes along");
            assert_eq!(wire[1].last().map(String::as_str), Some("e000"));
        }
    }
}

// --- CONNACK

#[test]
fn the_keep_alive_of_the_server_holds() {
    // Server Keep Alive 1, whatever -k says.
    let server = Scripted::start(|conn| {
        broker(conn, |packet| match packet[0] {
            0x10 => Say::Bytes("20 06 00 00 03 13 0001"),
            0xc0 => Say::These([hex("d0 00"), hex("e0 01 8b")].concat()),
            _ => Say::Usual,
        })
    });
    let commands = [("pub", &["-t", "a", "-l"][..]), ("sub", &["-t", "a"]), ("rr", &["-t", "a", "-l"])].map(
        |(command, args)| {
            let run = wspipe([command, &server.mqtt(), "-k", "600", "--no-reconnect"]).args(args);
            run.open_stdin().start()
        },
    );
    for running in commands {
        let run = running.finish();
        run.status(10).says(&["0x8b", "Server shutting down"]).within(Duration::from_secs(4));
    }
    assert!(wires(server).iter().all(|wire| wire.contains(&"c000".to_owned())));
}

#[test]
fn what_the_server_does_not_do_is_not_asked_for() {
    for (property, command, args) in [
        // Wildcard, Shared, Subscription Identifiers, each not available.
        ("28 00", "sub", &["-t", "a/#"][..]),
        ("2a 00", "sub", &["-t", "$share/g/a"]),
        ("29 00", "sub", &["-t", "a", "-D", "subscribe", "subscription-identifier", "3"]),
        ("25 00", "rr", &["-t", "a", "-m", "x", "-r"]),
        ("24 00", "rr", &["-t", "a", "-m", "x", "-q", "1"]),
    ] {
        let connack = hex(&format!("20 05 00 00 02 {property}"));
        let server = Scripted::start(move |conn| {
            broker(conn, |packet| match packet[0] {
                0x10 => Say::These(connack.clone()),
                _ => Say::Usual,
            })
        });
        let run = wspipe([command, &server.mqtt(), "-W", "3"]).args(args).run();
        let wire = wires(server).remove(0);
        // rr subscribes before it publishes; that may be.
        let asked = command == "sub" && wire.iter().any(|packet| packet.starts_with("82"));
        if asked || wire.iter().any(|packet| packet.starts_with('3')) {
            run.fail(&format!("{property} {args:?}: {wire:?}"));
        }
        run.status(9).one_line(&["127.0.0.1"]);
    }
}

#[test]
fn an_assigned_identifier_is_kept_for_the_next_connection() {
    // The server names us "srv"; a session that is to be there again needs that name.
    let server = Scripted::start(|conn| {
        let first = conn.index == 0;
        broker(conn, |packet| match packet[0] {
            0x10 if first => Say::Bytes("20 09 00 00 06 12 0003 737276"),
            0x10 => Say::Bytes(CONNACK_PRESENT),
            0x32 if first => Say::End,
            _ => answer_publisher(packet),
        })
    });
    let run = publish(&server, &["-t", "a", "-l", "-q", "1"]).stdin("x\n").run();
    run.status(0).one_line(&["connecting again"]);
    let wire = wires(server);
    assert!(wire[1][0].ends_with("0003737276"), "{wire:?}");
    assert_eq!(wire[1][1], "3a0700016100010078");
}

// --- Ten megabytes over WebSocket, which mosquitto does not send

const LARGE: usize = 10_000_000;

fn large() -> Vec<u8> {
    (0..LARGE as u32).map(|i| (i ^ (i >> 8)) as u8).collect()
}

/// Speaks MQTT in frames; a packet may come in many of them, and go out so.
fn over_websocket(conn: &mut Conn, answer: impl Fn(&[u8]) -> Vec<u8>) -> io::Result<()> {
    conn.upgrade()?;
    let mut stream: Vec<u8> = Vec::new();
    loop {
        let (first, payload) = conn.message()?;
        if first == 0x88 {
            conn.write(frame(0x88, &payload))?;
            return conn.end();
        }
        stream.extend(payload);
        let mut rest = &stream[..];
        let mut left = rest.len();
        while let Ok(packet) = read_packet(|buffer| io::Read::read_exact(&mut rest, buffer)) {
            left = rest.len();
            for part in answer(&packet).chunks(100_000) {
                conn.write(frame(0x82, part))?;
            }
        }
        stream.drain(..stream.len() - left);
    }
}

#[test]
fn ten_megabytes_each_way_over_websocket() {
    let server = Scripted::start(|conn| {
        over_websocket(conn, |packet| match packet[0] {
            0x10 => hex(CONNACK),
            0x32 => {
                assert!(packet.ends_with(&large()), "not what was sent");
                ack(0x40, id_of(packet))
            }
            0x82 => [usual(packet, true), message(0x32, 1, &large())].concat(),
            0x40 | 0xe0 => Vec::new(),
            _ => usual(packet, true),
        })
    });
    let url = server.ws("/mqtt");
    let run = wspipe(["pub", &url, "-t", "a", "-s", "-q", "1", "-W", "15"]).stdin(large()).run();
    run.status(0).says_nothing();
    let run = wspipe(["sub", &url, "-t", "a", "-N", "-C", "1", "-q", "1", "-W", "15"]).run();
    run.status(0).says_nothing();
    assert!(run.stdout == large(), "{} bytes came", run.stdout.len());
    server.finish();
}

// --- Reasons by name

#[test]
fn every_reason_of_a_denial_has_its_name() {
    for (code, name) in [
        (0x80, "Unspecified error"),
        (0x83, "Implementation specific error"),
        (0x87, "Not authorized"),
        (0x90, "Topic Name invalid"),
        (0x91, "Packet Identifier in use"),
        (0x97, "Quota exceeded"),
        (0x99, "Payload format invalid"),
    ] {
        let server = Scripted::start(move |conn| {
            broker(conn, |packet| match packet[0] {
                0x32 => Say::These([&[0x40, 3][..], &id_of(packet).to_be_bytes(), &[code]].concat()),
                0x34 => Say::These([&[0x50, 3][..], &id_of(packet).to_be_bytes(), &[code]].concat()),
                _ => Say::Usual,
            })
        });
        for qos in ["1", "2"] {
            let run = publish(&server, &["-t", "a", "-m", "x", "-q", qos]).run();
            run.status(9).one_line(&[&format!("0x{code:02x} {name}")]);
            // PUBREC with a refusal ends it: no PUBREL.
        }
        let run = wspipe(["rr", &server.mqtt(), "-t", "a", "-m", "x", "-q", "1"]).run();
        run.status(9).one_line(&[&format!("0x{code:02x} {name}"), "request 1"]);
        let seen = server.finish();
        assert!(!seen.iter().any(|bytes| packets(bytes).iter().any(|packet| packet[0] == 0x62)));
    }
}

// --- Stopped between two connections

#[test]
fn a_stop_while_there_is_no_connection() {
    let server = Scripted::start(|conn| {
        let first = conn.index == 0;
        broker(conn, |packet| match packet[0] >> 4 {
            1 if !first => Say::Nothing,
            3 => Say::End,
            _ => Say::Usual,
        })
    });
    let mut from = publish(&server, &["-t", "a", "-l", "-q", "1"]).open_stdin().start();
    from.write("x\n");
    from.wait_stderr("connecting again");
    from.signal(Signal::TERM);
    let run = from.finish();
    run.signalled(Signal::TERM).says(&["1 not acknowledged"]).within(Duration::from_secs(5));
    drop(server);
}
