//! The sessions that are connected, so that one can be cancelled or ended from outside.

use crate::context::Shared;
use crate::notifications::Notification;
use curia_types::{Result, SqlError, SqlState};
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::ops::Range;
use std::sync::atomic::{AtomicI32, AtomicU8, Ordering};
use std::sync::{Arc, Weak};
use tokio::sync::Notify;

/// Why a session should stop what it does. Each is a bit of its own: a cancel does not hide a shutdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Cause {
    /// CancelRequest, `pg_cancel_backend`: the running statement fails.
    Cancel = 1,
    /// The server is going down: the session ends as soon as it is outside a transaction.
    Drain = 2,
    /// `pg_terminate_backend`, or the end of the drain's time limit: the statement fails and the session ends.
    Terminate = 4,
    /// This server is not the consul any more: the session goes on with the next one as soon as it is outside a transaction. Until then
    /// its transaction begins no statement.
    Move = 16,
    /// It has had its time to: the statement under way fails too.
    Abandon = 32,
}

/// Bit beside those of [`Cause`]: notifications wait for the session.
const RUNG: u8 = 8;

/// Process numbers of one server: those below belong to the server before. Sessions keep theirs when they move, so no two servers have one in
/// common, up to so many servers.
const NUMBERS_BITS: u32 = 20;
/// See [`NUMBERS_BITS`].
const SERVERS: u64 = 2_047;

/// What names a session to cancel requests: BackendKeyData.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// What `pg_backend_pid` says. A number of ours, not of the operating system.
    pub process: i32,
    /// Who cancels must know it.
    pub secret: i32,
}

/// The stop signal of one session: set from any thread, seen by its statement at every wait and every batch of rows.
#[derive(Debug, Default)]
pub struct Interrupt {
    pending: AtomicU8,
    wake: Notify,
}

impl Interrupt {
    /// Asks the session to stop.
    pub fn raise(&self, cause: Cause) {
        self.pending.fetch_or(cause as u8, Ordering::AcqRel);
        self.wake.notify_one();
    }

    fn has(&self, cause: Cause) -> bool {
        self.pending.load(Ordering::Acquire) & cause as u8 != 0
    }

    /// Whether the session is to go on with another consul.
    pub fn moves(&self) -> bool {
        self.has(Cause::Move)
    }

    /// Whether the server is going down.
    pub fn drains(&self) -> bool {
        self.has(Cause::Drain)
    }

    /// Waits until somebody cancels, which is then forgotten, or the session should end: for who passes it on.
    pub async fn told(&self, in_transaction: bool) -> Cause {
        loop {
            if self.should_end(in_transaction) {
                return Cause::Terminate;
            }
            if self.has(Cause::Cancel) {
                self.clear_cancel();
                return Cause::Cancel;
            }
            self.wake.notified().await;
        }
    }

    /// Forgets a cancel that came while nothing ran.
    pub fn clear_cancel(&self) {
        self.pending.fetch_and(!(Cause::Cancel as u8), Ordering::AcqRel);
    }

    /// Whether the session should end now that it is idle.
    pub fn should_end(&self, in_transaction: bool) -> bool {
        self.has(Cause::Terminate) || (!in_transaction && self.has(Cause::Drain))
    }

    /// Tells the session that notifications wait for it.
    pub fn ring(&self) {
        self.pending.fetch_or(RUNG, Ordering::AcqRel);
        self.wake.notify_one();
    }

    /// Whether it was told so since the last question.
    pub fn take_ring(&self) -> bool {
        self.pending.fetch_and(!RUNG, Ordering::AcqRel) & RUNG != 0
    }

    /// Waits until an idle session should end (true), or has notifications to send or is to move (false; never inside a transaction).
    pub async fn called(&self, in_transaction: bool) -> bool {
        loop {
            if self.should_end(in_transaction) {
                return true;
            }
            if !in_transaction && self.pending.load(Ordering::Acquire) & (RUNG | Cause::Move as u8) != 0 {
                return false;
            }
            self.wake.notified().await;
        }
    }

