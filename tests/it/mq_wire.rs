//! What the options of `pub`, `sub` and `rr` put on the wire, field by field: nothing is left out, nothing is added.

use std::{fs, os::unix::fs::PermissionsExt};

use crate::{
    mq_scripted::{ack, answer_publisher, id_of, message, wires},
    mqtt_scripted::{Say, broker, usual},
    support::{
        Wspipe,
        fields::{Fields, properties},
        hex,
        scripted::{Conn, Scripted, accept_head, frame, header, packets, remaining_length},
        temp_dir, to_hex, wspipe,
    },
};

// --- A broker that answers all three commands

/// The usual answers; each PUBLISH with a response topic gets its payload back, each SUBSCRIBE of `a` a message.
pub fn answering(packet: &[u8]) -> Say {
    match packet[0] >> 4 {
        3 => Say::These([answer(packet), response(packet).unwrap_or_default()].concat()),
        6 => Say::These(ack(0x70, u16::from_be_bytes([packet[2], packet[3]]))),
        8 if packet.ends_with(&[0, 1, b'a', packet[packet.len() - 1]]) => {
            // 3.1.1 has the length of the filter where 5.0 has that of the properties.
            let five = packet[4..6] != [0, 1];
            let message = if five { message(0x30, 0, b"x") } else { hex("30 04 0001 61 78") };
            Say::These([usual(packet, five), message].concat())
        }
        _ => Say::Usual,
    }
}

/// PUBACK or PUBREC.
fn answer(publish: &[u8]) -> Vec<u8> {
    match publish[0] & 6 {
        0 => Vec::new(),
        2 => ack(0x40, id_of(publish)),
        _ => ack(0x50, id_of(publish)),
    }
}

/// The response to a request: its payload, at QoS 0.
pub fn response(publish: &[u8]) -> Option<Vec<u8>> {
    let mut fields = Fields::of(publish);
    fields.string();
    if publish[0] & 6 != 0 {
        fields.number(2);
    }
    if fields.0.len() == 1 {
        // In 3.1.1, the payload.
        return None;
    }
    let all = fields.properties();
    let find = |id: u8| all.iter().find(|(has, _)| *has == id).map(|(_, value)| hex(value));
    let (topic, correlation) = (find(8)?, find(9)?);
    let body = [&topic[..], &[correlation.len() as u8 + 1, 9], &correlation, fields.0].concat();
    Some([vec![0x30], remaining_length(body.len()), body].concat())
}

/// A client identifier, and what each command needs to come to its end here.
const BASE: [(&str, &[&str]); 3] = [
    ("pub", &["-i", "ab", "-t", "a", "-m", "x"]),
    ("sub", &["-i", "ab", "-t", "a", "-C", "1"]),
    ("rr", &["-i", "ab", "-t", "a", "-m", "x", "-e", "mine"]),
];

fn base(command: &str) -> &'static [&'static str] {
    BASE.iter().find(|(name, _)| *name == command).expect("one of the three").1
}

fn run(command: &str, server: &Scripted, args: &[&str]) -> Wspipe {
    wspipe([command, &server.mqtt(), "-W", "10", "--close-timeout", "0.3"]).args(base(command)).args(args)
}

/// The packets of a run that ends well.
#[track_caller]
fn wire(command: &str, args: &[&str]) -> Vec<Vec<u8>> {
    let server = Scripted::start(|conn| broker(conn, answering));
    run(command, &server, args).run().status(0).says_nothing();
    packets(&server.finish()[0])
}

// --- CONNECT and DISCONNECT

