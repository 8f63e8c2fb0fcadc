//! How round-trip times are distributed: a few intervals, each as many times as long as the one before, and their
//! picture for a terminal.

use std::{fmt::Write, time::Duration};

use super::latency::{Latency, Millis};

/// The most intervals: with the line of percentiles a picture of 11 lines.
const INTERVALS: usize = 10;
/// An interval is at least so many times as long as the one before: narrower ones would show where the buckets of
/// [`Latency`] lie.
const NARROWEST: f64 = 1.02;
/// Below so many a picture says less than their lines do.
const ENOUGH: u64 = 20;
/// A wider terminal is left empty on the right.
const WIDEST: usize = 100;
/// A narrower one has its lines broken.
const NARROW: usize = 50;

/// From and up to how many nanoseconds, and how many were there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// In nanoseconds.
    pub from: f64,
    /// In nanoseconds: the next one's beginning, or the longest of all.
    pub to: f64,
    /// How many.
    pub count: u64,
}

/// The intervals from the shortest to the longest, all of them adjacent; none where nothing was measured.
pub fn intervals(latency: &Latency) -> Vec<Interval> {
    if latency.count() == 0 {
        return Vec::new();
    }
    let (min, max) = (nanos(latency.min()), nanos(latency.max()));
    // Zero has no logarithm; a clock may well give it.
    let low = min.max(1.0);
    let span = libm::log(max.max(low) / low);
    let number = ((span / libm::log(NARROWEST)) as usize).clamp(1, INTERVALS);
    let edge = |n: usize| match n {
        0 => min,
        n if n == number => max,
        n => low * libm::exp(span * n as f64 / number as f64),
    };
    let mut found: Vec<Interval> =
        (0..number).map(|n| Interval { from: edge(n), to: edge(n + 1), count: 0 }).collect();
    for (from, to, count) in latency.buckets() {
        let middle = f64::midpoint(from, to);
        let place = found.partition_point(|interval| interval.to < middle).min(number - 1);
        found[place].count += count;
    }
    found
}

fn nanos(duration: Duration) -> f64 {
    duration.as_nanos() as f64
}

/// What a terminal shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Columns.
    pub width: usize,
    /// It takes UTF-8: bars in eighths of a column.
    pub unicode: bool,
    /// It takes colours, and they are wanted.
    pub colour: bool,
}

impl Look {
    /// Of a terminal with so many columns (0 is unknown), by the environment: the locale's character set, TERM, and
    /// NO_COLOR, which counts when it is not empty.
    pub fn new(columns: usize, variable: &dyn Fn(&str) -> Option<String>) -> Look {
        let set = |name: &&str| variable(name).filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(set).unwrap_or_default();
        let locale = locale.to_ascii_lowercase();
        let term = set(&"TERM").unwrap_or_else(|| "dumb".to_owned());
        Look {
            width: if columns == 0 { 80 } else { columns.clamp(NARROW, WIDEST) },
            unicode: locale.contains("utf-8") || locale.contains("utf8"),
            colour: term != "dumb" && set(&"NO_COLOR").is_none(),
        }
    }
}

/// Columns of all but the bar: an interval's two ends, its count and its share.
const FIGURES: usize = 40;

/// The picture: a line for each interval, and one of percentiles. None where there are too few to make one.
pub fn picture(latency: &Latency, look: Look) -> Option<String> {
    if latency.count() < ENOUGH {
        return None;
    }
    let intervals = intervals(latency);
    let most = intervals.iter().map(|interval| interval.count).max().unwrap_or(0).max(1);
    let (p90, p99) = (nanos(latency.percentile(90)), nanos(latency.percentile(99)));
    let room = look.width.saturating_sub(FIGURES).max(5);
    let mut text = String::new();
    for interval in &intervals {
        // Up to p90 green, up to p99 yellow, above it red.
        let paint = match interval.from {
            from if from > p99 => "31",
            from if from > p90 => "33",
            _ => "32",
        };
        let bar = bar(interval.count as f64 / most as f64, room, look.unicode);
        let padding = " ".repeat(room - bar.chars().count());
        let bar = if look.colour && !bar.is_empty() { format!("\x1b[{paint}m{bar}\x1b[0m") } else { bar };
        let share = interval.count as f64 * 100.0 / latency.count() as f64;
        let dash = if look.unicode { "–" } else { "-" };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:>9} {dash} {:>9} {bar}{padding} {:>9} {share:5.1} %",
            short(interval.from),
            short(interval.to),
            interval.count
        );
    }
    text.push_str(&percentiles(latency, look.colour));
    Some(text)
}

/// Of `room` columns; what is more than nothing is seen.
fn bar(part: f64, room: usize, unicode: bool) -> String {
    if part <= 0.0 {
        return String::new();
    }
    if !unicode {
        return "#".repeat(((part * room as f64).round() as usize).max(1));
    }
    let eighths = ((part * room as f64 * 8.0).round() as usize).max(1);
    let mut bar = "█".repeat(eighths / 8);
    bar.extend(['▏', '▎', '▍', '▌', '▋', '▊', '▉'].get((eighths % 8).wrapping_sub(1)));
    bar
}

/// Milliseconds in nine columns, where they are no more than 11 days.
fn short(nanos: f64) -> String {
    let millis = nanos / 1e6;
    match millis {
        ms if ms < 100_000.0 => format!("{ms:.3}"),
        ms => format!("{ms:.0}"),
    }
}

