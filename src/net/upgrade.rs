//! The opening handshake of WebSocket over HTTP/1.1 (RFC 6455 section 4), on bytes.

mod client;
mod server;

#[cfg(any(test, fuzzing))]
pub(super) use client::drive;
pub(super) use client::{Framing, Upgrade, dechunk, refused};
pub use server::{Refuse, Request, parse_request, response};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use sha1::{Digest as _, Sha1};

/// The largest head taken, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// The most headers taken in a head.
const MAX_HEADERS: usize = 124;

/// The Sec-WebSocket-Accept that answers `key` (RFC 6455 section 4.2.2 point 5).
pub(super) fn accept_key(key: &str) -> String {
    const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    BASE64_STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

/// The comma-separated elements of all headers called `name`; a header that is not UTF-8 has none.
fn tokens<'a>(headers: &'a [httparse::Header<'_>], name: &'a str) -> impl Iterator<Item = &'a str> {
    headers
        .iter()
        .filter(move |header| header.name.eq_ignore_ascii_case(name))
        .filter_map(|header| std::str::from_utf8(header.value).ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
}

/// Whether one of those elements is `token`, whatever its case.
fn has_token(headers: &[httparse::Header<'_>], name: &str, token: &str) -> bool {
    tokens(headers, name).any(|found| found.eq_ignore_ascii_case(token))
}
