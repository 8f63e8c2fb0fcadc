//! Round trips over time, in bounded memory.

use std::time::{Duration, Instant};

/// Up to so many are kept one by one.
const POINTS: usize = 2000;
/// Above, the time is cut into at most so many columns, more than the picture has pixels for.
const COLUMNS: usize = 1024;
/// The width of a column at first; each time there are too many it doubles.
const WIDTH: Duration = Duration::from_micros(100);

/// When round trips began and how long they took: each of the first 2,000, and for any number of them the shortest,
/// the longest and the mean in each of at most 1,024 columns of time. Takes at most 120 KiB.
#[derive(Clone, Debug)]
pub struct Timeline {
    begun: Option<Instant>,
    count: u64,
    points: Vec<(Duration, Duration)>,
    columns: Vec<Column>,
    width: Duration,
    /// The last one's beginning.
    last: Duration,
    lost: Vec<Duration>,
}

/// What was measured within some time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Column {
    /// The shortest.
    pub min: Duration,
    /// The longest.
    pub max: Duration,
    total: Duration,
    count: u64,
}

impl Column {
    /// The mean in nanoseconds.
    pub fn mean(&self) -> f64 {
        self.total.as_nanos() as f64 / self.count.max(1) as f64
    }

    fn merge(self, other: Column) -> Column {
        if self.count == 0 || other.count == 0 {
            return if self.count == 0 { other } else { self };
        }
        Column {
            min: self.min.min(other.min),
            max: self.max.max(other.max),
            total: self.total.saturating_add(other.total),
            count: self.count + other.count,
        }
    }
}

impl Default for Timeline {
    fn default() -> Timeline {
        let (points, columns, lost) = (Vec::new(), Vec::new(), Vec::new());
        Timeline { begun: None, count: 0, points, columns, width: WIDTH, last: Duration::ZERO, lost }
    }
}

impl Timeline {
    /// One more, sent at some time.
    pub fn record(&mut self, sent_at: Instant, rtt: Duration) {
        let at = self.since(sent_at);
        self.count += 1;
        if self.count <= POINTS as u64 {
            self.points.push((at, rtt));
        } else {
            self.points = Vec::new();
        }
        while self.place(at) >= COLUMNS {
            self.columns = self
                .columns
                .chunks(2)
                .map(|two| two.iter().fold(Column::default(), |a, b| a.merge(*b)))
                .collect();
            self.width *= 2;
        }
        let place = self.place(at);
        if place >= self.columns.len() {
            self.columns.resize(place + 1, Column::default());
        }
        let one = Column { min: rtt, max: rtt, total: rtt, count: 1 };
        self.columns[place] = self.columns[place].merge(one);
    }

    /// When those were sent that did not come back.
    pub fn set_lost(&mut self, sent_at: impl Iterator<Item = Instant>) {
        self.lost = sent_at.map(|at| self.since(at)).collect();
    }

    fn since(&mut self, at: Instant) -> Duration {
        let begun = *self.begun.get_or_insert(at);
        let since = at.saturating_duration_since(begun);
        self.last = self.last.max(since);
        since
    }

    fn place(&self, at: Duration) -> usize {
        usize::try_from(at.as_nanos() / self.width.as_nanos()).unwrap_or(usize::MAX)
    }

    /// From the first one's beginning to the last one's, lost ones too.
    pub fn span(&self) -> Duration {
        self.last
    }

    /// When each was sent, and its round trip; none where there were too many.
    pub fn points(&self) -> &[(Duration, Duration)] {
        &self.points
    }

    /// The columns that have some, with the middle of each.
    pub fn columns(&self) -> impl Iterator<Item = (Duration, Column)> + '_ {
        let some = self.columns.iter().enumerate().filter(|(_, column)| column.count > 0);
        // There are no more than COLUMNS, which fit any number.
        some.map(|(n, column)| (self.width * n as u32 + self.width / 2, *column))
    }

    /// When the lost ones were sent.
    pub fn lost(&self) -> &[Duration] {
        &self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_take_a_thousand_columns() {
        let begun = Instant::now();
        let mut all = Timeline::default();
        let mut total = 0u64;
        for n in 0..1_000_000u64 {
            let rtt = 50 + n % 1000;
            total += rtt;
            all.record(begun + Duration::from_micros(n * 70), Duration::from_micros(rtt));
        }
        assert!(all.points().is_empty() && all.points.capacity() == 0);
        let columns: Vec<_> = all.columns().collect();
        assert!((512..=COLUMNS).contains(&columns.len()), "{}", columns.len());
        assert_eq!(columns.iter().map(|(_, column)| column.count).sum::<u64>(), 1_000_000);
        let sum: Duration = columns.iter().map(|(_, column)| column.total).sum();
        assert_eq!(sum, Duration::from_micros(total));
        assert!(columns.windows(2).all(|two| two[0].0 < two[1].0));
        assert!(columns.iter().all(|(_, c)| c.min.as_micros() >= 50 && c.max.as_micros() <= 1049));
        assert_eq!(all.span(), Duration::from_micros(70 * 999_999));
    }

    #[test]
    fn few_are_kept_as_they_are() {
        let begun = Instant::now();
        let mut all = Timeline::default();
        let second = Duration::from_secs(1);
        // A year between two: columns double, nothing overflows.
        for n in [0u32, 1, 2, 40_000_000] {
            all.record(begun + second * n, second);
        }
        all.set_lost([begun + second * 40_000_001].into_iter());
        assert_eq!(all.points().len(), 4);
        assert_eq!((all.lost(), all.span()), (&[second * 40_000_001][..], second * 40_000_001));
        assert_eq!(all.columns().map(|(_, column)| column.count).collect::<Vec<_>>(), [3, 1]);
    }
}