#[test]
fn connect_with_all_it_can_have() {
    for (command, _) in BASE {
        let mut args = vec!["-k", "7", "-x", "60", "-u", "me", "-P", "pw", "-V", "5"];
        args.extend(["--will-topic", "w", "--will-payload", "bye", "--will-qos", "2", "--will-retain"]);
        args.extend(["--will-delay-interval", "9"]);
        for property in [
            "connect user-property k v",
            "connect receive-maximum 7",
            "connect maximum-packet-size 5000",
            "connect topic-alias-maximum 3",
            "connect request-problem-information 0",
            "connect request-response-information 1",
            "connect authentication-method m",
            "connect authentication-data d",
            "will content-type z",
            "will user-property p q",
            "will message-expiry-interval 5",
            "will payload-format-indicator 1",
            "will response-topic r",
            "will correlation-data c",
            "disconnect user-property d e",
            "disconnect session-expiry-interval 4",
        ] {
            args.push("-D");
            args.extend(property.split(' '));
        }
        let wire = wire(command, &args);
        let mut connect = Fields::of(&wire[0]);
        assert_eq!(wire[0][0], 0x10);
        // Version 5; user name, password, Will Retain, Will QoS 2, Will, Clean Start; Keep Alive 7.
        assert_eq!(connect.take(10), hex("0004 4d515454 05 f6 0007"), "{command}");
        let expected = [
            (0x11, "0000003c"),
            (0x15, "0001 6d"),
            (0x16, "0001 64"),
            (0x17, "00"),
            (0x19, "01"),
            (0x21, "0007"),
            (0x22, "0003"),
            (0x26, "0001 6b 0001 76"),
            (0x27, "00001388"),
        ];
        assert_eq!(connect.properties(), properties(&expected), "{command}");
        assert_eq!(connect.string(), "ab");
        let expected = [
            (0x01, "01"),
            (0x02, "00000005"),
            (0x03, "0001 7a"),
            (0x08, "0001 72"),
            (0x09, "0001 63"),
            (0x18, "00000009"),
            (0x26, "0001 70 0001 71"),
        ];
        assert_eq!(connect.properties(), properties(&expected), "{command}");
        let rest = [(); 4].map(|()| connect.string());
        assert_eq!(rest, ["w", "bye", "me", "pw"], "{command}");
        connect.end();
        let last = wire.last().expect("a DISCONNECT");
        assert_eq!((last[0], last[2]), (0xe0, 0), "{command}: {last:02x?}");
        let mut disconnect = Fields(&last[3..]);
        let expected = [(0x11, "00000004"), (0x26, "0001 64 0001 65")];
        assert_eq!(disconnect.properties(), properties(&expected), "{command}");
        disconnect.end();
    }
}

#[test]
fn connect_in_3_1_1() {
    for command in ["pub", "sub"] {
        let args = ["-V", "mqttv311", "-k", "0", "--user", "me", "--password", "pw", "--will-topic", "w"];
        let wire = wire(command, &args);
        // User name, password, Will at QoS 0 of no bytes, Clean Session.
        let expected = "10 1b 0004 4d515454 04 c6 0000 0002 6162 0001 77 0000 0002 6d65 0002 7077";
        assert_eq!(to_hex(&wire[0]), to_hex(&hex(expected)), "{command}");
        assert_eq!(wire.last().map(|packet| to_hex(packet)).as_deref(), Some("e000"), "{command}");
    }
}

#[test]
fn what_each_command_says_of_its_session_by_itself() {
    // Receive Maximum is sub's, so that a stalled stdout leaves the socket readable.
    for (command, expected) in [
        ("pub", &[(0x11, "0000012c")][..]),
        ("rr", &[(0x11, "0000012c")]),
        ("sub", &[(0x11, "0000012c"), (0x21, "03e8")]),
    ] {
        let wire = wire(command, &[]);
        let mut connect = Fields::of(&wire[0]);
        assert_eq!(connect.take(10), hex("0004 4d515454 05 02 003c"), "{command}");
        assert_eq!(connect.properties(), properties(expected), "{command}");
        assert_eq!(connect.string(), "ab");
        connect.end();
        let last = wire.last().map(|packet| to_hex(packet));
        assert_eq!(last.as_deref(), Some("e00700051100000000"), "{command}");
    }
    // A kept one: Clean Start 0, for ever or for as long as -x says, and DISCONNECT leaves it as it is.
    for (args, expiry) in [(&["-c"][..], "ffffffff"), (&["-c", "-x", "5"], "00000005")] {
        let wire = wire("sub", args);
        let mut connect = Fields::of(&wire[0]);
        assert_eq!(connect.take(10), hex("0004 4d515454 05 00 003c"));
        assert_eq!(connect.properties(), properties(&[(0x11, expiry), (0x21, "03e8")]));
        assert_eq!(wire.last().map(|packet| to_hex(packet)).as_deref(), Some("e000"));
    }
    let wire = wire("sub", &["-c", "-V", "311"]);
    assert_eq!(to_hex(&wire[0]), "100e00044d515454 0400003c00026162".replace(' ', ""));
}

