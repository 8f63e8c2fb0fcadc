//! Normative statements of MQTT that no other test here is about; tests/conformance names them.

use std::{ffi::OsStr, fs::OpenOptions, io, os::unix::ffi::OsStrExt};

use crate::{
    mq_scripted::{ack, answer_publisher, message, publish, subscribe, wires},
    mqtt_scripted::{Say, broker, usual},
    support::{
        hex,
        scripted::{Conn, Scripted, frame, packets},
        to_hex, wspipe,
    },
};

/// Says `bytes` behind SUBACK and reads to the end, which has to come in order: a reset would be an error.
fn violate(conn: &mut Conn, five: bool, bytes: &[u8]) -> io::Result<()> {
    for first in [0x10, 0x82] {
        let packet = conn.packet()?;
        assert_eq!(packet[0], first);
        conn.write(usual(&packet, five))?;
    }
    conn.write(bytes)?;
    conn.drain().expect("the client closes the connection");
    Ok(())
}

/// What breaks MQTT in both versions, with the reason for it in 5.0. The bytes are those of 3.1.1; where 5.0 has a
/// property length, `P` stands for it.
const VIOLATIONS: [(&str, &str, u8); 12] = [
    ("a topic that is not UTF-8", "30 0l 0002 c328 P", 0x81),
    ("a surrogate in it", "30 0l 0003 eda080 P", 0x81),
    ("U+0000 in it", "30 0l 0002 6100 P", 0x81),
    ("QoS 3", "36 0l 0001 61 0001 P", 0x81),
    ("DUP at QoS 0", "38 0l 0001 61 P", 0x81),
    ("reserved flags of PUBACK", "41 02 0001", 0x81),
    ("reserved flags of PUBREL", "60 02 0001", 0x81),
    ("reserved flags of PINGRESP", "d8 00", 0x81),
    ("a remaining length of five bytes", "30 8080808001", 0x81),
    ("a packet of a client's", "c0 00", 0x82),
    ("a second CONNACK", "20 0l 00 00 P", 0x82),
    ("SUBACK for no SUBSCRIBE", "90 0l 0077 P 00", 0x82),
];

/// [MQTT-4.8.0-1] of 3.1.1 and what it stands on; in 5.0 with the reason of section 4.13.
#[test]
fn a_violation_closes_the_connection() {
    for (what, text, reason) in VIOLATIONS {
        for five in [false, true] {
            let text = text.replace('P', if five { "00" } else { "" });
            let length = hex(&text.replace('l', "0")).len() - 2;
            let bytes = hex(&text.replace('l', &length.to_string()));
            let server = Scripted::start(move |conn| violate(conn, five, &bytes));
            let run = subscribe(&server, &["-t", "a", "-V", if five { "5" } else { "311" }]).run();
            if run.stderr.is_empty() {
                run.fail(what);
            }
            run.status(8).stdout_is("").one_line(&["127.0.0.1"]);
            let wire = wires(server).remove(0);
            let expected = if five { vec![format!("e002{reason:02x}00")] } else { vec![] };
            assert_eq!(wire[2..], expected, "{what}");
        }
    }
}

/// [MQTT-3.14.1-1], [MQTT-3.15.1-1], and no DISCONNECT or AUTH in 3.1.1.
#[test]
fn reserved_flags_of_disconnect_and_auth() {
    for (text, five, answer) in [
        ("e1 00", true, "e0028100"),
        ("e2 02 8e 00", true, "e0028100"),
        ("e8 01 8b", true, "e0028100"),
        ("f1 02 18 00", true, "e0028100"),
        ("ff 00", true, "e0028100"),
        ("e0 00", false, ""),
        ("f0 00", false, ""),
    ] {
        let bytes = hex(text);
        let server = Scripted::start(move |conn| violate(conn, five, &bytes));
        let run = subscribe(&server, &["-t", "a", "-V", if five { "5" } else { "311" }]).run();
        run.status(8).stdout_is("").one_line(&["127.0.0.1"]);
        assert_eq!(wires(server)[0][2..].concat(), answer, "{text}");
    }
}

