//! Proofs of wspipe's promises (README, "Proofs"): the program itself against real and scripted peers, while
//! connections are cut and processes killed. `scripts/prove` builds and starts it.
//!
//! Each proof prints one line of figures for each thing it has shown. What it has found wrong is an error, and
//! the exit status is 1 then.

mod acks;
mod broker;
mod bytes;
mod child;
mod cuts;
mod feeder;
mod floods;
mod flow;
mod kills;
mod ledger;
mod peer;
mod random;
mod relay;
mod restarts;
mod scratch;
mod syscalls;

use std::{env, path::PathBuf, process::ExitCode, time::Instant};

/// What every proof is given.
pub struct Setting {
    /// The binary under proof.
    pub wspipe: PathBuf,
    /// Full amounts; without it all proofs together take less than 3 minutes.
    pub long: bool,
    /// Of everything random here.
    pub seed: u64,
}

impl Setting {
    /// The amount of the form that was asked for.
    pub fn amount(&self, quick: u64, long: u64) -> u64 {
        if self.long { long } else { quick }
    }
}

/// What a proof has shown, one line each, or what is wrong.
pub type Outcome = Result<Vec<String>, String>;

struct Proof {
    name: &'static str,
    what: &'static str,
    run: fn(&Setting) -> Outcome,
}

const PROOFS: &[Proof] = &[
    Proof { name: "cuts-pub", what: "pub -l at QoS 1 and 2 through cuts loses nothing", run: cuts::publish },
    Proof { name: "cuts-sub", what: "sub at QoS 1 and 2 through cuts loses nothing", run: cuts::subscribe },
    Proof { name: "cuts-cat", what: "cat --reconnect through cuts counts right", run: cuts::cat },
    Proof { name: "kills", what: "sub killed with SIGKILL while messages flow", run: kills::run },
    Proof { name: "restarts", what: "the broker stopped and killed under pub -l -q 1", run: restarts::run },
    Proof {
        name: "bytes",
        what: "a connection cut after each single byte of an exchange",
        run: bytes::bytes,
    },
    Proof {
        name: "syscalls",
        what: "SIGKILL at every system call, and the command again",
        run: syscalls::syscalls,
    },
    Proof {
        name: "floods",
        what: "a stalled stdout, and floods of what a peer may send",
        run: floods::floods,
    },
];

const USAGE: &str = "usage: prove [long] [--seed N] --wspipe FILE [PROOF...]";

fn main() -> ExitCode {
    let (setting, names) = match arguments(env::args().skip(1)) {
        Ok(parsed) => parsed,
        Err(error) => {
            eprintln!("prove: {error}\n{USAGE}");
            for proof in PROOFS {
                eprintln!("  {:<12} {}", proof.name, proof.what);
            }
            return ExitCode::from(2);
        }
    };
    println!(
        "{} form, seed {} (--seed {} makes the same choices again)",
        if setting.long { "long" } else { "quick" },
        setting.seed,
        setting.seed
    );
    let begun = Instant::now();
    let mut summary = Vec::new();
    let mut failed = false;
    for proof in PROOFS {
        if !names.is_empty() && !names.iter().any(|name| name == proof.name) {
            continue;
        }
        println!("\n## {}: {}", proof.name, proof.what);
        let started = Instant::now();
        let outcome = (proof.run)(&setting);
        let verdict = match &outcome {
            Ok(_) => "holds",
            Err(_) => "FAILED",
        };
        failed |= outcome.is_err();
        for line in outcome.unwrap_or_else(|error| vec![format!("FAILED: {error}")]) {
            println!("{line}");
        }
        summary.push(format!("{:<12} {verdict}, {:.0} s", proof.name, started.elapsed().as_secs_f64()));
    }
    println!("\n{}\nall of it: {:.0} s", summary.join("\n"), begun.elapsed().as_secs_f64());
    ExitCode::from(u8::from(failed))
}

fn arguments(mut given: impl Iterator<Item = String>) -> Result<(Setting, Vec<String>), String> {
    let mut setting = Setting { wspipe: PathBuf::new(), long: false, seed: random::fresh_seed() };
    let mut names = Vec::new();
    while let Some(argument) = given.next() {
        match argument.as_str() {
            "long" => setting.long = true,
            "--seed" => {
                let value = given.next().and_then(|value| value.parse().ok());
                setting.seed = value.ok_or("--seed needs a number")?;
            }
            "--wspipe" => setting.wspipe = given.next().ok_or("--wspipe needs a file")?.into(),
            name if PROOFS.iter().any(|proof| proof.name == name) => names.push(argument),
            other => return Err(format!("there is no proof named {other:?}")),
        }
    }
    if !setting.wspipe.is_file() {
        return Err(format!("{} is no file", setting.wspipe.display()));
    }
    Ok((setting, names))
}
