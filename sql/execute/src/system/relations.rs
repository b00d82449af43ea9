//! `pg_class` and what hangs on it: attributes, defaults, indexes, constraints, sequences, dependencies, comments.

use super::{Rows, flag, int2, int2s, int4, oid_of, oids, partitions, text};
use crate::exec::Exec;
use crate::write::References;
use curia_bind::deparse;
use curia_catalog::system::{CURIA, PG_CATALOG, SystemColumn, SystemIndex, SystemTable, system_indexes, system_table, system_tables};
use curia_catalog::{Catalog, ConstraintKind, ForeignKeyAction, Identity, Index, KeyOf, Oid, Sequence, Table, Timing};
use curia_types::{Datum, PgType, oid, type_info};

/// OID of `pg_class`, as dependencies and comments name it.
pub(super) const CLASS: u32 = 1259;
/// OID of `pg_extension`.
pub(super) const EXTENSIONS: u32 = 3079;
/// OID of the extension whose the schema `curia` is.
pub(super) const EXTENSION: Oid = 15_001;

/// Adds the rows of one of these tables; false for another one.
pub(super) fn produce(name: &str, catalog: &Catalog, exec: &Exec, out: &mut Rows) -> bool {
    match name {
        "pg_namespace" => {
            for s in catalog.schemas.values() {
                out.add(&[("oid", oid_of(s.oid)), ("nspname", text(&s.name)), ("nspowner", oid_of(s.owner))]);
            }
        }
        "pg_class" => classes(catalog, exec, out),
        "pg_attribute" => attributes(catalog, out),
        "pg_attrdef" => {
            for (t, i, c) in columns(catalog) {
                if let Some(default) = &c.default {
                    out.add(&[
                        ("oid", oid_of(default_oid(t.oid, i))),
                        ("adrelid", oid_of(t.oid)),
                        ("adnum", int2(c.attnum)),
                        ("adbin", text(default)),
                    ]);
                }
            }
        }
        "pg_index" => {
            for t in catalog.tables.values() {
                t.indexes.iter().for_each(|i| index_row(t, i, out));
            }
            system_indexes().iter().for_each(|i| system_index_row(i, out));
        }
        "pg_constraint" => {
            constraints(catalog, out);
            system_indexes().iter().for_each(|i| system_constraint_row(i, out));
        }
        "pg_inherits" => partitions::inherits(catalog, out),
        "pg_partitioned_table" => partitions::partitioned(catalog, out),
        "pg_sequence" => {
            for s in catalog.sequences.values() {
                out.add(&[
                    ("seqrelid", oid_of(s.oid)),
                    ("seqtypid", oid_of(s.ty.oid)),
                    ("seqstart", Datum::Int8(s.start)),
                    ("seqincrement", Datum::Int8(s.increment)),
                    ("seqmax", Datum::Int8(s.max)),
                    ("seqmin", Datum::Int8(s.min)),
                    ("seqcache", Datum::Int8(s.cache)),
                    ("seqcycle", flag(s.cycle)),
                ]);
            }
        }
        "pg_sequences" => {
            for s in catalog.sequences.values() {
                out.add(&[
                    ("schemaname", text(catalog.schema_name(s.schema))),
                    ("sequencename", text(&s.name)),
                    ("sequenceowner", text(owner(catalog, s.owner))),
                    ("data_type", oid_of(s.ty.oid)),
                    ("start_value", Datum::Int8(s.start)),
                    ("min_value", Datum::Int8(s.min)),
                    ("max_value", Datum::Int8(s.max)),
                    ("increment_by", Datum::Int8(s.increment)),
                    ("cycle", flag(s.cycle)),
                    ("cache_size", Datum::Int8(s.cache)),
                ]);
            }
        }
        "pg_matviews" => {
            for t in catalog.tables.values() {
                let Some(m) = &t.materialized else { continue };
                out.add(&[
                    ("schemaname", text(catalog.schema_name(t.schema))),
                    ("matviewname", text(&t.name)),
                    ("matviewowner", text(owner(catalog, t.owner))),
                    ("hasindexes", flag(!t.indexes.is_empty())),
                    ("ispopulated", flag(m.populated)),
                    ("definition", super::shown_view(exec, t.oid)),
                ]);
            }
        }
        "pg_tables" => {
            for t in catalog.tables.values().filter(|t| t.materialized.is_none()) {
                out.add(&[
                    ("schemaname", text(catalog.schema_name(t.schema))),
                    ("tablename", text(&t.name)),
                    ("tableowner", text(owner(catalog, t.owner))),
                    ("hasindexes", flag(!t.indexes.is_empty())),
                    ("hasrules", flag(false)),
                    ("hastriggers", flag(false)),
                    ("rowsecurity", flag(false)),
                ]);
            }
            for s in system_tables().iter().filter(|s| s.kind == 'r') {
                out.add(&[
                    ("schemaname", text(s.schema_name)),
                    ("tablename", text(s.name)),
                    ("tableowner", text(owner(catalog, 10))),
                    ("hasindexes", flag(system_indexes().iter().any(|i| i.table == s.oid))),
                    ("hasrules", flag(false)),
                    ("hastriggers", flag(false)),
                    ("rowsecurity", flag(false)),
                ]);
            }
        }
        "pg_indexes" => {
            for t in catalog.tables.values() {
                for i in &t.indexes {
                    out.add(&[
                        ("schemaname", text(catalog.schema_name(t.schema))),
                        ("tablename", text(&t.name)),
                        ("indexname", text(&i.name)),
                        ("indexdef", text(deparse::index(catalog, t, i, false))),
                    ]);
                }
            }
            for i in system_indexes() {
                out.add(&[
                    ("schemaname", text("pg_catalog")),
                    ("tablename", text(system_table(i.table).map_or("", |t| t.name))),
                    ("indexname", text(i.name)),
                    ("indexdef", text(super::functions::system_index_shown(i))),
                ]);
            }
        }
        "pg_views" => {
            for v in catalog.views.values() {
                out.add(&[
                    ("schemaname", text(catalog.schema_name(v.schema))),
                    ("viewname", text(&v.name)),
                    ("viewowner", text(owner(catalog, v.owner))),
                    ("definition", super::shown_view(exec, v.oid)),
                ]);
            }
            for s in system_tables().iter().filter(|s| s.kind == 'v') {
                out.add(&[
                    ("schemaname", text(s.schema_name)),
                    ("viewname", text(s.name)),
                    ("viewowner", text(owner(catalog, 10))),
                ]);
            }
        }
        // Dumps leave out what is an extension's, and the schema `curia` is there without being made.
        "pg_extension" => out.add(&[
            ("oid", oid_of(EXTENSION)),
            ("extname", text("curia")),
            ("extowner", oid_of(10)),
            ("extnamespace", oid_of(CURIA)),
            ("extversion", text(env!("CARGO_PKG_VERSION"))),
        ]),
        "pg_depend" => super::depend::produce(catalog, out),
        "pg_rewrite" => {
            let view = |relation: Oid| {
                [
                    ("oid", oid_of(rule_oid(relation))),
                    ("rulename", text("_RETURN")),
                    ("ev_class", oid_of(relation)),
                    ("ev_type", text("1")),
                    ("ev_enabled", text("O")),
                    ("is_instead", flag(true)),
                ]
            };
            let materialized = catalog.tables.values().filter(|t| t.materialized.is_some());
            let all = catalog.views.keys().copied().chain(materialized.map(|t| t.oid));
            all.for_each(|oid| out.add(&view(oid)));
        }
        "pg_description" => {
            for ((object, attnum), c) in catalog.comments.iter() {
                out.add(&[
                    ("objoid", oid_of(*object)),
                    ("classoid", oid_of(class_of(catalog, *object))),
                    ("objsubid", int4(i32::from(*attnum))),
                    ("description", text(&c.text)),
                ]);
            }
        }
        _ => return false,
    }
    true
}

