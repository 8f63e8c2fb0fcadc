//! One line of base64 that comes in parts.

use base64::{
    DecodeError,
    prelude::{BASE64_STANDARD_NO_PAD, Engine as _},
};

/// Decodes a line of base64 (RFC 4648 section 4) part by part. Padding may be missing, but if there is any it
/// must be right, and stand at the end.
#[derive(Debug, Default)]
pub struct Line {
    /// Symbols not yet decoded: the last one to four, since padding shows only at the end.
    rest: Vec<u8>,
    /// How many symbols were decoded.
    done: u64,
}

impl Line {
    /// Decodes the next part; with `ends` to the end of the line. An error is the place in the line, from 1.
    pub fn decode(&mut self, part: &[u8], ends: bool) -> Result<Vec<u8>, u64> {
        self.rest.extend_from_slice(part);
        let all = std::mem::take(&mut self.rest);
        if ends {
            let line = all.strip_suffix(b"\r").unwrap_or(&all);
            let bytes = decode(line).map_err(|at| self.done + at)?;
            self.done = 0;
            return Ok(bytes);
        }
        // One to five symbols stay: padding or a carriage return may be among them.
        let now = all.len().saturating_sub(1) / 4 * 4;
        let now = if all[now..] == *b"\r" { now.saturating_sub(4) } else { now };
        let bytes = symbols(&all[..now]).map_err(|at| self.done + at)?;
        self.done += now as u64;
        self.rest = all[now..].to_vec();
        Ok(bytes)
    }

    /// No part of a line is here.
    pub fn is_empty(&self) -> bool {
        self.done == 0 && self.rest.is_empty()
    }
}

/// Decodes base64 whose padding may be missing, or says where, from 1, it is wrong.
pub(in crate::proto) fn decode(text: &[u8]) -> Result<Vec<u8>, u64> {
    unpadded(text).and_then(symbols)
}

/// The symbols without the padding after them, or where, from 1, padding is wrong.
fn unpadded(line: &[u8]) -> Result<&[u8], u64> {
    let end = line.iter().rposition(|&b| b != b'=').map_or(0, |last| last + 1);
    let padding = line.len() - end;
    if padding > 2 || (padding > 0 && line.len() % 4 != 0) {
        return Err(strange(line).unwrap_or(end as u64 + 1));
    }
    Ok(&line[..end])
}

/// Decodes symbols without padding, or says where, from 1, they are wrong.
fn symbols(symbols: &[u8]) -> Result<Vec<u8>, u64> {
    BASE64_STANDARD_NO_PAD.decode(symbols).map_err(|error| {
        let at = match error {
            DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol(at, _) => at,
            // One symbol of a group of four is too few.
            DecodeError::InvalidLength(_) | DecodeError::InvalidPadding => symbols.len() / 4 * 4,
        };
        strange(symbols).unwrap_or(at as u64 + 1)
    })
}

/// Where the first byte stands that is no symbol: the same place however the line came in.
fn strange(line: &[u8]) -> Option<u64> {
    let at = line.iter().position(|&b| !b.is_ascii_alphanumeric() && b != b'+' && b != b'/')?;
    Some(at as u64 + 1)
}
