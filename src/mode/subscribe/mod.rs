//! `wspipe sub`: what a broker sends, on stdout; acknowledged once it is written there.

pub(super) mod printer;

use std::{collections::VecDeque, time::Instant};

use log::warn;

use self::printer::Printer;
use super::{
    Failure, Kind, Machine, OutBuffer, World, micros_since,
    mqtt::{Command, Driver, Keep, Run},
};
use crate::{
    config::{self, Endpoint, Ready},
    proto::{
        format::excerpt,
        mqtt::{
            packet::{Filter, Publish, QoS},
            session::{AckToken, Message, Refusal},
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

/// What `sub` adds to the driver.
struct Subscribe {
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
    /// UNSUBACK is in, or nothing was unsubscribed from.
    unsubscribed: bool,
    asked: bool,
    granted: bool,
    ready: Option<Ready>,
    received: u64,
    /// The end of `--snapshot`'s quiet.
    quiet_at: Option<Instant>,
    finish_by: Option<Instant>,
    /// A reconnect found no session: what was published in between is missing.
    gap: bool,
    epoch: (Instant, u64),
}

/// The machine, before the first connection.
pub fn machine(endpoint: &Endpoint, options: &config::Subscribe, world: World) -> Box<dyn Machine> {
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
    let driver = Driver::new(endpoint, &mqtt, options.reconnect, keep, None, world.seed);
    let command = Subscribe {
        printer: Printer::new(options, world),
        out,
        put,
        written: 0,
        waiting: VecDeque::new(),
        last: None,
        step: Step::Asking,
        unanswered: 0,
        unsubscribed: options.unsubscribe.is_empty(),
        asked: false,
        granted: false,
        ready: None,
        received: 0,
        quiet_at: None,
        finish_by: None,
        gap: false,
        epoch: world.started,
        options: options.clone(),
    };
    Box::new(Run::new(driver.limit(world.started.0, options.timeout), command))
}

impl Subscribe {
    /// After the first CONNACK. Later ones find the subscriptions with the server, or the session asks again.
    fn ask(&mut self, driver: &mut Driver, now: Instant) {
        if std::mem::replace(&mut self.asked, true) {
            return;
        }
        let session = &mut driver.client.session;
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
            refuse(&refusal, driver, "subscribe", now);
        }
    }

    fn answered(&mut self, driver: &mut Driver, now: Instant) {
        self.unanswered = self.unanswered.saturating_sub(1);
        if self.unanswered > 0 || self.step != Step::Asking || driver.is_over() {
            return;
        }
        self.step = Step::Running;
        self.ready = self.options.ready.clone();
        self.quiet_at = self.options.snapshot.and_then(|quiet| now.checked_add(quiet));
        if self.options.exit_after_suback || self.options.filters.is_empty() {
            self.begin_finish(driver, now);
        }
    }

    /// Books a message: what is put out is acknowledged when it is written, in the order of arrival.
    fn book(&mut self, shown: Shown, token: Option<AckToken>, driver: &mut Driver, now: Instant) {
        match shown {
            // Neither output nor acknowledged: the server keeps it.
            Shown::Beyond => return,
            Shown::Refused(text) => {
                let text = format!("{}: {text}", driver.client.url());
                driver.fail(Failure::new(Kind::Refused, text), now);
                return;
            }
            Shown::End => return self.begin_finish(driver, now),
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
        self.acknowledge(driver, now);
        if self.options.count.is_some_and(|count| self.received >= count) && self.step != Step::Finishing {
            self.last = token;
            self.begin_finish(driver, now);
        }
    }

    /// Acknowledges what is written.
    fn acknowledge(&mut self, driver: &mut Driver, now: Instant) {
        while self.waiting.front().is_some_and(|(end, _)| *end <= self.written) {
            if let Some((_, token)) = self.waiting.pop_front() {
                driver.client.session.acknowledge(token, now);
            }
        }
    }

    fn begin_finish(&mut self, driver: &mut Driver, now: Instant) {
        if self.step != Step::Finishing {
            self.step = Step::Finishing;
            driver.handle_met();
            self.finish_when_done(driver, now);
        }
    }

    /// DISCONNECT, once all that was printed is written and acknowledged, the N-th message to its PUBCOMP.
    fn finish_when_done(&mut self, driver: &mut Driver, now: Instant) {
        if self.step != Step::Finishing || driver.is_over() {
            return;
        }
        let written = self.waiting.is_empty() && self.out.pending().is_empty();
        let session = &driver.client.session;
        let through = self.last.is_none_or(|token| session.is_complete(token)) && session.in_flight() == 0;
        if written && self.finish_by.is_none() {
            self.finish_by = now.checked_add(self.options.mqtt.ack_timeout);
        }
        // Without a connection too: the next one brings what is missing, as long as `finish_by` allows.
        if written && through {
            driver.finish(now);
        }
    }

    fn unmet(&self, driver: &Driver) -> Option<Failure> {
        let count = self.options.count.filter(|count| self.received < *count)?;
        let text = format!("{}: {} of {count} messages received", driver.client.url(), self.received);
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

/// The session itself refuses.
fn refuse(refusal: &Refusal, driver: &mut Driver, doing: &str, now: Instant) {
    let text = format!("{}: cannot {doing}: {refusal}", driver.client.url());
    driver.fail(Failure::new(Kind::Denied, text), now);
}

fn remove_retained(topic: &str, driver: &mut Driver, now: Instant) {
    let message = Message {
        topic: topic.into(),
        payload: bytes::Bytes::new(),
        qos: QoS::AtLeastOnce,
        retain: true,
        properties: None,
    };
    if let Err(refusal) = driver.client.session.publish(message, now) {
        refuse(&refusal, driver, "remove a retained message", now);
    }
}

impl Command for Subscribe {
    type Taken = (Shown, Option<String>);

    fn doing(&self) -> &'static str {
        match self.step {
            // It was asked for first.
            Step::Asking if !self.unsubscribed => "waiting for UNSUBACK",
            Step::Asking => "waiting for SUBACK",
            Step::Running => "subscribed",
            Step::Finishing => "finishing",
        }
    }

    fn advance(&mut self, driver: &mut Driver, now: Instant) {
        self.finish_when_done(driver, now);
    }

    fn handle_accepted(&mut self, gap: bool, driver: &mut Driver, now: Instant) {
        // At the end nothing more is wanted.
        if gap && self.step != Step::Finishing {
            self.gap = true;
            warn!("{}: {GAP}", driver.client.url());
        }
        self.ask(driver, now);
    }

    /// Prints it; the topic is kept where it is to be removed.
    fn take_message(&mut self, publish: &Publish<'_>, now: Instant) -> Self::Taken {
        let micros = micros_since(self.epoch, now);
        let shown = match self.step {
            Step::Finishing => Shown::Beyond,
            _ => show(&self.options, &mut self.printer, &mut self.out, publish, micros),
        };
        let remove = self.options.remove_retained && publish.retain && shown != Shown::Beyond;
        (shown, remove.then(|| publish.topic.to_owned()))
    }

    fn handle_taken(
        &mut self,
        (shown, remove): Self::Taken,
        token: Option<AckToken>,
        driver: &mut Driver,
        now: Instant,
    ) {
        self.book(shown, token, driver, now);
        if let Some(topic) = remove {
            remove_retained(&topic, driver, now);
        }
    }

    /// All denied is the end; some denied is a warning, and status 9 with `--strict`.
    fn handle_subscribed(&mut self, filters: &[Filter], reasons: &[u8], driver: &mut Driver, now: Instant) {
        let strict = self.options.strict || self.options.mqtt.keep_session;
        let mut denied = Vec::new();
        for (asked, code) in filters.iter().zip(reasons) {
            match driver.client.check_granted(&asked.filter, asked.qos as u8, *code, strict) {
                Ok(()) => self.granted = true,
                Err(failure) => denied.push(failure),
            }
        }
        let fatal = !denied.is_empty() && (strict || !self.granted);
        let failure = fatal.then(|| denied.remove(0));
        denied.iter().for_each(|failure| warn!("{}", failure.text));
        if let Some(failure) = failure {
            return driver.fail(failure, now);
        }
        self.answered(driver, now);
    }

    fn handle_unsubscribed(&mut self, filters: &[String], reasons: &[u8], driver: &mut Driver, now: Instant) {
        self.unsubscribed = true;
        for (filter, code) in filters.iter().zip(reasons) {
            if *code >= 0x80 {
                let failure = driver.client.unsubscribe_denied(filter, *code);
                driver.fail(failure, now);
                return;
            }
            if *code == 0x11 {
                warn!("{}: there was no subscription to {}", driver.client.url(), excerpt(filter.as_bytes()));
            }
        }
        self.answered(driver, now);
    }

    fn handle_written(&mut self, n: usize, driver: &mut Driver, now: Instant) {
        self.out.written(n);
        self.written += n as u64;
        self.acknowledge(driver, now);
    }

    fn handle_output_closed(&mut self) -> bool {
        // What the reader did not take is not acknowledged.
        self.waiting.clear();
        self.out.discard();
        true
    }

    fn handle_timeout(&mut self, driver: &mut Driver, now: Instant) {
        if self.quiet_at.is_some_and(|at| at <= now) {
            self.quiet_at = None;
            self.begin_finish(driver, now);
        } else if self.finish_by.is_some_and(|at| at <= now) {
            if self.last.is_some_and(|token| !driver.client.session.is_complete(token)) {
                let url = driver.client.url();
                warn!(
                    "{url}: no PUBREL in time: the last message is written, but the server may send it again"
                );
            }
            driver.finish(now);
        }
    }

    fn deadline(&self, _driver: &Driver) -> Option<Instant> {
        [self.quiet_at, self.finish_by].into_iter().flatten().min()
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

    fn take_outcome(&mut self, driver: &mut Driver) -> Result<(), Failure> {
        if let Some(failure) = driver.failure().take() {
            return Err(failure);
        }
        if driver.is_stopped() {
            return Ok(());
        }
        if let Some(unmet) = self.unmet(driver) {
            return Err(unmet);
        }
        if self.gap {
            let text = format!("{}: {GAP}", driver.client.url());
            return Err(Failure::new(Kind::Lost, text));
        }
        Ok(())
    }
}
