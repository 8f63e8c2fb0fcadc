//! What every MQTT command does the same way: log in, fall back to 3.1.1, say what the broker said, end.

mod driver;
mod rival;
mod run;

use std::{collections::VecDeque, time::Instant};

use log::{info, warn};

use super::{Failure, Kind, Milestones, close_normally, describe_close};
use crate::{
    config::{Endpoint, Mqtt},
    proto::{
        format::{escape, excerpt},
        latency::Millis,
        link::{self, Lost, Transmit},
        mqtt::{
            packet::{Connect, ConnectProperties, Version},
            reason,
            session::{Options, PUBACK_AT_QOS_2, Session, Timer},
        },
    },
};

pub use driver::Driver;
pub use run::{Command, Gap, Run};

/// The session with what surrounds it. The owner drains `session.poll_event` itself, since the events
/// borrow the session, and hands the general ones to the functions here.
pub struct Client {
    /// The session.
    pub session: Session,
    /// Of this connection. The owner notes the first message, for the reason above.
    pub milestones: Milestones,
    url: String,
    /// 3.1.1 may still be tried: no `-V`, nothing that needs 5.0, no connection so far.
    may_fall_back: bool,
    /// A connection that ends before CONNACK may be tried again in 3.1.1: not with a will, which may fire.
    may_retry: bool,
    /// A CONNACK 0x00 has come, on this connection or an earlier one.
    accepted: bool,
    started: Option<Instant>,
    ending: VecDeque<Transmit>,
    ended: bool,
    /// The peer's Close, described.
    closed: Option<String>,
    /// That Close says that the login is denied.
    login_denied: bool,
}

/// How the session should survive connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// One connection, a clean session.
    Nothing,
    /// `-c`: what is there is taken, and left there.
    Session,
    /// For as long as this process lives, over its reconnects: clean at the first connection, ended with the
    /// last.
    Process,
}

/// How long a broker holds a session of [`Keep::Process`] between two connections, in seconds.
const PROCESS_EXPIRY: u32 = 300;

impl Client {
    /// Before the first connection. `seed` is random: it makes the client id and, with `-c`, the first
    /// packet identifier.
    pub fn new(endpoint: &Endpoint, options: &Mqtt, keep: Keep, inflight: Option<u16>, seed: u64) -> Client {
        let version = options.version.unwrap_or(Version::V5);
        let client_id = options.client_id.clone().unwrap_or_else(|| generated_id(seed));
        let kept = keep == Keep::Session;
        let own = match keep {
            Keep::Nothing => None,
            Keep::Session => Some(u32::MAX),
            Keep::Process => Some(PROCESS_EXPIRY),
        };
        let properties = ConnectProperties {
            session_expiry_interval: options.session_expiry.or(own),
            receive_maximum: options.receive_maximum,
            ..options.connect_properties.clone()
        };
        let connect = Connect {
            client_id,
            clean: !kept,
            keep_alive: options.keep_alive,
            username: options.username.clone(),
            password: options.password.clone(),
            will: options.will.clone(),
            properties,
        };
        let session = Session::new(Options {
            version,
            connect,
            resume: keep != Keep::Nothing,
            // An expiry that was asked for stays.
            final_expiry: options
                .disconnect_session_expiry
                .or((keep == Keep::Process && options.session_expiry.is_none()).then_some(0)),
            disconnect_user_properties: options.disconnect_user_properties.clone(),
            max_packet: endpoint.max_message,
            max_inflight: inflight.unwrap_or(1000),
            ack_timeout: options.ack_timeout,
            // A fresh session starts at 1; in a kept one an earlier run's ids may still be in use.
            first_pkid: if kept { (seed >> 48) as u16 | 1 } else { 1 },
        });
        let needs_v5 = options.version.is_some() || options.session_expiry.is_some();
        Client {
            session,
            milestones: Milestones { login: true, ..Milestones::default() },
            url: endpoint.url.shown(),
            may_fall_back: !needs_v5,
            may_retry: options.will.is_none(),
            accepted: false,
            started: None,
            ending: VecDeque::new(),
            ended: false,
            closed: None,
            login_denied: false,
        }
    }

