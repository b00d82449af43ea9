//! A session for callers on other threads: Arrow Flight. The session stays on its core; commands and batches cross over by bounded channels.
//!
//! ```text
//!   RemoteSession (Send, Clone) ──Command──▶ actor on a session core: Session
//!                 ◀── batches, at most BATCHES under way ──
//! ```
//!
//! Commands run one after the other. While a query's batches flow, the session is busy with them: drop the stream to end the query. Outside
//! of a transaction that the client began, each command is a transaction of its own.

use crate::activity::Query;
use crate::backends::terminated;
use crate::cores::Cores;
use crate::notice::Notice;
use crate::output::{CopyInput, Disconnected, Field, Format, Output, Stop};
use crate::planning::Prepared;
use crate::portal::{Rows, Tag};
use crate::session::Session;
use crate::sessions::{Login, Sessions};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use curia_parse::Statement;
use curia_types::panic::caught_in;
use curia_types::{Datum, PgType, Result, SqlError, SqlState};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Batches under way between a session and its reader.
const BATCHES: usize = 2;
/// Commands waiting for one session.
const COMMANDS: usize = 16;
/// Most statements that one remote session keeps prepared.
const STATEMENTS: usize = 10_000;

/// A statement that a remote session prepared.
#[derive(Clone, Debug)]
pub struct RemotePrepared {
    /// Names it in later calls.
    pub id: u64,
    /// Result columns; `None` when it returns no rows.
    pub fields: Option<Arc<[Field]>>,
    /// Types of its parameters.
    pub parameters: Vec<PgType>,
}

/// A query's rows.
#[derive(Debug)]
pub struct RemoteRows {
    /// Schema of the batches.
    pub schema: SchemaRef,
    /// The batches; the end, or an error and the end.
    pub batches: mpsc::Receiver<Result<RecordBatch>>,
}

/// A piece of COPY input from another thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopyPiece {
    /// Data, cut anywhere.
    Data(Vec<u8>),
    /// The data is complete. A channel that closes without it ends the COPY with an error.
    Done,
    /// Give up, with the reason.
    Fail(String),
}

enum Command {
    Prepare(String, oneshot::Sender<Result<RemotePrepared>>),
    Close(u64),
    Query(u64, Vec<Datum>, oneshot::Sender<Result<RemoteRows>>),
    Update(u64, Vec<Vec<Datum>>, oneshot::Sender<Result<u64>>),
    Run(String, oneshot::Sender<Result<()>>),
    CopyIn(String, mpsc::Receiver<CopyPiece>, oneshot::Sender<Result<u64>>),
}

/// A session for callers on other threads. The session ends when the last clone is dropped.
#[derive(Clone)]
pub struct RemoteSession {
    commands: mpsc::Sender<Command>,
}

