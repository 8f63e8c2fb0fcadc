//! Hosts that are reached without a proxy: the list of NO_PROXY and `--no-proxy`.

use std::net::IpAddr;

/// The list, separated by commas or blanks. An entry is
/// - a name, which is for all names below it too, with or without a '.' (or `*.`) before it;
/// - an address, IPv6 with or without brackets, or a network as `ADDRESS/BITS`;
///
/// each with `:PORT` behind it (an IPv6 address then in brackets) for that port alone, which curl has not.
/// `*`, as the whole list, is for all hosts. A name is not looked up to be compared with addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoProxy {
    all: bool,
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    host: Host,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    /// In small letters, without dots at its ends; never empty.
    Name(String),
    /// The first bits of an address.
    Network(IpAddr, u32),
}

impl NoProxy {
    /// Reads a list, and gives the entries that cannot be understood besides.
    pub fn parse(list: &str) -> (NoProxy, Vec<String>) {
        if list.trim_matches([' ', '\t']) == "*" {
            return (NoProxy { all: true, entries: Vec::new() }, Vec::new());
        }
        let (mut entries, mut wrong) = (Vec::new(), Vec::new());
        for text in list.split([',', ' ', '\t']).filter(|text| !text.is_empty()) {
            match entry(text) {
                Some(entry) => entries.push(entry),
                None => wrong.push(text.to_owned()),
            }
        }
        (NoProxy { all: false, entries }, wrong)
    }

    /// Whether `host` (a name, or an address without brackets) is reached directly.
    pub fn matches(&self, host: &str, port: u16) -> bool {
        if self.all {
            return true;
        }
        let address = host.parse::<IpAddr>().ok();
        let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let mut entries = self.entries.iter().filter(|entry| entry.port.is_none_or(|only| only == port));
        entries.any(|entry| match (&entry.host, address) {
            (Host::Network(network, bits), Some(address)) => is_within(address, *network, *bits),
            (Host::Name(suffix), None) => {
                let before = name.strip_suffix(suffix.as_str());
                before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
            }
            _ => false,
        })
    }
}

fn entry(text: &str) -> Option<Entry> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, rest) = rest.split_once(']')?;
        let address = address.parse().ok().filter(IpAddr::is_ipv6)?;
        if let Some(bits) = rest.strip_prefix('/') {
            return Some(Entry { host: Host::Network(address, prefix(address, bits)?), port: None });
        }
        let port = if rest.is_empty() { None } else { Some(port(rest.strip_prefix(':')?)?) };
        return Some(Entry { host: Host::Network(address, 128), port });
    }
    if let Some((address, bits)) = text.split_once('/') {
        let address = address.parse().ok()?;
        return Some(Entry { host: Host::Network(address, prefix(address, bits)?), port: None });
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(Entry { host: Host::Network(address, width(address)), port: None });
    }
    let (host, port) = match text.split_once(':') {
        Some((host, digits)) => (host, Some(port(digits)?)),
        None => (text, None),
    };
    if let Ok(address) = host.parse::<IpAddr>() {
        return Some(Entry { host: Host::Network(address, width(address)), port });
    }
    let name = host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host);
    let name = name.strip_prefix('.').unwrap_or(name);
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_name_byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    (!name.is_empty() && name.bytes().all(is_name_byte))
        .then(|| Entry { host: Host::Name(name.to_ascii_lowercase()), port })
}

fn width(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn prefix(address: IpAddr, digits: &str) -> Option<u32> {
    number(digits).filter(|bits| *bits <= width(address))
}

fn port(digits: &str) -> Option<u16> {
    number(digits).and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0)
}

/// Digits only: no sign.
fn number(digits: &str) -> Option<u32> {
    if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse().ok() } else { None }
}

/// Whether the first `bits` are the same; never across the families.
fn is_within(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    // All the bits shifted out leave nothing to differ.
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(n)) => {
            (a.to_bits() ^ n.to_bits()).checked_shr(32 - bits).unwrap_or_default() == 0
        }
        (IpAddr::V6(a), IpAddr::V6(n)) => {
            (a.to_bits() ^ n.to_bits()).checked_shr(128 - bits).unwrap_or_default() == 0
        }
        _ => false,
    }
}
