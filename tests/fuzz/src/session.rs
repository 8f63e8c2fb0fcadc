//! A list of operations on a session, and what must hold whatever the broker says.
//!
//! The driver keeps books of its own from the events and from the packets that leave: it reads those with a
//! few lines of its own, not with the codec under test.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use wspipe::proto::mqtt::{
    packet::{
        Ack, Acks, ConnAckProperties, Connect, ConnectProperties, Filter, Packet, Publish, PublishProperties,
        QoS, Version, no_properties,
    },
    session::{AckToken, Event, Message, Options, Session},
};

use crate::{Input, encode, pieces};

/// The limits of the session under test.
const ACK_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_PACKET: usize = 2000;

/// Where a connection is, as far as its owner can know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Down,
    Connecting,
    Up,
    /// We have taken leave; acknowledgements still count.
    Leaving,
    /// Ended by the server or by what it did.
    Over,
}

struct Driver {
    session: Session,
    now: Instant,
    stage: Stage,
    tokens: VecDeque<AckToken>,
    /// PUBLISHes at QoS 1 and 2 that are not through: the payload says which.
    live: BTreeSet<u64>,
    /// PUBLISHes accepted, of any QoS.
    accepted: u64,
    /// Which of them left with the server's session as it is now.
    handed: BTreeSet<u64>,
    /// Which of them left on this connection.
    wire: BTreeSet<u64>,
    /// Which are through, by a server that answers what has not left, and may still leave.
    early: BTreeSet<u64>,
    /// Packet identifiers of PUBLISHes that left.
    used: BTreeSet<u16>,
    /// Packet identifiers of live PUBLISHes.
    pkids: BTreeMap<u16, u64>,
    /// QoS 0 ones accepted, and confirmed.
    qos0: (u64, u64),
    /// Acknowledgements given on this connection at QoS 1, less PUBACKs that left.
    pubacks: u64,
    /// Identifiers of QoS 2 messages that were acknowledged.
    shown2: BTreeSet<u16>,
    window: usize,
    max_inflight: u16,
    connects: u32,
}

/// Runs the operations.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let mut driver = Driver::new(&mut input);
    for _ in 0..200 {
        if input.is_empty() {
            break;
        }
        driver.operation(&mut input);
        driver.check();
    }
}

impl Driver {
    fn new(input: &mut Input<'_>) -> Driver {
        let bits = input.byte();
        let has = |bit: u8| bits & 1 << bit != 0;
        let max_inflight = 1 + u16::from(input.byte() % 6);
        let properties = ConnectProperties {
            topic_alias_maximum: has(0).then_some(3),
            authentication_method: has(1).then(|| "m".to_owned()),
            session_expiry_interval: has(2).then_some(300),
            ..ConnectProperties::default()
        };
        let keep_alive = if has(3) { 60 } else { 0 };
        let connect = Connect {
            client_id: "me".to_owned(),
            clean: has(4),
            keep_alive,
            properties,
            ..Connect::default()
        };
        let options = Options {
            version: if has(5) { Version::V311 } else { Version::V5 },
            connect,
            resume: has(6),
            final_expiry: has(7).then_some(0),
            disconnect_user_properties: Vec::new(),
            max_packet: MAX_PACKET,
            max_inflight,
            ack_timeout: ACK_TIMEOUT,
            first_pkid: if has(7) { 65_534 } else { 1 },
        };
        options.check(options.version).expect("plain options");
        Driver {
            session: Session::new(options),
            now: Instant::now(),
            stage: Stage::Down,
            tokens: VecDeque::new(),
            live: BTreeSet::new(),
            accepted: 0,
            handed: BTreeSet::new(),
            wire: BTreeSet::new(),
            early: BTreeSet::new(),
            used: BTreeSet::new(),
            pkids: BTreeMap::new(),
            qos0: (0, 0),
            pubacks: 0,
            shown2: BTreeSet::new(),
            window: usize::from(max_inflight),
            max_inflight,
            connects: 0,
        }
    }

