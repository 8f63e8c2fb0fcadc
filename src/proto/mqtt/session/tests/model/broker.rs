//! The model broker: a session, the connections to it, and what it may do with both.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use super::{
    super::{V5, Version, peer},
    books::Books,
    operations::Setup,
    packets::{self, Check, Number, Sent, Told},
};

/// What the broker keeps for the client.
#[derive(Default)]
struct Kept {
    subscriptions: BTreeSet<u8>,
    /// QoS 2 PUBLISHes of the client's before their PUBRELs.
    received: HashMap<u16, Number>,
    /// Messages for the client without a last answer, in order; whether PUBREC has come.
    flying: BTreeMap<u64, (u16, Number, bool)>,
    /// By packet identifier, where they stand there.
    places: HashMap<u16, u64>,
    next_place: u64,
    /// Those that the client's Receive Maximum keeps back.
    queue: VecDeque<Number>,
    next_id: u16,
}

/// Which packets stay in order among themselves: PUBACKs; PUBRECs and PUBCOMPs; messages and PUBRELs; the
/// rest.
pub const LANES: usize = 4;
const RECEIPTS: usize = 0;
const QOS2: usize = 1;
const MESSAGES: usize = 2;
const REST: usize = 3;

/// A packet's bytes, and what they say.
pub type Packet = (Vec<u8>, Told);

/// One connection, as the broker sees it.
#[derive(Default)]
pub struct Connection {
    input: Vec<u8>,
    accepted: bool,
    aliases: BTreeMap<u16, u8>,
    topic_alias_maximum: u16,
    lanes: [VecDeque<Packet>; LANES],
}

pub struct Broker {
    version: Version,
    setup: Setup,
    kept: Option<Kept>,
    /// The number of the session kept.
    session: u64,
    /// By the number of the link.
    connections: BTreeMap<u64, Connection>,
    refuses: bool,
    sizes: HashMap<Number, usize>,
}

impl Broker {
    pub fn new(setup: &Setup) -> Broker {
        Broker {
            version: setup.version,
            setup: setup.clone(),
            kept: None,
            session: 0,
            connections: BTreeMap::new(),
            refuses: false,
            sizes: HashMap::new(),
        }
    }

    pub fn open(&mut self, link: u64) {
        self.connections.insert(link, Connection::default());
    }

    pub fn is_open(&self, link: u64) -> bool {
        self.connections.contains_key(&link)
    }

    pub fn close(&mut self, link: u64) {
        self.connections.remove(&link);
    }

    pub fn refuse(&mut self) {
        self.refuses = true;
    }

    /// The session is gone, and with it what it held for the client.
    pub fn forget(&mut self, books: &mut Books) {
        self.connections.clear();
        self.end_session(books);
    }

    fn end_session(&mut self, books: &mut Books) {
        let Some(kept) = self.kept.take() else { return };
        books.tally.sessions_lost += 1;
        let flying = kept.flying.values().map(|(_, message, _)| message);
        flying.chain(&kept.queue).for_each(|message| books.inbound[*message].owed = false);
    }

    /// All is settled: nothing is left to be sent or answered.
    pub fn is_idle(&self) -> bool {
        let kept = self.kept.as_ref();
        kept.is_some_and(|kept| kept.flying.is_empty() && kept.queue.is_empty() && kept.received.is_empty())
    }

    pub fn subscriptions(&self) -> Option<&BTreeSet<u8>> {
        self.kept.as_ref().map(|kept| &kept.subscriptions)
    }

    /// DISCONNECT on the newest connection, and its end.
    pub fn shut_down(&mut self) -> Option<(u64, Option<Packet>)> {
        let (&link, connection) = self.connections.iter().next_back()?;
        let says = connection.accepted && self.version == V5;
        self.close(link);
        Some((link, says.then(|| (vec![0xe0, 1, 0x8b], Told::Disconnect))))
    }

    /// Someone publishes to it. Whether a subscription matches.
    pub fn inject(&mut self, message: Number, qos: u8, topic: u8, size: usize) -> bool {
        let matched = self.kept.as_ref().is_some_and(|kept| kept.subscriptions.contains(&topic));
        let Some(kept) = self.kept.as_mut().filter(|_| matched) else { return false };
        if qos > 0 {
            self.sizes.insert(message, size);
            kept.queue.push_back(message);
            return true;
        }
        let bytes = packets::to_client(self.version, false, 0, topic, 0, message, size);
        if let Some(connection) = self.connections.values_mut().find(|connection| connection.accepted) {
            let told = Told::Publish { dup: false, qos: 0, id: 0, message };
            connection.lanes[MESSAGES].push_back((bytes, told));
        }
        true
    }

