//! From the first byte of a connection to its last.

use super::{peer::*, *};

#[test]
fn connect_and_connack() {
    for version in BOTH {
        let mut owner = Owner::new(options(version));
        assert_eq!(owner.publish("t", "a", 0), Err(Refusal::NotNow));
        assert_eq!(owner.subscribe(&["a"]), Err(Refusal::NotNow));
        owner.session.handle_connected(owner.now, owner.now + LIMIT);
        assert_eq!(owner.sent(), ["CONNECT me"]);
        assert!(!owner.session.is_connected() && !owner.session.can_publish(QoS::AtMostOnce));
        assert_eq!(owner.publish("t", "a", 0), Err(Refusal::NotNow));
        assert_eq!(owner.given(&connack(version, false, 0, "")), ["connected"]);
        assert!(owner.session.is_connected() && owner.session.can_publish(QoS::ExactlyOnce));
        let events = owner.given(&connack(version, false, 0, ""));
        assert_eq!(events, ["violated 0x82: a second CONNACK"]);
        assert!(!owner.session.is_connected());
    }
}

#[test]
fn another_protocol_is_recognisable() {
    let mut owner = Owner::new(options(V5));
    owner.session.handle_connected(owner.now, owner.now + LIMIT);
    owner.sent();
    let events = owner.given(b"INFO {\"server_id\":\"x\"}\r\n");
    assert_eq!(events, [r#"violated 0x82: expected CONNACK, received "INFO {\"server_id\":\"x\"}\r\n""#]);
    assert_eq!(owner.sent(), ["DISCONNECT 0x82"]);
    assert!(owner.given(&connack(V5, false, 0, "")).is_empty(), "nothing more is read");
    owner.lost();
    owner.session.handle_connected(owner.now, owner.now + LIMIT);
    owner.sent();
    let events = owner.given(&[b" HTTP/1.1 400 ".as_slice(), &[b'x'; 70]].concat());
    assert!(events[0].ends_with(r#"received " HTTP/1.1 400 xxxxxxxxxxxxxxxxxx…""#), "{events:?}");
}

#[test]
fn an_echo_server_does_not_show_the_password() {
    for version in BOTH {
        let mut owner = Owner::new(options(version));
        owner.session.handle_connected(owner.now, owner.now + LIMIT);
        owner.sent();
        // The CONNECT of `-i a -u u -P secret`, as an echo server sends it back.
        let level = if version == V5 { "05c2003c00" } else { "04c2003c" };
        let connect = [b"\x10\x1b\0\x04MQTT", &hex(level)[..], b"\0\x01a\0\x01u\0\x06secret"].concat();
        let events = owner.given(&connect);
        assert_eq!(
            events,
            ["violated 0x82: expected CONNACK, received our own CONNECT: an echo server, no broker"]
        );

        owner.lost();
        owner.session.handle_connected(owner.now, owner.now + LIMIT);
        owner.sent();
        let events = owner.given(&[b"you said: ", &connect[..]].concat());
        assert!(!events[0].contains("secret"), "{events:?}");
    }
}

#[test]
fn a_packet_before_connack_is_a_violation() {
    for version in BOTH {
        let mut owner = Owner::new(options(version));
        owner.session.handle_connected(owner.now, owner.now + LIMIT);
        owner.sent();
        let events = owner.given(&publish(version, "t", "a", 0, 0));
        assert!(events[0].starts_with("violated 0x82: expected CONNACK, received \"0"), "{events:?}");
        assert_eq!(owner.sent().len(), usize::from(version == V5));
    }
}

#[test]
fn refusals() {
    let refused = |version, bytes: &[u8]| {
        let mut owner = Owner::new(options(version));
        owner.session.handle_connected(owner.now, owner.now + LIMIT);
        owner.sent();
        let events = owner.given(bytes);
        assert!(owner.given(PINGRESP).is_empty() && owner.sent().is_empty());
        assert_eq!(owner.deadline(), None);
        assert_eq!(events.len(), 1);
        events[0].clone()
    };
    assert_eq!(refused(V5, &connack(V5, false, 0x86, "1f 0002 6e6f")), "refused 0x86 no");
    assert_eq!(refused(V311, &connack(V311, false, 5, "")), "refused 0x05 ");
    assert_eq!(refused(V5, &connack(V311, false, 1, "")), "refused 0x01 ", "a server that speaks 3.1.1 only");
}

#[test]
fn fall_back_takes_effect_at_the_next_connection() {
    let mut owner = Owner::new(options(V5));
    owner.session.handle_connected(owner.now, owner.now + LIMIT);
    owner.sent();
    owner.given(&connack(V311, false, 1, ""));
    owner.session.fall_back();
    assert_eq!(owner.session.version(), V5);
    owner.lost();
    assert_eq!(owner.connect(false, ""), ["connected"]);
    assert_eq!(owner.session.version(), V311);
    owner.session.disconnect(0x81, owner.now);
    assert_eq!(owner.sent(), ["DISCONNECT"], "3.1.1 has no reason");
    owner.reconnect(true);
    owner.session.disconnect(4, owner.now);
    assert!(owner.sent().is_empty(), "only closing without DISCONNECT lets the will be published");
}

#[test]
fn session_present_after_a_clean_start_is_a_violation() {
    for version in BOTH {
        let mut plain = options(version);
        plain.connect.clean = true;
        let mut owner = Owner::new(plain);
        let events = owner.connect(true, "");
        assert_eq!(events, ["violated 0x82: CONNACK with Session Present after Clean Start"]);
        assert_eq!(owner.sent().len(), usize::from(version == V5));
        assert!(!owner.session.is_connected());
    }
}

#[test]
fn clean_start_over_reconnects() {
    let connects = |version, clean, resume| {
        let mut plain = Options { resume, ..options(version) };
        plain.connect.clean = clean;
        let mut owner = Owner::new(plain);
        let mut sent = Vec::new();
        // The first attempt ends before CONNACK, the second succeeds.
        for answer in [false, true, true] {
            owner.session.handle_connected(owner.now, owner.now + LIMIT);
            sent.extend(owner.sent());
            if answer {
                owner.given(&connack(version, false, 0, ""));
            }
            owner.lost();
        }
        sent.iter().map(|packet| packet.contains("clean")).collect::<Vec<_>>()
    };
    assert_eq!(connects(V5, true, true), [true, true, false]);
    assert_eq!(connects(V5, true, false), [true, true, true]);
    assert_eq!(connects(V5, false, true), [false, false, false]);
    assert_eq!(connects(V311, true, true), [true, true, true]);
    assert_eq!(connects(V311, false, true), [false, false, false]);
}

#[test]
fn an_assigned_client_identifier_is_kept() {
    let mut plain = options(V5);
    plain.connect.client_id.clear();
    let mut owner = Owner::connected_with(plain, "12 0003 617331");
    assert_eq!(owner.session.client_id(), "as1");
    assert_eq!(owner.session.connack().and_then(|p| p.assigned_client_identifier.as_deref()), Some("as1"));
    owner.lost();
    owner.session.handle_connected(owner.now, owner.now + LIMIT);
    assert_eq!(owner.sent(), ["CONNECT as1"]);
}

#[test]
fn disconnect_is_the_last_packet() {
    let mut owner = Owner::connected(V5);
    owner.publish("t", "a", 1).unwrap();
    owner.publish("t", "b", 2).unwrap();
    owner.publish("t", "c", 0).unwrap();
    owner.session.ping(owner.now);
    owner.sent();
    owner.given(&publish(V5, "u", "in", 1, 5));
    owner.session.disconnect(0, owner.now);
    owner.session.disconnect(0, owner.now);
    owner.acknowledge();
    owner.session.ping(owner.now);
    assert_eq!(owner.publish("t", "d", 0), Err(Refusal::NotNow));
    assert_eq!(owner.subscribe(&["a"]), Err(Refusal::NotNow));
    assert_eq!(owner.sent(), ["DISCONNECT"]);
    // What still comes counts, but nothing is sent, shown or wrong any more.
    assert_eq!(owner.given(&ack(V5, PUBACK, 1, 0)), ["acknowledged 0 0x00"]);
    assert!(owner.given(&ack(V5, PUBREC, 2, 0)).is_empty());
    assert_eq!(owner.session.in_flight(), 1);
    assert_eq!(owner.given(PINGRESP), ["confirmed 1 left 0"]);
    assert!(owner.given(&publish(V5, "u", "in", 1, 6)).is_empty());
    assert!(owner.given(&ack(V5, PUBREL, 9, 0)).is_empty());
    assert_eq!(owner.deadline(), None);
    assert!(owner.given(&[0xff; 50]).is_empty());
    assert!(owner.sent().is_empty());
}

#[test]
fn disconnect_has_reason_and_final_expiry() {
    let disconnect = |connect_expiry, final_expiry, reason| {
        let mut plain = Options { final_expiry, ..options(V5) };
        plain.connect.properties.session_expiry_interval = connect_expiry;
        let mut owner = Owner::connected_with(plain, "");
        owner.session.disconnect(reason, owner.now);
        owner.sent().pop().unwrap()
    };
    assert_eq!(disconnect(Some(300), None, 0), "DISCONNECT");
    assert_eq!(disconnect(Some(300), Some(0), 0), "DISCONNECT 0x00 expiry 0");
    assert_eq!(disconnect(Some(300), Some(7), 4), "DISCONNECT 0x04 expiry 7");
    assert_eq!(disconnect(None, Some(7), 4), "DISCONNECT 0x04", "it may not be raised from 0");
}

#[test]
fn disconnect_before_connack() {
    let mut owner = Owner::new(options(V5));
    owner.session.disconnect(0, owner.now);
    assert!(owner.sent().is_empty(), "no connection");
    owner.session.handle_connected(owner.now, owner.now + LIMIT);
    owner.session.disconnect(0, owner.now);
    assert_eq!(owner.sent(), ["CONNECT me", "DISCONNECT"]);
    assert_eq!(owner.deadline(), None);
}

#[test]
fn disconnect_from_the_server() {
    let mut owner = Owner::connected(V5);
    owner.publish("t", "a", 1).unwrap();
    assert_eq!(owner.given(&packet(0xe0, &[0x8e, 0])), ["disconnected 0x8e"]);
    assert!(owner.sent().is_empty(), "nothing may be sent any more");
    owner.session.disconnect(0, owner.now);
    assert!(owner.sent().is_empty());
    assert!(owner.given(PINGRESP).is_empty());
    assert_eq!(owner.reconnect(true), ["connected present again"]);
    assert_eq!(owner.sent(), ["PUBLISH t a q1 1"], "never handed out, so no DUP");
}

#[test]
fn violations_are_told_to_the_server() {
    let violated = |version, bytes: &[u8]| {
        let mut owner = Owner::connected(version);
        let events = owner.given(bytes);
        assert_eq!(events.len(), 1, "{events:?}");
        (events[0].clone(), owner.sent().join(" "))
    };
    let (event, sent) = violated(V5, &[0x41, 2, 0, 1]);
    assert!(event.starts_with("violated 0x81: malformed packet"), "{event}");
    assert_eq!(sent, "DISCONNECT 0x81");
    let (event, sent) = violated(V5, &[0xc0, 0]);
    assert!(event.starts_with("violated 0x82: unexpected packet: PINGREQ"), "{event}");
    assert_eq!(sent, "DISCONNECT 0x82");
    let (event, sent) = violated(V311, &[0xc0, 0]);
    assert!(event.starts_with("violated 0x82"), "{event}");
    assert_eq!(sent, "", "in 3.1.1 closing is all there is");
    let large = publish(V5, "a/b", &"x".repeat(2000), 0, 0);
    let (event, sent) = violated(V5, &large);
    assert_eq!(
        event,
        "violated 0x95: packet too large: 2009 bytes on topic \"a/b\", where the limit is 1000"
    );
    assert_eq!(sent, "DISCONNECT 0x95");
}

#[test]
fn a_packet_too_large_is_named_however_its_bytes_come() {
    let large = publish(V5, "a/b", &"x".repeat(2000), 0, 0);
    let mut owner = Owner::connected(V5);
    for &byte in &large[..7] {
        assert!(owner.given(&[byte]).is_empty());
    }
    assert!(owner.given(&large[7..8])[0].contains("\"a/b\""));
    // Without a topic to come there is nothing to wait for.
    let mut owner = Owner::connected(V5);
    let aliased = publish_with(V5, "", &"x".repeat(2000), 0, 0, "23 0001");
    assert!(owner.given(&aliased[..6])[0].starts_with("violated 0x95"));
}

#[test]
fn auth_only_where_asked() {
    let challenge = packet(0xf0, &hex("18 04 15 0001 6d"));
    let mut owner = Owner::connected(V5);
    assert_eq!(owner.session.auth(0x19, "m", None, owner.now), Err(Refusal::NotNow));
    assert_eq!(owner.given(&challenge), ["violated 0x82: AUTH without an authentication method"]);

    let mut plain = options(V5);
    plain.connect.properties.authentication_method = Some("m".to_owned());
    let mut owner = Owner::new(plain);
    owner.session.handle_connected(owner.now, owner.now + LIMIT);
    assert_eq!(owner.sent().len(), 1);
    assert_eq!(owner.given(&challenge), ["auth 0x18"]);
    owner.session.auth(0x18, "m", Some(b"x"), owner.now).unwrap();
    assert_eq!(owner.sent(), ["AUTH 0x18"]);
    assert_eq!(owner.given(&connack(V5, false, 0, "")), ["connected"]);
    owner.session.auth(0x19, "m", None, owner.now).unwrap();
    assert_eq!(owner.sent(), ["AUTH 0x19"]);
}

#[test]
fn options_are_checked_beforehand() {
    assert_eq!(options(V5).check(V5), Ok(()));
    let mut long = options(V5);
    long.connect.client_id = "x".repeat(70_000);
    assert!(long.check(V5).is_err());
    let mut owner = Owner::new(long);
    owner.session.handle_connected(owner.now, owner.now + LIMIT);
    assert!(owner.events()[0].starts_with("violated"), "a last resort");
}
