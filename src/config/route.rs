//! Which way to the server: addresses given by hand, another host, a Unix socket, the local address.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use super::url::{self, Purpose, UrlError, bad};

/// A family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    pub fn of(address: IpAddr) -> Family {
        if address.is_ipv4() { Family::V4 } else { Family::V6 }
    }

    /// As it is spoken of.
    pub fn name(self) -> &'static str {
        match self {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        }
    }
}

/// The way to the server. The default is the name's own addresses, of both families.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// `-4`, `-6`, or the family of `bind`: only addresses of this one.
    pub family: Option<Family>,
    /// `--resolve`, in order.
    pub resolve: Vec<Resolve>,
    /// `--connect-to`, in order.
    pub connect_to: Vec<ConnectTo>,
    /// `--unix-socket`: in place of every host and port.
    pub unix_socket: Option<PathBuf>,
    /// `--bind`: the local address; its port is the system's choice.
    pub bind: Option<IpAddr>,
}

/// `--resolve HOST:PORT:ADDR[,ADDR]`: what a lookup would find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolve {
    /// None is `*`: any host.
    pub host: Option<String>,
    /// The port that is connected to.
    pub port: u16,
    /// At least one, in the order of the attempts.
    pub addresses: Vec<IpAddr>,
}

/// `--connect-to HOST1:PORT1:HOST2:PORT2`: the second pair in place of the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectTo {
    /// None is any host.
    pub from_host: Option<String>,
    /// None is any port.
    pub from_port: Option<u16>,
    /// None is the host as it was.
    pub host: Option<String>,
    /// None is the port as it was.
    pub port: Option<u16>,
}

impl Route {
    /// Host and port to look up for those of the URL: of `connect_to` the first that fits.
    pub fn target(&self, host: &str, port: u16) -> (String, u16) {
        let fits = |rule: &&ConnectTo| {
            rule.from_host.as_deref().is_none_or(|from| same_host(from, host))
                && rule.from_port.is_none_or(|from| from == port)
        };
        match self.connect_to.iter().find(fits) {
            Some(rule) => (rule.host.as_deref().unwrap_or(host).to_owned(), rule.port.unwrap_or(port)),
            None => (host.to_owned(), port),
        }
    }

    /// The addresses that `resolve` has: those of the host's name go before those of `*`, and of several
    /// the last.
    pub fn pinned(&self, host: &str, port: u16) -> Option<Vec<SocketAddr>> {
        let named = |rule: &&Resolve| rule.host.as_deref().is_some_and(|name| same_host(name, host));
        let of_port = || self.resolve.iter().rev().filter(|rule| rule.port == port);
        let rule = of_port().find(named).or_else(|| of_port().find(|rule| rule.host.is_none()))?;
        Some(rule.addresses.iter().map(|address| SocketAddr::new(*address, port)).collect())
    }

    /// Leaves out what is of the other family.
    ///
    /// `ours`: they are dialed from here, and not by a proxy, to which `--bind` is nothing.
    ///
    /// # Errors
    /// Nothing is left: says which option asked for it.
    pub fn usable(&self, mut addresses: Vec<SocketAddr>, ours: bool) -> Result<Vec<SocketAddr>, String> {
        let family = self.family.filter(|_| ours || self.bind.is_none());
        let Some(family) = family else { return Ok(addresses) };
        let found = addresses.len();
        addresses.retain(|address| Family::of(address.ip()) == family);
        if addresses.is_empty() && found > 0 {
            let option = match (self.bind, family) {
                (Some(address), _) => format!("--bind {address}"),
                (None, Family::V4) => "-4".to_owned(),
                (None, Family::V6) => "-6".to_owned(),
            };
            return Err(format!("no {} address, as {option} asks for", family.name()));
        }
        Ok(addresses)
    }
}

/// Host names have no case, and a dot at the end names the same host.
fn same_host(a: &str, b: &str) -> bool {
    let bare = |name: &str| name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    bare(a) == bare(b)
}

impl Resolve {
    /// Reads `HOST:PORT:ADDR[,ADDR]...`. HOST may be `*`; IPv6 stands in brackets, as an address it may go
    /// without.
    ///
    /// # Errors
    /// The part that is wrong.
    pub fn parse(text: &str) -> Result<Resolve, UrlError> {
        const SHAPE: &str = "takes HOST:PORT:ADDRESS[,ADDRESS]";
        url::check_characters(text)?;
        let (name, rest) = next_host(text)?;
        let Some((digits, list)) = rest.and_then(|rest| rest.split_once(':')) else {
            return bad(format!("{SHAPE}, not '{text}'"));
        };
        if name.is_empty() {
            return bad(format!("{SHAPE}, and there is no host before the ':' ('*' is any)"));
        }
        let host = if name == "*" { None } else { Some(host(name)?) };
        let port = url::port(digits, Purpose::WebSocket)?;
        let addresses = list.split(',').map(address).collect::<Result<Vec<_>, _>>()?;
        Ok(Resolve { host, port, addresses })
    }
}

impl ConnectTo {
    /// Reads `HOST1:PORT1:HOST2:PORT2`; each part may be empty, IPv6 stands in brackets.
    ///
    /// # Errors
    /// The part that is wrong.
    pub fn parse(text: &str) -> Result<ConnectTo, UrlError> {
        url::check_characters(text)?;
        let wrong = || UrlError::new("takes HOST1:PORT1:HOST2:PORT2");
        let (from_host, rest) = next_host(text)?;
        let (from_port, rest) = rest.and_then(|rest| rest.split_once(':')).ok_or_else(wrong)?;
        let (to_host, to_port) = next_host(rest)?;
        let to_port = to_port.filter(|digits| !digits.contains(':')).ok_or_else(wrong)?;
        let given = |name: &str| if name.is_empty() { Ok(None) } else { host(name).map(Some) };
        let number = |digits: &str| match digits {
            "" => Ok(None),
            digits => url::port(digits, Purpose::WebSocket).map(Some),
        };
        Ok(ConnectTo {
            from_host: given(from_host)?,
            from_port: number(from_port)?,
            host: given(to_host)?,
            port: number(to_port)?,
        })
    }
}

/// The address of `--bind`.
///
/// # Errors
/// It is none.
pub fn address(text: &str) -> Result<IpAddr, UrlError> {
    url::check_characters(text)?;
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match bare.unwrap_or(text).parse::<IpAddr>() {
        Ok(address) if bare.is_none() || address.is_ipv6() => Ok(address),
        _ => bad(format!("'{text}' is not an IP address")),
    }
}

/// A host with its brackets, and what comes after the `:` behind it.
fn next_host(text: &str) -> Result<(&str, Option<&str>), UrlError> {
    let end = match text.strip_prefix('[') {
        None => text.find(':').unwrap_or(text.len()),
        Some(rest) => match rest.find(']') {
            Some(at) => at + 2,
            None => return bad(format!("the '[' of '{text}' has no ']' after it")),
        },
    };
    let (host, rest) = text.split_at(end);
    match rest.strip_prefix(':') {
        None if !rest.is_empty() => bad(format!("after the ']' of '{host}' comes '{rest}', not ':'")),
        rest => Ok((host, rest)),
    }
}

/// A host as a URL has it.
fn host(text: &str) -> Result<String, UrlError> {
    match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => url::ipv6(address),
        None => url::name_or_ipv4(text),
    }
}

#[cfg(test)]
mod tests;
