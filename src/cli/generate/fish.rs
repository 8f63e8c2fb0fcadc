//! The completion of fish.

use super::{Command, FIRST, Flag, KINDS, Offer, in_order, offer, push};

/// The word behind `wspipe` decides, wherever else a command's name may stand.
const HEAD: &str = "\
# fish completion for wspipe, made by: wspipe --generate complete-fish
function __wspipe_in
    set -l words (commandline -opc)
    test (count $words) -ge 2; and contains -- $words[2] $argv
end
function __wspipe_at
    test (count (commandline -opc)) -eq $argv[1]
end
complete -c wspipe -f
";

/// The script.
pub fn script() -> String {
    let mut text = HEAD.to_owned();
    for command in Command::ALL {
        let (name, summary) = (command.name(), quoted(command.summary()));
        push(&mut text, format_args!("complete -c wspipe -n '__wspipe_at 1' -a {name} -d {summary}\n"));
        push(
            &mut text,
            format_args!(
                "complete -c wspipe -n '__wspipe_at 2; and __wspipe_in help --help' -a {name} -d {summary}\n"
            ),
        );
    }
    push(&mut text, format_args!("complete -c wspipe -n '__wspipe_at 1' -a '{}'\n", FIRST.join(" ")));
    let kinds = KINDS.map(|(name, _)| name).join(" ");
    push(
        &mut text,
        format_args!("complete -c wspipe -n '__wspipe_at 2; and __wspipe_in --generate' -a '{kinds}'\n"),
    );
    for command in Command::ALL {
        for flag in in_order(command) {
            row(&mut text, command, flag);
        }
    }
    text
}

fn row(text: &mut String, command: Command, flag: &Flag) {
    push(text, format_args!("complete -c wspipe -n '__wspipe_in {}'", command.name()));
    if let Some(letter) = flag.letter(command) {
        push(text, format_args!(" -s {letter}"));
    }
    push(text, format_args!(" -l {}", flag.long.trim_start_matches('-')));
    // Without -x or -r a value is taken behind '=' only.
    let apart = if flag.alone.is_some() { "-f" } else { "-x" };
    match offer(flag, command) {
        Offer::Words(words) => push(text, format_args!(" {apart} -a '{}'", words.join(" "))),
        Offer::Files => text.push_str(" -r -F"),
        Offer::Directories => text.push_str(" -x -a '(__fish_complete_directories)'"),
        Offer::Nothing if flag.value.is_some() => push(text, format_args!(" {apart}")),
        Offer::Nothing => {}
    }
    push(text, format_args!(" -d {}\n", quoted(flag.help)));
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
