//! [`SessionSlot`]: what a session shares with the rest of the server while it runs transactions: its snapshot, its weak table locks, its
//! sequence values. One slot serves one transaction at a time, so that beginning one allocates nothing.
//!
//! **The horizon.** Garbage collection may take a version that is superseded at or below the horizon, so the horizon must not pass a
//! snapshot in use. A session stores its snapshot, then looks at the horizon; the collector stores the horizon, then looks at the
//! snapshots. One of the two sees the other: the session takes a newer snapshot, or the collector stays below.

use crate::advisory::AdvisoryLocks;
use crate::database::Database;
use crate::export::Exports;
use crate::lock::Owner;
use crate::lock::weak::WeakLocks;
use crate::sequence::SequenceUse;
use curia_consensus::ids::Csn;
use curia_types::Result;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

/// No snapshot.
const NONE: u64 = u64::MAX;

/// A session's slot.
pub struct SessionSlot {
    id: u32,
    process_id: AtomicI32,
    transactions: AtomicU64,
    /// Number of the running transaction; 0 outside of one.
    running: AtomicU64,
    /// `txid_current()` of the running transaction; 0 until it is drawn.
    txid: AtomicU64,
    /// Snapshot of the running statement or transaction.
    snapshot: AtomicU64,
    /// The same, where all statements of the transaction read it.
    kept: AtomicU64,
    /// Snapshots that views outside the statement hold (portals, scans on other threads), with their number.
    pins: Mutex<BTreeMap<u64, u32>>,
    pub(crate) exports: Exports,
    pub(crate) weak: WeakLocks,
    pub(crate) advisory: AdvisoryLocks,
    /// Sequence values this session has drawn.
    pub(crate) sequences: SequenceUse,
}

impl SessionSlot {
    /// The number that names the session in messages and `pg_stat_activity` (`pg_backend_pid()`).
    pub fn process_id(&self) -> i32 {
        self.process_id.load(Ordering::Relaxed)
    }

    /// DISCARD SEQUENCES: forgets the values that the session has drawn (`currval`, `lastval`).
    pub fn discard_sequences(&self) {
        self.sequences.discard();
    }

    /// The values that the session has drawn, by the sequence's OID, and the sequence that `lastval` tells.
    pub fn drawn(&self) -> (BTreeMap<u32, i64>, Option<u32>) {
        self.sequences.drawn()
    }

    /// Goes on with values that were drawn elsewhere.
    pub fn restore_drawn(&self, values: BTreeMap<u32, i64>, last: Option<u32>) {
        self.sequences.restore(values, last);
    }

    /// Whether the session itself, and not its transaction, holds advisory locks.
    pub fn holds_advisory(&self) -> bool {
        self.advisory.of_session()
    }

    /// Begins a transaction: the owner of its locks.
    pub(crate) fn begin(&self) -> Owner {
        let owner = Owner::new(self.id, self.transactions.fetch_add(1, Ordering::Relaxed));
        self.txid.store(0, Ordering::Relaxed);
        self.running.store(owner.number(), Ordering::Release);
        owner
    }

    /// The transaction has ended, or left the slot.
    pub(crate) fn end(&self) {
        self.end_exports(); // who imports meanwhile reads the snapshot before it is said that this transaction does not
        self.running.store(0, Ordering::Release);
        self.drop_snapshot();
    }

    /// The owner of the session's own locks.
    pub(crate) fn owner(&self) -> Owner {
        Owner::new(self.id, 0)
    }

    /// The running transaction.
    pub(crate) fn transaction(&self) -> Option<Owner> {
        match self.running.load(Ordering::Acquire) {
            0 => None,
            number => Some(Owner::new(self.id, number)),
        }
    }

    /// Numbers the running transaction, which has none yet.
    pub(crate) fn set_txid(&self, txid: u64) {
        self.txid.store(txid, Ordering::Release);
    }

    /// `txid_current_if_assigned()` of the running transaction.
    pub(crate) fn assigned_txid(&self) -> Option<u64> {
        match self.txid.load(Ordering::Acquire) {
            0 => None,
            txid => Some(txid),
        }
    }

    /// `txid_current()` of the running transaction, drawn when first asked for, by itself or by who waits for it; `None` outside of one.
    pub(crate) fn txid(&self, db: &Database) -> Result<Option<u64>> {
        if self.transaction().is_none() {
            return Ok(None);
        }
        if let Some(txid) = self.assigned_txid() {
            return Ok(Some(txid));
        }
        let drawn = db.next_txid()?;
        match self.txid.compare_exchange(0, drawn, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Ok(Some(drawn)),
            Err(other) => Ok(Some(other)),
        }
    }

    /// Takes the applied CSN as snapshot, of a statement or, with `keeps`, of the whole transaction.
    pub(crate) fn take_snapshot(&self, snapshots: &Snapshots, keeps: bool, applied: impl Fn() -> Csn) -> Csn {
        if keeps {
            self.kept.store(0, Ordering::SeqCst); // before it is known it may be any
        }
        loop {
            let csn = applied();
            self.snapshot.store(csn.0, Ordering::SeqCst);
            if snapshots.horizon.load(Ordering::SeqCst) <= csn.0 {
                if keeps {
                    self.kept.store(csn.0, Ordering::SeqCst);
                }
                return csn;
            }
        }
    }

