//! The client certificate and its key, out of PEM or PKCS #12.

use std::path::Path;

use openssl::{
    asn1::Asn1Time,
    error::ErrorStack,
    pkcs12::Pkcs12,
    pkey::{PKey, Private},
    ssl::SslContextBuilder,
    x509::{X509, X509VerifyResult},
};

use super::{certificate, lacks_algorithm, reason};
use crate::{
    config::{Identity, KeyPassword, Tls},
    net::{error::Error, stream::error_text},
    proto::format::excerpt,
};

/// What was found in the files.
struct Loaded {
    key: PKey<Private>,
    /// In the order of the file.
    certificates: Vec<X509>,
}

/// Gives the context the certificate, its chain and its key. Returns what the certificate is called in messages.
pub(super) fn load(builder: &mut SslContextBuilder, identity: &Identity, tls: &Tls) -> Result<String, Error> {
    let (path, loaded) = match identity {
        Identity::Pem { cert, key, password } => (cert, pem(cert, key.as_deref(), password.as_ref(), tls)?),
        Identity::Pkcs12 { file, password } => (file, pkcs12(file, password.as_ref(), tls)?),
    };
    let Loaded { key, mut certificates } = loaded;
    let ours = |certificate: &X509| certificate.public_key().is_ok_and(|public| public.public_eq(&key));
    let Some(at) = certificates.iter().position(ours) else {
        let key_path = match identity {
            Identity::Pem { key: Some(key), .. } => key,
            _ => path,
        };
        return Err(unusable(
            key_path,
            format!("the key is not that of the certificate in {}", path.display()),
        ));
    };
    let leaf = certificates.remove(at);
    let context = |error: ErrorStack| unusable(path, reason(&error));
    builder.set_certificate(&leaf).map_err(context)?;
    builder.set_private_key(&key).map_err(context)?;
    let called = describe(path, &leaf);
    for certificate in chain(&leaf, certificates) {
        builder.add_extra_chain_cert(certificate).map_err(context)?;
    }
    Ok(called)
}

/// What the certificate is called; warns where it is out of its time, since servers hardly say so.
fn describe(path: &Path, leaf: &X509) -> String {
    let name = path.display();
    let shown = excerpt(name.to_string().as_bytes());
    if let Ok(now) = Asn1Time::days_from_now(0) {
        if *leaf.not_after() < now {
            let when = certificate::when(leaf.not_after()).unwrap_or_default();
            log::warn!("the client certificate {shown} expired on {when}");
        } else if *leaf.not_before() > now {
            let when = certificate::when(leaf.not_before()).unwrap_or_default();
            log::warn!("the client certificate {shown} is not valid before {when}");
        }
    }
    match certificate::name(leaf.issuer_name()) {
        Some(issuer) => format!("{name} (issued by {issuer})"),
        None => name.to_string(),
    }
}

/// The rest, each behind the one that it issued; what issued none of them stays at the end.
fn chain(leaf: &X509, mut rest: Vec<X509>) -> Vec<X509> {
    let mut chain: Vec<X509> = Vec::new();
    while let Some(at) =
        rest.iter().position(|one| one.issued(chain.last().unwrap_or(leaf)) == X509VerifyResult::OK)
    {
        chain.push(rest.remove(at));
    }
    chain.append(&mut rest);
    chain
}

fn unusable(path: &Path, why: impl Into<String>) -> Error {
    Error::ClientCertificate { path: path.to_owned(), why: why.into() }
}

fn read(tls: &Tls, path: &Path) -> Result<Vec<u8>, Error> {
    tls.read(path).map_err(|error| unusable(path, error_text(&error)))
}

fn pem(cert: &Path, key: Option<&Path>, password: Option<&KeyPassword>, tls: &Tls) -> Result<Loaded, Error> {
    let content = read(tls, cert)?;
    let certificates = X509::stack_from_pem(&content)
        .map_err(|error| unusable(cert, format!("no PEM certificates: {}", reason(&error))))?;
    if certificates.is_empty() {
        return Err(unusable(cert, not_pem(&content, "certificate")));
    }
    let key = match key {
        Some(path) => private_key(path, &read(tls, path)?, password)?,
        None if memchr::memmem::find(&content, b"PRIVATE KEY-----").is_none() => {
            return Err(unusable(cert, "no private key in it, and there is no --key"));
        }
        None => private_key(cert, &content, password)?,
    };
    Ok(Loaded { key, certificates })
}

fn private_key(path: &Path, pem: &[u8], password: Option<&KeyPassword>) -> Result<PKey<Private>, Error> {
    // "BEGIN ENCRYPTED PRIVATE KEY" in PKCS #8, "Proc-Type: 4,ENCRYPTED" in the older form.
    let encrypted = memchr::memmem::find(pem, b"ENCRYPTED").is_some();
    let words = password.map_or("", |password| &password.0);
    // Where there is a password, be it an empty one, OpenSSL does not ask for one at the terminal.
    PKey::private_key_from_pem_passphrase(pem, words.as_bytes()).map_err(|error| {
        match (encrypted, password) {
            _ if memchr::memmem::find(pem, b"PRIVATE KEY-----").is_none() => {
                unusable(path, not_pem(pem, "private key"))
            }
            (true, None) => {
                unusable(path, "the key is encrypted: --key-password-file FILE gives its password")
            }
            (true, Some(_)) if lacks_algorithm(&error) => unusable(
                path,
                "this OpenSSL has not the key's encryption: 'openssl pkey -provider legacy \
                            -provider default' converts it",
            ),
            (true, Some(_)) => unusable(path, "the password of --key-password-file does not open the key"),
            (false, _) => unusable(path, format!("the private key cannot be read: {}", reason(&error))),
        }
    })
}

fn not_pem(content: &[u8], what: &str) -> String {
    match content.first() {
        // SEQUENCE, which is what all of these are in DER.
        Some(0x30) => format!("no PEM {what} in it, but DER: --pkcs12, or 'openssl' to convert it"),
        _ => format!("no PEM {what} in it"),
    }
}

fn pkcs12(path: &Path, password: Option<&KeyPassword>, tls: &Tls) -> Result<Loaded, Error> {
    let content = read(tls, path)?;
    let file = Pkcs12::from_der(&content).map_err(|_| match content.starts_with(b"-----BEGIN") {
        true => unusable(path, "it is PEM, not PKCS #12: --cert takes it"),
        false => unusable(path, "it is not PKCS #12"),
    })?;
    let words = password.map_or("", |password| &password.0);
    let parsed = file.parse2(words).map_err(|error| {
        // The password is checked before anything is decrypted.
        let wrong = error.errors().iter().any(|error| {
            error.reason().is_some_and(|reason| reason.contains("mac verify failure"))
        });
        match password {
            None if wrong => unusable(path, "it has a password: --key-password-file FILE gives it"),
            Some(_) if wrong => unusable(path, "the password of --key-password-file does not open it"),
            _ if lacks_algorithm(&error) => unusable(
                path,
                "its encryption is too old for this OpenSSL: 'openssl pkcs12 -legacy -in OLD -nodes -out NEW.pem' \
                 makes a file for --cert",
            ),
            _ => unusable(path, reason(&error)),
        }
    })?;
    let key = parsed.pkey.ok_or_else(|| unusable(path, "no private key in it"))?;
    let certificates: Vec<X509> = parsed.cert.into_iter().chain(parsed.ca.into_iter().flatten()).collect();
    match certificates.is_empty() {
        true => Err(unusable(path, "no certificate in it")),
        false => Ok(Loaded { key, certificates }),
    }
}