    /// Waits until an idle session should end, one that can't move when it would have to as well.
    pub async fn ended(&self, in_transaction: bool) {
        while !self.should_end(in_transaction) && (in_transaction || !self.moves()) {
            self.wake.notified().await;
        }
    }

    /// Waits until a running statement should stop.
    pub async fn stopped(&self) -> SqlError {
        loop {
            if let Err(e) = self.check() {
                return e;
            }
            self.wake.notified().await;
        }
    }

    /// 57014, 57P01 or 40001 when a running statement should stop.
    pub fn check(&self) -> Result<()> {
        // One load on the path of every row batch.
        match self.pending.load(Ordering::Acquire) & (Cause::Cancel as u8 | Cause::Terminate as u8 | Cause::Abandon as u8) {
            0 => Ok(()),
            bits if bits & Cause::Terminate as u8 != 0 => Err(terminated()),
            bits if bits & Cause::Abandon as u8 != 0 => Err(consul_changed()),
            _ => Err(SqlError::new(SqlState::QUERY_CANCELED, "canceling statement due to user request")),
        }
    }
}

/// 57P01 in PostgreSQL's words.
pub fn terminated() -> SqlError {
    SqlError::new(SqlState::ADMIN_SHUTDOWN, "terminating connection due to administrator command")
}

/// 57P05 in PostgreSQL's words.
pub fn idle_for_too_long() -> SqlError {
    SqlError::new(SqlState::new("57P05"), "terminating connection due to idle-session timeout")
}

/// 40001: what a transaction hears that outlived its consul's time in office.
pub fn consul_changed() -> SqlError {
    SqlError::new(
        SqlState::SERIALIZATION_FAILURE,
        "could not go on with the transaction because the consul changed",
    )
    .hint("Nothing of it has happened: run the transaction again.")
}

/// One connected session.
pub(crate) struct Backend {
    secret: i32,
    pub(crate) interrupt: Arc<Interrupt>,
    /// Its session, once that is open here.
    session: Weak<Shared>,
    /// Channels that it listens on.
    pub(crate) channels: BTreeSet<String>,
    /// Notifications that wait for it.
    pub(crate) queue: VecDeque<Arc<Notification>>,
}

/// All connected sessions by process id. Holds at most `limit`.
pub struct Backends {
    pub(crate) all: Mutex<HashMap<i32, Backend>>,
    limit: usize,
    /// Process numbers that are given here.
    numbers: Range<i32>,
    next: AtomicI32,
}

/// A session's place among the connected ones, given back when dropped.
pub struct Registration {
    backends: Arc<Backends>,
    /// What cancel requests name it by.
    pub key: Key,
    /// The session's stop signal.
    pub interrupt: Arc<Interrupt>,
}

impl Backends {
    /// An empty registry for at most `limit` sessions that are opened by a server (0: the only one) itself.
    pub fn new(limit: usize, server: u64) -> Arc<Backends> {
        Backends::numbered(limit, server, 0)
    }

    /// One for the clients at the server's door, wherever their sessions are; with other numbers.
    pub fn at_door(limit: usize, server: u64) -> Arc<Backends> {
        Backends::numbered(limit, server, 1 << (NUMBERS_BITS - 1))
    }

    fn numbered(limit: usize, server: u64, from: i32) -> Arc<Backends> {
        let from = (((server % SERVERS) as i32) << NUMBERS_BITS) + from;
        let numbers = from + 1..from + (1 << (NUMBERS_BITS - 1));
        Arc::new(Backends {
            all: Mutex::new(HashMap::new()),
            limit,
            next: AtomicI32::new(numbers.start),
            numbers,
        })
    }

    /// Takes a place, or 53300.
    pub fn register(self: &Arc<Self>) -> Result<Registration> {
        self.register_within(self.limit)
    }

