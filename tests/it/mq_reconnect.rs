//! `pub` and `sub` over a second connection, and the window that a server sets.

use std::time::Duration;

use crate::{
    mq_scripted::{
        CONNACK, CONNACK_PRESENT, ack, answer_publisher, id_of, message, publish, subscribe, wires,
    },
    mqtt_scripted::{Say, broker, usual},
    support::{
        hex,
        scripted::{Conn, Scripted},
        to_hex,
    },
};

// --- The window

#[test]
fn the_window_is_the_smaller_one() {
    // -M 3, and a Receive Maximum of 2.
    for (args, connack, window) in
        [(&["-M", "3"][..], CONNACK, 3), (&["-M", "30"], "20 06 00 00 03 21 0002", 2)]
    {
        let server = Scripted::start(move |conn| {
            let mut waiting = Vec::new();
            loop {
                let packet = conn.packet()?;
                match packet[0] & 0xf6 {
                    0x10 => conn.write(hex(connack))?,
                    0x32 => {
                        waiting.push(id_of(&packet));
                        assert!(waiting.len() <= window);
                        if waiting.len() == window {
                            assert!(conn.is_quiet(Duration::from_millis(30))?, "more than the window");
                            for id in waiting.drain(..) {
                                conn.write(ack(0x40, id))?;
                            }
                        }
                    }
                    0xe0 => return conn.end(),
                    _ => {}
                }
            }
        });
        let lines = "x\n".repeat(window * 4);
        publish(&server, &["-t", "a", "-l", "-q", "1"])
            .args(args)
            .stdin(lines)
            .run()
            .status(0)
            .says_nothing();
        server.finish();
    }
}

// --- Reconnecting

#[test]
fn published_again_where_the_session_is_present() {
    for (qos, again) in [("1", "3a"), ("2", "3c")] {
        let server = Scripted::start(|conn| {
            if conn.index == 0 {
                return broker(conn, |packet| match packet[0] >> 4 {
                    3 if id_of(packet) == 3 => Say::End,
                    3 => Say::Nothing,
                    _ => Say::Usual,
                });
            }
            broker(conn, |packet| match packet[0] >> 4 {
                1 => Say::Bytes(CONNACK_PRESENT),
                _ => answer_publisher(packet),
            })
        });
        let run = publish(&server, &["-t", "a", "-l", "-q", qos, "-M", "3"]).stdin("1\n2\n3\n4\n").run();
        run.status(0).one_line(&["connecting again"]);
        let wire = wires(server);
        assert_eq!(wire.len(), 2);
        // Clean Start, then not.
        assert_eq!((&wire[0][0][18..20], &wire[1][0][18..20]), ("02", "00"));
        let publishes: Vec<&str> = wire[1].iter().filter(|p| p.starts_with('3')).map(|p| &p[..]).collect();
        let expected: Vec<String> =
            [(again, 1), (again, 2), (again, 3), (&format!("3{}", if qos == "1" { 2 } else { 4 }), 4)]
                .iter()
                .map(|(first, n)| to_hex(&hex(&format!("{first} 07 0001 61 {n:04x} 00 3{n}"))))
                .collect();
        assert_eq!(publishes, expected);
    }
}

#[test]
fn anew_where_the_session_is_lost_and_said() {
    let server = Scripted::start(|conn| {
        if conn.index == 0 {
            return broker(conn, |packet| match packet[0] >> 4 {
                3 if id_of(packet) == 2 => Say::End,
                3 => Say::Nothing,
                _ => Say::Usual,
            });
        }
        broker(conn, answer_publisher)
    });
    let run = publish(&server, &["-t", "a", "-l", "-q", "1", "-M", "2"]).stdin("1\n2\n3\n").run();
    run.status(0).says(&["connecting again", "2 messages", "may be doubled"]);
    let wire = wires(server);
    let publishes: Vec<&str> = wire[1].iter().filter(|p| p.starts_with('3')).map(|p| &p[..2]).collect();
    assert_eq!(publishes, ["32"; 3], "no DUP in a new session");
}

#[test]
fn pubrel_again_and_past_pubrec_nothing_is_sent_anew() {
    // The connection ends after PUBREC, at PUBREL.
    for (present, connack) in [(true, CONNACK_PRESENT), (false, CONNACK)] {
        let server = Scripted::start(move |conn| {
            if conn.index == 0 {
                return broker(conn, |packet| match packet[0] {
                    0x34 => Say::These(ack(0x50, id_of(packet))),
                    0x62 => Say::End,
                    _ => Say::Usual,
                });
            }
            broker(conn, |packet| match packet[0] >> 4 {
                1 => Say::Bytes(connack),
                _ => answer_publisher(packet),
            })
        });
        let run = publish(&server, &["-t", "a", "-l", "-q", "2"]).stdin("x\n").run();
        run.never_says(&["doubled"]);
        match present {
            true => run.status(0),
            // The server may have dropped it with the session.
            false => run.status(55).says(&["1 not confirmed"]),
        };
        let wire = wires(server);
        let again: Vec<&str> =
            wire[1].iter().filter(|p| p.starts_with('3') || p.starts_with('6')).map(|p| &p[..]).collect();
        assert_eq!(again, if present { vec!["62020001"] } else { vec![] });
    }
}

