//! Each flow of packets on one connection, our side sending.

use super::{super::Lent, peer::*, *};

#[test]
fn qos0_is_confirmed_by_pingresp() {
    for version in BOTH {
        let mut owner = Owner::connected(version);
        assert_eq!(owner.publish("t", "a", 0), Ok(0));
        assert_eq!(owner.publish("t", "b", 0), Ok(1));
        owner.session.ping(owner.now);
        assert_eq!(owner.publish("t", "c", 0), Ok(2));
        assert_eq!(owner.session.unconfirmed(), 3);
        assert_eq!(owner.sent(), ["PUBLISH t a q0", "PUBLISH t b q0", "PINGREQ", "PUBLISH t c q0"]);
        assert_eq!(owner.given(PINGRESP), ["confirmed 2 left 1"]);
        owner.session.ping(owner.now);
        assert_eq!(owner.sent(), ["PINGREQ"]);
        assert_eq!(owner.given(PINGRESP), ["confirmed 1 left 0"]);
        assert_eq!((owner.session.unconfirmed(), owner.session.unknown()), (0, 0));
    }
}

#[test]
fn what_is_lent_goes_out_as_what_is_given() {
    for version in BOTH {
        let mut owner = Owner::new(options(version));
        let given = message("t", "a", 0);
        let (topic, payload, now) = (&given.topic, &given.payload[..], owner.now);
        let lent = Lent { topic, payload, retain: false, properties: None };
        assert_eq!(owner.session.publish_lent(lent, now), Err(Refusal::NotNow));
        let mut owner = Owner::connected(version);
        assert_eq!(owner.session.publish_lent(lent, now), Ok(0));
        assert_eq!(owner.publish("t", "a", 0), Ok(1));
        assert_eq!(owner.sent(), ["PUBLISH t a q0", "PUBLISH t a q0"]);
        assert_eq!((owner.session.unconfirmed(), owner.session.in_flight()), (2, 0));
        let wildcard = "t/#".into();
        let forbidden = Lent { topic: &wildcard, ..lent };
        assert!(matches!(owner.session.publish_lent(forbidden, now), Err(Refusal::Codec(_))));
        assert_eq!(owner.session.unconfirmed(), 2);
    }
}

#[test]
fn pingresp_that_nobody_asked_for_confirms_nothing() {
    let mut owner = Owner::connected(V5);
    owner.publish("t", "a", 0).unwrap();
    assert!(owner.given(PINGRESP).is_empty());
    owner.session.ping(owner.now);
    assert!(owner.given(PINGRESP).is_empty(), "PINGREQ has not even left");
    assert_eq!(owner.session.unconfirmed(), 1);
    owner.sent();
    assert_eq!(owner.given(PINGRESP), ["confirmed 1 left 0"]);
}

#[test]
fn a_ping_in_the_out_buffer_is_not_doubled() {
    let mut owner = Owner::connected(V5);
    (0..5).for_each(|_| owner.session.ping(owner.now));
    assert_eq!(owner.sent(), ["PINGREQ"]);
    owner.session.ping(owner.now);
    owner.publish("t", "a", 0).unwrap();
    owner.session.ping(owner.now);
    assert_eq!(owner.sent(), ["PINGREQ", "PUBLISH t a q0", "PINGREQ"]);
    assert_eq!(owner.given(PINGRESP), ["confirmed 0 left 1"]);
    assert_eq!(owner.given(PINGRESP), ["confirmed 0 left 1"]);
    assert_eq!(owner.given(PINGRESP), ["confirmed 1 left 0"]);
}

#[test]
fn qos1_is_through_with_puback() {
    for version in BOTH {
        let mut owner = Owner::connected(version);
        owner.publish("t", "a", 1).unwrap();
        owner.publish("t", "b", 1).unwrap();
        assert_eq!(owner.sent(), ["PUBLISH t a q1 1", "PUBLISH t b q1 2"]);
        assert_eq!(owner.session.in_flight(), 2);
        assert_eq!(owner.given(&ack(version, PUBACK, 2, 0)), ["acknowledged 1 0x00"]);
        assert_eq!(owner.given(&ack(version, PUBACK, 1, 0)), ["acknowledged 0 0x00"]);
        assert!(owner.given(&ack(version, PUBACK, 1, 0)).is_empty(), "unknown ones are ignored");
        assert_eq!(owner.session.in_flight(), 0);
    }
}

