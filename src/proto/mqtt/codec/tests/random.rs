//! Random packets both ways, and random damage. Seeded: a failure repeats, and its text names the bytes.

use bytes::{Bytes, BytesMut};
use mqttbytes::{v4, v5};

use super::*;

/// xorshift64*.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 8
    }

    /// Below `n`.
    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn chance(&mut self) -> bool {
        self.below(2) == 0
    }

    fn maybe<T>(&mut self, value: impl FnOnce(&mut Random) -> T) -> Option<T> {
        self.chance().then(|| value(self))
    }

    fn bytes(&mut self, longest: usize) -> Vec<u8> {
        (0..self.below(longest + 1)).map(|_| self.next() as u8).collect()
    }

    /// Text without U+0000 and wildcards: also a topic when it is not empty.
    fn text(&mut self, longest: usize) -> String {
        let letters = ['a', 'b', '/', '$', ' ', 'é', '温', '\u{1}', '\u{10ffff}', '\u{feff}'];
        (0..self.below(longest + 1)).map(|_| letters[self.below(letters.len())]).collect()
    }

    fn topic(&mut self) -> String {
        format!("t{}", self.text(12))
    }

    fn pairs(&mut self) -> Vec<(String, String)> {
        (0..self.below(3)).map(|_| (self.text(6), self.text(200))).collect()
    }

    fn u16_not_0(&mut self) -> u16 {
        1 + self.below(65_535) as u16
    }

    fn qos(&mut self) -> QoS {
        QoS::from_u8(self.below(3) as u8).expect("0, 1 or 2")
    }

    fn version(&mut self) -> Version {
        BOTH[self.below(2)]
    }

    fn publish_properties(&mut self) -> PublishProperties {
        PublishProperties {
            payload_format_indicator: self.maybe(|r| r.below(2) as u8),
            message_expiry_interval: self.maybe(|r| r.next() as u32),
            topic_alias: self.maybe(Random::u16_not_0),
            response_topic: self.maybe(Random::topic),
            correlation_data: self.maybe(|r| r.bytes(20).into()),
            user_properties: self.pairs(),
            subscription_identifiers: Vec::new(),
            content_type: self.maybe(|r| r.text(10)),
        }
    }
}

