//! What goes into the request, and where passwords and tokens come from.

use std::{ffi::OsString, fs, os::unix::fs::PermissionsExt, path::PathBuf};

use crate::{
    cli::{Invocation, UsageError, parse_asking},
    config::{Config, Endpoint, Mode},
};

fn parsed(args: &[&str]) -> Result<Config, UsageError> {
    let env = |name: &str| (name == "PW").then(|| OsString::from("from env"));
    let ask = |prompt: &str| {
        assert_eq!(prompt, "Password: ");
        Ok(b"typed".to_vec())
    };
    match parse_asking(args.iter().map(OsString::from), &env, ask) {
        Ok(Invocation::Run(config)) => Ok(config),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error),
    }
}

fn endpoint(args: &[&str]) -> Endpoint {
    match parsed(args).map(|config| config.mode) {
        Ok(Mode::Echo(endpoint, _) | Mode::Cat(endpoint, _) | Mode::RoundTrip(endpoint, _)) => endpoint,
        other => panic!("{args:?}: {other:?}"),
    }
}

/// The headers, one line each; Basic is decoded.
fn headers(args: &[&str]) -> Vec<String> {
    let show = |(name, value): (String, String)| match value.strip_prefix("Basic ") {
        Some(pair) => {
            let pair = data_encoding::BASE64.decode(pair.as_bytes()).expect("base64");
            format!("{name}: Basic {}", String::from_utf8_lossy(&pair))
        }
        None => format!("{name}: {value}"),
    };
    endpoint(args).headers.into_iter().map(show).collect()
}

fn refused(args: &[&str]) -> String {
    parsed(args).expect_err("refused").to_string()
}

struct Temp(PathBuf);

