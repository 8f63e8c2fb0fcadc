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
    assert!(
        Error::Untrusted { peer: peer(), why: Box::new(Distrust::bare(Fault::Expired(None))) }.is_permanent()
    );
    assert!(!Error::Lost { peer: peer(), why: String::new() }.is_permanent());
}

#[test]
fn what_a_certificate_says_is_bounded_and_escaped() {
    let says = |fault: Fault, depth: u32| {
        let [subject, issuer] = ["CN=a\x1b[2J", "CN=b"].map(|name| Some(name.to_owned()));
        Distrust { fault, depth, subject, issuer }.to_string()
    };
    let date = || Some(String::from("2020-01-01 00:00:00 UTC"));
    assert_eq!(says(Fault::Expired(date()), 0), "it expired on 2020-01-01 00:00:00 UTC");
    assert_eq!(
        says(Fault::Expired(date()), 1),
        r"of the CA CN=a\x1b[2J in its chain: it expired on 2020-01-01 00:00:00 UTC"
    );
    assert_eq!(
        says(Fault::UnknownIssuer, 0),
        "its issuer is unknown here: CN=b, whose certificate the server did not send"
    );
    assert_eq!(says(Fault::UnknownIssuer, 1), "its issuer is unknown here: CN=b");
    assert_eq!(says(Fault::SelfSigned, 2), "its root is unknown here: CN=b");
    assert!(says(Fault::NoRoots, 0).ends_with("no CA certificates were found on this system"));
    let wrong = |names: Vec<String>| says(Fault::WrongName { wanted: "h".into(), names: Some(names) }, 0);
    assert_eq!(wrong(Vec::new()), "it is not for h, nor for any other host: there is no name in it");
    assert_eq!(wrong(vec!["a".into(), "*.b".into()]), "it is not for h, but for a, *.b");
    let many = wrong(vec!["\x07".repeat(300); 1000]);
    assert!(many.ends_with("… and 992 more") && many.len() < 300, "{many}");
}

#[test]
fn what_an_alert_is_about() {
    let alert = |number, given: Option<&str>, late| Alert { number, given: given.map(str::to_owned), late };
    let cases = [
        (116, None, true, Clue::WantsCertificate),
        // Go's servers say bad_certificate in TLS 1.2 where there is none.
        (42, None, true, Clue::WantsCertificate),
        (40, None, true, Clue::WantsCertificate),
        // Before the server's certificate it is about ciphers.
        (40, None, false, Clue::None),
        (45, Some("c.pem"), true, Clue::RefusedCertificate),
        (48, Some("c.pem"), false, Clue::RefusedCertificate),
        (70, Some("c.pem"), false, Clue::Versions),
        (120, None, false, Clue::Protocols),
        (80, None, true, Clue::None),
    ];
    for (number, given, late, clue) in cases {
        let alert = alert(number, given, late);
        assert_eq!(alert.clue(), clue, "{alert}");
        assert_eq!(alert.is_about_us(), alert.with_hint().contains("--cert"), "{alert}");
        assert!(!alert.is_about_us() || clue.is_permanent(), "{alert}");
    }
    assert_eq!(
        alert(45, Some("c\n.pem"), true).to_string(),
        r"the server refused the client certificate c\n.pem: alert certificate_expired"
    );
    assert_eq!(alert(80, None, true).to_string(), "the server refused it: alert internal_error");
    assert_eq!(alert(200, None, true).to_string(), "the server refused it: alert 200");
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
