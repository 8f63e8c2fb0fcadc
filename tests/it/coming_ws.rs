//! The README's rows for those who come from websocat, wscat and curl. Servers are scripted where a row promises what
//! only they can see, and else Python `websockets`. curl's own lines, but for TLS, run beside ours where it
//! speaks `ws://`, as Debian 13's does; those of websocat and wscat, which are in no distribution, do not.

use std::{fs, io, thread, time::Duration};

use rustix::process::Signal;

use crate::support::{
    Running, Wspipe, bash,
    coming::{CURLS, Expected, Row, curl, row},
    free_port, proxies,
    scripted::{Conn, Scripted, frame, header},
    temp_dir, wait_until, websockets,
};
#[cfg(not(feature = "tls"))]
use without_tls as own_ca;
#[cfg(not(feature = "tls"))]
use without_tls as pkcs12;
#[cfg(not(feature = "tls"))]
use without_tls as unchecked;
#[cfg(not(feature = "tls"))]
use without_tls as least_version;
#[cfg(not(feature = "tls"))]
use without_tls as certificate;

/// The rows that are run here.
pub const ROWS: &[Expected<()>] = &[
    ("websocat ws://h/", last_replies),
    ("websocat -n1 ws://h/", one_reply),
    ("websocat -n ws://h/", until_the_server_closes),
    ("websocat -E ws://h/", the_servers_close),
    ("websocat -U ws://h/", only_receives),
    ("websocat -b --base64 ws://h/", base64),
    ("websocat -B 1000000 ws://h/", long_line),
    ("websocat --protocol chat --origin http://x ws://h/", protocol_and_origin),
    ("websocat --basic-auth u:p ws://h/", basic),
    ("websocat --ping-interval 10 --ping-timeout 30 ws://h/", pings),
    ("websocat autoreconnect:ws://h/", reconnect),
    ("websocat --socks5 127.0.0.1:1080 ws://h/", socks),
    ("websocat --client-pkcs12-der id.p12 wss://h/", pkcs12),
    ("websocat -s 8080", serve),
    ("wscat -c ws://h/", talk),
    ("wscat -c ws://h/ -x hi -w 5", on_open),
    ("wscat -c wss://h/ -n", unchecked),
    ("wscat -c ws://h/ -s chat -o http://x", protocol_and_origin),
    ("wscat -c ws://h/ -P", pings_and_pongs_said),
    ("wscat -c wss://h/ --ca ca.pem", own_ca),
    ("wscat -l 8080", serve),
    ("curl -N ws://h/", messages_apart),
    ("curl -x http://p:3128 ws://h/", http_proxy),
    ("curl -u u:p ws://h/", basic),
    ("curl -m 10 ws://h/", limit),
    ("curl --cacert ca.pem --tlsv1.3 wss://h/", least_version),
    ("curl --pass secret --cert id.pem wss://h/", certificate),
    ("curl --cookie id=1 -H X-A:b -L ws://h/", cookie_and_redirect),
    ("curl -o out ws://h/", to_a_file),
];

#[test]
fn rows() {
    // They mostly wait: for quiet, for limits.
    for some in ROWS.chunks(10) {
        thread::scope(|scope| {
            for (there, check) in some {
                let named = thread::Builder::new().name((*there).to_owned());
                named.spawn_scoped(scope, move || check(&row(there), &())).expect("a thread starts");
            }
        });
    }
}

/// Our line at this server, with these changes besides.
fn at(row: &Row, server: &Scripted, more: &[(&str, &str)]) -> Wspipe {
    row.ours(&[&[("ws://h/", &server.ws("/")[..])], more].concat())
}

/// The same at Python `websockets`, an echo.
fn at_websockets(row: &Row, more: &[(&str, &str)]) -> Wspipe {
    let server = websockets::shared();
    row.ours(&[&[("ws://h/", &server.url("/")[..])], more].concat()).shows(server.log())
}

/// Every message back, Close too.
fn echo(conn: &mut Conn) -> io::Result<()> {
    conn.upgrade()?;
    echo_until_close(conn)
}

fn echo_until_close(conn: &mut Conn) -> io::Result<()> {
    loop {
        let (first, payload) = conn.message()?;
        conn.write(frame(first, &payload))?;
        if first == 0x88 {
            return conn.end();
        }
    }
}

