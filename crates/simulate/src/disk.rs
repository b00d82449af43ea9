//! A server's disk: what is on the platters, and the batches on their way there.
//!
//! ```text
//!   platters:  hard state, bases, entries        ◄── sync ── pending: batch 7 │ batch 8 │ batch 9
//!   crash:     pending is lost, but for some first records: batches reach the disk in order, the last one is torn
//! ```
//!
//! Entries pass through the codec at every restart.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use curia_consensus::{
    Base, Entry, HardState, Index, LogId, Payload, Persist, PersistSeq, Tail, Term, Write, decode_base, decode_entry, encode_base,
    encode_entry,
};

use crate::dice::Dice;

/// One log on a disk.
#[derive(Clone, Debug, Default)]
pub struct Lane {
    base: Base,
    /// Entries after the base, durable.
    durable: VecDeque<Entry>,
    /// Where the log begins once everything pending is written.
    written_base: Tail,
    /// Terms of the entries after that.
    terms: VecDeque<Term>,
    /// Its group is gone.
    dropped: bool,
}

/// A server's disk.
#[derive(Debug, Default)]
pub struct Disk {
    /// The last durable one.
    pub hard_state: Option<HardState>,
    lanes: BTreeMap<LogId, Lane>,
    pending: VecDeque<Persist>,
    /// A log that lost its last entries, and where it ended before.
    damage: Option<(LogId, Index)>,
}

/// What a crash did to what was not yet synced.
#[derive(Clone, Copy, Debug, Default)]
pub struct Loss {
    /// Batches that were not durable.
    pub pending: usize,
    /// One of them was kept in part.
    pub torn: bool,
}

fn slot(base: Index, index: Index) -> Option<usize> {
    usize::try_from(index.0.checked_sub(base.0 + 1)?).ok()
}

impl Lane {
    /// The durable entry at `index`.
    pub fn get(&self, index: Index) -> Option<&Entry> {
        self.durable.get(slot(self.base.index, index)?)
    }

    /// Durable entries, oldest first.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.durable.iter()
    }

    /// Where the durable log ends.
    pub fn tail(&self) -> Tail {
        let last = self.durable.back().map(|entry| (entry.term, entry.index));
        let (term, index) = last.unwrap_or((self.base.term, self.base.index));
        Tail { term, index }
    }

    /// Where the log begins.
    pub fn base(&self) -> &Base {
        &self.base
    }

    /// Whether the entry of this term is durable here, or so far back that it is gone for good reason.
    pub fn holds(&self, index: Index, term: Term) -> bool {
        index <= self.base.index || self.get(index).is_some_and(|entry| entry.term == term)
    }

    /// Whether its group is gone.
    pub fn is_dropped(&self) -> bool {
        self.dropped
    }

    /// The term at `index` once everything pending is written; `None` where there is no entry.
    pub fn written_term(&self, index: Index) -> Option<Term> {
        if index == self.written_base.index {
            return Some(self.written_base.term);
        }
        self.terms.get(slot(self.written_base.index, index)?).copied()
    }

    fn note(&mut self, write: &Write) {
        let base = self.written_base.index;
        match write {
            Write::Append { entry, .. } => {
                if let Some(slot) = slot(base, entry.index) {
                    self.terms.truncate(slot);
                    self.terms.push_back(entry.term);
                }
            }
            Write::DropSuffix { after, .. } => self.terms.truncate(slot(base, after.next()).unwrap_or(0)),
            Write::Base { base, .. } => self.note_base(base),
            Write::DropLog { .. } => (self.written_base, self.terms) = Default::default(),
        }
    }

    /// Nothing is pending any more.
    fn note_durable(&mut self) {
        self.terms = self.durable.iter().map(|entry| entry.term).collect();
        self.written_base = Tail {
            term: self.base.term,
            index: self.base.index,
        };
    }

    fn note_base(&mut self, base: &Base) {
        let gone = base.index.0.saturating_sub(self.written_base.index.0) as usize;
        self.terms.drain(..gone.min(self.terms.len()));
        self.written_base = Tail {
            term: base.term,
            index: base.index,
        };
    }

    fn write(&mut self, write: Write) {
        let from = self.base.index;
        match write {
            Write::Append { entry, .. } => {
                if let Some(slot) = slot(from, entry.index) {
                    let last = self.tail();
                    assert!(
                        slot <= self.durable.len(),
                        "a log store is never asked to leave a gap: {:?} after {last:?}",
                        entry.index
                    );
                    self.durable.truncate(slot);
                    self.durable.push_back(entry);
                }
            }
            Write::DropSuffix { after, .. } => self.durable.truncate(slot(from, after.next()).unwrap_or(0)),
            Write::Base { base, .. } => self.rebase(base),
            Write::DropLog { .. } => {
                *self = Self {
                    dropped: true,
                    ..Self::default()
                };
            }
        }
    }

    fn rebase(&mut self, base: Base) {
        while self.durable.front().is_some_and(|entry| entry.index <= base.index) {
            self.durable.pop_front();
        }
        self.base = base;
    }
}

fn log_of(write: &Write) -> LogId {
    match write {
        Write::Append { log, .. } | Write::DropSuffix { log, .. } | Write::Base { log, .. } | Write::DropLog { log } => *log,
    }
}

impl Disk {
    /// A log, if anything of it was ever written.
    pub fn lane(&self, log: LogId) -> Option<&Lane> {
        self.lanes.get(&log)
    }

