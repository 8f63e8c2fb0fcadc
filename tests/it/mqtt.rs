//! `wspipe mqtt` against mosquitto, over WebSocket and over plain TCP.

use std::{fs, time::Duration};

use crate::support::{
    Run, free_port,
    mosquitto::{self, PASSWORD, USER},
    temp_dir,
    watcher::{Seen, Watcher},
    wspipe,
};

const MILESTONES: [&str; 4] = ["CONNECTED", "SUBSCRIBED", "PUBLISHED", "RECEIVED"];

/// Both kinds of URL of the listeners that let anyone in.
fn open_urls() -> [String; 2] {
    [mosquitto::shared().ws_url(), mosquitto::shared().tcp_url()]
}

#[track_caller]
fn mqtt(url: &str, args: &[&str]) -> Run {
    wspipe(["mqtt", url]).args(args).shows(mosquitto::shared().log()).run()
}

/// The user's name and password as a URL has them.
fn userinfo(user: &str, password: &str) -> String {
    let escape = |text: &str| text.bytes().map(|b| format!("%{b:02X}")).collect::<String>();
    format!("{}:{}@", escape(user), escape(password))
}

#[test]
fn the_defaults() {
    // Topic mg/test, message hello, version 5, QoS 0. Other tests use other topics.
    let mut watcher = Watcher::subscribe(mosquitto::shared().tcp, "mg/test");
    mqtt(&mosquitto::shared().ws_url(), &[]).status(0).stdout_is("").says(&MILESTONES);
    let seen = watcher.all_so_far();
    assert_eq!(seen, [Seen { topic: "mg/test".into(), payload: b"hello".to_vec(), retain: false }]);
}

#[test]
fn versions_and_qos() {
    for url in open_urls() {
        for version in ["5", "311", "mqttv5", "mqttv311"] {
            for qos in ["0", "1", "2"] {
                let topic = format!("versions/{version}/{qos}");
                let run = mqtt(&url, &["-V", version, "-q", qos, "-t", &topic]);
                run.status(0).stdout_is("").says(&MILESTONES);
                run.says(&["CONNECTED", "SUBSCRIBED", &topic, "PUBLISHED", &topic, "RECEIVED", &topic]);
                let qos = format!("QoS {qos}");
                run.says(&["SUBSCRIBED", &qos, "PUBLISHED", &qos, "RECEIVED", &qos]).says(&["ms"]);
                run.never_says(&["warning", "WARN"]);
            }
        }
    }
}

#[test]
fn leaves_with_unsubscribe_and_disconnect() {
    let broker = mosquitto::shared();
    for (url, id) in open_urls().iter().zip(["leaves-ws", "leaves-tcp"]) {
        for version in ["5", "311"] {
            let id = format!("{id}-{version}");
            mqtt(url, &["-i", &id, "-V", version, "-q", "2", "-t", &id]).status(0);
            broker.logged(&["Received UNSUBSCRIBE", &id]);
            broker.logged(&[&format!("Client {id} disconnected.")]);
        }
    }
}

#[test]
fn messages_of_any_kind() {
    let url = mosquitto::shared().tcp_url();
    for message in ["", "grüße 世界", "two\nlines", "-r", "ws://x"] {
        let topic = "messages/of any kind/ü";
        let mut watcher = Watcher::subscribe(mosquitto::shared().tcp, topic);
        mqtt(&url, &["-t", topic, "-m", message, "-q", "1"]).status(0).says(&MILESTONES);
        assert_eq!(watcher.next().payload, message.as_bytes());
    }
}

#[test]
fn large_messages() {
    // Over TCP: 2.0.11 sends large ones over WebSocket at 40 kB/s.
    let message = "x".repeat(100_000);
    mqtt(&mosquitto::shared().tcp_url(), &["-t", "large", "-m", &message, "-q", "2"])
        .status(0)
        .says(&MILESTONES);
    mqtt(&mosquitto::shared().ws_url(), &["-t", "larger", "-m", &message[..10_000], "-q", "1"]).status(0);
}

#[test]
fn several_round_trips() {
    for url in open_urls() {
        for qos in ["0", "1", "2"] {
            let run = mqtt(
                &url,
                &["--count", "5", "--interval", "0.01", "-q", qos, "-t", &format!("several/{qos}")],
            );
            run.status(0);
            let stdout = String::from_utf8_lossy(&run.stdout);
            assert_eq!((stdout.matches("time=").count(), run.stderr.matches("RECEIVED").count()), (5, 1));
            assert!(stdout.contains("5 sent, 5 received, 0 lost"), "{stdout}");
        }
    }
}

