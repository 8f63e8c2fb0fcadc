//! Keep Alive and the limits on answers, hours in a millisecond.

use super::{peer::*, *};

const SECOND: Duration = Duration::from_secs(1);

fn keep_alive(seconds: u16) -> Options {
    let mut plain = options(V5);
    plain.connect.keep_alive = seconds;
    plain
}

#[test]
fn connack_has_a_limit() {
    let mut owner = Owner::new(options(V5));
    assert_eq!(owner.deadline(), None);
    owner.session.handle_connected(owner.now, owner.now + LIMIT);
    assert_eq!(owner.deadline(), Some((30.0, Timer::ConnAck)));
    owner.pass(29 * SECOND);
    owner.session.handle_timeout(owner.now);
    assert!(owner.events().is_empty());
    owner.pass(SECOND);
    owner.session.handle_timeout(owner.now);
    owner.session.handle_timeout(owner.now);
    assert_eq!(owner.events(), ["timed out: ConnAck"], "once");
    assert_eq!(owner.deadline(), None);
    owner.session.handle_connected(owner.now, owner.now + LIMIT);
    owner.session.handle_timeout(owner.now + LIMIT);
    owner.lost();
    assert!(owner.events().is_empty(), "of no interest once the connection is gone");
}

#[test]
fn keep_alive_counts_from_the_last_packet_sent() {
    let mut owner = Owner::connected_with(keep_alive(60), "");
    assert_eq!(owner.deadline(), Some((60.0, Timer::KeepAlive)));
    owner.pass(50 * SECOND);
    owner.publish("t", "a", 0).unwrap();
    assert_eq!(owner.deadline(), None, "something is on its way");
    owner.session.handle_timeout(owner.now + 100 * SECOND);
    assert_eq!(owner.sent(), ["PUBLISH t a q0"]);
    assert_eq!(owner.deadline(), Some((60.0, Timer::KeepAlive)));
    owner.pass(30 * SECOND);
    owner.given(&publish(V5, "t", "in", 0, 0));
    assert_eq!(owner.deadline(), Some((30.0, Timer::KeepAlive)), "what comes in does not count");
    owner.pass(30 * SECOND);
    owner.session.handle_timeout(owner.now);
    assert_eq!(owner.sent(), ["PINGREQ"]);
    assert_eq!(owner.deadline(), Some((30.0, Timer::PingResp)));
    assert_eq!(owner.given(PINGRESP), ["confirmed 1 left 0"]);
    assert_eq!(owner.deadline(), Some((60.0, Timer::KeepAlive)));
}

#[test]
fn the_servers_keep_alive_rules() {
    let owner = Owner::connected_with(keep_alive(60), "13 000a");
    assert_eq!(owner.deadline(), Some((10.0, Timer::KeepAlive)));
    let owner = Owner::connected_with(keep_alive(60), "13 0000");
    assert_eq!(owner.deadline(), None, "off");
    let owner = Owner::connected_with(keep_alive(0), "");
    assert_eq!(owner.deadline(), None);
}

#[test]
fn hours_of_keep_alive() {
    let mut owner = Owner::connected_with(keep_alive(20), "");
    let (mut pings, start) = (0, owner.now);
    while owner.now - start < 8 * 3600 * SECOND {
        let (at, timer) = owner.session.poll_deadline().expect("there is always a next one");
        assert_eq!(timer, Timer::KeepAlive);
        owner.now = at;
        // Late and doubled calls send no more.
        owner.session.handle_timeout(owner.now);
        owner.session.handle_timeout(owner.now);
        assert_eq!(owner.sent(), ["PINGREQ"]);
        owner.session.handle_timeout(owner.now);
        assert!(owner.sent().is_empty());
        owner.given(PINGRESP);
        pings += 1;
    }
    assert_eq!(pings, 8 * 3600 / 20);
}

#[test]
fn a_very_late_call_sends_one_pingreq() {
    let mut owner = Owner::connected_with(keep_alive(20), "");
    owner.pass(10_000 * SECOND);
    owner.session.handle_timeout(owner.now);
    assert_eq!(owner.sent(), ["PINGREQ"]);
    assert!(owner.events().is_empty(), "its answer has its full time");
}