/// The system table that an object's row is in.
pub(super) fn class_of(catalog: &Catalog, object: Oid) -> u32 {
    if catalog.schemas.contains_key(&object) {
        2615
    } else if catalog.types.contains_key(&object) {
        1247
    } else if catalog.functions.contains_key(&object) {
        1255
    } else if catalog
        .types
        .values()
        .filter_map(|t| t.domain())
        .any(|d| d.checks.iter().any(|c| c.oid == object))
        || catalog.tables.values().any(|t| t.constraints.iter().any(|c| c.oid == object))
    {
        2606
    } else {
        CLASS
    }
}

pub(super) fn owner(catalog: &Catalog, oid: Oid) -> &str {
    catalog.roles.get(&oid).map_or("", |r| r.name.as_str())
}

fn columns(catalog: &Catalog) -> impl Iterator<Item = (&Table, usize, &curia_catalog::Column)> {
    catalog
        .tables
        .values()
        .flat_map(|t| t.live_columns().map(move |(i, c)| (&**t, i, c)))
}

/// A default's OID: no object of its own stores one, so it follows from the column, the same on every server.
pub(super) fn default_oid(table: Oid, column: usize) -> Oid {
    0x8000_0000 | (table << 11) | (column as u32 + 1)
}

/// OID of the rule that a view's query is, likewise: no column has the number 0.
pub(super) fn rule_oid(view: Oid) -> Oid {
    0x8000_0000 | (view << 11)
}

