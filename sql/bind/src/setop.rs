//! UNION, INTERSECT, EXCEPT (`transformSetOperationStmt`).

use crate::binder::{Binder, at};
use crate::ir::*;
use crate::order::refuse_locks;
use crate::scope::Scope;
use crate::select::Unknown;
use curia_functions::CastContext;
use curia_parse::ast::{self, SetExpr, SetTail};
use curia_types::{PgType, Result, SqlError, SqlState, oid};

impl Binder<'_> {
    /// A chain of set operations; runs of one operator become one flat relation.
    pub fn set_operation(&self, first: &SetExpr, rest: &[SetTail], scope: &Scope<'_>) -> Result<Query> {
        let mut left = {
            let mut level = Scope::inside(scope);
            self.set_input(first, &mut level, Unknown::Keep)?
        };
        let mut left_positions = positions(first);
        let mut i = 0;
        while i < rest.len() {
            let (op, all) = (rest[i].op, rest[i].all);
            // EXCEPT is not associative in its first input only: (a EXCEPT b) EXCEPT c is a EXCEPT b EXCEPT c as a run.
            let run = rest[i..].iter().take_while(|t| t.op == op && t.all == all).count();
            let mut inputs = vec![left];
            let mut places = vec![std::mem::take(&mut left_positions)];
            for tail in &rest[i..i + run] {
                let mut level = Scope::inside(scope);
                let right = self.set_input(&tail.right, &mut level, Unknown::Keep)?;
                if right.output.len() != inputs[0].output.len() {
                    let name = operator_name(op);
                    let position = positions(&tail.right).first().copied().flatten();
                    return Err(SqlError::new(
                        SqlState::SYNTAX_ERROR,
                        format!("each {name} query must have the same number of columns"),
                    )
                    .at(position));
                }
                inputs.push(right);
                places.push(positions(&tail.right));
            }
            left = self.combine(op, all, inputs, &places)?;
            left_positions = places.swap_remove(0);
            i += run;
        }
        Ok(left)
    }

    /// One input of a set operation.
    pub fn set_input(&self, body: &SetExpr, scope: &mut Scope<'_>, unknown: Unknown) -> Result<Query> {
        let plain = |body: SetExpr| ast::Query {
            with: None,
            body,
            order_by: Vec::new(),
            limit: None,
            offset: None,
            locking: Vec::new(),
            pos: 0,
        };
        match body {
            SetExpr::Query(query) => {
                refuse_locks(query, "UNION/INTERSECT/EXCEPT")?;
                self.query_scoped(query, scope, unknown)
            }
            SetExpr::SetOp { first, rest } => self.set_operation(first, rest, scope),
            other => self.query_scoped(&plain(other.clone()), scope, unknown),
        }
    }

    /// `places` are the positions of each input's output expressions, as far as known.
    fn combine(&self, op: ast::SetOperator, all: bool, inputs: Vec<Query>, places: &[Vec<Option<u32>>]) -> Result<Query> {
        let place = |input: usize, column: usize| places.get(input).and_then(|p| p.get(column)).copied().flatten();
        let name = operator_name(op);
        let width = inputs[0].output.len();
        let mut types = Vec::with_capacity(width);
        for c in 0..width {
            let each: Vec<PgType> = inputs.iter().map(|q| q.output[c].ty).collect();
            // Pairs from the left, as nested operations would.
            let mut oid = each[0].oid;
            for (i, ty) in each.iter().enumerate().skip(1) {
                oid = self.common_type(&[(PgType { oid, typmod: -1 }, place(0, c)), (*ty, place(i, c))], name)?;
            }
            if oid == oid::UNKNOWN {
                oid = oid::TEXT;
            }
            types.push(PgType {
                oid,
                typmod: self.common_typmod(&each, oid),
            });
        }
        let mut output = inputs[0].output.clone();
        let columns: Vec<RelColumn> = types.iter().map(|ty| self.column(*ty)).collect();
        for (o, c) in output.iter_mut().zip(&columns) {
            (o.id, o.ty, o.origin) = (c.id, c.ty, None);
        }
        let plain: Vec<PgType> = types.iter().map(|t| PgType { oid: t.oid, typmod: -1 }).collect();
        let mut converted = Vec::with_capacity(inputs.len());
        for query in inputs {
            let query = self.convert_outputs(query, &plain)?;
            let ids = query.output.iter().map(|c| c.id).collect();
            converted.push((query.rel, ids));
        }
        if !all || op != ast::SetOperator::Union {
            for (i, c) in columns.iter().enumerate() {
                let probe = Expr {
                    kind: ExprKind::Column(c.id),
                    ty: c.ty,
                    position: place(0, i),
                };
                self.check_hashable(&probe)?;
            }
        }
        Ok(Query {
            rel: Rel::SetOp {
                op,
                all,
                inputs: converted,
                columns,
            },
            output,
        })
    }

    /// Converts a query's columns implicitly to given types: unknown literals in place, others by a projection on top.
    pub fn convert_outputs(&self, mut query: Query, types: &[PgType]) -> Result<Query> {
        if query.output.iter().zip(types).all(|(c, t)| c.ty.oid == t.oid) {
            return Ok(query);
        }
        // Literals and parameters in the select list itself.
        if let Rel::Project { columns, .. } = &mut query.rel {
            for (o, ty) in query.output.iter_mut().zip(types) {
                if o.ty.oid != oid::UNKNOWN {
                    continue;
                }
                if let Some((column, expr)) = columns.iter_mut().find(|(c, _)| c.id == o.id) {
                    *expr = self.implicit(expr.clone(), ty.oid)?;
                    column.ty = *ty;
                    o.ty = *ty;
                }
            }
        } else if let Rel::Values { rows, columns } = &mut query.rel {
            for (i, (o, ty)) in query.output.iter_mut().zip(types).enumerate() {
                if o.ty.oid != oid::UNKNOWN {
                    continue;
                }
                for row in rows.iter_mut() {
                    row[i] = self.implicit(row[i].clone(), ty.oid)?;
                }
                columns[i].ty = *ty;
                o.ty = *ty;
            }
        }
        if query.output.iter().zip(types).all(|(c, t)| c.ty.oid == t.oid) {
            return Ok(query);
        }
        let mut columns = Vec::with_capacity(types.len());
        for (o, ty) in query.output.iter_mut().zip(types) {
            let expr = Expr {
                kind: ExprKind::Column(o.id),
                ty: o.ty,
                position: None,
            };
            let source = o.ty.oid;
            let expr = self.coerce(expr, *ty, CastContext::Implicit)?.ok_or_else(|| {
                let name = crate::coerce::type_text;
                SqlError::new(
                    SqlState::CANNOT_COERCE,
                    format!("UNION could not convert type {} to {}", name(source), name(ty.oid)),
                )
            })?;
            let column = self.column(expr.ty);
            o.id = column.id;
            o.ty = column.ty;
            columns.push((column, expr));
        }
        Ok(Query {
            rel: Rel::Project {
                input: Box::new(query.rel),
                columns,
            },
            output: query.output,
        })
    }
}

