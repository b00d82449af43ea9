//! Stage records that must stay in the log: a fragment names them, or may still do so.
//!
//! ```text
//!    stage 7   fragment 8 (other)   stage 9   fragment 10 names 7 and 9
//!    ▲ the log can't begin after this until 10 is applied and the state that holds it is durable
//! ```

use super::Worker;
use crate::ids::{Csn, Index, Timestamp};

/// A stage record that must not be truncated yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct LiveStage {
    pub(super) index: Index,
    /// CSN and timestamp of the last fragment before it in its log; unknown for those of earlier terms.
    pub(super) before: Option<(Csn, Timestamp)>,
    state: StageState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StageState {
    /// No fragment names it yet.
    Open,
    /// Goes when the position reaches this fragment, which names it.
    Until(Index),
    /// No fragment will ever name it.
    GivenUp,
}

impl Worker {
    /// A stage record was appended.
    pub(crate) fn open_stage(&mut self, index: Index) {
        let (_, csn, timestamp) = self.last_fragment;
        self.stages.push_back(LiveStage {
            index,
            before: Some((csn, timestamp)),
            state: StageState::Open,
        });
    }

    /// The first of these that is not an open stage record of this term, or is out of order.
    pub(crate) fn unknown_stage(&self, stages: &[Index]) -> Option<Index> {
        let disorder = stages.windows(2).find(|pair| pair[0] >= pair[1]).map(|pair| pair[1]);
        let unknown = || stages.iter().copied().find(|index| !self.is_open(*index));
        disorder.or_else(unknown)
    }

    fn is_open(&self, index: Index) -> bool {
        self.find(index).is_some_and(|at| self.stages[at].state == StageState::Open)
    }

    fn find(&self, index: Index) -> Option<usize> {
        self.stages.binary_search_by_key(&index, |stage| stage.index).ok()
    }

    /// The fragment at `fragment` names these.
    pub(crate) fn name_stages(&mut self, stages: &[Index], fragment: Index) {
        for index in stages {
            if let Some(at) = self.find(*index) {
                self.stages[at].state = StageState::Until(fragment);
            }
        }
    }

    /// No fragment to come names a stage record up to here.
    pub(super) fn close_stages(&mut self, upto: Index) {
        for stage in self.stages.iter_mut().take_while(|stage| stage.index <= upto) {
            if stage.state == StageState::Open {
                stage.state = StageState::GivenUp;
            }
        }
    }

    /// No fragment will name these.
    pub(crate) fn discard_stages(&mut self, stages: &[Index]) {
        for index in stages {
            if self.is_open(*index) {
                let at = self.find(*index).expect("it is open");
                self.stages[at].state = StageState::GivenUp;
            }
        }
        self.forget_stages();
    }

    /// Drops the oldest stage records that are needed no more.
    pub(super) fn forget_stages(&mut self) {
        while self.stages.front().is_some_and(|stage| match stage.state {
            StageState::Open => false,
            StageState::Until(fragment) => fragment <= self.handed,
            // Its bytes count until it is on a quorum.
            StageState::GivenUp => stage.index <= self.commit.max(self.gathered),
        }) {
            self.stages.pop_front();
        }
    }

    pub(super) fn first_stage(&self) -> Option<LiveStage> {
        self.stages.front().copied()
    }

    /// The first stage record that stays for a fragment still to come or to be handed out.
    pub(crate) fn first_open_stage(&self) -> Option<Index> {
        self.stages
            .iter()
            .find(|stage| stage.state != StageState::GivenUp)
            .map(|stage| stage.index)
    }

    /// Stage records after `before` and up to `reached` are on a quorum: the log store has them, and they are read again
    /// only when their fragment is applied. Gives their bytes.
    pub(super) fn release_stages(&mut self, before: Index, reached: Index) -> u64 {
        let from = self.stages.partition_point(|stage| stage.index <= before);
        // Peers that lag still need them from memory.
        let mut bytes = 0;
        for stage in self.stages.iter().skip(from).take_while(|stage| stage.index <= reached) {
            bytes += self.log.get(stage.index).map_or(0, |entry| entry.bytes() as u64);
            if stage.index <= self.log.durable() && self.alone {
                self.log.release_payload(stage.index);
            }
        }
        bytes
    }

    /// Keeps the stage records of earlier terms that fragments still to be handed out name: (stage, fragment).
    pub(super) fn restore_stages(&mut self, mut named: Vec<(Index, Index)>) {
        named.sort_unstable();
        let stages = named.into_iter().map(|(index, fragment)| LiveStage {
            index,
            before: None,
            state: StageState::Until(fragment),
        });
        self.stages = stages.collect();
    }
}
