//! The sending side of PUBLISH (MQTT 5.0 section 4.3).

use std::{rc::Rc, time::Instant};

use super::{Event, Lent, Message, OUT_MARK, Phase, PublishId, Refusal, Session, State, codec};
use crate::proto::mqtt::packet::{Ack, Outgoing as Packet, PublishProperties, QoS};

/// What [`Event::Violated`] says of a PUBACK in answer to a PUBLISH at QoS 2.
pub const PUBACK_AT_QOS_2: &str = "PUBACK for a PUBLISH at QoS 2";

impl State {
    pub fn can_publish(&self, qos: QoS) -> bool {
        self.phase == Phase::Connected
            && self.out.len() < OUT_MARK
            && (qos == QoS::AtMostOnce
                || (self.outgoing.waiting().is_none() && self.outgoing.on_wire() < self.limits.window))
    }

    fn publish(&mut self, message: Message) -> Result<PublishId, Refusal> {
        if !self.can_publish(message.qos) {
            return Err(Refusal::NotNow);
        }
        if message.qos == QoS::AtMostOnce {
            return self.publish_lent(message.lend());
        }
        let pkid = self.take_id().ok_or(Refusal::NotNow)?;
        let serial = self.queue_publish(message.lend(), message.qos, pkid, false)?;
        self.outgoing.insert(self.next_id, pkid, message, serial);
        self.next_id += 1;
        Ok(self.next_id - 1)
    }

    fn publish_lent(&mut self, message: Lent<'_>) -> Result<PublishId, Refusal> {
        if !self.can_publish(QoS::AtMostOnce) {
            return Err(Refusal::NotNow);
        }
        self.queue_publish(message, QoS::AtMostOnce, 0, false)?;
        self.qos0_accepted += 1;
        self.next_id += 1;
        Ok(self.next_id - 1)
    }

    /// A packet identifier that neither a PUBLISH nor a SUBSCRIBE or UNSUBSCRIBE of ours has.
    pub fn take_id(&mut self) -> Option<u16> {
        let (outgoing, requests) = (&self.outgoing, &self.requests);
        self.ids.take(|id| outgoing.contains(id) || requests.iter().any(|request| request.pkid == id))
    }

    /// Queues a PUBLISH as it is, or refuses what the server would not take; its serial number.
    fn queue_publish(&mut self, message: Lent<'_>, qos: QoS, pkid: u16, dup: bool) -> Result<u64, Refusal> {
        if qos > self.limits.qos {
            return Err(Refusal::QoS(self.limits.qos));
        }
        if message.retain && !self.limits.retain {
            return Err(Refusal::Retain);
        }
        let properties = message.properties;
        let alias = properties.and_then(|properties| properties.topic_alias);
        if alias.is_some_and(|alias| alias > self.limits.topic_alias) {
            return Err(Refusal::TopicAlias(self.limits.topic_alias));
        }
        let known = alias.is_some_and(|alias| self.aliases.get(&alias) == Some(message.topic));
        let packet = Packet {
            dup,
            qos,
            retain: message.retain,
            topic: if known { "" } else { message.topic },
            pkid,
            payload: message.payload,
            properties,
        };
        let serial = self.queue(|out, version| codec::publish(out, version, &packet))?;
        if let Some(alias) = alias.filter(|_| !known) {
            self.aliases.insert(alias, message.topic.clone());
        }
        Ok(serial)
    }

