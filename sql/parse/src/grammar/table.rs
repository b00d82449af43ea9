//! CREATE TABLE, ALTER TABLE and what they contain.

use super::*;

impl<'a> Parser<'a> {
    /// `IF NOT EXISTS`
    pub(super) fn if_not_exists(&mut self) -> Result<bool> {
        if self.at_kw(Kw::If) && self.kw_at(1, Kw::Not) {
            self.at += 2;
            self.expect_kw(Kw::Exists)?;
            return Ok(true);
        }
        Ok(false)
    }

    /// `IF EXISTS`
    pub(super) fn if_exists(&mut self) -> bool {
        self.accept_kws(&[Kw::If, Kw::Exists])
    }

    /// CASCADE (true), RESTRICT or nothing.
    pub(super) fn cascade(&mut self) -> bool {
        let cascade = self.accept_kw(Kw::Cascade);
        if !cascade {
            self.accept_kw(Kw::Restrict);
        }
        cascade
    }

    /// CREATE TABLE or CREATE TABLE AS, after the words.
    pub(super) fn create_table(&mut self, persistence: Persistence) -> Result<Statement> {
        let if_not_exists = self.if_not_exists()?;
        let name = self.relation_name()?;
        let mut table = CreateTable {
            name,
            persistence,
            if_not_exists,
            columns: Vec::new(),
            constraints: Vec::new(),
            like: Vec::new(),
            inherits: Vec::new(),
            partition_of: None,
            partition_by: None,
            options: Vec::new(),
            on_commit: None,
            tablespace: None,
        };
        if self.at_kw(Kw::Of) {
            return Ok(self.unsupported("CREATE TABLE OF"));
        }
        if self.accept_kw(Kw::Partition) {
            table.partition_of = Some(Box::new(self.partition_of(&mut table)?));
            self.table_tail_clauses(&mut table)?;
            return Ok(Statement::CreateTable(Box::new(table)));
        }
        let names_only = self.peek() == Tok::LParen && self.names(1, |_| true) && matches!(self.peek_at(2), Tok::Comma | Tok::RParen);
        let mut names = Vec::new();
        if names_only {
            names = self.paren_list(|p| p.column_id())?;
            if !matches!(
                self.kw(),
                Some(Kw::As | Kw::With | Kw::On | Kw::Tablespace | Kw::Using | Kw::Without)
            ) {
                // A column without a type: PostgreSQL stops at what follows its name.
                return Err(self.unexpected());
            }
        } else if self.peek() == Tok::LParen {
            self.bump();
            if self.peek() != Tok::RParen {
                self.comma_list(|p| p.table_element(&mut table))?;
            }
            self.expect(Tok::RParen)?;
        }
        self.table_tail_clauses(&mut table)?;
        if self.accept_kw(Kw::As) {
            return self.create_table_as(table, names);
        }
        if names_only || (table.columns.is_empty() && !self.closed_parenthesis_before()) {
            return Err(self.unexpected());
        }
        Ok(Statement::CreateTable(Box::new(table)))
    }

    fn closed_parenthesis_before(&self) -> bool {
        self.tokens[..self.at]
            .iter()
            .rev()
            .take_while(|t| t.kind != Tok::Semicolon)
            .any(|t| t.kind == Tok::RParen)
    }

    pub(super) fn table_tail_clauses(&mut self, table: &mut CreateTable) -> Result<()> {
        if self.accept_kw(Kw::Inherits) {
            table.inherits = self.paren_list(|p| p.relation_name())?;
        }
        if self.accept_kw(Kw::Partition) {
            table.partition_by = Some(self.partition_by()?);
        }
        if self.accept_kw(Kw::Using) {
            self.column_id()?;
        }
        if self.accept_kw(Kw::With) {
            table.options = self.statement_options()?;
        } else if self.at_kw(Kw::Without) {
            self.bump();
            self.expect_kw(Kw::Oids)?;
        }
        if self.accept_kws(&[Kw::On, Kw::Commit]) {
            table.on_commit = Some(if self.accept_kw(Kw::Drop) {
                OnCommit::Drop
            } else if self.accept_kw(Kw::Preserve) {
                self.expect_kw(Kw::Rows)?;
                OnCommit::PreserveRows
            } else {
                self.expect_kw(Kw::Delete)?;
                self.expect_kw(Kw::Rows)?;
                OnCommit::DeleteRows
            });
        }
        if self.accept_kw(Kw::Tablespace) {
            table.tablespace = Some(self.column_id()?);
        }
        Ok(())
    }

