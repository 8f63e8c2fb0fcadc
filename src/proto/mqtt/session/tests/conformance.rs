//! Normative statements that no other test here is about; tests/conformance names them.

use super::{flows::properties, peer::*, *};

/// [MQTT-3.3.4-8], [MQTT-4.9.0-3]
#[test]
fn a_full_window_delays_no_other_packet() {
    for (version, properties) in [(V311, ""), (V5, "21 0001")] {
        let max_inflight = if version == V5 { 20 } else { 1 };
        let mut owner = Owner::connected_with(Options { max_inflight, ..options(version) }, properties);
        owner.publish("t", "a", 2).unwrap();
        assert_eq!(owner.publish("t", "b", 1), Err(Refusal::NotNow));
        assert_eq!(owner.sent(), ["PUBLISH t a q2 1"]);
        owner.subscribe(&["f"]).unwrap();
        owner.unsubscribe("g").unwrap();
        owner.session.ping(owner.now);
        owner.publish("t", "c", 0).unwrap();
        owner.given(&publish(version, "t", "x", 1, 7));
        owner.given(&publish(version, "t", "y", 2, 8));
        owner.acknowledge();
        owner.acknowledge();
        owner.given(&ack(version, PUBREL, 8, 0));
        owner.given(&ack(version, PUBREC, 1, 0));
        owner.session.disconnect(0, owner.now);
        let others = ["SUBSCRIBE 2 f", "UNSUBSCRIBE 3 g", "PINGREQ", "PUBLISH t c q0"];
        let answers = ["PUBACK 7", "PUBREC 8", "PUBCOMP 8", "PUBREL 1", "DISCONNECT"];
        assert_eq!(owner.sent(), [&others[..], &answers].concat());
    }
}

/// [MQTT-4.3.2-5]; in 3.1.1 the end of [MQTT-4.3.2-2]
#[test]
fn an_identifier_is_free_again_with_puback() {
    for version in BOTH {
        let mut owner = Owner::connected(version);
        let mut again = publish(version, "t", "a", 1, 7);
        for dup in [0, 8, 0] {
            again[0] = 0x32 | dup;
            assert_eq!(owner.given(&again), ["message t a q1"], "whatever its DUP flag");
            owner.acknowledge();
            assert_eq!(owner.sent(), ["PUBACK 7"]);
        }
    }
}

/// [MQTT-4.4.0-2]
#[test]
fn what_was_refused_is_not_sent_again() {
    let mut owner = Owner::connected(V5);
    owner.publish("t", "a", 1).unwrap();
    owner.publish("t", "b", 2).unwrap();
    owner.publish("t", "c", 2).unwrap();
    owner.sent();
    owner.given(&[ack(V5, PUBACK, 1, 0x80), ack(V5, PUBREC, 2, 0x97)].concat());
    assert!(owner.sent().is_empty(), "no PUBREL either");
    owner.reconnect(true);
    assert_eq!(owner.sent(), ["PUBLISH t c q2 3 dup"]);
}

/// [MQTT-4.3.3-7], [MQTT-4.3.3-13]
#[test]
fn expiry_ends_no_exchange() {
    let hour = Duration::from_secs(3600);
    let properties = PublishProperties { message_expiry_interval: Some(1), ..properties() };
    let mut owner = Owner::connected(V5);
    let expiring = Message { properties: Some(Rc::new(properties)), ..message("t", "a", 2) };
    owner.session.publish(expiring, owner.now).unwrap();
    owner.sent();
    owner.given(&publish_with(V5, "u", "b", 2, 9, "02 00000001"));
    owner.pass(hour);
    owner.acknowledge();
    assert_eq!(owner.sent(), ["PUBREC 9"]);
    owner.reconnect(true);
    assert_eq!(owner.sent(), ["PUBLISH t a q2 1 dup"]);
    owner.pass(hour);
    owner.given(&[ack(V5, PUBREC, 1, 0), ack(V5, PUBREL, 9, 0)].concat());
    assert_eq!(owner.sent(), ["PUBREL 1", "PUBCOMP 9"]);
}

/// [MQTT-3.3.2-10]
#[test]
fn every_topic_alias_up_to_our_maximum() {
    let mut plain = options(V5);
    plain.connect.properties.topic_alias_maximum = Some(u16::MAX);
    let mut owner = Owner::connected_with(plain, "");
    let aliased = |topic: &str, alias: u16| publish_with(V5, topic, "x", 0, 0, &format!("23 {alias:04x}"));
    for alias in 1..=u16::MAX {
        let topic = format!("t{alias}");
        assert_eq!(owner.given(&aliased(&topic, alias)), [format!("message {topic} x q0")]);
    }
    for alias in 1..=u16::MAX {
        assert_eq!(owner.given(&aliased("", alias)), [format!("message t{alias} x q0")]);
    }
}

