//! SUBSCRIBE, UNSUBSCRIBE, AUTH and DISCONNECT.

use std::{
    collections::{HashSet, VecDeque},
    time::Instant,
};

use super::{Event, Phase, Refusal, Session, State, codec};
use crate::proto::mqtt::packet::{Acks, Filter, Version};

/// A SUBSCRIBE, as it is sent again where the server has lost the session.
#[derive(Clone, Debug)]
pub(super) struct Subscription {
    filters: Vec<Filter>,
    id: Option<u32>,
    user_properties: Vec<(String, String)>,
}

/// A SUBSCRIBE or UNSUBSCRIBE without an answer.
#[derive(Debug)]
pub(super) struct Request {
    pub pkid: u16,
    /// Among the packets queued.
    pub serial: u64,
    pub kind: Kind,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Subscribe(Subscription),
    Unsubscribe { filters: Vec<String>, user_properties: Vec<(String, String)> },
}

/// The filters that SUBSCRIBEs under way ask for. A set, as the others here: a SUBSCRIBE may have 65,535 of them
/// and more.
fn asked_for(requests: &VecDeque<Request>) -> HashSet<&str> {
    let subscribes = requests.iter().filter_map(|request| match &request.kind {
        Kind::Subscribe(subscription) => Some(&subscription.filters),
        Kind::Unsubscribe { .. } => None,
    });
    subscribes.flatten().map(|filter| filter.filter.as_str()).collect()
}

/// Forgets subscriptions by their filters.
fn forget(subscriptions: &mut Vec<Subscription>, gone: &HashSet<&str>) {
    if gone.is_empty() {
        return;
    }
    for subscription in subscriptions.iter_mut() {
        subscription.filters.retain(|filter| !gone.contains(filter.filter.as_str()));
    }
    subscriptions.retain(|subscription| !subscription.filters.is_empty());
}

impl State {
    fn subscribe(&mut self, subscription: Subscription) -> Result<(), Refusal> {
        self.check_subscription(&subscription)?;
        self.request(Kind::Subscribe(subscription.clone()))?;
        let again = subscription.filters.iter().map(|filter| filter.filter.as_str()).collect();
        forget(&mut self.subscriptions, &again);
        self.subscriptions.push(subscription);
        Ok(())
    }

    fn check_subscription(&self, subscription: &Subscription) -> Result<(), Refusal> {
        let any = |test: fn(&str) -> bool| subscription.filters.iter().any(|filter| test(&filter.filter));
        if !self.limits.wildcard && any(|filter| filter.contains(['+', '#'])) {
            return Err(Refusal::Unavailable("wildcard subscriptions"));
        }
        if !self.limits.shared && any(|filter| filter.starts_with("$share/")) {
            return Err(Refusal::Unavailable("shared subscriptions"));
        }
        if !self.limits.subscription_ids && subscription.id.is_some() {
            return Err(Refusal::Unavailable("subscription identifiers"));
        }
        Ok(())
    }

    fn request(&mut self, kind: Kind) -> Result<(), Refusal> {
        if self.phase != Phase::Connected {
            return Err(Refusal::NotNow);
        }
        let pkid = self.take_id().ok_or(Refusal::NotNow)?;
        let serial = self.queue_request(pkid, &kind)?;
        self.requests.push_back(Request { pkid, serial, kind });
        Ok(())
    }

    fn queue_request(&mut self, pkid: u16, kind: &Kind) -> Result<u64, Refusal> {
        self.queue(|out, version| match kind {
            Kind::Subscribe(Subscription { filters, id, user_properties }) => {
                codec::subscribe(out, version, pkid, filters, *id, user_properties)
            }
            Kind::Unsubscribe { filters, user_properties } => {
                codec::unsubscribe(out, version, pkid, filters, user_properties)
            }
        })
    }

