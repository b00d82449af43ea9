//! Putting another server's snapshot of a group in the place of what is here.
//!
//! ```text
//!   pieces ──► incoming/GROUP.partial ──whole, checked, synced──► incoming/GROUP.ID.whole ──► old rows out, new rows in ──► removed
//!                                                                      ▲                          │ position and ID
//!                                              from here on a start does it again ◄── crash ──────┘ in the last write, flushed
//! ```
//!
//! The group changes at once for whoever starts here again: before the file has its name, the old state stands; afterwards
//! the new one does, and [`StateStore::open`] finishes it. Nobody reads the state in between: the node answers no reads
//! until it has caught up with what was installed.

use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use curia_consensus::ids::{Csn, GroupId, LogId};
use curia_consensus::{Base, decode_base, encode_base};
use rocksdb::WriteBatch;

use super::scan::KeyRange;
use super::snapshot::GroupSnapshot;
use super::{StateStore, garbage, meta, snapshot, version_key};
use crate::error::{Result, StorageError};

/// One write to the state takes about so many bytes.
const BATCH_BYTES: usize = 1 << 20;
/// No key or row is longer.
const FIELD_BYTES_MAX: u32 = 1 << 30;

/// A snapshot that is being received.
pub struct Incoming {
    group: GroupId,
    base: Base,
    file: File,
    path: PathBuf,
    /// Bytes of the stream that are in the file.
    bytes: u64,
    /// Where the stream begins in the file.
    head: u64,
}

impl Incoming {
    /// The position that it brings the group to.
    pub fn base(&self) -> &Base {
        &self.base
    }

    /// Bytes received.
    pub fn received(&self) -> u64 {
        self.bytes
    }

    /// Adds the bytes that follow those received.
    ///
    /// # Errors
    /// [`StorageError::NoSpace`]: the same call may succeed later.
    pub fn add(&mut self, data: &[u8]) -> Result<()> {
        use std::os::unix::fs::FileExt;
        self.file
            .write_all_at(data, self.head + self.bytes)
            .map_err(|e| StorageError::io("write", &self.path, e))?;
        self.bytes += data.len() as u64;
        Ok(())
    }
}

impl StateStore {
    fn incoming_folder(&self) -> PathBuf {
        self.path.join("incoming")
    }

    /// Begins to receive a snapshot of a group; an earlier one that is not whole is void.
    pub fn receive(&self, group: GroupId, base: Base) -> Result<Incoming> {
        let folder = self.incoming_folder();
        if !folder.exists() {
            fs::create_dir_all(&folder).map_err(|e| StorageError::io("create", &folder, e))?;
            sync_folder(&self.path)?;
        }
        let path = folder.join(format!("{}.partial", group.0));
        let head = head(group, &base);
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(|e| StorageError::io("create", &path, e))?;
        file.write_all(&head).map_err(|e| StorageError::io("write", &path, e))?;
        Ok(Incoming {
            group,
            base,
            file,
            path,
            bytes: 0,
            head: head.len() as u64,
        })
    }

    /// Replaces a group's state and position by a snapshot that is wholly received, durably. Takes as long as it is large; nothing may be
    /// applied meanwhile.
    ///
    /// # Errors
    /// [`StorageError::Format`] when it is not what its sender made, and nothing has changed; [`StorageError::NoSpace`]: the same
    /// call may succeed later.
    pub fn install(&self, incoming: &Incoming) -> Result<()> {
        let path = &incoming.path;
        let id = self.next_install()?;
        let whole = self.incoming_folder().join(format!("{}.{id}.whole", incoming.group.0));
        if path.exists() {
            check(path)?;
            incoming.file.sync_all().map_err(|e| StorageError::io("sync", path, e))?;
            fs::rename(path, &whole).map_err(|e| StorageError::io("rename", path, e))?;
            sync_folder(&self.incoming_folder())?;
        }
        // After a full disk the file is there already, under the number of that attempt.
        self.finish_installs(false)
    }

