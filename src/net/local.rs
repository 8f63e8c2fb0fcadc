//! A Unix socket in place of TCP (`--unix-socket`).

use std::{
    io,
    net::TcpStream,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::{
    io::{Errno, FdFlags, fcntl_setfd, ioctl_fionbio},
    net::{AddressFamily, SocketAddrUnix, SocketType, connect, getpeername, socket},
};

use super::{error::Error, stream::error_text};
use crate::proto::format::escape;

/// How often a socket with a full queue is asked again: no poll(2) tells when there is room.
const RETRY: Duration = Duration::from_millis(20);

/// An attempt to connect.
pub(super) struct Local {
    path: PathBuf,
    next_at: Instant,
}

impl Local {
    pub(super) fn new(path: &Path, now: Instant) -> Local {
        log::debug!("connecting to unix:{}", escape(path.as_os_str().as_encoded_bytes()));
        Local { path: path.to_owned(), next_at: now }
    }

    /// The connection; none while the socket's queue is full.
    pub(super) fn advance(&mut self, now: Instant) -> Result<Option<TcpStream>, Error> {
        if now < self.next_at {
            return Ok(None);
        }
        match start(&self.path) {
            // What is done with the stream from here on (read, write, poll, shutdown) any stream socket knows.
            Ok(fd) => Ok(Some(TcpStream::from(fd))),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.next_at = now + RETRY;
                Ok(None)
            }
            Err(error) => Err(Error::UnixSocket { path: self.path.clone(), why: error_text(&error) }),
        }
    }

    pub(super) fn wake_at(&self) -> Instant {
        self.next_at
    }
}

fn start(path: &Path) -> io::Result<OwnedFd> {
    let address = SocketAddrUnix::new(path)?;
    let fd = socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    fcntl_setfd(&fd, FdFlags::CLOEXEC)?;
    ioctl_fionbio(&fd, true)?;
    loop {
        match connect(&fd, &address) {
            Ok(()) | Err(Errno::ISCONN) => return Ok(fd),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// `unix:PATH`, where the other end of the socket has a path.
pub(super) fn peer(socket: impl AsFd) -> Option<String> {
    let address = SocketAddrUnix::try_from(getpeername(socket).ok()??).ok()?;
    Some(format!("unix:{}", escape(address.path()?.to_bytes())))
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::net::UnixListener,
        sync::atomic::{AtomicU32, Ordering},
    };

    use super::*;
    use crate::net::stream::Stream;

    fn path() -> PathBuf {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("wspipe-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        std::env::temp_dir().join(name)
    }

    #[test]
    fn a_connection_and_its_name() {
        let path = path();
        let listener = UnixListener::bind(&path).unwrap();
        let now = Instant::now();
        let stream = Local::new(&path, now).advance(now).unwrap().expect("there is room");
        assert_eq!(Stream::plain(stream).peer(), format!("unix:{}", path.display()));
        drop(listener);
        let error = Local::new(&path, now).advance(now).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("could not connect to unix:{}: Connection refused", path.display())
        );
        fs::remove_file(&path).unwrap();
        let error = Local::new(&path, now).advance(now).unwrap_err();
        assert!(error.to_string().ends_with("No such file or directory"), "{error}");
        assert_eq!(error.status(), 7);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_queue_is_asked_again() {
        let path = path();
        let listener = UnixListener::bind(&path).unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let now = Instant::now();
        let mut queued = Vec::new();
        let mut local = Local::new(&path, now);
        while let Some(stream) = local.advance(now).unwrap() {
            queued.push(stream);
        }
        assert_eq!(local.wake_at(), now + RETRY);
        drop(listener.accept().unwrap());
        assert!(local.advance(now).unwrap().is_none(), "it is not time yet");
        assert!(local.advance(now + RETRY).unwrap().is_some());
        fs::remove_file(&path).unwrap();
    }
}
