//! Proxy URLs, the environment and the list of hosts that go direct.

use super::*;

fn parsed(text: &str) -> String {
    match Proxy::parse(text) {
        Ok(proxy) => {
            let login = proxy
                .login
                .as_ref()
                .map(|(user, password)| format!(" {} {}", user.escape_ascii(), password.escape_ascii()));
            format!("{proxy}{}", login.unwrap_or_default())
        }
        Err(why) => format!("! {why}"),
    }
}

#[test]
fn urls() {
    for (text, expected) in [
        ("http://h:3128", "http://h:3128"),
        ("http://h:3128/", "http://h:3128"),
        ("HTTP://H.Example.", "http://h.example.:1080"),
        ("h", "http://h:1080"),
        ("h:8080", "http://h:8080"),
        ("u:p@h:8080", "http://h:8080 u p"),
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("socks5://h", "socks5://h:1080"),
        ("Socks5h://[0:0::1]", "socks5h://[::1]:1080"),
        ("http://u@h", "http://h:1080 u "),
        ("http://:p@h", "http://h:1080  p"),
        ("http://@h", "http://h:1080"),
        ("http://u%40x:p%3a%2F%25@h:1", "http://h:1 u@x p:/%"),
        ("http://u:p@ss@h:1", "http://h:1 u p@ss"),
        ("socks5://u%00:p%0a@h:1", "socks5://h:1 u\\x00 p\\n"),
    ] {
        assert_eq!(parsed(text), expected, "{text}");
    }
}

#[test]
fn urls_that_are_none() {
    for (text, part) in [
        ("", "no host"),
        ("http://", "no host"),
        ("http://:3128", "no host"),
        ("http://u:secret@", "no host"),
        ("http://h:", "no port after the ':'"),
        ("h:0", "port '0'"),
        ("h:65536", "port '65536'"),
        ("h:3128/path", "no path"),
        ("h?x=secret", "no path"),
        ("u:secret:h:3128", "more than one ':'"),
        ("u:secret-of-mine", "is not a number"),
        ("h h", "a space at position 2"),
        ("h\r\nX: y", "U+000D) at position 2"),
        ("https://u:secret@h", "https:// (TLS to the proxy itself) is not supported"),
        ("socks4://h", "say socks5:// or socks5h://"),
        ("socks://h", "say socks5:// or socks5h://"),
        ("ftp://h", "none of http, socks5, socks5h"),
        ("bob:secret://h", "none of http, socks5, socks5h"),
        ("wss://u:secret@h", "the server's URL stands by itself"),
        ("http://u:sec/ret@h", "as %2F, %3F and %23"),
        ("http://u:secret%@h", "in the password a '%'"),
        ("http://u%3a:secret@h", "':' in the user name"),
        ("http://u:secret%0a@h", "control characters"),
        ("http://::1", "[::1]"),
        ("http://[::1", "has no ']'"),
        ("http://[fe80::1%25eth0]:1", "zone"),
        ("http://h\u{f6}st", "punycode"),
        ("http://1.2.3", "IPv4"),
    ] {
        let said = parsed(text);
        assert!(said.starts_with("! ") && said.contains(part), "{text:?}: {said}");
        assert!(!said.contains("secret") && !said.contains("ret@"), "{said}");
    }
    let long = format!("socks5://{}:x@h", "u".repeat(256));
    assert!(parsed(&long).contains("at most 255 bytes (RFC 1929), not 256"));
    assert!(parsed(&long.replacen("uu", "u", 1)).starts_with("socks5"));
    let long = format!("socks5h://x:{}@h", "p".repeat(256));
    assert!(parsed(&long).contains("password") && parsed(&long).contains("at most 255 bytes"));
}

#[test]
fn debug_hides_the_login() {
    let rules = ProxyRules::new(Some("http://anna:secret@h"), None, &|_| None);
    let shown = format!("{rules:?}");
    assert!(shown.contains("hidden") && !shown.contains("secret") && !shown.contains("anna"), "{shown}");
}

/// What the rules say of a URL: the proxy's port, `-` for none, or the error.
fn choose(proxy: Option<&str>, no_proxy: Option<&str>, env: &[(&str, &str)], target: &str) -> String {
    let env = |name: &str| env.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
    let rules = ProxyRules::new(proxy, no_proxy, &env);
    let url = url::parse(target, url::Purpose::Mqtt).unwrap().0;
    match rules.proxy_for(&url) {
        Ok(Some(proxy)) => proxy.port.to_string(),
        Ok(None) => String::from("-"),
        Err(why) => why.to_string(),
    }
}

