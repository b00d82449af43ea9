//! Transactions of which a follower has a fragment and which it may not hand out yet, by CSN.
//!
//! ```text
//!   next                                  next + NEAR_MAX
//!    │ 7 │ - │ 9 │ 10 │ - │ 12 │                │   40012, 70001
//!    └── near: a place for each CSN ───────────┴── far: whatever a log may say
//! ```
//!
//! CSNs are gap-free and come nearly in order, so a ring finds each at its place. What is far ahead, because one group's
//! log came before the others', or because a log says so, is kept in a tree: memory follows what arrived, not its number.

use std::collections::{BTreeMap, VecDeque};

use crate::commit::Pending;
use crate::ids::Csn;

/// How many CSNs have a place of their own.
const NEAR_MAX: u64 = 64 << 10;

/// One fragment of each transaction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arrivals {
    /// Nothing here is below it.
    next: Csn,
    /// `next`, `next + 1`, and so on.
    near: VecDeque<Option<Pending>>,
    /// What was too far ahead when it came; disjoint from `near`.
    far: BTreeMap<Csn, Pending>,
}

impl Arrivals {
    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Takes a fragment of `next` or a later transaction, if there is none yet. Those below are not wanted any more.
    pub(crate) fn insert(&mut self, next: Csn, csn: Csn, arrival: impl FnOnce() -> Pending) {
        self.forget_below(next);
        assert!(
            csn >= next && next == self.next,
            "the commit order goes on and never back: {csn:?} arrives, {next:?} is next, and {:?} was",
            self.next
        );
        let offset = csn.0 - next.0;
        if !self.far.is_empty() && self.far.contains_key(&csn) {
            return;
        }
        if offset >= NEAR_MAX {
            self.far.insert(csn, arrival());
            return;
        }
        let offset = offset as usize;
        if self.near.len() <= offset {
            self.near.resize_with(offset, || None);
            self.near.push_back(Some(arrival()));
        } else if self.near[offset].is_none() {
            self.near[offset] = Some(arrival());
        }
    }

    #[inline]
    fn forget_below(&mut self, next: Csn) {
        if next > self.next {
            self.go_on_to(next);
        }
    }

    fn go_on_to(&mut self, next: Csn) {
        let passed = usize::try_from(next.0 - self.next.0).unwrap_or(usize::MAX);
        self.near.drain(..passed.min(self.near.len()));
        self.next = next;
        if !self.far.is_empty() {
            self.far = self.far.split_off(&next);
        }
    }

    /// The fragment of this transaction.
    #[inline]
    pub(crate) fn get(&self, csn: Csn) -> Option<&Pending> {
        let offset = usize::try_from(csn.0.checked_sub(self.next.0)?).ok()?;
        match self.near.get(offset) {
            Some(Some(near)) => Some(near),
            _ => self.far.get(&csn),
        }
    }

    /// Gives away the fragment of the transaction whose turn it is.
    #[inline]
    pub(crate) fn take(&mut self, next: Csn) -> Option<Pending> {
        self.forget_below(next);
        match self.near.front_mut().and_then(Option::take) {
            Some(near) => {
                self.near.pop_front();
                self.next = next.next();
                Some(near)
            }
            None => self.far.remove(&next),
        }
    }

    /// The lowest CSN from `next` on of which there is a fragment.
    pub(crate) fn first(&mut self, next: Csn) -> Option<Csn> {
        self.forget_below(next);
        let near = self.near.iter().position(Option::is_some);
        let near = near.map(|offset| Csn(self.next.0 + offset as u64));
        let far = self.far.first_key_value().map(|(csn, _)| *csn);
        near.into_iter().chain(far).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{GroupId, Index, Participant, Timestamp};
    use crate::random::Random;
    use crate::record::Participants;

    fn pending(csn: u64) -> Pending {
        Pending {
            timestamp: Timestamp(csn),
            place: Participant {
                group: GroupId(0),
                index: Index(csn),
            },
            participants: Participants::Alone,
            bytes: 0,
        }
    }

    /// Whatever the order and distance, it gives what a map gives.
    #[test]
    fn fragments_near_and_far_come_out_in_the_commit_order() {
        let mut random = Random::new(7);
        let (mut arrivals, mut map, mut next) = (Arrivals::default(), BTreeMap::new(), Csn(1));
        for step in 0..200_000_u64 {
            let ahead = if random.below(10) == 0 {
                random.below(3 * NEAR_MAX)
            } else {
                random.below(8)
            };
            let csn = Csn(next.0 + ahead);
            arrivals.insert(next, csn, || pending(step));
            map.entry(csn).or_insert_with(|| pending(step));
            if random.below(5_000) == 0 {
                next = Csn(next.0 + random.below(2 * NEAR_MAX));
                map = map.split_off(&next);
            }
            if random.below(1_000) == 0 {
                assert_eq!(arrivals.first(next), map.first_key_value().map(|(csn, _)| *csn));
            }
            let index = |pending: Pending| pending.place.index;
            assert_eq!(arrivals.get(next).is_some(), map.contains_key(&next));
            match (arrivals.take(next), map.remove(&next)) {
                (None, None) => {}
                (found, expected) => {
                    assert_eq!(found.map(index), expected.map(index), "{next:?}");
                    next = next.next();
                }
            }
        }
    }
}
