//! What mosquitto does that is rare: it denies subscriptions, keeps messages, and waits for a stalled reader.

use std::{fs, io::Read, path::PathBuf, thread, time::Duration};

use crate::{
    mq_pipes::{open_urls, publish, subscribe, subscribed},
    mq_request::responder,
    support::{Peer, free_port, mosquitto, temp_dir, watcher::Watcher, wspipe},
};

// --- Subscriptions that are denied

/// mosquitto with its own plugin, by which anyone may subscribe below `open/` and nowhere else.
fn denying() -> (Peer, [String; 2]) {
    const POLICY: &str = r#"{
        "defaultACLAccess": {"publishClientSend": true, "publishClientReceive": true, "subscribe": false, "unsubscribe": true},
        "clients": [],
        "groups": [{"groupname": "anyone", "roles": [{"rolename": "reader"}]}],
        "roles": [{"rolename": "reader", "acls": [
            {"acltype": "subscribePattern", "topic": "open/#", "priority": 0, "allow": true},
            {"acltype": "subscribePattern", "topic": "wspipe/response/#", "priority": 0, "allow": true}]}],
        "anonymousGroup": "anyone"}"#;
    let start = || {
        let dir = temp_dir("denying");
        let (policy, conf) = (dir.join("policy.json"), dir.join("mosquitto.conf"));
        fs::write(&policy, POLICY).expect("target/tmp is writable");
        let [ws, tcp] = [(); 2].map(|()| free_port());
        let root = if rustix::process::geteuid().is_root() { "user root\n" } else { "" };
        let text = format!(
            "{root}persistence false\nlog_dest stderr\nallow_anonymous true\nplugin {}\n\
             plugin_opt_config_file {}\nlistener {ws} 127.0.0.1\nprotocol websockets\nsocket_domain ipv4\n\
             listener {tcp} 127.0.0.1\n",
            plugin().display(),
            policy.display()
        );
        fs::write(&conf, text).expect("target/tmp is writable");
        let mut peer = Peer::start("mosquitto", &["-c", &conf.to_string_lossy()], &dir);
        let up = peer.ready(&[ws, tcp]);
        up.then(|| (peer, [format!("ws://127.0.0.1:{ws}"), format!("mqtt://127.0.0.1:{tcp}")]))
    };
    (0..5).find_map(|_| start()).expect("mosquitto starts with its plugin: run scripts/setup")
}

/// Where distributions have it: in a directory for the machine's kind, or not.
fn plugin() -> PathBuf {
    let roots = ["/usr/lib", "/usr/lib64", "/usr/local/lib"].map(PathBuf::from);
    let below = fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
    let found =
        below.chain(roots).map(|dir| dir.join("mosquitto_dynamic_security.so")).find(|file| file.exists());
    found.expect("mosquitto_dynamic_security.so comes with mosquitto")
}

#[test]
fn a_denied_subscription_is_9() {
    let (peer, urls) = denying();
    for url in &urls {
        for (version, code) in [("5", "0x87"), ("311", "0x80")] {
            let sub =
                |args: &[&str]| wspipe(["sub", url, "-V", version, "-W", "10"]).args(args).shows(&peer.log);
            sub(&["-t", "closed/a"]).run().status(9).stdout_is("").one_line(&["to closed/a", code]);
            let all = sub(&["-t", "closed/a", "-t", "closed/b"]).run();
            all.status(9).stdout_is("").says(&[code]).says(&["to closed/a"]).says(&["to closed/b"]);
            // Some of it: a warning, and what was granted works.
            let some = subscribed(sub(&["-t", "closed/a", "-t", "open/a", "-C", "1"]));
            wspipe(["pub", url, "-t", "open/a", "-m", "x"]).run().status(0);
            some.finish().status(0).stdout_is("x\n").one_line(&["to closed/a", code]);
            let strict = sub(&["-t", "closed/a", "-t", "open/a", "--strict"]).run();
            strict.status(9).one_line(&["to closed/a", code]);
        }
        let rr = wspipe(["rr", url, "-t", "open/a", "-m", "x", "-e", "closed/answers"]).run();
        rr.status(9).stdout_is("").one_line(&["closed/answers", "0x87"]);
        // Its own response topic is granted here.
        wspipe(["rr", url, "-t", "open/a", "-m", "x", "-W", "0.2"]).run().status(28);
    }
}

