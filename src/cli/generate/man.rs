//! The man page, in the macros of man(7).

use super::{CLIENTS, Command, Flag, MQTTS, push};
use crate::cli::{
    flags::{self, Group, Set},
    help::{STATUSES, TAGLINE},
};

/// Of this version's text.
const DATE: &str = "2026-11-22";

/// Where a line of the source is broken.
const WIDTH: usize = 76;

const ABOUT: &[&str] = &[
    "wspipe connects stdin and stdout to a WebSocket server or to an MQTT broker, and says by its exit \
     status what became of it. stdout carries data and nothing else, stderr has a line for each failure.",
    "Options stand after the command, before or after the URL. The argument behind an option that takes a \
     value is its value, whatever it looks like; -C5, --count=5 and letters in one (-lr) are understood; -- \
     ends the options. What begins with [= in this page takes its value behind a = only. A letter belongs \
     to a command: the same one may mean something else in another.",
];

const ENVIRONMENT: &[(&str, &str)] = &[
    (
        "https_proxy, http_proxy, all_proxy",
        "The proxy for wss:// and mqtts://, for ws:// and mqtt://, for all. The first and the last in capitals too. --proxy goes before them.",
    ),
    ("no_proxy, NO_PROXY", "Hosts that are reached without a proxy, as --no-proxy has them."),
    (
        "SSL_CERT_FILE, SSL_CERT_DIR",
        "The CAs that are trusted in place of the system's. --cafile and --capath go before them.",
    ),
    ("RUST_LOG", "error, warn, info, debug or trace: how much is said on stderr."),
    ("TZ", "The time zone of --format."),
];

const FILES: &[(&str, &str)] = &[
    ("/etc/ssl/certs", "The CAs of the system, or where its OpenSSL looks for them."),
    ("/etc/hosts, /etc/resolv.conf", "For the names of hosts."),
    ("/etc/localtime", "The time zone of --format, where TZ is not set."),
];

/// The page. No words are broken (names are for copying), so the lines are not stretched either.
pub fn page() -> String {
    let version = env!("CARGO_PKG_VERSION");
    let mut text =
        format!(".TH WSPIPE 1 {DATE} \"wspipe {version}\" \"User Commands\"\n.nh\n.ad l\n.SH NAME\n");
    push(&mut text, format_args!("wspipe \\- {}\n.SH SYNOPSIS\n", escaped(TAGLINE)));
    for command in Command::ALL {
        push(&mut text, format_args!(".B wspipe {}\n{}\n.br\n", command.name(), escaped(command.usage())));
    }
    text.push_str(".B wspipe help\n[COMMAND]\n.br\n.B wspipe \\-\\-version\n.br\n.B wspipe \\-\\-generate\n");
    text.push_str("man|complete\\-bash|complete\\-zsh|complete\\-fish\n.SH DESCRIPTION\n");
    paragraphs(&mut text, ABOUT.iter().copied());
    text.push_str(".SH COMMANDS\n");
    Command::ALL.into_iter().for_each(|command| section(&mut text, command));
    text.push_str(".SH OPTIONS OF ALL MQTT COMMANDS\n");
    fill(&mut text, "These are in mqtt, pub, sub and rr.");
    shared(&mut text, |flag| flag.commands == MQTTS);
    text.push_str(".SH OPTIONS OF ALL CLIENTS\n");
    fill(&mut text, "These are in every command but serve.");
    shared(&mut text, is_of_all);
    statuses(&mut text);
    for (title, rows) in [("ENVIRONMENT", ENVIRONMENT), ("FILES", FILES)] {
        push(&mut text, format_args!(".SH {title}\n"));
        for (name, meaning) in rows {
            push(&mut text, format_args!(".TP\n.B {}\n", escaped(name)));
            fill(&mut text, meaning);
        }
    }
    fill(text_after(&mut text, ".PP\n"), "There is no configuration file.");
    text.push_str(".SH EXAMPLES\n");
    for (line, meaning) in Command::ALL.into_iter().flat_map(Command::examples) {
        push(&mut text, format_args!(".TP\n.B {}\n", escaped(line)));
        fill(&mut text, &format!("{meaning}."));
    }
    text.push_str(".SH SEE ALSO\n.BR curl (1),\n.BR mosquitto_pub (1),\n.BR mosquitto_sub (1),\n");
    text.push_str(".BR mosquitto_rr (1),\n.BR jq (1)\n");
    fill(text_after(&mut text, ".PP\n"), "RFC 6455 (WebSocket), MQTT 3.1.1 and MQTT 5.0 (OASIS).");
    text
}

fn text_after<'a>(text: &'a mut String, before: &str) -> &'a mut String {
    text.push_str(before);
    text
}

/// Whether it stands with the options of all that connect.
fn is_of_all(flag: &Flag) -> bool {
    flag.commands & CLIENTS == CLIENTS
}

