//! SIGINT and SIGTERM: a clean end on the wire at any stage, and a status that says so.

use std::{
    io,
    net::SocketAddr,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustix::{
    pipe::{PipeFlags, pipe_with},
    process::Signal,
};

use crate::support::{
    Running, hex, mosquitto,
    scripted::{Conn, Scripted, frame, packets},
    skipped, temp_dir, unaccepting, wait_until,
    watcher::Watcher,
    websockets, wspipe,
};

/// Ended by the signal at once: no stage of connecting is waited for.
#[track_caller]
fn ends_at_once(running: Running, signal: Signal) {
    running.signal(signal);
    let asked = std::time::Instant::now();
    running.finish().signalled(signal).stdout_is("");
    assert!(asked.elapsed() < Duration::from_secs(2), "it took {:?}", asked.elapsed());
}

#[test]
fn while_connecting() {
    // Accepts, and says nothing: neither HTTP nor CONNACK.
    let server = Scripted::start(Conn::drain);
    for (command, url) in [("echo", server.ws("/")), ("mqtt", server.ws("/mqtt")), ("mqtt", server.mqtt())] {
        for signal in [Signal::INT, Signal::TERM] {
            let mut running = wspipe([command, &url, "-d"]).start();
            running.wait_stderr("127.0.0.1");
            running.signal(signal);
            running.finish().signalled(signal).within(Duration::from_secs(10));
        }
    }
}

#[test]
fn while_a_name_is_looked_up() {
    // In a network of its own, where the nameserver takes every question and answers none.
    let dir = temp_dir("nameserver");
    let resolv = dir.join("resolv.conf");
    std::fs::write(&resolv, "nameserver 127.0.0.1\n").expect("target/tmp is writable");
    let as_root: &[&str] = if rustix::process::geteuid().is_root() { &[] } else { &["--map-root-user"] };
    let inner = concat!(
        "PATH=$PATH:/usr/sbin:/sbin; ip link set lo up && mount --bind \"$1\" /etc/resolv.conf && ",
        "shift && exec \"$@\""
    );
    let possible = Command::new("unshare")
        .args(as_root)
        .args(["--net", "--mount", "sh", "-c", inner, "sh"])
        .args([resolv.as_path(), Path::new("true")])
        .output();
    match possible {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            return skipped("signals::while_a_name_is_looked_up", &String::from_utf8_lossy(&output.stderr));
        }
        Err(error) => return skipped("signals::while_a_name_is_looked_up", &format!("unshare: {error}")),
    }
    let server = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/mute_nameserver.py");
    for (command, signal) in [("echo", Signal::INT), ("mqtt", Signal::TERM)] {
        let run = wspipe([command, "ws://somewhere.example/", "-d", "--connect-timeout", "30"])
            .inside("unshare")
            .around(as_root)
            .around(["--net", "--mount", "sh", "-c", inner, "sh"])
            .around([resolv.as_path(), &websockets::python(), Path::new(server)]);
        let mut running = run.start();
        running.wait_stderr("looking up somewhere.example");
        ends_at_once(running, signal);
    }
    for (more, phase, host) in [
        (&[][..], "in phase resolve: ", "somewhere.example"),
        (&["--proxy", "proxy.example"], "in phase resolve (of the proxy): ", "proxy.example port 1080"),
        (&["--proxy", "socks5://127.0.0.1:1"], "in phase resolve: ", "somewhere.example"),
        (
            &["--proxy", "socks5h://proxy.example:1"],
            "in phase resolve (of the proxy): ",
            "proxy.example port 1",
        ),
    ] {
        let run = wspipe(["echo", "ws://somewhere.example/", "--quiet", "--connect-timeout", "0.5"])
            .args(more)
            .inside("unshare")
            .around(as_root)
            .around(["--net", "--mount", "sh", "-c", inner, "sh"])
            .around([resolv.as_path(), &websockets::python(), Path::new(server)])
            .run();
        run.status(28).one_line(&[phase, host, "0.5 s"]).within(Duration::from_secs(5));
    }
}

#[test]
fn while_tcp_connects() {
    let (port, _listener, _queued) = unaccepting();
    for (command, scheme) in [("echo", "ws"), ("mqtt", "ws"), ("mqtt", "mqtt")] {
        for signal in [Signal::INT, Signal::TERM] {
            let mut running = wspipe([command, &format!("{scheme}://127.0.0.1:{port}"), "-d"]).start();
            running.wait_stderr(&format!("connecting to {}", SocketAddr::from(([127, 0, 0, 1], port))));
            ends_at_once(running, signal);
        }
    }
}

