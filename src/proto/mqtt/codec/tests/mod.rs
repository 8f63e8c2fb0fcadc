//! Bytes written out from the standard, both ways.

mod audit;
mod conformance;
mod encoded;
mod framing;
mod malformed;
mod random;
mod vectors;

use data_encoding::HEXLOWER_PERMISSIVE;

use super::{super::packet::*, *};

const BOTH: [Version; 2] = [Version::V311, Version::V5];

/// Bytes from hexadecimal digits; spaces separate the fields.
fn hex(digits: &str) -> Vec<u8> {
    let digits: String = digits.split_whitespace().collect();
    HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).expect("hexadecimal digits in a test")
}

/// `frame` and `decode` as the session calls them.
fn read(bytes: &[u8], version: Version) -> Result<Packet<'_>, Error> {
    match frame(bytes, version, 1 << 20)? {
        Some(len) => decode(&bytes[..len], version),
        None => panic!("{bytes:02x?} is not a whole packet"),
    }
}

/// A packet around its body; for bodies below 2 MiB.
fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut len = body.len();
    loop {
        let more = len >= 128;
        bytes.push((len % 128) as u8 | u8::from(more) << 7);
        len /= 128;
        if !more {
            break;
        }
    }
    bytes.extend_from_slice(body);
    bytes
}

fn no_properties() -> PublishProperties {
    PublishProperties {
        payload_format_indicator: None,
        message_expiry_interval: None,
        topic_alias: None,
        response_topic: None,
        correlation_data: None,
        user_properties: Vec::new(),
        subscription_identifiers: Vec::new(),
        content_type: None,
    }
}

fn pair(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

#[test]
fn errors_as_text() {
    for (error, expected, reason) in [
        (Error::Malformed("a thing (section 1)"), "malformed packet: a thing (section 1)", 0x81),
        (Error::Unexpected(1), "unexpected packet: CONNECT from a server", 0x82),
        (Error::Unexpected(0), "unexpected packet: packet type 0 from a server", 0x82),
        (Error::TooLarge(7, None), "packet too large: 7 bytes", 0x95),
        (Error::TooLarge(7, Some("a\x1b".into())), "packet too large: 7 bytes on topic \"a\\u{1b}\"", 0x95),
        (Error::Unsendable("packet identifier 0"), "cannot be sent: packet identifier 0", 0x83),
    ] {
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.reason(), reason);
    }
}
