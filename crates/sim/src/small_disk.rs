//! A file system that is small enough to be filled.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Room for a log with its prepared segments, and for some state.
const SIZE: &str = "size=768m";

/// A mounted tmpfs; unmounted when dropped.
#[derive(Debug)]
pub struct SmallDisk {
    path: PathBuf,
}

/// What fills it; removed when dropped.
#[derive(Debug)]
pub struct Ballast(PathBuf);

impl SmallDisk {
    /// Mounts one at this folder; `None` where this process may not.
    pub fn mount(path: &Path) -> Option<SmallDisk> {
        fs::create_dir_all(path).ok()?;
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", SIZE, "tmpfs"]).arg(path).output();
        mounted.ok()?.status.success().then(|| SmallDisk { path: path.to_owned() })
    }

    /// Takes all the room that is left.
    pub fn fill(&self) -> Ballast {
        let path = self.path.join("ballast");
        if let Ok(mut file) = File::create(&path) {
            for piece in [vec![1; 1 << 20], vec![1; 4 << 10]] {
                while file.write_all(&piece).is_ok() {}
            }
        }
        Ballast(path)
    }
}

impl Drop for Ballast {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0); // gone with its disk
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a server that is being killed may hold files for a moment.
        let _ = Command::new("umount").arg("-l").arg(&self.path).output();
    }
}
