//! `--timing`: how long each step to a connection and to its first message took, one line a connection.
//!
//! The line is written once all is measured, or when the connection ends, or fails to come about. It goes to stderr
//! by itself, not through the log, since it was asked for: `--quiet` does not take it away.

use std::{
    fmt::Write,
    time::{Duration, Instant},
};

use crate::{
    config::{TimingFormat, Url},
    mode::Milestones,
    net::{Connector, Timings},
    proto::latency::Millis,
    sys::Output,
};

/// What is measured of the connection that is being made or used.
pub(super) struct Timing {
    format: Option<TimingFormat>,
    url: String,
    begun: Instant,
    /// The connection that is up, and has no line yet: since when, and how it came to be.
    up: Option<(Instant, Timings)>,
}

impl Timing {
    /// `now` is of no meaning until `begin`.
    pub fn new(format: Option<TimingFormat>, url: &Url, now: Instant) -> Timing {
        Timing { format, url: url.shown(), begun: now, up: None }
    }

    /// An attempt begins.
    pub fn begin(&mut self, now: Instant) {
        self.begun = now;
    }

    /// The attempt came to nothing.
    pub fn handle_failed(&mut self, connector: &Connector, now: Instant) {
        let steps = connector.timings();
        let total = now.saturating_duration_since(self.begun);
        let (phase, since) = connector.phase();
        let failed = Some((phase.to_string(), now.saturating_duration_since(since)));
        self.write(&Report { steps, failed, total, ..Report::default() });
    }

    /// The connection stands.
    pub fn handle_connected(&mut self, connector: &Connector) {
        let (_, since) = connector.phase();
        self.up = self.format.map(|_| (since, connector.timings()));
    }

    /// Tells it once there is nothing more to wait for.
    pub fn look(&mut self, milestones: impl FnOnce() -> Milestones) {
        let Some((up, steps)) = self.up else { return };
        let milestones = milestones();
        if milestones.message.is_none() {
            return;
        }
        self.up = None;
        self.write(&report(self.begun, up, steps, milestones, up));
    }

    /// The connection is gone.
    pub fn end(&mut self, milestones: Milestones, now: Instant) {
        let Some((up, steps)) = self.up.take() else { return };
        self.write(&report(self.begun, up, steps, milestones, now));
    }

    fn write(&self, report: &Report) {
        let line = match self.format {
            None => return,
            Some(TimingFormat::Text) => text(&self.url, report),
            Some(TimingFormat::Json) => json(&self.url, report),
        };
        // A stderr that takes nothing misses a line, as with the log.
        let _ = Output::stderr().write(line.as_bytes());
    }
}

/// What there is to tell.
#[derive(Debug, Default)]
struct Report {
    steps: Timings,
    connack: Option<Duration>,
    message: Option<Duration>,
    /// The name of the step that failed, and how long it had been under way.
    failed: Option<(String, Duration)>,
    /// From the beginning to the last of these.
    total: Duration,
}

/// Of a connection that came to be; `end` is when it was lost.
fn report(begun: Instant, up: Instant, steps: Timings, milestones: Milestones, end: Instant) -> Report {
    // What came in the turn of the loop in which the connection came up has that turn's time.
    let connack = milestones.connack.map(|at| at.max(up));
    let message = milestones.message.map(|at| at.max(connack.unwrap_or(up)));
    let refused = milestones.login && connack.is_none();
    let failed = refused.then(|| (CONNACK.to_owned(), end.saturating_duration_since(up)));
    let last = message.or(connack).unwrap_or(if refused { end } else { up });
    Report {
        steps,
        connack: connack.map(|at| at - up),
        message: message.map(|at| at - connack.unwrap_or(up)),
        failed,
        total: last.saturating_duration_since(begun),
    }
}

const CONNACK: &str = "CONNACK";

fn text(url: &str, report: &Report) -> String {
    let mut line = format!("wspipe: TIMING {url}: ");
    let mut add = |name: &str, took: Option<Duration>| {
        if let Some(took) = took {
            // Writing to a String cannot fail.
            let _ = write!(line, "{name} {} ms, ", Millis(took));
        }
    };
    let steps = &report.steps;
    add("resolve", steps.resolve);
    add("connect", steps.connect);
    add("proxy", steps.proxy);
    add("TLS", steps.tls);
    add("upgrade", steps.upgrade);
    add(CONNACK, report.connack);
    add("first message", report.message);
    if let Some((phase, after)) = &report.failed {
        add(&format!("{phase} failed after"), Some(*after));
    }
    line.push_str(&format!("total {} ms\n", Millis(report.total)));
    line
}

