//! mosquitto stopped and started again under a publisher at QoS 1 (DESIGN section 3, promise 1).

use std::{
    fmt::{self, Display},
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    Outcome, Setting,
    acks::Acks,
    broker::Broker,
    feeder::Feeder,
    flow::{AHEAD, Figures, Flow, STUCK, TCP, WEBSOCKET, log, publisher},
    random::Random,
    scratch::Scratch,
};

const PERSISTENT: &str = "persistence true\n";
/// Stops that one publisher and one subscriber live through. Their backoff begins anew only after a connection
/// has held for 10 s: with more stops close together it would soon be all that is waited for.
const STOPS_A_ROUND: u64 = 3;

pub fn run(setting: &Setting) -> Outcome {
    let scratch = Scratch::new("restarts")?;
    let rounds = setting.amount(1, 17);
    // Of one round.
    let total = setting.amount(10_000, 30_000);
    let restarts = rounds * STOPS_A_ROUND;
    let mut random = Random::new(setting.seed, 200);
    let (mut stopped, mut killed) = (Figures::default(), Killed::default());
    for round in 0..rounds {
        let dir = |name: &str| scratch.dir().join(format!("{name}-{round}"));
        // The subscriber comes by WebSocket each time.
        let from = if round % 2 == 0 { WEBSOCKET } else { TCP };
        match stop(&setting.wspipe, &dir("term"), from, total, &mut random) {
            Ok(figures) => stopped.add(&figures),
            Err(error) => return Err(scratch.keep(&format!("SIGTERM, round {round}: {error}"))),
        }
        if let Err(error) = killed.kill(&setting.wspipe, &dir("kill"), total, &mut random) {
            return Err(scratch.keep(&format!("SIGKILL, round {round}: {error}")));
        }
    }
    Ok(vec![
        format!("SIGTERM, {restarts} restarts: {stopped}"),
        format!("SIGKILL, {restarts} restarts: {killed}"),
    ])
}

/// SIGTERM: it writes its state down first, and nothing is missing at a subscriber with a persistent session.
fn stop(wspipe: &Path, dir: &Path, from: usize, total: u64, random: &mut Random) -> Result<Figures, String> {
    let span = total / (STOPS_A_ROUND + 2);
    let mut broker = Broker::start(dir, PERSISTENT)?;
    let mut flow = Flow::start(wspipe, dir, &broker, from, 1, (total, span))?;
    let mut child = flow.subscribe()?;
    for stop in 0..STOPS_A_ROUND {
        // At least so many are left for each stop, however late the one before was.
        flow.feeder.allow(span);
        let goal = stop * span + random.below(span);
        flow.wait_for(goal.max(flow.ledger.distinct + 1), &mut child)?;
        broker.stop()?;
        broker.start_again()?;
    }
    flow.finish(child)
}

/// SIGKILL: it loses what it acknowledged. Here every record was, by the account of a relay.
#[derive(Default)]
struct Killed {
    total: u64,
    pubacks: u64,
    connections: u64,
    took: Duration,
}

impl Killed {
    fn kill(&mut self, wspipe: &Path, dir: &Path, total: u64, random: &mut Random) -> Result<(), String> {
        let begun = Instant::now();
        let span = total / (STOPS_A_ROUND + 2);
        let mut broker = Broker::start(dir, PERSISTENT)?;
        let acks = Acks::start(broker.tcp, total)?;
        let feeder = Feeder::start(
            &mut publisher(wspipe, &format!("mqtt://127.0.0.1:{}", acks.port), 1),
            log(dir)?,
            total,
            AHEAD,
            span,
        )?;
        for stop in 0..STOPS_A_ROUND {
            feeder.allow(span);
            acks.wait_for((stop * span + random.below(span)).max(acks.count() + 1), &feeder)?;
            broker.kill()?;
            broker.start_again()?;
        }
        feeder.allow_all();
        acks.wait_for(total, &feeder)?;
        feeder.finish(STUCK)?;
        let (pubacks, connections) = acks.finish()?;
        self.total += total;
        self.pubacks += pubacks;
        self.connections += connections;
        self.took += begun.elapsed();
        Ok(())
    }
}

impl Display for Killed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Killed { total, pubacks, connections, took } = self;
        write!(f, "{total} of {total} acknowledged, {pubacks} PUBACKs on {connections} connections; ")?;
        write!(f, "{:.0} s", took.as_secs_f64())
    }
}