/// Says these in one write, and then Close.
fn say(conn: &mut Conn, messages: &[&str], code: u16) -> io::Result<()> {
    let frames: Vec<u8> = messages.iter().flat_map(|text| frame(0x81, text.as_bytes())).collect();
    conn.write(frames)?;
    conn.close(code, "")
}

/// The Ping behind the last message, whose Pong says that all has been read.
fn answer_ping(conn: &mut Conn) -> io::Result<()> {
    let (first, payload) = conn.frame()?;
    assert_eq!(first, 0x89, "a ping");
    conn.write(frame(0x8a, &payload))
}

/// One line in, one line back, the line before it being over; stdin stays open.
#[track_caller]
fn talks(running: &mut Running) {
    for (lines, text) in ["hi\n", "grüße\n"].into_iter().enumerate() {
        running.write(text);
        running.wait_stdout_lines(lines + 1);
    }
    assert_eq!(running.stdout_so_far(), "hi\ngrüße\n".as_bytes());
}

/// What this connection's client asked with.
#[track_caller]
fn asked(server: Scripted, index: usize) -> String {
    let received = server.finish();
    let head = received[index].split(|b| *b == b'\n').take_while(|line| line.len() > 1);
    head.map(|line| String::from_utf8_lossy(line).into_owned() + "\n").collect()
}

#[cfg(not(feature = "tls"))]
fn without_tls(row: &Row, _: &()) {
    row.wants_tls();
}

fn last_replies(row: &Row, _: &()) {
    let server = Scripted::start(|conn| {
        conn.upgrade()?;
        let messages = [conn.message()?.1, conn.message()?.1];
        answer_ping(conn)?;
        assert!(conn.is_quiet(Duration::from_millis(300))?, "stdin has ended, and it waits");
        for message in messages {
            conn.write(frame(0x81, &message))?;
        }
        conn.messages_to_close().map(drop)
    });
    at(row, &server, &[]).stdin("one\ntwo\n").run().status(0).stdout_is("one\ntwo\n").says_nothing();
}

fn one_reply(row: &Row, _: &()) {
    let server = Scripted::start(|conn| {
        conn.upgrade()?;
        assert_eq!(conn.message()?, (0x81, b"question".to_vec()));
        conn.write([frame(0x81, b"answer"), frame(0x81, b"and more")].concat())?;
        conn.messages_to_close().map(drop)
    });
    at(row, &server, &[]).stdin("question\n").run().status(0).stdout_is("answer\n").says_nothing();
    server.finish();
}

fn until_the_server_closes(row: &Row, _: &()) {
    let server = Scripted::start(|conn| {
        conn.upgrade()?;
        let (_, message) = conn.message()?;
        answer_ping(conn)?;
        // Longer than the second that is waited for without `-w`.
        assert!(conn.is_quiet(Duration::from_millis(1500))?, "it waits");
        conn.write(frame(0x81, &message))?;
        conn.close(1000, "")
    });
    at(row, &server, &[]).stdin("late\n").run().status(0).stdout_is("late\n").says_nothing();
    server.finish();
}

fn the_servers_close(row: &Row, _: &()) {
    let server = Scripted::start(|conn| {
        conn.upgrade()?;
        say(conn, &["one", "two"], 1000)
    });
    let mut running = at(row, &server, &[]).open_stdin().start();
    let _stdin = running.take_stdin();
    running.finish().status(0).stdout_is("one\ntwo\n").says_nothing();
}

fn only_receives(row: &Row, _: &()) {
    let server = Scripted::start(|conn| {
        conn.upgrade()?;
        assert!(conn.is_quiet(Duration::from_millis(200))?, "nothing is sent");
        say(conn, &["one", "two"], 1000)
    });
    let run = at(row, &server, &[]).stdin("not for the server\n").run();
    run.status(0).stdout_is("one\ntwo\n").says_nothing();
    server.finish();
}

fn base64(row: &Row, _: &()) {
    let server = Scripted::start(|conn| {
        conn.upgrade()?;
        assert_eq!(conn.message()?, (0x82, b"\0\xff\n".to_vec()), "a binary message");
        conn.write(frame(0x82, b"\xfe\n\0"))?;
        conn.messages_to_close().map(drop)
    });
    at(row, &server, &[]).stdin("AP8K\n").run().status(0).stdout_is("/goA\n").says_nothing();
    server.finish();
}

