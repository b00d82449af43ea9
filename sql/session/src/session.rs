//! [`Session`]: one client's conversation with the engine.

use crate::TransactionStatus;
use crate::activity::Query;
use crate::again::Again;
use crate::backends::{Interrupt, Key, Registration, idle_for_too_long};
use crate::block::{Block, State};
use crate::carried::Carried;
use crate::context::{Shared, StatementContext, now_micros, read_only};
use crate::environment::Environment;
use crate::literal;
use crate::moving::{Statements, refuse_while_moving};
use crate::notice::{Notice, Severity};
use crate::objects::OwnObjects;
use crate::output::{Output, Place, Stop};
use crate::plan_cache::Cached;
use crate::planning::{Planned, Prepared};
use crate::portal::{Portal, Ran, Rows, Tag};
use crate::sessions::Sessions;
use crate::settings::REPORTED;
use crate::wait::Waits;
use curia_catalog::Catalog;
use curia_consensus::ids::Csn;
use curia_execute::Execution;
use curia_parse::Parsed;
use curia_txn::{LockWait, Transaction};
use curia_types::{Datum, IoContext, Result, SqlError, SqlState};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Rows of a query that are computed before the first is sent, because it may wait for advisory locks.
const HELD_ROWS_MAX: usize = 100_000;

/// What ends a session that stays idle outside of transactions.
pub const IDLE_SESSION_TIMEOUT: &str = "idle_session_timeout";

/// One client's session. Lives on one core.
pub struct Session {
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) shared: Arc<Shared>,
    registration: Registration,
    pub(crate) block: Block,
    pub(crate) environment: Environment,
    /// By name; the unnamed one is "".
    pub(crate) statements: Statements,
    /// By name, SQL cursors among them; the unnamed one is "".
    pub(crate) portals: HashMap<String, Portal>,
    /// Start of the running statement, microseconds since 2000-01-01 UTC.
    pub(crate) statement_start: i64,
    pub(crate) waits: Waits,
    /// The running query string holds several statements.
    pub(crate) in_string: bool,
    /// The running query string, where that is what runs.
    pub(crate) said: Option<Arc<str>>,
    /// What the client was told of reported parameters, and the settings' generation then.
    told: Vec<String>,
    told_generation: u64,
    told_csn: u64,
    /// It has made temporary relations, or may have.
    pub(crate) has_temporary: bool,
    /// Statements see this CSN at least.
    pub(crate) observed: Csn,
    /// What the server that passes it on was told, and the settings' generation then.
    pub(crate) told_carried: Option<Box<Carried>>,
    pub(crate) told_carried_at: u64,
    /// Its channels are others than were told.
    pub(crate) listening_changed: bool,
    pub(crate) again: Again,
    /// The next statement's commit follows at once, before anything leaves.
    pub(crate) commits_next: bool,
    /// Where an answer begins that waits for the commit, because of what the transaction has built on.
    unsettled: Option<Place>,
}

impl Session {
    pub(crate) fn new(sessions: Arc<Sessions>, shared: Arc<Shared>, registration: Registration) -> Session {
        let environment = Environment::new(&shared, &shared.database.catalog());
        let waits = Waits {
            interrupt: registration.interrupt.clone(),
            deadline: None,
        };
        let mut session = Session {
            sessions,
            shared,
            registration,
            block: Block::new(),
            environment,
            statements: Statements::default(),
            portals: HashMap::new(),
            statement_start: now_micros(),
            waits,
            in_string: false,
            said: None,
            told: Vec::new(),
            told_generation: 0,
            told_csn: 0,
            has_temporary: false,
            observed: Csn::ZERO,
            told_carried: None,
            told_carried_at: 0,
            listening_changed: false,
            again: Again::default(),
            commits_next: false,
            unsettled: None,
        };
        session.know_reported();
        session
    }

    /// The client knows the reported parameters as they are now.
    pub(crate) fn know_reported(&mut self) {
        self.told = self.reported().into_iter().map(|(_, v)| v).collect();
        self.told_generation = self.shared.settings.lock().generation();
        self.told_csn = self.last_csn();
    }

    /// `pg_backend_pid()`.
    pub fn process(&self) -> i32 {
        self.registration.key.process
    }

    /// What a cancel request must show.
    pub fn key(&self) -> Key {
        self.registration.key
    }

    /// The session's stop signal.
    pub fn interrupt(&self) -> &Arc<Interrupt> {
        &self.registration.interrupt
    }

    /// Where the session stands.
    pub fn status(&self) -> TransactionStatus {
        match self.block.state {
            State::Idle | State::Implicit => TransactionStatus::Idle,
            State::Explicit => TransactionStatus::InTransaction,
            State::Failed => TransactionStatus::Failed,
        }
    }

