//! The packets, as the session speaks them. Property lists are mqttbytes' own structs.

use bytes::Bytes;

pub use mqttbytes::v5::{ConnAckProperties, PublishProperties};

/// The protocol version of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// MQTT 3.1.1 (protocol level 4).
    V311,
    /// MQTT 5.0 (protocol level 5).
    V5,
}

/// Quality of service (MQTT 5.0 section 4.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum QoS {
    /// At most once.
    #[default]
    AtMostOnce = 0,
    /// At least once.
    AtLeastOnce = 1,
    /// Exactly once.
    ExactlyOnce = 2,
}

impl QoS {
    /// From its number; none above 2.
    pub fn from_u8(n: u8) -> Option<QoS> {
        match n {
            0 => Some(QoS::AtMostOnce),
            1 => Some(QoS::AtLeastOnce),
            2 => Some(QoS::ExactlyOnce),
            _ => None,
        }
    }
}

/// PUBLISH properties of which none is set.
pub fn no_properties() -> PublishProperties {
    PublishProperties {
        payload_format_indicator: None,
        message_expiry_interval: None,
        topic_alias: None,
        response_topic: None,
        correlation_data: None,
        user_properties: Vec::new(),
        subscription_identifiers: Vec::new(),
        content_type: None,
    }
}

/// A packet from the server. Packet identifiers are never 0 here.
/// Reasons are the standard's numbers; in 3.1.1 they are 0 where the packet has none.
#[derive(Debug, PartialEq)]
pub enum Packet<'a> {
    /// CONNACK. In 3.1.1 `reason` is the return code (0 to 5).
    ConnAck {
        /// The server has kept our session.
        session_present: bool,
        /// Connect Reason Code.
        reason: u8,
        /// 5.0 only.
        properties: Option<Box<ConnAckProperties>>,
    },
    /// PUBLISH.
    Publish(Publish<'a>),
    /// PUBACK: packet identifier and reason.
    PubAck(Ack),
    /// PUBREC.
    PubRec(Ack),
    /// PUBREL.
    PubRel(Ack),
    /// PUBCOMP.
    PubComp(Ack),
    /// SUBACK.
    SubAck(Acks),
    /// UNSUBACK; no reasons in 3.1.1.
    UnsubAck(Acks),
    /// PINGRESP.
    PingResp,
    /// DISCONNECT from the server (5.0).
    Disconnect {
        /// Disconnect Reason Code; 0x00 where the packet has none.
        reason: u8,
        /// Reason String.
        text: Option<String>,
        /// Server Reference (0x9C, 0x9D).
        server_reference: Option<String>,
    },
    /// AUTH (5.0).
    Auth {
        /// 0x00 success, 0x18 continue, 0x19 re-authenticate.
        reason: u8,
        /// Authentication Method.
        method: Option<String>,
        /// Authentication Data.
        data: Option<Bytes>,
    },
}

/// A PUBLISH from the server, borrowing the bytes it came in.
#[derive(Debug, PartialEq)]
pub struct Publish<'a> {
    /// A repeated delivery.
    pub dup: bool,
    /// Quality of service of this delivery.
    pub qos: QoS,
    /// RETAIN flag.
    pub retain: bool,
    /// Topic Name; empty only in 5.0 with a topic alias.
    pub topic: &'a str,
    /// Packet identifier; 0 at QoS 0.
    pub pkid: u16,
    /// The payload.
    pub payload: &'a [u8],
    /// 5.0 only, and none where the list is empty.
    pub properties: Option<Box<PublishProperties>>,
}

/// PUBACK, PUBREC, PUBREL, PUBCOMP.
#[derive(Debug, PartialEq, Eq)]
pub struct Ack {
    /// Packet identifier.
    pub pkid: u16,
    /// Reason Code; 0 in 3.1.1.
    pub reason: u8,
    /// Reason String (5.0).
    pub text: Option<String>,
}

/// SUBACK, UNSUBACK.
#[derive(Debug, PartialEq, Eq)]
pub struct Acks {
    /// Packet identifier.
    pub pkid: u16,
    /// A Reason Code for each filter.
    pub reasons: Vec<u8>,
    /// Reason String (5.0).
    pub text: Option<String>,
}

/// CONNECT, to be encoded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Connect {
    /// Client Identifier; may be empty.
    pub client_id: String,
    /// Clean Start (5.0), Clean Session (3.1.1).
    pub clean: bool,
    /// Keep Alive in seconds; 0 is off.
    pub keep_alive: u16,
    /// User Name; `Some("")` is sent as an empty string.
    pub username: Option<String>,
    /// Password: any bytes. Alone only in 5.0.
    pub password: Option<Bytes>,
    /// Will Message.
    pub will: Option<Will>,
    /// 5.0 only.
    pub properties: ConnectProperties,
}

/// CONNECT properties (MQTT 5.0 section 3.1.2.11). Absent ones are not sent.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs)] // the standard's own names
pub struct ConnectProperties {
    pub session_expiry_interval: Option<u32>,
    pub receive_maximum: Option<u16>,
    pub maximum_packet_size: Option<u32>,
    pub topic_alias_maximum: Option<u16>,
    pub request_response_information: Option<bool>,
    pub request_problem_information: Option<bool>,
    pub user_properties: Vec<(String, String)>,
    pub authentication_method: Option<String>,
    pub authentication_data: Option<Bytes>,
}

/// The Will Message (MQTT 5.0 section 3.1.2.5).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Will {
    /// Will Topic.
    pub topic: String,
    /// Will Payload, at most 65,535 bytes.
    pub payload: Bytes,
    /// Will QoS.
    pub qos: QoS,
    /// Will Retain.
    pub retain: bool,
    /// Will Delay Interval in seconds (5.0).
    pub delay_interval: Option<u32>,
    /// The other Will Properties (5.0); `topic_alias` and `subscription_identifiers` are not used.
    pub properties: Option<Box<PublishProperties>>,
}

/// One entry of SUBSCRIBE (MQTT 5.0 section 3.8.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Topic Filter.
    pub filter: String,
    /// Maximum QoS.
    pub qos: QoS,
    /// No Local (5.0).
    pub no_local: bool,
    /// Retain As Published (5.0).
    pub retain_as_published: bool,
    /// Retain Handling: 0 always, 1 if new, 2 never (5.0).
    pub retain_handling: u8,
}

/// A PUBLISH to be encoded; `topic` may be empty in 5.0 where `properties` has an alias.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing<'a> {
    /// Repeated delivery.
    pub dup: bool,
    /// Quality of service.
    pub qos: QoS,
    /// RETAIN flag.
    pub retain: bool,
    /// Topic Name.
    pub topic: &'a str,
    /// Packet identifier; ignored at QoS 0, not 0 above it.
    pub pkid: u16,
    /// The payload.
    pub payload: &'a [u8],
    /// 5.0 only.
    pub properties: Option<&'a PublishProperties>,
}
