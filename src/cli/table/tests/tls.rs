//! Rows of TLS, which all clients have alike: those of `echo` are repeated for the others.

use super::Row;

/// As in `super`, for every command that connects.
pub const GOOD: &[Row] = &[
    ("--cafile", "echo", &["--cafile", "ca.pem"], r#"cafile: Some("ca.pem")"#),
    ("--cafile", "echo", &["--cacert", "ca.pem"], r#"cafile: Some("ca.pem")"#),
    ("--cafile", "echo", &["--ca=ca.pem"], r#"cafile: Some("ca.pem")"#),
    ("--capath", "echo", &["--capath", "certs"], r#"cafile: None, capath: Some("certs")"#),
    ("--cert", "echo", &["--cert", "c.pem"], r#"Some(Pem { cert: "c.pem", key: None, password: None })"#),
    ("--key", "echo", &["--key=k.pem", "--cert=c.pem"], r#"cert: "c.pem", key: Some("k.pem")"#),
    ("--pkcs12", "echo", &["--pkcs12", "c.p12"], r#"Some(Pkcs12 { file: "c.p12", password: None })"#),
    (
        "--key-password-file",
        "echo",
        &["--pkcs12=c.p12", "--key-password-file", "/dev/null"],
        "password: Some(hidden)",
    ),
    (
        "--key-password-file",
        "echo",
        &["--cert=c.pem", "--key-password-file=/dev/null"],
        "password: Some(hidden)",
    ),
    ("--insecure", "echo", &["--insecure"], "insecure: true"),
    ("--servername", "echo", &["--servername", "h.example"], r#"servername: Some("h.example")"#),
    ("--servername", "echo", &["--servername=h"], r#"servername: Some("h")"#),
    ("--pin", "echo", &["--pin", ZEROES], "pins: Some(Hashes([[0, 0, 0,"),
    ("--pin", "echo", &["--pinnedpubkey", "key.pem"], r#"pins: Some(File("key.pem"))"#),
    ("--tls-min", "echo", &["--tls-min", "1.3"], "min: Some(V1_3), max: None"),
    ("--tls-min", "echo", &["--tls-min=1.2", "--tls-max=1.2"], "min: Some(V1_2), max: Some(V1_2)"),
    ("--tls-max", "echo", &["--tls-max", "1.0"], "min: None, max: Some(V1_0)"),
    ("--alpn", "echo", &["--alpn", "x-amzn-mqtt-ca"], r#"alpn: ["x-amzn-mqtt-ca"]"#),
    ("--alpn", "echo", &["--alpn=a", "--tls-alpn", "b"], r#"alpn: ["a", "b"]"#),
];

const ZEROES: &str = "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// The same with one that is too short behind it.
const SHORT: &str = "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=;sha256//AAAA";

/// What is refused.
pub const BAD: &[Row] = &[
    ("--cafile", "echo", &["--cafile", ""], "takes the name of a file"),
    ("--cafile", "echo", &["--cafile"], "--cafile needs a value: FILE"),
    ("--capath", "echo", &["--capath="], "takes the name of a file"),
    ("--cert", "echo", &["--cert", "a.pem", "--pkcs12", "b.p12"], "say one of them"),
    ("--key", "echo", &["--key", "k.pem"], "--key needs --cert"),
    ("--pkcs12", "echo", &["--pkcs12=c.p12", "--key=k.pem"], "brings the key along"),
    ("--key-password-file", "echo", &["--key-password-file=/dev/null"], "needs --cert or --pkcs12"),
    ("--insecure", "echo", &["--insecure=yes"], "takes no value"),
    ("--servername", "echo", &["--servername", "a/b"], "takes a host name, not 'a/b'"),
    ("--servername", "echo", &["--servername", ""], "takes a host name, not ''"),
    ("--pin", "echo", &["--pin", SHORT], "or a file, not 'sha256//AAAA'"),
    ("--pin", "echo", &["--pin", "sha256//"], "the base64 of 32 bytes"),
    ("--pin", "echo", &["--pin="], "takes the name of a file"),
    ("--tls-min", "echo", &["--tls-min", "1.4"], "takes 1.0, 1.1, 1.2 or 1.3, not '1.4'"),
    ("--tls-min", "echo", &["--tls-min=1.3", "--tls-max=1.2"], "--tls-min 1.3 is above --tls-max 1.2"),
    ("--tls-max", "echo", &["--tls-max", "tlsv1.2"], "not 'tlsv1.2'"),
    ("--alpn", "echo", &["--alpn", "a,b"], "takes one name: for several of 'a,b' repeat the option"),
    ("--alpn", "echo", &["--alpn="], "a name of 1 to 255 bytes, not one of 0"),
];
