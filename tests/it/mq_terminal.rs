//! `pub`, `sub` and `rr` at a terminal: `--watch`, `--progress`, and bytes that a terminal would obey.

use crate::{
    cat_terminal::{at_a_terminal, wait_screen},
    mq_pipes::{publish, subscribe, subscribed},
    mq_scripted::{ack, answer_publisher, id_of},
    mq_wire::answering,
    mqtt_scripted::{Say, broker, usual},
    support::{
        hex, mosquitto,
        scripted::{Conn, Scripted, remaining_length},
        temp_dir, to_hex, wait_until, wspipe,
    },
};

fn screen(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

// --- sub --watch

#[test]
fn watch_has_a_row_for_each_topic() {
    let url = mosquitto::shared().ws_url();
    for flag in ["-w", "--watch"] {
        let topic = format!("watch/{}", flag.len());
        let file = temp_dir("watch").join("ready");
        let ready = file.to_string_lossy();
        let args = ["-t", &format!("{topic}/#"), "-v", flag, "-C", "4", "--ready", &ready, "-W", "15"];
        let running = at_a_terminal(wspipe(["sub", &url]).args(args));
        assert!(wait_until(|| file.exists()), "{}", screen(&running.stdout_so_far()));
        for (name, payload) in [("a", "one"), ("b", "two"), ("a", "three"), ("b", "\u{1b}[2Jfour")] {
            publish(&url, &["-t", &format!("{topic}/{name}"), "-m", payload, "-q", "1"]).run().status(0);
        }
        let run = running.finish();
        run.status(0);
        // The screen is cleared once; each topic keeps its row, which is cleared before it is written anew.
        let expected = format!(
            "\x1b[2J\x1b[1;1H\x1b[K{topic}/a one\r\n\x1b[2;1H\x1b[K{topic}/b two\r\n\
             \x1b[1;1H\x1b[K{topic}/a three\r\n\x1b[2;1H\x1b[K{topic}/b \\x1b[2Jfour\r\n"
        );
        assert_eq!(screen(&run.stdout), expected);
    }
}

#[test]
fn nothing_of_watch_where_there_is_no_terminal() {
    let url = mosquitto::shared().tcp_url();
    let sub = subscribed(subscribe(&url, &["-t", "nowatch/#", "-v", "--watch", "-C", "3"]));
    for (name, payload) in [("a", "one"), ("b", "two"), ("a", "three")] {
        publish(&url, &["-t", &format!("nowatch/{name}"), "-m", payload, "-q", "1"]).run().status(0);
    }
    sub.finish().status(0).stdout_is("nowatch/a one\nnowatch/b two\nnowatch/a three\n").says_nothing();
}

// --- pub --progress

#[test]
fn progress_is_a_live_line() {
    // The third PUBACK waits for the test: until then the line says two of three.
    let server = Scripted::start(|conn| {
        broker(conn, |packet| match packet[0] {
            0x32 if id_of(packet) == 3 => Say::Nothing,
            0x32 if id_of(packet) == 4 => Say::These([ack(0x40, 3), ack(0x40, 4)].concat()),
            _ => answer_publisher(packet),
        })
    });
    let args = ["-t", "a", "-l", "-q", "1", "--progress", "-W", "15"];
    let mut running = at_a_terminal(wspipe(["pub", &server.mqtt()]).args(args));
    running.write("1\n2\n3\n");
    wait_screen(&running, "\r3 published, 2 acknowledged, ");
    running.write("4\n");
    wait_screen(&running, "\r4 published, 4 acknowledged, ");
    running.write("\x04");
    let run = running.finish();
    run.status(0);
    let shown = screen(&run.stdout);
    let last = shown.rsplit('\r').find(|line| line.contains("published")).expect("a last line");
    assert!(last.starts_with("4 published, 4 acknowledged, ") && last.contains("/s"), "{shown:?}");
    // Each line is written over the one before; only the last one ends.
    assert!(shown.ends_with('\n') || shown.trim_end_matches("\x1b[K").ends_with('\n'), "{shown:?}");
    assert_eq!(shown.matches("/s\r\n").count() + shown.matches("/s\n").count(), 1, "{shown:?}");
    server.finish();
}

#[test]
fn nothing_of_progress_where_there_is_no_terminal() {
    let url = mosquitto::shared().ws_url();
    let args = ["-t", "progress", "-l", "-q", "1", "--progress"];
    publish(&url, &args).stdin("1\n2\n").run().status(0).stdout_is("").says_nothing();
}

// --- What a terminal would obey

const TOPIC: &str = "t\u{9b}2J";
const PAYLOAD: &[u8] = b"a\x1b[2J\x07b\xc2\x9bc\rd\te\xff\xfe";

/// One message with a topic and a payload that a terminal obeys, at QoS 0 of 5.0.
fn hostile(conn: &mut Conn) -> std::io::Result<()> {
    let body = [&[0, TOPIC.len() as u8], TOPIC.as_bytes(), &[0], PAYLOAD].concat();
    let message = [vec![0x30], remaining_length(body.len()), body].concat();
    broker(conn, |packet| match packet[0] {
        0x82 => Say::These([usual(packet, true), message.clone()].concat()),
        _ => Say::Usual,
    })
}

#[track_caller]
fn harmless(shown: &str) {
    let inside = shown.replace("\r\n", "");
    assert!(!inside.contains(|c: char| c.is_control() && c != '\t'), "{shown:?}");
    assert!(shown.contains("\\x1b[2J") && shown.contains("\\xff\\xfe"), "{shown:?}");
}

#[test]
fn control_bytes_are_escaped() {
    let raw = [TOPIC.as_bytes(), b" ", PAYLOAD].concat();
    for format in [&["-v"][..], &["-F", "%t %p"]] {
        let args = [&["-t", "#", "-C", "1"], format].concat();
        let server = Scripted::start(hostile);
        let sub = || wspipe(["sub", &server.mqtt()]).args(&args);
        let run = at_a_terminal(sub()).finish();
        run.status(0);
        harmless(&screen(&run.stdout));
        let run = at_a_terminal(sub().args(["--raw"])).finish();
        run.status(0).stdout_is([&raw[..], b"\r\n"].concat());
        // Not a terminal: bytes are bytes, with --raw and without.
        sub().run().status(0).stdout_is([&raw[..], b"\n"].concat());
        sub().args(["--raw"]).run().status(0).stdout_is([&raw[..], b"\n"].concat());
    }
    // JSON escapes by itself, and needs nothing else.
    let server = Scripted::start(hostile);
    let run = at_a_terminal(wspipe(["sub", &server.mqtt(), "-t", "#", "-C", "1", "--json"])).finish();
    run.status(0);
    let shown = screen(&run.stdout);
    assert!(!shown.replace("\r\n", "").contains(char::is_control), "{shown:?}");
    // The responses of rr.
    let server = Scripted::start(|conn| broker(conn, answering));
    let rr = |more: &[&str]| {
        let file = temp_dir("hostile").join("payload");
        std::fs::write(&file, PAYLOAD).expect("target/tmp is writable");
        wspipe(["rr", &server.mqtt(), "-t", "a", "-f", &file.to_string_lossy()]).args(more)
    };
    let run = at_a_terminal(rr(&[])).finish();
    run.status(0);
    harmless(&screen(&run.stdout));
    at_a_terminal(rr(&["--raw"])).finish().status(0).stdout_is([PAYLOAD, b"\r\n"].concat());
    rr(&[]).run().status(0).stdout_is([PAYLOAD, b"\n"].concat());
}

#[test]
fn what_the_broker_says_reaches_stderr_escaped() {
    // A Reason String with an escape sequence, in PUBACK, SUBACK and DISCONNECT.
    let reason = "1f 0006 671b5b324a6f";
    let text = move |id: &[u8]| {
        let id = to_hex(id);
        (format!("40 0d {id} 87 09 {reason}"), format!("90 0d {id} 09 {reason} 87"))
    };
    let server = Scripted::start(move |conn| {
        broker(conn, |packet| match packet[0] {
            0x32 => Say::These(hex(&text(&id_of(packet).to_be_bytes()).0)),
            0x82 => Say::These(hex(&text(&packet[2..4]).1)),
            _ => Say::Usual,
        })
    });
    let url = server.mqtt();
    for (command, args) in [
        ("pub", &["-t", "a", "-m", "x", "-q", "1"][..]),
        ("sub", &["-t", "a\u{9b}b", "-d"]),
        ("rr", &["-t", "a", "-m", "x", "-e", "b"]),
    ] {
        let run = wspipe([command, &url]).args(args).run();
        run.status(9).says(&["0x87"]);
        assert!(!run.stderr.contains(|c: char| c.is_control() && c != '\n'), "{:?}", run.stderr);
    }
}
