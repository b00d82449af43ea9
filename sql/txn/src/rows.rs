//! Row operations: locking, inserting, updating and deleting rows with their index entries and constraints.
//!
//! Locks taken here, always together with the table's own (ROW EXCLUSIVE for DML, ROW SHARE for FOR UPDATE):
//!
//! | what | lock |
//! | --- | --- |
//! | change or FOR UPDATE a row | its row key, at the strength asked for |
//! | insert a row that has a primary key | its row key, UPDATE: whoever inserts or deletes the same key is waited for |
//! | insert or remove an entry of a unique index without NULL | the entry's key, UPDATE |
//!
//! Rows keyed by hidden row ids need no lock when inserted: nobody else can know the id.

use crate::layout::{Entry, IndexLayout, TableLayout, entry_row_key, entry_value};
use crate::lock::{LockStrength, LockWait, Mode};
use crate::row_id::encode_row_id;
use crate::transaction::{Isolation, Transaction, concurrent};
use crate::violation;
use bytes::Bytes;
use curia_catalog::{Oid, StorageId};
use curia_consensus::ids::Csn;
use curia_storage::state::{Direction, KeyRange};
use curia_types::{Datum, IoContext, Result, SqlError, SqlState};

/// How the caller came to the row that it wants to lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It read the row at the statement's snapshot and computed something from it.
    Snapshot,
    /// The same, and it does not look at what [`Locked::Row`] gives it, which may be empty.
    Scanned,
    /// It has only the key so far, and will look at what [`Locked::Row`] gives it.
    Newest,
}

/// What locking a row led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Locked {
    /// Held; this is the row's newest version. With [`Seen::Snapshot`] it is the one that the snapshot shows.
    Row(Bytes),
    /// There is no such row (any more).
    Gone,
    /// READ COMMITTED: the row changed after the snapshot. The lock is held, but for one that would not have been waited for; the statement
    /// runs again ([`Transaction::restart_statement`]).
    Changed,
    /// Somebody holds it, and the caller asked not to wait.
    Skipped,
    /// The running statement wrote it already: its value now.
    Own(Option<Bytes>),
}

/// What [`Transaction::insert_unless_conflict`] led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// Inserted under this row key.
    Row(Bytes),
    /// An arbiter index has a row of the same key.
    Conflict {
        /// The existing row's key. Lock it with [`Seen::Newest`].
        row_key: Bytes,
        /// The running statement itself wrote that row: DO UPDATE answers 21000.
        own: bool,
    },
}

/// A row or unique key that somebody else holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    storage: StorageId,
    key: Vec<u8>,
    strength: LockStrength,
}

impl Held {
    fn new(storage: StorageId, key: &[u8], strength: LockStrength) -> Held {
        let key = key.to_vec();
        Held { storage, key, strength }
    }
}

/// A committed or own value under a key.
enum Present {
    No,
    /// By the running statement.
    Own(Bytes),
    /// By an earlier command or another transaction; with the CSN if committed.
    Earlier(Bytes, Option<Csn>),
}

impl Transaction {
    /// Locks a row. Errors: 40P01, 55P03, and 40001 under REPEATABLE READ when the row changed after the snapshot.
    pub async fn lock_row(
        &mut self,
        layout: &TableLayout,
        row_key: &[u8],
        strength: LockStrength,
        wait: LockWait,
        seen: Seen,
    ) -> Result<Locked> {
        self.lock_row_read(layout, row_key, strength, (wait, seen), None).await
    }