#[test]
fn which_variable() {
    let all: &[(&str, &str)] = &[
        ("http_proxy", "h:1"),
        ("HTTP_PROXY", "h:2"),
        ("https_proxy", "h:3"),
        ("HTTPS_PROXY", "h:4"),
        ("all_proxy", "h:5"),
        ("ALL_PROXY", "h:6"),
    ];
    // (the variables from this one on, ws and mqtt, wss and mqtts)
    for (from, plain, secure) in
        [(0, "1", "3"), (1, "5", "3"), (3, "5", "4"), (4, "5", "5"), (5, "6", "6"), (6, "-", "-")]
    {
        for (target, expected) in
            [("ws://h", plain), ("mqtt://h", plain), ("wss://h", secure), ("mqtts://h", secure)]
        {
            assert_eq!(choose(None, None, &all[from..], target), expected, "{from} {target}");
        }
    }
    assert_eq!(choose(None, None, &[("https_proxy", ""), ("HTTPS_PROXY", "h:4")], "wss://h"), "4");
    assert_eq!(choose(Some("h:9"), None, all, "wss://h"), "9");
    assert_eq!(choose(Some("h:9"), None, all, "ws://h"), "9");
    assert_eq!(choose(Some(""), None, all, "ws://h"), "-");
    // Loopback is no exception.
    assert_eq!(choose(None, None, all, "ws://localhost"), "1");
    assert_eq!(choose(None, None, all, "ws://[::1]"), "1");
}

#[test]
fn who_goes_direct() {
    let env: &[(&str, &str)] = &[("all_proxy", "h:5"), ("no_proxy", "a.example"), ("NO_PROXY", "b.example")];
    assert_eq!(choose(None, None, env, "ws://a.example"), "-");
    assert_eq!(choose(None, None, env, "ws://b.example"), "5");
    assert_eq!(choose(None, None, &[env[0], env[2]], "ws://b.example"), "-");
    assert_eq!(choose(Some("h:9"), None, env, "ws://a.example"), "-", "as curl has it");
    assert_eq!(choose(Some("h:9"), Some(""), env, "ws://a.example"), "9");
    assert_eq!(choose(None, Some("c.example"), env, "ws://a.example"), "5");
    assert_eq!(choose(None, Some("c.example"), env, "ws://c.example"), "-");
    assert_eq!(choose(None, Some("*"), env, "ws://c.example"), "-");
}

#[test]
fn a_bad_variable_counts_where_it_is_used() {
    let env: &[(&str, &str)] = &[("https_proxy", "https://u:secret@h"), ("no_proxy", "x.example")];
    let why = choose(None, None, env, "wss://h");
    assert!(why.starts_with("the proxy of https_proxy: https://") && !why.contains("secret"), "{why}");
    assert_eq!(choose(None, None, env, "ws://h"), "-");
    assert_eq!(choose(None, None, env, "wss://x.example"), "-");
}

