use super::*;

fn ack_of(pkid: u16, reason: u8, text: Option<&str>) -> Ack {
    Ack { pkid, reason, text: text.map(str::to_owned) }
}

fn acks_of(pkid: u16, reasons: &[u8], text: Option<&str>) -> Acks {
    Acks { pkid, reasons: reasons.to_vec(), text: text.map(str::to_owned) }
}

fn disconnect_of(reason: u8, text: Option<&str>, server_reference: Option<&str>) -> Packet<'static> {
    Packet::Disconnect {
        reason,
        text: text.map(str::to_owned),
        server_reference: server_reference.map(str::to_owned),
    }
}

fn connack_of(session_present: bool, reason: u8) -> Packet<'static> {
    Packet::ConnAck { session_present, reason, properties: None }
}

fn check(version: Version, bytes: &str, expected: Packet<'_>) {
    assert_eq!(read(&hex(bytes), version), Ok(expected), "{bytes}");
}

#[test]
fn connack() {
    for version in [Version::V311, Version::V5] {
        // Refusals in the form of 3.1.1 pass in both.
        for reason in 1..=5 {
            check(version, &format!("2002 00 {reason:02x}"), connack_of(false, reason));
        }
    }
    check(Version::V311, "2002 00 00", connack_of(false, 0));
    check(Version::V311, "2002 01 00", connack_of(true, 0));
    check(Version::V5, "2003 00 00 00", connack_of(false, 0));
    check(Version::V5, "2003 01 00 00", connack_of(true, 0));
    for reason in [
        0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97, 0x99, 0x9a,
        0x9b, 0x9c, 0x9d, 0x9f,
    ] {
        check(Version::V5, &format!("2003 00 {reason:02x} 00"), connack_of(false, reason));
    }
}

