//! Function calls, and the expressions that start with a keyword of their own.

use super::*;

impl<'a> Parser<'a> {
    /// A call of a `pg_catalog` function that SQL spells with special syntax.
    pub(super) fn system_call(&self, name: &str, args: Vec<Expr>, pos: u32) -> Expr {
        let call = FunctionCall {
            name: ObjectName::system(name, pos),
            args: args.into_iter().map(|value| FunctionArg { name: None, value }).collect(),
            star: false,
            variadic: false,
            distinct: false,
            order_by: Vec::new(),
            within_group: Vec::new(),
            filter: None,
            over: None,
            sql_syntax: true,
        };
        Expr::new(ExprKind::Call(Box::new(call)), pos)
    }

    /// `func_application` and what may follow it; the parenthesis is at the cursor.
    pub(super) fn call(&mut self, name: ObjectName) -> Result<Expr> {
        let pos = name.pos();
        let mut call = FunctionCall {
            name,
            args: Vec::new(),
            star: false,
            variadic: false,
            distinct: false,
            order_by: Vec::new(),
            within_group: Vec::new(),
            filter: None,
            over: None,
            sql_syntax: false,
        };
        self.expect(Tok::LParen)?;
        if self.at_op("*") && self.peek_at(1) == Tok::RParen {
            self.bump();
            call.star = true;
        } else if self.peek() != Tok::RParen {
            if self.accept_kw(Kw::Distinct) {
                call.distinct = true;
            } else {
                self.accept_kw(Kw::All);
            }
            loop {
                if self.accept_kw(Kw::Variadic) {
                    call.variadic = true;
                    call.args.push(self.function_arg()?);
                    break;
                }
                call.args.push(self.function_arg()?);
                if !self.accept(Tok::Comma) {
                    break;
                }
            }
            if self.at_kw(Kw::Order) {
                call.order_by = self.order_by()?;
            }
        }
        self.expect(Tok::RParen)?;
        self.call_tail(&mut call)?;
        Ok(Expr::new(ExprKind::Call(Box::new(call)), pos))
    }

    fn call_tail(&mut self, call: &mut FunctionCall) -> Result<()> {
        if self.at_kw(Kw::Within) && self.kw_at(1, Kw::Group) && self.peek_at(2) == Tok::LParen {
            let pos = self.pos();
            self.at += 2;
            if !call.order_by.is_empty() {
                return Err(self.syntax("cannot use multiple ORDER BY clauses with WITHIN GROUP", pos));
            }
            if call.distinct {
                return Err(self.syntax("cannot use DISTINCT with WITHIN GROUP", pos));
            }
            if call.variadic {
                return Err(self.syntax("cannot use VARIADIC with WITHIN GROUP", pos));
            }
            call.within_group = self.parenthesized(|p| p.order_by())?;
        }
        if self.at_kw(Kw::Filter) && self.peek_at(1) == Tok::LParen {
            self.bump();
            call.filter = Some(self.parenthesized(|p| {
                p.expect_kw(Kw::Where)?;
                p.expr()
            })?);
        }
        if self.accept_kw(Kw::Over) {
            call.over = Some(if self.peek() == Tok::LParen {
                Over::Spec(self.window_spec()?)
            } else {
                Over::Named(self.column_id()?)
            });
        }
        Ok(())
    }

    fn function_arg(&mut self) -> Result<FunctionArg> {
        let named = self.names(0, |k| matches!(k.category(), Category::Unreserved | Category::FunctionName))
            && matches!(self.peek_at(1), Tok::ColonEquals | Tok::EqualsGreater);
        let name = if named {
            let name = self.function_id()?;
            self.bump();
            Some(name)
        } else {
            None
        };
        Ok(FunctionArg { name, value: self.expr()? })
    }