#[test]
fn two_at_once_do_not_take_each_others_messages() {
    // The same topic and message: in 5 correlation data tells them apart, in 3.1.1 nothing need.
    let url = mosquitto::shared().ws_url();
    let both = [(); 2].map(|()| {
        wspipe(["mqtt", &url, "-t", "shared/topic", "--count", "20", "--interval", "0.005", "-q", "1"])
            .start()
    });
    for running in both {
        let run = running.finish();
        run.status(0);
    }
}

// --- Login

#[test]
fn credentials_in_the_url_and_by_flags() {
    let broker = mosquitto::shared();
    let url = |userinfo: &str| {
        [
            format!("ws://{userinfo}127.0.0.1:{}", broker.login_ws),
            format!("mqtt://{userinfo}127.0.0.1:{}", broker.login_tcp),
        ]
    };
    for version in ["5", "311"] {
        for url in url(&userinfo(USER, PASSWORD)) {
            mqtt(&url, &["-V", version, "-t", "open/url"]).status(0).says(&MILESTONES);
        }
        for url in url("") {
            mqtt(&url, &["-V", version, "-t", "open/flags", "-u", USER, "-P", PASSWORD])
                .status(0)
                .says(&MILESTONES);
        }
    }
}

#[test]
fn the_password_is_in_no_line_of_the_log() {
    let url = format!("ws://{}127.0.0.1:{}", userinfo(USER, PASSWORD), mosquitto::shared().login_ws);
    let run = wspipe(["mqtt", &url, "-d", "-d", "-t", "open/log"]).env("RUST_LOG", "trace").run();
    run.status(0).never_says(&[PASSWORD, "p@ss", "%70%40", "w/rd"]);
    let run = wspipe(["mqtt", &url.replace("%70", "%71"), "-d", "-d"]).env("RUST_LOG", "trace").run();
    run.status(67).never_says(&["q@ss", "%71%40", "w/rd"]);
}

#[test]
fn a_refused_login() {
    let broker = mosquitto::shared();
    for url in [
        format!("ws://127.0.0.1:{}", broker.login_ws),
        format!("mqtt://127.0.0.1:{}", broker.login_tcp),
        format!("ws://anna:wrong@127.0.0.1:{}", broker.login_ws),
    ] {
        for version in ["5", "311"] {
            mqtt(&url, &["-V", version, "--quiet"])
                .status(67)
                .stdout_is("")
                .one_line(&["127.0.0.1", "authori"]);
        }
    }
}

#[test]
fn a_password_from_a_file() {
    let url = format!("ws://127.0.0.1:{}", mosquitto::shared().login_ws);
    let file = temp_dir("password").join("password");
    fs::write(&file, format!("{PASSWORD}\n")).expect("target/tmp is writable");
    mqtt(&url, &["-u", USER, "--password-file", &file.to_string_lossy(), "-t", "open/file"]).status(0);
}

#[test]
fn what_the_acl_denies() {
    let url = format!("ws://{}127.0.0.1:{}", userinfo(USER, PASSWORD), mosquitto::shared().login_ws);
    for qos in ["1", "2"] {
        let run = mqtt(&url, &["-V", "5", "-q", qos, "-t", "closed/topic", "--quiet", "-W", "5"]);
        run.status(9).one_line(&["closed/topic", "0x87"]);
    }
    // Where nothing says so the message just does not come: in 3.1.1, and at QoS 0.
    for args in [["-V", "311", "-q", "1"], ["-V", "5", "-q", "0"]] {
        let run = wspipe(["mqtt", &url, "-t", "closed/topic", "--quiet", "-W", "0.5"]).args(args).run();
        run.status(28).one_line(&["127.0.0.1", "come back"]).within(Duration::from_secs(5));
    }
}

// --- What counts as received

#[test]
fn a_retained_message_is_not_ours() {
    let broker = mosquitto::shared();
    for version in ["5", "311"] {
        let topic = format!("open/retained/{version}");
        // Equal in everything but that it was there before.
        Watcher::publish(broker.tcp, &topic, b"hello", true);
        let run = mqtt(&broker.ws_url(), &["-V", version, "-t", &topic, "-q", "1"]);
        run.status(0).says(&MILESTONES);
        assert_eq!(run.stderr.matches("RECEIVED").count(), 1, "{}", run.stderr);
        // Our own did not arrive where the ACL denies it: the retained one must not count.
        Watcher::publish(broker.tcp, &topic, b"", true);
    }
}

