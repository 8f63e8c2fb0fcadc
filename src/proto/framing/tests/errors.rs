//! What is refused, and where it says so.

use super::*;

/// The first record that is no UTF-8, and the place in it.
fn first_bad(records: &[Vec<u8>]) -> Option<(u64, u64)> {
    records.iter().zip(1..).find_map(|(record, number)| {
        let bad = std::str::from_utf8(record).err()?;
        Some((number, bad.valid_up_to() as u64 + 1))
    })
}

/// Breaks the text: a byte changed, or the end cut off.
fn damage(random: &mut Random, records: &mut [Vec<u8>], not: Option<u8>) {
    for _ in 0..1 + random.below(2) {
        let at = random.below(records.len());
        let record = &mut records[at];
        if record.is_empty() {
            continue;
        }
        let place = random.below(record.len());
        match random.below(3) {
            0 => record.truncate(place),
            1 => record[place] = record[place].wrapping_add(0x40),
            _ => record[place] = [0xff, 0x80, 0xc0, 0xe2, 0xf0, 0xf5][random.below(6)],
        }
        if not.is_some_and(|not| record.contains(&not)) {
            record[place] = b'x';
        }
    }
}

#[test]
fn text_that_is_no_utf8_is_refused_where_it_stands() {
    let (mut refused, mut amid) = (0, 0);
    for seed in 0..1200 {
        let mut random = Random::new(seed);
        let framing =
            [Framing::Line, Framing::Null, Framing::Length, Framing::Base64, Framing::Whole][random.below(5)];
        let not = match framing {
            Framing::Line => Some(b'\n'),
            Framing::Null => Some(0),
            _ => None,
        };
        let count = if framing == Framing::Whole { 1 } else { 1 + random.below(6) };
        let mut records: Vec<_> = (0..count).map(|_| random.payload(Kind::Text, not)).collect();
        if seed % 8 == 0 {
            records[0] = records[0].iter().chain("x€é🦀".as_bytes()).copied().collect();
            records[0] = records[0].repeat(1 + 2 * FRAGMENT / records[0].len());
        }
        damage(&mut random, &mut records, not);
        let messages: Vec<_> = records.iter().map(|record| (Kind::Binary, record.clone())).collect();
        let mut bytes = encode(framing, &messages);
        if matches!(framing, Framing::Line | Framing::Null) && !records[count - 1].is_empty() {
            bytes.truncate(bytes.len() - random.below(2));
        }
        let chunks = random.chunks(&bytes);
        let (given, decoder) = decode(framing, Kind::Text, &chunks, &mut random);
        let Some((record, byte)) = first_bad(&records) else {
            assert_eq!(given.error, None, "{framing:?} seed {seed}");
            continue;
        };
        let mid = given.begun.is_some();
        assert_eq!(given.error, Some(Error::Utf8 { framing, record, byte, mid }), "seed {seed}");
        assert_eq!(decoder.in_message(), mid);
        let before = records.iter().take(record as usize - 1).cloned();
        assert!(given.messages.iter().map(|(_, message)| message.clone()).eq(before), "seed {seed}");
        let record = &records[record as usize - 1];
        if let Some(begun) = given.begun {
            assert!(record.starts_with(&begun) && record.len() > FRAGMENT, "seed {seed}");
            amid += 1;
        }
        refused += 1;
    }
    assert!(refused > 600 && amid > 20, "{refused} refused, {amid} of them amid");
}

/// All that comes of `chunks`.
fn read(framing: Framing, kind: Kind, chunks: &[&[u8]]) -> Given {
    let chunks: Vec<_> = chunks.iter().map(|chunk| Bytes::copy_from_slice(chunk)).collect();
    decode(framing, kind, &chunks, &mut Random::new(1)).0
}

fn error(framing: Framing, chunks: &[&[u8]]) -> String {
    read(framing, Kind::Text, chunks).error.expect("refused").to_string()
}

