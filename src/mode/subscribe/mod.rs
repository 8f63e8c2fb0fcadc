//! `wspipe sub`: what a broker sends, on stdout; acknowledged once it is written there.

pub(super) mod printer;

use std::{collections::VecDeque, time::Instant};

use log::{debug, warn};

use self::printer::Printer;
use super::{
    Failure, Handed, Kind, Machine, Next, OutBuffer, World, micros_since,
    mqtt::{Driver, Keep, general},
};
use crate::{
    config::{self, Endpoint, Ready},
    proto::{
        format::excerpt,
        link::{Established, Lost, Received, Transmit},
        mqtt::{
            packet::{Publish, QoS},
            session::{AckToken, Event, Message, Refusal},
            topic,
        },
    },
};

/// What the run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The first SUBSCRIBE or UNSUBSCRIBE is not answered yet.
    Asking,
    Running,
    /// The end is near: what is printed is still to be written and acknowledged.
    Finishing,
}

/// The machine.
pub struct Subscribe {
    driver: Driver,
    options: config::Subscribe,
    printer: Printer,
    out: OutBuffer,
    /// Bytes that were put into `out`, and that have left it, in all.
    put: u64,
    written: u64,
    /// What is to be acknowledged once so many bytes are written, in the order of arrival.
    waiting: VecDeque<(u64, AckToken)>,
    /// The N-th message of `-C N`: DISCONNECT waits until it is through.
    last: Option<AckToken>,
    step: Step,
    /// Answers to the first requests that are still to come.
    unanswered: usize,
    asked: bool,
    granted: bool,
    ready: Option<Ready>,
    received: u64,
    /// The end of `-W`, and of `--snapshot`'s quiet.
    limit: Option<Instant>,
    quiet_at: Option<Instant>,
    finish_by: Option<Instant>,
    /// A reconnect found no session: what was published in between is missing.
    gap: bool,
    output_gone: bool,
    epoch: (Instant, u64),
}

impl Subscribe {
    /// Before the first connection.
    pub fn new(endpoint: &Endpoint, options: &config::Subscribe, world: World) -> Subscribe {
        let keep = if options.mqtt.keep_session { Keep::Session } else { Keep::Process };
        let mut mqtt = options.mqtt.clone();
        // QoS 1 and 2 stop at this many while stdout stalls, and the socket stays readable for PINGRESP.
        mqtt.receive_maximum.get_or_insert(RECEIVE_MAXIMUM);
        // A record that a kill tore must not run into the first of ours.
        let mut out = OutBuffer::default();
        if let Some(end) = options.output.end.filter(|end| world.last_byte.is_some_and(|last| last != *end)) {
            out.push(&[end]);
        }
        let put = out.pending().len() as u64;
        Subscribe {
            driver: Driver::new(endpoint, &mqtt, options.reconnect, keep, None, world.seed),
            printer: Printer::new(options, world),
            out,
            put,
            written: 0,
            waiting: VecDeque::new(),
            last: None,
            step: Step::Asking,
            unanswered: 0,
            asked: false,
            granted: false,
            ready: None,
            received: 0,
            limit: options.timeout.and_then(|limit| world.started.0.checked_add(limit)),
            quiet_at: None,
            finish_by: None,
            gap: false,
            output_gone: false,
            epoch: world.started,
            options: options.clone(),
        }
    }

