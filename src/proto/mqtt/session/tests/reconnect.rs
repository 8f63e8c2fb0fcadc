//! What is sent again, and what is counted, after a connection was lost.

use super::{peer::*, *};

#[test]
fn qos1_goes_out_again_with_dup() {
    for version in BOTH {
        let mut owner = Owner::connected(version);
        owner.publish("t", "a", 1).unwrap();
        owner.publish("t", "b", 1).unwrap();
        owner.sent();
        owner.given(&ack(version, PUBACK, 1, 0));
        assert_eq!(owner.reconnect(true), ["connected present again"]);
        assert_eq!(owner.sent(), ["PUBLISH t b q1 2 dup"]);
        assert_eq!(owner.given(&ack(version, PUBACK, 2, 0)), ["acknowledged 1 0x00"]);
        assert_eq!(owner.session.possibly_doubled(), 0);
    }
}

#[test]
fn dup_is_for_what_was_handed_out() {
    let mut owner = Owner::connected(V5);
    owner.publish("t", "a", 1).unwrap();
    owner.taken();
    owner.publish("t", "b", 1).unwrap();
    assert_eq!(owner.reconnect(true), ["connected present again"]);
    // Not handed out on this connection either: nothing changes.
    owner.reconnect(true);
    assert_eq!(owner.sent(), ["PUBLISH t a q1 1 dup", "PUBLISH t b q1 2"]);
    owner.reconnect(true);
    assert_eq!(owner.sent(), ["PUBLISH t a q1 1 dup", "PUBLISH t b q1 2 dup"]);
}

#[test]
fn each_state_of_qos2_with_the_session_present() {
    for version in BOTH {
        let mut owner = Owner::connected(version);
        for payload in ["a", "b", "c", "d"] {
            owner.publish("t", payload, 2).unwrap();
        }
        owner.sent();
        owner.given(&ack(version, PUBREC, 3, 0));
        owner.sent();
        owner.given(&ack(version, PUBREC, 1, 0)); // this PUBREL is never handed out
        owner.given(&ack(version, PUBREC, 4, 0));
        owner.given(&ack(version, PUBCOMP, 4, 0));
        assert_eq!(owner.reconnect(true), ["connected present again"]);
        assert_eq!(owner.sent(), ["PUBREL 3", "PUBREL 1", "PUBLISH t b q2 2 dup"]);
        assert_eq!(owner.session.in_flight(), 3);
        assert_eq!(owner.given(&ack(version, PUBCOMP, 1, 0)), ["acknowledged 0 0x00"]);
        assert_eq!(owner.given(&ack(version, PUBCOMP, 3, 0x92)), ["acknowledged 2 0x00"]);
        owner.given(&ack(version, PUBREC, 2, 0));
        owner.sent();
        assert_eq!(owner.given(&ack(version, PUBCOMP, 2, 0)), ["acknowledged 1 0x00"]);
    }
}

#[test]
fn each_state_of_qos2_with_the_session_lost() {
    for version in BOTH {
        let mut owner = Owner::connected(version);
        for payload in ["a", "b", "c"] {
            owner.publish("t", payload, 2).unwrap();
        }
        owner.sent();
        owner.given(&ack(version, PUBREC, 2, 0));
        owner.publish("t", "d", 2).unwrap(); // never handed out
        let events = owner.reconnect(false);
        assert_eq!(events, ["connected again doubled 2", "acknowledged 1 0x00"]);
        assert_eq!(owner.sent(), ["PUBLISH t a q2 1", "PUBLISH t c q2 3", "PUBLISH t d q2 4"]);
        assert_eq!(owner.session.possibly_doubled(), 2);
        assert_eq!(owner.session.unknown(), 1, "PUBCOMP of the second never comes");
        // A PUBREC of the old session means nothing; one of the new does.
        owner.given(&ack(version, PUBREC, 2, 0));
        owner.given(&ack(version, PUBREC, 1, 0));
        let unknown = if version == V5 { "PUBREL 2 0x92" } else { "PUBREL 2" };
        assert_eq!(owner.sent(), [unknown, "PUBREL 1"]);
    }
}