    fn create_table_as(&mut self, table: CreateTable, columns: Vec<Ident>) -> Result<Statement> {
        let source = if self.accept_kw(Kw::Execute) {
            TableSource::Execute(Box::new(self.execute()?))
        } else {
            self.table_source()?
        };
        let with_data = self.with_data()?;
        Ok(Statement::CreateTableAs(Box::new(CreateTableAs {
            name: table.name,
            persistence: table.persistence,
            if_not_exists: table.if_not_exists,
            columns,
            source,
            with_data,
            materialized: false,
            options: table.options,
            on_commit: table.on_commit,
            tablespace: table.tablespace,
        })))
    }

    /// The query of CREATE TABLE AS, with its text.
    pub(super) fn table_source(&mut self) -> Result<TableSource> {
        let start = self.token().start as usize;
        let query = Box::new(self.query()?);
        let text = self.text[start..self.previous_end()].to_owned();
        Ok(TableSource::Query { query, text })
    }

    pub(super) fn with_data(&mut self) -> Result<bool> {
        if !self.accept_kw(Kw::With) {
            return Ok(true);
        }
        let no = self.accept_kw(Kw::No);
        self.expect_kw(Kw::Data)?;
        Ok(!no)
    }

    fn table_element(&mut self, table: &mut CreateTable) -> Result<()> {
        match self.kw() {
            Some(Kw::Like) => {
                self.bump();
                let source = self.relation_name()?;
                let mut options = Vec::new();
                while matches!(self.kw(), Some(Kw::Including | Kw::Excluding)) {
                    let including = self.at_kw(Kw::Including);
                    self.bump();
                    options.push((including, self.label()?.name));
                }
                table.like.push(TableLike {
                    table: source,
                    at: table.columns.len(),
                    options,
                });
            }
            Some(Kw::Constraint | Kw::Check | Kw::Unique | Kw::Primary | Kw::Foreign | Kw::Exclude) if self.at_table_constraint() => {
                table.constraints.push(self.table_constraint()?);
            }
            _ => table.columns.push(self.column_def()?),
        }
        Ok(())
    }

    /// EXCLUDE is unreserved, so a column may bear its name.
    pub(super) fn at_table_constraint(&self) -> bool {
        !self.at_kw(Kw::Exclude) || matches!(self.peek_at(1), Tok::LParen | Tok::Word(Some(Kw::Using)))
    }

    pub(super) fn column_def(&mut self) -> Result<ColumnDef> {
        let name = self.column_id()?;
        let ty = self.type_name()?;
        let mut column = ColumnDef {
            name,
            ty,
            collation: None,
            constraints: Vec::new(),
        };
        loop {
            if self.accept_kw(Kw::Collate) {
                column.collation = Some(self.object_name()?);
            } else if self.accept_kw(Kw::Storage) || self.accept_kw(Kw::Compression) {
                self.label()?;
            } else {
                match self.column_constraint()? {
                    Some(constraint) => column.constraints.push(constraint),
                    None => return Ok(column),
                }
            }
        }
    }

    pub(super) fn column_constraint(&mut self) -> Result<Option<ColumnConstraint>> {
        let pos = self.pos();
        let name = if self.accept_kw(Kw::Constraint) {
            Some(self.column_id()?)
        } else {
            None
        };
        let kind = match self.kw() {
            Some(Kw::Null) => {
                self.bump();
                ColumnConstraintKind::Null
            }
            Some(Kw::Not) => {
                self.bump();
                self.expect_kw(Kw::Null)?;
                ColumnConstraintKind::NotNull
            }
            Some(Kw::Default) => {
                self.bump();
                ColumnConstraintKind::Default(self.stored(Self::restricted_expr)?)
            }
            Some(Kw::Unique) => {
                self.bump();
                let nulls_not_distinct = self.nulls_not_distinct()?;
                self.index_parameters()?;
                ColumnConstraintKind::Unique {
                    nulls_not_distinct,
                    attributes: self.constraint_attributes()?,
                }
            }
            Some(Kw::Primary) => {
                self.bump();
                self.expect_kw(Kw::Key)?;
                self.index_parameters()?;
                ColumnConstraintKind::PrimaryKey {
                    attributes: self.constraint_attributes()?,
                }
            }
            Some(Kw::Check) => {
                self.bump();
                let expr = self.parenthesized(|p| p.stored(Self::expr))?;
                let attributes = self.constraint_attributes()?;
                ColumnConstraintKind::Check {
                    expr,
                    no_inherit: attributes.no_inherit,
                    attributes,
                }
            }
            Some(Kw::References) => ColumnConstraintKind::References(self.references()?),
            Some(Kw::Generated) => self.generated()?,
            _ if name.is_some() => return Err(self.unexpected()),
            _ => return Ok(None),
        };
        Ok(Some(ColumnConstraint { name, kind, pos }))
    }

