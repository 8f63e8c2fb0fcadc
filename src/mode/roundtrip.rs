//! `wspipe mqtt`: log in, subscribe, publish, get the message back, unsubscribe, leave. The health check
//! of a broker.

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use log::{Level, debug, info, log};

use super::{
    Failure, Handed, Kind, Machine, Milestones, Next, OutBuffer, Reading, RoundTrips,
    mqtt::{Client, Keep},
};
use crate::{
    config::{self, Endpoint, Mqtt},
    proto::{
        format::{escape, excerpt},
        latency::Millis,
        link::{Established, Lost, Received, Transmit},
        mqtt::{
            packet::{Publish, PublishProperties, QoS, Version, no_properties},
            session::{Event, Message, PublishId, Refusal},
        },
        tally::Tally,
    },
};

/// Where it stands, with the beginning of the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// No connection yet, or 3.1.1 is to be tried.
    Connecting,
    /// CONNECT is sent.
    LoggingIn,
    /// The connection is given up for one in 3.1.1.
    Leaving,
    /// SUBSCRIBE is sent.
    Subscribing(Instant),
    /// A round is under way, or the pause before the next.
    Running,
    /// Waiting until QoS 2 is finished both ways.
    Settling(Instant),
    /// UNSUBSCRIBE is sent.
    Unsubscribing(Instant),
    /// DISCONNECT and Close are queued or sent.
    Closing,
    /// Over.
    Ended,
}

/// One publish and its way back.
struct Round {
    id: PublishId,
    sent_at: Instant,
    /// In 5.0, which hands it on unaltered [MQTT-3.3.2-16].
    correlation: Option<Bytes>,
    /// PUBACK or PUBCOMP came; at QoS 0: the kernel has it.
    published: Option<Duration>,
    /// It came back, at this QoS.
    received: Option<(Duration, QoS)>,
    /// Its PUBLISHED line is out.
    announced: bool,
}

/// The machine.
pub struct RoundTrip {
    client: Client,
    options: config::RoundTrip,
    nonce: u64,
    step: Step,
    round: Option<Round>,
    next_round: Option<Instant>,
    sent: u64,
    received: u64,
    round_trips: RoundTrips,
    out: OutBuffer,
    failure: Option<Failure>,
    reading: Reading,
    /// DISCONNECT and Close have reached the kernel.
    left: bool,
}

impl RoundTrip {
    /// Before the first connection. `seed` is random.
    pub fn new(endpoint: &Endpoint, options: &config::RoundTrip, seed: u64) -> RoundTrip {
        let keep = if options.mqtt.keep_session { Keep::Session } else { Keep::Nothing };
        RoundTrip {
            client: Client::new(endpoint, &options.mqtt, keep, None, seed),
            options: options.clone(),
            nonce: seed,
            step: Step::Connecting,
            round: None,
            next_round: None,
            sent: 0,
            received: 0,
            round_trips: RoundTrips::new(options.max_rtt, &options.report),
            out: OutBuffer::default(),
            failure: None,
            reading: Reading::default(),
            left: false,
        }
    }

