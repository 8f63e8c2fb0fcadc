//! `wspipe echo` against a server that is not ours (Python `websockets`).

use std::{fs::OpenOptions, time::Duration};

use rustix::pipe::{PipeFlags, pipe_with};

use crate::support::{free_port, unaccepting, websockets, wspipe};

/// The first line of a ping-like run's summary counts what was sent and received.
#[track_caller]
fn summary(stdout: &str) -> &str {
    stdout.lines().find(|line| line.contains("sent")).expect("a summary that says how many were sent")
}

#[test]
fn one_shot_prints_the_reply_and_nothing_else() {
    let server = websockets::shared();
    wspipe(["echo", &server.url("/echo"), "over and out"])
        .shows(server.log())
        .run()
        .status(0)
        .stdout_is("over and out\n");
}

#[test]
fn the_default_message_is_hello() {
    wspipe(["echo", &websockets::shared().url("/echo")]).run().status(0).stdout_is("hello\n");
}

#[test]
fn options_may_stand_before_and_after_the_url() {
    let url = websockets::shared().url("/echo");
    wspipe(["echo", "-b", &url, "x", "--quiet"]).run().status(0).stdout_is("x\n").says_nothing();
    wspipe(["echo", "-b", "--quiet", "--", &url, "-b"]).run().status(0).stdout_is("-b\n");
}

#[test]
fn text_is_utf8_and_any_of_it() {
    let url = websockets::shared().url("/echo");
    for message in ["grüße, 世界 🦀", "two\nlines", "\u{feff}bom", " blanks ", "%41", "\u{10ffff}"] {
        wspipe(["echo", &url, message]).run().status(0).stdout_is(format!("{message}\n"));
    }
}

#[test]
fn an_empty_message_is_a_message() {
    let url = websockets::shared().url("/echo");
    wspipe(["echo", &url, ""]).run().status(0).stdout_is("\n");
    wspipe(["echo", &url, "", "-b"]).run().status(0).stdout_is("\n");
}

#[test]
fn a_mebibyte_goes_there_and_back() {
    let run = wspipe(["echo", &websockets::shared().url("/echo"), "-b", "--size", "1048576"]).run();
    run.status(0);
    assert_eq!(run.stdout.len(), 1_048_577, "the message and a newline");
}

#[test]
fn lengths_around_the_frame_formats_steps() {
    let url = websockets::shared().url("/echo");
    for size in [1, 125, 126, 127, 65535, 65536] {
        let run = wspipe(["echo", &url, "--size", &size.to_string()]).run();
        run.status(0);
        assert_eq!(run.stdout.len(), size + 1, "--size {size}");
    }
}

#[test]
fn size_repeats_a_pattern() {
    let run = wspipe(["echo", &websockets::shared().url("/echo"), "--size", "2k"]).run();
    run.status(0);
    assert!(run.stdout.is_ascii() && run.stdout.len() == 2049);
}

#[test]
fn counted_runs_print_a_line_for_each_reply_and_a_summary() {
    let url = websockets::shared().url("/echo");
    for binary in [&["-b"][..], &[]] {
        let args = ["echo", &url, "-c", "3", "-i", "0.01", "--size", "100"];
        let run = wspipe(args).args(binary).run();
        run.status(0);
        let stdout = String::from_utf8_lossy(&run.stdout);
        let replies = stdout.lines().filter(|line| line.contains("100 bytes") && line.contains("ms")).count();
        if replies != 3 {
            run.fail("not three lines that say `100 bytes` and the time in ms");
        }
        for word in ["3 sent", "3 received", "0 lost", "min", "avg", "p50", "p99", "max"] {
            if !stdout.contains(word) {
                run.fail(&format!("the summary does not say {word:?}"));
            }
        }
    }
}

#[test]
fn counted_runs_keep_the_interval() {
    let url = websockets::shared().url("/echo");
    let run = wspipe(["echo", &url, "--count=4", "--interval=0.1"]).run();
    run.status(0);
    if run.took < Duration::from_millis(300) {
        run.fail("four messages at 0.1 s take at least 0.3 s");
    }
}

