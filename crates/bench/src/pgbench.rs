//! pgbench, the program that comes with PostgreSQL, run against both servers.

use crate::peer::{Peer, Peers};
use crate::report::{Row, Table};
use crate::{Result, Setting, metrics};
use std::io::Write;
use std::process::Command;

/// How many times the log was synced.
const LOG_SYNCS: &str = "curia_log_syncs_total";

/// Scripts: how a table calls it, and pgbench's option.
const SCRIPTS: [(&str, &str); 2] = [("select-only", "--builtin=select-only"), ("TPC-B", TPC_B)];
const TPC_B: &str = "--builtin=tpcb-like";
const HOT_CLIENTS: u32 = 16;
const PROTOCOLS: [&str; 2] = ["simple", "prepared"];

/// Creates and fills pgbench's tables.
pub fn initialise(setting: &Setting, peer: &Peer) -> Result<()> {
    run(setting, peer, &["-i", "-q", "-s", &setting.scale.to_string()]).map(|_| ())
}

/// One table a script.
pub async fn measure(peers: &Peers, setting: &Setting) -> Result<Vec<Table>> {
    let mut tables = Vec::new();
    for (title, script) in SCRIPTS {
        let mut rows = Vec::new();
        for protocol in PROTOCOLS {
            for clients in &setting.clients {
                rows.push(compare(peers, setting, script, protocol, *clients).await?);
            }
        }
        tables.push(Table {
            title: format!("pgbench {title}"),
            unit: "transactions a second",
            rows,
        });
    }
    for peer in peers.both() {
        check_balances(peer).await?;
    }
    Ok(tables)
}

/// TPC-B rows, prepared.
pub async fn measure_tpc_b(peers: &Peers, setting: &Setting) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for peer in peers.both() {
        initialise(setting, peer)?;
    }
    for clients in &setting.clients {
        let mut row = compare(peers, setting, TPC_B, "prepared", *clients).await?;
        row.what = format!("TPC-B, {clients} clients");
        rows.push(row);
    }
    for peer in peers.both() {
        check_balances(peer).await?;
    }
    Ok(rows)
}

/// Sixteen clients that update one row; needs pgbench's tables.
pub async fn measure_hot_row(peers: &Peers, setting: &Setting) -> Result<Row> {
    let mut script = tempfile::NamedTempFile::new()?;
    script.write_all(b"update pgbench_branches set bbalance = bbalance + 1 where bid = 1;\n")?;
    let option = format!("--file={}", script.path().display());
    let mut row = compare(peers, setting, &option, "prepared", HOT_CLIENTS).await?;
    row.what = format!("one hot row, {HOT_CLIENTS} clients");
    Ok(row)
}

async fn compare(peers: &Peers, setting: &Setting, script: &str, protocol: &str, clients: u32) -> Result<Row> {
    let mut row = Row::new(format!("{protocol}, {clients} clients"));
    let (mut transactions, mut syncs) = (0.0, 0.0);
    for round in 0..setting.rounds {
        for peer in peers.in_turn(round) {
            let before = metrics::read(peer, LOG_SYNCS).await?;
            let result = load(setting, peer, script, protocol, clients)?;
            eprintln!("{} {script} {protocol} {clients} clients: {:.0}", peer.name(), result.rate);
            if result.failed > 0 {
                return Err(format!("{}: {} transactions failed", peer.name(), result.failed).into());
            }
            row.add(peer.kind, result.rate);
            if let (Some(before), Some(after)) = (before, metrics::read(peer, LOG_SYNCS).await?) {
                syncs += after - before;
                transactions += result.transactions;
            }
        }
    }
    if syncs > transactions / 1000.0 {
        row.note = format!("{:.2} commits an fsync", transactions / syncs);
    }
    Ok(row)
}

/// What pgbench says at the end.
struct Outcome {
    rate: f64,
    transactions: f64,
    failed: u64,
}

fn load(setting: &Setting, peer: &Peer, script: &str, protocol: &str, clients: u32) -> Result<Outcome> {
    let protocol = format!("--protocol={protocol}");
    let (clients, seconds) = (clients.to_string(), setting.seconds.to_string());
    let threads = if clients == "1" { "1" } else { "2" };
    let said = run(
        setting,
        peer,
        &["-n", script, &protocol, "-c", &clients, "-j", threads, "-T", &seconds],
    )?;
    parse(&said).ok_or_else(|| format!("pgbench said something unexpected: {said}").into())
}

fn parse(said: &str) -> Option<Outcome> {
    let after = |label: &str| {
        said.lines()
            .find_map(|line| line.strip_prefix(label))?
            .split_ascii_whitespace()
            .next()
    };
    Some(Outcome {
        rate: after("tps = ")?.parse().ok()?,
        transactions: after("number of transactions actually processed: ")?.parse().ok()?,
        failed: after("number of failed transactions: ").map_or(Some(0), |count| count.parse().ok())?,
    })
}

fn run(setting: &Setting, peer: &Peer, arguments: &[&str]) -> Result<String> {
    let output = Command::new(setting.pgbin.join("pgbench"))
        .args(["-h", "127.0.0.1", "-p", &peer.port.to_string(), "-U", peer.user()])
        .args(arguments)
        .arg(peer.user())
        .output()?;
    if !output.status.success() {
        return Err(format!("pgbench on {}: {}", peer.name(), String::from_utf8_lossy(&output.stderr).trim()).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// TPC-B moves the same amounts in all four tables; if the sums differ, the rates above mean nothing.
async fn check_balances(peer: &Peer) -> Result<()> {
    let client = peer.connect().await?;
    let mut sums = Vec::new();
    for sum in [
        "select coalesce(sum(abalance), 0)::bigint from pgbench_accounts",
        "select coalesce(sum(bbalance), 0)::bigint from pgbench_branches",
        "select coalesce(sum(tbalance), 0)::bigint from pgbench_tellers",
        "select coalesce(sum(delta), 0)::bigint from pgbench_history",
    ] {
        sums.push(client.query_one(sum, &[]).await?.get::<_, i64>(0));
    }
    if sums.iter().any(|sum| *sum != sums[0]) {
        return Err(format!(
            "{}: the balances of accounts, branches, tellers and history do not agree: {sums:?}",
            peer.name()
        )
        .into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_found_in_what_pgbench_prints() {
        let said = "scaling factor: 10\nnumber of transactions actually processed: 1234\nnumber of failed transactions: 2 (0.162%)\n\
                    latency average = 0.5 ms\ntps = 987.650000 (without initial connection time)\n";
        let outcome = parse(said).unwrap();
        assert_eq!((outcome.rate, outcome.transactions, outcome.failed), (987.65, 1234.0, 2));
        assert!(parse("connection failed").is_none());
    }
}
