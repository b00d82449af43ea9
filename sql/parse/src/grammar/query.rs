//! SELECT, VALUES, set operations, FROM, windows and row locking.

use super::*;

impl<'a> Parser<'a> {
    /// `select_with_parens`
    pub(super) fn query_in_parens(&mut self) -> Result<Query> {
        self.nested(|p| p.parenthesized(|p| p.query()))
    }

    /// A query with optional WITH, ORDER BY, LIMIT and locking.
    pub(super) fn query(&mut self) -> Result<Query> {
        self.queries += 1;
        if self.queries > MAX_QUERIES {
            return Err(crate::depth::too_deep());
        }
        let query = self.nested(|p| {
            let with = p.with()?;
            p.query_after_with(with)
        })?;
        self.queries -= 1;
        Ok(query)
    }

    pub(super) fn query_after_with(&mut self, with: Option<With>) -> Result<Query> {
        let pos = self.pos();
        let body = self.set_expr(false)?;
        let mut query = Query {
            with,
            body,
            order_by: Vec::new(),
            limit: None,
            offset: None,
            locking: Vec::new(),
            pos,
        };
        if self.at_kw(Kw::Order) {
            query.order_by = self.order_by()?;
        }
        loop {
            let pos = self.pos();
            match self.kw() {
                Some(Kw::Limit) if query.limit.is_none() => {
                    self.bump();
                    let count = if self.accept_kw(Kw::All) { None } else { Some(self.expr()?) };
                    if self.peek() == Tok::Comma {
                        return Err(self
                            .syntax("LIMIT #,# syntax is not supported", pos)
                            .hint("Use separate LIMIT and OFFSET clauses."));
                    }
                    query.limit = Some(Limit { count, with_ties: false });
                }
                Some(Kw::Offset) if query.offset.is_none() => {
                    self.bump();
                    query.offset = Some(self.expr()?);
                    if matches!(self.kw(), Some(Kw::Row | Kw::Rows)) {
                        self.bump();
                    }
                }
                Some(Kw::Fetch) if query.limit.is_none() => {
                    self.bump();
                    query.limit = Some(self.fetch_first(!query.order_by.is_empty(), pos)?);
                }
                Some(Kw::For) => match self.locking()? {
                    Some(lock) => query.locking.push(lock),
                    None => break,
                },
                _ => break,
            }
        }
        // A query that only wraps another in parentheses is that query.
        let plain = query.with.is_none() && query.order_by.is_empty() && query.limit.is_none() && query.offset.is_none();
        if plain
            && query.locking.is_empty()
            && let SetExpr::Query(inner) = query.body
        {
            return Ok(*inner);
        }
        Ok(query)
    }

    fn fetch_first(&mut self, ordered: bool, pos: u32) -> Result<Limit> {
        if !self.accept_kw(Kw::First) {
            self.expect_kw(Kw::Next)?;
        }
        let count = if matches!(self.kw(), Some(Kw::Row | Kw::Rows)) {
            Expr::new(ExprKind::Literal(Literal::Integer(1)), self.pos())
        } else if matches!(self.peek(), Tok::Op) {
            let negative = self.at_op("-");
            let pos = self.bump().pos;
            let value = self.atom_for_fetch()?;
            if negative {
                let op = Operator {
                    schema: None,
                    name: "-".into(),
                };
                Expr::new(ExprKind::Unary(op, Box::new(value)), pos)
            } else {
                value
            }
        } else {
            self.atom_for_fetch()?
        };
        if !self.accept_kw(Kw::Row) {
            self.expect_kw(Kw::Rows)?;
        }
        if self.accept_kw(Kw::Only) {
            return Ok(Limit {
                count: Some(count),
                with_ties: false,
            });
        }
        self.expect_kw(Kw::With)?;
        self.expect_kw(Kw::Ties)?;
        if !ordered {
            return Err(self.syntax("WITH TIES cannot be specified without ORDER BY clause", pos).at(None));
        }
        Ok(Limit {
            count: Some(count),
            with_ties: true,
        })
    }

