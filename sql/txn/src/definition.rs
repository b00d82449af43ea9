//! What DDL needs beside row operations: identifiers and the generations of sequences.

use crate::transaction::Transaction;
use curia_catalog::{Oid, Sequence};
use curia_types::Result;

impl Transaction {
    /// Draws an OID.
    pub fn new_oid(&self) -> Result<Oid> {
        self.database().next_oid()
    }

    /// Sets the first value of a sequence's fresh generation (RESTART).
    pub fn start_sequence_at(&mut self, sequence: &Sequence, next: i64) -> Result<()> {
        self.database().restart_sequence(self.slot(), sequence, next)
    }

    /// The value that `nextval` would give, without drawing it.
    pub fn sequence_next(&mut self, sequence: &Sequence) -> Result<i64> {
        self.database().upcoming_value(sequence)
    }
}
