//! `--generate`: the man page rendered, each completion in its own shell.

use std::{collections::BTreeSet, fs, path::PathBuf};

use crate::support::{Run, bash, temp_dir, wspipe};

const COMMANDS: [&str; 7] = ["echo", "cat", "mqtt", "pub", "sub", "rr", "serve"];

/// What is generated, in a file of this name.
fn file(kind: &str, name: &str) -> PathBuf {
    let run = wspipe(["--generate", kind]).run();
    run.status(0).says_nothing();
    let path = temp_dir("generate").join(name);
    fs::write(&path, &run.stdout).expect("target/tmp is writable");
    path
}

/// Letters and long names of a command's options, from its help, which a test of its own holds to the table.
fn options(command: &str) -> BTreeSet<String> {
    let help = wspipe(["help", command]).run();
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let rows = help.lines().filter(|line| line.starts_with("  -") || line.starts_with("      --"));
    let names = rows.flat_map(|row| row.split([' ', ',', '[', '=']).filter(|word| !word.is_empty()).take(2));
    let found: BTreeSet<String> = names.filter(|word| word.starts_with('-')).map(str::to_owned).collect();
    assert!(found.len() > 4 && found.contains("--help"), "{command}: {found:?}");
    found
}

fn lines(run: &Run) -> BTreeSet<String> {
    run.status(0).says_nothing();
    let text = String::from_utf8_lossy(&run.stdout).into_owned();
    text.lines().map(|line| line.split('\t').next().unwrap_or(line).trim().to_owned()).collect()
}

fn set(words: &str) -> BTreeSet<String> {
    words.split_whitespace().map(str::to_owned).collect()
}

/// A line, and all that is offered at its end, in a directory with the files `ca.pem`, `case notes` and the directory
/// `casts`.
const OFFERED: &[(&str, &str)] = &[
    ("wspipe help s", "sub serve"),
    ("wspipe help ", "echo cat mqtt pub sub rr serve"),
    ("wspipe --generate ", "man complete-bash complete-zsh complete-fish"),
    ("wspipe pub --topic-", "--topic-from-line"),
    ("wspipe pub -q ", "0 1 2"),
    ("wspipe sub --retain-handling ", "always new never"),
    ("wspipe cat --in ", "line null length chunk whole base64 json"),
    ("wspipe pub --in ", "line null whole json"),
    ("wspipe mqtt -V ", "311 5"),
    ("wspipe echo --tls-min 1.", "1.0 1.1 1.2 1.3"),
    ("wspipe pub -D ", "connect publish disconnect will"),
    ("wspipe echo --cafile ca.", "ca.pem"),
    ("wspipe echo -H ", ""),
    ("wspipe pub -t ", ""),
    ("wspipe sub -x ", ""),
    // A flag of another command, and a command that is none.
    ("wspipe echo --topic", ""),
    ("wspipe ecko --", ""),
    // No value apart from it, so that a further option may follow.
    ("wspipe cat --timing --time", "--timeout"),
    ("wspipe echo --timing js", ""),
];

/// The directory of [`OFFERED`].
fn playground() -> PathBuf {
    let dir = temp_dir("shell");
    fs::write(dir.join("ca.pem"), "").expect("target/tmp is writable");
    fs::write(dir.join("case notes"), "").expect("target/tmp is writable");
    fs::create_dir(dir.join("casts")).expect("target/tmp is writable");
    dir
}

