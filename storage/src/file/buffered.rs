//! Real files whose writes stay in this process until they are synced.
//!
//! The operating system keeps what a killed process wrote, so killing a server says nothing about its syncs. Under this
//! layer it does: what wasn't synced was never written. Names (creation, renaming, removal) are the operating system's.

use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{FileLayer, FileLock, LayerFile, OpenMode, RealFiles};

/// Bytes a file may hold back before further unsynced writes go to the operating system after all.
const HELD_BYTES_MAX: usize = 256 << 20;

/// Real files whose writes are lost with the process unless synced.
#[derive(Clone, Copy, Debug, Default)]
pub struct BufferedUntilSync {
    real: RealFiles,
}

struct BufferedFile {
    real: Arc<dyn LayerFile>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// In the order of writing; later ones cover earlier ones.
    writes: Vec<(u64, Vec<u8>)>,
    bytes: usize,
}

impl FileLayer for BufferedUntilSync {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn LayerFile>> {
        Ok(Arc::new(BufferedFile {
            real: self.real.open(path, mode)?,
            held: Mutex::default(),
        }))
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.real.create_dir(path)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.real.list(dir)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.real.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.real.remove(path)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.real.sync_dir(dir)
    }
    fn lock(&self, path: &Path) -> io::Result<Box<dyn FileLock>> {
        self.real.lock(path)
    }
}

impl LayerFile for BufferedFile {
    fn len(&self) -> io::Result<u64> {
        let held = self.held.lock();
        let end = held
            .writes
            .iter()
            .map(|(offset, bytes)| offset + bytes.len() as u64)
            .max()
            .unwrap_or(0);
        Ok(self.real.len()?.max(end))
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.real.allocate(bytes)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut held = self.held.lock();
        if held.bytes + bytes.len() > HELD_BYTES_MAX {
            held.write_out(&*self.real)?;
        }
        held.bytes += bytes.len();
        held.writes.push((offset, bytes.to_vec()));
        Ok(())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let held = self.held.lock();
        let mut filled = self.real.read_at(buffer, offset)?;
        // Held writes beyond the real end extend the file; a hole between reads as zeros.
        let end = held.writes.iter().map(|(at, bytes)| at + bytes.len() as u64).max().unwrap_or(0);
        let wanted = usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX).min(buffer.len());
        if wanted > filled {
            buffer[filled..wanted].fill(0);
            filled = wanted;
        }
        for (at, bytes) in &held.writes {
            let (from, to) = ((*at).max(offset), (at + bytes.len() as u64).min(offset + filled as u64));
            if from < to {
                buffer[(from - offset) as usize..(to - offset) as usize].copy_from_slice(&bytes[(from - at) as usize..(to - at) as usize]);
            }
        }
        Ok(filled)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.held.lock().write_out(&*self.real)?;
        self.real.sync_data()
    }
}

impl Held {
    fn write_out(&mut self, real: &dyn LayerFile) -> io::Result<()> {
        self.bytes = 0;
        for (offset, bytes) in std::mem::take(&mut self.writes) {
            real.write_at(&bytes, offset)?;
        }
        Ok(())
    }
}
