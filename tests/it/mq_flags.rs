//! Every option of `pub`, `sub` and `rr` is in a test that looks at what it does: the list of them is held against the
//! help. And those that no other module looks at.

use std::{fs, path::Path, thread, time::Duration};

use crate::{
    mq_scripted::message,
    mq_wire::{answering, response},
    mqtt_scripted::{Say, broker, usual},
    support::{Run, Wspipe, scripted::Scripted, temp_dir, to_hex, wspipe},
};

// --- The list

/// A command, a test (or a list that a test goes through), and the options that it has there.
const COVERED: &[(&str, &str, &str)] = &[
    ("pub", "mq_pipes::sources", "-t -m -f -s -l -n -0 --repeat --repeat-delay"),
    ("pub", "mq_pipes::json_there_and_back", "--in"),
    ("pub", "mq_pipes::several_topics_and_a_topic_in_each_line", "--topic-from-line"),
    ("pub", "mq_pipes::many_lines_at_each_qos_come_whole", "-q"),
    ("pub", "mq_wire::publish_with_all_it_can_have", "-r -q -D"),
    ("pub", "mq_reconnect::the_window_is_the_smaller_one", "-M"),
    ("pub", "mq_silence::the_limit_of_the_run_holds_at_every_stage", "-W"),
    ("pub", "mq_packets::a_publish_at_each_qos", "-i -k"),
    ("pub", "timing::every_command_tells_each_step_once", "--json"),
    ("pub", "mq_terminal::progress_is_a_live_line", "--progress"),
    ("sub", "mq_pipes::outputs", "-t -T -v -F -0 -N --strict"),
    ("sub", "mq_pipes::json_there_and_back", "--json"),
    ("sub", "mq_pipes::many_lines_at_each_qos_come_whole", "-q -C"),
    ("sub", "mq_pipes::subscribed", "--ready"),
    ("sub", "mq_pipes::ready_to_a_descriptor", "--ready"),
    ("sub", "mq_ends::retained_messages", "-R --retained-only --remove-retained --retain-as-published"),
    ("sub", "mq_ends::retained_messages", "--retain-handling --snapshot"),
    ("sub", "mq_ends::no_local_and_unsubscribe", "--no-local -U -c -i"),
    ("sub", "mq_ends::exit_after_suback", "-E"),
    ("sub", "mq_ends::the_time_is_over", "-W"),
    ("sub", "mq_ends::a_session_survives_between_runs", "-c -i -x"),
    ("sub", "mq_wire::subscribe_and_unsubscribe_with_all_they_can_have", "--retain-handling -U -D"),
    ("sub", "mq_terminal::watch_has_a_row_for_each_topic", "-w"),
    ("sub", "mq_terminal::control_bytes_are_escaped", "--raw"),
    ("rr", "mq_flags::requests_from_everywhere", "-m -f -s -l -n -0 -q"),
    ("rr", "mq_flags::responses_in_every_shape", "-v -F -N --raw --json"),
    ("rr", "mq_flags::requested", "-t -e"),
    ("rr", "mq_flags::the_window_of_rr", "-M"),
    ("rr", "mq_request::nobody_answers", "-W"),
    ("rr", "mq_wire::publish_with_all_it_can_have", "-r -D"),
    ("rr", "mq_wire::BASE", "-i -e"),
    ("rr", "mq_terminal::control_bytes_are_escaped", "--raw"),
];