// --- Retained

#[test]
fn an_empty_message_removes_the_retained_one() {
    let url = mosquitto::shared().ws_url();
    publish(&url, &["-t", "removed/a", "-m", "kept", "-r", "-q", "1"]).run().status(0);
    let snapshot = || subscribe(&url, &["-t", "removed/#", "-F", "%t %p %r", "--snapshot", "0.2"]).run();
    snapshot().status(0).stdout_is("removed/a kept 1\n");
    publish(&url, &["-t", "removed/a", "-n", "-r"]).run().status(0).says_nothing();
    snapshot().status(0).stdout_is("");
}

#[test]
fn a_retained_message_on_the_response_topic_is_no_response() {
    let broker = mosquitto::shared();
    Watcher::publish(broker.tcp, "rr/kept/answers", b"hello", true);
    for url in open_urls() {
        let answers = responder(&url, "rr/kept", "1");
        let run =
            wspipe(["rr", &url, "-t", "rr/kept", "-e", "rr/kept/answers", "-m", "hello", "-W", "5"]).run();
        run.status(0).stdout_is("[hello]\n");
        answers.finish().status(0);
    }
    Watcher::publish(broker.tcp, "rr/kept/answers", b"", true);
}

// --- Every property from end to end

#[test]
fn properties_arrive() {
    for url in open_urls() {
        let args = ["-t", "prop/#", "-C", "1", "-q", "1", "-D", "subscribe", "subscription-identifier", "7"];
        let format = "%t|%p|%q|%r|%C|%D|%F|%P|%R|%S|%A|%l";
        let sub = subscribed(subscribe(&url, &args).args(["-F", format]));
        let mut args = vec!["-t", "prop/ü", "-m", "päyload", "-q", "2"];
        for property in [
            "publish payload-format-indicator 1",
            "publish message-expiry-interval 60",
            "publish content-type text/x",
            "publish response-topic r/t",
            "publish correlation-data c-d",
            "publish user-property k v",
            "connect user-property not here",
        ] {
            args.push("-D");
            args.extend(property.split(' '));
        }
        publish(&url, &args).run().status(0).says_nothing();
        let expected = "prop/ü|päyload|1|0|text/x|c-d|1|k:v|r/t|7||8\n";
        sub.finish().status(0).stdout_is(expected).says_nothing();
    }
}

#[test]
fn an_expired_message_does_not_come() {
    let url = mosquitto::shared().tcp_url();
    let keep = ["-t", "expiry", "-q", "1", "-c", "-i", "expiry"];
    subscribe(&url, &keep).args(["-E"]).run().status(0);
    for (payload, expiry) in [("gone", "1"), ("there", "60")] {
        let args =
            ["-t", "expiry", "-q", "1", "-m", payload, "-D", "publish", "message-expiry-interval", expiry];
        publish(&url, &args).run().status(0);
    }
    thread::sleep(Duration::from_millis(2100));
    let run = subscribe(&url, &keep).args(["-C", "1", "-x", "0"]).run();
    run.status(0).stdout_is("there\n");
}

// --- A stalled reader

#[test]
fn a_reader_that_stalls_beyond_twice_the_keepalive_loses_nothing() {
    // More than the pipe and our buffer hold, at QoS 2 over TCP; nothing is said, so nothing was made again.
    let url = mosquitto::roomy().tcp_url();
    let all: Vec<u8> = (0..20_000).flat_map(|n| format!("{n} {}\n", "x".repeat(30)).into_bytes()).collect();
    let args = ["-t", "stall/2", "-q", "2", "-C", "20000", "-k", "1"];
    let mut sub = subscribed(subscribe(&url, &args).open_stdout());
    publish(&url, &["-t", "stall/2", "-l", "-q", "1"]).stdin(all.clone()).run().status(0);
    thread::sleep(Duration::from_millis(2500));
    let mut got = Vec::new();
    sub.take_stdout().read_to_end(&mut got).expect("a pipe");
    sub.finish().status(0).says_nothing();
    assert!(got == all, "{} of {} bytes", got.len(), all.len());
}
