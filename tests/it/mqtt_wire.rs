//! What `wspipe mqtt` puts on the wire, byte by byte, against the standards.

use crate::support::{
    hex,
    scripted::{Conn, Scripted, frame, header, packets},
    to_hex, wspipe,
};

/// CONNACK, SUBACK for identifier 1 at this QoS, then the PUBLISH back; UNSUBACK, and the end.
fn walk_through(conn: &mut Conn) -> std::io::Result<()> {
    let mut five = false;
    loop {
        let packet = conn.packet()?;
        five |= packet[0] == 0x10 && packet[8] == 5;
        let id = to_hex(&packet[2..4.min(packet.len())]);
        let answer = match (packet[0] >> 4, five) {
            (1, true) => hex("20 03 00 00 00"),
            (1, false) => hex("20 02 00 00"),
            (8, true) => hex(&format!("90 04 {id} 00 00")),
            (8, false) => hex(&format!("90 03 {id} 00")),
            (3, _) => packet,
            (10, true) => hex(&format!("b0 04 {id} 00 00")),
            (10, false) => hex(&format!("b0 02 {id}")),
            (14, _) => return conn.end(),
            _ => Vec::new(),
        };
        conn.write(answer)?;
    }
}

/// The packets of a run, as hex.
#[track_caller]
fn wire(args: &[&str]) -> Vec<String> {
    let server = Scripted::start(walk_through);
    wspipe(["mqtt", &server.mqtt()]).args(args).run().status(0);
    packets(&server.finish()[0]).iter().map(|packet| to_hex(packet)).collect()
}

#[track_caller]
fn same(packet: &str, expected: &str) {
    assert_eq!(packet, to_hex(&hex(expected)));
}

#[test]
fn a_round_trip_in_3_1_1() {
    let wire = wire(&["-V", "311", "-i", "ab", "-k", "60", "-t", "a/b", "-m", "hi"]);
    assert_eq!(wire.len(), 5, "{wire:?}");
    same(&wire[0], "10 0e 0004 4d515454 04 02 003c 0002 6162");
    same(&wire[1], "82 08 0001 0003 612f62 00");
    same(&wire[2], "30 07 0003 612f62 6869");
    same(&wire[3], "a2 07 0002 0003 612f62");
    same(&wire[4], "e0 00");
}

#[test]
fn login_session_and_will_in_3_1_1() {
    let wire = wire(&[
        "-V",
        "311",
        "-i",
        "ab",
        "-c",
        "-k",
        "0",
        "-t",
        "a",
        "-u",
        "me",
        "-P",
        "",
        "--will-topic",
        "w",
        "--will-payload",
        "bye",
        "--will-qos",
        "1",
        "--will-retain",
    ]);
    // User name, password (of no bytes), will retain, will QoS 1, will; not clean.
    same(&wire[0], "10 1c 0004 4d515454 04 ec 0000 0002 6162 0001 77 0003 627965 0002 6d65 0000");
}

#[test]
fn a_will_of_no_payload_and_its_defaults() {
    let wire = wire(&["-V", "311", "-i", "ab", "-k", "5", "-t", "a", "--will-topic", "w"]);
    same(&wire[0], "10 13 0004 4d515454 04 06 0005 0002 6162 0001 77 0000");
}

#[test]
fn a_round_trip_in_5() {
    let wire = wire(&["-V", "5", "-i", "ab", "-k", "60", "-t", "a/b", "-m", "hi"]);
    assert_eq!(wire.len(), 5, "{wire:?}");
    let connect = hex(&wire[0]);
    assert_eq!(connect[2..12], hex("0004 4d515454 05 02 003c"), "{}", wire[0]);
    assert!(wire[0].ends_with("00026162"), "{}", wire[0]);
    same(&wire[1], "82 09 0001 00 0003 612f62 00");
    // PUBLISH with correlation data (0x09), by which the message is known when it comes back.
    let publish = hex(&wire[2]);
    assert_eq!((publish[0], &publish[2..7]), (0x30, &hex("0003 612f62")[..]), "{}", wire[2]);
    assert_eq!(publish[8], 0x09, "{}", wire[2]);
    assert!(wire[2].ends_with("6869"), "{}", wire[2]);
    same(&wire[3], "a2 08 0002 00 0003 612f62");
    // Reason 0x00 by its shortest form, or in full.
    assert!(["e000", "e00100", "e0020000"].contains(&wire[4].as_str()), "{}", wire[4]);
}

#[test]
fn session_expiry_in_5() {
    // The property 0x11.
    let wire = wire(&["-V", "5", "-i", "ab", "-x", "258", "-t", "a"]);
    assert!(wire[0].contains("1100000102"), "{}", wire[0]);
    assert_eq!(&wire[0][18..20], "02", "-x without -c is a clean start: {}", wire[0]);
}

#[test]
fn a_kept_session_in_5() {
    // Clean Start 0, and for ever unless -x says how long; DISCONNECT leaves that as it is.
    for (args, expiry) in [
        (&[][..], "ffffffff"),
        (&["-x", "258"], "00000102"),
        (&["-x", "0"], "00000000"),
        (&["-x", "never"], "ffffffff"),
        (&["-x", "-1"], "ffffffff"),
    ] {
        let wire = wire(&[&["-V", "5", "-i", "ab", "-c", "-k", "60", "-t", "a"], args].concat());
        same(&wire[0], &format!("10 14 0004 4d515454 05 00 003c 05 11 {expiry} 0002 6162"));
        assert_eq!(wire.last().map(String::as_str), Some("e000"), "{args:?}");
    }
}

