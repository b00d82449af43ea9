//! Routes.

use crate::health::{Health, Stage};
use crate::listener::Bounded;
use crate::{page, process};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// How often histograms that nobody scrapes are folded, so that their samples take no more memory than this much time fills.
const UPKEEP: Duration = Duration::from_secs(5);

/// What the page says about this server beyond what the console sees itself.
#[derive(Clone, Debug, Default)]
pub struct ServerFacts {
    /// The program's version.
    pub version: String,
    /// Further lines of the page: name and value.
    pub rows: Vec<(String, String)>,
}

#[derive(Clone)]
struct Shared {
    facts: Arc<ServerFacts>,
    health: Health,
    recorder: PrometheusHandle,
    started: Instant,
}

/// Serves the console on `listener` until `stop` resolves and open requests are answered.
///
/// # Errors
/// When the listener fails for good.
pub async fn serve(
    listener: TcpListener,
    facts: ServerFacts,
    health: Health,
    recorder: PrometheusHandle,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let shared = Shared {
        facts: Arc::new(facts),
        health,
        recorder: recorder.clone(),
        started: Instant::now(),
    };
    let upkeep = async move {
        let mut ticks = tokio::time::interval(UPKEEP);
        loop {
            ticks.tick().await;
            recorder.run_upkeep();
        }
    };
    let service = axum::serve(Bounded::new(listener), routes(shared)).with_graceful_shutdown(stop);
    tokio::select! {
        served = service.into_future() => served,
        () = upkeep => Ok(()), // never ends
    }
}

fn routes(shared: Shared) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/healthz", get(ready))
        .route("/healthz/live", get(live))
        .route("/healthz/ready", get(ready))
        .route("/metrics", get(scrape))
        .with_state(shared)
}

async fn index(State(shared): State<Shared>) -> impl IntoResponse {
    Html(page::render(
        &shared.facts,
        shared.health.stage(),
        shared.started.elapsed(),
        &process::read(),
    ))
}

async fn live() -> impl IntoResponse {
    (StatusCode::OK, "live\n")
}

async fn ready(State(shared): State<Shared>) -> impl IntoResponse {
    let stage = shared.health.stage();
    let status = if stage == Stage::Ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, format!("{}\n", stage.name()))
}

async fn scrape(State(shared): State<Shared>) -> impl IntoResponse {
    process::record(shared.started);
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        shared.recorder.render(),
    )
}
