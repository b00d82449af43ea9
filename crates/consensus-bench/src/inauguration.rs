//! What a new consul says until it serves, when all logs are equal.

use crate::cluster::Cluster;
use crate::table::{Table, Target};
use crate::traffic::Traffic;
use crate::{Result, processor_time};

struct Cost {
    traffic: Traffic,
    millis: f64,
}

/// From the silence of the old consul.
fn cost(servers: u64, groups: u32) -> Result<Cost> {
    let mut cluster = Cluster::start(servers, groups)?;
    while cluster.hop()? {}
    cluster.traffic = Some(Traffic::default());
    cluster.stop_consul();
    let start = processor_time();
    cluster.elect()?;
    Ok(Cost {
        traffic: cluster.traffic.unwrap_or_default(),
        millis: (processor_time() - start).as_secs_f64() * 1e3,
    })
}

/// Compares few groups and many, and few servers and more.
pub fn measure(table: &mut Table) -> Result<()> {
    for servers in [3, 5, 7] {
        let (few, many) = (cost(servers, 8)?, cost(servers, 1024)?);
        let what = |groups: &str| format!("inauguration, {servers} servers: messages, {groups} groups");
        let note = |cost: &Cost| format!("{} bytes, {:.2} ms of processor", cost.traffic.bytes, cost.millis);
        table.row(&what("8"), Target::None, few.traffic.messages as f64, &note(&few));
        let target = Target::Exactly(few.traffic.messages as f64);
        table.row(&what("1,024"), target, many.traffic.messages as f64, &note(&many));
    }
    Ok(())
}
