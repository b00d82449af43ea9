//! Where and how a session reads (DESIGN 3.6): `curia.read`, `curia.min_csn`, `curia.last_csn`, and sessions that read on a server that isn't
//! the consul.
//!
//! ```text
//!   on the consul    snapshot at what is applied ──► proof of office ──► answer
//!   local session    reach(level) ──► snapshot, with the catalog of its CSN ──► answer
//!                      strict: what the consul has resolved   bounded: what it had lately   session: what this client has seen
//! ```
//!
//! A local session writes nothing, takes no locks and draws no numbers: those are the consul's. What needs them gets 25006, before
//! anything has happened, so that whoever passes statements on may ask the consul instead.

use crate::context::{Shared, read_only};
use crate::output::{Output, Stop};
use crate::session::Session;
use crate::settings::known::{Change, Kind, Known, Unit};
use crate::settings::{Scope, Settings, value};
use crate::wait::until;
use curia_consensus::ReadLevel as Wanted;
use curia_consensus::ids::Csn;
use curia_parse::Statement;
use curia_parse::ast::{CopyDirection, CopySource, CteBody, Query};
use curia_types::{Result, SqlError, SqlState};
use parking_lot::MutexGuard;
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// For so long a session waits for a CSN, unless `statement_timeout` is shorter.
const PATIENCE: Duration = Duration::from_secs(10);
/// A CSN further ahead of what is applied here is not waited for: it is none of this cluster's.
const AHEAD_MAX: u64 = 100_000_000;

/// What `curia.read` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadLevel {
    /// Reads are the consul's.
    Consul,
    /// Any server; everything that was acknowledged before the statement came.
    Strict,
    /// Any server; everything that was acknowledged up to so long before the statement came.
    Bounded(Duration),
    /// Any server; everything that the client has seen.
    Session,
}

const AGE: Known = Known {
    name: "curia.read",
    kind: Kind::Int {
        min: 1,
        max: 86_400_000,
        unit: Some(Unit::Milliseconds),
    },
    default: "0",
    change: Change::User,
    description: "",
};

impl FromStr for ReadLevel {
    type Err = SqlError;

    fn from_str(text: &str) -> Result<ReadLevel> {
        let lowered = text.trim().to_ascii_lowercase();
        match lowered.as_str() {
            "consul" => return Ok(ReadLevel::Consul),
            "strict" => return Ok(ReadLevel::Strict),
            "session" => return Ok(ReadLevel::Session),
            _ => {}
        }
        let age = lowered.strip_prefix("bounded").filter(|age| age.starts_with([' ', '\t']));
        let Some(age) = age else {
            return Err(value::invalid("curia.read", text).hint("Available values: consul, strict, bounded and a time, session."));
        };
        let milliseconds = value::check(&AGE, age.trim())?.parse().unwrap_or(0);
        Ok(ReadLevel::Bounded(Duration::from_millis(milliseconds)))
    }
}

impl fmt::Display for ReadLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadLevel::Consul => f.write_str("consul"),
            ReadLevel::Strict => f.write_str("strict"),
            ReadLevel::Bounded(age) => write!(f, "bounded {}", value::show(&AGE, &age.as_millis().to_string())),
            ReadLevel::Session => f.write_str("session"),
        }
    }
}

/// The value of `curia.min_csn`.
pub(crate) fn check_csn(text: &str) -> Result<String> {
    let csn: std::result::Result<u64, _> = text.trim().parse();
    csn.map(|csn| csn.to_string())
        .map_err(|_| value::invalid("curia.min_csn", text).hint("It takes a commit sequence number, as SHOW curia.last_csn gives it."))
}

/// Whether every statement of a string only reads, as far as its syntax says: a guess at whether a local session can run it.
pub fn only_reads(sql: &str) -> bool {
    curia_parse::parse(sql).is_ok_and(|statements| statements.iter().all(|parsed| reads(&parsed.statement)))
}

