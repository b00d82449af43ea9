//! Taking and leaving office: what the house does when its server becomes consul, and when another one does.
//!
//! ```text
//!   elected, cut applied ─► counters, sequences, catalog go on from the state ─► sessions are let in
//!   office lost          ─► nobody is let in; sessions go on at the next consul as soon as they are outside of a transaction
//! ```
//!
//! A session's locks, temporary tables and cursors live in the consul's memory, so no transaction outlives its consul. One of an
//! earlier time in office can't commit (40001), and whose commit was under way hears that its outcome is unknown (08007). A
//! session that keeps such things beyond its transactions ends (57P01).

use curia_consensus::ids::Term;
use curia_driver::Driver;
use curia_session::{Cause, Sessions};
use curia_txn::Database;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::house::House;
use crate::stop::StopRequest;

/// For so long a statement of an earlier time in office may go on, which can only read or fail.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How soon taking office is tried again.
const AGAIN: Duration = Duration::from_millis(100);
/// How soon it is tried again to drop what sessions left.
const SWEEP_AGAIN: Duration = Duration::from_secs(1);

/// Keeps the database and its sessions in step with the office of this server, on a thread of its own, until the server stops.
/// `term` is the one that it serves already.
pub fn start(house: &House, term: Term, stop: StopRequest) -> io::Result<JoinHandle<()>> {
    let (driver, database, sessions) = (house.driver.clone(), house.database.clone(), house.sessions.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("office".into()).spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                () = keep(driver, database, sessions, term) => {}
                () = stop.requested() => {}
            }
        });
    })
}

/// Runs until dropped, or until the driver is gone.
async fn keep(driver: Arc<Driver>, database: Arc<Database>, sessions: Arc<Sessions>, mut term: Term) {
    let mut standing = driver.standing();
    // In this term what sessions of others left was swept away.
    let mut swept = term;
    loop {
        let serving = standing.borrow_and_update().serving().unwrap_or(Term::ZERO);
        if serving != term {
            if term != Term::ZERO {
                tracing::info!(%term, "sessions move, as this server's time in office has ended");
                tokio::spawn(dismiss(Arc::clone(&sessions)));
            }
            term = serving;
        }
        if term != Term::ZERO && !database.serves() {
            match database.take_office().await {
                Ok(true) => tracing::info!(%term, "ready to serve"),
                Ok(false) => {} // the office is another's again; the next round sees it
                Err(error) => {
                    tracing::warn!(%term, %error, "could not take office");
                    tokio::time::sleep(AGAIN).await;
                    continue;
                }
            }
        }
        if swept != term && database.serves() {
            // Temporary tables of sessions that ended with another consul.
            if let Err(error) = sessions.sweep_temporary().await {
                tracing::warn!(%term, %error, "cannot drop temporary relations of sessions that have ended");
                if let Ok(Err(_)) = tokio::time::timeout(SWEEP_AGAIN, standing.changed()).await {
                    return;
                }
                continue;
            }
            swept = term;
        }
        if standing.changed().await.is_err() {
            return;
        }
    }
}

/// Has the sessions that there are now go on elsewhere.
async fn dismiss(sessions: Arc<Sessions>) {
    let backends = sessions.backends();
    let there = backends.processes();
    for process in &there {
        backends.raise(*process, Cause::Move);
    }
    tokio::time::sleep(LAST_WORDS).await;
    for process in &there {
        backends.raise(*process, Cause::Abandon);
    }
}
