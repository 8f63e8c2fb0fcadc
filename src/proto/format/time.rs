//! Times as text: RFC 3339, and the conversions of strftime(3) in the POSIX locale.

use super::zone::Zone;

const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// The conversions that [`Local::push`] knows: those of glibc and musl that are one letter.
pub(super) const CONVERSIONS: &[u8] = b"aAbBcCdDeFgGhHIjklmMnpPrRsStTuUVwWxXyYzZ%";

/// A time in UTC as RFC 3339 says it, `2026-02-28T23:59:59.000001Z`, from microseconds since 1970. What is
/// after the year 9999, where the format ends, is its last microsecond.
pub fn rfc3339(micros: u64) -> String {
    let mut out = Vec::with_capacity(27);
    push_rfc3339(&mut out, micros);
    // Only ASCII was written.
    String::from_utf8(out).unwrap_or_default()
}

/// Appends what [`rfc3339`] returns.
pub(super) fn push_rfc3339(out: &mut Vec<u8>, micros: u64) {
    // 9999-12-31T23:59:59.999999Z
    const LAST: u64 = 253_402_300_799_999_999;
    let micros = micros.min(LAST);
    let (seconds, fraction) = split(micros);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = date(days);
    push_date(out, year, month, day);
    out.push(b'T');
    push_clock(out, second);
    out.push(b'.');
    digits(out, fraction, 6);
    out.push(b'Z');
}

/// Seconds and the microseconds after them.
fn split(micros: u64) -> (i64, i64) {
    // Both fit: a u64 of microseconds has fewer than 2^45 seconds.
    ((micros / 1_000_000) as i64, (micros % 1_000_000) as i64)
}

/// Year, month and day of the Gregorian calendar from days since 1970-01-01, at most one of them negative.
fn date(days: i64) -> (i64, i64, i64) {
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

/// A time as a clock and a calendar in a zone show it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Local<'a> {
    seconds: i64,
    micros: i64,
    offset: i64,
    abbreviation: &'a str,
    year: i64,
    /// 1 to 12.
    month: i64,
    /// 1 to 31.
    day: i64,
    /// From 0.
    day_of_year: i64,
    /// From 0, which is Sunday.
    weekday: i64,
    second_of_day: i64,
}

impl<'a> Local<'a> {
    /// `micros` since 1970 (UTC).
    pub(super) fn new(micros: u64, zone: &'a Zone) -> Local<'a> {
        let (seconds, micros) = split(micros);
        let (offset, abbreviation) = zone.at(seconds);
        let there = seconds + offset;
        let (days, second_of_day) = (there.div_euclid(86_400), there.rem_euclid(86_400));
        let (year, month, day) = date(days);
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334][month as usize - 1];
        let day_of_year = before + i64::from(leap && month > 2) + day - 1;
        // 1970-01-01 was a Thursday.
        let weekday = (days + 4).rem_euclid(7);
        Local { seconds, micros, offset, abbreviation, year, month, day, day_of_year, weekday, second_of_day }
    }

    /// Appends `2026-02-28T23:59:59`, a fraction where it is asked for, and `+0100`: `%I`, and `tst` of `%j`.
    pub(super) fn push_iso8601(&self, out: &mut Vec<u8>, fraction: bool) {
        push_date(out, self.year, self.month, self.day);
        out.push(b'T');
        push_clock(out, self.second_of_day);
        if fraction {
            out.push(b'.');
            digits(out, self.micros, 6);
        }
        self.push_offset(out);
    }

    /// Appends `1772323199.000001000`: seconds since 1970, and nanoseconds.
    pub(super) fn push_unix(&self, out: &mut Vec<u8>) {
        digits(out, self.seconds, 1);
        out.push(b'.');
        self.push_nanos(out);
    }

    /// Appends the nanoseconds after the second, nine digits.
    pub(super) fn push_nanos(&self, out: &mut Vec<u8>) {
        digits(out, self.micros * 1000, 9);
    }

