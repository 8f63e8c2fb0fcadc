//! The client, the broker, and the connections between them, as one machine in virtual time.

use std::{
    collections::{BTreeSet, VecDeque},
    time::{Duration, Instant},
};

use super::{
    super::{AckToken, LIMIT, Options, Session},
    books::Books,
    broker::{Broker, LANES, Packet},
    operations::{Operation, Setup},
    packets::{self, Check, Number, Told},
    wire::Wire,
};

/// One TCP connection.
#[derive(Default)]
pub struct Link {
    pub number: u64,
    /// Bytes on their way to the broker, and to the client.
    up: VecDeque<u8>,
    down: VecDeque<u8>,
    /// Where in all the bytes to the client a packet ends, and what it says.
    marks: VecDeque<(u64, Told)>,
    written: u64,
    arrived: u64,
}

/// A time that every test of a seed begins at: none of it depends on which.
pub struct World {
    pub setup: Setup,
    pub now: Instant,
    started: Instant,
    pub session: Session,
    pub wire: Wire,
    pub broker: Broker,
    pub books: Books,
    pub link: Option<Link>,
    old: Vec<Link>,
    links: u64,
    /// Handed out, not yet in the kernel.
    pub pending: VecDeque<u8>,
    /// What stdout is still to take, in order of arrival.
    pub outputs: VecDeque<(Number, Option<AckToken>)>,
    pub shown: u64,
    pub taken: u64,
    pub reading: bool,
    /// The owner gives the connection up once all is sent.
    pub leaving: bool,
    /// What the owner has subscribed to.
    pub wanted: BTreeSet<u8>,
    /// QoS 0 messages that no PINGRESP covers.
    pub unconfirmed: VecDeque<Number>,
    pub trace: Option<Vec<String>>,
}

impl World {
    pub fn new(setup: &Setup, trace: bool) -> World {
        let now = Instant::now();
        let options: Options = setup.options();
        World {
            setup: setup.clone(),
            now,
            started: now,
            session: Session::new(options),
            wire: Wire::default(),
            broker: Broker::new(setup),
            books: Books::default(),
            link: None,
            old: Vec::new(),
            links: 0,
            pending: VecDeque::new(),
            outputs: VecDeque::new(),
            shown: 0,
            taken: 0,
            reading: true,
            leaving: false,
            wanted: BTreeSet::new(),
            unconfirmed: VecDeque::new(),
            trace: trace.then(Vec::new),
        }
    }

