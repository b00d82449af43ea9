//! Appending, truncating and reading.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use curia_consensus::{
    Base, Entry, HardState, Index, LogId, Tail, Term, Write, decode_entry, encode_base, encode_entry, encode_hard_state,
};

use super::LogOptions;
use super::format::{
    BATCH_HEADER_BYTES, BatchHeader, BatchWriter, Kind, RECORD_HEADER_BYTES, RecordHeader, SEGMENT_HEADER_BYTES, u32_at, u64_at,
};
use super::index::{LogIndex, Position};
use super::segment::{Preparer, Segment};
use crate::error::{Result, StorageError};
use crate::file::{FileLock, LayerFile};

/// What [`LogStore::reserve`] adds for headers, and for what else goes into the same batch.
const RESERVE_MARGIN_BYTES: u64 = 64 << 10;
/// Reads fetch at least this much.
const WINDOW_BYTES: usize = 128 << 10;
/// An encoded entry's log, index and term are in its first bytes.
const ENTRY_PLACE_BYTES: usize = 24;

/// The log of one server. See the [module](super).
pub struct LogStore {
    pub(super) dir: PathBuf,
    pub(super) options: LogOptions,
    /// The last is written to; in order, without gaps.
    pub(super) segments: VecDeque<Segment>,
    pub(super) preparer: Preparer,
    pub(super) logs: BTreeMap<LogId, LogIndex>,
    pub(super) hard_state: Option<HardState>,
    /// Number of the last batch.
    pub(super) last_batch: u64,
    /// From the end of a sound batch to the next one: what is between them is damaged. Ascending.
    pub(super) holes: Vec<(Position, Position)>,
    /// Whether the last batch was empty, so that everything before it is known durable.
    pub(super) sealed: bool,
    pub(super) writer: BatchWriter,
    /// A batch is on its way.
    pub(super) flying: bool,
    pub(super) poisoned: bool,
    pub(super) _lock: Box<dyn FileLock>,
}

impl LogStore {
    /// Writes a batch and makes it durable: when this returns, a crash loses none of it.
    ///
    /// # Errors
    /// [`StorageError::NoSpace`]: nothing was changed and the same call may succeed later. [`StorageError::Io`] and then
    /// [`StorageError::Poisoned`]: it is not known what is on the disk; only a restart finds out.
    pub fn append(&mut self, hard_state: Option<&HardState>, writes: &[Write]) -> Result<()> {
        match self.begin(hard_state, writes)? {
            None => Ok(()),
            Some(mut flight) => {
                flight.write();
                self.finish(flight, hard_state, writes)
            }
        }
    }

    /// The first third of [`LogStore::append`]: composes the batch. Then it is written with [`Flight::write`], which needs nothing of the
    /// store, so that others read meanwhile what was there before; then [`LogStore::finish`] with the same arguments. One batch at a time.
    ///
    /// # Errors
    /// As [`LogStore::append`]; nothing was changed.
    pub fn begin(&mut self, hard_state: Option<&HardState>, writes: &[Write]) -> Result<Option<Flight>> {
        if hard_state.is_none() && writes.is_empty() {
            return Ok(None);
        }
        self.check_sound()?;
        self.writer.clear();
        // Each batch repeats it, so that damage of an earlier one hides no promise.
        if let Some(state) = hard_state.or(self.hard_state.as_ref()) {
            self.writer.record(Kind::HardState, |out| encode_hard_state(state, out))?;
        }
        for write in writes {
            match write {
                Write::Append { log, entry } => self.writer.record(Kind::Entry, |out| encode_entry(*log, entry, out))?,
                Write::DropSuffix { log, after } => self.writer.record(Kind::DropSuffix, |out| {
                    out.extend_from_slice(&log.to_u32().to_le_bytes());
                    out.extend_from_slice(&[0; 4]);
                    out.extend_from_slice(&after.0.to_le_bytes());
                })?,
                Write::Base { log, base } => self.writer.record(Kind::Base, |out| encode_base(*log, base, out))?,
                Write::DropLog { log } => self
                    .writer
                    .record(Kind::DropLog, |out| out.extend_from_slice(&log.to_u32().to_le_bytes()))?,
            }
        }
        self.take_off().map(Some)
    }

