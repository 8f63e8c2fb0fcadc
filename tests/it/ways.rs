//! Where options of the way to the server meet: what contradicts what, what changes nothing, what is not shown.

use std::time::Duration;

use crate::support::{
    scripted::{Conn, Scripted, frame},
    wspipe,
};

/// Sends every message back.
fn echoing(conn: &mut Conn) -> std::io::Result<()> {
    conn.upgrade()?;
    loop {
        let (first, payload) = conn.frame()?;
        conn.write(frame(first, &payload))?;
        if first == 0x88 {
            return conn.end();
        }
    }
}

#[test]
fn what_contradicts_a_unix_socket() {
    let run = wspipe(["echo", "ws://h/", "--unix-socket", "/nowhere", "--proxy", "http://p"]).run();
    run.status(2).one_line(&["--unix-socket", "--proxy"]);
    // What the environment says is for what has a choice, be it nonsense.
    let run = wspipe(["echo", "ws://h/", "--unix-socket", "/nowhere"]).env("http_proxy", "ftp://x").run();
    run.status(7).one_line(&["/nowhere"]);
}

#[test]
fn options_of_tls_without_tls_are_warned_of() {
    let server = Scripted::start(echoing);
    for args in [&["--cafile", "nosuch.pem"][..], &["--insecure"], &["--tls-min", "1.3"], &["--alpn", "x"]] {
        let run = wspipe(["echo", &server.ws("/"), "x"]).args(args).run();
        run.status(0).says(&[args[0], "changes nothing", "in the clear"]);
    }
    // A redirect may lead to TLS.
    let run = wspipe(["echo", &server.ws("/"), "x", "--quiet", "--location", "--insecure"]).run();
    run.status(0).says_nothing();
    server.finish();
}

#[test]
fn no_error_shows_what_may_be_a_login() {
    for value in ["u:Xyzzy7:127.0.0.1:3128", "http://u:Xyzzy7-plugh", "http://h:1?t=Xyzzy7", "u:Xyzzy7h:3128"]
    {
        let run = wspipe(["echo", "ws://127.0.0.1:9/"]).env("http_proxy", value).run();
        run.status(2).one_line(&["http_proxy"]).never_says(&["Xyzzy7"]);
    }
    wspipe(["echo", "ws://u:Xyzzy7:127.0.0.1:80/"]).run().status(2).never_says(&["Xyzzy7"]);
    let run = wspipe(["echo", "ws://h/", "--connect-to", "http://u:Xyzzy7@h/"]).run();
    run.status(2).never_says(&["Xyzzy7"]);
}

#[test]
fn headers_that_are_not_for_the_server() {
    for (header, part) in [
        ("Proxy-Authorization: Basic x", "--proxy"),
        ("Content-Length: 5", "no body"),
        ("Transfer-Encoding: chunked", "no body"),
    ] {
        wspipe(["echo", "ws://h/", "-H", header]).run().status(2).one_line(&[part]);
    }
}

#[test]
fn a_redirect_takes_no_token_elsewhere() {
    let target = Scripted::start(echoing);
    let to = target.ws("/");
    let server = Scripted::start(move |conn| {
        conn.head()?;
        conn.write(format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n"))?;
        conn.end()
    });
    let args =
        ["echo", &server.ws("/"), "-L", "--subprotocol", "v4.x", "--subprotocol", "base64url.bearer.TOKEN"];
    wspipe(args).run().status(22).one_line(&["login", "not followed"]);
    assert!(target.finish().is_empty(), "nobody came");
    server.finish();
}

#[test]
fn a_long_location_is_the_servers_fault() {
    let server = Scripted::start(|conn| {
        conn.head()?;
        let location = format!("/{}", "{".repeat(30_000));
        conn.write(format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"))?;
        conn.end()
    });
    wspipe(["echo", &server.ws("/"), "-L"]).run().status(8).one_line(&["Location", "too long"]);
    server.finish();
}

#[test]
fn a_login_that_is_not_answered_ends_with_its_limit() {
    let server = Scripted::start(Conn::drain);
    let run = wspipe(["mqtt", &server.mqtt(), "--connect-timeout", "0.5"]).run();
    run.status(28).within(Duration::from_millis(1400));
    server.finish();
}

#[cfg(feature = "tls")]
#[test]
fn certificates_and_keys_come_through_pipes() {
    use crate::support::{bash, certs, tls_servers::nginx};
    let clients = &certs::shared().clients;
    let [ca, cert, key] = [&certs::shared().ca, &clients.ec.chain, &clients.ec.key];
    let url = format!("wss://localhost:{}/echo", nginx().mutual);
    let script = r#""$WSPIPE" echo "$1" --quiet --cafile <(cat "$2") --cert <(cat "$3") --key <(cat "$4") &&
        "$WSPIPE" echo "$1" --quiet --cafile "$2" --cert <(cat "$3" "$4")"#;
    let run = bash(script, [url.as_ref(), ca.as_os_str(), cert.as_os_str(), key.as_os_str()]).run();
    run.status(0).stdout_is("hello\nhello\n").says_nothing();
}
