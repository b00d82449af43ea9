//! Bytes of a write that a power cut ended, behind the end of a log (`docs/formats.md`).
//!
//! What stands there was never acknowledged, so a start must take no notice of it. Everything before is left alone: to damage
//! what was synced is to break the disk's promise, of which a cluster survives less.

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

/// Writes what could be left of a batch, or of several, behind the last one of the log in this folder.
///
/// # Errors
/// The system's.
pub fn tear(log: &Path, random: &mut impl Rng) -> io::Result<()> {
    let mut segments: Vec<PathBuf> = fs::read_dir(log)?.flatten().map(|entry| entry.path()).collect();
    segments.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    segments.sort();
    let Some(last) = segments.pop() else { return Ok(()) };
    let bytes = fs::read(&last)?;
    let (end, begin_of_last) = end(&bytes);
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

/// Where the batches of a segment end, and where the last one begins.
fn end(segment: &[u8]) -> (usize, usize) {
    let (mut end, mut last) = (SEGMENT_HEADER_BYTES, SEGMENT_HEADER_BYTES);
    let mut number = None;
    while let Some(header) = segment.get(end..end + BATCH_HEADER_BYTES)
        && header.starts_with(BATCH_MAGIC)
    {
        let u32_at = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let found = u64::from(u32_at(12)) << 32 | u64::from(u32_at(8));
        // A recycled segment has older batches behind its end.
        if number.is_some_and(|number: u64| found != number + 1) {
            break;
        }
        let length = BATCH_HEADER_BYTES + u32_at(32) as usize;
        if end + length > segment.len() {
            break;
        }
        number = Some(found);
        last = end;
        end += length;
    }
    (end, last)
}
