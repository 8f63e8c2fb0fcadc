//! The README's recipes for clouds, run as they stand there against gateways that check what the real ones do: the
//! request byte for byte, who signed it, and the fields of CONNECT.

use std::{
    io::{self, Write},
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{
    mqtt_scripted::usual,
    support::{
        Run, bash,
        fields::Fields,
        hex,
        readme::{blocks, path_with, section, with},
        scripted::{Conn, Scripted, accept_head, frame, header, packets},
        to_hex, wspipe,
    },
};

const SECTION: &str = "## Cloud brokers";
const AWS_HOST: &str = "a1b2c3d4e5f6g7-ats.iot.eu-central-1.amazonaws.com";
const AWS_KEY_ID: &str = "AKIDEXAMPLE";
const AWS_SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
/// As they are: base64, which must be escaped.
const AWS_TOKEN: &str = "FwoGZXIvYXdzE+//wEaDF=8x~y==";
const AZURE_HUB: &str = "myhub.azure-devices.net";
const AZURE_KEY: &str = "cCWVddDpee7c+U5/qJWaX5N8VU0XYZFSIrsdBhU8Gs0=";

/// The block of this language that has `text`.
fn block(language: &str, text: &str) -> String {
    let all = blocks(&section(SECTION), language);
    all.into_iter().find(|block| block.contains(text)).expect("the README has this recipe")
}

/// The openssl command with these arguments, `data` on stdin: not the code that signed.
fn openssl(args: &[&str], data: &[u8]) -> Vec<u8> {
    let mut child = Command::new("openssl")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("openssl is there: run scripts/setup");
    child.stdin.take().expect("piped").write_all(data).expect("openssl reads it");
    let out = child.wait_with_output().expect("a child can be waited for");
    assert!(out.status.success(), "openssl {args:?}");
    out.stdout
}

fn sha256(data: &[u8]) -> String {
    to_hex(&openssl(&["dgst", "-sha256", "-binary"], data))
}

fn hmac(key: &[u8], data: &str) -> Vec<u8> {
    let key = format!("hexkey:{}", to_hex(key));
    openssl(&["dgst", "-sha256", "-mac", "HMAC", "-macopt", &key, "-binary"], data.as_bytes())
}

/// Signature Version 4 of a query, in the order of its bytes, with Host as the only header.
fn sigv4(secret: &str, host: &str, path: &str, query: &str, payload: &str) -> Option<String> {
    let field = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let mut pairs: Vec<&str> = query.split('&').collect();
    // What follows the signature is not signed: the session token.
    let end = pairs.iter().position(|pair| pair.starts_with("X-Amz-Signature="));
    pairs.truncate(end.unwrap_or(pairs.len()));
    pairs.sort_unstable();
    let canonical = ["GET", path, &pairs.join("&"), &format!("host:{host}"), "", "host", payload].join("\n");
    let (_, scope) = field("X-Amz-Credential")?.split_once("%2F")?;
    let scope = scope.replace("%2F", "/");
    let date = field("X-Amz-Date")?;
    let to_sign = ["AWS4-HMAC-SHA256", date, &scope, &sha256(canonical.as_bytes())].join("\n");
    let start = format!("AWS4{secret}").into_bytes();
    let key = scope.split('/').fold(start, |key, part| hmac(&key, part));
    Some(to_hex(&hmac(&key, &to_sign)))
}

#[test]
fn the_gateway_knows_the_signatures_of_amazons_manual() {
    // The presigned URL of the S3 manual.
    let query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1\
                 %2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host";
    let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    let host = "examplebucket.s3.amazonaws.com";
    let found = sigv4(secret, host, "/test.txt", query, "UNSIGNED-PAYLOAD");
    let known = "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
    assert_eq!(found.as_deref(), Some(known));
}

/// The request target.
fn target(head: &str) -> &str {
    let line = head.lines().next().unwrap_or_default();
    line.strip_prefix("GET ").and_then(|line| line.strip_suffix(" HTTP/1.1")).expect("a GET of HTTP/1.1")
}

fn refuse(conn: &mut Conn, why: &str) -> io::Result<()> {
    conn.write(format!("HTTP/1.1 403 Forbidden\r\nContent-Length: {}\r\n\r\n{why}", why.len()))?;
    conn.end()
}

/// The broker behind a gateway: each packet is shown to `answer`, whose bytes go back in one frame.
fn mqtt(conn: &mut Conn, mut answer: impl FnMut(&[u8]) -> Vec<u8>) -> io::Result<()> {
    loop {
        let (first, payload) = conn.message()?;
        if first == 0x88 {
            conn.write(frame(0x88, &payload))?;
            return conn.end();
        }
        assert_eq!(first, 0x82, "MQTT is binary messages");
        for packet in packets(&payload) {
            let bytes = answer(&packet);
            if !bytes.is_empty() {
                conn.write(frame(0x82, &bytes))?;
            }
        }
    }
}

/// CONNECT, read.
#[derive(Debug)]
struct Login {
    level: u32,
    clean: bool,
    client_id: String,
    user: Option<String>,
    password: Option<String>,
}

fn login(packet: &[u8]) -> Login {
    let mut fields = Fields::of(packet);
    assert_eq!(fields.string(), "MQTT");
    let (level, flags) = (fields.number(1), fields.number(1));
    fields.number(2);
    if level == 5 {
        fields.properties();
    }
    let client_id = fields.string();
    assert_eq!(flags & 0x04, 0, "no will");
    let user = (flags & 0x80 != 0).then(|| fields.string());
    let password = (flags & 0x40 != 0).then(|| fields.string());
    fields.end();
    Login { level, clean: flags & 0x02 != 0, client_id, user, password }
}

fn seconds_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

// --- AWS IoT Core

/// AWS IoT Core: for this `host`, or for the one of the request. Counts the logins.
fn aws(host: Option<&'static str>) -> (Scripted, Arc<AtomicUsize>) {
    let logins = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&logins);
    let server = Scripted::start(move |conn| {
        let head = conn.head()?;
        let asked = header(&head, "Host").expect("HTTP/1.1").to_owned();
        if host.is_some_and(|host| host != asked) {
            return refuse(conn, "wrong host");
        }
        let Some((path, query)) = target(&head).split_once('?') else { return refuse(conn, "no signature") };
        let field = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        let day = field("X-Amz-Date").unwrap_or_default().split('T').next().unwrap_or_default();
        let credential = format!("{AWS_KEY_ID}%2F{day}%2Feu-central-1%2Fiotdevicegateway%2Faws4_request");
        let right = path == "/mqtt"
            && field("X-Amz-Algorithm") == Some("AWS4-HMAC-SHA256")
            && field("X-Amz-Credential") == Some(&credential)
            && field("X-Amz-SignedHeaders") == Some("host");
        if !right {
            return refuse(conn, "incomplete");
        }
        let signature = sigv4(AWS_SECRET, &asked, path, query, &sha256(b""));
        if signature.is_none() || field("X-Amz-Signature") != signature.as_deref() {
            return refuse(conn, "The request signature we calculated does not match");
        }
        assert_eq!(field("X-Amz-Security-Token"), Some("FwoGZXIvYXdzE%2B%2F%2FwEaDF%3D8x~y%3D%3D"));
        assert_eq!(header(&head, "Sec-WebSocket-Protocol"), Some("mqtt"));
        conn.write(accept_head(&head))?;
        mqtt(conn, |packet| {
            if packet[0] == 0x10 {
                let login = login(packet);
                assert!(login.user.is_none() && login.password.is_none() && login.clean, "{login:?}");
                count.fetch_add(1, Ordering::SeqCst);
            }
            usual(packet, true)
        })
    });
    (server, logins)
}

