//! One log as the protocol sees it: where it begins and ends, which term wrote what, and the entries still needed.
//!
//! ```text
//!      base           released          window              last
//!  ─────┴──────────────────────┬──────────────────────────────┤
//!   gone, described by Base    │ entries in memory            │
//!         only terms are known │              durable ▲       │
//! ```
//!
//! The log store has every entry after the base. In memory are the terms of all of them, as runs (a term takes a few
//! bytes however many entries it wrote), and the entries of the *window*: those not yet durable, or not yet handed to the
//! state machine, and as many before them as a limit allows, for peers. Payloads of durable entries leave memory earlier
//! when they are many; what is not in memory is read back from the log store.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::ids::{Csn, Index, Tail, Term, Timestamp};
use crate::record::{Entry, Fragment, Record};
use crate::senate::Configuration;

/// Where a log begins after its older part was truncated or replaced by a snapshot.
///
/// **Invariant** (groups): every fragment at or below `index` has a CSN of at most `csn` or is void under a *final*
/// term-start, and every fragment with a CSN of at most `csn` is at or below `index`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Base {
    /// The last entry that is gone.
    pub index: Index,
    /// Its term.
    pub term: Term,
    /// See the invariant; zero for the senate.
    pub csn: Csn,
    /// The commit timestamp at `csn`.
    pub timestamp: Timestamp,
    /// The latest term-start at or below `index`: a base past a term's start counts as holding it.
    pub term_start: TermStartAt,
    /// The configuration at `index`: always there for the senate, never for a group.
    pub configuration: Option<Arc<Configuration>>,
}

impl Base {
    /// The place that it stands at.
    pub fn tail(&self) -> Tail {
        Tail {
            term: self.term,
            index: self.index,
        }
    }
}

/// A term-start that the log went past.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct TermStartAt {
    /// The term that it opened; zero when there was none.
    pub term: Term,
    /// Its cut.
    pub cut: Csn,
}

/// One log: its terms, its window, and how much of it is durable here.
#[derive(Clone, Debug, Default)]
pub struct Log {
    base: Base,
    /// (first index, term) of each run of entries of one term after the base, ascending in both.
    runs: VecDeque<(Index, Term)>,
    /// The last entries, without a gap, up to `last`.
    window: VecDeque<Entry>,
    /// What the window takes of memory.
    window_bytes: usize,
    /// Payloads up to here are not in memory.
    spilled: Index,
    last: Index,
    durable: Index,
    /// Bytes of all entries that were ever appended here.
    total_bytes: u64,
    /// (index, total bytes up to it), one for each [`MARK_EVERY_BYTES`], ascending.
    marks: VecDeque<(Index, u64)>,
}

/// How finely it is known how long the parts of a log are.
const MARK_EVERY_BYTES: u64 = 256 << 10;

impl Log {
    /// An empty log after a base.
    pub fn new(base: Base) -> Self {
        Self {
            last: base.index,
            durable: base.index,
            base,
            ..Self::default()
        }
    }

    /// Where it begins.
    pub fn base(&self) -> &Base {
        &self.base
    }

    /// Index of the last entry, durable or not.
    pub fn last(&self) -> Index {
        self.last
    }

    /// Every entry up to here is on this server's disk.
    pub fn durable(&self) -> Index {
        self.durable
    }

    /// Term and index of the last entry.
    pub fn tail(&self) -> Tail {
        Tail {
            term: self.runs.back().map_or(self.base.term, |(_, term)| *term),
            index: self.last,
        }
    }

    /// The term of the entry at `index`; `None` below the base and past the end.
    pub fn term_at(&self, index: Index) -> Option<Term> {
        if index > self.last || index < self.base.index {
            return None;
        }
        // From the back: questions are mostly about recent entries.
        let run = self.runs.iter().rev().find(|(first, _)| *first <= index);
        Some(run.map_or(self.base.term, |(_, term)| *term))
    }

    /// The last place at or before `place` where a log that has `place` may agree with this one: its term is no higher.
    pub fn last_at_or_before(&self, place: Tail) -> Index {
        let mut index = place.index.min(self.last);
        while index > self.base.index && self.term_at(index).is_some_and(|term| term > place.term) {
            index = self.run_start(index).previous();
        }
        index.max(self.base.index)
    }

