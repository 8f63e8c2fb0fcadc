//! What was probably meant: the nearest name, the command that has the flag, and the flags of other
//! tools that have another name here.

mod elsewhere;

pub use elsewhere::{elsewhere, overlay};

use super::{
    command::Command,
    error::{UsageError, shown},
    flags,
};

/// Where a message was meant.
const DASHES: &str = "a message that begins with '-' stands after '--'";

/// An unknown `--name`.
pub fn unknown_long(command: Command, name: &str) -> UsageError {
    let name_shown = shown(name);
    let what = format!("unknown option {}", name_shown.trim_matches('\''));
    if let Some(answer) = elsewhere(command, name) {
        return UsageError::new(format_args!("{what}: {answer}"));
    }
    if let Some(owners) = owners(|other| flags::by_long(other, name).is_some()) {
        return UsageError::new(format_args!(
            "{what}: it belongs to {owners}, not to 'wspipe {}'",
            command.name()
        ));
    }
    let names = flags::of(command).flat_map(|flag| flag.aliases.iter().copied().chain([flag.long]));
    match nearest(name, names) {
        Some(near) => UsageError::new(format_args!("{what}: did you mean {near}?")),
        None => UsageError::new(format_args!("{what} (see 'wspipe {} --help')", command.name())),
    }
}

/// An unknown letter at byte `at` of `argument`.
pub fn unknown_letter(command: Command, argument: &str, at: usize) -> UsageError {
    let letter = argument.chars().nth(at).unwrap_or(char::REPLACEMENT_CHARACTER);
    let spelling = format!("-{letter}");
    let mut what = format!("unknown option {}", shown(&spelling).trim_matches('\''));
    if argument.chars().count() > 2 {
        // What follows may be a secret: another command's -P may take it.
        let rest = if argument.chars().count() > at + 1 { "..." } else { "" };
        let beginning: String = argument.chars().take(at + 1).chain(rest.chars()).collect();
        what.push_str(&format!(" in {}", shown(&beginning)));
    }
    let dashed = format!("-{argument}");
    // Its value may be a secret, and is not shown.
    let name = dashed.split('=').next().unwrap_or(&dashed);
    if flags::by_long(command, name).is_some() {
        return UsageError::new(format_args!("{what}: did you mean {name}, with two dashes?"));
    }
    if let Some(answer) = elsewhere(command, &spelling) {
        return UsageError::new(format_args!("{what}: {answer}"));
    }
    if command == Command::Echo && letter.is_ascii_digit() {
        return UsageError::new(format_args!("{what} ({DASHES})"));
    }
    if let Some(owners) = owners(|other| flags::by_letter(other, letter).is_some()) {
        return UsageError::new(format_args!(
            "{what}: it belongs to {owners}, not to 'wspipe {}'",
            command.name()
        ));
    }
    let other_case =
        if letter.is_uppercase() { letter.to_ascii_lowercase() } else { letter.to_ascii_uppercase() };
    if let Some(flag) = flags::by_letter(command, other_case) {
        return UsageError::new(format_args!("{what}: did you mean {}?", flag.spelling(command)));
    }
    if command == Command::Echo {
        return UsageError::new(format_args!("{what} ({DASHES})"));
    }
    UsageError::new(format_args!("{what} (see 'wspipe {} --help')", command.name()))
}

/// A first argument that is no command.
pub fn unknown_command(name: &str) -> UsageError {
    let commands = command_names();
    if name.contains("://") {
        return UsageError::new(format_args!(
            "a command stands before the URL: one of {commands}, as in wspipe echo URL"
        ));
    }
    if name.starts_with('-') {
        let name_shown = shown(name);
        let flag = name_shown.trim_matches('\'');
        return UsageError::new(format_args!(
            "options stand after a command, {flag} is before it: one of {commands}"
        ));
    }
    let what = format!("unknown command {}", shown(name));
    let names = || Command::ALL.iter().map(|command| command.name());
    // publish, subscribe
    let longer = names().find(|short| name.starts_with(short));
    match longer.or_else(|| nearest(name, names().chain(["help"]))) {
        Some(near) => UsageError::new(format_args!("{what}: did you mean '{near}'?")),
        None => UsageError::new(format_args!("{what}: the commands are {commands} (see 'wspipe --help')")),
    }
}

/// `echo, cat, mqtt` and so on.
pub fn command_names() -> String {
    Command::ALL.map(Command::name).join(", ")
}

/// `'wspipe mqtt'` and the like, for the commands that `has` finds.
fn owners(has: impl Fn(Command) -> bool) -> Option<String> {
    let owners: Vec<String> = Command::ALL
        .into_iter()
        .filter(|command| has(*command))
        .map(|command| format!("'wspipe {}'", command.name()))
        .collect();
    match owners.split_last() {
        None => None,
        Some((last, [])) => Some(last.clone()),
        Some((last, others)) => Some(format!("{} and {last}", others.join(", "))),
    }
}

/// The name that `typed` abbreviates, or the nearest by edit distance within a third of its length.
pub fn nearest<'a>(typed: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let length = typed.trim_start_matches('-').chars().count();
    if length < 2 {
        return None;
    }
    let rank = |name: &str| if name.starts_with(typed) { 0 } else { distance(typed, name) };
    let (rank, name) = names.map(|name| (rank(name), name)).min_by_key(|(rank, _)| *rank)?;
    if rank <= (length / 3).max(1) { Some(name) } else { None }
}

/// Edit distance with swaps of neighbours (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    // Nobody mistypes a flag of this length, and the table below is quadratic.
    if a.len() > 64 {
        return usize::MAX;
    }
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            table[i][j] = match (i, j) {
                (0, _) => j,
                (_, 0) => i,
                _ => {
                    let cost = usize::from(a[i - 1] != b[j - 1]);
                    let mut best =
                        (table[i - 1][j - 1] + cost).min(table[i - 1][j] + 1).min(table[i][j - 1] + 1);
                    if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                        best = best.min(table[i - 2][j - 2] + 1);
                    }
                    best
                }
            };
        }
    }
    table[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, expected) in [
            ("", "", 0),
            ("a", "", 1),
            ("qos", "qos", 0),
            ("qso", "qos", 1),
            ("topc", "topic", 1),
            ("ab", "cd", 2),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
        assert_eq!(distance(&"x".repeat(65), "x"), usize::MAX);
    }

    #[test]
    fn a_suggestion_shows_no_value() {
        for argument in ["-password=secret", "-pw=sec\x1b[2Jret", "-json=\u{15}"] {
            let text = unknown_letter(Command::Pub, argument, 2).to_string();
            assert!(text.contains("two dashes"), "{text}");
            assert!(!text.contains("sec") && !text.contains(char::is_control), "{text:?}");
        }
    }

    #[test]
    fn the_nearest_is_near() {
        let names = || ["--topic", "--qos", "--keepalive"].into_iter();
        assert_eq!(nearest("--topics", names()), Some("--topic"));
        assert_eq!(nearest("--keep", names()), Some("--keepalive"));
        assert_eq!(nearest("--banana", names()), None);
        assert_eq!(nearest("--", names()), None);
    }
}
