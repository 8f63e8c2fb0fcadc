//! Axes: what they span, where a value lies on them, and their ticks at round numbers.

/// About so many ticks.
const TICKS: f64 = 6.0;
/// Values this many times as far apart, and more, stand on a logarithmic axis: an outlier hides nothing there.
const LOGARITHMIC: f64 = 10.0;

/// An axis in some unit, from pixel `start` to pixel `end`.
pub struct Axis {
    low: f64,
    high: f64,
    logarithmic: bool,
    start: f64,
    end: f64,
    /// Where the ticks are, with their labels.
    pub ticks: Vec<(f64, String)>,
}

impl Axis {
    /// For all values from `min` to `max`, which are not negative; it begins and ends at round ones.
    pub fn around(min: f64, max: f64, start: f64, end: f64) -> Axis {
        // A microsecond is what is told elsewhere, too.
        let (min, max) = (min.max(1e-3), max.max(1e-3));
        if max / min >= LOGARITHMIC {
            return Axis::logarithmic(min, max, start, end);
        }
        // Close together, they need not be seen from zero.
        let low = if max > 2.0 * min { 0.0 } else { min };
        let (low, high) = if max - low < max * 1e-3 { (max * 0.5, max * 1.5) } else { (low, max) };
        let step = step((high - low) / TICKS);
        Axis::linear((low / step).floor() * step, (high / step).ceil() * step, step, start, end)
    }

    /// From zero to `max`, with about `count` ticks below it.
    pub fn up_to(max: f64, count: f64, start: f64, end: f64) -> Axis {
        Axis::linear(0.0, max, step(max / count), start, end)
    }

    fn linear(low: f64, high: f64, step: f64, start: f64, end: f64) -> Axis {
        let mut axis = Axis { low, high, logarithmic: false, start, end, ticks: Vec::new() };
        let decimals = decimals(step);
        let (first, last) = ((low / step - 1e-6).ceil() as u64, (high / step + 1e-6).floor() as u64);
        axis.ticks =
            (first..=last).map(|n| n as f64 * step).map(|at| (at, format!("{at:.decimals$}"))).collect();
        axis
    }

    fn logarithmic(min: f64, max: f64, start: f64, end: f64) -> Axis {
        let first = libm::log10(min).floor() as i32;
        let round = (first..=first + 20).flat_map(|power| [1.0, 2.0, 5.0].map(|n| (n, 10f64.powi(power))));
        let all: Vec<(f64, f64)> = round.collect();
        let low = all.iter().rposition(|(n, power)| n * power <= min * (1.0 + 1e-9)).unwrap_or(0);
        let high = all.iter().position(|(n, power)| n * power >= max * (1.0 - 1e-9)).unwrap_or(all.len() - 1);
        // Over many decades a tick for each is enough.
        let sparse = high - low > 12;
        let mut axis = Axis {
            low: all[low].0 * all[low].1,
            high: all[high].0 * all[high].1,
            logarithmic: true,
            start,
            end,
            ticks: Vec::new(),
        };
        for (n, power) in &all[low..=high] {
            if !sparse || *n == 1.0 {
                let decimals = decimals(*power);
                axis.ticks.push((n * power, format!("{:.decimals$}", n * power)));
            }
        }
        axis
    }

    /// The pixel of a value; what lies outside is moved to the end.
    pub fn place(&self, value: f64) -> f64 {
        let part = if self.logarithmic {
            libm::log(value.max(self.low) / self.low) / libm::log(self.high / self.low)
        } else {
            (value - self.low) / (self.high - self.low)
        };
        self.start + (self.end - self.start) * part.clamp(0.0, 1.0)
    }
}

/// The round number, 1, 2 or 5 and zeros, at or above `about`.
fn step(about: f64) -> f64 {
    let power = 10f64.powi(libm::log10(about).floor() as i32);
    [1.0, 2.0, 5.0, 10.0].map(|n| n * power).into_iter().find(|n| *n >= about * (1.0 - 1e-9)).unwrap_or(power)
}

/// Digits after the point that tell multiples of `step` apart.
fn decimals(step: f64) -> usize {
    (-(libm::log10(step) + 1e-9).floor()).clamp(0.0, 9.0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(
            labels(&Axis::around(20.1, 20.9, 0.0, 1.0)),
            ["20.0", "20.2", "20.4", "20.6", "20.8", "21.0"]
        );
        assert_eq!(labels(&Axis::around(0.3, 2.0, 0.0, 1.0)), ["0.0", "0.5", "1.0", "1.5", "2.0"]);
        assert_eq!(
            labels(&Axis::around(0.07, 9.0, 0.0, 1.0)),
            ["0.05", "0.1", "0.2", "0.5", "1", "2", "5", "10"]
        );
        assert_eq!(
            labels(&Axis::around(0.01, 99_000.0, 0.0, 1.0)),
            ["0.01", "0.1", "1", "10", "100", "1000", "10000", "100000"]
        );
        assert_eq!(labels(&Axis::around(4.0, 4.0, 0.0, 1.0)).first(), Some(&"2"));
        assert_eq!(labels(&Axis::up_to(19.0, 5.0, 0.0, 1.0)), ["0", "5", "10", "15"]);
    }

    #[test]
    fn every_value_has_its_place() {
        for (min, max) in
            [(0.0, 0.0), (1e-9, 1.0), (5.0, 5.0), (0.05, 0.06), (1.0, 9.9), (1.0, 1e9), (1e9, 1e12)]
        {
            let axis = Axis::around(min, max, 400.0, 100.0);
            let [low, high] = [min, max].map(|value| axis.place(value));
            assert!(low.is_finite() && high.is_finite() && low >= high, "{min} {max}: {low} {high}");
            assert!((2..=40).contains(&axis.ticks.len()), "{min} {max}: {:?}", axis.ticks);
            let places: Vec<f64> = axis.ticks.iter().map(|(at, _)| axis.place(*at)).collect();
            assert!(places.windows(2).all(|two| two[0] > two[1] + 5.0), "{min} {max}: {places:?}");
        }
    }
}
