//! Keys of row versions.
//!
//! ```text
//! u32 storage (big-endian) | key, order-preserving and prefix-free | u64 !csn (big-endian)
//! ╰──────────────── prefix: what the bloom filters know ──────────╯
//! ```
//!
//! All versions of one row are neighbours, newest first, because the CSN is inverted. The value is the row, or one zero
//! byte for a version that is a deletion.

use curia_consensus::ids::Csn;

/// Bytes of the storage id.
pub const STORAGE_BYTES: usize = 4;
/// Bytes of the inverted CSN.
pub const CSN_BYTES: usize = 8;
/// The value of a version that is a deletion. No row begins with a zero byte.
pub const DELETED: &[u8] = &[0];

/// Writes a version's key into `out`, replacing what is there.
pub fn write(storage: u32, key: &[u8], csn: Csn, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&storage.to_be_bytes());
    out.extend_from_slice(key);
    out.extend_from_slice(&(!csn.0).to_be_bytes());
}

/// The part that all versions of a row share; all of it when it is too short to be a version's key.
pub fn prefix(version_key: &[u8]) -> &[u8] {
    if in_domain(version_key) {
        &version_key[..version_key.len() - CSN_BYTES]
    } else {
        version_key
    }
}

/// Whether this is long enough to be a version's key.
pub fn in_domain(version_key: &[u8]) -> bool {
    version_key.len() >= STORAGE_BYTES + CSN_BYTES
}

/// The shared prefix and the CSN, or `None` when it is too short to be a version's key.
pub fn split(version_key: &[u8]) -> Option<(&[u8], Csn)> {
    let (prefix, csn) = version_key.split_last_chunk::<CSN_BYTES>()?;
    (prefix.len() >= STORAGE_BYTES).then_some((prefix, Csn(!u64::from_be_bytes(*csn))))
}

/// The row's value, or `None` when the version is a deletion.
pub fn live(value: &[u8]) -> Option<&[u8]> {
    (value != DELETED).then_some(value)
}

/// The storage id at the front of a version's key or prefix.
pub fn storage(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|id| u32::from_be_bytes(*id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_key_is_storage_key_and_inverted_csn() {
        let mut bytes = Vec::new();
        write(0x0102_0304, b"key", Csn(5), &mut bytes);
        assert_eq!(bytes, b"\x01\x02\x03\x04key\xff\xff\xff\xff\xff\xff\xff\xfa");
        assert_eq!(split(&bytes), Some((&b"\x01\x02\x03\x04key"[..], Csn(5))));
    }

    #[test]
    fn newer_versions_sort_first() {
        let (mut old, mut new) = (Vec::new(), Vec::new());
        write(1, b"k", Csn(1), &mut old);
        write(1, b"k", Csn(256), &mut new);
        assert!(new < old);
    }
}
