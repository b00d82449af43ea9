//! Opening the log: finding its end, telling torn from damaged, and rebuilding what is remembered of each log.
//!
//! Batches are numbered without gaps. Going through the segments in order, whatever is no sound batch is *doubtful*, and
//! the next sound batch decides:
//!
//! ```text
//!   .. 7  8  ▒▒▒▒▒▒  9 ..        9 follows 8 at the front of the next segment: the doubtful bytes were never a batch
//!   .. 7  8  ▒▒▒▒▒▒  11 (10)     11 says that 10 was durable: 9 and 10 are damaged, unknown
//!   .. 7  8  ▒▒▒▒▒▒  10 (8)      10 doesn't know of 9 being durable: both are of the last, torn write
//!   .. 7  8  ▒▒▒▒▒▒              torn, or never written: the log ends after 8
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use curia_consensus::{Index, LogId, decode_base, decode_hard_state};

use super::format::{
    ALIGNMENT, BATCH_HEADER_BYTES, BATCH_MAGIC, BatchHeader, BatchWriter, Kind, SEGMENT_HEADER_BYTES, records, u32_at, u64_at,
};
use super::index::Position;
use super::segment::{Preparer, Segment, numbers, path_of};
use super::store::{LogStore, Place as EntryPlace, Window};
use super::{Damage, LogOptions, Place, Recovery};
use crate::error::{Result, StorageError};
use crate::file::FileLayer;

const FRONT: u64 = SEGMENT_HEADER_BYTES as u64;

impl LogStore {
    /// Opens the log in a folder of its own, or creates it there.
    ///
    /// A torn end is cut here. Damage is reported in [`Recovery::damage`]: who has no other server to repair it from calls
    /// [`Recovery::require_whole`] and goes no further.
    ///
    /// # Errors
    /// [`StorageError::Locked`] when another process has it; [`StorageError::NoSpace`]; [`StorageError::Io`];
    /// [`StorageError::Format`] when records are of an unknown version.
    pub fn open(layer: Arc<dyn FileLayer>, dir: &Path, options: LogOptions) -> Result<(LogStore, Recovery)> {
        layer.create_dir(dir).map_err(|e| StorageError::io("create", dir, e))?;
        let lock_path = dir.join("lock");
        let lock = layer.lock(&lock_path).map_err(|e| StorageError::io("lock", &lock_path, e))?;
        let mut preparer = Preparer::new(layer.clone(), dir.to_owned(), options.segment_bytes, options.prepare_beside);
        preparer.clean()?;
        let mut store = LogStore {
            dir: dir.to_owned(),
            options,
            segments: VecDeque::new(),
            preparer,
            logs: BTreeMap::new(),
            hard_state: None,
            last_batch: 0,
            holes: Vec::new(),
            sealed: false,
            writer: BatchWriter::default(),
            flying: false,
            poisoned: false,
            _lock: lock,
        };
        let present = numbers(&*layer, dir)?;
        let recovery = if present.is_empty() {
            Recovery::default()
        } else {
            Scan::new(&mut store, &*layer).run(&present)?
        };
        if store.segments.is_empty() {
            store.preparer.ensure(present.last().copied().unwrap_or(0), FRONT)?;
            if let Some(first) = store.preparer.take() {
                store.segments.push_back(first);
            }
        }
        if let Some(current) = store.segments.back() {
            store.preparer.begin(current.number);
        }
        Ok((store, recovery))
    }
}

/// The way through the segments.
struct Scan<'a> {
    store: &'a mut LogStore,
    layer: &'a dyn FileLayer,
    /// Number of the last sound batch.
    last: Option<u64>,
    /// Where it ends.
    end: Option<Position>,
    /// First doubtful place since then.
    doubt: Option<Doubt>,
    damage: Vec<(u64, Damage)>,
    /// No hard state came after the last damage.
    promise_unknown: bool,
    /// The first segment that is needed.
    start: u64,
    /// The first segment that is there.
    first: Option<u64>,
}

