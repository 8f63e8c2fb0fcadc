//! The defects that an audit found in mqttbytes 0.6.0, each by its bytes: D are those of its readers, E those of
//! its writers. None may come back through ours.

use bytes::{Bytes, BytesMut};

use super::*;

/// Both steps as the session takes them, of bytes that need not be one packet.
fn refused_at_once(version: Version, bytes: &str) {
    let bytes = hex(bytes);
    let found = frame(&bytes, version, 1 << 20).and_then(|len| match len {
        Some(len) if len == bytes.len() => decode(&bytes, version).map(|packet| format!("{packet:?}")),
        other => Ok(format!("{other:?}")),
    });
    assert!(matches!(found, Err(Error::Malformed(_) | Error::Unexpected(_))), "{bytes:02x?}: {found:?}");
}

#[test]
fn d1_several_subscription_identifiers_corrupt_the_payload() {
    for (bytes, ids, payload) in [
        ("300a000161060b010b020b03", vec![1, 2, 3], &b""[..]),
        ("300b000161060b010b0201017a", vec![1, 2], b"z"),
    ] {
        let bytes = hex(bytes);
        let Ok(Packet::Publish(publish)) = read(&bytes, Version::V5) else { panic!("{bytes:02x?}") };
        assert_eq!(publish.payload, payload);
        assert_eq!(publish.properties.map(|p| p.subscription_identifiers), Some(ids));
    }
}

#[test]
fn d2_disconnect_without_property_length_never_completes() {
    for (bytes, code) in [
        ("e0018e", 0x8e),
        ("e00182", 0x82),
        ("e00181", 0x81),
        ("e00194", 0x94),
        ("e0018c", 0x8c),
        ("e000", 0),
    ] {
        let expected = Packet::Disconnect { reason: code, text: None, server_reference: None };
        assert_eq!(read(&hex(bytes), Version::V5), Ok(expected), "{bytes}");
    }
}

#[test]
fn d3_auth_is_missing() {
    for (bytes, code) in [("f000", 0), ("f0021800", 0x18)] {
        let expected = Packet::Auth { reason: code, method: None, data: None };
        assert_eq!(read(&hex(bytes), Version::V5), Ok(expected), "{bytes}");
    }
}

#[test]
fn d4_complete_packets_that_ask_for_more() {
    for bytes in ["3003000161", "20020000", "90020001", "b0020001", "3006000161020b80"] {
        refused_at_once(Version::V5, bytes);
    }
    // The refusal of a broker that speaks 3.1.1 only is whole, and understood.
    let refusal = Packet::ConnAck { session_present: false, reason: 1, properties: None };
    assert_eq!(read(&hex("20020001"), Version::V5), Ok(refusal));
}

#[test]
fn d5_properties_are_not_bounded() {
    refused_at_once(Version::V5, "3009000161010200000005");
}

#[test]
fn d6_malformed_packets_are_accepted() {
    for version in BOTH {
        for bytes in [
            "4f020001",       // reserved flags
            "60020001",       // the same: PUBREL without its own
            "2f020000",       // the same
            "4082000001",     // a length of more bytes than it needs
            "400400017a7a",   // bytes after the end
            "d0017a",         // the same
            "3803000161",     // DUP at QoS 0
            "30050003612f23", // a wildcard in a topic
            "30020000",       // an empty topic
            "300400026100",   // U+0000 in it
            "40020000",       // packet identifier 0
            "2002fe00",       // reserved flags of CONNACK
            "20020105",       // Session Present with a refusal
            "1000",           // a CONNECT from a server
            "c000",           // a PINGREQ
        ] {
            refused_at_once(version, bytes);
        }
    }
    for bytes in [
        "30050001618000",            // a property length of more bytes than it needs
        "3008 0001 61 04 0101 0101", // a property twice
        "3007 0001 61 03 230000",    // topic alias 0
        "3006 0001 61 02 0b00",      // subscription identifier 0
        "3006 0001 61 02 0102",      // payload format 2
        "2006 00 00 03 210000",      // Receive Maximum 0
        "2008 00 00 05 2700000000",  // Maximum Packet Size 0
        "2005 00 00 02 2402",        // Maximum QoS 2
    ] {
        refused_at_once(Version::V5, bytes);
    }
}

