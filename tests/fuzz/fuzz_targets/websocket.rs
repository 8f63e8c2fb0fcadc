//! Any frames from a server: whole behind the response head and in pieces over a socket, and against
//! tungstenite alone.
#![no_main]

use std::{
    io::{Cursor, ErrorKind, Read as _, Write as _},
    net::{Shutdown, TcpStream},
    os::{fd::OwnedFd, unix::net::UnixStream},
};

use tungstenite::{
    Message, WebSocket,
    protocol::{Role, WebSocketConfig},
};
use wspipe::{
    net::{Connection, Read, fuzz::client},
    proto::link::{Kind, Lost, Received},
};
use wspipe_fuzz::{no_controls, pieces};

/// The largest message that is taken.
const LIMIT: usize = 1000;

#[derive(Clone, Debug, PartialEq)]
enum Got {
    Message(Kind, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
    Lost(Lost),
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&seed, frames)) = data.split_first() else { return };
    if frames.len() > 4096 {
        return;
    }
    let ahead = run(frames, &[]);
    let cut = run(&[], &pieces(frames, seed));
    assert_eq!(ahead, cut, "in pieces");
    let at_once = run(&[], &[frames]);
    assert_eq!(ahead, at_once, "over a socket");
    // Both end where the protocol is broken, each with its own words for it.
    let plain = |got: &[Got]| -> Vec<Got> {
        let open = got.iter().take_while(|got| !matches!(got, Got::Close(_) | Got::Lost(_)));
        open.cloned().collect()
    };
    let (ours, theirs) = (plain(&ahead), plain(&tungstenite(frames)));
    // It takes lengths that are longer than they need be (RFC 6455 section 5.2).
    let stricter =
        |got: &Got| matches!(got, Got::Lost(Lost::Violation(_, text)) if text.contains("shortest"));
    if ahead.iter().any(stricter) {
        return assert!(theirs.starts_with(&ours), "{theirs:?} begins with {ours:?}");
    }
    assert_eq!(ours, theirs, "tungstenite alone");
});

fn run(ahead: &[u8], parts: &[&[u8]]) -> Vec<Got> {
    let (near, mut far) = UnixStream::pair().expect("a pair of sockets");
    let mut connection = client(TcpStream::from(OwnedFd::from(near)), ahead.to_vec(), LIMIT);
    let (mut all, mut over) = (Vec::new(), false);
    for part in parts {
        far.write_all(part).expect("room in a socket");
        connection.allow(usize::MAX);
        over = drain(&mut connection, &mut all);
        if over {
            break;
        }
    }
    far.shutdown(Shutdown::Write).expect("it is open");
    connection.allow(usize::MAX);
    assert!(over || drain(&mut connection, &mut all), "an end");
    assert!(matches!(connection.flush(), Ok(true) | Err(_)));
    // Only whole, masked control frames leave by themselves.
    let mut sent = Vec::new();
    far.set_nonblocking(true).expect("a socket");
    let end = far.read_to_end(&mut sent).map_err(|error| error.kind());
    assert!(matches!(end, Ok(_) | Err(ErrorKind::WouldBlock)), "{end:?}");
    answers(&sent);
    all
}

/// Reads to the end of what is there. True: the connection is at its end. The buffer of a large message is taken, and
/// comes back behind the next read, when another message may be half there.
fn drain(connection: &mut Connection, all: &mut Vec<Got>) -> bool {
    let mut spare = Vec::new();
    loop {
        let given = std::mem::take(&mut spare);
        let got = match connection.read() {
            Read::Blocked => {
                connection.reuse(given);
                return false;
            }
            Read::Lost(lost) => Got::Lost(lost),
            Read::Got(Received::Message(kind, payload)) => {
                assert!(payload.len() <= LIMIT);
                assert!(kind == Kind::Binary || std::str::from_utf8(payload).is_ok());
                Got::Message(kind, payload.to_vec())
            }
            Read::Large(kind, payload) => {
                assert!(payload.len() <= LIMIT);
                assert!(kind == Kind::Binary || std::str::from_utf8(payload).is_ok());
                let payload = std::mem::take(payload);
                spare = payload.clone();
                Got::Message(kind, payload)
            }
            Read::Got(Received::Ping(payload)) => Got::Ping(payload.to_vec()),
            Read::Got(Received::Pong(payload)) => Got::Pong(payload.to_vec()),
            Read::Got(Received::Close(close)) => {
                Got::Close(close.map(|(code, text)| (code, text.to_owned())))
            }
        };
        connection.reuse(given);
        let lost = matches!(got, Got::Lost(_));
        if let Got::Lost(Lost::Violation(_, text)) = &got {
            no_controls(text);
        }
        all.push(got);
        if lost {
            return true;
        }
    }
}

fn answers(mut sent: &[u8]) {
    while let [first, len, rest @ ..] = sent {
        assert!(matches!(first, 0x88 | 0x8a), "the frame {first:02x}");
        assert!((0x80..=0x80 + 125).contains(len), "not masked, or too long: {len:02x}");
        sent = &rest[4 + usize::from(len & 0x7f)..];
    }
    assert!(sent.is_empty(), "half a frame");
}

struct Both(Cursor<Vec<u8>>);

impl std::io::Read for Both {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buf)
    }
}

impl std::io::Write for Both {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        Ok(buf.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn tungstenite(frames: &[u8]) -> Vec<Got> {
    let config = WebSocketConfig::default().max_message_size(Some(LIMIT)).max_frame_size(Some(LIMIT));
    let mut ws = WebSocket::from_raw_socket(Both(Cursor::new(frames.to_vec())), Role::Client, Some(config));
    let mut all = Vec::new();
    while let Ok(message) = ws.read() {
        all.push(match message {
            Message::Text(text) => Got::Message(Kind::Text, text.as_bytes().to_vec()),
            Message::Binary(data) => Got::Message(Kind::Binary, data.to_vec()),
            Message::Ping(data) => Got::Ping(data.to_vec()),
            Message::Pong(data) => Got::Pong(data.to_vec()),
            Message::Close(_) | Message::Frame(_) => break,
        });
    }
    all
}
