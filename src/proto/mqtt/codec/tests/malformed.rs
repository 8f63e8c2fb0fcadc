use super::*;

/// Every packet must be refused as malformed.
fn refused(version: Version, cases: &[(&str, &str)]) {
    for (name, bytes) in cases {
        let bytes = hex(bytes);
        let found = frame(&bytes, version, 1 << 20).and_then(|len| {
            assert_eq!(len, Some(bytes.len()), "{name}: the test's own bytes are not one packet");
            decode(&bytes, version)
        });
        assert!(matches!(found, Err(Error::Malformed(_))), "{name}: {found:?}");
    }
}

/// The fixed header gives it away, whatever follows.
fn refused_early(version: Version, cases: &[(&str, &str)]) {
    for (name, bytes) in cases {
        let found = frame(&hex(bytes), version, 1 << 20);
        assert!(matches!(found, Err(Error::Malformed(_))), "{name}: {found:?}");
    }
}

#[test]
fn fixed_headers() {
    for version in BOTH {
        refused_early(
            version,
            &[
                ("PUBACK with flags", "4f020001"),
                ("PUBREL without its flags", "60020001"),
                ("CONNACK with flags", "2f020000"),
                ("PINGRESP with flags", "d100"),
                ("PUBACK, length of two bytes for 2", "4082000001"),
                ("PUBLISH with DUP at QoS 0", "3803000161"),
                ("PUBLISH with QoS 3", "3603000161"),
                ("PUBLISH with QoS 3 and DUP", "3e03000161"),
            ],
        );
    }
}

#[test]
fn complete_packets_that_end_too_early() {
    refused(
        Version::V5,
        &[
            ("PUBLISH without property length", "3003000161"),
            ("CONNACK without property length", "20020000"),
            ("SUBACK without property length", "90020001"),
            ("UNSUBACK without property length", "b0020001"),
            ("subscription identifier without end", "3006000161020b80"),
            ("PUBLISH without anything", "3000"),
            ("PUBLISH, topic longer than the packet", "3004 0009 6161"),
            ("PUBLISH at QoS 1 without packet identifier", "3203 0001 61"),
            ("PUBLISH, properties longer than the packet", "3004 0001 61 01"),
            ("CONNACK without anything", "2000"),
            ("CONNACK without reason", "2001 00"),
            ("PUBACK without anything", "4000"),
            ("PUBACK with half a packet identifier", "4001 00"),
            ("SUBACK without reasons", "9003 0001 00"),
            ("UNSUBACK without reasons", "b003 0001 00"),
            ("AUTH without property length", "f001 18"),
        ],
    );
    refused(
        Version::V311,
        &[
            ("CONNACK without return code", "2001 00"),
            ("SUBACK without return codes", "90020001"),
            ("UNSUBACK without anything", "b000"),
            ("PUBREC without anything", "5000"),
            ("PUBLISH without topic", "3000"),
        ],
    );
}

#[test]
fn properties_stay_in_their_section() {
    refused(
        Version::V5,
        &[
            ("expiry interval over the end of the section", "3009000161010200000005"),
            ("topic alias over the end", "3006 0001 61 01 23 00"),
            ("content type over the end", "3008 0001 61 03 03 0002 61"),
            ("property length of two bytes for 0", "30050001618000"),
            ("property length of five bytes", "3008 0001 61 8080808001"),
            ("subscription identifier of two bytes for 1", "3007 0001 61 03 0b 8100"),
            ("subscription identifier of five bytes", "300a 0001 61 06 0b ffffffff01"),
            ("AUTH, section longer than the packet", "f003 18 01 15"),
            ("DISCONNECT, section longer than the packet", "e003 8e 05 1f"),
            ("CONNACK, section longer than the packet", "2003 00 00 03"),
        ],
    );
}

#[test]
fn trailing_bytes() {
    refused(
        Version::V5,
        &[
            ("PUBACK", "4006 0001 00 00 7a7a"),
            ("PINGRESP", "d0017a"),
            ("CONNACK", "2004 00 00 00 7a"),
            ("DISCONNECT", "e003 8e 00 7a"),
            ("AUTH", "f003 18 00 7a"),
        ],
    );
    refused(
        Version::V311,
        &[
            ("PUBACK", "400400017a7a"),
            ("PUBACK in the form of 5.0", "4003 0001 00"),
            ("PINGRESP", "d0017a"),
            ("CONNACK in the form of 5.0", "2003 00 00 00"),
            ("UNSUBACK with a reason", "b003 0001 00"),
        ],
    );
}