#[test]
fn reasons_come_through() {
    let mut owner = Owner::connected(V5);
    owner.publish("t", "a", 1).unwrap();
    owner.publish("t", "b", 1).unwrap();
    owner.publish("t", "c", 2).unwrap();
    owner.publish("t", "d", 2).unwrap();
    owner.sent();
    assert_eq!(owner.given(&ack(V5, PUBACK, 1, 0x10)), ["acknowledged 0 0x10"]);
    assert_eq!(owner.given(&ack(V5, PUBACK, 2, 0x87)), ["acknowledged 1 0x87"]);
    assert_eq!(owner.given(&ack(V5, PUBREC, 3, 0x87)), ["acknowledged 2 0x87"]);
    assert!(owner.sent().is_empty(), "a refused QoS 2 PUBLISH has no PUBREL");
    assert!(owner.given(&ack(V5, PUBREC, 4, 0x10)).is_empty());
    assert_eq!(owner.sent(), ["PUBREL 4"]);
    assert_eq!(owner.given(&ack(V5, PUBCOMP, 4, 0)), ["acknowledged 3 0x10"]);
    assert_eq!(owner.session.in_flight(), 0);
}

#[test]
fn qos2_is_through_with_pubcomp() {
    for version in BOTH {
        let mut owner = Owner::connected(version);
        owner.publish("t", "a", 2).unwrap();
        assert_eq!(owner.sent(), ["PUBLISH t a q2 1"]);
        assert!(owner.given(&ack(version, PUBCOMP, 1, 0)).is_empty(), "PUBCOMP before PUBREC means nothing");
        assert!(owner.given(&ack(version, PUBREC, 1, 0)).is_empty());
        assert_eq!(owner.sent(), ["PUBREL 1"]);
        assert_eq!(owner.session.in_flight(), 1);
        assert!(owner.given(&ack(version, PUBREC, 1, 0)).is_empty());
        assert_eq!(owner.sent(), ["PUBREL 1"], "again, as PUBREC came again");
        assert_eq!(owner.given(&ack(version, PUBCOMP, 1, 0)), ["acknowledged 0 0x00"]);
        assert!(owner.given(&ack(version, PUBCOMP, 1, 0)).is_empty());
        assert_eq!(owner.session.in_flight(), 0);
    }
}

#[test]
fn unknown_packet_identifiers() {
    let mut owner = Owner::connected(V5);
    assert!(owner.given(&ack(V5, PUBREC, 9, 0)).is_empty());
    assert!(owner.given(&ack(V5, PUBREL, 8, 0)).is_empty());
    assert_eq!(owner.sent(), ["PUBREL 9 0x92", "PUBCOMP 8 0x92"]);
    let mut owner = Owner::connected(V311);
    assert!(owner.given(&ack(V311, PUBREC, 9, 0)).is_empty());
    assert!(owner.given(&ack(V311, PUBREL, 8, 0)).is_empty());
    assert_eq!(owner.sent(), ["PUBREL 9", "PUBCOMP 8"]);
}

#[test]
fn an_acknowledgement_of_the_wrong_kind_is_a_violation() {
    let mut owner = Owner::connected(V5);
    owner.publish("t", "a", 2).unwrap();
    owner.sent();
    let events = owner.given(&ack(V5, PUBACK, 1, 0));
    assert_eq!(events, ["violated 0x82: PUBACK for a PUBLISH at QoS 2"]);
    assert_eq!(owner.sent(), ["DISCONNECT 0x82"]);
}

#[test]
fn a_window_of_one() {
    for version in BOTH {
        let mut owner = Owner::connected_with(Options { max_inflight: 1, ..options(version) }, "");
        owner.publish("t", "a", 2).unwrap();
        assert!(!owner.session.can_publish(QoS::AtLeastOnce));
        assert!(owner.session.can_publish(QoS::AtMostOnce));
        assert_eq!(owner.publish("t", "b", 1), Err(Refusal::NotNow));
        owner.sent();
        owner.given(&ack(version, PUBREC, 1, 0));
        assert_eq!(owner.publish("t", "b", 1), Err(Refusal::NotNow), "only PUBCOMP opens the window");
        owner.given(&ack(version, PUBCOMP, 1, 0));
        assert_eq!(owner.publish("t", "b", 1), Ok(1));
        assert_eq!(owner.sent(), ["PUBREL 1", "PUBLISH t b q1 2"]);
    }
}

