//! [`ReadView`]: what one statement reads. The state at a snapshot, with the transaction's own earlier writes laid over it.
//!
//! A view may move to other threads and outlive its statement (a portal): it pins its snapshot. The point path reads through a borrowed
//! [`View`], which a transaction without writes gives away as (state, CSN) and nothing else.

use crate::buffer::{Value, WriteBuffer};
use crate::serial::{Progress, ReadSet};
use crate::slot::Pin;
use crate::spill::SpillScan;
use crate::transaction::outlived;
use bytes::Bytes;
use curia_catalog::StorageId;
use curia_consensus::ids::Csn;
use curia_storage::state::{Direction, KeyRange, Scan, StateStore};
use curia_types::{Result, SqlError, SqlState};
use std::collections::VecDeque;
use std::sync::Arc;

/// Keys taken from the buffer at a time; a scan holds the buffer's lock no longer.
const BATCH: usize = 256;

/// What a statement reads, owned. Cheap to clone.
#[derive(Clone)]
pub struct ReadView {
    pub(crate) state: Arc<StateStore>,
    pub(crate) csn: Csn,
    pub(crate) own: Option<OwnWrites>,
    /// Where reads of a SERIALIZABLE transaction are noted.
    pub(crate) reads: Option<Arc<ReadSet>>,
    /// The state is the one that the snapshot was taken of while this many groups of it were replaced.
    pub(crate) replacements: u64,
    /// The highest garbage horizon at which everything that it reads is there.
    pub(crate) until: Csn,
    pub(crate) _pin: Arc<Pin>,
}

/// A transaction's writes below a number.
#[derive(Clone)]
pub(crate) struct OwnWrites {
    pub(crate) buffer: Arc<WriteBuffer>,
    pub(crate) limit: u64,
}

/// What a statement reads, borrowed from its transaction.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub(crate) state: &'a Arc<StateStore>,
    pub(crate) csn: Csn,
    pub(crate) own: Option<(&'a Arc<WriteBuffer>, u64)>,
    pub(crate) reads: Option<&'a Arc<ReadSet>>,
    pub(crate) replacements: u64,
    pub(crate) until: Csn,
}

/// 40001 of a read that ran while another server's snapshot took the state's place; 72000 of one from which versions may have been collected.
fn check_state(state: &StateStore, replacements: u64, until: Csn) -> Result<()> {
    match state.replacements() == replacements {
        true if state.horizon() <= until => Ok(()),
        true => Err(outlived(until)),
        false => Err(SqlError::new(
            SqlState::SERIALIZATION_FAILURE,
            "could not serialize access because this server's state was replaced by another server's snapshot",
        )),
    }
}

impl ReadView {
    /// The same, borrowed.
    pub fn view(&self) -> View<'_> {
        View {
            state: &self.state,
            csn: self.csn,
            own: self.own.as_ref().map(|o| (&o.buffer, o.limit)),
            reads: self.reads.as_ref(),
            replacements: self.replacements,
            until: self.until,
        }
    }
    /// The same for estimates: reads that no result depends on.
    pub fn for_estimates(&self) -> View<'_> {
        View {
            reads: None,
            ..self.view()
        }
    }
    /// The snapshot's CSN.
    pub fn csn(&self) -> Csn {
        self.csn
    }
    /// See [`View::read`].
    pub fn read<R>(&self, storage: StorageId, key: &[u8], read: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        self.view().read(storage, key, read)
    }
    /// See [`View::scan`].
    pub fn scan(&self, storage: StorageId, range: &KeyRange, direction: Direction) -> ViewScan {
        self.view().scan(storage, range, direction)
    }
    /// Cuts a range into up to `parts` ranges of roughly equal size, for scans side by side.
    pub fn split(&self, storage: StorageId, range: &KeyRange, parts: usize) -> Result<Vec<KeyRange>> {
        Ok(self.state.split(storage.0, range, parts)?)
    }
    /// Roughly how many bytes a storage takes, for plans.
    pub fn approximate_bytes(&self, storage: StorageId) -> u64 {
        self.state.approximate_bytes(storage.0)
    }
}