/// The script of the README, for the scheme and the environment of these tests.
fn signer(scheme: &str) -> String {
    with(&block("python", "aws-iot-url"), &[("wss://", scheme)])
}

fn with_keys(script: &str, secret: &str, path: &str) -> Run {
    let run = bash(script, [""; 0]).env("PATH", path).env("AWS_ACCESS_KEY_ID", AWS_KEY_ID);
    run.env("AWS_SECRET_ACCESS_KEY", secret)
        .env("AWS_SESSION_TOKEN", AWS_TOKEN)
        .env("RUST_LOG", "trace")
        .run()
}

/// Nothing of the query is in the log, whatever its level.
fn keeps_secrets(run: &Run) {
    run.never_says(&["X-Amz", "Signature", "Credential", AWS_KEY_ID, "FwoGZX"]);
}

#[test]
fn aws_takes_the_signed_url_of_the_recipe() {
    let (server, logins) = aws(None);
    let host = server.ws("").trim_start_matches("ws://").to_owned();
    let path = path_with(&[("aws-iot-url", &signer("ws://"))]);
    let script = with(&block("sh", "aws-iot-url"), &[(AWS_HOST, &host)]);
    let run = with_keys(&script, AWS_SECRET, &path);
    run.status(0).says(&["CONNECTED", "MQTT 5.0", "PUBLISHED plant/7 QoS 1", "RECEIVED plant/7"]);
    keeps_secrets(&run);
    assert_eq!(logins.load(Ordering::SeqCst), 1);

    // A gateway that takes anything would prove nothing.
    let run = with_keys(&script, "another secret", &path);
    run.status(22).says(&["HTTP 403", "does not match"]);
    keeps_secrets(&run);
    server.finish();
}