#[test]
fn other_bytes_are_a_failed_test() {
    let server = websockets::shared();
    for args in [&["--quiet"][..], &["-b", "--quiet"]] {
        wspipe(["echo", &server.url("/wrong"), "abc"]).args(args).run().status(1).one_line(&["differ"]);
    }
    // A reply of the other kind is not what was sent either.
    wspipe(["echo", &server.url("/other"), "abc", "--quiet"]).run().status(1).one_line(&["binary"]);
}

#[test]
fn other_bytes_in_a_counted_run_are_a_failed_test() {
    let run = wspipe(["echo", &websockets::shared().url("/wrong"), "-c", "2", "-i", "0.01", "abc"]).run();
    run.status(1);
    assert!(summary(&String::from_utf8_lossy(&run.stdout)).contains("2 sent"));
}

#[test]
fn greetings_can_be_skipped() {
    let url = websockets::shared().url("/greet");
    wspipe(["echo", &url, "abc", "--skip", "1"]).run().status(0).stdout_is("abc\n");
    // Without it the greeting is taken for the reply.
    wspipe(["echo", &url, "abc", "--quiet"]).run().status(1).one_line(&["--skip"]);
}

#[test]
fn a_server_that_never_replies_times_out() {
    let url = websockets::shared().url("/mute");
    let run = wspipe(["echo", &url, "-W", "0.3", "--quiet"]).run();
    run.status(28).stdout_is("").one_line(&["reply", "0.3"]).within(Duration::from_secs(3));
}

#[test]
fn a_lost_reply_is_counted() {
    let url = websockets::shared().url("/once");
    let run = wspipe(["echo", &url, "-c", "2", "-i", "0.01", "-W", "0.3"]).run();
    let stdout = String::from_utf8_lossy(&run.stdout).into_owned();
    for word in ["2 sent", "1 received", "1 lost"] {
        if !stdout.contains(word) {
            run.fail(&format!("the summary does not say {word:?}"));
        }
    }
    run.status(28);
}

#[test]
fn the_peers_close_code_is_told() {
    let url = websockets::shared().url("/close");
    wspipe(["echo", &url, "--quiet"]).run().status(10).one_line(&["1011", "out of order"]);
}

#[test]
fn nobody_listens() {
    let url = format!("ws://127.0.0.1:{}/", free_port());
    wspipe(["echo", &url, "--quiet"]).run().status(7).stdout_is("").one_line(&["127.0.0.1", "refused"]);
}

#[test]
fn a_connection_that_nobody_accepts() {
    let (port, _listener, _queued) = unaccepting();
    let run =
        wspipe(["echo", &format!("ws://127.0.0.1:{port}/"), "--connect-timeout", "0.5", "--quiet"]).run();
    run.status(28).one_line(&["connect", "127.0.0.1", "0.5 s"]).within(Duration::from_secs(4));
}

#[test]
fn an_unknown_host() {
    wspipe(["echo", "ws://name.invalid/", "--quiet"])
        .run()
        .status(6)
        .stdout_is("")
        .one_line(&["name.invalid"]);
}

#[test]
fn localhost_is_found_whatever_the_resolver_says() {
    let url = websockets::shared().url("/echo").replace("127.0.0.1", "localhost");
    wspipe(["echo", &url]).run().status(0).stdout_is("hello\n");
}

#[test]
fn userinfo_is_http_basic() {
    let url = websockets::shared().url("/basic");
    wspipe(["echo", &url, "--quiet"]).run().status(22).one_line(&["401", "who are you?"]);
    let url = url.replace("ws://", "ws://anna:secret@");
    wspipe(["echo", &url, "-d", "-d"])
        .run()
        .status(0)
        .stdout_is("hello\n")
        .never_says(&["secret", "YW5uYTpzZWNyZXQ="]);
}

