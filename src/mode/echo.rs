//! `wspipe echo`: send, wait for the same bytes, print; once or like ping.

use std::{
    collections::VecDeque,
    fmt::Write as _,
    time::{Duration, Instant},
};

use log::{debug, info};

use super::{
    Failure, Handed, Kind, Machine, Milestones, Next, OutBuffer, Reading, RoundTrips, close_normally,
    describe_close, is_normal_close,
};
use crate::{
    config::{self, Endpoint},
    proto::{
        format::{escape, excerpt},
        latency::Millis,
        link::{self, Established, Lost, Received, Transmit},
        tally::Tally,
    },
};

/// With this many replies missing no more is sent, however short the interval: memory is bounded.
const MAX_OUTSTANDING: usize = 1 << 16;

/// Where it stands.
#[derive(Debug, PartialEq, Eq)]
enum State {
    /// No connection yet.
    Starting,
    /// Sending and waiting for replies.
    Running,
    /// Close is queued or sent.
    Closing,
    /// The connection is gone, or never came.
    Ended,
}

/// The machine.
pub struct Echo {
    options: config::Echo,
    url: String,
    /// stdout is a terminal: control bytes are escaped.
    escape: bool,
    state: State,
    sent: u64,
    received: u64,
    differing: u64,
    /// In what the first differing reply differs.
    difference: Option<String>,
    skipped: u64,
    /// When each message without a reply was sent, oldest first.
    outstanding: VecDeque<Instant>,
    next_send: Option<Instant>,
    round_trips: RoundTrips,
    milestones: Milestones,
    out: OutBuffer,
    queue: VecDeque<Transmit>,
    failure: Option<Failure>,
    reading: Reading,
}

impl Echo {
    /// Starts with no connection. `terminal`: stdout is one.
    pub fn new(endpoint: &Endpoint, options: &config::Echo, terminal: bool) -> Echo {
        Echo {
            options: options.clone(),
            url: endpoint.url.shown(),
            escape: terminal && !options.raw,
            state: State::Starting,
            sent: 0,
            received: 0,
            differing: 0,
            difference: None,
            skipped: 0,
            outstanding: VecDeque::new(),
            next_send: None,
            round_trips: RoundTrips::new(options.max_rtt, &options.report),
            milestones: Milestones::default(),
            out: OutBuffer::default(),
            queue: VecDeque::new(),
            failure: None,
            reading: Reading::default(),
        }
    }

    fn wanted(&self) -> u64 {
        self.options.count.unwrap_or(1)
    }

    fn send(&mut self, now: Instant) {
        let kind = if self.options.binary { link::Kind::Binary } else { link::Kind::Text };
        self.queue.push_back(Transmit::message(kind, self.options.message.clone()));
        self.outstanding.push_back(now);
        self.sent += 1;
        let more = self.sent < self.wanted();
        // With no interval the reply is what starts the next.
        let paced = more && !self.options.interval.is_zero();
        self.next_send = paced.then(|| now + self.options.interval);
    }

    fn handle_reply(&mut self, kind: link::Kind, payload: &[u8], now: Instant) {
        if self.skipped < self.options.skip {
            self.skipped += 1;
            debug!("skipped: {}", excerpt(payload));
            return;
        }
        let Some(sent_at) = self.outstanding.pop_front() else {
            debug!("a message that answers nothing: {}", excerpt(payload));
            return;
        };
        let rtt = now.saturating_duration_since(sent_at);
        self.received += 1;
        self.round_trips.record(sent_at, rtt);
        let binary = kind == link::Kind::Binary;
        let same = payload == &self.options.message[..] && binary == self.options.binary;
        if !same {
            self.differing += 1;
            if self.difference.is_none() {
                self.difference = Some(self.differs(kind, payload));
            }
        }
        match self.options.count {
            None => {
                info!("RECEIVED {} bytes in {} ms", payload.len(), Millis(rtt));
                // With --json the object stands in its place.
                if !self.options.report.json {
                    self.print_payload(payload);
                }
            }
            Some(_) if self.options.report.json => {}
            Some(_) => self.print_reply(payload.len(), rtt, same),
        }
        if self.received == self.wanted() {
            self.finish(None);
        } else if self.next_send.is_none() && self.sent < self.wanted() {
            self.send(now);
        }
    }

