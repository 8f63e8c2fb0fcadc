//! TLS against OpenSSL servers with certificates made here.

use std::{
    fs,
    io::{Read as _, Write as _},
    path::PathBuf,
    sync::mpsc,
    thread::JoinHandle,
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use openssl::{
    asn1::Asn1Time,
    bn::{BigNum, MsbOption},
    ec::{EcGroup, EcKey},
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Private},
    ssl::{NameType, SslAcceptor, SslMethod, SslStream},
    x509::{
        X509, X509Name,
        extension::{BasicConstraints, SubjectAlternativeName},
    },
};

use super::{
    tests::{Got, accepted, connect, endpoint, next, request, serve, wait},
    *,
};
use crate::{
    config::Scheme,
    proto::link::{Kind, Lost, Transmit},
};

const DAY: i64 = 86_400;
/// Whether the backend tells what a certificate says.
const TELLS: bool = !cfg!(feature = "native-tls");

/// A key and its certificate.
struct Signed {
    key: PKey<Private>,
    certificate: X509,
}

/// What is in a certificate: names, and validity in days from now.
struct Wanted<'a> {
    name: &'a str,
    alternatives: &'a [&'a str],
    days: (i64, i64),
    ca: bool,
}

const LEAF: Wanted<'static> =
    Wanted { name: "server", alternatives: &["DNS:localhost", "IP:127.0.0.1"], days: (-1, 30), ca: false };

fn issue(wanted: &Wanted<'_>, issuer: Option<&Signed>) -> Signed {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
    let mut name = X509Name::builder().unwrap();
    name.append_entry_by_nid(Nid::COMMONNAME, wanted.name).unwrap();
    let name = name.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    let mut serial = BigNum::new().unwrap();
    serial.rand(100, MsbOption::MAYBE_ZERO, false).unwrap();
    builder.set_serial_number(&serial.to_asn1_integer().unwrap()).unwrap();
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
    builder.set_not_before(&Asn1Time::from_unix(now + wanted.days.0 * DAY).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_unix(now + wanted.days.1 * DAY).unwrap()).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(issuer.map_or(&name, |issuer| issuer.certificate.subject_name())).unwrap();
    builder.set_pubkey(&key).unwrap();
    if wanted.ca {
        builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
    }
    if !wanted.alternatives.is_empty() {
        let mut alternatives = SubjectAlternativeName::new();
        for name in wanted.alternatives {
            match name.split_once(':').unwrap() {
                ("DNS", name) => alternatives.dns(name),
                (_, address) => alternatives.ip(address),
            };
        }
        let extension = alternatives.build(&builder.x509v3_context(None, None)).unwrap();
        builder.append_extension(extension).unwrap();
    }
    builder.sign(issuer.map_or(&key, |issuer| &issuer.key), MessageDigest::sha256()).unwrap();
    Signed { certificate: builder.build(), key }
}

fn ca(name: &str) -> Signed {
    issue(&Wanted { name, alternatives: &[], days: (-1, 30), ca: true }, None)
}

/// A file that goes away with its value.
struct File(PathBuf);

