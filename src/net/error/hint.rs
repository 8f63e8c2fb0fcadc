//! What may help, naming the option.

use super::{Error, Phase, Refusal};

impl Error {
    /// What may help, naming the option.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Error::NoTls => "this build has no TLS: build with the feature tls",
            Error::TimedOut { phase: Phase::Upgrade, .. } => {
                "is it a WebSocket server? --connect-timeout SEC waits longer"
            }
            Error::TimedOut { .. } => "--connect-timeout SEC waits longer",
            Error::Tls { clue, .. } => return clue.hint().map(str::to_owned),
            Error::Untrusted { why, .. } => return Some(why.hint()),
            Error::Pin { .. } => "--pin takes that key too; is it another server, or has it a new key?",
            Error::Violation { speaks_tls: true, .. } => "the port speaks TLS: use wss://",
            Error::Refused { refusal, .. } => return refusal_hint(refusal),
            _ => return None,
        };
        Some(text.to_owned())
    }
}

fn refusal_hint(refusal: &Refusal) -> Option<String> {
    let text = match refusal.status {
        300..400 => "redirects are not followed: use the new URL",
        400 if find(&refusal.body, b"HTTPS port") => "the port speaks TLS: use wss://",
        // nginx's words: it lets the handshake pass and refuses the request.
        400 if find(&refusal.body, b"No required SSL certificate") => {
            "the server wants a client certificate: --cert FILE with --key FILE, or --pkcs12 FILE, gives one"
        }
        400 if find(&refusal.body, b"SSL certificate error") => {
            "the server does not trust the client certificate of --cert or --pkcs12"
        }
        401 => "-H 'Authorization: …' or USER:PASSWORD@ in the URL sends a login",
        403 => "-H 'Origin: …' or a login may be wanted",
        404 => "check the path of the URL",
        200..300 => "no WebSocket at this path?",
        _ => return None,
    };
    Some(text.to_owned())
}

fn find(haystack: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(haystack, needle).is_some()
}
