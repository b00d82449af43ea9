//! Who holds and who waits.
//!
//! A lock is an entry of one shard while somebody holds or awaits it, and nothing otherwise. Grants are first come, first served: a
//! request waits behind an earlier waiter it conflicts with even when the holders would let it in. A transaction that holds a lock
//! already and asks for more goes before the others, as nobody behind it could be served first.
//!
//! **Early release.** A transaction whose commit was handed over keeps its locks until that is applied, but says so of the rows that it
//! updated, with what it made of them. A request that can go on from there ([`Mode::passing`]) does not wait for it:
//!
//! ```text
//!   T1  update ── handed over ──────────────────── applied, released
//!   T2     waits └► passes, update ── handed over ──────────────────── applied, released
//!   T3     waits ─────────────────────────────────┘ any other request waits for T1 and T2 as ever
//! ```

use super::deadlock::{Waiting, WaitsFor};
use super::mode::{LockStrength, TableLock};
use crate::database::Database;
use crate::replication::CommitTicket;
use crate::slot::SessionSlot;
use bytes::Bytes;
use curia_types::Result;
use hashbrown::{HashMap, HashTable};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::future::Future;
use std::hash::{BuildHasher, Hasher};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::SystemTime;

/// Number of shards; a power of two, well above the number of cores.
const SHARDS: usize = 64;

/// A transaction as a holder of locks: its session's slot and how many transactions that slot has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Owner(pub(crate) u64);

/// Bits of the transaction's number in an owner.
const NUMBER_BITS: u32 = 40;

impl Owner {
    /// The owner for a session's transaction. Number 0 stands for the session itself, which owns advisory locks.
    pub(crate) fn new(session: u32, number: u64) -> Owner {
        Owner(u64::from(session) << NUMBER_BITS | number & ((1 << NUMBER_BITS) - 1))
    }
    pub(crate) fn session(self) -> u32 {
        (self.0 >> NUMBER_BITS) as u32
    }
    pub(crate) fn number(self) -> u64 {
        self.0 & ((1 << NUMBER_BITS) - 1)
    }
    pub(crate) fn is_session(self) -> bool {
        self.number() == 0
    }
}

/// What is locked: a space (a storage id, or one of the constants) and bytes in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LockKey {
    pub(crate) space: u32,
    pub(crate) bytes: Arc<[u8]>,
    hash: u64,
}

/// Space of table locks; bytes are the table's OID.
pub(crate) const TABLES: u32 = u32::MAX;
/// Space of names of objects about to exist; bytes are schema and name.
pub(crate) const NAMES: u32 = u32::MAX - 1;
/// Space of advisory locks.
pub(crate) const ADVISORY: u32 = u32::MAX - 2;
/// Space of idempotency keys; bytes are role and key.
pub(crate) const KEYS: u32 = u32::MAX - 3;

impl LockKey {
    pub(crate) fn table(oid: u32) -> LockKey {
        LockKey::new(TABLES, &oid.to_be_bytes())
    }
    pub(crate) fn new(space: u32, bytes: &[u8]) -> LockKey {
        LockKey {
            space,
            hash: hash(space, bytes),
            bytes: Arc::from(bytes),
        }
    }
    /// Whether it is another kind of lock than on a row or unique key.
    pub(crate) fn is_of_no_row(&self) -> bool {
        self.space >= KEYS
    }
    fn is(&self, space: u32, bytes: &[u8]) -> bool {
        self.space == space && *self.bytes == *bytes
    }
}

fn hash(space: u32, bytes: &[u8]) -> u64 {
    let mut h = foldhash::fast::FixedState::with_seed(0x6375_7269).build_hasher();
    h.write_u32(space);
    h.write(bytes);
    h.finish()
}

/// A mode as bits: its own, and those it conflicts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mode {
    pub(crate) bit: u8,
    pub(crate) conflicts: u8,
    /// Name in messages.
    pub(crate) name: &'static str,
    /// It needs not wait for who has handed over what became of the row.
    passes: bool,
}

impl Mode {
    /// The same for a request that goes on from what was handed over: see [`LockTable::handed_over`].
    pub(crate) fn passing(self) -> Mode {
        Mode { passes: true, ..self }
    }
}

impl From<LockStrength> for Mode {
    fn from(s: LockStrength) -> Mode {
        Mode {
            bit: s.bit(),
            conflicts: s.conflicts(),
            name: "ShareLock",
            passes: false,
        }
    }
}