#[test]
fn no_secret_is_in_any_log_line_whatever_rust_log_says() {
    // tungstenite traces whole requests and payloads: our logger does not let them through.
    let server = websockets::shared();
    let basic = server.url("/basic").replace("ws://", "ws://anna:secret@");
    for level in
        ["trace", "debug,tungstenite=trace", "tungstenite=trace", "wspipe=trace,tungstenite=trace", "off"]
    {
        let run =
            wspipe(["echo", &basic, "open sesame", "-H", "Cookie: session=c00kie", "-H", "X-Token: t0ken"])
                .env("RUST_LOG", level)
                .run();
        let secrets = ["secret", "YW5uYTpzZWNyZXQ", "c00kie", "t0ken", "sesame", "tungstenite"];
        run.status(0).stdout_is("open sesame\n").never_says(&secrets);
        let run = wspipe(["echo", &server.url("/echo"), "-H", "Authorization: Bearer b3arer", "-c", "2"])
            .args(["-i", "0", "--size", "100", "-dd"])
            .env("RUST_LOG", level)
            .run();
        run.status(0).never_says(&["b3arer", "0123456789", "tungstenite"]);
        // Nor where it fails.
        let run = wspipe(["echo", &basic.replace("secret", "s3cret"), "-H", "X-Token: t0ken"])
            .env("RUST_LOG", level)
            .run();
        run.status(22).never_says(&["s3cret", "t0ken", "tungstenite"]);
    }
}

#[test]
fn a_token_in_the_query_is_not_shown() {
    let url = websockets::shared().url("/echo?token=t0ken&x=y");
    for args in [&["-dd"][..], &["-c", "2", "-i", "0"], &["-W", "0.000001"]] {
        let run = wspipe(["echo", &url]).args(args).run();
        run.never_says(&["t0ken"]).says(&["/echo?..."]);
        assert!(!String::from_utf8_lossy(&run.stdout).contains("t0ken"));
    }
}

#[test]
fn greetings_are_skipped_in_counted_runs_too() {
    let url = websockets::shared().url("/greet");
    let run = wspipe(["echo", &url, "abc", "--skip=1", "-c", "3", "-i", "0", "-b"]).run();
    run.status(0);
    assert!(summary(&String::from_utf8_lossy(&run.stdout)).contains("3 sent, 3 received, 0 lost"));
    // More than come: the reply is passed over, and no other follows.
    wspipe(["echo", &url, "abc", "--skip", "2", "-W", "0.3", "--quiet"])
        .run()
        .status(28)
        .one_line(&["reply"]);
}

#[test]
fn headers_are_sent() {
    let url = websockets::shared().url("/header");
    wspipe(["echo", &url, "seen", "-H", "X-Test: seen"]).run().status(0).stdout_is("seen\n");
}

#[test]
fn the_log_level_goes_by_flag_and_environment() {
    let url = websockets::shared().url("/echo");
    wspipe(["echo", &url, "--quiet"]).run().status(0).stdout_is("hello\n").says_nothing();
    let debug = wspipe(["echo", &url, "-d"]).run();
    let environment = wspipe(["echo", &url]).env("RUST_LOG", "debug").run();
    let normal = wspipe(["echo", &url]).run();
    for more in [&debug, &environment] {
        assert!(
            more.stderr.lines().count() > normal.stderr.lines().count(),
            "debug says more: {}",
            more.stderr
        );
    }
    // tungstenite traces whole payloads; our logger does not let them through.
    wspipe(["echo", &url, "sesame"]).env("RUST_LOG", "trace").run().status(0).never_says(&["tungstenite"]);
}

#[test]
fn stdout_that_cannot_be_written() {
    // /dev/full answers ENOSPC to every write.
    let url = websockets::shared().url("/echo");
    let full = OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
    wspipe(["echo", &url, "--quiet"]).stdout(full).run().status(23).one_line(&["stdout"]);
}

#[test]
fn a_reader_that_is_gone_is_a_quiet_end() {
    let url = websockets::shared().url("/echo");
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).expect("a pipe");
    drop(reader);
    wspipe(["echo", &url, "--quiet", "-c", "3", "-i", "0.01"]).stdout(writer).run().status(0).says_nothing();
}
