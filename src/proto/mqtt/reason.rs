//! Reason codes by name (MQTT 5.0 section 2.4, MQTT 3.1.1 section 3.2.2.3).

/// The standard's name of a reason code of MQTT 5.0, such as `Not authorized`. 0x00 and the like depend on
/// the packet: see there.
pub fn name(code: u8) -> &'static str {
    let _ = code;
    todo!()
}

/// The standard's name of a CONNACK return code of MQTT 3.1.1.
pub fn connack_v311(code: u8) -> &'static str {
    let _ = code;
    todo!()
}
