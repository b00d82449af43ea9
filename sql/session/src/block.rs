//! The transaction block of a session: BEGIN to COMMIT or ROLLBACK, the implicit transactions outside of one, and the failed state.
//!
//! ```text
//!            statement                     Sync, end of the query string
//!   Idle ──────────────▶ Implicit ────────────────────────────────────▶ Idle
//!    │                     │ BEGIN                                       ▲
//!    └──── BEGIN ────────▶ Explicit ── COMMIT, ROLLBACK ────────────────┤
//!                            │ error   ▲ ROLLBACK TO                     │
//!                            ▼         │                                 │
//!                          Failed ─────┴── ROLLBACK, COMMIT (as ROLLBACK)┘
//! ```

use crate::activity::Wait;
use crate::context::now_micros;
use crate::keyed::Keyed;
use crate::notice::Notice;
use crate::output::{Output, Stop};
use crate::session::Session;
use crate::settings::{Mark, Scope};
use curia_parse::Statement;
use curia_parse::ast::{Isolation as Level, TransactionModes, TwoPhase};
use curia_txn::{Isolation, Options, Transaction};
use curia_types::{Result, SqlError, SqlState};
use std::sync::Arc;

/// Where the session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Idle,
    Implicit,
    Explicit,
    Failed,
}

/// Most savepoints of one transaction.
const SAVEPOINT_LIMIT: usize = 100_000;

/// A session's transaction.
pub(crate) struct Block {
    pub(crate) state: State,
    /// The transaction. None when idle, before the first statement that needs one, and after a failure that cannot be rolled back to a
    /// savepoint, so that a failed block holds no locks.
    pub(crate) tx: Option<Transaction>,
    /// Start of the transaction (`now()`), microseconds since 2000-01-01 UTC.
    pub(crate) started: i64,
    /// DEFERRABLE, which changes nothing.
    deferrable: bool,
    /// It was asked for READ UNCOMMITTED, which is READ COMMITTED by another name.
    uncommitted: bool,
    /// What it does, where its client has given it an idempotency key.
    pub(crate) keyed: Option<Keyed>,
    /// Names in order, with where the parameters and notifications stood, and READ ONLY.
    savepoints: Vec<(String, Mark, usize, bool)>,
}

impl Block {
    pub(crate) fn new() -> Block {
        Block {
            state: State::Idle,
            tx: None,
            started: 0,
            deferrable: false,
            uncommitted: false,
            keyed: None,
            savepoints: Vec::new(),
        }
    }

    /// How many savepoints there are.
    pub(crate) fn savepoints(&self) -> usize {
        self.savepoints.len()
    }

    /// The transaction went on without the session.
    pub(crate) fn end(&mut self) {
        self.savepoints.clear();
        self.keyed = None;
        self.tx = None;
        self.state = State::Idle;
    }

    /// Whether statements run inside BEGIN .. COMMIT.
    pub(crate) fn is_explicit(&self) -> bool {
        matches!(self.state, State::Explicit | State::Failed)
    }
}

impl Session {
    /// The running transaction; begins an implicit one when there is none.
    pub(crate) fn transaction(&mut self) -> Result<&mut Transaction> {
        if self.block.tx.is_none() {
            let tx = self.begin_transaction(TransactionModes::default());
            self.block.tx = Some(tx);
            self.block.started = self.statement_start;
            if self.block.state == State::Idle {
                self.block.state = State::Implicit;
            }
        }
        self.block
            .tx
            .as_mut()
            .ok_or_else(|| SqlError::internal("no transaction after its begin"))
    }

