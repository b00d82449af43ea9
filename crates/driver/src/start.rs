//! Starting: from what the disk holds to a serving consul.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use crossbeam_channel::bounded;
use curia_consensus::ids::{GroupId, Incarnation, Index};
use curia_consensus::{AppliedState, Config, Configuration, Node, Restore, RestoreError};
use curia_storage::log::{LogStore, Recovery};
use curia_storage::{StateStore, StorageError};
use parking_lot::Mutex;

use crate::engine::Engine;
use crate::failure::DriverError;
use crate::handle::{Driver, Published};
use crate::options::DriverOptions;

impl Driver {
    /// Starts over an opened log and state, and returns when this server serves and everything committed before can be
    /// read. `incarnation` must differ from that of every other start; a random number does.
    ///
    /// # Errors
    /// What is stored is damaged or doesn't fit together; or the disk fails.
    pub fn start(
        options: DriverOptions,
        incarnation: Incarnation,
        log: LogStore,
        recovery: Recovery,
        state: Arc<StateStore>,
    ) -> Result<Driver, DriverError> {
        recovery.require_whole()?;
        let node = restore(&options, incarnation, &log, recovery, &state)?;
        let groups = node.configuration().groups.len() as u32;
        let published = Arc::new(Published::new());
        let (requests, receiver) = bounded(options.requests_max);
        let mut engine = Engine::new(options, node, log, state.clone(), published.clone(), receiver);
        // On this thread, so that the caller gets the reason when it fails.
        engine.take_office()?;
        let failure = published.clone();
        let work = move || {
            // The engine is used after a panic only to refuse what waits, which its invariants don't matter to.
            let outcome = catch_unwind(AssertUnwindSafe(|| engine.run()));
            let outcome = outcome.unwrap_or_else(|panic| Err(DriverError::Invariant(message(&*panic))));
            engine.truncation.abandon();
            if let Err(error) = outcome {
                tracing::error!(%error, "the driver stops");
                engine.fail(&error);
                failure.failure.send_replace(Some(Arc::new(error)));
            }
        };
        let thread = thread::Builder::new()
            .name("curia-driver".into())
            .spawn(work)
            .map_err(DriverError::Thread)?;
        Ok(Driver {
            requests: Some(requests),
            published,
            state,
            groups,
            thread: Mutex::new(Some(thread)),
        })
    }
}

/// What a panic said.
fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a message")
        .to_owned()
}

/// The node as the log has it.
fn restore(
    options: &DriverOptions,
    incarnation: Incarnation,
    log: &LogStore,
    recovery: Recovery,
    state: &StateStore,
) -> Result<Node, DriverError> {
    let mut config = Config::new(options.server, incarnation, incarnation.0);
    config.unresolved_bytes_max = options.unresolved_bytes_max;
    let founding = Configuration::founding(options.cluster, vec![options.server], options.groups).ok_or(DriverError::Founding)?;
    let groups = recovery.bases.iter().rev().find_map(|(_, base)| base.configuration.clone());
    let groups = groups.map_or(founding.groups.len(), |configuration| configuration.groups.len());
    let mut restore = Restore::new(config, recovery.hard_state, recovery.bases, applied(state, groups)?)?;
    let mut room = options.replay_bytes_max;
    let mut broken: Option<RestoreError> = None;
    let replayed = log.replay(&mut |log, mut entry| {
        if let Some(payload) = entry.record.payload_mut() {
            match room.checked_sub(payload.len()) {
                Some(left) => room = left,
                None => payload.release(),
            }
        }
        restore.entry(log, entry).map_err(|error| {
            broken = Some(error);
            StorageError::NoEntry {
                log: log.to_u32(),
                index: 0,
            }
        })
    });
    match (broken, replayed) {
        (Some(error), _) => return Err(error.into()),
        (None, replayed) => replayed?,
    }
    Ok(restore.finish(Some(founding))?)
}

/// How far the state is.
fn applied(state: &StateStore, groups: usize) -> Result<AppliedState, DriverError> {
    let (csn, timestamp) = state.applied_csn()?;
    let mut positions = Vec::with_capacity(groups);
    for group in 0..groups as u32 {
        let position = state.applied(GroupId(group))?;
        if position.index > Index::ZERO {
            positions.push((GroupId(group), position));
        }
    }
    Ok(AppliedState { csn, timestamp, positions })
}
