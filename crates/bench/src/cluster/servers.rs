//! Three Curia servers that form one cluster.

use crate::peer::{CACHE, Peer, start_curia};
use crate::{Result, Setting};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// How many.
pub const SERVERS: usize = 3;
/// Longest wait for a cluster to be as it should.
const PATIENCE: Duration = Duration::from_secs(60);

/// The servers, in the order of their start.
pub struct Servers {
    /// Each of them.
    pub all: Vec<Peer>,
    peers: Vec<String>,
    program: std::path::PathBuf,
}

impl Servers {
    /// Forms a cluster on fresh folders below `folder`.
    pub async fn start(setting: &Setting, folder: &Path, options: &[&str]) -> Result<Servers> {
        let held: Vec<_> = (0..SERVERS).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
        let peers: Vec<_> = held
            .iter()
            .map(|listener| Ok(listener.local_addr()?.to_string()))
            .collect::<Result<_>>()?;
        drop(held);
        let join = peers.join(",");
        let mut all = Vec::new();
        for (number, peer) in (1..).zip(&peers) {
            let mut given = vec!["--join", &join, "--peer-addr", peer];
            given.extend(CACHE.iter().chain(options));
            all.push(start_curia(setting, &folder.join(format!("server{number}")), &given)?);
        }
        let servers = Servers {
            all,
            peers,
            program: setting.curia.clone(),
        };
        servers.tool(&["init", "--host", &servers.peers[0]])?;
        servers.consul().await?;
        Ok(servers)
    }

    /// Which of them serves; waits until one does.
    pub async fn consul(&self) -> Result<usize> {
        let from = Instant::now();
        while from.elapsed() < PATIENCE {
            for peer in &self.peers {
                let Ok(status) = self.tool(&["status", "--host", peer]) else {
                    continue;
                };
                let consul = status.lines().find(|line| line.ends_with(" consul"));
                let place = consul.and_then(|line| line.split_ascii_whitespace().nth(3));
                if let Some(found) = self.peers.iter().position(|peer| Some(peer.as_str()) == place) {
                    return Ok(found);
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err("the cluster has no consul".into())
    }

    /// Asks for another consul; returns when it was told so.
    pub fn transfer(&self, to: usize) -> Result<()> {
        let status = self.tool(&["status", "--host", &self.peers[to]])?;
        let own = status.lines().find(|line| line.contains(&self.peers[to]));
        let id = own.and_then(|line| line.split_ascii_whitespace().next());
        let id = id.ok_or("curia status does not name the server")?;
        self.tool(&["transfer", id, "--host", &self.peers[to]]).map(|_| ())
    }

    fn tool(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new(&self.program).args(arguments).output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("curia {}: {}", arguments.join(" "), said.trim()).into());
        }
        Ok(String::from_utf8(output.stdout)?)
    }
}
