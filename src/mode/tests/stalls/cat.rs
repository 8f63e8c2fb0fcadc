//! `cat`: Pings go out while nothing is read, and no limit counts what nobody could have heard.

use super::*;
use crate::proto::framing::Framing;

/// Seconds between Pings.
const INTERVAL: u32 = 5;
const COUNT: usize = 2000;
const SIZE: usize = 1000;

/// A server that has sent all its messages at once and answers every Ping.
#[derive(Default)]
struct Server {
    pings: u32,
    pongs: bool,
    data: usize,
    closed: bool,
}

impl Peer for Server {
    fn handle(&mut self, transmit: Transmit, wire: &mut VecDeque<Sent>) {
        assert!(!self.closed, "{transmit:?} after Close");
        match transmit {
            Transmit::Ping(payload) => {
                self.pings += 1;
                wire.extend(self.pongs.then_some(Sent::Pong(payload)));
            }
            Transmit::Data { .. } => self.data += 1,
            Transmit::Close { .. } => {
                self.closed = true;
                wire.push_back(Sent::Close);
            }
        }
    }
}

fn options() -> config::Cat {
    config::Cat {
        input: Framing::Line,
        output: Framing::Line,
        binary: false,
        strict: false,
        no_stdin: true,
        count: None,
        until: None,
        quiet: Some(SECOND),
        timeout: None,
        ping_interval: Some(INTERVAL * SECOND),
        ping_timeout: Some(3 * SECOND),
        on_open: Vec::new(),
        reconnect: false,
        max_retries: None,
        close_code: 1000,
        close_reason: String::new(),
        echo: false,
        raw: false,
    }
}

/// The reader is away, with all messages on the wire.
fn stalled(options: config::Cat, pongs: bool) -> Stall<Server> {
    let mode = Mode::Cat(endpoint("ws://h/", url::Purpose::WebSocket), options);
    let machine = machine(&mode, world()).expect("cat connects");
    let mut stall = Stall::new(machine, Server { pongs, ..Server::default() }, SIZE + 1);
    stall.wire.extend((0..COUNT).map(|n| Sent::Message(Frame::Text, payload(n, SIZE))));
    stall.settle();
    assert!(!stall.reading, "the mark is reached");
    stall
}

#[test]
fn ten_minutes_without_a_reader_cost_nothing() {
    // stdin has ended: the quiet of -w rests too.
    let mut stall = stalled(options(), true);
    let unread = stall.wire.len();
    stall.pass(AWAY);
    assert_eq!(stall.peer.pings, AWAY / INTERVAL);
    assert!(!stall.peer.closed && !stall.reading && stall.printed.is_empty());
    assert_eq!(stall.wire.len(), unread + stall.peer.pings as usize, "nothing was read, no Pong either");
    let back = stall.now;
    assert_eq!(stall.finish(60), Ok(()));
    assert!(stall.printed == lines(COUNT, SIZE), "all of it, in order");
    assert!(
        stall.peer.closed && stall.peer.pings == AWAY / INTERVAL,
        "the quiet is shorter than the interval"
    );
    assert!(stall.now - back >= SECOND);
    stall.assert_bounded();
}

#[test]
fn stdin_flows_while_nothing_is_read() {
    let mut stall = stalled(config::Cat { no_stdin: false, ..options() }, true);
    for n in 0..AWAY {
        assert!(stall.machine.wants_input());
        stall.machine.handle_input(Bytes::from(format!("{n}\n")), stall.now);
        stall.pass(1);
        assert_eq!(stall.peer.data, n as usize + 1);
    }
    assert_eq!(stall.peer.pings, AWAY / INTERVAL);
    stall.machine.handle_input_end(stall.now);
    stall.pass(AWAY);
    assert!(!stall.peer.closed, "the quiet rests");
    assert_eq!(stall.finish(60), Ok(()));
    assert!(stall.printed == lines(COUNT, SIZE));
    stall.assert_bounded();
}

#[test]
fn pings_do_not_gather_where_the_socket_is_stuck_too() {
    let mut stall = stalled(options(), true);
    stall.stuck = true;
    stall.pass(AWAY);
    assert_eq!((stall.queued.len(), stall.peer.pings), (1, 0));
    stall.stuck = false;
    assert_eq!(stall.finish(60), Ok(()));
    assert_eq!(stall.peer.pings, 1);
    assert!(stall.printed == lines(COUNT, SIZE));
}

#[test]
fn a_silent_peer_has_its_whole_limit_once_the_reader_is_back() {
    let mut stall = stalled(config::Cat { quiet: None, ..options() }, false);
    stall.pass(AWAY);
    stall.taken = true;
    stall.settle();
    let resumed = stall.now;
    assert!(stall.reading && stall.printed == lines(COUNT, SIZE));
    let machine = &mut stall.machine;
    let late = resumed + 3 * SECOND;
    assert_eq!(machine.poll_drop(late - Duration::from_nanos(1)), None);
    assert_eq!(machine.poll_deadline(), Some(late), "before the next Ping");
    assert_eq!(machine.poll_drop(late), Some(Lost::Silent(3 * SECOND)));
    machine.handle_lost(Lost::Silent(3 * SECOND), Handed::default(), late);
    let failure = machine.take_outcome().expect_err("a dead peer");
    assert_eq!(failure.kind, Kind::TimedOut);
    assert!(failure.text.ends_with("; stdout stalled 600 s before"), "{}", failure.text);
}

#[test]
fn a_peer_that_had_enough_is_told_of_with_the_reason() {
    let mut stall = stalled(options(), false);
    stall.wire.push_back(Sent::End);
    stall.pass(AWAY);
    assert!(!stall.over, "its end lies unread");
    let failure = stall.finish(60).expect_err("it is gone");
    assert_eq!(failure.kind, Kind::Lost);
    assert!(failure.text.ends_with("; stdout stalled 600 s before"), "{}", failure.text);
    assert!(stall.printed == lines(COUNT, SIZE), "what came before is printed");
    stall.assert_bounded();
}
