//! The completion of bash, from 3.2 on; it needs no bash-completion.

use super::{Command, FIRST, KINDS, Offer, flags, in_order, offer, push, spellings};

/// What surrounds the commands. `=` breaks words in bash: `--in=li` arrives as three of them.
const HEAD: &str = r#"# bash completion for wspipe, made by: wspipe --generate complete-bash
_wspipe() {
    COMPREPLY=()
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words='' kind='' line
    if [[ $prev == '=' ]]; then
        prev=${COMP_WORDS[COMP_CWORD-2]}
    elif [[ $cur == '=' ]]; then
        cur=''
    else
        case $prev in
        @ALONE@) prev='' ;;
        esac
    fi
    if [[ $COMP_CWORD -eq 1 ]]; then
        words='@FIRST@'
    else
        case ${COMP_WORDS[1]} in
        help|--help)
            [[ $COMP_CWORD -eq 2 ]] && words='@COMMANDS@'
            ;;
        --generate)
            words='@KINDS@'
            ;;
"#;

const TAIL: &str = r#"        esac
    fi
    if [[ -n $kind ]]; then
        compopt -o filenames 2>/dev/null
        while IFS= read -r line; do
            COMPREPLY+=("$line")
        done < <(compgen "$kind" -- "$cur")
    else
        COMPREPLY=($(compgen -W "$words" -- "$cur"))
    fi
}
complete -F _wspipe wspipe
"#;

/// The script.
pub fn script() -> String {
    let commands = Command::ALL.map(Command::name).join(" ");
    let first = format!("{commands} {}", FIRST.join(" "));
    let kinds = KINDS.map(|(name, _)| name).join(" ");
    // The value of these stands behind a '=': what is apart is the next argument.
    let alone: Vec<&str> = flags::all().filter(|flag| flag.alone.is_some()).map(|flag| flag.long).collect();
    let mut text = HEAD
        .replace("@FIRST@", &first)
        .replace("@COMMANDS@", &commands)
        .replace("@KINDS@", &kinds)
        .replace("@ALONE@", &alone.join("|"));
    for command in Command::ALL {
        of(&mut text, command);
    }
    text + TAIL
}

fn of(text: &mut String, command: Command) {
    let (mut all, mut nothing) = (Vec::new(), Vec::new());
    push(text, format_args!("        {})\n            case $prev in\n", command.name()));
    for flag in in_order(command) {
        let names = spellings(flag, command);
        all.extend(names.iter().cloned());
        let answer = match offer(flag, command) {
            Offer::Words(words) => format!("words='{}'", words.join(" ")),
            Offer::Files => "kind=-f".to_owned(),
            Offer::Directories => "kind=-d".to_owned(),
            Offer::Nothing => {
                if flag.value.is_some() {
                    nothing.extend(names);
                }
                continue;
            }
        };
        push(text, format_args!("            {}) {answer} ;;\n", names.join("|")));
    }
    push(text, format_args!("            {}) ;;\n", nothing.join("|")));
    push(text, format_args!("            *) [[ $cur == -* ]] && words='{}' ;;\n", all.join(" ")));
    text.push_str("            esac\n            ;;\n");
}
