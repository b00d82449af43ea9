//! `information_schema`, for the objects that exist here. The catalog's name is the database's.

use super::functions::{DELETE, INSERT, UPDATE, row_changes};
use super::privileges::Asker;
use super::{Rows, int4, text};
use crate::exec::Exec;
use curia_catalog::system::system_tables;
use curia_catalog::{Catalog, ConstraintKind, ForeignKeyAction, Identity, Table, Timing};
use curia_types::{Datum, PgType, numeric, oid, type_info};

/// `pg_proc.oid` of current_user().
const CURRENT_USER: u32 = 745;
/// `pg_proc.oid` of pg_get_expr(pg_node_tree, oid).
const PG_GET_EXPR: u32 = 1716;

fn yes(b: bool) -> Datum {
    text(if b { "YES" } else { "NO" })
}

/// Adds the rows of one table of `information_schema`.
pub(super) fn produce(name: &str, catalog: &Catalog, exec: &Exec, out: &mut Rows) {
    // Stored expressions show the names that the session's search path finds, as pg_get_expr does.
    let shown = |expression: &String, table: &Table| {
        exec.context
            .session_call(PG_GET_EXPR, &[text(expression), Datum::Oid(table.oid)])
            .unwrap_or_else(|_| text(expression))
    };
    let database = text(catalog.databases.values().next().map_or("", |d| d.name.as_str()));
    let asker = Asker {
        catalog,
        role: match exec.context.session_call(CURRENT_USER, &[]) {
            Ok(Datum::Text(name)) => catalog.role(&name).map_or(u32::MAX, |r| r.oid),
            _ => u32::MAX,
        },
    };
    let schema_of = |t: &Table| text(catalog.schema_name(t.schema));
    match name {
        "information_schema_catalog_name" => out.add(&[("catalog_name", database)]),
        "schemata" => {
            for s in catalog.schemas.values() {
                out.add(&[
                    ("catalog_name", database.clone()),
                    ("schema_name", text(&s.name)),
                    ("schema_owner", text(super::relations::owner(catalog, s.owner))),
                ]);
            }
        }
        "tables" => {
            for t in catalog
                .tables
                .values()
                .filter(|t| t.materialized.is_none() && asker.sees_relation(t.oid))
            {
                out.add(&[
                    ("table_catalog", database.clone()),
                    ("table_schema", schema_of(t)),
                    ("table_name", text(&t.name)),
                    (
                        "table_type",
                        text(if catalog.is_temporary(t.schema) {
                            "LOCAL TEMPORARY"
                        } else {
                            "BASE TABLE"
                        }),
                    ),
                    ("is_insertable_into", yes(true)),
                    ("is_typed", yes(false)),
                ]);
            }
            for v in catalog.views.values().filter(|v| asker.sees_relation(v.oid)) {
                out.add(&[
                    ("table_catalog", database.clone()),
                    ("table_schema", text(catalog.schema_name(v.schema))),
                    ("table_name", text(&v.name)),
                    ("table_type", text("VIEW")),
                    ("is_insertable_into", yes(row_changes(catalog, v.oid) & INSERT != 0)),
                    ("is_typed", yes(false)),
                ]);
            }
            for s in system_tables() {
                out.add(&[
                    ("table_catalog", database.clone()),
                    ("table_schema", text(s.schema_name)),
                    ("table_name", text(s.name)),
                    ("table_type", text(if s.kind == 'v' { "VIEW" } else { "BASE TABLE" })),
                    ("is_insertable_into", yes(false)),
                    ("is_typed", yes(false)),
                ]);
            }
        }
        "columns" => {
            for t in catalog.tables.values().filter(|t| t.materialized.is_none()) {
                for (n, (_, c)) in t
                    .live_columns()
                    .enumerate()
                    .filter(|(_, (_, c))| asker.sees_column(t.oid, c.attnum))
                {
                    let mut row = vec![
                        ("table_catalog", database.clone()),
                        ("table_schema", schema_of(t)),
                        ("table_name", text(&t.name)),
                        ("column_name", text(&c.name)),
                        ("ordinal_position", int4(i32::from(c.attnum).max(n as i32 + 1))),
                        (
                            if c.generated { "generation_expression" } else { "column_default" },
                            c.default.as_ref().map_or(Datum::Null, |d| shown(d, t)),
                        ),
                        ("is_nullable", yes(!c.not_null)),
                        ("is_identity", yes(c.identity.is_some())),
                        ("is_generated", text(if c.generated { "ALWAYS" } else { "NEVER" })),
                        ("is_updatable", yes(true)),
                        ("is_self_referencing", yes(false)),
                        ("identity_cycle", yes(false)),
                        ("dtd_identifier", text(c.attnum.to_string())),
                    ];
                    if let Some(identity) = c.identity {
                        row.push((
                            "identity_generation",
                            text(if identity == Identity::Always { "ALWAYS" } else { "BY DEFAULT" }),
                        ));
                        if let Some(s) = catalog.owned_sequences(t.oid, Some(c.attnum)).next() {
                            row.retain(|(name, _)| *name != "identity_cycle");
                            row.extend([
                                ("identity_start", text(s.start.to_string())),
                                ("identity_increment", text(s.increment.to_string())),
                                ("identity_maximum", text(s.max.to_string())),
                                ("identity_minimum", text(s.min.to_string())),
                                ("identity_cycle", yes(s.cycle)),
                            ]);
                        }
                    }
                    describe_type(c.ty, &database, &mut row);
                    out.add(&row);
                }
            }
            let mut fixed = |schema: &str, relation: &str, n: usize, name: &str, ty: PgType, not_null: bool, updatable: bool| {
                let mut row = vec![
                    ("table_catalog", database.clone()),
                    ("table_schema", text(schema)),
                    ("table_name", text(relation)),
                    ("column_name", text(name)),
                    ("ordinal_position", int4(n as i32 + 1)),
                    ("is_nullable", yes(!not_null)),
                    ("is_identity", yes(false)),
                    ("is_generated", text("NEVER")),
                    ("is_updatable", yes(updatable)),
                    ("is_self_referencing", yes(false)),
                    ("identity_cycle", yes(false)),
                    ("dtd_identifier", text((n + 1).to_string())),
                ];
                describe_type(ty, &database, &mut row);
                out.add(&row);
            };
            for v in catalog.views.values() {
                let updatable = curia_bind::updatable_columns(catalog, v).unwrap_or_default();
                for (n, c) in v.columns.iter().enumerate() {
                    let updatable = updatable.get(n) == Some(&true);
                    fixed(catalog.schema_name(v.schema), &v.name, n, &c.name, c.ty, false, updatable);
                }
            }
            for s in system_tables() {
                for (n, c) in s.columns.iter().enumerate() {
                    fixed(s.schema_name, s.name, n, c.name, c.ty, c.not_null, false);
                }
            }
        }
        "views" => {
            for v in catalog.views.values() {
                let changes = row_changes(catalog, v.oid);
                let check = v.options.iter().find(|(name, _)| name == "check_option");
                out.add(&[
                    ("table_catalog", database.clone()),
                    ("table_schema", text(catalog.schema_name(v.schema))),
                    ("table_name", text(&v.name)),
                    ("view_definition", super::shown_view(exec, v.oid)),
                    (
                        "check_option",
                        text(check.map_or_else(|| "NONE".to_owned(), |(_, value)| value.to_uppercase())),
                    ),
                    ("is_updatable", yes(changes & (UPDATE | DELETE) == UPDATE | DELETE)),
                    ("is_insertable_into", yes(changes & INSERT != 0)),
                    ("is_trigger_updatable", yes(false)),
                    ("is_trigger_deletable", yes(false)),
                    ("is_trigger_insertable_into", yes(false)),
                ]);
            }
        }
        "table_constraints" | "check_constraints" | "key_column_usage" | "constraint_column_usage" | "constraint_table_usage" => {
            constraints(name, catalog, &database, out);
        }
        "sequences" => {
            for s in catalog.sequences.values().filter(|s| !super::relations::is_identity(catalog, s)) {
                let (precision, type_name) = match s.ty.oid {
                    oid::INT2 => (16, "smallint"),
                    oid::INT4 => (32, "integer"),
                    _ => (64, "bigint"),
                };
                out.add(&[
                    ("sequence_catalog", database.clone()),
                    ("sequence_schema", text(catalog.schema_name(s.schema))),
                    ("sequence_name", text(&s.name)),
                    ("data_type", text(type_name)),
                    ("numeric_precision", int4(precision)),
                    ("numeric_precision_radix", int4(2)),
                    ("numeric_scale", int4(0)),
                    ("start_value", text(s.start.to_string())),
                    ("minimum_value", text(s.min.to_string())),
                    ("maximum_value", text(s.max.to_string())),
                    ("increment", text(s.increment.to_string())),
                    ("cycle_option", yes(s.cycle)),
                ]);
            }
        }
        "character_sets" => out.add(&[
            ("character_set_name", text("UTF8")),
            ("character_repertoire", text("UCS")),
            ("form_of_use", text("UTF8")),
            ("default_collate_catalog", database),
        ]),
        _ => {
            if !super::privileges::produce(name, &asker, &database, out) {
                super::information_routines::produce(name, &asker, &database, out);
            }
        }
    }
}