#[test]
fn completion_in_bash() {
    let script = file("complete-bash", "wspipe.bash");
    let dir = playground();
    // The words of the line; bash itself splits it at '=' too.
    let asked = |words: &[&str]| {
        let ask = ". \"$1\" && cd \"$2\" && shift 2 && COMP_WORDS=(\"$@\") COMP_CWORD=$(($#-1)) && \
                   complete -p wspipe | grep -q -- '-F _wspipe wspipe$' && { _wspipe || true; } && \
                   printf '%s\\n' \"${COMPREPLY[@]}\"";
        let places = [script.as_os_str(), dir.as_os_str()];
        let run = bash(ask, places.into_iter().chain(words.iter().map(|word| word.as_ref()))).run();
        let mut found = lines(&run);
        found.remove("");
        found
    };
    for command in COMMANDS {
        assert_eq!(asked(&["wspipe", command, "-"]), options(command), "{command}");
    }
    for (line, offered) in OFFERED {
        assert_eq!(asked(&line.split(' ').collect::<Vec<_>>()), set(offered), "{line}");
    }
    let first = asked(&["wspipe", ""]);
    assert!(COMMANDS.iter().all(|name| first.contains(*name)) && first.contains("--generate"), "{first:?}");
    assert_eq!(asked(&["wspipe", "cat", "--in", "=", "l"]), set("line length"));
    assert_eq!(asked(&["wspipe", "cat", "--in", "="]).len(), 7);
    assert_eq!(asked(&["wspipe", "cat", "--timing", "="]), set("text json"));
    assert_eq!(asked(&["wspipe", "cat", "--timing", "=", "j"]), set("json"));
    assert_eq!(asked(&["wspipe", "cat", "--capath", "ca"]), set("casts"));
    // A name with a blank is one name.
    assert_eq!(
        asked(&["wspipe", "cat", "--cafile", "cas"]),
        BTreeSet::from(["case notes".into(), "casts".into()])
    );
}

#[test]
fn completion_in_fish() {
    let script = file("complete-fish", "wspipe.fish");
    let dir = playground();
    let asked = |line: &str| {
        let ask = "cd \"$2\" && fish --no-config -c 'source $argv[1]; complete -C $argv[2]' \"$1\" \"$3\"";
        let home = temp_dir("home");
        let run = bash(ask, [script.as_os_str(), dir.as_os_str(), line.as_ref()])
            .env("HOME", &home.to_string_lossy())
            .run();
        let mut found = lines(&run);
        found.remove("");
        // fish 4 offers what has the word inside as well, behind what begins with it.
        let word = line.rsplit(' ').next().unwrap_or_default();
        if found.iter().any(|name| name.starts_with(word)) {
            found.retain(|name| name.starts_with(word));
        }
        found
    };
    for command in COMMANDS {
        // A value that is taken behind '=' only is told of by one more row.
        let found = asked(&format!("wspipe {command} -"));
        let found: BTreeSet<String> =
            found.iter().map(|name| name.trim_end_matches('=').to_owned()).collect();
        assert_eq!(found, options(command), "{command}");
    }
    for (line, offered) in OFFERED {
        assert_eq!(asked(line), set(offered), "{line}");
    }
    let first = asked("wspipe ");
    assert!(COMMANDS.iter().all(|name| first.contains(*name)), "{first:?}");
    assert_eq!(asked("wspipe cat --in=l"), set("--in=line --in=length"));
    assert_eq!(asked("wspipe cat --timing="), set("--timing=text --timing=json"));
    assert_eq!(asked("wspipe cat --capath ca"), set("casts/"));
    // A command's name elsewhere does not count.
    assert_eq!(asked("wspipe echo ws://h cat --until"), set(""));
}

/// Runs an interactive zsh on a terminal of its own (zpty), types each line and a tabulator, and prints what the
/// completion offered for it. `compadd` is what every completion ends in.
const ZSH: &str = r##"
zmodload zsh/zpty
zpty shell zsh -f -i
wait_for() { local seen; zpty -r shell seen "*$1*" || exit 3 }
zpty -w shell "PS1= PS2= RPS1=; unsetopt prompt_sp auto_list auto_menu; stty -echo; cd ${(q)DIR}; fpath=(${(q)SCRIPTS} \$fpath)"
zpty -w shell "autoload -U compinit; compinit -u -D; source ${(q)DIR}/spy.zsh; print REA''DY"
wait_for READY
count=0
while IFS= read -r line; do
    zpty -w -n shell "$line"$'\t'
    wait_for "COMPLETED$((++count))X"
    print -r -- "== $line"
    sort -u $DIR/offered
done
zpty -d shell
"##;

