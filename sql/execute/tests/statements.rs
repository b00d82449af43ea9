//! Statements from text to rows, over a database in one process.

mod support;

use curia_execute::EngineConfig;
use curia_types::Datum;
use support::Server;

#[tokio::test]
async fn a_row_is_inserted_read_updated_and_deleted_by_key() {
    let server = Server::start().await;
    let mut s = server.session();
    s.sql("create table accounts (aid int primary key, bid int, abalance int default 0)")
        .await;
    s.sql("insert into accounts (aid, bid) values (1, 10), (2, 20), (3, 30)").await;
    assert_eq!(s.with("select abalance from accounts where aid = $1", &[Datum::Int4(2)]).await, "0");
    assert!(
        s.explain("select abalance from accounts where aid = 2")
            .await
            .contains("Point Select on accounts using accounts_pkey")
    );
    s.with(
        "update accounts set abalance = abalance + $1 where aid = $2",
        &[Datum::Int4(7), Datum::Int4(2)],
    )
    .await;
    assert_eq!(s.sql("select * from accounts where aid = 2").await, "2|20|7");
    assert_eq!(
        s.sql("delete from accounts where aid in (1, 3) returning aid, bid").await,
        "1|10;3|30"
    );
    assert_eq!(s.sql("select * from accounts").await, "2|20|7");
}

#[tokio::test]
async fn expressions_without_a_table_are_evaluated_in_place() {
    let server = Server::start().await;
    let mut s = server.session();
    assert_eq!(
        s.sql("select 1 + 1, 'a' || 'b', null is null, case when 1 > 2 then 1/0 else 3 end")
            .await,
        "2|ab|t|3"
    );
    assert_eq!(s.error("select 1/0").await, "22012 division by zero");
    assert_eq!(s.error("select 2147483647 + 1").await, "22003 integer out of range");
    assert_eq!(
        s.sql("select coalesce(null, 5), nullif(1, 1), greatest(1, 3, 2), 2 in (1, 2)")
            .await,
        "5|~|3|t"
    );
    assert_eq!(s.sql("values (1, 'x'), (2, 'y') order by 1 desc").await, "2|y;1|x");
}

#[tokio::test]
async fn whole_tables_are_aggregated_sorted_and_joined() {
    let server = Server::start().await;
    let mut s = server.session();
    s.sql("create table t (id int primary key, g int, v int, n numeric, f float8, x text)")
        .await;
    s.sql("insert into t select i, i % 3, i * 2, i::numeric / 4, i::float8, 'row ' || i from generate_series(1, 100) i")
        .await;
    assert_eq!(s.sql("select count(*), sum(v), min(id), max(x) from t").await, "100|10100|1|row 99");
    assert_eq!(
        s.sql("select g, count(*), sum(n) from t group by g order by g")
            .await
            .split(';')
            .count(),
        3
    );
    assert_eq!(
        s.sql("select g, avg(v) from t group by g having g > 0 order by g desc").await,
        "2|100.0000000000000000;1|101.0000000000000000"
    );
    assert_eq!(s.sql("select id from t where n > 24 order by n desc limit 2").await, "100;99");
    assert_eq!(s.sql("select count(*) from t a join t b on a.id = b.v").await, "50");
    assert_eq!(
        s.sql("select count(*) from t a left join t b on a.id = b.v where b.id is null")
            .await,
        "50"
    );
    assert_eq!(s.sql("select distinct g from t order by 1").await, "0;1;2");
    assert_eq!(s.sql("select sum(f), max(f) from t where x like 'row 1%'").await, "246|100");
    assert_eq!(
        s.error("select count(*) from t where 1 / (id - 50) = 0").await,
        "22012 division by zero"
    );
    assert_eq!(s.sql("select count(*) from t where id <> 50 and 1 / (id - 50) = 0").await, "97");
}