impl View<'_> {
    /// The snapshot's CSN.
    pub fn csn(&self) -> Csn {
        self.csn
    }

    /// Reads the row at a key; `read` gets its bytes without a copy.
    #[inline]
    pub fn read<R>(&self, storage: StorageId, key: &[u8], read: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        if let Some((buffer, limit)) = self.own
            && let Some(value) = buffer.get(storage.0, key, limit)?
        {
            return Ok(value.map(|row| read(&row)));
        }
        if let Some(reads) = self.reads {
            reads.read(storage.0, key);
        }
        let found = self.state.read(storage.0, key, self.csn, read);
        check_state(self.state, self.replacements, self.until)?;
        Ok(found?)
    }

    /// Rows of a range in key order. The scan owns what it reads from.
    pub fn scan(&self, storage: StorageId, range: &KeyRange, direction: Direction) -> ViewScan {
        let state = self.state.scan(storage.0, range, self.csn, direction);
        let overlay = self
            .own
            .filter(|(buffer, _)| buffer.touches(storage.0))
            .map(|(buffer, limit)| Box::new(Overlay::new(buffer.clone(), limit, storage.0, range.clone(), direction)));
        let progress = self.reads.and_then(|reads| reads.scan(storage.0, range, direction));
        ViewScan {
            state,
            overlay,
            progress,
            store: self.state.clone(),
            replacements: self.replacements,
            until: self.until,
        }
    }
}

/// A scan under way. Not an `Iterator`: what [`ViewScan::next`] gives borrows from the scan.
pub struct ViewScan {
    state: Scan,
    overlay: Option<Box<Overlay>>,
    progress: Option<Progress>,
    store: Arc<StateStore>,
    replacements: u64,
    until: Csn,
}

impl ViewScan {
    /// The next row: its key and its bytes.
    #[allow(clippy::should_implement_trait)] // what it gives borrows from it
    #[inline]
    pub fn next(&mut self) -> Result<Option<(&[u8], &[u8])>> {
        let next = match &mut self.overlay {
            None => self.state.next().map_err(SqlError::from),
            Some(overlay) => overlay.next(&mut self.state),
        };
        check_state(&self.store, self.replacements, self.until)?;
        let next = next?;
        if let Some(progress) = &self.progress {
            match next {
                Some((key, _)) => progress.reach(key),
                None => progress.end(),
            }
        }
        Ok(next)
    }
}

/// Own writes laid over a scan of the state.
struct Overlay {
    own: OwnScan,
    /// The state's next row, copied as the own writes may come first.
    key: Vec<u8>,
    row: Vec<u8>,
    head: Head,
    /// The own row that was given last.
    given: (Bytes, Bytes),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Head {
    /// Not fetched.
    Unknown,
    /// In `key` and `row`.
    Held,
    /// The state has no more rows.
    End,
}

impl Overlay {
    fn new(buffer: Arc<WriteBuffer>, limit: u64, storage: u32, range: KeyRange, direction: Direction) -> Overlay {
        Overlay {
            own: OwnScan::new(buffer, limit, storage, range, direction),
            key: Vec::new(),
            row: Vec::new(),
            head: Head::Unknown,
            given: (Bytes::new(), Bytes::new()),
        }
    }

