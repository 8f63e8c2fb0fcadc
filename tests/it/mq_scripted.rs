//! `pub` and `sub` against a broker that does what few do: bytes written out, over plain TCP.

use std::{
    io::Read,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::{
    mqtt_scripted::{Say, broker, usual},
    support::{
        Wspipe, hex,
        scripted::{Conn, Scripted, packets, remaining_length},
        to_hex, wait_until, wspipe,
    },
};

pub const CONNACK: &str = "20 03 00 00 00";
pub const CONNACK_PRESENT: &str = "20 03 01 00 00";

pub fn publish(server: &Scripted, args: &[&str]) -> Wspipe {
    wspipe(["pub", &server.mqtt(), "-W", "15", "--connect-timeout", "2", "--close-timeout", "0.3"]).args(args)
}

pub fn subscribe(server: &Scripted, args: &[&str]) -> Wspipe {
    wspipe(["sub", &server.mqtt(), "-W", "15", "--connect-timeout", "2", "--close-timeout", "0.3"]).args(args)
}

/// PUBLISH of 5.0 without properties to `a`.
pub fn message(first: u8, id: u16, payload: &[u8]) -> Vec<u8> {
    let mut body = hex("0001 61");
    if first & 6 != 0 {
        body.extend(id.to_be_bytes());
    }
    body.push(0);
    body.extend_from_slice(payload);
    [vec![first], remaining_length(body.len()), body].concat()
}

/// The packet identifier of a client's PUBLISH above QoS 0.
pub fn id_of(publish: &[u8]) -> u16 {
    let start = 1 + publish[1..].iter().take_while(|b| **b >= 0x80).count() + 1;
    let topic = usize::from(u16::from_be_bytes([publish[start], publish[start + 1]]));
    u16::from_be_bytes([publish[start + 2 + topic], publish[start + 3 + topic]])
}

pub fn ack(first: u8, id: u16) -> Vec<u8> {
    [vec![first, 2], id.to_be_bytes().to_vec()].concat()
}

/// PUBACK, PUBREC, PUBCOMP; nothing at QoS 0.
pub fn answer_publisher(packet: &[u8]) -> Say {
    match packet[0] & 0xf6 {
        0x30 => Say::Nothing,
        0x32 => Say::These(ack(0x40, id_of(packet))),
        0x34 => Say::These(ack(0x50, id_of(packet))),
        0x62 => Say::These(ack(0x70, u16::from_be_bytes([packet[2], packet[3]]))),
        _ => Say::Usual,
    }
}

/// The packets of each connection, as hex.
pub fn wires(server: Scripted) -> Vec<Vec<String>> {
    server.finish().iter().map(|bytes| packets(bytes).iter().map(|p| to_hex(p)).collect()).collect()
}

// --- Acknowledged after output

#[test]
fn nothing_is_acknowledged_before_it_is_output() {
    // stdout is a pipe that nobody reads: what does not fit into it stays unacknowledged.
    for (qos, first, answer) in [("1", 0x32, 0x40), ("2", 0x34, 0x50)] {
        let big = vec![b'x'; 50_000];
        let acked = Arc::new(AtomicUsize::new(0));
        let (count, payload) = (Arc::clone(&acked), big.clone());
        let server = Scripted::start(move |conn| {
            let packets: Vec<u8> = (1..=20).flat_map(|id| message(first, id, &payload)).collect();
            let mut aside = None;
            loop {
                let packet = conn.packet()?;
                match packet[0] {
                    0x82 => {
                        conn.write(usual(&packet, true))?;
                        aside = Some(conn.write_aside(packets.clone()));
                    }
                    first if first == answer => {
                        let n = count.fetch_add(1, Ordering::SeqCst) + 1;
                        assert_eq!(packet[2..4], (n as u16).to_be_bytes(), "in the order of arrival");
                        if answer == 0x50 {
                            conn.write(ack(0x62, n as u16))?;
                        }
                    }
                    0xe0 => {
                        aside.map(std::thread::JoinHandle::join);
                        return conn.end();
                    }
                    _ => conn.write(usual(&packet, true))?,
                }
            }
        });
        let mut sub = subscribe(&server, &["-t", "a", "-q", qos, "-C", "20"]).open_stdout().start();
        // A pipe takes 64 KiB: one message is in, not two.
        let full = wait_until(|| acked.load(Ordering::SeqCst) == 1);
        std::thread::sleep(Duration::from_millis(400));
        assert!(full && acked.load(Ordering::SeqCst) == 1, "{} at QoS {qos}", acked.load(Ordering::SeqCst));
        let mut got = Vec::new();
        sub.take_stdout().read_to_end(&mut got).expect("a pipe");
        sub.finish().status(0).says_nothing();
        assert_eq!(got.len(), 20 * 50_001);
        assert_eq!(acked.load(Ordering::SeqCst), 20);
        let wire = wires(server);
        let comps = wire[0].iter().filter(|p| p.starts_with("70")).count();
        assert_eq!(comps, if qos == "2" { 20 } else { 0 });
    }
}

#[test]
fn beyond_the_count_nothing_is_acknowledged() {
    for (qos, first) in [("1", 0x32), ("2", 0x34)] {
        let server = Scripted::start(move |conn| {
            broker(conn, |packet| match packet[0] {
                0x82 => {
                    let all = (1..=6).flat_map(|id| message(first, id, b"m"));
                    Say::These([usual(packet, true), all.collect()].concat())
                }
                0x50 => Say::These(ack(0x62, u16::from_be_bytes([packet[2], packet[3]]))),
                0x40 | 0x70 => Say::Nothing,
                _ => Say::Usual,
            })
        });
        let run = subscribe(&server, &["-t", "a", "-q", qos, "-C", "3"]).run();
        run.status(0).stdout_is("m\nm\nm\n").says_nothing();
        let wire = wires(server);
        let of = |kind: &str| -> Vec<&str> {
            wire[0].iter().filter(|p| p.starts_with(kind)).map(String::as_str).collect()
        };
        if qos == "1" {
            assert_eq!(of("40"), ["40020001", "40020002", "40020003"]);
        } else {
            assert_eq!(of("50"), ["50020001", "50020002", "50020003"]);
            assert_eq!(of("70"), ["70020001", "70020002", "70020003"]);
        }
        assert!(wire[0].last().is_some_and(|p| p.starts_with("e0")), "{wire:?}");
    }
}

#[test]
fn filtered_messages_are_acknowledged_too() {
    let server = Scripted::start(|conn| {
        broker(conn, |packet| match packet[0] {
            0x82 => {
                Say::These([usual(packet, true), message(0x32, 9, b"m"), message(0x30, 0, b"n")].concat())
            }
            0x40 => Say::These(hex("30 06 0001 62 00 6f6b")),
            _ => Say::Usual,
        })
    });
    let run = subscribe(&server, &["-t", "#", "-T", "a", "-q", "1", "-C", "1"]).run();
    run.status(0).stdout_is("ok\n");
    assert!(wires(server)[0].contains(&"40020009".to_owned()));
}

#[test]
fn pubrel_for_an_unknown_identifier_gets_pubcomp() {
    let server = Scripted::start(|conn| {
        broker(conn, |packet| match packet[0] {
            0x82 => Say::These([usual(packet, true), hex("62 02 0077")].concat()),
            0x70 => Say::These(message(0x30, 0, b"done")),
            _ => Say::Usual,
        })
    });
    subscribe(&server, &["-t", "a", "-q", "2", "-C", "1"]).run().status(0).stdout_is("done\n");
    assert!(wires(server)[0].iter().any(|p| p.starts_with("70") && p[4..].starts_with("0077")));
}

// --- SUBACK

#[test]
fn denied_subscriptions() {
    let suback = |reasons: &'static str| {
        move |conn: &mut Conn| {
            broker(conn, |packet| match packet[0] {
                0x82 => {
                    let n = hex(reasons).len();
                    let bytes = format!("90 {:02x} {} 00 {reasons}", n + 3, to_hex(&packet[2..4]));
                    Say::These([hex(&bytes), message(0x30, 0, b"x")].concat())
                }
                _ => Say::Usual,
            })
        }
    };
    let two = ["-t", "a", "-t", "b"];
    let server = Scripted::start(suback("87 80"));
    let run = subscribe(&server, &two).run();
    run.status(9).stdout_is("").says(&["to a", "0x87", "Not authorized"]).says(&["to b"]);
    let server = Scripted::start(suback("00 87"));
    let run = subscribe(&server, &two).args(["-C", "1"]).run();
    run.status(0).stdout_is("x\n").one_line(&["to b", "0x87"]);
    let server = Scripted::start(suback("00 87"));
    subscribe(&server, &two).args(["--strict"]).run().status(9).one_line(&["to b", "0x87"]);
    // Less than asked.
    let one = ["-t", "a", "-q", "1", "-C", "1"];
    let server = Scripted::start(suback("00"));
    subscribe(&server, &one).run().status(0).stdout_is("x\n").one_line(&["QoS 0", "not 1"]);
    let server = Scripted::start(suback("00"));
    subscribe(&server, &one).args(["--strict"]).run().status(9).one_line(&["QoS 0"]);
    let server = Scripted::start(suback("00"));
    subscribe(&server, &one).args(["-c", "-i", "me"]).run().status(9).one_line(&["QoS 0"]);
    // 3.1.1.
    let server = Scripted::start(|conn| {
        broker(conn, |packet| match packet[0] {
            0x82 => Say::These(hex(&format!("90 03 {} 80", to_hex(&packet[2..4])))),
            _ => Say::Usual,
        })
    });
    subscribe(&server, &["-t", "a", "-V", "311"]).run().status(9).one_line(&["to a", "0x80"]);
}