impl From<TableLock> for Mode {
    fn from(m: TableLock) -> Mode {
        Mode {
            bit: m.bit(),
            conflicts: m.conflicts(),
            name: m.name(),
            passes: false,
        }
    }
}

struct Entry {
    key: LockKey,
    /// Each owner once.
    holders: Vec<Holder>,
    waiters: VecDeque<Waiter>,
}

struct Holder {
    owner: Owner,
    /// All modes that it holds.
    bits: u8,
    /// It holds them for no other reason than that its commit is under way.
    handed_over: Option<HandedOver>,
}

/// What became of a row in a commit that is under way.
#[derive(Clone)]
pub(crate) struct HandedOver {
    pub(crate) row: Bytes,
    pub(crate) ticket: CommitTicket,
    /// Counts those who hand over the same row while others of them are under way.
    order: u64,
}

impl Holder {
    fn new(owner: Owner, bits: u8) -> Holder {
        Holder {
            owner,
            bits,
            handed_over: None,
        }
    }

    /// Whether it keeps somebody else's request waiting.
    fn blocks(&self, owner: Owner, mode: Mode) -> bool {
        self.owner != owner && self.bits & mode.conflicts != 0 && !(mode.passes && self.handed_over.is_some())
    }
}

struct Waiter {
    owner: Owner,
    mode: Mode,
    since: SystemTime,
    cell: Arc<Cell>,
}

/// A copy of an entry, for listing.
pub(super) struct Listed {
    pub(super) space: u32,
    pub(super) bytes: Arc<[u8]>,
    pub(super) holders: Vec<(Owner, u8)>,
    pub(super) waiters: Vec<ListedWaiter>,
}

pub(super) struct ListedWaiter {
    pub(super) owner: Owner,
    pub(super) mode: Mode,
    pub(super) since: SystemTime,
}

/// Where a waiter learns that it holds the lock.
#[derive(Default)]
struct Cell(Mutex<(bool, Option<Waker>)>);

/// The lock table.
pub(crate) struct LockTable {
    shards: Box<[Mutex<HashTable<Entry>>]>,
    waits: WaitsFor,
}

/// What asking for a lock led to.
pub(crate) enum Acquire<'a> {
    /// Held now in the mode asked for, which is to be given back at the end. `None`: the owner's locks on it were strong enough already.
    Granted(Option<LockKey>),
    /// Somebody is in the way.
    Conflict(Blocked<'a>),
}

/// A request that would have to wait. Awaiting starts with [`Blocked::wait`]; dropping it asks for nothing.
pub(crate) struct Blocked<'a> {
    table: &'a LockTable,
    key: LockKey,
    mode: Mode,
    owner: Owner,
}

/// The transaction that a request is made in. It is who waits, also where its session will own the lock.
pub(crate) struct Identity<'a> {
    pub(crate) transaction: Owner,
    pub(crate) slot: &'a Arc<SessionSlot>,
    /// Numbers transactions that a message names.
    pub(crate) database: &'a Database,
}

impl LockTable {
    pub(crate) fn new() -> LockTable {
        LockTable {
            shards: (0..SHARDS).map(|_| Mutex::new(HashTable::new())).collect(),
            waits: WaitsFor::default(),
        }
    }

    fn shard(&self, hash: u64) -> &Mutex<HashTable<Entry>> {
        &self.shards[(hash >> 57) as usize & (SHARDS - 1)]
    }

