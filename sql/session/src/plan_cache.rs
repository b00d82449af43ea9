//! Plans by text, shared by all sessions.
//!
//! A plan is good for one text, one catalog version, one set of declared parameter types and one [environment](crate::environment): the
//! settings that binding depends on. A new catalog version drops plans one by one as they are asked for, and all of them when the cache is
//! full of old ones. A plan is kept when its text is planned for the second time: what a client asks once, it may never ask again.

use crate::planning::Planned;
use curia_parse::Parsed;
use hashbrown::HashMap;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

/// A cached statement with its plan.
#[derive(Clone)]
pub struct Cached {
    /// Its text.
    pub text: Arc<str>,
    /// The statement, for its command tag and for planning it again.
    pub parsed: Arc<Parsed>,
    /// Declared parameter types; `None` where parameters may not occur.
    pub types: Option<Arc<[u32]>>,
    /// Its plan.
    pub planned: Arc<Planned>,
}

#[derive(PartialEq, Eq, Hash)]
struct Key {
    text: Box<str>,
    environment: Arc<str>,
    types: Box<[u32]>,
}

#[derive(Hash)]
struct KeyRef<'a> {
    text: &'a str,
    environment: &'a str,
    types: &'a [u32],
}

impl hashbrown::Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, k: &Key) -> bool {
        *self.text == *k.text && *self.environment == *k.environment && *self.types == *k.types
    }
}

/// Longest text that is kept.
const TEXT_LIMIT: usize = 64 << 10;

/// A bounded map of plans.
pub struct PlanCache {
    plans: Mutex<HashMap<Key, Cached>>,
    /// Hashes of keys that were planned once.
    once: Mutex<HashSet<u64>>,
    hasher: RandomState,
    limit: usize,
}

/// Texts planned once that are remembered for each plan that is kept; at the limit all are forgotten.
const ONCE: usize = 4;

impl PlanCache {
    /// An empty cache of at most `limit` plans.
    pub fn new(limit: usize) -> PlanCache {
        PlanCache {
            plans: Mutex::new(HashMap::new()),
            once: Mutex::default(),
            hasher: RandomState::new(),
            limit: limit.max(1),
        }
    }

    /// Finds a plan of the catalog version.
    pub fn find(&self, text: &str, environment: &str, types: &[u32], catalog_version: u64) -> Option<Cached> {
        let plans = self.plans.lock();
        let found = plans.get(&KeyRef { text, environment, types })?;
        (found.planned.catalog_version == catalog_version).then(|| found.clone())
    }

    /// Keeps a plan. Texts that a plan must not outlive are left out: they name a moment.
    pub fn keep(&self, text: &str, environment: &Arc<str>, types: &[u32], cached: Cached) {
        if text.len() > TEXT_LIMIT || names_a_moment(text) {
            return;
        }
        if !self.again(KeyRef { text, environment, types }) {
            return;
        }
        let mut plans = self.plans.lock();
        if plans.len() >= self.limit {
            let version = cached.planned.catalog_version;
            plans.retain(|_, c| c.planned.catalog_version == version);
            // All are current: room by dropping an eighth, in the map's arbitrary order.
            let mut over = (plans.len() + self.limit / 8).saturating_sub(self.limit);
            plans.retain(|_, _| {
                let keep = over == 0;
                over = over.saturating_sub(1);
                keep
            });
        }
        plans.insert(
            Key {
                text: text.into(),
                environment: environment.clone(),
                types: types.into(),
            },
            cached,
        );
    }

    /// Whether a key was planned before; it counts as that from now on.
    fn again(&self, key: KeyRef<'_>) -> bool {
        let hash = self.hasher.hash_one(key);
        let mut once = self.once.lock();
        if once.contains(&hash) {
            return true;
        }
        if once.len() >= self.limit.saturating_mul(ONCE) {
            once.clear();
        }
        once.insert(hash);
        false
    }

    /// Forgets everything (DISCARD PLANS).
    pub fn clear(&self) {
        self.plans.lock().clear();
    }
}

/// `'now'` and its kin become a constant when they are bound, so the text is planned anew each time.
fn names_a_moment(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    ["'now", "'today", "'tomorrow", "'yesterday"].iter().any(|w| lower.contains(w))
}
