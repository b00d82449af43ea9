//! Expressions: `parse_expr.c`.

use crate::binder::{Binder, at};
use crate::coerce::type_text;
use crate::ir::*;
use crate::operator::operator;
use crate::scope::{Clause, Scope};
use curia_functions::CastContext;
use curia_parse::ast::{self, CastSyntax, LikeKind, Literal, SqlValue};
use curia_types::{Datum, Numeric, PgType, Result, SqlError, SqlState, oid, type_info};

fn boolean(kind: ExprKind, pos: u32) -> Expr {
    Expr {
        kind,
        ty: PgType::BOOL,
        position: at(pos),
    }
}

impl Binder<'_> {
    /// Binds an expression; literals may still be of unknown type.
    pub fn expr(&self, e: &ast::Expr, scope: &Scope<'_>) -> Result<Expr> {
        use ast::ExprKind as A;
        let pos = e.pos;
        match &e.kind {
            A::Literal(l) => self.literal(l, pos),
            A::Param(n) => self.parameter(*n, scope, pos),
            A::Column(parts) => self.column_ref(parts, scope),
            A::Star(parts) => match parts.as_slice() {
                [table] => self.column_ref(std::slice::from_ref(table), scope),
                _ => Err(SqlError::new(SqlState::SYNTAX_ERROR, "row expansion via \"*\" is not supported here").at(at(pos))),
            },
            A::Field(base, field) => self.field(base, field, scope),
            A::FieldStar(_) => Err(SqlError::new(SqlState::SYNTAX_ERROR, "row expansion via \"*\" is not supported here").at(at(pos))),
            A::Subscript(base, subscripts) => self.subscript(base, subscripts, scope, pos),
            A::Unary(op, arg) => {
                let arg = self.expr(arg, scope)?;
                self.unary(op, arg, pos)
            }
            A::Binary(first, tails) => {
                let mut left = self.expr(first, scope)?;
                for tail in tails {
                    let right = self.expr(&tail.right, scope)?;
                    left = self.binary(&tail.op, left, right, tail.pos)?;
                }
                Ok(left)
            }
            A::And(list) => self.logical(list, scope, "AND", pos),
            A::Or(list) => self.logical(list, scope, "OR", pos),
            A::Not(arg) => {
                let arg = self.boolean(self.expr(arg, scope)?, "NOT")?;
                Ok(boolean(ExprKind::Not(Box::new(arg)), pos))
            }
            A::IsNull { arg, negated } => {
                let arg = present_row(self.expr(arg, scope)?);
                if let ExprKind::Row(fields, _) = arg.kind {
                    // A row is null when all its fields are, not null when none is.
                    let terms = fields
                        .into_iter()
                        .map(|f| {
                            boolean(
                                ExprKind::IsNull {
                                    arg: Box::new(f),
                                    negated: *negated,
                                },
                                pos,
                            )
                        })
                        .collect();
                    return Ok(boolean(ExprKind::And(terms), pos));
                }
                // A parameter stays undetermined here, a literal is text.
                let arg = if matches!(arg.kind, ExprKind::Const(_)) {
                    self.text_if_unknown(arg)?
                } else {
                    arg
                };
                Ok(boolean(
                    ExprKind::IsNull {
                        arg: Box::new(arg),
                        negated: *negated,
                    },
                    pos,
                ))
            }
            A::IsBool { arg, test, negated } => {
                let what = match (test, negated) {
                    (Some(true), false) => "IS TRUE",
                    (Some(true), true) => "IS NOT TRUE",
                    (Some(false), false) => "IS FALSE",
                    (Some(false), true) => "IS NOT FALSE",
                    (None, false) => "IS UNKNOWN",
                    (None, true) => "IS NOT UNKNOWN",
                };
                let arg = self.boolean(self.expr(arg, scope)?, what)?;
                Ok(boolean(
                    ExprKind::IsBool {
                        arg: Box::new(arg),
                        test: *test,
                        negated: *negated,
                    },
                    pos,
                ))
            }
            A::IsDistinct { args, negated } => {
                let left = self.expr(&args.0, scope)?;
                let right = self.expr(&args.1, scope)?;
                self.is_distinct(left, right, *negated, pos)
            }
            A::Between { args, symmetric, negated } => self.between(args, *symmetric, *negated, scope, pos),
            A::InList { arg, list, negated } => {
                let arg = self.expr(arg, scope)?;
                let list = list.iter().map(|e| self.expr(e, scope)).collect::<Result<_>>()?;
                self.in_list(arg, list, *negated, pos)
            }
            A::InQuery { arg, query, negated } => {
                let any = self.quantified_query(arg, &operator("="), false, query, scope, pos)?;
                Ok(if *negated {
                    boolean(ExprKind::Not(Box::new(any)), pos)
                } else {
                    any
                })
            }
            A::Like {
                kind,
                args,
                escape,
                negated,
            } => self.like(*kind, args, escape.as_deref(), *negated, scope, pos),
            A::Quantified { arg, op, all, right } => match &**right {
                ast::QuantifiedRight::Array(array) => {
                    let arg = self.expr(arg, scope)?;
                    let array = self.expr(array, scope)?;
                    self.array_compare(arg, op, *all, array, pos)
                }
                ast::QuantifiedRight::Query(query) => self.quantified_query(arg, op, *all, query, scope, pos),
            },
            A::Case {
                operand,
                branches,
                otherwise,
            } => self.case(operand.as_deref(), branches, otherwise.as_deref(), scope, pos),
            A::Coalesce(args) => {
                let args = args.iter().map(|a| self.expr(a, scope)).collect::<Result<_>>()?;
                let (args, ty) = self.unify(args, "COALESCE")?;
                Ok(Expr {
                    kind: ExprKind::Coalesce(args),
                    ty,
                    position: at(pos),
                })
            }
            A::NullIf(args) => {
                let left = self.expr(&args.0, scope)?;
                let right = self.expr(&args.1, scope)?;
                let (equal, left, right) = self.comparison("=", left, right, pos)?;
                let ty = left.ty;
                Ok(Expr {
                    kind: ExprKind::NullIf {
                        args: Box::new((left, right)),
                        equal,
                    },
                    ty,
                    position: at(pos),
                })
            }
            A::MinMax { args, greatest } => {
                let args = args.iter().map(|a| self.expr(a, scope)).collect::<Result<_>>()?;
                let (args, ty) = self.unify(args, if *greatest { "GREATEST" } else { "LEAST" })?;
                let (found, _) = self.find_operator(&operator("<"), ty.oid, ty.oid, pos).map_err(|_| {
                    SqlError::new(
                        SqlState::UNDEFINED_FUNCTION,
                        format!("could not identify a comparison function for type {}", type_text(ty.oid)),
                    )
                })?;
                let kind = ExprKind::MinMax {
                    args,
                    less: found.function,
                    greatest: *greatest,
                };
                Ok(Expr {
                    kind,
                    ty,
                    position: at(pos),
                })
            }
            A::Cast { arg, ty, syntax } => self.cast(arg, ty, *syntax, scope, pos),
            A::Call(call) => self.call(call, scope, pos),
            A::Collate(arg, collation) => {
                let arg = self.expr(arg, scope)?;
                let arg = self.text_if_unknown(arg)?;
                if crate::coerce::category(arg.ty.oid) != 'S' {
                    return Err(SqlError::new(
                        SqlState::DATATYPE_MISMATCH,
                        format!("collations are not supported by type {}", type_text(arg.ty.oid)),
                    )
                    .at(at(pos)));
                }
                check_collation(collation)?;
                Ok(arg)
            }
            A::Array(items) => self.array(items, None, scope, pos),
            A::ArrayQuery(query) => self.array_query(query, scope, pos),
            A::Row(items) => {
                let fields = self.row_fields(items, scope)?;
                Ok(Expr {
                    kind: ExprKind::Row(fields, None),
                    ty: PgType::RECORD,
                    position: at(pos),
                })
            }
            A::Subquery(query) => self.scalar_query(query, scope, pos),
            A::Exists(query) => self.exists_query(query, scope, pos),
            A::Grouping(_) => Err(SqlError::unsupported("GROUPING").at(at(pos))),
            A::SqlValue(v) => self.sql_value(*v, pos),
            A::Default => Err(SqlError::new(SqlState::SYNTAX_ERROR, "DEFAULT is not allowed in this context").at(at(pos))),
        }
    }

    pub(crate) fn row_fields(&self, items: &[ast::Expr], scope: &Scope<'_>) -> Result<Vec<Expr>> {
        let mut fields = Vec::with_capacity(items.len());
        for item in items {
            if is_star(item) {
                let star = ast::SelectItem {
                    expr: item.clone(),
                    alias: None,
                };
                fields.extend(self.targets(&[star], scope, scope.clause.get())?.into_iter().map(|t| t.expr));
            } else {
                fields.push(self.expr(item, scope)?);
            }
        }
        Ok(fields)
    }

    /// Unknown literals and parameters become text where nothing else says what they are.
    pub fn text_if_unknown(&self, e: Expr) -> Result<Expr> {
        if e.ty.oid == oid::UNKNOWN {
            self.implicit(e, oid::TEXT)
        } else {
            Ok(e)
        }
    }

    fn literal(&self, l: &Literal, pos: u32) -> Result<Expr> {
        let (value, ty) = match l {
            Literal::Null => (Datum::Null, PgType::UNKNOWN),
            Literal::Bool(b) => (Datum::Bool(*b), PgType::BOOL),
            Literal::Integer(n) => (Datum::Int4(*n), PgType::INT4),
            Literal::String(s) => (Datum::text(s), PgType::UNKNOWN),
            Literal::Number(n) => match n.parse::<i64>() {
                Ok(v) => (Datum::Int8(v), PgType::INT8),
                Err(_) => (Datum::Numeric(Numeric::parse(n).map_err(|e| e.at(at(pos)))?), PgType::NUMERIC),
            },
            Literal::Bits(digits) => return self.bits(&format!("b{digits}"), pos),
            Literal::HexBits(digits) => return self.bits(&format!("x{digits}"), pos),
        };
        Ok(self.constant(value, ty, at(pos)))
    }

    /// `B'01'`, `X'1F'`: digits after their prefix.
    fn bits(&self, text: &str, pos: u32) -> Result<Expr> {
        let bits = curia_types::Bits::parse(text).map_err(|e| e.at(at(pos)))?;
        Ok(self.constant(Datum::Bits(std::sync::Arc::new(bits)), PgType::BIT, at(pos)))
    }

    fn logical(&self, list: &[ast::Expr], scope: &Scope<'_>, what: &str, pos: u32) -> Result<Expr> {
        let mut terms = Vec::with_capacity(list.len());
        for e in list {
            let term = self.boolean(self.expr(e, scope)?, what)?;
            match term.kind {
                ExprKind::And(inner) if what == "AND" => terms.extend(inner),
                ExprKind::Or(inner) if what == "OR" => terms.extend(inner),
                _ => terms.push(term),
            }
        }
        Ok(boolean(if what == "AND" { ExprKind::And(terms) } else { ExprKind::Or(terms) }, pos))
    }

    fn between(
        &self,
        args: &(ast::Expr, ast::Expr, ast::Expr),
        symmetric: bool,
        negated: bool,
        scope: &Scope<'_>,
        pos: u32,
    ) -> Result<Expr> {
        let arg = self.expr(&args.0, scope)?;
        let low = self.expr(&args.1, scope)?;
        let high = self.expr(&args.2, scope)?;
        let range = |low: Expr, high: Expr| -> Result<Expr> {
            let (a, b) = if negated { ("<", ">") } else { (">=", "<=") };
            let terms = vec![
                self.binary(&operator(a), arg.clone(), low, pos)?,
                self.binary(&operator(b), arg.clone(), high, pos)?,
            ];
            Ok(boolean(if negated { ExprKind::Or(terms) } else { ExprKind::And(terms) }, pos))
        };
        if !symmetric {
            return range(low, high);
        }
        let terms = vec![range(low.clone(), high.clone())?, range(high, low)?];
        Ok(boolean(if negated { ExprKind::And(terms) } else { ExprKind::Or(terms) }, pos))
    }

    fn like(
        &self,
        kind: LikeKind,
        args: &(ast::Expr, ast::Expr),
        escape: Option<&ast::Expr>,
        negated: bool,
        scope: &Scope<'_>,
        pos: u32,
    ) -> Result<Expr> {
        let text = self.expr(&args.0, scope)?;
        let mut pattern = self.expr(&args.1, scope)?;
        let escape = escape.map(|e| self.expr(e, scope)).transpose()?;
        let name = match (kind, negated) {
            (LikeKind::Like, false) => "~~",
            (LikeKind::Like, true) => "!~~",
            (LikeKind::ILike, false) => "~~*",
            (LikeKind::ILike, true) => "!~~*",
            (LikeKind::SimilarTo, false) => "~",
            (LikeKind::SimilarTo, true) => "!~",
        };
        pattern = match (kind, escape) {
            (LikeKind::SimilarTo, None) => self.named_call("similar_to_escape", vec![pattern], pos)?,
            (LikeKind::SimilarTo, Some(e)) => self.named_call("similar_to_escape", vec![pattern, e], pos)?,
            (_, Some(e)) => self.named_call("like_escape", vec![pattern, e], pos)?,
            (_, None) => pattern,
        };
        self.binary(&operator(name), text, pattern, pos)
    }

    fn case(
        &self,
        operand: Option<&ast::Expr>,
        branches: &[(ast::Expr, ast::Expr)],
        otherwise: Option<&ast::Expr>,
        scope: &Scope<'_>,
        pos: u32,
    ) -> Result<Expr> {
        let operand = match operand {
            Some(e) => Some(self.text_if_unknown(self.expr(e, scope)?)?),
            None => None,
        };
        let mut conditions = Vec::with_capacity(branches.len());
        // ELSE comes first when the common type is chosen.
        let mut results = Vec::with_capacity(branches.len() + 1);
        let missing = self.constant(Datum::Null, PgType::UNKNOWN, None);
        results.push(missing);
        for (when, then) in branches {
            let condition = self.expr(when, scope)?;
            let condition = match &operand {
                Some(o) => self.binary(&operator("="), o.clone(), condition, when.pos)?,
                None => condition,
            };
            conditions.push(self.boolean(condition, "CASE/WHEN")?);
            results.push(self.expr(then, scope)?);
        }
        if let Some(e) = otherwise {
            results[0] = self.expr(e, scope)?;
        }
        let (mut results, ty) = self.unify(results, "CASE")?;
        let first = results.remove(0);
        let otherwise = otherwise.map(|_| Box::new(first));
        let branches = conditions.into_iter().zip(results).collect();
        Ok(Expr {
            kind: ExprKind::Case { branches, otherwise },
            ty,
            position: at(pos),
        })
    }

    fn cast(&self, arg: &ast::Expr, ty: &ast::TypeName, syntax: CastSyntax, scope: &Scope<'_>, pos: u32) -> Result<Expr> {
        let target = crate::type_name::resolve(ty, self.cx.catalog, self.cx.search_path)?;
        let expr = match &arg.kind {
            ast::ExprKind::Array(items) if type_info::element_of(target.oid).is_some() => {
                self.array(items, Some(target.oid), scope, arg.pos)?
            }
            _ => self.expr(arg, scope)?,
        };
        let source = expr.ty.oid;
        if type_info::is_enum(target.oid)
            && crate::type_name::oid_in_name(&ty.name).is_some()
            && let ExprKind::Const(Datum::Int8(_) | Datum::Int4(_)) = expr.kind
        {
            // A stored expression names an enum's value by its number, as its label may be renamed.
            let kind = match expr.kind {
                ExprKind::Const(Datum::Int4(v)) => ExprKind::Const(Datum::Int8(v.into())),
                kind => kind,
            };
            return Ok(Expr {
                kind,
                ty: target,
                position: at(pos),
            });
        }
        let literal = matches!(expr.kind, ExprKind::Const(_)) && source == oid::UNKNOWN;
        // PostgreSQL reports a failing cast at the operator or keyword, a bad literal at the literal.
        let position = if syntax == CastSyntax::Colons || !literal {
            at(pos)
        } else {
            at(arg.pos)
        };
        let converted = self.coerce(expr, target, CastContext::Explicit).map_err(|e| {
            // A row that does not fit is wrong where it is cast.
            if e.code() == SqlState::CANNOT_COERCE { e.at(at(pos)) } else { e }
        })?;
        let mut cast = converted.ok_or_else(|| {
            SqlError::new(
                SqlState::CANNOT_COERCE,
                format!("cannot cast type {} to {}", type_text(source), type_text(target.oid)),
            )
            .at(at(pos))
        })?;
        if !literal {
            cast.position = position;
        }
        Ok(cast)
    }

    fn array(&self, items: &[ast::Expr], target: Option<u32>, scope: &Scope<'_>, pos: u32) -> Result<Expr> {
        let element_target = target.and_then(type_info::element_of);
        let mut bound = Vec::with_capacity(items.len());
        let mut nested = false;
        for item in items {
            let e = match &item.kind {
                // An inner bracket takes the array type itself.
                ast::ExprKind::Array(inner) => self.array(inner, target, scope, item.pos)?,
                _ => self.expr(item, scope)?,
            };
            nested |= type_info::element_of(e.ty.oid).is_some();
            bound.push(e);
        }
        if bound.is_empty() {
            let Some(target) = target else {
                return Err(
                    SqlError::new(SqlState::INDETERMINATE_DATATYPE, "cannot determine type of empty array")
                        .hint("Explicitly cast to the desired type, for example ARRAY[]::integer[].")
                        .at(at(pos)),
                );
            };
            return Ok(Expr {
                kind: ExprKind::Array(bound),
                ty: PgType { oid: target, typmod: -1 },
                position: at(pos),
            });
        }
        if let (Some(element), Some(target)) = (element_target, target) {
            let wanted = if nested { target } else { element };
            let mut out = Vec::with_capacity(bound.len());
            for e in bound {
                let (source, position) = (e.ty.oid, e.position);
                out.push(
                    self.coerce(e, PgType { oid: wanted, typmod: -1 }, CastContext::Explicit)?
                        .ok_or_else(|| {
                            SqlError::new(
                                SqlState::CANNOT_COERCE,
                                format!("cannot cast type {} to {}", type_text(source), type_text(wanted)),
                            )
                            .at(position)
                        })?,
                );
            }
            return Ok(Expr {
                kind: ExprKind::Array(out),
                ty: PgType { oid: target, typmod: -1 },
                position: at(pos),
            });
        }
        let (bound, ty) = self.unify(bound, "ARRAY")?;
        let array = if type_info::element_of(ty.oid).is_some() {
            ty.oid
        } else {
            type_info::array_of(ty.oid).ok_or_else(|| {
                SqlError::new(
                    SqlState::UNDEFINED_OBJECT,
                    format!("could not find array type for data type {}", type_text(ty.oid)),
                )
                .at(at(pos))
            })?
        };
        Ok(Expr {
            kind: ExprKind::Array(bound),
            ty: PgType { oid: array, typmod: -1 },
            position: at(pos),
        })
    }

    fn field(&self, base: &ast::Expr, field: &ast::Ident, scope: &Scope<'_>) -> Result<Expr> {
        // (t).column is the column of the FROM item.
        if let ast::ExprKind::Column(parts) = &base.kind
            && let [table] = parts.as_slice()
            && let Ok((_, item)) = self.find_item(scope, None, table)
            && item.relation_visible
        {
            return self.column_ref(&[table.clone(), field.clone()], scope);
        }
        let value = self.expr(base, scope)?;
        self.field_of(value, &field.name, base.pos)
    }

    fn sql_value(&self, value: SqlValue, pos: u32) -> Result<Expr> {
        let now = |target: PgType| -> Result<Expr> {
            let now = self.named_call("now", Vec::new(), pos)?;
            self.coerce(now, target, CastContext::Explicit)?
                .ok_or_else(|| SqlError::unsupported("CURRENT_TIME").at(at(pos)))
        };
        let precision = |p: Option<i32>| p.map_or(-1, |p| p.clamp(0, 6));
        match value {
            SqlValue::CurrentDate => now(PgType::DATE),
            SqlValue::CurrentTime(_) => Err(SqlError::unsupported("type time with time zone").at(at(pos))),
            SqlValue::CurrentTimestamp(p) => now(PgType {
                oid: oid::TIMESTAMPTZ,
                typmod: precision(p),
            }),
            SqlValue::LocalTime(p) => now(PgType {
                oid: oid::TIME,
                typmod: precision(p),
            }),
            SqlValue::LocalTimestamp(p) => now(PgType {
                oid: oid::TIMESTAMP,
                typmod: precision(p),
            }),
            SqlValue::CurrentRole | SqlValue::CurrentUser | SqlValue::User if self.definer().is_some() => {
                // In the body of a function that runs as its owner.
                let role = self.definer().and_then(|role| self.cx.catalog.roles.get(&role));
                Ok(self.constant(Datum::text(role.map_or("", |r| r.name.as_str())), PgType::NAME, at(pos)))
            }
            SqlValue::CurrentRole | SqlValue::CurrentUser | SqlValue::User => self.named_call("current_user", Vec::new(), pos),
            SqlValue::SessionUser => self.named_call("session_user", Vec::new(), pos),
            SqlValue::CurrentCatalog => self.named_call("current_database", Vec::new(), pos),
            SqlValue::CurrentSchema => self.named_call("current_schema", Vec::new(), pos),
        }
    }

    /// Binds an expression in a clause.
    pub fn expr_in(&self, e: &ast::Expr, scope: &Scope<'_>, clause: Clause) -> Result<Expr> {
        scope.within(clause, || self.expr(e, scope))
    }

    /// A condition of a clause.
    pub fn condition(&self, e: &ast::Expr, scope: &Scope<'_>, clause: Clause, what: &str) -> Result<Expr> {
        self.boolean(self.expr_in(e, scope, clause)?, what)
    }
}

