//! A disk in memory that forgets.
//!
//! Every file has what is durable and the writes since; the folder tree has what is durable and the changes since. A
//! crash keeps a seeded choice of the unsynced part: of each write none, all, or some of its sectors; of the changes of
//! names a prefix (file systems journal them in order, but not in order with data).

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{FileLayer, FileLock, LayerFile, OpenMode};

/// The unit in which a write is torn.
const SECTOR: usize = 512;

/// What a crash does with the unsynced part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// Nothing unsynced survives.
    LoseAll,
    /// Everything does: as when only the process died.
    KeepAll,
    /// A choice that the seed decides, down to sectors.
    Seeded(u64),
}

/// The disk. Clones share it, so that a test can crash it under its user.
#[derive(Clone, Default)]
pub struct ForgetfulFiles {
    disk: Arc<Mutex<Disk>>,
}

#[derive(Default)]
struct Disk {
    files: Vec<Contents>,
    /// Names as every process sees them.
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    /// Changes of names since the last sync of their folder.
    changes: Vec<Change>,
    locked: Vec<PathBuf>,
    capacity_bytes: Option<u64>,
    failing_syncs: u32,
    skipping_syncs: bool,
    /// Counts crashes: handles from before one are dead.
    life: u64,
    syncs: u64,
}

#[derive(Default)]
struct Contents {
    /// As every process sees them.
    now: Vec<u8>,
    durable: Vec<u8>,
    writes: Vec<(usize, Vec<u8>)>,
}

#[derive(Clone)]
enum Change {
    Create(PathBuf, usize),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Change::Create(path, file) => {
                names.insert(path.clone(), *file);
            }
            Change::Rename(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            Change::Remove(path) => {
                names.remove(path);
            }
        }
    }

    fn is_in(&self, dir: &Path) -> bool {
        let (Change::Create(path, _) | Change::Rename(_, path) | Change::Remove(path)) = self;
        path.parent() == Some(dir)
    }
}

impl ForgetfulFiles {
    /// An empty disk without limits.
    pub fn new() -> ForgetfulFiles {
        ForgetfulFiles::default()
    }

    /// Cuts the power. Open files and locks are dead; a new user finds what survived.
    pub fn crash(&self, how: Crash) {
        let mut disk = self.disk.lock();
        let mut random = match how {
            Crash::Seeded(seed) => SplitMix(seed),
            Crash::LoseAll | Crash::KeepAll => SplitMix(0),
        };
        let Disk {
            files,
            changes,
            durable_names,
            ..
        } = &mut *disk;
        for contents in files.iter_mut() {
            for (offset, bytes) in std::mem::take(&mut contents.writes) {
                survive(&mut contents.durable, offset, &bytes, how, &mut random);
            }
            contents.now = contents.durable.clone();
        }
        let kept = match how {
            Crash::LoseAll => 0,
            Crash::KeepAll => changes.len(),
            Crash::Seeded(_) => random.below(changes.len() as u64 + 1) as usize,
        };
        for change in changes.drain(..).take(kept) {
            change.apply(durable_names);
        }
        disk.names = disk.durable_names.clone();
        disk.locked.clear();
        disk.failing_syncs = 0;
        disk.life += 1;
    }

    /// Limits what all files together may take; a shrunk limit takes nothing away.
    pub fn limit_capacity(&self, bytes: Option<u64>) {
        self.disk.lock().capacity_bytes = bytes;
    }

    /// Lets the next `count` syncs of data fail.
    pub fn fail_syncs(&self, count: u32) {
        self.disk.lock().failing_syncs = count;
    }

    /// While on, syncs report success and do nothing: a crash then tears writes that their writer thinks are durable, as if
    /// it had died before it could tell anybody.
    pub fn skip_syncs(&self, on: bool) {
        self.disk.lock().skipping_syncs = on;
    }

    /// Rots a byte: flips the bits of `mask` in what is durable. Whether the file has that byte.
    pub fn rot(&self, path: &Path, offset: u64, mask: u8) -> bool {
        let mut disk = self.disk.lock();
        let Some(file) = disk.names.get(path).copied() else { return false };
        let contents = &mut disk.files[file];
        let Some(at) = usize::try_from(offset).ok().filter(|at| *at < contents.durable.len()) else {
            return false;
        };
        contents.durable[at] ^= mask;
        contents.now[at] ^= mask;
        true
    }

    /// What a file holds, unsynced bytes included.
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        let disk = self.disk.lock();
        disk.names.get(path).map(|file| disk.files[*file].now.clone())
    }

    /// Replaces what is durable of a file: an image built on purpose.
    pub fn plant(&self, path: &Path, bytes: Vec<u8>) {
        let mut disk = self.disk.lock();
        let file = disk.files.len();
        disk.files.push(Contents {
            now: bytes.clone(),
            durable: bytes,
            writes: Vec::new(),
        });
        disk.names.insert(path.to_owned(), file);
        disk.durable_names.insert(path.to_owned(), file);
    }

    /// All paths, in order.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.disk.lock().names.keys().cloned().collect()
    }

    /// Syncs of data so far.
    pub fn syncs(&self) -> u64 {
        self.disk.lock().syncs
    }
}

