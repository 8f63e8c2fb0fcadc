//! What is typed wrong: status 2, one line that helps, nothing on stdout, and nothing done.

use crate::support::{Run, readme::section, wspipe};

#[track_caller]
fn refused(args: &[&str], texts: &[&str]) -> Run {
    let run = wspipe(args).run();
    run.status(2).stdout_is("").one_line(texts);
    run
}

#[test]
fn no_command() {
    refused(&[], &["echo", "mqtt", "serve"]);
}

#[test]
fn unknown_commands_name_the_nearest() {
    refused(&["ecko", "ws://localhost/"], &["ecko", "echo"]);
    refused(&["--frobnicate"], &["--frobnicate"]);
}

#[test]
fn unknown_flags_name_the_nearest() {
    refused(&["echo", "ws://localhost/", "--cuont", "3"], &["--cuont", "--count"]);
    refused(&["mqtt", "ws://localhost/", "--will-topik", "x"], &["--will-topik", "--will-topic"]);
    refused(&["echo", "ws://localhost/", "-Z"], &["-Z"]);
}

#[test]
fn a_flag_of_another_command() {
    refused(&["echo", "ws://localhost/", "--topic", "x"], &["--topic"]);
    refused(&["echo", "ws://localhost/", "-t", "x"], &["-t"]);
    refused(&["mqtt", "ws://localhost/", "--skip", "1"], &["--skip"]);
    refused(&["serve", "--count", "1"], &["--count"]);
}

#[test]
fn a_flag_without_its_value() {
    refused(&["echo", "ws://localhost/", "--count"], &["--count"]);
    refused(&["mqtt", "ws://localhost/", "-t"], &["-t"]);
    refused(&["echo", "ws://localhost/", "-b=yes"], &["-b"]);
}

#[test]
fn numbers_must_be_numbers() {
    for value in ["", "x", "-1", "1.5", "18446744073709551616"] {
        refused(&["echo", "ws://localhost/", "--count", value], &["--count"]);
    }
    for value in ["", "x", "-1", "nan", "1e400"] {
        refused(&["echo", "ws://localhost/", "-c", "2", "--interval", value], &["--interval"]);
    }
    refused(&["mqtt", "ws://localhost/", "-q", "3"], &["-q", "0", "1", "2"]);
    refused(&["mqtt", "ws://localhost/", "-k", "65536"], &["-k", "65535"]);
    refused(&["mqtt", "ws://localhost/", "-V", "4"], &["-V", "311", "5"]);
}

#[test]
fn a_url_where_a_number_is_due() {
    let run = refused(&["mqtt", "-k", "wss://localhost/"], &["-k", "wss://localhost/"]);
    run.one_line(&["--insecure"]);
    // curl's -k behind the URL.
    refused(&["mqtt", "wss://localhost/", "-k"], &["-k", "needs a value", "--insecure"]);
}

#[test]
fn help_is_a_letter_only_when_alone() {
    refused(&["mqtt", "-h", "broker", "-t", "a", "-m", "b"], &["-h", "://"]);
    let help = wspipe(["mqtt", "-h"]).run();
    help.status(0).says_nothing();
    assert!(String::from_utf8_lossy(&help.stdout).contains("--topic"));
}

#[test]
fn a_positional_that_is_no_url() {
    refused(&["echo", "localhost:8000"], &["localhost:8000", "ws://"]);
    refused(&["mqtt", "localhost"], &["localhost", "://"]);
    refused(&["mqtt"], &["url"]);
}

#[test]
fn urls_that_cannot_be() {
    refused(&["echo", "http://localhost/"], &["http", "ws://"]);
    refused(&["echo", "mqtt://localhost"], &["mqtt://"]);
    refused(&["echo", "ws://"], &["host"]);
    refused(&["echo", "ws://localhost:99999/"], &["99999"]);
    refused(&["echo", "ws://localhost:0x50/"], &["port"]);
    refused(&["echo", "ws://[::1/"], &["]"]);
    refused(&["echo", "ws://local host/"], &["ws://"]);
    refused(&["echo", "ws://localhost/\r\nX: y"], &["ws://"]);
    refused(&["mqtt", "mqtt://localhost/topic"], &["-t"]);
}

#[test]
fn too_many_arguments() {
    refused(&["echo", "ws://localhost/", "one", "two"], &["two"]);
    refused(&["mqtt", "ws://localhost/", "one"], &["one"]);
}

#[test]
fn what_the_flags_say_together() {
    // -x is 5.0's; a will needs its topic; a header must be one.
    refused(&["mqtt", "ws://localhost/", "-V", "311", "-x", "10"], &["-x"]);
    refused(&["mqtt", "ws://localhost/", "--will-payload", "x"], &["--will-topic"]);
    refused(&["mqtt", "ws://localhost/", "-c"], &["-i"]);
    refused(&["echo", "ws://localhost/", "-H", "no colon"], &["-H"]);
    refused(&["echo", "ws://localhost/", "-H", "A: b\r\nC: d"], &["-H"]);
}

