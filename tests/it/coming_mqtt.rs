//! The README's rows for those who come from mosquitto's clients, and from `curl mqtt://`. The other tool's line runs
//! at the same broker, and what comes of it is held against ours. Not so where mosquitto 2.0 has no such option
//! (`--ws`), and where it wants one more than its row says (`-V 5` beside `-D`).

use std::{fs, process::Command, time::Duration};

use rustix::process::Signal;
use serde_json::Value;

use crate::{
    mq_request::responder,
    support::{
        Peer, Running, Wspipe,
        coming::{Expected, Row, row},
        free_port,
        mosquitto::{self, Mosquitto},
        temp_dir, wait_until,
        watcher::{Seen, Watcher},
        wspipe,
    },
};
#[cfg(not(feature = "tls"))]
use without_tls as system_ca;
#[cfg(not(feature = "tls"))]
use without_tls as own_ca;

/// The rows that are run here.
pub const ROWS: &[Expected<At>] = &[
    ("mosquitto_pub -h h -t a -m hi", publish),
    ("mosquitto_pub -h h -p 8080 --ws -t a -m hi", websocket),
    ("mosquitto_pub -L mqtt://u:p@h/a -m hi", login_in_url),
    ("mosquitto_pub -h h -u u -P p -t a -m hi", login),
    ("mosquitto_pub -h h -t a -q 1 -l", lines),
    ("mosquitto_pub -h h -t a -n -r", clear),
    ("mosquitto_pub -h h -c -i me -q 1 -t a -m hi", no_session),
    ("mosquitto_pub -h h --repeat 3 --repeat-delay 0.1 -t a -m hi", repeat),
    ("mosquitto_pub -h h -D publish content-type text/plain -t a -m hi", content_type),
    ("mosquitto_sub -h h -t a/# -v", topics),
    ("mosquitto_sub -h h -t a -C 1 -W 5", one_in_time),
    ("mosquitto_sub -h h -t a -F %j", json),
    ("mosquitto_sub -h h -t a --pretty -F %j", json),
    ("mosquitto_sub -h h -t a -c -i me -q 1", session),
    ("mosquitto_sub -h h -t a --retained-only", retained),
    ("mosquitto_sub -h h -p 8883 --tls-use-os-certs -t a", system_ca),
    ("mosquitto_sub -h h --cafile ca.pem --tls-version tlsv1.3 -t a", own_ca),
    ("mosquitto_sub --unix m.sock -t a", unix_socket),
    ("mosquitto_rr -h h -t q -e r -m hi", request),
    ("curl mqtt://h/a", payloads_alone),
];

/// The broker of these rows. They run one after the other, since they share their topics.
pub struct At {
    broker: Mosquitto,
    login: Login,
    /// The file with that password.
    password: String,
    /// A Unix socket for anyone.
    socket: String,
}

/// A broker that knows the user u with the password p.
struct Login {
    _peer: Peer,
    /// For that user.
    port: u16,
    /// For anyone.
    open: u16,
}

#[test]
fn rows() {
    let at = At::start();
    for (there, check) in ROWS {
        println!("{there}");
        check(&row(there), &at);
    }
}

impl At {
    fn start() -> At {
        let dir = temp_dir("coming");
        let path = |name: &str| dir.join(name).display().to_string();
        let made = Command::new("mosquitto_passwd").args(["-b", "-c", &path("users"), "u", "p"]).status();
        assert!(made.is_ok_and(|status| status.success()), "mosquitto_passwd: run scripts/setup");
        fs::write(path("pw"), "p\n").expect("target/tmp is writable");
        let settings = format!("log_type all\nlistener 0 {}\n", path("m.sock"));
        let broker = mosquitto::start_with(&settings);
        let started = (0..5).find_map(|_| {
            let [port, open] = [(); 2].map(|()| free_port());
            let conf = format!(
                "per_listener_settings true\nlistener {port} 127.0.0.1\nallow_anonymous false\npassword_file {}\n\
                 listener {open} 127.0.0.1\nallow_anonymous true\n",
                path("users"),
            );
            Some(Login { _peer: mosquitto::try_run(&dir, &conf, &[port, open])?, port, open })
        });
        let login = started.expect("mosquitto starts: run scripts/setup");
        At { broker, login, password: path("pw"), socket: path("m.sock") }
    }

    /// Our line, at the listener for anyone.
    fn ours(&self, row: &Row) -> Wspipe {
        row.ours(&[("mqtt://h", &self.broker.tcp_url())]).shows(self.broker.log())
    }

