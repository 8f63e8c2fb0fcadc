//! The other options of TLS, against real servers: versions, protocols, pins, who is trusted, and what a certificate
//! says of itself when it is not.

use std::{fs, path::Path, process::Command};

use crate::support::{
    Wspipe, certs, mosquitto, nginx, scripted::Scripted, temp_dir, tls_servers, tls_servers::s_server, wspipe,
};

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn echo(url: &str) -> Wspipe {
    wspipe(["echo", url, "--cafile", &text(&certs::shared().ca)])
}

fn openssl(args: &[&str], dir: &Path) -> Vec<u8> {
    let output = Command::new("openssl").args(args).current_dir(dir).output().expect("openssl is there");
    assert!(output.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// What `--pin` says of the key in a certificate, as the openssl command has it.
fn pin(certificate: &Path) -> String {
    let dir = temp_dir("pin");
    let key = openssl(&["x509", "-in", &text(certificate), "-pubkey", "-noout"], &dir);
    fs::write(dir.join("key.pem"), key).expect("target/tmp is writable");
    let der = openssl(&["pkey", "-pubin", "-in", "key.pem", "-outform", "DER"], &dir);
    fs::write(dir.join("key.der"), der).expect("target/tmp is writable");
    let digest = openssl(&["dgst", "-sha256", "-binary", "key.der"], &dir);
    format!("sha256//{}", data_encoding::BASE64.encode(&digest))
}

#[test]
fn one_version_only() {
    let servers = tls_servers::nginx();
    let url = |port: u16| format!("wss://localhost:{port}/echo");
    let passes = |port: u16, args: &[&str], says: &str| {
        echo(&url(port)).args(["-d"]).args(args).shows(servers.log()).run().status(0).says(&[says]);
    };
    let fails = |port: u16, args: &[&str], spoken: &str| {
        let run = echo(&url(port)).args(["--quiet"]).args(args).shows(servers.log()).run();
        run.status(35).stdout_is("").one_line(&["localhost", "version", spoken, "--tls-min and --tls-max"]);
    };
    passes(servers.only_1_2, &[], "TLSv1.2, ");
    passes(servers.only_1_2, &["--tls-max", "1.2"], "TLSv1.2, ");
    passes(servers.only_1_3, &[], "TLSv1.3, TLS_AES");
    passes(servers.only_1_3, &["--tls-min", "1.3"], "TLSv1.3, ");
    fails(servers.only_1_2, &["--tls-min", "1.3"], "TLS 1.3 is spoken here");
    fails(servers.only_1_3, &["--tls-max", "1.2"], "TLS 1.2 is spoken here");
    // The old ones are spoken where they are asked for, and not else.
    fails(servers.only_1_1, &[], "TLS 1.2 to 1.3 are spoken here");
    passes(servers.only_1_1, &["--tls-min", "1.1"], "TLSv1.1, ");
    passes(servers.only_1_1, &["--tls-min", "1.0", "--tls-max", "1.1"], "TLSv1.1, ");
    passes(servers.only_1_1, &["--tls-max", "1.1"], "TLSv1.1, ");
}

#[test]
fn versions_for_mqtt() {
    let broker = mosquitto::shared();
    let ca = text(&certs::shared().ca);
    for (version, says) in [("1.2", "TLSv1.2"), ("1.3", "TLSv1.3")] {
        let url = format!("mqtts://localhost:{}", broker.tls);
        wspipe(["mqtt", &url, "--cafile", &ca, "--tls-min", version, "--tls-max", version, "-d"])
            .args(["-t", &format!("tls/version/{version}")])
            .run()
            .status(0)
            .says(&[says]);
    }
}

#[test]
fn application_protocols() {
    let certs = certs::shared();
    let server = s_server(&certs.good, &["-alpn", "mqtt,x-amzn-mqtt-ca"]);
    for (offered, chosen) in
        [(&["--alpn", "x-amzn-mqtt-ca"][..], "x-amzn-mqtt-ca"), (&["--alpn=a", "--alpn=mqtt"], "mqtt")]
    {
        let run = echo(&server.wss()).args(["-d"]).args(offered).shows(server.log()).run();
        run.status(22).says(&[&format!("ALPN {chosen}"), "HTTP 200"]);
    }
    let run = echo(&server.wss()).args(["--quiet", "--alpn", "h2"]).shows(server.log()).run();
    run.status(35).one_line(&["no application protocol", "no_application_protocol", "--alpn"]);
    let run = echo(&server.wss()).args(["-d"]).run();
    run.status(22).never_says(&["ALPN"]);
}

/// The types of the extensions in a ClientHello (RFC 8446 section 4.1.2) that stands in one record.
fn extensions(hello: &[u8]) -> Vec<u16> {
    let two = |at: usize| u16::from_be_bytes([hello[at], hello[at + 1]]);
    let mut at = 5 + 4 + 2 + 32;
    at += 1 + usize::from(hello[at]);
    at += 2 + usize::from(two(at));
    at += 1 + usize::from(hello[at]);
    at += 2;
    let mut types = Vec::new();
    while at + 4 <= hello.len() {
        types.push(two(at));
        at += 4 + usize::from(two(at + 2));
    }
    types
}

#[test]
fn no_protocol_is_offered_unasked() {
    for (args, has) in [(&[][..], false), (&["--alpn", "mqtt"], true)] {
        let server = Scripted::start(|conn| {
            let mut record = vec![0; 5];
            conn.read_exact(&mut record)?;
            record.resize(5 + usize::from(u16::from_be_bytes([record[3], record[4]])), 0);
            conn.read_exact(&mut record[5..])?;
            conn.end()
        });
        let url = format!("wss://localhost:{}/", server.port());
        wspipe(["echo", &url, "--quiet"]).args(args).run().status(35);
        let seen = server.finish();
        let types = extensions(&seen[0]);
        assert!(types.contains(&0), "SNI: {types:?}");
        assert_eq!(types.contains(&16), has, "ALPN: {types:?}");
    }
}

#[test]
fn pins() {
    let (front, certs) = (nginx::shared(), certs::shared());
    let url = format!("wss://localhost:{}/echo", front.good);
    let (right, wrong) = (pin(&certs.good.chain), pin(&certs.expired.chain));
    let dir = temp_dir("pins");
    let key = dir.join("key.pem");
    fs::write(&key, openssl(&["x509", "-in", &text(&certs.good.chain), "-pubkey", "-noout"], &dir))
        .expect("target/tmp is writable");
    let der = dir.join("key.der");
    openssl(&["pkey", "-pubin", "-in", "key.pem", "-outform", "DER", "-out", "key.der"], &dir);
    let several = format!("{wrong};{right}");
    for pin in [&right, &several, &text(&key), &text(&der), &text(&certs.good.chain)] {
        echo(&url).args(["--pin", pin]).run().status(0).stdout_is("hello\n");
    }
    for pin in [&wrong, &text(&certs.expired.chain)] {
        for more in [&[][..], &["--insecure"]] {
            // The key that it has is told as --pin would have it.
            let run = echo(&url).args(["--pin", pin]).args(more).run();
            run.status(90).stdout_is("").says(&["localhost", "none of --pin", &right]);
        }
    }
    // A pin does not stand for the check of the certificate, as with curl.
    wspipe(["echo", &url, "--pin", &right]).run().status(60).one_line(&["issuer is unknown"]);
    wspipe(["echo", &url, "--pin", &right, "--insecure"]).run().status(0);
    // At a broker too, and nothing is sent before the check.
    let broker = format!("mqtts://localhost:{}", mosquitto::shared().tls);
    let run = wspipe(["mqtt", &broker, "--cafile", &text(&certs.ca), "--quiet", "--pin", &wrong]).run();
    run.status(90).one_line(&["none of --pin", &right]);
}

#[test]
fn files_of_pins_that_cannot_be_used() {
    let certs = certs::shared();
    let url = format!("wss://localhost:{}/echo", nginx::shared().good);
    let missing = text(&temp_dir("pins").join("missing"));
    echo(&url).args(["--pin", &missing]).run().status(26).one_line(&["--pin", &missing]);
    let key = text(&certs.clients.password);
    echo(&url)
        .args(["--pin", &key])
        .run()
        .status(26)
        .one_line(&[&key, "neither a public key nor a certificate"]);
}

/// A directory with this certificate under its hashed name.
fn hashed(certificate: &Path) -> String {
    let dir = temp_dir("capath");
    fs::copy(certificate, dir.join("ca.pem")).expect("target/tmp is writable");
    openssl(&["rehash", "."], &dir);
    text(&dir)
}

#[test]
fn directories_of_certificates() {
    let certs = certs::shared();
    let url = format!("wss://localhost:{}/echo", nginx::shared().good);
    let (good, other) = (hashed(&certs.ca), hashed(&certs.other_ca));
    let run = |args: &[&str]| wspipe(["echo", &url]).args(args).run();
    run(&["--capath", &good]).status(0).stdout_is("hello\n");
    run(&["--capath", &other]).status(60).one_line(&["issuer is unknown"]);
    // Both are trusted, whichever it is.
    run(&["--capath", &good, "--cafile", &text(&certs.other_ca)]).status(0);
    run(&["--capath", &other, "--cafile", &text(&certs.ca)]).status(0);
    let plain = temp_dir("capath");
    fs::copy(&certs.ca, plain.join("ca.pem")).expect("target/tmp is writable");
    run(&["--capath", &text(&plain)]).status(77).one_line(&[&text(&plain), "hashed name", "openssl rehash"]);
    let missing = text(&plain.join("missing"));
    run(&["--capath", &missing]).status(77).one_line(&["--capath", &missing, "No such file"]);
    run(&["--capath", &text(&certs.ca)]).status(77).one_line(&["--capath", "Not a directory"]);
}

#[test]
fn the_systems_certificates_by_the_environment() {
    let certs = certs::shared();
    let url = format!("wss://localhost:{}/echo", nginx::shared().good);
    let run = |name: &str, value: &str| wspipe(["echo", &url]).env(name, value).run();
    run("SSL_CERT_FILE", &text(&certs.ca)).status(0).stdout_is("hello\n");
    run("SSL_CERT_DIR", &hashed(&certs.ca)).status(0).stdout_is("hello\n");
    let several = format!("/nonexistent:{}", hashed(&certs.ca));
    run("SSL_CERT_DIR", &several).status(0);
    run("SSL_CERT_FILE", &text(&certs.other_ca)).status(60);
    run("SSL_CERT_DIR", &hashed(&certs.other_ca)).status(60);
    // What cannot be read is told, for nothing else says why nobody is trusted.
    run("SSL_CERT_FILE", "/nonexistent/ca.pem")
        .status(60)
        .says(&["/nonexistent/ca.pem", "issuer is unknown"]);
    // --cafile goes before all of it.
    let run = echo(&url).env("SSL_CERT_FILE", &text(&certs.other_ca)).run();
    run.status(0);
}

#[test]
fn a_ca_file_may_hold_what_is_no_root() {
    let (front, certs) = (nginx::shared(), certs::shared());
    for (port, file) in [(front.no_chain, &certs.inner), (front.good, &certs.good.chain)] {
        let url = format!("wss://localhost:{port}/echo");
        wspipe(["echo", &url, "--cafile", &text(file)]).run().status(0).stdout_is("hello\n");
    }
    let dir = temp_dir("der");
    openssl(&["x509", "-in", &text(&certs.ca), "-outform", "DER", "-out", "ca.der"], &dir);
    let url = format!("wss://localhost:{}/echo", front.good);
    let run = wspipe(["echo", &url, "--cafile", &text(&dir.join("ca.der"))]).run();
    run.status(77).one_line(&["it is DER, not PEM", "openssl x509 -inform der"]);
}

#[test]
fn a_certificate_says_what_is_wrong_with_it() {
    let (front, certs) = (nginx::shared(), certs::shared());
    let (ca, other) = (text(&certs.ca), text(&certs.other_ca));
    let cases: [(u16, &str, &str, &[&str]); 7] = [
        (front.expired, "localhost", &ca, &["it expired on 2020-01-01 00:00:00 UTC", "clock"]),
        (front.future, "localhost", &ca, &["not yet valid, but from 2090-01-01 00:00:00 UTC on"]),
        (
            front.wrong_host,
            "localhost",
            &ca,
            &["not for localhost, but for elsewhere.example", "--servername"],
        ),
        (front.wrong_host, "127.0.0.1", &ca, &["not for 127.0.0.1, but for elsewhere.example"]),
        (front.good, "localhost", &other, &["its issuer is unknown here: CN=root", "--cafile"]),
        (
            front.no_chain,
            "localhost",
            &ca,
            &["unknown here: CN=inner, whose certificate the server did not send", "intermediate"],
        ),
        (front.full_chain, "localhost", &other, &["unknown here: CN=root", "--cafile"]),
    ];
    for (port, host, ca, texts) in cases {
        let url = format!("wss://{host}:{port}/echo");
        wspipe(["echo", &url, "--quiet", "--cafile", ca]).run().status(60).stdout_is("").one_line(texts);
        let url = format!("mqtts://{host}:{port}");
        wspipe(["mqtt", &url, "--quiet", "--cafile", ca]).run().status(60).stdout_is("").one_line(texts);
    }
    let url = format!("wss://localhost:{}/echo", front.self_signed);
    let run = wspipe(["echo", &url, "--quiet", "--cafile", &ca]).run();
    run.status(60).one_line(&["it is self-signed", "--cafile FILE with this certificate"]);
    // A name that it has, asked for at an address that it has not.
    let url = format!("wss://localhost:{}/echo", front.good);
    let run = echo(&url).args(["--quiet", "--servername", "other.example"]).run();
    run.status(60).one_line(&["not for other.example, but for localhost, 127.0.0.1, ::1"]);
}

#[test]
fn hostile_names_are_bounded_and_harmless() {
    let dir = temp_dir("hostile");
    let names: Vec<String> = (0..400).map(|i| format!("DNS:{i}{}.example", "x".repeat(40))).collect();
    let names = format!("subjectAltName=DNS:\x1b[2Jevil,{}", names.join(","));
    let subject = "/CN=\x1b[31mred\x07/O=bell";
    let args = [
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "9", "-keyout", "key.pem", "-out",
        "cert.pem",
    ];
    openssl(&[&args[..], &["-subj", subject, "-addext", &names]].concat(), &dir);
    let pair = certs::Pair { chain: dir.join("cert.pem"), key: dir.join("key.pem") };
    let server = s_server(&pair, &[]);
    let run = wspipe(["echo", &server.wss(), "--quiet", "--cafile", &text(&pair.chain)]).run();
    run.status(60).one_line(&["not for localhost, but for", r"\x1b[2Jevil", "and 393 more"]);
    assert!(run.stderr.len() < 800, "{}", run.stderr);
    let run = wspipe(["echo", &server.wss(), "--quiet"]).run();
    run.status(60).one_line(&["self-signed"]);
}

#[test]
fn each_command_has_all_of_it() {
    let certs = certs::shared();
    let (broker, client) = (tls_servers::mosquitto(), &certs.clients);
    let key = client.forms.iter().find(|form| form.2).expect("some are encrypted");
    let [cert, key, password] = [&key.0, &key.1, &client.password].map(|path| text(path));
    let (capath, pin) = (hashed(&certs.ca), pin(&certs.good.chain));
    let common =
        ["--capath", &capath, "--pin", &pin, "--tls-min", "1.2", "--tls-max", "1.3", "--alpn", "mqtt"];
    let pem = ["--cert", &cert, "--key", &key, "--key-password-file", &password];
    let pkcs12 = ["--pkcs12", &text(&client.pkcs12[0]), "--key-password-file", &password];
    for url in broker.urls() {
        for (i, identity) in [&pem[..], &pkcs12].into_iter().enumerate() {
            let topic = format!("all/{i}");
            let run = |args: &[&str]| {
                wspipe([args[0], &url]).args(&args[1..]).args(common).args(identity).shows(broker.log()).run()
            };
            run(&["pub", "-t", &topic, "-m", "x", "-q", "1", "-r"]).status(0).says_nothing();
            run(&["sub", "-t", &topic, "-C", "1", "-W", "10"]).status(0).stdout_is("x\n").says_nothing();
            run(&["rr", "-t", &topic, "-m", "x", "-W", "0.2"]).status(28);
            run(&["mqtt", "-t", &topic]).status(0);
        }
    }
    let url = format!("wss://localhost:{}/echo", tls_servers::nginx().mutual);
    // Not nginx's protocol.
    let common = &common[..8];
    wspipe(["cat", &url, "-C", "1"]).args(common).args(pem).stdin("x\n").run().status(0).stdout_is("x\n");
    wspipe(["echo", &url]).args(common).args(pkcs12).run().status(0).stdout_is("hello\n");
}

/// Mounts `$1` over the system's certificates, and goes on with the rest.
const ELSEWHERE: &str = "mount --bind \"$1\" /etc/ssl/certs && shift && exec \"$@\"";

#[test]
fn the_systems_directory_first_and_its_bundle_for_want_of_a_ca() {
    let certs = certs::shared();
    let system = Path::new("/etc/ssl/certs");
    let bundle = system.join("ca-certificates.crt");
    let name = "tls_options::the_systems_directory_first_and_its_bundle_for_want_of_a_ca";
    if !bundle.exists() {
        return crate::support::skipped(name, "no /etc/ssl/certs/ca-certificates.crt");
    }
    let as_root: &[&str] = if rustix::process::geteuid().is_root() { &[] } else { &["--map-root-user"] };
    let around = [as_root, &["--mount", "sh", "-c", ELSEWHERE, "sh"]].concat();
    let possible = Command::new("unshare").args(&around).arg(system).arg("true").output();
    match possible {
        Ok(output) if output.status.success() => {}
        Ok(output) => return crate::support::skipped(name, &String::from_utf8_lossy(&output.stderr)),
        Err(error) => return crate::support::skipped(name, &format!("unshare: {error}")),
    }
    // Both as the distribution has them, once with our CA in the directory and once in the bundle alone.
    let (in_directory, in_bundle, in_none) = (temp_dir("system"), temp_dir("system"), temp_dir("system"));
    for dir in [&in_directory, &in_bundle, &in_none] {
        fs::copy(&bundle, dir.join("ca-certificates.crt")).expect("target/tmp is writable");
        // Names of the form that OpenSSL looks for, enough of them to be a distribution's.
        for i in 0..20 {
            fs::copy(&certs.other_ca, dir.join(format!("{i:08x}.0"))).expect("target/tmp is writable");
        }
    }
    let hash = openssl(&["x509", "-hash", "-noout", "-in", &text(&certs.ca)], &in_directory);
    let hash = String::from_utf8(hash).expect("hex digits");
    fs::copy(&certs.ca, in_directory.join(format!("{}.0", hash.trim()))).expect("target/tmp is writable");
    let mut all = fs::read(&bundle).expect("it is there");
    all.extend(fs::read(&certs.ca).expect("it is there"));
    fs::write(in_bundle.join("ca-certificates.crt"), all).expect("target/tmp is writable");

    let again = "trying again with the system's bundle";
    let url = format!("wss://localhost:{}/echo", nginx::shared().good);
    let broker = format!("mqtts://localhost:{}", mosquitto::shared().tls);
    let run = |dir: &Path, args: &[&str]| wspipe(args).inside("unshare").around(&around).around([dir]).run();
    for args in [&["echo", &url, "-d"][..], &["mqtt", &broker, "-d", "-t", "tls/system"]] {
        run(&in_directory, args).status(0).never_says(&[again]);
        run(&in_bundle, args).status(0).says(&["not trusted", again]);
        run(&in_none, args).status(60).says(&[again, "issuer is unknown here: CN=root"]);
    }
}
