//! The help and the version, and that its examples are understood.

use super::*;

#[test]
fn help_and_version() {
    assert_eq!(printed(&["--version"]), format!("wspipe {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(printed(&["-V"]), printed(&["--version"]));
    let overview = printed(&["--help"]);
    assert_eq!(printed(&["-h"]), overview);
    assert_eq!(printed(&["help"]), overview);
    for command in Command::ALL {
        let name = command.name();
        let (short, long) = (printed(&[name, "--help"]), printed(&["help", name]));
        assert!(overview.contains(&format!("\n  {name} ")), "{overview}");
        assert_eq!(printed(&[name, "-h"]), short);
        assert_eq!(printed(&["--help", name]), long);
        // Asked anywhere among sound arguments, it is help.
        assert_eq!(printed(&[name, "ws://h", "-d", "--help", "--unknown"]), short);
        for flag in flags::of(command) {
            let row = short.lines().find(|line| line.contains(flag.long) && line.contains(flag.help));
            let row = row.unwrap_or_else(|| panic!("{name}: no {} in {short}", flag.long));
            assert!(row.contains(flag.default.unwrap_or_default()), "{row}");
        }
        for text in [&short, &long] {
            assert!(text.contains("Exit status:") && text.contains("Examples:"), "{text}");
            assert!(text.is_ascii() && text.ends_with('\n') && !text.contains("\n\n\n"), "{text}");
            let widest = text.lines().map(str::len).max().unwrap_or(0);
            assert!(widest <= 100, "{name}: a line of {widest} columns");
            assert!(text.lines().all(|line| line.trim_end() == line), "{name}: blanks at an end of line");
        }
        assert!(long.len() > short.len());
    }
}

#[test]
fn the_examples_of_the_help_are_understood() {
    let file = TempFile::new("example", b"pw\n");
    for command in Command::ALL {
        for (example, _) in command.examples() {
            let words = words(example);
            let tls = words.iter().any(|word| word.starts_with("wss:") || word.starts_with("mqtts:"));
            if tls && !cfg!(feature = "tls") {
                continue;
            }
            // Of a pipeline only what is ours.
            let ours = words.iter().skip_while(|word| *word != "wspipe").skip(1);
            let ours = ours.take_while(|word| !["|", "<", ">"].contains(&word.as_str()));
            let words: Vec<&str> = ours
                .map(|word| if ["pw", "photo.jpg"].contains(&word.as_str()) { file.path() } else { word })
                .collect();
            assert!(
                matches!(try_parse(&words), Ok(Invocation::Run(_))),
                "{example}: {:?}",
                try_parse(&words)
            );
        }
    }
}

/// As a shell splits them; only single quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.split('\'').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}
