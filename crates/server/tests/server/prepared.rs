//! PREPARE TRANSACTION survives the consul, and a start.

use crate::cluster::{Cluster, connect_again};
use crate::house::connect;
use curia_sim::server::Server;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_prepared_is_finished_at_the_next_consul_and_locked_until_then() {
    let cluster = Cluster::of(3, &[]);
    let mut servers: Vec<Option<Server>> = cluster.form().into_iter().map(Some).collect();
    let consul = cluster.consul(&[0, 1, 2]);
    let client = connect(servers[consul].as_ref().unwrap()).await;
    client
        .batch_execute("create table t (a int primary key, n int); insert into t values (1, 1), (2, 2)")
        .await
        .unwrap();
    for (prepare, row) in [("kept", 1), ("given_up", 2)] {
        let change =
            format!("begin; update t set n = n + 10 where a = {row}; insert into t values ({row}0, 0); prepare transaction '{prepare}'");
        client.batch_execute(&change).await.unwrap();
    }
    servers[consul].take().unwrap().kill().unwrap();
    let left = servers.iter().flatten().next().unwrap();
    let client = connect_again(left).await;
    let waiting = client
        .query_one("select string_agg(gid, ' ' order by gid) from pg_prepared_xacts", &[])
        .await
        .unwrap();
    assert_eq!(waiting.get::<_, &str>(0), "given_up kept");
    for row in [1, 2] {
        let locked = client
            .execute(&format!("select from t where a = {row} for update nowait"), &[])
            .await
            .unwrap_err();
        assert_eq!(locked.code().map(|code| code.code()), Some("55P03"));
    }
    client.batch_execute("commit prepared 'kept'").await.unwrap();
    client.batch_execute("rollback prepared 'given_up'").await.unwrap();
    let rows = client
        .query_one("select string_agg(a || ':' || n, ' ' order by a) from t", &[])
        .await
        .unwrap();
    assert_eq!(rows.get::<_, &str>(0), "1:11 2:2 10:0");
    let gone = client.batch_execute("commit prepared 'kept'").await.unwrap_err();
    assert_eq!(gone.code().map(|code| code.code()), Some("42704"));
}