#[test]
fn topics() {
    refused(
        Version::V5,
        &[
            ("#", "30050003612f23"),
            ("a wildcard", "3006 0003 612f23 00"),
            ("the other wildcard", "3004 0001 2b 00"),
            ("empty, no property length", "30020000"),
            ("empty without alias", "3003 0000 00"),
            ("empty, properties but no alias", "3005 0000 02 0101"),
            ("U+0000, no property length", "300400026100"),
            ("U+0000", "3005 0002 6100 00"),
            ("not UTF-8", "3004 0001 ff 00"),
            ("a surrogate", "3006 0003 eda080 00"),
        ],
    );
    refused(
        Version::V311,
        &[
            ("#", "30050003612f23"),
            ("+", "3003 0001 2b"),
            ("empty", "30020000"),
            ("U+0000", "300400026100"),
            ("not UTF-8", "3004 0002 61ff"),
            ("overlong", "3004 0002 c080"),
        ],
    );
}

#[test]
fn packet_identifier_0() {
    refused(
        Version::V5,
        &[
            ("PUBLISH", "3206 0001 61 0000 00"),
            ("PUBACK", "40020000"),
            ("PUBREC", "50020000"),
            ("PUBREL", "62020000"),
            ("PUBCOMP", "70020000"),
            ("SUBACK", "9004 0000 00 00"),
            ("UNSUBACK", "b004 0000 00 00"),
        ],
    );
    refused(
        Version::V311,
        &[
            ("PUBLISH", "3405 0001 61 0000"),
            ("PUBACK", "40020000"),
            ("PUBREC", "50020000"),
            ("PUBREL", "62020000"),
            ("PUBCOMP", "70020000"),
            ("SUBACK", "9003 0000 00"),
            ("UNSUBACK", "b0020000"),
        ],
    );
}

#[test]
fn property_values() {
    refused(
        Version::V5,
        &[
            ("topic alias 0", "3007 0001 61 03 230000"),
            ("subscription identifier 0", "3006 0001 61 02 0b00"),
            ("payload format 2", "3006 0001 61 02 0102"),
            ("response topic with U+0000", "3008 0001 61 04 080001 00"),
            ("content type with U+0000", "3008 0001 61 04 030001 00"),
            ("content type not UTF-8", "3008 0001 61 04 030001 ff"),
            ("user property's name with U+0000", "300a 0001 61 06 260001 00 0000"),
            ("user property's value not UTF-8", "300a 0001 61 06 260000 0001 80"),
            ("receive maximum 0", "2006 00 00 03 210000"),
            ("maximum packet size 0", "2008 00 00 05 2700000000"),
            ("maximum QoS 2", "2005 00 00 02 2402"),
            ("retain available 2", "2005 00 00 02 2502"),
            ("wildcard subscriptions 2", "2005 00 00 02 2802"),
            ("subscription identifiers 2", "2005 00 00 02 29ff"),
            ("shared subscriptions 2", "2005 00 00 02 2a02"),
            ("reason string with U+0000", "4008 0001 87 04 1f0001 00"),
        ],
    );
}

#[test]
fn properties_that_stand_twice() {
    for (id, value) in
        [("01", "01"), ("02", "00000001"), ("03", "0000"), ("08", "000161"), ("09", "0000"), ("23", "0001")]
    {
        let section = hex(&format!("{id}{value}{id}{value}"));
        let body = [&hex("0001 61"), &[section.len() as u8][..], &section].concat();
        let found = decode(&packet(0x30, &body), Version::V5).map(|_| ());
        assert!(matches!(found, Err(Error::Malformed(_))), "PUBLISH {id}: {found:?}");
    }
    for (id, value) in CONNACK_PROPERTIES {
        let section = hex(&format!("{id}{value}{id}{value}"));
        let body = [&[0, 0, section.len() as u8][..], &section].concat();
        let bytes = packet(0x20, &body);
        let found = decode(&bytes, Version::V5);
        assert_eq!(found.is_ok(), id == "26", "CONNACK {id}: {found:?}");
    }
    refused(
        Version::V5,
        &[
            ("reason string in PUBACK", "400a 0001 87 06 1f0000 1f0000"),
            ("reason string in SUBACK", "900a 0001 06 1f0000 1f0000 00"),
            ("server reference in DISCONNECT", "e008 9d 06 1c0000 1c0000"),
            ("authentication method in AUTH", "f008 18 06 150000 150000"),
        ],
    );
}

/// Each property with a value in range.
const CONNACK_PROPERTIES: [(&str, &str); 17] = [
    ("11", "00000001"),
    ("12", "000161"),
    ("13", "003c"),
    ("15", "000161"),
    ("16", "000161"),
    ("1a", "000161"),
    ("1c", "000161"),
    ("1f", "000161"),
    ("21", "0001"),
    ("22", "0001"),
    ("24", "01"),
    ("25", "01"),
    ("26", "0001610001 62"),
    ("27", "00000001"),
    ("28", "01"),
    ("29", "01"),
    ("2a", "01"),
];