    /// Reported parameters with their values.
    pub fn reported(&self) -> Vec<(String, String)> {
        let settings = self.shared.settings_now();
        let shown = REPORTED.iter().map(|n| ((*n).to_owned(), settings.show(n).unwrap_or_default()));
        // The server at whose door the client is sees to this one, as it alone knows when the client was last served: milliseconds.
        let door = self.is_passed_on().then(|| settings.integer(IDLE_SESSION_TIMEOUT).to_string());
        shown.chain(door.map(|limit| (IDLE_SESSION_TIMEOUT.to_owned(), limit))).collect()
    }

    /// Tells the client which reported parameters changed. To be called before ReadyForQuery.
    pub fn report_changes(&mut self, out: &mut impl Output) {
        let generation = self.shared.settings.lock().generation();
        let csn = self.last_csn();
        // Alone, there is nobody whom a client would carry it to.
        let moved = csn != self.told_csn && !self.shared.database.replication().is_alone();
        if generation == self.told_generation && !moved {
            return;
        }
        (self.told_generation, self.told_csn) = (generation, csn);
        let reported = self.reported();
        for (told, (name, value)) in self.told.iter_mut().zip(reported) {
            if *told != value {
                out.parameter_status(&name, &value);
                *told = value;
            }
        }
    }

    /// How long the session may stay idle, and what to say when it did not come back.
    pub fn idle_limit(&mut self) -> Option<(Duration, SqlError)> {
        if self.environment.generation_moved(&self.shared) {
            let catalog = self.shared.database.catalog();
            self.refresh_environment(&catalog);
        }
        if self.block.is_explicit() {
            let limit = self.environment.idle_in_transaction_timeout?;
            let error = SqlError::new(
                SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
                "terminating connection due to idle-in-transaction timeout",
            );
            return Some((limit, error));
        }
        let limit = self.environment.idle_session_timeout.filter(|_| !self.is_passed_on())?; // see reported
        Some((limit, idle_for_too_long()))
    }

    /// Ends the session: rolls back what is open, and drops what is temporary.
    pub async fn end(mut self) {
        self.rollback();
        self.drop_own_temporary().await;
    }

    /// Starts a message that runs statements: the clock of `statement_timeout` and `statement_timestamp()`.
    pub(crate) fn start_command(&mut self) {
        if self.again.tries > 0 {
            return; // to the client it is still the first try
        }
        self.registration.interrupt.clear_cancel();
        self.said = None;
        self.statement_start = now_micros();
        self.waits.deadline = None;
        if self.shared.local
            && let Err(error) = self.shared.database.follow()
        {
            tracing::debug!(%error, "the catalog is behind"); // a statement that reads finds out
        }
        self.arm_timeout();
    }

    /// Starts the clock of `statement_timeout` unless it runs: a SET in front of a statement of the same string counts for it.
    fn arm_timeout(&mut self) {
        if self.waits.deadline.is_some() {
            return;
        }
        if self.environment.generation_moved(&self.shared) {
            let catalog = self.shared.database.catalog();
            self.refresh_environment(&catalog);
        }
        self.waits.deadline = self.environment.statement_timeout.map(|t| Instant::now() + t);
    }

    /// `now()` of the statement.
    pub(crate) fn transaction_start(&self) -> i64 {
        if self.block.tx.is_some() {
            self.block.started
        } else {
            self.statement_start
        }
    }

    /// Formatting parameters of the statement.
    pub(crate) fn io(&self) -> IoContext {
        let mut io = self.environment.io.clone();
        io.now = self.transaction_start();
        io
    }

    /// Sends a notice, unless `client_min_messages` says otherwise.
    pub(crate) fn notify(&self, out: &mut impl Output, notice: Notice) {
        if notice.severity >= self.environment.min_messages || notice.severity == Severity::Info {
            out.notice(&notice);
        }
    }

    /// Tells which names of a statement were too long.
    pub(crate) fn notify_truncated(&self, parsed: &Parsed, out: &mut impl Output) {
        for name in &parsed.truncated {
            let message = format!("identifier \"{}\" will be truncated to \"{}\"", name.from, name.to);
            let notice = Notice {
                code: SqlState::NAME_TOO_LONG,
                ..Notice::plain(message)
            };
            self.notify(out, notice);
        }
    }

    /// Sends the notices that functions and DDL left.
    pub(crate) fn notify_all(&self, out: &mut impl Output) {
        for notice in self.shared.notices.take() {
            self.notify(out, notice);
        }
    }

