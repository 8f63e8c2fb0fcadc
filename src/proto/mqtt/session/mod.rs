//! The client's side of an MQTT session, over any number of connections, with no I/O.
//!
//! The owner tells it what happened (`handle_*`), asks it to do things (`subscribe`, `publish`,
//! `acknowledge`, `disconnect` …) and then drains it (`poll_event`, `poll_transmit`, `poll_deadline`).
//!
//! ```text
//!            handle_connected             CONNACK 0x00                disconnect
//!     Down ------------------> Connecting ------------> Connected --------------> Closing
//!       ^                          |                        |                        |
//!       |                          +-- refused, violated, DISCONNECT from the server -+--> Dead
//!       +------------------------------- handle_lost, from any of them ---------------------+
//! ```
//!
//! What outlives a connection: the PUBLISHes that are not through, the identifiers of QoS 2 messages received,
//! the subscriptions, and the counts. In `Closing` nothing more is queued, but acknowledgements still count.
//!
//! Every packet queued has a serial number; `sent::Sent` knows which of them were handed out and which have
//! reached the kernel. So a PUBLISH that was never handed out carries no DUP later, and no limit on an answer
//! runs while the packet it belongs to is still on this side. A socket that takes nothing has a limit of its own,
//! as long as that on an acknowledgement: it begins anew with each byte that leaves, which the owner tells by
//! `handle_progress`. A server that goes on sending without reading our acknowledgements is the owner's to bear
//! until then: it stops reading while it has much to write.

mod connack;
mod incoming;
mod outgoing;
mod requests;
mod sent;
mod timers;
mod types;

#[cfg(test)]
mod tests;

use std::{collections::VecDeque, rc::Rc, time::Instant};

use bytes::{Bytes, BytesMut};

use super::{
    codec,
    inflight::{IdMap, Outgoing, PacketIds},
    packet::{ConnAckProperties, Packet, QoS, Version},
};
use incoming::{Input, Received, Shown};
pub use outgoing::PUBACK_AT_QOS_2;
use requests::{Request, Subscription};
use sent::Sent;
use timers::{Ping, Timers};
pub use types::{AckToken, Event, Lent, Message, Options, PublishId, Refusal, Timer};

/// Above this many bytes in the out-buffer `can_publish` says no.
const OUT_MARK: usize = 256 * 1024;

/// See the module.
pub struct Session {
    input: Input,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Down,
    Connecting,
    Connected,
    Closing,
    Dead,
}

/// What the server's CONNACK allows.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// QoS 1 and 2 PUBLISHes on the wire.
    window: usize,
    qos: QoS,
    retain: bool,
    packet: usize,
    topic_alias: u16,
    wildcard: bool,
    shared: bool,
    subscription_ids: bool,
}

/// All but the bytes that came in: apart from them, so that an event can borrow those.
struct State {
    options: Options,
    version: Version,
    fall_back: bool,
    phase: Phase,
    /// The number of this connection, from 1.
    connection: u32,
    ever_connected: bool,
    /// The serial number of a CONNECT that no CONNACK has answered.
    unheard: Option<u64>,
    /// Such a CONNECT left on an earlier connection: if the server had lost the session it began another one
    /// with it, and Session Present from now on says nothing about ours.
    doubt: bool,
    /// Clean Start of this connection's CONNECT.
    clean: bool,
    connack: Option<Box<ConnAckProperties>>,
    limits: Limits,
    out: BytesMut,
    sent: Sent,
    events: VecDeque<Event<'static>>,
    ids: PacketIds,
    outgoing: Outgoing,
    /// Our topic aliases of this connection.
    aliases: IdMap<Rc<str>>,
    next_id: PublishId,
    /// SUBSCRIBEs and UNSUBSCRIBEs without an answer, the oldest first.
    requests: VecDeque<Request>,
    subscriptions: Vec<Subscription>,
    /// QoS 2 messages between PUBLISH and PUBREL.
    received: IdMap<Received>,
    /// The QoS 2 messages shown so far.
    received_count: u64,
    pings: VecDeque<Ping>,
    qos0_accepted: u64,
    qos0_confirmed: u64,
    qos0_unknown: u64,
    timers: Timers,
}

impl Session {
    /// A session that was never connected.
    pub fn new(options: Options) -> Session {
        let state = State {
            version: options.version,
            fall_back: false,
            phase: Phase::Down,
            connection: 0,
            ever_connected: false,
            unheard: None,
            doubt: false,
            clean: options.connect.clean,
            connack: None,
            limits: Limits::none(&options),
            out: BytesMut::new(),
            sent: Sent::new(options.ack_timeout),
            events: VecDeque::new(),
            ids: PacketIds::new(options.first_pkid),
            outgoing: Outgoing::default(),
            aliases: IdMap::default(),
            next_id: 0,
            requests: VecDeque::new(),
            subscriptions: Vec::new(),
            received: IdMap::default(),
            received_count: 0,
            pings: VecDeque::new(),
            qos0_accepted: 0,
            qos0_confirmed: 0,
            qos0_unknown: 0,
            timers: Timers::default(),
            options,
        };
        Session { input: Input::default(), state }
    }

