//! What makes a round trip of `wspipe mqtt` complete, and what does not: against scripted brokers.

use std::{io, time::Duration};

use crate::{
    mqtt_scripted::{Say, broker, fails, mqtt, silent_to, usual},
    support::{
        hex,
        scripted::{Conn, Scripted, packets},
        to_hex, wspipe,
    },
};

/// Long enough for wspipe to say what it should not say yet.
const PAUSE: Duration = Duration::from_millis(150);

/// A broker that delivers what `echo` makes of each PUBLISH of ours, which it acknowledges.
#[track_caller]
fn delivers(version: &str, qos: &str, echo: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static, status: i32) {
    let five = version == "5";
    let (run, _) = mqtt(&["-V", version, "-q", qos, "--quiet"], move |conn| {
        broker(conn, |packet| {
            if packet[0] >> 4 != 3 {
                return Say::Usual;
            }
            // PUBACK, if any, is all that the usual answer has before the packet itself.
            let answer = usual(packet, five);
            let ack = &answer[..answer.len() - packet.len()];
            Say::These([ack, &echo(packet)].concat())
        })
    });
    run.status(status);
    if status == 28 {
        run.one_line(&["come back"]);
    }
}

#[test]
fn a_retained_message_does_not_count_however_equal() {
    for (version, qos) in [("5", "0"), ("5", "1"), ("311", "0"), ("311", "1")] {
        delivers(version, qos, |packet| [&[packet[0] | 1][..], &packet[1..]].concat(), 28);
        delivers(version, qos, <[u8]>::to_vec, 0);
    }
}

#[test]
fn in_5_the_correlation_data_must_be_ours() {
    // The same topic and payload: with no properties, with another's correlation data, with none of ours.
    for bytes in [
        "30 0f 0007 6d672f74657374 00 68656c6c6f",
        "30 13 0007 6d672f74657374 04 09 0001 78 68656c6c6f",
        "30 12 0007 6d672f74657374 03 09 0000 68656c6c6f",
        "30 11 0007 6d672f74657374 02 01 01 68656c6c6f",
    ] {
        delivers("5", "0", move |_| hex(bytes), 28);
    }
    // 3.1.1 has none: equal is ours.
    delivers("311", "0", |_| hex("30 0e 0007 6d672f74657374 68656c6c6f"), 0);
}

#[test]
fn another_payload_or_topic_does_not_count() {
    for version in ["5", "311"] {
        for at in [4, usize::MAX] {
            let other = move |packet: &[u8]| {
                let mut packet = packet.to_vec();
                let at = at.min(packet.len() - 1);
                packet[at] ^= 0x20;
                packet
            };
            delivers(version, "0", other, 28);
        }
    }
}

/// Speaks QoS 2 slowly in both directions and looks that nothing comes too early.
fn slow_qos_2(conn: &mut Conn, five: bool) -> io::Result<()> {
    let expect = |conn: &mut Conn, first: u8| {
        let packet = conn.packet()?;
        assert_eq!(packet[0], first, "{}", to_hex(&packet));
        Ok::<_, io::Error>(packet)
    };
    for first in [0x10, 0x82] {
        let packet = expect(conn, first)?;
        conn.write(usual(&packet, five))?;
    }
    let publish = expect(conn, 0x34)?;
    conn.write(hex("50 02 0002"))?;
    assert_eq!(expect(conn, 0x62)?[2..4], [0, 2], "PUBREL");
    // The message comes back as packet 0x31, and both sides of QoS 2 are left open in turn.
    let (topic, id) = (usize::from(publish[3]), "0031");
    let back = [&publish[..4 + topic], &hex(id), &publish[6 + topic..]].concat();
    conn.write(back)?;
    assert_eq!(expect(conn, 0x50)?[2..4], [0, 0x31], "PUBREC");
    assert!(conn.is_quiet(PAUSE)?, "nothing before PUBCOMP and PUBREL");
    conn.write(hex("70 02 0002"))?;
    assert!(conn.is_quiet(PAUSE)?, "nothing before PUBREL");
    conn.write(hex("62 02 0031"))?;
    assert_eq!(expect(conn, 0x70)?[2..4], [0, 0x31], "PUBCOMP");
    let unsubscribe = expect(conn, 0xa2)?;
    assert!(conn.is_quiet(PAUSE)?, "no DISCONNECT before UNSUBACK");
    conn.write(usual(&unsubscribe, five))?;
    assert_eq!(expect(conn, 0xe0)?, [0xe0, 0]);
    conn.end()
}

