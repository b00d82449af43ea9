//! Transactions that their client has named with `curia.idempotency_key`: tried again after a commit whose outcome got lost, they happen once
//! (`curia_txn::Step`).
//!
//! ```text
//!   first time          statement ──► runs ──► its answer is noted ──► COMMIT writes the notes under the key
//!   after it committed  statement ──► the same as noted? ──► the answer from the notes; COMMIT writes nothing
//! ```
//!
//! Only statements that change something are noted; what only reads runs each time, on the state as it is then. A statement is the same when
//! its text and its parameters are. The key is taken when the first statement that changes something comes; SET LOCAL names the
//! transaction that it is in, SET the next one that commits, after which the parameter is empty again.

use crate::output::{Output, Stop};
use crate::planning::Prepared;
use crate::portal::{Ran, Rows, Tag};
use crate::session::Session;
use crate::settings::Scope;
use curia_ddl::Ddl;
use curia_parse::Statement;
use curia_parse::ast::{CopyDirection, CteBody, Query};
use curia_storage::row::{RowLayout, storable};
use curia_txn::{ROW_BYTES_MAX, STEPS_MAX, Step};
use curia_types::{Datum, PgType, Result, SqlError, SqlState};
use std::sync::Arc;

/// The parameter.
pub(crate) const KEY: &str = "curia.idempotency_key";

/// A transaction with a key.
pub(crate) struct Keyed {
    key: Arc<str>,
    role: u32,
    /// What it did when it committed, if it has.
    first: Option<Vec<Step>>,
    /// What it has done this time, each with how many savepoints there were.
    done: Vec<(Step, usize)>,
    kept_bytes: usize,
}

impl Keyed {
    /// Undoes what was done since a savepoint. Whether nothing is left.
    pub(crate) fn roll_back_to(&mut self, savepoint: usize) -> bool {
        self.done.retain(|(_, savepoints)| *savepoints <= savepoint);
        self.done.is_empty()
    }

    /// A savepoint and those behind it are no more, what was done since is.
    pub(crate) fn release(&mut self, savepoint: usize) {
        for (_, savepoints) in &mut self.done {
            *savepoints = savepoint.min(*savepoints);
        }
    }

    fn committed(&self) -> SqlError {
        let message = format!("the transaction with idempotency key \"{}\" has committed already", self.key);
        SqlError::new(SqlState::UNIQUE_VIOLATION, message)
    }

    fn differs(&self) -> SqlError {
        self.committed()
            .detail("What it did then is not what is asked now.")
            .hint("A retry sends the same statements with the same parameters; another transaction takes another key.")
    }
}

/// What `curia.idempotency_key` may be.
pub(crate) fn check_key(value: String) -> Result<String> {
    match value.len() <= curia_txn::KEY_BYTES_MAX {
        true => Ok(value),
        false => Err(crate::settings::value::invalid(KEY, &value)
            .detail(format!("An idempotency key has at most {} bytes.", curia_txn::KEY_BYTES_MAX))),
    }
}

/// Whether a statement changes something that outlives its transaction.
fn changes(statement: &Statement) -> bool {
    match statement {
        Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_) | Statement::Merge(_) => true,
        Statement::Query(query) => query_changes(query),
        Statement::Explain(explain) => explain.options.analyze && changes(&explain.statement),
        Statement::Copy(copy) => copy.direction == CopyDirection::FromStdin,
        Statement::CreateTableAs(_) | Statement::Authority(_) => true,
        definition => Ddl::handles(definition),
    }
}

fn query_changes(query: &Query) -> bool {
    let changes = |body: &CteBody| match body {
        CteBody::Query(query) => query_changes(query),
        CteBody::Insert(_) | CteBody::Update(_) | CteBody::Delete(_) => true,
    };
    query
        .with
        .as_ref()
        .is_some_and(|with| with.ctes.iter().any(|cte| changes(&cte.body)))
}

/// FNV-1a, 64 bits: it is stored.
fn digest(text: &str, params: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let text = text.as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, step);
    params.iter().fold(step(text, &0), step)
}

fn layout(types: impl Iterator<Item = PgType>) -> Option<RowLayout> {
    let types: Vec<_> = types.collect();
    types.iter().all(|ty| storable(ty.oid)).then(|| RowLayout::new(&types, Vec::new()))
}

impl Session {
    /// Runs a statement; one that changes something within a transaction with a key is noted, or answered from the notes.
    pub(crate) async fn run<O: Output>(&mut self, prepared: &Prepared, params: Arc<[Datum]>, out: &mut O) -> Result<Ran, Stop> {
        match prepared.statement() {
            Some(statement) if self.is_keyed() && !self.shared.local && self.changes(statement) => {
                self.run_keyed(prepared, statement, params, out).await
            }
            _ => self.run_anyway(prepared, params, out).await,
        }
    }

