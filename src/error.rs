//! One error enum a layer, wrapped here; exit status and hint are pure functions of it.

use std::{fmt, io, path::PathBuf};

use crate::{
    mode::{Failure, Kind},
    net, serve,
};

/// Why a run failed.
#[derive(Debug)]
pub enum Error {
    /// The network: no connection came to be.
    Net(net::Error),
    /// The command's own verdict.
    Mode(Failure),
    /// The echo server.
    Serve(serve::Error),
    /// stdout could not be written.
    Stdout(io::Error),
    /// The signal handlers could not be installed.
    Signals(io::Error),
    /// What `--ready` names could not be written.
    Ready(io::Error),
    /// The file of `--plot` cannot be written.
    Plot(PathBuf, io::Error),
    /// poll(2) failed.
    Poll(io::Error),
}

impl Error {
    /// The exit status (README, "Exit status").
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Net(error) => error.status(),
            Error::Mode(failure) => status(failure.kind),
            Error::Serve(error) => error.status(),
            Error::Stdout(_) | Error::Ready(_) | Error::Plot(..) => 23,
            Error::Signals(_) | Error::Poll(_) => 1,
        }
    }

    /// The option that helps, where there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Net(error) => error.hint(),
            _ => None,
        }
    }
}

fn status(kind: Kind) -> u8 {
    match kind {
        Kind::TestFailed => 1,
        Kind::Unreachable => 7,
        Kind::Protocol => 8,
        Kind::Denied => 9,
        Kind::Ended => 10,
        Kind::TimedOut => 28,
        Kind::Tls => 35,
        Kind::Unconfirmed => 55,
        Kind::Lost => 56,
        Kind::Refused => 23,
        Kind::Input => 26,
        Kind::TooLarge => 63,
        Kind::Login => 67,
    }
}

/// One line: what was being done, to which host, what came back, and the option that helps.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Net(error) => write!(f, "{error}")?,
            Error::Mode(failure) => write!(f, "{}", failure.text)?,
            Error::Serve(error) => write!(f, "{error}")?,
            Error::Stdout(error) => write!(f, "could not write stdout: {error}")?,
            Error::Ready(error) => write!(f, "--ready: could not be written: {error}")?,
            Error::Signals(error) => write!(f, "could not install the signal handlers: {error}")?,
            // Quoted and escaped by std: a name may hold anything.
            Error::Plot(path, error) => write!(f, "--plot {path:?}: could not be written: {error}")?,
            Error::Poll(error) => write!(f, "poll failed: {error}")?,
        }
        match self.hint() {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}