fn survive(durable: &mut Vec<u8>, offset: usize, bytes: &[u8], how: Crash, random: &mut SplitMix) {
    // 0: none, 1: all, 2: sector by sector.
    let fate = match how {
        Crash::LoseAll => 0,
        Crash::KeepAll => 1,
        Crash::Seeded(_) => random.below(3),
    };
    if fate == 0 {
        return;
    }
    let mut at = 0;
    while at < bytes.len() {
        let end = (((offset + at) / SECTOR + 1) * SECTOR - offset).min(bytes.len());
        if fate == 1 || random.below(2) == 1 {
            if durable.len() < offset + end {
                durable.resize(offset + end, 0);
            }
            durable[offset + at..offset + end].copy_from_slice(&bytes[at..end]);
        }
        at = end;
    }
}

/// Steele, Lea, Flood: "Fast splittable pseudorandom number generators" (2014). Its stream must not change: seeds are kept.
struct SplitMix(u64);

impl SplitMix {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

struct ForgetfulFile {
    disk: Arc<Mutex<Disk>>,
    file: usize,
    life: u64,
}

struct ForgetfulLock {
    disk: Arc<Mutex<Disk>>,
    path: PathBuf,
    life: u64,
}

impl FileLock for ForgetfulLock {}

impl Drop for ForgetfulLock {
    fn drop(&mut self) {
        let mut disk = self.disk.lock();
        if disk.life == self.life {
            disk.locked.retain(|path| *path != self.path);
        }
    }
}

impl FileLayer for ForgetfulFiles {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn LayerFile>> {
        let mut disk = self.disk.lock();
        let file = match (disk.names.get(path).copied(), mode) {
            (Some(file), OpenMode::Existing) => file,
            (Some(_), OpenMode::Create) => return Err(io::ErrorKind::AlreadyExists.into()),
            (None, OpenMode::Existing) => return Err(io::ErrorKind::NotFound.into()),
            (None, OpenMode::Create) => {
                let file = disk.files.len();
                disk.files.push(Contents::default());
                disk.names.insert(path.to_owned(), file);
                disk.changes.push(Change::Create(path.to_owned(), file));
                file
            }
        };
        Ok(Arc::new(ForgetfulFile {
            disk: self.disk.clone(),
            file,
            life: disk.life,
        }))
    }

    fn create_dir(&self, _path: &Path) -> io::Result<()> {
        Ok(()) // every folder exists
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let disk = self.disk.lock();
        let inside = disk.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(from, Change::Rename(from.to_owned(), to.to_owned()))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.change(path, Change::Remove(path.to_owned()))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        let Disk {
            changes, durable_names, ..
        } = &mut *disk;
        changes.retain(|change| {
            let synced = change.is_in(dir);
            if synced {
                change.apply(durable_names);
            }
            !synced
        });
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn FileLock>> {
        let mut disk = self.disk.lock();
        if disk.locked.iter().any(|locked| locked == path) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        disk.locked.push(path.to_owned());
        Ok(Box::new(ForgetfulLock {
            disk: self.disk.clone(),
            path: path.to_owned(),
            life: disk.life,
        }))
    }
}

impl ForgetfulFiles {
    fn change(&self, existing: &Path, change: Change) -> io::Result<()> {
        let mut disk = self.disk.lock();
        if !disk.names.contains_key(existing) {
            return Err(io::ErrorKind::NotFound.into());
        }
        change.apply(&mut disk.names);
        disk.changes.push(change);
        Ok(())
    }
}

impl Disk {
    fn grow(&mut self, file: usize, bytes: usize) -> io::Result<()> {
        let have = self.files[file].now.len();
        if bytes <= have {
            return Ok(());
        }
        if let Some(capacity) = self.capacity_bytes {
            let used: u64 = self.names.values().map(|file| self.files[*file].now.len() as u64).sum();
            if used + (bytes - have) as u64 > capacity {
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        self.files[file].now.resize(bytes, 0);
        Ok(())
    }
}

impl ForgetfulFile {
    fn disk(&self) -> io::Result<parking_lot::MutexGuard<'_, Disk>> {
        let disk = self.disk.lock();
        if disk.life == self.life {
            Ok(disk)
        } else {
            Err(io::Error::other("the disk crashed since this file was opened"))
        }
    }
}

fn position(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput.into())
}

impl LayerFile for ForgetfulFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk()?.files[self.file].now.len() as u64)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let mut disk = self.disk()?;
        let from = disk.files[self.file].now.len();
        let to = position(bytes)?;
        disk.grow(self.file, to)?;
        if to > from {
            disk.files[self.file].writes.push((from, vec![0; to - from]));
        }
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut disk = self.disk()?;
        let offset = position(offset)?;
        disk.grow(self.file, offset + bytes.len())?;
        let contents = &mut disk.files[self.file];
        contents.now[offset..offset + bytes.len()].copy_from_slice(bytes);
        contents.writes.push((offset, bytes.to_vec()));
        Ok(())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let disk = self.disk()?;
        let rest = disk.files[self.file].now.get(position(offset)?..).unwrap_or(&[]);
        let read = rest.len().min(buffer.len());
        buffer[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut disk = self.disk()?;
        disk.syncs += 1;
        if disk.skipping_syncs {
            return Ok(());
        }
        if disk.failing_syncs > 0 {
            disk.failing_syncs -= 1;
            // As Linux does: the pages are marked clean and never written, so that a second sync would report success.
            disk.files[self.file].writes.clear();
            return Err(io::Error::other("input/output error (simulated)"));
        }
        let Contents { durable, writes, .. } = &mut disk.files[self.file];
        for (offset, bytes) in writes.drain(..) {
            survive(durable, offset, &bytes, Crash::KeepAll, &mut SplitMix(0));
        }
        Ok(())
    }
}
