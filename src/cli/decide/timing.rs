//! `--timing` and the format of its line.

use crate::{
    cli::{command::Command, error::UsageError, low::LowArgs, value::Timing},
    config::TimingFormat,
};

/// The format is --json's where --timing has none. That of `cat` and `pub` is for
/// it alone; that of the others says what stands on stdout, and may stand alone.
///
/// # Errors
/// --json with nothing to tell, or against --timing=text.
pub fn timing(low: &LowArgs) -> Result<Option<TimingFormat>, UsageError> {
    let json = low.client.json;
    let own = !matches!(low.command, Command::Cat | Command::Pub);
    match low.timing {
        None if json && low.command == Command::Pub => {
            Err(UsageError::new("--json needs --timing (lines of JSON to publish are --in json)"))
        }
        None if json && !own => Err(UsageError::new("--json needs --timing: it says how that is told")),
        None => Ok(None),
        Some(Timing(Some(TimingFormat::Text))) if json && !own => {
            Err(UsageError::new("--timing=text and --json contradict each other: say one of them"))
        }
        Some(Timing(format)) => {
            Ok(format.or(Some(if json { TimingFormat::Json } else { TimingFormat::Text })))
        }
    }
}