fn classes(catalog: &Catalog, exec: &Exec, out: &mut Rows) {
    let common = |oid: Oid, name: &str, schema: Oid, owner: Oid, kind: &'static str, natts: usize| {
        vec![
            ("oid", oid_of(oid)),
            ("relname", text(name)),
            ("relnamespace", oid_of(schema)),
            ("relowner", oid_of(owner)),
            ("relkind", text(kind)),
            ("relnatts", int2(natts as i64)),
            ("relpersistence", text(if catalog.is_temporary(schema) { "t" } else { "p" })),
            ("relreplident", text(if matches!(kind, "r" | "m" | "p") { "d" } else { "n" })),
            ("relispopulated", flag(true)),
            ("reltuples", Datum::Float4(-1.0)),
        ]
    };
    for t in catalog.tables.values() {
        let kind = match () {
            () if t.materialized.is_some() => "m",
            () if t.is_partitioned() => "p",
            () => "r",
        };
        let mut row = common(t.oid, &t.name, t.schema, t.owner, kind, t.columns.len());
        row.retain(|(name, _)| *name != "relispopulated");
        let pages = exec.view().map_or(0, |v| v.approximate_bytes(t.storage)).div_ceil(8192);
        row.extend([
            ("reltype", oid_of(t.row_type)),
            ("relam", oid_of(if t.is_partitioned() { 0 } else { 2 })),
            ("relfilenode", oid_of(if t.is_partitioned() { 0 } else { t.storage.0 })),
            ("relhassubclass", flag(catalog.has_children(t.oid))),
            ("relispartition", flag(t.is_partition())),
            ("relpartbound", partitions::bound_shown(catalog, t).map_or(Datum::Null, text)),
            ("relpages", int4(i32::try_from(pages).unwrap_or(i32::MAX))),
            ("relhasindex", flag(!t.indexes.is_empty())),
            ("relhasrules", flag(t.materialized.is_some())),
            ("relispopulated", flag(t.materialized.as_ref().is_none_or(|m| m.populated))),
            // What psql looks at before it lists foreign keys.
            ("relhastriggers", flag(References::of(catalog, t).is_some())),
            (
                "relchecks",
                int2(
                    t.constraints
                        .iter()
                        .filter(|c| matches!(c.kind, ConstraintKind::Check { .. }))
                        .count() as i64,
                ),
            ),
        ]);
        out.add(&row);
        for i in &t.indexes {
            let kind = if t.is_partitioned() { "I" } else { "i" };
            let mut row = common(i.oid, &i.name, t.schema, t.owner, kind, i.keys.len() + i.include.len());
            row.extend([
                ("relam", oid_of(i.method.oid())),
                (
                    "relfilenode",
                    oid_of(if t.is_partitioned() { 0 } else { i.storage.unwrap_or(t.storage).0 }),
                ),
                ("relispartition", flag(i.parent.is_some())),
                (
                    "relhassubclass",
                    flag(t.is_partitioned() && catalog.children(t.oid).any(|c| c.indexes.iter().any(|x| x.parent == Some(i.oid)))),
                ),
            ]);
            out.add(&row);
        }
    }
    for s in catalog.sequences.values() {
        let mut row = common(s.oid, &s.name, s.schema, s.owner, "S", 3);
        row.push(("relfilenode", oid_of(s.storage.0)));
        out.add(&row);
    }
    for v in catalog.views.values() {
        let mut row = common(v.oid, &v.name, v.schema, v.owner, "v", v.columns.len());
        row.extend([("reltype", oid_of(v.row_type)), ("relhasrules", flag(true))]);
        if !v.options.is_empty() {
            let options = v.options.iter().map(|(name, value)| text(format!("{name}={value}")));
            row.push(("reloptions", Datum::list(oid::TEXT, options.collect())));
        }
        out.add(&row);
    }
    for s in system_tables() {
        let kind = if s.kind == 'v' { "v" } else { "r" };
        let mut row = common(s.oid, s.name, s.schema, 10, kind, s.columns.len());
        if s.schema == PG_CATALOG {
            row.retain(|(name, _)| *name != "relreplident");
            row.push(("relreplident", text("n")));
        }
        row.extend([
            ("reltype", oid_of(s.row_type)),
            ("relam", oid_of(if s.kind == 'r' { 2 } else { 0 })),
            ("relhasindex", flag(system_indexes().iter().any(|i| i.table == s.oid))),
        ]);
        out.add(&row);
    }
    for i in system_indexes() {
        let mut row = common(i.oid, i.name, PG_CATALOG, 10, "i", i.keys.len());
        row.push(("relam", oid_of(403)));
        out.add(&row);
    }
}

