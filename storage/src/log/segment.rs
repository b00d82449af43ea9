//! Segments: files of a fixed length, made ready before they are needed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use curia_consensus::{Index, LogId};

use super::format::{SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::error::{Result, StorageError};
use crate::file::{FileLayer, LayerFile, OpenMode};

/// A segment while it is being made. There is never more than one.
const PREPARING: &str = "preparing.tmp";
/// A truncated segment that waits to become a new one.
const RECYCLED: &str = "recycled.tmp";

/// An open segment.
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) path: PathBuf,
    pub(super) file: Arc<dyn LayerFile>,
    /// Length of the file.
    pub(super) bytes: u64,
    /// Where its batches end.
    pub(super) end: u64,
    /// The highest index that it has of each log.
    pub(super) highest: BTreeMap<LogId, Index>,
}

impl Segment {
    pub(super) fn new(number: u64, path: PathBuf, file: Arc<dyn LayerFile>, bytes: u64) -> Segment {
        Segment {
            number,
            path,
            file,
            bytes,
            end: SEGMENT_HEADER_BYTES as u64,
            highest: BTreeMap::new(),
        }
    }

    pub(super) fn room(&self) -> u64 {
        self.bytes.saturating_sub(self.end)
    }

    pub(super) fn note(&mut self, log: LogId, index: Index) {
        let highest = self.highest.entry(log).or_insert(index);
        *highest = index.max(*highest);
    }

    /// Opens a segment that is there, whatever its header says; see [`Segment::check_header`].
    pub(super) fn open(layer: &dyn FileLayer, dir: &Path, number: u64) -> Result<Segment> {
        let path = path_of(dir, number);
        let file = layer
            .open(&path, OpenMode::Existing)
            .map_err(|e| StorageError::io("open", &path, e))?;
        let bytes = file.len().map_err(|e| StorageError::io("examine", &path, e))?;
        Ok(Segment::new(number, path, file, bytes))
    }

    /// What is wrong with the header. It was durable before the segment got its name, so whatever is wrong is damage.
    pub(super) fn check_header(&self) -> Result<Option<String>> {
        let mut header = [0; SEGMENT_HEADER_BYTES];
        let read = self
            .file
            .read_at(&mut header, 0)
            .map_err(|e| StorageError::io("read", &self.path, e))?;
        Ok(match SegmentHeader::decode(&header[..read]) {
            Err(error) => Some(error.to_string()),
            Ok(header) if header.number != self.number => Some(format!("the segment says that its number is {}", header.number)),
            Ok(_) => None,
        })
    }
}

pub(super) fn path_of(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:016}.log"))
}

/// The numbers of the segments in a folder, ascending.
pub(super) fn numbers(layer: &dyn FileLayer, dir: &Path) -> Result<Vec<u64>> {
    let names = layer.list(dir).map_err(|e| StorageError::io("list", dir, e))?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| name.strip_suffix(".log")?.parse().ok()).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Makes segments ready.
pub(super) struct Preparer {
    layer: Arc<dyn FileLayer>,
    dir: PathBuf,
    segment_bytes: u64,
    beside: bool,
    /// Whether a truncated segment waits under [`RECYCLED`].
    recycled: bool,
    under_way: Option<JoinHandle<Result<Segment>>>,
    ready: Option<Segment>,
}

impl Preparer {
    pub(super) fn new(layer: Arc<dyn FileLayer>, dir: PathBuf, segment_bytes: u64, beside: bool) -> Preparer {
        Preparer {
            layer,
            dir,
            segment_bytes,
            beside,
            recycled: false,
            under_way: None,
            ready: None,
        }
    }

    /// Removes what an earlier run left unfinished.
    pub(super) fn clean(&mut self) -> Result<()> {
        let names = self.layer.list(&self.dir).map_err(|e| StorageError::io("list", &self.dir, e))?;
        for name in names.iter().filter(|name| *name == PREPARING || *name == RECYCLED) {
            let path = self.dir.join(name);
            self.layer.remove(&path).map_err(|e| StorageError::io("remove", &path, e))?;
        }
        Ok(())
    }

    /// A prepared segment was found.
    pub(super) fn adopt(&mut self, segment: Segment) {
        self.ready = Some(segment);
    }

    /// Begins to make the segment after `last` ready, unless one is or is being made.
    pub(super) fn begin(&mut self, last: u64) {
        if !self.beside || self.ready.is_some() || self.under_way.is_some() {
            return;
        }
        let job = self.job(last + 1, self.segment_bytes);
        // Without a thread it is made when it is needed.
        self.under_way = std::thread::Builder::new().name("curia-segment".into()).spawn(job).ok();
    }