    fn doing(&self) -> &'static str {
        match self.step {
            Step::Connecting | Step::LoggingIn | Step::Leaving => "waiting for CONNACK",
            Step::Subscribing(_) => "waiting for SUBACK",
            Step::Running => "waiting for the message to come back",
            Step::Settling(_) => "finishing QoS 2",
            Step::Unsubscribing(_) => "waiting for UNSUBACK",
            Step::Closing | Step::Ended => "closing",
        }
    }

    fn is_over(&self) -> bool {
        matches!(self.step, Step::Closing | Step::Ended)
    }

    /// Takes all events of the session.
    fn drain(&mut self, now: Instant) {
        while let Some(event) = self.client.session.poll_event(now) {
            match event {
                Event::Connected { session_present, .. } => self.handle_accepted(session_present, now),
                Event::Refused { reason, text, server_reference } => {
                    let refused =
                        self.client.handle_refused(reason, text.as_deref(), server_reference.as_deref());
                    match refused {
                        Some(failure) => self.fail(failure, now),
                        None => self.leave_to_retry(now),
                    }
                }
                Event::Subscribed { reasons, .. } => self.handle_subscribed(&reasons, now),
                Event::Unsubscribed { reasons, .. } => self.handle_unsubscribed(&reasons, now),
                Event::Message { publish, token } => {
                    self.client.milestones.message.get_or_insert(now);
                    let round = self.round.as_mut().filter(|r| is_ours(r, &publish, &self.options));
                    match round {
                        Some(round) => {
                            let took = now.saturating_duration_since(round.sent_at);
                            round.received.get_or_insert((took, publish.qos));
                        }
                        None => debug!("another message on {}", excerpt(publish.topic.as_bytes())),
                    }
                    if let Some(token) = token {
                        self.client.session.acknowledge(token, now);
                    }
                    self.advance_round(now);
                }
                Event::Acknowledged { id, reason, text } => {
                    self.handle_acknowledged(id, reason, text.as_deref(), now);
                }
                Event::Confirmed { .. } => {}
                Event::Disconnected { reason, text, server_reference } => {
                    let failure =
                        self.client.disconnected(reason, text.as_deref(), server_reference.as_deref());
                    self.fail(failure, now);
                }
                Event::Auth { .. } => self.fail(self.client.unexpected_auth(), now),
                Event::Violated { reason, what, too_large } => {
                    self.fail(self.client.violated(reason, &what, too_large), now);
                }
                Event::TimedOut(timer) => {
                    let failure = self.client.timed_out(timer, self.doing());
                    self.fail(failure, now);
                }
            }
        }
        self.settle(now);
    }

    fn handle_accepted(&mut self, session_present: bool, now: Instant) {
        self.client.handle_accepted(session_present, now);
        self.step = Step::Subscribing(now);
        let filter = Mqtt::filter(&self.options.topic, self.options.qos);
        let asked = self.client.session.subscribe(&[filter], None, &[], now);
        self.check(asked, "subscribe", now);
    }

    fn handle_subscribed(&mut self, reasons: &[u8], now: Instant) {
        let Step::Subscribing(since) = self.step else { return };
        let code = reasons.first().copied().unwrap_or(0x80);
        let strict = self.options.mqtt.keep_session;
        let asked = self.options.qos as u8;
        if let Err(failure) = self.client.check_granted(&self.options.topic, asked, code, strict) {
            return self.fail(failure, now);
        }
        let took = Millis(now.saturating_duration_since(since));
        info!("SUBSCRIBED {} QoS {code} in {took} ms", escape(self.options.topic.as_bytes()));
        self.step = Step::Running;
        self.publish(now);
    }

    fn publish(&mut self, now: Instant) {
        self.next_round = None;
        let v5 = self.client.session.version() == Version::V5;
        let correlation = v5.then(|| Bytes::from(format!("wspipe-{:016x}-{}", self.nonce, self.sent)));
        let properties = correlation.clone().map(|data| Rc::new(correlated(data)));
        let message = Message {
            topic: Rc::from(self.options.topic.as_str()),
            payload: self.options.message.clone(),
            qos: self.options.qos,
            retain: self.options.retain,
            properties,
        };
        match self.client.session.publish(message, now) {
            Ok(id) => {
                self.sent += 1;
                self.round = Some(Round {
                    id,
                    sent_at: now,
                    correlation,
                    published: None,
                    received: None,
                    announced: false,
                });
            }
            Err(refusal) => self.check(Err(refusal), "publish", now),
        }
    }

    fn handle_acknowledged(&mut self, id: PublishId, code: u8, text: Option<&str>, now: Instant) {
        let Some(round) = self.round.as_mut().filter(|r| r.id == id) else { return };
        if code >= 0x80 {
            let failure = self.client.denied(&self.options.topic, code, text);
            return self.fail(failure, now);
        }
        round.published = Some(now.saturating_duration_since(round.sent_at));
        self.advance_round(now);
    }

    /// Says what is new of the round, PUBLISHED before RECEIVED, and ends it when both are there.
    fn advance_round(&mut self, now: Instant) {
        let Some(round) = self.round.as_mut().filter(|_| self.step == Step::Running) else { return };
        let Some(published) = round.published else { return };
        let (topic, size) = (escape(self.options.topic.as_bytes()), self.options.message.len());
        // Counted runs have their lines on stdout: the milestones once are enough.
        let level = if self.received == 0 { Level::Info } else { Level::Debug };
        if !round.announced {
            round.announced = true;
            let qos = self.options.qos as u8;
            log!(level, "PUBLISHED {topic} QoS {qos}, {size} bytes in {} ms", Millis(published));
        }
        let Some((took, qos)) = round.received else { return };
        log!(level, "RECEIVED {topic} QoS {}, {size} bytes in {} ms", qos as u8, Millis(took));
        let (sent_at, next) = (round.sent_at, round.sent_at + self.options.interval);
        self.round = None;
        self.received += 1;
        self.round_trips.record(sent_at, took);
        if self.options.count.is_some() && !self.options.report.json {
            let line = format!("{size} bytes from {topic}: seq={} time={} ms\n", self.received, Millis(took));
            self.out.push(line.as_bytes());
        }
        if self.received < self.options.count.unwrap_or(1) {
            self.next_round = Some(next.max(now));
            return;
        }
        self.step = Step::Settling(now);
    }

    /// Once nothing of QoS 2 is open in either direction: UNSUBSCRIBE.
    fn settle(&mut self, now: Instant) {
        let Step::Settling(_) = self.step else { return };
        if self.client.session.in_flight() > 0 || self.client.session.receiving() > 0 {
            return;
        }
        self.step = Step::Unsubscribing(now);
        let asked = self.client.session.unsubscribe(std::slice::from_ref(&self.options.topic), &[], now);
        self.check(asked, "unsubscribe", now);
    }

    fn handle_unsubscribed(&mut self, reasons: &[u8], now: Instant) {
        let Step::Unsubscribing(_) = self.step else { return };
        // UNSUBACK of 3.1.1 has no reasons.
        match reasons.first().copied().filter(|code| *code >= 0x80) {
            Some(code) => self.fail(self.client.unsubscribe_denied(&self.options.topic, code), now),
            None => match self.round_trips.verdict(self.client.url()) {
                Some(failure) => self.fail(failure, now),
                None => self.finish(now),
            },
        }
    }

    /// A refusal of the session itself ends the run.
    fn check(&mut self, result: Result<(), Refusal>, doing: &str, now: Instant) {
        if let Err(refusal) = result {
            let kind = match refusal {
                Refusal::TooLarge(..) => Kind::TooLarge,
                _ => Kind::Denied,
            };
            let text = format!("{}: cannot {doing}: {refusal}", self.client.url());
            self.fail(Failure::new(kind, text), now);
        }
    }

    /// Leaves with what was found.
    fn fail(&mut self, failure: Failure, now: Instant) {
        if !self.is_over() {
            self.finish(now);
            self.failure = Some(failure);
        }
    }

    /// Closes this connection; the next one speaks 3.1.1.
    fn leave_to_retry(&mut self, now: Instant) {
        self.client.finish(0, now);
        self.step = Step::Leaving;
    }

    fn finish(&mut self, now: Instant) {
        if self.is_over() {
            return;
        }
        self.next_round = None;
        let up = self.step != Step::Connecting;
        self.step = if up { Step::Closing } else { Step::Ended };
        if up {
            self.client.finish(0, now);
        }
        if self.options.count.is_some() && self.sent > 0 && !self.options.report.json {
            self.print_summary();
        }
    }

    fn print_summary(&mut self) {
        let (sent, received, lost) = (self.sent, self.received, self.sent - self.received);
        let topic = escape(self.options.topic.as_bytes());
        let mut text = format!("--- {} {topic} ---\n", self.client.url());
        text.push_str(&format!("{sent} sent, {received} received, {lost} lost\n"));
        if self.received > 0 {
            text.push_str(&format!("rtt {}\n", self.round_trips.latency()));
        }
        self.out.push(text.as_bytes());
    }

    /// The limit of the round trip, and of finishing it.
    fn limit(&self) -> Option<Instant> {
        let since = match self.step {
            Step::Running => self.round.as_ref()?.sent_at,
            Step::Settling(since) => since,
            _ => return None,
        };
        self.reading.answer_by(since, self.options.timeout)
    }
}

