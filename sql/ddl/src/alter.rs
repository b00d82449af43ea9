//! ALTER TABLE, and ALTER INDEX / SEQUENCE for what they share with it.

use crate::Ddl;
use crate::column::{MAX_COLUMNS, too_many_columns};
use crate::constraint::{self, WrittenKind};
use crate::fill::contains_nulls;
use crate::generated::{expression_of, is_generated};
use crate::inherit::By;
use crate::materialized::refuse_action;
use crate::names::{find_column, no_column, no_relation, relation_exists};
use crate::table::check_storage_options;
use crate::temporary::moves_temporary;
use curia_catalog::{Change, Class, Constraint, ConstraintKind, Index, ObjectKey, Origin, Relation, Table, Timing};
use curia_parse::ast::{
    AlterTable, AlterTableAction as Action, ColumnDef, Expr, Ident, ObjectKind, SequenceOption, SequenceOptionKind, TableConstraint,
    TypeName,
};
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
        if !s.actions.iter().all(|a| matches!(a, Action::OwnerTo(_))) {
            self.must_own_relation(relation)?;
        }
        if s.actions.iter().any(|a| matches!(a, Action::SetSchema(_))) {
            self.refuse_moving_temporary(relation)?;
        }
        match relation {
            Relation::Table(oid) => {
                self.lock_table(oid, TableLock::AccessExclusive).await?;
                self.refuse_waiting_checks("ALTER TABLE", oid)?;
                for below in self.catalog().descendants(oid) {
                    self.lock_table(below, TableLock::AccessExclusive).await?;
                    self.refuse_waiting_checks("ALTER TABLE", below)?;
                }
                let mut actions: Vec<&Action> = s.actions.iter().collect();
                actions.sort_by_key(|a| pass(a));
                for action in actions {
                    let table = self.table(oid)?;
                    if table.materialized.is_some() {
                        refuse_action(&table, action)?;
                    }
                    self.alter_family(oid, action).await?;
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
                        Action::OwnerTo(role) => sequence.owner = self.new_owner(oid, role)?,
                        // Logged in any case.
                        Action::SetLogged(_) => {}
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
            Action::AttachPartition { name, .. } => self.attach_index(&table, index, name).await,
            Action::SetOptions(options) => check_storage_options(options),
            Action::ResetOptions(_) => Ok(()),
            _ => Err(SqlError::unsupported("this form of ALTER INDEX")),
        }
    }

    /// An action on one table alone.
    pub(crate) async fn alter(&mut self, mut table: Table, action: &Action) -> Result<()> {
        match action {
            Action::AddColumn { if_not_exists, column } => return self.add_column(table, *if_not_exists, column, Origin::default()).await,
            Action::DropColumn { if_exists, name, cascade } => {
                return self.drop_column(table, *if_exists, name, *cascade, By::Statement).await;
            }
            Action::SetDefault(name, expr) => {
                let i = find_column(&table, name)?;
                if table.columns[i].identity.is_some() {
                    return Err(is_identity(&table, i));
                }
                if table.columns[i].generated {
                    return Err(is_generated(&table, i));
                }
                table.columns[i].default = self.column_default(expr, &name.name, table.columns[i].ty)?;
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
                if table.primary_key().is_some_and(|p| p.columns().any(|c| c == i)) {
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
                let (identity, shape) = self.identity_shape(*always, options, table.columns[i].ty)?;
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
            Action::DropConstraint { if_exists, name, cascade } => {
                return self.drop_constraint(table, *if_exists, name, *cascade, By::Statement).await;
            }
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
                    ConstraintKind::Check { .. } | ConstraintKind::ForeignKey(_) => {
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
            Action::OwnerTo(role) => {
                table.owner = self.new_owner(table.oid, role)?;
                let owned: Vec<_> = self.catalog().owned_sequences(table.oid, None).cloned().collect();
                for sequence in owned {
                    let mut sequence = (*sequence).clone();
                    sequence.owner = table.owner;
                    self.change(Change::put(sequence))?;
                }
            }
            Action::SetOptions(options) => return check_storage_options(options),
            Action::SetStatistics(name) | Action::SetStorage(name) => {
                // Tunes a heap and a planner that Curia does not have; the column is checked.
                find_column(&table, name)?;
                return Ok(());
            }
            Action::ResetOptions(_) | Action::SetLogged(_) | Action::Cluster => return Ok(()),
            Action::AlterConstraint(name, attributes) => {
                let at = table.constraints.iter().position(|c| c.name == name.name);
                let at = at.ok_or_else(|| no_constraint(&name.name, &table.name))?;
                if !matches!(table.constraints[at].kind, ConstraintKind::ForeignKey(_)) {
                    return Err(SqlError::new(
                        SqlState::WRONG_OBJECT_TYPE,
                        format!(
                            "constraint \"{}\" of relation \"{}\" is not a foreign key constraint",
                            name.name, table.name
                        ),
                    ));
                }
                if attributes.not_valid {
                    return Err(constraint::cannot_be_marked("FOREIGN KEY", "NOT VALID", None));
                }
                table.constraints[at].timing = constraint::timing(*attributes);
            }
            Action::ValidateConstraint(name) => {
                let at = table.constraints.iter().position(|c| c.name == name.name);
                let at = at.ok_or_else(|| no_constraint(&name.name, &table.name))?;
                let c = table.constraints[at].clone();
                match &c.kind {
                    ConstraintKind::Unique { .. } => {
                        return Err(SqlError::new(
                            SqlState::WRONG_OBJECT_TYPE,
                            format!(
                                "constraint \"{}\" of relation \"{}\" is not a foreign key or check constraint",
                                name.name, table.name
                            ),
                        ));
                    }
                    _ if !c.not_valid => return Ok(()),
                    ConstraintKind::Check { expression } => self.check_rows(&table, &c.name, expression).await?,
                    ConstraintKind::ForeignKey(key) => self.check_references(&table, &c.name, key).await?,
                }
                table.constraints[at].not_valid = false;
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
            Action::Inherit(_) | Action::NoInherit(_) | Action::AttachPartition { .. } | Action::DetachPartition { .. } => {
                return Err(SqlError::unsupported("this form of ALTER TABLE"));
            }
            Action::Unsupported(feature) => return Err(SqlError::unsupported(feature)),
        }
        self.change(Change::put(table))
    }

    pub(crate) async fn add_column(&mut self, mut table: Table, if_not_exists: bool, def: &ColumnDef, origin: Origin) -> Result<()> {
        if origin == Origin::default() {
            self.check_new_column(&table, def)?;
        }
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
        column.origin = origin;
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
                let shown = curia_bind::ddl::type_text(column.ty);
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
            let shown = curia_bind::ddl::type_text(ty);
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
        self.add_column_to_children(table.oid, i).await?;
        for written in constraint::of_column(def) {
            table = (*self.table(table.oid)?).clone();
            self.add_written(table.clone(), written).await?;
        }
        Ok(())
    }

    /// DROP COLUMN of one table, whatever is below it.
    pub(crate) async fn drop_own_column(&mut self, mut table: Table, if_exists: bool, name: &Ident, cascade: bool) -> Result<()> {
        let Some((i, _)) = table.column(&name.name) else {
            let missing = no_column(&name.name, &table.name);
            if !if_exists {
                return Err(missing);
            }
            self.notice(format!("{}, skipping", missing.message()));
            return Ok(());
        };
        let oid = table.oid;
        for generated in self.generated_that_go(&table, i, cascade)? {
            let name = Ident {
                name: table.columns[generated].name.clone(),
                pos: 0,
            };
            Box::pin(self.drop_column(table, false, &name, cascade, By::Parent)).await?;
            table = (*self.table(oid)?).clone();
        }
        // A foreign key of the column goes with it, also one that refers to the column's own key.
        let is_own = |c: &Constraint| matches!(&c.kind, ConstraintKind::ForeignKey(key) if key.columns.contains(&i));
        if table.constraints.iter().any(is_own) {
            table.constraints.retain(|c| !is_own(c));
            self.change(Change::put(table.clone()))?;
        }
        self.drop_users_of(&table, i, cascade).await?;
        table = (*self.table(oid)?).clone();
        if table.row_key.contains(&i) {
            // Rows go back to hidden row ids.
            let primary = table.primary_key().map(|p| p.oid);
            let keeps = |c: &&Constraint| matches!(c.kind, ConstraintKind::Unique { index, .. } if Some(index) == primary);
            if let Some(c) = table.constraints.iter().find(keeps) {
                let name = Ident {
                    name: c.name.clone(),
                    pos: 0,
                };
                self.drop_own_constraint(table.clone(), false, &name, false).await?;
            }
            table = (*self.table(table.oid)?).clone();
        }
        let mut doomed: Vec<u32> = Vec::new();
        for index in &table.indexes {
            if curia_bind::index::index_columns(&self.catalog(), &table, index)?.contains(&i) {
                doomed.push(index.oid);
            }
        }
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
                ConstraintKind::ForeignKey(_) => false,
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
        column.ty = crate::user_type::dropped_form(column.ty);
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
        if table.columns[i].identity.is_some() && new != old {
            // The sequence follows its column.
            let sequence = self
                .catalog()
                .owned_sequences(table.oid, Some(table.columns[i].attnum))
                .next()
                .cloned();
            if !matches!(new.oid, oid::INT2 | oid::INT4 | oid::INT8) {
                return Err(SqlError::new(
                    SqlState::INVALID_PARAMETER_VALUE,
                    "identity column type must be smallint, integer, or bigint",
                ));
            }
            if let Some(sequence) = sequence {
                let as_type = SequenceOption {
                    kind: SequenceOptionKind::As(curia_parse::parse_type(&type_info::format_type(new.oid, -1))?),
                    pos: 0,
                };
                self.change_sequence(&sequence, &[as_type]).await?;
            }
        }
        if using.is_none() && (old == new || relabels(old, new)) {
            table.columns[i].ty = new;
            table.indexes = table.indexes.iter().map(|x| self.retyped(&table, x)).collect::<Result<_>>()?;
            return self.change(Change::put(table));
        }
        if table.indexes.iter().any(|x| x.columns().any(|c| c == i)) {
            self.check_orderable(new)?;
        }
        let named = type_info::format_type(new.oid, -1);
        // Length and precision are applied as by assignment when the rows are written: what does not fit is refused, not cut.
        let plain = if new.oid == oid::BPCHAR {
            "bpchar".to_owned()
        } else {
            curia_bind::ddl::type_text(curia_types::PgType { oid: new.oid, typmod: -1 })
        };
        let quoted = quote_identifier(&name.name).to_string();
        let value = match using {
            Some(expr) => {
                let text = curia_bind::ddl::using_text(&self.catalog(), self.env.search_path, expr, &table, new).map_err(|e| {
                    if e.code() == SqlState::DATATYPE_MISMATCH {
                        SqlError::new(
                            SqlState::DATATYPE_MISMATCH,
                            format!(
                                "result of USING clause for column \"{}\" cannot be cast automatically to type {named}",
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
                        format!("column \"{}\" cannot be cast automatically to type {named}", name.name),
                    )
                    .hint(format!(
                        "You might need to specify \"USING {quoted}::{}\".",
                        type_info::format_type(new.oid, new.typmod)
                    )));
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
                format!("default for column \"{}\" cannot be cast automatically to type {named}", name.name),
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
        table.indexes = table.indexes.iter().map(|x| self.retyped(&table, x)).collect::<Result<_>>()?;
        self.check_key_types(&table, i)?;
        let table = self.rewrite(table, &list.join(", ")).await?;
        // CHECK constraints were written for the old type: they must still bind and hold.
        for c in &table.constraints {
            match &c.kind {
                ConstraintKind::Check { expression } => self.check_rows(&table, &c.name, expression).await?,
                ConstraintKind::ForeignKey(key) if key.columns.contains(&i) && !c.not_valid => {
                    self.check_references(&table, &c.name, key).await?;
                }
                _ => {}
            }
        }
        let catalog = self.catalog();
        for (referencing, c, key) in catalog.references_to(table.oid) {
            if key.key.contains(&i) && !c.not_valid {
                self.check_references(referencing, &c.name, key).await?;
            }
        }
        Ok(())
    }

    /// Fails when foreign keys could not compare a column of a new type with the other side's.
    fn check_key_types(&self, table: &Table, column: usize) -> Result<()> {
        let catalog = self.catalog();
        let of = |oid: u32| {
            if oid == table.oid {
                Some(table)
            } else {
                catalog.tables.get(&oid).map(|t| &**t)
            }
        };
        let own = table
            .foreign_keys()
            .filter(|(_, k)| k.columns.contains(&column))
            .map(|(c, k)| (table, c, k));
        let others = catalog
            .references_to(table.oid)
            .filter(|(t, _, k)| t.oid != table.oid && k.key.contains(&column))
            .map(|(t, c, k)| (&**t, c, k));
        for (referencing, c, key) in own.chain(others) {
            let Some(other) = of(key.table) else { continue };
            for (from, to) in key.columns.iter().zip(&key.key) {
                let (from, to) = (&referencing.columns[*from], &other.columns[*to]);
                if !curia_bind::ddl::can_reference(from.ty, to.ty) {
                    return Err(crate::foreign_key::incompatible(&c.name, from, to));
                }
            }
        }
        Ok(())
    }

    /// Fails with 23514 when a row of a table violates a CHECK expression.
    pub(crate) async fn check_rows(&mut self, table: &Table, name: &str, expression: &str) -> Result<()> {
        if self.any_row(table, &format!("NOT ({expression})")).await? {
            return Err(violated_by_some_row(name, table, self.catalog().schema_name(table.schema)));
        }
        Ok(())
    }

    /// 55006 when checks of a table's rows wait for the end of the transaction.
    pub(crate) fn refuse_waiting_checks(&self, what: &str, table: u32) -> Result<()> {
        if !self.tx.has_checks_of(table) {
            return Ok(());
        }
        let name = self.table(table)?.name.clone();
        Err(SqlError::new(
            SqlState::OBJECT_IN_USE,
            format!("cannot {what} \"{name}\" because it has pending trigger events"),
        ))
    }

    /// Gives `table` fresh storages, filled with the rows of `SELECT list FROM` the table as it is in the catalog, and publishes it.
    async fn rewrite(&mut self, mut table: Table, list: &str) -> Result<Table> {
        let old = self.table(table.oid)?;
        let query = format!("SELECT {list} FROM ONLY {}", self.qualified(&old));
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
                let check = self.new_check(&table, w.name, expr, attributes, Some(w.pos)).await?;
                if let ConstraintKind::Check { expression } = &check.kind
                    && !check.not_valid
                {
                    self.check_rows(&table, &check.name, expression).await?;
                }
                let oid = table.oid;
                table.constraints.push(check.clone());
                self.change(Change::put(table))?;
                self.add_check_to_children(oid, &check).await
            }
            WrittenKind::ForeignKey { .. } => self.add_foreign_key(table.oid, &w, false).await,
            WrittenKind::Using {
                index,
                primary,
                attributes,
            } => self.add_using_index(table, w.name, index, primary, attributes).await,
            WrittenKind::Unique(unique) => {
                let old = table.clone();
                let (constraint, mut index) = self.new_unique(&mut table, w.name, &unique, None).await?;
                table.constraints.push(constraint);
                let (oid, made) = (table.oid, index.oid);
                let spreads = table.is_partitioned() && !self.only;
                index.incomplete = table.is_partitioned() && self.only && self.catalog().has_children(oid);
                let named: Vec<String> = unique.columns.iter().map(|c| c.name.clone()).collect();
                if unique.primary && !index.deferrable {
                    self.add_primary_key(old, table, index).await?;
                } else {
                    for i in index.columns().filter(|_| unique.primary) {
                        self.check_no_nulls(&old, i).await?;
                    }
                    self.add_unique_index(table, index).await?;
                }
                if unique.primary && !self.only {
                    self.set_not_null_below(oid, &named).await?;
                }
                if spreads {
                    self.spread_index(oid, made).await?;
                }
                Ok(())
            }
        }
    }

    /// Fails with 23502 when a column that may be NULL is so in some row.
    pub(crate) async fn check_no_nulls(&mut self, table: &Table, column: usize) -> Result<()> {
        let c = &table.columns[column];
        if !c.not_null && self.any_row(table, &format!("{} IS NULL", quote_identifier(&c.name))).await? {
            return Err(contains_nulls(table, self.catalog().schema_name(table.schema), column));
        }
        Ok(())
    }

    /// ADD CONSTRAINT .. USING INDEX: an index that exists becomes a constraint's, by whose name it goes from then on.
    async fn add_using_index(
        &mut self,
        mut table: Table,
        name: Option<&Ident>,
        index: &Ident,
        primary: bool,
        attributes: curia_parse::ast::ConstraintAttributes,
    ) -> Result<()> {
        if table.is_partitioned() {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "ALTER TABLE / ADD CONSTRAINT USING INDEX is not supported on partitioned tables",
            ));
        }
        let Some(Relation::Index(owner, oid)) = self.catalog().relation_in(table.schema, &index.name) else {
            return Err(SqlError::new(
                SqlState::UNDEFINED_OBJECT,
                format!("index \"{}\" does not exist", index.name),
            ));
        };
        let unready = |message: String| Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message));
        if owner != table.oid {
            return unready(format!("index \"{}\" does not belong to table \"{}\"", index.name, table.name));
        }
        if constraint::of_index(&table, oid).is_some() {
            return unready(format!("index \"{}\" is already associated with a constraint", index.name));
        }
        if primary && table.primary_key().is_some() {
            return Err(SqlError::new(
                SqlState::INVALID_TABLE_DEFINITION,
                format!("multiple primary keys for table \"{}\" are not allowed", table.name),
            ));
        }
        let Some(at) = table.indexes.iter().position(|i| i.oid == oid) else {
            return Err(SqlError::internal("an index without its table"));
        };
        let found = table.indexes[at].clone();
        let wrong = |message: String| {
            Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message)
                .detail("Cannot create a primary key or unique constraint using such an index."))
        };
        if found.incomplete {
            return Err(SqlError::new(
                SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!("index \"{}\" is not valid", index.name),
            ));
        }
        if !found.unique {
            return wrong(format!("\"{}\" is not a unique index", index.name));
        }
        if found.keys.iter().any(|k| k.as_column().is_none()) {
            return wrong(format!("index \"{}\" contains expressions", index.name));
        }
        if found.predicate.is_some() {
            return wrong(format!("\"{}\" is a partial index", index.name));
        }
        if let Some(n) = found
            .keys
            .iter()
            .position(|k| k.descending || k.nulls_first || k.opclass.is_some() || k.collation.is_some())
        {
            return wrong(format!(
                "index \"{}\" column number {} does not have default sorting behavior",
                index.name,
                n + 1
            ));
        }
        if primary {
            for i in found.columns() {
                self.check_no_nulls(&table, i).await?;
                table.columns[i].not_null = true;
            }
        }
        if let Some(name) = name
            && name.name != index.name
        {
            constraint::refuse_duplicate(&table, &name.name)?;
            self.notice(format!(
                "ALTER TABLE / ADD CONSTRAINT USING INDEX will rename index \"{}\" to \"{}\"",
                index.name, name.name
            ));
            self.claim_name(table.schema, name).await?;
            table.indexes[at].name.clone_from(&name.name);
        }
        table.indexes[at].primary = primary;
        let timing = constraint::timing(attributes);
        if timing != Timing::Immediate {
            // Entries of a deferrable index are of another form.
            table.indexes[at].deferrable = true;
            let fresh = self.new_storage()?;
            if let Some(old) = table.indexes[at].storage.replace(fresh) {
                self.drop_storage(old)?;
            }
            let mut without = table.clone();
            let moved = without.indexes.remove(at);
            self.fill_index(&without, &moved, "ALTER TABLE").await?;
        }
        let kind = ConstraintKind::Unique { index: oid, primary };
        let name = table.indexes[at].name.clone();
        table.constraints.push(Constraint {
            timing,
            ..Constraint::new(self.new_oid()?, name, kind)
        });
        self.change(Change::put(table))
    }

    pub(crate) async fn add_unique_index(&mut self, mut table: Table, mut index: Index) -> Result<()> {
        index.storage = Some(self.new_storage()?);
        self.fill_index(&table, &index, "ALTER TABLE").await?;
        table.indexes.push(index);
        self.change(Change::put(table))
    }

    /// Rows move to fresh storage keyed by the primary key; the other indexes follow, as their entries hold row keys.
    pub(crate) async fn add_primary_key(&mut self, old: Table, mut table: Table, index: Index) -> Result<()> {
        table.row_key = index.columns().collect();
        table.indexes.insert(0, index);
        self.fresh_storages(&mut table).await?;
        self.refill(&old, &table).await?;
        self.retire(&old)?;
        self.change(Change::put(table))
    }

    /// DROP CONSTRAINT of one table, whatever is below it.
    pub(crate) async fn drop_own_constraint(&mut self, mut table: Table, if_exists: bool, name: &Ident, cascade: bool) -> Result<()> {
        let Some(at) = table.constraints.iter().position(|c| c.name == name.name) else {
            let missing = no_constraint(&name.name, &table.name);
            if !if_exists {
                return Err(missing);
            }
            self.notice(format!("{}, skipping", missing.message()));
            return Ok(());
        };
        if let ConstraintKind::Unique { index, .. } = table.constraints[at].kind {
            self.drop_references_to_index(&table, at, index, cascade).await?;
            table = (*self.table(table.oid)?).clone();
        }
        let at = table.constraints.iter().position(|c| c.name == name.name);
        let at = at.ok_or_else(|| SqlError::internal("a constraint went with its dependents"))?;
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
            if primary && storage.is_none() {
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
        let indexes = table
            .indexes
            .iter()
            .map(|x| curia_bind::index::index_renamed(&self.catalog(), x, &old, &table));
        table.indexes = indexes.collect::<Result<_>>()?;
        if let Some(key) = &table.partition_key {
            table.partition_key = Some(curia_bind::partition::key_renamed(&self.catalog(), key, &old, &table)?);
        }
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

/// The pass of ALTER TABLE in which PostgreSQL executes an action, whatever place it was written at.
fn pass(action: &Action) -> u8 {
    use curia_parse::ast::TableConstraintKind as Kind;
    match action {
        Action::DropColumn { .. }
        | Action::DropConstraint { .. }
        | Action::DropNotNull(_)
        | Action::DropDefault(_)
        | Action::DropIdentity { .. }
        | Action::DropExpression { .. } => 0,
        Action::SetType { .. } => 1,
        Action::AddColumn { .. } => 4,
        Action::SetNotNull(_) => 6,
        Action::AddConstraint(c) => match c.kind {
            Kind::Unique { .. } | Kind::PrimaryKey { .. } | Kind::UsingIndex { .. } | Kind::Exclude => 7,
            _ => 9,
        },
        Action::SetDefault(..) | Action::AddIdentity { .. } => 9,
        _ => 10,
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
