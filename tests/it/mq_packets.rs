//! The packets of `pub` and `sub` byte by byte, and the version they are in.

use std::time::Duration;

use crate::{
    mq_scripted::{answer_publisher, message, publish, subscribe, wires},
    mqtt_scripted::{Say, broker, usual},
    support::{
        hex,
        scripted::{Conn, Scripted},
        to_hex,
    },
};

fn wire_of(args: &[&str]) -> Vec<String> {
    let server = Scripted::start(|conn| broker(conn, answer_publisher));
    let run = publish(&server, args).stdin("").run();
    run.status(0);
    wires(server).remove(0)
}

#[test]
fn a_publish_at_each_qos() {
    let base = ["-i", "ab", "-k", "60", "-t", "a/b", "-m", "hi"];
    let five = wire_of(&[&base[..], &["-V", "5"]].concat());
    assert_eq!(
        five[1..],
        ["3008 0003612f62 00 6869", "c000", "e0070005 1100000000"].map(|p| p.replace(' ', ""))
    );
    let old = wire_of(&[&base[..], &["-V", "311", "-q", "1", "-r"]].concat());
    assert_eq!(
        old,
        ["100e00044d51545404 02003c00026162", "3309 0003612f62 0001 6869", "e000"]
            .map(|p| p.replace(' ', ""))
    );
    let two = wire_of(&[&base[..], &["-V", "311", "-q", "2"]].concat());
    assert_eq!(two[1..], ["3409 0003612f62 0001 6869", "62020001", "e000"].map(|p| p.replace(' ', "")));
}

#[test]
fn properties_of_each_packet() {
    let wire = wire_of(&[
        "-i",
        "ab",
        "-k",
        "60",
        "-t",
        "a",
        "-m",
        "x",
        "-q",
        "1",
        "-D",
        "connect",
        "user-property",
        "k",
        "v",
        "-D",
        "connect",
        "receive-maximum",
        "7",
        "-D",
        "publish",
        "payload-format-indicator",
        "1",
        "-D",
        "publish",
        "message-expiry-interval",
        "60",
        "-D",
        "publish",
        "content-type",
        "t/p",
        "-D",
        "publish",
        "response-topic",
        "r",
        "-D",
        "publish",
        "correlation-data",
        "c",
        "-D",
        "publish",
        "user-property",
        "n",
        "w",
        "-D",
        "disconnect",
        "user-property",
        "d",
        "e",
        "--will-topic",
        "w",
        "-D",
        "will",
        "content-type",
        "z",
    ]);
    let has = |at: usize, part: &str| {
        let part = to_hex(&hex(part));
        assert!(wire[at].contains(&part), "{part} is not in {}", wire[at]);
    };
    has(0, "26 0001 6b 0001 76");
    has(0, "21 0007");
    has(0, "03 0001 7a");
    for part in ["01 01", "02 0000003c", "03 0003 742f70", "08 0001 72", "09 0001 63", "26 0001 6e 0001 77"] {
        has(1, part);
    }
    assert!(wire[1].ends_with("78"));
    has(2, "26 0001 64 0001 65");
}

#[test]
fn a_topic_alias_is_used_where_the_server_takes_them() {
    let server = Scripted::start(|conn| {
        broker(conn, |packet| match packet[0] >> 4 {
            // Topic Alias Maximum 5.
            1 => Say::Bytes("20 06 00 00 03 22 0005"),
            _ => answer_publisher(packet),
        })
    });
    let args = ["-t", "long/topic", "-l", "-D", "publish", "topic-alias", "1"];
    publish(&server, &args).stdin("a\nb\nc\n").run().status(0).says_nothing();
    let wire = wires(server).remove(0);
    let publishes: Vec<&String> = wire.iter().filter(|p| p.starts_with("30")).collect();
    let topic = to_hex(b"long/topic");
    assert!(publishes[0].contains(&topic) && publishes[0].contains("230001"), "{publishes:?}");
    for later in &publishes[1..] {
        assert!(
            !later.contains(&topic) && later.contains("0000 03 230001".replace(' ', "").as_str()),
            "{later}"
        );
    }
    // Where it takes none, that is no error on the wire.
    let server = Scripted::start(|conn| broker(conn, answer_publisher));
    let run = publish(&server, &args).stdin("a\n").run();
    if run.stderr.is_empty() {
        assert!(!wires(server)[0].iter().any(|p| p.starts_with("30") && p.contains("230001")));
    }
}

