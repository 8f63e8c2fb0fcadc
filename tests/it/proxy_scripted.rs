//! Proxies that follow a script: slow, silent, refusing, talking nonsense.

use std::{io, time::Duration};

use crate::support::{
    scripted::{Conn, Scripted, accept_head, frame},
    wspipe,
};

/// `wspipe echo` to a server that only the proxy knows.
fn echo(
    scheme: &str,
    script: impl Fn(&mut Conn) -> io::Result<()> + Send + Sync + 'static,
) -> crate::support::Run {
    echo_with(scheme, &[], script)
}

fn echo_with(
    scheme: &str,
    args: &[&str],
    script: impl Fn(&mut Conn) -> io::Result<()> + Send + Sync + 'static,
) -> crate::support::Run {
    let proxy = Scripted::start(script);
    let url = format!("{scheme}://anna:s3cret@127.0.0.1:{}", proxy.port());
    let run = wspipe(["echo", "ws://server.invalid/", "--proxy", &url]).args(args).run();
    proxy.finish();
    run.never_says(&["s3cret", "anna"]);
    run
}

/// The server behind the proxy: the upgrade, and one echo.
fn serve(conn: &mut Conn) -> io::Result<()> {
    conn.upgrade()?;
    echo_one(conn)
}

fn echo_one(conn: &mut Conn) -> io::Result<()> {
    let (first, payload) = conn.message()?;
    conn.write(frame(first, &payload))?;
    conn.messages_to_close().map(drop)
}

