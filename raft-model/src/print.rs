//! Fingerprints.

use std::hash::{DefaultHasher, Hash, Hasher};

/// Takes down what is hashed, so that it can be hashed more than once.
#[derive(Default)]
pub(crate) struct Transcript(Vec<u8>);

impl Hasher for Transcript {
    fn finish(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        hasher.write(&self.0);
        hasher.finish()
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}

impl Transcript {
    pub(crate) fn of(thing: impl Hash) -> Transcript {
        let mut transcript = Transcript::default();
        thing.hash(&mut transcript);
        transcript
    }

    /// 128 bits: wide enough to stand for the thing itself.
    pub(crate) fn wide(&self) -> u128 {
        let mut other = DefaultHasher::new();
        (0x5eed_u64, &self.0).hash(&mut other);
        (u128::from(self.finish()) << 64) | u128::from(other.finish())
    }
}

/// Spreads the bits of a number (the finisher of splitmix64).
pub(crate) fn mix(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}
