//! Registers: rows that keep the last number that was written, with how many were written before it.
//!
//! Whoever writes is told which version it wrote, and whoever reads, which one it read. So the versions of a register are a list, of which each
//! read saw a beginning, and [`crate::dependencies`] can tell what it can tell of lists:
//!
//! ```text
//!   write 7 ─► version 1    write 9 ─► version 2    read: 9, version 2  =  the list was 7, 9
//! ```
//!
//! Two that commit the same version have lost an update, and a version that nobody who may have committed wrote was never to be read. Who lost
//! its connection wasn't told its version; that is known if somebody read it, else the version is missing in all lists alike.

use crate::dependencies::{Step, Transaction};
use crate::ledger::Said;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::{Client, Error, SimpleQueryMessage};

/// What writers were told: key, version, number.
#[derive(Debug, Default)]
pub struct Versions(Mutex<Vec<(i64, i64, i64)>>);

pub(crate) fn create(table: i64) -> String {
    format!("CREATE TABLE IF NOT EXISTS registers_{table} (key bigint PRIMARY KEY, value bigint NOT NULL, version bigint NOT NULL);")
}

/// The version that was written.
pub(crate) async fn write(client: &Client, table: i64, key: i64, value: i64) -> Result<i64, Error> {
    let write = format!(
        "INSERT INTO registers_{table} VALUES ({key}, {value}, 1)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value, version = registers_{table}.version + 1 RETURNING version"
    );
    Ok(numbers(&client.simple_query(&write).await?).first().copied().unwrap_or(i64::MIN))
}

/// Nothing, or the version and the number.
pub(crate) async fn read(client: &Client, table: i64, key: i64) -> Result<Vec<i64>, Error> {
    let read = format!("SELECT version, value FROM registers_{table} WHERE key = {key}");
    Ok(numbers(&client.simple_query(&read).await?))
}

/// The first row. What is no number is none that anybody wrote.
fn numbers(messages: &[SimpleQueryMessage]) -> Vec<i64> {
    let row = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    row.map_or_else(Vec::new, |row| {
        (0..row.len())
            .map(|at| row.get(at).and_then(|text| text.parse().ok()).unwrap_or(i64::MIN))
            .collect()
    })
}

impl Versions {
    pub(crate) fn note(&self, key: i64, version: i64, value: i64) {
        self.0.lock().push((key, version, value));
    }

    pub(crate) fn forget(&self) {
        self.0.lock().clear();
    }

    pub(crate) fn unfold(&self, mut transactions: Vec<Transaction>) -> (Vec<Transaction>, Vec<String>) {
        let mut wrong = Vec::new();
        let read = transactions.iter().flat_map(|transaction| reads_of_others(&transaction.steps));
        let read: BTreeSet<(i64, i64)> = read.map(|(key, _, value)| (key, value)).collect();
        // Who wasn't told the outcome has committed if anybody saw a number of it.
        let (mut committed, mut unknown) = (BTreeSet::new(), BTreeSet::new());
        for transaction in transactions.iter().filter(|transaction| transaction.said != Said::Failed) {
            let writes = transaction.steps.iter().filter_map(|step| match step {
                Step::Append(key, value) => Some((*key, *value)),
                Step::Read(..) => None,
            });
            if transaction.said == Said::Committed || writes.clone().any(|write| read.contains(&write)) {
                committed.extend(writes);
            } else {
                unknown.extend(writes);
            }
        }
        let mut versions: BTreeMap<(i64, i64), i64> = BTreeMap::new();
        for (key, version, value) in &*self.0.lock() {
            if committed.contains(&(*key, *value))
                && let Some(other) = versions.insert((*key, *version), *value)
            {
                wrong.push(format!(
                    "version {version} of register {key} was written twice, as {other} and as {value}"
                ));
            }
        }
        for transaction in &transactions {
            for (key, version, value) in reads_of_others(&transaction.steps) {
                if !committed.contains(&(key, value)) || *versions.entry((key, version)).or_insert(value) != value {
                    wrong.push(format!(
                        "register {key} was read as {value} in version {version}, which is not what was written: {transaction:?}"
                    ));
                }
            }
        }
        // Of the versions that nobody knows each was written by one who doesn't know whether it has committed.
        let mut last: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
        for (key, version) in versions.keys() {
            let (last, known) = last.entry(*key).or_default();
            (*last, *known) = (*version, *known + 1);
        }
        for (key, (last, known)) in last {
            let unplaced = unknown.iter().filter(|(other, _)| *other == key).count() as i64;
            if last - known > unplaced {
                wrong.push(format!(
                    "register {key} came to version {last} by {known} known writes and {unplaced} unknown ones"
                ));
            }
        }
        for transaction in &mut transactions {
            let mut own: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
            let told = format!("{transaction:?}");
            for step in &mut transaction.steps {
                match step {
                    Step::Append(key, value) => own.entry(*key).or_default().push(*value),
                    Step::Read(_, seen) if seen.is_empty() => {}
                    Step::Read(key, seen) => {
                        let own = own.get(key).map_or(&[][..], Vec::as_slice);
                        let (version, value) = (seen[0], seen.get(1).copied());
                        let others = (*key, 1)..=(*key, version.saturating_sub(own.len() as i64));
                        let others = if others.is_empty() {
                            Vec::new()
                        } else {
                            versions.range(others).map(|(_, value)| *value).collect()
                        };
                        *seen = [&others[..], own].concat();
                        if seen.last().copied() != value {
                            wrong.push(format!(
                                "register {key} was read as {value:?} in version {version}, not as the reader left it: {told}"
                            ));
                        }
                    }
                }
            }
        }
        (transactions, wrong)
    }
}

