//! Wills: after a clean exit, however it came about, none fires; after `kill -9` it does.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use rustix::process::Signal;

use crate::{
    mq_pipes::{publish, subscribe, subscribed},
    mq_request::responder,
    support::{
        Running, Wspipe,
        mosquitto::{self, PASSWORD, USER},
        watcher::Watcher,
        wspipe,
    },
};

/// Ways out, and the status of each.
const WAYS: [(&str, i32); 22] = [
    ("pub -q 0", 0),
    ("pub -q 1", 0),
    ("pub -q 2", 0),
    ("pub -l", 0),
    ("pub -l without a line", 0),
    ("pub denied", 9),
    ("pub of no JSON", 26),
    ("pub -W", 28),
    ("pub SIGTERM", -1),
    ("pub SIGINT", -1),
    ("sub -E", 0),
    ("sub -C", 0),
    ("sub -q 2 -C", 0),
    ("sub -W", 28),
    ("sub --snapshot", 0),
    ("sub -U", 0),
    ("sub --strict", 23),
    ("sub without a reader", 0),
    ("sub SIGTERM", -1),
    ("rr", 0),
    ("rr -W", 28),
    ("rr SIGINT", -1),
];

/// Each way over each kind of URL this often.
const ROUNDS: usize = 5;

/// Above each of their topics; a user with a password may publish there, too.
const TOPICS: &str = "open/wills";

fn with_will(run: Wspipe, topic: &str) -> Wspipe {
    run.args(["--will-topic", topic, "--will-payload", "gone", "--will-qos", "1"])
}

/// One clean exit.
#[track_caller]
fn leave(way: &str, status: i32, kind: &str, login: &str, url: &str, version: &str) {
    let will = format!("{TOPICS}/will/{way}");
    let topic = format!("{TOPICS}/{kind}/topic");
    let version = ["-V", version];
    let publish = |args: &[&str]| with_will(publish(url, &["-t", &topic]).args(args).args(version), &will);
    let subscribe = |args: &[&str]| with_will(wspipe(["sub", url]).args(args).args(version), &will);
    // A retained message ends what waits for one.
    let kept = format!("{TOPICS}/kept/#");
    let kept = ["-t", &kept];
    let none = ["-t", "wills/none"];
    let request = |args: &[&str]| with_will(wspipe(["rr", url]).args(args), &will);
    let run = match way {
        "pub -l" => publish(&["-l", "-q", "1"]).stdin("a\nb\n"),
        "pub -l without a line" => publish(&["-l"]).stdin(""),
        "pub denied" => {
            let args = ["-u", USER, "-P", PASSWORD, "-q", "1", "-t", "closed/wills", "-m", "x", "-V", "5"];
            with_will(wspipe(["pub", login]).args(args), &will)
        }
        "pub of no JSON" => publish(&["--in", "json", "-q", "1"]).stdin("{\"payload\":\"x\"}\n{oops\n"),
        "pub -W" => publish(&["-l", "-W", "0.2"]).open_stdin(),
        "pub SIGTERM" => publish(&["-l", "-q", "1", "-d"]).open_stdin(),
        "pub SIGINT" => publish(&["-l", "-d"]).open_stdin(),
        "sub -E" => subscribe(&none).args(["-E"]),
        "sub -C" => subscribe(&kept).args(["-C", "1"]),
        "sub -q 2 -C" => subscribe(&kept).args(["-C", "1", "-q", "2"]),
        "sub -W" => subscribe(&none).args(["-W", "0.2"]),
        "sub --snapshot" => subscribe(&kept).args(["--snapshot", "0.1"]),
        "sub -U" => subscribe(&["-U", "wills/none"]),
        "sub --strict" => subscribe(&kept).args(["--strict"]),
        "sub without a reader" => subscribe(&none).args(["-d"]).open_stdout(),
        "sub SIGTERM" => subscribe(&none).args(["-d"]),
        "rr" => request(&["-t", &format!("{TOPICS}/{kind}/rr"), "-m", "x"]),
        "rr -W" => request(&["-t", "wills/none", "-m", "x", "-W", "0.2"]),
        "rr SIGINT" => request(&["-t", "wills/none", "-l", "-d"]).open_stdin(),
        _ => publish(&["-m", "x", "-q", &way[way.len() - 1..]]),
    };
    let mut running = run.start();
    let signal = if way.ends_with("SIGTERM") { Signal::TERM } else { Signal::INT };
    if status < 0 {
        running.wait_stderr("CONNECTED");
        running.signal(signal);
        running.finish().signalled(signal);
        return;
    }
    if way == "sub without a reader" {
        running.wait_stderr("CONNECTED");
        drop(running.take_stdout());
    }
    running.finish().status(status);
}

