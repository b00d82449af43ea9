//! Inputs: a valid sample with a few mutations, sometimes plain noise.

use rand::seq::IndexedRandom;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Numbers that length and count fields break on.
const EDGES: [u64; 8] = [0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, u64::MAX];
/// Longest input in bytes.
const LIMIT: usize = 512;

/// The input of a run.
pub fn input(samples: &[Vec<u8>], seed: u64) -> Vec<u8> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let Some(sample) = samples.choose(&mut rng).filter(|_| rng.random_ratio(15, 16)) else {
        let mut noise = vec![0; rng.random_range(0..64)];
        rng.fill_bytes(&mut noise);
        return noise;
    };
    let mut bytes = sample.clone();
    for _ in 0..rng.random_range(0..6) {
        mutate(&mut bytes, samples, &mut rng);
    }
    bytes.truncate(LIMIT);
    bytes
}

fn mutate(bytes: &mut Vec<u8>, samples: &[Vec<u8>], rng: &mut ChaCha8Rng) {
    if bytes.is_empty() {
        bytes.push(rng.random());
        return;
    }
    let at = rng.random_range(0..bytes.len());
    match rng.random_range(0..7) {
        0 => bytes[at] ^= 1 << rng.random_range(0..8),
        1 => bytes[at] = rng.random(),
        2 => bytes.truncate(at),
        3 => bytes.insert(at, rng.random()),
        4 => {
            bytes.remove(at);
        }
        5 => {
            // An edge value over one, two, four or eight bytes, either byte order.
            let width = 1usize << rng.random_range(0..4);
            let edge = *EDGES.choose(rng).unwrap_or(&0);
            let (little, big) = (edge.to_le_bytes(), edge.to_be_bytes());
            let value = if rng.random() { &little[..width] } else { &big[8 - width..] };
            let end = (at + width).min(bytes.len());
            bytes[at..end].copy_from_slice(&value[..end - at]);
        }
        _ => {
            // The rest of another sample.
            if let Some(other) = samples.choose(rng).filter(|o| !o.is_empty()) {
                bytes.truncate(at);
                bytes.extend_from_slice(&other[rng.random_range(0..other.len())..]);
            }
        }
    }
}
