//! Which proxy a URL is reached through: `--proxy`, `--no-proxy` and the environment, by curl's rules.
//!
//! The rules are kept, not only what they say of one URL: a redirect asks again.

use std::fmt;

use super::url::{self, Scheme, Url, UrlError, Userinfo};

mod no_proxy;

pub use no_proxy::NoProxy;

/// The port of a proxy's URL that has none, whatever its scheme: curl's.
pub const DEFAULT_PORT: u16 = 1080;

/// The longest user name and password in SOCKS5, in bytes (RFC 1929 section 2).
const LONGEST_LOGIN: usize = 255;

/// How to talk to a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyScheme {
    /// `http://`: CONNECT (RFC 9110 section 9.3.6).
    Http,
    /// `socks5://`: SOCKS5 (RFC 1928) to an address that was looked up here.
    Socks5,
    /// `socks5h://`: SOCKS5 with the name, which the proxy looks up.
    Socks5h,
}

impl fmt::Display for ProxyScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ProxyScheme::Http => "http",
            ProxyScheme::Socks5 => "socks5",
            ProxyScheme::Socks5h => "socks5h",
        })
    }
}

/// User name and password.
pub type Login = (Vec<u8>, Vec<u8>);

/// A proxy. `Debug` and `Display` leave the login out.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// How to talk to it.
    pub scheme: ProxyScheme,
    /// Host name or address literal, IPv6 without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// User name and password, percent-decoded: each at most 255 bytes for SOCKS5; for HTTP without control
    /// characters, and no ':' in the user name.
    pub login: Option<Login>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("scheme", &self.scheme)
            .field("host", &self.host)
            .field("port", &self.port)
            .field("login", &self.login.as_ref().map(|_| "hidden"))
            .finish()
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "{}://[{}]:{}", self.scheme, self.host, self.port),
            false => write!(f, "{}://{}:{}", self.scheme, self.host, self.port),
        }
    }
}

impl Proxy {
    /// Reads `[SCHEME://][USER[:PASSWORD]@]HOST[:PORT][/]`. No scheme is `http`, as in curl.
    ///
    /// # Errors
    /// The part that is wrong. The text shows no login.
    pub fn parse(text: &str) -> Result<Proxy, UrlError> {
        url::check_characters(text)?;
        let (scheme, rest) = match text.split_once("://") {
            Some((name, rest)) => (scheme(name)?, rest),
            None => (ProxyScheme::Http, text),
        };
        let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if tail.contains('@') {
            return url::bad(
                "there is an '@' after the first '/', '?' or '#': \
                 in a user name or password write these as %2F, %3F and %23",
            );
        }
        if !matches!(tail, "" | "/") {
            return url::bad("a proxy has no path, and something stands after its host and port");
        }
        let (userinfo, host_port) = match authority.rsplit_once('@') {
            Some((userinfo, host_port)) => (Some(userinfo), host_port),
            None => (None, authority),
        };
        if host_port.is_empty() || (host_port.starts_with(':') && !host_port.starts_with("::")) {
            return url::bad("there is no host in it");
        }
        let (host, port) = url::host_and_port(host_port, url::Purpose::WebSocket)?;
        let login = userinfo.map(url::decode_userinfo).transpose()?.flatten();
        let login = login.map(|userinfo| login_for(scheme, userinfo)).transpose()?;
        Ok(Proxy { scheme, host, port: port.unwrap_or(DEFAULT_PORT), login })
    }
}

fn scheme(name: &str) -> Result<ProxyScheme, UrlError> {
    let name = name.to_ascii_lowercase();
    match name.as_str() {
        "http" => Ok(ProxyScheme::Http),
        "socks5" => Ok(ProxyScheme::Socks5),
        "socks5h" => Ok(ProxyScheme::Socks5h),
        "https" => url::bad(
            "https:// (TLS to the proxy itself) is not supported; an http:// proxy is asked for a tunnel, \
             and TLS goes through that",
        ),
        "socks" | "socks4" | "socks4a" => {
            url::bad(format!("{name}:// is not supported: say socks5:// or socks5h://"))
        }
        "ws" | "wss" | "mqtt" | "mqtts" => {
            url::bad(format!("{name}:// is no proxy's scheme: the server's URL stands by itself"))
        }
        // What stands there may be a login with the scheme forgotten.
        _ => url::bad("its scheme is none of http, socks5, socks5h"),
    }
}

