use super::*;

fn connect(login: Option<&Login>) -> Connect {
    Connect::new(&Host::Name(String::from("h.example")), 443, login)
}

/// Everything at once: what was taken, and the end.
fn feed(bytes: &[u8]) -> (usize, Result<Progress, Obstacle>) {
    let mut machine = connect(None);
    match machine.handle_bytes(bytes) {
        Ok((taken, progress)) => (taken, Ok(progress)),
        Err(why) => (0, Err(why)),
    }
}

/// The same byte by byte, and then the end.
fn dribble(bytes: &[u8]) -> (usize, Result<Progress, Obstacle>) {
    let mut machine = connect(None);
    for (at, byte) in bytes.iter().enumerate() {
        match machine.handle_bytes(&[*byte]) {
            Ok((taken, Progress::Open)) => return (at + taken, Ok(Progress::Open)),
            Ok((taken, _)) => assert_eq!(taken, 1),
            Err(why) => return (at, Err(why)),
        }
    }
    (bytes.len(), Err(machine.handle_end()))
}

fn refusal(bytes: &[u8]) -> crate::net::Refusal {
    match dribble(bytes).1 {
        Err(Obstacle::Refused { refusal, .. }) => *refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_request() {
    let request =
        |host: Host, login| String::from_utf8(Connect::new(&host, 8443, login).poll_transmit()).unwrap();
    let agent = concat!("wspipe/", env!("CARGO_PKG_VERSION"));
    assert_eq!(
        request(Host::Name(String::from("h.example")), None),
        format!("CONNECT h.example:8443 HTTP/1.1\r\nHost: h.example:8443\r\nUser-Agent: {agent}\r\n\r\n")
    );
    let login = (b"Aladdin".to_vec(), b"open sesame".to_vec());
    let six = request(Host::Address("2001:db8::1".parse().unwrap()), Some(&login));
    assert!(six.starts_with("CONNECT [2001:db8::1]:8443 HTTP/1.1\r\nHost: [2001:db8::1]:8443\r\n"), "{six}");
    // The example of RFC 7617 section 2.
    assert!(six.contains("\r\nProxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"), "{six}");
    let mut once = connect(None);
    assert!(!once.poll_transmit().is_empty() && once.poll_transmit().is_empty());
}

#[test]
fn nothing_behind_the_head_is_taken() {
    for head in [
        "HTTP/1.1 200 Connection established\r\n\r\n",
        "HTTP/1.0 200 OK\r\nProxy-agent: x\r\n\r\n",
        "HTTP/1.1 204\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\n\n",
        "HTTP/1.1 200 OK\r\nA: b\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    ] {
        let all = format!("{head}HTTP/1.1 101 and\r\n\r\nmore");
        assert_eq!(feed(all.as_bytes()), (head.len(), Ok(Progress::Open)), "{head:?}");
        assert_eq!(dribble(all.as_bytes()), (head.len(), Ok(Progress::Open)), "{head:?}");
    }
}

#[test]
fn refusals() {
    let sized = refusal(b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Negotiate\r\n\
        Proxy-Authenticate: Basic realm=\"x\"\r\nWWW-Authenticate: no\r\nContent-Length: 3\r\n\r\nyes and more");
    assert_eq!((sized.status, sized.body.as_slice()), (407, b"yes".as_slice()));
    assert_eq!(sized.www_authenticate.as_deref(), Some("Negotiate, Basic realm=\"x\""));
    let chunked =
        refusal(b"HTTP/1.1 502 Bad Gateway\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n");
    assert_eq!((chunked.status, chunked.body.as_slice()), (502, b"no".as_slice()));
    let to_end = refusal(b"HTTP/1.0 403 Filtered\r\nWWW-Authenticate: x\r\n\r\nto the end");
    assert_eq!((to_end.body.as_slice(), to_end.www_authenticate), (b"to the end".as_slice(), None));
    let cut = refusal(b"HTTP/1.1 503 x\r\nContent-Length: 50\r\n\r\nless");
    assert_eq!(cut.body, b"less");
    let large = refusal(&[b"HTTP/1.1 503 x\r\n\r\n".as_slice(), &[b'a'; 10_000]].concat());
    assert_eq!(large.body.len(), MAX_BODY);
    assert!(matches!(feed(b"HTTP/1.1 403 x\r\nContent-Length: 2\r\n\r\na"), (_, Ok(Progress::Refused))));
    let moved = refusal(b"HTTP/1.1 302 Found\r\nLocation: http://x/\r\nContent-Length: 0\r\n\r\n");
    assert_eq!((moved.status, moved.location.as_deref()), (302, Some("http://x/")));
}

#[test]
fn no_answer_and_none_of_http() {
    let text = |bytes: &[u8]| dribble(bytes).1.unwrap_err().to_string();
    assert_eq!(text(b""), "it closed the connection without an answer");
    assert_eq!(text(b"HTTP/1.1 200 OK\r\n"), "it closed the connection within its response head");
    assert_eq!(text(b"HTTP/1.1 2x0 OK\r\n\r\n"), "malformed HTTP response head");
    assert_eq!(text(b"HTTP/1.1 101 Switching\r\n\r\n"), "101 in answer to CONNECT");
    assert_eq!(
        feed(b"SSH-2.0-x\r\n").1.unwrap_err().to_string(),
        r#"the answer is not HTTP: "SSH-2.0-x\r\n""#
    );
    assert!(matches!(feed(&[5, 0xff]).1, Err(Obstacle::Violation { speaks: Some("socks5h"), .. })));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(MAX_HEADERS + 1));
    assert_eq!(text(many.as_bytes()), "more than 124 headers in its response");
    let huge = format!("HTTP/1.1 200 OK\r\nA: {}", "b".repeat(MAX_HEAD));
    assert_eq!(text(huge.as_bytes()), "its response head exceeds 64 KiB");
    let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(MAX_HEAD / 25 + 1);
    assert_eq!(text(interim.as_bytes()), "its response head exceeds 64 KiB");
}