    /// What functions of a statement see.
    pub(crate) fn context(&mut self, catalog: &Arc<Catalog>, own: Option<OwnObjects>) -> Arc<StatementContext> {
        self.refresh_environment(catalog);
        Arc::new(StatementContext {
            shared: self.shared.clone(),
            io: self.io(),
            transaction_timestamp: self.transaction_start(),
            statement_timestamp: self.statement_start,
            catalog: catalog.clone(),
            search_path: self.environment.search_path.clone(),
            identity: self.environment.identity.clone(),
            read_only: self.block.tx.as_ref().is_some_and(|t| t.read_only()),
            isolation: self.block.tx.as_ref().map(Transaction::isolation).unwrap_or_default(),
            in_savepoint: self.block.savepoints() > 0,
            own,
        })
    }

    // The simple protocol.

    /// Runs a string of statements: one implicit transaction, unless it contains BEGIN.
    ///
    /// # Errors
    /// The first statement's error that failed; the rest did not run. The caller then calls [`Session::fail`] and reports it.
    pub async fn simple_query<O: Output>(&mut self, sql: &str, out: &mut O) -> Result<(), Stop> {
        self.start_command();
        self.note_query(Query::Said(sql));
        self.in_string = false;
        if self.is_keyed() {
            self.said = Some(Arc::from(sql));
        }
        self.statements.remove("");
        self.portals.remove("");
        if self.block.state != State::Failed
            && let Some((cached, values)) = self.lookup(sql, out).await?
        {
            self.notify_truncated(&cached.parsed, out);
            let mut prepared = Prepared::transient(&cached.text, cached.parsed);
            prepared.declared = cached.types.map(|t| t.to_vec());
            *prepared.planned.lock() = Some(cached.planned);
            return self.run_and_answer(&prepared, values, true, out).await;
        }
        let statements = curia_parse::parse(sql)?;
        if statements.is_empty() {
            out.empty_query();
            if self.block.state == State::Implicit {
                self.commit().await?;
            }
            return Ok(());
        }
        let text: Arc<str> = Arc::from(sql);
        let count = statements.len();
        self.in_string = count > 1;
        for (i, parsed) in statements.into_iter().enumerate() {
            self.notify_truncated(&parsed, out);
            self.refuse_when_failed(Some(&parsed.statement))?;
            self.arm_timeout();
            if self.in_string && self.block.state == State::Idle {
                self.block.state = State::Implicit;
            }
            let prepared = Prepared::transient(&text, Arc::new(parsed));
            self.run_and_answer(&prepared, Vec::new(), i + 1 == count, out).await?;
        }
        self.in_string = false;
        Ok(())
    }

    /// Runs a statement of a simple query and tells everything about it.
    async fn run_and_answer<O: Output>(&mut self, prepared: &Prepared, values: Vec<Datum>, last: bool, out: &mut O) -> Result<(), Stop> {
        self.commits_next = last;
        let Ran { rows, fields, tag } = self.run(prepared, values.into(), out).await?;
        let mut sent = 0;
        if let (Some(mut rows), Some(fields)) = (rows, fields) {
            out.row_description(&fields, &[]);
            sent = self.move_rows(&mut rows, &fields, &[], 0, true, out).await?.sent;
        }
        // The outcome of an implicit transaction is part of its statement's.
        if last && !self.block.is_explicit() {
            self.commit().await?;
        }
        self.notify_all(out);
        out.command_complete(&tag.text(sent));
        Ok(())
    }

