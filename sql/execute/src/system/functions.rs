//! Functions about catalog objects: `pg_get_indexdef`, `pg_table_is_visible`, `obj_description` and their kin.

use super::relations::class_of;
use super::{partitions, routines};
use crate::exec::Exec;
use curia_bind::viewdef::ViewStyle;
use curia_bind::{ddl, deparse};
use curia_catalog::system::{SystemIndex, system_indexes, system_table, system_tables};
use curia_catalog::{Catalog, Constraint, ConstraintKind, ForeignKey, Index, Oid, Relation, StorageId, Table, temporary};
use curia_types::type_info::quote_identifier;
use curia_types::{Datum, PgType, Result, SqlError, SqlState, type_info};
use std::sync::Arc;

/// What these functions look at.
pub struct CatalogScope<'a> {
    /// The statement's catalog version.
    pub catalog: &'a Catalog,
    /// Schemas of the search path, without the implicit `pg_catalog`.
    pub search_path: &'a [String],
    /// The current role.
    pub role: Oid,
    /// Size of a storage in bytes, about.
    pub storage_bytes: &'a dyn Fn(StorageId) -> u64,
}

/// Computes a catalog function by name (the registry's `proname`) and arguments; `None` when it is not one of these.
/// Strict functions are not called with NULLs.
pub fn catalog_call(scope: &CatalogScope<'_>, function: &str, args: &[Datum]) -> Option<Result<Datum>> {
    let c = scope.catalog;
    let oid = |i: usize| args.get(i).and_then(crate::order::integer).map_or(0, |v| v as u32);
    let number = |i: usize| args.get(i).and_then(crate::order::integer).unwrap_or(0);
    let string = |i: usize| match args.get(i) {
        Some(Datum::Text(s)) => s.to_string(),
        _ => String::new(),
    };
    let flag = |i: usize| matches!(args.get(i), Some(Datum::Bool(true)));
    let some = |s: Option<String>| s.map_or(Datum::Null, Datum::text);
    if let Some(found) = super::has_privilege::call(scope, function, args) {
        return Some(found);
    }
    let value = match function {
        "format_type" => match args.first() {
            Some(Datum::Null) | None => Datum::Null,
            _ => {
                let typmod = args.get(1).and_then(crate::order::integer).map_or(-1, |v| v as i32);
                some(Some(c.format_type(scope.search_path, PgType::with_typmod(oid(0), typmod))))
            }
        },
        "to_regclass" => relation_named(scope, &string(0)).map_or(Datum::Null, Datum::Oid),
        "pg_get_userbyid" => {
            let id = oid(0);
            Datum::text(c.roles.get(&id).map_or_else(|| format!("unknown (OID={id})"), |r| r.name.clone()))
        }
        "pg_table_is_visible" => relation_visible(scope, oid(0)),
        "pg_function_is_visible" if c.functions.contains_key(&oid(0)) => Datum::Bool(c.functions.get(&oid(0)).is_some_and(|f| {
            let found = c.functions_named(scope.search_path, &f.name);
            found.iter().any(|g| g.oid == f.oid)
        })),
        "pg_type_is_visible" => match c.type_name(oid(0)) {
            Some((_, name)) => Datum::Bool(c.type_named(scope.search_path, name) == Some(oid(0))),
            None => Datum::Bool(true),
        },
        "pg_function_is_visible"
        | "pg_operator_is_visible"
        | "pg_opclass_is_visible"
        | "pg_opfamily_is_visible"
        | "pg_collation_is_visible"
        | "pg_conversion_is_visible"
        | "pg_statistics_obj_is_visible"
        | "pg_ts_config_is_visible"
        | "pg_ts_dict_is_visible"
        | "pg_ts_parser_is_visible"
        | "pg_ts_template_is_visible" => Datum::Bool(true),
        "pg_get_indexdef" if system_index(oid(0)).is_some() => some(system_index(oid(0)).map(|i| {
            match number(1) {
                n if n > 0 => super::relations::system_keys(i)
                    .nth(n as usize - 1)
                    .map_or_else(String::new, |c| c.name.to_owned()),
                _ => system_index_shown(i),
            }
        })),
        "pg_get_indexdef" => some(find_index(c, oid(0)).map(|(t, i)| {
            let pretty = flag(2);
            match number(1) {
                n if n > 0 => {
                    let n = n as usize - 1;
                    let included = || i.include.get(n.checked_sub(i.keys.len())?);
                    match (i.keys.get(n), included()) {
                        (Some(k), _) => deparse::index_key_of(c, t, k, pretty),
                        (None, Some(column)) => quote_identifier(&t.columns[*column].name).into_owned(),
                        (None, None) => String::new(),
                    }
                }
                _ => deparse::index(c, t, i, pretty),
            }
        })),
        "pg_get_constraintdef" => {
            let id = oid(0);
            let of_table = c.tables.values().find_map(|t| {
                t.constraints
                    .iter()
                    .find(|k| k.oid == id)
                    .map(|k| deparse::constraint(c, scope.search_path, t, k, flag(1)))
            });
            let of_table = of_table.or_else(|| referenced_part_shown(scope, id, flag(1)));
            let of_domain = || super::user_types::constraint_shown(c, scope.search_path, id, flag(1));
            some(of_table.or_else(of_domain).or_else(|| system_constraint_shown(id)))
        }
        "pg_get_expr" => {
            let table = c.tables.get(&oid(1)).map(|t| &**t);
            Datum::text(ddl::stored_text_shown(c, scope.search_path, &string(0), table, flag(2)))
        }
        "pg_get_viewdef" => {
            let id = match args.first() {
                Some(Datum::Text(_)) => relation_named(scope, &string(0)).unwrap_or(0),
                _ => oid(0),
            };
            let style = match args.get(1) {
                Some(Datum::Bool(pretty)) => ViewStyle { pretty: *pretty, wrap: 0 },
                Some(Datum::Int4(wrap)) => ViewStyle { pretty: true, wrap: *wrap },
                _ => super::PLAIN,
            };
            some(super::view_definition(c, scope.search_path, id, style))
        }
        "pg_get_partkeydef" => some(partitions::key_shown(c, oid(0))),
        "pg_get_partition_constraintdef" => some(partitions::constraint_shown(scope, oid(0))),
        "pg_partition_tree" => partitions::tree(c, oid(0)),
        "pg_partition_ancestors" => {
            let found = partitions::ancestors(c, oid(0));
            Datum::list(curia_types::oid::REGCLASS, found.into_iter().map(Datum::Oid).collect())
        }
        "pg_partition_root" => partitions::ancestors(c, oid(0)).last().map_or(Datum::Null, |o| Datum::Oid(*o)),
        "satisfies_hash_partition" => return Some(partitions::satisfies_hash(c, args)),
        "pg_get_ruledef" | "pg_get_triggerdef" | "pg_get_statisticsobjdef" | "pg_get_statisticsobjdef_columns" => Datum::Null,
        "pg_get_functiondef" => some(c.functions.get(&oid(0)).map(|f| routines::definition(scope, f))),
        "pg_get_function_sqlbody" => some(c.functions.get(&oid(0)).and_then(|f| routines::sql_body(f))),
        "pg_get_function_result" if c.functions.contains_key(&oid(0)) => {
            some(c.functions.get(&oid(0)).and_then(|f| routines::result(scope, f)))
        }
        "pg_get_function_arguments" | "pg_get_function_identity_arguments" if c.functions.contains_key(&oid(0)) => {
            let identity = function == "pg_get_function_identity_arguments";
            some(c.functions.get(&oid(0)).map(|f| routines::arguments(scope, f, identity)))
        }
        "pg_get_function_result" => some(
            curia_functions::by_oid(oid(0)).map(|f| format!("{}{}", if f.set { "SETOF " } else { "" }, type_info::format_type(f.ret, -1))),
        ),
        "pg_get_function_arguments" | "pg_get_function_identity_arguments" => some(
            curia_functions::by_oid(oid(0)).map(|f| f.args.iter().map(|a| type_info::format_type(*a, -1)).collect::<Vec<_>>().join(", ")),
        ),
        "obj_description" | "shobj_description" => {
            let id = oid(0);
            let built_in = args
                .get(1)
                .and_then(|_| curia_catalog::system::system_table_named("pg_catalog", &string(1)))
                .and_then(|class| super::facts::description(class.oid, id));
            if let Some(text) = built_in {
                return Some(Ok(text));
            }
            let class = args.get(1).map(|_| string(1));
            let right =
                class.is_none_or(|class| system_table(class_of(c, id)).is_some_and(|t| t.name == class) || function == "shobj_description");
            some(right.then(|| c.comments.get(&(id, 0)).map(|m| m.text.clone())).flatten())
        }
        "col_description" => some(c.comments.get(&(oid(0), number(1) as i16)).map(|m| m.text.clone())),
        "pg_get_serial_sequence" => return Some(serial_sequence(scope, &string(0), &string(1))),
        "pg_encoding_to_char" => Datum::text(if number(0) == 6 { "UTF8" } else { "" }),
        "pg_char_to_encoding" => Datum::Int4(if string(0).eq_ignore_ascii_case("utf8") { 6 } else { -1 }),
        "pg_relation_size" | "pg_table_size" | "pg_indexes_size" | "pg_total_relation_size" => relation_size(scope, function, oid(0)),
        "pg_database_size" => Datum::Int8(
            c.tables
                .values()
                .map(|t| bytes(scope, t.storage) + index_bytes(scope, t))
                .sum::<u64>()
                .try_into()
                .unwrap_or(i64::MAX),
        ),
        "pg_tablespace_location" => Datum::text(""),
        "pg_tablespace_size" => match args.first() {
            Some(Datum::Oid(1664)) => Datum::Int8(0),
            Some(Datum::Text(name)) if &**name == "pg_global" => Datum::Int8(0),
            _ => return catalog_call(scope, "pg_database_size", args),
        },
        "pg_relation_filepath" => match catalog_call(scope, "pg_relation_filenode", args)? {
            Ok(Datum::Oid(file)) => Datum::text(format!("base/{}/{file}", curia_catalog::lookup::FIRST_DATABASE)),
            other => return Some(other),
        },
        "pg_get_function_arg_default" | "pg_column_compression" | "pg_get_replica_identity_index" => Datum::Null,
        "pg_trigger_depth" => Datum::Int4(0),
        "row_security_active" | "pg_jit_available" => Datum::Bool(false),
        "pg_stat_get_numscans" => Datum::Int8(0),
        "pg_describe_object" => some(describe_object(scope, oid(0), oid(1), number(2) as i16)),
        "pg_relation_filenode" => c
            .tables
            .get(&oid(0))
            .filter(|t| !t.is_partitioned())
            .map_or(Datum::Null, |t| Datum::Oid(t.storage.0)),
        "pg_relation_is_updatable" => Datum::Int4(row_changes(c, oid(0))),
        "pg_column_is_updatable" => Datum::Bool(column_is_updatable(c, oid(0), number(1))),
        "pg_relation_is_publishable" => Datum::Bool(c.tables.contains_key(&oid(0))),
        "has_foreign_data_wrapper_privilege" | "has_server_privilege" => Datum::Bool(true),
        _ => return None,
    };
    Some(Ok(value))
}

