use super::*;

fn resolve(text: &str) -> Resolve {
    Resolve::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"))
}

fn connect_to(text: &str) -> ConnectTo {
    ConnectTo::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"))
}

fn addresses(list: &[&str]) -> Vec<SocketAddr> {
    list.iter().map(|address| address.parse().unwrap()).collect()
}

#[test]
fn what_resolve_takes() {
    let one = resolve("Example.org:443:192.0.2.1");
    assert_eq!((one.host.as_deref(), one.port), (Some("example.org"), 443));
    assert_eq!(one.addresses, ["192.0.2.1".parse::<IpAddr>().unwrap()]);
    let several = resolve("*:80:192.0.2.1,[2001:db8::1],2001:db8::2");
    assert_eq!((several.host, several.addresses.len()), (None, 3));
    assert_eq!(resolve("[2001:DB8::1]:80:127.0.0.1").host.as_deref(), Some("2001:db8::1"));
}

#[test]
fn what_resolve_refuses() {
    for (text, part) in [
        ("", "takes HOST:PORT:ADDRESS[,ADDRESS], not ''"),
        ("h", "not 'h'"),
        ("h:80", "not 'h:80'"),
        (":80:127.0.0.1", "no host before the ':'"),
        ("h::127.0.0.1", "no port after the ':'"),
        ("h:0:127.0.0.1", "port '0'"),
        ("h:x:127.0.0.1", "port 'x'"),
        ("h:80:", "'' is not an IP address"),
        ("h:80:127.0.0.1,", "'' is not an IP address"),
        ("h:80:localhost", "'localhost' is not an IP address"),
        ("h:80:[127.0.0.1]", "'[127.0.0.1]' is not an IP address"),
        ("h:80:[::1", "'[::1' is not an IP address"),
        ("a b:80:127.0.0.1", "a space at position 2"),
        ("h:80:127.0.0.1\n", "U+000A) at position 15"),
        ("-h_.x!:80:127.0.0.1", "character '!'"),
        ("[::1:80:127.0.0.1", "has no ']' after it"),
        ("[::1]80:127.0.0.1", "comes '80:127.0.0.1', not ':'"),
        ("[x]:80:127.0.0.1", "'x' in brackets"),
        ("**:80:127.0.0.1", "character '*'"),
    ] {
        let why = Resolve::parse(text).unwrap_err().to_string();
        assert!(why.contains(part), "{text}: {why}");
    }
}

#[test]
fn what_connect_to_takes_and_refuses() {
    assert_eq!(
        connect_to("a:80:B:81"),
        ConnectTo {
            from_host: Some("a".into()),
            from_port: Some(80),
            host: Some("b".into()),
            port: Some(81)
        }
    );
    let none = ConnectTo { from_host: None, from_port: None, host: None, port: None };
    assert_eq!(connect_to(":::"), none);
    assert_eq!(connect_to("::[::1]:").host.as_deref(), Some("::1"));
    assert_eq!(connect_to("[::1]:::5").from_host.as_deref(), Some("::1"));
    for (text, part) in [
        ("", "takes HOST1:PORT1:HOST2:PORT2"),
        ("a:80", "takes HOST1"),
        ("a:80:b", "takes HOST1"),
        ("a:80:b:81:c", "takes HOST1"),
        ("a:80:b:0", "port '0'"),
        ("a:x:b:1", "port 'x'"),
        ("a:80:*:1", "character '*'"),
        ("::[::1:", "has no ']' after it"),
        ("a:80:b\t:1", "position 7"),
    ] {
        let why = ConnectTo::parse(text).unwrap_err().to_string();
        assert!(why.contains(part), "{text}: {why}");
    }
}

#[test]
fn which_rule_holds() {
    let route = Route {
        resolve: ["*:80:192.0.2.9", "h:80:192.0.2.1", "H:80:192.0.2.2", "*:81:192.0.2.8"]
            .map(resolve)
            .to_vec(),
        connect_to: ["a:80:b:8080", ":81::82", "a::c:"].map(connect_to).to_vec(),
        ..Route::default()
    };
    let pinned = |host, port| route.pinned(host, port).map(|found| found[0].to_string());
    assert_eq!(pinned("h", 80).as_deref(), Some("192.0.2.2:80"));
    assert_eq!(pinned("H.", 80).as_deref(), Some("192.0.2.2:80"));
    assert_eq!(pinned("other", 80).as_deref(), Some("192.0.2.9:80"));
    assert_eq!(pinned("h", 81).as_deref(), Some("192.0.2.8:81"));
    assert_eq!(pinned("h", 82), None);
    for (host, port, expected) in
        [("a", 80, ("b", 8080)), ("x", 81, ("x", 82)), ("A", 1, ("c", 1)), ("x", 80, ("x", 80))]
    {
        assert_eq!(route.target(host, port), (expected.0.to_owned(), expected.1), "{host} {port}");
    }
}

