//! Rounds: how a consul proves that it is still in office.
//!
//! ```text
//!   consul   round 7 leaves at 100 ms ──┬───────────────►  echo of 7 from a quorum, at any time later:
//!   others                              └─ still at its term    no other consul was elected before 100 ms
//! ```
//!
//! Every flush to peers has a number, its *round*; an answer echoes the highest round of its term that its sender has
//! heard of. One mechanism serves check-quorum (who answered what was sent lately), strict reads (a round that left after
//! the read came must be echoed) and leases (those who echoed elect nobody for a while after they heard).
//!
//! Only a bounded number of rounds is remembered. Where one is forgotten, an earlier one stands for it: proofs get older
//! by that, never younger.

use std::collections::VecDeque;
use std::time::Duration;

use crate::ids::ServerId;
use crate::quorum::Members;

/// How many rounds are remembered.
const ROUNDS_MAX: usize = 256;

/// The rounds of one term's consul.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rounds {
    /// When the term began: everybody has so long to answer.
    since: Duration,
    current: u64,
    /// When rounds left, ascending in both.
    sent: VecDeque<(u64, Duration)>,
    /// Few servers; those that never answered are not in it.
    echoes: Vec<Echo>,
    /// Few servers, for which something waited to leave.
    held_up: Vec<HeldUp>,
}

#[derive(Clone, Copy, Debug)]
struct HeldUp {
    server: ServerId,
    /// At the last look.
    waits: bool,
    /// The last one that may have overtaken what waited.
    round: u64,
    /// In a row at which something waited.
    looks: u32,
}

/// After so many looks in a row what waits counts as lost once: something else may have been.
const LOOKS_MAX: u32 = 100;

#[derive(Clone, Copy, Debug)]
struct Echo {
    server: ServerId,
    round: u64,
    /// The round left at this time or later.
    sent_at: Duration,
}

impl Rounds {
    /// Of an office that begins now.
    pub(crate) fn new(now: Duration) -> Self {
        Self {
            since: now,
            ..Self::default()
        }
    }

    /// Whether a server answered something that was sent, or an office that began, less than so long ago.
    pub(crate) fn alive(&self, server: ServerId, now: Duration, timeout: Duration) -> bool {
        now < self.heard_at(server).unwrap_or(self.since) + timeout
    }

    /// The same, and that it did answer.
    pub(crate) fn answers(&self, server: ServerId, now: Duration, timeout: Duration) -> bool {
        self.heard_at(server).is_some_and(|heard| now < heard + timeout)
    }

    /// A flush leaves now: its round. `now` may be too early, never too late.
    pub(crate) fn begin(&mut self, now: Duration) -> u64 {
        self.current += 1;
        if self.sent.len() == ROUNDS_MAX {
            // Every other one goes, but the oldest stays as the floor of all.
            let mut keep = false;
            self.sent.retain(|_| {
                keep = !keep;
                keep
            });
        }
        self.sent.push_back((self.current, now));
        self.current
    }

    /// The last round that left.
    pub(crate) fn current(&self) -> u64 {
        self.current
    }

    /// A server has heard of this round. Whether that can be.
    pub(crate) fn echoed(&mut self, server: ServerId, round: u64) -> bool {
        if round > self.current {
            return false;
        }
        let at = self.sent.partition_point(|(sent, _)| *sent <= round);
        let Some((_, sent_at)) = at.checked_sub(1).map(|at| self.sent[at]) else {
            return true; // from before the first one remembered: nothing follows from it
        };
        match self.echoes.iter_mut().find(|echo| echo.server == server) {
            Some(echo) if echo.round >= round => {}
            Some(echo) => (echo.round, echo.sent_at) = (round, sent_at),
            None => self.echoes.push(Echo { server, round, sent_at }),
        }
        true
    }

    /// The last round that this server is known to have heard of.
    pub(crate) fn heard_of(&self, server: ServerId) -> u64 {
        self.echoes.iter().find(|echo| echo.server == server).map_or(0, |echo| echo.round)
    }

    /// Whether something waits to leave for a server now, while rounds without entries overtake it.
    pub(crate) fn note_waiting(&mut self, server: ServerId, waits: bool) {
        let round = self.current;
        let held_up = match self.held_up.iter_mut().find(|held_up| held_up.server == server) {
            Some(held_up) => held_up,
            None if !waits => return,
            None => {
                let looks = 0;
                self.held_up.push(HeldUp {
                    server,
                    waits,
                    round,
                    looks,
                });
                return;
            }
        };
        held_up.looks = if waits { held_up.looks + 1 } else { 0 };
        if held_up.looks > LOOKS_MAX {
            (held_up.looks, held_up.round) = (0, 0);
        } else if waits || held_up.waits {
            held_up.round = round; // what left between the two looks may have been overtaken too
        }
        held_up.waits = waits;
    }

    /// What left with this round or earlier has reached this server, or never will.
    pub(crate) fn passed(&self, server: ServerId) -> u64 {
        let held_up = self.held_up.iter().find(|held_up| held_up.server == server);
        let heard_of = self.heard_of(server);
        if held_up.is_some_and(|held_up| heard_of <= held_up.round) {
            0
        } else {
            heard_of
        }
    }

    /// When the last flush left that this server is known to have heard of, or a little earlier.
    fn heard_at(&self, server: ServerId) -> Option<Duration> {
        self.echoes.iter().find(|echo| echo.server == server).map(|echo| echo.sent_at)
    }

    /// The last round that a quorum has heard of; `me` hears of all.
    pub(crate) fn confirmed(&self, members: &Members, me: ServerId) -> u64 {
        members.quorum_reached(|server| if server == me { self.current } else { self.heard_of(server) })
    }

    /// When the last flush left that a quorum has heard of, or a little earlier: no other consul was elected before.
    pub(crate) fn confirmed_at(&self, members: &Members, me: ServerId, now: Duration) -> Option<Duration> {
        members.quorum_reached(|server| if server == me { Some(now) } else { self.heard_at(server) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_that_overtook_what_waits_tells_nothing_of_it() {
        let (mut rounds, server) = (Rounds::default(), ServerId(2));
        let heard = |rounds: &mut Rounds| {
            let round = rounds.begin(Duration::ZERO);
            assert!(rounds.echoed(server, round));
            rounds.passed(server)
        };
        assert_eq!(heard(&mut rounds), 1);
        rounds.note_waiting(server, true);
        assert_eq!(rounds.passed(server), 0);
        assert_eq!(heard(&mut rounds), 2);
        rounds.note_waiting(server, false);
        assert_eq!(rounds.passed(server), 0, "round 2 may have left before the rest did");
        rounds.note_waiting(server, false);
        assert_eq!(heard(&mut rounds), 3);
        let given_up = (0..1000).filter(|_| {
            rounds.note_waiting(server, true);
            rounds.passed(server) > 0
        });
        assert_eq!(given_up.count(), 1000 / (LOOKS_MAX as usize + 1));
    }

    #[test]
    fn a_forgotten_round_counts_as_an_earlier_one_never_as_a_later_one() {
        let mut rounds = Rounds::default();
        for at in 1..=2000 {
            assert_eq!(rounds.begin(Duration::from_millis(at)), at);
            assert!(rounds.sent.len() <= ROUNDS_MAX);
        }
        for round in 1..=2000 {
            let server = ServerId(round);
            assert!(rounds.echoed(server, round));
            let heard = rounds.heard_at(server).expect("the first round is the floor");
            assert!(heard <= Duration::from_millis(round));
        }
        assert!(!rounds.echoed(ServerId(1), 2001), "a round that never left");
    }
}