    pub fn note(&mut self, text: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("  {:9.3} s  {}", (self.now - self.started).as_secs_f64(), text()));
        }
    }

    pub fn apply(&mut self, operation: Operation) -> Check {
        use Operation::*;
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{operation:?}"));
        }
        match operation {
            Publish { .. } => return self.publish(operation),
            Inject { .. } => self.inject(operation),
            Subscribe(topic) => return self.subscribe(topic, true),
            Unsubscribe(topic) => return self.subscribe(topic, false),
            Ping => self.session.ping(self.now),
            Kernel(n) => return self.kernel(n),
            Up(n) => return self.up(n).map(drop),
            Old(n) => return self.old(n),
            Answer { lane, count } => drop(self.answer(usize::from(lane), count)),
            Down(n) => return self.down(n).map(drop),
            Take(n) => drop(self.take(n)),
            Flow => return self.flow().map(drop),
            Connect => self.connect(),
            Cut(n) => return self.cut(n),
            Drop(n) => self.drop_link(n),
            Forget => self.forget(),
            Shutdown => self.shut_down(),
            Refuse => self.broker.refuse(),
            Leave => self.leave(),
            Reading(on) => self.read(on),
            Pass(millis) => return self.pass(Duration::from_millis(u64::from(millis))),
        }
        Ok(())
    }

    fn connect(&mut self) {
        if self.link.is_some() {
            return;
        }
        self.links += 1;
        self.books.tally.connections += 1;
        self.link = Some(Link { number: self.links, ..Link::default() });
        self.broker.open(self.links);
        self.wire.begin();
        self.session.handle_connected(self.now, self.now + LIMIT);
    }

    /// The client takes leave of the connection, or sees that it is gone.
    pub fn lost(&mut self, left: u32) -> Check {
        let Some(mut link) = self.link.take() else { return Ok(()) };
        self.note(|| format!("connection {} is lost", link.number));
        self.drain()?;
        self.books.tally.cuts += 1;
        let torn = !link.up.is_empty() || !link.down.is_empty() || !self.pending.is_empty();
        self.books.tally.torn += u64::from(torn);
        link.up.truncate(left as usize);
        link.down.clear();
        // The broker goes on with it until it sees the end, or the client comes back.
        self.old.push(link);
        if self.old.len() > 3 {
            let gone = self.old.remove(0);
            self.broker.close(gone.number);
        }
        self.pending.clear();
        self.leaving = false;
        self.session.handle_lost(self.now);
        self.books.tally.unknown += self.unconfirmed.len() as u64;
        self.unconfirmed.clear();
        self.check_unknown(0)
    }

    fn check_unknown(&self, unconfirmed: u64) -> Check {
        let (unknown, left) = (self.session.unknown(), self.session.unconfirmed());
        let tally = &self.books.tally;
        if (unknown, left) != (tally.unknown + tally.unknown_qos2, unconfirmed) {
            let (qos0, qos2) = (tally.unknown, tally.unknown_qos2);
            return Err(format!("{unknown} messages unknown, not {qos0} at QoS 0 and {qos2} at QoS 2"));
        }
        Ok(())
    }

    fn cut(&mut self, left: u32) -> Check {
        self.lost(left)
    }

    /// The broker loses the connection; the client sees it when it has read what is left.
    fn drop_link(&mut self, left: u32) {
        let Some(link) = &mut self.link else { return };
        self.broker.close(link.number);
        link.up.clear();
        link.down.truncate(left as usize);
    }

    fn forget(&mut self) {
        self.broker.forget(&mut self.books);
        self.old.clear();
    }

    fn shut_down(&mut self) {
        let Some((number, said)) = self.broker.shut_down() else { return };
        self.tell(number, said);
    }

    fn tell(&mut self, number: u64, packets: impl IntoIterator<Item = Packet>) {
        for (bytes, told) in packets {
            self.note(|| format!("broker, connection {number}: {told:?}"));
            // What is for a connection that the client has given up goes nowhere.
            let Some(link) = self.link.as_mut().filter(|link| link.number == number) else { continue };
            link.down.extend(&bytes);
            link.written += bytes.len() as u64;
            link.marks.push_back((link.written, told));
        }
    }

    pub fn leave(&mut self) {
        if self.link.is_some() && !self.leaving {
            self.leaving = true;
            self.session.disconnect_for_now(0, self.now);
        }
    }

    fn read(&mut self, on: bool) {
        self.reading = on;
        self.session.handle_reading(on, self.now);
    }

    /// Takes what the session hands out, and lets the kernel have some of it.
    fn kernel(&mut self, n: u32) -> Check {
        if self.link.is_none() {
            return Ok(());
        }
        while self.pending.len() < 65_536 {
            let Some(bytes) = self.session.poll_transmit(self.now) else { break };
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let (_, end) = packets::frame(rest).ok_or("half a packet is handed out")?;
                let packet = packets::parse(&rest[..end], self.setup.version)?;
                rest = &rest[end..];
                self.note(|| format!("client: {packet:?}"));
                self.wire.handed(&packet, &self.books, self.taken, self.now)?;
            }
            self.pending.extend(&bytes);
        }
        let Some(link) = &mut self.link else { return Ok(()) };
        let n = self.pending.len().min(n as usize);
        let part = self.pending.drain(..n);
        match self.broker.is_open(link.number) {
            true => link.up.extend(part),
            // It goes to a broker that is gone.
            false => drop(part),
        }
        if self.pending.is_empty() {
            self.session.handle_sent(self.now);
            if self.leaving {
                return self.lost(u32::MAX);
            }
        } else if n > 0 {
            self.session.handle_progress(self.now);
        }
        Ok(())
    }

    fn up(&mut self, n: u32) -> Check<bool> {
        let Some(mut link) = self.link.take() else { return Ok(false) };
        let moved = self.arrive(&mut link, n);
        self.link = Some(link);
        let (moved, answers) = moved?;
        if let Some(number) = self.link.as_ref().map(|link| link.number) {
            self.tell(number, answers);
        }
        Ok(moved)
    }

    /// An old connection still delivers.
    fn old(&mut self, n: u32) -> Check {
        let mut old = std::mem::take(&mut self.old);
        for link in &mut old {
            self.arrive(link, n)?;
        }
        self.old = old;
        Ok(())
    }

    fn arrive(&mut self, link: &mut Link, n: u32) -> Check<(bool, Vec<Packet>)> {
        let n = link.up.len().min(n as usize);
        let bytes: Vec<u8> = link.up.drain(..n).collect();
        let mut answers = Vec::new();
        self.broker.handle_bytes(link.number, &bytes, &mut self.books, &mut answers)?;
        self.broker.pump(&self.books);
        Ok((n > 0, answers))
    }

    fn answer(&mut self, lane: usize, count: u32) -> bool {
        let Some(number) = self.link.as_ref().map(|link| link.number) else { return false };
        self.broker.pump(&self.books);
        let mut said = Vec::new();
        while said.len() < count as usize {
            let Some(packet) = self.broker.answer(number, lane) else { break };
            said.push(packet);
        }
        let any = !said.is_empty();
        self.tell(number, said);
        any
    }

    /// Bytes arrive, or the end of the connection.
    fn down(&mut self, n: u32) -> Check<bool> {
        let Some(link) = self.link.as_mut().filter(|_| self.reading) else { return Ok(false) };
        if link.down.is_empty() {
            let over = !self.broker.is_open(link.number);
            return if over { self.lost(0).map(|()| true) } else { Ok(false) };
        }
        let n = link.down.len().min(n as usize);
        let bytes: Vec<u8> = link.down.drain(..n).collect();
        link.arrived += n as u64;
        let mut told = Vec::new();
        while link.marks.front().is_some_and(|(end, _)| *end <= link.arrived) {
            told.extend(link.marks.pop_front().map(|(_, told)| told));
        }
        // After a DISCONNECT that left no time for CONNACK nothing is heard, not that either.
        let deaf = self.leaving && !self.wire.accepted;
        for told in told.into_iter().filter(|_| !deaf) {
            self.wire.told(&told, self.setup.max_inflight, &mut self.books);
        }
        self.session.handle_bytes(&bytes, self.now);
        self.drain()?;
        Ok(true)
    }

    /// stdout takes messages, and only then they are acknowledged.
    fn take(&mut self, n: u32) -> bool {
        let n = self.outputs.len().min(n as usize);
        for (_, token) in self.outputs.drain(..n) {
            self.taken += 1;
            if let Some(token) = token {
                self.session.acknowledge(token, self.now);
            }
        }
        n > 0
    }

    /// Everything moves once. Whether anything did.
    fn flow(&mut self) -> Check<bool> {
        self.kernel(u32::MAX)?;
        let mut moved = self.up(u32::MAX)?;
        for lane in 0..LANES {
            moved |= self.answer(lane, u32::MAX);
        }
        moved |= self.down(u32::MAX)?;
        moved |= self.take(u32::MAX);
        Ok(moved)
    }

    /// Time passes, and what is due in it is done.
    fn pass(&mut self, time: Duration) -> Check {
        let end = self.now + time;
        for _ in 0..10_000 {
            let due = self.session.poll_deadline().map(|(at, _)| at).filter(|at| *at <= end);
            let Some(due) = due else { break };
            self.now = self.now.max(due);
            self.session.handle_timeout(self.now);
            self.drain()?;
            // A socket that has room takes a PINGREQ.
            if self.pending.is_empty() {
                self.kernel(u32::MAX)?;
            }
            self.check_keep_alive()?;
        }
        if self.session.poll_deadline().is_some_and(|(at, _)| at <= end) {
            return Err(format!("{:?} stays due", self.session.poll_deadline()));
        }
        self.now = end;
        // The way out has a limit of its own.
        if self.leaving { self.lost(u32::MAX) } else { Ok(()) }
    }

    /// Not more than Keep Alive between packets, where the socket takes them [MQTT-3.1.2-20].
    fn check_keep_alive(&self) -> Check {
        let limit = Duration::from_secs(u64::from(self.setup.keep_alive));
        let Some(last) = self.wire.last.filter(|_| self.session.is_connected()) else { return Ok(()) };
        let idle = self.pending.is_empty() && !limit.is_zero();
        if idle && self.now - last > limit {
            return Err(format!("nothing was sent for {:?}", self.now - last));
        }
        Ok(())
    }

    /// The network is quiet and stays up: all is delivered and confirmed, soon.
    pub fn settle(&mut self) -> Check {
        self.note(|| "from here on all is well".to_owned());
        self.read(true);
        let begun = self.now;
        loop {
            self.connect();
            self.now += Duration::from_millis(50);
            if self.flow()? {
                continue;
            }
            if self.is_done() {
                return self.check_end(self.now - begun);
            }
            if self.session.is_connected() && self.session.unconfirmed() > 0 {
                self.session.ping(self.now);
            }
            self.pass(Duration::from_secs(1))?;
            if self.now - begun > Duration::from_secs(300) {
                let session = &self.session;
                return Err(format!(
                    "deadlock: {} in flight, {} receiving, {} unconfirmed, {:?}, the broker idle: {}",
                    session.in_flight(),
                    session.receiving(),
                    session.unconfirmed(),
                    session.poll_deadline(),
                    self.broker.is_idle()
                ));
            }
        }
    }

    fn is_done(&self) -> bool {
        let session = &self.session;
        // What a session lost unseen had begun is never finished.
        let received = session.receiving() <= self.wire.stale.len();
        let idle = session.in_flight() == 0 && received && session.unconfirmed() == 0;
        session.is_connected() && idle && self.broker.is_idle()
    }

    fn check_end(&mut self, _took: Duration) -> Check {
        self.books.tally.seconds = (self.now - self.started).as_secs();
        self.books.tally.doubled = self.session.possibly_doubled();
        if self.broker.subscriptions().is_some_and(|has| *has != self.wanted) {
            return Err(format!("subscribed to {:?}, not {:?}", self.broker.subscriptions(), self.wanted));
        }
        self.check_unknown(0)?;
        self.books.check_end(self.session.unknown(), self.session.possibly_doubled())
    }
}