// --- Limits and stops

#[test]
fn larger_than_the_server_takes() {
    // Maximum Packet Size 20.
    let server = Scripted::start(|conn| {
        broker(conn, |packet| match packet[0] >> 4 {
            1 => Say::Bytes("20 08 00 00 05 27 00000014"),
            _ => answer_publisher(packet),
        })
    });
    publish(&server, &["-t", "a", "-m", "a message of more than that"]).run().status(63).one_line(&["20"]);
    server.finish();
    // Maximum QoS 0, Retain Available 0.
    for (connack, args) in [("20 05 00 00 02 24 00", &["-q", "1"][..]), ("20 05 00 00 02 25 00", &["-r"])] {
        let server = Scripted::start(move |conn| {
            broker(
                conn,
                |packet| if packet[0] >> 4 == 1 { Say::Bytes(connack) } else { answer_publisher(packet) },
            )
        });
        publish(&server, &["-t", "a", "-m", "x"]).args(args).run().status(9).one_line(&[]);
        server.finish();
    }
}

#[test]
fn lines_at_a_qos_that_the_server_does_not_offer() {
    // Maximum QoS 0: the first line is refused, and without a line there is nothing to refuse.
    for (lines, status) in [("a\nb\n", 9), ("", 0)] {
        let server = Scripted::start(|conn| {
            broker(conn, |packet| match packet[0] >> 4 {
                1 => Say::Bytes("20 05 00 00 02 24 00"),
                _ => answer_publisher(packet),
            })
        });
        let run = publish(&server, &["-t", "a", "-l", "-q", "1"]).stdin(lines).run();
        run.status(status);
        if status == 0 {
            run.says_nothing();
        } else {
            run.one_line(&["Maximum QoS is 0", "-q 0"]);
        }
        let wire = wires(server);
        assert!(wire[0].last().is_some_and(|packet| packet.starts_with("e0")), "{wire:?}");
        assert!(!wire[0].iter().any(|packet| packet.starts_with('3')), "{wire:?}");
    }
}

