//! wspipe: WebSocket and MQTT over WebSocket for shell pipelines. The library behind the binary; no API is
//! promised to others.

pub mod cli;
pub mod config;
pub mod error;
mod logging;
pub mod mode;
pub mod net;
pub mod proto;
pub mod run;
pub mod serve;
pub mod sys;

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    io::Write,
    process::ExitCode,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use log::LevelFilter;

use crate::{
    cli::Invocation,
    config::{Config, Mode, Verbosity, Zone},
    error::Error,
    mode::World,
    run::{End, Look, Reporter},
    sys::{Output, Signals},
};

/// The whole program: arguments to exit status.
pub fn main() -> ExitCode {
    let invocation = match cli::parse_asking(
        std::env::args_os().skip(1),
        &|name| std::env::var_os(name),
        sys::ask_password,
    ) {
        Ok(invocation) => invocation,
        Err(error) => {
            // Before there is a logger, and never filtered by one.
            let _ = writeln!(std::io::stderr(), "wspipe: error: {error}");
            return ExitCode::from(error.exit_code());
        }
    };
    match invocation {
        Invocation::Print(text) => print(&text),
        Invocation::Run(config) => execute(&config),
    }
}

/// Help and version. A reader that has gone has seen enough.
fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            let _ = writeln!(std::io::stderr(), "wspipe: error: could not write stdout: {error}");
            ExitCode::from(23)
        }
        _ => ExitCode::SUCCESS,
    }
}

fn execute(config: &Config) -> ExitCode {
    logging::init(config.verbosity, normal_level(&config.mode));
    config.warnings.iter().for_each(|text| log::warn!("{text}"));
    match dispatch(config) {
        Ok(End::Done) => ExitCode::SUCCESS,
        Ok(End::Signal(signal)) => {
            Signals::die_of(signal);
            // Reached only where raising it failed: what a shell would have seen.
            ExitCode::from(u8::try_from(128 + signal).unwrap_or(u8::MAX))
        }
        Err(error) => {
            log::error!("{error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn dispatch(config: &Config) -> Result<End, Error> {
    let mode = &config.mode;
    let reporter = mode.report().map(|report| Reporter::new(report, look(config))).transpose()?;
    let mut signals = Signals::install().map_err(Error::Signals)?;
    let output = Output::stdout();
    match mode {
        Mode::Serve(options) => {
            let outcome = serve::run(options, &mut signals).map_err(Error::Serve)?;
            Ok(End::Signal(outcome.signal))
        }
        Mode::Echo(endpoint, _)
        | Mode::RoundTrip(endpoint, _)
        | Mode::Cat(endpoint, _)
        | Mode::Publish(endpoint, _)
        | Mode::Subscribe(endpoint, _)
        | Mode::Request(endpoint, _) => {
            let world = World {
                seed: random(),
                terminal: output.is_terminal(),
                stderr_terminal: Output::stderr().is_terminal(),
                last_byte: sys::last_byte_of_stdout(),
                started: now(),
                zone: local_zone,
            };
            let machine = mode::machine(mode, world);
            // Invariant: `machine` has one for every mode but `Serve`.
            let mut machine = machine.expect("a mode that connects has a machine");
            let output_by = mode
                .limit()
                .and_then(|limit| world.started.0.checked_add(limit)?.checked_add(endpoint.close_timeout));
            let outcome = run::run(endpoint, machine.as_mut(), output, output_by, &mut signals, world.seed);
            match (reporter, machine.tally()) {
                (Some(reporter), Some(tally)) => reporter.tell(&tally, outcome),
                _ => outcome,
            }
        }
    }
}

/// `info` where the milestones are the point.
fn normal_level(mode: &Mode) -> LevelFilter {
    match mode {
        Mode::Echo(..) | Mode::RoundTrip(..) | Mode::Serve(_) => LevelFilter::Info,
        Mode::Cat(..) | Mode::Publish(..) | Mode::Subscribe(..) | Mode::Request(..) => LevelFilter::Warn,
    }
}

/// How the person at stderr sees it, where there is one that wants to see more than errors.
fn look(config: &Config) -> Option<Look> {
    let stderr = Output::stderr();
    let seen = stderr.is_terminal() && config.verbosity != Verbosity::Quiet;
    seen.then(|| Look::new(stderr.columns(), &|name| std::env::var(name).ok()))
}

/// The zone that TZ or the system names.
fn local_zone() -> Zone {
    let tz = std::env::var("TZ").ok();
    Zone::local(tz.as_deref(), |path| Ok(std::fs::read(path)?))
}

/// This moment by both clocks.
fn now() -> (Instant, u64) {
    let micros = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    (Instant::now(), u64::try_from(micros).unwrap_or(u64::MAX))
}

/// Good enough for client ids and jitter; no secret depends on it.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
