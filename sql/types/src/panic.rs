//! A panic as an error: a bug of ours costs the statement that met it, not the connection and not the server.
//!
//! Wherever work for a client begins on a thread (a message, a plan on the pool), it runs inside of one of these. Without them a reader
//! of rows would take the end of a thread that panicked for the end of the rows.

use crate::{Result, SqlError};
use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

/// Runs `work`; a panic in it becomes XX000.
///
/// # Errors
/// Those of `work`, and XX000.
pub fn caught<T, E: From<SqlError>>(work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(error(&*panic).into()))
}

/// Awaits `work`; a panic in it becomes XX000. What it borrows has to be fit for use whenever it stops.
///
/// # Errors
/// Those of `work`, and XX000.
pub async fn caught_in<T, E: From<SqlError>>(work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let mut work = pin!(work);
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
        Ok(polled) => polled,
        Err(panic) => Poll::Ready(Err(error(&*panic).into())),
    })
    .await
}

fn error(panic: &(dyn Any + Send)) -> SqlError {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    SqlError::internal(format!(
        "the statement failed by a bug: {}",
        text.unwrap_or("a panic without words")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SqlState;
    use std::task::{Context, Waker};

    #[test]
    fn a_panic_is_an_internal_error_with_its_text() {
        let nothing: Vec<i32> = Vec::new();
        let error = caught::<i32, SqlError>(|| Ok(nothing[7])).unwrap_err();
        assert_eq!(error.code(), SqlState::INTERNAL_ERROR);
        assert!(error.message().contains("index out of bounds"), "{error:?}");
        assert!(matches!(caught::<i32, SqlError>(|| Ok(1)), Ok(1)));
    }

    #[test]
    fn a_panic_after_a_wait_is_one_too() {
        let mut waited = false;
        let work = poll_fn(move |cx: &mut Context<'_>| {
            assert!(!std::mem::replace(&mut waited, true), "woken");
            cx.waker().wake_by_ref();
            Poll::<Result<(), SqlError>>::Pending
        });
        let mut work = pin!(caught_in(work));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(work.as_mut().poll(&mut cx).is_pending());
        let Poll::Ready(Err(error)) = work.as_mut().poll(&mut cx) else {
            panic!("no error")
        };
        assert!(error.message().contains("woken"), "{error:?}");
    }
}
