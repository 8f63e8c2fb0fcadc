//! Rows of flags that all clients have.

/// The flag, arguments for any client command, and a part of what comes of them.
pub type Row = (&'static str, &'static [&'static str], &'static str);

/// A token, as any file may hold one.
const TOKEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/cli/table/tests/token");

/// A path that is longer than the system's `sun_path`.
const LONG_PATH: &str = "/tmp/0123456789012345678901234567890123456789012345678901234567890123456789\
    0123456789012345678901234567890123456789";

/// The part is one of `Debug` of the whole Config.
pub const GOOD: &[Row] = &[
    ("--ipv4", &["-4"], "family: Some(V4)"),
    ("--ipv6", &["--ipv6"], "family: Some(V6)"),
    (
        "--resolve",
        &["--resolve", "h:80:192.0.2.1,[::1]", "--resolve=*:81:::1"],
        r#"resolve: [Resolve { host: Some("h"), port: 80, addresses: [192.0.2.1, ::1] }, Resolve { host: None"#,
    ),
    (
        "--connect-to",
        &["--connect-to=::h:81"],
        r#"[ConnectTo { from_host: None, from_port: None, host: Some("h"), port: Some(81) }]"#,
    ),
    ("--unix-socket", &["--unix-socket", "/run/s"], r#"unix_socket: Some("/run/s")"#),
    ("--bind", &["--bind", "127.0.0.2"], "family: Some(V4)"),
    ("--bind", &["--bind=[::1]"], "bind: Some(::1)"),
    ("--auth", &["--auth", "u:xyzzy"], r#"headers: ["Authorization"]"#),
    ("--auth", &["--basic-auth=u:"], r#"headers: ["Authorization"]"#),
    ("--bearer-file", &["--bearer-file", TOKEN], r#"headers: ["Authorization"]"#),
    ("--cookie", &["--cookie", "a=xyzzy", "--cookie=b=c"], r#"headers: ["Cookie"]"#),
    ("--location", &["--location"], "redirects: Some(10)"),
    ("--max-redirects", &["--location", "--max-redirects=0"], "redirects: Some(0)"),
    ("--max-redirects", &["--location", "--max-redirs", "3"], "redirects: Some(3)"),
];

/// The part is one of the message.
pub const BAD: &[Row] = &[
    ("--ipv4", &["-4", "-6"], "-4 and -6 contradict each other"),
    ("--ipv4", &["--ipv4=1"], "takes no value"),
    ("--ipv6", &["--ipv6=1"], "takes no value"),
    ("--resolve", &["--resolve", "h:80"], "--resolve 'h:80': takes HOST:PORT:ADDRESS"),
    ("--resolve", &["--resolve", "h:80:x"], "'x' is not an IP address"),
    ("--resolve", &["--resolve"], "--resolve needs a value"),
    ("--connect-to", &["--connect-to", "h"], "--connect-to 'h': takes HOST1:PORT1:HOST2:PORT2"),
    ("--unix-socket", &["--unix-socket", ""], "takes the name of a file"),
    ("--unix-socket", &["--unix-socket", LONG_PATH], "SUN_LEN"),
    ("--unix-socket", &["--unix-socket=s", "--bind=::1"], "--unix-socket goes without --bind"),
    ("--unix-socket", &["--unix-socket=s", "--resolve=h:1:::1"], "goes without --resolve"),
    ("--bind", &["--bind", "eth0"], "--bind takes an IP address, not 'eth0'"),
    ("--bind", &["--bind", "::1", "-4"], "-4/--ipv4 and --bind ::1 contradict each other"),
    ("--auth", &["--auth", "secret"], "--auth takes USER:PASSWORD"),
    ("--auth", &["--auth", "u:secret\n"], "--auth: HTTP Basic authentication cannot send control"),
    ("--auth", &["--auth", "u:secret", "-H", "Authorization: secret"], "-H 'Authorization: ...' and --auth"),
    ("--auth", &["--auth", "u:secret", "--bearer-file=x"], "--auth and --bearer-file contradict each other"),
    ("--bearer-file", &["--bearer-file", ""], "takes the name of a file"),
    ("--cookie", &["--cookie", "secret"], "--cookie takes NAME=VALUE, and there is no '=' in it"),
    ("--cookie", &["--cookie", "a=b\r\nsecret"], "--cookie has the character U+000D at position 4"),
    ("--cookie", &["--cookie", "a b=secret"], "not a cookie's name"),
    ("--cookie", &["--cookie=a=b", "-H", "cookie: c=d"], "--cookie and -H 'Cookie: ...' say the same"),
    ("--location", &["--location=1"], "takes no value"),
    ("--max-redirects", &["--max-redirects=3"], "--max-redirects needs --location"),
    ("--max-redirects", &["--location", "--max-redirects=-1"], "takes a whole number from 0"),
    ("--header", &["-H", "Host:"], "-H 'Host:': HTTP/1.1 has no request without it"),
    ("--header", &["-H", "User-Agent;"], "User-Agent cannot be empty"),
    ("--header", &["-H", "A b;"], "'A b' is not a header's name"),
    ("--header", &["-H", "Cookie: a", "-H", "Cookie: b"], "Cookie is given twice"),
    ("--header", &["-H", "X: a", "-H", "x:"], "-H 'X: ...' and -H 'X:' contradict each other"),
    ("--password-file", &["--password-file", ""], "takes the name of a file"),
    ("--password-env", &["--password-env"], "--password-env needs a value: NAME"),
    ("--ask-password", &["--ask-password=secret"], "takes no value"),
];
