//! How a connection of `cat` ended, and the run: what to try again, and the verdict.

use std::time::Instant;

use log::{info, warn};

use super::{Cat, Phase};
use crate::{
    mode::{Failure, Kind, describe_close, is_normal_close},
    proto::{format::escape, link::Lost},
};

/// What the peer's Close said.
pub(super) struct PeerClosed {
    /// Its code is of no failure.
    normal: bool,
    /// Nothing in it is worth a line.
    plain: bool,
    /// What we say, or who we are, is refused, and would be again: 1002, 1003, 1007 to 1010 (RFC 6455
    /// section 7.4.1).
    pub(super) permanent: bool,
    text: String,
}

impl Cat {
    pub(super) fn handle_close(&mut self, close: Option<(u16, &str)>) {
        if self.phase == Phase::Closing {
            // The answer to ours: the peer has read all that went before.
            self.outgoing.handle_confirmed_all();
        }
        let plain = matches!(close, None | Some((1000 | 1005, "")));
        let permanent = matches!(close, Some((1002 | 1003 | 1007..=1010, _)));
        let (normal, text) = (is_normal_close(close), describe_close(close));
        self.peer_closed.get_or_insert(PeerClosed { normal, plain, permanent, text });
    }

    /// Whether to try again after this end of a connection.
    pub(super) fn wants_retry(&self) -> bool {
        let left = self.options.max_retries.is_none_or(|most| self.retries < most);
        self.options.reconnect && self.connected_before && left && self.failure.is_none() && !self.stopped
    }

    /// How the end of the connection reads where nothing else is to blame.
    pub(super) fn describe_end(&self, lost: &Lost, now: Instant) -> Failure {
        if let Some(PeerClosed { normal, text, .. }) = &self.peer_closed {
            let kind = if *normal { Kind::TestFailed } else { Kind::Ended };
            return Failure::new(kind, format!("{}: the server closed the connection {text}", self.url));
        }
        let mut failure = Failure::lost(lost, &self.url, "reading");
        if let Some(seconds) = self.stalls.seconds(now) {
            failure.text.push_str(&format!("; stdout stalled {seconds} s before"));
        }
        failure
    }

    /// The connection is over for good: the verdict.
    pub(super) fn end(&mut self, lost: &Lost, now: Instant) {
        // After our own Close the connection may end in any way but by an error or a message that is refused:
        // both may hide what should have been printed.
        let hides = matches!(lost, Lost::Io(_) | Lost::Violation(..) | Lost::TooLarge(_));
        let asked = self.phase == Phase::Closing && !hides;
        self.phase = Phase::Ended;
        if self.output_gone {
            return;
        }
        if self.failure.is_some() {
            self.account("");
            return;
        }
        let normal = asked || self.peer_closed.as_ref().is_some_and(|close| close.normal);
        let how = if asked { None } else { Some(self.describe_end(lost, now)) };
        if asked && *lost == Lost::Unanswered {
            warn!("{}: the server did not answer our Close", self.url);
        }
        let before = how.as_ref().map_or_else(|| self.url.clone(), |how| how.text.clone());
        if self.account(&before) {
            return;
        }
        if !normal {
            self.failure = how;
        } else if !self.met && !self.stopped {
            self.failure = Some(self.unmet());
        } else if let Some(how) = how {
            match self.peer_closed.as_ref().is_some_and(|close| close.plain) {
                true => info!("{}", how.text),
                false => warn!("{}", how.text),
            }
        }
    }

    /// Says at the end what of stdin is not known to have been read, beside the failure that there is, or as one
    /// of its own behind `before`; false where there is nothing to say.
    pub(super) fn account(&mut self, before: &str) -> bool {
        let Some(text) = self.outgoing.shortfall().filter(|_| !self.output_gone) else { return false };
        match &mut self.failure {
            Some(failure) => failure.text.push_str(&format!(": {text}")),
            None => self.failure = Some(Failure::new(Kind::Unconfirmed, format!("{before}: {text}"))),
        }
        true
    }

    /// `-C` or `--until` is not met at the end.
    fn unmet(&self) -> Failure {
        let text = match self.options.count {
            Some(count) => format!("{}: {} of {count} messages received", self.url, self.received),
            None => {
                let until = escape(self.options.until.as_deref().unwrap_or_default());
                format!("{}: no message with {until:?} among {} received", self.url, self.received)
            }
        };
        Failure::new(Kind::TestFailed, text)
    }
}
