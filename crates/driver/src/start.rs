//! Starting: from what the disk holds to a node that goes on from there.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use crossbeam_channel::bounded;
use curia_consensus::ids::{GroupId, Incarnation, Index, LogId, Tail};
use curia_consensus::{Base, Config, Configuration, Entry, Node, Record, Restore, RestoreError};
use curia_storage::log::{LogStore, Recovery, Replayed};
use curia_storage::{StateStore, StorageError};
use parking_lot::Mutex;

use crate::done::DONE_MAX;
use crate::duties::applied_state;
use crate::engine::{Engine, Inlets};
use crate::failure::DriverError;
use crate::handle::{Driver, Published};
use crate::log_side::LogSide;
use crate::measure;
use crate::options::{DriverOptions, Founding};
use crate::peers::{NoPeers, Peers};
use crate::serving::Serving;

impl Driver {
    /// Starts a server that is alone over an opened log and state, and returns when it serves and everything committed
    /// before can be read. `incarnation` must differ from that of every other start; a random number does.
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
        let stores = Stores {
            log: Some((log, recovery)),
            state: Some(state),
        };
        Driver::start_among(options, incarnation, stores, Arc::new(NoPeers))
    }

    /// Starts a server of a cluster. Where the stored or founding configuration has no other server, it returns as
    /// [`Driver::start`] does; else at once, and elections go on beside.
    ///
    /// # Errors
    /// As [`Driver::start`].
    pub fn start_among(
        options: DriverOptions,
        incarnation: Incarnation,
        stores: Stores,
        peers: Arc<dyn Peers>,
    ) -> Result<Driver, DriverError> {
        measure::begin();
        let Stores { log, state } = stores;
        let (log, recovery) = log.unzip();
        let node = restore(&options, incarnation, log.as_ref(), recovery, state.as_deref())?;
        let groups = node.configuration().groups.len() as u32;
        if let Some(state) = &state
            && groups > 0
        {
            state.adopt_storages(|storage| GroupId(if storage < FIRST_USER_STORAGE { 0 } else { storage % groups }))?;
        }
        let published = Arc::new(Published::new(node.configuration().clone()));
        published.groups.store(groups, Ordering::Relaxed);
        let (requests, request_inlet) = bounded(options.requests_max);
        let (messages, message_inlet) = bounded(options.messages_max);
        let (reports, done) = bounded(DONE_MAX);
        let log = log
            .map(|log| LogSide::start(log, reports.clone(), options.full_disk_interval))
            .transpose()?;
        let serving = Serving::start(log.as_ref().map(|log| log.shared().clone()), reports.clone())?;
        let inlets = Inlets {
            requests: request_inlet,
            messages: message_inlet,
            done,
            reports,
        };
        let mut engine = Engine::new(options, node, log, state.clone(), peers, serving, published.clone(), inlets);
        // On this thread, so that the caller gets the reason when it fails.
        engine.begin()?;
        let failure = published.clone();
        let work = move || {
            // The engine is used after a panic only to refuse what waits, which its invariants don't matter to.
            let outcome = catch_unwind(AssertUnwindSafe(|| engine.run()));
            let outcome = outcome.unwrap_or_else(|panic| Err(DriverError::Invariant(message(&*panic))));
            engine.abandon();
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
            messages,
            published,
            state,
            thread: Mutex::new(Some(thread)),
        })
    }
}

/// What a server keeps on disk. One of the two at least.
pub struct Stores {
    /// Its log, and what opening it found; `None` for a server that keeps no log.
    pub log: Option<(LogStore, Recovery)>,
    /// Its state; `None` for a server that stores logs only.
    pub state: Option<Arc<StateStore>>,
}

/// The first storage id that a table or index gets; those below are the system's own, in group 0.
const FIRST_USER_STORAGE: u32 = 1024;

/// What a panic said.
fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a message")
        .to_owned()
}

