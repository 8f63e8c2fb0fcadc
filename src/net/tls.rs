//! The TLS handshake by native-tls, non-blocking, and what its failures mean.

use std::{fs, net::IpAddr};

use native_tls::{Certificate, HandshakeError, MidHandshakeTlsStream, TlsConnector};

use super::{
    error::{Distrust, Error, Peer},
    stream::{First, Socket, Stream, openssl_reason},
};
use crate::{
    config,
    sys::{PollFd, PollFlags},
};

/// The first byte of a TLS record: an alert or a handshake message (RFC 8446 section 5.1).
const RECORDS: [u8; 2] = [0x15, 0x16];

/// A handshake under way.
pub(super) struct Handshake {
    /// Taken only while it is being advanced.
    mid: Option<MidHandshakeTlsStream<Socket>>,
    peer: Peer,
    name: String,
    /// The peer's first byte: OpenSSL's own words for "this is HTTP" vary and mislead.
    first: First,
}

/// Makes the connector: reads `--cafile`, or the system's bundle. `peer` is for the message only.
pub(super) fn connector(tls: &config::Tls, peer: &Peer) -> Result<TlsConnector, Error> {
    let mut builder = TlsConnector::builder();
    if let Some(path) = &tls.cafile {
        let unusable = |why: String| Error::CaFile { path: path.clone(), why };
        let pem = fs::read(path).map_err(|error| unusable(super::stream::error_text(&error)))?;
        let certificates = Certificate::stack_from_pem(&pem)
            .map_err(|error| unusable(format!("no PEM certificates: {}", reason(&error))))?;
        if certificates.is_empty() {
            return Err(unusable(String::from("no PEM certificate in it")));
        }
        // In place of the system's roots, as curl and mosquitto take it.
        builder.disable_built_in_roots(true);
        for certificate in certificates {
            builder.add_root_certificate(certificate);
        }
    }
    if tls.insecure {
        log::warn!("--insecure: the server's certificate is not checked");
        builder.danger_accept_invalid_certs(true).danger_accept_invalid_hostnames(true);
    }
    builder.build().map_err(|error| Error::Tls { peer: peer.clone(), why: reason(&error), not_tls: false })
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
        connector: &TlsConnector,
        name: &str,
        peer: &Peer,
        socket: Socket,
    ) -> Result<Result<Stream, Handshake>, Error> {
        let mut handshake =
            Handshake { mid: None, peer: peer.clone(), name: name.to_owned(), first: socket.first() };
        if name.is_empty() || name.contains('\0') {
            return Err(handshake.failed(String::from("the server name is empty or has a NUL in it")));
        }
        match connector.connect(name, socket) {
            Ok(tls) => Ok(Ok(Stream::tls(tls))),
            Err(HandshakeError::WouldBlock(mid)) => {
                handshake.mid = Some(mid);
                Ok(Err(handshake))
            }
            Err(HandshakeError::Failure(error)) => Err(handshake.explain(&error)),
        }
    }

    /// Goes on as far as the socket lets it.
    pub(super) fn advance(&mut self) -> Result<Option<Stream>, Error> {
        let Some(mid) = self.mid.take() else {
            return Err(self.failed(String::from("the handshake is over")));
        };
        match mid.handshake() {
            Ok(tls) => Ok(Some(Stream::tls(tls))),
            Err(HandshakeError::WouldBlock(mid)) => {
                self.mid = Some(mid);
                Ok(None)
            }
            Err(HandshakeError::Failure(error)) => Err(self.explain(&error)),
        }
    }

    pub(super) fn interests<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) {
        if let Some(mid) = &self.mid {
            let socket = mid.get_ref();
            let blocked = socket.blocked();
            fds.push(PollFd::from_borrowed_fd(
                std::os::fd::AsFd::as_fd(socket),
                if blocked.is_empty() { PollFlags::IN } else { blocked },
            ));
        }
    }

    fn failed(&self, why: String) -> Error {
        let not_tls = self.first.get().is_some_and(|byte| !RECORDS.contains(&byte));
        Error::Tls { peer: self.peer.clone(), why, not_tls }
    }

    fn explain(&self, error: &native_tls::Error) -> Error {
        let text = error.to_string();
        match distrust(&text, &self.name) {
            Some(why) => Error::Untrusted { peer: self.peer.clone(), why },
            None => self.failed(reason(error)),
        }
    }
}

/// The useful part of a TLS library's message.
fn reason(error: &native_tls::Error) -> String {
    let text = error.to_string();
    let why = openssl_reason(&text).unwrap_or(text);
    if why.to_ascii_lowercase().contains("unexpected eof") {
        return String::from("the server closed the connection");
    }
    match why.rfind(" (os error ") {
        Some(at) => why[..at].to_owned(),
        None => why,
    }
}

/// Why a certificate was refused, out of the message: native-tls gives no code. OpenSSL's ends in the text of
/// the verify result, in parentheses.
fn distrust(text: &str, name: &str) -> Option<Distrust> {
    let lower = text.to_ascii_lowercase();
    let has = |part: &str| lower.contains(part);
    if !has("certificate verify failed") {
        return None;
    }
    Some(if has("hostname mismatch") || has("ip address mismatch") {
        Distrust::WrongName(name.to_owned())
    } else if has("certificate has expired") {
        Distrust::Expired
    } else if has("not yet valid") {
        Distrust::NotYetValid
    } else if has("self-signed certificate") || has("self signed certificate") {
        Distrust::SelfSigned
    } else if has("issuer certificate") || has("unable to verify the first certificate") {
        Distrust::UnknownIssuer
    } else {
        let verify = text.rfind(" (").map(|at| text[at + 2..].trim_end_matches(')'));
        Distrust::Other(verify.unwrap_or("verification failed").to_owned())
    })
}
