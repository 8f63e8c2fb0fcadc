use bytes::{Bytes, BytesMut};

use super::*;

/// What an encoder appends behind bytes that are there already (mqttbytes' CONNECT patches those); checks that
/// they stay, and that an error appends nothing.
fn written(encode: impl FnOnce(&mut BytesMut) -> Result<(), Error>) -> Result<Vec<u8>, Error> {
    let before = hex("c000 c000 c000 c000 c000 c000");
    let mut out = BytesMut::from(&before[..]);
    let result = encode(&mut out);
    assert!(out.starts_with(&before), "earlier bytes were changed: {out:02x?}");
    let added = out[before.len()..].to_vec();
    match result {
        Ok(()) => Ok(added),
        Err(error) => {
            assert_eq!(added, b"", "appended although {error}");
            assert!(matches!(error, Error::Unsendable(_)), "{error}");
            Err(error)
        }
    }
}

#[track_caller]
fn refused(result: Result<Vec<u8>, Error>, why: &str) {
    match result {
        Err(Error::Unsendable(text)) if text.contains(why) => {}
        other => panic!("expected a refusal with {why:?}: {other:02x?}"),
    }
}

fn long() -> String {
    "x".repeat(65_536)
}

fn connect_of(client_id: &str) -> Connect {
    Connect { client_id: client_id.to_owned(), clean: true, keep_alive: 60, ..Connect::default() }
}

fn connected(version: Version, packet: &Connect) -> Result<Vec<u8>, Error> {
    written(|out| connect(out, version, packet))
}

#[test]
fn connect_in_short() {
    let bytes = hex("100d 0004 4d515454 04 02 003c 0001 63");
    assert_eq!(connected(Version::V311, &connect_of("c")), Ok(bytes));
    let bytes = hex("100e 0004 4d515454 05 02 003c 00 0001 63");
    assert_eq!(connected(Version::V5, &connect_of("c")), Ok(bytes));
    let packet = Connect { clean: false, keep_alive: 0, ..connect_of("") };
    assert_eq!(connected(Version::V5, &packet), Ok(hex("100d 0004 4d515454 05 00 0000 00 0000")));
    // [MQTT-3.1.3-8]
    refused(connected(Version::V311, &packet), "empty client identifier");
    let packet = Connect { clean: true, ..packet };
    assert_eq!(connected(Version::V311, &packet), Ok(hex("100c 0004 4d515454 04 02 0000 0000")));
}

#[test]
fn connect_with_logins() {
    let login = |username: Option<&str>, password: Option<&[u8]>| Connect {
        username: username.map(str::to_owned),
        password: password.map(Bytes::copy_from_slice),
        ..connect_of("c")
    };
    for (username, password, flags, fields) in [
        (Some("u"), None, "82", "0001 75"),
        (Some("u"), Some(&b"p"[..]), "c2", "0001 75 0001 70"),
        (Some(""), None, "82", "0000"),
        (Some(""), Some(b""), "c2", "0000 0000"),
        (Some("u"), Some(&[0x00, 0xff]), "c2", "0001 75 0002 00ff"),
    ] {
        let len = hex(fields).len();
        let packet = login(username, password);
        let bytes = hex(&format!("10 {:02x} 0004 4d515454 04 {flags} 003c 0001 63 {fields}", 13 + len));
        assert_eq!(connected(Version::V311, &packet), Ok(bytes));
        let bytes = hex(&format!("10 {:02x} 0004 4d515454 05 {flags} 003c 00 0001 63 {fields}", 14 + len));
        assert_eq!(connected(Version::V5, &packet), Ok(bytes));
    }
    // A password alone: only 5.0 has it [MQTT-3.1.2-22].
    let packet = login(None, Some(b"p"));
    assert_eq!(connected(Version::V5, &packet), Ok(hex("1011 0004 4d515454 05 42 003c 00 0001 63 0001 70")));
    refused(connected(Version::V311, &packet), "password without a user name");
}

fn will_of(topic: &str) -> Will {
    Will { topic: topic.to_owned(), payload: Bytes::from_static(b"gone"), ..Will::default() }
}