    /// An expression that starts with a keyword.
    pub(super) fn keyword_atom(&mut self, kw: Kw) -> Result<Expr> {
        let pos = self.pos();
        let literal = |p: &mut Self, l| {
            p.bump();
            Ok(Expr::new(ExprKind::Literal(l), pos))
        };
        let opens = self.peek_at(1) == Tok::LParen;
        match kw {
            Kw::Null => literal(self, Literal::Null),
            Kw::True => literal(self, Literal::Bool(true)),
            Kw::False => literal(self, Literal::Bool(false)),
            Kw::Default => {
                self.bump();
                Ok(Expr::new(ExprKind::Default, pos))
            }
            Kw::Case => self.case(),
            Kw::Cast if opens => {
                self.bump();
                let (arg, ty) = self.parenthesized(|p| {
                    let arg = p.expr()?;
                    p.expect_kw(Kw::As)?;
                    Ok((arg, p.type_name()?))
                })?;
                Ok(Expr::new(
                    ExprKind::Cast {
                        arg: Box::new(arg),
                        ty: Box::new(ty),
                        syntax: CastSyntax::Cast,
                    },
                    pos,
                ))
            }
            Kw::Coalesce if opens => {
                self.bump();
                Ok(Expr::new(ExprKind::Coalesce(self.paren_list(|p| p.expr())?), pos))
            }
            Kw::Greatest | Kw::Least if opens => {
                self.bump();
                let args = self.paren_list(|p| p.expr())?;
                Ok(Expr::new(
                    ExprKind::MinMax {
                        args,
                        greatest: kw == Kw::Greatest,
                    },
                    pos,
                ))
            }
            Kw::Nullif if opens => {
                self.bump();
                let args = self.parenthesized(|p| {
                    let a = p.expr()?;
                    p.expect(Tok::Comma)?;
                    Ok((a, p.expr()?))
                })?;
                Ok(Expr::new(ExprKind::NullIf(Box::new(args)), pos))
            }
            Kw::Exists if opens => {
                self.bump();
                if !self.opens_query() {
                    self.bump();
                    return Err(self.unexpected());
                }
                Ok(Expr::new(ExprKind::Exists(Box::new(self.query_in_parens()?)), pos))
            }
            Kw::Array => {
                self.bump();
                if self.peek() == Tok::LParen {
                    let query = self.query_in_parens()?;
                    return Ok(Expr::new(ExprKind::ArrayQuery(Box::new(query)), pos));
                }
                self.array_literal(pos)
            }
            Kw::Row if opens => {
                self.at += 2;
                let items = if self.peek() == Tok::RParen {
                    Vec::new()
                } else {
                    self.comma_list(|p| p.expr())?
                };
                self.expect(Tok::RParen)?;
                Ok(Expr::new(ExprKind::Row(items), pos))
            }
            Kw::Grouping if opens => {
                self.bump();
                Ok(Expr::new(ExprKind::Grouping(self.paren_list(|p| p.expr())?), pos))
            }
            Kw::Extract | Kw::Position | Kw::Substring | Kw::Overlay | Kw::Trim | Kw::Normalize if opens => self.special_call(kw),
            Kw::Treat
            | Kw::Xmlattributes
            | Kw::Xmlconcat
            | Kw::Xmlelement
            | Kw::Xmlexists
            | Kw::Xmlforest
            | Kw::Xmlparse
            | Kw::Xmlpi
            | Kw::Xmlroot
            | Kw::Xmlserialize
                if opens =>
            {
                Err(SqlError::unsupported(kw.word().to_uppercase()).at(Some(pos)))
            }
            Kw::Collation if self.kw_at(1, Kw::For) => {
                self.at += 2;
                let arg = self.parenthesized(|p| p.expr())?;
                Ok(self.system_call("pg_collation_for", vec![arg], pos))
            }
            Kw::CurrentDate
            | Kw::CurrentTime
            | Kw::CurrentTimestamp
            | Kw::Localtime
            | Kw::Localtimestamp
            | Kw::CurrentRole
            | Kw::CurrentUser
            | Kw::User
            | Kw::SessionUser
            | Kw::CurrentCatalog => self.sql_value(kw),
            Kw::CurrentSchema if !opens && self.peek_at(1) != Tok::Dot => self.sql_value(kw),
            _ if Self::is_builtin_type(kw) && self.starts_typed_literal() => {
                let ty = self.const_type()?;
                let mut literal = self.typed_literal(ty)?;
                self.interval_fields_after_literal(&mut literal)?;
                Ok(literal)
            }
            _ => self.name_atom(),
        }
    }

    fn sql_value(&mut self, kw: Kw) -> Result<Expr> {
        let pos = self.bump().pos;
        let timed = matches!(kw, Kw::CurrentTime | Kw::CurrentTimestamp | Kw::Localtime | Kw::Localtimestamp);
        let precision = if timed && self.peek() == Tok::LParen {
            let n = self.parenthesized(|p| p.signed_integer())?;
            Some(i32::try_from(n).unwrap_or(i32::MAX))
        } else {
            None
        };
        let value = match kw {
            Kw::CurrentDate => SqlValue::CurrentDate,
            Kw::CurrentTime => SqlValue::CurrentTime(precision),
            Kw::CurrentTimestamp => SqlValue::CurrentTimestamp(precision),
            Kw::Localtime => SqlValue::LocalTime(precision),
            Kw::Localtimestamp => SqlValue::LocalTimestamp(precision),
            Kw::CurrentRole => SqlValue::CurrentRole,
            Kw::CurrentUser => SqlValue::CurrentUser,
            Kw::User => SqlValue::User,
            Kw::SessionUser => SqlValue::SessionUser,
            Kw::CurrentCatalog => SqlValue::CurrentCatalog,
            _ => SqlValue::CurrentSchema,
        };
        Ok(Expr::new(ExprKind::SqlValue(value), pos))
    }