    /// Where this log may agree with one that has an entry at `place` that this one hasn't: its end, or the end of the
    /// term before the conflicting one.
    pub fn hint(&self, place: Tail) -> Tail {
        if place.index > self.last {
            return self.tail();
        }
        let index = self.run_start(place.index).previous().max(self.base.index);
        Tail {
            term: self.term_at(index).unwrap_or_default(),
            index,
        }
    }

    /// The first entry of the run of one term that `index` is in.
    fn run_start(&self, index: Index) -> Index {
        self.runs
            .iter()
            .rev()
            .find(|(first, _)| *first <= index)
            .map_or(self.base.index.next(), |(first, _)| *first)
    }

    /// Whether the last entry is the first of its term.
    pub fn opens_term(&self) -> bool {
        self.runs.back().is_some_and(|(first, _)| *first == self.last)
    }

    /// The entry at `index`, if it is in the window.
    pub fn get(&self, index: Index) -> Option<&Entry> {
        let offset = index.0.checked_sub(self.window_first().0)?;
        self.window.get(usize::try_from(offset).ok()?)
    }

    /// The entry at `index`, if it is in the window and its payload in memory.
    pub fn held(&self, index: Index) -> Option<&Entry> {
        self.get(index).filter(|entry| entry.is_held())
    }

    /// The fragment at `index`, if it is in the window.
    pub fn fragment(&self, index: Index) -> Option<&Arc<Fragment>> {
        match &self.get(index)?.record {
            Record::Fragment(fragment) => Some(fragment),
            _ => None,
        }
    }

    /// The entries in the window, oldest first.
    pub fn window(&self) -> impl DoubleEndedIterator<Item = &Entry> + ExactSizeIterator {
        self.window.iter()
    }

    /// The entries in the window after `after` and up to `upto`.
    pub fn between(&self, after: Index, upto: Index) -> impl Iterator<Item = &Entry> {
        let first = self.window_first().0;
        let place = |index: Index| ((index.0 + 1).saturating_sub(first) as usize).min(self.window.len());
        self.window.range(place(after)..place(upto).max(place(after)))
    }

    /// Index of the oldest entry in the window, or one past the end when it is empty.
    pub fn window_first(&self) -> Index {
        Index(self.last.0 + 1 - self.window.len() as u64)
    }

    /// Appends a record of `term`, which must not be lower than the last entry's.
    pub fn append(&mut self, term: Term, record: Record) -> &Entry {
        self.push(Entry {
            index: self.last.next(),
            term,
            record,
        })
    }

    /// Appends the entry that follows the last.
    pub fn push(&mut self, entry: Entry) -> &Entry {
        assert_eq!(entry.index, self.last.next(), "a log has no gaps");
        if self.runs.back().is_none_or(|(_, term)| *term != entry.term) {
            let tail = self.tail();
            assert!(
                entry.term >= tail.term,
                "terms never fall along a log: {:?} after {tail:?}",
                entry.term
            );
            self.runs.push_back((entry.index, entry.term));
        }
        self.last = entry.index;
        let bytes = entry.bytes();
        self.window_bytes += if entry.is_held() { bytes } else { entry.held_bytes() };
        self.measure(bytes as u64);
        self.window.push_back(entry);
        self.window.back().expect("just pushed")
    }

    fn measure(&mut self, bytes: u64) {
        self.total_bytes += bytes;
        if self.total_bytes - self.marks.back().map_or(0, |(_, bytes)| *bytes) >= MARK_EVERY_BYTES {
            self.marks.push_back((self.last, self.total_bytes));
        }
    }

    /// About how many bytes the entries after `index` take.
    pub fn bytes_after(&self, index: Index) -> u64 {
        let passed = self.marks.partition_point(|(at, _)| *at <= index);
        self.total_bytes - passed.checked_sub(1).map_or(0, |at| self.marks[at].1)
    }

