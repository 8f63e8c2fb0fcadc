//! The values of `-D`, checked and sorted by packet.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

use bytes::Bytes;

use super::{check_topic, mqtt::MQTT_FIELD};
use crate::{
    cli::{
        error::{UsageError, shown_os},
        low::LowArgs,
        property::{Name, Packet, Property},
        value::{Expiry, FromArg},
    },
    config::{ConnectProperties, PublishProperties, no_properties},
};

#[cfg(test)]
mod tests;

/// The largest Subscription Identifier: what a Variable Byte Integer can say (MQTT 5.0 section 1.5.5).
const LARGEST_VARIABLE: u32 = 268_435_455;

/// All that `-D` said.
#[derive(Debug)]
pub struct Properties {
    /// CONNECT.
    pub connect: ConnectProperties,
    /// PUBLISH.
    pub publish: PublishProperties,
    /// SUBSCRIBE: Subscription Identifier.
    pub subscription_id: Option<u32>,
    /// SUBSCRIBE: User Properties.
    pub subscribe: Vec<(String, String)>,
    /// UNSUBSCRIBE: User Properties.
    pub unsubscribe: Vec<(String, String)>,
    /// DISCONNECT: Session Expiry Interval.
    pub disconnect_expiry: Option<u32>,
    /// DISCONNECT: User Properties.
    pub disconnect: Vec<(String, String)>,
    /// The Will but for its delay.
    pub will: PublishProperties,
    /// The Will's delay.
    pub will_delay: Option<u32>,
}

/// Reads them. Of a property given twice the last value holds, but for User Properties.
///
/// # Errors
/// A value that its property does not take.
pub fn properties(low: &LowArgs) -> Result<Properties, UsageError> {
    let mut all = Properties {
        connect: ConnectProperties::default(),
        publish: no_properties(),
        subscription_id: None,
        subscribe: Vec::new(),
        unsubscribe: Vec::new(),
        disconnect_expiry: None,
        disconnect: Vec::new(),
        will: no_properties(),
        will_delay: None,
    };
    for property in &low.client.properties {
        all.take(property).map_err(|why| UsageError::new(format_args!("-D {} {why}", spelling(property))))?;
    }
    if all.connect.authentication_data.is_some() && all.connect.authentication_method.is_none() {
        return Err(UsageError::new(
            "-D connect authentication-data needs -D connect authentication-method (MQTT 5.0 section 3.1.2.11.10)",
        ));
    }
    Ok(all)
}

fn spelling(property: &Property) -> String {
    format!("{} {}", property.packet.name(), property.name.text())
}

impl Properties {
    fn take(&mut self, property: &Property) -> Result<(), String> {
        let value = property.values.first().map_or(OsStr::new(""), |value| value.as_os_str());
        match (property.packet, property.name) {
            (packet, Name::UserProperty) => {
                let pair = (text(value)?, text(property.values.get(1).map_or(OsStr::new(""), |v| v))?);
                self.user_properties(packet).push(pair);
                Ok(())
            }
            (Packet::Connect, name) => self.take_connect(name, value),
            (Packet::Publish, name) => take_publish(&mut self.publish, name, value),
            (Packet::Will, Name::WillDelayInterval) => set(&mut self.will_delay, u32::from_arg(value)),
            (Packet::Will, name) => take_publish(&mut self.will, name, value),
            (Packet::Subscribe, _) => set(&mut self.subscription_id, within(value, 1, LARGEST_VARIABLE)),
            (Packet::Disconnect, _) => set(&mut self.disconnect_expiry, expiry(value)),
            // It has User Properties only.
            (Packet::Unsubscribe, _) => Ok(()),
        }
    }

    fn user_properties(&mut self, packet: Packet) -> &mut Vec<(String, String)> {
        match packet {
            Packet::Connect => &mut self.connect.user_properties,
            Packet::Publish => &mut self.publish.user_properties,
            Packet::Subscribe => &mut self.subscribe,
            Packet::Unsubscribe => &mut self.unsubscribe,
            Packet::Disconnect => &mut self.disconnect,
            Packet::Will => &mut self.will.user_properties,
        }
    }

    fn take_connect(&mut self, name: Name, value: &OsStr) -> Result<(), String> {
        let connect = &mut self.connect;
        match name {
            Name::AuthenticationData => set(&mut connect.authentication_data, binary(value)),
            Name::AuthenticationMethod => set(&mut connect.authentication_method, text(value)),
            Name::MaximumPacketSize => set(&mut connect.maximum_packet_size, within(value, 1, u32::MAX)),
            Name::ReceiveMaximum => set(&mut connect.receive_maximum, short(value, 1)),
            Name::RequestProblemInformation => set(&mut connect.request_problem_information, flag(value)),
            Name::RequestResponseInformation => set(&mut connect.request_response_information, flag(value)),
            Name::SessionExpiryInterval => set(&mut connect.session_expiry_interval, expiry(value)),
            Name::TopicAliasMaximum => set(&mut connect.topic_alias_maximum, short(value, 0)),
            // The table of properties lets no other through.
            _ => Ok(()),
        }
    }
}

fn take_publish(publish: &mut PublishProperties, name: Name, value: &OsStr) -> Result<(), String> {
    match name {
        Name::ContentType => set(&mut publish.content_type, text(value)),
        Name::CorrelationData => set(&mut publish.correlation_data, binary(value)),
        Name::MessageExpiryInterval => set(&mut publish.message_expiry_interval, u32::from_arg(value)),
        Name::PayloadFormatIndicator => set(&mut publish.payload_format_indicator, flag(value).map(u8::from)),
        Name::ResponseTopic => set(&mut publish.response_topic, topic_name(value)),
        Name::TopicAlias => set(&mut publish.topic_alias, short(value, 1)),
        _ => Ok(()),
    }
}

fn set<T>(place: &mut Option<T>, value: Result<T, String>) -> Result<(), String> {
    *place = Some(value?);
    Ok(())
}

fn within(value: &OsStr, lowest: u32, highest: u32) -> Result<u32, String> {
    match u32::from_arg(value) {
        Ok(number) if (lowest..=highest).contains(&number) => Ok(number),
        _ => Err(format!("takes a whole number from {lowest} to {highest}, not {}", shown_os(value))),
    }
}

fn short(value: &OsStr, lowest: u16) -> Result<u16, String> {
    let number = within(value, u32::from(lowest), u32::from(u16::MAX))?;
    // Invariant: `within` has seen to the range.
    Ok(u16::try_from(number).unwrap_or(u16::MAX))
}

fn flag(value: &OsStr) -> Result<bool, String> {
    within(value, 0, 1).map(|number| number == 1)
}

fn expiry(value: &OsStr) -> Result<u32, String> {
    Expiry::from_arg(value).map(|Expiry(seconds)| seconds)
}

fn text(value: &OsStr) -> Result<String, String> {
    let text = String::from_arg(value)?;
    if text.contains('\0') {
        return Err("takes no NUL".to_owned());
    }
    sized(text.as_bytes())?;
    Ok(text)
}

fn binary(value: &OsStr) -> Result<Bytes, String> {
    sized(value.as_bytes())?;
    Ok(Bytes::copy_from_slice(value.as_bytes()))
}

fn topic_name(value: &OsStr) -> Result<String, String> {
    let name = String::from_arg(value)?;
    check_topic("takes a topic, not", &name).map_err(|error| error.to_string())?;
    Ok(name)
}

fn sized(value: &[u8]) -> Result<(), String> {
    if value.len() > MQTT_FIELD {
        return Err(format!("takes at most {MQTT_FIELD} bytes, not {}", value.len()));
    }
    Ok(())
}