    /// Whether the transaction reads, to its end, what was committed up to `csn` at most, or lets another one do so.
    pub(crate) fn keeps_snapshot_of(&self, csn: Csn) -> bool {
        self.kept.load(Ordering::SeqCst) <= csn.0 || self.exports_snapshot_of(csn)
    }

    /// Makes a CSN of the past the snapshot; the caller looks at the horizon afterwards.
    pub(crate) fn hold_snapshot(&self, csn: Csn) {
        self.snapshot.store(csn.0, Ordering::SeqCst);
    }

    /// The same for another transaction's snapshot, which this one reads to its end.
    pub(crate) fn take_over_snapshot(&self, csn: Csn) {
        self.kept.store(csn.0, Ordering::SeqCst);
        self.hold_snapshot(csn);
    }

    pub(crate) fn drop_snapshot(&self) {
        self.snapshot.store(NONE, Ordering::Release);
        self.kept.store(NONE, Ordering::Release);
    }

    /// Keeps a snapshot that is in use anyway readable until the pin goes.
    pub(crate) fn pin(self: &Arc<Self>, csn: Csn) -> Pin {
        self.keep(csn);
        Pin { slot: self.clone(), csn }
    }

    /// The snapshot of the running statement or transaction.
    pub(crate) fn running_snapshot(&self) -> Option<Csn> {
        Some(self.snapshot.load(Ordering::SeqCst)).filter(|csn| *csn != NONE).map(Csn)
    }

    /// Pins a snapshot that is in use anyway, until [`SessionSlot::unpin`].
    pub(crate) fn keep(&self, csn: Csn) {
        *self.pins.lock().entry(csn.0).or_insert(0) += 1;
    }

    pub(crate) fn unpin(&self, csn: Csn) {
        let mut pins = self.pins.lock();
        if let Some(n) = pins.get_mut(&csn.0) {
            *n -= 1;
            if *n == 0 {
                pins.remove(&csn.0);
            }
        }
    }

    /// The oldest snapshot that it has in use.
    pub fn oldest_snapshot(&self) -> Option<Csn> {
        Some(self.oldest()).filter(|csn| *csn != NONE).map(Csn)
    }

    fn oldest(&self) -> u64 {
        let pinned = self.pins.lock().keys().next().copied().unwrap_or(NONE);
        self.snapshot.load(Ordering::SeqCst).min(pinned)
    }
}

/// Keeps a snapshot readable.
pub(crate) struct Pin {
    slot: Arc<SessionSlot>,
    csn: Csn,
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.slot.unpin(self.csn);
    }
}

/// All slots, and the horizon.
#[derive(Default)]
pub(crate) struct Snapshots {
    horizon: AtomicU64,
    slots: Mutex<Slots>,
}

#[derive(Default)]
struct Slots {
    live: Vec<Weak<SessionSlot>>,
    next: u32,
}

impl Snapshots {
    /// Nothing below this horizon can be read.
    pub(crate) fn new(horizon: Csn) -> Snapshots {
        Snapshots {
            horizon: AtomicU64::new(horizon.0),
            ..Snapshots::default()
        }
    }

    pub(crate) fn register(&self, process_id: i32) -> Arc<SessionSlot> {
        let mut slots = self.slots.lock();
        slots.next += 1;
        let slot = Arc::new(SessionSlot {
            id: slots.next,
            process_id: AtomicI32::new(process_id),
            transactions: AtomicU64::new(1),
            running: AtomicU64::new(0),
            txid: AtomicU64::new(0),
            snapshot: AtomicU64::new(NONE),
            kept: AtomicU64::new(NONE),
            pins: Mutex::default(),
            exports: Exports::default(),
            weak: WeakLocks::default(),
            advisory: AdvisoryLocks::default(),
            sequences: SequenceUse::default(),
        });
        slots.live.retain(|s| s.strong_count() > 0);
        slots.live.push(Arc::downgrade(&slot));
        slot
    }

    /// Every live slot.
    pub(crate) fn slots(&self) -> Vec<Arc<SessionSlot>> {
        self.slots.lock().live.iter().filter_map(Weak::upgrade).collect()
    }

    /// No read goes below it.
    pub(crate) fn horizon(&self) -> Csn {
        Csn(self.horizon.load(Ordering::SeqCst))
    }

    /// The oldest snapshot in use.
    pub(crate) fn oldest(&self) -> Option<Csn> {
        self.slots().iter().map(|s| s.oldest()).min().filter(|&c| c != NONE).map(Csn)
    }

    /// Moves the horizon up to `wanted`, or as far as the oldest snapshot lets it that is not below `respected`, and returns it. It never
    /// goes back.
    pub(crate) fn advance_horizon(&self, wanted: Csn, respected: Csn) -> Csn {
        let before = self.horizon.load(Ordering::SeqCst);
        let oldest = || self.oldest().map_or(NONE, |c| c.0).max(respected.0);
        let target = wanted.0.min(oldest()).max(before);
        self.horizon.store(target, Ordering::SeqCst);
        // A session that stored its snapshot before it could see the new horizon is visible now.
        let target = target.min(oldest()).max(before);
        self.horizon.store(target, Ordering::SeqCst);
        Csn(target)
    }
}
