//! SIGINT and SIGTERM as something that poll(2) sees.

use std::{
    io::{self, Read},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use signal_hook::{consts::signal, flag, low_level};

/// Catches SIGINT and SIGTERM for the rest of the process.
pub struct Signals {
    wake: UnixStream,
    last: Arc<AtomicUsize>,
}

/// The default action of SIGINT and SIGTERM, once [`Signals::let_go`] has let go of them.
static UNWATCHED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

impl Signals {
    /// Gives the two signals their default action back until the next `install`.
    pub fn let_go(self) -> io::Result<()> {
        let unwatched = match UNWATCHED.get() {
            Some(unwatched) => Arc::clone(unwatched),
            None => {
                let unwatched = Arc::new(AtomicBool::new(false));
                for number in [signal::SIGINT, signal::SIGTERM] {
                    flag::register_conditional_default(number, Arc::clone(&unwatched))?;
                }
                Arc::clone(UNWATCHED.get_or_init(|| unwatched))
            }
        };
        unwatched.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// Installs the handlers. From here on the two signals do not end the process.
    pub fn install() -> io::Result<Signals> {
        if let Some(unwatched) = UNWATCHED.get() {
            unwatched.store(false, Ordering::SeqCst);
        }
        let (wake, handler) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        handler.set_nonblocking(true)?;
        let last = Arc::new(AtomicUsize::new(0));
        for number in [signal::SIGINT, signal::SIGTERM] {
            // The flag first: when the pipe is readable the number is there.
            flag::register_usize(number, Arc::clone(&last), number as usize)?;
            low_level::pipe::register(number, handler.try_clone()?)?;
        }
        // A write beyond the limit of file sizes is then an error like any other.
        flag::register(signal::SIGXFSZ, Arc::new(AtomicBool::new(false)))?;
        Ok(Signals { wake, last })
    }

    /// The signal that has come since the last call, SIGINT or SIGTERM by number; of several the last.
    pub fn take(&mut self) -> Option<i32> {
        let mut drain = [0; 64];
        while matches!(self.wake.read(&mut drain), Ok(n) if n > 0) {}
        match self.last.swap(0, Ordering::Relaxed) {
            0 => None,
            number => i32::try_from(number).ok(),
        }
    }

    /// Restores the default action of `signal` and raises it, so that the parent sees how we ended.
    /// Returns only where that fails.
    pub fn die_of(signal: i32) {
        let _ = low_level::emulate_default_handler(signal);
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}