    fn operation(&mut self, input: &mut Input<'_>) {
        match input.byte() % 24 {
            0 => self.connect(),
            1 => self.lose(),
            2..=4 => self.publish(input),
            5 => self.subscribe(input),
            6..=12 => self.packet(input),
            13 => {
                let (seed, bytes) = (input.byte(), input.bytes());
                self.receive(bytes, seed);
            }
            14..=16 => self.acknowledge(),
            17..=18 => self.transmit(true),
            19 => self.transmit(false),
            20 => self.pass(input),
            21 => self.session.ping(self.now),
            22 => self.leave(input),
            _ => match input.byte() % 4 {
                0 => self.session.handle_reading(input.flag(), self.now),
                1 => self.session.fall_back(),
                2 => self.session.handle_progress(self.now),
                _ => drop(self.session.auth(0x18, "m", Some(b"x"), self.now)),
            },
        }
    }

    fn connect(&mut self) {
        self.lose();
        self.session.handle_connected(self.now, self.now + ACK_TIMEOUT);
        self.stage = Stage::Connecting;
        self.window = usize::from(self.max_inflight);
        self.connects = 0;
    }

    fn lose(&mut self) {
        self.drain();
        self.session.handle_lost(self.now);
        self.stage = Stage::Down;
        self.wire.clear();
        self.pubacks = 0;
    }

    fn publish(&mut self, input: &mut Input<'_>) {
        let bits = input.byte();
        // The payload is the PUBLISH's order of acceptance, if it is accepted.
        let number = self.accepted;
        let alias = (bits & 0x30 == 0x30).then(|| {
            let topic_alias = Some(1 + u16::from(bits & 1));
            Rc::new(PublishProperties { topic_alias, ..no_properties() })
        });
        let qos = QoS::from_u8(bits >> 2 & 3).unwrap_or_default();
        let message = Message {
            topic: Rc::from(["a", "b/c", "long/".repeat(80).as_str(), "é"][usize::from(bits & 3)]),
            payload: Bytes::copy_from_slice(&number.to_be_bytes()),
            qos,
            retain: bits & 0x40 != 0,
            properties: alias,
        };
        let could = self.session.can_publish(qos);
        let Ok(id) = self.session.publish(message, self.now) else { return };
        assert!(could && self.stage == Stage::Up, "taken though it said no");
        if qos == QoS::AtMostOnce {
            self.qos0.0 += 1;
        } else {
            self.live.insert(id);
        }
        assert_eq!(id, number, "orders of acceptance");
        self.accepted = id + 1;
    }

    fn subscribe(&mut self, input: &mut Input<'_>) {
        let bits = input.byte();
        let names = ["a", "b/+", "$share/g/#", "#"];
        let filters: Vec<Filter> = (0..1 + bits % 3)
            .map(|n| Filter { filter: names[usize::from(bits >> 2 & 3 ^ n)].to_owned(), ..Filter::default() })
            .collect();
        let result = if bits & 0x80 == 0 {
            self.session.subscribe(&filters, (bits & 0x40 != 0).then_some(7), &[], self.now)
        } else {
            let names: Vec<String> = filters.into_iter().map(|filter| filter.filter).collect();
            self.session.unsubscribe(&names, &[], self.now)
        };
        assert!(result.is_err() || self.stage == Stage::Up);
    }

    /// A packet that a server may send.
    fn packet(&mut self, input: &mut Input<'_>) {
        let version = self.session.version();
        let (kind, bits) = (input.byte(), input.byte());
        // Mostly identifiers that mean something.
        let known = self.pkids.keys().nth(usize::from(bits >> 4) % self.pkids.len().max(1));
        let pkid = known.copied().filter(|_| bits & 8 != 0).unwrap_or(u16::from(bits & 7) + 1);
        let reason = if bits & 0x30 == 0x30 { 0x80 } else { 0 };
        let ack = Ack { pkid, reason, text: (bits & 0x40 != 0).then(|| "why".to_owned()) };
        let packet = match kind % 14 {
            0..=1 => Packet::ConnAck {
                session_present: bits & 3 == 3,
                reason: if bits & 0xc0 == 0xc0 { 0x85 } else { 0 },
                properties: (bits & 4 != 0).then(|| Box::new(limits(input))),
            },
            2 => Packet::PubAck(ack),
            3..=4 => Packet::PubRec(ack),
            5 => Packet::PubComp(Ack { reason: 0, ..ack }),
            6 => Packet::PubRel(Ack { reason: 0, ..ack }),
            7..=9 => {
                let qos = QoS::from_u8(kind >> 4 & 3).unwrap_or_default();
                let alias = kind & 0xc0 == 0xc0;
                let properties = alias.then(|| {
                    let topic_alias = Some(u16::from(bits & 3) + 1);
                    Box::new(PublishProperties { topic_alias, ..no_properties() })
                });
                let topic = if alias && version == Version::V5 && bits & 4 != 0 { "" } else { "in" };
                let pkid = if qos == QoS::AtMostOnce { 0 } else { pkid };
                let payload = input.bytes();
                let dup = bits & 0x80 != 0 && pkid != 0;
                let properties = properties.filter(|_| version == Version::V5);
                Packet::Publish(Publish { dup, qos, retain: false, topic, pkid, payload, properties })
            }
            10 => Packet::SubAck(Acks { pkid, reasons: vec![reason; usize::from(bits % 3) + 1], text: None }),
            11 => {
                let reasons =
                    if version == Version::V5 { vec![reason; usize::from(bits % 3) + 1] } else { vec![] };
                Packet::UnsubAck(Acks { pkid, reasons, text: None })
            }
            12 => Packet::PingResp,
            _ if bits & 1 == 0 => Packet::Disconnect { reason: 0x8b, text: ack.text, server_reference: None },
            _ => Packet::Auth { reason: 0x18, method: Some("m".to_owned()), data: None },
        };
        let mut bytes = Vec::new();
        encode::packet(&mut bytes, version, &packet);
        self.receive(&bytes, bits);
    }

