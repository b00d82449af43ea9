//! Proof of office for what is read on the consul.
//!
//! ```text
//!   statements ──► waiting ──► one question to the node ──► a round that a quorum echoes ──► all of them answered
//!                     ▲                                                                          │
//!                     └────────── what came meanwhile shares the next question ◄─────────────────┘
//! ```
//!
//! A statement takes its snapshot, asks, runs, and answers its client when it has the proof: the round left after the statement came, so
//! nobody else was consul before that. Alone, and under a lease, nobody asks ([`curia_txn::Replication::prove_office`]).

use curia_consensus::ids::{Csn, Term};
use curia_consensus::{ReadError, ReadLevel};
use curia_txn::{ProofSender, office_lost};
use curia_types::{Result, SqlError, SqlState};

use crate::engine::Engine;

/// Statements that wait for proof. No more than there are sessions.
#[derive(Default)]
pub(crate) struct Proofs {
    waiting: Vec<(Term, ProofSender)>,
    /// The question under way, by its number among reads, and who shares it.
    asked: Option<u64>,
    sharing: Vec<(Term, ProofSender)>,
}

impl Engine {
    /// A statement that read in this term wants proof.
    pub(crate) fn prove(&mut self, term: Term, sender: ProofSender) {
        if term == self.term {
            self.proofs.waiting.push((term, sender));
        } else {
            let _ = sender.send(Err(office_lost())); // who no longer waits needs no answer
        }
    }

    /// Asks for those who wait, unless a question is under way.
    pub(crate) fn ask_proof(&mut self) {
        if self.proofs.asked.is_none() && !self.proofs.waiting.is_empty() {
            self.last_read += 1;
            self.proofs.asked = Some(self.last_read);
            std::mem::swap(&mut self.proofs.waiting, &mut self.proofs.sharing);
            self.node.read(self.last_read, ReadLevel::Strict);
        }
    }

    /// Whether this read was the question for proof, which is answered then.
    pub(crate) fn proven(&mut self, id: u64, outcome: std::result::Result<Csn, ReadError>) -> bool {
        if self.proofs.asked != Some(id) {
            return false;
        }
        self.proofs.asked = None;
        for (term, sender) in self.proofs.sharing.drain(..) {
            let answer = match outcome {
                Ok(_) if term != self.term => Err(office_lost()),
                Ok(_) => Ok(()),
                Err(error) => Err(refusal(error)),
            };
            let _ = sender.send(answer);
        }
        true
    }

    /// The office is lost: nothing that was read in it can be proven any more.
    pub(crate) fn deny_proofs(&mut self) {
        self.proofs.asked = None;
        let Proofs { waiting, sharing, .. } = &mut self.proofs;
        for (_, sender) in waiting.drain(..).chain(sharing.drain(..)) {
            let _ = sender.send(Err(office_lost()));
        }
    }
}

/// What a client is told of a read that can't be done.
pub(crate) fn refusal(error: ReadError) -> SqlError {
    match error {
        ReadError::NoConsul => SqlError::new(
            SqlState::SERIALIZATION_FAILURE,
            "could not read: no consul confirmed its office in time",
        )
        .hint("Without a majority of its servers a cluster neither reads nor writes: see curia status."),
        ReadError::Late => SqlError::new(
            SqlState::SERIALIZATION_FAILURE,
            "could not read: this server is too far behind the consul",
        ),
        ReadError::Full => SqlError::new(SqlState::CONFIGURATION_LIMIT_EXCEEDED, "too many reads wait"),
        ReadError::NoState => SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "this server stores logs and cannot be read"),
    }
}

/// [`refusal`], within an answer.
pub(crate) fn answered(outcome: std::result::Result<Csn, ReadError>) -> Result<()> {
    outcome.map(|_| ()).map_err(refusal)
}
