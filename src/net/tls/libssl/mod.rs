//! TLS by OpenSSL.

mod certificate;
mod identity;
mod roots;

use std::{
    fmt,
    io::{self, Read, Write},
    net::IpAddr,
    sync::{Arc, OnceLock},
};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use openssl::{
    error::ErrorStack,
    hash::{MessageDigest, hash},
    pkey::PKey,
    ssl::{
        self, ErrorCode, HandshakeError, MidHandshakeSslStream, Ssl, SslContext, SslContextBuilder,
        SslMethod, SslMode, SslOptions, SslRef, SslStream, SslVerifyMode, SslVersion,
    },
    x509::{X509, verify::X509CheckFlags},
};

use super::{Attempt, Trouble};
use crate::{
    config::{self, Pins, TlsVersion},
    net::{
        error::{Alert, Clue, Distrust, Error, Peer},
        stream::{Socket, error_text},
    },
};

/// As native-tls has it, which took it from Python.
const CIPHERS: &str = "DEFAULT:!aNULL:!eNULL:!MD5:!3DES:!DES:!RC4:!IDEA:!SEED:!aDSS:!SRP:!PSK";
/// TLS 1.0 and 1.1 sign with SHA-1 and MD5, which OpenSSL 3 allows at this level only.
const OLD_CIPHERS: &str = "DEFAULT:!aNULL:!eNULL:@SECLEVEL=0";

/// ERR_LIB_SSL.
const LIBRARY: i32 = 20;
/// What the number of an alert is added to for a reason.
const ALERTS: i32 = 1000;
/// SSL_R_NO_PROTOCOLS_AVAILABLE, SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_WRONG_SSL_VERSION and SSL_R_VERSION_TOO_LOW.
const VERSION_REASONS: [i32; 4] = [191, 258, 266, 396];

/// What all connections of a process share.
pub(in crate::net) struct Context {
    context: SslContext,
    insecure: bool,
    roots: roots::Roots,
    /// The client certificate, for messages.
    given: Option<Arc<str>>,
    /// The versions spoken, for messages.
    spoken: Arc<str>,
    pins: Arc<[[u8; 32]]>,
}

/// A handshake under way.
pub(super) struct Mid {
    stream: MidHandshakeSslStream<Socket>,
    facts: Facts,
}

/// What a handshake may have to say or to check.
struct Facts {
    /// The first fault of a certificate, set by the verification.
    distrust: Arc<OnceLock<Distrust>>,
    given: Option<Arc<str>>,
    spoken: Arc<str>,
    pins: Arc<[[u8; 32]]>,
}

/// A stream under TLS.
pub(in crate::net) struct Session {
    stream: SslStream<Socket>,
    given: Option<Arc<str>>,
}

impl Context {
    /// Reads what the options name: CA certificates, the client certificate with its key, the file of pins.
    /// `peer` is for the message only.
    pub(in crate::net) fn new(tls: &config::Tls, peer: &Peer) -> Result<Context, Error> {
        let mut builder = settings(tls).map_err(|error| failed(peer, &error))?;
        let roots = match tls.insecure {
            true => roots::Roots::default(),
            false => roots::trust(&mut builder, tls)?,
        };
        let given = match &tls.identity {
            Some(identity) => Some(identity::load(&mut builder, identity, tls)?.into()),
            None => None,
        };
        let pins = match &tls.pins {
            None => Arc::default(),
            Some(Pins::Hashes(hashes)) => hashes.as_slice().into(),
            Some(Pins::File(path)) => {
                let content = tls.read(path).map_err(|error| error_text(&error));
                let pin = content.and_then(|content| pin_of_file(&content));
                Arc::from([pin.map_err(|why| Error::PinFile { path: path.clone(), why })?])
            }
        };
        Ok(Context {
            context: builder.build(),
            insecure: tls.insecure,
            roots,
            given,
            spoken: spoken(tls).into(),
            pins,
        })
    }

    /// Trusts more of the system's CAs, after a handshake that failed for want of one. False where there are no more.
    pub(in crate::net) fn widen(&mut self) -> bool {
        self.roots.widen()
    }

    /// Begins a handshake for `name`, which has no NUL in it.
    pub(super) fn connect(&self, name: &str, socket: Socket) -> Attempt {
        let facts = Facts {
            distrust: Arc::default(),
            given: self.given.clone(),
            spoken: self.spoken.clone(),
            pins: self.pins.clone(),
        };
        match self.prepare(name, &facts.distrust) {
            Ok(ssl) => attempt(ssl.connect(socket), facts),
            Err(error) => Attempt::Failed(other(reason(&error))),
        }
    }