    /// A plan for a query string without parsing it, when it is one statement that was planned before; its numbers may differ.
    async fn lookup(&mut self, sql: &str, out: &mut impl Output) -> Result<Option<(Cached, Vec<Datum>)>, Stop> {
        let catalog = match &mut self.block.tx {
            Some(tx) => tx.catalog(),
            None => self.shared.database.catalog(),
        };
        if catalog.version & Catalog::PRIVATE != 0 {
            return Ok(None);
        }
        self.refresh_environment(&catalog);
        let plain = sql.trim_end_matches(|c: char| c == ';' || c.is_ascii_whitespace());
        let plans = &self.sessions.plans;
        let Some(lifted) = literal::lift(plain) else {
            return Ok(plans
                .find(plain, &self.environment.key, &[], catalog.version)
                .map(|c| (c, Vec::new())));
        };
        let types: Vec<u32> = lifted.types.iter().map(|t| t.oid).collect();
        if let Some(cached) = plans.find(&lifted.text, &self.environment.key, &types, catalog.version) {
            return Ok(match cached.planned.partial {
                false => Some((cached, lifted.values)),
                true => plans
                    .find(plain, &self.environment.key, &[], catalog.version)
                    .map(|c| (c, Vec::new())),
            });
        }
        // Whatever is wrong with the lifted form, the statement as it was written says it better.
        let Ok(mut statements) = curia_parse::parse(&lifted.text) else {
            return Ok(None);
        };
        let (Some(parsed), true) = (statements.pop(), statements.is_empty()) else {
            return Ok(None);
        };
        if !parsed.statement.is_bindable() {
            return Ok(None);
        }
        let parsed: Arc<Parsed> = Arc::new(parsed);
        match self.plan_statement(&parsed, Some(&lifted.text), Some(&types), &catalog, out).await {
            Ok(planned) if !planned.partial && planned.params.iter().map(|t| t.oid).eq(types.iter().copied()) => {
                let cached = Cached {
                    text: lifted.text.into(),
                    parsed,
                    types: Some(types.into()),
                    planned,
                };
                Ok(Some((cached, lifted.values)))
            }
            Ok(_) | Err(Stop::Error(_)) => Ok(None),
            Err(gone) => Err(gone),
        }
    }

    // One statement.

    /// Runs a statement up to its first row, whatever key its transaction has.
    pub(crate) async fn run_anyway<O: Output>(&mut self, prepared: &Prepared, params: Arc<[Datum]>, out: &mut O) -> Result<Ran, Stop> {
        let commits_next = std::mem::take(&mut self.commits_next);
        self.unsettled = None;
        refuse_while_moving(self.interrupt(), prepared.statement())?;
        let ran = match prepared.statement() {
            Some(s) if s.is_bindable() => self.try_plan(prepared, params, out).await?,
            Some(s) => {
                self.note_utility(s);
                self.run_utility(prepared, s, params, out).await?
            }
            None => return Err(SqlError::internal("an empty statement cannot run").into()),
        };
        // Its rows are all there, so that nothing waits between here and the commit.
        let answers_with_commit = commits_next && !self.block.is_explicit() && matches!(ran.tag, Tag::Affected("UPDATE" | "INSERT", _));
        match answers_with_commit {
            true if !self.is_settled() => self.unsettled = Some(out.place()),
            true => {}
            false => self.settle(out).await?,
        }
        Ok(ran)
    }

    fn is_settled(&self) -> bool {
        self.block.tx.as_ref().is_none_or(Transaction::is_settled)
    }

    /// Waits until all is applied that the transaction has built on, before anything that comes of it is said.
    async fn settle<O: Output>(&mut self, out: &mut O) -> Result<(), Stop> {
        let waits = self.waits.clone();
        match &mut self.block.tx {
            Some(tx) if !tx.is_settled() => waits.run(out, tx.settle()).await,
            _ => Ok(()),
        }
    }

    /// Whether what is being answered may not leave yet.
    pub(crate) fn is_withheld(&self) -> bool {
        self.unsettled.is_some()
    }

    /// [`Session::settle`] for an answer that is withheld and is about to leave before its commit.
    pub(crate) async fn settle_answer(&mut self) -> Result<()> {
        if self.is_withheld()
            && let Some(tx) = &mut self.block.tx
        {
            self.waits.run_quietly(tx.settle()).await?;
            self.unsettled = None;
        }
        Ok(())
    }

    /// What was answered stands.
    pub(crate) fn settled(&mut self) {
        self.unsettled = None;
    }

    /// A statement or its commit failed: takes back what it had answered, if that was not to leave before its commit. To be called before
    /// the error is said.
    pub fn take_back(&mut self, out: &mut impl Output) {
        if let Some(place) = self.unsettled.take() {
            out.take_back(place);
        }
    }

    /// What a plan runs with.
    pub(crate) fn execution(&mut self, params: Arc<[Datum]>, catalog: Arc<Catalog>, own: Option<OwnObjects>) -> Execution {
        let context = self.context(&catalog, own);
        Execution {
            params,
            context: context.clone(),
            interrupt: Arc::new(self.waits.clone()),
            catalog,
            session_views: Some(context),
            reference_plans: self.shared.reference_plans.clone(),
        }
    }

    /// Runs a SELECT, INSERT, UPDATE or DELETE. What comes of it may leave.
    pub(crate) async fn run_plan<O: Output>(&mut self, prepared: &Prepared, params: Arc<[Datum]>, out: &mut O) -> Result<Ran, Stop> {
        let ran = self.try_plan(prepared, params, out).await?;
        self.settle(out).await?;
        Ok(ran)
    }

