//! TLS alerts of the peer (RFC 8446 section 6), and what they mean for who has to act.

use std::fmt;

use crate::proto::format::excerpt;

/// What a failed handshake is probably about, for the advice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clue {
    /// Nothing is known.
    None,
    /// The peer's first bytes were no TLS record.
    NotTls,
    /// The peer wants a client certificate and got none.
    WantsCertificate,
    /// The peer refused our client certificate.
    RefusedCertificate,
    /// There is no version of TLS in common.
    Versions,
    /// There is no application protocol (ALPN) in common.
    Protocols,
    /// The peer does not know the name that was asked for.
    Name,
}

impl Clue {
    pub(super) fn hint(self) -> Option<&'static str> {
        match self {
            Clue::None => None,
            Clue::NotTls => {
                Some("the port does not speak TLS: use ws:// (mqtt:// in place of mqtts://), or another port")
            }
            Clue::WantsCertificate => Some("--cert FILE with --key FILE, or --pkcs12 FILE, gives one"),
            Clue::RefusedCertificate => Some("--cert and --key, or --pkcs12, give another one"),
            Clue::Versions => Some("--tls-min and --tls-max say which versions are spoken"),
            Clue::Protocols => {
                Some("--alpn NAME says which protocol is spoken, and none is offered without it")
            }
            Clue::Name => Some("--servername NAME asks for another name"),
        }
    }

    /// Whether another attempt would end the same way.
    pub(super) fn is_permanent(self) -> bool {
        matches!(self, Clue::WantsCertificate | Clue::RefusedCertificate | Clue::Versions | Clue::Protocols)
    }
}

/// A fatal alert from the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// AlertDescription.
    pub number: u8,
    /// What the client certificate is called where one was given, with what is wrong with it as far as that can be
    /// seen from here.
    pub given: Option<String>,
    /// The handshake was past the server's certificate, which is where a client's comes into it.
    pub late: bool,
}

impl Alert {
    /// What it is about.
    pub fn clue(&self) -> Clue {
        match self.number {
            116 => Clue::WantsCertificate,
            // bad_certificate to access_denied. A client checks a server's certificate, not the other way round:
            // from a server these are about the client's.
            42..=46 | 48 | 49 if self.given.is_some() => Clue::RefusedCertificate,
            42..=46 | 48 | 49 => Clue::WantsCertificate,
            // handshake_failure: what TLS 1.2 has where 1.3 has certificate_required.
            40 if self.late && self.given.is_none() => Clue::WantsCertificate,
            40 | 51 if self.late && self.given.is_some() => Clue::RefusedCertificate,
            70 => Clue::Versions,
            112 => Clue::Name,
            120 => Clue::Protocols,
            _ => Clue::None,
        }
    }

    /// Whether it is about the client's certificate.
    pub fn is_about_us(&self) -> bool {
        matches!(self.clue(), Clue::WantsCertificate | Clue::RefusedCertificate)
    }

    /// The line for who has no place for a hint of its own.
    pub fn with_hint(&self) -> String {
        match self.clue().hint() {
            Some(hint) => format!("{self} ({hint})"),
            None => self.to_string(),
        }
    }
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given = self.given.as_ref().map(|given| excerpt(given.as_bytes()));
        match (self.clue(), given) {
            (Clue::WantsCertificate, Some(given)) => {
                write!(f, "the server wants another client certificate than {given}")?;
            }
            (Clue::WantsCertificate, None) if self.number == 40 => {
                f.write_str("the server broke it off, probably for want of a client certificate")?;
            }
            (Clue::WantsCertificate, None) => f.write_str("the server wants a client certificate")?,
            (Clue::RefusedCertificate, Some(given)) => {
                write!(f, "the server refused the client certificate {given}")?;
            }
            (Clue::Versions, _) => f.write_str("no version of TLS in common")?,
            (Clue::Protocols, _) => f.write_str("no application protocol (ALPN) in common")?,
            (Clue::Name, _) => f.write_str("the server does not know the name")?,
            _ => f.write_str("the server refused it")?,
        }
        match name(self.number) {
            Some(name) => write!(f, ": alert {name}"),
            None => write!(f, ": alert {}", self.number),
        }
    }
}

impl std::error::Error for Alert {}

/// AlertDescription of RFC 8446 section 6, and of RFC 5246 section 7.2.
fn name(number: u8) -> Option<&'static str> {
    Some(match number {
        10 => "unexpected_message",
        20 => "bad_record_mac",
        21 => "decryption_failed",
        22 => "record_overflow",
        40 => "handshake_failure",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        86 => "inappropriate_fallback",
        90 => "user_canceled",
        100 => "no_renegotiation",
        109 => "missing_extension",
        110 => "unsupported_extension",
        112 => "unrecognized_name",
        113 => "bad_certificate_status_response",
        115 => "unknown_psk_identity",
        116 => "certificate_required",
        120 => "no_application_protocol",
        _ => return None,
    })
}
