//! `wspipe rr`: requests answered by a responder made of `sub` and `pub`, and by a scripted broker.

use std::{io, time::Duration};

use crate::{
    mq_pipes::open_urls,
    mqtt_scripted::usual,
    support::{
        Run, Running, Wspipe, bash, hex, mosquitto,
        scripted::{Conn, Scripted, packets, remaining_length},
        temp_dir, to_hex, wait_until, wspipe,
    },
};

fn request(url: &str, args: &[&str]) -> Wspipe {
    wspipe(["rr", url]).args(args)
}

/// Answers each request below `topic` with its own payload in brackets, through `sub --json | pub --in json`.
#[track_caller]
pub fn responder(url: &str, topic: &str, count: &str) -> Running {
    let ready = temp_dir("responder").join("ready");
    let script = r#"
        "$WSPIPE" sub "$1" -t "$2" -q 1 -C "$3" -W 15 --ready "$4" \
            -F '{"topic":"%R","payload":"[%p]","qos":1,"properties":{"correlation-data":"%D"}}' |
        "$WSPIPE" pub "$1" --in json -W 15"#;
    let mut run = bash(script, [url, topic, count, &ready.to_string_lossy()]).start();
    if !wait_until(|| ready.exists() || run.has_ended()) || !ready.exists() {
        run.finish().fail("the responder is not ready");
    }
    run
}

#[test]
fn one_request_and_its_response() {
    for (url, kind) in open_urls().iter().zip(["ws", "tcp"]) {
        for qos in ["0", "1", "2"] {
            let topic = format!("rr/one/{kind}/{qos}");
            let answers = responder(url, &topic, "1");
            let run = request(url, &["-t", &topic, "-m", "hi", "-q", qos, "-W", "10"]).run();
            run.status(0).stdout_is("[hi]\n").says_nothing();
            answers.finish().status(0);
        }
    }
}

#[test]
fn many_requests_in_order() {
    let url = mosquitto::shared().ws_url();
    let answers = responder(&url, "rr/many", "300");
    let lines: String = (0..300).map(|n| format!("{n}\n")).collect();
    let run = request(&url, &["-t", "rr/many", "-l", "-q", "1", "-W", "10"]).stdin(lines).run();
    let expected: String = (0..300).map(|n| format!("[{n}]\n")).collect();
    run.status(0).stdout_is(expected).says_nothing();
    answers.finish().status(0);
}

#[test]
fn a_response_topic_of_ones_own_and_the_time_it_took() {
    let url = mosquitto::shared().tcp_url();
    let answers = responder(&url, "rr/own", "1");
    let run = request(&url, &["-t", "rr/own", "-e", "rr/own/answers", "-m", "x", "-v", "-d"]).run();
    run.status(0).stdout_is("rr/own/answers [x]\n").says(&["response 1 in", "ms"]);
    answers.finish().status(0);
}

#[test]
fn nobody_answers() {
    let url = mosquitto::shared().ws_url();
    let run = request(&url, &["-t", "rr/nobody", "-m", "x", "-W", "0.5"]).run();
    run.status(28).stdout_is("").says(&["no response to request 1", "1 of the requests"]);
    run.within(Duration::from_secs(4));
}

#[test]
fn no_will_fires() {
    let broker = mosquitto::shared();
    let mut watcher = crate::support::watcher::Watcher::subscribe(broker.tcp, "rr/will");
    for (url, kind) in open_urls().iter().zip(["ws", "tcp"]) {
        let topic = format!("rr/wills/{kind}");
        let answers = responder(url, &topic, "6");
        for _ in 0..6 {
            let args = ["-t", &topic, "-m", "x", "--will-topic", "rr/will", "--will-payload", "gone"];
            request(url, &args).run().status(0).stdout_is("[x]\n");
        }
        answers.finish().status(0);
        request(url, &["-t", "rr/nobody", "-m", "x", "-W", "0.3", "--will-topic", "rr/will"])
            .run()
            .status(28);
    }
    assert_eq!(watcher.all_so_far(), []);
}

// --- Scripted

/// Response topic and correlation data of a request to a topic of one byte at QoS 0.
pub fn asked(packet: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut rest = &packet[6..];
    let (mut response, mut correlation) = (Vec::new(), Vec::new());
    let end = usize::from(packet[5]);
    assert_eq!(&packet[2..5], b"\0\x01a");
    rest = &rest[..end];
    while let [id @ (8 | 9), high, low, tail @ ..] = rest {
        let (value, tail) = tail.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        *(if *id == 8 { &mut response } else { &mut correlation }) = value.to_vec();
        rest = tail;
    }
    (response, correlation)
}