    /// `c_expr` of FETCH FIRST, whose ROW must not be read as a row constructor.
    fn atom_for_fetch(&mut self) -> Result<Expr> {
        match self.peek() {
            Tok::LParen => self.parenthesized(|p| p.expr()),
            Tok::Number | Tok::Param | Tok::String | Tok::Word(Some(Kw::Null)) => self.restricted_expr(),
            _ => self.name_atom(),
        }
    }

    fn locking(&mut self) -> Result<Option<Locking>> {
        let pos = self.pos();
        let strength = if self.accept_kws(&[Kw::For, Kw::Update]) {
            LockStrength::Update
        } else if self.accept_kws(&[Kw::For, Kw::No, Kw::Key, Kw::Update]) {
            LockStrength::NoKeyUpdate
        } else if self.accept_kws(&[Kw::For, Kw::Share]) {
            LockStrength::Share
        } else if self.accept_kws(&[Kw::For, Kw::Key, Kw::Share]) {
            LockStrength::KeyShare
        } else if self.accept_kws(&[Kw::For, Kw::Read, Kw::Only]) {
            return self.locking_none();
        } else {
            self.bump();
            return Err(self.unexpected());
        };
        let of = if self.accept_kw(Kw::Of) {
            self.comma_list(|p| p.relation_name())?
        } else {
            Vec::new()
        };
        let wait = if self.accept_kw(Kw::Nowait) {
            LockWait::NoWait
        } else if self.at_kw(Kw::Skip) {
            self.bump();
            self.expect_kw(Kw::Locked)?;
            LockWait::SkipLocked
        } else {
            LockWait::Block
        };
        Ok(Some(Locking { strength, of, wait, pos }))
    }

    /// FOR READ ONLY asks for nothing.
    fn locking_none(&mut self) -> Result<Option<Locking>> {
        if self.at_kw(Kw::For) { self.locking() } else { Ok(None) }
    }

    pub(super) fn with(&mut self) -> Result<Option<With>> {
        if !self.at_kw(Kw::With) {
            return Ok(None);
        }
        let pos = self.bump().pos;
        let recursive = self.accept_kw(Kw::Recursive);
        let ctes = self.comma_list(|p| {
            let name = p.column_id()?;
            let columns = if p.peek() == Tok::LParen {
                p.paren_list(|p| p.column_id())?
            } else {
                Vec::new()
            };
            p.expect_kw(Kw::As)?;
            let materialized = if p.accept_kw(Kw::Materialized) {
                Some(true)
            } else if p.accept_kws(&[Kw::Not, Kw::Materialized]) {
                Some(false)
            } else {
                None
            };
            let body = p.nested(|p| p.parenthesized(|p| p.cte_body()))?;
            let search = p.search_clause()?;
            let cycle = p.cycle_clause()?;
            Ok(Cte {
                name,
                columns,
                materialized,
                body,
                search,
                cycle,
            })
        })?;
        Ok(Some(With { recursive, ctes, pos }))
    }

    fn search_clause(&mut self) -> Result<Option<Search>> {
        let pos = self.pos();
        if !self.accept_kw(Kw::Search) {
            return Ok(None);
        }
        let breadth = !self.accept_kw(Kw::Depth);
        if breadth {
            self.expect_kw(Kw::Breadth)?;
        }
        self.expect_kw(Kw::First)?;
        self.expect_kw(Kw::By)?;
        let by = self.comma_list(|p| p.column_id())?;
        self.expect_kw(Kw::Set)?;
        let sequence = self.column_id()?;
        Ok(Some(Search {
            breadth,
            by,
            sequence,
            pos,
        }))
    }

    fn cycle_clause(&mut self) -> Result<Option<Cycle>> {
        let pos = self.pos();
        if !self.accept_kw(Kw::Cycle) {
            return Ok(None);
        }
        let columns = self.comma_list(|p| p.column_id())?;
        self.expect_kw(Kw::Set)?;
        let mark = self.column_id()?;
        let values = if self.accept_kw(Kw::To) {
            let value = self.expr()?;
            self.expect_kw(Kw::Default)?;
            Some(Box::new((value, self.expr()?)))
        } else {
            None
        };
        self.expect_kw(Kw::Using)?;
        let path = self.column_id()?;
        Ok(Some(Cycle {
            columns,
            mark,
            values,
            path,
            pos,
        }))
    }

