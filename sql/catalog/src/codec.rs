//! Catalog objects as stored bytes.
//!
//! A row's key, 7 bytes: class (u8), OID (u32 BE), sub (i16 BE with its sign bit flipped), so that a scan gives classes and OIDs in
//! order. A row's value: format version (u8, now 1), then the object as JSON with the variant's name outermost. Fields are only ever
//! added, each with a default, so that older rows stay readable; the version byte changes when that can't be kept.

use crate::change::{Class, Object, ObjectKey};
use std::fmt;

/// Format version of catalog rows.
const VERSION: u8 = 1;

/// A catalog row that can't be read: damage, or a row of a later release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError(pub String);

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unreadable catalog row: {}", self.0)
    }
}

impl std::error::Error for DecodeError {}

/// A row's key.
pub fn encode_key(key: ObjectKey) -> [u8; 7] {
    let mut out = [0; 7];
    out[0] = key.class as u8;
    out[1..5].copy_from_slice(&key.oid.to_be_bytes());
    out[5..7].copy_from_slice(&((key.sub as u16) ^ 0x8000).to_be_bytes());
    out
}

/// Reads a row's key.
pub fn decode_key(bytes: &[u8]) -> Result<ObjectKey, DecodeError> {
    let [class, a, b, c, d, e, f] = *bytes else {
        return Err(DecodeError(format!("key of {} bytes", bytes.len())));
    };
    let class = Class::from_u8(class).ok_or_else(|| DecodeError(format!("class {class}")))?;
    Ok(ObjectKey {
        class,
        oid: u32::from_be_bytes([a, b, c, d]),
        sub: (u16::from_be_bytes([e, f]) ^ 0x8000) as i16,
    })
}

/// A row's value.
pub fn encode(object: &Object) -> Result<Vec<u8>, DecodeError> {
    let mut out = vec![VERSION];
    serde_json::to_writer(&mut out, object).map_err(|e| DecodeError(e.to_string()))?;
    Ok(out)
}

/// Reads a row's value.
pub fn decode(bytes: &[u8]) -> Result<Object, DecodeError> {
    match bytes.split_first() {
        Some((&VERSION, json)) => serde_json::from_slice(json).map_err(|e| DecodeError(e.to_string())),
        Some((version, _)) => Err(DecodeError(format!("format version {version}"))),
        None => Err(DecodeError("empty value".to_owned())),
    }
}
