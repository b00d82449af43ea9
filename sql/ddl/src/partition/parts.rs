//! Indexes and foreign keys of partitioned tables: each partition has a part of its own, found among what it has or made.

use crate::Ddl;
use crate::constraint::{constraint_exists, joined, of_index, refuse_duplicate};
use curia_catalog::{Catalog, Change, Constraint, ConstraintKind, ForeignKey, Index, IndexKey, KeyOf, Oid, Origin, Table, choose_name};
use curia_types::{Result, SqlError, SqlState};

impl Ddl<'_> {
    /// Gives a new partition, and what is below it, its parts of the parent's indexes and foreign keys.
    pub(crate) async fn give_parts(&mut self, parent: Oid, child: Oid) -> Result<()> {
        let parent = self.table(parent)?;
        for index in &parent.indexes {
            self.give_index(&parent, index, child).await?;
        }
        for (c, key) in parent.foreign_keys() {
            self.give_foreign_key(&parent, c, key, child).await?;
        }
        Ok(())
    }

    /// Gives all partitions of a table their parts of an index.
    pub(crate) async fn spread_index(&mut self, parent: Oid, index: Oid) -> Result<()> {
        let parent = self.table(parent)?;
        let index = parent.index(index).cloned();
        let index = index.ok_or_else(|| SqlError::internal("an index without its table"))?;
        let children: Vec<Oid> = self.catalog().children(parent.oid).map(|t| t.oid).collect();
        for child in children {
            self.give_index(&parent, &index, child).await?;
        }
        Ok(())
    }

    /// Gives one partition its part of an index: one that it has and that is the same, or a new one.
    async fn give_index(&mut self, parent: &Table, index: &Index, child: Oid) -> Result<()> {
        let table = (*self.table(child)?).clone();
        let Some(wanted) = mapped_index(parent, index, &table) else {
            return Err(SqlError::internal("a partition lacks a column of its partitioned table"));
        };
        let constraint = of_index(parent, index.oid);
        let usable = |i: &&Index| {
            let own = of_index(&table, i.oid);
            i.parent.is_none()
                && same_index(i, &wanted)
                && match (constraint, own) {
                    (None, _) => true,
                    (Some(c), Some(own)) => c.timing == own.timing && i.primary == index.primary,
                    (Some(_), None) => false,
                }
        };
        if let Some(found) = table.indexes.iter().find(usable).map(|i| i.oid) {
            return self.adopt_index(parent, index.oid, table, found);
        }
        self.make_part(parent, index, table, wanted).await
    }

    /// Makes an index that a partition has its part of one of the parent's.
    pub(crate) fn adopt_index(&mut self, parent: &Table, index: Oid, mut table: Table, part: Oid) -> Result<()> {
        let above = of_index(parent, index).map(|c| c.oid);
        for i in table.indexes.iter_mut().filter(|i| i.oid == part) {
            i.parent = Some(index);
        }
        if above.is_some() {
            for c in &mut table.constraints {
                if matches!(c.kind, ConstraintKind::Unique { index: i, .. } if i == part) {
                    c.parent = above;
                    c.origin = Origin::INHERITED;
                }
            }
        }
        self.change(Change::put(table))
    }

    async fn make_part(&mut self, parent: &Table, index: &Index, mut table: Table, mut wanted: Index) -> Result<()> {
        let old = table.clone();
        let constraint = of_index(parent, index.oid);
        if wanted.unique {
            super::check_unique_key(&table, &wanted, if wanted.primary { "PRIMARY KEY" } else { "UNIQUE" })?;
        }
        if wanted.primary {
            if table.primary_key().is_some() {
                return Err(SqlError::new(
                    SqlState::INVALID_TABLE_DEFINITION,
                    format!("multiple primary keys for table \"{}\" are not allowed", table.name),
                ));
            }
            for i in wanted.columns() {
                self.check_no_nulls(&old, i).await?;
                table.columns[i].not_null = true;
            }
        }
        let catalog = self.catalog();
        let taken = |n: &str| {
            n == table.name
                || catalog.relation_in(table.schema, n).is_some()
                || (constraint.is_some() && constraint_exists(&catalog, &table, n))
        };
        let included = wanted.include.iter().map(|c| table.columns[*c].name.as_str());
        let names: Vec<&str> = wanted.keys.iter().map(|k| k.name(&table)).chain(included).collect();
        wanted.name = match constraint {
            Some(_) if wanted.primary => choose_name(&table.name, None, "pkey", taken),
            Some(_) => choose_name(&table.name, Some(&joined(&names)), "key", taken),
            None => choose_name(&table.name, Some(&joined(&crate::index::distinct(&names))), "idx", taken),
        };
        wanted.oid = self.new_oid()?;
        wanted.parent = Some(index.oid);
        let (child, part) = (table.oid, wanted.oid);
        if let Some(c) = constraint {
            table.constraints.push(Constraint {
                oid: self.new_oid()?,
                name: wanted.name.clone(),
                kind: ConstraintKind::Unique {
                    index: wanted.oid,
                    primary: wanted.primary,
                },
                origin: Origin::INHERITED,
                parent: Some(c.oid),
                ..c.clone()
            });
        }
        if wanted.primary && !wanted.deferrable {
            self.add_primary_key(old, table, wanted).await?;
        } else {
            self.add_unique_index(table, wanted).await?;
        }
        if self.table(child)?.is_partitioned() {
            Box::pin(self.spread_index(child, part)).await?;
        }
        Ok(())
    }

    /// Gives all partitions of a table their parts of a foreign key.
    pub(crate) async fn spread_foreign_key(&mut self, parent: Oid, constraint: Oid) -> Result<()> {
        let parent = self.table(parent)?;
        let Some((c, key)) = parent.foreign_keys().find(|(c, _)| c.oid == constraint) else {
            return Err(SqlError::internal("a foreign key without its table"));
        };
        let children: Vec<Oid> = self.catalog().children(parent.oid).map(|t| t.oid).collect();
        for child in children {
            self.give_foreign_key(&parent, c, key, child).await?;
        }
        Ok(())
    }

    async fn give_foreign_key(&mut self, parent: &Table, c: &Constraint, key: &ForeignKey, child: Oid) -> Result<()> {
        if key.table == child {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!(
                    "cannot attach table \"{}\" as a partition because it is referenced by foreign key \"{}\"",
                    self.table(child)?.name,
                    c.name
                ),
            ));
        }
        let mut table = (*self.table(child)?).clone();
        let column = |i: &usize| table.column(&parent.columns[*i].name).map(|(i, _)| i);
        let (Some(columns), Some(set)) = (
            key.columns.iter().map(column).collect::<Option<Vec<_>>>(),
            key.set.iter().map(column).collect::<Option<Vec<_>>>(),
        ) else {
            return Err(SqlError::internal("a partition lacks a column of its partitioned table"));
        };
        let wanted = ForeignKey {
            columns,
            set,
            ..key.clone()
        };
        let same = |own: &&mut Constraint| {
            own.parent.is_none() && own.timing == c.timing && !own.not_valid && own.kind == ConstraintKind::ForeignKey(wanted.clone())
        };
        if let Some(own) = table.constraints.iter_mut().find(same) {
            own.parent = Some(c.oid);
            own.origin = Origin::INHERITED;
            // What is below it has its parts of it already.
            return self.change(Change::put(table));
        }
        let name = if refuse_duplicate(&table, &c.name).is_ok() {
            c.name.clone()
        } else {
            let catalog = self.catalog();
            let names: Vec<&str> = wanted.columns.iter().map(|c| table.columns[*c].name.as_str()).collect();
            choose_name(&table.name, Some(&joined(&names)), "fkey", |n| {
                constraint_exists(&catalog, &table, n)
            })
        };
        if !c.not_valid && !table.is_partitioned() {
            self.check_references(&table, &name, &wanted).await?;
        }
        let oid = self.new_oid()?;
        table.constraints.push(Constraint {
            oid,
            name,
            kind: ConstraintKind::ForeignKey(wanted),
            origin: Origin::INHERITED,
            parent: Some(c.oid),
            ..c.clone()
        });
        let is_partitioned = table.is_partitioned();
        self.change(Change::put(table))?;
        if is_partitioned {
            Box::pin(self.spread_foreign_key(child, oid)).await?;
        }
        Ok(())
    }

    /// Marks a partitioned table's index complete when each partition has a part of it that is, and then those above it.
    pub(crate) fn settle_index(&mut self, table: Oid, index: Oid) -> Result<()> {
        let catalog = self.catalog();
        let whole = catalog
            .children(table)
            .all(|t| t.indexes.iter().any(|i| i.parent == Some(index) && !i.incomplete));
        let mut parent = (*self.table(table)?).clone();
        let Some(own) = parent.indexes.iter_mut().find(|i| i.oid == index) else {
            return Ok(());
        };
        if !whole || !own.incomplete {
            return Ok(());
        }
        own.incomplete = false;
        let above = own.parent;
        let owner = parent.partition_of();
        self.change(Change::put(parent))?;
        match (owner, above) {
            (Some(owner), Some(above)) => self.settle_index(owner, above),
            _ => Ok(()),
        }
    }

    /// Makes what a partition has of its parent's indexes and foreign keys its own.
    pub(crate) fn release_parts(&self, table: &mut Table) {
        for i in &mut table.indexes {
            i.parent = None;
        }
        for c in table.constraints.iter_mut().filter(|c| c.parent.is_some()) {
            c.parent = None;
            c.origin = Origin::default();
        }
    }

    /// The parts, in partitions at any depth, of an index or a constraint: (table, its OID).
    pub(crate) fn parts_of(&self, table: Oid, of: Oid) -> Vec<(Oid, Oid)> {
        let catalog = self.catalog();
        let mut found = Vec::new();
        collect_parts(&catalog, table, of, &mut found);
        found
    }

    /// Removes parts of a foreign key that goes.
    pub(crate) fn drop_constraint_parts(&mut self, table: Oid, constraint: Oid) -> Result<()> {
        for (oid, part) in self.parts_of(table, constraint) {
            let mut table = (*self.table(oid)?).clone();
            table.constraints.retain(|c| c.oid != part);
            self.change(Change::put(table))?;
        }
        Ok(())
    }
}

