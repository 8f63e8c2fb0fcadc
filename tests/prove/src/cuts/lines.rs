//! Numbered lines, and what has become of them.

use std::{
    io::{BufWriter, Write},
    process::ChildStdin,
    thread::{self, JoinHandle},
    time::Duration,
};

/// Line `n` without its newline: the number, and text of a length that depends on it, `bulk` times as long.
pub fn line(n: u64, bulk: u64, to: &mut Vec<u8>) {
    to.clear();
    let _ = write!(to, "{n} ");
    let long = if n % 97 == 5 { 100 + n % 700 } else { 0 };
    let letter = b'a' + (n % 26) as u8;
    to.resize(to.len() + ((n.wrapping_mul(31) % 40 + long) * bulk) as usize, letter);
}

/// What a line takes on the wire, about, with what is around it.
pub const WIRE: u64 = 60;

/// The number of a line that came whole and unchanged.
pub fn number(line_seen: &[u8], bulk: u64, scratch: &mut Vec<u8>) -> Result<u64, String> {
    let shown = || String::from_utf8_lossy(&line_seen[..line_seen.len().min(60)]).into_owned();
    let digits = line_seen.split(|byte| *byte == b' ').next().unwrap_or_default();
    let n = std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok());
    let n = n.ok_or_else(|| format!("a line without a number: {:?}", shown()))?;
    line(n, bulk, scratch);
    if scratch != line_seen {
        return Err(format!("line {n} came mangled: {:?}", shown()));
    }
    Ok(n)
}

/// First arrivals have to come in order.
#[derive(Default)]
pub struct Arrivals {
    /// Lines may be left out.
    pub gaps: bool,
    /// How many were.
    pub missing: u64,
    /// All before this one have come.
    pub next: u64,
    pub doubled: u64,
    /// The first thing that is wrong.
    pub wrong: Option<String>,
    pub scratch: Vec<u8>,
}

impl Arrivals {
    pub fn take(&mut self, line: &[u8]) {
        match number(line, 1, &mut self.scratch) {
            Ok(n) if n == self.next => self.next += 1,
            Ok(n) if n < self.next => self.doubled += 1,
            Ok(n) if self.gaps => {
                self.missing += n - self.next;
                self.next = n + 1;
            }
            Ok(n) => self.fail(format!("line {n} came before line {}", self.next)),
            Err(why) => self.fail(why),
        }
    }

    fn fail(&mut self, why: String) {
        self.wrong.get_or_insert(why);
    }
}

/// Writes `lines` lines, never more than `allowed` says; how many it wrote. It ends early with its reader.
pub fn feed(
    to: ChildStdin,
    lines: u64,
    bulk: u64,
    allowed: impl Fn() -> u64 + Send + 'static,
) -> JoinHandle<u64> {
    thread::spawn(move || {
        let mut to = BufWriter::with_capacity(16 * 1024, to);
        let (mut n, mut scratch) = (0, Vec::new());
        while n < lines {
            let limit = allowed().min(lines);
            while n < limit {
                line(n, bulk, &mut scratch);
                scratch.push(b'\n');
                if to.write_all(&scratch).is_err() {
                    return n;
                }
                n += 1;
            }
            if to.flush().is_err() {
                return n;
            }
            if n < lines {
                thread::sleep(Duration::from_millis(10));
            }
        }
        n
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_tell_doubled_missing_and_mangled_lines() {
        let mut scratch = Vec::new();
        let mut of = |n| {
            line(n, 1, &mut scratch);
            scratch.clone()
        };
        let mut arrivals = Arrivals::default();
        for n in [0, 1, 0, 1, 2] {
            arrivals.take(&of(n));
        }
        assert_eq!((arrivals.next, arrivals.doubled, arrivals.wrong.is_none()), (3, 2, true));
        arrivals.take(&of(4));
        assert_eq!(arrivals.wrong.take().unwrap(), "line 4 came before line 3");
        arrivals.take(&of(102)[..50]);
        assert!(arrivals.wrong.take().unwrap().contains("mangled"));
        arrivals.take(b"x");
        assert!(arrivals.wrong.unwrap().contains("without a number"));
    }
}
