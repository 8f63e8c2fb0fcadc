//! TLS: the handshake, non-blocking, and what its failures mean.
//!
//! Two backends stand behind one small interface of our own (`Context`, `Mid`, `Session`): `libssl` on OpenSSL
//! platforms, `native` (the crate native-tls) on macOS and, to test it, with the feature `native-tls`.
//! OpenSSL is spoken to itself because native-tls on top of it
//!
//! - reads the whole bundle of CA certificates for each process, when one of them is needed,
//! - takes keys as unencrypted PKCS #8 only, no directory of certificates, and no pin,
//! - says that a certificate was refused but not which, what is in it, or by what code.
//!
//! Measured on two cores that others used too, with OpenSSL 3.0 and nginx on loopback, as before -> after:
//!
//! - A one-shot `echo` over wss:// with the system's CAs: 42 -> 5.3 ms of CPU time, 44 -> 6.5 ms from its start to its
//!   end (the least of 40; 8.2 ms the median of 20 in a quiet minute), of which 2 ms are loading libcrypto. Where
//!   there is a bundle only it is 75 -> 39 ms, since it is read once and not twice. With OpenSSL 3.6 linked in
//!   (`vendored`) it is 8.5 to 10 ms, or 17 with a bundle.
//! - Its resident set: 10.2 -> 8.6 MB. The goal was 8 MB. What is left is OpenSSL: 3.9 MB of libcrypto's pages, about
//!   1.9 MB of heap that its first handshake takes, 0.6 MB of libssl. (curl: 13.5 MB.)
//! - 256 MiB received by `cat`: 0.22 -> 0.17 s of CPU time, 0.58 -> 0.53 s by the clock with the server as the limit;
//!   sent: 0.28 -> 0.21 s of CPU time. Medians of 5.
//!
//! That the hashed directory may know less than the bundle beside it is what `Context::widen` is for.

use std::{fmt, net::IpAddr};

use super::{
    error::{Alert, Clue, Distrust, Error, Peer},
    stream::{First, Socket, Stream},
};
use crate::sys::{PollFd, PollFlags};

#[cfg(any(target_vendor = "apple", feature = "native-tls"))]
mod native;
#[cfg(any(target_vendor = "apple", feature = "native-tls"))]
use native as backend;

#[cfg(not(any(target_vendor = "apple", feature = "native-tls")))]
mod libssl;
#[cfg(not(any(target_vendor = "apple", feature = "native-tls")))]
use libssl as backend;

pub(super) use backend::{Context, Session};

/// The first byte of a TLS record: an alert or a handshake message (RFC 8446 section 5.1).
const RECORDS: [u8; 2] = [0x15, 0x16];

/// How far a handshake got.
enum Attempt {
    /// It is done.
    Done(Box<Session>),
    /// It waits for the socket.
    Blocked(backend::Mid),
    /// It failed.
    Failed(Trouble),
}

/// Why a handshake failed, in what the backend knows.
enum Trouble {
    /// The certificate was refused here.
    Distrust(Box<Distrust>),
    /// The server sent an alert; native-tls does not tell one from other failures.
    #[cfg_attr(any(target_vendor = "apple", feature = "native-tls"), expect(dead_code))]
    Alert(Alert),
    /// The server's key, as `--pin` would name it, is none of those.
    #[cfg_attr(any(target_vendor = "apple", feature = "native-tls"), expect(dead_code))]
    Pin(String),
    /// Anything else.
    Other { why: String, clue: Clue },
}

/// A handshake under way.
pub(super) struct Handshake {
    /// Taken only while it is being advanced.
    mid: Option<backend::Mid>,
    peer: Peer,
    /// The peer's first byte: OpenSSL's own words for "this is HTTP" vary and mislead.
    first: First,
}

/// The name to ask for and to check: without the root's dot, and without an IPv6 zone.
pub(super) fn server_name(host: &str) -> String {
    let bare = host.split('%').next().unwrap_or(host);
    if bare.parse::<IpAddr>().is_ok() {
        return bare.to_owned();
    }
    host.strip_suffix('.').unwrap_or(host).to_owned()
}

impl Handshake {
    /// Begins the handshake for `name` (a host name goes out as SNI, an address does not).
    pub(super) fn start(
        context: &Context,
        name: &str,
        peer: &Peer,
        socket: Socket,
    ) -> Result<Result<Stream, Handshake>, Error> {
        let mut handshake = Handshake { mid: None, peer: peer.clone(), first: socket.first() };
        if name.is_empty() || name.contains('\0') {
            let why = String::from("the server name is empty or has a NUL in it");
            return Err(Error::Tls { peer: peer.clone(), why, clue: Clue::None });
        }
        let attempt = context.connect(name, socket);
        Ok(handshake.take(attempt)?.ok_or(handshake))
    }

    /// Goes on as far as the socket lets it.
    pub(super) fn advance(&mut self) -> Result<Option<Stream>, Error> {
        let Some(mid) = self.mid.take() else {
            let why = String::from("the handshake is over");
            return Err(Error::Tls { peer: self.peer.clone(), why, clue: Clue::None });
        };
        self.take(mid.handshake())
    }

    fn take(&mut self, attempt: Attempt) -> Result<Option<Stream>, Error> {
        match attempt {
            Attempt::Done(session) => {
                log::debug!("{session}");
                Ok(Some(Stream::tls(session)))
            }
            Attempt::Blocked(mid) => {
                self.mid = Some(mid);
                Ok(None)
            }
            Attempt::Failed(trouble) => Err(self.explain(trouble)),
        }
    }

    pub(super) fn interests<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) {
        if let Some(mid) = &self.mid {
            let socket = mid.socket();
            let blocked = socket.blocked();
            fds.push(PollFd::from_borrowed_fd(
                std::os::fd::AsFd::as_fd(socket),
                if blocked.is_empty() { PollFlags::IN } else { blocked },
            ));
        }
    }

    fn explain(&self, trouble: Trouble) -> Error {
        let peer = self.peer.clone();
        match trouble {
            Trouble::Distrust(why) => Error::Untrusted { peer, why },
            Trouble::Pin(key) => Error::Pin { peer, key },
            Trouble::Alert(alert) => Error::Tls { peer, why: alert.to_string(), clue: alert.clue() },
            Trouble::Other { why, clue } => {
                let foreign = self.first.get().is_some_and(|byte| !RECORDS.contains(&byte));
                Error::Tls { peer, why, clue: if foreign { Clue::NotTls } else { clue } }
            }
        }
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake").field("peer", &self.peer).finish_non_exhaustive()
    }
}