    fn next(&mut self, state: &mut Scan) -> Result<Option<(&[u8], &[u8])>> {
        loop {
            if self.head == Head::Unknown {
                self.head = match state.next()? {
                    Some((key, row)) => {
                        self.key.clear();
                        self.key.extend_from_slice(key);
                        self.row.clear();
                        self.row.extend_from_slice(row);
                        Head::Held
                    }
                    None => Head::End,
                };
            }
            let direction = self.own.direction;
            let own = self.own.peek()?;
            match (own, self.head) {
                (None, Head::Held) => {
                    self.head = Head::Unknown;
                    return Ok(Some((&self.key, &self.row)));
                }
                (None, _) => return Ok(None),
                (Some(own), Head::Held) if before(direction, &self.key, own) => {
                    self.head = Head::Unknown;
                    return Ok(Some((&self.key, &self.row)));
                }
                (Some(own), head) => {
                    if head == Head::Held && self.key == *own {
                        self.head = Head::Unknown; // replaced by the own write
                    }
                    if let Some((key, Some(row))) = self.own.take() {
                        self.given = (key, row);
                        return Ok(Some((&self.given.0, &self.given.1)));
                    }
                }
            }
        }
    }
}

fn before(direction: Direction, a: &[u8], b: &[u8]) -> bool {
    match direction {
        Direction::Forward => a < b,
        Direction::Backward => a > b,
    }
}

/// A transaction's writes below a number, in key order: memory over spill.
struct OwnScan {
    buffer: Arc<WriteBuffer>,
    limit: u64,
    storage: u32,
    /// What is still to come.
    rest: KeyRange,
    direction: Direction,
    memory: VecDeque<(Bytes, Value)>,
    /// Memory has nothing after what is in `memory`.
    memory_ends: bool,
    /// How far the spill went when `spill` was opened.
    moves: u64,
    spill: Option<SpillScan>,
    spilled: Option<(Bytes, Value)>,
    started: bool,
}

impl OwnScan {
    fn new(buffer: Arc<WriteBuffer>, limit: u64, storage: u32, rest: KeyRange, direction: Direction) -> OwnScan {
        OwnScan {
            buffer,
            limit,
            storage,
            rest,
            direction,
            memory: VecDeque::new(),
            memory_ends: false,
            moves: 0,
            spill: None,
            spilled: None,
            started: false,
        }
    }

    fn refill(&mut self) -> Result<()> {
        if !self.started || self.memory.is_empty() && !self.memory_ends {
            let (found, moves) = self.buffer.batch(self.storage, &self.rest, self.direction, self.limit, BATCH);
            self.memory_ends = found.len() < BATCH;
            self.memory = found.into();
            if !self.started || moves != self.moves {
                // Writes have moved out of memory since: what was to come from memory comes from there now.
                self.spill = self.buffer.spilled_scan(self.storage, &self.rest, self.direction, self.limit);
                self.spilled = None;
                self.moves = moves;
            }
            self.started = true;
        }
        if self.spilled.is_none()
            && let Some(spill) = &mut self.spill
        {
            self.spilled = spill.next()?.map(|(key, _, value)| (key, value));
            if self.spilled.is_none() {
                self.spill = None;
            }
        }
        Ok(())
    }

    fn peek(&mut self) -> Result<Option<&Bytes>> {
        self.refill()?;
        Ok(match (self.memory.front(), &self.spilled) {
            (Some((m, _)), Some((s, _))) if before(self.direction, s, m) => Some(s),
            (Some((m, _)), _) => Some(m),
            (None, Some((s, _))) => Some(s),
            (None, None) => None,
        })
    }

    fn take(&mut self) -> Option<(Bytes, Value)> {
        let taken = match (self.memory.front(), &self.spilled) {
            (Some((m, _)), Some((s, _))) if m == s => {
                self.spilled = None;
                self.memory.pop_front()
            }
            (Some((m, _)), Some((s, _))) if before(self.direction, s, m) => self.spilled.take(),
            (Some(_), _) => self.memory.pop_front(),
            (None, _) => self.spilled.take(),
        };
        if let Some((key, _)) = &taken {
            match self.direction {
                // Keys are prefix-free, and in the store a version number follows the key: only the successor of the whole prefix
                // leaves all versions behind.
                Direction::Forward => self.rest = std::mem::take(&mut self.rest).after_prefix(key),
                Direction::Backward => self.rest.end = Some(key.to_vec()),
            }
        }
        taken
    }
}