#[test]
fn connect_with_a_will() {
    for (qos, retain, flags) in [
        (QoS::AtMostOnce, false, "06"),
        (QoS::AtLeastOnce, false, "0e"),
        (QoS::ExactlyOnce, false, "16"),
        (QoS::AtMostOnce, true, "26"),
        (QoS::ExactlyOnce, true, "36"),
    ] {
        let will = Some(Will { qos, retain, ..will_of("w") });
        let packet = Connect { will, ..connect_of("c") };
        let bytes = hex(&format!("1016 0004 4d515454 04 {flags} 003c 0001 63 0001 77 0004 676f6e65"));
        assert_eq!(connected(Version::V311, &packet), Ok(bytes));
        let bytes = hex(&format!("1018 0004 4d515454 05 {flags} 003c 00 0001 63 00 0001 77 0004 676f6e65"));
        assert_eq!(connected(Version::V5, &packet), Ok(bytes));
    }
}

#[test]
fn connect_with_everything() {
    let packet = Connect {
        username: Some("u".into()),
        password: Some(Bytes::from_static(b"p")),
        will: Some(Will {
            delay_interval: Some(5),
            properties: Some(Box::new(PublishProperties {
                payload_format_indicator: Some(1),
                message_expiry_interval: Some(9),
                content_type: Some("t".into()),
                response_topic: Some("r".into()),
                correlation_data: Some(Bytes::from_static(&[0])),
                user_properties: vec![pair("a", "b")],
                // Not a will's: left out.
                topic_alias: Some(1),
                subscription_identifiers: vec![1],
            })),
            ..will_of("w")
        }),
        properties: ConnectProperties {
            session_expiry_interval: Some(u32::MAX),
            receive_maximum: Some(20),
            maximum_packet_size: Some(1 << 20),
            topic_alias_maximum: Some(3),
            request_response_information: Some(true),
            request_problem_information: Some(false),
            user_properties: vec![pair("k", "v"), pair("k", "")],
            authentication_method: Some("S".into()),
            authentication_data: Some(Bytes::from_static(&[0xff])),
        },
        ..connect_of("c")
    };
    let properties =
        hex("11 ffffffff 21 0014 27 00100000 22 0003 19 01 17 00 26 0001 6b 0001 76 26 0001 6b 0000
         15 0001 53 16 0001 ff");
    let will = hex("18 00000005 01 01 02 00000009 03 0001 74 08 0001 72 09 0001 00 26 0001 61 0001 62");
    let body = [
        &hex("0004 4d515454 05 c6 003c")[..],
        &[properties.len() as u8],
        &properties,
        &hex("0001 63"),
        &[will.len() as u8],
        &will,
        &hex("0001 77 0004 676f6e65 0001 75 0001 70"),
    ]
    .concat();
    assert_eq!(connected(Version::V5, &packet), Ok(super::packet(0x10, &body)));
    // 3.1.1 has none of the properties.
    let bytes = hex("101c 0004 4d515454 04 c6 003c 0001 63 0001 77 0004 676f6e65 0001 75 0001 70");
    assert_eq!(connected(Version::V311, &packet), Ok(bytes));
}

#[test]
fn connect_out_of_range() {
    let c = || connect_of("c");
    let will = |will: Will| Connect { will: Some(will), ..connect_of("c") };
    for version in BOTH {
        for (packet, why) in [
            (connect_of(&long()), "the client identifier is longer than 65,535 bytes"),
            (connect_of("a\0"), "the client identifier contains U+0000"),
            (Connect { username: Some(long()), ..c() }, "the user name is longer"),
            (Connect { username: Some("\0".into()), ..c() }, "the user name contains U+0000"),
            (
                Connect { username: Some("u".into()), password: Some(long().into()), ..c() },
                "the password is longer",
            ),
            (will(will_of("")), "the will topic"),
            (will(will_of("a/#")), "the will topic"),
            (will(will_of(&long())), "the will topic"),
            (will(Will { payload: long().into(), ..will_of("w") }), "the will payload is longer"),
        ] {
            refused(connected(version, &packet), why);
        }
        let longest = "x".repeat(65_535);
        let packet = Connect {
            username: Some(longest.clone()),
            password: Some(longest.clone().into()),
            will: Some(Will { payload: longest.clone().into(), ..will_of(&longest) }),
            ..connect_of(&longest)
        };
        let extra = if version == Version::V5 { 2 } else { 0 };
        assert_eq!(connected(version, &packet).map(|bytes| bytes.len()), Ok(4 + 10 + extra + 5 * 65_537));
    }
    let p = |properties: ConnectProperties| Connect { properties, ..connect_of("c") };
    let d = ConnectProperties::default;
    for (packet, why) in [
        (p(ConnectProperties { receive_maximum: Some(0), ..d() }), "Receive Maximum 0"),
        (p(ConnectProperties { maximum_packet_size: Some(0), ..d() }), "Maximum Packet Size 0"),
        (p(ConnectProperties { authentication_data: Some(Bytes::new()), ..d() }), "without a method"),
        (p(ConnectProperties { authentication_method: Some(long()), ..d() }), "method is longer"),
        (p(ConnectProperties { authentication_method: Some("\0".into()), ..d() }), "method contains U+0000"),
        (p(ConnectProperties { user_properties: vec![pair("\0", "")], ..d() }), "name contains U+0000"),
        (p(ConnectProperties { user_properties: vec![pair("", &long())], ..d() }), "value is longer"),
        (
            will(with_properties(PublishProperties { response_topic: Some("+".into()), ..no_properties() })),
            "response",
        ),
    ] {
        refused(connected(Version::V5, &packet), why);
    }
}

fn with_properties(properties: PublishProperties) -> Will {
    Will { properties: Some(Box::new(properties)), ..will_of("w") }
}

fn outgoing<'a>(topic: &'a str, payload: &'a [u8]) -> Outgoing<'a> {
    Outgoing { dup: false, qos: QoS::AtMostOnce, retain: false, topic, pkid: 0, payload, properties: None }
}

/// `publish`, checked against `publish_size`.
fn published(version: Version, packet: &Outgoing<'_>) -> Result<Vec<u8>, Error> {
    let result = written(|out| publish(out, version, packet));
    assert_eq!(publish_size(version, packet), result.as_ref().map(Vec::len).map_err(Clone::clone));
    result
}

#[test]
fn publish_flags() {
    for (first, dup, qos, retain) in [
        ("30", false, QoS::AtMostOnce, false),
        ("31", false, QoS::AtMostOnce, true),
        ("32", false, QoS::AtLeastOnce, false),
        ("33", false, QoS::AtLeastOnce, true),
        ("34", false, QoS::ExactlyOnce, false),
        ("3a", true, QoS::AtLeastOnce, false),
        ("3d", true, QoS::ExactlyOnce, true),
    ] {
        let packet = Outgoing { dup, qos, retain, pkid: 0x1234, ..outgoing("a", b"xy") };
        // The packet identifier is ignored at QoS 0.
        let field = if qos == QoS::AtMostOnce { "" } else { "1234" };
        let bytes = hex(&format!("{first} 0{} 0001 61 {field} 7879", 5 + field.len() / 2));
        assert_eq!(published(Version::V311, &packet), Ok(bytes));
        let bytes = hex(&format!("{first} 0{} 0001 61 {field} 00 7879", 6 + field.len() / 2));
        assert_eq!(published(Version::V5, &packet), Ok(bytes));
    }
}

#[test]
fn publish_with_every_property() {
    let properties = PublishProperties {
        payload_format_indicator: Some(1),
        message_expiry_interval: Some(10),
        topic_alias: Some(7),
        response_topic: Some("r/1".into()),
        correlation_data: Some(Bytes::from_static(&[0, 1, 2, 3])),
        user_properties: vec![pair("k", "v"), pair("k", "w")],
        subscription_identifiers: Vec::new(),
        content_type: Some("t/p".into()),
    };
    let packet = Outgoing { properties: Some(&properties), ..outgoing("a", b"z") };
    let section = hex("01 01 02 0000000a 23 0007 03 0003 742f70 08 0003 722f31 09 0004 00010203
         26 0001 6b 0001 76 26 0001 6b 0001 77");
    let body = [&hex("0001 61")[..], &[section.len() as u8], &section, b"z"].concat();
    assert_eq!(published(Version::V5, &packet), Ok(super::packet(0x30, &body)));
    refused(published(Version::V311, &packet), "no properties in MQTT 3.1.1");
    let none = no_properties();
    let packet = Outgoing { properties: Some(&none), ..outgoing("a", b"z") };
    assert_eq!(published(Version::V311, &packet), Ok(hex("3004 0001 61 7a")));
    assert_eq!(published(Version::V5, &packet), Ok(hex("3005 0001 61 00 7a")));
}

#[test]
fn publish_with_alias_alone() {
    let properties = PublishProperties { topic_alias: Some(5), ..no_properties() };
    let packet = Outgoing { properties: Some(&properties), ..outgoing("", b"x") };
    assert_eq!(published(Version::V5, &packet), Ok(hex("3007 0000 03 230005 78")));
    refused(published(Version::V311, &packet), "empty");
    refused(published(Version::V5, &outgoing("", b"x")), "empty");
    refused(published(Version::V5, &Outgoing { topic: "a/#", ..packet }), "wildcard");
    let none = no_properties();
    refused(published(Version::V5, &Outgoing { properties: Some(&none), ..outgoing("", b"x") }), "empty");
}

#[test]
fn publish_out_of_range() {
    for version in BOTH {
        for (topic, why) in [("a/#", "wildcard"), ("+", "wildcard"), ("a\0", "U+0000"), (&long(), "longer")] {
            refused(published(version, &outgoing(topic, b"")), why);
        }
        refused(
            published(version, &Outgoing { qos: QoS::AtLeastOnce, ..outgoing("a/b", b"") }),
            "identifier 0",
        );
        refused(published(version, &Outgoing { dup: true, ..outgoing("a/b", b"") }), "DUP");
    }
    let n = no_properties;
    for (properties, why) in [
        (PublishProperties { topic_alias: Some(0), ..n() }, "topic alias 0"),
        (PublishProperties { payload_format_indicator: Some(2), ..n() }, "payload format"),
        (PublishProperties { subscription_identifiers: vec![1], ..n() }, "subscription identifier"),
        (PublishProperties { response_topic: Some("a/#".into()), ..n() }, "response topic"),
        (PublishProperties { response_topic: Some(long()), ..n() }, "response topic"),
        (PublishProperties { content_type: Some(long()), ..n() }, "content type is longer"),
        (PublishProperties { content_type: Some("\0".into()), ..n() }, "content type contains"),
        (PublishProperties { correlation_data: Some(long().into()), ..n() }, "correlation data is longer"),
        (PublishProperties { user_properties: vec![pair(&long(), "")], ..n() }, "name is longer"),
        (PublishProperties { user_properties: vec![pair("", "\0")], ..n() }, "value contains"),
    ] {
        refused(
            published(Version::V5, &Outgoing { properties: Some(&properties), ..outgoing("a", b"") }),
            why,
        );
    }
}

#[test]
fn publish_lengths() {
    let topic = "t".repeat(65_535);
    assert_eq!(published(Version::V5, &outgoing(&topic, b"")).map(|bytes| bytes.len()), Ok(1 + 3 + 65_538));
    // The payloads around each step of the Remaining Length.
    for (remaining, header) in [(127, 2), (128, 3), (16_383, 3), (16_384, 4), (2_097_151, 4), (2_097_152, 5)]
    {
        let payload = vec![0x55; remaining - 3];
        let bytes = published(Version::V311, &outgoing("a", &payload)).expect("within the limits");
        assert_eq!(bytes.len(), header + remaining);
        assert_eq!(frame(&bytes, Version::V311, usize::MAX), Ok(Some(bytes.len())));
    }
    // The largest packet; its zeros are never touched.
    let zeros = vec![0; MAX_REMAINING_LENGTH - 2];
    let (most, more) = (&zeros[..MAX_REMAINING_LENGTH - 3], &zeros[..]);
    assert_eq!(publish_size(Version::V311, &outgoing("a", most)), Ok(MAX_REMAINING_LENGTH + 5));
    refused(published(Version::V311, &outgoing("a", more)), "268,435,455");
    refused(published(Version::V5, &outgoing("a", most)), "268,435,455");
}

#[test]
fn acknowledgements() {
    let acked = |version, kind, pkid, reason| written(|out| ack(out, version, kind, pkid, reason));
    for (kind, first, code) in [
        (AckType::PubAck, "40", 0x83),
        (AckType::PubRec, "50", 0x99),
        (AckType::PubRel, "62", 0x92),
        (AckType::PubComp, "70", 0x92),
    ] {
        for version in BOTH {
            assert_eq!(acked(version, kind, 0x0102, 0), Ok(hex(&format!("{first} 02 0102"))));
            refused(acked(version, kind, 0, 0), "identifier 0");
        }
        assert_eq!(acked(Version::V311, kind, 1, code), Ok(hex(&format!("{first} 02 0001"))));
        assert_eq!(acked(Version::V5, kind, 1, code), Ok(hex(&format!("{first} 03 0001 {code:02x}"))));
        refused(acked(Version::V5, kind, 1, 0x95), "reason code");
    }
}

fn filter_of(filter: &str) -> Filter {
    Filter { filter: filter.to_owned(), ..Filter::default() }
}

fn subscribed(
    version: Version,
    pkid: u16,
    filters: &[Filter],
    id: Option<u32>,
    user_properties: &[(String, String)],
) -> Result<Vec<u8>, Error> {
    written(|out| subscribe(out, version, pkid, filters, id, user_properties))
}

#[test]
fn subscriptions() {
    let filters = [
        Filter { qos: QoS::AtLeastOnce, ..filter_of("a/#") },
        Filter { qos: QoS::ExactlyOnce, ..filter_of("$share/g/+") },
    ];
    let bytes = hex("8215 000a 0003 612f23 01 000a 2473686172652f672f2b 02");
    assert_eq!(subscribed(Version::V311, 10, &filters, None, &[]), Ok(bytes));
    let bytes = hex("8216 000a 00 0003 612f23 01 000a 2473686172652f672f2b 02");
    assert_eq!(subscribed(Version::V5, 10, &filters, None, &[]), Ok(bytes));
    let options = [
        Filter { no_local: true, ..filter_of("a") },
        Filter { retain_as_published: true, ..filter_of("b") },
        Filter { retain_handling: 1, ..filter_of("c") },
        Filter { retain_handling: 2, qos: QoS::ExactlyOnce, no_local: true, ..filter_of("d") },
    ];
    let bytes = hex("8213 000a 00 0001 61 04 0001 62 08 0001 63 10 0001 64 26");
    assert_eq!(subscribed(Version::V5, 10, &options, None, &[]), Ok(bytes));
    let bytes = hex("8210 0001 09 0b 01 26 0001 6b 0001 76 0001 61 00");
    assert_eq!(subscribed(Version::V5, 1, &[filter_of("a")], Some(1), &[pair("k", "v")]), Ok(bytes));
    let bytes = hex("820c 0001 05 0b ffffff7f 0001 61 00");
    assert_eq!(subscribed(Version::V5, 1, &[filter_of("a")], Some(268_435_455), &[]), Ok(bytes));
}

#[test]
fn subscriptions_out_of_range() {
    let one = [filter_of("a")];
    for version in BOTH {
        refused(subscribed(version, 0, &one, None, &[]), "identifier 0");
        refused(subscribed(version, 1, &[], None, &[]), "without a topic filter");
        for (filter, why) in [("a+/b", "+"), ("", "empty"), ("$share//a", "group"), (&long(), "longer")] {
            refused(subscribed(version, 1, &[filter_of("ok"), filter_of(filter)], None, &[]), why);
            refused(written(|out| unsubscribe(out, version, 1, &[filter.to_owned()], &[])), why);
        }
        refused(
            subscribed(version, 1, &[Filter { retain_handling: 3, ..filter_of("a") }], None, &[]),
            "handling",
        );
    }
    for id in [0, 268_435_456, u32::MAX] {
        refused(subscribed(Version::V5, 1, &one, Some(id), &[]), "subscription identifier");
    }
    refused(subscribed(Version::V5, 1, &one, None, &[pair("\0", "")]), "U+0000");
    refused(subscribed(Version::V5, 1, &one, None, &[pair("", &long())]), "longer");
    // [MQTT-3.8.3-4]
    let shared = [Filter { no_local: true, ..filter_of("$share/g/a") }];
    refused(subscribed(Version::V5, 1, &shared, None, &[]), "no local");
    // What 3.1.1 does not have.
    refused(subscribed(Version::V311, 1, &one, Some(1), &[]), "3.1.1");
    refused(subscribed(Version::V311, 1, &one, None, &[pair("k", "v")]), "3.1.1");
    for filter in [
        Filter { no_local: true, ..filter_of("a") },
        Filter { retain_as_published: true, ..filter_of("a") },
        Filter { retain_handling: 1, ..filter_of("a") },
    ] {
        refused(subscribed(Version::V311, 1, &[filter], None, &[]), "3.1.1");
    }
}

#[test]
fn unsubscriptions() {
    let filters = ["a/#".to_owned(), "b".to_owned()];
    let unsubscribed = |version, pkid, filters: &[String], pairs: &[_]| {
        written(|out| unsubscribe(out, version, pkid, filters, pairs))
    };
    assert_eq!(unsubscribed(Version::V311, 10, &filters, &[]), Ok(hex("a20a 000a 0003 612f23 0001 62")));
    assert_eq!(unsubscribed(Version::V5, 10, &filters, &[]), Ok(hex("a20b 000a 00 0003 612f23 0001 62")));
    let bytes = hex("a20d 000a 07 26 0001 6b 0001 76 0001 62");
    assert_eq!(unsubscribed(Version::V5, 10, &filters[1..], &[pair("k", "v")]), Ok(bytes));
    for version in BOTH {
        refused(unsubscribed(version, 0, &filters, &[]), "identifier 0");
        refused(unsubscribed(version, 1, &[], &[]), "without a topic filter");
    }
    refused(unsubscribed(Version::V5, 1, &filters, &[pair("", "\0")]), "U+0000");
    refused(unsubscribed(Version::V311, 1, &filters, &[pair("k", "v")]), "3.1.1");
}

#[test]
fn ping() {
    assert_eq!(
        written(|out| {
            pingreq(out);
            Ok(())
        }),
        Ok(hex("c000"))
    );
}

#[test]
fn disconnections() {
    let disconnected =
        |version, reason, expiry, pairs: &[_]| written(|out| disconnect(out, version, reason, expiry, pairs));
    for version in BOTH {
        assert_eq!(disconnected(version, 0, None, &[]), Ok(hex("e000")));
    }
    assert_eq!(disconnected(Version::V311, 0x81, Some(0), &[pair("k", "v")]), Ok(hex("e000")));
    refused(disconnected(Version::V311, 0x04, None, &[]), "will");
    let v5 = Version::V5;
    // 0x04 asks for the will: it must not become e000.
    assert_eq!(disconnected(v5, 0x04, None, &[]), Ok(hex("e002 04 00")));
    assert_eq!(disconnected(v5, 0x82, None, &[]), Ok(hex("e002 82 00")));
    assert_eq!(disconnected(v5, 0, Some(0), &[]), Ok(hex("e007 00 05 11 00000000")));
    assert_eq!(
        disconnected(v5, 0x95, Some(u32::MAX), &[pair("k", "v")]),
        Ok(hex("e00e 95 0c 11 ffffffff 26 0001 6b 0001 76"))
    );
    refused(disconnected(v5, 0, None, &[pair("", &long())]), "longer");
    let sendable: Vec<u8> = (0..=255).filter(|&reason| disconnected(v5, reason, None, &[]).is_ok()).collect();
    assert_eq!(sendable, hex("00 04 80 81 82 83 90 93 94 95 96 97 98 99"));
}

#[test]
fn authentication() {
    let authenticated =
        |reason, method: &str, data: Option<&[u8]>| written(|out| auth(out, reason, method, data));
    assert_eq!(authenticated(0x19, "X", None), Ok(hex("f006 19 04 15 0001 58")));
    assert_eq!(authenticated(0x18, "X", Some(&[0, 0xff])), Ok(hex("f00b 18 09 15 0001 58 16 0002 00ff")));
    assert_eq!(authenticated(0x18, "X", Some(&[])), Ok(hex("f009 18 07 15 0001 58 16 0000")));
    refused(authenticated(0x00, "X", None), "reason code");
    refused(authenticated(0x18, "\0", None), "U+0000");
    refused(authenticated(0x18, &long(), None), "longer");
    refused(authenticated(0x18, "X", Some(long().as_bytes())), "longer");
}

#[test]
fn text_is_bounded_by_bytes() {
    // 65,536 bytes, but 32,768 characters.
    refused(connected(Version::V5, &connect_of(&"é".repeat(32_768))), "longer");
    // Three properties of 65,535 bytes are no trouble: the section's own length is a Variable Byte Integer.
    let long = "x".repeat(65_535);
    let pairs = vec![pair(&long, &long), pair(&long, "")];
    let bytes = written(|out| disconnect(out, Version::V5, 0, None, &pairs)).expect("within the limits");
    assert_eq!(bytes.len(), 1 + 3 + 1 + 3 + 2 * 5 + 3 * 65_535);
}
