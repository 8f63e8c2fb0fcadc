//! What comes from the server: bytes to packets, and the receiving side of PUBLISH.

use std::{collections::hash_map::Entry, rc::Rc, time::Instant};

use super::{AckToken, Event, Phase, Session, State, codec};
use crate::proto::mqtt::{
    inflight::IdMap,
    packet::{Packet, Publish, QoS},
};

/// Packet types, as in the first four bits of a packet.
const CONNACK: u8 = 2;
const PUBLISH: u8 = 3;
const AUTH: u8 = 15;
/// The capacity of the in-buffer that outlives a packet.
const CAPACITY_KEPT: usize = 1024 * 1024;
/// How much of what is no CONNACK is shown.
const SHOWN: usize = 32;

/// A reason for DISCONNECT, and what happened.
type Violation = (u8, String);

/// The bytes that came in, and what is needed to show them.
#[derive(Default)]
pub(super) struct Input {
    pub bytes: Vec<u8>,
    /// What is before this is dealt with.
    pub start: usize,
    /// The server's topic aliases.
    pub aliases: IdMap<Rc<str>>,
}

impl Input {
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start == self.bytes.len() {
            self.start = 0;
            self.bytes.clear();
            // What one large packet needed is not kept for all time.
            self.bytes.shrink_to(CAPACITY_KEPT);
        } else if self.start > self.bytes.len() / 2 {
            // Less is moved than was dealt with, so that each byte is moved about once at most.
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }
}

/// A QoS 2 message between its PUBLISH and its PUBREL.
#[derive(Debug)]
pub(super) struct Received {
    /// The last connection on which its PUBLISH came.
    seen: u32,
    /// The owner has acknowledged it.
    done: bool,
    /// As in its token.
    order: u64,
    /// It is perhaps of a session that the server has lost.
    pub doubt: bool,
}

/// What becomes of a PUBLISH.
pub(super) enum Shown {
    /// A repetition: nothing.
    Not,
    /// An event; its topic is that of the alias, where there is one.
    Message { token: Option<AckToken>, alias: Option<u16> },
}