    fn drain(&mut self, now: Instant) {
        while let Some(event) = self.driver.client.session.poll_event(now) {
            match general(event) {
                Ok(general) => {
                    let doing = self.doing();
                    self.driver.handle_general(general, doing, now);
                }
                Err(Event::Connected { session_present, doubled, reconnected }) => {
                    self.driver.handle_accepted(session_present, doubled, now);
                    if reconnected && !session_present {
                        self.gap = true;
                        warn!("{}: {GAP}", self.driver.client.url());
                    }
                    self.ask(now);
                }
                Err(Event::Message { publish, token }) => {
                    let micros = micros_since(self.epoch, now);
                    let shown = match self.step {
                        Step::Finishing => Shown::Beyond,
                        _ => show(&self.options, &mut self.printer, &mut self.out, &publish, micros),
                    };
                    let remove = self.options.remove_retained && publish.retain && shown != Shown::Beyond;
                    let topic = remove.then(|| publish.topic.to_owned());
                    self.handle_shown(shown, token, now);
                    if let Some(topic) = topic {
                        self.remove_retained(&topic, now);
                    }
                }
                Err(Event::Subscribed { filters, reasons, text }) => {
                    if let Some(text) = text {
                        debug!("SUBACK: {}", excerpt(text.as_bytes()));
                    }
                    let asked: Vec<(String, u8)> =
                        filters.into_iter().map(|filter| (filter.filter, filter.qos as u8)).collect();
                    self.handle_answer(&asked, &reasons, now);
                }
                Err(Event::Unsubscribed { filters, reasons, .. }) => {
                    self.handle_unsubscribed(&filters, &reasons, now);
                }
                Err(_) => {}
            }
        }
        self.finish_when_done(now);
    }

    fn doing(&self) -> &'static str {
        match self.step {
            _ if !self.driver.is_up() => "waiting for CONNACK",
            Step::Asking => "waiting for SUBACK",
            Step::Running => "subscribed",
            Step::Finishing => "finishing",
        }
    }

    /// After the first CONNACK. Later ones find the subscriptions with the server, or the session asks again.
    fn ask(&mut self, now: Instant) {
        if std::mem::replace(&mut self.asked, true) {
            return;
        }
        let session = &mut self.driver.client.session;
        let options = &self.options;
        let mut result = Ok(());
        if !options.unsubscribe.is_empty() {
            self.unanswered += 1;
            result = session.unsubscribe(&options.unsubscribe, &options.unsubscribe_user_properties, now);
        }
        if result.is_ok() && !options.filters.is_empty() {
            self.unanswered += 1;
            let properties = &options.subscribe_user_properties;
            result = session.subscribe(&options.filters, options.subscription_id, properties, now);
        }
        if let Err(refusal) = result {
            self.refuse(&refusal, "subscribe", now);
        }
    }

    fn refuse(&mut self, refusal: &Refusal, doing: &str, now: Instant) {
        let text = format!("{}: cannot {doing}: {refusal}", self.driver.client.url());
        self.driver.fail(Failure::new(Kind::Denied, text), now);
    }

    /// SUBACK: all denied is the end; some denied is a warning, and status 9 with `--strict`.
    fn handle_answer(&mut self, asked: &[(String, u8)], reasons: &[u8], now: Instant) {
        let strict = self.options.strict || self.options.mqtt.keep_session;
        let mut denied = Vec::new();
        for ((filter, qos), code) in asked.iter().zip(reasons) {
            match self.driver.client.check_granted(filter, *qos, *code, strict) {
                Ok(()) => self.granted = true,
                Err(failure) => denied.push(failure),
            }
        }
        let fatal = !denied.is_empty() && (strict || !self.granted);
        let failure = fatal.then(|| denied.remove(0));
        denied.iter().for_each(|failure| warn!("{}", failure.text));
        if let Some(failure) = failure {
            return self.driver.fail(failure, now);
        }
        self.answered(now);
    }

    fn handle_unsubscribed(&mut self, filters: &[String], reasons: &[u8], now: Instant) {
        for (filter, code) in filters.iter().zip(reasons) {
            if *code >= 0x80 {
                let failure = self.driver.client.unsubscribe_denied(filter, *code);
                self.driver.fail(failure, now);
                return;
            }
            if *code == 0x11 {
                warn!(
                    "{}: there was no subscription to {}",
                    self.driver.client.url(),
                    excerpt(filter.as_bytes())
                );
            }
        }
        self.answered(now);
    }

    fn answered(&mut self, now: Instant) {
        self.unanswered = self.unanswered.saturating_sub(1);
        if self.unanswered > 0 || self.step != Step::Asking {
            return;
        }
        self.step = Step::Running;
        self.ready = self.options.ready.clone();
        self.quiet_at = self.options.snapshot.and_then(|quiet| now.checked_add(quiet));
        if self.options.exit_after_suback || self.options.filters.is_empty() {
            self.begin_finish(now);
        }
    }

    /// Books a message: what is put out is acknowledged when it is written, in the order of arrival.
    fn handle_shown(&mut self, shown: Shown, token: Option<AckToken>, now: Instant) {
        match shown {
            // Neither output nor acknowledged: the server keeps it.
            Shown::Beyond => return,
            Shown::Refused(text) => {
                let text = format!("{}: {text}", self.driver.client.url());
                self.driver.fail(Failure::new(Kind::Refused, text), now);
                return;
            }
            Shown::End => return self.begin_finish(now),
            Shown::Filtered => {}
            Shown::Printed(bytes) => {
                self.put += bytes;
                self.received += 1;
                if self.options.snapshot.is_some() {
                    self.quiet_at = self.options.snapshot.and_then(|quiet| now.checked_add(quiet));
                }
            }
        }
        if let Some(token) = token {
            self.waiting.push_back((self.put, token));
        }
        self.acknowledge(now);
        if self.options.count.is_some_and(|count| self.received >= count) && self.step != Step::Finishing {
            self.last = token;
            self.begin_finish(now);
        }
    }

    fn remove_retained(&mut self, topic: &str, now: Instant) {
        let message = Message {
            topic: topic.into(),
            payload: bytes::Bytes::new(),
            qos: QoS::AtLeastOnce,
            retain: true,
            properties: None,
        };
        if let Err(refusal) = self.driver.client.session.publish(message, now) {
            self.refuse(&refusal, "remove a retained message", now);
        }
    }

    /// Acknowledges what is written.
    fn acknowledge(&mut self, now: Instant) {
        while self.waiting.front().is_some_and(|(end, _)| *end <= self.written) {
            if let Some((_, token)) = self.waiting.pop_front() {
                self.driver.client.session.acknowledge(token, now);
            }
        }
    }

    fn begin_finish(&mut self, now: Instant) {
        if self.step != Step::Finishing {
            self.step = Step::Finishing;
            self.finish_when_done(now);
        }
    }

    /// DISCONNECT, once all that was printed is written and acknowledged, the N-th message to its PUBCOMP.
    fn finish_when_done(&mut self, now: Instant) {
        if self.step != Step::Finishing || self.driver.is_over() {
            return;
        }
        let written = self.waiting.is_empty() && self.out.pending().is_empty();
        let session = &self.driver.client.session;
        let through = self.last.is_none_or(|token| session.is_complete(token)) && session.in_flight() == 0;
        if written && self.finish_by.is_none() {
            self.finish_by = now.checked_add(self.options.mqtt.ack_timeout);
        }
        if written && (through || !self.driver.is_up()) {
            self.driver.finish(now);
        }
    }

    fn unmet(&self) -> Option<Failure> {
        let count = self.options.count.filter(|count| self.received < *count)?;
        let text = format!("{}: {} of {count} messages received", self.driver.client.url(), self.received);
        Some(Failure::new(Kind::TestFailed, text))
    }
}