    /// The session is back: what had no answer is asked again.
    pub fn repeat_requests(&mut self) {
        for mut request in std::mem::take(&mut self.requests) {
            match self.queue_request(request.pkid, &request.kind) {
                Ok(serial) => {
                    request.serial = serial;
                    self.requests.push_back(request);
                }
                Err(refusal) => self.refused(request.kind, &refusal),
            }
        }
    }

    /// The session is lost: all subscriptions are asked for again, after the UNSUBSCRIBEs without an answer,
    /// which would otherwise undo some of them.
    pub fn renew_subscriptions(&mut self) {
        self.requests.retain(|request| matches!(request.kind, Kind::Unsubscribe { .. }));
        self.repeat_requests();
        self.ask_again(self.subscriptions.clone());
    }

    /// The session may be one without our subscriptions: those that no SUBSCRIBE under way asks for are asked
    /// for again. In 5.0 retained messages are sent only where the subscription is new; 3.1.1 repeats them.
    pub fn renew_subscriptions_in_doubt(&mut self) {
        let mut missing = self.subscriptions.clone();
        forget(&mut missing, &asked_for(&self.requests));
        if self.version == Version::V5 {
            for filter in missing.iter_mut().flat_map(|subscription| &mut subscription.filters) {
                filter.retain_handling = filter.retain_handling.max(1);
            }
        }
        self.ask_again(missing);
    }

    fn ask_again(&mut self, subscriptions: Vec<Subscription>) {
        for subscription in subscriptions {
            let kind = Kind::Subscribe(subscription);
            if let Err(refusal) = self.request(kind.clone()) {
                self.refused(kind, &refusal);
            }
        }
    }

    /// What an earlier connection allowed is above this server's limits: it shall be as if the server refused.
    fn refused(&mut self, kind: Kind, refusal: &Refusal) {
        let text = Some("above the limits of the server on this connection".to_owned());
        let event = match kind {
            Kind::Subscribe(Subscription { filters, .. }) => {
                Event::Subscribed { reasons: vec![refusal.reason(); filters.len()], filters, text }
            }
            Kind::Unsubscribe { filters, .. } => {
                Event::Unsubscribed { reasons: vec![refusal.reason(); filters.len()], filters, text }
            }
        };
        self.events.push_back(event);
    }

    /// Takes out the request that an answer belongs to.
    fn answered(&mut self, pkid: u16, wanted: fn(&Kind) -> bool) -> Option<Kind> {
        let n = self.requests.iter().position(|request| request.pkid == pkid && wanted(&request.kind))?;
        self.requests.remove(n).map(|request| request.kind)
    }

