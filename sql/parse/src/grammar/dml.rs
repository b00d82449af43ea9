//! INSERT, UPDATE, DELETE, MERGE.

use super::*;

impl<'a> Parser<'a> {
    /// INSERT at the cursor, after its WITH.
    pub(super) fn insert(&mut self, with: Option<With>) -> Result<Insert> {
        self.expect_kw(Kw::Insert)?;
        self.expect_kw(Kw::Into)?;
        let table = self.relation_name()?;
        let alias = if self.accept_kw(Kw::As) { Some(self.column_id()?) } else { None };
        let mut insert = Insert {
            with,
            table,
            alias,
            columns: Vec::new(),
            overriding: None,
            source: None,
            on_conflict: None,
            returning: Vec::new(),
        };
        if self.accept_kws(&[Kw::Default, Kw::Values]) {
            return self.insert_tail(insert);
        }
        if self.peek() == Tok::LParen && !self.opens_query() {
            insert.columns = self.paren_list(|p| p.target_column())?;
        }
        insert.overriding = self.overriding()?;
        insert.source = Some(Box::new(self.query()?));
        self.insert_tail(insert)
    }

    fn overriding(&mut self) -> Result<Option<Overriding>> {
        if !self.accept_kw(Kw::Overriding) {
            return Ok(None);
        }
        let overriding = if self.accept_kw(Kw::User) {
            Overriding::UserValue
        } else {
            self.expect_kw(Kw::System)?;
            Overriding::SystemValue
        };
        self.expect_kw(Kw::Value)?;
        Ok(Some(overriding))
    }

    /// MERGE at the cursor, after its WITH.
    pub(super) fn merge(&mut self, with: Option<With>) -> Result<Merge> {
        self.expect_kw(Kw::Merge)?;
        self.expect_kw(Kw::Into)?;
        let (table, only, alias) = self.target_table()?;
        self.expect_kw(Kw::Using)?;
        let source = self.table_ref()?;
        self.expect_kw(Kw::On)?;
        let on = self.expr()?;
        let mut actions = Vec::new();
        while self.accept_kw(Kw::When) {
            actions.push(self.merge_action()?);
        }
        if actions.is_empty() {
            return Err(self.unexpected());
        }
        Ok(Merge {
            with,
            table,
            only,
            alias,
            source,
            on,
            actions,
        })
    }

    fn merge_action(&mut self) -> Result<MergeAction> {
        let matched = !self.accept_kw(Kw::Not);
        self.expect_kw(Kw::Matched)?;
        let condition = if self.accept_kw(Kw::And) { Some(self.expr()?) } else { None };
        self.expect_kw(Kw::Then)?;
        let change = match self.kw() {
            Some(Kw::Do) => {
                self.bump();
                self.expect_kw(Kw::Nothing)?;
                MergeChange::Nothing
            }
            Some(Kw::Update) if matched => {
                self.bump();
                self.expect_kw(Kw::Set)?;
                MergeChange::Update(self.assignments()?)
            }
            Some(Kw::Delete) if matched => {
                self.bump();
                MergeChange::Delete
            }
            Some(Kw::Insert) if !matched => {
                self.bump();
                self.merge_insert()?
            }
            _ => return Err(self.unexpected()),
        };
        Ok(MergeAction {
            matched,
            condition,
            change,
        })
    }

    fn merge_insert(&mut self) -> Result<MergeChange> {
        if self.accept_kws(&[Kw::Default, Kw::Values]) {
            return Ok(MergeChange::Insert {
                columns: Vec::new(),
                overriding: None,
                values: None,
            });
        }
        let columns = if self.peek() == Tok::LParen {
            self.paren_list(|p| p.target_column())?
        } else {
            Vec::new()
        };
        let overriding = self.overriding()?;
        let pos = self.pos();
        self.expect_kw(Kw::Values)?;
        let row = self.paren_list(|p| p.expr())?;
        Ok(MergeChange::Insert {
            columns,
            overriding,
            values: Some(Values { rows: vec![row], pos }),
        })
    }

    fn insert_tail(&mut self, mut insert: Insert) -> Result<Insert> {
        if self.at_kw(Kw::On) {
            insert.on_conflict = Some(self.on_conflict()?);
        }
        insert.returning = self.returning()?;
        Ok(insert)
    }

