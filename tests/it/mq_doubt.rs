//! A session that may be lost: the server got a CONNECT whose CONNACK never came, and may have begun another
//! one with it. And the end of a subscriber whose last handshake cannot be finished.

use std::{io, time::Duration};

use crate::{
    mq_scripted::{
        CONNACK, CONNACK_PRESENT, ack, answer_publisher, id_of, message, publish, subscribe, wires,
    },
    mqtt_scripted::{Say, broker, usual},
    support::{
        hex,
        scripted::{Conn, Scripted},
    },
};

/// The first connection as told; CONNECT gets no answer on the second; from the third on the session is
/// present.
fn doubtful(
    first: impl Fn(&[u8]) -> Say + Send + Sync + 'static,
    later: impl Fn(&[u8]) -> Say + Send + Sync + 'static,
) -> Scripted {
    Scripted::start(move |conn| match conn.index {
        0 => broker(conn, &first),
        1 => broker(conn, |_| Say::End),
        _ => broker(conn, |packet| match later(packet) {
            Say::Usual if packet[0] == 0x10 => Say::Bytes(CONNACK_PRESENT),
            say => say,
        }),
    })
}

#[test]
fn past_pubrec_nothing_is_known_where_the_session_may_be_lost() {
    let server = doubtful(
        |packet| match packet[0] {
            0x34 => Say::These(ack(0x50, id_of(packet))),
            0x62 => Say::End,
            _ => Say::Usual,
        },
        // Packet Identifier not found, as from a server that has lost it; or nothing, as from mosquitto.
        |packet| match packet[0] {
            0x62 => Say::Bytes("70 03 0001 92"),
            _ => answer_publisher(packet),
        },
    );
    let run = publish(&server, &["-t", "a", "-l", "-q", "2"]).stdin("x\n").run();
    run.status(55).says(&["messages: 1 not confirmed"]).never_says(&["doubled", "not acknowledged"]);
    server.finish();
}

#[test]
fn what_is_not_through_is_not_counted_twice() {
    // PUBCOMP does not come either.
    let server = doubtful(
        |packet| match packet[0] {
            0x34 => Say::These(ack(0x50, id_of(packet))),
            0x62 => Say::End,
            _ => Say::Usual,
        },
        |packet| if packet[0] == 0x62 { Say::End } else { Say::Usual },
    );
    let args = ["-t", "a", "-l", "-q", "2", "--max-retries", "1"];
    let run = publish(&server, &args).stdin("x\n").run();
    run.status(55).says(&["messages: 1 not acknowledged"]).never_says(&["not confirmed"]);
    server.finish();
}

#[test]
fn one_message_is_said_to_be_one() {
    let server = doubtful(|packet| if packet[0] >> 4 == 3 { Say::End } else { Say::Usual }, answer_publisher);
    let run = publish(&server, &["-t", "a", "-l", "-q", "2"]).stdin("x\n").run();
    run.status(0).says(&["may have lost the session: 1 message is sent anew and may be doubled"]);
    server.finish();
}

#[test]
fn a_gap_that_cannot_be_ruled_out_is_said_once_and_is_56() {
    let server = Scripted::start(move |conn| match conn.index {
        0 => broker(conn, |packet| match packet[0] {
            0x82 => Say::These([usual(packet, true), message(0x30, 0, b"one"), hex("e0 01 8b")].concat()),
            _ => Say::Usual,
        }),
        // Twice.
        1 | 3 => broker(conn, |_| Say::End),
        2 => broker(conn, |packet| match packet[0] {
            0x10 => Say::Bytes(CONNACK_PRESENT),
            _ => Say::End,
        }),
        _ => broker(conn, |packet| match packet[0] {
            0x10 => Say::Bytes(CONNACK_PRESENT),
            0x82 => Say::These([usual(packet, true), message(0x30, 0, b"two")].concat()),
            _ => Say::Usual,
        }),
    });
    let run = subscribe(&server, &["-t", "a", "-C", "2"]).run();
    run.status(56).stdout_is("one\ntwo\n");
    let said: Vec<&str> =
        run.stderr.lines().filter(|line| line.contains("session may have been lost")).collect();
    assert_eq!(said.len(), 2, "a warning, and the last line: {}", run.stderr);
    assert!(said[0].contains("warning") && said[0].ends_with("what was published in between may be missing"));
    assert!(said[1].contains("error"), "{said:?}");
    server.finish();
}

