//! `wspipe sub`: what a broker sends, on stdout; acknowledged once it is written there.

pub(super) mod printer;

use std::{
    collections::{HashMap, VecDeque},
    rc::Rc,
    time::Instant,
};

use log::warn;

use self::printer::{Printer, Shown, show};
use super::{
    Failure, Kind, Machine, OutBuffer, World, micros_since,
    mqtt::{Command, Driver, Gap, Keep, Run},
};
use crate::{
    config::{self, Endpoint, Ready},
    proto::{
        format::excerpt,
        mqtt::{
            packet::{Filter, Publish, QoS},
            session::{AckToken, Message, PublishId, Refusal},
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

/// Once stdout has taken `end` bytes in all, a message is the reader's: the server hears of it, and the
/// retained one may go.
struct Owed {
    end: u64,
    token: Option<AckToken>,
    /// The topic, with `--remove-retained`.
    remove: Option<Rc<str>>,
}

/// What `sub` adds to the driver.
struct Subscribe {
    options: config::Subscribe,
    printer: Printer,
    out: OutBuffer,
    /// Bytes that were put into `out`, and that have left it, in all.
    put: u64,
    written: u64,
    /// What is to be done once messages are written, in the order of arrival.
    waiting: VecDeque<Owed>,
    /// The N-th message of `-C N`: DISCONNECT waits until it is through.
    last: Option<AckToken>,
    step: Step,
    /// SUBACK is in, or nothing was subscribed to.
    subscribed: bool,
    /// UNSUBACK is in, or nothing was unsubscribed from.
    unsubscribed: bool,
    asked: bool,
    granted: bool,
    ready: Option<Ready>,
    received: u64,
    /// `--remove-retained`: the first removal that was denied, and how many were.
    first_denial: Option<Failure>,
    denied: u64,
    /// The topics of those that wait for room, and of those that are not answered.
    removals: VecDeque<Rc<str>>,
    removing: HashMap<PublishId, Rc<str>>,
    /// The end of `--snapshot`'s quiet, see [`Subscribe::quiet_at`].
    quiet_at: Option<Instant>,
    finish_by: Option<Instant>,
    /// The worst that a reconnect found: what was published in between is missing, or may be.
    gap: Gap,
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
        subscribed: options.filters.is_empty(),
        unsubscribed: options.unsubscribe.is_empty(),
        asked: false,
        granted: false,
        ready: None,
        received: 0,
        first_denial: None,
        denied: 0,
        removals: VecDeque::new(),
        removing: HashMap::new(),
        quiet_at: None,
        finish_by: None,
        gap: Gap::None,
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
            result = session.unsubscribe(&options.unsubscribe, &options.unsubscribe_user_properties, now);
        }
        if result.is_ok() && !options.filters.is_empty() {
            let properties = &options.subscribe_user_properties;
            result = session.subscribe(&options.filters, options.subscription_id, properties, now);
        }
        if let Err(refusal) = result {
            refuse(&refusal, driver, "subscribe", now);
        }
    }

    fn answered(&mut self, driver: &mut Driver, now: Instant) {
        let all = self.subscribed && self.unsubscribed;
        if !all || self.step != Step::Asking || driver.is_over() {
            return;
        }
        self.step = Step::Running;
        self.ready = self.options.ready.clone();
        self.begin_quiet(now);
        if self.options.exit_after_suback || self.options.filters.is_empty() {
            self.begin_finish(driver, now);
        }
    }

    fn begin_quiet(&mut self, now: Instant) {
        self.quiet_at = self.options.snapshot.and_then(|quiet| now.checked_add(quiet));
    }

    /// When the quiet has lasted long enough. None while the server cannot be heard, or waits for our
    /// acknowledgements: without a connection, and while stdout has not taken all.
    fn quiet_at(&self, driver: &Driver) -> Option<Instant> {
        let counts = self.step == Step::Running && driver.is_up() && self.out.pending().is_empty();
        self.quiet_at.filter(|_| counts)
    }

    /// Books a message: what is put out is acknowledged when it is written, in the order of arrival.
    fn book(&mut self, (shown, remove): Taken, token: Option<AckToken>, driver: &mut Driver, now: Instant) {
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
                self.begin_quiet(now);
            }
        }
        if token.is_some() || remove.is_some() {
            self.waiting.push_back(Owed { end: self.put, token, remove });
        }
        self.acknowledge(driver, now);
        if self.options.count.is_some_and(|count| self.received >= count) && self.step != Step::Finishing {
            self.last = token;
            self.begin_finish(driver, now);
        }
    }

    /// Acknowledges, and removes, what is written.
    fn acknowledge(&mut self, driver: &mut Driver, now: Instant) {
        while self.waiting.front().is_some_and(|owed| owed.end <= self.written) {
            let Some(owed) = self.waiting.pop_front() else { return };
            if let Some(token) = owed.token {
                driver.client.session.acknowledge(token, now);
            }
            self.removals.extend(owed.remove);
        }
    }

    /// As many removals as the server's Receive Maximum allows.
    fn send_removals(&mut self, driver: &mut Driver, now: Instant) {
        while driver.is_up() && driver.client.session.can_publish(QoS::AtLeastOnce) {
            let Some(topic) = self.removals.pop_front() else { return };
            self.remove_retained(topic, driver, now);
        }
    }

    fn remove_retained(&mut self, topic: Rc<str>, driver: &mut Driver, now: Instant) {
        let message = Message {
            topic: Rc::clone(&topic),
            payload: bytes::Bytes::new(),
            qos: QoS::AtLeastOnce,
            retain: true,
            properties: None,
        };
        match driver.client.session.publish(message, now) {
            Ok(id) => {
                self.removing.insert(id, topic);
            }
            Err(refusal) => refuse(&refusal, driver, "remove a retained message", now),
        }
    }

    /// What is not known to be done, at the end.
    fn shortfall(&self) -> Option<String> {
        let unwritten = self.waiting.iter().filter(|owed| owed.remove.is_some()).count();
        let left = unwritten + self.removals.len() + self.removing.len();
        (left > 0).then(|| format!("removals of retained messages: {left} not acknowledged"))
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
        let session = &driver.client.session;
        let through = self.last.is_none_or(|token| session.is_complete(token))
            && self.removals.is_empty()
            && session.in_flight() == 0;
        let written = self.is_written();
        if written && self.finish_by.is_none() {
            self.finish_by = now.checked_add(self.options.mqtt.ack_timeout);
        }
        // Without a connection too: the next one brings what is missing, as long as `finish_by` allows.
        if written && through {
            driver.finish(now);
        }
    }

    /// All is written, and the N-th message still waits for its PUBREL.
    fn lacks_handshake(&self, driver: &Driver) -> bool {
        let open = self.last.is_some_and(|token| !driver.client.session.is_complete(token));
        self.step == Step::Finishing && self.is_written() && open
    }

    /// stdout has taken all that is for it.
    fn is_written(&self) -> bool {
        self.waiting.is_empty() && self.out.pending().is_empty()
    }

    fn unmet(&self, driver: &Driver) -> Option<Failure> {
        let count = self.options.count.filter(|count| self.received < *count)?;
        let text = format!("{}: {} of {count} messages received", driver.client.url(), self.received);
        Some(Failure::new(Kind::TestFailed, text))
    }
}

