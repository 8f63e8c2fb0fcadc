use super::*;

fn socks(host: Host, login: Option<&Login>) -> Socks {
    Socks::new(&host, 0x1234, login)
}

fn name() -> Host {
    Host::Name(String::from("h.example"))
}

/// A dialogue: what is sent, what comes, and so on. The answers come in one piece or byte by byte.
fn talk(machine: &mut Socks, dialogue: &[(&[u8], &[u8])], dribble: bool) -> Result<Progress, Obstacle> {
    let mut last = Progress::Going;
    for (sent, answer) in dialogue {
        assert_eq!(machine.poll_transmit(), *sent);
        for piece in answer.chunks(if dribble { 1 } else { usize::MAX }) {
            let (taken, progress) = machine.handle_bytes(piece)?;
            assert_eq!(taken, piece.len());
            last = progress;
        }
    }
    Ok(last)
}

const HELLO: &[u8] = &[5, 1, 0];
const HELLO_LOGIN: &[u8] = &[5, 2, 0, 2];

fn request() -> Vec<u8> {
    [&[5, 1, 0, 3, 9], b"h.example".as_slice(), &[0x12, 0x34]].concat()
}

fn login() -> Login {
    (b"anna".to_vec(), b"p\xe4ss".to_vec())
}

#[test]
fn without_a_login() {
    for (host, expected) in [
        (name(), request()),
        (Host::Address("192.0.2.1".parse().unwrap()), vec![5, 1, 0, 1, 192, 0, 2, 1, 0x12, 0x34]),
        (
            Host::Address("2001:db8::1".parse().unwrap()),
            vec![5, 1, 0, 4, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x12, 0x34],
        ),
    ] {
        for bound in [
            &[1, 0, 0, 0, 0, 0, 0][..],
            &[4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 9, 9],
            &[3, 3, b'a', b'.', b'b', 1, 2],
            &[3, 0, 1, 2],
        ] {
            let reply = [&[5, 0, 0], bound].concat();
            for dribble in [false, true] {
                let dialogue: &[(&[u8], &[u8])] = &[(HELLO, &[5, 0]), (&expected, &reply)];
                let mut machine = socks(host.clone(), None);
                assert_eq!(talk(&mut machine, dialogue, dribble).unwrap(), Progress::Open, "{bound:?}");
            }
        }
    }
}

#[test]
fn with_a_login() {
    let (request, reply) = (request(), [5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    let message = b"\x01\x04anna\x04p\xe4ss".as_slice();
    for dribble in [false, true] {
        let dialogue: &[(&[u8], &[u8])] = &[(HELLO_LOGIN, &[5, 2]), (message, &[1, 0]), (&request, &reply)];
        let mut machine = socks(name(), Some(&login()));
        assert_eq!(talk(&mut machine, dialogue, dribble).unwrap(), Progress::Open);
        // A login that is not asked for is not sent.
        let dialogue: &[(&[u8], &[u8])] = &[(HELLO_LOGIN, &[5, 0]), (&request, &reply)];
        let mut machine = socks(name(), Some(&login()));
        assert_eq!(talk(&mut machine, dialogue, dribble).unwrap(), Progress::Open);
    }
    let dialogue: &[(&[u8], &[u8])] = &[(HELLO_LOGIN, &[5, 2]), (message, &[1, 1])];
    assert_eq!(talk(&mut socks(name(), Some(&login())), dialogue, true), Err(Obstacle::LoginRefused));
}

#[test]
fn nothing_behind_the_reply_is_taken() {
    let mut machine = socks(name(), None);
    assert_eq!(machine.handle_bytes(&[5, 0]), Ok((2, Progress::Going)));
    let reply = [5, 0, 0, 3, 1, b'x', 0, 1, 0x16, 3, 1];
    assert_eq!(machine.handle_bytes(&reply), Ok((8, Progress::Open)));
}

#[test]
fn refusals() {
    let refused = |login: Option<&Login>, dialogue: &[(&[u8], &[u8])]| {
        talk(&mut socks(name(), login), dialogue, true).unwrap_err()
    };
    assert_eq!(refused(None, &[(HELLO, &[5, 0xff])]), Obstacle::NoMethod { login: false });
    assert_eq!(refused(Some(&login()), &[(HELLO_LOGIN, &[5, 0xff])]), Obstacle::NoMethod { login: true });
    for (dialogue, part) in [
        (&[(HELLO, &[5, 2][..])], "method 2, which was not offered"),
        (&[(HELLO, &[5, 1])], "method 1, which was not offered"),
        (&[(HELLO, &[4, 0])], r#"the answer is not SOCKS5: "\x04""#),
    ] {
        let text = refused(None, dialogue).to_string();
        assert!(text.contains(part), "{text}");
    }
    let request = request();
    for code in 1..=255 {
        // Two bytes are enough: some send no more.
        let why = refused(None, &[(HELLO, &[5, 0]), (&request, &[5, code])]);
        assert_eq!(why, Obstacle::Reply { code, addresses: Vec::new() });
        assert!(why.to_string().ends_with(&format!(" (SOCKS reply {code})")), "{why}");
    }
    let why = refused(None, &[(HELLO, &[5, 0]), (&request, &[5, 0, 0, 9, 0])]).to_string();
    assert!(why.contains("unknown type 9"), "{why}");
    let why = socks(name(), None).handle_bytes(b"HTTP/1.1 400 Bad\r\n").unwrap_err();
    assert!(matches!(&why, Obstacle::Violation { speaks: Some("http"), .. }), "{why:?}");
    assert_eq!(why.to_string(), r#"the answer is not SOCKS5: "HTTP/1.1 400 Bad\r\n""#);
}
