//! Statements over several times the memory that Curia may use: the peak of its resident memory beside its limits.

use crate::copy::{ROWS_A_MESSAGE, message};
use crate::peer::{Peer, start_curia};
use crate::report::{Row, Table};
use crate::{Result, Setting};
use bytes::Bytes;
use futures::SinkExt;
use std::fs;
use std::path::Path;
use std::pin::pin;
use std::time::Instant;

/// Rows copied, some 100 bytes each.
const ROWS: u32 = 4_000_000;
/// The limits, and their sum in MiB: cached blocks, queries, one transaction.
const LIMITS: ([&str; 6], f64) = (
    ["--cache-memory", "32MiB", "--query-memory", "64MiB", "--transaction-memory", "8MiB"],
    104.0,
);
/// What runs after the COPY, and what it is called.
const STATEMENTS: [(&str, &str); 3] = [
    ("`INSERT .. SELECT` of them", "INSERT INTO again SELECT * FROM copied"),
    (
        "`ORDER BY` of all of them",
        "SELECT count(*) FROM (SELECT * FROM copied ORDER BY bid DESC, filler, aid OFFSET 1) sorted",
    ),
    (
        "a join of all with all",
        "SELECT count(*) FROM copied a JOIN again b ON a.aid = b.aid AND a.filler = b.filler",
    ),
];

/// Peak MiB of each statement.
pub async fn measure(setting: &Setting, folder: &Path) -> Result<Table> {
    let curia = start_curia(setting, &folder.join("large"), &LIMITS.0)?;
    let client = curia.connect().await?;
    for table in ["copied", "again"] {
        client
            .batch_execute(&format!(
                "CREATE TABLE {table} (aid int PRIMARY KEY, bid int, abalance int, filler char(84))"
            ))
            .await?;
    }
    let row = |what: &str, mebibytes: f64, note: String| Row {
        what: what.to_owned(),
        curia: vec![mebibytes],
        postgres: Vec::new(),
        note,
    };
    let limits = LIMITS.0.chunks(2).map(|pair| pair.join(" ")).collect::<Vec<_>>().join(" ");
    let mut rows = vec![row("the limits together", LIMITS.1, format!("`{limits}`"))];
    rows.push(row("idle", peak(&curia)?, String::new()));

    let from = Instant::now();
    let mut bytes = 0;
    let sink = client.copy_in::<_, Bytes>("COPY copied FROM STDIN").await?;
    let mut sink = pin!(sink);
    for number in 0..ROWS / ROWS_A_MESSAGE {
        let message = message(number);
        bytes += message.len();
        sink.send(message).await?;
    }
    expect("rows copied", sink.as_mut().finish().await?)?;
    let seconds = from.elapsed().as_secs_f64();
    let what = format!("COPY of {ROWS} rows, {} MiB", bytes >> 20);
    rows.push(row(&what, peak(&curia)?, format!("{seconds:.1} s")));

    for (what, statement) in STATEMENTS {
        let from = Instant::now();
        if statement.starts_with("SELECT") {
            let counted: i64 = client.query_one(statement, &[]).await?.get(0);
            expect(what, u64::try_from(counted)? + u64::from(statement.contains("OFFSET")))?;
        } else {
            expect(what, client.execute(statement, &[]).await?)?;
        }
        let seconds = from.elapsed().as_secs_f64();
        rows.push(row(what, peak(&curia)?, format!("{seconds:.1} s")));
    }
    Ok(Table {
        title: "Statements over several times the memory limits".to_owned(),
        unit: "MiB at the peak",
        rows,
    })
}

fn expect(what: &str, rows: u64) -> Result<()> {
    if rows == u64::from(ROWS) {
        return Ok(());
    }
    Err(format!("{what}: {rows} rows of {ROWS}").into())
}

/// The most that was resident since it was last asked, MiB.
fn peak(curia: &Peer) -> Result<f64> {
    let process = format!("/proc/{}", curia.pid());
    let status = fs::read_to_string(format!("{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes: f64 = line
        .and_then(|line| line.split_ascii_whitespace().next())
        .ok_or("the server's peak memory cannot be read")?
        .parse()?;
    // 5 starts the peak over (proc(5)).
    fs::write(format!("{process}/clear_refs"), "5")?;
    Ok(kibibytes / 1024.0)
}