/// A whole row of the nullable side of an outer join as if it were there: where it is not, its fields are NULL as well.
fn present_row(e: Expr) -> Expr {
    match e.kind {
        ExprKind::Case {
            ref branches,
            otherwise: Some(ref row),
        } if matches!(row.kind, ExprKind::Row(..)) && branches.iter().all(|(absent, _)| absent.position.is_none()) => (**row).clone(),
        _ => e,
    }
}

/// `t.*` or `(x).*`
pub(crate) fn is_star(e: &ast::Expr) -> bool {
    matches!(e.kind, ast::ExprKind::Star(_) | ast::ExprKind::FieldStar(_))
}

/// Text compares by bytes (C.UTF-8): the collations that mean that are accepted.
fn check_collation(name: &ast::ObjectName) -> Result<()> {
    let error = |e: SqlError| Err(e.at(at(name.pos())));
    match name.name() {
        "C" | "POSIX" | "default" | "ucs_basic" => Ok(()),
        n if n.contains("-x-icu") || n.contains("utf8") || n.contains("UTF-8") || n.contains("_") => {
            error(SqlError::unsupported(format!("collation \"{n}\"")))
        }
        n => error(SqlError::new(
            SqlState::UNDEFINED_OBJECT,
            format!("collation \"{n}\" for encoding \"UTF8\" does not exist"),
        )),
    }
}
