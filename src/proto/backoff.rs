//! When to try again: exponential backoff with full jitter.

use std::time::Duration;

/// The ceiling of the first delay.
pub const BASE: Duration = Duration::from_millis(500);
/// The ceiling of all delays.
pub const CAP: Duration = Duration::from_secs(30);

/// The delays between attempts: each is drawn evenly from zero to a ceiling that doubles from [`BASE`] to
/// [`CAP`], so that many clients of one server that went away do not come back in step.
#[derive(Clone, Debug)]
pub struct Backoff {
    ceiling: Duration,
    random: SplitMix64,
}

impl Backoff {
    /// The seed comes from outside; equal seeds give equal delays.
    pub fn new(seed: u64) -> Backoff {
        Backoff { ceiling: BASE, random: SplitMix64(seed) }
    }

    /// The delay before the next attempt: at least `retry_after`, where the server named one.
    pub fn next(&mut self, retry_after: Option<Duration>) -> Duration {
        // The ceiling is at most 30,000 ms, so that nothing here overflows.
        let ceiling = self.ceiling.as_micros() as u64;
        self.ceiling = (self.ceiling * 2).min(CAP);
        let delay = Duration::from_micros(self.random.next() % (ceiling + 1));
        delay.max(retry_after.unwrap_or_default())
    }

    /// A connection came to be: the next delay is a first one again.
    pub fn reset(&mut self) {
        self.ceiling = BASE;
    }
}

/// Steele, Lea and Flood's generator: a counter and a mixing function. Not for secrets.
#[derive(Clone, Debug)]
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The n-th delay over many seeds.
    fn nth(n: usize) -> Vec<Duration> {
        (0..2000)
            .map(|seed| {
                let mut backoff = Backoff::new(seed);
                (0..n).for_each(|_| assert!(backoff.next(None) <= CAP));
                backoff.next(None)
            })
            .collect()
    }

    #[test]
    fn ceilings_double_up_to_the_cap() {
        for (n, ceiling) in [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000].into_iter().enumerate() {
            let delays = nth(n);
            let longest = delays.iter().max().unwrap().as_millis() as u64;
            let mean = delays.iter().sum::<Duration>().as_millis() as u64 / delays.len() as u64;
            assert!(longest <= ceiling && longest > ceiling * 98 / 100, "{n}: {longest}");
            assert!(mean > ceiling * 45 / 100 && mean < ceiling * 55 / 100, "{n}: {mean}");
        }
    }

    #[test]
    fn never_above_the_cap_however_long() {
        let mut backoff = Backoff::new(1);
        assert!((0..100_000).all(|_| backoff.next(None) <= CAP));
    }

    #[test]
    fn equal_seeds_equal_delays() {
        let (mut a, mut b, mut c) = (Backoff::new(5), Backoff::new(5), Backoff::new(6));
        let draw = |backoff: &mut Backoff| (0..8).map(|_| backoff.next(None)).collect::<Vec<_>>();
        let first = draw(&mut a);
        assert_eq!(first, draw(&mut b));
        assert_ne!(first, draw(&mut c));
    }

    #[test]
    fn retry_after_is_obeyed_and_reset_begins_anew() {
        let mut backoff = Backoff::new(9);
        let hour = Duration::from_secs(3600);
        assert_eq!(backoff.next(Some(hour)), hour);
        assert!((0..20).all(|_| backoff.next(Some(Duration::from_secs(2))) >= Duration::from_secs(2)));
        backoff.reset();
        assert!(backoff.next(None) <= BASE);
        assert!(backoff.next(None) <= BASE * 2);
    }
}
