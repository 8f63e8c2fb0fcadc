//! What of `wspipe pub`, `wspipe sub` and `wspipe rr` one flag does not decide alone.

use std::{ffi::OsString, time::Duration};

use crate::{
    cli::{
        Invocation, UsageError, parse,
        tests::{TempFile, refused},
    },
    config::{
        Config, Endpoint, Mode, Mqtt, Output, Publish, QoS, Reconnect, Request, Shape, Source, Subscribe,
        Version,
    },
};

fn run(line: &[&str]) -> Result<Mode, UsageError> {
    match parse(line.iter().map(OsString::from), &|_| None)? {
        Invocation::Run(Config { mode, .. }) => Ok(mode),
        other => panic!("{line:?}: {other:?}"),
    }
}

fn publish(rest: &[&str]) -> (Endpoint, Publish) {
    match run(&[&["pub", "ws://h"], rest].concat()) {
        Ok(Mode::Publish(endpoint, publish)) => (endpoint, publish),
        other => panic!("{rest:?}: {other:?}"),
    }
}

fn subscribe(rest: &[&str]) -> Subscribe {
    match run(&[&["sub", "ws://h"], rest].concat()) {
        Ok(Mode::Subscribe(_, subscribe)) => subscribe,
        other => panic!("{rest:?}: {other:?}"),
    }
}

fn request(rest: &[&str]) -> Request {
    match run(&[&["rr", "ws://h"], rest].concat()) {
        Ok(Mode::Request(_, request)) => request,
        other => panic!("{rest:?}: {other:?}"),
    }
}

#[test]
fn defaults_of_pub() {
    let (endpoint, publish) = publish(&["-t", "t", "-m", "x"]);
    assert_eq!(
        (endpoint.url.to_string(), &endpoint.subprotocols[..]),
        ("ws://h/mqtt".into(), &["mqtt".into()][..])
    );
    assert_eq!((&publish.topics[..], &publish.source), (&["t".to_owned()][..], &Source::Message("x".into())));
    assert_eq!((publish.qos, publish.retain, publish.repeat), (QoS::AtMostOnce, false, 1));
    assert_eq!(publish.repeat_delay, Duration::ZERO);
    assert_eq!((publish.inflight, publish.timeout, publish.progress), (None, None, false));
    assert_eq!(publish.properties, crate::config::no_properties());
    let off = Reconnect { enabled: false, max_retries: None, retry_connect: false };
    assert_eq!(publish.reconnect, off);
    let mqtt = &publish.mqtt;
    assert_eq!(
        (mqtt.version, mqtt.keep_session, mqtt.session_expiry, mqtt.keep_alive),
        (None, false, None, 60)
    );
    assert_eq!((&mqtt.client_id, &mqtt.will, mqtt.receive_maximum), (&None, &None, None));
    assert_eq!(mqtt.ack_timeout, Duration::from_secs(30));
}

#[test]
fn defaults_of_sub() {
    let sub = subscribe(&["-t", "a/#"]);
    assert_eq!(sub.filters.len(), 1);
    assert_eq!(sub.filters[0], Mqtt::filter("a/#", QoS::AtMostOnce));
    assert!(sub.filter_out.is_empty() && sub.unsubscribe.is_empty());
    assert_eq!((sub.count, sub.timeout, sub.snapshot, &sub.ready), (None, None, None, &None));
    assert!(!(sub.exit_after_suback || sub.no_retained || sub.retained_only || sub.remove_retained));
    assert!(!(sub.watch || sub.strict));
    assert_eq!(sub.output, Output { shape: Shape::Payload, end: Some(b'\n'), raw: false });
    assert_eq!(sub.reconnect, Reconnect { enabled: true, max_retries: None, retry_connect: false });
    assert_eq!(sub.mqtt.version, None);
}

#[test]
fn defaults_of_rr() {
    let rr = request(&["-t", "t", "-m", "x"]);
    assert_eq!((&*rr.topic, &rr.response_topic, rr.timeout.as_secs()), ("t", &None, 10));
    assert_eq!(rr.reconnect, Reconnect { enabled: false, max_retries: None, retry_connect: false });
    // Correlation Data is a property of 5.0.
    assert_eq!(rr.mqtt.version, Some(Version::V5));
}