#[test]
fn pingresp_counts_from_the_kernel() {
    let mut owner = Owner::connected_with(keep_alive(60), "");
    owner.session.ping(owner.now);
    owner.pass(100 * SECOND);
    assert_eq!(owner.deadline(), None, "not handed out");
    assert_eq!(owner.taken(), ["PINGREQ"]);
    owner.pass(29 * SECOND);
    assert_eq!(owner.deadline(), Some((1.0, Timer::Sending)), "not in the kernel");
    owner.session.handle_sent(owner.now);
    assert_eq!(owner.deadline(), Some((30.0, Timer::PingResp)));
    owner.pass(31 * SECOND);
    owner.session.handle_timeout(owner.now);
    assert_eq!(owner.events(), ["timed out: PingResp"]);
}

#[test]
fn anything_that_comes_in_is_life() {
    let mut owner = Owner::connected(V5);
    owner.session.ping(owner.now);
    owner.sent();
    for _ in 0..100 {
        owner.pass(29 * SECOND);
        owner.given(&publish(V5, "t", "a", 0, 0)[..1]);
        owner.given(&publish(V5, "t", "a", 0, 0)[1..]);
        owner.session.handle_timeout(owner.now);
        assert_eq!(owner.deadline(), Some((30.0, Timer::PingResp)));
    }
    assert!(owner.events().is_empty());
}

#[test]
fn a_short_keep_alive_shortens_the_wait_for_pingresp() {
    for (keep, limit) in [(10, 10.0), (1, 5.0), (60, 30.0)] {
        let mut owner = Owner::connected_with(keep_alive(keep), "");
        owner.session.ping(owner.now);
        owner.sent();
        let (seconds, timer) = owner.deadline().unwrap();
        if timer == Timer::PingResp {
            assert_eq!(seconds, limit);
        } else {
            assert!(seconds <= limit, "PINGREQ again, before the first is overdue");
        }
    }
}

#[test]
fn acknowledgements_have_a_limit() {
    type Step = fn(&mut Owner);
    let steps: [(Step, Timer); 5] = [
        (|owner| drop(owner.publish("t", "a", 1)), Timer::Publish),
        (|owner| drop(owner.publish("t", "a", 2)), Timer::Publish),
        (|owner| drop(owner.subscribe(&["a"])), Timer::Subscription),
        (|owner| drop(owner.unsubscribe("a")), Timer::Subscription),
        (
            |owner| {
                owner.publish("t", "a", 2).unwrap();
                owner.sent();
                owner.pass(20 * SECOND);
                owner.given(&ack(V5, PUBREC, 1, 0));
            },
            Timer::Release,
        ),
    ];
    for (step, timer) in steps {
        let mut owner = Owner::connected(V5);
        step(&mut owner);
        owner.pass(3 * SECOND);
        assert_eq!(owner.deadline(), None, "still on this side");
        owner.sent();
        assert_eq!(owner.deadline(), Some((30.0, timer)));
        owner.pass(30 * SECOND);
        owner.given(PINGRESP);
        owner.session.handle_timeout(owner.now);
        assert_eq!(owner.events(), [format!("timed out: {timer:?}")], "other packets do not help");
        assert_eq!(owner.deadline(), None);
        owner.session.handle_timeout(owner.now);
        assert!(owner.events().is_empty());
        owner.session.disconnect(0, owner.now);
        assert_eq!(owner.sent(), ["DISCONNECT"], "a clean end is still possible");
        owner.reconnect(true);
        owner.sent();
        assert_eq!(owner.deadline(), Some((30.0, timer)), "a new connection, a new limit");
    }
}

#[test]
fn the_oldest_counts() {
    let mut owner = Owner::connected(V5);
    for _ in 0..4 {
        owner.publish("t", "a", 1).unwrap();
        owner.sent();
        owner.pass(5 * SECOND);
    }
    assert_eq!(owner.deadline(), Some((10.0, Timer::Publish)));
    owner.given(&ack(V5, PUBACK, 2, 0));
    assert_eq!(owner.deadline(), Some((10.0, Timer::Publish)));
    owner.given(&ack(V5, PUBACK, 1, 0));
    assert_eq!(owner.deadline(), Some((20.0, Timer::Publish)));
    owner.given(&ack(V5, PUBACK, 4, 0));
    owner.given(&ack(V5, PUBACK, 3, 0));
    assert_eq!(owner.deadline(), None);
}