    /// The last third of [`LogStore::append`]: what was written is known from now on.
    ///
    /// # Errors
    /// As [`LogStore::append`].
    pub fn finish(&mut self, flight: Flight, hard_state: Option<&HardState>, writes: &[Write]) -> Result<()> {
        let position = self.land(flight)?;
        self.sealed = false;
        if let Some(state) = hard_state {
            self.hard_state = Some(*state);
        }
        for write in writes {
            match write {
                Write::Append { log, entry } => self.note_entry(*log, entry.index, entry.term, position),
                Write::DropSuffix { log, after } => self.logs.entry(*log).or_default().drop_suffix(*after),
                Write::Base { log, base } => self.logs.entry(*log).or_default().rebase(base.clone()),
                Write::DropLog { log } => drop(self.logs.remove(log)),
            }
        }
        Ok(())
    }

    /// Says on disk that everything before was durable, so that later damage of the last batch is known as damage and not
    /// taken for a torn write. For quiet moments; does nothing when nothing was appended since.
    ///
    /// # Errors
    /// As [`LogStore::append`].
    pub fn seal(&mut self) -> Result<()> {
        if self.sealed {
            return Ok(());
        }
        self.writer.clear();
        self.write_batch()?;
        self.sealed = true;
        Ok(())
    }

    /// Makes sure that a batch of this many bytes of entries can be appended.
    ///
    /// # Errors
    /// [`StorageError::NoSpace`] when the disk is full: refuse the work that would have needed it.
    pub fn reserve(&mut self, bytes: u64) -> Result<()> {
        self.check_sound()?;
        let needed = bytes + bytes / 4 + RESERVE_MARGIN_BYTES;
        match self.segments.back() {
            Some(current) if current.room() < needed => self.preparer.ensure(current.number, needed),
            _ => Ok(()),
        }
    }

    /// Moves bases up and lets go of whole segments that no log needs any more. Logs that are not named keep their bases.
    ///
    /// # Errors
    /// As [`LogStore::append`]; when the batch could not be written, nothing was changed.
    pub fn truncate(&mut self, bases: &[(LogId, Base)]) -> Result<()> {
        let base_of = |log: &LogId| {
            let new = bases.iter().find(|(named, _)| named == log).map(|(_, base)| base.index);
            // A log that is not known was dropped: none of its entries is needed.
            let old = self.logs.get(log).map_or(Index(u64::MAX), |index| index.base.index);
            new.unwrap_or(old).max(old)
        };
        // What a segment holds beyond a log's end was replaced later.
        let last_of = |log: &LogId| self.logs.get(log).map_or(Index::ZERO, |index| index.last);
        let holds = |(log, highest): (&LogId, &Index)| *highest.min(&last_of(log)) > base_of(log);
        let needed = |segment: &Segment| segment.highest.iter().any(holds);
        let kept = self
            .segments
            .iter()
            .position(needed)
            .unwrap_or(self.segments.len())
            .min(self.segments.len() - 1);
        let first = self.segments[kept].number;
        self.writer.clear();
        for (log, base) in bases {
            self.writer.record(Kind::Base, |out| encode_base(*log, base, out))?;
        }
        self.writer
            .record(Kind::LogStart, |out| out.extend_from_slice(&first.to_le_bytes()))?;
        self.write_batch()?;
        self.sealed = false;
        for (log, base) in bases {
            self.logs.entry(*log).or_default().rebase(base.clone());
        }
        while self.segments.front().is_some_and(|segment| segment.number < first) {
            if let Some(segment) = self.segments.pop_front() {
                self.preparer.retire(&segment)?;
            }
        }
        Ok(())
    }

    /// Bytes from the beginning of the first segment to the end of the log.
    pub fn live_bytes(&self) -> u64 {
        let full: u64 = self.segments.iter().rev().skip(1).map(|segment| segment.bytes).sum();
        full + self.segments.back().map_or(0, |segment| segment.end)
    }

    /// The last entry of a log; that of its base when it has none.
    pub fn tail(&self, log: LogId) -> Tail {
        match self.logs.get(&log) {
            None => Tail::default(),
            Some(index) => Tail {
                term: index.term_at(index.last).unwrap_or(index.base.term),
                index: index.last,
            },
        }
    }

    /// One entry.
    ///
    /// # Errors
    /// [`StorageError::NoEntry`] when it is below the base, past the end or unknown; [`StorageError::Damaged`] when its
    /// bytes are not what was written.
    pub fn read(&self, log: LogId, index: Index) -> Result<Entry> {
        let missing = || StorageError::NoEntry {
            log: log.to_u32(),
            index: index.0,
        };
        let known = self.logs.get(&log).ok_or_else(missing)?;
        let term = known.term_at(index).ok_or_else(missing)?;
        let from = known.position_before(index).ok_or_else(missing)?;
        let mut found = None;
        self.scan(
            from,
            &mut |at| {
                if at == (Place { log, index, term }) {
                    Action::Decode
                } else {
                    Action::Skip
                }
            },
            &mut |visited| {
                found = visited.map(|(_, entry)| entry).or(found.take());
                Ok(found.is_none())
            },
        )?;
        found.ok_or_else(missing)
    }

