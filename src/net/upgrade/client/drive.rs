//! An upgrade without a socket, for tests that hand it any bytes.

use std::time::Instant;

use super::{Head, Upgrade};
use crate::net::error::{Error, Peer};

/// The answer to the key of RFC 6455 section 1.3.
pub(in crate::net) const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// What became of an upgrade.
#[derive(Debug)]
pub enum Outcome {
    /// More must come.
    Waiting,
    /// It stands: the subprotocol, and the bytes that are the server's first frames.
    Upgraded(Option<String>, Vec<u8>),
    /// It failed.
    Failed(Error),
}

/// One that waits for its answer, and has offered `mqtt`.
pub(in crate::net) fn waiting(follow: bool) -> Upgrade {
    Upgrade {
        stream: None,
        peer: Peer { host: String::from("example.org"), port: 80 },
        tls: false,
        max_message: 1 << 20,
        request: Vec::new(),
        sent: 0,
        accept: ACCEPT.to_owned(),
        offered: vec![String::from("mqtt")],
        received: Vec::new(),
        skipped: 0,
        refused: None,
        follow,
    }
}

/// The next bytes that came.
pub(in crate::net) fn outcome(upgrade: &mut Upgrade, bytes: &[u8], now: Instant) -> Outcome {
    upgrade.received.extend_from_slice(bytes);
    if let Err(error) = upgrade.arrived(bytes.len(), now) {
        return Outcome::Failed(error);
    }
    // Without a stream there is no connection to hand over: the head is still there.
    match upgrade.head() {
        Ok(Some(Head::Upgraded { subprotocol, len })) if upgrade.refused.is_none() => {
            Outcome::Upgraded(subprotocol, upgrade.received[len..].to_vec())
        }
        _ => Outcome::Waiting,
    }
}

/// What came, in pieces, and then the end of the stream where `ends`. Says how many pieces were looked at.
pub(in crate::net) fn drive(pieces: &[&[u8]], follow: bool, ends: bool) -> (usize, Outcome) {
    let mut upgrade = waiting(follow);
    let now = Instant::now();
    for (at, piece) in pieces.iter().enumerate() {
        match outcome(&mut upgrade, piece, now) {
            Outcome::Waiting => {}
            other => return (at + 1, other),
        }
    }
    let outcome = if ends { Outcome::Failed(upgrade.ended(None)) } else { Outcome::Waiting };
    (pieces.len(), outcome)
}
