//! Transactions that their clients have named with an idempotency key (`curia.idempotency_key`): a commit that is tried again happens once.
//!
//! ```text
//!   SET curia.idempotency_key = 'order 4711'
//!   INSERT ...  ──► (silence)            the key's row is among what the transaction writes: both are there, or neither is
//!   the same again, at any later consul  the row is found: nothing happens, the answer is that of the first time
//! ```
//!
//! A key belongs to the role that used it. Whoever names a transaction locks the key until its end, also when its session is gone and only its
//! commit is left: so a retry waits for the attempt before it. A consul serves when everything that survived of earlier terms is applied,
//! so what it doesn't find then has not happened and never will. Nothing about keys needs to be known below this module.
//!
//! ```text
//! storage 5, group 0; integers in keys big-endian, in values little-endian
//! key "k", u32 role, text    value u8 1, u64 CSN that was applied when it was handed over, u32 steps, each:
//!                            u64 digest of what was asked, u64 count,
//!                            u32 rows (u32::MAX: not kept), each u32 length, bytes
//! key "c", u64 that CSN, u32 role, text    value u8 1: which keys are old
//! ```

use crate::bootstrap::IDEMPOTENCY;
use crate::counter::unreadable;
use crate::database::Database;
use crate::lock::table::KEYS;
use crate::lock::{LockStrength, LockWait};
use crate::transaction::Transaction;
use curia_catalog::Oid;
use curia_consensus::ids::Csn;
use curia_storage::fragment::FragmentWriter;
use curia_storage::state::{Direction, KeyRange};
use curia_types::{Result, SqlError, SqlState};

/// Longest key, bytes.
pub const KEY_BYTES_MAX: usize = 200;
/// Most steps of one transaction with a key.
pub const STEPS_MAX: usize = 1_000;
/// About so many bytes of rows are kept for one transaction.
pub const ROW_BYTES_MAX: usize = 64 << 10;
/// Most keys that are removed at once.
const REMOVED: usize = 10_000;
/// Stands for rows that were not kept.
const NOT_KEPT: u32 = u32::MAX;
const VERSION: u8 = 1;

/// A statement of a transaction with a key that changed something, and its answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Of its text and parameters: a retry asks the same.
    pub digest: u64,
    /// The number in its tag.
    pub count: u64,
    /// The rows that it gave back, encoded by whoever runs statements; `None` when they are too many to be kept.
    pub rows: Option<Vec<Vec<u8>>>,
}

/// What is written with the transaction.
pub(crate) struct Kept {
    name: Vec<u8>,
    steps: Vec<Step>,
}

fn name_of(role: Oid, key: &str) -> Vec<u8> {
    [&role.to_be_bytes()[..], key.as_bytes()].concat()
}

fn key_of(name: &[u8]) -> Vec<u8> {
    [b"k", name].concat()
}

fn age_of(applied: Csn, name: &[u8]) -> Vec<u8> {
    [b"c", &applied.0.to_be_bytes()[..], name].concat()
}

fn encode(applied: Csn, steps: &[Step]) -> Vec<u8> {
    let mut out = vec![VERSION];
    let count = |n: usize| u32::try_from(n).unwrap_or(NOT_KEPT).to_le_bytes();
    out.extend(applied.0.to_le_bytes());
    out.extend(count(steps.len()));
    for step in steps {
        out.extend(step.digest.to_le_bytes());
        out.extend(step.count.to_le_bytes());
        let Some(rows) = &step.rows else {
            out.extend(NOT_KEPT.to_le_bytes());
            continue;
        };
        out.extend(count(rows.len()));
        for row in rows {
            out.extend(count(row.len()));
            out.extend(row);
        }
    }
    out
}

