//! Transactions over the replicated state: MVCC at commit sequence numbers, locks, buffered writes, commit.
//!
//! ```text
//!  session ──begin──▶ Transaction ── view(), read_view() ──▶ state at the snapshot's CSN, own writes laid over
//!                       │  rows: lock, check, maintain indexes ──▶ WriteBuffer (──▶ Spill, stage records, when large)
//!                       │  locks: rows, unique keys, names, tables   (consul's lock table, in memory)
//!                       ▼
//!                     commit ──▶ WriteSet: a fragment a group ──Replication──▶ CSN, applied ──▶ catalog published, locks released
//! ```
//!
//! - [`replication`]: [`Replication`], what is seen of the cluster.
//! - [`database`]: [`Database`], what all sessions share: locks, the published catalog, sequences, counters, snapshots.
//! - [`transaction`]: [`Transaction`]; [`rows`]: its row operations; [`layout`]: how a table's rows and index entries become keys and bytes.
//! - [`progress`]: index builds under way.
//! - [`pending`]: checks that wait for the end of a statement or transaction.
//! - [`view`]: [`ReadView`] and [`View`], what one statement reads.
//! - [`serial`]: what SERIALIZABLE adds.
//! - [`lock`]: the lock table.
//! - `prepared`: transactions that outlive their session; `outcome`, `idempotency`: what clients can learn of commits that they lost.
//! - [`slot`]: [`SessionSlot`], what one session shares; `export`: snapshots that others may read.
//! - [`tenure`]: what is in memory only while this server is consul.
//!
//! **Invariants.** A snapshot is at or below the applied CSN, and at or above the garbage horizon where anything is read at it. A writer holds the table's ROW EXCLUSIVE
//! lock and the row's lock; locks are released after the writes are applied and the catalog is published, never before. Whatever changes
//! who can find a row by a unique key holds that key's lock. Links neither DataFusion nor the driver.

mod advisory;
pub mod bootstrap;
mod buffer;
mod commit;
mod counter;
pub mod database;
mod definition;
mod export;
mod idempotency;
pub mod layout;
pub mod lock;
mod orphan;
mod outcome;
pub mod pending;
mod prepared;
pub mod progress;
pub mod replication;
mod row_id;
pub mod rows;
mod sequence;
mod serial;
pub mod slot;
mod spill;
mod stage;
mod tend;
mod tenure;
pub mod transaction;
pub mod view;
pub mod violation;

pub use advisory::{AdvisoryKey, AdvisoryMode, AdvisoryScope};
pub use curia_storage::state::{Direction, KeyRange};
pub use database::{Database, Limits};
pub use idempotency::{KEY_BYTES_MAX, ROW_BYTES_MAX, STEPS_MAX, Step};
pub use layout::{Computed, IndexLayout, TableLayout};
pub use lock::listing::{ListedLock, LockTarget, VirtualTransaction};
pub use lock::{LockStrength, LockWait, TableLock};
pub use outcome::Outcome;
pub use pending::{Check, CheckKind, Deferral};
pub use prepared::{Decision, PreparedTransaction};
pub use progress::{Build, BuildPhase, ShownBuild};
pub use replication::{
    CommitSender, CommitTicket, FragmentWrites, ProofSender, ProofTicket, Replication, StageRef, StageSender, StageTicket, WriteSet,
    office_lost, undone,
};
pub use rows::{Held, Inserted, Locked, Seen};
pub use slot::SessionSlot;
pub use transaction::{Committed, Isolation, Options, Transaction, give_way, snapshot_too_old};
pub use view::{ReadView, View, ViewScan};