#[test]
fn connack_with_every_property() {
    let section =
        hex("11 00000e10  21 0014  24 01  25 00  27 00100000  12 0003 636964  22 000a  1f 0002 6f6b
         26 0001 6b 0001 76  26 0001 6b 0000  28 00  29 01  2a 00  13 003c  1a 0002 7269  1c 0004 682e6578
         15 0005 53435241 4d  16 0003 00ff01");
    let bytes = packet(0x20, &[&[1, 0, section.len() as u8][..], &section].concat());
    let properties = ConnAckProperties {
        session_expiry_interval: Some(3600),
        receive_max: Some(20),
        max_qos: Some(1),
        retain_available: Some(0),
        max_packet_size: Some(1 << 20),
        assigned_client_identifier: Some("cid".into()),
        topic_alias_max: Some(10),
        reason_string: Some("ok".into()),
        user_properties: vec![pair("k", "v"), pair("k", "")],
        wildcard_subscription_available: Some(0),
        subscription_identifiers_available: Some(1),
        shared_subscription_available: Some(0),
        server_keep_alive: Some(60),
        response_information: Some("ri".into()),
        server_reference: Some("h.ex".into()),
        authentication_method: Some("SCRAM".into()),
        authentication_data: Some(vec![0, 0xff, 1].into()),
    };
    let expected =
        Packet::ConnAck { session_present: true, reason: 0, properties: Some(Box::new(properties)) };
    assert_eq!(read(&bytes, Version::V5), Ok(expected));
    // The largest values: Maximum Packet Size may be 4,294,967,295.
    let bytes = hex("2010 00 00 0d 27 ffffffff 21 ffff 11 ffffffff");
    match read(&bytes, Version::V5) {
        Ok(Packet::ConnAck { properties: Some(p), .. }) => {
            assert_eq!(p.max_packet_size, Some(u32::MAX));
            assert_eq!(p.receive_max, Some(u16::MAX));
            assert_eq!(p.session_expiry_interval, Some(u32::MAX));
        }
        other => panic!("{other:?}"),
    }
}

fn publish_of<'a>(topic: &'a str, payload: &'a [u8]) -> Publish<'a> {
    Publish { dup: false, qos: QoS::AtMostOnce, retain: false, topic, pkid: 0, payload, properties: None }
}

#[test]
fn publish() {
    check(Version::V311, "3005 0003 612f62", Packet::Publish(publish_of("a/b", b"")));
    check(Version::V311, "3007 0003 612f62 6869", Packet::Publish(publish_of("a/b", b"hi")));
    check(Version::V5, "3006 0003 612f62 00", Packet::Publish(publish_of("a/b", b"")));
    check(Version::V5, "3008 0003 612f62 00 6869", Packet::Publish(publish_of("a/b", b"hi")));
    check(Version::V5, "3005 0002 c3a9 00", Packet::Publish(publish_of("é", b"")));
    // A payload may look like anything; what follows the property length is payload.
    check(Version::V5, "3006 0001 61 00 2302", Packet::Publish(publish_of("a", &[0x23, 0x02])));
    for (first, dup, qos, retain) in [
        ("31", false, QoS::AtMostOnce, true),
        ("32", false, QoS::AtLeastOnce, false),
        ("33", false, QoS::AtLeastOnce, true),
        ("34", false, QoS::ExactlyOnce, false),
        ("35", false, QoS::ExactlyOnce, true),
        ("3a", true, QoS::AtLeastOnce, false),
        ("3b", true, QoS::AtLeastOnce, true),
        ("3c", true, QoS::ExactlyOnce, false),
        ("3d", true, QoS::ExactlyOnce, true),
    ] {
        let (pkid, field) = if qos == QoS::AtMostOnce { (0, "") } else { (0x1234, "1234") };
        let expected = || Packet::Publish(Publish { dup, qos, retain, pkid, ..publish_of("a", b"xy") });
        check(Version::V311, &format!("{first} 0{} 0001 61 {field} 7879", 5 + field.len() / 2), expected());
        check(Version::V5, &format!("{first} 0{} 0001 61 {field} 00 7879", 6 + field.len() / 2), expected());
    }
}

#[test]
fn publish_borrows_the_packet() {
    let bytes = hex("3008 0003 612f62 00 6869");
    match read(&bytes, Version::V5) {
        Ok(Packet::Publish(publish)) => {
            assert!(bytes.as_ptr_range().contains(&publish.topic.as_ptr()));
            assert!(bytes.as_ptr_range().contains(&publish.payload.as_ptr()));
            assert!(publish.properties.is_none());
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn publish_with_every_property() {
    let section = hex("01 01  02 0000000a  23 0007  08 0003 722f31  09 0004 00010203  26 0001 6b 0001 76
         0b 01  0b 8001  0b ffffff7f  03 0003 742f70  26 0001 6b 0001 77");
    let body = [&hex("0003 612f62 0102"), &[section.len() as u8][..], &section, b"payload"].concat();
    let properties = PublishProperties {
        payload_format_indicator: Some(1),
        message_expiry_interval: Some(10),
        topic_alias: Some(7),
        response_topic: Some("r/1".into()),
        correlation_data: Some(vec![0, 1, 2, 3].into()),
        user_properties: vec![pair("k", "v"), pair("k", "w")],
        subscription_identifiers: vec![1, 128, 268_435_455],
        content_type: Some("t/p".into()),
    };
    let expected = Publish {
        qos: QoS::ExactlyOnce,
        pkid: 0x0102,
        properties: Some(Box::new(properties)),
        ..publish_of("a/b", b"payload")
    };
    assert_eq!(read(&packet(0x34, &body), Version::V5), Ok(Packet::Publish(expected)));
}

#[test]
fn several_subscription_identifiers_leave_the_payload_alone() {
    for (bytes, ids, payload) in [
        ("300a 0001 61 06 0b01 0b02 0b03", vec![1, 2, 3], &b""[..]),
        ("300b 0001 61 06 0b01 0b02 0101 7a", vec![1, 2], b"z"),
    ] {
        let bytes = hex(bytes);
        match read(&bytes, Version::V5) {
            Ok(Packet::Publish(publish)) => {
                assert_eq!(publish.payload, payload);
                assert_eq!(publish.properties.map(|p| p.subscription_identifiers), Some(ids));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn publish_with_alias_alone() {
    let properties = Some(Box::new(PublishProperties { topic_alias: Some(5), ..no_properties() }));
    let expected = Publish { properties, ..publish_of("", b"x") };
    check(Version::V5, "3007 0000 03 230005 78", Packet::Publish(expected));
}

#[test]
fn acknowledgements() {
    for version in BOTH {
        check(version, "4002 0001", Packet::PubAck(ack_of(1, 0, None)));
        check(version, "5002 ffff", Packet::PubRec(ack_of(0xffff, 0, None)));
        check(version, "6202 0102", Packet::PubRel(ack_of(0x102, 0, None)));
        check(version, "7002 0100", Packet::PubComp(ack_of(0x100, 0, None)));
    }
    let v5 = Version::V5;
    check(v5, "4003 0001 10", Packet::PubAck(ack_of(1, 0x10, None)));
    check(v5, "4004 0001 87 00", Packet::PubAck(ack_of(1, 0x87, None)));
    check(v5, "400a 0001 87 06 1f 0003 6e6f21", Packet::PubAck(ack_of(1, 0x87, Some("no!"))));
    check(v5, "400e 0001 97 0a 26 0000 0000 26 0000 0000", Packet::PubAck(ack_of(1, 0x97, None)));
    check(v5, "5003 0001 91", Packet::PubRec(ack_of(1, 0x91, None)));
    check(v5, "6203 0001 92", Packet::PubRel(ack_of(1, 0x92, None)));
    check(v5, "7004 0001 92 00", Packet::PubComp(ack_of(1, 0x92, None)));
    // mosquitto answers a PUBLISH above its message_size_limit with a code that PUBACK's table lacks.
    check(v5, "4003 0001 95", Packet::PubAck(ack_of(1, 0x95, None)));
}

#[test]
fn suback_and_unsuback() {
    check(Version::V311, "9006 000a 00010280", Packet::SubAck(acks_of(10, &[0, 1, 2, 0x80], None)));
    check(Version::V311, "b002 000a", Packet::UnsubAck(acks_of(10, &[], None)));
    let all = "00 01 02 80 83 87 8f 91 97 9e a1 a2";
    let expected = acks_of(10, &hex(all), None);
    check(Version::V5, &format!("900f 000a 00 {all}"), Packet::SubAck(expected));
    check(Version::V5, "9008 000a 04 1f 0001 78 01", Packet::SubAck(acks_of(10, &[1], Some("x"))));
    let all = "00 11 80 83 87 8f 91";
    check(Version::V5, &format!("b00a 000a 00 {all}"), Packet::UnsubAck(acks_of(10, &hex(all), None)));
    check(Version::V5, "b008 000a 04 1f 0001 78 11", Packet::UnsubAck(acks_of(10, &[0x11], Some("x"))));
}

#[test]
fn pingresp() {
    for version in BOTH {
        check(version, "d000", Packet::PingResp);
    }
}

#[test]
fn disconnect() {
    let v5 = Version::V5;
    // Without property length, as mosquitto sends it; and without anything.
    for reason in [0x8e, 0x82, 0x81, 0x94, 0x8c, 0x00] {
        check(v5, &format!("e001 {reason:02x}"), disconnect_of(reason, None, None));
    }
    check(v5, "e000", disconnect_of(0, None, None));
    check(v5, "e002 8b 00", disconnect_of(0x8b, None, None));
    check(v5, "e007 98 05 1f 0002 6279", disconnect_of(0x98, Some("by"), None));
    check(
        v5,
        "e012 9d 10 1c 0003 682e78 1f 0001 6d 26 0001 61 0000",
        disconnect_of(0x9d, Some("m"), Some("h.x")),
    );
}

#[test]
fn auth() {
    let auth_of = |reason, method: Option<&str>, data: Option<&[u8]>| Packet::Auth {
        reason,
        method: method.map(str::to_owned),
        data: data.map(bytes::Bytes::copy_from_slice),
    };
    let v5 = Version::V5;
    check(v5, "f000", auth_of(0, None, None));
    check(v5, "f002 00 00", auth_of(0, None, None));
    check(v5, "f002 18 00", auth_of(0x18, None, None));
    check(v5, "f006 19 04 15 0001 58", auth_of(0x19, Some("X"), None));
    check(
        v5,
        "f014 18 12 15 0001 58 16 0002 00ff 1f 0001 72 26 0000 0000",
        auth_of(0x18, Some("X"), Some(&[0, 0xff])),
    );
}