    fn generated(&mut self) -> Result<ColumnConstraintKind> {
        self.expect_kw(Kw::Generated)?;
        let always = self.generated_when()?;
        self.expect_kw(Kw::As)?;
        if self.accept_kw(Kw::Identity) {
            return Ok(ColumnConstraintKind::Identity {
                always,
                options: self.sequence_options_in_parens()?,
            });
        }
        let pos = self.pos();
        let expr = self.parenthesized(|p| p.stored(Self::expr))?;
        self.expect_kw(Kw::Stored)?;
        if !always {
            return Err(self.syntax("for a generated column, GENERATED ALWAYS must be specified", pos));
        }
        Ok(ColumnConstraintKind::Generated(expr))
    }

    /// ALWAYS (true) or BY DEFAULT
    fn generated_when(&mut self) -> Result<bool> {
        if self.accept_kw(Kw::Always) {
            return Ok(true);
        }
        self.expect_kw(Kw::By)?;
        self.expect_kw(Kw::Default)?;
        Ok(false)
    }

    fn sequence_options_in_parens(&mut self) -> Result<Vec<SequenceOption>> {
        if self.peek() != Tok::LParen {
            return Ok(Vec::new());
        }
        self.parenthesized(|p| p.sequence_options())
    }

    fn nulls_not_distinct(&mut self) -> Result<bool> {
        if self.accept_kws(&[Kw::Nulls, Kw::Not, Kw::Distinct]) {
            return Ok(true);
        }
        self.accept_kws(&[Kw::Nulls, Kw::Distinct]);
        Ok(false)
    }

    /// `[WITH (..)] [USING INDEX TABLESPACE t]` after a key; without effect here.
    fn index_parameters(&mut self) -> Result<()> {
        if self.at_kw(Kw::With) && self.peek_at(1) == Tok::LParen {
            self.bump();
            self.statement_options()?;
        }
        if self.accept_kws(&[Kw::Using, Kw::Index, Kw::Tablespace]) {
            self.column_id()?;
        }
        Ok(())
    }

    fn references(&mut self) -> Result<ForeignKey> {
        self.expect_kw(Kw::References)?;
        let table = self.relation_name()?;
        let columns = if self.peek() == Tok::LParen {
            self.paren_list(|p| p.column_id())?
        } else {
            Vec::new()
        };
        let mut key = ForeignKey {
            table,
            columns,
            matching: ForeignKeyMatch::Simple,
            on_delete: ForeignKeyAction::NoAction,
            on_update: ForeignKeyAction::NoAction,
            set_columns: Vec::new(),
            attributes: ConstraintAttributes::default(),
        };
        if self.accept_kw(Kw::Match) {
            key.matching = if self.accept_kw(Kw::Full) {
                ForeignKeyMatch::Full
            } else if self.accept_kw(Kw::Partial) {
                ForeignKeyMatch::Partial
            } else {
                self.expect_kw(Kw::Simple)?;
                ForeignKeyMatch::Simple
            };
        }
        while self.at_kw(Kw::On) {
            self.bump();
            let delete = self.accept_kw(Kw::Delete);
            if !delete {
                self.expect_kw(Kw::Update)?;
            }
            let action = self.foreign_key_action()?;
            let pos = self.pos();
            let listed = matches!(action, ForeignKeyAction::SetNull | ForeignKeyAction::SetDefault) && self.peek() == Tok::LParen;
            let columns = if listed { self.paren_list(|p| p.column_id())? } else { Vec::new() };
            if delete {
                key.on_delete = action;
                key.set_columns = columns;
            } else {
                if listed {
                    return Err(SqlError::unsupported("a column list with SET NULL is only supported for ON DELETE actions").at(Some(pos)));
                }
                key.on_update = action;
            }
        }
        key.attributes = self.constraint_attributes()?;
        Ok(key)
    }