/// Calls `test` with a generator for each of `rounds` seeds.
fn rounds(rounds: u64, mut test: impl FnMut(&mut Random)) {
    for seed in 1..=rounds {
        test(&mut Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    }
}

#[test]
fn a_publish_comes_back() {
    rounds(5_000, |r| {
        let version = r.version();
        let (topic, payload, qos) = (r.topic(), r.bytes(300), r.qos());
        let properties = r.maybe(Random::publish_properties).filter(|_| version == Version::V5);
        let packet = Outgoing {
            dup: qos != QoS::AtMostOnce && r.chance(),
            qos,
            retain: r.chance(),
            topic: &topic,
            pkid: r.u16_not_0(),
            payload: &payload,
            properties: properties.as_ref(),
        };
        let mut out = BytesMut::new();
        publish(&mut out, version, &packet).expect("within the limits");
        assert_eq!(publish_size(version, &packet), Ok(out.len()));
        let expected = Publish {
            dup: packet.dup,
            qos,
            retain: packet.retain,
            topic: &topic,
            pkid: if qos == QoS::AtMostOnce { 0 } else { packet.pkid },
            payload: &payload,
            properties: properties.clone().filter(|p| *p != no_properties()).map(Box::new),
        };
        at_every_split(&out, version);
        assert_eq!(decode(&out, version), Ok(Packet::Publish(expected)), "{out:02x?}");
        agrees_with_mqttbytes(&out, version);
    });
}

/// `frame` waits for every byte and for none more.
fn at_every_split(bytes: &[u8], version: Version) {
    for cut in 0..bytes.len() {
        assert_eq!(frame(&bytes[..cut], version, bytes.len()), Ok(None), "{bytes:02x?} cut at {cut}");
    }
    let followed = [bytes, &[0xff; 5]].concat();
    for end in bytes.len()..=followed.len() {
        assert_eq!(frame(&followed[..end], version, bytes.len()), Ok(Some(bytes.len())), "{bytes:02x?}");
    }
}

/// A second reader finds the same PUBLISH, where it can read it.
fn agrees_with_mqttbytes(bytes: &[u8], version: Version) {
    let Ok(Packet::Publish(ours)) = decode(bytes, version) else {
        panic!("no PUBLISH: {bytes:02x?}");
    };
    if ours.properties.as_ref().is_some_and(|p| p.subscription_identifiers.len() > 1) {
        return; // it corrupts the payload
    }
    let mut stream = BytesMut::from(bytes);
    let (dup, qos, retain, topic, pkid, payload, properties) = match version {
        Version::V311 => match v4::read(&mut stream, 1 << 28) {
            Ok(v4::Packet::Publish(p)) => (p.dup, p.qos, p.retain, p.topic, p.pkid, p.payload, None),
            other => panic!("{other:?}: {bytes:02x?}"),
        },
        Version::V5 => match v5::read(&mut stream, 1 << 28) {
            Ok(v5::Packet::Publish(p)) => (p.dup, p.qos, p.retain, p.topic, p.pkid, p.payload, p.properties),
            other => panic!("{other:?}: {bytes:02x?}"),
        },
    };
    assert_eq!((dup, qos as u8, retain), (ours.dup, ours.qos as u8, ours.retain), "{bytes:02x?}");
    assert_eq!((&topic[..], pkid, &payload[..]), (ours.topic, ours.pkid, ours.payload), "{bytes:02x?}");
    assert_eq!(properties.map(Box::new), ours.properties, "{bytes:02x?}");
}

#[test]
fn a_connect_is_read_by_another_reader() {
    rounds(3_000, |r| {
        let username = r.maybe(|r| format!("u{}", r.text(8)));
        let packet = Connect {
            client_id: format!("c{}", r.text(20)),
            clean: r.chance(),
            keep_alive: r.next() as u16,
            // mqttbytes knows passwords of UTF-8 with a user name only, and takes empty ones for absent.
            password: username.as_ref().and_then(|_| r.maybe(|r| format!("p{}", r.text(8)).into())),
            username,
            will: r.maybe(|r| Will {
                topic: r.topic(),
                payload: r.bytes(50).into(),
                qos: r.qos(),
                retain: r.chance(),
                delay_interval: r.maybe(|r| r.next() as u32),
                properties: r.maybe(|r| Box::new(r.publish_properties())),
            }),
            properties: ConnectProperties {
                session_expiry_interval: r.maybe(|r| r.next() as u32),
                receive_maximum: r.maybe(Random::u16_not_0),
                maximum_packet_size: r.maybe(|r| r.next() as u32 | 1),
                topic_alias_maximum: r.maybe(|r| r.next() as u16),
                request_response_information: r.maybe(Random::chance),
                request_problem_information: r.maybe(Random::chance),
                user_properties: r.pairs(),
                authentication_method: Some(r.text(5)),
                authentication_data: r.maybe(|r| r.bytes(20).into()),
            },
        };
        let mut out = BytesMut::new();
        connect(&mut out, Version::V5, &packet).expect("within the limits");
        let Ok(v5::Packet::Connect(read)) = v5::read(&mut out.clone(), 1 << 28) else {
            panic!("{out:02x?}");
        };
        same_connect(&packet, &read);
        let mut out = BytesMut::new();
        connect(&mut out, Version::V311, &packet).expect("within the limits");
        let Ok(v4::Packet::Connect(read)) = v4::read(&mut out.clone(), 1 << 28) else {
            panic!("{out:02x?}");
        };
        assert_eq!((read.client_id, read.clean_session, read.keep_alive), {
            (packet.client_id, packet.clean, packet.keep_alive)
        });
        assert_eq!(read.last_will.map(|w| (w.topic, w.message)), packet.will.map(|w| (w.topic, w.payload)));
        assert_eq!(read.login.map(|l| l.username), packet.username);
    });
}

fn same_connect(ours: &Connect, theirs: &v5::Connect) {
    assert_eq!((&theirs.client_id, theirs.clean_session), (&ours.client_id, ours.clean));
    assert_eq!(theirs.keep_alive, ours.keep_alive);
    assert_eq!(theirs.login.as_ref().map(|l| &l.username), ours.username.as_ref());
    let password = theirs.login.as_ref().map(|l| Bytes::from(l.password.clone())).filter(|p| !p.is_empty());
    assert_eq!(password, ours.password);
    let (p, q) = (theirs.properties.as_ref().expect("a method is always there"), &ours.properties);
    assert_eq!(p.session_expiry_interval, q.session_expiry_interval);
    assert_eq!((p.receive_maximum, p.max_packet_size), (q.receive_maximum, q.maximum_packet_size));
    assert_eq!(p.topic_alias_max, q.topic_alias_maximum);
    assert_eq!(p.request_response_info, q.request_response_information.map(u8::from));
    assert_eq!(p.request_problem_info, q.request_problem_information.map(u8::from));
    assert_eq!(p.user_properties, q.user_properties);
    assert_eq!((&p.authentication_method, &p.authentication_data), {
        (&q.authentication_method, &q.authentication_data)
    });
    assert_eq!(theirs.last_will.is_some(), ours.will.is_some());
    let (Some(w), Some(v)) = (&theirs.last_will, &ours.will) else {
        return;
    };
    assert_eq!((&w.topic, &w.message, w.qos as u8, w.retain), (&v.topic, &v.payload, v.qos as u8, v.retain));
    assert_eq!(w.properties.as_ref().and_then(|p| p.delay_interval), v.delay_interval);
    if let (Some(p), Some(q)) = (&w.properties, &v.properties) {
        assert_eq!(p.payload_format_indicator, q.payload_format_indicator);
        assert_eq!(p.message_expiry_interval, q.message_expiry_interval);
        assert_eq!((&p.content_type, &p.response_topic), (&q.content_type, &q.response_topic));
        assert_eq!((&p.correlation_data, &p.user_properties), (&q.correlation_data, &q.user_properties));
    }
}

/// A valid packet from a server, its properties in random order.
fn server_packet(r: &mut Random, version: Version) -> Vec<u8> {
    let v5 = version == Version::V5;
    let pkid = r.u16_not_0().to_be_bytes();
    let failure = 0x80 + r.below(0x23) as u8;
    let kinds = if v5 { 10 } else { 8 };
    let (first, before, ids, after): (u8, Vec<u8>, &[u8], Vec<u8>) = match r.below(kinds) {
        0 => {
            let reason = if v5 { failure } else { 1 + r.below(5) as u8 };
            let fields = if r.chance() { vec![r.below(2) as u8, 0] } else { vec![0, reason] };
            (0x20, fields, &CONNACK, Vec::new())
        }
        1 => {
            let qos = r.below(3) as u8;
            let dup = if qos == 0 { 0 } else { r.below(2) as u8 };
            let topic = r.topic();
            let mut fields = [&[0, topic.len() as u8][..], topic.as_bytes()].concat();
            fields.extend(pkid.iter().filter(|_| qos > 0));
            (0x30 | dup << 3 | qos << 1 | r.below(2) as u8, fields, &PUBLISH, r.bytes(100))
        }
        kind @ 2..=5 => {
            let mut fields = pkid.to_vec();
            if v5 {
                fields.push(if r.chance() { 0 } else { failure });
            }
            ([0x40, 0x50, 0x62, 0x70][kind - 2], fields, &[0x1f, 0x26], Vec::new())
        }
        6 => {
            let reasons = [0, 1, 2, 0x80];
            let reasons = (0..1 + r.below(5)).map(|_| reasons[r.below(4)]).collect();
            (0x90, pkid.to_vec(), &[0x1f, 0x26], reasons)
        }
        7 => (0xb0, pkid.to_vec(), &[0x1f, 0x26], if v5 { vec![0, 0x11] } else { Vec::new() }),
        8 => (0xe0, vec![failure], &[0x1f, 0x26, 0x1c], Vec::new()),
        _ => (0xf0, vec![0x18], &[0x15, 0x16, 0x1f, 0x26], Vec::new()),
    };
    let section = if v5 { with_len(&random_section(r, ids)) } else { Vec::new() };
    packet(first, &[before, section, after].concat())
}

const CONNACK: [u8; 17] =
    [0x11, 0x12, 0x13, 0x15, 0x16, 0x1a, 0x1c, 0x1f, 0x21, 0x22, 0x24, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a];
const PUBLISH: [u8; 9] = [0x01, 0x02, 0x03, 0x08, 0x09, 0x0b, 0x0b, 0x23, 0x26];

/// Some of the properties, each once but those that may repeat.
fn random_section(r: &mut Random, ids: &[u8]) -> Vec<u8> {
    let mut ids: Vec<u8> = ids.iter().copied().filter(|_| r.below(3) == 0).collect();
    for at in (1..ids.len()).rev() {
        ids.swap(at, r.below(at + 1));
    }
    let mut section = Vec::new();
    for id in ids {
        section.push(id);
        match id {
            0x01 | 0x24 | 0x25 | 0x28..=0x2a => section.push(r.below(2) as u8),
            0x02 | 0x11 | 0x27 => section.extend((r.next() as u32 | 1).to_be_bytes()),
            0x13 | 0x21..=0x23 => section.extend(r.u16_not_0().to_be_bytes()),
            0x0b => match r.below(3) {
                0 => section.push(1 + r.below(127) as u8),
                1 => section.extend([0x80, 1 + r.below(127) as u8]),
                _ => section.extend([0xff, 0xff, 0xff, 0x7f]),
            },
            0x26 => {
                for _ in 0..2 {
                    put_text(&mut section, &r.text(20));
                }
            }
            _ => put_text(&mut section, &r.text(20)),
        }
    }
    section
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u16).to_be_bytes());
    out.extend(text.as_bytes());
}

