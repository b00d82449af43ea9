//! Advisory locks of a transaction (`pg_advisory_xact_lock` and its kin): numbers that mean what the application says, held to the end of
//! the transaction. Session-level advisory locks are not here: a lock's owner is a transaction.

use crate::lock::table::ADVISORY;
use crate::lock::{LockStrength, LockWait};
use crate::transaction::Transaction;
use curia_types::Result;

impl Transaction {
    /// Locks a number, shared or exclusively. False: somebody else holds it and `wait` is not [`LockWait::Block`]. Errors: 40P01, 55P03 on
    /// `lock_timeout`.
    pub async fn advisory_lock(&mut self, number: i64, shared: bool, wait: LockWait) -> Result<bool> {
        let strength = if shared { LockStrength::Share } else { LockStrength::Update };
        self.lock(ADVISORY, &number.to_be_bytes(), strength.into(), wait).await
    }
}
