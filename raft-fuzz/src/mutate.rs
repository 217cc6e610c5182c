//! Mutations drawn from a seeded source: what libFuzzer does, for where there is none.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Inputs grow no longer than this, in bytes.
const MAX_LENGTH: usize = 4096;

/// Draws mutations. The same seed gives the same.
pub struct Mutator {
    source: ChaCha8Rng,
}

impl Mutator {
    /// One that draws from this seed.
    #[must_use]
    pub fn new(seed: u64) -> Mutator {
        Mutator { source: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// A number below `bound`; 0 where there is none.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.source.next_u64() % bound.max(1) as u64).expect("below a usize")
    }

    fn byte(&mut self) -> u8 {
        const TELLING: [u8; 8] = [0, 1, 2, 3, 0x7f, 0x80, 0xfe, 0xff];
        match self.below(3) {
            0 => TELLING[self.below(TELLING.len())],
            _ => self.source.next_u64().to_le_bytes()[0],
        }
    }

    /// Changes an input in one to four places; `other` is one to take parts from.
    pub fn mutate(&mut self, input: &mut Vec<u8>, other: &[u8]) {
        for _ in 0..=self.below(4) {
            let at = self.below(input.len() + 1);
            let byte = self.byte();
            match self.below(7) {
                0 => input.iter_mut().skip(at).take(1).for_each(|place| *place ^= 1 << (byte % 8)),
                1 => input.iter_mut().skip(at).take(1).for_each(|place| *place = byte),
                2 => input.insert(at, byte),
                3 => drop(input.drain(at..input.len().min(at + 1 + usize::from(byte) % 8))),
                4 => input.truncate(at),
                5 => {
                    let part = self.part(other);
                    input.splice(at..at, part);
                }
                _ => {
                    let own = input.clone();
                    let part = self.part(&own);
                    let end = input.len().min(at + part.len());
                    input.splice(at..end, part);
                }
            }
        }
        input.truncate(MAX_LENGTH);
    }

    fn part(&mut self, of: &[u8]) -> Vec<u8> {
        let from = self.below(of.len());
        let length = self.below(64);
        of.iter().skip(from).take(length).copied().collect()
    }
}
