//! What the session hands out, held against the standard and what it was told: one who stands between it and
//! its socket, and knows what stdout has taken.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    time::Instant,
};

use super::{
    books::Books,
    packets::{Check, Number, Sent, Told},
};

/// What a packet identifier stands for.
#[derive(Debug)]
enum Use {
    /// A PUBLISH without PUBACK or PUBREC; whether the session of this time has had it handed out.
    Publish {
        message: Number,
        qos: u8,
        handed: bool,
    },
    /// PUBREC has come, as so-manieth of all.
    Release {
        message: Number,
        order: u64,
        /// The client cannot know that the session in which it came is still there.
        doubt: bool,
    },
    Subscribe,
    Unsubscribe,
}

#[derive(Debug)]
struct Held {
    what: Use,
    /// The last connection that it was handed out on, and that its PUBLISH was.
    connection: u64,
    published: u64,
}

impl Held {
    fn new(what: Use, connection: u64) -> Held {
        Held { what, connection, published: connection }
    }

    fn is_in_doubt(&self) -> bool {
        matches!(self.what, Use::Release { doubt: true, .. })
    }
}

#[derive(Default)]
pub struct Wire {
    connection: u64,
    connect: bool,
    /// An answer to CONNECT was heard.
    heard: bool,
    /// A CONNECT without one has followed the last CONNACK.
    doubt: bool,
    /// CONNACK was heard, and no DISCONNECT.
    pub accepted: bool,
    ended: bool,
    /// The broker's session that the client was told of last.
    pub session: u64,
    held: HashMap<u16, Held>,
    /// PUBLISHes of QoS 1 and 2 on this connection that have no last answer.
    on_wire: usize,
    window: usize,
    /// The newest PUBLISH of QoS 1 or 2, and the PUBREL for the newest PUBREC, of this connection.
    newest: Option<Number>,
    newest_release: u64,
    releases: u64,
    /// The PUBLISHes of the broker's on this connection that are not acknowledged, and the PUBRELs.
    arrived: [VecDeque<(u16, Number)>; 2],
    released: VecDeque<u16>,
    /// QoS 2 messages of the broker's before their PUBRELs, and those among them whose session was lost
    /// unseen.
    received: BTreeSet<u16>,
    pub stale: BTreeSet<u16>,
    /// When something was handed out last.
    pub last: Option<Instant>,
    /// How many PUBLISHes have been handed out on a lost session, as the client should count them.
    pub doubled: u64,
}

impl Wire {
    pub fn begin(&mut self) {
        self.connection += 1;
        self.doubt |= self.connect && !self.heard && self.session != 0;
        self.connect = false;
        self.heard = false;
        self.accepted = false;
        self.ended = false;
        self.on_wire = 0;
        self.newest = None;
        self.newest_release = 0;
        self.arrived = Default::default();
        self.released.clear();
        self.last = None;
    }

    /// The client hands out a packet; stdout has taken `taken` messages.
    pub fn handed(&mut self, packet: &Sent, books: &Books, taken: u64, now: Instant) -> Check {
        if self.ended {
            return Err(format!("{packet:?} after the end of the connection"));
        }
        let connect = matches!(packet, Sent::Connect { .. });
        if std::mem::replace(&mut self.connect, true) == connect {
            return Err(format!("{packet:?}: CONNECT is the first packet, and once"));
        }
        if !self.accepted && !connect && !matches!(packet, Sent::Disconnect(_)) {
            return Err(format!("{packet:?} before CONNACK or after DISCONNECT"));
        }
        self.last = Some(now);
        match packet {
            Sent::Publish { qos: 1.., .. } => self.publish(packet),
            Sent::PubAck(id) => self.receipt(0, *id, books, taken),
            Sent::PubRec(id) => self.receipt(1, *id, books, taken),
            Sent::PubRel(id) => self.release(*id),
            Sent::PubComp(id) => match self.released.pop_front() {
                Some(oldest) if oldest == *id => Ok(()),
                oldest => Err(format!("PUBCOMP {id}, where the oldest PUBREL is {oldest:?}")),
            },
            Sent::Subscribe(id, _) => self.request(*id, true),
            Sent::Unsubscribe(id, _) => self.request(*id, false),
            Sent::Disconnect(reason) => {
                self.ended = true;
                if *reason == 0 {
                    Ok(())
                } else {
                    Err(format!("DISCONNECT {reason:#04x}: no reason for that"))
                }
            }
            Sent::Connect { .. } | Sent::PingReq | Sent::Publish { .. } => Ok(()),
        }
    }

