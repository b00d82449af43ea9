//! The ledger: what clients attempted, what they were told, and whether the tables agree.
//!
//! The comparison is a pure function of the ledger and an [`Observation`], so it is tested without any server.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// An account: (table, id).
pub type Account = (usize, i64);

/// What one transaction does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Moves `amount` between two accounts and writes a journal row into both journal tables.
    Transfer {
        /// Loses `amount`.
        from: Account,
        /// Gains `amount`.
        to: Account,
        /// How much.
        amount: i64,
    },
    /// Inserts `rows` rows of one batch, and a journal row into both journal tables.
    Batch {
        /// How many rows.
        rows: i64,
    },
    /// Creates a table named after the transaction with one row in it, and a journal row into both journal tables.
    Table,
}

/// What the client was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// COMMIT was acknowledged.
    Committed,
    /// It was rolled back, or failed with an error.
    Failed,
    /// The connection was lost first.
    Nothing,
}

/// One attempted transaction.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Unique over the whole run; the key of its journal rows.
    pub id: i64,
    /// What it does.
    pub deed: Deed,
    /// What the client knows.
    pub said: Said,
}

/// Everything the tables hold.
#[derive(Clone, Debug, Default)]
pub struct Observation {
    /// Ids in the first journal table.
    pub journal: BTreeSet<i64>,
    /// Ids in the second journal table.
    pub counter_journal: BTreeSet<i64>,
    /// Balances.
    pub balances: BTreeMap<Account, i64>,
    /// Rows of each batch that pass their own content check.
    pub batches: BTreeMap<i64, i64>,
    /// Ids of transactions whose table exists and holds its row.
    pub tables: BTreeSet<i64>,
}

/// One disagreement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// Acknowledged, and not there.
    Lost(i64),
    /// Reported as failed, or found absent earlier, and there.
    Resurrected(i64),
    /// In one place and not in the other.
    Torn {
        /// The transaction.
        id: i64,
        /// Which parts disagree.
        what: String,
    },
    /// There, though nobody attempted it.
    Invented(i64),
    /// A balance that the transfers found do not add up to.
    Balance {
        /// Which account.
        account: Account,
        /// What the transfers found add up to.
        expected: i64,
        /// What the table holds; `None` when the row is missing.
        found: Option<i64>,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Violation::Lost(id) => write!(f, "transaction {id} was acknowledged and is lost"),
            Violation::Resurrected(id) => write!(f, "transaction {id} had failed and is there"),
            Violation::Torn { id, what } => write!(f, "transaction {id} is there in part: {what}"),
            Violation::Invented(id) => write!(f, "transaction {id} is there and was never attempted"),
            Violation::Balance {
                account: (table, id),
                expected,
                found,
            } => {
                write!(
                    f,
                    "account {id} of table {table} holds {found:?}, its transfers add up to {expected}"
                )
            }
        }
    }
}

/// See the module page.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    opening: BTreeMap<Account, i64>,
    attempts: BTreeMap<i64, Attempt>,
}

impl Ledger {
    /// A ledger of accounts with their opening balances.
    pub fn new(opening: BTreeMap<Account, i64>) -> Ledger {
        Ledger {
            opening,
            attempts: BTreeMap::new(),
        }
    }

    /// Records attempts and what was said about them.
    pub fn record(&mut self, attempts: impl IntoIterator<Item = Attempt>) {
        self.attempts.extend(attempts.into_iter().map(|attempt| (attempt.id, attempt)));
    }

    /// Everything attempted, by id.
    pub fn attempts(&self) -> impl Iterator<Item = &Attempt> {
        self.attempts.values()
    }

    /// How many attempts ended in each way: (committed, failed, unknown).
    pub fn tally(&self) -> (usize, usize, usize) {
        let count = |said| self.attempts.values().filter(|attempt| attempt.said == said).count();
        (count(Said::Committed), count(Said::Failed), count(Said::Nothing))
    }

    /// Compares, and settles the unknown: what is found now must stay, what is absent now must stay absent.
    pub fn check(&mut self, seen: &Observation) -> Vec<Violation> {
        let mut violations = Vec::new();
        for attempt in self.attempts.values_mut() {
            let there = seen.journal.contains(&attempt.id);
            match (attempt.said, there) {
                (Said::Committed, false) => violations.push(Violation::Lost(attempt.id)),
                (Said::Failed, true) => violations.push(Violation::Resurrected(attempt.id)),
                (Said::Nothing, _) => attempt.said = if there { Said::Committed } else { Said::Failed },
                _ => {}
            }
            if let Some(what) = torn(attempt, there, seen) {
                violations.push(Violation::Torn { id: attempt.id, what });
            }
        }
        for id in seen.journal.union(&seen.counter_journal) {
            if !self.attempts.contains_key(id) {
                violations.push(Violation::Invented(*id));
            }
        }
        violations.extend(self.check_balances(seen));
        violations
    }

