//! Hidden row ids: the row keys of tables without a primary key. An int8, big-endian with its sign bit flipped, drawn per storage.

use curia_types::{Result, SqlError, SqlState};

/// A hidden row id as row key.
pub(crate) fn encode_row_id(id: i64) -> [u8; 8] {
    ((id as u64) ^ (1 << 63)).to_be_bytes()
}

/// Reads a hidden row id.
pub(crate) fn decode_row_id(key: &[u8]) -> Result<i64> {
    match key.try_into() {
        Ok(bytes) => Ok((u64::from_be_bytes(bytes) ^ (1 << 63)) as i64),
        Err(_) => Err(SqlError::new(SqlState::DATA_CORRUPTED, "unreadable hidden row id")),
    }
}
