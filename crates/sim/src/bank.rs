//! The bank workload: transactions over many tables whose effects can be read back exactly.
//!
//! Tables: `accounts_N` (one a worker group, with luck), `journal` and `counter_journal` (every transaction writes its id
//! into both), `batches` (many rows a transaction, contents derived from their keys) and `made_ID` (a table created by the
//! transaction itself). Transactions lock accounts in random order, so deadlocks happen and are part of the test.

use crate::ledger::{Account, Attempt, Deed, Observation, Said};
use rand::{Rng, RngExt};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;
use tokio_postgres::{Client, Error, NoTls, SimpleQueryMessage};

/// Size of the bank.
#[derive(Clone, Copy, Debug)]
pub struct Bank {
    /// Number of account tables.
    pub tables: usize,
    /// Accounts in each.
    pub accounts: i64,
}

/// Opening balance of every account.
const OPENING: i64 = 1_000;
/// Every how many transactions a batch; the rest but for tables are transfers.
const BATCH_EVERY: u32 = 20;
/// Every how many transactions a table.
const TABLE_EVERY: u32 = 150;
/// Most rows of one batch.
const BATCH_ROWS: i64 = 400;

/// The payload that a batch row must have: a function of its key, of varying length.
fn payload(id: i64, row: i64) -> String {
    let unit = format!("{id}/{row};");
    unit.repeat(1 + (id + row).rem_euclid(40) as usize)
}

/// Connects as the superuser.
///
/// # Errors
/// When the server is not there.
pub async fn connect(sql: &str) -> Result<Client, Error> {
    let (client, connection) = tokio_postgres::connect(&format!("postgresql://curia@{sql}/curia"), NoTls).await?;
    tokio::spawn(async move {
        // The client sees the same failure; there is nothing to add here.
        let _ = connection.await;
    });
    Ok(client)
}

impl Bank {
    /// Creates and fills the tables; anew, if they are there.
    ///
    /// # Errors
    /// Any SQL error.
    pub async fn open(&self, client: &mut Client) -> Result<BTreeMap<Account, i64>, Error> {
        let transaction = client.transaction().await?;
        let mut opening = BTreeMap::new();
        // Of an earlier try, whose outcome nobody was told.
        transaction
            .batch_execute("DROP TABLE IF EXISTS journal, counter_journal, batches, pulse")
            .await?;
        for table in 0..self.tables {
            transaction
                .batch_execute(&format!(
                    "DROP TABLE IF EXISTS accounts_{table}; CREATE TABLE accounts_{table} (id bigint PRIMARY KEY, balance bigint NOT NULL, filler text)"
                ))
                .await?;
            let rows: Vec<String> = (0..self.accounts).map(|id| format!("({id}, {OPENING}, 'account {id}')")).collect();
            transaction
                .batch_execute(&format!("INSERT INTO accounts_{table} VALUES {}", rows.join(", ")))
                .await?;
            opening.extend((0..self.accounts).map(|id| ((table, id), OPENING)));
        }
        transaction
            .batch_execute(
                "CREATE TABLE journal (id bigint PRIMARY KEY, client int NOT NULL, reference text NOT NULL UNIQUE);
                 CREATE TABLE counter_journal (id bigint PRIMARY KEY, client int NOT NULL);
                 CREATE TABLE batches (id bigint, row_number bigint, payload text NOT NULL, PRIMARY KEY (id, row_number));
                 CREATE TABLE pulse (beat int);
                 CREATE INDEX counter_journal_client ON counter_journal (client);",
            )
            .await?;
        transaction.commit().await?;
        Ok(opening)
    }

    /// Runs transactions on one connection until the connection is lost. Returns everything attempted.
    pub async fn work(&self, sql: &str, client_number: i32, ids: &AtomicI64, mut random: impl Rng) -> Vec<Attempt> {
        let mut attempts = Vec::new();
        let Ok(mut client) = connect(sql).await else { return attempts };
        while !client.is_closed() {
            let id = ids.fetch_add(1, Ordering::Relaxed);
            attempts.push(self.attempt(&mut client, client_number, id, &mut random, Duration::MAX).await);
        }
        attempts
    }