#[test]
fn aws_takes_it_under_its_own_name() {
    let (server, logins) = aws(Some(AWS_HOST));
    let path = path_with(&[("aws-iot-url", &signer("wss://"))]);
    let signed = with_keys(&format!("exec aws-iot-url {AWS_HOST} eu-central-1"), AWS_SECRET, &path);
    let url = String::from_utf8_lossy(&signed.status(0).stdout).trim_end().to_owned();
    let here = with(&url, &[(&format!("wss://{AWS_HOST}"), &server.ws(""))]);
    let (host, topic) = (format!("Host: {AWS_HOST}"), ["-t", "plant/7"]);
    let run = wspipe(["mqtt", &here, "-H", &host, "-dd"]).args(topic).env("RUST_LOG", "trace").run();
    keeps_secrets(run.status(0));
    keeps_secrets(wspipe(["pub", &here, "-H", &host, "-dd", "-m", "x"]).args(topic).run().status(0));
    assert_eq!(logins.load(Ordering::SeqCst), 2);
    // The same under a name that was not signed.
    wspipe(["mqtt", &here, "--quiet"]).args(topic).run().status(22).one_line(&["wrong host"]);
    // One character of the signature.
    let last = here.find("&X-Amz-Security-Token").expect("the token stands behind the signature");
    let other = if &here[last - 1..last] == "0" { "1" } else { "0" };
    let bent = format!("{}{other}{}", &here[..last - 1], &here[last..]);
    let run = wspipe(["mqtt", &bent, "-H", &host, "--quiet"]).args(topic).run();
    run.status(22).one_line(&["does not match"]);
    server.finish();
}

#[test]
fn every_command_sends_the_query_byte_for_byte() {
    // Encoded in both cases, needlessly, or not where it could be; in no order; empty parts.
    let target = "/mqtt?z=1&X-Amz-Credential=A%2F1%2fb&x=~+-._!*'(),;:@/?$&&=&%7Ea=%41&X-Amz-Security-Token=a%2Bb%3D%3D+c/d=&b";
    let seen = Arc::new(Mutex::new(Vec::new()));
    let ours = Arc::clone(&seen);
    let server = Scripted::start(move |conn| {
        let head = conn.head()?;
        ours.lock().expect("held for a moment only").push(self::target(&head).to_owned());
        refuse(conn, "enough")
    });
    let url = server.ws(target);
    let more = |command| match command {
        "sub" => &["-t", "t"][..],
        "pub" | "rr" => &["-t", "t", "-m", "x"],
        _ => &[],
    };
    let commands = ["echo", "cat", "mqtt", "pub", "sub", "rr"];
    for command in commands {
        let run =
            wspipe([command, &url, "-dd", "--timing"]).args(more(command)).env("RUST_LOG", "trace").run();
        run.status(22).never_says(&["X-Amz", "a%2Bb", "A%2F1"]);
    }
    server.finish();
    assert_eq!(*seen.lock().expect("held for a moment only"), [target; 6]);
}

#[test]
fn what_comes_after_the_upgrade_does_not_show_the_query_either() {
    // The connection stands, and breaks.
    let server = Scripted::start(|conn| conn.upgrade());
    for command in ["cat", "echo"] {
        let run = wspipe([command, &server.ws("/?token=s3cret"), "-dd"]).run();
        run.says(&["?..."]).never_says(&["s3cret"]);
    }
    server.finish();
}

#[test]
fn aws_takes_the_headers_of_a_custom_authorizer() {
    let (signature, token) = ("Vk3+x/9==", "device 7; q=\"a\"");
    let server = Scripted::start(move |conn| {
        let head = conn.head()?;
        assert_eq!(target(&head), "/mqtt");
        let right = header(&head, "x-amz-customauthorizer-name") == Some("wspipe-probe")
            && header(&head, "x-amz-customauthorizer-signature") == Some(signature)
            && header(&head, "token-key") == Some(token);
        if !right {
            return refuse(conn, "Forbidden by the authorizer");
        }
        conn.write(accept_head(&head))?;
        mqtt(conn, |packet| {
            let mut answer = usual(packet, true);
            if packet[0] >> 4 == 8 {
                // QoS 1, plant/7, packet identifier 9, no properties.
                answer.extend(hex("32 0d 00 07 70 6c 61 6e 74 2f 37 00 09 00 6f"));
            }
            answer
        })
    });
    let host = server.ws("").trim_start_matches("ws://").to_owned();
    let recipe = block("sh", "x-amz-customauthorizer-name");
    let script =
        with(&recipe, &[("wss://", "ws://"), (AWS_HOST, &host), ("wspipe sub", "wspipe sub -C1 -W9 -dd")]);
    let run = |signature: &str| {
        let run = bash(&script, [""; 0]).env("PATH", &path_with(&[])).env("TOKEN", token);
        run.env("SIGNATURE", signature).env("RUST_LOG", "trace").run()
    };
    run(signature).status(0).stdout_is("o\n").never_says(&[signature, token]);
    run("wrong").status(22).says(&["HTTP 403", "Forbidden by the authorizer"]).never_says(&[token]);
    server.finish();
}

