//! One kind of exchange: the command for it, and what must hold at its end.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::Read,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{
    attend::{Attended, Broker},
    model::Model,
};
use crate::child::Child;

/// Messages in an exchange.
pub const MESSAGES: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// `sub`, or `pub`.
    pub subscribes: bool,
    pub qos: u8,
    pub websocket: bool,
    pub v5: bool,
    /// The broker has forgotten the session at the second connection.
    pub forgets: bool,
    /// One message is acknowledged before the next one is sent.
    pub stepwise: bool,
}

pub fn payloads() -> Vec<Vec<u8>> {
    (1..=MESSAGES).map(|n| format!("message {n}").into_bytes()).collect()
}

/// Whole records of a file. What stands behind the last newline is none yet.
pub fn records(file: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(file).unwrap_or_default();
    let mut records: Vec<Vec<u8>> = bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    records.pop();
    records
}

/// The files of one process.
pub struct Files {
    pub output: PathBuf,
    input: PathBuf,
    errors: PathBuf,
}

impl Files {
    /// Empty ones; the input is the messages.
    pub fn new(dir: &Path) -> Result<Self, String> {
        let files = Self { output: dir.join("output"), input: dir.join("input"), errors: dir.join("errors") };
        let lines: Vec<u8> =
            payloads().into_iter().flat_map(|line| [line, b"\n".to_vec()].concat()).collect();
        let made = fs::write(&files.input, lines).and_then(|()| fs::write(&files.output, ""));
        made.map_err(|error| format!("{}: {error}", dir.display()))?;
        Ok(files)
    }

    /// Starts a command with these; its output is added to the file.
    pub fn start(&self, command: &mut Command) -> Result<Child, String> {
        let give = || {
            let output = OpenOptions::new().append(true).create(true).open(&self.output)?;
            Ok::<_, std::io::Error>((File::open(&self.input)?, output, File::create(&self.errors)?))
        };
        let (input, output, errors) = give().map_err(|error| error.to_string())?;
        Child::start(command.stdin(Stdio::from(input)).stdout(output).stderr(errors))
    }

    /// What stands on stderr.
    pub fn errors(&self) -> String {
        let mut text = String::new();
        let _ = File::open(&self.errors).and_then(|mut file| file.read_to_string(&mut text));
        text
    }
}

impl Exchange {
    pub fn name(&self) -> String {
        format!(
            "{} -q {} {:4} {:5} session {}{}",
            if self.subscribes { "sub" } else { "pub" },
            self.qos,
            if self.websocket { "ws" } else { "mqtt" },
            if self.v5 { "5.0" } else { "3.1.1" },
            if self.forgets { "lost" } else { "kept" },
            if self.stepwise { ", one by one" } else { "" }
        )
    }

    /// A broker that has all of the messages for a subscriber.
    pub fn broker(&self) -> Result<Broker, String> {
        let payloads = if self.subscribes { payloads() } else { Vec::new() };
        let mut model = Model::new(self.v5, self.qos, &payloads);
        model.stepwise = self.stepwise;
        Broker::listen(self.websocket, model).map_err(|error| error.to_string())
    }

    /// What wspipe is to be started with, `-c` and `-C` left out.
    pub fn arguments(&self, url: &str) -> Vec<String> {
        let (command, version) =
            (if self.subscribes { "sub" } else { "pub" }, if self.v5 { "5" } else { "311" });
        let qos = self.qos.to_string();
        let mut all = vec![command, url, "-V", version, "-t", "t", "-q", &qos];
        if !self.subscribes {
            all.push("-l");
        }
        if self.stepwise && !self.subscribes {
            all.extend(["-M", "1"]);
        }
        all.into_iter().map(str::to_owned).collect()
    }

