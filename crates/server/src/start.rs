//! `curia start`: the order in which things come up and go down.
//!
//! ```text
//! options, exposure rule, TLS files      nothing touched yet
//! data folder                            locked, format checked
//! listeners                              bound, so that a taken port is found before recovery
//! console                                answers "starting"
//! storage, driver, database              recovery
//! exposure rule, second half             needs the superuser's password
//! SQL and Flight sessions                console answers "ready", running.toml appears
//! ...
//! SIGTERM: listeners close, sessions finish or are cut, the driver syncs, storage flushes, the lock goes
//! ```

use crate::failure::Failure;
use crate::folder::{Folder, Running};
use crate::options::Options;
use crate::{exposure, limits, stop, tls};
use curia_console::{Health, ServerFacts, Stage};
use std::net::{SocketAddr, TcpListener};

/// Threads that serve the console and Flight connections; SQL sessions and queries have their own.
const SERVICE_THREADS: usize = 2;

/// Runs a server until it is asked to stop.
///
/// # Errors
/// Any [`Failure`].
pub fn run(options: Options) -> Result<(), Failure> {
    exposure::check_addresses(&options)?;
    let identity = tls::load(&options)?;
    let open_files = limits::raise_open_files();
    let folder = Folder::open(&options.data, options.worker_groups)?;
    let sql = bind("SQL", options.sql_addr)?;
    let flight = bind("Flight SQL", options.flight_addr)?;
    let http = bind("the console", options.http_addr)?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        folder = %folder.path().display(),
        worker_groups = folder.worker_groups(),
        open_files,
        "starting"
    );
    let recorder = curia_console::install_recorder().map_err(unexpected)?;
    let service = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(SERVICE_THREADS)
        .thread_name("service")
        .enable_all()
        .build()
        .map_err(unexpected)?;
    let health = Health::default();
    let _inside = service.enter();
    let (_ask, stop) = stop::listen().map_err(unexpected)?;

    let facts = ServerFacts {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        rows: vec![
            ("data folder".to_owned(), folder.path().display().to_string()),
            ("worker groups".to_owned(), folder.worker_groups().to_string()),
            ("SQL".to_owned(), sql.1.to_string()),
            ("Flight SQL".to_owned(), flight.1.to_string()),
        ],
    };
    let http_listener = tokio::net::TcpListener::from_std(http.0).map_err(unexpected)?;
    let (console_ends, console_end) = tokio::sync::oneshot::channel::<()>();
    let console = service.spawn(curia_console::serve(http_listener, facts, health.clone(), recorder, async move {
        let _ = console_end.await;
    }));

    folder.announce(&Running {
        pid: std::process::id(),
        sql: sql.1.to_string(),
        flight: flight.1.to_string(),
        http: http.1.to_string(),
    })?;
    health.advance(Stage::Ready);
    tracing::info!(sql = %sql.1, flight = %flight.1, http = %http.1, tls = identity.is_some(), "ready");
    service.block_on(stop.requested());
    health.advance(Stage::Draining);
    drop(console_ends);
    let _ = service.block_on(console);
    folder.forget_running();
    tracing::info!("stopped");
    Ok(())
}

/// Binds one listener; the address returned has the port that the system chose if 0 was asked for.
fn bind(purpose: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), Failure> {
    let failed = |source| Failure::Listen { purpose, address, source };
    let listener = TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

fn unexpected(error: impl std::fmt::Display) -> Failure {
    Failure::Unexpected(error.to_string())
}