#[test]
fn a_lower_receive_maximum_after_a_reconnect() {
    let server = Scripted::start(|conn| {
        if conn.index == 0 {
            return broker(conn, |packet| match packet[0] >> 4 {
                3 if id_of(packet) == 5 => Say::End,
                3 => Say::Nothing,
                _ => Say::Usual,
            });
        }
        let mut next = 1;
        loop {
            let packet = conn.packet()?;
            match packet[0] & 0xf6 {
                // Session present, Receive Maximum 2.
                0x10 => conn.write(hex("20 06 01 00 03 21 0002"))?,
                0x32 => {
                    assert_eq!(id_of(&packet), next, "in order");
                    next += 1;
                    if next % 2 == 1 {
                        assert!(conn.is_quiet(Duration::from_millis(30))?, "more than the new window");
                        conn.write([ack(0x40, next - 2), ack(0x40, next - 1)].concat())?;
                    }
                }
                0xe0 => return conn.end(),
                _ => {}
            }
        }
    });
    let run = publish(&server, &["-t", "a", "-l", "-q", "1"]).stdin("1\n2\n3\n4\n5\n6\n7\n8\n").run();
    run.status(0);
    server.finish();
}

#[test]
fn an_acknowledgement_that_never_comes_is_a_new_connection_in_the_same_session() {
    let server = Scripted::start(|conn| {
        if conn.index == 0 {
            return broker(conn, |packet| if packet[0] >> 4 == 3 { Say::Nothing } else { Say::Usual });
        }
        broker(conn, |packet| match packet[0] >> 4 {
            1 => Say::Bytes(CONNACK_PRESENT),
            _ => answer_publisher(packet),
        })
    });
    let args = ["-t", "a", "-l", "-q", "1", "--ack-timeout", "0.4"];
    let run = publish(&server, &args).stdin("x\n").run();
    run.status(0).one_line(&["(PUBACK or PUBREC)", "connecting again"]);
    let wire = wires(server);
    // The session is not ended with the connection.
    assert_eq!(wire[0].last().map(String::as_str), Some("e000"));
    assert_eq!(wire[1][1], "3a0700016100010078");
}

#[test]
fn qos_0_that_may_be_lost_is_counted() {
    // Three lines, and the connection ends before PINGRESP.
    let server = Scripted::start(|conn| {
        let first = conn.index == 0;
        broker(conn, |packet| match packet[0] >> 4 {
            3 => Say::Nothing,
            12 if first => Say::End,
            _ => Say::Usual,
        })
    });
    let run = publish(&server, &["-t", "a", "-l"]).stdin("1\n2\n3\n").run();
    run.status(55).says(&["connecting again", "3 not confirmed"]);
    server.finish();
}

#[test]
fn no_reconnect_and_max_retries() {
    let cut =
        |conn: &mut Conn| broker(conn, |packet| if packet[0] >> 4 == 3 { Say::End } else { Say::Usual });
    let server = Scripted::start(cut);
    let run = publish(&server, &["-t", "a", "-l", "-q", "1", "--no-reconnect"]).stdin("1\n2\n").run();
    run.status(55).says(&["not acknowledged"]);
    assert_eq!(server.finish().len(), 1);
    // -m does not reconnect by itself.
    let server = Scripted::start(cut);
    let run = publish(&server, &["-t", "a", "-m", "x", "-q", "1"]).run();
    run.status(55).says(&["1 not acknowledged"]);
    assert_eq!(server.finish().len(), 1);
    // Connections that are refused while logging in count.
    let server = Scripted::start(|conn| match conn.index {
        0 => broker(conn, |packet| if packet[0] >> 4 == 3 { Say::End } else { Say::Usual }),
        // Server busy.
        _ => {
            broker(conn, |packet| if packet[0] >> 4 == 1 { Say::Bytes("20 03 00 89 00") } else { Say::Usual })
        }
    });
    let run = publish(&server, &["-t", "a", "-l", "-q", "1", "--max-retries", "2"]).stdin("1\n").run();
    run.says(&["0x89", "not acknowledged"]);
    assert_eq!(server.finish().len(), 3, "{}", run.stderr);
}

