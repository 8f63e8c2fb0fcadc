//! TLS by native-tls: what it can do of the options, and a clear refusal of what it cannot.

use std::{
    fmt,
    io::{self, Read, Write},
    path::Path,
};

use native_tls::{Certificate, HandshakeError, MidHandshakeTlsStream, Protocol, TlsConnector, TlsStream};

use super::{Attempt, Trouble};
use crate::{
    config::{self, TlsVersion},
    net::{
        error::{Clue, Distrust, Error, Fault, Peer},
        stream::{Socket, error_text, openssl_reason},
    },
};

/// What all connections of a process share.
pub(in crate::net) struct Context(TlsConnector);

/// A handshake under way.
pub(super) struct Mid(MidHandshakeTlsStream<Socket>, String);

/// A stream under TLS.
pub(in crate::net) struct Session(TlsStream<Socket>);

impl Context {
    /// Reads what the options name. `peer` is for the message only.
    pub(in crate::net) fn new(tls: &config::Tls, peer: &Peer) -> Result<Context, Error> {
        let mut builder = TlsConnector::builder();
        let beyond = [(tls.capath.is_some(), "--capath"), (tls.pins.is_some(), "--pin")];
        if let Some((_, option)) = beyond.iter().find(|(given, _)| *given) {
            return Err(Error::Request(format!("{option} needs a build with OpenSSL")));
        }
        if let Some(path) = &tls.cafile {
            // In place of the system's roots, as curl and mosquitto take it.
            builder.disable_built_in_roots(true);
            for certificate in certificates(path, tls)? {
                builder.add_root_certificate(certificate);
            }
        }
        if let Some(identity) = &tls.identity {
            builder.identity(load(identity, tls)?);
        }
        if tls.insecure {
            builder.danger_accept_invalid_certs(true).danger_accept_invalid_hostnames(true);
        }
        // 1.2 is the lowest unless something else is asked for; none is the highest there is.
        builder.min_protocol_version(Some(tls.min.map_or(Protocol::Tlsv12, protocol)));
        builder.max_protocol_version(tls.max.map(protocol));
        if !tls.alpn.is_empty() {
            builder.request_alpns(&tls.alpn.iter().map(String::as_str).collect::<Vec<_>>());
        }
        let connector = builder.build().map_err(|error| Error::Tls {
            peer: peer.clone(),
            why: reason(&error),
            clue: Clue::None,
        })?;
        Ok(Context(connector))
    }

    /// Trusts more of the system's CAs: there are no more.
    pub(in crate::net) fn widen(&mut self) -> bool {
        false
    }

    /// Begins a handshake for `name`.
    pub(super) fn connect(&self, name: &str, socket: Socket) -> Attempt {
        attempt(self.0.connect(name, socket), name)
    }
}

impl Mid {
    /// Goes on as far as the socket lets it.
    pub(super) fn handshake(self) -> Attempt {
        attempt(self.0.handshake(), &self.1)
    }

    pub(super) fn socket(&self) -> &Socket {
        self.0.get_ref()
    }
}

fn attempt(result: Result<TlsStream<Socket>, HandshakeError<Socket>>, name: &str) -> Attempt {
    match result {
        Ok(stream) => Attempt::Done(Box::new(Session(stream))),
        Err(HandshakeError::WouldBlock(mid)) => Attempt::Blocked(Mid(mid, name.to_owned())),
        Err(HandshakeError::Failure(error)) => Attempt::Failed(match distrust(&error.to_string(), name) {
            Some(fault) => Trouble::Distrust(Box::new(Distrust::bare(fault))),
            None => Trouble::Other { why: reason(&error), clue: clue(&error.to_string()) },
        }),
    }
}

impl Session {
    pub(in crate::net) fn socket(&self) -> &Socket {
        self.0.get_ref()
    }

    pub(in crate::net) fn socket_mut(&mut self) -> &mut Socket {
        self.0.get_mut()
    }

