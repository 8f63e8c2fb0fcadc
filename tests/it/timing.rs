//! `--timing` and `--max-rtt`: what was measured, in every command, on every way that fails; and how long is too long.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::Value;

use crate::{
    mqtt_scripted::{Say, broker},
    support::{
        Run, mosquitto, scripted::Scripted, scripted::frame, unaccepting, wait_until, websockets, wspipe,
    },
};

/// The members of a line, in order.
const STEPS: [&str; 8] =
    ["resolve_ms", "connect_ms", "proxy_ms", "tls_ms", "upgrade_ms", "connack_ms", "message_ms", "total_ms"];

/// The lines of `--timing=json`, each with all its members.
fn lines(run: &Run) -> Vec<Value> {
    let lines = run.stderr.lines().filter(|line| line.starts_with('{'));
    let all: Vec<Value> = lines.map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    for line in &all {
        let members: Vec<&String> = line.as_object().expect("an object").keys().collect();
        assert_eq!(members.len(), STEPS.len() + 2, "{line}");
        assert!(STEPS.iter().all(|step| line[step].is_null() || line[step].is_f64()), "{line}");
    }
    all
}

/// The one line: the steps that were measured, without the total, and that they add up to it.
#[track_caller]
fn measured(run: &Run) -> (Vec<String>, Value) {
    let [line] = &lines(run)[..] else { run.fail("not one line of JSON on stderr") };
    let steps: Vec<&str> = STEPS[..7].iter().filter(|step| !line[step].is_null()).copied().collect();
    let sum: f64 = steps.iter().filter_map(|step| line[step].as_f64()).sum();
    let total = line["total_ms"].as_f64().expect("there is always a total");
    if line["failed"].is_null() && !(sum - 0.01..=sum + 0.01).contains(&total) {
        run.fail(&format!("the steps add up to {sum}, not to {total}"));
    }
    (steps.iter().map(|step| step.trim_end_matches("_ms").to_owned()).collect(), line.clone())
}

#[track_caller]
fn has(run: &Run, steps: &[&str], failed: Option<&str>) -> Value {
    let (found, line) = measured(run);
    if found != steps || line["failed"].as_str() != failed {
        run.fail(&format!("measured {found:?} and failed {}, not {steps:?} and {failed:?}", line["failed"]));
    }
    line
}

/// The time in the step that failed is in the total, in milliseconds.
#[track_caller]
fn limit_is_in(line: &Value, limit: f64) {
    let total = line["total_ms"].as_f64().expect("there is always a total");
    assert!((limit..limit + 5000.0).contains(&total), "the limit is {limit}, the total {total}");
}

const WAY: [&str; 3] = ["resolve", "connect", "upgrade"];

#[test]
fn every_command_tells_each_step_once() {
    let (server, broker) = (websockets::shared(), mosquitto::shared());
    let (echo, ws, tcp) = (server.url("/"), broker.ws_url(), broker.tcp_url());
    let json = |args: &[&str]| {
        let run = wspipe(args).args(["--timing=json", "--quiet"]).stdin("x\n").run();
        run.status(0);
        run
    };
    let message = [&WAY[..], &["message"]].concat();
    let line = has(&json(&["echo", &echo]), &message, None);
    assert_eq!(line["url"].as_str(), Some(&echo[..]));
    has(&json(&["echo", &echo, "-c", "3", "-i", "0"]), &message, None);
    has(&json(&["cat", &echo, "-C1"]), &message, None);

    let all = [&WAY[..], &["connack", "message"]].concat();
    has(&json(&["mqtt", &ws, "-t", "timing/ws"]), &all, None);
    has(&json(&["mqtt", &tcp, "-t", "timing/tcp"]), &["resolve", "connect", "connack", "message"], None);
    // Nothing comes back: it is told at the end.
    let publish = ["pub", &ws, "-t", "timing/kept", "-m", "x", "-r", "--timing", "--json"];
    let run = wspipe(publish).run();
    run.status(0);
    has(&run, &all[..4], None);
    let sub = json(&["sub", &ws, "-t", "timing/kept", "-C1"]);
    sub.stdout_is("x\n");
    has(&sub, &all, None);
    // The request comes back by itself where it is published to the response topic: answer enough.
    let rr = ["rr", &ws, "-t", "timing/self", "-e", "timing/self", "-m", "x", "-W5"];
    let run = wspipe(rr).args(["--timing", "--json", "--quiet"]).run();
    run.status(0);
    has(&run, &all, None);
}

