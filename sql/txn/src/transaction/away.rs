//! Transactions that read away from the consul's locks: on a server that follows, or as of the past. They write nothing.
//!
//! ```text
//!   follower   applied ...──c1──────c2───►           c: the catalog changed
//!   snapshot ───────────────────S                    the catalog in force is that of c1, whatever is published by then
//! ```
//!
//! Nobody holds locks for them: the catalog may change at any time, as the log brings it. So each snapshot comes with the catalog of its
//! CSN, and the two stay together. What keeps rows readable is the snapshot in the session's slot, as anywhere else.

use super::{Isolation, Options, Transaction};
use crate::database::Database;
use crate::replication::office_lost;
use crate::slot::SessionSlot;
use crate::transaction::proof::Proof;
use curia_catalog::Catalog;
use curia_consensus::ids::Csn;
use curia_types::{Result, SqlError, SqlState};
use std::sync::Arc;

const TOO_OLD: SqlState = SqlState::new("72000");

/// What a transaction that is away reads by.
pub(crate) struct Away {
    /// The catalog of the snapshot's CSN.
    catalog: Arc<Catalog>,
    /// The snapshot is one that was asked for, and the only one.
    past: bool,
}

impl Database {
    /// Begins a transaction that only reads, on any server that has the state. Every statement calls [`Transaction::stand`] first.
    pub fn begin_away(self: &Arc<Self>, slot: &Arc<SessionSlot>, options: Options) -> Transaction {
        let mut transaction = self.begin(slot, options);
        transaction.go_away();
        transaction
    }

    /// The catalog of a CSN that is applied here; `None` when it changed after that.
    fn catalog_of(&self, csn: Csn) -> Result<Option<Arc<Catalog>>> {
        loop {
            let (read_at, catalog) = self.followed();
            // Asked last: whatever is in that catalog is at or below the answer.
            let changed = self.replication.catalog_changed();
            if changed > csn {
                return Ok(None);
            }
            if changed <= read_at {
                return Ok(Some(catalog));
            }
            if !self.replication.readable() {
                return Err(unreadable());
            }
            if self.serves() {
                return Err(office_lost()); // from here on this server publishes catalogs under locks
            }
            self.follow()?;
        }
    }
}

impl Transaction {
    fn go_away(&mut self) {
        self.away = Some(Away {
            catalog: self.db.catalog(),
            past: false,
        });
        self.options.read_only = true;
        self.proof = Proof::Given;
    }

    pub(super) fn away_catalog(&self) -> Option<&Arc<Catalog>> {
        self.away.as_ref().map(|away| &away.catalog)
    }

    /// Whether it reads away from the consul's locks.
    pub fn is_away(&self) -> bool {
        self.away.is_some()
    }

    /// Takes the snapshot that the next statement reads, where it needs one: the newest that this server has. For transactions that are
    /// away; whoever wants it to be fresh has waited for that ([`crate::Replication::reach`]).
    ///
    /// # Errors
    /// 57P03 while snapshots of other servers are being installed, 40001 when the state changed its ground meanwhile.
    pub fn stand(&mut self) -> Result<()> {
        if !self.needs_ground() {
            return Ok(());
        }
        loop {
            let replacements = self.readable()?;
            let csn = self.slot.take_snapshot(&self.db.snapshots, false, || self.db.replication.applied());
            if let Some(catalog) = self.db.catalog_of(csn)? {
                return self.take_ground(csn, replacements, Away { catalog, past: false });
            }
        }
    }

    /// Whether the next statement takes a snapshot of its own with [`Transaction::stand`].
    pub fn needs_ground(&self) -> bool {
        let again = self.snapshot.is_none() || self.options.isolation == Isolation::ReadCommitted;
        self.away.as_ref().is_some_and(|away| again && !away.past)
    }

    /// Makes this CSN the snapshot of the whole transaction, which is READ ONLY from now on.
    ///
    /// # Errors
    /// 25001 after its first statement, 22023 for a CSN that is not applied here, 72000 for one of which not everything is there any more.
    pub fn stand_at(&mut self, csn: Csn) -> Result<()> {
        if self.snapshot.is_some() || self.has_writes() {
            return Err(SqlError::new(
                SqlState::ACTIVE_SQL_TRANSACTION,
                "AS OF SYSTEM TIME must be set before any query",
            ));
        }
        let replacements = self.readable()?;
        if csn > self.db.replication.applied() {
            return Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("commit sequence number {csn} has not been applied here"),
            ));
        }
        self.slot.hold_snapshot(csn);
        let horizon = self.db.horizon();
        if csn < horizon {
            self.slot.drop_snapshot();
            return Err(snapshot_too_old(horizon));
        }
        let catalog = self.db.past_catalog(csn)?;
        self.go_away();
        self.take_ground(csn, replacements, Away { catalog, past: true })
    }

    fn take_ground(&mut self, csn: Csn, replacements: u64, away: Away) -> Result<()> {
        if self.db.replication.state().replacements() != replacements {
            return Err(unreadable());
        }
        self.snapshot = Some(csn);
        self.replacements = replacements;
        self.away = Some(away);
        Ok(())
    }

    fn readable(&self) -> Result<u64> {
        let replacements = self.db.replication.state().replacements();
        // After a crash the state may be behind what was collected, until the log has caught up.
        match self.db.replication.readable() && self.db.replication.applied() >= self.db.horizon() {
            true => Ok(replacements),
            false => Err(unreadable()),
        }
    }
}

/// 57P03
pub(crate) fn unreadable() -> SqlError {
    SqlError::new(
        SqlState::CANNOT_CONNECT_NOW,
        "this server is receiving the state from another server and cannot be read now",
    )
    .hint("Try again, or read on another server.")
}

/// 72000 of a past that was asked for.
pub fn snapshot_too_old(horizon: Csn) -> SqlError {
    SqlError::new(TOO_OLD, "snapshot too old")
        .detail(format!(
            "What was there before commit sequence number {horizon} is not kept any more."
        ))
        .hint("The option --retention of curia start says how long it is kept.")
}

/// 72000 of a transaction that has read one state for too long.
pub(crate) fn outlived(snapshot: Csn) -> SqlError {
    SqlError::new(TOO_OLD, "snapshot too old")
        .detail(format!(
            "Rows as they were at commit sequence number {snapshot} are not kept any more."
        ))
        .hint("The option --max-snapshot-age of curia start says for how long a transaction may read one state: run it again.")
}
