//! What clients asked and saw, and whether one order explains it: strict serializability.
//!
//! The commit order is the witness, so nothing need be searched for: operations are linearizable when they are in an
//! order that agrees with real time, and the system claims to know that order. Two things remain to be checked.
//!
//! *Values.* Replay the commits by CSN; a read that says it saw CSN n must have seen exactly the cells after commit n.
//!
//! *Real time.* An operation that was answered before another was asked comes before it:
//!
//! ```text
//!   client 1   ├── write ──┤ csn 7
//!   client 2                  ├─ strict read ─┤ at csn ≥ 7     any other write asked here has a CSN above 7
//! ```
//!
//! It suffices to compare each operation with the highest CSN that anybody had seen when it was asked: sort by time,
//! sweep once. Reads of other levels have floors of their own and count as seen by later strict ones all the same.
//!
//! A write without an answer may be anywhere in the order, once, or nowhere; a refused one must be nowhere.

use curia_consensus::{Csn, GroupId};

use crate::plan::Micros;
use crate::state::{Cell, Change, State, Writes};

/// How recent a read must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Everything answered before it was asked.
    Strict,
    /// Everything answered longer than this before it was asked.
    Bounded(Micros),
    /// This and everything before it.
    AtLeast(Csn),
}

/// What a client asks.
#[derive(Clone, Debug)]
pub enum Ask {
    /// Change cells of groups, all or nothing; groups ascend.
    Write(Vec<(GroupId, Vec<Change>)>),
    /// Read cells of groups, as they were at one moment.
    Read(Vec<(GroupId, u16)>, Level),
}

/// What came of it.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// No answer.
    Unknown,
    /// It will never have an effect.
    Refused,
    /// It took effect, or saw, at this CSN.
    Done {
        /// When the client had the answer.
        at: Micros,
        /// Where it is in the commit order.
        csn: Csn,
        /// What a read saw.
        seen: Vec<Cell>,
    },
}

/// One operation of a client.
#[derive(Clone, Debug)]
pub struct Operation {
    /// What it asked.
    pub ask: Ask,
    /// When it first asked.
    pub asked: Micros,
    /// What came of it.
    pub outcome: Outcome,
}

/// All operations, and the order in which writes committed.
#[derive(Debug, Default)]
pub struct History {
    /// By number.
    pub operations: Vec<Operation>,
    /// The operation of each CSN, from 1.
    pub commits: Vec<u64>,
}

impl History {
    /// Says what no order explains.
    ///
    /// # Errors
    /// The first contradiction found.
    pub fn check(&self) -> Result<(), String> {
        self.check_commits()?;
        self.check_values()?;
        self.check_real_time()
    }

    fn check_commits(&self) -> Result<(), String> {
        let mut committed = vec![None; self.operations.len()];
        for (csn, number) in (1..).map(Csn).zip(&self.commits) {
            let operation = &self.operations[*number as usize];
            if let Some(before) = committed[*number as usize].replace(csn) {
                return Err(format!("operation {number} took effect twice: {before:?} and {csn:?}"));
            }
            if matches!(operation.outcome, Outcome::Refused) {
                return Err(format!("operation {number} was refused and took effect at {csn:?}"));
            }
        }
        for (number, operation) in self.operations.iter().enumerate() {
            if let (Ask::Write(_), Outcome::Done { csn, .. }) = (&operation.ask, &operation.outcome)
                && committed[number] != Some(*csn)
            {
                return Err(format!(
                    "operation {number} was acknowledged at {csn:?}, and is at {:?}",
                    committed[number]
                ));
            }
        }
        Ok(())
    }

    fn check_values(&self) -> Result<(), String> {
        let done = (0..)
            .zip(&self.operations)
            .filter_map(|(number, operation)| match (&operation.ask, &operation.outcome) {
                (Ask::Read(cells, _), Outcome::Done { csn, seen, .. }) => Some((*csn, number, cells, seen)),
                _ => None,
            });
        let mut reads: Vec<(Csn, u64, _, _)> = done.collect();
        reads.sort_unstable_by_key(|(csn, number, ..)| (*csn, *number));
        let mut state = State::default();
        let mut reads = reads.into_iter().peekable();
        for csn in (0..=self.commits.len() as u64).map(Csn) {
            if let Some(number) = csn.0.checked_sub(1).map(|at| self.commits[at as usize])
                && let Ask::Write(parts) = &self.operations[number as usize].ask
            {
                for (group, changes) in parts {
                    state.group_mut(*group).apply(&Writes {
                        operation: number,
                        changes: changes.clone(),
                    });
                }
            }
            while let Some((_, number, cells, seen)) = reads.next_if(|(at, ..)| *at == csn) {
                let stands = cells
                    .iter()
                    .map(|(group, cell)| state.group(*group).map(|g| g.cell(*cell)).unwrap_or_default());
                let stands: Vec<_> = stands.collect();
                if stands != *seen {
                    return Err(format!(
                        "read {number} at {csn:?} of {cells:?} saw {seen:?}, but there stood {stands:?}"
                    ));
                }
            }
        }
        match reads.next() {
            None => Ok(()),
            Some((csn, number, ..)) => Err(format!("read {number} saw {csn:?}, which never committed")),
        }
    }

