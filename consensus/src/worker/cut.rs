//! The cut: how much of the adopted logs counts.
//!
//! ```text
//!   floor = 4        group 0:  ... 5───┐   7   │S cut│
//!                    group 1:  ... 5───┘ 6 7?  │  =6 │      7 names group 2, where it is missing:
//!                    group 2:  ...             │     │      the cut is 6, and 7 is void in groups 0 and 1
//! ```
//!
//! The cut is the largest CSN such that every transaction above the floor and up to it has all the fragments that it
//! names, at the places that it names, none of them void. It stops at the first gap, even where later transactions are
//! whole: acknowledgements go strictly in CSN order, so nothing after a gap was acknowledged.
//!
//! A fragment is void when a later term-start in its log has a lower cut than its CSN. The same CSN may stand in a log
//! twice, once void.

use crate::ids::{Csn, GroupId, Key, Participant, Timestamp};
use crate::record::{Entry, Fragment, Participants, Record};

/// A transaction that the cut takes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    /// Its place in the commit order.
    pub csn: Csn,
    /// Its commit timestamp.
    pub timestamp: Timestamp,
    /// Its idempotency key.
    pub key: Option<Key>,
    /// One of its fragments.
    pub place: Participant,
    /// All of them.
    pub participants: Participants,
}

/// The verdict over a set of adopted logs.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Cut {
    /// The last transaction that counts.
    pub csn: Csn,
    /// The transactions above the floor that count, gap-free and ascending.
    pub whole: Vec<Whole>,
    /// How many transactions above the floor don't count, though something of them was found.
    pub void: u64,
}

/// A fragment that no term-start made void.
struct Live<'a> {
    place: Participant,
    entry: &'a Entry,
    fragment: &'a Fragment,
}

/// Finds the cut over the entries of all groups above `floor`, below which everything is known to be resolved.
///
/// Each group gives the entries of its log that may hold fragments above the floor, in log order.
pub fn find<'a, L>(floor: Csn, logs: impl IntoIterator<Item = (GroupId, L)>) -> Cut
where
    L: DoubleEndedIterator<Item = &'a Entry>,
{
    let mut found = Vec::new();
    for (group, entries) in logs {
        for_each_live(entries, |entry, fragment| {
            if fragment.csn > floor {
                found.push(Live {
                    place: Participant { group, index: entry.index },
                    entry,
                    fragment,
                });
            }
        });
    }
    found.sort_unstable_by_key(|live| (live.fragment.csn, live.entry.term, live.place));

    let mut cut = Cut {
        csn: floor,
        ..Cut::default()
    };
    for same_csn in found.chunk_by(|a, b| a.fragment.csn == b.fragment.csn) {
        if same_csn[0].fragment.csn != cut.csn.next() {
            break;
        }
        // Several terms may have given this CSN, when none of them lived to see it resolved; one at most is whole.
        let mut owners = same_csn.chunk_by(|a, b| a.entry.term == b.entry.term).filter_map(whole);
        let Some(owner) = owners.next() else { break };
        if let Some(other) = owners.next() {
            panic!(
                "two complete owners of CSN {}: at {:?} and at {:?}",
                owner.csn, owner.place, other.place
            );
        }
        cut.csn = owner.csn;
        cut.whole.push(owner);
    }
    let same = |a: &Live<'_>, b: &Live<'_>| (a.fragment.csn, a.entry.term) == (b.fragment.csn, b.entry.term);
    cut.void = (found.chunk_by(same).count() - cut.whole.len()) as u64;
    cut
}

/// The transaction whose fragments of one CSN and term these are, if none is missing.
fn whole(fragments: &[Live<'_>]) -> Option<Whole> {
    let Live { place, fragment, .. } = &fragments[0];
    let complete = match &fragment.participants {
        Participants::Alone => fragments.len() == 1,
        Participants::Several(list) => list.iter().eq(fragments.iter().map(|live| &live.place)),
    };
    complete.then(|| Whole {
        csn: fragment.csn,
        timestamp: fragment.timestamp,
        key: fragment.key,
        place: *place,
        participants: fragment.participants.clone(),
    })
}

/// Visits the fragments of a log that no term-start in it made void, newest first.
pub fn for_each_live<'a>(entries: impl DoubleEndedIterator<Item = &'a Entry>, mut visit: impl FnMut(&'a Entry, &'a Fragment)) {
    let mut lowest_cut_after = Csn(u64::MAX);
    for entry in entries.rev() {
        match &entry.record {
            Record::TermStart(start) => lowest_cut_after = lowest_cut_after.min(start.cut),
            Record::Fragment(fragment) if fragment.csn <= lowest_cut_after => visit(entry, fragment),
            _ => {}
        }
    }
}