// --- Azure IoT Hub

/// Why IoT Hub refuses this token: the resource, the signature over it and the expiry, and that.
fn check_sas(token: &str, hub: &str, device: &str) -> Result<(), String> {
    let fields = token.strip_prefix("SharedAccessSignature ").ok_or("no SharedAccessSignature")?;
    let field = |name: &str| {
        let found = fields.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        found.ok_or(format!("no {name}"))
    };
    let (resource, signature, expiry) = (field("sr")?, field("sig")?, field("se")?);
    let expected = format!("{hub}/devices/{device}").replace(':', "%3A").replace('/', "%2F");
    if resource != expected {
        return Err(format!("sr is {resource}, not {expected}"));
    }
    if expiry.parse::<u64>().map_err(|_| "se is no number")? <= seconds_now() {
        return Err("expired".to_owned());
    }
    let key = openssl(&["base64", "-d", "-A"], AZURE_KEY.as_bytes());
    let raw = hmac(&key, &format!("{resource}\n{expiry}"));
    let base64 = String::from_utf8(openssl(&["base64", "-A"], &raw)).map_err(|_| "base64 is ASCII")?;
    let escaped = base64.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    if signature == escaped { Ok(()) } else { Err("the signature is wrong".to_owned()) }
}

/// IoT Hub for one device. Gives the payloads that were published, and why logins were refused.
fn azure() -> (Scripted, Arc<Mutex<Vec<String>>>) {
    let log = Arc::new(Mutex::new(Vec::new()));
    let ours = Arc::clone(&log);
    let server = Scripted::start(move |conn| {
        let note = |text: String| ours.lock().expect("held for a moment only").push(text);
        let head = conn.head()?;
        let hub = header(&head, "Host").expect("HTTP/1.1").to_owned();
        assert_eq!(target(&head), "/$iothub/websocket?iothub-no-client-cert=true");
        assert_eq!(header(&head, "Sec-WebSocket-Protocol"), Some("mqtt"));
        assert!(header(&head, "Authorization").is_none(), "the login is MQTT's");
        conn.write(accept_head(&head))?;
        mqtt(conn, |packet| match packet[0] >> 4 {
            1 => {
                let login = login(packet);
                assert_eq!(login.level, 4, "IoT Hub speaks 3.1.1 only");
                assert_eq!(login.client_id, "pump-7");
                let user = format!("{hub}/pump-7/?api-version=2021-04-12");
                assert_eq!(login.user.as_deref(), Some(&user[..]));
                match check_sas(login.password.as_deref().unwrap_or_default(), &hub, "pump-7") {
                    Ok(()) => hex("20 02 00 00"),
                    Err(why) => {
                        note(why);
                        hex("20 02 00 05")
                    }
                }
            }
            3 => {
                assert_eq!(packet[0] & 0x0f, 0x02, "QoS 1, not retained");
                let mut fields = Fields::of(packet);
                assert_eq!(fields.string(), "devices/pump-7/messages/events/");
                let id = to_hex(fields.take(2));
                note(String::from_utf8_lossy(fields.0).into_owned());
                hex(&format!("40 02 {id}"))
            }
            _ => usual(packet, false),
        })
    });
    (server, log)
}

#[test]
fn azure_takes_the_token_of_the_recipe() {
    let (server, log) = azure();
    let host = server.ws("").trim_start_matches("ws://").to_owned();
    let path = path_with(&[("azure-sas", &block("python", "azure-sas"))]);
    let recipe = block("sh", "azure-sas");
    let script = with(&recipe, &[("wss://", "ws://"), (AZURE_HUB, &host), ("wspipe pub", "wspipe pub -dd")]);
    let run = |key: &str| {
        let run = bash(&script, [""; 0]).env("PATH", &path).env("DEVICE_KEY", key);
        run.env("RUST_LOG", "trace").run()
    };
    run(AZURE_KEY).status(0).stdout_is("").never_says(&["SharedAccessSignature", "sig="]);
    let refused = run("b3RoZXI=");
    refused.status(67).says(&["CONNACK 0x05"]).never_says(&["SharedAccessSignature", "sig="]);
    server.finish();
    assert_eq!(*log.lock().expect("held for a moment only"), ["{\"rpm\":1480}", "the signature is wrong"]);
}
