//! Who is trusted: `--cafile`, `--capath`, or what the system has.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use openssl::{
    error::ErrorStack,
    ssl::SslContextBuilder,
    x509::{
        X509,
        store::{X509Lookup, X509Store, X509StoreBuilder},
        verify::X509VerifyFlags,
    },
};

use super::reason;
use crate::{
    config,
    net::{error::Error, stream::error_text},
};

/// The least number of hashed names that a directory of the system has: fewer are somebody's additions to a bundle.
const ENOUGH: usize = 16;

/// Makes the context trust what the options say, else what the system does.
pub(super) fn trust(builder: &mut SslContextBuilder, tls: &config::Tls) -> Result<Roots, Error> {
    if tls.cafile.is_none() && tls.capath.is_none() {
        return Ok(system(builder));
    }
    let own = |error| Error::Request(reason(&error));
    let mut store = X509StoreBuilder::new().map_err(own)?;
    // What is named is trusted, be it a root or not: an intermediate CA, or the server's own certificate.
    store.set_flags(X509VerifyFlags::PARTIAL_CHAIN).map_err(own)?;
    if let Some(path) = &tls.cafile {
        for certificate in certificates(path, tls.read(path))? {
            store.add_cert(certificate).map_err(own)?;
        }
    }
    if let Some(path) = &tls.capath {
        let directory = directory(path)?;
        let lookup = store.add_lookup(X509Lookup::hash_dir()).map_err(own)?;
        lookup.add_dir(directory, openssl::ssl::SslFiletype::PEM).map_err(own)?;
    }
    builder.set_cert_store(store.build());
    Ok(Roots { any: true, ..Roots::default() })
}

fn certificates(path: &Path, content: io::Result<Vec<u8>>) -> Result<Vec<X509>, Error> {
    let unusable = |why: String| Error::CaFile { path: path.to_owned(), why };
    let content = content.map_err(|error| unusable(error_text(&error)))?;
    let certificates = X509::stack_from_pem(&content)
        .map_err(|error| unusable(format!("no PEM certificates: {}", reason(&error))))?;
    match certificates.is_empty() {
        false => Ok(certificates),
        true if X509::from_der(&content).is_ok() => {
            Err(unusable(String::from("it is DER, not PEM: 'openssl x509 -inform der' converts it")))
        }
        true => Err(unusable(String::from("no PEM certificate in it"))),
    }
}

/// The directory of `--capath`, which OpenSSL looks into when it needs a certificate.
fn directory(path: &Path) -> Result<&str, Error> {
    let unusable = |why: &str| Error::CaFile { path: path.to_owned(), why: why.to_owned() };
    let text = path.to_str().ok_or_else(|| unusable("OpenSSL takes names in UTF-8 only"))?;
    if text.contains(':') {
        return Err(unusable("OpenSSL takes the ':' for the end of the name"));
    }
    let entries = fs::read_dir(path).map_err(|error| unusable(&error_text(&error)))?;
    match hashed(entries, 1) {
        0 => Err(unusable(
            "no certificate with a hashed name, as 1a2b3c4d.0, in it: 'openssl rehash' of it makes them",
        )),
        _ => Ok(text),
    }
}

/// How many entries have a name by which OpenSSL looks for a certificate; counted up to `enough`.
fn hashed(entries: fs::ReadDir, enough: usize) -> usize {
    let is_hashed = |name: &[u8]| {
        name.len() > 9
            && name[8] == b'.'
            && name[..8].iter().all(u8::is_ascii_hexdigit)
            && name[9..].iter().all(u8::is_ascii_digit)
    };
    let names = entries.flatten().map(|entry| entry.file_name());
    names.filter(|name| is_hashed(name.as_encoded_bytes())).take(enough).count()
}

/// The certificates of the system, at the places that OpenSSL itself, or the distribution, has for them. A directory
/// is looked into for the one certificate that is needed; a bundle is read as a whole, and so only where there is
/// no such directory, where SSL_CERT_FILE names it, or for want of a certificate ([`Roots::widen`]).
fn system(builder: &mut SslContextBuilder) -> Roots {
    let mut directories = directories();
    directories.retain(|directory| builder.load_verify_locations(None, Some(directory)).is_ok());
    let mut roots = Roots { any: !directories.is_empty(), directories, ..Roots::default() };
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    let named = set(openssl_probe::ENV_CERT_FILE).map(PathBuf::from);
    let unread = if named.is_none() { openssl_probe::probe().cert_file } else { None };
    let path = match (named, unread) {
        (Some(path), _) => path,
        // SSL_CERT_DIR stands in place of what the system has.
        (None, Some(path)) if roots.any => {
            roots.unread = Some(path).filter(|_| set(openssl_probe::ENV_CERT_DIR).is_none());
            return roots;
        }
        (None, Some(path)) => path,
        (None, None) => return roots,
    };
    match certificates(&path, fs::read(&path)) {
        Ok(certificates) => {
            let store = builder.cert_store_mut();
            roots.any |=
                certificates.into_iter().filter(|one| store.add_cert(one.clone()).is_ok()).count() > 0;
        }
        // OpenSSL itself says nothing of a file that it cannot read; then nobody knows why nothing is trusted.
        Err(error) => log::warn!("{error}"),
    }
    roots
}

/// Who is trusted, beyond what the context knows.
#[derive(Default)]
pub(super) struct Roots {
    /// Some CA is known.
    pub(super) any: bool,
    /// The directories of the system that are in use.
    directories: Vec<PathBuf>,
    /// The bundle beside them, as long as it is not read.
    unread: Option<PathBuf>,
    /// What was in it.
    bundle: Vec<X509>,
}

impl Roots {
    /// Takes the bundle to the directories. Somebody may have added a CA to that alone, which is why what no
    /// directory knows is looked for there. False where there is none to read.
    pub(super) fn widen(&mut self) -> bool {
        let Some(path) = self.unread.take() else { return false };
        self.bundle = certificates(&path, fs::read(&path)).unwrap_or_default();
        !self.bundle.is_empty()
    }

    /// The store to verify by, where it is not the context's.
    pub(super) fn store(&self) -> Result<Option<X509Store>, ErrorStack> {
        if self.bundle.is_empty() {
            return Ok(None);
        }
        let mut store = X509StoreBuilder::new()?;
        for certificate in &self.bundle {
            store.add_cert(certificate.clone())?;
        }
        for directory in self.directories.iter().filter_map(|directory| directory.to_str()) {
            store.add_lookup(X509Lookup::hash_dir())?.add_dir(directory, openssl::ssl::SslFiletype::PEM)?;
        }
        Ok(Some(store.build()))
    }
}

/// Directories with hashed names: those of SSL_CERT_DIR, else the system's.
fn directories() -> Vec<PathBuf> {
    let usable = |path: &Path, enough| {
        let hashed = fs::read_dir(path).map_or(0, |entries| hashed(entries, enough));
        path.to_str().is_some() && hashed == enough
    };
    match env::var_os(openssl_probe::ENV_CERT_DIR) {
        Some(list) => env::split_paths(&list).filter(|path| usable(path, 1)).collect(),
        None => openssl_probe::candidate_cert_dirs()
            .find(|path| usable(path, ENOUGH))
            .map(Path::to_owned)
            .into_iter()
            .collect(),
    }
}