    fn foreign_key_action(&mut self) -> Result<ForeignKeyAction> {
        let action = if self.accept_kws(&[Kw::No, Kw::Action]) {
            ForeignKeyAction::NoAction
        } else if self.accept_kw(Kw::Restrict) {
            ForeignKeyAction::Restrict
        } else if self.accept_kw(Kw::Cascade) {
            ForeignKeyAction::Cascade
        } else if self.accept_kws(&[Kw::Set, Kw::Null]) {
            ForeignKeyAction::SetNull
        } else if self.accept_kws(&[Kw::Set, Kw::Default]) {
            ForeignKeyAction::SetDefault
        } else {
            return Err(self.unexpected());
        };
        Ok(action)
    }

    pub(super) fn constraint_attributes(&mut self) -> Result<ConstraintAttributes> {
        let mut attributes = ConstraintAttributes::default();
        let mut never = false;
        loop {
            let pos = self.pos();
            if self.accept_kws(&[Kw::Not, Kw::Deferrable]) {
                never = true;
                if attributes.initially_deferred {
                    return Err(self.syntax("constraint declared INITIALLY DEFERRED must be DEFERRABLE", pos));
                }
                attributes.deferrable = false;
            } else if self.accept_kw(Kw::Deferrable) {
                attributes.deferrable = true;
            } else if self.accept_kws(&[Kw::Initially, Kw::Deferred]) {
                if never {
                    return Err(self.syntax("constraint declared INITIALLY DEFERRED must be DEFERRABLE", pos));
                }
                attributes.initially_deferred = true;
                attributes.deferrable = true;
            } else if self.accept_kws(&[Kw::Initially, Kw::Immediate]) {
                attributes.initially_deferred = false;
            } else if self.accept_kws(&[Kw::Not, Kw::Valid]) {
                attributes.not_valid = true;
            } else if self.accept_kws(&[Kw::No, Kw::Inherit]) {
                attributes.no_inherit = true;
            } else {
                return Ok(attributes);
            }
        }
    }

    pub(super) fn table_constraint(&mut self) -> Result<TableConstraint> {
        let pos = self.pos();
        let name = if self.accept_kw(Kw::Constraint) {
            Some(self.column_id()?)
        } else {
            None
        };
        let kind = match self.kw() {
            Some(Kw::Check) => {
                self.bump();
                TableConstraintKind::Check(self.parenthesized(|p| p.stored(Self::expr))?)
            }
            Some(kw @ (Kw::Unique | Kw::Primary)) => {
                self.bump();
                let primary = kw == Kw::Primary;
                if primary {
                    self.expect_kw(Kw::Key)?;
                }
                if self.accept_kws(&[Kw::Using, Kw::Index]) {
                    TableConstraintKind::UsingIndex {
                        index: self.column_id()?,
                        primary,
                    }
                } else {
                    let nulls_not_distinct = !primary && self.nulls_not_distinct()?;
                    let columns = self.paren_list(|p| p.column_id())?;
                    let include = if self.accept_kw(Kw::Include) {
                        self.paren_list(|p| p.column_id())?
                    } else {
                        Vec::new()
                    };
                    self.index_parameters()?;
                    if primary {
                        TableConstraintKind::PrimaryKey { columns, include }
                    } else {
                        TableConstraintKind::Unique {
                            columns,
                            nulls_not_distinct,
                            include,
                        }
                    }
                }
            }
            Some(Kw::Foreign) => {
                self.bump();
                self.expect_kw(Kw::Key)?;
                let columns = self.paren_list(|p| p.column_id())?;
                let references = self.references()?;
                let attributes = references.attributes;
                return Ok(TableConstraint {
                    name,
                    kind: TableConstraintKind::ForeignKey { columns, references },
                    attributes,
                    pos,
                });
            }
            Some(Kw::Exclude) => {
                self.bump();
                if self.accept_kw(Kw::Using) {
                    self.column_id()?;
                }
                self.paren_list(|p| {
                    p.index_element()?;
                    p.expect_kw(Kw::With)?;
                    if p.at_kw(Kw::Operator) {
                        p.bump();
                        return p.parenthesized(|p| {
                            while p.peek() != Tok::RParen && p.peek() != Tok::Eof {
                                p.bump();
                            }
                            Ok(())
                        });
                    }
                    p.expect(Tok::Op).map(|_| ())
                })?;
                self.index_parameters()?;
                if self.accept_kw(Kw::Where) {
                    self.parenthesized(|p| p.expr())?;
                }
                TableConstraintKind::Exclude
            }
            _ => return Err(self.unexpected()),
        };
        Ok(TableConstraint {
            name,
            kind,
            attributes: self.constraint_attributes()?,
            pos,
        })
    }

