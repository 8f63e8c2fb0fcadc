//! Templates against mosquitto_sub: the same message, printed by both.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

use bytes::Bytes;
use mqttbytes::v5::PublishProperties;
use serde_json::{Value, json};
use wspipe::proto::format::{Message, Template, Written, Zone};

use crate::support::{
    mosquitto::{self, Mosquitto},
    wspipe,
};

/// Prints, before anything else, what this test cannot know: packet identifier, remaining expiry, time.
const HEAD: &str = r"%m|%E|@s|@N|";

const PROPERTIES: &[&str] = &[
    "payload-format-indicator 1",
    "content-type text/plain;ä",
    "response-topic r/t",
    "correlation-data c d",
    "user-property k v",
    "user-property k v 2",
    "message-expiry-interval 1000000",
];

/// What is published, and received.
struct Sample {
    topic: &'static str,
    payload: &'static [u8],
    qos: u8,
    /// All of [`PROPERTIES`], and a subscription identifier.
    properties: bool,
}

const FULL: Sample =
    Sample { topic: "format/full/häuser", payload: b"hello, w\xc3\xb6rld", qos: 2, properties: true };
const BARE: Sample =
    Sample { topic: "format/bare", payload: b"\x00\x01\xfe\xff\n\x1b", qos: 0, properties: false };

/// Every directive with every option that it takes, as far as mosquitto_sub 2.0 does what 2.1 does and no more.
const FORMATS: &[&str] = &[
    "",
    "text, Grüße",
    "%%",
    "%5%|%-3%|%05.2%",
    "%A|%5A|%05A|%-5A|%-05A|",
    "%C|%20C|%-20C|%020C|%.3C|%9.3C|%-9.3C|%.C",
    "%D|%9D|%-9D|",
    "%E|%12E|%012E|%-12E|%.1E",
    "%F|%3F|%03F|%-3F|",
    "%l|%5l|%05l|%-5l|%-05l|%.9l",
    "%m|%4m|%04m|%-4m|",
    "%P|%20P|",
    "%p",
    "%20p|%020p|%-20p|%-020p|",
    "%3p|%.3p|%-3p|",
    "%q|%5q|%05q|",
    "%R|%9R|%-9R|%.1R|%9.1R|",
    "%r|%5r|",
    "%S|%5S|%05S|%-5S|",
    "%t|%30t|%-30t|%030t|%.3t|%9.3t|%-9.3t|%.0t|%.13t",
    "%x",
    "%X",
    r"\\|\0|\a|\e|\n|\r|\t|\v|",
    "@@|@%|@n|@t",
];

fn command(program: &str, broker: &Mosquitto, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    // The machine's own settings are no part of a test.
    command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C.UTF-8");
    command.args(["-V", "5", "-h", "127.0.0.1", "-p", &broker.tcp.to_string()]).args(args);
    command
}

/// Publishes; a retained message is there for every mosquitto_sub that comes.
fn publish(broker: &Mosquitto, sample: &Sample, retain: bool) {
    let mut command = command("mosquitto_pub", broker, &["-t", sample.topic, "-q", &sample.qos.to_string()]);
    command.arg(if sample.payload.is_empty() { "-n" } else { "-s" });
    if retain {
        command.arg("-r");
    }
    for property in PROPERTIES.iter().filter(|_| sample.properties) {
        let parts = if property.starts_with("user") { 3 } else { 2 };
        command.args(["-D", "publish"]).args(property.splitn(parts, ' '));
    }
    let mut child = command.stdin(Stdio::piped()).spawn().expect("mosquitto_pub is there: run scripts/setup");
    child.stdin.take().expect("stdin is piped").write_all(sample.payload).expect("mosquitto_pub reads stdin");
    assert!(child.wait().expect("our own child").success());
}

/// mosquitto_sub, that prints one message and ends.
fn subscribe(broker: &Mosquitto, sample: &Sample, args: &[&str], zone: Option<&str>) -> Command {
    let mut command =
        command("mosquitto_sub", broker, &["-t", sample.topic, "-q", "2", "-C", "1", "-W", "20"]);
    if sample.properties {
        command.args(["-D", "subscribe", "subscription-identifier", "42"]);
    }
    command.args(args).envs(zone.map(|zone| ("TZ", zone)));
    command
}