#[test]
fn the_password_has_other_ways_in() {
    let file = temp_dir("password").join("password");
    fs::write(&file, "from file\n").expect("target/tmp is writable");
    // Others' permissions would be warned of.
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("our own file");
    for (command, _) in BASE {
        let file = file.to_string_lossy();
        let password = |args: &[&str]| {
            let server = Scripted::start(|conn| broker(conn, answering));
            run(command, &server, args).env("SECRET", "from env").run().status(0).says_nothing();
            let wire = packets(&server.finish()[0]);
            let mut connect = Fields::of(&wire[0]);
            assert_eq!(connect.take(8)[7], 0xc2, "user name, password, Clean Start");
            connect.number(2);
            connect.properties();
            [(); 3].map(|()| connect.string())
        };
        assert_eq!(password(&["-u", "me", "--password-file", &file]), ["ab", "me", "from file"], "{command}");
        assert_eq!(
            password(&["-u", "me", "--password-env", "SECRET"]),
            ["ab", "me", "from env"],
            "{command}"
        );
    }
}

#[test]
fn generated_identifiers_have_the_prefix() {
    for (command, _) in BASE {
        let server = Scripted::start(|conn| broker(conn, answering));
        let args = match command {
            "pub" => &["-t", "a", "-m", "x"][..],
            "sub" => &["-t", "a", "-C", "1"],
            _ => &["-t", "a", "-m", "x"],
        };
        for id in [&["-I", "room-"][..], &["--id-prefix", "room-"], &[]] {
            wspipe([command, &server.mqtt()]).args(args).args(id).run().status(0);
        }
        let ids: Vec<String> = server
            .finish()
            .iter()
            .map(|bytes| {
                let connect = packets(bytes).remove(0);
                let mut fields = Fields::of(&connect);
                fields.take(10);
                fields.properties();
                fields.string()
            })
            .collect();
        assert!(ids[0].starts_with("room-") && ids[0].len() > 8 && ids[0] != ids[1], "{command}: {ids:?}");
        assert!(ids[1].starts_with("room-") && !ids[2].starts_with("room-"), "{command}: {ids:?}");
        assert!(ids.iter().all(|id| id.len() <= 23), "{command}: {ids:?}");
    }
}

// --- PUBLISH

