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
    Base, Entry, HardState, Index, LogId, Payload, Persist, PersistSeq, Record, Tail, Term, Write, decode_base, decode_entry, encode_base,
    encode_entry,
};

use crate::dice::Dice;

/// One log on a disk.
#[derive(Clone, Debug, Default)]
pub struct Lane {
    /// Entries after the base, durable.
    durable: VecDeque<Entry>,
    /// Terms of the entries after the base, once everything pending is written.
    terms: VecDeque<Term>,
    base: Base,
}

/// A server's disk.
#[derive(Debug, Default)]
pub struct Disk {
    /// The last durable one.
    pub hard_state: Option<HardState>,
    lanes: BTreeMap<LogId, Lane>,
    pending: VecDeque<Persist>,
    /// Entries of this log after the index are damaged.
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

impl Lane {
    fn slot(&self, index: Index) -> Option<usize> {
        usize::try_from(index.0.checked_sub(self.base.index.0 + 1)?).ok()
    }

    /// The durable entry at `index`.
    pub fn get(&self, index: Index) -> Option<&Entry> {
        self.durable.get(self.slot(index)?)
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

    /// The term at `index` once everything pending is written; zero before the first entry.
    pub fn written_term(&self, index: Index) -> Option<Term> {
        if index == self.base.index {
            return Some(self.base.term);
        }
        self.terms.get(self.slot(index)?).copied()
    }

    fn note(&mut self, write: &Write) {
        match write {
            Write::Append { entry, .. } => {
                if let Some(slot) = self.slot(entry.index) {
                    self.terms.truncate(slot);
                    self.terms.push_back(entry.term);
                }
            }
            Write::DropSuffix { after, .. } => self.terms.truncate(self.slot(after.next()).unwrap_or(0)),
        }
    }

    fn write(&mut self, write: Write) {
        match write {
            Write::Append { entry, .. } => {
                if let Some(slot) = self.slot(entry.index) {
                    assert!(
                        slot <= self.durable.len(),
                        "a log store is never asked to leave a gap: {:?}",
                        entry.index
                    );
                    self.durable.truncate(slot);
                    self.durable.push_back(entry);
                }
            }
            Write::DropSuffix { after, .. } => self.durable.truncate(self.slot(after.next()).unwrap_or(0)),
        }
    }

    fn rebase(&mut self, base: Base) {
        while self.durable.front().is_some_and(|entry| entry.index <= base.index) {
            self.durable.pop_front();
            self.terms.pop_front();
        }
        self.base = base;
    }
}

fn log_of(write: &Write) -> LogId {
    match write {
        Write::Append { log, .. } | Write::DropSuffix { log, .. } => *log,
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
            lane.terms = lane.durable.iter().map(|entry| entry.term).collect();
        }
        loss
    }

    /// Entries of a log after `after` can't be read any more.
    pub fn damage(&mut self, log: LogId, after: Index) {
        self.damage = Some((log, after));
    }

    /// What can't be read any more, since it was asked last.
    pub fn take_damage(&mut self) -> Option<(LogId, Index)> {
        self.damage.take()
    }

    /// Moves the bases of logs up.
    pub fn rebase(&mut self, bases: &[(LogId, Base)]) {
        for (log, base) in bases {
            self.lanes.entry(*log).or_default().rebase(base.clone());
        }
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
        let Some(
            Record::Stage(Payload::Held(bytes))
            | Record::Fragment(curia_consensus::Fragment {
                payload: Payload::Held(bytes),
                ..
            }),
        ) = entry.map(|entry| &entry.record)
        else {
            panic!("the log store is asked for a payload that it doesn't have: {log:?} {index:?}: {entry:?}")
        };
        bytes.clone()
    }
}