fn operator_name(op: ast::SetOperator) -> &'static str {
    match op {
        ast::SetOperator::Union => "UNION",
        ast::SetOperator::Intersect => "INTERSECT",
        ast::SetOperator::Except => "EXCEPT",
    }
}

/// Where the output expressions of an input stand; nothing after a star.
fn positions(body: &SetExpr) -> Vec<Option<u32>> {
    match body {
        SetExpr::Select(s) => {
            let stars = |i: &&ast::SelectItem| !matches!(i.expr.kind, ast::ExprKind::Star(_) | ast::ExprKind::FieldStar(_));
            s.items.iter().take_while(stars).map(|i| start(&i.expr)).collect()
        }
        SetExpr::Values(v) => v.rows.first().map(|r| r.iter().map(start).collect()).unwrap_or_default(),
        SetExpr::Query(q) => positions(&q.body),
        SetExpr::SetOp { first, .. } => positions(first),
    }
}

/// Where an expression starts: operators stand after their first operand.
fn start(e: &ast::Expr) -> Option<u32> {
    use ast::ExprKind as A;
    match &e.kind {
        A::Binary(first, _) | A::Subscript(first, _) | A::Collate(first, _) => start(first),
        A::And(list) | A::Or(list) => list.first().and_then(start),
        A::Cast {
            arg,
            syntax: ast::CastSyntax::Colons,
            ..
        }
        | A::IsNull { arg, .. }
        | A::IsBool { arg, .. }
        | A::InList { arg, .. }
        | A::InQuery { arg, .. }
        | A::Quantified { arg, .. } => start(arg),
        A::IsDistinct { args, .. } | A::Like { args, .. } => start(&args.0),
        A::Between { args, .. } => start(&args.0),
        _ => at(e.pos),
    }
}
