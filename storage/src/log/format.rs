//! Segments, batches and records as bytes. Integers are little-endian; batches and records begin at multiples of 8.
//!
//! ```text
//! segment   0  8 bytes "CURIALOG"
//!           8  u32 version = 1        12  u32 zero
//!          16  u64 number             24  u64 length of the file
//!          32  28 zero bytes
//!          60  u32 crc32c of the 60 bytes before it
//!          64  batches; behind the last one anything
//!
//! batch     0  u32 magic "BTCH"        4  u32 crc32c of bytes 8..48, seeded with the segment's number
//!           8  u64 number, from 1     16  u64 number of the last batch known durable
//!          24  u64 salt of this run   32  u32 bytes of its records with padding
//!          36  u32 records            40  u64 zero
//!          48  records
//!
//! record    0  u32 bytes of its body   4  u32 crc32c of bytes 0..4, 8..16 and the body, seeded with the batch's crc32c
//!           8  u8 kind                 9  7 zero bytes
//!          16  body, then zero bytes up to a multiple of 8
//!
//! kinds     1 hard state, 2 base, 3 entry    as curia-consensus encodes them
//!           4 drop suffix                    u32 log, u32 zero, u64 last index that stays
//!           5 log start                      u64 number of the first segment that is needed
//! ```

use crate::error::{Result, StorageError};

pub(super) const SEGMENT_MAGIC: [u8; 8] = *b"CURIALOG";
pub(super) const VERSION: u32 = 1;
pub(super) const SEGMENT_HEADER_BYTES: usize = 64;
pub(super) const BATCH_MAGIC: u32 = u32::from_le_bytes(*b"BTCH");
pub(super) const BATCH_HEADER_BYTES: usize = 48;
pub(super) const RECORD_HEADER_BYTES: usize = 16;
/// Batches and records begin at multiples of this.
pub(super) const ALIGNMENT: usize = 8;

/// What a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    HardState = 1,
    Base = 2,
    Entry = 3,
    DropSuffix = 4,
    LogStart = 5,
    DropLog = 6,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Kind> {
        match byte {
            1 => Some(Kind::HardState),
            2 => Some(Kind::Base),
            3 => Some(Kind::Entry),
            4 => Some(Kind::DropSuffix),
            5 => Some(Kind::LogStart),
            6 => Some(Kind::DropLog),
            _ => None,
        }
    }
}

/// The beginning of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) number: u64,
    pub(super) bytes: u64,
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut out = [0; SEGMENT_HEADER_BYTES];
        out[..8].copy_from_slice(&SEGMENT_MAGIC);
        out[8..12].copy_from_slice(&VERSION.to_le_bytes());
        out[16..24].copy_from_slice(&self.number.to_le_bytes());
        out[24..32].copy_from_slice(&self.bytes.to_le_bytes());
        let crc = crc32c::crc32c(&out[..60]);
        out[60..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<SegmentHeader> {
        let header = bytes.get(..SEGMENT_HEADER_BYTES).ok_or(malformed("a short header"))?;
        if header[..8] != SEGMENT_MAGIC {
            return Err(malformed("no magic"));
        }
        if u32_at(header, 60) != crc32c::crc32c(&header[..60]) {
            return Err(malformed("a wrong header checksum"));
        }
        if u32_at(header, 8) != VERSION {
            return Err(malformed("a version that this program does not know"));
        }
        Ok(SegmentHeader {
            number: u64_at(header, 16),
            bytes: u64_at(header, 24),
        })
    }
}

/// The beginning of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BatchHeader {
    pub(super) number: u64,
    pub(super) durable: u64,
    pub(super) salt: u64,
    pub(super) body_bytes: u32,
    pub(super) records: u32,
}

