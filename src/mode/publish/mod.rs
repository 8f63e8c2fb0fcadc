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
    Failure, Kind, Machine, World,
    mqtt::{Command, Driver, Keep, Run},
};
use crate::{
    config::{self, Endpoint},
    proto::{
        format::excerpt,
        mqtt::{
            packet::{self, QoS},
            session::{Message, PublishId, Refusal},
        },
    },
};

/// After a signal: how long the acknowledgements of what is under way may take.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// What `pub` adds to the driver.
struct Publish {
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
    /// The end of what a signal leaves.
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

/// The machine, before the first connection.
pub fn machine(endpoint: &Endpoint, options: &config::Publish, world: World) -> Box<dyn Machine> {
    let (mqtt, keep) = (&options.mqtt, Keep::Process);
    let driver = Driver::new(endpoint, mqtt, options.reconnect, keep, options.inflight, world.seed);
    let command = Publish {
        feed: Feed::new(options),
        next: None,
        pause: None,
        published: 0,
        topics: HashMap::new(),
        has_topics: options.topics.len() != 1 || matches!(options.source, config::Source::Json),
        denied: 0,
        first_denial: None,
        pinged: false,
        stop_limit: None,
        input_failed: false,
        progress: (options.progress && world.stderr_terminal)
            .then_some(Progress { due: world.started.0, before: (world.started.0, 0) }),
        options: options.clone(),
    };
    Box::new(Run::new(driver.limit(world.started.0, options.timeout), command))
}

impl Publish {
    /// Publishes what there is room for.
    fn publish(&mut self, driver: &mut Driver, now: Instant) {
        while self.pause.is_none_or(|until| until <= now) {
            self.pause = None;
            if let Err(refusal) = self.publish_lines(driver, now) {
                return refuse(&refusal, driver, now);
            }
            let Some(message) = self.take(driver, now) else { break };
            if !driver.client.session.can_publish(message.qos) {
                self.next = Some(message);
                break;
            }
            let topic =
                (message.qos != QoS::AtMostOnce && self.has_topics).then(|| Rc::clone(&message.topic));
            let sent = driver.client.session.publish(message, now);
            match sent {
                Ok(id) => {
                    self.published += 1;
                    self.topics.extend(topic.map(|topic| (id, topic)));
                }
                Err(refusal) => return refuse(&refusal, driver, now),
            }
            if self.feed.is_between_rounds() && !self.options.repeat_delay.is_zero() {
                self.pause = now.checked_add(self.options.repeat_delay);
            }
        }
        self.end_when_through(driver, now);
    }

    /// The path that counts: lines at QoS 0 go from the input into packets with nothing in between.
    fn publish_lines(&mut self, driver: &mut Driver, now: Instant) -> Result<(), Refusal> {
        if self.next.is_some() || self.stop_limit.is_some() || self.input_failed {
            return Ok(());
        }
        let session = &mut driver.client.session;
        while session.can_publish(QoS::AtMostOnce) {
            match self.feed.lend_message(|message| session.publish_lent(message, now)) {
                Some(sent) => sent?,
                None => break,
            };
            self.published += 1;
        }
        Ok(())
    }

    fn take(&mut self, driver: &mut Driver, now: Instant) -> Option<Message> {
        if let Some(message) = self.next.take() {
            return Some(message);
        }
        if self.stop_limit.is_some() || self.input_failed {
            return None;
        }
        match self.feed.poll_message() {
            Ok(message) => message,
            Err(why) => {
                self.handle_input_failed(format!("stdin: {why}"), driver, now);
                None
            }
        }
    }

    fn end_when_through(&mut self, driver: &mut Driver, now: Instant) {
        let taken = self.next.is_none() && (self.feed.is_done() || self.stop_limit.is_some());
        if !taken || driver.is_over() {
            return;
        }
        let session = &mut driver.client.session;
        if session.in_flight() > 0 || self.pinged {
            return;
        }
        if session.unconfirmed() > 0 {
            session.ping(now);
            self.pinged = true;
            return;
        }
        driver.finish(now);
    }