/// PUBLISHes of QoS 1 and 2 that the server may send ahead of our acknowledgements.
const RECEIVE_MAXIMUM: u16 = 1000;

const GAP: &str = "the session was lost with the connection: what was published in between is missing";

/// What became of a message.
#[derive(Debug, PartialEq, Eq)]
enum Shown {
    /// So many bytes are in the buffer.
    Printed(u64),
    /// It is not wanted on stdout, and is acknowledged like the others.
    Filtered,
    /// It comes after the end.
    Beyond,
    /// It ends the run, and is not printed (`--retained-only`).
    End,
    /// `--strict`.
    Refused(String),
}

fn show(
    options: &config::Subscribe,
    printer: &mut Printer,
    out: &mut OutBuffer,
    publish: &Publish<'_>,
    micros: u64,
) -> Shown {
    if options.retained_only && !publish.retain {
        return Shown::End;
    }
    let unwanted = (options.no_retained && publish.retain) || (options.snapshot.is_some() && !publish.retain);
    if unwanted || options.filter_out.iter().any(|filter| topic::matches(filter, publish.topic)) {
        return Shown::Filtered;
    }
    let before = out.pending().len();
    match printer.print(out.tail(), publish, micros) {
        Ok(()) => Shown::Printed((out.pending().len() - before) as u64),
        Err(text) => Shown::Refused(text),
    }
}

