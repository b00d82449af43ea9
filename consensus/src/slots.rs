//! Which workers have something to do, so that idle groups cost nothing.

/// A set of workers, by their place in the node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slots {
    listed: Vec<usize>,
    is_listed: Vec<bool>,
}

impl Slots {
    /// None of so many.
    pub(crate) fn none_of(workers: usize) -> Self {
        Self {
            listed: Vec::new(),
            is_listed: vec![false; workers],
        }
    }

    #[inline]
    pub(crate) fn insert(&mut self, slot: usize) {
        if !std::mem::replace(&mut self.is_listed[slot], true) {
            self.listed.push(slot);
        }
    }

    /// All of them, leaving none.
    pub(crate) fn take(&mut self) -> Vec<usize> {
        for slot in &self.listed {
            self.is_listed[*slot] = false;
        }
        std::mem::take(&mut self.listed)
    }

    /// Those for which this holds stay.
    pub(crate) fn retain(&mut self, mut stays: impl FnMut(usize) -> bool) {
        let is_listed = &mut self.is_listed;
        self.listed.retain(|slot| {
            is_listed[*slot] = stays(*slot);
            is_listed[*slot]
        });
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.listed.iter().copied()
    }

    /// The workers were numbered anew: all of so many may have something to do.
    pub(crate) fn reset(&mut self, workers: usize) {
        self.listed = (0..workers).collect();
        self.is_listed = vec![true; workers];
    }
}
