//! Normative statements that no other test here is about; tests/conformance names them.

use super::*;

/// [MQTT-1.5.4-1], [MQTT-1.5.4-2], [MQTT-1.5.7-1]: ill-formed UTF-8, a surrogate, an overlong form and U+0000
/// in each string of each packet.
#[test]
fn the_text_of_every_property_is_checked() {
    for (first, before, after, ids) in [
        (0x20, "0000", "", &[0x12, 0x15, 0x1a, 0x1c, 0x1f, 0x26][..]),
        (0x30, "000161", "", &[0x03, 0x08, 0x26]),
        (0x40, "000100", "", &[0x1f, 0x26]),
        (0x50, "000100", "", &[0x1f, 0x26]),
        (0x62, "000100", "", &[0x1f, 0x26]),
        (0x70, "000100", "", &[0x1f, 0x26]),
        (0x90, "0001", "00", &[0x1f, 0x26]),
        (0xb0, "0001", "00", &[0x1f, 0x26]),
        (0xe0, "8e", "", &[0x1c, 0x1f, 0x26]),
        (0xf0, "18", "", &[0x15, 0x1f, 0x26]),
    ] {
        for &id in ids {
            for (text, good) in [
                ("616263", true),
                ("efbbbf", true),
                ("ff6161", false),
                ("eda080", false),
                ("c08061", false),
                ("c36161", false),
                ("610061", false),
            ] {
                let others = if id == 0x26 { vec![("", "0000"), ("0000", "")] } else { vec![("", "")] };
                for (left, right) in others {
                    let section = hex(&format!("{id:02x} {left} 0003 {text} {right}"));
                    let body = [&hex(before)[..], &[section.len() as u8], &section, &hex(after)].concat();
                    let found = decode(&super::packet(first, &body), Version::V5).map(|_| ());
                    match found {
                        Ok(()) => assert!(good, "{first:02x} {id:02x} {text} passes"),
                        Err(Error::Malformed(_)) => assert!(!good, "{first:02x} {id:02x} {text} does not"),
                        Err(other) => panic!("{first:02x} {id:02x} {text}: {other}"),
                    }
                }
            }
        }
    }
}

/// [MQTT-1.5.4-3], in 3.1.1 [MQTT-1.5.3-3]
#[test]
fn a_byte_order_mark_is_a_character() {
    for (version, bytes) in [
        (Version::V311, "3009 0004 efbbbf61 efbbbf"),
        // With a Content Type.
        (Version::V5, "3012 0004 efbbbf61 08 03 0005 61efbbbf62 efbbbf"),
    ] {
        let bytes = hex(bytes);
        let Ok(Packet::Publish(read)) = read(&bytes, version) else { panic!("{bytes:02x?}") };
        assert_eq!(read.topic, "\u{feff}a");
        assert_eq!(read.payload, "\u{feff}".as_bytes());
        if let Some(properties) = &read.properties {
            assert_eq!(properties.content_type.as_deref(), Some("a\u{feff}b"));
        }
        let again = Outgoing {
            dup: false,
            qos: QoS::AtMostOnce,
            retain: false,
            topic: read.topic,
            pkid: 0,
            payload: read.payload,
            properties: read.properties.as_deref(),
        };
        let mut out = bytes::BytesMut::new();
        publish(&mut out, version, &again).expect("it was read");
        assert_eq!(&out[..], bytes);
    }
}

/// [MQTT-3.4.2-1], [MQTT-3.5.2-1], [MQTT-3.6.2-1], [MQTT-3.7.2-1], [MQTT-3.15.2-1]
#[test]
fn only_reasons_of_the_packets_own_table_are_sent() {
    let received = "00 10 80 83 87 90 91 97 99";
    for (kind, table) in [
        (AckType::PubAck, received),
        (AckType::PubRec, received),
        (AckType::PubRel, "00 92"),
        (AckType::PubComp, "00 92"),
    ] {
        let sendable = |reason: &u8| ack(&mut bytes::BytesMut::new(), Version::V5, kind, 1, *reason).is_ok();
        let all: Vec<u8> = (0..=255).filter(sendable).collect();
        assert_eq!(all, hex(table), "{kind:?}");
    }
    // 0x00 is the server's.
    let sendable = |reason: &u8| auth(&mut bytes::BytesMut::new(), *reason, "m", None).is_ok();
    assert_eq!((0..=255).filter(sendable).collect::<Vec<u8>>(), [0x18, 0x19]);
}
