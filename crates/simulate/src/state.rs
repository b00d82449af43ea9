//! The replicated state: registers, bank accounts and lists, in groups, with the idempotency keys of what was applied.
//!
//! Each group keeps a digest of its contents, moved along with every change, so that servers can be compared at every
//! CSN at no cost.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use curia_consensus::{AppliedState, Base, Csn, GroupId, Key};

use crate::dice::{mix, mix_bytes};

/// What one transaction does to one cell of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// A register gets this value.
    Set(i64),
    /// An account's balance changes by this; all changes of a transaction add up to nothing.
    Add(i64),
    /// A list grows by this element.
    Push(i64),
}

/// A change of one cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which cell.
    pub cell: u16,
    /// What happens to it.
    pub deed: Deed,
}

/// One group's part of a write operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writes {
    /// The operation.
    pub operation: u64,
    /// Applied in this order.
    pub changes: Vec<Change>,
}

/// A cell: a number, or a list of which number and digest stand for the contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Cell {
    /// A register's value, an account's balance, a list's length.
    pub value: i64,
    /// Of a list's elements in their order.
    pub elements: u64,
}

/// One group's state.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct GroupState {
    cells: BTreeMap<u16, Cell>,
    /// The CSNs of applied transactions with idempotency keys whose first participant this group is.
    keys: BTreeMap<u128, Csn>,
    /// Of the contents, whatever the order in which they came to be.
    pub digest: u64,
    /// A snapshot of this CSN was installed; nothing of the group up to it is missing.
    pub installed: Csn,
}

/// A server's state.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// How far it is; stored with it.
    pub applied: AppliedState,
    /// Each group's; shared with the last durable copy until it changes.
    pub groups: BTreeMap<GroupId, Arc<GroupState>>,
}

impl Cell {
    /// The cell after a change.
    pub fn after(self, deed: Deed) -> Self {
        match deed {
            Deed::Set(value) => Self { value, ..self },
            Deed::Add(delta) => Self {
                value: self.value.wrapping_add(delta),
                ..self
            },
            Deed::Push(element) => Self {
                value: self.value + 1,
                elements: mix(self.elements, element as u64),
            },
        }
    }

    fn digest(self, cell: u16) -> u64 {
        mix(mix(mix(1, u64::from(cell)), self.value as u64), self.elements)
    }
}

fn key_digest(key: u128, csn: Csn) -> u64 {
    mix(mix(mix(2, key as u64), (key >> 64) as u64), csn.0)
}

impl GroupState {
    /// A cell's contents; a cell that nobody wrote is zero and empty.
    pub fn cell(&self, cell: u16) -> Cell {
        self.cells.get(&cell).copied().unwrap_or_default()
    }

    /// The CSN of an applied transaction with this key.
    pub fn known(&self, key: Key) -> Option<Csn> {
        self.keys.get(&key.0).copied()
    }

    /// Remembers that the transaction with this key was applied.
    pub fn remember(&mut self, key: Key, csn: Csn) {
        let before = self.keys.insert(key.0, csn);
        assert_eq!(before, None, "two transactions have the same idempotency key, {key:?}");
        self.digest = self.digest.wrapping_add(key_digest(key.0, csn));
    }

    /// The whole of it as bytes.
    pub fn snapshot(&self) -> Bytes {
        let mut bytes = Vec::new();
        bytes.extend((self.cells.len() as u64).to_le_bytes());
        for (number, cell) in &self.cells {
            bytes.extend(number.to_le_bytes());
            bytes.extend(cell.value.to_le_bytes());
            bytes.extend(cell.elements.to_le_bytes());
        }
        for (key, csn) in &self.keys {
            bytes.extend(key.to_le_bytes());
            bytes.extend(csn.0.to_le_bytes());
        }
        bytes.into()
    }

