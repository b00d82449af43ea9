//! The threads that sessions live on: one current-thread runtime per core, each session pinned to one.
//!
//! A session's futures are not `Send`, so work is handed over as a closure that makes the future on its core.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::mpsc;
use tokio::task::LocalSet;

type Job = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()>>> + Send>;

/// Most hand-overs waiting for one core; beyond it the caller waits.
const QUEUE: usize = 256;
/// Stack of a session thread: room for binding and planning statements of the depth that is accepted inline, for definitions' expressions
/// and for dropping the deepest syntax tree. Memory is used only as far as it is touched.
const STACK_BYTES: usize = 256 << 20;
/// Depth of statements that session threads parse, bind and plan on their own stack. A hand-over to another thread would cost more than
/// the work itself; a few statements of this depth may stand on each other (views, functions) before the stack is at its end.
const INLINE_DEPTH: u32 = 250;

/// One session's place on a core, given back even when its future panics (tokio keeps the panic from the others).
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Core {
    jobs: mpsc::Sender<Job>,
    load: Arc<AtomicUsize>,
}

/// The session threads. They end when the last clone is dropped and their sessions have ended.
#[derive(Clone)]
pub struct Cores(Arc<Vec<Core>>);

impl Cores {
    /// Starts `count` threads (at least one).
    ///
    /// # Errors
    /// When a thread or its runtime cannot be made.
    pub fn start(count: usize) -> std::io::Result<Cores> {
        let mut cores = Vec::new();
        for n in 0..count.max(1) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE);
            let load = Arc::new(AtomicUsize::new(0));
            let running = load.clone();
            std::thread::Builder::new()
                .name(format!("session-{n}"))
                .stack_size(STACK_BYTES)
                .spawn(move || {
                    curia_parse::holds_depth(INLINE_DEPTH);
                    let local = LocalSet::new();
                    local.block_on(&runtime, async move {
                        while let Some(job) = queue.recv().await {
                            let place = Place(running.clone());
                            tokio::task::spawn_local(async move {
                                job().await;
                                drop(place);
                            });
                        }
                    });
                    // The senders are gone: the sessions that are left run to their end.
                    runtime.block_on(local);
                })?;
            cores.push(Core { jobs, load });
        }
        Ok(Cores(Arc::new(cores)))
    }

    /// Runs `job`'s future on the core with the fewest.
    pub async fn spawn<F: Future<Output = ()> + 'static>(&self, job: impl FnOnce() -> F + Send + 'static) {
        let Some(core) = self.0.iter().min_by_key(|c| c.load.load(Ordering::Relaxed)) else {
            return;
        };
        core.load.fetch_add(1, Ordering::Relaxed);
        let job: Job = Box::new(move || Box::pin(job()));
        if core.jobs.send(job).await.is_err() {
            // The thread is gone, with the process or by a panic that ended it; the work is dropped like a broken connection.
            core.load.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_spread_over_the_cores() {
        let cores = Cores::start(2).unwrap();
        let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
        rt.block_on(async {
            let (tx, mut rx) = mpsc::channel(2);
            let barrier = Arc::new(tokio::sync::Barrier::new(2));
            for _ in 0..2 {
                let (tx, barrier) = (tx.clone(), barrier.clone());
                cores
                    .spawn(move || async move {
                        barrier.wait().await;
                        let _ = tx.send(std::thread::current().id()).await;
                    })
                    .await;
            }
            assert_ne!(rx.recv().await, rx.recv().await);
        });
    }
}
