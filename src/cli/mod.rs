//! Arguments: typed text -> `LowArgs` (as typed) -> [`Config`] (decided), the help, and what is generated.
//!
//! ```text
//! arguments -> rewrite (one pass over the table of flags) -> low (pico-args) -> decide -> Config
//! ```

use std::ffi::OsString;

use crate::config::Config;

mod command;
mod decide;
mod error;
mod flags;
mod generate;
mod help;
mod low;
mod property;
mod rewrite;
mod set;
mod suggest;
mod table;
#[cfg(test)]
mod tests;
mod value;

pub use self::{command::Command, error::UsageError, low::Ask};

use self::{low::LowArgs, rewrite::Rewritten};

/// What the arguments ask for.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // one a process
pub enum Invocation {
    /// A run.
    Run(Config),
    /// Text for stdout and status 0: the help, the version, what is generated. It ends with a newline.
    Print(String),
}

/// Reads the arguments after the program's name. `env` looks up a variable of the environment.
///
/// # Errors
/// What is wrong with them, in one line, with its exit status (2; 26 and 77 for a file that cannot be
/// read).
pub fn parse(
    args: impl Iterator<Item = OsString>,
    env: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Invocation, UsageError> {
    parse_with(args, env, None)
}

/// The same with somebody to `ask` for a password.
///
/// # Errors
/// As [`parse`], and why nobody could be asked.
pub fn parse_asking(
    args: impl Iterator<Item = OsString>,
    env: &dyn Fn(&str) -> Option<OsString>,
    ask: Ask,
) -> Result<Invocation, UsageError> {
    parse_with(args, env, Some(ask))
}

fn parse_with(
    args: impl Iterator<Item = OsString>,
    env: &dyn Fn(&str) -> Option<OsString>,
    ask: Option<Ask>,
) -> Result<Invocation, UsageError> {
    let mut args = args;
    let Some(first) = args.next() else {
        return Err(UsageError::new(format_args!(
            "usage: wspipe COMMAND [OPTIONS] [URL]; commands: {}; see 'wspipe --help'",
            suggest::command_names()
        )));
    };
    let first = first.to_string_lossy();
    let rest: Vec<OsString> = args.collect();
    if let Some(command) = Command::from_name(&first) {
        return run(command, rest, env, ask);
    }
    match &*first {
        "-V" | "--version" if rest.is_empty() => Ok(Invocation::Print(help::version())),
        "-h" if rest.is_empty() => Ok(Invocation::Print(help::overview())),
        "--help" | "help" => help_of(&rest).map(Invocation::Print),
        "--generate" => {
            let kinds: Vec<String> = rest.iter().map(|kind| kind.to_string_lossy().into_owned()).collect();
            generate::generate(&kinds).map(Invocation::Print)
        }
        "-h" | "-V" | "--version" => Err(UsageError::new(format_args!("{first} stands alone"))),
        first => match first.strip_prefix("--generate=") {
            Some(kind) if rest.is_empty() => generate::generate(&[kind.to_owned()]).map(Invocation::Print),
            _ => Err(suggest::unknown_command(first)),
        },
    }
}

fn run(
    command: Command,
    args: Vec<OsString>,
    env: &dyn Fn(&str) -> Option<OsString>,
    ask: Option<Ask>,
) -> Result<Invocation, UsageError> {
    // mosquitto's -h takes a host: only alone it can be nothing but a question.
    if args.len() == 1 && args[0] == "-h" {
        return Ok(Invocation::Print(help::of(command, help::Length::Short)));
    }
    match rewrite::rewrite(command, args)? {
        Rewritten::Help => Ok(Invocation::Print(help::of(command, help::Length::Short))),
        Rewritten::Arguments(args) => {
            let mut low = LowArgs::extract(command, args)?;
            low.ask = ask;
            decide::decide(&low, env).map(Invocation::Run)
        }
    }
}

/// `wspipe help [COMMAND]`.
fn help_of(rest: &[OsString]) -> Result<String, UsageError> {
    let Some(name) = rest.first() else {
        return Ok(help::overview());
    };
    if rest.len() > 1 {
        return Err(UsageError::new("help is about one command, as in: wspipe help echo"));
    }
    let name = name.to_string_lossy();
    if matches!(&*name, "help" | "--help" | "-h") {
        return Ok(help::overview());
    }
    match Command::from_name(&name) {
        Some(command) => Ok(help::of(command, help::Length::Long)),
        None => Err(suggest::unknown_command(&name)),
    }
}
