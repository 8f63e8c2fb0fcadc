//! What may help, naming the option.

use super::{Distrust, Error, Phase, Refusal};

impl Error {
    /// What may help, naming the option.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Error::NoTls => "this build has no TLS: build with the feature tls",
            Error::TimedOut { phase: Phase::Upgrade, .. } => {
                "is it a WebSocket server? --connect-timeout SEC waits longer"
            }
            Error::TimedOut { .. } => "--connect-timeout SEC waits longer",
            Error::Tls { not_tls: true, .. } => {
                "the port does not speak TLS: use ws:// (mqtt:// in place of mqtts://), or another port"
            }
            Error::Untrusted { why, .. } => return Some(distrust_hint(why)),
            Error::Violation { speaks_tls: true, .. } => "the port speaks TLS: use wss://",
            Error::Refused { refusal, .. } => return refusal_hint(refusal),
            _ => return None,
        };
        Some(text.to_owned())
    }
}

fn distrust_hint(why: &Distrust) -> String {
    let text = match why {
        Distrust::UnknownIssuer => "--cafile FILE names the CA to trust (PEM); --insecure checks nothing",
        Distrust::SelfSigned => {
            "--cafile FILE with this certificate or its root (PEM) trusts it; --insecure checks nothing"
        }
        Distrust::Expired | Distrust::NotYetValid => "is this clock right? --insecure checks nothing",
        Distrust::WrongName(_) => "--servername NAME asks for and checks another name",
        Distrust::Other(_) => "--insecure checks nothing",
    };
    text.to_owned()
}

fn refusal_hint(refusal: &Refusal) -> Option<String> {
    let text = match refusal.status {
        300..400 => "redirects are not followed: use the new URL",
        400 if find(&refusal.body, b"HTTPS port") => "the port speaks TLS: use wss://",
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