    /// All logs.
    pub fn lanes(&self) -> impl Iterator<Item = (LogId, &Lane)> {
        self.lanes.iter().map(|(log, lane)| (*log, lane))
    }

    /// Takes a batch, to be written. `see` is told of each entry and of the term before it in its log.
    pub fn write(&mut self, batch: Persist, mut see: impl FnMut(LogId, &Entry, Option<Term>)) {
        for write in &batch.writes {
            let log = log_of(write);
            let lane = self.lanes.entry(log).or_default();
            if let Write::Append { entry, .. } = write {
                see(log, entry, lane.written_term(entry.index.previous()));
            }
            lane.note(write);
        }
        self.pending.push_back(batch);
    }

    /// The oldest batches, up to this one, are durable.
    pub fn sync(&mut self, upto: PersistSeq) {
        while self.pending.front().is_some_and(|batch| batch.seq <= upto) {
            let batch = self.pending.pop_front().expect("just seen");
            self.put(batch, usize::MAX);
        }
    }

    /// Writes the first records of a batch; says how many.
    fn put(&mut self, batch: Persist, mut records: usize) {
        if batch.hard_state.is_some() {
            if records == 0 {
                return;
            }
            records -= 1;
            self.hard_state = batch.hard_state;
        }
        for write in batch.writes.into_iter().take(records) {
            self.lanes.entry(log_of(&write)).or_default().write(write);
        }
    }

    /// Loses what is pending. When it `tears`, some first records of it survive.
    pub fn crash(&mut self, dice: &mut Dice, tears: bool) -> Loss {
        let mut loss = Loss {
            pending: self.pending.len(),
            torn: false,
        };
        let size = |batch: &Persist| batch.writes.len() + usize::from(batch.hard_state.is_some());
        let all: usize = self.pending.iter().map(size).sum();
        let mut kept = if tears { dice.below(all as u64 + 1) as usize } else { 0 };
        for batch in std::mem::take(&mut self.pending) {
            let records = size(&batch).min(kept);
            loss.torn |= records > 0 && records < size(&batch);
            kept -= records;
            self.put(batch, records);
        }
        for lane in self.lanes.values_mut() {
            lane.note_durable();
        }
        loss
    }

    /// Entries of a log after `after` can't be read any more.
    pub fn damage(&mut self, log: LogId, after: Index) {
        if let Some(lane) = self.lanes.get_mut(&log) {
            self.damage = Some((log, lane.tail().index));
            lane.durable.truncate(slot(lane.base.index, after.next()).unwrap_or(0));
            lane.note_durable();
        }
    }

    /// Whether this log had an entry here, of which it isn't known any more what it was.
    pub fn had(&self, log: LogId, index: Index) -> bool {
        let damaged = self.damaged().filter(|(damaged, after)| *damaged == log && index > *after);
        damaged.is_some() && self.damage.is_some_and(|(_, upto)| index <= upto)
    }

    /// What is still damaged: a log, and its last sound entry. It stays so until the log is as long again as it was.
    pub fn damaged(&self) -> Option<(LogId, Index)> {
        let (log, upto) = self.damage?;
        let last = self.lane(log)?.tail().index;
        (last < upto).then_some((log, last))
    }

    /// Moves the bases of logs up, over entries that are durable.
    pub fn rebase(&mut self, bases: &[(LogId, Base)]) {
        for (log, base) in bases {
            let lane = self.lanes.entry(*log).or_default();
            lane.note_base(base);
            lane.rebase(base.clone());
        }
    }

    /// Entries of a log after `after` and up to `upto`, of about so many bytes; `None` when they begin later.
    pub fn read(&self, log: LogId, after: Index, upto: Index, bytes_max: usize) -> Option<Vec<Entry>> {
        let lane = self.lane(log)?;
        let mut found = Vec::new();
        let mut bytes = 0;
        for index in (after.0 + 1..=upto.0).map(Index) {
            if bytes >= bytes_max && !found.is_empty() {
                break;
            }
            let entry = Self::read_back(log, lane.get(index)?);
            bytes += 64 + entry.record.payload().map_or(0, Payload::len);
            found.push(entry);
        }
        Some(found)
    }

    /// The bases as they are read back.
    pub fn bases(&self) -> Vec<(LogId, Base)> {
        let moved = self.lanes.iter().filter(|(_, lane)| lane.base != Base::default());
        moved
            .map(|(log, lane)| {
                let mut bytes = Vec::new();
                encode_base(*log, &lane.base, &mut bytes);
                decode_base(bytes.into()).expect("a base reads back")
            })
            .collect()
    }

    /// An entry as it is read back.
    pub fn read_back(log: LogId, entry: &Entry) -> Entry {
        let mut bytes = Vec::new();
        encode_entry(log, entry, &mut bytes);
        let (found, entry) = decode_entry(bytes.into()).expect("an entry reads back");
        assert_eq!(found, log, "an entry is found in its log");
        entry
    }

    /// The payload of the record at this place, which is durable.
    pub fn payload(&self, log: LogId, index: Index) -> Bytes {
        let entry = self.lane(log).and_then(|lane| lane.get(index));
        let Some(Payload::Held(bytes)) = entry.and_then(|entry| entry.record.payload()) else {
            panic!("the log store is asked for a payload that it doesn't have: {log:?} {index:?}: {entry:?}")
        };
        bytes.clone()
    }
}