    /// Takes the lock if nobody is in the way. `strength order` of rows and conflict sets of tables both say when a held mode suffices:
    /// when it conflicts with all that the wanted one conflicts with.
    pub(crate) fn acquire(&self, owner: Owner, space: u32, bytes: &[u8], mode: Mode) -> Acquire<'_> {
        let hash = hash(space, bytes);
        let mut shard = self.shard(hash).lock();
        let Some(entry) = shard.find_mut(hash, |e| e.key.is(space, bytes)) else {
            let key = LockKey {
                space,
                bytes: Arc::from(bytes),
                hash,
            };
            let entry = Entry {
                key: key.clone(),
                holders: vec![Holder::new(owner, mode.bit)],
                waiters: VecDeque::new(),
            };
            shard.insert_unique(hash, entry, |e| e.key.hash);
            return Acquire::Granted(Some(key));
        };
        let held = entry.held_by(owner);
        // Modes of an advisory lock are given back one by one, so each is held for itself.
        if held & mode.bit != 0 || space != ADVISORY && covers(space, held, mode) {
            return Acquire::Granted(None);
        }
        if entry.admits(owner, mode, held != 0) {
            entry.grant(owner, mode);
            return Acquire::Granted(Some(entry.key.clone()));
        }
        Acquire::Conflict(Blocked {
            table: self,
            key: entry.key.clone(),
            mode,
            owner,
        })
    }

    /// Adds a lock that is known to conflict with nobody who holds one (weak modes that move over from a slot).
    pub(crate) fn insert_granted(&self, owner: Owner, key: LockKey, bits: u8) {
        let mut shard = self.shard(key.hash).lock();
        match shard.find_mut(key.hash, |e| e.key == key) {
            Some(entry) => entry.add(owner, bits),
            None => {
                let hash = key.hash;
                shard.insert_unique(
                    hash,
                    Entry {
                        key,
                        holders: vec![Holder::new(owner, bits)],
                        waiters: VecDeque::new(),
                    },
                    |e| e.key.hash,
                );
            }
        }
    }

    /// Makes what one owner holds on a key another's, who holds nothing on it. The modes; 0 if there are none.
    pub(crate) fn transfer(&self, from: Owner, to: Owner, key: &LockKey) -> u8 {
        let mut shard = self.shard(key.hash).lock();
        let entry = shard.find_mut(key.hash, |e| e.key == *key);
        match entry.and_then(|e| e.holders.iter_mut().find(|h| h.owner == from)) {
            Some(holder) => {
                holder.owner = to;
                holder.bits
            }
            None => 0,
        }
    }

    /// The owner's commit was handed over, with this row at the key. Whoever can go on from there is served.
    pub(crate) fn hand_over(&self, owner: Owner, key: &LockKey, row: Bytes, ticket: CommitTicket) {
        let mut wake = Vec::new();
        if let Some(entry) = self.shard(key.hash).lock().find_mut(key.hash, |e| e.key == *key) {
            let order = entry.handed_over().map_or(0, |newest| newest.order + 1);
            // Whoever may have changed a key of the row keeps everybody out.
            let updates = |h: &&mut Holder| h.owner == owner && h.bits & LockStrength::Update.bit() == 0;
            if let Some(holder) = entry.holders.iter_mut().find(updates) {
                holder.handed_over = Some(HandedOver { row, ticket, order });
                entry.serve(&mut wake);
            }
        }
        wake.into_iter().for_each(Waker::wake);
    }

    /// The newest row at a key that is handed over and not known to be applied. To be asked by a holder who passed: then nothing newer
    /// can come.
    pub(crate) fn handed_over(&self, space: u32, bytes: &[u8]) -> Option<HandedOver> {
        let hash = hash(space, bytes);
        let shard = self.shard(hash).lock();
        shard.find(hash, |e| e.key.is(space, bytes))?.handed_over().cloned()
    }

    /// Gives back all that the owner holds on a key and serves those who wait.
    pub(crate) fn release(&self, owner: Owner, key: &LockKey) {
        self.release_bits(owner, key, 0xff);
    }

    /// Gives back one mode.
    pub(crate) fn release_bits(&self, owner: Owner, key: &LockKey, bits: u8) {
        let mut wake = Vec::new();
        {
            let mut shard = self.shard(key.hash).lock();
            let Ok(mut slot) = shard.find_entry(key.hash, |e| e.key == *key) else {
                return;
            };
            let entry = slot.get_mut();
            if let Some(at) = entry.holders.iter().position(|h| h.owner == owner) {
                entry.holders[at].bits &= !bits;
                if entry.holders[at].bits == 0 {
                    entry.holders.swap_remove(at);
                }
            }
            entry.serve(&mut wake);
            if entry.holders.is_empty() && entry.waiters.is_empty() {
                slot.remove();
            }
        }
        wake.into_iter().for_each(Waker::wake);
    }

    /// Who holds modes of these bits on a key.
    pub(crate) fn holders(&self, key: &LockKey, bits: u8) -> Vec<Owner> {
        let shard = self.shard(key.hash).lock();
        let entry = shard.find(key.hash, |e| e.key == *key);
        let holders = entry.into_iter().flat_map(|e| &e.holders);
        holders.filter(|h| h.bits & bits != 0).map(|h| h.owner).collect()
    }

    /// Whether one waits for another, maybe for others who do.
    pub(crate) fn waits_for(&self, waiter: Owner, other: Owner) -> bool {
        self.waits.lock().leads(self, waiter, other)
    }

    /// Table and advisory locks, and whatever is waited for.
    pub(super) fn entries(&self) -> Vec<Listed> {
        let mut out = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock();
            let shown = shard
                .iter()
                .filter(|e| !e.waiters.is_empty() || matches!(e.key.space, TABLES | ADVISORY));
            out.extend(shown.map(|e| {
                Listed {
                    space: e.key.space,
                    bytes: e.key.bytes.clone(),
                    holders: e.holders.iter().map(|h| (h.owner, h.bits)).collect(),
                    waiters: e
                        .waiters
                        .iter()
                        .map(|w| ListedWaiter {
                            owner: w.owner,
                            mode: w.mode,
                            since: w.since,
                        })
                        .collect(),
                }
            }));
        }
        out
    }

    /// See [`Database::lock_waits`].
    pub(super) fn wait_events(&self) -> HashMap<i32, &'static str> {
        self.waits.lock().events(self)
    }

    /// Whether nobody is ahead of a queued request but those who hold the lock.
    pub(super) fn is_first(&self, owner: Owner, key: &LockKey) -> bool {
        let shard = self.shard(key.hash).lock();
        let entry = shard.find(key.hash, |e| e.key == *key);
        entry.is_none_or(|e| e.waiters.front().is_none_or(|w| w.owner == owner))
    }

    /// Whom a session's wait is for; nobody when it waits for nothing.
    pub(super) fn blockers_of_session(&self, session: u32) -> Vec<Owner> {
        self.waits.lock().blockers_of_session(self, session)
    }

    /// Whom a queued request waits for: holders it conflicts with, and earlier waiters it conflicts with. Nobody once it is served.
    pub(super) fn blockers(&self, owner: Owner, key: &LockKey) -> Vec<Owner> {
        let shard = self.shard(key.hash).lock();
        let Some(entry) = shard.find(key.hash, |e| e.key == *key) else {
            return Vec::new();
        };
        let Some(at) = entry.waiters.iter().position(|w| w.owner == owner) else {
            return Vec::new();
        };
        let mode = entry.waiters[at].mode;
        let holders = entry.holders.iter().filter(|h| h.blocks(owner, mode)).map(|h| h.owner);
        let ahead = entry
            .waiters
            .iter()
            .take(at)
            .filter(|w| w.mode.bit & mode.conflicts != 0)
            .map(|w| w.owner);
        holders.chain(ahead).collect()
    }

    fn cancel(&self, owner: Owner, key: &LockKey, mode: Mode, cell: &Arc<Cell>) {
        let mut wake = Vec::new();
        let granted = {
            let mut shard = self.shard(key.hash).lock();
            let Ok(mut slot) = shard.find_entry(key.hash, |e| e.key == *key) else {
                return;
            };
            let entry = slot.get_mut();
            match entry.waiters.iter().position(|w| Arc::ptr_eq(&w.cell, cell)) {
                Some(at) => {
                    entry.waiters.remove(at);
                    entry.serve(&mut wake);
                    if entry.holders.is_empty() && entry.waiters.is_empty() {
                        slot.remove();
                    }
                    false
                }
                None => true,
            }
        };
        wake.into_iter().for_each(Waker::wake);
        if granted {
            self.release_bits(owner, key, mode.bit);
        }
    }
}