    /// In what a reply is not what was sent.
    fn differs(&self, kind: link::Kind, payload: &[u8]) -> String {
        let sent = &self.options.message;
        let greeting = if self.received == 1 { " (--skip N passes over greetings)" } else { "" };
        if payload == &sent[..] {
            let (is, was) = if kind == link::Kind::Binary { ("binary", "text") } else { ("text", "binary") };
            return format!("the same bytes, but as {is}, sent as {was}");
        }
        let at = payload.iter().zip(sent.iter()).take_while(|(a, b)| a == b).count();
        format!("{} bytes against {}, from byte {} on{greeting}", payload.len(), sent.len(), at + 1)
    }

    fn print_reply(&mut self, len: usize, rtt: Duration, same: bool) {
        let note = if same { "" } else { " DIFFERS" };
        let line =
            format!("{len} bytes from {}: seq={} time={} ms{note}\n", self.url, self.received, Millis(rtt));
        self.out.push(line.as_bytes());
    }

    /// Ends it: Close, and the verdict. `why` is what cut it short.
    fn finish(&mut self, why: Option<Failure>) {
        if self.is_over() {
            return;
        }
        let running = self.state == State::Running;
        self.state = if running { State::Closing } else { State::Ended };
        self.next_send = None;
        if running {
            self.queue.push_back(close_normally());
        }
        self.failure = why.or_else(|| self.verdict());
        if self.options.count.is_some() && running && !self.options.report.json {
            self.print_summary();
        }
    }

    /// Ends it early at the user's wish: no verdict, but one that stands is not taken back.
    fn stop(&mut self) {
        if !self.is_over() {
            self.finish(None);
            self.failure = None;
        }
    }

    fn is_over(&self) -> bool {
        matches!(self.state, State::Closing | State::Ended)
    }

    fn verdict(&self) -> Option<Failure> {
        if self.differing > 0 {
            let how = self.difference.as_deref().unwrap_or_default();
            let which = match self.options.count {
                None => "the reply differs".to_owned(),
                Some(_) => format!("{} of {} replies differ", self.differing, self.received),
            };
            let text = format!("{}: {which} from what was sent: {how}", self.url);
            return Some(Failure::new(Kind::TestFailed, text));
        }
        let lost = self.sent - self.received;
        if lost > 0 {
            let text = format!("{}: {lost} of {} replies are missing", self.url, self.sent);
            return Some(Failure::new(Kind::TestFailed, text));
        }
        self.round_trips.verdict(&self.url)
    }

    fn print_payload(&mut self, payload: &[u8]) {
        if self.escape {
            self.out.push(escape(payload).as_bytes());
        } else {
            self.out.push(payload);
        }
        self.out.push(b"\n");
    }

    fn print_summary(&mut self) {
        let (sent, received, lost) = (self.sent, self.received, self.sent - self.received);
        let mut text = format!("--- {} ---\n{sent} sent, {received} received, {lost} lost", self.url);
        if self.differing > 0 {
            let _ = write!(text, ", {} differ", self.differing); // writing to a String cannot fail
        }
        text.push('\n');
        if self.received > 0 {
            let _ = writeln!(text, "rtt {}", self.round_trips.latency());
        }
        self.out.push(text.as_bytes());
    }

