//! The relations that the binder builds, for the executor to rely on.

use crate::fixture;
use curia_bind::ir::*;
use curia_types::Datum;

fn query(sql: &str) -> Query {
    match fixture::bind(&fixture::catalog(), sql).unwrap().bound {
        Bound::Query(q) => q,
        other => panic!("not a query: {other:?}"),
    }
}

/// The operators from the top down to the first leaf or fork.
fn spine(rel: &Rel) -> String {
    let (name, input) = match rel {
        Rel::Unit => return "Unit".into(),
        Rel::Scan(s) => {
            return format!(
                "Scan({})",
                s.columns
                    .iter()
                    .map(|(i, _)| s.table.columns[*i].name.clone())
                    .collect::<Vec<_>>()
                    .join(" ")
            );
        }
        Rel::System { .. } => return "System".into(),
        Rel::Values { .. } => return "Values".into(),
        Rel::Function { .. } => return "Function".into(),
        Rel::SetOp { inputs, .. } => return format!("SetOp[{}]", inputs.len()),
        Rel::CteScan { .. } => return "CteScan".into(),
        Rel::Join { left, right, lateral, .. } => {
            return format!("Join{}[{} | {}]", if *lateral { "Lateral" } else { "" }, spine(left), spine(right));
        }
        Rel::Project { input, .. } => ("Project", input),
        Rel::ProjectSet { input, .. } => ("ProjectSet", input),
        Rel::Filter { input, .. } => ("Filter", input),
        Rel::Aggregate { input, .. } => ("Aggregate", input),
        Rel::Window { input, .. } => ("Window", input),
        Rel::Sort { input, .. } => ("Sort", input),
        Rel::Limit { input, .. } => ("Limit", input),
        Rel::Distinct { input, .. } => ("Distinct", input),
        Rel::LockRows { input, .. } => ("LockRows", input),
        Rel::With { body, .. } => ("With", body),
    };
    format!("{name} {}", spine(input))
}

#[test]
fn a_point_query_is_a_projection_of_a_filtered_scan_of_the_columns_it_uses() {
    assert_eq!(spine(&query("select b from t where a = 1").rel), "Project Filter Scan(a b)");
    assert_eq!(spine(&query("select 1").rel), "Project Unit");
    assert_eq!(spine(&query("select count(*) from t").rel), "Project Aggregate Scan()");
    assert_eq!(
        spine(&query("select count(*) from (select * from t) s").rel),
        "Project Aggregate Project Scan()"
    );
}

#[test]
fn operators_stand_in_postgresqls_order_of_evaluation() {
    let sql = "select distinct b, sum(sum(c)) over (), generate_series(1, 2) from t where a > 1 group by b having count(*) > 1 order by b limit 1";
    assert_eq!(
        spine(&query(sql).rel),
        "Limit Sort Distinct Project ProjectSet Window Filter Aggregate Filter Scan(a b c)"
    );
    assert_eq!(
        spine(&query("select a from t order by c + 1").rel),
        "Project Sort Project Scan(a c)"
    );
    assert_eq!(spine(&query("select a from t for update").rel), "Project LockRows Project Scan(a)");
    assert_eq!(
        spine(&query("select * from t, lateral (select t.a) s").rel),
        "Project JoinLateral[Scan(a b c d e) | Project Unit]"
    );
    assert_eq!(spine(&query("select 1 union all select 2 union all select 3").rel), "SetOp[3]");
    assert_eq!(spine(&query("select 1 union select 2 union all select 3").rel), "SetOp[2]");
}

#[test]
fn constants_are_folded_and_failures_are_left_to_run_time() {
    let first = |sql: &str| match query(sql).rel {
        Rel::Project { mut columns, .. } => columns.remove(0).1.kind,
        other => panic!("{other:?}"),
    };
    assert_eq!(first("select 1 + 2 * 3"), ExprKind::Const(Datum::Int4(7)));
    assert_eq!(first("select null + 1"), ExprKind::Const(Datum::Null));
    assert_eq!(first("select '5'::int"), ExprKind::Const(Datum::Int4(5)));
    assert!(matches!(first("select 1 / 0"), ExprKind::Call { .. }));
    assert!(matches!(first("select random()"), ExprKind::Call { .. }));
    assert!(matches!(first("select now()"), ExprKind::Call { .. }));
}