/// Every property identifier in every packet: those that the standard's Table 2-4 allows pass, all others not.
#[test]
fn properties_of_other_packets() {
    let values = CONNACK_PROPERTIES.into_iter().chain([
        ("01", "01"),
        ("02", "00000001"),
        ("03", "000161"),
        ("08", "000161"),
        ("09", "000161"),
        ("0b", "01"),
        ("17", "01"),
        ("18", "00000001"),
        ("19", "01"),
        ("23", "0001"),
        ("00", "00"),
        ("04", "00"),
        ("2b", "00"),
        ("3f", "00"),
        ("40", "00"),
        ("7f", "00"),
        ("80", "00"),
        ("a6", "00"),
        ("ff", "00"),
    ]);
    let connack: Vec<&str> = CONNACK_PROPERTIES.iter().map(|(id, _)| *id).collect();
    for (id, value) in values {
        let section = hex(&format!("{id}{value}"));
        let section = [&[section.len() as u8][..], &section].concat();
        for (first, before, after, allowed) in [
            (0x20, "0000", "", &connack[..]),
            (0x30, "000161", "", &["01", "02", "03", "08", "09", "0b", "23", "26"]),
            (0x40, "000100", "", &["1f", "26"]),
            (0x50, "000100", "", &["1f", "26"]),
            (0x62, "000100", "", &["1f", "26"]),
            (0x70, "000100", "", &["1f", "26"]),
            (0x90, "0001", "00", &["1f", "26"]),
            (0xb0, "0001", "00", &["1f", "26"]),
            (0xe0, "8e", "", &["1f", "26", "1c"]),
            (0xf0, "18", "", &["15", "16", "1f", "26"]),
        ] {
            let bytes = packet(first, &[hex(before), section.clone(), hex(after)].concat());
            let found = decode(&bytes, Version::V5);
            assert_eq!(found.is_ok(), allowed.contains(&id), "{first:02x} with property {id}: {found:?}");
            assert!(matches!(found, Ok(_) | Err(Error::Malformed(_))));
        }
    }
}

#[test]
fn connack_flags() {
    refused(
        Version::V5,
        &[
            ("reserved flags, no property length", "2002fe00"),
            ("reserved flags", "2003 02 00 00"),
            ("session present with failure, 3.1.1 form", "20020105"),
            ("session present with failure", "2003 01 87 00"),
            ("3.1.1 return code 6", "20020006"),
            ("a refusal of 5.0 without property length", "20020087"),
            ("a return code of 3.1.1 in the form of 5.0", "2003 00 01 00"),
        ],
    );
    refused(
        Version::V311,
        &[
            ("reserved flags", "2002fe00"),
            ("session present with failure", "20020105"),
            ("return code 6", "20020006"),
            ("reason code of 5.0", "20020087"),
        ],
    );
}

#[test]
fn reason_codes_of_each_packet() {
    // Failures are taken from the whole of section 2.4, successes from the packet's own table.
    for code in 0..=255u8 {
        let failure = (0x80..=0xa2).contains(&code);
        for (body, first, successes) in [
            (vec![0, code, 0], 0x20, &[0x00][..]),
            (vec![0, 1, code], 0x40, &[0x00, 0x10]),
            (vec![0, 1, code, 0], 0x50, &[0x00, 0x10]),
            (vec![0, 1, code], 0x62, &[0x00]),
            (vec![0, 1, code, 0], 0x70, &[0x00]),
            (vec![0, 1, 0, 0, code], 0x90, &[0x00, 0x01, 0x02]),
            (vec![0, 1, 0, code], 0xb0, &[0x00, 0x11]),
            (vec![code], 0xe0, &[0x00]),
        ] {
            let bytes = packet(first, &body);
            let found = decode(&bytes, Version::V5);
            assert_eq!(
                found.is_ok(),
                failure || successes.contains(&code),
                "{first:02x} {code:02x}: {found:?}"
            );
        }
        let bytes = packet(0xf0, &[code, 0]);
        assert_eq!(
            decode(&bytes, Version::V5).is_ok(),
            [0x00, 0x18, 0x19].contains(&code),
            "AUTH {code:02x}"
        );
        let bytes = packet(0x90, &[0, 1, code]);
        assert_eq!(
            decode(&bytes, Version::V311).is_ok(),
            [0, 1, 2, 0x80].contains(&code),
            "SUBACK {code:02x}"
        );
        let bytes = packet(0x20, &[0, code]);
        assert_eq!(decode(&bytes, Version::V311).is_ok(), code <= 5, "CONNACK {code:02x}");
    }
}

#[test]
fn what_a_server_may_not_send() {
    for (bytes, kind) in [
        ("1000", 1),
        ("82080001000001610000", 8),
        ("a203000100", 10), // mqttbytes prints this one to stderr
        ("c000", 12),
        ("0000", 0),
    ] {
        for version in BOTH {
            assert_eq!(frame(&hex(bytes), version, 100), Err(Error::Unexpected(kind)), "{bytes}");
            assert_eq!(decode(&hex(bytes), version), Err(Error::Unexpected(kind)), "{bytes}");
        }
    }
    for (bytes, kind) in [("e000", 14), ("f000", 15)] {
        assert_eq!(decode(&hex(bytes), Version::V311), Err(Error::Unexpected(kind)));
    }
}