    fn handle_close(&mut self, close: Option<(u16, &str)>) {
        if self.state != State::Running {
            return;
        }
        let kind = if is_normal_close(close) { Kind::TestFailed } else { Kind::Ended };
        let (received, wanted) = (self.received, self.wanted());
        let text = format!(
            "{}: the server closed the connection {} after {received} of {wanted} replies",
            self.url,
            describe_close(close)
        );
        self.finish(Some(Failure::new(kind, text)));
        // tungstenite has answered already.
        self.queue.clear();
    }

    /// When the next one is due: not before the socket has taken the last one.
    fn send_at(&self) -> Option<Instant> {
        let room = self.queue.is_empty() && self.outstanding.len() < MAX_OUTSTANDING;
        self.next_send.filter(|_| room)
    }

    fn reply_deadline(&self) -> Option<Instant> {
        self.reading.answer_by(*self.outstanding.front()?, self.options.timeout)
    }
}

impl Machine for Echo {
    fn handle_connected(&mut self, established: &Established, _by: Instant, now: Instant) {
        info!("CONNECTED {} ({})", self.url, established.peer);
        self.state = State::Running;
        self.send(now);
    }

    fn handle_received(&mut self, received: Received<'_>, now: Instant) {
        match received {
            Received::Message(kind, payload) if self.state == State::Running => {
                self.milestones.message.get_or_insert(now);
                self.handle_reply(kind, payload, now);
            }
            Received::Close(close) => self.handle_close(close),
            _ => {}
        }
    }

    fn handle_sent(&mut self, _now: Instant) {}

    fn handle_lost(&mut self, lost: Lost, _handed: Handed, _now: Instant) {
        if self.state == State::Running {
            let doing = format!("waiting for reply {} of {}", self.received + 1, self.wanted());
            self.finish(Some(Failure::lost(&lost, &self.url, &doing)));
            self.queue.clear();
        } else if lost == Lost::Unanswered {
            debug!("the server did not answer our Close");
        }
        self.state = State::Ended;
    }

    fn handle_unreachable(&mut self, _permanent: bool, _text: &str, _now: Instant) {
        self.state = State::Ended;
        self.failure = Some(Failure::new(Kind::Unreachable, ""));
    }

    fn handle_written(&mut self, n: usize, _now: Instant) {
        self.out.written(n);
    }

    fn handle_output_closed(&mut self, _now: Instant) {
        self.stop();
        self.out.discard();
    }

    fn handle_reading(&mut self, reading: bool, now: Instant) {
        self.reading.handle(reading, now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.state != State::Running {
            return;
        }
        if self.reply_deadline().is_some_and(|at| at <= now) {
            let seconds = self.options.timeout.as_secs_f64();
            let text = format!("{}: no reply within {seconds} s", self.url);
            self.finish(Some(Failure::new(Kind::TimedOut, text)));
        } else if self.send_at().is_some_and(|at| at <= now) {
            self.send(now);
        }
    }

    fn handle_stop(&mut self, _now: Instant) {
        self.stop();
    }

    fn poll_transmit(&mut self, _now: Instant) -> Option<Transmit> {
        self.queue.pop_front()
    }

    fn output(&self) -> &[u8] {
        self.out.pending()
    }

    fn poll_deadline(&self) -> Option<Instant> {
        if self.state != State::Running {
            return None;
        }
        [self.send_at(), self.reply_deadline()].into_iter().flatten().min()
    }

    fn is_closing(&self) -> bool {
        self.state == State::Closing
    }

    fn is_late(&self) -> bool {
        Failure::is_late(&self.failure)
    }

    fn milestones(&self) -> Milestones {
        self.milestones
    }

    fn poll_next(&self) -> Next {
        if self.state == State::Starting { Next::Connect } else { Next::Done }
    }

    fn tally(&mut self) -> Option<Tally<'_>> {
        let outstanding = self.outstanding.iter().copied();
        Some(self.round_trips.tally("echo", &self.url, self.sent, self.differing, outstanding))
    }

    fn take_outcome(&mut self) -> Result<(), Failure> {
        self.failure.take().map_or(Ok(()), Err)
    }
}
