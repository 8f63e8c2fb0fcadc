//! The README's health checks, run as they stand there; only addresses and names are others.

use std::{fs, time::Duration};

use crate::{
    mqtt_scripted::{Say, broker},
    support::{
        Run, bash, free_port,
        mosquitto::{self, PASSWORD, USER},
        readme::{blocks, path_with, section, with},
        scripted::Scripted,
        temp_dir, wspipe,
    },
};

const SECTION: &str = "## Health checks";

/// The one block of this language.
fn block(language: &str) -> String {
    let mut all = blocks(&section(SECTION), language);
    assert_eq!(all.len(), 1, "one block of {language}");
    all.remove(0)
}

/// A broker whose round trips take longer than 150 ms.
fn slow() -> Scripted {
    Scripted::start(|conn| {
        broker(conn, |packet| {
            if packet[0] >> 4 == 3 {
                std::thread::sleep(Duration::from_millis(160));
            }
            Say::Usual
        })
    })
}

/// `command: [a, "b"]` of the probe.
fn probe(yaml: &str) -> Vec<String> {
    let (_, list) = yaml.split_once("command: [").expect("an exec probe");
    let (list, _) = list.split_once(']').expect("a list in brackets");
    list.split(',').map(|item| item.trim().trim_matches('"').to_owned()).collect()
}

#[test]
fn kubernetes() {
    let yaml = block("yaml");
    let command = probe(&yaml);
    assert_eq!(command[..2], ["wspipe", "mqtt"]);
    let broker = mosquitto::shared();
    let at = |url: &str, password: &str| {
        let args = command[1..].iter().map(|arg| match arg.as_str() {
            "ws://localhost:9001" => url.to_owned(),
            "probe" => USER.to_owned(),
            "probe/ready" => "open/ready".to_owned(),
            other => other.to_owned(),
        });
        wspipe(args).env("PROBE_PASSWORD", password).run()
    };
    let login = format!("ws://127.0.0.1:{}", broker.login_ws);
    at(&login, PASSWORD).status(0).stdout_is("").says_nothing();
    at(&login, "wrong").status(67).one_line(&["login"]);
    at(&format!("ws://127.0.0.1:{}", free_port()), PASSWORD).status(7).one_line(&["could not connect"]);

    // The kubelet has more patience than the limits together.
    let after = |name: &str| command.iter().skip_while(|arg| *arg != name).nth(1).expect("a limit");
    let seconds = |text: &str| text.parse::<u64>().expect("whole seconds");
    let limits = ["--connect-timeout", "--ack-timeout", "-W"].map(|name| seconds(after(name)));
    let patience = yaml.lines().find_map(|line| line.trim().strip_prefix("timeoutSeconds: "));
    assert!(limits.iter().sum::<u64>() < seconds(patience.expect("a timeout")), "{limits:?}");
}

#[test]
fn nagios_and_icinga() {
    let plugin = blocks(&section(SECTION), "sh").remove(0);
    let path = path_with(&[("check_mqtt", &plugin)]);
    let check = |args: &[&str]| bash("exec check_mqtt \"$@\"", args).env("PATH", &path).run();
    let broker = mosquitto::shared();
    let tcp = broker.tcp_url();
    let said = |run: &Run| String::from_utf8_lossy(&run.stdout).into_owned();

    let ok = check(&[&tcp, "-t", "health/icinga", "--max-rtt", "9000"]);
    ok.status(0).says_nothing();
    let line = said(&ok);
    // What it says and its performance data have the same number.
    let (text, data) = line.trim_end().split_once('|').expect("performance data");
    let rtt = data.strip_prefix("rtt=").and_then(|data| data.strip_suffix("ms")).expect("a time in ms");
    assert!(rtt.parse::<f64>().is_ok_and(|ms| ms > 0.0), "{line}");
    assert_eq!(text, format!("MQTT OK: round trip in {rtt} ms"));

    let server = slow();
    let warning = check(&[&server.mqtt(), "--max-rtt", "150"]);
    warning.status(1).says_nothing();
    assert!(said(&warning).starts_with("MQTT WARNING: mqtt://127.0.0.1:"), "{}", said(&warning));
    assert!(said(&warning).contains("above --max-rtt 150|rtt="), "{}", said(&warning));
    // Above -W there is no round trip at all.
    let late = check(&[&server.mqtt(), "--max-rtt", "50", "-W", "0.1"]);
    late.status(2);
    assert!(said(&late).starts_with("MQTT CRITICAL: ") && said(&late).ends_with("|\n"), "{}", said(&late));
    server.finish();

    let gone = check(&[&format!("mqtt://127.0.0.1:{}", free_port())]);
    gone.status(2).says_nothing();
    assert!(said(&gone).starts_with("MQTT CRITICAL: could not connect"), "{}", said(&gone));
    let wrong = check(&["http://localhost"]);
    wrong.status(3).says_nothing();
    assert!(said(&wrong).starts_with("MQTT UNKNOWN: "), "{}", said(&wrong));
    for run in [&ok, &warning, &late, &gone, &wrong] {
        assert_eq!(said(run).lines().count(), 1, "{}", said(run));
    }
}

#[test]
fn cron() {
    let line = block("crontab");
    let command = line.splitn(6, ' ').nth(5).expect("five fields, and the command");
    assert!(line.starts_with("*/5 * * * * ") && !command.contains('%'), "cron makes a newline of %: {line}");
    let file = temp_dir("cron").join("pw");
    fs::write(&file, format!("{PASSWORD}\n")).expect("target/tmp is writable");
    let path = path_with(&[]);
    let at = |url: &str| {
        let file = file.display().to_string();
        let changes = [("wss://broker.example.com", url), ("/etc/probe.pw", &file), ("-u probe", "-u $USER")];
        let topic = format!("{} -t open/cron", with(command.trim_end(), &changes));
        bash("exec sh -c \"$1\"", [topic]).env("PATH", &path).env("USER", USER).run()
    };
    let broker = mosquitto::shared();
    at(&format!("ws://127.0.0.1:{}", broker.login_ws)).status(0).stdout_is("").says_nothing();
    at(&format!("ws://127.0.0.1:{}", free_port())).status(7).stdout_is("").one_line(&["could not connect"]);
}

#[test]
fn where_the_time_goes() {
    let console = block("console");
    let commands: Vec<&str> = console.lines().filter_map(|line| line.strip_prefix("$ ")).collect();
    let [text, json] = commands[..] else { panic!("two commands: {commands:?}") };
    let broker = mosquitto::shared();
    let url = broker.ws_url();
    let path = path_with(&[]);
    let at = |command: &str| {
        bash(&with(command, &[("ws://localhost:9001", &url)]), [""; 0]).env("PATH", &path).run()
    };
    // The same words, with other numbers.
    let words = |line: &str| {
        let line = line.replace(&url, "ws://localhost:9001");
        let numbers = |c: char| c.is_ascii_digit() || c == '.';
        line.split(' ').filter(|word| !word.chars().all(numbers)).map(str::to_owned).collect::<Vec<_>>()
    };
    let run = at(text);
    run.status(0).one_line(&["TIMING"]);
    let shown = console.lines().find(|line| line.starts_with("wspipe: TIMING")).expect("its output");
    assert_eq!(words(run.stderr.trim_end()), words(shown));
    let run = at(&json.replace("jq .connack_ms", "sed 's/.*\"connack_ms\":\\([0-9.]*\\),.*/\\1/'"));
    run.status(0).says_nothing();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(said.trim_end().parse::<f64>().is_ok_and(|ms| ms > 0.0), "{said}");
}