    fn theirs(&self, row: &Row) -> Wspipe {
        row.theirs(&[("-h h", &format!("-h 127.0.0.1 -p {}", self.broker.tcp))]).shows(self.broker.log())
    }

    /// How often the broker logged this so far.
    fn times(&self, text: &str) -> usize {
        fs::read_to_string(self.broker.log()).map_or(0, |log| log.matches(text).count())
    }

    /// Starts it and waits until its subscription stands.
    #[track_caller]
    fn subscribed(&self, line: Wspipe) -> Running {
        let before = self.times("Sending SUBACK");
        let mut running = line.start();
        let stands = wait_until(|| self.times("Sending SUBACK") > before || running.has_ended());
        if !stands || running.has_ended() {
            running.finish().fail("it does not subscribe");
        }
        running
    }

    /// What came to `a` while it ran, to its end with status 0.
    #[track_caller]
    fn published(&self, line: Wspipe) -> Vec<Seen> {
        At::published_at(self.broker.tcp, line)
    }

    /// The same at the port of a broker.
    #[track_caller]
    fn published_at(port: u16, line: Wspipe) -> Vec<Seen> {
        let mut seen = Watcher::subscribe(port, "a");
        line.run().status(0).stdout_is("").says_nothing();
        seen.all_so_far()
    }

    /// What it prints of a message that is published once it has subscribed, to the end of a line.
    #[track_caller]
    fn printed(&self, line: Wspipe, topic: &str, payload: &str) -> (Running, Vec<u8>) {
        let mut running = self.subscribed(line);
        Watcher::publish(self.broker.tcp, topic, payload.as_bytes(), false);
        running.wait_stdout_lines(1);
        let printed = running.stdout_so_far();
        (running, printed)
    }

    /// Both print this of a message; ours goes on until a signal ends it.
    #[track_caller]
    fn both_print(&self, ours: Wspipe, theirs: Wspipe, topic: &str, printed: &str) {
        let (running, said) = self.printed(theirs, topic, "hi");
        assert_eq!(String::from_utf8_lossy(&said), printed, "{}", running.stderr_so_far());
        drop(running);
        let (mut running, _) = self.printed(ours, topic, "hi");
        assert!(!running.has_ended(), "it goes on");
        running.signal(Signal::INT);
        running.finish().signalled(Signal::INT).stdout_is(printed).says_nothing();
    }
}

fn message(payload: &str) -> Seen {
    Seen { topic: "a".to_owned(), payload: payload.as_bytes().to_vec(), retain: false }
}

#[cfg(not(feature = "tls"))]
fn without_tls(row: &Row, _: &At) {
    row.wants_tls();
}

fn publish(row: &Row, at: &At) {
    assert_eq!(at.published(at.ours(row)), [message("hi")]);
    assert_eq!(at.published(at.theirs(row)), [message("hi")]);
}

fn websocket(row: &Row, at: &At) {
    let host = format!("ws://127.0.0.1:{}", at.broker.ws);
    let ours = row.ours(&[("ws://h:8080", &host)]).shows(at.broker.log());
    assert_eq!(at.published(ours), [message("hi")]);
}

fn login_in_url(row: &Row, at: &At) {
    let place = format!("u:p@127.0.0.1:{}", at.login.port);
    assert_eq!(At::published_at(at.login.open, row.ours(&[("u:p@h", &place)])), [message("hi")]);
    assert_eq!(At::published_at(at.login.open, row.theirs(&[("u:p@h", &place)])), [message("hi")]);
    let wrong = place.replace("u:p", "u:other");
    row.ours(&[("u:p@h", &wrong)]).run().status(67);
}

fn login(row: &Row, at: &At) {
    let url = format!("mqtt://127.0.0.1:{}", at.login.port);
    let ours = row.ours(&[("mqtt://h", &url), ("-file pw", &format!("-file {}", at.password))]);
    // What the test wrote is readable for others, which is warned of.
    let mut seen = Watcher::subscribe(at.login.open, "a");
    ours.run().status(0).stdout_is("").never_says(&["error"]);
    assert_eq!(seen.all_so_far(), [message("hi")]);
    let theirs = row.theirs(&[("-h h", &format!("-h 127.0.0.1 -p {}", at.login.port))]);
    assert_eq!(At::published_at(at.login.open, theirs), [message("hi")]);
    // "`-P` works".
    let line = row.ours(&[("mqtt://h", &url), ("--password-file pw", "-P p")]);
    assert_eq!(At::published_at(at.login.open, line), [message("hi")]);
}

