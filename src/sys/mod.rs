//! The operating system: poll(2), signals, the standard streams. Nothing here knows a protocol.

mod input;
mod prompt;
mod signals;
mod streams;

pub use input::Input;
pub use prompt::ask_password;
pub use rustix::event::{PollFd, PollFlags};
pub use signals::Signals;
pub use streams::{LogSink, Output, last_byte_of_stdout};

use std::{io, time::Duration};

use rustix::{event, io::Errno};

/// The longest wait at once: where there is no ppoll(2), as on macOS, 25 days of milliseconds do not fit.
const LONGEST: Duration = Duration::from_secs(86_400);

/// Waits until one of `fds` is ready or `timeout` has passed; none waits for ever. A signal, or a very long
/// timeout, ends the wait early with no descriptor ready: callers look at everything after each call anyway.
pub fn poll(fds: &mut [PollFd<'_>], timeout: Option<Duration>) -> io::Result<()> {
    let limit = timeout.and_then(|t| event::Timespec::try_from(t.min(LONGEST)).ok());
    match event::poll(fds, limit.as_ref()) {
        Ok(_) => Ok(()),
        Err(Errno::INTR) => {
            fds.iter_mut().for_each(PollFd::clear_revents);
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}