#[test]
fn login_and_will_in_5() {
    let args = ["-V", "5", "-i", "ab", "-k", "0", "-u", "me", "-P", "pw", "--will-topic", "w"];
    let will = ["--will-payload", "bye", "--will-qos", "2", "--will-retain", "--will-delay-interval", "7"];
    // User name, password, will retain, will QoS 2, will, Clean Start; Will Delay Interval is property 0x18.
    same(
        &wire(&[&args[..], &will].concat())[0],
        "10 25 0004 4d515454 05 f6 0000 00 0002 6162 05 18 00000007 0001 77 0003 627965 0002 6d65 0002 7077",
    );
    same(&wire(&args)[0], "10 1d 0004 4d515454 05 c6 0000 00 0002 6162 00 0001 77 0000 0002 6d65 0002 7077");
    // A password alone, which only 5.0 has, and one that is empty.
    same(
        &wire(&["-i", "ab", "-k", "0", "-P", "pw"])[0],
        "10 13 0004 4d515454 05 42 0000 00 0002 6162 0002 7077",
    );
    same(
        &wire(&["-i", "ab", "-k", "0", "-u", "me", "-P", "", "-V", "5"])[0],
        "10 15 0004 4d515454 05 c2 0000 00 0002 6162 0002 6d65 0000",
    );
}

#[test]
fn correlation_data_differs_from_round_to_round() {
    let wire = wire(&["-V", "5", "-i", "ab", "-t", "a", "-m", "x", "--count", "3", "--interval", "0"]);
    let publishes: Vec<&String> = wire.iter().filter(|packet| packet.starts_with("30")).collect();
    assert_eq!(publishes.len(), 3, "{wire:?}");
    assert!(publishes[0] != publishes[1] && publishes[1] != publishes[2], "{publishes:?}");
}

#[test]
fn generated_client_ids_differ_and_are_plain() {
    let id = |wire: &[String]| {
        let connect = hex(&wire[0]);
        String::from_utf8(connect[14..].to_vec()).expect("ASCII")
    };
    let (one, two) = (id(&wire(&["-V", "311"])), id(&wire(&["-V", "311"])));
    assert_ne!(one, two);
    // [MQTT-3.1.3-5]: every server takes 1 to 23 letters and digits.
    for id in [one, two] {
        assert!((1..=23).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric()), "{id}");
    }
}

#[test]
fn over_websocket() {
    for (path, target) in [("", "/mqtt"), ("/", "/"), ("/a?b=c", "/a?b=c")] {
        let server = Scripted::start(move |conn| {
            let head = conn.head()?;
            assert!(head.starts_with(&format!("GET {target} HTTP/1.1\r\n")), "{head}");
            assert_eq!(header(&head, "Sec-WebSocket-Protocol"), Some("mqtt"), "alone");
            assert_eq!(header(&head, "Authorization"), None, "the login goes into CONNECT");
            conn.write(crate::support::scripted::accept_head(&head))?;
            // Packets in binary frames; DISCONNECT and Close in one write, so in one piece here.
            let mut received = Vec::new();
            loop {
                let (first, payload) = conn.frame()?;
                if first == 0x88 {
                    assert_eq!(payload, hex("03e8"));
                    conn.write(frame(0x88, &payload))?;
                    break;
                }
                assert_eq!(first, 0x82, "whole binary messages");
                received.extend_from_slice(&payload);
                for packet in packets(&payload) {
                    let id = to_hex(&packet[2..4.min(packet.len())]);
                    let answer = match packet[0] >> 4 {
                        1 => hex("20 02 00 00"),
                        8 => hex(&format!("90 03 {id} 00")),
                        3 => packet,
                        10 => hex(&format!("b0 02 {id}")),
                        _ => continue,
                    };
                    conn.write(frame(0x82, &answer))?;
                }
            }
            assert!(received.ends_with(&hex("e000")), "DISCONNECT before Close");
            conn.end()
        });
        let url = server.ws(path).replace("ws://", "ws://me:secret@");
        wspipe(["mqtt", &url, "-V", "311"]).run().status(0);
        server.finish();
    }
}

#[test]
fn a_server_that_chooses_no_subprotocol_or_lists_it() {
    for (line, passes) in [
        ("", true),
        ("Sec-WebSocket-Protocol: mqtt, mqttv3.1\r\n", true),
        ("Sec-WebSocket-Protocol: chat\r\n", false),
    ] {
        let server = Scripted::start(move |conn| {
            let head = conn.head()?;
            let answer = crate::support::scripted::accept_head(&head);
            conn.write(answer.replace("Sec-WebSocket-Protocol: mqtt\r\n", line))?;
            let (first, _) = conn.frame()?;
            if first == 0x82 {
                conn.write(frame(0x82, &hex("20 02 00 05")))?;
            }
            conn.drain()
        });
        let run = wspipe(["mqtt", &server.ws("/mqtt"), "-V", "311", "--close-timeout", "0.2"]).run();
        // 67 is what the script's CONNACK says: the upgrade was taken.
        run.status(if passes { 67 } else { 8 });
        if passes {
            run.says(&["subprotocol"]);
        }
        server.finish();
    }
}