/// Key, version and number of what a transaction read that it hadn't written before.
fn reads_of_others(steps: &[Step]) -> impl Iterator<Item = (i64, i64, i64)> {
    steps.iter().enumerate().filter_map(|(at, step)| {
        let Step::Read(key, seen) = step else { return None };
        let [version, value] = seen[..] else { return None };
        let own = steps[..at]
            .iter()
            .any(|before| matches!(before, Step::Append(own, _) if own == key));
        (!own).then_some((*key, version, value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dependencies::{Level, check};

    const KEY: i64 = 1;
    const OTHER: i64 = 2;

    fn transaction(level: Level, asked: u64, steps: &[Step]) -> Transaction {
        Transaction {
            who: String::new(),
            level,
            asked,
            answered: asked + 100,
            steps: steps.to_vec(),
            said: Said::Committed,
            csn: None,
            session: asked,
            floor: None,
        }
    }

    fn read(key: i64, version: i64, value: i64) -> Step {
        Step::Read(key, vec![version, value])
    }

    fn wrong(versions: &[(i64, i64, i64)], transactions: Vec<Transaction>) -> Vec<String> {
        let (transactions, mut wrong) = Versions(Mutex::new(versions.to_vec())).unfold(transactions);
        if wrong.is_empty() {
            wrong = check(&transactions);
        }
        wrong
    }

    #[test]
    fn reads_become_what_had_been_written() {
        let level = Level::Serializable;
        let one = transaction(level, 0, &[Step::Append(KEY, 7), read(KEY, 1, 7)]);
        let two = transaction(level, 200, &[read(KEY, 1, 7), Step::Append(KEY, 9), read(KEY, 2, 9)]);
        let end = transaction(level, 1_000, &[read(KEY, 2, 9), Step::Read(OTHER, Vec::new())]);
        assert_eq!(wrong(&[(KEY, 1, 7), (KEY, 2, 9)], vec![one, two, end]), Vec::<String>::new());
    }

    #[test]
    fn a_write_that_nobody_read_is_not_over_another() {
        let level = Level::ReadCommitted;
        let one = transaction(level, 0, &[Step::Append(KEY, 7)]);
        let two = transaction(level, 0, &[Step::Append(KEY, 9)]);
        let found = wrong(&[(KEY, 1, 7), (KEY, 1, 9)], vec![one, two]);
        assert!(found[0].contains("written twice"), "{found:?}");
    }

    #[test]
    fn what_a_failed_transaction_wrote_is_not_read() {
        let level = Level::ReadCommitted;
        let mut failed = transaction(level, 0, &[Step::Append(KEY, 7)]);
        failed.said = Said::Failed;
        let reads = transaction(level, 0, &[read(KEY, 1, 7)]);
        assert!(!wrong(&[(KEY, 1, 7)], vec![failed.clone(), reads]).is_empty());
        // Its version is given again.
        let next = transaction(level, 0, &[Step::Append(KEY, 9)]);
        let end = transaction(level, 1_000, &[read(KEY, 1, 9)]);
        assert_eq!(wrong(&[(KEY, 1, 7), (KEY, 1, 9)], vec![failed, next, end]), Vec::<String>::new());
    }

    #[test]
    fn a_version_whose_writer_lost_its_connection_is_known_from_who_read_it_or_missing_in_all_lists() {
        let level = Level::ReadCommitted;
        let mut lost = transaction(level, 0, &[Step::Append(KEY, 7)]);
        lost.said = Said::Nothing;
        let next = transaction(level, 200, &[Step::Append(KEY, 9)]);
        let end = transaction(level, 1_000, &[read(KEY, 2, 9)]);
        assert_eq!(
            wrong(&[(KEY, 2, 9)], vec![lost.clone(), next.clone(), end.clone()]),
            Vec::<String>::new()
        );
        let between = transaction(level, 150, &[read(KEY, 1, 7)]);
        assert_eq!(
            wrong(&[(KEY, 2, 9)], vec![lost.clone(), between, next.clone(), end.clone()]),
            Vec::<String>::new()
        );
        // Of two numbers that one transaction wrote others see the last.
        let mut twice = transaction(level, 0, &[Step::Append(KEY, 7), Step::Append(KEY, 8)]);
        twice.said = Said::Nothing;
        assert_eq!(
            wrong(
                &[(KEY, 1, 7), (KEY, 2, 8)],
                vec![twice, transaction(level, 1_000, &[read(KEY, 2, 8)])]
            ),
            Vec::<String>::new()
        );
        // It was told its version and not whether it has committed: it hasn't.
        let over = transaction(level, 200, &[Step::Append(KEY, 9)]);
        let alone = transaction(level, 1_000, &[read(KEY, 1, 9)]);
        assert_eq!(wrong(&[(KEY, 1, 7), (KEY, 1, 9)], vec![lost, over, alone]), Vec::<String>::new());
        let found = wrong(&[(KEY, 2, 9)], vec![next, end]);
        assert!(found[0].contains("version 2 by 1 known writes and 0 unknown ones"), "{found:?}");
    }

    #[test]
    fn write_skew_over_registers_is_found_at_serializable() {
        for (level, fine) in [(Level::RepeatableRead, true), (Level::Serializable, false)] {
            let one = transaction(level, 0, &[Step::Read(KEY, Vec::new()), Step::Append(OTHER, 1)]);
            let two = transaction(level, 1, &[Step::Read(OTHER, Vec::new()), Step::Append(KEY, 2)]);
            let end = transaction(level, 1_000, &[read(KEY, 1, 2), read(OTHER, 1, 1)]);
            let found = wrong(&[(OTHER, 1, 1), (KEY, 1, 2)], vec![one, two, end]);
            assert_eq!(found.is_empty(), fine, "{found:?}");
        }
    }
}