fn collect_parts(catalog: &Catalog, table: Oid, of: Oid, found: &mut Vec<(Oid, Oid)>) {
    for child in catalog.children(table) {
        let indexes = child.indexes.iter().filter(|i| i.parent == Some(of)).map(|i| i.oid);
        let constraints = child.constraints.iter().filter(|c| c.parent == Some(of)).map(|c| c.oid);
        for part in indexes.chain(constraints) {
            found.push((child.oid, part));
            collect_parts(catalog, child.oid, part, found);
        }
    }
}

/// An index of `parent` over the columns of `table`, by name, without storage; `None` when one is missing.
pub(crate) fn mapped_index(parent: &Table, index: &Index, table: &Table) -> Option<Index> {
    let column = |i: usize| table.column(&parent.columns[i].name).map(|(i, _)| i);
    let key = |k: &IndexKey| {
        let of = match &k.of {
            KeyOf::Column(i) => KeyOf::Column(column(*i)?),
            // Texts name columns, which are called the same here.
            expression => expression.clone(),
        };
        Some(IndexKey { of, ..k.clone() })
    };
    Some(Index {
        storage: None,
        keys: index.keys.iter().map(key).collect::<Option<_>>()?,
        include: index.include.iter().map(|i| column(*i)).collect::<Option<_>>()?,
        parent: None,
        incomplete: false,
        ..index.clone()
    })
}

/// Whether two indexes of one table are the same but for their names (`CompareIndexInfo`).
pub(crate) fn same_index(a: &Index, b: &Index) -> bool {
    a.keys == b.keys
        && a.include.len() == b.include.len()
        && a.unique == b.unique
        && a.predicate == b.predicate
        && a.nulls_not_distinct == b.nulls_not_distinct
        && a.method == b.method
}