    /// The same; `read` are the row's bytes at the statement's snapshot, which are not read again where nothing was committed since.
    pub async fn lock_row_read(
        &mut self,
        layout: &TableLayout,
        row_key: &[u8],
        strength: LockStrength,
        (wait, seen): (LockWait, Seen),
        read: Option<Bytes>,
    ) -> Result<Locked> {
        let storage = layout.storage();
        let passes = self.may_pass(strength, wait, seen);
        let mode = Mode::from(strength);
        let mode = if passes { mode.passing() } else { mode };
        let before = self.locks_held();
        if !self.lock_key_as(layout.table().oid, storage, row_key, mode, wait).await? {
            if wait == LockWait::SkipLocked {
                return Ok(Locked::Skipped);
            }
            return Err(SqlError::new(
                SqlState::LOCK_NOT_AVAILABLE,
                format!("could not obtain lock on row in relation \"{}\"", layout.table().name),
            ));
        }
        if let Some(buffer) = &self.buffer
            && let Some((seq, value)) = buffer.latest(storage.0, row_key)?
        {
            return Ok(match value {
                value if seq >= self.statement_seq() => Locked::Own(value),
                Some(row) => Locked::Row(row),
                None => Locked::Gone,
            });
        }
        if passes {
            if let Some(row) = self.build_on(storage, row_key) {
                return Ok(Locked::Row(row));
            }
        } else {
            self.settle().await?; // it may have this lock for having passed
        }
        // Whoever had the lock before gave it back after its commit was applied, so nothing has changed the row since the snapshot.
        let read = read.or_else(|| (seen == Seen::Scanned).then(Bytes::new));
        if let Some(read) = read.filter(|_| self.snapshot() == Some(self.db.replication.applied())) {
            return Ok(Locked::Row(read));
        }
        self.note_read(storage, row_key);
        let state = self.db.replication.state();
        let newest = state.read_newest(storage.0, row_key, |csn, row| (csn, row.map(Bytes::copy_from_slice)))?;
        let Some((csn, row)) = newest else { return Ok(Locked::Gone) };
        let snapshot = self.snapshot().unwrap_or(csn);
        if csn > snapshot {
            let existed = || -> Result<bool> {
                let found = state.read(storage.0, row_key, snapshot, |_| ())?.is_some();
                self.check_age().map(|()| found)
            };
            match (self.isolation(), seen) {
                (Isolation::ReadCommitted, Seen::Snapshot | Seen::Scanned) => {
                    if wait == LockWait::SkipLocked {
                        self.unlock_newest(storage, before); // the row may not be among those of the next run
                    }
                    return Ok(Locked::Changed);
                }
                (Isolation::ReadCommitted, Seen::Newest) => {}
                // The key is what a reference is to, and that is still there.
                (_, Seen::Newest) if strength == LockStrength::KeyShare && row.is_some() && existed()? => {}
                _ if existed()? => return Err(concurrent(if row.is_some() { "update" } else { "delete" })),
                _ => return Ok(Locked::Gone), // appeared after the snapshot
            }
        }
        Ok(row.map_or(Locked::Gone, Locked::Row))
    }

    /// Inserts a row with its index entries; `row` has a value for each of `Table::columns`. CHECK constraints are the caller's. Returns the
    /// row key. Errors: 23502, 23505, and those of waiting.
    pub async fn insert(&mut self, layout: &TableLayout, row: &[Datum]) -> Result<Bytes> {
        self.check_not_null(layout, row)?;
        let row_key = self.new_row_key(layout, row)?;
        if let Some(index) = layout.key_index().filter(|_| !layout.keyed_by_row_id()) {
            self.lock_unique(layout, layout.storage(), &row_key).await?;
            if self.is_present(layout.storage(), &row_key)? {
                return Err(violation::duplicate_key(layout, index, row, &self.io()));
            }
        }
        let full = layout.full(row)?;
        for index in layout.indexes() {
            self.insert_entry(layout, index, &full, &row_key).await?;
        }
        self.write_row(layout, &row_key, row)?;
        self.relieve().await?;
        Ok(row_key)
    }

    /// ON CONFLICT DO UPDATE: the key of the row that has the new row's primary key, found without a lock: whoever locks it finds out whether
    /// it is there still. `None`: ask [`Transaction::insert_unless_conflict`]. Errors: 23502.
    pub fn row_in_the_way(&self, layout: &TableLayout, row: &[Datum], arbiters: &[Oid]) -> Result<Option<Bytes>> {
        self.check_not_null(layout, row)?;
        let judges = |oid: Oid| arbiters.is_empty() || arbiters.contains(&oid);
        if self.isolation().keeps_snapshot() || layout.keyed_by_row_id() || !layout.key_index().is_some_and(|i| judges(i.oid)) {
            return Ok(None);
        }
        let (storage, mut key) = (layout.storage(), Vec::new());
        layout.encode_row_key(row, &mut key)?;
        if let Some(buffer) = &self.buffer
            && buffer.latest(storage.0, &key)?.is_some()
        {
            return Ok(None); // its own
        }
        let state = self.db.replication.state();
        let there = self.db.locks.handed_over(storage.0, &key).is_some()
            || state.read_newest(storage.0, &key, |_, row| row.is_some())?.unwrap_or(false);
        Ok(there.then(|| Bytes::from(key)))
    }