    /// Takes a place where fewer than `limit` are taken, or 53300: the server's own work goes on when clients have all that are theirs.
    pub(crate) fn register_within(self: &Arc<Self>, limit: usize) -> Result<Registration> {
        let mut all = self.all.lock();
        if all.len() >= limit.min(self.numbers.len()) {
            return Err(too_many());
        }
        let process = loop {
            let n = self.next.fetch_add(1, Ordering::Relaxed);
            if n >= self.numbers.end {
                self.next.store(self.numbers.start, Ordering::Relaxed);
            } else if !all.contains_key(&n) {
                break n;
            }
        };
        // From a cryptographic generator: whoever guesses it can cancel the session's statements.
        let secret: i32 = rand::random();
        Ok(self.enter(&mut all, Key { process, secret }))
    }

    /// Takes a place for a session that has its key already. Where another session has it, that one is asked to end.
    ///
    /// # Errors
    /// 53300; 57P03 while the other one is there.
    pub fn register_as(self: &Arc<Self>, key: Key) -> Result<Registration> {
        let mut all = self.all.lock();
        if let Some(other) = all.get(&key.process) {
            // The connection over which it was passed on is gone, and nobody has told it yet: its door has opened the session again, or
            // gives the number to somebody else after a restart.
            other.interrupt.raise(Cause::Terminate);
            return Err(SqlError::new(
                SqlState::CANNOT_CONNECT_NOW,
                "the session is still open on another connection",
            ));
        }
        if all.len() >= self.limit {
            return Err(too_many());
        }
        Ok(self.enter(&mut all, key))
    }

    fn enter(self: &Arc<Self>, all: &mut HashMap<i32, Backend>, key: Key) -> Registration {
        let interrupt = Arc::new(Interrupt::default());
        all.insert(
            key.process,
            Backend {
                secret: key.secret,
                interrupt: interrupt.clone(),
                session: Weak::new(),
                channels: BTreeSet::new(),
                queue: VecDeque::new(),
            },
        );
        Registration {
            backends: self.clone(),
            key,
            interrupt,
        }
    }

    /// CancelRequest: does nothing when the key is not the session's.
    pub fn cancel(&self, key: Key) -> bool {
        match self.all.lock().get(&key.process) {
            Some(b) if b.secret == key.secret => {
                b.interrupt.raise(Cause::Cancel);
                true
            }
            _ => false,
        }
    }

    /// `pg_cancel_backend` and `pg_terminate_backend`: false when there is no such session.
    pub fn raise(&self, process: i32, cause: Cause) -> bool {
        let all = self.all.lock();
        // One that has moved here since is not abandoned.
        let meant = all.get(&process).filter(|b| cause != Cause::Abandon || b.interrupt.moves());
        meant.map(|b| b.interrupt.raise(cause)).is_some()
    }

    /// Asks every session to end.
    pub fn raise_all(&self, cause: Cause) {
        for b in self.all.lock().values() {
            b.interrupt.raise(cause);
        }
    }

    /// Takes back what every session was asked, as far as it has not happened.
    pub fn lower_all(&self, cause: Cause) {
        for b in self.all.lock().values() {
            b.interrupt.pending.fetch_and(!(cause as u8), Ordering::AcqRel);
        }
    }

    /// Ends the sessions of the clients at a server that is heard of no more, without a word: there it is said what became of them, should
    /// it come back. How many.
    pub fn cut_off(&self, server: u64) -> usize {
        let all = self.all.lock();
        let of_server = all.iter().filter(|(process, _)| numbered_by(**process, server));
        of_server
            .map(|(_, b)| {
                b.interrupt.raise(Cause::Drain);
                b.interrupt.raise(Cause::Terminate);
            })
            .count()
    }

    /// Process ids of the connected sessions.
    pub fn processes(&self) -> Vec<i32> {
        let mut all: Vec<i32> = self.all.lock().keys().copied().collect();
        all.sort_unstable();
        all
    }

    /// The sessions that are open here, by process id.
    pub(crate) fn sessions(&self) -> Vec<Arc<Shared>> {
        let mut all: Vec<Arc<Shared>> = self.all.lock().values().filter_map(|b| b.session.upgrade()).collect();
        all.sort_unstable_by_key(|session| session.process);
        all
    }

    /// How many are connected.
    pub fn len(&self) -> usize {
        self.all.lock().len()
    }