    /// Bytes from the server, in pieces.
    fn receive(&mut self, bytes: &[u8], seed: u8) {
        for piece in pieces(bytes, seed) {
            self.session.handle_bytes(piece, self.now);
            if seed & 1 == 0 {
                self.drain();
            }
        }
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(event) = self.session.poll_event(self.now) {
            let before = self.stage;
            match event {
                Event::Connected { session_present, .. } => {
                    assert_eq!(before, Stage::Connecting);
                    self.stage = Stage::Up;
                    if !session_present {
                        self.handed.clear();
                    }
                }
                Event::Message { publish, token } => {
                    assert_eq!(before, Stage::Up, "a message");
                    assert_eq!(token.is_some(), publish.qos > QoS::AtMostOnce);
                    assert!(!publish.topic.is_empty());
                    if publish.qos == QoS::ExactlyOnce {
                        self.shown2.insert(publish.pkid);
                    }
                    self.tokens.extend(token);
                }
                Event::Acknowledged { id, .. } => {
                    assert!(self.live.remove(&id), "{id} is through twice, or was never accepted");
                    self.handed.remove(&id);
                    if !self.wire.remove(&id) {
                        self.early.insert(id);
                    }
                    self.pkids.retain(|_, number| *number != id);
                }
                Event::Confirmed { confirmed, left } => {
                    self.qos0.1 += confirmed;
                    assert_eq!(left, self.session.unconfirmed());
                }
                Event::Violated { .. } => {
                    assert!(matches!(before, Stage::Connecting | Stage::Up), "violated in {before:?}");
                    self.stage = Stage::Over;
                }
                Event::Refused { .. } | Event::Disconnected { .. } => {
                    assert!(!matches!(before, Stage::Down | Stage::Over), "the end in {before:?}");
                    self.stage = Stage::Over;
                }
                Event::Subscribed { filters, reasons, .. } => assert_eq!(filters.len(), reasons.len()),
                Event::Unsubscribed { filters, reasons, .. } => assert_eq!(filters.len(), reasons.len()),
                Event::TimedOut(_) | Event::Auth { .. } => {}
            }
        }
        if let Some(maximum) = self.session.connack().and_then(|connack| connack.receive_max) {
            self.window = self.window.min(usize::from(maximum));
        }
    }

    fn acknowledge(&mut self) {
        let Some(token) = self.tokens.pop_front() else { return };
        self.pubacks += 1;
        self.session.acknowledge(token, self.now);
    }

    fn transmit(&mut self, sent: bool) {
        self.drain();
        if let Some(bytes) = self.session.poll_transmit(self.now) {
            assert!(self.stage != Stage::Down, "output without a connection");
            self.packets(&bytes);
        }
        assert_eq!(self.session.poll_transmit(self.now), None, "all was taken");
        self.drain();
        if sent {
            self.session.handle_sent(self.now);
        }
    }