    fn prepare(&self, name: &str, distrust: &Arc<OnceLock<Distrust>>) -> Result<Ssl, ErrorStack> {
        let mut ssl = Ssl::new(&self.context)?;
        let address = name.parse::<IpAddr>();
        // SNI is for names only (RFC 6066 section 3).
        if address.is_err() {
            ssl.set_hostname(name)?;
        }
        if self.insecure {
            ssl.set_verify(SslVerifyMode::NONE);
            return Ok(ssl);
        }
        let param = ssl.param_mut();
        param.set_hostflags(X509CheckFlags::NO_PARTIAL_WILDCARDS);
        match address {
            Ok(address) => param.set_ip(address)?,
            Err(_) => param.set_host(name)?,
        }
        if let Some(store) = self.roots.store()? {
            ssl.set_verify_cert_store(store)?;
        }
        let (slot, wanted, has_roots) = (distrust.clone(), name.to_owned(), self.roots.any);
        ssl.set_verify_callback(SslVerifyMode::PEER, move |fine, found| {
            if !fine {
                // The first one is what the handshake fails with.
                slot.get_or_init(|| certificate::distrust(found, &wanted, has_roots));
            }
            fine
        });
        Ok(ssl)
    }
}

/// The context with all that is not about certificates.
fn settings(tls: &config::Tls) -> Result<SslContextBuilder, ErrorStack> {
    let mut builder = SslContextBuilder::new(SslMethod::tls_client())?;
    // The empty fragments are what guards CBC in TLS 1.0.
    let options = SslOptions::ALL & !SslOptions::DONT_INSERT_EMPTY_FRAGMENTS;
    builder.set_options(options | SslOptions::NO_COMPRESSION);
    builder.set_mode(
        SslMode::AUTO_RETRY
            | SslMode::ACCEPT_MOVING_WRITE_BUFFER
            | SslMode::ENABLE_PARTIAL_WRITE
            | SslMode::RELEASE_BUFFERS,
    );
    // One recv for what is there, not two for each record. What OpenSSL then holds is read until it would block, as
    // what tungstenite holds is.
    builder.set_read_ahead(true);
    let lowest = lowest(tls);
    builder.set_cipher_list(if lowest < TlsVersion::V1_2 { OLD_CIPHERS } else { CIPHERS })?;
    builder.set_min_proto_version(Some(version(lowest)))?;
    builder.set_max_proto_version(tls.max.map(version))?;
    if !tls.alpn.is_empty() {
        let mut protocols = Vec::new();
        for name in &tls.alpn {
            // `config` holds them at 255 bytes.
            protocols.push(name.len() as u8);
            protocols.extend_from_slice(name.as_bytes());
        }
        builder.set_alpn_protos(&protocols)?;
    }
    Ok(builder)
}

/// 1.2, unless something else is asked for.
fn lowest(tls: &config::Tls) -> TlsVersion {
    tls.min.unwrap_or_else(|| tls.max.map_or(TlsVersion::V1_2, |max| max.min(TlsVersion::V1_2)))
}

fn version(version: TlsVersion) -> SslVersion {
    match version {
        TlsVersion::V1_0 => SslVersion::TLS1,
        TlsVersion::V1_1 => SslVersion::TLS1_1,
        TlsVersion::V1_2 => SslVersion::TLS1_2,
        TlsVersion::V1_3 => SslVersion::TLS1_3,
    }
}

fn spoken(tls: &config::Tls) -> String {
    match (lowest(tls), tls.max.unwrap_or(TlsVersion::V1_3)) {
        (min, max) if min == max => format!("TLS {min} is spoken here"),
        (min, max) => format!("TLS {min} to {max} are spoken here"),
    }
}

impl Mid {
    /// Goes on as far as the socket lets it.
    pub(super) fn handshake(self) -> Attempt {
        attempt(self.stream.handshake(), self.facts)
    }

    pub(super) fn socket(&self) -> &Socket {
        self.stream.get_ref()
    }
}

fn attempt(result: Result<SslStream<Socket>, HandshakeError<Socket>>, facts: Facts) -> Attempt {
    match result {
        Ok(stream) => match pinned(stream.ssl(), &facts.pins) {
            Ok(()) => Attempt::Done(Box::new(Session { stream, given: facts.given })),
            Err(trouble) => Attempt::Failed(trouble),
        },
        Err(HandshakeError::WouldBlock(stream)) => Attempt::Blocked(Mid { stream, facts }),
        Err(HandshakeError::SetupFailure(error)) => Attempt::Failed(other(reason(&error))),
        Err(HandshakeError::Failure(stream)) => Attempt::Failed(facts.explain(&stream)),
    }
}

impl Facts {
    fn explain(&self, stream: &MidHandshakeSslStream<Socket>) -> Trouble {
        if let Some(distrust) = self.distrust.get() {
            return Trouble::Distrust(Box::new(distrust.clone()));
        }
        let error = stream.error();
        if let Some(number) = alert_number(error) {
            let late = stream.ssl().peer_certificate().is_some();
            let alert = Alert { number, given: self.given.as_deref().map(str::to_owned), late };
            return match alert.clue() {
                Clue::Versions => Trouble::Other { why: self.no_version(&alert), clue: Clue::Versions },
                _ => Trouble::Alert(alert),
            };
        }
        let Some(stack) = error.ssl_error() else {
            // The end of TCP has no error of its own.
            let ended = || String::from("the server closed the connection");
            return other(error.io_error().map_or_else(ended, error_text));
        };
        let ours = |code: &i32| {
            stack.errors().iter().any(|e| e.library_code() == LIBRARY && e.reason_code() == *code)
        };
        match VERSION_REASONS.iter().any(ours) {
            true => Trouble::Other { why: self.no_version(&reason(stack)), clue: Clue::Versions },
            false => other(reason(stack)),
        }
    }