/// The node as the disk has it.
fn restore(
    options: &DriverOptions,
    incarnation: Incarnation,
    log: Option<&LogStore>,
    recovery: Option<Recovery>,
    state: Option<&StateStore>,
) -> Result<Node, DriverError> {
    let mut config = Config::new(options.server, incarnation, incarnation.0);
    config.cluster = Some(options.cluster);
    config.unresolved_bytes_max = options.unresolved_bytes_max;
    config.election_timeout = options.election_timeout;
    config.lease_drift_percent = options.lease_drift_percent;
    config.retained_bytes_max = options.retained_bytes_max;
    config.news_delay = options.news_delay;
    let founding = match &options.founding {
        Founding::Alone => {
            let alone = Configuration::founding(options.cluster, vec![options.server], options.groups);
            Some(alone.ok_or(DriverError::Founding)?)
        }
        Founding::Together(configuration) => Some(configuration.clone()),
        Founding::Join => None,
    };
    let Recovery {
        hard_state,
        mut bases,
        damage,
        promise_unknown,
        torn,
    } = recovery.unwrap_or_default();
    if let (None, Some(state)) = (log, state) {
        bases.extend(state.senate_base()?.map(|base| (LogId::Senate, base)));
    }
    let alone = matches!(options.founding, Founding::Alone);
    if let (Some(_), Some(state), false) = (log, state, alone)
        && hard_state.is_none()
        && !state.positions()?.is_empty()
    {
        return Err(DriverError::PromiseLost); // its log folder was emptied: it would vote and acknowledge again
    }
    let mut logs = Logs::default();
    logs.know(&bases);
    let mut restore = Restore::new(config, hard_state, bases, state.map(applied_state).transpose()?.unwrap_or_default())?;
    let mut room = options.replay_bytes_max;
    let mut broken: Option<RestoreError> = None;
    let replayed = log.map_or(Ok(()), |log| {
        log.replay_around_damage(&mut |replayed| {
            let (log, mut entry) = match replayed {
                Replayed::Entry(log, entry) => (log, entry),
                Replayed::Damage => {
                    logs.pass_damage();
                    return Ok(());
                }
            };
            if !damage.is_empty() && !logs.follows(log, &entry) {
                return Ok(()); // behind what is damaged
            }
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
        })
    });
    match (broken, replayed) {
        (Some(error), _) => return Err(error.into()),
        (None, replayed) => replayed?,
    }
    if damage.is_empty() {
        return Ok(restore.finish(founding)?);
    }
    // Any log may have had records where the damage is, at its end too.
    for (log, last) in logs.ends() {
        restore.damaged(log, last);
    }
    for damage in &damage {
        tracing::warn!(path = %damage.place.path.display(), offset = damage.place.offset, "damaged: {}", damage.detail);
    }
    match restore.finish(founding) {
        // Nobody else has it: the file and the offset help most.
        Err(RestoreError::Damaged { .. }) => {
            let recovery = Recovery {
                damage,
                torn,
                ..Recovery::default()
            };
            recovery.require_whole()?;
            Err(DriverError::PromiseLost)
        }
        Ok(_) if promise_unknown => Err(DriverError::PromiseLost),
        finished => Ok(finished?),
    }
}

/// Where the logs of a damaged log store end, as far as each can be trusted.
///
/// Where records are damaged, some may have replaced the end of a log; what was written after them then follows entries that
/// are lost, whatever their indexes say. So behind damage a log goes on only with the next entry of the same term, which no
/// replacement leads to; else it ends where it was, for good.
#[derive(Default)]
struct Logs {
    ends: BTreeMap<LogId, End>,
}

#[derive(Clone, Copy, Default)]
struct End {
    last: Tail,
    /// Damage was passed since the last entry.
    doubtful: bool,
    /// What follows is unknown.
    frozen: bool,
}

impl Logs {
    fn know(&mut self, bases: &[(LogId, Base)]) {
        self.ends.insert(LogId::Senate, End::default());
        for (log, base) in bases {
            self.ends.entry(*log).or_default().last = base.tail();
            self.know_groups(base.configuration.as_deref());
        }
    }

    fn know_groups(&mut self, configuration: Option<&Configuration>) {
        for (group, _) in configuration.iter().flat_map(|configuration| &configuration.groups) {
            self.ends.entry(LogId::Group(*group)).or_default();
        }
    }

    fn pass_damage(&mut self) {
        self.ends.values_mut().for_each(|end| end.doubtful = true);
    }

    /// Takes note of an entry, if it follows what was noted.
    fn follows(&mut self, log: LogId, entry: &Entry) -> bool {
        let end = self.ends.entry(log).or_default();
        let next = entry.index == end.last.index.next();
        let sure = match end.doubtful {
            true => next && entry.term == end.last.term,
            false => entry.index <= end.last.index.next(),
        };
        if end.frozen || !sure {
            end.frozen = true;
            return false;
        }
        end.doubtful = false;
        if entry.index.next() > end.last.index {
            end.last = Tail {
                term: entry.term,
                index: entry.index,
            };
        }
        if let Record::Configuration(configuration) = &entry.record {
            self.know_groups(Some(configuration));
        }
        true
    }

    fn ends(self) -> impl Iterator<Item = (LogId, Index)> {
        self.ends.into_iter().map(|(log, end)| (log, end.last.index))
    }
}
