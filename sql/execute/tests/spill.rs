//! Statements over more rows than their memory holds: they spill, and answer as they would with memory enough.

mod support;

use curia_execute::EngineConfig;
use support::{Server, Session};

/// Rows of the table, of half a kilobyte each.
const ROWS: u32 = 12_000;

async fn filled(server: &Server) -> Session {
    let mut s = server.session();
    s.sql("create table big (id int primary key, g int, n numeric, t text)").await;
    s.sql(&format!(
        "insert into big select i, (i * 7919) % 4001, (i % 3001)::numeric / 4, repeat(md5(i::text), 16) from generate_series(1, {ROWS}) i"
    ))
    .await;
    s
}

/// Half a mebibyte for each statement's row operators, five for all plans of DataFusion.
fn tiny(config: EngineConfig) -> EngineConfig {
    EngineConfig {
        threads: 1,
        memory_bytes: 5 << 20,
        statement_bytes: 512 << 10,
        batch_rows: 32,
        ..config
    }
}

/// Each query's rows in one checksum of count and text, in the order in which the query gives them.
async fn same_answers(queries: &[&str]) {
    let (roomy, cramped) = (Server::start().await, Server::with(tiny).await);
    let (mut roomy, mut cramped) = (filled(&roomy).await, filled(&cramped).await);
    for query in queries {
        match (roomy.run(query, &[]).await, cramped.run(query, &[]).await) {
            (Ok(expected), Ok(answer)) => {
                assert!(!expected.rows.is_empty(), "{query} proves nothing");
                assert!(answer == expected, "{query}: another answer than with memory enough");
            }
            (expected, answer) => panic!("{query}: {:?}, {:?}", expected.err(), answer.err()),
        }
    }
}

#[tokio::test]
async fn order_by_over_more_rows_than_memory_holds() {
    same_answers(&[
        // DataFusion's sort, then the sorts of row operators: under a window function, and over a function's rows.
        "select id, t from big order by t",
        "select id, row_number() over (order by t desc) from big order by 2",
        "select i, md5(i::text) from generate_series(1, 12000) i order by 2",
        "select g, id, sum(id) over (partition by g order by id), rank() over (order by n), dense_rank() over (order by n) from big order by 4, 2",
        "select id, count(*) over (order by n), sum(id) over (order by id rows unbounded preceding), lead(id) over (partition by g order by id)
         from big order by id",
    ])
    .await;
}

#[tokio::test]
async fn group_by_over_more_groups_than_memory_holds() {
    same_answers(&[
        "select t, count(*), sum(n) from big group by t order by t",
        "select md5(i::text), count(*), max(i) from generate_series(1, 12000) i group by 1 order by 1",
        "select g % 5, count(distinct t), string_agg(id::text, ',' order by id desc) from big group by 1 order by 1",
        "select count(distinct t), count(distinct n), sum(distinct g) from big",
        "select g, n, count(*), min(t) from big group by grouping sets ((g), (n), (g, n), ()) order by 1, 2, 3, 4",
    ])
    .await;
}

#[tokio::test]
async fn joins_whose_sides_are_both_larger_than_memory() {
    same_answers(&[
        // DataFusion's join.
        "select a.id, b.id, a.t from big a join big b on a.t = b.t order by a.id",
        "select a.id, b.id from big a left join big b on a.id = b.id + 6000 and b.t <> '' order by a.id, b.id",
        // The join of row operators: functions on both sides.
        "select a.x, b.y from (select i x, md5(i::text) k from generate_series(1, 9000) i) a
         full join (select i y, md5(i::text) k from generate_series(5000, 14000) i) b using (k) order by 1, 2",
        "select a.i, b.i from generate_series(1, 12000) a(i) right join generate_series(-11000, 11000) b(i)
         on a.i = b.i and a.i % 2 = 0 order by 2, 1",
        // Kept and read again for each row of the other side.
        "select a, count(*) from generate_series(1, 3) a join (select md5(i::text) t from generate_series(1, 12000) i) b
         on b.t > a::text group by a order by a",
    ])
    .await;
}

#[tokio::test]
async fn distinct_and_set_operations_over_more_rows_than_memory_holds() {
    same_answers(&[
        "select distinct t from big order by t",
        "select distinct n, t from big order by n, t",
        // DISTINCT ON keeps its input's order.
        "select distinct on (t) t, id from big order by t, id desc",
        "select t from big union select md5(i::text) from generate_series(1, 9000) i order by 1",
        "select md5(i::text) from generate_series(1, 12000) i intersect all select md5((i / 2)::text) from generate_series(1, 12000) i order by 1",
        "select t from big where id % 2 = 0 except select t from big where id % 3 = 0 order by t",
    ])
    .await;
}

#[tokio::test]
async fn common_table_expressions_and_returned_rows_larger_than_memory() {
    same_answers(&[
        "with x as materialized (select * from big) select a.id, b.t from x a join x b using (id) order by 1",
        "with recursive r(i, t) as (select 1, md5('1') union all select i + 1, md5((i + 1)::text) from r where i < 5000)
         select * from r order by i",
        "update big set g = g + 1 where id > 100 returning id, t",
        "delete from big where id > 6000 returning t, id",
    ])
    .await;
}

#[tokio::test]
async fn what_cannot_spill_fails_at_the_limit_and_leaves_nothing_held() {
    let server = Server::with(tiny).await;
    let mut s = filled(&server).await;
    for _ in 0..3 {
        let error = s
            .error("select count(*) from generate_series(1, 9) i where i::text not in (select t from big)")
            .await;
        assert_eq!(error, "53200 out of memory");
        assert_eq!(s.sql("select count(*) from big").await, ROWS.to_string());
    }
    // A subquery that runs for each row gives back what it held.
    assert_eq!(
        s.sql("select count(*) from generate_series(1, 400) i where (select count(*) from (select md5((j * i)::text) from generate_series(1, 20) j order by 1) x) = 20")
            .await,
        "400"
    );
}

#[tokio::test]
async fn spilled_rows_beyond_the_limit_of_the_disk_are_refused() {
    let server = Server::with(|config| EngineConfig {
        spill_bytes: 64 << 10,
        ..tiny(config)
    })
    .await;
    let mut s = filled(&server).await;
    for query in [
        "select id, t from big order by t",
        "select i, md5(i::text) from generate_series(1, 12000) i order by 2",
    ] {
        assert_eq!(s.error(query).await, "53400 temporary files exceed their limit", "{query}");
    }
}
