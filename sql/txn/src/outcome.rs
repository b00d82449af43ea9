//! Whether a transaction has committed, by its number (`txid_status`): for a client whose connection broke, or whose consul was lost, while its
//! COMMIT was under way.
//!
//! ```text
//!   BEGIN; SELECT txid_current()  ──► 4711        the number is drawn, and told
//!   ...; COMMIT                   ──► (silence)   the row of 4711 is among what the transaction writes
//!   SELECT txid_status(4711)      ──► committed   the row is there: at any later consul too
//! ```
//!
//! A transaction whose number nobody asked for writes no row. A number without a row is of a transaction that runs, or of one that will never
//! commit: a consul serves only when everything that survived of earlier terms is applied, and no number is given twice, since each term
//! begins beyond all that an earlier one can have given ([`TERM_GAP`]).
//!
//! ```text
//! key "n", u64 number (big-endian)   value u8 1, u64 CSN that was applied when it was handed over (little-endian)
//! key "low"                          value u8 1, u64 the lowest number whose row would still be there
//! ```

use crate::counter::{BLOCKS_UNDER_WAY, unreadable};
use crate::database::Database;
use curia_catalog::StorageId;
use curia_consensus::ids::Csn;
use curia_storage::fragment::FragmentWriter;
use curia_storage::state::{Direction, KeyRange};
use curia_types::{Result, SqlError, SqlState};

/// The rows.
const OUTCOMES: StorageId = StorageId(4);
/// Transaction numbers are reserved in blocks of this.
pub(crate) const TXIDS: u64 = 1 << 16;
/// What one term can have given beyond what is stored.
pub(crate) const TERM_GAP: u64 = TXIDS * (BLOCKS_UNDER_WAY + 1);
/// The first number that a transaction gets.
pub(crate) const FIRST: u64 = 1_000;
/// Outcomes are kept for so many commits.
const KEPT: u64 = 1_000_000;
/// Most rows that are removed at once.
const REMOVED: usize = 10_000;

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has committed.
    Committed,
    /// It has not, and never will.
    Aborted,
    /// It may still.
    InProgress,
}

impl Outcome {
    /// As `txid_status` says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Committed => "committed",
            Outcome::Aborted => "aborted",
            Outcome::InProgress => "in progress",
        }
    }
}

fn key(txid: u64) -> Vec<u8> {
    [b"n".as_slice(), &txid.to_be_bytes()].concat()
}

fn number(row: &[u8]) -> Option<u64> {
    match row {
        [1, n @ ..] => n.try_into().ok().map(u64::from_le_bytes),
        _ => None,
    }
}

fn row(number: u64) -> Vec<u8> {
    [&[1], number.to_le_bytes().as_slice()].concat()
}

/// Writes the row of a transaction that is about to commit.
pub(crate) fn record(writer: &mut FragmentWriter, txid: u64, applied: Csn) -> Result<()> {
    Ok(writer.put(OUTCOMES.0, &key(txid), &row(applied.0))?)
}

impl Database {
    /// What became of a transaction; `None` when that is long ago.
    ///
    /// # Errors
    /// 22023 for a number that was not given yet, 57P03 where this server is not the consul.
    pub fn outcome(&self, txid: u64) -> Result<Option<Outcome>> {
        if !self.serves() {
            return Err(self.replication.refusal());
        }
        // In this order: what is neither running nor under way now has committed before, or never will.
        let runs = self
            .snapshots
            .slots()
            .iter()
            .any(|slot| slot.transaction().is_some() && slot.assigned_txid() == Some(txid));
        let undecided = runs || self.undecided.lock().contains(&txid);
        let (state, applied) = (self.replication.state(), self.replication.applied());
        let read = |key: &[u8]| match state.read(OUTCOMES.0, key, applied, number)? {
            Some(None) => Err(unreadable(key)),
            found => Ok(found.flatten()),
        };
        if read(&key(txid))?.is_some() {
            return Ok(Some(Outcome::Committed));
        }
        if undecided {
            return Ok(Some(Outcome::InProgress));
        }
        if txid >= self.tenure.load().txids.next() {
            return Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("transaction ID {txid} is in the future"),
            ));
        }
        // PostgreSQL's numbers of the rows that are there from the beginning.
        if matches!(txid, 1 | 2) {
            return Ok(Some(Outcome::Committed));
        }
        let low = read(b"low")?.unwrap_or(FIRST);
        Ok((txid >= low).then_some(Outcome::Aborted))
    }

    /// Removes rows of long ago; whether there may be more of them.
    pub(crate) async fn forget_outcomes(&self) -> Result<bool> {
        if !self.serves() {
            return Ok(false);
        }
        let (mut writer, mut gone, mut low) = (FragmentWriter::new(), 0, 0);
        {
            let applied = self.replication.applied();
            let mut scan = self
                .replication
                .state()
                .scan(OUTCOMES.0, &KeyRange::prefix(b"n"), applied, Direction::Forward);
            while let Some((key, row)) = scan.next()? {
                let old = number(row).is_none_or(|of| of + KEPT < applied.0);
                let Some(txid) = key.get(1..).and_then(|n| n.try_into().ok()).map(u64::from_be_bytes) else {
                    break;
                };
                if !old || gone == REMOVED {
                    break;
                }
                writer.delete(OUTCOMES.0, key)?;
                (gone, low) = (gone + 1, txid + 1);
            }
        }
        if gone == 0 {
            return Ok(false);
        }
        writer.put(OUTCOMES.0, b"low", &row(low))?;
        self.commit_housekeeping(writer).await?;
        Ok(gone == REMOVED)
    }
}
