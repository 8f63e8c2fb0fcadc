//! Any messages in any chunks, against models that know nothing of chunks.

mod errors;
mod forms;

use bytes::Bytes;

use super::*;

/// xorshift64*: the same numbers in every run.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        ((self.next() >> 33) % end as u64) as usize
    }

    /// Lengths where something happens: nothing, little, about a fragment, several fragments.
    fn length(&mut self) -> usize {
        match self.below(40) {
            0..4 => 0,
            4..30 => self.below(100),
            30..36 => self.below(5000),
            36..38 => FRAGMENT - 3 + self.below(7),
            38 => FRAGMENT / 4 - 3 + self.below(7),
            _ => self.below(4 * FRAGMENT),
        }
    }

    fn char(&mut self) -> char {
        let code = match self.below(8) {
            0..5 => self.below(0x80),
            5 => self.below(0x800),
            6 => self.below(0x10000),
            _ => self.below(0x11_0000),
        };
        char::from_u32(code as u32).unwrap_or('\u{fffd}')
    }

    /// A payload of `kind` without the byte `not`.
    pub fn payload(&mut self, kind: Kind, not: Option<u8>) -> Vec<u8> {
        let length = self.length();
        let mut payload = Vec::new();
        while payload.len() < length {
            // What is long repeats itself: random characters take their time.
            if (1000..length / 2).contains(&payload.len()) {
                payload.extend_from_within(..);
            }
            let mut c = [0; 4];
            let next = match kind {
                Kind::Text => self.char().encode_utf8(&mut c).as_bytes(),
                Kind::Binary => {
                    c[0] = self.next() as u8;
                    &c[..1]
                }
            };
            if not.is_none_or(|not| !next.contains(&not)) {
                payload.extend_from_slice(next);
            }
        }
        payload
    }

    /// `bytes` in chunks: all of one size, or of all sizes.
    pub fn chunks(&mut self, bytes: &[u8]) -> Vec<Bytes> {
        let limit = [1, 2, 3, 7, 100, 4096, FRAGMENT - 1, FRAGMENT, FRAGMENT + 1, usize::MAX][self.below(10)];
        // One byte at a time only where it does not take long.
        let limit = limit.max(bytes.len() / 8000);
        let even = self.below(2) == 0;
        let mut rest = Bytes::copy_from_slice(bytes);
        let mut chunks = Vec::new();
        while !rest.is_empty() {
            let size = limit.min(rest.len());
            let size = if even { size } else { 1 + self.below(size) };
            chunks.push(rest.split_to(size));
        }
        chunks
    }
}

/// What a decoder gave: whole messages, and how it ended.
#[derive(Debug, Default, PartialEq)]
pub struct Given {
    pub messages: Vec<(Kind, Vec<u8>)>,
    /// The begun message.
    pub begun: Option<Vec<u8>>,
    pub error: Option<Error>,
}

impl Given {
    /// Takes the next piece and holds it against what is said of pieces; false where there is none.
    fn take(&mut self, decoder: &mut Decoder) -> bool {
        assert!(decoder.held() <= FRAGMENT || decoder.framing() == Framing::Json, "holds too much");
        let piece = match decoder.poll_piece() {
            None => return false,
            Some(Err(error)) => {
                assert_eq!(decoder.poll_piece(), Some(Err(error.clone())), "errors stay");
                self.error = Some(error);
                return false;
            }
            Some(Ok(piece)) => piece,
        };
        assert!(piece.payload.len() <= FRAGMENT);
        assert_eq!(piece.first, self.begun.is_none());
        assert_eq!(decoder.in_message(), !piece.last);
        let message = self.begun.get_or_insert_default();
        message.extend_from_slice(&piece.payload);
        assert!(piece.first == piece.last || message.len() > FRAGMENT || !piece.last, "needless fragments");
        if piece.last {
            let message = self.begun.take().expect("it was inserted");
            self.messages.push((piece.kind, message));
        }
        true
    }
}

/// Pushes the chunks and polls, sometimes to the end and sometimes not.
pub fn decode(framing: Framing, kind: Kind, chunks: &[Bytes], random: &mut Random) -> (Given, Decoder) {
    let mut decoder = Decoder::new(framing, kind);
    let mut given = Given::default();
    assert!(decoder.is_empty());
    for chunk in chunks {
        decoder.push(chunk.clone());
        let polls = if random.below(4) == 0 { random.below(3) } else { usize::MAX };
        let _ = (0..polls).find(|_| !given.take(&mut decoder));
    }
    decoder.finish();
    while given.take(&mut decoder) {}
    (given, decoder)
}

