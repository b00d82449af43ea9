//! CREATE VIEW, and what keeps the relations under a view as it knows them.

use crate::Ddl;
use crate::depend::Dependent;
use crate::names::{no_column, relation_exists};
use curia_bind::ddl::{ViewShape, view_shape};
use curia_catalog::{Change, Object, Oid, Relation, Table, View, ViewColumn, ViewRelation};
use curia_parse::ast::{AlterTable, AlterTableAction as Action, CreateView, Persistence, Query, SetExpr, StatementOption};
use curia_txn::TableLock;
use curia_types::{PgType, Result, SqlError, SqlState, type_info};
use std::sync::Arc;

impl Ddl<'_> {
    pub(crate) async fn create_view(&mut self, s: &CreateView) -> Result<()> {
        if let SetExpr::Select(select) = &s.query.body
            && select.into.is_some()
        {
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "views must not contain SELECT INTO"));
        }
        let shape = self.locked_shape(&s.query, &s.text).await?;
        let mut persistence = if s.temporary {
            Persistence::Temporary
        } else {
            Persistence::Permanent
        };
        let name = s.name.name().to_owned();
        if !s.temporary && self.reads_temporary(&shape) {
            persistence = Persistence::Temporary;
            self.notice(format!("view \"{name}\" will be a temporary view"));
        }
        let schema = self.creation_schema(&s.name, persistence)?.oid;
        self.lock_name(schema, &name).await?;
        let columns = view_columns(s, &shape)?;
        let options = view_options(&s.options)?;
        let old = match self.catalog().relation_in(schema, &name) {
            None => None,
            Some(_) if !s.or_replace => return Err(relation_exists(&name)),
            Some(Relation::View(oid)) => Some(self.view(oid)?),
            Some(_) => return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{name}\" is not a view"))),
        };
        if old.is_none() {
            self.check_row_type_name(schema, &name)?;
        }
        let (oid, row_type, row_array, owner) = match &old {
            Some(old) => {
                self.must_own(old.oid)?;
                self.lock_table(old.oid, TableLock::AccessExclusive).await?;
                check_replaced(old, &columns)?;
                if self.leads_to(&shape.relations.iter().map(|r| r.oid).collect::<Vec<_>>(), old.oid) {
                    return Err(curia_bind::recursive(&name));
                }
                (old.oid, old.row_type, old.row_array, old.owner)
            }
            None => (self.new_oid()?, self.new_oid()?, self.new_oid()?, self.env.role),
        };
        let view = View {
            oid,
            schema,
            name,
            owner,
            row_type,
            row_array,
            columns,
            query: s.text.clone(),
            relations: shape.relations,
            options,
        };
        self.change_view(view)
    }

    /// Binds the query, with every table and view that it reads locked against change until the transaction ends.
    pub(crate) async fn locked_shape(&mut self, query: &Query, text: &str) -> Result<ViewShape> {
        let depth = curia_parse::parse(text)?.first().map_or(0, |parsed| parsed.depth);
        loop {
            let before = self.catalog();
            let shape = view_shape(&before, self.env.search_path, query, depth)?;
            let views = shape.relations.iter().map(|r| r.oid).filter(|oid| before.views.contains_key(oid));
            for oid in shape.tables.iter().copied().chain(views) {
                self.lock_table(oid, TableLock::AccessShare).await?;
            }
            if self.catalog().version == before.version {
                return Ok(shape);
            }
        }
    }

    /// A view by OID.
    pub(crate) fn view(&self, oid: Oid) -> Result<View> {
        let catalog = self.catalog();
        let view = catalog
            .views
            .get(&oid)
            .ok_or_else(|| SqlError::internal(format!("view {oid} is not in the catalog")))?;
        Ok((**view).clone())
    }

    /// Whether a view is among relations or under them.
    fn leads_to(&self, relations: &[Oid], view: Oid) -> bool {
        let catalog = self.catalog();
        let mut open = relations.to_vec();
        let mut seen = Vec::new();
        while let Some(oid) = open.pop() {
            if oid == view {
                return true;
            }
            if !seen.contains(&oid) {
                seen.push(oid);
                open.extend(catalog.views.get(&oid).iter().flat_map(|v| &v.relations).map(|r| r.oid));
            }
        }
        false
    }

    /// Stores a view; WITH CHECK OPTION is for those that rows can be changed through.
    fn change_view(&mut self, view: View) -> Result<()> {
        let view = Arc::new(view);
        if view.options.iter().any(|(name, _)| name == "check_option") {
            curia_bind::check_option_possible(&self.catalog(), &view)?;
        }
        self.change(Change::Put(Object::View(view)))
    }

    /// ALTER VIEW for what it shares with ALTER TABLE.
    pub(crate) async fn alter_view(&mut self, oid: Oid, s: &AlterTable) -> Result<()> {
        self.lock_table(oid, TableLock::AccessExclusive).await?;
        for action in &s.actions {
            let mut view = self.view(oid)?;
            match action {
                Action::RenameTo(name) => {
                    self.claim_name(view.schema, name).await?;
                    view.name.clone_from(&name.name);
                }
                Action::SetSchema(name) => view.schema = self.target_schema(name, &view.name)?,
                Action::OwnerTo(role) => view.owner = self.find_role(role)?,
                Action::SetOptions(options) => {
                    for (name, value) in view_options(options)? {
                        view.options.retain(|(n, _)| *n != name);
                        view.options.push((name, value));
                    }
                }
                Action::ResetOptions(names) => view.options.retain(|(n, _)| !names.contains(n)),
                Action::RenameColumn(from, to) => {
                    let i = find_view_column(&view, &from.name)
                        .ok_or_else(|| SqlError::new(SqlState::UNDEFINED_COLUMN, format!("column \"{}\" does not exist", from.name)))?;
                    if find_view_column(&view, &to.name).is_some() {
                        return Err(SqlError::new(
                            SqlState::DUPLICATE_COLUMN,
                            format!("column \"{}\" of relation \"{}\" already exists", to.name, view.name),
                        ));
                    }
                    view.columns[i].name.clone_from(&to.name);
                }
                Action::SetDefault(name, expr) => {
                    let i = find_view_column(&view, &name.name).ok_or_else(|| no_column(&name.name, &view.name))?;
                    view.columns[i].default = self.column_default(expr, &name.name, view.columns[i].ty)?;
                }
                Action::DropDefault(name) => {
                    let i = find_view_column(&view, &name.name).ok_or_else(|| no_column(&name.name, &view.name))?;
                    view.columns[i].default = None;
                }
                _ => return Err(SqlError::unsupported("this form of ALTER VIEW")),
            }
            self.change_view(view)?;
        }
        Ok(())
    }

    /// Views that use a column, as what depends on it.
    pub(crate) fn views_using(&self, table: &Table, column: usize) -> Vec<Dependent> {
        let catalog = self.catalog();
        let column = &table.columns[column];
        let on = format!("column {} of table {}", column.name, self.shown(table.schema, &table.name));
        let uses = |relations: &[ViewRelation]| relations.iter().any(|r| r.oid == table.oid && r.used.contains(&column.attnum));
        let views = catalog.views.values().filter(|v| uses(&v.relations));
        let materialized = catalog
            .tables
            .values()
            .filter(|t| t.materialized.as_ref().is_some_and(|m| uses(&m.relations)));
        views
            .map(|v| self.dependent_view(v, on.clone()))
            .chain(materialized.map(|t| self.dependent_materialized(t, on.clone())))
            .collect()
    }

    pub(crate) fn dependent_view(&self, view: &View, on: String) -> Dependent {
        Dependent::relation(
            Relation::View(view.oid),
            format!("view {}", self.shown(view.schema, &view.name)),
            on,
        )
    }

    /// Refuses another type for a column that views use.
    pub(crate) fn check_type_is_free(&self, table: &Table, column: usize) -> Result<()> {
        match self.views_using(table, column).first() {
            None => Ok(()),
            Some(view) => Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "cannot alter type of a column used by a view or rule",
            )
            .detail(format!(
                "rule _RETURN on {} depends on column \"{}\"",
                view.shown, table.columns[column].name
            ))),
        }
    }
}