fn lines(row: &Row, at: &At) {
    let long = "x".repeat(300_000);
    let stdin = format!("one\n\n{long}\nlast");
    let expected = ["one", "", &long, "last"].map(message);
    let ours = at.published(at.ours(row).stdin(stdin.clone()));
    assert!(ours == expected, "{} messages came", ours.len());
    // mosquitto_pub sends a last line without a line end, or does not, by its version.
    let theirs = at.published(at.theirs(row).stdin(stdin + "\n"));
    assert!(theirs == expected, "{} messages came of theirs", theirs.len());
}

fn clear(row: &Row, at: &At) {
    for line in [at.theirs(row), at.ours(row)] {
        Watcher::publish(at.broker.tcp, "a", b"kept", true);
        line.run().status(0).stdout_is("").says_nothing();
        assert_eq!(Watcher::subscribe(at.broker.tcp, "a").all_so_far(), [], "nothing is retained");
    }
}

fn no_session(row: &Row, at: &At) {
    let received = "Received PUBLISH from me (d0, q1, r0";
    assert_eq!(at.published(at.theirs(row)), [message("hi")]);
    assert_eq!((at.times(received), at.times(" as me (p2, c0,")), (1, 1), "theirs keeps a session");
    assert_eq!(at.published(at.ours(row)), [message("hi")]);
    assert_eq!((at.times(received), at.times(" as me (p5, c1,")), (2, 1), "ours does not");
}

fn repeat(row: &Row, at: &At) {
    for line in [at.theirs(row), at.ours(row)] {
        let mut seen = Watcher::subscribe(at.broker.tcp, "a");
        let run = line.run();
        run.status(0).stdout_is("").says_nothing();
        assert!(run.took >= Duration::from_millis(200), "{:?} for two delays", run.took);
        assert_eq!(seen.all_so_far(), ["hi"; 3].map(message));
    }
}

fn content_type(row: &Row, at: &At) {
    let port = at.broker.tcp.to_string();
    let shown = at.subscribed(row.theirs(&[(
        &row.there,
        &format!("mosquitto_sub -V 5 -h 127.0.0.1 -p {port} -t a -C 2 -W 9 -F '%C %p'"),
    )]));
    at.ours(row).run().status(0).stdout_is("").says_nothing();
    let theirs = row.theirs(&[("-h h", &format!("-V 5 -h 127.0.0.1 -p {port}"))]);
    theirs.run().status(0);
    shown.finish().status(0).stdout_is("text/plain hi\ntext/plain hi\n");
}

fn topics(row: &Row, at: &At) {
    at.both_print(at.ours(row), at.theirs(row), "a/b", "a/b hi\n");
}

fn one_in_time(row: &Row, at: &At) {
    for line in [at.theirs(row), at.ours(row)] {
        let (running, printed) = at.printed(line, "a", "hi");
        assert_eq!(printed, b"hi\n");
        running.finish().status(0).stdout_is("hi\n");
    }
    // "Too late is status 28, not 27"; theirs has whole seconds.
    let url = at.broker.tcp_url();
    let ours = row.ours(&[("mqtt://h", &url), ("-W 5", "-W 0.3")]).start();
    let place = format!("-h 127.0.0.1 -p {}", at.broker.tcp);
    row.theirs(&[("-h h", &place), ("-W 5", "-W 1")]).run().status(27);
    ours.finish().status(28).stdout_is("").one_line(&["0.3 s"]);
}

fn json(row: &Row, at: &At) {
    let object = |line: Wspipe| {
        let running = at.subscribed(line);
        Watcher::publish(at.broker.tcp, "a", "grüße".as_bytes(), false);
        let mut value = Value::Null;
        let whole = wait_until(|| {
            let read = serde_json::from_slice(&running.stdout_so_far());
            read.map(|read| value = read).is_ok()
        });
        assert!(whole, "JSON: {:?}", String::from_utf8_lossy(&running.stdout_so_far()));
        (running, value)
    };
    let (running, ours) = object(at.ours(row));
    assert_eq!((&ours["topic"], &ours["payload"]), (&"a".into(), &"grüße".into()), "{ours}");
    running.signal(Signal::TERM);
    running.finish().signalled(Signal::TERM).says_nothing();
    // "`-F %j` works".
    let (_, same) = object(row.ours(&[("mqtt://h", &at.broker.tcp_url()), ("--json", "-F %j")]));
    let (_, mut theirs) = object(at.theirs(row));
    // A number in mosquitto 2.0.
    if let Some(flag) = theirs["retain"].as_u64() {
        theirs["retain"] = (flag == 1).into();
    }
    for (name, value) in theirs.as_object().expect("an object").iter().filter(|(name, _)| *name != "tst") {
        assert_eq!(same.get(name), Some(value), "{name}: {same}");
        assert!(name == "payloadlen" || ours[name] == *value, "{name}: {ours}");
    }
}