#[test]
fn the_subscription_on_the_wire() {
    let server = Scripted::start(|conn| {
        broker(conn, |packet| match packet[0] {
            0x82 => Say::These([usual(packet, true), message(0x30, 0, b"x")].concat()),
            _ => Say::Usual,
        })
    });
    let args =
        ["-t", "a", "-q", "2", "-C", "1", "--no-local", "--retain-as-published", "--retain-handling", "new"];
    let more =
        ["-D", "subscribe", "subscription-identifier", "5", "-D", "subscribe", "user-property", "k", "v"];
    subscribe(&server, &args).args(more).run().status(0);
    let wire = wires(server).remove(0);
    // QoS 2, No Local 0x04, Retain As Published 0x08, Retain Handling 1.
    assert!(wire[1].ends_with("0001611e"), "{}", wire[1]);
    assert!(wire[1].contains("0b05") && wire[1].contains("2600016b000176"), "{}", wire[1]);
    // Clean Start with an expiry of 300 s, which the last DISCONNECT takes back.
    assert_eq!(&wire[0][18..20], "02");
    assert!(wire[0].contains("110000012c"), "{}", wire[0]);
    assert_eq!(wire.last().map(String::as_str), Some("e007000511 00000000".replace(' ', "").as_str()));
}

// --- Falling back to 3.1.1

#[test]
fn fallback_to_3_1_1() {
    let old = |late: bool, say: &'static str| {
        move |conn: &mut Conn| {
            broker(conn, |packet| match packet[0] {
                0x10 if packet[8] == 5 && late => {
                    std::thread::sleep(Duration::from_millis(500));
                    Say::Bytes(say)
                }
                0x10 if packet[8] == 5 => Say::Bytes(say),
                _ => match packet[0] & 0xf6 {
                    0x32 => answer_publisher(packet),
                    _ => Say::Usual,
                },
            })
        }
    };
    for late in [false, true] {
        for say in ["20 02 00 01", "20 03 00 84 00"] {
            let server = Scripted::start(old(late, say));
            let run = publish(&server, &["-t", "a", "-m", "x", "-q", "1"]).run();
            run.status(0);
            let wire = wires(server);
            assert_eq!(wire.len(), 2);
            assert_eq!(&wire[1][0][16..18], "04", "protocol level");
        }
    }
    // With a will too: nothing was accepted.
    let server = Scripted::start(old(false, "20 02 00 01"));
    publish(&server, &["-t", "a", "-m", "x", "-q", "1", "--will-topic", "w"]).run().status(0);
    server.finish();
    // Not where 5.0 was asked for, or is needed.
    for args in [&["-V", "5"][..], &["-D", "publish", "content-type", "x"]] {
        let server = Scripted::start(old(false, "20 02 00 01"));
        let run = publish(&server, &["-t", "a", "-m", "x"]).args(args).run();
        run.status(10);
        assert_eq!(server.finish().len(), 1, "{args:?}");
    }
}

#[test]
fn an_early_end_is_tried_once_in_3_1_1_but_not_with_a_will() {
    let ends = |conn: &mut Conn| {
        broker(conn, |packet| if packet[0] == 0x10 && packet[8] == 5 { Say::End } else { Say::Usual })
    };
    let server = Scripted::start(ends);
    publish(&server, &["-t", "a", "-m", "x"]).run().status(0).one_line(&["3.1.1"]);
    assert_eq!(server.finish().len(), 2);
    let server = Scripted::start(ends);
    publish(&server, &["-t", "a", "-m", "x", "--will-topic", "w"]).run().status(55).one_line(&["-V 311"]);
    assert_eq!(server.finish().len(), 1);
}

#[test]
fn only_a_size_is_raised_by_max_message() {
    // 131,073 properties in a packet below the limit; and one byte above a limit of 20.
    let many = {
        let properties = [0x26, 0, 0, 0, 0].repeat(131_073);
        let len = |n: usize| [n as u8 & 0x7f | 0x80, (n >> 7) as u8 & 0x7f | 0x80, (n >> 14) as u8];
        let body = [&hex("0001 61")[..], &len(properties.len()), &properties].concat();
        [&[0x30][..], &len(body.len()), &body].concat()
    };
    let cases: [(Vec<u8>, &str, &str, bool); 2] = [
        (many, "1M", "more than 131072 properties on topic \"a\"", false),
        (message(0x30, 0, &[b'x'; 15]), "20", "21 bytes on topic \"a\", where the limit is 20", true),
    ];
    for (packet, limit, text, hint) in cases {
        let server = Scripted::start(move |conn| {
            broker(conn, |first| match first[0] {
                0x82 => Say::These([usual(first, true), packet.clone()].concat()),
                _ => Say::Usual,
            })
        });
        let run = subscribe(&server, &["-t", "a", "--max-message", limit]).run();
        run.status(63).one_line(&[text]);
        assert_eq!(run.stderr.contains("--max-message"), hint, "{}", run.stderr);
        server.finish();
    }
}
