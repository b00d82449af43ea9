//! Declarative partitioning: keys, bounds, and what a partition gets of its partitioned table.
//!
//! - this module: PARTITION BY and FOR VALUES, checked and as they are stored.
//! - `rows`: whether rows that exist are where a bound puts them.
//! - `attach`: ATTACH and DETACH PARTITION.
//! - `parts`: indexes and foreign keys of partitioned tables, of which each partition has a part.

mod attach;
mod parts;
mod rows;

use crate::Ddl;
use curia_catalog::opclass::{class_named, default_class};
use curia_catalog::partition::routing::compare_edges;
use curia_catalog::partition::{Bound, Edge, MAX_KEY_COLUMNS, PartitionColumn, PartitionKey, PartitionStrategy, Partitions, hash, shown};
use curia_catalog::{Catalog, Index, IndexMethod, KeyOf, Table};
use curia_parse::ast::{Expr, ExprKind, IndexElement, PartitionBoundKind, PartitionBoundSpec, PartitionBy};
use curia_parse::quote_identifier;
use curia_types::{Datum, IoContext, PgType, Result, SqlError, SqlState, type_info};
use std::sync::Arc;

impl Ddl<'_> {
    /// PARTITION BY of a table that has its columns.
    pub(crate) fn partition_key(&self, table: &Table, by: &PartitionBy) -> Result<PartitionKey> {
        let strategy = match by.strategy.name.to_lowercase().as_str() {
            "list" => PartitionStrategy::List,
            "range" => PartitionStrategy::Range,
            "hash" => PartitionStrategy::Hash,
            _ => {
                return Err(SqlError::new(
                    SqlState::INVALID_PARAMETER_VALUE,
                    format!("unrecognized partitioning strategy \"{}\"", by.strategy.name),
                ));
            }
        };
        if strategy == PartitionStrategy::List && by.keys.len() > 1 {
            return Err(SqlError::new(
                SqlState::INVALID_OBJECT_DEFINITION,
                "cannot use \"list\" partition strategy with more than one column",
            ));
        }
        if by.keys.len() > MAX_KEY_COLUMNS {
            return Err(SqlError::new(
                SqlState::TOO_MANY_COLUMNS,
                format!("cannot partition using more than {MAX_KEY_COLUMNS} columns"),
            ));
        }
        let columns = (1..)
            .zip(&by.keys)
            .map(|(number, k)| self.partition_column(table, strategy, number, k));
        Ok(PartitionKey {
            strategy,
            columns: columns.collect::<Result<_>>()?,
        })
    }

    fn partition_column(
        &self,
        table: &Table,
        strategy: PartitionStrategy,
        number: usize,
        element: &IndexElement,
    ) -> Result<PartitionColumn> {
        let (of, ty) = curia_bind::partition::partition_key(&self.catalog(), self.env.search_path, number, &element.expr, table)?;
        let shown = || type_info::format_type(ty.oid, -1);
        let collation = match &element.collation {
            None => None,
            Some(_) if type_info::by_oid(ty.oid).is_none_or(|t| t.collation == 0) => {
                return Err(SqlError::new(
                    SqlState::DATATYPE_MISMATCH,
                    format!("collations are not supported by type {}", shown()),
                ));
            }
            Some(c) => match c.name() {
                "default" => None,
                name @ ("C" | "POSIX" | "ucs_basic" | "C.UTF-8") => Some(name.to_owned()),
                name => return Err(SqlError::unsupported(format!("collation \"{name}\"")).at(Some(c.pos()))),
            },
        };
        let method = match strategy {
            PartitionStrategy::Hash => IndexMethod::Hash,
            PartitionStrategy::List | PartitionStrategy::Range => IndexMethod::Btree,
        };
        let opclass = match &element.opclass {
            Some(name) => match class_named(method, name.name(), ty.oid) {
                None => {
                    return Err(SqlError::new(
                        SqlState::UNDEFINED_OBJECT,
                        format!(
                            "operator class \"{}\" does not exist for access method \"{}\"",
                            name.name(),
                            method.name()
                        ),
                    ));
                }
                Some((_, false)) => {
                    return Err(SqlError::new(
                        SqlState::DATATYPE_MISMATCH,
                        format!("operator class \"{}\" does not accept data type {}", name.name(), shown()),
                    ));
                }
                Some((class, true)) => (!class.default).then(|| class.name.to_owned()),
            },
            None => {
                let known = match strategy {
                    PartitionStrategy::Hash => hash::hashable(ty),
                    _ => curia_storage::key::orderable(ty.oid) || default_class(method, ty.oid).is_some(),
                };
                if !known {
                    let method = method.name();
                    return Err(SqlError::new(
                        SqlState::UNDEFINED_OBJECT,
                        format!("data type {} has no default operator class for access method \"{method}\"", shown()),
                    )
                    .hint(format!(
                        "You must specify a {method} operator class or define a default {method} operator class for the data type."
                    )));
                }
                None
            }
        };
        Ok(PartitionColumn { of, collation, opclass })
    }

    /// FOR VALUES .. or DEFAULT of a partition of `parent`, as values.
    pub(crate) async fn partition_bound(&mut self, parent: &Table, spec: &PartitionBoundSpec) -> Result<Bound> {
        let key = parent
            .partition_key
            .clone()
            .ok_or_else(|| SqlError::internal("a partition of a table that is not partitioned"))?;
        let invalid = |what: &str| {
            SqlError::new(
                SqlState::INVALID_TABLE_DEFINITION,
                format!("invalid bound specification for a {what} partition"),
            )
            .at(Some(spec.pos))
        };
        let wrong = |message: &str| SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message);
        match (&spec.kind, key.strategy) {
            (PartitionBoundKind::Default, PartitionStrategy::Hash) => {
                Err(wrong("a hash-partitioned table may not have a default partition"))
            }
            (PartitionBoundKind::Default, _) => Ok(Bound::Default),
            (PartitionBoundKind::Hash { modulus, remainder }, PartitionStrategy::Hash) => {
                if *modulus <= 0 {
                    return Err(wrong("modulus for hash partition must be an integer value greater than zero"));
                }
                if *remainder < 0 {
                    return Err(wrong(
                        "remainder for hash partition must be an integer value greater than or equal to zero",
                    ));
                }
                if remainder >= modulus {
                    return Err(wrong("remainder for hash partition must be less than modulus"));
                }
                Ok(Bound::Hash {
                    modulus: *modulus as u32,
                    remainder: *remainder as u32,
                })
            }
            (PartitionBoundKind::List(values), PartitionStrategy::List) => {
                let mut out: Vec<Datum> = Vec::with_capacity(values.len());
                for expr in values {
                    let value = self.bound_value(parent, &key, 0, expr).await?;
                    if !out.contains(&value) {
                        out.push(value);
                    }
                }
                Ok(Bound::List(out))
            }
            (PartitionBoundKind::Range { from, to }, PartitionStrategy::Range) => {
                for (edge, word) in [(from, "FROM"), (to, "TO")] {
                    if edge.len() != key.columns.len() {
                        return Err(wrong(&format!("{word} must specify exactly one value per partitioning column")));
                    }
                }
                Ok(Bound::Range {
                    from: self.range_edges(parent, &key, from).await?,
                    to: self.range_edges(parent, &key, to).await?,
                })
            }
            (_, PartitionStrategy::Hash) => Err(invalid("hash")),
            (_, PartitionStrategy::List) => Err(invalid("list")),
            (_, PartitionStrategy::Range) => Err(invalid("range")),
        }
    }

    async fn range_edges(&mut self, parent: &Table, key: &PartitionKey, values: &[Expr]) -> Result<Vec<Edge>> {
        let mut out: Vec<Edge> = Vec::with_capacity(values.len());
        for (i, expr) in values.iter().enumerate() {
            let edge = match infinite(expr) {
                Some(edge) => edge,
                None => match self.bound_value(parent, key, i, expr).await? {
                    Datum::Null => {
                        return Err(SqlError::new(
                            SqlState::INVALID_OBJECT_DEFINITION,
                            "cannot specify NULL in range bound",
                        ));
                    }
                    value => Edge::Value(value),
                },
            };
            let word = match out.last() {
                Some(Edge::Min) if edge != Edge::Min => Some("MINVALUE"),
                Some(Edge::Max) if edge != Edge::Max => Some("MAXVALUE"),
                _ => None,
            };
            if let Some(word) = word {
                return Err(SqlError::new(
                    SqlState::DATATYPE_MISMATCH,
                    format!("every bound following {word} must also be {word}"),
                )
                .at(Some(expr.pos)));
            }
            out.push(edge);
        }
        Ok(out)
    }

    /// A value of a bound, computed now and in the type of the key's column.
    async fn bound_value(&mut self, parent: &Table, key: &PartitionKey, column: usize, expr: &Expr) -> Result<Datum> {
        let column = &key.columns[column];
        let name = match &column.of {
            KeyOf::Column(i) => parent.columns[*i].name.clone(),
            KeyOf::Expression { text, .. } => text.clone(),
        };
        let ty = column.ty(parent);
        let text = curia_bind::partition::bound_value(&self.catalog(), self.env.search_path, expr, &name, ty)?;
        let shown = curia_bind::ddl::type_text(PgType::with_typmod(ty.oid, -1));
        self.value(&format!("CAST(({text}) AS {shown})")).await
    }

    /// Refuses a bound that is empty or that another partition has a part of.
    pub(crate) fn check_bound(&self, parent: &Table, name: &str, bound: &Bound, spec: &PartitionBoundSpec) -> Result<()> {
        let catalog = self.catalog();
        let partitions = partitions_of(parent, &catalog)?;
        let wrong = |message: String| SqlError::new(SqlState::INVALID_OBJECT_DEFINITION, message);
        let called = |oid: u32| catalog.tables.get(&oid).map_or("", |t| t.name.as_str());
        let written = match &spec.kind {
            PartitionBoundKind::List(values) => values.clone(),
            PartitionBoundKind::Range { from, .. } => from.clone(),
            _ => Vec::new(),
        };
        if let Bound::Range { from, to } = bound
            && compare_edges(partitions.types(), from, to).is_ge()
        {
            let io = self.shown_io();
            let text = |edges: &[Edge]| shown::edges_text(edges, partitions.types(), &io);
            return Err(wrong(format!("empty range bound specified for partition \"{name}\""))
                .detail(format!(
                    "Specified lower bound {} is greater than or equal to upper bound {}.",
                    text(from),
                    text(to)
                ))
                .at(written.first().map(|e| e.pos)));
        }
        if let Bound::Hash { modulus, .. } = bound {
            // Moduli form a chain in which each divides the next.
            let others = partitions.parts().iter().filter_map(|(oid, b)| match b {
                Bound::Hash { modulus, .. } => Some((*modulus, *oid)),
                _ => None,
            });
            let others: Vec<(u32, u32)> = others.collect();
            let chain = |detail: String| {
                wrong("every hash partition modulus must be a factor of the next larger modulus".to_owned()).detail(detail)
            };
            if let Some((m, oid)) = others.iter().rfind(|(m, _)| m <= modulus)
                && modulus % m != 0
            {
                return Err(chain(format!(
                    "The new modulus {modulus} is not divisible by {m}, the modulus of existing partition \"{}\".",
                    called(*oid)
                )));
            }
            if let Some((m, oid)) = others.iter().find(|(m, _)| m > modulus)
                && m % modulus != 0
            {
                return Err(chain(format!(
                    "The new modulus {modulus} is not a factor of {m}, the modulus of existing partition \"{}\".",
                    called(*oid)
                )));
            }
        }
        match partitions.overlapped(bound) {
            None => Ok(()),
            Some((oid, _)) if *bound == Bound::Default => Err(wrong(format!(
                "partition \"{name}\" conflicts with existing default partition \"{}\"",
                called(oid)
            ))
            .at(Some(spec.pos))),
            Some((oid, i)) => Err(wrong(format!("partition \"{name}\" would overlap partition \"{}\"", called(oid)))
                .at(Some(written.get(i).map_or(spec.pos, |e| e.pos)))),
        }
    }

    /// How messages show values: users' types as the catalog has them.
    pub(crate) fn shown_io(&self) -> IoContext {
        IoContext {
            types: Some(Arc::new((*self.catalog()).clone())),
            ..IoContext::default()
        }
    }
}

