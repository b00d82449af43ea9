//! Copying logs: the consul sends, everybody else follows (thesis, section 3.5).

use crate::ids::{Index, LogId, ServerId, Tail};
use crate::log::Log;
use crate::message::{Append, AppendReply, Body, Matched, Refusal, Section};
use crate::node::Node;
use crate::output::Write;
use crate::record::{Entry, Record};
use crate::senate::Role;

impl Node {
    /// Sends every peer what it lacks; and, when a heartbeat is due, a sign of life.
    pub(crate) fn replicate(&mut self) {
        let heartbeat = std::mem::take(&mut self.heartbeat_due);
        let asking = self.ask_for_reads();
        if self.senator.role != Role::Consul || self.lone() {
            return;
        }
        let decided = self.term_starts_written();
        if heartbeat {
            self.find_favourites();
            self.senator.peers.heartbeat();
            self.workers.iter_mut().for_each(|worker| worker.peers.heartbeat());
        }
        let resolved = self.serving.map(|_| self.sequencer.resolved());
        let mut round = None;
        for to in self.standing.peers.clone() {
            let mut sections = Vec::new();
            let limit = self.config.append_bytes_max;
            if self.senator.members().contains(to) {
                sections.extend(self.senator.peers.section(to, LogId::Senate, &self.senator.log, limit));
            }
            // Nothing of a group leaves before its log is adopted, and that ends with its term-start.
            for worker in self.workers.iter_mut().filter(|worker| decided && worker.members.contains(to)) {
                sections.extend(worker.peers.section(to, LogId::Group(worker.group), &worker.log, limit));
            }
            let news = resolved > self.told_resolved;
            if sections.is_empty() && !heartbeat && !news && !asking {
                continue;
            }
            let round = *round.get_or_insert_with(|| self.rounds.begin(self.now.unwrap_or_default()));
            let append = Append {
                tails_known: self.tails_known(to),
                commit: self.senator.commit,
                resolved,
                sections,
                round,
                favoured: self.standing.favours(to),
                ..Append::default()
            };
            let message = self.request(to, self.senator.term, Body::Append(append));
            // Entries may be on others' disks before they are on the consul's own; its term and vote may not.
            if self.senator.durable_term == self.senator.term {
                self.messages.push(message);
            } else {
                self.send_when_durable(message);
            }
        }
        self.told_resolved = resolved;
    }

    /// Follows the consul of this term.
    pub(crate) fn follow(&mut self, consul: ServerId, append: &Append) -> Result<AppendReply, Refusal> {
        match &self.senator.role {
            Role::Consul => return Err(Refusal::Impossible("second consul of a term")),
            Role::Follower { consul: Some(known) } if *known != consul => {
                return Err(Refusal::Impossible("second consul of a term"));
            }
            _ => {}
        }
        for section in &append.sections {
            self.check_section(section)?;
        }
        self.senator.role = Role::Follower { consul: Some(consul) };
        self.senator.consul_spoke = true;
        self.senator.favoured = Some(append.favoured);
        self.senator.refusing_since = None;
        self.senator.round = self.senator.round.max(append.round);
        // The fence: these logs change in this term only by appends of this consul, which come after it knows the tails.
        let tails = (!append.tails_known).then(|| self.tails());
        let mut reply = AppendReply {
            tails,
            sections: Vec::with_capacity(append.sections.len()),
            round: self.senator.round,
            applied: self.applied,
            durable_applied: self.durable_applied,
            ..AppendReply::default()
        };
        for section in &append.sections {
            if let Some(matched) = self.take_section(section) {
                reply.sections.push((section.log, matched));
            }
        }
        self.senator.follow_commit(append.commit);
        self.live_by_committed();
        if let Some(resolved) = append.resolved {
            self.consul_resolved = self.consul_resolved.max(Some(resolved));
        }
        Ok(reply)
    }

    pub(crate) fn check_section(&self, section: &Section) -> Result<(), Refusal> {
        let mut last = section.previous;
        for entry in &section.entries {
            let fits = match &entry.record {
                Record::Noop | Record::Configuration(_) => section.log == LogId::Senate,
                Record::TermStart(_) | Record::Stage(_) | Record::Fragment(_) | Record::Barrier => section.log != LogId::Senate,
            };
            let opens = matches!(entry.record, Record::TermStart(_));
            if !fits || entry.index != last.index.next() || entry.term < last.term || opens && entry.term == last.term {
                return Err(Refusal::Impossible("entries"));
            }
            last = Tail {
                term: entry.term,
                index: entry.index,
            };
        }
        if last.term > self.senator.term {
            return Err(Refusal::Impossible("entry term"));
        }
        let (log, decided) = match section.log {
            LogId::Senate => (&self.senator.log, self.senator.commit),
            LogId::Group(group) => match self.worker(group) {
                Some(worker) => (&worker.log, worker.commit.max(worker.handed)),
                None => return Ok(()), // not known here yet; passed over
            },
        };
        let conflict = section
            .entries
            .iter()
            .find(|e| log.term_at(e.index).is_some_and(|term| term != e.term));
        match conflict {
            Some(entry) if entry.index <= decided => Err(Refusal::Impossible("change of what is decided")),
            _ => Ok(()),
        }
    }