struct Doubt {
    segment: u64,
    damage: Damage,
    /// A batch header stood there: bytes that were to be a batch.
    was_batch: bool,
}

impl<'a> Scan<'a> {
    fn new(store: &'a mut LogStore, layer: &'a dyn FileLayer) -> Scan<'a> {
        Scan {
            store,
            layer,
            last: None,
            end: None,
            doubt: None,
            damage: Vec::new(),
            promise_unknown: false,
            start: 0,
            first: None,
        }
    }

    fn run(mut self, present: &[u64]) -> Result<Recovery> {
        self.start = self.recorded_start(present)?;
        let start = self.start;
        self.first = present.iter().copied().find(|number| *number >= start);
        for number in present.iter().copied().filter(|number| *number >= start) {
            let segment = Segment::open(self.layer, &self.store.dir, number)?;
            if let Some(detail) = segment.check_header()? {
                let place = Place {
                    path: segment.path.clone(),
                    offset: 0,
                };
                self.damage.push((number, Damage { place, detail }));
            }
            self.store.segments.push_back(segment);
            self.segment(self.store.segments.len() - 1)?;
        }
        self.finish(present)
    }

    /// The latest statement, at the front of a segment, of where the log starts. Older segments may be there still, in part.
    fn recorded_start(&self, present: &[u64]) -> Result<u64> {
        for number in present.iter().rev().copied() {
            let segment = Segment::open(self.layer, &self.store.dir, number)?;
            if segment.bytes < FRONT + BATCH_HEADER_BYTES as u64 {
                continue;
            }
            let mut window = Window::new(&segment);
            if let Some((_, body, found)) = batch_at(&mut window, &segment, FRONT)?.sound()
                && let Some((_, range)) = found.iter().find(|(kind, _)| *kind == Kind::LogStart)
            {
                return Ok(u64_at(&body[range.clone()], 0));
            }
        }
        Ok(present.first().copied().unwrap_or(0))
    }

    fn segment(&mut self, at: usize) -> Result<()> {
        let (number, bytes) = (self.store.segments[at].number, self.store.segments[at].bytes);
        let mut window = Window::new(&self.store.segments[at]);
        let mut offset = FRONT;
        // Whether a batch is expected here, or looked for.
        let mut expected = true;
        while offset + BATCH_HEADER_BYTES as u64 <= bytes {
            let found = batch_at(&mut window, &self.store.segments[at], offset)?;
            let path = &self.store.segments[at].path;
            match found {
                Found::Sound(header, body, records) => {
                    let place = Place {
                        path: path.clone(),
                        offset,
                    };
                    expected = self.accept(&header, expected, number, place);
                    if expected {
                        self.take(&header, &body, &records, Position { segment: number, offset })?;
                    }
                    offset += header.batch_bytes();
                    if expected {
                        self.end = Some(Position { segment: number, offset });
                        self.store.segments[at].end = offset;
                    }
                }
                Found::Broken(header, bad) => {
                    let detail = format!("a record of batch {} is not what was written", header.number);
                    let place = Place {
                        path: path.clone(),
                        offset: offset + BATCH_HEADER_BYTES as u64 + bad,
                    };
                    // One that was passed already is old: it was torn, and the log was written again over its front.
                    if self.last.is_none_or(|last| header.number > last) {
                        self.doubt(number, Damage { place, detail }, true);
                    }
                    offset += header.batch_bytes();
                    expected = false;
                }
                Found::Nothing => {
                    if self.doubt.is_none() {
                        let place = Place {
                            path: path.clone(),
                            offset,
                        };
                        self.doubt(
                            number,
                            Damage {
                                place,
                                detail: "no batch begins here".into(),
                            },
                            false,
                        );
                    }
                    offset = next_magic(&mut window, offset + ALIGNMENT as u64, bytes)?;
                    expected = false;
                }
            }
        }
        Ok(())
    }

    fn doubt(&mut self, segment: u64, damage: Damage, was_batch: bool) {
        match &mut self.doubt {
            None => {
                self.doubt = Some(Doubt {
                    segment,
                    damage,
                    was_batch,
                })
            }
            Some(doubt) => doubt.was_batch |= was_batch,
        }
    }

    /// Whether a sound batch continues the log; settles the doubts before it if so.
    fn accept(&mut self, header: &BatchHeader, expected: bool, segment: u64, place: Place) -> bool {
        let Some(last) = self.last else {
            let first = header.number == 1 || Some(segment) == self.first && place.offset == FRONT;
            if expected && first {
                self.doubt = None;
                return true;
            }
            // It doesn't begin the log, so what does is damaged, if this one says that it was durable.
            if header.durable > 0 {
                self.settle_as_damage(segment, place);
            }
            return header.durable > 0;
        };
        if header.number == last + 1 {
            // Batches stand one behind the other; elsewhere it is a remnant of a torn write.
            if expected {
                self.doubt = None;
            }
            return expected;
        }
        if header.number > last + 1 && header.durable > last {
            self.settle_as_damage(segment, place);
            return true;
        }
        false
    }

    fn settle_as_damage(&mut self, segment: u64, place: Place) {
        let begin = self.end.unwrap_or(Position {
            segment: self.first.unwrap_or(segment),
            offset: FRONT,
        });
        let end = Position {
            segment,
            offset: place.offset,
        };
        self.store.holes.push((begin, end));
        self.promise_unknown = true;
        let (segment, damage) = match self.doubt.take() {
            Some(doubt) => (doubt.segment, doubt.damage),
            None => (
                segment,
                Damage {
                    place,
                    detail: "batches before this one are missing".into(),
                },
            ),
        };
        self.damage.push((segment, damage));
    }

    fn take(&mut self, header: &BatchHeader, body: &[u8], records: &[(Kind, std::ops::Range<usize>)], position: Position) -> Result<()> {
        self.last = Some(header.number);
        self.store.last_batch = header.number;
        self.store.sealed = records.is_empty();
        for (kind, range) in records {
            let bytes = &body[range.clone()];
            let unreadable = |_| StorageError::format("log record", "written by a version that this program does not know");
            match kind {
                Kind::HardState => {
                    self.promise_unknown = false;
                    self.store.hard_state = Some(decode_hard_state(Bytes::copy_from_slice(bytes)).map_err(unreadable)?);
                }
                Kind::Base => {
                    let (log, base) = decode_base(Bytes::copy_from_slice(bytes)).map_err(unreadable)?;
                    self.store.logs.entry(log).or_default().rebase(base);
                }
                Kind::Entry => {
                    let EntryPlace { log, index, term } = EntryPlace::of(bytes);
                    self.store.note_entry(log, index, term, position);
                }
                Kind::DropSuffix => {
                    let after = Index(u64_at(bytes, 8));
                    self.store
                        .logs
                        .entry(LogId::from_u32(u32_at(bytes, 0)))
                        .or_default()
                        .drop_suffix(after);
                }
                Kind::LogStart => self.start = self.start.max(u64_at(bytes, 0)),
                Kind::DropLog => drop(self.store.logs.remove(&LogId::from_u32(u32_at(bytes, 0)))),
            }
        }
        Ok(())
    }

    /// Cuts the torn end, keeps one prepared segment, removes what is no longer needed, and sums up.
    fn finish(mut self, present: &[u64]) -> Result<Recovery> {
        let torn = self.doubt.take().filter(|doubt| doubt.was_batch).map(|doubt| doubt.damage.place);
        let current = self.end.map(|end| end.segment);
        while let Some(segment) = self
            .store
            .segments
            .pop_back_if(|segment| current.is_none_or(|current| segment.number > current))
        {
            if current.map_or(self.store.segments.is_empty(), |current| segment.number == current + 1) {
                self.store.preparer.adopt(segment);
            } else {
                remove(self.layer, &segment.path)?;
            }
        }
        if current.is_none()
            && let Some(segment) = self.store.preparer.take()
        {
            // Made ready, never written to: the log begins here.
            self.store.segments.push_back(segment);
        }
        for number in present.iter().copied().filter(|number| *number < self.start) {
            remove(self.layer, &path_of(&self.store.dir, number))?;
        }
        let start = self.start;
        while self.store.segments.len() > 1 && self.store.segments.front().is_some_and(|segment| segment.number < start) {
            self.store.segments.pop_front();
        }
        let damage = self.sum_up_damage(present, current);
        self.store.holes.retain(|(_, end)| end.segment >= start);
        Ok(Recovery {
            hard_state: self.store.hard_state,
            bases: self
                .store
                .logs
                .iter()
                .filter(|(_, log)| log.base.index > Index::ZERO)
                .map(|(log, index)| (*log, index.base.clone()))
                .collect(),
            promise_unknown: self.promise_unknown && !damage.is_empty(),
            damage,
            torn,
        })
    }

    fn sum_up_damage(&self, present: &[u64], current: Option<u64>) -> Vec<Damage> {
        let mut damage: Vec<Damage> = self
            .damage
            .iter()
            .filter(|(segment, _)| *segment >= self.start)
            .map(|(_, damage)| damage.clone())
            .collect();
        for number in self.start..=current.unwrap_or(0) {
            if !present.contains(&number) {
                let place = Place {
                    path: path_of(&self.store.dir, number),
                    offset: 0,
                };
                damage.push(Damage {
                    place,
                    detail: "the segment is missing".into(),
                });
            }
        }
        for (log, index) in &self.store.logs {
            if let Some(gap) = index.gap {
                let place = Place {
                    path: self.store.dir.clone(),
                    offset: 0,
                };
                damage.push(Damage {
                    place,
                    detail: format!("the log of {log} lacks entries before entry {gap}"),
                });
            }
        }
        damage
    }
}