    /// ON CONFLICT: inserts a row unless one of the arbiter indexes (by OID; empty: every unique index) has its key. Other unique indexes
    /// still raise 23505. Errors besides those of [`Transaction::insert`]: 40001 under REPEATABLE READ when the conflicting row is not
    /// visible to the snapshot.
    pub async fn insert_unless_conflict(&mut self, layout: &TableLayout, row: &[Datum], arbiters: &[Oid]) -> Result<Inserted> {
        self.check_not_null(layout, row)?;
        let judges = |oid: Oid| arbiters.is_empty() || arbiters.contains(&oid);
        if let Some(index) = layout.key_index().filter(|i| judges(i.oid) && !layout.keyed_by_row_id()) {
            debug_assert!(index.unique);
            let mut key = Vec::new();
            layout.encode_row_key(row, &mut key)?;
            let before = self.locks_held();
            self.lock_unique(layout, layout.storage(), &key).await?;
            match self.present(layout.storage(), &key)? {
                Present::No => {}
                found => {
                    self.unlock_newest(layout.storage(), before);
                    return self.conflict(Bytes::from(key), &found);
                }
            }
        }
        let mut key = Vec::new();
        let full = layout.full(row)?;
        for index in layout.indexes().iter().filter(|i| i.unique() && judges(i.oid())) {
            if index.deferrable() {
                let name = &layout.table().indexes[index.position()].name;
                return Err(violation::deferrable_arbiter(layout, name));
            }
            key.clear();
            if index.encode_entry(&full, &[], &mut key)? != Entry::Unique {
                continue; // NULLs never conflict, nor do rows that a partial index leaves out
            }
            let before = self.locks_held();
            self.lock_unique(layout, index.storage(), &key).await?;
            match self.present(index.storage(), &key)? {
                Present::No => {}
                found => {
                    self.unlock_newest(index.storage(), before);
                    let (Present::Own(value) | Present::Earlier(value, _)) = &found else {
                        continue;
                    };
                    let row_key = Bytes::copy_from_slice(entry_row_key(value)?);
                    return self.conflict(row_key, &found);
                }
            }
        }
        Ok(Inserted::Row(self.insert(layout, row).await?))
    }

    fn conflict(&self, row_key: Bytes, found: &Present) -> Result<Inserted> {
        match found {
            Present::Earlier(_, Some(csn)) if self.isolation().keeps_snapshot() && self.snapshot().is_some_and(|s| *csn > s) => {
                Err(concurrent("update"))
            }
            _ => Ok(Inserted::Conflict {
                row_key,
                own: matches!(found, Present::Own(_)),
            }),
        }
    }

    /// Replaces a row that is locked (see [`TableLayout::update_strength`]); `old` are its bytes as [`Locked::Row`] gave them. Returns the
    /// row key, which changes with primary key columns. Errors as [`Transaction::insert`].
    pub async fn update(&mut self, layout: &TableLayout, row_key: &Bytes, old: &[u8], row: &[Datum]) -> Result<Bytes> {
        self.check_not_null(layout, row)?;
        let new_key = if layout.keyed_by_row_id() {
            row_key.clone()
        } else {
            let mut key = Vec::with_capacity(row_key.len());
            layout.encode_row_key(row, &mut key)?;
            if key == *row_key { row_key.clone() } else { Bytes::from(key) }
        };
        let moves = new_key != *row_key;
        if moves {
            self.lock_unique(layout, layout.storage(), &new_key).await?;
            if self.is_present(layout.storage(), &new_key)?
                && let Some(index) = layout.key_index()
            {
                return Err(violation::duplicate_key(layout, index, row, &self.io()));
            }
        }
        if !layout.indexes().is_empty() {
            let old = layout.decode_row(old)?;
            let (old, full) = (layout.full(&old)?, layout.full(row)?);
            let (mut before, mut after) = (Vec::new(), Vec::new());
            for index in layout.indexes() {
                before.clear();
                after.clear();
                let was = index.encode_entry(&old, row_key, &mut before)?;
                let is = index.encode_entry(&full, &new_key, &mut after)?;
                // While an index is being filled, an entry at this key may be another row's, with which this one collides.
                let unsure = moves && is == Entry::Unique && index.incomplete();
                if before != after || was != is || unsure {
                    self.remove_entry(layout, index, was, &before, row_key).await?;
                    self.insert_entry(layout, index, &full, &new_key).await?;
                } else if moves && is != Entry::None {
                    self.put(index.storage(), &after, Some(Bytes::from(entry_value(&new_key))));
                }
            }
        }
        if moves {
            self.put(layout.storage(), row_key, None);
        }
        self.write_row(layout, &new_key, row)?;
        self.relieve().await?;
        Ok(new_key)
    }

