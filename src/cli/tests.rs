//! The command line as a whole: arguments in, Config or one clear line out.

use std::{ffi::OsString, os::unix::ffi::OsStringExt, path::PathBuf, time::Duration};

use super::{command::Command, flags, *};
use crate::config::{Echo, Endpoint, Mode, QoS, RoundTrip, Scheme, Serve, Verbosity, Version};

mod coming;
mod help;
mod many;
mod options;

fn no_env(_: &str) -> Option<OsString> {
    None
}

fn try_parse(line: &[&str]) -> Result<Invocation, UsageError> {
    parse(line.iter().map(OsString::from), &no_env)
}

fn config(line: &[&str]) -> Config {
    match try_parse(line) {
        Ok(Invocation::Run(config)) => config,
        other => panic!("{line:?}: {other:?}"),
    }
}

fn printed(line: &[&str]) -> String {
    match try_parse(line) {
        Ok(Invocation::Print(text)) => text,
        other => panic!("{line:?}: {other:?}"),
    }
}

/// The error's text, after checks that hold for each.
pub(super) fn refused(line: &[&str]) -> String {
    let error = match try_parse(line) {
        Err(error) => error,
        other => panic!("{line:?}: {other:?}"),
    };
    assert_eq!(error.exit_code(), 2, "{line:?}: {error}");
    let text = error.to_string();
    assert!(!text.contains(char::is_control), "{line:?}: {text:?}");
    text
}

fn echo(rest: &[&str]) -> (Endpoint, Echo) {
    let line: Vec<&str> = ["echo"].into_iter().chain(rest.iter().copied()).collect();
    match config(&line).mode {
        Mode::Echo(endpoint, echo) => (endpoint, echo),
        other => panic!("{rest:?}: {other:?}"),
    }
}

fn mqtt(rest: &[&str]) -> (Endpoint, RoundTrip) {
    let line: Vec<&str> = ["mqtt"].into_iter().chain(rest.iter().copied()).collect();
    match config(&line).mode {
        Mode::RoundTrip(endpoint, round_trip) => (endpoint, round_trip),
        other => panic!("{rest:?}: {other:?}"),
    }
}

fn serve(rest: &[&str]) -> Serve {
    let line: Vec<&str> = ["serve"].into_iter().chain(rest.iter().copied()).collect();
    match config(&line).mode {
        Mode::Serve(serve) => serve,
        other => panic!("{rest:?}: {other:?}"),
    }
}

#[test]
fn every_option_value_goes_through_unchanged() {
    // What pico-args alone takes for flags, or loses.
    for value in ["-r", "ws://x", "--", "-t", "--qos=2", "", "=", "=x", "-", "-mx", "\"q\"", "'q'"] {
        for args in [vec!["-m", value], vec!["--message", value]] {
            let (_, round_trip) = mqtt(&[vec!["ws://h"], args].concat());
            assert_eq!(round_trip.message, value, "{value}");
            assert!(!round_trip.retain && round_trip.topic == "mg/test", "{value}");
        }
        let (_, round_trip) = mqtt(&[&format!("--message={value}"), "ws://h"]);
        assert_eq!(round_trip.message, value);
        let (_, echo) = echo(&["ws://h", "--", value]);
        assert_eq!(echo.message, value);
    }
    let (_, round_trip) = mqtt(&["ws://h", "-m-r", "-u", "-P", "-P", "-x"]);
    assert_eq!(round_trip.message, "-r");
    assert_eq!(round_trip.mqtt.username.as_deref(), Some("-P"));
    assert_eq!(round_trip.mqtt.password.as_deref(), Some(&b"-x"[..]));
    assert_eq!(round_trip.mqtt.session_expiry, None);
}

#[test]
fn options_stand_anywhere_until_two_dashes() {
    for line in [
        &["-c", "3", "ws://h", "hi", "-b"][..],
        &["ws://h", "-bc3", "hi"],
        &["ws://h", "hi", "--count=3", "--binary"],
        &["-bc", "3", "--", "ws://h", "hi"],
    ] {
        let (endpoint, echo) = echo(line);
        assert_eq!(endpoint.url.to_string(), "ws://h/", "{line:?}");
        assert_eq!((&echo.message[..], echo.count, echo.binary), (&b"hi"[..], Some(3), true), "{line:?}");
    }
    let (_, dashes) = echo(&["ws://h", "--", "--"]);
    assert_eq!(dashes.message, "--");
    let (_, dash) = echo(&["ws://h", "-"]);
    assert_eq!(dash.message, "-");
}