impl State {
    /// Cuts and decodes the next packet; none when more bytes are needed.
    pub fn next_packet<'a>(
        &mut self,
        bytes: &'a [u8],
        start: &mut usize,
    ) -> Result<Option<Packet<'a>>, Option<Event<'static>>> {
        let rest = &bytes[*start..];
        if rest.is_empty() || !self.reads() {
            return Ok(None);
        }
        let first = rest[0] >> 4;
        let auth = first == AUTH && self.options.connect.properties.authentication_method.is_some();
        if self.phase == Phase::Connecting && first != CONNACK && !auth {
            return Err(self.violated(0x82, format!("expected CONNACK, received {}", beginning(rest))));
        }
        let decoded = match codec::frame(rest, self.version, self.options.max_packet) {
            Ok(None) => return Ok(None),
            Ok(Some(len)) => {
                *start += len;
                codec::decode(&rest[..len], self.version)
            }
            // The message is to name the topic: it is about to come.
            Err(codec::Error::TooLarge(_, None)) if first == PUBLISH && !topic_complete(rest) => {
                return Ok(None);
            }
            Err(error) => Err(error),
        };
        decoded.map(Some).map_err(|error| {
            let above = matches!(error, codec::Error::TooLarge(..));
            let mut what = error.to_string();
            if above {
                what = format!("{what}, where the limit is {}", self.options.max_packet);
            }
            if self.phase == Phase::Connecting {
                what = format!("{what}: received {}", beginning(rest));
            }
            let mut event = self.violated(error.reason(), what);
            if let Some(Event::Violated { too_large, .. }) = &mut event {
                *too_large = above;
            }
            event
        })
    }

    /// Deals with any packet but PUBLISH.
    pub fn handle_packet(&mut self, packet: Packet<'_>) -> Option<Event<'static>> {
        match packet {
            Packet::ConnAck { session_present, reason, properties } => {
                if self.phase != Phase::Connecting {
                    return self.violated(0x82, "a second CONNACK".to_owned());
                }
                self.handle_connack(session_present, reason, properties)
            }
            // Handled by `handle_publish`, which knows the aliases.
            Packet::Publish(_) => None,
            Packet::PubAck(ack) => self.handle_puback(ack),
            Packet::PubRec(ack) => self.handle_pubrec(ack),
            Packet::PubRel(ack) => self.handle_pubrel(ack.pkid),
            Packet::PubComp(ack) => self.handle_pubcomp(ack),
            Packet::SubAck(acks) => self.handle_suback(acks),
            Packet::UnsubAck(acks) => self.handle_unsuback(acks),
            Packet::PingResp => self.handle_pingresp(),
            Packet::Disconnect { reason, text, server_reference } => {
                let leaving = self.phase == Phase::Closing;
                self.end();
                (!leaving).then_some(Event::Disconnected { reason, text, server_reference })
            }
            Packet::Auth { reason, method, data } => {
                if self.options.connect.properties.authentication_method.is_none() {
                    return self.violated(0x82, "AUTH without an authentication method".to_owned());
                }
                (self.phase != Phase::Closing).then_some(Event::Auth { reason, method, data })
            }
        }
    }

    /// The server has ended the connection: nothing more may be sent on it.
    pub fn end(&mut self) {
        self.phase = Phase::Dead;
        self.out.clear();
    }

    /// Deals with a PUBLISH, up to whether and how it is shown.
    pub fn handle_publish(
        &mut self,
        publish: &Publish<'_>,
        aliases: &mut IdMap<Rc<str>>,
    ) -> Result<Shown, Violation> {
        // After DISCONNECT nothing can be acknowledged any more.
        if self.phase != Phase::Connected {
            return Ok(Shown::Not);
        }
        let alias = self.resolve_alias(publish, aliases)?;
        let (connection, pkid, qos, order) =
            (self.connection, publish.pkid, publish.qos, self.received_count);
        let token = Some(AckToken { connection, pkid, qos, order });
        match qos {
            QoS::AtMostOnce => Ok(Shown::Message { token: None, alias }),
            // That the server keeps to our Receive Maximum is not checked: mosquitto 2.0.11 goes beyond it at
            // QoS 2, and identifiers of 16 bits and the owner's buffer bound what that can cost.
            QoS::AtLeastOnce => Ok(Shown::Message { token, alias }),
            QoS::ExactlyOnce => {
                let repeated = self.handle_publish_qos2(pkid, publish.dup);
                Ok(if repeated { Shown::Not } else { Shown::Message { token, alias } })
            }
        }
    }

    /// Whether it is a repetition (MQTT 5.0 section 4.3.3).
    fn handle_publish_qos2(&mut self, pkid: u16, dup: bool) -> bool {
        let connection = self.connection;
        let new = Received { seen: connection, done: false, order: self.received_count, doubt: false };
        let (repeated, done) = match self.received.entry(pkid) {
            Entry::Vacant(vacant) => {
                vacant.insert(new);
                self.received_count += 1;
                (false, false)
            }
            // A repetition has DUP [MQTT-3.3.1-1]: the session in which that message came is lost.
            Entry::Occupied(mut entry) if entry.get().doubt && !dup => {
                entry.insert(new);
                self.received_count += 1;
                (false, false)
            }
            Entry::Occupied(mut entry) => {
                entry.get_mut().seen = connection;
                (true, entry.get().done)
            }
        };
        if done {
            self.queue_ack(codec::AckType::PubRec, pkid, 0);
        }
        repeated
    }

    /// Keeps the topic of an alias; the alias comes back where the PUBLISH has no topic of its own.
    fn resolve_alias(
        &self,
        publish: &Publish<'_>,
        aliases: &mut IdMap<Rc<str>>,
    ) -> Result<Option<u16>, Violation> {
        let Some(alias) = publish.properties.as_ref().and_then(|properties| properties.topic_alias) else {
            return Ok(None);
        };
        let maximum = self.options.connect.properties.topic_alias_maximum.unwrap_or(0);
        if alias == 0 || alias > maximum {
            return Err((0x94, format!("topic alias {alias}, where our Topic Alias Maximum is {maximum}")));
        }
        if publish.topic.is_empty() {
            // MQTT 5.0 section 3.3.4 says 0x82 here, not 0x94.
            let known = aliases.contains_key(&alias);
            return if known { Ok(Some(alias)) } else { Err((0x82, format!("unknown topic alias {alias}"))) };
        }
        if aliases.get(&alias).is_none_or(|topic| **topic != *publish.topic) {
            aliases.insert(alias, publish.topic.into());
        }
        Ok(None)
    }

    fn handle_pubrel(&mut self, pkid: u16) -> Option<Event<'static>> {
        let reason = if self.received.remove(&pkid).is_some() { 0 } else { 0x92 };
        self.queue_ack(codec::AckType::PubComp, pkid, reason);
        None
    }

    /// Queues PUBACK, PUBREC, PUBREL or PUBCOMP while connected.
    pub fn queue_ack(&mut self, kind: codec::AckType, pkid: u16, reason: u8) -> Option<u64> {
        if self.phase != Phase::Connected {
            return None;
        }
        // Packet identifiers are not 0, and a server that takes no packet this small gets none.
        self.queue(|out, version| codec::ack(out, version, kind, pkid, reason)).ok()
    }

    fn acknowledge(&mut self, token: AckToken) {
        let current = token.connection == self.connection && self.phase == Phase::Connected;
        if token.qos == QoS::AtLeastOnce {
            if current {
                self.queue_ack(codec::AckType::PubAck, token.pkid, 0);
            }
            return;
        }
        // The identifier may mean another message by now.
        let received = self.received.get_mut(&token.pkid).filter(|received| received.order == token.order);
        let Some(received) = received else { return };
        let first = !std::mem::replace(&mut received.done, true);
        // The server may have repeated it on this connection, and wait for our word here.
        if first && received.seen == self.connection {
            self.queue_ack(codec::AckType::PubRec, token.pkid, 0);
        }
    }
}

