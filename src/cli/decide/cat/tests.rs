//! What of `wspipe cat` one flag does not decide alone.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    time::Duration,
};

use crate::{
    cli::{
        Invocation, UsageError, parse,
        tests::{TempFile, refused},
    },
    config::{Cat, Config, Endpoint, Framing, Mode},
};

fn try_cat<A: AsRef<OsStr>>(rest: &[A]) -> Result<(Endpoint, Cat), UsageError> {
    let line = ["cat", "ws://h"].into_iter().map(OsString::from);
    let line = line.chain(rest.iter().map(|argument| argument.as_ref().to_owned()));
    match parse(line, &|_| None)? {
        Invocation::Run(Config { mode: Mode::Cat(endpoint, cat), .. }) => Ok((endpoint, cat)),
        other => panic!("{other:?}"),
    }
}

fn cat(rest: &[&str]) -> Cat {
    match try_cat(rest) {
        Ok((_, cat)) => cat,
        Err(error) => panic!("{rest:?}: {error}"),
    }
}

#[test]
fn defaults() {
    let (endpoint, cat) = try_cat::<&str>(&[]).expect("a URL is enough");
    assert_eq!(endpoint.url.to_string(), "ws://h/");
    assert_eq!(endpoint.max_message, 64 << 20);
    assert_eq!((endpoint.connect_timeout.as_secs(), endpoint.close_timeout.as_secs()), (30, 5));
    assert!(endpoint.headers.is_empty() && endpoint.subprotocols.is_empty());
    assert_eq!((cat.input, cat.output), (Framing::Line, Framing::Line));
    assert!(!(cat.binary || cat.strict || cat.no_stdin || cat.reconnect || cat.echo || cat.raw));
    assert_eq!((cat.count, cat.until, cat.max_retries), (None, None, None));
    assert_eq!((cat.quiet, cat.timeout), (Some(Duration::from_secs(1)), None));
    assert_eq!((cat.ping_interval, cat.ping_timeout), (None, None));
    assert!(cat.on_open.is_empty());
    assert_eq!((cat.close_code, &*cat.close_reason), (1000, ""));
}

#[test]
fn quiet_ends_it_where_nothing_else_is_waited_for() {
    let second = Some(Duration::from_secs(1));
    for (args, quiet) in [
        (&[][..], second),
        (&["-W", "9"], second),
        (&["--reconnect"], second),
        (&["--no-stdin"], None),
        (&["-C", "2"], None),
        (&["-1"], None),
        (&["--until", "x"], None),
        (&["--echo"], None),
        (&["-w", "inf"], None),
        (&["-C", "2", "-w", "1"], second),
        (&["--no-stdin", "-w1"], second),
        (&["-w1", "--until=x"], second),
        (&["-1", "-w0"], Some(Duration::ZERO)),
        (&["-w", "3", "-winf"], None),
    ] {
        assert_eq!(cat(args).quiet, quiet, "{args:?}");
    }
}

#[test]
fn echo_reads_no_stdin() {
    assert!(cat(&["--echo"]).no_stdin && cat(&["--echo"]).echo);
    let all = cat(&["--echo", "-b", "-C3", "--until=x", "--on-open", "hi", "--reconnect", "-W5"]);
    assert_eq!((all.count, &all.on_open[0][..], all.binary), (Some(3), &b"hi"[..], true));
    assert!(!cat(&["--no-stdin"]).echo);
}

#[test]
fn null_is_for_what_is_not_said() {
    for (args, expected) in [
        (&["-0"][..], (Framing::Null, Framing::Null)),
        (&["-0", "--in", "line"], (Framing::Line, Framing::Null)),
        (&["--out", "chunk", "-0"], (Framing::Null, Framing::Chunk)),
        (&["--in=whole", "--out=length"], (Framing::Whole, Framing::Length)),
    ] {
        let cat = cat(args);
        assert_eq!((cat.input, cat.output), expected, "{args:?}");
    }
    // Of a strict output it is the separator that counts.
    assert!(cat(&["--strict", "-0", "--in=length"]).strict);
    assert!(refused(&["cat", "ws://h", "--strict", "-0", "--out=length"]).contains("--strict is for"));
}

#[test]
fn close_codes_are_those_of_a_close_frame() {
    let allowed = |code: u16| match try_cat(&["--close-status-code", &code.to_string()]) {
        Ok((_, cat)) => cat.close_code == code,
        Err(error) => {
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(&format!("not '{code}'")), "{error}");
            false
        }
    };
    for code in [1000, 1001, 1003, 1007, 1010, 1014, 3000, 3999, 4000, 4999] {
        assert!(allowed(code), "{code}");
    }
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65535] {
        assert!(!allowed(code), "{code}");
    }
}

#[test]
fn close_reasons_are_counted_in_bytes() {
    let ascii = "x".repeat(123);
    assert_eq!(cat(&["--close-reason", &ascii]).close_reason, ascii);
    assert_eq!(cat(&["--close-reason=a", "--close-status-code=4000"]).close_code, 4000);
    for reason in ["x".repeat(124), "\u{e9}".repeat(62)] {
        let error = refused(&["cat", "ws://h", "--close-reason", &reason]);
        assert!(error.contains("at most 123 bytes") && error.contains("not 124"), "{error}");
    }
    let error = try_cat(&[OsStr::new("--close-reason"), OsStr::from_bytes(b"\xff")]).expect_err("not UTF-8");
    assert!(error.to_string().contains("--close-reason '\u{fffd}' is not UTF-8"), "{error}");
}

