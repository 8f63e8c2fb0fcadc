//! The README: its recipes are run as they stand there, only addresses are others; its links lead somewhere, and the
//! commands that prove the promises are there. Other parts of it are held by `mq_readme`, `health`, `cloud`, `proxy`
//! and `usage`.

use std::{fs, io::Write, path::Path};

use rustix::process::Signal;

use crate::support::{
    Peer, bash, free_port,
    mosquitto::{self, PASSWORD, USER},
    readme::{blocks, path_with, section, with},
    temp_dir, wait_until,
    watcher::Watcher,
    websockets, wspipe,
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The recipe that has this text; there are five, each is run by one test below.
fn recipe(text: &str) -> String {
    let all = blocks(&section("## Five recipes"), "sh");
    assert_eq!(all.len(), 5, "five recipes");
    let mut found = all.into_iter().filter(|block| block.contains(text));
    let first = found.next().expect("the README has this recipe");
    assert!(found.next().is_none(), "{text} is in one recipe only");
    first
}

#[test]
fn recipe_is_the_broker_well() {
    let file = temp_dir("recipe").join("pw");
    let path = path_with(&[]);
    let file = file.display().to_string();
    let at = |url: &str, password: &str| {
        fs::write(&file, format!("{password}\n")).expect("target/tmp is writable");
        let changes = [
            ("wss://broker.example.com", url),
            ("-u probe", &format!("-u {USER}")),
            ("probe.pw", &file),
            ("probe/ready", "open/recipe"),
            ("--max-rtt 500", "--max-rtt 9000"),
        ];
        let run = bash(&with(&recipe("the broker is not well"), &changes), [""; 0]).env("PATH", &path).run();
        run.status(0);
        run
    };
    let login = format!("ws://127.0.0.1:{}", mosquitto::shared().login_ws);
    at(&login, PASSWORD).stdout_is("").never_says(&["error"]);
    at(&login, "wrong").stdout_is("the broker is not well: status 67\n").says(&["login"]);
    let gone = format!("ws://127.0.0.1:{}", free_port());
    at(&gone, PASSWORD).stdout_is("the broker is not well: status 7\n").says(&["could not connect"]);
}

#[test]
fn recipe_a_log_into_mqtt() {
    let broker = mosquitto::start_with("");
    let dir = temp_dir("recipe");
    let file = dir.join("app.log");
    fs::write(&file, "first\n").expect("target/tmp is writable");
    // tail goes on for ever: here it ends with a process that is ended below.
    let life = bash("echo $$; exec cat", [""; 0]).open_stdin().start();
    assert!(wait_until(|| life.stdout_so_far().ends_with(b"\n")), "it says its number");
    let tail = format!("tail --pid={} -F", String::from_utf8_lossy(&life.stdout_so_far()).trim());
    let (url, log) = (broker.ws_url(), file.display().to_string());
    let changes = [("tail -F", &tail[..]), ("/var/log/app.log", &log), ("wss://broker.example.com", &url)];
    let mut seen = Watcher::subscribe(broker.tcp, "log/app");
    let run = bash(&with(&recipe("tail -F"), &changes), [""; 0]).env("PATH", &path_with(&[])).start();
    assert_eq!(seen.next().payload, b"first");
    // A line that is written later comes while the pipe is open.
    let mut more = fs::OpenOptions::new().append(true).open(&file).expect("our own file");
    more.write_all("second, späť\n".as_bytes()).expect("our own file");
    assert_eq!(seen.next().payload, "second, späť".as_bytes());
    life.signal(Signal::TERM);
    life.finish().signalled(Signal::TERM);
    run.finish().status(0).stdout_is("").says_nothing();
}

#[test]
fn recipe_one_broker_into_another() {
    let (a, b) = (mosquitto::start_with(""), mosquitto::start_with(""));
    let (from, to) = (a.ws_url(), b.tcp_url());
    let path = path_with(&[]);
    let changes = [("wss://a.example.com", &from[..]), ("mqtts://b.example.com", &to)];
    let publish = |topic: &str, payload: &str| {
        wspipe(["pub", &from, "-t", topic, "-m", payload, "-q", "1"]).run().status(0);
    };
    // The pipe ends with its `sub`, which gets an end here.
    let ending = |end: &str| {
        let script = with(&with(&recipe("-i bridge"), &changes), &[(" | ", &format!(" {end} -W 15 | "))]);
        bash(&script, [""; 0]).env("PATH", &path).shows(a.log()).run().status(0).stdout_is("");
    };
    let mut seen = Watcher::subscribe(b.tcp, "#");
    // It makes the session; what comes while the pipe is down waits there, and goes over with the next.
    ending("-E");
    publish("plant/1", "while it was down");
    publish("office/1", "not asked for");
    ending("-C 1");
    let kept = seen.next();
    assert_eq!((kept.topic.as_str(), &kept.payload[..]), ("plant/1", &b"while it was down"[..]));
    assert_eq!(seen.all_so_far(), [], "and nothing else");
}

#[test]
fn recipe_one_question_by_json_rpc() {
    let server = websockets::rpc();
    let url = server.url("/rpc");
    let path = path_with(&[]);
    let at = |changes: &[(&str, &str)]| {
        let script = with(&with(&recipe("jsonrpc"), &[("ws://localhost:8000/rpc", &url)]), changes);
        bash(&script, [""; 0]).env("PATH", &path).shows(server.log()).run()
    };
    at(&[]).status(0).stdout_is("42\n").says_nothing();
    // No answer: the limit ends it, and the pipe says so.
    at(&[("\"sum\"", "\"no such\""), ("-W 5", "-W 0.5")]).status(28).stdout_is("").one_line(&["0.5 s"]);
}

#[test]
fn recipe_json_into_jq() {
    let broker = mosquitto::start_with("");
    for (room, celsius) in [("attic", "24.5"), ("cellar", "11"), ("kitchen", "21")] {
        let payload = format!("{{\"celsius\":{celsius}}}");
        Watcher::publish(broker.tcp, &format!("sensor/{room}"), payload.as_bytes(), true);
    }
    let url = broker.ws_url();
    let script = with(&recipe("celsius"), &[("wss://broker.example.com", &url)]);
    let run = bash(&script, [""; 0]).env("PATH", &path_with(&[])).shows(broker.log()).run();
    run.status(0).says_nothing();
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    let mut lines: Vec<&str> = said.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["sensor/attic\t24.5", "sensor/cellar\t11", "sensor/kitchen\t21"]);
}

