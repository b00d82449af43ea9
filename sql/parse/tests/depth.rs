//! Long and deep statements: chains of any length parse, nesting beyond the limit is refused, and neither overflows the stack, in drop
//! neither.

use curia_parse::{MAX_DEPTH, on_stack, parse};

fn code(sql: &str) -> String {
    match parse(sql) {
        Ok(_) => "ok".to_owned(),
        Err(e) => e.code().as_str().to_owned(),
    }
}

#[test]
fn a_hundred_thousand_nested_parentheses_are_too_complex() {
    let sql = format!("SELECT {}1{}", "(".repeat(100_000), ")".repeat(100_000));
    let error = parse(&sql).unwrap_err();
    assert_eq!(error.code().as_str(), "54001");
    assert_eq!(error.message(), "stack depth limit exceeded");
    assert!(error.fields().hint.as_deref().unwrap().contains("max_stack_depth"));
}

#[test]
fn other_endless_nesting_is_too_complex_too() {
    let n = 100_000;
    assert_eq!(code(&format!("SELECT {}1", "- ".repeat(n))), "54001");
    assert_eq!(code(&format!("SELECT {}true", "NOT ".repeat(n))), "54001");
    assert_eq!(
        code(&format!("SELECT {}1{}", "CASE WHEN true THEN ".repeat(n), " END".repeat(n))),
        "54001"
    );
    assert_eq!(code(&format!("SELECT {}1{}", "ARRAY[".repeat(n), "]".repeat(n))), "54001");
    assert_eq!(code(&format!("SELECT 1{}", "::int".repeat(n))), "54001");
    assert_eq!(code(&format!("SELECT 1{}", " IS NULL".repeat(n))), "54001");
    assert_eq!(code(&format!("SELECT (a){}", "[1]".repeat(n))), "ok");
    assert_eq!(code(&format!("SELECT (a){}", ".b".repeat(n))), "54001");
    assert_eq!(code(&format!("SELECT * FROM t{}", " JOIN t".repeat(n))), "54001");
    let chain = format!("{})", " + 1".repeat(500));
    assert_eq!(code(&format!("SELECT {}1{}", "(".repeat(100), chain.repeat(100))), "54001");
    assert_eq!(code(&format!("SELECT * FROM t{}", " CROSS JOIN t".repeat(n))), "54001");
    assert_eq!(code(&format!("SELECT {}1{}", "(SELECT ".repeat(n), ")".repeat(n))), "54001");
    assert_eq!(code(&format!("SELECT a{}", " COLLATE \"C\"".repeat(n))), "54001");
    assert_eq!(code(&format!("SELECT 1{}", " + 1".repeat(n))), "54001");
}

#[test]
fn nesting_up_to_the_limit_parses_and_drops() {
    let most = MAX_DEPTH as usize - 10;
    for (open, close, n) in [
        ("(", ")", most),
        ("CASE WHEN true THEN ", " END", most),
        ("ARRAY[", "]", 5_000),
        ("abs(", ")", most),
        ("NOT ", "", most),
        ("(SELECT ", ")", 2_000),
    ] {
        let sql = format!("SELECT {}1{}", open.repeat(n), close.repeat(n));
        let parsed = parse(&sql).unwrap();
        let depth = parsed[0].depth;
        on_stack(depth, move || drop(parsed));
    }
}

#[test]
fn ten_thousand_terms_of_any_operator_parse() {
    for operator in [" OR ", " AND ", " + ", " || ", " * ", " - "] {
        let sql = format!("SELECT {}", vec!["a"; 10_000].join(operator));
        let parsed = parse(&sql).unwrap();
        assert_eq!(parsed.len(), 1);
    }
    let unions = vec!["SELECT 1"; 10_000].join(" UNION ALL ");
    assert_eq!(parse(&unions).unwrap().len(), 1);
    let many = "SELECT 1;".repeat(10_000);
    assert_eq!(parse(&many).unwrap().len(), 10_000);
}

#[test]
fn what_the_catalog_keeps_nests_less_deep() {
    let deep = |n: usize| format!("{}a{}", "abs(".repeat(n), ")".repeat(n));
    let chain = |n: usize| format!("a{}", " + 1".repeat(n));
    for (n, expected) in [(900, "ok"), (1_100, "54001")] {
        for e in [deep(n), chain(n)] {
            assert_eq!(code(&format!("CREATE TABLE t (a int CHECK ({e} > 0))")), expected);
            assert_eq!(code(&format!("ALTER TABLE t ALTER a SET DEFAULT {e}")), expected);
            assert_eq!(code(&format!("ALTER TABLE t ALTER a TYPE int USING {e}")), expected);
        }
    }
}

#[test]
fn names_that_are_too_long_are_told_with_what_they_become() {
    let long = "é".repeat(40);
    let parsed = parse(&format!("SELECT \"{long}\", x AS {}; SELECT 1", "Y".repeat(64))).unwrap();
    let told: Vec<_> = parsed[0].truncated.iter().map(|t| (t.from.as_str(), t.to.as_str())).collect();
    assert_eq!(
        told,
        [
            (long.as_str(), "é".repeat(31).as_str()),
            ("y".repeat(64).as_str(), "y".repeat(63).as_str())
        ]
    );
    assert!(parsed[1].truncated.is_empty());
}

#[test]
fn a_statement_of_ten_megabytes_parses() {
    let row = "(1, 'some text that fills the row', 2.5),";
    let sql = format!("INSERT INTO t VALUES {}(1, 'last', 3)", row.repeat(10 * 1024 * 1024 / row.len()));
    assert!(sql.len() > 10_000_000);
    assert_eq!(parse(&sql).unwrap().len(), 1);
    let text = format!("SELECT '{}'", "x".repeat(10 * 1024 * 1024));
    assert_eq!(parse(&text).unwrap().len(), 1);
}

#[test]
fn random_bytes_never_panic() {
    // A small generator is enough: the point is odd token sequences, not their distribution.
    let words = [
        "select",
        "(",
        ")",
        "[",
        "]",
        ",",
        ".",
        "'",
        "\"",
        "$1",
        "$$",
        "from",
        "where",
        "group",
        "by",
        "e'",
        "\\",
        "u&'",
        "--",
        "/*",
        "*/",
        "case",
        "end",
        "1",
        "1.5",
        "::",
        "int",
        "é",
        "in",
        "not",
        "between",
        "and",
        "with",
        "as",
        "insert",
        "update",
        "set",
        "=",
        "create table",
        "alter",
        ";",
        "::=",
        "~",
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    for _ in 0..20_000 {
        let mut sql = String::new();
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        for _ in 0..(state >> 60) + 3 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            sql.push_str(words[(state >> 33) as usize % words.len()]);
            if state >> 62 != 0 {
                sql.push(' ');
            }
        }
        let _ = parse(&sql);
    }
}
