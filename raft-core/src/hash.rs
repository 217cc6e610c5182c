//! The hash behind the state hash chain: XXH3 with 64 bits, the same on every machine and in every build.
//!
//! It finds accidents, not forgers: whoever can choose what is hashed can make two states look alike.

use xxhash_rust::xxh3::xxh3_64;

/// Of bytes.
pub(crate) fn of_bytes(bytes: &[u8]) -> u64 {
    xxh3_64(bytes)
}

/// Of numbers, in their order. How many there are belongs to the caller's format: always the same.
pub(crate) fn of_words<const N: usize>(words: [u64; N]) -> u64 {
    xxh3_64(words.map(u64::to_le_bytes).as_flattened())
}
