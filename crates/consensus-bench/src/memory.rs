//! Resident memory of idle groups: the difference between two processes, one with few and one with many.

use std::process::Command;

use crate::Result;
use crate::cluster::Cluster;
use crate::table::{Table, Target};

const SERVERS: u32 = 3;
const FEW: u32 = 1_000;
const MANY: u32 = 100_000;

/// Prints the resident bytes of a cluster with so many groups.
pub fn print_resident(groups: u32) -> Result<()> {
    let mut cluster = Cluster::start(u64::from(SERVERS), groups)?;
    while cluster.hop()? {}
    let pages = std::fs::read_to_string("/proc/self/statm")?;
    let resident: usize = pages.split_whitespace().nth(1).ok_or("statm has no second field")?.parse()?;
    println!("{}", resident * rustix::param::page_size());
    Ok(())
}

fn resident(groups: u32) -> Result<f64> {
    let output = Command::new(std::env::current_exe()?)
        .args(["--resident-with", &groups.to_string()])
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

/// Measures both.
pub fn measure(table: &mut Table) -> Result<()> {
    let bytes = (resident(MANY)? - resident(FEW)?) / f64::from((MANY - FEW) * SERVERS);
    table.row(
        "resident bytes of an idle group on one server",
        Target::AtMost(4096.0),
        bytes.round(),
        "",
    );
    Ok(())
}
