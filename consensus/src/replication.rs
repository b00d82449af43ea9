//! Copying logs: the consul sends, everybody else follows (thesis, section 3.5).

use std::time::Duration;

use crate::ids::{Csn, Incarnation, Index, LogId, ServerId, Tail};
use crate::log::{Base, Log};
use crate::message::{Append, AppendReply, Body, Matched, NUMBER_MAX, Refusal, Section};
use crate::mutation::mutated;
use crate::node::Node;
use crate::output::Write;
use crate::progress::{Next, Window};
use crate::record::{Entry, Record};
use crate::senate::Role;
use crate::slots::Slots;
use crate::worker::Stated;

/// What a peer last said of itself.
#[derive(Clone, Debug)]
pub(crate) struct Reported {
    run: Incarnation,
    healing: bool,
    /// The logs of which it doesn't know where they ended, and where this consul's ended when it heard of that first: all
    /// that was ever counted on this peer's earlier runs is before that. Unknown as long as the log isn't adopted.
    pub(crate) damaged: Vec<(LogId, Option<Index>)>,
}

impl Node {
    /// Sends every peer what it lacks; and, when a heartbeat is due, a sign of life.
    pub(crate) fn replicate(&mut self) {
        let heartbeat = std::mem::take(&mut self.heartbeat_due);
        let for_reads = self.ask_for_reads();
        if self.senator.role != Role::Consul || self.lone() {
            self.sending.take();
            self.news_since = None; // there is nobody to tell, or others do
            return;
        }
        if heartbeat {
            self.find_favourites();
            self.send_again();
        }
        // Nothing of a group leaves before its log is adopted, and that ends with its term-start.
        let slots = if self.term_starts_written() || mutated!(self.config, SendBeforeAdopt) {
            self.sending.take()
        } else {
            Vec::new()
        };
        let resolved = self.serving.map(|_| self.shown());
        let news = self.is_news_due(resolved);
        let next_round = self.rounds.current() + 1;
        let mut round = None;
        let (mut reached, mut otherwise) = (Vec::new(), heartbeat || news);
        for to in self.standing.peers.clone() {
            let sections = self.sections(to, &slots, next_round);
            if sections.is_empty() && !heartbeat && !news && !for_reads {
                continue;
            }
            otherwise |= !sections.is_empty();
            reached.push(to);
            let round = *round.get_or_insert_with(|| self.rounds.begin(self.now.unwrap_or_default()));
            let append = Append {
                tails_known: self.tails_known(to),
                commit: self.senator.commit,
                resolved,
                snapshot_floor: self.snapshot_floor,
                run: self.reported.get(&to).map(|reported| reported.run),
                mended: self.mended(to),
                sections,
                round,
                favoured: self.standing.favours(to),
            };
            let message = self.request(to, self.senator.term, Body::Append(append));
            // Entries may be on others' disks before they are on the consul's own; its term and vote may not.
            if self.senator.durable_term == self.senator.term {
                self.messages.push(message);
            } else {
                self.send_when_durable(message);
            }
        }
        if let Some(round) = round {
            self.round_leaves(round, &reached, !otherwise);
        }
        // Who was left out hears of it with the next sign of life, or with the next news.
        if reached.len() == self.standing.peers.len() {
            self.told_resolved = resolved;
            self.news_since = None;
        }
        for slot in slots {
            let worker = &self.workers[slot];
            if !worker.peers.settled(&worker.members, self.config.server, worker.log.last()) {
                self.unsettled.insert(slot);
            }
        }
    }

    /// How far others may show commits: those that this consul shows, so that nobody who turns to it after reading elsewhere goes back.
    /// All that is acknowledged is among them, and all of earlier terms, which this consul applies before it shows anything.
    pub(crate) fn shown(&self) -> Csn {
        let cut = self.serving.unwrap_or_default();
        self.sequencer.resolved().min(self.applied.max(cut))
    }

    /// Whether peers are to hear now of what is resolved, though there is nothing else to send.
    fn is_news_due(&mut self, resolved: Option<Csn>) -> bool {
        let now = self.now.unwrap_or_default();
        if resolved <= self.told_resolved {
            self.news_since = None;
            return false;
        }
        now >= *self.news_since.get_or_insert(now) + self.config.news_delay
    }

    /// When the next heartbeat is due.
    pub fn next_heartbeat(&self) -> Duration {
        self.next_heartbeat
    }

    /// When peers will hear of what is resolved, unless it leaves with something else before: to be ticked then.
    pub fn news_due(&self) -> Option<Duration> {
        self.news_since.map(|since| since + self.config.news_delay)
    }