    /// Where to, for messages.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A connection is up.
    pub fn handle_connected(&mut self, by: Instant, now: Instant) {
        self.started = Some(now);
        self.milestones = Milestones { login: true, ..Milestones::default() };
        self.ended = false;
        // What the last one did not get to say.
        self.ending.clear();
        self.closed = None;
        self.login_denied = false;
        self.session.handle_connected(now, by);
    }

    /// CONNACK 0x00: the milestone.
    pub fn handle_accepted(&mut self, session_present: bool, now: Instant) {
        self.may_fall_back = false;
        self.accepted = true;
        self.milestones.connack = Some(now);
        let took = now.saturating_duration_since(self.started.unwrap_or(now));
        let version = version_name(self.session.version());
        let id = excerpt(self.session.client_id().as_bytes());
        let present = if session_present { ", session present" } else { "" };
        info!("CONNECTED {} MQTT {version} as {id}{present} in {} ms", self.url, Millis(took));
    }

    /// CONNACK with a refusal: none where 3.1.1 is to be tried.
    pub fn handle_refused(
        &mut self,
        code: u8,
        text: Option<&str>,
        reference: Option<&str>,
    ) -> Option<Failure> {
        let v5 = self.session.version() == Version::V5;
        if v5 && self.may_fall_back && matches!(code, 0x01 | 0x84) {
            info!("{} refuses MQTT 5.0 (CONNACK 0x{code:02x}): trying 3.1.1", self.url);
            self.fall_back();
            return None;
        }
        let old = !v5 || code < 0x80;
        let name = if old { reason::connack_v311(code) } else { reason::name(code) };
        let login = if old { matches!(code, 4 | 5) } else { matches!(code, 0x86 | 0x87 | 0x8a | 0x8c) };
        let (kind, what) = if login { (Kind::Login, "login") } else { (Kind::Ended, "connection") };
        let more = details(text, reference);
        Some(Failure::new(
            kind,
            format!("{}: the server refused the {what}: CONNACK 0x{code:02x} {name}{more}", self.url),
        ))
    }

    /// The peer's WebSocket Close: kept for what `handle_lost` will say.
    pub fn handle_close(&mut self, close: Option<(u16, &str)>) {
        self.closed = Some(describe_close(close));
        self.login_denied = close.is_some_and(|(_, why)| says_login_denied(why));
    }

    /// The connection ended before our DISCONNECT: none where 3.1.1 is to be tried. `doing` is what was
    /// under way.
    pub fn handle_lost(&mut self, lost: &Lost, doing: &str, now: Instant) -> Option<Failure> {
        let early = !self.session.is_connected();
        self.session.handle_lost(now);
        self.ending.clear();
        if early && self.login_denied && is_quiet(lost) {
            let how = self.closed.take().unwrap_or_default();
            let text = format!("{}: the server refused the login: Close {how} in place of CONNACK", self.url);
            return Some(Failure::new(Kind::Login, text));
        }
        if early && self.may_fall_back && self.may_retry && is_quiet(lost) {
            let how = self.closed.take().map_or(String::new(), |how| format!(" {how}"));
            warn!("{} closed the connection{how} before CONNACK: trying once more in MQTT 3.1.1", self.url);
            self.fall_back();
            return None;
        }
        let mut failure = self.lost(lost, doing);
        if early && is_quiet(lost) && self.may_fall_back {
            // A second try by ourselves might have the will published.
            failure.text.push_str("; a broker that speaks 3.1.1 only needs -V 311");
        } else if early && is_quiet(lost) && self.speaks_5_unheard() {
            failure.text.push_str("; the broker may speak MQTT 3.1.1 only");
        }
        Some(failure)
    }