#[test]
fn retain_is_published_when_asked() {
    let broker = mosquitto::shared();
    mqtt(&broker.ws_url(), &["-t", "open/retain", "-m", "stays", "-r", "-q", "1"])
        .status(0)
        .says(&MILESTONES);
    let seen = Watcher::subscribe(broker.tcp, "open/retain").next();
    assert_eq!((seen.payload.as_slice(), seen.retain), (&b"stays"[..], true));
    Watcher::publish(broker.tcp, "open/retain", b"", true);
}

// --- Session

#[test]
fn a_kept_session_is_there_again() {
    let broker = mosquitto::shared();
    for version in ["5", "311"] {
        let id = format!("kept-{version}");
        let args = ["-V", version, "-c", "-i", &id, "-t", &id, "-q", "1", "-d"];
        mqtt(&broker.ws_url(), &args).status(0).says(&["CONNECTED"]);
        let again = mqtt(&broker.ws_url(), &args);
        again.status(0).says(&["session present"]);
        // Clean up, and see that a clean start finds none.
        mqtt(&broker.ws_url(), &["-V", version, "-i", &id, "-t", &id])
            .status(0)
            .never_says(&["session present"]);
    }
}

#[test]
fn messages_queued_for_an_earlier_run_are_taken_and_not_ours() {
    let broker = mosquitto::shared();
    let args = ["-V", "5", "-c", "-i", "queued", "-t", "open/queued", "-q", "1"];
    mqtt(&broker.ws_url(), &args).status(0);
    let run = mqtt(&broker.ws_url(), &args);
    run.status(0);
    assert_eq!(run.stderr.matches("RECEIVED").count(), 1);
}

#[test]
fn the_will_stays_silent_after_a_clean_end() {
    let broker = mosquitto::shared();
    for (version, url) in ["5", "311"].iter().zip(open_urls()) {
        let will = format!("open/will/{version}");
        let mut watcher = Watcher::subscribe(broker.tcp, &will);
        let args = ["-V", version, "-t", "open/with-will", "--will-topic", &will, "--will-payload", "gone"];
        mqtt(&url, &args).status(0);
        wspipe(["mqtt", &url]).args(args).args(["--will-qos", "1", "--will-retain"]).run().status(0);
        assert!(watcher.quiet_for(Duration::from_millis(100)), "the will fired");
        assert_eq!(watcher.all_so_far(), []);
    }
}

#[test]
fn keep_alive_of_one_second_holds_for_long_pauses() {
    // 1.5 times the keep alive without a packet would end the connection.
    let run = mqtt(
        &mosquitto::shared().ws_url(),
        &["-k", "1", "--count", "2", "--interval", "2.5", "-t", "open/keep"],
    );
    run.status(0);
}

// --- Places

#[test]
fn paths() {
    let broker = mosquitto::shared();
    // mosquitto takes any path; what is asked for is checked in `mqtt_wire`.
    mqtt(&format!("{}/mqtt", broker.ws_url()), &["-t", "open/path"]).status(0);
    mqtt(&format!("{}/", broker.ws_url()), &["-t", "open/path"]).status(0);
}

#[test]
fn nobody_listens() {
    for scheme in ["ws", "mqtt"] {
        let url = format!("{scheme}://127.0.0.1:{}", free_port());
        mqtt(&url, &["--quiet"]).status(7).stdout_is("").one_line(&["127.0.0.1", "refused"]);
    }
    mqtt("mqtt://name.invalid", &["--quiet"]).status(6).one_line(&["name.invalid"]);
}

#[test]
fn websocket_on_the_plain_port_and_the_other_way_round() {
    let broker = mosquitto::shared();
    let ws = format!("ws://127.0.0.1:{}", broker.tcp);
    let run = mqtt(&ws, &["--quiet", "--connect-timeout", "3"]);
    run.one_line(&["127.0.0.1"]);
    let tcp = format!("mqtt://127.0.0.1:{}", broker.ws);
    let run = mqtt(&tcp, &["--quiet", "--connect-timeout", "3"]);
    run.one_line(&["127.0.0.1"]);
    assert!(run.status(8).took < Duration::from_secs(5));
}
