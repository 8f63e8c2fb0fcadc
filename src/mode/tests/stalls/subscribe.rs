//! `sub`: PINGREQ goes out while nothing is read, and acknowledgements only behind the output.

use super::*;
use crate::proto::mqtt::packet::Filter;

/// Keep Alive, in seconds: in ten minutes more PINGREQs than the session tells apart.
const KEEP_ALIVE: u16 = 5;
/// What `sub` announces.
const RECEIVE_MAXIMUM: usize = 1000;
const PINGREQ: [u8; 2] = [0xc0, 0];

/// A broker with `count` messages at one QoS, in MQTT 5.0.
struct Broker {
    qos: u8,
    count: usize,
    size: usize,
    retained: bool,
    published: usize,
    /// By PUBACK or PUBREC, and by PUBACK or PUBCOMP.
    acknowledged: usize,
    through: usize,
    window: usize,
    pings: u32,
    /// Empty retained messages of `--remove-retained`.
    removed: usize,
    /// They get no answer.
    deaf: bool,
    disconnected: bool,
}

impl Broker {
    fn new(qos: u8, count: usize, size: usize) -> Broker {
        Broker {
            qos,
            count,
            size,
            retained: false,
            published: 0,
            acknowledged: 0,
            through: 0,
            window: 0,
            pings: 0,
            removed: 0,
            deaf: false,
            disconnected: false,
        }
    }

    /// Identifiers 1 to 65,535, in order.
    fn id(n: usize) -> [u8; 2] {
        ((n % 65_535 + 1) as u16).to_be_bytes()
    }

    /// As many messages as are allowed.
    fn publish(&mut self, wire: &mut VecDeque<Sent>) {
        while self.published < self.count
            && (self.qos == 0 || self.published - self.through < RECEIVE_MAXIMUM)
        {
            let id = Broker::id(self.published);
            let mut body = b"\0\x01t".to_vec();
            body.extend(if self.qos == 0 { &[][..] } else { &id });
            body.push(0);
            body.extend(payload(self.published, self.size));
            let first = 0x30 | self.qos << 1 | u8::from(self.retained);
            assert!((128..16_384).contains(&body.len()), "two bytes of length");
            let length = [body.len() as u8 | 0x80, (body.len() >> 7) as u8];
            send(wire, &[&[first], &length[..], &body].concat());
            self.published += 1;
        }
        self.window = self.window.max(self.published - self.through);
    }

    fn answer(&mut self, packet: &[u8], wire: &mut VecDeque<Sent>) {
        assert!(!self.disconnected, "{packet:02x?} after DISCONNECT");
        match packet[0] {
            // Receive Maximum 20, as mosquitto has it.
            0x10 => send(wire, b"\x20\x06\0\0\x03\x21\0\x14"),
            0x82 => {
                send(wire, &[&[0x90, 4], &packet[2..4], &[0, self.qos]].concat());
                self.publish(wire);
            }
            0xc0 => {
                assert_eq!(packet, PINGREQ);
                self.pings += 1;
                send(wire, b"\xd0\0");
            }
            0x40 | 0x50 => {
                assert_eq!(packet[2..4], Broker::id(self.acknowledged), "in order");
                self.acknowledged += 1;
                match self.qos {
                    1 => self.through += 1,
                    _ => send(wire, &[&[0x62, 2], &packet[2..4]].concat()),
                }
                self.publish(wire);
            }
            0x70 => {
                assert_eq!(packet[2..4], Broker::id(self.through), "in order");
                self.through += 1;
                self.publish(wire);
            }
            0x33 => {
                assert_eq!(packet[2..5], *b"\0\x01t");
                self.removed += 1;
                if !self.deaf {
                    send(wire, &[&[0x40, 2], &packet[5..7]].concat());
                }
            }
            0xe0 => self.disconnected = true,
            _ => panic!("{packet:02x?}"),
        }
    }
}

fn send(wire: &mut VecDeque<Sent>, packet: &[u8]) {
    wire.push_back(Sent::Message(Frame::Binary, packet.to_vec()));
}