/// [MQTT-6.0.0-1]
#[test]
fn packets_in_text_frames_end_the_connection() {
    // All of these bytes are ASCII. CONNACK in a text frame; then a message.
    for (late, version) in [(false, "311"), (true, "311"), (false, "5"), (true, "5")] {
        for (command, args) in
            [("mqtt", &["--quiet"][..]), ("sub", &["-t", "a", "-C", "1"]), ("pub", &["-t", "a", "-l"])]
        {
            let server = Scripted::start(move |conn| {
                conn.upgrade()?;
                let (_, connect) = conn.message()?;
                let connack = usual(&connect, version == "5");
                conn.write(frame(if late { 0x82 } else { 0x81 }, &connack))?;
                if late {
                    let text = if version == "5" { "30 05 0001 61 00 78" } else { "30 04 0001 61 78" };
                    conn.write(frame(0x81, &hex(text)))?;
                }
                let sent = conn.messages_to_close()?;
                let (close, sent) = sent.split_last().expect("Close");
                assert_eq!(close[..2], hex("03e8"));
                let last = packets(&sent.concat()).pop().map(|packet| to_hex(&packet));
                if version == "5" {
                    assert_eq!(last.as_deref(), Some("e0028200"), "{command}");
                } else {
                    assert_ne!(last.as_deref(), Some("e000"), "{command}");
                }
                Ok(())
            });
            let run = wspipe([command, &server.ws("/mqtt"), "-V", version, "-W", "10"]).args(args);
            let run = run.open_stdin().start().finish();
            run.status(8).stdout_is("").one_line(&["text frame"]);
            server.finish();
        }
    }
}

/// [MQTT-1.5.4-3], in 3.1.1 [MQTT-1.5.3-3]
#[test]
fn a_byte_order_mark_reaches_the_output() {
    for (version, bytes) in [("5", "30 0a 0004 efbbbf61 00 efbbbf"), ("311", "30 09 0004 efbbbf61 efbbbf")] {
        let server = Scripted::start(move |conn| {
            broker(conn, |packet| match packet[0] {
                0x82 => Say::These([usual(packet, version == "5"), hex(bytes)].concat()),
                _ => Say::Usual,
            })
        });
        let run = subscribe(&server, &["-t", "\u{feff}a", "-C", "1", "-v", "-V", version]).run();
        run.status(0).stdout_is("\u{feff}a \u{feff}\n").says_nothing();
        let wire = wires(server).remove(0);
        assert!(wire[1].contains("0004efbbbf61"), "{wire:?}");
    }
}

/// What is sent is well-formed: [MQTT-1.5.4-1], [MQTT-1.5.4-2], in 3.1.1 [MQTT-1.5.3-1], [MQTT-1.5.3-2].
#[test]
fn text_that_is_not_well_formed_is_not_sent() {
    let bad = OsStr::from_bytes(b"a\xff");
    let url = "mqtt://127.0.0.1:1";
    for (command, before) in [
        ("pub", &["-m", "x", "-t"][..]),
        ("pub", &["-m", "x", "-t", "a", "-u"]),
        ("pub", &["-m", "x", "-t", "a", "-i"]),
        ("pub", &["-m", "x", "-t", "a", "--will-topic"]),
        ("pub", &["-m", "x", "-t", "a", "-D", "publish", "response-topic"]),
        ("pub", &["-m", "x", "-t", "a", "-D", "publish", "content-type"]),
        ("pub", &["-m", "x", "-t", "a", "-D", "publish", "user-property", "k"]),
        ("pub", &["-m", "x", "-t", "a", "-D", "connect", "authentication-method"]),
        ("sub", &["-t"]),
        ("sub", &["-t", "a", "-U"]),
        ("rr", &["-m", "x", "-t"]),
        ("mqtt", &["-t"]),
    ] {
        // A usage error: nothing listens at that URL.
        wspipe([command, url]).args(before).args([bad]).run().status(2).stdout_is("").one_line(&["UTF-8"]);
    }
    // A surrogate, and U+0000, which no argument can hold.
    for topic in ["a\\ud800", "a\\u0000"] {
        let server = Scripted::start(|conn| broker(conn, answer_publisher));
        let line = format!("{{\"topic\":\"{topic}\",\"payload\":\"x\"}}\n");
        let run = wspipe(["pub", &server.mqtt(), "--in", "json", "-W", "10"]).stdin(line).run();
        run.status(26).one_line(&["line 1"]);
        let wire = wires(server).remove(0);
        assert!(!wire.iter().any(|packet| packet.starts_with('3')), "{wire:?}");
    }
}

/// [MQTT-4.8.0-2] of 3.1.1: an error of ours, not of the server's.
#[test]
fn an_error_of_our_own_closes_the_connection() {
    for version in ["311", "5"] {
        let server = Scripted::start(move |conn| {
            let five = version == "5";
            let bytes = hex(if five { "32 07 0001 61 0009 00 78" } else { "32 06 0001 61 0009 78" });
            violate(conn, five, &bytes)
        });
        let full = OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
        let run = subscribe(&server, &["-t", "a", "-q", "1", "-V", version]).stdout(full).run();
        run.status(23).one_line(&["stdout"]);
        let wire = wires(server).remove(0);
        assert!(!wire.iter().any(|packet| packet.starts_with("40")), "what was lost is not acknowledged");
        assert!(wire[2].starts_with("e0") && wire.len() == 3, "{wire:?}");
    }
}