/// The bits of `pg_relation_is_updatable` for UPDATE, INSERT and DELETE.
pub(super) const UPDATE: i32 = 1 << 2;
pub(super) const INSERT: i32 = 1 << 3;
pub(super) const DELETE: i32 = 1 << 4;

/// Which row changes a relation takes.
pub(super) fn row_changes(c: &Catalog, id: Oid) -> i32 {
    if let Some(t) = c.tables.get(&id) {
        return if t.materialized.is_some() { 0 } else { UPDATE | INSERT | DELETE };
    }
    match c.views.get(&id).and_then(|v| curia_bind::updatable_columns(c, v)) {
        None => 0,
        Some(columns) if columns.contains(&true) => UPDATE | INSERT | DELETE,
        Some(_) => DELETE,
    }
}

fn column_is_updatable(c: &Catalog, id: Oid, attnum: i64) -> bool {
    let at = usize::try_from(attnum - 1).ok();
    match (c.tables.get(&id), c.views.get(&id), at) {
        (Some(t), _, Some(at)) => t.materialized.is_none() && t.columns.get(at).is_some_and(|c| !c.dropped),
        (_, Some(v), Some(at)) => curia_bind::updatable_columns(c, v).is_some_and(|u| u.get(at) == Some(&true)),
        _ => false,
    }
}

