//! CREATE INDEX.
//!
//! Whatever method is asked for, an index is an ordered one: `hash` and `brin` indexes answer what PostgreSQL's do, and more.

use crate::Ddl;
use crate::constraint::joined;
use crate::names::relation_exists;
use crate::partition::check_unique_key;
use curia_catalog::opclass::{class_named, default_class};
use curia_catalog::{Change, Index, IndexKey, IndexMethod, KeyOf, Oid, Relation, Table, choose_name};
use curia_parse::ast::{CreateIndex, ExprKind, IndexElement, Reindex, ReindexScope, StatementOption};
use curia_txn::{LockWait, TableLock, Transaction};
use curia_types::{PgType, Result, SqlError, SqlState, type_info};
use std::sync::Arc;

/// Most key columns of an index, as in PostgreSQL.
const MAX_KEYS: usize = 32;

impl Ddl<'_> {
    /// CREATE INDEX .. CONCURRENTLY as far as one transaction goes: the index is there and incomplete, so that whoever writes keeps it from
    /// the commit on; [`fill_concurrently`](crate::fill_concurrently) does the rest. `guard` locks the table, and keeps it. The table and
    /// the index; `None` when there was one of the name already.
    pub async fn define_index(&mut self, s: &CreateIndex, guard: &mut Transaction) -> Result<Option<(Oid, Oid)>> {
        self.make_index(s, Some(guard)).await
    }

    pub(crate) async fn create_index(&mut self, s: &CreateIndex) -> Result<()> {
        self.make_index(s, None).await.map(|_| ())
    }

    async fn make_index(&mut self, s: &CreateIndex, guard: Option<&mut Transaction>) -> Result<Option<(Oid, Oid)>> {
        if s.keys.len() + s.include.len() > MAX_KEYS {
            return Err(SqlError::new(
                SqlState::TOO_MANY_COLUMNS,
                format!("cannot use more than {MAX_KEYS} columns in an index"),
            ));
        }
        let table = self.find_indexed(&s.table)?;
        self.must_own(table.oid)?;
        let fills = guard.is_none();
        match guard {
            Some(guard) => {
                guard
                    .lock_table(table.oid, TableLock::ShareUpdateExclusive, LockWait::Block)
                    .await?;
                self.refresh_catalog();
            }
            // PostgreSQL takes SHARE. Here a table is one catalog object with its indexes, so two builds at once would lose one of them.
            None => self.lock_table(table.oid, TableLock::ShareRowExclusive).await?,
        }
        // The table as it is now that nobody changes it any more.
        let mut table = (*self.table(table.oid)?).clone();
        if let Some(name) = &s.name {
            self.lock_name(table.schema, &name.name).await?;
            if self.catalog().relation_in(table.schema, &name.name).is_some() {
                let exists = relation_exists(&name.name);
                if !s.if_not_exists {
                    return Err(exists);
                }
                self.notices
                    .push(SqlError::new(SqlState::DUPLICATE_TABLE, format!("{}, skipping", exists.message())));
                return Ok(None);
            }
        }
        let method = method(s)?;
        check_options(method, &s.options)?;
        let keys = s
            .keys
            .iter()
            .map(|e| self.index_key(&table, method, e))
            .collect::<Result<Vec<_>>>()?;
        let include = s.include.iter().map(|e| included(&table, e)).collect::<Result<Vec<_>>>()?;
        let predicate = match &s.filter {
            Some(filter) => Some(curia_bind::index::index_predicate(
                &self.catalog(),
                self.env.search_path,
                filter,
                &table,
            )?),
            None => None,
        };
        if table.is_partitioned() && s.concurrently {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("cannot create index on partitioned table \"{}\" concurrently", table.name),
            ));
        }
        let catalog = self.catalog();
        let name = match &s.name {
            Some(name) => name.name.clone(),
            None => {
                let included = include.iter().map(|c| table.columns[*c].name.as_str());
                let names: Vec<&str> = keys.iter().map(|k| k.name(&table)).chain(included).collect();
                choose_name(&table.name, Some(&joined(&distinct(&names))), "idx", |n| {
                    catalog.relation_in(table.schema, n).is_some()
                })
            }
        };
        let index = Index {
            oid: self.new_oid()?,
            name,
            storage: Some(self.new_storage()?),
            keys,
            unique: s.unique,
            include,
            predicate,
            nulls_not_distinct: s.nulls_not_distinct,
            method,
            incomplete: !fills || s.only && table.is_partitioned() && self.catalog().has_children(table.oid),
            ..Index::default()
        };
        if index.unique {
            check_unique_key(&table, &index, "UNIQUE")?;
        }
        if fills {
            self.fill_index(&table, &index, "CREATE INDEX").await?;
        }
        let (oid, made) = (table.oid, index.oid);
        let spreads = table.is_partitioned() && !s.only;
        table.indexes.push(index);
        self.change(Change::put(table))?;
        if spreads {
            self.spread_index(oid, made).await?;
        }
        Ok(Some((oid, made)))
    }

    /// The tables and indexes that REINDEX builds anew: those that are not complete. An LSM tree has nothing else to rebuild.
    pub fn unfinished_indexes(&self, s: &Reindex) -> Result<Vec<(Oid, Oid)>> {
        let catalog = self.catalog();
        let (tables, only): (Vec<Arc<Table>>, Option<Oid>) = match s.scope {
            ReindexScope::Index | ReindexScope::Table => {
                let relation = self.find_relation(&s.name)?;
                self.must_own_relation(relation)?;
                match (s.scope, relation) {
                    (ReindexScope::Index, Relation::Index(table, index)) => (vec![self.table(table)?], Some(index)),
                    (ReindexScope::Table, Relation::Table(table)) => (vec![self.table(table)?], None),
                    (scope, _) => {
                        let kind = if scope == ReindexScope::Index {
                            "an index"
                        } else {
                            "a table or materialized view"
                        };
                        return Err(SqlError::new(
                            SqlState::WRONG_OBJECT_TYPE,
                            format!("\"{}\" is not {kind}", s.name.name()),
                        ));
                    }
                }
            }
            ReindexScope::Schema => {
                let schema = self.schema_named(s.name.name())?.oid;
                self.must_own(schema)?;
                (catalog.tables.values().filter(|t| t.schema == schema).cloned().collect(), None)
            }
            ReindexScope::Database => {
                let Some(database) = catalog.database(s.name.name()) else {
                    return Err(SqlError::new(
                        SqlState::FEATURE_NOT_SUPPORTED,
                        "can only reindex the currently open database",
                    ));
                };
                self.must_own(database.oid)?;
                (catalog.tables.values().cloned().collect(), None)
            }
        };
        let owned = tables.iter().filter(|t| catalog.owns(self.env.role, t.owner));
        let indexes = owned.flat_map(|t| t.indexes.iter().map(move |i| (t, i)));
        let unfinished = indexes.filter(|(t, i)| i.incomplete && !t.is_partitioned() && only.is_none_or(|only| only == i.oid));
        Ok(unfinished.map(|(t, i)| (t.oid, i.oid)).collect())
    }

    /// REINDEX
    pub(crate) async fn reindex(&mut self, s: &Reindex) -> Result<()> {
        for (table, index) in self.unfinished_indexes(s)? {
            self.lock_table(table, TableLock::ShareRowExclusive).await?;
            let mut table = (*self.table(table)?).clone();
            let Some(at) = table.indexes.iter().position(|i| i.oid == index && i.incomplete) else {
                continue; // it went, or was completed, while the lock was waited for
            };
            let mut index = table.indexes.remove(at);
            if let Some(old) = index.storage.replace(self.new_storage()?) {
                self.drop_storage(old)?;
            }
            index.incomplete = false;
            self.fill_index(&table, &index, "REINDEX").await?;
            table.indexes.insert(at, index);
            self.change(Change::put(table))?;
        }
        Ok(())
    }

    fn index_key(&self, table: &Table, method: IndexMethod, element: &IndexElement) -> Result<IndexKey> {
        let (of, ty) = curia_bind::index::index_key(&self.catalog(), self.env.search_path, &element.expr, table)?;
        let collation = match &element.collation {
            None => None,
            Some(c) if type_info::by_oid(ty.oid).is_none_or(|t| t.collation == 0) => {
                return Err(SqlError::new(
                    SqlState::DATATYPE_MISMATCH,
                    format!("collations are not supported by type {}", shown(ty)),
                )
                .at(Some(c.pos())));
            }
            Some(c) => match c.name() {
                "default" => None,
                name @ ("C" | "POSIX" | "ucs_basic" | "C.UTF-8") => Some(name.to_owned()),
                name => return Err(SqlError::unsupported(format!("collation \"{name}\""))),
            },
        };
        let opclass = match &element.opclass {
            None => {
                self.check_orderable_by(method, ty)?;
                None
            }
            Some(name) => {
                let name = name.name();
                match class_named(method, name, ty.oid) {
                    // Classes of arrays, enums, jsonb and so on: the default one of their types.
                    None if method == IndexMethod::Btree
                        && matches!(
                            name,
                            "array_ops" | "enum_ops" | "jsonb_ops" | "record_ops" | "bit_ops" | "varbit_ops" | "timetz_ops"
                        ) =>
                    {
                        self.check_orderable(ty)?;
                        None
                    }
                    None => {
                        return Err(SqlError::new(
                            SqlState::UNDEFINED_OBJECT,
                            format!("operator class \"{name}\" does not exist for access method \"{}\"", method.name()),
                        ));
                    }
                    Some((_, false)) => {
                        return Err(SqlError::new(
                            SqlState::DATATYPE_MISMATCH,
                            format!("operator class \"{name}\" does not accept data type {}", shown(ty)),
                        ));
                    }
                    Some((class, true)) => (!class.default).then(|| class.name.to_owned()),
                }
            }
        };
        if method != IndexMethod::Btree {
            let refused = |what: &str| {
                Err(SqlError::new(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    format!("access method \"{}\" does not support {what} options", method.name()),
                ))
            };
            if element.descending {
                return refused("ASC/DESC");
            }
            if element.nulls_first.is_some() {
                return refused("NULLS FIRST/LAST");
            }
        }
        Ok(IndexKey {
            of,
            descending: element.descending,
            nulls_first: element.nulls_first.unwrap_or(element.descending),
            collation,
            opclass,
        })
    }

    /// Types that keys of a method can hold.
    fn check_orderable_by(&self, method: IndexMethod, ty: PgType) -> Result<()> {
        if method == IndexMethod::Btree || default_class(method, ty.oid).is_some() {
            return self.check_orderable(ty);
        }
        Err(SqlError::new(
            SqlState::UNDEFINED_OBJECT,
            format!(
                "data type {} has no default operator class for access method \"{}\"",
                shown(ty),
                method.name()
            ),
        )
        .hint("You must specify an operator class for the index or define a default operator class for the data type."))
    }

    /// The index after a change of a column's type: expressions may have another type now.
    pub(crate) fn retyped(&self, table: &Table, index: &Index) -> Result<Index> {
        let mut out = index.clone();
        for k in &mut out.keys {
            if let KeyOf::Expression { text, name, .. } = &k.of {
                let expr = curia_parse::parse_expression(text)?;
                let (of, ty) = curia_bind::index::index_key(&self.catalog(), &[], &expr, table)?;
                let name = name.clone();
                k.of = match of {
                    KeyOf::Expression { text, ty, .. } => KeyOf::Expression { text, ty, name },
                    column => column,
                };
                self.check_orderable(ty)?;
            }
        }
        if let Some(predicate) = &mut out.predicate {
            let expr = curia_parse::parse_expression(predicate)?;
            *predicate = curia_bind::index::index_predicate(&self.catalog(), &[], &expr, table)?;
        }
        Ok(out)
    }
}

