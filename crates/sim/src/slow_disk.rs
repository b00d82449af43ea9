//! A disk that takes its time, for one process: the kernel lets it write so often a second (control groups, version 1).

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const CONTROLLER: &str = "/sys/fs/cgroup/blkio";
const LIMIT: &str = "blkio.throttle.write_iops_device";

/// A control group of one server; removed when dropped, if its process is gone.
#[derive(Debug)]
pub struct SlowDisk {
    group: PathBuf,
    /// Of the disk that the data is on.
    device: String,
}

impl SlowDisk {
    /// A disk that isn't slow yet, for what is in `folder`; `None` where this process may not limit it.
    pub fn under(folder: &Path, name: &str) -> Option<SlowDisk> {
        let device = fs::metadata(folder).ok()?.dev();
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        let group = Path::new(CONTROLLER).join(name);
        fs::create_dir(&group).ok()?;
        let disk = SlowDisk {
            group,
            device: format!("{major}:{minor}"),
        };
        disk.allow(None).ok()?;
        Some(disk)
    }

    /// The process and its threads write by this from now on.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn admit(&self, process: u32) -> io::Result<()> {
        fs::write(self.group.join("cgroup.procs"), process.to_string())
    }

    /// So many writes a second; as many as can be when `None`.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn allow(&self, writes: Option<u32>) -> io::Result<()> {
        fs::write(self.group.join(LIMIT), format!("{} {}", self.device, writes.unwrap_or(0)))
    }
}

impl Drop for SlowDisk {
    fn drop(&mut self) {
        let _ = self.allow(None); // in case that somebody is left in it
        let _ = fs::remove_dir(&self.group);
    }
}