    /// Sends on what waits, as far as the client's Receive Maximum allows.
    pub fn pump(&mut self, books: &Books) {
        let Some(link) = self.accepted() else { return };
        let Some(kept) = &mut self.kept else { return };
        while kept.flying.len() < usize::from(self.setup.receive_maximum) && kept.flying.len() < 65_535 {
            let Some(message) = kept.queue.pop_front() else { return };
            while kept.next_id == 0 || kept.places.contains_key(&kept.next_id) {
                kept.next_id = kept.next_id.wrapping_add(1);
            }
            let id = kept.next_id;
            kept.next_id = id.wrapping_add(1);
            kept.places.insert(id, kept.next_place);
            kept.flying.insert(kept.next_place, (id, message, false));
            kept.next_place += 1;
            let packet = publish(self.version, &self.sizes, books, false, id, message);
            if let Some(connection) = self.connections.get_mut(&link) {
                connection.lanes[MESSAGES].push_back(packet);
            }
        }
    }

    fn accepted(&self) -> Option<u64> {
        self.connections.iter().find(|(_, connection)| connection.accepted).map(|(link, _)| *link)
    }

    /// The next packet of a lane.
    pub fn answer(&mut self, link: u64, lane: usize) -> Option<Packet> {
        self.connections.get_mut(&link)?.lanes[lane].pop_front()
    }

    /// Bytes have come. What is written at once comes back (CONNACK), with the links that are at an end.
    pub fn handle_bytes(
        &mut self,
        link: u64,
        bytes: &[u8],
        books: &mut Books,
        told: &mut Vec<Packet>,
    ) -> Check {
        let Some(connection) = self.connections.get_mut(&link) else { return Ok(()) };
        connection.input.extend_from_slice(bytes);
        let input = std::mem::take(&mut connection.input);
        let mut rest = input.as_slice();
        while let Some((_, end)) = packets::frame(rest) {
            let packet = packets::parse(&rest[..end], self.version)?;
            rest = &rest[end..];
            self.handle_packet(link, packet, books, told)?;
        }
        if let Some(connection) = self.connections.get_mut(&link) {
            connection.input = rest.to_vec();
        }
        Ok(())
    }

    fn handle_packet(&mut self, link: u64, packet: Sent, books: &mut Books, told: &mut Vec<Packet>) -> Check {
        // DISCONNECT or a refusal ended it; what follows is not read.
        let Some(connection) = self.connections.get_mut(&link) else { return Ok(()) };
        if let Sent::Connect { clean } = packet {
            self.connect(link, clean, books, told);
            return Ok(());
        }
        if packet == Sent::Disconnect(0) {
            self.close(link);
            return Ok(());
        }
        let Some(kept) = self.kept.as_mut().filter(|_| connection.accepted) else {
            return Err(format!("{packet:?} before CONNACK"));
        };
        let version = self.version;
        let ack = |first, id, reason| peer::ack(version, first, id, reason);
        match &packet {
            Sent::Publish { .. } => return connection.published(&packet, kept, &self.setup, books),
            &Sent::PubRel(id) => {
                let message = kept.received.remove(&id);
                if let Some(message) = message.filter(|_| self.setup.late) {
                    let topic = books.out[message].topic;
                    books.deliver(message, 2, topic, true)?;
                }
                let reason = if message.is_some() { 0 } else { 0x92 };
                connection.say(QOS2, ack(peer::PUBCOMP, id, reason), Told::PubComp(id));
            }
            &Sent::PubAck(id) => kept.done(id, 1, false, books)?,
            &Sent::PubComp(id) => kept.done(id, 2, true, books)?,
            &Sent::PubRec(id) => {
                kept.flown(id, 2, false, books)?.2 = true;
                connection.say(MESSAGES, ack(peer::PUBREL, id, 0), Told::PubRel(id));
            }
            Sent::Subscribe(id, filters) => {
                let grants = vec![2; filters.len()];
                connection.say(REST, peer::suback(version, *id, &grants), Told::SubAck(*id));
                kept.subscriptions.extend(filters);
            }
            Sent::Unsubscribe(id, filters) => {
                let reasons = vec![0; filters.len()];
                connection.say(REST, peer::unsuback(version, *id, &reasons), Told::UnsubAck(*id));
                kept.subscriptions.retain(|filter| !filters.contains(filter));
            }
            Sent::PingReq => connection.say(REST, peer::PINGRESP.to_vec(), Told::PingResp),
            Sent::Connect { .. } | Sent::Disconnect(_) => return Err(format!("{packet:?} here")),
        }
        Ok(())
    }

