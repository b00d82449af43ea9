//! Storms: plans of a few servers in which everything turns around who is consul.
//!
//! What is hardest to get wrong takes several failures within one election time-out: an office that is lost while a disk
//! is slow, a read at a consul that doesn't know it was deposed, a transfer whose target starts again. Where faults of
//! every kind come often, few groups and busy clients leave little else to happen.

use curia_consensus::Roles;

use crate::dice::Dice;
use crate::plan::{Micros, Plan};

/// So many of the seeds are storms.
const SHARE: f64 = 0.25;

/// Clocks in a storm differ by up to this many parts in a million from the true time.
const DRIFT_PPM: u64 = 130_000;
/// And a lease allows for it: (1 + drift) / (1 - drift) is 1.3.
const DRIFT_PERCENT: u8 = 25;

impl Plan {
    /// Makes the plan a storm, where its seed says so.
    pub(crate) fn gather_storm(mut self) -> Self {
        let dice = &mut Dice::new(self.seed, "storm");
        if !dice.chance(SHARE) {
            return self;
        }
        let timeout = self.election_timeout.as_micros() as Micros;
        let (both, log, state) = (Roles::BOTH, Roles::LOG, Roles::STATE);
        let layouts = [
            vec![both; 3],
            vec![both; 3],
            vec![both; 5],
            vec![log, log, log, state, state],
            vec![both, both, log],
        ];
        self.layout = dice.pick(&layouts.iter().collect::<Vec<_>>()).clone();
        self.groups = dice.pick(&[1, 2, 3]);
        self.think = timeout / 10;
        self.lease_drift_percent = dice.chance(0.5).then_some(DRIFT_PERCENT);
        let faults = &mut self.faults;
        let mut every = |probability: f64, most: u64| {
            let (on, times) = (dice.chance(probability), dice.between(1, most));
            if on { times * timeout / 2 } else { 0 }
        };
        faults.partition = every(0.8, 4);
        faults.crash = every(0.6, 8);
        faults.stall = every(0.5, 8);
        faults.transfer = every(0.5, 4);
        faults.reconfigure = every(0.4, 2);
        faults.flush = every(1.0, 6).max(1) / dice.pick(&[1, 10]);
        faults.away = timeout / dice.pick(&[1, 5, 20]);
        faults.rot = dice.pick(&[0.0, 0.0, 0.8]);
        faults.slow_sync = dice.pick(&[0.0, 0.1, 0.3]);
        faults.drift_ppm = dice.pick(&[0, 10_000, DRIFT_PPM]);
        self
    }
}