impl File {
    fn new(content: &[u8]) -> File {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("wspipe-net-{}-{number}.pem", std::process::id()));
        fs::write(&path, content).unwrap();
        File(path)
    }

    /// A bundle of these.
    fn bundle(of: &[&Signed]) -> File {
        File::new(&of.iter().flat_map(|signed| signed.certificate.to_pem().unwrap()).collect::<Vec<_>>())
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

type Server = (u16, JoinHandle<()>);

/// A TLS server: after the handshake the script runs; a handshake that the client breaks off is no error.
fn secure(signed: &Signed, script: impl FnOnce(SslStream<TcpStream>) + Send + 'static) -> Server {
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
    acceptor.set_private_key(&signed.key).unwrap();
    acceptor.set_certificate(&signed.certificate).unwrap();
    let acceptor = acceptor.build();
    serve(move |tcp| {
        if let Ok(tls) = acceptor.accept(tcp) {
            script(tls);
        }
    })
}

fn upgraded(tls: &mut SslStream<TcpStream>) {
    let answer = accepted(&request(tls), "");
    tls.write_all(answer.as_bytes()).unwrap();
}

fn wss(port: u16, host: &str, cafile: Option<&File>) -> Endpoint {
    let mut endpoint = endpoint(Scheme::Wss, port);
    endpoint.url.host = host.to_owned();
    endpoint.tls.cafile = cafile.map(|file| file.0.clone());
    endpoint
}

/// The error of an attempt against a server with this certificate.
fn refused(signed: &Signed, host: &str, cafile: Option<&File>) -> Error {
    let (port, server) = secure(signed, |_| {});
    let error = connect(&wss(port, host, cafile)).unwrap_err();
    server.join().unwrap();
    error
}

#[test]
fn a_trusted_server_by_name_and_by_address() {
    let (other, root) = (ca("other"), ca("root"));
    // The right one is not the first in the file.
    let cafile = File::bundle(&[&other, &root]);
    let leaf = issue(&LEAF, Some(&root));
    let cases = [("localhost", None, Some("localhost")), ("127.0.0.1", None, None)];
    for (host, servername, sni) in cases {
        let (sender, seen) = mpsc::channel();
        let (port, server) = secure(&leaf, move |mut tls| {
            sender.send(tls.ssl().servername(NameType::HOST_NAME).map(str::to_owned)).unwrap();
            upgraded(&mut tls);
            tls.write_all(b"\x81\x05hello\x82\x01x").unwrap();
            // The client's Close, then its close_notify, then the end.
            let mut rest = Vec::new();
            tls.read_to_end(&mut rest).unwrap();
            assert_eq!(rest[0], 0x88);
            assert!(tls.get_shutdown().contains(openssl::ssl::ShutdownState::RECEIVED), "no close_notify");
            assert_eq!(tls.get_mut().read(&mut [0]).unwrap(), 0);
        });
        let mut endpoint = wss(port, host, Some(&cafile));
        endpoint.tls.servername = servername;
        let mut c = connect(&endpoint).unwrap();
        assert_eq!(seen.recv().unwrap().as_deref(), sni, "SNI is for names only");
        assert_eq!(next(&mut c), Got::Text(String::from("hello")));
        assert_eq!(next(&mut c), Got::Binary(b"x".to_vec()));
        c.send(Transmit::Close { code: Some(1000), reason: String::new() }).unwrap();
        assert!(c.finish());
        server.join().unwrap();
    }
}

#[test]
fn servername_takes_the_place_of_the_host() {
    let root = ca("root");
    let cafile = File::bundle(&[&root]);
    let leaf = issue(&Wanted { alternatives: &["DNS:broker.example"], ..LEAF }, Some(&root));
    let (port, server) = secure(&leaf, |mut tls| {
        assert_eq!(tls.ssl().servername(NameType::HOST_NAME), Some("broker.example"));
        upgraded(&mut tls);
    });
    let mut endpoint = wss(port, "127.0.0.1", Some(&cafile));
    endpoint.tls.servername = Some(String::from("broker.example"));
    connect(&endpoint).unwrap();
    server.join().unwrap();
}

#[test]
fn certificates_that_are_not_trusted() {
    let (root, stranger) = (ca("root"), ca("stranger"));
    let cafile = File::bundle(&[&root]);

    let error = refused(&issue(&LEAF, Some(&stranger)), "localhost", Some(&cafile));
    assert_eq!(error.status(), 60);
    assert!(error.is_permanent());
    assert!(error.to_string().contains("is not trusted: its issuer is unknown here"), "{error}");
    assert_eq!(error.to_string().contains(": CN=stranger"), TELLS, "{error}");
    assert!(error.hint().unwrap().contains("--cafile"));

    let error = refused(&issue(&Wanted { days: (-9, -2), ..LEAF }, Some(&root)), "localhost", Some(&cafile));
    assert!(
        matches!(&error, Error::Untrusted { why, .. } if matches!(why.fault, Fault::Expired(ref when) if when.is_some() == TELLS)),
        "{error}"
    );
    let error = refused(&issue(&Wanted { days: (2, 9), ..LEAF }, Some(&root)), "localhost", Some(&cafile));
    assert!(
        matches!(&error, Error::Untrusted { why, .. } if matches!(why.fault, Fault::NotYetValid(ref when) if when.is_some() == TELLS)),
        "{error}"
    );
    let error = refused(&issue(&LEAF, None), "localhost", Some(&cafile));
    assert!(
        matches!(&error, Error::Untrusted { why, .. } if matches!(why.fault, Fault::SelfSigned)),
        "{error}"
    );

    let leaf = issue(&Wanted { alternatives: &["DNS:example.org"], ..LEAF }, Some(&root));
    for host in ["localhost", "127.0.0.1"] {
        let error = refused(&leaf, host, Some(&cafile));
        assert!(error.to_string().contains(&format!("is not trusted: it is not for {host}")), "{error}");
        assert_eq!(error.to_string().ends_with(", but for example.org"), TELLS, "{error}");
        assert!(error.hint().unwrap().contains("--servername"));
    }
    // The system's roots do not know it either.
    let error = refused(&issue(&LEAF, Some(&root)), "localhost", None);
    assert!(
        matches!(&error, Error::Untrusted { why, .. } if matches!(why.fault, Fault::UnknownIssuer)),
        "{error}"
    );
}

#[test]
fn insecure_takes_anything() {
    let leaf = issue(&Wanted { alternatives: &["DNS:example.org"], days: (-9, -2), ..LEAF }, None);
    let (port, server) = secure(&leaf, |mut tls| upgraded(&mut tls));
    let mut endpoint = wss(port, "localhost", None);
    endpoint.tls.insecure = true;
    connect(&endpoint).unwrap();
    server.join().unwrap();
}

#[test]
fn cafiles_that_cannot_be_used() {
    let root = ca("root");
    let torn = root.certificate.to_pem().unwrap();
    let files = [
        (File::new(b""), "no PEM certificate in it"),
        (File::new(b"not a certificate\n"), "no PEM certificate in it"),
        (File::new(&torn[..torn.len() / 2]), "no PEM certificates: "),
    ];
    for (file, expected) in &files {
        let (port, server) = serve(drop);
        let error = connect(&wss(port, "localhost", Some(file))).unwrap_err();
        assert_eq!(error.status(), 77, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
        assert!(error.to_string().contains(file.0.to_str().unwrap()));
        server.join().unwrap();
    }
    let (port, server) = serve(drop);
    let mut endpoint = wss(port, "localhost", None);
    endpoint.tls.cafile = Some(PathBuf::from("/nonexistent/ca.pem"));
    let error = connect(&endpoint).unwrap_err();
    assert_eq!(error.to_string(), "cannot use the CA file /nonexistent/ca.pem: No such file or directory");
    server.join().unwrap();
}

#[test]
fn servers_that_do_not_speak_tls() {
    let root = ca("root");
    let cafile = File::bundle(&[&root]);
    let answers: [&'static [u8]; 2] = [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-x\r\n"];
    for answer in answers {
        let (port, server) = serve(move |mut tcp| {
            tcp.read_exact(&mut [0; 5]).unwrap();
            tcp.write_all(answer).unwrap();
            let mut rest = Vec::new();
            let _ = tcp.read_to_end(&mut rest);
        });
        let error = connect(&wss(port, "localhost", Some(&cafile))).unwrap_err();
        assert_eq!(error.status(), 35);
        assert!(error.to_string().ends_with("(the answer is not TLS)"), "{error}");
        assert!(error.hint().unwrap().contains("ws://"));
        server.join().unwrap();
    }
    let (port, server) = serve(|mut tcp| {
        let mut hello = [0; 4096];
        let _ = tcp.read(&mut hello).unwrap();
    });
    let error = connect(&wss(port, "localhost", Some(&cafile))).unwrap_err();
    assert_eq!(error.status(), 35);
    assert!(error.to_string().ends_with("failed: the server closed the connection"), "{error}");
    server.join().unwrap();
}

#[test]
fn an_alert_from_the_server() {
    // No certificate to offer: the server can only say handshake_failure.
    let acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap().build();
    let (port, server) = serve(move |tcp| drop(acceptor.accept(tcp)));
    let error = connect(&wss(port, "localhost", None)).unwrap_err();
    assert_eq!(error.status(), 35);
    assert!(matches!(&error, Error::Tls { clue: Clue::None, why, .. } if why.contains("alert")), "{error}");
    server.join().unwrap();
}

#[test]
fn bulk_both_ways() {
    const LEN: usize = 8 << 20;
    let root = ca("root");
    let cafile = File::bundle(&[&root]);
    let (port, server) = secure(&issue(&LEAF, Some(&root)), |mut tls| {
        upgraded(&mut tls);
        // Many frames in each TLS record, then silence: all of them must come out without more from poll.
        for i in 0..50_000_u32 {
            let mut frame = [0x82, 4, 0, 0, 0, 0];
            frame[2..].copy_from_slice(&i.to_be_bytes());
            tls.write_all(&frame).unwrap();
        }
        let mut received = vec![0; LEN + 14];
        tls.read_exact(&mut received).unwrap();
        let mask = received[10..14].to_vec();
        assert!((0..LEN).all(|i| received[14 + i] ^ mask[i % 4] == (i * 7) as u8));
        tls.write_all(b"\x81\x04done").unwrap();
        // The end of TCP without close_notify.
    });
    let mut c = connect(&wss(port, "localhost", Some(&cafile))).unwrap();
    for i in 0..50_000_u32 {
        assert_eq!(next(&mut c), Got::Binary(i.to_be_bytes().to_vec()));
    }
    let payload: Vec<u8> = (0..LEN).map(|i| (i * 7) as u8).collect();
    c.send(Transmit::message(Kind::Binary, Bytes::from(payload))).unwrap();
    while !c.flush().unwrap() {
        assert_eq!(c.sent() as usize + c.queued(), LEN + 14);
        wait(&c, c.interest(false));
    }
    assert_eq!(c.sent() as usize, LEN + 14);
    assert_eq!(next(&mut c), Got::Text(String::from("done")));
    server.join().unwrap();
    assert_eq!(next(&mut c), Got::Lost(Lost::Eof));
}

#[test]
fn names_as_tls_wants_them() {
    assert_eq!(tls::server_name("example.org."), "example.org");
    assert_eq!(tls::server_name("fe80::1%eth0"), "fe80::1");
    assert_eq!(tls::server_name("::1"), "::1");
}
