//! `wspipe pub`: messages to a broker, each of them confirmed as far as its QoS goes.

pub(super) mod feed;

use std::{
    collections::HashMap,
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use log::{debug, warn};

use self::feed::Feed;
use super::{
    Failure, Handed, Kind, Machine, Next, World,
    mqtt::{Driver, Keep, general},
};
use crate::{
    config::{self, Endpoint},
    proto::{
        format::excerpt,
        link::{Established, Lost, Received, Transmit},
        mqtt::{
            packet::QoS,
            session::{Event, Message, PublishId, Refusal},
        },
    },
};

/// After a signal: how long the acknowledgements of what is under way may take.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// The machine.
pub struct Publish {
    driver: Driver,
    options: config::Publish,
    feed: Feed,
    /// Taken from the feed; the session had no room yet.
    next: Option<Message>,
    /// The next round of `--repeat`.
    pause: Option<Instant>,
    published: u64,
    /// Topics under way, for the text of a denial, where they are not all the same.
    topics: HashMap<PublishId, Rc<str>>,
    has_topics: bool,
    denied: u64,
    first_denial: Option<Failure>,
    /// A PINGREQ is under way that confirms the QoS 0 PUBLISHes.
    pinged: bool,
    /// The end of `-W`, or of what a signal leaves.
    limit: Option<Instant>,
    stop_limit: Option<Instant>,
    input_failed: bool,
    /// `--progress` on a terminal: when the next line is due, and the number of messages in the last one.
    progress: Option<Progress>,
}

/// The live line.
struct Progress {
    due: Instant,
    before: (Instant, u64),
}

/// Between two live lines.
const PROGRESS_PAUSE: Duration = Duration::from_millis(200);

impl Publish {
    /// Before the first connection.
    pub fn new(endpoint: &Endpoint, options: &config::Publish, world: World) -> Publish {
        Publish {
            driver: Driver::new(
                endpoint,
                &options.mqtt,
                options.reconnect,
                Keep::Process,
                options.inflight,
                world.seed,
            ),
            feed: Feed::new(options),
            next: None,
            pause: None,
            published: 0,
            topics: HashMap::new(),
            has_topics: options.topics.len() != 1 || matches!(options.source, config::Source::Json),
            denied: 0,
            first_denial: None,
            pinged: false,
            limit: options.timeout.and_then(|limit| world.started.0.checked_add(limit)),
            stop_limit: None,
            input_failed: false,
            progress: (options.progress && world.stderr_terminal)
                .then_some(Progress { due: world.started.0, before: (world.started.0, 0) }),
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
                Err(Event::Connected { session_present, doubled, .. }) => {
                    self.driver.handle_accepted(session_present, doubled, now);
                }
                Err(Event::Acknowledged { id, reason, text }) => {
                    self.handle_acknowledged(id, reason, text.as_deref());
                }
                Err(Event::Message { publish, token }) => {
                    debug!("a message that nobody asked for on {}", excerpt(publish.topic.as_bytes()));
                    if let Some(token) = token {
                        self.driver.client.session.acknowledge(token, now);
                    }
                }
                Err(Event::Confirmed { .. }) => self.pinged = false,
                Err(_) => {}
            }
        }
        self.advance(now);
    }

    fn doing(&self) -> &'static str {
        if self.driver.is_up() { "publishing" } else { "waiting for CONNACK" }
    }

    fn handle_acknowledged(&mut self, id: PublishId, code: u8, text: Option<&str>) {
        let own = self.topics.remove(&id);
        if code < 0x80 {
            return;
        }
        self.denied += 1;
        if self.first_denial.is_none() {
            let only = self.options.topics.first().map(String::as_str);
            let topic = own.as_deref().or(only).unwrap_or("its topic");
            let failure = self.driver.client.denied(topic, code, text);
            // A single message is as good as its one line at the end.
            if self.feed.reads_stdin() {
                warn!("{}", failure.text);
            }
            self.first_denial = Some(failure);
        }
    }

    /// Publishes what there is room for, and ends when all is through.
    fn advance(&mut self, now: Instant) {
        if !self.driver.is_up() {
            return;
        }
        while self.pause.is_none_or(|until| until <= now) {
            self.pause = None;
            if let Err(refusal) = self.publish_lines(now) {
                return self.refuse(&refusal, now);
            }
            let Some(message) = self.take(now) else { break };
            if !self.driver.client.session.can_publish(message.qos) {
                self.next = Some(message);
                break;
            }
            let topic =
                (message.qos != QoS::AtMostOnce && self.has_topics).then(|| Rc::clone(&message.topic));
            let sent = self.driver.client.session.publish(message, now);
            match sent {
                Ok(id) => {
                    self.published += 1;
                    self.topics.extend(topic.map(|topic| (id, topic)));
                }
                Err(refusal) => return self.refuse(&refusal, now),
            }
            if self.feed.is_between_rounds() && !self.options.repeat_delay.is_zero() {
                self.pause = now.checked_add(self.options.repeat_delay);
            }
        }
        self.end_when_through(now);
    }

    /// The path that counts: lines at QoS 0 go from the input into packets with nothing in between.
    fn publish_lines(&mut self, now: Instant) -> Result<(), Refusal> {
        if self.next.is_some() || self.stop_limit.is_some() || self.input_failed {
            return Ok(());
        }
        let session = &mut self.driver.client.session;
        while session.can_publish(QoS::AtMostOnce) {
            match self.feed.lend_message(|message| session.publish_lent(message, now)) {
                Some(sent) => sent?,
                None => break,
            };
            self.published += 1;
        }
        Ok(())
    }

    fn take(&mut self, now: Instant) -> Option<Message> {
        if let Some(message) = self.next.take() {
            return Some(message);
        }
        if self.stop_limit.is_some() || self.input_failed {
            return None;
        }
        match self.feed.poll_message() {
            Ok(message) => message,
            Err(why) => {
                self.fail_input(format!("stdin: {why}"), now);
                None
            }
        }
    }

    /// The input is of no more use: what was taken before still goes through.
    fn fail_input(&mut self, text: String, now: Instant) {
        self.input_failed = true;
        self.driver.failure().get_or_insert(Failure::new(Kind::Input, text));
        self.stop_limit.get_or_insert(now + STOP_LIMIT);
    }

    fn refuse(&mut self, refusal: &Refusal, now: Instant) {
        let kind = match refusal {
            Refusal::TooLarge(..) => Kind::TooLarge,
            Refusal::Codec(_) => Kind::Input,
            _ => Kind::Denied,
        };
        let text = format!("{}: cannot publish: {refusal}", self.driver.client.url());
        self.driver.fail(Failure::new(kind, text), now);
    }

    fn end_when_through(&mut self, now: Instant) {
        let taken = self.next.is_none() && (self.feed.is_done() || self.stop_limit.is_some());
        if !taken || self.driver.is_over() {
            return;
        }
        let session = &mut self.driver.client.session;
        if session.in_flight() > 0 || self.pinged {
            return;
        }
        if session.unconfirmed() > 0 {
            session.ping(now);
            self.pinged = true;
            return;
        }
        self.driver.finish(now);
    }

    /// What did not get through, in words.
    fn shortfall(&mut self) -> Option<String> {
        let session = &self.driver.client.session;
        let unsent = u64::from(self.next.take().is_some());
        let waiting = session.undelivered();
        let unknown = session.unknown() + session.unconfirmed();
        let doubled = session.possibly_doubled();
        let unsent = unsent + self.feed.count_rest();
        let parts =
            [(unsent, "not sent"), (waiting, "not acknowledged"), (unknown, "sent but not confirmed")];
        let total: u64 = parts.iter().map(|(n, _)| n).sum();
        let parts: Vec<String> =
            parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        let doubled = if doubled > 0 { format!(" ({doubled} may be doubled)") } else { String::new() };
        (total > 0).then(|| format!("messages: {}{doubled}", parts.join(", ")))
    }
}