/// Signals a run once the server has read as much as `reads` does, and is mute from then on.
#[track_caller]
fn stopped_after(
    reads: impl Fn(&mut Conn) -> io::Result<()> + Send + Sync + 'static,
    command: &str,
    url: impl Fn(&Scripted) -> String,
    args: &[&str],
) -> Vec<u8> {
    let mut last = Vec::new();
    let reads = Arc::new(reads);
    for signal in [Signal::INT, Signal::TERM] {
        let reached = Arc::new(AtomicBool::new(false));
        let (reads, there) = (Arc::clone(&reads), Arc::clone(&reached));
        let server = Scripted::start(move |conn| {
            reads(conn)?;
            there.store(true, Ordering::SeqCst);
            conn.drain()
        });
        let running = wspipe([command, &url(&server), "--close-timeout", "0.2"]).args(args).start();
        assert!(wait_until(|| reached.load(Ordering::SeqCst)), "{}", running.stderr_so_far());
        ends_at_once(running, signal);
        last = server.finish().remove(0);
    }
    last
}

#[test]
#[cfg(feature = "tls")]
fn in_the_tls_handshake() {
    for (command, scheme) in [("echo", "wss"), ("mqtt", "wss"), ("mqtt", "mqtts")] {
        let hello = |conn: &mut Conn| conn.read_exact(&mut [0; 11]);
        stopped_after(hello, command, |server| format!("{scheme}://127.0.0.1:{}", server.port()), &[]);
    }
}

#[test]
fn while_the_upgrade_is_awaited() {
    for command in ["echo", "mqtt"] {
        let head = |conn: &mut Conn| conn.head().map(drop);
        let seen = stopped_after(head, command, |server| server.ws("/"), &[]);
        assert!(seen.ends_with(b"\r\n\r\n"), "nothing after the request");
    }
}

#[test]
fn before_connack_no_will_may_fire() {
    // The server may have accepted CONNECT already: without DISCONNECT it would publish the will.
    for version in ["5", "311"] {
        let args = ["-V", version, "--will-topic", "gone"];
        let seen = stopped_after(|conn| conn.packet().map(drop), "mqtt", Scripted::mqtt, &args);
        let seen = packets(&seen);
        assert_eq!((seen.len(), seen[seen.len() - 1].as_slice()), (2, &[0xe0, 0][..]), "{seen:02x?}");
    }
    let reached = Arc::new(AtomicBool::new(false));
    let there = Arc::clone(&reached);
    let server = Scripted::start(move |conn| {
        conn.upgrade()?;
        conn.frame()?;
        there.store(true, Ordering::SeqCst);
        assert_eq!(conn.frame()?, (0x82, hex("e000")), "DISCONNECT");
        assert_eq!(conn.frame()?, (0x88, hex("03e8")), "Close 1000");
        conn.write(frame(0x88, &hex("03e8")))?;
        conn.end()
    });
    let running = wspipe(["mqtt", &server.ws("/mqtt")]).start();
    assert!(wait_until(|| reached.load(Ordering::SeqCst)), "{}", running.stderr_so_far());
    ends_at_once(running, Signal::INT);
    server.finish();
}

#[test]
fn in_a_counted_echo() {
    for signal in [Signal::INT, Signal::TERM] {
        let server = Scripted::start(|conn| {
            conn.upgrade()?;
            loop {
                let (first, payload) = conn.frame()?;
                if first == 0x88 {
                    assert_eq!(payload[..2], hex("03e8"), "Close 1000");
                    conn.write(frame(0x88, &payload))?;
                    return conn.end();
                }
                conn.write(frame(first, &payload))?;
            }
        });
        let mut running = wspipe(["echo", &server.ws("/"), "-c", "1000000", "-i", "0.02"]).start();
        running.wait_stdout_lines(3);
        running.signal(signal);
        let run = running.finish();
        run.signalled(signal);
        let stdout = String::from_utf8_lossy(&run.stdout);
        if !stdout.contains("sent") {
            run.fail("no summary of what was done");
        }
        let seen = server.finish();
        assert_eq!(seen.len(), 1);
    }
}

#[test]
fn while_a_reply_is_awaited() {
    let url = websockets::shared().url("/mute");
    let mut running = wspipe(["echo", &url, "-d", "-W", "60"]).start();
    running.wait_stderr("CONNECTED");
    running.signal(Signal::INT);
    running.finish().signalled(Signal::INT).within(Duration::from_secs(10));
}

