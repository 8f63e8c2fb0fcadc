//! Proofs of the promises (README, "Promises and proofs"): the program itself against real and scripted peers, while
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

use std::{env, path::PathBuf, process::ExitCode, thread, time::Instant};

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
    /// In the quick form it runs beside the one before it: they mostly wait.
    beside: bool,
}

impl Proof {
    const fn new(name: &'static str, what: &'static str, run: fn(&Setting) -> Outcome) -> Self {
        Self { name, what, run, beside: false }
    }

    const fn beside(self) -> Self {
        Self { beside: true, ..self }
    }
}

const PROOFS: &[Proof] = &[
    Proof::new("cuts-pub", "pub -l at QoS 1 and 2 through cuts loses nothing", cuts::publish),
    Proof::new("cuts-sub", "sub at QoS 1 and 2 through cuts loses nothing", cuts::subscribe).beside(),
    Proof::new("cuts-cat", "cat --reconnect through cuts counts right", cuts::cat).beside(),
    Proof::new("kills", "sub killed with SIGKILL while messages flow", kills::run),
    Proof::new("restarts", "the broker stopped and killed under pub -l -q 1", restarts::run),
    Proof::new("bytes", "a connection cut after each single byte of an exchange", bytes::bytes),
    Proof::new("syscalls", "SIGKILL at every system call, and the command again", syscalls::syscalls),
    Proof::new("floods", "a stalled stdout, and floods of what a peer may send", floods::floods),
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
    let mut groups: Vec<Vec<&Proof>> = Vec::new();
    for proof in PROOFS.iter().filter(|proof| names.is_empty() || names.iter().any(|name| name == proof.name))
    {
        match groups.last_mut() {
            Some(group) if proof.beside && !setting.long => group.push(proof),
            _ => groups.push(vec![proof]),
        }
    }
    let (mut summary, mut failed) = (Vec::new(), false);
    for group in groups {
        let names: Vec<&str> = group.iter().map(|proof| proof.name).collect();
        println!("\n## {}", names.join(", "));
        for (proof, outcome, seconds) in run(&setting, &group) {
            println!("{}: {}", proof.name, proof.what);
            failed |= outcome.is_err();
            let verdict = if outcome.is_ok() { "holds" } else { "FAILED" };
            for line in outcome.unwrap_or_else(|error| vec![format!("FAILED: {error}")]) {
                println!("  {line}");
            }
            summary.push(format!("{:<12} {verdict}, {seconds:.0} s", proof.name));
        }
    }
    println!("\n{}\nall of it: {:.0} s", summary.join("\n"), begun.elapsed().as_secs_f64());
    ExitCode::from(u8::from(failed))
}

/// Runs them side by side: what each has shown, and how many seconds it took.
fn run<'a>(setting: &Setting, group: &[&'a Proof]) -> Vec<(&'a Proof, Outcome, f64)> {
    let timed = |proof: &Proof| {
        let begun = Instant::now();
        ((proof.run)(setting), begun.elapsed().as_secs_f64())
    };
    thread::scope(|scope| {
        let threads: Vec<_> = group.iter().map(|proof| (*proof, scope.spawn(move || timed(proof)))).collect();
        let panicked = |_| (Err("a panic".to_owned()), 0.0);
        let ended =
            threads.into_iter().map(|(proof, thread)| (proof, thread.join().unwrap_or_else(panicked)));
        ended.map(|(proof, (outcome, seconds))| (proof, outcome, seconds)).collect()
    })
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