    /// Runs one transaction, for `patience` at most; a client that gave up must not be used again.
    pub async fn attempt(&self, client: &mut Client, number: i32, id: i64, random: &mut impl Rng, patience: Duration) -> Attempt {
        let deed = self.choose(random);
        let said = within(patience, client, number, id, &deed, random.random_ratio(1, 10)).await;
        Attempt { id, deed, said }
    }

    /// Tries a transaction again, of which the client was told nothing: under its idempotency key, if it has one, that is safe.
    pub async fn again(&self, client: &mut Client, number: i32, attempt: &mut Attempt, patience: Duration) {
        // A try that failed says nothing of the one before, which may still be under way.
        if within(patience, client, number, attempt.id, &attempt.deed, false).await == Said::Committed {
            attempt.said = Said::Committed;
        }
    }

    /// The sum of all balances, which no transaction changes.
    ///
    /// # Errors
    /// Any SQL error.
    pub async fn total(&self, client: &Client) -> Result<i64, Error> {
        let tables: Vec<_> = (0..self.tables)
            .map(|table| format!("SELECT balance FROM accounts_{table}"))
            .collect();
        let all = tables.join(" UNION ALL ");
        let row = client
            .query_one(&format!("SELECT sum(balance)::bigint FROM ({all}) AS balances"), &[])
            .await?;
        Ok(row.get(0))
    }

