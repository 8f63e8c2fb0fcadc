//! What `echo` and `mqtt` show of the round trips that they made: on a terminal, as JSON, and as a picture.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{
    Run, Wspipe, free_port, mosquitto,
    scripted::{Scripted, frame},
    temp_dir, websockets, wspipe,
};

fn echo(count: &str) -> Wspipe {
    wspipe(["echo", &websockets::shared().url("/echo"), "-i", "0", "-c", count])
}

/// What stands on the screen, where stdout and stderr are the same, with these variables of the environment.
#[track_caller]
fn screen(command: Wspipe, variables: &[&str]) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/terminal.py");
    let command = command.inside(&websockets::python().to_string_lossy()).around([script, "/usr/bin/env"]);
    let run = command.around(variables).open_stdin().start().finish();
    run.status(0);
    String::from_utf8(run.stdout.clone()).expect("a screen of UTF-8")
}

/// An echo server that leaves the last replies out, and says nothing more.
fn replies(number: usize) -> Scripted {
    Scripted::start(move |conn| {
        conn.upgrade()?;
        for _ in 0..number {
            let (first, payload) = conn.message()?;
            conn.write(frame(first, &payload))?;
        }
        conn.messages_to_close().map(drop)
    })
}

// --- On a terminal

#[test]
fn a_terminal_sees_a_histogram_and_percentiles() {
    let broker = mosquitto::shared().ws_url();
    let mqtt = wspipe(["mqtt", &broker, "-t", "look/1", "--count", "20", "--interval", "0"]);
    for command in [echo("20"), mqtt] {
        let shown = screen(command, &["TERM=xterm"]);
        let picture = shown.split_once("rtt min/").expect("a summary before it").1;
        let lines: Vec<&str> = picture.lines().skip(1).collect();
        assert!((2..=12).contains(&lines.len()), "{shown}");
        assert!(lines[..lines.len() - 1].iter().all(|line| line.ends_with(" %")), "{shown}");
        assert!(lines[0].contains("\x1b[32m") && picture.contains('█'), "{shown}");
        let last = lines[lines.len() - 1];
        let names = ["p50", "p90", "p99", "p99.9", "max"];
        assert!(names.iter().all(|name| last.contains(&format!("{name}\x1b[0m"))), "{last:?}");
        // A terminal that does not know its width has 80 columns; escape sequences take none.
        let codes = ["\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m"];
        let columns =
            |line: &&str| codes.iter().fold((*line).to_owned(), |line, code| line.replace(code, ""));
        assert_eq!(lines.iter().map(columns).map(|line| line.chars().count()).max(), Some(80), "{shown}");
    }
}

#[test]
fn colours_and_eighths_where_they_are_wanted() {
    for (variables, colours, unicode) in [
        (&["TERM=xterm", "NO_COLOR=1"][..], false, true),
        (&["TERM=xterm", "NO_COLOR="], true, true),
        (&["TERM=dumb"], false, true),
        (&[], false, true),
        (&["TERM=xterm", "LC_ALL=C"], true, false),
        (&["TERM=xterm", "LC_ALL=", "LANG=en_GB.utf8"], true, true),
    ] {
        let shown = screen(echo("25"), variables);
        assert!(shown.contains("p99.9"), "{variables:?}: {shown}");
        assert_eq!(shown.contains('\x1b'), colours, "{variables:?}: {shown}");
        assert_eq!((shown.contains('█'), shown.is_ascii()), (unicode, !unicode), "{variables:?}: {shown}");
        assert_eq!(shown.contains("##"), !unicode, "{variables:?}: {shown}");
    }
}

#[test]
fn nothing_of_it_elsewhere() {
    for command in [echo("19"), echo("20").args(["--quiet"]), echo("20").args(["--json"])] {
        let shown = screen(command, &["TERM=xterm"]);
        assert!(!shown.contains("p99.9 ") && !shown.contains('\x1b') && !shown.contains('█'), "{shown}");
    }
    let run = echo("20").env("TERM", "xterm").run();
    run.status(0).never_says(&["p90", "\x1b"]);
    let stdout = String::from_utf8_lossy(&run.stdout);
    assert!(stdout.lines().last().is_some_and(|line| line.starts_with("rtt min/")), "{stdout}");
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
}

// --- --json