#[test]
fn limits_are_suspended_while_the_owner_does_not_read() {
    let mut owner = Owner::connected_with(keep_alive(60), "");
    owner.publish("t", "a", 1).unwrap();
    owner.subscribe(&["a"]).unwrap();
    owner.session.ping(owner.now);
    owner.sent();
    owner.pass(10 * SECOND);
    owner.session.handle_reading(false, owner.now);
    owner.pass(20 * SECOND);
    owner.session.handle_reading(false, owner.now);
    assert_eq!(owner.deadline(), Some((30.0, Timer::KeepAlive)), "which does go on");
    // An hour's stall: PINGREQs, but no answer can be missed.
    let mut pings = 0;
    for _ in 0..3600 {
        owner.pass(SECOND);
        owner.session.handle_timeout(owner.now);
        pings += owner.sent().len();
    }
    assert_eq!(pings, 60);
    assert!(owner.events().is_empty());
    owner.session.handle_reading(true, owner.now);
    assert!(matches!(owner.deadline(), Some((30.0, _))));
    owner.pass(SECOND);
    owner.session.handle_reading(true, owner.now);
    assert!(matches!(owner.deadline(), Some((29.0, _))), "only the change counts");
    owner.given(&[ack(V5, PUBACK, 1, 0), suback(V5, 2, &[0])].concat());
    // All the answers that lay unread.
    let events = owner.given(&PINGRESP.repeat(61));
    assert_eq!(events.len(), 61, "{events:?}");
    assert_eq!(owner.deadline().map(|(_, timer)| timer), Some(Timer::KeepAlive));
}

#[test]
fn a_very_long_stall_takes_no_memory() {
    let mut owner = Owner::connected_with(keep_alive(1), "");
    owner.session.handle_reading(false, owner.now);
    for _ in 0..10_000 {
        owner.pass(SECOND);
        owner.publish("t", "a", 0).unwrap();
        owner.sent();
        owner.pass(SECOND);
        owner.session.handle_timeout(owner.now);
        assert_eq!(owner.sent(), ["PINGREQ"]);
    }
    // One more is on its way while the answers are read.
    owner.publish("t", "a", 0).unwrap();
    owner.session.ping(owner.now);
    owner.session.handle_reading(true, owner.now);
    assert!(owner.given(&PINGRESP.repeat(9_999)).len() < 100);
    assert!(owner.given(PINGRESP).is_empty());
    assert_eq!(owner.sent(), ["PUBLISH t a q0", "PINGREQ"]);
    assert!(owner.session.unconfirmed() > 0, "the last one is still to come");
    assert_eq!(owner.given(PINGRESP).len(), 1);
    assert_eq!(owner.session.unconfirmed(), 0);
    assert_eq!(owner.deadline(), Some((1.0, Timer::KeepAlive)));
}

#[test]
fn a_connection_during_a_stall_waits_for_connack_as_long_as_it_should() {
    let mut owner = Owner::new(options(V5));
    owner.session.handle_reading(false, owner.now);
    owner.session.handle_connected(owner.now, owner.now + LIMIT);
    owner.sent();
    owner.pass(100 * SECOND);
    owner.session.handle_timeout(owner.now);
    assert!(owner.events().is_empty());
    owner.session.handle_reading(true, owner.now);
    assert_eq!(owner.deadline(), Some((30.0, Timer::ConnAck)));
}

#[test]
fn a_long_limit_does_not_blur_a_short_keep_alive() {
    let mut owner = Owner::connected_with(Options { ack_timeout: 10_000 * SECOND, ..keep_alive(6) }, "");
    owner.pass(2 * SECOND);
    owner.publish("t", "a", 1).unwrap();
    owner.sent();
    owner.pass(6 * SECOND);
    owner.session.handle_timeout(owner.now);
    assert_eq!(owner.sent(), ["PINGREQ"]);
    assert_eq!(owner.deadline().map(|(seconds, _)| seconds), Some(6.0));
}