    /// What did not get through, in words.
    fn shortfall(&mut self, driver: &Driver) -> Option<String> {
        let session = &driver.client.session;
        let unsent = u64::from(self.next.take().is_some());
        // Those past PUBREC among them: the server may drop them with the session.
        let waiting = session.in_flight() as u64;
        let unknown = session.unknown() + session.unconfirmed();
        let doubled = session.possibly_doubled();
        let unsent = unsent + self.feed.count_rest();
        let parts = [(unsent, "not sent"), (waiting, "not acknowledged"), (unknown, "not confirmed")];
        let total: u64 = parts.iter().map(|(n, _)| n).sum();
        let parts: Vec<String> =
            parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        let doubled = if doubled > 0 { format!(" ({doubled} may be doubled)") } else { String::new() };
        (total > 0).then(|| format!("messages: {}{doubled}", parts.join(", ")))
    }
}

fn refuse(refusal: &Refusal, driver: &mut Driver, now: Instant) {
    let kind = match refusal {
        Refusal::TooLarge(..) => Kind::TooLarge,
        Refusal::Codec(_) => Kind::Input,
        _ => Kind::Denied,
    };
    let text = format!("{}: cannot publish: {refusal}", driver.client.url());
    driver.fail(Failure::new(kind, text), now);
}

impl Command for Publish {
    type Taken = ();

    fn doing(&self) -> &'static str {
        "publishing"
    }

    fn advance(&mut self, driver: &mut Driver, now: Instant) {
        if driver.is_up() {
            self.publish(driver, now);
        }
    }

    fn take_message(&mut self, publish: &packet::Publish<'_>, _now: Instant) {
        debug!("a message that nobody asked for on {}", excerpt(publish.topic.as_bytes()));
    }

    fn handle_acknowledged(
        &mut self,
        id: PublishId,
        code: u8,
        text: Option<&str>,
        driver: &mut Driver,
        _now: Instant,
    ) {
        let own = self.topics.remove(&id);
        if code < 0x80 {
            return;
        }
        self.denied += 1;
        if self.first_denial.is_none() {
            let only = self.options.topics.first().map(String::as_str);
            let topic = own.as_deref().or(only).unwrap_or("its topic");
            let failure = driver.client.denied(topic, code, text);
            // A single message is as good as its one line at the end.
            if self.feed.reads_stdin() {
                warn!("{}", failure.text);
            }
            self.first_denial = Some(failure);
        }
    }

    fn handle_confirmed(&mut self) {
        self.pinged = false;
    }

    fn handle_lost(&mut self) {
        self.pinged = false;
    }

    fn handle_input(&mut self, data: Bytes) {
        self.feed.push(data);
    }

    fn handle_input_end(&mut self) {
        self.feed.finish();
    }

    /// The input is of no more use: what was taken before still goes through.
    fn handle_input_failed(&mut self, text: String, driver: &mut Driver, now: Instant) {
        self.input_failed = true;
        driver.failure().get_or_insert(Failure::new(Kind::Input, text));
        self.stop_limit.get_or_insert(now + STOP_LIMIT);
    }

    fn handle_timeout(&mut self, driver: &mut Driver, now: Instant) {
        if self.stop_limit.is_some_and(|at| at <= now) {
            driver.handle_late(now);
        }
    }

    fn handle_stop(&mut self, driver: &mut Driver, now: Instant) {
        self.stop_limit.get_or_insert(now + STOP_LIMIT);
        match driver.is_up() {
            true => self.publish(driver, now),
            false => driver.finish(now),
        }
    }

    fn deadline(&self, driver: &Driver) -> Option<Instant> {
        let progress = self.progress.as_ref().map(|progress| progress.due).filter(|_| driver.is_up());
        let pause = self.pause.filter(|_| driver.is_up());
        [self.stop_limit, progress, pause].into_iter().flatten().min()
    }

    fn poll_progress(&mut self, driver: &Driver, now: Instant) -> Option<String> {
        let session = &driver.client.session;
        let acknowledged = self.published - session.in_flight() as u64 - session.unconfirmed();
        let progress = self.progress.as_mut()?;
        let last = driver.is_over();
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

    fn wants_input(&self, driver: &Driver) -> bool {
        let room = self.next.is_none() && self.feed.wants_input() && self.stop_limit.is_none();
        room && driver.client.session.can_publish(self.options.qos)
    }

    fn has_input(&self) -> bool {
        self.feed.reads_stdin() && !self.feed.is_done()
    }

    fn take_outcome(&mut self, driver: &mut Driver) -> Result<(), Failure> {
        let shortfall = self.shortfall(driver);
        if let Some(mut failure) = driver.failure().take() {
            if let Some(left) = shortfall.filter(|_| failure.kind != Kind::Unreachable) {
                if failure.kind == Kind::Lost {
                    failure.kind = Kind::Unconfirmed;
                }
                failure.text.push_str(&format!(": {left}"));
            }
            return Err(failure);
        }
        if let Some(left) = shortfall {
            return Err(Failure::new(Kind::Unconfirmed, format!("{}: {left}", driver.client.url())));
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