#[test]
fn on_open_takes_texts_and_files() {
    let file = TempFile::new("on-open", b"{\"a\":1}\n\0");
    let at = format!("@{}", file.path());
    let cat = cat(&["--on-open", "@@at", "--on-open", &at, "--on-open", "a@b", "--on-open=@@@"]);
    let expected: [&[u8]; 4] = [b"@at", b"{\"a\":1}\n\0", b"a@b", b"@@"];
    assert_eq!(cat.on_open, expected);

    for path in ["/nonexistent/file", "/"] {
        let error = try_cat(&["--on-open".to_owned(), format!("@{path}")]).expect_err(path);
        assert!(error.exit_code() == 26 && error.to_string().contains(path), "{error}");
    }
    // What never ends is not read to its end.
    let error = try_cat(&["-b", "--on-open", "@/dev/zero"]).expect_err("endless");
    assert!(error.exit_code() == 26 && error.to_string().contains("more than 64 MiB"), "{error}");
}

#[test]
fn on_open_is_utf8_or_binary() {
    let raw = OsStr::from_bytes(b"\xff@");
    let file = TempFile::new("on-open-binary", b"\xfe\xff");
    let at = OsString::from(format!("@{}", file.path()));
    for (value, status) in [(raw, 2), (&at, 26)] {
        let error = try_cat(&[OsStr::new("--on-open"), value]).expect_err("not UTF-8");
        assert_eq!(error.exit_code(), status, "{error}");
        assert!(error.to_string().contains("not UTF-8") && error.to_string().contains("-b"), "{error}");
        assert!(!error.to_string().contains(char::is_control), "{error}");
    }
    let (_, cat) = try_cat(&[OsStr::new("-b"), OsStr::new("--on-open"), raw, OsStr::new("--on-open"), &at])
        .expect("binary");
    let expected: [&[u8]; 2] = [b"\xff@", b"\xfe\xff"];
    assert_eq!(cat.on_open, expected);
}

#[test]
fn the_url_s_login_is_http_basic() {
    let (endpoint, _) = match parse(["cat", "ws://u:p@h/x?y"].iter().map(OsString::from), &|_| None) {
        Ok(Invocation::Run(Config { mode: Mode::Cat(endpoint, cat), .. })) => (endpoint, cat),
        other => panic!("{other:?}"),
    };
    assert_eq!(endpoint.headers, [("Authorization".to_owned(), "Basic dTpw".to_owned())]);
    assert_eq!(endpoint.url.to_string(), "ws://h/x?y");
}

#[test]
fn flags_of_other_tools_are_answered() {
    for (arg, part) in [
        ("-n", "say -w inf"),
        ("--no-close", "--no-stdin"),
        ("-E", "the server's Close ends it"),
        ("--exit-on-eof", "the server's Close ends it"),
        ("--max-messages-rev", "say -C N"),
        ("-s", "say --subprotocol NAME or --quiet; a server is 'wspipe serve'"),
        ("-c", "the URL stands by itself"),
        ("--connect", "the URL stands by itself"),
        ("-x", "say --on-open TEXT"),
        ("--execute", "say --on-open TEXT"),
        ("--base64", "say --in base64"),
        ("--lengthprefixed", "--out length"),
        ("--interface", "say --bind ADDR"),
        ("--oauth2-bearer", "say --bearer-file FILE"),
        ("--location-trusted", "say --location"),
        ("-S", "never split"),
        ("-u", "/dev/null"),
        ("-U", "say --no-stdin"),
        ("--preamble", "say --on-open"),
        ("-P", "say -d"),
        ("--autoreconnect", "say --reconnect"),
        ("-N", "as soon as it has come"),
        ("--no-buffer", "as soon as it has come"),
        ("-T", "< FILE"),
        ("-o", "> FILE"),
        ("--data", "--on-open"),
        ("--max-time", "say -W SEC"),
        ("-m", "messages come from stdin"),
        ("--no-check", "say --insecure"),
        ("-l", "wspipe serve"),
        ("-x", "curl's -x is --proxy"),
        ("--socks5", "say --proxy socks5://HOST:PORT"),
        ("--socks5-hostname", "say --proxy socks5h://"),
        ("--proxy-user", "in the URL of --proxy"),
        ("--proxytunnel", "leave it out"),
        ("--user", "say --auth USER:PASSWORD"),
        ("--ua", "User-Agent"),
        ("-v", "say -d"),
        ("-i", "it belongs to 'wspipe echo', 'wspipe mqtt', 'wspipe pub', 'wspipe sub' and 'wspipe rr', not"),
        ("--reconect", "did you mean --reconnect?"),
        ("-no-stdin", "did you mean --no-stdin, with two dashes?"),
        ("--no-stdn", "did you mean --no-stdin?"),
    ] {
        let error = refused(&["cat", arg, "ws://h"]);
        assert!(error.contains(part), "{arg}: '{part}' is not in: {error}");
    }
}
