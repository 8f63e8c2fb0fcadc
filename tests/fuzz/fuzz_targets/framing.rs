//! The seven framings. In: any bytes, whole and in pieces. Out and in again: the same messages, where the framing
//! can show them.
#![no_main]

use bytes::Bytes;
use wspipe::proto::{
    framing::{Control, Decoder, Encoder, Error, FRAGMENT, Framing},
    link::Kind,
};
use wspipe_fuzz::{Input, no_controls, pieces};

type Messages = Vec<(Kind, Vec<u8>)>;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let (choice, bits, seed) = (input.byte(), input.byte(), input.byte());
    let framing = Framing::ALL[usize::from(choice) % Framing::ALL.len()];
    let kind = if bits & 1 == 0 { Kind::Text } else { Kind::Binary };
    if bits & 2 == 0 {
        read(framing, kind, input.rest(), seed, bits);
    } else {
        written(framing, kind, input, seed, bits, choice >= 0xf8 && bits >= 0xf0);
    }
});

/// Whole messages, what there is of one that was begun, and the error.
fn decode(framing: Framing, kind: Kind, parts: &[&[u8]], lend: bool) -> (Messages, Vec<u8>, Option<Error>) {
    let mut decoder = Decoder::new(framing, kind);
    let (mut messages, mut begun) = (Messages::new(), Vec::new());
    for at in 0..=parts.len() {
        match parts.get(at) {
            Some(part) => decoder.push(Bytes::copy_from_slice(part)),
            None => decoder.finish(),
        }
        loop {
            if lend {
                while let Some(line) = decoder.lend_line(<[u8]>::to_vec) {
                    messages.push((kind, line));
                }
            }
            let piece = match decoder.poll_piece() {
                None => break,
                Some(Ok(piece)) => piece,
                Some(Err(error)) => {
                    assert_eq!(decoder.poll_piece(), Some(Err(error.clone())), "errors stay");
                    no_controls(&error.to_string());
                    return (messages, begun, Some(error));
                }
            };
            assert!(piece.payload.len() <= FRAGMENT);
            assert!(!piece.first || begun.is_empty());
            begun.extend_from_slice(&piece.payload);
            assert_eq!(decoder.in_message(), !piece.last);
            if piece.last {
                let message = std::mem::take(&mut begun);
                assert!(piece.kind == Kind::Binary || std::str::from_utf8(&message).is_ok(), "text");
                messages.push((piece.kind, message));
            }
        }
    }
    assert!(decoder.is_empty());
    (messages, begun, None)
}

fn read(framing: Framing, kind: Kind, data: &[u8], seed: u8, bits: u8) {
    let whole = decode(framing, kind, &[data], bits & 4 != 0);
    let cut = decode(framing, kind, &pieces(data, seed), bits & 8 != 0);
    if let (Some(Error::Base64 { record: a, .. }), Some(Error::Utf8 { record: b, .. }))
    | (Some(Error::Utf8 { record: a, .. }), Some(Error::Base64 { record: b, .. })) = (&whole.2, &cut.2)
    {
        // What such a line decodes to is looked at as far as it has come, so that either may be seen first.
        return assert_eq!((&whole.0, a), (&cut.0, b));
    }
    if framing != Framing::Chunk {
        return assert_eq!(whole, cut);
    }
    // What came at once is a message: only all of it together is the same.
    let joined =
        |messages: &Messages| messages.iter().flat_map(|(_, bytes)| bytes.clone()).collect::<Vec<u8>>();
    assert_eq!(whole.2.is_some(), cut.2.is_some());
    if whole.2.is_none() {
        assert_eq!((joined(&whole.0), joined(&cut.0)), (data.to_vec(), data.to_vec()));
    } else {
        assert!(data.starts_with(&joined(&cut.0)));
    }
}

fn written(framing: Framing, kind: Kind, mut input: Input<'_>, seed: u8, bits: u8, large: bool) {
    let mut messages = Messages::new();
    let whole = matches!(framing, Framing::Whole | Framing::Chunk);
    while !input.is_empty() && messages.len() < if whole { 1 } else { 20 } {
        let mut payload = if kind == Kind::Text { input.text().into_bytes() } else { input.bytes().to_vec() };
        // A few that are larger than a fragment.
        if large && messages.is_empty() && !payload.is_empty() {
            payload = payload.repeat(FRAGMENT / payload.len() + 1);
        }
        messages.push((kind, payload));
    }
    let separator = match framing {
        Framing::Line => Some(b'\n'),
        Framing::Null => Some(0),
        _ => None,
    };
    let mut out = Vec::new();
    let mut encoder = Encoder::new(framing, false, true);
    messages.retain(|(kind, payload)| {
        let before = out.len();
        let result = encoder.message(&mut out, *kind, payload, 1_700_000_000_000_000);
        let shown = separator.is_none_or(|separator| !payload.contains(&separator));
        assert_eq!(result.is_ok(), shown, "refused is what cannot be read again");
        assert!(shown || out.len() == before);
        shown
    });
    encoder.control(&mut out, Control::Close(Some((1000, "bye"))), 0);
    encoder.control(&mut out, Control::Ping(b"\xff"), 0);
    let parts = if large { out.chunks(1 + usize::from(seed) * 300).collect() } else { pieces(&out, seed) };
    let (read, begun, error) = decode(framing, kind, &parts, bits & 4 != 0);
    assert_eq!((&begun[..], error), (&b""[..], None));
    if whole {
        let joined: Vec<u8> = read.into_iter().flat_map(|(_, bytes)| bytes).collect();
        return assert_eq!(joined, messages.into_iter().flat_map(|(_, bytes)| bytes).collect::<Vec<u8>>());
    }
    assert_eq!(read, messages);
    escaped(framing, &read);
}

/// On a terminal no control character comes through but the ends of lines.
fn escaped(framing: Framing, messages: &Messages) {
    let mut encoder = Encoder::new(framing, true, false);
    let mut out = Vec::new();
    for (kind, payload) in messages {
        let _ = encoder.message(&mut out, *kind, payload, 0);
    }
    let text = String::from_utf8(out).expect("text for a terminal");
    let fine = |c: char| matches!(c, '\n' | '\t') || (c == '\0' && framing == Framing::Null);
    assert!(!text.chars().any(|c| c.is_control() && !fine(c)), "{text:?}");
}