fn with_len(section: &[u8]) -> Vec<u8> {
    packet(0, section).split_off(1)
}

#[test]
fn server_packets_are_read_at_every_split() {
    let mut seen = [0; 16];
    rounds(5_000, |r| {
        let version = r.version();
        let bytes = server_packet(r, version);
        at_every_split(&bytes, version);
        let found = decode(&bytes, version);
        assert!(found.is_ok(), "{found:?}: {bytes:02x?}");
        seen[usize::from(bytes[0] >> 4)] += 1;
        if bytes[0] >> 4 == 3 {
            agrees_with_mqttbytes(&bytes, version);
        }
        if version == Version::V311 {
            assert!(v4::read(&mut BytesMut::from(&bytes[..]), 1 << 20).is_ok(), "{bytes:02x?}");
        }
    });
    for kind in [2, 3, 4, 5, 6, 7, 9, 11, 14, 15] {
        assert!(seen[kind] > 50, "hardly any packets of type {kind}");
    }
}

/// Whatever comes: no panic, and what is accepted keeps the promises of its type.
fn survives(bytes: &[u8], version: Version) {
    let framed = frame(bytes, version, 1 << 20);
    let decoded = decode(bytes, version);
    match framed {
        Ok(Some(len)) => assert!((2..=bytes.len()).contains(&len), "{bytes:02x?}"),
        Ok(None) => assert!(decoded.is_err(), "{bytes:02x?}"),
        Err(_) => assert!(decoded.is_err(), "{bytes:02x?}"),
    }
    match decoded {
        Ok(Packet::Publish(publish)) => {
            assert_eq!(publish.pkid == 0, publish.qos == QoS::AtMostOnce, "{bytes:02x?}");
            assert!(!publish.topic.contains(['\0', '+', '#']), "{bytes:02x?}");
            let alias = publish.properties.as_ref().is_some_and(|p| p.topic_alias.is_some());
            assert!(alias || !publish.topic.is_empty(), "{bytes:02x?}");
            sends_again(bytes.len(), &publish, version);
            agrees_with_mqttbytes(bytes, version);
        }
        Ok(_) => {}
        Err(error) => assert!(matches!(error, Error::Malformed(_) | Error::Unexpected(_)), "{error}"),
    }
}