#[test]
fn the_line_for_people() {
    let server = websockets::shared();
    let run = wspipe(["echo", &server.url("/"), "--timing", "--quiet"]).run();
    run.status(0).one_line(&[
        "TIMING ws://127.0.0.1:",
        "resolve 0.",
        "connect ",
        "upgrade ",
        "first message ",
    ]);
    run.one_line(&["total ", " ms"]).never_says(&["TLS", "proxy", "CONNACK", "failed"]);
    // Only where it is asked for.
    wspipe(["echo", &server.url("/"), "--quiet"]).run().status(0).says_nothing();
}

#[test]
fn it_is_told_with_the_first_message_not_at_the_end() {
    let broker = mosquitto::shared();
    let (ws, topic) = (broker.ws_url(), "timing/live");
    let mut sub = wspipe(["sub", &ws, "-t", topic, "--timing=json", "-C2", "-W10"]).start();
    broker.logged(&[topic]);
    wspipe(["pub", &ws, "-t", topic, "-m", "1"]).run().status(0);
    sub.wait_stderr("\"message_ms\":");
    wspipe(["pub", &ws, "-t", topic, "-m", "2"]).run().status(0);
    let run = sub.finish();
    run.status(0).stdout_is("1\n2\n");
    measured(&run);
}

#[test]
fn a_way_that_fails_names_the_step_and_what_came_before() {
    // The name.
    let run = wspipe(["echo", "ws://no-such-host.invalid/", "--timing=json"]).run();
    run.status(6);
    has(&run, &[], Some("resolve"));
    // TCP.
    let port = crate::support::free_port();
    let run = wspipe(["cat", &format!("ws://127.0.0.1:{port}/"), "--timing=json"]).run();
    run.status(7);
    has(&run, &["resolve"], Some("connect"));
    let (port, _listener, _queued) = unaccepting();
    let url = format!("ws://127.0.0.1:{port}");
    let run = wspipe(["mqtt", &url, "--connect-timeout", "0.4", "--timing=json"]).run();
    run.status(28);
    limit_is_in(&has(&run, &["resolve"], Some("connect")), 400.0);
}

#[test]
fn an_upgrade_that_is_refused_or_never_comes() {
    let server = Scripted::start(|conn| {
        conn.head()?;
        conn.write("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")?;
        conn.end()
    });
    let run = wspipe(["echo", &server.ws("/x?token=s3cret"), "--timing=json"]).run();
    run.status(22).never_says(&["s3cret"]);
    has(&run, &WAY[..2], Some("upgrade"));
    server.finish();

    let server = Scripted::start(|conn| conn.drain());
    let run = wspipe(["echo", &server.ws("/"), "--connect-timeout=0.3", "--timing", "--quiet"]).run();
    run.status(28).says(&["TIMING", "connect ", "upgrade failed after ", "total ", "phase upgrade"]);
    let run = wspipe(["echo", &server.ws("/"), "--connect-timeout=0.3", "--timing=json"]).run();
    run.status(28);
    limit_is_in(&has(&run, &WAY[..2], Some("upgrade")), 300.0);
    server.finish();
}

