//! What is generated has every flag of the table at its commands, and no other.

use std::collections::BTreeSet;

use super::*;
use crate::cli::help::{self, Length};

/// Letters and long names of a command's flags, from the table.
fn table(command: Command) -> BTreeSet<String> {
    flags::of(command).flat_map(|flag| spellings(flag, command)).collect()
}

/// The words that look like flags and are set in bold, of a part of the man page.
fn bold(part: &str) -> BTreeSet<String> {
    let text = part.replace("\\-", "-");
    let words = text.lines().filter(|line| line.starts_with("\\fB-")).flat_map(|line| line.split("\\fB"));
    words
        .filter_map(|word| word.split("\\fR").next())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_man_page_has_the_table() {
    let page = man::page();
    let part = |from: &str, to: &str| {
        let (_, rest) = page.split_once(from).unwrap_or_else(|| panic!("no {from}"));
        rest.split(to).next().unwrap_or(rest).to_owned()
    };
    let mqtt = bold(&part(".SH OPTIONS OF ALL MQTT COMMANDS\n", ".SH "));
    let all = part(".SH OPTIONS OF ALL CLIENTS\n", ".SH ");
    for command in Command::ALL {
        let own = part(&format!(".SS wspipe {} ", command.name()), ".S");
        let mut found = bold(&own);
        if command != Command::Serve {
            // A letter that only some commands have is followed by their names.
            let with = all.lines().filter(|line| match line.split_once(" (") {
                Some((_, names)) => {
                    names.split(')').next().unwrap_or_default().split(", ").any(|name| name == command.name())
                }
                None => true,
            });
            found.append(&mut bold(&with.collect::<Vec<_>>().join("\n")));
            found.extend(bold(&all).into_iter().filter(|name| name.starts_with("--")));
        }
        if MQTTS & command.set() != 0 {
            found.extend(mqtt.iter().cloned());
        }
        assert_eq!(found, table(command), "{}", command.name());
    }
}

#[test]
fn the_man_page_has_all_that_the_help_says() {
    let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let page =
        man::page().replace("\\&", "").replace("\\-", "-").replace("\\(aq", "'").replace("\\(rs", "\\");
    let page = flat(&page.replace("\\(dq", "\"").replace("\\(ti", "~"));
    for command in Command::ALL {
        for flag in flags::of(command) {
            assert!(page.contains(flag.help), "{}", flag.long);
            assert!(page.contains(&flat(flag.more)), "{}", flag.long);
            flag.aliases.iter().for_each(|alias| assert!(page.contains(alias), "{alias}"));
        }
        for paragraph in command.about().split("\n\n") {
            assert!(page.contains(&flat(paragraph)), "{paragraph}");
        }
        let help = help::of(command, Length::Short);
        let (_, statuses) = help.split_once("Exit status:\n").expect("the help ends with them");
        for line in statuses.lines() {
            let (status, meaning) = line.trim().split_once("  ").expect("two columns");
            assert!(page.contains(&format!(".TP .B {status} ")) && page.contains(meaning.trim()), "{line}");
        }
        for (line, meaning) in command.examples() {
            assert!(page.contains(line) && page.contains(meaning), "{line}");
        }
    }
}

#[test]
fn the_man_page_is_lines_that_roff_reads_as_they_are_meant() {
    let page = man::page();
    assert!(page.is_ascii() && page.ends_with('\n') && !page.contains("\n\n"));
    for line in page.lines() {
        let macros = [".TH", ".SH", ".SS", ".TP", ".PP", ".B ", ".BR ", ".I ", ".br", ".nh", ".ad l"];
        assert!(!line.starts_with('\'') && !line.ends_with(' '), "{line}");
        assert!(!line.starts_with('.') || macros.iter().any(|name| line.starts_with(name)), "{line}");
    }
}

#[test]
fn what_is_offered_is_taken() {
    for command in Command::ALL {
        for flag in flags::of(command).filter(|flag| flag.long != property::FLAG) {
            let Offer::Words(words) = offer(flag, command) else { continue };
            for word in words {
                let argument = format!("{}={word}", flag.long);
                let more: &[&str] = match command {
                    Command::Pub if flag.long == "--in" => &["-t", "a"],
                    Command::Pub | Command::Rr => &["-t", "a", "-m", "b"],
                    Command::Sub => &["-t", "a"],
                    _ => &[],
                };
                let line = [&[command.name(), "ws://h", "--will-topic=a", &argument][..], more].concat();
                let line = line.iter().filter(|word| MQTTS & command.set() != 0 || !word.contains("will"));
                let result = crate::cli::parse(line.map(std::ffi::OsString::from), &|_| None);
                // What the build or another option stands in the way of is said otherwise.
                let text = result.err().map(|error| error.to_string()).unwrap_or_default();
                assert!(!text.contains("takes") && !text.contains("must be"), "{argument}: {text}");
            }
        }
    }
    // The other way round: the error names what is taken, and that is offered.
    for (command, name, few) in [
        (Command::Cat, "--in", "base64"),
        (Command::Cat, "--tls-min", "1.2"),
        (Command::Sub, "--retain-handling", "never"),
        (Command::Pub, "--in", "whole"),
        (Command::Echo, "--timing", "json"),
        (Command::Pub, "--qos", "2"),
        (Command::Mqtt, "--protocol-version", "311"),
        (Command::Rr, "--protocol-version", "5"),
        (Command::Sub, "--property", "unsubscribe"),
    ] {
        let flag = flags::by_long(command, name).expect("a flag of the table");
        assert!(matches!(offer(flag, command), Offer::Words(words) if words.contains(&few)), "{name}");
    }
}

#[test]
fn what_cannot_be_generated_names_what_can() {
    let generated = |kinds: &[&str]| {
        let line = ["--generate"].into_iter().chain(kinds.iter().copied());
        crate::cli::parse(line.map(std::ffi::OsString::from), &|_| None)
    };
    for (kinds, text) in [
        (&[][..], "needs one of"),
        (&["bash"], "'bash'"),
        (&["complete-bahs"], "did you mean complete-bash?"),
        (&["man", "man"], "needs one of"),
    ] {
        let error = generated(kinds).expect_err("none of the four");
        assert_eq!(error.exit_code(), 2);
        for part in ["man, complete-bash, complete-zsh, complete-fish", text] {
            assert!(error.to_string().contains(part), "{kinds:?}: {error}");
        }
    }
    for (kind, _) in KINDS {
        assert!(generated(&[kind]).is_ok(), "{kind}");
    }
}
