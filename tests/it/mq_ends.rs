//! How `pub`, `sub` and `rr` end against a real broker: denials, wills, limits, signals.

use std::{io::Read, thread, time::Duration};

use rustix::process::Signal;

use crate::{
    mq_pipes::{open_urls, publish, subscribe, subscribed},
    mq_scripted::{ack, id_of, message, wires},
    mqtt_scripted::{Say, broker, usual},
    support::{
        free_port,
        mosquitto::{self, PASSWORD, USER},
        scripted::Scripted,
        wait_until,
        watcher::Watcher,
        wspipe,
    },
};

const LOGIN: [&str; 4] = ["-u", USER, "-P", PASSWORD];

fn login_urls() -> [String; 2] {
    let broker = mosquitto::shared();
    [format!("ws://127.0.0.1:{}", broker.login_ws), format!("mqtt://127.0.0.1:{}", broker.login_tcp)]
}

// --- Denied

#[test]
fn a_denied_publish_is_9() {
    for url in login_urls() {
        for qos in ["1", "2"] {
            let run = publish(&url, &LOGIN).args(["-t", "closed/a", "-m", "x", "-q", qos]).run();
            run.status(9).stdout_is("").one_line(&["closed/a", "0x87", "Not authorized"]);
        }
        let run = publish(&url, &LOGIN).args(["-t", "closed/a", "-l", "-q", "1"]).stdin("a\nb\nc\n").run();
        run.status(9).says(&["0x87", "3 of 3"]);
        let run = publish(&url, &LOGIN)
            .args(["--topic-from-line", "-l", "-q", "1"])
            .stdin("open/a 1\nclosed/b 2\nopen/c 3\n")
            .run();
        run.status(9).says(&["closed/b", "0x87"]);
    }
}

#[test]
fn a_wrong_password_is_67() {
    for url in login_urls() {
        for (command, rest) in [
            ("pub", &["-t", "open/a", "-m", "x"][..]),
            ("sub", &["-t", "open/a", "-W", "5"]),
            ("rr", &["-t", "open/a", "-m", "x"]),
        ] {
            let run = wspipe([command, &url, "-u", USER, "-P", "wrong"]).args(rest).run();
            run.status(67).stdout_is("").one_line(&["refused the login"]);
        }
        publish(&url, &["-t", "open/a", "-m", "x", "-V", "311"]).run().status(67);
    }
}

// --- The ends of sub

#[test]
fn the_time_is_over() {
    let url = mosquitto::shared().ws_url();
    let run = wspipe(["sub", &url, "-t", "nobody", "-W", "0.4"]).run();
    run.status(28).within(Duration::from_secs(3)).one_line(&["time"]);
    let run = wspipe(["sub", &url, "-t", "nobody", "-W", "0.4", "-C", "2"]).run();
    run.status(28);
}

#[test]
fn exit_after_suback() {
    for url in open_urls() {
        let run = subscribe(&url, &["-t", "esa", "-E"]).run();
        run.status(0).stdout_is("").says_nothing().within(Duration::from_secs(3));
    }
}