#[test]
fn the_time_of_a_packet_is_exact_enough_at_any_rate() {
    let mut owner = Owner::connected_with(Options { max_inflight: 60_000, ..options(V5) }, "");
    for _ in 0..20_000 {
        owner.publish("t", "a", 1).unwrap();
        owner.sent();
        owner.pass(Duration::from_millis(1));
    }
    for n in 1..=20_000u16 {
        let (seconds, _) = owner.deadline().expect("one is outstanding");
        let exact = 10.0 + f64::from(n - 1) / 1000.0;
        assert!(seconds < exact + 1e-6 && seconds > exact - 0.2, "{n}: {seconds}");
        owner.given(&ack(V5, PUBACK, n, 0));
    }
    assert_eq!(owner.deadline(), None);
}

#[test]
fn no_limit_at_all() {
    let mut owner = Owner::connected_with(Options { ack_timeout: Duration::MAX, ..keep_alive(0) }, "");
    owner.publish("t", "a", 1).unwrap();
    owner.sent();
    owner.pass(1_000_000 * SECOND);
    owner.session.handle_timeout(owner.now);
    assert_eq!((owner.deadline(), owner.events().len()), (None, 0));
}

#[test]
fn a_deadline_met_is_a_deadline_gone() {
    // The loop sleeps until the deadline and calls once: it must never come back to the same one.
    let mut owner = Owner::connected_with(keep_alive(7), "");
    owner.publish("t", "a", 1).unwrap();
    owner.subscribe(&["f"]).unwrap();
    owner.sent();
    let mut turns = 0;
    while let Some((at, _)) = owner.session.poll_deadline() {
        owner.now = owner.now.max(at);
        owner.session.handle_timeout(owner.now);
        owner.sent();
        turns += 1;
        assert!(turns < 100);
    }
    assert_eq!(owner.events().len(), 1);
    assert!(turns < 10, "{turns}");
}

#[test]
fn a_socket_that_takes_nothing_has_a_limit() {
    let mut owner = Owner::connected_with(keep_alive(0), "");
    owner.publish("t", "a", 0).unwrap();
    assert_eq!(owner.deadline(), None, "not handed out");
    assert_eq!(owner.taken(), ["PUBLISH t a q0"]);
    assert_eq!(owner.deadline(), Some((30.0, Timer::Sending)));
    owner.pass(20 * SECOND);
    // More behind it changes nothing; a byte that leaves does.
    owner.publish("t", "b", 1).unwrap();
    owner.taken();
    assert_eq!(owner.deadline(), Some((10.0, Timer::Sending)));
    owner.session.handle_progress(owner.now);
    assert_eq!(owner.deadline(), Some((30.0, Timer::Sending)));
    owner.pass(29 * SECOND);
    owner.session.handle_timeout(owner.now);
    assert!(owner.events().is_empty());
    owner.pass(SECOND);
    owner.session.handle_timeout(owner.now);
    assert_eq!(owner.events(), ["timed out: Sending"]);
    owner.lost();
    assert_eq!(owner.deadline(), None);
}

#[test]
fn what_left_ends_the_limit_on_sending() {
    let mut owner = Owner::connected_with(keep_alive(0), "");
    owner.publish("t", "a", 1).unwrap();
    owner.taken();
    owner.pass(29 * SECOND);
    owner.session.handle_sent(owner.now);
    owner.session.handle_progress(owner.now);
    assert_eq!(owner.deadline(), Some((30.0, Timer::Publish)));
    // What the connection before left unsent says nothing about the next.
    owner.publish("t", "b", 0).unwrap();
    owner.taken();
    owner.reconnect(true);
    owner.sent();
    assert_eq!(owner.deadline(), Some((30.0, Timer::Publish)));
}

#[test]
fn our_own_stall_is_not_held_against_a_socket_that_takes_nothing() {
    let mut owner = Owner::connected_with(keep_alive(20), "");
    owner.session.handle_reading(false, owner.now);
    owner.pass(20 * SECOND);
    owner.session.handle_timeout(owner.now);
    assert_eq!(owner.taken(), ["PINGREQ"]);
    assert_eq!(owner.deadline(), None);
    owner.pass(1000 * SECOND);
    owner.session.handle_timeout(owner.now);
    assert!(owner.events().is_empty());
    owner.session.handle_reading(true, owner.now);
    assert_eq!(owner.deadline(), Some((30.0, Timer::Sending)));
}