/// The one object on stdout, whose figures go together.
#[track_caller]
fn object(run: &Run, status: i32) -> Value {
    let stdout = String::from_utf8_lossy(&run.stdout);
    assert_eq!(stdout.lines().count(), 1, "{stdout}");
    let object: Value = serde_json::from_str(&stdout).expect("one JSON object");
    let mut members: Vec<&str> = object.as_object().expect("an object").keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(
        members,
        [
            "command",
            "differing",
            "error",
            "exit_status",
            "histogram",
            "lost",
            "received",
            "rtt_ms",
            "sent",
            "url"
        ]
    );
    let count = |name: &str| object[name].as_u64().expect("a count");
    assert_eq!(count("sent"), count("received") + count("lost"), "{object}");
    assert_eq!(object["exit_status"], status, "{object}");
    let histogram = object["histogram"].as_array().expect("an array");
    assert_eq!(histogram.iter().filter_map(|part| part["count"].as_u64()).sum::<u64>(), count("received"));
    assert_eq!(object["rtt_ms"].is_null(), count("received") == 0, "{object}");
    if count("received") > 0 {
        let rtt = ["min", "p50", "p90", "p99", "p99.9", "max"];
        let rtt = rtt.map(|name| object["rtt_ms"][name].as_f64().expect("a number"));
        assert!(rtt[0] > 0.0 && rtt.is_sorted(), "{object}");
        let mean = object["rtt_ms"]["avg"].as_f64().expect("a number");
        assert!((rtt[0]..=rtt[5]).contains(&mean) && object["rtt_ms"]["stddev"].is_f64(), "{object}");
        assert_eq!(
            (&histogram[0]["from_ms"], &histogram[histogram.len() - 1]["to_ms"]),
            (&Value::from(rtt[0]), &Value::from(rtt[5]))
        );
    }
    object
}

#[test]
fn json_is_all_of_stdout() {
    let broker = mosquitto::shared().ws_url();
    let one = wspipe(["echo", &websockets::shared().url("/echo"), "--json"]);
    let mqtt = || wspipe(["mqtt", &broker, "-t", "look/2", "--json"]);
    let many = mqtt().args(["--count", "3", "--interval", "0", "--quiet"]);
    for (command, number) in [(one, 1), (echo("30").args(["--json"]), 30), (mqtt(), 1), (many, 3)] {
        let run = command.run();
        run.status(0);
        let object = object(&run, 0);
        assert_eq!((&object["received"], &object["lost"]), (&number.into(), &0.into()));
        assert!(object["error"].is_null());
    }
}

#[test]
fn json_of_what_ended_half_way() {
    let server = replies(3);
    let args = ["-c", "9", "-i", "0", "-W", "0.3", "--json"];
    let run = wspipe(["echo", &server.ws("/")]).args(args).run();
    run.status(28).says(&["no reply within 0.3 s"]);
    let late = object(&run, 28);
    assert_eq!((&late["sent"], &late["received"]), (&4.into(), &3.into()));
    assert!(run.stderr.contains(late["error"].as_str().expect("what stderr says")), "{late}");
    server.finish();

    let run = wspipe(["echo", &format!("ws://127.0.0.1:{}/", free_port()), "--json"]).run();
    run.status(7);
    assert_eq!(object(&run, 7)["sent"], 0);

    let server = replies(2);
    let mut running = wspipe(["echo", &server.ws("/")]).args(["-c", "9", "-i", "0", "--json", "-dd"]).start();
    running.wait_stderr("CONNECTED");
    assert!(crate::support::wait_until(|| server.received() > 0));
    running.signal(Signal::INT);
    let run = running.finish();
    run.signalled(Signal::INT);
    object(&run, 130);
    server.finish();

    // A reply that is another one.
    let server = Scripted::start(|conn| {
        conn.upgrade()?;
        conn.message()?;
        conn.write(frame(0x81, b"other"))?;
        conn.messages_to_close().map(drop)
    });
    let run = wspipe(["echo", &server.ws("/"), "--json"]).run();
    run.status(1);
    assert_eq!(object(&run, 1)["differing"], 1);
    server.finish();
}

#[test]
fn timing_beside_json_is_json_on_stderr() {
    let url = websockets::shared().url("/echo");
    for (timing, json) in [("--timing", true), ("--timing=json", true), ("--timing=text", false)] {
        let run = wspipe(["echo", &url, "--json", timing, "--quiet"]).run();
        run.status(0);
        object(&run, 0);
        let line = serde_json::from_str::<Value>(&run.stderr);
        assert_eq!(line.is_ok_and(|line| line["message_ms"].is_f64()), json, "{}", run.stderr);
    }
}

// --- --plot

/// The texts of a picture, as an XML parser finds them.
#[track_caller]
fn texts(file: &Path) -> String {
    let script = "import sys, xml.etree.ElementTree as e; t = e.parse(sys.argv[1]).getroot(); \
                  assert t.tag == '{http://www.w3.org/2000/svg}svg', t.tag; \
                  print('\\n'.join(''.join(x.itertext()) for x in t if not x.tag.endswith('style')))";
    let parsed = Command::new(websockets::python()).args(["-c", script]).arg(file).output();
    let parsed = parsed.expect("python runs");
    assert!(parsed.status.success(), "{}", String::from_utf8_lossy(&parsed.stderr));
    let svg = fs::read_to_string(file).expect("UTF-8");
    assert!(svg.len() < 200_000 && !svg.contains("<script") && !svg.contains("href"), "{}", svg.len());
    String::from_utf8(parsed.stdout).expect("UTF-8")
}

