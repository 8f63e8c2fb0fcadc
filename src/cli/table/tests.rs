//! Each flag of each command, understood and refused; and the table itself.

use std::ffi::OsString;

use super::FLAGS;
use crate::cli::{Invocation, command::Command, flags, parse_asking, tests::refused};

mod connection;
mod mqtt;
mod tls;

/// The flag, the command, arguments, and a part of what comes of them.
type Row = (&'static str, &'static str, &'static [&'static str], &'static str);

/// The part is one of `Debug` of the whole Config.
///
/// `Debug` hides header values and passwords: these have tests of their own below.
const GOOD: &[Row] = &[
    ("--topic", "mqtt", &["-t", "a/b"], r#"topic: "a/b""#),
    ("--message", "mqtt", &["--message=x=y"], r#"message: b"x=y""#),
    ("--qos", "mqtt", &["-q2"], "qos: ExactlyOnce"),
    ("--retain", "mqtt", &["-r"], "retain: true"),
    ("--count", "echo", &["-c5"], "count: Some(5)"),
    ("--count", "mqtt", &["--count", "5"], "count: Some(5)"),
    ("--interval", "echo", &["-c2", "-i", "0.25"], "interval: 250ms"),
    ("--interval", "mqtt", &["--count=2", "--interval=0"], "interval: 0ns"),
    ("--size", "echo", &["--size", "3"], r#"message: b"012""#),
    ("--binary", "echo", &["-b"], "binary: true"),
    ("--skip", "echo", &["--skip=3"], "skip: 3"),
    ("--timeout", "echo", &["-W", "1.5"], "timeout: 1.5s, raw"),
    ("--timeout", "mqtt", &["-W7"], "timeout: 7s }"),
    ("--password-file", "echo", &["--auth=u", "--password-file=/dev/null"], r#"headers: ["Authorization"]"#),
    ("--password-env", "echo", &["--auth=u", "--password-env=SECRET"], r#"headers: ["Authorization"]"#),
    ("--ask-password", "echo", &["--auth=u", "--ask-password"], r#"headers: ["Authorization"]"#),
    ("--password-file", "cat", &["--auth=u", "--password-file=/dev/null"], r#"headers: ["Authorization"]"#),
    ("--password-env", "cat", &["--auth=u", "--password-env=SECRET"], r#"headers: ["Authorization"]"#),
    ("--ask-password", "cat", &["--auth=u", "--ask-password"], r#"headers: ["Authorization"]"#),
    ("--ask-password", "mqtt", &["--ask-password"], r#"password: Some("hidden")"#),
    ("--location", "echo", &["-L"], "redirects: Some(10)"),
    ("--max-rtt", "echo", &["--max-rtt", "250"], "max_rtt: Some(250ms)"),
    ("--max-rtt", "mqtt", &["--max-rtt=1.5"], "max_rtt: Some(1.5ms)"),
    ("--timing", "echo", &["--timing"], "timing: Some(Text)"),
    ("--timing", "cat", &["--timing=json"], "timing: Some(Json)"),
    ("--timing", "mqtt", &["--timing=text"], "timing: Some(Text)"),
    ("--timing", "mqtt", &["--timing", "--quiet"], "timing: Some(Text)"),
    ("--json", "echo", &["--timing", "--json"], "timing: Some(Json)"),
    ("--json", "cat", &["--json", "--timing"], "timing: Some(Json)"),
    ("--json", "mqtt", &["--timing=json", "--json"], "timing: Some(Json)"),
    ("--json", "echo", &["--json"], "timing: None"),
    ("--json", "echo", &["--json"], "report: Report { json: true, plot: None }"),
    ("--json", "mqtt", &["--json", "--timing=text"], "timing: Some(Text)"),
    ("--plot", "echo", &["--plot", "a.svg"], r#"report: Report { json: false, plot: Some("a.svg") }"#),
    ("--plot", "mqtt", &["--json", "--plot=b.svg"], r#"report: Report { json: true, plot: Some("b.svg") }"#),
    ("--username", "mqtt", &["-u", "bob"], r#"username: Some("bob")"#),
    ("--username", "mqtt", &["--user", "bob"], r#"username: Some("bob")"#),
    ("--pw", "mqtt", &["-u", "bob", "-P", "pw"], r#"password: Some("hidden")"#),
    ("--pw", "mqtt", &["-u", "bob", "--password", "pw"], r#"password: Some("hidden")"#),
    ("--password-file", "mqtt", &["--password-file", "/dev/null"], r#"password: Some("hidden")"#),
    ("--password-env", "mqtt", &["--password-env", "SECRET"], r#"password: Some("hidden")"#),
    ("--protocol-version", "mqtt", &["-V", "311"], "version: Some(V311)"),
    ("--protocol-version", "mqtt", &["-V5"], "version: Some(V5)"),
    ("--protocol-version", "mqtt", &["-V", "mqttv311"], "version: Some(V311)"),
    ("--protocol-version", "mqtt", &["--protocol-version=mqttv5"], "version: Some(V5)"),
    ("--disable-clean-session", "mqtt", &["-c", "-i", "me"], "keep_session: true"),
    ("--session-expiry-interval", "mqtt", &["-x", "300"], "session_expiry: Some(300)"),
    ("--session-expiry-interval", "mqtt", &["-x", "-1"], "session_expiry: Some(4294967295)"),
    ("--session-expiry-interval", "mqtt", &["-xnever"], "session_expiry: Some(4294967295)"),
    ("--session-expiry-interval", "mqtt", &["-x", "\u{221e}"], "session_expiry: Some(4294967295)"),
    ("--id", "mqtt", &["-i", "me"], r#"client_id: Some("me")"#),
    ("--id-prefix", "mqtt", &["-I", "me-"], r#"client_id: Some("me-"#),
    ("--keepalive", "mqtt", &["-k", "0"], "keep_alive: 0"),
    ("--ack-timeout", "mqtt", &["--ack-timeout", "2"], "ack_timeout: 2s"),
    ("--will-topic", "mqtt", &["--will-topic", "w"], r#"will: Some(Will { topic: "w", payload: b"""#),
    ("--will-payload", "mqtt", &["--will-topic=w", "--will-payload", "-q"], r#"payload: b"-q""#),
    ("--will-qos", "mqtt", &["--will-topic=w", "--will-qos=1"], "qos: AtLeastOnce, retain: false, delay"),
    ("--will-retain", "mqtt", &["--will-topic=w", "--will-retain"], "retain: true, delay_interval: None"),
    (
        "--will-delay-interval",
        "mqtt",
        &["--will-topic=w", "--will-delay-interval=9"],
        "delay_interval: Some(9)",
    ),
    ("--header", "echo", &["-H", "X-A: b"], r#"headers: ["X-A"]"#),
    ("--header", "mqtt", &["-HX-A: b", "--header", "host: h"], r#"headers: ["X-A", "host"]"#),
    ("--subprotocol", "echo", &["--subprotocol", "a", "--protocol=b"], r#"subprotocols: ["a", "b"]"#),
    ("--origin", "echo", &["--origin", "http://h"], r#"headers: ["Origin"]"#),
    ("--origin", "mqtt", &["--origin=http://h"], r#"headers: ["Origin"]"#),
    ("--connect-timeout", "echo", &["--connect-timeout", "2"], "connect_timeout: 2s"),
    ("--connect-timeout", "mqtt", &["--connect-timeout=.5"], "connect_timeout: 500ms"),
    (
        "--proxy",
        "echo",
        &["--proxy", "h"],
        r#"proxy: Ok(Proxy { scheme: Http, host: "h", port: 1080, login: None"#,
    ),
    ("--proxy", "echo", &["--proxy="], "secure: None, plain: None"),
    (
        "--proxy",
        "mqtt",
        &["--proxy", "socks5h://a:xyzzy@h:1"],
        r#"Socks5h, host: "h", port: 1, login: Some("hid"#,
    ),
    ("--no-proxy", "echo", &["--no-proxy", "*"], "NoProxy { all: true"),
    (
        "--no-proxy",
        "mqtt",
        &["--noproxy=.a,10.0.0.0/8"],
        r#"Name("a"), port: None }, Entry { host: Network(10.0."#,
    ),
    ("--close-timeout", "echo", &["--close-timeout", "0"], "close_timeout: 0ns"),
    ("--close-timeout", "mqtt", &["--close-timeout=1"], "close_timeout: 1s"),
    ("--max-message", "echo", &["--max-message", "1k"], "max_message: 1024"),
    ("--max-message", "mqtt", &["--max-message=2M"], "max_message: 2097152"),
    ("--max-message", "serve", &["--max-message=77"], "max_message: 77"),
    ("--insecure", "echo", &["-k"], "insecure: true"),
    ("--debug", "echo", &["-d"], "verbosity: Debug"),
    ("--debug", "mqtt", &["-dd"], "verbosity: Trace"),
    ("--debug", "serve", &["--debug"], "verbosity: Debug"),
    ("--quiet", "echo", &["--quiet"], "verbosity: Quiet"),
    ("--quiet", "mqtt", &["--quiet"], "verbosity: Quiet"),
    ("--quiet", "serve", &["--quiet"], "verbosity: Quiet"),
    ("--raw", "echo", &["--raw"], "raw: true"),
    ("--in", "cat", &["--in", "length"], "input: Length, output: Line"),
    ("--in", "cat", &["--in=chunk"], "input: Chunk"),
    ("--in", "cat", &["--in=whole"], "input: Whole"),
    ("--in", "cat", &["--in=json"], "input: Json"),
    ("--in", "cat", &["--in=null", "--in=line"], "input: Line"),
    ("--out", "cat", &["--out", "base64"], "input: Line, output: Base64"),
    ("--out", "cat", &["-0", "--out=json"], "input: Null, output: Json"),
    ("--null", "cat", &["-0"], "input: Null, output: Null"),
    ("--null", "cat", &["--null"], "input: Null, output: Null"),
    ("--null", "cat", &["--null-terminated", "--in", "whole"], "input: Whole, output: Null"),
    ("--binary", "cat", &["-b"], "binary: true"),
    ("--binary", "cat", &["-t", "--binary"], "binary: true"),
    ("--text", "cat", &["-b", "-t"], "binary: false"),
    ("--text", "cat", &["-bt", "--in=json"], "binary: false"),
    ("--text", "cat", &["--text", "--on-open", "--binary"], "binary: false"),
    ("--strict", "cat", &["--strict"], "strict: true"),
    ("--strict", "cat", &["--strict", "-0"], "strict: true"),
    ("--no-stdin", "cat", &["--no-stdin"], "no_stdin: true, count: None"),
    ("--on-open", "cat", &["--on-open", "a", "--on-open=-b"], r#"on_open: [b"a", b"-b"]"#),
    ("--on-open", "cat", &["--on-open", "@@a@b", "--on-open="], r#"on_open: [b"@a@b", b""]"#),
    ("--on-open", "cat", &["--on-open", "@/dev/null"], r#"on_open: [b""]"#),
    ("--echo", "cat", &["--echo", "-C3"], "echo: true, raw"),
    ("--count", "cat", &["-C5"], "count: Some(5)"),
    ("--count", "cat", &["--max-messages", "5"], "count: Some(5)"),
    ("--one-message", "cat", &["-1"], "count: Some(1)"),
    ("--one-message", "cat", &["--one-message", "-C1"], "count: Some(1)"),
    ("--until", "cat", &["--until", "-C"], r#"until: Some(b"-C")"#),
    ("--wait", "cat", &["-w", "0.5"], "quiet: Some(500ms)"),
    ("--wait", "cat", &["-w0"], "quiet: Some(0ns)"),
    ("--wait", "cat", &["--wait=inf"], "quiet: None"),
    ("--timeout", "cat", &["-W", "7"], "timeout: Some(7s), ping"),
    ("--ping-interval", "cat", &["--ping-interval", "20"], "ping_interval: Some(20s), ping_timeout: None"),
    (
        "--ping-timeout",
        "cat",
        &["--ping-timeout=5", "--ping-interval=20"],
        "ping_interval: Some(20s), ping_timeout: Some(5s)",
    ),
    ("--reconnect", "cat", &["--reconnect"], "reconnect: true, max_retries: None"),
    ("--max-retries", "cat", &["--max-retries", "3", "--reconnect"], "max_retries: Some(3)"),
    ("--max-retries", "cat", &["--reconnect", "--max-retries=0"], "max_retries: Some(0)"),
    ("--close-status-code", "cat", &["--close-status-code", "4999"], "close_code: 4999"),
    ("--close-reason", "cat", &["--close-reason", "bye"], r#"close_code: 1000, close_reason: "bye""#),
    ("--raw", "cat", &["--raw"], "echo: false, raw: true"),
    ("--header", "cat", &["-H", "X-A: b"], r#"headers: ["X-A"]"#),
    ("--subprotocol", "cat", &["--subprotocol", "a", "--protocol=b"], r#"subprotocols: ["a", "b"]"#),
    ("--origin", "cat", &["--origin", "http://h"], r#"headers: ["Origin"]"#),
    ("--connect-timeout", "cat", &["--connect-timeout", "2"], "connect_timeout: 2s"),
    ("--proxy", "cat", &["--proxy=socks5://h:9"], r#"scheme: Socks5, host: "h", port: 9"#),
    ("--no-proxy", "cat", &["--no-proxy="], "NoProxy { all: false, entries: [] }"),
    ("--close-timeout", "cat", &["--close-timeout", "0"], "close_timeout: 0ns"),
    ("--max-message", "cat", &["--max-message", "1k"], "max_message: 1024"),
    ("--insecure", "cat", &["-k"], "insecure: true"),
    ("--debug", "cat", &["-dd"], "verbosity: Trace"),
    ("--quiet", "cat", &["--quiet"], "verbosity: Quiet"),
];

/// The part is one of the error.
const BAD: &[Row] = &[
    ("--topic", "mqtt", &["-t", "a/#"], "-t/--topic 'a/#': the topic contains a wildcard"),
    ("--topic", "mqtt", &["-t", ""], "the topic is empty"),
    ("--topic", "mqtt", &["-t"], "-t/--topic needs a value: TOPIC"),
    ("--message", "mqtt", &["-m"], "-m/--message needs a value: TEXT"),
    ("--qos", "mqtt", &["-q", "3"], "-q/--qos takes 0, 1 or 2, not '3'"),
    ("--retain", "mqtt", &["--retain=true"], "--retain takes no value"),
    ("--count", "echo", &["-c", "0"], "-c/--count takes at least 1"),
    ("--count", "echo", &["-c", "five"], "-c/--count takes a whole number from 0"),
    ("--count", "echo", &["-c=5"], "not '=5'"),
    ("--count", "echo", &["--count="], "not ''"),
    ("--count", "echo", &["-c", "ws://u:secret@h/"], "not 'ws://...@h/' (the URL stands by itself)"),
    ("--count", "echo", &["-c", "99999999999999999999"], "18446744073709551615"),
    ("--count", "mqtt", &["--count", "-1"], "--count takes a whole number"),
    ("--interval", "echo", &["-i", "1"], "-i/--interval needs -c/--count"),
    ("--interval", "mqtt", &["--interval", "1"], "--interval needs --count"),
    ("--interval", "echo", &["-c1", "-i", "inf"], "takes a number of seconds"),
    ("--interval", "echo", &["-c1", "-i", "-1"], "takes a number of seconds"),
    ("--size", "echo", &["--size", "1T"], "takes a number of bytes (1000, 64k, 8M), at most 4G, not '1T'"),
    ("--size", "echo", &["--size", "k"], "not 'k'"),
    ("--size", "echo", &["--size", "99999999999G"], "at most 4G"),
    ("--size", "echo", &["--size", "65M"], "--max-message (67108864 bytes)"),
    ("--size", "echo", &["--size", "5", "ws://h", "x"], "MESSAGE and --size"),
    ("--binary", "echo", &["-b=1"], "-b takes no value"),
    ("--binary", "echo", &["--binary=1"], "--binary takes no value"),
    ("--skip", "echo", &["--skip", "x"], "--skip takes a whole number"),
    ("--timeout", "echo", &["-W", "0"], "--timeout takes more than 0 seconds"),
    (
        "--timeout",
        "mqtt",
        &["-W", "5s"],
        "-W/--timeout takes a number of seconds from 0 to 31536000, not '5s'",
    ),
    ("--timeout", "mqtt", &["-W", "99999999"], "31536000"),
    ("--max-rtt", "echo", &["--max-rtt", "0"], "--max-rtt takes a number of milliseconds above 0, not '0'"),
    ("--max-rtt", "echo", &["--max-rtt", "0.0000001"], "above 0, not '0.0000001'"),
    ("--max-rtt", "mqtt", &["--max-rtt", "50ms"], "not '50ms'"),
    ("--max-rtt", "mqtt", &["--max-rtt=inf"], "not 'inf'"),
    ("--timing", "echo", &["--timing=xml"], "--timing takes text or json, not 'xml'"),
    ("--timing", "cat", &["--timing="], "--timing takes text or json, not ''"),
    ("--timing", "mqtt", &["--timing=JSON"], "not 'JSON'"),
    ("--json", "cat", &["--json"], "--json needs --timing"),
    ("--json", "cat", &["--json", "--timing=text"], "--timing=text and --json contradict each other"),
    ("--json", "echo", &["--json=1"], "takes no value"),
    ("--json", "mqtt", &["--json=1"], "takes no value"),
    ("--plot", "echo", &["--plot"], "--plot needs a value: FILE.svg"),
    ("--plot", "mqtt", &["--plot"], "--plot needs a value: FILE.svg"),
    ("--username", "mqtt", &["-u"], "-u/--username needs a value: NAME"),
    ("--pw", "mqtt", &["-P", "x", "-V", "311"], "a password without a user name needs MQTT 5.0"),
    ("--pw", "mqtt", &["-P", "x", "--password-env=X"], "-P/--pw and --password-env"),
    ("--password-env", "echo", &["--password-env=X"], "needs a user: --auth USER, or USER@ in the URL"),
    (
        "--password-env",
        "echo",
        &["--auth=u:p", "--password-env=X"],
        "--auth USER:PASSWORD and --password-env",
    ),
    ("--password-env", "echo", &["--auth=u", "--password-env=NOT_THERE"], "'NOT_THERE' is not set"),
    ("--ask-password", "echo", &["--auth=u", "--ask-password"], "--ask-password: there is nobody to ask"),
    ("--ask-password", "mqtt", &["--ask-password", "--password-env=X"], "--password-env and --ask-password"),
    ("--auth", "mqtt", &["--auth=secret", "--password-env=X"], "there is no ':' in it"),
    ("--password-file", "mqtt", &["--password-file", ""], "takes the name of a file"),
    ("--password-env", "mqtt", &["--password-env", "NOT_THERE"], "the variable 'NOT_THERE' is not set"),
    ("--password-env", "mqtt", &["--password-env", "A=B"], "not 'A=B'"),
    ("--protocol-version", "mqtt", &["-V", "31"], "MQTT 3.1 is not supported"),
    ("--protocol-version", "mqtt", &["-V", "4"], "takes 311 or 5, not '4'"),
    ("--disable-clean-session", "mqtt", &["-c"], "needs -i ID"),
    ("--disable-clean-session", "mqtt", &["-c", "-I", "me"], "needs -i ID"),
    ("--disable-clean-session", "mqtt", &["-c", "5"], "too many"),
    ("--session-expiry-interval", "mqtt", &["-x", "5", "-V", "311"], "needs MQTT 5.0"),
    ("--session-expiry-interval", "mqtt", &["-x", "4294967296"], "seconds or never, not '4294967296'"),
    ("--session-expiry-interval", "mqtt", &["-x", "-2"], "not '-2'"),
    ("--session-expiry-interval", "mqtt", &["-x", "http://h"], "a proxy is given with --proxy"),
    ("--id", "mqtt", &["-i", ""], "-i/--id takes a name"),
    ("--id-prefix", "mqtt", &["-I", "a", "-i", "b"], "contradict each other"),
    ("--keepalive", "mqtt", &["-k", "65536"], "from 0 to 65535, not '65536'"),
    ("--keepalive", "mqtt", &["-k", "wss://h"], "say --insecure"),
    ("--ack-timeout", "mqtt", &["--ack-timeout", "0"], "more than 0"),
    ("--will-topic", "mqtt", &["--will-topic", "+"], "--will-topic '+'"),
    ("--will-payload", "mqtt", &["--will-payload", "x"], "--will-payload needs --will-topic"),
    ("--will-qos", "mqtt", &["--will-qos", "0"], "--will-qos needs --will-topic"),
    ("--will-qos", "mqtt", &["--will-topic=w", "--will-qos=x"], "takes 0, 1 or 2"),
    ("--will-retain", "mqtt", &["--will-retain"], "--will-retain needs --will-topic"),
    ("--will-delay-interval", "mqtt", &["--will-delay-interval=1"], "needs --will-topic"),
    (
        "--will-delay-interval",
        "mqtt",
        &["--will-topic=w", "--will-delay-interval=1", "-V311"],
        "needs MQTT 5.0",
    ),
    ("--header", "echo", &["-H", "no colon"], "-H/--header takes 'Name: value'"),
    ("--header", "echo", &["-H", "ws://u:secret@h"], "not 'ws://...@h' (the URL stands by itself)"),
    ("--header", "echo", &["-H", "a b: c"], "'a b' is not a header's name"),
    ("--header", "echo", &["-H", ": c"], "'' is not a header's name"),
    ("--header", "echo", &["-H", "A: b\r\nC: d"], "the value of A has the character U+000D at position 2"),
    ("--header", "mqtt", &["-H", "A: \u{e9}"], "U+00E9"),
    ("--header", "echo", &["-H", "upgrade: x"], "upgrade cannot be given"),
    ("--header", "echo", &["-H", "Connection: x"], "Connection cannot be given"),
    ("--header", "echo", &["-H", "Sec-WebSocket-Key: x"], "cannot be given"),
    ("--header", "echo", &["-H", "Sec-WebSocket-Version: 8"], "cannot be given"),
    ("--header", "echo", &["-H", "Sec-WebSocket-Accept: x"], "cannot be given"),
    ("--header", "echo", &["-H", "Sec-WebSocket-Extensions: x"], "no extension is supported"),
    ("--header", "echo", &["-H", "Sec-WebSocket-Protocol: x"], "say --subprotocol"),
    ("--header", "echo", &["-H", "Host: a", "-H", "host: b"], "host is given twice"),
    ("--subprotocol", "echo", &["--subprotocol", "a,b"], "repeat the option"),
    ("--subprotocol", "echo", &["--subprotocol", ""], "takes a name"),
    ("--subprotocol", "echo", &["--subprotocol", "a/b"], "without spaces or separators"),
    ("--subprotocol", "echo", &["--subprotocol=a", "--protocol=a"], "given twice"),
    ("--origin", "echo", &["--origin", "a\nb"], "the value of --origin has the character U+000A"),
    ("--origin", "mqtt", &["--origin=a", "-H", "Origin: b"], "one is enough"),
    ("--connect-timeout", "echo", &["--connect-timeout", "0"], "more than 0"),
    ("--connect-timeout", "mqtt", &["--connect-timeout", "nan"], "takes a number of seconds"),
    ("--proxy", "echo", &["--proxy", "ws://u:secret@h"], "--proxy 'ws://...@h': ws:// is no proxy's scheme"),
    ("--proxy", "echo", &["--proxy", "https://u:secret@h"], "(TLS to the proxy itself) is not supported"),
    ("--proxy", "mqtt", &["--proxy", "u:secret@h:0"], "--proxy '...@h:0': port '0'"),
    ("--no-proxy", "echo", &["--no-proxy", "a,10.0.0.0/33"], "--no-proxy: '10.0.0.0/33' is no name"),
    ("--no-proxy", "mqtt", &["--no-proxy", "http://u:secret@h"], "--no-proxy: 'http://...@h' is no name"),
    ("--close-timeout", "echo", &["--close-timeout", "."], "takes a number of seconds"),
    ("--close-timeout", "mqtt", &["--close-timeout", "+1"], "not '+1'"),
    ("--max-message", "echo", &["--max-message", "0"], "at least 1 byte"),
    ("--max-message", "mqtt", &["--max-message", "5G"], "at most 4G"),
    ("--max-message", "serve", &["--max-message", "1.5k"], "not '1.5k'"),
    ("--debug", "echo", &["--debug=2"], "takes no value"),
    ("--debug", "mqtt", &["-d", "--quiet"], "--quiet and -d"),
    ("--debug", "serve", &["-d5"], "unknown option -5 in '-d5'"),
    ("--quiet", "echo", &["-q"], "say --quiet"),
    ("--quiet", "mqtt", &["--quiet=1"], "takes no value"),
    ("--quiet", "serve", &["--quiet", "-d"], "--quiet and -d"),
    ("--raw", "echo", &["--raw=1"], "takes no value"),
    (
        "--in",
        "cat",
        &["--in", "lines"],
        "takes line, null, length, chunk, whole, base64 or json, not 'lines'",
    ),
    ("--in", "cat", &["--in", "ws://u:secret@h"], "not 'ws://...@h' (the URL stands by itself)"),
    ("--in", "cat", &["--in", "json", "-b"], "--in json goes without -b/--binary"),
    ("--out", "cat", &["--out"], "--out needs a value: FRAMING"),
    ("--out", "cat", &["--out", "Json"], "not 'Json'"),
    ("--null", "cat", &["-0", "--in=line", "--out=line"], "-0/--null is --in null --out null"),
    ("--null", "cat", &["--null=1"], "takes no value"),
    ("--binary", "cat", &["--binary=1"], "takes no value"),
    ("--text", "cat", &["-t", "a/b"], "'a/b' is one argument too many: 'wspipe cat' takes a URL; messages"),
    ("--strict", "cat", &["--strict", "--out=chunk"], "--strict is for --out line and --out null"),
    ("--strict", "cat", &["--strict", "--out=json"], "--strict is for --out line and --out null"),
    ("--no-stdin", "cat", &["--no-stdin=1"], "takes no value"),
    ("--on-open", "cat", &["--on-open", "@"], "--on-open takes TEXT or @FILE, not '@'"),
    ("--on-open", "cat", &["--on-open", "@-"], "not '@-' (stdin is sent after it anyway"),
    ("--echo", "cat", &["--echo", "--in=line"], "--echo goes without --in: it reads no stdin"),
    ("--echo", "cat", &["--echo", "--out=line"], "--echo goes without --out"),
    ("--echo", "cat", &["--echo", "-0"], "--echo goes without -0/--null"),
    ("--echo", "cat", &["--echo", "--no-stdin"], "--echo goes without --no-stdin"),
    ("--echo", "cat", &["--echo", "--strict"], "--echo goes without --strict"),
    ("--echo", "cat", &["--echo", "--raw"], "--echo goes without --raw"),
    ("--count", "cat", &["-C", "0"], "-C/--count takes at least 1, not 0"),
    ("--count", "cat", &["--max-messages=x"], "-C/--count takes a whole number from 0"),
    ("--one-message", "cat", &["-1", "-C2"], "-1/--one-message and -C/--count contradict each other"),
    ("--one-message", "cat", &["-1x"], "unknown option -x in '-1x'"),
    ("--until", "cat", &["--until", ""], "--until takes a text, not ''"),
    (
        "--wait",
        "cat",
        &["-w", "-1"],
        "-w/--wait takes a number of seconds from 0 to 31536000 or inf, not '-1'",
    ),
    ("--wait", "cat", &["-w", "infinite"], "not 'infinite'"),
    ("--timeout", "cat", &["-W", "0"], "-W/--timeout takes more than 0 seconds"),
    ("--timeout", "cat", &["-W", "inf"], "from 0 to 31536000, not 'inf'"),
    ("--ping-interval", "cat", &["--ping-interval=0"], "--ping-interval takes more than 0 seconds"),
    ("--ping-timeout", "cat", &["--ping-timeout=5"], "--ping-timeout needs --ping-interval"),
    (
        "--ping-timeout",
        "cat",
        &["--ping-timeout=0", "--ping-interval=1"],
        "--ping-timeout takes more than 0 seconds",
    ),
    ("--reconnect", "cat", &["--reconnect=1"], "takes no value"),
    ("--max-retries", "cat", &["--max-retries=1"], "--max-retries needs --reconnect"),
    ("--close-status-code", "cat", &["--close-status-code", "5000"], "3000 to 4999 (RFC 6455"),
    ("--close-status-code", "cat", &["--close-status-code", "70000"], "from 0 to 65535, not '70000'"),
    ("--close-reason", "cat", &["--close-reason", LONG], "at most 123 bytes (RFC 6455 section 5.5), not 124"),
    ("--raw", "cat", &["--raw=1"], "takes no value"),
    ("--header", "cat", &["-H", "upgrade: x"], "upgrade cannot be given"),
    ("--subprotocol", "cat", &["--subprotocol", "a,b"], "repeat the option"),
    ("--origin", "cat", &["--origin", "a\nb"], "the value of --origin has the character U+000A"),
    ("--connect-timeout", "cat", &["--connect-timeout", "0"], "more than 0"),
    ("--proxy", "cat", &["--proxy"], "--proxy needs a value: URL"),
    ("--no-proxy", "cat", &["--no-proxy"], "--no-proxy needs a value: LIST"),
    ("--close-timeout", "cat", &["--close-timeout", "."], "takes a number of seconds"),
    ("--max-message", "cat", &["--max-message", "0"], "at least 1 byte"),
    ("--insecure", "cat", &["-k=yes"], "-k takes no value"),
    ("--debug", "cat", &["-d", "--quiet"], "--quiet and -d"),
    ("--quiet", "cat", &["-q"], "say --quiet"),
    ("--help", "cat", &["-h"], "the host belongs in the URL"),
    ("--help", "echo", &["--help=1"], "takes no value"),
    ("--help", "mqtt", &["-h"], "the host belongs in the URL"),
    ("--help", "serve", &["-h"], "the host belongs in the URL"),
];

/// 124 bytes in 62 characters: the limit is in bytes.
const LONG: &str = "\
    \u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\
    \u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\
    \u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\
    \u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}";

/// The flag, the command, the line and the part of a row.
type Case = (&'static str, &'static str, Vec<&'static str>, &'static str);

/// The rows as command lines: with a URL where it is obligatory, and those of `mqtt` for its kin too.
fn cases(rows: &[Row], kin: &[Row], clients: &[connection::Row], tls: &[Row]) -> Vec<Case> {
    let mut cases = Vec::new();
    for (flag, args, part) in clients {
        for command in Command::ALL.into_iter().filter(|command| *command != Command::Serve) {
            let name = command.name();
            let least = if ["pub", "sub", "rr"].contains(&name) { mqtt::least(name) } else { &[] };
            cases.push((*flag, name, [&[name, "ws://localhost"], least, args].concat(), *part));
        }
    }
    let tls =
        ["echo", "cat", "mqtt"].map(|command| tls.iter().map(move |row| (row.0, command, row.2, row.3)));
    for (flag, command, args, part) in rows.iter().chain(kin).copied().chain(tls.into_iter().flatten()) {
        let mut add = |command: &'static str, least: &[&'static str]| {
            let url = if command == "echo" { &[][..] } else { &["ws://localhost"] };
            cases.push((flag, command, [&[command], url, least, args].concat(), part));
        };
        add(command, &[]);
        if command != "mqtt" || !mqtt::SHARED.contains(&flag) {
            continue;
        }
        for name in ["pub", "sub", "rr"] {
            // Nothing but 5.0 there.
            let wrong = name == "rr" && part.contains("V311");
            let command = Command::from_name(name).expect("a command");
            if !wrong && flags::by_long(command, flag).is_some() {
                add(name, mqtt::least(name));
            }
        }
    }
    cases
}

fn good() -> Vec<Case> {
    cases(GOOD, mqtt::GOOD, connection::GOOD, tls::GOOD)
}

fn bad() -> Vec<Case> {
    cases(BAD, mqtt::BAD, connection::BAD, tls::BAD)
}

#[test]
fn each_flag_is_understood() {
    let env = |name: &str| (name == "SECRET").then(|| OsString::from("xyzzy"));
    for (flag, _, line, part) in good() {
        let ask = |_: &str| Ok(b"xyzzy".to_vec());
        match parse_asking(line.iter().map(OsString::from), &env, ask) {
            Ok(Invocation::Run(config)) => {
                let debug = format!("{config:?}");
                assert!(debug.contains(part), "{flag}: {line:?}: '{part}' is not in {debug}");
                assert!(!debug.contains("xyzzy"), "{debug}");
            }
            other => panic!("{flag}: {line:?}: {other:?}"),
        }
    }
}

#[test]
fn each_flag_refuses_what_it_is_not() {
    for (flag, _, line, part) in bad() {
        let error = refused(&line);
        assert!(error.contains(part), "{flag}: {line:?}: '{part}' is not in: {error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn the_tests_above_cover_the_table() {
    let (good, bad) = (good(), bad());
    for command in Command::ALL {
        for flag in flags::of(command) {
            let has = |cases: &[Case]| {
                cases.iter().any(|(long, name, ..)| *long == flag.long && *name == command.name())
            };
            assert!(
                flag.long == "--help" || has(&good),
                "no good row for {} of {}",
                flag.long,
                command.name()
            );
            assert!(has(&bad), "no bad row for {} of {}", flag.long, command.name());
        }
    }
}

#[test]
fn the_table_is_sound() {
    for command in Command::ALL {
        let mut names: Vec<&str> = Vec::new();
        let mut letters: Vec<char> = Vec::new();
        for flag in flags::of(command) {
            names.push(flag.long);
            names.extend(flag.aliases);
            letters.extend(flag.letter(command));
        }
        let (count, letter_count) = (names.len(), letters.len());
        names.sort_unstable();
        names.dedup();
        letters.sort_unstable();
        letters.dedup();
        assert_eq!((names.len(), letters.len()), (count, letter_count), "{}", command.name());
        assert!(names.iter().all(|name| name.starts_with("--") && name.len() > 3));
    }
    for flag in FLAGS {
        let letters = flag.short.map_or(0, |(_, commands)| commands);
        assert_eq!(letters & !flag.commands, 0, "{}: a letter in a command that has not got it", flag.long);
        assert!(flag.default.is_none() || flag.value.is_some(), "{}", flag.long);
    }
}
