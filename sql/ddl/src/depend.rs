//! DROP of tables, indexes, sequences and schemas: what goes with an object, and what forbids dropping it.
//!
//! Dependencies follow from the catalog itself (a schema holds relations, a table owns sequences, a default mentions a sequence), so there
//! is no table of them that could disagree.

use crate::Ddl;
use crate::names::no_schema;
use curia_catalog::{Change, Class, Constraint, ObjectKey, Oid, Relation, Schema, Sequence, Table};
use curia_parse::ast::{DropObjects, ObjectKind};
use curia_parse::{ObjectName, quote_identifier};
use curia_txn::TableLock;
use curia_types::{Result, SqlError, SqlState};
use std::sync::Arc;

/// An object's kind as messages name it.
pub(crate) fn kind_name(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Table => "table",
        ObjectKind::Index => "index",
        ObjectKind::Sequence => "sequence",
        ObjectKind::View => "view",
        ObjectKind::MaterializedView => "materialized view",
        ObjectKind::Schema => "schema",
        ObjectKind::Column => "column",
        ObjectKind::Constraint => "constraint",
        ObjectKind::Database => "database",
        ObjectKind::Role => "role",
        ObjectKind::Type => "type",
        ObjectKind::Domain => "domain",
        ObjectKind::Function => "function",
    }
}

/// Something that would have to go with the dropped objects.
pub(crate) struct Dependent {
    pub oid: Oid,
    /// As messages name it: `table d`, `default value for column id of table t`.
    pub shown: String,
    /// What it depends on: `schema t_tables`.
    pub on: String,
    pub what: DependentKind,
}

pub(crate) enum DependentKind {
    Relation(Relation),
    Function(Oid),
    Default {
        table: Oid,
        column: usize,
    },
    /// A generated column, by its place in the table.
    Column {
        table: Oid,
        column: usize,
    },
    Constraint {
        table: Oid,
    },
    /// A type of a schema that goes; dropped when the relations are gone.
    Type,
}

impl Dependent {
    pub fn relation(relation: Relation, shown: String, on: String) -> Dependent {
        Dependent {
            oid: relation.oid(),
            shown,
            on,
            what: DependentKind::Relation(relation),
        }
    }
}

