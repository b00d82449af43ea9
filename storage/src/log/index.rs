//! What is remembered of each log: its base, its end, the terms in between, and roughly where entries are.

use std::collections::VecDeque;

use curia_consensus::{Base, Index, Term};

/// A position in the log is remembered for each so many bytes.
pub(super) const MARK_EVERY_BYTES: u64 = 64 << 10;

/// Where a batch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    /// The segment's number.
    pub(super) segment: u64,
    /// Offset in it.
    pub(super) offset: u64,
}

/// One log.
#[derive(Debug, Default)]
pub(super) struct LogIndex {
    pub(super) base: Base,
    /// Index of the last entry.
    pub(super) last: Index,
    /// (first index, term) of each run of entries of one term, ascending in both.
    runs: VecDeque<(Index, Term)>,
    /// Ascending: entry `index` is in the batch at `position`, and none of the entries from it on is before that.
    marks: VecDeque<(Index, Position)>,
    /// The last entry that does not follow the one before it. Harmless once the base reaches it.
    pub(super) gap: Option<Index>,
}

impl LogIndex {
    /// Notes an entry; what stood at its index and after it is gone.
    pub(super) fn entry(&mut self, index: Index, term: Term, position: Position) {
        if index <= self.base.index {
            return;
        }
        if index > self.last.next() {
            self.gap = Some(index);
        }
        if index <= self.last {
            self.drop_suffix(index.previous());
        }
        if self.runs.back().is_none_or(|(_, last)| *last != term) {
            self.runs.push_back((index, term));
        }
        let far = |(_, mark): &(Index, Position)| mark.segment != position.segment || position.offset - mark.offset >= MARK_EVERY_BYTES;
        if self.marks.back().is_none_or(far) {
            self.marks.push_back((index, position));
        }
        self.last = index;
    }

    /// Everything after `after` is gone.
    pub(super) fn drop_suffix(&mut self, after: Index) {
        while self.runs.back().is_some_and(|(first, _)| *first > after) {
            self.runs.pop_back();
        }
        while self.marks.back().is_some_and(|(first, _)| *first > after) {
            self.marks.pop_back();
        }
        if self.gap.is_some_and(|gap| gap > after) {
            self.gap = None;
        }
        self.last = self.last.min(after).max(self.base.index);
    }

    /// Moves the base up; entries at or below it need not be found any more.
    pub(super) fn rebase(&mut self, base: Base) {
        if base.index < self.base.index {
            return;
        }
        while self.runs.len() > 1 && self.runs[1].0 <= base.index.next() {
            self.runs.pop_front();
        }
        while self.marks.len() > 1 && self.marks[1].0 <= base.index.next() {
            self.marks.pop_front();
        }
        if self.last <= base.index {
            self.last = base.index;
            self.runs.clear();
            self.marks.clear();
        }
        if self.gap.is_some_and(|gap| gap <= base.index.next()) {
            self.gap = None;
        }
        self.base = base;
    }

    /// The term of the entry at `index`; `None` when the log doesn't have it.
    pub(super) fn term_at(&self, index: Index) -> Option<Term> {
        if index <= self.base.index || index > self.last {
            return None;
        }
        self.runs.iter().rev().find(|(first, _)| *first <= index).map(|(_, term)| *term)
    }

    /// Where to begin looking for an entry.
    pub(super) fn position_before(&self, index: Index) -> Option<Position> {
        let after = self.marks.partition_point(|(first, _)| *first <= index);
        self.marks.get(after.checked_sub(1)?).map(|(_, position)| *position)
    }
}
