//! The bytes of the request, and what is refused before there are any.

use super::*;
use crate::{config::Scheme, net::tests::endpoint};

/// What every request has, and what of it depends on the options.
fn head(target: &str, host: &str, key: &str, others: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n{others}\r\n"
    )
}

const AGENT: &str = concat!("User-Agent: wspipe/", env!("CARGO_PKG_VERSION"), "\r\n");

fn with_headers(given: &[(&str, &str)]) -> Endpoint {
    let mut endpoint = endpoint(Scheme::Ws, 8000);
    endpoint.headers = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    endpoint
}

/// The request must be these bytes and no others.
fn check(endpoint: &Endpoint, host: &str, others: &str) {
    let (bytes, key, _) = request(endpoint).unwrap();
    assert_eq!(String::from_utf8(bytes).unwrap(), head(&endpoint.url.target, host, &key, others));
}

/// Why there is none.
fn refused(endpoint: &Endpoint) -> String {
    let error = request(endpoint).unwrap_err();
    assert_eq!(error.status(), 2);
    match error {
        Error::Request(why) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_request() {
    let mut endpoint = endpoint(Scheme::Ws, 8000);
    check(&endpoint, "127.0.0.1:8000", AGENT);
    endpoint.url.target = String::from("/%0D%0A//a[b]~!$&'()*+,;=:@.._-?x[]?/%20");
    endpoint.subprotocols = vec![String::from("mqtt"), String::from("b.v2")];
    check(&endpoint, "127.0.0.1:8000", &format!("{AGENT}Sec-WebSocket-Protocol: mqtt, b.v2\r\n"));
    assert_eq!(request(&endpoint).unwrap().2, ["mqtt", "b.v2"]);
}

#[test]
fn keys() {
    let key = || request(&endpoint(Scheme::Ws, 80)).unwrap().1;
    let (one, other) = (key(), key());
    assert_ne!(one, other);
    assert_eq!((one.len(), BASE64_STANDARD.decode(&one).unwrap().len()), (24, 16));
}

#[test]
fn host_as_the_server_expects_it() {
    let cases = [
        (Scheme::Ws, "example.org", 80, "example.org"),
        (Scheme::Ws, "example.org", 443, "example.org:443"),
        (Scheme::Wss, "example.org", 443, "example.org"),
        (Scheme::Wss, "::1", 443, "[::1]"),
        (Scheme::Ws, "fe80::1%eth0", 81, "[fe80::1]:81"),
    ];
    for (scheme, host, port, expected) in cases {
        let mut endpoint = endpoint(scheme, port);
        endpoint.url.host = host.to_owned();
        check(&endpoint, expected, AGENT);
    }
}

#[test]
fn host_and_user_agent_of_the_user() {
    check(&with_headers(&[("HOST", " other.example ")]), "other.example", AGENT);
    check(&with_headers(&[("Host", "")]), "", AGENT);
    check(&with_headers(&[("Host", "a"), ("host", "b")]), "b", AGENT);
    let host = "127.0.0.1:8000";
    check(&with_headers(&[("User-Agent", "me/1")]), host, "User-Agent: me/1\r\n");
    check(&with_headers(&[("User-Agent", "me/1"), ("user-agent", "me/2")]), host, "User-Agent: me/2\r\n");
    check(&with_headers(&[("User-Agent", "")]), host, "");
    check(&with_headers(&[("User-Agent", ""), ("User-Agent", " ")]), host, "");
    check(&with_headers(&[("User-Agent", ""), ("User-Agent", "me/1")]), host, "User-Agent: me/1\r\n");
    let given = [("A", "1"), ("B", "2"), ("User-Agent", ""), ("C", "3")];
    check(&with_headers(&given), host, "A: 1\r\nB: 2\r\nC: 3\r\n");
}

#[test]
fn headers_of_the_user() {
    let host = "127.0.0.1:8000";
    let given = [("X-Twice", "1"), (" oRIGIN ", "https://a"), ("x-twice", "\u{a0}2 \t"), ("X-Empty", "")];
    let sent = "X-Twice: 1\r\noRIGIN: https://a\r\nx-twice: 2\r\nX-Empty: \r\n";
    check(&with_headers(&given), host, &format!("{AGENT}{sent}"));
    let odd = [("!#$%&'*+-.^_`|~0Az", "a\tb: \"c\""), ("X-Latin", "gr\u{fc}n")];
    let sent = "!#$%&'*+-.^_`|~0Az: a\tb: \"c\"\r\nX-Latin: gr\u{fc}n\r\n";
    check(&with_headers(&odd), host, &format!("{AGENT}{sent}"));
    let given = [("Sec-WebSocket-Protocol", "a,b"), ("X", "1"), ("sec-websocket-protocol", "c")];
    check(&with_headers(&given), host, &format!("{AGENT}X: 1\r\nSec-WebSocket-Protocol: a, b, c\r\n"));
    assert_eq!(request(&with_headers(&given)).unwrap().2, ["a", "b", "c"]);
}

#[test]
fn the_order_of_many() {
    let given = [("B", "1"), ("A", "2"), ("b", "3"), ("C", "4"), ("A", "5")];
    let sent = format!("{AGENT}B: 1\r\nA: 2\r\nb: 3\r\nC: 4\r\nA: 5\r\n");
    check(&with_headers(&given), "127.0.0.1:8000", &sent);
    // More than a machine's table of headers may take: all go out.
    let names: Vec<String> = (0..2000).map(|n| format!("h{n}")).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
    let (bytes, ..) = request(&with_headers(&many)).unwrap();
    assert_eq!(bytes.split(|byte| *byte == b'\n').count(), 6 + 1 + 2000 + 2);
}

#[test]
fn names_and_values_that_are_refused() {
    for name in
        ["", " ", "a b", "a:b", "a\r\nb", "a\0", "\u{e4}", "a(", "\"a\"", "a/b", "a{", "a@", "a\u{7f}"]
    {
        assert_eq!(refused(&with_headers(&[(name, "x")])), format!("\"{name}\" is no header name"));
    }
    let long = "n".repeat(70_000);
    assert!(refused(&with_headers(&[(&long, "x")])).ends_with("is no header name"));
    for byte in (0..0x20).chain([0x7f]).filter(|byte| *byte != b'\t') {
        for name in ["X", "Host", "User-Agent", "Origin", "Sec-WebSocket-Protocol"] {
            let value = format!("s3cret{}b: c", char::from(byte));
            let why = format!("the value of header {name} has control characters");
            assert_eq!(refused(&with_headers(&[(name, &value)])), why, "{byte:#x}");
        }
    }
    for name in
        ["Connection", "UPGRADE", "Sec-WebSocket-Key", "sec-websocket-version", "Sec-WebSocket-Extensions"]
    {
        assert_eq!(refused(&with_headers(&[(name, "x")])), format!("the handshake itself sets {name}"));
    }
    for name in ["Host", "Sec-WebSocket-Protocol"] {
        let why = format!("the value of header {name} is not ASCII");
        assert_eq!(refused(&with_headers(&[(name, "gr\u{fc}n")])), why);
    }
}

#[test]
fn what_comes_from_elsewhere_is_checked_too() {
    let mut bad = endpoint(Scheme::Ws, 80);
    bad.url.host = String::from("a\r\nb");
    assert_eq!(refused(&bad), "the value of header Host has control characters");
    let mut bad = endpoint(Scheme::Ws, 80);
    bad.subprotocols = vec![String::from("a\r\nX: y")];
    assert_eq!(refused(&bad), "the value of header Sec-WebSocket-Protocol has control characters");
}

#[test]
fn targets_that_are_refused() {
    let mut endpoint = endpoint(Scheme::Ws, 80);
    let mut why = |target: &str| {
        endpoint.url.target = target.to_owned();
        request(&endpoint).err().map(|_| refused(&endpoint))
    };
    let allowed = "/?%-._~!$&'()*+,;=:@[]";
    for byte in 0..=0x7f_u8 {
        let fine = byte.is_ascii_alphanumeric() || allowed.contains(char::from(byte));
        let expected = (!fine).then(|| String::from("path of the URL: invalid uri character"));
        assert_eq!(why(&format!("/a{}b", char::from(byte))), expected, "{byte:#x} in the path");
        assert_eq!(why(&format!("/?a{}b", char::from(byte))), expected, "{byte:#x} in the query");
    }
    for target in ["/\u{e4}", "/?\u{85}", "/\u{2028}", "/ HTTP/1.1\r\nX: y"] {
        assert_eq!(why(target).unwrap(), "path of the URL: invalid uri character");
    }
    for target in ["", "*", "a", "http://h/"] {
        assert_eq!(why(target).unwrap(), "path of the URL: path does not start with slash");
    }
    let longest = "/".repeat(65_534);
    assert_eq!(why(&longest), None);
    assert_eq!(why(&format!("{longest}a")).unwrap(), "path of the URL: uri too long");
}
