//! A server's state goes on: fragments are applied in CSN order, and checked against what others applied.

use curia_consensus::{AppliedTo, Apply, Csn, GroupId, InstallChunk, LogId, Participant, Payload, ServerId, Timestamp};

use crate::cases::Case;
use crate::oracle::{Decided, Part, fragment_content};
use crate::state::Writes;
use crate::world::World;

/// What a driver does with its state, in order.
#[derive(Debug)]
pub(crate) enum Work {
    /// Apply fragments, and note how far that brings the state.
    Apply(Vec<Apply>, AppliedTo),
    /// Install a piece of a group's snapshot.
    Install(InstallChunk),
}

impl World {
    /// Applies what waits.
    pub(crate) fn apply(&mut self, at: usize) {
        while let Some(work) = self.servers[at].applying.pop_front() {
            let (fragments, applied) = match work {
                Work::Apply(fragments, applied) => (fragments, applied),
                Work::Install(chunk) => {
                    self.install(at, chunk);
                    continue;
                }
            };
            for transaction in fragments.chunk_by(|a, b| a.csn == b.csn) {
                self.apply_transaction(at, transaction);
            }
            self.applied_to(at, applied);
        }
    }

    /// A server's state goes on to a CSN without applying those before it: group snapshots brought all of them.
    fn pass_over(&self, at: usize, upto: Csn) {
        let state = &self.servers[at].state;
        for csn in (state.csn().0 + 1..=upto.0).map(Csn) {
            let brought = |group: GroupId| state.group(group).is_some_and(|group| group.installed >= csn);
            let decided = self.oracle.decided(csn);
            assert!(
                decided.is_some_and(|decided| decided
                    .places
                    .iter()
                    .all(|(place, _)| brought(place.group) || self.oracle.is_gone(place.group))),
                "prefix order: s{} goes past {csn:?} without applying it: {decided:?}",
                at + 1
            );
        }
    }

    fn apply_transaction(&mut self, at: usize, fragments: &[Apply]) {
        let (csn, timestamp) = (fragments[0].csn, fragments[0].timestamp);
        let server = &self.servers[at];
        let id = server.id;
        assert!(
            csn > server.state.csn(),
            "prefix order: {id:?} applies {csn:?} after {:?}",
            server.state.csn()
        );
        self.pass_over(at, Csn(csn.0 - 1));
        let mut parts = Vec::with_capacity(fragments.len());
        for fragment in fragments {
            let log = LogId::Group(fragment.group);
            let payload = match &fragment.payload {
                Payload::Held(held) => held.clone(),
                Payload::Stored(_) => server.disk.payload(log, fragment.index),
            };
            let mut bytes = Vec::new();
            for (at, stage) in fragment.stages.as_slice().iter().enumerate() {
                match fragment.staged.get(at) {
                    Some(Payload::Held(held)) => bytes.extend_from_slice(held),
                    _ => bytes.extend_from_slice(&server.disk.payload(log, *stage)),
                }
            }
            bytes.extend_from_slice(&payload);
            let Some(writes) = Writes::decode(&bytes) else {
                panic!("{id:?} applies bytes that nobody proposed at {log:?} {:?}", fragment.index)
            };
            parts.push(Part {
                group: fragment.group,
                index: fragment.index,
                key: fragment.key,
                content: fragment_content(csn, timestamp, fragment.stages.as_slice(), &payload),
                writes,
            });
        }
        let operation = parts[0].writes.operation;
        let first = self.oracle.decided(csn).map_or(parts[0].group, |decided| decided.places[0].0.group);
        assert!(
            parts.iter().all(|part| part.key.is_none() || part.group == first),
            "{id:?} is told the key of {csn:?} with another than the first fragment"
        );
        if csn == self.oracle.decided_csn().next() {
            if let Some(term) = self.servers[at].term() {
                self.oracle.resolved(term, csn);
            }
            self.decide(at, csn, timestamp, &parts);
        }
        let decided = self.oracle.decided(csn).expect("decided at the latest now");
        // What a group's snapshot brought is not applied again, and of a dropped group there may be nothing left.
        let state = &self.servers[at].state;
        let brought = |group: GroupId| state.group(group).is_some_and(|group| group.installed >= csn);
        let lost = |group: GroupId| self.oracle.is_gone(group) && parts.iter().all(|part| part.group != group);
        let places = decided.places.iter().map(|(place, _)| *place);
        let places = places.filter(|place| !brought(place.group) && !lost(place.group));
        assert!(
            decided.operation == operation
                && decided.timestamp == timestamp
                && places.eq(parts.iter().map(|part| Participant {
                    group: part.group,
                    index: part.index
                })),
            "state-machine safety: {id:?} applies {parts:?} at {csn:?}, where {decided:?} was applied"
        );
        let server = &mut self.servers[at];
        for part in &parts {
            let state = server.state.group_mut(part.group);
            state.apply(&part.writes);
            if let Some(key) = part.key {
                state.remember(key, csn);
            }
            assert_eq!(
                state.digest,
                self.oracle.digest(part.group, csn),
                "digests: {id:?}'s {:?} differs at {csn:?}",
                part.group
            );
        }
        server.state.applied.csn = csn;
        server.state.applied.timestamp = timestamp;
        self.story.add(self.now, &[9, at as u64, csn.0, operation], || {
            format!("s{} applies {csn:?}, operation {operation}", at + 1)
        });
        if let Some(waiting) = self.servers[at].waiting.remove(&csn) {
            assert_eq!(
                waiting.operation, operation,
                "{id:?} gave {csn:?} to another operation in {:?}",
                waiting.term
            );
            self.answer(waiting.client, waiting.attempt, csn);
        }
    }