impl Peer for Broker {
    fn handle(&mut self, transmit: Transmit, wire: &mut VecDeque<Sent>) {
        let Transmit::Data { payload, .. } = transmit else { return wire.push_back(Sent::Close) };
        let mut rest = &payload[..];
        while let [_, length, ..] = rest {
            assert!(*length < 0x80, "what sub sends is short");
            let (packet, behind) = rest.split_at(2 + usize::from(*length));
            self.answer(packet, wire);
            rest = behind;
        }
    }

    fn acknowledged(&self) -> usize {
        self.acknowledged
    }
}

fn options(qos: config::QoS, count: Option<u64>) -> config::Subscribe {
    config::Subscribe {
        mqtt: config::Mqtt { version: Some(config::Version::V5), keep_alive: KEEP_ALIVE, ..login() },
        reconnect: config::Reconnect { enabled: false, max_retries: None, retry_connect: false },
        filters: vec![Filter {
            filter: "t".to_owned(),
            qos,
            no_local: false,
            retain_as_published: false,
            retain_handling: 0,
        }],
        filter_out: Vec::new(),
        unsubscribe: Vec::new(),
        subscription_id: None,
        subscribe_user_properties: Vec::new(),
        unsubscribe_user_properties: Vec::new(),
        count,
        timeout: None,
        exit_after_suback: false,
        no_retained: false,
        retained_only: false,
        remove_retained: false,
        output: config::Output { shape: config::Shape::Payload, end: Some(b'\n'), raw: false },
        watch: false,
        snapshot: None,
        ready: None,
        strict: false,
    }
}

fn stalled(options: config::Subscribe, broker: Broker) -> Stall<Broker> {
    let mode = Mode::Subscribe(endpoint("mqtt://h", url::Purpose::Mqtt), options);
    let record = broker.size + 1;
    let mut stall = Stall::new(machine(&mode, world()).expect("sub connects"), broker, record);
    stall.settle();
    stall
}

const EACH: [config::QoS; 3] = [config::QoS::AtMostOnce, config::QoS::AtLeastOnce, config::QoS::ExactlyOnce];

#[test]
fn nothing_is_acknowledged_for_ten_minutes_and_all_of_it_then() {
    for qos in EACH {
        let (count, size) = (3000, 1000);
        let mut stall = stalled(options(qos, Some(count as u64)), Broker::new(qos as u8, count, size));
        assert!(!stall.reading, "the mark is reached within the window");
        stall.pass(AWAY);
        assert!(!stall.reading && stall.printed.is_empty());
        assert_eq!(stall.peer.pings, AWAY / u32::from(KEEP_ALIVE));
        assert_eq!(stall.peer.acknowledged, 0);
        assert_eq!(stall.finish(60), Ok(()), "{qos:?}");
        assert!(stall.printed == lines(count, size), "all of it, in order");
        let acknowledged = if qos == config::QoS::AtMostOnce { 0 } else { count };
        assert_eq!((stall.peer.acknowledged, stall.peer.through), (acknowledged, acknowledged));
        assert!(qos == config::QoS::AtMostOnce || stall.peer.window == RECEIVE_MAXIMUM);
        assert!(stall.peer.disconnected);
        stall.assert_bounded();
    }
}

#[test]
fn a_window_of_short_messages_keeps_the_socket_readable() {
    for qos in &EACH[1..] {
        let (count, size) = (10_000, 150);
        let mut stall = stalled(options(*qos, Some(count as u64)), Broker::new(*qos as u8, count, size));
        assert!(stall.reading, "Receive Maximum comes first");
        stall.pass(AWAY);
        assert!(stall.reading && stall.wire.is_empty(), "PINGRESP is read at once");
        assert_eq!(stall.peer.pings, AWAY / u32::from(KEEP_ALIVE));
        assert_eq!((stall.peer.published, stall.peer.acknowledged), (RECEIVE_MAXIMUM, 0));
        assert_eq!(stall.most, RECEIVE_MAXIMUM * (size + 1));
        assert_eq!(stall.finish(60), Ok(()));
        assert!(stall.printed == lines(count, size));
        assert_eq!(stall.peer.through, count);
        stall.assert_bounded();
    }
}