#[track_caller]
fn finished(output: Output, what: &str) -> Vec<u8> {
    assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// What mosquitto_sub prints for `format`, and what a template does.
#[track_caller]
fn both(sample: &Sample, format: &str, retain: bool, zone: Option<&str>) -> (Vec<u8>, Vec<u8>) {
    let format = format!("{HEAD}{format}");
    let mut command = subscribe(mosquitto::shared(), sample, &["-N", "-F", &format], zone);
    let theirs = finished(command.output().expect("mosquitto_sub is there: run scripts/setup"), &format);
    let ours = render(sample, &format, &theirs, retain, zone);
    (theirs, ours)
}

/// By a template, with what [`HEAD`] has in their output.
#[track_caller]
fn render(sample: &Sample, format: &str, theirs: &[u8], retain: bool, zone: Option<&str>) -> Vec<u8> {
    let head: Vec<&[u8]> = theirs.splitn(5, |&b| b == b'|').collect();
    let number = |at: usize| std::str::from_utf8(head[at]).ok().and_then(|text| text.parse::<u64>().ok());
    let seconds = number(2).unwrap_or_else(|| panic!("no time in {}", String::from_utf8_lossy(theirs)));
    let properties = PublishProperties {
        payload_format_indicator: Some(1),
        message_expiry_interval: number(1).and_then(|seconds| seconds.try_into().ok()),
        topic_alias: None,
        response_topic: Some("r/t".into()),
        correlation_data: Some(Bytes::from_static(b"c d")),
        user_properties: vec![("k".into(), "v".into()), ("k".into(), "v 2".into())],
        subscription_identifiers: vec![42],
        content_type: Some("text/plain;ä".into()),
    };
    let message = Message {
        topic: sample.topic,
        payload: sample.payload,
        qos: sample.qos,
        retain,
        dup: false,
        mid: number(0).and_then(|id| id.try_into().ok()).unwrap_or(0),
        properties: sample.properties.then_some(&properties),
        time: seconds * 1_000_000 + number(3).unwrap_or(0) / 1000,
    };
    let mut template = Template::parse(format).unwrap_or_else(|error| panic!("{format}: {error}"));
    template.set_zone(Zone::local(zone, |path| Ok(std::fs::read(path)?)));
    let mut out = Vec::new();
    assert_eq!(template.write(&mut out, &message), Written::Record);
    out
}

/// Without the head: nanoseconds are no nanoseconds here.
fn tail(output: &[u8]) -> String {
    let tail = output.splitn(5, |&b| b == b'|').last().unwrap_or_default();
    tail.escape_ascii().to_string()
}

#[test]
fn every_directive_prints_what_mosquitto_sub_prints() {
    for sample in [&FULL, &BARE] {
        publish(mosquitto::shared(), sample, true);
        for format in FORMATS {
            let (theirs, ours) = both(sample, format, true, None);
            assert_eq!(tail(&ours), tail(&theirs), "{format} of {}", sample.topic);
        }
    }
}

#[test]
fn wspipe_sub_prints_what_mosquitto_sub_prints() {
    // The programs side by side, in one process each: mosquitto_sub over TCP, wspipe over each kind of URL.
    let broker = mosquitto::shared();
    let urls = [broker.tcp_url(), broker.ws_url()];
    for (sample, url) in [(&FULL, &urls[0]), (&BARE, &urls[1])] {
        let sample =
            &Sample { topic: if sample.properties { "format/cli/ü" } else { "format/cli/b" }, ..*sample };
        publish(broker, sample, true);
        // Several at a time: mosquitto_sub takes its time to end.
        let formats: Vec<&str> = FORMATS.iter().copied().filter(|format| !format.contains("@n")).collect();
        for format in formats.chunks(7).map(|some| some.join("~")) {
            let same = || {
                let mut command = subscribe(broker, sample, &["-F", &format], None);
                let theirs = finished(command.output().expect("mosquitto_sub is there"), &format);
                let args = ["sub", url, "-V", "5", "-t", sample.topic, "-q", "2", "-C", "1", "-W", "15"];
                let mut ours = wspipe(args);
                if sample.properties {
                    ours = ours.args(["-D", "subscribe", "subscription-identifier", "42"]);
                }
                let run = ours.args(["-F", &format]).run();
                run.status(0);
                (run.stdout.escape_ascii().to_string(), theirs.escape_ascii().to_string())
            };
            let (mut ours, mut theirs) = same();
            if ours != theirs && format.contains("%E") {
                // A second of the expiry went by between the two.
                (ours, theirs) = same();
            }
            assert_eq!(ours, theirs, "{format}");
        }
    }
}

/// The list that was promised. Times and JSON have tests of their own below, which leave out what cannot be the same;
/// `%d` and `%f` are of 2.1, and in the tests of the template.
#[test]
fn no_directive_is_forgotten() {
    let options = |c: char| c.is_ascii_digit() || matches!(c, '-' | '.');
    let compared = |directive: char| {
        FORMATS.iter().any(|format| {
            format.split('%').skip(1).any(|rest| rest.trim_start_matches(options).starts_with(directive))
        })
    };
    let missing: String = "ACDEFlmPpqRrStxX".chars().filter(|directive| !compared(*directive)).collect();
    assert_eq!(missing, "");
}

#[test]
fn a_message_that_is_not_retained_prints_the_same() {
    let broker = mosquitto::shared();
    for (id, sample) in [("format-live-1", &FULL), ("format-live-0", &BARE)] {
        let format = format!("{HEAD}%r %q %l %m %t %x");
        let mut command = subscribe(broker, sample, &["-N", "-R", "-i", id, "-F", &format], None);
        let child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("mosquitto_sub is there");
        broker.logged(&["Sending SUBACK", id]);
        publish(broker, sample, false);
        let theirs = finished(child.wait_with_output().expect("our own child"), &format);
        assert_eq!(tail(&render(sample, &format, &theirs, false, None)), tail(&theirs));
    }
}

#[test]
fn time_directives_are_those_of_strftime_in_any_zone() {
    let sample = &Sample { topic: "format/time", ..BARE };
    publish(mosquitto::shared(), sample, true);
    let format: String =
        "aAbBcCdDeFgGhHIjklmMnpPrRsStTuUVwWxXyYzZ%".chars().map(|c| format!("@{c}|")).collect();
    let rules =
        ["", "UTC", "CET-1CEST,M3.5.0,M10.5.0/3", "NST3:30NDT,M3.2.0,M11.1.0", "<+0545>-5:45", "Not/There"];
    let files = ["Asia/Kolkata", "America/St_Johns", ":Pacific/Chatham", "Europe/Dublin"];
    let files = files.iter().filter(|name| {
        std::path::Path::new("/usr/share/zoneinfo").join(name.trim_start_matches(':')).exists()
    });
    for zone in rules.iter().chain(files).map(|zone| Some(*zone)).chain([None]) {
        let (theirs, ours) = both(sample, &format, true, zone);
        // The C library takes the abbreviation of a zone that is not there from its name, and "" is Universal to it,
        // which Debian 13 has moved to tzdata-legacy.
        let theirs = tail(&theirs).replace("|Not|", "|UTC|").replace("|Universal|", "|UTC|");
        assert_eq!(tail(&ours), theirs, "TZ={zone:?}");
        // mosquitto_sub looks at the clock again for each of these.
        let same = || {
            let (theirs, ours) = both(sample, "%I|%30I|%-30I|%.10I|%30.10I", true, zone);
            tail(&ours) == tail(&theirs)
        };
        assert!(same() || same(), "%I with TZ={zone:?}");
    }
    let (theirs, ours) = both(sample, "%U", true, None);
    let number = |text: &str| text.split_once('.').map(|(a, b)| (a.parse::<u64>().unwrap_or(0), b.len()));
    let (theirs, ours) = (number(&tail(&theirs)).expect("a point"), number(&tail(&ours)).expect("a point"));
    assert!(theirs.0.abs_diff(ours.0) <= 1, "{theirs:?} and {ours:?}");
    assert_eq!((theirs.1, ours.1), (9, 9));
}

/// As 2.1 writes it: 2.0 has 0 and 1, one object of user properties, and a Z too much.
fn as_in_2_1(mut value: Value) -> Value {
    if let Some(retain) = value["retain"].as_u64() {
        value["retain"] = json!(retain == 1);
    }
    let tst = value["tst"].as_str().expect("a time").to_owned();
    assert!(tst.replace('Z', "").len() == "2026-02-28T23:59:59.000001+0000".len(), "{tst}");
    // Microseconds later.
    value["tst"] = json!(null);
    if value["properties"]["user-properties"].is_object() {
        // serde_json keeps the last of two with the same name.
        let last = value["properties"]["user-properties"]["k"].clone();
        value["properties"]["user-properties"] = json!([{"k": "v"}, {"k": last}]);
    }
    value
}

#[test]
fn json_says_what_mosquitto_sub_says() {
    let objects = Sample {
        topic: "format/json",
        payload: b" { \"b\" : 1.5, \"a\": [100, \"\\u00e9\\n\\\\\\\"\", true, null, {}] } ",
        qos: 1,
        properties: true,
    };
    let text = Sample { topic: "format/\"text\\", payload: b"a\tb\x01\x7f\"\\/\xc3\xa9\r\n", ..objects };
    let plain = Sample { topic: "format/plain", payload: b"0", qos: 0, properties: false };
    for (sample, formats) in [(&objects, &["%j", "%J"][..]), (&text, &["%j"]), (&plain, &["%j", "%J"])] {
        publish(mosquitto::shared(), sample, true);
        for format in formats {
            let (theirs, ours) = both(sample, format, true, None);
            let parsed = |output: &[u8]| -> Value {
                let json = output.splitn(5, |&b| b == b'|').last().expect("a tail");
                as_in_2_1(serde_json::from_slice(json).unwrap_or_else(|e| panic!("{e}: {}", tail(output))))
            };
            assert_eq!(parsed(&ours), parsed(&theirs), "{format} of {}", sample.topic);
        }
    }
}

#[test]
fn output_without_a_format_is_the_same() {
    let broker = mosquitto::shared();
    let empty = Sample { topic: "format/empty", payload: b"", qos: 1, properties: false };
    let full = Sample { topic: "format/filled", payload: b"\x00 \xff\n", ..empty };
    for (sample, name) in [(&empty, "empty"), (&full, "full")] {
        for (args, template, name) in [
            (&[][..], Template::payload(), format!("{name}-p")),
            (&["-v"], Template::verbose(), format!("{name}-v")),
        ] {
            let id = format!("format-{name}");
            let mut command = subscribe(broker, sample, &[&["-i", &id], args].concat(), None);
            let child = command.stdout(Stdio::piped()).spawn().expect("mosquitto_sub is there");
            broker.logged(&["Sending SUBACK", &id]);
            publish(broker, sample, false);
            let theirs = finished(child.wait_with_output().expect("our own child"), &id);
            let mut ours = Vec::new();
            let message = Message {
                topic: sample.topic,
                payload: sample.payload,
                qos: 1,
                retain: false,
                dup: false,
                mid: 1,
                properties: None,
                time: 0,
            };
            if template.write(&mut ours, &message) == Written::Record {
                ours.push(b'\n');
            }
            assert_eq!(ours.escape_ascii().to_string(), theirs.escape_ascii().to_string(), "{id}");
        }
    }
}

#[test]
fn what_mosquitto_sub_refuses_is_refused() {
    let broker = mosquitto::shared();
    let wrong = [
        "%", "%0", "%-", "%5", "%.", "%.5", "%05", "%z", "%p%", "%0-5p", "%-", "%ü", "@", "a@", "\\", r"\q",
        r"\x", r"\",
    ];
    for format in wrong {
        let output = command("mosquitto_sub", broker, &["-t", "a", "-E", "-F", format]).output();
        let said = String::from_utf8_lossy(&output.expect("mosquitto_sub is there").stderr).into_owned();
        assert!(said.contains("specifier"), "{format}: mosquitto_sub said {said:?}");
        assert!(Template::parse(format).is_err(), "{format}");
    }
}
