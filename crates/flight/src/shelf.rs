//! Things that clients hold by handle between requests: transactions and prepared statements.
//!
//! Flight has no connections, so nobody tells us that a client is gone. A shelf therefore has a limit and an idle time;
//! what is dropped from it ends by itself (a transaction rolls back).

use bytes::Bytes;
use curia_types::{SqlError, SqlState};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

struct Item<T> {
    thing: Arc<T>,
    used: Instant,
}

/// A bounded set of things by unguessable handle.
pub struct Shelf<T> {
    what: &'static str,
    limit: usize,
    idle: Duration,
    items: Mutex<HashMap<Bytes, Item<T>>>,
}

impl<T> Shelf<T> {
    /// An empty shelf for `limit` things, each dropped after `idle` without use. `what` names them in errors.
    pub fn new(what: &'static str, limit: usize, idle: Duration) -> Shelf<T> {
        Shelf {
            what,
            limit,
            idle,
            items: Mutex::new(HashMap::new()),
        }
    }

    /// Puts a thing there and returns its handle.
    ///
    /// # Errors
    /// 53400 when the shelf is full of things in use.
    pub fn put(&self, thing: Arc<T>) -> Result<Bytes, SqlError> {
        // From a cryptographic generator: whoever guesses a handle can use what it stands for.
        let handle = Bytes::copy_from_slice(&rand::random::<[u8; 16]>());
        let mut expired = Vec::new();
        let mut items = self.items.lock();
        if items.len() >= self.limit {
            let now = Instant::now();
            let old: Vec<Bytes> = items
                .iter()
                .filter(|(_, item)| now.duration_since(item.used) > self.idle)
                .map(|(handle, _)| handle.clone())
                .collect();
            expired.extend(old.iter().filter_map(|handle| items.remove(handle)));
        }
        let full = items.len() >= self.limit;
        if !full {
            items.insert(
                handle.clone(),
                Item {
                    thing,
                    used: Instant::now(),
                },
            );
        }
        drop(items); // before what expired ends, which takes time
        drop(expired);
        if full {
            return Err(SqlError::new(
                SqlState::CONFIGURATION_LIMIT_EXCEEDED,
                format!("too many {}s are open", self.what),
            ));
        }
        Ok(handle)
    }

    /// The thing behind a handle.
    ///
    /// # Errors
    /// 26000 when there is none (any more).
    pub fn get(&self, handle: &[u8]) -> Result<Arc<T>, SqlError> {
        let mut items = self.items.lock();
        let item = items.get_mut(handle).ok_or_else(|| self.unknown())?;
        item.used = Instant::now();
        Ok(Arc::clone(&item.thing))
    }

    /// Takes the thing away.
    ///
    /// # Errors
    /// 26000 when there is none (any more).
    pub fn take(&self, handle: &[u8]) -> Result<Arc<T>, SqlError> {
        self.items
            .lock()
            .remove(handle)
            .map(|item| item.thing)
            .ok_or_else(|| self.unknown())
    }

    /// Drops what has been idle too long.
    pub fn sweep(&self) {
        let now = Instant::now();
        let mut expired = Vec::new();
        self.items.lock().retain(|_, item| {
            let keep = now.duration_since(item.used) <= self.idle || Arc::strong_count(&item.thing) > 1;
            if !keep {
                expired.push(Arc::clone(&item.thing));
            }
            keep
        });
        if !expired.is_empty() {
            tracing::info!(count = expired.len(), "dropped idle {}s", self.what);
        }
    }

    fn unknown(&self) -> SqlError {
        SqlError::new(
            SqlState::INVALID_SQL_STATEMENT_NAME,
            format!("this {} does not exist or has expired", self.what),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_shelf_refuses_until_something_expires() {
        let shelf = Shelf::new("thing", 1, Duration::from_millis(1));
        let first = shelf.put(Arc::new(1)).unwrap();
        assert_eq!(*shelf.get(&first).unwrap(), 1);
        assert_eq!(shelf.put(Arc::new(2)).unwrap_err().code(), SqlState::CONFIGURATION_LIMIT_EXCEEDED);
        while shelf.items.lock().values().any(|item| item.used.elapsed() <= shelf.idle) {}
        let second = shelf.put(Arc::new(2)).unwrap();
        assert!(shelf.get(&first).is_err());
        assert_eq!(*shelf.take(&second).unwrap(), 2);
        assert!(shelf.take(&second).is_err());
    }
}
