//! `wspipe pub` into `wspipe sub` over a real broker: what goes in comes out, whole.

use std::{fs, path::Path, time::Duration};

use crate::support::{
    Running, Wspipe, bash,
    mosquitto::{self, Mosquitto},
    temp_dir, wait_until, wspipe,
};

/// Both kinds of URL of the listeners that let anyone in.
pub fn open_urls() -> [String; 2] {
    [mosquitto::shared().ws_url(), mosquitto::shared().tcp_url()]
}

/// `wspipe pub` of the shared broker.
pub fn publish(url: &str, args: &[&str]) -> Wspipe {
    wspipe(["pub", url]).args(args).shows(mosquitto::shared().log())
}

/// `wspipe sub`.
pub fn subscribe(url: &str, args: &[&str]) -> Wspipe {
    wspipe(["sub", url, "-W", "18"]).args(args).shows(mosquitto::shared().log())
}

/// `wspipe sub` that has its SUBACK when this comes back.
#[track_caller]
pub fn subscribed(run: Wspipe) -> Running {
    let file = temp_dir("ready").join("ready");
    await_ready(run.args(["--ready", &file.to_string_lossy()]).start(), &file)
}

#[track_caller]
fn await_ready(mut running: Running, file: &Path) -> Running {
    if !wait_until(|| file.exists() || running.has_ended()) || !file.exists() {
        running.finish().fail("--ready was never written");
    }
    running
}

fn lines(n: usize) -> Vec<u8> {
    (0..n).flat_map(|i| format!("line {i} {}\n", "x".repeat(i % 50)).into_bytes()).collect()
}

/// A broker whose queues take as many messages as a test sends.
fn roomy() -> &'static Mosquitto {
    mosquitto::roomy()
}

#[test]
fn many_lines_at_each_qos_come_whole() {
    let all = lines(100_000);
    for (url, kind) in [(roomy().ws_url(), "ws"), (roomy().tcp_url(), "tcp")] {
        for qos in ["0", "1", "2"] {
            let topic = format!("many/{kind}/{qos}");
            let sub = subscribed(subscribe(&url, &["-t", &topic, "-q", qos, "-C", "100000"]));
            let run = publish(&url, &["-t", &topic, "-l", "-q", qos]).stdin(all.clone()).run();
            run.status(0).says_nothing();
            let got = sub.finish();
            got.status(0).says_nothing();
            if got.stdout != all {
                let n = got.stdout.iter().filter(|b| **b == b'\n').count();
                got.fail(&format!("{topic}: not what was sent; {n} lines"));
            }
        }
    }
}

#[test]
fn ready_ends_the_race() {
    let url = mosquitto::shared().ws_url();
    let dir = temp_dir("race");
    for round in 0..5 {
        let (fifo, topic) = (dir.join(format!("ready{round}")), format!("race/{round}"));
        let script = r#"
            "$WSPIPE" sub "$1" -t "$2" -C 1 -W 10 --ready "$3" > "$3.out" & sub=$!
            for i in {1..2000}; do [ -e "$3" ] && break; sleep 0.005; done
            "$WSPIPE" pub "$1" -t "$2" -m "round" -W 10 || exit
            wait $sub || exit
            cat "$3.out""#;
        let run = bash(script, [url.as_str(), &topic, &fifo.to_string_lossy()]).run();
        run.status(0).stdout_is("round\n").says_nothing();
    }
}

#[test]
fn ready_to_a_descriptor() {
    let script = r#"
        exec {sub}< <("$WSPIPE" sub "$1" -t fd/ready -C 1 -W 10 --ready fd:3 3>&2)
        read -r -u "$sub" line; echo "$line""#;
    let url = mosquitto::shared().tcp_url();
    let mut run = bash(script, [url.as_str()]).start();
    if !wait_until(|| !run.stderr_so_far().is_empty() || run.has_ended()) {
        run.finish().fail("nothing on descriptor 3");
    }
    publish(&url, &["-t", "fd/ready", "-m", "hi"]).run().status(0);
    run.finish().status(0).stdout_is("hi\n");
}