    /// Whether the transaction has a key, or its first change would give it one.
    pub(crate) fn is_keyed(&mut self) -> bool {
        if self.environment.generation_moved(&self.shared) {
            let catalog = self.shared.database.catalog();
            self.refresh_environment(&catalog);
        }
        self.block.keyed.is_some() || !self.environment.idempotency_key.is_empty()
    }

    fn changes(&self, statement: &Statement) -> bool {
        match statement {
            Statement::Execute(execute) => {
                let prepared = self.statement(&execute.name.name).ok();
                prepared.and_then(|prepared| prepared.statement()).is_some_and(changes)
            }
            statement => changes(statement),
        }
    }

    async fn run_keyed<O: Output>(
        &mut self,
        prepared: &Prepared,
        statement: &Statement,
        params: Arc<[Datum]>,
        out: &mut O,
    ) -> Result<Ran, Stop> {
        if matches!(statement, Statement::Copy(_) | Statement::Explain(_)) {
            return Err(SqlError::unsupported(format!("{} in a transaction with an idempotency key", statement.tag())).into());
        }
        if self.block.keyed.is_none() {
            self.claim(statement.tag(), out).await?;
        }
        let asked = self.digest_of(prepared, &params);
        let savepoints = self.block.savepoints();
        let Some(keyed) = &mut self.block.keyed else {
            return Err(SqlError::internal("a key was claimed and is not there").into());
        };
        if let Some(first) = &keyed.first {
            let Some(step) = first.get(keyed.done.len()).filter(|step| step.digest == asked) else {
                return Err(keyed.differs().into());
            };
            let step = step.clone();
            keyed.done.push((step.clone(), savepoints));
            return self.answer_again(prepared, statement, step, out).await;
        }
        if keyed.done.len() >= STEPS_MAX {
            let message = format!("a transaction with an idempotency key has at most {STEPS_MAX} statements that change something");
            return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message).into());
        }
        let mut ran = self.run_anyway(prepared, params, out).await?;
        let room = ROW_BYTES_MAX - self.block.keyed.as_ref().map_or(0, |keyed| keyed.kept_bytes);
        let rows = keep_rows(&mut ran, room).await?;
        if let Some(keyed) = &mut self.block.keyed {
            keyed.kept_bytes += rows.iter().flatten().map(Vec::len).sum::<usize>();
            let count = match ran.tag {
                Tag::Affected(_, count) => count,
                Tag::Plain(_) | Tag::Sent(_) => 0,
            };
            let digest = asked;
            keyed.done.push((Step { digest, count, rows }, savepoints));
        }
        Ok(ran)
    }

    /// Names the transaction; waits for the one that had the name before.
    async fn claim<O: Output>(&mut self, command: &str, out: &mut O) -> Result<(), Stop> {
        let key = self.environment.idempotency_key.clone();
        let role = self.environment.identity.current;
        let (waits, shared) = (self.waits.clone(), self.shared.clone());
        let tx = self.transaction()?;
        if tx.has_writes() {
            return Err(SqlError::new(
                SqlState::ACTIVE_SQL_TRANSACTION,
                "curia.idempotency_key must be set before the transaction changes anything",
            )
            .into());
        }
        tx.require_writable(command)?; // the key is a row
        let first = waits.run(out, tx.claim_key(role, &key)).await?;
        if first.is_some() {
            tx.answer_unproven(); // its end proves that this is the consul
            shared.saw(tx.database().replication().applied());
        }
        self.block.keyed = Some(Keyed {
            key,
            role,
            first,
            done: Vec::new(),
            kept_bytes: 0,
        });
        Ok(())
    }

    /// What a statement asks, as one number: its text as it came, and its parameters in a form that doesn't depend on how they came.
    fn digest_of(&self, prepared: &Prepared, params: &[Datum]) -> u64 {
        let (text, params) = match &self.said {
            // Numbers that were lifted out of it are in the text.
            Some(said) => (said, &[][..]),
            None => (&prepared.sql, params),
        };
        let mut bytes = Vec::new();
        let encoded = layout(prepared.params.iter().copied()).map(|layout| layout.encode(params, &mut bytes));
        if !params.is_empty() && !matches!(encoded, Some(Ok(()))) {
            bytes = format!("{params:?}").into_bytes();
        }
        digest(text, &bytes)
    }

    /// The answer that the statement had when the transaction committed.
    async fn answer_again<O: Output>(
        &mut self,
        prepared: &Prepared,
        statement: &Statement,
        Step { count, rows, .. }: Step,
        out: &mut O,
    ) -> Result<Ran, Stop> {
        self.commits_next = false;
        let executed = match statement {
            Statement::Execute(execute) => Some(self.statement(&execute.name.name)?.clone()),
            _ => None,
        };
        let prepared = executed.as_deref().unwrap_or(prepared);
        let word = prepared.statement().map_or("", Statement::tag);
        let affected = |tag| Ran {
            rows: None,
            fields: None,
            tag: Tag::Affected(tag, count),
        };
        match prepared.statement() {
            Some(statement) if statement.is_bindable() => {}
            Some(Statement::CreateTableAs(_)) => return Ok(affected("SELECT")),
            _ => return Ok(Ran::done(word)),
        }
        let Some(rows) = rows else {
            let error = SqlError::unsupported("to give back again more rows than are kept of a transaction with an idempotency key");
            return Err(error.detail("The transaction has committed.").into());
        };
        let catalog = self.transaction()?.catalog();
        let planned = self.plan_prepared(prepared, &catalog, out).await?;
        planned.permit(&catalog)?;
        let Some(fields) = &planned.fields else { return Ok(affected(word)) };
        let changed = || SqlError::unsupported("to give back again rows from before a table was changed");
        let layout = layout(fields.iter().map(|field| field.ty)).ok_or_else(changed)?;
        let rows: Result<Vec<_>> = rows.iter().map(|row| layout.decode_all(row).map_err(|_| changed())).collect();
        Ok(Ran {
            rows: Some(Rows::Values(rows?.into_iter())),
            fields: Some(fields.clone()),
            tag: match word {
                "SELECT" => Tag::Sent(word),
                word => Tag::Affected(word, count),
            },
        })
    }

    /// Before a commit: has the notes written with it, or sees to it that the retry did the same.
    pub(crate) async fn settle_key(&mut self) -> Result<()> {
        let Some(keyed) = self.block.keyed.take() else { return Ok(()) };
        let Some(tx) = &mut self.block.tx else { return Ok(()) };
        if let Some(first) = &keyed.first {
            return match first.len() == keyed.done.len() {
                true => Ok(()),
                false => Err(keyed.differs()),
            };
        }
        // The lock is gone where a savepoint was rolled back to that was older than it.
        if tx.claim_key(keyed.role, &keyed.key).await?.is_some() {
            return Err(SqlError::new(
                SqlState::SERIALIZATION_FAILURE,
                "could not serialize access due to a concurrent transaction with the same idempotency key",
            ));
        }
        let steps = keyed.done.into_iter().map(|(step, _)| step).collect();
        tx.keep_steps(keyed.role, &keyed.key, steps);
        Ok(())
    }

    /// The transaction that the key was for has committed.
    pub(crate) fn forget_key(&mut self) {
        let mut settings = self.shared.settings.lock();
        if settings.get(KEY).is_some_and(|key| !key.is_empty()) {
            settings.put_checked(KEY, Some(""), Scope::Session);
        }
    }
}

