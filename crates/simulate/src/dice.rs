//! Seeded randomness: splitmix64 (Steele, Lea, Flood 2014), one stream for each concern.
//!
//! Streams are independent, so that a fault that is switched off leaves the clients' choices as they were: that is what
//! makes shrinking a failing seed work.

/// A stream of random choices that its seed and name decide wholly.
#[derive(Clone, Debug)]
pub struct Dice(u64);

/// Mixes a number into a hash.
pub fn mix(hash: u64, value: u64) -> u64 {
    let mut z = (hash ^ value).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Mixes bytes into a hash.
pub fn mix_bytes(hash: u64, bytes: &[u8]) -> u64 {
    let mut hash = mix(hash, bytes.len() as u64);
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        hash = mix(hash, u64::from_le_bytes(word));
    }
    hash
}

impl Dice {
    /// The stream of this name.
    pub fn new(seed: u64, stream: &str) -> Self {
        Self(mix_bytes(mix(0, seed), stream.as_bytes()))
    }

    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(0, self.0)
    }

    /// A number below `bound`, which is not zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.any() % bound
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        // Drawn in any case, so that another probability changes nothing else.
        let drawn = (self.any() >> 11) as f64 / (1u64 << 53) as f64;
        drawn < probability
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// A time around `mean`: often shorter, sometimes several times longer.
    pub fn around(&mut self, mean: u64) -> u64 {
        let even = self.below(2 * mean + 1);
        match self.below(8) {
            0 => even * 3,
            1..4 => even / 3,
            _ => even,
        }
    }
}
