//! Where a redirect leads (RFC 9110 sections 10.2.2 and 15.4; RFC 3986 section 5), and what is not taken along.

use std::fmt;

use crate::{
    config::{
        Endpoint,
        url::{self, Purpose, Url},
    },
    proto::format::excerpt,
};

/// Whether the status asks to go elsewhere.
pub(super) fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// Whether it does, and `--location` was said.
pub(super) fn is_followed(endpoint: &Endpoint, status: u16) -> bool {
    endpoint.redirects.is_some() && is_redirect(status)
}

/// Why a redirect is not followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There were so many before it; where this one leads.
    TooMany(u32, String),
    /// It leads from wss:// to ws://: to here.
    Downgrade(String),
    /// It leads to another scheme, host or port, and CONNECT would carry a login there: to here.
    Login(String),
    /// It has no Location.
    NoLocation,
    /// Its Location is no URL for a WebSocket: why.
    Malformed(String),
}

impl Fault {
    /// The exit status: curl's where it has one.
    pub(super) fn status(&self) -> u8 {
        match self {
            Fault::TooMany(..) => 47,
            Fault::Downgrade(_) | Fault::Login(_) => 22,
            Fault::NoLocation | Fault::Malformed(_) => 8,
        }
    }

    /// What may help.
    pub(super) fn hint(&self) -> Option<&'static str> {
        match self {
            Fault::TooMany(..) => Some("--max-redirects N follows more"),
            Fault::Downgrade(_) => Some("give that URL if it may go without encryption"),
            Fault::Login(_) => Some("give that URL if the login is for it"),
            Fault::NoLocation | Fault::Malformed(_) => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::TooMany(most, to) => write!(f, "after {most} redirects there is one more, to {to}"),
            Fault::Downgrade(to) => write!(f, "it leads from wss:// to {to} and is not followed"),
            Fault::Login(to) => {
                write!(f, "it leads to {to}, where the login would be sent, and is not followed")
            }
            Fault::NoLocation => f.write_str("it has no Location"),
            Fault::Malformed(why) => write!(f, "its Location cannot be used: {}", excerpt(why.as_bytes())),
        }
    }
}

/// A subprotocol longer than this is no name but a token.
pub(super) const LONGEST_NAME: usize = 40;
/// The longest path and query that is asked for, in bytes.
const LONGEST_TARGET: usize = 60_000;

/// Turns `endpoint` to where `location` leads. `followed` redirects came before.
///
/// # Errors
/// Why it is not followed; `endpoint` is then as it was.
pub(super) fn follow(endpoint: &mut Endpoint, location: Option<&str>, followed: u32) -> Result<(), Fault> {
    let location = location.filter(|text| !text.is_empty()).ok_or(Fault::NoLocation)?;
    let url = target(&endpoint.url, location).map_err(Fault::Malformed)?;
    if url.target.len() > LONGEST_TARGET {
        return Err(Fault::Malformed(String::from("it is too long")));
    }
    let most = endpoint.redirects.unwrap_or_default();
    if followed >= most {
        return Err(Fault::TooMany(most, url.shown()));
    }
    let from = &endpoint.url;
    if from.scheme.is_tls() && !url.scheme.is_tls() {
        return Err(Fault::Downgrade(url.shown()));
    }
    let elsewhere = (from.scheme, &from.host, from.port) != (url.scheme, &url.host, url.port);
    if elsewhere && has_login(endpoint) {
        return Err(Fault::Login(url.shown()));
    }
    log::debug!("redirected to {}", url.shown());
    if elsewhere {
        leave_behind(endpoint, &url);
    }
    endpoint.url = url;
    Ok(())
}

/// What says who we are and cannot be left behind: the login of CONNECT, a client certificate, and a token among the
/// subprotocols, as some servers take it.
fn has_login(endpoint: &Endpoint) -> bool {
    let is_token = |name: &String| name.len() > LONGEST_NAME || name.to_ascii_lowercase().contains("bearer");
    endpoint.connect_login || endpoint.tls.identity.is_some() || endpoint.subprotocols.iter().any(is_token)
}

/// What was meant for the first server only: its logins and the names that it was given. Other headers of `-H`
/// go along, as with curl.
fn leave_behind(endpoint: &mut Endpoint, to: &Url) {
    let is = |name: &str, one: &str| name.eq_ignore_ascii_case(one);
    let secret = |name: &str| is(name, "authorization") || is(name, "cookie");
    if endpoint.headers.iter().any(|(name, _)| secret(name)) {
        log::warn!("the redirect leads to {}: logins and cookies are not sent there", to.shown());
    }
    endpoint.headers.retain(|(name, _)| !secret(name) && !is(name, "host"));
    if endpoint.url.host != to.host {
        endpoint.tls.servername = None;
    }
}

/// A Location for a message: without its login and its query, in which tokens are handed over.
pub(super) fn public(location: &str) -> String {
    let (before, query) = match location.split_once('?') {
        Some((before, _)) => (before, "?..."),
        None => (location, ""),
    };
    // To the last '@', wherever it is: a password may hold an unencoded '/'.
    match (before.find("//"), before.rfind('@')) {
        (Some(slashes), Some(at)) if slashes + 2 <= at => {
            format!("{}...{}{query}", &before[..slashes + 2], &before[at..])
        }
        _ => format!("{before}{query}"),
    }
}

/// The URL that `location` means where `base` was asked for. Its userinfo and its fragment are dropped: who
/// redirects does not choose the login.
fn target(base: &Url, location: &str) -> Result<Url, String> {
    // Servers send it, and browsers and curl let it pass.
    let location = location.trim().replace(' ', "%20");
    let location = location.split('#').next().unwrap_or_default();
    let text = match split_scheme(location) {
        Some((scheme, rest)) => {
            let scheme = match scheme.to_ascii_lowercase().as_str() {
                "http" | "ws" => "ws",
                "https" | "wss" => "wss",
                other => return Err(format!("scheme '{other}' is none of http, https, ws, wss")),
            };
            let rest = rest.strip_prefix("//").ok_or("there is no '//' after its scheme")?;
            format!("{scheme}://{rest}")
        }
        None if location.starts_with("//") => format!("{}:{location}", base.scheme),
        None => format!("{}://{}{}", base.scheme, base.authority(), merged(&base.target, location)),
    };
    let (mut url, _) = url::parse(&text, Purpose::WebSocket).map_err(|why| why.to_string())?;
    url.target = without_dots(&url.target);
    Ok(url)
}

/// `scheme` and what is behind the `:`, where it begins with one (RFC 3986 section 3.1).
fn split_scheme(location: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = location.split_once(':')?;
    let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.bytes().all(known);
    is_scheme.then_some((scheme, rest))
}

/// Path and query of a reference without an authority (RFC 3986 section 5.2.2).
fn merged(base: &str, reference: &str) -> String {
    let path = base.split('?').next().unwrap_or_default();
    match reference.as_bytes().first() {
        None => base.to_owned(),
        Some(b'/') => reference.to_owned(),
        Some(b'?') => format!("{path}{reference}"),
        Some(_) => format!("{}{reference}", &path[..path.rfind('/').map_or(0, |at| at + 1)]),
    }
}

/// Without the segments `.` and `..` (RFC 3986 section 5.2.4).
fn without_dots(target: &str) -> String {
    let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                // A directory stays one.
                kept.extend(last.then_some(""));
            }
            _ => kept.push(segment),
        }
    }
    format!("/{}{query}", kept.join("/"))
}

#[cfg(test)]
mod tests;