#[tokio::test]
async fn subqueries_run_for_each_row_they_refer_to() {
    let server = Server::start().await;
    let mut s = server.session();
    s.sql("create table p (id int primary key, name text)").await;
    s.sql("create table c (id int primary key, p int, v int)").await;
    s.sql("create index c_p on c (p)").await;
    s.sql("insert into p values (1, 'a'), (2, 'b'), (3, 'c')").await;
    s.sql("insert into c values (1, 1, 10), (2, 1, 20), (3, 2, 30)").await;
    assert_eq!(
        s.sql("select name, (select sum(v) from c where c.p = p.id) from p order by id")
            .await,
        "a|30;b|30;c|~"
    );
    assert_eq!(
        s.sql("select name from p where exists (select 1 from c where c.p = p.id and v > 15) order by 1")
            .await,
        "a;b"
    );
    assert_eq!(s.sql("select name from p where id in (select p from c) order by 1").await, "a;b");
    assert_eq!(s.sql("select name from p where id not in (select p from c) order by 1").await, "c");
    assert_eq!(
        s.sql("select p.name, l.v from p, lateral (select v from c where c.p = p.id order by v desc limit 1) l order by 1")
            .await,
        "a|20;b|30"
    );
    assert_eq!(
        s.error("select (select v from c where p = 1)").await,
        "21000 more than one row returned by a subquery used as an expression"
    );
    assert_eq!(s.sql("select array(select v from c order by v)").await, "{10,20,30}");
    assert!(s.explain("select * from c where p = 1").await.contains("Index Scan using c_p on c"));
}

#[tokio::test]
async fn common_table_expressions_recurse_to_their_fixed_point() {
    let server = Server::start().await;
    let mut s = server.session();
    assert_eq!(
        s.sql("with recursive n(i) as (select 1 union all select i + 1 from n where i < 5) select sum(i) from n")
            .await,
        "15"
    );
    assert_eq!(
        s.sql("with a as (select 1 x), b as (select x + 1 y from a) select * from a, b")
            .await,
        "1|2"
    );
    assert_eq!(s.sql("select 1 union select 1 union all select 2 order by 1").await, "1;2");
    assert_eq!(
        s.sql("select * from (values (1),(2),(3)) v(i) except select 2 order by 1").await,
        "1;3"
    );
    assert_eq!(
        s.sql("select i, row_number() over (order by i desc), sum(i) over (order by i) from generate_series(1, 3) i order by i")
            .await,
        "1|3|1;2|2|3;3|1|6"
    );
    assert_eq!(s.sql("select generate_series(1, 3), 'x'").await, "1|x;2|x;3|x");
}

#[tokio::test]
async fn constraints_are_enforced_with_postgresqls_messages() {
    let server = Server::start().await;
    let mut s = server.session();
    s.sql("create table t (id serial primary key, a int not null check (a > 0), b text unique)")
        .await;
    s.sql("insert into t (a, b) values (1, 'x')").await;
    assert_eq!(
        s.error("insert into t (a, b) values (null, 'y')").await,
        "23502 null value in column \"a\" of relation \"t\" violates not-null constraint"
    );
    assert_eq!(
        s.error("insert into t (a, b) values (0, 'y')").await,
        "23514 new row for relation \"t\" violates check constraint \"t_a_check\""
    );
    assert_eq!(
        s.error("insert into t (a, b) values (2, 'x')").await,
        "23505 duplicate key value violates unique constraint \"t_b_key\""
    );
    assert_eq!(
        s.sql("insert into t (a, b) values (5, 'x') on conflict (b) do update set a = excluded.a + t.a returning a, b")
            .await,
        "6|x"
    );
    s.sql("insert into t (a, b) values (5, 'x') on conflict do nothing").await;
    assert_eq!(s.sql("select count(*) from t").await, "1");
    assert_eq!(
        s.error("update t set a = -1").await,
        "23514 new row for relation \"t\" violates check constraint \"t_a_check\""
    );
}

#[tokio::test]
async fn updates_join_other_tables_and_deletes_use_them() {
    let server = Server::start().await;
    let mut s = server.session();
    s.sql("create table a (id int primary key, v int)").await;
    s.sql("create table b (id int, w int)").await;
    s.sql("insert into a values (1, 1), (2, 2), (3, 3)").await;
    s.sql("insert into b values (1, 100), (2, 200), (2, 201)").await;
    assert_eq!(s.run("update a set v = w from b where a.id = b.id", &[]).await.unwrap().affected, 2);
    assert_eq!(s.sql("select count(*) from a where v >= 100").await, "2");
    assert_eq!(
        s.run("delete from a using b where a.id = b.id and b.w > 150", &[])
            .await
            .unwrap()
            .affected,
        1
    );
    assert_eq!(s.sql("select id from a order by id").await, "1;3");
    assert_eq!(s.sql("select id from a order by id for update").await, "1;3");
}