    fn cte_body(&mut self) -> Result<CteBody> {
        let with = self.with()?;
        Ok(match self.kw() {
            Some(Kw::Insert) => CteBody::Insert(Box::new(self.insert(with)?)),
            Some(Kw::Update) => CteBody::Update(Box::new(self.update(with)?)),
            Some(Kw::Delete) => CteBody::Delete(Box::new(self.delete(with)?)),
            _ => CteBody::Query(Box::new(self.query_after_with(with)?)),
        })
    }

    /// UNION and EXCEPT of one level, INTERSECT one level stronger (`tight`).
    fn set_expr(&mut self, tight: bool) -> Result<SetExpr> {
        let first = if tight { self.simple_select()? } else { self.set_expr(true)? };
        let mut rest = Vec::new();
        loop {
            let op = match self.kw() {
                Some(Kw::Union) if !tight => SetOperator::Union,
                Some(Kw::Except) if !tight => SetOperator::Except,
                Some(Kw::Intersect) if tight => SetOperator::Intersect,
                _ => break,
            };
            let pos = self.bump().pos;
            let all = self.accept_kw(Kw::All);
            if !all {
                self.accept_kw(Kw::Distinct);
            }
            let right = if tight { self.simple_select()? } else { self.set_expr(true)? };
            rest.push(SetTail { op, all, right, pos });
        }
        Ok(if rest.is_empty() {
            first
        } else {
            SetExpr::SetOp {
                first: Box::new(first),
                rest,
            }
        })
    }

    fn simple_select(&mut self) -> Result<SetExpr> {
        match self.peek() {
            Tok::Word(Some(Kw::Select)) => Ok(SetExpr::Select(Box::new(self.select()?))),
            Tok::Word(Some(Kw::Values)) => Ok(SetExpr::Values(self.values()?)),
            Tok::Word(Some(Kw::Table)) => {
                let pos = self.bump().pos;
                let only = self.accept_kw(Kw::Only);
                let name = self.relation_name()?;
                self.accept_op("*");
                let item = SelectItem {
                    expr: Expr::new(ExprKind::Star(Vec::new()), pos),
                    alias: None,
                };
                let table = TableRef::Table {
                    name,
                    only,
                    alias: None,
                    sample: None,
                };
                Ok(SetExpr::Select(Box::new(Select {
                    items: vec![item],
                    from: vec![table],
                    ..empty_select(pos)
                })))
            }
            Tok::LParen => {
                let query = self.query_in_parens()?;
                let plain = query.with.is_none() && query.order_by.is_empty() && query.limit.is_none() && query.offset.is_none();
                if plain && query.locking.is_empty() && !matches!(query.body, SetExpr::SetOp { .. }) {
                    return Ok(query.body);
                }
                Ok(SetExpr::Query(Box::new(query)))
            }
            _ => Err(self.unexpected()),
        }
    }

    fn values(&mut self) -> Result<Values> {
        let pos = self.expect_kw(Kw::Values)?.pos;
        let rows = self.comma_list(|p| p.paren_list(|p| p.expr()))?;
        Ok(Values { rows, pos })
    }