#[test]
fn publish_with_all_it_can_have() {
    for command in ["pub", "rr"] {
        let mut args = vec!["-q", "1", "-r"];
        for property in [
            "publish payload-format-indicator 1",
            "publish message-expiry-interval 60",
            "publish content-type t/p",
            "publish user-property n w",
            "publish user-property n x",
        ] {
            args.push("-D");
            args.extend(property.split(' '));
        }
        if command == "pub" {
            args.extend(["-D", "publish", "response-topic", "r", "-D", "publish", "correlation-data", "c"]);
        }
        let wire = wire(command, &args);
        let publish = wire.iter().find(|packet| packet[0] >> 4 == 3).expect("a PUBLISH");
        assert_eq!(publish[0], 0x33, "QoS 1, RETAIN");
        let mut fields = Fields::of(publish);
        assert_eq!(fields.string(), "a");
        assert_ne!(fields.number(2), 0);
        let mut has = fields.properties();
        let mut expected = properties(&[
            (0x01, "01"),
            (0x02, "0000003c"),
            (0x03, "0003 742f70"),
            (0x26, "0001 6e 0001 77"),
            (0x26, "0001 6e 0001 78"),
        ]);
        if command == "pub" {
            expected.extend(properties(&[(0x08, "0001 72"), (0x09, "0001 63")]));
            expected.sort();
        } else {
            // Its own: the response topic that -e names, and correlation data of some length.
            let response = has.iter().position(|(id, _)| *id == 0x08).expect("a response topic");
            assert_eq!(has.remove(response).1, to_hex(&hex("0004 6d696e65")));
            let correlation = has.iter().position(|(id, _)| *id == 0x09).expect("correlation data");
            assert!(has.remove(correlation).1.len() >= 2 * (2 + 8), "to be told from another's");
        }
        assert_eq!(has, expected, "{command}");
        assert_eq!(fields.0, b"x");
    }
}

#[test]
fn a_topic_alias_of_each_line() {
    // Aliases go with the first of a topic and stand for it from then on, also where the topics come from stdin.
    let server = Scripted::start(|conn| {
        broker(conn, |packet| match packet[0] >> 4 {
            // Topic Alias Maximum 2.
            1 => Say::Bytes("20 06 00 00 03 22 0002"),
            _ => answer_publisher(packet),
        })
    });
    let args =
        ["-t", "long/topic", "-m", "x", "--repeat", "3", "-q", "1", "-D", "publish", "topic-alias", "2"];
    wspipe(["pub", &server.mqtt()]).args(args).run().status(0).says_nothing();
    let wire = wires(server).remove(0);
    let publishes: Vec<&str> = wire.iter().filter(|p| p.starts_with("32")).map(String::as_str).collect();
    let whole = |id: u16| format!("3213000a{}{id:04x}0323000278", to_hex(b"long/topic"));
    assert_eq!(
        publishes,
        [whole(1), "320900000002032300 0278".replace(' ', ""), "32090000000303230002 78".replace(' ', "")]
    );
}

// --- SUBSCRIBE and UNSUBSCRIBE

#[test]
fn subscribe_and_unsubscribe_with_all_they_can_have() {
    for (when, bits) in [("always", 0x0e), ("new", 0x1e), ("never", 0x2e)] {
        let server = Scripted::start(|conn| {
            broker(conn, |packet| match packet[0] {
                0xa2 => Say::These(hex(&format!("b0 05 {} 00 00 11", to_hex(&packet[2..4])))),
                // SUBACK for two, then a message.
                0x82 => {
                    let suback = hex(&format!("90 05 {} 00 02 02", to_hex(&packet[2..4])));
                    Say::These([suback, message(0x30, 0, b"x")].concat())
                }
                _ => Say::Usual,
            })
        });
        let mut args = vec!["-t", "b/+", "-q", "2", "--no-local", "--retain-as-published"];
        args.extend(["--retain-handling", when, "-U", "c", "-U", "d/#"]);
        args.extend(["-D", "subscribe", "subscription-identifier", "268435455"]);
        args.extend(["-D", "subscribe", "user-property", "k", "v"]);
        args.extend(["-D", "unsubscribe", "user-property", "m", "w"]);
        let run = run("sub", &server, &args).run();
        run.status(0).stdout_is("x\n").one_line(&["no subscription to d/#"]);
        let wire = packets(&server.finish()[0]);
        // UNSUBSCRIBE goes first.
        let (unsubscribe, subscribe) = (&wire[1], &wire[2]);
        assert_eq!((unsubscribe[0], subscribe[0]), (0xa2, 0x82));
        let mut fields = Fields::of(unsubscribe);
        fields.number(2);
        assert_eq!(fields.properties(), properties(&[(0x26, "0001 6d 0001 77")]));
        assert_eq!([fields.string(), fields.string()], ["c", "d/#"]);
        fields.end();
        let mut fields = Fields::of(subscribe);
        fields.number(2);
        assert_eq!(fields.properties(), properties(&[(0x0b, "ffffff7f"), (0x26, "0001 6b 0001 76")]));
        for filter in ["a", "b/+"] {
            assert_eq!((fields.string().as_str(), fields.number(1)), (filter, bits), "{when}");
        }
        fields.end();
    }
}

