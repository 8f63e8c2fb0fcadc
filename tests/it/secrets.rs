//! Secrets: never in a log line, from files, variables and prompts, and with the terminal as it was.

use rustix::process::Signal;

use crate::{
    cat_terminal::{at_a_terminal, wait_screen},
    http::{echoing, request, secret_file},
    support::{
        Run, Wspipe, mosquitto,
        scripted::{Scripted, header},
        temp_dir, wait_within, wspipe,
    },
};

/// What no line may show: the secret, and its forms in base64 with and without a user.
fn silent(run: &Run, secret: &str) {
    let base64 = |text: String| data_encoding::BASE64.encode(text.as_bytes());
    for form in [secret.to_owned(), base64(secret.to_owned()), base64(format!("u:{secret}"))] {
        run.never_says(&[&form]);
        assert!(!String::from_utf8_lossy(&run.stdout).contains(&form), "on stdout");
    }
    assert!(!run.stderr.is_empty(), "with -ddd there is something to look at");
}

/// With all the detail there is.
fn loud(run: Wspipe) -> Run {
    run.args(["-ddd", "--connect-timeout", "3"]).env("RUST_LOG", "trace").run()
}

const SECRET: &str = "Xyzzy7-plugh";

/// Every way to give a secret to a command that speaks HTTP only, as arguments behind the URL.
fn of_http(file: &str) -> Vec<Vec<String>> {
    [
        vec!["--auth".to_owned(), format!("u:{SECRET}")],
        vec!["--bearer-file".to_owned(), file.to_owned()],
        vec!["--cookie".to_owned(), format!("session={SECRET}")],
        vec!["-H".to_owned(), format!("Authorization: Bearer {SECRET}")],
        vec!["-H".to_owned(), format!("X-Api-Key: {SECRET}")],
    ]
    .to_vec()
}

