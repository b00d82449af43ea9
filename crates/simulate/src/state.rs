//! The replicated state: registers, bank accounts and lists, in groups, with the idempotency keys of what was applied.
//!
//! Each group keeps a digest of its contents, moved along with every change, so that servers can be compared at every
//! CSN at no cost.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use curia_consensus::{AppliedState, Csn, GroupId};

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
    /// Of the contents, whatever the order in which they came to be.
    pub digest: u64,
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

impl GroupState {
    /// A cell's contents; a cell that nobody wrote is zero and empty.
    pub fn cell(&self, cell: u16) -> Cell {
        self.cells.get(&cell).copied().unwrap_or_default()
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

    /// A digest of all of it.
    pub fn digest(&self) -> u64 {
        let groups = self.groups.iter().filter(|(_, state)| state.digest != 0);
        groups.fold(mix(0, self.applied.csn.0), |hash, (group, state)| {
            mix(mix(hash, u64::from(group.0)), state.digest)
        })
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