    /// The entries of a log after `after` and up to `upto`, of about `bytes_max` bytes, at least one.
    ///
    /// # Errors
    /// As [`LogStore::read`], when the first one can't be read.
    pub fn read_range(&self, log: LogId, after: Index, upto: Index, bytes_max: usize) -> Result<Vec<Entry>> {
        let missing = || StorageError::NoEntry {
            log: log.to_u32(),
            index: after.next().0,
        };
        let known = self.logs.get(&log).ok_or_else(missing)?;
        let from = known.position_before(after.next()).ok_or_else(missing)?;
        let upto = upto.min(known.last);
        let (mut found, mut bytes) = (Vec::<Entry>::new(), 0);
        let next = std::cell::Cell::new(after.next());
        self.scan(
            from,
            &mut |at| {
                let stands = at.log == log && at.index == next.get() && known.term_at(at.index) == Some(at.term);
                if stands { Action::Decode } else { Action::Skip }
            },
            &mut |visited| {
                let Some((_, entry)) = visited else { return Ok(true) };
                bytes += entry.record.payload().map_or(0, |payload| payload.len());
                next.set(entry.index.next());
                found.push(entry);
                Ok(next.get() <= upto && bytes < bytes_max)
            },
        )?;
        if found.is_empty() { Err(missing()) } else { Ok(found) }
    }

    /// Every entry after its log's base, in the order of writing; entries that were replaced are left out, and so is what is
    /// damaged. One entry is held at a time.
    ///
    /// # Errors
    /// [`StorageError::Damaged`], and what `visit` fails with.
    pub fn replay(&self, visit: &mut dyn FnMut(LogId, Entry) -> Result<()>) -> Result<()> {
        self.replay_around_damage(&mut |replayed| match replayed {
            Replayed::Entry(log, entry) => visit(log, entry),
            Replayed::Damage => Ok(()),
        })
    }

    /// The same, told where damage is passed: records of any log may have stood there, replacing what was visited before too.
    ///
    /// # Errors
    /// As [`LogStore::replay`].
    pub fn replay_around_damage(&self, visit: &mut dyn FnMut(Replayed) -> Result<()>) -> Result<()> {
        let Some(first) = self.segments.front() else { return Ok(()) };
        let from = Position {
            segment: first.number,
            offset: SEGMENT_HEADER_BYTES as u64,
        };
        self.scan(
            from,
            &mut |at| {
                // An entry that was replaced has another term than the one that stands at its index now.
                let stands = self.logs.get(&at.log).and_then(|known| known.term_at(at.index)) == Some(at.term);
                if stands { Action::Decode } else { Action::Skip }
            },
            &mut |found| match found {
                Some((log, entry)) => visit(Replayed::Entry(log, entry)).map(|()| true),
                None => visit(Replayed::Damage).map(|()| true),
            },
        )
    }

    /// Walks over entries from a batch on. `choose` says which to decode; `visit` gets those, and nothing where damage is passed, and says
    /// whether to go on.
    fn scan(
        &self,
        from: Position,
        choose: &mut dyn FnMut(Place) -> Action,
        visit: &mut dyn FnMut(Option<(LogId, Entry)>) -> Result<bool>,
    ) -> Result<()> {
        for segment in self.segments.iter().filter(|segment| segment.number >= from.segment) {
            let mut at = if segment.number == from.segment {
                from.offset
            } else {
                SEGMENT_HEADER_BYTES as u64
            };
            let mut window = Window::new(segment);
            loop {
                while let Some(to) = self.past_hole(segment.number, at) {
                    if !visit(None)? {
                        return Ok(());
                    }
                    at = if to.segment == segment.number { to.offset } else { u64::MAX };
                }
                if at.saturating_add(BATCH_HEADER_BYTES as u64) > segment.end {
                    break;
                }
                let Some((batch, batch_crc)) = BatchHeader::decode(window.get(at, BATCH_HEADER_BYTES)?, segment.number) else {
                    // Either damage that the recovery reported, or rot since.
                    return Err(window.damaged(at, "no batch begins here"));
                };
                let end = at + batch.batch_bytes();
                let mut record_at = at + BATCH_HEADER_BYTES as u64;
                for _ in 0..batch.records {
                    let record = RecordHeader::decode(window.get(record_at, RECORD_HEADER_BYTES)?)
                        .filter(|record| record_at + record.record_bytes() <= end)
                        .ok_or_else(|| window.damaged(record_at, "no record begins here"))?;
                    if record.kind == Kind::Entry && record.body_bytes as usize >= ENTRY_PLACE_BYTES {
                        let place = Place::of(&window.get(record_at, RECORD_HEADER_BYTES + ENTRY_PLACE_BYTES)?[RECORD_HEADER_BYTES..]);
                        if choose(place) == Action::Decode {
                            let bytes = window.get(record_at, record.record_bytes() as usize)?;
                            if !record.verifies(bytes, batch_crc) {
                                return Err(window.damaged(record_at, "a record has a wrong checksum"));
                            }
                            let body =
                                Bytes::copy_from_slice(&bytes[RECORD_HEADER_BYTES..RECORD_HEADER_BYTES + record.body_bytes as usize]);
                            let (log, entry) = decode_entry(body).map_err(|e| window.damaged(record_at, &e.to_string()))?;
                            if !visit(Some((log, entry)))? {
                                return Ok(());
                            }
                        }
                    }
                    record_at += record.record_bytes();
                }
                at = end;
            }
        }
        Ok(())
    }