    fn begin_transaction(&mut self, modes: TransactionModes) -> Transaction {
        let catalog = self.shared.database.catalog();
        self.refresh_environment(&catalog);
        let (uncommitted, deferrable, isolation, read_only) = {
            let settings = self.shared.settings.lock();
            (
                match modes.isolation {
                    Some(level) => level == Level::ReadUncommitted,
                    None => settings.get("default_transaction_isolation") == Some("read uncommitted"),
                },
                modes.deferrable.unwrap_or_else(|| settings.is_on("default_transaction_deferrable")),
                match modes.isolation {
                    Some(level) => level_of(level),
                    None => match settings.get("default_transaction_isolation") {
                        Some("repeatable read") => Isolation::RepeatableRead,
                        Some("serializable") => Isolation::Serializable,
                        _ => Isolation::ReadCommitted,
                    },
                },
                self.shared.local || modes.read_only.unwrap_or_else(|| settings.is_on("default_transaction_read_only")),
            )
        };
        self.block.deferrable = deferrable;
        self.block.uncommitted = uncommitted;
        let options = Options {
            isolation,
            read_only,
            lock_timeout: self.environment.lock_timeout,
            io: Some(self.environment.io_shared.clone()),
        };
        let database = &self.shared.database;
        match self.shared.local && !database.serves() {
            true => database.begin_away(&self.shared.slot, options),
            false => database.begin(&self.shared.slot, options),
        }
    }

    /// 25P02 for everything but the end of a failed block.
    pub(crate) fn refuse_when_failed(&self, statement: Option<&Statement>) -> Result<()> {
        if self.block.state != State::Failed {
            return Ok(());
        }
        match statement {
            None | Some(Statement::Commit { .. } | Statement::Rollback { .. } | Statement::RollbackTo(_)) => Ok(()),
            Some(Statement::TwoPhase {
                step: TwoPhase::Prepare, ..
            }) => Ok(()),
            Some(_) => Err(SqlError::new(
                SqlState::IN_FAILED_SQL_TRANSACTION,
                "current transaction is aborted, commands ignored until end of transaction block",
            )),
        }
    }

    /// A statement failed: the implicit transaction is rolled back, a block waits for its end.
    pub fn fail(&mut self) {
        // Those from before a savepoint live on if it is rolled back to.
        if self.block.savepoints.is_empty() || !self.block.is_explicit() {
            self.drop_portals();
        }
        self.shared.notices.take();
        match self.block.state {
            State::Idle | State::Implicit => {
                self.block.end();
                self.shared.settings.lock().rollback();
                self.shared.notifications.lock().undo_to(0);
            }
            State::Explicit | State::Failed => {
                self.block.state = State::Failed;
                let mut settings = self.shared.settings.lock();
                match self.block.savepoints.last() {
                    Some((_, mark, told, _)) => {
                        if let Some(tx) = &mut self.block.tx {
                            tx.fail_to_savepoint();
                        }
                        settings.undo_to(*mark);
                        self.shared.notifications.lock().undo_to(*told);
                    }
                    None => {
                        self.shared.notifications.lock().undo_to(0);
                        settings.rollback();
                        drop(settings);
                        self.block.tx = None;
                        self.block.keyed = None;
                    }
                }
            }
        }
    }

    /// Commits whatever is open and leaves the session idle.
    pub(crate) async fn commit(&mut self) -> Result<(), Stop> {
        if self.block.tx.is_some()
            && let Err(e) = self.hold_cursors().await
        {
            self.rollback();
            return Err(e.into());
        }
        self.drop_portals();
        // What waited is checked before temporary tables are emptied.
        if let Err(violated) = self.settle_at_commit().await {
            let violated = match violated {
                Stop::Error(error) => Stop::Error(self.vouch(error).await),
                gone => gone,
            };
            self.rollback();
            return Err(violated);
        }
        let named = self.block.keyed.is_some();
        let mut ready = self.before_commit().await;
        if ready.is_ok() {
            ready = self.settle_key().await;
        }
        if ready.is_ok() {
            let shared = &self.shared;
            ready = shared.backends.has_room(shared.process, &shared.notifications.lock());
        }
        if let Err(e) = ready {
            self.rollback();
            return Err(e.into());
        }
        self.block.savepoints.clear();
        self.block.state = State::Idle;
        let Some(tx) = self.block.tx.take() else {
            self.shared.settings.lock().commit();
            self.act_on_notifications();
            return Ok(());
        };
        // Not to be cut short: once it is handed over, only its outcome ends it.
        let shared = self.shared.clone();
        let _waiting = shared.activity.waits(match shared.database.replication().is_alone() {
            true => Wait::Log,
            false => Wait::Replication,
        });
        match tx.commit().await {
            Ok(committed) => {
                self.settled();
                if named {
                    self.forget_key();
                }
                self.shared.settings.lock().commit();
                if let Some(csn) = committed.csn {
                    self.shared.saw(csn);
                }
                self.act_on_notifications();
                Ok(())
            }
            Err(e) => {
                self.shared.settings.lock().rollback();
                self.shared.notifications.lock().undo_to(0);
                Err(e.into())
            }
        }
    }

