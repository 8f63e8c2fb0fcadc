//! Numbered records, and the file that a subscriber appends them to, read while it grows.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

/// The longest record, about; the shortest is 9 bytes.
const LENGTH: u64 = 250;

/// The record of number `n`, without a newline, in place of what `out` holds. Its length goes with the number, so
/// that pages of the file end at any place in a record.
pub fn record(n: u64, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(format!("{n:07} ").as_bytes());
    let letter = b'a' + (n % 26) as u8;
    out.resize(9 + (n.wrapping_mul(7919) % (LENGTH - 9)) as usize, letter);
}

/// The number of a whole record.
pub fn number(line: &[u8]) -> Option<u64> {
    let digits = line.split(|byte| *byte == b' ').next()?;
    let n = std::str::from_utf8(digits).ok()?.parse().ok()?;
    let mut whole = Vec::new();
    record(n, &mut whole);
    (whole == line).then_some(n)
}

/// What the file has shown so far.
pub struct Ledger {
    file: File,
    path: PathBuf,
    /// What was read behind the last newline.
    rest: Vec<u8>,
    /// The end of the file was torn: a newline is to come first.
    torn: bool,
    /// Torn records that were not repeated yet.
    unrepeated: Vec<Vec<u8>>,
    arrived: Vec<bool>,
    pub distinct: u64,
    pub doubled: u64,
    /// Torn records in all.
    pub torn_records: u64,
    /// First arrivals of a record after that of a higher number.
    pub out_of_order: u64,
    highest: Option<u64>,
}

impl Ledger {
    /// Of `total` records, from 0, in the file at `path`, which is made if need be.
    pub fn new(path: &Path, total: u64) -> Result<Self, String> {
        let broken = |error| format!("{}: {error}", path.display());
        File::options().create(true).append(true).open(path).map_err(broken)?;
        Ok(Self {
            file: File::open(path).map_err(broken)?,
            path: path.to_owned(),
            rest: Vec::new(),
            torn: false,
            unrepeated: Vec::new(),
            arrived: vec![false; total as usize],
            distinct: 0,
            doubled: 0,
            torn_records: 0,
            out_of_order: 0,
            highest: None,
        })
    }

    /// The file as a process's stdout, as `>>` opens it.
    pub fn appender(&self) -> Result<File, String> {
        let file = File::options().append(true).open(&self.path);
        file.map_err(|error| format!("{}: {error}", self.path.display()))
    }

    /// The size of the file, in bytes.
    pub fn len(&self) -> Result<u64, String> {
        let data = self.file.metadata();
        Ok(data.map_err(|error| format!("{}: {error}", self.path.display()))?.len())
    }

    /// Reads what has come. Every line must be a whole record.
    pub fn read(&mut self) -> Result<(), String> {
        let mut some = std::mem::take(&mut self.rest);
        let before = some.len();
        self.file.read_to_end(&mut some).map_err(|error| format!("{}: {error}", self.path.display()))?;
        let mut from = 0;
        if self.torn && some.len() > before {
            // Nothing is behind a torn record yet, so that `before` is 0.
            if some[0] != b'\n' {
                return Err(format!("no newline after the torn record {:?}", text(self.unrepeated.last())));
            }
            (from, self.torn) = (1, false);
        }
        while let Some(length) = some[from..].iter().position(|byte| *byte == b'\n') {
            self.count(&some[from..from + length])?;
            from += length + 1;
        }
        some.drain(..from);
        self.rest = some;
        Ok(())
    }

    /// Nobody appends just now: what stands behind the last newline is a torn record.
    pub fn handle_ended(&mut self) -> Result<(), String> {
        self.read()?;
        if self.rest.is_empty() {
            return Ok(());
        }
        self.torn = true;
        self.torn_records += 1;
        self.unrepeated.push(std::mem::take(&mut self.rest));
        Ok(())
    }

    /// What is wrong at the end of it all, when everything should have come.
    pub fn finish(&mut self) -> Result<(), String> {
        self.read()?;
        let missing: Vec<usize> = (0..self.arrived.len()).filter(|n| !self.arrived[*n]).collect();
        if !missing.is_empty() {
            let first = &missing[..missing.len().min(10)];
            return Err(format!("{} of {} records missing: {first:?}", missing.len(), self.arrived.len()));
        }
        match (self.unrepeated.first(), self.rest.is_empty() && !self.torn) {
            (Some(torn), _) => Err(format!("the torn record {:?} was not repeated", text(Some(torn)))),
            (None, false) => Err(format!("{:?} at the end of the file", text(Some(&self.rest)))),
            (None, true) => Ok(()),
        }
    }

    fn count(&mut self, line: &[u8]) -> Result<(), String> {
        let Some(n) = number(line).filter(|n| *n < self.arrived.len() as u64) else {
            return Err(format!("{:?} is no whole record, and no end tore it", text(Some(line))));
        };
        self.unrepeated.retain(|torn| !line.starts_with(torn));
        if std::mem::replace(&mut self.arrived[n as usize], true) {
            self.doubled += 1;
            return Ok(());
        }
        self.distinct += 1;
        if self.highest.is_some_and(|highest| highest > n) {
            self.out_of_order += 1;
        }
        self.highest = self.highest.max(Some(n));
        Ok(())
    }
}

fn text<B: AsRef<[u8]>>(record: Option<B>) -> String {
    record.map_or_else(String::new, |record| String::from_utf8_lossy(record.as_ref()).into_owned())
}