#[tokio::test]
async fn the_catalogs_describe_what_exists() {
    let server = Server::start().await;
    let mut s = server.session();
    s.sql("create table t (id int primary key, name varchar(20) not null)").await;
    assert_eq!(
        s.sql("select relname, relkind from pg_class where relname like 't%' and relnamespace = 2200 order by 1")
            .await,
        "t|r;t_pkey|i"
    );
    assert_eq!(
        s.sql("select a.attname, format_type(a.atttypid, a.atttypmod) from pg_attribute a join pg_class c on a.attrelid = c.oid where c.relname = 't' and a.attnum > 0 order by a.attnum").await,
        "id|integer;name|character varying(20)"
    );
    assert_eq!(
        s.sql("select pg_get_indexdef(indexrelid) from pg_index where indisprimary and indexrelid >= 16384")
            .await,
        "CREATE UNIQUE INDEX t_pkey ON public.t USING btree (id)"
    );
    assert_eq!(s.sql("select table_name, column_name, data_type, character_maximum_length from information_schema.columns where table_schema = 'public' order by ordinal_position").await, "t|id|integer|~;t|name|character varying|20");
}

#[tokio::test]
async fn a_chain_of_ten_thousand_terms_works() {
    let server = Server::start().await;
    let mut s = server.session();
    s.sql("create table t (id int primary key)").await;
    s.sql("insert into t values (1), (2), (3)").await;
    let ors: Vec<String> = (0..10_000).map(|i| format!("id = {i}")).collect();
    assert_eq!(s.sql(&format!("select count(*) from t where {}", ors.join(" or "))).await, "3");
    let list: Vec<String> = (0..10_000).map(|i| i.to_string()).collect();
    assert_eq!(
        s.sql(&format!("select count(*) from t where id in ({})", list.join(","))).await,
        "3"
    );
}

#[tokio::test]
async fn an_order_by_the_key_with_a_limit_reads_only_that_many_rows() {
    let server = Server::start().await;
    let mut s = server.session();
    s.sql("create table t (id int primary key, v int)").await;
    s.sql("insert into t select i, i % 10 from generate_series(1, 1000) i").await;
    assert_eq!(s.sql("select id from t order by id limit 2").await, "1;2");
    assert_eq!(
        s.sql("select id, v + 1 from t order by id desc limit 2 offset 1").await,
        "999|10;998|9"
    );
    assert_eq!(
        s.sql("select id from t where v = 3 and id > 500 order by id desc limit 2").await,
        "993;983"
    );
    assert_eq!(
        s.sql("select id from t where id in (5, 900, 7) order by id desc limit 2").await,
        "900;7"
    );
    let plan = s.explain("select id from t order by id desc limit 2").await;
    assert!(plan.contains("Seq Scan Backward on t") && !plan.contains("Sort"), "{plan}");
    assert_eq!(s.sql("select v, id from t order by v desc, id limit 2").await, "9|9;9|19");
}

#[tokio::test]
async fn rows_that_an_index_finds_in_the_wanted_order_are_not_sorted() {
    let server = Server::start().await;
    let mut s = server.session();
    s.sql("create table t (c int primary key, a int, b int)").await;
    s.sql("create index t_a on t (a, c)").await;
    s.sql("create index t_b on t (a, b desc, c)").await;
    s.sql("insert into t select i, 1 + i % 2, nullif(i % 5, 0) from generate_series(1, 40) i")
        .await;
    let in_order = [
        // Held equal: the rest of the key is the order.
        ("select c from t where a = 1 order by c limit 3", "2;4;6", ""),
        ("select c from t where a = 1 order by a, c desc limit 2", "40;38", " Backward"),
        ("select c from t where a = 2 and b = 4 order by c", "9;19;29;39", ""),
        (
            "select c from t where a = 2 and b = 4 order by b desc, a, c desc",
            "39;29;19;9",
            " Backward",
        ),
        (
            "select b, c from t where a = 2 and b > 2 order by b desc, c limit 3",
            "4|9;4|19;4|29",
            "",
        ),
        (
            "select c from t where a in (2, 1) and b = 4 order by a, b desc, c limit 5",
            "4;14;24;34;9",
            "",
        ),
    ];
    for (query, rows, direction) in in_order {
        let plan = s.explain(query).await;
        assert!(
            !plan.contains("Sort") && plan.contains(&format!("Scan{direction} using")),
            "{query}: {plan}"
        );
        assert_eq!(s.sql(query).await, rows, "{query}");
    }
    let sorted = [
        (
            "select b, c from t where a = 2 and b > 2 order by b desc, c desc limit 3",
            "4|39;4|29;4|19",
        ),
        (
            "select b from t where a = 2 and b in (4, 3, 2) order by b desc nulls last, c limit 1",
            "4",
        ),
        ("select c from t where a in (2, 1) order by c limit 3", "1;2;3"),
    ];
    for (query, rows) in sorted {
        assert!(s.explain(query).await.contains("Sort"), "{query}");
        assert_eq!(s.sql(query).await, rows, "{query}");
    }
}