    fn check_real_time(&self) -> Result<(), String> {
        // (time, CSN): the highest seen by anybody, as it grew.
        let mut answers: Vec<_> = self.operations.iter().filter_map(Operation::done).collect();
        answers.sort_unstable();
        let mut highest = Csn::ZERO;
        for answer in &mut answers {
            highest = highest.max(answer.1);
            answer.1 = highest;
        }
        let seen_before = |time: Micros| match answers.partition_point(|(at, _)| *at < time) {
            0 => Csn::ZERO,
            after => answers[after - 1].1,
        };
        for (number, operation) in self.operations.iter().enumerate() {
            let Some((_, csn)) = operation.done() else { continue };
            let (fits, floor) = match &operation.ask {
                Ask::Write(_) => {
                    let floor = seen_before(operation.asked);
                    (csn > floor, floor)
                }
                Ask::Read(_, level) => {
                    let floor = match level {
                        Level::Strict => seen_before(operation.asked),
                        Level::Bounded(age) => seen_before(operation.asked.saturating_sub(*age)),
                        Level::AtLeast(csn) => *csn,
                    };
                    (csn >= floor, floor)
                }
            };
            if !fits {
                return Err(format!(
                    "operation {number}, asked at {} µs, is at {csn:?}, but {floor:?} had been seen: {operation:?}",
                    operation.asked
                ));
            }
        }
        Ok(())
    }
}

impl Operation {
    fn done(&self) -> Option<(Micros, Csn)> {
        match &self.outcome {
            Outcome::Done { at, csn, .. } => Some((*at, *csn)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Deed;

    fn write(asked: Micros, outcome: Outcome) -> Operation {
        let change = Change {
            cell: 1,
            deed: Deed::Set(7),
        };
        Operation {
            ask: Ask::Write(vec![(GroupId(0), vec![change])]),
            asked,
            outcome,
        }
    }

    fn read(asked: Micros, at: Micros, csn: u64, value: i64, level: Level) -> Operation {
        let seen = vec![Cell { value, elements: 0 }];
        Operation {
            ask: Ask::Read(vec![(GroupId(0), 1)], level),
            asked,
            outcome: Outcome::Done { at, csn: Csn(csn), seen },
        }
    }

    fn done(at: Micros, csn: u64) -> Outcome {
        Outcome::Done {
            at,
            csn: Csn(csn),
            seen: Vec::new(),
        }
    }

    fn check(operations: Vec<Operation>, commits: &[u64]) -> Result<(), String> {
        let commits = commits.to_vec();
        History { operations, commits }.check()
    }

    #[test]
    fn a_strict_read_after_an_answered_write_must_see_it() {
        let history = |csn, value, level| check(vec![write(0, done(10, 1)), read(11, 12, csn, value, level)], &[0]);
        assert_eq!(history(1, 7, Level::Strict), Ok(()));
        assert!(history(0, 0, Level::Strict).is_err());
        assert_eq!(history(0, 0, Level::Bounded(5)), Ok(()));
        assert!(history(0, 0, Level::Bounded(0)).is_err());
    }

    #[test]
    fn a_read_sees_what_stands_at_its_csn() {
        assert!(check(vec![write(0, done(10, 1)), read(11, 12, 1, 8, Level::Strict)], &[0]).is_err());
        assert!(check(vec![write(0, done(10, 1)), read(11, 12, 2, 7, Level::Strict)], &[0]).is_err());
    }

    #[test]
    fn concurrent_operations_may_go_either_way() {
        for (csn, value) in [(0, 0), (1, 7)] {
            assert_eq!(
                check(vec![write(0, done(10, 1)), read(10, 12, csn, value, Level::Strict)], &[0]),
                Ok(())
            );
        }
    }

    #[test]
    fn a_write_takes_effect_once_and_where_it_was_acknowledged() {
        assert!(check(vec![write(0, done(10, 1))], &[0, 0]).is_err());
        assert!(check(vec![write(0, done(10, 2))], &[0]).is_err());
        assert!(check(vec![write(0, done(10, 1))], &[]).is_err());
        assert!(check(vec![write(0, Outcome::Refused)], &[0]).is_err());
        assert_eq!(check(vec![write(0, Outcome::Unknown)], &[0]), Ok(()));
        assert_eq!(check(vec![write(0, Outcome::Unknown)], &[]), Ok(()));
    }

    #[test]
    fn a_write_asked_after_another_was_answered_commits_after_it() {
        assert!(check(vec![write(0, done(10, 2)), write(11, done(20, 1))], &[1, 0]).is_err());
        assert_eq!(check(vec![write(0, done(10, 1)), write(11, done(20, 2))], &[0, 1]), Ok(()));
    }
}