    fn no_version(&self, why: &dyn fmt::Display) -> String {
        format!("{why}; {}", self.spoken)
    }
}

/// Whether the server's key is one of `pins`, if there are any.
fn pinned(ssl: &SslRef, pins: &[[u8; 32]]) -> Result<(), Trouble> {
    if pins.is_empty() {
        return Ok(());
    }
    let key = ssl.peer_certificate().ok_or_else(|| other("the server has no certificate to pin".into()))?;
    let found = pin(&key).map_err(|error| other(reason(&error)))?;
    match pins.contains(&found) {
        true => Ok(()),
        false => Err(Trouble::Pin(format!("sha256//{}", BASE64_STANDARD.encode(found)))),
    }
}

/// SHA-256 of the SubjectPublicKeyInfo.
fn pin(certificate: &X509) -> Result<[u8; 32], ErrorStack> {
    digest(&certificate.public_key()?.public_key_to_der()?)
}

fn digest(der: &[u8]) -> Result<[u8; 32], ErrorStack> {
    let mut digest = [0; 32];
    digest.copy_from_slice(&hash(MessageDigest::sha256(), der)?);
    Ok(digest)
}

/// The pin of a file: a public key or a certificate, in PEM or DER.
fn pin_of_file(content: &[u8]) -> Result<[u8; 32], String> {
    let key = PKey::public_key_from_pem(content)
        .or_else(|_| X509::from_pem(content)?.public_key())
        .or_else(|_| PKey::public_key_from_der(content))
        .or_else(|_| X509::from_der(content)?.public_key());
    key.and_then(|key| digest(&key.public_key_to_der()?))
        .map_err(|_| String::from("neither a public key nor a certificate in it, as PEM or DER"))
}

impl Session {
    pub(in crate::net) fn socket(&self) -> &Socket {
        self.stream.get_ref()
    }

    pub(in crate::net) fn socket_mut(&mut self) -> &mut Socket {
        self.stream.get_mut()
    }

    /// Sends close_notify.
    pub(in crate::net) fn shutdown(&mut self) -> io::Result<()> {
        match self.stream.shutdown() {
            Err(error) if error.code() != ErrorCode::ZERO_RETURN => {
                Err(error.into_io_error().unwrap_or_else(io::Error::other))
            }
            _ => Ok(()),
        }
    }

    /// In TLS 1.3 the server judges the client's certificate when the handshake is over for us: its alert comes in
    /// place of the first data.
    fn alerted(&self, error: io::Error) -> io::Error {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<ssl::Error>());
        match inner.and_then(alert_number) {
            None => error,
            Some(number) => io::Error::other(Alert {
                number,
                given: self.given.as_deref().map(str::to_owned),
                late: true,
            }),
        }
    }
}

impl Read for Session {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buf).map_err(|error| self.alerted(error))
    }
}

impl Write for Session {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.stream.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ssl = self.stream.ssl();
        f.write_str(ssl.version_str())?;
        if let Some(cipher) = ssl.current_cipher() {
            write!(f, ", {}", cipher.name())?;
        }
        match ssl.selected_alpn_protocol() {
            Some(name) => write!(f, ", ALPN {}", crate::proto::format::excerpt(name)),
            None => Ok(()),
        }
    }
}

/// The alert of the peer that an error is.
fn alert_number(error: &ssl::Error) -> Option<u8> {
    let reasons = error.ssl_error()?.errors().iter().filter(|error| error.library_code() == LIBRARY);
    reasons.filter_map(|error| u8::try_from(error.reason_code() - ALERTS).ok()).next()
}

fn other(why: String) -> Trouble {
    Trouble::Other { why, clue: Clue::None }
}

fn failed(peer: &Peer, error: &ErrorStack) -> Error {
    Error::Tls { peer: peer.clone(), why: reason(error), clue: Clue::None }
}

/// The useful part of OpenSSL's errors: the reason of the first, which is where it began.
fn reason(stack: &ErrorStack) -> String {
    match stack.errors().first().and_then(|error| error.reason()) {
        Some("unexpected eof while reading") => String::from("the server closed the connection"),
        Some(reason) => reason.to_owned(),
        None => String::from("OpenSSL gives no reason"),
    }
}

/// Whether OpenSSL lacks an algorithm: version 3 has the old ones in a provider that is not loaded.
fn lacks_algorithm(stack: &ErrorStack) -> bool {
    stack.errors().iter().any(|error| error.reason().is_some_and(|reason| reason.contains("unsupported")))
}