#[test]
fn retained_messages() {
    let broker = mosquitto::shared();
    for (url, kind) in open_urls().iter().zip(["ws", "tcp"]) {
        let t = |rest: &str| format!("kept/{kind}/{rest}");
        let (all, a, b) = (t("#"), t("a"), t("b"));
        publish(url, &["-t", &a, "-m", "1", "-r"]).run().status(0);
        publish(url, &["-t", &b, "-m", "2", "-r", "-q", "2"]).run().status(0);
        let sorted = |run: &crate::support::Run| {
            let mut lines: Vec<String> =
                String::from_utf8_lossy(&run.stdout).lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        let both = [format!("{a} 1"), format!("{b} 2")];
        let snapshot = subscribe(url, &["-t", &all, "-v", "--snapshot", "0.4"]).run();
        snapshot.status(0).says_nothing();
        assert_eq!(sorted(&snapshot), both);
        // The first message that is not retained ends it.
        let sub = subscribed(subscribe(url, &["-t", &all, "-v", "--retained-only"]));
        publish(url, &["-t", &a, "-m", "live"]).run().status(0);
        let run = sub.finish();
        run.status(0);
        assert_eq!(sorted(&run), both);
        let sub = subscribed(subscribe(url, &["-t", &all, "-v", "-R", "-C", "1"]));
        publish(url, &["-t", &a, "-m", "live"]).run().status(0);
        sub.finish().status(0).stdout_is(format!("{a} live\n"));
        let never = subscribe(url, &["-t", &all, "--retain-handling", "never", "-W", "0.4"]).run();
        never.status(28).stdout_is("");
        let sub =
            subscribed(subscribe(url, &["-t", &t("rap"), "-F", "%r", "--retain-as-published", "-C", "1"]));
        publish(url, &["-t", &t("rap"), "-m", "x", "-r"]).run().status(0);
        sub.finish().status(0).stdout_is("1\n");
        Watcher::publish(broker.tcp, &t("rap"), b"", true);
        let removed =
            subscribe(url, &["-t", &all, "-v", "--remove-retained", "--retained-only", "-C", "2"]).run();
        removed.status(0);
        assert_eq!(sorted(&removed), both);
        let gone = subscribe(url, &["-t", &all, "-v", "--snapshot", "0.3"]).run();
        gone.status(0).stdout_is("");
    }
}

#[test]
fn no_local_and_unsubscribe() {
    let url = mosquitto::shared().tcp_url();
    // What we publish ourselves (here the will's stand-in: --remove-retained) is not for us.
    let sub =
        subscribed(subscribe(&url, &["-t", "nl/#", "--no-local", "--remove-retained", "-v", "-C", "2"]));
    publish(&url, &["-t", "nl/a", "-m", "1", "-q", "1"]).run().status(0);
    publish(&url, &["-t", "nl/a", "-m", "2", "-q", "1"]).run().status(0);
    sub.finish().status(0).stdout_is("nl/a 1\nnl/a 2\n");
    // -U of a kept session's subscription.
    let keep = ["-c", "-i", "unsubscriber", "-q", "1"];
    subscribe(&url, &keep).args(["-t", "us/a", "-E"]).run().status(0);
    subscribe(&url, &keep).args(["-U", "us/a", "-t", "us/b", "-E"]).run().status(0);
    publish(&url, &["-t", "us/a", "-t", "us/b", "-m", "x", "-q", "1"]).run().status(0);
    subscribe(&url, &keep)
        .args(["-t", "us/b", "-v", "-C", "1", "-x", "0"])
        .run()
        .status(0)
        .stdout_is("us/b x\n");
    let run = subscribe(&url, &["-U", "us/none", "-i", "never-was"]).run();
    run.status(0).stdout_is("");
}

#[test]
fn a_session_survives_between_runs() {
    for (url, kind) in open_urls().iter().zip(["ws", "tcp"]) {
        for qos in ["1", "2"] {
            let (topic, id) = (format!("between/{kind}/{qos}"), format!("between-{kind}-{qos}"));
            let args = ["-t", &topic, "-q", qos, "-c", "-i", &id];
            subscribe(url, &args).args(["-E"]).run().status(0);
            let all: String = (0..50).map(|n| format!("{n}\n")).collect();
            publish(url, &["-t", &topic, "-l", "-q", qos]).stdin(all.clone()).run().status(0);
            // In three runs; what is beyond -C is left for the next.
            let mut got = String::new();
            for count in ["7", "1", "42"] {
                let run = subscribe(url, &args).args(["-C", count]).run();
                run.status(0).says_nothing();
                got.push_str(&String::from_utf8_lossy(&run.stdout));
            }
            assert_eq!(got, all, "{topic}");
            // Nothing is left, and the session ends.
            let run = wspipe(["sub", url, "-W", "0.3", "-x", "0"]).args(args).run();
            run.status(28).stdout_is("");
        }
    }
}

#[test]
fn a_second_subscriber_takes_the_session() {
    for url in open_urls() {
        let first = subscribed(subscribe(&url, &["-t", "twins", "-i", "twins", "--no-reconnect"]));
        let second = subscribed(subscribe(&url, &["-t", "twins", "-i", "twins", "-C", "1"]));
        let loser = first.finish();
        // mosquitto 2.0.11 cuts the older connection without a word; later ones say 0x8e.
        if loser.stderr.contains("0x8e") {
            loser.status(10).one_line(&["taken over"]);
        } else {
            loser.status(56).one_line(&["ended the connection"]);
        }
        publish(&url, &["-t", "twins", "-m", "x"]).run().status(0);
        second.finish().status(0).stdout_is("x\n").says_nothing();
    }
}

#[test]
fn three_share_one_stream_and_one_is_killed() {
    let broker = mosquitto::roomy();
    let url = broker.ws_url();
    let share = |name: &'static str| {
        subscribed(subscribe(&url, &["-t", "$share/g/shared/#", "-q", "1", "-i", name, "-c", "-x", "60"]))
    };
    let subs = [share("share-a"), share("share-b"), share("share-c")];
    let mut from = publish(&url, &["-t", "shared/x", "-l", "-q", "1"]).open_stdin().start();
    for n in 0..1000 {
        from.write(format!("{n}\n"));
    }
    assert!(wait_until(|| subs.iter().all(|sub| !sub.stdout_so_far().is_empty())), "all get some");
    subs[1].signal(Signal::KILL);
    for n in 1000..3000 {
        from.write(format!("{n}\n"));
    }
    drop(from.take_stdin());
    from.finish().status(0);
    let [a, b, c] = subs;
    let killed = b.finish();
    // Its session still holds what it did not acknowledge: another run takes that up.
    let again = share("share-b");
    let count = |all: &[Vec<u8>]| {
        let mut seen: Vec<u32> = all
            .iter()
            .flat_map(|out| String::from_utf8_lossy(out).lines().map(str::to_owned).collect::<Vec<_>>())
            .filter_map(|line| line.parse().ok())
            .collect();
        seen.sort_unstable();
        seen.dedup();
        seen.len()
    };
    let got = || {
        let outs = [a.stdout_so_far(), killed.stdout.clone(), c.stdout_so_far(), again.stdout_so_far()];
        count(&outs)
    };
    let whole = wait_until(|| got() == 3000);
    assert!(whole, "{} of 3000", got());
    for sub in [a, c, again] {
        sub.signal(Signal::TERM);
        sub.finish().signalled(Signal::TERM);
    }
}