#[test]
fn a_clean_session_of_3_1_1_is_lost_with_the_connection() {
    let mut plain = options(V311);
    plain.connect.clean = true;
    let mut owner = Owner::connected_with(plain, "");
    owner.subscribe(&["f"]).unwrap();
    owner.publish("t", "a", 1).unwrap();
    owner.sent();
    owner.given(&suback(V311, 1, &[0]));
    assert_eq!(owner.reconnect(false), ["connected again doubled 1"]);
    assert_eq!(owner.sent(), ["SUBSCRIBE 3 f", "PUBLISH t a q1 2"]);
}

#[test]
fn the_new_receive_maximum_holds_for_repetitions() {
    let mut owner = Owner::connected(V5);
    for n in 0..5 {
        owner.publish("t", &n.to_string(), if n == 0 { 2 } else { 1 }).unwrap();
    }
    owner.sent();
    owner.given(&ack(V5, PUBREC, 1, 0));
    owner.lost();
    assert_eq!(owner.connect(true, "21 0002"), ["connected present again"]);
    assert_eq!(owner.sent(), ["PUBREL 1", "PUBLISH t 1 q1 2 dup"]);
    assert!(!owner.session.can_publish(QoS::AtLeastOnce));
    assert_eq!(owner.publish("t", "new", 1), Err(Refusal::NotNow));
    assert_eq!(owner.given(&ack(V5, PUBCOMP, 1, 0)), ["acknowledged 0 0x00"]);
    assert_eq!(owner.sent(), ["PUBLISH t 2 q1 3 dup"]);
    // One that waits may be acknowledged: the server has it from the last connection.
    assert_eq!(owner.given(&ack(V5, PUBACK, 4, 0)), ["acknowledged 3 0x00"]);
    assert!(owner.sent().is_empty());
    owner.given(&ack(V5, PUBACK, 2, 0));
    assert_eq!(owner.sent(), ["PUBLISH t 4 q1 5 dup"]);
    // The connection breaks with nothing waiting, then with one waiting.
    owner.lost();
    owner.connect(true, "21 0001");
    assert_eq!(owner.sent(), ["PUBLISH t 2 q1 3 dup"]);
    owner.lost();
    owner.connect(true, "21 0001");
    assert_eq!(owner.sent(), ["PUBLISH t 2 q1 3 dup"]);
    owner.given(&ack(V5, PUBACK, 3, 0));
    assert_eq!(owner.sent(), ["PUBLISH t 4 q1 5 dup"]);
    owner.given(&ack(V5, PUBACK, 5, 0));
    assert_eq!(owner.publish("t", "new", 1), Ok(5));
}

#[test]
fn repetitions_above_the_new_limits_are_as_if_refused() {
    let mut owner = Owner::connected(V5);
    owner.publish("t", &"x".repeat(50), 1).unwrap();
    owner.publish("t", "b", 2).unwrap();
    owner.publish("t", "c", 1).unwrap();
    owner.sent();
    owner.lost();
    let events = owner.connect(true, "24 01 27 00000020");
    assert_eq!(events, ["connected present again", "acknowledged 0 0x95", "acknowledged 1 0x9b"]);
    assert_eq!(owner.sent(), ["PUBLISH t c q1 3 dup"]);
    assert_eq!(owner.session.in_flight(), 1);
}

#[test]
fn refusals_come_as_the_window_opens() {
    let mut owner = Owner::connected(V5);
    owner.publish("t", "a", 1).unwrap();
    owner.publish("t", &"x".repeat(50), 1).unwrap();
    owner.sent();
    owner.lost();
    assert_eq!(owner.connect(true, "21 0001 27 00000020"), ["connected present again"]);
    assert_eq!(owner.sent(), ["PUBLISH t a q1 1 dup"]);
    let events = owner.given(&ack(V5, PUBACK, 1, 0));
    assert_eq!(events, ["acknowledged 0 0x00", "acknowledged 1 0x95"]);
}

