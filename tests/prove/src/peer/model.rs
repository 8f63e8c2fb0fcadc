//! What a broker knows of one client: its session, what it has from it, and what it has for it.

use std::collections::BTreeMap;

use super::packet::{self, Publish};

/// How far a message for the client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Waiting,
    /// PUBLISH is sent.
    Sent(u16),
    /// PUBREC has come.
    Released(u16),
    Done,
}

/// What is to be sent, and what is certain once that is.
#[derive(Default)]
pub struct Reply {
    pub bytes: Vec<u8>,
    /// The payloads that PUBACK or PUBREC is for.
    acknowledged: Vec<Vec<u8>>,
    connack: bool,
}

pub struct Model {
    v5: bool,
    qos: u8,
    /// The next CONNECT finds no session.
    pub forgetful: bool,
    /// One message at a time for the client.
    pub stepwise: bool,
    has_session: bool,
    subscribed: bool,
    outgoing: Vec<(Vec<u8>, Stage)>,
    next_id: u16,
    /// QoS 2, between PUBLISH and PUBREL.
    received: BTreeMap<u16, Vec<u8>>,
    /// What came, in order, to be handed on.
    pub arrived: Vec<Vec<u8>>,
    /// What PUBACK or PUBREC was sent for.
    pub acknowledged: Vec<Vec<u8>>,
    /// A CONNACK was sent whole, so often.
    pub accepted: usize,
    /// A session was forgotten after a CONNACK for it had been sent.
    pub forgot: bool,
    pub disconnected: bool,
    pub wrong: Vec<String>,
}

impl Model {
    /// `payloads` are for the client, once it has subscribed.
    pub fn new(v5: bool, qos: u8, payloads: &[Vec<u8>]) -> Self {
        Self {
            v5,
            qos,
            forgetful: false,
            stepwise: false,
            has_session: false,
            subscribed: false,
            outgoing: payloads.iter().map(|payload| (payload.clone(), Stage::Waiting)).collect(),
            next_id: 1,
            received: BTreeMap::new(),
            arrived: Vec::new(),
            acknowledged: Vec::new(),
            accepted: 0,
            forgot: false,
            disconnected: false,
            wrong: Vec::new(),
        }
    }

    /// Whether the client has acknowledged all there is, to the last step.
    pub fn is_through(&self) -> bool {
        self.subscribed && self.outgoing.iter().all(|(_, stage)| *stage == Stage::Done)
    }

    /// Messages for the client for which no PUBACK or PUBREC has come.
    pub fn owed(&self) -> Vec<&[u8]> {
        let owed = |stage: &Stage| matches!(stage, Stage::Waiting | Stage::Sent(_));
        self.outgoing.iter().filter(|(_, stage)| owed(stage)).map(|(payload, _)| payload.as_slice()).collect()
    }

    /// QoS 2 messages from the client whose PUBREL has not come.
    pub fn unreleased(&self) -> usize {
        self.received.len()
    }

    /// Answers a packet. `is_output` tells whether a payload stands on the client's stdout, whole.
    pub fn handle(&mut self, bytes: &[u8], is_output: &dyn Fn(&[u8]) -> bool) -> Reply {
        let mut reply = Reply::default();
        let id = bytes.get(2..4).map_or(0, |id| u16::from_be_bytes([id[0], id[1]]));
        match bytes[0] >> 4 {
            1 => self.handle_connect(bytes, &mut reply),
            3 => self.handle_publish(bytes, &mut reply),
            4 | 5 | 7 => self.handle_ack(bytes, id, is_output, &mut reply),
            6 => {
                self.received.remove(&id);
                reply.bytes = packet::ack(0x70, id);
            }
            8 => {
                let reason =
                    [id.to_be_bytes().as_slice(), if self.v5 { &[0] } else { &[] }, &[self.qos]].concat();
                reply.bytes = packet::packet(0x90, &reason);
                self.subscribed = true;
                self.deliver(false, &mut reply);
            }
            12 => reply.bytes = vec![0xd0, 0],
            14 => self.disconnected = true,
            other => self.wrong.push(format!("a packet of type {other}")),
        }
        reply
    }

    /// The whole reply has been sent.
    pub fn sent(&mut self, reply: Reply) {
        self.acknowledged.extend(reply.acknowledged);
        self.accepted += usize::from(reply.connack);
    }