/// The message that this round sent, come back live.
fn is_ours(round: &Round, publish: &Publish<'_>, options: &config::RoundTrip) -> bool {
    let correlation = publish.properties.as_ref().and_then(|p| p.correlation_data.as_ref());
    let same = publish.topic == options.topic && publish.payload == &options.message[..];
    same && !publish.retain && correlation == round.correlation.as_ref()
}

fn correlated(data: Bytes) -> PublishProperties {
    PublishProperties { correlation_data: Some(data), ..no_properties() }
}

impl Machine for RoundTrip {
    fn handle_connected(&mut self, _established: &Established, by: Instant, now: Instant) {
        self.step = Step::LoggingIn;
        self.client.handle_connected(by, now);
    }

    fn handle_received(&mut self, received: Received<'_>, now: Instant) {
        match received {
            Received::Message(kind, bytes) => {
                self.client.handle_message(kind, bytes, now);
                self.drain(now);
            }
            Received::Close(close) => self.client.handle_close(close),
            Received::Ping(_) | Received::Pong(_) => {}
        }
    }

    fn handle_sent(&mut self, now: Instant) {
        self.client.session.handle_sent(now);
        self.left = self.step == Step::Closing;
        if self.options.qos == QoS::AtMostOnce {
            if let Some(round) = self.round.as_mut().filter(|r| r.published.is_none()) {
                round.published = Some(now.saturating_duration_since(round.sent_at));
                self.advance_round(now);
                self.settle(now);
            }
        }
    }

