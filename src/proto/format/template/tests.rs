use bytes::Bytes;
use mqttbytes::v5::PublishProperties;

use super::super::{Message, Zone, parse::MAX_WIDTH};
use super::{Template, Unfit, Written};

fn properties() -> PublishProperties {
    PublishProperties {
        payload_format_indicator: Some(1),
        message_expiry_interval: Some(4_000_000_000),
        topic_alias: Some(7),
        response_topic: Some("r/t".into()),
        correlation_data: Some(Bytes::from_static(b"c\xffd")),
        user_properties: vec![("k".into(), "v".into()), ("k".into(), "v 2".into())],
        subscription_identifiers: vec![42],
        content_type: Some("text/plain".into()),
    }
}

/// 2026-07-04T10:20:30.000005Z
const TIME: u64 = 1_783_160_430_000_005;

fn message<'a>(payload: &'a [u8], properties: Option<&'a PublishProperties>) -> Message<'a> {
    Message { topic: "a/topic", payload, qos: 1, retain: false, dup: false, mid: 9, properties, time: TIME }
}

fn render(template: &Template, message: &Message<'_>) -> (Vec<u8>, Written) {
    // What was there before stays.
    let mut out = b"before".to_vec();
    let written = template.write(&mut out, message);
    assert_eq!(out[..6], *b"before");
    (out[6..].to_vec(), written)
}

/// `-F format` for the payload, with all properties.
#[track_caller]
fn formatted(format: &str, payload: &[u8]) -> String {
    let properties = properties();
    let template = Template::parse(format).expect(format);
    let (out, written) = render(&template, &message(payload, Some(&properties)));
    assert_eq!(written, Written::Record);
    String::from_utf8(out).expect("a test with UTF-8")
}

#[track_caller]
fn check(cases: &[(&str, &str)]) {
    for (format, expected) in cases {
        assert_eq!(formatted(format, b"hello"), *expected, "{format}");
    }
}

#[test]
fn plain_output_is_the_payload() {
    let template = Template::payload();
    assert!(template.is_plain() && !template.needs_time() && !template.needs_zone());
    let (out, written) = render(&template, &message(b"\x1b\0\xff", None));
    assert_eq!((&out[..], written), (&b"\x1b\0\xff"[..], Written::Record));
    assert_eq!(render(&template, &message(b"", None)), (Vec::new(), Written::Nothing));
}

#[test]
fn verbose_output_has_the_topic() {
    let template = Template::verbose();
    assert!(!template.is_plain() && !template.needs_time());
    assert_eq!(render(&template, &message(b"\xff x", None)), (b"a/topic \xff x".to_vec(), Written::Record));
    assert_eq!(render(&template, &message(b"", None)), (b"a/topic (null)".to_vec(), Written::Record));
}

#[test]
fn text_and_escapes_stand() {
    check(&[
        ("", ""),
        ("Grüße 🦀", "Grüße 🦀"),
        (r"\\ \0 \a \e \n \r \t \v", "\\ \0 \x07 \x1b \n \r \t \x0b"),
        ("100%% @@home %5% %-05.3%", "100% @home % %"),
    ]);
}

#[test]
fn texts_take_options_as_printf_does() {
    check(&[
        ("%t|%10t|%-10t|%010t", "a/topic|   a/topic|a/topic   |   a/topic"),
        ("%.3t|%5.3t|%-5.3t|%.t|%.0t|%3t", "a/t|  a/t|a/t  |||a/topic"),
        ("%C|%12C|%-12C|%.4C", "text/plain|  text/plain|text/plain  |text"),
        ("%R|%5R|%-5R|%.1R", "r/t|  r/t|r/t  |r"),
        ("%P|%20P", "k:v k:v 2|k:v k:v 2"),
    ]);
    let properties = properties();
    let (out, _) = render(&Template::parse("%D|%9D").expect("fine"), &message(b"", Some(&properties)));
    assert_eq!(out, b"c\xffd|c\xffd");
}

#[test]
fn numbers_take_options_as_printf_does() {
    check(&[
        ("%l|%5l|%05l|%-5l|%-05l|%.9l", "5|    5|00005|5    |5    |5"),
        ("%m|%3m|%03m", "9|  9|009"),
        ("%A|%3A|%03A", "7|  7|007"),
        ("%E|%12E|%012E", "4000000000|  4000000000|004000000000"),
        ("%F|%2F|%-2F|", "1| 1|1 |"),
        ("%S|%4S|%04S|%-4S|", "42|  42|0042|42  |"),
        ("%q|%5q|%r|%05r", "1|1|0|0"),
    ]);
}

#[test]
fn payloads_are_padded_and_cut() {
    check(&[
        ("%p|%8p|%08p|%-8p|%-08p|", "hello|   hello|000hello|hello   |hello   |"),
        ("%3p|%-3p|%.2p|%-p|", "hel|hel|hello|hello|"),
    ]);
}