fn encode(framing: Framing, messages: &[(Kind, Vec<u8>)]) -> Vec<u8> {
    let mut encoder = Encoder::new(framing, false, true);
    let mut out = Vec::new();
    for (at, (kind, payload)) in messages.iter().enumerate() {
        assert_eq!(encoder.message(&mut out, *kind, payload, 1_767_225_599_000_000 + at as u64), Ok(None));
        encoder.control(&mut out, Control::Ping(b"\xff\n"), 0);
    }
    out
}

#[test]
fn what_is_written_reads_back() {
    for seed in 0..600 {
        let mut random = Random::new(seed);
        let framing =
            [Framing::Line, Framing::Null, Framing::Length, Framing::Base64, Framing::Json][random.below(5)];
        let kinds = [Kind::Text, Kind::Binary];
        let kind = kinds[random.below(2)];
        let not = match framing {
            Framing::Line => Some(b'\n'),
            Framing::Null => Some(0),
            _ => None,
        };
        let messages: Vec<_> = (0..random.below(12))
            .map(|_| {
                let kind = if framing == Framing::Json { kinds[random.below(2)] } else { kind };
                (kind, random.payload(kind, not))
            })
            .collect();
        let mut bytes = encode(framing, &messages);
        // The last separator may be missing, unless it is all there is of the last record.
        let bare = messages.last().is_some_and(|(_, last)| last.is_empty()) && framing != Framing::Json;
        if framing != Framing::Length && !bare && random.below(2) == 0 {
            bytes.pop();
        }
        let chunks = random.chunks(&bytes);
        let (given, decoder) = decode(framing, kind, &chunks, &mut random);
        assert!(given == Given { messages, ..Given::default() }, "{framing:?} {kind:?} seed {seed}");
        assert!(decoder.is_empty() && !decoder.in_message());
    }
}

#[test]
fn chunks_stay_messages_and_text_stays_text() {
    for seed in 0..500 {
        let mut random = Random::new(seed);
        let bytes = random.payload(Kind::Text, None);
        let chunks = random.chunks(&bytes);
        let (binary, _) = decode(Framing::Chunk, Kind::Binary, &chunks, &mut random);
        assert!(binary.messages.iter().map(|(_, message)| message).eq(&chunks), "seed {seed}");
        let (text, decoder) = decode(Framing::Chunk, Kind::Text, &chunks, &mut random);
        assert_eq!(text.error, None);
        assert!(decoder.is_empty());
        let mut rest = &bytes[..];
        for (_, message) in &text.messages {
            assert!(!message.is_empty() && std::str::from_utf8(message).is_ok());
            rest = rest.strip_prefix(&message[..]).expect("in order");
        }
        assert!(rest.is_empty() && text.messages.len() <= chunks.len());
    }
}

#[test]
fn the_whole_is_one_message() {
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let kind = [Kind::Text, Kind::Binary][random.below(2)];
        let bytes = random.payload(kind, None);
        let chunks = random.chunks(&bytes);
        let (given, _) = decode(Framing::Whole, kind, &chunks, &mut random);
        assert!(given == Given { messages: vec![(kind, bytes)], ..Given::default() }, "seed {seed}");
    }
}

#[test]
fn no_input_panics_or_never_ends() {
    for seed in 0..1500 {
        let mut random = Random::new(seed);
        let framing = Framing::ALL[random.below(7)];
        let mut bytes = random.payload(Kind::Binary, None);
        // More of what means something.
        for byte in &mut bytes {
            if random.below(3) > 0 {
                *byte = b"\n\0\x01=Aa\"{}:,\\\xe2\x82\xac\xf0"[random.below(16)];
            }
        }
        let chunks = random.chunks(&bytes);
        let (given, _) = decode(framing, Kind::Text, &chunks, &mut random);
        for (_, message) in &given.messages {
            assert!(std::str::from_utf8(message).is_ok(), "{framing:?} seed {seed}");
        }
    }
}

