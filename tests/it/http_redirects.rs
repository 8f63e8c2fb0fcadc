//! Redirects: followed with --location only, within their number and the deadline, and without the logins.

use std::{io, thread, time::Duration};

use crate::{
    http::{echoing, request},
    support::{
        mosquitto,
        scripted::{Conn, Scripted, header},
        wspipe,
    },
};

fn redirect(conn: &mut Conn, status: u16, location: &str) -> io::Result<()> {
    conn.head()?;
    // A body that never comes is not waited for.
    conn.write(format!(
        "HTTP/1.1 {status} Elsewhere\r\nLocation: {location}\r\nContent-Length: 9999\r\n\r\n"
    ))?;
    conn.drain()
}

/// To that place, for all who come.
fn redirecting(status: u16, location: String) -> Scripted {
    Scripted::start(move |conn| redirect(conn, status, &location))
}

#[test]
fn only_when_asked_for() {
    let server = redirecting(301, "ws://elsewhere.invalid/".to_owned());
    wspipe(["echo", &server.ws("/"), "--quiet", "--connect-timeout", "3"]).run().status(22).one_line(&[
        "301",
        "ws://elsewhere.invalid/",
        "--location follows redirects",
    ]);
    server.finish();
}

#[test]
fn each_status_and_each_command() {
    let target = Scripted::start(echoing);
    for status in [301, 302, 303, 307, 308] {
        let server = redirecting(status, format!("http://127.0.0.1:{}/there?x", target.port()));
        let option = if status == 301 { "-L" } else { "--location" };
        wspipe(["echo", &server.ws("/here"), option]).run().status(0).stdout_is("hello\n");
        assert!(request(server).starts_with("GET /here "));
    }
    for seen in target.finish() {
        assert!(seen.starts_with(b"GET /there?x HTTP/1.1\r\n"));
    }
    let broker = mosquitto::shared();
    let server = redirecting(302, format!("//127.0.0.1:{}/mqtt", broker.ws));
    for (command, rest) in [("mqtt", &[][..]), ("pub", &["-t", "t", "-m", "x", "-q", "1"])] {
        wspipe([command, &server.ws("/"), "--location"]).args(rest).run().status(0);
    }
    server.finish();
    for status in [300, 304, 305] {
        let server = redirecting(status, "/".to_owned());
        wspipe(["echo", &server.ws("/"), "-L", "--quiet", "--connect-timeout", "2"]).run().status(22);
        server.finish();
    }
}

#[test]
fn relative_to_where_one_is() {
    let server = Scripted::start(|conn| match conn.index {
        0 => redirect(conn, 302, "d?e=1"),
        1 => redirect(conn, 302, "../x/./y"),
        2 => redirect(conn, 302, "/root#fragment"),
        _ => echoing(conn),
    });
    wspipe(["echo", &server.ws("/a/b/c"), "-L", "-d"])
        .run()
        .status(0)
        .says(&["redirected to ws://127.0.0.1"]);
    let lines: Vec<String> = server
        .finish()
        .iter()
        .map(|seen| String::from_utf8_lossy(seen).lines().next().unwrap_or_default().to_owned())
        .collect();
    let expected = ["/a/b/c", "/a/b/d?e=1", "/a/x/y", "/root"];
    assert_eq!(lines, expected.map(|target| format!("GET {target} HTTP/1.1")));
}

#[test]
fn logins_stay_where_they_belong() {
    let target = Scripted::start(echoing);
    let port = target.port();
    let server = Scripted::start(move |conn| match conn.index {
        // The same server still gets them.
        0 => redirect(conn, 307, "/again"),
        _ => redirect(conn, 307, &format!("ws://attacker:pw@127.0.0.1:{port}/")),
    });
    let url = server.ws("/").replace("//", "//user:secret@");
    let run = wspipe([
        "echo",
        &url,
        "-L",
        "--cookie",
        "session=secret",
        "-H",
        "Host: v.example",
        "-H",
        "X-A: kept",
    ])
    .run();
    run.status(0).says(&["logins and cookies are not sent there"]).never_says(&["secret", "pw@"]);
    for seen in server.finish() {
        let head = String::from_utf8_lossy(&seen).into_owned();
        assert_eq!(header(&head, "Authorization"), Some("Basic dXNlcjpzZWNyZXQ="), "{head}");
        assert_eq!(header(&head, "Cookie"), Some("session=secret"), "{head}");
        assert_eq!(header(&head, "Host"), Some("v.example"), "{head}");
    }
    let head = request(target);
    assert_eq!(header(&head, "Authorization"), None, "{head}");
    assert_eq!(header(&head, "Cookie"), None, "{head}");
    assert_eq!(header(&head, "Host"), Some(&*format!("127.0.0.1:{port}")), "{head}");
    assert_eq!(header(&head, "X-A"), Some("kept"), "{head}");
}

