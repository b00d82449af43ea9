//! Idempotency keys of transactions that the state doesn't know yet.

use std::collections::{HashMap, VecDeque};

use crate::ids::{Csn, Key};

/// Keys by their transactions, ascending by CSN.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    csns: HashMap<Key, Csn>,
    order: VecDeque<(Csn, Key)>,
}

impl Keys {
    #[inline]
    pub(super) fn insert(&mut self, key: Option<Key>, csn: Csn) {
        if let Some(key) = key {
            self.csns.insert(key, csn);
            self.order.push_back((csn, key));
        }
    }

    pub(super) fn get(&self, key: Key) -> Option<Csn> {
        if self.order.is_empty() {
            None
        } else {
            self.csns.get(&key).copied()
        }
    }

    pub(super) fn forget_upto(&mut self, csn: Csn) {
        while let Some((csn, key)) = self.order.pop_front_if(|(at, _)| *at <= csn) {
            self.forget(csn, key);
        }
    }

    pub(super) fn forget_after(&mut self, csn: Csn) {
        while let Some((csn, key)) = self.order.pop_back_if(|(at, _)| *at > csn) {
            self.forget(csn, key);
        }
    }

    fn forget(&mut self, csn: Csn, key: Key) {
        // A later transaction may have the same key, where its proposer was not asked to wait.
        if self.csns.get(&key) == Some(&csn) {
            self.csns.remove(&key);
        }
    }
}
