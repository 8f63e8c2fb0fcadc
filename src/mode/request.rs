//! `wspipe rr`: requests and their responses (MQTT 5.0 section 4.10), matched by correlation data.

use std::{collections::VecDeque, rc::Rc, time::Instant};

use bytes::Bytes;
use log::{debug, warn};

use super::{
    Failure, Kind, Machine, OutBuffer, Reading, World, micros_since,
    mqtt::{Command, Driver, Gap, Keep, Run},
    publish::feed::Feed,
    subscribe::printer::Printer,
};
use crate::{
    config::{self, Endpoint},
    proto::{
        format::excerpt,
        latency::Millis,
        mqtt::{
            packet::{Filter, Publish, no_properties},
            session::{Message, PublishId},
        },
    },
};

/// Requests under way at a time where `-M` says nothing.
const WINDOW: usize = 100;

/// A request without its place in the output yet.
struct Pending {
    number: u64,
    id: PublishId,
    correlation: Bytes,
    sent: Instant,
    /// The response, as it will be printed.
    record: Option<Vec<u8>>,
}

/// What `rr` adds to the driver.
struct Request {
    options: config::Request,
    feed: Feed,
    printer: Printer,
    out: OutBuffer,
    response_topic: String,
    nonce: u64,
    /// In the order of the requests, which is that of the output.
    pending: VecDeque<Pending>,
    number: u64,
    reading: Reading,
    asked: bool,
    /// SUBACK is in.
    subscribed: bool,
    epoch: (Instant, u64),
}

/// The machine, before the first connection.
pub fn machine(endpoint: &Endpoint, options: &config::Request, world: World) -> Box<dyn Machine> {
    let response_topic =
        options.response_topic.clone().unwrap_or_else(|| format!("wspipe/response/{:016x}", world.seed));
    let feed = Feed::new(&config::Publish {
        mqtt: options.mqtt.clone(),
        reconnect: options.reconnect,
        topics: vec![options.topic.clone()],
        source: options.source.clone(),
        qos: options.qos,
        retain: options.retain,
        repeat: 1,
        repeat_delay: std::time::Duration::ZERO,
        properties: options.properties.clone(),
        inflight: options.inflight,
        timeout: None,
        progress: false,
    });
    let (mqtt, keep) = (&options.mqtt, Keep::Process);
    let driver = Driver::new(endpoint, mqtt, options.reconnect, keep, options.inflight, world.seed);
    let command = Request {
        feed,
        printer: Printer::of(&options.output, false, world),
        out: OutBuffer::default(),
        response_topic,
        nonce: world.seed,
        pending: VecDeque::new(),
        number: 0,
        reading: Reading::default(),
        asked: false,
        subscribed: false,
        epoch: world.started,
        options: options.clone(),
    };
    Box::new(Run::new(driver, command))
}

impl Request {
    fn ask(&mut self, driver: &mut Driver, now: Instant) {
        if std::mem::replace(&mut self.asked, true) {
            return;
        }
        let filter =
            Filter { filter: self.response_topic.clone(), qos: self.options.qos, ..Filter::default() };
        let (id, properties) = (self.options.subscription_id, &self.options.subscribe_user_properties);
        if let Err(refusal) = driver.client.session.subscribe(&[filter], id, properties, now) {
            let text = format!("{}: cannot subscribe: {refusal}", driver.client.url());
            driver.fail(Failure::new(Kind::Denied, text), now);
        }
    }

    /// Sends requests while there is room.
    fn send_requests(&mut self, driver: &mut Driver, now: Instant) {
        let window = self.options.inflight.map_or(WINDOW, usize::from);
        while self.pending.len() < window && driver.client.session.can_publish(self.options.qos) {
            match self.feed.poll_message() {
                Ok(Some(message)) => self.send(message, driver, now),
                Ok(None) => break,
                Err(why) => return self.handle_input_failed(format!("stdin: {why}"), driver, now),
            }
            if driver.is_over() {
                return;
            }
        }
    }

    fn send(&mut self, message: Message, driver: &mut Driver, now: Instant) {
        let mut properties = message.properties.as_deref().cloned().unwrap_or_else(no_properties);
        let given = properties.correlation_data.take();
        let correlation =
            given.unwrap_or_else(|| Bytes::from(format!("wspipe-{:016x}-{}", self.nonce, self.number)));
        properties.correlation_data = Some(correlation.clone());
        properties.response_topic = Some(self.response_topic.clone());
        let message = Message { properties: Some(Rc::new(properties)), ..message };
        match driver.client.session.publish(message, now) {
            Ok(id) => {
                self.number += 1;
                let number = self.number;
                self.pending.push_back(Pending { number, id, correlation, sent: now, record: None });
            }
            Err(refusal) => {
                let text = format!("{}: cannot publish: {refusal}", driver.client.url());
                driver.fail(Failure::new(Kind::Denied, text), now);
            }
        }
    }

    /// When the oldest request without a response has waited for too long.
    fn limit(&self) -> Option<Instant> {
        let oldest = self.pending.iter().find(|pending| pending.record.is_none())?;
        self.reading.answer_by(oldest.sent, self.options.timeout)
    }

    fn unanswered(&self) -> usize {
        self.pending.iter().filter(|pending| pending.record.is_none()).count()
    }
}

