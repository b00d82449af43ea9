//! Transactions that are prepared (PREPARE TRANSACTION) and wait for COMMIT PREPARED or ROLLBACK PREPARED, whoever is consul by then.
//!
//! ```text
//!   PREPARE TRANSACTION 'g'    one row of group 0 under 'g': the encoded writes, the locks, who and when
//!                              its locks leave the session for a slot of their own
//!   COMMIT PREPARED 'g'        the writes as they were encoded, and the row's deletion, as one commit
//!   ROLLBACK PREPARED 'g'      the row's deletion
//!   another consul, a start    reads the rows and takes the locks again before it serves
//! ```
//!
//! The locks are what keeps a prepared transaction able to commit: what it checked (keys, references, deferred constraints) cannot become
//! untrue. What a SERIALIZABLE transaction has read is not locked, so one that has written cannot be prepared.
//!
//! ```text
//! key: the identifier;  value, integers little-endian:
//! u8 1, u64 transaction id, i64 prepared at (microseconds since 2000), u32 owner, u32 database,
//! u32 fragments, each: u32 group, u32 length, payload;  u32 locks, each: u32 space, u8 modes, u32 length, key
//! ```

use crate::bootstrap::PREPARED;
use crate::database::Database;
use crate::lock::table::TABLES;
use crate::lock::{LockKey, TableLock};
use crate::replication::{FragmentWrites, WriteSet};
use crate::row_id::decode_row_id;
use crate::serial::Written;
use crate::tenure::Tenure;
use crate::transaction::{Detached, Holdings};
use bytes::Bytes;
use curia_catalog::{Change, Oid, StorageId, codec};
use curia_consensus::ids::{Csn, GroupId, Term};
use curia_storage::fragment::{FragmentReader, FragmentWriter, Operation};
use curia_storage::state::{Direction, KeyRange};
use curia_types::{Result, SqlError, SqlState};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

/// Longest identifier, bytes (PostgreSQL's GIDSIZE).
const IDENTIFIER_MAX: usize = 199;
/// Largest row: writes and locks of one prepared transaction (54000).
pub(crate) const ROW_BYTES_MAX: usize = 4 << 20;
const VERSION: u8 = 1;

/// What is known of a prepared transaction, as `pg_prepared_xacts` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedTransaction {
    /// Its identifier.
    pub identifier: String,
    /// Its number.
    pub txid: u64,
    /// When it was prepared, microseconds since 2000-01-01 UTC.
    pub prepared_at: i64,
    /// The role that prepared it.
    pub owner: Oid,
    /// The database in which it was.
    pub database: Oid,
}

/// What becomes of a prepared transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// COMMIT PREPARED
    Commit,
    /// ROLLBACK PREPARED
    RollBack,
}

/// The prepared transactions of one time in office.
#[derive(Default)]
pub(crate) struct PreparedTransactions(Mutex<BTreeMap<String, Entry>>);

enum Entry {
    /// Its row is on the way, or it is being finished: nobody else may touch it.
    Busy(PreparedTransaction),
    Waiting(Box<Waiting>),
}

/// One that waits for its end.
pub(crate) struct Waiting {
    pub(crate) what: PreparedTransaction,
    pub(crate) fragments: Vec<(GroupId, Bytes)>,
    pub(crate) holdings: Detached,
}

impl Entry {
    fn what(&self) -> &PreparedTransaction {
        match self {
            Entry::Busy(what) => what,
            Entry::Waiting(waiting) => &waiting.what,
        }
    }
}