fn dribble(conn: &mut Conn, bytes: &[u8]) -> io::Result<()> {
    for byte in bytes {
        conn.write([*byte])?;
        // Nothing is waited for: only so that it comes in many pieces.
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// The SOCKS handshake with a login, up to the request. Answers are dribbled.
fn socks(conn: &mut Conn) -> io::Result<()> {
    let mut hello = [0; 4];
    conn.read_exact(&mut hello)?;
    assert_eq!(hello, [5, 2, 0, 2]);
    dribble(conn, &[5, 2])?;
    let mut login = [0; 13];
    conn.read_exact(&mut login)?;
    assert_eq!(&login, b"\x01\x04anna\x06s3cret");
    dribble(conn, &[1, 0])?;
    let mut request = [0; 21];
    conn.read_exact(&mut request)?;
    assert_eq!(&request, b"\x05\x01\x00\x03\x0eserver.invalid\x00\x50");
    Ok(())
}

#[test]
fn answers_that_dribble() {
    echo("http", |conn| {
        let head = conn.head()?;
        assert!(
            head.starts_with("CONNECT server.invalid:80 HTTP/1.1\r\nHost: server.invalid:80\r\n"),
            "{head}"
        );
        assert!(head.contains("\r\nProxy-Authorization: Basic YW5uYTpzM2NyZXQ=\r\n"), "{head}");
        dribble(conn, b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nVia: x\r\n\r\n")?;
        serve(conn)
    })
    .status(0)
    .stdout_is("hello\n");
    for bound in [&b"\x01\0\0\0\0\0\0"[..], b"\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0", b"\x03\x03a.b\0\0"]
    {
        echo("socks5h", move |conn| {
            socks(conn)?;
            dribble(conn, &[&[5, 0, 0], bound].concat())?;
            serve(conn)
        })
        .status(0)
        .stdout_is("hello\n");
    }
}

#[test]
fn what_comes_right_behind_the_answer_is_the_servers() {
    // A server that speaks before it is asked breaks the upgrade, and it must be seen to.
    echo("http", |conn| {
        conn.head()?;
        conn.write("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 400 Early\r\nContent-Length: 0\r\n\r\n")?;
        conn.drain()
    })
    .status(22)
    .says(&["upgrade refused by server.invalid port 80: HTTP 400 Early"]);
    echo("socks5h", |conn| {
        socks(conn)?;
        conn.write(b"\x05\0\0\x01\0\0\0\0\0\0HTTP/1.1 400 Early\r\nContent-Length: 0\r\n\r\n")?;
        conn.drain()
    })
    .status(22)
    .says(&["HTTP 400 Early"]);
    // The 101 and the first frame in one write, behind a tunnel.
    echo_with("http", &["--skip", "1"], |conn| {
        conn.head()?;
        conn.write("HTTP/1.1 200 OK\r\n\r\n")?;
        let head = conn.head()?;
        conn.write([accept_head(&head).as_bytes(), &frame(0x81, b"welcome")].concat())?;
        echo_one(conn)
    })
    .status(0)
    .stdout_is("hello\n");
}

#[test]
fn silence() {
    for scheme in ["http", "socks5h", "socks5"] {
        let silent = Scripted::start(|conn| conn.drain());
        let url = format!("{scheme}://127.0.0.1:{}", silent.port());
        wspipe(["echo", "ws://192.0.2.1/", "--proxy", &url, "--connect-timeout", "0.3"])
            .run()
            .status(28)
            .one_line(&["in phase proxy", &format!("127.0.0.1 port {}", silent.port()), "--connect-timeout"]);
        silent.finish();
    }
    // One byte at a time is no progress.
    echo_with("http", &["--connect-timeout", "0.5"], |conn| {
        conn.head()?;
        conn.write("HTTP/1.1 200 OK\r\nA: ")?;
        while conn.is_quiet(Duration::from_millis(20))? {
            conn.write("a")?;
        }
        Ok(())
    })
    .status(28)
    .one_line(&["in phase proxy"]);
    // Behind the proxy it is the server that is silent.
    echo_with("http", &["--connect-timeout", "0.5"], |conn| {
        conn.head()?;
        conn.write("HTTP/1.1 200 OK\r\n\r\n")?;
        conn.drain()
    })
    .status(28)
    .one_line(&["in phase upgrade", "server.invalid port 80"]);
}

#[test]
fn endings() {
    for (scheme, text) in [("http", "without an answer"), ("socks5h", "it closed the connection")] {
        echo(scheme, |conn| conn.end()).status(97).one_line(&["the proxy", "server.invalid", text]);
        echo(scheme, |conn| {
            conn.read_exact(&mut [0; 4])?;
            conn.reset()
        })
        .status(97)
        .one_line(&["the proxy", "server.invalid", "Connection reset"]);
    }
    echo("http", |conn| {
        conn.head()?;
        conn.write("HTTP/1.1 200 OK\r\n")?;
        conn.end()
    })
    .status(97)
    .one_line(&["within its response head"]);
}

#[test]
fn nonsense() {
    for (scheme, answer, text) in [
        ("http", &b"SSH-2.0-x\r\n"[..], "the answer is not HTTP: \"SSH-2.0-x"),
        ("http", b"HTTP/1.1 abc\r\n\r\n", "malformed HTTP response head"),
        ("http", b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "101 in answer to CONNECT"),
        ("http", b"\x16\x03\x01\x1b[2J", "the answer is not HTTP"),
        ("socks5h", b"HTTP/1.0 400 Bad Request\r\n\r\n", "http://?"),
        ("socks5h", b"\x04\x5a", "the answer is not SOCKS5"),
        ("socks5h", b"\x05\x03", "method 3, which was not offered"),
        ("socks5h", b"\x05\xff", "takes neither"),
        ("socks5h", b"\x05\x00\x05\x00\x00\x07", "unknown type 7"),
    ] {
        echo(scheme, move |conn| {
            conn.read_exact(&mut [0; 4])?;
            conn.write(answer)?;
            conn.drain()
        })
        .status(97)
        .stdout_is("")
        .one_line(&["the proxy 127.0.0.1 port", text]);
    }
    echo("http", |conn| {
        conn.head()?;
        conn.write("HTTP/1.1 200 OK\r\n")?;
        conn.write("A: b\r\n".repeat(200_000))?;
        conn.drain()
    })
    .status(97)
    .one_line(&["response head exceeds 64 KiB"])
    .below_mib(64);
}

#[test]
fn refusals_with_their_text() {
    for (answer, texts) in [
        (
            "407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n",
            ["HTTP 407 Proxy Authentication Required", "is the login in the proxy's URL right?"],
        ),
        (
            "407 No\r\nProxy-Authenticate: Negotiate\r\nProxy-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n",
            ["HTTP 407 No", "another authentication than Basic"],
        ),
        (
            "502 Bad Gateway\r\nContent-Length: 14\r\n\r\nno route\x1b[2J\r\nmore",
            ["HTTP 502 Bad Gateway: no route\\x1b[2J", ""],
        ),
        (
            "403 Filtered\r\n\r\n<html><title>403 Filtered</title><p>not for you</p>",
            ["HTTP 403 Filtered: not for you", "443"],
        ),
        ("302 Found\r\nLocation: http://x/\r\nContent-Length: 0\r\n\r\n", ["HTTP 302 Found", ""]),
    ] {
        echo("http", move |conn| {
            conn.head()?;
            conn.write(format!("HTTP/1.1 {answer}"))?;
            // No end: the client must not need one.
            conn.drain()
        })
        .status(97)
        .one_line(&texts);
    }
    // The refusal is said also when its text never ends before the limit.
    echo_with("http", &["--connect-timeout", "0.4"], |conn| {
        conn.head()?;
        conn.write("HTTP/1.1 503 Busy\r\nContent-Length: 1000\r\n\r\ncome later")?;
        conn.drain()
    })
    .status(97)
    .one_line(&["HTTP 503 Busy: come later"]);
}

#[test]
fn socks_replies() {
    for (code, name) in [
        (1, "general SOCKS server failure"),
        (2, "connection not allowed by ruleset"),
        (3, "Network unreachable"),
        (4, "Host unreachable"),
        (5, "Connection refused"),
        (6, "TTL expired"),
        (7, "Command not supported"),
        (8, "Address type not supported"),
        (99, "unassigned reply"),
    ] {
        echo("socks5h", move |conn| {
            socks(conn)?;
            conn.write([5, code, 0, 1, 0, 0, 0, 0, 0, 0])?;
            conn.drain()
        })
        .status(97)
        .one_line(&["server.invalid port 80", &format!("{name} (SOCKS reply {code})")]);
    }
    echo("socks5h", |conn| {
        conn.read_exact(&mut [0; 4])?;
        conn.write([5, 2])?;
        conn.read_exact(&mut [0; 13])?;
        conn.write([1, 1])?;
        conn.drain()
    })
    .status(97)
    .one_line(&["refused user name and password"]);
}

#[test]
fn each_address_of_the_server_is_asked_for() {
    let proxy = Scripted::start(|conn| {
        conn.read_exact(&mut [0; 3])?;
        conn.write([5, 0])?;
        let mut kind = [0; 4];
        conn.read_exact(&mut kind)?;
        if kind[3] == 4 {
            conn.read_exact(&mut [0; 18])?;
            conn.write([5, 3])?;
            return conn.end();
        }
        let mut address = [0; 6];
        conn.read_exact(&mut address)?;
        assert_eq!(address, [127, 0, 0, 1, 0, 80]);
        conn.write([5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
        serve(conn)
    });
    let url = format!("socks5://127.0.0.1:{}", proxy.port());
    wspipe(["echo", "-d", "ws://localhost/", "--proxy", &url]).run().status(0).stdout_is("hello\n").says(&[
        "[::1]:80",
        "did not reach ::1: Network unreachable",
        "127.0.0.1:80",
    ]);
    assert_eq!(proxy.finish().len(), 2);
}

#[test]
fn a_busy_proxy_is_tried_again() {
    let proxy = Scripted::start(|conn| {
        conn.head()?;
        if conn.index == 0 {
            conn.write("HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n")?;
            return conn.end();
        }
        conn.write("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")?;
        conn.end()
    });
    let url = format!("http://127.0.0.1:{}", proxy.port());
    wspipe(["sub", "ws://server.invalid/", "--retry-connect", "-t", "a", "--proxy", &url, "-W", "15"])
        .run()
        .status(97)
        .says(&["HTTP 503 Busy", "HTTP 403 No"]);
    assert_eq!(proxy.finish().len(), 2, "403 is not tried again");
}

#[test]
fn a_cut_tunnel_is_made_again() {
    let proxy = Scripted::start(|conn| {
        conn.head()?;
        conn.write("HTTP/1.1 200 OK\r\n\r\n")?;
        conn.upgrade()?;
        conn.write(frame(0x81, format!("tunnel {}", conn.index).as_bytes()))?;
        if conn.index == 0 {
            return conn.end();
        }
        conn.messages_to_close().map(drop)
    });
    let url = format!("127.0.0.1:{}", proxy.port());
    wspipe([
        "cat",
        "ws://server.invalid/",
        "--no-stdin",
        "--reconnect",
        "-C",
        "2",
        "-W",
        "15",
        "--proxy",
        &url,
    ])
    .run()
    .status(0)
    .stdout_is("tunnel 0\ntunnel 1\n");
    assert_eq!(proxy.finish().len(), 2);
    // A tunnel that leads to an end.
    echo("http", |conn| {
        conn.head()?;
        conn.write("HTTP/1.1 200 OK\r\n\r\n")?;
        conn.head()?;
        conn.end()
    })
    .status(56)
    .one_line(&["connection to server.invalid port 80 lost during the upgrade"]);
}