pub fn response(topic: &[u8], correlation: Option<&[u8]>, payload: &str) -> Vec<u8> {
    let mut body = [&(topic.len() as u16).to_be_bytes(), topic].concat();
    match correlation {
        Some(data) => {
            body.push(data.len() as u8 + 3);
            body.push(9);
            body.extend((data.len() as u16).to_be_bytes());
            body.extend_from_slice(data);
        }
        None => body.push(0),
    }
    body.extend_from_slice(payload.as_bytes());
    [vec![0x30], remaining_length(body.len()), body].concat()
}

/// Gathers `n` requests, then says what `answers` makes of them.
fn scripted(
    args: &[&str],
    stdin: &str,
    n: usize,
    answers: impl Fn(&[(Vec<u8>, Vec<u8>)]) -> Vec<u8> + Send + Sync + 'static,
) -> (Run, Vec<String>) {
    let server = Scripted::start(move |conn: &mut Conn| -> io::Result<()> {
        let mut seen = Vec::new();
        loop {
            let packet = conn.packet()?;
            match packet[0] >> 4 {
                3 => {
                    seen.push(asked(&packet));
                    if seen.len() == n {
                        conn.write(answers(&seen))?;
                    }
                }
                14 => return conn.end(),
                _ => conn.write(usual(&packet, true))?,
            }
        }
    });
    let run = wspipe(["rr", &server.mqtt(), "-t", "a", "-W", "1"]).args(args).stdin(stdin).run();
    let wire = packets(&server.finish()[0]).iter().map(|p| to_hex(p)).collect();
    (run, wire)
}

#[test]
fn answers_out_of_order_are_put_in_order() {
    let (run, wire) = scripted(&["-l"], "1\n2\n3\n", 3, |seen| {
        let say = |n: usize| response(&seen[n].0, Some(&seen[n].1), &format!("to {}", n + 1));
        [say(2), say(0), say(1)].concat()
    });
    run.status(0).stdout_is("to 1\nto 2\nto 3\n").says_nothing();
    // SUBSCRIBE, and its SUBACK, before the first request.
    assert!(wire[1].starts_with("82") && wire[2].starts_with("30"), "{wire:?}");
}

#[test]
fn another_correlation_is_no_answer() {
    let (run, _) = scripted(&["-m", "x"], "", 1, |seen| {
        let (topic, data) = &seen[0];
        [
            response(topic, Some(b"another"), "wrong"),
            response(topic, None, "none"),
            response(topic, Some(data), "right"),
            response(topic, Some(data), "twice"),
        ]
        .concat()
    });
    run.status(0).stdout_is("right\n");
    let (run, _) = scripted(&["-m", "x"], "", 1, |seen| response(&seen[0].0, Some(b"another"), "wrong"));
    run.status(28).stdout_is("");
}

#[test]
fn correlation_and_response_topics_are_unique() {
    let topics: Vec<String> = (0..2)
        .map(|_| {
            let (run, wire) = scripted(&["-l"], "1\n2\n", 2, |seen| {
                assert_eq!(seen[0].0, seen[1].0);
                assert_ne!(seen[0].1, seen[1].1);
                [response(&seen[0].0, Some(&seen[0].1), "a"), response(&seen[1].0, Some(&seen[1].1), "b")]
                    .concat()
            });
            run.status(0).stdout_is("a\nb\n");
            wire[1].clone()
        })
        .collect();
    assert_ne!(topics[0], topics[1]);
}

#[test]
fn some_without_a_response() {
    let (run, _) = scripted(&["-l"], "1\n2\n3\n", 3, |seen| response(&seen[0].0, Some(&seen[0].1), "only"));
    run.status(28).stdout_is("only\n").says(&["request 2", "2 of the requests"]);
}

#[test]
fn a_denied_response_topic() {
    let server = Scripted::start(|conn| {
        crate::mqtt_scripted::broker(conn, |packet| match packet[0] {
            0x82 => crate::mqtt_scripted::Say::These(hex(&format!("90 04 {} 00 87", to_hex(&packet[2..4])))),
            _ => crate::mqtt_scripted::Say::Usual,
        })
    });
    let run = wspipe(["rr", &server.mqtt(), "-t", "a", "-m", "x", "-e", "mine"]).run();
    run.status(9).one_line(&["mine", "0x87"]);
    server.finish();
}