#[test]
fn subscribe_of_rr() {
    let wire = wire("rr", &["-q", "1", "-D", "subscribe", "user-property", "k", "v"]);
    assert_eq!(wire[1][0], 0x82);
    let mut fields = Fields::of(&wire[1]);
    fields.number(2);
    assert_eq!(fields.properties(), properties(&[(0x26, "0001 6b 0001 76")]));
    assert_eq!((fields.string().as_str(), fields.number(1)), ("mine", 1));
    fields.end();
}

// --- HTTP

/// Over WebSocket; the head of the request is looked at.
fn over_websocket(conn: &mut Conn) -> std::io::Result<()> {
    let head = conn.head()?;
    assert_eq!(header(&head, "X-Key"), Some("one: two"), "{head}");
    assert_eq!(header(&head, "User-Agent"), Some("mine"), "{head}");
    assert_eq!(header(&head, "Origin"), Some("https://example.org"), "{head}");
    assert_eq!(header(&head, "Sec-WebSocket-Protocol"), Some("mqtt"), "{head}");
    assert!(header(&head, "Authorization").is_none(), "the URL's login is MQTT's: {head}");
    assert!(head.starts_with("GET /a/path?q HTTP/1.1\r\n"), "{head}");
    conn.write(accept_head(&head))?;
    loop {
        let (first, payload) = conn.message()?;
        if first == 0x88 {
            conn.write(frame(0x88, &payload))?;
            return conn.end();
        }
        for packet in packets(&payload) {
            // mosquitto's clients lose these over WebSocket.
            let user = hex("26 0001 6b 0001 76");
            assert!(
                packet[0] != 0x10 || packet.windows(user.len()).any(|part| part == user),
                "{packet:02x?}"
            );
            let answer = match answering(&packet) {
                Say::These(bytes) => bytes,
                _ => usual(&packet, true),
            };
            if !answer.is_empty() {
                conn.write(frame(0x82, &answer))?;
            }
        }
    }
}

#[test]
fn headers_of_the_upgrade_and_the_login_of_the_url() {
    for (command, _) in BASE {
        let server = Scripted::start(over_websocket);
        let url = server.ws("/a/path?q").replace("ws://", "ws://me:p%40w@");
        let headers = ["-H", "X-Key: one: two", "-H", "User-Agent: mine", "--origin", "https://example.org"];
        let property = ["-D", "connect", "user-property", "k", "v"];
        let run = wspipe([command, &url]).args(base(command)).args(headers).args(property).run();
        run.status(0).says_nothing();
        server.finish();
    }
    // In CONNECT, decoded; nothing of them where -u is given.
    for (args, flags, rest) in
        [(&[][..], 0xc2, vec!["ab", "me", "p@w"]), (&["-u", "other"], 0x82, vec!["ab", "other"])]
    {
        for (command, _) in BASE {
            let server = Scripted::start(|conn| broker(conn, answering));
            let url = server.mqtt().replace("mqtt://", "mqtt://me:p%40w@");
            wspipe([command, &url]).args(base(command)).args(args).run().status(0);
            let connect = packets(&server.finish()[0]).remove(0);
            let mut fields = Fields::of(&connect);
            assert_eq!(fields.take(8)[7], flags, "{command}");
            fields.number(2);
            fields.properties();
            let has: Vec<String> = rest.iter().map(|_| fields.string()).collect();
            assert_eq!(has, rest, "{command}");
            fields.end();
        }
    }
}
