//! CONNECT to be sent (MQTT 5.0 and 3.1.1, section 3.1). mqttbytes has no binary password and no empty user name.

use bytes::{BufMut, BytesMut};

use super::{
    super::{
        packet::{Connect, ConnectProperties, PublishProperties, Version, Will},
        topic,
    },
    Error,
    encode::{
        check_binary, check_pairs, check_text, put_authentication, put_bytes, put_packet, put_pairs,
        put_section,
    },
    properties::id,
    publish,
};

/// Appends CONNECT. Like all encoders: on `Err` nothing was appended. In 3.1.1 the properties, the will's too,
/// are left out.
///
/// # Errors
/// `Unsendable` for what the standard forbids: a password without user name in 3.1.1 [MQTT-3.1.2-22], an empty
/// client identifier without Clean Session there [MQTT-3.1.3-8], lengths, topics and values out of range.
pub fn connect(out: &mut BytesMut, version: Version, packet: &Connect) -> Result<(), Error> {
    check_connect(version, packet)?;
    let mut body = BytesMut::with_capacity(128);
    put_bytes(&mut body, b"MQTT");
    body.put_u8(if version == Version::V5 { 5 } else { 4 });
    body.put_u8(connect_flags(packet));
    body.put_u16(packet.keep_alive);
    if version == Version::V5 {
        put_section(&mut body, &connect_properties(&packet.properties))?;
    }
    put_bytes(&mut body, packet.client_id.as_bytes());
    if let Some(will) = &packet.will {
        if version == Version::V5 {
            put_section(&mut body, &will_properties(will))?;
        }
        put_bytes(&mut body, will.topic.as_bytes());
        put_bytes(&mut body, &will.payload);
    }
    if let Some(username) = &packet.username {
        put_bytes(&mut body, username.as_bytes());
    }
    if let Some(password) = &packet.password {
        put_bytes(&mut body, password);
    }
    put_packet(out, 0x10, &body)
}

fn check_connect(version: Version, packet: &Connect) -> Result<(), Error> {
    check_text!("the client identifier", packet.client_id)?;
    if let Some(username) = &packet.username {
        check_text!("the user name", username)?;
    }
    if let Some(password) = &packet.password {
        check_binary!("the password", password)?;
    }
    if let Some(will) = &packet.will {
        check_will(version, will)?;
    }
    if version == Version::V5 {
        return check_connect_properties(&packet.properties);
    }
    if packet.password.is_some() && packet.username.is_none() {
        return Err(Error::Unsendable("MQTT 3.1.1 has no password without a user name"));
    }
    if packet.client_id.is_empty() && !packet.clean {
        return Err(Error::Unsendable("MQTT 3.1.1 keeps no session for an empty client identifier"));
    }
    Ok(())
}

fn check_will(version: Version, will: &Will) -> Result<(), Error> {
    topic::check_name(&will.topic).map_err(|_| Error::Unsendable("the will topic is no topic name"))?;
    check_binary!("the will payload", will.payload)?;
    match &will.properties {
        Some(properties) if version == Version::V5 => publish::check_properties(properties),
        _ => Ok(()),
    }
}

fn check_connect_properties(p: &ConnectProperties) -> Result<(), Error> {
    if p.receive_maximum == Some(0) {
        return Err(Error::Unsendable("Receive Maximum 0"));
    }
    if p.maximum_packet_size == Some(0) {
        return Err(Error::Unsendable("Maximum Packet Size 0"));
    }
    if p.authentication_data.is_some() && p.authentication_method.is_none() {
        return Err(Error::Unsendable("authentication data without a method"));
    }
    if let Some(method) = &p.authentication_method {
        check_text!("the authentication method", method)?;
    }
    if let Some(data) = &p.authentication_data {
        check_binary!("the authentication data", data)?;
    }
    check_pairs(&p.user_properties)
}

/// Connect Flags (section 3.1.2.3).
fn connect_flags(packet: &Connect) -> u8 {
    let mut flags = u8::from(packet.clean) << 1;
    if let Some(will) = &packet.will {
        flags |= 1 << 2 | (will.qos as u8) << 3 | u8::from(will.retain) << 5;
    }
    flags | u8::from(packet.password.is_some()) << 6 | u8::from(packet.username.is_some()) << 7
}

fn connect_properties(p: &ConnectProperties) -> BytesMut {
    let mut out = BytesMut::new();
    if let Some(value) = p.session_expiry_interval {
        out.put_u8(id::SESSION_EXPIRY_INTERVAL);
        out.put_u32(value);
    }
    if let Some(value) = p.receive_maximum {
        out.put_u8(id::RECEIVE_MAXIMUM);
        out.put_u16(value);
    }
    if let Some(value) = p.maximum_packet_size {
        out.put_u8(id::MAXIMUM_PACKET_SIZE);
        out.put_u32(value);
    }
    if let Some(value) = p.topic_alias_maximum {
        out.put_u8(id::TOPIC_ALIAS_MAXIMUM);
        out.put_u16(value);
    }
    if let Some(value) = p.request_response_information {
        out.put_slice(&[id::REQUEST_RESPONSE_INFORMATION, value.into()]);
    }
    if let Some(value) = p.request_problem_information {
        out.put_slice(&[id::REQUEST_PROBLEM_INFORMATION, value.into()]);
    }
    put_pairs(&mut out, &p.user_properties);
    put_authentication(&mut out, p.authentication_method.as_deref(), p.authentication_data.as_deref());
    out
}

fn will_properties(will: &Will) -> BytesMut {
    let mut out = BytesMut::new();
    if let Some(value) = will.delay_interval {
        out.put_u8(id::WILL_DELAY_INTERVAL);
        out.put_u32(value);
    }
    if let Some(properties) = &will.properties {
        // A will has neither alias nor subscription identifiers (section 3.1.3.2).
        let properties = PublishProperties { topic_alias: None, ..properties.as_ref().clone() };
        publish::put_properties(&mut out, &properties);
    }
    out
}
