//! What the node asks for, done; and what the threads beside report, passed on to it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use curia_consensus::ids::{Csn, GroupId, PersistSeq, Term};
use curia_consensus::{AppliedState, AppliedTo, InstallChunk, LogRead, Missing, Office, Persist, SnapshotRead};
use curia_storage::state::{GroupSnapshot, Incoming};
use curia_storage::{StateStore, StorageError};
use curia_txn::{StageRef, StageSender};
use curia_types::{SqlError, SqlState};

use crate::apply::Slice;
use crate::done::{Done, caught};
use crate::engine::Engine;
use crate::failure::DriverError;
use crate::log_side::Handed;
use crate::measure;
use crate::standing::Standing;

impl Engine {
    /// Does what the node asks until it asks for nothing and all that may be in the state now is.
    pub(crate) fn settle(&mut self) -> Result<(), DriverError> {
        while self.advance()? {}
        Ok(())
    }

    /// Does what the node asks, and applies what came of it or a slice of that. Whether there is more to apply now.
    pub(crate) fn advance(&mut self) -> Result<bool, DriverError> {
        loop {
            self.ask_proof();
            let output = self.node.take_output();
            let idle = output.is_empty();
            if let Some(office) = output.office {
                self.note(office);
            }
            // Before anything leaves that could make another server consul.
            self.show_proof();
            for message in output.messages {
                self.peers.send(message);
            }
            if let Some(persist) = output.persist {
                self.persist(persist)?;
            } else if self.log.is_none() {
                // Without a log the node's memory is all the disk there is.
                while let Some((_, sender, group, stage)) = self.stages.pop_front() {
                    self.staged(sender, group, stage);
                }
            }
            if !output.apply.is_empty() || output.applied.is_some() {
                self.applying.push(output.apply, output.applied);
            }
            for read in output.log_reads {
                self.read_log(read);
            }
            for read in output.snapshot_reads {
                self.read_snapshot(read)?;
            }
            for chunk in output.installs {
                self.applying.install(chunk);
            }
            for ready in output.reads {
                if !self.proven(ready.id, ready.result)
                    && let Some(sender) = self.reads.remove(&ready.id)
                {
                    let _ = sender.send(ready.result); // who no longer waits needs no answer
                }
            }
            self.show();
            self.keep_senate()?;
            // What was applied lets the node go on.
            match self.apply()? {
                Some(Slice::More) => return Ok(true),
                None | Some(Slice::Install) if idle => return Ok(false),
                None | Some(Slice::Done(..) | Slice::Install) => {}
            }
        }
    }

    /// Tells readers what they need not ask.
    fn show_proof(&mut self) {
        self.published.alone.store(self.node.is_lone(), Ordering::Release);
        let lease = self.node.lease_until().unwrap_or_default().as_micros();
        self.published
            .lease_until
            .store(u64::try_from(lease).unwrap_or(u64::MAX), Ordering::Release);
        if self.term == Term::ZERO {
            *self.published.confirmed.lock() = self.node.confirmed();
        }
    }

    /// Tells who watches what this server is and who takes part.
    pub(crate) fn show(&mut self) {
        let office = match self.node.office() {
            // What the cut takes in is to be read by whoever this server serves.
            Office::Consul { term, cut } if self.published.applied.load(Ordering::Relaxed) < cut.0 => Office::Inaugurating { term },
            office => office,
        };
        let standing = Standing {
            office,
            consul: self.node.consul(),
        };
        if *self.published.standing.borrow() != standing {
            let serving = standing.serving().unwrap_or(Term::ZERO);
            self.published.term.store(serving.0, Ordering::Release);
            if standing.term() > self.published.standing.borrow().term() {
                measure::term_seen();
            }
            self.published.standing.send_replace(standing);
        }
        let configuration = self.node.configuration();
        if !Arc::ptr_eq(&self.published.configuration.borrow(), configuration) {
            let groups = u32::try_from(configuration.groups.len()).unwrap_or(u32::MAX);
            self.published.groups.store(groups, Ordering::Relaxed);
            self.published.configuration.send_replace(configuration.clone());
        }
    }

    /// A server without a log keeps the configuration with its state, whenever another one is committed.
    fn keep_senate(&mut self) -> Result<(), DriverError> {
        let (None, Some(state)) = (&self.log, &self.state) else {
            return Ok(());
        };
        let Some(base) = self.node.senate_base() else { return Ok(()) };
        let kept = state.senate_base()?.and_then(|base| base.configuration);
        if kept != base.configuration {
            match state.keep_senate_base(&base).and_then(|()| state.flush()) {
                Err(error) if error.is_no_space() => {} // the next time
                kept => kept?,
            }
        }
        Ok(())
    }

    /// Reads entries for another server.
    fn read_log(&mut self, read: LogRead) {
        if let Err(read) = self.serving.log(read) {
            self.node.log_read(read.id, Err(Missing));
        }
    }

