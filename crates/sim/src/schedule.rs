//! What goes wrong when: drawn from the seed alone, before anything runs.
//!
//! Two lanes of faults run beside each other: of processes, and of the network between them. Whom a fault meets is said by its
//! part (the consul, some follower), as who that will be is not for the seed to know.

use clap::ValueEnum;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use std::time::Duration;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Kind {
    /// SIGKILL, of one or several; now and then once more while it starts.
    Kill,
    /// SIGKILL, and bytes of a write that never ended after the end of the log.
    Torn,
    /// SIGKILL, and a damaged byte in the log: of one server of the run.
    Rot,
    /// The disk of one server is full.
    Full,
    /// The disk of one or several takes its time.
    SlowDisk,
    /// The wall clock of one or several is wrong.
    Clock,
    /// SIGSTOP, later SIGCONT.
    Pause,
    /// SIGTERM, as an operator does.
    Restart,
    /// SIGTERM of one server after the other.
    Rolling,
    /// The office is handed over.
    Transfer,
    /// A server with an empty folder is added, another one leaves.
    Members,
    /// Servers don't reach each other: one, one direction, one pair, islands.
    Partition,
    /// Bytes come late, by a delay that varies.
    Slow,
    /// Connections end again and again.
    Reset,
}

impl Kind {
    /// All of them.
    pub fn all() -> &'static [Kind] {
        Kind::value_variants()
    }

    fn is_of_network(self) -> bool {
        matches!(self, Kind::Partition | Kind::Slow | Kind::Reset)
    }

    /// How often it comes, beside the others of its lane.
    fn weight(self) -> u32 {
        match self {
            Kind::Kill | Kind::Partition => 6,
            Kind::Pause => 4,
            Kind::Torn | Kind::Restart | Kind::Transfer | Kind::Slow | Kind::Reset | Kind::SlowDisk | Kind::Clock => 2,
            Kind::Rolling | Kind::Members | Kind::Rot | Kind::Full => 1,
        }
    }
}

/// Whom a fault meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// Who is consul then.
    Consul,
    /// One that isn't; the dice say which.
    Follower,
    /// Several; the dice say which.
    Several,
}

/// A fault that is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// So long after the last of its lane was over.
    pub after: Duration,
    /// What.
    pub kind: Kind,
    /// Whom.
    pub whom: Whom,
    /// How long.
    pub hold: Duration,
    /// For what else is to be chosen.
    pub dice: u64,
}

/// One of the two lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Faults of processes.
    Processes,
    /// Faults of the network.
    Network,
}

/// The faults of one lane in one round, without end; none if there are no kinds for it.
pub fn faults(seed: u64, round: u64, lane: Lane, kinds: &[Kind]) -> impl Iterator<Item = Planned> + use<> {
    let of_network = lane == Lane::Network;
    let kinds: Vec<Kind> = kinds.iter().copied().filter(|kind| kind.is_of_network() == of_network).collect();
    let mut random = ChaCha12Rng::seed_from_u64(seed ^ (round << 1 | u64::from(of_network)).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let milliseconds = |random: &mut ChaCha12Rng, least: u64, most: u64| Duration::from_millis(random.random_range(least..=most));
    std::iter::from_fn(move || {
        let mut at = random.random_range(0..kinds.iter().map(|kind| kind.weight()).sum::<u32>().max(1));
        let kind = *kinds.iter().find(|kind| {
            let found = at < kind.weight();
            at = at.saturating_sub(kind.weight());
            found
        })?;
        let after = match lane {
            Lane::Processes => milliseconds(&mut random, 500, 4_000),
            Lane::Network => milliseconds(&mut random, 1_000, 6_000),
        };
        Some(Planned {
            after,
            kind,
            whom: match random.random_range(0..10) {
                0..5 => Whom::Consul,
                5..8 => Whom::Follower,
                _ => Whom::Several,
            },
            // Short ones and long ones: what is over before anybody notices, and what nobody waits for.
            hold: match random.random_range(0..3) {
                0 => milliseconds(&mut random, 0, 400),
                1 => milliseconds(&mut random, 400, 2_000),
                _ => milliseconds(&mut random, 2_000, 6_000),
            },
            dice: random.random(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_decides_the_faults_and_rounds_differ() {
        let first = |seed, round, lane| -> Vec<Planned> { faults(seed, round, lane, Kind::all()).take(50).collect() };
        assert_eq!(first(1, 2, Lane::Network), first(1, 2, Lane::Network));
        assert_ne!(first(1, 2, Lane::Network), first(1, 3, Lane::Network));
        assert_ne!(first(1, 2, Lane::Processes), first(2, 2, Lane::Processes));
        assert!(first(1, 2, Lane::Network).iter().all(|fault| fault.kind.is_of_network()));
    }

    #[test]
    fn only_the_kinds_asked_for_come_and_all_of_them() {
        let asked = [Kind::Kill, Kind::Pause];
        let met: Vec<Kind> = faults(7, 0, Lane::Processes, &asked).take(100).map(|fault| fault.kind).collect();
        assert!(asked.iter().all(|kind| met.contains(kind)) && met.iter().all(|kind| asked.contains(kind)));
        assert_eq!(faults(7, 0, Lane::Network, &asked).next(), None);
    }
}
