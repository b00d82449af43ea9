//! A fragment's payload: the writes of one transaction to the storages of one worker group.
//!
//! The protocol carries it as opaque bytes, in a fragment record or cut into stage records (each piece is a whole payload
//! of its own, so that apply never holds more than one piece).
//!
//! ```text
//! payload   u8 version = 1, then operations up to the end
//! put       u8 1, u32 storage, u32 key bytes, u32 row bytes, key, row
//! delete    u8 2, u32 storage, u32 key bytes, key
//! drop      u8 3, u32 storage          every row of the storage, once no snapshot can read them
//! ```
//!
//! Integers are little-endian. Operations on one key keep their order; a transaction writes each key once, its last
//! write. A row is empty or begins with a byte other than zero: zero alone is how the state store marks a deletion.

use crate::error::{Result, StorageError};

/// The version that this code writes, and the only one that it reads.
pub const VERSION: u8 = 1;

/// The longest key that a row or index entry may have, in bytes, as encoded.
pub const MAX_KEY_BYTES: usize = 64 * 1024;

/// One write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation<'a> {
    /// Inserts or replaces a row.
    Put {
        /// Where.
        storage: u32,
        /// Its key, as [`crate::key`] encodes it.
        key: &'a [u8],
        /// The row, as [`crate::row`] encodes it; empty for index entries without included columns.
        row: &'a [u8],
    },
    /// Deletes a row.
    Delete {
        /// Where.
        storage: u32,
        /// Its key.
        key: &'a [u8],
    },
    /// Gives up a whole storage; see [`crate::state::StateStore::collect_garbage`].
    DropStorage {
        /// Which.
        storage: u32,
    },
}

impl Operation<'_> {
    /// Where it writes.
    pub fn storage(&self) -> u32 {
        match self {
            Operation::Put { storage, .. } | Operation::Delete { storage, .. } | Operation::DropStorage { storage } => *storage,
        }
    }
}

/// Collects operations into a payload.
#[derive(Clone, Debug)]
pub struct FragmentWriter {
    bytes: Vec<u8>,
    operations: usize,
}

impl Default for FragmentWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl FragmentWriter {
    /// An empty payload.
    pub fn new() -> FragmentWriter {
        FragmentWriter {
            bytes: vec![VERSION],
            operations: 0,
        }
    }

    /// Inserts or replaces a row.
    ///
    /// # Errors
    /// [`StorageError::Limit`] when the key is longer than [`MAX_KEY_BYTES`]; [`StorageError::Value`] when the row begins with a
    /// zero byte.
    pub fn put(&mut self, storage: u32, key: &[u8], row: &[u8]) -> Result<()> {
        check_key(key)?;
        if row.first() == Some(&0) {
            return Err(StorageError::Value("a stored row cannot begin with a zero byte".into()));
        }
        let row_bytes = u32::try_from(row.len()).map_err(|_| StorageError::Limit("a row is limited to 4 GB".into()))?;
        self.bytes.push(1);
        self.bytes.extend_from_slice(&storage.to_le_bytes());
        self.bytes.extend_from_slice(&(key.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(&row_bytes.to_le_bytes());
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(row);
        self.operations += 1;
        Ok(())
    }

    /// Deletes a row.
    ///
    /// # Errors
    /// [`StorageError::Limit`] when the key is longer than [`MAX_KEY_BYTES`].
    pub fn delete(&mut self, storage: u32, key: &[u8]) -> Result<()> {
        check_key(key)?;
        self.bytes.push(2);
        self.bytes.extend_from_slice(&storage.to_le_bytes());
        self.bytes.extend_from_slice(&(key.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(key);
        self.operations += 1;
        Ok(())
    }

    /// Gives up a whole storage.
    pub fn drop_storage(&mut self, storage: u32) {
        self.bytes.push(3);
        self.bytes.extend_from_slice(&storage.to_le_bytes());
        self.operations += 1;
    }

    /// Bytes so far: compare with the limit above which a write set is staged.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it has no operation.
    pub fn is_empty(&self) -> bool {
        self.operations == 0
    }

    /// Operations so far.
    pub fn operations(&self) -> usize {
        self.operations
    }

    /// The payload.
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

fn check_key(key: &[u8]) -> Result<()> {
    if key.len() > MAX_KEY_BYTES {
        return Err(StorageError::Limit(format!(
            "a key of {} bytes exceeds the limit of {MAX_KEY_BYTES}",
            key.len()
        )));
    }
    Ok(())
}

/// Reads a payload's operations; borrows from it.
#[derive(Clone, Debug)]
pub struct FragmentReader<'a> {
    rest: &'a [u8],
}

impl<'a> FragmentReader<'a> {
    /// Starts reading.
    ///
    /// # Errors
    /// [`StorageError::Format`] when the payload is empty or of an unknown version.
    pub fn new(payload: &'a [u8]) -> Result<FragmentReader<'a>> {
        match payload.split_first() {
            Some((&VERSION, rest)) => Ok(FragmentReader { rest }),
            Some(_) => Err(malformed("unknown version")),
            None => Err(malformed("empty")),
        }
    }

    fn u32(&mut self) -> Result<u32> {
        let (value, rest) = self.rest.split_first_chunk().ok_or(malformed("ends too early"))?;
        self.rest = rest;
        Ok(u32::from_le_bytes(*value))
    }

    fn bytes(&mut self, len: u32) -> Result<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(len as usize).ok_or(malformed("ends too early"))?;
        self.rest = rest;
        Ok(bytes)
    }

    fn operation(&mut self, tag: u8) -> Result<Operation<'a>> {
        let storage = self.u32()?;
        match tag {
            1 => {
                let (key_bytes, row_bytes) = (self.u32()?, self.u32()?);
                let (key, row) = (self.key(key_bytes)?, self.bytes(row_bytes)?);
                if row.first() == Some(&0) {
                    return Err(malformed("a row begins with a zero byte"));
                }
                Ok(Operation::Put { storage, key, row })
            }
            2 => {
                let key_bytes = self.u32()?;
                Ok(Operation::Delete {
                    storage,
                    key: self.key(key_bytes)?,
                })
            }
            3 => Ok(Operation::DropStorage { storage }),
            _ => Err(malformed("unknown operation")),
        }
    }

    fn key(&mut self, len: u32) -> Result<&'a [u8]> {
        if len as usize > MAX_KEY_BYTES {
            return Err(malformed("a key is too long"));
        }
        self.bytes(len)
    }
}

impl<'a> Iterator for FragmentReader<'a> {
    type Item = Result<Operation<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        let (&tag, rest) = self.rest.split_first()?;
        self.rest = rest;
        let operation = self.operation(tag);
        if operation.is_err() {
            self.rest = &[]; // nothing after a bad operation has a known place
        }
        Some(operation)
    }
}

fn malformed(detail: &'static str) -> StorageError {
    StorageError::format("fragment", detail)
}