#[test]
fn what_the_flags_of_cat_say_together() {
    let url = "ws://localhost/";
    refused(&["cat"], &["url"]);
    refused(&["cat", url, "hello"], &["hello", "stdin"]);
    refused(&["cat", url, "--in", "lines"], &["--in", "line", "json"]);
    refused(&["cat", url, "--ping-timeout", "1"], &["--ping-interval"]);
    refused(&["cat", url, "--max-retries", "1"], &["--reconnect"]);
    refused(&["cat", url, "--close-status-code", "1005"], &["--close-status-code", "1000"]);
    refused(&["cat", url, "--close-reason", &"x".repeat(124)], &["--close-reason", "123"]);
    refused(&["cat", url, "-C", "0"], &["-C"]);
    refused(&["cat", url, "-w", "never"], &["-w", "inf"]);
    refused(&["cat", url, "--echo", "--out", "json"], &["--echo", "--out"]);
    refused(&["cat", url, "-b", "--in", "json"], &["--in json", "-b"]);
}

#[test]
fn topics_to_publish_to_have_no_wildcards() {
    for topic in ["a/+", "#", ""] {
        refused(&["mqtt", "ws://localhost/", "-t", topic], &["-t"]);
    }
}

#[test]
fn bytes_that_are_no_utf8() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let run = wspipe([OsStr::new("echo"), OsStr::new("ws://localhost/"), OsStr::from_bytes(b"\xff")]).run();
    run.status(2).stdout_is("").one_line(&["UTF-8"]);
}

#[test]
fn help_and_version_are_data() {
    for args in [
        &["--help"][..],
        &["help"],
        &["help", "echo"],
        &["echo", "--help"],
        &["help", "mqtt"],
        &["help", "serve"],
        &["cat", "--help"],
        &["help", "cat"],
        &["help", "help"],
        &["help", "--help"],
        &["help", "-h"],
    ] {
        let run = wspipe(args).run();
        run.status(0).says_nothing();
        assert!(run.stdout.len() > 200, "{args:?} prints help");
        let long = String::from_utf8_lossy(&run.stdout).lines().map(|line| line.chars().count()).max();
        assert!(long <= Some(100), "{args:?} fits a terminal: {long:?}");
    }
    let version = wspipe(["--version"]).run();
    version.status(0).says_nothing();
    assert!(
        String::from_utf8_lossy(&version.stdout).starts_with(concat!("wspipe ", env!("CARGO_PKG_VERSION")))
    );
    refused(&["help", "ecko"], &["ecko"]);
}

#[test]
fn the_help_names_the_statuses_of_the_readme() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let (_, table) = readme.split_once("## Exit status").unwrap();
    let documented: Vec<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split_once(" |"))
        .map(|(status, _)| status)
        .filter(|status| status.starts_with(|c: char| c.is_ascii_digit()))
        .collect();
    for command in ["echo", "mqtt", "serve"] {
        let help = wspipe(["help", command]).run();
        let help = String::from_utf8_lossy(&help.stdout).into_owned();
        let (_, list) = help.split_once("Exit status:\n").unwrap();
        for line in list.lines() {
            let (status, _) = line.trim().split_once("  ").unwrap();
            assert!(documented.contains(&status), "status {status} of 'wspipe help {command}'");
        }
    }
}

/// Options that the README's table of ways in has, and that are in no command yet. One that is added must go from here.

#[test]
fn the_ways_in_of_the_readme_are_options() {
    let table = section("## Getting there and getting in");
    let code = table.split('`').skip(1).step_by(2);
    let mut named: Vec<&str> =
        code.filter_map(|code| code.split([' ', '=']).next()).filter(|word| word.starts_with('-')).collect();
    named.sort_unstable();
    named.dedup();
    assert!(named.len() > 30, "{named:?}");
    let help: String = ["echo", "mqtt"]
        .iter()
        .map(|command| String::from_utf8_lossy(&wspipe(["help", command]).run().stdout).into_owned())
        .collect();
    let known = |option: &str| help.split([' ', ',', '[', '=', '\n']).any(|word| word == option);
    let missing: Vec<&str> = named.iter().copied().filter(|option| !known(option)).collect();
    assert_eq!(missing, [""; 0], "what the README names and the help does not");
}

#[test]
#[cfg(not(feature = "tls"))]
fn tls_that_is_not_built_in_is_said() {
    for url in ["wss://localhost/", "mqtts://localhost"] {
        refused(&["mqtt", url], &["TLS"]);
    }
}
