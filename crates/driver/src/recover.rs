//! A cluster that lost its majority for good, and one server that goes on with what it has.
//!
//! ```text
//!   senate's log   1 ─ 2 ─ … ─ n                  n + 1: the base, of another cluster with this server alone
//!   groups' logs   as they are ─────────────────────────► the next start counts what is whole in them, as every consul does
//! ```
//!
//! Nothing but the senate's log is changed. Everything that the state and the logs here hold stays, as far as it is whole;
//! what other servers acknowledged and this one never got is lost, and nobody can tell what that was.

use std::collections::BTreeMap;
use std::sync::Arc;

use curia_consensus::ids::{ClusterId, Csn, GroupId, Index, LogId, ServerId, Tail, Timestamp};
use curia_consensus::{Base, Configuration, Entry, Record, Recovered, Write, cut};
use curia_storage::StateStore;
use curia_storage::log::{LogStore, Recovery};

use crate::failure::DriverError;

/// What a folder holds of its cluster.
#[derive(Clone, Debug)]
pub struct Holdings {
    /// Every transaction up to here is in the state.
    pub applied: Csn,
    /// When the last of them committed.
    pub applied_at: Timestamp,
    /// Every transaction up to here is whole in the state and the logs: these count.
    pub whole: Csn,
    /// Where each group's log ends, and the highest transaction in it.
    pub groups: BTreeMap<GroupId, (Tail, Csn)>,
    /// Who took part, by the last entry that says so.
    pub configuration: Arc<Configuration>,
}

/// Looks what a folder holds.
///
/// # Errors
/// It is damaged, holds no cluster, or half of what snapshots were bringing it.
pub fn holdings(log: &LogStore, recovery: &Recovery, state: &StateStore) -> Result<Holdings, DriverError> {
    recovery.require_whole()?;
    let mut configurations: Vec<(Index, Arc<Configuration>)> = Vec::new();
    let mut groups: BTreeMap<GroupId, (Tail, Csn)> = BTreeMap::new();
    for (log, base) in &recovery.bases {
        match (log, &base.configuration) {
            (LogId::Group(group), _) => drop(groups.insert(*group, (base.tail(), base.csn))),
            (LogId::Senate, Some(configuration)) => configurations.push((base.index, configuration.clone())),
            (LogId::Senate, None) => {}
        }
    }
    let (applied, applied_at) = state.applied_csn()?;
    let positions = state.positions()?;
    let bases = recovery
        .bases
        .iter()
        .map(|(_, base)| base)
        .chain(positions.iter().map(|(_, base)| base));
    let ahead = bases.map(|base| base.csn).fold(applied, Csn::max);
    if ahead > applied {
        return Err(DriverError::Partial(applied, ahead));
    }
    let mut judged: BTreeMap<GroupId, Vec<Entry>> = BTreeMap::new();
    log.replay(&mut |log, mut entry| {
        if let Some(payload) = entry.record.payload_mut() {
            payload.release();
        }
        match (log, &entry.record) {
            (LogId::Senate, record) => {
                configurations.retain(|(index, _)| *index < entry.index); // it replaces what stood there
                if let Record::Configuration(configuration) = record {
                    configurations.push((entry.index, configuration.clone()));
                }
            }
            (LogId::Group(group), record) => {
                let known = groups.entry(group).or_default();
                known.0 = Tail {
                    term: entry.term,
                    index: entry.index,
                };
                if let Record::Fragment(fragment) = record {
                    known.1 = known.1.max(fragment.csn);
                }
                let entries = judged.entry(group).or_default();
                while entries.pop_if(|last| last.index >= entry.index).is_some() {}
                if matches!(record, Record::Fragment(_) | Record::TermStart(_)) {
                    entries.push(entry);
                }
            }
        }
        Ok(())
    })?;
    let (_, configuration) = configurations.pop().ok_or(DriverError::Founding)?;
    groups.retain(|group, _| configuration.group(*group).is_some());
    judged.retain(|group, _| configuration.group(*group).is_some());
    let whole = cut::find(applied, judged.iter().map(|(group, entries)| (*group, entries.iter()))).csn;
    Ok(Holdings {
        applied,
        applied_at,
        whole,
        groups,
        configuration,
    })
}

/// Makes the server of this folder the only one of another cluster, durably. It must be the last thing that is done with the log.
///
/// # Errors
/// The server isn't one that both stores logs and runs the state; the disk fails.
pub fn recover(
    log: &mut LogStore,
    recovery: &Recovery,
    holdings: &Holdings,
    server: ServerId,
    cluster: ClusterId,
    at: Timestamp,
) -> Result<Configuration, DriverError> {
    let recovered = Recovered {
        from: holdings.configuration.cluster,
        at,
        by: server,
        csn: holdings.whole,
    };
    let configuration = holdings.configuration.recovered(cluster, recovered).ok_or(DriverError::Founding)?;
    let last = log.tail(LogId::Senate).index;
    let begins = recovery.bases.iter().find(|(log, _)| *log == LogId::Senate);
    let begins = begins.map_or(Index::ZERO, |(_, base)| base.index);
    let base = Base {
        index: last.next(),
        term: recovery.hard_state.map(|state| state.term).unwrap_or_default(),
        configuration: Some(configuration.clone().into()),
        ..Base::default()
    };
    let writes = [
        Write::DropSuffix {
            log: LogId::Senate,
            after: begins,
        },
        Write::Base { log: LogId::Senate, base },
    ];
    log.append(recovery.hard_state.as_ref(), &writes)?;
    Ok(configuration)
}
