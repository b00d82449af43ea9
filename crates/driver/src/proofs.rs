//! Proof of office for what is read on the consul.
//!
//! ```text
//!   statements ──► waiting ──► a question to the node, with all that came since the last ──► a round that a quorum echoes ──► answered
//! ```
//!
//! A statement takes its snapshot, asks, runs, and answers its client when it has the proof: the round left after the statement came, so
//! nobody else was consul before that. Which round that is the node decides: one that leaves anyway, or one for reads alone. Several
//! questions may be under way. Alone, and under a lease, nobody asks ([`curia_txn::Replication::prove_office`]).

use std::collections::VecDeque;

use curia_consensus::ids::{Csn, Term};
use curia_consensus::{ReadError, ReadLevel};
use curia_txn::{ProofSender, office_lost};
use curia_types::{Result, SqlError, SqlState};

use crate::engine::Engine;
use crate::measure;

/// Statements that wait for proof. No more than there are sessions.
#[derive(Default)]
pub(crate) struct Proofs {
    waiting: Vec<Waiting>,
    /// The questions under way, by their numbers among reads, ascending, and who shares each.
    asked: VecDeque<(u64, Vec<Waiting>)>,
}

/// The term in which something was read, and whom to tell.
type Waiting = (Term, ProofSender);

impl Proofs {
    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len() + self.asked.iter().map(|(_, sharing)| sharing.len()).sum::<usize>()
    }
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

    /// Asks for those who wait.
    pub(crate) fn ask_proof(&mut self) {
        if !self.proofs.waiting.is_empty() {
            let sharing = std::mem::take(&mut self.proofs.waiting);
            measure::proofs_asked(sharing.len());
            self.last_read += 1;
            self.proofs.asked.push_back((self.last_read, sharing));
            self.node.read(self.last_read, ReadLevel::Strict);
        }
    }

    /// Whether this read was a question for proof, which is answered then.
    pub(crate) fn proven(&mut self, id: u64, outcome: std::result::Result<Csn, ReadError>) -> bool {
        let Ok(at) = self.proofs.asked.binary_search_by_key(&id, |(asked, _)| *asked) else {
            return false;
        };
        for (term, sender) in self.proofs.asked.remove(at).into_iter().flat_map(|(_, sharing)| sharing) {
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
        let Proofs { waiting, asked } = &mut self.proofs;
        for (_, sender) in waiting.drain(..).chain(asked.drain(..).flat_map(|(_, sharing)| sharing)) {
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