#[test]
fn streams_connect_again() {
    for (args, enabled) in [
        (&["-t", "t", "-m", "x"][..], false),
        (&["-t", "t", "-s"], false),
        (&["-t", "t", "-f", "/dev/null"], false),
        (&["-t", "t", "-n"], false),
        (&["-t", "t", "-l"], true),
        (&["-t", "t", "-0"], true),
        (&["--in", "json"], true),
        (&["--in", "whole", "-t", "t"], false),
        (&["--topic-from-line"], true),
        (&["-t", "t", "-l", "--no-reconnect"], false),
        (&["-t", "t", "-n", "--max-retries", "1"], true),
        (&["-t", "t", "-n", "--retry-connect"], true),
        (&["-t", "t", "-n", "--retry-connect", "--no-reconnect"], false),
    ] {
        assert_eq!(publish(args).1.reconnect.enabled, enabled, "{args:?}");
    }
    assert!(subscribe(&["-t", "t"]).reconnect.enabled);
    assert!(!request(&["-t", "t", "-l"]).reconnect.enabled);
    assert!(request(&["-t", "t", "-l", "--max-retries=1"]).reconnect.enabled);
}

#[test]
fn what_needs_5_forbids_falling_back() {
    for args in [
        &["--no-local"][..],
        &["--retain-as-published"],
        &["--retain-handling", "new"],
        &["-x", "5"],
        &["-D", "connect", "user-property", "a", "b"],
        &["--will-topic", "w", "--will-delay-interval", "1"],
    ] {
        let line = [&["-t", "t"], args].concat();
        assert_eq!(subscribe(&line).mqtt.version, Some(Version::V5), "{args:?}");
        let error = refused(&[&["sub", "ws://h", "-V", "311"], &line[..]].concat());
        assert!(error.contains("needs MQTT 5.0: not with -V 311"), "{error}");
    }
    assert_eq!(subscribe(&["-t", "t", "-V", "311"]).mqtt.version, Some(Version::V311));
}

#[test]
fn sessions() {
    let sub = subscribe(&["-t", "t", "-c", "-i", "me"]).mqtt;
    assert_eq!((sub.keep_session, sub.client_id.as_deref(), sub.session_expiry), (true, Some("me"), None));
    let sub = subscribe(&["-t", "t", "-c", "-i", "me", "-x", "60"]).mqtt;
    assert_eq!((sub.keep_session, sub.session_expiry), (true, Some(60)));
    assert!(refused(&["sub", "ws://h", "-t", "t", "-c"]).contains("needs -i ID"));
    for line in [
        &["pub", "ws://h", "-nt", "t", "-c", "-i", "me"][..],
        &["pub", "ws://h", "-nct", "t", "-i", "me"],
        &["pub", "ws://h", "-nt", "t", "--disable-clean-session"],
        &["rr", "ws://h", "-nt", "t", "-c", "-i", "me"],
    ] {
        let error = refused(line);
        assert!(error.contains("leave it out: there is no store"), "{line:?}: {error}");
    }
}

#[test]
fn every_filter_gets_the_options() {
    let args =
        ["-t", "a", "-t", "é/#", "-q2", "--no-local", "--retain-as-published", "--retain-handling=new"];
    let filters = subscribe(&args).filters;
    assert_eq!(filters.iter().map(|filter| &*filter.filter).collect::<Vec<_>>(), ["a", "é/#"]);
    for filter in filters {
        assert_eq!((filter.qos, filter.retain_handling), (QoS::ExactlyOnce, 1));
        assert!(filter.no_local && filter.retain_as_published);
    }
}

#[test]
fn files_are_read_at_the_start() {
    let file = TempFile::new("payload", b"\xff\0a\n");
    let source = publish(&["-t", "t", "-f", file.path()]).1.source;
    assert_eq!(source, Source::Message((&b"\xff\0a\n"[..]).into()));
    let source = request(&["-t", "t", "-f", file.path()]).source;
    assert_eq!(source, Source::Message((&b"\xff\0a\n"[..]).into()));
    for path in ["/nonexistent/file", "/"] {
        let error = run(&["pub", "ws://h", "-t", "t", "-f", path]).expect_err(path);
        assert!(error.exit_code() == 26 && error.to_string().contains(path), "{error}");
    }
    let line =
        ["pub", "ws://h", "-t", "t", "-f", file.path(), "-D", "publish", "payload-format-indicator", "1"];
    assert!(refused(&line).contains("says that the payload is UTF-8, and it is not"));
    let will = ["--will-topic", "w", "--will-payload", "x", "-D", "will", "payload-format-indicator", "1"];
    let mqtt = publish(&[&["-nt", "t"], &will[..]].concat()).1.mqtt;
    let properties = mqtt.will.and_then(|will| will.properties).expect("one");
    assert_eq!(properties.payload_format_indicator, Some(1));
}

