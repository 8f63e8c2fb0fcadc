//! What goes out, and what is known of it: not sent, sent (the kernel has it), confirmed (the peer answered a
//! Ping or our Close that was sent after it).

use std::collections::VecDeque;

use bytes::Bytes;

use crate::{
    config,
    mode::Handed,
    proto::{
        framing::{self, Decoder, Piece},
        keepalive::Keepalive,
        link::{Kind, Transmit},
    },
};

/// Echoes that wait above this many bytes stop the reading of more.
const ECHO_MARK: usize = 1024 * 1024;

/// What is given and may still be in user space is not much more than this, in bytes of payload and in
/// pieces. The next is held back until the kernel has all of it: a peer that reads, but never fast enough to
/// empty the queue, would else have records of it gather for as long as the stream lasts; and where a peer reads
/// nothing while its replies are not read, a short queue leaves the loop free to read them.
const HOLD_BYTES: usize = 128 * 1024;
const HOLD_PIECES: usize = 16 * 1024;

/// What a piece takes of memory: an empty message is not free.
fn weight(piece: &Piece) -> usize {
    size_of::<Piece>() + piece.payload.len()
}

/// Something given to the loop that may still be in user space.
enum Given {
    /// A Ping, Close, or a message of `--on-open`, which every connection gets: no part of what counts.
    Other,
    /// Kept where there may be another connection to give it to.
    Piece { kept: Option<Piece>, last: bool },
}

/// The machine's sending half. Counts are of messages; those of `--on-open` are not among them.
pub struct Outgoing {
    decoder: Decoder,
    kind: Kind,
    on_open: Vec<Bytes>,
    /// How many of `on_open` this connection has got, and how many of those nothing confirms yet.
    opened: usize,
    open_unconfirmed: u64,
    /// A Ping went behind them.
    open_barred: bool,
    /// Goes before what the decoder has: what a lost connection left, and echoes.
    pending: VecDeque<Piece>,
    /// What `pending` takes, see [`weight`].
    pending_bytes: usize,
    /// Since the loop last said that the kernel has all.
    recent: VecDeque<Given>,
    recent_bytes: usize,
    /// There may be another connection, so what the kernel did not get is kept.
    keep: bool,
    echo: bool,
    /// The decoder has nothing to give until more is read.
    dry: bool,
    /// The rest of a message that was cut is passed over.
    skipping: bool,
    /// The last piece given was not the last of its message; the same for the last that the kernel got.
    mid: bool,
    wire_open: bool,
    given: u64,
    sent: u64,
    confirmed: u64,
    /// Sent on a connection that is lost, and not confirmed.
    unknown: u64,
    /// The same of `--on-open`, on the last connection.
    open_unknown: u64,
    /// Cut in the middle by the end of a connection.
    cut: u64,
    unsent: u64,
    /// The record that the decoder refused was told of.
    refused: bool,
    /// The Ping that is a barrier, with the `given` of that moment; one at a time.
    barrier: Option<(u64, u64)>,
    /// Up to which message a barrier was sent.
    barred: u64,
    close: Option<Transmit>,
    closed: bool,
}

impl Outgoing {
    pub fn new(options: &config::Cat, kind: Kind) -> Outgoing {
        Outgoing {
            decoder: Decoder::new(options.input, kind),
            kind,
            on_open: options.on_open.clone(),
            opened: 0,
            open_unconfirmed: 0,
            open_barred: true,
            pending: VecDeque::new(),
            pending_bytes: 0,
            recent: VecDeque::new(),
            recent_bytes: 0,
            keep: options.reconnect,
            echo: options.echo,
            dry: true,
            skipping: false,
            mid: false,
            wire_open: false,
            given: 0,
            sent: 0,
            confirmed: 0,
            unknown: 0,
            open_unknown: 0,
            cut: 0,
            unsent: 0,
            refused: false,
            barrier: None,
            barred: 0,
            close: None,
            closed: false,
        }
    }

    /// More of stdin.
    pub fn push(&mut self, data: Bytes) {
        self.decoder.push(data);
        self.dry = false;
    }

    /// stdin has ended.
    pub fn finish_input(&mut self) {
        self.decoder.finish();
        self.dry = false;
    }

    /// Sends a message back.
    pub fn echo(&mut self, kind: Kind, payload: &[u8]) {
        let payload = Bytes::copy_from_slice(payload);
        let piece = Piece { kind, payload, first: true, last: true };
        self.pending_bytes += weight(&piece);
        self.pending.push_back(piece);
    }

    pub fn is_congested(&self) -> bool {
        self.pending_bytes > ECHO_MARK
    }

    pub fn wants_input(&self) -> bool {
        self.dry && self.pending.is_empty()
    }

    /// Whether nothing more is given until the kernel has what was.
    pub fn is_held(&self) -> bool {
        !self.closed && (self.recent_bytes >= HOLD_BYTES || self.recent.len() >= HOLD_PIECES)
    }

