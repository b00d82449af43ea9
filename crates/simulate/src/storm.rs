//! Storms: plans of a few servers in which everything turns around who is consul.
//!
//! What is hardest to get wrong takes several failures within one election time-out: an office that is lost while a disk
//! is slow, a read at a consul that doesn't know it was deposed, a transfer whose target starts again. Where faults of
//! every kind come often, few groups and busy clients leave little else to happen. Most storms blow from one side besides:
//!
//! ```text
//!   leases      clocks as far apart as leases allow for; consuls are cut off while clients read there
//!   handovers   transfers whose consul is cut off, whose message is late, whose target crashes as it is elected
//!   fences      a server's disk takes as long as an election, and its old consul hears of it all the same
//!   moves       voters change all the time, new ones lag behind, and consuls crash
//! ```

use curia_consensus::Roles;

use crate::dice::Dice;
use crate::network::Kind;
use crate::plan::{Clocks, Micros, Plan};

/// So many of the seeds are storms.
const SHARE: f64 = 0.5;

/// How far clocks are from the true time in a storm, in parts in a million, and what a lease must allow for then: of
/// election time-outs, (1 - percent) / (1 - drift) is below 1 / (1 + drift).
const DRIFTS: [(u64, u8); 3] = [(10_000, 5), (130_000, 25), (300_000, 50)];

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
        let (drift, percent) = dice.pick(&DRIFTS);
        self.lease_drift_percent = dice.chance(0.5).then_some(percent);
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
        faults.drift_ppm = dice.pick(&[0, drift]);
        faults.clocks = Clocks::Extreme;
        let storm = match dice.below(10) {
            0 | 1 => "any",
            2 => "leases",
            3 | 4 => "handovers",
            5..=7 => "fences",
            _ => "moves",
        };
        match storm {
            "leases" => self.leases(dice, timeout),
            "handovers" => self.handovers(dice, timeout),
            "fences" => self.fences(dice, timeout),
            "moves" => self.moves(dice, timeout),
            _ => {}
        }
        self.storm = Some(storm);
        self
    }

    fn leases(&mut self, dice: &mut Dice, timeout: Micros) {
        let (drift, percent) = dice.pick(&DRIFTS[1..]);
        self.lease_drift_percent = Some(percent);
        (self.clients, self.readers) = (10, 4);
        let faults = &mut self.faults;
        (faults.drift_ppm, faults.clocks) = (drift, Clocks::Adverse);
        (faults.partition, faults.depose) = (timeout * dice.between(1, 3), 0.9);
        (faults.crash, faults.stall, faults.reconfigure) = (0, 0, 0);
        (faults.latency, faults.sync, faults.slow_sync) = (timeout / 100, timeout / 1000, 0.0);
        faults.late_max = timeout / 10;
    }

    fn handovers(&mut self, dice: &mut Dice, timeout: Micros) {
        let (log, state) = (Roles::LOG, Roles::STATE);
        if dice.chance(0.6) {
            self.layout = vec![log, log, log, state, state];
        }
        (self.clients, self.readers) = (10, 4);
        self.think = timeout / 20;
        self.lease_drift_percent = self.lease_drift_percent.or(Some(DRIFTS[2].1));
        let faults = &mut self.faults;
        (faults.transfer, faults.leave) = (timeout, dice.pick(&[0.1, 0.5, 0.9]));
        faults.late_kind = dice.pick(&[None, None, Some(Kind::TimeoutNow), Some(Kind::Vote)]);
        (faults.lose, faults.late, faults.late_max) = (0.1, dice.pick(&[0.01, 0.3, 0.3]), timeout * dice.pick(&[1, 3]));
        (faults.crash_elected, faults.away) = (dice.pick(&[0.0, 0.5, 0.5]), timeout / 20);
        (faults.latency, faults.sync) = (timeout / 100, timeout / 200);
        faults.slow_sync = dice.pick(&[0.0, 0.02]);
    }

    fn fences(&mut self, dice: &mut Dice, timeout: Micros) {
        (self.layout, self.groups) = (vec![Roles::BOTH; 3], 1);
        (self.clients, self.think) = (10, timeout / 30);
        (self.peer_window_bytes_max, self.peer_window_entries_max) = (8 << 20, 64 << 10);
        let faults = &mut self.faults;
        (faults.drift_ppm, faults.clocks) = (DRIFTS[2].0, Clocks::Adverse);
        (faults.partition, faults.depose) = (timeout * dice.between(1, 3), 0.9);
        (faults.crash, faults.stall, faults.transfer, faults.reconfigure) = (0, 0, 0, 0);
        (faults.sync, faults.slow_sync) = (timeout / 40, dice.pick(&[0.05, 0.2]));
        faults.slow_disk = Some(dice.below(self.layout.len() as u64) as usize);
        (faults.latency, faults.lose) = (timeout / 100, 0.15);
        if self.lease_drift_percent.is_some() {
            self.lease_drift_percent = Some(DRIFTS[2].1);
        }
    }

    fn moves(&mut self, dice: &mut Dice, timeout: Micros) {
        self.layout = vec![Roles::BOTH; 5];
        self.clients = 10;
        self.think = timeout / 20;
        self.catch_up_entries_max = 50;
        self.append_bytes_max = dice.pick(&[60, 1 << 20]);
        let faults = &mut self.faults;
        faults.reconfigure = timeout / dice.pick(&[1, 4]);
        faults.partition = timeout * dice.between(1, 3);
        faults.crash = timeout * dice.between(1, 3);
        (faults.crash_at_batch, faults.away) = (dice.pick(&[0.0, 0.01, 0.03]), timeout / 4);
    }
}