/// PUBLISHes of QoS 1 and 2 that the server may send ahead of our acknowledgements.
const RECEIVE_MAXIMUM: u16 = 1000;

/// What is said of a gap.
fn describe(gap: Gap) -> Option<&'static str> {
    match gap {
        Gap::None => None,
        Gap::Possible => Some(
            "the session may have been lost with a connection that got no CONNACK: what was published in \
             between may be missing",
        ),
        Gap::Open => {
            Some("the session was lost with the connection: what was published in between is missing")
        }
    }
}

const SENT_AGAIN: &str = "the last message is written, but the server may send it again";

/// The session itself refuses.
fn refuse(refusal: &Refusal, driver: &mut Driver, doing: &str, now: Instant) {
    let text = format!("{}: cannot {doing}: {refusal}", driver.client.url());
    driver.fail(Failure::new(Kind::Denied, text), now);
}

/// What became of a message, and its topic where it is to be removed.
type Taken = (Shown, Option<Rc<str>>);

impl Command for Subscribe {
    type Taken = Taken;

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
        self.send_removals(driver, now);
        self.finish_when_done(driver, now);
    }

    fn handle_accepted(&mut self, gap: Gap, driver: &mut Driver, now: Instant) {
        // At the end nothing more is wanted. What is only possible is said once.
        if let Some(text) = describe(gap).filter(|_| self.step != Step::Finishing) {
            if gap > self.gap || gap == Gap::Open {
                warn!("{}: {text}", driver.client.url());
            }
            self.gap = self.gap.max(gap);
            // The session asks for the subscriptions once more.
            self.subscribed = self.options.filters.is_empty();
        }
        if self.step == Step::Running {
            self.begin_quiet(now);
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
        (shown, remove.then(|| publish.topic.into()))
    }

    fn handle_taken(&mut self, taken: Taken, token: Option<AckToken>, driver: &mut Driver, now: Instant) {
        self.book(taken, token, driver, now);
    }

    fn handle_acknowledged(
        &mut self,
        id: PublishId,
        code: u8,
        text: Option<&str>,
        driver: &mut Driver,
        _now: Instant,
    ) {
        let Some(topic) = self.removing.remove(&id).filter(|_| code >= 0x80) else { return };
        self.denied += 1;
        self.first_denial.get_or_insert_with(|| driver.client.denied(&topic, code, text));
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
        self.subscribed = true;
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
        if self.out.pending().is_empty() && self.step == Step::Running {
            self.begin_quiet(now);
        }
        self.acknowledge(driver, now);
    }

    fn handle_output_closed(&mut self) -> bool {
        // What the reader did not take is not acknowledged.
        self.waiting.clear();
        self.out.discard();
        true
    }

    fn handle_timeout(&mut self, driver: &mut Driver, now: Instant) {
        if self.quiet_at(driver).is_some_and(|at| at <= now) {
            self.quiet_at = None;
            self.begin_finish(driver, now);
        } else if self.finish_by.is_some_and(|at| at <= now) {
            if self.lacks_handshake(driver) {
                let url = driver.client.url();
                warn!("{url}: no PUBREL in time: {SENT_AGAIN}");
            }
            driver.handle_late(now);
        }
    }

    fn deadline(&self, driver: &Driver) -> Option<Instant> {
        [self.quiet_at(driver), self.finish_by].into_iter().flatten().min()
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
        let shortfall = self.shortfall();
        let mut failure = driver.failure().take();
        if shortfall.is_none() && self.lacks_handshake(driver) {
            // All that was asked for is on stdout. Where the time was over, that was said.
            let failure = failure.take().filter(|_| !driver.is_late());
            failure.inspect(|failure| warn!("{}: {SENT_AGAIN}", failure.text));
        }
        if let Some(mut failure) = failure {
            if let Some(left) = shortfall.filter(|_| failure.kind != Kind::Unreachable) {
                failure.text.push_str(&format!("; {left}"));
            }
            return Err(failure);
        }
        if let Some(left) = shortfall {
            return Err(Failure::new(Kind::Unconfirmed, format!("{}: {left}", driver.client.url())));
        }
        if let Some(mut denial) = self.first_denial.take() {
            denial.text.push_str(&format!(" ({} removals of retained messages denied)", self.denied));
            return Err(denial);
        }
        if driver.is_stopped() {
            return Ok(());
        }
        if let Some(unmet) = self.unmet(driver) {
            return Err(unmet);
        }
        match describe(self.gap) {
            Some(text) => Err(Failure::new(Kind::Lost, format!("{}: {text}", driver.client.url()))),
            None => Ok(()),
        }
    }
}
