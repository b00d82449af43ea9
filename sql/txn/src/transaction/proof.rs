//! When what a transaction has read may be answered (DESIGN 3.6).
//!
//! A server may have lost its office without having noticed. So a statement that read on the consul is answered once a quorum has said,
//! after the statement came, that this server was still consul of the term in which the transaction began: nothing was acknowledged
//! elsewhere before that. Once a snapshot is enough.
//!
//! ```text
//!   start_statement ── ask_proof ──► the statement runs ──► prove ──► rows leave
//!                          └── shared with others, on its way meanwhile ──┘
//! ```
//!
//! **A commit is a proof.** Writes commit only in the term in which their transaction began, on a quorum, after everything that it
//! read. A transaction that has written asks for nothing further: what it reads from then on is proven by its end, and is void when
//! that fails. One that commits nothing proves its last snapshot at its end at the latest; so does one that has written, was answered
//! without proof, and rolls back ([`Transaction::owes_proof`]). So whoever was given rows knows that they were true once the transaction has
//! ended with anything but 40001 or 08007, and nobody pays for a round in the middle of a transaction that goes through the log anyway.

use super::Transaction;
use crate::database::Database;
use crate::replication::ProofTicket;
use curia_types::Result;

/// Whether the office is proven for the snapshot in use.
#[derive(Debug)]
pub(crate) enum Proof {
    Due,
    Asked(ProofTicket),
    Given,
}

impl Database {
    /// Waits for the proof that this server is consul still: for what was read outside of a transaction.
    ///
    /// # Errors
    /// As [`Transaction::prove`].
    pub async fn prove_office(&self) -> Result<()> {
        let term = self.tenure.load().term;
        match self.replication.prove_office(term) {
            None => Ok(()),
            Some(ticket) => ticket.await,
        }
    }
}

impl Transaction {
    /// Asks for the proof that the running statement needs, without waiting.
    pub fn ask_proof(&mut self) {
        if matches!(self.proof, Proof::Due) {
            self.proof = match self.db.replication.prove_office(self.begun) {
                None => Proof::Given,
                Some(ticket) => Proof::Asked(ticket),
            };
        }
    }

    /// Whether what was read may be answered without [`Transaction::prove`].
    pub fn is_proven(&self) -> bool {
        matches!(self.proof, Proof::Given)
    }

    /// What was read is answered now, its proof comes with the end.
    pub fn answer_unproven(&mut self) {
        self.owes_proof = true;
    }

    /// Whether something was answered that nothing has proven yet: to be asked before a rollback.
    pub fn owes_proof(&self) -> bool {
        self.owes_proof && !self.is_proven()
    }

    /// [`Transaction::prove`] for what was read since the last proof, such as the catalog.
    ///
    /// # Errors
    /// As [`Transaction::prove`].
    pub async fn prove_again(&mut self) -> Result<()> {
        if !self.is_away() && self.is_proven() {
            self.proof = Proof::Due;
        }
        self.prove().await
    }

    /// Waits until what was read may be answered. May be dropped while it waits.
    ///
    /// # Errors
    /// 40001: the office is lost, what was read may be old. 57P01: the server stops.
    pub async fn prove(&mut self) -> Result<()> {
        self.ask_proof();
        if let Proof::Asked(ticket) = &mut self.proof {
            let outcome = ticket.await;
            self.proof = match outcome {
                Ok(()) => Proof::Given,
                Err(_) => Proof::Due,
            };
            self.owes_proof &= outcome.is_err();
            return outcome;
        }
        Ok(())
    }
}
