//! The session against a scripted server, in virtual time. Packets and events are compared as short texts.

mod conformance;
mod flows;
mod incoming;
mod lifecycle;
mod model;
mod peer;
mod random;
mod reconnect;
mod timers;

use std::{
    collections::VecDeque,
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::{AckToken, Event, Message, Options, PublishId, Refusal, Session, Timer};
use crate::proto::mqtt::packet::{Connect, Filter, PublishProperties, QoS, Version};
use peer::{connack, describe};

const V311: Version = Version::V311;
const V5: Version = Version::V5;
const BOTH: [Version; 2] = [V311, V5];
/// The limit on acknowledgements in these tests.
const LIMIT: Duration = Duration::from_secs(30);

fn options(version: Version) -> Options {
    let connect = Connect { client_id: "me".to_owned(), clean: false, ..Connect::default() };
    Options {
        version,
        connect,
        resume: true,
        final_expiry: None,
        disconnect_user_properties: Vec::new(),
        max_packet: 1000,
        max_inflight: 20,
        ack_timeout: LIMIT,
        first_pkid: 1,
    }
}

fn message(topic: &str, payload: &str, qos: u8) -> Message {
    Message {
        topic: Rc::from(topic),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        qos: QoS::from_u8(qos).unwrap(),
        retain: false,
        properties: None,
    }
}

fn filter(filter: &str) -> Filter {
    Filter { filter: filter.to_owned(), ..Filter::default() }
}

/// A session and what its owner keeps.
struct Owner {
    session: Session,
    now: Instant,
    tokens: VecDeque<AckToken>,
}

impl Owner {
    fn new(options: Options) -> Owner {
        Owner { session: Session::new(options), now: Instant::now(), tokens: VecDeque::new() }
    }

    /// Connected with plain options, CONNECT and `Connected` already seen.
    fn connected(version: Version) -> Owner {
        Owner::connected_with(options(version), "")
    }

    /// As `connected`; `properties` are those of CONNACK, in hexadecimal.
    fn connected_with(options: Options, properties: &str) -> Owner {
        let mut owner = Owner::new(options);
        assert_eq!(owner.connect(false, properties), ["connected"]);
        owner
    }

    /// A connection, up to what CONNACK brings about.
    fn connect(&mut self, present: bool, properties: &str) -> Vec<String> {
        self.session.handle_connected(self.now, self.now + LIMIT);
        let version = self.session.version();
        let sent = self.sent();
        assert!(sent.len() == 1 && sent[0].starts_with("CONNECT"), "{sent:?}");
        self.given(&connack(version, present, 0, properties))
    }

    fn lost(&mut self) {
        self.session.handle_lost(self.now);
    }

    fn reconnect(&mut self, present: bool) -> Vec<String> {
        self.lost();
        self.connect(present, "")
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    /// Events after these bytes.
    fn given(&mut self, bytes: &[u8]) -> Vec<String> {
        self.session.handle_bytes(bytes, self.now);
        self.events()
    }

    fn events(&mut self) -> Vec<String> {
        let mut texts = Vec::new();
        while let Some(event) = self.session.poll_event(self.now) {
            if let Event::Message { token: Some(token), .. } = event {
                self.tokens.push_back(token);
            }
            texts.push(text(event));
        }
        texts
    }

    /// Packets handed out, which reach the kernel at once.
    fn sent(&mut self) -> Vec<String> {
        let sent = self.taken();
        self.session.handle_sent(self.now);
        sent
    }

    /// Packets handed out, which are on their way.
    fn taken(&mut self) -> Vec<String> {
        let mut bytes = Vec::new();
        while let Some(part) = self.session.poll_transmit(self.now) {
            bytes.extend_from_slice(&part);
        }
        describe(&bytes, self.session.version())
    }

    fn publish(&mut self, topic: &str, payload: &str, qos: u8) -> Result<PublishId, Refusal> {
        self.session.publish(message(topic, payload, qos), self.now)
    }

    /// Acknowledges the oldest message shown.
    fn acknowledge(&mut self) {
        let token = self.tokens.pop_front().expect("a message was shown");
        self.session.acknowledge(token, self.now);
    }

    fn subscribe(&mut self, filters: &[&str]) -> Result<(), Refusal> {
        let filters: Vec<_> = filters.iter().map(|name| filter(name)).collect();
        self.session.subscribe(&filters, None, &[], self.now)
    }

    fn unsubscribe(&mut self, name: &str) -> Result<(), Refusal> {
        self.session.unsubscribe(&[name.to_owned()], &[], self.now)
    }

    /// What is due in how many seconds.
    fn deadline(&self) -> Option<(f64, Timer)> {
        let (at, timer) = self.session.poll_deadline()?;
        let seconds = at.saturating_duration_since(self.now).as_secs_f64();
        Some((seconds, timer))
    }
}

fn text(event: Event<'_>) -> String {
    match event {
        Event::Connected { session_present, reconnected, doubt, doubled } => {
            let mut text = "connected".to_owned();
            for (flag, name) in [(session_present, " present"), (reconnected, " again"), (doubt, " in doubt")]
            {
                text += if flag { name } else { "" };
            }
            if doubled > 0 { format!("{text} doubled {doubled}") } else { text }
        }
        Event::Message { publish, token } => {
            assert_eq!(token.is_some(), publish.qos > QoS::AtMostOnce);
            let payload = String::from_utf8_lossy(publish.payload);
            format!("message {} {payload} q{}", publish.topic, publish.qos as u8)
        }
        Event::Acknowledged { id, reason, .. } => format!("acknowledged {id} {reason:#04x}"),
        Event::Confirmed { confirmed, left } => format!("confirmed {confirmed} left {left}"),
        Event::Subscribed { filters, reasons, .. } => {
            let filters: Vec<_> = filters.iter().map(|filter| filter.filter.as_str()).collect();
            format!("subscribed {filters:?} {reasons:?}")
        }
        Event::Unsubscribed { filters, reasons, .. } => format!("unsubscribed {filters:?} {reasons:?}"),
        Event::Refused { reason, text, .. } => format!("refused {reason:#04x} {}", text.unwrap_or_default()),
        Event::Disconnected { reason, .. } => format!("disconnected {reason:#04x}"),
        Event::Auth { reason, .. } => format!("auth {reason:#04x}"),
        Event::Violated { reason, what, .. } => format!("violated {reason:#04x}: {what}"),
        Event::TimedOut(timer) => format!("timed out: {timer:?}"),
    }
}