    pub fn handle_suback(&mut self, acks: Acks) -> Option<Event<'static>> {
        let kind = self.answered(acks.pkid, |kind| matches!(kind, Kind::Subscribe(_)));
        let Some(Kind::Subscribe(Subscription { filters, .. })) = kind else {
            return self.violated(0x82, "SUBACK for no SUBSCRIBE of ours".to_owned());
        };
        if filters.len() != acks.reasons.len() {
            return self.violated(0x82, "SUBACK with another number of reasons than filters".to_owned());
        }
        let refused = filters.iter().zip(&acks.reasons).filter(|(_, reason)| **reason >= 0x80);
        let mut refused: HashSet<&str> = refused.map(|(filter, _)| filter.filter.as_str()).collect();
        if !refused.is_empty() {
            let asked = asked_for(&self.requests);
            refused.retain(|filter| !asked.contains(filter));
        }
        forget(&mut self.subscriptions, &refused);
        Some(Event::Subscribed { filters, reasons: acks.reasons, text: acks.text })
    }

    pub fn handle_unsuback(&mut self, mut acks: Acks) -> Option<Event<'static>> {
        let kind = self.answered(acks.pkid, |kind| matches!(kind, Kind::Unsubscribe { .. }));
        let Some(Kind::Unsubscribe { filters, .. }) = kind else {
            return self.violated(0x82, "UNSUBACK for no UNSUBSCRIBE of ours".to_owned());
        };
        if self.version == Version::V311 {
            acks.reasons = vec![0; filters.len()];
        }
        if filters.len() != acks.reasons.len() {
            return self.violated(0x82, "UNSUBACK with another number of reasons than filters".to_owned());
        }
        Some(Event::Unsubscribed { filters, reasons: acks.reasons, text: acks.text })
    }

    fn disconnect(&mut self, reason: u8, last: bool) {
        if !matches!(self.phase, Phase::Connecting | Phase::Connected) {
            return;
        }
        // Where CONNECT's expiry was 0, DISCONNECT may not raise it [MQTT-3.14.2-2].
        let asked = self.options.connect.properties.session_expiry_interval.unwrap_or(0);
        let expiry = self.options.final_expiry.filter(|_| asked != 0 && last);
        let user = std::mem::take(&mut self.options.disconnect_user_properties);
        // Above the server's Maximum Packet Size a property is left out [MQTT-3.14.2-4]: without DISCONNECT
        // the will would be published.
        for (expiry, user) in [(expiry, &user[..]), (expiry, &[]), (None, &[])] {
            // Other failures: 0x04 in 3.1.1, where closing without DISCONNECT is what has the will published.
            let queued = self.queue(|out, version| codec::disconnect(out, version, reason, expiry, user));
            if !matches!(queued, Err(Refusal::TooLarge(..))) {
                break;
            }
        }
        self.options.disconnect_user_properties = user;
        self.phase = Phase::Closing;
    }
}

impl Session {
    /// Queues SUBSCRIBE. The subscriptions are remembered, and asked for again where a server has lost the
    /// session. `id` and `user_properties` are for 5.0 only.
    pub fn subscribe(
        &mut self,
        filters: &[Filter],
        id: Option<u32>,
        user_properties: &[(String, String)],
        _now: Instant,
    ) -> Result<(), Refusal> {
        let (filters, user_properties) = (filters.to_vec(), user_properties.to_vec());
        self.state.subscribe(Subscription { filters, id, user_properties })
    }

    /// Queues UNSUBSCRIBE, and forgets the subscriptions.
    pub fn unsubscribe(
        &mut self,
        filters: &[String],
        user_properties: &[(String, String)],
        _now: Instant,
    ) -> Result<(), Refusal> {
        let user_properties = user_properties.to_vec();
        self.state.request(Kind::Unsubscribe { filters: filters.to_vec(), user_properties })?;
        forget(&mut self.state.subscriptions, &filters.iter().map(String::as_str).collect());
        Ok(())
    }

    /// Queues AUTH: the next step of an exchange (0x18), or the first of another (0x19). 5.0 only, and only with
    /// an authentication method in CONNECT.
    pub fn auth(
        &mut self,
        reason: u8,
        method: &str,
        data: Option<&[u8]>,
        _now: Instant,
    ) -> Result<(), Refusal> {
        let state = &mut self.state;
        let asked = state.options.connect.properties.authentication_method.is_some();
        let open = matches!(state.phase, Phase::Connecting | Phase::Connected);
        if !asked || !open || state.version != Version::V5 {
            return Err(Refusal::NotNow);
        }
        state.queue(|out, _| codec::auth(out, reason, method, data)).map(drop)
    }

    /// Queues DISCONNECT, with the final expiry where there is one; nothing is queued after it. In 3.1.1 it is
    /// plain, and with 0x04 (publish the will) nothing is queued: closing is all it takes. Without a connection
    /// it does nothing. A `reason` that a client may not send queues nothing either.
    pub fn disconnect(&mut self, reason: u8, _now: Instant) {
        self.state.disconnect(reason, true);
    }

    /// The same where another connection is to follow: the session stays, for as long as CONNECT asked for.
    pub fn disconnect_for_now(&mut self, reason: u8, _now: Instant) {
        self.state.disconnect(reason, false);
    }
}