#[test]
fn pingreqs_do_not_gather_where_the_socket_is_stuck_too() {
    for qos in EACH {
        let mut stall = stalled(options(qos, Some(3000)), Broker::new(qos as u8, 3000, 1000));
        stall.stuck = true;
        stall.pass(AWAY);
        assert_eq!((stall.queued.len(), stall.peer.pings), (1, 0), "{qos:?}");
        stall.stuck = false;
        assert_eq!(stall.finish(60), Ok(()), "{qos:?}");
        assert!(stall.printed == lines(3000, 1000));
        stall.assert_bounded();
    }
}

/// 900 retained messages at QoS 1.
fn retained(size: usize) -> Broker {
    Broker { retained: true, ..Broker::new(1, 900, size) }
}

#[test]
fn an_answer_to_us_that_lies_behind_the_data_is_not_late() {
    // A retained message goes once it is the reader's, no sooner.
    let options = config::Subscribe { remove_retained: true, ..options(config::QoS::AtLeastOnce, Some(900)) };
    let mut stall = stalled(options, retained(1000));
    stall.pass(AWAY);
    assert_eq!((stall.reading, stall.peer.removed), (false, 0));
    // The reader takes a little, and is away again: PUBACKs lie unread for longer than --ack-timeout.
    stall.taken = true;
    stall.turn();
    stall.taken = false;
    stall.settle();
    let removed = PIPE / 1001;
    assert_eq!((stall.reading, stall.peer.removed), (false, removed));
    stall.pass(AWAY);
    assert_eq!(stall.peer.removed, removed);
    assert_eq!(stall.finish(60), Ok(()));
    assert!(stall.printed == lines(900, 1000));
    assert_eq!(stall.peer.removed, 900);
}

#[test]
fn the_quiet_of_a_snapshot_rests_while_the_server_cannot_be_heard() {
    let snapshot = || config::Subscribe {
        snapshot: Some(2 * SECOND),
        reconnect: config::Reconnect { enabled: true, max_retries: None, retry_connect: false },
        ..options(config::QoS::AtLeastOnce, None)
    };
    // The mark is reached, or the window is full and the server waits for us.
    for (reading, count, size) in [(false, 900, 1000), (true, 3000, 150)] {
        let mut stall = stalled(snapshot(), Broker { count, ..retained(size) });
        stall.pass(AWAY);
        assert_eq!((stall.reading, stall.peer.disconnected), (reading, false));
        assert_eq!(stall.finish(60), Ok(()));
        assert!(stall.printed == lines(count, size), "{} bytes of all", stall.printed.len());
        assert_eq!(stall.peer.acknowledged, count);
    }
    // There is no connection.
    let mut stall = stalled(snapshot(), retained(150));
    stall.taken = true;
    stall.settle();
    stall.machine.handle_lost(Lost::Eof, Handed::default(), stall.now);
    stall.pass(AWAY);
    assert_eq!(stall.machine.poll_next(), Next::Reconnect);
}

#[test]
fn removals_without_an_answer_are_told_of_at_the_end() {
    for (limit, ack, kind) in [(Some(5), 30, Kind::Unconfirmed), (None, 3, Kind::TimedOut)] {
        let mut options = options(config::QoS::AtLeastOnce, Some(10));
        options.remove_retained = true;
        options.timeout = limit.map(|limit: u32| limit * SECOND);
        options.mqtt.ack_timeout = ack * SECOND;
        let mut stall = stalled(options, Broker { deaf: true, ..retained(150) });
        let failure = stall.finish(60).expect_err("removed, or not?");
        assert_eq!(stall.peer.removed, 10);
        assert!(stall.printed == lines(10, 150));
        assert_eq!(failure.kind, kind, "{}", failure.text);
        assert!(
            failure.text.ends_with("removals of retained messages: 10 not acknowledged"),
            "{}",
            failure.text
        );
    }
}

#[test]
fn a_broker_that_had_enough_is_told_of_with_the_reason() {
    let mut stall = stalled(options(config::QoS::AtMostOnce, None), Broker::new(0, 3000, 1000));
    stall.wire.push_back(Sent::End);
    stall.pass(AWAY);
    assert!(!stall.over, "its end lies unread");
    let failure = stall.finish(60).expect_err("it is gone");
    assert_eq!(failure.kind, Kind::Lost);
    assert!(failure.text.ends_with("; stdout stalled 600 s"), "{}", failure.text);
    assert!(stall.printed == lines(3000, 1000), "what came before is printed");
    stall.assert_bounded();
}
