//! PREPARE TRANSACTION: see [`crate::prepared`].

use super::{Holdings, Transaction};
use crate::bootstrap::PREPARED;
use crate::commit;
use crate::lock::table::TABLES;
use crate::orphan;
use crate::prepared::{PreparedTransaction, Waiting, encode, too_large, write_set};
use crate::serial::Written;
use crate::tenure::Tenure;
use curia_catalog::{Change, Class, Oid};
use curia_consensus::ids::Csn;
use curia_types::{Result, SqlError, SqlState};
use std::collections::BTreeSet;
use std::sync::Arc;

/// An identifier that is taken, given back when dropped.
struct Reserved {
    tenure: Arc<Tenure>,
    identifier: Option<String>,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if let Some(identifier) = &self.identifier {
            self.tenure.prepared.forget(identifier);
        }
    }
}

impl Transaction {
    /// Prepares: returns once the writes and locks are durable under the identifier (its `txid` is filled in). `limit` is
    /// `max_prepared_transactions`. On an error nothing of the transaction happened, except 08007. Errors: 0A000, 22023, 42710, 53200,
    /// 54000, 55000, and those of a commit.
    pub async fn prepare(mut self, mut what: PreparedTransaction, limit: usize) -> Result<()> {
        self.settle().await?;
        what.txid = self.txid()?;
        let tenure = self.db.tenure.load_full();
        if tenure.term != self.begun {
            return Err(super::concurrent("update").detail("The server was not consul all the time since the transaction began."));
        }
        tenure.prepared.reserve(&what, limit)?;
        let mut reserved = Reserved {
            tenure: tenure.clone(),
            identifier: Some(what.identifier.clone()),
        };
        if self.serial.is_some() {
            match self.has_writes() {
                true => {
                    return Err(SqlError::unsupported(
                        "PREPARE TRANSACTION of a SERIALIZABLE transaction that has written",
                    ));
                }
                false => self.without_writes().await?,
            };
        }
        if self.slot.advisory.is_held_twice() {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "cannot PREPARE while holding both session-level and transaction-level locks on the same object",
            ));
        }
        self.confirm_sequences().await?;
        let catalog = self.catalog();
        let writes = commit::write_set(&mut self, &catalog).await?;
        if writes.fragments.iter().any(|f| !f.stages.is_empty()) {
            return Err(too_large());
        }
        let fragments: Vec<_> = writes.fragments.into_iter().map(|f| (f.group, f.payload)).collect();
        let Some(holdings) = self.holdings.take() else {
            return Err(SqlError::internal("a transaction was prepared after its end"));
        };
        let mut kept = Holdings::begin(self.db.clone(), self.db.session(0), self.begun, what.txid);
        holdings.move_to(&mut kept);
        let base = self.db.catalog();
        let is_temporary = |oid: Oid| {
            let table = catalog.tables.get(&oid).or_else(|| base.tables.get(&oid));
            table.is_some_and(|t| catalog.is_temporary(t.schema))
        };
        let locked = kept.keys.iter().filter(|(key, _)| key.space == TABLES);
        let mut locked = locked.filter_map(|(key, _)| key.bytes.first_chunk().map(|oid| Oid::from_be_bytes(*oid)));
        let mut changed = self.changes.iter().map(Change::key).filter(|key| key.class == Class::Table);
        if locked.any(is_temporary) || changed.any(|key| is_temporary(key.oid)) {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "cannot PREPARE a transaction that has operated on temporary objects",
            ));
        }
        let row = encode(&what, &fragments, &kept.keys)?;
        let identifier = what.identifier.clone();
        let writes = write_set(self.begun, &[], |writer| writer.put(PREPARED.0, identifier.as_bytes(), &row))?;
        let written = Written {
            payloads: writes.fragments.iter().map(|f| f.payload.clone()).collect(),
            storages: BTreeSet::new(),
        };
        let waiting = Waiting {
            what,
            fragments,
            holdings: kept.detach(),
        };
        let (db, at) = (self.db.clone(), self.db.clone());
        let hand_over = || db.replication.commit(writes);
        let Ok((ticket, recorded)) = self.recent.hand_over(None, written, db.replication.applied(), hand_over)? else {
            return Err(SqlError::internal("a transaction that has read nothing was refused"));
        };
        reserved.identifier = None;
        let done = move |outcome: &Result<Csn>| match outcome {
            Ok(csn) => {
                recorded.committed(*csn);
                tenure.prepared.insert(waiting);
            }
            Err(_) => {
                drop(waiting.holdings.attach(at));
                tenure.prepared.forget(&identifier);
            }
        };
        orphan::UnderWay::new(db, ticket, done).await?;
        Ok(())
    }
}