#[test]
fn a_reader_that_goes_ends_it_cleanly() {
    let url = mosquitto::shared().ws_url();
    let mut sub = subscribed(subscribe(&url, &["-t", "head", "-q", "1"]).open_stdout());
    let mut out = sub.take_stdout();
    publish(&url, &["-t", "head", "-m", "first", "-q", "1"]).run().status(0);
    let mut line = [0; 6];
    out.read_exact(&mut line).expect("the first line");
    assert_eq!(&line, b"first\n");
    drop(out);
    sub.finish().status(0).says_nothing();
}

// --- Odds and ends

#[test]
fn nobody_listens() {
    let port = free_port();
    for scheme in ["ws", "mqtt"] {
        let url = format!("{scheme}://127.0.0.1:{port}");
        publish(&url, &["-t", "a", "-m", "x"]).run().status(7).one_line(&["127.0.0.1"]);
        subscribe(&url, &["-t", "a"]).run().status(7).one_line(&["127.0.0.1"]);
    }
}

#[test]
fn the_first_connect_is_tried_again_when_asked() {
    let port = free_port();
    let url = format!("mqtt://127.0.0.1:{port}");
    let sub = publish(&url, &["-t", "a", "-m", "x", "--retry-connect", "--max-retries", "2"]).run();
    sub.status(7).says(&["trying again"]);
    assert_eq!(sub.stderr.matches("trying again").count(), 2, "{}", sub.stderr);
}

#[test]
fn over_tls() {
    #[cfg(feature = "tls")]
    {
        let broker = mosquitto::shared();
        let ca = crate::support::certs::shared().ca.to_string_lossy().into_owned();
        for url in [format!("wss://localhost:{}", broker.wss), format!("mqtts://localhost:{}", broker.tls)] {
            let sub = subscribed(subscribe(&url, &["--cafile", &ca, "-t", "tls", "-C", "2", "-q", "1"]));
            publish(&url, &["--cafile", &ca, "-t", "tls", "-l", "-q", "1"]).stdin("a\nb\n").run().status(0);
            sub.finish().status(0).stdout_is("a\nb\n");
            publish(&url, &["-t", "tls", "-m", "x"]).run().status(60);
        }
    }
}

#[test]
fn two_publishers_reuse_identifiers_and_nothing_is_swallowed() {
    let url = mosquitto::shared().tcp_url();
    let sub = subscribed(subscribe(&url, &["-t", "reuse", "-q", "2", "-C", "6"]));
    for n in 0..3 {
        let args = ["-t", "reuse", "-q", "2", "-l", "-i", "reuser"];
        publish(&url, &args).stdin(format!("{n}a\n{n}b\n")).run().status(0);
    }
    sub.finish().status(0).stdout_is("0a\n0b\n1a\n1b\n2a\n2b\n");
}

