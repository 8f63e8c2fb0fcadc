//! How received bytes become safe or readable text.

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

/// A time in UTC as RFC 3339 says it, `2026-02-28T23:59:59.000001Z`, from microseconds since 1970. What is
/// after the year 9999, where the format ends, is its last microsecond.
pub fn rfc3339(micros: u64) -> String {
    // 9999-12-31T23:59:59.999999Z
    const LAST: u64 = 253_402_300_799_999_999;
    let micros = micros.min(LAST);
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:06}Z")
}

/// Year, month and day of the Gregorian calendar from days since 1970-01-01.
fn date(days: u64) -> (u64, u64, u64) {
    // Years are counted from March here, so that a leap day is the last day of its year. 719,468 days lie
    // between 0000-03-01 and 1970-01-01; 400 years have 146,097 days.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    // Each 4 years (1,461 days) have a leap day, but each 100 (36,524) none, but each 400 one.
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // From March on, five months have 153 days, over and over.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String does not fail.
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::{SHOWN, escape, excerpt, rfc3339};

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
    fn times_are_utc_with_microseconds() {
        // The seconds are those of date(1).
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_399, "2000-02-28T23:59:59"),
            (951_782_400, "2000-02-29T00:00:00"),
            (1_709_251_199, "2024-02-29T23:59:59"),
            (1_767_225_599, "2025-12-31T23:59:59"),
            (4_107_542_399, "2100-02-28T23:59:59"),
            (4_107_542_400, "2100-03-01T00:00:00"),
            (253_402_300_799, "9999-12-31T23:59:59"),
        ] {
            assert_eq!(rfc3339(seconds * 1_000_000), format!("{text}.000000Z"));
        }
        assert_eq!(rfc3339(1_000_001), "1970-01-01T00:00:01.000001Z");
        assert_eq!(rfc3339(u64::MAX), "9999-12-31T23:59:59.999999Z");
    }

    #[test]
    fn days_follow_each_other() {
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..200_000_u64 {
            assert_eq!(super::date(days), (year, month, day));
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = match month {
                2 => 28 + u64::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            day += 1;
            if day > length {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
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