    /// Whether the kernel has all that was read.
    pub fn is_all_sent(&self) -> bool {
        self.wants_input() && self.recent.is_empty() && self.opened == self.on_open.len()
    }

    pub fn handle_connected(&mut self) {
        self.opened = 0;
        self.open_unconfirmed = 0;
        self.open_barred = true;
        self.barrier = None;
        self.barred = self.given;
        self.close = None;
        self.closed = false;
    }

    /// The kernel has all that was given.
    pub fn handle_sent(&mut self) {
        self.recent.clear();
        self.recent_bytes = 0;
        self.wire_open = self.mid;
        self.sent = self.given;
    }

    /// A Ping of keepalive was given.
    pub fn count_control(&mut self) {
        self.recent.push_back(Given::Other);
    }

    /// The peer has answered our Ping of this number, or a later one.
    pub fn handle_pong(&mut self, number: u64) {
        if let Some((_, given)) = self.barrier.take_if(|(barrier, _)| *barrier <= number) {
            self.confirmed = self.confirmed.max(given);
            // They went before everything that counts.
            self.open_unconfirmed = 0;
        }
    }

    /// The peer has said Close after we did: the answer to ours, where the kernel had that.
    pub fn handle_confirmed_all(&mut self) {
        if self.close.is_some() || !self.recent.is_empty() {
            return;
        }
        self.confirmed = self.given;
        self.sent = self.given;
        self.open_unconfirmed = 0;
    }

    /// The connection is gone. What the kernel did not get is kept for the next one, where there may be one,
    /// but a message whose beginning left is cut.
    pub fn handle_lost(&mut self, handed: Handed) {
        self.recent_bytes = 0;
        // Whether the beginning of the message at hand is on the wire.
        let mut begun = self.wire_open;
        let mut rest = Vec::new();
        for (n, given) in (0u64..).zip(std::mem::take(&mut self.recent)) {
            let whole = n < handed.whole;
            begun |= whole || (handed.partly && n == handed.whole);
            let Given::Piece { kept, last } = given else {
                begun = self.wire_open;
                continue;
            };
            self.wire_open = begun && !last;
            match (whole && last, begun) {
                (true, _) => self.sent += 1,
                (false, true) => self.cut += u64::from(last),
                (false, false) => {
                    self.given -= u64::from(last);
                    self.unsent += u64::from(last && kept.is_none());
                    rest.extend(kept);
                }
            }
            begun = self.wire_open;
        }
        if self.wire_open {
            self.cut += 1;
            self.skipping = true;
        }
        for piece in rest.into_iter().rev() {
            self.pending_bytes += weight(&piece);
            self.pending.push_front(piece);
        }
        self.wire_open = false;
        self.mid = false;
        self.unknown += self.sent - self.confirmed.min(self.sent);
        (self.sent, self.confirmed) = (self.given, self.given);
    }

    /// Close is the next and last to go.
    pub fn close(&mut self, code: u16, reason: &str) {
        let code = Some(code);
        self.close = Some(Transmit::Close { code, reason: reason.to_owned() });
        self.closed = true;
    }

    pub fn poll_close(&mut self) -> Option<Transmit> {
        let close = self.close.take()?;
        self.recent.push_back(Given::Other);
        Some(close)
    }

    /// The next to go. The error comes with whether its message has begun on the wire.
    pub fn poll_transmit(
        &mut self,
        input_ended: bool,
        keepalive: &mut Keepalive,
    ) -> Result<Option<Transmit>, (framing::Error, bool)> {
        if self.closed {
            return Ok(self.poll_close());
        }
        if let Some(payload) = self.on_open.get(self.opened).cloned() {
            self.opened += 1;
            self.open_unconfirmed += 1;
            self.open_barred = false;
            self.recent.push_back(Given::Other);
            return Ok(Some(Transmit::message(self.kind, payload)));
        }
        if let Some(piece) = self.poll_piece()? {
            return Ok(Some(self.give(piece)));
        }
        let due = (self.keep || input_ended) && !self.echo;
        let unbarred = self.given > self.barred || !self.open_barred;
        if due && self.barrier.is_none() && unbarred {
            self.open_barred = true;
            let (number, payload) = keepalive.ping();
            self.barrier = Some((number, self.given));
            self.barred = self.given;
            self.recent.push_back(Given::Other);
            return Ok(Some(Transmit::Ping(payload)));
        }
        Ok(None)
    }

    #[inline(always)]
    fn poll_piece(&mut self) -> Result<Option<Piece>, (framing::Error, bool)> {
        if let Some(piece) = self.pending.pop_front() {
            self.pending_bytes -= weight(&piece);
            return Ok(Some(piece));
        }
        while let Some(next) = self.decoder.poll_piece() {
            let mid = self.mid;
            let piece = next.map_err(|error| {
                self.refused = true;
                (error, mid)
            })?;
            if !self.skipping {
                return Ok(Some(piece));
            }
            self.skipping = !piece.last;
        }
        self.dry = true;
        Ok(None)
    }