#[tokio::test]
async fn a_statement_that_turns_out_to_read_much_begins_again_on_the_pool() {
    let server = Server::with(|config| EngineConfig {
        analytic_start: EngineConfig::default().analytic_start,
        ..config
    })
    .await;
    let mut s = server.session();
    s.sql("create table t (id int primary key, a int, v int)").await;
    s.sql("create index t_a on t (a)").await;
    s.sql("insert into t select i, i % 2, i from generate_series(1, 12000) i").await;
    s.sql("update t set a = 2 where id <= 100").await;
    for (a, sum, count) in [(2, 5050, 100), (1, 36000000 - 2500, 5950), (2, 5050, 100)] {
        assert_eq!(s.sql(&format!("select sum(v) from t where a = {a}")).await, sum.to_string());
        let changed = s.run(&format!("update t set v = v where a = {a}"), &[]).await.unwrap();
        assert_eq!(changed.affected, count);
    }
    assert!(
        s.error("select sum(1 / (id - 100)) from t where a = 2")
            .await
            .contains("division by zero")
    );
}

#[tokio::test]
async fn small_tables_are_read_by_row_operators_and_large_ones_by_datafusion() {
    let server = Server::with(|config| EngineConfig {
        analytic_start: EngineConfig::default().analytic_start,
        ..config
    })
    .await;
    let mut s = server.session();
    s.sql("create table t (id int primary key, v int)").await;
    s.sql("insert into t select g, g % 10 from generate_series(1, 50) g").await;
    let query = "select x.v, count(*) from t x join t y on x.v = y.id group by x.v order by 1 limit 1";
    let plan = s.explain(query).await;
    assert!(plan.contains("Hash Join") && plan.ends_with("Path: point"), "{plan}");
    assert_eq!(s.sql(query).await, "1|5");
    s.sql("insert into t select g, g % 10 from generate_series(51, 40000) g").await;
    tokio::time::sleep(std::time::Duration::from_millis(150)).await; // a count holds for a tenth of a second
    let plan = s.explain(query).await;
    assert!(plan.starts_with("Analytic"), "{plan}");
    assert_eq!(s.sql(query).await, "1|4000");
    // A key leads to few rows of a large table, also through a join.
    let by_key = "select y.v from t x join t y on y.id = x.v where x.id = 7";
    let plan = s.explain(by_key).await;
    assert!(plan.matches("Point Select").count() == 2 && plan.ends_with("Path: point"), "{plan}");
    assert_eq!(s.sql(by_key).await, "7");
}

#[tokio::test]
async fn subqueries_of_aggregates_are_applied_to_few_rows_and_joined_to_many() {
    let server = Server::with(|config| EngineConfig {
        analytic_start: EngineConfig::default().analytic_start,
        ..config
    })
    .await;
    let mut s = server.session();
    s.sql("create table o (id int primary key, k int)").await;
    s.sql("create table i (id int primary key, k int, v int)").await;
    s.sql("create index i_k on i (k)").await;
    s.sql("insert into o select g, g from generate_series(1, 1000) g").await;
    s.sql("insert into i select g, g % 900 + 1, g % 7 from generate_series(1, 9000) g")
        .await;
    let many = "select sum((select count(*) from i where i.k = o.k)), max((select max(v) from i where i.k = o.k)) from o";
    let plan = s.explain(many).await;
    assert!(plan.starts_with("Analytic") && plan.matches("Join (Left)").count() == 2, "{plan}");
    assert_eq!(s.sql(many).await, "9000|6");
    let few = format!("{many} where id = 5");
    let plan = s.explain(&few).await;
    assert!(!plan.contains("Join"), "{plan}");
    assert_eq!(s.sql(&few).await, "10|6");
}

