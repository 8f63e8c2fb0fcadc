//! Reading MQTT packets field by field.

use super::{hex, to_hex};

/// What is left of a packet.
pub struct Fields<'a>(pub &'a [u8]);

/// Identifier and value in hex, in the order of the identifiers.
pub type Properties = Vec<(u8, String)>;

impl<'a> Fields<'a> {
    /// Behind the fixed header.
    pub fn of(packet: &'a [u8]) -> Fields<'a> {
        let length = packet[1..].iter().take_while(|byte| **byte >= 0x80).count() + 1;
        Fields(&packet[1 + length..])
    }

    pub fn take(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(n);
        self.0 = rest;
        taken
    }

    pub fn number(&mut self, bytes: usize) -> u32 {
        self.take(bytes).iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
    }

    pub fn variable(&mut self) -> usize {
        let mut length = 0;
        for shift in 0..4 {
            let byte = self.number(1);
            length |= (byte as usize & 0x7f) << (7 * shift);
            if byte < 0x80 {
                break;
            }
        }
        length
    }

    pub fn string(&mut self) -> String {
        let length = self.number(2) as usize;
        String::from_utf8(self.take(length).to_vec()).expect("UTF-8")
    }

    /// MQTT 5.0 section 2.2.2.2.
    pub fn properties(&mut self) -> Properties {
        let length = self.variable();
        let mut list = Fields(self.take(length));
        let mut all = Vec::new();
        while !list.0.is_empty() {
            let id = list.number(1) as u8;
            let before = list.0;
            match id {
                0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28..=0x2a => list.number(1) as usize,
                0x13 | 0x21..=0x23 => list.number(2) as usize,
                0x02 | 0x11 | 0x18 | 0x27 => list.number(4) as usize,
                0x0b => list.variable(),
                0x26 => list.string().len() + list.string().len(),
                0x03 | 0x08 | 0x09 | 0x12 | 0x15 | 0x16 | 0x1a | 0x1c | 0x1f => list.string().len(),
                _ => panic!("property {id:02x}"),
            };
            all.push((id, to_hex(&before[..before.len() - list.0.len()])));
        }
        all.sort();
        all
    }

    pub fn end(&self) {
        assert!(self.0.is_empty(), "more follows: {}", to_hex(self.0));
    }
}

/// As [`Fields::properties`] gives them.
pub fn properties(list: &[(u8, &str)]) -> Properties {
    let mut all: Properties = list.iter().map(|(id, value)| (*id, to_hex(&hex(value)))).collect();
    all.sort();
    all
}
