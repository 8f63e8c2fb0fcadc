//! Retry-After: when the server wants to be asked again (RFC 9110 section 10.2.3).

use std::time::Duration;

/// No server makes us wait longer: what asks for more may be a mistake, or a clock that is wrong.
pub const LONGEST: Duration = Duration::from_secs(3600);

/// How long to wait from `now` on, in seconds since 1970 by the wall clock: at most [`LONGEST`]. None where it
/// is neither a number of seconds nor a date.
pub(super) fn wait(text: &str, now: u64) -> Option<Duration> {
    let text = text.trim();
    let seconds = if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        text.parse().unwrap_or(u64::MAX)
    } else {
        date(text, now)?.saturating_sub(now)
    };
    Some(Duration::from_secs(seconds).min(LONGEST))
}

/// An HTTP date in one of its three forms (RFC 9110 section 5.6.7), in seconds since 1970; what lies before is 0.
fn date(text: &str, now: u64) -> Option<u64> {
    let (weekday, rest) = text.split_at_checked(text.find([',', ' '])?)?;
    let comma = rest.starts_with(',');
    let rest = rest.strip_prefix(", ").or_else(|| rest.strip_prefix(' '))?;
    let (day, month, year, clock) = match (comma, weekday.len()) {
        // Sun, 06 Nov 1994 08:49:37 GMT
        (true, 3) if DAYS.iter().any(|day| weekday == &day[..3]) => {
            let [day, month, year, clock, "GMT"] = fields(rest, ' ')? else { return None };
            (number(day, 2)?, month, number(year, 4)?, clock)
        }
        // Sunday, 06-Nov-94 08:49:37 GMT
        (true, _) if DAYS.contains(&weekday) => {
            let [date, clock, "GMT"] = fields(rest, ' ')? else { return None };
            let [day, month, year] = fields(date, '-')?;
            (number(day, 2)?, month, century(number(year, 2)?, now), clock)
        }
        // Sun Nov  6 08:49:37 1994
        (false, 3) if DAYS.iter().any(|day| weekday == &day[..3]) => {
            let (month, rest) = rest.split_once(' ')?;
            // The day has two places, a blank in place of a zero.
            let (rest, digits) = rest.strip_prefix(' ').map_or((rest, 2), |rest| (rest, 1));
            let [day, clock, year] = fields(rest, ' ')?;
            (number(day, digits)?, month, number(year, 4)?, clock)
        }
        _ => return None,
    };
    let month = MONTHS.iter().position(|name| *name == month)? as u64 + 1;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let longest = match month {
        2 => 28 + u64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if !(1..=longest).contains(&day) {
        return None;
    }
    let [hour, minute, second] = fields(clock, ':')?;
    let (hour, minute, second) = (number(hour, 2)?, number(minute, 2)?, number(second, 2)?);
    // A leap second is the 60th.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let days = days_since_0(year, month, day).saturating_sub(days_since_0(1970, 1, 1));
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Exactly so many fields.
fn fields<const N: usize>(text: &str, separator: char) -> Option<[&str; N]> {
    let mut parts = text.split(separator);
    let mut found = [""; N];
    for field in &mut found {
        *field = parts.next()?;
    }
    parts.next().is_none().then_some(found)
}

/// A number of exactly so many digits.
fn number(text: &str, digits: usize) -> Option<u64> {
    let plain = text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

/// The year that ends in these two digits and is at most 50 years ahead (RFC 9110 section 5.6.7).
fn century(digits: u64, now: u64) -> u64 {
    // Within a day or two of New Year it does not matter.
    let this = 1970 + now / 31_556_952;
    let year = this - this % 100 + digits;
    match year {
        _ if year > this + 50 => year - 100,
        _ if year + 50 <= this => year + 100,
        _ => year,
    }
}

/// Days of the Gregorian calendar from 0000-03-01, where months are counted from March so that the leap day is
/// the last of its year.
fn days_since_0(year: u64, month: u64, day: u64) -> u64 {
    // The year 0 before its March counts as day 0.
    let Some(year) = (if month > 2 { Some(year) } else { year.checked_sub(1) }) else { return 0 };
    let month = (month + 9) % 12;
    year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1
}

#[cfg(test)]
mod tests;