impl Machine for Publish {
    fn handle_connected(&mut self, _established: &Established, by: Instant, now: Instant) {
        self.pinged = false;
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
        self.pinged = false;
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
        self.fail_input(format!("could not read stdin: {error}"), now);
        self.advance(now);
    }

    fn handle_written(&mut self, _n: usize, _now: Instant) {}

    /// Nothing is printed, so nobody needs to read.
    fn handle_output_closed(&mut self, _now: Instant) {}

    fn handle_reading(&mut self, reading: bool, now: Instant) {
        self.driver.handle_reading(reading, now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.driver.client.session.handle_timeout(now);
        self.drain(now);
        if self.driver.is_over() {
            return;
        }
        if self.limit.is_some_and(|at| at <= now) {
            let seconds = self.options.timeout.unwrap_or_default().as_secs_f64();
            let text = format!("{}: not done within {seconds} s", self.driver.client.url());
            self.driver.fail(Failure::new(Kind::TimedOut, text), now);
        } else if self.stop_limit.is_some_and(|at| at <= now) {
            self.driver.finish(now);
        }
    }

    fn handle_stop(&mut self, now: Instant) {
        self.driver.handle_stop();
        self.stop_limit.get_or_insert(now + STOP_LIMIT);
        match self.driver.is_up() {
            true => self.advance(now),
            false => self.driver.finish(now),
        }
    }

    fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        let transmit = self.driver.poll_transmit();
        if transmit.is_none() {
            // There is room again.
            self.advance(now);
            return self.driver.poll_transmit();
        }
        transmit
    }