/// The rows of a statement, computed to their end and encoded; `None` where they are more than that many bytes, or can't be stored.
async fn keep_rows(ran: &mut Ran, room: usize) -> Result<Option<Vec<Vec<u8>>>> {
    let (Some(fields), Some(Rows::Plan(source))) = (&ran.fields, &mut ran.rows) else {
        return Ok(Some(Vec::new()));
    };
    let Some(layout) = layout(fields.iter().map(|field| field.ty)) else {
        return Ok(None);
    };
    let (mut kept, mut bytes, mut rows) = (Some(Vec::new()), 0, Vec::new());
    while source.next().await? {
        let row = source.take_row();
        let mut encoded = Vec::new();
        layout.encode(&row, &mut encoded)?;
        bytes += encoded.len();
        if bytes > room {
            kept = None;
        }
        kept.iter_mut().for_each(|kept| kept.push(std::mem::take(&mut encoded)));
        rows.push(row);
    }
    ran.rows = Some(Rows::Values(rows.into_iter()));
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_something_is_told_by_its_syntax() {
        let changes = |sql: &str| curia_parse::parse(sql).unwrap().iter().all(|parsed| changes(&parsed.statement));
        for sql in [
            "INSERT INTO t VALUES (1)",
            "WITH a AS (DELETE FROM t RETURNING *) SELECT * FROM a",
            "EXPLAIN ANALYZE UPDATE t SET a = 1",
            "CREATE TABLE t (a int)",
            "TRUNCATE t",
            "COPY t FROM STDIN",
            "GRANT SELECT ON t TO r",
        ] {
            assert!(changes(sql), "{sql}");
        }
        for sql in [
            "SELECT 1 FOR UPDATE",
            "EXPLAIN DELETE FROM t",
            "COPY t TO STDOUT",
            "SET a.b = 1",
            "BEGIN",
            "LISTEN a",
            "LOCK t",
        ] {
            assert!(!changes(sql), "{sql}");
        }
    }

    #[test]
    fn digests_are_stored_so_they_stay() {
        assert_eq!(digest("", b""), 0xaf63_bd4c_8601_b7df);
        assert_ne!(digest("a", b"b"), digest("ab", b""));
    }
}
