//! What goes into the upgrade request: headers, logins, cookies, subprotocols.

use base64::prelude::{BASE64_STANDARD, Engine as _};

use super::{Env, given, secret};
use crate::{
    cli::{
        command::Command,
        error::UsageError,
        low::LowArgs,
        value::{Cookie, Header, Payload, header_value},
    },
    config::url::{Scheme, Userinfo},
};

/// Headers in the order in which they are sent.
type Headers = Vec<(String, String)>;

/// The headers of the upgrade request. `userinfo` is the URL's where it means HTTP Basic; what an option
/// says goes before it.
///
/// # Errors
/// Headers that exclude each other, a login that cannot be sent, a file that cannot be read.
pub fn headers(low: &LowArgs, userinfo: Option<Userinfo>, env: Env<'_>) -> Result<Headers, UsageError> {
    let mut headers = Headers::new();
    let mut removed: Vec<&str> = Vec::new();
    for Header(name, value) in &low.headers {
        let Some(value) = value else {
            removed.push(name);
            continue;
        };
        // Twice is an error by RFC 9110 sections 7.2 and 11.6.2, RFC 6454 section 7, RFC 6265 section 5.4.
        let once = is_among(&["host", "authorization", "origin", "user-agent", "cookie"], name);
        if once && has(&headers, name) {
            return Err(UsageError::new(format_args!("-H/--header: {name} is given twice")));
        }
        headers.push((name.clone(), value.clone()));
    }
    let is_removed = |name: &str| is_among(&removed, name);
    if let Some((name, _)) = headers.iter().find(|(name, _)| is_removed(name)) {
        return Err(UsageError::new(format_args!("-H '{name}: ...' and -H '{name}:' contradict each other")));
    }
    if is_removed("host") {
        return Err(UsageError::new("-H 'Host:': HTTP/1.1 has no request without it (RFC 9112 section 3.2)"));
    }
    if is_removed("user-agent") {
        // An empty one is not sent.
        headers.push(("User-Agent".to_owned(), String::new()));
    }
    if let Some(origin) = &low.origin {
        if has(&headers, "origin") {
            return Err(UsageError::new("--origin and -H 'Origin: ...' say the same: one is enough"));
        }
        let value = header_value(origin)
            .map_err(|why| UsageError::new(format_args!("the value of --origin {why}")))?;
        headers.push(("Origin".to_owned(), value));
    }
    let userinfo = userinfo.filter(|_| !is_removed("authorization"));
    if let Some(value) = authorization(low, userinfo, has(&headers, "authorization"), env)? {
        headers.push(("Authorization".to_owned(), value));
    }
    if !low.http.cookies.is_empty() {
        if has(&headers, "cookie") {
            return Err(UsageError::new("--cookie and -H 'Cookie: ...' say the same: one is enough"));
        }
        let pairs: Vec<&str> = low.http.cookies.iter().map(|Cookie(pair)| pair.as_str()).collect();
        headers.push(("Cookie".to_owned(), pairs.join("; ")));
    }
    Ok(headers)
}

fn is_among(names: &[&str], name: &str) -> bool {
    names.iter().any(|other| other.eq_ignore_ascii_case(name))
}

fn has(headers: &Headers, name: &str) -> bool {
    headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name))
}

/// The value of Authorization: `--auth`, `--bearer-file`, or the URL's login.
fn authorization(
    low: &LowArgs,
    userinfo: Option<Userinfo>,
    by_header: bool,
    env: Env<'_>,
) -> Result<Option<String>, UsageError> {
    let given = given(&[
        (by_header, "-H 'Authorization: ...'"),
        (low.http.auth.is_some(), "--auth"),
        (low.http.bearer_file.is_some(), "--bearer-file"),
    ]);
    if given.len() > 1 {
        return Err(UsageError::new(format_args!(
            "{} contradict each other: say one of them",
            given.join(" and ")
        )));
    }
    // The password of the MQTT commands is that of CONNECT.
    let websocket = matches!(low.command, Command::Echo | Command::Cat);
    if let Some(Payload(pair)) = &low.http.auth {
        return match memchr::memchr(b':', pair) {
            Some(_) if websocket => {
                secret::none(low, "--auth USER:PASSWORD").and_then(|()| basic("--auth", pair))
            }
            Some(_) => basic("--auth", pair),
            None if !websocket => {
                Err(UsageError::new("--auth takes USER:PASSWORD, and there is no ':' in it"))
            }
            None => match secret::password(low, env)? {
                Some(password) => basic("--auth", &[pair, &b":"[..], &password].concat()),
                None => Err(UsageError::new(
                    "--auth takes USER:PASSWORD, or USER with --password-file, --password-env or \
                     --ask-password",
                )),
            },
        };
    }
    if websocket && !given.is_empty() {
        secret::none(low, given[0])?;
    }
    if let Some(path) = &low.http.bearer_file {
        return secret::bearer(low, path).map(|token| Some(format!("Bearer {token}")));
    }
    if !websocket || by_header {
        return Ok(None);
    }
    let Some(userinfo) = userinfo else {
        return secret::none_without_user(low).map(|()| None);
    };
    if userinfo.user.contains(&b':') {
        return Err(UsageError::new("URL: HTTP Basic authentication cannot send a ':' in the user name"));
    }
    // As with MQTT a password from an option goes before the URL's.
    let password = secret::password(low, env)?.map(Vec::from).or(userinfo.password).unwrap_or_default();
    basic("URL", &[&userinfo.user, &b":"[..], &password].concat())
}

/// HTTP Basic authentication (RFC 7617) of `USER:PASSWORD`.
fn basic(what: &str, pair: &[u8]) -> Result<Option<String>, UsageError> {
    if pair.iter().any(u8::is_ascii_control) {
        return Err(UsageError::new(format_args!(
            "{what}: HTTP Basic authentication cannot send control characters"
        )));
    }
    Ok(Some(format!("Basic {}", BASE64_STANDARD.encode(pair))))
}

/// What only an HTTP request can have: refused where there is none.
pub fn none(low: &LowArgs, scheme: Scheme) -> Result<(), UsageError> {
    let given = given(&[
        (!low.headers.is_empty(), "-H/--header"),
        (low.origin.is_some(), "--origin"),
        (low.http.auth.is_some(), "--auth"),
        (low.http.bearer_file.is_some(), "--bearer-file"),
        (!low.http.cookies.is_empty(), "--cookie"),
        (low.http.location, "--location"),
        (low.http.max_redirects.is_some(), "--max-redirects"),
    ]);
    match given.first() {
        Some(name) => Err(UsageError::new(format_args!(
            "{name} is for ws:// and wss://: {scheme}:// has no HTTP request"
        ))),
        None => Ok(()),
    }
}

/// How many redirects are followed; none are without `--location`.
pub fn redirects(low: &LowArgs) -> Result<Option<u32>, UsageError> {
    match (low.http.location, low.http.max_redirects) {
        (false, None) => Ok(None),
        (false, Some(_)) => Err(UsageError::new("--max-redirects needs --location")),
        (true, given) => Ok(Some(low.or_default(given, "--max-redirects"))),
    }
}

/// What `--subprotocol` offers, in order.
pub fn subprotocols(low: &LowArgs) -> Result<Vec<String>, UsageError> {
    let mut names: Vec<String> = Vec::new();
    for name in &low.subprotocols {
        if names.contains(&name.0) {
            let name = &name.0;
            return Err(UsageError::new(format_args!("--subprotocol {name} is given twice")));
        }
        names.push(name.0.clone());
    }
    Ok(names)
}

#[cfg(test)]
mod tests;