/// What an object is called in messages.
fn describe_object(scope: &CatalogScope<'_>, class: u32, object: u32, sub: i16) -> Option<String> {
    let c = scope.catalog;
    Some(match class {
        1259 => {
            let shown = |schema: Oid, name: &str| match relation_visible(scope, object) {
                Datum::Bool(true) => quote_identifier(name).into_owned(),
                _ => format!("{}.{}", quote_identifier(c.schema_name(schema)), quote_identifier(name)),
            };
            let (kind, name) = match (system_table(object), c.relation_by_oid(object)) {
                (Some(t), _) => (if t.kind == 'v' { "view" } else { "table" }, shown(t.schema, t.name)),
                (None, Some((schema, name, relation))) => (
                    match relation {
                        Relation::Index(..) => "index",
                        Relation::Sequence(_) => "sequence",
                        Relation::View(_) => "view",
                        Relation::Table(oid) if c.tables.get(&oid).is_some_and(|t| t.materialized.is_some()) => "materialized view",
                        _ => "table",
                    },
                    shown(schema, name),
                ),
                (None, None) => return None,
            };
            match c.tables.get(&object).filter(|_| sub > 0) {
                Some(t) => format!("column {} of {kind} {name}", t.columns.get(sub as usize - 1)?.name),
                None => format!("{kind} {name}"),
            }
        }
        2615 => format!("schema {}", quote_identifier(&c.schemas.get(&object)?.name)),
        1247 => format!(
            "type {}",
            c.format_type(scope.search_path, curia_types::PgType::with_typmod(object, -1))
        ),
        1260 => format!("role {}", quote_identifier(&c.roles.get(&object)?.name)),
        2606 => c.tables.values().find_map(|t| {
            let constraint = t.constraints.iter().find(|k| k.oid == object)?;
            let table = describe_object(scope, 1259, t.oid, 0)?;
            Some(format!("constraint {} on {table}", quote_identifier(&constraint.name)))
        })?,
        1255 => {
            let f = curia_functions::by_oid(object)?;
            let args: Vec<String> = f.args.iter().map(|a| type_info::format_type(*a, -1)).collect();
            format!("function {}({})", f.name, args.join(","))
        }
        _ => return None,
    })
}