#[test]
fn errors_name_the_record_and_the_byte() {
    assert_eq!(error(Framing::Line, &[b"a\nb\n\xc3", b"\n"]), "line 3: no UTF-8 at byte 1");
    assert_eq!(error(Framing::Line, &[b"a\nxy\xe2\x82", b"z\n"]), "line 2: no UTF-8 at byte 3");
    assert_eq!(error(Framing::Line, &[b"\xf0\x9f", b"\xa6"]), "line 1: no UTF-8 at byte 1");
    assert_eq!(error(Framing::Null, &[b"a\0\0\xff\0"]), "record 3: no UTF-8 at byte 1");
    assert_eq!(error(Framing::Chunk, &[b"a", b"b\xe2", b"\x82"]), "record 3: no UTF-8 at byte 1");
    assert_eq!(error(Framing::Chunk, &[b"a", b"b\xe2", b"b"]), "record 3: no UTF-8 at byte 1");
    assert_eq!(error(Framing::Chunk, &[b"a\xe2", b"\x82\xacbc\xff"]), "record 2: no UTF-8 at byte 6");
    assert_eq!(error(Framing::Whole, &[b"a", b"\xed\xa0", b"\x80"]), "record 1: no UTF-8 at byte 2");
    assert_eq!(error(Framing::Base64, &[b"aGVsbG8=\n", b"/w==\n"]), "line 2: no UTF-8 at byte 1");
}

#[test]
fn amid_a_message_is_said_only_if_it_began() {
    let long = vec![b'x'; FRAGMENT];
    let line = |chunks: &[&[u8]]| read(Framing::Line, Kind::Text, chunks).error;
    let utf8 = |byte, mid| Some(Error::Utf8 { framing: Framing::Line, record: 1, byte, mid });
    assert_eq!(line(&[&long, b"\xff"]), utf8(FRAGMENT as u64 + 1, false));
    assert_eq!(line(&[&long, b"y", b"\xff"]), utf8(FRAGMENT as u64 + 2, true));
    assert_eq!(line(&[&long, b"\xc3", b"\xff"]), utf8(FRAGMENT as u64 + 1, true));
    assert_eq!(line(&[&[&long[..], b"xx\xff"].concat()]), utf8(FRAGMENT as u64 + 3, false));
}

#[test]
fn a_length_without_its_bytes_is_an_error() {
    let bytes = [&[0, 0, 0, 2][..], b"ab", &[0, 0, 0, 3], b"cde"].concat();
    for cut in 0..=bytes.len() {
        let given = read(Framing::Length, Kind::Binary, &[&bytes[..cut]]);
        let missing = match cut {
            0 | 6 | 13 => None,
            1..4 => Some((1, 4 - cut)),
            4..6 => Some((1, 6 - cut)),
            7..10 => Some((2, 10 - cut)),
            _ => Some((2, 13 - cut)),
        };
        let expected =
            missing.map(|(record, missing)| Error::Length { record, missing: missing as u64, mid: false });
        assert_eq!(given.error, expected, "cut at {cut}");
        assert_eq!(given.messages.len(), [0, 1, 2][usize::from(cut >= 6) + usize::from(cut >= 13)]);
    }
    let begun = [&[0xff, 0xff, 0xff, 0xff][..], &[0; 2 * FRAGMENT]].concat();
    let given = read(Framing::Length, Kind::Binary, &[&begun]);
    let missing = u64::from(u32::MAX) - 2 * FRAGMENT as u64;
    assert_eq!(given.error, Some(Error::Length { record: 1, missing, mid: true }));
    assert_eq!(error(Framing::Length, &[b"\0"]), "record 1: the input ends 3 bytes before its end");
}