    fn handle_progress(&mut self, now: Instant) {
        self.client.session.handle_progress(now);
    }

    fn handle_lost(&mut self, lost: Lost, _handed: Handed, now: Instant) {
        if self.step == Step::Closing {
            self.client.session.handle_lost(now);
            debug!("the connection ended: {lost:?}");
            self.step = Step::Ended;
            if !self.left && self.failure.is_none() {
                self.failure = Some(self.client.lost(&lost, "sending DISCONNECT"));
            }
            return;
        }
        if self.step == Step::Leaving {
            self.client.session.handle_lost(now);
            self.step = Step::Connecting;
            return;
        }
        match self.client.handle_lost(&lost, self.doing(), now) {
            Some(failure) => {
                self.finish(now);
                self.step = Step::Ended;
                self.failure = Some(failure);
            }
            None => self.step = Step::Connecting,
        }
    }

    fn handle_unreachable(&mut self, _permanent: bool, _text: &str, _now: Instant) {
        self.step = Step::Ended;
        self.failure = Some(Failure::new(Kind::Unreachable, ""));
    }

    fn handle_written(&mut self, n: usize, _now: Instant) {
        self.out.written(n);
    }

    fn handle_output_closed(&mut self, now: Instant) {
        if self.options.count.is_none() {
            // Nothing goes there: whether the broker is well does not depend on a reader.
            return;
        }
        self.finish(now);
        self.out.discard();
    }

    fn handle_reading(&mut self, reading: bool, now: Instant) {
        self.reading.handle(reading, now);
        self.client.session.handle_reading(reading, now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.client.session.handle_timeout(now);
        self.drain(now);
        if self.limit().is_some_and(|at| at <= now) {
            let seconds = self.options.timeout.as_secs_f64();
            let text = format!("{}: {}: nothing within {seconds} s", self.client.url(), self.doing());
            self.fail(Failure::new(Kind::TimedOut, text), now);
        }
        if self.next_round.is_some_and(|at| at <= now) && self.step == Step::Running {
            self.publish(now);
        }
    }

    fn handle_stop(&mut self, now: Instant) {
        self.finish(now);
    }

    fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        self.client.poll_transmit(now)
    }

    fn output(&self) -> &[u8] {
        self.out.pending()
    }

    fn poll_deadline(&self) -> Option<Instant> {
        let session = self.client.session.poll_deadline().map(|(at, _)| at);
        [session, self.limit(), self.next_round].into_iter().flatten().min()
    }

    fn is_closing(&self) -> bool {
        matches!(self.step, Step::Closing | Step::Leaving)
    }

    fn is_late(&self) -> bool {
        Failure::is_late(&self.failure)
    }

    fn milestones(&self) -> Milestones {
        self.client.milestones
    }

    fn poll_next(&self) -> Next {
        if self.step == Step::Connecting { Next::Connect } else { Next::Done }
    }

    fn tally(&mut self) -> Option<Tally<'_>> {
        let outstanding = self.round.iter().map(|round| round.sent_at);
        Some(self.round_trips.tally("mqtt", self.client.url(), self.sent, 0, outstanding))
    }

    fn take_outcome(&mut self) -> Result<(), Failure> {
        self.failure.take().map_or(Ok(()), Err)
    }
}
