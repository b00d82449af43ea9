//! [`Database::tend`]: what goes on in the background.

use crate::database::Database;
use std::sync::Arc;
use std::time::Duration;

impl Database {
    /// Finishes commits whose sessions went away, and every `interval` collects garbage as far as snapshots and retention allow, piece by
    /// piece on a blocking thread. Runs until dropped, on any runtime with time; the server keeps exactly one.
    pub async fn tend(self: Arc<Self>, interval: Duration) {
        tokio::join!(self.finish_orphans(), self.collect_now_and_then(interval));
    }

    async fn collect_now_and_then(self: &Arc<Self>, interval: Duration) {
        loop {
            tokio::time::sleep(interval).await;
            while self.forget_outcomes().await.unwrap_or_else(|error| {
                tracing::warn!(%error, "could not forget old outcomes of transactions");
                false
            }) {}
            while self.forget_keys().await.unwrap_or_else(|error| {
                tracing::warn!(%error, "could not forget old idempotency keys");
                false
            }) {}
            loop {
                let db = self.clone();
                match tokio::task::spawn_blocking(move || db.collect_garbage()).await {
                    Ok(Ok(collected)) if collected.more => tokio::task::yield_now().await,
                    Ok(Ok(_)) => break,
                    Ok(Err(error)) => {
                        // The next turn tries again; until then the garbage only takes room.
                        tracing::warn!(%error, "garbage collection failed");
                        break;
                    }
                    Err(error) => {
                        tracing::error!(%error, "garbage collection ended");
                        return;
                    }
                }
            }
        }
    }
}
