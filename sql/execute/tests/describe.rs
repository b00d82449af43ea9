//! What psql 15 asks the catalogs for its backslash commands, and pgbench at its start (`data/describe.sql`, written by `psql -E`, with
//! `:oid` for the OID of the table at hand).

mod support;

use support::Server;

#[tokio::test]
async fn every_query_of_psqls_describe_commands_is_answered() {
    let server = Server::start().await;
    let mut s = server.session();
    s.sql("create table t (id serial primary key, a int not null check (a > 0), b text unique)")
        .await;
    let oid = s.sql("select oid from pg_class where relname = 't'").await;
    let mut failed = Vec::new();
    for query in include_str!("data/describe.sql").split(";;") {
        let query = query.trim().replace(":oid", &oid);
        if let Err(e) = s.run(&query, &[]).await {
            failed.push(format!("{e:?}\n{query}"));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

#[tokio::test]
async fn a_table_is_described_with_its_columns_indexes_and_checks() {
    let server = Server::start().await;
    let mut s = server.session();
    s.sql("create table t (id serial primary key, a int not null check (a > 0), b text unique)")
        .await;
    let columns = "select a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
        (select pg_get_expr(d.adbin, d.adrelid, true) from pg_attrdef d where d.adrelid = a.attrelid and d.adnum = a.attnum and a.atthasdef) is not null
        from pg_attribute a where a.attrelid = 't'::regclass and a.attnum > 0 and not a.attisdropped order by a.attnum";
    assert_eq!(s.sql(columns).await, "id|integer|t|t;a|integer|t|f;b|text|f|f");
    assert_eq!(
        s.sql("select conname, pg_get_constraintdef(oid) from pg_constraint where conrelid >= 16384 order by 1")
            .await,
        "t_a_check|CHECK ((a > 0));t_b_key|UNIQUE (b);t_pkey|PRIMARY KEY (id)"
    );
    assert_eq!(
        s.sql("select indexdef from pg_indexes where schemaname = 'public' order by 1")
            .await,
        "CREATE UNIQUE INDEX t_b_key ON public.t USING btree (b);CREATE UNIQUE INDEX t_pkey ON public.t USING btree (id)"
    );
}