impl Temp {
    fn new(name: &str, content: &[u8], mode: u32) -> Temp {
        let path = std::env::temp_dir().join(format!("wspipe-http-{}-{name}", std::process::id()));
        fs::write(&path, content).expect("a writable temporary directory");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("our own file");
        Temp(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("an ASCII path")
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn removed_and_empty_headers() {
    assert_eq!(headers(&["echo", "-H", "X:", "-H", "Y;", "-H", "Z: "]), ["Y: "]);
    assert_eq!(headers(&["echo", "-H", "user-agent:"]), ["User-Agent: "]);
    assert_eq!(headers(&["echo", "ws://u:p@h", "-H", "authorization:"]), [""; 0]);
    assert_eq!(headers(&["echo", "-H", "Host: x", "-H", "Y: a;"]), ["Host: x", "Y: a;"]);
}

#[test]
fn who_logs_in() {
    assert_eq!(headers(&["echo", "--auth", "u:p:q"]), ["Authorization: Basic u:p:q"]);
    assert_eq!(headers(&["cat", "ws://a:b@h", "--auth", "u:"]), ["Authorization: Basic u:"]);
    assert_eq!(headers(&["echo", "--auth", "u", "--password-env=PW"]), ["Authorization: Basic u:from env"]);
    assert_eq!(headers(&["echo", "--auth", "u", "--ask-password"]), ["Authorization: Basic u:typed"]);
    assert_eq!(headers(&["echo", "ws://u@h", "--ask-password"]), ["Authorization: Basic u:typed"]);
    assert_eq!(headers(&["echo", "ws://u:old@h", "--ask-password"]), ["Authorization: Basic u:typed"]);
    // In the MQTT commands the password is the broker's.
    let line = ["mqtt", "ws://u:p@h", "--auth", "a:b", "--password-env=PW"];
    assert_eq!(headers(&line), ["Authorization: Basic a:b"]);
    match parsed(&line).expect("sound").mode {
        Mode::RoundTrip(_, trip) => assert_eq!(trip.mqtt.password.as_deref(), Some(&b"from env"[..])),
        other => panic!("{other:?}"),
    }
    for (line, part) in [
        (&["echo", "--auth", "u"][..], "USER with --password-file"),
        (&["echo", "--ask-password"], "needs a user"),
        (&["cat", "ws://h", "--bearer-file", "x", "--ask-password"], "--bearer-file and --ask-password"),
        (&["echo", "-H", "Authorization: x", "--ask-password"], "and --ask-password contradict"),
        (&["mqtt", "ws://h", "--auth", "u", "--ask-password"], "there is no ':' in it"),
        (&["mqtt", "mqtt://h", "--auth", "u:p"], "--auth is for ws:// and wss://"),
        (&["mqtt", "mqtt://h", "--cookie", "u=p"], "--cookie is for ws:// and wss://"),
        (&["pub", "mqtts://h", "-t", "t", "-n", "--location"], "--location is for"),
    ] {
        if cfg!(feature = "tls") || !line[1].starts_with("mqtts") {
            assert!(refused(line).contains(part), "{line:?}: {}", refused(line));
        }
    }
}

#[test]
fn tokens_and_cookies() {
    let token = Temp::new("token", b"abc.def-_~+/==\r\n", 0o600);
    let line = ["echo", "--bearer-file", token.path(), "--cookie", "a=b; c=d;", "--cookie", "e=\"f\""];
    let expected = ["Authorization: Bearer abc.def-_~+/==", "Cookie: a=b; c=d; e=\"f\""];
    assert_eq!(headers(&line), expected);
    for (content, part) in [
        (&b""[..], "it is empty"),
        (b"\n", "it is empty"),
        (b"xyzzy\nxyzzy\n", "more than one line"),
        (b"xyz zy", "a space behind 3 characters"),
        (b"xyz\x00zy", "U+0000 at position 4"),
        (b"xyzzy\xff", "it is not ASCII"),
    ] {
        let file = Temp::new("bad-token", content, 0o600);
        let error = parsed(&["echo", "--bearer-file", file.path()]).expect_err("refused");
        let text = error.to_string();
        assert!(text.contains(part) && text.contains(file.path()) && !text.contains("xyz"), "{text}");
        assert_eq!(error.exit_code(), 26);
    }
    assert!(refused(&["echo", "--bearer-file", "/no/such/file"]).contains("No such file"));
}

#[test]
fn files_that_others_can_use() {
    let secret = |mode| Temp::new(&format!("secret-{mode:o}"), b"xyzzy\n", mode);
    for mode in [0o600, 0o400, 0o700] {
        let file = secret(mode);
        let config = parsed(&["mqtt", "ws://h", "--password-file", file.path()]).expect("sound");
        assert_eq!(config.warnings, [""; 0]);
    }
    for (mode, shown) in [(0o644, "644"), (0o640, "640"), (0o602, "602")] {
        let file = secret(mode);
        for line in [
            &["mqtt", "ws://h", "--password-file", file.path()][..],
            &["echo", "ws://u@h", "--password-file", file.path()],
            &["cat", "ws://h", "--bearer-file", file.path()],
        ] {
            let config = parsed(line).expect("sound");
            let [warning] = &config.warnings[..] else { panic!("{:?}", config.warnings) };
            assert!(warning.contains(shown) && warning.contains(file.path()), "{warning}");
            assert!(!format!("{config:?}").contains("xyzzy"));
        }
    }
    // What the shell hands over has modes of its own.
    let config = parsed(&["echo", "ws://u@h", "--password-file", "/dev/null"]).expect("sound");
    assert_eq!(config.warnings, [""; 0]);
}

#[test]
fn what_is_not_utf8_is_not_shown() {
    use std::os::unix::ffi::OsStringExt;
    for option in ["-H", "--cookie"] {
        let value = OsString::from_vec(b"Xyzzy=: xyzzy\xff".to_vec());
        let line = [OsString::from("echo"), OsString::from(option), value];
        let error = parse_asking(line.into_iter(), &|_| None, |_| Err(String::new())).expect_err("refused");
        let text = error.to_string();
        assert!(text.contains("it is not UTF-8") && !text.contains("yzzy"), "{text}");
    }
}
