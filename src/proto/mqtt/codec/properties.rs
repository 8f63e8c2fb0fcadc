//! The properties of packets from a server (MQTT 5.0 section 2.2.2).
//!
//! `walk` alone knows which property has which type, values and count; every packet goes through it.

use bytes::Bytes;

use super::{
    super::packet::{ConnAckProperties, PublishProperties, no_properties},
    Error,
    read::Reader,
};

/// Property identifiers (Table 2-4).
pub(super) mod id {
    pub const PAYLOAD_FORMAT_INDICATOR: u8 = 0x01;
    pub const MESSAGE_EXPIRY_INTERVAL: u8 = 0x02;
    pub const CONTENT_TYPE: u8 = 0x03;
    pub const RESPONSE_TOPIC: u8 = 0x08;
    pub const CORRELATION_DATA: u8 = 0x09;
    pub const SUBSCRIPTION_IDENTIFIER: u8 = 0x0b;
    pub const SESSION_EXPIRY_INTERVAL: u8 = 0x11;
    pub const ASSIGNED_CLIENT_IDENTIFIER: u8 = 0x12;
    pub const SERVER_KEEP_ALIVE: u8 = 0x13;
    pub const AUTHENTICATION_METHOD: u8 = 0x15;
    pub const AUTHENTICATION_DATA: u8 = 0x16;
    pub const REQUEST_PROBLEM_INFORMATION: u8 = 0x17;
    pub const WILL_DELAY_INTERVAL: u8 = 0x18;
    pub const REQUEST_RESPONSE_INFORMATION: u8 = 0x19;
    pub const RESPONSE_INFORMATION: u8 = 0x1a;
    pub const SERVER_REFERENCE: u8 = 0x1c;
    pub const REASON_STRING: u8 = 0x1f;
    pub const RECEIVE_MAXIMUM: u8 = 0x21;
    pub const TOPIC_ALIAS_MAXIMUM: u8 = 0x22;
    pub const TOPIC_ALIAS: u8 = 0x23;
    pub const MAXIMUM_QOS: u8 = 0x24;
    pub const RETAIN_AVAILABLE: u8 = 0x25;
    pub const USER_PROPERTY: u8 = 0x26;
    pub const MAXIMUM_PACKET_SIZE: u8 = 0x27;
    pub const WILDCARD_SUBSCRIPTION_AVAILABLE: u8 = 0x28;
    pub const SUBSCRIPTION_IDENTIFIER_AVAILABLE: u8 = 0x29;
    pub const SHARED_SUBSCRIPTION_AVAILABLE: u8 = 0x2a;
}

/// A set of property identifiers: bit n for identifier n.
type Set = u64;

const fn set(ids: &[u8]) -> Set {
    let mut set = 0;
    let mut at = 0;
    while at < ids.len() {
        set |= 1 << ids[at];
        at += 1;
    }
    set
}

const IN_CONNACK: Set = set(&[
    id::SESSION_EXPIRY_INTERVAL,
    id::ASSIGNED_CLIENT_IDENTIFIER,
    id::SERVER_KEEP_ALIVE,
    id::AUTHENTICATION_METHOD,
    id::AUTHENTICATION_DATA,
    id::RESPONSE_INFORMATION,
    id::SERVER_REFERENCE,
    id::REASON_STRING,
    id::RECEIVE_MAXIMUM,
    id::TOPIC_ALIAS_MAXIMUM,
    id::MAXIMUM_QOS,
    id::RETAIN_AVAILABLE,
    id::USER_PROPERTY,
    id::MAXIMUM_PACKET_SIZE,
    id::WILDCARD_SUBSCRIPTION_AVAILABLE,
    id::SUBSCRIPTION_IDENTIFIER_AVAILABLE,
    id::SHARED_SUBSCRIPTION_AVAILABLE,
]);
const IN_PUBLISH: Set = set(&[
    id::PAYLOAD_FORMAT_INDICATOR,
    id::MESSAGE_EXPIRY_INTERVAL,
    id::CONTENT_TYPE,
    id::RESPONSE_TOPIC,
    id::CORRELATION_DATA,
    id::SUBSCRIPTION_IDENTIFIER,
    id::TOPIC_ALIAS,
    id::USER_PROPERTY,
]);
/// PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK.
const IN_ACK: Set = set(&[id::REASON_STRING, id::USER_PROPERTY]);
/// A server may not send the Session Expiry Interval (section 3.14.2.2.2).
const IN_DISCONNECT: Set = set(&[id::REASON_STRING, id::USER_PROPERTY, id::SERVER_REFERENCE]);
const IN_AUTH: Set =
    set(&[id::AUTHENTICATION_METHOD, id::AUTHENTICATION_DATA, id::REASON_STRING, id::USER_PROPERTY]);
