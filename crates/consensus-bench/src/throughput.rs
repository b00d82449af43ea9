//! Transactions a second of one core that plays three servers.

use std::time::Duration;

use crate::cluster::Cluster;
use crate::multiraft::MultiRaft;
use crate::table::{Table, Target, least};
use crate::{Result, processor_time};

const GROUPS: u32 = 8;
const PAYLOAD: [u8; 100] = [7; 100];
/// Transactions that are proposed in one round.
const BATCH: u64 = 256;
/// Transactions under a profiler.
const PROFILED: u64 = 400_000;

/// Processor time of `rounds` until `spend` is used up, per unit of what they get done.
fn cost(spend: Duration, mut round: impl FnMut() -> Result<u64>) -> Result<f64> {
    // What a cluster needs to reach its stride: queues grow, limits fill.
    let warm = processor_time() + spend / 4;
    while processor_time() < warm {
        round()?;
    }
    let (start, mut done) = (processor_time(), 0);
    loop {
        for _ in 0..16 {
            done += round()?;
        }
        let used = processor_time() - start;
        if used >= spend {
            return Ok(used.as_secs_f64() / done as f64);
        }
    }
}

/// Seconds for a transaction over `each` groups of `groups`.
fn ours(spend: Duration, groups: u32, each: u32, batch: u64) -> Result<f64> {
    let mut cluster = Cluster::start(3, groups)?;
    let mut next = 0;
    let cost = cost(spend, || {
        let before = cluster.resolved();
        for _ in 0..batch {
            cluster.propose(next..next + each, &PAYLOAD)?;
            next = (next + each) % groups;
        }
        cluster.round()?;
        Ok(cluster.resolved() - before)
    })?;
    (cluster.applied_bytes > 0)
        .then_some(cost)
        .ok_or_else(|| "nothing was applied".into())
}

/// Seconds for an entry of the peer.
fn theirs(spend: Duration, groups: usize, batch: u64) -> Result<f64> {
    let mut cluster = MultiRaft::start(groups)?;
    let mut next = 0;
    let cost = cost(spend, || {
        let before = cluster.applied();
        for _ in 0..batch {
            cluster.propose(next, &PAYLOAD);
            next = (next + 1) % groups;
        }
        cluster.round()?;
        Ok(cluster.applied() - before)
    })?;
    (cluster.applied_bytes > 0)
        .then_some(cost)
        .ok_or_else(|| "nothing was applied".into())
}

/// Our transactions alone, a fixed number of them, for a profiler.
pub fn profile(groups: u32, batch: u64) -> Result<()> {
    let mut cluster = Cluster::start(3, groups)?;
    for at in 0..PROFILED {
        cluster.propose([at as u32 % groups].into_iter(), &PAYLOAD)?;
        if at % batch == batch - 1 {
            cluster.round()?;
        }
    }
    println!("{} transactions", cluster.resolved());
    Ok(())
}

/// The same of the peer.
pub fn profile_peer(groups: u32, batch: u64) -> Result<()> {
    let mut cluster = MultiRaft::start(groups as usize)?;
    for at in 0..PROFILED {
        cluster.propose((at % u64::from(groups)) as usize, &PAYLOAD);
        if at % batch == batch - 1 {
            cluster.round()?;
        }
    }
    println!("{} entries", cluster.applied());
    Ok(())
}

/// Measures ours and the peer's in turn.
pub fn measure(spend: Duration, rounds: usize, table: &mut Table) -> Result<()> {
    for batch in [BATCH, 16] {
        let (mut single, mut peer, mut one, mut peer_one, mut all) = (vec![], vec![], vec![], vec![], vec![]);
        for _ in 0..rounds {
            single.push(ours(spend, GROUPS, 1, batch)?);
            peer.push(theirs(spend, GROUPS as usize, batch)?);
            one.push(ours(spend, 1, 1, batch)?);
            peer_one.push(theirs(spend, 1, batch)?);
            all.push(ours(spend, GROUPS, GROUPS, batch / u64::from(GROUPS))?);
        }
        let (single, peer, one, peer_one) = (least(&single), least(&peer), least(&one), least(&peer_one));
        let what = |text: &str| format!("{text}, {batch} a round");
        let speed = |cost: f64| (1.0 / cost).round();
        let target = if batch == BATCH { Target::AtLeast(500_000.0) } else { Target::None };
        table.row(&what("transactions/s, each in one of 8 groups"), target, speed(single), "");
        table.row(&what("`raft` 0.7, 8 instances, entries/s"), Target::None, speed(peer), "");
        table.row(&what("ratio to it"), Target::AtLeast(1.0), peer / single, "");
        table.row(&what("transactions/s, one group"), Target::None, speed(one), "");
        table.row(&what("`raft` 0.7, 1 instance, entries/s"), Target::None, speed(peer_one), "");
        table.row(&what("ratio to it"), Target::AtLeast(1.0), peer_one / one, "");
        let what = format!(
            "processor time of a transaction over all 8 groups, {} a round, to one over one, {batch} a round",
            batch / 8
        );
        table.row(&what, Target::AtMost(8.0), least(&all) / single, "");
    }
    Ok(())
}
