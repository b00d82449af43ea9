//! Clients that insert numbers, one a transaction, through any server, and remember which were acknowledged.

use super::servers::Servers;
use crate::Result;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls, Statement};

/// Clients at work.
pub const CLIENTS: usize = 8;
/// How soon a client tries again that lost its server.
const AGAIN: Duration = Duration::from_millis(5);

/// A running load.
pub struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

/// An acknowledged commit.
#[derive(Clone, Copy)]
pub struct Acknowledged {
    /// What was inserted.
    pub number: i64,
    /// When its statement was sent.
    pub sent: Instant,
    /// When it was acknowledged.
    pub heard: Instant,
}

struct Shared {
    /// SQL ports of the servers; they change with a restart.
    ports: Vec<AtomicU16>,
    next: AtomicU64,
    acknowledged: Mutex<Vec<Acknowledged>>,
    stop: AtomicBool,
}

impl Load {
    /// Makes the table and starts the clients.
    pub async fn start(servers: &Servers) -> Result<Load> {
        let client = servers.all[0].connect().await?;
        client
            .batch_execute("create table acknowledged (number bigint primary key)")
            .await?;
        let shared = Arc::new(Shared {
            ports: servers.all.iter().map(|server| AtomicU16::new(server.port)).collect(),
            next: AtomicU64::new(1),
            acknowledged: Mutex::default(),
            stop: AtomicBool::new(false),
        });
        let clients = (0..CLIENTS).map(|first| tokio::spawn(work(shared.clone(), first))).collect();
        Ok(Load { shared, clients })
    }

    /// Tells where a server listens now.
    pub fn moved(&self, servers: &Servers) {
        for (port, server) in self.shared.ports.iter().zip(&servers.all) {
            port.store(server.port, Ordering::Relaxed);
        }
    }

    /// Commits so far.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// Waits until so many were committed.
    pub async fn reach(&self, count: usize) {
        while self.count() < count {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until something sent after `from` has been committed, at most `within`; how long after `from` it was.
    pub async fn next_commit(&self, from: Instant, within: Duration) -> Option<Duration> {
        while from.elapsed() < within {
            if let Some(first) = self
                .lock()
                .iter()
                .rev()
                .take(10_000)
                .filter(|one| one.sent > from)
                .map(|one| one.heard)
                .min()
            {
                return Some(first - from);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        None
    }

    /// The longest time without an acknowledgement since `from`.
    pub fn longest_pause(&self, from: Instant) -> Duration {
        let mut heard: Vec<_> = self.lock().iter().map(|one| one.heard).filter(|heard| *heard > from).collect();
        heard.sort_unstable();
        heard.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }

    /// Ends the load and looks for what was acknowledged; the number of commits, none of which is lost.
    pub async fn finish(self, servers: &Servers) -> Result<usize> {
        self.shared.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await?;
        }
        let acknowledged: HashSet<_> = self
            .shared
            .acknowledged
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .iter()
            .map(|one| one.number)
            .collect();
        let client = servers.all[servers.consul().await?].connect().await?;
        let rows = client.query("select number from acknowledged", &[]).await?;
        let there: HashSet<i64> = rows.iter().map(|row| row.get(0)).collect();
        match acknowledged.difference(&there).count() {
            0 => Ok(acknowledged.len()),
            lost => Err(format!("{lost} of {} acknowledged commits are lost", acknowledged.len()).into()),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Acknowledged>> {
        self.shared.acknowledged.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

async fn work(shared: Arc<Shared>, first: usize) {
    let mut turn = first;
    let mut connected: Option<(Client, Statement)> = None;
    while !shared.stop.load(Ordering::Relaxed) {
        let Some((client, insert)) = &connected else {
            turn += 1;
            connected = connect(&shared, turn).await;
            if connected.is_none() {
                tokio::time::sleep(AGAIN).await;
            }
            continue;
        };
        let number = shared.next.fetch_add(1, Ordering::Relaxed) as i64;
        let sent = Instant::now();
        match client.execute(insert, &[&number]).await {
            Ok(_) => {
                let heard = Instant::now();
                let mut acknowledged = shared.acknowledged.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                acknowledged.push(Acknowledged { number, sent, heard });
            }
            // Its outcome is unknown, and the number is not used again. A session that survived goes on.
            Err(_) if client.is_closed() => connected = None,
            Err(_) => {}
        }
    }
}

async fn connect(shared: &Shared, turn: usize) -> Option<(Client, Statement)> {
    let port = shared.ports[turn % shared.ports.len()].load(Ordering::Relaxed);
    let address = format!("host=127.0.0.1 port={port} user=curia dbname=curia connect_timeout=5");
    let (client, connection) = tokio_postgres::connect(&address, NoTls).await.ok()?;
    tokio::spawn(connection);
    let insert = client.prepare("insert into acknowledged values ($1)").await.ok()?;
    Some((client, insert))
}