/// `None` for what is no such row.
fn decode(mut row: &[u8]) -> Option<Vec<Step>> {
    fn take<'a>(row: &mut &'a [u8], n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = row.split_at_checked(n)?;
        *row = rest;
        Some(taken)
    }
    fn word(row: &mut &[u8]) -> Option<u32> {
        take(row, 4)?.try_into().ok().map(u32::from_le_bytes)
    }
    fn long(row: &mut &[u8]) -> Option<u64> {
        take(row, 8)?.try_into().ok().map(u64::from_le_bytes)
    }
    let row = &mut row;
    if take(row, 1)? != [VERSION] {
        return None;
    }
    long(row)?;
    let mut steps = Vec::new();
    for _ in 0..word(row)? {
        let (digest, count) = (long(row)?, long(row)?);
        let rows = match word(row)? {
            NOT_KEPT => None,
            rows => {
                let mut kept = Vec::new();
                for _ in 0..rows {
                    let length = word(row)? as usize;
                    kept.push(take(row, length)?.to_vec());
                }
                Some(kept)
            }
        };
        steps.push(Step { digest, count, rows });
    }
    row.is_empty().then_some(steps)
}

/// Writes the rows of a key.
pub(crate) fn record(writer: &mut FragmentWriter, kept: &Kept, applied: Csn) -> Result<()> {
    writer.put(IDEMPOTENCY.0, &key_of(&kept.name), &encode(applied, &kept.steps))?;
    Ok(writer.put(IDEMPOTENCY.0, &age_of(applied, &kept.name), &[VERSION])?)
}

impl Transaction {
    /// Names the transaction: waits for an earlier one of this name, and tells its steps if it has committed. Once is enough, but for one that
    /// went back to a savepoint since.
    ///
    /// # Errors
    /// 22023 for a key that is too long, 40P01, 55P03.
    pub async fn claim_key(&mut self, role: Oid, key: &str) -> Result<Option<Vec<Step>>> {
        if key.len() > KEY_BYTES_MAX {
            let message = format!("an idempotency key has at most {KEY_BYTES_MAX} bytes");
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
        }
        let name = name_of(role, key);
        self.lock(KEYS, &name, LockStrength::Update.into(), LockWait::Block).await?;
        let key = key_of(&name);
        let replication = &self.db.replication;
        let found = replication.state().read(IDEMPOTENCY.0, &key, replication.applied(), decode)?;
        match found {
            Some(None) => Err(unreadable(&key)),
            found => Ok(found.flatten()),
        }
    }

    /// Has the steps written with the transaction, under the key that it claimed.
    pub fn keep_steps(&mut self, role: Oid, key: &str, steps: Vec<Step>) {
        self.kept = Some(Kept {
            name: name_of(role, key),
            steps,
        });
    }
}

impl Database {
    /// Removes keys of long ago; whether there may be more of them.
    pub(crate) async fn forget_keys(&self) -> Result<bool> {
        if !self.serves() {
            return Ok(false);
        }
        let (mut writer, mut gone) = (FragmentWriter::new(), 0);
        {
            let applied = self.replication.applied();
            let state = self.replication.state();
            let mut scan = state.scan(IDEMPOTENCY.0, &KeyRange::prefix(b"c"), applied, Direction::Forward);
            while let Some((age, _)) = scan.next()? {
                let csn = age.get(1..9).and_then(|n| n.try_into().ok()).map_or(0, u64::from_be_bytes);
                if csn.saturating_add(self.limits.idempotency_csns) >= applied.0 || gone == REMOVED {
                    break;
                }
                writer.delete(IDEMPOTENCY.0, age)?;
                writer.delete(IDEMPOTENCY.0, &key_of(age.get(9..).unwrap_or_default()))?;
                gone += 1;
            }
        }
        if gone == 0 {
            return Ok(false);
        }
        self.commit_housekeeping(writer).await?;
        Ok(gone == REMOVED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_read_as_they_were_written_and_nothing_else_is() {
        let steps = vec![
            Step {
                digest: 7,
                count: 3,
                rows: Some(vec![b"a".to_vec(), Vec::new()]),
            },
            Step {
                digest: u64::MAX,
                count: 0,
                rows: None,
            },
            Step::default(),
        ];
        let row = encode(Csn(9), &steps);
        let golden = [
            &[1, 9, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0][..],
            &[
                7, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, b'a', 0, 0, 0, 0,
            ],
            &[255; 8],
            &[0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255],
            &[0; 16],
            &[255, 255, 255, 255],
        ]
        .concat();
        assert_eq!(row, golden);
        assert_eq!(decode(&row), Some(steps));
        for end in 0..row.len() {
            assert_eq!(decode(&row[..end]), None, "{end} bytes of it");
        }
        assert_eq!(decode(&[row, vec![0]].concat()), None);
    }
}
