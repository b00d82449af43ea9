//! Lock modes and what conflicts with what (<https://www.postgresql.org/docs/15/explicit-locking.html>).

/// Row lock strength, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LockStrength {
    /// FOR KEY SHARE: the key columns must stay. Foreign-key checks take it.
    KeyShare,
    /// FOR SHARE.
    Share,
    /// FOR NO KEY UPDATE; UPDATE that leaves every unique column alone.
    NoKeyUpdate,
    /// FOR UPDATE; DELETE; UPDATE of a unique column.
    Update,
}

/// What a lock request does when it would have to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockWait {
    /// Waits, at most `lock_timeout` (55P03), and unless that would close a cycle (40P01).
    Block,
    /// Fails at once with 55P03.
    NoWait,
    /// Gives up at once; the row is left out.
    SkipLocked,
}

/// Table lock modes, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // PostgreSQL's own words
pub enum TableLock {
    AccessShare,
    RowShare,
    RowExclusive,
    ShareUpdateExclusive,
    Share,
    ShareRowExclusive,
    Exclusive,
    AccessExclusive,
}

impl TableLock {
    /// Every mode, weakest first.
    pub const ALL: [TableLock; 8] = [
        TableLock::AccessShare,
        TableLock::RowShare,
        TableLock::RowExclusive,
        TableLock::ShareUpdateExclusive,
        TableLock::Share,
        TableLock::ShareRowExclusive,
        TableLock::Exclusive,
        TableLock::AccessExclusive,
    ];

    /// The mode's name in messages and `pg_locks`.
    pub fn name(self) -> &'static str {
        match self {
            TableLock::AccessShare => "AccessShareLock",
            TableLock::RowShare => "RowShareLock",
            TableLock::RowExclusive => "RowExclusiveLock",
            TableLock::ShareUpdateExclusive => "ShareUpdateExclusiveLock",
            TableLock::Share => "ShareLock",
            TableLock::ShareRowExclusive => "ShareRowExclusiveLock",
            TableLock::Exclusive => "ExclusiveLock",
            TableLock::AccessExclusive => "AccessExclusiveLock",
        }
    }

    /// Modes that never conflict with one another, so that a transaction can note them in its own slot (`slot`).
    pub(crate) fn is_weak(self) -> bool {
        self <= TableLock::RowExclusive
    }

    pub(crate) fn bit(self) -> u8 {
        1 << self as u8
    }

    /// Modes that conflict with this one, as bits.
    pub(crate) fn conflicts(self) -> u8 {
        const ACCESS_SHARE: u8 = 1;
        const ROW_EXCLUSIVE: u8 = 4;
        const SHARE_UPDATE_EXCLUSIVE: u8 = 8;
        const SHARE: u8 = 16;
        const SHARE_ROW_EXCLUSIVE: u8 = 32;
        const EXCLUSIVE: u8 = 64;
        const ACCESS_EXCLUSIVE: u8 = 128;
        match self {
            TableLock::AccessShare => ACCESS_EXCLUSIVE,
            TableLock::RowShare => EXCLUSIVE | ACCESS_EXCLUSIVE,
            TableLock::RowExclusive => SHARE | SHARE_ROW_EXCLUSIVE | EXCLUSIVE | ACCESS_EXCLUSIVE,
            TableLock::ShareUpdateExclusive => SHARE_UPDATE_EXCLUSIVE | SHARE | SHARE_ROW_EXCLUSIVE | EXCLUSIVE | ACCESS_EXCLUSIVE,
            TableLock::Share => ROW_EXCLUSIVE | SHARE_UPDATE_EXCLUSIVE | SHARE_ROW_EXCLUSIVE | EXCLUSIVE | ACCESS_EXCLUSIVE,
            TableLock::ShareRowExclusive => {
                ROW_EXCLUSIVE | SHARE_UPDATE_EXCLUSIVE | SHARE | SHARE_ROW_EXCLUSIVE | EXCLUSIVE | ACCESS_EXCLUSIVE
            }
            TableLock::Exclusive => !ACCESS_SHARE,
            TableLock::AccessExclusive => 0xff,
        }
    }
}

impl LockStrength {
    pub(crate) fn bit(self) -> u8 {
        1 << self as u8
    }

    /// Strengths that conflict with this one, as bits.
    pub(crate) fn conflicts(self) -> u8 {
        const KEY_SHARE: u8 = 1;
        const SHARE: u8 = 2;
        const NO_KEY_UPDATE: u8 = 4;
        const UPDATE: u8 = 8;
        match self {
            LockStrength::KeyShare => UPDATE,
            LockStrength::Share => NO_KEY_UPDATE | UPDATE,
            LockStrength::NoKeyUpdate => SHARE | NO_KEY_UPDATE | UPDATE,
            LockStrength::Update => KEY_SHARE | SHARE | NO_KEY_UPDATE | UPDATE,
        }
    }
}