    /// Queues what an earlier connection left, as far as the window and the out-buffer allow.
    pub fn send_waiting(&mut self) {
        while self.phase == Phase::Connected
            && self.out.len() < OUT_MARK
            && self.outgoing.on_wire() < self.limits.window
        {
            let Some(entry) = self.outgoing.waiting() else { return };
            let (id, pkid, dup) = (entry.id, entry.pkid, entry.sent);
            // What waits has a message: PUBREL does not wait.
            let Some(message) = entry.message.clone() else { return };
            let message = self.without_alias_above_limit(message);
            match self.queue_publish(message.lend(), message.qos, pkid, dup) {
                Ok(serial) => self.outgoing.waiting_queued(serial),
                Err(refusal) => {
                    // The server of before took what this one does not: it shall be as if refused by PUBACK.
                    self.outgoing.remove(pkid);
                    let text = Some("above the limits of the server on this connection".to_owned());
                    self.events.push_back(Event::Acknowledged { id, reason: refusal.reason(), text });
                }
            }
        }
    }

    fn without_alias_above_limit(&self, mut message: Message) -> Message {
        if let Some(properties) = &mut message.properties {
            if properties.topic_alias.is_some_and(|alias| alias > self.limits.topic_alias) {
                *properties = Rc::new(PublishProperties { topic_alias: None, ..(**properties).clone() });
            }
        }
        message
    }

    pub fn handle_puback(&mut self, ack: Ack) -> Option<Event<'static>> {
        let entry = self.outgoing.get(ack.pkid, self.sent.taken())?;
        if entry.message.as_ref().is_none_or(|message| message.qos != QoS::AtLeastOnce) {
            return self.violated(0x82, PUBACK_AT_QOS_2.to_owned());
        }
        self.finish(ack.pkid, ack.reason, ack.text)
    }

    pub fn handle_pubrec(&mut self, ack: Ack) -> Option<Event<'static>> {
        let Some(entry) = self.outgoing.get(ack.pkid, self.sent.taken()) else {
            self.queue_ack(codec::AckType::PubRel, ack.pkid, 0x92);
            return None;
        };
        let Some(message) = &entry.message else {
            // Past PUBREC already: PUBREL again.
            self.queue_ack(codec::AckType::PubRel, ack.pkid, 0);
            return None;
        };
        if message.qos != QoS::ExactlyOnce {
            return self.violated(0x82, "PUBREC for a PUBLISH at QoS 1".to_owned());
        }
        if ack.reason >= 0x80 {
            return self.finish(ack.pkid, ack.reason, ack.text);
        }
        let serial = self.queue_ack(codec::AckType::PubRel, ack.pkid, 0);
        self.outgoing.release(ack.pkid, ack.reason, serial.unwrap_or(0));
        None
    }

    pub fn handle_pubcomp(&mut self, ack: Ack) -> Option<Event<'static>> {
        let entry = self.outgoing.get(ack.pkid, self.sent.taken())?;
        if entry.message.is_some() {
            return None;
        }
        // What PUBREC said is what became of the message; 0x92 here only says that PUBREL came twice.
        let reason = entry.reason;
        self.finish(ack.pkid, reason, ack.text)
    }

    fn finish(&mut self, pkid: u16, reason: u8, text: Option<String>) -> Option<Event<'static>> {
        let (id, _) = self.outgoing.remove(pkid)?;
        // Now, not only in `poll_transmit`: it may bring events of its own.
        self.send_waiting();
        Some(Event::Acknowledged { id, reason, text })
    }
}

impl Session {
    /// Queues a PUBLISH. QoS 1 and 2 are kept until they are through.
    pub fn publish(&mut self, message: Message, _now: Instant) -> Result<PublishId, Refusal> {
        self.state.publish(message)
    }

    /// Queues a PUBLISH at QoS 0.
    #[inline]
    pub fn publish_lent(&mut self, message: Lent<'_>, _now: Instant) -> Result<PublishId, Refusal> {
        self.state.publish_lent(message)
    }
}

impl Refusal {
    /// The reason that a server would give.
    pub(super) fn reason(&self) -> u8 {
        match self {
            Refusal::QoS(_) => 0x9b,
            Refusal::Retain => 0x9a,
            Refusal::TooLarge(..) => 0x95,
            Refusal::TopicAlias(_) => 0x94,
            _ => 0x80,
        }
    }
}