impl PreparedTransactions {
    /// Takes an identifier. Errors: 22023, 42710, 53200, 55000.
    pub(crate) fn reserve(&self, what: &PreparedTransaction, limit: usize) -> Result<()> {
        let identifier = &what.identifier;
        if identifier.len() > IDENTIFIER_MAX {
            let message = format!("transaction identifier \"{identifier}\" is too long");
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
        }
        if limit == 0 {
            return Err(
                SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, "prepared transactions are disabled")
                    .hint("Set max_prepared_transactions to a nonzero value."),
            );
        }
        let mut all = self.0.lock();
        if all.contains_key(identifier) {
            let message = format!("transaction identifier \"{identifier}\" is already in use");
            return Err(SqlError::new(SqlState::DUPLICATE_OBJECT, message));
        }
        if all.len() >= limit {
            return Err(
                SqlError::new(SqlState::OUT_OF_MEMORY, "maximum number of prepared transactions reached")
                    .hint(format!("Increase max_prepared_transactions (currently {limit}).")),
            );
        }
        all.insert(identifier.clone(), Entry::Busy(what.clone()));
        Ok(())
    }

    pub(crate) fn insert(&self, waiting: Waiting) {
        let identifier = waiting.what.identifier.clone();
        self.0.lock().insert(identifier, Entry::Waiting(Box::new(waiting)));
    }

    pub(crate) fn forget(&self, identifier: &str) {
        self.0.lock().remove(identifier);
    }

    /// Takes one out to be finished; its identifier stays taken. Errors: 42704, 55006, and what `permit` says.
    fn take(&self, identifier: &str, permit: impl FnOnce(&PreparedTransaction) -> Result<()>) -> Result<Waiting> {
        let mut all = self.0.lock();
        let entry = all.get_mut(identifier).ok_or_else(|| {
            let message = format!("prepared transaction with identifier \"{identifier}\" does not exist");
            SqlError::new(SqlState::UNDEFINED_OBJECT, message)
        })?;
        if let Entry::Busy(_) = entry {
            let message = format!("prepared transaction with identifier \"{identifier}\" is busy");
            return Err(SqlError::new(SqlState::OBJECT_IN_USE, message));
        }
        permit(entry.what())?;
        let busy = Entry::Busy(entry.what().clone());
        match std::mem::replace(entry, busy) {
            Entry::Waiting(waiting) => Ok(*waiting),
            Entry::Busy(_) => Err(SqlError::internal("a busy prepared transaction was taken")),
        }
    }

    /// Gives everything back: another time in office begins.
    fn clear(&self, db: &Arc<Database>) {
        for entry in std::mem::take(&mut *self.0.lock()).into_values() {
            if let Entry::Waiting(waiting) = entry {
                drop(waiting.holdings.attach(db.clone()));
            }
        }
    }
}

impl Database {
    /// The prepared transactions, by identifier.
    pub fn prepared_transactions(&self) -> Vec<PreparedTransaction> {
        let tenure = self.tenure.load();
        let all = tenure.prepared.0.lock();
        all.values().map(|entry| entry.what().clone()).collect()
    }

    /// COMMIT PREPARED and ROLLBACK PREPARED; `permit` refuses those who may not. The CSN of what changed. Errors: 42704, 55006, those of
    /// `permit`, and those of a commit, after which it is prepared still, except 08007.
    pub async fn finish_prepared(
        self: &Arc<Self>,
        identifier: &str,
        decision: Decision,
        permit: impl FnOnce(&PreparedTransaction) -> Result<()>,
    ) -> Result<u64> {
        let tenure = self.tenure.load_full();
        let waiting = tenure.prepared.take(identifier, permit)?;
        let (changes, writes) = match self.finishing(&tenure, &waiting, decision) {
            Ok(made) => made,
            Err(error) => {
                tenure.prepared.insert(waiting);
                return Err(error);
            }
        };
        let forgotten = crate::commit::dropped_sequences(&changes, &self.catalog());
        let written = Written {
            payloads: writes.fragments.iter().map(|f| f.payload.clone()).collect(),
            storages: BTreeSet::new(),
        };
        let hand_over = || self.replication.commit(writes);
        let handed_over = tenure.recent.hand_over(None, written, self.replication.applied(), hand_over);
        let Ok(Ok((ticket, recorded))) = handed_over else {
            tenure.prepared.insert(waiting);
            return Err(SqlError::internal("a commit that has read nothing was refused"));
        };
        let Waiting { what, fragments, holdings } = waiting;
        let mut holdings = holdings.attach(self.clone());
        let at = tenure.clone();
        let done = move |outcome: &Result<Csn>| match outcome {
            Ok(csn) => {
                holdings.recorded = Some(recorded);
                holdings.committed(&changes, *csn);
                forgotten.into_iter().for_each(|s| at.sequences.forget(s));
                at.prepared.forget(&what.identifier);
                drop(holdings); // only now: who waits for the locks finds the changes published
            }
            Err(_) => at.prepared.insert(Waiting {
                what,
                fragments,
                holdings: holdings.detach(),
            }),
        };
        let csn = crate::orphan::UnderWay::new(self.clone(), ticket, done).await?;
        Ok(csn.0)
    }

    /// What finishing one changes and writes.
    fn finishing(&self, tenure: &Tenure, waiting: &Waiting, decision: Decision) -> Result<(Vec<Change>, WriteSet)> {
        let (changes, fragments) = match decision {
            Decision::Commit => (changes_of(&waiting.fragments)?, waiting.fragments.as_slice()),
            Decision::RollBack => (Vec::new(), &[][..]),
        };
        let gone = waiting.what.identifier.as_bytes();
        let writes = write_set(tenure.term, fragments, |writer| writer.delete(PREPARED.0, gone))?;
        Ok((changes, writes))
    }

