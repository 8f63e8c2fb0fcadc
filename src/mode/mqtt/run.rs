//! The machine of `pub`, `sub` and `rr`: what they do the same way, once, around what each adds.

use std::time::Instant;

use bytes::Bytes;
use log::debug;

use super::driver::{Driver, general};
use crate::{
    config::Ready,
    mode::{Failure, Handed, Kind, Machine, Milestones, Next},
    proto::{
        format::excerpt,
        link::{Established, Lost, Received, Transmit},
        mqtt::{
            packet::{Filter, Publish},
            session::{AckToken, Event, PublishId},
        },
    },
};

/// Whether the server has missed out what was published between two connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gap {
    /// It kept the session, or there was none before.
    None,
    /// The session may be another one than it was, see [`Event::Connected`].
    Possible,
    /// A reconnect found no session.
    Open,
}

/// What a command adds to a [`Driver`]. After each `handle_*` that comes of the network, of stdin or of stdout,
/// `advance` is called.
pub trait Command {
    /// What is left of a message when its bytes are gone.
    type Taken;

    /// What is under way on a connection that is up, for messages.
    fn doing(&self) -> &'static str;

    /// Does what there is room for, and ends when all is through.
    fn advance(&mut self, driver: &mut Driver, now: Instant);

    /// CONNACK 0x00.
    fn handle_accepted(&mut self, _gap: Gap, _driver: &mut Driver, _now: Instant) {}

    /// A message, which lies in the session's buffer.
    fn take_message(&mut self, publish: &Publish<'_>, now: Instant) -> Self::Taken;

    /// The same message once the session can be used again.
    fn handle_taken(
        &mut self,
        _taken: Self::Taken,
        token: Option<AckToken>,
        driver: &mut Driver,
        now: Instant,
    ) {
        if let Some(token) = token {
            driver.client.session.acknowledge(token, now);
        }
    }

    /// SUBACK, its Reason String logged already.
    fn handle_subscribed(&mut self, _: &[Filter], _reasons: &[u8], _driver: &mut Driver, _now: Instant) {}

    /// UNSUBACK.
    fn handle_unsubscribed(&mut self, _: &[String], _reasons: &[u8], _driver: &mut Driver, _now: Instant) {}

    /// A PUBLISH of ours is through or refused.
    fn handle_acknowledged(
        &mut self,
        _id: PublishId,
        _reason: u8,
        _text: Option<&str>,
        _driver: &mut Driver,
        _now: Instant,
    ) {
    }

    /// PINGRESP, which confirms QoS 0 PUBLISHes.
    fn handle_confirmed(&mut self) {}

    /// The connection is gone, and the driver knows.
    fn handle_lost(&mut self) {}

    /// See [`Machine::handle_input`].
    fn handle_input(&mut self, _data: Bytes) {}

    /// See [`Machine::handle_input_end`].
    fn handle_input_end(&mut self) {}

    /// stdin cannot be read, or its content is refused: why.
    fn handle_input_failed(&mut self, text: String, driver: &mut Driver, now: Instant) {
        driver.fail(Failure::new(Kind::Input, text), now);
    }

    /// See [`Machine::handle_written`].
    fn handle_written(&mut self, _n: usize, _driver: &mut Driver, _now: Instant) {}

    /// See [`Machine::handle_output_closed`]. Whether anything was to be printed: that ends it then.
    fn handle_output_closed(&mut self) -> bool {
        false
    }

    /// See [`Machine::handle_reading`]. The driver knows already.
    fn handle_reading(&mut self, _reading: bool, _now: Instant) {}

    /// The command's own deadline may have passed. Not called once the end is decided.
    fn handle_timeout(&mut self, _driver: &mut Driver, _now: Instant) {}

    /// SIGINT or SIGTERM: the driver makes no more connections.
    fn handle_stop(&mut self, driver: &mut Driver, now: Instant) {
        driver.finish(now);
    }

    /// When the command's own `handle_timeout` is due.
    fn deadline(&self, _driver: &Driver) -> Option<Instant> {
        None
    }

    /// See [`Machine::poll_progress`].
    fn poll_progress(&mut self, _driver: &Driver, _now: Instant) -> Option<String> {
        None
    }

    /// See [`Machine::poll_ready`].
    fn poll_ready(&mut self) -> Option<Ready> {
        None
    }

    /// See [`Machine::output`].
    fn output(&self) -> &[u8] {
        &[]
    }

    /// See [`Machine::wants_input`].
    fn wants_input(&self, _driver: &Driver) -> bool {
        false
    }

    /// See [`Machine::has_input`].
    fn has_input(&self) -> bool {
        false
    }

    /// See [`Machine::is_congested`].
    fn is_congested(&self) -> bool {
        false
    }

    /// How it ended, where the reader of stdout has not.
    fn take_outcome(&mut self, driver: &mut Driver) -> Result<(), Failure>;
}

/// A command with its driver.
pub struct Run<C> {
    driver: Driver,
    command: C,
    output_gone: bool,
}

impl<C: Command> Run<C> {
    /// Before the first connection.
    pub fn new(driver: Driver, command: C) -> Run<C> {
        Run { driver, command, output_gone: false }
    }