#[test]
fn of_a_repeated_option_the_last_holds() {
    let (_, round_trip) = mqtt(&["-t", "a", "ws://h", "-t", "b", "--topic=c"]);
    assert_eq!(round_trip.topic, "c");
    assert!(refused(&["mqtt", "ws://h", "-q", "9", "-q", "1"]).contains("'9'"));
}

#[test]
fn letters_belong_to_a_command() {
    assert_eq!(echo(&["-c", "2", "-i", "3"]).1.interval, Duration::from_secs(3));
    let (endpoint, round_trip) = mqtt(&["ws://h", "-c", "-i", "3", "-k", "7"]);
    assert!(round_trip.mqtt.keep_session && !endpoint.tls.insecure);
    assert_eq!((round_trip.mqtt.client_id.as_deref(), round_trip.mqtt.keep_alive), (Some("3"), 7));
    assert!(echo(&["-k"]).0.tls.insecure);
}

#[test]
fn defaults() {
    let (endpoint, echo) = echo(&[]);
    assert_eq!(endpoint.url.to_string(), "ws://localhost:8000/websocket");
    assert_eq!(
        (endpoint.connect_timeout, endpoint.close_timeout),
        (Duration::from_secs(30), Duration::from_secs(5))
    );
    assert_eq!(endpoint.max_message, 64 << 20);
    assert!(endpoint.headers.is_empty() && endpoint.subprotocols.is_empty() && !endpoint.tls.insecure);
    assert_eq!((&echo.message[..], echo.binary, echo.count, echo.skip), (&b"hello"[..], false, None, 0));
    assert_eq!((echo.timeout, echo.interval), (Duration::from_secs(10), Duration::from_secs(1)));

    let (endpoint, trip) = mqtt(&["mqtt://h"]);
    assert_eq!((endpoint.url.scheme, endpoint.url.port), (Scheme::Mqtt, 1883));
    assert!(endpoint.subprotocols.is_empty());
    assert_eq!((&*trip.topic, &trip.message[..], trip.qos), ("mg/test", &b"hello"[..], QoS::AtMostOnce));
    assert_eq!((trip.mqtt.version, trip.mqtt.keep_alive, &trip.mqtt.client_id), (None, 60, &None));
    assert_eq!((trip.timeout, trip.mqtt.ack_timeout), (Duration::from_secs(10), Duration::from_secs(30)));
    assert_eq!(mqtt(&["ws://h"]).0.subprotocols, ["mqtt"]);

    assert_eq!(serve(&[]).url.to_string(), "ws://localhost:8000/websocket");
    assert_eq!(serve(&[]).max_message, 64 << 20);
    assert_eq!(serve(&["ws://127.0.0.1:0/"]).url.port, 0);
    assert_eq!(config(&["serve"]).verbosity, Verbosity::Normal);
}

#[test]
fn positionals_are_checked() {
    for (line, part) in [
        (&["echo", "hello"][..], "'hello' is not a URL, there is no '://' in it: a message stands after"),
        (&["echo", ""], "'' is not a URL"),
        (&["echo", "ws://h", "a", "b"], "'b' is one argument too many"),
        (&["echo", "mqtt://h"], "wspipe mqtt mqtt://"),
        (&["echo", "http://h"], "ws://"),
        (&["cat"], "there is no URL, as in: wspipe cat ws://"),
        (&["cat", "-"], "'-' is not a URL, there is no '://' in it: stdin is read without it"),
        (&["cat", "file"], "as in: wspipe cat ws://"),
        (&["cat", "ws://h", "hello"], "messages come from stdin and from --on-open"),
        (&["cat", "mqtt://h"], "wspipe mqtt mqtt://"),
        (&["mqtt"], "there is no URL"),
        (&["mqtt", "broker"], "as in: wspipe mqtt ws://"),
        (&["mqtt", "-c", "5"], "--count N"),
        (&["mqtt", "ws://h", "hi"], "the message is -m's"),
        (&["mqtt", "mqtt://h/a/b"], "-t"),
        (&["mqtt", "mqtt://h", "-H", "A: b"], "mqtt:// has no HTTP request"),
        (&["mqtt", "ws://h:0"], "port '0'"),
        (&["serve", "wss://h"], "ws:// only"),
        (&["serve", "8000"], "as in: wspipe serve ws://"),
        (&["serve", "ws://h", "ws://i"], "too many"),
    ] {
        let error = refused(line);
        assert!(error.contains(part), "{line:?}: '{part}' is not in: {error}");
    }
}