    fn select(&mut self) -> Result<Select> {
        let pos = self.expect_kw(Kw::Select)?.pos;
        let mut select = empty_select(pos);
        if self.accept_kw(Kw::Distinct) {
            select.distinct = Some(if self.accept_kw(Kw::On) {
                Distinct::On(self.paren_list(|p| p.expr())?)
            } else {
                Distinct::All
            });
        } else {
            self.accept_kw(Kw::All);
        }
        let empty = match self.peek() {
            Tok::Eof | Tok::Semicolon | Tok::RParen => true,
            Tok::Word(Some(kw)) => matches!(
                kw,
                Kw::From
                    | Kw::Where
                    | Kw::Group
                    | Kw::Having
                    | Kw::Window
                    | Kw::Into
                    | Kw::Order
                    | Kw::Limit
                    | Kw::Offset
                    | Kw::Fetch
                    | Kw::For
                    | Kw::Union
                    | Kw::Intersect
                    | Kw::Except
            ),
            _ => false,
        };
        if !empty {
            select.items = self.select_list()?;
        } else if select.distinct.is_some() {
            return Err(self.unexpected());
        }
        if self.accept_kw(Kw::Into) {
            let mut persistence = Persistence::Permanent;
            while let Some(kw @ (Kw::Temporary | Kw::Temp | Kw::Unlogged | Kw::Local | Kw::Global | Kw::Table)) = self.kw() {
                match kw {
                    Kw::Temporary | Kw::Temp => persistence = Persistence::Temporary,
                    Kw::Unlogged => persistence = Persistence::Unlogged,
                    _ => {}
                }
                self.bump();
            }
            select.into = Some((self.relation_name()?, persistence));
        }
        if self.accept_kw(Kw::From) {
            select.from = self.table_refs()?;
            self.as_of()?;
        }
        if self.accept_kw(Kw::Where) {
            select.filter = Some(self.expr()?);
        }
        if self.accept_kw(Kw::Group) {
            self.expect_kw(Kw::By)?;
            select.group_distinct = self.accept_kw(Kw::Distinct);
            if !select.group_distinct {
                self.accept_kw(Kw::All);
            }
            select.group_by = self.comma_list(|p| p.group_item())?;
        }
        if self.accept_kw(Kw::Having) {
            select.having = Some(self.expr()?);
        }
        if self.accept_kw(Kw::Window) {
            select.windows = self.comma_list(|p| {
                let name = p.column_id()?;
                p.expect_kw(Kw::As)?;
                Ok((name, p.window_spec()?))
            })?;
        }
        Ok(select)
    }

    /// `target_list`
    pub(super) fn select_list(&mut self) -> Result<Vec<SelectItem>> {
        self.comma_list(|p| {
            let pos = p.pos();
            if p.at_op("*") {
                p.bump();
                return Ok(SelectItem {
                    expr: Expr::new(ExprKind::Star(Vec::new()), pos),
                    alias: None,
                });
            }
            let expr = p.expr()?;
            let alias = if p.accept_kw(Kw::As) {
                Some(p.label()?)
            } else if p.names(0, Kw::bare_label) {
                Some(p.take_ident()?)
            } else {
                None
            };
            Ok(SelectItem { expr, alias })
        })
    }

    fn group_item(&mut self) -> Result<GroupItem> {
        self.nested(|p| match p.kw() {
            Some(Kw::Rollup) if p.peek_at(1) == Tok::LParen => {
                p.bump();
                Ok(GroupItem::Rollup(p.paren_list(|p| p.expr())?))
            }
            Some(Kw::Cube) if p.peek_at(1) == Tok::LParen => {
                p.bump();
                Ok(GroupItem::Cube(p.paren_list(|p| p.expr())?))
            }
            Some(Kw::Grouping) if p.kw_at(1, Kw::Sets) => {
                p.at += 2;
                Ok(GroupItem::Sets(p.paren_list(|p| p.group_item())?))
            }
            _ if p.peek() == Tok::LParen && p.peek_at(1) == Tok::RParen => {
                p.at += 2;
                Ok(GroupItem::Empty)
            }
            _ => Ok(GroupItem::Expr(p.expr()?)),
        })
    }

