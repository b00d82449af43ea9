//! [`Client`]: a client at this server's door, wherever its session is; and passing its messages on while that is at another server.
//!
//! ```text
//!   client ──► unread ──frames──► outgoing ──► link          what it asks is noted in `outstanding`
//!   client ◄── outgoing ◄──frames── unread ◄── link          ReadyForQuery answers it; messages between servers stop here
//! ```
//!
//! Short messages go on when they are whole, long ones in pieces. Each side is read only while the other has taken what came before, so a
//! slow client holds back the session, and the other way round.

use crate::connection::Connection;
use crate::decode::{self, FrameError};
use crate::encode::{self, ErrorSeverity};
use crate::inner;
use crate::outstanding::{Fate, Outstanding};
use curia_parse::Statement;
use curia_session::IDLE_SESSION_TIMEOUT;
use curia_session::reading::only_reads;
use curia_session::{Carried, Cause, Interrupt, Output, TransactionStatus};
use curia_types::{SqlError, SqlState};
use std::collections::HashMap;
use std::future::pending;
use std::time::Duration;

/// Messages above this go on in pieces.
const PIECE_BYTES: usize = 32 << 10;
/// Nothing more is read for a side that has so much to take.
const WINDOW_BYTES: usize = 64 << 10;

/// See the module's page.
pub struct Client {
    /// To the client.
    pub connection: Connection,
    /// What its session carries, as the consul told it last.
    pub carried: Carried,
    /// Reported parameters, as the client was told them.
    told: HashMap<String, String>,
    outstanding: Outstanding,
    status: TransactionStatus,
    /// Bytes of the client's message that is on its way that have not come yet.
    asking: usize,
    /// Bytes of the consul's message that is on its way that have not come yet.
    answering: usize,
    /// How often what its session carries changed.
    pub changes: u64,
    /// This server can read for it.
    pub reads_here: bool,
    /// What it asks next does more than read.
    pub writes: bool,
    /// How long it may stay idle outside of transactions, as the consul said: reads that are answered here the consul does not see.
    idle_limit: Option<Duration>,
    /// It was given rows in the transaction block that it is in, and nobody has told it since that the block is lost.
    rows: bool,
    /// Its transaction block is lost, and it has not ended it: it stays failed until then, as with any other error.
    failed: bool,
    /// A pipeline was answered with an error: what follows is passed over, up to its Sync.
    skips: bool,
    /// It has said good-bye.
    leaves: bool,
}

/// Why a session is not passed on any more, or not for a moment.
#[derive(Debug)]
pub enum Parted {
    /// The client, or the session, is gone.
    Over,
    /// The client sends what is no message.
    Nonsense(FrameError),
    /// The consul has given its office up: the session is to be opened at the next one.
    Moved,
    /// The connection to the consul broke.
    Lost,
    /// Somebody cancels, or this server stops. The session can be passed on further.
    Told(Cause),
    /// It was idle for longer than `idle_session_timeout`.
    Idle,
    /// So many bytes of messages come next that this server may answer itself. Then the session can be passed on further.
    Reads(usize),
}

/// Who is to answer what the client asks next.
enum Next {
    /// This server may, so many bytes.
    Here(usize),
    /// The consul.
    There,
    /// Not all of it has come.
    Unknown,
}

/// What a client has waiting for a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// Nothing.
    Nothing,
    /// A message.
    Message,
    /// It is gone.
    Gone,
}

impl Client {
    /// A client that has shown who it is, and has no session yet.
    pub fn new(connection: Connection) -> Client {
        Client {
            connection,
            carried: Carried::default(),
            told: HashMap::new(),
            outstanding: Outstanding::default(),
            status: TransactionStatus::Idle,
            changes: 0,
            reads_here: false,
            writes: false,
            asking: 0,
            answering: 0,
            idle_limit: None,
            rows: false,
            failed: false,
            skips: false,
            leaves: false,
        }
    }

