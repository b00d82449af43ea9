//! What a driver does for its node: reads the log store for others, takes and installs snapshots of groups, makes the
//! state durable.

use bytes::Bytes;
use curia_consensus::{Base, InstallChunk, LogRead, Missing, SnapshotPiece, SnapshotRead};

use crate::cases::Case;
use crate::plan::Micros;
use crate::server::Server;
use crate::state::GroupState;
use crate::world::{Event, World};

impl World {
    /// A read of the log store is done.
    pub(crate) fn read_log(&mut self, at: usize, read: &LogRead) {
        let server = &mut self.servers[at];
        let found = server.disk.read(read.log, read.after, read.upto, read.bytes_max);
        self.cases.met(Case::LogRead);
        self.story.add(self.now, &[60, at as u64, read.id, read.after.0], || {
            let count = found.as_ref().map(Vec::len);
            format!(
                "s{} reads {:?} after {:?} to {:?}: {count:?} entries",
                at + 1,
                read.log,
                read.after,
                read.upto
            )
        });
        self.node(at).log_read(read.id, found.ok_or(Missing));
        self.pump(at);
    }

    /// A read of the state for another server's snapshot is done.
    pub(crate) fn read_snapshot(&mut self, at: usize, read: &SnapshotRead) {
        let piece = self.snapshot_piece(at, read);
        self.story.add(self.now, &[61, at as u64, read.id, read.offset], || {
            let base = piece
                .as_ref()
                .map(|piece| (piece.base.index, piece.base.csn, piece.data.len(), piece.last));
            format!(
                "s{} reads a snapshot of {:?} from {} for {:?}: {base:?}",
                at + 1,
                read.group,
                read.offset,
                read.to
            )
        });
        self.node(at).snapshot_read(read.id, piece.ok_or(Missing));
        self.pump(at);
    }

    fn snapshot_piece(&mut self, at: usize, read: &SnapshotRead) -> Option<SnapshotPiece> {
        let server = &mut self.servers[at];
        let key = (read.to, read.group);
        if read.base.is_none() {
            let base = server.state.position(read.group)?.clone();
            let bytes = server
                .state
                .group(read.group)
                .map(GroupState::snapshot)
                .unwrap_or_else(|| GroupState::default().snapshot());
            server.snapshots.insert(key, (base, bytes));
        }
        let (base, bytes) = server.snapshots.get(&key)?;
        if read.base.as_ref().is_some_and(|wanted| wanted != base) {
            return None;
        }
        let from = usize::try_from(read.offset).ok().filter(|from| *from <= bytes.len())?;
        let upto = (from + read.bytes_max.max(1)).min(bytes.len());
        Some(SnapshotPiece {
            base: base.clone(),
            data: bytes.slice(from..upto),
            last: upto == bytes.len(),
        })
    }

    /// A piece of a snapshot is to be installed.
    pub(crate) fn install(&mut self, at: usize, chunk: InstallChunk) {
        let group = chunk.group;
        let server = &mut self.servers[at];
        self.story.add(self.now, &[62, at as u64, u64::from(group.0), chunk.offset], || {
            let (base, bytes) = (&chunk.base, chunk.data.len());
            format!(
                "s{} takes {bytes} bytes from {} of {group:?}'s snapshot at {:?}, {:?}",
                at + 1,
                chunk.offset,
                base.index,
                base.csn
            )
        });
        let (base, bytes) = server.incoming.entry(group).or_default();
        if chunk.offset == 0 {
            (*base, *bytes) = (chunk.base.clone(), Vec::new());
        }
        assert!(
            *base == chunk.base && bytes.len() as u64 == chunk.offset,
            "s{} is given a piece that doesn't follow what it has: {chunk:?}",
            at + 1
        );
        bytes.extend_from_slice(&chunk.data);
        if chunk.last
            && let Some((base, bytes)) = server.incoming.remove(&group)
        {
            self.install_whole(at, group, base, &bytes.into());
        }
    }

    fn install_whole(&mut self, at: usize, group: curia_consensus::GroupId, base: Base, bytes: &Bytes) {
        let Some(state) = GroupState::from_snapshot(bytes, base.csn) else {
            panic!("a snapshot of {group:?} at {:?} arrives as something else", base.csn)
        };
        assert_eq!(
            state.digest,
            self.oracle.digest(group, base.csn),
            "digests: the snapshot of {group:?} that s{} installs is not its state at {:?}",
            at + 1,
            base.csn
        );
        let server = &mut self.servers[at];
        let position = server.state.position(group).map(|base| base.index).unwrap_or_default();
        assert!(
            position <= base.index,
            "s{} is given an older snapshot of {group:?} than its state",
            at + 1
        );
        // Durable at once, with the group's position; nothing else of the state is.
        for copy in [&mut server.state, &mut server.flushed] {
            copy.groups.insert(group, state.clone().into());
            copy.move_to(group, base.clone());
        }
        self.cases.met(Case::SnapshotInstalled);
        let inaugurating = matches!(server.office, curia_consensus::Office::Inaugurating { .. });
        self.cases.met_if(Case::SnapshotInaugurating, inaugurating);
        self.node(at).installed(group, base.csn);
    }

    /// Makes a server's state durable, and mostly truncates its logs.
    pub(crate) fn flush(&mut self, at: usize) {
        let truncates = self.platter.chance(self.faults.truncate);
        if !self.servers[at].roles.state || !self.servers[at].applying.is_empty() {
            return;
        }
        let checkpoint = if truncates { self.node(at).checkpoint() } else { None };
        // The node may have moved positions while it made the checkpoint; they are told before it is durable.
        self.pump(at);
        let server = &mut self.servers[at];
        let Some(node) = server.node.as_mut().filter(|_| server.applying.is_empty()) else {
            return;
        };
        server.flushed = server.state.clone();
        let csn = server.state.csn();
        self.story.add(self.now, &[10, at as u64, csn.0], || {
            format!("s{} makes its state durable at {csn:?}; {checkpoint:?}", at + 1)
        });
        node.state_durable(csn);
        if let Some(checkpoint) = checkpoint {
            if server.roles.log {
                server.disk.rebase(&checkpoint.bases);
            }
            self.cases.met_if(Case::Truncated, !checkpoint.bases.is_empty());
            node.truncate(checkpoint);
        }
        if self.plan.archive {
            // Nobody reads that storage here, so it holds what all states hold.
            let configuration = node.configuration().clone();
            let runs = |server: &&Server| configuration.roles(server.id).is_some_and(|roles| roles.state);
            let least = self.servers.iter().filter(runs).map(|server| server.flushed.csn()).min();
            self.node(at).snapshots_durable(least.unwrap_or_default());
        }
        self.pump(at);
    }

    /// How long a disk takes, for a write or a read: now and then much longer.
    pub(crate) fn disk_time(&mut self, at: usize) -> Micros {
        let may_be = self.faults.slow_disk.is_none_or(|slow| slow == at);
        let slow = if self.platter.chance(self.faults.slow_sync) && may_be {
            50
        } else {
            1
        };
        self.platter.between(self.faults.sync / 4, self.faults.sync + 1) * slow
    }

    /// Later: a driver's disk reads take a while.
    pub(crate) fn soon(&mut self, at: usize, event: Event) {
        let time = self.disk_time(at);
        self.queue.add(self.now + time, event);
    }
}