impl RemoteSession {
    /// Opens a session on one of the cores; where this server isn't the consul, one that reads locally.
    ///
    /// # Errors
    /// As [`Sessions::open_anywhere`].
    pub async fn open(cores: &Cores, sessions: &Arc<Sessions>, login: Login) -> Result<RemoteSession> {
        let (commands, queue) = mpsc::channel(COMMANDS);
        let (answer, opened) = oneshot::channel();
        let sessions = sessions.clone();
        cores
            .spawn(move || async move {
                match sessions.open_anywhere(login) {
                    Ok(session) => {
                        if answer.send(Ok(())).is_ok() {
                            Actor {
                                session,
                                prepared: HashMap::new(),
                                next: 1,
                            }
                            .run(queue)
                            .await;
                        }
                    }
                    Err(e) => {
                        let _ = answer.send(Err(e));
                    }
                }
            })
            .await;
        opened.await.map_err(|_| terminated())??;
        Ok(RemoteSession { commands })
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<Result<T>>) -> Command) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        self.commands.send(command(answer)).await.map_err(|_| terminated())?;
        answered.await.map_err(|_| terminated())?
    }

    /// Prepares one statement.
    pub async fn prepare(&self, sql: &str) -> Result<RemotePrepared> {
        let sql = sql.to_owned();
        self.ask(|a| Command::Prepare(sql, a)).await
    }

    /// Forgets a prepared statement.
    pub async fn close(&self, id: u64) -> Result<()> {
        self.commands.send(Command::Close(id)).await.map_err(|_| terminated())
    }

    /// Runs a prepared statement that returns rows, at one snapshot.
    pub async fn query(&self, id: u64, parameters: Vec<Datum>) -> Result<RemoteRows> {
        self.ask(|a| Command::Query(id, parameters, a)).await
    }

    /// Runs a prepared statement to its end, once with each row of parameters, and gives how many rows that changed (or, of a query,
    /// returned). Outside of a transaction that the client began all of it is one, which is undone when the caller goes away meanwhile.
    pub async fn update(&self, id: u64, rows: Vec<Vec<Datum>>) -> Result<u64> {
        self.ask(|a| Command::Update(id, rows, a)).await
    }

    /// Runs a string of statements and forgets their rows: BEGIN, COMMIT, SET, DDL.
    pub async fn run(&self, sql: &str) -> Result<()> {
        let sql = sql.to_owned();
        self.ask(|a| Command::Run(sql, a)).await
    }

    /// Runs COPY .. FROM STDIN with data from a channel and gives how many rows it inserted.
    pub async fn copy_in(&self, sql: &str, input: mpsc::Receiver<CopyPiece>) -> Result<u64> {
        let sql = sql.to_owned();
        self.ask(|a| Command::CopyIn(sql, input, a)).await
    }
}

/// The session on its core.
struct Actor {
    session: Session,
    prepared: HashMap<u64, Arc<Prepared>>,
    next: u64,
}

impl Actor {
    async fn run(mut self, mut queue: mpsc::Receiver<Command>) {
        let interrupt = self.session.interrupt().clone();
        loop {
            let in_transaction = self.session.block.is_explicit();
            self.session.note_rest();
            let command = tokio::select! {
                biased;
                command = queue.recv() => command,
                () = interrupt.ended(in_transaction) => None,
            };
            match command {
                None => break,
                Some(Command::Close(id)) => {
                    self.prepared.remove(&id);
                }
                Some(Command::Prepare(sql, answer)) => {
                    let result = caught_in(self.prepare(&sql)).await;
                    let _ = answer.send(self.settle(result).await);
                }
                Some(Command::Query(id, parameters, answer)) => self.query(id, parameters, answer).await,
                Some(Command::Update(id, rows, answer)) => {
                    self.session.may_run_again();
                    let outcome = loop {
                        let result = caught_in(self.update(id, &rows, &answer)).await;
                        let outcome = self.settle(result).await;
                        if !self.runs_again(&outcome).await {
                            break outcome;
                        }
                    };
                    let _ = answer.send(outcome);
                }
                Some(Command::Run(sql, answer)) => {
                    self.session.may_run_again();
                    let outcome = loop {
                        let result = caught_in(self.session.simple_query(&sql, &mut Quiet::default())).await;
                        let outcome = self.settle(result).await;
                        if !self.runs_again(&outcome).await {
                            break outcome;
                        }
                    };
                    let _ = answer.send(outcome);
                }
                Some(Command::CopyIn(sql, input, answer)) => {
                    let mut out = Quiet {
                        input: Some(input),
                        tag: String::new(),
                    };
                    let result = caught_in(self.session.simple_query(&sql, &mut out)).await;
                    let count = out.tag.rsplit(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0);
                    let _ = answer.send(self.settle(result.map(|()| count)).await);
                }
            }
        }
        self.session.end().await;
    }

    /// Whether a command that failed with 40001 is to be run again; its caller has seen nothing of it.
    async fn runs_again<T>(&mut self, outcome: &Result<T>) -> bool {
        let again = match outcome {
            Err(e) if self.session.runs_again(e) => self.session.run_again(&mut Quiet::default()).await.is_ok(),
            _ => false,
        };
        if !again {
            self.session.ran_for_good();
        }
        again
    }

