//! Reason codes by name (MQTT 5.0 section 2.4, MQTT 3.1.1 section 3.2.2.3).

/// What a code that the standard does not list is called.
const UNKNOWN: &str = "unknown reason";

/// The standard's name of a reason code of MQTT 5.0, such as `Not authorized`. 0x00 is `Success`, whatever the
/// packet; DISCONNECT and SUBACK call it `Normal disconnection` and `Granted QoS 0`.
pub fn name(code: u8) -> &'static str {
    match code {
        0x00 => "Success",
        0x01 => "Granted QoS 1",
        0x02 => "Granted QoS 2",
        0x04 => "Disconnect with Will Message",
        0x10 => "No matching subscribers",
        0x11 => "No subscription existed",
        0x18 => "Continue authentication",
        0x19 => "Re-authenticate",
        0x80 => "Unspecified error",
        0x81 => "Malformed Packet",
        0x82 => "Protocol Error",
        0x83 => "Implementation specific error",
        0x84 => "Unsupported Protocol Version",
        0x85 => "Client Identifier not valid",
        0x86 => "Bad User Name or Password",
        0x87 => "Not authorized",
        0x88 => "Server unavailable",
        0x89 => "Server busy",
        0x8a => "Banned",
        0x8b => "Server shutting down",
        0x8c => "Bad authentication method",
        0x8d => "Keep Alive timeout",
        0x8e => "Session taken over",
        0x8f => "Topic Filter invalid",
        0x90 => "Topic Name invalid",
        0x91 => "Packet Identifier in use",
        0x92 => "Packet Identifier not found",
        0x93 => "Receive Maximum exceeded",
        0x94 => "Topic Alias invalid",
        0x95 => "Packet too large",
        0x96 => "Message rate too high",
        0x97 => "Quota exceeded",
        0x98 => "Administrative action",
        0x99 => "Payload format invalid",
        0x9a => "Retain not supported",
        0x9b => "QoS not supported",
        0x9c => "Use another server",
        0x9d => "Server moved",
        0x9e => "Shared Subscriptions not supported",
        0x9f => "Connection rate exceeded",
        0xa0 => "Maximum connect time",
        0xa1 => "Subscription Identifiers not supported",
        0xa2 => "Wildcard Subscriptions not supported",
        _ => UNKNOWN,
    }
}

/// Whether MQTT 5.0 section 2.4 lists the code, for whatever packet.
pub fn is_listed(code: u8) -> bool {
    name(code) != UNKNOWN
}

/// The standard's name of a CONNACK return code of MQTT 3.1.1.
pub fn connack_v311(code: u8) -> &'static str {
    match code {
        0 => "Connection Accepted",
        1 => "unacceptable protocol version",
        2 => "identifier rejected",
        3 => "Server unavailable",
        4 => "bad user name or password",
        5 => "not authorized",
        _ => UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_table_and_nothing_else() {
        // Section 2.4 has 8 codes below 0x80 and 35 from 0x80 to 0xA2 without a gap.
        let listed: Vec<u8> = (0..=255).filter(|&code| is_listed(code)).collect();
        let mut expected = vec![0x00, 0x01, 0x02, 0x04, 0x10, 0x11, 0x18, 0x19];
        expected.extend(0x80..=0xa2);
        assert_eq!(listed, expected);
        let mut names: Vec<_> = listed.iter().map(|&code| name(code)).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), listed.len(), "a name stands for two codes");
    }

    #[test]
    fn names() {
        assert_eq!(name(0x87), "Not authorized");
        assert_eq!(name(0x8e), "Session taken over");
        assert_eq!(name(0x9d), "Server moved");
        assert_eq!(name(0x03), "unknown reason");
        assert_eq!(connack_v311(1), "unacceptable protocol version");
        assert_eq!(connack_v311(5), "not authorized");
        assert_eq!(connack_v311(6), "unknown reason");
    }
}
