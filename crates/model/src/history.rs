//! What was seen of the cluster from outside, and the rules that it must keep.

use std::collections::BTreeMap;

use curia_consensus::{Csn, Incarnation, ServerId, Term};

/// A rule that must always hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// At most one run of one server leads a term.
    OneConsul,
    /// What was acknowledged stays: every later consul has it, and it was on quorums.
    NeverLost,
    /// Every server applies a prefix of the one commit order.
    PrefixOrder,
    /// A transaction is applied with all of its fragments.
    NoHalves,
    /// What a serving consul left out is never applied.
    VoidStaysVoid,
    /// The core's own assertions hold.
    Assertions,
}

/// A transaction that was proposed; its number is its place in [`History::proposed`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Proposed {
    /// The consul's term.
    pub term: Term,
    /// Its groups, a bit for each.
    pub groups: u8,
    /// A consul of a later term serves without it.
    pub void: bool,
}

/// What was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct History {
    /// All transactions.
    pub proposed: Vec<Proposed>,
    /// The commit order: the numbers of transactions, from CSN 1 on.
    pub decided: Vec<u8>,
    /// Who led each term.
    consuls: BTreeMap<u64, (u64, u64)>,
    /// The highest term of a consul that served.
    served: Term,
    /// How many consuls served, each in a higher term.
    pub successions: u8,
    /// The first rule that was broken.
    pub broken: Option<Rule>,
}

impl History {
    /// Notes that a rule is broken, unless it holds.
    pub fn hold(&mut self, rule: Rule, holds: bool) {
        if !holds {
            self.broken.get_or_insert(rule);
        }
    }

    /// A run of a server leads a term.
    pub fn leads(&mut self, term: Term, server: ServerId, run: Incarnation) {
        let leader = *self.consuls.entry(term.0).or_insert((server.0, run.0));
        self.hold(Rule::OneConsul, leader == (server.0, run.0));
    }

    /// A consul serves from this cut; what it adopted is decided already.
    pub fn serves(&mut self, term: Term, cut: Csn) {
        self.hold(Rule::NeverLost, cut.0 == self.decided.len() as u64 || term < self.served);
        if term <= self.served {
            return;
        }
        self.served = term;
        self.successions += 1;
        for (number, proposed) in self.proposed.iter_mut().enumerate() {
            proposed.void |= proposed.term < term && !self.decided.contains(&(number as u8));
        }
    }

    /// A transaction is proposed; gives its number.
    pub fn propose(&mut self, term: Term, groups: u8) -> u8 {
        let number = self.proposed.len() as u8;
        let void = term < self.served;
        self.proposed.push(Proposed { term, groups, void });
        number
    }

    /// A server whose state is at `applied` applies this transaction, of these groups. Whether nobody did before.
    pub fn applies(&mut self, applied: u64, csn: Csn, number: u8, groups: u8) -> bool {
        self.hold(Rule::PrefixOrder, csn.0 == applied + 1);
        let Some(proposed) = self.proposed.get(number as usize) else {
            self.hold(Rule::NoHalves, false);
            return false;
        };
        let (whole, void) = (proposed.groups == groups, proposed.void);
        self.hold(Rule::NoHalves, whole);
        self.hold(Rule::VoidStaysVoid, !void);
        match self.decided.get(csn.0 as usize - 1) {
            Some(decided) => {
                let same = *decided == number;
                self.hold(Rule::PrefixOrder, same);
                false
            }
            None => {
                self.hold(Rule::PrefixOrder, csn.0 == self.decided.len() as u64 + 1);
                self.decided.push(number);
                true
            }
        }
    }
}