fn login_for(scheme: ProxyScheme, userinfo: Userinfo) -> Result<Login, UrlError> {
    let (user, password) = (userinfo.user, userinfo.password.unwrap_or_default());
    if scheme == ProxyScheme::Http {
        if user.contains(&b':') {
            return url::bad("HTTP Basic authentication cannot send a ':' in the user name");
        }
        if user.iter().chain(&password).any(u8::is_ascii_control) {
            return url::bad("HTTP Basic authentication cannot send control characters");
        }
        return Ok((user, password));
    }
    for (what, bytes) in [("user name", &user), ("password", &password)] {
        if bytes.len() > LONGEST_LOGIN {
            return url::bad(format!(
                "a {what} for SOCKS5 has at most {LONGEST_LOGIN} bytes (RFC 1929), not {}",
                bytes.len()
            ));
        }
    }
    Ok((user, password))
}

/// Where a proxy was said, and what came of reading it.
#[derive(Clone, Debug)]
struct Said {
    /// `--proxy` or the variable's name.
    by: &'static str,
    proxy: Result<Proxy, UrlError>,
}

/// The rules that decide which proxy a URL is reached through. The default is none at all.
#[derive(Clone, Debug, Default)]
pub struct ProxyRules {
    /// For wss and mqtts.
    secure: Option<Said>,
    /// For ws and mqtt.
    plain: Option<Said>,
    direct: NoProxy,
}

/// Why a proxy cannot be used, in one line that names where it was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyError(String);

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ProxyError {}

impl ProxyRules {
    /// From `--proxy`, `--no-proxy` and the environment. `--proxy` takes the place of the variables for
    /// proxies, `--no-proxy` that of NO_PROXY, also where one is empty. As in curl an empty variable counts
    /// as not set, and small letters come first. HTTP_PROXY is not looked at: under CGI a client sets it.
    ///
    /// What of a list cannot be understood matches nothing; the caller learns it from [`NoProxy::parse`].
    pub fn new(
        proxy: Option<&str>,
        no_proxy: Option<&str>,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> ProxyRules {
        let first = |names: &[&'static str]| {
            let mut said = names.iter().filter_map(|name| Some((*name, env(name)?)));
            said.find(|(_, value)| !value.is_empty())
        };
        let (secure, plain) = match proxy {
            Some("") => (None, None),
            Some(text) => (Some(("--proxy", text.to_owned())), Some(("--proxy", text.to_owned()))),
            None => (
                first(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]),
                first(&["http_proxy", "all_proxy", "ALL_PROXY"]),
            ),
        };
        let said = |(by, text): (&'static str, String)| Said { by, proxy: Proxy::parse(&text) };
        let direct = match no_proxy {
            Some(list) => list.to_owned(),
            None => first(&["no_proxy", "NO_PROXY"]).map(|(_, list)| list).unwrap_or_default(),
        };
        ProxyRules { secure: secure.map(said), plain: plain.map(said), direct: NoProxy::parse(&direct).0 }
    }

    /// The proxy on the way to `url`; none where it is reached directly.
    ///
    /// # Errors
    /// The one that it is to go through is no sound proxy.
    pub fn proxy_for(&self, url: &Url) -> Result<Option<&Proxy>, ProxyError> {
        let Some(said) = self.said_for(url) else { return Ok(None) };
        if self.is_exempt(url) {
            return Ok(None);
        }
        match &said.proxy {
            Ok(proxy) => Ok(Some(proxy)),
            Err(why) => Err(ProxyError(format!("the proxy of {}: {why}", said.by))),
        }
    }

    /// There is a proxy for such URLs, and this one goes direct all the same: it is in the list.
    pub fn is_exempt(&self, url: &Url) -> bool {
        self.said_for(url).is_some() && self.direct.matches(&url.host, url.port)
    }

    fn said_for(&self, url: &Url) -> Option<&Said> {
        match url.scheme {
            Scheme::Wss | Scheme::Mqtts => self.secure.as_ref(),
            Scheme::Ws | Scheme::Mqtt => self.plain.as_ref(),
        }
    }
}

#[cfg(test)]
mod tests;
