//! mosquitto's `-D PACKET PROPERTY [NAME] VALUE`: which properties there are, and where they belong
//! (MQTT 5.0 section 2.2.2.2).

use std::ffi::{OsStr, OsString};

use super::{
    command::Command,
    error::{UsageError, shown},
    suggest,
};

/// The flag: the only one whose number of values depends on the first of them.
pub const FLAG: &str = "--property";

/// A packet that takes properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the standard's own names
pub enum Packet {
    Connect,
    Publish,
    Subscribe,
    Unsubscribe,
    Disconnect,
    /// The Will Properties of CONNECT.
    Will,
}

/// A property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the standard's own names
pub enum Name {
    AuthenticationData,
    AuthenticationMethod,
    ContentType,
    CorrelationData,
    MaximumPacketSize,
    MessageExpiryInterval,
    PayloadFormatIndicator,
    ReceiveMaximum,
    RequestProblemInformation,
    RequestResponseInformation,
    ResponseTopic,
    SessionExpiryInterval,
    SubscriptionIdentifier,
    TopicAlias,
    TopicAliasMaximum,
    UserProperty,
    WillDelayInterval,
}

/// What one `-D` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// Where it goes.
    pub packet: Packet,
    /// What it is.
    pub name: Name,
    /// The value; of a User Property name and value.
    pub values: Vec<OsString>,
}

impl Packet {
    const ALL: [Packet; 6] = [
        Packet::Connect,
        Packet::Publish,
        Packet::Subscribe,
        Packet::Unsubscribe,
        Packet::Disconnect,
        Packet::Will,
    ];

    /// As it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Packet::Connect => "connect",
            Packet::Publish => "publish",
            Packet::Subscribe => "subscribe",
            Packet::Unsubscribe => "unsubscribe",
            Packet::Disconnect => "disconnect",
            Packet::Will => "will",
        }
    }

    /// Whether `command` sends it with properties of the user's.
    fn is_of(self, command: Command) -> bool {
        match self {
            Packet::Connect | Packet::Disconnect | Packet::Will => true,
            Packet::Publish => command != Command::Sub,
            Packet::Subscribe => command != Command::Pub,
            Packet::Unsubscribe => command == Command::Sub,
        }
    }
}

/// The packets whose properties `command` takes, as they are typed.
pub fn packets(command: Command) -> impl Iterator<Item = &'static str> {
    Packet::ALL.into_iter().filter(move |packet| packet.is_of(command)).map(Packet::name)
}

/// Name, property, and the packets of a client that take it.
const PROPERTIES: &[(&str, Name, &[Packet])] = &[
    ("authentication-data", Name::AuthenticationData, &[Packet::Connect]),
    ("authentication-method", Name::AuthenticationMethod, &[Packet::Connect]),
    ("content-type", Name::ContentType, MESSAGES),
    ("correlation-data", Name::CorrelationData, MESSAGES),
    ("maximum-packet-size", Name::MaximumPacketSize, &[Packet::Connect]),
    ("message-expiry-interval", Name::MessageExpiryInterval, MESSAGES),
    ("payload-format-indicator", Name::PayloadFormatIndicator, MESSAGES),
    ("receive-maximum", Name::ReceiveMaximum, &[Packet::Connect]),
    ("request-problem-information", Name::RequestProblemInformation, &[Packet::Connect]),
    ("request-response-information", Name::RequestResponseInformation, &[Packet::Connect]),
    ("response-topic", Name::ResponseTopic, MESSAGES),
    ("session-expiry-interval", Name::SessionExpiryInterval, &[Packet::Connect, Packet::Disconnect]),
    ("subscription-identifier", Name::SubscriptionIdentifier, &[Packet::Subscribe]),
    ("topic-alias", Name::TopicAlias, &[Packet::Publish]),
    ("topic-alias-maximum", Name::TopicAliasMaximum, &[Packet::Connect]),
    ("user-property", Name::UserProperty, &Packet::ALL),
    ("will-delay-interval", Name::WillDelayInterval, &[Packet::Will]),
];

const MESSAGES: &[Packet] = &[Packet::Publish, Packet::Will];

/// Known to mosquitto, and not for a client to send.
const OF_SERVERS: &[&str] = &[
    "assigned-client-identifier",
    "maximum-qos",
    "reason-string",
    "response-information",
    "retain-available",
    "server-keep-alive",
    "server-reference",
    "shared-subscription-available",
    "subscription-identifier-available",
    "wildcard-subscription-available",
];

impl Name {
    /// As it is typed.
    pub fn text(self) -> &'static str {
        // Invariant: the table has each of them (a test sees to it).
        PROPERTIES.iter().find(|(_, name, _)| *name == self).map_or("", |(text, ..)| text)
    }

    /// How many values follow it.
    fn values(self) -> usize {
        if self == Name::UserProperty { 2 } else { 1 }
    }
}

/// How many values follow packet and property.
///
/// # Errors
/// No packet or property of that name, or not of this packet or command; too few arguments.
pub fn values(command: Command, packet: &OsStr, name: Option<&OsStr>) -> Result<usize, UsageError> {
    let packet = read_packet(command, packet)?;
    let name = name.ok_or_else(|| incomplete(OsStr::new(packet.name()), None))?;
    read_name(packet, name).map(Name::values)
}

