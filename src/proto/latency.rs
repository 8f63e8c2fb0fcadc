//! Round-trip times in bounded memory: exact minimum, mean and maximum, percentiles to within 1 %.

use std::{fmt, time::Duration};

/// Each power of two of nanoseconds is cut into this many equal buckets.
const PARTS: u64 = 128;
const PARTS_BITS: u32 = PARTS.trailing_zeros();

/// Collects durations. Takes at most 58 * 128 counters, 59 KiB, however many there are.
#[derive(Clone, Debug, Default)]
pub struct Latency {
    counts: Vec<u64>,
    count: u64,
    total: Duration,
    min: Duration,
    max: Duration,
    /// Of the squared distances from the mean, in square nanoseconds: summed up as they come (Welford), since the
    /// difference of two large sums would have no digits left.
    squares: f64,
}

impl Latency {
    /// Adds one.
    pub fn record(&mut self, rtt: Duration) {
        let bucket = bucket(u64::try_from(rtt.as_nanos()).unwrap_or(u64::MAX));
        if bucket >= self.counts.len() {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += 1;
        let nanos = rtt.as_nanos() as f64;
        let before = nanos - self.mean_nanos();
        self.min = if self.count == 0 { rtt } else { self.min.min(rtt) };
        self.max = self.max.max(rtt);
        self.total = self.total.saturating_add(rtt);
        self.count += 1;
        self.squares += before * (nanos - self.mean_nanos());
    }

    /// How many were added.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The value below or at which `per_cent` of all lie (nearest rank); zero where there are none.
    pub fn percentile(&self, per_cent: u64) -> Duration {
        self.per_mille(per_cent * 10)
    }

    /// As `percentile`, in thousandths: 999 is p99.9.
    pub fn per_mille(&self, per_mille: u64) -> Duration {
        let rank = (u128::from(self.count) * u128::from(per_mille)).div_ceil(1000).max(1);
        if rank >= u128::from(self.count) {
            return self.max;
        }
        let mut seen = 0u128;
        for (bucket, n) in self.counts.iter().enumerate() {
            seen += u128::from(*n);
            if seen >= rank {
                return Duration::from_nanos(middle(bucket)).clamp(self.min, self.max);
            }
        }
        self.max
    }

    /// The shortest; zero where there are none.
    pub fn min(&self) -> Duration {
        self.min
    }

    /// The longest; zero where there are none.
    pub fn max(&self) -> Duration {
        self.max
    }

    /// The standard deviation of all of them; zero where there are none.
    pub fn deviation(&self) -> Duration {
        let nanos = (self.squares / self.count.max(1) as f64).max(0.0).sqrt();
        Duration::from_nanos(nanos as u64)
    }

    /// The buckets that have some, ascending: from and below which nanosecond, and how many. The first and the last
    /// one end at what was measured.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, f64, u64)> + '_ {
        let (min, max) = (self.min.as_nanos() as f64, self.max.as_nanos() as f64);
        let some = self.counts.iter().enumerate().filter(|(_, n)| **n > 0);
        some.map(move |(bucket, n)| {
            let (low, high) = bounds(bucket);
            ((low as f64).max(min), (high as f64).min(max), *n)
        })
    }

    fn mean_nanos(&self) -> f64 {
        self.total.as_nanos() as f64 / self.count.max(1) as f64
    }

    /// The arithmetic mean; zero where there are none.
    pub fn mean(&self) -> Duration {
        let nanos = self.total.as_nanos() / u128::from(self.count.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// `min/avg/p50/p99/max = … ms`.
impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [min, avg, p50, p99, max] =
            [self.min, self.mean(), self.percentile(50), self.percentile(99), self.max].map(Millis);
        write!(f, "min/avg/p50/p99/max = {min}/{avg}/{p50}/{p99}/{max} ms")
    }
}

/// Milliseconds with three decimals.
#[derive(Clone, Copy, Debug)]
pub struct Millis(pub Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.0.as_secs_f64() * 1e3)
    }
}

/// Values below PARTS have a bucket each; above, the leading bits choose it.
fn bucket(nanos: u64) -> usize {
    if nanos < PARTS {
        return nanos as usize;
    }
    let shift = nanos.ilog2() - PARTS_BITS;
    (u64::from(shift + 1) * PARTS + ((nanos >> shift) - PARTS)) as usize
}