    /// Installs what was wholly received: at a start, what a crash interrupted.
    pub(super) fn finish_installs(&self, at_start: bool) -> Result<()> {
        let folder = self.incoming_folder();
        let Ok(entries) = fs::read_dir(&folder) else { return Ok(()) };
        for entry in entries {
            let path = entry.map_err(|e| StorageError::io("read", &folder, e))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let parts: Vec<_> = name.split('.').collect();
            if at_start && parts.last() == Some(&"partial") {
                fs::remove_file(&path).map_err(|e| StorageError::io("remove", &path, e))?;
            }
            let [group, id, "whole"] = parts.as_slice() else { continue };
            let (Ok(group), Ok(id)) = (group.parse().map(GroupId), id.parse::<u64>()) else {
                continue;
            };
            if self.installed(group)?.is_none_or(|installed| installed < id) {
                self.replace(group, id, &path)?;
            }
            fs::remove_file(&path).map_err(|e| StorageError::io("remove", &path, e))?;
            sync_folder(&folder)?;
        }
        Ok(())
    }

    /// The number of the last install of a group that is durable.
    fn installed(&self, group: GroupId) -> Result<Option<u64>> {
        let value = self.flushed_value(&meta::install_key(group))?;
        value.map(|value| meta::u64_at(&value, 0)).transpose()
    }

    /// Above the numbers of all installs that the state or the folder knows.
    fn next_install(&self) -> Result<u64> {
        let mut highest = 0;
        for (_, value) in self.by_storage(b"inst")? {
            highest = highest.max(meta::u64_at(&value, 0)?);
        }
        let names = fs::read_dir(self.incoming_folder()).into_iter().flatten().flatten();
        let ids = names.filter_map(|entry| entry.file_name().to_str()?.split('.').nth(1)?.parse().ok());
        Ok(ids.fold(highest, u64::max) + 1)
    }

    fn replace(&self, group: GroupId, id: u64, path: &Path) -> Result<()> {
        let mut stream = open(path)?;
        let base = stream.base.clone();
        // Nothing is collected meanwhile: it would be what came, or come back with what went.
        let mut settled = self.settled.lock();
        self.replacements.fetch_add(1, Ordering::AcqRel);
        self.raise_horizon(Csn(stream.horizon))?;
        for storage in self.storages_of(group) {
            let (from, to) = KeyRange::all().bounds(storage);
            self.db.delete_file_in_range(&from, &to)?;
            let mut batch = WriteBatch::new();
            batch.delete_range(&from, &to);
            batch.delete_cf(self.meta_family()?, meta::drop_key(storage));
            batch.delete_cf(self.meta_family()?, meta::owner_key(storage));
            self.write(batch)?;
            self.owners.write().remove(&storage);
        }
        let (family, listed) = (self.meta_family()?, self.deleted_family()?);
        let mut batch = WriteBatch::new();
        let mut place = Vec::new();
        while let Some(record) = stream.next()? {
            match record {
                Record::Row { key, value } => {
                    let (prefix, csn) = version_key::split(&key).ok_or(malformed("a short key"))?;
                    if version_key::live(&value).is_none() {
                        let storage = version_key::storage(prefix).ok_or(malformed("a short key"))?;
                        place.clear();
                        garbage::write_listed(csn, storage, &prefix[version_key::STORAGE_BYTES..], &mut place);
                        batch.put_cf(listed, &place, []);
                    }
                    batch.put(&key, &value);
                }
                Record::Drop { storage, csn } => batch.put_cf(family, meta::drop_key(storage), csn.0.to_le_bytes()),
                Record::Time { csn, timestamp } => batch.put_cf(family, meta::time_key(csn), timestamp.to_le_bytes()),
                Record::Storage(storage) => {
                    batch.put_cf(family, meta::owner_key(storage), group.0.to_le_bytes());
                    self.owners.write().insert(storage, group);
                }
            }
            if batch.size_in_bytes() >= BATCH_BYTES {
                self.write(std::mem::take(&mut batch))?;
            }
        }
        let mut value = Vec::new();
        encode_base(LogId::Group(group), &base, &mut value);
        batch.put_cf(family, meta::group_key(group), value);
        batch.put_cf(family, meta::install_key(group), id.to_le_bytes());
        self.write(batch)?;
        // Deletions that came may be older than those settled here.
        settled.clear();
        self.flush()
    }
}