/// [MQTT-3.2.2-4]
#[test]
fn a_session_that_we_do_not_have_is_left() {
    for (command, version, args) in [
        ("pub", "5", &["-m", "x"][..]),
        ("pub", "311", &["-m", "x"]),
        ("sub", "5", &[]),
        ("sub", "311", &[]),
        ("rr", "5", &["-m", "x"]),
        ("mqtt", "5", &["--quiet"]),
        ("mqtt", "311", &["--quiet"]),
    ] {
        let server = Scripted::start(move |conn| {
            conn.packet()?;
            conn.write(hex(if version == "5" { "20 03 01 00 00" } else { "20 02 01 00" }))?;
            conn.drain().expect("the client closes the connection");
            Ok(())
        });
        let run = wspipe([command, &server.mqtt(), "-t", "a", "-W", "10", "-V", version]).args(args).run();
        run.status(8).stdout_is("").one_line(&["Session Present"]);
        let wire = wires(server);
        let expected = if version == "5" { vec!["e0028200"] } else { vec![] };
        assert_eq!(wire[0][1..], expected, "{command}");
        assert_eq!(wire.len(), 1, "{command}: it would be the same again");
    }
}

/// [MQTT-3.14.4-1], [MQTT-3.14.4-2]
#[test]
fn disconnect_is_the_last_packet_and_the_connection_is_closed() {
    for version in ["311", "5"] {
        for (command, args) in [
            ("pub", &["-m", "x", "-q", "2"][..]),
            ("sub", &["-C", "1", "-q", "2"]),
            ("sub", &["-E"]),
            ("mqtt", &["--quiet"]),
        ] {
            let server = Scripted::start(move |conn| {
                loop {
                    let packet = conn.packet()?;
                    if packet[0] == 0xe0 {
                        // The server leaves the closing to the client, and asks for more in vain.
                        conn.write(if version == "5" {
                            message(0x32, 9, b"late")
                        } else {
                            hex("62 02 0077")
                        })?;
                        conn.drain().expect("the client closes the connection");
                        return Ok(());
                    }
                    let answer = match (packet[0], answer_publisher(&packet)) {
                        (0x82, _) if args.contains(&"-C") => {
                            let message = if version == "5" {
                                message(0x34, 5, b"m")
                            } else {
                                hex("34060001610005 6d")
                            };
                            [usual(&packet, version == "5"), message].concat()
                        }
                        (0x50, _) => ack(0x62, 5),
                        (0x70, _) => continue,
                        (0x30, _) => usual(&packet, version == "5"),
                        (_, Say::These(bytes)) => bytes,
                        _ => usual(&packet, version == "5"),
                    };
                    conn.write(answer)?;
                }
            });
            let run =
                wspipe([command, &server.mqtt(), "-t", "a", "-W", "10", "-V", version]).args(args).run();
            run.status(0);
            let wire = wires(server).remove(0);
            let at = wire.iter().position(|packet| packet.starts_with("e0"));
            assert_eq!(at, Some(wire.len() - 1), "{command}: {wire:?}");
        }
    }
}

/// [MQTT-4.12.0-3], [MQTT-4.12.0-7]: no command knows how to answer a challenge.
#[test]
fn a_challenge_is_not_answered() {
    let challenge = "f0 06 18 04 15 0001 6d";
    for (args, status, last) in
        [(&["-D", "connect", "authentication-method", "m"][..], 67, "e0"), (&[], 8, "e0028200")]
    {
        for connected in [false, true] {
            let server = Scripted::start(move |conn| {
                let connect = conn.packet()?;
                if connected {
                    conn.write(usual(&connect, true))?;
                }
                conn.write(hex(challenge))?;
                conn.drain().expect("the client closes the connection");
                Ok(())
            });
            let run =
                publish(&server, &["-t", "a", "-l", "-V", "5"]).args(args).open_stdin().start().finish();
            run.status(status).one_line(&["127.0.0.1"]);
            let wire = wires(server).remove(0);
            assert!(!wire.iter().any(|packet| packet.starts_with('f')), "{wire:?}");
            assert!(wire.last().is_some_and(|packet| packet.starts_with(last)), "{wire:?}");
        }
    }
}
