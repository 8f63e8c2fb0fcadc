//! Times. They are read digit by digit: what the standard library has for f64 is 15 KB of the binary, and
//! takes "inf", "nan", "1e9" and signs, none of which is a time here.

use std::{ffi::OsStr, iter, time::Duration};

use super::{FromArg, shown, utf8};

/// Seconds, with a fraction if need be, up to a year.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seconds(pub Duration);

/// Milliseconds above 0, with a fraction if need be, up to a year.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Milliseconds(pub Duration);

/// Seconds, or `inf` for no end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wait(pub Option<Duration>);

/// The longest time that can be given: a year, in seconds.
const YEAR: u64 = 31_536_000;

impl FromArg for Seconds {
    fn from_arg(argument: &OsStr) -> Result<Self, String> {
        let text = utf8(argument)?;
        match up_to_a_year(text, 9) {
            Some(time) => Ok(Seconds(time)),
            None => Err(format!("takes a number of seconds from 0 to {YEAR}, not {}", shown(text))),
        }
    }
}

impl FromArg for Milliseconds {
    fn from_arg(argument: &OsStr) -> Result<Self, String> {
        let text = utf8(argument)?;
        match up_to_a_year(text, 6) {
            Some(time) if !time.is_zero() => Ok(Milliseconds(time)),
            _ => Err(format!("takes a number of milliseconds above 0, not {}", shown(text))),
        }
    }
}

impl FromArg for Wait {
    fn from_arg(argument: &OsStr) -> Result<Self, String> {
        let text = utf8(argument)?;
        if text == "inf" {
            return Ok(Wait(None));
        }
        match up_to_a_year(text, 9) {
            Some(time) => Ok(Wait(Some(time))),
            None => Err(format!("takes a number of seconds from 0 to {YEAR} or inf, not {}", shown(text))),
        }
    }
}

/// A decimal number with or without a fraction, in a unit of 10^`places` nanoseconds; rounded to those.
fn up_to_a_year(text: &str, places: usize) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = || whole.bytes().chain(fraction.bytes());
    if digits().next().is_none() || !digits().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let mut number = digits().chain(iter::repeat(b'0')).take(whole.len() + places);
    let nanos =
        number.try_fold(0_u64, |nanos, digit| nanos.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
    let half = fraction.as_bytes().get(places).is_some_and(|digit| *digit >= b'5');
    let time = Duration::from_nanos(nanos?.checked_add(u64::from(half))?);
    (time <= Duration::from_secs(YEAR)).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Option<Duration> {
        Seconds::from_arg(OsStr::new(text)).ok().map(|Seconds(time)| time)
    }

    #[test]
    fn times_are_those_of_floating_point() {
        let random = (0_u64..2_000).map(|n| {
            let digits = n.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(n >> 3);
            format!("{}.{}", digits >> 44, digits % 1_000_000_000)
        });
        let plain =
            ["0", "1", "1.", ".5", "0.5", "00.25", "10.000000001", "0.1", "0.3", "31536000", "31536000.0"];
        for text in plain.into_iter().map(str::to_owned).chain(random) {
            let number: f64 = text.parse().unwrap();
            assert_eq!(seconds(&text), Some(Duration::from_secs_f64(number)), "{text}");
            if number > 0.0 {
                let Milliseconds(time) = Milliseconds::from_arg(OsStr::new(&text)).unwrap();
                let off = time.abs_diff(Duration::from_secs_f64(number / 1e3));
                assert!(off <= Duration::from_nanos(1), "{text}: {time:?}");
            }
        }
    }

    #[test]
    fn digits_beyond_nanoseconds_round() {
        for (text, nanos) in [("0.0000000004", 0), ("0.0000000006", 1), ("1.9999999996", 2_000_000_000)] {
            assert_eq!(seconds(text), Some(Duration::from_nanos(nanos)), "{text}");
        }
        let long = format!("0.{}", "3".repeat(1_000));
        assert_eq!(seconds(&long), Some(Duration::from_nanos(333_333_333)));
        let ms = |text| Milliseconds::from_arg(OsStr::new(text)).ok().map(|Milliseconds(time)| time);
        assert_eq!(ms("1.5"), Some(Duration::from_micros(1_500)));
        assert_eq!((ms("0.000001"), ms("0.0000001")), (Some(Duration::from_nanos(1)), None));
        assert_eq!((ms("31536000000"), ms("31536000000.001")), (Some(Duration::from_secs(YEAR)), None));
    }

    #[test]
    fn what_is_no_time() {
        let long = "9".repeat(1_000);
        for text in
            ["", ".", "1.2.3", "-1", "+1", "1e3", "inf", "nan", " 1", "1 ", "1,5", "\u{661}", "1_0", &long]
        {
            assert_eq!(seconds(text), None, "{text}");
        }
        assert_eq!((seconds("31536000.1"), seconds("31536001")), (None, None));
        assert_eq!(seconds(&format!("{}1", "0".repeat(1_000))), Some(Duration::from_secs(1)));
    }
}