#[test]
fn usage() {
    let url = "mqtt://127.0.0.1:1";
    let wrong: &[(&[&str], &str)] = &[
        (&["pub", url, "-m", "x"], "-t"),
        (&["pub", url, "-t", "a"], "-m"),
        (&["pub", url, "-t", "a/#", "-m", "x"], "wildcard"),
        (&["pub", url, "-t", "a", "-m", "x", "-l"], "-l"),
        (&["pub", url, "-t", "a", "-m", "x", "-c", "-i", "b"], "-c"),
        (&["pub", "-h", "broker", "-t", "a", "-m", "b"], "URL"),
        (&["pub", "mqtt://127.0.0.1/topic", "-m", "b"], "-t"),
        (&["sub", url], "-t"),
        (&["sub", url, "-t", "a#"], "a#"),
        (&["sub", url, "-t", "a", "-q", "3"], "-q"),
        (&["sub", url, "-t", "a", "-C", "0"], "-C"),
        (&["sub", url, "-t", "a", "-c"], "-i"),
        (&["sub", url, "-t", "a", "-F", "%y"], "%y"),
        (&["rr", url, "-m", "x"], "-t"),
        (&["rr", url, "-t", "a", "-m", "x", "-V", "311"], "5.0"),
        (&["rr", url, "-t", "a", "-m", "x", "-c", "-i", "b"], "-c"),
    ];
    for (args, part) in wrong {
        wspipe(*args).run().status(2).stdout_is("").one_line(&[part]);
    }
}

#[test]
fn a_signal_in_mid_flight_says_what_is_left() {
    use crate::{
        mqtt_scripted::{Say, broker},
        support::scripted::Scripted,
    };
    let server = Scripted::start(|conn| {
        broker(conn, |packet| if packet[0] >> 4 == 3 { Say::Nothing } else { Say::Usual })
    });
    let mut from =
        publish(&server.mqtt(), &["-t", "a", "-l", "-q", "1", "-M", "2", "-d"]).open_stdin().start();
    from.write("1\n2\n3\n4\n");
    from.wait_stderr("CONNECTED");
    thread::sleep(Duration::from_millis(200));
    from.signal(Signal::TERM);
    let run = from.finish();
    run.signalled(Signal::TERM).says(&["not sent", "2 not acknowledged"]);
    run.within(Duration::from_secs(9));
    server.finish();
}

// --- --remove-retained: what is not known to be removed is told of

/// 30 retained messages, and a broker that takes 20 PUBLISHes at a time.
fn retained_ones(answer: &'static str) -> Scripted {
    Scripted::start(move |conn| {
        let messages: Vec<u8> = (0..30).flat_map(|_| message(0x31, 0, b"x")).collect();
        broker(conn, |packet| match packet[0] & 0xf0 {
            0x10 => Say::Bytes("20 06 00 00 03 21 00 14"),
            0x80 => Say::These([usual(packet, true), messages.clone()].concat()),
            0x30 => match answer {
                "none" => Say::Nothing,
                "denied" => Say::These([&[0x40, 4], &id_of(packet).to_be_bytes()[..], &[0x87, 0]].concat()),
                _ => Say::These(ack(0x40, id_of(packet))),
            },
            _ => Say::Usual,
        })
    })
}

#[test]
fn removals_are_confirmed_or_told_of() {
    let asked = ["-t", "a", "--remove-retained", "-C", "30", "-W", "2"];
    for (answer, status, count) in [("usual", 0, 30), ("denied", 9, 30), ("none", 55, 20)] {
        let server = retained_ones(answer);
        let run = wspipe(["sub", &server.mqtt(), "--close-timeout", "0.3"]).args(asked).run();
        run.status(status).stdout_is("x\n".repeat(30));
        match answer {
            "denied" => run.one_line(&["(30 removals of retained messages denied)"]),
            "none" => run.one_line(&["removals of retained messages: 30 not acknowledged"]),
            _ => run.says_nothing(),
        };
        let removed = wires(server)[0].iter().filter(|packet| packet.starts_with("33")).count();
        assert_eq!(removed, count, "{answer}");
    }
}