#[test]
fn the_brokers_configuration_is_enough() {
    let block = blocks(&section("## An MQTT client over WebSocket"), "conf").remove(0);
    let start = || {
        let (tcp, ws) = (free_port(), free_port());
        let (tcp_line, ws_line) = (format!("listener {tcp}"), format!("listener {ws}"));
        let mut conf = with(&block, &[("listener 1883", &tcp_line), ("listener 9001", &ws_line)]);
        if rustix::process::geteuid().is_root() {
            conf.push_str("user root\n");
        }
        let dir = temp_dir("mosquitto");
        let file = dir.join("ws.conf");
        fs::write(&file, conf).expect("target/tmp is writable");
        let mut broker = Peer::start("mosquitto", &["-c", &file.to_string_lossy()], &dir);
        broker.ready(&[tcp, ws]).then_some((broker, ws))
    };
    // A port that was free a moment ago may be another's now.
    let (_broker, ws) = (0..5).find_map(|_| start()).expect("mosquitto starts with what the README shows");
    wspipe(["mqtt", &format!("ws://localhost:{ws}")]).run().status(0).says(&["RECEIVED mg/test"]);
}

/// As forges make them of headings.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// The headings and the targets of links of a Markdown text, without its code.
fn headings_and_links(text: &str) -> (Vec<String>, Vec<String>) {
    let (mut headings, mut links, mut code) = (Vec::new(), Vec::new(), false);
    for line in text.lines() {
        if line.starts_with("```") {
            code = !code;
        }
        if code {
            continue;
        }
        if line.starts_with('#') {
            headings.push(anchor(line.trim_start_matches('#').trim()));
        }
        let targets = line.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        links.extend(targets.map(|(target, _)| target.to_owned()));
    }
    (headings, links)
}

/// Whether this link of `file` leads to a heading or a file.
fn leads_somewhere(file: &str, link: &str) -> bool {
    let (path, heading) = link.split_once('#').unwrap_or((link, ""));
    let path = Path::new(ROOT).join(if path.is_empty() { file } else { path });
    match heading {
        "" => path.exists(),
        heading => fs::read_to_string(path)
            .is_ok_and(|text| headings_and_links(&text).0.iter().any(|known| known == heading)),
    }
}

#[test]
fn links_lead_somewhere() {
    for file in ["README.md", "CONTRIBUTING.md"] {
        let text = fs::read_to_string(Path::new(ROOT).join(file)).expect("it is there");
        let (_, mut links) = headings_and_links(&text);
        assert!(links.len() > 3, "{links:?}");
        links.retain(|link| !link.starts_with("https://") && !leads_somewhere(file, link));
        assert_eq!(links, [""; 0], "links of {file} that lead nowhere");
    }
}

#[test]
fn the_proofs_of_the_promises_are_there() {
    let table = section("## Promises and proofs");
    let commands: Vec<&str> =
        table.lines().filter_map(|line| line.strip_prefix("| ")?.split('`').nth(1)).collect();
    let source = |file: &str| fs::read_to_string(Path::new(ROOT).join(file)).expect("it is there");
    let (proofs, tests) = (source("tests/prove/src/main.rs"), source("tests/it/main.rs"));
    let mut names = 0;
    for command in commands {
        let words: Vec<&str> = command.split(' ').collect();
        match words[..] {
            ["scripts/prove", ..] => {
                for name in &words[1..] {
                    assert!(proofs.contains(&format!("Proof::new(\"{name}\"")), "{command}: {name}");
                    names += 1;
                }
            }
            ["cargo", "test", "--test", "it", module] => {
                assert!(tests.contains(&format!("\nmod {module};\n")), "{command}");
            }
            [script] => assert!(Path::new(ROOT).join(script).exists(), "{command}"),
            _ => panic!("what kind of proof is this? {command}"),
        }
    }
    assert_eq!(names, proofs.matches(" Proof::new(\"").count(), "each proof is in the table");
}