impl Ddl<'_> {
    pub(crate) async fn drop_objects(&mut self, s: &DropObjects) -> Result<&'static str> {
        let tag = match s.kind {
            ObjectKind::Table => "DROP TABLE",
            ObjectKind::Index => "DROP INDEX",
            ObjectKind::Sequence => "DROP SEQUENCE",
            ObjectKind::View => "DROP VIEW",
            ObjectKind::MaterializedView => "DROP MATERIALIZED VIEW",
            ObjectKind::Schema => "DROP SCHEMA",
            ObjectKind::Type => "DROP TYPE",
            ObjectKind::Domain => "DROP DOMAIN",
            other => return Err(SqlError::unsupported(format!("DROP {}", kind_name(other).to_uppercase()))),
        };
        if matches!(s.kind, ObjectKind::Type | ObjectKind::Domain) {
            self.drop_types(s).await?;
            return Ok(tag);
        }
        if s.kind == ObjectKind::Schema {
            self.drop_schemas(s).await?;
            return Ok(tag);
        }
        let mut targets = Vec::with_capacity(s.names.len());
        for name in &s.names {
            if let Some(relation) = self.drop_target(s.kind, name, s.if_exists)?
                && !targets.contains(&relation)
            {
                targets.push(relation);
            }
        }
        self.drop_relations(targets, Vec::new(), s.cascade).await?;
        Ok(tag)
    }

    /// Finds what DROP names; `None` when IF EXISTS passed it over.
    fn drop_target(&mut self, kind: ObjectKind, name: &ObjectName, if_exists: bool) -> Result<Option<Relation>> {
        let word = kind_name(kind);
        let found = match self.lookup(name) {
            Err(e) if if_exists && e.code() == SqlState::INVALID_SCHEMA_NAME => {
                self.notice(format!("{}, skipping", e.message()));
                return Ok(None);
            }
            found => found?,
        };
        let Some(relation) = found else {
            if !if_exists {
                let code = if kind == ObjectKind::Index {
                    SqlState::UNDEFINED_OBJECT
                } else {
                    SqlState::UNDEFINED_TABLE
                };
                return Err(SqlError::new(code, format!("{word} \"{name}\" does not exist")));
            }
            self.notice(format!("{word} \"{name}\" does not exist, skipping"));
            return Ok(None);
        };
        let is = self.kind_of(relation);
        if is != kind {
            let article = |k: ObjectKind| if k == ObjectKind::Index { "an" } else { "a" };
            return Err(SqlError::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("\"{}\" is not {} {word}", name.name(), article(kind)),
            )
            .hint(format!(
                "Use DROP {} to remove {} {}.",
                kind_name(is).to_uppercase(),
                article(is),
                kind_name(is)
            )));
        }
        self.may_drop_relation(relation)?;
        Ok(Some(relation))
    }

    async fn drop_schemas(&mut self, s: &DropObjects) -> Result<()> {
        let mut schemas = Vec::new();
        for name in &s.names {
            let Ok(schema) = self.schema_named(name.name()) else {
                if !s.if_exists {
                    return Err(no_schema(name.name()));
                }
                self.notice(format!("schema \"{}\" does not exist, skipping", name.name()));
                continue;
            };
            if schema.oid < curia_catalog::FIRST_USER_OID && schema.name != "public" {
                return Err(SqlError::new(
                    SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
                    format!("cannot drop schema {} because it is required by the database system", schema.name),
                ));
            }
            self.must_own(schema.oid)?;
            schemas.push(schema);
        }
        let dependents = self.contents(&schemas);
        if !s.cascade && !dependents.is_empty() {
            let first = schemas
                .first()
                .map(|s| format!("schema {}", curia_parse::quote_identifier(&s.name)));
            return Err(still_needed(&first.unwrap_or_default(), schemas.len() > 1, dependents));
        }
        self.drop_with_contents(schemas, dependents, s.cascade).await
    }

    /// The relations and types in schemas, as what depends on them.
    pub(crate) fn contents(&self, schemas: &[Arc<Schema>]) -> Vec<Dependent> {
        let catalog = self.catalog();
        let mut dependents = Vec::new();
        for schema in schemas {
            let on = format!("schema {}", curia_parse::quote_identifier(&schema.name));
            // A partition goes with its table and is not mentioned.
            let goes_along = |t: &Table| {
                let parent = t.partition_of().and_then(|p| catalog.tables.get(&p));
                parent.is_some_and(|p| schemas.iter().any(|s| s.oid == p.schema))
            };
            for t in catalog.tables.values().filter(|t| t.schema == schema.oid && !goes_along(t)) {
                let shown = self.described(Relation::Table(t.oid));
                dependents.push(Dependent::relation(Relation::Table(t.oid), shown, on.clone()));
            }
            for v in catalog.views.values().filter(|v| v.schema == schema.oid) {
                dependents.push(self.dependent_view(v, on.clone()));
            }
            for f in catalog.functions.values().filter(|f| f.schema == schema.oid) {
                let kind = if f.procedure { "procedure" } else { "function" };
                dependents.push(Dependent {
                    oid: f.oid,
                    shown: format!("{kind} {}", self.shown_function(f)),
                    on: on.clone(),
                    what: DependentKind::Function(f.oid),
                });
            }
            // A sequence that a table owns goes with the table and is not mentioned.
            let owned = |s: &Sequence| {
                s.owned_by
                    .is_some_and(|(t, _)| catalog.tables.get(&t).is_some_and(|t| t.schema == schema.oid))
            };
            for q in catalog.sequences.values().filter(|q| q.schema == schema.oid && !owned(q)) {
                let shown = format!("sequence {}", self.shown(q.schema, &q.name));
                dependents.push(Dependent::relation(Relation::Sequence(q.oid), shown, on.clone()));
            }
            for t in catalog.types.values().filter(|t| t.schema == schema.oid) {
                dependents.push(Dependent {
                    oid: t.oid,
                    shown: format!("type {}", self.shown_type(t.oid)),
                    on: on.clone(),
                    what: DependentKind::Type,
                });
            }
        }
        dependents
    }

    /// Drops schemas with what is in them and what depends on that.
    pub(crate) async fn drop_with_contents(&mut self, schemas: Vec<Arc<Schema>>, contents: Vec<Dependent>, cascade: bool) -> Result<()> {
        let types: Vec<Oid> = contents
            .iter()
            .filter(|d| matches!(d.what, DependentKind::Type))
            .map(|d| d.oid)
            .collect();
        self.drop_relations(Vec::new(), contents, cascade).await?;
        self.drop_with_users(types, cascade).await?;
        for schema in schemas {
            self.change(Change::drop(Class::Schema, schema.oid))?;
            self.change(Change::Drop(ObjectKey {
                class: Class::Comment,
                oid: schema.oid,
                sub: 0,
            }))?;
        }
        Ok(())
    }

    /// Drops relations, `dependents` that CASCADE of something else brings along, and whatever depends on either.
    pub(crate) async fn drop_relations(&mut self, targets: Vec<Relation>, mut dependents: Vec<Dependent>, cascade: bool) -> Result<()> {
        for relation in targets.iter().copied().chain(dependents.iter().filter_map(|d| match d.what {
            DependentKind::Relation(r) => Some(r),
            _ => None,
        })) {
            if let Relation::Table(oid) | Relation::Index(oid, _) | Relation::View(oid) = relation {
                self.lock_table(oid, TableLock::AccessExclusive).await?;
            }
            if let Relation::Table(oid) = relation {
                self.refuse_waiting_checks("DROP TABLE", oid)?;
            }
        }
        let catalog = self.catalog();
        let mut going: Vec<Relation> = targets.clone();
        going.extend(dependents.iter().filter_map(|d| match d.what {
            DependentKind::Relation(r) => Some(r),
            _ => None,
        }));
        // Sequences owned by tables that go, silently.
        let owned: Vec<Relation> = going
            .iter()
            .filter_map(|r| if let Relation::Table(oid) = r { Some(*oid) } else { None })
            .flat_map(|oid| {
                catalog
                    .owned_sequences(oid, None)
                    .map(|s| Relation::Sequence(s.oid))
                    .collect::<Vec<_>>()
            })
            .filter(|s| !going.contains(s))
            .collect();
        going.extend(owned);
        let mut blocked = None;
        // Views of what goes, and views of those.
        let mut at = 0;
        while let Some(relation) = going.get(at).copied() {
            let on = self.described(relation);
            let views = catalog
                .views_on(relation.oid())
                .map(|v| (Relation::View(v.oid), self.dependent_view(v, on.clone())));
            let materialized = catalog.materialized_on(relation.oid());
            let materialized = materialized.map(|t| (Relation::Table(t.oid), self.dependent_materialized(t, on.clone())));
            for (of, dependent) in views.chain(materialized) {
                if !going.contains(&of) {
                    blocked.get_or_insert_with(|| on.clone());
                    dependents.push(dependent);
                    going.push(of);
                }
            }
            // Partitions go with their table, and parts of its indexes with those; other children are named.
            if let Relation::Table(oid) = relation {
                for child in catalog.children(oid) {
                    let of = Relation::Table(child.oid);
                    if going.contains(&of) {
                        continue;
                    }
                    self.refuse_waiting_checks("DROP TABLE", child.oid)?;
                    if !child.is_partition() {
                        blocked.get_or_insert_with(|| on.clone());
                        dependents.push(Dependent::relation(of, self.described(of), on.clone()));
                    }
                    going.push(of);
                    let owned = catalog.owned_sequences(child.oid, None).map(|s| Relation::Sequence(s.oid));
                    let owned: Vec<Relation> = owned.filter(|s| !going.contains(s)).collect();
                    going.extend(owned);
                }
            }
            if let Relation::Index(owner, index) = relation {
                for (owner, part) in self.parts_of(owner, index) {
                    let of = Relation::Index(owner, part);
                    if !going.contains(&of) {
                        going.push(of);
                    }
                }
            }
            at += 1;
        }
        for relation in going.iter().skip(targets.len()) {
            if let Relation::Table(oid) | Relation::Index(oid, _) = *relation {
                self.lock_table(oid, TableLock::AccessExclusive).await?;
            }
        }
        let goes = |oid: Oid| going.contains(&Relation::Table(oid));
        for relation in &going {
            match *relation {
                Relation::Sequence(oid) => {
                    let sequence = self.sequence(oid)?;
                    let on = format!("sequence {}", self.shown(sequence.schema, &sequence.name));
                    if let Some((table, attnum)) = sequence.owned_by
                        && targets.contains(relation)
                        && !goes(table)
                        && let Some(table) = catalog.tables.get(&table)
                        && let Some(column) = table.columns.iter().find(|c| c.attnum == attnum && c.identity.is_some())
                    {
                        let of = format!("column {} of table {}", column.name, self.shown(table.schema, &table.name));
                        return Err(SqlError::new(
                            SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
                            format!("cannot drop {on} because {of} requires it"),
                        )
                        .hint(format!("You can drop {of} instead.")));
                    }
                    for table in catalog.tables.values().filter(|t| !goes(t.oid)) {
                        for (i, column) in table.live_columns() {
                            if column.default.as_deref().is_some_and(|d| sequence.is_mentioned(d)) {
                                let shown = format!(
                                    "default value for column {} of table {}",
                                    column.name,
                                    self.shown(table.schema, &table.name)
                                );
                                blocked.get_or_insert_with(|| on.clone());
                                let what = DependentKind::Default {
                                    table: table.oid,
                                    column: i,
                                };
                                dependents.push(Dependent {
                                    oid: table.oid,
                                    shown,
                                    on: on.clone(),
                                    what,
                                });
                            }
                        }
                    }
                }
                Relation::Index(table, index) => {
                    let table = self.table(table)?;
                    let above = table.index(index).and_then(|i| i.parent);
                    if let (Some(above), Some(owner)) = (above, table.partition_of())
                        && targets.contains(relation)
                        && !going.contains(&Relation::Index(owner, above))
                    {
                        let of = self.described(Relation::Index(owner, above));
                        return Err(SqlError::new(
                            SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
                            format!("cannot drop {} because {of} requires it", self.described(*relation)),
                        )
                        .hint(format!("You can drop {of} instead.")));
                    }
                    if let Some(c) = crate::constraint::of_index(&table, index)
                        && above.is_none()
                    {
                        let shown = self.shown(table.schema, &c.name);
                        let of = format!("constraint {} on table {}", c.name, self.shown(table.schema, &table.name));
                        return Err(SqlError::new(
                            SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
                            format!("cannot drop index {shown} because {of} requires it"),
                        )
                        .hint(format!("You can drop {of} instead.")));
                    }
                    let on = self.described(*relation);
                    let found: Vec<_> = catalog
                        .references_to(table.oid)
                        .filter(|(_, c, k)| k.index == index && c.parent.is_none())
                        .collect();
                    for (referencing, c, _) in found {
                        blocked.get_or_insert_with(|| on.clone());
                        dependents.push(self.dependent_constraint(referencing, c, on.clone()));
                    }
                }
                Relation::Table(oid) => {
                    let on = self.described(*relation);
                    // Foreign keys that refer to a partitioned table refer to its partitions too.
                    for above in self.partitioned_above(oid).into_iter().filter(|t| !goes(*t)) {
                        for (referencing, c, _) in catalog.references_to(above).filter(|(t, c, _)| !goes(t.oid) && c.parent.is_none()) {
                            if !dependents.iter().any(|d| d.oid == c.oid) {
                                blocked.get_or_insert_with(|| on.clone());
                                dependents.push(self.dependent_constraint(referencing, c, on.clone()));
                            }
                        }
                    }
                    for (referencing, c, _) in catalog.references_to(oid).filter(|(t, c, _)| !goes(t.oid) && c.parent.is_none()) {
                        blocked.get_or_insert_with(|| on.clone());
                        dependents.push(self.dependent_constraint(referencing, c, on.clone()));
                    }
                }
                Relation::View(_) => {}
            }
        }
        if let Some(on) = blocked
            && !cascade
        {
            return Err(still_needed(&on, targets.len() > 1, dependents));
        }
        self.announce(&mut dependents);
        for d in &dependents {
            match d.what {
                DependentKind::Default { table, column } => {
                    let mut table = (*self.table(table)?).clone();
                    table.columns[column].default = None;
                    self.change(Change::put(table))?;
                }
                DependentKind::Column { table, column } => {
                    self.lock_table(table, TableLock::AccessExclusive).await?;
                    let table = (*self.table(table)?).clone();
                    let name = curia_parse::ast::Ident {
                        name: table.columns[column].name.clone(),
                        pos: 0,
                    };
                    Box::pin(self.drop_column(table, true, &name, true, crate::inherit::By::Parent)).await?;
                }
                DependentKind::Constraint { table } => {
                    self.lock_table(table, TableLock::AccessExclusive).await?;
                    self.drop_constraint_parts(table, d.oid)?;
                    let mut table = (*self.table(table)?).clone();
                    table.constraints.retain(|c| c.oid != d.oid);
                    self.change(Change::put(table))?;
                    self.change(Change::Drop(ObjectKey {
                        class: Class::Comment,
                        oid: d.oid,
                        sub: 0,
                    }))?;
                }
                DependentKind::Function(oid) => self.drop_routine(oid)?,
                DependentKind::Relation(_) | DependentKind::Type => {}
            }
        }
        for relation in going {
            self.drop_one(relation)?;
        }
        Ok(())
    }

    /// The partitioned tables of which a table is a partition, nearest first.
    fn partitioned_above(&self, table: Oid) -> Vec<Oid> {
        let catalog = self.catalog();
        let parent = |oid: &Oid| catalog.tables.get(oid).and_then(|t| t.partition_of());
        std::iter::successors(parent(&table), parent).collect()
    }

    fn dependent_constraint(&self, table: &Table, c: &Constraint, on: String) -> Dependent {
        Dependent {
            oid: c.oid,
            shown: format!(
                "constraint {} on table {}",
                quote_identifier(&c.name),
                self.shown(table.schema, &table.name)
            ),
            on,
            what: DependentKind::Constraint { table: table.oid },
        }
    }

    /// Drops, with CASCADE, the foreign keys that rest on the index of a constraint (at `at` in its table) that goes, or refuses.
    pub(crate) async fn drop_references_to_index(&mut self, table: &Table, at: usize, index: Oid, cascade: bool) -> Result<()> {
        let on = self.described(Relation::Index(table.oid, index));
        let catalog = self.catalog();
        let found = catalog
            .references_to(table.oid)
            .filter(|(_, c, k)| k.index == index && c.parent.is_none());
        let dependents: Vec<Dependent> = found.map(|(t, c, _)| self.dependent_constraint(t, c, on.clone())).collect();
        if !cascade && !dependents.is_empty() {
            let what = format!(
                "constraint {} on table {}",
                quote_identifier(&table.constraints[at].name),
                self.shown(table.schema, &table.name)
            );
            return Err(still_needed(&what, false, dependents));
        }
        self.drop_relations(Vec::new(), dependents, cascade).await
    }

    /// Drops the views and foreign keys of other tables that use a column with CASCADE, or refuses.
    pub(crate) async fn drop_users_of(&mut self, table: &Table, column: usize, cascade: bool) -> Result<()> {
        let mut dependents = self.views_using(table, column);
        let on = format!(
            "column {} of table {}",
            quote_identifier(&table.columns[column].name),
            self.shown(table.schema, &table.name)
        );
        let catalog = self.catalog();
        let doomed = |index: Oid| {
            table
                .index(index)
                .is_some_and(|i| i.columns().chain(i.include.iter().copied()).any(|c| c == column))
        };
        for (t, c, k) in catalog.references_to(table.oid) {
            let own = t.oid == table.oid && k.columns.contains(&column);
            if !own && c.parent.is_none() && (k.key.contains(&column) || doomed(k.index)) {
                dependents.push(self.dependent_constraint(t, c, on.clone()));
            }
        }
        if !cascade && let Some(first) = dependents.first() {
            return Err(still_needed(&first.on.clone(), false, dependents));
        }
        self.drop_relations(Vec::new(), dependents, cascade).await
    }

    /// A relation as messages name it.
    fn described(&self, relation: Relation) -> String {
        let catalog = self.catalog();
        let kind = kind_name(self.kind_of(relation));
        match catalog.relation_by_oid(relation.oid()) {
            Some((schema, name, _)) => format!("{kind} {}", self.shown(schema, name)),
            None => kind.to_owned(),
        }
    }

    /// The kind of a relation.
    pub(crate) fn kind_of(&self, relation: Relation) -> ObjectKind {
        match relation {
            Relation::Table(oid) => match self.catalog().tables.get(&oid) {
                Some(t) if t.materialized.is_some() => ObjectKind::MaterializedView,
                _ => ObjectKind::Table,
            },
            Relation::Index(..) => ObjectKind::Index,
            Relation::Sequence(_) => ObjectKind::Sequence,
            Relation::View(_) => ObjectKind::View,
        }
    }

    /// The NOTICE of CASCADE.
    fn announce(&mut self, dependents: &mut [Dependent]) {
        dependents.sort_by_key(|d| d.oid);
        match dependents {
            [] => {}
            [one] => self.notice(format!("drop cascades to {}", one.shown)),
            many => {
                let lines: Vec<String> = many.iter().map(|d| format!("drop cascades to {}", d.shown)).collect();
                let notice = SqlError::new(
                    SqlState::SUCCESSFUL_COMPLETION,
                    format!("drop cascades to {} other objects", many.len()),
                );
                self.notices.push(notice.detail(lines.join("\n")));
            }
        }
    }

    /// Removes one relation from the catalog; its storages are freed once no snapshot needs them.
    fn drop_one(&mut self, relation: Relation) -> Result<()> {
        match relation {
            Relation::Table(oid) => {
                let table = self.table(oid)?;
                self.change(Change::drop(Class::Table, oid))?;
                self.drop_comments(oid, &table)?;
                self.drop_storage(table.storage)?;
                for index in &table.indexes {
                    if let Some(storage) = index.storage {
                        self.drop_storage(storage)?;
                    }
                }
                Ok(())
            }
            Relation::Index(table, index) => {
                let mut table = (*self.table(table)?).clone();
                let storage = table.index(index).and_then(|i| i.storage);
                table.indexes.retain(|i| i.oid != index);
                self.change(Change::put(table))?;
                self.change(Change::Drop(ObjectKey {
                    class: Class::Comment,
                    oid: index,
                    sub: 0,
                }))?;
                storage.map_or(Ok(()), |s| self.drop_storage(s))
            }
            Relation::View(oid) => {
                self.change(Change::drop(Class::View, oid))?;
                self.forget_comments(oid)
            }
            Relation::Sequence(oid) => {
                let sequence = self.sequence(oid)?;
                self.change(Change::drop(Class::Sequence, oid))?;
                self.change(Change::Drop(ObjectKey {
                    class: Class::Comment,
                    oid,
                    sub: 0,
                }))?;
                self.drop_storage(sequence.storage)
            }
        }
    }

    fn drop_comments(&mut self, oid: Oid, table: &Table) -> Result<()> {
        let of_parts = table.indexes.iter().map(|i| i.oid).chain(table.constraints.iter().map(|c| c.oid));
        std::iter::once(oid).chain(of_parts).try_for_each(|oid| self.forget_comments(oid))
    }

    /// Drops the comments on an object and on its columns.
    pub(crate) fn forget_comments(&mut self, oid: Oid) -> Result<()> {
        let catalog = self.catalog();
        let of_object: Vec<_> = catalog.comments.range((oid, i16::MIN)..=(oid, i16::MAX)).map(|(k, _)| *k).collect();
        for (oid, sub) in of_object {
            self.change(Change::Drop(ObjectKey {
                class: Class::Comment,
                oid,
                sub,
            }))?;
        }
        Ok(())
    }
}

/// 2BP01 with the dependents in DETAIL, oldest first.
pub(crate) fn still_needed(what: &str, several: bool, mut dependents: Vec<Dependent>) -> SqlError {
    dependents.sort_by_key(|d| d.oid);
    let lines: Vec<String> = dependents.iter().map(|d| format!("{} depends on {}", d.shown, d.on)).collect();
    let message = if several {
        "cannot drop desired object(s) because other objects depend on them".to_owned()
    } else {
        format!("cannot drop {what} because other objects depend on it")
    };
    SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message)
        .detail(lines.join("\n"))
        .hint("Use DROP ... CASCADE to drop the dependent objects too.")
}