    /// Ends what a command began: commits its implicit transaction, or fails the session's.
    async fn settle<T>(&mut self, result: Result<T, Stop>) -> Result<T> {
        let result = match result {
            Ok(value) if !self.session.block.is_explicit() => self.session.commit().await.map(|()| value),
            other => other,
        };
        self.session.shared.notices.take();
        match result {
            Ok(value) => Ok(value),
            Err(stop) => {
                let error = match stop {
                    Stop::Error(e) => self.session.vouch(e).await,
                    Stop::Disconnected => SqlError::new(SqlState::QUERY_CANCELED, "canceling statement due to user request"),
                };
                self.session.fail();
                Err(error)
            }
        }
    }

    async fn prepare(&mut self, sql: &str) -> Result<RemotePrepared, Stop> {
        self.session.start_command();
        self.session.note_query(Query::Said(sql));
        self.session.in_string = false;
        if self.prepared.len() >= STATEMENTS {
            return Err(SqlError::new(SqlState::CONFIGURATION_LIMIT_EXCEEDED, "too many prepared statements").into());
        }
        let mut statements = curia_parse::parse(sql)?;
        let Some(parsed) = statements.pop() else {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "the statement is empty").into());
        };
        if !statements.is_empty() {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "cannot insert multiple commands into a prepared statement").into());
        }
        self.session.refuse_when_failed(Some(&parsed.statement))?;
        let made = self
            .session
            .prepare(Arc::from(sql), Some(Arc::new(parsed)), &[], &mut Quiet::default())
            .await?;
        let id = self.next;
        self.next += 1;
        let description = RemotePrepared {
            id,
            fields: made.fields.clone(),
            parameters: made.params.clone(),
        };
        self.prepared.insert(id, Arc::new(made));
        Ok(description)
    }

    fn find(&self, id: u64, parameters: &[Datum]) -> Result<Arc<Prepared>> {
        let prepared = self.prepared.get(&id).cloned().ok_or_else(|| {
            SqlError::new(
                SqlState::INVALID_SQL_STATEMENT_NAME,
                format!("prepared statement {id} does not exist"),
            )
        })?;
        self.session.refuse_when_failed(prepared.statement())?;
        if prepared.params.len() != parameters.len() {
            return Err(SqlError::new(
                SqlState::PROTOCOL_VIOLATION,
                format!(
                    "the statement requires {} parameters, but {} were supplied",
                    prepared.params.len(),
                    parameters.len()
                ),
            ));
        }
        Ok(prepared)
    }

    async fn update(&mut self, id: u64, rows: &[Vec<Datum>], asker: &oneshot::Sender<Result<u64>>) -> Result<u64, Stop> {
        let mut out = Quiet::default();
        let mut affected = 0;
        for (at, parameters) in rows.iter().enumerate() {
            if at > 0 {
                // Each begins with a clean slate, and a cancel is meant for all.
                self.session.interrupt().check()?;
                if asker.is_closed() {
                    return Err(Stop::Disconnected);
                }
            }
            self.session.start_command();
            let prepared = self.find(id, parameters)?;
            self.session.note_query(Query::Prepared(&prepared.sql));
            let ran = self.session.run(&prepared, parameters.clone().into(), &mut out).await?;
            let mut sent = 0;
            if let (Some(mut rows), Some(fields)) = (ran.rows, ran.fields) {
                sent = self.session.move_rows(&mut rows, &fields, &[], 0, false, &mut out).await?.sent;
            }
            affected += match ran.tag {
                Tag::Affected(_, n) => n,
                _ => sent,
            };
        }
        Ok(affected)
    }

    async fn query(&mut self, id: u64, parameters: Vec<Datum>, answer: oneshot::Sender<Result<RemoteRows>>) {
        let (sender, batches) = mpsc::channel(BATCHES);
        let begun = caught_in(self.begin_query(id, parameters)).await;
        let mut source = match begun {
            Ok(source) => source,
            Err(stop) => {
                let _ = answer.send(self.settle::<RemoteRows>(Err(stop)).await);
                return;
            }
        };
        let schema = source.schema();
        if answer.send(Ok(RemoteRows { schema, batches })).is_err() {
            let _ = self.settle(Err::<(), _>(Stop::Disconnected)).await;
            return;
        }
        let waits = self.session.waits.clone();
        let mut out = Quiet::default();
        let result = loop {
            match caught_in(waits.run(&mut out, source.next_batch())).await {
                Ok(None) => break Ok(()),
                Ok(Some(batch)) => {
                    // A reader that dropped its stream has what it wanted.
                    if sender.send(Ok(batch)).await.is_err() {
                        break Ok(());
                    }
                }
                Err(stop) => break Err(stop),
            }
        };
        drop(source);
        if let Err(e) = self.settle(result).await {
            let _ = sender.send(Err(e)).await;
        }
    }

    async fn begin_query(&mut self, id: u64, parameters: Vec<Datum>) -> Result<Box<curia_execute::RowSource>, Stop> {
        self.session.start_command();
        let prepared = self.find(id, &parameters)?;
        self.session.note_query(Query::Prepared(&prepared.sql));
        if !prepared.statement().is_some_and(Statement::is_bindable) {
            return Err(SqlError::unsupported("reading this statement's rows as Arrow").into());
        }
        match self.session.run(&prepared, parameters.into(), &mut Quiet::default()).await?.rows {
            Some(Rows::Plan(source)) => Ok(source),
            _ => Err(SqlError::new(SqlState::SYNTAX_ERROR, "the statement returns no rows").into()),
        }
    }
}

