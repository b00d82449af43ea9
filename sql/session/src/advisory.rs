//! Advisory lock functions in statements.
//!
//! An expression cannot wait, as it may be computed on the thread that other sessions need. So a function that has to wait for its lock
//! fails, the statement is undone, waits for the lock outside of any expression and runs again:
//!
//! ```text
//!   run ── pg_advisory_lock(1) granted ── pg_advisory_lock(2) is held by another ── undo ── wait for 2 ──┐
//!   run ◄───────────────────────────────────────────────────────────────────────────────────────────────┘
//!       ── lock(1): answered from the journal ── lock(2): answered from the journal ── ...
//! ```
//!
//! The journal has what the earlier runs did, so that nothing is locked or given back twice. A query that calls a waiting function is
//! computed to its end before the first row leaves. Where a statement cannot run again (COPY TO, EXPLAIN ANALYZE), a lock that is not
//! free is refused with 0A000.

use crate::context::{Shared, read_only};
use crate::notice::Notice;
use curia_txn::{AdvisoryKey, AdvisoryMode, AdvisoryScope};
use curia_types::{Datum, Result, SqlError, SqlState};

/// `pg_advisory_unlock_all`
const UNLOCK_ALL: u32 = 2892;

/// Functions that may wait: `pg_proc.oid`.
pub(crate) const WAITING: [u32; 8] = [2880, 2881, 2886, 2887, 3089, 3090, 3093, 3094];

/// A call of an advisory lock function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    what: What,
    pub(crate) key: AdvisoryKey,
    pub(crate) mode: AdvisoryMode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Lock(AdvisoryScope),
    Try(AdvisoryScope),
    Unlock,
}

impl Call {
    /// For how long it locks.
    pub(crate) fn scope(&self) -> AdvisoryScope {
        match self.what {
            What::Lock(scope) | What::Try(scope) => scope,
            What::Unlock => AdvisoryScope::Session,
        }
    }

    /// What a function does; `None`: it is another one.
    fn of(function: u32, args: &[Datum]) -> Option<Call> {
        use AdvisoryScope::{Session, Transaction};
        let (number, whats): (u32, &[What]) = match function {
            2880..=2891 => ((function - 2880) % 6, &[What::Lock(Session), What::Try(Session), What::Unlock]),
            3089..=3096 => ((function - 3089) % 4, &[What::Lock(Transaction), What::Try(Transaction)]),
            _ => return None,
        };
        let key = match args {
            [Datum::Int8(n)] => AdvisoryKey::from(*n),
            [Datum::Int4(a), Datum::Int4(b)] => AdvisoryKey::from((*a, *b)),
            _ => return None,
        };
        Some(Call {
            what: *whats.get(number as usize / 2)?,
            key,
            mode: match number % 2 {
                0 => AdvisoryMode::Exclusive,
                _ => AdvisoryMode::Shared,
            },
        })
    }
}

/// Calls that a statement which may run again can make (54000).
const CALLS_MAX: usize = 100_000;

/// What the runs of one statement did.
#[derive(Default)]
pub(crate) struct Journal {
    /// The statement can run again, so its calls are to be noted.
    repeatable: bool,
    /// Calls of this run, with their answers.
    now: Vec<(Call, bool)>,
    /// Calls of earlier runs that this one has not come to.
    before: Vec<(Call, bool)>,
    /// The lock that this run could not get at once.
    wanted: Option<Call>,
}

impl Journal {
    /// The run failed: what to wait for before the next, if that is why.
    pub(crate) fn wanted(&mut self) -> Option<Call> {
        let wanted = self.wanted.take()?;
        self.before.append(&mut self.now);
        Some(wanted)
    }

    /// The wait is over.
    pub(crate) fn granted(&mut self, call: Call) {
        self.before.push((call, true));
    }
}

impl Shared {
    /// Answers a call of an advisory lock function; `None`: it is another function.
    pub(crate) fn advisory_call(&self, function: u32, args: &[Datum]) -> Result<Option<Datum>> {
        let void = || Datum::Text("".into());
        let call = Call::of(function, args);
        if self.local && (call.is_some() || function == UNLOCK_ALL) {
            return Err(read_only("an advisory lock function")); // the locks are the consul's
        }
        if function == UNLOCK_ALL {
            self.database.advisory_unlock_all(&self.slot);
            return Ok(Some(void()));
        }
        let Some(call) = call else { return Ok(None) };
        let mut journal = self.advisory.lock();
        let answer = match journal.before.iter().position(|(done, _)| *done == call) {
            Some(at) => journal.before.swap_remove(at).1,
            None => match call.what {
                What::Unlock => self.unlock(&call),
                What::Lock(scope) | What::Try(scope) => self.database.try_advisory_lock(&self.slot, call.key, call.mode, scope)?,
            },
        };
        if let (What::Lock(_), false) = (call.what, answer) {
            journal.wanted = journal.repeatable.then_some(call);
            return Err(SqlError::unsupported("waiting for an advisory lock in this place"));
        }
        if journal.repeatable {
            if journal.now.len() >= CALLS_MAX {
                return Err(SqlError::new(
                    SqlState::PROGRAM_LIMIT_EXCEEDED,
                    format!("a statement cannot call advisory lock functions more than {CALLS_MAX} times"),
                ));
            }
            journal.now.push((call, answer));
        }
        Ok(Some(match call.what {
            What::Lock(_) => void(),
            What::Try(_) | What::Unlock => Datum::Bool(answer),
        }))
    }

    fn unlock(&self, call: &Call) -> bool {
        let held = self.database.advisory_unlock(&self.slot, call.key, call.mode);
        if !held {
            let mode = match call.mode {
                AdvisoryMode::Exclusive => "ExclusiveLock",
                AdvisoryMode::Shared => "ShareLock",
            };
            let message = format!("you don't own a lock of type {mode}");
            self.notices.push(Notice::warning(SqlState::WARNING, message));
        }
        held
    }

    /// A statement begins that can run again.
    pub(crate) fn note_advisory(&self) {
        self.advisory.lock().repeatable = true;
    }

    /// It ends: what an earlier run of it locked, and its last did not ask for, is given back.
    pub(crate) fn settle_advisory(&self) {
        let mut journal = self.advisory.lock();
        journal.repeatable = false;
        journal.now.clear();
        journal.wanted = None;
        for (call, answer) in journal.before.drain(..) {
            if answer && call.what != What::Unlock && call.scope() == AdvisoryScope::Session {
                self.database.advisory_unlock(&self.slot, call.key, call.mode);
            }
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.database.advisory_unlock_all(&self.slot);
    }
}
