//! Whole attempts over loopback, against servers that follow a script.

use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, TcpListener},
    thread::{self, JoinHandle},
};

use super::*;
use crate::{
    config::{Scheme, Url},
    proto::link::{Kind, Lost, Received},
    sys::poll,
};

pub(super) fn endpoint(scheme: Scheme, port: u16) -> Endpoint {
    let target = if scheme.is_websocket() { String::from("/websocket") } else { String::new() };
    Endpoint {
        url: Url { scheme, host: String::from("127.0.0.1"), port, target },
        headers: Vec::new(),
        subprotocols: Vec::new(),
        connect_timeout: Duration::from_secs(20),
        close_timeout: Duration::from_secs(5),
        max_message: 64 << 20,
        proxy: config::ProxyRules::default(),
        tls: config::Tls::default(),
        route: config::Route::default(),
        redirects: None,
        connect_login: false,
        timing: None,
    }
}

/// A server for one connection.
pub(super) fn serve(script: impl FnOnce(TcpStream) + Send + 'static) -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = thread::spawn(move || {
        let tcp = listener.accept().unwrap().0;
        tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        tcp.set_nodelay(true).unwrap();
        script(tcp);
    });
    (port, thread)
}

/// What the loop does, up to the connection.
pub(super) fn connect(endpoint: &Endpoint) -> Result<Connection, Error> {
    let mut shared = Shared::new(&endpoint.tls);
    let mut connector = Connector::new(endpoint, Instant::now());
    loop {
        if let Some(connection) = connector.advance(&mut shared, Instant::now())? {
            let timings = connector.timings();
            assert!(timings.resolve.is_some() && timings.connect.is_some());
            assert_eq!(timings.tls.is_some(), endpoint.url.scheme.is_tls());
            assert_eq!(timings.upgrade.is_some(), endpoint.url.scheme.is_websocket());
            return Ok(connection);
        }
        let mut fds = Vec::new();
        connector.interests(&mut fds);
        let timeout = connector.wake_at().saturating_duration_since(Instant::now());
        poll(&mut fds, Some(timeout)).unwrap();
    }
}

/// Reads a request head and gives it as text.
pub(super) fn request(stream: &mut impl io::Read) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// A 101 for `request`, with more header lines.
pub(super) fn accepted(request: &str, more: &str) -> String {
    let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n{more}\r\n",
        upgrade::accept_key(key)
    )
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Got {
    Text(String),
    Binary(Vec<u8>),
    Close(u16),
    Lost(Lost),
    Other,
}

pub(super) fn next(connection: &mut Connection) -> Got {
    loop {
        match connection.read() {
            Read::Got(Received::Message(Kind::Text, data)) => {
                return Got::Text(String::from_utf8(data.to_vec()).unwrap());
            }
            Read::Got(Received::Message(Kind::Binary, data)) => return Got::Binary(data.to_vec()),
            Read::Got(Received::Close(Some((code, _)))) => return Got::Close(code),
            Read::Got(_) | Read::Large(..) => return Got::Other,
            Read::Lost(lost) => return Got::Lost(lost),
            Read::Blocked => {}
        }
        wait(connection, connection.interest(true));
    }
}

pub(super) fn wait(connection: &Connection, flags: crate::sys::PollFlags) {
    let mut fds = [PollFd::new(connection, flags)];
    poll(&mut fds, Some(Duration::from_secs(20))).unwrap();
    assert!(!fds[0].revents().is_empty(), "nothing within 20 s");
}

/// The error of an attempt against a server that reads the request and answers `bytes`.
fn answered(bytes: impl Into<Vec<u8>>) -> Error {
    let bytes = bytes.into();
    let (port, server) = serve(move |mut tcp| {
        request(&mut tcp);
        tcp.write_all(&bytes).unwrap();
        // Nothing more, but no end either: the client must not need one.
        let _ = tcp.read(&mut [0]);
    });
    let error = connect(&endpoint(Scheme::Ws, port)).unwrap_err();
    server.join().unwrap();
    error
}

