//! The request of the opening handshake (RFC 6455 section 4.1, points 1 to 12 of the client's).

use rand::{TryRng as _, rngs::SysRng};
use tungstenite::{
    handshake::client::generate_request,
    http::{self, HeaderMap, HeaderName, HeaderValue, Uri, header},
};

use crate::{config::Endpoint, net::error::Error};

/// What the handshake itself sets.
const OURS: [HeaderName; 5] = [
    header::CONNECTION,
    header::UPGRADE,
    header::SEC_WEBSOCKET_KEY,
    header::SEC_WEBSOCKET_VERSION,
    header::SEC_WEBSOCKET_EXTENSIONS,
];

/// The request as bytes, its key, and the subprotocols that it offers.
pub(super) fn request(endpoint: &Endpoint) -> Result<(Vec<u8>, String, Vec<String>), Error> {
    let url = &endpoint.url;
    let uri =
        url.target.parse::<Uri>().map_err(|error| Error::Request(format!("path of the URL: {error}")))?;
    let mut offered = endpoint.subprotocols.clone();
    let mut request = http::Request::new(());
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.insert(header::HOST, header_value("Host", &host_header(endpoint))?);
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    randomness()?;
    let key = tungstenite::handshake::client::generate_key();
    headers.insert(header::SEC_WEBSOCKET_KEY, header_value("Sec-WebSocket-Key", &key)?);
    headers
        .insert(header::USER_AGENT, HeaderValue::from_static(concat!("wspipe/", env!("CARGO_PKG_VERSION"))));
    add_headers(&endpoint.headers, headers, &mut offered)?;
    if !offered.is_empty() {
        let value = header_value("Sec-WebSocket-Protocol", &offered.join(", "))?;
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, value);
    }
    let (bytes, key) = generate_request(request).map_err(|error| Error::Request(error.to_string()))?;
    Ok((bytes, key, offered))
}

/// The key of the handshake, and the masks after it, come from a generator that panics when the system has no seed for
/// it: in a chroot without /dev/random, where a static glibc hides getrandom(2) (scripts/build-static unhides it).
fn randomness() -> Result<(), Error> {
    let seed = SysRng.try_fill_bytes(&mut [0; 32]);
    seed.map_err(|error| Error::Request(format!("no random numbers from the system (/dev/random): {error}")))
}

/// The headers of `-H`: Host and User-Agent take the place of ours (an empty User-Agent is not sent),
/// Sec-WebSocket-Protocol adds to what is offered, what the handshake sets is refused.
fn add_headers(
    given: &[(String, String)],
    headers: &mut HeaderMap,
    offered: &mut Vec<String>,
) -> Result<(), Error> {
    for (name, value) in given {
        let key = HeaderName::from_bytes(name.trim().as_bytes())
            .map_err(|_| Error::Request(format!("\"{name}\" is no header name")))?;
        let value = header_value(name, value.trim())?;
        if OURS.contains(&key) {
            return Err(Error::Request(format!("the handshake itself sets {name}")));
        }
        if key == header::SEC_WEBSOCKET_PROTOCOL {
            let text = value.to_str().unwrap_or_default();
            offered.extend(text.split(',').map(|name| name.trim().to_owned()));
        } else if key == header::USER_AGENT && value.is_empty() {
            headers.remove(key);
        } else if key == header::HOST || key == header::USER_AGENT {
            headers.insert(key, value);
        } else {
            headers.append(key, value);
        }
    }
    Ok(())
}

fn header_value(name: &str, value: &str) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_bytes(value.as_bytes())
        .map_err(|_| Error::Request(format!("the value of header {name} has control characters")))?;
    value.set_sensitive(true);
    Ok(value)
}

/// `host[:port]`, the port left out where it is the default, IPv6 in brackets and without its zone.
fn host_header(endpoint: &Endpoint) -> String {
    let url = &endpoint.url;
    let host = url.host.split('%').next().unwrap_or_default();
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    if url.port == url.scheme.default_port() { host } else { format!("{host}:{}", url.port) }
}
