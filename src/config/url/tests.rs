use super::*;

fn ok(text: &str, purpose: Purpose) -> Url {
    match parse(text, purpose) {
        Ok((url, _)) => url,
        Err(error) => panic!("{text}: {error}"),
    }
}

fn userinfo(text: &str) -> Option<(String, Option<String>)> {
    let (_, userinfo) = parse(text, Purpose::Mqtt).unwrap_or_else(|error| panic!("{text}: {error}"));
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the test's own text");
    userinfo.map(|info| (text(info.user), info.password.map(text)))
}

#[test]
fn parts_and_display() {
    use Purpose::{Listen, Mqtt, WebSocket};
    #[rustfmt::skip]
    let cases = [
        ("ws://localhost:8000/websocket", WebSocket, "localhost", 8000, "/websocket", "ws://localhost:8000/websocket"),
        ("ws://h", WebSocket, "h", 80, "/", "ws://h/"),
        ("WSS://Example.COM", WebSocket, "example.com", 443, "/", "wss://example.com/"),
        ("wss://h:443/", WebSocket, "h", 443, "/", "wss://h/"),
        ("wss://h:80/", WebSocket, "h", 80, "/", "wss://h:80/"),
        ("ws://h?a=b", WebSocket, "h", 80, "/?a=b", "ws://h/?a=b"),
        ("ws://h/?a=/b?c", WebSocket, "h", 80, "/?a=/b?c", "ws://h/?a=/b?c"),
        ("ws://h", Mqtt, "h", 80, "/mqtt", "ws://h/mqtt"),
        ("ws://h/", Mqtt, "h", 80, "/", "ws://h/"),
        ("ws://h?x=1", Mqtt, "h", 80, "/mqtt?x=1", "ws://h/mqtt?x=1"),
        ("ws://h/ws", Mqtt, "h", 80, "/ws", "ws://h/ws"),
        ("mqtt://h", Mqtt, "h", 1883, "", "mqtt://h"),
        ("mqtts://h", Mqtt, "h", 8883, "", "mqtts://h"),
        ("Mqtts://h:1", Mqtt, "h", 1, "", "mqtts://h:1"),
        ("ws://[::1]:8000/x", WebSocket, "::1", 8000, "/x", "ws://[::1]:8000/x"),
        ("ws://[2001:DB8::0:1]", WebSocket, "2001:db8::1", 80, "/", "ws://[2001:db8::1]/"),
        ("ws://127.0.0.1:65535", WebSocket, "127.0.0.1", 65535, "/", "ws://127.0.0.1:65535/"),
        ("ws://a_b.c-d.:1", WebSocket, "a_b.c-d.", 1, "/", "ws://a_b.c-d.:1/"),
        ("ws://u:p@h/x@y", WebSocket, "h", 80, "/x@y", "ws://h/x@y"),
        ("ws://h/\u{e9}{a}%20\u{1f600}", WebSocket, "h", 80, "/%C3%A9%7Ba%7D%20%F0%9F%98%80",
            "ws://h/%C3%A9%7Ba%7D%20%F0%9F%98%80"),
        ("ws://h:0/x", Listen, "h", 0, "/x", "ws://h:0/x"),
    ];
    for (text, purpose, host, port, target, display) in cases {
        let url = ok(text, purpose);
        assert_eq!((url.host.as_str(), url.port, url.target.as_str()), (host, port, target), "{text}");
        assert_eq!(url.to_string(), display, "{text}");
    }
}

#[test]
fn a_query_is_not_shown() {
    for (text, shown) in [
        ("ws://u:p@h/a?token=x", "ws://h/a?..."),
        ("wss://[::1]:8000?a=/b?c", "wss://[::1]:8000/?..."),
        ("ws://h/a%3Fb", "ws://h/a%3Fb"),
        ("ws://h", "ws://h/"),
    ] {
        assert_eq!(ok(text, Purpose::WebSocket).shown(), shown);
    }
    assert_eq!(ok("mqtt://h", Purpose::Mqtt).shown(), "mqtt://h");
}