#[test]
fn qos_2_is_finished_both_ways_and_unsuback_awaited_before_disconnect() {
    for version in ["5", "311"] {
        let server = Scripted::start(move |conn| slow_qos_2(conn, version == "5"));
        wspipe(["mqtt", &server.mqtt(), "-V", version, "-q", "2"]).run().status(0).says(&[
            "SUBSCRIBED",
            "PUBLISHED",
            "RECEIVED",
        ]);
        server.finish();
    }
}

#[test]
fn an_end_of_qos_2_or_an_unsuback_that_never_comes() {
    for version in ["5", "311"] {
        fails(version, silent_to(10), 28, &["UNSUBACK"]);
        // PUBREC and the message, at QoS 0, but never PUBCOMP; and PUBCOMP, but never PUBREL for the message.
        let (run, _) = mqtt(&["-V", version, "-q", "2", "--quiet"], move |conn| {
            broker(conn, |packet| match packet[0] {
                0x34 => Say::Bytes("50 02 0002"),
                _ => Say::Usual,
            })
        });
        run.status(28).one_line(&["acknowledgement"]);
        let (run, _) = mqtt(&["-V", version, "-q", "2", "--quiet"], move |conn| {
            broker(conn, |packet| match packet[0] {
                0x34 => Say::These([&hex("50 02 0002"), packet].concat()),
                0x62 => Say::Bytes("70 02 0002"),
                _ => Say::Usual,
            })
        });
        run.status(28).one_line(&["QoS 2"]);
    }
}

#[test]
fn an_unsuback_that_denies() {
    // 0x87 Not authorized. What was asked for by then is done all the same.
    let (run, _) = mqtt(&["-V", "5"], |conn| {
        broker(conn, |packet| if packet[0] == 0xa2 { Say::Bytes("b0 04 0002 00 87") } else { Say::Usual })
    });
    run.status(9).says(&["RECEIVED", "UNSUBSCRIBE", "mg/test", "0x87"]);
    // 0x11 No subscription existed is none.
    let (run, _) = mqtt(&["-V", "5"], |conn| {
        broker(conn, |packet| if packet[0] == 0xa2 { Say::Bytes("b0 04 0002 00 11") } else { Say::Usual })
    });
    run.status(0).says(&["RECEIVED"]);
}

#[test]
fn what_a_kept_session_has_left_is_acknowledged_and_does_not_count() {
    // CONNACK with Session Present; behind it an equal message, a QoS 2 one, and the PUBREL of a third, whose
    // PUBLISH an earlier run had.
    for (version, connack, properties) in [("5", "20 03 01 00 00", "00"), ("311", "20 02 01 00", "")] {
        let message = |first: &str, id: &str| {
            let body = hex(&format!("0007 6d672f74657374 {id} {properties} 68656c6c6f"));
            [hex(first), vec![body.len() as u8], body].concat()
        };
        let left = [hex(connack), message("32", "0005"), message("3c", "0006"), hex("62 02 0009")].concat();
        let args = ["-V", version, "-c", "-i", "kept", "-q", "0", "--quiet", "--close-timeout", "0.2"];
        let server = Scripted::start(move |conn| {
            broker(conn, |packet| match packet[0] {
                0x10 => Say::These(left.clone()),
                0x50 => Say::Bytes("62 02 0006"),
                // Our own message never comes back.
                0x30 => Say::Nothing,
                _ => Say::Usual,
            })
        });
        wspipe(["mqtt", &server.mqtt(), "-W", "0.5"]).args(args).run().status(28).one_line(&["come back"]);
        let seen = packets(&server.finish()[0]);
        for (first, id) in [(0x40, 5), (0x50, 6), (0x70, 6), (0x70, 9)] {
            let answered = seen.iter().any(|packet| packet[0] == first && packet[2..4] == [0, id]);
            assert!(answered, "no {first:02x} for {id}: {seen:02x?}");
        }
        assert_eq!(seen.last().map(|packet| packet[0]), Some(0xe0));
    }
}

#[test]
fn a_kept_session_says_that_it_was_there() {
    for (version, connack) in [("5", "20 03 01 00 00"), ("311", "20 02 01 00")] {
        let args = ["-V", version, "-c", "-i", "kept"];
        let (run, _) = mqtt(&args, move |conn| {
            broker(conn, |packet| if packet[0] == 0x10 { Say::Bytes(connack) } else { Say::Usual })
        });
        run.status(0).says(&["CONNECTED", "session present", "RECEIVED"]);
        let (run, _) = mqtt(&args, |conn| broker(conn, |_| Say::Usual));
        run.status(0).never_says(&["session present"]);
    }
}
