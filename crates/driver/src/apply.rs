//! From resolved fragments to the state.
//!
//! All fragments of an output go into one atomic write together with the positions they lead to. Where that would be too
//! large, rows go ahead in writes of their own: they carry CSNs that nobody reads before they are published, and after a
//! crash in between they are written again, the same.

use curia_consensus::ids::{GroupId, Index, LogId};
use curia_consensus::{AppliedTo, Apply, Payload, Record};
use curia_storage::state::ApplyBatch;
use curia_storage::{Result, StateStore, StorageError, log::LogStore};

/// Applies fragments in order, then moves the positions. When it fails for want of space, it can be called again with the
/// same arguments.
pub(crate) fn apply(state: &StateStore, log: &LogStore, fragments: &[Apply], to: Option<&AppliedTo>, batch_bytes_max: usize) -> Result<()> {
    let mut batch = ApplyBatch::new();
    for fragment in fragments {
        for stage in fragment.stages.as_slice() {
            add(&mut batch, fragment, &read(log, fragment.group, *stage)?)?;
            batch = flush_if_large(state, batch, batch_bytes_max)?;
        }
        match &fragment.payload {
            Payload::Held(bytes) => add(&mut batch, fragment, bytes)?,
            Payload::Stored(_) => add(&mut batch, fragment, &read(log, fragment.group, fragment.index)?)?,
        }
        batch = flush_if_large(state, batch, batch_bytes_max)?;
    }
    if let Some(to) = to {
        for (group, position) in &to.positions {
            batch.applied(*group, position.clone());
        }
        batch.committed(to.csn, to.timestamp);
        if !fragments.is_empty() {
            batch.commit_timestamp(to.csn, to.timestamp);
        }
    }
    if batch.is_empty() { Ok(()) } else { state.apply(batch) }
}

fn add(batch: &mut ApplyBatch, fragment: &Apply, payload: &[u8]) -> Result<()> {
    // A fragment over stage records may have nothing left to say itself.
    if payload.is_empty() {
        Ok(())
    } else {
        batch.fragment(fragment.csn, payload)
    }
}

fn flush_if_large(state: &StateStore, batch: ApplyBatch, limit: usize) -> Result<ApplyBatch> {
    if batch.bytes() < limit {
        return Ok(batch);
    }
    state.apply(batch)?;
    Ok(ApplyBatch::new())
}

/// A payload that is only in the log.
fn read(log: &LogStore, group: GroupId, index: Index) -> Result<bytes::Bytes> {
    match log.read(LogId::Group(group), index)?.record {
        Record::Stage(Payload::Held(bytes)) => Ok(bytes),
        Record::Fragment(fragment) => match &fragment.payload {
            Payload::Held(bytes) => Ok(bytes.clone()),
            Payload::Stored(_) => Err(missing(group, index)),
        },
        _ => Err(missing(group, index)),
    }
}

fn missing(group: GroupId, index: Index) -> StorageError {
    StorageError::NoEntry {
        log: LogId::Group(group).to_u32(),
        index: index.0,
    }
}