    /// Balances must follow from the transfers whose journal row is there.
    fn check_balances(&self, seen: &Observation) -> Vec<Violation> {
        let mut expected = self.opening.clone();
        for attempt in self.attempts.values().filter(|attempt| seen.journal.contains(&attempt.id)) {
            if let Deed::Transfer { from, to, amount } = attempt.deed {
                *expected.entry(from).or_default() -= amount;
                *expected.entry(to).or_default() += amount;
            }
        }
        expected
            .into_iter()
            .filter(|(account, expected)| seen.balances.get(account) != Some(expected))
            .map(|(account, expected)| Violation::Balance {
                account,
                expected,
                found: seen.balances.get(&account).copied(),
            })
            .collect()
    }
}

/// What of the attempt disagrees with its journal row being `there` or not.
fn torn(attempt: &Attempt, there: bool, seen: &Observation) -> Option<String> {
    let place = |there| if there { "there" } else { "absent" };
    let other = seen.counter_journal.contains(&attempt.id);
    if other != there {
        return Some(format!("journal row {}, counter-journal row {}", place(there), place(other)));
    }
    match attempt.deed {
        Deed::Transfer { .. } => None, // its other parts are in the balances
        Deed::Batch { rows } => {
            let found = seen.batches.get(&attempt.id).copied().unwrap_or(0);
            let expected = if there { rows } else { 0 };
            (found != expected).then(|| format!("{found} of {rows} rows, journal row {}", place(there)))
        }
        Deed::Table => {
            let found = seen.tables.contains(&attempt.id);
            (found != there).then(|| format!("table {}, journal row {}", place(found), place(there)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Account = (0, 1);
    const B: Account = (1, 1);

    fn transfer(id: i64, said: Said) -> Attempt {
        Attempt {
            id,
            deed: Deed::Transfer {
                from: A,
                to: B,
                amount: 10,
            },
            said,
        }
    }

    fn ledger(attempts: Vec<Attempt>) -> Ledger {
        let mut ledger = Ledger::new(BTreeMap::from([(A, 100), (B, 100)]));
        ledger.record(attempts);
        ledger
    }

    /// The tables after `ids`, all of them transfers, took effect.
    fn after(ids: &[i64]) -> Observation {
        let ids: BTreeSet<i64> = ids.iter().copied().collect();
        let moved = 10 * ids.len() as i64;
        Observation {
            counter_journal: ids.clone(),
            journal: ids,
            balances: BTreeMap::from([(A, 100 - moved), (B, 100 + moved)]),
            ..Observation::default()
        }
    }

    #[test]
    fn agreement_is_no_violation() {
        let mut ledger = ledger(vec![
            transfer(1, Said::Committed),
            transfer(2, Said::Failed),
            transfer(3, Said::Nothing),
        ]);
        assert_eq!(ledger.check(&after(&[1, 3])), []);
    }

    #[test]
    fn an_acknowledged_transaction_that_is_gone_is_found() {
        let mut ledger = ledger(vec![transfer(1, Said::Committed)]);
        assert_eq!(ledger.check(&after(&[])), [Violation::Lost(1)]);
    }

    #[test]
    fn an_unknown_one_may_go_either_way_but_not_change_its_mind() {
        let mut once_there = ledger(vec![transfer(1, Said::Nothing)]);
        assert_eq!(once_there.check(&after(&[1])), []);
        assert_eq!(once_there.check(&after(&[])), [Violation::Lost(1)]);
        let mut once_absent = ledger(vec![transfer(1, Said::Nothing)]);
        assert_eq!(once_absent.check(&after(&[])), []);
        assert_eq!(once_absent.check(&after(&[1])), [Violation::Resurrected(1)]);
    }

    #[test]
    fn half_a_transaction_is_found() {
        let mut one_journal = ledger(vec![transfer(1, Said::Committed)]);
        let mut seen = after(&[1]);
        seen.counter_journal.clear();
        assert!(matches!(one_journal.check(&seen)[..], [Violation::Torn { id: 1, .. }]));

        let mut one_side = ledger(vec![transfer(1, Said::Committed)]);
        let mut seen = after(&[1]);
        seen.balances.insert(B, 100);
        assert_eq!(
            one_side.check(&seen),
            [Violation::Balance {
                account: B,
                expected: 110,
                found: Some(100)
            }]
        );

        let mut batch = ledger(vec![Attempt {
            id: 7,
            deed: Deed::Batch { rows: 5 },
            said: Said::Committed,
        }]);
        let mut seen = after(&[]);
        seen.journal.insert(7);
        seen.counter_journal.insert(7);
        seen.batches.insert(7, 4);
        assert!(matches!(batch.check(&seen)[..], [Violation::Torn { id: 7, .. }]));

        let mut table = ledger(vec![Attempt {
            id: 8,
            deed: Deed::Table,
            said: Said::Nothing,
        }]);
        let mut seen = after(&[]);
        seen.tables.insert(8);
        assert!(matches!(table.check(&seen)[..], [Violation::Torn { id: 8, .. }]));
    }

    #[test]
    fn a_transaction_that_nobody_attempted_is_found() {
        let mut ledger = ledger(vec![]);
        let mut seen = after(&[]);
        seen.journal.insert(99);
        seen.counter_journal.insert(99);
        assert_eq!(ledger.check(&seen), [Violation::Invented(99)]);
    }
}
