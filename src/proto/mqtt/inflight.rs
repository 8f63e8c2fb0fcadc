//! The packet identifiers and the QoS 1 and 2 PUBLISHes that wait for their acknowledgements.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

use super::{
    packet::QoS,
    session::{Message, PublishId},
};

/// A map by packet identifier or topic alias.
pub type IdMap<T> = HashMap<u16, T, BuildHasherDefault<IdHasher>>;

/// Spreads 16 bits over 64 by a multiplication: with so few keys no peer can make a long chain of them.
#[derive(Default)]
pub struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u16(u16::from(byte));
        }
    }

    fn write_u16(&mut self, n: u16) {
        self.0 = (self.0 ^ u64::from(n)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Packet identifiers, handed out in a circle from 1 to 65,535 (MQTT 5.0 section 2.2.1).
#[derive(Debug)]
pub struct PacketIds {
    next: u16,
}

impl PacketIds {
    /// Begins at `first`, or at 1 instead of 0.
    pub fn new(first: u16) -> PacketIds {
        PacketIds { next: first.max(1) }
    }

    /// The next one that is not in use; none when all are.
    pub fn take(&mut self, in_use: impl Fn(u16) -> bool) -> Option<u16> {
        for _ in 0..u16::MAX {
            let id = self.next;
            self.next = id.checked_add(1).unwrap_or(1);
            if !in_use(id) {
                return Some(id);
            }
        }
        None
    }
}

/// No slot.
const NIL: u32 = u32::MAX;

/// One PUBLISH of ours that is not through.
#[derive(Debug)]
pub struct Entry {
    /// Its order of acceptance.
    pub id: PublishId,
    /// Its packet identifier.
    pub pkid: u16,
    /// Its serial number among the packets queued on this connection; 0 when it was not queued on it.
    pub serial: u64,
    /// It may have left on an earlier connection of this session, so that DUP is due.
    pub sent: bool,
    /// The PUBLISH; none once PUBREC has come and PUBREL is all that may follow.
    pub message: Option<Message>,
    /// PUBREC's reason.
    pub reason: u8,
    /// Past PUBREC, and the session in which that came may be lost.
    doubt: bool,
    /// It is counted among those that may be doubled.
    doubled: bool,
    prev: u32,
    next: u32,
}

/// A doubly linked list through the slots.
#[derive(Debug)]
struct List {
    head: u32,
    tail: u32,
    len: usize,
}

impl List {
    const EMPTY: List = List { head: NIL, tail: NIL, len: 0 };
}

/// The outgoing QoS 1 and 2 PUBLISHes, in two queues: those that wait for PUBACK or PUBREC, in the order of
/// acceptance, and those that wait for PUBCOMP, in the order of their PUBRECs. Both orders are what is owed
/// after a reconnect (MQTT 5.0 section 4.6). Insertion, removal and look-up take constant time.
///
/// The tail of the first queue may be *waiting*: accepted on an earlier connection, not yet queued on this one.
#[derive(Debug)]
pub struct Outgoing {
    slots: Vec<Entry>,
    free: Vec<u32>,
    by_pkid: IdMap<u32>,
    publish: List,
    release: List,
    waiting: u32,
    waiting_len: usize,
    doubled: u64,
    unknown: u64,
}

impl Default for Outgoing {
    fn default() -> Outgoing {
        Outgoing {
            slots: Vec::new(),
            free: Vec::new(),
            by_pkid: IdMap::default(),
            publish: List::EMPTY,
            release: List::EMPTY,
            waiting: NIL,
            waiting_len: 0,
            doubled: 0,
            unknown: 0,
        }
    }
}

impl Outgoing {
    /// How many are not through.
    pub fn len(&self) -> usize {
        self.publish.len + self.release.len
    }

    /// Whether all are through.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many were sent anew, or again where the session may have been lost, all in all; each counts once.
    pub fn doubled(&self) -> u64 {
        self.doubled
    }

    /// How many are through, all in all, whose session was lost between PUBREC and PUBCOMP, or may have been.
    pub fn unknown(&self) -> u64 {
        self.unknown
    }

    /// How many count against the window of this connection.
    pub fn on_wire(&self) -> usize {
        self.len() - self.waiting_len
    }

    /// Whether the packet identifier is one of these.
    pub fn contains(&self, pkid: u16) -> bool {
        self.by_pkid.contains_key(&pkid)
    }

    /// The entry of a packet identifier, if the server can know it: it has left on this connection, where the
    /// packets up to the serial number `taken` have, or on an earlier one, or the server has answered it.
    pub fn get(&self, pkid: u16, taken: u64) -> Option<&Entry> {
        let entry = self.slots.get(*self.by_pkid.get(&pkid)? as usize)?;
        let left = entry.serial != 0 && entry.serial <= taken;
        (left || entry.sent || entry.message.is_none()).then_some(entry)
    }

    /// The serial number of the oldest that waits for PUBACK or PUBREC, and of the oldest that waits for
    /// PUBCOMP.
    pub fn oldest(&self) -> [Option<u64>; 2] {
        [self.publish.head, self.release.head]
            .map(|head| self.slots.get(head as usize).map(|entry| entry.serial).filter(|&serial| serial != 0))
    }

    /// Takes in a PUBLISH just queued. Nothing may be waiting and `pkid` must be unused.
    pub fn insert(&mut self, id: PublishId, pkid: u16, message: Message, serial: u64) {
        let entry = Entry {
            id,
            pkid,
            serial,
            sent: false,
            message: Some(message),
            reason: 0,
            doubt: false,
            doubled: false,
            prev: NIL,
            next: NIL,
        };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = entry;
                slot
            }
            None => {
                self.slots.push(entry);
                // There are at most 65,535 packet identifiers, and as many slots.
                (self.slots.len() - 1) as u32
            }
        };
        self.by_pkid.insert(pkid, slot);
        push_back(&mut self.slots, &mut self.publish, slot);
    }

    /// PUBREC came: PUBREL, with that serial number, takes the place of PUBLISH. False when the packet
    /// identifier does not wait for PUBREC.
    pub fn release(&mut self, pkid: u16, reason: u8, serial: u64) -> bool {
        let Some(&slot) = self.by_pkid.get(&pkid) else { return false };
        if self.slots[slot as usize].message.is_none() {
            return false;
        }
        self.no_longer_waiting(slot);
        let entry = &mut self.slots[slot as usize];
        entry.message = None;
        entry.reason = reason;
        entry.serial = serial;
        unlink(&mut self.slots, &mut self.publish, slot);
        push_back(&mut self.slots, &mut self.release, slot);
        true
    }

    /// It is through, or given up: its order of acceptance and PUBREC's reason.
    pub fn remove(&mut self, pkid: u16) -> Option<(PublishId, u8)> {
        let slot = self.by_pkid.remove(&pkid)?;
        self.no_longer_waiting(slot);
        let entry = &mut self.slots[slot as usize];
        let (done, released) = ((entry.id, entry.reason), entry.message.take().is_none());
        self.unknown += u64::from(entry.doubt);
        let list = if released { &mut self.release } else { &mut self.publish };
        unlink(&mut self.slots, list, slot);
        self.free.push(slot);
        Some(done)
    }

    /// Leaves the waiting ones in order when one of them goes.
    fn no_longer_waiting(&mut self, slot: u32) {
        let entry = &self.slots[slot as usize];
        if entry.serial == 0 && entry.message.is_some() {
            self.waiting_len -= 1;
        }
        if slot == self.waiting {
            self.waiting = entry.next;
        }
    }

    /// The connection is gone: packets up to the serial number `taken` may have left. All PUBLISHes wait.
    pub fn handle_lost(&mut self, taken: u64) {
        for head in [self.publish.head, self.release.head] {
            let mut slot = head;
            while let Some(entry) = self.slots.get_mut(slot as usize) {
                entry.sent |= entry.serial != 0 && entry.serial <= taken;
                entry.serial = 0;
                slot = entry.next;
            }
        }
        self.waiting = self.publish.head;
        self.waiting_len = self.publish.len;
    }

    /// The server has lost the session: those past PUBREC are through (their order of acceptance and PUBREC's
    /// reason), the others are as if never sent. How many of those had been sent comes second.
    pub fn handle_session_lost(&mut self) -> (Vec<(PublishId, u8)>, u64) {
        self.doubt_released();
        let through = self.released().into_iter().filter_map(|pkid| self.remove(pkid)).collect();
        let doubled = self.count_doubled(QoS::AtLeastOnce);
        let mut slot = self.publish.head;
        while let Some(entry) = self.slots.get_mut(slot as usize) {
            entry.sent = false;
            slot = entry.next;
        }
        (through, doubled)
    }

    /// The server may have lost the session: how many QoS 2 PUBLISHes were sent and have no PUBREC. A server
    /// that has lost it takes them for new ones, and of those past PUBREC it may know nothing.
    pub fn handle_session_in_doubt(&mut self) -> u64 {
        self.doubt_released();
        self.count_doubled(QoS::ExactlyOnce)
    }

    fn doubt_released(&mut self) {
        let mut slot = self.release.head;
        while let Some(entry) = self.slots.get_mut(slot as usize) {
            entry.doubt = true;
            slot = entry.next;
        }
    }

    /// How many PUBLISHes of at least that QoS were sent and have neither PUBACK nor PUBREC.
    fn count_doubled(&mut self, least: QoS) -> u64 {
        let (mut slot, mut count) = (self.publish.head, 0);
        while let Some(entry) = self.slots.get_mut(slot as usize) {
            slot = entry.next;
            if entry.sent && entry.message.as_ref().is_some_and(|message| message.qos >= least) {
                count += 1;
                self.doubled += u64::from(!std::mem::replace(&mut entry.doubled, true));
            }
        }
        count
    }

    /// The packet identifiers that wait for PUBCOMP, in order.
    pub fn released(&self) -> Vec<u16> {
        let mut pkids = Vec::with_capacity(self.release.len);
        let mut slot = self.release.head;
        while let Some(entry) = self.slots.get(slot as usize) {
            pkids.push(entry.pkid);
            slot = entry.next;
        }
        pkids
    }

    /// PUBREL was queued again.
    pub fn released_again(&mut self, pkid: u16, serial: u64) {
        if let Some(&slot) = self.by_pkid.get(&pkid) {
            self.slots[slot as usize].serial = serial;
        }
    }

    /// The first that waits to be queued on this connection.
    pub fn waiting(&self) -> Option<&Entry> {
        self.slots.get(self.waiting as usize)
    }

    /// The first that waited was queued.
    pub fn waiting_queued(&mut self, serial: u64) {
        if let Some(entry) = self.slots.get_mut(self.waiting as usize) {
            entry.serial = serial;
            self.waiting = entry.next;
            self.waiting_len -= 1;
        }
    }
}