fn long_line(row: &Row, _: &()) {
    let line = "x".repeat(2_500_000) + "\n";
    let run = at_websockets(row, &[]).stdin(line.clone()).run();
    run.status(0).says_nothing();
    assert!(run.stdout == line.as_bytes(), "{} bytes came back", run.stdout.len());
}

fn protocol_and_origin(row: &Row, _: &()) {
    let server = Scripted::start(echo);
    at(row, &server, &[]).stdin("hi\n").run().status(0).stdout_is("hi\n").says_nothing();
    let head = asked(server, 0);
    assert_eq!(header(&head, "Sec-WebSocket-Protocol"), Some("chat"));
    assert_eq!(header(&head, "Origin"), Some("http://x"));
}

fn basic(row: &Row, _: &()) {
    let server = Scripted::start(echo);
    at(row, &server, &[]).stdin("hi\n").run().status(0).stdout_is("hi\n").says_nothing();
    assert_eq!(header(&asked(server, 0), "Authorization"), Some("Basic dTpw"));
    if let Some((line, server)) = row.there.starts_with("curl").then(|| curl(row, &[])).flatten() {
        line.run().status(0).stdout_is(CURLS);
        assert_eq!(header(&asked(server, 0), "Authorization"), Some("Basic dTpw"));
    }
    // One that asks for another login.
    let url = websockets::shared().url("/basic");
    row.ours(&[("ws://h/", &url)]).run().status(22).one_line(&["401"]);
    row.ours(&[("ws://h/", &url), ("u:p", "anna:secret")]).stdin("hi\n").run().status(0).stdout_is("hi\n");
}

fn pings(row: &Row, _: &()) {
    let server = Scripted::start(|conn| {
        conn.upgrade()?;
        for _ in 0..3 {
            answer_ping(conn)?;
        }
        conn.drain()
    });
    let limits = [("-interval 10", "-interval 0.1"), ("-timeout 30", "-timeout 0.3")];
    let mut running = at(row, &server, &limits).open_stdin().start();
    let _stdin = running.take_stdin();
    running.finish().status(28).stdout_is("").one_line(&["ping", "0.3 s"]);
    server.finish();
}

fn reconnect(row: &Row, _: &()) {
    let server = Scripted::start(|conn| match conn.index {
        0 => conn.upgrade().and_then(|()| conn.reset()),
        _ => echo(conn),
    });
    let mut running = at(row, &server, &[]).open_stdin().start();
    running.wait_stderr("connecting again");
    talks(&mut running);
    assert!(!running.has_ended());
    running.signal(Signal::TERM);
    running.finish().signalled(Signal::TERM);
    assert_eq!(server.finish().len(), 2, "connections");
}

fn socks(row: &Row, _: &()) {
    let proxy = format!("socks5://127.0.0.1:{}", proxies::shared().socks);
    through(row, "socks5://127.0.0.1:1080", &proxy);
}

/// What goes there goes through the proxy, and through nothing else.
#[track_caller]
fn through(row: &Row, place: &str, proxy: &str) {
    let run = at_websockets(row, &[(place, proxy)]).stdin("hi\n").run();
    run.status(0).stdout_is("hi\n").says_nothing();
    let (scheme, _) = proxy.rsplit_once(':').expect("it has a port");
    at_websockets(row, &[(place, &format!("{scheme}:{}", free_port()))]).run().status(7).one_line(&["proxy"]);
}

fn http_proxy(row: &Row, _: &()) {
    let proxy = format!("http://127.0.0.1:{}", proxies::shared().http);
    through(row, "http://p:3128", &proxy);
    // "`http_proxy` works too".
    let run =
        at_websockets(row, &[(" --proxy http://p:3128", "")]).env("http_proxy", &proxy).stdin("hi\n").run();
    run.status(0).stdout_is("hi\n").says_nothing();
    let gone = format!("http://127.0.0.1:{}", free_port());
    at_websockets(row, &[(" --proxy http://p:3128", "")]).env("http_proxy", &gone).run().status(7);
    // curl asks an HTTP proxy for `ws://` by GET, up to 8.14 at least, which tinyproxy does not take.
}