    /// `(name [= value], ..)`; names may be qualified by a namespace.
    pub(super) fn statement_options(&mut self) -> Result<Vec<StatementOption>> {
        self.paren_list(|p| {
            let first = p.label()?;
            let pos = first.pos;
            let name = p.object_name_from(first)?.to_string();
            let value = if p.accept_op("=") { Some(p.option_value()?) } else { None };
            Ok(StatementOption { name, value, pos })
        })
    }

    /// A value of an option as text: a word, string, number with sign, or operator.
    pub(super) fn option_value(&mut self) -> Result<String> {
        if self.at_string() {
            return self.string();
        }
        if matches!(self.op(), Some("-" | "+")) {
            let sign = if self.at_op("-") { "-" } else { "" };
            self.bump();
            return Ok(format!("{sign}{}", self.number()?));
        }
        match self.peek() {
            Tok::Number => Ok(self.number()?.to_owned()),
            _ => Ok(self.label()?.name),
        }
    }

    /// ALTER TABLE and its relatives, after ALTER and the object's word.
    pub(super) fn alter_table(&mut self, kind: ObjectKind) -> Result<Statement> {
        if kind == ObjectKind::Table && self.at_kw(Kw::All) && self.kw_at(1, Kw::In) {
            return Ok(self.unsupported("ALTER TABLE ALL IN TABLESPACE"));
        }
        let if_exists = self.if_exists();
        let only = self.accept_kw(Kw::Only);
        let name = self.relation_name()?;
        self.accept_op("*");
        let mut alter = AlterTable {
            kind,
            name,
            if_exists,
            only,
            actions: Vec::new(),
        };
        if self.accept_kw(Kw::Rename) {
            alter.actions.push(self.rename_action()?);
        } else if self.accept_kws(&[Kw::Set, Kw::Schema]) {
            alter.actions.push(AlterTableAction::SetSchema(self.column_id()?));
        } else if matches!(self.kw(), Some(Kw::Attach | Kw::Detach)) {
            alter.actions.push(self.attach_or_detach(kind)?);
        } else {
            alter.actions = self.comma_list(|p| p.alter_action())?;
        }
        Ok(Statement::AlterTable(Box::new(alter)))
    }

    fn rename_action(&mut self) -> Result<AlterTableAction> {
        if self.accept_kw(Kw::To) {
            return Ok(AlterTableAction::RenameTo(self.column_id()?));
        }
        if self.accept_kw(Kw::Constraint) {
            let from = self.column_id()?;
            self.expect_kw(Kw::To)?;
            return Ok(AlterTableAction::RenameConstraint(from, self.column_id()?));
        }
        self.accept_kw(Kw::Column);
        let from = self.column_id()?;
        self.expect_kw(Kw::To)?;
        Ok(AlterTableAction::RenameColumn(from, self.column_id()?))
    }

