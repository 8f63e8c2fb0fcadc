//! Each property of `-D` where it belongs, with what it takes and what it does not.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
};

use crate::{
    cli::{Invocation, parse, tests::refused},
    config::{Config, Mode, Mqtt, Publish, Subscribe, Version},
};

fn debug(line: &[&str]) -> String {
    match parse(line.iter().map(OsString::from), &|_| None) {
        Ok(Invocation::Run(config)) => format!("{config:?}"),
        other => panic!("{line:?}: {other:?}"),
    }
}

fn publish(rest: &[&str]) -> Publish {
    let line = ["pub", "ws://h", "-nt", "t"].iter().chain(rest).map(OsString::from);
    match parse(line, &|_| None) {
        Ok(Invocation::Run(Config { mode: Mode::Publish(_, publish), .. })) => publish,
        other => panic!("{rest:?}: {other:?}"),
    }
}

fn subscribe(rest: &[&str]) -> Subscribe {
    let line = ["sub", "ws://h", "-t", "t"].iter().chain(rest).map(OsString::from);
    match parse(line, &|_| None) {
        Ok(Invocation::Run(Config { mode: Mode::Subscribe(_, subscribe), .. })) => subscribe,
        other => panic!("{rest:?}: {other:?}"),
    }
}

#[test]
fn each_property_is_taken_where_it_belongs() {
    for (packet, name, value, part) in [
        ("connect", "authentication-method", "SCRAM", r#"authentication_method: Some("SCRAM")"#),
        ("connect", "maximum-packet-size", "4294967295", "maximum_packet_size: Some(4294967295)"),
        ("connect", "receive-maximum", "1", "receive_maximum: Some(1)"),
        ("connect", "request-problem-information", "0", "request_problem_information: Some(false)"),
        ("connect", "request-response-information", "1", "request_response_information: Some(true)"),
        ("connect", "session-expiry-interval", "9", "session_expiry: Some(9)"),
        ("connect", "session-expiry-interval", "never", "session_expiry: Some(4294967295)"),
        ("connect", "topic-alias-maximum", "0", "topic_alias_maximum: Some(0)"),
        ("publish", "content-type", "text/plain", r#"content_type: Some("text/plain")"#),
        ("publish", "correlation-data", "-t", r#"correlation_data: Some(b"-t")"#),
        ("publish", "message-expiry-interval", "0", "message_expiry_interval: Some(0)"),
        ("publish", "payload-format-indicator", "1", "payload_format_indicator: Some(1)"),
        ("publish", "response-topic", "a/b", r#"response_topic: Some("a/b")"#),
        ("publish", "topic-alias", "65535", "topic_alias: Some(65535)"),
        ("disconnect", "session-expiry-interval", "0", "disconnect_session_expiry: Some(0)"),
        ("will", "content-type", "a", r#"content_type: Some("a")"#),
        ("will", "correlation-data", "", r#"correlation_data: Some(b"")"#),
        ("will", "message-expiry-interval", "7", "message_expiry_interval: Some(7)"),
        ("will", "payload-format-indicator", "0", "payload_format_indicator: Some(0)"),
        ("will", "response-topic", "r", r#"response_topic: Some("r")"#),
        ("will", "will-delay-interval", "7", "delay_interval: Some(7), properties: None"),
    ] {
        let debug = debug(&["pub", "ws://h", "-nt", "t", "--will-topic=w", "-D", packet, name, value]);
        assert!(debug.contains(part), "{packet} {name}: '{part}' is not in {debug}");
        assert!(debug.contains("version: Some(V5)"), "{name}: no falling back");
    }
    let id = subscribe(&["-D", "subscribe", "subscription-identifier", "1"]).subscription_id;
    assert_eq!(id, Some(1));
}

#[test]
fn each_packet_takes_user_properties() {
    let user = |packet| ["-D", packet, "user-property", "n", packet];
    let pair = |value: &str| vec![("n".to_owned(), value.to_owned())];
    let all = ["connect", "publish", "disconnect", "will"].map(user).concat();
    let publish = publish(&[&all[..], &["--will-topic", "w"]].concat());
    assert_eq!(publish.properties.user_properties, pair("publish"));
    assert_eq!(publish.mqtt.connect_properties.user_properties, pair("connect"));
    assert_eq!(publish.mqtt.disconnect_user_properties, pair("disconnect"));
    let will = publish.mqtt.will.and_then(|will| will.properties).expect("properties of the will");
    assert_eq!(will.user_properties, pair("will"));

    let subscribe = subscribe(&["subscribe", "unsubscribe"].map(user).concat());
    assert_eq!(subscribe.subscribe_user_properties, pair("subscribe"));
    assert_eq!(subscribe.unsubscribe_user_properties, pair("unsubscribe"));
    assert!(subscribe.mqtt.connect_properties.user_properties.is_empty());
}

#[test]
fn user_properties_add_up_and_of_the_others_the_last_holds() {
    let p = "-D publish user-property a 1 -D publish content-type x -D publish user-property a 2 -D publish content-type y";
    let properties = publish(&p.split(' ').collect::<Vec<_>>()).properties;
    let pair = |value: &str| ("a".to_owned(), value.to_owned());
    assert_eq!(properties.user_properties, [pair("1"), pair("2")]);
    assert_eq!(properties.content_type.as_deref(), Some("y"));
}

#[test]
fn values_out_of_range_are_refused() {
    for (property, value, part) in [
        (
            "connect receive-maximum",
            "0",
            "-D connect receive-maximum takes a whole number from 1 to 65535, not '0'",
        ),
        ("connect receive-maximum", "65536", "not '65536'"),
        ("connect maximum-packet-size", "0", "from 1 to 4294967295"),
        ("connect topic-alias-maximum", "x", "from 0 to 65535, not 'x'"),
        ("connect request-problem-information", "2", "from 0 to 1, not '2'"),
        ("connect request-response-information", "true", "from 0 to 1, not 'true'"),
        ("connect session-expiry-interval", "4294967296", "a whole number of seconds or never"),
        ("connect authentication-data", "x", "needs -D connect authentication-method"),
        ("publish payload-format-indicator", "2", "from 0 to 1"),
        ("publish message-expiry-interval", "-1", "from 0 to 4294967295, not '-1'"),
        ("publish topic-alias", "0", "from 1 to 65535, not '0'"),
        ("publish response-topic", "a/#", "takes a topic, not 'a/#': the topic contains a wildcard"),
        ("publish response-topic", "", "the topic is empty"),
        ("disconnect session-expiry-interval", "x", "not 'x'"),
        ("disconnect session-expiry-interval", "1", "needs -x with more than 0"),
        ("will will-delay-interval", "-1", "from 0 to 4294967295"),
        ("publish content-type", &"x".repeat(65_536), "takes at most 65535 bytes, not 65536"),
        ("publish correlation-data", &"x".repeat(65_536), "takes at most 65535 bytes, not 65536"),
        ("publish content-type", "a\0", "takes no NUL"),
    ] {
        let mut line = vec!["pub", "ws://h", "-nt", "t", "--will-topic", "w", "-D"];
        line.extend(property.split(' '));
        line.push(value);
        let error = refused(&line);
        assert!(error.contains(part), "{property}: '{part}' is not in: {error}");
    }
    let error =
        refused(&["sub", "ws://h", "-t", "t", "-D", "subscribe", "subscription-identifier", "268435456"]);
    assert!(error.contains("from 1 to 268435455"), "{error}");
    let line = ["pub", "ws://h", "-nt", "t", "-D", "publish", "user-property", "a"].map(OsString::from);
    let line = line.into_iter().chain([OsStr::from_bytes(b"\xff").to_owned()]);
    let error = parse(line, &|_| None).expect_err("not UTF-8");
    assert!(error.to_string().contains("-D publish user-property '\u{fffd}' is not UTF-8"), "{error}");
}

#[test]
fn what_was_meant_is_said() {
    for (args, part) in [
        (&["-D", "publish"][..], "-D/--property needs more values: -D publish PROPERTY VALUE"),
        (&["-D", "publish", "content-type"], "needs more values: -D publish content-type VALUE"),
        (&["-D", "publish", "user-property", "a"], "needs more values: -D publish user-property NAME VALUE"),
        (&["-D", "publsh", "content-type", "x"], "not 'publsh': did you mean publish?"),
        (&["-D", "content-type", "text/plain"], "not 'content-type' (as in -D publish content-type ...)"),
        (&["-D", "banana", "x", "y"], "not 'banana'"),
        (&["-D", "auth", "user-property", "a", "b"], "no AUTH packet is sent here"),
        (&["-D", "publish", "contenttype", "x"], "no property 'contenttype': did you mean content-type?"),
        (&["-D", "publish", "user-propery", "a", "b"], "did you mean user-property?"),
        (&["-D", "disconnect", "banana", "x"], "there are session-expiry-interval, user-property"),
        (
            &["-D", "connect", "content-type", "x"],
            "content-type is a property of publish and will, not of connect",
        ),
        (&["-D", "publish", "will-delay-interval", "x"], "a property of will, not of publish"),
        (&["-D", "publish", "subscription-identifier", "1"], "a property of subscribe, not of publish"),
        (&["-D", "connect", "server-keep-alive", "1"], "server-keep-alive is for a server to send"),
        (&["-D", "disconnect", "reason-string", "x"], "reason-string is for a server to send"),
        (&["-D", "will", "content-type", "x"], "-D will needs --will-topic"),
        (&["-D", "will", "will-delay-interval", "1"], "-D will needs --will-topic"),
    ] {
        let line = [&["pub", "ws://h", "-nt", "t"], args].concat();
        let error = refused(&line);
        assert!(error.contains(part), "{args:?}: '{part}' is not in: {error}");
    }
}

#[test]
fn the_same_by_two_options_is_refused() {
    let error =
        refused(&["pub", "ws://h", "-nt", "t", "-x", "1", "-D", "connect", "session-expiry-interval", "1"]);
    assert!(error.contains("-x and -D connect session-expiry-interval"), "{error}");
    let delay = ["--will-delay-interval=1", "-D", "will", "will-delay-interval", "1"];
    let error = refused(&[&["pub", "ws://h", "-nt", "t", "--will-topic=w"], &delay[..]].concat());
    assert!(error.contains("--will-delay-interval and -D will will-delay-interval"), "{error}");
}

#[test]
fn disconnect_cannot_make_a_session_last_that_connect_let_end() {
    let expiry = ["-D", "disconnect", "session-expiry-interval", "5"];
    let of = |mqtt: Mqtt| (mqtt.session_expiry, mqtt.disconnect_session_expiry);
    assert_eq!(of(publish(&[&expiry[..], &["-x", "9"]].concat()).mqtt), (Some(9), Some(5)));
    // What `sub` asks for without -x is more than 0.
    assert_eq!(of(subscribe(&expiry).mqtt), (None, Some(5)));
    assert_eq!(of(subscribe(&[&expiry[..], &["-c", "-i", "me"]].concat()).mqtt), (None, Some(5)));
    assert!(refused(&[&["sub", "ws://h", "-t", "t", "-x0"], &expiry[..]].concat()).contains("needs -x"));
}

#[test]
fn authentication_data_is_not_shown() {
    let args = "-D connect authentication-method M -D connect authentication-data secret";
    let publish = publish(&args.split(' ').collect::<Vec<_>>());
    let data = publish.mqtt.connect_properties.authentication_data.clone();
    assert_eq!(data.as_deref(), Some(&b"secret"[..]));
    let shown = format!("{publish:?}");
    assert!(shown.contains("hidden") && !shown.contains("secret"), "{shown}");
}

#[test]
fn properties_of_connect_stand_in_their_own_fields() {
    let args = "-D connect session-expiry-interval 3 -D connect receive-maximum 4";
    let mqtt = publish(&args.split(' ').collect::<Vec<_>>()).mqtt;
    assert_eq!(
        (mqtt.session_expiry, mqtt.receive_maximum, mqtt.version),
        (Some(3), Some(4), Some(Version::V5))
    );
    assert_eq!(mqtt.connect_properties, crate::config::ConnectProperties::default());
}