fn refusal(bytes: &str) -> Refusal {
    match answered(bytes) {
        Error::Refused { refusal, .. } => *refusal,
        other => panic!("{other}"),
    }
}

#[test]
fn a_head_that_dribbles_and_frames_right_behind_it() {
    let (port, server) = serve(|mut tcp| {
        let answer = accepted(&request(&mut tcp), "X-Long: yes\r\n");
        for byte in answer.as_bytes() {
            tcp.write_all(&[*byte]).unwrap();
        }
        tcp.write_all(b"\x81\x05hello\x81\x05again").unwrap();
        let _ = tcp.read(&mut [0]);
    });
    let mut c = connect(&endpoint(Scheme::Ws, port)).unwrap();
    assert_eq!(c.established().peer, format!("127.0.0.1:{port}"));
    assert_eq!(c.established().subprotocol, None);
    assert_eq!((c.sent(), c.queued()), (0, 0), "the request does not count");
    assert_eq!(next(&mut c), Got::Text(String::from("hello")));
    assert_eq!(next(&mut c), Got::Text(String::from("again")));
    drop(c);
    server.join().unwrap();
}

#[test]
fn legal_but_unusual_heads() {
    let variations =
        ["Connection: keep-alive, Upgrade\r\n", "Connection: keep-alive\r\nConnection: upgrade\r\n"];
    for connection in variations {
        let (port, server) = serve(move |mut tcp| {
            let answer = accepted(&request(&mut tcp), "").replace("Connection: Upgrade\r\n", connection);
            let early = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
            tcp.write_all(format!("{early}{answer}\u{81}").as_bytes()).unwrap();
        });
        connect(&endpoint(Scheme::Ws, port)).unwrap();
        server.join().unwrap();
    }
}

#[test]
fn refusals_keep_what_is_needed_later() {
    let got = refusal("HTTP/1.1 301 Moved\r\nLocation: /new\r\nContent-Length: 0\r\n\r\n");
    assert_eq!((got.status, got.location.as_deref()), (301, Some("/new")));
    let got = refusal(
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 5\r\n\r\nlogin",
    );
    assert_eq!(got.www_authenticate.as_deref(), Some("Basic realm=\"x\""));
    assert_eq!((got.reason.as_str(), got.body.as_slice()), ("Unauthorized", &b"login"[..]));
    let got = refusal(
        "HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nno, \r\n6;x=y\r\nsorry\n\r\n0\r\n\r\n",
    );
    assert_eq!(got.body, b"no, sorry\n");
    let long = "x".repeat(5000);
    let got = refusal(&format!("HTTP/1.1 404 Not Found\r\nContent-Length: 5000\r\n\r\n{long}"));
    assert_eq!(got.body, &long.as_bytes()[..4096]);
    let got = refusal("HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nbusy");
    assert_eq!(got.retry_after.as_deref(), Some("7"));
    let got = refusal("HTTP/1.1 204\r\n\r\n");
    assert_eq!((got.status, got.reason.as_str()), (204, ""));
    // No length and no end: what came within a second.
    let got = refusal("HTTP/1.0 403 Forbidden\r\nServer: old\r\n\r\nsome words");
    assert_eq!((got.status, got.body.as_slice()), (403, &b"some words"[..]));
}

#[test]
fn refusal_that_ends_with_the_connection() {
    let (port, server) = serve(|mut tcp| {
        request(&mut tcp);
        tcp.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").unwrap();
        tcp.write_all(b"upstream").unwrap();
    });
    let error = connect(&endpoint(Scheme::Ws, port)).unwrap_err();
    server.join().unwrap();
    assert_eq!(error.status(), 22);
    let expected = format!("upgrade refused by 127.0.0.1 port {port}: HTTP 502 Bad Gateway: upstream");
    assert_eq!(error.to_string(), expected);
}