    /// Reads [`GroupState::snapshot`]'s bytes, taken at this CSN; `None` when they are something else.
    pub fn from_snapshot(bytes: &[u8], installed: Csn) -> Option<Self> {
        let (count, rest) = bytes.split_at_checked(8)?;
        let count = u64::from_le_bytes(count.try_into().ok()?) as usize;
        let (cells, keys) = rest.split_at_checked(count.checked_mul(18)?)?;
        let mut state = Self {
            installed,
            ..Self::default()
        };
        for cell in cells.chunks(18) {
            let number = u16::from_le_bytes(cell[..2].try_into().ok()?);
            let cell = Cell {
                value: i64::from_le_bytes(cell[2..10].try_into().ok()?),
                elements: u64::from_le_bytes(cell[10..].try_into().ok()?),
            };
            if cell != Cell::default() {
                state.digest = state.digest.wrapping_add(cell.digest(number));
            }
            state.cells.insert(number, cell);
        }
        for key in keys.chunks(24) {
            let csn = Csn(u64::from_le_bytes(key.get(16..24)?.try_into().ok()?));
            state.remember(Key(u128::from_le_bytes(key[..16].try_into().ok()?)), csn);
        }
        Some(state)
    }

    /// Applies a group's part of a transaction.
    pub fn apply(&mut self, writes: &Writes) {
        for change in &writes.changes {
            let cell = self.cells.entry(change.cell).or_default();
            let before = std::mem::replace(cell, cell.after(change.deed));
            let empty = if before == Cell::default() { 0 } else { before.digest(change.cell) };
            let now = if *cell == Cell::default() { 0 } else { cell.digest(change.cell) };
            self.digest = self.digest.wrapping_sub(empty).wrapping_add(now);
        }
    }
}

impl State {
    /// A group's state, for reading.
    pub fn group(&self, group: GroupId) -> Option<&GroupState> {
        self.groups.get(&group).map(|state| &**state)
    }

    /// A group's state, for writing.
    pub fn group_mut(&mut self, group: GroupId) -> &mut GroupState {
        Arc::make_mut(self.groups.entry(group).or_default())
    }

    /// A group's position, if it ever moved.
    pub fn position(&self, group: GroupId) -> Option<&Base> {
        let positions = &self.applied.positions;
        positions.iter().find(|(known, _)| *known == group).map(|(_, base)| base)
    }

    /// Moves a group's position.
    pub fn move_to(&mut self, group: GroupId, base: Base) {
        match self.applied.positions.iter_mut().find(|(known, _)| *known == group) {
            Some((_, position)) => *position = base,
            None => self.applied.positions.push((group, base)),
        }
    }

    /// How far it is.
    pub fn csn(&self) -> Csn {
        self.applied.csn
    }
}

impl Writes {
    /// The payload of the group's fragment, filled up to at least `size` bytes.
    pub fn encode(&self, size: usize) -> Bytes {
        let mut bytes = Vec::with_capacity(size.max(16 + self.changes.len() * 11));
        bytes.extend(self.operation.to_le_bytes());
        bytes.extend((self.changes.len() as u32).to_le_bytes());
        for change in &self.changes {
            let (kind, value) = match change.deed {
                Deed::Set(value) => (0u8, value),
                Deed::Add(value) => (1, value),
                Deed::Push(value) => (2, value),
            };
            bytes.extend(change.cell.to_le_bytes());
            bytes.push(kind);
            bytes.extend(value.to_le_bytes());
        }
        while bytes.len() < size {
            bytes.push(mix_bytes(self.operation, &[bytes.len() as u8]) as u8);
        }
        bytes.into()
    }

    /// Reads [`Writes::encode`]'s bytes; `None` when they are something else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let operation = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
        let count = u32::from_le_bytes(bytes.get(8..12)?.try_into().ok()?);
        let mut changes = Vec::new();
        let mut rest = bytes.get(12..)?;
        for _ in 0..count {
            let (change, after) = rest.split_at_checked(11)?;
            rest = after;
            let value = i64::from_le_bytes(change[3..].try_into().ok()?);
            let deed = match change[2] {
                0 => Deed::Set(value),
                1 => Deed::Add(value),
                2 => Deed::Push(value),
                _ => return None,
            };
            changes.push(Change {
                cell: u16::from_le_bytes([change[0], change[1]]),
                deed,
            });
        }
        Some(Self { operation, changes })
    }
}