    /// Tells the client which reported parameters are others than it knows, and remembers them; only that, when `silently`.
    pub fn report(&mut self, reported: Vec<(String, String)>, silently: bool) {
        for (name, value) in reported {
            if self.told.get(&name) != Some(&value) {
                if !silently {
                    encode::parameter_status(self.connection.out(), &name, &value);
                }
                self.told.insert(name, value);
            }
        }
    }

    /// What the consul tells of a session's parameters that its client doesn't hear. Whether it was such a thing.
    pub fn learns(&mut self, name: &str, value: &str) -> bool {
        if name == IDLE_SESSION_TIMEOUT {
            self.idle_limit = value.parse().ok().filter(|limit| *limit > 0).map(Duration::from_millis);
        }
        name == IDLE_SESSION_TIMEOUT
    }

    /// Whether it must hear first that its transaction is lost.
    pub fn owes(&self) -> bool {
        self.failed || self.skips || self.asking > 0
    }

    /// Whether its session is outside of transactions and has nothing to do.
    pub fn at_rest(&self) -> bool {
        self.outstanding.is_empty() && self.status == TransactionStatus::Idle && !self.failed
    }

    /// Passes messages on in both directions until there is a reason not to. May be dropped while it waits, and called again.
    pub async fn relay(&mut self, link: &mut Connection, interrupt: &Interrupt) -> Parted {
        loop {
            if let Some(parted) = self.pass_answers(link) {
                return parted;
            }
            match self.next() {
                Ok(Next::Here(bytes)) => return Parted::Reads(bytes),
                Ok(Next::There) => {
                    if let Err(error) = self.pass_questions(link) {
                        return Parted::Nonsense(error);
                    }
                }
                Ok(Next::Unknown) => {}
                Err(error) => return Parted::Nonsense(error),
            }
            if self.connection.unread().is_empty() && link.unread().is_empty() && link.out().is_empty() && self.connection.out().is_empty()
            {
                self.connection.shrink();
                link.shrink();
            }
            let ask_on = !self.leaves && link.out().len() < WINDOW_BYTES && !self.outstanding.is_full();
            let answer_on = self.connection.out().len() < WINDOW_BYTES;
            let busy = !self.at_rest();
            let idle_limit = self.idle_limit.filter(|_| !busy && self.connection.unread().is_empty());
            tokio::select! {
                client = self.connection.exchange(ask_on) => if client.is_err() {
                    return Parted::Over;
                },
                consul = link.exchange(answer_on) => if consul.is_err() {
                    return match self.leaves {
                        true => Parted::Over,
                        false => Parted::Lost,
                    };
                },
                cause = interrupt.told(busy) => return Parted::Told(cause),
                () = idle(idle_limit) => return Parted::Idle,
            }
        }
    }

    /// Messages that this server may answer itself, while it is between two sessions.
    pub fn reads(&self) -> Option<usize> {
        match self.next() {
            Ok(Next::Here(bytes)) => Some(bytes),
            _ => None,
        }
    }

    /// The newest CSN that the client was told of.
    pub fn seen(&self) -> u64 {
        self.told.get("curia.last_csn").and_then(|csn| csn.parse().ok()).unwrap_or(0)
    }