    /// Replaces columns of a row that is locked, each named once, of which no key, index or generated column is made; `old` are its bytes.
    /// Errors as [`Transaction::insert`].
    pub async fn update_columns(&mut self, layout: &TableLayout, row_key: &[u8], old: &[u8], values: Vec<(usize, Datum)>) -> Result<()> {
        let columns = &layout.table().columns;
        let mut bytes = Vec::with_capacity(old.len() + 16);
        let refused = values.iter().any(|(column, value)| columns[*column].not_null && value.is_null());
        if refused || !layout.row().replace(old, &values, &mut bytes)? {
            let mut row = layout.decode_row(old)?;
            for (column, value) in values {
                row[column] = value;
            }
            self.check_not_null(layout, &row)?;
            layout.encode_row(&row, &mut bytes)?;
        }
        self.put(layout.storage(), row_key, Some(Bytes::from(bytes)));
        self.relieve().await
    }

    /// Deletes a row that is locked at [`LockStrength::Update`]; `old` are its bytes.
    pub async fn delete(&mut self, layout: &TableLayout, row_key: &[u8], old: &[u8]) -> Result<()> {
        if !layout.indexes().is_empty() {
            let old = layout.decode_row(old)?;
            let old = layout.full(&old)?;
            let mut key = Vec::new();
            for index in layout.indexes() {
                key.clear();
                let was = index.encode_entry(&old, row_key, &mut key)?;
                self.remove_entry(layout, index, was, &key, row_key).await?;
            }
        }
        self.put(layout.storage(), row_key, None);
        self.relieve().await
    }

    /// Adds the entry of an existing row to an index that is being built. Errors: 23505 `could not create unique index`.
    pub async fn build_entry(&mut self, layout: &TableLayout, index: &IndexLayout, row: &[Datum], row_key: &[u8]) -> Result<()> {
        let mut key = Vec::new();
        let full = layout.full(row)?;
        let duplicated = match index.encode_entry(&full, row_key, &mut key)? {
            Entry::None => return Ok(()),
            Entry::Unique => self.is_present(index.storage(), &key)?,
            Entry::Shared => index.deferrable() && index.is_unique_of(&full) && self.has_equal(index, &full)?,
        };
        if duplicated {
            let index = &layout.table().indexes[index.position()];
            return Err(violation::duplicated_key(layout, index, row, &self.io()));
        }
        self.put(index.storage(), &key, Some(Bytes::from(entry_value(row_key))));
        self.relieve().await
    }

    /// Adds the entry of a row to an index that others keep meanwhile, once nobody changes the row. Takes row locks until the end of the
    /// transaction, and waits for none: what somebody else holds is returned. Errors: 23505 as [`Transaction::build_entry`].
    pub async fn build_entry_beside_others(&mut self, layout: &TableLayout, index: &IndexLayout, row_key: &[u8]) -> Result<Option<Held>> {
        let locked = self
            .lock_row(layout, row_key, LockStrength::Share, LockWait::SkipLocked, Seen::Newest)
            .await?;
        let row = match locked {
            Locked::Row(row) => layout.decode_row(&row)?,
            Locked::Skipped => return Ok(Some(Held::new(layout.storage(), row_key, LockStrength::Share))),
            _ => return Ok(None), // gone
        };
        let mut key = Vec::new();
        let full = layout.full(&row)?;
        match index.encode_entry(&full, row_key, &mut key)? {
            Entry::None => return Ok(None),
            Entry::Unique => {
                let (table, storage) = (layout.table().oid, index.storage());
                if !self
                    .lock_key(table, storage, &key, LockStrength::Update, LockWait::SkipLocked)
                    .await?
                {
                    return Ok(Some(Held::new(storage, &key, LockStrength::Update)));
                }
                if self.is_present(storage, &key)? {
                    if self.points_to(storage, &key, row_key)? {
                        return Ok(None);
                    }
                    let index = &layout.table().indexes[index.position()];
                    return Err(violation::duplicated_key(layout, index, &row, &self.io()));
                }
            }
            Entry::Shared if self.is_present(index.storage(), &key)? => return Ok(None),
            Entry::Shared => {}
        }
        self.put(index.storage(), &key, Some(Bytes::from(entry_value(row_key))));
        Ok(None)
    }

