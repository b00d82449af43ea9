//! RocksDB iterators that own their database, and the reuse of them for point reads and short scans.
//!
//! Creating an iterator costs several times a seek, so these borrow one from a small pool. An iterator shows the
//! state as of its creation or last refresh; each remembers the store's write generation then, and is refreshed when it
//! is behind. A refresh without a flush in between only takes the newest sequence number.

#![allow(unsafe_code)] // an iterator borrows its database; keeping both together needs one lifetime extension, below

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use rocksdb::{DB, DBRawIterator, ReadOptions};

use crate::error::Result;

/// An iterator over the versions, with the database that it reads.
pub(super) struct OwnedIterator {
    // Declared before the database, hence dropped before it.
    raw: DBRawIterator<'static>,
    _db: Arc<DB>,
}

impl OwnedIterator {
    pub(super) fn new(db: Arc<DB>, options: ReadOptions) -> OwnedIterator {
        let raw = db.raw_iterator_opt(options);
        // SAFETY: the iterator borrows the `DB` behind the `Arc`, whose address doesn't change and which lives until
        // `self._db` is dropped, after `self.raw`. The extended lifetime never leaves this struct: `raw` is private and
        // handed out only under a borrow of `self`.
        let raw = unsafe { std::mem::transmute::<DBRawIterator<'_>, DBRawIterator<'static>>(raw) };
        OwnedIterator { raw, _db: db }
    }

    pub(super) fn raw(&mut self) -> &mut DBRawIterator<'static> {
        &mut self.raw
    }

    /// The entry it stands on.
    pub(super) fn item(&self) -> Option<(&[u8], &[u8])> {
        self.raw.item()
    }
}

/// An iterator for point reads.
pub(super) struct PointIterator {
    iterator: OwnedIterator,
    /// The store's write generation that it shows, or a later one.
    generation: u64,
    /// Where the key to seek is built.
    pub(super) key: Vec<u8>,
}

impl PointIterator {
    /// Seeks to the key in `self.key`, and gives the entry there if it is a version of the same row.
    pub(super) fn seek(&mut self) -> Result<Option<(&[u8], &[u8])>> {
        let raw = &mut self.iterator.raw;
        raw.seek(&self.key);
        // Written twice over because a borrow returned on one path would otherwise last over the other.
        let found = matches!(raw.key(), Some(key) if super::version_key::prefix(key) == super::version_key::prefix(&self.key));
        if found {
            return Ok(self.iterator.raw.item());
        }
        if !self.iterator.raw.valid() {
            self.iterator.raw.status()?;
        }
        Ok(None)
    }
}

/// How many iterators wait for reuse; more than this many point reads at once create their own.
const SLOTS: usize = 16;

/// Iterators waiting for reuse.
pub(super) struct IteratorPool {
    slots: [Mutex<Option<PointIterator>>; SLOTS],
}

impl IteratorPool {
    pub(super) fn new() -> IteratorPool {
        IteratorPool {
            slots: [const { Mutex::new(None) }; SLOTS],
        }
    }

    /// Runs `read` with an iterator that shows at least `generation`.
    pub(super) fn with<R>(&self, db: &Arc<DB>, generation: u64, read: impl FnOnce(&mut PointIterator) -> Result<R>) -> Result<R> {
        let own = slot_of_this_thread();
        for step in 0..SLOTS {
            // Busy means another thread, or a read nested in this thread's read: take the next one.
            let Some(mut slot) = self.slots[(own + step) % SLOTS].try_lock() else {
                continue;
            };
            if let Some(iterator) = slot.as_mut() {
                if iterator.generation < generation {
                    // The generation was read before the refresh, so the iterator shows at least that.
                    if let Err(error) = iterator.iterator.raw.refresh() {
                        *slot = None;
                        return Err(error.into());
                    }
                    iterator.generation = generation;
                }
                return read(iterator);
            }
            return read(slot.insert(create(db, generation)));
        }
        read(&mut create(db, generation))
    }

    /// Lets go of all idle iterators, and with them of the memory tables and files that only they still hold.
    pub(super) fn clear(&self) {
        for slot in &self.slots {
            if let Some(mut slot) = slot.try_lock() {
                *slot = None;
            }
        }
    }
}

/// How many iterators wait for the next scan; others are dropped with their scan.
const IDLE: usize = 16;

/// Iterators over the whole keyspace, waiting for the next scan of a few rows, with the write generation that each shows.
#[derive(Clone, Default)]
pub(super) struct ScanPool(Arc<Mutex<Vec<(OwnedIterator, u64)>>>);

impl ScanPool {
    /// An iterator that shows at least `generation`.
    pub(super) fn take(&self, db: &Arc<DB>, generation: u64) -> ScanIterator {
        let idle = self.0.lock().pop();
        let fresh = idle.and_then(|(mut iterator, shown)| {
            let shows = shown >= generation || iterator.raw.refresh().is_ok();
            shows.then_some((iterator, shown.max(generation)))
        });
        let (iterator, generation) = fresh.unwrap_or_else(|| {
            let mut options = ReadOptions::default();
            options.set_total_order_seek(true);
            (OwnedIterator::new(db.clone(), options), generation)
        });
        ScanIterator {
            iterator: Some(iterator),
            home: Some((self.clone(), generation)),
        }
    }

    /// Lets go of the idle ones.
    pub(super) fn clear(&self) {
        self.0.lock().clear();
    }
}

/// The iterator of one scan, which goes back to the pool that it came from.
pub(super) struct ScanIterator {
    iterator: Option<OwnedIterator>,
    home: Option<(ScanPool, u64)>,
}

impl ScanIterator {
    /// An iterator for one scan only.
    pub(super) fn own(iterator: OwnedIterator) -> ScanIterator {
        ScanIterator {
            iterator: Some(iterator),
            home: None,
        }
    }

    pub(super) fn raw(&mut self) -> &mut DBRawIterator<'static> {
        match &mut self.iterator {
            Some(iterator) => iterator.raw(),
            None => unreachable!("only drop takes it out"),
        }
    }

    /// The entry it stands on.
    #[inline]
    pub(super) fn item(&self) -> Option<(&[u8], &[u8])> {
        self.iterator.as_ref().and_then(OwnedIterator::item)
    }
}

impl Drop for ScanIterator {
    fn drop(&mut self) {
        if let (Some(iterator), Some((pool, generation))) = (self.iterator.take(), self.home.take()) {
            let mut idle = pool.0.lock();
            if idle.len() < IDLE {
                idle.push((iterator, generation));
            }
        }
    }
}

fn create(db: &Arc<DB>, generation: u64) -> PointIterator {
    let mut options = ReadOptions::default();
    options.set_prefix_same_as_start(true); // stay within the row, so that bloom filters apply
    options.set_auto_readahead_size(false);
    PointIterator {
        iterator: OwnedIterator::new(db.clone(), options),
        generation,
        key: Vec::with_capacity(64),
    }
}

fn slot_of_this_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static SLOT: usize = NEXT.fetch_add(1, Ordering::Relaxed) % SLOTS;
    }
    SLOT.with(|slot| *slot)
}
