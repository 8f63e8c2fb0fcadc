//! Rows of flags that all clients have.

/// The flag, arguments for any client command, and a part of what comes of them.
pub type Row = (&'static str, &'static [&'static str], &'static str);

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
];