    /// Makes sure that the segment after `last` is ready and has room for `bytes` of batches.
    pub(super) fn ensure(&mut self, last: u64, bytes: u64) -> Result<()> {
        if let Some(thread) = self.under_way.take() {
            // What it could not do for want of space is tried again below.
            match thread.join() {
                Ok(Ok(segment)) => self.ready = Some(segment),
                Ok(Err(error)) => tracing::debug!(%error, "a log segment could not be prepared"),
                Err(_) => tracing::warn!("preparing a log segment was cut short"),
            }
        }
        if self.ready.as_ref().is_some_and(|segment| segment.room() >= bytes) {
            return Ok(());
        }
        if let Some(small) = self.ready.take() {
            // It never held a batch, and a larger one takes its number.
            self.layer
                .remove(&small.path)
                .map_err(|e| StorageError::io("remove", &small.path, e))?;
        }
        let needed = (bytes + SEGMENT_HEADER_BYTES as u64).next_multiple_of(4096).max(self.segment_bytes);
        self.ready = Some(self.job(last + 1, needed)()?);
        Ok(())
    }

    /// Takes the segment that [`Preparer::ensure`] made ready.
    pub(super) fn take(&mut self) -> Option<Segment> {
        self.ready.take()
    }

    /// Keeps a truncated segment's file for a new one, or removes it.
    pub(super) fn retire(&mut self, segment: &Segment) -> Result<()> {
        let idle = self.under_way.is_none() && !self.recycled;
        if idle && segment.bytes == self.segment_bytes {
            let to = self.dir.join(RECYCLED);
            self.layer
                .rename(&segment.path, &to)
                .map_err(|e| StorageError::io("rename", &segment.path, e))?;
            self.recycled = true;
            return Ok(());
        }
        self.layer
            .remove(&segment.path)
            .map_err(|e| StorageError::io("remove", &segment.path, e))
    }

    fn job(&mut self, number: u64, bytes: u64) -> impl FnOnce() -> Result<Segment> + Send + 'static {
        let (layer, dir) = (self.layer.clone(), self.dir.clone());
        let recycle = self.recycled && bytes == self.segment_bytes;
        if recycle {
            self.recycled = false;
        }
        move || prepare(&*layer, &dir, number, bytes, recycle)
    }
}

impl Drop for Preparer {
    fn drop(&mut self) {
        if let Some(thread) = self.under_way.take() {
            // Whatever became of it, the next start finds out.
            let _ = thread.join();
        }
    }
}

/// Makes a segment under another name, and gives it its own only when its header is durable.
fn prepare(layer: &dyn FileLayer, dir: &Path, number: u64, bytes: u64, recycle: bool) -> Result<Segment> {
    let preparing = dir.join(PREPARING);
    if recycle {
        let from = dir.join(RECYCLED);
        layer.rename(&from, &preparing).map_err(|e| StorageError::io("rename", &from, e))?;
        // The old name must be gone for good before the old header is overwritten.
        layer.sync_dir(dir).map_err(|e| StorageError::io("sync", dir, e))?;
    } else if layer
        .list(dir)
        .map_err(|e| StorageError::io("list", dir, e))?
        .iter()
        .any(|name| name == PREPARING)
    {
        layer.remove(&preparing).map_err(|e| StorageError::io("remove", &preparing, e))?;
    }
    let mode = if recycle { OpenMode::Existing } else { OpenMode::Create };
    let file = layer
        .open(&preparing, mode)
        .map_err(|e| StorageError::io("create", &preparing, e))?;
    if !recycle && let Err(error) = file.allocate(bytes) {
        let error = StorageError::io("allocate", &preparing, error);
        // Give back what was allocated, so that others can use it while this is retried.
        if let Err(error) = layer.remove(&preparing) {
            tracing::warn!(%error, "an unfinished log segment could not be removed");
        }
        return Err(error);
    }
    file.write_at(&SegmentHeader { number, bytes }.encode(), 0)
        .map_err(|e| StorageError::io("write", &preparing, e))?;
    file.sync_data().map_err(|e| StorageError::io("sync", &preparing, e))?;
    let path = path_of(dir, number);
    layer
        .rename(&preparing, &path)
        .map_err(|e| StorageError::io("rename", &preparing, e))?;
    layer.sync_dir(dir).map_err(|e| StorageError::io("sync", dir, e))?;
    Ok(Segment::new(number, path, file, bytes))
}
