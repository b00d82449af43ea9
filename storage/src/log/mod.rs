//! The log store: one append-only sequence for the senate and all worker groups of a server.
//!
//! ```text
//!  0000000000000007.log          0000000000000008.log             0000000000000009.log
//! ┌──────┬───────┬───────┬──┐   ┌──────┬───────┬──────┬ ─ ─ ┐    ┌──────┬─ ─ ─ ─ ─ ─ ─ ─ ┐
//! │header│batch 1│batch 2│..│   │header│batch 9│ ...  │ old      │header│ old bytes        prepared: the log rolls over
//! └──────┴───────┴───────┴──┘   └──────┴───────┴──────┴ ─ ─ ┘    └──────┴─ ─ ─ ─ ─ ─ ─ ─ ┘ to it without a pause
//!                                 begins with hard state, bases   ▲ end
//! ```
//!
//! **A batch is one write and one sync** into space that exists already: segments are created full of zeros, or recycled
//! from segments that were truncated, by a thread beside the log. So only that thread meets a full disk; appending tells
//! [`crate::StorageError::NoSpace`] when no segment is ready, with nothing changed, and may be tried again.
//!
//! **Checksums** of batch headers are seeded with their segment's number, so that a recycled segment's old bytes are
//! never taken for new ones; checksums of records are seeded with their batch header's, so that records of a batch that
//! was torn and written again never mix.
//!
//! **Damage.** Batches are numbered without gaps, and each says which was the last known durable when it was written.
//! Damage that a later batch says was durable is *unknown*: something was there and is lost; [`Recovery::damage`] says
//! where. Damage after all that is known to be durable is a write that a crash tore; nobody was told of it, and it is cut.
//! Every batch repeats the hard state, so damage hides a promise only where nothing at all was written after it.
//! The last batch of all is known durable only by the next one, so a quiet server appends an empty batch now and then
//! ([`LogStore::seal`]).
//!
//! **Truncation** drops whole segments from the front. Every segment begins with the hard state and the bases of all logs
//! as they were, so no segment is needed for those.
//!
//! **Memory**: of each log the terms, and one position for each 64 KB written; entries stay on the disk and are read from
//! there, one by one or all in order ([`LogStore::replay`]).

mod format;
mod index;
mod recover;
mod segment;
mod store;

use std::path::PathBuf;

use curia_consensus::{Base, HardState, LogId};

use crate::error::{Result, StorageError};

pub use format::{fuzz_batch, fuzz_segment_header};
pub use store::{Flight, LogStore, Replayed};

/// How the log is kept.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// Length of a segment; a batch that is larger gets a segment of its own size.
    pub segment_bytes: u64,
    /// Drawn at each start (the incarnation will do): keeps batches of two runs from being taken for each other.
    pub salt: u64,
    /// Prepare segments on a thread beside the log. Tests that want every run alike say no.
    pub prepare_beside: bool,
}

impl LogOptions {
    /// For production, with this start's salt.
    pub fn new(salt: u64) -> LogOptions {
        LogOptions {
            segment_bytes: 32 << 20,
            salt,
            prepare_beside: true,
        }
    }
}

/// What opening the log found.
#[derive(Clone, Debug, Default)]
pub struct Recovery {
    /// The last hard state.
    pub hard_state: Option<HardState>,
    /// The base of each log that has one.
    pub bases: Vec<(LogId, Base)>,
    /// What was durable and is unknown now, in order.
    pub damage: Vec<Damage>,
    /// No hard state was found after the last damage, so it isn't known what this server promised last: it can't take part again.
    pub promise_unknown: bool,
    /// The write that the last crash tore, if one was found: cut away.
    pub torn: Option<Place>,
}

impl Recovery {
    /// Refuses to go on with damage that no other server can repair.
    ///
    /// # Errors
    /// [`StorageError::Damaged`] with the file and offset of the first.
    pub fn require_whole(&self) -> Result<()> {
        match self.damage.first() {
            None => Ok(()),
            Some(damage) => Err(StorageError::Damaged {
                path: damage.place.path.clone(),
                offset: damage.place.offset,
                detail: damage.detail.clone(),
            }),
        }
    }
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// Bytes from its beginning.
    pub offset: u64,
}

/// Something that was durable and cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where it begins.
    pub place: Place,
    /// What is wrong there.
    pub detail: String,
}