fn serve(row: &Row, _: &()) {
    const CLIENT: &str = "import sys\nfrom websockets.sync.client import connect\n\
        with connect(sys.argv[1], proxy=None) as ws:\n    ws.send('grüße')\n    print(ws.recv())\n";
    let start = || {
        let place = format!(":{}/", free_port());
        let mut running = row.ours(&[(":8080/", &place)]).start();
        let listens = wait_until(|| running.stderr_so_far().contains("LISTENING") || running.has_ended());
        (listens && !running.has_ended()).then_some((running, place))
    };
    // A port that was free a moment ago may be another's now.
    let (running, place) = (0..5).find_map(|_| start()).expect("it listens");
    let url = format!("ws://127.0.0.1{place}");
    let python = websockets::python().display().to_string();
    let client = bash("exec \"$@\"", [&python[..], "-c", CLIENT, &url]).run();
    client.status(0).stdout_is("grüße\n");
    running.signal(Signal::INT);
    running.finish().signalled(Signal::INT).says(&["LISTENING", &place]).never_says(&["error"]);
}

fn talk(row: &Row, _: &()) {
    let mut running = at_websockets(row, &[]).open_stdin().start();
    talks(&mut running);
    drop(running.take_stdin());
    running.finish().status(0).says_nothing();
}

fn on_open(row: &Row, _: &()) {
    let server = Scripted::start(|conn| {
        conn.upgrade()?;
        assert_eq!(conn.message()?, (0x81, b"hi".to_vec()));
        conn.write(frame(0x81, b"hello"))?;
        assert_eq!(conn.message()?.0, 0x88, "it ends at the reply");
        conn.write(frame(0x88, b"\x03\xe8"))?;
        conn.end()
    });
    at(row, &server, &[]).run().status(0).stdout_is("hello\n").says_nothing();
    server.finish();
    let mute = websockets::shared().url("/mute");
    let run = row.ours(&[("ws://h/", &mute), ("-W 5", "-W 0.3")]).run();
    run.status(28).stdout_is("").one_line(&["0.3 s"]);
}

fn pings_and_pongs_said(row: &Row, _: &()) {
    let server = Scripted::start(|conn| {
        conn.upgrade()?;
        conn.write(frame(0x89, b"are you there?"))?;
        // In any order but that its Ping is behind its message.
        let mut answered = false;
        loop {
            let (first, payload) = conn.frame()?;
            match first {
                0x8a => answered = payload == b"are you there?",
                0x89 => break conn.write(frame(0x8a, &payload))?,
                _ => conn.write(frame(first, &payload))?,
            }
        }
        while !answered {
            answered = conn.frame()? == (0x8a, b"are you there?".to_vec());
        }
        conn.write(frame(0x8a, b"unasked"))?;
        echo_until_close(conn)
    });
    let run = at(row, &server, &[]).stdin("hi\n").run();
    run.status(0).stdout_is("hi\n").says(&[
        "debug: ping, 14 bytes\n",
        "debug: pong in ",
        "debug: pong, 7 bytes\n",
    ]);
    server.finish();
}

fn messages_apart(row: &Row, _: &()) {
    for (code, status) in [(1000, 0), (4001, 10)] {
        let server = Scripted::start(move |conn| {
            conn.upgrade()?;
            say(conn, &["one", "two"], code)
        });
        let mut running = at(row, &server, &[]).open_stdin().start();
        let _stdin = running.take_stdin();
        running.finish().status(status).stdout_is("one\ntwo\n");
    }
    if let Some((line, _server)) = curl(row, &[]) {
        line.run().status(0).stdout_is(CURLS);
    }
}

fn limit(row: &Row, _: &()) {
    let mut running = at_websockets(row, &[("-W 10", "-W 0.4")]).open_stdin().start();
    talks(&mut running);
    running.finish().status(28).one_line(&["0.4 s"]);
    if curl(row, &[]).is_some() {
        let mute = Scripted::start(|conn| conn.upgrade().and_then(|()| conn.drain()));
        let line = row.theirs(&[("-m 10", "-sm 1"), ("ws://h/", &mute.ws("/"))]);
        line.run().status(28).stdout_is("");
    }
}

fn cookie_and_redirect(row: &Row, _: &()) {
    let server = Scripted::start(|conn| match conn.index {
        0 => {
            conn.head()?;
            conn.write("HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n")?;
            conn.end()
        }
        _ => echo(conn),
    });
    at(row, &server, &[]).stdin("hi\n").run().status(0).stdout_is("hi\n").says_nothing();
    let received = server.finish();
    for (connection, path) in received.iter().zip(["/", "/there"]) {
        let head = String::from_utf8_lossy(connection).into_owned();
        assert!(head.starts_with(&format!("GET {path} HTTP/1.1\r\n")), "{head}");
        assert_eq!(header(&head, "Cookie"), Some("id=1"));
        assert_eq!(header(&head, "X-A"), Some("b"));
    }
    if let Some((line, server)) = curl(row, &[]) {
        line.run().status(0).stdout_is(CURLS);
        // Up to 8.14 at least it sends no Cookie with `ws://`.
        assert_eq!(header(&asked(server, 0), "X-A"), Some("b"));
    }
}