#[test]
fn receive_maximum_lowers_the_window() {
    let mut owner = Owner::connected_with(options(V5), "21 0002");
    owner.publish("t", "a", 1).unwrap();
    owner.publish("t", "b", 1).unwrap();
    assert_eq!(owner.publish("t", "c", 1), Err(Refusal::NotNow));
    let mut owner = Owner::connected_with(options(V5), "21 0100");
    (0..20).for_each(|n| assert_eq!(owner.publish("t", "a", 1), Ok(n)));
    assert_eq!(owner.publish("t", "a", 1), Err(Refusal::NotNow), "our own bound holds as well");
}

#[test]
fn ids_wrap_around_and_skip_those_in_use() {
    let mut owner = Owner::connected_with(Options { first_pkid: 65_534, ..options(V5) }, "");
    owner.publish("t", "a", 2).unwrap();
    owner.subscribe(&["f"]).unwrap();
    owner.publish("t", "b", 2).unwrap();
    assert_eq!(owner.sent(), ["PUBLISH t a q2 65534", "SUBSCRIBE 65535 f", "PUBLISH t b q2 1"]);
    for n in 0..65_600u32 {
        owner.publish("t", "", 1).unwrap();
        let sent = owner.sent();
        let id: u16 = sent[0].rsplit(' ').next().unwrap().parse().unwrap();
        assert!(id != 0 && id != 1 && id < 65_534, "{n}: {id}");
        assert_eq!(owner.given(&ack(V5, PUBACK, id, 0)).len(), 1);
    }
}

#[test]
fn what_the_server_cannot_take_is_refused() {
    let mut owner = Owner::connected_with(options(V5), "24 00 25 00 27 00000020");
    assert_eq!(owner.publish("t", "a", 1), Err(Refusal::QoS(QoS::AtMostOnce)));
    let retained = Message { retain: true, ..message("t", "a", 0) };
    assert_eq!(owner.session.publish(retained, owner.now), Err(Refusal::Retain));
    assert_eq!(owner.publish("t", &"x".repeat(27), 0), Err(Refusal::TooLarge(33, 32)));
    assert_eq!(owner.subscribe(&[&"f".repeat(30)]), Err(Refusal::TooLarge(38, 32)));
    assert!(matches!(owner.publish("a/+", "", 0), Err(Refusal::Codec(_))));
    assert!(owner.sent().is_empty());
    assert_eq!(owner.publish("t", &"x".repeat(26), 0), Ok(0), "refused ones have no number");
    assert_eq!(owner.session.unconfirmed(), 1);
}

#[test]
fn a_refused_publish_keeps_no_slot_in_the_window() {
    let mut owner = Owner::connected_with(Options { max_inflight: 1, ..options(V5) }, "27 00000020");
    assert_eq!(owner.publish("t", &"x".repeat(99), 1), Err(Refusal::TooLarge(107, 32)));
    assert_eq!(owner.publish("t", "a", 1), Ok(0));
}

#[test]
fn topic_aliases_only_as_asked() {
    let aliased = |topic: &str, alias| Message {
        properties: Some(Rc::new(PublishProperties { topic_alias: Some(alias), ..properties() })),
        ..message(topic, "a", 1)
    };
    let mut owner = Owner::connected_with(options(V5), "22 0002");
    for topic in ["t", "t", "u", "u", "t"] {
        owner.session.publish(aliased(topic, 2), owner.now).unwrap();
    }
    assert_eq!(owner.session.publish(aliased("t", 3), owner.now), Err(Refusal::TopicAlias(2)));
    let sent = owner.sent();
    let topics: Vec<_> = sent.iter().map(|packet| packet.split(' ').nth(1).unwrap()).collect();
    assert_eq!(topics, ["t", "", "u", "", "t"]);
    // The next server takes none: full topics, no alias.
    let events = owner.reconnect(true);
    assert_eq!(events, ["connected present again"]);
    let sent = owner.sent();
    let topics: Vec<_> = sent.iter().map(|packet| packet.split(' ').nth(1).unwrap()).collect();
    assert_eq!(topics, ["t", "t", "u", "u", "t"]);
    // The table is a connection's own.
    owner.lost();
    owner.connect(true, "22 0002");
    let sent = owner.sent();
    let topics: Vec<_> = sent.iter().map(|packet| packet.split(' ').nth(1).unwrap()).collect();
    assert_eq!(topics, ["t", "", "u", "", "t"]);
}