fn find_view_column(view: &View, name: &str) -> Option<usize> {
    view.columns.iter().position(|c| c.name == name)
}

/// WITH (..) of a view as `reloptions` has it.
fn view_options(options: &[StatementOption]) -> Result<Vec<(String, String)>> {
    let invalid = |message: String| SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message);
    let mut out: Vec<(String, String)> = Vec::new();
    for o in options {
        let value = o.value.clone().unwrap_or_else(|| "true".to_owned());
        match o.name.as_str() {
            "security_barrier" | "security_invoker" => {
                let word = value.to_ascii_lowercase();
                let known = ["true", "false", "on", "off", "yes", "no", "1", "0", "t", "f", "y", "n"];
                if !known.contains(&word.as_str()) {
                    return Err(invalid(format!("invalid value for boolean option \"{}\": {value}", o.name)));
                }
            }
            "check_option" => {
                if !matches!(value.as_str(), "local" | "cascaded") {
                    return Err(invalid(format!("invalid value for enum option \"check_option\": {value}"))
                        .detail("Valid values are \"local\" and \"cascaded\"."));
                }
            }
            other => return Err(invalid(format!("unrecognized parameter \"{other}\""))),
        }
        if out.iter().any(|(name, _)| *name == o.name) {
            return Err(invalid(format!("parameter \"{}\" specified more than once", o.name)));
        }
        out.push((o.name.clone(), value));
    }
    Ok(out)
}