    /// Takes what a section brings; `None` when the log isn't known here.
    fn take_section(&mut self, section: &Section) -> Option<Matched> {
        let slot = match section.log {
            LogId::Senate => None,
            LogId::Group(group) => Some(self.slot(group)?),
        };
        let log = self.log(slot);
        let previous = section.previous;
        if previous.index > log.base().index && log.term_at(previous.index) != Some(previous.term) {
            return Some(Matched::Not(log.hint(previous)));
        }
        let upto = section.entries.last().map_or(previous.index, |entry| entry.index);
        for entry in &section.entries {
            self.take_entry(slot, section.log, entry);
        }
        let verified = match slot {
            None => &mut self.senator.verified,
            Some(slot) => &mut self.workers[slot].verified,
        };
        *verified = upto.max(*verified);
        Some(Matched::Upto(upto))
    }

    /// Takes an entry that follows what the log has in common with the consul's.
    pub(crate) fn take_entry(&mut self, slot: Option<usize>, log_id: LogId, entry: &Entry) {
        let log = self.log(slot);
        if entry.index <= log.base().index || log.term_at(entry.index) == Some(entry.term) {
            return;
        }
        self.drop_suffix(slot, log_id, entry.index.previous());
        match slot {
            None => {
                self.senator.log.push(entry.clone());
                self.senator.learn(entry);
            }
            Some(slot) => {
                self.workers[slot].log.push(entry.clone());
                self.workers[slot].learn(entry);
            }
        }
        self.persistence.write(Write::Append {
            log: log_id,
            entry: entry.clone(),
        });
    }

    /// Drops what a log has after `index`.
    pub(crate) fn drop_suffix(&mut self, slot: Option<usize>, log: LogId, after: Index) {
        if self.log(slot).last() <= after {
            return;
        }
        match slot {
            None => {
                self.senator.drop_suffix(after);
                self.return_to_earlier();
            }
            Some(slot) => self.workers[slot].drop_suffix(after),
        }
        self.persistence.write(Write::DropSuffix { log, after });
    }

    fn log(&self, slot: Option<usize>) -> &Log {
        slot.map_or(&self.senator.log, |slot| &self.workers[slot].log)
    }

    /// A peer answered an append.
    pub(crate) fn answered(&mut self, from: ServerId, reply: AppendReply) -> Result<(), Refusal> {
        if self.senator.role != Role::Consul {
            return Ok(());
        }
        if !self.rounds.echoed(from, reply.round) {
            return Err(Refusal::Impossible("round"));
        }
        self.confirm_reads(self.rounds.confirmed(self.senator.members(), self.config.server));
        if let Some(tails) = reply.tails {
            self.learn_tails(from, tails);
        }
        let durable = self.standing.durable.entry(from).or_default();
        *durable = reply.durable_applied.max(*durable);
        // Who keeps its logs in memory has less after a restart, within one term too.
        let volatile = self.senator.configuration.roles(from).is_some_and(|roles| !roles.log);
        let lost = |matched: &Matched, known: Index| volatile && matches!(matched, Matched::Not(hint) if hint.index < known);
        let mut gained = 0;
        for (log, matched) in reply.sections {
            let impossible = Refusal::Impossible("matching index");
            match log {
                LogId::Senate => {
                    let Self { senator, .. } = self;
                    if lost(&matched, senator.peers.matched(from)) {
                        senator.peers.forget(from);
                    }
                    senator.peers.answered(from, &senator.log, matched).map_err(|_| impossible)?;
                }
                LogId::Group(group) => {
                    let Some(slot) = self.slot(group) else { continue };
                    let worker = &mut self.workers[slot];
                    if lost(&matched, worker.peers.matched(from)) {
                        worker.peers.forget(from);
                    }
                    let before = worker.peers.matched(from);
                    worker.peers.answered(from, &worker.log, matched).map_err(|_| impossible)?;
                    gained += worker.peers.matched(from).0 - before.0;
                    self.count(slot);
                }
            }
        }
        if gained > 0 {
            *self.standing.logged.entry(from).or_default() += gained;
        }
        Ok(())
    }

    /// What follows `after` in a log here, for a consul that lacks it; `None` when the log doesn't have `after`.
    pub(crate) fn donate(&self, log: LogId, after: Tail) -> Option<Vec<Entry>> {
        let log = match log {
            LogId::Senate => &self.senator.log,
            LogId::Group(group) => &self.worker(group)?.log,
        };
        if log.term_at(after.index) != Some(after.term) || after.index.next() < log.window_first() {
            return None;
        }
        let mut bytes = 0;
        let entries = log.window().skip((after.index.0 + 1 - log.window_first().0) as usize);
        let room = |entry: &&Entry| {
            bytes += 64 + entry.record.payload().map_or(0, |payload| payload.len());
            bytes
                <= self
                    .config
                    .append_bytes_max
                    .max(64 + entry.record.payload().map_or(0, |payload| payload.len()))
        };
        Some(entries.take_while(room).cloned().collect())
    }
}