    /// ORDER BY with its keys.
    pub(super) fn order_by(&mut self) -> Result<Vec<OrderBy>> {
        self.expect_kw(Kw::Order)?;
        self.expect_kw(Kw::By)?;
        self.comma_list(|p| {
            let expr = p.expr()?;
            let mut key = OrderBy {
                expr,
                descending: false,
                nulls_first: None,
                using: None,
            };
            if p.accept_kw(Kw::Using) {
                if p.peek() != Tok::Op {
                    return Err(p.unexpected());
                }
                let token = p.bump();
                key.using = Some(Operator {
                    schema: None,
                    name: p.text_of(token).into(),
                });
            } else if p.accept_kw(Kw::Desc) {
                key.descending = true;
            } else {
                p.accept_kw(Kw::Asc);
            }
            if p.accept_kws(&[Kw::Nulls, Kw::First]) {
                key.nulls_first = Some(true);
            } else if p.accept_kws(&[Kw::Nulls, Kw::Last]) {
                key.nulls_first = Some(false);
            }
            Ok(key)
        })
    }

    /// `( [base] [PARTITION BY ..] [ORDER BY ..] [frame] )`
    pub(super) fn window_spec(&mut self) -> Result<WindowSpec> {
        let pos = self.pos();
        self.parenthesized(|p| {
            let frame_word = matches!(p.kw(), Some(Kw::Partition | Kw::Range | Kw::Rows | Kw::Groups));
            let base = if p.at_column_id() && !frame_word {
                Some(p.column_id()?)
            } else {
                None
            };
            let partition_by = if p.accept_kw(Kw::Partition) {
                p.expect_kw(Kw::By)?;
                p.comma_list(|p| p.expr())?
            } else {
                Vec::new()
            };
            let order_by = if p.at_kw(Kw::Order) { p.order_by()? } else { Vec::new() };
            let frame = p.frame()?;
            Ok(WindowSpec {
                base,
                partition_by,
                order_by,
                frame,
                pos,
            })
        })
    }

    fn frame(&mut self) -> Result<Option<Frame>> {
        let pos = self.pos();
        let unit = match self.kw() {
            Some(Kw::Rows) => FrameUnit::Rows,
            Some(Kw::Range) => FrameUnit::Range,
            Some(Kw::Groups) => FrameUnit::Groups,
            _ => return Ok(None),
        };
        self.bump();
        let bad = |message: &str, pos| SqlError::new(SqlState::WINDOWING_ERROR, message).at(Some(pos));
        let (start_pos, start, end) = if self.accept_kw(Kw::Between) {
            let start_pos = self.pos();
            let start = self.frame_bound()?;
            self.expect_kw(Kw::And)?;
            let end = self.frame_bound()?;
            (start_pos, start, end)
        } else {
            (self.pos(), self.frame_bound()?, FrameBound::CurrentRow)
        };
        use FrameBound::{CurrentRow, Following, Preceding, UnboundedFollowing, UnboundedPreceding};
        match (&start, &end) {
            (UnboundedFollowing, _) => return Err(bad("frame start cannot be UNBOUNDED FOLLOWING", start_pos)),
            (_, UnboundedPreceding) => return Err(bad("frame end cannot be UNBOUNDED PRECEDING", start_pos)),
            (CurrentRow, Preceding(_)) => return Err(bad("frame starting from current row cannot have preceding rows", start_pos)),
            (Following(_), Preceding(_) | CurrentRow) => {
                return Err(bad("frame starting from following row cannot have preceding rows", start_pos));
            }
            _ => {}
        }
        let exclude = if self.accept_kw(Kw::Exclude) {
            if self.accept_kws(&[Kw::Current, Kw::Row]) {
                Some(FrameExclude::CurrentRow)
            } else if self.accept_kw(Kw::Group) {
                Some(FrameExclude::Group)
            } else if self.accept_kw(Kw::Ties) {
                Some(FrameExclude::Ties)
            } else {
                self.expect_kw(Kw::No)?;
                self.expect_kw(Kw::Others)?;
                None
            }
        } else {
            None
        };
        Ok(Some(Frame {
            unit,
            start,
            end,
            exclude,
            pos,
        }))
    }

