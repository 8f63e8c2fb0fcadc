use super::*;

fn peer() -> Peer {
    Peer { host: String::from("example.org"), port: 80 }
}

fn refused(status: u16) -> Error {
    let refusal = Refusal {
        status,
        reason: String::from("No\x1b[2J"),
        retry_after: Some(String::from("120")),
        body: b"\r\n<p>\x07bell</p>\nmore".to_vec(),
        ..Refusal::default()
    };
    Error::Refused { peer: peer(), refusal: Box::new(refusal) }
}

#[test]
fn lines_are_single_safe_and_bounded() {
    assert_eq!(
        refused(503).to_string(),
        r"upgrade refused by example.org port 80: HTTP 503 No\x1b[2J: <p>\x07bell</p>"
    );
    let attempts = vec![
        ("[::1]:80".parse().unwrap(), String::from("Connection refused")),
        ("127.0.0.1:80".parse().unwrap(), String::from("Connection timed out")),
    ];
    assert_eq!(
        Error::Connect { peer: peer(), attempts }.to_string(),
        "could not connect to example.org port 80: [::1]: Connection refused; \
         127.0.0.1: Connection timed out"
    );
}

#[test]
fn what_to_try_again() {
    for status in [408, 425, 429, 500, 503] {
        assert!(!refused(status).is_permanent(), "{status}");
    }
    for status in [200, 301, 400, 401, 403, 404, 426] {
        assert!(refused(status).is_permanent(), "{status}");
    }
    assert_eq!(refused(503).retry_after(0), Some(Duration::from_secs(120)));
    assert!(Error::Untrusted { peer: peer(), why: Distrust::Expired }.is_permanent());
    assert!(!Error::Lost { peer: peer(), why: String::new() }.is_permanent());
}

fn obstacle(status: u16, reason: &str, body: &[u8]) -> Error {
    let (proxy, body) = (Peer { host: String::from("p"), port: 3128 }, body.to_vec());
    let refusal = Box::new(Refusal { status, reason: reason.to_owned(), body, ..Refusal::default() });
    Error::Proxy { proxy, peer: peer(), why: Box::new(Obstacle::Refused { refusal, login: false }) }
}

#[test]
fn what_proxies_say() {
    let start = "the proxy p port 3128 did not connect to example.org port 80: HTTP ";
    for (status, reason, body, end) in [
        (502, "Bad", &b"\r\nno such\x1bhost\nmore"[..], "502 Bad: no such\\x1bhost"),
        (502, "Bad", b"", "502 Bad"),
        (502, "", b"a < b", "502: a < b"),
        (
            500,
            "Unable to connect",
            b"<?xml version=\"1.0\"?>\n<html><head><title>500 Unable to connect</title>\n\
              <style>\nh1 > a { }\n</style></head><!-- > -->\n<body><h1>Unable to connect</h1>\n\n\
              <p>No route</p>",
            "500 Unable to connect: No route",
        ),
        (403, "Filtered", b"<p", "403 Filtered"),
        (403, "Filtered", b"<style>", "403 Filtered"),
    ] {
        assert_eq!(obstacle(status, reason, body).to_string(), format!("{start}{end}"));
    }
}

#[test]
fn obstacles_to_try_again() {
    let error = |why| Error::Proxy { proxy: peer(), peer: peer(), why: Box::new(why) };
    assert!(obstacle(407, "", b"").is_permanent() && obstacle(403, "", b"").is_permanent());
    assert!(!obstacle(503, "", b"").is_permanent());
    assert!(error(Obstacle::LoginRefused).is_permanent());
    for (code, permanent) in [(1, false), (2, true), (4, false), (5, false), (8, true)] {
        assert_eq!(error(Obstacle::Reply { code, addresses: Vec::new() }).is_permanent(), permanent);
    }
    assert_eq!(error(Obstacle::LoginRefused).status(), 97);
    assert_eq!(Error::ResolveProxy { host: String::new(), why: String::new() }.status(), 5);
    assert_eq!(Error::ConnectProxy { proxy: peer(), attempts: Vec::new() }.status(), 7);
}