    fn output(&self) -> &[u8] {
        &[]
    }

    fn poll_progress(&mut self, now: Instant) -> Option<String> {
        let session = &self.driver.client.session;
        let acknowledged = self.published - session.in_flight() as u64 - session.unconfirmed();
        let progress = self.progress.as_mut()?;
        let last = self.driver.is_over();
        if progress.due > now && !last {
            return None;
        }
        let took = now.saturating_duration_since(progress.before.0).as_secs_f64().max(0.001);
        let rate = (self.published - progress.before.1) as f64 / took;
        progress.before = (now, self.published);
        progress.due = now + PROGRESS_PAUSE;
        let mut line = format!("{} published, {acknowledged} acknowledged, {rate:.0}/s", self.published);
        if last {
            self.progress = None;
            line.push('\n');
        }
        Some(line)
    }

    fn wants_input(&self) -> bool {
        let room = self.next.is_none() && self.feed.wants_input() && self.stop_limit.is_none();
        room && self.driver.is_up() && self.driver.client.session.can_publish(self.options.qos)
    }

    fn has_input(&self) -> bool {
        self.feed.reads_stdin() && !self.feed.is_done()
    }

    fn poll_deadline(&self) -> Option<Instant> {
        let progress = self.progress.as_ref().map(|progress| progress.due).filter(|_| self.driver.is_up());
        let own = [self.limit, self.stop_limit, progress, self.pause.filter(|_| self.driver.is_up())];
        let own = own.into_iter().flatten().min().filter(|_| !self.driver.is_over());
        [own, self.driver.poll_deadline()].into_iter().flatten().min()
    }

    fn is_closing(&self) -> bool {
        self.driver.is_closing()
    }

    fn poll_next(&self) -> Next {
        self.driver.poll_next()
    }

    fn take_outcome(&mut self) -> Result<(), Failure> {
        let shortfall = self.shortfall();
        if let Some(mut failure) = self.driver.failure().take() {
            if let Some(left) = shortfall.filter(|_| failure.kind != Kind::Unreachable) {
                if failure.kind == Kind::Lost {
                    failure.kind = Kind::Unconfirmed;
                }
                failure.text.push_str(&format!(": {left}"));
            }
            return Err(failure);
        }
        if let Some(left) = shortfall {
            return Err(Failure::new(Kind::Unconfirmed, format!("{}: {left}", self.driver.client.url())));
        }
        match self.first_denial.take() {
            Some(first) if self.denied > 1 => {
                let text = format!("{} ({} of {} denied)", first.text, self.denied, self.published);
                Err(Failure::new(Kind::Denied, text))
            }
            Some(first) => Err(first),
            None => Ok(()),
        }
    }
}
