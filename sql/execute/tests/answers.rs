//! Queries with the answers that PostgreSQL 15 gave over the same tables (`data/answers.txt`: query, answer as [`support::Answer::line`]
//! prints it, blank line). They take every operator of both paths: aggregates, joins, windows, set operations, subqueries, errors.

mod support;

use support::Server;

#[tokio::test]
async fn queries_answer_as_postgresql_does() {
    let server = Server::start().await;
    let mut s = server.session();
    for statement in include_str!("data/answers_setup.sql").lines() {
        s.sql(statement).await;
    }
    let mut different = Vec::new();
    for block in include_str!("data/answers.txt").split("\n\n") {
        let Some((query, want)) = block.trim_end_matches('\n').split_once('\n') else {
            continue;
        };
        let got = match s.run(query, &[]).await {
            Ok(answer) => answer.line(),
            Err(e) => format!("ERR {} {}", e.code().as_str(), e.message()),
        };
        if got != want {
            different.push(format!("{query}\n  PostgreSQL {want}\n  Curia      {got}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}