    #[inline(always)]
    fn give(&mut self, piece: Piece) -> Transmit {
        self.given += u64::from(piece.last);
        let kept = self.keep.then(|| piece.clone());
        self.mid = !piece.last;
        self.recent_bytes += piece.payload.len();
        self.recent.push_back(Given::Piece { kept, last: piece.last });
        let Piece { kind, payload, first, last } = piece;
        Transmit::Data { kind, payload, first, last }
    }

    /// After the end: counts what is left over of what was read. `ended`: stdin has.
    pub fn handle_end(&mut self) {
        self.unsent += self.pending.drain(..).filter(|piece| piece.last).count() as u64;
        self.open_unknown = std::mem::take(&mut self.open_unconfirmed);
        let mut held = self.is_holding();
        while let Some(next) = self.decoder.poll_piece() {
            match next {
                Ok(piece) if self.skipping => self.skipping = !piece.last,
                Ok(piece) => self.unsent += u64::from(piece.last),
                Err(_) => {
                    held = !self.refused && !self.skipping;
                    break;
                }
            }
            held = self.is_holding();
        }
        self.unsent += u64::from(held);
    }

    /// Whether the decoder has a part of a message that is not to be passed over, or gave one: what began on the
    /// wire is passed over, so that of this one nothing left.
    fn is_holding(&self) -> bool {
        !self.skipping && (!self.decoder.is_empty() || self.decoder.in_message())
    }

    /// What is not known to have been read by the peer, in words; none where all is, or where nothing is of
    /// stdin: an echo is owed to nobody but the peer.
    pub fn shortfall(&self) -> Option<String> {
        if self.echo {
            return None;
        }
        let parts = [
            (self.unsent, "not sent"),
            (self.unknown, "sent but not confirmed"),
            (self.cut, "cut off in the middle"),
        ];
        let parts: Vec<String> =
            parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        let total = self.unsent + self.unknown + self.cut;
        let noun = |n: u64| if n == 1 { "message" } else { "messages" };
        let stdin = (total > 0).then(|| format!("{} of stdin: {}", noun(total), parts.join(", ")));
        let open = (self.open_unknown > 0).then(|| {
            format!("{} of --on-open: {} sent but not confirmed", noun(self.open_unknown), self.open_unknown)
        });
        let all: Vec<String> = [stdin, open].into_iter().flatten().collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::proto::framing::{FRAGMENT, Framing};

    fn outgoing() -> (Outgoing, Keepalive) {
        let options = config::Cat {
            input: Framing::Line,
            output: Framing::Line,
            binary: false,
            strict: false,
            no_stdin: false,
            count: None,
            until: None,
            quiet: None,
            timeout: None,
            ping_interval: None,
            ping_timeout: None,
            on_open: Vec::new(),
            reconnect: false,
            max_retries: None,
            close_code: 1000,
            close_reason: String::new(),
            echo: false,
            raw: false,
        };
        let mut keepalive = Keepalive::new(None, None);
        keepalive.handle_connected(Instant::now());
        (Outgoing::new(&options, Kind::Text), keepalive)
    }

    /// Gives all there is to give: how many things.
    fn give(outgoing: &mut Outgoing, keepalive: &mut Keepalive) -> usize {
        std::iter::from_fn(|| outgoing.poll_transmit(false, keepalive).expect("good input")).count()
    }

    fn left(mut outgoing: Outgoing) -> Option<String> {
        outgoing.handle_lost(Handed::default());
        outgoing.handle_end();
        outgoing.shortfall()
    }

    #[test]
    fn only_what_comes_behind_our_close_is_its_answer() {
        // How far our Close had come when the peer's arrived: asked for, queued, with the kernel.
        for (far, confirmed) in [(0, false), (1, false), (2, true)] {
            let (mut outgoing, mut keepalive) = outgoing();
            outgoing.push(Bytes::from_static(b"a\nb\n"));
            assert_eq!(give(&mut outgoing, &mut keepalive), 2);
            outgoing.handle_sent();
            outgoing.close(1000, "");
            if far > 0 {
                assert!(outgoing.poll_close().is_some());
            }
            if far > 1 {
                outgoing.handle_sent();
            }
            outgoing.handle_confirmed_all();
            let expected = (!confirmed).then(|| "messages of stdin: 2 sent but not confirmed".to_owned());
            assert_eq!(left(outgoing), expected, "{far}");
        }
    }

    #[test]
    fn a_message_of_which_nothing_left_and_whose_end_was_not_read() {
        let (mut outgoing, mut keepalive) = outgoing();
        outgoing.push(Bytes::from(vec![b'x'; 2 * FRAGMENT]));
        assert!(give(&mut outgoing, &mut keepalive) > 0);
        assert!(outgoing.decoder.is_empty() && outgoing.decoder.in_message());
        assert_eq!(left(outgoing).as_deref(), Some("message of stdin: 1 not sent"));
    }
}