fn reads(statement: &Statement) -> bool {
    match statement {
        Statement::Query(query) => is_plain(query),
        Statement::Declare(declare) => is_plain(&declare.query),
        Statement::Explain(explain) => reads(&explain.statement),
        Statement::Prepare(prepare) => reads(&prepare.statement),
        Statement::Copy(copy) if copy.direction == CopyDirection::ToStdout => match &copy.source {
            CopySource::Table { .. } => true,
            CopySource::Query(statement) => reads(statement),
        },
        Statement::Begin { .. }
        | Statement::Commit { .. }
        | Statement::Rollback { .. }
        | Statement::Savepoint(_)
        | Statement::Release(_)
        | Statement::RollbackTo(_)
        | Statement::Show(_)
        | Statement::Execute(_)
        | Statement::Deallocate(_)
        | Statement::Fetch(_)
        | Statement::Close(_) => true,
        _ => false,
    }
}

/// Whether a query locks no rows and has no statement in its WITH that changes some.
fn is_plain(query: &Query) -> bool {
    let plain = |body: &CteBody| match body {
        CteBody::Query(query) => is_plain(query),
        _ => false,
    };
    query.locking.is_empty() && query.with.as_ref().is_none_or(|with| with.ctes.iter().all(|cte| plain(&cte.body)))
}

/// What a local session runs beside queries: nothing that the consul's other sessions would see.
pub(crate) fn refuse_elsewhere(statement: &Statement) -> Result<()> {
    match statement {
        Statement::SetTransaction { .. }
        | Statement::SetConstraints { .. }
        | Statement::Set(_)
        | Statement::Reset(_)
        | Statement::Discard(_) => Ok(()),
        // What is in them is looked at when it is planned.
        Statement::Explain(_) | Statement::Prepare(_) | Statement::Declare(_) => Ok(()),
        statement if reads(statement) => Ok(()),
        statement => Err(read_only(statement.tag())),
    }
}

impl Shared {
    /// The session has committed this CSN, or read at it.
    pub(crate) fn saw(&self, csn: Csn) {
        self.last_csn.fetch_max(csn.0, Ordering::Relaxed);
    }

    /// The parameters, `curia.last_csn` brought up to date.
    pub(crate) fn settings_now(&self) -> MutexGuard<'_, Settings> {
        let mut settings = self.settings.lock();
        settings.note("curia.last_csn", self.last_csn.load(Ordering::Relaxed));
        settings
    }
}

impl Session {
    /// Whether it reads on a server that needs not be the consul, and writes nothing.
    pub fn is_local(&self) -> bool {
        self.shared.local
    }

    /// What `curia.read` says now.
    pub fn read_level(&self) -> ReadLevel {
        let settings = self.shared.settings.lock();
        settings
            .get("curia.read")
            .and_then(|level| level.parse().ok())
            .unwrap_or(ReadLevel::Consul)
    }

    /// The newest CSN that this session has committed or read at.
    pub fn last_csn(&self) -> u64 {
        self.shared.last_csn.load(Ordering::Relaxed)
    }

    /// Later statements read at or after this CSN.
    pub fn observe(&mut self, csn: u64) {
        self.observed = self.observed.max(Csn(csn));
    }

    /// Sets a parameter outside of any transaction, or takes it back (`None`).
    ///
    /// # Errors
    /// 42704, 22023 and others, as for SET.
    pub fn mirror(&mut self, name: &str, value: Option<&str>) -> Result<()> {
        let mut settings = self.shared.settings.lock();
        match value {
            Some(value) => settings.set(name, value, Scope::Session)?,
            None => settings.reset(name, Scope::Session)?,
        }
        settings.commit();
        Ok(())
    }

    /// What statements must see at least.
    fn floor(&self) -> Csn {
        self.environment.min_csn.max(self.observed)
    }

    /// Waits until what the next statement reads is as new as the session wants it, and takes its snapshot where no locks go with it.
    pub(crate) async fn take_ground<O: Output>(&mut self, out: &mut O) -> Result<(), Stop> {
        let mut floor = self.floor();
        if !self.shared.local {
            return self.reach_csn(floor, out).await;
        }
        let tx = self.transaction()?;
        if !tx.needs_ground() {
            return Ok(()); // it has its snapshot, or this server is the consul
        }
        let wanted = match self.read_level() {
            ReadLevel::Consul => return Err(read_only("SELECT").into()),
            ReadLevel::Strict => Some(Wanted::Strict),
            ReadLevel::Bounded(age) => Some(Wanted::Bounded(age)),
            ReadLevel::Session => None,
        };
        // Whatever the level, a session never goes back behind what it has written or read, on whichever server that was.
        floor = floor.max(Csn(self.last_csn()));
        self.reach_csn(floor, out).await?;
        if let Some(wanted) = wanted {
            let replication = self.shared.database.replication().clone();
            self.waits.run(out, replication.reach(wanted)).await?;
        }
        Ok(self.transaction()?.stand()?)
    }