    fn alter_action(&mut self) -> Result<AlterTableAction> {
        match self.kw() {
            Some(Kw::Add) => {
                self.bump();
                if matches!(
                    self.kw(),
                    Some(Kw::Constraint | Kw::Check | Kw::Unique | Kw::Primary | Kw::Foreign | Kw::Exclude)
                ) && self.at_table_constraint()
                {
                    return Ok(AlterTableAction::AddConstraint(Box::new(self.table_constraint()?)));
                }
                self.accept_kw(Kw::Column);
                let if_not_exists = self.if_not_exists()?;
                Ok(AlterTableAction::AddColumn {
                    if_not_exists,
                    column: Box::new(self.column_def()?),
                })
            }
            Some(Kw::Drop) => {
                self.bump();
                let constraint = self.accept_kw(Kw::Constraint);
                if !constraint {
                    self.accept_kw(Kw::Column);
                }
                let if_exists = self.if_exists();
                let name = self.column_id()?;
                let cascade = self.cascade();
                Ok(if constraint {
                    AlterTableAction::DropConstraint { if_exists, name, cascade }
                } else {
                    AlterTableAction::DropColumn { if_exists, name, cascade }
                })
            }
            Some(Kw::Alter) => {
                self.bump();
                if self.accept_kw(Kw::Constraint) {
                    let name = self.column_id()?;
                    return Ok(AlterTableAction::AlterConstraint(name, self.constraint_attributes()?));
                }
                self.accept_kw(Kw::Column);
                if self.peek() == Tok::Number {
                    self.bump();
                    self.expect_kw(Kw::Set)?;
                    self.expect_kw(Kw::Statistics)?;
                    self.signed_integer()?;
                    return Ok(AlterTableAction::Unsupported("ALTER COLUMN by number"));
                }
                let column = self.column_id()?;
                self.alter_column(column)
            }
            Some(Kw::Validate) => {
                self.bump();
                self.expect_kw(Kw::Constraint)?;
                Ok(AlterTableAction::ValidateConstraint(self.column_id()?))
            }
            Some(Kw::Owner) => {
                self.bump();
                self.expect_kw(Kw::To)?;
                Ok(AlterTableAction::OwnerTo(self.role_spec()?))
            }
            Some(Kw::Set) => {
                self.bump();
                self.alter_set()
            }
            Some(Kw::Reset) => {
                self.bump();
                Ok(AlterTableAction::ResetOptions(
                    self.statement_options()?.into_iter().map(|o| o.name).collect(),
                ))
            }
            Some(Kw::Cluster) => {
                self.bump();
                self.expect_kw(Kw::On)?;
                self.column_id()?;
                Ok(AlterTableAction::Cluster)
            }
            Some(Kw::Enable | Kw::Disable) => {
                self.skip_action();
                Ok(AlterTableAction::Unsupported(
                    "ENABLE or DISABLE of triggers, rules and row security",
                ))
            }
            Some(Kw::Force) => {
                self.skip_action();
                Ok(AlterTableAction::Unsupported("FORCE ROW LEVEL SECURITY"))
            }
            Some(Kw::No) if self.kw_at(1, Kw::Inherit) => {
                self.at += 2;
                Ok(AlterTableAction::NoInherit(self.relation_name()?))
            }
            Some(Kw::No) => {
                self.skip_action();
                Ok(AlterTableAction::Unsupported("NO FORCE ROW LEVEL SECURITY"))
            }
            Some(Kw::Inherit) => {
                self.bump();
                Ok(AlterTableAction::Inherit(self.relation_name()?))
            }
            Some(Kw::Replica) => {
                self.skip_action();
                Ok(AlterTableAction::Unsupported("REPLICA IDENTITY"))
            }
            Some(Kw::Of | Kw::Not) => {
                self.skip_action();
                Ok(AlterTableAction::Unsupported("OF type"))
            }
            _ => Err(self.unexpected()),
        }
    }

    fn skip_action(&mut self) {
        while !matches!(self.peek(), Tok::Comma | Tok::Semicolon | Tok::Eof) {
            self.bump();
        }
    }

    fn alter_set(&mut self) -> Result<AlterTableAction> {
        match self.kw() {
            Some(kw @ (Kw::Logged | Kw::Unlogged)) => {
                self.bump();
                Ok(AlterTableAction::SetLogged(kw == Kw::Logged))
            }
            Some(Kw::Tablespace) => {
                self.bump();
                Ok(AlterTableAction::SetTablespace(self.column_id()?))
            }
            Some(Kw::Without) => {
                self.bump();
                if self.accept_kw(Kw::Cluster) {
                    return Ok(AlterTableAction::Cluster);
                }
                self.expect_kw(Kw::Oids)?;
                Ok(AlterTableAction::SetOptions(Vec::new()))
            }
            Some(Kw::Access) => {
                self.skip_action();
                Ok(AlterTableAction::Unsupported("SET ACCESS METHOD"))
            }
            _ => Ok(AlterTableAction::SetOptions(self.statement_options()?)),
        }
    }

