//! Rows of the system catalogs for the types that users made: `pg_type`, `pg_enum`, the constraints of domains, the relations and
//! attributes of composite types, and the array types of all of them.

use super::{Rows, flag, int2, int4, oid_of, text};
use curia_bind::ddl;
use curia_catalog::{Catalog, ConstraintKind, Domain, Oid, Type, TypeKind, types::array_name};
use curia_types::{Datum, oid, type_info};

/// Adds the rows of one system table.
pub(super) fn produce(table: &str, catalog: &Catalog, out: &mut Rows) {
    match table {
        "pg_type" => types(catalog, out),
        "pg_enum" => labels(catalog, out),
        "pg_constraint" => constraints(catalog, out),
        "pg_class" => relations(catalog, out),
        "pg_attribute" => attributes(catalog, out),
        _ => {}
    }
}

fn proc(name: &str) -> Datum {
    oid_of(super::facts::support_named(name).unwrap_or(0))
}

/// What every row of `pg_type` has: identity, and the names of its functions.
fn common(identity: (Oid, &str, Oid, Oid), functions: [&str; 4]) -> Vec<(&'static str, Datum)> {
    let (oid, name, schema, owner) = identity;
    vec![
        ("oid", oid_of(oid)),
        ("typname", text(name)),
        ("typnamespace", oid_of(schema)),
        ("typowner", oid_of(owner)),
        ("typlen", int2(type_info::length(oid))),
        ("typcategory", text(type_info::category(oid).to_string())),
        ("typisdefined", flag(true)),
        ("typdelim", text(type_info::delimiter(oid).to_string())),
        ("typinput", proc(functions[0])),
        ("typoutput", proc(functions[1])),
        ("typreceive", proc(functions[2])),
        ("typsend", proc(functions[3])),
        ("typtypmod", int4(-1)),
    ]
}

const RECORD: [&str; 4] = ["record_in", "record_out", "record_recv", "record_send"];
const ARRAY: [&str; 4] = ["array_in", "array_out", "array_recv", "array_send"];

fn types(catalog: &Catalog, out: &mut Rows) {
    let tables = catalog
        .tables
        .values()
        .map(|t| (t.row_type, t.row_array, &t.name, t.schema, t.owner, t.oid));
    let views = catalog
        .views
        .values()
        .map(|v| (v.row_type, v.row_array, &v.name, v.schema, v.owner, v.oid));
    for (oid, array, name, schema, owner, relation) in tables.chain(views) {
        composite(out, (oid, name, schema, owner), array, relation);
        if array != 0 {
            array_type(out, (array, &array_name(name), schema, owner), oid);
        }
    }
    for t in catalog.types.values() {
        let identity = (t.oid, t.name.as_str(), t.schema, t.owner);
        match &t.kind {
            TypeKind::Composite { relation, .. } => composite(out, identity, t.array, *relation),
            TypeKind::Enum(_) => {
                let mut row = common(identity, ["enum_in", "enum_out", "enum_recv", "enum_send"]);
                row.extend([
                    ("typtype", text("e")),
                    ("typbyval", flag(true)),
                    ("typarray", oid_of(t.array)),
                    ("typalign", text("i")),
                    ("typstorage", text("p")),
                ]);
                out.add(&row);
            }
            TypeKind::Domain(d) => domain(catalog, out, t, d),
        }
        array_type(out, (t.array, &t.array_name, t.schema, t.owner), t.oid);
    }
}

fn composite(out: &mut Rows, identity: (Oid, &str, Oid, Oid), array: Oid, relation: Oid) {
    let mut row = common(identity, RECORD);
    row.extend([
        ("typtype", text("c")),
        ("typrelid", oid_of(relation)),
        ("typarray", oid_of(array)),
        ("typalign", text("d")),
        ("typstorage", text("x")),
    ]);
    out.add(&row);
}