#[tokio::test]
async fn an_index_that_holds_all_that_is_read_is_read_alone() {
    let server = Server::start().await;
    let mut s = server.session();
    s.sql("create table t (id int primary key, a int, b text, n numeric)").await;
    s.sql("create index t_a on t (a, b)").await;
    s.sql("create index t_n on t (n)").await;
    s.sql("insert into t values (1, 1, 'x', 1.0), (2, 1, 'y', 1.00), (3, 2, 'z', 2)")
        .await;
    for (query, answer) in [
        ("select b, id from t where a = 1", "x|1;y|2"),
        ("select id, a from t where a = 1 and b > 'x'", "2|1"),
    ] {
        assert!(s.explain(query).await.contains("Index Only Scan"), "{query}");
        assert_eq!(s.sql(query).await, answer, "{query}");
    }
    // An entry lacks the scale of a numeric.
    assert!(s.explain("select n from t where n = 1").await.contains("Index Scan"));
    assert_eq!(s.sql("select n from t where n = 1").await, "1.0;1.00");
    s.sql("update t set a = 2 where id = 1").await;
    s.sql("delete from t where id = 3").await;
    assert_eq!(s.sql("select b, id from t where a = 2").await, "x|1");
}

#[tokio::test]
async fn joins_inside_of_a_subquery_go_by_their_keys() {
    let server = Server::start().await;
    let mut s = server.session();
    s.sql("create table a (id int primary key, b int)").await;
    s.sql("create table b (id int primary key, c int)").await;
    s.sql("create table c (id int primary key, v int)").await;
    for table in ["a", "b", "c"] {
        s.sql(&format!("insert into {table} select g, g from generate_series(1, 3000) g"))
            .await;
    }
    // Three tables of 3,000 rows have 27 thousand million combinations.
    let query = s.sql("select (select sum(c.v) from a, b, c where a.b = b.id and b.c = c.id)");
    let answer = tokio::time::timeout(std::time::Duration::from_secs(60), query).await;
    assert_eq!(answer.expect("it does not try all combinations"), "4501500");
}

#[tokio::test]
async fn a_statement_ends_when_its_reader_goes() {
    let server = Server::with(|config| EngineConfig { running: 1, ..config }).await;
    let mut s = server.session();
    s.abandon("with recursive t (n) as (select 1 union all select n + 1 from t) select n from t")
        .await;
    // The one thread for such statements is free again.
    let next = s.sql("select count(*) from generate_series(1, 5)");
    let answer = tokio::time::timeout(std::time::Duration::from_secs(60), next).await;
    assert_eq!(answer.expect("the endless statement ended"), "5");
}

#[tokio::test]
async fn chains_of_many_terms_run_over_a_table() {
    let server = Server::start().await;
    let mut s = server.session();
    s.sql("create table t (a int, b text)").await;
    s.sql("insert into t values (1, 'x'), (2, 'y'), (3, null)").await;
    let chain = |operator: &str, term: &dyn Fn(usize) -> String| (0..20_000).map(term).collect::<Vec<_>>().join(operator);
    let differs = chain(" and ", &|i| format!("a <> {}", i + 3));
    assert_eq!(s.sql(&format!("select count(*) from t where {differs}")).await, "2");
    let equals = chain(" or ", &|i| format!("a = {}", i + 2));
    assert_eq!(s.sql(&format!("select sum(a) from t where {equals}")).await, "5");
    assert_eq!(
        s.sql(&format!(
            "select count(*) from t x join t y on x.a = y.a and {}",
            differs.replace("a <>", "x.a <>")
        ))
        .await,
        "2"
    );
    let unions = vec!["select a from t"; 1_000];
    assert_eq!(s.sql(&format!("select count(*) from ({}) u", unions.join(" union "))).await, "3");
    assert_eq!(
        s.sql(&format!("select count(*) from ({}) u", unions.join(" union all "))).await,
        "3000"
    );
}
