//! The flags of TLS.

use std::path::PathBuf;

use super::Extract;
use crate::{
    cli::value::{Protocol, TlsVersion},
    config::Pins,
};

/// The flags that are about TLS.
#[derive(Debug, Default)]
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
    pub(super) fn take(&mut self, args: &mut Extract) {
        args.take("--cafile", &mut self.cafile);
        args.take("--capath", &mut self.capath);
        args.take("--cert", &mut self.cert);
        args.take("--key", &mut self.key);
        args.take("--pkcs12", &mut self.pkcs12);
        args.take("--key-password-file", &mut self.key_password_file);
        self.insecure = args.has("--insecure");
        args.take("--servername", &mut self.servername);
        args.take("--tls-min", &mut self.min);
        args.take("--tls-max", &mut self.max);
        args.take("--alpn", &mut self.alpn);
        args.take("--pin", &mut self.pin);
    }
}
