//! Network delays and messages of a lone transaction.

use crate::Result;
use crate::cluster::Cluster;
use crate::table::{Table, Target};
use crate::traffic::Traffic;

const GROUPS: u32 = 8;

/// What one transaction takes in a quiet cluster.
struct Cost {
    /// Network delays until it is resolved.
    hops: u64,
    /// Messages until it is resolved.
    messages: u64,
    /// Messages until every server has applied it and the cluster is quiet.
    until_quiet: u64,
}

fn cost(groups: u32) -> Result<Cost> {
    let mut cluster = Cluster::start(3, GROUPS)?;
    // The first one is not like the others: it follows the term-start.
    let mut cost = lone(&mut cluster, groups)?;
    for _ in 0..10 {
        cost = lone(&mut cluster, groups)?;
    }
    Ok(cost)
}

fn lone(cluster: &mut Cluster, groups: u32) -> Result<Cost> {
    while cluster.hop()? {}
    let before = cluster.resolved();
    cluster.traffic = Some(Traffic::default());
    cluster.propose(0..groups, &[7; 100])?;
    let sent = |cluster: &Cluster| cluster.traffic.map_or(0, |traffic| traffic.messages);
    let mut hops = 0;
    while cluster.resolved() == before {
        cluster.hop()?;
        hops += 1;
    }
    let messages = sent(cluster);
    while cluster.hop()? {}
    let until_quiet = sent(cluster);
    Ok(Cost {
        hops,
        messages,
        until_quiet,
    })
}

/// Counts them for a transaction over one group and over all.
pub fn measure(table: &mut Table) -> Result<()> {
    let (one, all) = (cost(1)?, cost(GROUPS)?);
    let rows = [
        ("network delays until a transaction is resolved", one.hops, all.hops),
        ("messages until then", one.messages, all.messages),
        ("messages until every server has applied it", one.until_quiet, all.until_quiet),
    ];
    for (what, one, all) in rows {
        table.row(&format!("{what}: over one group"), Target::None, one as f64, "");
        table.row(&format!("{what}: over 8 groups"), Target::Exactly(one as f64), all as f64, "");
    }
    Ok(())
}
