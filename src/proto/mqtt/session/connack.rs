//! CONNACK: what the server allows, and how the session goes on.

use std::time::Duration;

use super::{Event, Limits, Options, Phase, State, codec};
use crate::proto::mqtt::packet::{ConnAckProperties, QoS};

impl Limits {
    /// Those of a server that names none.
    pub fn none(options: &Options) -> Limits {
        Limits {
            window: usize::from(options.max_inflight.max(1)),
            qos: QoS::ExactlyOnce,
            retain: true,
            packet: usize::MAX,
            topic_alias: 0,
            wildcard: true,
            shared: true,
            subscription_ids: true,
        }
    }

    /// Those that CONNACK names (MQTT 5.0 section 3.2.2.3).
    fn obey(&mut self, properties: &ConnAckProperties) {
        if let Some(maximum) = properties.receive_max {
            self.window = self.window.min(usize::from(maximum).max(1));
        }
        if let Some(qos) = properties.max_qos.and_then(QoS::from_u8) {
            self.qos = qos;
        }
        if let Some(maximum) = properties.max_packet_size {
            self.packet = usize::try_from(maximum).unwrap_or(usize::MAX);
        }
        self.retain = properties.retain_available != Some(0);
        self.topic_alias = properties.topic_alias_max.unwrap_or(0);
        self.wildcard = properties.wildcard_subscription_available != Some(0);
        self.shared = properties.shared_subscription_available != Some(0);
        self.subscription_ids = properties.subscription_identifiers_available != Some(0);
    }
}

impl State {
    pub fn handle_connack(
        &mut self,
        session_present: bool,
        reason: u8,
        properties: Option<Box<ConnAckProperties>>,
    ) -> Option<Event<'static>> {
        self.unheard = None;
        if reason != 0 {
            self.end();
            let (text, server_reference) = match properties {
                Some(properties) => (properties.reason_string, properties.server_reference),
                None => (None, None),
            };
            return Some(Event::Refused { reason, text, server_reference });
        }
        if session_present && self.clean {
            return self.violated(0x82, "CONNACK with Session Present after Clean Start".to_owned());
        }
        self.phase = Phase::Connected;
        let mut keep_alive = self.options.connect.keep_alive;
        if let Some(properties) = &properties {
            self.limits.obey(properties);
            keep_alive = properties.server_keep_alive.unwrap_or(keep_alive);
            if let Some(id) = &properties.assigned_client_identifier {
                self.options.connect.client_id.clone_from(id);
            }
        }
        self.timers.keep_alive = (keep_alive != 0).then(|| Duration::from_secs(u64::from(keep_alive)));
        self.connack = properties;
        let reconnected = std::mem::replace(&mut self.ever_connected, true);
        let doubt = std::mem::take(&mut self.doubt) && session_present;
        let doubled = if session_present { self.resume(doubt) } else { self.begin_anew() };
        Some(Event::Connected { session_present, reconnected, doubt, doubled })
    }

    /// The server has kept the session: PUBREL and PUBLISH again (MQTT 5.0 section 4.4), and what had no answer.
    ///
    /// In doubt it may be a session that began with a CONNECT whose CONNACK never came. Such a one has no
    /// subscriptions, takes a repeated PUBLISH at QoS 2 for a new one, knows nothing of those past PUBREC,
    /// and uses packet identifiers of its own.
    fn resume(&mut self, doubt: bool) -> u64 {
        for pkid in self.outgoing.released() {
            if let Some(serial) = self.queue_ack(codec::AckType::PubRel, pkid, 0) {
                self.outgoing.released_again(pkid, serial);
            }
        }
        self.repeat_requests();
        let mut doubled = 0;
        if doubt {
            doubled = self.outgoing.handle_session_in_doubt();
            self.received.values_mut().for_each(|received| received.doubt = true);
            self.renew_subscriptions_in_doubt();
        }
        self.send_waiting();
        doubled
    }

    /// The server has a new session. Subscriptions come before the PUBLISHes, whose replies they may be for.
    fn begin_anew(&mut self) -> u64 {
        self.received.clear();
        let (through, doubled) = self.outgoing.handle_session_lost();
        let through = through.into_iter().map(|(id, reason)| Event::Acknowledged { id, reason, text: None });
        self.events.extend(through);
        self.renew_subscriptions();
        self.send_waiting();
        doubled
    }
}
