//! What a certificate says: names and dates as text, and the verdict on it.

use std::net::IpAddr;

use openssl::{
    asn1::{Asn1Time, Asn1TimeRef},
    nid::Nid,
    x509::{X509NameRef, X509Ref, X509StoreContextRef},
};

use crate::net::error::{Distrust, Fault};

/// The most parts of a distinguished name that are shown.
const PARTS: usize = 4;
/// The most names of a certificate that are kept.
const NAMES: usize = 1000;

/// The verdict, from within the verification. Nothing in here may panic: the caller is C.
pub(super) fn distrust(found: &X509StoreContextRef, wanted: &str, has_roots: bool) -> Distrust {
    let certificate = found.current_cert();
    let date = |of: fn(&X509Ref) -> &Asn1TimeRef| certificate.and_then(|certificate| when(of(certificate)));
    let result = found.error();
    // X509_V_ERR_* of openssl/x509_vfy.h.
    let fault = match result.as_raw() {
        2 | 20 | 21 if has_roots => Fault::UnknownIssuer,
        2 | 20 | 21 => Fault::NoRoots,
        9 => Fault::NotYetValid(date(X509Ref::not_before)),
        10 => Fault::Expired(date(X509Ref::not_after)),
        18 | 19 => Fault::SelfSigned,
        62 | 64 => Fault::WrongName { wanted: wanted.to_owned(), names: certificate.map(names) },
        _ => Fault::Other(result.error_string().to_owned()),
    };
    Distrust {
        fault,
        depth: found.error_depth(),
        subject: certificate.and_then(|certificate| name(certificate.subject_name())),
        issuer: certificate.and_then(|certificate| name(certificate.issuer_name())),
    }
}

/// The names that a server's certificate is for: those of subjectAltName, the common name where it has none there
/// (RFC 6125 section 6.4.4).
fn names(certificate: &X509Ref) -> Vec<String> {
    let mut names = Vec::new();
    for name in certificate.subject_alt_names().iter().flatten().take(NAMES) {
        let address = || match name.ipaddress()? {
            four if four.len() == 4 => <[u8; 4]>::try_from(four).ok().map(IpAddr::from),
            sixteen => <[u8; 16]>::try_from(sixteen).ok().map(IpAddr::from),
        };
        names.extend(
            name.dnsname().map(str::to_owned).or_else(|| address().map(|address| address.to_string())),
        );
    }
    if names.is_empty() {
        let common = certificate.subject_name().entries_by_nid(Nid::COMMONNAME);
        names.extend(common.filter_map(|entry| entry.data().to_string().ok()).take(1));
    }
    names
}

/// A distinguished name: `CN=x, O=y`, its most special parts first. None where it is empty.
pub(super) fn name(name: &X509NameRef) -> Option<String> {
    let part = |entry: &openssl::x509::X509NameEntryRef| {
        let value = entry.data().to_string().ok()?;
        let kind = entry.object().nid().short_name().unwrap_or("?");
        Some(format!("{kind}={value}"))
    };
    let mut parts: Vec<String> = name.entries().filter_map(part).collect();
    parts.reverse();
    parts.truncate(PARTS);
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// A date as `2020-01-01 00:00:00 UTC`.
pub(super) fn when(time: &Asn1TimeRef) -> Option<String> {
    let since = Asn1Time::from_unix(0).ok()?.diff(time).ok()?;
    let seconds = i64::from(since.days) * 86_400 + i64::from(since.secs);
    let time = tz::UtcDateTime::from_timespec(seconds, 0).ok()?;
    let (year, month, day) = (time.year(), time.month(), time.month_day());
    Some(format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC",
        time.hour(),
        time.minute(),
        time.second()
    ))
}
