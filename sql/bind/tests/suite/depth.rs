//! Long and deep statements bind, and what binds can be dropped on a suitable stack.

use crate::fixture;
use curia_parse::on_stack;

fn binds(sql: &str) {
    let catalog = fixture::catalog();
    let bound = fixture::bind(&catalog, sql).unwrap();
    on_stack(bound.depth, move || drop(bound));
}

#[test]
fn ten_thousand_terms_of_any_operator_bind() {
    for (term, operator) in [("a = 1", " OR "), ("a = 1", " AND "), ("a", " + "), ("b", " || "), ("c", " * ")] {
        binds(&format!("SELECT {} FROM t", vec![term; 10_000].join(operator)));
    }
    binds(&vec!["SELECT 1"; 10_000].join(" UNION ALL "));
    binds(&vec!["SELECT a FROM t"; 2_000].join(" UNION "));
    binds(&format!("SELECT a FROM t WHERE a IN ({})", vec!["1"; 10_000].join(", ")));
}

#[test]
fn nesting_up_to_the_limit_binds() {
    let n = 4_000;
    binds(&format!("SELECT {}a{} FROM t", "(".repeat(n), ")".repeat(n)));
    binds(&format!("SELECT {}a{} FROM t", "abs(".repeat(n), ")".repeat(n)));
    binds(&format!(
        "SELECT {}a{} FROM t",
        "CASE WHEN b = 'x' THEN ".repeat(n),
        " END".repeat(n)
    ));
    binds(&format!("SELECT {}true FROM t", "NOT ".repeat(n)));
    binds(&format!("SELECT a{} FROM t", "::int8::int4".repeat(n)));
    let n = 1_800;
    binds(&format!("SELECT {}a{} FROM t", "(SELECT ".repeat(n), ")".repeat(n)));
    binds(&format!("SELECT * FROM {}t{}", "(SELECT * FROM ".repeat(n), ") s".repeat(n)));
}

#[test]
fn an_insert_of_many_rows_binds() {
    binds(&format!("INSERT INTO t (a, b) VALUES {}", vec!["(1, 'x')"; 50_000].join(", ")));
}