    /// Reads a piece of a group's snapshot for another server. A new one is of the state as it is now.
    fn read_snapshot(&mut self, read: SnapshotRead) -> Result<(), DriverError> {
        let fresh = match (&self.state, &read.base) {
            (Some(state), None) => Some(state.snapshot(read.group, applied_state(state)?.position(read.group))?),
            _ => None,
        };
        if let Err(read) = self.serving.snapshot(read, fresh) {
            self.node.snapshot_read(read.id, Err(Missing));
        }
        Ok(())
    }

    /// A snapshot of a group as it is now, while this server is consul: then its state is one prefix of the commit order.
    pub(crate) fn take_snapshot(&self, group: GroupId) -> Result<GroupSnapshot, StorageError> {
        match &self.state {
            Some(state) if self.term != Term::ZERO => state.snapshot(group, applied_state(state)?.position(group)),
            _ => Err(StorageError::State("this server is not the consul".into())),
        }
    }

    fn note(&mut self, office: Office) {
        let before = self.term;
        measure::office(office);
        let applied = Csn(self.published.applied.load(Ordering::Relaxed));
        self.inaugurations.note(office, applied, self.node.accession());
        self.term = match office {
            Office::Consul { term, cut } => {
                tracing::info!(%term, %cut, "serving as consul");
                self.inaugurations
                    .done
                    .back()
                    .into_iter()
                    .for_each(|last| measure::inaugurated(last.took));
                term
            }
            Office::Senator { .. } | Office::Inaugurating { .. } => Term::ZERO,
        };
        if self.term != before && before != Term::ZERO {
            tracing::info!(term = %before, "no longer consul");
            // Another consul decides about what isn't resolved: dropped tickets say that the outcome is unknown.
            let resolved = self.node.resolved();
            self.commits.retain(|(csn, _)| *csn <= resolved);
            for (_, sender, ..) in self.stages.drain(..) {
                let error = SqlError::new(SqlState::SERIALIZATION_FAILURE, "could not commit because the consul changed");
                let _ = sender.send(Err(error));
            }
            self.published.term.store(0, Ordering::Release);
            self.show(); // before anybody hears why, and tries again
            self.refuse_held();
            self.deny_proofs();
            self.unwritten_bytes = 0;
        }
    }

    /// Writes and syncs a batch and tells the node, or has that done beside.
    fn persist(&mut self, persist: Persist) -> Result<(), DriverError> {
        let seq = persist.seq;
        let Some(log) = &mut self.log else {
            // The node of a server that is being added hears from the senate's log that there is none here. Memory is all it has.
            self.node.persisted(seq);
            return Ok(());
        };
        for (batch, ..) in self.stages.iter_mut().rev().take_while(|(batch, ..)| batch.is_none()) {
            *batch = Some(seq);
        }
        self.unwritten_bytes = 0;
        self.unsealed = Some(Instant::now());
        match log.write(persist, self.node.is_lone())? {
            Handed::Done => self.persisted(seq),
            Handed::UnderWay => {}
        }
        Ok(())
    }

    fn persisted(&mut self, upto: PersistSeq) {
        self.node.persisted(upto);
        while let Some((_, sender, group, stage)) = self.stages.pop_front_if(|(batch, ..)| batch.is_some_and(|batch| batch <= upto)) {
            self.staged(sender, group, stage);
        }
    }

    /// A stage record is in the log.
    fn staged(&mut self, sender: StageSender, group: GroupId, stage: StageRef) {
        if sender.send(Ok(stage)).is_err() {
            // Whoever staged it has gone: nobody will name it.
            self.node.discard(group, &[stage.index]);
        }
    }