    fn frame_bound(&mut self) -> Result<FrameBound> {
        if self.accept_kws(&[Kw::Unbounded, Kw::Preceding]) {
            return Ok(FrameBound::UnboundedPreceding);
        }
        if self.accept_kws(&[Kw::Unbounded, Kw::Following]) {
            return Ok(FrameBound::UnboundedFollowing);
        }
        if self.accept_kws(&[Kw::Current, Kw::Row]) {
            return Ok(FrameBound::CurrentRow);
        }
        let offset = Box::new(self.expr()?);
        if self.accept_kw(Kw::Preceding) {
            return Ok(FrameBound::Preceding(offset));
        }
        self.expect_kw(Kw::Following)?;
        Ok(FrameBound::Following(offset))
    }

    /// `from_list`
    pub(super) fn table_refs(&mut self) -> Result<Vec<TableRef>> {
        self.comma_list(|p| p.table_ref())
    }

    pub(super) fn table_ref(&mut self) -> Result<TableRef> {
        self.nested(|p| {
            let mut left = p.table_primary()?;
            loop {
                let pos = p.pos();
                let natural = p.accept_kw(Kw::Natural);
                let kind = if !natural && p.at_kw(Kw::Cross) {
                    p.bump();
                    JoinKind::Cross
                } else {
                    match p.kw() {
                        Some(Kw::Join) => JoinKind::Inner,
                        Some(k @ (Kw::Inner | Kw::Left | Kw::Right | Kw::Full)) => {
                            p.bump();
                            if k != Kw::Inner {
                                p.accept_kw(Kw::Outer);
                            }
                            match k {
                                Kw::Left => JoinKind::Left,
                                Kw::Right => JoinKind::Right,
                                Kw::Full => JoinKind::Full,
                                _ => JoinKind::Inner,
                            }
                        }
                        _ if natural => return Err(p.unexpected()),
                        _ => return Ok(left),
                    }
                };
                p.expect_kw(Kw::Join)?;
                p.deepen(1)?;
                // CROSS and NATURAL joins take a table; the others may take nested joins before their condition.
                let (right, condition) = if kind == JoinKind::Cross {
                    (p.table_primary()?, JoinCondition::None)
                } else if natural {
                    (p.table_primary()?, JoinCondition::Natural)
                } else {
                    let right = p.join_right()?;
                    (right, p.join_condition()?)
                };
                left = TableRef::Join(Box::new(Join {
                    kind,
                    left,
                    right,
                    condition,
                    alias: None,
                    pos,
                }));
            }
        })
    }

    /// TABLESAMPLE at the cursor.
    fn sample(&mut self) -> Result<Sample> {
        self.bump();
        let pos = self.pos();
        let method = self.object_name()?;
        let args = self.paren_list(|p| p.expr())?;
        let repeatable = if self.accept_kw(Kw::Repeatable) {
            Some(self.parenthesized(|p| p.expr())?)
        } else {
            None
        };
        Ok(Sample {
            method,
            args,
            repeatable,
            pos,
        })
    }

    /// The right side of JOIN: `a JOIN b JOIN c ON .. ON ..` nests to the right when no condition follows directly.
    fn join_right(&mut self) -> Result<TableRef> {
        let primary = self.table_primary()?;
        if matches!(self.kw(), Some(Kw::On | Kw::Using)) {
            return Ok(primary);
        }
        self.nested(|p| p.joins_until_condition(primary))
    }

    fn joins_until_condition(&mut self, mut left: TableRef) -> Result<TableRef> {
        loop {
            if matches!(self.kw(), Some(Kw::On | Kw::Using)) {
                return Ok(left);
            }
            self.deepen(1)?;
            let pos = self.pos();
            let natural = self.accept_kw(Kw::Natural);
            let kind = match self.kw() {
                Some(Kw::Cross) if !natural => JoinKind::Cross,
                Some(Kw::Join | Kw::Inner) => JoinKind::Inner,
                Some(Kw::Left) => JoinKind::Left,
                Some(Kw::Right) => JoinKind::Right,
                Some(Kw::Full) => JoinKind::Full,
                _ => return Err(self.unexpected()),
            };
            if !self.at_kw(Kw::Join) {
                self.bump();
                self.accept_kw(Kw::Outer);
            }
            self.expect_kw(Kw::Join)?;
            let (right, condition) = match (kind, natural) {
                (JoinKind::Cross, _) => (self.table_primary()?, JoinCondition::None),
                (_, true) => (self.table_primary()?, JoinCondition::Natural),
                _ => {
                    let right = self.join_right()?;
                    (right, self.join_condition()?)
                }
            };
            left = TableRef::Join(Box::new(Join {
                kind,
                left,
                right,
                condition,
                alias: None,
                pos,
            }));
        }
    }