/// A file in a directory of its own.
fn file() -> PathBuf {
    temp_dir("look").join("rtt.svg")
}

#[track_caller]
fn alone(file: &Path) {
    let dir = file.parent().expect("it is in a directory");
    let names: Vec<_> = fs::read_dir(dir).expect("it is there").flatten().map(|e| e.file_name()).collect();
    assert_eq!(names, [file.file_name().expect("it has a name")]);
}

#[test]
fn plot_is_a_picture_of_all() {
    let file = file();
    let url = websockets::shared().url("/echo?token=secret<&>").replace("ws://", "ws://user:pass@");
    let plot = ["--plot".as_ref(), file.as_os_str()];
    wspipe(["echo", &url, "-c", "25", "-i", "0"]).args(plot).run().status(0);
    let shown = texts(&file);
    assert!(!shown.contains("secret") && !shown.contains("pass"), "{shown}");
    for part in ["wspipe echo: RTT of ws://", "25 sent, 25 received, 0 lost", "RTT, ms", "p50 ", "p99 "] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert_eq!(fs::read_to_string(&file).expect("UTF-8").matches("h0").count(), 25);
    alone(&file);
    // Replaced, by one of mqtt.
    let broker = mosquitto::shared().tcp_url();
    let args = ["-t", "look/3", "--count", "2", "--interval", "0"];
    wspipe(["mqtt", &broker]).args(args).args(plot).run().status(0);
    assert!(texts(&file).contains("2 sent, 2 received, 0 lost"));
    alone(&file);
}

#[test]
fn plot_of_thousands_is_small() {
    let file = file();
    let run = echo("5000").args(["--json", "--quiet", "--plot"]).args([&file]).run();
    run.status(0);
    assert_eq!(object(&run, 0)["received"], 5000);
    assert!(texts(&file).contains("5000 sent, 5000 received, 0 lost"));
    assert!(fs::metadata(&file).expect("it is there").len() < 60_000);
}

#[test]
fn plot_also_where_it_ended_half_way() {
    for signal in [Some(Signal::INT), None] {
        let (file, server) = (file(), replies(3));
        let url = server.ws("/");
        let limit = if signal.is_some() { "30" } else { "0.3" };
        let command = wspipe(["echo", &url, "-c", "9", "-i", "0", "-W", limit, "--plot"]).args([&file]);
        let mut running = command.start();
        running.wait_stdout_lines(3);
        if let Some(signal) = signal {
            running.signal(signal);
            running.finish().signalled(signal);
        } else {
            running.finish().status(28);
        }
        let shown = texts(&file);
        assert!(shown.contains("4 sent, 3 received, 1 lost") && shown.contains("× lost"), "{shown}");
        alone(&file);
        server.finish();
    }
}

#[test]
fn plot_that_cannot_be_written_is_said_before_the_test() {
    let dir = temp_dir("look");
    let server = Scripted::start(|conn| conn.drain());
    let none = dir.join("none/rtt.svg");
    for path in [none.as_path(), &dir, Path::new("/dev/null")] {
        let run = wspipe(["echo", &server.ws("/"), "--plot"]).args([path]).run();
        run.status(23).stdout_is("").one_line(&["--plot", "could not be written"]);
    }
    wspipe(["echo", &server.ws("/"), "--plot="]).run().status(2).one_line(&["the name of a file"]);
    assert_eq!(server.received(), 0, "nothing was sent");
    assert!(fs::read_dir(&dir).expect("it is there").next().is_none());
}

#[test]
fn plot_goes_behind_a_link_and_fails_at_the_end_too() {
    let file = file();
    let link = file.with_file_name("link");
    fs::write(&file, "old").expect("target/tmp is writable");
    std::os::unix::fs::symlink("rtt.svg", &link).expect("target/tmp takes links");
    echo("2").args(["--plot"]).args([&link]).run().status(0);
    assert!(fs::symlink_metadata(&link).is_ok_and(|link| link.is_symlink()));
    assert!(texts(&file).contains("2 sent"));
    // The directory goes away while the test runs.
    let dir = temp_dir("look").join("gone");
    fs::create_dir(&dir).expect("target/tmp is writable");
    let url = websockets::shared().url("/echo");
    let args = ["-c", "3", "-i", "0.2", "--json", "--plot"];
    let mut running = wspipe(["echo", &url]).args(args).args([&dir.join("a.svg")]).start();
    running.wait_stderr("CONNECTED");
    fs::remove_dir_all(&dir).expect("it is ours");
    let run = running.finish();
    run.status(23).within(Duration::from_secs(10)).says(&["--plot", "a.svg\": could not be written"]);
    assert_eq!(object(&run, 23)["received"], 3);
}