/// The partitions of a table that is partitioned.
pub(crate) fn partitions_of(parent: &Table, catalog: &Catalog) -> Result<Partitions> {
    parent
        .partitions(catalog)?
        .ok_or_else(|| SqlError::internal("partitions of a table that is not partitioned"))
}

/// MINVALUE and MAXVALUE, which parse as columns.
fn infinite(expr: &Expr) -> Option<Edge> {
    match &expr.kind {
        ExprKind::Column(parts) => match parts.as_slice() {
            [name] if name.name == "minvalue" => Some(Edge::Min),
            [name] if name.name == "maxvalue" => Some(Edge::Max),
            _ => None,
        },
        _ => None,
    }
}

/// Refuses a unique index of a partitioned table in which two partitions could have the same key.
pub(crate) fn check_unique_key(table: &Table, index: &Index, kind: &str) -> Result<()> {
    let Some(key) = &table.partition_key else { return Ok(()) };
    for column in &key.columns {
        let Some(i) = column.as_column() else {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("unsupported {kind} constraint with partition key definition"),
            )
            .detail(format!(
                "{kind} constraints cannot be used when partition keys include expressions."
            )));
        };
        if !index.columns().any(|c| c == i) {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "unique constraint on partitioned table must include all partitioning columns",
            )
            .detail(format!(
                "{kind} constraint on table \"{}\" lacks column \"{}\" which is part of the partition key.",
                table.name, table.columns[i].name
            )));
        }
    }
    Ok(())
}

/// The values of a partition key as SQL over the table, which has columns of the same names as `parent`.
pub(crate) fn key_list(parent: &Table, key: &PartitionKey) -> Vec<String> {
    let value = |c: &PartitionColumn| match &c.of {
        KeyOf::Column(i) => quote_identifier(&parent.columns[*i].name).into_owned(),
        KeyOf::Expression { text, .. } => format!("({text})"),
    };
    key.columns.iter().map(value).collect()
}