    fn handle_connect(&mut self, bytes: &[u8], reply: &mut Reply) {
        // Fixed header, "MQTT" with its length, the version, the flags. CONNECT is shorter than 128 bytes here.
        let clean = bytes.get(9).is_some_and(|flags| flags & 2 != 0);
        let forgets = std::mem::take(&mut self.forgetful) && self.has_session;
        if clean || forgets {
            self.forgot |= forgets && self.accepted > 0;
            self.forget();
        }
        let present = std::mem::replace(&mut self.has_session, true);
        reply.bytes = match self.v5 {
            true => packet::packet(0x20, &[u8::from(present), 0, 0]),
            false => packet::packet(0x20, &[u8::from(present), 0]),
        };
        reply.connack = true;
        if self.subscribed {
            self.deliver(true, reply);
        }
    }

    /// What was not through is new again to a new session.
    fn forget(&mut self) {
        (self.has_session, self.subscribed, self.next_id) = (false, false, 1);
        self.received.clear();
        for (_, stage) in &mut self.outgoing {
            *stage = match stage {
                Stage::Waiting | Stage::Sent(_) => Stage::Waiting,
                Stage::Released(_) | Stage::Done => Stage::Done,
            };
        }
    }

    /// Sends what waits, and after a reconnect what was under way, in order (MQTT 5.0 section 4.4).
    fn deliver(&mut self, again: bool, reply: &mut Reply) {
        let under_way = |stage: &Stage| matches!(stage, Stage::Sent(_) | Stage::Released(_));
        let mut busy = self.stepwise && self.outgoing.iter().any(|(_, stage)| under_way(stage));
        for (payload, stage) in &mut self.outgoing {
            let dup = match stage {
                Stage::Waiting if busy => continue,
                Stage::Waiting => {
                    busy = self.stepwise;
                    *stage = Stage::Sent(self.next_id);
                    self.next_id += 1;
                    false
                }
                Stage::Sent(_) if again => true,
                Stage::Released(id) if again => {
                    reply.bytes.extend(packet::ack(0x62, *id));
                    continue;
                }
                _ => continue,
            };
            let Stage::Sent(id) = *stage else { continue };
            let (topic, payload) = (b"t".to_vec(), payload.clone());
            let publish = Publish { qos: self.qos, dup, id, topic, properties: Vec::new(), payload };
            reply.bytes.extend(publish.encode(self.v5));
        }
    }

    fn handle_ack(&mut self, bytes: &[u8], id: u16, is_output: &dyn Fn(&[u8]) -> bool, reply: &mut Reply) {
        let kind = bytes[0] >> 4;
        let mut found = false;
        for (payload, stage) in &mut self.outgoing {
            let next = match (kind, *stage) {
                (4, Stage::Sent(own)) if own == id && self.qos == 1 => Stage::Done,
                (5, Stage::Sent(own) | Stage::Released(own)) if own == id && self.qos == 2 => {
                    Stage::Released(id)
                }
                (7, Stage::Released(own)) if own == id => Stage::Done,
                _ => continue,
            };
            found = true;
            if !is_output(payload) {
                self.wrong.push(format!("{:?} is acknowledged before it is output", payload.escape_ascii()));
            }
            if kind == 5 {
                reply.bytes.extend(packet::ack(0x62, id));
            }
            *stage = next;
        }
        self.deliver(false, reply);
        if !found {
            self.wrong.push(format!("acknowledgement of type {kind} for the unknown identifier {id}"));
        }
    }

    fn handle_publish(&mut self, bytes: &[u8], reply: &mut Reply) {
        let Some(publish) = Publish::decode(bytes, self.v5) else {
            return self.wrong.push(format!("PUBLISH cannot be read: {}", bytes.escape_ascii()));
        };
        let known = self.received.get(&publish.id);
        if known.is_some_and(|payload| *payload != publish.payload) {
            self.wrong.push(format!("the identifier {} is used for two messages at once", publish.id));
        }
        if known.is_some() && !publish.dup {
            self.wrong.push(format!("PUBLISH {} again, without DUP", publish.id));
        }
        if publish.qos != self.qos {
            self.wrong.push(format!("PUBLISH at QoS {}", publish.qos));
        }
        if known.is_none() {
            self.arrived.push(publish.payload.clone());
        }
        if self.qos == 2 {
            self.received.insert(publish.id, publish.payload.clone());
        }
        reply.bytes = packet::ack(if self.qos == 2 { 0x50 } else { 0x40 }, publish.id);
        reply.acknowledged.push(publish.payload);
    }
}