    /// Whether none is connected.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Registration {
    /// Lets others see what its session does.
    pub(crate) fn introduce(&self, session: &Arc<Shared>) {
        if let Some(own) = self.backends.all.lock().get_mut(&self.key.process) {
            own.session = Arc::downgrade(session);
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.backends.all.lock().remove(&self.key.process);
    }
}

/// Whether a server gave this process number.
pub fn numbered_by(process: i32, server: u64) -> bool {
    process >> NUMBERS_BITS == (server % SERVERS) as i32
}

fn too_many() -> SqlError {
    SqlError::new(SqlState::TOO_MANY_CONNECTIONS, "sorry, too many clients already")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cancel_needs_the_sessions_key() {
        let all = Backends::new(10, 0);
        let one = all.register().unwrap();
        assert!(!all.cancel(Key {
            secret: one.key.secret.wrapping_add(1),
            ..one.key
        }));
        assert!(one.interrupt.check().is_ok());
        assert!(all.cancel(one.key));
        assert_eq!(one.interrupt.check().unwrap_err().code(), SqlState::QUERY_CANCELED);
        one.interrupt.clear_cancel();
        assert!(one.interrupt.check().is_ok());
    }

    #[test]
    fn the_limit_counts_connected_sessions_only() {
        let all = Backends::new(1, 0);
        let one = all.register().unwrap();
        assert_eq!(all.register().err().unwrap().code(), SqlState::TOO_MANY_CONNECTIONS);
        drop(one);
        assert!(all.register().is_ok());
    }

    #[test]
    fn the_servers_own_sessions_are_opened_past_the_limit() {
        let all = Backends::new(1, 0);
        let _one = all.register().unwrap();
        assert!(all.register_within(usize::MAX).is_ok());
    }

    #[test]
    fn what_sessions_were_asked_can_be_taken_back() {
        let all = Backends::new(2, 0);
        let (one, two) = (all.register().unwrap(), all.register().unwrap());
        all.raise_all(Cause::Drain);
        two.interrupt.raise(Cause::Terminate);
        all.lower_all(Cause::Drain);
        assert!(!one.interrupt.should_end(false));
        assert!(two.interrupt.should_end(true) && !two.interrupt.drains());
    }

    #[test]
    fn the_sessions_of_a_server_that_is_lost_are_those_with_its_numbers() {
        let (here, there) = (Backends::new(9, 1), Backends::at_door(9, 2));
        let own = here.register().unwrap();
        let passed_on = here.register_as(there.register().unwrap().key).unwrap();
        assert_eq!(here.cut_off(3), 0);
        assert_eq!(here.cut_off(2), 1);
        assert!(passed_on.interrupt.should_end(true) && passed_on.interrupt.drains());
        assert!(!own.interrupt.should_end(false));
    }

    #[test]
    fn servers_give_numbers_that_no_other_server_gives() {
        let all = [
            Backends::new(9, 0),
            Backends::at_door(9, 0),
            Backends::new(9, 2_046),
            Backends::at_door(9, 2_046),
        ];
        let first: Vec<_> = all.iter().map(|b| b.register().unwrap().key.process).collect();
        assert_eq!(first, [1, (1 << 19) + 1, (2_046 << 20) + 1, (2_046 << 20) + (1 << 19) + 1]);
    }

    #[test]
    fn who_has_a_key_already_takes_the_place_of_whom_it_had_before() {
        let all = Backends::new(2, 1);
        let one = all.register().unwrap();
        // Its door has restarted, and gives its number to another client.
        let key = Key {
            secret: one.key.secret.wrapping_add(1),
            ..one.key
        };
        assert_eq!(all.register_as(key).err().unwrap().code(), SqlState::CANNOT_CONNECT_NOW);
        assert!(one.interrupt.should_end(true));
        assert_eq!(all.register_as(one.key).err().unwrap().code(), SqlState::CANNOT_CONNECT_NOW);
        let key = one.key;
        drop(one);
        assert_eq!(all.register_as(key).unwrap().key, key);
    }
}
