//! Who can reach whom, and how long a message takes.
//!
//! Links are one-way: each server has the set of servers that its messages reach. Messages that are under way when a link
//! breaks still arrive.

use curia_consensus::Body;

use crate::dice::Dice;
use crate::plan::{Faults, Micros};

/// The links between servers, by their position.
#[derive(Debug)]
pub struct Network {
    dice: Dice,
    /// A bit for each server that the server's messages don't reach.
    broken: Vec<u64>,
}

/// Kinds of message that may be late, each by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A candidate asks for a vote.
    Vote,
    /// The consul wishes another to stand.
    TimeoutNow,
}

impl Kind {
    fn of(body: &Body) -> Option<Self> {
        match body {
            Body::Vote { .. } => Some(Self::Vote),
            Body::TimeoutNow { .. } => Some(Self::TimeoutNow),
            _ => None,
        }
    }
}

/// A way in which links break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partition {
    /// All links work.
    Healed,
    /// Two parts; nothing passes between them.
    Halves,
    /// One server is cut off.
    Isolated(usize),
    /// One server's messages arrive nowhere, but it hears the others.
    Mute(usize),
    /// One server hears nothing, but the others hear it.
    Deaf(usize),
    /// Two parts that only one server connects.
    Bridge(usize),
    /// One server reaches the others, and is reached by one of them only.
    HearsOnly(usize, usize),
    /// One link, both ways.
    Pair(usize, usize),
    /// One link, one way.
    OneWay(usize, usize),
    /// Each server reaches its neighbours in a ring.
    Ring,
}

impl Network {
    /// All links work.
    pub fn new(seed: u64, servers: usize) -> Self {
        Self {
            dice: Dice::new(seed, "network"),
            broken: vec![0; servers],
        }
    }

    /// Breaks and mends links. `special` is a server that makes things interesting, often the consul.
    pub fn partition(&mut self, special: usize) -> Partition {
        let count = self.broken.len();
        let other = (special + 1 + self.dice.below((count as u64 - 1).max(1)) as usize) % count;
        let kind = match self.dice.below(12) {
            0 | 1 => Partition::Healed,
            2 | 3 => Partition::Halves,
            4 | 5 => Partition::Isolated(special),
            6 => Partition::Mute(special),
            7 => Partition::Deaf(special),
            8 => Partition::Bridge(special),
            9 => Partition::Pair(special, other),
            10 => Partition::OneWay(special, other),
            _ => Partition::Ring,
        };
        self.part(kind);
        kind
    }

    /// Mends links.
    pub fn mend(&mut self) -> Partition {
        self.heal();
        Partition::Healed
    }

    /// Cuts off a server, so that the others hear nothing of it.
    pub fn depose(&mut self, consul: usize) -> Partition {
        let kind = self
            .dice
            .pick(&[Partition::Isolated(consul), Partition::Mute(consul), Partition::Mute(consul)]);
        self.part(kind);
        kind
    }

    /// Cuts off a server that wants another one to take over; that one may still reach it.
    pub fn leave(&mut self, leaving: usize, other: usize) -> Partition {
        let apart = [
            Partition::Isolated(leaving),
            Partition::Deaf(leaving),
            Partition::Pair(leaving, other),
            Partition::HearsOnly(leaving, other),
            Partition::HearsOnly(leaving, other),
        ];
        let kind = self.dice.pick(&apart);
        self.part(kind);
        kind
    }

    fn part(&mut self, kind: Partition) {
        let count = self.broken.len();
        // Often on top of what is broken already.
        if kind == Partition::Healed || self.dice.chance(0.7) {
            self.heal();
        }
        let side = self.dice.any();
        for from in 0..count {
            for to in 0..count {
                let apart = (side >> from ^ side >> to) & 1 == 1;
                let breaks = match kind {
                    Partition::Healed => false,
                    Partition::Halves => apart,
                    Partition::Isolated(at) => from == at || to == at,
                    Partition::Mute(at) => from == at,
                    Partition::Deaf(at) => to == at,
                    Partition::Bridge(at) => apart && from != at && to != at,
                    Partition::Pair(a, b) => (from, to) == (a, b) || (from, to) == (b, a),
                    Partition::OneWay(a, b) => (from, to) == (a, b),
                    Partition::HearsOnly(at, other) => to == at && from != other,
                    Partition::Ring => from.abs_diff(to) != 1 && from.abs_diff(to) != count - 1,
                };
                if breaks && from != to {
                    self.broken[from] |= 1 << to;
                }
            }
        }
    }

    /// All links work again.
    pub fn heal(&mut self) {
        self.broken.fill(0);
    }

    /// Whether any link is broken.
    pub fn is_broken(&self) -> bool {
        self.broken.iter().any(|broken| *broken != 0)
    }

    /// How long each copy of a message takes: none, one or two copies.
    pub fn send(&mut self, from: usize, to: usize, body: &Body, faults: &Faults) -> [Option<Micros>; 2] {
        let late = if faults.late_kind.is_some() && Kind::of(body) == faults.late_kind {
            0.8
        } else {
            faults.late
        };
        let reaches = self.broken[from] >> to & 1 == 0;
        let arrives = reaches && !self.dice.chance(faults.lose);
        let first = self.delay(late, faults);
        let second = self.dice.chance(faults.repeat).then(|| self.delay(late, faults));
        if arrives { [Some(first), second] } else { [None, None] }
    }

    fn delay(&mut self, late: f64, faults: &Faults) -> Micros {
        let usual = self.dice.between(faults.latency / 4, faults.latency + 1);
        if self.dice.chance(late) {
            usual + self.dice.below(faults.late_max + 1)
        } else {
            usual
        }
    }
}