#[test]
fn no_log_line_shows_one() {
    let file = secret_file(SECRET.as_bytes(), 0o644);
    let file = file.to_string_lossy();
    let good = Scripted::start(echoing);
    let refusing = Scripted::start(|conn| {
        conn.head()?;
        conn.write("HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno\n")?;
        conn.end()
    });
    // A redirect may hand over a token itself; without -L it is shown.
    let to = format!("http://u:{SECRET}@127.0.0.1:{}/?token={SECRET}", good.port());
    let moved = Scripted::start(move |conn| {
        conn.head()?;
        conn.write(format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n"))?;
        conn.end()
    });
    let garbled = Scripted::start(|conn| {
        conn.head()?;
        conn.write("SSH-2.0-not-http\r\n")?;
        conn.end()
    });
    for (url, status) in [(good.ws("/"), 0), (refusing.ws("/"), 22), (moved.ws("/"), 0), (garbled.ws("/"), 8)]
    {
        for args in of_http(&file) {
            let run = loud(wspipe(["echo", &url, "--location"]).args(args));
            silent(run.status(status), SECRET);
        }
        let with_login = url.replace("//", &format!("//u:{SECRET}@"));
        silent(loud(wspipe(["echo", &with_login, "-L"])).status(status), SECRET);
        let in_query = format!("{url}?token={SECRET}");
        silent(loud(wspipe(["echo", &in_query, "-L"])).status(status), SECRET);
        silent(
            loud(wspipe(["cat", &in_query, "-L", "-C1", "-W1"])).status(if status == 0 {
                28
            } else {
                status
            }),
            SECRET,
        );
        let name = format!("base64url.bearer.authorization.example.{SECRET}");
        // A redirect elsewhere is not followed with a token among them.
        let status = if status == 0 && url == moved.ws("/") { 22 } else { status };
        silent(loud(wspipe(["echo", &url, "-L", "--subprotocol", &name])).status(status), SECRET);
        let status = if url == moved.ws("/") { 0 } else { status };
        for args in [&["--password-file", &*file][..], &["--password-env", "PW"]] {
            let run = loud(wspipe(["echo", &url, "-L", "--auth", "u"]).args(args).env("PW", SECRET));
            silent(run.status(status), SECRET);
        }
    }
    silent(loud(wspipe(["echo", &moved.ws("/")])).status(22), SECRET);
    for server in [good, refusing, moved, garbled] {
        server.finish();
    }
    // Nobody there at all.
    let run = loud(wspipe([
        "echo",
        &format!("ws://u:{SECRET}@no.such.host.invalid/"),
        "--cookie",
        "a=Xyzzy7-plugh",
    ]));
    silent(run.status(6), SECRET);
}

#[test]
fn no_log_line_shows_one_of_mqtt() {
    let broker = mosquitto::shared();
    let file = secret_file(SECRET.as_bytes(), 0o644);
    let file = file.to_string_lossy();
    for scheme in ["ws", "mqtt"] {
        let port = if scheme == "ws" { broker.login_ws } else { broker.login_tcp };
        let url = format!("{scheme}://127.0.0.1:{port}");
        for args in [
            &["-u", "u", "-P", SECRET][..],
            &["-u", "u", "--password-file", &file],
            &["-u", "u", "--password-env", "PW"],
        ] {
            for version in ["5", "311"] {
                let run = loud(wspipe(["mqtt", &url, "-V", version]).args(args).env("PW", SECRET));
                silent(run.status(67), SECRET);
            }
        }
        let with_login = url.replace("//", &format!("//u:{SECRET}@"));
        if scheme == "ws" {
            let in_query = format!("{url}/mqtt?token={SECRET}");
            for (command, rest) in [("mqtt", &[][..]), ("sub", &["-t", "t"]), ("rr", &["-t", "t", "-m", "x"])]
            {
                silent(loud(wspipe([command, &in_query]).args(rest)).status(67), SECRET);
            }
        }
        silent(loud(wspipe(["pub", &with_login, "-t", "t", "-m", "x"])).status(67), SECRET);
        let run = loud(wspipe(["sub", &with_login, "-t", "t"]));
        silent(run.status(67), SECRET);
    }
}

#[test]
fn a_password_of_each_source_arrives() {
    let broker = mosquitto::shared();
    let file = secret_file(format!("{}\n", mosquitto::PASSWORD).as_bytes(), 0o600);
    let url = format!("mqtt://127.0.0.1:{}", broker.login_tcp);
    for args in [&["--password-file", &*file.to_string_lossy()][..], &["--password-env", "PW"]] {
        wspipe(["pub", &url, "-u", mosquitto::USER, "-t", "open/x", "-m", "x", "-q", "1", "--quiet"])
            .args(args)
            .env("PW", mosquitto::PASSWORD)
            .run()
            .status(0)
            .says_nothing();
    }
}

#[test]
fn a_file_that_others_can_use_is_warned_of() {
    let server = Scripted::start(echoing);
    for (mode, warned) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true)] {
        let file = secret_file(b"xyzzy\n", mode);
        let file = file.to_string_lossy();
        for option in [&["--bearer-file", &*file][..], &["--auth=u", "--password-file", &file]] {
            let run = wspipe(["echo", &server.ws("/")]).args(option).run();
            run.status(0);
            let found = run.stderr.matches("warning: ").count();
            assert_eq!(found, usize::from(warned), "{mode:o}: {}", run.stderr);
            if warned {
                run.says(&[&file, &format!("mode {mode:o}"), "chmod 600"]);
            }
            wspipe(["echo", &server.ws("/"), "--quiet"]).args(option).run().status(0).says_nothing();
        }
    }
    // Keys: there is no TLS at the other end, and it is said before.
    #[cfg(feature = "tls")]
    for (content, option, warned) in [
        (&b"-----BEGIN PRIVATE KEY-----"[..], "--key", true),
        (b"-----BEGIN EC PRIVATE KEY-----", "--cert", true),
        (b"-----BEGIN CERTIFICATE-----", "--cert", false),
        (b"x", "--pkcs12", true),
        (b"xyzzy", "--key-password-file", true),
    ] {
        let file = secret_file(content, 0o644);
        let file = file.to_string_lossy();
        let with = match option {
            "--key" | "--key-password-file" => &["--cert", "/dev/null"][..],
            _ => &[],
        };
        let url = server.ws("/").replace("ws://", "wss://");
        let run = wspipe(["echo", &url, option, &file]).args(with).run();
        assert_eq!(run.stderr.matches("warning: ").count(), usize::from(warned), "{option}: {}", run.stderr);
    }
    // As a shell hands it over: <(pass show x).
    let run = crate::support::bash(
        r#""$WSPIPE" echo "$1" --bearer-file <(echo xyzzy) --quiet -W 5"#,
        [server.ws("/")],
    )
    .run();
    run.status(0).says_nothing();
    server.finish();
}