#[test]
fn repetitions_do_not_pile_up_in_the_out_buffer() {
    let mut owner = Owner::connected(V5);
    let large = "x".repeat(100_000);
    for _ in 0..20 {
        owner.publish("t", &large, 1).unwrap();
        owner.sent();
    }
    owner.reconnect(true);
    let mut total = 0;
    while let Some(part) = owner.session.poll_transmit(owner.now) {
        assert!(part.len() < 400_000, "{}", part.len());
        total += part.len();
    }
    assert!(total > 2_000_000);
}

#[test]
fn subscriptions_are_renewed_only_where_the_session_is_lost() {
    for version in BOTH {
        let mut owner = Owner::connected(version);
        owner.subscribe(&["a", "b"]).unwrap();
        owner.subscribe(&["c", "d"]).unwrap();
        owner.subscribe(&["b"]).unwrap();
        owner.unsubscribe("c").unwrap();
        owner.sent();
        owner.given(&suback(version, 1, &[0, 0]));
        owner.given(&suback(version, 2, &[0, 0]));
        owner.given(&suback(version, 3, &[0x80]));
        owner.given(&unsuback(version, 4, &[0]));
        owner.reconnect(true);
        assert!(owner.sent().is_empty(), "retained messages would come again");
        assert_eq!(owner.reconnect(false), ["connected again"]);
        assert_eq!(owner.sent(), ["SUBSCRIBE 5 a", "SUBSCRIBE 6 d"]);
        assert_eq!(owner.given(&suback(version, 6, &[0])), [r#"subscribed ["d"] [0]"#]);
    }
}

#[test]
fn a_refusal_forgets_the_subscription_unless_it_is_asked_for_again() {
    let mut owner = Owner::connected(V5);
    owner.subscribe(&["a"]).unwrap();
    owner.subscribe(&["b"]).unwrap();
    owner.subscribe(&["a"]).unwrap();
    owner.sent();
    owner.given(&[suback(V5, 1, &[0x87]), suback(V5, 2, &[0x87]), suback(V5, 3, &[1])].concat());
    owner.reconnect(false);
    assert_eq!(owner.sent(), ["SUBSCRIBE 4 a"]);
}

#[test]
fn requests_without_an_answer_are_asked_again() {
    for version in BOTH {
        let mut owner = Owner::connected(version);
        owner.subscribe(&["a"]).unwrap();
        owner.unsubscribe("a").unwrap();
        owner.subscribe(&["a", "b"]).unwrap();
        owner.sent();
        owner.reconnect(true);
        assert_eq!(owner.sent(), ["SUBSCRIBE 1 a", "UNSUBSCRIBE 2 a", "SUBSCRIBE 3 a,b"]);
        owner.reconnect(false);
        assert_eq!(
            owner.sent(),
            ["UNSUBSCRIBE 2 a", "SUBSCRIBE 4 a,b"],
            "in this order the outcome is the same"
        );
        assert_eq!(owner.given(&unsuback(version, 2, &[0x11])).len(), 1);
        assert_eq!(owner.given(&suback(version, 4, &[0, 0])).len(), 1);
        owner.reconnect(true);
        assert!(owner.sent().is_empty());
    }
}

#[test]
fn requests_above_the_new_limits_are_as_if_refused() {
    let mut owner = Owner::connected(V5);
    let long = "f".repeat(40);
    owner.subscribe(&[&long]).unwrap();
    owner.sent();
    owner.lost();
    let events = owner.connect(false, "27 00000020");
    assert_eq!(events, ["connected again".to_owned(), format!("subscribed [{long:?}] [149]")]);
}

#[test]
fn qos0_without_pingresp_is_unknown() {
    let mut owner = Owner::connected(V5);
    owner.publish("t", "a", 0).unwrap();
    owner.session.ping(owner.now);
    owner.publish("t", "b", 0).unwrap();
    owner.sent();
    owner.given(PINGRESP);
    owner.publish("t", "c", 0).unwrap();
    owner.reconnect(true);
    assert_eq!((owner.session.unconfirmed(), owner.session.unknown()), (0, 2));
    assert!(owner.sent().is_empty());
    owner.publish("t", "d", 0).unwrap();
    owner.session.ping(owner.now);
    owner.sent();
    assert_eq!(owner.given(PINGRESP), ["confirmed 1 left 0"]);
    owner.lost();
    owner.lost();
    assert_eq!(owner.session.unknown(), 2);
}

#[test]
fn half_a_packet_dies_with_its_connection() {
    let mut owner = Owner::connected(V5);
    assert!(owner.given(&publish(V5, "t", "abc", 0, 0)[..5]).is_empty());
    owner.reconnect(true);
    assert_eq!(owner.given(&publish(V5, "t", "abc", 0, 0)), ["message t abc q0"]);
    owner.lost();
    assert!(owner.given(&publish(V5, "t", "abc", 0, 0)).is_empty(), "no connection");
}

#[test]
fn lost_before_connack_keeps_all() {
    let mut owner = Owner::connected(V5);
    owner.publish("t", "a", 2).unwrap();
    owner.sent();
    owner.lost();
    for _ in 0..3 {
        owner.session.handle_connected(owner.now, owner.now + LIMIT);
        assert_eq!(owner.sent(), ["CONNECT me"]);
    }
    assert_eq!(owner.reconnect(true), ["connected present again in doubt doubled 1"], "or perhaps not all");
    assert_eq!(owner.sent(), ["PUBLISH t a q2 1 dup"]);
}

#[test]
fn ids_of_both_sessions_do_not_meet() {
    let mut owner = Owner::connected_with(Options { first_pkid: 65_535, ..options(V5) }, "");
    owner.publish("t", "a", 1).unwrap();
    owner.sent();
    owner.reconnect(false);
    for _ in 0..10 {
        owner.publish("t", "b", 1).unwrap();
    }
    let sent = owner.sent();
    let mut ids: Vec<_> = sent.iter().map(|packet| packet.rsplit(' ').next().unwrap()).collect();
    assert_eq!(ids.len(), 11);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 11);
}

/// A CONNECT that leaves and gets no CONNACK: the server may have begun a new session with it.
fn unheard(owner: &mut Owner) {
    owner.lost();
    owner.session.handle_connected(owner.now, owner.now + LIMIT);
    owner.sent();
}

#[test]
fn subscriptions_are_renewed_where_the_session_may_have_begun_with_a_connack_that_never_came() {
    for (version, handling) in [(V311, 0), (V5, 1)] {
        let mut owner = Owner::connected(version);
        owner.subscribe(&["a"]).unwrap();
        owner.subscribe(&["b"]).unwrap();
        owner.sent();
        owner.given(&suback(version, 1, &[0]));
        unheard(&mut owner);
        assert_eq!(owner.reconnect(true), ["connected present again in doubt"]);
        assert_eq!(owner.sent(), ["SUBSCRIBE 2 b", "SUBSCRIBE 3 a"], "what has no answer, and what had one");
        owner.session.handle_bytes(&suback(version, 3, &[0]), owner.now);
        // What is retained is sent again by 3.1.1 only.
        let Some(Event::Subscribed { filters, .. }) = owner.session.poll_event(owner.now) else { panic!() };
        assert_eq!(filters[0].retain_handling, handling);
        owner.given(&suback(version, 2, &[0]));
        owner.reconnect(true);
        assert!(owner.sent().is_empty(), "this CONNACK was heard");
    }
}

#[test]
fn a_connect_that_never_left_or_was_refused_casts_no_doubt() {
    let mut owner = Owner::connected(V5);
    owner.subscribe(&["a"]).unwrap();
    owner.sent();
    owner.given(&suback(V5, 1, &[0]));
    owner.lost();
    owner.session.handle_connected(owner.now, owner.now + LIMIT);
    owner.reconnect(true);
    assert!(owner.sent().is_empty());
    unheard(&mut owner);
    owner.given(&connack(V5, false, 0x88, ""));
    owner.reconnect(true);
    assert!(owner.sent().is_empty());
}

#[test]
fn a_message_of_a_session_in_doubt_is_not_taken_for_a_repetition() {
    let mut owner = Owner::connected(V5);
    owner.given(&[publish(V5, "t", "old", 2, 1), publish(V5, "t", "kept", 2, 2)].concat());
    owner.acknowledge();
    owner.acknowledge();
    owner.sent();
    unheard(&mut owner);
    owner.reconnect(true);
    assert_eq!(
        owner.given(&publish(V5, "t", "new", 2, 1)),
        ["message t new q2"],
        "not DUP: sent for the first time"
    );
    owner.acknowledge();
    assert_eq!(owner.sent(), ["PUBREC 1"]);
    let mut repeated = publish(V5, "t", "kept", 2, 2);
    repeated[0] |= 8;
    assert!(owner.given(&repeated).is_empty(), "DUP: the session is the old one, as it seems");
    assert_eq!(owner.sent(), ["PUBREC 2"]);
}

#[test]
fn messages_at_qos_2_may_be_doubled_where_the_session_is_in_doubt() {
    let mut owner = Owner::connected(V5);
    for qos in [1, 2, 2] {
        owner.publish("t", "a", qos).unwrap();
    }
    owner.sent();
    owner.given(&ack(V5, PUBREC, 3, 0));
    unheard(&mut owner);
    assert_eq!(owner.reconnect(true), ["connected present again in doubt doubled 1"]);
    assert_eq!(owner.sent(), ["PUBREL 3", "PUBLISH t a q1 1 dup", "PUBLISH t a q2 2 dup"]);
    assert_eq!(owner.session.possibly_doubled(), 1);
    assert_eq!(owner.reconnect(true), ["connected present again"]);
}

#[test]
fn past_pubrec_a_message_of_a_session_in_doubt_is_unknown_once_it_is_through() {
    for version in BOTH {
        let mut owner = Owner::connected(version);
        for payload in ["a", "b"] {
            owner.publish("t", payload, 2).unwrap();
        }
        owner.sent();
        owner.given(&[ack(version, PUBREC, 1, 0), ack(version, PUBREC, 2, 0)].concat());
        owner.sent();
        for _ in 0..2 {
            unheard(&mut owner);
            owner.reconnect(true);
            assert_eq!(owner.sent(), ["PUBREL 1", "PUBREL 2"]);
            assert_eq!(owner.session.unknown(), 0, "in flight, and counted as such");
        }
        // No doubt is added, and none is lifted.
        owner.reconnect(true);
        assert_eq!(owner.given(&ack(version, PUBCOMP, 1, 0)), ["acknowledged 0 0x00"]);
        assert_eq!((owner.session.unknown(), owner.session.in_flight()), (1, 1));
        assert_eq!(owner.reconnect(false), ["connected again", "acknowledged 1 0x00"]);
        assert_eq!((owner.session.unknown(), owner.session.in_flight()), (2, 0), "each once");
    }
}

#[test]
fn a_message_that_may_be_doubled_several_times_is_counted_once() {
    let mut owner = Owner::connected(V5);
    owner.publish("t", "a", 2).unwrap();
    owner.sent();
    for _ in 0..2 {
        unheard(&mut owner);
        assert_eq!(owner.reconnect(true), ["connected present again in doubt doubled 1"]);
        owner.sent();
    }
    assert_eq!(owner.reconnect(false), ["connected again doubled 1"], "of each connection");
    owner.sent();
    owner.reconnect(false);
    assert_eq!(owner.session.possibly_doubled(), 1);
    // Once it is through, the identifier is another message's.
    owner.sent();
    owner.given(&[ack(V5, PUBREC, 1, 0), ack(V5, PUBCOMP, 1, 0)].concat());
    owner.publish("t", "b", 1).unwrap();
    owner.sent();
    owner.reconnect(false);
    assert_eq!(owner.session.possibly_doubled(), 2);
}
