//! TLS: what is trusted, what is shown, what is spoken.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

/// TLS options.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// `--cafile`: PEM certificates trusted in place of the system's.
    pub cafile: Option<PathBuf>,
    /// `--capath`: a directory of trusted PEM certificates with hashed names, in place of the system's too.
    pub capath: Option<PathBuf>,
    /// `--insecure`: no check of the certificate.
    pub insecure: bool,
    /// `--servername`: the name sent (SNI) and checked in place of the URL's host.
    pub servername: Option<String>,
    /// The client certificate.
    pub identity: Option<Identity>,
    /// `--tls-min`: the lowest version spoken; none is 1.2.
    pub min: Option<TlsVersion>,
    /// `--tls-max`: the highest version spoken, not below `min`; none is the highest there is.
    pub max: Option<TlsVersion>,
    /// `--alpn`: the protocols offered (RFC 7301), in order, each of 1 to 255 bytes and 65,535 bytes in all with a
    /// length byte each; none are offered where it is empty.
    pub alpn: Vec<String>,
    /// `--pin`: the public keys that the server may have.
    pub pins: Option<Pins>,
    /// What was read at the start: pipes, which give what they have once, and may take long.
    pub piped: Piped,
}

impl Tls {
    /// What a file of these options holds.
    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match self.piped.0.iter().find(|(piped, _)| piped == path) {
            Some((_, content)) => Ok(content.clone()),
            None => fs::read(path),
        }
    }
}

/// The contents of pipes, by their names. `Debug` shows the names only.
#[derive(Clone, Default)]
pub struct Piped(pub Vec<(PathBuf, Vec<u8>)>);

impl fmt::Debug for Piped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(path, _)| path)).finish()
    }
}

/// A client certificate and its key.
#[derive(Clone, Debug)]
pub enum Identity {
    /// PEM.
    Pem {
        /// `--cert`: the certificate, its chain, and the key where `key` is none.
        cert: PathBuf,
        /// `--key`.
        key: Option<PathBuf>,
        /// `--key-password-file`.
        password: Option<KeyPassword>,
    },
    /// PKCS #12 (RFC 7292).
    Pkcs12 {
        /// `--pkcs12`.
        file: PathBuf,
        /// `--key-password-file`.
        password: Option<KeyPassword>,
    },
}

/// What opens a private key: UTF-8 without a NUL, at most 1024 bytes. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyPassword(pub String);

impl fmt::Debug for KeyPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("hidden")
    }
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // they say it themselves
pub enum TlsVersion {
    V1_0,
    V1_1,
    V1_2,
    V1_3,
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TlsVersion::V1_0 => "1.0",
            TlsVersion::V1_1 => "1.1",
            TlsVersion::V1_2 => "1.2",
            TlsVersion::V1_3 => "1.3",
        })
    }
}

/// The public keys that a server may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pins {
    /// SHA-256 of the SubjectPublicKeyInfo in DER (RFC 7469 section 2.4); at least one.
    Hashes(Vec<[u8; 32]>),
    /// A file with a public key, or a certificate, in PEM or DER.
    File(PathBuf),
}
