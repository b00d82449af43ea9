//! One row that everybody updates: each update goes on from one whose commit is under way, and nobody hears of one that is lost.

use crate::cluster::{Cluster, connect_again, reconnect};
use crate::house::{connect, state};
use curia_sim::server::Server;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const CLIENTS: usize = 8;
const PATIENCE: Duration = Duration::from_secs(60);

/// What one client was told: numbers, and how often it was told nothing.
#[derive(Default)]
struct Told {
    numbers: Vec<i64>,
    unknown: u64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_that_clients_of_a_hot_row_are_told_are_true_whatever_becomes_of_the_consul() {
    let cluster = Cluster::of(3, &[]);
    let mut servers: Vec<Option<Server>> = cluster.form().into_iter().map(Some).collect();
    let consul = cluster.consul(&[0, 1, 2]);
    let client = connect(servers[consul].as_ref().unwrap()).await;
    client
        .batch_execute("create table hot (id int primary key, n bigint); insert into hot values (1, 0)")
        .await
        .unwrap();
    let stays: Vec<_> = (0..3).filter(|at| *at != consul).collect();
    let (stop, told) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut clients = Vec::new();
    for at in 0..CLIENTS {
        // Half of them at a server that stays, the others at the consul: what it was about to tell when it dies is told to nobody.
        let door = format!("postgresql://curia@{}/curia", servers[stays[0]].as_ref().unwrap().sql);
        let first = servers[if at % 2 == 0 { consul } else { stays[0] }].as_ref().unwrap();
        let mut client = connect_again(first).await;
        let (stop, all) = (stop.clone(), told.clone());
        clients.push(tokio::spawn(async move {
            let mut told = Told::default();
            while !stop.load(Ordering::Relaxed) {
                match client.query_one("update hot set n = n + 1 where id = 1 returning n", &[]).await {
                    Ok(row) => {
                        told.numbers.push(row.get(0));
                        all.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(error) if error.code().is_some() && matches!(state(&error), "40001" | "57P03") => {}
                    Err(_) => {
                        told.unknown += 1;
                        client = reconnect(&door).await;
                    }
                }
            }
            told
        }));
    }
    reaches(&told, 300).await;
    servers[consul].take().unwrap().kill().unwrap();
    let so_far = told.load(Ordering::Relaxed);
    reaches(&told, so_far + 300).await;
    stop.store(true, Ordering::Relaxed);
    let (mut numbers, mut unknown) = (Vec::new(), 0);
    for client in clients {
        let told = client.await.unwrap();
        assert!(told.numbers.is_sorted(), "a client saw the row go back: {:?}", told.numbers);
        numbers.extend(told.numbers);
        unknown += told.unknown;
    }
    let client = connect_again(servers[stays[0]].as_ref().unwrap()).await;
    let n: i64 = client.query_one("select n from hot", &[]).await.unwrap().get(0);
    numbers.sort_unstable();
    let count = numbers.len() as u64;
    numbers.dedup();
    assert_eq!(numbers.len() as u64, count, "two clients were told the same number");
    assert!(numbers.last().is_some_and(|last| *last <= n), "{numbers:?} {n}");
    assert!(
        (count..=count + unknown).contains(&(n as u64)),
        "{count} were told, {unknown} may be, {n} are"
    );
}

async fn reaches(told: &AtomicU64, count: u64) {
    let from = Instant::now();
    while told.load(Ordering::Relaxed) < count {
        assert!(from.elapsed() < PATIENCE, "only {} were told", told.load(Ordering::Relaxed));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