    fn publish(&mut self, packet: &Sent) -> Check {
        let &Sent::Publish { dup, qos, id, message, .. } = packet else { return Ok(()) };
        let connection = self.connection;
        let due = match self.held.get_mut(&id) {
            None => false,
            Some(Held { what: Use::Publish { message: same, handed, .. }, connection: last, published })
                if *same == message && *last != connection =>
            {
                (*last, *published) = (connection, connection);
                std::mem::replace(handed, true)
            }
            Some(held) => return Err(format!("{packet:?}, where the identifier is in flight: {held:?}")),
        };
        if dup != due {
            return Err(format!("{packet:?}: DUP should be {due}"));
        }
        self.held.entry(id).or_insert(Held::new(Use::Publish { message, qos, handed: true }, connection));
        self.on_wire += 1;
        if self.on_wire > self.window {
            return Err(format!("{packet:?} is the {}th in a window of {}", self.on_wire, self.window));
        }
        if let Some(newest) = self.newest.replace(message).filter(|newest| *newest >= message) {
            return Err(format!("{packet:?} after message {newest}"));
        }
        Ok(())
    }

    fn release(&mut self, id: u16) -> Check {
        match self.held.get_mut(&id) {
            Some(Held { what: Use::Release { order, .. }, connection, .. })
                if *connection != self.connection && *order > self.newest_release =>
            {
                *connection = self.connection;
                self.newest_release = *order;
                Ok(())
            }
            held => Err(format!("PUBREL {id}, where the identifier is {held:?}")),
        }
    }

    /// PUBACK and PUBREC: after the output, in the order of arrival.
    fn receipt(&mut self, lane: usize, id: u16, books: &Books, taken: u64) -> Check {
        let name = ["PUBACK", "PUBREC"][lane];
        // One that was taken for a repetition is acknowledged at once, perhaps before older ones.
        let early = |&(own, message): &(u16, Number)| own == id && books.inbound[message].swallowed;
        let any = books.tally.swallowed > 0;
        let place = if any { self.arrived[lane].iter().position(early).unwrap_or(0) } else { 0 };
        match self.arrived[lane].remove(place) {
            Some((oldest, message)) if oldest == id => {
                let fate = &books.inbound[message];
                let out = (fate.shown > 0 && fate.output < taken) || fate.swallowed;
                if out { Ok(()) } else { Err(format!("{name} {id} before stdout took message {message}")) }
            }
            oldest => Err(format!("{name} {id}, where the oldest PUBLISH is {oldest:?}")),
        }
    }

    fn request(&mut self, id: u16, subscribe: bool) -> Check {
        let connection = self.connection;
        let what = if subscribe { Use::Subscribe } else { Use::Unsubscribe };
        match self.held.get_mut(&id) {
            None => drop(self.held.insert(id, Held::new(what, connection))),
            Some(Held { what: Use::Subscribe, connection: last, .. }) if subscribe && *last != connection => {
                *last = connection;
            }
            Some(Held { what: Use::Unsubscribe, connection: last, .. })
                if !subscribe && *last != connection =>
            {
                *last = connection;
            }
            held => return Err(format!("SUBSCRIBE or UNSUBSCRIBE {id}, where the identifier is {held:?}")),
        }
        Ok(())
    }