    /// Takes all events of the session.
    fn drain(&mut self, now: Instant) {
        let Run { driver, command, .. } = self;
        while let Some(event) = driver.client.session.poll_event(now) {
            let event = match general(event) {
                Ok(general) => {
                    driver.handle_general(general, doing(driver, command), now);
                    continue;
                }
                Err(event) => event,
            };
            match event {
                Event::Connected { session_present, reconnected, doubt, doubled } => {
                    driver.handle_accepted(session_present, doubled, now);
                    let gap = match (reconnected && !session_present, doubt) {
                        (true, _) => Gap::Open,
                        (false, true) => Gap::Possible,
                        (false, false) => Gap::None,
                    };
                    command.handle_accepted(gap, driver, now);
                }
                Event::Message { publish, token } => {
                    driver.client.milestones.message.get_or_insert(now);
                    let taken = command.take_message(&publish, now);
                    command.handle_taken(taken, token, driver, now);
                }
                Event::Subscribed { filters, reasons, text } => {
                    say("SUBACK", text.as_deref());
                    command.handle_subscribed(&filters, &reasons, driver, now);
                }
                Event::Unsubscribed { filters, reasons, text } => {
                    say("UNSUBACK", text.as_deref());
                    command.handle_unsubscribed(&filters, &reasons, driver, now);
                }
                Event::Acknowledged { id, reason, text } => {
                    command.handle_acknowledged(id, reason, text.as_deref(), driver, now);
                }
                Event::Confirmed { .. } => command.handle_confirmed(),
                // The driver's own.
                Event::Refused { .. }
                | Event::Disconnected { .. }
                | Event::Auth { .. }
                | Event::Violated { .. }
                | Event::TimedOut(_) => {}
            }
        }
        command.advance(driver, now);
    }

    fn advance(&mut self, now: Instant) {
        self.command.advance(&mut self.driver, now);
    }
}

fn doing(driver: &Driver, command: &impl Command) -> &'static str {
    if driver.is_up() { command.doing() } else { "waiting for CONNACK" }
}

/// The Reason String of an answer (5.0).
fn say(packet: &str, text: Option<&str>) {
    if let Some(text) = text {
        debug!("{packet}: {}", excerpt(text.as_bytes()));
    }
}

impl<C: Command> Machine for Run<C> {
    fn handle_connected(&mut self, _established: &Established, by: Instant, now: Instant) {
        self.driver.handle_connected(by, now);
    }

    fn handle_received(&mut self, received: Received<'_>, now: Instant) {
        match received {
            Received::Message(kind, bytes) => {
                self.driver.client.handle_message(kind, bytes, now);
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

    fn handle_progress(&mut self, now: Instant) {
        self.driver.client.session.handle_progress(now);
    }

    fn handle_lost(&mut self, lost: Lost, _handed: Handed, now: Instant) {
        self.drain(now);
        self.driver.handle_lost(&lost, doing(&self.driver, &self.command), now);
        self.command.handle_lost();
        self.advance(now);
    }

    fn handle_unreachable(&mut self, permanent: bool, text: &str, _now: Instant) {
        self.driver.handle_unreachable(permanent, text);
    }

    fn handle_input(&mut self, data: Bytes, now: Instant) {
        self.command.handle_input(data);
        self.advance(now);
    }

    fn handle_input_end(&mut self, now: Instant) {
        self.command.handle_input_end();
        self.advance(now);
    }

    fn handle_input_failed(&mut self, error: &str, now: Instant) {
        let text = format!("could not read stdin: {error}");
        self.command.handle_input_failed(text, &mut self.driver, now);
        self.advance(now);
    }

    fn handle_written(&mut self, n: usize, now: Instant) {
        self.command.handle_written(n, &mut self.driver, now);
        self.advance(now);
    }

    fn handle_output_closed(&mut self, now: Instant) {
        if self.command.handle_output_closed() {
            self.output_gone = true;
            self.driver.finish(now);
        }
    }

    fn handle_reading(&mut self, reading: bool, now: Instant) {
        self.driver.handle_reading(reading, now);
        self.command.handle_reading(reading, now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.driver.client.session.handle_timeout(now);
        self.drain(now);
        self.driver.handle_limit(now);
        if !self.driver.is_over() {
            self.command.handle_timeout(&mut self.driver, now);
            self.advance(now);
        }
    }

    fn handle_stop(&mut self, now: Instant) {
        self.driver.handle_stop();
        self.command.handle_stop(&mut self.driver, now);
        self.advance(now);
    }

    fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        let transmit = self.driver.poll_transmit(now);
        if transmit.is_none() {
            // There is room again.
            self.advance(now);
            return self.driver.poll_transmit(now);
        }
        transmit
    }

    fn poll_progress(&mut self, now: Instant) -> Option<String> {
        self.command.poll_progress(&self.driver, now)
    }

    fn poll_ready(&mut self) -> Option<Ready> {
        self.command.poll_ready()
    }

    fn output(&self) -> &[u8] {
        self.command.output()
    }

    fn wants_input(&self) -> bool {
        self.driver.is_up() && self.command.wants_input(&self.driver)
    }

    fn has_input(&self) -> bool {
        self.command.has_input()
    }

    fn is_congested(&self) -> bool {
        self.command.is_congested()
    }

    fn poll_deadline(&self) -> Option<Instant> {
        let own = self.command.deadline(&self.driver).filter(|_| !self.driver.is_over());
        [own, self.driver.poll_deadline()].into_iter().flatten().min()
    }

    fn is_closing(&self) -> bool {
        self.driver.is_closing()
    }

    fn is_late(&self) -> bool {
        self.driver.is_late()
    }

    fn milestones(&self) -> Milestones {
        self.driver.client.milestones
    }

    fn poll_next(&self) -> Next {
        self.driver.poll_next()
    }

    fn take_outcome(&mut self) -> Result<(), Failure> {
        if self.output_gone {
            return Ok(());
        }
        self.command.take_outcome(&mut self.driver)
    }
}
