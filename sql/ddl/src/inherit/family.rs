//! ALTER TABLE of a table and what is below it.
//!
//! What children have from a parent is changed at the parent, for all of them; a change of a child alone is refused. ONLY leaves the
//! children as they are where that leaves no row that breaks a promise of the parent.

use super::wrong_type;
use crate::Ddl;
use crate::like::{parsed, plain};
use crate::names::find_column;
use curia_catalog::{Change, Column, Constraint, ConstraintKind, Oid, Origin, Table};
use curia_parse::ast::{AlterTableAction as Action, ColumnConstraint, ColumnConstraintKind, ColumnDef, Ident};
use curia_types::{Result, SqlError, SqlState};

/// Whether a part of ALTER TABLE was asked for, or follows from the same of a parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Statement,
    Parent,
}

impl Ddl<'_> {
    /// An action of ALTER TABLE on a table and, without ONLY, on what is below it.
    pub(crate) async fn alter_family(&mut self, oid: Oid, action: &Action) -> Result<()> {
        let table = (*self.table(oid)?).clone();
        let has_children = self.catalog().has_children(oid);
        match action {
            Action::AttachPartition { name, bound: Some(bound) } => return self.attach_partition(oid, name, bound).await,
            Action::DetachPartition {
                name,
                concurrently,
                finalize,
            } => return self.detach_partition(oid, name, *concurrently, *finalize).await,
            Action::Inherit(name) => return self.add_parent(table, name).await,
            Action::NoInherit(name) => return self.remove_parent(table, name),
            Action::SetOptions(options) if table.is_partitioned() && !options.is_empty() => {
                return Err(SqlError::new(
                    SqlState::INVALID_PARAMETER_VALUE,
                    format!("unrecognized parameter \"{}\"", options[0].name),
                ));
            }
            Action::Cluster if table.is_partitioned() => {
                return Err(SqlError::new(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    "cannot mark index clustered in partitioned table",
                ));
            }
            Action::DropNotNull(name) => {
                if self.only && has_children && table.is_partitioned() {
                    return Err(not_only(
                        "cannot remove constraint from only the partitioned table when partitions exist",
                    ));
                }
                if let Some(parent) = table.partition_of()
                    && self.table(parent)?.column(&name.name).is_some_and(|(_, c)| c.not_null)
                {
                    return Err(invalid(format!("column \"{}\" is marked NOT NULL in parent table", name.name)));
                }
            }
            Action::SetNotNull(name) if self.only && table.is_partitioned() => {
                let catalog = self.catalog();
                let lacks = catalog
                    .children(oid)
                    .find(|t| t.column(&name.name).is_some_and(|(_, c)| !c.not_null));
                if let Some(child) = lacks {
                    return Err(not_only("constraint must be added to child tables too").detail(format!(
                        "Column \"{}\" of relation \"{}\" is not already NOT NULL.",
                        name.name, child.name
                    )));
                }
            }
            Action::SetType { name, .. } => {
                let column = find_column(&table, name)?;
                if table.columns[column].origin.is_inherited() {
                    return Err(invalid(format!("cannot alter inherited column \"{}\"", name.name)));
                }
                self.refuse_key_column(&table, column, "alter")?;
                if self.only && has_children {
                    return Err(invalid(format!(
                        "type of inherited column \"{}\" must be changed in child tables too",
                        name.name
                    )));
                }
                self.refuse_other_parents(oid, &name.name, |column, table| {
                    invalid(format!("cannot alter inherited column \"{column}\" of relation \"{table}\""))
                })?;
            }
            Action::RenameColumn(name, _) => {
                if let Some((_, column)) = table.column(&name.name) {
                    if self.only && has_children {
                        return Err(invalid(format!(
                            "inherited column \"{}\" must be renamed in child tables too",
                            name.name
                        )));
                    }
                    let refused = |column: &str, _: &str| invalid(format!("cannot rename inherited column \"{column}\""));
                    if column.origin.is_inherited() {
                        return Err(refused(&name.name, ""));
                    }
                    self.refuse_other_parents(oid, &name.name, refused)?;
                }
            }
            Action::DropExpression { name, .. } => {
                let column = &table.columns[find_column(&table, name)?];
                if self.only && has_children {
                    return Err(SqlError::new(
                        SqlState::FEATURE_NOT_SUPPORTED,
                        "ALTER TABLE / DROP EXPRESSION must be applied to child tables too",
                    ));
                }
                if column.origin.is_inherited() {
                    return Err(invalid("cannot drop generation expression from inherited column".to_owned()));
                }
            }
            Action::RenameConstraint(from, _) => return self.rename_in_family(&table, from, action).await,
            Action::ValidateConstraint(name) => {
                let is_check = |c: &&Constraint| c.name == name.name && matches!(c.kind, ConstraintKind::Check { .. });
                let found = table.constraints.iter().find(is_check).cloned();
                if let Some(c) = found
                    && c.not_valid
                    && !c.no_inherit
                    && has_children
                {
                    if self.only {
                        return Err(invalid("constraint must be validated on child tables too".to_owned()));
                    }
                    for child in self.catalog().descendants(oid) {
                        let child = (*self.table(child)?).clone();
                        if child.constraints.iter().any(|c| c.name == name.name && c.not_valid) {
                            self.alter(child, action).await?;
                        }
                    }
                }
                return self.alter(table, action).await;
            }
            Action::AlterConstraint(name, attributes) => {
                if attributes.no_inherit {
                    return Err(crate::constraint::cannot_be_marked("FOREIGN KEY", "NO INHERIT", None));
                }
                let at = table.constraints.iter().find(|c| c.name == name.name);
                if let Some(c) = at
                    && let Some(above) = c.parent
                {
                    let catalog = self.catalog();
                    // The constraint at the top of the tree, from which all below derive.
                    let (mut above, mut parent, mut of) = (Some(above), String::new(), String::new());
                    for t in catalog.ancestors(oid).iter().filter_map(|t| catalog.tables.get(t)) {
                        if let Some(c) = t.constraints.iter().find(|c| Some(c.oid) == above) {
                            (above, parent, of) = (c.parent, c.name.clone(), t.name.clone());
                        }
                    }
                    return Err(SqlError::new(
                        SqlState::INTERNAL_ERROR,
                        format!("cannot alter constraint \"{}\" on relation \"{}\"", name.name, table.name),
                    )
                    .detail(format!(
                        "Constraint \"{}\" is derived from constraint \"{parent}\" of relation \"{of}\".",
                        name.name
                    ))
                    .hint("You may alter the constraint it derives from, instead."));
                }
                let parts = at.map(|c| self.parts_of(oid, c.oid)).unwrap_or_default();
                self.alter(table, action).await?;
                let timing = self.table(oid)?.constraints.iter().find(|c| c.name == name.name).map(|c| c.timing);
                for (owner, part) in parts {
                    let mut owner = (*self.table(owner)?).clone();
                    for c in owner.constraints.iter_mut().filter(|c| c.oid == part) {
                        c.timing = timing.unwrap_or_default();
                    }
                    self.change(Change::put(owner))?;
                }
                return Ok(());
            }
            Action::SetDefault(..) | Action::DropDefault(_) | Action::SetNotNull(_) => {}
            // These find their own way down.
            _ => return self.alter(table, action).await,
        }
        let members = if self.only { vec![oid] } else { self.catalog().family(oid) };
        for member in members {
            let member = (*self.table(member)?).clone();
            self.alter(member, action).await?;
        }
        Ok(())
    }

    /// Refuses when something below `oid` has a column from a parent outside of that family too.
    fn refuse_other_parents(&self, oid: Oid, column: &str, refused: impl Fn(&str, &str) -> SqlError) -> Result<()> {
        let catalog = self.catalog();
        let family = catalog.family(oid);
        for child in &family[1..] {
            let Some(child) = catalog.tables.get(child) else { continue };
            let Some((_, c)) = child.column(column) else { continue };
            let inside = child.parents.iter().filter(|p| family.contains(p)).count();
            if usize::from(c.origin.parents) > inside {
                return Err(refused(column, &child.name));
            }
        }
        Ok(())
    }

    async fn rename_in_family(&mut self, table: &Table, from: &Ident, action: &Action) -> Result<()> {
        let found = table.constraints.iter().find(|c| c.name == from.name);
        let inheritable = |c: &&Constraint| matches!(c.kind, ConstraintKind::Check { .. }) && !c.no_inherit;
        let Some(c) = found.filter(inheritable) else {
            return self.alter(table.clone(), action).await;
        };
        if self.only && self.catalog().has_children(table.oid) {
            return Err(invalid(format!(
                "inherited constraint \"{}\" must be renamed in child tables too",
                from.name
            )));
        }
        let refused = || invalid(format!("cannot rename inherited constraint \"{}\"", from.name));
        if c.origin.is_inherited() {
            return Err(refused());
        }
        let catalog = self.catalog();
        let family = catalog.family(table.oid);
        for member in &family {
            let member = (*self.table(*member)?).clone();
            let Some(c) = member.constraints.iter().find(|c| c.name == from.name) else {
                continue;
            };
            let inside = member.parents.iter().filter(|p| family.contains(p)).count();
            if usize::from(c.origin.parents) > inside {
                return Err(refused());
            }
            self.alter(member, action).await?;
        }
        Ok(())
    }

    /// Refuses to change a column that decides where rows are.
    pub(crate) fn refuse_key_column(&self, table: &Table, column: usize, what: &str) -> Result<()> {
        let Some(key) = &table.partition_key else { return Ok(()) };
        if key.columns.iter().any(|c| c.as_column() == Some(column))
            || curia_bind::partition::expression_columns(&self.catalog(), table, key)?.contains(&column)
        {
            return Err(invalid(format!(
                "cannot {what} column \"{}\" because it is part of the partition key of relation \"{}\"",
                table.columns[column].name, table.name
            )));
        }
        Ok(())
    }

    /// Refuses ADD COLUMN where children, or a parent, have a say.
    pub(crate) fn check_new_column(&self, table: &Table, def: &ColumnDef) -> Result<()> {
        if table.is_partition() {
            return Err(wrong_type("cannot add column to a partition".to_owned()));
        }
        if !self.catalog().has_children(table.oid) {
            return Ok(());
        }
        if self.only {
            return Err(invalid("column must be added to child tables too".to_owned()));
        }
        if def
            .constraints
            .iter()
            .any(|c| matches!(c.kind, ColumnConstraintKind::Identity { .. }))
        {
            return Err(invalid(
                "cannot recursively add identity column to table that has child tables".to_owned(),
            ));
        }
        Ok(())
    }

    /// Gives the children of a table a column that it got.
    pub(crate) async fn add_column_to_children(&mut self, parent: Oid, column: usize) -> Result<()> {
        let above = self.table(parent)?.columns[column].clone();
        let def = definition_of(&above)?;
        let children: Vec<Oid> = self.catalog().children(parent).map(|t| t.oid).collect();
        for child in children {
            let mut table = (*self.table(child)?).clone();
            if let Some((i, own)) = table.column(&above.name) {
                if own.ty != above.ty {
                    return Err(SqlError::new(
                        SqlState::DATATYPE_MISMATCH,
                        format!("child table \"{}\" has different type for column \"{}\"", table.name, above.name),
                    ));
                }
                self.notice(format!(
                    "merging definition of column \"{}\" for child \"{}\"",
                    above.name, table.name
                ));
                table.columns[i].origin.parents += 1;
                self.change(Change::put(table))?;
            } else {
                Box::pin(self.add_column(table, false, &def, Origin::INHERITED)).await?;
            }
        }
        Ok(())
    }

    /// DROP COLUMN of a table and of those below it that have the column from it.
    pub(crate) async fn drop_column(&mut self, table: Table, if_exists: bool, name: &Ident, cascade: bool, by: By) -> Result<()> {
        let oid = table.oid;
        let children: Vec<Oid> = self.catalog().children(oid).map(|t| t.oid).collect();
        if let Some((i, column)) = table.column(&name.name) {
            if by == By::Statement && column.origin.is_inherited() {
                return Err(invalid(format!("cannot drop inherited column \"{}\"", name.name)));
            }
            self.refuse_key_column(&table, i, "drop")?;
            if self.only && table.is_partitioned() && !children.is_empty() {
                return Err(not_only("cannot drop column from only the partitioned table when partitions exist"));
            }
            for child in children {
                let mut child = (*self.table(child)?).clone();
                let Some((i, own)) = child.column(&name.name) else { continue };
                if own.origin.parents == 1 && !own.origin.local && !self.only {
                    Box::pin(self.drop_column(child, false, name, cascade, By::Parent)).await?;
                } else {
                    let origin = &mut child.columns[i].origin;
                    origin.parents = origin.parents.saturating_sub(1);
                    origin.local |= self.only;
                    self.change(Change::put(child))?;
                }
            }
        }
        let table = (*self.table(oid)?).clone();
        self.drop_own_column(table, if_exists, name, cascade).await
    }

    /// Gives the children of a table a CHECK that it got (`ATAddCheckConstraint`).
    pub(crate) async fn add_check_to_children(&mut self, parent: Oid, check: &Constraint) -> Result<()> {
        let children: Vec<Oid> = self.catalog().children(parent).map(|t| t.oid).collect();
        if check.no_inherit || children.is_empty() {
            return Ok(());
        }
        if self.only {
            return Err(invalid("constraint must be added to child tables too".to_owned()));
        }
        for child in children {
            let mut table = (*self.table(child)?).clone();
            if let Some(own) = table.constraints.iter_mut().find(|c| c.name == check.name) {
                if own.kind != check.kind {
                    return Err(SqlError::new(
                        SqlState::DUPLICATE_OBJECT,
                        format!("constraint \"{}\" for relation \"{}\" already exists", check.name, table.name),
                    ));
                }
                let what = match () {
                    () if own.no_inherit => Some("non-inherited"),
                    () if own.not_valid && !check.not_valid => Some("NOT VALID"),
                    () => None,
                };
                if let Some(what) = what {
                    return Err(SqlError::new(
                        SqlState::INVALID_OBJECT_DEFINITION,
                        format!(
                            "constraint \"{}\" conflicts with {what} constraint on relation \"{}\"",
                            check.name, table.name
                        ),
                    ));
                }
                own.origin.parents += 1;
                own.origin.local &= table.partition_bound.is_none();
                self.notice(format!("merging constraint \"{}\" with inherited definition", check.name));
                self.change(Change::put(table))?;
                continue;
            }
            if let ConstraintKind::Check { expression } = &check.kind
                && !check.not_valid
            {
                self.check_rows(&table, &check.name, expression).await?;
            }
            let new = Constraint {
                oid: self.new_oid()?,
                origin: Origin::INHERITED,
                ..check.clone()
            };
            table.constraints.push(new.clone());
            self.change(Change::put(table))?;
            Box::pin(self.add_check_to_children(child, &new)).await?;
        }
        Ok(())
    }

    /// DROP CONSTRAINT of a table and of what is below it.
    pub(crate) async fn drop_constraint(&mut self, table: Table, if_exists: bool, name: &Ident, cascade: bool, by: By) -> Result<()> {
        let oid = table.oid;
        let found = table.constraints.iter().find(|c| c.name == name.name).cloned();
        let children: Vec<Oid> = self.catalog().children(oid).map(|t| t.oid).collect();
        if let Some(c) = found {
            if by == By::Statement && c.origin.is_inherited() {
                return Err(invalid(format!(
                    "cannot drop inherited constraint \"{}\" of relation \"{}\"",
                    name.name, table.name
                )));
            }
            if matches!(c.kind, ConstraintKind::Check { .. }) && !c.no_inherit {
                if self.only && table.is_partitioned() && !children.is_empty() {
                    return Err(not_only(
                        "cannot remove constraint from only the partitioned table when partitions exist",
                    ));
                }
                for child in children {
                    self.drop_check_of_child(child, name, cascade).await?;
                }
            } else {
                for (owner, part) in self.parts_of(oid, c.oid).into_iter().rev() {
                    let owner = (*self.table(owner)?).clone();
                    let part = owner.constraints.iter().find(|c| c.oid == part).map(|c| c.name.clone());
                    if let Some(name) = part {
                        let name = Ident { name, pos: 0 };
                        self.drop_own_constraint(owner, false, &name, cascade).await?;
                    }
                }
            }
        }
        let table = (*self.table(oid)?).clone();
        self.drop_own_constraint(table, if_exists, name, cascade).await
    }

    async fn drop_check_of_child(&mut self, child: Oid, name: &Ident, cascade: bool) -> Result<()> {
        let mut child = (*self.table(child)?).clone();
        let Some(own) = child
            .constraints
            .iter_mut()
            .find(|c| c.name == name.name && c.origin.is_inherited())
        else {
            return Ok(());
        };
        if own.origin.parents == 1 && !own.origin.local && !self.only {
            return Box::pin(self.drop_constraint(child, false, name, cascade, By::Parent)).await;
        }
        own.origin.parents -= 1;
        own.origin.local |= self.only;
        self.change(Change::put(child))
    }

    /// Makes columns NOT NULL in what is below a table, as its primary key makes them in it.
    pub(crate) async fn set_not_null_below(&mut self, oid: Oid, columns: &[String]) -> Result<()> {
        for child in self.catalog().descendants(oid) {
            let mut table = (*self.table(child)?).clone();
            for name in columns {
                if let Some((i, _)) = table.column(name) {
                    self.check_no_nulls(&table, i).await?;
                    table.columns[i].not_null = true;
                }
            }
            self.change(Change::put(table))?;
        }
        Ok(())
    }
}

/// A column's definition, without its constraints but NOT NULL: what children get of it.
fn definition_of(column: &Column) -> Result<ColumnDef> {
    let mut def = plain(&column.name, column.ty)?;
    let mut add = |kind| def.constraints.push(ColumnConstraint { name: None, kind, pos: 0 });
    match &column.default {
        Some(text) if column.generated => add(ColumnConstraintKind::Generated(parsed(text)?)),
        Some(text) => add(ColumnConstraintKind::Default(parsed(text)?)),
        None => {}
    }
    if column.not_null {
        add(ColumnConstraintKind::NotNull);
    }
    Ok(def)
}

fn invalid(message: String) -> SqlError {
    SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message)
}

fn not_only(message: &str) -> SqlError {
    invalid(message.to_owned()).hint("Do not specify the ONLY keyword.")
}
