//! The forms themselves, byte by byte.

use super::*;

const TIME: u64 = 1_767_225_599_000_001;

fn messages(framing: Framing, input: &[u8]) -> Vec<String> {
    let chunks = [Bytes::copy_from_slice(input)];
    let (given, _) = decode(framing, Kind::Text, &chunks, &mut Random::new(1));
    assert_eq!(given.error, None);
    given.messages.into_iter().map(|(_, message)| String::from_utf8(message).expect("text")).collect()
}

fn written(encoder: &mut Encoder, kind: Kind, payload: &[u8]) -> String {
    let mut out = Vec::new();
    encoder.message(&mut out, kind, payload, TIME).expect("not refused");
    String::from_utf8(out).expect("text")
}

#[test]
fn input_of_each_framing() {
    assert_eq!(messages(Framing::Line, b"a\n\nb\r\nlast\0"), ["a", "", "b\r", "last\0"]);
    assert_eq!(messages(Framing::Line, b"\n"), [""]);
    assert!(messages(Framing::Line, b"").is_empty());
    assert_eq!(messages(Framing::Null, b"a\nb\0\0last\n"), ["a\nb", "", "last\n"]);
    assert_eq!(messages(Framing::Length, b"\0\0\0\x02ab\0\0\0\0\0\0\0\x01\n"), ["ab", "", "\n"]);
    assert_eq!(messages(Framing::Chunk, b"a\nb"), ["a\nb"]);
    assert!(messages(Framing::Chunk, b"").is_empty());
    assert_eq!(messages(Framing::Whole, b"a\nb\n"), ["a\nb\n"]);
    assert_eq!(messages(Framing::Whole, b""), [""]);
    assert_eq!(messages(Framing::Base64, b"YQ==\n\n"), ["a", ""]);
    let json = br#"{"type":"text","payload":"a\u0000\n\ud83e\udd80","time":"2026","x":[1e999,{"payload":1}]}

 { "payload_base64" : "YQ==" , "type" : "text" }
{"type":"close","code":1000,"reason":""}
{"type":"text","payload":""}"#;
    assert_eq!(messages(Framing::Json, json), ["a\0\n🦀", "a", ""]);
}

#[test]
fn output_of_each_framing() {
    for (framing, text) in [
        (Framing::Line, "a\tb\n"),
        (Framing::Null, "a\tb\0"),
        (Framing::Length, "\0\0\0\x03a\tb"),
        (Framing::Chunk, "a\tb"),
        (Framing::Whole, "a\tb"),
        (Framing::Base64, "YQli\n"),
        (
            Framing::Json,
            "{\"type\":\"text\",\"payload\":\"a\\tb\",\"time\":\"2025-12-31T23:59:59.000001Z\"}\n",
        ),
    ] {
        let mut encoder = Encoder::new(framing, false, false);
        assert_eq!(written(&mut encoder, Kind::Text, b"a\tb"), text);
        let mut out = b"kept".to_vec();
        encoder.control(&mut out, Control::Ping(b""), TIME);
        assert_eq!(out.len() > 4, framing == Framing::Json, "only json tells of pings");
    }
}

#[test]
fn json_tells_everything() {
    let mut encoder = Encoder::new(Framing::Json, false, true);
    let mut out = Vec::new();
    encoder.message(&mut out, Kind::Binary, b"text\n", TIME).unwrap();
    encoder.message(&mut out, Kind::Binary, b"\xff", TIME).unwrap();
    encoder.control(&mut out, Control::Ping(b"\xfe"), TIME);
    encoder.control(&mut out, Control::Pong(b"p"), TIME);
    encoder.control(&mut out, Control::Close(Some((1001, "a \"b\""))), TIME);
    encoder.control(&mut out, Control::Close(None), TIME);
    let expected = r#"{"type":"binary","payload":"text\n","time":"T"}
{"type":"binary","payload_base64":"/w==","time":"T"}
{"type":"ping","payload_base64":"/g==","time":"T"}
{"type":"pong","payload":"p","time":"T"}
{"type":"close","code":1001,"reason":"a \"b\"","time":"T"}
{"type":"close","time":"T"}
"#;
    let out = String::from_utf8(out).unwrap();
    assert_eq!(out, expected.replace("\"T\"", "\"2025-12-31T23:59:59.000001Z\""));
    let (given, _) = decode(Framing::Json, Kind::Text, &[Bytes::from(out)], &mut Random::new(1));
    let expected = vec![(Kind::Binary, b"text\n".to_vec()), (Kind::Binary, b"\xff".to_vec())];
    assert_eq!(given, Given { messages: expected, ..Given::default() });
}

#[test]
fn a_separator_inside_is_said_once_or_refused() {
    let cases = [
        (Framing::Line, b"a\nb", Warning::NewlineInside, Refused::NewlineInside),
        (Framing::Null, b"a\0b", Warning::NulInside, Refused::NulInside),
    ];
    for (framing, payload, warning, refused) in cases {
        let mut out = Vec::new();
        let mut encoder = Encoder::new(framing, false, false);
        assert_eq!(encoder.message(&mut out, Kind::Text, b"ab", 0), Ok(None));
        assert_eq!(encoder.message(&mut out, Kind::Text, payload, 0), Ok(Some(warning)));
        assert_eq!(encoder.message(&mut out, Kind::Text, payload, 0), Ok(None));
        let end = payload[1];
        assert_eq!(out, [b"ab", &[end][..], payload, &[end], payload, &[end]].concat());
        for escape in [false, true] {
            let mut encoder = Encoder::new(framing, escape, true);
            for _ in 0..2 {
                assert_eq!(encoder.message(&mut out, Kind::Text, payload, 0), Err(refused));
            }
        }
        assert_eq!(out.len(), 3 + 4 + 4, "a refused message leaves nothing");
    }
}