    /// Outside of transactions a query, or a pipeline up to its Sync, is answered here when all of it only reads and the session wants that.
    fn next(&self) -> Result<Next, FrameError> {
        let wanted = || self.told.get("curia.read").is_some_and(|level| level != "consul");
        // The temporary tables of a session are the consul's.
        if !self.reads_here || self.writes || self.asking > 0 || !self.at_rest() || self.carried.stays.is_some() || !wanted() {
            return Ok(Next::There);
        }
        let unread = self.connection.unread();
        let (mut rest, mut parsed, mut executes) = (unread, false, false);
        let unknown = || match unread.len() < PIECE_BYTES {
            true => Next::Unknown,
            false => Next::There,
        };
        loop {
            let Some(frame) = decode::frame(rest, self.connection.message_limit())? else {
                return Ok(unknown());
            };
            let Some((message, after)) = rest.split_at_checked(frame.size()) else {
                return Ok(unknown());
            };
            let first = rest.len() == unread.len();
            rest = after;
            match decode::message(frame.kind, &message[decode::Frame::HEADER..]) {
                Ok(decode::Message::Query(sql)) if first && is_local(sql) => return Ok(Next::Here(frame.size())),
                Ok(decode::Message::Parse { statement: "", sql, .. }) if is_local(sql) => parsed = true,
                Ok(decode::Message::Bind { statement: "", .. }) if parsed => {}
                Ok(decode::Message::Bind { statement, .. })
                    if !statement.is_empty() && self.carried.statements.get(statement).is_some_and(|s| is_local(&s.sql)) => {}
                Ok(decode::Message::Describe(decode::Target::Portal, _)) => {}
                Ok(decode::Message::Describe(_, name)) if !name.is_empty() || parsed => {}
                Ok(decode::Message::Close(decode::Target::Portal, _)) => {}
                Ok(decode::Message::Execute { .. }) => executes = true,
                Ok(decode::Message::Sync) if executes => return Ok(Next::Here(unread.len() - rest.len())),
                _ => return Ok(Next::There),
            }
        }
    }

    fn pass_questions(&mut self, link: &mut Connection) -> Result<(), FrameError> {
        while link.out().len() < WINDOW_BYTES && !self.leaves {
            let limit = self.connection.message_limit();
            let unread = self.connection.unread();
            if self.asking > 0 {
                let piece = unread.len().min(self.asking);
                if piece == 0 {
                    break;
                }
                link.out().extend_from_slice(&unread[..piece]);
                self.connection.consume(piece);
                self.asking -= piece;
                continue;
            }
            let Some(frame) = decode::frame(unread, limit)? else { break };
            let here = unread.len().min(frame.size());
            let whole = here == frame.size();
            if (!whole && frame.size() <= PIECE_BYTES) || self.outstanding.is_full() {
                break;
            }
            self.writes = false;
            self.outstanding.sent(frame.kind, &unread[..here], whole);
            self.leaves = frame.kind == b'X';
            link.out().extend_from_slice(&unread[..here]);
            self.connection.consume(here);
            self.asking = frame.size() - here;
        }
        Ok(())
    }

