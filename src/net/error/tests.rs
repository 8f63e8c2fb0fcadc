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
    assert_eq!(refused(503).retry_after(), Some(Duration::from_secs(120)));
    assert!(
        Error::Untrusted { peer: peer(), why: Box::new(Distrust::bare(Fault::Expired(None))) }.is_permanent()
    );
    assert!(!Error::Lost { peer: peer(), why: String::new() }.is_permanent());
}