#[test]
fn a_terminal_gets_no_control_bytes() {
    let payload = "\x1b[31m\u{9b}2J\u{202e}\r\n\ta\r\0é".as_bytes();
    for (framing, text) in [
        (Framing::Line, "\\x1b[31m\\u{9b}2J\\u{202e}\\r\\n\\ta\\r\\x00é\n"),
        (Framing::Null, "\\x1b[31m\\u{9b}2J\\u{202e}\\r\\n\\ta\\r\\x00é\0"),
        (Framing::Length, "\\x00\\x00\\x00\\x14\\x1b[31m\\u{9b}2J\\u{202e}\\r\\n\\ta\\r\\x00é"),
        (Framing::Chunk, "\\x1b[31m\\u{9b}2J\\u{202e}\n\ta\\r\\x00é"),
        (Framing::Whole, "\\x1b[31m\\u{9b}2J\\u{202e}\n\ta\\r\\x00é"),
    ] {
        let mut encoder = Encoder::new(framing, true, false);
        assert_eq!(written(&mut encoder, Kind::Text, payload), text);
        let mut out = Vec::new();
        assert_eq!(
            encoder.message(&mut out, Kind::Text, b"a\n\0", 0),
            Ok(None),
            "escaped: nothing to warn of"
        );
    }
    // JSON keeps the meaning.
    let json = written(&mut Encoder::new(Framing::Json, true, false), Kind::Text, payload);
    assert!(!json.trim_end().chars().any(char::is_control) && !json.contains('\u{202e}'), "{json}");
    assert_eq!(messages(Framing::Json, json.as_bytes()), [std::str::from_utf8(payload).unwrap()]);
    let junk = written(&mut Encoder::new(Framing::Chunk, true, false), Kind::Binary, b"a\xff\nb\r");
    assert_eq!(junk, "a\\xff\nb\\r");
}

#[test]
fn held_back_is_what_is_not_given() {
    let mut decoder = Decoder::new(Framing::Line, Kind::Text);
    decoder.push(Bytes::from_static(b"a\nb"));
    assert!(!decoder.is_empty());
    assert_eq!(&decoder.poll_piece().unwrap().unwrap().payload[..], b"a");
    assert_eq!(decoder.poll_piece(), None);
    assert!(!decoder.is_empty() && !decoder.in_message(), "b waits");
    decoder.push(Bytes::from(vec![b'x'; FRAGMENT]));
    while let Some(piece) = decoder.poll_piece() {
        assert!(!piece.unwrap().last);
    }
    assert!(decoder.is_empty() && decoder.in_message(), "all given, the message not ended");
    decoder.push(Bytes::from_static(b"\n"));
    let end = decoder.poll_piece().unwrap().unwrap();
    assert!(end.payload.is_empty() && end.last && !end.first);
    assert!(decoder.is_empty() && !decoder.in_message());
    for (framing, part) in [
        (Framing::Null, &b"a"[..]),
        (Framing::Length, b"\0"),
        (Framing::Length, b"\0\0\0\x01"),
        (Framing::Chunk, b"\xe2\x82"),
        (Framing::Whole, b"a"),
        (Framing::Base64, b"Y"),
        (Framing::Json, b"{"),
    ] {
        let mut decoder = Decoder::new(framing, Kind::Text);
        decoder.push(Bytes::from_static(part));
        assert_eq!(decoder.poll_piece(), None);
        assert!(!decoder.is_empty() && !decoder.in_message(), "{framing:?}");
    }
}

#[test]
fn what_stands_around_a_payload_is_what_a_record_has() {
    let payloads: [&[u8]; 4] = [b"", b"text", b"two\nlines", b"a\0b"];
    for framing in Framing::ALL {
        for (strict, payload) in
            [(false, payloads), (true, payloads)].into_iter().flat_map(|(s, p)| p.map(|p| (s, p)))
        {
            let [mut one, mut other] = [(); 2].map(|()| Encoder::new(framing, false, strict));
            if !one.is_plain() {
                assert!(matches!(framing, Framing::Base64 | Framing::Json));
                continue;
            }
            // Twice: the warning comes once.
            for _ in 0..2 {
                let mut record = Vec::new();
                let expected =
                    one.message(&mut record, Kind::Binary, payload, 0).map(|warning| (record, warning));
                let found = other.around(payload).map(|around| {
                    let before = around.before.map_or(Vec::new(), |length| length.to_vec());
                    ([&before[..], payload, around.behind.as_slice()].concat(), around.warning)
                });
                assert_eq!(found, expected, "{framing:?}, strict: {strict}");
            }
        }
        assert!(!Encoder::new(framing, true, false).is_plain(), "a terminal shows it escaped");
    }
}