#[test]
fn authority_is_the_host_header() {
    assert_eq!(ok("ws://h:80/x", Purpose::WebSocket).authority(), "h");
    assert_eq!(ok("ws://h:81/x", Purpose::WebSocket).authority(), "h:81");
    assert_eq!(ok("wss://[::1]/x", Purpose::WebSocket).authority(), "[::1]");
    assert_eq!(ok("wss://[::1]:8443/x", Purpose::WebSocket).authority(), "[::1]:8443");
}

#[test]
fn userinfo_is_decoded_and_ends_at_the_last_at_sign() {
    let pair = |user: &str, password: Option<&str>| Some((user.to_owned(), password.map(str::to_owned)));
    assert_eq!(userinfo("mqtt://h"), None);
    assert_eq!(userinfo("mqtt://@h"), None);
    assert_eq!(userinfo("mqtt://u@h"), pair("u", None));
    assert_eq!(userinfo("mqtt://u:@h"), pair("u", Some("")));
    assert_eq!(userinfo("mqtt://:t@h"), pair("", Some("t")));
    assert_eq!(userinfo("mqtt://u:p:q@h"), pair("u", Some("p:q")));
    assert_eq!(userinfo("mqtt://u:p@q@h"), pair("u", Some("p@q")));
    assert_eq!(userinfo("mqtt://a%40b%3a:%2f%3F%25@h:1"), pair("a@b:", Some("/?%")));
    let (_, info) = parse("ws://u:%ff%00@h", Purpose::WebSocket).expect("any byte may be encoded");
    assert_eq!(info.and_then(|info| info.password), Some(vec![0xff, 0]));
}

#[test]
fn each_error_names_the_culprit() {
    use Purpose::{Listen, Mqtt, WebSocket};
    let cases = [
        ("", WebSocket, "no '://'"),
        ("localhost:8000", WebSocket, "no '://'"),
        ("ws:/h", WebSocket, "no '://'"),
        ("://h", WebSocket, "no scheme"),
        ("h/x?u=http://y", WebSocket, "no scheme"),
        ("http://h", WebSocket, "ws://"),
        ("HTTPS://h", Mqtt, "wss://"),
        ("ftp://h", WebSocket, "scheme 'ftp' is none of ws, wss"),
        ("ftp://h", Mqtt, "ws, wss, mqtt, mqtts"),
        ("tcp://h", Mqtt, "mqtt://"),
        ("ssl://h", Mqtt, "mqtts://"),
        ("mqtt://h", WebSocket, "wspipe mqtt mqtt://"),
        ("wss://h", Listen, "ws:// only"),
        ("ws://", WebSocket, "no host"),
        ("ws:///x", WebSocket, "no host"),
        ("ws://u:p@/x", WebSocket, "no host"),
        ("ws://:80/x", WebSocket, "no host"),
        ("ws://h:/x", WebSocket, "no port after"),
        ("ws://h:0", WebSocket, "port '0'"),
        ("ws://h:65536", WebSocket, "port '65536'"),
        ("ws://h:99999999999", WebSocket, "port '99999999999'"),
        ("ws://h:+80", WebSocket, "port '+80'"),
        ("ws://h:8o", WebSocket, "port '8o'"),
        ("ws://::1", WebSocket, "in brackets: [::1]"),
        ("ws://a:b:c", WebSocket, "more than one ':'"),
        ("ws://[::1", WebSocket, "no ']'"),
        ("ws://[::1]x", WebSocket, "'x'"),
        ("ws://[::1]:x", WebSocket, "port 'x'"),
        ("ws://[1.2.3.4]", WebSocket, "'1.2.3.4' in brackets"),
        ("ws://[fe80::1%25eth0]/", WebSocket, "zone '25eth0'"),
        ("ws://b\u{fc}cher.example", WebSocket, "punycode"),
        ("ws://a%20b", WebSocket, "percent-encoded"),
        ("ws://a\\b", WebSocket, "character '\\'"),
        ("ws://a..b", WebSocket, "labels"),
        ("ws://.", WebSocket, "labels"),
        ("ws://1.2.3", WebSocket, "not an IPv4 address"),
        ("ws://256.1.1.1", WebSocket, "not an IPv4 address"),
        ("ws://h/a b", WebSocket, "space at position 9"),
        (" ws://h", WebSocket, "space at position 1"),
        ("ws://h/\u{e9}\r\nX: y", WebSocket, "U+000D) at position 9"),
        ("ws://h/\u{7f}", WebSocket, "U+007F"),
        ("ws://h/a%2", WebSocket, "'%' at position 9"),
        ("ws://h/\u{e9}?%zz", WebSocket, "'%' at position 10"),
        ("ws://u%:p@h", WebSocket, "in the user name a '%'"),
        ("ws://u:%2@h", WebSocket, "in the password a '%'"),
        ("ws://h/#x", WebSocket, "fragment"),
        ("ws://h#x", Mqtt, "fragment"),
        ("mqtt://h/topic", Mqtt, "-t"),
        ("mqtt://h/", Mqtt, "-t"),
        ("mqtts://h?x", Mqtt, "-t"),
        ("ws://u@h", Listen, "user name"),
        ("ws://h/?x", Listen, "query"),
    ];
    for (text, purpose, part) in cases {
        let error = parse(text, purpose).expect_err(text).to_string();
        assert!(error.contains(part), "{text}: '{part}' is not in: {error}");
        assert!(!error.contains('\n'), "{text}: more than one line");
    }
}