fn method(s: &CreateIndex) -> Result<IndexMethod> {
    let name = s.method.as_ref().map_or("btree", |m| m.name.as_str());
    let method = match name {
        "btree" => return Ok(IndexMethod::Btree),
        "hash" => IndexMethod::Hash,
        "brin" => IndexMethod::Brin,
        "gin" | "gist" | "spgist" => return Err(SqlError::unsupported(format!("access method \"{name}\""))),
        name => {
            return Err(SqlError::new(
                SqlState::UNDEFINED_OBJECT,
                format!("access method \"{name}\" does not exist"),
            ));
        }
    };
    let refused = |what: &str| {
        Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("access method \"{name}\" does not support {what}"),
        ))
    };
    if s.unique {
        return refused("unique indexes");
    }
    if !s.include.is_empty() {
        return refused("included columns");
    }
    if method == IndexMethod::Hash && s.keys.len() > 1 {
        return refused("multicolumn indexes");
    }
    Ok(method)
}

fn included(table: &Table, e: &IndexElement) -> Result<usize> {
    let refused = |what: &str| {
        Err(SqlError::new(
            SqlState::INVALID_OBJECT_DEFINITION,
            format!("including column does not support {what}"),
        ))
    };
    let ExprKind::Column(name) = &e.expr.kind else {
        return Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            "expressions are not supported in included columns",
        ));
    };
    if e.collation.is_some() {
        return refused("a collation");
    }
    if e.opclass.is_some() {
        return refused("an operator class");
    }
    if e.descending {
        return refused("ASC/DESC options");
    }
    if e.nulls_first.is_some() {
        return refused("NULLS FIRST/LAST options");
    }
    let name = &name[name.len() - 1].name;
    table
        .column(name)
        .map(|(i, _)| i)
        .ok_or_else(|| SqlError::new(SqlState::UNDEFINED_COLUMN, format!("column \"{name}\" does not exist")))
}