/// A PUBLISH that was read can be written, in as many bytes, and is the same.
fn sends_again(len: usize, read: &Publish<'_>, version: Version) {
    let properties = read.properties.as_deref();
    let elsewhere = |p: &PublishProperties| {
        !p.subscription_identifiers.is_empty()
            || p.response_topic.as_deref().is_some_and(|t| t.is_empty() || t.contains(['+', '#']))
    };
    if properties.is_some_and(elsewhere) {
        return; // a client may not send these
    }
    let packet = Outgoing {
        dup: read.dup,
        qos: read.qos,
        retain: read.retain,
        topic: read.topic,
        pkid: read.pkid,
        payload: read.payload,
        properties,
    };
    let mut out = BytesMut::new();
    publish(&mut out, version, &packet).expect("it was read");
    assert_eq!(out.len(), len);
    let Ok(Packet::Publish(again)) = decode(&out, version) else {
        panic!("{out:02x?}");
    };
    assert_eq!(again, *read);
}

#[test]
fn random_bytes_never_panic() {
    rounds(100_000, |r| {
        let mut bytes = r.bytes(40);
        if r.chance() && bytes.len() >= 2 {
            // Past the fixed header more often.
            bytes[0] =
                [0x20, 0x30, 0x32, 0x3d, 0x40, 0x50, 0x62, 0x70, 0x90, 0xb0, 0xd0, 0xe0, 0xf0][r.below(13)];
            bytes[1] = bytes.len() as u8 - 2;
        }
        survives(&bytes, r.version());
    });
}

