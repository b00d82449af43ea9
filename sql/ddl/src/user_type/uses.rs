//! Where a type is used, and what DROP TYPE and DROP DOMAIN do about it.

use crate::Ddl;
use crate::names::no_schema;
use curia_catalog::{Change, Class, Oid, Relation, TypeKind};
use curia_parse::ast::{DropObjects, Ident, ObjectKind};
use curia_txn::TableLock;
use curia_types::type_info::UserKind;
use curia_types::{PgType, Result, SqlError, SqlState, oid, type_info};

/// A column of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub table: Oid,
    /// Index into `Table::columns`.
    pub column: usize,
}

/// Something that uses a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum User {
    Column(Column),
    View(Oid),
    Type(Oid),
    /// An attribute of a composite type.
    Attribute(Oid, i16),
    /// A column's default.
    Default(Column),
    /// A CHECK of a table or of a domain.
    Check(Oid, Oid),
}

/// A user of a type as messages show it.
struct Use {
    user: User,
    shown: String,
    on: String,
}

impl Ddl<'_> {
    /// Columns whose type satisfies a test.
    pub(super) fn columns_of(&self, test: impl Fn(u32) -> bool) -> Vec<Column> {
        let catalog = self.catalog();
        let mut out = Vec::new();
        for table in catalog.tables.values() {
            let of_table = table.live_columns().filter(|(_, c)| test(c.ty.oid));
            out.extend(of_table.map(|(column, _)| Column { table: table.oid, column }));
        }
        out
    }

    /// `table.column` for each column that stores values of a type, inside of others too.
    pub(super) fn stored_columns(&self, ty: Oid) -> Vec<String> {
        let catalog = self.catalog();
        let columns = self.columns_of(|t| self.contains(t, ty));
        let shown = |c: &Column| {
            let table = catalog.tables.get(&c.table)?;
            Some(format!("{}.{}", table.name, table.columns[c.column].name))
        };
        columns.iter().filter_map(shown).collect()
    }

    /// Whether values of a type hold values of another.
    pub(super) fn contains(&self, ty: Oid, part: Oid) -> bool {
        if ty == part {
            return true;
        }
        match type_info::user::kind(ty) {
            Some(UserKind::Array { element }) => self.contains(element, part),
            Some(UserKind::Domain { base }) => self.contains(base.oid, part),
            Some(UserKind::Composite) => {
                let attributes = self.catalog().attributes_of(ty).unwrap_or_default();
                attributes.iter().any(|a| self.contains(a.ty.oid, part))
            }
            Some(UserKind::Enum) | None => false,
        }
    }

    /// What uses a type or its array type directly.
    fn users_of(&self, ty: Oid) -> Vec<Use> {
        let catalog = self.catalog();
        let on = format!("type {}", self.shown_type(ty));
        let is = |t: PgType| t.oid == ty || type_info::element_of(t.oid) == Some(ty);
        let named = curia_bind::ddl::type_text(PgType { oid: ty, typmod: -1 });
        let mentions = |text: &str| text.contains(&named);
        let mut out = Vec::new();
        let mut add = |user, shown, on: &str| {
            out.push(Use {
                user,
                shown,
                on: on.to_owned(),
            })
        };
        for table in catalog.tables.values() {
            let of = format!("table {}", self.shown(table.schema, &table.name));
            for (column, c) in table.live_columns() {
                let at = Column { table: table.oid, column };
                if is(c.ty) {
                    let on = if c.ty.oid == ty {
                        on.clone()
                    } else {
                        format!("type {}", self.shown_type(c.ty.oid))
                    };
                    add(User::Column(at), format!("column {} of {of}", c.name), &on);
                    for view in self.views_using(table, column) {
                        add(User::View(view.oid), view.shown, &view.on);
                    }
                } else if c.default.as_deref().is_some_and(mentions) {
                    add(User::Default(at), format!("default value for column {} of {of}", c.name), &on);
                }
            }
            for c in &table.constraints {
                if let curia_catalog::ConstraintKind::Check { expression } = &c.kind
                    && mentions(expression)
                    // It goes with a column that goes.
                    && !curia_bind::ddl::check_columns(&catalog, expression, table)
                        .is_ok_and(|columns| columns.iter().any(|i| is(table.columns[*i].ty)))
                {
                    add(User::Check(table.oid, c.oid), format!("constraint {} on {of}", c.name), &on);
                }
            }
        }
        for view in catalog.views.values().filter(|v| v.columns.iter().any(|c| is(c.ty))) {
            add(User::View(view.oid), format!("view {}", self.shown(view.schema, &view.name)), &on);
        }
        for t in catalog.types.values() {
            let shown = self.shown_type(t.oid);
            match &t.kind {
                TypeKind::Domain(d) if is(d.base) => add(User::Type(t.oid), format!("type {shown}"), &on),
                TypeKind::Domain(d) => {
                    for c in &d.checks {
                        if let curia_catalog::ConstraintKind::Check { expression } = &c.kind
                            && mentions(expression)
                        {
                            add(User::Check(t.oid, c.oid), format!("constraint {} on type {shown}", c.name), &on);
                        }
                    }
                }
                TypeKind::Composite { attributes, .. } => {
                    for a in attributes.iter().filter(|a| is(a.ty)) {
                        let column = format!("column {} of composite type {shown}", a.name);
                        add(User::Attribute(t.oid, a.attnum), column, &on);
                    }
                }
                TypeKind::Enum(_) => {}
            }
        }
        out
    }

    pub(crate) async fn drop_types(&mut self, s: &DropObjects) -> Result<()> {
        let mut targets: Vec<Oid> = Vec::new();
        for name in &s.names {
            let word = if s.kind == ObjectKind::Domain { "domain" } else { "type" };
            let found = match curia_bind::ddl::find_type(&self.catalog(), self.env.search_path, name).map_err(SqlError::nowhere) {
                Err(e) if s.if_exists && e.code() == SqlState::INVALID_SCHEMA_NAME => {
                    let schema = name.schema().unwrap_or_default();
                    self.notice(format!("{}, skipping", no_schema(schema).message()));
                    continue;
                }
                found => found?,
            };
            let Some(oid) = found else {
                if !s.if_exists {
                    return Err(super::no_type(name));
                }
                self.notice(format!("type \"{name}\" does not exist, skipping"));
                continue;
            };
            if word == "domain" && !type_info::is_domain(oid) {
                return Err(super::not_a(&format!("\"{name}\""), "a domain"));
            }
            self.check_droppable(oid)?;
            if !targets.contains(&oid) {
                targets.push(oid);
            }
        }
        self.drop_with_users(targets, s.cascade).await
    }

    fn check_droppable(&self, oid: Oid) -> Result<()> {
        let catalog = self.catalog();
        if catalog.types.contains_key(&oid) {
            return self.may_drop(oid);
        }
        let required = |by: String| {
            SqlError::new(
                SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
                format!("cannot drop type {} because {by} requires it", self.shown_type(oid)),
            )
            .hint(format!("You can drop {by} instead."))
        };
        if let Some(element) = type_info::element_of(oid).filter(|_| type_info::user::kind(oid).is_some()) {
            return Err(required(format!("type {}", self.shown_type(element))));
        }
        if type_info::is_composite(oid) {
            let shown = self.shown_type(oid);
            let view = catalog.views.values().any(|v| v.row_type == oid);
            return Err(required(format!("{} {shown}", if view { "view" } else { "table" })));
        }
        Err(SqlError::new(
            SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
            format!(
                "cannot drop type {} because it is required by the database system",
                self.shown_type(oid)
            ),
        ))
    }

    /// Drops types and, with CASCADE, everything that uses them.
    pub(crate) async fn drop_with_users(&mut self, targets: Vec<Oid>, cascade: bool) -> Result<()> {
        let mut going = targets.clone();
        let mut uses: Vec<Use> = Vec::new();
        let mut blocked = None;
        let mut at = 0;
        while let Some(ty) = going.get(at).copied() {
            for found in self.users_of(ty) {
                if let User::Type(oid) = found.user {
                    if going.contains(&oid) {
                        continue;
                    }
                    going.push(oid);
                }
                if let User::Attribute(oid, _) | User::Check(oid, _) = found.user
                    && going.contains(&oid)
                {
                    continue;
                }
                if !uses.iter().any(|u| u.user == found.user) {
                    blocked.get_or_insert_with(|| format!("type {}", self.shown_type(ty)));
                    uses.push(found);
                }
            }
            at += 1;
        }
        if let Some(first) = blocked
            && !cascade
        {
            let lines: Vec<String> = uses.iter().map(|u| format!("{} depends on {}", u.shown, u.on)).collect();
            let message = if targets.len() > 1 {
                "cannot drop desired object(s) because other objects depend on them".to_owned()
            } else {
                format!("cannot drop {first} because other objects depend on it")
            };
            return Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message)
                .detail(lines.join("\n"))
                .hint("Use DROP ... CASCADE to drop the dependent objects too."));
        }
        self.announce_uses(&uses);
        for u in &uses {
            self.drop_use(u.user).await?;
        }
        for oid in going {
            // Those of attributes are by its relation.
            let relation = self.catalog().types.get(&oid).and_then(|t| t.relation());
            relation.map_or(Ok(()), |r| self.forget_comments(r))?;
            self.forget_comments(oid)?;
            self.change(Change::drop(Class::Type, oid))?;
        }
        Ok(())
    }

    fn announce_uses(&mut self, uses: &[Use]) {
        match uses {
            [] => {}
            [one] => self.notice(format!("drop cascades to {}", one.shown)),
            many => {
                let lines: Vec<String> = many.iter().map(|u| format!("drop cascades to {}", u.shown)).collect();
                let message = format!("drop cascades to {} other objects", many.len());
                self.notices
                    .push(SqlError::new(SqlState::SUCCESSFUL_COMPLETION, message).detail(lines.join("\n")));
            }
        }
    }

    async fn drop_use(&mut self, user: User) -> Result<()> {
        match user {
            User::Column(c) => {
                self.lock_table(c.table, TableLock::AccessExclusive).await?;
                let table = (*self.table(c.table)?).clone();
                // Without its key a partitioned table is nothing.
                if self.refuse_key_column(&table, c.column, "drop").is_err() {
                    return self.drop_relations(vec![Relation::Table(c.table)], Vec::new(), true).await;
                }
                let name = Ident {
                    name: table.columns[c.column].name.clone(),
                    pos: 0,
                };
                self.drop_column(table, true, &name, true, crate::inherit::By::Parent).await
            }
            User::Default(c) => {
                self.lock_table(c.table, TableLock::AccessExclusive).await?;
                let mut table = (*self.table(c.table)?).clone();
                table.columns[c.column].default = None;
                self.change(Change::put(table))
            }
            User::View(oid) => {
                // An earlier one may have taken it along.
                if !self.catalog().views.contains_key(&oid) {
                    return Ok(());
                }
                self.drop_relations(vec![Relation::View(oid)], Vec::new(), true).await
            }
            User::Attribute(oid, attnum) => {
                let catalog = self.catalog();
                let Some(found) = catalog.types.get(&oid) else { return Ok(()) };
                let mut ty = (**found).clone();
                if let Some(column) = self.stored_columns(oid).first() {
                    return Err(SqlError::unsupported(format!(
                        "dropping an attribute of a type that column \"{column}\" uses"
                    )));
                }
                if let TypeKind::Composite { attributes, .. } = &mut ty.kind {
                    attributes.retain(|a| a.attnum != attnum);
                }
                self.change(Change::put(ty))
            }
            User::Check(of, check) => {
                let catalog = self.catalog();
                if let Some(table) = catalog.tables.get(&of) {
                    let mut table = (**table).clone();
                    table.constraints.retain(|c| c.oid != check);
                    self.change(Change::put(table))?;
                }
                if let Some(ty) = catalog.types.get(&of) {
                    let mut ty = (**ty).clone();
                    if let TypeKind::Domain(d) = &mut ty.kind {
                        d.checks.retain(|c| c.oid != check);
                    }
                    self.change(Change::put(ty))?;
                }
                Ok(())
            }
            // It is among the types that go.
            User::Type(_) => Ok(()),
        }
    }
}

/// The type that a dropped column keeps: one of the same stored form that cannot be dropped, as rows still hold its values.
pub(crate) fn dropped_form(ty: PgType) -> PgType {
    let physical = type_info::physical(ty.oid);
    let wire = physical == oid::RECORD || type_info::user::kind(physical).is_some();
    PgType {
        oid: if wire { oid::TEXT_ARRAY } else { physical },
        typmod: if type_info::user::kind(ty.oid).is_some() { -1 } else { ty.typmod },
    }
}
