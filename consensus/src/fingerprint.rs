//! What tells two states of a node apart, for a model checker: everything that decides what it will do, and nothing else.
//!
//! Left out are clocks and random delays, rounds (they prove how recent an answer is, which only reads and check-quorum
//! ask), what only chooses who stands first, and the numbers of batches, which count from the last durable one.

use std::fmt::{self, Write};
use std::hash::Hasher;

use crate::ids::Index;
use crate::log::Log;
use crate::message::{Body, Message};
use crate::node::Node;
use crate::persistence::Persistence;
use crate::record::{Entry, Record};
use crate::senate::Senator;

/// Hashes what is written to it, so that no text is kept.
pub(crate) struct Hashed<'a, H>(pub(crate) &'a mut H);

impl<H: Hasher> Write for Hashed<'_, H> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

impl Node {
    /// Hashes the node's state.
    pub fn fingerprint(&self, hasher: &mut impl Hasher) {
        let Node {
            config,
            senator,
            workers,
            sequencer,
            inauguration,
            serving,
            persistence,
            random: _,
            now: _,
            applied,
            messages: _, // taken after every step
            told: _,
            arrivals,
            installed,
            passed,
            sending,
            unsettled,
            gathering,
            moved,
            reported,
            log_reads: _,
            waiting_for_room,
            snapshot_reads: _,
            installs: _,
            pulls,
            snapshot_floor,
            noted_bases,
            bases_sought_at,
            rounds: _,
            standing,
            refusals: _,
            unplaced: _,
            parked,
            transfer,
            stood_by_wish,
            durable_applied,
            paces: _,
            reads: _,
            heartbeat_due,
            next_heartbeat: _,
            told_resolved,
            news_since: _,
            consul_resolved,
            heard,
            started_damaged: _,
        } = self;
        let mut hashed = Hashed(hasher);
        let written = write!(hashed, "{:?}{sequencer:?}{inauguration:?}{serving:?}", config.incarnation)
            .and_then(|()| {
                write!(
                    hashed,
                    "{applied:?}{arrivals:?}{installed:?}{passed}{sending:?}{unsettled:?}{gathering:?}{moved:?}{waiting_for_room:?}"
                )
            })
            .and_then(|()| write!(hashed, "{reported:?}{pulls:?}{snapshot_floor:?}{:?}{transfer:?}", standing.index()))
            .and_then(|()| {
                write!(
                    hashed,
                    "{stood_by_wish}{durable_applied:?}{heartbeat_due}{told_resolved:?}{consul_resolved:?}{heard}{noted_bases:?}{bases_sought_at:?}"
                )
            });
        written.expect("a hasher takes everything");
        senator.fingerprint(hasher);
        workers.iter().chain(parked.values()).for_each(|worker| worker.fingerprint(hasher));
        persistence.fingerprint(hasher);
    }
}

impl Senator {
    fn fingerprint(&self, hasher: &mut impl Hasher) {
        let Self {
            id,
            roles: _,
            term,
            vote,
            durable_term,
            role,
            log,
            commit,
            known_commit,
            configuration: _, // the last one of the log
            configurations: _,
            peers,
            verified,
            consul_heard: _,
            consul_spoke: _,
            round: _,
            favoured: _,
            refusing_since: _,
            election_due: _,
            grants_from: _,
            damaged,
            ..
        } = self;
        log.fingerprint(hasher);
        let written = write!(
            Hashed(hasher),
            "{id}{term}{vote:?}{durable_term}{role:?}{commit}{known_commit}{peers:?}{verified}{damaged:?}"
        );
        written.expect("a hasher takes everything");
    }
}

impl Log {
    pub(crate) fn fingerprint(&self, hasher: &mut impl Hasher) {
        let base = self.base();
        for number in [base.index.0, base.term.0, base.csn.0, self.last().0, self.durable().0] {
            hasher.write_u64(number);
        }
        for index in base.index.0..self.last().0 {
            hasher.write_u64(self.term_at(Index(index + 1)).unwrap_or_default().0);
        }
        self.window().for_each(|entry| entry.fingerprint(hasher));
    }
}

impl Entry {
    /// Hashes what it says; configurations are told apart by their places.
    pub fn fingerprint(&self, hasher: &mut impl Hasher) {
        hasher.write_u64(self.index.0);
        hasher.write_u64(self.term.0);
        match &self.record {
            Record::Configuration(_) => hasher.write_u8(1),
            record => write!(Hashed(hasher), "{record:?}").expect("a hasher takes everything"),
        }
    }
}

impl Persistence {
    fn fingerprint(&self, hasher: &mut impl Hasher) {
        for (behind, flight) in self.under_way() {
            write!(Hashed(hasher), "{behind}{:?}{:?}", flight.term, flight.ends).expect("a hasher takes everything");
        }
        for (behind, message) in self.waiting() {
            write!(Hashed(hasher), "{behind}").expect("a hasher takes everything");
            message.fingerprint(hasher);
        }
    }
}

impl Message {
    /// Hashes what it says.
    pub fn fingerprint(&self, hasher: &mut impl Hasher) {
        let mut plain = self.clone();
        match &mut plain.body {
            Body::Append(append) => (append.round, append.favoured) = (0, false),
            Body::AppendReply(reply) => reply.round = 0,
            _ => {}
        }
        write!(Hashed(hasher), "{plain:?}").expect("a hasher takes everything");
    }
}