#[test]
fn a_password_is_asked_for_at_the_terminal() {
    let server = Scripted::start(echoing);
    for command in [&["--auth", "u"][..], &[]] {
        let url = if command.is_empty() { server.ws("/").replace("//", "//u@") } else { server.ws("/") };
        let mut running = at_a_terminal(wspipe(["echo", &url, "--ask-password", "--quiet"]).args(command));
        wait_screen(&running, "Password: ");
        running.write("xyzzy\n");
        // terminal.py looks whether the echo is back.
        let run = running.finish();
        run.status(0).stdout_is("Password: \r\nhello\r\n");
    }
    let head = request(server);
    assert_eq!(header(&head, "Authorization"), Some("Basic dTp4eXp6eQ=="), "{head}");
}

#[test]
fn the_echo_comes_back_however_the_prompt_ends() {
    // Ctrl-C, Ctrl-D on an empty line, SIGTERM; Ctrl-\ and Ctrl-Z do nothing there.
    for (typed, status) in [("\x03", 130), ("abc\x03", 130), ("\x04", 2), ("\x1c\x1a\x03", 130)] {
        let mut running = at_a_terminal(wspipe(["echo", "ws://127.0.0.1:1/", "--auth=u", "--ask-password"]));
        wait_screen(&running, "Password: ");
        running.write(typed);
        let run = running.finish();
        run.status(status);
        assert!(!String::from_utf8_lossy(&run.stdout).contains("abc"), "no echo");
    }
}

#[test]
fn sigterm_at_the_prompt() {
    // The shell between tells the pid and is replaced.
    let running = at_a_terminal(wspipe(["echo", "ws://127.0.0.1:1/", "--auth=u", "--ask-password"]));
    wait_screen(&running, "Password: ");
    let pid = running.child_of_child();
    rustix::process::kill_process(pid, Signal::TERM).expect("it runs");
    running.finish().status(143);
}

#[test]
fn a_signal_between_the_prompt_and_the_loop() {
    // A named pipe that nobody writes to: opening it takes for ever.
    let pipe = temp_dir("fifo").join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.is_ok_and(|status| status.success()), "coreutils has mkfifo");
    let args = ["pub", "ws://127.0.0.1:1/", "-t", "x", "-u", "u", "--ask-password", "-f"];
    let mut running = at_a_terminal(wspipe(args).args([&pipe]));
    wait_screen(&running, "Password: ");
    running.write("xyzzy\n");
    let pid = running.child_of_child();
    let waits = || {
        let where_to = std::fs::read_to_string(format!("/proc/{}/wchan", pid.as_raw_nonzero()));
        where_to.is_ok_and(|what| what.contains("fifo") || what.contains("wait_for_partner"))
    };
    // Where the kernel does not tell, the time will do.
    if !wait_within(std::time::Duration::from_secs(2), waits) {
        std::thread::sleep(std::time::Duration::from_millis(500));
    }
    rustix::process::kill_process(pid, Signal::TERM).expect("it runs");
    running.finish().status(143);
}

#[test]
fn nobody_is_asked_without_a_terminal() {
    let run = wspipe(["mqtt", "ws://127.0.0.1:1/", "-u", "u", "--ask-password"])
        .inside("setsid")
        .around(["--wait"])
        .run();
    run.status(2).one_line(&["--ask-password", "there is no terminal to ask at"]);
}

#[test]
fn no_usage_error_shows_one() {
    for args in [
        &["echo", "ws://u:Xyzzy7-plugh@h:x/"][..],
        &["echo", "ws://h/", "--auth", "Xyzzy7-plugh"],
        &["echo", "ws://h/", "--auth", "u:Xyzzy7-plugh\n"],
        &["echo", "ws://h/", "--cookie", "Xyzzy7-plugh"],
        &["echo", "ws://h/", "--cookie", "a=Xyzzy7-plugh\u{e9}"],
        &["echo", "ws://h/", "-H", "Authorization: Xyzzy7-plugh\r\nX: y"],
        &["echo", "ws://h/", "-H", "Xyzzy7-plugh"],
        &["mqtt", "mqtt://u:Xyzzy7-plugh@h/path"],
    ] {
        wspipe(args.iter().copied()).run().status(2).never_says(&[SECRET]);
    }
}
