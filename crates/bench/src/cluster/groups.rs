//! A transaction over eight worker groups beside one that writes as much into a single group.

use super::servers::Servers;
use crate::report::{Row, Table, median};
use crate::{Result, Setting};
use std::path::Path;
use std::time::Instant;

/// Worker groups, and tables: tables without indexes that are made one after the other go to one group after the other.
const GROUPS: usize = 8;
/// Transactions of each kind in a round, in turn.
const TRANSACTIONS: usize = 2_000;

/// Microseconds of a transaction, one client.
pub async fn measure(setting: &Setting, folder: &Path) -> Result<Table> {
    let groups = GROUPS.to_string();
    let servers = Servers::start(setting, folder, &["--worker-groups", &groups]).await?;
    let client = servers.all[servers.consul().await?].connect().await?;
    for table in 0..GROUPS {
        client.batch_execute(&format!("create table t{table} (n int)")).await?;
    }
    let spread: i64 = client
        .query_one(
            "select count(distinct group_id) from curia.partitions where table_name like 't_'",
            &[],
        )
        .await?
        .get(0);
    if spread != GROUPS as i64 {
        return Err(format!("the tables are in {spread} groups").into());
    }
    let one: String = (0..GROUPS).map(|_| "insert into t0 values (1);").collect();
    let eight: String = (0..GROUPS).map(|table| format!("insert into t{table} values (1);")).collect();
    let (mut single, mut all) = (Vec::new(), Vec::new());
    for _ in 0..setting.rounds {
        let (mut times_one, mut times_eight) = (Vec::new(), Vec::new());
        for _ in 0..TRANSACTIONS {
            for (text, times) in [(&one, &mut times_one), (&eight, &mut times_eight)] {
                let from = Instant::now();
                client.batch_execute(text).await?;
                times.push(from.elapsed().as_secs_f64() * 1e6);
            }
        }
        single.extend(median(&times_one));
        all.extend(median(&times_eight));
    }
    let ratio = median(&all).unwrap_or_default() / median(&single).unwrap_or(f64::NAN);
    let row = |what: &str, values: Vec<f64>, note: String| Row {
        what: what.to_owned(),
        curia: values,
        postgres: Vec::new(),
        note,
    };
    Ok(Table {
        title: format!("{GROUPS} inserts in one transaction, three servers, one client"),
        unit: "microseconds",
        rows: vec![
            row("into one group", single, String::new()),
            row("one into each of eight groups", all, format!("{ratio:.2} times")),
        ],
    })
}