    /// The connection ended while `doing` was under way.
    pub fn lost(&self, lost: &Lost, doing: &str) -> Failure {
        match &self.closed {
            // For MQTT a Close of any code before our DISCONNECT is a connection lost.
            Some(how) if is_quiet(lost) => Failure::new(
                Kind::Lost,
                format!("{}: {doing}: the server closed the connection {how}", self.url),
            ),
            _ => Failure::lost(lost, &self.url, doing),
        }
    }

    /// 5.0 is all that was tried, since it was asked for, and no broker has taken it yet.
    fn speaks_5_unheard(&self) -> bool {
        !self.accepted && self.session.version() == Version::V5
    }

    fn fall_back(&mut self) {
        self.may_fall_back = false;
        self.session.fall_back();
    }

    /// DISCONNECT from the server.
    pub fn disconnected(&self, code: u8, text: Option<&str>, reference: Option<&str>) -> Failure {
        let kind = if code >= 0x80 { Kind::Ended } else { Kind::Lost };
        let (name, more) = (reason::name(code), details(text, reference));
        Failure::new(kind, format!("{}: the server sent DISCONNECT 0x{code:02x} {name}{more}", self.url))
    }

    /// The server broke the standard, or exceeded a limit of ours: of size, where it is `too_large`.
    pub fn violated(&self, code: u8, what: &str, too_large: bool) -> Failure {
        let kind = if code == 0x95 { Kind::TooLarge } else { Kind::Protocol };
        if kind == Kind::TooLarge {
            // Not every limit is one of size.
            let hint = if too_large { " (--max-message raises it)" } else { "" };
            return Failure::new(kind, format!("{}: {what}{hint}", self.url));
        }
        let mut text = format!("{}: the server broke the protocol: {what}", self.url);
        if what == PUBACK_AT_QOS_2 {
            // RabbitMQ before 4 does so: it knows no QoS 2, and 3.1.1 has no way to say that in CONNACK.
            text.push_str("; it seems to know no QoS 2: -q 1");
        }
        Failure::new(kind, text)
    }

    /// A limit of the session ran out.
    pub fn timed_out(&self, timer: Timer, doing: &str) -> Failure {
        let text = match timer {
            Timer::ConnAck if self.may_fall_back => {
                format!(
                    "{} sent no CONNACK in time; a broker that speaks 3.1.1 only may need -V 311",
                    self.url
                )
            }
            Timer::ConnAck => format!("{}: no CONNACK in time", self.url),
            Timer::PingResp => format!("{}: {doing}: no answer to PINGREQ in time", self.url),
            Timer::Subscription => format!("{}: {doing}: no acknowledgement in time", self.url),
            Timer::Publish => format!("{}: {doing}: no acknowledgement (PUBACK or PUBREC) in time", self.url),
            Timer::Release => format!("{}: {doing}: no acknowledgement (PUBCOMP) in time", self.url),
            // Never told: PINGREQ goes out then.
            Timer::KeepAlive => format!("{}: {doing}: nothing in time", self.url),
            Timer::Sending => {
                format!("{}: {doing}: the server has stopped reading what we send", self.url)
            }
        };
        Failure::new(Kind::TimedOut, text)
    }

    /// AUTH, which we never ask for without a method.
    pub fn unexpected_auth(&self) -> Failure {
        Failure::new(Kind::Login, format!("{}: the server asks for enhanced authentication (AUTH)", self.url))
    }

    /// Packets come in binary frames; any other data frame ends the connection [MQTT-6.0.0-1].
    pub fn handle_message(&mut self, kind: link::Kind, bytes: &[u8], now: Instant) {
        match kind {
            link::Kind::Binary => self.session.handle_bytes(bytes, now),
            link::Kind::Text => self.session.handle_text(bytes),
        }
    }

    /// DISCONNECT with `reason` where CONNECT was sent, then Close; nothing follows. Also before CONNACK: the
    /// server may have accepted already, and without DISCONNECT it would publish the will.
    pub fn finish(&mut self, reason: u8, now: Instant) {
        if self.ended {
            return;
        }
        self.ended = true;
        self.session.disconnect(reason, now);
        self.ending.push_back(close_normally());
    }

