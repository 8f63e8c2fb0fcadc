//! The upgrade request as the options make it, and what a refusal says: status, body, Retry-After.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::Command,
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime},
};

use crate::support::{
    Wspipe,
    scripted::{Conn, Scripted, accept_head, frame, header},
    temp_dir, wspipe,
};

/// Echoes one message.
pub fn echoing(conn: &mut Conn) -> io::Result<()> {
    conn.upgrade()?;
    let (_, payload) = conn.frame()?;
    conn.write(frame(0x81, &payload))?;
    conn.close(1000, "")
}

/// The first request that the server got.
pub fn request(server: Scripted) -> String {
    let seen = server.finish().into_iter().next().expect("one connection");
    let text = String::from_utf8_lossy(&seen).into_owned();
    text.split_inclusive("\r\n\r\n").next().unwrap_or_default().to_owned()
}

/// A file of this mode.
pub fn secret_file(content: &[u8], mode: u32) -> PathBuf {
    let path = temp_dir("secret").join("file");
    fs::write(&path, content).expect("target/tmp is writable");
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("our own file");
    path
}

#[test]
fn headers_go_out_as_given() {
    let server = Scripted::start(echoing);
    let token = secret_file(b"abc.def\n", 0o600);
    wspipe(["echo", &server.ws("/p?q"), "--quiet"])
        .args([
            "-H",
            "Host: virtual.example",
            "-H",
            "User-Agent: me/1",
            "-H",
            "X-Twice: 1",
            "-H",
            "X-Twice: 2",
        ])
        .args(["-H", "X-Empty;", "-H", "X-None:", "--origin", "https://a.example", "--cookie", "a=b"])
        .args(["--cookie", "c=d", "--bearer-file", &token.to_string_lossy()])
        .run()
        .status(0)
        .says_nothing();
    let head = request(server);
    assert!(head.starts_with("GET /p?q HTTP/1.1\r\n"), "{head}");
    for (name, value) in [
        ("Host", "virtual.example"),
        ("User-Agent", "me/1"),
        ("X-Twice", "1"),
        ("X-Empty", ""),
        ("Origin", "https://a.example"),
        ("Cookie", "a=b; c=d"),
        ("Authorization", "Bearer abc.def"),
    ] {
        assert_eq!(header(&head, name), Some(value), "{head}");
    }
    assert_eq!(head.to_ascii_lowercase().matches("\r\nhost:").count(), 1, "{head}");
    assert_eq!(head.to_ascii_lowercase().matches("\r\nx-twice:").count(), 2, "{head}");
    assert_eq!(header(&head, "X-None"), None);
}

#[test]
fn a_header_can_be_left_out() {
    let server = Scripted::start(echoing);
    wspipe(["echo", &server.ws("/").replace("//", "//u:p@"), "-H", "User-Agent:", "-H", "Authorization:"])
        .run()
        .status(0);
    let head = request(server);
    assert_eq!((header(&head, "User-Agent"), header(&head, "Authorization")), (None, None), "{head}");
}

#[test]
fn basic_for_every_command() {
    // Refused at once: what was asked is all that matters.
    for (command, rest) in [
        ("echo", &[][..]),
        ("cat", &[]),
        ("mqtt", &[]),
        ("pub", &["-t", "t", "-m", "x"]),
        ("sub", &["-t", "t"]),
        ("rr", &["-t", "t", "-m", "x"]),
    ] {
        let server = Scripted::start(|conn| {
            conn.head()?;
            conn.write("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")?;
            conn.end()
        });
        let run =
            wspipe([command, &server.ws("/"), "--quiet", "--auth", "Aladdin:open sesame"]).args(rest).run();
        run.status(22).one_line(&["401", "--auth"]);
        let head = request(server);
        // RFC 7617 section 2.
        assert_eq!(header(&head, "Authorization"), Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), "{head}");
    }
}

#[test]
fn the_subprotocol_that_was_chosen() {
    let server = Scripted::start(|conn| {
        let head = conn.head()?;
        let offered = header(&head, "Sec-WebSocket-Protocol").unwrap_or_default().to_owned();
        conn.write(accept_head(&head).replace(&offered, "b.v2"))?;
        let (_, payload) = conn.frame()?;
        conn.write(frame(0x81, &payload))?;
        conn.close(1000, "")
    });
    let run = wspipe(["echo", &server.ws("/"), "-d", "--subprotocol", "a", "--subprotocol", "b.v2"]).run();
    run.status(0).says(&["subprotocol b.v2"]);
    assert_eq!(header(&request(server), "Sec-WebSocket-Protocol"), Some("a, b.v2"));
}

fn refusing(body: &'static str) -> Scripted {
    Scripted::start(move |conn| {
        conn.head()?;
        let head = format!("HTTP/1.1 500 Oops\r\nContent-Length: {}\r\n\r\n", body.len());
        conn.write(head + body)?;
        conn.end()
    })
}