    /// The first server applies a CSN: it must be whole, and on quorums.
    fn decide(&mut self, at: usize, csn: Csn, timestamp: Timestamp, parts: &[Part]) {
        let id = self.servers[at].id;
        let operation = parts[0].writes.operation;
        self.check_whole(csn, operation, parts);
        let places = parts.iter().map(|part| {
            let place = Participant {
                group: part.group,
                index: part.index,
            };
            let term = self.oracle.term_of(LogId::Group(part.group), part.index, part.content);
            (
                place,
                term.unwrap_or_else(|| panic!("{id:?} applies at {place:?} what was never written there: {part:?}")),
            )
        });
        let places: Vec<_> = places.collect();
        let configurations = self.oracle.configurations();
        let latest = &configurations[configurations.len().saturating_sub(4)..];
        for (place, term) in &places {
            let log = LogId::Group(place.group);
            let holds = |server: ServerId| {
                let disk = &self.servers[server.0 as usize - 1].disk;
                disk.had(log, place.index) || disk.lane(log).is_some_and(|lane| lane.holds(place.index, *term))
            };
            assert!(
                latest
                    .iter()
                    .filter_map(|configuration| configuration.group(place.group))
                    .any(|members| members.quorum(holds)),
                "acknowledged is never lost: {id:?} applies {csn:?}, and {place:?} of {term:?} is on no quorum's disks"
            );
        }
        let decided = Decided {
            operation,
            timestamp,
            places,
        };
        self.oracle.decide(csn, decided, parts);
        self.cases.met(Case::Committed);
    }

    fn applied_to(&mut self, at: usize, applied: AppliedTo) {
        let server = &mut self.servers[at];
        let id = server.id;
        assert!(
            applied.csn >= server.state.csn(),
            "no fragment half applied: {id:?} applied {:?} and is said to be at {:?}",
            server.state.csn(),
            applied.csn
        );
        if applied.csn > server.state.csn() {
            self.pass_over(at, applied.csn);
        }
        let server = &mut self.servers[at];
        (server.state.applied.csn, server.state.applied.timestamp) = (applied.csn, applied.timestamp);
        self.story.add(self.now, &[13, at as u64, applied.csn.0], || {
            let positions: Vec<_> = applied.positions.iter().map(|(group, base)| (group, base.index)).collect();
            format!("s{} is at {:?}, positions {positions:?}", at + 1, applied.csn)
        });
        for (group, base) in applied.positions {
            let before = server.state.position(group).map(|base| base.index).unwrap_or_default();
            assert!(
                before <= base.index,
                "{id:?}'s position in {group:?} goes back from {before:?} to {:?}",
                base.index
            );
            server.state.move_to(group, base);
        }
        self.node(at).applied(applied.csn);
    }

    /// What a server reads now, at its applied CSN.
    pub(crate) fn read_here(&self, at: usize, cells: &[(GroupId, u16)]) -> Vec<crate::state::Cell> {
        let state = &self.servers[at].state;
        cells
            .iter()
            .map(|(group, cell)| state.group(*group).map(|g| g.cell(*cell)).unwrap_or_default())
            .collect()
    }
}