    /// Notes an entry of so many bytes that is on disk and needed by nobody: only its term is kept.
    pub fn push_released(&mut self, index: Index, term: Term, bytes: usize) {
        assert!(self.window.is_empty(), "released entries come before the window");
        let tail = self.tail();
        assert!(
            index == tail.index.next() && term >= tail.term,
            "a log has no gaps and its terms never fall"
        );
        if term > tail.term || self.runs.is_empty() {
            self.runs.push_back((index, term));
        }
        self.last = index;
        self.measure(bytes as u64);
    }

    /// Everything up to `index` is on disk.
    pub fn persisted(&mut self, index: Index) {
        assert!(index <= self.last, "durable past the end");
        self.durable = self.durable.max(index);
    }

    /// Drops all entries after `index`; they conflicted with the consul's.
    pub fn drop_suffix(&mut self, index: Index) {
        assert!(index >= self.base.index, "what is below the base is decided and never conflicts");
        if index >= self.last {
            return;
        }
        let keep = (index.0 + 1).saturating_sub(self.window_first().0) as usize;
        self.window_bytes -= self
            .window
            .drain(keep.min(self.window.len())..)
            .map(|entry| entry.held_bytes())
            .sum::<usize>();
        self.spilled = self.spilled.min(index);
        while self.marks.back().is_some_and(|(at, _)| *at > index) {
            self.marks.pop_back();
        }
        while self.runs.back().is_some_and(|(first, _)| *first > index) {
            self.runs.pop_back();
        }
        self.last = index;
        self.durable = self.durable.min(index);
    }

    /// Lets go of the window's entries up to `index`, as far as they are durable, until it takes no more than so many
    /// bytes.
    pub fn release(&mut self, index: Index, bytes_max: usize) {
        let index = index.min(self.durable);
        while self.window_bytes > bytes_max
            && let Some(entry) = self.window.pop_front_if(|entry| entry.index <= index)
        {
            self.window_bytes -= entry.held_bytes();
        }
    }

    /// Lets go of payloads that the log store has, oldest first, until the window takes no more than so many bytes.
    pub fn spill(&mut self, bytes_max: usize) {
        let mut index = self.spilled.next().max(self.window_first());
        while self.window_bytes > bytes_max && index <= self.durable {
            self.release_payload(index);
            self.spilled = index;
            index = index.next();
        }
    }

    /// Lets go of one entry's payload, which the log store has.
    pub fn release_payload(&mut self, index: Index) {
        assert!(index <= self.durable, "a payload that is not durable stays in memory");
        let Some(offset) = index.0.checked_sub(self.window_first().0) else {
            return;
        };
        if let Some(entry) = self.window.get_mut(offset as usize) {
            self.window_bytes -= entry.held_bytes();
            if let Some(payload) = entry.record.payload_mut() {
                payload.release();
            }
            self.window_bytes += entry.held_bytes();
        }
    }

    /// Whether the log holds, or is past, the entry with this term and index.
    pub fn holds(&self, place: Tail) -> bool {
        place.index <= self.base.index || self.term_at(place.index) == Some(place.term)
    }

    /// Begins anew after a base that describes entries which are not here.
    pub fn replace(&mut self, base: Base) {
        assert!(base.index > self.base.index, "a base moves up");
        *self = Self::new(base);
    }

    /// Moves the base up: what is at or below it will be gone from the log store.
    pub fn rebase(&mut self, base: Base) {
        assert!(
            base.index >= self.base.index && base.index <= self.durable,
            "a base moves up, over durable entries: from {:?} to {:?}, durable to {:?}",
            self.base.index,
            base.index,
            self.durable
        );
        assert_eq!(
            self.term_at(base.index),
            Some(base.term),
            "a base describes the entry that it stands at"
        );
        self.release(base.index, 0);
        while self.marks.len() > 1 && self.marks[1].0 <= base.index {
            self.marks.pop_front();
        }
        while self.runs.len() > 1 && self.runs[1].0 <= base.index.next() {
            self.runs.pop_front();
        }
        if let Some(run) = self.runs.front_mut() {
            run.0 = run.0.max(base.index.next());
        }
        if self.last == base.index {
            self.runs.clear();
        }
        self.base = base;
    }
}