/// Tests that go through all three commands.
const COVERED_IN_ALL: &[(&str, &str)] = &[
    ("timing::every_command_tells_each_step_once", "--timing"),
    ("mq_wire::connect_with_all_it_can_have", "-k -x -u -P -V -D --will-topic --will-payload --will-qos"),
    ("mq_wire::connect_with_all_it_can_have", "--will-retain --will-delay-interval"),
    ("mq_wire::the_password_has_other_ways_in", "--password-file --password-env"),
    ("mq_wire::generated_identifiers_have_the_prefix", "-I"),
    ("mq_wire::headers_of_the_upgrade_and_the_login_of_the_url", "-H --origin"),
    ("mq_silence::SHORT", "--connect-timeout --ack-timeout --close-timeout --no-reconnect"),
    ("mq_flags::larger_than_the_limit", "--max-message"),
    ("mq_flags::connects_again_or_not", "--no-reconnect --max-retries --retry-connect"),
    ("mq_flags::certificate_options", "--cafile --insecure --servername"),
    ("proxy::pub_sub_and_rr_go_through_it_or_not", "--proxy --no-proxy"),
    ("route::one_family", "-4 -6"),
    ("route::an_address_by_hand", "--resolve"),
    ("route::another_host_and_port_in_its_place", "--connect-to"),
    ("route::a_unix_socket", "--unix-socket"),
    ("route::from_a_local_address", "--bind -A"),
    ("http::headers_go_out_as_given", "--bearer-file --cookie"),
    ("http::basic_for_every_command", "--auth"),
    ("http_redirects::each_status_and_each_command", "--location"),
    ("http_redirects::too_many_and_in_a_circle", "--max-redirects"),
    ("secrets::a_password_is_asked_for_at_the_terminal", "--ask-password"),
    ("tls_options::each_command_has_all_of_it", "--capath --cert --key --pkcs12 --key-password-file --pin"),
    ("tls_options::each_command_has_all_of_it", "--tls-min --tls-max --alpn"),
    ("mq_flags::more_and_less_on_stderr", "-d --quiet --help"),
];

/// The source of a test, or of a list.
fn source(item: &str) -> String {
    let (module, name) = item.split_once("::").expect("a module and a name");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/it/{module}.rs"));
    let text = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let (start, end) = match text.find(&format!("fn {name}(")) {
        Some(at) => (at, "\n}\n"),
        None => (text.find(&format!("const {name}:")).unwrap_or_else(|| panic!("there is no {item}")), ";\n"),
    };
    // The type of a list may hold a semicolon, not one before a line's end.
    let text = &text[start..];
    text[..text.find(end).expect("the end of an item")].to_owned()
}

/// Short name, where there is one, and long name of each option in the help.
fn options(command: &str) -> Vec<(String, String)> {
    let run = wspipe(["help", command]).run();
    run.status(0);
    let help = String::from_utf8_lossy(&run.stdout).into_owned();
    let option = |line: &str| {
        let (short, long) = match line.strip_prefix("  -")?.split_once(", --") {
            Some((short, long)) if short.len() == 1 => (format!("-{short}"), long),
            _ => (String::new(), line.strip_prefix("      --")?),
        };
        let name: String = long.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
        Some((short, format!("--{name}")))
    };
    let long_only = |line: &str| {
        let long = line.strip_prefix("      --")?;
        let name: String = long.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
        Some((String::new(), format!("--{name}")))
    };
    help.lines().filter_map(|line| option(line).or_else(|| long_only(line))).collect()
}

#[test]
fn every_option_is_in_a_test() {
    let mut missing = Vec::new();
    for command in ["pub", "sub", "rr"] {
        let options = options(command);
        assert!(options.len() > 35, "{command}: the help was read: {options:?}");
        let own = COVERED.iter().filter(|(of, ..)| *of == command).map(|(_, item, names)| (*item, *names));
        let rows: Vec<(&str, &str)> = own.chain(COVERED_IN_ALL.iter().copied()).collect();
        for (item, names) in &rows {
            let source = source(item);
            for name in names.split(' ') {
                // As an argument, alone or with its value, or in a script.
                let there =
                    [format!("\"{name}\""), format!("\"{name}="), format!(" {name} "), format!("\"{name} ")];
                assert!(there.iter().any(|name| source.contains(name)), "{name} is not in {item}");
                let known = options.iter().any(|(short, long)| name == short || name == long);
                assert!(known || COVERED_IN_ALL.contains(&(item, names)), "{command} has no {name}");
            }
        }
        for (short, long) in options {
            let has = |names: &str| names.split(' ').any(|name| name == long || name == short);
            if !rows.iter().any(|(_, names)| has(names)) {
                missing.push(format!("{command} {long}"));
            }
        }
    }
    assert!(missing.is_empty(), "in no test: {missing:?}");
}