/// The arguments have ended within a `-D`.
pub fn incomplete(packet: &OsStr, name: Option<&OsStr>) -> UsageError {
    let packet = packet.to_string_lossy();
    let (name, values) = match name {
        None => ("PROPERTY".into(), "VALUE"),
        Some(name) if name == "user-property" => (name.to_string_lossy(), "NAME VALUE"),
        Some(name) => (name.to_string_lossy(), "VALUE"),
    };
    UsageError::new(format_args!("-D/--property needs more values: -D {packet} {name} {values}"))
}

/// The properties out of all values of all `-D`, one after the other.
///
/// # Errors
/// As [`values`]; none for what has come through it.
pub fn gather(command: Command, values: Vec<OsString>) -> Result<Vec<Property>, UsageError> {
    let mut properties = Vec::new();
    let mut values = values.into_iter();
    while let Some(packet) = values.next() {
        let packet = read_packet(command, &packet)?;
        let name = values.next().ok_or_else(|| incomplete(OsStr::new(packet.name()), None))?;
        let name = read_name(packet, &name)?;
        let values: Vec<OsString> = values.by_ref().take(name.values()).collect();
        if values.len() < name.values() {
            return Err(incomplete(OsStr::new(packet.name()), Some(OsStr::new(name.text()))));
        }
        properties.push(Property { packet, name, values });
    }
    Ok(properties)
}

fn read_packet(command: Command, argument: &OsStr) -> Result<Packet, UsageError> {
    let text = argument.to_string_lossy();
    if text == "auth" {
        return Err(UsageError::new("-D auth: no AUTH packet is sent here"));
    }
    let Some(packet) = Packet::ALL.into_iter().find(|packet| packet.name() == text) else {
        let names = Packet::ALL.map(Packet::name);
        let known = PROPERTIES.iter().find(|(name, ..)| *name == text);
        let meant = match (known, suggest::nearest(&text, names.into_iter())) {
            (Some((name, _, packets)), _) => format!(" (as in -D {} {name} ...)", packets[0].name()),
            (None, Some(near)) => format!(": did you mean {near}?"),
            (None, None) => String::new(),
        };
        let text = shown(&text);
        return Err(UsageError::new(format_args!(
            "-D/--property takes a packet first (connect, publish, subscribe, unsubscribe, disconnect or will), \
             not {text}{meant}"
        )));
    };
    if !packet.is_of(command) {
        let (name, packet, sent) = (command.name(), packet.name(), packet.name().to_ascii_uppercase());
        return Err(UsageError::new(format_args!(
            "-D {packet}: 'wspipe {name}' sends no {sent} that it could go with"
        )));
    }
    Ok(packet)
}

fn read_name(packet: Packet, argument: &OsStr) -> Result<Name, UsageError> {
    let text = argument.to_string_lossy();
    let of = packet.name();
    let Some((_, name, packets)) = PROPERTIES.iter().find(|(name, ..)| *name == text) else {
        let text_shown = shown(&text);
        if OF_SERVERS.contains(&&*text) {
            return Err(UsageError::new(format_args!("-D {of}: {text} is for a server to send")));
        }
        let names = PROPERTIES.iter().filter(|(_, _, packets)| packets.contains(&packet));
        let near = suggest::nearest(&text, names.clone().map(|(name, ..)| *name));
        let meant = near.map_or_else(
            || format!("there are {}", names.map(|(name, ..)| *name).collect::<Vec<_>>().join(", ")),
            |near| format!("did you mean {near}?"),
        );
        return Err(UsageError::new(format_args!("-D {of}: no property {text_shown}: {meant}")));
    };
    if !packets.contains(&packet) {
        let packets: Vec<&str> = packets.iter().map(|packet| packet.name()).collect();
        return Err(UsageError::new(format_args!(
            "-D {of}: {text} is a property of {}, not of {of}",
            packets.join(" and ")
        )));
    }
    Ok(*name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_property_has_a_name_and_a_packet() {
        for (index, (text, name, packets)) in PROPERTIES.iter().enumerate() {
            assert_eq!(name.text(), *text);
            assert!(!packets.is_empty() && !OF_SERVERS.contains(text));
            assert!(PROPERTIES[index + 1..].iter().all(|(_, other, _)| other != name), "{text} twice");
        }
        assert_eq!(PROPERTIES.len(), Name::WillDelayInterval as usize + 1);
    }

    #[test]
    fn values_are_gathered_by_their_number() {
        let values = ["connect", "user-property", "a", "will", "publish", "content-type", "-D"];
        let gathered = gather(Command::Pub, values.map(OsString::from).to_vec()).expect("sound");
        assert_eq!(gathered.len(), 2);
        assert_eq!(gathered[0].values, ["a", "will"]);
        assert_eq!((gathered[1].packet, &gathered[1].values[..]), (Packet::Publish, &["-D".into()][..]));
        for cut in [1, 2, 3, 5, 6] {
            let values = values[..cut].iter().map(OsString::from).collect();
            assert!(gather(Command::Pub, values).is_err(), "{cut}");
        }
    }
}