    fn connect(&mut self, link: u64, clean: bool, books: &mut Books, told: &mut Vec<Packet>) {
        if std::mem::take(&mut self.refuses) {
            self.close(link);
            let reason = if self.version == V5 { 0x88 } else { 3 };
            told.push((peer::connack(self.version, false, reason, ""), Told::Refused));
            return;
        }
        // The new connection takes over: what the old ones still bring is not read.
        let others = self.connections.len() - 1;
        books.tally.takeovers += others as u64;
        self.connections.retain(|other, _| *other == link);
        if clean {
            self.end_session(books);
        }
        let present = self.kept.is_some();
        self.session += u64::from(!present);
        let kept = self.kept.get_or_insert_with(|| Kept { next_id: 1, ..Kept::default() });
        let (receive_maximum, topic_alias_maximum) = self.setup.limits(link);
        let Some(connection) = self.connections.get_mut(&link) else { return };
        (connection.accepted, connection.topic_alias_maximum) = (true, topic_alias_maximum);
        let properties = format!("21 {receive_maximum:04x} 22 {topic_alias_maximum:04x}");
        let connack = peer::connack(self.version, present, 0, &properties);
        told.push((connack, Told::ConnAck { present, session: self.session, receive_maximum }));
        for &(id, message, released) in kept.flying.values() {
            let packet = if released {
                (peer::ack(self.version, peer::PUBREL, id, 0), Told::PubRel(id))
            } else {
                publish(self.version, &self.sizes, books, true, id, message)
            };
            connection.lanes[MESSAGES].push_back(packet);
        }
    }
}

impl Kept {
    /// The message that an answer is for: in this QoS, and with PUBREC behind it or not.
    fn flown(&mut self, id: u16, qos: u8, released: bool, books: &Books) -> Check<&mut (u16, Number, bool)> {
        let flying = self.places.get(&id).and_then(|place| self.flying.get_mut(place));
        let right =
            |flying: &&mut (u16, Number, bool)| flying.2 == released && books.inbound[flying.1].qos == qos;
        flying.filter(right).ok_or_else(|| format!("an answer at QoS {qos} for {id}, which waits for none"))
    }

    /// PUBACK or PUBCOMP: the message is through.
    fn done(&mut self, id: u16, qos: u8, released: bool, books: &Books) -> Check {
        self.flown(id, qos, released, books)?;
        if let Some(place) = self.places.remove(&id) {
            self.flying.remove(&place);
        }
        Ok(())
    }
}

impl Connection {
    fn say(&mut self, lane: usize, bytes: Vec<u8>, told: Told) {
        self.lanes[lane].push_back((bytes, told));
    }

    /// A message of the client's.
    fn published(&mut self, packet: &Sent, kept: &mut Kept, setup: &Setup, books: &mut Books) -> Check {
        let version = setup.version;
        let &Sent::Publish { qos, topic, alias, id, message, .. } = packet else { return Ok(()) };
        let topic = self.topic(topic, alias).ok_or_else(|| format!("{packet:?}: no such alias"))?;
        let before = kept.received.get(&id).filter(|_| qos > 0);
        if let Some(other) = before.filter(|before| **before != message) {
            return Err(format!("{packet:?}: the identifier stands for message {other}"));
        }
        if before.is_none() && !(qos == 2 && setup.late) {
            books.deliver(message, qos, topic, false)?;
        }
        let reason = if books.out[message].denied { 0x97 } else { 0 };
        if qos == 2 && reason == 0 {
            kept.received.insert(id, message);
        }
        match qos {
            0 => {}
            1 => self.say(RECEIPTS, peer::ack(version, peer::PUBACK, id, reason), Told::PubAck(id, reason)),
            _ => self.say(QOS2, peer::ack(version, peer::PUBREC, id, reason), Told::PubRec(id, reason)),
        }
        Ok(())
    }

    /// The topic, by its alias where it is not given.
    fn topic(&mut self, topic: Option<u8>, alias: Option<u16>) -> Option<u8> {
        let Some(alias) = alias else { return topic };
        if alias == 0 || alias > self.topic_alias_maximum {
            return None;
        }
        match topic {
            Some(topic) => {
                self.aliases.insert(alias, topic);
                Some(topic)
            }
            None => self.aliases.get(&alias).copied(),
        }
    }
}

fn publish(
    version: Version,
    sizes: &HashMap<Number, usize>,
    books: &Books,
    dup: bool,
    id: u16,
    message: Number,
) -> Packet {
    let fate = &books.inbound[message];
    let size = sizes.get(&message).copied().unwrap_or(0);
    let bytes = packets::to_client(version, dup, fate.qos, fate.topic, id, message, size);
    (bytes, Told::Publish { dup, qos: fate.qos, id, message })
}