// --- Options of all three that no other module looks at

/// What each command needs to come to its end with [`answering`].
const DOES: [(&str, &[&str]); 3] = [
    ("pub", &["-t", "a", "-m", "x", "-q", "1"]),
    ("sub", &["-t", "a", "-C", "1", "-q", "1"]),
    ("rr", &["-t", "a", "-m", "x", "-q", "1"]),
];

fn run(command: &str, url: &str, args: &[&str]) -> Wspipe {
    let does = DOES.iter().find(|(name, _)| *name == command).expect("one of the three").1;
    wspipe([command, url, "-W", "10", "--close-timeout", "0.3"]).args(does).args(args)
}

#[test]
fn larger_than_the_limit() {
    for (command, _) in DOES {
        for (size, status) in [(900, 0), (1100, 63)] {
            let server = Scripted::start(move |conn| {
                broker(conn, |packet| match packet[0] >> 4 {
                    1 => Say::These([usual(packet, true), message(0x30, 0, &vec![b'x'; size])].concat()),
                    _ => answering(packet),
                })
            });
            let run = run(command, &server.mqtt(), &["--max-message", "1k"]).run();
            run.status(status);
            let bytes = server.finish().remove(0);
            // 0x95 Packet too large.
            if status == 63 {
                run.one_line(&["limit"]);
                assert_eq!(to_hex(&bytes[bytes.len() - 4..])[..2], *"e0", "{command}: {}", to_hex(&bytes));
            }
        }
    }
}

/// Ends the first connection at this kind of packet, and answers on the others.
fn cut_once_at(kind: u8) -> Scripted {
    Scripted::start(move |conn| {
        let first = conn.index == 0;
        broker(conn, |packet| if first && packet[0] >> 4 == kind { Say::End } else { answering(packet) })
    })
}

#[test]
fn connecting_again_or_not() {
    // Side by side: each waits for some backoffs.
    let each = [("pub", 3), ("sub", 8), ("rr", 3)];
    let threads = each.map(|(command, kind)| thread::spawn(move || connects_again_or_not(command, kind)));
    assert!(threads.map(thread::JoinHandle::join).iter().all(Result::is_ok), "see above");
}

fn connects_again_or_not(command: &str, kind: u8) {
    // Once connected: `sub` by itself, the others when they are asked to.
    let server = cut_once_at(kind);
    let again = run(command, &server.mqtt(), &["--max-retries", "3"]).run();
    again.says(&["connecting again"]);
    // `sub` cannot know what it missed; the others have their answers.
    again.status(if command == "sub" { 56 } else { 0 });
    assert_eq!(server.finish().len(), 2, "{command}");
    let server = cut_once_at(kind);
    let once = run(command, &server.mqtt(), &["--no-reconnect"]).run();
    once.status(if command == "pub" { 55 } else { 56 }).one_line(&["127.0.0.1"]);
    assert_eq!(server.finish().len(), 1, "{command}");
    // Not the first connect, unless that is said.
    let server = cut_once_at(1);
    run(command, &server.mqtt(), &["-V", "5"]).run().status(if command == "pub" { 55 } else { 56 });
    assert_eq!(server.finish().len(), 1, "{command}");
    let server = cut_once_at(1);
    let again = run(command, &server.mqtt(), &["-V", "5", "--retry-connect"]).run();
    again.status(0).says(&["again"]);
    assert_eq!(server.finish().len(), 2, "{command}");
    // Refused for now, each time: Server busy.
    let server = Scripted::start(|conn| {
        broker(conn, |packet| if packet[0] == 0x10 { Say::Bytes("20 03 00 89 00") } else { Say::Usual })
    });
    let busy = run(command, &server.mqtt(), &["--retry-connect", "--max-retries", "1"]).run();
    busy.says(&["0x89", "again", "0x89"]);
    assert_eq!(server.finish().len(), 2, "{command}");
}