#[test]
fn a_login_that_is_refused_or_never_comes() {
    // 5.0 not wanted: a connection each, a line each.
    let server = Scripted::start(|conn| {
        let first = conn.index == 0;
        broker(conn, |packet| match packet[0] >> 4 {
            1 if first => Say::Bytes("20 03 00 84 00"),
            _ => Say::Usual,
        })
    });
    let run = wspipe(["mqtt", &server.mqtt(), "--timing=json", "--quiet"]).run();
    run.status(0);
    let found = lines(&run);
    assert_eq!(found.len(), 2, "{}", run.stderr);
    assert_eq!((found[0]["failed"].as_str(), found[1]["failed"].as_str()), (Some("connack"), None));
    assert!(found[1]["message_ms"].is_f64());
    server.finish();

    let server = Scripted::start(|conn| conn.drain());
    let run = wspipe(["sub", &server.mqtt(), "-t", "a", "-V5", "--connect-timeout=0.3", "--timing"]).run();
    run.status(28).says(&["TIMING", "connect ", "CONNACK failed after ", "total "]);
    let run = wspipe(["sub", &server.mqtt(), "-t", "a", "-V5", "--connect-timeout=0.3"])
        .args(["--timing=json"])
        .run();
    run.status(28);
    limit_is_in(&has(&run, &["resolve", "connect"], Some("connack")), 300.0);
    server.finish();
}

#[test]
fn each_connection_has_its_line() {
    let server = Scripted::start(|conn| {
        conn.upgrade()?;
        conn.write(frame(0x81, format!("from {}", conn.index).as_bytes()))?;
        // The first breaks with no Close.
        if conn.index == 0 { conn.end() } else { conn.messages_to_close().map(|_| ()) }
    });
    let run =
        wspipe(["cat", &server.ws("/"), "--reconnect", "-C2", "--no-stdin", "--timing=json", "--quiet"])
            .run();
    run.status(0).stdout_is("from 0\nfrom 1\n");
    let found = lines(&run);
    assert!(found.len() == 2 && found.iter().all(|line| line["message_ms"].is_f64()), "{}", run.stderr);
    server.finish();
}

#[test]
fn a_signal_on_the_way_leaves_what_was_measured() {
    let asked = Arc::new(AtomicBool::new(false));
    let ours = Arc::clone(&asked);
    let server = Scripted::start(move |conn| {
        conn.head()?;
        ours.store(true, Ordering::SeqCst);
        conn.drain()
    });
    let run = wspipe(["echo", &server.ws("/"), "--timing=json"]).start();
    assert!(wait_until(|| asked.load(Ordering::SeqCst)), "the request has come");
    run.signal(rustix::process::Signal::TERM);
    let run = run.finish();
    run.signalled(rustix::process::Signal::TERM);
    has(&run, &WAY[..2], Some("upgrade"));
    server.finish();
}

#[cfg(feature = "tls")]
#[test]
fn tls_is_a_step_of_its_own() {
    use crate::support::certs;
    let broker = mosquitto::shared();
    let (wss, tls) = (format!("wss://localhost:{}", broker.wss), format!("mqtts://localhost:{}", broker.tls));
    let ca = certs::shared().ca.display().to_string();
    let run = wspipe(["mqtt", &wss, "-t", "timing/wss", "--cafile", &ca, "--timing=json"]).run();
    run.status(0);
    has(&run, &["resolve", "connect", "tls", "upgrade", "connack", "message"], None);
    let run = wspipe(["pub", &tls, "-t", "timing/tls", "-n", "--cafile", &ca, "--timing=json"]).run();
    run.status(0);
    has(&run, &["resolve", "connect", "tls", "connack"], None);
    // The system's roots do not know it.
    let run = wspipe(["mqtt", &wss, "--timing=json"]).run();
    run.status(60);
    has(&run, &["resolve", "connect"], Some("tls"));
}

#[test]
fn a_proxy_is_a_step_of_its_own() {
    let proxies = crate::support::proxies::shared();
    let url = websockets::shared().url("/");
    for proxy in proxies.urls() {
        let run = wspipe(["echo", &url, "--proxy", &proxy, "--timing=json"]).run();
        run.status(0);
        has(&run, &["resolve", "connect", "proxy", "upgrade", "message"], None);
    }
    // Without its login.
    let proxy = format!("http://127.0.0.1:{}", proxies.http_login);
    let run = wspipe(["echo", &url, "--proxy", &proxy, "--timing=json"]).run();
    run.status(97);
    has(&run, &["resolve", "connect"], Some("proxy"));
}