impl BatchHeader {
    /// Its bytes and its checksum, the seed of its records' checksums.
    pub(super) fn encode(&self, segment: u64) -> ([u8; BATCH_HEADER_BYTES], u32) {
        let mut out = [0; BATCH_HEADER_BYTES];
        out[..4].copy_from_slice(&BATCH_MAGIC.to_le_bytes());
        out[8..16].copy_from_slice(&self.number.to_le_bytes());
        out[16..24].copy_from_slice(&self.durable.to_le_bytes());
        out[24..32].copy_from_slice(&self.salt.to_le_bytes());
        out[32..36].copy_from_slice(&self.body_bytes.to_le_bytes());
        out[36..40].copy_from_slice(&self.records.to_le_bytes());
        let crc = crc32c::crc32c_append(segment_seed(segment), &out[8..]);
        out[4..8].copy_from_slice(&crc.to_le_bytes());
        (out, crc)
    }

    /// The header and its checksum, or `None` when no batch of this segment begins here.
    pub(super) fn decode(bytes: &[u8], segment: u64) -> Option<(BatchHeader, u32)> {
        let header = bytes.get(..BATCH_HEADER_BYTES)?;
        if u32_at(header, 0) != BATCH_MAGIC {
            return None;
        }
        let crc = crc32c::crc32c_append(segment_seed(segment), &header[8..]);
        if u32_at(header, 4) != crc || u64_at(header, 40) != 0 {
            return None;
        }
        let body_bytes = u32_at(header, 32);
        if !(body_bytes as usize).is_multiple_of(ALIGNMENT) {
            return None;
        }
        Some((
            BatchHeader {
                number: u64_at(header, 8),
                durable: u64_at(header, 16),
                salt: u64_at(header, 24),
                body_bytes,
                records: u32_at(header, 36),
            },
            crc,
        ))
    }

    /// Bytes of the whole batch.
    pub(super) fn batch_bytes(&self) -> u64 {
        BATCH_HEADER_BYTES as u64 + u64::from(self.body_bytes)
    }
}

/// Spreads the number over the checksum's state.
fn segment_seed(segment: u64) -> u32 {
    crc32c::crc32c(&segment.to_le_bytes())
}

/// The beginning of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordHeader {
    pub(super) kind: Kind,
    pub(super) body_bytes: u32,
    crc: u32,
}

impl RecordHeader {
    pub(super) fn decode(bytes: &[u8]) -> Option<RecordHeader> {
        let header = bytes.get(..RECORD_HEADER_BYTES)?;
        Some(RecordHeader {
            kind: Kind::from_byte(header[8])?,
            body_bytes: u32_at(header, 0),
            crc: u32_at(header, 4),
        })
    }

    /// Bytes of the whole record with padding.
    pub(super) fn record_bytes(&self) -> u64 {
        (RECORD_HEADER_BYTES as u64 + u64::from(self.body_bytes)).next_multiple_of(ALIGNMENT as u64)
    }

    /// Whether a record, from its header on, is what was written in this batch.
    pub(super) fn verifies(&self, record: &[u8], batch_crc: u32) -> bool {
        let end = RECORD_HEADER_BYTES + self.body_bytes as usize;
        record
            .get(RECORD_HEADER_BYTES..end)
            .is_some_and(|body| record_crc(&record[..RECORD_HEADER_BYTES], body, batch_crc) == self.crc)
    }
}

fn record_crc(header: &[u8], body: &[u8], batch_crc: u32) -> u32 {
    let crc = crc32c::crc32c_append(batch_crc, &header[..4]);
    let crc = crc32c::crc32c_append(crc, &header[8..RECORD_HEADER_BYTES]);
    crc32c::crc32c_append(crc, body)
}

/// Builds a batch in one buffer.
#[derive(Default)]
pub(super) struct BatchWriter {
    /// The batch; its header and the records' checksums are filled in by [`BatchWriter::seal`].
    bytes: Vec<u8>,
    /// Where each record begins, and the length of its body.
    records: Vec<(usize, u32)>,
}