    /// Where to go on when damage begins here.
    fn past_hole(&self, segment: u64, offset: u64) -> Option<Position> {
        let here = Position { segment, offset };
        let hole = self.holes.iter().find(|(begin, end)| *begin <= here && here < *end);
        hole.map(|(_, end)| *end).filter(|_| offset < u64::MAX)
    }

    /// The logs of which anything is known.
    pub fn logs(&self) -> impl Iterator<Item = LogId> + '_ {
        self.logs.keys().copied()
    }

    pub(super) fn note_entry(&mut self, log: LogId, index: Index, term: Term, position: Position) {
        self.logs.entry(log).or_default().entry(index, term, position);
        if let Some(segment) = self.segments.iter_mut().rev().find(|segment| segment.number == position.segment) {
            segment.note(log, index);
        }
    }

    fn check_sound(&self) -> Result<()> {
        // One that is on its way while another begins was given up by whoever wrote it.
        match self.poisoned || self.flying {
            true => Err(StorageError::Poisoned),
            false => Ok(()),
        }
    }

    /// Writes and syncs the batch in `writer`; gives where it begins.
    fn write_batch(&mut self) -> Result<Position> {
        let mut flight = self.take_off()?;
        flight.write();
        self.land(flight)
    }

    /// The batch in `writer`, ready to be written. Rolls over to the next segment if need be.
    fn take_off(&mut self) -> Result<Flight> {
        self.check_sound()?;
        let mut checkpoint = BatchWriter::default();
        self.write_checkpoint(&mut checkpoint)?;
        let whole = (checkpoint.len() + self.writer.len()) as u64;
        let current = self.current()?;
        let (number, room, empty) = (current.number, current.room(), current.end == SEGMENT_HEADER_BYTES as u64);
        let begins = if room >= self.writer.len() as u64 && (!empty || room >= whole) {
            empty
        } else {
            self.preparer.ensure(number, whole)?;
            if let Some(next) = self.preparer.take() {
                self.segments.push_back(next);
            }
            true
        };
        self.preparer.begin(self.current()?.number);
        let (salt, durable) = (self.options.salt, self.last_batch);
        let mut number = self.last_batch + 1;
        let segment = self.segments.back_mut().ok_or(StorageError::Poisoned)?;
        let mut in_front = Vec::new();
        if begins {
            // Two batches in one write: neither is known durable when the other is written.
            in_front = checkpoint.seal(segment.number, number, durable, salt)?.to_vec();
            number += 1;
        }
        self.writer.seal(segment.number, number, durable, salt)?;
        self.flying = true;
        Ok(Flight {
            file: segment.file.clone(),
            path: segment.path.clone(),
            offset: segment.end,
            in_front,
            batch: std::mem::take(&mut self.writer),
            number,
            segment: segment.number,
            outcome: Err(StorageError::Poisoned),
        })
    }

    /// Where a batch that was written begins.
    fn land(&mut self, flight: Flight) -> Result<Position> {
        self.flying = false;
        let (in_front, whole) = (flight.in_front.len() as u64, flight.bytes());
        self.writer = flight.batch;
        if let Err(error) = flight.outcome {
            // Space was there when the segment was made; where a file system needs more all the same, the place is still
            // free and may be written again.
            self.poisoned = !error.is_no_space();
            return Err(error);
        }
        let segment = self.segments.back_mut().ok_or(StorageError::Poisoned)?;
        segment.end = flight.offset + whole;
        self.last_batch = flight.number;
        Ok(Position {
            segment: flight.segment,
            offset: flight.offset + in_front,
        })
    }

    fn current(&self) -> Result<&Segment> {
        self.segments.back().ok_or(StorageError::Poisoned)
    }

    /// What every segment begins with: all that is needed of the segments before it, apart from entries.
    fn write_checkpoint(&self, out: &mut BatchWriter) -> Result<()> {
        out.clear();
        let first = self.segments.front().map_or(0, |segment| segment.number);
        out.record(Kind::LogStart, |out| out.extend_from_slice(&first.to_le_bytes()))?;
        if let Some(state) = &self.hard_state {
            out.record(Kind::HardState, |out| encode_hard_state(state, out))?;
        }
        for (log, index) in &self.logs {
            // The senate's base needs its configuration; without one there is no base yet.
            if index.base.index > Index::ZERO {
                out.record(Kind::Base, |out| encode_base(*log, &index.base, out))?;
            }
        }
        Ok(())
    }
}

