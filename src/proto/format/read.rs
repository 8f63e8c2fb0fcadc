//! Messages from JSON: the lines of `pub --in json`.

use std::fmt;

use bytes::Bytes;
use mqttbytes::v5::PublishProperties;
use serde_core::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::super::{framing::base64, mqtt::packet::QoS};
use super::json::fault;

/// A message to be published, as a line of JSON tells it. What the line does not say is none.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonMessage {
    /// Topic Name, as it stands in the line: it may be none of MQTT's.
    pub topic: Option<String>,
    /// The payload.
    pub payload: Bytes,
    /// Quality of service.
    pub qos: Option<QoS>,
    /// RETAIN flag.
    pub retain: Option<bool>,
    /// MQTT 5.0 properties, without topic alias and subscription identifiers, which belong to a connection.
    pub properties: Option<PublishProperties>,
}

/// The message of a line as `--json` writes it, or `%j` here and in mosquitto_sub.
///
/// A payload is needed: `payload` is a string, or null for an empty one; `payload_base64` is any bytes. All else may
/// be missing. Other keys are ignored, but not in `properties`, and no key may stand twice. An error says what is
/// wrong and where, fit for one line.
pub fn parse_json(line: &[u8]) -> Result<JsonMessage, String> {
    serde_json::from_slice(line).map_err(|error| {
        let no_json = if error.is_data() { "" } else { "no JSON: " };
        format!("{no_json}{} at byte {}", fault(&error), error.column())
    })
}

impl<'de> Deserialize<'de> for JsonMessage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Line)
    }
}

struct Line;

impl<'de> Visitor<'de> for Line {
    type Value = JsonMessage;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<JsonMessage, A::Error> {
        let (mut topic, mut payload, mut base64) = (None, None, None);
        let (mut qos, mut retain, mut properties) = (None, None, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "topic" => once(&mut topic, "topic", map.next_value()?)?,
                "payload" => once(&mut payload, "payload", map.next_value::<Option<String>>()?)?,
                "payload_base64" => once(&mut base64, "payload_base64", map.next_value::<Base64>()?)?,
                "qos" => once(&mut qos, "qos", number_of_qos(map.next_value()?)?)?,
                "retain" => once(&mut retain, "retain", map.next_value::<Flag>()?)?,
                "properties" => once(&mut properties, "properties", map.next_value::<Properties>()?)?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let payload = match (payload, base64) {
            (Some(text), None) => Bytes::from(text.unwrap_or_default()),
            (None, Some(Base64(bytes))) => bytes,
            (Some(_), Some(_)) => return Err(A::Error::custom("both payload and payload_base64")),
            (None, None) => return Err(A::Error::missing_field("payload")),
        };
        let (retain, properties) = (retain.map(|Flag(flag)| flag), properties.map(|Properties(all)| all));
        Ok(JsonMessage { topic, payload, qos, retain, properties })
    }
}

fn number_of_qos<E: Error>(number: u64) -> Result<QoS, E> {
    let qos = u8::try_from(number).ok().and_then(QoS::from_u8);
    qos.ok_or_else(|| E::custom("qos is none of 0, 1, 2"))
}

/// Sets what may be set only once.
fn once<T, E: Error>(slot: &mut Option<T>, name: &'static str, value: T) -> Result<(), E> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(E::duplicate_field(name)),
    }
}

/// A string of base64, whose padding may be missing.
struct Base64(Bytes);

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match base64::decode(text.as_bytes()) {
            Ok(bytes) => Ok(Base64(Bytes::from(bytes))),
            Err(at) => Err(D::Error::custom(format_args!("no base64 from its byte {at}"))),
        }
    }
}

/// True or false, or 1 or 0 as mosquitto_sub 2.0 writes them.
struct Flag(bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl Visitor<'_> for Either {
            type Value = Flag;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true or false")
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<Flag, E> {
                Ok(Flag(value))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Flag, E> {
                match value {
                    0 | 1 => Ok(Flag(value == 1)),
                    _ => Err(E::custom("retain is neither true nor false")),
                }
            }
        }

        deserializer.deserialize_any(Either)
    }
}

struct Properties(PublishProperties);

impl<'de> Deserialize<'de> for Properties {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Properties;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of properties")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Properties, A::Error> {
                let mut found = Found::default();
                while let Some(name) = map.next_key::<String>()? {
                    found.read(&name, &mut map)?;
                }
                Ok(Properties(found.into()))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// The properties that were read so far.
#[derive(Default)]
struct Found {
    format: Option<u8>,
    expiry: Option<u32>,
    content_type: Option<String>,
    response_topic: Option<String>,
    correlation_data: Option<Bytes>,
    user: Option<Pairs>,
}

impl Found {
    fn read<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "payload-format-indicator" => {
                once(&mut self.format, "payload-format-indicator", map.next_value()?)
            }
            "message-expiry-interval" => once(&mut self.expiry, "message-expiry-interval", map.next_value()?),
            "content-type" => once(&mut self.content_type, "content-type", map.next_value()?),
            "response-topic" => once(&mut self.response_topic, "response-topic", map.next_value()?),
            "correlation-data" => {
                let text: String = map.next_value()?;
                once(&mut self.correlation_data, "correlation-data", text.into())
            }
            "correlation-data-base64" => {
                let Base64(bytes) = map.next_value()?;
                once(&mut self.correlation_data, "correlation-data", bytes)
            }
            "user-properties" => once(&mut self.user, "user-properties", map.next_value()?),
            // Of the connection that the message came by.
            "subscription-identifier" | "topic-alias" => map.next_value::<IgnoredAny>().map(|_| ()),
            _ => Err(A::Error::custom(format_args!("unknown property \"{name}\""))),
        }
    }
}

impl From<Found> for PublishProperties {
    fn from(found: Found) -> PublishProperties {
        PublishProperties {
            payload_format_indicator: found.format,
            message_expiry_interval: found.expiry,
            topic_alias: None,
            response_topic: found.response_topic,
            correlation_data: found.correlation_data,
            user_properties: found.user.map_or_else(Vec::new, |Pairs(pairs)| pairs),
            subscription_identifiers: Vec::new(),
            content_type: found.content_type,
        }
    }
}

/// `[{"name":"value"},…]`, or one object, as mosquitto_sub 2.0 writes it. Names may stand more than once.
struct Pairs(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;

        impl<'de> Visitor<'de> for List {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("user properties: objects of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(Pairs(mut more)) = items.next_element()? {
                    pairs.append(&mut more);
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_any(List)
    }
}

#[cfg(test)]
mod tests;