    /// Sends close_notify.
    pub(in crate::net) fn shutdown(&mut self) -> io::Result<()> {
        self.0.shutdown()
    }
}

impl Read for Session {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl Write for Session {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the TLS handshake is done")
    }
}

fn protocol(version: TlsVersion) -> Protocol {
    match version {
        TlsVersion::V1_0 => Protocol::Tlsv10,
        TlsVersion::V1_1 => Protocol::Tlsv11,
        TlsVersion::V1_2 => Protocol::Tlsv12,
        TlsVersion::V1_3 => Protocol::Tlsv13,
    }
}

fn certificates(path: &Path, tls: &config::Tls) -> Result<Vec<Certificate>, Error> {
    let unusable = |why: String| Error::CaFile { path: path.to_owned(), why };
    let pem = tls.read(path).map_err(|error| unusable(error_text(&error)))?;
    let certificates = Certificate::stack_from_pem(&pem)
        .map_err(|error| unusable(format!("no PEM certificates: {}", reason(&error))))?;
    match certificates.is_empty() {
        true => Err(unusable(String::from("no PEM certificate in it"))),
        false => Ok(certificates),
    }
}

/// The client certificate: PKCS #12, or PEM with a key in unencrypted PKCS #8.
fn load(identity: &config::Identity, tls: &config::Tls) -> Result<native_tls::Identity, Error> {
    let unusable = |path: &Path, why: String| Error::ClientCertificate { path: path.to_owned(), why };
    let read = |path: &Path| tls.read(path).map_err(|error| unusable(path, error_text(&error)));
    match identity {
        config::Identity::Pkcs12 { file, password } => {
            let password = password.as_ref().map_or("", |password| &password.0);
            native_tls::Identity::from_pkcs12(&read(file)?, password)
                .map_err(|error| unusable(file, reason(&error)))
        }
        config::Identity::Pem { cert, key, .. } => {
            let path = key.as_ref().unwrap_or(cert);
            let content = read(path)?;
            let begin = memchr::memmem::find(&content, b"-----BEGIN PRIVATE KEY-----").ok_or_else(|| {
                unusable(
                    path,
                    String::from("no PRIVATE KEY (unencrypted PKCS #8 in PEM), as this build needs it"),
                )
            })?;
            native_tls::Identity::from_pkcs8(&read(cert)?, &content[begin..])
                .map_err(|error| unusable(cert, reason(&error)))
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

/// What a failure is about, out of the message.
fn clue(text: &str) -> Clue {
    let lower = text.to_ascii_lowercase();
    let has = |part: &str| lower.contains(part);
    if has("certificate required") {
        Clue::WantsCertificate
    } else if has("protocol version") || has("unsupported protocol") {
        Clue::Versions
    } else if has("no application protocol") {
        Clue::Protocols
    } else {
        Clue::None
    }
}

/// Why a certificate was refused, out of the message: native-tls gives no code. OpenSSL's ends in the text of
/// the verify result, in parentheses.
fn distrust(text: &str, name: &str) -> Option<Fault> {
    let lower = text.to_ascii_lowercase();
    let has = |part: &str| lower.contains(part);
    if !has("certificate verify failed") {
        return None;
    }
    Some(if has("hostname mismatch") || has("ip address mismatch") {
        Fault::WrongName { wanted: name.to_owned(), names: None }
    } else if has("certificate has expired") {
        Fault::Expired(None)
    } else if has("not yet valid") {
        Fault::NotYetValid(None)
    } else if has("self-signed certificate") || has("self signed certificate") {
        Fault::SelfSigned
    } else if has("issuer certificate") || has("unable to verify the first certificate") {
        Fault::UnknownIssuer
    } else {
        let verify = text.rfind(" (").map(|at| text[at + 2..].trim_end_matches(')'));
        Fault::Other(verify.unwrap_or("verification failed").to_owned())
    })
}