    /// The version of this connection.
    pub fn version(&self) -> Version {
        self.state.version
    }

    /// CONNACK 0x00 has come on this connection, and nothing has ended it.
    pub fn is_connected(&self) -> bool {
        self.state.phase == Phase::Connected
    }

    /// Clean Start of this connection's CONNECT: no session was asked for.
    pub fn is_clean(&self) -> bool {
        self.state.clean
    }

    /// Our Client Identifier, or the one that the server assigned.
    pub fn client_id(&self) -> &str {
        &self.state.options.connect.client_id
    }

    /// The properties of the last CONNACK (5.0).
    pub fn connack(&self) -> Option<&ConnAckProperties> {
        self.state.connack.as_deref()
    }

    /// Whether `publish` would take a message now: connected, the window open (QoS 1 and 2), and less than
    /// 256 KiB not yet handed out.
    pub fn can_publish(&self, qos: QoS) -> bool {
        self.state.can_publish(qos)
    }

    /// QoS 1 and 2 PUBLISHes that are not through: without PUBACK or PUBCOMP.
    pub fn in_flight(&self) -> usize {
        self.state.outgoing.len()
    }

    /// QoS 2 messages of the server's between PUBLISH and PUBREL.
    pub fn receiving(&self) -> usize {
        self.state.received.len()
    }

    /// QoS 0 PUBLISHes of this connection that no PINGRESP covers yet.
    pub fn unconfirmed(&self) -> u64 {
        self.state.qos0_accepted - self.state.qos0_confirmed
    }

    /// QoS 0 PUBLISHes that were unconfirmed when a connection was lost, and those at QoS 2 that are through
    /// but were between PUBREC and PUBCOMP when the session was lost or may have been: all in all, each once.
    /// Until PUBCOMP the latter are part of the session (MQTT 5.0 section 4.1): mosquitto passes a message on
    /// at PUBREL.
    pub fn unknown(&self) -> u64 {
        self.state.qos0_unknown + self.state.outgoing.unknown()
    }

    /// PUBLISHes sent anew after a lost session, and those at QoS 2 sent again where it may have been lost:
    /// all in all, each once.
    pub fn possibly_doubled(&self) -> u64 {
        self.state.outgoing.doubled()
    }

    /// A fresh transport: CONNECT is queued. `connack_by` is when CONNACK must have come.
    pub fn handle_connected(&mut self, now: Instant, connack_by: Instant) {
        if self.state.phase != Phase::Down {
            self.handle_lost(now);
        }
        self.state.handle_connected(now, connack_by);
    }

    /// Any chunk of the stream; drain `poll_event` after it.
    pub fn handle_bytes(&mut self, bytes: &[u8], now: Instant) {
        if bytes.is_empty() || !self.state.reads() {
            return;
        }
        self.state.timers.life = Some(now);
        self.input.push(bytes);
    }

    /// All that `poll_transmit` gave so far has reached the kernel.
    pub fn handle_sent(&mut self, now: Instant) {
        self.state.handle_sent(now);
    }

    /// The kernel took some of what `poll_transmit` gave, not all: a slow server lives.
    pub fn handle_progress(&mut self, now: Instant) {
        self.state.sent.handle_progress(now);
    }

    /// The owner stopped or resumed reading the socket. Meanwhile no answer can be missed: the limits on
    /// answers are suspended, and begin anew when reading resumes.
    pub fn handle_reading(&mut self, reading: bool, now: Instant) {
        self.state.timers.handle_reading(reading, now);
    }