fn describe_type(ty: PgType, database: &Datum, row: &mut Vec<(&'static str, Datum)>) {
    let info = type_info::by_oid(ty.oid);
    let is_array = info.is_some_and(|i| i.category == 'A' && i.len == -1);
    row.push((
        "data_type",
        if is_array {
            text("ARRAY")
        } else {
            text(type_info::format_type(ty.oid, -1))
        },
    ));
    row.push(("udt_catalog", database.clone()));
    row.push(("udt_schema", text("pg_catalog")));
    row.push(("udt_name", text(info.map_or("", |i| i.name))));
    match ty.oid {
        oid::VARCHAR | oid::BPCHAR => {
            if ty.typmod >= 4 {
                row.push(("character_maximum_length", int4(ty.typmod - 4)));
                row.push(("character_octet_length", int4((ty.typmod - 4).saturating_mul(4))));
            } else {
                row.push(("character_octet_length", int4(1 << 30)));
            }
        }
        oid::TEXT => row.push(("character_octet_length", int4(1 << 30))),
        oid::INT2 | oid::INT4 | oid::INT8 => {
            let bits = match ty.oid {
                oid::INT2 => 16,
                oid::INT4 => 32,
                _ => 64,
            };
            row.extend([
                ("numeric_precision", int4(bits)),
                ("numeric_precision_radix", int4(2)),
                ("numeric_scale", int4(0)),
            ]);
        }
        oid::FLOAT4 | oid::FLOAT8 => {
            row.extend([
                ("numeric_precision", int4(if ty.oid == oid::FLOAT4 { 24 } else { 53 })),
                ("numeric_precision_radix", int4(2)),
            ]);
        }
        oid::NUMERIC => {
            row.push(("numeric_precision_radix", int4(10)));
            if let Some((precision, scale)) = numeric::precision_and_scale(ty.typmod) {
                row.extend([("numeric_precision", int4(precision)), ("numeric_scale", int4(scale))]);
            }
        }
        oid::DATE => row.push(("datetime_precision", int4(0))),
        oid::TIME | oid::TIMETZ | oid::TIMESTAMP | oid::TIMESTAMPTZ | oid::INTERVAL => {
            let precision = if ty.typmod >= 0 && ty.oid != oid::INTERVAL { ty.typmod } else { 6 };
            row.push(("datetime_precision", int4(precision)));
        }
        _ => {}
    }
}

fn constraints(view: &str, catalog: &Catalog, database: &Datum, out: &mut Rows) {
    for t in catalog.tables.values() {
        let schema = text(catalog.schema_name(t.schema));
        let named = |name: &str| {
            vec![
                ("constraint_catalog", database.clone()),
                ("constraint_schema", schema.clone()),
                ("constraint_name", text(name)),
                ("table_catalog", database.clone()),
                ("table_schema", schema.clone()),
                ("table_name", text(&t.name)),
            ]
        };
        for c in &t.constraints {
            let (kind, index) = match &c.kind {
                ConstraintKind::Check { .. } => ("CHECK", None),
                ConstraintKind::Unique { primary: true, index } => ("PRIMARY KEY", t.index(*index)),
                ConstraintKind::Unique { index, .. } => ("UNIQUE", t.index(*index)),
                ConstraintKind::ForeignKey(_) => ("FOREIGN KEY", None),
            };
            match (view, &c.kind) {
                ("table_constraints", _) => {
                    let mut row = named(&c.name);
                    row.extend([
                        ("constraint_type", text(kind)),
                        ("is_deferrable", yes(c.timing != Timing::Immediate)),
                        ("initially_deferred", yes(c.timing == Timing::Deferred)),
                        ("enforced", yes(true)),
                    ]);
                    out.add(&row);
                }
                ("referential_constraints", ConstraintKind::ForeignKey(key)) => {
                    let mut row = named(&c.name);
                    row.truncate(3);
                    if let Some(other) = catalog.tables.get(&key.table) {
                        // Of the constraint whose index it is; an index alone has none.
                        let name = other.constraints.iter().find_map(|c| match c.kind {
                            ConstraintKind::Unique { index, .. } if index == key.index => Some(text(&c.name)),
                            _ => None,
                        });
                        if let Some(name) = name {
                            row.extend([
                                ("unique_constraint_catalog", database.clone()),
                                ("unique_constraint_schema", text(catalog.schema_name(other.schema))),
                                ("unique_constraint_name", name),
                            ]);
                        }
                    }
                    let rule = |action| {
                        text(match action {
                            ForeignKeyAction::NoAction => "NO ACTION",
                            ForeignKeyAction::Restrict => "RESTRICT",
                            ForeignKeyAction::Cascade => "CASCADE",
                            ForeignKeyAction::SetNull => "SET NULL",
                            ForeignKeyAction::SetDefault => "SET DEFAULT",
                        })
                    };
                    row.extend([
                        ("match_option", text(if key.full { "FULL" } else { "NONE" })),
                        ("update_rule", rule(key.on_update)),
                        ("delete_rule", rule(key.on_delete)),
                    ]);
                    out.add(&row);
                }
                ("key_column_usage", ConstraintKind::ForeignKey(key)) => {
                    let other = catalog.tables.get(&key.table).and_then(|o| o.index(key.index));
                    for (n, (column, referenced)) in (1..).zip(key.columns.iter().zip(&key.key)) {
                        let mut row = named(&c.name);
                        row.extend([("column_name", text(&t.columns[*column].name)), ("ordinal_position", int4(n))]);
                        if let Some(at) = other.and_then(|i| i.columns().position(|k| k == *referenced)) {
                            row.push(("position_in_unique_constraint", int4(at as i32 + 1)));
                        }
                        out.add(&row);
                    }
                }
                ("constraint_column_usage", ConstraintKind::ForeignKey(key)) => {
                    if let Some(other) = catalog.tables.get(&key.table) {
                        for column in &key.key {
                            let mut row = named(&c.name);
                            row.retain(|(name, _)| !name.starts_with("table_"));
                            row.extend([
                                ("table_catalog", database.clone()),
                                ("table_schema", text(catalog.schema_name(other.schema))),
                                ("table_name", text(&other.name)),
                                ("column_name", text(&other.columns[*column].name)),
                            ]);
                            out.add(&row);
                        }
                    }
                }
                ("check_constraints", ConstraintKind::Check { expression }) => {
                    let mut row = named(&c.name);
                    row.push(("check_clause", text(format!("({expression})"))));
                    out.add(&row);
                }
                ("key_column_usage" | "constraint_column_usage", ConstraintKind::Unique { .. }) => {
                    for (n, column) in index.iter().flat_map(|i| i.columns()).enumerate() {
                        let mut row = named(&c.name);
                        row.extend([
                            ("column_name", text(&t.columns[column].name)),
                            ("ordinal_position", int4(n as i32 + 1)),
                        ]);
                        out.add(&row);
                    }
                }
                ("constraint_table_usage", ConstraintKind::Unique { .. }) => out.add(&named(&c.name)),
                _ => {}
            }
        }
        if matches!(view, "table_constraints" | "check_constraints") {
            for (_, c) in t.live_columns().filter(|(_, c)| c.not_null) {
                let name = format!("{}_{}_{}_not_null", t.schema, t.oid, c.attnum);
                let mut row = named(&name);
                row.extend([
                    ("constraint_type", text("CHECK")),
                    ("is_deferrable", yes(false)),
                    ("initially_deferred", yes(false)),
                    ("enforced", yes(true)),
                    ("check_clause", text(format!("{} IS NOT NULL", c.name))),
                ]);
                out.add(&row);
            }
        }
    }
}
