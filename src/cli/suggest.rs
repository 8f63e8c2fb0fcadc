//! What was probably meant: the nearest name, the command that has the flag, and the flags of other
//! tools that have another name here.

use super::{
    command::Command,
    error::{UsageError, shown},
    flags::{self, Set},
};

const ECHO: Set = Command::Echo.set();
const CAT: Set = Command::Cat.set();
const MQTT: Set = Command::Mqtt.set();
const PUB: Set = Command::Pub.set();
const SUB: Set = Command::Sub.set();
const RR: Set = Command::Rr.set();
const MOSQUITTO: Set = PUB | SUB | RR;
const MQTTS: Set = MQTT | MOSQUITTO;
const WEBSOCKETS: Set = ECHO | CAT;
const CLIENTS: Set = WEBSOCKETS | MQTTS;
const ALL: Set = WEBSOCKETS | MQTTS | Command::Serve.set();

/// Spellings that mosquitto, curl, websocat and wscat have, and what to say instead here.
///
/// The first that fits answers, so that rows of one command stand before those of all.
const ELSEWHERE: &[(&[&str], Set, &str)] = &[
    // websocat and wscat.
    (
        &["-n"],
        CAT,
        "say -w inf to stay after the end of stdin, --no-stdin to read none, -k for any certificate",
    ),
    (&["--no-close"], CAT, "say -w inf to stay after the end of stdin, or --no-stdin to read none"),
    (
        &["-E", "--exit-on-eof"],
        CAT,
        "leave it out: the server's Close ends it, and so does the end of stdin after -w SEC of quiet",
    ),
    (&["--max-messages-rev"], CAT, "say -C N: what is counted is what comes"),
    (&["-c"], CAT, "the URL stands by itself (to end after N messages say -C N)"),
    (&["-x", "--execute"], CAT, "say --on-open TEXT (-w SEC waits here too); curl's -x is --proxy"),
    (&["-s"], CAT, "say --subprotocol NAME or --quiet; a server is 'wspipe serve'"),
    (&["--server-mode"], CAT, "a server is 'wspipe serve'"),
    (&["--base64", "--base64-text"], CAT, "say --in base64, --out base64 or both"),
    (
        &["--lengthprefixed"],
        CAT,
        "say --in length, --out length or both for a length before each message; the URL stands by itself",
    ),
    (&["-S"], CAT, "leave it out: messages are never split (--strict refuses a newline inside of one)"),
    (&["-u", "--unidirectional"], CAT, "to print nothing say > /dev/null; a login is --auth USER:PASSWORD"),
    (&["-U", "--unidirectional-reverse"], CAT, "say --no-stdin"),
    (&["-p", "--preamble"], CAT, "say --on-open TEXT; the port belongs in the URL"),
    (&["-P", "--show-ping-pong", "--print-ping-rtts"], CAT, "say -d, or --out json for lines on stdout"),
    (&["--autoreconnect", "--retry"], CAT, "say --reconnect"),
    (&["-B", "--buffer-size", "--no-line"], CAT, "leave it out: a message of any length stays one"),
    (&["--linemode-strip-newlines"], CAT, "leave it out: a line is sent without its newline"),
    (&["--max-ws-message-length", "--max-ws-frame-length"], CAT, "say --max-message"),
    (&["--client-pkcs12-der"], CAT, "say --pkcs12 FILE"),
    (&["--client-pkcs12-passwd", "--passphrase"], CAT, "say --key-password-file FILE"),
    (&["--tls-domain"], CAT, "say --servername"),
    (&["--jsonrpc"], CAT, "stdin is sent as it is: write the whole request there"),
    // curl.
    (&["-N", "--no-buffer"], CAT, "leave it out: a message is printed as soon as it has come"),
    (&["-T", "--upload-file"], CAT, "the shell says it: < FILE"),
    (&["-o", "--output"], CAT, "the shell says it: > FILE (wscat's -o is --origin)"),
    (&["--pass"], ALL, "say --key-password-file FILE"),
    (
        &["--tlsv1.0", "--tlsv1.1", "--tlsv1.2", "--tlsv1.3"],
        ALL,
        "say --tls-min VERSION, as in --tls-min 1.2",
    ),
    (&["--cert-type"], ALL, "leave it out: --cert is PEM, --pkcs12 is P12"),
    (&["--data", "--data-binary"], CAT, "say --on-open TEXT or @FILE, or send it by stdin"),
    (&["--max-time"], CAT, "say -W SEC"),
    (&["-m", "--message"], CAT, "messages come from stdin and from --on-open (a limit is -W SEC)"),
    (&["--file"], CAT, "the shell says it: < FILE"),
    // mosquitto.
    (
        &["-c", "--disable-clean-session", "--no-clean"],
        PUB | RR,
        "leave it out: there is no store for what a publisher must remember from one run to the next",
    ),
    (&["-S"], MOSQUITTO, "leave it out: the host belongs in the URL"),
    (&["-o"], MOSQUITTO, "there is no file of options: a shell alias or script holds them"),
    (&["-M", "--max-inflight"], SUB, "say -D connect receive-maximum N"),
    (&["--pretty"], SUB | RR, "say --json, and jq makes it pretty"),
    (&["--message-rate"], SUB, "leave it out: | pv -l > /dev/null counts"),
    (&["--random-filter"], SUB, "the shell says it: | awk 'rand() < 0.1'"),
    (&["--latency"], RR, "say -d: it tells how long each response took"),
    (
        &["-R", "--no-retained"],
        RR,
        "leave it out: only what carries the request's Correlation Data is a response",
    ),
    (&["--retain-handling", "--retain-as-published"], RR, "leave it out: a response is hardly retained"),
    (&["-E"], PUB | RR, "leave it out: it ends once all is confirmed"),
    (&["--nodelay"], MOSQUITTO, "leave it out: it is always so"),
    (&["--no-tls"], MOSQUITTO, "the URL's scheme says it: ws:// or mqtt://"),
    (&["--tls-version"], MOSQUITTO, "say --tls-min, --tls-max or both, as in --tls-min 1.3"),
    (&["--keyform"], MOSQUITTO, "leave it out: keys are PEM"),
    (&["--tls-use-os-certs"], MOSQUITTO, "leave it out: so it is without --cafile"),
    (&["--pw-file"], MOSQUITTO, "say --password-file FILE"),
    (&["--payload"], PUB | RR, "say -m TEXT"),
    (&["--file-read"], PUB | RR, "say -f FILE"),
    (&["--multiline", "--lines"], PUB | RR, "say -l"),
    (&["--filter"], SUB, "say -t FILTER, or -T FILTER for what is not to be printed"),
    (&["--outputToFile", "--file-save", "--file-write"], SUB, "the shell says it: > FILE"),
    (&["--base64"], SUB | RR, "say --json: what is not UTF-8 is base64 there"),
    (&["-h", "--host"], ALL, "the host belongs in the URL, as in ws://HOST:PORT/PATH (-h alone is help)"),
    (&["-p", "--port"], ALL, "the port belongs in the URL, as in ws://HOST:PORT/PATH"),
    (&["-L"], MQTTS, "the URL stands by itself (redirects are followed by --location)"),
    (&["-L", "--url", "--connect"], ALL, "the URL stands by itself"),
    (&["--socks5"], WEBSOCKETS | MQTTS, "say --proxy socks5://HOST:PORT"),
    (&["--socks5-hostname"], WEBSOCKETS | MQTTS, "say --proxy socks5h://HOST:PORT"),
    (&["--proxy-user"], WEBSOCKETS | MQTTS, "the login belongs in the URL of --proxy"),
    (&["--proxytunnel"], WEBSOCKETS | MQTTS, "leave it out: every proxy is asked for a tunnel"),
    (&["--interface", "--local-addr"], CLIENTS, "say --bind ADDR"),
    (
        &["--oauth2-bearer", "--bearer", "--token"],
        CLIENTS,
        "say --bearer-file FILE: ps shows what is typed here",
    ),
    (&["--location-trusted"], CLIENTS, "say --location: logins stay with the first server"),
    (&["--path"], ALL, "the path belongs in the URL, as in ws://HOST:PORT/PATH"),
    (&["--ws", "--tls", "--ssl"], ALL, "the URL's scheme says it: ws://, wss://, mqtt:// or mqtts://"),
    (&["-l", "--listen"], WEBSOCKETS, "the server is 'wspipe serve'"),
    (&["-v", "--verbose"], ALL, "say -d"),
    (&["-V", "--version"], ALL, "it stands alone: wspipe --version"),
    (&["-n"], ECHO, "say --insecure"),
    (&["--no-check"], WEBSOCKETS, "say --insecure"),
    (&["-o"], ECHO, "say --origin"),
    (&["-s"], ECHO, "say --subprotocol"),
    (&["-x", "--execute"], ECHO, "the message stands after the URL; curl's -x is --proxy"),
    (&["-t", "-m", "--message"], ECHO, "the message stands after the URL (topics are for 'wspipe mqtt')"),
    (&["-q", "--silent"], WEBSOCKETS | Command::Serve.set(), "say --quiet"),
    (&["-u", "--user"], WEBSOCKETS, "say --auth USER:PASSWORD, or ws://USER:PASSWORD@HOST/"),
    (&["--ua", "-A", "--user-agent"], WEBSOCKETS | MQTTS, "say -H 'User-Agent: ...'"),
    (&["-C"], ECHO | MQTT, "say --count"),
    (&["--no-clean"], MQTT | SUB, "say -c (--disable-clean-session)"),
];

