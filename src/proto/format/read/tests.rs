use bytes::Bytes;
use mqttbytes::v5::PublishProperties;
use serde_json::Value;

use super::super::super::mqtt::packet::QoS;
use super::super::{Message, Template, Unfit, Written};
use super::{JsonMessage, parse_json};

fn none() -> PublishProperties {
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

fn message<'a>(payload: &'a [u8], properties: Option<&'a PublishProperties>) -> Message<'a> {
    let time = 1_783_160_430_000_005;
    Message { topic: "ä/\"", payload, qos: 0, retain: true, dup: false, mid: 0, properties, time }
}

fn render(template: &Template, message: &Message<'_>) -> String {
    let mut out = Vec::new();
    let _ = template.write(&mut out, message);
    String::from_utf8(out).expect("JSON is UTF-8")
}

#[test]
fn lines_are_as_documented() {
    let line = |message: &Message<'_>| render(&Template::json(), message);
    let start = r#"{"time":"2026-07-04T10:20:30.000005Z","topic":"ä/\"""#;
    assert_eq!(
        line(&message(b"a\0\t\x01\"\\/\xc3\xa9\n", None)),
        format!(r#"{start},"qos":0,"retain":true,"payload":"a\u0000\t\u0001\"\\/é\n"}}"#)
    );
    assert_eq!(
        line(&Message { qos: 2, retain: false, dup: true, mid: 65_535, ..message(b"\xff\0", Some(&none())) }),
        format!(r#"{start},"qos":2,"retain":false,"dup":true,"mid":65535,"payload_base64":"/wA="}}"#)
    );
    let all = PublishProperties {
        payload_format_indicator: Some(0),
        message_expiry_interval: Some(u32::MAX),
        topic_alias: Some(1),
        response_topic: Some("r".into()),
        correlation_data: Some(Bytes::from_static(b"\xfe")),
        user_properties: vec![("a".into(), "1".into()), ("a".into(), String::new())],
        subscription_identifiers: vec![1, 268_435_455],
        content_type: Some("c".into()),
    };
    assert_eq!(
        line(&message(b"", Some(&all))),
        format!(r#"{start},"qos":0,"retain":true,"payload":"","properties":{{"payload-format-indicator":0,"#)
            + r#""message-expiry-interval":4294967295,"content-type":"c","response-topic":"r","#
            + r#""correlation-data-base64":"/g==","subscription-identifier":[1,268435455],"topic-alias":1,"#
            + r#""user-properties":[{"a":"1"},{"a":""}]}}"#
    );
}

#[test]
fn mosquitto_json_is_whole_and_valid() {
    let j = Template::parse("%j").expect("fine");
    let start = r#"{"tst":"2026-07-04T10:20:30.000005+0000","topic":"ä/\"","qos":0,"retain":true"#;
    for (payload, rest) in [
        (&b"a\0b"[..], r#","payloadlen":3,"payload":"a\u0000b"}"#),
        (b"\xff", r#","payloadlen":1,"payload_base64":"/w=="}"#),
        (b"", r#","payloadlen":0,"payload":null}"#),
    ] {
        assert_eq!(render(&j, &message(payload, None)), format!("{start}{rest}"));
    }
    let one = PublishProperties { subscription_identifiers: vec![42], ..none() };
    let line = render(&j, &Message { qos: 1, mid: 3, retain: false, ..message(b"x", Some(&one)) });
    assert!(
        line.ends_with(
            r#""qos":1,"retain":false,"payloadlen":1,"mid":3,"properties":{"subscription-identifier":42},"payload":"x"}"#
        ),
        "{line}"
    );
}

#[test]
fn json_payloads_stay_as_they_came_on_one_line() {
    let template = Template::parse("%J").expect("fine");
    for (payload, json) in [
        (
            " { \"b\" : 1.0,\r\n\t\"a\": [1e2, 12345678901234567890, \"\\u00e9 \\\" \\\\\"] } ",
            r#"{"b":1.0,"a":[1e2,12345678901234567890,"\u00e9 \" \\"]}"#,
        ),
        ("\"a  b\\\\\" ", r#""a  b\\""#),
        ("true", "true"),
        ("1e999", "1e999"),
        ("{\"k\":1,\"k\":2}", r#"{"k":1,"k":2}"#),
    ] {
        let mut out = Vec::new();
        assert_eq!(
            template.write(&mut out, &message(payload.as_bytes(), None)),
            Written::Record,
            "{payload}"
        );
        let line = String::from_utf8(out).expect("UTF-8");
        assert!(line.ends_with(&format!(r#","payload":{json}}}"#)), "{line}");
    }
    assert!(render(&template, &message(b"", None)).ends_with(r#""payload":null}"#));
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    assert!(render(&template, &message(deep.as_bytes(), None)).ends_with(&format!("{deep}}}")));
}

#[test]
fn what_is_no_json_is_reported_and_kept() {
    let template = Template::parse("%J").expect("fine");
    for payload in
        [&b"hello"[..], b"{", b"\"\xff\"", b"1 2", b"01", b"NaN", b" ", b"\"\n\"", b"\"\\ud800\"\0"]
    {
        let mut out = Vec::new();
        assert_eq!(template.write(&mut out, &message(payload, None)), Written::Unfit(Unfit::Json));
        let value: Value = serde_json::from_slice(&out).expect("JSON");
        assert!(value.get("payload").is_none());
        assert_eq!(parse_json(&out).expect("fine").payload, payload);
    }
}

#[test]
fn lines_read_back_as_they_were() {
    // xorshift
    let mut state = 0x0123_4567_89ab_cdef_u64;
    let mut next = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let (mut texts, mut binary) = (0, 0);
    for round in 0..20_000 {
        let payload = bytes(&mut next);
        let topic = text(&mut next);
        let mut options = |value: u64| (next(2) == 0).then_some(value);
        let mut properties = PublishProperties {
            payload_format_indicator: options(1).map(|n| n as u8),
            message_expiry_interval: options(round * 99_991).map(|n| n as u32),
            topic_alias: options(3).map(|n| n as u16),
            ..none()
        };
        properties.subscription_identifiers = (0..next(3)).map(|id| id + 1).collect();
        properties.response_topic = (next(2) == 0).then(|| text(&mut next));
        properties.content_type = (next(2) == 0).then(|| text(&mut next));
        properties.correlation_data = (next(2) == 0).then(|| Bytes::from(bytes(&mut next)));
        properties.user_properties = (0..next(4)).map(|_| (text(&mut next), text(&mut next))).collect();
        let qos = QoS::from_u8(next(3) as u8).expect("below 3");
        let retain = next(2) == 0;
        let message = Message {
            topic: &topic,
            payload: &payload,
            qos: qos as u8,
            retain,
            dup: next(2) == 0,
            mid: if qos == QoS::AtMostOnce { 0 } else { 77 },
            properties: Some(&properties),
            time: round,
        };
        let expected = JsonMessage {
            topic: Some(topic.clone()),
            payload: Bytes::copy_from_slice(&payload),
            qos: Some(qos),
            retain: Some(retain),
            properties: Some(PublishProperties {
                topic_alias: None,
                subscription_identifiers: Vec::new(),
                ..properties.clone()
            }),
        };
        match std::str::from_utf8(&payload) {
            Ok(_) => texts += 1,
            Err(_) => binary += 1,
        }
        for mut template in [Template::json(), Template::parse("%j").expect("fine")] {
            template.set_escape(next(2) == 0);
            let line = render(&template, &message);
            assert!(!line.contains(|c: char| c < ' '), "one line without control characters: {line}");
            let mut read = parse_json(line.as_bytes()).unwrap_or_else(|e| panic!("{e}: {line}"));
            // An empty list of properties is not written.
            read.properties.get_or_insert_with(none);
            assert_eq!(read, expected, "{line}");
        }
    }
    assert!(texts > 1000 && binary > 1000, "{texts} texts, {binary} others");
}

/// Any bytes, often UTF-8, often with NUL.
fn bytes(next: &mut impl FnMut(usize) -> usize) -> Vec<u8> {
    if next(2) == 0 {
        return text(next).into_bytes();
    }
    (0..next(20)).map(|_| [0, 0x1b, 0x7f, 0xc3, 0xff, next(256) as u8][next(6)]).collect()
}

fn text(next: &mut impl FnMut(usize) -> usize) -> String {
    const SOME: [char; 14] = [
        '\0',
        '"',
        '\\',
        '/',
        '\n',
        '\x1b',
        'a',
        'é',
        '\u{9b}',
        '\u{2028}',
        '\u{feff}',
        '\u{ffff}',
        '🦀',
        '\u{10ffff}',
    ];
    (0..next(12)).map(|_| SOME[next(SOME.len())]).collect()
}

#[test]
fn little_is_needed() {
    let read = parse_json(br#" {"payload":"x"} "#).expect("fine");
    assert_eq!(
        read,
        JsonMessage {
            topic: None,
            payload: Bytes::from_static(b"x"),
            qos: None,
            retain: None,
            properties: None
        }
    );
    let read = parse_json(br#"{"time":1,"more":[{}],"payload":null,"retain":1}"#).expect("fine");
    assert_eq!((read.payload, read.retain), (Bytes::new(), Some(true)));
    let read = parse_json(br#"{"payload_base64":"/w","properties":{}}"#).expect("no padding is fine");
    assert_eq!((&read.payload[..], read.properties), (&b"\xff"[..], Some(none())));
    // As mosquitto_sub 2.0 has them.
    let read = parse_json(br#"{"payload":"","properties":{"user-properties":{"b":"1","a":"2","b":"3"}}}"#);
    let pairs = read.expect("fine").properties.expect("there are").user_properties;
    assert_eq!(pairs, [("b", "1"), ("a", "2"), ("b", "3")].map(|(a, b)| (a.to_owned(), b.to_owned())));
}

#[test]
fn wrong_lines_are_refused_with_the_reason() {
    for (line, error) in [
        ("", "no JSON: EOF while parsing a value at byte 0"),
        ("{", "no JSON: EOF while parsing an object at byte 1"),
        (r#"{"payload":""} x"#, "no JSON: trailing characters at byte 16"),
        ("[]", "invalid type: sequence, expected an object at byte 0"),
        (r#"{"topic":"a"}"#, "missing field `payload` at byte 13"),
        (r#"{"payload":"","payload_base64":""}"#, "both payload and payload_base64 at byte 34"),
        (r#"{"payload":"a","payload":"b"}"#, "duplicate field `payload` at byte 29"),
        (r#"{"payload":{}}"#, "invalid type: map, expected a string at byte 11"),
        (r#"{"payload_base64":null}"#, "invalid type: null, expected a string at byte 22"),
        (r#"{"payload_base64":"/w=!"}"#, "no base64 from its byte 3 at byte 25"),
        (r#"{"payload":"","topic":1}"#, "invalid type: integer `1`, expected a string at byte 23"),
        (r#"{"payload":"","qos":3}"#, "qos is none of 0, 1, 2 at byte 22"),
        (r#"{"payload":"","qos":"1"}"#, "invalid type: string \"1\", expected u64 at byte 23"),
        (r#"{"payload":"","retain":2}"#, "retain is neither true nor false at byte 24"),
        (r#"{"payload":"","retain":null}"#, "invalid type: null, expected true or false at byte 27"),
        (
            r#"{"payload":"","properties":[]}"#,
            "invalid type: sequence, expected an object of properties at byte 27",
        ),
        (
            r#"{"payload":"","properties":{"content_type":""}}"#,
            "unknown property \"content_type\" at byte 42",
        ),
        (
            r#"{"payload":"","properties":{"message-expiry-interval":4294967296}}"#,
            "invalid value: integer `4294967296`, expected u32 at byte 64",
        ),
        (
            r#"{"payload":"","properties":{"correlation-data":"","correlation-data-base64":""}}"#,
            "duplicate field `correlation-data` at byte 79",
        ),
        (
            r#"{"payload":"","properties":{"user-properties":[{"a":1}]}}"#,
            "invalid type: integer `1`, expected a string at byte 53",
        ),
        (
            r#"{"payload":"","properties":{"user-properties":"a"}}"#,
            "invalid type: string \"a\", expected user properties: objects of strings at byte 49",
        ),
    ] {
        assert_eq!(parse_json(line.as_bytes()).expect_err(line), error, "{line}");
    }
    assert!(parse_json(b"{\"payload\":\"\xff\"}").is_err());
    assert!(parse_json(br#"{"payload":"\ud800"}"#).is_err());
    // Fit for one line of a terminal, whatever is in it.
    let strange =
        parse_json(b"{\"payload\":\"\",\"properties\":{\"\\u001b\\n\xc2\x9b\":1}}").expect_err("unknown");
    assert_eq!(strange, r#"unknown property "\x1b\n\u{9b}" at byte 40"#);
    let deep = "[".repeat(100_000);
    assert!(parse_json(deep.as_bytes()).is_err());
}
