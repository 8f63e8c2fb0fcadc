//! The way to the server: `-4`, `-6`, `--resolve`, `--connect-to`, `--unix-socket`, `--bind`.

use std::os::unix::net::SocketAddr;

use super::given;
use crate::{
    cli::{
        error::{UsageError, shown, shown_os},
        low::LowArgs,
    },
    config::route::{self, ConnectTo, Family, Resolve, Route},
};

/// # Errors
/// A part that is none, and options that contradict each other.
pub fn route(low: &LowArgs) -> Result<Route, UsageError> {
    let low = &low.route;
    let asked = match (low.ipv4, low.ipv6) {
        (true, true) => return Err(UsageError::new("-4 and -6 contradict each other: say one of them")),
        (true, false) => Some((Family::V4, "-4/--ipv4")),
        (false, true) => Some((Family::V6, "-6/--ipv6")),
        (false, false) => None,
    };
    let bind = low.bind.as_deref().map(|text| {
        route::address(text)
            .map_err(|_| UsageError::new(format_args!("--bind takes an IP address, not {}", shown(text))))
    });
    let bind = bind.transpose()?;
    if let (Some((family, option)), Some(address)) = (asked, bind) {
        if Family::of(address) != family {
            let name = Family::of(address).name();
            return Err(UsageError::new(format_args!(
                "{option} and --bind {address} contradict each other: that is an {name} address"
            )));
        }
    }
    let mut resolve = Vec::new();
    for text in &low.resolve {
        let rule = Resolve::parse(text);
        let wrong = |why| UsageError::new(format_args!("--resolve {}: {why}", shown(text)));
        resolve.push(rule.map_err(wrong)?);
    }
    let mut connect_to = Vec::new();
    for text in &low.connect_to {
        let rule = ConnectTo::parse(text);
        let wrong = |why| UsageError::new(format_args!("--connect-to {}: {why}", shown(text)));
        connect_to.push(rule.map_err(wrong)?);
    }
    let unix_socket = low.unix_socket.clone();
    if let Some(path) = &unix_socket {
        let instead = given(&[
            (bind.is_some(), "--bind"),
            (asked.is_some(), "-4 and -6"),
            (!low.resolve.is_empty(), "--resolve"),
            (!low.connect_to.is_empty(), "--connect-to"),
        ]);
        if let Some(what) = instead.first() {
            return Err(UsageError::new(format_args!(
                "--unix-socket goes without {what}: nothing is looked up"
            )));
        }
        SocketAddr::from_pathname(path)
            .map_err(|why| UsageError::new(format_args!("--unix-socket {}: {why}", shown_os(path))))?;
    }
    let family = asked.map(|(family, _)| family).or(bind.map(Family::of));
    Ok(Route { family, resolve, connect_to, unix_socket, bind })
}