    /// Takes a lock that [`Transaction::build_entry_beside_others`] met, when it is free.
    pub async fn wait_for_held(&mut self, layout: &TableLayout, held: Held) -> Result<()> {
        self.lock_key(layout.table().oid, held.storage, &held.key, held.strength, LockWait::Block)
            .await
            .map(|_| ())
    }

    /// Whether the entry at a unique key is this row's.
    fn points_to(&self, storage: StorageId, key: &[u8], row_key: &[u8]) -> Result<bool> {
        match self.present(storage, key)? {
            Present::No => Ok(false),
            Present::Own(value) | Present::Earlier(value, _) => Ok(entry_row_key(&value)? == row_key),
        }
    }

    /// Writes a row into a table's storage that is being filled anew, without index entries. Errors: 23505 as for an index that is built.
    pub async fn build_row(&mut self, layout: &TableLayout, row: &[Datum]) -> Result<Bytes> {
        let row_key = self.new_row_key(layout, row)?;
        if let Some(index) = layout.key_index().filter(|_| !layout.keyed_by_row_id())
            && self.is_present(layout.storage(), &row_key)?
        {
            return Err(violation::duplicated_key(layout, index, row, &self.io()));
        }
        self.write_row(layout, &row_key, row)?;
        self.relieve().await?;
        Ok(row_key)
    }

    /// How values print in DETAIL.
    pub fn io(&self) -> IoContext {
        self.options.io.as_deref().cloned().unwrap_or_default()
    }

    fn check_not_null(&self, layout: &TableLayout, row: &[Datum]) -> Result<()> {
        for (i, column) in layout.table().columns.iter().enumerate() {
            if column.not_null && !column.dropped && row[i].is_null() {
                return Err(violation::null_value(layout, i, row, &self.io()));
            }
        }
        Ok(())
    }

    pub(crate) fn new_row_key(&self, layout: &TableLayout, row: &[Datum]) -> Result<Bytes> {
        if layout.keyed_by_row_id() {
            return Ok(Bytes::copy_from_slice(&encode_row_id(self.db.next_row_id(layout.storage())?)));
        }
        let mut key = Vec::with_capacity(16);
        layout.encode_row_key(row, &mut key)?;
        Ok(Bytes::from(key))
    }

    fn write_row(&mut self, layout: &TableLayout, row_key: &[u8], row: &[Datum]) -> Result<()> {
        let mut bytes = Vec::with_capacity(64);
        layout.encode_row(row, &mut bytes)?;
        self.put(layout.storage(), row_key, Some(Bytes::from(bytes)));
        Ok(())
    }

    async fn insert_entry(&mut self, layout: &TableLayout, index: &IndexLayout, full: &[Datum], row_key: &[u8]) -> Result<()> {
        let mut key = Vec::with_capacity(32);
        match index.encode_entry(full, row_key, &mut key)? {
            Entry::None => return Ok(()),
            Entry::Unique => {
                self.lock_unique(layout, index.storage(), &key).await?;
                if self.is_present(index.storage(), &key)? {
                    let index = &layout.table().indexes[index.position()];
                    return Err(violation::duplicate_key(layout, index, full, &self.io()));
                }
            }
            Entry::Shared if index.deferrable() && index.is_unique_of(full) => {
                let mut value = Vec::with_capacity(32);
                index.encode_key(full, &mut value)?;
                self.lock_unique(layout, index.storage(), &value).await?;
                if self.has_equal(index, full)? {
                    self.check_later_unique(layout, index, value)?;
                }
            }
            Entry::Shared => {}
        }
        self.put(index.storage(), &key, Some(Bytes::from(entry_value(row_key))));
        Ok(())
    }

