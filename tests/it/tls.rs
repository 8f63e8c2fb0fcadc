//! TLS: what is trusted and what is not, through nginx and at mosquitto's own TLS listeners.

use crate::support::{certs, mosquitto, nginx, scripted::Scripted, websockets, wspipe};

#[track_caller]
fn untrusted(port: u16, host: &str, cafile: Option<&std::path::Path>, texts: &[&str]) {
    let url = format!("wss://{host}:{port}/echo");
    let mut wanted = vec![host];
    wanted.extend(texts);
    let mut run = wspipe(["echo", &url, "--quiet"]);
    if let Some(ca) = cafile {
        run = run.args([std::ffi::OsStr::new("--cafile"), ca.as_os_str()]);
    }
    run.shows(nginx::shared().log()).run().status(60).stdout_is("").one_line(&wanted);
}

#[test]
fn echo_through_nginx() {
    let (front, certs) = (nginx::shared(), certs::shared());
    for host in ["127.0.0.1", "localhost"] {
        let url = format!("wss://{host}:{}/echo", front.good);
        wspipe(["echo", &url, "--cafile", &certs.ca.to_string_lossy()])
            .shows(front.log())
            .run()
            .status(0)
            .stdout_is("hello\n");
    }
}

#[test]
fn large_and_many_messages_through_nginx() {
    let url = format!("wss://localhost:{}/echo", nginx::shared().good);
    let ca = certs::shared().ca.to_string_lossy();
    let run = wspipe(["echo", &url, "--cacert", &ca, "-b", "--size", "1048576"]).run();
    run.status(0);
    assert_eq!(run.stdout.len(), 1_048_577);
    wspipe(["echo", &url, "--ca", &ca, "-c", "5", "-i", "0.01", "--size", "70000"]).run().status(0);
}

#[test]
fn mqtt_through_nginx_and_at_mosquitto_itself() {
    let (front, broker) = (nginx::shared(), mosquitto::shared());
    let ca = certs::shared().ca.to_string_lossy();
    for url in [
        format!("wss://localhost:{}", front.good),
        format!("wss://localhost:{}/mqtt", broker.wss),
        format!("mqtts://127.0.0.1:{}", broker.tls),
    ] {
        for version in ["5", "311"] {
            for qos in ["0", "1", "2"] {
                wspipe([
                    "mqtt",
                    &url,
                    "--cafile",
                    &ca,
                    "-V",
                    version,
                    "-q",
                    qos,
                    "-t",
                    &format!("tls/{version}/{qos}"),
                ])
                .shows(broker.log())
                .shows(front.log())
                .run()
                .status(0)
                .stdout_is("")
                .says(&["CONNECTED", "SUBSCRIBED", "PUBLISHED", "RECEIVED"]);
            }
        }
    }
}

#[test]
fn an_unknown_authority() {
    let front = nginx::shared();
    untrusted(front.good, "localhost", None, &["--cafile"]);
    untrusted(front.good, "localhost", Some(&certs::shared().other_ca), &[]);
    let url = format!("mqtts://localhost:{}", mosquitto::shared().tls);
    wspipe(["mqtt", &url, "--quiet"]).run().status(60).stdout_is("").one_line(&["localhost", "--cafile"]);
}

#[test]
fn cafile_stands_in_place_of_the_systems_roots() {
    // The system's roots, given as a file, do not make our authority known, and ours is no other file's.
    untrusted(nginx::shared().good, "localhost", Some(&certs::shared().self_signed.chain), &[]);
}

#[test]
fn expired_and_not_yet_valid() {
    let ca = Some(certs::shared().ca.as_path());
    untrusted(nginx::shared().expired, "localhost", ca, &["expired"]);
    untrusted(nginx::shared().future, "localhost", ca, &["not yet valid"]);
}

#[test]
fn the_wrong_host() {
    let (front, certs) = (nginx::shared(), certs::shared());
    for host in ["localhost", "127.0.0.1"] {
        untrusted(front.wrong_host, host, Some(&certs.ca), &["not for", "--servername"]);
    }
    let url = format!("wss://localhost:{}/echo", front.wrong_host);
    let ca = certs.ca.to_string_lossy();
    wspipe(["echo", &url, "--cafile", &ca, "--servername", "elsewhere.example"])
        .run()
        .status(0)
        .stdout_is("hello\n");
}

