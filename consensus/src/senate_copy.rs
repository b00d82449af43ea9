//! A candidate copies the senate's log from one that can't stand itself (DESIGN 3.5).
//!
//! A server that stores no logs begins each run with nothing, or lags behind; nobody votes for it then, and an entry that
//! only scribes hold would block every election for good. So it collects where the senate logs of a majority of voters end,
//! copies the one that ends highest, and asks again. Servers with both roles do the same when the highest log is a
//! scribe's: theirs may lack an entry that got to the scribe's disk and not to their own.
//!
//! It is as if the append of the consul that wrote the entries came late; it is safe because nothing acknowledges it. What
//! goes in its favour conflicts with an entry of a later term, so it was never committed, or it would be in that log.

use crate::ids::{LogId, ServerId, Tail};
use crate::message::{Body, Donated, Refusal, Section};
use crate::node::Node;
use crate::senate::Role;

impl Node {
    /// Copies the highest senate log among a majority that answered, if it is higher than the one here.
    pub(crate) fn copy_senate(&mut self) {
        let own = self.senator.log.tail();
        let members = self.senator.members();
        let Role::PreCandidate { tails, copying: None, .. } = &self.senator.role else {
            return;
        };
        let highest = tails.iter().map(|(server, tail)| (*tail, *server)).max();
        if let Some((tail, donor)) = highest
            && tail > own
            && (self.is_volatile() || !self.senator.configuration.may_lead(donor))
            && members.quorum(|server| server == self.config.server || tails.contains_key(&server))
        {
            let after = self.senator.log.last_at_or_before(tail);
            self.copy_senate_after(donor, after);
        }
    }

    fn copy_senate_after(&mut self, donor: ServerId, index: crate::ids::Index) {
        let after = Tail {
            term: self.senator.log.term_at(index).unwrap_or_default(),
            index,
        };
        if let Role::PreCandidate { copying, .. } = &mut self.senator.role {
            *copying = Some((donor, after));
        }
        let log = LogId::Senate;
        let message = self.request(donor, self.senator.term, Body::Fetch { log, after });
        self.send_when_durable(message);
    }

    /// A piece of the senate's log came.
    pub(crate) fn senate_fetched(&mut self, from: ServerId, after: Tail, donated: Donated) -> Result<(), Refusal> {
        let Role::PreCandidate { copying, tails, .. } = &self.senator.role else {
            return Ok(());
        };
        if *copying != Some((from, after)) {
            return Ok(());
        }
        let wanted = tails.get(&from).copied().unwrap_or_default();
        match donated {
            Donated::Entries(entries) => {
                let mut section = Section::new(LogId::Senate);
                section.previous = after;
                section.entries = entries;
                self.check_section(&section)?;
                let nothing = section.entries.is_empty();
                self.take_entries(None, LogId::Senate, section.entries);
                if nothing || self.senator.log.tail() >= wanted {
                    self.seek_election();
                } else {
                    self.copy_senate_after(from, self.senator.log.last());
                }
            }
            Donated::Parted(hint) => {
                let index = self.senator.log.last_at_or_before(hint).min(after.index.previous());
                self.copy_senate_after(from, index.max(self.senator.commit));
            }
            Donated::Begins(base) => {
                let index = base.index;
                if base.configuration.is_none() || base.term > self.senator.term || index <= self.senator.commit {
                    return Err(Refusal::Impossible("base"));
                }
                self.take_senate_base(&base);
                self.live_by_committed();
                self.copy_senate_after(from, index);
            }
        }
        Ok(())
    }
}