    async fn remove_entry(&mut self, layout: &TableLayout, index: &IndexLayout, was: Entry, key: &[u8], row_key: &[u8]) -> Result<()> {
        match was {
            Entry::None => return Ok(()),
            Entry::Unique => {
                self.lock_unique(layout, index.storage(), key).await?;
                if index.incomplete() && !self.points_to(index.storage(), key, row_key)? {
                    return Ok(()); // another row's, of which nobody has told yet that it is one too many
                }
            }
            Entry::Shared => {}
        }
        self.put(index.storage(), key, None);
        Ok(())
    }

    /// Whether an index has an entry of the same key values.
    fn has_equal(&self, index: &IndexLayout, full: &[Datum]) -> Result<bool> {
        let mut value = Vec::with_capacity(32);
        index.encode_key(full, &mut value)?;
        Ok(!self.entries_of(index.storage(), &value, 1)?.is_empty())
    }

    /// The row keys of up to `limit` entries whose key values are these, as everybody's newest writes have them.
    pub(crate) fn entries_of(&self, storage: StorageId, value: &[u8], limit: usize) -> Result<Vec<Bytes>> {
        let mut scan = self.newest_view().scan(storage, &KeyRange::prefix(value), Direction::Forward);
        let mut out = Vec::new();
        while out.len() < limit
            && let Some((_, entry)) = scan.next()?
        {
            out.push(Bytes::copy_from_slice(entry_row_key(entry)?));
        }
        Ok(out)
    }

    /// Waits for whoever may insert or remove this unique key.
    async fn lock_unique(&mut self, layout: &TableLayout, storage: StorageId, key: &[u8]) -> Result<()> {
        self.lock_key(layout.table().oid, storage, key, LockStrength::Update, LockWait::Block)
            .await
            .map(|_| ())
    }

    pub(crate) fn is_present(&self, storage: StorageId, key: &[u8]) -> Result<bool> {
        if let Some(buffer) = &self.buffer
            && let Some((_, value)) = buffer.latest(storage.0, key)?
        {
            return Ok(value.is_some());
        }
        if self.is_fresh(storage) {
            return Ok(false);
        }
        let read = |csn, row: Option<&[u8]>| row.map(|_| csn);
        let found = self.db.replication.state().read_newest(storage.0, key, read)?.flatten();
        if self.snapshot().is_some_and(|snapshot| found.is_some_and(|csn| csn > snapshot)) {
            // It is no error of the client's if all that it had read said that the key is free.
            self.check_reads()?;
        }
        self.note_read(storage, key);
        Ok(found.is_some())
    }

    /// A result depends on the newest row at this key, or on there being none.
    fn note_read(&self, storage: StorageId, key: &[u8]) {
        if let Some(reads) = self.reads() {
            reads.read_newest(storage.0, key);
        }
    }

    fn present(&self, storage: StorageId, key: &[u8]) -> Result<Present> {
        if let Some(buffer) = &self.buffer
            && let Some((seq, value)) = buffer.latest(storage.0, key)?
        {
            return Ok(match value {
                None => Present::No,
                Some(row) if seq >= self.statement_seq() => Present::Own(row),
                Some(row) => Present::Earlier(row, None),
            });
        }
        self.note_read(storage, key);
        let read = |csn, row: Option<&[u8]>| row.map(|r| Present::Earlier(Bytes::copy_from_slice(r), Some(csn)));
        Ok(self
            .db
            .replication
            .state()
            .read_newest(storage.0, key, read)?
            .flatten()
            .unwrap_or(Present::No))
    }
}

impl TableLayout {
    /// The lock that an UPDATE of these columns (indexes into `Table::columns`) needs.
    pub fn update_strength(&self, assigned: &[usize]) -> LockStrength {
        if self.plain_unique_columns().any(|k| assigned.contains(&k)) {
            LockStrength::Update
        } else {
            LockStrength::NoKeyUpdate
        }
    }

    /// Columns of unique indexes that a foreign key could refer to.
    pub fn plain_unique_columns(&self) -> impl Iterator<Item = usize> + '_ {
        let unique = self.table().indexes.iter().filter(|i| i.is_plain_unique());
        unique.flat_map(|i| i.columns())
    }
}
