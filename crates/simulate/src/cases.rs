//! Counters of the hard cases: a simulator that never meets them proves nothing.

use std::fmt;

macro_rules! cases {
    ($($name:ident $words:literal,)*) => {
        /// A hard case.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Case {
            $(#[doc = $words] $name,)*
        }

        const NAMES: &[&str] = &[$($words,)*];
    };
}

cases! {
    Committed "transactions committed",
    ReadAnswered "reads answered",
    Served "consuls that served",
    Crash "crashes",
    CrashAtBatch "crashes at a persist boundary",
    TornBatch "torn batches",
    LostBatch "crashes that lost unsynced batches",
    CrashInaugurating "consuls crashed during inauguration",
    SecondFailover "second failovers during inauguration",
    SecondFailoverAdoption "second failovers during adoption",
    Fetched "logs fast-forwarded from a donor",
    DroppedSuffix "conflicting suffixes dropped",
    Voided "voided fragments",
    CutShort "cuts that left out a fragment that others name",
    Adopted "transactions adopted that nobody had resolved",
    Reused "CSNs given again after a cut",
    Partition "partitions",
    Stall "stalls",
    Truncated "truncations",
    Staged "transactions with stage records",
    Refused "messages refused",
    Full "proposals that found no room",
    Restarted "restarts",
    DuplicateApplied "duplicate keys recognised by the state",
    DuplicateUnderWay "duplicate keys recognised by the core",
    Transfer "transfers begun",
    TransferDone "transfers that made the target consul",
    Reconfigured "changes of the configuration",
    ReconfiguredApart "changes of the configuration under partition",
    JointFailover "consuls elected amid a change of voters",
    GroupCreated "groups created",
    GroupDropped "groups dropped",
    ServerAdded "servers added",
    ServerRemoved "servers removed",
    StateOnlyServed "consuls without a log of their own",
    LogRead "log reads for lagging servers",
    SnapshotInstalled "group snapshots installed",
    SnapshotInaugurating "group snapshots during inauguration",
    Rot "durable records damaged",
    UnknownOutcome "operations without an answer",
}

/// How often each was met.
#[derive(Clone, Debug)]
pub struct Cases(Vec<u64>);

impl Default for Cases {
    fn default() -> Self {
        Self(vec![0; NAMES.len()])
    }
}

impl Cases {
    /// A case was met.
    pub fn met(&mut self, case: Case) {
        self.0[case as usize] += 1;
    }

    /// A case was met, if this holds.
    pub fn met_if(&mut self, case: Case, holds: bool) {
        self.0[case as usize] += u64::from(holds);
    }

    /// How often a case was met.
    pub fn count(&self, case: Case) -> u64 {
        self.0[case as usize]
    }

    /// Adds another run's.
    pub fn add(&mut self, other: &Self) {
        for (sum, count) in self.0.iter_mut().zip(&other.0) {
            *sum += count;
        }
    }

    /// The cases that were met less often than this.
    pub fn below(&self, least: u64) -> Vec<&'static str> {
        let rare = NAMES.iter().zip(&self.0).filter(|(_, count)| **count < least);
        rare.map(|(name, _)| *name).collect()
    }
}

impl fmt::Display for Cases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, count) in NAMES.iter().zip(&self.0) {
            writeln!(f, "{count:>12}  {name}")?;
        }
        Ok(())
    }
}
