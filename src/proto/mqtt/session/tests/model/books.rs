//! What became of each message, both ways, and what may not become of it.

use super::packets::{Check, Number};

/// A message of the client's.
#[derive(Debug)]
pub struct Outbound {
    pub qos: u8,
    pub topic: u8,
    /// How often the broker took it as a new one.
    pub delivered: u32,
    /// How often it may be doubled: session losses that it was under way in.
    pub doubled: u32,
    /// The broker refuses it.
    pub denied: bool,
    /// The broker lost the session between PUBREC and PUBCOMP: one that passes it on at PUBREL may not have.
    pub forgotten: bool,
    /// `Acknowledged` has come.
    pub through: bool,
}

/// A message for the client.
#[derive(Debug)]
pub struct Inbound {
    pub qos: u8,
    pub topic: u8,
    pub shown: u32,
    /// The place of its last showing in the output.
    pub output: u64,
    /// The broker has it in a session that still lives, or had it confirmed.
    pub owed: bool,
    /// It took over the identifier of another in a session lost unseen, and came first as a repetition.
    pub swallowed: bool,
}

/// Sums for the report.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub operations: u64,
    pub lives: u64,
    pub connections: u64,
    /// Connections lost, with or without a reason.
    pub cuts: u64,
    /// With bytes on the way, in either direction.
    pub torn: u64,
    pub sessions_lost: u64,
    /// Those that the client was never told of.
    pub losses_hidden: u64,
    /// QoS 2 messages that such a loss made look like repetitions.
    pub swallowed: u64,
    pub takeovers: u64,
    pub sent: [u64; 3],
    pub received: [u64; 3],
    pub repeated: u64,
    pub doubled: u64,
    pub unknown: u64,
    pub unknown_qos2: u64,
    /// Those at QoS 2 that never were delivered.
    pub vanished: u64,
    pub most_in_flight: u64,
    pub seconds: u64,
}

impl Tally {
    pub fn add(&mut self, other: &Tally) {
        self.operations += other.operations;
        self.lives += other.lives;
        self.connections += other.connections;
        self.cuts += other.cuts;
        self.torn += other.torn;
        self.sessions_lost += other.sessions_lost;
        self.losses_hidden += other.losses_hidden;
        self.swallowed += other.swallowed;
        self.takeovers += other.takeovers;
        self.repeated += other.repeated;
        self.doubled += other.doubled;
        self.unknown += other.unknown;
        self.unknown_qos2 += other.unknown_qos2;
        self.vanished += other.vanished;
        self.most_in_flight = self.most_in_flight.max(other.most_in_flight);
        self.seconds += other.seconds;
        for qos in 0..3 {
            self.sent[qos] += other.sent[qos];
            self.received[qos] += other.received[qos];
        }
    }
}

type Newest = [[Option<Number>; 3]; 10];

#[derive(Debug, Default)]
pub struct Books {
    pub out: Vec<Outbound>,
    pub inbound: Vec<Inbound>,
    /// The newest that came first time, by topic and by what keeps an order among itself.
    newest_out: Newest,
    newest_in: Newest,
    pub tally: Tally,
}

impl Books {
    /// The broker takes a message as a new one, and passes it on: at QoS 2 perhaps `late`, at PUBREL.
    pub fn deliver(&mut self, message: Number, qos: u8, topic: u8, late: bool) -> Check {
        let Some(fate) = self.out.get_mut(message) else {
            return Err(format!("message {message} was never published"));
        };
        if (fate.qos, fate.topic) != (qos, topic) {
            return Err(format!("message {message} was published with another topic or QoS: {fate:?}"));
        }
        if fate.denied {
            return Ok(());
        }
        fate.delivered += 1;
        self.tally.sent[usize::from(qos)] += 1;
        let twice = fate.delivered > 1;
        if twice && qos == 0 {
            return Err(format!("message {message} at QoS 0 is delivered twice"));
        }
        if twice && qos == 2 && fate.delivered > 1 + fate.doubled {
            return Err(format!("message {message} at QoS 2 is delivered {} times", fate.delivered));
        }
        self.tally.repeated += u64::from(twice);
        if twice {
            return Ok(());
        }
        in_order(&mut self.newest_out, message, if late { 2 } else { qos.min(1) }, topic)
    }

    /// `Acknowledged`: once, for what was delivered or denied.
    pub fn acknowledged(&mut self, message: Number, reason: u8) -> Check {
        let fate = self.out.get_mut(message).ok_or("Acknowledged for a message that there is not")?;
        if std::mem::replace(&mut fate.through, true) {
            return Err(format!("message {message} is acknowledged twice"));
        }
        if fate.qos == 0 || fate.denied != (reason >= 0x80) || !fate.is_settled() {
            return Err(format!("message {message} is acknowledged with {reason:#04x}, but {fate:?}"));
        }
        Ok(())
    }

    /// A message is put out as the `output`-th.
    pub fn shown(&mut self, message: Number, qos: u8, topic: u8, output: u64) -> Check {
        let Some(fate) = self.inbound.get_mut(message) else {
            return Err(format!("message {message} was never sent"));
        };
        if (fate.qos, fate.topic) != (qos, topic) {
            return Err(format!("message {message} has changed: {fate:?}"));
        }
        fate.shown += 1;
        fate.output = output;
        self.tally.received[usize::from(qos)] += 1;
        if fate.shown > 1 {
            self.tally.repeated += 1;
            return if qos == 1 {
                Ok(())
            } else {
                Err(format!("message {message} is shown twice: {fate:?}"))
            };
        }
        in_order(&mut self.newest_in, message, qos.min(1), topic)
    }

    /// All is quiet: nothing is missing but what a broker forgot, and the client says that so many may be
    /// missing (`unknown`, of all QoS), and so many `doubled`.
    pub fn check_end(&mut self, unknown: u64, doubled: u64) -> Check {
        let (mut vanished, mut twice) = (0, 0);
        for (message, fate) in self.out.iter().enumerate().filter(|(_, fate)| fate.qos > 0) {
            if !fate.through || !fate.is_settled() {
                return Err(format!("message {message} to the broker is lost: {fate:?}"));
            }
            vanished += u64::from(fate.delivered == 0 && !fate.denied);
            twice += u64::from(fate.doubled > 0);
        }
        if vanished + self.tally.unknown > unknown {
            return Err(format!("{vanished} messages at QoS 2 are lost in silence: {unknown} unknown"));
        }
        if doubled < twice || doubled > self.out.len() as u64 {
            return Err(format!("{doubled} of {} may be doubled, where {twice} may", self.out.len()));
        }
        self.tally.vanished = vanished;
        for (message, fate) in self.inbound.iter().enumerate().filter(|(_, fate)| fate.qos > 0) {
            if fate.owed && !fate.swallowed && fate.shown == 0 {
                return Err(format!("message {message} to the client is lost: {fate:?}"));
            }
        }
        Ok(())
    }
}

impl Outbound {
    /// Delivered, or with a reason not to be.
    fn is_settled(&self) -> bool {
        self.delivered > 0 || self.denied || self.forgotten
    }
}

fn in_order(newest: &mut Newest, message: Number, lane: u8, topic: u8) -> Check {
    let newest = &mut newest[usize::from(topic)][usize::from(lane)];
    if let Some(before) = newest.replace(message).filter(|before| *before > message) {
        return Err(format!("message {message} comes after {before}, of the same topic"));
    }
    Ok(())
}