#[test]
fn families() {
    let both = addresses(&["[2001:db8::1]:1", "192.0.2.1:1"]);
    let v4 = Route { family: Some(Family::V4), ..Route::default() };
    let v6 = Route { family: Some(Family::V6), ..Route::default() };
    assert_eq!(Route::default().usable(both.clone(), true), Ok(both.clone()));
    assert_eq!(v4.usable(both.clone(), true), Ok(both[1..].to_vec()));
    assert_eq!(v6.usable(both.clone(), true), Ok(both[..1].to_vec()));
    assert_eq!(v6.usable(both[1..].to_vec(), true), Err("no IPv6 address, as -6 asks for".into()));
    let bound = Route { bind: Some("127.0.0.1".parse().unwrap()), ..v4 };
    assert_eq!(
        bound.usable(both[..1].to_vec(), true),
        Err("no IPv4 address, as --bind 127.0.0.1 asks for".into())
    );
    // What a proxy dials is not bound here.
    assert_eq!(bound.usable(both[..1].to_vec(), false), Ok(both[..1].to_vec()));
    assert_eq!(v6.usable(both, false).map(|left| left.len()), Ok(1));
}

/// xorshift64: each failure repeats.
fn below(state: &mut u64, n: usize) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 11) as usize % n
}

#[test]
fn anything_typed_is_read_or_refused() {
    const PIECES: &[&str] = &[
        "h",
        "Example.org",
        "*",
        ":",
        "::",
        ":80",
        ":0",
        ":65536",
        "[",
        "]",
        "[::1]",
        "::1",
        "127.0.0.1",
        ",",
        ",127.0.0.2",
        "[2001:db8::1]",
        "%eth0",
        "@",
        "/",
        " ",
        "\n",
        "\0",
        "\u{e9}",
        "\u{1f600}",
        "+",
        "-",
        ".",
        "65535",
        "999.0.0.1",
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15;
    let (mut resolves, mut connects) = (0, 0);
    for _ in 0..300_000 {
        let mut text = String::new();
        // Half of them begin as good ones do.
        if below(&mut state, 2) == 0 {
            let start = ["h:80:127.0.0.1", "*:443:", "[::1]:1:", "::", "a:1:b", "h:"];
            text.push_str(start[below(&mut state, start.len())]);
        }
        for _ in 0..below(&mut state, 6) {
            text.push_str(PIECES[below(&mut state, PIECES.len())]);
        }
        match Resolve::parse(&text) {
            Ok(rule) => {
                resolves += 1;
                assert!(!rule.addresses.is_empty() && rule.port > 0, "{text:?}");
                assert!(rule.host.is_none_or(|host| host.bytes().all(|b| b.is_ascii_graphic())), "{text:?}");
            }
            Err(why) => assert!(!why.to_string().contains(char::is_control), "{text:?}: {why}"),
        }
        match ConnectTo::parse(&text) {
            Ok(rule) => {
                connects += 1;
                let route = Route { connect_to: vec![rule.clone()], ..Route::default() };
                let from = (rule.from_host.as_deref().unwrap_or("any"), rule.from_port.unwrap_or(9));
                let to = (rule.host.as_deref().unwrap_or(from.0).to_owned(), rule.port.unwrap_or(from.1));
                assert_eq!(route.target(from.0, from.1), to, "{text:?}");
            }
            Err(why) => assert!(!why.to_string().contains(char::is_control), "{text:?}: {why}"),
        }
        let _ = address(&text);
    }
    assert!(resolves > 500 && connects > 500, "the pieces make too few good ones: {resolves}, {connects}");
}

#[test]
fn no_message_has_a_control_character() {
    for text in ["\n\n", "127.0.0.1\x1b[2J", "[::1]\r", "\u{9b}2J"] {
        let why = super::address(text).unwrap_err().to_string();
        assert!(!why.contains(char::is_control), "{why:?}");
    }
}
