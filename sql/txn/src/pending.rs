//! Checks that wait: of foreign keys and of deferrable unique constraints, for the end of the statement or of the transaction.
//!
//! ```text
//!   a row is written ──▶ check_later() ──▶ end of the statement: what is immediate is taken and checked
//!                                    └──▶ COMMIT, SET CONSTRAINTS .. IMMEDIATE: the rest
//! ```
//!
//! The transaction only keeps them: who runs statements takes them ([`Transaction::take_checks`]) and checks. What is undone takes its
//! checks with it.

use crate::layout::{IndexLayout, TableLayout};
use crate::transaction::Transaction;
use crate::violation;
use bytes::Bytes;
use curia_catalog::{Constraint, ConstraintKind, Oid, Timing};
use curia_types::{Datum, Result, SqlError, SqlState};
use hashbrown::HashMap;

/// Most memory that waiting checks take, bytes, about; 53200 above it.
const LIMIT_BYTES: usize = 512 << 20;

/// A check that waits.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// The constraint.
    pub constraint: Oid,
    /// The table whose constraint it is.
    pub table: Oid,
    /// What is to be checked.
    pub kind: CheckKind,
}

/// What a waiting check looks at.
#[derive(Clone, Debug, PartialEq)]
pub enum CheckKind {
    /// These key values stood more than once in a deferrable unique index.
    Unique {
        /// The values, encoded.
        value: Bytes,
    },
    /// A row of the referencing table was written; it may be gone by then.
    Refers {
        /// Its key.
        row_key: Bytes,
    },
    /// A referenced row lost its key.
    Referenced {
        /// The values of the referenced columns that it had.
        old: Vec<Datum>,
        /// The ones that it has now; `None`: it was deleted.
        new: Option<Vec<Datum>>,
    },
}

impl CheckKind {
    fn bytes(&self) -> usize {
        let values = |v: &[Datum]| v.len() * 48;
        64 + match self {
            CheckKind::Unique { value } => value.len(),
            CheckKind::Refers { row_key } => row_key.len(),
            CheckKind::Referenced { old, new } => values(old) + new.as_deref().map_or(0, values),
        }
    }
}

/// SET CONSTRAINTS: which constraints wait for COMMIT, apart from what they were declared.
#[derive(Clone, Debug, Default)]
pub struct Deferral {
    all: Option<bool>,
    some: HashMap<Oid, bool>,
}

impl Deferral {
    /// Whether a constraint waits for COMMIT.
    pub fn is_deferred(&self, constraint: &Constraint) -> bool {
        match constraint.timing {
            Timing::Immediate => false,
            declared => self
                .some
                .get(&constraint.oid)
                .copied()
                .or(self.all)
                .unwrap_or(declared == Timing::Deferred),
        }
    }
}

/// What a transaction keeps.
#[derive(Default)]
pub(crate) struct Pending {
    /// Of the running statement, with where the writes stood.
    fresh: Vec<(u64, Check)>,
    /// Found to be deferred at the end of their statements.
    deferred: Vec<(u64, Check)>,
    bytes: usize,
    pub deferral: Deferral,
}

impl Pending {
    /// Forgets the checks of writes that were undone.
    pub fn undo_to(&mut self, seq: u64) {
        if self.bytes > 0 {
            self.fresh.retain(|(at, _)| *at <= seq);
            self.deferred.retain(|(at, _)| *at <= seq);
            self.bytes = self.fresh.iter().chain(&self.deferred).map(|(_, c)| c.kind.bytes()).sum();
        }
    }
}

impl Transaction {
    /// Keeps a check of a row that was just written. Errors: 53200 when too many wait.
    pub fn check_later(&mut self, check: Check) -> Result<()> {
        let bytes = check.kind.bytes();
        if self.pending.bytes + bytes > LIMIT_BYTES {
            return Err(SqlError::new(
                SqlState::OUT_OF_MEMORY,
                "too many constraint checks wait for the end of the statement or transaction",
            ));
        }
        self.pending.bytes += bytes;
        let seq = self.buffer.as_ref().map_or(0, |b| b.next_seq());
        self.pending.fresh.push((seq, check));
        Ok(())
    }

    /// Whether any check waits.
    pub fn has_checks(&self) -> bool {
        self.pending.bytes > 0
    }

    /// Whether checks of a table's rows wait.
    pub fn has_checks_of(&self, table: Oid) -> bool {
        let waiting = self.pending.fresh.iter().chain(&self.pending.deferred);
        waiting.into_iter().any(|(_, c)| c.table == table)
    }

    /// Takes the checks that are due, oldest first: of the running statement only, or all. The others wait on.
    pub fn take_checks(&mut self, fresh_only: bool, is_due: impl Fn(&Check) -> bool) -> Vec<Check> {
        let pending = &mut self.pending;
        let mut waiting = std::mem::take(&mut pending.fresh);
        if !fresh_only {
            let fresh = std::mem::replace(&mut waiting, std::mem::take(&mut pending.deferred));
            waiting.extend(fresh);
        }
        let mut due = Vec::new();
        for (seq, check) in waiting {
            if is_due(&check) {
                pending.bytes = pending.bytes.saturating_sub(check.kind.bytes());
                due.push(check);
            } else {
                pending.deferred.push((seq, check));
            }
        }
        due
    }

    /// SET CONSTRAINTS as it stands.
    pub fn deferral(&self) -> &Deferral {
        &self.pending.deferral
    }

    /// SET CONSTRAINTS: `None` is ALL.
    pub fn set_deferral(&mut self, constraints: Option<&[Oid]>, deferred: bool) {
        let deferral = &mut self.pending.deferral;
        match constraints {
            None => {
                deferral.all = Some(deferred);
                deferral.some.clear();
            }
            Some(list) => deferral.some.extend(list.iter().map(|c| (*c, deferred))),
        }
    }

    pub(crate) fn check_later_unique(&mut self, layout: &TableLayout, index: &IndexLayout, value: Vec<u8>) -> Result<()> {
        let table = layout.table();
        let enforces = |c: &&Constraint| matches!(c.kind, ConstraintKind::Unique { index: i, .. } if i == index.oid());
        let constraint = table.constraints.iter().find(enforces);
        let constraint = constraint.ok_or_else(|| SqlError::internal("a deferrable index without its constraint"))?;
        self.check_later(Check {
            constraint: constraint.oid,
            table: table.oid,
            kind: CheckKind::Unique { value: value.into() },
        })
    }

    /// Looks whether key values of a deferrable unique index are unique by now. Errors: 23505.
    pub fn check_unique(&self, layout: &TableLayout, index: Oid, value: &[u8]) -> Result<()> {
        let entries = layout
            .index(index)
            .ok_or_else(|| SqlError::internal("an index without entries was to be checked"))?;
        let rows = self.entries_of(entries.storage(), value, 2)?;
        let [row_key, _] = rows.as_slice() else { return Ok(()) };
        let row = self
            .newest_view()
            .read(layout.storage(), row_key, |bytes| layout.decode_row(bytes))?;
        match row {
            Some(row) => Err(violation::duplicate_key(
                layout,
                &layout.table().indexes[entries.position()],
                &row?,
                &self.io(),
            )),
            None => Err(SqlError::internal("an index entry without its row")),
        }
    }
}