/// What may stand more than once; Subscription Identifiers are in PUBLISH only.
const REPEATABLE: Set = set(&[id::USER_PROPERTY, id::SUBSCRIPTION_IDENTIFIER]);

/// One property from a server, its value within the standard's range.
#[allow(clippy::enum_variant_names)] // User Property is the standard's own name
enum Property<'a> {
    PayloadFormatIndicator(u8),
    MessageExpiryInterval(u32),
    ContentType(&'a str),
    ResponseTopic(&'a str),
    CorrelationData(&'a [u8]),
    SubscriptionIdentifier(u32),
    SessionExpiryInterval(u32),
    AssignedClientIdentifier(&'a str),
    ServerKeepAlive(u16),
    AuthenticationMethod(&'a str),
    AuthenticationData(&'a [u8]),
    ResponseInformation(&'a str),
    ServerReference(&'a str),
    ReasonString(&'a str),
    ReceiveMaximum(u16),
    TopicAliasMaximum(u16),
    TopicAlias(u16),
    MaximumQoS(u8),
    RetainAvailable(u8),
    UserProperty(&'a str, &'a str),
    MaximumPacketSize(u32),
    WildcardSubscriptionAvailable(u8),
    SubscriptionIdentifierAvailable(u8),
    SharedSubscriptionAvailable(u8),
}

/// What the properties of one packet may take in memory, in bytes: an empty User Property is 5 bytes on the
/// wire and ten times that here, so that the size of the packet is no bound.
const MEMORY_MAX: usize = 16 << 20;

/// At most what a repeatable property takes besides its text: its place in a list that grows by doubling, and
/// what the allocator adds for two strings.
const REPEATED_COST: usize = 128;

/// The most User Properties and Subscription Identifiers that a packet may have.
pub const PROPERTIES_MAX: usize = MEMORY_MAX / REPEATED_COST;

/// Reads all properties of a section to its exact end.
fn walk<'a>(section: &'a [u8], allowed: Set, mut each: impl FnMut(Property<'a>)) -> Result<(), Error> {
    let mut reader = Reader::new(section);
    let mut seen: Set = 0;
    let mut repeated = 0;
    while !reader.is_empty() {
        let id = reader.u8()?;
        // Identifiers are Variable Byte Integers; all that exist have one byte and are below 64.
        let bit = if id < 64 { 1 << id } else { 0 };
        if allowed & bit == 0 {
            return Err(Error::Malformed("a property that this packet may not have (section 2.2.2.2)"));
        }
        if seen & bit & !REPEATABLE != 0 {
            return Err(Error::Malformed("a property stands twice (section 2.2.2.2)"));
        }
        seen |= bit;
        if bit & REPEATABLE != 0 {
            repeated += 1;
            if repeated > PROPERTIES_MAX {
                return Err(Error::TooManyProperties(None));
            }
        }
        each(property(id, &mut reader)?);
    }
    Ok(())
}

/// Reads the value of a property (Table 2-4) and checks its range.
fn property<'a>(id: u8, r: &mut Reader<'a>) -> Result<Property<'a>, Error> {
    Ok(match id {
        id::PAYLOAD_FORMAT_INDICATOR => Property::PayloadFormatIndicator(zero_or_one(r)?),
        id::MESSAGE_EXPIRY_INTERVAL => Property::MessageExpiryInterval(r.u32()?),
        id::CONTENT_TYPE => Property::ContentType(r.text()?),
        // A wildcard in it breaks [MQTT-3.3.2-14], but brokers forward one unchecked (mosquitto does): refusing
        // it would let any publisher end every subscriber. Who answers to it must check it.
        id::RESPONSE_TOPIC => Property::ResponseTopic(r.text()?),
        id::CORRELATION_DATA => Property::CorrelationData(r.binary()?),
        id::SUBSCRIPTION_IDENTIFIER => Property::SubscriptionIdentifier(not_zero(r.varint()?)?),
        id::SESSION_EXPIRY_INTERVAL => Property::SessionExpiryInterval(r.u32()?),
        id::ASSIGNED_CLIENT_IDENTIFIER => Property::AssignedClientIdentifier(r.text()?),
        id::SERVER_KEEP_ALIVE => Property::ServerKeepAlive(r.u16()?),
        id::AUTHENTICATION_METHOD => Property::AuthenticationMethod(r.text()?),
        id::AUTHENTICATION_DATA => Property::AuthenticationData(r.binary()?),
        id::RESPONSE_INFORMATION => Property::ResponseInformation(r.text()?),
        id::SERVER_REFERENCE => Property::ServerReference(r.text()?),
        id::REASON_STRING => Property::ReasonString(r.text()?),
        id::RECEIVE_MAXIMUM => Property::ReceiveMaximum(not_zero(r.u16()?)?),
        id::TOPIC_ALIAS_MAXIMUM => Property::TopicAliasMaximum(r.u16()?),
        id::TOPIC_ALIAS => Property::TopicAlias(not_zero(r.u16()?)?),
        id::MAXIMUM_QOS => Property::MaximumQoS(zero_or_one(r)?),
        id::RETAIN_AVAILABLE => Property::RetainAvailable(zero_or_one(r)?),
        id::USER_PROPERTY => Property::UserProperty(r.text()?, r.text()?),
        id::MAXIMUM_PACKET_SIZE => Property::MaximumPacketSize(not_zero(r.u32()?)?),
        id::WILDCARD_SUBSCRIPTION_AVAILABLE => Property::WildcardSubscriptionAvailable(zero_or_one(r)?),
        id::SUBSCRIPTION_IDENTIFIER_AVAILABLE => Property::SubscriptionIdentifierAvailable(zero_or_one(r)?),
        id::SHARED_SUBSCRIPTION_AVAILABLE => Property::SharedSubscriptionAvailable(zero_or_one(r)?),
        _ => return Err(Error::Malformed("an unknown property (section 2.2.2.2)")),
    })
}

fn zero_or_one(r: &mut Reader<'_>) -> Result<u8, Error> {
    match r.u8()? {
        value @ 0..=1 => Ok(value),
        _ => Err(Error::Malformed("a property that must be 0 or 1 is neither")),
    }
}

fn not_zero<T: PartialEq + From<u8>>(value: T) -> Result<T, Error> {
    if value == T::from(0) {
        return Err(Error::Malformed("a property that must not be 0 is 0"));
    }
    Ok(value)
}

/// PUBLISH (section 3.3.2.3); none where the section is empty.
pub(super) fn publish(section: &[u8]) -> Result<Option<Box<PublishProperties>>, Error> {
    if section.is_empty() {
        return Ok(None);
    }
    let mut p = Box::new(no_properties());
    walk(section, IN_PUBLISH, |property| match property {
        Property::PayloadFormatIndicator(value) => p.payload_format_indicator = Some(value),
        Property::MessageExpiryInterval(value) => p.message_expiry_interval = Some(value),
        Property::TopicAlias(value) => p.topic_alias = Some(value),
        Property::ResponseTopic(value) => p.response_topic = Some(value.to_owned()),
        Property::CorrelationData(value) => p.correlation_data = Some(Bytes::copy_from_slice(value)),
        Property::UserProperty(key, value) => p.user_properties.push((key.to_owned(), value.to_owned())),
        Property::SubscriptionIdentifier(value) => p.subscription_identifiers.push(value as usize),
        Property::ContentType(value) => p.content_type = Some(value.to_owned()),
        _ => {} // not in IN_PUBLISH
    })?;
    Ok(Some(p))
}

/// CONNACK (section 3.2.2.3); none where the section is empty.
pub(super) fn connack(section: &[u8]) -> Result<Option<Box<ConnAckProperties>>, Error> {
    if section.is_empty() {
        return Ok(None);
    }
    let mut p = Box::new(ConnAckProperties::new());
    walk(section, IN_CONNACK, |property| match property {
        Property::SessionExpiryInterval(value) => p.session_expiry_interval = Some(value),
        Property::ReceiveMaximum(value) => p.receive_max = Some(value),
        Property::MaximumQoS(value) => p.max_qos = Some(value),
        Property::RetainAvailable(value) => p.retain_available = Some(value),
        Property::MaximumPacketSize(value) => p.max_packet_size = Some(value),
        Property::AssignedClientIdentifier(value) => p.assigned_client_identifier = Some(value.to_owned()),
        Property::TopicAliasMaximum(value) => p.topic_alias_max = Some(value),
        Property::ReasonString(value) => p.reason_string = Some(value.to_owned()),
        Property::UserProperty(key, value) => p.user_properties.push((key.to_owned(), value.to_owned())),
        Property::WildcardSubscriptionAvailable(value) => p.wildcard_subscription_available = Some(value),
        Property::SubscriptionIdentifierAvailable(value) => {
            p.subscription_identifiers_available = Some(value)
        }
        Property::SharedSubscriptionAvailable(value) => p.shared_subscription_available = Some(value),
        Property::ServerKeepAlive(value) => p.server_keep_alive = Some(value),
        Property::ResponseInformation(value) => p.response_information = Some(value.to_owned()),
        Property::ServerReference(value) => p.server_reference = Some(value.to_owned()),
        Property::AuthenticationMethod(value) => p.authentication_method = Some(value.to_owned()),
        Property::AuthenticationData(value) => p.authentication_data = Some(Bytes::copy_from_slice(value)),
        _ => {} // not in IN_CONNACK
    })?;
    Ok(Some(p))
}

/// The Reason String of an acknowledgement; its User Properties are checked and left out.
pub(super) fn ack(section: &[u8]) -> Result<Option<String>, Error> {
    let mut text = None;
    walk(section, IN_ACK, |property| {
        if let Property::ReasonString(value) = property {
            text = Some(value.to_owned());
        }
    })?;
    Ok(text)
}

/// Reason String and Server Reference of DISCONNECT (section 3.14.2.2).
pub(super) fn disconnect(section: &[u8]) -> Result<(Option<String>, Option<String>), Error> {
    let (mut text, mut server_reference) = (None, None);
    walk(section, IN_DISCONNECT, |property| match property {
        Property::ReasonString(value) => text = Some(value.to_owned()),
        Property::ServerReference(value) => server_reference = Some(value.to_owned()),
        _ => {}
    })?;
    Ok((text, server_reference))
}

/// Authentication Method and Authentication Data of AUTH (section 3.15.2.2).
pub(super) fn auth(section: &[u8]) -> Result<(Option<String>, Option<Bytes>), Error> {
    let (mut method, mut data) = (None, None);
    walk(section, IN_AUTH, |property| match property {
        Property::AuthenticationMethod(value) => method = Some(value.to_owned()),
        Property::AuthenticationData(value) => data = Some(Bytes::copy_from_slice(value)),
        _ => {}
    })?;
    Ok((method, data))
}
