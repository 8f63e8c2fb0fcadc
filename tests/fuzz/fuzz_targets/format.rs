//! Templates of `-F` with any message, in any zone; `--json` and its way back.
#![no_main]

use bytes::Bytes;
use wspipe::proto::{
    format::{Message, Template, Written, Zone, parse_json},
    mqtt::packet::{PublishProperties, QoS, no_properties},
};
use wspipe_fuzz::{Input, no_controls};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let bits = input.byte();
    let text = input.text();
    let topic = input.text();
    let properties = (bits & 1 != 0).then(|| properties(&mut input));
    let zone = zone(bits, &mut input);
    let (time, mid) = (input.u64() >> (bits >> 5), input.u16());
    let message = Message {
        topic: &topic,
        qos: bits >> 1 & 3,
        retain: bits & 8 != 0,
        dup: bits & 16 != 0,
        mid,
        properties: properties.as_ref(),
        time,
        payload: input.rest(),
    };
    let message = Message { qos: message.qos.min(2), ..message };
    match Template::parse(&text) {
        Ok(template) => written(template, zone, &message),
        Err(why) => no_controls(&why),
    }
    [Template::payload(), Template::verbose()]
        .into_iter()
        .for_each(|plain| written(plain, Zone::utc(), &message));
    back(&message);
    if let Err(why) = parse_json(message.payload) {
        no_controls(&why);
    }
});

fn written(mut template: Template, zone: Zone, message: &Message<'_>) {
    template.set_zone(zone);
    let mut out = b"before".to_vec();
    let became = template.write(&mut out, message);
    assert!(out.starts_with(b"before"));
    assert!(became != Written::Nothing || out == b"before");
    let mut again = b"before".to_vec();
    assert_eq!((template.write(&mut again, message), &again), (became, &out));
    // Of the message nothing steers a terminal; what the template says itself may.
    template.set_escape(true);
    let clean = Message { payload: b"", topic: "", properties: None, ..*message };
    let (mut own, mut escaped) = (Vec::new(), Vec::new());
    let _ = template.write(&mut own, &clean);
    let _ = template.write(&mut escaped, message);
    let steering = |bytes: &[u8]| {
        bytes
            .utf8_chunks()
            .any(|chunk| !chunk.invalid().is_empty() || chunk.valid().contains(char::is_control))
    };
    assert!(steering(&own) || !steering(&escaped), "{:?}", String::from_utf8_lossy(&escaped));
}

/// `--json` is one line that tells all but what belongs to the connection.
fn back(message: &Message<'_>) {
    for escape in [false, true] {
        let mut line = Vec::new();
        let mut template = Template::json();
        template.set_escape(escape);
        assert_eq!(template.write(&mut line, message), Written::Record);
        assert!(!line.contains(&b'\n'));
        let read =
            parse_json(&line).unwrap_or_else(|why| panic!("{why}: {:?}", String::from_utf8_lossy(&line)));
        assert_eq!((read.topic.as_deref(), &read.payload[..]), (Some(message.topic), message.payload));
        assert_eq!((read.qos, read.retain), (QoS::from_u8(message.qos), Some(message.retain)));
        let expected = message.properties.map(|p| PublishProperties {
            topic_alias: None,
            subscription_identifiers: Vec::new(),
            ..p.clone()
        });
        // An empty list of them is none.
        let (read, expected) =
            (read.properties.unwrap_or(no_properties()), expected.unwrap_or(no_properties()));
        assert_eq!(read, expected);
    }
}

fn properties(input: &mut Input<'_>) -> PublishProperties {
    let bits = input.byte();
    let mut p = no_properties();
    p.payload_format_indicator = (bits & 1 != 0).then_some(bits >> 7);
    p.message_expiry_interval = (bits & 2 != 0).then(|| input.u32());
    p.content_type = (bits & 4 != 0).then(|| input.text());
    p.response_topic = (bits & 8 != 0).then(|| input.text());
    p.correlation_data = (bits & 16 != 0).then(|| Bytes::copy_from_slice(input.bytes()));
    p.topic_alias = (bits & 32 != 0).then(|| input.u16());
    for _ in 0..bits >> 6 {
        p.user_properties.push((input.text(), input.text()));
        p.subscription_identifiers.push(1 + usize::from(input.u16()));
    }
    p
}

/// UTC, a few real ones, one that TZ says, or one from a file that says anything.
fn zone(bits: u8, input: &mut Input<'_>) -> Zone {
    match bits >> 6 {
        0 => Zone::utc(),
        1 => Zone::local(Some("CET-1CEST,M3.5.0,M10.5.0/3"), |_| Err("no file".into())),
        2 => Zone::local(Some(&input.text()), |_| Err("no file".into())),
        _ => {
            FILE.set(input.bytes().to_vec());
            Zone::local(None, |_| Ok(FILE.take()))
        }
    }
}

thread_local!(static FILE: std::cell::Cell<Vec<u8>> = const { std::cell::Cell::new(Vec::new()) });
