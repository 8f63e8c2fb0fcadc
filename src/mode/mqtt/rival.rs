//! Another client with our client id.
//!
//! A server that gives the session to the newer of two connections says so by DISCONNECT 0x8E, which ends us. Some
//! only end the older connection (mosquitto 2.0.11, over TCP and over WebSocket, in 3.1.1 and in 5.0: end of stream
//! with no Close), and the two clients then take the session from each other for ever, each with gaps or
//! repetitions. One of them has to give up, and what it sees is a server that always accepts it and ends the
//! connection soon after: [`ROW`] times in a row, that is the end.
//!
//! A network that flaps or a server that restarts looks different: an attempt that fails, an error of the socket, a
//! connection that lasted, or a session that is not there when it was asked for begins the row anew. A client id
//! that we made up has no other user, and is never suspected.

use std::time::{Duration, Instant};

use crate::proto::link::Lost;

/// So many short connections in a row are no accident.
const ROW: u32 = 4;
/// A connection that lasted so long after CONNACK was not cut short.
const SHORT: Duration = Duration::from_secs(10);

/// Counts the connections cut short.
pub(super) struct Rival {
    /// The client id is the user's.
    named: bool,
    /// CONNACK of a reconnect, with the session if one was asked for.
    accepted: Option<Instant>,
    row: u32,
}

impl Rival {
    pub(super) fn new(named: bool) -> Rival {
        Rival { named, accepted: None, row: 0 }
    }

    /// CONNACK 0x00. `resumed` at a reconnect that found the session, or asked for none.
    pub(super) fn handle_accepted(&mut self, resumed: bool, now: Instant) {
        self.accepted = resumed.then_some(now);
    }

    /// The connection is gone. Whether it was the last of the row.
    pub(super) fn handle_lost(&mut self, lost: &Lost, now: Instant) -> bool {
        let accepted = self.accepted.take();
        let short = accepted.is_some_and(|at| now.saturating_duration_since(at) < SHORT);
        let quiet = matches!(lost, Lost::Closed | Lost::Eof);
        self.row = if self.named && short && quiet { self.row + 1 } else { 0 };
        self.row >= ROW
    }

    /// Something else is the matter.
    pub(super) fn reset(&mut self) {
        self.accepted = None;
        self.row = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Connections with how long they last and how they end: whether the last of them ends it.
    fn ends(named: bool, lives: &[(Duration, Lost)]) -> bool {
        let (mut rival, mut now, mut last) = (Rival::new(named), Instant::now(), false);
        for (life, lost) in lives {
            assert!(!last, "it went on after the end");
            rival.handle_accepted(true, now);
            now += *life;
            last = rival.handle_lost(lost, now);
            now += SECOND;
        }
        last
    }

    #[test]
    fn short_connections_in_a_row_are_the_end() {
        let [long, short] = [(9 * SECOND, Lost::Eof), (Duration::ZERO, Lost::Closed)];
        let short = [long.clone(), short, long.clone(), long];
        assert!(!ends(true, &short[..3]));
        assert!(ends(true, &short));
        assert!(!ends(false, &short), "a client id that we made up");
    }

    #[test]
    fn anything_else_begins_the_row_anew() {
        let short = vec![(SECOND, Lost::Eof); 3];
        for other in
            [(10 * SECOND, Lost::Eof), (SECOND, Lost::Io("reset".into())), (SECOND, Lost::Unanswered)]
        {
            let mut lives = short.clone();
            lives.push(other);
            lives.extend(short.clone());
            assert!(!ends(true, &lives));
            lives.push((SECOND, Lost::Eof));
            assert!(ends(true, &lives));
        }
        let (mut rival, now) = (Rival::new(true), Instant::now());
        for _ in 0..3 {
            for _ in 0..3 {
                rival.handle_accepted(true, now);
                assert!(!rival.handle_lost(&Lost::Eof, now));
            }
            // Nobody listened.
            rival.reset();
            for _ in 0..3 {
                rival.handle_accepted(true, now);
                assert!(!rival.handle_lost(&Lost::Eof, now));
            }
            // The server has forgotten the session: it was restarted.
            rival.handle_accepted(false, now);
            assert!(!rival.handle_lost(&Lost::Eof, now));
        }
    }
}
