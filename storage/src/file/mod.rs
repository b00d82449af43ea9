//! The file layer: all that the log does to a disk goes through these two traits.
//!
//! - [`RealFiles`] is the operating system.
//! - [`ForgetfulFiles`] is a disk in memory that loses what wasn't synced, when told to crash: torn writes, renames and
//!   creations that never happened, full disks, failing syncs, rotting bits. For tests within one process.
//! - [`BufferedUntilSync`] is the operating system, with writes held in this process until they are synced: killing the
//!   process then loses what a power cut would. For tests of the whole server.
//!
//! What a caller may rely on, and nothing else:
//!
//! * written bytes are durable once [`LayerFile::sync_data`] returned;
//! * a created, renamed or removed name is durable once [`FileLayer::sync_dir`] of its folder returned;
//! * of unsynced writes any part may survive a crash, in units of sectors.

mod buffered;
mod forgetful;
mod real;

use std::io;
use std::path::Path;
use std::sync::Arc;

pub use buffered::BufferedUntilSync;
pub use forgetful::{Crash, ForgetfulFiles};
pub use real::RealFiles;

/// How to open a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// It must be there.
    Existing,
    /// It must not be there yet.
    Create,
}

/// A folder tree of files.
pub trait FileLayer: Send + Sync {
    /// Opens a file for reading and writing.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn LayerFile>>;
    /// Makes sure that a folder and its parents exist.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Names of the files in a folder, in no order.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Gives a file another name in the same folder; replaces what has that name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Takes a lock file, created if missing, until the result is dropped or the process ends;
    /// [`io::ErrorKind::WouldBlock`] when somebody has it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn FileLock>>;
}

/// A held lock; dropping it lets go.
pub trait FileLock: Send + Sync {}

/// An open file.
pub trait LayerFile: Send + Sync {
    /// Its length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether it has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Makes it this long, with disk space for all of it, so that writes within it never lack space. New bytes are zero.
    fn allocate(&self, bytes: u64) -> io::Result<()>;
    /// Writes all of `bytes` at an offset.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Reads into `buffer` from an offset; fewer bytes only at the file's end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Makes everything written so far durable. After a failure nobody knows what is.
    fn sync_data(&self) -> io::Result<()>;
}