fn to_a_file(row: &Row, _: &()) {
    let file = temp_dir("coming").join("out");
    let run = at_websockets(row, &[("> out", &format!("> {}", file.display()))]).stdin("one\ntwo\n").run();
    run.status(0).stdout_is("").says_nothing();
    assert_eq!(fs::read_to_string(&file).expect("the shell made it"), "one\ntwo\n");
    if let Some((line, _server)) = curl(row, &[("-o out", &format!("-o {}", file.display()))]) {
        line.run().status(0).stdout_is("");
        assert_eq!(fs::read(&file).expect("curl made it"), CURLS);
    }
}

#[cfg(feature = "tls")]
use over_tls::{certificate, least_version, own_ca, pkcs12, unchecked};

/// Python `websockets` behind nginx, in front of which are certificates.
#[cfg(feature = "tls")]
mod over_tls {
    use super::{Row, Wspipe};
    use crate::support::{certs, nginx, tls_servers};

    fn at(row: &Row, port: u16, more: &[(&str, &str)]) -> Wspipe {
        row.ours(&[&[("wss://h/", &format!("wss://localhost:{port}/")[..])], more].concat()).stdin("hi\n")
    }

    fn ca() -> String {
        certs::shared().ca.display().to_string()
    }

    pub fn own_ca(row: &Row, _: &()) {
        let (front, certs) = (nginx::shared(), certs::shared());
        at(row, front.good, &[("ca.pem", &ca())]).run().status(0).stdout_is("hi\n").says_nothing();
        let other = certs.other_ca.display().to_string();
        at(row, front.good, &[("ca.pem", &other)]).run().status(60).stdout_is("");
    }

    pub fn unchecked(row: &Row, _: &()) {
        let port = nginx::shared().self_signed;
        at(row, port, &[]).run().status(0).stdout_is("hi\n").one_line(&["not"]);
        at(row, port, &[(" -k", "")]).run().status(60).stdout_is("");
    }

    pub fn least_version(row: &Row, _: &()) {
        let front = tls_servers::nginx();
        let run = at(row, front.only_1_3, &[("ca.pem", &ca())]).run();
        run.status(0).stdout_is("hi\n").says_nothing();
        at(row, front.only_1_2, &[("ca.pem", &ca())]).run().status(35).stdout_is("");
    }

    pub fn pkcs12(row: &Row, _: &()) {
        let [_, open] = &certs::shared().clients.pkcs12;
        let port = tls_servers::nginx().mutual;
        // What the system trusts is what OpenSSL is told to.
        let run = at(row, port, &[("id.p12", &open.to_string_lossy())]).env("SSL_CERT_FILE", &ca()).run();
        run.status(0).stdout_is("hi\n").never_says(&["error"]);
        at(row, port, &[(" --pkcs12 id.p12", "")])
            .env("SSL_CERT_FILE", &ca())
            .run()
            .status(22)
            .says(&["400"]);
    }

    pub fn certificate(row: &Row, _: &()) {
        let clients = &certs::shared().clients;
        let encrypted = clients.forms.iter().find(|(_, _, encrypted)| *encrypted);
        let (chain, key, _) = encrypted.expect("some keys have a password");
        let file = crate::support::temp_dir("coming").join("id.pem");
        let read = |path| std::fs::read(path).expect("openssl wrote it");
        certs::private(&file, [read(chain), read(key)].concat());
        let [id, password] = [&file, &clients.password].map(|path| path.display().to_string());
        let port = tls_servers::nginx().mutual;
        let run = at(row, port, &[("id.pem", &id), ("-file pw", &format!("-file {password}"))]);
        run.env("SSL_CERT_FILE", &ca()).run().status(0).stdout_is("hi\n").says_nothing();
        let wrong = at(row, port, &[("id.pem", &id), ("-file pw", &format!("-file {id}"))]);
        wrong.env("SSL_CERT_FILE", &ca()).run().status(26).stdout_is("");
    }
}