#[test]
fn subscriptions_stay_with_the_session() {
    for (present, connack) in [(true, CONNACK_PRESENT), (false, CONNACK)] {
        let server = Scripted::start(move |conn| {
            if conn.index == 0 {
                return broker(conn, |packet| match packet[0] {
                    0x82 => Say::These([usual(packet, true), message(0x32, 1, b"one")].concat()),
                    0x40 => Say::End,
                    _ => Say::Usual,
                });
            }
            broker(conn, |packet| match packet[0] >> 4 {
                1 if present => Say::These([hex(connack), message(0x32, 2, b"two")].concat()),
                1 => Say::Bytes(connack),
                8 => Say::These([usual(packet, true), message(0x32, 2, b"two")].concat()),
                _ => Say::Nothing,
            })
        });
        let run = subscribe(&server, &["-t", "a", "-q", "1", "-C", "2"]).run();
        // What came in between is missing where the session was lost, and that is said.
        run.status(if present { 0 } else { 56 }).stdout_is("one\ntwo\n").says(&["connecting again"]);
        if !present {
            run.says(&["session was lost"]);
        }
        let wire = wires(server);
        assert_eq!(wire.len(), 2);
        assert_eq!(&wire[1][0][18..20], "00", "Clean Start 0");
        assert_eq!(wire[1].iter().any(|p| p.starts_with("82")), !present, "{wire:?}");
    }
}

#[test]
fn qos_2_is_exactly_once_across_a_cut() {
    // PUBREC was sent, PUBREL never came; then the broker sends the PUBLISH again (DUP), in the same session.
    let server = Scripted::start(|conn| {
        if conn.index == 0 {
            return broker(conn, |packet| match packet[0] {
                0x82 => Say::These([usual(packet, true), message(0x34, 5, b"once")].concat()),
                0x50 => Say::End,
                _ => Say::Usual,
            });
        }
        broker(conn, |packet| match packet[0] {
            0x10 => Say::These([hex(CONNACK_PRESENT), message(0x3c, 5, b"once")].concat()),
            0x50 => Say::These(ack(0x62, 5)),
            0x70 => Say::These(message(0x30, 0, b"after")),
            _ => Say::Nothing,
        })
    });
    let run = subscribe(&server, &["-t", "a", "-q", "2", "-C", "2"]).run();
    run.status(0).stdout_is("once\nafter\n");
    server.finish();
}

/// The N-th message of `-C N` is acknowledged up to PUBCOMP, over another connection where it must be.
#[test]
fn the_last_message_is_finished_after_a_cut() {
    for (present, again) in [(true, "3c"), (true, "62"), (false, "")] {
        let server = Scripted::start(move |conn| {
            if conn.index == 0 {
                return broker(conn, |packet| match packet[0] {
                    0x82 => Say::These([usual(packet, true), message(0x34, 5, b"last")].concat()),
                    0x50 => Say::End,
                    _ => Say::Usual,
                });
            }
            let back = match again {
                "3c" => message(0x3c, 5, b"last"),
                "62" => ack(0x62, 5),
                _ => Vec::new(),
            };
            broker(conn, |packet| match packet[0] {
                0x10 if present => Say::These([hex(CONNACK_PRESENT), back.clone()].concat()),
                0x50 => Say::These(ack(0x62, 5)),
                _ => Say::Usual,
            })
        });
        let run = subscribe(&server, &["-t", "a", "-q", "2", "-C", "1"]).run();
        run.status(0).stdout_is("last\n").one_line(&["connecting again"]);
        let wire = wires(server);
        assert_eq!(wire.len(), 2);
        let finished = wire[1].iter().any(|packet| packet.starts_with("70"));
        // A session that is lost takes the message with it.
        assert_eq!(finished, present, "{wire:?}");
        assert!(wire[1].last().is_some_and(|packet| packet.starts_with("e0")), "{wire:?}");
    }
}

#[test]
fn a_gap_in_3_1_1_is_56() {
    let server = Scripted::start(|conn| {
        let first = conn.index == 0;
        broker(conn, |packet| match packet[0] {
            0x82 if first => Say::End,
            0x82 => Say::These([usual(packet, false), hex("30 04 0001 61 78")].concat()),
            _ => Say::Usual,
        })
    });
    let run = subscribe(&server, &["-t", "a", "-V", "311", "-C", "1"]).run();
    run.status(56).stdout_is("x\n").says(&["connecting again", "lost"]);
    assert_eq!(server.finish().len(), 2);
}

#[test]
fn a_disconnect_of_the_servers() {
    // Session taken over: permanent. Server shutting down: another try.
    let server = Scripted::start(|conn| {
        broker(conn, |packet| match packet[0] {
            0x82 => Say::These([usual(packet, true), hex("e0 01 8e")].concat()),
            _ => Say::Usual,
        })
    });
    subscribe(&server, &["-t", "a"]).run().status(10).one_line(&["0x8e", "taken over"]);
    assert_eq!(server.finish().len(), 1);
    let server = Scripted::start(|conn| {
        let first = conn.index == 0;
        broker(conn, |packet| match packet[0] {
            0x82 if first => Say::These([usual(packet, true), hex("e0 01 8b")].concat()),
            0x10 if !first => Say::These([hex(CONNACK_PRESENT), message(0x30, 0, b"x")].concat()),
            _ => Say::Usual,
        })
    });
    let run = subscribe(&server, &["-t", "a", "-C", "1"]).run();
    run.status(0).stdout_is("x\n").one_line(&["0x8b", "connecting again"]);
    server.finish();
}
