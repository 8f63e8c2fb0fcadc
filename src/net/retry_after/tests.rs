//! The three forms of a date, what is none, and what the sum of it is.

use super::*;

/// 2026-11-22 00:00:00.
const NOW: u64 = 1_795_305_600;

#[test]
fn the_three_forms() {
    for text in
        ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
    {
        assert_eq!(date(text, NOW), Some(784_111_777), "{text}");
    }
    for (text, expected) in [
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Thu, 29 Feb 2024 23:59:60 GMT", 1_709_251_200),
        ("Sat Nov 21 00:00:00 2026", NOW - 86_400),
        ("Sun, 22 Nov 2026 00:00:00 GMT", NOW),
        ("Tue, 31 Dec 9999 23:59:59 GMT", 253_402_300_799),
        ("Mon, 01 Jan 0000 00:00:00 GMT", 0),
        // At most 50 years ahead.
        ("Tuesday, 01-Dec-76 00:00:00 GMT", 3_374_006_400),
        ("Wednesday, 01-Dec-77 00:00:00 GMT", 249_782_400),
    ] {
        assert_eq!(date(text, NOW), Some(expected), "{text}");
    }
    // 1999: 01 is 2001.
    assert_eq!(date("Monday, 01-Jan-01 00:00:00 GMT", 930_000_000), Some(978_307_200));
}

#[test]
fn what_is_no_date() {
    for text in [
        "",
        "soon",
        "-5",
        "1.5",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 29 Feb 1900 08:49:37 GMT",
        "Sun, 00 Jan 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:00 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 1994 +8:49:37 GMT",
        "Sun, 06 Nov  1994 08:49:37 GMT",
        "Son, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov  16 08:49:37 1994",
        "Sun Nov 06 08:49:37 94",
        "\u{e9}, 06 Nov 1994 08:49:37 GMT",
    ] {
        assert_eq!(wait(text, NOW), None, "{text}");
    }
}

#[test]
fn how_long() {
    let seconds = |text| wait(text, NOW).map(|wait| wait.as_secs());
    assert_eq!(seconds("0"), Some(0));
    assert_eq!(seconds(" 120 "), Some(120));
    assert_eq!(seconds("3601"), Some(3600));
    assert_eq!(seconds("99999999999999999999999"), Some(3600));
    assert_eq!(seconds("Sun, 22 Nov 2026 00:01:00 GMT"), Some(60));
    assert_eq!(seconds("Sun, 22 Nov 2026 09:00:00 GMT"), Some(3600));
    assert_eq!(seconds("Sat, 21 Nov 2026 00:00:00 GMT"), Some(0));
}

/// xorshift64: each failure repeats.
fn below(state: &mut u64, n: u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 11) % n
}

/// Year, month and day by counting: slow, and nothing like what it checks.
fn civil(mut days: u64) -> (u64, usize, u64) {
    let mut year = 1970;
    loop {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let lengths = [31, 28 + u64::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        for (month, length) in lengths.into_iter().enumerate() {
            if days < length {
                return (year, month, days + 1);
            }
            days -= length;
        }
        year += 1;
    }
}

#[test]
fn dates_of_every_form_are_what_they_say() {
    let mut state = 0x9e37_79b9_7f4a_7c15;
    for _ in 0..200_000 {
        // Up to 2226; a date of two digits is one of the next 50 years or the last.
        let at = below(&mut state, 8_086_000_000);
        let ((year, month, day), second) = (civil(at / 86_400), at % 86_400);
        // 1970 began on a Thursday, and DAYS does on Monday.
        let weekday = DAYS[((at / 86_400 + 3) % 7) as usize];
        let clock = format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60);
        let (short, name) = (&weekday[..3], MONTHS[month]);
        let fixdate = format!("{short}, {day:02} {name} {year} {clock} GMT");
        let asctime = format!("{short} {name} {day:2} {clock} {year}");
        let rfc850 = format!("{weekday}, {day:02}-{name}-{:02} {clock} GMT", year % 100);
        assert_eq!(date(&fixdate, NOW), Some(at), "{fixdate}");
        assert_eq!(date(&asctime, NOW), Some(at), "{asctime}");
        // A year away from where the centuries part.
        let near = at.saturating_sub(below(&mut state, 49 * 31_556_952));
        assert_eq!(date(&rfc850, near), Some(at), "{rfc850} seen from {near}");
    }
}

#[test]
fn anything_else_does_no_harm() {
    const FORMS: [&str; 4] = [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "99999999999999999999",
    ];
    const BYTES: &[u8] = b"0123456789 ,:-GMTSunov\x00\xc3\xa9+";
    let mut state = 0x2545_f491_4f6c_dd1d;
    for _ in 0..300_000 {
        let mut text = FORMS[below(&mut state, 4) as usize].as_bytes().to_vec();
        for _ in 0..1 + below(&mut state, 4) {
            let at = below(&mut state, text.len() as u64) as usize;
            match below(&mut state, 3) {
                0 => text[at] = BYTES[below(&mut state, BYTES.len() as u64) as usize],
                1 => text.truncate(at + 1),
                _ => text.insert(at, BYTES[below(&mut state, BYTES.len() as u64) as usize]),
            }
        }
        let text = String::from_utf8_lossy(&text);
        assert!(wait(&text, below(&mut state, u64::MAX)).is_none_or(|wait| wait <= LONGEST), "{text}");
    }
}