#[test]
fn correlated_subqueries_name_the_outer_columns_they_use() {
    let q = query("select (select max(id) from u where u.a = t.a) from t");
    let Rel::Project { columns, input } = &q.rel else { panic!() };
    let ExprKind::Subquery { outer, .. } = &columns[0].1.kind else {
        panic!()
    };
    let Rel::Scan(scan) = &**input else { panic!() };
    assert_eq!(outer.as_slice(), [scan.columns[0].1.id]);
    let q = query("select a from t where exists (select 1 from u)");
    let Rel::Project { input, .. } = &q.rel else { panic!() };
    let Rel::Filter { predicate, .. } = &**input else { panic!() };
    assert!(matches!(&predicate.kind, ExprKind::Subquery { outer, .. } if outer.is_empty()));
}

#[test]
fn an_insert_gives_every_column_a_value() {
    let bound = fixture::bind(&fixture::catalog(), "insert into t (a) values (1), (2)").unwrap();
    let Bound::Insert(insert) = bound.bound else { panic!() };
    assert_eq!(insert.values.len(), 5);
    assert!(matches!(
        &insert.values[1],
        InsertValue::Expr(Expr {
            kind: ExprKind::Const(Datum::Null),
            ..
        })
    ));
    assert!(matches!(&insert.values[4], InsertValue::Expr(Expr { kind: ExprKind::Const(Datum::Text(t)), .. }) if &**t == "x"));
    assert!(matches!(insert.source, Rel::Values { ref rows, .. } if rows.len() == 2));
}

#[test]
fn identity_columns_draw_from_their_sequence() {
    let bound = fixture::bind(&fixture::catalog(), "insert into ident (v) values ('a')").unwrap();
    let Bound::Insert(insert) = bound.bound else { panic!() };
    let InsertValue::Expr(value) = &insert.values[0] else { panic!() };
    // nextval gives bigint; the column is integer.
    let ExprKind::Call { args, .. } = &value.kind else {
        panic!("{value:?}")
    };
    assert!(matches!(&args[0].kind, ExprKind::Call { function: 1574, .. }), "{value:?}");
}

#[test]
fn an_update_carries_the_row_key_the_old_row_and_its_checks() {
    let bound = fixture::bind(&fixture::catalog(), "update chk set a = a + 1 where b = 2").unwrap();
    let Bound::Update(update) = bound.bound else { panic!() };
    assert_eq!(update.old_row.len(), 2);
    assert_eq!(update.checks.len(), 1);
    assert_eq!(update.assignments[0].0, 0);
    let Rel::Filter { input, .. } = &update.source else { panic!() };
    assert!(matches!(&**input, Rel::Scan(s) if s.row_key == Some(update.row_key)));
}

#[test]
fn conflict_arbiters_are_the_unique_indexes_over_the_named_columns() {
    let catalog = fixture::catalog();
    let pair = catalog.tables.values().find(|t| t.name == "pair").unwrap().indexes[0].oid;
    let bound = fixture::bind(
        &catalog,
        "insert into pair values (1, 2) on conflict (y, x) do update set z = excluded.z",
    )
    .unwrap();
    let Bound::Insert(Insert {
        on_conflict: Some(conflict),
        ..
    }) = bound.bound
    else {
        panic!()
    };
    assert_eq!(conflict.arbiters, [pair]);
    assert_eq!(conflict.update.unwrap().assignments.len(), 1);
}

#[test]
fn tables_and_parameters_of_a_statement_are_listed() {
    let catalog = fixture::catalog();
    let bound = fixture::bind(&catalog, "select t.a from t join u using (a) where u.id = $1 and t.b = $2").unwrap();
    assert_eq!(bound.tables.len(), 2);
    assert_eq!(bound.params, [curia_types::PgType::INT8, curia_types::PgType::TEXT]);
    assert_eq!(bound.catalog_version, 1);
}