    /// Takes a report of a thread beside.
    pub(crate) fn take_done(&mut self, done: Done) -> Result<(), DriverError> {
        match done {
            Done::Persisted(upto) => {
                if let Some(log) = &mut self.log {
                    log.reported(upto);
                }
                self.persisted(upto);
            }
            Done::LogFull => {}
            Done::LogFailed(error) => return Err(error.into()),
            Done::Truncated(done) => self.truncated(done),
            Done::Flushed(outcome) => self.flushed(outcome)?,
            Done::LogRead(id, entries) => self.node.log_read(id, entries),
            Done::SnapshotRead(id, piece) => {
                if let Ok(piece) = &piece {
                    measure::snapshot_sent(piece.data.len(), piece.last);
                }
                self.node.snapshot_read(id, piece);
            }
            Done::Installed(group, csn, outcome) => {
                if let Some(thread) = self.installing.take() {
                    let _ = thread.join(); // it has nothing left to say
                }
                self.applying.chunk_done();
                match outcome {
                    Ok(()) => {
                        tracing::info!(%group, %csn, "a snapshot is installed");
                        measure::snapshot_installed();
                        self.node.installed(group, csn);
                    }
                    // It changed nothing; another copy may be sound.
                    Err(error @ StorageError::Format { .. }) => {
                        tracing::error!(%group, %csn, %error, "a snapshot is not what was sent");
                        self.node.install_failed(group);
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    /// Applies the next output or a slice of it. When it is done, publishes the CSN and answers those who wait for it.
    fn apply(&mut self) -> Result<Option<Slice>, DriverError> {
        let Some(state) = &self.state else { return Ok(None) };
        let waits = self.apply_again.is_some_and(|again| Instant::now() < again);
        if self.applying.is_empty() || self.installing.is_some() || waits {
            return Ok(None);
        }
        let begun = Instant::now();
        let log = self.log.as_ref().map(|log| &log.shared().store);
        let slice = match self.applying.slice(state, log, self.options.apply_bytes_max) {
            Ok(Some(Slice::Install)) => self.take_chunk(),
            slice => slice,
        };
        match &slice {
            Err(error) if error.is_no_space() => {
                if self.apply_again.is_none() {
                    tracing::error!(%error, "no room for the state: writes wait or are refused until there is");
                }
                self.apply_again = Some(Instant::now() + self.options.full_disk_interval);
                return Ok(None);
            }
            Err(_) => {}
            Ok(_) if self.apply_again.take().is_some() => tracing::info!("there is room for the state again"),
            Ok(_) => {}
        }
        let slice = slice?;
        match &slice {
            Some(Slice::Done(Some(to), before)) => self.publish(to, *before + begun.elapsed()),
            Some(Slice::More) => self.applying.spent(begun.elapsed()),
            _ => {}
        }
        Ok(slice)
    }

    /// Takes the piece of a snapshot that is next. The last one has the whole put into the state, beside.
    fn take_chunk(&mut self) -> Result<Option<Slice>, StorageError> {
        let (Some(state), Some(chunk)) = (&self.state, self.applying.chunk()) else {
            return Ok(None);
        };
        let InstallChunk { group, offset, last, .. } = *chunk;
        if offset == 0 {
            self.incoming.insert(group, state.receive(group, chunk.base.clone())?);
        }
        let follows = |incoming: &&mut Incoming| incoming.received() == offset && *incoming.base() == chunk.base;
        let Some(incoming) = self.incoming.get_mut(&group).filter(follows) else {
            return Err(StorageError::State(format!(
                "a piece of group {group}'s snapshot doesn't follow the one before it"
            )));
        };
        incoming.add(&chunk.data)?;
        if !last {
            self.applying.chunk_done();
            return Ok(Some(Slice::Install));
        }
        // What is in the state's groups is of different CSNs until all have caught up with it.
        self.published.readable.store(false, Ordering::Release);
        self.applying.catalog_changed = true;
        if let Some(incoming) = self.incoming.remove(&group) {
            let (state, reports) = (state.clone(), self.inlets.reports.clone());
            let (stopping, retry) = (self.stopping.clone(), self.options.full_disk_interval);
            let install = move || {
                let outcome = loop {
                    match caught(|| state.install(&incoming)) {
                        Err(error) if error.is_no_space() && !stopping.load(Ordering::Acquire) => thread::sleep(retry),
                        outcome => break outcome,
                    }
                };
                // A driver that is gone installs it at its next start.
                let _ = reports.send(Done::Installed(group, incoming.base().csn, outcome));
            };
            let thread = thread::Builder::new().name("curia-install".into()).spawn(install);
            self.installing = Some(thread.map_err(|e| StorageError::State(format!("cannot start a thread: {e}")))?);
        }
        Ok(None)
    }

    fn publish(&mut self, to: &AppliedTo, time: Duration) {
        self.node.applied(to.csn);
        self.published.resolved.store(self.node.resolved().0, Ordering::Relaxed);
        if !self.node.is_prefix() {
            return; // nothing can be read until it is
        }
        if std::mem::take(&mut self.applying.catalog_changed) {
            self.published.catalog.store(to.csn.0, Ordering::Release);
        }
        let before = self.published.applied.swap(to.csn.0, Ordering::Release);
        // Last: whoever finds it readable takes no snapshot of before an install.
        self.published.readable.store(true, Ordering::Release);
        if before != to.csn.0 {
            self.published.waiters.send_replace(to.csn);
        }
        let begun = Instant::now();
        let answered = self.commits.partition_point(|(csn, _)| *csn <= to.csn);
        for (csn, sender) in self.commits.drain(..answered) {
            sender.send(Ok(csn));
        }
        measure::answered(begun.elapsed());
        measure::applied(to.csn.0 - before, to.csn, self.node.resolved(), time);
    }
}

/// How far a state is.
pub(crate) fn applied_state(state: &StateStore) -> Result<AppliedState, StorageError> {
    let (csn, timestamp) = state.applied_csn()?;
    let positions = state.positions()?;
    Ok(AppliedState { csn, timestamp, positions })
}