    /// What leaves, packet by packet.
    fn packets(&mut self, mut bytes: &[u8]) {
        while let [first, rest @ ..] = bytes {
            let (len, size) = varint(rest);
            let body = &rest[size..size + len];
            bytes = &rest[size + len..];
            match first >> 4 {
                1 => {
                    self.connects += 1;
                    assert_eq!(self.connects, 1, "a second CONNECT");
                    continue;
                }
                3 => self.published(*first, body),
                4 => {
                    assert!(self.pubacks > 0, "PUBACK before the owner's word");
                    self.pubacks -= 1;
                }
                5 => assert!(self.shown2.contains(&u16_at(body, 0)), "PUBREC for what was not shown"),
                6 => {
                    let ours = self.used.contains(&u16_at(body, 0));
                    let unknown = body.get(2) == Some(&0x92) || self.session.version() == Version::V311;
                    assert!(ours || unknown, "PUBREL for what was no PUBLISH");
                }
                7 | 8 | 10 | 12 | 14 | 15 => {}
                other => panic!("packet type {other} from a client"),
            }
            assert_eq!(self.connects, 1, "CONNECT comes first");
        }
    }

    fn published(&mut self, first: u8, body: &[u8]) {
        let (dup, qos) = (first & 8 != 0, first >> 1 & 3);
        if qos == 0 {
            return;
        }
        let topic = usize::from(u16_at(body, 0));
        let pkid = u16_at(body, 2 + topic);
        assert_ne!(pkid, 0);
        let number =
            body.last_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes)).expect("a payload of 8 bytes");
        self.used.insert(pkid);
        if self.early.contains(&number) {
            return;
        }
        assert!(self.live.contains(&number), "{number} is not to be sent");
        let known = *self.pkids.entry(pkid).or_insert(number);
        assert_eq!(known, number, "packet identifier {pkid} is in use");
        assert_eq!(dup, !self.handed.insert(number), "DUP of {number}");
        assert!(self.wire.insert(number), "{number} twice on one connection");
        assert!(self.wire.len() <= self.window, "{} beyond the window {}", self.wire.len(), self.window);
    }

    fn pass(&mut self, input: &mut Input<'_>) {
        self.now += Duration::from_secs(u64::from(input.byte() % 70));
        self.session.handle_timeout(self.now);
        let next = self.session.poll_deadline();
        assert!(next.is_none_or(|(at, _)| at > self.now), "a deadline that is past: {next:?}");
        self.drain();
    }

    fn leave(&mut self, input: &mut Input<'_>) {
        let bits = input.byte();
        let reason = if bits & 1 == 0 { 0 } else { 4 };
        match bits & 2 {
            0 => self.session.disconnect(reason, self.now),
            _ => self.session.disconnect_for_now(reason, self.now),
        }
        if matches!(self.stage, Stage::Connecting | Stage::Up) {
            self.stage = Stage::Leaving;
        }
    }

    /// The books balance.
    fn check(&mut self) {
        self.drain();
        let session = &self.session;
        assert_eq!(session.in_flight(), self.live.len());
        // Unknown are also those at QoS 2 whose session was lost between PUBREC and PUBCOMP.
        let (published, known) = (self.qos0.0, self.qos0.1 + session.unconfirmed());
        assert!(known <= published && published <= known + session.unknown(), "QoS 0");
        assert_eq!(session.is_connected(), self.stage == Stage::Up);
        assert!(self.stage != Stage::Down || session.poll_deadline().is_none());
    }
}

/// What a server's CONNACK may limit.
fn limits(input: &mut Input<'_>) -> ConnAckProperties {
    let bits = input.byte();
    let mut properties = ConnAckProperties::new();
    properties.receive_max = (bits & 1 != 0).then(|| 1 + u16::from(input.byte() % 4));
    properties.max_qos = (bits & 2 != 0).then(|| input.byte() & 1);
    properties.max_packet_size = (bits & 4 != 0).then(|| 1 + u32::from(input.byte()));
    properties.retain_available = (bits & 8 != 0).then_some(0);
    properties.topic_alias_max = (bits & 16 != 0).then_some(2);
    properties.server_keep_alive = (bits & 32 != 0).then(|| u16::from(input.byte()));
    properties.wildcard_subscription_available = (bits & 64 != 0).then_some(0);
    properties.assigned_client_identifier = (bits & 128 != 0).then(|| "given".to_owned());
    properties
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// A Variable Byte Integer and its length.
fn varint(bytes: &[u8]) -> (usize, usize) {
    let mut value = 0;
    for (at, byte) in bytes.iter().enumerate().take(4) {
        value |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return (value, at + 1);
        }
    }
    panic!("no length in {bytes:02x?}");
}