#[test]
fn larger_than_we_take() {
    let server = Scripted::start(|conn| {
        broker(conn, |packet| match packet[0] {
            0x82 => Say::These([usual(packet, true), message(0x32, 1, &[b'x'; 5000])].concat()),
            _ => Say::Usual,
        })
    });
    let run = subscribe(&server, &["-t", "a", "-q", "1", "--max-message", "1000"]).run();
    run.status(63).stdout_is("");
    let wire = wires(server);
    assert!(!wire[0].iter().any(|p| p.starts_with("40")), "not acknowledged");
    assert!(wire[0].last().is_some_and(|p| p.starts_with("e0") && p.contains("95")), "{wire:?}");
}

#[test]
fn messages_for_a_publisher_are_acknowledged_and_dropped() {
    let server = Scripted::start(|conn| {
        broker(conn, |packet| match packet[0] {
            0x10 => Say::These([hex(CONNACK), message(0x32, 7, b"unasked")].concat()),
            _ => answer_publisher(packet),
        })
    });
    let mut from = publish(&server, &["-t", "a", "-l", "-d"]).open_stdin().start();
    from.wait_stderr("nobody asked for");
    from.write("x\n");
    drop(from.take_stdin());
    from.finish().status(0).stdout_is("");
    assert!(wires(server)[0].contains(&"40020007".to_owned()));
}
