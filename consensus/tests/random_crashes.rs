//! Random histories of one server with several groups: proposals, stage records, slow syncs, checkpoints, and crashes at
//! every persist boundary and inside batches. A seed replays exactly.

mod harness;

use std::collections::BTreeMap;

use curia_consensus::*;
use harness::{Dice, Server, part};

/// A proposal, as its proposer remembers it.
#[derive(Clone, Debug, PartialEq)]
struct Proposed {
    rows: BTreeMap<GroupId, Vec<u8>>,
    /// Which start of the server it was proposed to.
    start: u64,
}

#[derive(Default, Debug)]
struct Met {
    acked: usize,
    crashes: usize,
    torn: usize,
    voided: usize,
    kept_unacked: usize,
    checkpoints: usize,
    staged: usize,
    busy_starts: usize,
}

fn run(seed: u64, met: &mut Met) {
    let mut dice = Dice(seed);
    let groups = 1 + dice.below(4) as u32;
    let mut server = Server::new(groups);
    server.configure = |config| {
        config.unresolved_bytes_max = 4000;
        config.apply_fragments_max = 3;
    };
    let crash_percent = 1 + dice.below(4);
    let sync_percent = 10 + dice.below(60);
    // What was proposed under the CSN since the last crash; decided CSNs never change.
    let mut proposed: BTreeMap<Csn, Proposed> = BTreeMap::new();
    let mut decided: BTreeMap<Csn, Proposed> = BTreeMap::new();
    let mut open: Vec<(GroupId, Index, Vec<u8>)> = Vec::new();
    let mut ids = 0u64;
    let mut terms = Vec::new();
    server.restore().expect("an empty disk can be founded");
    for _ in 0..300 + dice.below(500) {
        match dice.below(100) {
            percent if percent < crash_percent => {
                met.crashes += 1;
                let writes: usize = server.unsynced.iter().map(|p| p.writes.len() + 1).sum();
                let kept = dice.below(writes as u64 + 1) as usize;
                met.torn += usize::from(kept < writes);
                // Mostly the process dies in office, sometimes on its way there.
                met.busy_starts += usize::from(!matches!(server.node().office(), Office::Consul { .. }));
                server.crash(kept);
                open.clear();
                server.restore().expect("what was written can be restored");
            }
            0..40 => {
                ids += 1;
                let mut parts = Vec::new();
                let mut rows = BTreeMap::new();
                for group in 0..groups {
                    if dice.chance(50) {
                        let mut part = part(group, &format!("{ids}.{group}{}", "x".repeat(dice.below(50) as usize)));
                        let mut row = Vec::new();
                        open.retain(|(g, index, bytes)| {
                            let take = *g == part.group && dice.chance(70);
                            if take {
                                part.stages.push(*index);
                                row.extend_from_slice(bytes);
                                met.staged += 1;
                            }
                            !take
                        });
                        row.extend_from_slice(&part.payload);
                        rows.insert(part.group, row);
                        parts.push(part);
                    }
                }
                let stages: Vec<_> = parts.iter().flat_map(|p| p.stages.iter().map(|i| (p.group, *i))).collect();
                match server.node().propose(Timestamp(ids), None, &mut parts) {
                    Ok(csn) => drop(proposed.insert(
                        csn,
                        Proposed {
                            rows,
                            start: server.starts,
                        },
                    )),
                    Err(ProposeError::NotConsul | ProposeError::Full | ProposeError::Empty) => {
                        for (group, index) in stages {
                            server.node().discard(group, &[index]);
                        }
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            40..48 => {
                let group = GroupId(dice.below(u64::from(groups)) as u32);
                let bytes = format!("stage{}", dice.next()).into_bytes();
                if let Ok(index) = server.node().stage(group, bytes.clone().into()) {
                    open.push((group, index, bytes));
                }
            }
            48..50 if !open.is_empty() => {
                let (group, index, _) = open.swap_remove(dice.below(open.len() as u64) as usize);
                open.sort_by_key(|(g, i, _)| (*g, *i));
                server.node().discard(group, &[index]);
            }
            50..54 => met.checkpoints += usize::from(server.checkpoint()),
            54..64 => server.tick(),
            _ if dice.chance(sync_percent) => {
                let batches = 1 + dice.below(3) as usize;
                server.sync(batches);
            }
            _ => drop(server.take()),
        }
        for office in server.offices.drain(..) {
            if let Office::Consul { term, cut } = office {
                terms.push(term);
                // The cut decides: what it leaves out never happened, its CSNs are given again.
                let start = server.starts;
                let before = proposed.len();
                proposed.retain(|csn, proposed| *csn <= cut || proposed.start == start);
                met.voided += before - proposed.len();
                met.kept_unacked += proposed.keys().filter(|csn| !decided.contains_key(csn)).count();
                assert!(
                    decided.keys().next_back().is_none_or(|last| *last <= cut),
                    "seed {seed}: an acked CSN is above the cut"
                );
            }
        }
        for (csn, rows) in &server.state.rows {
            let known = decided.entry(*csn).or_insert_with(|| {
                met.acked += 1;
                proposed
                    .get(csn)
                    .cloned()
                    .unwrap_or_else(|| panic!("seed {seed}: {csn:?} was never proposed"))
            });
            assert_eq!(known.rows, *rows, "seed {seed}: {csn:?} is not what was decided, or half there");
        }
    }
    server.tick();
    server.settle();
    server.settle();
    let last = decided.keys().next_back().copied().unwrap_or_default();
    assert!(
        server.state.applied.csn >= last,
        "seed {seed}: acked {last:?}, state at {:?}",
        server.state.applied.csn
    );
    assert_eq!(
        server.state.rows.len() as u64,
        server.state.applied.csn.0,
        "seed {seed}: CSNs have gaps"
    );
    assert!(terms.is_sorted_by(|a, b| a < b), "seed {seed}: a term was led twice: {terms:?}");
}

#[test]
fn whatever_crashes_acked_transactions_stay_and_none_is_half_there() {
    let mut met = Met::default();
    for seed in harness::seeds(600) {
        run(seed, &mut met);
    }
    println!("{met:?}");
    let counts = [
        met.acked,
        met.crashes,
        met.torn,
        met.voided,
        met.kept_unacked,
        met.checkpoints,
        met.staged,
        met.busy_starts,
    ];
    assert!(counts.into_iter().all(|count| count > 100), "the hard cases were met: {met:?}");
}