#[test]
fn damaged_packets_never_panic() {
    let mut accepted = 0;
    rounds(60_000, |r| {
        let version = r.version();
        let mut bytes = server_packet(r, version);
        for _ in 0..1 + r.below(3) {
            let at = r.below(bytes.len());
            match r.below(4) {
                0 => bytes[at] ^= 1 << r.below(8),
                1 => bytes[at] = [0x00, 0x01, 0x7f, 0x80, 0xff][r.below(5)],
                2 => drop(bytes.remove(at)),
                _ => bytes.insert(at, r.next() as u8),
            }
            if bytes.len() < 2 {
                return;
            }
        }
        // Half of them with a length that fits again, so that the damage is seen by the fields.
        if r.chance() && bytes.len() < 130 {
            bytes[1] = bytes.len() as u8 - 2;
        }
        survives(&bytes, version);
        survives(&bytes, r.version());
        accepted += usize::from(decode(&bytes, version).is_ok());
    });
    assert!(accepted > 1_000, "only {accepted} were accepted: the test damages too much");
}

#[test]
fn topics_never_panic() {
    rounds(20_000, |r| {
        let letters = ['/', '+', '#', '$', 'a', 'é', '\0'];
        let mut text = || (0..r.below(8)).map(|_| letters[r.below(letters.len())]).collect::<String>();
        let (filter, topic) = (text(), text());
        for filter in [filter.clone(), format!("$share/{filter}"), format!("$share/g/{filter}")] {
            let matched = crate::proto::mqtt::topic::matches(&filter, &topic);
            let good = crate::proto::mqtt::topic::check_filter(&filter).is_ok()
                && crate::proto::mqtt::topic::check_name(&topic).is_ok();
            if good && !filter.contains(['+', '#', '$']) {
                assert_eq!(matched, filter == topic, "{filter:?} {topic:?}");
            }
        }
    });
}