#[test]
fn retained_messages_are_not_waited_for_where_none_come() {
    let shared = ["sub", "ws://h", "-t", "$share/g/a"];
    for option in ["--snapshot=1", "--retained-only"] {
        assert!(refused(&[&shared[..], &[option]].concat()).contains("a shared subscription"), "{option}");
        // Another filter may bring some.
        let sub = subscribe(&["-t", "$share/g/a", "-t", "b", option]);
        assert!(sub.snapshot.is_some() || sub.retained_only);
        let error = refused(&["sub", "ws://h", "-t", "b", option, "--retain-handling", "never"]);
        assert!(error.contains("--retain-handling never contradict"), "{error}");
    }
}

#[test]
fn what_mosquitto_s_users_type_is_answered() {
    for (line, part) in [
        (&["pub", "-h", "broker", "-t", "a", "-m", "b"][..], "-h: the host belongs in the URL"),
        (&["sub", "-h", "broker", "-t", "a"], "-h: the host belongs in the URL"),
        (&["rr", "--host", "broker"], "--host: the host belongs in the URL"),
        (&["pub", "ws://h", "-p", "1883"], "the port belongs in the URL"),
        (&["sub", "-L", "ws://h"], "the URL stands by itself"),
        (&["sub", "--url", "ws://h"], "the URL stands by itself"),
        (
            &["pub", "-t", "a", "-m", "b"],
            "there is no URL, as in: wspipe pub ws://localhost:9001/mqtt -t TOPIC -m",
        ),
        (&["sub", "-t", "a"], "as in: wspipe sub ws://localhost:9001/mqtt -t TOPIC"),
        (&["sub", "broker", "-t", "a"], "'broker' is not a URL, there is no '://' in it: as in: wspipe sub"),
        (&["pub", "ws://h", "hello", "-t", "a"], "the message is -m's and the topic -t's"),
        (&["sub", "ws://h", "a/b"], "'wspipe sub' takes a URL; topics are -t's"),
        (&["sub", "http://h", "-t", "a"], "ws://"),
        (&["pub", "mqtt://h/a", "-m", "x"], "-t"),
        (&["sub", "ws://h", "-M", "20"], "say -D connect receive-maximum N"),
        (&["sub", "ws://h", "--pretty"], "say --json"),
        (&["sub", "ws://h", "--message-rate"], "pv -l"),
        (&["rr", "ws://h", "--latency"], "say -d"),
        (&["rr", "ws://h", "-R"], "Correlation Data"),
        (&["pub", "ws://h", "--nodelay"], "it is always so"),
        (&["pub", "ws://h", "--ws"], "the URL's scheme says it"),
        (&["pub", "ws://h", "-o", "file"], "no file of options"),
        (&["pub", "ws://h", "-C", "1"], "it belongs to 'wspipe cat' and 'wspipe sub'"),
        (&["sub", "ws://h", "-m", "x"], "it belongs to 'wspipe mqtt', 'wspipe pub' and 'wspipe rr'"),
        (&["pub", "ws://h", "--stdin-lines"], "did you mean --stdin-line?"),
        (&["pub", "ws://h", "-retain"], "did you mean --retain, with two dashes?"),
        (&["sub", "ws://h", "-k", "wss://x"], "-k is the Keep Alive here"),
        (&["sub", "ws://h", "-V", "31"], "MQTT 3.1 is not supported"),
        (&["publish", "ws://h"], "did you mean 'pub'?"),
        (&["subscribe", "ws://h"], "did you mean 'sub'?"),
        (&["subs", "ws://h"], "did you mean 'sub'?"),
    ] {
        let error = refused(line);
        assert!(error.contains(part), "{line:?}: '{part}' is not in: {error}");
    }
}

#[test]
fn values_are_values_whatever_they_look_like() {
    let (_, publish) = publish(&["-t", "-m", "-m", "-t", "-P", "-l", "-u", "--"]);
    assert_eq!(
        (&publish.topics[..], &publish.source),
        (&["-m".to_owned()][..], &Source::Message("-t".into()))
    );
    assert_eq!(
        (publish.mqtt.username.as_deref(), publish.mqtt.password.as_deref()),
        (Some("--"), Some(&b"-l"[..]))
    );
    let sub = subscribe(&["-t", "-T", "-T", "-t", "-F", "--json", "--ready", "-E"]);
    assert_eq!((&*sub.filters[0].filter, &sub.filter_out[..]), ("-T", &["-t".to_owned()][..]));
    assert_eq!(sub.output.shape, Shape::Format("--json".to_owned()));
}
