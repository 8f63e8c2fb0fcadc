//! SIGINT and SIGTERM: a clean end on the wire at any stage, and a status that says so.

use std::time::Duration;

use rustix::{
    pipe::{PipeFlags, pipe_with},
    process::Signal,
};

use crate::support::{
    hex, mosquitto,
    scripted::{Conn, Scripted, frame, packets},
    watcher::Watcher,
    websockets, wspipe,
};

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
