//! Listening on every address of a host, with one port number for all.

use std::{
    io,
    net::{IpAddr, SocketAddr, TcpListener},
    os::fd::BorrowedFd,
    time::{Duration, Instant},
};

use rustix::io::Errno;

use super::Error;
use crate::{
    net::{self, resolve::Resolved},
    sys::{self, PollFd, PollFlags},
};

/// How often a port chosen by the operating system for one family may be taken in the other.
const PORT_ATTEMPTS: usize = 32;

/// The longest wait for the resolver.
const LOOKUP_TIME: Duration = Duration::from_secs(30);

/// The addresses of a host name or literal. None: `wake` was readable before the resolver had answered.
pub fn resolve(host: &str, wake: Option<BorrowedFd<'_>>) -> Result<Option<Vec<IpAddr>>, Error> {
    let failed = |error| Error::Resolve { host: host.to_owned(), error };
    let mut lookup = match net::resolve::resolve(host, 0).map_err(failed)? {
        Resolved::Now(found) => return Ok(Some(ips(&found))),
        Resolved::Later(lookup) => lookup,
    };
    let end = Instant::now() + LOOKUP_TIME;
    loop {
        if let Some(answer) = lookup.take() {
            return answer.map(|found| Some(ips(&found))).map_err(failed);
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(failed(format!("timed out after {} s", LOOKUP_TIME.as_secs())));
        }
        let mut set = vec![PollFd::new(&lookup, PollFlags::IN)];
        set.extend(wake.map(|wake| PollFd::from_borrowed_fd(wake, PollFlags::IN)));
        sys::poll(&mut set, Some(left)).map_err(Error::Poll)?;
        if set.get(1).is_some_and(|wake| !wake.revents().is_empty()) {
            return Ok(None);
        }
    }
}

fn ips(found: &[SocketAddr]) -> Vec<IpAddr> {
    found.iter().map(SocketAddr::ip).collect()
}

/// Opens a non-blocking listening socket on every address, all with the same port, and returns them with that
/// port. With port 0 the operating system chooses it.
///
/// An address family that this machine does not have is passed over as long as one address is left. A port
/// in use on one of the addresses is an error: clients would reach two servers by one name.
pub fn bind(hosts: &[IpAddr], port: u16) -> Result<(Vec<TcpListener>, u16), Error> {
    let mut attempt = 1;
    loop {
        match bind_all(hosts, port) {
            Ok(bound) => return Ok(bound),
            // Another program has the number that we were given, in the other family: ask for the next.
            Err((_, error))
                if port == 0 && attempt < PORT_ATTEMPTS && error.kind() == io::ErrorKind::AddrInUse =>
            {
                attempt += 1;
            }
            Err((address, error)) => return Err(Error::Listen { address, error }),
        }
    }
}

/// One attempt. The error names the address that failed.
fn bind_all(hosts: &[IpAddr], port: u16) -> Result<(Vec<TcpListener>, u16), (SocketAddr, io::Error)> {
    let mut port = port;
    let mut listeners = Vec::new();
    let mut missing = None;
    for &host in hosts {
        let address = SocketAddr::new(host, port);
        match listener(address) {
            Ok((listener, chosen)) => {
                port = chosen;
                listeners.push(listener);
            }
            Err(error) if is_missing_here(&error) => missing = missing.or(Some((address, error))),
            Err(error) => return Err((address, error)),
        }
    }
    match missing {
        Some(failed) if listeners.is_empty() => Err(failed),
        _ => Ok((listeners, port)),
    }
}

/// SO_REUSEADDR, without which our own closed connections would hold the port, is std's default on Unix.
fn listener(address: SocketAddr) -> io::Result<(TcpListener, u16)> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let port = listener.local_addr()?.port();
    Ok((listener, port))
}

/// The address, or its whole family, does not exist on this machine.
fn is_missing_here(error: &io::Error) -> bool {
    [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL].iter().any(|e| error.raw_os_error() == Some(e.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn localhost() -> Vec<IpAddr> {
        resolve("localhost", None).unwrap().unwrap()
    }

    #[test]
    fn localhost_listens_on_loopback_only_with_one_port() {
        let (listeners, port) = bind(&localhost(), 0).unwrap();
        assert_ne!(port, 0);
        assert!(!listeners.is_empty());
        for listener in &listeners {
            let address = listener.local_addr().unwrap();
            assert!(address.ip().is_loopback(), "{address}");
            assert_eq!(address.port(), port);
        }
    }

    #[test]
    fn a_port_in_use_in_one_family_is_an_error_that_names_the_address() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let error = bind(&localhost(), address.port()).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with(&format!("could not listen on {address}: Address")), "{text}");
        assert!(text.contains("another port"), "{text}");
        assert_eq!(error.status(), 7);
    }

    #[test]
    fn an_address_of_another_machine_is_an_error() {
        // 192.0.2.0/24 is for documentation (RFC 5737): no machine has it.
        let error = bind(&["192.0.2.1".parse().unwrap()], 0).unwrap_err();
        assert!(matches!(error, Error::Listen { .. }), "{error:?}");
    }

    #[test]
    fn a_missing_family_leaves_the_other() {
        let elsewhere = "192.0.2.1".parse().unwrap();
        let (listeners, port) = bind(&[elsewhere, Ipv4Addr::LOCALHOST.into()], 0).unwrap();
        assert_eq!(listeners.len(), 1);
        assert_eq!(listeners[0].local_addr().unwrap(), SocketAddr::from(([127, 0, 0, 1], port)));
    }

    #[test]
    fn a_literal_is_itself() {
        assert_eq!(resolve("0.0.0.0", None).unwrap().unwrap(), [IpAddr::from(Ipv4Addr::UNSPECIFIED)]);
    }
}