    /// Appends what strftime(3) makes of `%` and `conversion`, one of [`CONVERSIONS`], in the POSIX locale.
    pub(super) fn push(&self, out: &mut Vec<u8>, conversion: u8) {
        let (hour, minute, second) = self.clock();
        let hour12 = (hour + 11) % 12 + 1;
        match conversion {
            b'C' => digits(out, self.year / 100, 2),
            b'd' => digits(out, self.day, 2),
            b'e' => blanks(out, self.day, 2),
            b'g' => digits(out, self.iso_week().0 % 100, 2),
            b'G' => digits(out, self.iso_week().0, 1),
            b'H' => digits(out, hour, 2),
            b'I' => digits(out, hour12, 2),
            b'j' => digits(out, self.day_of_year + 1, 3),
            b'k' => blanks(out, hour, 2),
            b'l' => blanks(out, hour12, 2),
            b'm' => digits(out, self.month, 2),
            b'M' => digits(out, minute, 2),
            b's' => digits(out, self.seconds, 1),
            b'S' => digits(out, second, 2),
            b'u' => digits(out, (self.weekday + 6) % 7 + 1, 1),
            b'U' => digits(out, (self.day_of_year + 7 - self.weekday) / 7, 2),
            b'V' => digits(out, self.iso_week().1, 2),
            b'w' => digits(out, self.weekday, 1),
            b'W' => digits(out, (self.day_of_year + 7 - (self.weekday + 6) % 7) / 7, 2),
            b'y' => digits(out, self.year % 100, 2),
            b'Y' => digits(out, self.year, 1),
            _ => self.push_text(out, conversion),
        }
    }

    fn push_text(&self, out: &mut Vec<u8>, conversion: u8) {
        let weekday = DAYS[self.weekday as usize];
        let month = MONTHS[self.month as usize - 1];
        let afternoon = self.second_of_day >= 43_200;
        match conversion {
            b'a' => out.extend_from_slice(&weekday.as_bytes()[..3]),
            b'A' => out.extend_from_slice(weekday.as_bytes()),
            b'b' | b'h' => out.extend_from_slice(&month.as_bytes()[..3]),
            b'B' => out.extend_from_slice(month.as_bytes()),
            b'c' => self.push_all(out, "a b e T Y"),
            b'D' | b'x' => self.push_all(out, "m/d/y"),
            b'F' => push_date(out, self.year, self.month, self.day),
            b'n' => out.push(b'\n'),
            b'p' => out.extend_from_slice(if afternoon { b"PM" } else { b"AM" }),
            b'P' => out.extend_from_slice(if afternoon { b"pm" } else { b"am" }),
            b'r' => self.push_all(out, "I:M:S p"),
            b'R' => self.push_all(out, "H:M"),
            b't' => out.push(b'\t'),
            b'T' | b'X' => push_clock(out, self.second_of_day),
            b'z' => self.push_offset(out),
            b'Z' => out.extend_from_slice(self.abbreviation.as_bytes()),
            _ => out.push(conversion),
        }
    }

    /// Letters are conversions, and the rest is text.
    fn push_all(&self, out: &mut Vec<u8>, text: &str) {
        for byte in text.bytes() {
            match byte.is_ascii_alphabetic() {
                true => self.push(out, byte),
                false => out.push(byte),
            }
        }
    }

    fn clock(&self) -> (i64, i64, i64) {
        (self.second_of_day / 3600, self.second_of_day / 60 % 60, self.second_of_day % 60)
    }

    fn push_offset(&self, out: &mut Vec<u8>) {
        out.push(if self.offset < 0 { b'-' } else { b'+' });
        let minutes = self.offset.abs() / 60;
        digits(out, minutes / 60 * 100 + minutes % 60, 4);
    }

    /// Year and week of ISO 8601: week 1 has the year's first Thursday.
    fn iso_week(&self) -> (i64, i64) {
        // The Thursday of this week, counted in days of this year, decides on the year.
        let thursday = self.day_of_year - (self.weekday + 6) % 7 + 3;
        let days = |year: i64| if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) { 366 } else { 365 };
        if thursday < 0 {
            return (self.year - 1, (thursday + days(self.year - 1)) / 7 + 1);
        }
        if thursday >= days(self.year) {
            return (self.year + 1, (thursday - days(self.year)) / 7 + 1);
        }
        (self.year, thursday / 7 + 1)
    }
}

fn push_date(out: &mut Vec<u8>, year: i64, month: i64, day: i64) {
    digits(out, year, 4);
    out.push(b'-');
    digits(out, month, 2);
    out.push(b'-');
    digits(out, day, 2);
}

fn push_clock(out: &mut Vec<u8>, second_of_day: i64) {
    digits(out, second_of_day / 3600, 2);
    out.push(b':');
    digits(out, second_of_day / 60 % 60, 2);
    out.push(b':');
    digits(out, second_of_day % 60, 2);
}

/// A number that is not negative, with zeros before it up to `width`.
fn digits(out: &mut Vec<u8>, number: i64, width: usize) {
    super::field::number(out, number.unsigned_abs(), width, b'0');
}

/// The same with blanks.
fn blanks(out: &mut Vec<u8>, number: i64, width: usize) {
    super::field::number(out, number.unsigned_abs(), width, b' ');
}

#[cfg(test)]
mod tests;