/// The part of a foreign key that refers to a partition, as a constraint.
fn referenced_part_shown(scope: &CatalogScope<'_>, id: Oid, pretty: bool) -> Option<String> {
    let c = scope.catalog;
    c.tables.values().find_map(|t| {
        t.foreign_keys().find_map(|(whole, key)| {
            let part = c.referenced_parts(t, whole, key).into_iter().find(|p| p.oid == id)?;
            let key = ForeignKey {
                table: part.partition.oid,
                key: part.key,
                index: part.index,
                ..key.clone()
            };
            let part = Constraint {
                kind: ConstraintKind::ForeignKey(key),
                ..whole.clone()
            };
            Some(deparse::constraint(c, scope.search_path, t, &part, pretty))
        })
    })
}

fn system_index(id: Oid) -> Option<&'static SystemIndex> {
    system_indexes().iter().find(|i| i.oid == id)
}

fn system_key_list(index: &SystemIndex) -> String {
    super::relations::system_keys(index).map(|c| c.name).collect::<Vec<_>>().join(", ")
}

/// `pg_get_indexdef` of an index of a system table.
pub(super) fn system_index_shown(index: &SystemIndex) -> String {
    format!(
        "CREATE {}INDEX {} ON pg_catalog.{} USING btree ({})",
        if index.unique { "UNIQUE " } else { "" },
        index.name,
        system_table(index.table).map_or("", |t| t.name),
        system_key_list(index)
    )
}

fn system_constraint_shown(id: Oid) -> Option<String> {
    let of = |i: &&SystemIndex| i.constraint.is_some_and(|(_, oid)| oid == id);
    let index = system_indexes().iter().find(of)?;
    let kind = if matches!(index.constraint, Some(('p', _))) {
        "PRIMARY KEY"
    } else {
        "UNIQUE"
    };
    Some(format!("{kind} ({})", system_key_list(index)))
}

fn find_index(c: &Catalog, id: Oid) -> Option<(&Arc<Table>, &Index)> {
    c.tables.values().find_map(|t| t.index(id).map(|i| (t, i)))
}

/// Whether the unqualified name finds this very relation.
fn relation_visible(scope: &CatalogScope<'_>, id: Oid) -> Datum {
    if let Some(s) = system_table(id) {
        return Datum::Bool(s.schema_name == "pg_catalog" || scope.search_path.iter().any(|p| p == s.schema_name));
    }
    if system_index(id).is_some() {
        return Datum::Bool(true);
    }
    match scope.catalog.relation_by_oid(id) {
        // The relation behind a composite type is found as its type is.
        None => match scope.catalog.types.values().find(|t| t.relation() == Some(id)) {
            Some(t) => Datum::Bool(scope.catalog.type_named(scope.search_path, &t.name) == Some(t.oid)),
            None => Datum::Null,
        },
        Some((_, name, _)) if system_tables().iter().any(|s| s.schema_name == "pg_catalog" && s.name == name) => Datum::Bool(false),
        Some((_, name, _)) => Datum::Bool(scope.catalog.relation(scope.search_path, name).map(Relation::oid) == Some(id)),
    }
}

