//! A full disk, on a small file system of its own. Needs the right to mount one.

use crate::house::{PATIENCE, connect, launch_in, start, state};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Size of the file system.
const MEBIBYTES: u32 = 512;

/// A mounted tmpfs.
struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    /// `None` where this process may not mount.
    fn mount() -> Option<SmallDisk> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={MEBIBYTES}m");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(folder.path())
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(SmallDisk { folder }),
            _ => None,
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Fills what is left with a file.
    fn fill(&self) -> PathBuf {
        let path = self.path().join("ballast");
        let mut file = File::create(&path).unwrap();
        let piece = vec![1u8; 1 << 20];
        while file.write_all(&piece).is_ok() {}
        while file.write_all(&piece[..4096]).is_ok() {}
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a server that is being killed may hold files for a moment.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

#[tokio::test]
async fn a_full_disk_refuses_writes_serves_reads_and_recovers() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("skipped: this process may not mount a tmpfs");
        return;
    };
    let launch = launch_in(disk.path());
    let server = start(&launch);
    let client = connect(&server).await;
    client.batch_execute("CREATE TABLE t (id int PRIMARY KEY, v text)").await.unwrap();
    let filler = "x".repeat(20_000);
    client.execute("INSERT INTO t VALUES (0, $1)", &[&filler]).await.unwrap();

    let ballast = disk.fill();
    let mut acknowledged = 1i64;
    let mut refusal = None;
    for id in 1..200_000 {
        match client.execute("INSERT INTO t VALUES ($1, $2)", &[&id, &filler]).await {
            Ok(_) => acknowledged += 1,
            Err(error) => {
                refusal = Some(error);
                break;
            }
        }
    }
    let refusal = refusal.expect("the disk is full at some point");
    assert_eq!(state(&refusal), "53100", "{refusal:?}");
    let count: i64 = client.query_one("SELECT count(*) FROM t", &[]).await.unwrap().get(0);
    assert_eq!(count, acknowledged, "reads go on and show what was acknowledged");

    std::fs::remove_file(ballast).unwrap();
    let from = std::time::Instant::now();
    while let Err(error) = client.execute("INSERT INTO t VALUES (-1, 'after')", &[]).await {
        assert_eq!(state(&error), "53100", "{error:?}");
        assert!(from.elapsed() < PATIENCE, "service resumes when there is space again");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    server.kill().unwrap();

    let server = start(&launch);
    let client = connect(&server).await;
    let count: i64 = client.query_one("SELECT count(*) FROM t", &[]).await.unwrap().get(0);
    assert_eq!(count, acknowledged + 1);
}