/// Where a message was meant.
const DASHES: &str = "a message that begins with '-' stands after '--'";

/// An unknown `--name`.
pub fn unknown_long(command: Command, name: &str) -> UsageError {
    let name_shown = shown(name);
    let what = format!("unknown option {}", name_shown.trim_matches('\''));
    if let Some(answer) = elsewhere(command, name) {
        return UsageError::new(format!("{what}: {answer}"));
    }
    if let Some(owners) = owners(|other| flags::by_long(other, name).is_some()) {
        return UsageError::new(format!(
            "{what}: it belongs to {owners}, not to 'wspipe {}'",
            command.name()
        ));
    }
    let names = flags::of(command).flat_map(|flag| flag.aliases.iter().copied().chain([flag.long]));
    match nearest(name, names) {
        Some(near) => UsageError::new(format!("{what}: did you mean {near}?")),
        None => UsageError::new(format!("{what} (see 'wspipe {} --help')", command.name())),
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
        return UsageError::new(format!("{what}: did you mean {name}, with two dashes?"));
    }
    if let Some(answer) = elsewhere(command, &spelling) {
        return UsageError::new(format!("{what}: {answer}"));
    }
    if command == Command::Echo && letter.is_ascii_digit() {
        return UsageError::new(format!("{what} ({DASHES})"));
    }
    if let Some(owners) = owners(|other| flags::by_letter(other, letter).is_some()) {
        return UsageError::new(format!(
            "{what}: it belongs to {owners}, not to 'wspipe {}'",
            command.name()
        ));
    }
    let other_case =
        if letter.is_uppercase() { letter.to_ascii_lowercase() } else { letter.to_ascii_uppercase() };
    if let Some(flag) = flags::by_letter(command, other_case) {
        return UsageError::new(format!("{what}: did you mean {}?", flag.spelling(command)));
    }
    if command == Command::Echo {
        return UsageError::new(format!("{what} ({DASHES})"));
    }
    UsageError::new(format!("{what} (see 'wspipe {} --help')", command.name()))
}

