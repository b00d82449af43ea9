//! Virtual time: what happens next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::plan::Micros;

/// Events in the order of their times; those of one time in the order in which they were added.
#[derive(Debug)]
pub struct Queue<E> {
    heap: BinaryHeap<Reverse<(Micros, u64, u32)>>,
    slots: Vec<Option<E>>,
    free: Vec<u32>,
    added: u64,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self {
            heap: BinaryHeap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            added: 0,
        }
    }
}

impl<E> Queue<E> {
    /// Adds an event.
    pub fn add(&mut self, time: Micros, event: E) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() as u32 - 1
        });
        self.slots[slot as usize] = Some(event);
        self.added += 1;
        self.heap.push(Reverse((time, self.added, slot)));
    }

    /// Takes the next one.
    pub fn next(&mut self) -> Option<(Micros, E)> {
        let Reverse((time, _, slot)) = self.heap.pop()?;
        self.free.push(slot);
        self.slots[slot as usize].take().map(|event| (time, event))
    }
}