pub(super) fn attribute(out: &mut Rows, relation: Oid, name: &str, attnum: i16, ty: PgType, extra: &[(&'static str, Datum)]) {
    let base = type_info::base_type(ty.oid);
    let info = type_info::by_oid(base);
    let by_value = type_info::is_enum(base) || info.is_some_and(|i| i.by_value);
    let storage = if type_info::is_enum(base) {
        'p'
    } else {
        info.map_or('x', |i| i.storage)
    };
    let mut row = vec![
        ("attrelid", oid_of(relation)),
        ("attname", text(name)),
        ("atttypid", oid_of(ty.oid)),
        ("attstattarget", int4(-1)),
        ("attlen", int2(type_info::length(ty.oid))),
        ("attnum", int2(attnum)),
        ("attndims", int4(i32::from(super::user_types::is_array(ty.oid)))),
        ("attcacheoff", int4(-1)),
        ("atttypmod", int4(ty.typmod)),
        ("attbyval", flag(by_value)),
        ("attalign", text(info.map_or('i', |i| i.align).to_string())),
        ("attstorage", text(storage.to_string())),
        ("attcollation", oid_of(info.map_or(0, |i| i.collation))),
        ("attislocal", flag(true)),
    ];
    row.extend(extra.iter().cloned());
    out.add(&row);
}

fn attributes(catalog: &Catalog, out: &mut Rows) {
    for t in catalog.tables.values() {
        for c in &t.columns {
            let identity = match c.identity {
                Some(Identity::Always) => "a",
                Some(Identity::ByDefault) => "d",
                None => "",
            };
            let ty = if c.dropped { PgType { oid: 0, typmod: -1 } } else { c.ty };
            let name = if c.dropped {
                format!("........pg.dropped.{}........", c.attnum)
            } else {
                c.name.clone()
            };
            attribute(
                out,
                t.oid,
                &name,
                c.attnum,
                ty,
                &[
                    ("attnotnull", flag(c.not_null && !c.dropped)),
                    ("atthasdef", flag(c.default.is_some())),
                    ("atthasmissing", flag(c.missing.is_some())),
                    ("attidentity", text(identity)),
                    ("attgenerated", text(if c.generated { "s" } else { "" })),
                    ("attisdropped", flag(c.dropped)),
                    ("attislocal", flag(c.origin.local)),
                    ("attinhcount", int4(i32::from(c.origin.parents))),
                ],
            );
        }
        for i in &t.indexes {
            let keys = i.keys.iter().map(|k| (k.name(t), k.ty(t)));
            let included = i.include.iter().map(|c| (t.columns[*c].name.as_str(), t.columns[*c].ty));
            let mut names: Vec<String> = Vec::new();
            for (n, (name, ty)) in (1..).zip(keys.chain(included)) {
                // A name that stands already is counted on.
                let mut unique = name.to_owned();
                let mut pass = 1;
                while names.contains(&unique) {
                    unique = format!("{name}{pass}");
                    pass += 1;
                }
                attribute(out, i.oid, &unique, n, ty, &[]);
                names.push(unique);
            }
        }
    }
    for s in catalog.sequences.values() {
        for (n, (name, ty)) in [("last_value", PgType::INT8), ("log_cnt", PgType::INT8), ("is_called", PgType::BOOL)]
            .into_iter()
            .enumerate()
        {
            attribute(out, s.oid, name, n as i16 + 1, ty, &[("attnotnull", flag(true))]);
        }
    }
    for v in catalog.views.values() {
        for (n, c) in (1..).zip(&v.columns) {
            attribute(out, v.oid, &c.name, n, c.ty, &[]);
        }
    }
    for s in system_tables() {
        system_attributes(s, out);
    }
    for i in system_indexes() {
        for (n, c) in (1..).zip(system_keys(i)) {
            attribute(out, i.oid, c.name, n, c.ty, &[]);
        }
    }
}

/// The columns that an index of a system table has.
pub(super) fn system_keys(index: &SystemIndex) -> impl Iterator<Item = &'static SystemColumn> {
    let columns = system_table(index.table).map_or(&[][..], |t| &t.columns);
    index
        .keys
        .iter()
        .filter_map(|n| columns.get(usize::try_from(*n).ok()?.checked_sub(1)?))
}

fn system_index_row(i: &SystemIndex, out: &mut Rows) {
    out.add(&[
        ("indexrelid", oid_of(i.oid)),
        ("indrelid", oid_of(i.table)),
        ("indnatts", int2(i.keys.len() as i64)),
        ("indnkeyatts", int2(i.keys.len() as i64)),
        ("indisunique", flag(i.unique)),
        ("indisprimary", flag(matches!(i.constraint, Some(('p', _))))),
        ("indimmediate", flag(true)),
        ("indisvalid", flag(true)),
        ("indisready", flag(true)),
        ("indislive", flag(true)),
        ("indkey", int2s(&i.keys)),
        ("indcollation", oids(&i.collations)),
        ("indclass", oids(&i.classes)),
        ("indoption", int2s(&vec![0; i.keys.len()])),
    ]);
}

fn system_constraint_row(i: &SystemIndex, out: &mut Rows) {
    let Some((kind, oid)) = i.constraint else { return };
    out.add(&[
        ("oid", oid_of(oid)),
        ("conname", text(i.name)),
        ("connamespace", oid_of(PG_CATALOG)),
        ("contype", text(kind.to_string())),
        ("convalidated", flag(true)),
        ("conrelid", oid_of(i.table)),
        ("conindid", oid_of(i.oid)),
        ("conislocal", flag(true)),
        ("connoinherit", flag(true)),
        ("confupdtype", text(" ")),
        ("confdeltype", text(" ")),
        ("confmatchtype", text(" ")),
        ("conkey", Datum::list(oid::INT2, i.keys.iter().map(|n| Datum::Int2(*n)).collect())),
    ]);
}

fn system_attributes(s: &SystemTable, out: &mut Rows) {
    for (n, c) in s.columns.iter().enumerate() {
        attribute(out, s.oid, c.name, n as i16 + 1, c.ty, &[("attnotnull", flag(c.not_null))]);
    }
}

fn index_row(t: &Table, i: &Index, out: &mut Rows) {
    let attnum = |c: usize| t.columns[c].attnum;
    let keys = i.keys.iter().map(|k| k.as_column().map_or(0, attnum));
    let columns: Vec<i16> = keys.chain(i.include.iter().map(|c| attnum(*c))).collect();
    let expressions: Vec<&str> = i
        .keys
        .iter()
        .filter_map(|k| match &k.of {
            KeyOf::Expression { text, .. } => Some(text.as_str()),
            KeyOf::Column(_) => None,
        })
        .collect();
    let options: Vec<i16> = i
        .keys
        .iter()
        .map(|k| i16::from(k.descending) | i16::from(k.nulls_first) << 1)
        .collect();
    let classes: Vec<u32> = i
        .keys
        .iter()
        .map(|k| super::builtin::opclass(i.method, k.opclass.as_deref(), k.ty(t).oid))
        .collect();
    let collations: Vec<u32> = i
        .keys
        .iter()
        .map(|k| super::builtin::collation(k.collation.as_deref(), k.ty(t).oid))
        .collect();
    out.add(&[
        ("indexrelid", oid_of(i.oid)),
        ("indrelid", oid_of(t.oid)),
        ("indnatts", int2(columns.len() as i64)),
        ("indnkeyatts", int2(i.keys.len() as i64)),
        ("indisunique", flag(i.unique)),
        ("indisprimary", flag(i.primary)),
        ("indimmediate", flag(!i.deferrable)),
        ("indnullsnotdistinct", flag(i.nulls_not_distinct)),
        ("indisreplident", flag(false)),
        ("indisvalid", flag(!i.incomplete)),
        ("indisready", flag(true)),
        ("indislive", flag(true)),
        ("indkey", int2s(&columns)),
        ("indcollation", oids(&collations)),
        ("indclass", oids(&classes)),
        ("indoption", int2s(&options)),
        (
            "indexprs",
            if expressions.is_empty() {
                Datum::Null
            } else {
                text(expressions.join(", "))
            },
        ),
        ("indpred", i.predicate.as_ref().map_or(Datum::Null, text)),
    ]);
}

fn constraints(catalog: &Catalog, out: &mut Rows) {
    for t in catalog.tables.values() {
        for c in &t.constraints {
            let mut row = vec![
                ("oid", oid_of(c.oid)),
                ("conname", text(&c.name)),
                ("connamespace", oid_of(t.schema)),
                ("conrelid", oid_of(t.oid)),
                ("convalidated", flag(!c.not_valid)),
                ("conislocal", flag(c.origin.local)),
                ("coninhcount", int4(i32::from(c.origin.parents))),
                ("conparentid", oid_of(c.parent.unwrap_or(0))),
                ("condeferrable", flag(c.timing != Timing::Immediate)),
                ("condeferred", flag(c.timing == Timing::Deferred)),
                ("confupdtype", text(" ")),
                ("confdeltype", text(" ")),
                ("confmatchtype", text(" ")),
            ];
            match &c.kind {
                ConstraintKind::Check { expression } => {
                    let columns = curia_bind::ddl::check_columns(catalog, expression, t).unwrap_or_default();
                    row.extend([
                        ("contype", text("c")),
                        ("conbin", text(expression)),
                        ("conkey", attnums(t, &columns)),
                        ("connoinherit", flag(c.no_inherit)),
                    ]);
                }
                ConstraintKind::ForeignKey(key) => {
                    row.retain(|(name, _)| !name.starts_with("conf"));
                    let other = catalog.tables.get(&key.table);
                    row.extend([
                        ("contype", text("f")),
                        ("conindid", oid_of(key.index)),
                        ("confrelid", oid_of(key.table)),
                        ("conkey", attnums(t, &key.columns)),
                        ("confkey", other.map_or(Datum::Null, |o| attnums(o, &key.key))),
                        ("confupdtype", text(action(key.on_update))),
                        ("confdeltype", text(action(key.on_delete))),
                        ("confmatchtype", text(if key.full { "f" } else { "s" })),
                        ("connoinherit", flag(c.parent.is_none() && !t.is_partitioned())),
                    ]);
                    if !key.set.is_empty() {
                        row.push(("confdelsetcols", attnums(t, &key.set)));
                    }
                    for part in catalog.referenced_parts(t, c, key) {
                        let mut own = row.clone();
                        let differs = [
                            ("oid", oid_of(part.oid)),
                            ("conname", text(&part.name)),
                            ("conparentid", oid_of(part.parent)),
                            ("confrelid", oid_of(part.partition.oid)),
                            ("conindid", oid_of(part.index)),
                            ("confkey", attnums(&part.partition, &part.key)),
                            ("conislocal", flag(false)),
                            ("coninhcount", int4(1)),
                            ("connoinherit", flag(false)),
                        ];
                        own.retain(|(name, _)| !differs.iter().any(|(n, _)| n == name));
                        own.extend(differs);
                        out.add(&own);
                    }
                }
                ConstraintKind::Unique { index, primary } => {
                    let keys: Vec<usize> = t.index(*index).map(|i| i.columns().collect()).unwrap_or_default();
                    row.extend([
                        ("contype", text(if *primary { "p" } else { "u" })),
                        ("conindid", oid_of(*index)),
                        ("conkey", attnums(t, &keys)),
                        ("connoinherit", flag(c.parent.is_none())),
                    ]);
                }
            }
            out.add(&row);
        }
    }
}

fn attnums(t: &Table, columns: &[usize]) -> Datum {
    Datum::list(oid::INT2, columns.iter().map(|c| Datum::Int2(t.columns[*c].attnum)).collect())
}

/// `confupdtype`, `confdeltype`
fn action(action: ForeignKeyAction) -> &'static str {
    match action {
        ForeignKeyAction::NoAction => "a",
        ForeignKeyAction::Restrict => "r",
        ForeignKeyAction::Cascade => "c",
        ForeignKeyAction::SetNull => "n",
        ForeignKeyAction::SetDefault => "d",
    }
}

pub(super) fn is_identity(catalog: &Catalog, s: &Sequence) -> bool {
    s.owned_by
        .and_then(|(t, attnum)| catalog.tables.get(&t)?.columns.get(attnum as usize - 1))
        .is_some_and(|c| c.identity.is_some())
}