#[test]
fn sources() {
    let file = temp_dir("sources").join("payload");
    fs::write(&file, "one\ntwo\n").expect("target/tmp is writable");
    let file = file.to_string_lossy();
    let url = mosquitto::shared().ws_url();
    let cases: &[(&[&str], &[u8], &[u8])] = &[
        (&["-m", "plain"], b"", b"plain|"),
        (&["-m", ""], b"", b"|"),
        (&["-m", "-r"], b"", b"-r|"),
        (&["-n"], b"", b"|"),
        (&["-f", &file], b"", b"one\ntwo\n|"),
        (&["-s"], b"a\nb\0c", b"a\nb\0c|"),
        (&["-s"], b"", b"|"),
        (&["-l"], b"a\n\nb\r\nc", b"a||b\r|c|"),
        (&["-l"], b"", b""),
        (&["-l", "-0"], b"a\n\0\0b", b"a\n||b|"),
        (&["-m", "thrice", "--repeat", "3"], b"", b"thrice|thrice|thrice|"),
        (&["-m", "slow", "--repeat", "2", "--repeat-delay", "0.2"], b"", b"slow|slow|"),
    ];
    for (n, (args, stdin, expected)) in cases.iter().enumerate() {
        let topic = format!("sources/{n}");
        let end = format!("sources/{n}/end");
        let sub = subscribed(subscribe(&url, &["-t", &topic, "-t", &end, "-F", "%p|", "-N"]));
        let run = publish(&url, &["-t", &topic]).args(*args).stdin(*stdin).run();
        run.status(0).says_nothing();
        if args.contains(&"--repeat-delay") && run.took < Duration::from_millis(200) {
            run.fail("no pause between the rounds");
        }
        publish(&url, &["-t", &end, "-m", "END"]).run().status(0);
        let done = wait_until(|| sub.stdout_so_far().ends_with(b"END|"));
        let got = sub.stdout_so_far();
        assert!(done, "{args:?}: {}", String::from_utf8_lossy(&got));
        let expected = [expected, &b"END|"[..]].concat();
        assert!(got == expected, "{args:?}: {}", String::from_utf8_lossy(&got));
    }
}

#[test]
fn several_topics_and_a_topic_in_each_line() {
    let url = mosquitto::shared().tcp_url();
    let sub = subscribed(subscribe(&url, &["-t", "st/#", "-v", "-C", "5"]));
    publish(&url, &["-t", "st/a", "-t", "st/b", "-m", "both"]).run().status(0);
    publish(&url, &["--topic-from-line", "-l"]).stdin("st/c one two\nst/d \n").run().status(0);
    publish(&url, &["--topic-from-line=::", "-l"]).stdin("st/e f::g::h\n").run().status(0);
    sub.finish().status(0).stdout_is("st/a both\nst/b both\nst/c one two\nst/d (null)\nst/e f g::h\n");
    let run = publish(&url, &["--topic-from-line", "-l"]).stdin("st/a ok\nnothing\n").run();
    run.status(26).one_line(&["line 2"]);
    let run = publish(&url, &["--topic-from-line", "-l"]).stdin("st/+ x\n").run();
    run.status(26).one_line(&["line 1"]);
}

#[test]
fn empty_large_and_foreign() {
    let big: Vec<u8> = (0..10_000_000_u32).map(|i| (i ^ (i >> 8)) as u8).collect();
    for url in open_urls() {
        for (topic, payload) in
            // mosquitto 2.0 sends no 10 MB message to a WebSocket client.
            [
                ("efl/empty", &b""[..]),
                ("efl/ünï/日本語/🦀", "ß\n€".as_bytes()),
                ("efl/big", &big[..if url.starts_with("ws") { 100_000 } else { big.len() }]),
            ]
        {
            let sub = subscribed(subscribe(&url, &["-t", topic, "-C", "1", "-N", "-q", "2"]));
            publish(&url, &["-t", topic, "-s", "-q", "2"]).stdin(payload).run().status(0).says_nothing();
            let got = sub.finish();
            got.status(0);
            assert!(got.stdout == payload, "{topic}: {} bytes", got.stdout.len());
        }
    }
}

#[test]
fn json_there_and_back() {
    let url = mosquitto::shared().ws_url();
    let payloads: [&[u8]; 7] = [
        b"",
        b"plain",
        b"a\0b",
        b"\xff\xfe\x00\x80",
        "ü\u{1f980}\n\t\"\\".as_bytes(),
        b"{\"a\":1}",
        b"\x7f\x1b",
    ];
    let sub = subscribed(subscribe(&url, &["-t", "json/from/#", "--json", "-C", "7", "-q", "1"]));
    for (n, payload) in payloads.iter().enumerate() {
        let args = ["-t", &format!("json/from/{n}"), "-q", "1", "-s"];
        let more = ["-D", "publish", "content-type", "a/b", "-D", "publish", "user-property", "k\"", "v"];
        publish(&url, &args).args(more).stdin(*payload).run().status(0);
    }
    let first = sub.finish();
    first.status(0);
    assert_eq!(first.stdout.iter().filter(|b| **b == b'\n').count(), 7);
    assert!(std::str::from_utf8(&first.stdout).is_ok());
    // Back over another topic: the time of receipt and the identifier are all that may differ.
    let moved = String::from_utf8(first.stdout).expect("checked").replace("json/from/", "json/back/");
    let sub = subscribed(subscribe(&url, &["-t", "json/back/#", "--json", "-C", "7", "-q", "1"]));
    let raw = subscribed(subscribe(&url, &["-t", "json/back/#", "-N", "-F", "%p|%C|%P;", "-C", "7"]));
    publish(&url, &["--in", "json"]).stdin(moved.clone()).run().status(0).says_nothing();
    let second = sub.finish();
    let strip = |text: &str| -> Vec<String> {
        let cut = |line: &str| {
            let rest = line.split_once("\"topic\"").expect("after the time").1;
            let (head, tail) = rest.split_once("\"mid\":").expect("at QoS 1");
            format!("{head}{}", tail.trim_start_matches(|c: char| c.is_ascii_digit()))
        };
        text.lines().map(cut).collect()
    };
    let second_text = String::from_utf8_lossy(&second.stdout).into_owned();
    assert_eq!(strip(&second_text), strip(&moved));
    let expected: Vec<u8> = payloads.iter().flat_map(|p| [*p, b"|a/b|k\":v;"].concat()).collect();
    raw.finish().status(0).stdout_is(expected);
    let run =
        publish(&url, &["--in", "json"]).stdin("{\"topic\":\"json/x\",\"payload\":\"a\"}\n{oops\n").run();
    run.status(26).one_line(&["line 2"]);
}

