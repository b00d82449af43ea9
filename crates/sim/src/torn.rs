//! What bad disks do to a log (`docs/formats.md`).
//!
//! [`tear`]: bytes of a write that a power cut ended, behind the end of the log. They were never acknowledged, so a start must take no
//! notice of them.
//!
//! [`rot`]: a damaged byte in a batch that a later one names as durable. The log must know that something is missing there, and the
//! server gets it again from others. The last batches are left alone: without a later one that names them they look like torn
//! writes, and what was promised with them would be lost.

use rand::seq::IteratorRandom;
use rand::{Rng, RngExt};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const SEGMENT_HEADER_BYTES: usize = 64;
const BATCH_HEADER_BYTES: usize = 48;
const BATCH_MAGIC: &[u8; 4] = b"BTCH";
/// Longest torn write.
const TORN_BYTES_MAX: usize = 8 << 10;

/// A batch in a segment.
#[derive(Clone, Copy, Debug)]
struct Batch {
    offset: usize,
    length: usize,
    number: u64,
    durable: u64,
}

/// Segments with their bytes, in order.
fn segments(log: &Path) -> io::Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut paths: Vec<PathBuf> = fs::read_dir(log)?.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    paths.sort();
    paths.into_iter().map(|path| Ok((path.clone(), fs::read(path)?))).collect()
}

/// Damages a byte of the log in this folder; whether there was one that may be.
///
/// # Errors
/// The system's.
pub fn rot(log: &Path, random: &mut impl Rng) -> io::Result<bool> {
    let segments = segments(log)?;
    let all = segments
        .iter()
        .flat_map(|(path, bytes)| batches(bytes).into_iter().map(move |batch| (path, bytes, batch)));
    let all: Vec<_> = all.collect();
    let durable = all.iter().map(|(_, _, batch)| batch.durable).max().unwrap_or(0);
    let known = all
        .iter()
        .filter(|(_, _, batch)| batch.number < durable && batch.length > BATCH_HEADER_BYTES);
    let Some((path, bytes, batch)) = known.choose(random) else {
        return Ok(false);
    };
    let at = batch.offset + random.random_range(0..batch.length);
    let damaged = bytes[at] ^ (1 << random.random_range(0..8));
    File::options().write(true).open(path)?.write_all_at(&[damaged], at as u64)?;
    Ok(true)
}

/// Writes what could be left of a batch, or of several, behind the last one of the log in this folder.
///
/// # Errors
/// The system's.
pub fn tear(log: &Path, random: &mut impl Rng) -> io::Result<()> {
    let Some((last, bytes)) = segments(log)?.pop() else { return Ok(()) };
    let (begin_of_last, end) = match batches(&bytes).last() {
        Some(batch) => (batch.offset, batch.offset + batch.length),
        None => (SEGMENT_HEADER_BYTES, SEGMENT_HEADER_BYTES),
    };
    let room = bytes.len().saturating_sub(end).min(TORN_BYTES_MAX);
    if room == 0 {
        return Ok(());
    }
    let mut torn = vec![0; random.random_range(1..=room)];
    match random.random_range(0..3) {
        // Sectors of anything.
        0 => random.fill_bytes(&mut torn),
        // A header that looks well, and no body.
        1 => {
            let header = &bytes[begin_of_last..end.min(begin_of_last + BATCH_HEADER_BYTES)];
            let length = header.len().min(torn.len());
            torn[..length].copy_from_slice(&header[..length]);
        }
        // The last batch once more, but not all of it.
        _ => {
            let batch = &bytes[begin_of_last..end];
            let length = batch.len().saturating_sub(8).min(torn.len());
            torn[..length].copy_from_slice(&batch[..length]);
            torn[length / 2] ^= 0xff; // what it lacks may be zeros, which stand there anyway
        }
    }
    File::options().write(true).open(&last)?.write_all_at(&torn, end as u64)
}

/// The batches of a segment. A recycled one has older batches behind its end.
fn batches(segment: &[u8]) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    let mut offset = SEGMENT_HEADER_BYTES;
    while let Some(header) = segment.get(offset..offset + BATCH_HEADER_BYTES)
        && header.starts_with(BATCH_MAGIC)
    {
        let u32_at = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let u64_at = |at: usize| u64::from(u32_at(at + 4)) << 32 | u64::from(u32_at(at));
        let batch = Batch {
            offset,
            length: BATCH_HEADER_BYTES + u32_at(32) as usize,
            number: u64_at(8),
            durable: u64_at(16),
        };
        let follows = batches.last().is_none_or(|last| batch.number == last.number + 1);
        if !follows || offset + batch.length > segment.len() {
            break;
        }
        offset += batch.length;
        batches.push(batch);
    }
    batches
}
