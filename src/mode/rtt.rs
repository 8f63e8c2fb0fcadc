//! The round trips of a test, and `--max-rtt`: those that took too long fail it.

use std::time::{Duration, Instant};

use super::{Failure, Kind};
use crate::{
    config::Report,
    proto::{
        latency::{Latency, Millis},
        plot::Timeline,
        tally::Tally,
    },
};

/// How long they took.
pub struct RoundTrips {
    latency: Latency,
    /// For `--plot`.
    timeline: Option<Timeline>,
    max: MaxRtt,
}

impl RoundTrips {
    /// With `--max-rtt`, or without a limit.
    pub fn new(limit: Option<Duration>, report: &Report) -> RoundTrips {
        let timeline = report.plot.as_ref().map(|_| Timeline::default());
        RoundTrips { latency: Latency::default(), timeline, max: MaxRtt::new(limit) }
    }

    /// One more, sent at some time.
    pub fn record(&mut self, sent_at: Instant, rtt: Duration) {
        self.latency.record(rtt);
        if let Some(timeline) = &mut self.timeline {
            timeline.record(sent_at, rtt);
        }
        self.max.record(rtt);
    }

    /// How they are distributed.
    pub fn latency(&self) -> &Latency {
        &self.latency
    }

    /// What `--max-rtt` says of them at the end; none where all were within it.
    pub fn verdict(&self, url: &str) -> Option<Failure> {
        self.max.verdict(url, self.latency.count())
    }

    /// What was counted. `outstanding`: when those were sent that did not come back.
    pub fn tally<'a>(
        &'a mut self,
        command: &'static str,
        url: &'a str,
        sent: u64,
        differing: u64,
        outstanding: impl Iterator<Item = Instant>,
    ) -> Tally<'a> {
        if let Some(timeline) = &mut self.timeline {
            timeline.set_lost(outstanding);
        }
        let (latency, timeline) = (&self.latency, self.timeline.as_ref());
        Tally { command, url, sent, received: latency.count(), differing, latency, timeline }
    }
}

/// Counts the round trips above the limit.
struct MaxRtt {
    limit: Option<Duration>,
    above: u64,
    longest: Duration,
}

impl MaxRtt {
    /// With `--max-rtt`, or without a limit.
    fn new(limit: Option<Duration>) -> MaxRtt {
        MaxRtt { limit, above: 0, longest: Duration::ZERO }
    }

    /// One more round trip. The limit itself is within it.
    fn record(&mut self, rtt: Duration) {
        if self.limit.is_some_and(|limit| rtt > limit) {
            self.above += 1;
            self.longest = self.longest.max(rtt);
        }
    }

    /// What is to be said of them at the end; none where all were within the limit. `all` is how many were made.
    fn verdict(&self, url: &str, all: u64) -> Option<Failure> {
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
