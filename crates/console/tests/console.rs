//! The console over a real socket.

#![allow(clippy::unwrap_used)] // a test that cannot go on should stop where it is

use curia_console::{Health, ServerFacts, Stage, install_recorder, serve};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

async fn get(addr: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream
        .write_all(format!("GET {path} HTTP/1.1\r\nHost: curia\r\nConnection: close\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn health_follows_the_stage_and_metrics_show_what_was_recorded() {
    let recorder = install_recorder().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let health = Health::default();
    let (stop, stopped) = oneshot::channel::<()>();
    let facts = ServerFacts {
        version: "9.9".into(),
        rows: Vec::new(),
    };
    let server = tokio::spawn(serve(listener, facts, health.clone(), recorder, async move {
        let _ = stopped.await;
    }));

    assert!(get(addr, "/healthz/live").await.starts_with("HTTP/1.1 200"));
    assert!(get(addr, "/healthz").await.starts_with("HTTP/1.1 503"));
    health.advance(Stage::Ready);
    assert!(get(addr, "/healthz/ready").await.starts_with("HTTP/1.1 200"));

    metrics::counter!("curia_test_total").increment(3);
    metrics::histogram!("curia_test_seconds").record(0.0003);
    let scraped = get(addr, "/metrics").await;
    assert!(scraped.contains("curia_test_total 3"), "{scraped}");
    assert!(scraped.contains("curia_test_seconds_bucket{le=\"0.0005\"} 1"), "{scraped}");
    assert!(scraped.contains("process_resident_memory_bytes"), "{scraped}");
    assert!(get(addr, "/").await.contains("9.9"));
    assert!(get(addr, "/nothing").await.starts_with("HTTP/1.1 404"));

    health.advance(Stage::Draining);
    assert!(get(addr, "/healthz").await.starts_with("HTTP/1.1 503"));
    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
}
