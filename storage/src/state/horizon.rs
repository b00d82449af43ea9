//! The horizon on disk: below it nothing can be read, after a restart too.
//!
//! ```text
//! DIR/state/horizon     u64 CSN | u32 CRC-32C of it         little-endian; replaced by rename, durable before the horizon is in force
//! ```
//!
//! It stands beside RocksDB and not in it: compactions drop versions on disk at once, while what is written to memory tables may be lost.
//! Where there is no such file although there is data, nobody knows what was collected: everything that is there counts as collected up
//! to its applied CSN.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::sync::atomic::Ordering;

use curia_consensus::ids::Csn;

use super::StateStore;
use super::install::sync_folder;
use crate::error::{Result, StorageError};

impl StateStore {
    /// Raises the horizon, durably; it never goes back. Tells where it is.
    pub(super) fn raise_horizon(&self, horizon: Csn) -> Result<Csn> {
        if horizon > self.horizon() {
            self.write_horizon(horizon)?;
            self.horizon.fetch_max(horizon.0, Ordering::AcqRel);
        }
        Ok(self.horizon())
    }

    fn write_horizon(&self, horizon: Csn) -> Result<()> {
        let bytes = horizon.0.to_le_bytes();
        let path = self.path.join("horizon");
        let next = self.path.join("horizon.next");
        let written = File::create(&next).and_then(|mut file| {
            file.write_all(&[&bytes[..], &crc32c::crc32c(&bytes).to_le_bytes()].concat())?;
            file.sync_all()
        });
        written
            .and_then(|()| fs::rename(&next, &path))
            .map_err(|e| StorageError::io("write", &path, e))?;
        sync_folder(&self.path)
    }

    /// Reads it at a start.
    pub(super) fn load_horizon(&self) -> Result<()> {
        let path = self.path.join("horizon");
        let stored = match fs::read(&path) {
            Ok(bytes) => match (bytes.first_chunk::<8>(), bytes.get(8..)) {
                (Some(csn), Some(crc)) if crc == crc32c::crc32c(csn).to_le_bytes() => Some(u64::from_le_bytes(*csn)),
                _ => None,
            },
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(StorageError::io("read", &path, error)),
        };
        let horizon = match stored {
            Some(horizon) => horizon,
            None => {
                let (applied, _) = self.applied_csn()?;
                self.write_horizon(applied)?;
                applied.0
            }
        };
        self.horizon.fetch_max(horizon, Ordering::AcqRel);
        Ok(())
    }
}