    /// The sum of each table's balances as they were at a commit.
    ///
    /// # Errors
    /// Any SQL error.
    pub async fn past_totals(&self, client: &Client, csn: u64) -> Result<Vec<i64>, Error> {
        let tables: Vec<_> = (0..self.tables)
            .map(|table| format!("SELECT {table} AS number, sum(balance)::bigint AS total FROM accounts_{table} AS OF SYSTEM TIME {csn}"))
            .collect();
        let rows = client
            .simple_query(&format!("{} ORDER BY number", tables.join(" UNION ALL ")))
            .await?;
        let totals = rows.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(1)?.parse().ok(),
            _ => None,
        });
        Ok(totals.collect())
    }

    /// What [`Bank::total`] must be.
    pub fn opening_total(&self) -> i64 {
        self.tables as i64 * self.accounts * OPENING
    }

    fn choose(&self, random: &mut impl Rng) -> Deed {
        if random.random_ratio(1, TABLE_EVERY) {
            return Deed::Table;
        }
        if random.random_ratio(1, BATCH_EVERY) {
            return Deed::Batch {
                rows: random.random_range(1..=BATCH_ROWS),
            };
        }
        let mut account = || (random.random_range(0..self.tables), random.random_range(0..self.accounts));
        let from = account();
        let to = loop {
            let other = account();
            if other != from {
                break other;
            }
        };
        Deed::Transfer {
            from,
            to,
            amount: random.random_range(1..100),
        }
    }

    /// Reads everything back in one transaction.
    ///
    /// # Errors
    /// Any SQL error.
    pub async fn observe(&self, client: &mut Client) -> Result<Observation, Error> {
        let mut seen = Observation::default();
        let transaction = client
            .build_transaction()
            .isolation_level(tokio_postgres::IsolationLevel::RepeatableRead)
            .start()
            .await?;
        for table in 0..self.tables {
            for row in transaction.query(&format!("SELECT id, balance FROM accounts_{table}"), &[]).await? {
                seen.balances.insert((table, row.get(0)), row.get(1));
            }
        }
        seen.journal = transaction
            .query("SELECT id FROM journal", &[])
            .await?
            .iter()
            .map(|row| row.get(0))
            .collect();
        seen.counter_journal = transaction
            .query("SELECT id FROM counter_journal", &[])
            .await?
            .iter()
            .map(|row| row.get(0))
            .collect();
        for row in transaction.query("SELECT id, row_number, payload FROM batches", &[]).await? {
            let (id, number, found): (i64, i64, &str) = (row.get(0), row.get(1), row.get(2));
            if found == payload(id, number) {
                *seen.batches.entry(id).or_default() += 1;
            }
        }
        transaction.commit().await?;
        Ok(seen)
    }

    /// Which of `ids` have a table `made_ID` that holds its one row.
    ///
    /// # Errors
    /// Any SQL error but "there is no such table".
    pub async fn made_tables(&self, client: &Client, ids: impl Iterator<Item = i64>) -> Result<BTreeSet<i64>, Error> {
        let mut found = BTreeSet::new();
        for id in ids {
            match client.query(&format!("SELECT id FROM made_{id}"), &[]).await {
                Ok(rows) if rows.len() == 1 && rows[0].get::<_, i64>(0) == id => drop(found.insert(id)),
                Ok(_) => {}
                Err(error) if error.code().is_some_and(|code| code.code() == "42P01") => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// Looks committed transactions up through the unique index, as a scan of the table would not.
    /// Returns the ids that the index does not find.
    ///
    /// # Errors
    /// Any SQL error.
    pub async fn missing_from_index(&self, client: &Client, ids: &[i64]) -> Result<Vec<i64>, Error> {
        let by_reference = client.prepare("SELECT id FROM journal WHERE reference = $1").await?;
        let mut missing = Vec::new();
        for id in ids {
            match client.query_opt(&by_reference, &[&reference(*id)]).await? {
                Some(row) if row.get::<_, i64>(0) == *id => {}
                _ => missing.push(*id),
            }
        }
        Ok(missing)
    }
}

fn reference(id: i64) -> String {
    format!("reference-{id}")
}

/// What a client knows after this error, or after it has lost patience.
pub(crate) fn said(error: Option<&Error>, commit_asked: &AtomicBool) -> Said {
    if !commit_asked.load(Ordering::Relaxed) {
        return Said::Failed;
    }
    // An error that the server sent is a definite no, but for the one state that says it does not know.
    match error.and_then(Error::as_db_error) {
        Some(error) if error.code().code() != "08007" && !error.code().code().starts_with("57P") => Said::Failed,
        _ => Said::Nothing,
    }
}

/// What the client was told of a transaction that it tried for so long.
async fn within(patience: Duration, client: &mut Client, number: i32, id: i64, deed: &Deed, give_up: bool) -> Said {
    let commit_asked = AtomicBool::new(false);
    let trying = try_deed(client, number, id, deed, give_up, &commit_asked);
    match tokio::time::timeout(patience, trying).await {
        Ok(Ok(said)) => said,
        Ok(Err(error)) => said(Some(&error), &commit_asked),
        Err(_) => said(None, &commit_asked),
    }
}

/// Whether the transaction has an idempotency key.
pub fn has_key(id: i64) -> bool {
    id % 3 == 0
}

async fn try_deed(client: &mut Client, number: i32, id: i64, deed: &Deed, give_up: bool, commit_asked: &AtomicBool) -> Result<Said, Error> {
    let transaction = client.transaction().await?;
    if has_key(id) {
        let key = format!("SET LOCAL curia.idempotency_key = 'deed {id}'");
        transaction.batch_execute(&key).await?;
    }
    match deed {
        Deed::Transfer { from, to, amount } => {
            for ((table, account), change) in [(from, -amount), (to, *amount)] {
                transaction
                    .execute(
                        &format!("UPDATE accounts_{table} SET balance = balance + $1 WHERE id = $2"),
                        &[&change, account],
                    )
                    .await?;
            }
        }
        Deed::Batch { rows } => {
            let values: Vec<String> = (0..*rows).map(|row| format!("({id}, {row}, '{}')", payload(id, row))).collect();
            transaction
                .batch_execute(&format!("INSERT INTO batches VALUES {}", values.join(", ")))
                .await?;
        }
        Deed::Table => {
            transaction
                .batch_execute(&format!(
                    "CREATE TABLE made_{id} (id bigint PRIMARY KEY); INSERT INTO made_{id} VALUES ({id})"
                ))
                .await?;
        }
    }
    transaction
        .execute(
            "INSERT INTO journal (id, client, reference) VALUES ($1, $2, $3)",
            &[&id, &number, &reference(id)],
        )
        .await?;
    transaction
        .execute("INSERT INTO counter_journal (id, client) VALUES ($1, $2)", &[&id, &number])
        .await?;
    if give_up {
        transaction.rollback().await?;
        return Ok(Said::Failed);
    }
    commit_asked.store(true, Ordering::Relaxed);
    transaction.commit().await?;
    Ok(Said::Committed)
}
