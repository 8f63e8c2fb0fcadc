//! What the README shows of `pub`, `sub` and `rr` is run as it stands there: only the broker's address is another.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use crate::{
    mq_request::responder,
    support::{bash, mosquitto, readme, temp_dir, wait_until, watcher::Watcher},
};

/// The commands of the README that the tests below run, each once.
const LOG: &str = "journalctl -f | wspipe pub ws://localhost:9001 -t host/log -l -q 1";
const READ: &str = "wspipe sub ws://localhost:9001 -t 'host/#' -v";
const READ_ONE: &str = "wspipe sub ws://localhost:9001 -t 'host/#' -C 1 -W 5 --json | jq .payload";
const ASK: &str = "wspipe rr ws://localhost:9001 -t service/echo -m hello -W 2";
const COPY: &str = "wspipe sub ws://a -t '#' --json | wspipe pub ws://b --in json";

/// The lines of the section's shell blocks that have `pub`, `sub` or `rr`; those for clouds are run by `cloud`.
fn shown() -> Vec<String> {
    let readme = readme::section("## Publish, subscribe, request");
    let mut inside = false;
    let mut all = Vec::new();
    for line in readme.lines() {
        match line {
            "```sh" | "```console" => inside = true,
            "```" => inside = false,
            _ if !inside => {}
            _ => {
                let line = line.strip_prefix("$ ").unwrap_or(line);
                let ours = ["pub", "sub", "rr"].iter().any(|name| line.contains(&format!("wspipe {name} ")));
                all.extend(ours.then(|| line.to_owned()));
            }
        }
    }
    all
}

/// A directory with `wspipe`, and with a `journalctl` that has two lines to tell and stays, as with `-f`.
fn programs() -> PathBuf {
    let dir = temp_dir("bin");
    let follow = "#!/bin/sh\n[ \"$1\" = -f ] || exit 1\nprintf 'first\\nsecond\\n'\nexec cat \"$FIFO\"\n";
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_wspipe"), dir.join("wspipe"))
        .expect("target/tmp is writable");
    let file = dir.join("journalctl");
    fs::write(&file, follow).expect("target/tmp is writable");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("our own file");
    // jq where there is none: that one filter.
    if !["/usr/bin/jq", "/bin/jq"].iter().any(|file| PathBuf::from(file).exists()) {
        let stand_in = "#!/usr/bin/env python3\nimport json, sys\nassert sys.argv[1:] == ['.payload']\n\
                        for line in sys.stdin: print(json.dumps(json.loads(line)['payload']), flush=True)\n";
        fs::write(dir.join("jq"), stand_in).expect("target/tmp is writable");
        fs::set_permissions(dir.join("jq"), fs::Permissions::from_mode(0o755)).expect("our own file");
    }
    dir
}

fn at(command: &str, from: &[(&str, &str)]) -> String {
    from.iter().fold(command.to_owned(), |line, (name, url)| {
        assert!(line.contains(name), "{name} is not in {line}");
        line.replace(name, url)
    })
}

#[test]
fn every_command_shown_is_run_here() {
    assert_eq!(shown(), [LOG, READ, READ_ONE, ASK, COPY]);
}

#[test]
fn the_commands_of_the_readme() {
    let broker = mosquitto::shared();
    let dir = programs();
    let path = format!("{}:/usr/bin:/bin", dir.display());
    let here = [("ws://localhost:9001", &broker.ws_url()[..])];
    let fifo = dir.join("fifo");
    let start = |command: &str| {
        let run = bash(&format!("exec 2>&1; {command}"), [""; 0]).env("PATH", &path);
        run.env("FIFO", &fifo.to_string_lossy()).shows(broker.log()).start()
    };
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .expect("target/tmp is writable");

    // Two that read, and one that writes. `exec` makes the signal below reach wspipe itself.
    let all = start(&format!("exec {}", at(READ, &here)));
    let one = start(&at(READ_ONE, &here));
    broker.logged(&["host/#"]);
    let subscribed =
        || fs::read_to_string(broker.log()).is_ok_and(|log| log.matches("\thost/# (QoS").count() >= 2);
    assert!(wait_until(subscribed), "both have subscribed");
    let log = start(&at(LOG, &here));
    let lines = b"host/log first\nhost/log second\n";
    assert!(
        wait_until(|| all.stdout_so_far() == lines),
        "{:?}",
        String::from_utf8_lossy(&all.stdout_so_far())
    );
    one.finish().status(0).stdout_is("\"first\"\n");
    // The journal ends: so does the pipe.
    drop(fs::OpenOptions::new().write(true).open(&fifo).expect("journalctl reads it"));
    log.finish().status(0).stdout_is("");
    all.signal(rustix::process::Signal::TERM);
    all.finish().signalled(rustix::process::Signal::TERM);

    let answers = responder(&broker.tcp_url(), "service/echo", "1");
    start(&at(ASK, &here)).finish().status(0).stdout_is("[hello]\n");
    answers.finish().status(0);
}

#[test]
fn one_brokers_messages_to_another() {
    let (a, b) = (mosquitto::start_with(""), mosquitto::start_with(""));
    let path = format!("{}:/usr/bin:/bin", programs().display());
    let (from, to) = (a.ws_url(), b.ws_url());
    // What is retained goes over at once.
    Watcher::publish(a.tcp, "x/kept", b"\xff\0", true);
    let mut seen = Watcher::subscribe(b.tcp, "#");
    let command = at(COPY, &[("ws://a", &from), ("ws://b", &to)]);
    // The pipe ends with its `sub`, for which there is a limit here.
    let running = bash(&command.replace(" | ", " -W 3 | "), [""; 0]).env("PATH", &path).start();
    let kept = seen.next();
    assert_eq!((kept.topic.as_str(), &kept.payload[..]), ("x/kept", &b"\xff\0"[..]));
    Watcher::publish(a.tcp, "x/live", "ü\n".as_bytes(), false);
    let live = seen.next();
    assert_eq!((live.topic.as_str(), &live.payload[..], live.retain), ("x/live", "ü\n".as_bytes(), false));
    running.finish().status(28);
}
