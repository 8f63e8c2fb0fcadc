//! The log lines on stderr: env_logger's filter and levels, our own target, our own line.

use std::io::Write;

use env_logger::{Builder, Target};
use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::{config::Verbosity, sys};

/// Only our own lines come through, whatever RUST_LOG says: tungstenite's trace lines hold whole requests
/// and payloads, and so every secret in them.
struct Own(env_logger::Logger);

fn is_ours(target: &str) -> bool {
    target == "wspipe" || target.starts_with("wspipe::")
}

impl Log for Own {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        is_ours(metadata.target()) && self.0.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if is_ours(record.target()) {
            self.0.log(record);
        }
    }

    fn flush(&self) {}
}

/// Whether RUST_LOG has a level for all or for us. One that speaks of other programs only, set for a whole
/// shell, must not take away the line that tells of a failure.
fn concerns_us(spec: &str) -> bool {
    let directives = spec.split('/').next().unwrap_or_default().split(',');
    let mut names = directives.map(|directive| directive.split('=').next().unwrap_or_default().trim());
    names.any(|name| is_ours(name) || name.parse::<LevelFilter>().is_ok())
}

/// Starts logging. `normal` is the level of the command; `-d` and `--quiet` override it, and RUST_LOG
/// where it is set overrides all.
pub fn init(verbosity: Verbosity, normal: LevelFilter) {
    let level = match verbosity {
        Verbosity::Quiet => LevelFilter::Error,
        Verbosity::Normal => normal,
        Verbosity::Debug => LevelFilter::Debug,
        Verbosity::Trace => LevelFilter::Trace,
    };
    let mut builder = Builder::new();
    builder.filter_level(level);
    if std::env::var("RUST_LOG").is_ok_and(|spec| concerns_us(&spec)) {
        builder.parse_default_env();
    }
    builder.target(Target::Pipe(Box::new(sys::LogSink::stderr())));
    builder.format(|out, record| {
        let kind = match record.level() {
            Level::Error => "error: ",
            Level::Warn => "warning: ",
            Level::Info => "",
            Level::Debug => "debug: ",
            Level::Trace => "trace: ",
        };
        writeln!(out, "wspipe: {kind}{}", record.args())
    });
    let logger = builder.build();
    let filter = logger.filter();
    // A second logger in one process is a bug of ours, and a harmless one.
    if log::set_boxed_logger(Box::new(Own(logger))).is_ok() {
        log::set_max_level(filter);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rust_log_of_other_programs_is_not_ours() {
        for spec in
            ["debug", "OFF", "myapp=debug,info", "wspipe=trace", "wspipe::net", "warn/regex", " info "]
        {
            assert!(concerns_us(spec), "{spec}");
        }
        for spec in ["", "myapp=debug", "myapp", "wspiped=info", "a=info,b=off", "x/debug"] {
            assert!(!concerns_us(spec), "{spec}");
        }
    }
}
