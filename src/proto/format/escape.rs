//! Received bytes as text that is safe on a terminal.

use std::fmt::Write;

/// The most characters of a peer's text that a line on stderr shows.
const SHOWN: usize = 200;

/// `bytes` fit for a terminal and for one line: printable UTF-8 stays as it is, newline, carriage return and
/// tab become `\n`, `\r`, `\t`, other ASCII control bytes and what is no UTF-8 `\xNN`, and control
/// characters above ASCII (C1, and those that turn the direction of text) `\u{NN}`.
pub fn escape(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            escape_char(c, &mut out);
        }
        for byte in chunk.invalid() {
            push(&mut out, format_args!("\\x{byte:02x}"));
        }
    }
    out
}

/// A peer's text for a line on stderr: [`escape`]d, and cut after 200 characters.
pub fn excerpt(bytes: &[u8]) -> String {
    // Escaping never shortens, and a character has at most four bytes: cutting first bounds the work.
    let text = escape(&bytes[..bytes.len().min(4 * (SHOWN + 1))]);
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn escape_char(c: char, out: &mut String) {
    match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\0'..='\x1f' | '\x7f' => push(out, format_args!("\\x{:02x}", u32::from(c))),
        _ if is_steering(c) => push(out, format_args!("\\u{{{:x}}}", u32::from(c))),
        _ => out.push(c),
    }
}

/// Whether `c` steers a terminal, or how text is shown, from above printable ASCII: DEL, C1, separators of
/// lines, marks of direction, the byte order mark.
pub(super) fn is_steering(c: char) -> bool {
    matches!(c, '\x7f'..='\u{9f}'
        | '\u{61c}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}'
        | '\u{feff}')
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String does not fail.
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::{SHOWN, escape, excerpt};

    #[test]
    fn printable_text_stays() {
        for text in ["", "hello", "Grüße, 世界 🦀", r"C:\x41 ~"] {
            assert_eq!(escape(text.as_bytes()), text);
        }
    }

    #[test]
    fn nothing_reaches_a_terminal_raw() {
        assert_eq!(escape(b"\x1b[31mred\x1b[0m\x07\0"), r"\x1b[31mred\x1b[0m\x07\x00");
        assert_eq!(escape(b"a\nb\r\tc\x7f"), r"a\nb\r\tc\x7f");
        assert_eq!(escape("\u{9b}2J\u{202e}x\u{61c}".as_bytes()), r"\u{9b}2J\u{202e}x\u{61c}");
        assert_eq!(escape(b"\xff\xc3(\xe2\x82"), r"\xff\xc3(\xe2\x82");
        let all: Vec<u8> = (0..=255).collect();
        assert!(!escape(&all).chars().any(char::is_control));
    }

    #[test]
    fn excerpts_are_bounded() {
        assert_eq!(excerpt(&[b'x'; SHOWN]), "x".repeat(SHOWN));
        for long in ["x".repeat(SHOWN + 1), "x".repeat(5000), "\u{10ffff}".repeat(5000), "\0".repeat(5000)] {
            let text = excerpt(long.as_bytes());
            assert!(text.ends_with('…') && text.chars().count() == SHOWN + 1, "{text}");
        }
    }
}