impl Machine for Subscribe {
    fn handle_connected(&mut self, _established: &Established, by: Instant, now: Instant) {
        self.driver.handle_connected(by, now);
    }

    fn handle_received(&mut self, received: Received<'_>, now: Instant) {
        match received {
            Received::Message(_, bytes) => {
                self.driver.client.session.handle_bytes(bytes, now);
                self.drain(now);
            }
            Received::Close(close) => self.driver.client.handle_close(close),
            Received::Ping(_) | Received::Pong(_) => {}
        }
    }

    fn handle_sent(&mut self, now: Instant) {
        self.driver.handle_sent(now);
    }

    fn handle_lost(&mut self, lost: Lost, _handed: Handed, now: Instant) {
        self.drain(now);
        let doing = self.doing();
        self.driver.handle_lost(&lost, doing, now);
        if self.step == Step::Finishing && !self.driver.is_ended() {
            // What there was to get is here; a new connection would only be closed.
            self.finish_when_done(now);
        }
    }

    fn handle_unreachable(&mut self, permanent: bool, text: &str, _now: Instant) {
        self.driver.handle_unreachable(permanent, text);
    }

    fn handle_written(&mut self, n: usize, now: Instant) {
        self.out.written(n);
        self.written += n as u64;
        self.acknowledge(now);
        self.finish_when_done(now);
    }

    fn handle_output_closed(&mut self, now: Instant) {
        // What the reader did not take is not acknowledged.
        self.output_gone = true;
        self.waiting.clear();
        self.out.discard();
        self.step = Step::Finishing;
        self.driver.finish(now);
    }

    fn handle_reading(&mut self, reading: bool, now: Instant) {
        self.driver.handle_reading(reading, now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.driver.client.session.handle_timeout(now);
        self.drain(now);
        if self.driver.is_over() {
            return;
        }
        if self.limit.is_some_and(|at| at <= now) && self.step != Step::Finishing {
            let seconds = self.options.timeout.map_or(0.0, |limit| limit.as_secs_f64());
            let text = format!("{}: the time is over after {seconds} s", self.driver.client.url());
            self.driver.failure().get_or_insert(Failure::new(Kind::TimedOut, text));
            self.step = Step::Finishing;
            self.driver.finish(now);
        } else if self.quiet_at.is_some_and(|at| at <= now) {
            self.quiet_at = None;
            self.begin_finish(now);
        } else if self.finish_by.is_some_and(|at| at <= now) {
            self.driver.finish(now);
        }
    }

    fn handle_stop(&mut self, now: Instant) {
        self.driver.handle_stop();
        self.step = Step::Finishing;
        self.driver.finish(now);
    }

    fn poll_transmit(&mut self, _now: Instant) -> Option<Transmit> {
        self.driver.poll_transmit()
    }

    fn poll_ready(&mut self) -> Option<Ready> {
        self.ready.take()
    }

    fn output(&self) -> &[u8] {
        self.out.pending()
    }

    fn is_congested(&self) -> bool {
        // Many small or filtered-out messages that wait for what is before them.
        self.waiting.len() > 4 * usize::from(RECEIVE_MAXIMUM) + 65_536
    }

    fn poll_deadline(&self) -> Option<Instant> {
        let limit = self.limit.filter(|_| self.step != Step::Finishing);
        let own = [limit, self.quiet_at, self.finish_by].into_iter().flatten().min();
        let own = own.filter(|_| !self.driver.is_over());
        [own, self.driver.poll_deadline()].into_iter().flatten().min()
    }

    fn is_closing(&self) -> bool {
        self.driver.is_closing()
    }

    fn poll_next(&self) -> Next {
        self.driver.poll_next()
    }

    fn take_outcome(&mut self) -> Result<(), Failure> {
        if self.output_gone {
            return Ok(());
        }
        if let Some(failure) = self.driver.failure().take() {
            return Err(failure);
        }
        if self.driver.is_stopped() {
            return Ok(());
        }
        if let Some(unmet) = self.unmet() {
            return Err(unmet);
        }
        if self.gap {
            let text = format!("{}: {GAP}", self.driver.client.url());
            return Err(Failure::new(Kind::Lost, text));
        }
        Ok(())
    }
}