    /// Runs what is due. Calls at any time, late or needless, do no harm.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.state.handle_timeout(now);
    }

    /// The transport is gone. What came in and was not drained, and what was not handed out, is dropped: drain
    /// `poll_event` first.
    pub fn handle_lost(&mut self, _now: Instant) {
        self.input = Input::default();
        self.state.handle_lost();
    }

    /// Speaks 3.1.1 from the next connection on.
    pub fn fall_back(&mut self) {
        self.state.fall_back = true;
    }

    /// The next thing the owner should know; none when all bytes that came in are dealt with.
    pub fn poll_event(&mut self, _now: Instant) -> Option<Event<'_>> {
        let Session { input: Input { bytes, start, aliases }, state } = self;
        let bytes: &[u8] = bytes;
        let (mut publish, token, alias) = loop {
            if let Some(event) = state.events.pop_front() {
                return Some(event);
            }
            let packet = match state.next_packet(bytes, start) {
                Ok(packet) => packet?,
                Err(event) => return event,
            };
            let Packet::Publish(publish) = packet else {
                match state.handle_packet(packet) {
                    Some(event) => return Some(event),
                    None => continue,
                }
            };
            match state.handle_publish(&publish, aliases) {
                Ok(Shown::Not) => {}
                Ok(Shown::Message { token, alias }) => break (publish, token, alias),
                Err((reason, what)) => return state.violated(reason, what),
            }
        };
        if let Some(alias) = alias {
            // `handle_publish` gives only those that are in the table.
            publish.topic = aliases.get(&alias)?;
        }
        Some(Event::Message { publish, token })
    }

    /// All packets gathered since the last call.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Bytes> {
        self.state.poll_transmit(now)
    }

    /// When to call `handle_timeout` next at the latest, and for what.
    pub fn poll_deadline(&self) -> Option<(Instant, Timer)> {
        self.state.poll_deadline()
    }
}

impl Options {
    /// Whether CONNECT can be sent in that version: for a usage error, since `handle_connected` has no way to
    /// refuse. Where `fall_back` may follow, both versions are to be asked about.
    ///
    /// # Errors
    /// `Unsendable`, with the reason.
    pub fn check(&self, version: Version) -> Result<(), codec::Error> {
        codec::connect(&mut BytesMut::new(), version, &self.connect)
    }
}

impl State {
    fn handle_connected(&mut self, now: Instant, connack_by: Instant) {
        if self.fall_back {
            self.version = Version::V311;
        }
        self.connection = self.connection.wrapping_add(1);
        self.limits = Limits::none(&self.options);
        self.connack = None;
        self.timers.begin(now, connack_by);
        self.clean = self.options.connect.clean
            && !(self.ever_connected && self.options.resume && self.version == Version::V5);
        let mut connect = self.options.connect.clone();
        connect.clean = self.clean;
        self.phase = Phase::Connecting;
        match self.queue(|out, version| codec::connect(out, version, &connect)) {
            Ok(serial) => self.unheard = Some(serial),
            Err(refusal) => {
                // The owner should have asked `Options::check`.
                let event = self.violated(0x82, format!("CONNECT cannot be sent: {refusal:?}"));
                self.events.extend(event);
            }
        }
    }

    fn handle_lost(&mut self) {
        self.phase = Phase::Down;
        self.out = BytesMut::new();
        let unheard = self.unheard.take().is_some_and(|serial| serial <= self.sent.taken());
        self.doubt |= unheard && self.ever_connected;
        self.outgoing.handle_lost(self.sent.taken());
        self.sent.reset();
        self.aliases.clear();
        self.pings.clear();
        self.qos0_unknown += self.qos0_accepted - self.qos0_confirmed;
        self.qos0_confirmed = self.qos0_accepted;
        self.timers.end();
        self.events.retain(|event| !matches!(event, Event::TimedOut(_)));
    }

    /// Whether bytes from the server still mean something.
    fn reads(&self) -> bool {
        !matches!(self.phase, Phase::Down | Phase::Dead)
    }

    /// Appends one packet to the out-buffer; its serial number. On `Err` nothing was appended.
    fn queue(
        &mut self,
        encode: impl FnOnce(&mut BytesMut, Version) -> Result<(), codec::Error>,
    ) -> Result<u64, Refusal> {
        let before = self.out.len();
        encode(&mut self.out, self.version).map_err(Refusal::Codec)?;
        let size = self.out.len() - before;
        if size > self.limits.packet {
            self.out.truncate(before);
            return Err(Refusal::TooLarge(size, self.limits.packet));
        }
        Ok(self.sent.queue())
    }

    /// Ends the connection on our side because of what the server did. No event once we have taken leave.
    fn violated(&mut self, reason: u8, what: String) -> Option<Event<'static>> {
        let leaving = self.phase == Phase::Closing;
        self.phase = Phase::Dead;
        if leaving {
            return None;
        }
        if self.version == Version::V5 {
            // Cannot fail: it is small, and if the server takes not even that, it hears nothing.
            let _ = self.queue(|out, version| codec::disconnect(out, version, reason, None, &[]));
        }
        Some(Event::Violated { reason, what, too_large: false })
    }

    fn poll_transmit(&mut self, now: Instant) -> Option<Bytes> {
        self.send_waiting();
        if self.out.is_empty() {
            return None;
        }
        self.sent.take(now);
        Some(self.out.split().freeze())
    }
}
