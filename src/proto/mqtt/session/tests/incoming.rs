//! The server sends PUBLISH.

use super::{peer::*, *};

#[test]
fn qos0_has_no_token() {
    for version in BOTH {
        let mut owner = Owner::connected(version);
        let two = [publish(version, "t", "a", 0, 0), publish(version, "ü", "", 0, 0)].concat();
        assert_eq!(owner.given(&two), ["message t a q0", "message ü  q0"]);
        assert!(owner.sent().is_empty());
    }
}

#[test]
fn qos1_is_acknowledged_after_the_owner_says_so() {
    for version in BOTH {
        let mut owner = Owner::connected(version);
        assert_eq!(owner.given(&publish(version, "t", "a", 1, 7)), ["message t a q1"]);
        assert_eq!(owner.given(&publish(version, "t", "b", 1, 3)), ["message t b q1"]);
        assert!(owner.sent().is_empty());
        owner.acknowledge();
        owner.acknowledge();
        assert_eq!(owner.sent(), ["PUBACK 7", "PUBACK 3"]);
    }
}

#[test]
fn qos2_is_shown_once() {
    for version in BOTH {
        let mut owner = Owner::connected(version);
        let publish = publish(version, "t", "a", 2, 7);
        assert_eq!(owner.given(&publish), ["message t a q2"]);
        assert!(owner.given(&publish).is_empty());
        assert!(owner.sent().is_empty(), "not before it is safe");
        let token = owner.tokens[0];
        owner.acknowledge();
        assert_eq!(owner.sent(), ["PUBREC 7"]);
        assert!(!owner.session.is_complete(token));
        assert!(owner.given(&publish).is_empty());
        assert_eq!(owner.sent(), ["PUBREC 7"], "again, as PUBLISH came again");
        assert!(owner.given(&ack(version, PUBREL, 7, 0)).is_empty());
        assert_eq!(owner.sent(), ["PUBCOMP 7"]);
        assert_eq!(owner.given(&publish), ["message t a q2"], "the identifier is free again");
        assert!(owner.session.is_complete(token) && !owner.session.is_complete(owner.tokens[0]));
    }
}

#[test]
fn a_token_of_an_earlier_connection_sends_nothing() {
    for version in BOTH {
        let mut owner = Owner::connected(version);
        owner.given(&publish(version, "t", "a", 1, 1));
        owner.given(&publish(version, "t", "b", 2, 2));
        owner.reconnect(true);
        owner.acknowledge();
        owner.acknowledge();
        assert!(owner.sent().is_empty());
        // The server repeats what it has no word about.
        assert_eq!(owner.given(&publish(version, "t", "a", 1, 1)), ["message t a q1"]);
        assert!(owner.given(&publish(version, "t", "b", 2, 2)).is_empty());
        assert_eq!(owner.sent(), ["PUBREC 2"]);
    }
}

#[test]
fn a_repetition_that_overtakes_the_acknowledgement_is_answered() {
    let mut owner = Owner::connected(V5);
    owner.given(&publish(V5, "t", "b", 2, 2));
    owner.reconnect(true);
    assert!(owner.given(&publish(V5, "t", "b", 2, 2)).is_empty(), "it is on its way to the output");
    assert!(owner.sent().is_empty());
    owner.acknowledge();
    assert_eq!(owner.sent(), ["PUBREC 2"], "the server waits for it on this connection");
}

#[test]
fn a_token_of_a_lost_session_means_nothing() {
    let mut owner = Owner::connected(V5);
    owner.given(&publish(V5, "t", "old", 2, 2));
    assert_eq!(owner.reconnect(false), ["connected again"]);
    assert_eq!(owner.given(&publish(V5, "t", "new", 2, 2)), ["message t new q2"]);
    owner.acknowledge();
    assert!(owner.sent().is_empty(), "that was the old one");
    owner.acknowledge();
    assert_eq!(owner.sent(), ["PUBREC 2"]);
}

#[test]
fn the_received_set_survives_with_the_session_only() {
    for (present, shown) in [(true, 0), (false, 1)] {
        let mut owner = Owner::connected(V5);
        owner.given(&publish(V5, "t", "a", 2, 2));
        owner.acknowledge();
        assert_eq!(owner.sent(), ["PUBREC 2"]);
        owner.reconnect(present);
        assert_eq!(owner.given(&publish(V5, "t", "a", 2, 2)).len(), shown);
    }
}

#[test]
fn pubrel_after_a_reconnect_is_answered() {
    let mut owner = Owner::connected(V5);
    owner.given(&publish(V5, "t", "a", 2, 2));
    owner.acknowledge();
    owner.reconnect(true);
    owner.given(&ack(V5, PUBREL, 2, 0));
    assert_eq!(owner.sent(), ["PUBCOMP 2"]);
    owner.reconnect(false);
    owner.given(&ack(V5, PUBREL, 2, 0));
    assert_eq!(owner.sent(), ["PUBCOMP 2 0x92"]);
}

#[test]
fn acknowledging_twice_does_no_harm() {
    let mut owner = Owner::connected(V5);
    owner.given(&publish(V5, "t", "a", 2, 2));
    let token = owner.tokens[0];
    owner.session.acknowledge(token, owner.now);
    owner.session.acknowledge(token, owner.now);
    assert_eq!(owner.sent(), ["PUBREC 2"]);
    owner.given(&ack(V5, PUBREL, 2, 0));
    owner.session.acknowledge(token, owner.now);
    assert_eq!(owner.sent(), ["PUBCOMP 2"]);
}

#[test]
fn topic_aliases_are_resolved() {
    let mut plain = options(V5);
    plain.connect.properties.topic_alias_maximum = Some(2);
    let mut owner = Owner::connected_with(plain, "");
    let aliased = |topic, alias: &str| publish_with(V5, topic, "x", 0, 0, &format!("23 {alias}"));
    assert_eq!(owner.given(&aliased("t", "0001")), ["message t x q0"]);
    assert_eq!(owner.given(&aliased("u", "0002")), ["message u x q0"]);
    assert_eq!(owner.given(&aliased("", "0001")), ["message t x q0"]);
    assert_eq!(owner.given(&aliased("v", "0001")), ["message v x q0"]);
    assert_eq!(owner.given(&aliased("", "0001")), ["message v x q0"]);
    assert_eq!(owner.given(&aliased("", "0002")), ["message u x q0"]);
    owner.reconnect(true);
    let events = owner.given(&aliased("", "0001"));
    assert_eq!(events, ["violated 0x82: unknown topic alias 1"], "aliases die with the connection");
    owner.reconnect(true);
    let events = owner.given(&aliased("t", "0003"));
    assert_eq!(events, ["violated 0x94: topic alias 3, where our Topic Alias Maximum is 2"]);
    assert_eq!(owner.sent(), ["DISCONNECT 0x94"]);
    let mut owner = Owner::connected(V5);
    assert!(owner.given(&aliased("t", "0001"))[0].starts_with("violated 0x94"), "we announced none");
}

#[test]
fn an_alias_in_a_repetition_counts() {
    let mut plain = options(V5);
    plain.connect.properties.topic_alias_maximum = Some(2);
    let mut owner = Owner::connected_with(plain, "");
    owner.given(&publish(V5, "t", "x", 2, 1));
    owner.reconnect(true);
    assert!(owner.given(&publish_with(V5, "t", "x", 2, 1, "23 0001")).is_empty());
    assert_eq!(owner.given(&publish_with(V5, "", "y", 2, 2, "23 0001")), ["message t y q2"]);
}
