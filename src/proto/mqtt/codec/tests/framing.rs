use super::*;

#[test]
fn a_packet_ends_where_its_length_says() {
    for version in BOTH {
        for len in [0, 1, 127, 128, 16_383, 16_384, 300_000] {
            // A PUBLISH as far as the framer looks; another packet follows.
            let mut bytes = packet(0x30, &vec![0; len]);
            let whole = bytes.len();
            bytes.extend_from_slice(&[0xd0, 0]);
            for cut in (0..whole.min(20)).chain([whole - 1]) {
                assert_eq!(frame(&bytes[..cut], version, 1 << 20), Ok(None), "{len} cut at {cut}");
            }
            assert_eq!(frame(&bytes[..whole], version, 1 << 20), Ok(Some(whole)));
            assert_eq!(frame(&bytes, version, 1 << 20), Ok(Some(whole)));
        }
    }
}

#[test]
fn limit_counts_the_whole_packet() {
    let bytes = packet(0x30, &[0; 128]); // 131 bytes
    assert_eq!(frame(&bytes, Version::V5, 131), Ok(Some(131)));
    assert_eq!(frame(&bytes, Version::V5, 130), Err(Error::TooLarge(131, None)));
    // Known from the fixed header on, and not before.
    assert_eq!(frame(&bytes[..2], Version::V5, 130), Ok(None));
    assert_eq!(frame(&bytes[..3], Version::V5, 130), Err(Error::TooLarge(131, None)));
    assert_eq!(frame(&hex("30 ffffff7f"), Version::V5, 1000), Err(Error::TooLarge(268_435_460, None)));
    assert_eq!(frame(&hex("30 ffffff7f"), Version::V5, 268_435_460), Ok(None));
    assert_eq!(frame(&hex("20 ffffff7f"), Version::V311, 1000), Err(Error::TooLarge(268_435_460, None)));
}

#[test]
fn too_large_names_the_topic_that_is_there() {
    let bytes = hex("30 8008 0003 612f62 00 7878");
    for cut in 3..bytes.len() {
        let topic = (cut >= 8).then(|| "a/b".to_owned());
        assert_eq!(frame(&bytes[..cut], Version::V5, 100), Err(Error::TooLarge(1027, topic)), "{cut}");
    }
    // Not a topic, no topic (alias), and a topic that leaves the packet.
    for bytes in ["30 8008 0003 61ff62", "30 8008 0003 612f23", "30 8008 0000 032300"] {
        assert_eq!(frame(&hex(bytes), Version::V5, 100), Err(Error::TooLarge(1027, None)));
    }
    assert_eq!(frame(&hex("30 02 0001 61"), Version::V5, 3), Err(Error::TooLarge(4, None)));
    // Other packets have none.
    assert_eq!(frame(&hex("20 8008 0003 612f62"), Version::V5, 100), Err(Error::TooLarge(1027, None)));
}

#[test]
fn lengths_are_minimal_and_at_most_four_bytes() {
    for version in BOTH {
        for bytes in
            ["40 8200", "d0 8000", "30 80808000", "30 ff8000", "30 80808080", "30 ffffffff", "30 8080808001"]
        {
            assert!(matches!(frame(&hex(bytes), version, 1 << 30), Err(Error::Malformed(_))), "{bytes}");
        }
        for bytes in ["", "30", "30 80", "30 8080", "30 808080", "30 ffffff"] {
            assert_eq!(frame(&hex(bytes), version, 1 << 30), Ok(None), "{bytes}");
        }
    }
}

#[test]
fn first_bytes_that_a_server_may_send() {
    let good_v311 = hex("20 30 31 32 33 34 35 3a 3b 3c 3d 40 50 62 70 90 b0 d0");
    let mut good_v5 = good_v311.clone();
    good_v5.extend([0xe0, 0xf0]);
    for (version, good) in [(Version::V311, good_v311), (Version::V5, good_v5)] {
        for first in 0..=255u8 {
            // Known from the first byte alone.
            let found = frame(&[first], version, 100);
            if good.contains(&first) {
                assert_eq!(found, Ok(None), "{first:02x}");
                continue;
            }
            let unexpected = match first >> 4 {
                0 | 1 | 8 | 10 | 12 => true,
                14 | 15 => version == Version::V311,
                _ => false,
            };
            if unexpected {
                assert_eq!(found, Err(Error::Unexpected(first >> 4)), "{first:02x}");
            } else {
                assert!(matches!(found, Err(Error::Malformed(_))), "{first:02x}");
            }
        }
    }
}

#[test]
fn other_protocols_are_seen_at_once() {
    for greeting in ["INFO {\"server_id\":\"N\"}\r\n", "HTTP/1.1 400 Bad Request\r\n", "{\"a\":1}"] {
        for version in BOTH {
            assert!(frame(greeting.as_bytes(), version, 1 << 20).is_err(), "{greeting}");
        }
    }
}

#[test]
fn decode_wants_exactly_one_packet() {
    for bytes in ["", "d0", "d000 d000", "40 02 00", "30", "3005000161"] {
        assert!(matches!(decode(&hex(bytes), Version::V5), Err(Error::Malformed(_))), "{bytes}");
    }
}

/// An empty User Property is 5 bytes on the wire and ten times that in memory.
#[test]
fn the_memory_of_properties_has_a_limit() {
    let with = |count: usize| {
        let section = b"\x26\0\0\0\0".repeat(count);
        let mut body = hex("0001 61");
        let mut len = section.len();
        while len >= 128 {
            body.push((len % 128) as u8 | 0x80);
            len /= 128;
        }
        body.push(len as u8);
        packet(0x30, &[body, section].concat())
    };
    let most = with(PROPERTIES_MAX);
    match decode(&most, Version::V5) {
        Ok(Packet::Publish(publish)) => {
            let properties = publish.properties.expect("some");
            assert_eq!(properties.user_properties.len(), PROPERTIES_MAX);
        }
        other => panic!("{:?}", other.map(|_| ())),
    }
    let above = with(PROPERTIES_MAX + 1);
    let error = decode(&above, Version::V5).expect_err("one too many");
    assert_eq!(error, Error::TooManyProperties(Some("a".to_owned())));
    assert_eq!(error.reason(), 0x95);
    assert_eq!(error.to_string(), "packet too large: more than 131072 properties on topic \"a\"");
}