/// [MQTT-3.2.2-18]; after a reconnect, too
#[test]
fn no_topic_alias_where_the_server_takes_none() {
    let aliased = || Message {
        properties: Some(Rc::new(PublishProperties { topic_alias: Some(1), ..properties() })),
        ..message("t", "a", 1)
    };
    let mut owner = Owner::connected(V5);
    assert_eq!(owner.session.publish(aliased(), owner.now), Err(Refusal::TopicAlias(0)));
    let mut owner = Owner::connected_with(options(V5), "22 0001");
    owner.session.publish(aliased(), owner.now).unwrap();
    let first = owner.session.poll_transmit(owner.now).map(|bytes| bytes.to_vec());
    assert_eq!(first, Some(hex("32 0a 0001 74 0001 03 230001 61")));
    for none in ["", "22 0000"] {
        owner.lost();
        owner.session.handle_connected(owner.now, owner.now + LIMIT);
        owner.sent();
        owner.given(&connack(V5, true, 0, none));
        let again = owner.session.poll_transmit(owner.now).map(|bytes| bytes.to_vec());
        assert_eq!(again, Some(hex("3a 07 0001 74 0001 00 61")));
    }
}

/// [MQTT-3.1.2-30]
#[test]
fn before_connack_only_auth_and_disconnect() {
    let mut plain = options(V5);
    plain.connect.properties.authentication_method = Some("m".to_owned());
    plain.connect.keep_alive = 1;
    let mut owner = Owner::new(plain);
    owner.session.handle_connected(owner.now, owner.now + LIMIT);
    assert_eq!(owner.sent(), ["CONNECT me"]);
    for qos in 0..=2 {
        assert_eq!(owner.publish("t", "a", qos), Err(Refusal::NotNow));
    }
    assert_eq!(owner.subscribe(&["a"]), Err(Refusal::NotNow));
    assert_eq!(owner.unsubscribe("a"), Err(Refusal::NotNow));
    owner.session.ping(owner.now);
    owner.pass(LIMIT / 2);
    owner.session.handle_timeout(owner.now);
    assert!(owner.sent().is_empty(), "no PINGREQ either, however short Keep Alive is");
    owner.session.auth(0x18, "m", None, owner.now).unwrap();
    owner.session.disconnect(0, owner.now);
    assert_eq!(owner.sent(), ["AUTH 0x18", "DISCONNECT"]);
}

/// [MQTT-3.14.2-4]
#[test]
fn properties_of_disconnect_give_way_to_the_maximum_packet_size() {
    let disconnect = |maximum: u8, reason| {
        let mut plain = Options { final_expiry: Some(0), ..options(V5) };
        plain.connect.properties.session_expiry_interval = Some(300);
        plain.disconnect_user_properties = vec![("k".to_owned(), "v".to_owned())];
        let mut owner = Owner::connected_with(plain, &format!("27 000000{maximum:02x}"));
        owner.session.disconnect(reason, owner.now);
        let sent = owner.session.poll_transmit(owner.now).map(|bytes| bytes.to_vec());
        sent.unwrap_or_default()
    };
    let whole = hex("e0 0e 00 0c 11 00000000 26 0001 6b 0001 76");
    assert_eq!(disconnect(16, 0), whole);
    assert_eq!(disconnect(15, 0), hex("e0 07 00 05 11 00000000"));
    assert_eq!(disconnect(9, 0), hex("e0 07 00 05 11 00000000"));
    assert_eq!(disconnect(8, 0), hex("e0 00"));
    assert_eq!(disconnect(8, 4), hex("e0 02 04 00"), "the reason stays");
    assert_eq!(disconnect(1, 0), b"");
}

/// [MQTT-6.0.0-1]
#[test]
fn a_text_frame_ends_the_connection() {
    for version in BOTH {
        let mut owner = Owner::connected(version);
        owner.session.handle_text(&publish(version, "t", "a", 0, 0));
        let events = owner.events();
        assert!(events.len() == 1 && events[0].starts_with("violated 0x82: a text frame"), "{events:?}");
        assert_eq!(owner.sent().len(), usize::from(version == V5), "DISCONNECT, where it can say why");
        assert!(owner.given(&publish(version, "t", "a", 0, 0)).is_empty(), "nothing more is read");
        owner.session.handle_text(b"again");
        owner.lost();
        owner.session.handle_text(b"and without a connection");
        assert!(owner.events().is_empty());
    }
}

/// [MQTT-3.1.2-23] as far as one process goes, and [MQTT-3.1.2-4], [MQTT-4.1.0-1] of 3.1.1 likewise.
#[test]
fn both_halves_of_the_session_outlive_the_connection() {
    for version in BOTH {
        let mut owner = Owner::connected(version);
        owner.publish("t", "a", 1).unwrap();
        owner.publish("t", "b", 2).unwrap();
        owner.publish("t", "c", 2).unwrap();
        owner.sent();
        owner.given(&ack(version, PUBREC, 3, 0));
        owner.given(&publish(version, "u", "in", 2, 7));
        owner.acknowledge();
        owner.sent();
        for _ in 0..3 {
            owner.lost();
            owner.pass(Duration::from_secs(60));
            owner.session.handle_connected(owner.now, owner.now + LIMIT);
            assert_eq!(owner.sent(), ["CONNECT me"], "the same session by the same name");
            assert_eq!(owner.given(&connack(version, true, 0, "")), ["connected present again"]);
            assert_eq!(owner.sent(), ["PUBREL 3", "PUBLISH t a q1 1 dup", "PUBLISH t b q2 2 dup"]);
            assert!(owner.given(&publish(version, "u", "in", 2, 7)).is_empty(), "it was shown");
            assert_eq!(owner.sent(), ["PUBREC 7"]);
        }
    }
}