    /// Waits until a CSN is applied here.
    pub(crate) async fn reach_csn<O: Output>(&mut self, csn: Csn, out: &mut O) -> Result<(), Stop> {
        let replication = self.shared.database.replication().clone();
        let applied = replication.applied();
        if csn <= applied {
            return Ok(());
        }
        if csn.0 - applied.0 > AHEAD_MAX {
            let message = format!("commit sequence number {csn} is far ahead of all that is known");
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
                .detail(format!("What is applied here ends at {applied}."))
                .into());
        }
        let late = Instant::now() + PATIENCE;
        let reached = async {
            tokio::select! {
                reached = replication.wait_applied(csn) => reached,
                _ = until(Some(late)) => Err(SqlError::new(
                    SqlState::SERIALIZATION_FAILURE,
                    format!("commit sequence number {csn} was not applied here within {} s", PATIENCE.as_secs()),
                )
                .detail(format!("What is applied here ends at {}.", replication.applied()))),
            }
        };
        self.waits.run(out, reached).await
    }

    /// An error says something of the database too: where that was read in an office that is lost meanwhile, the loss is what to tell.
    /// To be asked before an error leaves and [`Session::fail`] is called.
    pub async fn vouch(&mut self, error: SqlError) -> SqlError {
        let code = error.code();
        let class = &code.as_str()[..2];
        if self.shared.local && error.code() == SqlState::READ_ONLY_SQL_TRANSACTION && error.fields().hint.is_none() {
            let consul = self.shared.database.replication().refusal().fields().detail.clone();
            let error = error.hint("The session reads on a server that need not be the consul: write on the consul.");
            return consul.into_iter().fold(error, SqlError::detail);
        }
        if matches!(class, "08" | "40") {
            return error; // whoever gets it believes nothing that came before
        }
        // What it was found in may have been built on commits that are under way. Who was cancelled waits for nothing.
        if class != "57"
            && let Some(tx) = &mut self.block.tx
            && let Err(undone) = tx.settle().await
        {
            return undone;
        }
        let tells_nothing = matches!(class, "25" | "53" | "54" | "57" | "58" | "0A" | "XX") || error.code() == SqlState::SYNTAX_ERROR;
        let proof = match &mut self.block.tx {
            Some(tx) if tells_nothing && tx.owes_proof() => tx.prove().await, // it may end the transaction
            _ if tells_nothing => Ok(()),
            Some(tx) => tx.prove_again().await,
            None if self.shared.local => Ok(()),
            None => self.shared.database.prove_office().await,
        };
        proof.err().unwrap_or(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_in_any_form_and_shown_in_one() {
        let shown = |text: &str| text.parse::<ReadLevel>().map(|level| level.to_string());
        assert_eq!(shown("Strict").unwrap(), "strict");
        assert_eq!(shown(" bounded  2000ms ").unwrap(), "bounded 2s");
        assert_eq!(shown("bounded 250").unwrap(), "bounded 250ms");
        assert_eq!(shown("session").unwrap(), "session");
        for wrong in ["", "bounded", "bounded soon", "bounded -1s", "bounded 0", "bounded2s", "stale"] {
            assert_eq!(shown(wrong).unwrap_err().code(), SqlState::INVALID_PARAMETER_VALUE, "{wrong}");
        }
    }

    #[test]
    fn statements_that_only_read_are_told_by_their_syntax() {
        for sql in [
            "SELECT 1; VALUES (2)",
            "WITH a AS (SELECT 1) SELECT * FROM a",
            "EXPLAIN SELECT 1",
            "COPY t TO STDOUT",
            "BEGIN; SELECT 1; COMMIT",
            "SHOW curia.last_csn",
        ] {
            assert!(only_reads(sql), "{sql}");
        }
        for sql in [
            "SELECT 1 FOR UPDATE",
            "WITH a AS (DELETE FROM t RETURNING *) SELECT * FROM a",
            "COPY t FROM STDIN",
            "SELECT 1; INSERT INTO t VALUES (1)",
            "CREATE TABLE t (a int)",
            "SET curia.read = 'strict'",
            "nonsense",
        ] {
            assert!(!only_reads(sql), "{sql}");
        }
    }
}
