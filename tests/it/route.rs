//! The way to the server: families, addresses given by hand, another host, Unix sockets, the local address.

use std::{
    fs, io,
    net::{Ipv6Addr, TcpListener, TcpStream},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    thread,
};

use crate::support::{
    mosquitto,
    scripted::{Conn, Scripted, header},
    temp_dir, unaccepting, wait_until, websockets, wspipe,
};

fn upgraded(conn: &mut Conn) -> io::Result<()> {
    conn.upgrade()?;
    let (_, payload) = conn.frame()?;
    conn.write(crate::support::scripted::frame(0x81, &payload))?;
    conn.close(1000, "")
}

/// A Unix socket whose connections lead to the TCP port. It lasts as long as the test process.
fn bridge(to: u16) -> PathBuf {
    let path = temp_dir("bridge").join("socket");
    let listener = UnixListener::bind(&path).expect("target/tmp has a path short enough");
    thread::spawn(move || {
        for inside in listener.incoming().flatten() {
            let outside = TcpStream::connect(("127.0.0.1", to)).expect("the server listens");
            let (a, b) = (inside.try_clone().unwrap(), outside.try_clone().unwrap());
            thread::spawn(move || copy(a, b));
            thread::spawn(move || copy_back(outside, inside));
        }
    });
    path
}

fn copy(mut from: UnixStream, mut to: TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(std::net::Shutdown::Write);
}

fn copy_back(mut from: TcpStream, mut to: UnixStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(std::net::Shutdown::Write);
}

#[test]
fn an_address_by_hand() {
    let server = websockets::shared();
    let port = server.port;
    let url = format!("ws://no.such.host.invalid:{port}/");
    for resolve in [
        format!("no.such.host.invalid:{port}:127.0.0.1"),
        format!("*:{port}:127.0.0.1"),
        // The first refuses: nobody listens there.
        format!("NO.such.host.invalid.:{port}:127.0.0.77,127.0.0.1"),
    ] {
        wspipe(["echo", &url, "--resolve", &resolve]).run().status(0).stdout_is("hello\n");
    }
    // Another port is another rule.
    let other = format!("no.such.host.invalid:{}:127.0.0.1", port ^ 1);
    wspipe(["echo", &url, "--quiet", "--resolve", &other])
        .run()
        .status(6)
        .one_line(&["no.such.host.invalid"]);
    let broker = mosquitto::shared();
    wspipe(["mqtt", &format!("mqtt://b.invalid:{}", broker.tcp)])
        .args(["--resolve", &format!("b.invalid:{}:127.0.0.1", broker.tcp)])
        .run()
        .status(0);
}

#[test]
fn another_host_and_port_in_its_place() {
    let server = Scripted::start(upgraded);
    let to = format!("a.invalid:8080:localhost:{}", server.port());
    wspipe(["echo", "ws://a.invalid:8080/", "--connect-to", &to]).run().status(0).stdout_is("hello\n");
    // With the lookup's result too.
    wspipe(["echo", "ws://a.invalid/", "--connect-to", &format!("::b.invalid:{}", server.port())])
        .args(["--resolve", &format!("b.invalid:{}:127.0.0.1", server.port())])
        .run()
        .status(0);
    let heads: Vec<String> =
        server.finish().iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect();
    assert_eq!(header(&heads[0], "Host"), Some("a.invalid:8080"));
    assert_eq!(header(&heads[1], "Host"), Some("a.invalid"));
    wspipe(["echo", "ws://a.invalid/", "--quiet", "--connect-to", "a.invalid:80:b.invalid:"])
        .run()
        .status(6)
        .one_line(&["b.invalid"]);
}

#[test]
fn one_family() {
    let port = websockets::shared().port;
    let url = format!("ws://localhost:{port}/");
    let run = wspipe(["echo", &url, "-4", "-d"]).run();
    run.status(0).says(&[&format!("connecting to 127.0.0.1:{port}")]).never_says(&["connecting to [::1]"]);
    wspipe(["echo", &url, "-6", "--quiet"]).run().status(7).one_line(&["[::1]:"]);
    wspipe(["echo", &format!("ws://127.0.0.1:{port}/"), "-6", "--quiet"])
        .run()
        .status(6)
        .one_line(&["127.0.0.1", "no IPv6 address, as -6 asks for"]);
    let Ok(listener) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) else {
        return crate::support::skipped("route::one_family", "no IPv6 on loopback");
    };
    let six = listener.local_addr().expect("a bound socket has an address").port();
    let run =
        wspipe(["echo", &format!("ws://localhost:{six}/"), "-6", "-d", "--connect-timeout", "0.3"]).run();
    run.status(28).says(&[&format!("connecting to [::1]:{six}"), "upgrade"]);
}