#[test]
fn outputs() {
    let url = mosquitto::shared().tcp_url();
    let cases: &[(&[&str], &[u8])] = &[
        (&[], b"a\nb\n\n"),
        (&["-N"], b"ab\n"),
        (&["-0"], b"a\0b\n\0"),
        (&["-v"], b"outs a\nouts b\n\n"),
        (&["-F", "%t/%q/%l\\t%%"], b"outs/0/1\t%\nouts/0/2\t%\n"),
        (&["-T", "outs", "-t", "outs2"], b"c\nd\n"),
    ];
    for (args, expected) in cases {
        let sub = subscribed(subscribe(&url, &["-t", "outs", "-C", "2"]).args(*args));
        for (topic, message) in [("outs", "a"), ("outs", "b\n"), ("outs2", "c"), ("outs2", "d")] {
            publish(&url, &["-t", topic, "-m", message, "-q", "1"]).run().status(0);
        }
        let got = sub.finish();
        got.status(0);
        assert!(got.stdout == *expected, "{args:?}: {:?}", String::from_utf8_lossy(&got.stdout));
    }
    let sub = subscribed(subscribe(&url, &["-t", "strict/outs", "--strict"]));
    publish(&url, &["-t", "strict/outs", "-m", "a\nb"]).run().status(0);
    let run = sub.finish();
    run.one_line(&["--strict", "newline"]).stdout_is("");
}

#[test]
fn slow_lines_leave_at_once() {
    let url = mosquitto::shared().ws_url();
    for qos in ["0", "1", "2"] {
        let topic = format!("slow/{qos}");
        let mut sub = subscribed(subscribe(&url, &["-t", &topic, "-q", qos, "-C", "3"]));
        let mut from = publish(&url, &["-t", &topic, "-l", "-q", qos]).open_stdin().start();
        for n in 1..=3 {
            from.write(format!("{n}\n"));
            sub.wait_stdout_lines(n);
        }
        sub.finish().status(0).stdout_is("1\n2\n3\n");
        drop(from.take_stdin());
        from.finish().status(0).says_nothing();
    }
}

#[test]
fn an_idle_publisher_keeps_alive() {
    let url = mosquitto::shared().ws_url();
    let sub = subscribed(subscribe(&url, &["-t", "idle/pub", "-C", "1", "-k", "1"]));
    let mut from = publish(&url, &["-t", "idle/pub", "-l", "-k", "1", "-i", "idle-pub"]).open_stdin().start();
    mosquitto::shared().logged(&["idle-pub"]);
    // Three times the keepalive: the broker gives up after one and a half.
    std::thread::sleep(Duration::from_secs(3));
    assert!(!from.has_ended());
    from.write("still here\n");
    drop(from.take_stdin());
    from.finish().status(0).says_nothing();
    sub.finish().status(0).stdout_is("still here\n").says_nothing();
}

#[test]
fn a_stopped_subscriber_catches_up() {
    // stdout stalls for longer than twice the keepalive, with more than the pipe holds behind it.
    let url = roomy().ws_url();
    for qos in ["0", "1"] {
        let topic = format!("stalled/{qos}");
        let all = lines(20_000);
        let args = ["-t", &topic, "-q", qos, "-C", "20000", "-k", "1"];
        let mut sub = subscribed(subscribe(&url, &args).open_stdout());
        publish(&url, &["-t", &topic, "-l", "-q", qos]).stdin(all.clone()).run().status(0);
        std::thread::sleep(Duration::from_millis(2500));
        let mut got = Vec::new();
        std::io::Read::read_to_end(&mut sub.take_stdout(), &mut got).expect("a pipe");
        let run = sub.finish();
        run.status(0);
        assert!(got == all, "{qos}: {} of {} bytes", got.len(), all.len());
    }
}