#[test]
fn a_broker_s_login_goes_to_no_other_server() {
    let target = Scripted::start(|_| panic!("nobody may come here"));
    let server = redirecting(302, format!("ws://127.0.0.1:{}/", target.port()));
    for login in [&["-u", "u", "-P", "secret"][..], &["-u", "u"]] {
        wspipe(["mqtt", &server.ws("/"), "--location", "--quiet"]).args(login).run().status(22).one_line(&[
            "302",
            &format!("ws://127.0.0.1:{}/", target.port()),
            "login",
        ]);
    }
    server.finish();
    target.finish();
}

#[test]
fn too_many_and_in_a_circle() {
    let server = redirecting(302, "/again".to_owned());
    for (args, most) in [(&[][..], 10), (&["--max-redirects", "3"][..], 3), (&["--max-redirs=0"], 0)] {
        wspipe(["echo", &server.ws("/"), "-L", "--quiet"]).args(args).run().status(47).one_line(&[
            &format!("after {most} redirects there is one more"),
            "/again",
            "--max-redirects",
        ]);
    }
    assert_eq!(server.finish().len(), 11 + 4 + 1);
}

#[test]
fn without_a_usable_location() {
    for (answer, text) in [
        ("302 Found\r\n", "it has no Location"),
        ("302 Found\r\nLocation:\r\n", "it has no Location"),
        ("302 Found\r\nLocation: ftp://h/\r\n", "scheme 'ftp'"),
        ("302 Found\r\nLocation: http://h:x/\r\n", "port 'x'"),
        ("302 Found\r\nLocation: http://u:secret@\r\n", "no host"),
        ("302 Found\r\nLocation: /%\r\n", "'%' at position"),
        ("302 Found\r\nLocation: http://\u{1b}[31m/\r\n", ""),
    ] {
        let server = Scripted::start(move |conn| {
            conn.head()?;
            conn.write(format!("HTTP/1.1 {answer}Content-Length: 0\r\n\r\n"))?;
            conn.drain()
        });
        let run = wspipe(["echo", &server.ws("/"), "-L", "--quiet"]).run();
        run.status(8).one_line(&[text]).never_says(&["secret", "\u{1b}"]);
        server.finish();
    }
}

#[test]
fn all_under_one_deadline() {
    let server = Scripted::start(|conn| {
        thread::sleep(Duration::from_millis(200));
        redirect(conn, 302, "/again")
    });
    let run = wspipe(["echo", &server.ws("/"), "-L", "--quiet", "--max-redirects", "1000"])
        .args(["--connect-timeout", "0.7"])
        .run();
    run.status(28).one_line(&["upgrade", "0.7 s"]).within(Duration::from_secs(5));
    server.finish();
}

#[test]
#[cfg(feature = "tls")]
fn up_to_tls_and_never_down() {
    use crate::support::{certs, nginx};

    let front = nginx::shared();
    let ca = certs::shared().ca.to_string_lossy();
    let server = redirecting(301, format!("https://localhost:{}/echo", front.good));
    wspipe(["echo", &server.ws("/"), "-L", "--cafile", &ca]).shows(front.log()).run().status(0);
    server.finish();
    // The name in the certificate is the new URL's.
    let server = redirecting(301, format!("https://localhost:{}/echo", front.wrong_host));
    wspipe(["echo", &server.ws("/"), "-L", "--quiet", "--cafile", &ca])
        .run()
        .status(60)
        .one_line(&["localhost"]);
    server.finish();
    let url = format!("wss://localhost:{}/down", front.good);
    wspipe(["echo", &url, "-L", "--quiet", "--cafile", &ca])
        .shows(front.log())
        .run()
        .status(22)
        .one_line(&["302", "from wss:// to ws://localhost"]);
}