/// A first argument that is no command.
pub fn unknown_command(name: &str) -> UsageError {
    let commands = command_names();
    if name.contains("://") {
        return UsageError::new(format!(
            "a command stands before the URL: one of {commands}, as in wspipe echo URL"
        ));
    }
    if name.starts_with('-') {
        let name_shown = shown(name);
        let flag = name_shown.trim_matches('\'');
        return UsageError::new(format!(
            "options stand after a command, {flag} is before it: one of {commands}"
        ));
    }
    let what = format!("unknown command {}", shown(name));
    let names = || Command::ALL.iter().map(|command| command.name());
    // publish, subscribe
    let longer = names().find(|short| name.starts_with(short));
    match longer.or_else(|| nearest(name, names().chain(["help"]))) {
        Some(near) => UsageError::new(format!("{what}: did you mean '{near}'?")),
        None => UsageError::new(format!("{what}: the commands are {commands} (see 'wspipe --help')")),
    }
}

/// `echo, cat, mqtt` and so on.
pub fn command_names() -> String {
    Command::ALL.map(Command::name).join(", ")
}

fn elsewhere(command: Command, spelling: &str) -> Option<&'static str> {
    let fits = |(names, commands, _): &&(&[&str], Set, &str)| {
        commands & command.set() != 0 && names.contains(&spelling)
    };
    ELSEWHERE.iter().find(fits).map(|(_, _, answer)| *answer)
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