/// A batch on its way to the disk.
pub struct Flight {
    file: Arc<dyn LayerFile>,
    path: PathBuf,
    /// Where it goes.
    offset: u64,
    /// The batch that its segment begins with.
    in_front: Vec<u8>,
    batch: BatchWriter,
    /// Its number.
    number: u64,
    segment: u64,
    outcome: Result<()>,
}

impl Flight {
    /// Writes it and makes it durable; [`LogStore::finish`] tells what came of it.
    pub fn write(&mut self) {
        self.outcome = self.write_out();
    }

    fn write_out(&mut self) -> Result<()> {
        let batch = self.batch.sealed();
        let written = if self.in_front.is_empty() {
            self.file.write_at(batch, self.offset)
        } else {
            self.file.write_at(&[&self.in_front, batch].concat(), self.offset)
        };
        written.map_err(|error| StorageError::io("write", &self.path, error))?;
        // Not by `io`: after a failed sync there is nothing to be tried again, whatever the reason.
        self.file.sync_data().map_err(|source| StorageError::Io {
            action: "sync",
            path: self.path.clone(),
            source,
        })
    }

    fn bytes(&self) -> u64 {
        (self.in_front.len() + self.batch.sealed().len()) as u64
    }
}

/// What a replay comes by.
#[derive(Debug)]
pub enum Replayed {
    /// An entry that stands.
    Entry(LogId, Entry),
    /// Records that are not known any more.
    Damage,
}

/// Which entry a record holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) log: LogId,
    pub(super) index: Index,
    pub(super) term: Term,
}

impl Place {
    /// From the first bytes of an encoded entry.
    pub(super) fn of(entry: &[u8]) -> Place {
        Place {
            log: LogId::from_u32(u32_at(entry, 4)),
            index: Index(u64_at(entry, 8)),
            term: Term(u64_at(entry, 16)),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Decode,
    Skip,
}

/// A piece of a segment in memory, moved along as it is read.
pub(super) struct Window {
    file: Arc<dyn LayerFile>,
    path: PathBuf,
    /// Length of the file.
    limit: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    pub(super) fn new(segment: &Segment) -> Window {
        Window {
            file: segment.file.clone(),
            path: segment.path.clone(),
            limit: segment.bytes,
            start: 0,
            bytes: Vec::new(),
        }
    }

    pub(super) fn get(&mut self, offset: u64, len: usize) -> Result<&[u8]> {
        let end = offset + len as u64;
        if end > self.limit {
            return Err(self.damaged(offset, "it ends past the end of the file"));
        }
        if offset < self.start || end > self.start + self.bytes.len() as u64 {
            let fetch = (len.max(WINDOW_BYTES) as u64).min(self.limit - offset) as usize;
            self.bytes.resize(fetch, 0);
            self.start = offset;
            let read = self
                .file
                .read_at(&mut self.bytes, offset)
                .map_err(|e| StorageError::io("read", &self.path, e))?;
            self.bytes.truncate(read);
            if read < len {
                return Err(self.damaged(offset, "the file is shorter than it was"));
            }
        }
        let from = (offset - self.start) as usize;
        Ok(&self.bytes[from..from + len])
    }

    pub(super) fn damaged(&self, offset: u64, detail: &str) -> StorageError {
        StorageError::Damaged {
            path: self.path.clone(),
            offset,
            detail: detail.to_owned(),
        }
    }
}
