//! `--max-rtt`: round trips that took too long fail the test.

use std::time::Duration;

use super::{Failure, Kind};
use crate::proto::latency::Millis;

/// Counts the round trips above the limit.
pub struct MaxRtt {
    limit: Option<Duration>,
    above: u64,
    longest: Duration,
}

impl MaxRtt {
    /// With `--max-rtt`, or without a limit.
    pub fn new(limit: Option<Duration>) -> MaxRtt {
        MaxRtt { limit, above: 0, longest: Duration::ZERO }
    }

    /// One more round trip. The limit itself is within it.
    pub fn record(&mut self, rtt: Duration) {
        if self.limit.is_some_and(|limit| rtt > limit) {
            self.above += 1;
            self.longest = self.longest.max(rtt);
        }
    }

    /// What is to be said of them at the end; none where all were within the limit. `all` is how many were made.
    pub fn verdict(&self, url: &str, all: u64) -> Option<Failure> {
        let limit = self.limit.filter(|_| self.above > 0)?;
        let limit = limit.as_secs_f64() * 1e3;
        let longest = Millis(self.longest);
        let text = match all {
            1 => format!("{url}: the round trip took {longest} ms, above --max-rtt {limit}"),
            _ => format!(
                "{url}: {} of {all} round trips were above --max-rtt {limit}: the longest took {longest} ms",
                self.above
            ),
        };
        Some(Failure::new(Kind::TestFailed, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(limit: Option<u64>, rtts: &[u64]) -> Option<String> {
        let mut max = MaxRtt::new(limit.map(Duration::from_micros));
        rtts.iter().for_each(|rtt| max.record(Duration::from_micros(*rtt)));
        let failure = max.verdict("ws://h/", rtts.len() as u64)?;
        assert_eq!(failure.kind, Kind::TestFailed);
        Some(failure.text)
    }

    #[test]
    fn the_limit_itself_is_within_it() {
        assert_eq!(of(None, &[5_000_000]), None);
        assert_eq!(of(Some(1500), &[]), None);
        assert_eq!(of(Some(1500), &[1500, 3]), None);
        let one = "ws://h/: the round trip took 1.501 ms, above --max-rtt 1.5";
        assert_eq!(of(Some(1500), &[1501]).as_deref(), Some(one));
        let some = "ws://h/: 2 of 4 round trips were above --max-rtt 20: the longest took 90.000 ms";
        assert_eq!(of(Some(20_000), &[30_000, 90_000, 5, 20_000]).as_deref(), Some(some));
    }
}