/// The middle of a bucket, in nanoseconds.
fn middle(bucket: usize) -> u64 {
    let (low, high) = bounds(bucket);
    low + (high - low) / 2
}

/// The first nanosecond of a bucket, and the first one after it.
fn bounds(bucket: usize) -> (u64, u64) {
    let bucket = bucket as u64;
    if bucket < PARTS {
        return (bucket, bucket + 1);
    }
    let shift = bucket / PARTS - 1;
    let low = (PARTS + bucket % PARTS) << shift;
    (low, low.saturating_add(1 << shift))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_within_one_per_cent_of_its_bucket() {
        let mut value = 1u64;
        while value < u64::MAX / 3 {
            for near in [value - 1, value, value + 1, value + value / 3] {
                let back = middle(bucket(near));
                assert!(back.abs_diff(near) as f64 <= near as f64 * 0.01, "{near} came back as {back}");
            }
            value *= 2;
        }
        assert!(bucket(u64::MAX) < 58 * PARTS as usize);
    }

    #[test]
    fn one_to_a_hundred_milliseconds() {
        let mut all = Latency::default();
        (1..=100).rev().for_each(|ms| all.record(Duration::from_millis(ms)));
        let within = |per_cent, ms: f64| {
            let got = all.percentile(per_cent).as_secs_f64() * 1e3;
            assert!((got - ms).abs() <= ms * 0.01, "p{per_cent} is {got}, not {ms}");
        };
        within(50, 50.0);
        within(99, 99.0);
        assert_eq!((all.min, all.max), (Duration::from_millis(1), Duration::from_millis(100)));
        within(100, 100.0);
        assert_eq!(all.mean(), Duration::from_micros(50_500));
        assert_eq!(all.count(), 100);
    }

    #[test]
    fn nothing_lies_outside_of_what_was_measured() {
        // Close together in a coarse bucket, whose middle is no value of theirs.
        for base in [1_000u64, 171_000, 172_100, 4_000_000_000] {
            let mut all = Latency::default();
            [base, base + 3, base + 7].iter().for_each(|nanos| all.record(Duration::from_nanos(*nanos)));
            let [p50, p99, p100] = [50, 99, 100].map(|per_cent| all.percentile(per_cent));
            assert!(all.min <= p50 && p50 <= p99 && p99 <= p100 && p100 <= all.max, "{all}");
            assert!(all.min <= all.mean() && all.mean() <= all.max, "{all}");
        }
        assert_eq!(Latency::default().percentile(50), Duration::ZERO);
    }

    #[test]
    fn one_value_is_all_of_them() {
        let mut one = Latency::default();
        one.record(Duration::from_micros(1234));
        assert_eq!(one.to_string(), "min/avg/p50/p99/max = 1.234/1.234/1.234/1.234/1.234 ms");
    }

    #[test]
    fn the_standard_deviation_is_that_of_all() {
        let mut all = Latency::default();
        // On top of a second, where sums of squares would have lost them.
        let base = Duration::from_secs(1);
        for micros in [2u64, 4, 4, 4, 5, 5, 7, 9] {
            all.record(base + Duration::from_micros(micros));
        }
        assert!(all.deviation().abs_diff(Duration::from_micros(2)) < Duration::from_nanos(5), "{all:?}");
        assert_eq!(Latency::default().deviation(), Duration::ZERO);
        let mut equal = Latency::default();
        (0..100).for_each(|_| equal.record(base));
        assert_eq!(equal.deviation(), Duration::ZERO);
    }

    #[test]
    fn the_buckets_hold_all_between_the_ends() {
        let mut all = Latency::default();
        (1..=5000).for_each(|n| all.record(Duration::from_nanos(n * 37)));
        let buckets: Vec<_> = all.buckets().collect();
        assert_eq!(buckets.iter().map(|(.., n)| n).sum::<u64>(), 5000);
        assert_eq!((buckets[0].0, buckets[buckets.len() - 1].1), (37.0, 185_000.0));
        assert!(buckets.windows(2).all(|two| two[0].1 <= two[1].0));
        assert_eq!(all.per_mille(999).as_micros(), 184);
    }

    #[test]
    fn the_last_rank_is_the_maximum() {
        let mut latency = Latency::default();
        for nanos in [66_000, 136_000, 203_700] {
            latency.record(Duration::from_nanos(nanos));
        }
        assert_eq!(latency.percentile(99), Duration::from_nanos(203_700));
    }
}
