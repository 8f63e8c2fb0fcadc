//! What the fuzz targets share.
#![forbid(unsafe_code)]

pub mod codec;
pub mod encode;
pub mod session;

/// The bytes of one input, taken from the front. An empty one gives zeros.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let Some((&byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        byte
    }

    pub fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    pub fn u16(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    pub fn u32(&mut self) -> u32 {
        u32::from(self.u16()) << 16 | u32::from(self.u16())
    }

    pub fn u64(&mut self) -> u64 {
        u64::from(self.u32()) << 32 | u64::from(self.u32())
    }

    pub fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// As many bytes as the next one says.
    pub fn bytes(&mut self) -> &'a [u8] {
        let len = self.byte();
        self.take(len.into())
    }

    /// The same as text: what is no UTF-8 in it is left out.
    pub fn text(&mut self) -> String {
        self.bytes().utf8_chunks().map(|chunk| chunk.valid()).collect()
    }

    pub fn rest(self) -> &'a [u8] {
        self.0
    }
}

/// `data` in pieces: of one byte each for the seed 0, of random sizes for the others. One in three is large.
pub fn pieces(data: &[u8], seed: u8) -> Vec<&[u8]> {
    let mut state = u64::from(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let (mut rest, mut pieces) = (data, Vec::new());
    while !rest.is_empty() {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(u64::from(seed));
        let most = if state >> 60 < 5 { 200 } else { 7 };
        let len = if seed == 0 { 1 } else { 1 + (state >> 33) as usize % most };
        let (piece, after) = rest.split_at(len.min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// Server-sent text may not steer a terminal.
pub fn no_controls(text: &str) {
    assert!(!text.contains(char::is_control), "a control character in {text:?}");
}
