//! What may help, naming the option.

use super::{Error, Obstacle, Phase, Refusal};
use crate::net::redirect;

impl Error {
    /// What may help, naming the option.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Error::NoTls => "this build has no TLS: build with the feature tls",
            Error::TimedOut { phase: Phase::Upgrade, .. } => {
                "is it a WebSocket server? --connect-timeout SEC waits longer"
            }
            Error::TimedOut { phase: Phase::Proxy, .. } => {
                "is it a proxy of that kind? --connect-timeout SEC waits longer"
            }
            Error::ResolveProxy { .. } | Error::ConnectProxy { .. } => {
                "--no-proxy LIST names hosts to reach directly"
            }
            Error::Proxy { why, .. } => return obstacle_hint(why),
            Error::TimedOut { .. } => "--connect-timeout SEC waits longer",
            Error::Tls { clue, .. } => return clue.hint().map(str::to_owned),
            Error::Untrusted { why, .. } => return Some(why.hint()),
            Error::Pin { .. } => "--pin takes that key too; is it another server, or has it a new key?",
            Error::Violation { speaks_tls: true, .. } => "the port speaks TLS: use wss://",
            Error::Refused { refusal, .. } => return refusal_hint(refusal),
            Error::Redirect { fault, .. } => return fault.hint().map(str::to_owned),
            _ => return None,
        };
        Some(text.to_owned())
    }
}

fn refusal_hint(refusal: &Refusal) -> Option<String> {
    let text = match refusal.status {
        status if redirect::is_redirect(status) => "--location follows redirects",
        400 if find(&refusal.body, b"HTTPS port") => "the port speaks TLS: use wss://",
        // nginx's words: it lets the handshake pass and refuses the request.
        400 if find(&refusal.body, b"No required SSL certificate") => {
            "the server wants a client certificate: --cert FILE with --key FILE, or --pkcs12 FILE, gives one"
        }
        400 if find(&refusal.body, b"SSL certificate error") => {
            "the server does not trust the client certificate of --cert or --pkcs12"
        }
        401 => "--auth USER:PASSWORD or --bearer-file FILE sends a login",
        403 => "--origin ORIGIN or a login may be wanted",
        404 => "check the path of the URL",
        200..300 => "no WebSocket at this path?",
        _ => return None,
    };
    Some(text.to_owned())
}

fn find(haystack: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(haystack, needle).is_some()
}

fn obstacle_hint(why: &Obstacle) -> Option<String> {
    let text = match why {
        Obstacle::Refused { refusal, login } => match refusal.status {
            407 if !offers_basic(refusal) => "it wants another authentication than Basic: not supported",
            407 if *login => "is the login in the proxy's URL right?",
            407 => "USER:PASSWORD@ before the host in the proxy's URL sends a login",
            403 => "many proxies let through few ports, such as 443",
            400 | 404 | 405 | 501 => "is it a proxy, and does it allow CONNECT?",
            _ => return None,
        },
        Obstacle::LoginRefused => "is the login in the proxy's URL right?",
        Obstacle::NoMethod { login: false } => {
            "USER:PASSWORD@ before the host in the proxy's URL sends a login"
        }
        Obstacle::Violation { speaks: Some(scheme), .. } => {
            return Some(format!("the port speaks another protocol: {scheme}://?"));
        }
        _ => return None,
    };
    Some(text.to_owned())
}

/// Basic is among the schemes, or none is named.
fn offers_basic(refusal: &Refusal) -> bool {
    let named = refusal.www_authenticate.as_deref().unwrap_or("basic");
    named.to_ascii_lowercase().contains("basic")
}
