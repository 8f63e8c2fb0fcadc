//! Masking (RFC 6455 section 5.3).

/// How many keys are made at once.
const KEYS: usize = 256;

/// Keys that nobody can predict, for frames from a client.
pub(super) struct Keys {
    ready: [[u8; 4]; KEYS],
    used: usize,
}

impl Keys {
    pub(super) fn new() -> Keys {
        Keys { ready: [[0; 4]; KEYS], used: KEYS }
    }

    /// One that was never given before.
    #[inline(always)]
    pub(super) fn next(&mut self) -> [u8; 4] {
        if self.used == KEYS {
            rand::fill(self.ready.as_flattened_mut());
            self.used = 0;
        }
        let key = self.ready[self.used];
        self.used += 1;
        key
    }
}

/// Masks or unmasks. In words, since a loop over the last bytes of a short message is half of its cost.
#[inline(always)]
pub(super) fn apply(payload: &mut [u8], key: [u8; 4]) {
    let word = u32::from_ne_bytes(key);
    let long = u64::from(word) << 32 | u64::from(word);
    let mut blocks = payload.chunks_exact_mut(8);
    for block in &mut blocks {
        // `chunks_exact_mut` gives 8 bytes.
        if let Some(block) = block.first_chunk_mut::<8>() {
            *block = (u64::from_ne_bytes(*block) ^ long).to_ne_bytes();
        }
    }
    let mut rest = blocks.into_remainder();
    if let Some(block) = rest.first_chunk_mut::<4>() {
        *block = (u32::from_ne_bytes(*block) ^ word).to_ne_bytes();
        rest = &mut rest[4..];
    }
    rest.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_length() {
        // Section 5.7.
        let mut hello = [0x7f, 0x9f, 0x4d, 0x51, 0x58];
        apply(&mut hello, [0x37, 0xfa, 0x21, 0x3d]);
        assert_eq!(&hello, b"Hello");
        let key = [1, 20, 130, 255];
        for len in 0..100 {
            let plain: Vec<u8> = (0..len).map(|n| (n * 3) as u8).collect();
            let mut masked = plain.clone();
            apply(&mut masked, key);
            for (n, (one, other)) in plain.iter().zip(&masked).enumerate() {
                assert_eq!(one ^ key[n % 4], *other);
            }
        }
    }

    #[test]
    fn keys_differ() {
        let mut keys = Keys::new();
        let some: HashSet<[u8; 4]> = (0..10 * KEYS).map(|_| keys.next()).collect();
        assert!(some.len() > 10 * KEYS - 10, "{} of {}", some.len(), 10 * KEYS);
    }
}
