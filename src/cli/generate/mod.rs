//! `wspipe --generate KIND`: the man page and the shells' completions, made from the table of flags.

use super::{
    command::Command,
    error::{UsageError, shown},
    flags::{self, Flag},
    help::push,
    property,
    set::{CLIENTS, MQTTS},
    suggest,
};

mod bash;
mod fish;
mod man;
mod zsh;

#[cfg(test)]
mod tests;

/// A name behind `--generate`, and what makes its text.
type Kind = (&'static str, fn() -> String);

/// What can be made.
const KINDS: [Kind; 4] = [
    ("man", man::page),
    ("complete-bash", bash::script),
    ("complete-zsh", zsh::script),
    ("complete-fish", fish::script),
];

/// What may stand first on the command line, besides the commands.
const FIRST: [&str; 4] = ["help", "--generate", "--help", "--version"];

/// The text of a kind: what stands behind `--generate`.
///
/// # Errors
/// Anything but one known kind, with those that are.
pub fn generate(kinds: &[String]) -> Result<String, UsageError> {
    let known = KINDS.map(|(name, _)| name).join(", ");
    let [kind] = kinds else {
        return Err(UsageError::new(format_args!("--generate needs one of {known}")));
    };
    if let Some((_, text)) = KINDS.iter().find(|(name, _)| name == kind) {
        return Ok(text());
    }
    let near = suggest::nearest(kind, KINDS.iter().map(|(name, _)| *name));
    let meant = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    Err(UsageError::new(format_args!("--generate takes one of {known}, not {}{meant}", shown(kind))))
}

/// What a shell can offer for a value.
enum Offer {
    Nothing,
    Words(Vec<&'static str>),
    Files,
    Directories,
}

fn offer(flag: &Flag, command: Command) -> Offer {
    let Some(value) = flag.value else { return Offer::Nothing };
    if flag.long == property::FLAG {
        return Offer::Words(property::packets(command).collect());
    }
    if !flag.one_of.is_empty() {
        return Offer::Words(flag.one_of.to_vec());
    }
    let small = |word: &str| word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    if value.split('|').all(small) {
        return Offer::Words(value.split('|').collect());
    }
    match value {
        "DIR" => Offer::Directories,
        "FILE" | "FILE|fd:N" | "PINS|FILE" | "PATH" => Offer::Files,
        _ => Offer::Nothing,
    }
}

/// `-t` and `--topic`; the aliases are for those who know them.
fn spellings(flag: &Flag, command: Command) -> Vec<String> {
    let letter = flag.letter(command).map(|letter| format!("-{letter}"));
    letter.into_iter().chain([flag.long.to_owned()]).collect()
}

/// The flags of a command, by group as in the help.
fn in_order(command: Command) -> Vec<&'static Flag> {
    let groups = flags::Group::ALL.into_iter();
    groups.flat_map(|group| flags::of(command).filter(move |flag| flag.group == group)).collect()
}
