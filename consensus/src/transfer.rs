//! Handing the office over (thesis, section 3.10).
//!
//! ```text
//!   transfer ─► no proposals ─► the target's logs are the consul's ─► TimeoutNow ─► the target stands at once
//!                    └──────────────── one election time-out later: proposals again ◄── no higher term was heard of
//! ```
//!
//! The target's votes pass by the stickiness of others to their consul, so from the first `TimeoutNow` on, the consul has no
//! lease for the rest of its term. It can still confirm its office by rounds. Such a vote request can't do harm later: it
//! is for the term right after the consul's, and only one server wins that.

use std::fmt;
use std::time::Duration;

use crate::ids::ServerId;
use crate::inauguration::Inauguration;
use crate::message::{Body, Refusal};
use crate::node::Node;
use crate::senate::Role;

/// A consul's attempts to hand over.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transfer {
    under_way: Option<UnderWay>,
    /// Somebody was told to stand, in this term.
    tried: bool,
}

#[derive(Clone, Copy, Debug)]
struct UnderWay {
    to: ServerId,
    /// Given up then.
    until: Duration,
    told: bool,
}

impl Transfer {
    /// Whether proposals wait for the end of a transfer.
    pub(crate) fn under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// Whether this term's voters may elect another without waiting for the consul's silence.
    pub(crate) fn was_tried(&self) -> bool {
        self.tried
    }
}

/// Why a transfer was not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferError {
    /// This server is not a serving consul.
    NotConsul,
    /// Another transfer is under way.
    UnderWay,
    /// The server can't become consul: it is unknown, is this one, runs no state machines, or stores logs and doesn't vote.
    NoCandidate(ServerId),
}

impl fmt::Display for TransferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConsul => f.write_str("this server is not the consul"),
            Self::UnderWay => f.write_str("the office is being handed over already"),
            Self::NoCandidate(server) => write!(f, "server {server} can't become consul"),
        }
    }
}

impl std::error::Error for TransferError {}

impl Node {
    /// Hands the office to another server: proposals wait, and when the other has all that this one has, it stands for
    /// election at once. Given up after one election time-out.
    pub fn transfer(&mut self, to: ServerId) -> Result<(), TransferError> {
        if self.serving.is_none() {
            return Err(TransferError::NotConsul);
        }
        if self.transfer.under_way() {
            return Err(TransferError::UnderWay);
        }
        if to == self.config.server || !self.senator.configuration.may_lead(to) {
            return Err(TransferError::NoCandidate(to));
        }
        self.begin_transfer(to);
        self.advance_transfer();
        Ok(())
    }

    fn begin_transfer(&mut self, to: ServerId) {
        self.transfer.under_way = Some(UnderWay {
            to,
            until: self.now.unwrap_or_default() + self.config.election_timeout,
            told: false,
        });
    }

    /// Goes on with a transfer: tells the target once it has everything.
    pub(crate) fn advance_transfer(&mut self) {
        let Some(transfer) = &self.transfer.under_way else { return };
        let to = transfer.to;
        if transfer.told || !self.senator.configuration.may_lead(to) || !self.has_everything(to) {
            return;
        }
        self.tell_to_stand(to);
    }

    fn has_everything(&self, server: ServerId) -> bool {
        let mut stored = self.workers.iter().filter(|worker| worker.members.contains(server));
        self.senator.peers.matched(server) == self.senator.log.last()
            && stored.all(|worker| worker.peers.matched(server) == worker.log.last())
    }

    /// A consul that would have to fetch a lot gives way to a server that wouldn't, if one of those that committed its no-op
    /// may lead; once, so that it ends: who stands by another's wish goes through with it. It begins to fetch none the less.
    pub(crate) fn give_way(&mut self, inauguration: &Inauguration) {
        if self.stood_by_wish {
            return;
        }
        let lacks = |server: Option<ServerId>| {
            let lacks = self.workers.iter().map(|worker| {
                let reported = |server| inauguration.tail(server, worker.group);
                let highest = worker.members.all().filter_map(reported).max().unwrap_or_default();
                let has = server.map_or(Some(worker.log.tail()), reported).unwrap_or_default();
                if has < highest {
                    highest.index.0.saturating_sub(has.index.0)
                } else {
                    0
                }
            });
            lacks.fold(0, u64::saturating_add)
        };
        let own = lacks(None);
        if own <= self.config.stale_entries_max {
            return;
        }
        let configuration = &self.senator.configuration;
        let able = |server: &ServerId| configuration.may_lead(*server) && self.senator.peers.matched(*server) == self.senator.log.last();
        let others = self.standing.peers.iter().copied().filter(able);
        let best = others.map(|server| (lacks(Some(server)), server)).min();
        if let Some((_, server)) = best.filter(|(less, _)| *less < own / 2) {
            self.tell_to_stand(server);
        }
    }

    fn tell_to_stand(&mut self, to: ServerId) {
        self.transfer.tried = true;
        if let Some(transfer) = &mut self.transfer.under_way {
            transfer.told = true;
        }
        let body = Body::TimeoutNow {
            tail: self.senator.log.tail(),
        };
        let message = self.request(to, self.senator.term, body);
        self.send_when_durable(message);
    }

    /// Repeats what may be lost; gives a transfer up that takes too long.
    pub(crate) fn transfer_heartbeat(&mut self, now: Duration) {
        match &mut self.transfer.under_way {
            Some(transfer) if now >= transfer.until => self.transfer.under_way = None,
            Some(transfer) => transfer.told = false,
            None => {}
        }
    }

    /// The consul of this term wishes this server to take over.
    pub(crate) fn told_to_stand(&mut self, consul: ServerId, tail: crate::ids::Tail) -> Result<(), Refusal> {
        match self.senator.role {
            Role::Follower { consul: known } if known.is_none_or(|known| known == consul) => {}
            _ => return Err(Refusal::Impossible("transfer")),
        }
        // A run that lost its log (or never had it) can't win: it would only end the term.
        if self.may_stand() && self.senator.log.tail() == tail {
            self.stand(true);
        }
        Ok(())
    }
}