    fn alter_column(&mut self, name: Ident) -> Result<AlterTableAction> {
        match self.kw() {
            Some(Kw::Type) => self.alter_type(name),
            Some(Kw::Set) if self.kw_at(1, Kw::Data) => {
                self.at += 2;
                self.alter_type(name)
            }
            Some(Kw::Set) => {
                self.bump();
                match self.kw() {
                    Some(Kw::Default) => {
                        self.bump();
                        Ok(AlterTableAction::SetDefault(name, self.stored(Self::expr)?))
                    }
                    Some(Kw::Not) => {
                        self.bump();
                        self.expect_kw(Kw::Null)?;
                        Ok(AlterTableAction::SetNotNull(name))
                    }
                    Some(Kw::Statistics) => {
                        self.bump();
                        self.signed_integer()?;
                        Ok(AlterTableAction::SetStatistics(name))
                    }
                    Some(Kw::Storage | Kw::Compression) => {
                        self.bump();
                        self.label()?;
                        Ok(AlterTableAction::SetStorage(name))
                    }
                    _ if self.peek() == Tok::LParen => {
                        self.statement_options()?;
                        Ok(AlterTableAction::SetStatistics(name))
                    }
                    _ => {
                        self.at -= 1;
                        self.set_identity(name)
                    }
                }
            }
            Some(Kw::Restart) => self.set_identity(name),
            Some(Kw::Reset) => {
                self.bump();
                self.statement_options()?;
                Ok(AlterTableAction::SetStatistics(name))
            }
            Some(Kw::Drop) => {
                self.bump();
                match self.kw() {
                    Some(Kw::Default) => {
                        self.bump();
                        Ok(AlterTableAction::DropDefault(name))
                    }
                    Some(Kw::Not) => {
                        self.bump();
                        self.expect_kw(Kw::Null)?;
                        Ok(AlterTableAction::DropNotNull(name))
                    }
                    Some(Kw::Identity) => {
                        self.bump();
                        Ok(AlterTableAction::DropIdentity {
                            name,
                            if_exists: self.if_exists(),
                        })
                    }
                    Some(Kw::Expression) => {
                        self.bump();
                        Ok(AlterTableAction::DropExpression {
                            name,
                            if_exists: self.if_exists(),
                        })
                    }
                    _ => Err(self.unexpected()),
                }
            }
            Some(Kw::Add) => {
                self.bump();
                self.expect_kw(Kw::Generated)?;
                let always = self.generated_when()?;
                self.expect_kw(Kw::As)?;
                self.expect_kw(Kw::Identity)?;
                Ok(AlterTableAction::AddIdentity {
                    name,
                    always,
                    options: self.sequence_options_in_parens()?,
                })
            }
            _ => Err(self.unexpected()),
        }
    }

    fn alter_type(&mut self, name: Ident) -> Result<AlterTableAction> {
        self.expect_kw(Kw::Type)?;
        let ty = self.type_name()?;
        let collation = if self.accept_kw(Kw::Collate) {
            Some(self.object_name()?)
        } else {
            None
        };
        let using = if self.accept_kw(Kw::Using) {
            Some(self.stored(Self::expr)?)
        } else {
            None
        };
        Ok(AlterTableAction::SetType {
            name,
            ty,
            collation,
            using,
        })
    }

    /// `SET GENERATED ..`, `SET option`, `RESTART`, several in a row.
    fn set_identity(&mut self, name: Ident) -> Result<AlterTableAction> {
        let (mut always, mut options) = (None, Vec::new());
        loop {
            if self.at_kw(Kw::Restart) {
                options.extend(self.sequence_option()?);
            } else if self.accept_kws(&[Kw::Set, Kw::Generated]) {
                always = Some(self.generated_when()?);
            } else if self.at_kw(Kw::Set) {
                self.bump();
                match self.sequence_option()? {
                    Some(option) => options.push(option),
                    None => return Err(self.unexpected()),
                }
            } else {
                return Ok(AlterTableAction::SetIdentity { name, always, options });
            }
        }
    }
}
