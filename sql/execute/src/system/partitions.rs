//! What the catalogs say of partitions and children: `pg_inherits`, `pg_partitioned_table`, and the functions about them.

use super::{CatalogScope, Rows, builtin, flag, int2, int2s, int4, oid_of, oids, text};
use curia_bind::{ddl, deparse};
use curia_catalog::partition::{Bound, Edge, PartitionKey, PartitionStrategy, hash, shown};
use curia_catalog::{Catalog, Index, IndexKey, IndexMethod, KeyOf, Oid, Table};
use curia_types::{Datum, IoContext, PgType, Result, SqlError, SqlState, oid, type_info};
use std::sync::Arc;

/// The rows of `pg_inherits`: children of tables, and parts of partitioned indexes.
pub(super) fn inherits(catalog: &Catalog, out: &mut Rows) {
    let mut add = |child: Oid, parent: Oid, number: usize| {
        out.add(&[
            ("inhrelid", oid_of(child)),
            ("inhparent", oid_of(parent)),
            ("inhseqno", int4(number as i32)),
            ("inhdetachpending", flag(false)),
        ]);
    };
    for t in catalog.tables.values() {
        for (n, parent) in t.parents.iter().enumerate() {
            add(t.oid, *parent, n + 1);
        }
        for i in &t.indexes {
            if let Some(parent) = i.parent {
                add(i.oid, parent, 1);
            }
        }
    }
}

/// The rows of `pg_partitioned_table`.
pub(super) fn partitioned(catalog: &Catalog, out: &mut Rows) {
    for t in catalog.tables.values() {
        let Some(key) = &t.partition_key else { continue };
        let method = match key.strategy {
            PartitionStrategy::Hash => IndexMethod::Hash,
            PartitionStrategy::List | PartitionStrategy::Range => IndexMethod::Btree,
        };
        let attrs: Vec<i16> = key
            .columns
            .iter()
            .map(|c| c.as_column().map_or(0, |i| t.columns[i].attnum))
            .collect();
        let classes: Vec<u32> = key
            .columns
            .iter()
            .map(|c| builtin::opclass(method, c.opclass.as_deref(), c.ty(t).oid))
            .collect();
        let collations: Vec<u32> = key
            .columns
            .iter()
            .map(|c| builtin::collation(c.collation.as_deref(), c.ty(t).oid))
            .collect();
        let expressions: Vec<&str> = key
            .columns
            .iter()
            .filter_map(|c| match &c.of {
                KeyOf::Expression { text, .. } => Some(text.as_str()),
                KeyOf::Column(_) => None,
            })
            .collect();
        let default = t.partitions(catalog).ok().flatten().and_then(|p| p.default_partition());
        out.add(&[
            ("partrelid", oid_of(t.oid)),
            ("partstrat", text(key.strategy.name()[..1].to_lowercase())),
            ("partnatts", int2(key.columns.len() as i64)),
            ("partdefid", oid_of(default.unwrap_or(0))),
            ("partattrs", int2s(&attrs)),
            ("partclass", oids(&classes)),
            ("partcollation", oids(&collations)),
            (
                "partexprs",
                if expressions.is_empty() {
                    Datum::Null
                } else {
                    text(expressions.join(", "))
                },
            ),
        ]);
    }
}

/// How values of bounds are shown: users' types as the catalog has them.
fn shown_io(catalog: &Catalog) -> IoContext {
    IoContext {
        types: Some(Arc::new(catalog.clone())),
        ..IoContext::default()
    }
}

/// A partition's parent, its key, and the partition's bound as values.
fn place<'a>(catalog: &'a Catalog, t: &Table) -> Option<(&'a Arc<Table>, &'a PartitionKey, Bound)> {
    let parent = catalog.tables.get(&t.partition_of()?)?;
    let key = parent.partition_key.as_ref()?;
    let bound = Bound::decode(t.partition_bound.as_ref()?, &key.types(parent)).ok()?;
    Some((parent, key, bound))
}

