//! The completion of zsh.

use super::{Command, FIRST, Flag, KINDS, Offer, in_order, offer, push};

const HEAD: &str = r#"#compdef wspipe
# zsh completion for wspipe, made by: wspipe --generate complete-zsh
_wspipe() {
    local -a commands
    commands=(
"#;

const MIDDLE: &str = r#"    )
    if (( CURRENT == 2 )); then
        _describe -t commands command commands
        compadd -- @FIRST@
        return
    fi
    local command=$words[2]
    shift words
    (( CURRENT-- ))
    case $command in
    help|--help)
        (( CURRENT == 2 )) && _describe -t commands command commands
        ;;
    --generate)
        compadd -- @KINDS@
        ;;
"#;

/// Found on `$fpath` the file is the function's body; read by `source` it must say what it is for.
const TAIL: &str = r#"    esac
}
if [[ $funcstack[1] == _wspipe ]]; then
    _wspipe "$@"
else
    compdef _wspipe wspipe
fi
"#;

/// The script.
pub fn script() -> String {
    let mut text = HEAD.to_owned();
    for command in Command::ALL {
        push(
            &mut text,
            format_args!("        {}\n", quoted(&format!("{}:{}", command.name(), command.summary()))),
        );
    }
    let kinds = KINDS.map(|(name, _)| name).join(" ");
    text.push_str(&MIDDLE.replace("@FIRST@", &FIRST.join(" ")).replace("@KINDS@", &kinds));
    for command in Command::ALL {
        push(&mut text, format_args!("    {})\n        _arguments -s -S", command.name()));
        for flag in in_order(command) {
            row(&mut text, command, flag);
        }
        let rest: &[&str] = match command {
            Command::Echo => &["1:URL: ", "2:MESSAGE: "],
            _ => &["1:URL: "],
        };
        rest.iter().for_each(|one| push(&mut text, format_args!(" \\\n            {}", quoted(one))));
        text.push_str("\n        ;;\n");
    }
    text + TAIL
}

/// `(-q --qos)-q+[Quality of service]:0|1|2:(0 1 2)`, a specification for each spelling.
fn row(text: &mut String, command: Command, flag: &Flag) {
    let letter = flag.letter(command).map(|letter| format!("-{letter}"));
    let before = match (&letter, flag.repeatable) {
        (_, true) => "*".to_owned(),
        (Some(letter), false) => format!("({letter} {})", flag.long),
        (None, false) => String::new(),
    };
    let value = value(flag, command);
    let help = escaped(flag.help);
    for (name, is_long) in letter.iter().map(|letter| (letter.as_str(), false)).chain([(flag.long, true)]) {
        let join = match (flag.value, flag.alone, is_long) {
            (None, _, _) => "",
            (_, Some(_), _) => "=-",
            (_, None, true) => "=",
            (_, None, false) => "+",
        };
        push(
            text,
            format_args!(" \\\n            {}", quoted(&format!("{before}{name}{join}[{help}]{value}"))),
        );
    }
}

/// `:FILE:_files`; two colons where it may be left out.
fn value(flag: &Flag, command: Command) -> String {
    let Some(name) = flag.value else { return String::new() };
    let colons = if flag.alone.is_some() { "::" } else { ":" };
    let action = match offer(flag, command) {
        Offer::Words(words) => format!("({})", words.join(" ")),
        Offer::Files => "_files".to_owned(),
        Offer::Directories => "_files -/".to_owned(),
        Offer::Nothing => " ".to_owned(),
    };
    let (first, rest) = match flag.long == super::property::FLAG {
        true => ("CMD", ":NAME: :VALUE: "),
        false => (name, ""),
    };
    format!("{colons}{}:{action}{rest}", escaped(first))
}

/// For a specification of `_arguments`.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if matches!(c, '\\' | '[' | ']' | ':') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
