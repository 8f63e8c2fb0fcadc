//! `wspipe rr`: requests and their responses (MQTT 5.0 section 4.10), matched by correlation data.

use std::{collections::VecDeque, rc::Rc, time::Instant};

use bytes::Bytes;
use log::{debug, warn};

use super::{
    Failure, Handed, Kind, Machine, Next, OutBuffer, World, micros_since,
    mqtt::{Driver, Keep, general},
    publish::feed::Feed,
    subscribe::printer::Printer,
};
use crate::{
    config::{self, Endpoint},
    proto::{
        format::excerpt,
        latency::Millis,
        link::{Established, Lost, Received, Transmit},
        mqtt::{
            packet::{Filter, Publish, no_properties},
            session::{Event, Message, PublishId},
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

/// The machine.
pub struct Request {
    driver: Driver,
    options: config::Request,
    feed: Feed,
    printer: Printer,
    out: OutBuffer,
    response_topic: String,
    nonce: u64,
    /// In the order of the requests, which is that of the output.
    pending: VecDeque<Pending>,
    number: u64,
    asked: bool,
    /// SUBACK is in.
    subscribed: bool,
    output_gone: bool,
    stopped: bool,
    epoch: (Instant, u64),
}

impl Request {
    /// Before the first connection.
    pub fn new(endpoint: &Endpoint, options: &config::Request, world: World) -> Request {
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
        let driver = Driver::new(
            endpoint,
            &options.mqtt,
            options.reconnect,
            Keep::Process,
            options.inflight,
            world.seed,
        );
        Request {
            driver,
            feed,
            printer: Printer::of(&options.output, false, world),
            out: OutBuffer::default(),
            response_topic,
            nonce: world.seed,
            pending: VecDeque::new(),
            number: 0,
            asked: false,
            subscribed: false,
            output_gone: false,
            stopped: false,
            epoch: world.started,
            options: options.clone(),
        }
    }

    fn doing(&self) -> &'static str {
        match (self.driver.is_up(), self.subscribed) {
            (false, _) => "waiting for CONNACK",
            (true, false) => "waiting for SUBACK",
            (true, true) => "waiting for a response",
        }
    }

    fn drain(&mut self, now: Instant) {
        while let Some(event) = self.driver.client.session.poll_event(now) {
            match general(event) {
                Ok(general) => {
                    let doing = self.doing();
                    self.driver.handle_general(general, doing, now);
                }
                Err(Event::Connected { session_present, doubled, .. }) => {
                    self.driver.handle_accepted(session_present, doubled, now);
                    self.ask(now);
                }
                Err(Event::Subscribed { reasons, .. }) => self.handle_subscribed(&reasons, now),
                Err(Event::Message { publish, token }) => {
                    let micros = micros_since(self.epoch, now);
                    answer(&mut self.pending, &mut self.printer, &publish, micros, now);
                    if let Some(token) = token {
                        self.driver.client.session.acknowledge(token, now);
                    }
                }
                Err(Event::Acknowledged { id, reason, text }) => {
                    self.handle_acknowledged(id, reason, text.as_deref(), now);
                }
                Err(_) => {}
            }
        }
        self.advance(now);
    }

    fn ask(&mut self, now: Instant) {
        if std::mem::replace(&mut self.asked, true) {
            return;
        }
        let filter =
            Filter { filter: self.response_topic.clone(), qos: self.options.qos, ..Filter::default() };
        let (id, properties) = (self.options.subscription_id, &self.options.subscribe_user_properties);
        if let Err(refusal) = self.driver.client.session.subscribe(&[filter], id, properties, now) {
            let text = format!("{}: cannot subscribe: {refusal}", self.driver.client.url());
            self.driver.fail(Failure::new(Kind::Denied, text), now);
        }
    }

    fn handle_subscribed(&mut self, reasons: &[u8], now: Instant) {
        let code = reasons.first().copied().unwrap_or(0x80);
        let asked = self.options.qos as u8;
        match self.driver.client.check_granted(&self.response_topic, asked, code, false) {
            Ok(()) => self.subscribed = true,
            Err(failure) => self.driver.fail(failure, now),
        }
    }

    fn handle_acknowledged(&mut self, id: PublishId, code: u8, text: Option<&str>, now: Instant) {
        let Some(pending) = self.pending.iter().find(|pending| pending.id == id) else { return };
        let number = pending.number;
        if code >= 0x80 {
            let mut failure = self.driver.client.denied(&self.options.topic, code, text);
            failure.text.push_str(&format!(" (request {number})"));
            self.driver.fail(failure, now);
        } else if code == 0x10 {
            warn!("{}: nobody is subscribed to the topic of request {number}", self.driver.client.url());
        }
    }

    /// Sends requests while there is room, prints responses in order, and ends when all are there.
    fn advance(&mut self, now: Instant) {
        while self.pending.front().is_some_and(|pending| pending.record.is_some()) {
            if let Some(record) = self.pending.pop_front().and_then(|pending| pending.record) {
                self.out.push(&record);
            }
        }
        if !self.driver.is_up() || !self.subscribed || self.stopped {
            return;
        }
        let window = self.options.inflight.map_or(WINDOW, usize::from);
        while self.pending.len() < window && self.driver.client.session.can_publish(self.options.qos) {
            match self.feed.poll_message() {
                Ok(Some(message)) => self.send(message, now),
                Ok(None) => break,
                Err(why) => {
                    let text = format!("stdin: {why}");
                    return self.driver.fail(Failure::new(Kind::Input, text), now);
                }
            }
            if self.driver.is_over() {
                return;
            }
        }
        let printed = self.pending.is_empty() && self.out.pending().is_empty();
        if printed && self.feed.is_done() && self.driver.client.session.in_flight() == 0 {
            self.driver.finish(now);
        }
    }

    fn send(&mut self, message: Message, now: Instant) {
        let mut properties = message.properties.as_deref().cloned().unwrap_or_else(no_properties);
        let given = properties.correlation_data.take();
        let correlation =
            given.unwrap_or_else(|| Bytes::from(format!("wspipe-{:016x}-{}", self.nonce, self.number)));
        properties.correlation_data = Some(correlation.clone());
        properties.response_topic = Some(self.response_topic.clone());
        let message = Message { properties: Some(Rc::new(properties)), ..message };
        match self.driver.client.session.publish(message, now) {
            Ok(id) => {
                self.number += 1;
                let number = self.number;
                self.pending.push_back(Pending { number, id, correlation, sent: now, record: None });
            }
            Err(refusal) => {
                let text = format!("{}: cannot publish: {refusal}", self.driver.client.url());
                self.driver.fail(Failure::new(Kind::Denied, text), now);
            }
        }
    }

    /// When the oldest request without a response has waited for too long.
    fn limit(&self) -> Option<Instant> {
        let oldest = self.pending.iter().find(|pending| pending.record.is_none())?;
        oldest.sent.checked_add(self.options.timeout)
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

impl Machine for Request {
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
        self.advance(now);
    }

    fn handle_lost(&mut self, lost: Lost, _handed: Handed, now: Instant) {
        self.drain(now);
        let doing = self.doing();
        self.driver.handle_lost(&lost, doing, now);
    }

    fn handle_unreachable(&mut self, permanent: bool, text: &str, _now: Instant) {
        self.driver.handle_unreachable(permanent, text);
    }

    fn handle_input(&mut self, data: Bytes, now: Instant) {
        self.feed.push(data);
        self.advance(now);
    }

    fn handle_input_end(&mut self, now: Instant) {
        self.feed.finish();
        self.advance(now);
    }

    fn handle_input_failed(&mut self, error: &str, now: Instant) {
        self.driver.fail(Failure::new(Kind::Input, format!("could not read stdin: {error}")), now);
    }

    fn handle_written(&mut self, n: usize, now: Instant) {
        self.out.written(n);
        self.advance(now);
    }

    fn handle_output_closed(&mut self, now: Instant) {
        self.output_gone = true;
        self.out.discard();
        self.driver.finish(now);
    }

    fn handle_reading(&mut self, reading: bool, now: Instant) {
        self.driver.handle_reading(reading, now);
        if reading {
            self.pending.iter_mut().for_each(|pending| pending.sent = pending.sent.max(now));
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.driver.client.session.handle_timeout(now);
        self.drain(now);
        if !self.driver.is_over() && self.limit().is_some_and(|at| at <= now) {
            let oldest = self.pending.iter().find(|pending| pending.record.is_none());
            let number = oldest.map_or(0, |pending| pending.number);
            let seconds = self.options.timeout.as_secs_f64();
            let text =
                format!("{}: no response to request {number} within {seconds} s", self.driver.client.url());
            self.driver.fail(Failure::new(Kind::TimedOut, text), now);
        }
    }

    fn handle_stop(&mut self, now: Instant) {
        self.stopped = true;
        self.driver.handle_stop();
        self.driver.finish(now);
    }

    fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        let transmit = self.driver.poll_transmit();
        if transmit.is_none() {
            self.advance(now);
            return self.driver.poll_transmit();
        }
        transmit
    }

    fn output(&self) -> &[u8] {
        self.out.pending()
    }

    fn wants_input(&self) -> bool {
        let window = self.options.inflight.map_or(WINDOW, usize::from);
        self.subscribed && self.driver.is_up() && self.feed.wants_input() && self.pending.len() < window
    }

    fn has_input(&self) -> bool {
        self.feed.reads_stdin() && !self.feed.is_done()
    }

    fn poll_deadline(&self) -> Option<Instant> {
        let own = self.limit().filter(|_| !self.driver.is_over());
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
        let left = self.unanswered() as u64 + self.feed.count_rest();
        let note = format!("{left} of the requests are without a response");
        match self.driver.failure().take() {
            Some(mut failure) => {
                if left > 0 && failure.kind != Kind::Unreachable {
                    failure.text.push_str(&format!("; {note}"));
                }
                Err(failure)
            }
            None if left > 0 => {
                Err(Failure::new(Kind::TestFailed, format!("{}: {note}", self.driver.client.url())))
            }
            None => Ok(()),
        }
    }
}