    /// What holds after one process of `pub` has ended by itself.
    pub fn check_published(&self, model: &Model, seen: &Attended, errors: &str) -> Result<(), String> {
        let counts = count(&model.arrived);
        let doubled: usize = counts.values().map(|n| n - 1).sum();
        check_order(&model.arrived, MESSAGES)?;
        if self.qos == 2 && doubled > 0 && !model.forgot {
            return Err(format!("{doubled} doubled in a session that lives: {counts:?}"));
        }
        if self.qos == 2 || model.forgot {
            let told = number_before(errors, " messages are sent anew and may be doubled")
                + number_before(errors, " message is sent anew and may be doubled");
            if doubled > told {
                return Err(format!("{doubled} doubled, {told} told of"));
            }
        }
        let confirmed = count(&model.acknowledged).len();
        if seen.status.code() == Some(0) {
            if confirmed < MESSAGES || model.unreleased() > 0 {
                let open = model.unreleased();
                return Err(format!(
                    "status 0 with {confirmed} of {MESSAGES} confirmed, {open} without PUBREL"
                ));
            }
            return Ok(());
        }
        let lost_only = errors.contains("sending DISCONNECT") && confirmed == MESSAGES;
        let counted = errors.contains("messages: ");
        match seen.status.code() {
            Some(56) if lost_only => Ok(()),
            Some(55) if counted => Ok(()),
            _ => Err("neither confirmed nor counted".to_owned()),
        }
    }

    /// What holds of a subscriber's output at any time; `torn` records may stand in it.
    pub fn check_output(&self, model: &Model, output: &Path, torn: usize, kills: bool) -> Result<(), String> {
        let (whole, others): (Vec<_>, Vec<_>) =
            records(output).into_iter().partition(|record| payloads().contains(record));
        if others.len() > torn
            || others.iter().any(|other| !payloads().iter().any(|own| own.starts_with(other)))
        {
            return Err(format!("records that are none: {others:?}"));
        }
        check_order(&whole, 0)?;
        let counts = count(&whole);
        let missing = payloads()
            .into_iter()
            .filter(|own| !counts.contains_key(own.as_slice()) && !model.owed().contains(&own.as_slice()));
        if let Some(missing) = missing.into_iter().next() {
            return Err(format!("{} is neither output nor with the broker", missing.escape_ascii()));
        }
        if self.qos == 2 && !kills && !model.forgot && counts.values().any(|n| *n > 1) {
            return Err(format!("doubled in a session that lives: {counts:?}"));
        }
        match counts.values().any(|n| *n > 2) {
            true => Err(format!("more than twice after one cut: {counts:?}")),
            false => Ok(()),
        }
    }
}

fn count(payloads: &[Vec<u8>]) -> BTreeMap<&[u8], usize> {
    let mut counts = BTreeMap::new();
    for payload in payloads {
        *counts.entry(payload.as_slice()).or_insert(0) += 1;
    }
    counts
}

/// First arrivals are in the order of the messages, and at least so many.
fn check_order(arrived: &[Vec<u8>], least: usize) -> Result<(), String> {
    let mut first = Vec::new();
    for payload in arrived {
        if !first.contains(payload) {
            first.push(payload.clone());
        }
    }
    let all = payloads();
    if first.len() < least || all.get(..first.len()) != Some(first.as_slice()) {
        let shown: Vec<String> = arrived.iter().map(|payload| payload.escape_ascii().to_string()).collect();
        return Err(format!("arrived: {shown:?}"));
    }
    Ok(())
}

/// The sum of the numbers before this text.
fn number_before(text: &str, what: &str) -> usize {
    let parts: Vec<&str> = text.split(what).collect();
    let numbers =
        parts[..parts.len() - 1].iter().filter_map(|part| part.rsplit(' ').next()?.parse::<usize>().ok());
    numbers.sum()
}

/// How a process ended, in a word.
pub fn end(seen: &Attended) -> String {
    match (seen.status.code(), seen.status.signal()) {
        (Some(code), _) => format!("status {code}"),
        (None, signal) => format!("signal {}", signal.unwrap_or(0)),
    }
}