    fn join_condition(&mut self) -> Result<JoinCondition> {
        if self.accept_kw(Kw::On) {
            return Ok(JoinCondition::On(self.expr()?));
        }
        if self.accept_kw(Kw::Using) {
            let columns = self.paren_list(|p| p.column_id())?;
            let alias = if self.accept_kw(Kw::As) { Some(self.column_id()?) } else { None };
            return Ok(JoinCondition::Using(columns, alias));
        }
        Err(self.unexpected())
    }

    fn table_primary(&mut self) -> Result<TableRef> {
        let pos = self.pos();
        if self.peek() == Tok::LParen {
            if self.opens_query() {
                let query = Box::new(self.query_in_parens()?);
                let alias = self.alias()?;
                return self.subquery(false, query, alias, pos);
            }
            return self.nested(|p| {
                p.bump();
                let mut inner = p.table_ref()?;
                if !matches!(inner, TableRef::Join(_)) {
                    // Parentheses without a join hold nothing that the grammar knows.
                    return Err(p.unexpected());
                }
                p.expect(Tok::RParen)?;
                if let (TableRef::Join(join), Some(alias)) = (&mut inner, p.alias()?) {
                    if join.alias.is_some() {
                        return Err(p.unexpected());
                    }
                    join.alias = Some(alias);
                }
                Ok(inner)
            });
        }
        if self.at_kw(Kw::Lateral) {
            self.bump();
            if self.peek() == Tok::LParen {
                let query = Box::new(self.query_in_parens()?);
                let alias = self.alias()?;
                return self.subquery(true, query, alias, pos);
            }
            return self.function_table(true, pos);
        }
        if self.at_kw(Kw::Rows) && self.kw_at(1, Kw::From) {
            return self.function_table(false, pos);
        }
        if self.accept_kw(Kw::Only) {
            let name = if self.peek() == Tok::LParen {
                self.parenthesized(|p| p.relation_name())?
            } else {
                self.relation_name()?
            };
            return self.table_tail(name, true);
        }
        if self.at_function_table() {
            return self.function_table(false, pos);
        }
        let name = self.relation_name()?;
        self.accept_op("*");
        self.table_tail(name, false)
    }

    fn table_tail(&mut self, name: ObjectName, only: bool) -> Result<TableRef> {
        let alias = self.alias()?;
        let sample = if self.at_kw(Kw::Tablesample) {
            Some(Box::new(self.sample()?))
        } else {
            None
        };
        Ok(TableRef::Table { name, only, alias, sample })
    }

    fn subquery(&mut self, lateral: bool, query: Box<Query>, alias: Option<Alias>, pos: u32) -> Result<TableRef> {
        if alias.is_none() {
            let (what, example) = match query.body {
                SetExpr::Values(_) => ("VALUES in FROM must have an alias", "For example, FROM (VALUES ...) [AS] foo."),
                _ => ("subquery in FROM must have an alias", "For example, FROM (SELECT ...) [AS] foo."),
            };
            return Err(self.syntax(what, pos).hint(example));
        }
        Ok(TableRef::Subquery {
            lateral,
            query,
            alias,
            pos,
        })
    }