    fn pass_answers(&mut self, link: &mut Connection) -> Option<Parted> {
        while self.connection.out().len() < WINDOW_BYTES {
            let unread = link.unread();
            if self.answering > 0 {
                let piece = unread.len().min(self.answering);
                if piece == 0 {
                    break;
                }
                self.connection.out().extend_from_slice(&unread[..piece]);
                link.consume(piece);
                self.answering -= piece;
                continue;
            }
            let Some(frame) = encode::outline(unread) else { break };
            let here = unread.len().min(frame.size());
            let whole = here == frame.size();
            let mut ours = frame.kind < b' ';
            if !whole && (ours || frame.size() <= PIECE_BYTES) {
                break;
            }
            let message = &unread[..here];
            let body = &message[decode::Frame::HEADER..];
            match frame.kind {
                inner::NEWS => {
                    self.changes += 1;
                    if self.carried.take(body).is_none() {
                        // Better it can't move than that it moves with half of what it has.
                        self.carried.stays = Some("its consul is of another version".to_owned());
                    }
                }
                inner::MOVED => return Some(Parted::Moved),
                inner::ENDED => return Some(Parted::Over),
                b'Z' => {
                    self.status = status(body.first());
                    self.rows &= self.status != TransactionStatus::Idle;
                    self.outstanding.ready();
                }
                b'E' => self.outstanding.failed(),
                b'G' => self.outstanding.copy_in(),
                b'D' | b'd' => self.rows = true,
                b'S' => {
                    let mut texts = body.split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned());
                    if let (Some(name), Some(value)) = (texts.next(), texts.next()) {
                        ours = self.learns(&name, &value);
                        if !ours {
                            self.told.insert(name, value);
                        }
                    }
                }
                _ => {}
            }
            if !matches!(frame.kind, b'Z' | b'N' | b'A' | b'S') {
                self.outstanding.begun();
            }
            if !ours {
                self.connection.out().extend_from_slice(message);
            }
            link.consume(here);
            self.answering = frame.size() - here;
        }
        None
    }

    /// The session gave its place up in good order, outside of transactions: what it was asked since, and did not act on, is asked again.
    pub fn moved(&mut self) {
        self.status = TransactionStatus::Idle;
        let again = if self.asking == 0 { self.outstanding.again() } else { None };
        match again {
            Some(messages) => self.connection.unconsume(&messages),
            None => self.give_up(&[]),
        }
    }

    /// The session was lost: what the client asked is answered as well as can be. False: nothing more can be said to it.
    pub fn lost(&mut self) -> bool {
        if self.answering > 0 {
            return false; // it has half a message
        }
        let in_block = self.status != TransactionStatus::Idle;
        let fates = self.outstanding.fates(in_block, &self.carried);
        let any = fates.iter().any(|fate| fate.may_have_committed);
        if let Some(why) = &self.carried.stays {
            let error = match any {
                true => unknown(),
                false => SqlError::new(SqlState::ADMIN_SHUTDOWN, "terminating connection because the consul was lost")
                    .detail(format!("The session can't go on with the next one: {why}.")),
            };
            encode::error(self.connection.out(), ErrorSeverity::Fatal, &error);
            return false;
        }
        if !in_block && !any {
            self.moved(); // what only reads is asked again
            return true;
        }
        self.failed = in_block;
        self.give_up(&fates);
        true
    }

    /// Answers all that is outstanding: 08007 to the units that may have committed, 40001 to others. Who only closes a statement in
    /// a block hears nothing of its loss, and whoever comes next does.
    fn give_up(&mut self, fates: &[Fate]) {
        for (at, unit) in self.outstanding.give_up().into_iter().enumerate() {
            let fate = fates.get(at);
            match fate.and_then(|fate| fate.closes).filter(|_| self.failed) {
                Some(closes) => (0..closes).for_each(|_| encode::empty(self.connection.out(), b'3')),
                None if unit.failed => {}
                None => {
                    let error = match fate.is_some_and(|fate| fate.may_have_committed) {
                        true => unknown(),
                        false => curia_session::backends::consul_changed(),
                    };
                    self.rows = false;
                    encode::error(self.connection.out(), ErrorSeverity::Error, &error);
                }
            }
            self.failed &= fate.is_some_and(|fate| fate.in_block);
            match unit.complete {
                true => self.ready(),
                false => self.skips = true,
            }
        }
        self.status = TransactionStatus::Idle;
    }

    fn ready(&mut self) {
        let status = match self.failed {
            true => TransactionStatus::Failed,
            false => TransactionStatus::Idle,
        };
        encode::ready(self.connection.out(), status);
    }

    /// Between two sessions: reads on over what nobody is to act on. What the client then waits for.
    pub async fn waiting(&mut self) -> Waiting {
        if self.connection.flush().await.is_err() || self.leaves {
            return Waiting::Gone;
        }
        loop {
            if self.asking > 0 {
                let gone = self.connection.unread().len().min(self.asking);
                self.connection.consume(gone);
                self.asking -= gone;
            }
            if self.asking > 0 {
                return Waiting::Nothing;
            }
            let unread = self.connection.unread();
            let frame = match decode::frame(unread, self.connection.message_limit()) {
                Ok(Some(frame)) => frame,
                Ok(None) => return Waiting::Nothing,
                Err(error) => {
                    encode::error(self.connection.out(), ErrorSeverity::Fatal, &error.to_sql_error());
                    return Waiting::Gone;
                }
            };
            let here = unread.len().min(frame.size());
            match frame.kind {
                b'X' => return Waiting::Gone,
                b'S' if self.skips || self.failed => {
                    self.skips = false;
                    self.ready();
                }
                // Left over from a COPY.
                b'd' | b'c' | b'f' => {}
                _ if self.skips => {}
                _ if self.failed && here < frame.size() && frame.size() <= PIECE_BYTES => return Waiting::Nothing,
                b'H' if self.failed => {}
                b'C' if self.failed => {
                    if let Ok(decode::Message::Close(decode::Target::Statement, name)) =
                        decode::message(b'C', &unread[decode::Frame::HEADER.min(here)..here])
                    {
                        self.carried.statements.remove(name);
                    }
                    encode::empty(self.connection.out(), b'3');
                }
                kind if self.failed => {
                    let body = &unread[decode::Frame::HEADER.min(here)..here];
                    let end = self.ends(kind, body);
                    self.failed &= end.is_none();
                    if let Some(Statement::Rollback { .. }) = end
                        && !self.rows
                    {
                        return Waiting::Message;
                    }
                    // Also who commits: an error before may have been overheard. And who rolls back and took rows for true: its consul may not
                    // have been the consul any more when it gave them.
                    self.rows = false;
                    self.refuse(&curia_session::backends::consul_changed());
                    continue;
                }
                _ => return Waiting::Message,
            }
            self.connection.consume(here);
            self.asking = frame.size() - here;
            if self.connection.flush().await.is_err() {
                return Waiting::Gone;
            }
        }
    }

    /// COMMIT or ROLLBACK, when a message is that and nothing else.
    fn ends(&self, kind: u8, body: &[u8]) -> Option<Statement> {
        let sql = match decode::message(kind, body).ok()? {
            decode::Message::Query(sql) | decode::Message::Parse { sql, .. } => sql,
            decode::Message::Bind { statement, .. } => &*self.carried.statements.get(statement)?.sql,
            _ => return None,
        };
        let mut parsed = curia_parse::parse(sql).ok()?;
        let one = parsed.pop().filter(|_| parsed.is_empty())?.statement;
        matches!(one, Statement::Commit { .. } | Statement::Rollback { .. }).then_some(one)
    }

    /// Answers the message that waits with an error; the session stays.
    pub fn refuse(&mut self, error: &SqlError) {
        let unread = self.connection.unread();
        let Ok(Some(frame)) = decode::frame(unread, self.connection.message_limit()) else {
            return;
        };
        let here = unread.len().min(frame.size());
        self.connection.consume(here);
        self.asking = frame.size() - here;
        encode::error(self.connection.out(), ErrorSeverity::Error, error);
        match frame.kind {
            b'Q' | b'S' | b'F' => self.ready(),
            _ => self.skips = true,
        }
    }
}

/// Whether a text has only statements that another server than the consul can answer, outside of a transaction.
fn is_local(sql: &str) -> bool {
    let alone = |statement: &Statement| {
        matches!(
            statement,
            Statement::Query(_) | Statement::Explain(_) | Statement::Show(_) | Statement::Copy(_) | Statement::Execute(_)
        )
    };
    only_reads(sql) && curia_parse::parse(sql).is_ok_and(|all| !all.is_empty() && all.iter().all(|parsed| alone(&parsed.statement)))
}

/// Waits so long; for ever without a limit.
async fn idle(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => pending().await,
    }
}

fn status(letter: Option<&u8>) -> TransactionStatus {
    match letter {
        Some(b'T') => TransactionStatus::InTransaction,
        Some(b'E') => TransactionStatus::Failed,
        _ => TransactionStatus::Idle,
    }
}

fn unknown() -> SqlError {
    SqlError::new(
        SqlState::TRANSACTION_RESOLUTION_UNKNOWN,
        "the consul was lost before the outcome of the transaction was known",
    )
    .hint("It may have committed: txid_status() tells, of a transaction that asked for its txid_current().")
}
