//! A seed decides everything.

use curia_simulate::{Faults, Plan, World};

/// The hash of what happens, up to the end of the run or its first violation.
fn hash(seed: u64) -> Option<u64> {
    let run = std::panic::catch_unwind(|| World::new(Plan::draw(seed, 100), false).run().hash);
    run.ok()
}

#[test]
fn a_seed_replays_exactly() {
    for seed in 0..20 {
        assert_eq!(hash(seed), hash(seed), "seed {seed}");
    }
}

#[test]
fn another_seed_is_another_story() {
    let hashes: Vec<_> = (0..20).filter_map(hash).collect();
    let mut distinct = hashes.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert!(hashes.len() > 10 && distinct.len() == hashes.len(), "{hashes:x?}");
}

#[test]
fn leaving_out_a_fault_leaves_the_rest_of_the_plan_as_it_was() {
    for (name, leave_out) in Faults::kinds() {
        let (mut one, other) = (Plan::draw(7, 100), Plan::draw(7, 100));
        leave_out(&mut one.faults);
        assert_eq!(one.layout, other.layout, "{name}");
        assert_eq!(one.groups, other.groups, "{name}");
        assert_eq!(one.faults.latency, other.faults.latency, "{name}");
    }
}