/// Names of an index's columns: one that stands already is counted on, as PostgreSQL does.
pub(crate) fn distinct(names: &[&str]) -> Vec<String> {
    let mut out: Vec<String> = Vec::with_capacity(names.len());
    for name in names {
        let mut candidate = (*name).to_owned();
        let mut pass = 1;
        while out.contains(&candidate) {
            candidate = format!("{name}{pass}");
            pass += 1;
        }
        out.push(candidate);
    }
    out
}

/// Storage parameters of an index are checked by name; none has an effect.
pub(crate) fn check_options(method: IndexMethod, options: &[StatementOption]) -> Result<()> {
    for o in options {
        let known = match method {
            IndexMethod::Btree => matches!(
                o.name.as_str(),
                "fillfactor" | "deduplicate_items" | "vacuum_cleanup_index_scale_factor"
            ),
            IndexMethod::Hash => o.name == "fillfactor",
            IndexMethod::Brin => matches!(o.name.as_str(), "pages_per_range" | "autosummarize"),
        };
        if !known {
            return Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("unrecognized parameter \"{}\"", o.name),
            ));
        }
    }
    let fillfactor: Vec<StatementOption> = options.iter().filter(|o| o.name == "fillfactor").cloned().collect();
    crate::table::check_storage_options(&fillfactor)
}

fn shown(ty: PgType) -> String {
    type_info::format_type(ty.oid, -1)
}