#[test]
fn a_refusal_shows_its_first_line_and_with_d_its_body() {
    const BODY: &str = "\n<html>\x1b[31m\r\n  second \x07 line\n\nlast\n";
    let server = refusing(BODY);
    let run = wspipe(["echo", &server.ws("/")]).run();
    run.status(22).says(&[r"HTTP 500 Oops: <html>\x1b[31m"]).never_says(&["second"]);
    let run = wspipe(["echo", &server.ws("/"), "-d"]).run();
    run.status(22).says(&[r"debug: | <html>\x1b[31m", r"debug: |   second \x07 line", "debug: | last"]);
    server.finish();
}

#[test]
fn four_kib_of_the_body_and_no_more() {
    let body: &'static str = Box::leak(format!("{}x\nBEHIND", "0123456\n".repeat(512)).into_boxed_str());
    let server = refusing(body);
    let run = wspipe(["echo", &server.ws("/"), "-d"]).run();
    run.status(22).never_says(&["BEHIND", "| x"]).below_mib(24);
    assert_eq!(run.stderr.matches("| 0123456\n").count(), 512, "{}", run.stderr);
    server.finish();
}

/// An HTTP date in so many seconds.
fn date(ahead: u64) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
    let at = format!("@{}", now + ahead);
    let output = Command::new("date")
        .args(["-u", "-d", &at, "+%a, %d %b %Y %H:%M:%S GMT"])
        .env("LC_ALL", "C")
        .output()
        .expect("there is date");
    String::from_utf8(output.stdout).expect("ASCII").trim().to_owned()
}

/// A good connection that ends, a refusal with this Retry-After, a good one: how long between the last two.
fn pause(command: impl Fn(&Scripted) -> Wspipe, retry_after: String) -> Duration {
    let at = Arc::new(Mutex::new(Vec::new()));
    let times = Arc::clone(&at);
    let server = Scripted::start(move |conn| {
        if conn.index != 1 {
            let head = conn.head()?;
            times.lock().expect("no panic").push(Instant::now());
            conn.write(accept_head(&head))?;
            if conn.index == 0 {
                return conn.end();
            }
            conn.write(frame(0x81, b"here"))?;
            return conn.drain();
        }
        conn.head()?;
        times.lock().expect("no panic").push(Instant::now());
        conn.write(format!("HTTP/1.1 503 Busy\r\nRetry-After: {retry_after}\r\nContent-Length: 0\r\n\r\n"))?;
        conn.end()
    });
    command(&server).run().status(0).says(&["(Retry-After)"]);
    server.finish();
    let at = at.lock().expect("no panic");
    at[2] - at[1]
}

#[test]
fn retry_after_is_obeyed() {
    let cat = |server: &Scripted| wspipe(["cat", &server.ws("/"), "--reconnect", "--no-stdin", "-C1"]);
    let seconds = pause(cat, "2".to_owned());
    assert!(seconds >= Duration::from_secs(2), "{seconds:?}");
    // The wall clock stands somewhere within its second.
    let date = pause(cat, date(3));
    assert!(date >= Duration::from_millis(1500) && date < Duration::from_secs(10), "{date:?}");
}

#[test]
fn retry_after_is_obeyed_by_the_mqtt_commands() {
    for (command, rest) in [("sub", &["-t", "t"][..]), ("pub", &["-t", "t", "-m", "x"])] {
        let at = Arc::new(Mutex::new(Vec::new()));
        let times = Arc::clone(&at);
        let server = Scripted::start(move |conn| {
            conn.head()?;
            times.lock().expect("no panic").push(Instant::now());
            conn.write("HTTP/1.1 429 Slow down\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n")?;
            conn.end()
        });
        let run =
            wspipe([command, &server.ws("/"), "--retry-connect", "--max-retries", "1"]).args(rest).run();
        run.status(22).says(&["429", "connecting again in 1.0 s (Retry-After)"]);
        server.finish();
        let at = at.lock().expect("no panic");
        assert!(at.len() == 2 && at[1] - at[0] >= Duration::from_secs(1), "{command}: {at:?}");
    }
}

#[test]
fn an_upgrade_that_is_refused_for_good_is_not_tried_again() {
    for status in ["401 Unauthorized", "404 Not Found"] {
        let server = Scripted::start(move |conn| {
            assert!(conn.index < 2, "no third attempt");
            let head = conn.head()?;
            if conn.index == 0 {
                conn.write(accept_head(&head))?;
                return conn.end();
            }
            conn.write(format!("HTTP/1.1 {status}\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n"))?;
            conn.end()
        });
        wspipe(["cat", &server.ws("/"), "--reconnect", "--no-stdin"]).run().status(22);
        server.finish();
    }
}