    fn act_on_notifications(&mut self) {
        let actions = self.shared.notifications.lock().take();
        self.listening_changed |= !actions.is_empty();
        self.shared.backends.act(self.shared.process, actions);
    }

    /// [`Session::rollback`] at the client's wish: what it was told within the block is true, or this fails.
    async fn roll_back_block(&mut self, out: &mut impl Output) -> Result<(), Stop> {
        let waits = self.waits.clone();
        let proven = match &mut self.block.tx {
            Some(tx) if tx.owes_proof() => waits.run(out, tx.prove()).await,
            _ => Ok(()),
        };
        self.rollback();
        proven
    }

    /// Rolls back whatever is open and leaves the session idle.
    pub(crate) fn rollback(&mut self) {
        self.drop_portals();
        self.block.end();
        self.shared.settings.lock().rollback();
        self.shared.notifications.lock().undo_to(0);
    }

    /// Runs a statement that controls the transaction; returns its tag.
    pub(crate) async fn control(&mut self, statement: &Statement, out: &mut impl Output) -> Result<&'static str, Stop> {
        match statement {
            Statement::Begin { modes, .. } => {
                match self.block.state {
                    State::Explicit | State::Failed => self.notify(
                        out,
                        Notice::warning(SqlState::ACTIVE_SQL_TRANSACTION, "there is already a transaction in progress"),
                    ),
                    // In a string of statements: what ran before becomes part of the block.
                    State::Implicit if self.block.tx.is_some() => self.block.state = State::Explicit,
                    State::Idle | State::Implicit => {
                        let tx = self.begin_transaction(*modes);
                        self.block.tx = Some(tx);
                        self.block.started = self.statement_start;
                        self.block.state = State::Explicit;
                    }
                }
                Ok(statement.tag())
            }
            Statement::Commit { chain } => match self.block.state {
                State::Failed => {
                    let modes = self.modes();
                    self.roll_back_block(out).await?;
                    self.chain(*chain, modes)?;
                    Ok("ROLLBACK")
                }
                state => {
                    if state != State::Explicit {
                        self.outside_block(*chain, "COMMIT AND CHAIN", out)?;
                    }
                    let modes = self.modes();
                    self.commit().await?;
                    self.chain(*chain, modes)?;
                    Ok("COMMIT")
                }
            },
            Statement::Rollback { chain } => {
                if !self.block.is_explicit() {
                    self.outside_block(*chain, "ROLLBACK AND CHAIN", out)?;
                }
                let modes = self.modes();
                self.roll_back_block(out).await?;
                self.chain(*chain, modes)?;
                Ok("ROLLBACK")
            }
            Statement::Savepoint(name) => {
                self.require_block("SAVEPOINT")?;
                if self.block.savepoints.len() >= SAVEPOINT_LIMIT {
                    return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "too many savepoints").into());
                }
                let mark = self.shared.settings.lock().mark();
                let told = self.shared.notifications.lock().mark();
                let tx = self.transaction()?;
                tx.savepoint(&name.name);
                let read_only = tx.read_only();
                self.block.savepoints.push((name.name.clone(), mark, told, read_only));
                Ok("SAVEPOINT")
            }
            Statement::Release(name) => {
                self.require_block("RELEASE SAVEPOINT")?;
                let at = self.savepoint_named(&name.name)?;
                self.transaction()?.release_savepoint(&name.name)?;
                self.block.savepoints.truncate(at);
                self.block.keyed.iter_mut().for_each(|keyed| keyed.release(at));
                Ok("RELEASE")
            }
            Statement::RollbackTo(name) => {
                self.require_block("ROLLBACK TO SAVEPOINT")?;
                let at = self.savepoint_named(&name.name)?;
                self.portals
                    .retain(|_, p| p.savepoints <= at || p.cursor.as_ref().is_some_and(|c| c.held));
                let (_, mark, told, read_only) = self.block.savepoints[at];
                let tx = self.transaction()?;
                tx.rollback_to_savepoint(&name.name)?;
                tx.restore_read_only(read_only);
                self.block.savepoints.truncate(at + 1);
                self.block.keyed.take_if(|keyed| keyed.roll_back_to(at));
                self.shared.settings.lock().undo_to(mark);
                self.shared.notifications.lock().undo_to(told);
                self.block.state = State::Explicit;
                Ok("ROLLBACK")
            }
            Statement::SetTransaction { modes, session: true } => {
                let mut settings = self.shared.settings.lock();
                if let Some(level) = modes.isolation {
                    settings.set("default_transaction_isolation", level_name(level), Scope::Session)?;
                }
                if let Some(read_only) = modes.read_only {
                    settings.set("default_transaction_read_only", on_off(read_only), Scope::Session)?;
                }
                if let Some(deferrable) = modes.deferrable {
                    settings.set("default_transaction_deferrable", on_off(deferrable), Scope::Session)?;
                }
                Ok("SET")
            }
            Statement::SetTransaction { modes, session: false } => {
                if !self.block.is_explicit() {
                    self.notify(
                        out,
                        Notice::warning(
                            SqlState::NO_ACTIVE_SQL_TRANSACTION,
                            "SET TRANSACTION can only be used in transaction blocks",
                        ),
                    );
                }
                self.set_transaction(*modes)?;
                Ok("SET")
            }
            Statement::SetSnapshot(name) => {
                if !self.block.is_explicit() {
                    let message = "SET TRANSACTION can only be used in transaction blocks";
                    self.notify(out, Notice::warning(SqlState::NO_ACTIVE_SQL_TRANSACTION, message));
                }
                if self.block.savepoints() > 0 {
                    let message = "SET TRANSACTION SNAPSHOT must not be called in a subtransaction";
                    return Err(SqlError::new(SqlState::ACTIVE_SQL_TRANSACTION, message).into());
                }
                self.transaction()?.import_snapshot(name)?;
                Ok("SET")
            }
            _ => Err(SqlError::internal("not a transaction statement").into()),
        }
    }

    /// SET TRANSACTION and SET transaction_isolation.
    pub(crate) fn set_transaction(&mut self, modes: TransactionModes) -> Result<()> {
        let refuse = |message: &str| Err(SqlError::new(SqlState::ACTIVE_SQL_TRANSACTION, message));
        let savepoint = self.block.savepoints.last().map(|(_, _, _, read_only)| *read_only);
        let tx = self.transaction()?;
        if let Some(level) = modes.isolation {
            let (before, isolation) = (tx.isolation(), level_of(level));
            tx.set_isolation(isolation)?;
            if savepoint.is_some() && isolation != before {
                tx.set_isolation(before)?;
                return refuse("SET TRANSACTION ISOLATION LEVEL must not be called in a subtransaction");
            }
        }
        if let Some(read_only) = modes.read_only {
            if !read_only && tx.read_only() && savepoint == Some(true) {
                return refuse("cannot set transaction read-write mode inside a read-only transaction");
            }
            tx.set_read_only(read_only)?;
        }
        if let Some(deferrable) = modes.deferrable {
            if savepoint.is_some() {
                return refuse("SET TRANSACTION [NOT] DEFERRABLE cannot be called within a subtransaction");
            }
            if tx.snapshot().is_some() {
                return refuse("SET TRANSACTION [NOT] DEFERRABLE must be called before any query");
            }
            self.block.deferrable = deferrable;
        }
        if let Some(level) = modes.isolation {
            self.block.uncommitted = level == Level::ReadUncommitted;
        }
        Ok(())
    }

    /// What SHOW says of parameters that belong to the transaction.
    pub(crate) fn show_transaction(&self, name: &str) -> Option<String> {
        let settings = self.shared.settings.lock();
        match (name, &self.block.tx) {
            ("transaction_isolation", Some(_)) if self.block.uncommitted => Some("read uncommitted".to_owned()),
            ("transaction_isolation", Some(tx)) => Some(
                match tx.isolation() {
                    Isolation::ReadCommitted => "read committed",
                    Isolation::RepeatableRead => "repeatable read",
                    Isolation::Serializable => "serializable",
                }
                .to_owned(),
            ),
            ("transaction_isolation", None) => settings.show("default_transaction_isolation"),
            ("transaction_read_only", Some(tx)) => Some(on_off(tx.read_only()).to_owned()),
            ("transaction_deferrable", Some(_)) => Some(on_off(self.block.deferrable).to_owned()),
            ("transaction_deferrable", None) => settings.show("default_transaction_deferrable"),
            // As a standby says it, for clients that look for a server to write at.
            ("transaction_read_only", None) if settings.is_on("in_hot_standby") => Some(on_off(true).to_owned()),
            ("transaction_read_only", None) => settings.show("default_transaction_read_only"),
            _ => None,
        }
    }

    fn savepoint_named(&self, name: &str) -> Result<usize> {
        self.block.savepoints.iter().rposition(|(n, ..)| n == name).ok_or_else(|| {
            SqlError::new(
                SqlState::INVALID_SAVEPOINT_SPECIFICATION,
                format!("savepoint \"{name}\" does not exist"),
            )
        })
    }

    /// 25P01 outside of BEGIN .. COMMIT.
    pub(crate) fn require_block(&self, what: &str) -> Result<()> {
        if self.block.is_explicit() {
            return Ok(());
        }
        Err(SqlError::new(
            SqlState::NO_ACTIVE_SQL_TRANSACTION,
            format!("{what} can only be used in transaction blocks"),
        ))
    }

    /// 25001 inside a block or a string of several statements.
    pub(crate) fn refuse_in_block(&self, what: &str) -> Result<()> {
        if self.block.is_explicit() || (self.block.state == State::Implicit && self.in_string) {
            return Err(SqlError::new(
                SqlState::ACTIVE_SQL_TRANSACTION,
                format!("{what} cannot run inside a transaction block"),
            ));
        }
        Ok(())
    }

    pub(crate) fn outside_block(&mut self, chain: bool, what: &str, out: &mut impl Output) -> Result<()> {
        if chain {
            return Err(SqlError::new(
                SqlState::NO_ACTIVE_SQL_TRANSACTION,
                format!("{what} can only be used in transaction blocks"),
            ));
        }
        self.notify(
            out,
            Notice::warning(SqlState::NO_ACTIVE_SQL_TRANSACTION, "there is no transaction in progress"),
        );
        Ok(())
    }

    fn modes(&self) -> TransactionModes {
        let Some(tx) = &self.block.tx else {
            return TransactionModes::default();
        };
        TransactionModes {
            isolation: Some(match tx.isolation() {
                Isolation::ReadCommitted if self.block.uncommitted => Level::ReadUncommitted,
                Isolation::ReadCommitted => Level::ReadCommitted,
                Isolation::RepeatableRead => Level::RepeatableRead,
                Isolation::Serializable => Level::Serializable,
            }),
            read_only: Some(tx.read_only()),
            deferrable: Some(self.block.deferrable),
        }
    }

    fn chain(&mut self, chain: bool, modes: TransactionModes) -> Result<()> {
        if chain {
            let tx = self.begin_transaction(modes);
            self.block.tx = Some(tx);
            self.block.started = now_micros();
            self.block.state = State::Explicit;
        }
        Ok(())
    }

    /// Brings the derived settings up to date.
    pub(crate) fn refresh_environment(&mut self, catalog: &Arc<curia_catalog::Catalog>) {
        if !self.environment.is_current(&self.shared, catalog.version) {
            self.environment = crate::environment::Environment::new(&self.shared, catalog);
        }
    }
}

fn level_of(level: Level) -> Isolation {
    match level {
        Level::ReadUncommitted | Level::ReadCommitted => Isolation::ReadCommitted,
        Level::RepeatableRead => Isolation::RepeatableRead,
        Level::Serializable => Isolation::Serializable,
    }
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::ReadUncommitted => "read uncommitted",
        Level::ReadCommitted => "read committed",
        Level::RepeatableRead => "repeatable read",
        Level::Serializable => "serializable",
    }
}

fn on_off(b: bool) -> &'static str {
    if b { "on" } else { "off" }
}