    /// The client has all bytes of a packet of the broker's.
    pub fn told(&mut self, packet: &Told, bound: u16, books: &mut Books) {
        match *packet {
            Told::ConnAck { present, session, receive_maximum } => {
                (self.accepted, self.heard) = (true, true);
                self.window = usize::from(receive_maximum.min(bound));
                let doubt = std::mem::take(&mut self.doubt);
                self.doubt_released(doubt || !present, self.session != session, books);
                if !present {
                    self.session_lost(books);
                } else if self.session != session && self.session != 0 {
                    // It began on a connection whose CONNACK never came.
                    books.tally.losses_hidden += 1;
                    self.doubled += self.may_double(2, books);
                    self.stale.append(&mut self.received);
                }
                self.session = session;
            }
            // A DISCONNECT of ours that was queued before this or a refusal came may still leave; nothing
            // else may.
            Told::Disconnect => self.accepted = false,
            Told::Refused => self.heard = true,
            Told::Publish { qos: 0, .. } | Told::PingResp => {}
            Told::Publish { qos, id, message, dup } => {
                self.arrived[usize::from(qos) - 1].push_back((id, message));
                if qos == 2 {
                    self.received.insert(id);
                    // It looks like a repetition of one in the session before, and nothing shows that it is
                    // not.
                    let lost = self.stale.remove(&id) && dup && books.inbound[message].shown == 0;
                    books.inbound[message].swallowed |= lost;
                    books.tally.swallowed += u64::from(lost);
                }
            }
            Told::PubRel(id) => {
                self.received.remove(&id);
                self.stale.remove(&id);
                self.released.push_back(id);
            }
            Told::PubRec(id, reason) if reason < 0x80 => {
                self.releases += 1;
                if let Some(held) = self.held.get_mut(&id) {
                    if let Use::Publish { message, .. } = held.what {
                        held.what = Use::Release { message, order: self.releases, doubt: false };
                        held.connection = 0;
                    }
                }
            }
            Told::PubAck(id, _) | Told::PubRec(id, _) | Told::PubComp(id) => {
                // What was published on an earlier connection does not count on this one (MQTT 5.0 section
                // 4.9).
                let held = self.held.remove(&id);
                let unknown = held.as_ref().is_some_and(Held::is_in_doubt);
                books.tally.unknown_qos2 += u64::from(unknown);
                let counts = held.is_some_and(|held| held.published == self.connection);
                self.on_wire -= usize::from(counts);
            }
            Told::SubAck(id) | Told::UnsubAck(id) => drop(self.held.remove(&id)),
        }
    }

    /// A session that the client doubts, or the broker lost, may not have had these released.
    fn doubt_released(&mut self, doubts: bool, lost: bool, books: &mut Books) {
        for held in self.held.values_mut() {
            if let Use::Release { message, doubt, .. } = &mut held.what {
                *doubt |= doubts;
                books.out[*message].forgotten |= lost;
            }
        }
    }

    /// What was handed out may be delivered once more: how many at that QoS or above.
    fn may_double(&mut self, least: u8, books: &mut Books) -> u64 {
        let mut count = 0;
        for held in self.held.values_mut() {
            match held.what {
                Use::Publish { message, qos, handed: true } if qos >= least => {
                    books.out[message].doubled += 1;
                    count += 1;
                }
                _ => {}
            }
        }
        count
    }

    fn session_lost(&mut self, books: &mut Books) {
        self.doubled += self.may_double(1, books);
        self.received.clear();
        self.stale.clear();
        let between = self.held.values().filter(|held| held.is_in_doubt());
        books.tally.unknown_qos2 += between.count() as u64;
        self.held.retain(|_, held| match &mut held.what {
            Use::Publish { handed, .. } => {
                *handed = false;
                true
            }
            Use::Unsubscribe => true,
            Use::Release { .. } | Use::Subscribe => false,
        });
    }
}