/// Takes the response to one of the requests. Whatever else comes is nothing of ours.
fn answer(
    pending: &mut VecDeque<Pending>,
    printer: &mut Printer,
    publish: &Publish<'_>,
    micros: u64,
    now: Instant,
) {
    let data = publish.properties.as_ref().and_then(|properties| properties.correlation_data.as_ref());
    let open = pending.iter_mut().find(|p| p.record.is_none() && Some(&p.correlation) == data);
    let Some(open) = open else {
        return debug!("a message that answers no request on {}", excerpt(publish.topic.as_bytes()));
    };
    debug!("response {} in {} ms", open.number, Millis(now.saturating_duration_since(open.sent)));
    let mut record = Vec::new();
    // Without --strict nothing is refused.
    if printer.print(&mut record, publish, micros).is_ok() {
        open.record = Some(record);
    }
}

impl Command for Request {
    type Taken = ();

    fn doing(&self) -> &'static str {
        if self.subscribed { "waiting for a response" } else { "waiting for SUBACK" }
    }

    /// Prints responses in order, sends requests while there is room, and ends when all are there.
    fn advance(&mut self, driver: &mut Driver, now: Instant) {
        while self.pending.front().is_some_and(|pending| pending.record.is_some()) {
            if let Some(record) = self.pending.pop_front().and_then(|pending| pending.record) {
                self.out.push(&record);
            }
        }
        if driver.is_over() {
            // No more will come: the others are printed all the same.
            self.pending.retain_mut(|pending| match pending.record.take() {
                Some(record) => {
                    self.out.push(&record);
                    false
                }
                None => true,
            });
        }
        if !driver.is_up() || !self.subscribed || driver.is_stopped() {
            return;
        }
        self.send_requests(driver, now);
        let printed = self.pending.is_empty() && self.out.pending().is_empty();
        if printed && self.feed.is_done() && driver.client.session.in_flight() == 0 {
            driver.finish(now);
        }
    }

    fn handle_accepted(&mut self, _gap: Gap, driver: &mut Driver, now: Instant) {
        self.ask(driver, now);
    }

    fn take_message(&mut self, publish: &Publish<'_>, now: Instant) {
        let micros = micros_since(self.epoch, now);
        answer(&mut self.pending, &mut self.printer, publish, micros, now);
    }

    fn handle_subscribed(&mut self, _: &[Filter], reasons: &[u8], driver: &mut Driver, now: Instant) {
        let code = reasons.first().copied().unwrap_or(0x80);
        let asked = self.options.qos as u8;
        match driver.client.check_granted(&self.response_topic, asked, code, false) {
            Ok(()) => self.subscribed = true,
            Err(failure) => driver.fail(failure, now),
        }
    }

    fn handle_acknowledged(
        &mut self,
        id: PublishId,
        code: u8,
        text: Option<&str>,
        driver: &mut Driver,
        now: Instant,
    ) {
        let Some(pending) = self.pending.iter().find(|pending| pending.id == id) else { return };
        let number = pending.number;
        if code >= 0x80 {
            let mut failure = driver.client.denied(&self.options.topic, code, text);
            failure.text.push_str(&format!(" (request {number})"));
            driver.fail(failure, now);
        } else if code == 0x10 {
            warn!("{}: nobody is subscribed to the topic of request {number}", driver.client.url());
        }
    }

    fn handle_input(&mut self, data: Bytes) {
        self.feed.push(data);
    }

    fn handle_input_end(&mut self) {
        self.feed.finish();
    }

    fn handle_written(&mut self, n: usize, _driver: &mut Driver, _now: Instant) {
        self.out.written(n);
    }

    fn handle_output_closed(&mut self) -> bool {
        self.out.discard();
        true
    }

    fn handle_reading(&mut self, reading: bool, now: Instant) {
        self.reading.handle(reading, now);
    }

    fn handle_timeout(&mut self, driver: &mut Driver, now: Instant) {
        if self.limit().is_some_and(|at| at <= now) {
            let oldest = self.pending.iter().find(|pending| pending.record.is_none());
            let number = oldest.map_or(0, |pending| pending.number);
            let seconds = self.options.timeout.as_secs_f64();
            let text = format!("{}: no response to request {number} within {seconds} s", driver.client.url());
            driver.fail(Failure::new(Kind::TimedOut, text), now);
        }
    }

    fn deadline(&self, _driver: &Driver) -> Option<Instant> {
        self.limit()
    }

    fn output(&self) -> &[u8] {
        self.out.pending()
    }

    fn wants_input(&self, _driver: &Driver) -> bool {
        let window = self.options.inflight.map_or(WINDOW, usize::from);
        self.subscribed && self.feed.wants_input() && self.pending.len() < window
    }

    fn has_input(&self) -> bool {
        self.feed.reads_stdin() && !self.feed.is_done()
    }

    fn take_outcome(&mut self, driver: &mut Driver) -> Result<(), Failure> {
        let left = self.unanswered() as u64 + self.feed.count_rest();
        let note = match left {
            1 => "1 request is without a response".to_owned(),
            _ => format!("{left} requests are without a response"),
        };
        match driver.failure().take() {
            Some(mut failure) => {
                if left > 0 && failure.kind != Kind::Unreachable {
                    failure.text.push_str(&format!("; {note}"));
                }
                Err(failure)
            }
            None if left > 0 => {
                Err(Failure::new(Kind::TestFailed, format!("{}: {note}", driver.client.url())))
            }
            None => Ok(()),
        }
    }
}