enum Found {
    /// A batch, its body and records.
    Sound(BatchHeader, Vec<u8>, Vec<(Kind, std::ops::Range<usize>)>),
    /// A header whose body is not what was written, from this offset in the body on.
    Broken(BatchHeader, u64),
    /// No header.
    Nothing,
}

type Sound = (BatchHeader, Vec<u8>, Vec<(Kind, std::ops::Range<usize>)>);

impl Found {
    fn sound(self) -> Option<Sound> {
        match self {
            Found::Sound(header, body, records) => Some((header, body, records)),
            _ => None,
        }
    }
}

fn batch_at(window: &mut Window, segment: &Segment, offset: u64) -> Result<Found> {
    let Some((header, crc)) = BatchHeader::decode(window.get(offset, BATCH_HEADER_BYTES)?, segment.number) else {
        return Ok(Found::Nothing);
    };
    if offset + header.batch_bytes() > segment.bytes {
        return Ok(Found::Nothing);
    }
    let body = window.get(offset + BATCH_HEADER_BYTES as u64, header.body_bytes as usize)?;
    match records(body, &header, crc) {
        Ok(found) => Ok(Found::Sound(header, body.to_vec(), found)),
        Err(bad) => Ok(Found::Broken(header, bad as u64)),
    }
}

/// The next place from `offset` on where a batch's magic stands; the end of the file when there is none.
fn next_magic(window: &mut Window, mut offset: u64, bytes: u64) -> Result<u64> {
    const PIECE: u64 = 64 << 10;
    while offset < bytes {
        let piece = window.get(offset, (bytes - offset).min(PIECE) as usize)?;
        if let Some(at) = piece.chunks_exact(ALIGNMENT).position(|chunk| u32_at(chunk, 0) == BATCH_MAGIC) {
            return Ok(offset + (at * ALIGNMENT) as u64);
        }
        offset += piece.len() as u64;
    }
    Ok(bytes)
}

fn remove(layer: &dyn FileLayer, path: &Path) -> Result<()> {
    layer.remove(path).map_err(|e| StorageError::io("remove", path, e))
}