fn push_back(slots: &mut [Entry], list: &mut List, slot: u32) {
    slots[slot as usize].prev = list.tail;
    slots[slot as usize].next = NIL;
    match slots.get_mut(list.tail as usize) {
        Some(tail) => tail.next = slot,
        None => list.head = slot,
    }
    list.tail = slot;
    list.len += 1;
}

fn unlink(slots: &mut [Entry], list: &mut List, slot: u32) {
    let (prev, next) = (slots[slot as usize].prev, slots[slot as usize].next);
    match slots.get_mut(prev as usize) {
        Some(entry) => entry.next = next,
        None => list.head = next,
    }
    match slots.get_mut(next as usize) {
        Some(entry) => entry.prev = prev,
        None => list.tail = prev,
    }
    list.len -= 1;
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use bytes::Bytes;

    use super::*;

    fn message(qos: QoS) -> Message {
        Message { topic: Rc::from("t"), payload: Bytes::new(), qos, retain: false, properties: None }
    }

    fn store(pkids: &[u16]) -> Outgoing {
        let mut store = Outgoing::default();
        for (n, &pkid) in pkids.iter().enumerate() {
            store.insert(n as u64, pkid, message(QoS::ExactlyOnce), n as u64 + 1);
        }
        store
    }

    fn waiting(store: &mut Outgoing) -> Vec<(u16, bool)> {
        let mut all = Vec::new();
        while let Some(entry) = store.waiting() {
            all.push((entry.pkid, entry.sent));
            store.waiting_queued(100 + all.len() as u64);
        }
        all
    }

    #[test]
    fn ids_go_round_without_zero_and_skip_those_in_use() {
        let mut ids = PacketIds::new(65_534);
        let taken: Vec<_> = (0..4).map(|_| ids.take(|id| id == 1)).collect();
        assert_eq!(taken, [Some(65_534), Some(65_535), Some(2), Some(3)]);
        assert_eq!(PacketIds::new(0).take(|_| false), Some(1));
        assert_eq!(ids.take(|_| true), None);
        assert_eq!(ids.take(|id| id != 3), Some(3), "the last free one is found");
    }

    #[test]
    fn removal_anywhere_keeps_the_order() {
        let mut store = store(&[7, 8, 9, 10]);
        assert_eq!(store.remove(9), Some((2, 0)));
        assert_eq!(store.remove(7), Some((0, 0)));
        assert_eq!(store.remove(7), None);
        store.insert(4, 9, message(QoS::AtLeastOnce), 5);
        assert_eq!(store.oldest(), [Some(2), None]);
        store.handle_lost(4);
        assert_eq!(store.on_wire(), 0);
        assert_eq!(waiting(&mut store), [(8, true), (10, true), (9, false)]);
        assert_eq!((store.len(), store.on_wire()), (3, 3));
    }

    #[test]
    fn released_ones_stand_in_the_order_of_pubrec() {
        let mut store = store(&[1, 2, 3]);
        assert!(store.release(3, 0, 4));
        assert!(store.release(1, 0x10, 5));
        assert!(!store.release(1, 0, 6), "a second PUBREC changes nothing");
        assert_eq!(store.released(), [3, 1]);
        assert_eq!(store.oldest(), [Some(2), Some(4)]);
        assert_eq!(store.len(), 3);
        store.handle_lost(2);
        let (through, doubled) = store.handle_session_lost();
        assert_eq!((through, doubled), (vec![(2, 0), (0, 0x10)], 1));
        assert_eq!((store.unknown(), store.doubled()), (2, 1));
        assert_eq!(waiting(&mut store), [(2, false)]);
    }

    #[test]
    fn a_waiting_one_can_be_given_up() {
        let mut store = store(&[1, 2]);
        store.handle_lost(1);
        assert!(store.get(1, 1).is_some(), "it may have arrived");
        assert!(store.get(2, 1).is_none(), "the server cannot know it");
        assert_eq!(store.remove(1), Some((0, 0)));
        assert_eq!(waiting(&mut store), [(2, false)]);
        assert_eq!(store.remove(2), Some((1, 0)));
        assert!(store.is_empty());
    }

    #[test]
    fn pubrec_may_come_for_one_that_waits() {
        let mut store = store(&[1, 2, 3]);
        store.handle_lost(3);
        assert!(store.release(2, 0, 4));
        assert!(store.release(1, 0, 5));
        assert_eq!((store.on_wire(), store.len()), (2, 3));
        assert_eq!(waiting(&mut store), [(3, true)]);
        assert_eq!(store.released(), [2, 1]);
    }
}