/// `relpartbound`, in the form of `pg_get_expr`.
pub(super) fn bound_shown(catalog: &Catalog, t: &Table) -> Option<String> {
    let (parent, key, bound) = place(catalog, t)?;
    Some(bound.text(&key.types(parent), &shown_io(catalog)))
}

/// `pg_get_partkeydef`
pub(super) fn key_shown(catalog: &Catalog, table: Oid) -> Option<String> {
    let t = catalog.tables.get(&table)?;
    let key = t.partition_key.as_ref()?;
    let columns: Vec<String> = key
        .columns
        .iter()
        .map(|c| {
            let as_index = IndexKey {
                of: c.of.clone(),
                collation: c.collation.clone(),
                opclass: c.opclass.clone(),
                ..IndexKey::default()
            };
            deparse::index_key(catalog, t, &as_index, false)
        })
        .collect();
    Some(format!("{} ({})", key.strategy.name(), columns.join(", ")))
}

/// `pg_get_partition_constraintdef`: what the rows of a partition satisfy, the bounds above it first.
pub(super) fn constraint_shown(scope: &CatalogScope<'_>, table: Oid) -> Option<String> {
    let c = scope.catalog;
    let t = c.tables.get(&table)?;
    let mut terms = Vec::new();
    let mut at = t;
    while let Some((parent, key, bound)) = place(c, at) {
        let own = Terms {
            catalog: c,
            parent,
            key,
            io: shown_io(c),
        };
        let mut own = own.of(&bound);
        own.append(&mut terms);
        terms = own;
        at = parent;
    }
    if terms.is_empty() {
        return None;
    }
    Some(ddl::stored_text_shown(c, scope.search_path, &all(terms, " AND "), Some(t), false))
}

/// Terms joined; one stands alone.
fn all(mut terms: Vec<String>, word: &str) -> String {
    if terms.len() == 1 {
        return terms.remove(0);
    }
    format!("({})", terms.join(word))
}

/// A bound's conditions as SQL (`get_qual_from_partbound`).
struct Terms<'a> {
    catalog: &'a Catalog,
    parent: &'a Table,
    key: &'a PartitionKey,
    io: IoContext,
}