    /// A heartbeat is due: what is lost is sent again, and who heals is told of all groups.
    fn send_again(&mut self) {
        let (workers, me) = (&self.workers, self.config.server);
        self.unsettled.retain(|slot| {
            let worker = &workers[slot];
            !worker.peers.settled(&worker.members, me, worker.log.last())
        });
        self.send_lost();
        let now = self.now.unwrap_or_default();
        let heals = |(server, reported): &(&ServerId, &Reported)| {
            reported.healing && self.rounds.alive(**server, now, self.config.election_timeout)
        };
        let healing: Vec<_> = self.reported.iter().filter(heals).collect();
        for (server, _) in healing {
            for (slot, worker) in self.workers.iter_mut().enumerate() {
                worker.peers.announce_to(*server, &worker.log);
                self.sending.insert(slot);
            }
        }
    }

    /// Tells whether entries for another server still wait to leave this machine, as on a slow link: a sign of life overtakes them, so its
    /// answer doesn't say that they are lost. For consuls, before a tick that a heartbeat is due at.
    pub fn note_waiting(&mut self, server: ServerId, waits: bool) {
        self.rounds.note_waiting(server, waits);
    }

    fn send_lost(&mut self) {
        let Self {
            senator,
            workers,
            unsettled,
            sending,
            rounds,
            ..
        } = self;
        let passed = |server| rounds.passed(server);
        senator.peers.give_up_lost(passed);
        for slot in unsettled.iter() {
            workers[slot].peers.give_up_lost(passed);
            sending.insert(slot);
        }
    }

    /// What to send to a peer with this round: of the senate, and of these groups. Who doesn't answer gets signs of life
    /// only.
    fn sections(&mut self, to: ServerId, slots: &[usize], round: u64) -> Vec<Section> {
        let append_bytes = self.config.append_bytes_max;
        let mut window = Window {
            append_bytes,
            bytes: append_bytes,
            entries: self.config.peer_window_entries_max,
            may_read: true,
            round,
        };
        let mut sections = Vec::new();
        if self.senator.members().contains(to) {
            let log = &self.senator.log;
            match self.senator.peers.next(to, LogId::Senate, log, window, || log.base().clone()) {
                Next::Nothing | Next::Full => {}
                Next::Read(after) => {
                    let upto = self.senator.log.last();
                    self.read_for_peer(to, LogId::Senate, after, upto);
                }
                Next::Send(section) => sections.push(section),
            }
        }
        let now = self.now.unwrap_or_default();
        if !self.rounds.alive(to, now, self.config.election_timeout) {
            return sections;
        }
        let unsettled = self.unsettled.iter();
        let under_way: usize = unsettled.map(|slot| self.workers[slot].peers.under_way(to, append_bytes)).sum();
        window.bytes = self.config.peer_window_bytes_max.saturating_sub(under_way);
        let mut room = self.config.message_bytes_max;
        let assigned = Csn(self.sequencer.next().0 - 1);
        // Who had to wait for others comes first.
        let none = || Slots::none_of(self.workers.len());
        let waited = self.waiting_for_room.entry(to).or_insert_with(none).take();
        for slot in waited.iter().chain(slots) {
            let worker = &mut self.workers[*slot];
            if !worker.members.contains(to) {
                continue;
            }
            if room == 0 {
                self.sending.insert(*slot);
                continue;
            }
            window.may_read = self.log_reads.may_ask(&self.config);
            let (log, log_id) = (&worker.log, LogId::Group(worker.group));
            match worker.peers.next(to, log_id, log, window, || log.base().clone()) {
                Next::Nothing => {}
                Next::Full => {
                    if let Some(waiting) = self.waiting_for_room.get_mut(&to) {
                        waiting.insert(*slot);
                    }
                }
                Next::Read(after) => {
                    window.bytes = window.bytes.saturating_sub(append_bytes);
                    let upto = log.last();
                    self.read_for_peer(to, log_id, after, upto);
                }
                Next::Send(mut section) => {
                    let last = section.last().index;
                    // Of an earlier place it isn't known here any more which of the fragments after it name what.
                    if last == log.last() && self.serving.is_some() {
                        section.complete = assigned;
                        section.closed = worker.first_open_stage().map_or(last, Index::previous);
                    }
                    let bytes = section.entries.iter().map(Entry::bytes).sum();
                    (room, window.bytes) = (room.saturating_sub(bytes), window.bytes.saturating_sub(bytes));
                    if !section.entries.is_empty() && last < log.last() {
                        self.sending.insert(*slot);
                    }
                    sections.push(section);
                }
            }
        }
        sections
    }