    /// Takes what an earlier consul's transactions prepared, with their locks; gives back those of the tenure before.
    pub(crate) fn retake_prepared(self: &Arc<Self>, tenure: &Tenure) -> Result<()> {
        self.tenure.load().prepared.clear(self);
        let mut scan = self
            .replication
            .state()
            .scan(PREPARED.0, &KeyRange::all(), self.replication.applied(), Direction::Forward);
        while let Some((key, row)) = scan.next()? {
            let broken = || SqlError::new(SqlState::DATA_CORRUPTED, "unreadable prepared transaction");
            let identifier = std::str::from_utf8(key).map_err(|_| broken())?.to_owned();
            let (what, fragments, locks) = decode(identifier, row).ok_or_else(broken)?;
            for (storage, id) in row_ids(&fragments)? {
                let next = (id + 1).max(self.highest_row_id(storage)? + 1);
                let mut ids = tenure.row_ids.lock();
                let counter = ids.entry(storage).or_insert_with(|| Arc::new(AtomicI64::new(next)));
                counter.fetch_max(next, std::sync::atomic::Ordering::Relaxed);
            }
            let slot = self.session(0);
            let mut holdings = Holdings::begin(self.clone(), slot, tenure.term, what.txid);
            for (key, modes) in locks {
                holdings.retake(key, modes);
            }
            tenure.prepared.insert(Waiting {
                what,
                fragments,
                holdings: holdings.detach(),
            });
        }
        Ok(())
    }
}

/// Fragments as they were encoded, with something more for group 0.
pub(crate) fn write_set(
    term: Term,
    fragments: &[(GroupId, Bytes)],
    more: impl FnOnce(&mut FragmentWriter) -> std::result::Result<(), curia_storage::StorageError>,
) -> Result<WriteSet> {
    let mut writer = FragmentWriter::new();
    let mut all: BTreeMap<GroupId, Bytes> = fragments.iter().cloned().collect();
    if let Some(payload) = all.get(&GroupId(0)) {
        for operation in FragmentReader::new(payload)? {
            match operation? {
                Operation::Put { storage, key, row } => writer.put(storage, key, row)?,
                Operation::Delete { storage, key } => writer.delete(storage, key)?,
                Operation::DropStorage { storage } => writer.drop_storage(storage),
            }
        }
    }
    more(&mut writer)?;
    all.insert(GroupId(0), Bytes::from(writer.finish()));
    let fragments = all.into_iter().map(|(group, payload)| FragmentWrites {
        group,
        stages: Vec::new(),
        payload,
    });
    Ok(WriteSet {
        begun: Some(term),
        after: Vec::new(),
        fragments: fragments.collect(),
    })
}

/// The catalog changes among writes.
fn changes_of(fragments: &[(GroupId, Bytes)]) -> Result<Vec<Change>> {
    let broken = |e: codec::DecodeError| SqlError::new(SqlState::DATA_CORRUPTED, e.to_string());
    let mut changes = Vec::new();
    for (_, payload) in fragments {
        for operation in FragmentReader::new(payload)? {
            match operation? {
                Operation::Put { storage, row, .. } if storage == crate::bootstrap::CATALOG.0 => {
                    changes.push(Change::Put(codec::decode(row).map_err(broken)?));
                }
                Operation::Delete { storage, key } if storage == crate::bootstrap::CATALOG.0 => {
                    changes.push(Change::Drop(codec::decode_key(key).map_err(broken)?));
                }
                _ => {}
            }
        }
    }
    Ok(changes)
}

/// The highest key of each storage that may be a hidden row id: numbers that are given away already.
fn row_ids(fragments: &[(GroupId, Bytes)]) -> Result<BTreeMap<StorageId, i64>> {
    let mut highest = BTreeMap::new();
    for (_, payload) in fragments {
        for operation in FragmentReader::new(payload)? {
            if let Operation::Put { storage, key, .. } = operation?
                && let Ok(id) = decode_row_id(key)
                && id < i64::MAX
            {
                let known = highest.entry(StorageId(storage)).or_insert(id);
                *known = id.max(*known);
            }
        }
    }
    Ok(highest)
}

