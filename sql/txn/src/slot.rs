//! [`SessionSlot`]: what a session shares with the rest of the server while it runs transactions: its snapshot, its weak table locks, its
//! sequence values. One slot serves one transaction at a time, so that beginning one allocates nothing.
//!
//! **The horizon.** Garbage collection may take a version that is superseded at or below the horizon, so the horizon must not pass a
//! snapshot in use. A session stores its snapshot, then looks at the horizon; the collector stores the horizon, then looks at the
//! snapshots. One of the two sees the other: the session takes a newer snapshot, or the collector stays below.

use crate::lock::Owner;
use crate::lock::weak::WeakLocks;
use crate::sequence::SequenceUse;
use curia_consensus::ids::Csn;
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
    /// Snapshot of the running statement or transaction.
    snapshot: AtomicU64,
    /// Snapshots that views outside the statement hold (portals, scans on other threads), with their number.
    pins: Mutex<BTreeMap<u64, u32>>,
    pub(crate) weak: WeakLocks,
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

    /// The lock owner for the next transaction.
    pub(crate) fn next_owner(&self) -> Owner {
        let n = self.transactions.fetch_add(1, Ordering::Relaxed);
        Owner(u64::from(self.id) << 40 | n & ((1 << 40) - 1))
    }

    /// Takes the applied CSN as snapshot.
    pub(crate) fn take_snapshot(&self, snapshots: &Snapshots, applied: impl Fn() -> Csn) -> Csn {
        loop {
            let csn = applied();
            self.snapshot.store(csn.0, Ordering::SeqCst);
            if snapshots.horizon.load(Ordering::SeqCst) <= csn.0 {
                return csn;
            }
        }
    }

    pub(crate) fn drop_snapshot(&self) {
        self.snapshot.store(NONE, Ordering::Release);
    }

    /// Keeps a snapshot that is in use anyway readable until the pin goes.
    pub(crate) fn pin(self: &Arc<Self>, csn: Csn) -> Pin {
        *self.pins.lock().entry(csn.0).or_insert(0) += 1;
        Pin { slot: self.clone(), csn }
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
        let mut pins = self.slot.pins.lock();
        if let Some(n) = pins.get_mut(&self.csn.0) {
            *n -= 1;
            if *n == 0 {
                pins.remove(&self.csn.0);
            }
        }
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
    pub(crate) fn register(&self, process_id: i32) -> Arc<SessionSlot> {
        let mut slots = self.slots.lock();
        slots.next += 1;
        let slot = Arc::new(SessionSlot {
            id: slots.next,
            process_id: AtomicI32::new(process_id),
            transactions: AtomicU64::new(1),
            snapshot: AtomicU64::new(NONE),
            pins: Mutex::default(),
            weak: WeakLocks::default(),
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

    /// Moves the horizon up to `wanted`, or as far as the oldest snapshot lets it, and returns it. It never goes back.
    pub(crate) fn advance_horizon(&self, wanted: Csn) -> Csn {
        let before = self.horizon.load(Ordering::SeqCst);
        let target = wanted.0.min(self.oldest().map_or(NONE, |c| c.0)).max(before);
        self.horizon.store(target, Ordering::SeqCst);
        // A session that stored its snapshot before it could see the new horizon is visible now.
        let target = target.min(self.oldest().map_or(NONE, |c| c.0)).max(before);
        self.horizon.store(target, Ordering::SeqCst);
        Csn(target)
    }
}