    /// The same for a connection that another one is to follow: the session is to be there for it.
    pub fn leave(&mut self, now: Instant) {
        if !std::mem::replace(&mut self.ended, true) {
            self.session.disconnect_for_now(0, now);
            self.ending.push_back(close_normally());
        }
    }

    /// DISCONNECT and Close are given to the loop.
    pub fn has_said_all(&self) -> bool {
        self.ended && self.ending.is_empty()
    }

    /// The next thing to send: all packets that gathered, as one binary frame; at the end Close.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        match self.session.poll_transmit(now) {
            Some(packets) => Some(Transmit::message(link::Kind::Binary, packets)),
            None => self.ending.pop_front(),
        }
    }

    /// SUBACK or UNSUBACK for one filter: why it was denied, and a warning where less was granted.
    pub fn check_granted(&self, filter: &str, asked: u8, code: u8, strict: bool) -> Result<(), Failure> {
        let filter = escape(filter.as_bytes());
        if code >= 0x80 {
            let name = if self.session.version() == Version::V5 { reason::name(code) } else { "Failure" };
            let text =
                format!("{}: the server denied the subscription to {filter}: 0x{code:02x} {name}", self.url);
            return Err(Failure::new(Kind::Denied, text));
        }
        if code >= asked {
            return Ok(());
        }
        let text = format!("{}: the server granted QoS {code} for {filter}, not {asked}", self.url);
        if strict {
            return Err(Failure::new(Kind::Denied, text));
        }
        warn!("{text}");
        Ok(())
    }

    /// UNSUBACK with a reason of 0x80 and above.
    pub fn unsubscribe_denied(&self, filter: &str, code: u8) -> Failure {
        let (filter, name) = (escape(filter.as_bytes()), reason::name(code));
        let text = format!("{}: the server denied UNSUBSCRIBE from {filter}: 0x{code:02x} {name}", self.url);
        Failure::new(Kind::Denied, text)
    }

    /// A publish that the broker refused.
    pub fn denied(&self, topic: &str, code: u8, text: Option<&str>) -> Failure {
        let (topic, name, more) = (escape(topic.as_bytes()), reason::name(code), details(text, None));
        let text =
            format!("{}: the server denied the publish to {topic}: 0x{code:02x} {name}{more}", self.url);
        Failure::new(Kind::Denied, text)
    }
}

/// The end of a connection with no fault to name.
fn is_quiet(lost: &Lost) -> bool {
    matches!(lost, Lost::Closed | Lost::Eof | Lost::Io(_))
}

/// Whether the reason of a Close before CONNACK says that the login is at fault. Over WebSocket RabbitMQ closes
/// (1002 `unauthenticated`) before its CONNACK leaves.
fn says_login_denied(reason: &str) -> bool {
    let reason = reason.to_ascii_lowercase();
    ["unauthenticated", "unauthorized", "not authenticated", "not authorized"]
        .iter()
        .any(|text| reason.contains(text))
}

/// `MQTT 5.0` as people write it.
pub fn version_name(version: Version) -> &'static str {
    match version {
        Version::V311 => "3.1.1",
        Version::V5 => "5.0",
    }
}

/// `: text (see server)`, escaped.
fn details(text: Option<&str>, reference: Option<&str>) -> String {
    let mut all = text.map_or(String::new(), |t| format!(": {}", excerpt(t.as_bytes())));
    if let Some(reference) = reference {
        all.push_str(&format!(" (server reference: {})", excerpt(reference.as_bytes())));
    }
    all
}

/// At most 23 characters of digits and letters after a prefix: what every broker takes (MQTT 3.1.1
/// section 3.1.3.1).
fn generated_id(seed: u64) -> String {
    debug_assert!(format!("wspipe{seed:016x}").len() <= 23);
    format!("wspipe{seed:016x}")
}