    fn on_conflict(&mut self) -> Result<OnConflict> {
        let pos = self.bump().pos;
        self.expect_kw(Kw::Conflict)?;
        let target_pos = self.pos();
        let target = if self.peek() == Tok::LParen {
            let columns = self.paren_list(|p| {
                let mut expr = p.index_expression()?;
                if p.accept_kw(Kw::Collate) {
                    let collation = p.object_name()?;
                    let pos = expr.pos;
                    expr = Expr::new(ExprKind::Collate(Box::new(expr), collation), pos);
                }
                if p.at_column_id() {
                    p.object_name()?;
                }
                Ok(expr)
            })?;
            let filter = if self.accept_kw(Kw::Where) { Some(self.expr()?) } else { None };
            ConflictTarget::Columns {
                columns,
                filter,
                pos: target_pos,
            }
        } else if self.accept_kws(&[Kw::On, Kw::Constraint]) {
            ConflictTarget::Constraint(self.column_id()?)
        } else {
            ConflictTarget::Any
        };
        self.expect_kw(Kw::Do)?;
        if self.accept_kw(Kw::Nothing) {
            return Ok(OnConflict { target, update: None, pos });
        }
        self.expect_kw(Kw::Update)?;
        self.expect_kw(Kw::Set)?;
        let assignments = self.assignments()?;
        let filter = if self.accept_kw(Kw::Where) { Some(self.expr()?) } else { None };
        Ok(OnConflict {
            target,
            update: Some(ConflictUpdate { assignments, filter }),
            pos,
        })
    }

    fn returning(&mut self) -> Result<Vec<SelectItem>> {
        if self.accept_kw(Kw::Returning) {
            self.select_list()
        } else {
            Ok(Vec::new())
        }
    }

    fn target_column(&mut self) -> Result<TargetColumn> {
        let name = self.column_id()?;
        let mut indirection = Vec::new();
        loop {
            match self.peek() {
                Tok::Dot => {
                    self.bump();
                    indirection.push(Indirection::Field(self.label()?));
                }
                Tok::LBracket => indirection.push(Indirection::Subscripts(self.subscripts()?)),
                _ => return Ok(TargetColumn { name, indirection }),
            }
        }
    }

    fn assignments(&mut self) -> Result<Vec<Assignment>> {
        self.comma_list(|p| {
            if p.peek() == Tok::LParen {
                let columns = p.paren_list(|p| p.target_column())?;
                if !p.accept_op("=") {
                    return Err(p.unexpected());
                }
                return Ok(Assignment::Many(columns, p.expr()?));
            }
            let column = p.target_column()?;
            if !p.accept_op("=") {
                return Err(p.unexpected());
            }
            Ok(Assignment::One(column, p.expr()?))
        })
    }

    /// The target of UPDATE and DELETE: `[ONLY] name [*] [[AS] alias]`.
    fn target_table(&mut self) -> Result<(ObjectName, bool, Option<Alias>)> {
        let only = self.accept_kw(Kw::Only);
        let name = if only && self.peek() == Tok::LParen {
            self.parenthesized(|p| p.relation_name())?
        } else {
            self.relation_name()?
        };
        self.accept_op("*");
        let named = self.accept_kw(Kw::As) || (self.at_column_id() && !self.at_kw(Kw::Set));
        let alias = if named {
            Some(Alias {
                name: self.column_id()?,
                columns: Vec::new(),
            })
        } else {
            None
        };
        Ok((name, only, alias))
    }

    fn where_or_current(&mut self) -> Result<(Option<Expr>, Option<Ident>)> {
        if !self.accept_kw(Kw::Where) {
            return Ok((None, None));
        }
        if self.accept_kws(&[Kw::Current, Kw::Of]) {
            return Ok((None, Some(self.column_id()?)));
        }
        Ok((Some(self.expr()?), None))
    }

    /// UPDATE at the cursor, after its WITH.
    pub(super) fn update(&mut self, with: Option<With>) -> Result<Update> {
        self.expect_kw(Kw::Update)?;
        let (table, only, alias) = self.target_table()?;
        self.expect_kw(Kw::Set)?;
        let assignments = self.assignments()?;
        let from = if self.accept_kw(Kw::From) { self.table_refs()? } else { Vec::new() };
        let (filter, current_of) = self.where_or_current()?;
        let returning = self.returning()?;
        Ok(Update {
            with,
            table,
            only,
            alias,
            assignments,
            from,
            filter,
            current_of,
            returning,
        })
    }

    /// DELETE at the cursor, after its WITH.
    pub(super) fn delete(&mut self, with: Option<With>) -> Result<Delete> {
        self.expect_kw(Kw::Delete)?;
        self.expect_kw(Kw::From)?;
        let (table, only, alias) = self.target_table()?;
        let using = if self.accept_kw(Kw::Using) {
            self.table_refs()?
        } else {
            Vec::new()
        };
        let (filter, current_of) = self.where_or_current()?;
        let returning = self.returning()?;
        Ok(Delete {
            with,
            table,
            only,
            alias,
            using,
            filter,
            current_of,
            returning,
        })
    }
}