fn bytes(scope: &CatalogScope<'_>, storage: StorageId) -> u64 {
    (scope.storage_bytes)(storage)
}

fn index_bytes(scope: &CatalogScope<'_>, t: &Table) -> u64 {
    t.indexes.iter().filter_map(|i| i.storage).map(|s| bytes(scope, s)).sum()
}

fn relation_size(scope: &CatalogScope<'_>, function: &str, id: Oid) -> Datum {
    let size = match scope.catalog.tables.get(&id) {
        Some(t) => match function {
            "pg_indexes_size" => index_bytes(scope, t),
            "pg_total_relation_size" => bytes(scope, t.storage) + index_bytes(scope, t),
            _ => bytes(scope, t.storage),
        },
        None => match find_index(scope.catalog, id) {
            Some((_, i)) => i.storage.map_or(0, |s| bytes(scope, s)),
            None if system_table(id).is_some() || scope.catalog.sequences.contains_key(&id) || scope.catalog.views.contains_key(&id) => 0,
            None => return Datum::Null,
        },
    };
    Datum::Int8(size.try_into().unwrap_or(i64::MAX))
}

/// A relation of any kind, system ones included.
pub(super) fn relation_named(scope: &CatalogScope<'_>, name: &str) -> Option<Oid> {
    let system = |schema: &str, name: &str| {
        system_tables()
            .iter()
            .find(|t| t.schema_name == schema && t.name == name)
            .map(|t| t.oid)
            .or_else(|| Some(system_indexes().iter().find(|i| schema == "pg_catalog" && i.name == name)?.oid))
    };
    let stored = |path: &[String], name: &str| scope.catalog.relation(path, name).map(Relation::oid);
    match split_name(name).as_slice() {
        [name] => system("pg_catalog", name).or_else(|| stored(scope.search_path, name)),
        [schema, name] => system(schema, name).or_else(|| stored(&[meant(scope, schema)], name)),
        _ => None,
    }
}

fn meant(scope: &CatalogScope<'_>, schema: &str) -> String {
    temporary::meant(schema, scope.search_path).to_owned()
}

fn serial_sequence(scope: &CatalogScope<'_>, table: &str, column: &str) -> Result<Datum> {
    let c = scope.catalog;
    let parts: Vec<String> = split_name(table);
    let found = match parts.as_slice() {
        [name] => c.table(scope.search_path, name),
        [schema, name] => c.table(&[meant(scope, schema)], name),
        _ => None,
    };
    let t = found.ok_or_else(|| SqlError::new(SqlState::UNDEFINED_TABLE, format!("relation \"{table}\" does not exist")))?;
    let (_, col) = t.column(column).ok_or_else(|| {
        SqlError::new(
            SqlState::UNDEFINED_COLUMN,
            format!("column \"{column}\" of relation \"{}\" does not exist", t.name),
        )
    })?;
    Ok(c.sequences
        .values()
        .find(|s| s.owned_by == Some((t.oid, col.attnum)))
        .map_or(Datum::Null, |s| {
            Datum::text(format!(
                "{}.{}",
                quote_identifier(c.schema_name(s.schema)),
                quote_identifier(&s.name)
            ))
        }))
}

/// Splits a possibly qualified, possibly quoted name; unquoted parts fold to lower case.
pub(super) fn split_name(name: &str) -> Vec<String> {
    let (mut parts, mut current, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = name.chars().peekable();
    while let Some(ch) = chars.next() {
        match ch {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                current.push('"');
            }
            '"' => quoted = !quoted,
            '.' if !quoted => parts.push(std::mem::take(&mut current)),
            ch if quoted => current.push(ch),
            ch => current.extend(ch.to_lowercase()),
        }
    }
    parts.push(current);
    parts
}

impl Exec {
    /// What the session adds to the system views.
    pub(crate) fn session_views(&self) -> Option<&dyn super::SessionViews> {
        self.session_views.as_deref()
    }
}