fn domain(catalog: &Catalog, out: &mut Rows, t: &Type, d: &Domain) {
    let base = type_info::by_oid(type_info::base_type(d.base.oid));
    let (output, send) = base.map_or(("record_out", "record_send"), |b| (b.output, b.send));
    let mut row = common((t.oid, &t.name, t.schema, t.owner), ["domain_in", output, "domain_recv", send]);
    let path = ["public".to_owned()];
    let default = d.default.as_deref().map(|d| ddl::stored_text_shown(catalog, &path, d, None, false));
    row.extend([
        ("typtype", text("d")),
        ("typbyval", flag(base.is_some_and(|b| b.by_value))),
        ("typarray", oid_of(t.array)),
        ("typalign", text(base.map_or('i', |b| b.align).to_string())),
        ("typstorage", text(base.map_or('x', |b| b.storage).to_string())),
        ("typnotnull", flag(d.not_null)),
        ("typbasetype", oid_of(d.base.oid)),
        ("typtypmod", int4(d.base.typmod)),
        ("typndims", int4(i32::from(type_info::element_of(d.base.oid).is_some()))),
        ("typcollation", oid_of(base.map_or(0, |b| b.collation))),
        ("typdefault", default.as_ref().map_or(Datum::Null, text)),
        ("typdefaultbin", default.as_ref().map_or(Datum::Null, text)),
    ]);
    out.add(&row);
}

fn array_type(out: &mut Rows, identity: (Oid, &str, Oid, Oid), element: Oid) {
    let mut row = common(identity, ARRAY);
    let wide = type_info::is_composite(type_info::base_type(element));
    row.extend([
        ("typtype", text("b")),
        ("typelem", oid_of(element)),
        ("typalign", text(if wide { "d" } else { "i" })),
        ("typstorage", text("x")),
    ]);
    out.add(&row);
}

fn labels(catalog: &Catalog, out: &mut Rows) {
    for t in catalog.types.values() {
        for label in t.labels() {
            out.add(&[
                ("oid", oid_of(label.oid)),
                ("enumtypid", oid_of(t.oid)),
                ("enumsortorder", Datum::Float4(label.order)),
                ("enumlabel", text(&label.label)),
            ]);
        }
    }
}

fn constraints(catalog: &Catalog, out: &mut Rows) {
    for t in catalog.types.values() {
        let Some(d) = t.domain() else { continue };
        for c in &d.checks {
            let ConstraintKind::Check { expression } = &c.kind else { continue };
            out.add(&[
                ("oid", oid_of(c.oid)),
                ("conname", text(&c.name)),
                ("connamespace", oid_of(t.schema)),
                ("contype", text("c")),
                ("contypid", oid_of(t.oid)),
                ("convalidated", flag(!c.not_valid)),
                ("conislocal", flag(true)),
                ("confupdtype", text(" ")),
                ("confdeltype", text(" ")),
                ("confmatchtype", text(" ")),
                ("conbin", text(expression)),
            ]);
        }
    }
}

fn relations(catalog: &Catalog, out: &mut Rows) {
    for t in catalog.types.values() {
        let TypeKind::Composite { relation, attributes } = &t.kind else {
            continue;
        };
        out.add(&[
            ("oid", oid_of(*relation)),
            ("relname", text(&t.name)),
            ("relnamespace", oid_of(t.schema)),
            ("reltype", oid_of(t.oid)),
            ("relowner", oid_of(t.owner)),
            ("relkind", text("c")),
            ("relpersistence", text("p")),
            ("relnatts", int2(attributes.len() as i64)),
            ("relispopulated", flag(true)),
            ("relreplident", text("n")),
        ]);
    }
}

fn attributes(catalog: &Catalog, out: &mut Rows) {
    for t in catalog.types.values() {
        let TypeKind::Composite { relation, attributes } = &t.kind else {
            continue;
        };
        for a in attributes {
            super::relations::attribute(out, *relation, &a.name, a.attnum, a.ty, &[]);
        }
    }
}

/// A domain's constraint as `pg_get_constraintdef` shows it.
pub(super) fn constraint_shown(catalog: &Catalog, search_path: &[String], constraint: Oid, pretty: bool) -> Option<String> {
    catalog.types.values().find_map(|t| {
        let d = t.domain()?;
        let c = d.checks.iter().find(|c| c.oid == constraint)?;
        let ConstraintKind::Check { expression } = &c.kind else {
            return None;
        };
        let shown = curia_bind::domain::constraint_shown(catalog, search_path, expression, d.base, pretty);
        Some(if c.not_valid { format!("{shown} NOT VALID") } else { shown })
    })
}

/// `attndims` and the like: whether a type is an array.
pub(super) fn is_array(ty: Oid) -> bool {
    type_info::element_of(ty).is_some() || matches!(ty, oid::INT2VECTOR | oid::OIDVECTOR)
}