const SPY: &str = r##"
compadd() {
    # Without adding: it sorts out what fits.
    if [[ -n ${(M)${@[1,(i)(-|--)]}:#-[ODA]*} ]]; then
        builtin compadd "$@"
        return
    fi
    local -a hits
    builtin compadd -A hits "$@"
    (( $#hits )) && print -rl -- "$hits[@]" >>$DIR/offered
    builtin compadd "$@"
}
offer() {
    : >$DIR/offered
    zle complete-word
    BUFFER=
    print COMPLETED$((++count))X
}
zle -N offer
bindkey '^I' offer
"##;

#[test]
fn completion_in_zsh() {
    let script = file("complete-zsh", "_wspipe");
    let dir = playground();
    fs::write(dir.join("spy.zsh"), SPY).expect("target/tmp is writable");
    fs::write(dir.join("run.zsh"), ZSH).expect("target/tmp is writable");
    let mut asked: Vec<(String, BTreeSet<String>)> =
        COMMANDS.iter().map(|command| (format!("wspipe {command} -"), options(command))).collect();
    asked.extend(OFFERED.iter().map(|(line, offered)| ((*line).to_owned(), set(offered))));
    for (line, offered) in [
        ("wspipe ", "echo cat mqtt pub sub rr serve help --generate --help --version"),
        ("wspipe cat --in=l", "line length"),
        ("wspipe cat --timing=", "text json"),
        ("wspipe cat --capath ca", "casts"),
        // What was given is not offered again, unless it may be.
        ("wspipe pub -q 1 --q", "--quiet"),
        ("wspipe pub -t a --topic", "--topic --topic-from-line"),
    ] {
        asked.push((line.to_owned(), set(offered)));
    }
    let typed: String = asked.iter().map(|(line, _)| format!("{line}\n")).collect();
    let run = bash("exec zsh -f \"$DIR/run.zsh\"", [""; 0])
        .env("DIR", &dir.to_string_lossy())
        .env("HOME", &dir.to_string_lossy())
        .env("TERM", "xterm")
        .env("SCRIPTS", &script.parent().expect("a file has a directory").to_string_lossy())
        .stdin(typed)
        .run();
    run.status(0).says_nothing();
    let text = String::from_utf8_lossy(&run.stdout).into_owned();
    let answers: Vec<&str> = text.split("== ").skip(1).collect();
    assert_eq!(answers.len(), asked.len(), "{text}");
    for ((line, offered), answer) in asked.iter().zip(answers) {
        let (said, found) = answer.split_once('\n').expect("a line, and what was offered");
        assert_eq!(said, line);
        assert_eq!(&set(found), offered, "{line}");
    }
}

#[test]
fn the_man_page_renders_without_a_warning() {
    let page = file("man", "wspipe.1");
    for renderer in [
        "man --warnings -l \"$1\"",
        "groff -man -ww -Tutf8 \"$1\"",
        "mandoc -Tlint -W warning \"$1\" && mandoc \"$1\"",
    ] {
        let run = bash(renderer, [&page]).env("MANWIDTH", "80").run();
        run.status(0).says_nothing();
        let text = String::from_utf8_lossy(&run.stdout);
        // Overstriking is how bold is said to a printer.
        for part in ["complete-fish", "--retain-as-published", "mosquitto_pub", "wss://user:pass@broker"] {
            let plain: String = text
                .split('\u{1b}')
                .map(|part| {
                    part.split_once('m')
                        .filter(|(code, _)| code.starts_with('['))
                        .map_or(part, |(_, rest)| rest)
                })
                .collect();
            let mut shown = String::new();
            plain.chars().for_each(|c| match c {
                '\u{8}' => drop(shown.pop()),
                c => shown.push(c),
            });
            assert!(shown.contains(part), "{renderer}: {part}");
        }
    }
}

#[test]
fn a_stdout_that_takes_nothing_is_said() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
    wspipe(["--generate", "man"]).stdout(full).run().status(23).one_line(&["stdout"]);
    let run = wspipe(["--generate", "zsh"]).run();
    run.status(2).stdout_is("").one_line(&["man, complete-bash, complete-zsh, complete-fish", "'zsh'"]);
}