#[test]
fn an_unencoded_slash_in_a_password_does_not_show_it() {
    for text in ["ws://u:secret/x@h/", "ws://u:secret?x@h", "ws://u:secret#x@h", "ws://u:sec:ret/@h"] {
        let error = parse(text, Purpose::WebSocket).expect_err(text).to_string();
        assert!(error.contains("%2F") && !error.contains("sec"), "{text}: {error}");
    }
    let shown = format!("{:?}", parse("ws://u:secret@h", Purpose::WebSocket));
    assert!(!shown.contains("secret"), "{shown}");
}

/// xorshift64: the same texts at every run.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn random_texts_never_panic_and_what_passes_is_clean_and_stable() {
    const PIECES: [&str; 30] = [
        "ws",
        "wss",
        "mqtt",
        "://",
        ":",
        "/",
        "?",
        "#",
        "@",
        "[",
        "]",
        "%",
        "%2",
        "%41",
        ".",
        "..",
        "::1",
        "127.0.0.1",
        "h",
        "\u{e9}",
        "\u{1f600}",
        " ",
        "\n",
        "\0",
        "8000",
        "99999",
        "-",
        "=",
        "{",
        "\\",
    ];
    let mut state = 0x2545_f491_4f6c_dd1d;
    let mut passed = 0;
    for _ in 0..100_000 {
        let mut text = String::new();
        if next(&mut state) % 4 != 0 {
            text.push_str(["ws://", "wss://", "mqtt://", "ws://h"][(next(&mut state) % 4) as usize]);
        }
        for _ in 0..next(&mut state) % 8 {
            text.push_str(PIECES[(next(&mut state) % PIECES.len() as u64) as usize]);
        }
        for purpose in [Purpose::WebSocket, Purpose::Mqtt, Purpose::Listen] {
            let Ok((url, _)) = parse(&text, purpose) else { continue };
            passed += 1;
            assert!(url.target.bytes().all(|b| b.is_ascii_graphic()), "{text:?}: {url:?}");
            assert!(url.host.bytes().all(|b| b.is_ascii_graphic()), "{text:?}: {url:?}");
            assert_eq!(parse(&url.to_string(), purpose), Ok((url, None)), "{text:?}");
        }
    }
    assert!(passed > 1000, "the pieces make too few good URLs: {passed}");
}