impl BatchWriter {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.resize(BATCH_HEADER_BYTES, 0);
        self.records.clear();
    }

    /// Adds a record whose body `encode` appends.
    pub(super) fn record(&mut self, kind: Kind, encode: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; RECORD_HEADER_BYTES]);
        encode(&mut self.bytes);
        let body = u32::try_from(self.bytes.len() - start - RECORD_HEADER_BYTES)
            .map_err(|_| StorageError::Limit("a log record is limited to 4 GB".into()))?;
        self.bytes[start..start + 4].copy_from_slice(&body.to_le_bytes());
        self.bytes[start + 8] = kind as u8;
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGNMENT), 0);
        self.records.push((start, body));
        Ok(())
    }

    /// Bytes of the batch.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The batch, once it is sealed.
    pub(super) fn sealed(&self) -> &[u8] {
        &self.bytes
    }

    /// Fills in the header and all checksums.
    pub(super) fn seal(&mut self, segment: u64, number: u64, durable: u64, salt: u64) -> Result<&[u8]> {
        let body_bytes = u32::try_from(self.bytes.len() - BATCH_HEADER_BYTES)
            .map_err(|_| StorageError::Limit("a log batch is limited to 4 GB".into()))?;
        let header = BatchHeader {
            number,
            durable,
            salt,
            body_bytes,
            records: self.records.len() as u32,
        };
        let (bytes, batch_crc) = header.encode(segment);
        self.bytes[..BATCH_HEADER_BYTES].copy_from_slice(&bytes);
        for (start, body) in &self.records {
            let (header, rest) = self.bytes[*start..].split_at_mut(RECORD_HEADER_BYTES);
            let crc = record_crc(header, &rest[..*body as usize], batch_crc);
            header[4..8].copy_from_slice(&crc.to_le_bytes());
        }
        Ok(&self.bytes)
    }
}

/// The records of a whole batch body, verified; the error is the offset within the body of what is wrong.
pub(super) fn records(body: &[u8], header: &BatchHeader, batch_crc: u32) -> Result<Vec<(Kind, std::ops::Range<usize>)>, usize> {
    // A record takes at least its header: a wild count allocates nothing.
    let mut found = Vec::with_capacity((header.records as usize).min(body.len() / RECORD_HEADER_BYTES));
    let mut at = 0;
    for _ in 0..header.records {
        let rest = &body[at..];
        let record = RecordHeader::decode(rest).ok_or(at)?;
        if record.record_bytes() > rest.len() as u64 || !record.verifies(rest, batch_crc) {
            return Err(at);
        }
        let start = at + RECORD_HEADER_BYTES;
        found.push((record.kind, start..start + record.body_bytes as usize));
        at += record.record_bytes() as usize;
    }
    if at == body.len() { Ok(found) } else { Err(at) }
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |chunk| u32::from_le_bytes(*chunk))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |chunk| u64::from_le_bytes(*chunk))
}

fn malformed(detail: &'static str) -> StorageError {
    StorageError::format("log segment", detail)
}

/// Decodes any bytes as a segment's header; for fuzzing.
pub fn fuzz_segment_header(bytes: &[u8]) -> bool {
    SegmentHeader::decode(bytes).is_ok()
}

/// Decodes any bytes as a batch of segment 1, with its records; for fuzzing.
pub fn fuzz_batch(bytes: &[u8]) -> bool {
    // Checksums would keep a fuzzer out, so the header is made to verify.
    let Some(mut header) = bytes.get(..BATCH_HEADER_BYTES).map(<[u8]>::to_vec) else {
        return false;
    };
    header[..4].copy_from_slice(&BATCH_MAGIC.to_le_bytes());
    let crc = crc32c::crc32c_append(segment_seed(1), &header[8..]);
    header[4..8].copy_from_slice(&crc.to_le_bytes());
    let Some((header, crc)) = BatchHeader::decode(&header, 1) else {
        return false;
    };
    records(&bytes[BATCH_HEADER_BYTES..], &header, crc).is_ok()
}