fn session(row: &Row, at: &At) {
    for line in [At::theirs, At::ours] {
        let mut first = at.subscribed(line(at, row));
        first.signal(Signal::TERM);
        assert!(wait_until(|| first.has_ended()));
        wspipe(["pub", &at.broker.tcp_url(), "-t", "a", "-m", "missed", "-q", "1"]).run().status(0);
        let mut second = at.subscribed(line(at, row));
        second.wait_stdout_lines(1);
        assert_eq!(second.stdout_so_far(), b"missed\n");
        second.signal(Signal::TERM);
        assert!(wait_until(|| second.has_ended()));
        // Nothing is left to come again.
        at.subscribed(line(at, row)).signal(Signal::TERM);
    }
}

fn retained(row: &Row, at: &At) {
    Watcher::publish(at.broker.tcp, "a", b"kept", true);
    let ours = row.ours(&[("mqtt://h", &at.broker.tcp_url()), ("--snapshot 1", "--snapshot 0.3")]);
    ours.run().status(0).stdout_is("kept\n").says_nothing();
    // "`--retained-only` works": as theirs, it ends at the first message that is not retained.
    let same = row.ours(&[("mqtt://h", &at.broker.tcp_url()), ("--snapshot 1", "--retained-only")]);
    for line in [at.theirs(row), same] {
        let mut running = at.subscribed(line);
        running.wait_stdout_lines(1);
        assert!(!running.has_ended(), "it waits for one");
        Watcher::publish(at.broker.tcp, "a", b"live", false);
        running.finish().status(0).stdout_is("kept\n");
    }
    Watcher::publish(at.broker.tcp, "a", b"", true);
}

#[cfg(feature = "tls")]
fn system_ca(row: &Row, at: &At) {
    let ca = crate::support::certs::shared().ca.to_string_lossy();
    let port = at.broker.tls;
    // What the system trusts is what OpenSSL is told to.
    let ours = row.ours(&[("mqtts://h", &format!("mqtts://localhost:{port}"))]);
    let theirs = row.theirs(&[("-h h -p 8883", &format!("-h localhost -p {port}"))]);
    let [ours, theirs] = [ours, theirs].map(|line| line.env("SSL_CERT_FILE", &ca));
    at.both_print(ours, theirs, "a", "hi\n");
    row.ours(&[("mqtts://h", &format!("mqtts://localhost:{port}"))]).run().status(60);
}

#[cfg(feature = "tls")]
fn own_ca(row: &Row, at: &At) {
    let ca = crate::support::certs::shared().ca.to_string_lossy();
    let port = at.broker.tls;
    let ours = |port: u16| row.ours(&[("mqtts://h", &format!("mqtts://localhost:{port}")), ("ca.pem", &ca)]);
    let theirs = row.theirs(&[("-h h", &format!("-h localhost -p {port}")), ("ca.pem", &ca)]);
    at.both_print(ours(port), theirs, "a", "hi\n");
    // Who has 1.2 only is not spoken to.
    ours(crate::support::tls_servers::nginx().only_1_2).run().status(35).stdout_is("");
}

fn unix_socket(row: &Row, at: &At) {
    let [ours, theirs] = [row.ours(&[("m.sock", &at.socket)]), row.theirs(&[("m.sock", &at.socket)])];
    at.both_print(ours, theirs, "a", "hi\n");
}

fn request(row: &Row, at: &At) {
    let answers = responder(&at.broker.tcp_url(), "q", "2");
    at.theirs(row).run().status(0).stdout_is("[hi]\n");
    at.ours(row).run().status(0).stdout_is("[hi]\n").says_nothing();
    answers.finish().status(0);
}

fn payloads_alone(row: &Row, at: &At) {
    let place = format!("127.0.0.1:{}", at.broker.tcp);
    // curl writes the topic in front of each payload, no line ends, and ends with its limit.
    let theirs = row.theirs(&[("curl", "curl -sNm 1"), ("//h", &format!("//{place}"))]);
    let curl = at.subscribed(theirs);
    let ours = row.ours(&[("//h", &format!("//{place}"))]);
    let (mut running, _) = at.printed(ours, "a", "one");
    Watcher::publish(at.broker.tcp, "a", b"two", false);
    running.wait_stdout_lines(2);
    running.signal(Signal::INT);
    running.finish().signalled(Signal::INT).stdout_is("one\ntwo\n").says_nothing();
    curl.finish().status(28).stdout_is("\0\x01aone\0\x01atwo");
}