/// Whether held modes make the wanted one superfluous. Row strengths are ordered by their conflicts, most table modes too.
fn covers(space: u32, held: u8, wanted: Mode) -> bool {
    let conflicts_of = |bit: u8| match space {
        TABLES => TableLock::ALL[bit.trailing_zeros() as usize].conflicts(),
        _ => match bit {
            1 => LockStrength::KeyShare.conflicts(),
            2 => LockStrength::Share.conflicts(),
            4 => LockStrength::NoKeyUpdate.conflicts(),
            _ => LockStrength::Update.conflicts(),
        },
    };
    (0..8)
        .map(|n| 1u8 << n)
        .filter(|bit| held & bit != 0)
        .any(|bit| conflicts_of(bit) & wanted.conflicts == wanted.conflicts)
}

impl Entry {
    fn held_by(&self, owner: Owner) -> u8 {
        self.holders.iter().find(|h| h.owner == owner).map_or(0, |h| h.bits)
    }

    /// See [`LockTable::handed_over`].
    fn handed_over(&self) -> Option<&HandedOver> {
        let handed_over = self.holders.iter().filter_map(|h| h.handed_over.as_ref());
        handed_over.filter(|h| h.ticket.is_under_way()).max_by_key(|h| h.order)
    }

    fn admits(&self, owner: Owner, mode: Mode, holds: bool) -> bool {
        !self.holders.iter().any(|h| h.blocks(owner, mode)) && (holds || self.waiters.iter().all(|w| w.mode.bit & mode.conflicts == 0))
    }

