//! What a test of round trips counted, and how it is told as JSON.

use std::fmt::Write;

use serde_json::Value;

use super::{
    histogram::intervals,
    latency::{Latency, Millis},
    plot::Timeline,
};

/// Counted so far.
#[derive(Clone, Copy, Debug)]
pub struct Tally<'a> {
    /// `echo` or `mqtt`.
    pub command: &'static str,
    /// Without login and query.
    pub url: &'a str,
    /// Messages sent.
    pub sent: u64,
    /// Of these, came back.
    pub received: u64,
    /// Of these, came back altered.
    pub differing: u64,
    /// Of those that came back.
    pub latency: &'a Latency,
    /// Where there is to be a plot.
    pub timeline: Option<&'a Timeline>,
}

impl Tally<'_> {
    /// Sent, and did not come back.
    pub fn lost(&self) -> u64 {
        self.sent - self.received
    }
}

/// `--json`: one object on one line, always with the same members. `rtt_ms` is `null` where nothing came back, and
/// `error` where nothing failed.
pub fn to_json(tally: &Tally<'_>, status: u8, error: Option<&str>) -> String {
    let Tally { command, url, sent, received, differing, latency, .. } = *tally;
    let (url, lost) = (Value::from(url), tally.lost());
    let mut text = format!(
        "{{\"command\":\"{command}\",\"url\":{url},\"sent\":{sent},\"received\":{received},\"lost\":{lost},\
         \"differing\":{differing},\"rtt_ms\":"
    );
    if latency.count() == 0 {
        text.push_str("null");
    } else {
        let members = [
            ("min", latency.min()),
            ("avg", latency.mean()),
            ("p50", latency.percentile(50)),
            ("p90", latency.percentile(90)),
            ("p99", latency.percentile(99)),
            ("p99.9", latency.per_mille(999)),
            ("max", latency.max()),
            ("stddev", latency.deviation()),
        ];
        let members = members.map(|(name, rtt)| format!("\"{name}\":{}", Millis(rtt)));
        // Writing to a String cannot fail.
        let _ = write!(text, "{{{}}}", members.join(","));
    }
    let intervals = intervals(latency).into_iter().map(|interval| {
        let [from, to] = [interval.from, interval.to].map(|nanos| nanos / 1e6);
        format!("{{\"from_ms\":{from:.3},\"to_ms\":{to:.3},\"count\":{}}}", interval.count)
    });
    let error = error.map_or(Value::Null, Value::from);
    let intervals: Vec<String> = intervals.collect();
    let intervals = intervals.join(",");
    let _ = writeln!(text, ",\"histogram\":[{intervals}],\"exit_status\":{status},\"error\":{error}}}");
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn object(micros: &[u64], sent: u64, error: Option<&str>) -> Value {
        let mut latency = Latency::default();
        micros.iter().for_each(|n| latency.record(Duration::from_micros(*n)));
        let received = latency.count();
        let url = "ws://h/\"\u{1b}";
        let tally =
            Tally { command: "echo", url, sent, received, differing: 1, latency: &latency, timeline: None };
        let text = to_json(&tally, 28, error);
        assert!(text.ends_with('\n') && text.lines().count() == 1, "{text}");
        serde_json::from_str(&text).expect("a JSON object")
    }

    #[test]
    fn the_object_holds_what_was_measured() {
        let object = object(&[100, 200, 300, 400], 5, Some("no \"reply\""));
        assert_eq!(object["url"], "ws://h/\"\u{1b}");
        assert_eq!(
            (&object["sent"], &object["received"], &object["lost"]),
            (&5.into(), &4.into(), &1.into())
        );
        assert_eq!((&object["exit_status"], &object["error"]), (&28.into(), &"no \"reply\"".into()));
        let rtt = |name: &str| object["rtt_ms"][name].as_f64().expect("a number");
        assert_eq!(["min", "avg", "p99.9", "max"].map(rtt), [0.1, 0.25, 0.4, 0.4]);
        assert!((rtt("stddev") - 0.112).abs() < 0.001, "{object}");
        let histogram = object["histogram"].as_array().expect("an array");
        assert_eq!(histogram.iter().filter_map(|part| part["count"].as_u64()).sum::<u64>(), 4);
        assert_eq!((&histogram[0]["from_ms"], &histogram[9]["to_ms"]), (&0.1.into(), &0.4.into()));
    }

    #[test]
    fn nothing_measured_is_told_too() {
        let object = object(&[], 0, None);
        assert!(object["rtt_ms"].is_null() && object["error"].is_null(), "{object}");
        assert_eq!(object["histogram"], Value::Array(Vec::new()));
    }
}
