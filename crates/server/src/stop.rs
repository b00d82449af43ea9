//! Being asked to stop: SIGTERM and SIGINT, seen by everything that serves.

use std::io;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Becomes true once, when the server is asked to stop. Clones see the same request.
#[derive(Clone)]
pub struct StopRequest(watch::Receiver<bool>);

impl StopRequest {
    /// Resolves when the server has been asked to stop.
    pub async fn requested(mut self) {
        // An error means that the sender is gone, which only happens when the process is ending anyway.
        let _ = self.0.wait_for(|stop| *stop).await;
    }
}

/// Listens for the signals. Must run inside a tokio runtime, which then owns the listening task.
///
/// # Errors
/// When the handlers cannot be installed.
pub fn listen() -> io::Result<(watch::Sender<bool>, StopRequest)> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (sender, receiver) = watch::channel(false);
    let asked = sender.clone();
    tokio::spawn(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!("{name}: stopping");
        let _ = asked.send(true);
    });
    Ok((sender, StopRequest(receiver)))
}