    /// A function call in FROM: a name, perhaps qualified, and a parenthesis, or a keyword function.
    fn at_function_table(&self) -> bool {
        if let Tok::Word(Some(kw)) = self.peek() {
            if matches!(
                kw,
                Kw::CurrentDate
                    | Kw::CurrentTime
                    | Kw::CurrentTimestamp
                    | Kw::Localtime
                    | Kw::Localtimestamp
                    | Kw::CurrentRole
                    | Kw::CurrentUser
                    | Kw::User
                    | Kw::SessionUser
                    | Kw::CurrentCatalog
            ) {
                return true;
            }
            if matches!(
                kw,
                Kw::Cast
                    | Kw::Coalesce
                    | Kw::Greatest
                    | Kw::Least
                    | Kw::Nullif
                    | Kw::Extract
                    | Kw::Position
                    | Kw::Substring
                    | Kw::Overlay
                    | Kw::Trim
            ) {
                return self.peek_at(1) == Tok::LParen;
            }
            if kw == Kw::Collation {
                return self.kw_at(1, Kw::For);
            }
        }
        let mut ahead = 0;
        while self.names(ahead, |k| k.category() != Category::Reserved || ahead > 0) {
            match self.peek_at(ahead + 1) {
                Tok::LParen => return true,
                Tok::Dot => ahead += 2,
                _ => return false,
            }
        }
        false
    }

    fn function_table(&mut self, lateral: bool, pos: u32) -> Result<TableRef> {
        let rows_from = self.at_kw(Kw::Rows) && self.kw_at(1, Kw::From);
        let calls = if rows_from {
            self.at += 2;
            self.paren_list(|p| {
                let call = p.function_in_from()?;
                let columns = if p.accept_kw(Kw::As) { p.record_columns()? } else { Vec::new() };
                Ok((call, columns))
            })?
        } else {
            vec![(self.function_in_from()?, Vec::new())]
        };
        let ordinality = if self.at_kw(Kw::With) && self.kw_at(1, Kw::Ordinality) {
            self.at += 2;
            true
        } else {
            false
        };
        let mut columns = Vec::new();
        let mut alias = None;
        let explicit = self.accept_kw(Kw::As);
        if explicit && self.peek() == Tok::LParen {
            columns = self.record_columns()?;
        } else if explicit || self.at_column_id() {
            let name = self.column_id()?;
            let mut names = Vec::new();
            if self.peek() == Tok::LParen {
                let typed = self.names(1, |_| true) && !matches!(self.peek_at(2), Tok::Comma | Tok::RParen);
                if typed {
                    columns = self.record_columns()?;
                } else {
                    names = self.paren_list(|p| p.column_id())?;
                }
            }
            alias = Some(Alias { name, columns: names });
        }
        Ok(TableRef::Function {
            lateral,
            calls,
            rows_from,
            ordinality,
            alias,
            columns,
            pos,
        })
    }

    fn function_in_from(&mut self) -> Result<Expr> {
        match self.kw() {
            Some(kw) if kw.category() != Category::Unreserved && kw.category() != Category::FunctionName => self.keyword_atom(kw),
            _ => {
                let expr = self.name_atom()?;
                match &expr.kind {
                    ExprKind::Call(_) => Ok(expr),
                    _ => Err(self.unexpected()),
                }
            }
        }
    }

    fn record_columns(&mut self) -> Result<Vec<RecordColumn>> {
        self.paren_list(|p| {
            let name = p.column_id()?;
            let ty = p.type_name()?;
            if p.accept_kw(Kw::Collate) {
                p.object_name()?;
            }
            Ok(RecordColumn { name, ty })
        })
    }

    /// `[AS] name [(columns)]`
    pub(super) fn alias(&mut self) -> Result<Option<Alias>> {
        if self.at_as_of() || !self.accept_kw(Kw::As) && !self.at_column_id() {
            return Ok(None);
        }
        let name = self.column_id()?;
        let columns = if self.peek() == Tok::LParen {
            self.paren_list(|p| p.column_id())?
        } else {
            Vec::new()
        };
        Ok(Some(Alias { name, columns }))
    }
}

fn empty_select(pos: u32) -> Select {
    Select {
        distinct: None,
        items: Vec::new(),
        into: None,
        from: Vec::new(),
        filter: None,
        group_by: Vec::new(),
        group_distinct: false,
        having: None,
        windows: Vec::new(),
        pos,
    }
}