#[test]
fn violations_of_the_upgrade() {
    let accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
    let upgrade = "HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
    let many = "a: b\r\n".repeat(200);
    let cases = [
        (format!("{upgrade}{accept}\r\n"), "wrong Sec-WebSocket-Accept"),
        (format!("{upgrade}\r\n"), "101 without Sec-WebSocket-Accept"),
        (String::from("HTTP/1.1 101 OK\r\nConnection: Upgrade\r\n\r\n"), "101 without Upgrade: websocket"),
        (String::from("HTTP/1.1 101 OK\r\nUpgrade: websocket\r\n\r\n"), "101 without Connection: Upgrade"),
        (format!("HTTP/1.0 101 OK\r\n{accept}\r\n"), "101 in HTTP/1.0"),
        (format!("HTTP/1.1 101 OK\r\n{many}\r\n"), "more than 124 headers in the response"),
        (String::from("HTTP/1.1 abc\r\n\r\n"), "malformed HTTP response head"),
        (String::from("SSH-2.0-x\x1b[0m\r\n"), r#"the answer is not HTTP: "SSH-2.0-x\x1b[0m\r\n""#),
    ];
    for (answer, expected) in cases {
        let error = answered(answer);
        assert_eq!(error.status(), 8, "{error}");
        assert!(error.to_string().ends_with(&format!(" failed: {expected}")), "{error}");
    }
    let error = answered(*b"\x15\x03\x01\x00\x02\x02\x46");
    assert_eq!(error.hint().as_deref(), Some("the port speaks TLS: use wss://"));
}

#[test]
fn what_was_not_asked_for_is_refused() {
    let cases = [
        ("Sec-WebSocket-Extensions: permessage-deflate\r\n", "not asked for: permessage-deflate"),
        ("Sec-WebSocket-Protocol: chat\r\n", "not offered: chat"),
    ];
    for (more, expected) in cases {
        let (port, server) = serve(move |mut tcp| {
            let answer = accepted(&request(&mut tcp), more);
            tcp.write_all(answer.as_bytes()).unwrap();
        });
        let error = connect(&endpoint(Scheme::Ws, port)).unwrap_err();
        server.join().unwrap();
        assert_eq!(error.status(), 8);
        assert!(error.to_string().ends_with(expected), "{error}");
    }
}

#[test]
fn an_endless_head() {
    for unit in ["x: y\r\n", "HTTP/1.1 100 Continue\r\n\r\n", "x"] {
        let (port, server) = serve(move |mut tcp| {
            request(&mut tcp);
            if unit != "HTTP/1.1 100 Continue\r\n\r\n" {
                tcp.write_all(b"HTTP/1.1 101 OK\r\nA: ").unwrap();
            }
            // Until the client has had enough.
            while tcp.write_all(unit.repeat(1000).as_bytes()).is_ok() {}
        });
        let error = connect(&endpoint(Scheme::Ws, port)).unwrap_err();
        server.join().unwrap();
        assert_eq!(error.status(), 8, "{error}");
    }
}

#[test]
fn connections_that_break_during_the_upgrade() {
    let (port, server) = serve(|mut tcp| drop(request(&mut tcp)));
    let error = connect(&endpoint(Scheme::Ws, port)).unwrap_err();
    server.join().unwrap();
    assert_eq!(error.status(), 56);
    assert!(error.to_string().ends_with("the server closed it without an answer"), "{error}");

    let (port, server) = serve(|mut tcp| {
        request(&mut tcp);
        tcp.write_all(b"HTTP/1.1 101 Swi").unwrap();
    });
    let error = connect(&endpoint(Scheme::Ws, port)).unwrap_err();
    server.join().unwrap();
    assert!(error.to_string().ends_with("within the response head"), "{error}");

    // Closed with the request unread: a reset.
    let (port, server) = serve(|tcp| while !matches!(tcp.peek(&mut [0]), Ok(1)) {});
    let error = connect(&endpoint(Scheme::Ws, port)).unwrap_err();
    server.join().unwrap();
    assert!(error.to_string().ends_with("Connection reset by peer"), "{error}");
}

#[test]
fn silence_has_a_limit_and_a_phase() {
    let schemes = [Scheme::Ws, if cfg!(feature = "tls") { Scheme::Wss } else { Scheme::Ws }];
    for scheme in schemes {
        let (port, server) = serve(|mut tcp| {
            let mut all = Vec::new();
            let _ = tcp.read_to_end(&mut all);
        });
        let mut endpoint = endpoint(scheme, port);
        endpoint.connect_timeout = Duration::from_millis(300);
        let start = Instant::now();
        let error = connect(&endpoint).unwrap_err();
        assert!(start.elapsed() >= Duration::from_millis(300));
        assert_eq!(error.status(), 28);
        let phase = if scheme.is_tls() { "TLS handshake" } else { "upgrade" };
        let expected = format!("timed out after 0.3 s in phase {phase}: 127.0.0.1 port {port}");
        assert_eq!(error.to_string(), expected);
        assert!(error.hint().unwrap().contains("--connect-timeout"));
        server.join().unwrap();
    }
}

#[test]
fn refusal_whose_body_never_ends_within_the_deadline() {
    let (port, server) = serve(|mut tcp| {
        request(&mut tcp);
        tcp.write_all(b"HTTP/1.1 403 No\r\nContent-Length: 100\r\n\r\nbegin").unwrap();
        let _ = tcp.read(&mut [0]);
    });
    let mut endpoint = endpoint(Scheme::Ws, port);
    endpoint.connect_timeout = Duration::from_millis(400);
    let error = connect(&endpoint).unwrap_err();
    server.join().unwrap();
    assert!(error.to_string().ends_with("HTTP 403 No: begin"), "{error}");
}

#[test]
fn nobody_listens() {
    // Bound, so that nobody else can get the port; not listening.
    let fd =
        rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None).unwrap();
    rustix::net::bind(&fd, &std::net::SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address: std::net::SocketAddr = rustix::net::getsockname(&fd).unwrap().try_into().unwrap();
    let port = address.port();
    let mut endpoint = endpoint(Scheme::Ws, port);
    endpoint.url.host = String::from("localhost");
    let error = connect(&endpoint).unwrap_err();
    assert_eq!(error.status(), 7);
    let text = error.to_string();
    assert!(text.starts_with(&format!("could not connect to localhost port {port}: [::1]: ")), "{text}");
    assert!(text.ends_with("; 127.0.0.1: Connection refused"), "{text}");
}

#[test]
fn names_that_do_not_resolve() {
    let mut endpoint = endpoint(Scheme::Ws, 80);
    endpoint.url.host = String::from("a b.invalid");
    let error = connect(&endpoint).unwrap_err();
    assert_eq!(error.status(), 6);
    assert!(error.to_string().starts_with("could not resolve host a b.invalid: "), "{error}");
}

#[test]
fn plain_mqtt_has_no_upgrade() {
    let (port, server) = serve(|mut tcp| {
        let mut bytes = [0; 2];
        tcp.read_exact(&mut bytes).unwrap();
        assert_eq!(bytes, [0xc0, 0]);
        tcp.write_all(&[0xd0, 0]).unwrap();
        tcp.shutdown(Shutdown::Write).unwrap();
    });
    let mut c = connect(&endpoint(Scheme::Mqtt, port)).unwrap();
    c.send(crate::proto::link::Transmit::message(Kind::Binary, vec![0xc0, 0].into())).unwrap();
    assert!(c.flush().unwrap());
    assert_eq!(next(&mut c), Got::Binary(vec![0xd0, 0]));
    assert_eq!(next(&mut c), Got::Lost(Lost::Eof));
    server.join().unwrap();
}

#[cfg(not(feature = "tls"))]
#[test]
fn without_tls() {
    let error = connect(&endpoint(Scheme::Wss, 1)).unwrap_err();
    assert_eq!(error.status(), 2);
}