#[test]
fn self_signed() {
    let (front, certs) = (nginx::shared(), certs::shared());
    untrusted(front.self_signed, "localhost", None, &["self-signed"]);
    // A self-signed certificate is its own authority.
    let url = format!("wss://localhost:{}/echo", front.self_signed);
    let own = certs.self_signed.chain.to_string_lossy();
    wspipe(["echo", &url, "--cafile", &own]).run().status(0).stdout_is("hello\n");
}

#[test]
fn mqtt_says_the_same_of_certificates() {
    let (front, ca) = (nginx::shared(), certs::shared().ca.to_string_lossy());
    for (port, text) in [
        (front.expired, "expired"),
        (front.future, "not yet valid"),
        (front.wrong_host, "--servername"),
        (front.self_signed, "self-signed"),
    ] {
        // No second try in 3.1.1 either: one line.
        let url = format!("wss://anna:secret@localhost:{port}");
        wspipe(["mqtt", &url, "--cafile", &ca])
            .run()
            .status(60)
            .stdout_is("")
            .one_line(&["localhost", text])
            .never_says(&["secret"]);
    }
}

#[test]
fn the_intermediate_is_missing() {
    let (front, certs) = (nginx::shared(), certs::shared());
    untrusted(front.no_chain, "localhost", Some(&certs.ca), &[]);
    let url = format!("wss://localhost:{}/echo", front.full_chain);
    wspipe(["echo", &url, "--cafile", &certs.ca.to_string_lossy()]).run().status(0).stdout_is("hello\n");
}

#[test]
fn insecure_passes_everything_and_says_so() {
    let front = nginx::shared();
    for port in [front.good, front.expired, front.future, front.wrong_host, front.self_signed, front.no_chain]
    {
        let url = format!("wss://localhost:{port}/echo");
        wspipe(["echo", &url, "--insecure"]).run().status(0).stdout_is("hello\n").says(&["--insecure"]);
    }
}

#[test]
fn plain_http_on_the_tls_port() {
    let url = websockets::shared().url("/echo").replace("ws://", "wss://");
    wspipe(["echo", &url, "--quiet"]).run().status(35).stdout_is("").one_line(&["TLS", "127.0.0.1"]);
    let url = mosquitto::shared().tcp_url().replace("mqtt://", "mqtts://");
    wspipe(["mqtt", &url, "--quiet"]).run().status(35).stdout_is("").one_line(&["TLS", "127.0.0.1"]);
}

#[test]
fn ws_on_the_tls_port() {
    // nginx knows this mistake and answers in plain HTTP.
    let url = format!("ws://127.0.0.1:{}/echo", nginx::shared().good);
    wspipe(["echo", &url, "--quiet"]).run().status(22).one_line(&["400"]);
}

#[test]
fn a_handshake_that_never_ends() {
    let server = Scripted::start(|conn| conn.drain());
    let url = format!("wss://127.0.0.1:{}/", server.port());
    let args = ["echo", &url, "--quiet", "--connect-timeout", "0.5"];
    wspipe(args).run().status(28).one_line(&["TLS", "0.5 s"]);
    // One byte at a time is no progress either.
    let server = Scripted::start(|conn| {
        conn.write([0x16, 3, 3, 0x40, 0])?;
        loop {
            conn.write([0])?;
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    });
    let url = format!("wss://127.0.0.1:{}/", server.port());
    let run = wspipe(["echo", &url, "--quiet", "--connect-timeout", "0.5"]).run();
    run.stdout_is("").one_line(&["TLS"]);
    assert!(run.took.as_secs() < 3, "bounded by --connect-timeout");
}

#[test]
fn an_end_in_the_handshake() {
    let server = Scripted::start(|conn| conn.end());
    let url = format!("wss://127.0.0.1:{}/", server.port());
    wspipe(["echo", &url, "--quiet"]).run().status(35).stdout_is("").one_line(&["TLS"]);
}

#[test]
fn ca_files_that_cannot_be_used() {
    let url = format!("wss://127.0.0.1:{}/echo", nginx::shared().good);
    let certs = certs::shared();
    let dir = crate::support::temp_dir("ca");
    let (empty, text) = (dir.join("empty.pem"), dir.join("text.pem"));
    std::fs::write(&empty, "").expect("target/tmp is writable");
    std::fs::write(&text, "not a certificate\n").expect("target/tmp is writable");
    for file in [&dir.join("missing.pem"), &empty, &text, &certs.good.key] {
        let name = file.to_string_lossy();
        wspipe(["echo", &url, "--quiet", "--cafile", &name])
            .run()
            .status(77)
            .stdout_is("")
            .one_line(&[&name]);
    }
}