#[test]
fn d7_unsubscribe_from_a_server_is_printed() {
    for version in BOTH {
        assert_eq!(frame(&hex("a203000100"), version, 100), Err(Error::Unexpected(10)));
        assert_eq!(decode(&hex("a203000100"), version), Err(Error::Unexpected(10)));
    }
}

#[test]
fn e1_connect_corrupts_what_is_in_the_buffer() {
    let login = Connect {
        client_id: "c".into(),
        clean: true,
        username: Some("u".into()),
        password: Some(Bytes::from_static(b"p")),
        ..Connect::default()
    };
    let mut out = BytesMut::from(&hex("c000c000c000c000c000c000")[..]);
    connect(&mut out, Version::V311, &login).expect("a CONNECT like any");
    let expected = hex("c000c000c000c000c000c000 1013 0004 4d515454 04 c2 0000 0001 63 0001 75 0001 70");
    assert_eq!(&out[..], expected);
}

#[test]
fn e2_to_e7_packets_that_must_not_be_written() {
    let long = "x".repeat(65_536);
    let message = |topic, pkid| Outgoing {
        dup: false,
        qos: if pkid == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce },
        retain: false,
        topic,
        pkid,
        payload: b"",
        properties: None,
    };
    let filter = |filter: &str| [Filter { filter: filter.to_owned(), ..Filter::default() }];
    for version in BOTH {
        let mut out = BytesMut::from(&b"\xc0\0"[..]);
        let results = [
            ("E2: a topic of 65,536 bytes", publish(&mut out, version, &message(&long, 0))),
            ("E6: packet identifier 0", {
                let packet = Outgoing { qos: QoS::AtLeastOnce, ..message("a/b", 0) };
                publish(&mut out, version, &packet)
            }),
            ("E7: SUBSCRIBE of identifier 0", subscribe(&mut out, version, 0, &filter("a"), None, &[])),
            ("E7: SUBSCRIBE of nothing", subscribe(&mut out, version, 1, &[], None, &[])),
            ("E7: subscription identifier 0", subscribe(&mut out, version, 1, &filter("a"), Some(0), &[])),
            ("E7: a wildcard in a topic", publish(&mut out, version, &message("a/#", 0))),
            ("E7: U+0000 in a topic", publish(&mut out, version, &message("a\0", 1))),
            ("E7: no topic and no alias", publish(&mut out, version, &message("", 0))),
        ];
        for (name, result) in results {
            assert!(matches!(result, Err(Error::Unsendable(_))), "{name}: {result:?}");
        }
        assert_eq!(&out[..], b"\xc0\0", "E6: an error leaves nothing behind");
    }
}

#[test]
fn e3_passwords_are_bytes_and_empty_is_not_absent() {
    let packet = |username: Option<&str>, password: &'static [u8]| Connect {
        client_id: "c".into(),
        clean: true,
        username: username.map(str::to_owned),
        password: Some(Bytes::from_static(password)),
        ..Connect::default()
    };
    let mut out = BytesMut::new();
    connect(&mut out, Version::V311, &packet(Some(""), b"\xff")).expect("any bytes");
    assert_eq!(&out[..], hex("1012 0004 4d515454 04 c2 0000 0001 63 0000 0001 ff"));
    // [MQTT-3.1.2-22]
    let refused = connect(&mut BytesMut::new(), Version::V311, &packet(None, b"p"));
    assert!(matches!(refused, Err(Error::Unsendable(_))), "{refused:?}");
}

#[test]
fn e5_disconnect_with_will_becomes_one_without() {
    let mut out = BytesMut::new();
    disconnect(&mut out, Version::V5, 0x04, None, &[]).expect("a reason that a client may give");
    assert_eq!(&out[..], hex("e0020400"));
}