impl Session {
    /// A WebSocket text frame: none of its bytes are MQTT's (section 6), and nothing more is read.
    pub fn handle_text(&mut self, bytes: &[u8]) {
        if self.state.reads() {
            let what =
                format!("a text frame where packets come in binary ones: received {}", beginning(bytes));
            let event = self.state.violated(0x82, what);
            self.state.events.extend(event);
        }
    }

    /// The message is safe: PUBACK or PUBREC is queued. A token of an earlier connection sends nothing; at QoS 2
    /// a repetition of its message is then known for what it is, and acknowledged when it comes or has come.
    pub fn acknowledge(&mut self, token: AckToken, _now: Instant) {
        self.state.acknowledge(token);
    }

    /// Whether nothing more is to be exchanged about a message once it is acknowledged: at QoS 2, whether its
    /// PUBREL has come and PUBCOMP is queued (or the session is lost).
    pub fn is_complete(&self, token: AckToken) -> bool {
        let received = self.state.received.get(&token.pkid);
        token.qos != QoS::ExactlyOnce || received.is_none_or(|received| received.order != token.order)
    }
}

/// Whether the Topic Name of a PUBLISH, whose fixed header is there, is there as well.
fn topic_complete(packet: &[u8]) -> bool {
    let end = packet[1..].iter().position(|byte| byte & 0x80 == 0).unwrap_or(0) + 2;
    match packet.get(end..end + 2) {
        Some(len) => packet.len() - end - 2 >= usize::from(u16::from_be_bytes([len[0], len[1]])),
        None => false,
    }
}

/// The first bytes, so that a server that speaks something else can be recognised. One that sends back what
/// it got sends the password, too: that is never shown.
fn beginning(bytes: &[u8]) -> String {
    if memchr::memmem::find(bytes, b"\0\x04MQTT").is_some() {
        return "our own CONNECT: an echo server, no broker".to_owned();
    }
    let dots = if bytes.len() > SHOWN { "…" } else { "" };
    format!("\"{}{dots}\"", bytes[..bytes.len().min(SHOWN)].escape_ascii())
}