#[test]
fn mqtt_says_disconnect() {
    let broker = mosquitto::shared();
    for (signal, url, id) in
        [(Signal::INT, broker.ws_url(), "signal-int"), (Signal::TERM, broker.tcp_url(), "signal-term")]
    {
        let topic = format!("test/{id}");
        let will = format!("test/{id}/will");
        let mut watcher = Watcher::subscribe(broker.tcp, &will);
        let mut running =
            wspipe(["mqtt", &url, "-i", id, "-t", &topic, "--count", "100000", "--interval", "0.02"])
                .args(["--will-topic", &will, "--will-payload", "gone"])
                .shows(broker.log())
                .start();
        running.wait_stderr("RECEIVED");
        running.signal(signal);
        running.finish().signalled(signal);
        // mosquitto says `closed its connection` of those who leave without DISCONNECT.
        broker.logged(&[&format!("Client {id} disconnected.")]);
        assert_eq!(watcher.all_so_far(), [], "the will must not fire");
    }
}

#[test]
fn mqtt_disconnect_and_close_on_the_wire() {
    let server = Scripted::start(|conn| {
        conn.upgrade()?;
        let mut received = Vec::new();
        // CONNACK, and then silence.
        conn.frame()?;
        conn.write(frame(0x82, &hex("20 03 00 00 00")))?;
        loop {
            let (first, payload) = conn.frame()?;
            if first == 0x88 {
                assert_eq!(payload[..2], hex("03e8"), "Close 1000");
                break;
            }
            received.extend(payload);
        }
        let last = packets(&received).pop().unwrap_or_default();
        assert_eq!(last[0], 0xe0, "DISCONNECT is the last packet");
        assert!(last.len() == 2 || last[2] == 0, "of reason 0x00: {last:02x?}");
        conn.write(frame(0x88, &hex("03e8")))?;
        conn.end()
    });
    let mut running = wspipe(["mqtt", &server.ws("/mqtt"), "-V", "5"]).start();
    running.wait_stderr("CONNECTED");
    running.signal(Signal::INT);
    running.finish().signalled(Signal::INT);
    server.finish();
}

#[test]
fn a_second_signal_does_not_wait() {
    // The server reads Close and never answers: the second Ctrl-C ends the wait.
    let server = Scripted::start(|conn| {
        conn.upgrade()?;
        conn.drain()
    });
    let mut running = wspipe(["echo", &server.ws("/"), "-d", "--close-timeout", "60", "-W", "60"]).start();
    running.wait_stderr("CONNECTED");
    running.signal(Signal::INT);
    std::thread::sleep(Duration::from_millis(100));
    running.signal(Signal::INT);
    running.finish().signalled(Signal::INT).within(Duration::from_secs(10));
}

#[test]
fn a_stalled_stdout_does_not_delay_the_end() {
    // The reader has stopped (`| less`), the server has not: its Close comes, and nothing else is waited for.
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    let server = Scripted::start(|conn| {
        conn.upgrade()?;
        loop {
            let (first, payload) = conn.frame()?;
            conn.write(frame(first, &payload))?;
            if first == 0x88 {
                return conn.end();
            }
        }
    });
    // The path is in every line.
    let url = server.ws(&format!("/{}", "x".repeat(2000)));
    let running = wspipe(["echo", &url, "-c", "1000000", "-i", "0"]).stdout(writer).start();
    // Until nothing more moves: the pipe is full, and so is what wspipe keeps itself.
    std::thread::sleep(Duration::from_secs(2));
    running.signal(Signal::INT);
    running.finish().signalled(Signal::INT).within(Duration::from_secs(5));
    drop(reader);
}

#[test]
fn a_will_fires_on_sigkill() {
    let broker = mosquitto::shared();
    for (version, url) in [("5", broker.ws_url()), ("311", broker.tcp_url())] {
        let id = format!("killed-{version}");
        let will = format!("test/{id}/will");
        let mut watcher = Watcher::subscribe(broker.tcp, &will);
        let mut running = wspipe(["mqtt", &url, "-V", version, "-i", &id, "-t", &format!("test/{id}")])
            .args(["--will-topic", &will, "--will-payload", "gone", "--count", "1000", "--interval", "0.05"])
            .start();
        running.wait_stderr("RECEIVED");
        running.signal(Signal::KILL);
        running.finish().signalled(Signal::KILL);
        let seen = watcher.next();
        assert_eq!((seen.topic, seen.payload, seen.retain), (will, b"gone".to_vec(), false));
    }
}