impl Terms<'_> {
    fn column(&self, i: usize) -> String {
        match &self.key.columns[i].of {
            KeyOf::Column(c) => type_info::quote_identifier(&self.parent.columns[*c].name).into_owned(),
            KeyOf::Expression { text, .. } => format!("({text})"),
        }
    }

    fn value(&self, i: usize, value: &Datum) -> String {
        let ty = PgType::with_typmod(self.key.columns[i].ty(self.parent).oid, -1);
        format!("{}::{}", shown::literal(ty, value, &self.io), ddl::type_text(ty))
    }

    fn compare(&self, i: usize, op: &str, value: &Datum) -> String {
        format!("({} {op} {})", self.column(i), self.value(i, value))
    }

    /// Terms that all hold; none for a default partition that is alone.
    fn of(&self, bound: &Bound) -> Vec<String> {
        match (self.key.strategy, bound) {
            (_, Bound::Hash { modulus, remainder }) => {
                let columns: Vec<String> = (0..self.key.columns.len()).map(|i| self.column(i)).collect();
                vec![format!(
                    "satisfies_hash_partition('{}'::oid, {modulus}, {remainder}, {})",
                    self.parent.oid,
                    columns.join(", ")
                )]
            }
            (_, Bound::List(values)) => vec![self.listed(values)],
            (_, Bound::Range { from, to }) => {
                let mut terms = self.not_null();
                terms.extend(self.between(from, to));
                terms
            }
            (PartitionStrategy::Hash, Bound::Default) => Vec::new(),
            (strategy, Bound::Default) => {
                let Ok(Some(others)) = self.parent.partitions(self.catalog) else {
                    return Vec::new();
                };
                if others.parts().is_empty() {
                    return Vec::new();
                }
                if strategy == PartitionStrategy::List {
                    let values = others.parts().iter().flat_map(|(_, b)| match b {
                        Bound::List(values) => values.clone(),
                        _ => Vec::new(),
                    });
                    return vec![format!("(NOT {})", self.listed(&values.collect::<Vec<_>>()))];
                }
                let arms = others.parts().iter().map(|(_, b)| match b {
                    Bound::Range { from, to } => match self.between(from, to) {
                        none if none.is_empty() => "true".to_owned(),
                        terms => all(terms, " AND "),
                    },
                    _ => "true".to_owned(),
                });
                let mut terms = self.not_null();
                terms.push(all(arms.collect(), " OR "));
                vec![format!("(NOT {})", all(terms, " AND "))]
            }
        }
    }

    fn listed(&self, values: &[Datum]) -> String {
        let column = self.column(0);
        let known: Vec<&Datum> = values.iter().filter(|v| !v.is_null()).collect();
        let has_null = known.len() < values.len();
        let is_array = type_info::element_of(self.key.columns[0].ty(self.parent).oid).is_some();
        let equal = match known.as_slice() {
            [] => None,
            [one] => Some(self.compare(0, "=", one)),
            many if is_array => Some(all(many.iter().map(|v| self.compare(0, "=", v)).collect(), " OR ")),
            many => {
                let values: Vec<String> = many.iter().map(|v| self.value(0, v)).collect();
                Some(format!("({column} = ANY (ARRAY[{}]))", values.join(", ")))
            }
        };
        match (has_null, equal) {
            (true, None) => format!("({column} IS NULL)"),
            (true, Some(equal)) => format!("(({column} IS NULL) OR {equal})"),
            (false, equal) => format!("(({column} IS NOT NULL) AND {})", equal.unwrap_or_else(|| "false".to_owned())),
        }
    }

    fn not_null(&self) -> Vec<String> {
        (0..self.key.columns.len())
            .map(|i| format!("({} IS NOT NULL)", self.column(i)))
            .collect()
    }

    /// `get_qual_for_range` without its tests for NULL.
    fn between(&self, from: &[Edge], to: &[Edge]) -> Vec<String> {
        let mut terms = Vec::new();
        let shared = from
            .iter()
            .zip(to)
            .take_while(|(a, b)| matches!((a, b), (Edge::Value(a), Edge::Value(b)) if a == b))
            .count();
        for (i, edge) in from[..shared].iter().enumerate() {
            if let Edge::Value(v) = edge {
                terms.push(self.compare(i, "=", v));
            }
        }
        terms.extend(self.side(from, shared, true));
        terms.extend(self.side(to, shared, false));
        terms
    }

    /// One end of a range from column `first` on: an arm for each further column that can decide.
    fn side(&self, edge: &[Edge], first: usize, lower: bool) -> Option<String> {
        let mut arms = Vec::new();
        for last in first..edge.len() {
            let Edge::Value(v) = &edge[last] else { break };
            let mut terms: Vec<String> = Vec::new();
            for (i, e) in edge.iter().enumerate().take(last).skip(first) {
                if let Edge::Value(v) = e {
                    terms.push(self.compare(i, "=", v));
                }
            }
            let op = match (lower, edge.get(last + 1)) {
                (true, None | Some(Edge::Min)) => ">=",
                (true, _) => ">",
                (false, Some(Edge::Max)) => "<=",
                (false, _) => "<",
            };
            terms.push(self.compare(last, op, v));
            arms.push(all(terms, " AND "));
        }
        (!arms.is_empty()).then(|| all(arms, " OR "))
    }
}

/// A table or index of a partition tree: its parent there and its children.
struct Member {
    parent: Option<Oid>,
    children: Vec<Oid>,
    whole: bool,
}

