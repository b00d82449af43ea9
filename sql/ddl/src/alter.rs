//! ALTER TABLE, and ALTER INDEX / SEQUENCE for what they share with it.

use crate::Ddl;
use crate::column::{MAX_COLUMNS, too_many_columns};
use crate::constraint::{self, WrittenKind};
use crate::fill::contains_nulls;
use crate::generated::{expression_of, is_generated};
use crate::materialized::refuse_action;
use crate::names::{find_column, no_column, no_relation, relation_exists};
use crate::table::check_storage_options;
use crate::temporary::moves_temporary;
use curia_catalog::{Change, Class, ConstraintKind, Index, ObjectKey, Relation, Table};
use curia_parse::ast::{AlterTable, AlterTableAction as Action, ColumnDef, Expr, Ident, ObjectKind, TableConstraint, TypeName};
use curia_parse::quote_identifier;
use curia_txn::TableLock;
use curia_types::{Datum, Result, SqlError, SqlState, oid, text_io, type_info};

impl Ddl<'_> {
    pub(crate) async fn alter_table(&mut self, s: &AlterTable) -> Result<&'static str> {
        let tag = match s.kind {
            ObjectKind::Table => "ALTER TABLE",
            ObjectKind::Index => "ALTER INDEX",
            ObjectKind::Sequence => "ALTER SEQUENCE",
            ObjectKind::View => "ALTER VIEW",
            ObjectKind::MaterializedView => "ALTER MATERIALIZED VIEW",
            other => {
                return Err(SqlError::unsupported(format!(
                    "ALTER {}",
                    crate::depend::kind_name(other).to_uppercase()
                )));
            }
        };
        let Some(relation) = self.lookup(&s.name)? else {
            if !s.if_exists {
                return Err(no_relation(&s.name));
            }
            self.notice(format!("relation \"{}\" does not exist, skipping", s.name));
            return Ok(tag);
        };
        let wrong = match (s.kind, relation) {
            // ALTER TABLE renames and moves indexes and sequences too, as in PostgreSQL.
            (ObjectKind::Table, Relation::Table(_)) => None,
            (ObjectKind::Table, _)
                if s.actions
                    .iter()
                    .all(|a| matches!(a, Action::RenameTo(_) | Action::SetSchema(_) | Action::OwnerTo(_))) =>
            {
                None
            }
            (ObjectKind::MaterializedView, found) if self.kind_of(found) == ObjectKind::MaterializedView => None,
            (ObjectKind::Index, Relation::Index(..))
            | (ObjectKind::Sequence, Relation::Sequence(_))
            | (ObjectKind::View, Relation::View(_)) => None,
            (ObjectKind::Table, _) => Some("a table"),
            (ObjectKind::Index, _) => Some("an index"),
            (ObjectKind::View, _) => Some("a view"),
            (ObjectKind::MaterializedView, _) => Some("a materialized view"),
            _ => Some("a sequence"),
        };
        if let Some(what) = wrong {
            return Err(SqlError::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("\"{}\" is not {what}", s.name.name()),
            ));
        }
        if s.actions.iter().any(|a| matches!(a, Action::SetSchema(_))) {
            self.refuse_moving_temporary(relation)?;
        }
        match relation {
            Relation::Table(oid) => {
                self.lock_table(oid, TableLock::AccessExclusive).await?;
                for action in &s.actions {
                    let table = (*self.table(oid)?).clone();
                    if table.materialized.is_some() {
                        refuse_action(&table, action)?;
                    }
                    self.alter(table, action).await?;
                }
            }
            Relation::Index(table, oid) => {
                self.lock_table(table, TableLock::ShareUpdateExclusive).await?;
                for action in &s.actions {
                    let table = (*self.table(table)?).clone();
                    self.alter_index(table, oid, action).await?;
                }
            }
            Relation::View(oid) => self.alter_view(oid, s).await?,
            Relation::Sequence(oid) => {
                for action in &s.actions {
                    let mut sequence = (*self.sequence(oid)?).clone();
                    match action {
                        Action::RenameTo(name) => {
                            self.claim_name(sequence.schema, name).await?;
                            sequence.name = name.name.clone();
                        }
                        Action::SetSchema(name) => sequence.schema = self.target_schema(name, &sequence.name)?,
                        Action::OwnerTo(role) => sequence.owner = self.find_role(role)?,
                        _ => return Err(SqlError::unsupported("this form of ALTER SEQUENCE")),
                    }
                    self.change(Change::put(sequence))?;
                }
            }
        }
        Ok(tag)
    }

    async fn alter_index(&mut self, mut table: Table, index: u32, action: &Action) -> Result<()> {
        match action {
            Action::RenameTo(name) => {
                self.claim_name(table.schema, name).await?;
                rename_index(&mut table, index, &name.name);
                self.change(Change::put(table))
            }
            Action::SetOptions(options) => check_storage_options(options),
            Action::ResetOptions(_) => Ok(()),
            _ => Err(SqlError::unsupported("this form of ALTER INDEX")),
        }
    }

    async fn alter(&mut self, mut table: Table, action: &Action) -> Result<()> {
        match action {
            Action::AddColumn { if_not_exists, column } => return self.add_column(table, *if_not_exists, column).await,
            Action::DropColumn { if_exists, name, cascade } => return self.drop_column(table, *if_exists, name, *cascade).await,
            Action::SetDefault(name, expr) => {
                let i = find_column(&table, name)?;
                if table.columns[i].identity.is_some() {
                    return Err(is_identity(&table, i));
                }
                if table.columns[i].generated {
                    return Err(is_generated(&table, i));
                }
                table.columns[i].default = Some(self.default_text(expr, &name.name, table.columns[i].ty)?);
            }
            Action::DropDefault(name) => {
                let i = find_column(&table, name)?;
                if table.columns[i].identity.is_some() {
                    return Err(is_identity(&table, i).hint("Use ALTER TABLE ... ALTER COLUMN ... DROP IDENTITY instead."));
                }
                if table.columns[i].generated {
                    return Err(is_generated(&table, i).hint("Use ALTER TABLE ... ALTER COLUMN ... DROP EXPRESSION instead."));
                }
                table.columns[i].default = None;
            }
            Action::SetNotNull(name) => {
                let i = find_column(&table, name)?;
                if !table.columns[i].not_null && self.any_row(&table, &format!("{} IS NULL", quote_identifier(&name.name))).await? {
                    return Err(contains_nulls(&table, self.catalog().schema_name(table.schema), i));
                }
                table.columns[i].not_null = true;
            }
            Action::DropNotNull(name) => {
                let i = find_column(&table, name)?;
                if table.columns[i].identity.is_some() {
                    return Err(is_identity(&table, i));
                }
                if table.primary_key().is_some_and(|p| p.keys.iter().any(|k| k.column == i)) {
                    return Err(SqlError::new(
                        SqlState::INVALID_TABLE_DEFINITION,
                        format!("column \"{}\" is in a primary key", name.name),
                    ));
                }
                table.columns[i].not_null = false;
            }
            Action::SetType {
                name,
                ty,
                collation,
                using,
            } => {
                if collation.is_some() {
                    return Err(SqlError::unsupported("ALTER COLUMN TYPE .. COLLATE"));
                }
                return self.set_type(table, name, ty, using.as_ref()).await;
            }
            Action::AddIdentity { name, always, options } => {
                let i = find_column(&table, name)?;
                let column = &table.columns[i];
                if column.identity.is_some() {
                    return Err(SqlError::new(
                        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                        format!(
                            "column \"{}\" of relation \"{}\" is already an identity column",
                            name.name, table.name
                        ),
                    ));
                }
                if column.default.is_some() {
                    return Err(SqlError::new(
                        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                        format!(
                            "column \"{}\" of relation \"{}\" already has a default value",
                            name.name, table.name
                        ),
                    ));
                }
                if !column.not_null {
                    return Err(SqlError::new(
                        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                        format!(
                            "column \"{}\" of relation \"{}\" must be declared NOT NULL before identity can be added",
                            name.name, table.name
                        ),
                    ));
                }
                let (identity, shape) = self.identity_shape(*always, options, column.ty)?;
                let mut column = table.columns[i].clone();
                column.identity = Some(identity);
                let mut new = crate::column::NewColumn {
                    column,
                    sequence: Some(shape),
                };
                self.add_column_sequence(table.schema, (table.oid, &table.name), &mut new).await?;
                table.columns[i] = new.column;
            }
            Action::SetIdentity { name, always, options } => {
                let i = find_column(&table, name)?;
                if table.columns[i].identity.is_none() {
                    return Err(not_identity(&table, i));
                }
                if let Some(always) = always {
                    table.columns[i].identity = Some(if *always {
                        curia_catalog::Identity::Always
                    } else {
                        curia_catalog::Identity::ByDefault
                    });
                }
                if !options.is_empty() {
                    let sequence = self
                        .catalog()
                        .owned_sequences(table.oid, Some(table.columns[i].attnum))
                        .next()
                        .cloned();
                    let sequence = sequence.ok_or_else(|| SqlError::internal("an identity column without a sequence"))?;
                    self.change_sequence(&sequence, options).await?;
                }
            }
            Action::DropIdentity { name, if_exists } => {
                let i = find_column(&table, name)?;
                if table.columns[i].identity.is_none() {
                    if !if_exists {
                        return Err(not_identity(&table, i));
                    }
                    self.notice(format!(
                        "column \"{}\" of relation \"{}\" is not an identity column, skipping",
                        name.name, table.name
                    ));
                    return Ok(());
                }
                table.columns[i].identity = None;
                self.drop_owned_sequences(&table, i)?;
            }
            Action::AddConstraint(c) => return self.add_constraint(table, c).await,
            Action::DropConstraint { if_exists, name, .. } => return self.drop_constraint(table, *if_exists, name).await,
            Action::RenameColumn(from, to) => return self.rename_column(table, from, to),
            Action::RenameConstraint(from, to) => {
                let Some(c) = table.constraints.iter().find(|c| c.name == from.name) else {
                    return Err(SqlError::new(
                        SqlState::UNDEFINED_OBJECT,
                        format!("constraint \"{}\" for table \"{}\" does not exist", from.name, table.name),
                    ));
                };
                if table.constraints.iter().any(|c| c.name == to.name) {
                    return Err(SqlError::new(
                        SqlState::DUPLICATE_OBJECT,
                        format!("constraint \"{}\" for relation \"{}\" already exists", to.name, table.name),
                    ));
                }
                match c.kind {
                    ConstraintKind::Unique { index, .. } => {
                        self.claim_name(table.schema, to).await?;
                        rename_index(&mut table, index, &to.name);
                    }
                    ConstraintKind::Check { .. } => {
                        for c in table.constraints.iter_mut().filter(|c| c.name == from.name) {
                            c.name = to.name.clone();
                        }
                    }
                }
            }
            Action::RenameTo(name) => {
                self.claim_name(table.schema, name).await?;
                table.name = name.name.clone();
            }
            Action::SetSchema(name) => {
                let schema = self.target_schema(name, &table.name)?;
                for index in &table.indexes {
                    if schema != table.schema && self.catalog().relation_in(schema, &index.name).is_some() {
                        return Err(relation_exists(&index.name));
                    }
                }
                let owned: Vec<_> = self.catalog().owned_sequences(table.oid, None).cloned().collect();
                for sequence in owned {
                    let mut sequence = (*sequence).clone();
                    sequence.schema = schema;
                    self.change(Change::put(sequence))?;
                }
                table.schema = schema;
            }
            Action::OwnerTo(role) => table.owner = self.find_role(role)?,
            Action::SetOptions(options) => return check_storage_options(options),
            Action::SetStatistics(name) | Action::SetStorage(name) => {
                // Tunes a heap and a planner that Curia does not have; the column is checked.
                find_column(&table, name)?;
                return Ok(());
            }
            Action::ResetOptions(_) | Action::SetLogged(_) | Action::Cluster => return Ok(()),
            Action::ValidateConstraint(name) => {
                if !table.constraints.iter().any(|c| c.name == name.name) {
                    return Err(no_constraint(&name.name, &table.name));
                }
                return Ok(());
            }
            Action::DropExpression { name, if_exists } => {
                let i = find_column(&table, name)?;
                if !table.columns[i].generated {
                    let message = format!(
                        "column \"{}\" of relation \"{}\" is not a stored generated column",
                        name.name, table.name
                    );
                    if !if_exists {
                        return Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message));
                    }
                    self.notice(format!("{message}, skipping"));
                    return Ok(());
                }
                table.columns[i].generated = false;
                table.columns[i].default = None;
            }
            Action::SetTablespace(_) => return Err(SqlError::unsupported("SET TABLESPACE")),
            Action::Unsupported(feature) => return Err(SqlError::unsupported(feature)),
        }
        self.change(Change::put(table))
    }

    async fn add_column(&mut self, mut table: Table, if_not_exists: bool, def: &ColumnDef) -> Result<()> {
        if table.column(&def.name.name).is_some() {
            let message = format!("column \"{}\" of relation \"{}\" already exists", def.name.name, table.name);
            if !if_not_exists {
                return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
            }
            self.notices
                .push(SqlError::new(SqlState::DUPLICATE_COLUMN, format!("{message}, skipping")));
            return Ok(());
        }
        if table.columns.len() >= MAX_COLUMNS {
            return Err(too_many_columns());
        }
        let mut new = self.new_column(&table.name, table.columns.len() + 1, def)?;
        let has_sequence = new.sequence.is_some();
        self.add_column_sequence(table.schema, (table.oid, &table.name), &mut new).await?;
        let mut column = new.column;
        let i = table.columns.len();
        if let Some(expr) = expression_of(def) {
            let mut with = table.clone();
            with.columns.push(column);
            self.set_generated(&mut with, i, expr)?;
            column = with.columns.remove(i);
        }
        // A default that is the same for all rows is kept beside the column and read in place of what older rows lack. Any other is
        // computed row by row into fresh storage.
        let mut per_row = has_sequence || column.generated;
        let mut missing = None;
        if let Some(default) = &column.default
            && !per_row
        {
            if curia_bind::ddl::is_volatile(&self.catalog(), self.env.search_path, default)? {
                per_row = true;
            } else {
                let shown = type_info::format_type(column.ty.oid, column.ty.typmod);
                match self.value(&format!("CAST(({default}) AS {shown})")).await? {
                    Datum::Null => {}
                    value => missing = Some(text_io::to_string(column.ty, &value, &curia_types::IoContext::default())),
                }
            }
        }
        if column.not_null && missing.is_none() && !per_row && self.any_row(&table, "true").await? {
            let schema = self.catalog().schema_name(table.schema).to_owned();
            table.columns.push(column);
            return Err(contains_nulls(&table, &schema, i));
        }
        let (default, identity, ty) = (column.default.clone(), column.identity, column.ty);
        table.columns.push(column);
        if per_row {
            let value = match (&default, identity) {
                (Some(d), _) => d.clone(),
                (None, _) => {
                    let sequence = self
                        .catalog()
                        .owned_sequences(table.oid, Some(table.columns[i].attnum))
                        .next()
                        .map(|s| s.oid);
                    crate::expression::nextval_text(sequence.ok_or_else(|| SqlError::internal("an identity column without a sequence"))?)
                }
            };
            let shown = type_info::format_type(ty.oid, ty.typmod);
            let mut list: Vec<String> = table
                .live_columns()
                .filter(|(j, _)| *j != i)
                .map(|(_, c)| quote_identifier(&c.name).to_string())
                .collect();
            list.push(format!("CAST(({value}) AS {shown})"));
            table = self.rewrite(table, &list.join(", ")).await?;
        } else {
            table.columns[i].missing = missing;
            self.change(Change::put(table.clone()))?;
        }
        for written in constraint::of_column(def) {
            table = (*self.table(table.oid)?).clone();
            self.add_written(table.clone(), written).await?;
        }
        Ok(())
    }

    async fn drop_column(&mut self, mut table: Table, if_exists: bool, name: &Ident, cascade: bool) -> Result<()> {
        let Some((i, _)) = table.column(&name.name) else {
            let missing = no_column(&name.name, &table.name);
            if !if_exists {
                return Err(missing);
            }
            self.notice(format!("{}, skipping", missing.message()));
            return Ok(());
        };
        let oid = table.oid;
        if table.row_key.contains(&i) {
            // Rows stay where they are: the key columns are dropped with the constraint, the row key remains as an opaque key.
            return Err(SqlError::unsupported("dropping a column of the primary key"));
        }
        for generated in self.generated_that_go(&table, i, cascade)? {
            let name = Ident {
                name: table.columns[generated].name.clone(),
                pos: 0,
            };
            Box::pin(self.drop_column(table, false, &name, cascade)).await?;
            table = (*self.table(oid)?).clone();
        }
        self.drop_views_using(&table, i, cascade).await?;
        let doomed: Vec<u32> = table
            .indexes
            .iter()
            .filter(|x| x.keys.iter().any(|k| k.column == i))
            .map(|x| x.oid)
            .collect();
        for index in &doomed {
            if let Some(storage) = table.index(*index).and_then(|x| x.storage) {
                self.drop_storage(storage)?;
            }
        }
        table.indexes.retain(|x| !doomed.contains(&x.oid));
        let mut kept = Vec::with_capacity(table.constraints.len());
        for c in std::mem::take(&mut table.constraints) {
            let goes = match &c.kind {
                ConstraintKind::Unique { index, .. } => doomed.contains(index),
                ConstraintKind::Check { expression } => curia_bind::ddl::check_columns(&self.catalog(), expression, &table)?.contains(&i),
            };
            if !goes {
                kept.push(c);
            }
        }
        table.constraints = kept;
        let attnum = table.columns[i].attnum;
        self.drop_owned_sequences(&table, i)?;
        let column = &mut table.columns[i];
        column.dropped = true;
        column.not_null = false;
        column.default = None;
        column.missing = None;
        column.identity = None;
        column.generated = false;
        column.name = format!("........pg.dropped.{attnum}........");
        self.change(Change::Drop(ObjectKey {
            class: Class::Comment,
            oid: table.oid,
            sub: attnum,
        }))?;
        self.change(Change::put(table))
    }

    async fn set_type(&mut self, mut table: Table, name: &Ident, ty: &TypeName, using: Option<&Expr>) -> Result<()> {
        let i = find_column(&table, name)?;
        let new = self.resolve_type(ty)?;
        self.check_storable(new)?;
        self.check_type_is_free(&table, i)?;
        if table.columns[i].generated && using.is_some() {
            return Err(SqlError::new(
                SqlState::INVALID_COLUMN_DEFINITION,
                "cannot specify USING when altering type of generated column",
            )
            .detail(format!("Column \"{}\" is a generated column.", name.name)));
        }
        self.refuse_used_by_generated(&table, i)?;
        let old = table.columns[i].ty;
        if using.is_none() && (old == new || relabels(old, new)) {
            table.columns[i].ty = new;
            return self.change(Change::put(table));
        }
        for index in table.indexes.iter().filter(|x| x.keys.iter().any(|k| k.column == i)) {
            self.check_orderable(new)?;
            let _ = index;
        }
        let shown = type_info::format_type(new.oid, new.typmod);
        // Length and precision are applied as by assignment when the rows are written: what does not fit is refused, not cut.
        let plain = if new.oid == oid::BPCHAR {
            "bpchar".to_owned()
        } else {
            type_info::format_type(new.oid, -1)
        };
        let quoted = quote_identifier(&name.name).to_string();
        let value = match using {
            Some(expr) => {
                let text = curia_bind::ddl::using_text(&self.catalog(), self.env.search_path, expr, &table, new).map_err(|e| {
                    if e.code() == SqlState::DATATYPE_MISMATCH {
                        SqlError::new(
                            SqlState::DATATYPE_MISMATCH,
                            format!(
                                "result of USING clause for column \"{}\" cannot be cast automatically to type {shown}",
                                name.name
                            ),
                        )
                        .hint("You might need to add an explicit cast.")
                    } else {
                        e
                    }
                })?;
                format!("CAST(({text}) AS {plain})")
            }
            None => {
                if !curia_bind::ddl::assignable(old, new) {
                    return Err(SqlError::new(
                        SqlState::DATATYPE_MISMATCH,
                        format!("column \"{}\" cannot be cast automatically to type {shown}", name.name),
                    )
                    .hint(format!("You might need to specify \"USING {quoted}::{shown}\".")));
                }
                format!("CAST({quoted} AS {plain})")
            }
        };
        if let Some(default) = &table.columns[i].default
            && !table.columns[i].generated
            && !curia_bind::ddl::default_assignable(&self.catalog(), self.env.search_path, default, new)?
        {
            return Err(SqlError::new(
                SqlState::DATATYPE_MISMATCH,
                format!("default for column \"{}\" cannot be cast automatically to type {shown}", name.name),
            ));
        }
        let list: Vec<String> = table
            .live_columns()
            .map(|(j, c)| {
                if j == i {
                    value.clone()
                } else {
                    quote_identifier(&c.name).to_string()
                }
            })
            .collect();
        table.columns[i].ty = new;
        let table = self.rewrite(table, &list.join(", ")).await?;
        // CHECK constraints were written for the old type: they must still bind and hold.
        for c in &table.constraints {
            if let ConstraintKind::Check { expression } = &c.kind
                && self.any_row(&table, &format!("NOT ({expression})")).await?
            {
                return Err(violated_by_some_row(&c.name, &table, self.catalog().schema_name(table.schema)));
            }
        }
        Ok(())
    }

    /// Gives `table` fresh storages, filled with the rows of `SELECT list FROM` the table as it is in the catalog, and publishes it.
    async fn rewrite(&mut self, mut table: Table, list: &str) -> Result<Table> {
        let old = self.table(table.oid)?;
        let query = format!("SELECT {list} FROM {}", self.qualified(&old));
        self.fresh_storages(&mut table).await?;
        for column in &mut table.columns {
            column.missing = None;
        }
        self.refill_from(&table, &query).await?;
        self.retire(&old)?;
        self.change(Change::put(table.clone()))?;
        Ok(table)
    }

    pub(crate) async fn fresh_storages(&mut self, table: &mut Table) -> Result<()> {
        table.storage = self.new_storage()?;
        for index in table.indexes.iter_mut().filter(|i| i.storage.is_some()) {
            index.storage = Some(self.new_storage()?);
        }
        Ok(())
    }

    /// Frees the storages of a table version that was replaced.
    pub(crate) fn retire(&mut self, old: &Table) -> Result<()> {
        self.drop_storage(old.storage)?;
        for index in &old.indexes {
            if let Some(storage) = index.storage {
                self.drop_storage(storage)?;
            }
        }
        Ok(())
    }

    async fn add_constraint(&mut self, table: Table, c: &TableConstraint) -> Result<()> {
        let written = constraint::of_table(c)?;
        self.add_written(table, written).await
    }

    async fn add_written(&mut self, mut table: Table, w: constraint::Written<'_>) -> Result<()> {
        match w.kind {
            WrittenKind::Check { expr, attributes } => {
                let check = self.new_check(&table, w.name, expr, attributes).await?;
                if let ConstraintKind::Check { expression } = &check.kind
                    && self.any_row(&table, &format!("NOT ({expression})")).await?
                {
                    return Err(violated_by_some_row(&check.name, &table, self.catalog().schema_name(table.schema)));
                }
                table.constraints.push(check);
                self.change(Change::put(table))
            }
            WrittenKind::Unique(unique) => {
                let old = table.clone();
                let (constraint, index) = self.new_unique(&mut table, w.name, &unique, None).await?;
                table.constraints.push(constraint);
                if unique.primary {
                    self.add_primary_key(old, table, index).await
                } else {
                    self.add_unique_index(table, index).await
                }
            }
        }
    }

    async fn add_unique_index(&mut self, mut table: Table, mut index: Index) -> Result<()> {
        index.storage = Some(self.new_storage()?);
        self.fill_index(&table, &index).await?;
        table.indexes.push(index);
        self.change(Change::put(table))
    }

    /// Rows move to fresh storage keyed by the primary key; the other indexes follow, as their entries hold row keys.
    async fn add_primary_key(&mut self, old: Table, mut table: Table, index: Index) -> Result<()> {
        table.row_key = index.keys.iter().map(|k| k.column).collect();
        table.indexes.insert(0, index);
        self.fresh_storages(&mut table).await?;
        self.refill(&old, &table).await?;
        self.retire(&old)?;
        self.change(Change::put(table))
    }

    async fn drop_constraint(&mut self, mut table: Table, if_exists: bool, name: &Ident) -> Result<()> {
        let Some(at) = table.constraints.iter().position(|c| c.name == name.name) else {
            let missing = no_constraint(&name.name, &table.name);
            if !if_exists {
                return Err(missing);
            }
            self.notice(format!("{}, skipping", missing.message()));
            return Ok(());
        };
        let old = table.clone();
        let constraint = table.constraints.remove(at);
        self.change(Change::Drop(ObjectKey {
            class: Class::Comment,
            oid: constraint.oid,
            sub: 0,
        }))?;
        if let ConstraintKind::Unique { index, primary } = constraint.kind {
            let storage = table.index(index).and_then(|i| i.storage);
            table.indexes.retain(|i| i.oid != index);
            if primary {
                // Rows go back to hidden row ids, so that keys may repeat and be null again.
                table.row_key = Vec::new();
                self.fresh_storages(&mut table).await?;
                self.refill(&old, &table).await?;
                self.retire(&old)?;
            } else if let Some(storage) = storage {
                self.drop_storage(storage)?;
            }
        }
        self.change(Change::put(table))
    }

    fn rename_column(&mut self, mut table: Table, from: &Ident, to: &Ident) -> Result<()> {
        let Some((i, _)) = table.column(&from.name) else {
            return Err(SqlError::new(
                SqlState::UNDEFINED_COLUMN,
                format!("column \"{}\" does not exist", from.name),
            ));
        };
        if table.column(&to.name).is_some() {
            return Err(SqlError::new(
                SqlState::DUPLICATE_COLUMN,
                format!("column \"{}\" of relation \"{}\" already exists", to.name, table.name),
            ));
        }
        let old = table.clone();
        table.columns[i].name = to.name.clone();
        let mut constraints = table.constraints.clone();
        for c in &mut constraints {
            if let ConstraintKind::Check { expression } = &mut c.kind {
                *expression = curia_bind::ddl::check_text_renamed(&self.catalog(), expression, &old, &table)?;
            }
        }
        table.constraints = constraints;
        self.rename_in_generated(&old, &mut table)?;
        self.change(Change::put(table))
    }

    fn drop_owned_sequences(&mut self, table: &Table, column: usize) -> Result<()> {
        let owned: Vec<_> = self
            .catalog()
            .owned_sequences(table.oid, Some(table.columns[column].attnum))
            .cloned()
            .collect();
        for sequence in owned {
            self.change(Change::drop(Class::Sequence, sequence.oid))?;
            self.drop_storage(sequence.storage)?;
        }
        Ok(())
    }

    /// Makes sure that a new relation name is free, waiting for others that are taking it.
    pub(crate) async fn claim_name(&mut self, schema: u32, name: &Ident) -> Result<()> {
        self.lock_name(schema, &name.name).await?;
        match self.catalog().relation_in(schema, &name.name) {
            Some(_) => Err(relation_exists(&name.name)),
            None => Ok(()),
        }
    }

    pub(crate) fn target_schema(&self, schema: &Ident, relation: &str) -> Result<u32> {
        let catalog = self.catalog();
        let found = self.schema_named(&schema.name)?;
        if catalog.is_temporary(found.oid) {
            return Err(moves_temporary());
        }
        if catalog.relation_in(found.oid, relation).is_some() {
            return Err(SqlError::new(
                SqlState::DUPLICATE_TABLE,
                format!("relation \"{relation}\" already exists in schema \"{}\"", schema.name),
            ));
        }
        Ok(found.oid)
    }
}

