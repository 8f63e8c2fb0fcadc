//! What may happen, and lists of it drawn from a seed.

use super::super::{BOTH, Options, Version, options};

/// A generator of numbers (splitmix64), so that a seed says all.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 11) % n
    }

    fn chance(&mut self, one_in: u64) -> bool {
        self.below(one_in) == 0
    }

    /// 1 to 65,535, each order of magnitude as likely as the others.
    pub fn maximum(&mut self) -> u16 {
        let bits = self.below(17);
        (1 + self.below(1 << bits)).min(65_535) as u16
    }

    /// Bytes to be moved: few, or all.
    fn piece(&mut self) -> u32 {
        match self.below(4) {
            0 => 1 + self.below(4) as u32,
            1 => 1 + self.below(40) as u32,
            2 => 1 + self.below(2000) as u32,
            _ => u32::MAX,
        }
    }
}

/// What a life is lived with.
#[derive(Clone, Debug)]
pub struct Setup {
    pub seed: u64,
    pub version: Version,
    pub clean: bool,
    pub max_inflight: u16,
    /// The client's Receive Maximum; 65,535 in 3.1.1.
    pub receive_maximum: u16,
    pub keep_alive: u16,
    pub first_pkid: u16,
    /// The broker passes on a message at QoS 2 when PUBREL comes, as mosquitto does, and not at PUBLISH.
    pub late: bool,
    /// Thousands of messages at once, for the windows of that size.
    pub crowded: bool,
}

impl Setup {
    pub fn draw(seed: u64) -> (Setup, Vec<Operation>) {
        let mut random = Random(seed);
        let version = BOTH[random.below(2) as usize];
        let setup = Setup {
            seed,
            version,
            clean: random.chance(8),
            max_inflight: random.maximum(),
            receive_maximum: if version == Version::V5 { random.maximum() } else { 65_535 },
            keep_alive: [0, 5, 60][random.below(3) as usize],
            first_pkid: if random.chance(2) { 65_530 } else { 1 },
            late: random.chance(2),
            crowded: random.chance(200),
        };
        let most = if random.chance(10) { 3000 } else { 400 };
        let len = 20 + random.below(most);
        // Some lives lose connections all the time, some hardly any.
        let cuts = [4, 30, 200][random.below(3) as usize];
        let operations = (0..len).map(|_| Operation::draw(&mut random, &setup, cuts)).collect();
        (setup, operations)
    }

    /// The broker's Receive Maximum and Topic Alias Maximum on its n-th connection.
    pub fn limits(&self, connection: u64) -> (u16, u16) {
        if self.version != Version::V5 {
            return (65_535, 0);
        }
        let mut random = Random(self.seed ^ connection << 40);
        (random.maximum(), random.below(4) as u16)
    }

    pub fn options(&self) -> Options {
        let mut options = Options {
            max_inflight: self.max_inflight,
            first_pkid: self.first_pkid,
            max_packet: 1 << 20,
            ..options(self.version)
        };
        options.connect.clean = self.clean;
        options.connect.keep_alive = self.keep_alive;
        let five = self.version == Version::V5;
        options.connect.properties.receive_maximum = five.then_some(self.receive_maximum);
        options.connect.properties.session_expiry_interval = five.then_some(300);
        options
    }
}

/// One thing that happens. Each says all by itself, so that any of them can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// The client's owner wants messages published, as far as there is room.
    Publish {
        qos: u8,
        topic: u8,
        alias: u16,
        size: u32,
        count: u32,
    },
    /// Others publish to the broker.
    Inject {
        qos: u8,
        topic: u8,
        size: u32,
        count: u32,
    },
    Subscribe(u8),
    Unsubscribe(u8),
    /// PINGREQ, as after the last PUBLISH at QoS 0.
    Ping,
    /// The client's kernel takes so many bytes.
    Kernel(u32),
    /// So many bytes arrive at the broker.
    Up(u32),
    /// So many bytes of a connection that the client has given up arrive at the broker.
    Old(u32),
    /// The broker writes so many packets: PUBACKs, PUBRECs and PUBCOMPs, messages, or other answers.
    Answer {
        lane: u8,
        count: u32,
    },
    /// So many bytes arrive at the client, or the end of the connection.
    Down(u32),
    /// stdout takes so many messages.
    Take(u32),
    /// Everything moves once.
    Flow,
    Connect,
    /// The client loses the connection; of what is on its way to the broker so many bytes may still arrive.
    Cut(u32),
    /// The broker loses it; so many bytes may still arrive at the client.
    Drop(u32),
    /// The broker loses all its connections and the session.
    Forget,
    /// The broker says DISCONNECT (5.0) and goes.
    Shutdown,
    /// The next CONNECT is refused.
    Refuse,
    /// The owner gives the connection up for another one.
    Leave,
    /// The owner stops or resumes reading.
    Reading(bool),
    /// Milliseconds.
    Pass(u32),
}

impl Operation {
    fn draw(random: &mut Random, setup: &Setup, cuts: u64) -> Operation {
        use Operation::*;
        if random.chance(cuts) {
            let left = if random.chance(3) { 0 } else { random.piece() };
            return match random.below(12) {
                0..=5 => Cut(left),
                6..=8 => Drop(left),
                9 => Forget,
                10 => Shutdown,
                _ => Refuse,
            };
        }
        let qos = random.below(3) as u8;
        let topic = random.below(3) as u8;
        let many = if setup.crowded { 5000 } else { 40 };
        let most = if random.chance(6) { many } else { 3 };
        let count = 1 + random.below(most) as u32;
        let size = match random.below(300) {
            0 => random.below(200_000) as u32,
            1..20 => random.below(300) as u32,
            _ => 0,
        };
        match random.below(100) {
            0..16 => {
                let alias = if random.chance(3) { 1 + random.below(3) as u16 } else { 0 };
                Publish { qos, topic, alias, size, count }
            }
            16..28 => Inject { qos, topic, size, count },
            28..30 => Subscribe(topic),
            30 => Unsubscribe(topic),
            31 => Ping,
            32..42 => Kernel(random.piece()),
            42..52 => Up(random.piece()),
            52..56 => Old(random.piece()),
            56..68 => Answer { lane: random.below(4) as u8, count: random.piece().min(1000) },
            68..78 => Down(random.piece()),
            78..84 => Take(random.piece()),
            84..89 => Flow,
            89..95 => Connect,
            95 => {
                if random.chance(4) {
                    Leave
                } else {
                    Connect
                }
            }
            96 => Reading(false),
            97 => Reading(true),
            _ => {
                let most = if random.chance(4) { 60_000 } else { 3000 };
                Pass(random.below(most) as u32)
            }
        }
    }

    /// The same with fewer messages.
    pub fn smaller(self) -> Option<Operation> {
        use Operation::*;
        Some(match self {
            Publish { qos, topic, alias, size, count } if alias > 0 || size > 0 || count > 1 => {
                let _ = (alias, size);
                Publish { qos, topic, alias: 0, size: 0, count: (count / 2).max(1) }
            }
            Inject { qos, topic, size, count } if size > 0 || count > 1 => {
                Inject { qos, topic, size: 0, count: (count / 2).max(1) }
            }
            _ => return None,
        })
    }
}