/// Pushes `chunk` many times and counts; memory is the chunk's and what the decoder holds.
fn stream(framing: Framing, kind: Kind, chunk: &Bytes, times: usize) -> (usize, usize) {
    let mut decoder = Decoder::new(framing, kind);
    let (mut bytes, mut pieces, mut messages) = (0, 0, 0);
    let range = chunk.as_ptr_range();
    for at in 0..=times {
        if at < times {
            decoder.push(chunk.clone());
        } else {
            decoder.finish();
        }
        while let Some(piece) = decoder.poll_piece() {
            let piece = piece.expect("it is UTF-8");
            assert!(piece.payload.len() <= FRAGMENT && piece.first == (pieces == 0));
            let shared = range.contains(&piece.payload.as_ptr());
            assert!(shared || piece.payload.is_empty() || pieces < 2 || chunk.len() < FRAGMENT / 4, "copied");
            bytes += piece.payload.len();
            pieces += 1;
            messages += usize::from(piece.last);
        }
        assert!(decoder.held() <= FRAGMENT);
        assert!(decoder.is_empty() || decoder.held() > 0, "what was read is given or held");
    }
    assert_eq!(messages, 1);
    (bytes, pieces)
}

#[test]
fn a_gigabyte_flows_through() {
    // No code point fits its border.
    let chunk = Bytes::from("€".repeat(FRAGMENT).into_bytes()).slice(..FRAGMENT);
    let whole = |kind, times| stream(Framing::Whole, kind, &chunk, times);
    assert_eq!(whole(Kind::Binary, 16 * 1024).0, 1 << 30);
    // 65,536 is 3 * 21,845 + 1, so that only bytes without meaning repeat.
    let text = Bytes::from("0123456789abcde€".repeat(FRAGMENT)).slice(..18 * 3640);
    let (bytes, pieces) = stream(Framing::Whole, Kind::Text, &text, 16 * 1024);
    assert_eq!(bytes, 18 * 3640 * 16 * 1024);
    assert!(pieces <= 16 * 1024 + 2);
}

#[test]
fn a_long_line_is_one_message() {
    let text = Bytes::from("é".repeat(FRAGMENT / 2));
    for kind in [Kind::Text, Kind::Binary] {
        let (bytes, pieces) = stream(Framing::Line, kind, &text, 1600);
        assert_eq!(bytes, 1600 * FRAGMENT);
        assert!(pieces <= 1602);
    }
    // A pipe's 4 KiB at a time are gathered, not sent one by one.
    let (bytes, pieces) = stream(Framing::Line, Kind::Text, &text.slice(..4096), 1600);
    assert_eq!(bytes, 1600 * 4096);
    assert_eq!(pieces, 100);
}

#[test]
fn lines_that_are_lent_are_those_that_are_given() {
    let mut random = Random::new(11);
    for _ in 0..200 {
        let input: Vec<u8> =
            (0..random.next() % 400).map(|_| [b'a', b'b', b'\n'][random.next() as usize % 3]).collect();
        let mut decoder = Decoder::new(Framing::Line, Kind::Binary);
        let (mut lines, mut line) = (Vec::new(), Vec::new());
        for chunk in input.chunks(1 + random.next() as usize % 50) {
            decoder.push(Bytes::copy_from_slice(chunk));
            loop {
                if let Some(lent) = decoder.lend_line(<[u8]>::to_vec) {
                    assert!(line.is_empty(), "in the middle of a line");
                    lines.push(lent);
                } else if let Some(piece) = decoder.poll_piece() {
                    let piece = piece.unwrap();
                    line.extend_from_slice(&piece.payload);
                    lines.extend(piece.last.then(|| std::mem::take(&mut line)));
                } else {
                    break;
                }
            }
        }
        let ended: Vec<&[u8]> = input.split(|byte| *byte == b'\n').collect();
        assert_eq!(lines, ended[..ended.len() - 1]);
    }
}

#[test]
fn only_lines_are_lent() {
    for framing in [Framing::Null, Framing::Whole, Framing::Base64, Framing::Json] {
        let mut decoder = Decoder::new(framing, Kind::Binary);
        decoder.push(Bytes::from_static(b"YQ==\n\0"));
        assert_eq!(decoder.lend_line(<[u8]>::to_vec), None, "{framing:?}");
    }
    // Text is lent as far as it is checked, which the first look does.
    let mut decoder = Decoder::new(Framing::Line, Kind::Text);
    decoder.push(Bytes::from_static(b"good\nbad\xff\n"));
    assert_eq!(decoder.lend_line(<[u8]>::to_vec), None);
    assert!(decoder.poll_piece().is_some_and(|piece| piece.is_ok()));
    assert_eq!(decoder.lend_line(<[u8]>::to_vec), None);
    assert!(decoder.poll_piece().is_some_and(|piece| piece.is_err()));
}