#[test]
fn hexadecimal_is_padded_cut_and_split() {
    check(&[
        ("%x", "68656c6c6f"),
        ("%X", "68656C6C6F"),
        ("%12x|%012x|%-12x|", "  68656c6c6f|0068656c6c6f|68656c6c6f  |"),
        ("%3x|%-3x|%5x", "68656c|68656c|68656c6c6f"),
        ("%.2x", "68 65 6c 6c 6f"),
        ("%.2:x|%.4-X|%.1.x", "68:65:6c:6c:6f|6865-6C6C-6F|6.8.6.5.6.c.6.c.6.f"),
        ("%.3 x|%.99:x|%.0:x|%:x", "686 56c 6c6 f|68656c6c6f|68656c6c6f|68656c6c6f"),
        // The separators are not counted in the width, and also split what fills it.
        ("%014.2:x|%-12.2:x|", "00:00:68:65:6c:6c:6f|68:65:6c:6c:6f  |"),
    ]);
    assert_eq!(formatted("[%x|%.2x|%4x|%04.2x]", b""), "[||    |00 00]");
}

#[test]
fn separators_before_other_letters_change_nothing() {
    check(&[("%.2:p|%:t|%5:l|%--p|%,%", "hello|a/topic|    5|hello|%")]);
}

#[test]
fn floats_are_those_of_printf() {
    let float = |format, value: f32| formatted(format, &value.to_ne_bytes());
    let double = |format, value: f64| formatted(format, &value.to_ne_bytes());
    assert_eq!(float("%f|%.2f|%.0f", 2.5), "2.500000|2.50|2");
    assert_eq!(float("%10.3f|%-10.3f|%010.3f|%3f", -1.5), "    -1.500|-1.500    |-00001.500|-1.500000");
    assert_eq!(float("%.10f", 0.1), "0.1000000015");
    assert_eq!(float("%f|%6f|%06f|%-6f|", f32::INFINITY), "inf|   inf|   inf|inf   |");
    assert_eq!(float("%f", f32::NEG_INFINITY), "-inf");
    assert_eq!(float("%f|%5f", f32::NAN), "nan|  nan");
    assert_eq!(float("%f", -0.0), "-0.000000");
    assert_eq!(double("%d|%.1d|%.20d", 0.1), "0.100000|0.1|0.10000000000000000555");
    assert_eq!(double("%.0d", 1e23), "99999999999999991611392");
    assert_eq!(double("%.0d|%.0d", 0.5), "0|0");
    assert_eq!(double("%.2d", 1.005), "1.00");
}

#[test]
fn floats_of_another_size_are_reported() {
    for (format, payload, unfit) in [
        ("<%9f>", &b"abc"[..], Unfit::Float),
        ("<%f>", b"", Unfit::Float),
        ("<%d>", b"abcd", Unfit::Double),
        ("<%d%p>", b"123456789", Unfit::Double),
    ] {
        let (out, written) = render(&Template::parse(format).expect(format), &message(payload, None));
        assert_eq!(written, Written::Unfit(unfit), "{format}");
        let rest = if format.contains("%p") { payload } else { b"" };
        assert_eq!(out, [b"<", rest, b">"].concat(), "{format}");
    }
}

#[test]
fn what_is_not_there_leaves_blanks_or_nothing() {
    let empty = PublishProperties {
        payload_format_indicator: None,
        message_expiry_interval: None,
        topic_alias: None,
        response_topic: None,
        correlation_data: None,
        user_properties: Vec::new(),
        subscription_identifiers: Vec::new(),
        content_type: None,
    };
    for properties in [None, Some(&empty)] {
        let shown = |format| {
            let (out, _) = render(&Template::parse(format).expect(format), &message(b"", properties));
            String::from_utf8(out).expect("ASCII")
        };
        assert_eq!(shown("%A,%C,%D,%E,%F,%P,%R,%S"), ",,,,,,,");
        assert_eq!(shown("%5A,%5C,%5D,%5E,%5F,%5P,%5R,%5S"), "     ,     ,,     ,     ,,,     ");
        assert_eq!(shown("%05A,%05C,%05D,%05E,%05F,%05P,%05R,%05S"), "00000,     ,,00000,00000,,,00000");
        assert_eq!(shown("%j").matches("properties").count(), 0);
    }
}

#[test]
fn times_are_local() {
    let zone = Zone::local(Some("CET-1CEST,M3.5.0,M10.5.0/3"), |_| Err("no file".into()));
    let mut template = Template::parse("%I|%28I|%.10I|%U|@s.@N|@Y-@m-@d @H:@M:@S @z @Z|@%|@a").expect("fine");
    assert!(template.needs_time() && template.needs_zone());
    template.set_zone(zone);
    let (out, _) = render(&template, &message(b"", None));
    assert_eq!(
        String::from_utf8_lossy(&out),
        "2026-07-04T12:20:30+0200|    2026-07-04T12:20:30+0200|2026-07-04|1783160430.000005000|\
         1783160430.000005000|2026-07-04 12:20:30 +0200 CEST|%|Sat"
    );
    for (format, time, zone) in
        [("%p%t%l%x", false, false), ("%U", true, false), ("%j", true, true), ("@s", true, true)]
    {
        let template = Template::parse(format).expect(format);
        assert_eq!((template.needs_time(), template.needs_zone()), (time, zone), "{format}");
    }
}