fn member(c: &Catalog, relation: Oid) -> Option<Member> {
    if let Some(t) = c.tables.get(&relation) {
        return (t.is_partition() || t.is_partitioned()).then(|| Member {
            parent: t.partition_of(),
            children: c.children(relation).filter(|t| t.is_partition()).map(|t| t.oid).collect(),
            whole: t.is_partitioned(),
        });
    }
    let (t, i) = c.tables.values().find_map(|t| t.index(relation).map(|i| (t, i)))?;
    let part = |i: &&Index| i.parent == Some(relation);
    (t.is_partitioned() || i.parent.is_some()).then(|| Member {
        parent: i.parent,
        children: c
            .children(t.oid)
            .filter_map(|t| t.indexes.iter().find(part).map(|i| i.oid))
            .collect(),
        whole: t.is_partitioned(),
    })
}

/// `pg_partition_tree`: (relid, parentrelid, isleaf, level), as an array of records.
pub(super) fn tree(c: &Catalog, relation: Oid) -> Datum {
    let mut rows = Vec::new();
    let mut level = vec![relation];
    for depth in 0.. {
        let mut below = Vec::new();
        for oid in level {
            let Some(m) = member(c, oid) else { continue };
            let class = PgType::with_typmod(oid::REGCLASS, -1);
            rows.push(Datum::record(vec![
                (class, oid_of(oid)),
                (class, m.parent.map_or(Datum::Null, oid_of)),
                (PgType::BOOL, flag(!m.whole)),
                (PgType::INT4, int4(depth)),
            ]));
            below.extend(m.children);
        }
        if below.is_empty() {
            break;
        }
        level = below;
    }
    Datum::list(oid::RECORD, rows)
}

/// `pg_partition_ancestors`: the relation and what is above it, nearest first.
pub(super) fn ancestors(c: &Catalog, relation: Oid) -> Vec<Oid> {
    let mut out = Vec::new();
    let mut at = Some(relation);
    while let Some(oid) = at {
        let Some(m) = member(c, oid) else { break };
        out.push(oid);
        at = m.parent;
    }
    out
}

/// `satisfies_hash_partition(parent, modulus, remainder, key)`; the key's values with their types as one record.
pub(super) fn satisfies_hash(c: &Catalog, args: &[Datum]) -> Result<Datum> {
    let number = |i: usize| args.get(i).and_then(crate::order::integer);
    let (Some(parent), Some(modulus), Some(remainder)) = (number(0), number(1), number(2)) else {
        return Ok(Datum::Null);
    };
    let wrong = |message: String| SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message);
    let parent = parent as u32;
    let Some(t) = c.tables.get(&parent) else {
        return Err(SqlError::new(
            SqlState::UNDEFINED_TABLE,
            format!("could not open relation with OID {parent}"),
        ));
    };
    let Some(key) = t.partition_key.as_ref().filter(|k| k.strategy == PartitionStrategy::Hash) else {
        return Err(wrong(format!("\"{}\" is not a hash partitioned table", t.name)));
    };
    if modulus <= 0 {
        return Err(wrong(
            "modulus for hash partition must be an integer value greater than zero".to_owned(),
        ));
    }
    if remainder < 0 {
        return Err(wrong(
            "remainder for hash partition must be an integer value greater than or equal to zero".to_owned(),
        ));
    }
    if remainder >= modulus {
        return Err(wrong("remainder for hash partition must be less than modulus".to_owned()));
    }
    let Some(Datum::Record(given)) = args.get(3) else {
        return Ok(Datum::Null);
    };
    let types = key.types(t);
    if given.len() != types.len() {
        return Err(wrong(format!(
            "number of partitioning columns ({}) does not match number of partition keys provided ({})",
            types.len(),
            given.len()
        )));
    }
    for (i, (ty, (of, _))) in types.iter().zip(given.iter()).enumerate() {
        if ty.oid != of.oid && type_info::base_type(ty.oid) != of.oid {
            return Err(wrong(format!(
                "column {} of the partition key has type {}, but supplied value is of type {}",
                i + 1,
                type_info::format_type(ty.oid, -1),
                type_info::format_type(of.oid, -1)
            )));
        }
    }
    let values: Vec<Datum> = given.iter().map(|(_, v)| v.clone()).collect();
    Ok(flag(hash::row_hash(&types, &values) % modulus as u64 == remainder as u64))
}