#[test]
fn the_next_address_after_silence() {
    // RFC 8305 section 5: the first is silent, so the second gets its turn after 250 ms, not after a timeout.
    let (mute, _listener, _queued) = unaccepting();
    let good = TcpListener::bind(("127.0.0.2", mute)).expect("another address, the same port");
    let server = thread::spawn(move || good.accept().expect("it connects").1);
    let run = wspipe(["echo", &format!("ws://h.invalid:{mute}/"), "-d", "--connect-timeout", "3"])
        .args(["--resolve", &format!("h.invalid:{mute}:127.0.0.1,127.0.0.2")])
        .run();
    run.status(56).says(&[&format!("connecting to 127.0.0.2:{mute}")]);
    server.join().expect("accepted");
}

#[test]
fn from_a_local_address() {
    let server = Scripted::start(upgraded);
    for option in ["--bind", "--bind=127.0.0.3"] {
        let args: &[&str] = if option == "--bind" { &["--bind", "127.0.0.2"] } else { &[option] };
        wspipe(["echo", &server.ws("/")]).args(args).run().status(0);
    }
    server.finish();
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let url = format!("ws://{}/", listener.local_addr().expect("an address"));
    let running = wspipe(["echo", &url, "--bind", "127.0.0.2", "--connect-timeout", "0.3"]).start();
    let (_held, from) = listener.accept().expect("it connects");
    assert_eq!(from.ip().to_string(), "127.0.0.2");
    running.finish().status(28);
    wspipe(["echo", &url, "--quiet", "--bind", "192.0.2.1"])
        .run()
        .status(7)
        .one_line(&["127.0.0.1", "--bind 192.0.2.1: Cannot assign requested address"]);
    wspipe(["echo", &url, "--quiet", "--bind", "::1"])
        .run()
        .status(6)
        .one_line(&["no IPv6 address, as --bind ::1 asks for"]);
    let broker = mosquitto::shared();
    wspipe(["pub", &broker.tcp_url(), "-t", "t", "-m", "x", "-A", "127.0.0.4", "-i", "bound-here"])
        .run()
        .status(0);
    broker.logged(&["127.0.0.4", "bound-here"]);
}

#[test]
fn a_unix_socket() {
    let server = Scripted::start(upgraded);
    let path = bridge(server.port());
    let path = path.to_string_lossy();
    let run = wspipe(["echo", "ws://example.org/a?b", "-d", "--unix-socket", &path]).run();
    let named = format!("unix:{path}");
    run.status(0).stdout_is("hello\n").says(&[&named]).never_says(&["looking up"]);
    let head = String::from_utf8_lossy(&server.finish()[0]).into_owned();
    assert!(head.starts_with("GET /a?b HTTP/1.1\r\n"), "{head}");
    assert_eq!(header(&head, "Host"), Some("example.org"));
}

#[test]
fn a_broker_at_a_unix_socket() {
    let path = temp_dir("mosquitto-unix").join("socket");
    let settings = format!("listener 0 {}\nallow_anonymous true\n", path.display());
    let broker = mosquitto::start_with(&settings);
    assert!(wait_until(|| path.exists()));
    wspipe(["mqtt", "mqtt://broker.invalid", "-q", "2", "--unix-socket", &path.to_string_lossy()])
        .shows(broker.log())
        .run()
        .status(0);
}

#[test]
#[cfg(feature = "tls")]
fn tls_at_a_unix_socket() {
    use crate::support::{certs, nginx};

    let front = nginx::shared();
    let ca = certs::shared().ca.to_string_lossy();
    let run = |url: &str, path: &Path| {
        wspipe(["echo", url, "--quiet", "--cafile", &ca, "--unix-socket", &path.to_string_lossy()])
            .shows(front.log())
            .run()
    };
    run("wss://localhost/echo", &front.unix_tls).status(0).stdout_is("hello\n");
    run("ws://localhost/echo", &front.unix_plain).status(0).stdout_is("hello\n");
    // The name in the certificate is the URL's.
    run("wss://other.example/", &front.unix_tls).status(60).one_line(&["other.example"]);
    run("wss://localhost/", &front.unix_plain).status(35).one_line(&["not TLS"]);
}

#[test]
fn unix_sockets_that_take_nobody() {
    let dir = temp_dir("no-socket");
    let quiet = |path: &Path| {
        wspipe([
            "echo",
            "ws://h/",
            "--quiet",
            "--connect-timeout",
            "0.3",
            "--unix-socket",
            &path.to_string_lossy(),
        ])
        .run()
    };
    quiet(&dir.join("none")).status(7).one_line(&["unix:", "none", "No such file or directory"]);
    fs::write(dir.join("file"), "").expect("target/tmp is writable");
    quiet(&dir.join("file")).status(7).one_line(&["Connection refused"]);
    // A queue that is full: bounded by --connect-timeout.
    let listener = UnixListener::bind(dir.join("full")).expect("a path short enough");
    rustix::net::listen(&listener, 0).expect("a queue may be shortened");
    let _first = UnixStream::connect(dir.join("full")).expect("there is room for one");
    quiet(&dir.join("full")).status(28).one_line(&["connect", "0.3 s"]);
}
