//! Expressions of definitions are checked like PostgreSQL does and shown like `pg_get_expr` does.

use crate::fixture;
use curia_bind::ddl;
use curia_types::{PgType, Result, oid};

fn default(text: &str, ty: PgType) -> Result<String> {
    let catalog = fixture::catalog();
    let path = ["golden".to_owned()];
    ddl::default_text(&catalog, &path, &curia_parse::parse_expression(text)?, "c", ty)
}

fn check(text: &str) -> Result<String> {
    let catalog = fixture::catalog();
    let path = ["golden".to_owned()];
    let table = catalog.tables.values().find(|t| t.name == "t").unwrap();
    ddl::check_text(&catalog, &path, &curia_parse::parse_expression(text)?, table).map(|r| r.0)
}

#[test]
fn defaults_are_shown_as_postgresql_shows_them() {
    let varchar = PgType::with_typmod(oid::VARCHAR, 14);
    for (text, ty, shown) in [
        ("5", PgType::INT8, "5"),
        ("-5", PgType::INT4, "'-5'::integer"),
        ("'x'", varchar, "'x'::character varying"),
        ("'x'", PgType::TEXT, "'x'::text"),
        ("true", PgType::BOOL, "true"),
        ("1.5", PgType::NUMERIC, "1.5"),
        ("now()", PgType::TIMESTAMPTZ, "now()"),
        ("current_date", PgType::DATE, "CURRENT_DATE"),
        ("1 + 2", PgType::INT4, "(1 + 2)"),
        ("'2020-01-01'", PgType::DATE, "'2020-01-01'::date"),
        ("null", PgType::INT4, "NULL::integer"),
        ("upper('a')", PgType::TEXT, "upper('a'::text)"),
    ] {
        assert_eq!(default(text, ty).unwrap(), shown, "{text}");
    }
}

#[test]
fn a_sequence_in_a_default_is_kept_by_number_and_shown_by_name() {
    let catalog = fixture::catalog();
    let stored = default("nextval('ident_id_seq')", PgType::INT4).unwrap();
    let sequence = catalog.sequences.values().find(|s| s.name == "ident_id_seq").unwrap().oid;
    assert_eq!(stored, format!("nextval('{sequence}'::regclass)"));
    let shown = |path: &[&str]| {
        let path: Vec<String> = path.iter().map(|s| (*s).to_owned()).collect();
        ddl::stored_text_shown(&catalog, &path, &stored, None, false)
    };
    assert_eq!(shown(&["public"]), "nextval('golden.ident_id_seq'::regclass)");
    assert_eq!(shown(&["golden"]), "nextval('ident_id_seq'::regclass)");
    assert!(ddl::is_volatile(&catalog, &[], &stored).unwrap());
    assert!(!ddl::is_volatile(&catalog, &[], "now()").unwrap());
}

#[test]
fn defaults_may_not_mention_columns_or_hold_subqueries() {
    for (text, message) in [
        ("a", "cannot use column reference in DEFAULT expression"),
        ("(select 1)", "cannot use subquery in DEFAULT expression"),
        ("sum(1)", "aggregate functions are not allowed in DEFAULT expressions"),
        ("true", "column \"c\" is of type integer but default expression is of type boolean"),
        ("'x'", "invalid input syntax for type integer: \"x\""),
    ] {
        assert_eq!(default(text, PgType::INT4).unwrap_err().message(), message, "{text}");
    }
}

#[test]
fn check_expressions_are_shown_as_postgresql_shows_them() {
    for (text, shown) in [
        ("a > 0", "(a > 0)"),
        ("a > 0 and b <> ''", "((a > 0) AND (b <> ''::text))"),
        ("a in (1, 2)", "(a = ANY (ARRAY[1, 2]))"),
        ("b like 'x%'", "(b ~~ 'x%'::text)"),
        ("c is not null or not a = 1", "((c IS NOT NULL) OR (NOT (a = 1)))"),
        ("length(b) > 3", "(length(b) > 3)"),
        ("e > 'a'", "((e)::text > 'a'::text)"),
        ("a between 1 and 5", "((a >= 1) AND (a <= 5))"),
        ("t.a > 0", "(a > 0)"),
        ("a::text = b", "((a)::text = b)"),
        (
            "case when a > 1 then true end",
            "CASE WHEN (a > 1) THEN true ELSE NULL::boolean END",
        ),
        ("coalesce(a, 0) < 5", "(COALESCE(a, 0) < 5)"),
    ] {
        let text_shown = check(text).unwrap();
        assert_eq!(text_shown, shown, "{text}");
        assert_eq!(check(&text_shown).unwrap(), shown, "the text of {text} binds back to itself");
    }
}

#[test]
fn check_expressions_must_be_boolean_over_the_tables_columns() {
    assert_eq!(
        check("a").unwrap_err().message(),
        "argument of CHECK must be type boolean, not type integer"
    );
    assert_eq!(check("nothing > 1").unwrap_err().message(), "column \"nothing\" does not exist");
    assert_eq!(
        check("(select true)").unwrap_err().message(),
        "cannot use subquery in check constraint"
    );
}

#[test]
fn renaming_a_column_renames_it_in_check_expressions() {
    let catalog = fixture::catalog();
    let old = catalog.tables.values().find(|t| t.name == "t").unwrap();
    let mut new = (**old).clone();
    new.columns[0].name = "Order".to_owned();
    let text = ddl::check_text_renamed(&catalog, "((a > 0) AND (length(b) < a))", old, &new).unwrap();
    assert_eq!(text, "((\"Order\" > 0) AND (length(b) < \"Order\"))");
    assert_eq!(ddl::check_columns(&catalog, "((a > 0) AND (c > 1.0))", old).unwrap(), [0, 2]);
}

#[test]
fn constraints_and_indexes_are_shown_as_postgresql_shows_them() {
    let catalog = fixture::catalog();
    let pair = catalog.tables.values().find(|t| t.name == "pair").unwrap();
    let shown = |table: &curia_catalog::Table, pretty| curia_bind::deparse::constraint(&catalog, &[], table, &table.constraints[0], pretty);
    assert_eq!(shown(pair, false), "PRIMARY KEY (x, y)");
    assert_eq!(
        curia_bind::deparse::index(&catalog, pair, &pair.indexes[0], false),
        "CREATE UNIQUE INDEX pair_pkey ON golden.pair USING btree (x, y)"
    );
    let chk = catalog.tables.values().find(|t| t.name == "chk").unwrap();
    assert_eq!(shown(chk, false), "CHECK ((a > 0))");
    assert_eq!(shown(chk, true), "CHECK (a > 0)");
}
