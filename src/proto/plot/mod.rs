//! `--plot`: round trips over time and how they are distributed, as one SVG with nothing outside of it.

mod axis;
mod timeline;

use std::{fmt::Write, time::Duration};

use self::axis::Axis;
pub use self::timeline::Timeline;
use super::{latency::Latency, tally::Tally};

/// The edges of the two panels, in pixels of a picture of 800 by 500.
const LEFT: f64 = 66.0;
const RIGHT: f64 = 568.0;
const SECOND_LEFT: f64 = 584.0;
const SECOND_RIGHT: f64 = 690.0;
const TOP: f64 = 92.0;
const BOTTOM: f64 = 440.0;
/// The height of a bar of the distribution.
const BAR: f64 = 6.0;
/// Between the lines of text of two percentiles.
const LINE: f64 = 14.0;
/// From so many on p99.9 is more than the maximum.
const THOUSAND: u64 = 1000;
/// Up to so many, the points are connected.
const CONNECTED: usize = 200;
/// Characters of the URL that the title has room for.
const URL_ROOM: usize = 58;

const HEAD: &str = r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 500" width="800" height="500" role="img">
<style>
text{font:12px system-ui,"Segoe UI",Roboto,"DejaVu Sans",Arial,sans-serif;fill:#333}
.t{font-size:16px;font-weight:600;fill:#111}.s{fill:#666}.e{text-anchor:end}.m{text-anchor:middle}
.b{fill:#fff}.g{stroke:#e4e4e8;fill:none}.a{stroke:#999;fill:none}
.d{stroke:#2a6fbb;stroke-width:4;stroke-linecap:round;fill:none}.r{stroke:#9cc3ea;stroke-width:1.1;fill:none}
.l{stroke:#2a6fbb;stroke-width:1.3;stroke-linejoin:round;fill:none}.c{stroke:#2a6fbb;opacity:.5;fill:none}
.o{stroke-width:6}.h{fill:#7fb0e0}.p{stroke:#c77700;stroke-dasharray:5 4;fill:none}.q{stroke:#c77700;fill:none;opacity:.6}
.x{stroke:#d1242f;stroke-width:1.5;fill:none}.w{fill:#d1242f;font-weight:600}
@media (prefers-color-scheme:dark){text{fill:#ccc}.t{fill:#f2f2f2}.s{fill:#9a9aa2}.b{fill:#16181d}.g{stroke:#2b2e36}
.a{stroke:#70737c}.d,.l,.c{stroke:#6cb0f5}.r{stroke:#2f5d8a}.h{fill:#3f74a8}.p,.q{stroke:#f0a840}.x{stroke:#ff6b6b}
.w{fill:#ff6b6b}}
</style>
"#;

/// The picture. Below 200 KB however many round trips there were.
pub fn draw(tally: &Tally<'_>, timeline: &Timeline) -> String {
    let latency = tally.latency;
    let mut svg = Svg(HEAD.to_owned());
    let url = tally.url.trim_end_matches("?...");
    svg.push(format_args!("<title>{}</title>\n", xml(&format!("wspipe {}: RTT of {url}", tally.command))));
    svg.push(format_args!("<rect class=\"b\" width=\"800\" height=\"500\"/>\n"));
    svg.heading(tally, url);
    let rtt = Axis::around(millis(latency.min()), millis(latency.max()), BOTTOM, TOP);
    let (unit, name) = time_unit(timeline.span());
    let span = (timeline.span().as_secs_f64() / unit).max(1e-3);
    let time = Axis::up_to(span * 1.02, 6.0, LEFT, RIGHT);
    svg.axes(&rtt, &time, name);
    svg.round_trips(timeline, &rtt, &time, unit);
    svg.lost(timeline, &time, unit);
    if latency.count() > 0 {
        svg.distribution(latency, &rtt);
        svg.percentiles(latency, &rtt);
    }
    svg.0.push_str("</svg>\n");
    svg.0
}

struct Svg(String);

impl Svg {
    fn push(&mut self, arguments: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = self.0.write_fmt(arguments);
    }

    fn text(&mut self, class: &str, x: f64, y: f64, text: &str) {
        self.push(format_args!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>\n"));
    }

    fn path(&mut self, class: &str, path: &str) {
        if !path.is_empty() {
            self.push(format_args!("<path class=\"{class}\" d=\"{path}\"/>\n"));
        }
    }

    fn heading(&mut self, tally: &Tally<'_>, url: &str) {
        let mut shown: String = url.chars().take(URL_ROOM).collect();
        if shown.len() < url.len() {
            shown.push('…');
        }
        let title = format!("wspipe {}: RTT of {shown}", tally.command);
        self.text("t", LEFT, 30.0, &xml(&title));
        let Tally { sent, received, differing, latency, .. } = *tally;
        let mut counts = format!("{sent} sent, {received} received, ");
        let lost = format!("{} lost", tally.lost());
        match tally.lost() {
            0 => counts.push_str(&lost),
            _ => counts.push_str(&format!("<tspan class=\"w\">{lost}</tspan>")),
        }
        if differing > 0 {
            counts.push_str(&format!(", <tspan class=\"w\">{differing} differ</tspan>"));
        }
        if latency.count() > 0 {
            let all = [latency.min(), latency.mean(), latency.max(), latency.deviation()]
                .map(|rtt| figure(millis(rtt)));
            let [min, avg, max, deviation] = all;
            counts.push_str(&format!(" · min {min}, avg {avg}, max {max}, stddev {deviation} ms"));
        }
        self.text("s", LEFT, 52.0, &counts);
    }

    fn axes(&mut self, rtt: &Axis, time: &Axis, unit: &str) {
        let mut grid = String::new();
        for (value, label) in &rtt.ticks {
            let y = rtt.place(*value);
            let _ = write!(grid, "M{LEFT} {y:.1}H{RIGHT}M{SECOND_LEFT} {y:.1}H{SECOND_RIGHT}");
            self.text("e", LEFT - 8.0, y + 4.0, label);
        }
        for (value, label) in &time.ticks {
            let x = time.place(*value);
            let _ = write!(grid, "M{x:.1} {TOP}V{BOTTOM}");
            self.text("m", x, BOTTOM + 18.0, label);
        }
        self.path("g", &grid);
        self.path(
            "a",
            &format!("M{LEFT} {TOP}V{BOTTOM}H{RIGHT}M{SECOND_LEFT} {TOP}V{BOTTOM}H{SECOND_RIGHT}"),
        );
        self.text("e s", LEFT - 8.0, TOP - 14.0, "RTT, ms");
        self.text(
            "m s",
            f64::midpoint(LEFT, RIGHT),
            BOTTOM + 40.0,
            &format!("time since the first message, {unit}"),
        );
    }

    fn round_trips(&mut self, timeline: &Timeline, rtt: &Axis, time: &Axis, unit: f64) {
        let x = |at: Duration| time.place(at.as_secs_f64() / unit);
        let (mut ranges, mut dots, mut line) = (String::new(), String::new(), String::new());
        let mut join = |x: f64, y: f64| {
            let letter = if line.is_empty() { 'M' } else { 'L' };
            let _ = write!(line, "{letter}{x:.1} {y:.1}");
        };
        let points = timeline.points();
        if points.is_empty() {
            for (at, column) in timeline.columns() {
                let (x, low, high) = (x(at), rtt.place(millis(column.min)), rtt.place(millis(column.max)));
                let _ = write!(ranges, "M{x:.1} {:.1}V{:.1}", low + 0.5, high - 0.5);
                join(x, rtt.place(column.mean() / 1e6));
            }
            self.path("r", &ranges);
            self.path("l", &line);
            if !line.is_empty() {
                self.text("e s", RIGHT, TOP - 14.0, "range and mean, by time");
            }
            return;
        }
        for (at, took) in points {
            let (x, y) = (x(*at), rtt.place(millis(*took)));
            let _ = write!(dots, "M{x:.1} {y:.1}h0");
            join(x, y);
        }
        if points.len() <= CONNECTED {
            self.path("c", &line);
            self.path("d o", &dots);
        } else {
            self.path("d", &dots);
        }
    }

    /// A line over all of the height and a cross on it; no more than one a pixel.
    fn lost(&mut self, timeline: &Timeline, time: &Axis, unit: f64) {
        let mut pixels = [false; RIGHT as usize + 1];
        for at in timeline.lost() {
            let x = time.place(at.as_secs_f64() / unit).round() as usize;
            pixels[x.min(RIGHT as usize)] = true;
        }
        let (mut lines, mut crosses, mut last) = (String::new(), String::new(), None);
        for x in (0..=RIGHT as u32).filter(|x| pixels[*x as usize]) {
            let _ = write!(lines, "M{x} {TOP}V{BOTTOM}");
            // They would cover each other.
            if last.is_none_or(|last| x >= last + 12) {
                last = Some(x);
                let _ = write!(crosses, "M{} {}l8 8m0 -8l-8 8", f64::from(x) - 4.0, TOP - 10.0);
            }
        }
        if !lines.is_empty() {
            self.push(format_args!("<g opacity=\".45\">"));
            self.path("x", &lines);
            self.push(format_args!("</g>\n"));
            self.path("x", &crosses);
            self.text("w", LEFT + 4.0, TOP - 14.0, "× lost");
        }
    }

    /// A histogram that stands on the axis of time: its bars lie beside the round trips that they count.
    fn distribution(&mut self, latency: &Latency, rtt: &Axis) {
        let number = ((BOTTOM - TOP) / BAR) as usize;
        let mut bars = vec![0.0; number];
        for (from, to, count) in latency.buckets() {
            let [low, high] = [from, to].map(|nanos| (BOTTOM - rtt.place(nanos / 1e6)) / BAR);
            let (first, last) = (low as usize, (high as usize).min(number - 1));
            // A bucket that reaches over several bars is spread over them.
            let first = first.min(last);
            for (n, bar) in bars[first..=last].iter_mut().enumerate() {
                let bottom = (first + n) as f64;
                let part = high.min(bottom + 1.0) - low.max(bottom);
                let share = if high - low < 1e-9 { 1.0 } else { (part / (high - low)).clamp(0.0, 1.0) };
                *bar += share * count as f64;
            }
        }
        let most = bars.iter().copied().fold(0.0, f64::max) * 100.0 / latency.count() as f64;
        let share = Axis::up_to(most.max(1e-3), 3.0, SECOND_LEFT, SECOND_RIGHT);
        let mut path = String::new();
        for (n, count) in bars.iter().enumerate().filter(|(_, count)| **count > 0.0) {
            let x = share.place(count * 100.0 / latency.count() as f64).max(SECOND_LEFT + 1.0);
            let y = BOTTOM - (n + 1) as f64 * BAR;
            let _ = write!(path, "M{SECOND_LEFT} {:.1}H{x:.1}v{:.1}H{SECOND_LEFT}z", y + 0.5, BAR - 1.0);
        }
        self.path("h", &path);
        for (value, label) in &share.ticks {
            self.text("m", share.place(*value), BOTTOM + 18.0, label);
        }
        self.text("m s", f64::midpoint(SECOND_LEFT, SECOND_RIGHT), BOTTOM + 40.0, "share, %");
    }

    fn percentiles(&mut self, latency: &Latency, rtt: &Axis) {
        let mut all = vec![
            ("p50", latency.percentile(50)),
            ("p90", latency.percentile(90)),
            ("p99", latency.percentile(99)),
        ];
        if latency.count() >= THOUSAND {
            all.push(("p99.9", latency.per_mille(999)));
        }
        let lines: Vec<f64> = all.iter().map(|(_, value)| rtt.place(millis(*value))).collect();
        let labels = apart(&lines);
        let (mut dashes, mut leaders) = (String::new(), String::new());
        for ((name, value), (line, label)) in all.iter().zip(lines.iter().zip(labels)) {
            let _ = write!(dashes, "M{LEFT} {line:.1}H{SECOND_RIGHT}");
            let _ = write!(leaders, "M{SECOND_RIGHT} {line:.1}L{} {label:.1}", SECOND_RIGHT + 10.0);
            self.text("", SECOND_RIGHT + 14.0, label + 4.0, &format!("{name} {} ms", figure(millis(*value))));
        }
        self.path("p", &dashes);
        self.path("q", &leaders);
    }
}

/// Where texts beside these heights, which go up (towards 0), stand without touching each other.
fn apart(heights: &[f64]) -> Vec<f64> {
    let mut places = heights.to_vec();
    let mut limit = f64::MAX;
    for place in &mut places {
        *place = place.min(limit);
        limit = *place - LINE;
    }
    limit = TOP;
    for place in places.iter_mut().rev() {
        *place = place.max(limit);
        limit = *place + LINE;
    }
    places
}

/// What the axis of time counts in, in seconds, and its name.
fn time_unit(span: Duration) -> (f64, &'static str) {
    match span.as_secs_f64() {
        seconds if seconds < 0.5 => (1e-3, "ms"),
        seconds if seconds < 600.0 => (1.0, "s"),
        seconds if seconds < 36_000.0 => (60.0, "min"),
        _ => (3600.0, "h"),
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Three digits and more of it, down to a microsecond.
fn figure(millis: f64) -> String {
    match millis {
        ms if ms >= 100.0 => format!("{ms:.0}"),
        ms if ms >= 10.0 => format!("{ms:.1}"),
        ms if ms >= 1.0 => format!("{ms:.2}"),
        ms => format!("{ms:.3}"),
    }
}

/// Text of a document: markup escaped, and what XML 1.0 cannot hold (section 2.2) replaced.
fn xml(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests;