#[test]
fn no_proxy_lists() {
    for (list, host, port, expected) in [
        ("example.com", "example.com", 80, true),
        ("example.com", "EXAMPLE.com.", 80, true),
        ("EXAMPLE.com.", "www.example.com", 80, true),
        (".example.com", "example.com", 80, true),
        (".example.com", "www.example.com", 80, true),
        ("*.example.com", "www.example.com", 80, true),
        ("example.com", "nonexample.com", 80, false),
        ("example.com", "example.com.org", 80, false),
        ("www.example.com", "example.com", 80, false),
        ("com", "example.com", 80, true),
        ("a, b c,,d\te", "b", 80, true),
        ("a, b c,,d\te", "c", 80, true),
        ("a, b c,,d\te", "e", 80, true),
        ("a, b c,,d\te", "f", 80, false),
        ("*", "anything", 80, true),
        (" * ", "192.0.2.1", 80, true),
        ("a,*", "b", 80, false),
        ("", "a", 80, false),
        (",", "a", 80, false),
        (".", "a", 80, false),
        ("192.0.2.1", "192.0.2.1", 80, true),
        ("192.0.2.1", "192.0.2.10", 80, false),
        ("0.2.1", "192.0.2.1", 80, false),
        ("192.0.2.0/24", "192.0.2.77", 80, true),
        ("192.0.2.0/24", "192.0.3.77", 80, false),
        ("192.0.2.99/24", "192.0.2.77", 80, true),
        ("192.0.2.128/25", "192.0.2.127", 80, false),
        ("192.0.2.128/25", "192.0.2.200", 80, true),
        ("192.0.2.1/32", "192.0.2.1", 80, true),
        ("192.0.2.1/32", "192.0.2.2", 80, false),
        ("0.0.0.0/0", "192.0.2.2", 80, true),
        ("0.0.0.0/0", "2001:db8::1", 80, false),
        ("192.0.2.1/33", "192.0.2.1", 80, false),
        ("192.0.2.1/", "192.0.2.1", 80, false),
        ("192.0.2.1/+8", "192.0.2.1", 80, false),
        ("192.0.2.0/24", "name.example", 80, false),
        ("::1", "::1", 80, true),
        ("[::1]", "::1", 80, true),
        ("0:0::1", "::1", 80, true),
        ("2001:db8::/32", "2001:db8:ffff::1", 80, true),
        ("[2001:db8::]/32", "2001:db8:ffff::1", 80, true),
        ("2001:db8::/32", "2001:db9::1", 80, false),
        ("::/0", "2001:db9::1", 80, true),
        ("::/0", "192.0.2.1", 80, false),
        ("localhost", "127.0.0.1", 80, false),
        ("127.0.0.1", "localhost", 80, false),
        ("example.com:8080", "example.com", 8080, true),
        ("example.com:8080", "www.example.com", 8080, true),
        ("example.com:8080", "example.com", 80, false),
        ("192.0.2.1:8080", "192.0.2.1", 8080, true),
        ("192.0.2.1:8080", "192.0.2.1", 80, false),
        ("[::1]:8080", "::1", 8080, true),
        ("[::1]:8080", "::1", 80, false),
    ] {
        assert_eq!(NoProxy::parse(list).0.matches(host, port), expected, "{list:?} {host} {port}");
    }
}

#[test]
fn entries_that_cannot_be_understood() {
    let (list, wrong) = NoProxy::parse("http://a,10.0.0.0/33,b,[::1,c:x,d:0,e:65536,f/8,[1.2.3.4],g!,.,*");
    let expected =
        ["http://a", "10.0.0.0/33", "[::1", "c:x", "d:0", "e:65536", "f/8", "[1.2.3.4]", "g!", ".", "*"];
    assert_eq!(wrong, expected);
    assert!(list.matches("b", 1) && !list.matches("a", 1));
}

/// xorshift64*: the same inputs in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n
    }

    fn text(&mut self, parts: &[&str], most: usize) -> String {
        let length = self.below(most);
        (0..length).map(|_| parts[self.below(parts.len())]).collect()
    }
}

#[test]
fn nothing_panics_and_what_is_taken_is_sound() {
    let mut random = Random(0x5eed);
    let parts = [
        "http",
        "socks5",
        "socks5h",
        "://",
        ":",
        "/",
        "@",
        "[",
        "]",
        "::1",
        "1",
        "255",
        ".",
        ",",
        " ",
        "*",
        "%",
        "%41",
        "%0a",
        "a",
        "example.com",
        "-",
        "\u{e9}",
        "\t",
        "\0",
        "?",
        "#",
        "65536",
        "10.0.0.0",
        "128",
        "/8",
    ];
    let mut taken = 0;
    for _ in 0..300_000 {
        let text = random.text(&parts, 9);
        if let Ok(proxy) = Proxy::parse(&text) {
            taken += 1;
            assert!(!proxy.host.is_empty() && proxy.port != 0, "{text:?}");
            // What it is shown as is the same proxy again.
            let again = Proxy::parse(&proxy.to_string()).unwrap();
            assert_eq!((again.scheme, again.host, again.port), (proxy.scheme, proxy.host, proxy.port));
        }
        let (list, wrong) = NoProxy::parse(&text);
        let host = ["a", "10.1.2.3", "::1", "www.example.com"][random.below(4)];
        assert!(!list.matches(host, 80) || wrong.len() < text.len());
    }
    assert!(taken > 5_000, "{taken} of them are sound");
}
