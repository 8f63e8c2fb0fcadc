//! Response heads at random: nothing panics, nothing false upgrades, and what comes in pieces means the same.

use super::{
    drive::{ACCEPT, Outcome, outcome, waiting},
    *,
};

/// xorshift64: each failure repeats.
fn below(state: &mut u64, n: usize) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 11) as usize % n
}

const LINES: &[&str] = &[
    "HTTP/1.1 101 Switching Protocols\r\n",
    "HTTP/1.1 101\r\n",
    "HTTP/1.0 101 x\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n",
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.1 302 Found\r\n",
    "HTTP/1.1 503 \r\n",
    "HTTP/1.1 999 ?\r\n",
    "HTTP/2 101\r\n",
    "SSH-2.0-x\r\n",
    "\x16\x03\x01",
    "Upgrade: websocket\r\n",
    "upgrade: h2c, WebSocket\r\n",
    "Connection: keep-alive, Upgrade\r\n",
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo\r\n",
    "Sec-WebSocket-Protocol: mqtt\r\n",
    "Sec-WebSocket-Protocol: amqp\r\n",
    "Sec-WebSocket-Extensions: permessage-deflate\r\n",
    "Sec-WebSocket-Extensions: \r\n",
    "Location: http://u:p@h/\u{1b}[31m\r\n",
    "Retry-After: 99999999999999999999999\r\n",
    "Content-Length: 3\r\n",
    "Content-Length: 18446744073709551616\r\n",
    "Content-Length: -1\r\n",
    "Transfer-Encoding: chunked\r\n",
    "X: \u{e9}\u{0}\r\n",
    " folded\r\n",
    "\r\n",
    "\r\n\r\n",
    "\n",
    "3\r\nabc\r\n0\r\n\r\n",
    "ffffffffffffffff\r\n",
    "body\x07",
];

fn answer(state: &mut u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Mostly a status line first, or next to nothing is a head.
    if below(state, 8) > 0 {
        bytes.extend_from_slice(LINES[below(state, 9)].as_bytes());
    }
    if below(state, 3) == 0 {
        bytes.extend_from_slice(LINES[12].as_bytes());
        bytes.extend_from_slice(LINES[14].as_bytes());
        bytes.extend_from_slice(LINES[15].as_bytes());
    }
    // Half of them have nothing but headers then, and an end.
    let (from, to, damage) = if below(state, 2) == 0 { (12, 27, 2) } else { (0, LINES.len(), 4) };
    for _ in 0..below(state, 5) {
        bytes.extend_from_slice(LINES[from + below(state, to - from)].as_bytes());
    }
    bytes.extend_from_slice(b"\r\nabc");
    for _ in 0..below(state, damage) {
        let at = below(state, bytes.len() + 1);
        match below(state, 3) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, below(state, 256) as u8),
            _ if at < bytes.len() => bytes[at] = below(state, 256) as u8,
            _ => {}
        }
    }
    bytes
}

/// Why it failed, where it has.
fn failure(upgrade: &mut Upgrade, bytes: &[u8], now: Instant) -> Option<Error> {
    match outcome(upgrade, bytes, now) {
        Outcome::Failed(error) => Some(error),
        _ => None,
    }
}

#[test]
fn heads_at_random() {
    let now = Instant::now();
    let mut state = 0x9e37_79b9_7f4a_7c15;
    let (mut upgraded, mut refused, mut faults) = (0, 0, 0);
    for _ in 0..200_000 {
        let bytes = answer(&mut state);
        let follow = below(&mut state, 2) == 0;
        let mut whole = waiting(follow);
        whole.received.clone_from(&bytes);
        if let Ok(Some(Head::Upgraded { subprotocol, len })) = whole.head() {
            upgraded += 1;
            let head = String::from_utf8_lossy(&bytes[..len]).into_owned();
            assert!(head.starts_with("HTTP/1.1 101") && head.contains(ACCEPT), "{head}");
            assert!(!head.contains("\r\nSec-WebSocket-Extensions: perm"), "{head}");
            assert!(subprotocol.is_none_or(|name| name == "mqtt"), "{head}");
        }
        whole.received.clear();
        let at_once = failure(&mut whole, &bytes, now);
        // In two parts: the same, but that a body may be cut where the first part was enough.
        let mut parts = waiting(follow);
        let cut = below(&mut state, bytes.len() + 1);
        let first = failure(&mut parts, &bytes[..cut], now);
        let second = first.or_else(|| failure(&mut parts, &bytes[cut..], now));
        match (&at_once, &second) {
            (Some(Error::Refused { refusal: a, .. }), Some(Error::Refused { refusal: b, .. })) => {
                refused += 1;
                assert_eq!((a.status, &a.location), (b.status, &b.location));
                assert!(a.body.starts_with(&b.body) && a.body.len() <= MAX_BODY);
            }
            // The text may show more of the answer where more had come.
            (a, b) => {
                let kind = |error: &Option<Error>| error.as_ref().map(std::mem::discriminant);
                assert_eq!(kind(a), kind(b), "{:?} cut at {cut}", String::from_utf8_lossy(&bytes));
            }
        }
        if let Some(error) = at_once {
            faults += 1;
            let text = error.to_string();
            assert!(!text.contains(char::is_control), "{text:?}");
            let _ = (error.hint(), error.retry_after(below(&mut state, usize::MAX) as u64));
        }
        // The end of the stream always has its error.
        assert!(!whole.ended(None).to_string().contains(char::is_control));
    }
    assert!(upgraded > 1000 && refused > 1000 && faults > 1000, "{upgraded} {refused} {faults}");
}

#[test]
fn chunks_at_random() {
    const PIECES: &[&str] =
        &["0", "1", "3", "a", "ff", ";x", "\r\n", "\r", "\n", "abc", "\r\n\r\n", "g", "ffffffffffffffff"];
    let mut state = 0x2545_f491_4f6c_dd1d;
    for _ in 0..200_000 {
        let mut raw = String::new();
        for _ in 0..below(&mut state, 12) {
            raw.push_str(PIECES[below(&mut state, PIECES.len())]);
        }
        let (body, complete) = dechunk(raw.as_bytes());
        assert!(body.len() <= raw.len(), "{raw:?}");
        // What is complete stays so, whatever follows.
        if complete {
            assert_eq!(dechunk((raw.clone() + "more").as_bytes()).0, body, "{raw:?}");
        }
    }
}