/// The row. Errors: 54000.
pub(crate) fn encode(what: &PreparedTransaction, fragments: &[(GroupId, Bytes)], locks: &[(LockKey, u8)]) -> Result<Vec<u8>> {
    let bytes = fragments.iter().map(|(_, p)| p.len() + 8).sum::<usize>() + locks.iter().map(|(k, _)| k.bytes.len() + 9).sum::<usize>();
    if bytes > ROW_BYTES_MAX {
        return Err(too_large());
    }
    // Everything is below the limit, so each length fits.
    let mut out = Vec::with_capacity(64 + bytes);
    let number = |out: &mut Vec<u8>, n: usize| out.extend_from_slice(&u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes());
    out.push(VERSION);
    out.extend_from_slice(&what.txid.to_le_bytes());
    out.extend_from_slice(&what.prepared_at.to_le_bytes());
    out.extend_from_slice(&what.owner.to_le_bytes());
    out.extend_from_slice(&what.database.to_le_bytes());
    number(&mut out, fragments.len());
    for (group, payload) in fragments {
        out.extend_from_slice(&group.0.to_le_bytes());
        number(&mut out, payload.len());
        out.extend_from_slice(payload);
    }
    number(&mut out, locks.len());
    for (key, modes) in locks {
        out.extend_from_slice(&key.space.to_le_bytes());
        out.push(*modes);
        number(&mut out, key.bytes.len());
        out.extend_from_slice(&key.bytes);
    }
    Ok(out)
}

pub(crate) fn too_large() -> SqlError {
    SqlError::new(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        format!("a transaction cannot be prepared whose writes and locks take more than {ROW_BYTES_MAX} bytes"),
    )
}

type Decoded = (PreparedTransaction, Vec<(GroupId, Bytes)>, Vec<(LockKey, u8)>);

fn decode(identifier: String, row: &[u8]) -> Option<Decoded> {
    let mut rest = row;
    fn take<'a>(rest: &mut &'a [u8], n: usize) -> Option<&'a [u8]> {
        let (taken, after) = rest.split_at_checked(n)?;
        *rest = after;
        Some(taken)
    }
    fn u32_of(rest: &mut &[u8]) -> Option<u32> {
        Some(u32::from_le_bytes(take(rest, 4)?.try_into().ok()?))
    }
    fn u64_of(rest: &mut &[u8]) -> Option<u64> {
        Some(u64::from_le_bytes(take(rest, 8)?.try_into().ok()?))
    }
    if take(&mut rest, 1)? != [VERSION] {
        return None;
    }
    let what = PreparedTransaction {
        identifier,
        txid: u64_of(&mut rest)?,
        prepared_at: u64_of(&mut rest)?.cast_signed(),
        owner: u32_of(&mut rest)?,
        database: u32_of(&mut rest)?,
    };
    let mut fragments = Vec::new();
    for _ in 0..u32_of(&mut rest)? {
        let group = GroupId(u32_of(&mut rest)?);
        let length = usize::try_from(u32_of(&mut rest)?).ok()?;
        fragments.push((group, Bytes::copy_from_slice(take(&mut rest, length)?)));
    }
    let mut locks = Vec::new();
    for _ in 0..u32_of(&mut rest)? {
        let space = u32_of(&mut rest)?;
        let modes = take(&mut rest, 1)?[0];
        let length = usize::try_from(u32_of(&mut rest)?).ok()?;
        locks.push((LockKey::new(space, take(&mut rest, length)?), modes));
    }
    rest.is_empty().then_some((what, fragments, locks))
}

/// The table that a lock of modes which keep weak ones out is on.
pub(crate) fn strongly_locked(key: &LockKey, modes: u8) -> Option<Oid> {
    let strong = TableLock::ALL.iter().any(|mode| !mode.is_weak() && modes & mode.bit() != 0);
    (key.space == TABLES && strong)
        .then(|| key.bytes.first_chunk().map(|oid| u32::from_be_bytes(*oid)))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_reads_as_it_was_written_and_nothing_else_does() {
        let what = PreparedTransaction {
            identifier: "g".into(),
            txid: 7,
            prepared_at: -5,
            owner: 10,
            database: 5,
        };
        let fragments = vec![(GroupId(0), Bytes::from_static(b"\x01abc")), (GroupId(3), Bytes::new())];
        let locks = vec![(LockKey::new(TABLES, &[0, 0, 4, 1]), 4), (LockKey::new(9, b""), 8)];
        let row = encode(&what, &fragments, &locks).unwrap();
        assert_eq!(
            row[..25],
            [
                1, 7, 0, 0, 0, 0, 0, 0, 0, 251, 255, 255, 255, 255, 255, 255, 255, 10, 0, 0, 0, 5, 0, 0, 0
            ]
        );
        assert_eq!(decode("g".into(), &row), Some((what.clone(), fragments, locks)));
        for length in 0..row.len() {
            assert_eq!(decode("g".into(), &row[..length]), None);
        }
        let large = vec![(GroupId(0), Bytes::from(vec![0; ROW_BYTES_MAX]))];
        assert_eq!(encode(&what, &large, &[]).unwrap_err().code(), SqlState::PROGRAM_LIMIT_EXCEEDED);
    }
}
