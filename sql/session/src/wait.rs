//! Waiting inside a statement: for locks, for rows of other threads. A wait ends early by cancel, shutdown or `statement_timeout`, and
//! sends what the client should see before it.

use crate::backends::Interrupt;
use crate::output::{Output, Stop};
use curia_types::{Result, SqlError, SqlState};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

/// When the running statement must stop.
#[derive(Clone)]
pub struct Waits {
    pub(crate) interrupt: Arc<Interrupt>,
    pub(crate) deadline: Option<Instant>,
}

impl Waits {
    /// Runs `work`. When it is done at once, which is the case of point statements, nothing else happens; only a wait registers for
    /// cancel and time.
    pub async fn run<T, O: Output>(&self, out: &mut O, work: impl Future<Output = Result<T>>) -> Result<T, Stop> {
        self.interrupt.check()?;
        let mut work = pin!(work);
        let first = poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await;
        if let Poll::Ready(done) = first {
            return Ok(done?);
        }
        out.before_wait().await?;
        Ok(self.run_quietly(work).await?)
    }

    /// The same while what is buffered must not leave.
    pub(crate) async fn run_quietly<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            done = work => done,
            stop = self.interrupt.stopped() => Err(stop),
            stop = until(self.deadline) => Err(stop),
        }
    }

    /// Fails when the statement should stop.
    pub fn check(&self) -> Result<()> {
        self.interrupt.check()?;
        match self.deadline {
            Some(d) if Instant::now() >= d => Err(timed_out()),
            _ => Ok(()),
        }
    }
}

impl curia_execute::Interrupt for Waits {
    fn check(&self) -> Result<()> {
        Waits::check(self)
    }
}

/// Waits for the deadline and gives its error.
pub(crate) async fn until(deadline: Option<Instant>) -> SqlError {
    match deadline {
        Some(d) => tokio::time::sleep_until(d.into()).await,
        None => std::future::pending().await,
    }
    timed_out()
}

fn timed_out() -> SqlError {
    SqlError::new(SqlState::QUERY_CANCELED, "canceling statement due to statement timeout")
}