#[test]
fn wrong_templates_are_refused_with_their_place() {
    for (format, error) in [
        ("%", r#""%" at byte 1 has no letter at its end"#),
        ("ab%-05.3", r#""%-05.3" at byte 3 has no letter at its end"#),
        ("%.2:", r#""%.2:" at byte 1 has no letter at its end"#),
        ("%p %z", r#""%z" at byte 4 is no directive; %% is a percent sign"#),
        ("%0-5p", r#""%0-5" at byte 1 is no directive; %% is a percent sign"#),
        ("ü%ü", r#""%ü" at byte 3 is no directive; %% is a percent sign"#),
        ("%::x", r#""%::" at byte 1 is no directive; %% is a percent sign"#),
        ("%\x1b", r#""%\x1b" at byte 1 is no directive; %% is a percent sign"#),
        ("%99999999999999999999p", r#""%99999999999999999999" at byte 1 has a number above 10000"#),
        ("%.10001p", r#""%.10001" at byte 1 has a number above 10000"#),
        ("x@", r#""@" at byte 2 has no letter after it; @@ is an at sign"#),
        ("@q", r#""@q" at byte 1 is no time directive of strftime; @@ is an at sign"#),
        ("@ü", r#""@ü" at byte 1 is no time directive of strftime; @@ is an at sign"#),
        ("me@ home", r#""@ " at byte 3 is no time directive of strftime; @@ is an at sign"#),
        ("\\", r#""\" at byte 1 has nothing after it; \\ is a backslash"#),
        (r"\q", r#""\q" at byte 1 is no escape (\\ \0 \a \e \n \r \t \v are)"#),
    ] {
        assert_eq!(Template::parse(format).expect_err(format), error);
    }
    assert_eq!(formatted("%10000t", b"").len(), MAX_WIDTH);
}

#[test]
fn no_template_panics() {
    // xorshift
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let letters: Vec<char> = "%%%@@\\-0.:59 pxXtJjdfIUzZaüN\0".chars().collect();
    let (properties, mut good) = (properties(), 0);
    for _ in 0..100_000 {
        let format: String = (0..next(8)).map(|_| letters[next(letters.len())]).collect();
        let Ok(mut template) = Template::parse(&format) else { continue };
        good += 1;
        template.set_escape(next(2) == 0);
        let payload = &b"\xff\x1b[{}]"[..next(7)];
        let _ = template.write(&mut Vec::new(), &message(payload, Some(&properties)));
    }
    assert!(good > 10_000, "{good}");
}

#[test]
fn a_terminal_gets_no_control_characters_of_a_message() {
    let properties = PublishProperties {
        response_topic: Some("\u{9b}".into()),
        correlation_data: Some(Bytes::from_static(b"\x07")),
        user_properties: vec![("\u{202e}".into(), "\x7f".into())],
        content_type: Some("\x1b]".into()),
        ..properties()
    };
    let message = Message { topic: "t\u{9c}", ..message(b"\x1b[2J\n\xff", Some(&properties)) };
    let shown = |mut template: Template| {
        template.set_escape(true);
        String::from_utf8(render(&template, &message).0).expect("escaped")
    };
    assert_eq!(shown(Template::payload()), r"\x1b[2J\n\xff");
    assert_eq!(shown(Template::verbose()), r"t\u{9c} \x1b[2J\n\xff");
    let parse = |format| Template::parse(format).expect(format);
    // The template's own stay.
    assert_eq!(shown(parse(r"\e[1m%p %3p")), "\x1b[1m\\x1b[2J\\n\\xff \\x1b[2");
    assert_eq!(shown(parse("%t %C %R %D %P")), r"t\u{9c} \x1b] \u{9b} \x07 \u{202e}:\x7f");
    for format in ["%j", "%J"] {
        assert!(!shown(parse(format)).contains(char::is_control), "{format}");
    }
    let line = shown(Template::json());
    assert!(!line.contains(char::is_control));
    assert!(line.contains(r#""user-properties":[{"\u202e":"\u007f"}]"#), "{line}");
}

#[test]
fn messages_do_not_depend_on_each_other() {
    let template = Template::parse("%t %l %x\n").expect("fine");
    let mut out = Vec::new();
    for payload in [&b"a"[..], b"", b"bc"] {
        assert_eq!(template.write(&mut out, &message(payload, None)), Written::Record);
    }
    assert_eq!(out, b"a/topic 1 61\na/topic 0 \na/topic 2 6263\n");
}