#[test]
fn unsuback_is_waited_for_whatever_is_asked_again() {
    // SUBACK comes, UNSUBACK does not; then the session is in doubt, or lost.
    for (present, status) in [(true, 56), (false, 56)] {
        let server = doubtful(
            |packet| match packet[0] {
                0x82 => Say::These([usual(packet, true), hex("e0 01 8b")].concat()),
                0xa2 => Say::Nothing,
                _ => Say::Usual,
            },
            move |packet| match packet[0] {
                0x10 if !present => Say::Bytes(CONNACK),
                // SUBACK long before UNSUBACK.
                0xa2 => Say::Nothing,
                0x82 => Say::These(usual(packet, true)),
                0xc0 => Say::These([hex("b0 04 0001 00 00"), hex("d0 00")].concat()),
                _ => Say::Usual,
            },
        );
        let run = subscribe(&server, &["-t", "a", "-U", "b", "-E", "-k", "1"]).run();
        run.status(status);
        let wire = wires(server);
        let last = wire.last().expect("a connection");
        assert!(last.contains(&"c000".to_owned()), "UNSUBACK came after PINGREQ: {wire:?}");
    }
}

// --- The last handshake of `-C N -q 2`

/// PUBREC for the last message gets the end of the connection; what comes then is told.
fn cut_at_pubrec(later: impl Fn(&mut Conn) -> io::Result<()> + Send + Sync + 'static) -> Scripted {
    Scripted::start(move |conn| match conn.index {
        0 => broker(conn, |packet| match packet[0] {
            0x82 => Say::These([usual(packet, true), message(0x34, 5, b"last")].concat()),
            0x50 => Say::End,
            _ => Say::Usual,
        }),
        _ => later(conn),
    })
}

#[test]
fn a_last_handshake_that_fails_is_a_warning() {
    let again = "the last message is written, but the server may send it again";
    let cases: [(&'static str, &[&str], &str); 5] = [
        // Not authorized.
        ("20 03 00 87 00", &[], "0x87"),
        ("", &["--no-reconnect"], "ended the connection"),
        ("", &["--max-retries", "1"], "ended the connection"),
        // A protocol error, and a session taken over.
        ("20 03 01 00 00 00 00", &[], "broke the protocol"),
        ("20 03 01 00 00 e0 01 8e", &[], "0x8e"),
    ];
    for (says, args, text) in cases {
        let server = cut_at_pubrec(move |conn| {
            broker(conn, |packet| match packet[0] {
                0x10 if says.is_empty() => Say::End,
                0x10 => Say::Bytes(says),
                _ => Say::Usual,
            })
        });
        let run = subscribe(&server, &["-t", "a", "-q", "2", "-C", "1"]).args(args).run();
        run.status(0).stdout_is("last\n").says(&[text, again]).never_says(&["error"]);
        let last = run.stderr.lines().last().unwrap_or_default();
        assert!(last.starts_with("wspipe: warning: ") && last.contains(again), "{}", run.stderr);
        server.finish();
    }
}

#[test]
fn a_server_that_never_sends_connack_does_not_hold_up_the_end() {
    let server = cut_at_pubrec(|conn| {
        // To the end of the connection.
        loop {
            conn.packet()?;
        }
    });
    let args = ["-t", "a", "-q", "2", "-C", "1", "--ack-timeout", "0.5", "--close-timeout", "9"];
    let run = subscribe(&server, &args).run();
    run.status(0).stdout_is("last\n").says(&["no PUBREL in time"]);
    run.within(Duration::from_secs(3));
    let wire = wires(server);
    assert!(wire[1].last().is_some_and(|packet| packet.starts_with("e0")), "{wire:?}");
}
