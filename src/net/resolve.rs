//! From a host to addresses, in the order in which to try them.

use std::{
    io::{self, Read},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    thread::{self, JoinHandle},
};

type Answer = Result<Vec<SocketAddr>, String>;

/// A lookup under way. Dropping it abandons the lookup: getaddrinfo(3) cannot be cancelled, so it runs in a
/// thread of its own that nobody waits for.
pub(crate) struct Lookup {
    thread: Option<JoinHandle<Answer>>,
    wake: UnixStream,
}

/// Addresses at once, or a lookup to wait for.
pub(crate) enum Resolved {
    Now(Vec<SocketAddr>),
    Later(Lookup),
}

/// Resolves `host`: literals and localhost (RFC 6761 section 6.3) without a lookup.
pub(crate) fn resolve(host: &str, port: u16) -> Result<Resolved, String> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(Resolved::Now(vec![SocketAddr::new(address, port)]));
    }
    if is_localhost(host) {
        let both = [IpAddr::V6(Ipv6Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::LOCALHOST)];
        return Ok(Resolved::Now(both.map(|address| SocketAddr::new(address, port)).to_vec()));
    }
    log::debug!("looking up {host}");
    let host = host.to_owned();
    Lookup::start(move || (host.as_str(), port).to_socket_addrs().map(Iterator::collect))
        .map(Resolved::Later)
        .map_err(|error| error.to_string())
}

fn is_localhost(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let last = host.rsplit('.').next().unwrap_or(host);
    last.eq_ignore_ascii_case("localhost")
}

impl Lookup {
    fn start(lookup: impl FnOnce() -> io::Result<Vec<SocketAddr>> + Send + 'static) -> io::Result<Lookup> {
        let (wake, hold) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        let thread = thread::Builder::new().name(String::from("resolve")).spawn(move || {
            // Its end of stream wakes the loop, whatever happens here.
            let _hold = hold;
            lookup().map_err(|error| lookup_text(&error))
        })?;
        Ok(Lookup { thread: Some(thread), wake })
    }

    /// The answer, if it is there.
    pub(crate) fn take(&mut self) -> Option<Answer> {
        // At the end of the stream the thread has nothing left to do but to end.
        let Ok(0) = self.wake.read(&mut [0; 8]) else { return None };
        Some(match self.thread.take()?.join() {
            Ok(Ok(addresses)) if addresses.is_empty() => Err(String::from("no addresses")),
            Ok(Ok(addresses)) => Ok(interleave(addresses)),
            Ok(Err(why)) => Err(why),
            Err(_) => Err(String::from("the lookup failed")),
        })
    }
}

impl AsFd for Lookup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

/// What the resolver said, without the standard library's preamble.
fn lookup_text(error: &io::Error) -> String {
    let text = super::stream::error_text(error);
    text.strip_prefix("failed to lookup address information: ").map(str::to_owned).unwrap_or(text)
}

/// Takes the families in turns, IPv6 first, each in the resolver's order (RFC 8305 section 4).
fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let mut v6 = addresses.iter().filter(|address| address.is_ipv6());
    let mut v4 = addresses.iter().filter(|address| address.is_ipv4());
    let mut ordered = Vec::with_capacity(addresses.len());
    loop {
        let pair = [v6.next(), v4.next()];
        if pair == [None, None] {
            return ordered;
        }
        ordered.extend(pair.into_iter().flatten().copied());
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc::channel, time::Duration};

    use super::*;
    use crate::sys::{PollFd, PollFlags, poll};

    fn now(host: &str) -> Vec<String> {
        match resolve(host, 80) {
            Ok(Resolved::Now(addresses)) => addresses.iter().map(ToString::to_string).collect(),
            _ => panic!("{host} needs a lookup"),
        }
    }

    fn parse(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|address| address.parse().unwrap()).collect()
    }

    #[test]
    fn without_a_lookup() {
        assert_eq!(now("192.0.2.1"), ["192.0.2.1:80"]);
        assert_eq!(now("2001:db8::1"), ["[2001:db8::1]:80"]);
        for name in ["localhost", "LOCALHOST.", "a.localhost"] {
            assert_eq!(now(name), ["[::1]:80", "127.0.0.1:80"]);
        }
        assert!(!is_localhost("localhost.example.org"));
        assert!(!is_localhost("notlocalhost"));
    }

    #[test]
    fn families_in_turns() {
        let given = parse(&["192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1", "[2001:db8::1]:1"]);
        let expected = parse(&["[2001:db8::1]:1", "192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1"]);
        assert_eq!(interleave(given), expected);
    }

    #[test]
    fn the_answer_wakes_poll() {
        let (go, wait) = channel::<()>();
        let mut lookup = Lookup::start(move || {
            let _ = wait.recv();
            Ok(parse(&["192.0.2.1:1", "[2001:db8::1]:1"]))
        })
        .unwrap();
        assert_eq!(lookup.take(), None);
        go.send(()).unwrap();
        let mut fds = [PollFd::new(&lookup, PollFlags::IN)];
        poll(&mut fds, Some(Duration::from_secs(20))).unwrap();
        assert!(!fds[0].revents().is_empty());
        assert_eq!(lookup.take(), Some(Ok(parse(&["[2001:db8::1]:1", "192.0.2.1:1"]))));

        let mut lookup = Lookup::start(|| Ok(Vec::new())).unwrap();
        let mut fds = [PollFd::new(&lookup, PollFlags::IN)];
        poll(&mut fds, Some(Duration::from_secs(20))).unwrap();
        assert_eq!(lookup.take(), Some(Err(String::from("no addresses"))));
    }

    #[test]
    fn a_name_that_cannot_exist() {
        // "invalid" is reserved (RFC 6761 section 6.4); the texts are the system's own.
        let Ok(Resolved::Later(mut lookup)) = resolve("a b.invalid", 80) else { panic!("no lookup") };
        let mut fds = [PollFd::new(&lookup, PollFlags::IN)];
        poll(&mut fds, Some(Duration::from_secs(60))).unwrap();
        let why = lookup.take().unwrap().unwrap_err();
        assert!(!why.is_empty() && !why.contains("failed to lookup"), "{why}");
    }
}