    fn grant(&mut self, owner: Owner, mode: Mode) {
        self.add(owner, mode.bit);
    }

    fn add(&mut self, owner: Owner, bits: u8) {
        match self.holders.iter_mut().find(|h| h.owner == owner) {
            Some(holder) => holder.bits |= bits,
            None => self.holders.push(Holder::new(owner, bits)),
        }
    }

    /// Serves waiters from the front; one that must go on waiting holds back later ones it conflicts with.
    fn serve(&mut self, wake: &mut Vec<Waker>) {
        let mut still_waiting = 0u8;
        let mut at = 0;
        while at < self.waiters.len() {
            let (owner, mode) = (self.waiters[at].owner, self.waiters[at].mode);
            let free = !self.holders.iter().any(|h| h.blocks(owner, mode));
            if free && still_waiting & mode.conflicts == 0 {
                if let Some(waiter) = self.waiters.remove(at) {
                    self.grant(owner, mode);
                    let mut cell = waiter.cell.0.lock();
                    cell.0 = true;
                    wake.extend(cell.1.take());
                }
            } else {
                still_waiting |= mode.bit;
                at += 1;
            }
        }
    }
}

impl<'a> Blocked<'a> {
    /// Queues up and waits; gives the key, now held in the mode asked for. 40P01 when the wait would close a cycle. Dropping the future
    /// leaves the queue.
    pub(crate) async fn wait(self, who: Identity<'_>) -> Result<LockKey> {
        match self.queue(who)? {
            Queued::Granted(key) => Ok(key),
            Queued::Waiting(pending) => {
                let key = pending.key.clone();
                pending.await;
                Ok(key)
            }
        }
    }

    fn queue(self, who: Identity<'_>) -> Result<Queued<'a>> {
        let Blocked { table, key, mode, owner } = self;
        let cell = Arc::new(Cell::default());
        let mut graph = table.waits.lock();
        {
            let mut shard = table.shard(key.hash).lock();
            let hash = key.hash;
            let entry = match shard.find_entry(hash, |e| e.key == key) {
                Ok(found) => found.into_mut(),
                Err(_) => shard
                    .insert_unique(
                        hash,
                        Entry {
                            key: key.clone(),
                            holders: Vec::new(),
                            waiters: VecDeque::new(),
                        },
                        |e| e.key.hash,
                    )
                    .into_mut(),
            };
            let held = entry.held_by(owner);
            if entry.admits(owner, mode, held != 0) {
                // It became free since we looked.
                entry.grant(owner, mode);
                return Ok(Queued::Granted(key.clone()));
            }
            let waiter = Waiter {
                owner,
                mode,
                since: SystemTime::now(),
                cell: cell.clone(),
            };
            if held != 0 {
                entry.waiters.push_front(waiter);
            } else {
                entry.waiters.push_back(waiter);
            }
        }
        // From here on dropping leaves the queue.
        let pending = Pending {
            table,
            key,
            mode,
            owner,
            who: who.transaction,
            cell,
            done: false,
        };
        let waiting = Waiting {
            key: pending.key.clone(),
            owner,
            mode,
            slot: who.slot.clone(),
        };
        let verdict = graph.add(table, who, waiting);
        drop(graph);
        verdict?;
        Ok(Queued::Waiting(pending))
    }
}

enum Queued<'a> {
    /// It became free in between.
    Granted(LockKey),
    Waiting(Pending<'a>),
}

struct Pending<'a> {
    table: &'a LockTable,
    key: LockKey,
    mode: Mode,
    owner: Owner,
    who: Owner,
    cell: Arc<Cell>,
    done: bool,
}

impl Future for Pending<'_> {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let cell = self.cell.clone();
        let mut cell = cell.0.lock();
        if cell.0 {
            self.done = true;
            return Poll::Ready(());
        }
        cell.1 = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.table.waits.lock().remove(self.who);
        if !self.done {
            self.table.cancel(self.owner, &self.key, self.mode, &self.cell);
        }
    }
}