#[cfg(feature = "tls")]
#[test]
fn certificates() {
    let broker = crate::support::mosquitto::shared();
    let each = [("wss", broker.wss), ("mqtts", broker.tls)];
    let threads = each.map(|(scheme, port)| thread::spawn(move || certificate_options(scheme, port)));
    assert!(threads.map(thread::JoinHandle::join).iter().all(Result::is_ok), "see above");
}

/// Each command does its work over TLS, with its CA and with none checked, and not without either.
#[cfg(feature = "tls")]
fn certificate_options(scheme: &str, port: u16) {
    use crate::{
        mq_pipes::{publish, subscribed},
        mq_request::responder,
        support::{certs, mosquitto},
    };
    let broker = mosquitto::shared();
    let ca = certs::shared().ca.to_string_lossy().into_owned();
    let url = format!("{scheme}://localhost:{port}");
    let trusted = ["--cafile", &ca];
    let wrong = ["--cafile", &ca, "--servername", "other.example"];
    for (how, says) in [(&trusted[..], ""), (&["--insecure"], "--insecure")] {
        let topic = format!("tls/{scheme}/{}", how.len());
        let sub = wspipe(["sub", &url, "-t", &topic, "-C", "1", "-q", "1", "-W", "10"]).args(how);
        let sub = subscribed(sub);
        publish(&url, &["-t", &topic, "-m", "x", "-q", "1"]).args(how).run().status(0).says(&[says]);
        sub.finish().status(0).stdout_is("x\n").says(&[says]);
        let topic = format!("{topic}/rr");
        let answers = responder(&broker.tcp_url(), &topic, "1");
        let rr = wspipe(["rr", &url, "-t", &topic, "-m", "x", "-q", "1"]).args(how).run();
        rr.status(0).stdout_is("[x]\n").says(&[says]);
        answers.finish().status(0);
    }
    for (command, args) in [("pub", &["-m", "x"][..]), ("sub", &["-E"]), ("rr", &["-m", "x"])] {
        let run = |more: &[&str]| wspipe([command, &url, "-t", "tls/none"]).args(args).args(more).run();
        run(&[]).status(60).stdout_is("").one_line(&["localhost", "certificate"]);
        run(&wrong).status(60).stdout_is("").one_line(&["other.example"]);
    }
    // The name that is checked is not the URL's.
    let url = format!("{scheme}://127.0.0.1:{port}");
    let named = ["--cafile", &ca, "--servername", "localhost", "-t", "tls/none"];
    wspipe(["pub", &url, "-m", "x"]).args(named).run().status(0).says_nothing();
    wspipe(["sub", &url, "-E"]).args(named).run().status(0).says_nothing();
    wspipe(["rr", &url, "-m", "x", "-W", "0.1"]).args(named).run().status(28);
}

#[test]
fn more_and_less_on_stderr() {
    for (command, _) in DOES {
        // Ends before CONNACK, once: a warning, and 3.1.1 (which rr does not speak).
        let server = cut_once_at(1);
        let extra: &[&str] = if command == "rr" { &["--retry-connect"] } else { &[] };
        run(command, &server.mqtt(), extra).run().status(0).says(&[if command == "rr" {
            "again"
        } else {
            "3.1.1"
        }]);
        let server = cut_once_at(1);
        run(command, &server.mqtt(), extra).args(["--quiet"]).run().status(0).says_nothing();
        let server = Scripted::start(|conn| broker(conn, answering));
        let some = run(command, &server.mqtt(), &["-d"]).run();
        some.status(0).says(&["CONNECTED"]);
        let more = run(command, &server.mqtt(), &["-dd"]).run();
        more.status(0);
        assert!(more.stderr.lines().count() >= some.stderr.lines().count(), "{}", more.stderr);
        for help in [&["--help"][..], &["-h"]] {
            let help = wspipe([command]).args(help).run();
            help.status(0).says_nothing();
            let text = String::from_utf8_lossy(&help.stdout).into_owned();
            assert!(text.contains(&format!("Usage: wspipe {command} ")), "{text}");
        }
    }
}

