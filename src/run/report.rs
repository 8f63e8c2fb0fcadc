//! What a test of round trips tells once it is over: the picture for a terminal, `--json` and `--plot`.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::End;
use crate::{
    config::Report,
    error::Error,
    proto::{
        histogram::{self, Look},
        plot,
        tally::{Tally, to_json},
    },
    sys::{self, Output, PollFd, PollFlags},
};

/// How long stdout may take nothing of `--json`.
const STALL: Duration = Duration::from_secs(5);

/// What is to be told, and where.
pub struct Reporter {
    json: bool,
    look: Option<Look>,
    plot: Option<PathBuf>,
}

impl Reporter {
    /// Before the test: what it measures would be lost where `--plot`'s file cannot be written. `look`: what a
    /// person at stderr sees.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn new(report: &Report, look: Option<Look>) -> Result<Reporter, Error> {
        let plot = report.plot.as_deref().map(|path| target(path).map_err(|error| failed(path, error)));
        Ok(Reporter { json: report.json, look: look.filter(|_| !report.json), plot: plot.transpose()? })
    }

    /// Tells it. What went wrong before goes before what goes wrong here.
    ///
    /// # Errors
    /// That of the test; or what is asked for could not be written.
    pub fn tell(&self, tally: &Tally<'_>, outcome: Result<End, Error>) -> Result<End, Error> {
        if let Some(picture) = self.look.and_then(|look| histogram::picture(tally.latency, look)) {
            // A terminal that takes nothing misses it.
            let _ = Output::stderr().write(picture.as_bytes());
        }
        let plotted = self.plot.as_deref().map(|path| {
            let drawn = tally.timeline.map(|timeline| plot::draw(tally, timeline)).unwrap_or_default();
            replace(path, drawn.as_bytes()).map_err(|error| failed(path, error))
        });
        let outcome = worst(outcome, plotted.unwrap_or(Ok(())));
        if !self.json {
            return outcome;
        }
        let (status, error) = match &outcome {
            Ok(End::Done) => (0, None),
            Ok(End::Signal(signal)) => (u8::try_from(128 + signal).unwrap_or(u8::MAX), None),
            Err(error) => (error.exit_code(), Some(error.to_string())),
        };
        let written = print(&to_json(tally, status, error.as_deref()));
        worst(outcome, written.map_err(Error::Stdout))
    }
}

/// The status is that of the first failure; a second one is at least said.
fn worst(outcome: Result<End, Error>, then: Result<(), Error>) -> Result<End, Error> {
    match (outcome, then) {
        (Ok(End::Done), Err(error)) => Err(error),
        (outcome, Err(error)) => {
            log::error!("{error}");
            outcome
        }
        (outcome, Ok(())) => outcome,
    }
}

fn failed(path: &Path, error: io::Error) -> Error {
    Error::Plot(path.to_owned(), error)
}

/// The file that `path` names, behind symbolic links, and that it can be made or replaced.
fn target(path: &Path) -> io::Result<PathBuf> {
    let target = match fs::metadata(path) {
        Ok(found) if !found.is_file() => return Err(io::Error::other("it is there, and no regular file")),
        Ok(_) => {
            // A file that may not be written is not to be replaced either.
            OpenOptions::new().write(true).open(path)?;
            path.canonicalize()?
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(error),
    };
    let beside = beside(&target)?;
    OpenOptions::new().write(true).create_new(true).open(&beside)?;
    fs::remove_file(&beside)?;
    Ok(target)
}

/// The name under which it is written at first.
fn beside(target: &Path) -> io::Result<PathBuf> {
    let name = target.file_name().ok_or_else(|| io::Error::other("it is no name of a file"))?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}", std::process::id()));
    Ok(target.with_file_name(hidden))
}

/// Writes the file beside the target and renames it: nobody sees half of it.
fn replace(target: &Path, content: &[u8]) -> io::Result<()> {
    let beside = beside(target)?;
    let mut file = OpenOptions::new().write(true).create_new(true).open(&beside)?;
    let done = file.write_all(content).and_then(|()| fs::rename(&beside, target));
    if done.is_err() {
        // The first error is the one to be told.
        let _ = fs::remove_file(&beside);
    }
    done
}

/// All of it to stdout. A reader that has gone has seen enough.
fn print(text: &str) -> io::Result<()> {
    let (mut output, mut rest) = (Output::stdout(), text.as_bytes());
    let by = Instant::now() + STALL;
    while !rest.is_empty() {
        match output.write(rest) {
            Ok(0) => {
                let left = by.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                sys::poll(&mut [PollFd::new(&output, PollFlags::OUT)], Some(left))?;
            }
            Ok(n) => rest = &rest[n..],
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
