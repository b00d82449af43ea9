//! Resident memory. PostgreSQL's processes share pages, so each counts with its proportional share (Pss); so does Curia's one.

use crate::Result;
use crate::peer::{Kind, Peer, Peers};
use crate::report::{Row, Table};
use std::fs;
use std::time::Duration;

/// Connections opened to see what one costs.
const CONNECTIONS: usize = 100;

/// Mebibytes, idle and with connections; kibibytes for each connection are in the note.
pub async fn measure(peers: &Peers) -> Result<Table> {
    let mut idle = Row {
        what: "no connection".into(),
        curia: Vec::new(),
        postgres: Vec::new(),
        note: String::new(),
    };
    let mut busy = Row {
        what: format!("{CONNECTIONS} idle connections"),
        curia: Vec::new(),
        postgres: Vec::new(),
        note: String::new(),
    };
    let mut notes = Vec::new();
    for peer in peers.both() {
        // One connection first, so that what every first connection loads is not charged to the others; then let both settle.
        peer.connect().await?.simple_query("select 1").await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let before = resident(peer)?;
        let mut clients = Vec::with_capacity(CONNECTIONS);
        for _ in 0..CONNECTIONS {
            let client = peer.connect().await?;
            client.simple_query("select 1").await?;
            clients.push(client);
        }
        let after = resident(peer)?;
        drop(clients);
        let (from, to) = match peer.kind {
            Kind::Curia => (&mut idle.curia, &mut busy.curia),
            Kind::Postgres => (&mut idle.postgres, &mut busy.postgres),
        };
        from.push(before / 1024.0);
        to.push(after / 1024.0);
        notes.push(format!(
            "{} {:.0} KiB a connection",
            peer.name(),
            (after - before) / CONNECTIONS as f64
        ));
    }
    busy.note = notes.join(", ");
    Ok(Table {
        title: "Resident memory".into(),
        unit: "MiB",
        rows: vec![idle, busy],
    })
}

/// KiB of the server and its children.
pub fn resident(peer: &Peer) -> Result<f64> {
    let mut sum = share(peer.pid()).ok_or("the server's memory cannot be read")?;
    sum += children(peer.pid()).into_iter().filter_map(share).sum::<f64>();
    Ok(sum)
}

/// Proportional share of one process, KiB. `None` when it has ended meanwhile.
fn share(pid: u32) -> Option<f64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    rollup
        .lines()
        .find_map(|line| line.strip_prefix("Pss:"))?
        .split_ascii_whitespace()
        .next()?
        .parse()
        .ok()
}

/// Processes whose parent is `pid`.
pub fn children(pid: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|child| {
            let stat = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
            // After the command name, which is in parentheses and may hold anything: state, parent.
            let parent = stat.rsplit(')').next().and_then(|rest| rest.split_ascii_whitespace().nth(1));
            parent.and_then(|parent| parent.parse().ok()) == Some(pid)
        })
        .collect()
}