impl GroupSnapshot {
    /// Writes all of it to a new file, durably, in the form in which it is put into a state: see [`seed`]. Gives the file's length.
    pub fn write_to(&mut self, path: &Path) -> Result<u64> {
        const PIECE_BYTES: usize = 1 << 20;
        let mut file = File::create_new(path).map_err(|e| StorageError::io("create", path, e))?;
        let head = head(self.group(), self.base());
        let failed = |e| StorageError::io("write", path, e);
        file.write_all(&head).map_err(failed)?;
        let mut bytes = 0;
        while let Some(piece) = self.piece(bytes, PIECE_BYTES)? {
            file.write_all(&piece.data).map_err(failed)?;
            bytes += piece.data.len() as u64;
            if piece.last {
                break;
            }
        }
        file.sync_all().map_err(|e| StorageError::io("sync", path, e))?;
        Ok(bytes)
    }
}

/// What stands in a file before the stream.
fn head(group: GroupId, base: &Base) -> Vec<u8> {
    let mut head = Vec::new();
    encode_base(LogId::Group(group), base, &mut head);
    let length = head.len() as u32;
    head.splice(0..0, length.to_le_bytes());
    head
}

/// Lets a state store that is not there yet begin with a group's snapshot, from a file that [`GroupSnapshot::write_to`] wrote. `path` is the
/// store's folder to be; [`StateStore::open`] does the rest.
///
/// # Errors
/// [`StorageError::Format`] when the file is damaged.
pub fn seed(path: &Path, group: GroupId, file: &Path) -> Result<()> {
    check(file)?;
    let folder = path.join("incoming");
    fs::create_dir_all(&folder).map_err(|e| StorageError::io("create", &folder, e))?;
    let whole = folder.join(format!("{}.1.whole", group.0));
    let copying = folder.join(format!("{}.partial", group.0));
    fs::copy(file, &copying).map_err(|e| StorageError::io("copy", file, e))?;
    File::open(&copying)
        .and_then(|copied| copied.sync_all())
        .map_err(|e| StorageError::io("sync", &copying, e))?;
    fs::rename(&copying, &whole).map_err(|e| StorageError::io("rename", &copying, e))?;
    sync_folder(&folder)
}

pub(super) fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|e| StorageError::io("sync", folder, e))
}

/// Reads a whole file, so that nothing is replaced by what is no snapshot.
fn check(path: &Path) -> Result<()> {
    let mut stream = open(path)?;
    while stream.next()?.is_some() {}
    Ok(())
}

enum Record {
    Row { key: Vec<u8>, value: Vec<u8> },
    Drop { storage: u32, csn: Csn },
    Time { csn: Csn, timestamp: u64 },
    Storage(u32),
}

/// Walks over a stream that may be anything, as far as it is one; for fuzzing. Whether it reached an end.
pub fn fuzz_snapshot(bytes: &[u8]) -> bool {
    let Some((group, csn)) = bytes.get(1..).and_then(|b| b.split_first_chunk()) else {
        return false;
    };
    let base = Base {
        csn: Csn(csn.first_chunk().map_or(0, |csn| u64::from_le_bytes(*csn))),
        ..Base::default()
    };
    let log = LogId::Group(GroupId(u32::from_le_bytes(*group)));
    let Ok(mut stream) = Stream::begin(Path::new("snapshot"), bytes, log, base) else {
        return false;
    };
    loop {
        match stream.next() {
            Ok(Some(_)) => {}
            Ok(None) => return true,
            // The checksum would keep a fuzzer out.
            Err(_) => return stream.ended,
        }
    }
}