// --- rr: where a request comes from, what a response looks like

#[track_caller]
fn requested(args: &[&str], stdin: &[u8]) -> Run {
    let server = Scripted::start(|conn| broker(conn, answering));
    let run = wspipe(["rr", &server.mqtt(), "-t", "a", "-e", "mine"]).args(args).stdin(stdin).run();
    server.finish();
    run
}

#[test]
fn requests_from_everywhere() {
    let file = temp_dir("requests").join("payload");
    fs::write(&file, "one\ntwo").expect("target/tmp is writable");
    let file = file.to_string_lossy();
    let cases: &[(&[&str], &[u8], &[u8])] = &[
        (&["-m", "text"], b"", b"text\n"),
        // As mosquitto_rr: of an empty payload nothing is printed.
        (&["-m", ""], b"", b""),
        (&["-n"], b"", b""),
        (&["-n", "-v"], b"", b"mine (null)\n"),
        (&["-f", &file], b"", b"one\ntwo\n"),
        (&["-s"], b"a\nb\0c", b"a\nb\0c\n"),
        (&["-l"], b"a\n\nb\r\nc", b"a\nb\r\nc\n"),
        (&["-l"], b"", b""),
        (&["-l", "-0"], b"a\nb\0c", b"a\nb\0c\0"),
        (&["-l", "-q", "1"], b"1\n2\n", b"1\n2\n"),
        (&["-l", "-q", "2"], b"1\n2\n", b"1\n2\n"),
    ];
    for (args, stdin, expected) in cases {
        requested(args, stdin).status(0).stdout_is(expected);
    }
}

#[test]
fn responses_in_every_shape() {
    let cases: &[(&[&str], &str)] = &[
        (&[], "hi\nthere\n"),
        (&["-v"], "mine hi\nmine there\n"),
        (&["-F", "%t/%l/%q %x"], "mine/2/0 6869\nmine/5/0 7468657265\n"),
        (&["-N"], "hithere"),
        (&["--raw"], "hi\nthere\n"),
    ];
    for (args, expected) in cases {
        requested(&[&["-l"], *args].concat(), b"hi\nthere\n").status(0).stdout_is(expected).says_nothing();
    }
    let run = requested(&["-m", "x", "--json"], b"");
    run.status(0);
    let value: serde_json::Value = serde_json::from_slice(&run.stdout).expect("a line of JSON");
    assert_eq!((&value["topic"], &value["payload"], &value["qos"]), (&"mine".into(), &"x".into(), &0.into()));
}

#[test]
fn the_window_of_rr() {
    // -M 2: the third request waits for a response.
    let server = Scripted::start(|conn| {
        let mut waiting = Vec::new();
        loop {
            let packet = conn.packet()?;
            match packet[0] >> 4 {
                3 => {
                    waiting.extend(response(&packet));
                    if waiting.len() == 2 {
                        assert!(conn.is_quiet(Duration::from_millis(50))?, "a third one");
                        conn.write(std::mem::take(&mut waiting).concat())?;
                    }
                }
                14 => return conn.end(),
                _ => conn.write(usual(&packet, true))?,
            }
        }
    });
    let run =
        wspipe(["rr", &server.mqtt(), "-t", "a", "-e", "m", "-l", "-M", "2"]).stdin("a\nb\nc\nd\n").run();
    run.status(0).stdout_is("a\nb\nc\nd\n").says_nothing();
    server.finish();
}
