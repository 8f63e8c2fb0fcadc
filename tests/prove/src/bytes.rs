//! An exchange of a few messages, cut after each single byte of it, once for each way to cut; then it goes on
//! over the next connection, and the promises hold.

use std::{os::unix::process::ExitStatusExt, path::Path, process::Command};

use crate::{
    Outcome, Setting,
    peer::{
        Cut, Side,
        attend::Attended,
        exchange::{Exchange, Files, MESSAGES, end, records},
        sweep::tally,
    },
    scratch::Scratch,
};

/// Points at once: nearly all of them wait out the pause before a reconnect.
const AT_ONCE: usize = 96;

/// The proof.
pub fn bytes(setting: &Setting) -> Outcome {
    let scratch = Scratch::new("bytes")?;
    let mut all = 0;
    for exchange in exchanges(setting.long) {
        let (points, line) = sweep(setting, exchange, &scratch)?;
        println!("{line}");
        all += points;
    }
    Ok(vec![format!("{all} points in all, {MESSAGES} messages in each")])
}

/// The quick form leaves 3.1.1, messages one by one, and the loss of a session over WebSocket to the long one.
fn exchanges(long: bool) -> Vec<Exchange> {
    let mut all = Vec::new();
    for n in 0..64_u8 {
        let bit = |place: u8| n >> place & 1 == 1;
        let (forgets, websocket, v5, stepwise) = (bit(0), bit(1), !bit(4), bit(5));
        let (subscribes, qos) = (bit(3), 1 + u8::from(bit(2)));
        // A publisher that speaks 3.1.1 asks for no session that could be kept.
        let exists = v5 || forgets || subscribes;
        if exists && (long || (v5 && !stepwise && !(websocket && forgets))) {
            all.push(Exchange { subscribes, qos, websocket, v5, forgets, stepwise });
        }
    }
    all.sort_by_key(|exchange| (exchange.websocket, !exchange.v5));
    all
}

fn sweep(setting: &Setting, exchange: Exchange, scratch: &Scratch) -> Result<(usize, String), String> {
    let name = exchange.name();
    let whole = run(setting, exchange, None, &scratch.slot(0)?);
    let (sent, read) = whole.map_err(|error| format!("{name}, without a cut: {error}"))?.first;
    // The quick form takes FIN and RST in turn over WebSocket.
    let step = if setting.long || !exchange.websocket { 1 } else { 2 };
    let mut cuts = Vec::new();
    for (side, bytes) in [(Side::Sent, sent), (Side::Read, read)] {
        for (reset, start) in [(false, 0), (true, step - 1)] {
            cuts.extend((start..=bytes).step_by(step).map(|at| Cut { side, at, reset }));
        }
    }
    let tally = tally(&cuts, AT_ONCE, scratch, |cut, dir| {
        let seen = run(setting, exchange, Some(*cut), dir).map_err(|error| format!("{cut:?}: {error}"))?;
        Ok(end(&seen) + if seen.reached { "" } else { " before the cut" })
    })
    .map_err(|error| format!("{name}: {error}"))?;
    let ends: Vec<String> = tally.iter().map(|(end, n)| format!("{n} {end}")).collect();
    let line = format!("{name}: {} points ({sent} bytes sent, {read} read): {}", cuts.len(), ends.join(", "));
    Ok((cuts.len(), line))
}

/// One exchange, cut at one place or not at all.
fn run(setting: &Setting, exchange: Exchange, cut: Option<Cut>, dir: &Path) -> Result<Attended, String> {
    let files = Files::new(dir)?;
    let mut broker = exchange.broker()?;
    // Counted messages end a subscriber where none can come twice; else SIGTERM does, when all is through.
    let counts = exchange.subscribes && exchange.qos == 2 && !exchange.forgets;
    broker.stops = exchange.subscribes && !counts;
    let mut command = Command::new(&setting.wspipe);
    command.args(exchange.arguments(&broker.url())).arg("--retry-connect");
    if counts {
        command.args(["-C", &MESSAGES.to_string()]);
    }
    if exchange.subscribes && !exchange.v5 {
        command.args(["-c", "-i", "cut"]);
    }
    let mut child = files.start(&mut command)?;
    let is_output = |payload: &[u8]| records(&files.output).iter().any(|record| record == payload);
    let seen = broker.attend(&mut child, cut, exchange.forgets, &is_output);
    let errors = files.errors();
    let said = |error: String| format!("{error}\n  stderr: {errors:?}");
    let seen = seen.map_err(said)?;
    let model = &broker.model;
    let outcome = match model.wrong.first() {
        Some(wrong) => Err(wrong.clone()),
        None if !exchange.subscribes => exchange.check_published(model, &seen, &errors),
        None => exchange.check_output(model, &files.output, 0, false).and_then(|()| {
            let lost = errors.contains("sending DISCONNECT");
            let told = errors.contains("the session was lost");
            match (seen.status.code(), seen.status.signal()) {
                _ if model.forgot && !told => Err("a gap that nobody is told of".to_owned()),
                (Some(0), _) if counts && model.owed().is_empty() => Ok(()),
                (Some(56), _) if counts && lost && model.owed().is_empty() => Ok(()),
                (None, Some(15)) if !counts && model.is_through() => Ok(()),
                _ => Err(format!("{} messages are still with the broker", model.owed().len())),
            }
        }),
    };
    outcome.map_err(|error| said(format!("{error}; {}", end(&seen))))?;
    Ok(seen)
}
