//! The options of TLS.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use super::{given, read_up_to, secret};
use crate::{
    cli::{
        error::{UsageError, shown, shown_os},
        low::LowArgs,
    },
    config::{
        Identity, KeyPassword, Pins, Piped, Tls,
        url::{self, Purpose},
    },
};

/// The longest password of a key, in bytes: OpenSSL takes no more.
const PASSWORD: usize = 1024;
/// As much is read of a pipe, and of a certificate's file in search of a key, in bytes.
const LONGEST_FILE: u64 = 16 << 20;
/// The longest list of ALPN, length bytes included (RFC 7301 section 3.1).
const PROTOCOLS: usize = 65_535;

/// What is said of TLS. Files are opened, where `used`, so that a wrong name is told at the start.
pub fn tls(args: &LowArgs, used: bool) -> Result<Tls, UsageError> {
    let low = &args.tls;
    let (min, max) = (low.min.map(|version| version.0), low.max.map(|version| version.0));
    if let (Some(min), Some(max)) = (min, max) {
        if min > max {
            return Err(UsageError::new(format_args!("--tls-min {min} is above --tls-max {max}")));
        }
    }
    if let Some(name) = &low.servername {
        check_servername(name)?;
    }
    let alpn: Vec<String> = low.alpn.iter().map(|protocol| protocol.0.clone()).collect();
    if alpn.iter().map(|name| name.len() + 1).sum::<usize>() > PROTOCOLS {
        return Err(UsageError::new(format_args!(
            "--alpn: the names are more than {PROTOCOLS} bytes together"
        )));
    }
    let mut piped = Piped::default();
    if used {
        piped = check_files(args)?;
    } else if !args.http.location {
        warn_of_no_use(args);
    }
    Ok(Tls {
        cafile: low.cafile.clone(),
        capath: low.capath.clone(),
        insecure: low.insecure,
        servername: low.servername.clone(),
        identity: identity(args)?,
        min,
        max,
        alpn,
        pins: low.pin.clone(),
        piped,
    })
}

/// A name as a URL's host is one: the same rules, the same words.
fn check_servername(name: &str) -> Result<(), UsageError> {
    let wrong = name.contains(['/', '?', '#', '@', ':', '[', ']']);
    if wrong || url::parse(&format!("wss://{name}"), Purpose::WebSocket).is_err() {
        return Err(UsageError::new(format_args!("--servername takes a host name, not {}", shown(name))));
    }
    Ok(())
}

/// The files that are read when TLS begins.
fn check_files(args: &LowArgs) -> Result<Piped, UsageError> {
    let low = &args.tls;
    let pins = match &low.pin {
        Some(Pins::File(path)) => Some(path),
        _ => None,
    };
    let files = [
        ("--cafile", low.cafile.as_ref(), 77),
        ("--cert", low.cert.as_ref(), 58),
        ("--key", low.key.as_ref(), 58),
        ("--pkcs12", low.pkcs12.as_ref(), 58),
        ("--pin", pins, 26),
    ];
    let mut piped = Piped::default();
    for (flag, path, status) in files {
        let Some(path) = path else { continue };
        let fail = |error: io::Error| unreadable(flag, path, status, &error.to_string());
        let file = File::open(path).map_err(fail)?;
        let is_pipe = !file.metadata().map_err(fail)?.is_file();
        let mut content = Vec::new();
        if is_pipe || flag == "--cert" {
            content = read_up_to(LONGEST_FILE, &file).map_err(fail)?;
        }
        // The key may stand beside the certificate.
        let has_key = memchr::memmem::find(&content, b"PRIVATE KEY-----").is_some();
        if ["--key", "--pkcs12"].contains(&flag) || (flag == "--cert" && has_key) {
            secret::warn_where_open(args, flag, &file, path);
        }
        if is_pipe {
            piped.0.push((path.clone(), content));
        }
    }
    let Some(path) = &low.capath else { return Ok(piped) };
    fs::read_dir(path).map_err(|error| unreadable("--capath", path, 77, &error.to_string()))?;
    Ok(piped)
}

/// Who says how TLS is to be, and no TLS, may believe that there is some.
fn warn_of_no_use(args: &LowArgs) {
    let low = &args.tls;
    let given = given(&[
        (low.cafile.is_some(), "--cafile"),
        (low.capath.is_some(), "--capath"),
        (low.cert.is_some(), "--cert"),
        (low.pkcs12.is_some(), "--pkcs12"),
        (low.servername.is_some(), "--servername"),
        (low.pin.is_some(), "--pin"),
        (low.min.is_some(), "--tls-min"),
        (low.max.is_some(), "--tls-max"),
        (!low.alpn.is_empty(), "--alpn"),
        (low.insecure, "--insecure"),
    ]);
    if let Some(option) = given.first() {
        args.warn(format!("{option} changes nothing: ws:// and mqtt:// have no TLS, all goes in the clear"));
    }
}

fn unreadable(flag: &str, path: &Path, status: u8, why: &str) -> UsageError {
    UsageError::with_status(status, format_args!("{flag} {}: {why}", shown_os(path)))
}

fn identity(args: &LowArgs) -> Result<Option<Identity>, UsageError> {
    let low = &args.tls;
    let password = low.key_password_file.as_deref().map(|path| read_password(args, path)).transpose()?;
    match (&low.cert, &low.pkcs12) {
        (Some(_), Some(_)) => {
            Err(UsageError::new("--cert and --pkcs12 both give the client certificate: say one of them"))
        }
        (None, Some(_)) if low.key.is_some() => {
            Err(UsageError::new("--pkcs12 brings the key along: --key belongs to --cert"))
        }
        (Some(cert), None) => Ok(Some(Identity::Pem { cert: cert.clone(), key: low.key.clone(), password })),
        (None, Some(file)) => Ok(Some(Identity::Pkcs12 { file: file.clone(), password })),
        (None, None) if low.key.is_some() => {
            Err(UsageError::new("--key needs --cert: the certificate that goes with it"))
        }
        (None, None) if password.is_some() => {
            Err(UsageError::new("--key-password-file needs --cert or --pkcs12"))
        }
        (None, None) => Ok(None),
    }
}

fn read_password(low: &LowArgs, path: &Path) -> Result<KeyPassword, UsageError> {
    let option = "--key-password-file";
    let fail = |why: &str| unreadable(option, path, 26, why);
    let line = secret::only_line(low, option, path, PASSWORD)?;
    let line = String::from_utf8(line).map_err(|_| fail("it is not UTF-8"))?;
    if line.contains('\0') {
        return Err(fail("it has a NUL in it"));
    }
    Ok(KeyPassword(line))
}
