//! The flags of TLS.

use std::path::PathBuf;

use super::Extract;
use crate::{
    cli::{
        error::UsageError,
        value::{Protocol, TlsVersion},
    },
    config::Pins,
};

/// The flags that are about TLS.
#[derive(Debug)]
#[allow(missing_docs)] // each is the flag of its name
pub struct LowTls {
    pub cafile: Option<PathBuf>,
    pub capath: Option<PathBuf>,
    pub cert: Option<PathBuf>,
    pub key: Option<PathBuf>,
    pub pkcs12: Option<PathBuf>,
    pub key_password_file: Option<PathBuf>,
    pub insecure: bool,
    pub servername: Option<String>,
    pub min: Option<TlsVersion>,
    pub max: Option<TlsVersion>,
    pub alpn: Vec<Protocol>,
    pub pin: Option<Pins>,
}

impl LowTls {
    pub(super) fn extract(args: &mut Extract) -> Result<LowTls, UsageError> {
        Ok(LowTls {
            cafile: args.last("--cafile")?,
            capath: args.last("--capath")?,
            cert: args.last("--cert")?,
            key: args.last("--key")?,
            pkcs12: args.last("--pkcs12")?,
            key_password_file: args.last("--key-password-file")?,
            insecure: args.has("--insecure"),
            servername: args.last("--servername")?,
            min: args.last("--tls-min")?,
            max: args.last("--tls-max")?,
            alpn: args.all("--alpn")?,
            pin: args.last("--pin")?,
        })
    }
}