#[test]
fn base64_is_the_standard_alphabet_with_padding_or_without() {
    let read = |text: &[u8]| {
        let whole = read(Framing::Base64, Kind::Binary, &[text]);
        let bytes: Vec<_> = text.chunks(1).collect();
        assert_eq!(whole, read(Framing::Base64, Kind::Binary, &bytes), "cut anywhere is the same");
        match whole.error {
            None => Ok(whole.messages.into_iter().map(|(_, message)| message).collect::<Vec<_>>()),
            Some(error) => Err(error.to_string()),
        }
    };
    assert_eq!(
        read(b"YQ==\nYQ\nYWI=\r\n\nYWJj\r\n+/+/"),
        Ok(vec![
            b"a".to_vec(),
            b"a".to_vec(),
            b"ab".to_vec(),
            b"".to_vec(),
            b"abc".to_vec(),
            b"\xfb\xff\xbf".to_vec(),
        ])
    );
    for (text, byte) in [
        (&b"YQ=\n"[..], 3),
        (b"YQ===\n", 3),
        (b"Y===\n", 2),
        (b"====\n", 1),
        (b"Y\n", 1),
        (b"YR==\n", 2),
        (b"YQ==YQ==\n", 3),
        (b"YWJj-_-_\n", 5),
        (b"YWJj YWJj\n", 5),
        (b"YWJj\rYWJj\n", 5),
        (b"YWJjYWJj\r\r\n", 9),
    ] {
        assert_eq!(read(text), Err(format!("line 1: no base64 at byte {byte}")), "{text:?}");
    }
}

#[test]
fn json_says_what_is_wrong() {
    for (line, what) in [
        ("nonsense", "no JSON at byte 2: expected ident"),
        ("[]", "no JSON at byte 0: invalid type: sequence, expected an object"),
        ("{\"type\":\"text\",\"payload\":\"a\"", "no JSON at byte 28: EOF while parsing an object"),
        ("{\"type\":\"text\",\"payload\":\"a\"} x", "no JSON at byte 31: trailing characters"),
        ("{\"type\":\"text\",\"payload\":\"\\ud800\"}", "no JSON at byte 33: unexpected end of hex escape"),
        ("{\"type\":5}", "no JSON at byte 9: invalid type: integer `5`, expected a string"),
        ("{\"type\":\"text\",\"payload\":null}", "no JSON at byte 29: invalid type: null, expected a string"),
        ("{\"type\":\"text\",\"type\":\"text\"}", "no JSON at byte 21: duplicate field `type`"),
        ("{\"payload\":\"a\"}", "no type in the object"),
        ("{\"type\":\"txt\\n\",\"payload\":\"a\"}", "unknown type \"txt\\n\""),
        ("{\"type\":\"text\"}", "no payload in the object"),
        ("{\"type\":\"text\",\"payload\":\"\",\"payload_base64\":\"\"}", "both payload and payload_base64"),
        ("{\"type\":\"text\",\"payload_base64\":\"a-_=\"}", "payload_base64 is no base64 at byte 2"),
        ("{\"type\":\"text\",\"payload_base64\":\"/w==\"}", "payload_base64 of a text message is no UTF-8"),
    ] {
        let input = format!("{{\"type\":\"ping\"}}\n \n{line}\n");
        assert_eq!(error(Framing::Json, &[input.as_bytes()]), format!("line 3: {what}"));
    }
    assert!(error(Framing::Json, &[b"{\"type\":\"text\",\"payload\":\"\xff\"}"]).contains("unicode"));
}

#[test]
fn a_line_of_json_has_a_limit() {
    let mut decoder = Decoder::new(Framing::Json, Kind::Text);
    decoder.line_limit = 1 << 20;
    let chunk = Bytes::from_static(b" ").repeat(1 << 10);
    for at in 0..=1024 {
        decoder.push(Bytes::from(chunk.clone()));
        let what = "longer than 1 MiB".to_owned();
        let expected = (at == 1024).then_some(Err(Error::Json { record: 1, what }));
        assert_eq!(decoder.poll_piece(), expected, "after {at} KiB");
    }
    assert!(decoder.held() <= 1 << 20);
}