/// Every member is there, `null` where there is nothing to tell: a table can be made of the lines.
fn json(url: &str, report: &Report) -> String {
    let mut line = format!("{{\"url\":{}", serde_json::Value::from(url));
    let steps = &report.steps;
    let members = [
        ("resolve_ms", steps.resolve),
        ("connect_ms", steps.connect),
        ("proxy_ms", steps.proxy),
        ("tls_ms", steps.tls),
        ("upgrade_ms", steps.upgrade),
        ("connack_ms", report.connack),
        ("message_ms", report.message),
        ("total_ms", Some(report.total)),
    ];
    for (name, took) in members {
        let took = took.map_or("null".to_owned(), |took| Millis(took).to_string());
        line.push_str(&format!(",\"{name}\":{took}"));
    }
    match &report.failed {
        Some((phase, _)) => line.push_str(&format!(",\"failed\":\"{}\"}}\n", key(phase))),
        None => line.push_str(",\"failed\":null}\n"),
    }
    line
}

/// A step as its member has it: the first word, in small letters.
fn key(phase: &str) -> String {
    phase.split(' ').next().unwrap_or_default().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Phase;

    const MS: Duration = Duration::from_millis(1);

    fn steps() -> Timings {
        Timings { resolve: Some(MS), connect: Some(2 * MS), upgrade: Some(4 * MS), ..Timings::default() }
    }

    fn of(connack: Option<u32>, message: Option<u32>, login: bool) -> Report {
        let begun = Instant::now();
        let up = begun + 7 * MS;
        let at = |ms: Option<u32>| ms.map(|ms| begun + ms * MS);
        let milestones = Milestones { login, connack: at(connack), message: at(message) };
        report(begun, up, steps(), milestones, begun + 50 * MS)
    }

    #[test]
    fn each_step_is_told_by_itself() {
        let all = of(Some(10), Some(15), true);
        assert_eq!(
            text("ws://h/mqtt", &all),
            "wspipe: TIMING ws://h/mqtt: resolve 1.000 ms, connect 2.000 ms, upgrade 4.000 ms, \
             CONNACK 3.000 ms, first message 5.000 ms, total 15.000 ms\n"
        );
        assert_eq!(
            json("ws://h/mqtt", &all),
            "{\"url\":\"ws://h/mqtt\",\"resolve_ms\":1.000,\"connect_ms\":2.000,\"proxy_ms\":null,\
             \"tls_ms\":null,\"upgrade_ms\":4.000,\"connack_ms\":3.000,\"message_ms\":5.000,\
             \"total_ms\":15.000,\"failed\":null}\n"
        );
    }

    #[test]
    fn what_was_not_reached_is_not_told() {
        // No message came: the way in is all. How long the connection lasted then is no matter.
        let silent = of(None, None, false);
        assert_eq!((silent.total, silent.failed.is_none()), (7 * MS, true));
        let logged_in = of(Some(9), None, true);
        assert_eq!((logged_in.connack, logged_in.total), (Some(2 * MS), 9 * MS));
        let refused = of(None, None, true);
        assert!(
            text("u", &refused)
                .ends_with("upgrade 4.000 ms, CONNACK failed after 43.000 ms, total 50.000 ms\n")
        );
        assert!(json("u", &refused).ends_with("\"total_ms\":50.000,\"failed\":\"connack\"}\n"));
        // Read in the very turn that the connection came up in.
        let early = of(Some(3), Some(5), true);
        assert_eq!(
            (early.connack, early.message, early.total),
            (Some(Duration::ZERO), Some(Duration::ZERO), 7 * MS)
        );
    }

    #[test]
    fn steps_are_members_by_their_first_word() {
        let keys = [Phase::Resolve, Phase::Connect, Phase::Tls, Phase::Upgrade].map(|p| key(&p.to_string()));
        assert_eq!(keys, ["resolve", "connect", "tls", "upgrade"]);
    }
}
