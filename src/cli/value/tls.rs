//! Values of the flags of TLS.

use std::{ffi::OsStr, path::PathBuf};

use base64::prelude::{BASE64_STANDARD, Engine as _};

use super::{FromArg, shown, utf8};
use crate::config::{Pins, TlsVersion};

/// A version of TLS: `1.2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(pub TlsVersion);

/// The name of an application protocol (RFC 7301): 1 to 255 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protocol(pub String);

impl FromArg for Version {
    fn from_arg(argument: &OsStr) -> Result<Self, String> {
        let text = utf8(argument)?;
        Ok(Version(match text {
            "1.0" => TlsVersion::V1_0,
            "1.1" => TlsVersion::V1_1,
            "1.2" => TlsVersion::V1_2,
            "1.3" => TlsVersion::V1_3,
            _ => return Err(format!("takes 1.0, 1.1, 1.2 or 1.3, not {}", shown(text))),
        }))
    }
}

impl FromArg for Protocol {
    fn from_arg(argument: &OsStr) -> Result<Self, String> {
        let text = utf8(argument)?;
        if text.contains(',') {
            return Err(format!("takes one name: for several of {} repeat the option", shown(text)));
        }
        if text.is_empty() || text.len() > 255 {
            return Err(format!("takes a name of 1 to 255 bytes, not one of {}", text.len()));
        }
        Ok(Protocol(text.to_owned()))
    }
}

/// How a pin begins.
const SHA256: &str = "sha256//";

impl FromArg for Pins {
    fn from_arg(argument: &OsStr) -> Result<Self, String> {
        if !argument.as_encoded_bytes().starts_with(SHA256.as_bytes()) {
            return PathBuf::from_arg(argument).map(Pins::File);
        }
        let mut hashes = Vec::new();
        for pin in utf8(argument)?.split(';') {
            hashes.push(hash(pin)?);
        }
        Ok(Pins::Hashes(hashes))
    }
}

fn hash(pin: &str) -> Result<[u8; 32], String> {
    let digits = pin.strip_prefix(SHA256);
    let bytes = digits.and_then(|digits| BASE64_STANDARD.decode(digits).ok());
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| {
        format!(
            "takes {SHA256} and the base64 of 32 bytes, several with ';' between them, or a file, not {}",
            shown(pin)
        )
    })
}
