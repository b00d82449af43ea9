//! A commit whose outcome was lost with its consul is tried again under its idempotency key, and has happened once.

use crate::cluster::{Cluster, connect_again};
use crate::house::{PATIENCE, start};
use curia_sim::server::Server;
use std::time::{Duration, Instant};
use tokio_postgres::SimpleQueryMessage;

/// One transaction with a key, in two messages; the row that it gave back.
async fn pay(server: &Server, number: u32) -> Result<String, tokio_postgres::Error> {
    let client = connect_again(server).await;
    client
        .batch_execute(&format!("BEGIN; SET LOCAL curia.idempotency_key = 'payment {number}'"))
        .await?;
    let answer = client
        .simple_query(&format!(
            "UPDATE account SET balance = balance - 1 WHERE id = 1; INSERT INTO payment (number) VALUES ({number}) RETURNING id; COMMIT"
        ))
        .await?;
    let id = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    Ok(id.expect("RETURNING gives a row"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_was_lost_with_its_consul_happens_once_when_it_is_tried_again() {
    let cluster = Cluster::of(3, &[]);
    let mut servers: Vec<Option<Server>> = cluster.form().into_iter().map(Some).collect();
    let consul = cluster.consul(&[0, 1, 2]);
    connect_again(servers[consul].as_ref().unwrap())
        .await
        .batch_execute(
            "CREATE TABLE account (id int PRIMARY KEY, balance int); INSERT INTO account VALUES (1, 0);
             CREATE TABLE payment (id serial PRIMARY KEY, number int)",
        )
        .await
        .unwrap();
    let mut paid = 0;
    let mut first = None;
    for round in 0..3 {
        let consul = cluster.consul(&[0, 1, 2]);
        let left = (consul + 1) % 3;
        let (dying, server) = (servers[consul].take().unwrap(), servers[left].as_ref().unwrap());
        let under_way = async {
            let mut answers = Vec::new();
            for number in paid + 1..paid + 1_000 {
                answers.push((number, pay(server, number).await.ok()));
                if answers.last().is_some_and(|(_, answer)| answer.is_none()) {
                    break;
                }
            }
            answers
        };
        let kill = async {
            tokio::time::sleep(Duration::from_millis(300 + 70 * round)).await;
            dying.kill().unwrap();
        };
        let (answers, ()) = tokio::join!(under_way, kill);
        paid += answers.len() as u32;
        for (number, answer) in answers.into_iter().rev().take(10) {
            let from = Instant::now();
            let again = loop {
                match pay(server, number).await {
                    Ok(id) => break id,
                    Err(error) => assert!(from.elapsed() < PATIENCE, "{error:?}"),
                }
            };
            assert!(answer.is_none_or(|answer| answer == again), "the row is that of the first time");
            first.get_or_insert((number, again));
        }
        servers[consul] = Some(start(&cluster.launches[consul]));
    }
    let (number, id) = first.expect("something was paid");
    assert_eq!(pay(servers[0].as_ref().unwrap(), number).await.unwrap(), id, "three consuls later");
    let client = connect_again(servers[0].as_ref().unwrap()).await;
    let row = client
        .query_one(
            "SELECT -balance, (SELECT count(*) FROM payment)::int, (SELECT count(DISTINCT number) FROM payment)::int FROM account",
            &[],
        )
        .await
        .unwrap();
    let counted: [i32; 3] = [row.get(0), row.get(1), row.get(2)];
    assert_eq!(counted, [paid as i32; 3]);
}