#[test]
fn redirects_are_in_the_total() {
    let server = Scripted::start(|conn| {
        if conn.index == 0 {
            conn.head()?;
            std::thread::sleep(Duration::from_millis(200));
            conn.write("HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n")?;
            return conn.end();
        }
        conn.upgrade()?;
        let (first, payload) = conn.frame()?;
        conn.write(frame(first, &payload))?;
        conn.messages_to_close().map(|_| ())
    });
    let run = wspipe(["echo", &server.ws("/"), "--location", "--timing=json"]).run();
    run.status(0);
    let line = &lines(&run)[0];
    assert!(line["total_ms"].as_f64().expect("there is always a total") >= 200.0, "{line}");
    server.finish();
}

// --- --max-rtt

/// An echo server that lets each message wait so long.
fn slow(pauses: &'static [u64]) -> Scripted {
    Scripted::start(move |conn| {
        conn.upgrade()?;
        for pause in pauses {
            let (first, payload) = conn.message()?;
            std::thread::sleep(Duration::from_millis(*pause));
            conn.write(frame(first, &payload))?;
        }
        conn.messages_to_close().map(|_| ())
    })
}

/// The value that the line names, in milliseconds: at least what the server waited.
#[track_caller]
fn took(run: &Run, least: f64) {
    let named = run.stderr.split("took ").nth(1).and_then(|rest| rest.split(' ').next());
    let named = named.and_then(|text| text.parse::<f64>().ok());
    if named.is_none_or(|ms| ms < least) {
        run.fail(&format!("it named {named:?}, where the server waited {least} ms"));
    }
}

#[test]
fn an_echo_that_takes_too_long_fails() {
    let server = slow(&[120]);
    let run = wspipe(["echo", &server.ws("/"), "--max-rtt", "100", "--quiet"]).run();
    // The reply is right, and printed.
    run.status(1).stdout_is("hello\n").one_line(&["the round trip took ", " ms, above --max-rtt 100"]);
    took(&run, 120.0);
    server.finish();

    let server = slow(&[0]);
    let run = wspipe(["echo", &server.ws("/"), "--max-rtt", "10000", "--quiet"]).run();
    run.status(0).stdout_is("hello\n").says_nothing();
    server.finish();
}

#[test]
fn of_many_echoes_each_one_above_counts() {
    let server = slow(&[0, 500, 0, 500]);
    let run = wspipe(["echo", &server.ws("/"), "--max-rtt=499.5", "-c4", "-i0", "--quiet"]).run();
    run.status(1).one_line(&["2 of 4 round trips were above --max-rtt 499.5: the longest took "]);
    took(&run, 500.0);
    server.finish();
}

#[test]
fn a_broker_that_takes_too_long_fails() {
    let server = Scripted::start(|conn| {
        broker(conn, |packet| {
            if packet[0] >> 4 == 3 {
                std::thread::sleep(Duration::from_millis(120));
            }
            Say::Usual
        })
    });
    wspipe(["mqtt", &server.mqtt(), "--max-rtt", "9000", "--quiet"]).run().status(0).says_nothing();
    let run = wspipe(["mqtt", &server.mqtt(), "--max-rtt", "100", "--quiet"]).run();
    run.status(1).one_line(&["the round trip took ", " ms, above --max-rtt 100"]);
    took(&run, 120.0);
    let run = wspipe(["mqtt", &server.mqtt(), "--max-rtt=100", "--count=2", "--interval=0", "--quiet"]).run();
    run.status(1).one_line(&["2 of 2 round trips were above --max-rtt 100: the longest took "]);
    took(&run, 120.0);
    server.finish();
}