    /// Follows the consul of this term.
    pub(crate) fn follow(&mut self, consul: ServerId, append: Append) -> Result<AppendReply, Refusal> {
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
            healing: self.healing(),
            run: self.config.incarnation,
            damaged: Vec::new(),
        };
        if append.run == Some(self.config.incarnation) {
            self.heard = true;
            append.mended.iter().for_each(|log| self.mend(*log));
        }
        reply.damaged = self.damaged_logs();
        self.snapshot_floor = self.snapshot_floor.max(append.snapshot_floor);
        // What the senate commits may create the groups that other sections are about.
        let (senate, groups): (Vec<_>, Vec<_>) = append.sections.into_iter().partition(|section| section.log == LogId::Senate);
        self.take_sections(consul, senate, &mut reply);
        self.senator.follow_commit(append.commit);
        self.live_by_committed();
        self.take_sections(consul, groups, &mut reply);
        if let Some(resolved) = append.resolved {
            self.consul_resolved = self.consul_resolved.max(Some(resolved));
        }
        Ok(reply)
    }

    pub(crate) fn check_section(&self, section: &Section) -> Result<(), Refusal> {
        let mut last = section.previous;
        let mut csn = (last.term, Csn::ZERO);
        for entry in &section.entries {
            let fits = match &entry.record {
                Record::Noop | Record::Configuration(_) => section.log == LogId::Senate,
                Record::TermStart(_) | Record::Stage(_) | Record::Fragment(_) | Record::Barrier => section.log != LogId::Senate,
            };
            let opens = matches!(entry.record, Record::TermStart(_));
            if !fits || entry.index != last.index.next() || entry.term < last.term || opens && entry.term == last.term {
                return Err(Refusal::Impossible("entries"));
            }
            if let Some((next, timestamp)) = entry.record.commits() {
                // A term's fragments come in the commit order, after its cut.
                if !opens && csn >= (entry.term, next) || next.0.max(timestamp.0) > NUMBER_MAX {
                    return Err(Refusal::Impossible("commit order"));
                }
                csn = (entry.term, next);
            }
            last = Tail {
                term: entry.term,
                index: entry.index,
            };
        }
        if last.term > self.senator.term {
            return Err(Refusal::Impossible("entry term"));
        }
        if let Some(base) = &section.base {
            let described = base.tail() == section.previous && base.term_start.term <= base.term;
            if !described || base.configuration.is_some() != (section.log == LogId::Senate) {
                return Err(Refusal::Impossible("base"));
            }
        }
        let (log, decided) = match section.log {
            LogId::Senate => (&self.senator.log, self.senator.commit),
            LogId::Group(group) => match self.worker(group) {
                Some(worker) => (&worker.log, worker.commit.max(worker.handed)),
                None => return Ok(()), // not known here yet; passed over
            },
        };
        let decides = |place: Tail| {
            log.term_at(place.index)
                .is_some_and(|term| place.index <= decided && term != place.term)
        };
        if decides(section.previous) {
            return Err(Refusal::Impossible("change of what is decided"));
        }
        let mut known = section.entries.iter().take_while(|entry| entry.index <= log.last());
        let conflict = known.find(|entry| log.term_at(entry.index).is_some_and(|term| term != entry.term));
        match conflict {
            Some(entry) if entry.index <= decided => Err(Refusal::Impossible("change of what is decided")),
            _ => Ok(()),
        }
    }

    fn take_sections(&mut self, consul: ServerId, sections: Vec<Section>, reply: &mut AppendReply) {
        for section in sections {
            let log = section.log;
            if let Some(matched) = self.take_section(consul, section) {
                reply.sections.push((log, matched));
            }
        }
    }

    /// Takes what a section brings; `None` when there is nothing to say yet.
    fn take_section(&mut self, consul: ServerId, section: Section) -> Option<Matched> {
        let slot = self.known(section.log)?;
        let log = self.log(slot);
        let previous = section.previous;
        if !log.holds(previous) {
            let Some(base) = &section.base else {
                return Some(Matched::Not(log.hint(previous)));
            };
            match slot {
                None => self.take_senate_base(base),
                // Whether it needs the state too is still to be learned, from the senate's log.
                Some(_) if self.senator.roles.is_none() => return None,
                Some(slot) if !self.runs_state() && base.csn > self.snapshot_floor => {
                    self.feed(slot, consul, base);
                    return None;
                }
                Some(slot) if !self.may_begin_at(base) => {
                    self.pull_snapshot(slot, consul, base.index);
                    return None;
                }
                Some(slot) => self.take_base(slot, base.clone()),
            }
        }
        let upto = section.last().index;
        self.take_entries(slot, section.log, section.entries);
        match slot {
            None => self.senator.verified = upto.max(self.senator.verified),
            Some(slot) => {
                let worker = &mut self.workers[slot];
                worker.feeding = None; // it has what it lacked
                worker.verified = upto.max(worker.verified);
                worker.state(Stated {
                    upto,
                    complete: section.complete,
                    closed: section.closed,
                });
                self.gathering.insert(slot);
            }
        }
        Some(Matched::Upto(upto))
    }

    pub(crate) fn take_senate_base(&mut self, base: &Base) {
        let log = LogId::Senate;
        let (before, last) = (self.senator.log.base().index, self.senator.log.last());
        self.senator.install(base.clone());
        if last > before {
            self.persistence.write(Write::DropSuffix { log, after: before });
        }
        let base = base.clone();
        self.persistence.write(Write::Base { log, base });
    }

    /// Takes entries that follow what the log has in common with the consul's.
    pub(crate) fn take_entries(&mut self, slot: Option<usize>, log: LogId, entries: Vec<Entry>) {
        for entry in entries {
            let here = self.log(slot);
            if entry.index <= here.last() {
                if entry.index <= here.base().index || here.term_at(entry.index) == Some(entry.term) {
                    continue;
                }
                self.drop_suffix(slot, log, entry.index.previous());
            }
            match slot {
                None => {
                    self.senator.log.push(entry.clone());
                    self.senator.learn(&entry);
                }
                Some(slot) => {
                    let worker = &mut self.workers[slot];
                    worker.log.push(entry.clone());
                    worker.learn(&entry);
                }
            }
            self.persistence.write(Write::Append { log, entry });
        }
    }

    /// Drops what a log has after `index`.
    fn drop_suffix(&mut self, slot: Option<usize>, log: LogId, after: Index) {
        match slot {
            None => {
                self.senator.drop_suffix(after);
                self.return_to_earlier();
            }
            Some(slot) => self.workers[slot].drop_suffix(after),
        }
        self.persistence.write(Write::DropSuffix { log, after });
    }

    pub(crate) fn log(&self, slot: Option<usize>) -> &Log {
        slot.map_or(&self.senator.log, |slot| &self.workers[slot].log)
    }

    /// A peer answered an append.
    pub(crate) fn answered(&mut self, from: ServerId, reply: AppendReply) -> Result<(), Refusal> {
        if self.senator.role != Role::Consul {
            return Ok(());
        }
        // What others applied was resolved, and a serving consul knows all of that.
        let unknown = self.serving.is_some() && reply.applied > self.sequencer.resolved();
        if unknown || reply.durable_applied > reply.applied {
            return Err(Refusal::Impossible("applied CSN"));
        }
        let now = self.now.unwrap_or_default();
        let answered_lately = self.rounds.answers(from, now, self.config.election_timeout);
        if !self.rounds.echoed(from, reply.round) {
            return Err(Refusal::Impossible("round"));
        }
        self.confirm_reads(self.rounds.confirmed(self.senator.members(), self.config.server));
        if let Some(tails) = reply.tails {
            self.learn_tails(from, tails);
        }
        let durable = self.standing.durable.entry(from).or_default();
        *durable = reply.durable_applied.max(*durable);
        let before = self.reported.remove(&from);
        let same = before.as_ref().filter(|before| before.run == reply.run);
        let known = |log| same.and_then(|same| same.damaged.iter().find(|(other, _)| *other == log)?.1);
        let damaged = reply.damaged.into_iter();
        let damaged = damaged.map(|log| (log, known(log).or_else(|| self.adopted_end(log)))).collect();
        let reported = Reported {
            run: reply.run,
            healing: reply.healing,
            damaged,
        };
        self.reported.insert(from, reported);
        if before.is_some_and(|before| before.run != reply.run) {
            // It started again: what it had only in memory is gone.
            self.senator.peers.forget(from);
            for (slot, worker) in self.workers.iter_mut().enumerate() {
                worker.peers.forget(from);
                self.sending.insert(slot);
            }
        }
        let mut gained = 0;
        for (log, matched) in reply.sections {
            let impossible = Refusal::Impossible("matching index");
            match log {
                LogId::Senate => {
                    let Self { senator, .. } = self;
                    senator.peers.answered(from, &senator.log, matched).map_err(|_| impossible)?;
                }
                LogId::Group(group) => {
                    let Some(slot) = self.slot(group) else { continue };
                    let worker = &mut self.workers[slot];
                    let before = worker.peers.matched(from);
                    worker.peers.answered(from, &worker.log, matched).map_err(|_| impossible)?;
                    gained += worker.peers.matched(from).0 - before.0;
                    self.sending.insert(slot);
                    self.count(slot);
                }
            }
        }
        if !answered_lately {
            self.send_lost();
        }
        if gained > 0 {
            *self.standing.logged.entry(from).or_default() += gained;
        }
        Ok(())
    }
}
