//! What the database keeps in memory for as long as this server is consul, and no longer.
//!
//! Counters and sequences give numbers ahead of what is stored; hidden row ids go on from what was stored last; the published
//! catalog is changed by those who commit here. Another consul knows nothing of all that and goes on from the state, so whoever
//! takes office does the same:
//!
//! ```text
//!   consul of term 3          another consul            consul of term 9
//!   counters, catalog ──lost──► (nothing is given) ────► made anew from the state at the cut
//!        └── a transaction of term 3 that commits now: 40001, its locks and its numbers are of another time
//! ```

use crate::bootstrap::{self, FIRST_USER_STORAGE};
use crate::counter::Counter;
use crate::database::{Database, load, write_changes};
use crate::outcome::{FIRST, TERM_GAP, TXIDS};
use crate::prepared::PreparedTransactions;
use crate::replication::{FragmentWrites, Replication, WriteSet};
use crate::sequence::Sequences;
use crate::serial::RecentCommits;
use crate::transaction::unreadable;
use bytes::Bytes;
use curia_catalog::{FIRST_USER_OID, StorageId};
use curia_consensus::ids::{GroupId, Term};
use curia_storage::fragment::FragmentWriter;
use curia_types::Result;
use hashbrown::HashMap;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

/// One time in office.
pub(crate) struct Tenure {
    /// The consul's term; zero before the first.
    pub(crate) term: Term,
    pub(crate) oids: Counter,
    pub(crate) storages: Counter,
    pub(crate) txids: Counter,
    pub(crate) sequences: Sequences,
    pub(crate) recent: Arc<RecentCommits>,
    pub(crate) row_ids: Mutex<HashMap<StorageId, Arc<AtomicI64>>>,
    pub(crate) prepared: PreparedTransactions,
}

impl Tenure {
    /// Goes on from what the state says.
    pub(crate) fn new(replication: &dyn Replication, term: Term) -> Result<Tenure> {
        Ok(Tenure {
            term,
            oids: Counter::open(replication, term, b"oid", u64::from(FIRST_USER_OID), 256)?,
            storages: Counter::open(replication, term, b"storage", u64::from(FIRST_USER_STORAGE), 256)?,
            txids: Counter::beyond(replication, term, b"txid", FIRST, TXIDS, TERM_GAP)?,
            sequences: Sequences::new(term),
            recent: Arc::default(),
            row_ids: Mutex::default(),
            prepared: PreparedTransactions::default(),
        })
    }
}

impl Database {
    /// Whether this server is consul and the database has taken notice: transactions may begin.
    pub fn serves(&self) -> bool {
        let office = self.replication.office();
        office != Term::ZERO && office == self.tenure.load().term
    }

    /// Makes ready to serve, if this server is consul in a term that the database has not served yet: makes the first objects of a fresh
    /// database, and goes on from what the state says. Whether it serves now.
    ///
    /// # Errors
    /// The office was lost meanwhile, or the state can't be read.
    pub async fn take_office(self: &Arc<Self>) -> Result<bool> {
        let term = self.replication.office();
        if term == Term::ZERO || self.serves() {
            return Ok(self.serves());
        }
        if load(&*self.replication, self.replication.applied())?.schemas.is_empty() {
            let mut writer = FragmentWriter::new();
            write_changes(&bootstrap::objects(), &mut writer)?;
            let fragment = FragmentWrites {
                group: GroupId(0),
                stages: Vec::new(),
                payload: Bytes::from(writer.finish()),
            };
            let writes = WriteSet {
                begun: Some(term),
                after: Vec::new(),
                fragments: vec![fragment],
            };
            self.replication.commit(writes).await?;
        }
        let _order = self.publishing.lock();
        self.republish()?;
        let tenure = Tenure::new(&*self.replication, term)?;
        self.retake_prepared(&tenure)?;
        self.tenure.store(Arc::new(tenure));
        Ok(self.serves())
    }

    /// Publishes the catalog as the state has it, on a server that follows and is behind. Costs two atomic loads where it isn't.
    ///
    /// # Errors
    /// The state can't be read.
    pub fn follow(&self) -> Result<()> {
        let behind = || self.replication.catalog_changed() > self.followed().0;
        // On the consul those who commit publish.
        if !behind() || self.serves() || !self.replication.readable() || self.replication.applied() < self.horizon() {
            return Ok(());
        }
        let _order = self.publishing.lock();
        match behind() {
            true => self.republish(),
            false => Ok(()),
        }
    }

    fn republish(&self) -> Result<()> {
        let replacements = self.replication.state().replacements();
        let read_at = self.replication.applied();
        let catalog = load(&*self.replication, read_at);
        if self.replication.state().replacements() != replacements {
            return Err(unreadable()); // what was read is of no one state
        }
        let mut catalog = catalog?;
        catalog.version = self.catalog_version() + 1;
        self.set_catalog(catalog, read_at);
        Ok(())
    }
}
