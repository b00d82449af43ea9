//! What a cluster costs that has nothing to do.

use std::time::Duration;

use crate::cluster::Cluster;
use crate::table::{Table, Target, least};
use crate::traffic::Traffic;
use crate::{Result, processor_time};

/// As a server's driver ticks.
const TICK: Duration = Duration::from_millis(10);
const TICKS_PER_SECOND: u64 = 100;
const SECONDS: u64 = 100;

struct Cost {
    messages: f64,
    bytes: f64,
    /// Processor time of all three servers, for each second that passes.
    micros: f64,
}

fn cost(groups: u32) -> Result<Cost> {
    let mut cluster = Cluster::start(3, groups)?;
    let mut times = Vec::new();
    let mut traffic = Traffic::default();
    for _ in 0..5 {
        let start = processor_time();
        cluster.traffic = Some(Traffic::default());
        for _ in 0..SECONDS * TICKS_PER_SECOND {
            cluster.tick(TICK);
            while cluster.hop()? {}
        }
        traffic = cluster.traffic.unwrap_or_default();
        times.push((processor_time() - start).as_secs_f64() * 1e6 / SECONDS as f64);
    }
    Ok(Cost {
        messages: traffic.messages as f64 / SECONDS as f64,
        bytes: traffic.bytes as f64 / SECONDS as f64,
        micros: least(&times),
    })
}

/// Compares few groups and many.
pub fn measure(table: &mut Table) -> Result<()> {
    let (few, many) = (cost(8)?, cost(1024)?);
    table.row("idle, 3 servers: messages a second, 8 groups", Target::None, few.messages, "");
    table.row("messages a second, 1,024 groups", Target::Exactly(few.messages), many.messages, "");
    table.row("bytes a second, 8 groups", Target::None, few.bytes, "");
    table.row("bytes a second, 1,024 groups", Target::Exactly(few.bytes), many.bytes, "");
    table.row("processor microseconds a second, 8 groups", Target::None, few.micros, "");
    table.row("processor microseconds a second, 1,024 groups", Target::None, many.micros, "");
    table.row("ratio", Target::AtMost(1.2), many.micros / few.micros, "1 but for noise");
    Ok(())
}