/// Renames an index and the constraint that it enforces.
fn rename_index(table: &mut Table, index: u32, name: &str) {
    for i in table.indexes.iter_mut().filter(|i| i.oid == index) {
        i.name = name.to_owned();
    }
    for c in &mut table.constraints {
        if matches!(c.kind, ConstraintKind::Unique { index: i, .. } if i == index) {
            c.name = name.to_owned();
        }
    }
}

/// Whether stored values of one type are values of the other as they are: a longer varchar, or text.
fn relabels(old: curia_types::PgType, new: curia_types::PgType) -> bool {
    use curia_types::oid::{TEXT, VARCHAR};
    match (old.oid, new.oid) {
        (VARCHAR | TEXT, TEXT) => true,
        (VARCHAR, VARCHAR) => new.typmod < 0 || (old.typmod >= 0 && old.typmod <= new.typmod),
        (TEXT, VARCHAR) => new.typmod < 0,
        _ => false,
    }
}

fn violated_by_some_row(constraint: &str, table: &Table, schema: &str) -> SqlError {
    SqlError::new(
        SqlState::CHECK_VIOLATION,
        format!(
            "check constraint \"{constraint}\" of relation \"{}\" is violated by some row",
            table.name
        ),
    )
    .table(schema, &table.name)
    .constraint(constraint)
}

fn no_constraint(name: &str, table: &str) -> SqlError {
    SqlError::new(
        SqlState::UNDEFINED_OBJECT,
        format!("constraint \"{name}\" of relation \"{table}\" does not exist"),
    )
}

fn is_identity(table: &Table, column: usize) -> SqlError {
    SqlError::new(
        SqlState::SYNTAX_ERROR,
        format!(
            "column \"{}\" of relation \"{}\" is an identity column",
            table.columns[column].name, table.name
        ),
    )
}

fn not_identity(table: &Table, column: usize) -> SqlError {
    SqlError::new(
        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!(
            "column \"{}\" of relation \"{}\" is not an identity column",
            table.columns[column].name, table.name
        ),
    )
}