pub fn properties() -> PublishProperties {
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

#[test]
fn subscribe_and_unsubscribe() {
    for version in BOTH {
        let mut owner = Owner::connected(version);
        owner.subscribe(&["a", "b/#"]).unwrap();
        owner.unsubscribe("a").unwrap();
        assert_eq!(owner.sent(), ["SUBSCRIBE 1 a,b/#", "UNSUBSCRIBE 2 a"]);
        assert_eq!(owner.given(&suback(version, 1, &[1, 0x80])), [r#"subscribed ["a", "b/#"] [1, 128]"#]);
        assert_eq!(owner.given(&unsuback(version, 2, &[0])), [r#"unsubscribed ["a"] [0]"#]);
        assert_eq!(owner.deadline(), None);
    }
}

#[test]
fn an_answer_to_nothing_we_asked_is_a_violation() {
    for version in BOTH {
        for answer in [suback(version, 2, &[0]), unsuback(version, 1, &[0]), suback(version, 7, &[0])] {
            let mut owner = Owner::connected(version);
            owner.subscribe(&["a"]).unwrap();
            owner.unsubscribe("a").unwrap();
            let events = owner.given(&answer);
            assert!(events.len() == 1 && events[0].starts_with("violated"), "{events:?}");
        }
    }
}

#[test]
fn a_suback_of_the_wrong_length_is_a_violation() {
    let mut owner = Owner::connected(V311);
    owner.subscribe(&["a", "b"]).unwrap();
    owner.sent();
    let events = owner.given(&suback(V311, 1, &[0]));
    assert!(events[0].starts_with("violated 0x82: SUBACK"), "{events:?}");
    assert!(owner.sent().is_empty(), "3.1.1 has no words for it");
}

#[test]
fn subscriptions_that_the_server_does_not_offer() {
    let mut owner = Owner::connected_with(options(V5), "28 00 29 00 2a 00");
    assert_eq!(owner.subscribe(&["a/+"]), Err(Refusal::Unavailable("wildcard subscriptions")));
    assert_eq!(owner.subscribe(&["$share/g/a"]), Err(Refusal::Unavailable("shared subscriptions")));
    let identified = owner.session.subscribe(&[filter("a")], Some(7), &[], owner.now);
    assert_eq!(identified, Err(Refusal::Unavailable("subscription identifiers")));
    assert_eq!(owner.subscribe(&["a"]), Ok(()));
    assert_eq!(owner.sent(), ["SUBSCRIBE 1 a"]);
}

#[test]
fn the_out_buffer_has_a_mark() {
    let mut owner = Owner::connected(V5);
    let large = "x".repeat(100_000);
    for _ in 0..3 {
        owner.publish("t", &large, 0).unwrap();
    }
    assert!(!owner.session.can_publish(QoS::AtMostOnce));
    assert_eq!(owner.publish("t", &large, 0), Err(Refusal::NotNow));
    owner.sent();
    assert!(owner.session.can_publish(QoS::AtMostOnce));
}

#[test]
fn nothing_is_answered_before_it_has_left() {
    for version in BOTH {
        let mut owner = Owner::connected(version);
        owner.publish("t", "a", 1).unwrap();
        owner.publish("t", "b", 2).unwrap();
        assert!(owner.given(&ack(version, PUBACK, 1, 0)).is_empty(), "an answer to what is still here");
        assert!(owner.given(&ack(version, PUBREC, 2, 0)).is_empty());
        assert_eq!(owner.session.in_flight(), 2);
        let sent = owner.sent();
        assert_eq!(sent[..2], ["PUBLISH t a q1 1", "PUBLISH t b q2 2"], "{sent:?}");
        assert_eq!(owner.given(&ack(version, PUBACK, 1, 0)), ["acknowledged 0 0x00"]);
        owner.given(&ack(version, PUBREC, 2, 0));
        // PUBREC twice while PUBREL is still here.
        owner.given(&ack(version, PUBREC, 2, 0));
        assert_eq!(owner.sent(), ["PUBREL 2", "PUBREL 2"]);
        assert_eq!(owner.given(&ack(version, PUBCOMP, 2, 0)), ["acknowledged 1 0x00"]);
    }
}
