//! Running a message again by itself when its transaction could not be serialized (40001).
//!
//! ```text
//!   message(s) of an implicit transaction ── 40001 ──▶ has anything of it left the server, or did it what cannot be undone?
//!                                                        no:  wait a little, run all of it again
//!                                                        yes: the client is told
//! ```
//!
//! A client can do no better: it sent everything that the transaction consists of, and has seen nothing. So this holds for a single
//! statement, a string of several, and a pipeline up to its Sync, of a session whose transactions are REPEATABLE READ or SERIALIZABLE.
//! Within BEGIN .. COMMIT the client may have decided by what it saw, and retries itself. To the client all tries are one: `now()` stays,
//! and `statement_timeout` and a cancel hold over all of them.
//!
//! Who serves the connection keeps the messages and what they answered; here is what only the session knows.

use crate::block::State;
use crate::output::{Output, Stop};
use crate::session::Session;
use curia_parse::Statement;
use curia_types::{Result, SqlError, SqlState};
use std::time::Duration;

/// How often a transaction is run again by itself; then the client gets the last error.
const RETRIES_MAX: u32 = 20;
/// Longest pause before the first retry; it doubles with each, up to [`PAUSE_MAX`].
const PAUSE_FIRST: Duration = Duration::from_micros(200);
const PAUSE_MAX: Duration = Duration::from_millis(20);

/// What is known of the implicit transaction under way.
#[derive(Default)]
pub(crate) struct Again {
    /// All that ran so far goes away with the transaction.
    repeatable: bool,
    /// How often it has begun again.
    pub(crate) tries: u32,
}

impl Session {
    /// A message comes that may begin an implicit transaction. Whether it may be run again, so that messages are worth keeping.
    pub fn may_run_again(&mut self) -> bool {
        self.again = Again::default();
        if self.block.state != State::Idle {
            return false;
        }
        if self.environment.generation_moved(&self.shared) {
            let catalog = self.shared.database.catalog();
            self.refresh_environment(&catalog);
        }
        self.again.repeatable = self.environment.keeps_snapshot;
        self.again.repeatable
    }

    /// Whether all that ran since [`Session::may_run_again`] can be run again after this error.
    pub fn runs_again(&self, error: &SqlError) -> bool {
        error.code() == SqlState::SERIALIZATION_FAILURE
            && self.again.repeatable
            && self.again.tries < RETRIES_MAX
            && !self.block.is_explicit()
    }

    /// Undoes what ran and waits a little: for the others, and so that two that fail each other part.
    ///
    /// # Errors
    /// `statement_timeout` or a cancel ended the wait.
    pub async fn run_again<O: Output>(&mut self, out: &mut O) -> Result<(), Stop> {
        self.fail();
        self.again.tries += 1;
        self.shared.database.count_retry();
        let longest = PAUSE_MAX.min(PAUSE_FIRST * 2u32.saturating_pow(self.again.tries - 1));
        // Sessions and tries take different parts of it.
        let part = (self.process().unsigned_abs().wrapping_add(self.again.tries)).wrapping_mul(0x9e37_79b1) >> 24;
        let pause = longest / 4 + longest * part / 341;
        let waits = self.waits.clone();
        waits
            .run(out, async {
                tokio::time::sleep(pause).await;
                Ok(())
            })
            .await
    }

    /// The transaction has an outcome that its client gets.
    pub fn ran_for_good(&mut self) {
        self.again = Again::default();
    }

    /// Forgets a prepared statement that the message which made it will make again.
    pub fn forget_statement(&mut self, name: &str) {
        self.statements.remove(name);
    }

    /// A statement that is no query is about to run.
    pub(crate) fn note_utility(&mut self, statement: &Statement) {
        let goes_away = matches!(
            statement,
            Statement::Set(_) | Statement::Show(_) | Statement::Execute(_) | Statement::Explain(_)
        );
        self.again.repeatable &= goes_away;
    }
}
