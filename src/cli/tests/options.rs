//! The README's list of options: the table of flags gives it.
//!
//!     WSPIPE_WRITE_README=1 cargo test --lib options_of_the_readme

use super::*;
use crate::cli::flags::{Flag, Group};

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
const BEGIN: &str = "<!-- options begin -->\n";
const END: &str = "<!-- options end -->";

fn names(has: impl Fn(Command) -> bool) -> String {
    let names: Vec<&str> = Command::ALL.into_iter().filter(|c| has(*c)).map(Command::name).collect();
    names.join(", ")
}

/// An option, the commands that have it, and its line of the help.
fn row(flag: &Flag) -> String {
    let commands = names(|command| flag.is_of(command));
    let letter = flag.short.map_or(String::new(), |(letter, _)| {
        let of = names(|command| flag.is_of(command) && flag.letter(command).is_some());
        let only = if of == commands { String::new() } else { format!(" ({of})") };
        format!("`-{letter}`{only}, ")
    });
    let default = flag.default.map_or(String::new(), |default| format!(" (default: {default})"));
    let option = format!("{letter}`{}`", flag.with_value()).replace('|', "\\|");
    format!("| {option} | {commands} | {}{default} |\n", flag.help)
}

fn list() -> String {
    let mut text = String::new();
    for group in Group::ALL {
        text.push_str(&format!("\n**{}**\n\n| option | of | |\n|---|---|---|\n", group.title()));
        flags::all().filter(|flag| flag.group == group).for_each(|flag| text.push_str(&row(flag)));
    }
    text.push('\n');
    text
}

#[test]
fn options_of_the_readme_are_those_of_the_table() {
    let readme = std::fs::read_to_string(README).expect("the README is there");
    let (before, rest) = readme.split_once(BEGIN).expect("the README has a place for them");
    let (found, after) = rest.split_once(END).expect("that place ends");
    let list = list();
    if std::env::var_os("WSPIPE_WRITE_README").is_some() {
        std::fs::write(README, format!("{before}{BEGIN}{list}{END}{after}"))
            .expect("the README can be written");
        return;
    }
    let fresh = "WSPIPE_WRITE_README=1 cargo test --lib options_of_the_readme";
    assert!(found == list, "the README's options are not those of the table; this writes them: {fresh}");
}
