//! The request's bytes, the rules for subprotocols, and chunks. Whole upgrades are in `net::tests`.

use super::*;
use crate::{config::Scheme, net::tests::endpoint};

fn lines(endpoint: &Endpoint) -> Vec<String> {
    let (bytes, _, _) = request(endpoint).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.ends_with("\r\n\r\n"));
    text.lines().map(str::to_owned).collect()
}

fn has(endpoint: &Endpoint, line: &str) -> bool {
    lines(endpoint).iter().any(|found| found.eq_ignore_ascii_case(line))
}

#[test]
fn a_request() {
    let mut endpoint = endpoint(Scheme::Ws, 8000);
    endpoint.subprotocols = vec![String::from("mqtt")];
    let (bytes, key, offered) = request(&endpoint).unwrap();
    assert_eq!(offered, ["mqtt"]);
    let text = String::from_utf8(bytes).unwrap();
    let head = format!(
        "GET /websocket HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
    );
    // The rest is in no particular order.
    let mut rest: Vec<_> = text.strip_prefix(&head).unwrap().split("\r\n").collect();
    rest.sort_unstable();
    let agent = concat!("user-agent: wspipe/", env!("CARGO_PKG_VERSION"));
    assert_eq!(rest, ["", "", "Sec-WebSocket-Protocol: mqtt", agent]);
}

#[test]
fn host_as_the_server_expects_it() {
    let cases = [
        (Scheme::Ws, "example.org", 80, "Host: example.org"),
        (Scheme::Ws, "example.org", 443, "Host: example.org:443"),
        (Scheme::Wss, "example.org", 443, "Host: example.org"),
        (Scheme::Wss, "::1", 443, "Host: [::1]"),
        (Scheme::Ws, "fe80::1%eth0", 81, "Host: [fe80::1]:81"),
    ];
    for (scheme, host, port, expected) in cases {
        let mut endpoint = endpoint(scheme, port);
        endpoint.url.host = host.to_owned();
        assert!(has(&endpoint, expected), "{expected}: {:?}", lines(&endpoint));
    }
}

#[test]
fn headers_of_the_user() {
    let mut endpoint = endpoint(Scheme::Ws, 80);
    let given = [
        ("Host", "other.example"),
        ("User-Agent", "me/1"),
        ("Origin", "https://a.example"),
        ("X-Twice", "1"),
        ("X-Twice", "2"),
        ("X-Latin", "gr\u{fc}n"),
        ("Sec-WebSocket-Protocol", "a, b"),
    ];
    endpoint.headers = given.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let sent = ["host: other.example", "user-agent: me/1", "origin: https://a.example", "x-twice: 1"];
    for line in [&sent[..], &["x-twice: 2", "x-latin: gr\u{fc}n", "sec-websocket-protocol: a, b"]].concat() {
        assert!(has(&endpoint, line), "{line}: {:?}", lines(&endpoint));
    }
    assert_eq!(lines(&endpoint).iter().filter(|line| line.to_lowercase().starts_with("host:")).count(), 1);

    endpoint.headers = vec![(String::from("User-Agent"), String::new())];
    assert!(!lines(&endpoint).iter().any(|line| line.starts_with("user-agent")));
}

#[test]
fn requests_that_cannot_be_made() {
    for (name, value) in [
        ("Upgrade", "h2c"),
        ("Sec-WebSocket-Key", "x"),
        ("sec-websocket-extensions", "x"),
        ("a b", "x"),
        ("x", "a\r\nb: c"),
        ("Host", "gr\u{fc}n.example"),
    ] {
        let mut endpoint = endpoint(Scheme::Ws, 80);
        endpoint.headers = vec![(name.to_owned(), value.to_owned())];
        assert_eq!(request(&endpoint).unwrap_err().status(), 2, "{name}: {value}");
    }
    let mut endpoint = endpoint(Scheme::Ws, 80);
    endpoint.url.target = String::from("/a b");
    assert!(matches!(request(&endpoint), Err(Error::Request(_))));
}

#[test]
fn subprotocol_rules() {
    let ok = |offered: &[&str], chosen: &[&str]| {
        let offered: Vec<_> = offered.iter().map(|name| (*name).to_owned()).collect();
        let chosen: Vec<_> = chosen.iter().map(|name| name.as_bytes()).collect();
        subprotocol(&offered, &chosen)
    };
    assert_eq!(ok(&["a", "b"], &["b"]), Ok(Some(String::from("b"))));
    assert_eq!(ok(&[], &[]), Ok(None));
    assert_eq!(ok(&["mqtt"], &[]), Ok(None));
    assert!(ok(&["a"], &["A"]).is_err());
    assert!(ok(&["a", "b"], &["a", "b"]).is_err());
    assert!(ok(&["a", "b"], &["a, b"]).is_err());
    assert!(ok(&[], &["mqtt"]).is_err());
    // What Kubernetes' API server sends where it chose none.
    assert_eq!((ok(&["a"], &[""]), ok(&["mqtt"], &[""]), ok(&[], &[""])), (Ok(None), Ok(None), Ok(None)));
    assert!(ok(&["a"], &["a", ""]).is_err() && ok(&["a"], &["a,"]).is_err());
    // The listed deviation.
    for chosen in [&["mqttv3.1", "mqtt"][..], &["mqttv3.1, mqtt"], &["mqtt", "mqtt"], &["MQTT"]] {
        assert_eq!(ok(&["mqtt"], chosen), Ok(Some(String::from("mqtt"))));
    }
    assert_eq!(ok(&["mqttv3.1"], &["mqtt"]), Ok(Some(String::from("mqtt"))));
    assert!(ok(&["mqtt"], &["amqp"]).is_err());
}

#[test]
fn chunks() {
    assert_eq!(dechunk(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"), (b"abcde".to_vec(), true));
    assert_eq!(dechunk(b"3\r\nabc\r\n5\r\nde"), (b"abcde".to_vec(), false));
    assert_eq!(dechunk(b"3\r\nabc"), (b"abc".to_vec(), false));
    assert_eq!(dechunk(b""), (Vec::new(), false));
    assert_eq!(dechunk(b"<html>"), (Vec::new(), true));
    assert_eq!(dechunk(b"ffffffffffffffff\r\nab"), (b"ab".to_vec(), false));
}

/// The error of what came in these pieces, and then ended.
fn failure(pieces: &[&[u8]]) -> String {
    match super::drive::drive(pieces, false, true).1 {
        super::drive::Outcome::Failed(error) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_no_http_needs_no_newline_to_be_known() {
    // A long greeting that comes at once, and one in pieces.
    let greeting = [b"\xfa".repeat(1100), b"x".repeat(3000)].concat();
    assert!(failure(&[&greeting]).contains("the answer is not HTTP"), "{}", failure(&[&greeting]));
    let late = [b"HTTP/1.1 101 ".to_vec(), vec![b'x'; 1200], vec![0; 30]].concat();
    let pieces: Vec<&[u8]> = late.chunks(100).collect();
    assert!(failure(&pieces).contains("malformed HTTP response head"), "{}", failure(&pieces));
    assert_eq!(failure(&pieces), failure(&[&late]));
    assert!(failure(&pieces[..12]).contains("within the response head"), "{}", failure(&pieces[..12]));
}