    fn case(&mut self) -> Result<Expr> {
        let pos = self.bump().pos;
        let operand = if self.at_kw(Kw::When) { None } else { Some(Box::new(self.expr()?)) };
        let mut branches = Vec::new();
        while self.accept_kw(Kw::When) {
            let condition = self.expr()?;
            self.expect_kw(Kw::Then)?;
            branches.push((condition, self.expr()?));
        }
        if branches.is_empty() {
            return Err(self.unexpected());
        }
        let otherwise = if self.accept_kw(Kw::Else) {
            Some(Box::new(self.expr()?))
        } else {
            None
        };
        self.expect_kw(Kw::End)?;
        Ok(Expr::new(
            ExprKind::Case {
                operand,
                branches,
                otherwise,
            },
            pos,
        ))
    }

    /// `[a, b, [c]]` after ARRAY.
    fn array_literal(&mut self, pos: u32) -> Result<Expr> {
        self.nested(|p| {
            p.expect(Tok::LBracket)?;
            let items = match p.peek() {
                Tok::RBracket => Vec::new(),
                Tok::LBracket => p.comma_list(|p| {
                    let pos = p.pos();
                    p.array_literal(pos)
                })?,
                _ => p.comma_list(|p| p.expr())?,
            };
            p.expect(Tok::RBracket)?;
            Ok(Expr::new(ExprKind::Array(items), pos))
        })
    }

    /// EXTRACT, POSITION, SUBSTRING, OVERLAY, TRIM, NORMALIZE.
    fn special_call(&mut self, kw: Kw) -> Result<Expr> {
        let pos = self.bump().pos;
        self.expect(Tok::LParen)?;
        let (name, args) = match kw {
            Kw::Extract => {
                let field_pos = self.pos();
                let field = if self.at_string() { self.string()? } else { self.label()?.name };
                self.expect_kw(Kw::From)?;
                let field = Expr::new(ExprKind::Literal(Literal::String(field)), field_pos);
                ("extract", vec![field, self.expr()?])
            }
            Kw::Position => {
                let what = self.restricted_expr()?;
                self.expect_kw(Kw::In)?;
                let within = self.restricted_expr()?;
                ("position", vec![within, what])
            }
            Kw::Overlay => {
                let mut args = vec![self.expr()?];
                if self.accept_kw(Kw::Placing) {
                    args.push(self.expr()?);
                    self.expect_kw(Kw::From)?;
                    args.push(self.expr()?);
                    if self.accept_kw(Kw::For) {
                        args.push(self.expr()?);
                    }
                } else {
                    while self.accept(Tok::Comma) {
                        args.push(self.expr()?);
                    }
                }
                ("overlay", args)
            }
            Kw::Substring => ("substring", self.substring_args()?),
            Kw::Normalize => {
                let mut args = vec![self.expr()?];
                if self.accept(Tok::Comma) {
                    let form_pos = self.pos();
                    let form = self.label()?.name.to_uppercase();
                    args.push(Expr::new(ExprKind::Literal(Literal::String(form)), form_pos));
                }
                ("normalize", args)
            }
            _ => {
                let name = match self.kw() {
                    Some(Kw::Leading) => "ltrim",
                    Some(Kw::Trailing) => "rtrim",
                    _ => "btrim",
                };
                if matches!(self.kw(), Some(Kw::Leading | Kw::Trailing | Kw::Both)) {
                    self.bump();
                }
                // trim(chars FROM text), trim(FROM text), trim(text, chars)
                if self.accept_kw(Kw::From) {
                    (name, self.comma_list(|p| p.expr())?)
                } else {
                    let first = self.expr()?;
                    if self.accept_kw(Kw::From) {
                        let mut args = self.comma_list(|p| p.expr())?;
                        args.push(first);
                        (name, args)
                    } else {
                        let mut args = vec![first];
                        while self.accept(Tok::Comma) {
                            args.push(self.expr()?);
                        }
                        (name, args)
                    }
                }
            }
        };
        self.expect(Tok::RParen)?;
        let mut expr = self.system_call(name, args, pos);
        if let ExprKind::Call(call) = &mut expr.kind {
            self.call_tail(call)?;
        }
        Ok(expr)
    }

    fn substring_args(&mut self) -> Result<Vec<Expr>> {
        if self.peek() == Tok::RParen {
            return Ok(Vec::new());
        }
        let mut args = vec![self.expr()?];
        if self.accept_kw(Kw::Similar) {
            args.push(self.expr()?);
            self.expect_kw(Kw::Escape)?;
            args.push(self.expr()?);
        } else if self.accept_kw(Kw::From) {
            args.push(self.expr()?);
            if self.accept_kw(Kw::For) {
                args.push(self.expr()?);
            }
        } else if self.accept_kw(Kw::For) {
            // substring(s FOR n) starts at 1; PostgreSQL casts the length to int4.
            let length = self.expr()?;
            let pos = length.pos;
            let one = if self.accept_kw(Kw::From) {
                self.expr()?
            } else {
                Expr::new(ExprKind::Literal(Literal::Integer(1)), pos)
            };
            args.push(one);
            args.push(length);
        } else {
            while self.accept(Tok::Comma) {
                args.push(self.expr()?);
            }
        }
        Ok(args)
    }
}
