//! The lock table of the consul: row, unique-key, name, table and advisory locks, with fair waits and immediate deadlock detection.
//!
//! - [`mode`]: strengths and modes, and what conflicts with what.
//! - [`table`]: who holds and who waits, in shards.
//! - [`deadlock`]: who waits for whom; a wait that would close a cycle is refused at once with 40P01.
//! - [`listing`]: what `pg_locks` shows of it.
//! - [`weak`]: the fast path of the table locks that ordinary statements take.
//!
//! Locks live in memory only: they end with their transaction, or session, and a new consul starts with none. What was taken since a savepoint
//! goes when that is rolled back to, as in PostgreSQL.

pub mod deadlock;
pub mod listing;
pub mod mode;
pub mod table;
pub mod weak;

pub use mode::{LockStrength, LockWait, TableLock};
pub(crate) use table::{Acquire, LockKey, LockTable, Mode, Owner};