/// A connection's kind, where one logs in, and where anyone does.
fn urls() -> Vec<(&'static str, String, String)> {
    let broker = mosquitto::shared();
    let login = [broker.login_ws, broker.login_tcp];
    vec![
        ("ws", format!("ws://127.0.0.1:{}", login[0]), broker.ws_url()),
        ("tcp", format!("mqtt://127.0.0.1:{}", login[1]), broker.tcp_url()),
    ]
}

#[test]
fn two_hundred_clean_exits_fire_no_will() {
    let broker = mosquitto::shared();
    let mut watchers =
        [broker.tcp, broker.login_open].map(|port| Watcher::subscribe(port, &format!("{TOPICS}/will/#")));
    // A newline inside, for --strict.
    Watcher::publish(broker.tcp, &format!("{TOPICS}/kept/a"), b"a\nb", true);
    let urls = urls();
    let responders = ROUNDS.to_string();
    let answering: Vec<Running> = urls
        .iter()
        .map(|(kind, _, url)| responder(url, &format!("{TOPICS}/{kind}/rr"), &responders))
        .collect();
    let exits: Vec<_> = (0..ROUNDS)
        .flat_map(|round| WAYS.iter().map(move |way| (round, way)))
        .flat_map(|(round, way)| urls.iter().map(move |url| (round, way, url)))
        .collect();
    assert!(exits.len() >= 200, "{} clean exits", exits.len());
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                while let Some((round, (way, status), (kind, login, url))) =
                    exits.get(next.fetch_add(1, Ordering::SeqCst))
                {
                    leave(way, *status, kind, login, url, ["5", "311"][round % 2]);
                }
            });
        }
    });
    answering.into_iter().for_each(|running| {
        running.finish().status(0);
    });
    // A broker that has not yet looked at the last one's end would say so soon.
    for watcher in &mut watchers {
        assert!(watcher.quiet_for(Duration::from_millis(200)), "{:?}", watcher.all_so_far());
        assert_eq!(watcher.all_so_far(), []);
    }
    Watcher::publish(broker.tcp, &format!("{TOPICS}/kept/a"), b"", true);
}

#[test]
fn a_kill_fires_the_will() {
    for (kind, _, url) in urls() {
        for (command, args) in
            [("pub", &["-l"][..]), ("sub", &[]), ("sub", &["-q", "2", "-c", "-i", "killed"]), ("rr", &["-l"])]
        {
            let topic = format!("wills/killed/{kind}/{command}{}", args.len());
            let mut watcher = Watcher::subscribe(mosquitto::shared().tcp, &topic);
            let run = wspipe([command, &url, "-t", "wills/none", "-d"]).args(args).open_stdin();
            let mut running = with_will(run, &topic).start();
            running.wait_stderr("CONNECTED");
            running.signal(Signal::KILL);
            assert_eq!(watcher.next().payload, b"gone", "{topic}");
            running.finish().signalled(Signal::KILL);
        }
    }
}

#[test]
fn a_kill_in_mid_stream_fires_the_will() {
    let url = mosquitto::shared().ws_url();
    let mut watcher = Watcher::subscribe(mosquitto::shared().tcp, "wills/mid");
    let mut sub = subscribed(subscribe(&url, &["-t", "wills/stream", "-q", "1"]));
    let mut from =
        with_will(publish(&url, &["-t", "wills/stream", "-l", "-q", "1"]), "wills/mid").open_stdin().start();
    for n in 0..1000 {
        from.write(format!("{n}\n"));
    }
    sub.wait_stdout_lines(10);
    from.signal(Signal::KILL);
    from.finish().signalled(Signal::KILL);
    assert_eq!(watcher.next().payload, b"gone");
    sub.signal(Signal::TERM);
    let run = sub.finish();
    run.signalled(Signal::TERM);
    // What came is a beginning of what was sent.
    let lines = String::from_utf8_lossy(&run.stdout).lines().map(str::to_owned).collect::<Vec<_>>();
    assert!(lines.iter().enumerate().all(|(n, line)| *line == n.to_string()), "{lines:?}");
}