/// A received snapshot that is read back.
struct Stream<R> {
    path: PathBuf,
    file: R,
    /// The end's record was met.
    ended: bool,
    crc: u32,
    records: u64,
    base: Base,
    horizon: u64,
}

/// Opens a file that a snapshot was received into.
fn open(path: &Path) -> Result<Stream<BufReader<File>>> {
    let unreadable = |e| StorageError::io("read", path, e);
    let file = File::open(path).map_err(|e| StorageError::io("open", path, e))?;
    let mut file = BufReader::with_capacity(256 << 10, file);
    let mut length = [0; 4];
    file.read_exact(&mut length).map_err(unreadable)?;
    let mut base = Vec::new();
    let length = u32::from_le_bytes(length).min(FIELD_BYTES_MAX);
    file.by_ref().take(length.into()).read_to_end(&mut base).map_err(unreadable)?;
    let (log, base) = decode_base(base.into()).map_err(|_| malformed("an unreadable base"))?;
    Stream::begin(path, file, log, base)
}

impl<R: Read> Stream<R> {
    fn begin(path: &Path, file: R, log: LogId, base: Base) -> Result<Stream<R>> {
        let mut stream = Stream {
            path: path.to_owned(),
            file,
            ended: false,
            crc: 0,
            records: 0,
            base: Base::default(),
            horizon: 0,
        };
        let [version] = stream.array::<1>()?;
        let group = GroupId(stream.u32()?);
        let csn = Csn(stream.u64()?);
        stream.horizon = stream.u64()?;
        if version != snapshot::VERSION || log != LogId::Group(group) || csn != base.csn {
            return Err(malformed("an unknown version, or of another group or position"));
        }
        stream.base = base;
        Ok(stream)
    }

    fn next(&mut self) -> Result<Option<Record>> {
        let [kind] = self.array::<1>()?;
        self.records += 1;
        let record = match kind {
            snapshot::ROW => {
                let (key, value) = (self.u32()?, self.u32()?);
                Record::Row {
                    key: self.bytes(key)?,
                    value: self.bytes(value)?,
                }
            }
            snapshot::DROP => Record::Drop {
                storage: self.u32()?,
                csn: Csn(self.u64()?),
            },
            snapshot::TIME => Record::Time {
                csn: Csn(self.u64()?),
                timestamp: self.u64()?,
            },
            snapshot::STORAGE => Record::Storage(self.u32()?),
            snapshot::END => {
                let records = self.u64()?;
                let crc = self.crc;
                self.ended = records.checked_add(1) == Some(self.records);
                if !self.ended || self.u32()? != crc {
                    return Err(malformed("not what was sent"));
                }
                return Ok(None);
            }
            _ => return Err(malformed("an unknown record")),
        };
        Ok(Some(record))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn bytes(&mut self, length: u32) -> Result<Vec<u8>> {
        if length > FIELD_BYTES_MAX {
            return Err(malformed("too long a field"));
        }
        let mut bytes = Vec::new();
        // Not at once: the length may be nonsense.
        let read = self
            .file
            .by_ref()
            .take(length.into())
            .read_to_end(&mut bytes)
            .map_err(|e| StorageError::io("read", &self.path, e))?;
        if read < length as usize {
            return Err(malformed("ends too early"));
        }
        self.crc = crc32c::crc32c_append(self.crc, &bytes);
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        match self.file.read_exact(bytes) {
            Ok(()) => {
                self.crc = crc32c::crc32c_append(self.crc, bytes);
                Ok(())
            }
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Err(malformed("ends too early")),
            Err(error) => Err(StorageError::io("read", &self.path, error)),
        }
    }
}

fn malformed(detail: &'static str) -> StorageError {
    StorageError::format("snapshot", detail)
}