fn percentiles(latency: &Latency, colour: bool) -> String {
    let (dim, bold, plain) = if colour { ("\x1b[2m", "\x1b[1m", "\x1b[0m") } else { ("", "", "") };
    let all = [
        ("p50", latency.percentile(50)),
        ("p90", latency.percentile(90)),
        ("p99", latency.percentile(99)),
        ("p99.9", latency.per_mille(999)),
        ("max", latency.max()),
    ];
    let all = all.map(|(name, rtt)| format!("{dim}{name}{plain} {bold}{}{plain}", Millis(rtt)));
    format!("{} ms\n", all.join("  "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(micros: impl IntoIterator<Item = u64>) -> Latency {
        let mut latency = Latency::default();
        micros.into_iter().for_each(|n| latency.record(Duration::from_micros(n)));
        latency
    }

    fn look(width: usize, unicode: bool, colour: bool) -> Look {
        Look { width, unicode, colour }
    }

    #[test]
    fn the_intervals_hold_all_and_touch() {
        for latency in [of(1..=1000), of([5; 30]), of((0..30).map(|n| n * n)), of([100, 101, 102]), of([0])] {
            let found = intervals(&latency);
            assert!((1..=INTERVALS).contains(&found.len()), "{found:?}");
            assert_eq!(found.iter().map(|i| i.count).sum::<u64>(), latency.count(), "{found:?}");
            assert!(found.windows(2).all(|two| two[0].to == two[1].from && two[0].from < two[0].to));
            assert_eq!(found[0].from, nanos(latency.min()));
            assert_eq!(found[found.len() - 1].to, nanos(latency.max()));
        }
        assert!(intervals(&Latency::default()).is_empty());
        // Each as many times as long as the one before.
        let found = intervals(&of(1..=1024));
        let factor = |n: usize| found[n].to / found[n].from;
        assert!((1..10).all(|n| (factor(n) - factor(0)).abs() < 1e-6), "{found:?}");
    }

    #[test]
    fn a_picture_of_twenty_and_more() {
        assert_eq!(picture(&of([100; 19]), look(60, true, false)), None);
        assert_eq!(
            picture(&of([100; 20]), look(60, true, false)).as_deref(),
            Some(
                "    0.100 –     0.100 ████████████████████        20 100.0 %\n\
                 p50 0.100  p90 0.100  p99 0.100  p99.9 0.100  max 0.100 ms\n"
            )
        );
        let two = picture(&of([[1000; 30].as_slice(), &[1030; 15]].concat()), look(60, false, false));
        assert_eq!(
            two.as_deref(),
            Some(
                "    1.000 -     1.030 ####################        45 100.0 %\n\
                 p50 1.001  p90 1.030  p99 1.030  p99.9 1.030  max 1.030 ms\n"
            )
        );
    }

    #[test]
    fn it_is_as_wide_as_the_terminal_and_twelve_lines_at_most() {
        let outlier = of((0..2000).map(|n| 100 + n % 37).chain([10_000]));
        for width in [50, 80, 100] {
            for unicode in [true, false] {
                let text = picture(&outlier, look(width, unicode, false)).expect("enough of them");
                assert!(text.lines().count() <= 12, "{text}");
                let columns: Vec<usize> = text.lines().map(|line| line.chars().count()).collect();
                let (percentiles, bars) = columns.split_last().expect("lines");
                assert!(bars.iter().all(|n| *n == width), "{width}: {text}");
                assert!(*percentiles <= width.max(72), "{text}");
                assert_eq!(text.is_ascii(), !unicode, "{text}");
            }
        }
    }

    #[test]
    fn the_tail_is_red_and_still_seen() {
        let outlier = of((0..2000).map(|n| 100 + n % 37).chain([10_000]));
        let text = picture(&outlier, look(80, true, true)).expect("enough of them");
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].contains("\x1b[32m█"), "{text}");
        assert!(lines[lines.len() - 2].contains("\x1b[31m▏\x1b[0m"), "{text}");
        assert!(!picture(&outlier, look(80, true, false)).expect("enough").contains('\x1b'));
    }

    #[test]
    fn the_environment_decides() {
        let of = |columns, variables: &[(&str, &str)]| {
            let find = |name: &str| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            };
            let look = Look::new(columns, &find);
            (look.width, look.unicode, look.colour)
        };
        assert_eq!(of(0, &[]), (80, false, false));
        assert_eq!(of(300, &[("TERM", "xterm"), ("LANG", "en_GB.UTF-8")]), (100, true, true));
        assert_eq!(of(20, &[("TERM", "dumb"), ("LANG", "de_DE.utf8")]), (50, true, false));
        assert_eq!(
            of(90, &[("TERM", "xterm"), ("NO_COLOR", "1"), ("LC_CTYPE", "C.UTF-8")]),
            (90, true, false)
        );
        assert_eq!(of(90, &[("TERM", "xterm"), ("NO_COLOR", "")]), (90, false, true));
        // LC_ALL goes before the others, an empty one does not.
        assert_eq!(of(90, &[("LC_ALL", "C"), ("LANG", "C.UTF-8")]), (90, false, false));
        assert_eq!(of(90, &[("LC_ALL", ""), ("LC_CTYPE", "C.UTF-8"), ("LANG", "C")]), (90, true, false));
    }
}