/// A command, with the options that it does not share with all.
fn section(text: &mut String, command: Command) {
    push(text, format_args!(".SS wspipe {} {}\n", command.name(), escaped(command.usage())));
    fill(text, &format!("{}.", command.summary()));
    text.push_str(".PP\n");
    paragraphs(text, command.about().split("\n\n"));
    let serve = command == Command::Serve;
    let own = |flag: &Flag| flag.is_of(command) && (serve || !is_of_all(flag) && flag.commands != MQTTS);
    for group in Group::ALL {
        let mut rows = flags::of(command).filter(|flag| flag.group == group && own(flag)).peekable();
        if rows.peek().is_some() {
            push(text, format_args!(".PP\n.I {}:\n", group.title()));
        }
        rows.for_each(|flag| row(text, flag, command.set()));
    }
    let further = match command.set() & MQTTS {
        _ if serve => return,
        0 => "Besides: the options of all clients, below.",
        _ => "Besides: the options of all MQTT commands and those of all clients, below.",
    };
    fill(text_after(text, ".PP\n"), further);
}

/// The options that several commands have, by group.
fn shared(text: &mut String, is_in: impl Fn(&Flag) -> bool) {
    for group in Group::ALL {
        let mut rows = flags::all().filter(|flag| flag.group == group && is_in(flag)).peekable();
        if rows.peek().is_some() {
            push(text, format_args!(".SS {}\n", group.title()));
        }
        rows.for_each(|flag| row(text, flag, flag.commands & CLIENTS));
    }
}

/// A flag as these commands have it.
fn row(text: &mut String, flag: &Flag, commands: Set) {
    text.push_str(".TP\n");
    if let Some((letter, with)) = flag.short.filter(|(_, with)| with & commands != 0) {
        push(text, format_args!("\\fB\\-{letter}\\fR"));
        if with & commands != commands {
            push(text, format_args!(" ({})", names(with & commands)));
        }
        text.push_str(", ");
    }
    push(text, format_args!("\\fB{}\\fR", escaped(flag.long)));
    match (flag.value, flag.alone) {
        (None, _) => text.push('\n'),
        (Some(value), None) => push(text, format_args!(" \\fI{}\\fR\n", escaped(value))),
        (Some(value), Some(_)) => push(text, format_args!("[=\\fI{}\\fR]\n", escaped(value))),
    }
    let default = flag.default.map(|default| format!(" (default: {default})")).unwrap_or_default();
    fill(text, &format!("{}{default}.", flag.help));
    if !flag.aliases.is_empty() {
        fill(text, &format!("Also {}.", flag.aliases.join(", ")));
    }
    if flag.repeatable && flag.value.is_some() {
        fill(text, "May be repeated.");
    }
    fill(text, flag.more);
}

fn statuses(text: &mut String) {
    text.push_str(".SH EXIT STATUS\n");
    let mut last = "";
    for (status, meaning, commands) in STATUSES {
        match *status == last {
            true => text.push_str(".br\n"),
            false => push(text, format_args!(".TP\n.B {status}\n")),
        }
        last = status;
        let set = commands.iter().fold(0, |set, command| set | command.set());
        match set & CLIENTS == CLIENTS {
            true => fill(text, &format!("{meaning}.")),
            false => fill(text, &format!("{}: {meaning}.", names(set))),
        }
    }
}

/// `echo, cat`.
fn names(set: Set) -> String {
    let commands = Command::ALL.into_iter().filter(|command| set & command.set() != 0);
    commands.map(Command::name).collect::<Vec<_>>().join(", ")
}

fn paragraphs<'a>(text: &mut String, paragraphs: impl Iterator<Item = &'a str>) {
    for (index, paragraph) in paragraphs.enumerate() {
        if index > 0 {
            text.push_str(".PP\n");
        }
        fill(text, paragraph);
    }
}

/// Words in lines; a sentence begins one, so that roff sees its end.
fn fill(text: &mut String, words: &str) {
    let mut column = 0;
    for word in words.split_whitespace() {
        let word = escaped(word);
        if column > 0 && column + 1 + word.len() > WIDTH {
            text.push('\n');
            column = 0;
        }
        match column {
            0 if word.starts_with('.') => text.push_str("\\&"),
            0 => {}
            _ => text.push(' '),
        }
        column += 1 + word.len();
        text.push_str(&word);
        if word.trim_end_matches(')').ends_with('.') && !word.ends_with("...") {
            text.push('\n');
            column = 0;
        }
    }
    if column > 0 {
        text.push('\n');
    }
}

/// What roff takes for itself, or sets as another character than the one to be typed.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '\\' => escaped.push_str("\\(rs"),
            '-' => escaped.push_str("\\-"),
            '\'' => escaped.push_str("\\(aq"),
            '"' => escaped.push_str("\\(dq"),
            '`' => escaped.push_str("\\(ga"),
            '^' => escaped.push_str("\\(ha"),
            '~' => escaped.push_str("\\(ti"),
            c => escaped.push(c),
        }
    }
    escaped
}
