//! The floods.

use super::{End, Flood};
use crate::{
    Setting,
    peer::{
        frame,
        packet::{self, Publish, ack, text, varint},
    },
};

/// What any of them may take, in KiB.
const USUAL: u64 = 16 * 1024;
/// The same with a packet of 60 MiB, and with the default --max-message, 64 MiB.
const LARGE: u64 = 160 * 1024;
/// The most properties that a packet may have; they are 640 KiB on the wire then.
const PROPERTIES_MAX: usize = 131_072;

fn arguments(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

fn cat(name: &'static str, unit: Vec<u8>, times: u64) -> Flood {
    let line = "cat --no-stdin -w inf --close-timeout 0.3";
    Flood { arguments: arguments(line), websocket: true, ..sub(name, unit, times) }
}

fn sub(name: &'static str, unit: Vec<u8>, times: u64) -> Flood {
    Flood {
        name,
        arguments: arguments("sub -V 5 -t t -q 2 --close-timeout 0.3"),
        websocket: false,
        connack: None,
        suback: None,
        first: Vec::new(),
        unit,
        last: Vec::new(),
        times,
        each: 1,
        reads: true,
        end: End::Alive,
        most: USUAL,
        why: "",
    }
}

fn publish(qos: u8, topic: &[u8], properties: &[u8], payload: &[u8]) -> Vec<u8> {
    let (topic, properties, payload) = (topic.to_vec(), properties.to_vec(), payload.to_vec());
    Publish { qos, dup: false, id: 1, topic, properties, payload }.encode(true)
}

/// So many User Properties, all empty: 5 bytes each.
fn user_properties(count: usize) -> Vec<u8> {
    [0x26, 0, 0, 0, 0].repeat(count)
}

pub fn floods(setting: &Setting) -> Vec<Flood> {
    let n = |quick| setting.amount(quick, quick * 50);
    let mut all = frames(&n);
    all.extend(packets(&n));
    all.extend(endless());
    all.extend(properties(&n));
    all
}

fn frames(n: &dyn Fn(u64) -> u64) -> Vec<Flood> {
    let mut all = vec![
        cat("pings", frame(0x89, &[b'p'; 125]), n(100_000)),
        Flood {
            reads: false,
            ..cat("pings whose pongs nobody reads", frame(0x89, &[b'p'; 125]), n(100_000))
        },
        cat("empty messages", frame(0x81, b""), n(500_000)),
        cat("pongs that nobody asked for", frame(0x8a, b"p"), n(500_000)),
    ];
    let part = frame(0x00, b"x");
    let whole = [frame(0x01, b"x"), part.repeat(998), frame(0x80, b"x")].concat();
    all.push(Flood { each: 1000, ..cat("one-byte fragments, 1,000 a message", whole, n(1000)) });
    all.push(Flood {
        first: frame(0x01, b"x"),
        last: frame(0x80, b"x"),
        ..cat("one-byte fragments, all one message", part, 1_000_000)
    });
    let packet = publish(0, b"t", b"", b"x");
    let bytes: Vec<u8> = packet.iter().flat_map(|byte| frame(0x82, &[*byte])).collect();
    all.push(Flood { websocket: true, ..sub("MQTT in one-byte messages, packets", bytes, n(50_000)) });
    all
}

fn packets(n: &dyn Fn(u64) -> u64) -> Vec<Flood> {
    let released = [publish(2, b"t", b"", b""), ack(0x62, 1)].concat();
    vec![
        sub("empty PUBLISHes, QoS 0", publish(0, b"t", b"", b""), n(500_000)),
        sub("empty PUBLISHes, QoS 1", publish(1, b"t", b"", b""), n(300_000)),
        Flood {
            reads: false,
            ..sub("the same, whose PUBACKs nobody reads", publish(1, b"t", b"", b""), n(300_000))
        },
        sub("empty PUBLISHes and PUBRELs, QoS 2", released, n(200_000)),
        sub("PUBACKs for unknown identifiers", ack(0x40, 77), n(500_000)),
        sub("PUBRECs for unknown identifiers", ack(0x50, 77), n(300_000)),
        sub("PUBRELs for unknown identifiers", ack(0x62, 77), n(300_000)),
        Flood { reads: false, ..sub("the same, whose PUBCOMPs nobody reads", ack(0x62, 77), n(300_000)) },
        sub("PUBCOMPs for unknown identifiers", ack(0x70, 77), n(500_000)),
        sub("PINGRESPs", vec![0xd0, 0], n(500_000)),
        Flood { end: End::Status(8), ..sub("AUTHs", vec![0xf0, 0], n(500_000)) },
        Flood { end: End::Status(8), ..sub("CONNACKs", vec![0x20, 3, 0, 0, 0], n(500_000)) },
    ]
}

fn properties(n: &dyn Fn(u64) -> u64) -> Vec<Flood> {
    let many = user_properties(20_000);
    let short = publish(0, b"t", &user_properties(4), b"");
    let aliases: Vec<u8> =
        (1..=10_u8).flat_map(|alias| publish(0, &[b'a' + alias; 65_535], &[0x23, 0, alias], b"")).collect();
    let alias_options = "sub -V 5 -t # --close-timeout 0.3 -D connect topic-alias-maximum 10";
    let mut filters = arguments("sub -V 5 --close-timeout 0.3");
    let count = 65_535;
    filters.extend((1..=count).map(|n| format!("-t{n}")));
    let json = arguments("sub -V 5 -t t --json --close-timeout 0.3");
    let section = user_properties(12 << 20);
    let large = publish(0, b"t", &section, b"");
    let most = user_properties(PROPERTIES_MAX);
    let reasons = [varint(0), vec![0; 65_535]].concat();
    let ends = |status, flood| Flood { end: End::Status(status), ..flood };
    let connack =
        |section: &[u8]| packet::packet(0x20, &[&[0, 0], varint(section.len()).as_slice(), section].concat());
    let limit = "the packet is below --max-message";
    vec![
        sub("PUBLISHes with 4 User Properties", short, n(200_000)),
        sub("PUBLISHes with 20,000 User Properties", publish(0, b"t", &many, b""), n(50)),
        Flood { arguments: json, ..sub("the same as JSON", publish(0, b"t", &many, b""), n(50)) },
        Flood {
            arguments: arguments(alias_options),
            each: 10,
            ..sub("10 aliases of 65,535 bytes, set anew", aliases, n(20))
        },
        ends(
            8,
            sub("a topic alias that was not allowed", publish(0, b"t", &[0x23, 0xff, 0xff], b""), n(10_000)),
        ),
        ends(
            8,
            Flood {
                suback: Some(reasons.clone()),
                ..sub("a SUBACK of 65,535 reasons for 1 filter", vec![0xd0, 0], 1)
            },
        ),
        sub("PUBLISHes with 131,072 User Properties", publish(0, b"t", &most, b""), n(5)),
        Flood {
            connack: Some(connack(&most)),
            ..sub("a CONNACK with 131,072 User Properties", vec![0xd0, 0], 1)
        },
        ends(63, Flood { most: LARGE, why: limit, ..sub("a PUBLISH with 12 Mi User Properties", large, 1) }),
        ends(
            63,
            Flood {
                connack: Some(connack(&section)),
                most: LARGE,
                why: limit,
                ..sub("a CONNACK with 12 Mi User Properties", vec![0xd0, 0], 1)
            },
        ),
        Flood {
            arguments: filters,
            suback: Some([varint(0), vec![0; count]].concat()),
            most: 32 << 10,
            why: "the filters are arguments, and kept",
            ..sub("65,535 filters and their SUBACK", publish(0, b"1", b"", b""), 1)
        },
    ]
}

/// Messages that never end.
fn endless() -> Vec<Flood> {
    let part = frame(0x00, &[b'x'; 60_000]);
    let start = frame(0x01, b"x");
    let times = 1 << 16;
    let ends = |flood| Flood { end: End::Status(63), ..flood };
    let small = |mut flood: Flood| {
        flood.arguments.extend(["--max-message".to_owned(), "1M".to_owned()]);
        flood
    };
    let packet = |length: usize| [vec![0x30], varint(length), text(b"t"), vec![0]].concat();
    let large = |flood| Flood { most: LARGE, why: "--max-message is 64 MiB", ..flood };
    vec![
        ends(small(Flood {
            first: start.clone(),
            ..cat("an endless message, limit 1 MiB", part.clone(), times)
        })),
        ends(large(Flood { first: start.clone(), ..cat("an endless message", part, times) })),
        ends(Flood { first: packet(268_435_455), ..sub("a PUBLISH of 256 MiB", vec![b'x'; 65_536], times) }),
        large(Flood { first: packet(60 << 20), ..sub("a PUBLISH of 60 MiB", vec![b'x'; (60 << 20) - 4], 1) }),
    ]
}