/// The columns of a view by its query and the names that are given to them.
fn view_columns(s: &CreateView, shape: &ViewShape) -> Result<Vec<ViewColumn>> {
    if s.columns.len() > shape.columns.len() {
        return Err(SqlError::new(
            SqlState::SYNTAX_ERROR,
            "CREATE VIEW specifies more column names than columns",
        ));
    }
    let invalid = |message: String| SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message);
    let mut columns: Vec<ViewColumn> = Vec::with_capacity(shape.columns.len());
    for (i, output) in shape.columns.iter().enumerate() {
        let name = s.columns.get(i).map_or(&output.name, |n| &n.name);
        if columns.iter().any(|c| c.name == *name) {
            return Err(SqlError::new(
                SqlState::DUPLICATE_COLUMN,
                format!("column \"{name}\" specified more than once"),
            ));
        }
        if type_info::by_oid(output.ty.oid).is_some_and(|t| t.category == 'P') {
            return Err(invalid(format!("column \"{name}\" has pseudo-type {}", shown(output.ty))));
        }
        columns.push(ViewColumn {
            name: name.clone(),
            ty: output.ty,
            default: None,
        });
    }
    Ok(columns)
}

/// A view keeps its columns when its query is replaced; new ones come after them.
fn check_replaced(old: &View, new: &[ViewColumn]) -> Result<()> {
    let invalid = |message: String| Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message));
    if new.len() < old.columns.len() {
        return invalid("cannot drop columns from view".to_owned());
    }
    for (old, new) in old.columns.iter().zip(new) {
        if old.name != new.name {
            return Err(SqlError::new(
                SqlState::INVALID_TABLE_DEFINITION,
                format!("cannot change name of view column \"{}\" to \"{}\"", old.name, new.name),
            )
            .hint("Use ALTER VIEW ... RENAME COLUMN ... to change name of view column instead."));
        }
        if old.ty != new.ty {
            return invalid(format!(
                "cannot change data type of view column \"{}\" from {} to {}",
                old.name,
                shown(old.ty),
                shown(new.ty)
            ));
        }
    }
    Ok(())
}

fn shown(ty: PgType) -> String {
    type_info::format_type(ty.oid, ty.typmod)
}