#[test]
fn what_was_meant_is_said() {
    for (line, part) in [
        (&[][..], "usage: wspipe COMMAND"),
        (&["eco"], "did you mean 'echo'?"),
        (&["server"], "did you mean 'serve'?"),
        (&["frobnicate"], "the commands are echo, cat, mqtt, pub, sub, rr, serve"),
        (&["ws://u:secret@h"], "a command stands before the URL"),
        (&["-d", "echo"], "-d is before it"),
        (&["-h", "echo"], "-h stands alone"),
        (&["--version", "x"], "--version stands alone"),
        (&["help", "ecko"], "did you mean 'echo'?"),
        (&["help", "echo", "x"], "one command"),
        (&["mqtt", "-h", "broker", "-t", "a"], "-h: the host belongs in the URL"),
        (&["mqtt", "ws://h", "-p", "1883"], "the port belongs in the URL"),
        (&["mqtt", "-L", "ws://h"], "the URL stands by itself"),
        (
            &["mqtt", "-k", "wss://h"],
            "-k is the Keep Alive here; to skip the check of the certificate say --insecure",
        ),
        (&["mqtt", "ws://h", "--topics", "a"], "did you mean --topic?"),
        (&["mqtt", "ws://h", "-topic", "a"], "too many"),
        (&["mqtt", "ws://h", "-retain"], "did you mean --retain, with two dashes?"),
        (
            &["mqtt", "ws://h", "--skip=1"],
            "unknown option --skip: it belongs to 'wspipe echo', not to 'wspipe mqtt'",
        ),
        (&["mqtt", "ws://h", "-b"], "it belongs to 'wspipe echo' and 'wspipe cat', not to"),
        (&["echo", "--qos", "1"], "it belongs to 'wspipe mqtt', 'wspipe pub', 'wspipe sub' and 'wspipe rr'"),
        (&["echo", "-r"], "it belongs to 'wspipe mqtt', 'wspipe pub' and 'wspipe rr', not"),
        (
            &["serve", "--origin", "x"],
            "it belongs to 'wspipe echo', 'wspipe cat', 'wspipe mqtt', 'wspipe pub'",
        ),
        (&["echo", "ws://h", "-5"], "stands after '--'"),
        (&["echo", "ws://h", "-1"], "stands after '--'"),
        (&["mqtt", "ws://h", "-E"], "it belongs to 'wspipe sub'"),
        (&["echo", "--reconnect"], "it belongs to 'wspipe cat', not to 'wspipe echo'"),
        (&["echo", "-C", "5"], "say --count"),
        (&["echo", "-B"], "did you mean -b/--binary?"),
        (&["echo", "-n"], "say --insecure"),
        (&["echo", "--version"], "wspipe --version"),
        (&["echo", "--\u{1b}[31m"], "unknown option"),
        (&["echo", "-\u{e9}"], "unknown option -\u{e9}"),
        (&["echo", "--frobnicate"], "see 'wspipe echo --help'"),
    ] {
        let error = refused(line);
        assert!(error.contains(part), "{line:?}: '{part}' is not in: {error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn bytes_that_are_not_utf8() {
    let raw = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
    let run = |args: Vec<OsString>| parse(args.into_iter(), &no_env);
    let text = |s: &str| OsString::from(s);
    for args in [
        vec![text("mqtt"), text("ws://h"), text("-m"), raw(b"\xff\0x")],
        vec![text("mqtt"), text("ws://h"), raw(b"-rm\xff\0x")],
        vec![text("mqtt"), text("ws://h"), raw(b"--message=\xff\0x")],
    ] {
        match run(args) {
            Ok(Invocation::Run(Config { mode: Mode::RoundTrip(_, trip), .. })) => {
                assert_eq!(trip.message, &b"\xff\0x"[..]);
            }
            other => panic!("{other:?}"),
        }
    }
    match run(vec![text("echo"), text("-b"), text("ws://h"), raw(b"\xff")]) {
        Ok(Invocation::Run(Config { mode: Mode::Echo(_, echo), .. })) => {
            assert_eq!(echo.message, &b"\xff"[..])
        }
        other => panic!("{other:?}"),
    }
    for (args, part) in [
        (vec![text("echo"), text("ws://h"), raw(b"\xff")], "-b sends it"),
        (vec![text("echo"), raw(b"ws://\xff")], "not UTF-8"),
        (vec![text("mqtt"), text("ws://h"), text("-t"), raw(b"\xff")], "-t/--topic '\u{fffd}' is not UTF-8"),
        (vec![text("mqtt"), text("ws://h"), text("-k"), raw(b"\xff")], "is not UTF-8"),
        (vec![text("echo"), raw(b"--\xff")], "unknown option"),
        (vec![text("echo"), raw(b"-\xff")], "unknown option"),
        (vec![raw(b"\xff")], "unknown command"),
    ] {
        let error = run(args).expect_err(part);
        assert!(error.to_string().contains(part), "{error}");
        assert_eq!(error.exit_code(), 2);
    }
}

#[test]
fn headers_and_basic_authentication() {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let (endpoint, _) =
        echo(&["-H", "A:b", "-H", "A:  c d\t", "-HUser-Agent:", "ws://h", "--origin", "http://o"]);
    let expected =
        [header("A", "b"), header("A", "c d"), header("User-Agent", ""), header("Origin", "http://o")];
    assert_eq!(endpoint.headers, expected);
    // RFC 7617 section 2: Aladdin, open sesame.
    let (endpoint, _) = echo(&["ws://Aladdin:open%20sesame@h"]);
    assert_eq!(endpoint.headers, [header("Authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")]);
    let (endpoint, _) = echo(&["ws://u@h"]);
    assert_eq!(endpoint.headers, [header("Authorization", "Basic dTo=")]);
    let (endpoint, _) = echo(&["ws://u:p@h", "-H", "authorization: Bearer x"]);
    assert_eq!(endpoint.headers, [header("authorization", "Bearer x")]);
    assert!(refused(&["echo", "ws://a%3Ab:p@h"]).contains("':' in the user name"));
    assert!(refused(&["echo", "ws://a:p%0d@h"]).contains("control characters"));
}

#[test]
fn logins_of_mqtt() {
    let login = |args: &[&str]| {
        let (endpoint, trip) = mqtt(args);
        assert!(endpoint.headers.is_empty());
        let password =
            trip.mqtt.password.map(|p| String::from_utf8(p.to_vec()).expect("the test's own text"));
        (trip.mqtt.username, password, trip.mqtt.version)
    };
    let is = |user: Option<&str>, password: Option<&str>, version| {
        (user.map(str::to_owned), password.map(str::to_owned), version)
    };
    assert_eq!(login(&["ws://u:p%40@h"]), is(Some("u"), Some("p@"), None));
    assert_eq!(login(&["ws://u@h", "-P", "q"]), is(Some("u"), Some("q"), None));
    assert_eq!(login(&["ws://u:p@h", "-P", "q"]), is(Some("u"), Some("q"), None));
    // Never the password of one with the name of another.
    assert_eq!(login(&["ws://u:p@h", "-u", "v"]), is(Some("v"), None, None));
    assert_eq!(login(&["ws://h", "-u", ""]), is(Some(""), None, None));
    assert_eq!(login(&["ws://h", "-u", "v", "-P", ""]), is(Some("v"), Some(""), None));
    // A password alone is for 5.0 only: no falling back.
    assert_eq!(login(&["ws://:p@h"]), is(None, Some("p"), Some(Version::V5)));
    assert_eq!(login(&["ws://h", "-P", "p"]), is(None, Some("p"), Some(Version::V5)));
    assert!(refused(&["mqtt", "ws://a%ff@h"]).contains("not UTF-8"));
    assert!(refused(&["mqtt", "ws://a%00@h"]).contains("NUL"));
    assert!(refused(&["mqtt", "ws://h", "-i", &"x".repeat(65_536)]).contains("65536 bytes"));
}

#[test]
fn options_that_need_5_forbid_falling_back() {
    assert_eq!(mqtt(&["ws://h", "-x", "5"]).1.mqtt.version, Some(Version::V5));
    assert_eq!(
        mqtt(&["ws://h", "--will-topic=w", "--will-delay-interval=5"]).1.mqtt.version,
        Some(Version::V5)
    );
}

/// A file of this test process, removed at the end of the test.
pub(super) struct TempFile(PathBuf);

impl TempFile {
    pub(super) fn new(name: &str, content: &[u8]) -> TempFile {
        let path = std::env::temp_dir().join(format!("wspipe-{}-{name}", std::process::id()));
        std::fs::write(&path, content).expect("a temporary directory that can be written");
        TempFile(path)
    }

    pub(super) fn path(&self) -> &str {
        self.0.to_str().expect("a UTF-8 temporary directory")
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn password_files() {
    let read = |content: &[u8]| {
        let file = TempFile::new("password", content);
        try_parse(&["mqtt", "ws://u@h", "--password-file", file.path()]).map(|invocation| match invocation {
            Invocation::Run(Config { mode: Mode::RoundTrip(_, trip), .. }) => trip.mqtt.password,
            other => panic!("{other:?}"),
        })
    };
    for (content, password) in [
        (&b"pw"[..], &b"pw"[..]),
        (b"pw\n", b"pw"),
        (b"pw\r\n", b"pw"),
        (b" p w \n", b" p w "),
        (b"\xff\0\n", b"\xff\0"),
        (b"\n", b""),
        (b"", b""),
        (b"pw\r", b"pw\r"),
    ] {
        let read = read(content).expect("one line");
        assert_eq!(read.as_deref(), Some(password), "{content:?}");
    }
    for (content, part) in [(&b"a\nb\n"[..], "more than one line"), (&[b'x'; 65_536], "65535 bytes")] {
        let error = read(content).expect_err(part);
        assert!(error.exit_code() == 26 && error.to_string().contains(part), "{error}");
    }
    for path in ["/nonexistent/password", "/"] {
        let error = try_parse(&["mqtt", "ws://u@h", "--password-file", path]).expect_err(path);
        assert!(error.exit_code() == 26 && error.to_string().contains(path), "{error}");
    }
}

#[test]
#[cfg(feature = "tls")]
fn a_ca_file_is_opened_where_it_is_needed() {
    let error = try_parse(&["echo", "wss://h", "--cafile", "/nonexistent/ca"]).expect_err("no such file");
    assert!(error.exit_code() == 77 && error.to_string().contains("/nonexistent/ca"), "{error}");
    assert_eq!(echo(&["wss://h"]).0.url.scheme, Scheme::Wss);
}

#[test]
#[cfg(not(feature = "tls"))]
fn a_build_without_tls_says_so() {
    assert!(refused(&["echo", "wss://h"]).contains("built without it"));
    assert!(refused(&["mqtt", "mqtts://h"]).contains("built without it"));
}

#[test]
fn size_repeats_a_pattern() {
    let (_, sized) = echo(&["--size", "1k"]);
    assert_eq!(sized.message.len(), 1024);
    assert!(sized.message.starts_with(b"0123456789ABC") && sized.message[62..].starts_with(b"012"));
    assert!(echo(&["--size=0"]).1.message.is_empty());
}

#[test]
fn generated_identifiers_differ() {
    let id = || mqtt(&["ws://h", "-I", "me-"]).1.mqtt.client_id;
    assert_ne!(id(), id());
}

/// What random command lines are made of.
const PIECES: [&str; 37] = [
    "-D",
    "publish",
    "user-property",
    "-t",
    "-l",
    "--topic-from-line",
    "-n",
    "-",
    "--",
    "-c",
    "-m",
    "=",
    "ws://h",
    "ws://u:p@h",
    "hello",
    "--message",
    "--count=",
    "5",
    "-rq1",
    "-d",
    "\u{e9}",
    "\u{1b}",
    "--will-topic",
    "w",
    "-x",
    "-1",
    "--size",
    "1k",
    "-V",
    "311",
    "--he",
    "-C1",
    "-0b",
    "--in=json",
    "--on-open",
    "@@",
    "-w",
];

#[test]
fn random_arguments_never_panic() {
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut next = move |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % bound as u64) as usize
    };
    let mut runs = 0;
    for _ in 0..20_000 {
        let mut args = vec![OsString::from(["echo", "cat", "mqtt", "pub", "sub", "rr", "serve"][next(7)])];
        for _ in 0..next(6) {
            let mut bytes = PIECES[next(PIECES.len())].as_bytes().to_vec();
            if next(8) == 0 {
                bytes.extend_from_slice(PIECES[next(PIECES.len())].as_bytes());
            }
            if next(32) == 0 {
                bytes.push(0xff);
            }
            args.push(OsString::from_vec(bytes));
        }
        match parse(args.into_iter(), &no_env) {
            Ok(Invocation::Run(_)) => runs += 1,
            Ok(Invocation::Print(_)) => {}
            Err(error) => assert!(!error.to_string().contains(char::is_control), "{error:?}"),
        }
    }
    assert!(runs > 500, "the pieces make too few good lines: {runs}");
}
