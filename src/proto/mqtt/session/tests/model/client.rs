//! What the owner of the session does, as the loop and the commands do it.

use std::rc::Rc;

use bytes::Bytes;

use super::{
    super::{Event, Message, PublishId, PublishProperties, QoS, Refusal, V5, filter},
    books::{Inbound, Outbound},
    operations::Operation,
    packets::{self, Check, Number},
    world::World,
};
use crate::proto::mqtt::packet::no_properties;

/// What an event leaves to be done once the session is no longer borrowed.
enum Then {
    Go,
    Leave,
    Confirmed(u64, u64),
    Connected { doubled: u64, session_present: bool },
}

impl World {
    pub fn publish(&mut self, operation: Operation) -> Check {
        let Operation::Publish { qos, topic, alias, size, count } = operation else { return Ok(()) };
        let quality = QoS::from_u8(qos).ok_or("QoS 0 to 2")?;
        let name: Rc<str> = format!("o/{topic}").into();
        let alias = Some(alias).filter(|alias| *alias > 0 && self.setup.version == V5);
        let properties =
            alias.map(|alias| Rc::new(PublishProperties { topic_alias: Some(alias), ..no_properties() }));
        for _ in 0..count {
            if !self.session.can_publish(quality) {
                return Ok(());
            }
            let number: Number = self.books.out.len();
            let mut payload = number.to_string().into_bytes();
            payload.resize(payload.len() + size as usize, b'.');
            let (topic_name, properties) = (Rc::clone(&name), properties.clone());
            let payload = Bytes::from(payload);
            let message = Message { topic: topic_name, payload, qos: quality, retain: false, properties };
            match self.session.publish(message, self.now) {
                Ok(id) if id == number as PublishId => {}
                Err(Refusal::TopicAlias(_)) => return Ok(()),
                other => return Err(format!("message {number}: {other:?}")),
            }
            // As a broker over its quota does; 3.1.1 has no words for it.
            let denied = self.setup.version == V5 && qos > 0 && number % 13 == 5;
            let fate =
                Outbound { qos, topic, delivered: 0, doubled: 0, denied, forgotten: false, through: false };
            self.books.out.push(fate);
            if qos == 0 {
                self.unconfirmed.push_back(number);
            }
            let in_flight = self.session.in_flight() as u64;
            self.books.tally.most_in_flight = self.books.tally.most_in_flight.max(in_flight);
        }
        Ok(())
    }

    pub fn inject(&mut self, operation: Operation) {
        let Operation::Inject { qos, topic, size, count } = operation else { return };
        for _ in 0..count {
            let number = self.books.inbound.len();
            self.books.inbound.push(Inbound {
                qos,
                topic,
                shown: 0,
                output: 0,
                owed: false,
                swallowed: false,
            });
            let matched = self.broker.inject(number, qos, topic, size as usize);
            self.books.inbound[number].owed = matched;
        }
        self.broker.pump(&self.books);
    }

    pub fn subscribe(&mut self, topic: u8, wanted: bool) -> Check {
        let name = format!("i/{topic}");
        let asked = match wanted {
            true => self.session.subscribe(&[filter(&name)], None, &[], self.now),
            false => self.session.unsubscribe(&[name], &[], self.now),
        };
        match asked {
            Ok(()) if wanted => drop(self.wanted.insert(topic)),
            Ok(()) => drop(self.wanted.remove(&topic)),
            Err(Refusal::NotNow) => {}
            Err(other) => return Err(format!("(UN)SUBSCRIBE: {other:?}")),
        }
        Ok(())
    }

    /// Takes all events.
    pub fn drain(&mut self) -> Check {
        while let Some(then) = self.next_event()? {
            match then {
                Then::Go => {}
                Then::Leave => self.leave(),
                Then::Confirmed(confirmed, left) => self.confirmed(confirmed, left)?,
                Then::Connected { doubled, session_present } => self.connected(doubled, session_present)?,
            }
        }
        self.check_books()
    }

    fn next_event(&mut self) -> Check<Option<Then>> {
        let World { session, books, outputs, shown, now, .. } = self;
        let Some(event) = session.poll_event(*now) else { return Ok(None) };
        let text = self.trace.is_some().then(|| format!("event: {event:?}"));
        let then = match event {
            Event::Connected { doubled, session_present, .. } => Then::Connected { doubled, session_present },
            Event::Message { publish, token } => {
                let number = packets::number(publish.payload).ok_or("a payload without a number")?;
                let topic = publish.topic.bytes().last().map_or(0, |last| last.wrapping_sub(b'0'));
                if token.is_some() != (publish.qos > QoS::AtMostOnce) {
                    return Err(format!("message {number}: {token:?}"));
                }
                books.shown(number, publish.qos as u8, topic, *shown)?;
                *shown += 1;
                outputs.push_back((number, token));
                Then::Go
            }
            Event::Acknowledged { id, reason, .. } => {
                books.acknowledged(id as Number, reason)?;
                Then::Go
            }
            Event::Confirmed { confirmed, left } => Then::Confirmed(confirmed, left),
            Event::Subscribed { .. } | Event::Unsubscribed { .. } => Then::Go,
            Event::Refused { .. } | Event::Disconnected { .. } | Event::TimedOut(_) => Then::Leave,
            Event::Violated { what, .. } => return Err(format!("the broker is blamed: {what}")),
            Event::Auth { .. } => return Err("AUTH".to_owned()),
        };
        self.note(|| text.unwrap_or_default());
        Ok(Some(then))
    }

    /// CONNACK: the session counts what may be doubled, and says so too where it cannot know.
    fn connected(&mut self, doubled: u64, session_present: bool) -> Check {
        let due = std::mem::take(&mut self.wire.doubled);
        let right = if session_present { doubled >= due } else { doubled == due };
        if right { Ok(()) } else { Err(format!("{doubled} may be doubled, says the session: {due}")) }
    }

    /// PINGRESP: the broker has the oldest QoS 0 messages.
    fn confirmed(&mut self, confirmed: u64, left: u64) -> Check {
        for _ in 0..confirmed {
            let message = self.unconfirmed.pop_front().ok_or("more confirmed than published")?;
            if self.books.out[message].delivered != 1 {
                return Err(format!("message {message} at QoS 0 is confirmed, but not delivered"));
            }
        }
        let rest = self.unconfirmed.len() as u64;
        if left == rest { Ok(()) } else { Err(format!("{left} unconfirmed, not {rest}")) }
    }

    fn check_books(&self) -> Check {
        let (in_flight, most) = (self.session.in_flight(), usize::from(self.setup.max_inflight));
        if in_flight <= most { Ok(()) } else { Err(format!("{in_flight} in flight, and not {most}")) }
    }
}
