//! A broker that misbehaves, or behaves as few do: bytes written out, over plain TCP.

use std::{io, time::Duration};

use crate::support::{
    Run, hex,
    scripted::{Conn, Scripted, frame},
    to_hex, wspipe,
};

/// What a script says to a packet in place of the usual.
pub enum Say {
    Usual,
    Bytes(&'static str),
    These(Vec<u8>),
    Nothing,
    End,
}

/// A broker with one client, that answers the packets as a broker does but where `over` says otherwise. Packets
/// are known by the high half of their first byte: 1 CONNECT, 3 PUBLISH, 8 SUBSCRIBE, a UNSUBSCRIBE.
pub fn broker(conn: &mut Conn, over: impl Fn(&[u8]) -> Say) -> io::Result<()> {
    let mut five = true;
    loop {
        let packet = conn.packet()?;
        if packet[0] == 0x10 {
            five = packet[8] == 5;
        }
        match over(&packet) {
            Say::Bytes(bytes) => conn.write(hex(bytes))?,
            Say::These(bytes) => conn.write(bytes)?,
            Say::Nothing => {}
            Say::End => return conn.end(),
            Say::Usual if packet[0] == 0xe0 => return conn.end(),
            Say::Usual => conn.write(usual(&packet, five))?,
        }
    }
}

/// What a broker answers.
pub fn usual(packet: &[u8], five: bool) -> Vec<u8> {
    let id = || to_hex(&packet[2..4]);
    match packet[0] >> 4 {
        1 => hex(if five { "20 03 00 00 00" } else { "20 02 00 00" }),
        3 if packet[0] & 0x06 == 0 => packet.to_vec(),
        3 => {
            let topic = usize::from(packet[3]);
            let id = to_hex(&packet[4 + topic..6 + topic]);
            [hex(&format!("40 02 {id}")), packet.to_vec()].concat()
        }
        8 if five => hex(&format!("90 04 {} 00 {:02x}", id(), packet[packet.len() - 1] & 3)),
        8 => hex(&format!("90 03 {} {:02x}", id(), packet[packet.len() - 1])),
        10 if five => hex(&format!("b0 04 {} 00 00", id())),
        10 => hex(&format!("b0 02 {}", id())),
        12 => hex("d0 00"),
        _ => Vec::new(),
    }
}

/// `wspipe mqtt` with short limits against the script, and the number of its connections.
#[track_caller]
pub fn mqtt(
    args: &[&str],
    script: impl Fn(&mut Conn) -> io::Result<()> + Send + Sync + 'static,
) -> (Run, usize) {
    let server = Scripted::start(script);
    let run = wspipe(["mqtt", &server.mqtt(), "--connect-timeout", "0.5", "--close-timeout", "0.3"])
        .args(["--ack-timeout", "0.8", "-W", "1.2"])
        .args(args)
        .run();
    let connections = server.finish().len();
    run.within(Duration::from_secs(6)).below_mib(24);
    (run, connections)
}

/// One line at `--quiet`, this status; over one connection, as `-V` forbids a second try.
#[track_caller]
pub fn fails(
    version: &str,
    over: impl Fn(&[u8]) -> Say + Send + Sync + 'static,
    status: i32,
    texts: &[&str],
) {
    let (run, connections) = mqtt(&["-V", version, "-q", "1", "--quiet"], move |conn| broker(conn, &over));
    run.status(status).stdout_is("").one_line(&[&["127.0.0.1"], texts].concat());
    assert_eq!(connections, 1);
}

/// Says `bytes` to packets of this type.
fn to(kind: u8, bytes: &'static str) -> impl Fn(&[u8]) -> Say + Send + Sync + 'static {
    move |packet| if packet[0] >> 4 == kind { Say::Bytes(bytes) } else { Say::Usual }
}

pub fn silent_to(kind: u8) -> impl Fn(&[u8]) -> Say + Send + Sync + 'static {
    move |packet| if packet[0] >> 4 == kind { Say::Nothing } else { Say::Usual }
}

#[test]
fn the_scripted_broker_is_one() {
    for args in
        [["-V", "5", "-q", "0"], ["-V", "311", "-q", "0"], ["-V", "5", "-q", "1"], ["-V", "311", "-q", "1"]]
    {
        let (run, _) = mqtt(&args, |conn| broker(conn, |_| Say::Usual));
        run.status(0).says(&["CONNECTED", "SUBSCRIBED", "PUBLISHED", "RECEIVED"]);
    }
}

// --- Silence

#[test]
fn silent_after_connect() {
    for version in ["5", "311"] {
        fails(version, silent_to(1), 28, &["CONNACK", "127.0.0.1"]);
    }
    // In 5, where the version was not given, the option that may help is named.
    let (run, connections) = mqtt(&["--quiet"], |conn| broker(conn, silent_to(1)));
    run.status(28).one_line(&["CONNACK", "-V 311"]);
    assert_eq!(connections, 1);
}

#[test]
fn silent_after_subscribe() {
    fails("5", silent_to(8), 28, &["SUBACK"]);
}

#[test]
fn silent_after_publish() {
    fails("5", silent_to(3), 28, &["acknowledgement"]);
    // Acknowledged, but never delivered.
    let delivered_never =
        |packet: &[u8]| if packet[0] >> 4 == 3 { Say::Bytes("40 02 0002") } else { Say::Usual };
    fails("311", delivered_never, 28, &["come back"]);
}

#[test]
fn a_message_that_is_another() {
    // QoS 0 on mg/test: `hellO`, and one on mg/tesT that matches nothing.
    let another = to(3, "30 0e 0007 6d672f74657374 68656c6c4f  30 0e 0007 6d672f74657354 68656c6c6f");
    let (run, _) = mqtt(&["-V", "311", "--quiet"], move |conn| broker(conn, &another));
    run.status(28).one_line(&["come back"]);
}

// --- Refusals

#[test]
fn connack_refusals_in_3_1_1() {
    fails("311", to(1, "20 02 00 01"), 10, &["version"]);
    fails("311", to(1, "20 02 00 02"), 10, &["identifier"]);
    fails("311", to(1, "20 02 00 03"), 10, &["unavailable"]);
    fails("311", to(1, "20 02 00 04"), 67, &["password"]);
    fails("311", to(1, "20 02 00 05"), 67, &["authori"]);
    fails("311", to(1, "20 02 00 06"), 8, &["CONNACK"]);
}

#[test]
fn connack_refusals_in_5() {
    fails("5", to(1, "20 03 00 86 00"), 67, &["0x86", "password"]);
    fails("5", to(1, "20 03 00 87 00"), 67, &["0x87", "authori"]);
    fails("5", to(1, "20 03 00 8a 00"), 67, &["0x8a"]);
    fails("5", to(1, "20 03 00 8c 00"), 67, &["0x8c"]);
    fails("5", to(1, "20 03 00 85 00"), 10, &["0x85"]);
    fails("5", to(1, "20 03 00 88 00"), 10, &["0x88", "unavailable"]);
    // With Server Reference and Reason String: the server's words are shown, and nothing else of theirs.
    fails("5", to(1, "20 12 00 9d 0f 1c 0004 61 2e 62 3a 1f 0005 67 6f 1b 6e 65"), 10, &["0x9d", "a.b:"]);
}

#[test]
fn session_present_after_clean_start() {
    fails("5", to(1, "20 03 01 00 00"), 8, &["session"]);
    fails("311", to(1, "20 02 01 00"), 8, &["session"]);
}

#[test]
fn subscriptions_that_are_denied() {
    fails("5", to(8, "90 04 0001 00 87"), 9, &["mg/test", "0x87"]);
    fails("5", to(8, "90 04 0001 00 80"), 9, &["mg/test", "0x80"]);
    fails("311", to(8, "90 03 0001 80"), 9, &["mg/test"]);
}

#[test]
fn a_lower_qos_than_asked_is_a_warning() {
    let (run, _) = mqtt(&["-V", "5", "-q", "1"], |conn| broker(conn, to(8, "90 04 0001 00 00")));
    run.status(0).says(&["QoS 0"]);
}

#[test]
fn publishes_that_are_denied() {
    fails("5", to(3, "40 03 0002 87"), 9, &["mg/test", "0x87"]);
    fails("5", to(3, "40 04 0002 97 00"), 9, &["mg/test", "0x97"]);
    // 0x10, no matching subscribers, is no refusal; but nothing comes back.
    fails("5", to(3, "40 03 0002 10"), 28, &["come back"]);
}

#[test]
fn a_maximum_qos_below_the_asked_one() {
    // CONNACK with Maximum QoS 0.
    fails("5", to(1, "20 05 00 00 02 24 00"), 9, &["QoS", "-q 0"]);
}

#[test]
fn disconnect_from_the_server() {
    // Session taken over; with and without a property length.
    fails("5", to(3, "e0 01 8e"), 10, &["0x8e", "taken over"]);
    fails("5", to(8, "e0 02 8e 00"), 10, &["0x8e", "taken over"]);
    fails("5", to(3, "e0 02 8b 00"), 10, &["0x8b"]);
}

// --- Violations

#[test]
fn what_is_no_mqtt_at_all() {
    // NATS greets so on any path; `INFO {`.
    fails("5", to(1, "49 4e 46 4f 20 7b"), 8, &["INFO {"]);
    fails("311", to(1, "48 54 54 50 2f 31 2e 31 20 34 30 30"), 8, &["HTTP/1.1 400"]);
}

#[test]
fn malformed_packets() {
    for (bytes, text) in [
        ("20 03 02 00 00", ""),          // reserved CONNACK flags
        ("20 80 80 80 80 01", ""),       // a remaining length of five bytes
        ("20 83 00 00 00 00", ""),       // one longer than needed
        ("21 03 00 00 00", ""),          // reserved flags of the fixed header
        ("20 06 00 00 03 21 00 00", ""), // Receive Maximum 0
        ("30 04 0001 61 00", "CONNACK"), // PUBLISH before CONNACK
        ("d0 00", "CONNACK"),            // PINGRESP before CONNACK
        ("10 00", ""),                   // a client's packet
    ] {
        let (run, connections) = mqtt(&["-V", "5", "--quiet"], move |conn| broker(conn, to(1, bytes)));
        if run.stderr.is_empty() {
            run.fail(bytes);
        }
        run.status(8).stdout_is("").one_line(&[text]);
        assert_eq!(connections, 1);
    }
}

#[test]
fn malformed_packets_later() {
    for bytes in [
        "30 04 0002 c328",       // a topic that is no UTF-8
        "30 05 0001 2b 00 78",   // a wildcard in it
        "36 05 0001 61 0001",    // QoS 3
        "32 06 0001 61 0000 00", // packet identifier 0
        "20 03 00 00 00",        // a second CONNACK
        "30 06 0001 61 05 0101", // a property that ends beyond its list
    ] {
        let (run, _) = mqtt(&["-V", "5", "--quiet"], move |conn| broker(conn, to(8, bytes)));
        if run.stderr.is_empty() {
            run.fail(bytes);
        }
        run.status(8).stdout_is("").one_line(&[]);
    }
}

#[test]
fn a_violation_is_answered_with_its_disconnect() {
    let server = Scripted::start(|conn| {
        broker(conn, |packet| match packet[0] >> 4 {
            8 => Say::Bytes("30 04 0002 c328"),
            14 => {
                // 0x81 Malformed Packet or 0x82 Protocol Error.
                assert!(matches!(packet.get(2), Some(0x81 | 0x82)), "{packet:02x?}");
                Say::End
            }
            _ => Say::Usual,
        })
    });
    wspipe(["mqtt", &server.mqtt(), "-V", "5"]).run().status(8);
    let seen = server.finish();
    assert_eq!(seen[0][seen[0].len() - 4], 0xe0, "DISCONNECT with a reason: {}", to_hex(&seen[0]));
}

#[test]
fn packets_above_the_limit_cost_no_memory() {
    // A PUBLISH of 256 MiB - 1, announced; whatever is sent of it.
    let (run, _) = mqtt(&["-V", "5", "--quiet", "-W", "2"], |conn| {
        broker(conn, |packet| match packet[0] >> 4 {
            8 => Say::Bytes("30 ff ff ff 7f 0001 61"),
            _ => Say::Usual,
        })
    });
    run.status(63).one_line(&["limit"]);
}

// --- The end of the connection

#[test]
fn an_end_without_disconnect() {
    for kind in [8, 3] {
        let end = move |packet: &[u8]| if packet[0] >> 4 == kind { Say::End } else { Say::Usual };
        fails("5", end, 56, &["127.0.0.1"]);
    }
}

#[test]
fn a_broker_that_keeps_the_connection_after_disconnect() {
    let (run, _) = mqtt(&["-V", "5", "-q", "1"], |conn| {
        broker(conn, |packet| if packet[0] == 0xe0 { Say::Nothing } else { Say::Usual })
    });
    run.status(0).within(Duration::from_secs(3));
}

#[test]
fn a_websocket_close_before_our_disconnect() {
    // Whatever its code: for MQTT the connection is lost.
    for (body, code) in [("03e8", "1000"), ("03f3", "1011")] {
        let server = Scripted::start(move |conn| {
            conn.upgrade()?;
            conn.frame()?;
            conn.write(frame(0x82, &hex("20 03 00 00 00")))?;
            conn.frame()?;
            conn.write(frame(0x88, &hex(body)))?;
            conn.drain()
        });
        wspipe(["mqtt", &server.ws("/mqtt"), "-V", "5", "--quiet"])
            .run()
            .status(56)
            .one_line(&["127.0.0.1", code]);
        server.finish();
    }
}

// --- Falling back to 3.1.1

/// A broker of 3.1.1 only, that does this to a CONNECT of 5.
fn only_311(
    say: impl Fn() -> Say + Send + Sync + 'static,
) -> impl Fn(&mut Conn) -> io::Result<()> + Send + Sync {
    move |conn| broker(conn, |packet| if packet[0] == 0x10 && packet[8] == 5 { say() } else { Say::Usual })
}

#[test]
fn connack_says_that_5_is_not_spoken() {
    // RabbitMQ's way and the standard's.
    for bytes in ["20 02 00 01", "20 03 00 84 00"] {
        let (run, connections) = mqtt(&[], only_311(move || Say::Bytes(bytes)));
        run.status(0).says(&["3.1.1"]).says(&["CONNECTED", "RECEIVED"]);
        assert_eq!(connections, 2);
    }
}

#[test]
fn the_end_before_connack_is_tried_once_more() {
    let (run, connections) = mqtt(&[], only_311(|| Say::End));
    run.status(0).says(&["3.1.1"]).says(&["CONNECTED", "RECEIVED"]);
    assert_eq!(connections, 2);
    let (run, connections) = mqtt(&["--quiet"], |conn| broker(conn, |_| Say::End));
    run.status(56).one_line(&["CONNACK"]);
    assert_eq!(connections, 2, "once, not more");
}

#[test]
fn no_second_try_with_a_will_or_what_needs_5() {
    for args in [&["--will-topic", "gone"][..], &["-x", "60"], &["-V", "5"]] {
        let (run, connections) = mqtt(args, |conn| broker(conn, |_| Say::End));
        run.status(56);
        assert_eq!(connections, 1, "{args:?}");
    }
    // A will does not forbid it where the broker says that it speaks no 5: nothing was accepted.
    let (run, connections) = mqtt(&["--will-topic", "gone"], only_311(|| Say::Bytes("20 02 00 01")));
    run.status(0);
    assert_eq!(connections, 2);
}

#[test]
fn a_websocket_close_before_connack_is_tried_once_more() {
    // NATS: Close 1011.
    let server = Scripted::start(|conn| {
        conn.upgrade()?;
        let (_, connect) = conn.frame()?;
        if connect[8] == 5 {
            conn.write(frame(0x88, &hex("03f3")))?;
            return conn.drain();
        }
        // CONNACK as four frames of one byte, as aedes sends it; then silence.
        for byte in [0x20, 2, 0, 0] {
            conn.write(frame(0x82, &[byte]))?;
        }
        conn.drain()
    });
    let run = wspipe(["mqtt", &server.ws("/mqtt"), "--ack-timeout", "0.3", "--close-timeout", "0.2"]).run();
    run.status(28).says(&["3.1.1", "CONNECTED"]);
    assert_eq!(server.finish().len(), 2);
}

// --- What is unusual and right

#[test]
fn publish_before_suback_and_at_a_higher_qos() {
    // A stranger's message, unasked, at QoS 1 with a topic that matches nothing: acknowledged, not counted.
    let (run, _) = mqtt(&["-V", "5", "-q", "0"], |conn| {
        broker(conn, |packet| match packet[0] >> 4 {
            8 => Say::Bytes("32 08 0001 61 0009 00 6869  90 04 0001 00 00"),
            4 => {
                assert_eq!(packet[2..4], [0, 9], "PUBACK of the stranger's");
                Say::Nothing
            }
            _ => Say::Usual,
        })
    });
    run.status(0).says(&["RECEIVED"]);
    assert_eq!(run.stderr.matches("RECEIVED").count(), 1);
}

#[test]
fn suback_at_qos_2_completes_both_ways() {
    let server = Scripted::start(|conn| {
        broker(conn, |packet| match packet[0] {
            0x34 => Say::Bytes("50 02 0002"),
            0x62 => Say::Bytes("70 02 0002  34 10 0007 6d672f74657374 0031 68656c6c6f"),
            0x50 => Say::Bytes("62 02 0031"),
            0x70 => Say::Nothing,
            _ => Say::Usual,
        })
    });
    wspipe(["mqtt", &server.mqtt(), "-V", "311", "-q", "2"]).run().status(0).says(&["PUBLISHED", "RECEIVED"]);
    let seen = to_hex(&server.finish()[0]);
    assert!(seen.contains("62020002") && seen.contains("50020031") && seen.contains("70020031"), "{seen}");
}