    /// Runs a SELECT, INSERT, UPDATE or DELETE, which may have built on commits that are under way.
    async fn try_plan<O: Output>(&mut self, prepared: &Prepared, params: Arc<[Datum]>, out: &mut O) -> Result<Ran, Stop> {
        if let Some(as_of) = prepared.as_of() {
            self.stand_as_of(as_of, out).await?;
        }
        let (planned, catalog) = self.plan_and_lock(prepared, out).await?;
        if planned.params.len() != params.len() {
            return Err(SqlError::internal("a plan was given the wrong number of parameters").into());
        }
        let own = planned.lists_own.then(|| self.own_objects());
        let execution = self.execution(params, catalog, own);
        let waits = self.waits.clone();
        let shared = self.shared.clone();
        let tx = self.transaction()?;
        if let Some(command) = planned.writes
            && tx.read_only()
            && !planned.temporary
        {
            return Err(read_only(command).into());
        }
        if planned.waits || planned.writes.is_some() {
            shared.note_advisory();
        }
        let asks = planned.writes.is_none() && !tx.has_writes();
        let rows_and_count = async {
            loop {
                tx.start_statement();
                if asks {
                    tx.ask_proof();
                }
                match waits.run(out, run_once(&planned, tx, execution.clone())).await {
                    Err(Stop::Error(error)) => {
                        let wanted = shared.advisory.lock().wanted();
                        let Some(call) = wanted else { return Err(Stop::Error(error)) };
                        tx.undo_statement();
                        let wait = tx.advisory_lock(call.key, call.mode, call.scope(), LockWait::Block);
                        waits.run(out, wait).await?;
                        shared.advisory.lock().granted(call);
                    }
                    Ok(done) => {
                        // What has written is proven by its end.
                        if tx.has_writes() {
                            if planned.fields.is_some() {
                                tx.answer_unproven(); // a count is true or void with its writes
                            }
                        } else if !tx.is_proven() {
                            waits.run(out, tx.prove()).await?;
                        }
                        if let Some(csn) = tx.snapshot() {
                            shared.saw(csn);
                        }
                        return Ok(done);
                    }
                    outcome => return outcome,
                }
            }
        };
        let outcome = rows_and_count.await;
        shared.settle_advisory();
        let (rows, affected) = outcome?;
        if rows.is_none() {
            self.check_serializable()?;
        }
        let word = prepared.statement().map_or("SELECT", |s| s.tag());
        let tag = match word {
            "SELECT" => Tag::Sent("SELECT"),
            word => Tag::Affected(word, affected),
        };
        Ok(Ran {
            rows,
            fields: planned.fields.clone(),
            tag,
        })
    }

    /// A statement of a block ends: one that cannot commit any more is told so.
    pub(crate) fn check_serializable(&self) -> Result<()> {
        match &self.block.tx {
            Some(tx) if self.block.is_explicit() => tx.check_statement(),
            _ => Ok(()),
        }
    }

    /// A current plan, its tables locked.
    pub(crate) async fn plan_and_lock<O: Output>(
        &mut self,
        prepared: &Prepared,
        out: &mut O,
    ) -> Result<(Arc<Planned>, Arc<Catalog>), Stop> {
        self.take_ground(out).await?;
        loop {
            let catalog = self.transaction()?.catalog();
            let planned = self.plan_prepared(prepared, &catalog, out).await?;
            planned.permit(&catalog)?;
            let waits = self.waits.clone();
            let tx = self.transaction()?;
            if tx.is_away() {
                return Ok((planned, catalog));
            }
            waits.run(out, tx.lock_tables(planned.plan.tables())).await?;
            // While it waited for a lock the table may have changed.
            let now = tx.catalog();
            if now.version == catalog.version {
                return Ok((planned, catalog));
            }
        }
    }
}

/// Runs a plan once. A query that may have to wait for a lock and start over is computed to its end here.
async fn run_once(planned: &Planned, tx: &mut Transaction, execution: Execution) -> Result<(Option<Rows>, u64)> {
    let outcome = planned.plan.execute(tx, execution).await?;
    let Some(mut source) = outcome.rows else {
        return Ok((None, outcome.affected));
    };
    if !planned.waits {
        return Ok((Some(Rows::Plan(Box::new(source))), outcome.affected));
    }
    let mut rows = Vec::new();
    while source.next().await? {
        if rows.len() == HELD_ROWS_MAX {
            return Err(SqlError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("a query that waits for advisory locks cannot return more than {HELD_ROWS_MAX} rows"),
            ));
        }
        rows.push(source.take_row());
    }
    Ok((Some(Rows::Values(rows.into_iter())), outcome.affected))
}
