//! The help, made from the table of flags.

use std::fmt::Write;

use super::{
    command::Command,
    flags::{self, Flag, Group},
};

/// `--help` or `help COMMAND`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// A line for each flag.
    Short,
    /// With what more there is to say.
    Long,
}

/// The line under the name.
pub const TAGLINE: &str =
    "WebSocket and MQTT over WebSocket for shell pipelines, cron jobs and health checks";

/// Where the text of a flag begins.
const INDENT: usize = 36;

/// Where the longer text of a flag breaks.
const WIDTH: usize = 96;

/// Exit statuses: number, meaning, commands.
pub const STATUSES: &[(&str, &str, &[Command])] = &[
    ("0", "done, clean", &Command::ALL),
    ("1", "the reply differs, replies are missing, or --max-rtt is passed", &[Command::Echo]),
    ("1", "the messages that -C or --until waits for did not come", &[Command::Cat]),
    ("1", "the round trip was not completed, or --max-rtt is passed", &[Command::Mqtt]),
    ("1", "the messages that -C waits for did not come", &[Command::Sub]),
    ("2", "usage: bad option, value or URL", &Command::ALL),
    ("5", "could not resolve the proxy", CLIENTS),
    ("6", "could not resolve the host", &Command::ALL),
    ("7", "could not connect", CLIENTS),
    ("7", "could not listen", &[Command::Serve]),
    ("8", "protocol violation by the peer", CLIENTS),
    ("9", "denied by the broker, or a QoS not granted", MQTTS),
    ("10", "ended by the peer", CLIENTS),
    ("22", "upgrade refused: HTTP status", CLIENTS),
    ("23", "could not write stdout, or the file of --plot", &[Command::Echo, Command::Mqtt]),
    ("23", "could not write stdout", &[Command::Rr]),
    ("23", "could not write stdout, or --strict refused a message", &[Command::Cat]),
    ("23", "could not write stdout or FILE, or --strict refused a message", &[Command::Sub]),
    (
        "26",
        "could not read stdin or a file, or its content is refused",
        &[Command::Cat, Command::Pub, Command::Rr],
    ),
    ("26", "could not read the file of a password or token", &[Command::Echo, Command::Mqtt, Command::Sub]),
    ("28", "timed out", CLIENTS),
    ("35", "TLS handshake failed", CLIENTS),
    ("47", "more redirects than --max-redirects", CLIENTS),
    ("55", "messages unsent or unconfirmed at the end", &[Command::Cat, Command::Pub, Command::Rr]),
    ("56", "connection lost", CLIENTS),
    ("58", "the client certificate, or its key, is unusable", CLIENTS),
    ("60", "server certificate not trusted", CLIENTS),
    ("63", "message larger than the limit", CLIENTS),
    ("67", "login denied", MQTTS),
    ("77", "CA file unusable", CLIENTS),
    ("90", "the server's key is none of --pin", CLIENTS),
    ("97", "the proxy did not connect to the server", CLIENTS),
    ("130, 143", "ended by SIGINT, SIGTERM", &Command::ALL),
];

const MQTTS: &[Command] = &[Command::Mqtt, Command::Pub, Command::Sub, Command::Rr];

const CLIENTS: &[Command] =
    &[Command::Echo, Command::Cat, Command::Mqtt, Command::Pub, Command::Sub, Command::Rr];

/// `wspipe --version`.
pub fn version() -> String {
    format!("wspipe {}\n", env!("CARGO_PKG_VERSION"))
}

/// `wspipe --help`.
pub fn overview() -> String {
    let mut text = format!("wspipe {}: {TAGLINE}\n\n", env!("CARGO_PKG_VERSION"));
    text.push_str("Usage: wspipe COMMAND [OPTIONS] [URL]\n\nCommands:\n");
    for command in Command::ALL {
        line(&mut text, command.name(), 10, command.summary());
    }
    line(&mut text, "help", 10, "'wspipe help COMMAND' says all about it, 'wspipe COMMAND --help' less");
    text.push_str("\nExamples:\n");
    for command in Command::ALL {
        examples(&mut text, &command.examples()[..1]);
    }
    text.push_str("\nOptions stand after the command. 'wspipe --version' prints the version.\n");
    text.push_str(
        "'wspipe --generate man' prints the man page, complete-bash, -zsh and -fish completions.\n",
    );
    text.push_str("stdout carries data and nothing else; RUST_LOG=debug says more on stderr, as -d does.\n");
    text
}

/// The help of a command.
pub fn of(command: Command, length: Length) -> String {
    let mut text = format!("{}\n\n", command.summary());
    push(
        &mut text,
        format_args!("Usage: wspipe {} {}\n\n{}\n", command.name(), command.usage(), command.about()),
    );
    for group in Group::ALL {
        let rows: Vec<&Flag> = flags::of(command).filter(|flag| flag.group == group).collect();
        if rows.is_empty() {
            continue;
        }
        push(&mut text, format_args!("\n{}:\n", group.title()));
        for flag in rows {
            row(&mut text, command, flag, length);
        }
    }
    text.push_str("\nExamples:\n");
    examples(&mut text, command.examples());
    text.push_str("\nExit status:\n");
    for (status, meaning, commands) in STATUSES {
        if commands.contains(&command) {
            line(&mut text, status, 12, meaning);
        }
    }
    text
}

fn row(text: &mut String, command: Command, flag: &Flag, length: Length) {
    let letter = flag.letter(command).map_or_else(|| "    ".to_owned(), |letter| format!("-{letter}, "));
    let mut help = flag.help.to_owned();
    if let Some(default) = flag.default {
        push(&mut help, format_args!(" (default: {default})"));
    }
    line(text, &format!("{letter}{}", flag.with_value()), INDENT, &help);
    if length == Length::Short {
        return;
    }
    let mut more = flag.more.to_owned();
    if flag.repeatable && flag.value.is_some() {
        more = format!("May be repeated. {more}");
    }
    if !flag.aliases.is_empty() {
        more = format!("Also {}. {more}", flag.aliases.join(", "));
    }
    wrap(text, more.trim());
}

/// Words of `more` in lines below the flag's text.
fn wrap(text: &mut String, more: &str) {
    let mut column = 0;
    for word in more.split_whitespace() {
        if column == 0 || column + 1 + word.len() > WIDTH {
            if column != 0 {
                text.push('\n');
            }
            text.push_str(&" ".repeat(INDENT));
            column = INDENT;
        } else {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += word.len();
    }
    if column != 0 {
        text.push('\n');
    }
}

fn line(text: &mut String, left: &str, width: usize, right: &str) {
    push(text, format_args!("  {left:<0$} {right}\n", width - 3));
}

fn examples(text: &mut String, examples: &[(&str, &str)]) {
    for (command, meaning) in examples {
        push(text, format_args!("  {command}\n      {meaning}\n"));
    }
}

/// Appends to the text.
pub fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = text.write_fmt(arguments);
}
