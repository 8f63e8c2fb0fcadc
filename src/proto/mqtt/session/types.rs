//! What goes into a [`Session`](super::Session) and what comes out of it.

use std::{fmt, rc::Rc, time::Duration};

use bytes::Bytes;

use crate::proto::mqtt::{
    codec,
    packet::{Connect, Filter, Publish, PublishProperties, QoS, Version},
};

/// How the session is to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// The version spoken at the first connection; see [`Session::fall_back`](super::Session::fall_back).
    pub version: Version,
    /// CONNECT of the first connection. In 3.1.1 its properties are not sent.
    pub connect: Connect,
    /// Reconnects ask for the session back (Clean Start 0) even where the first CONNECT was clean.
    /// In 3.1.1 a clean first CONNECT stays clean: there is no session to come back to.
    pub resume: bool,
    /// Session Expiry Interval sent in the final DISCONNECT (5.0), in seconds.
    pub final_expiry: Option<u32>,
    /// User Properties of DISCONNECT (5.0).
    pub disconnect_user_properties: Vec<(String, String)>,
    /// The largest packet taken, in bytes; above it DISCONNECT 0x95.
    pub max_packet: usize,
    /// Our own bound on unacknowledged QoS 1 and 2 PUBLISHes; the server's Receive Maximum may lower it.
    pub max_inflight: u16,
    /// How long an acknowledgement may take (PUBACK, PUBREC, PUBCOMP, SUBACK, UNSUBACK, PINGRESP), and how long
    /// the socket may take nothing.
    pub ack_timeout: Duration,
    /// The first packet identifier; random where an earlier run's session is taken over.
    pub first_pkid: u16,
}

/// A PUBLISH by its order of acceptance in this process, from 0.
pub type PublishId = u64;

/// What the owner wants published. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Message {
    /// Topic Name, in full.
    pub topic: Rc<str>,
    /// The payload.
    pub payload: Bytes,
    /// Quality of service.
    pub qos: QoS,
    /// RETAIN flag.
    pub retain: bool,
    /// 5.0 only. A `topic_alias` here is honoured as asked (the topic is sent the first time on each connection).
    pub properties: Option<Rc<PublishProperties>>,
}

/// The same, lent: enough for QoS 0, where nothing is kept.
#[derive(Clone, Copy, Debug)]
pub struct Lent<'a> {
    /// Topic Name, in full.
    pub topic: &'a Rc<str>,
    /// The payload.
    pub payload: &'a [u8],
    /// RETAIN flag.
    pub retain: bool,
    /// As in [`Message`].
    pub properties: Option<&'a PublishProperties>,
}

impl Message {
    pub(super) fn lend(&self) -> Lent<'_> {
        let Message { topic, payload, retain, properties, .. } = self;
        Lent { topic, payload, retain: *retain, properties: properties.as_deref() }
    }
}

/// To be handed back by [`Session::acknowledge`](super::Session::acknowledge) when the message is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AckToken {
    pub(super) connection: u32,
    pub(super) pkid: u16,
    pub(super) qos: QoS,
    /// Which of the QoS 2 messages of this process it is.
    pub(super) order: u64,
}

/// Which limit ran out, for [`Event::TimedOut`] and [`Session::poll_deadline`](super::Session::poll_deadline).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// CONNACK did not come.
    ConnAck,
    /// Time for a PINGREQ (never in `TimedOut`).
    KeepAlive,
    /// PINGRESP did not come.
    PingResp,
    /// SUBACK or UNSUBACK did not come.
    Subscription,
    /// PUBACK or PUBREC did not come.
    Publish,
    /// PUBCOMP did not come.
    Release,
    /// The socket took nothing of what is to be sent.
    Sending,
}

/// What the owner should know. One at a time; it borrows the session.
#[derive(Debug)]
#[allow(missing_docs)] // the standard's own names
pub enum Event<'a> {
    /// CONNACK 0x00. What may follow is sent already: PUBREL and PUBLISH again, or SUBSCRIBE again where the
    /// server had no session.
    Connected {
        /// The server kept the session.
        session_present: bool,
        /// Not the first connection of this process.
        reconnected: bool,
        /// Present, but perhaps only since a CONNECT whose CONNACK never came: the server may have lost the
        /// session before.
        doubt: bool,
        /// PUBLISHes sent anew because the session was lost, or those at QoS 2 where it may have been lost
        /// unseen: these may be doubled.
        doubled: u64,
    },
    /// CONNACK with a refusal. The connection is of no more use.
    Refused { reason: u8, text: Option<String>, server_reference: Option<String> },
    /// SUBACK, with the filters it answers.
    Subscribed { filters: Vec<Filter>, reasons: Vec<u8>, text: Option<String> },
    /// UNSUBACK; in 3.1.1 the reasons are 0x00.
    Unsubscribed { filters: Vec<String>, reasons: Vec<u8>, text: Option<String> },
    /// A message, its topic alias resolved. QoS 1 and 2 have a token, which MUST come back by `acknowledge`,
    /// in the order of the events. Repetitions of a QoS 2 message are not shown.
    Message { publish: Publish<'a>, token: Option<AckToken> },
    /// A QoS 1 or 2 PUBLISH of ours is through (`reason` below 0x80, in 5.0 perhaps 0x10) or refused.
    Acknowledged { id: PublishId, reason: u8, text: Option<String> },
    /// PINGRESP: all QoS 0 PUBLISHes accepted before the PINGREQ was sent have reached the server.
    /// `confirmed` is their number since the last such event; `left` are younger.
    Confirmed { confirmed: u64, left: u64 },
    /// DISCONNECT from the server. The connection is of no more use.
    Disconnected { reason: u8, text: Option<String>, server_reference: Option<String> },
    /// AUTH from the server.
    Auth { reason: u8, method: Option<String>, data: Option<Bytes> },
    /// The server broke the standard, or sent what is above `max_packet` (0x95, with the topic where known).
    /// DISCONNECT with the reason (0x81, 0x82, 0x95) is queued; nothing more is read on this connection.
    Violated {
        reason: u8,
        what: String,
        /// It is above `max_packet`.
        too_large: bool,
    },
    /// A limit ran out. The owner drops the connection.
    TimedOut(Timer),
}

/// Why `publish`, `subscribe` and the like refused; nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The server's Maximum QoS is lower: it.
    QoS(QoS),
    /// The server does not keep retained messages.
    Retain,
    /// The packet would be above the server's Maximum Packet Size: the packet's size, and it, in bytes.
    TooLarge(usize, usize),
    /// The server's Topic Alias Maximum is lower: it.
    TopicAlias(u16),
    /// Wildcard, shared or identified subscriptions that the server does not offer: which.
    Unavailable(&'static str),
    /// No connection, or the window is full: ask `can_publish` first.
    NotNow,
    /// It cannot be encoded.
    Codec(codec::Error),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::QoS(most) => write!(f, "the server's Maximum QoS is {0}: use -q {0}", *most as u8),
            Refusal::Retain => write!(f, "the server keeps no retained messages"),
            Refusal::TooLarge(size, most) => {
                write!(f, "the packet has {size} bytes, the server's Maximum Packet Size is {most}")
            }
            Refusal::TopicAlias(most) => write!(f, "the server's Topic Alias Maximum is {most}"),
            Refusal::Unavailable(what) => write!(f, "the server does not offer {what}"),
            Refusal::NotNow => write!(f, "there is no connection, or too much is under way"),
            Refusal::Codec(error) => write!(f, "{error}"),
        }
    }
}
