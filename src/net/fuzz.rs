//! What tests/fuzz drives of the network, without addresses: built for tests and with `--cfg fuzzing` only.

use std::{
    net::{IpAddr, Ipv4Addr, TcpStream},
    time::Duration,
};

use super::{Connection, Obstacle, proxy, redirect, retry_after, stream::Stream, upgrade};
use crate::{config::Endpoint, proto::link::Established};

pub use super::upgrade::drive::Outcome;

/// An upgrade that offered `mqtt` with the key of RFC 6455 section 1.3: the answer in pieces, and then the end of
/// the stream where `ends`. How many pieces it looked at, and what became of it.
pub fn upgrade(pieces: &[&[u8]], follow: bool, ends: bool) -> (usize, Outcome) {
    upgrade::drive::drive(pieces, follow, ends)
}

/// A proxy's handshake: its answer in pieces, and then its end. The bytes that are the handshake's, and why it
/// failed where it did.
pub fn proxy(http: bool, login: bool, pieces: &[&[u8]]) -> (usize, Option<Obstacle>) {
    proxy::drive(http, login, pieces)
}

/// Turns `endpoint` to where a Location leads, or says why it is not followed.
pub fn redirect(endpoint: &mut Endpoint, location: &str) -> Result<(), redirect::Fault> {
    redirect::follow(endpoint, Some(location), 0)
}

/// A Location for a message.
pub fn public_location(location: &str) -> String {
    redirect::public(location)
}

/// Retry-After at `now`, in seconds since 1970.
pub fn retry_after(text: &str, now: u64) -> Option<Duration> {
    retry_after::wait(text, now)
}

/// The client's side of a WebSocket over any stream socket; `ahead` came with the response head.
pub fn client(tcp: TcpStream, ahead: Vec<u8>, max_message: usize) -> Connection {
    Connection::client(Stream::plain(tcp), ahead, max_message, Established::default())
}

/// An address to ask a proxy for.
pub(super) const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