/// An output that keeps nothing but the last command tag, with the input of a COPY.
#[derive(Default)]
pub(crate) struct Quiet {
    input: Option<mpsc::Receiver<CopyPiece>>,
    tag: String,
}

impl Output for Quiet {
    fn parse_complete(&mut self) {}
    fn bind_complete(&mut self) {}
    fn close_complete(&mut self) {}
    fn no_data(&mut self) {}
    fn parameter_description(&mut self, _types: &[u32]) {}
    fn row_description(&mut self, _fields: &[Field], _formats: &[Format]) {}
    fn data_row(&mut self, _columns: usize, _write: &mut dyn FnMut(&mut Vec<u8>) -> Result<()>) -> Result<()> {
        Ok(())
    }
    fn command_complete(&mut self, tag: &str) {
        tag.clone_into(&mut self.tag);
    }
    fn empty_query(&mut self) {}
    fn portal_suspended(&mut self) {}
    fn notice(&mut self, _notice: &Notice) {}
    fn parameter_status(&mut self, _name: &str, _value: &str) {}
    fn copy_in(&mut self, _format: Format, _columns: usize) {}
    fn copy_out(&mut self, _format: Format, _columns: usize) {}
    fn copy_row(&mut self, _write: &mut dyn FnMut(&mut Vec<u8>) -> Result<()>) -> Result<()> {
        Ok(())
    }
    fn copy_done(&mut self) {}
    fn is_full(&self) -> bool {
        false
    }
    async fn pressure(&mut self) -> Result<(), Disconnected> {
        Ok(())
    }
    async fn flush(&mut self) -> Result<(), Disconnected> {
        Ok(())
    }
    async fn before_wait(&mut self) -> Result<(), Disconnected> {
        Ok(())
    }
    async fn copy_data(&mut self, data: &mut Vec<u8>) -> Result<CopyInput, Stop> {
        let Some(input) = &mut self.input else {
            return Err(SqlError::unsupported("COPY FROM STDIN here").into());
        };
        match input.recv().await {
            Some(CopyPiece::Data(piece)) => {
                data.extend_from_slice(&piece);
                Ok(CopyInput::Data)
            }
            Some(CopyPiece::Done) => Ok(CopyInput::Done),
            Some(CopyPiece::Fail(reason)) => Ok(CopyInput::Fail(reason)),
            None => Err(Stop::Disconnected),
        }
    }
}
