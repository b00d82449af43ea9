//! Bound expression to DataFusion expression.

use super::functions::{Evaluate, OrderKey, has_key, plainly_ordered};
use super::lower::Lowering;
use crate::comparison::{Comparison, comparison, same_order};
use crate::eval::{Scope, compile};
use crate::registry;
use crate::rewrite::fallible;
use crate::walk;
use arrow::datatypes::DataType;
use curia_bind::ir::*;
use curia_functions::Volatility;
use curia_types::{Datum, PgType, Result, SqlError, arrow_map, oid, type_info};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{self as df, Operator, ScalarUDF};
use std::collections::HashMap;

/// The name of a column.
pub(super) fn name(id: ColId) -> String {
    format!("c{}", id.0)
}

/// A reference to a column.
pub(super) fn column(id: ColId) -> df::Expr {
    df::Expr::Column(datafusion::common::Column::from_name(name(id)))
}

/// A constant.
pub(super) fn literal(ty: PgType, value: &Datum) -> Result<df::Expr> {
    let array = arrow_map::array_of(ty, std::slice::from_ref(value))?;
    let scalar = ScalarValue::try_from_array(&array, 0).map_err(|e| SqlError::internal(e.to_string()))?;
    Ok(df::Expr::Literal(scalar, None))
}

impl Lowering {
    /// Lowers an expression over rows of `columns`.
    pub(super) fn expr(&mut self, e: &Expr, columns: &[RelColumn]) -> Result<df::Expr> {
        match &e.kind {
            ExprKind::Column(id) => return Ok(column(*id)),
            ExprKind::Const(d) => return literal(e.ty, d),
            ExprKind::Param(i) => {
                let value = self
                    .exec
                    .params
                    .get(*i)
                    .ok_or_else(|| SqlError::internal("too few parameter values"))?;
                return literal(e.ty, value);
            }
            ExprKind::Relabel(arg) if arrow_map::data_type(arg.ty) == arrow_map::data_type(e.ty) => return self.expr(arg, columns),
            ExprKind::Call { function, args } => {
                if let (Some((op, left, right)), [a, b]) = (comparison(*function), args.as_slice())
                    && let Some(native) = self.comparison(op, (left, a), (right, b), columns)?
                {
                    return Ok(native);
                }
            }
            ExprKind::And(args) | ExprKind::Or(args) if !args.iter().any(fallible) && self.take_terms(args.len()) => {
                let args = args.iter().map(|a| self.expr(a, columns)).collect::<Result<Vec<_>>>()?;
                let op = if matches!(e.kind, ExprKind::And(_)) {
                    Operator::And
                } else {
                    Operator::Or
                };
                return Ok(balanced(args, op));
            }
            ExprKind::Not(arg) => return Ok(df::Expr::Not(Box::new(self.expr(arg, columns)?))),
            ExprKind::IsNull { arg, negated } if type_info::physical(arg.ty.oid) != oid::RECORD => {
                let arg = Box::new(self.expr(arg, columns)?);
                return Ok(if *negated {
                    df::Expr::IsNotNull(arg)
                } else {
                    df::Expr::IsNull(arg)
                });
            }
            _ => {}
        }
        self.evaluate(e, columns)
    }

    /// A comparison that Arrow makes as PostgreSQL does, on the values or on their keys.
    fn comparison(
        &mut self,
        op: Comparison,
        (left, a): (u32, &Expr),
        (right, b): (u32, &Expr),
        columns: &[RelColumn],
    ) -> Result<Option<df::Expr>> {
        let (left, right) = (PgType { oid: left, typmod: -1 }, PgType { oid: right, typmod: -1 });
        if !same_order(left.oid, right.oid) {
            return Ok(None);
        }
        let (mut l, mut r) = (self.expr(a, columns)?, self.expr(b, columns)?);
        if has_key(left) || has_key(right) {
            (l, r) = (order_key(left, l), order_key(right, r));
        } else if !plainly_ordered(left) || !plainly_ordered(right) {
            return Ok(None);
        } else if arrow_map::data_type(left) != arrow_map::data_type(right) {
            // Integers of two widths meet in the widest, which holds both.
            let wide = |e| df::Expr::Cast(df::Cast::new(Box::new(e), DataType::Int64));
            (l, r) = (wide(l), wide(r));
        }
        let op = match op {
            Comparison::Lt => Operator::Lt,
            Comparison::Le => Operator::LtEq,
            Comparison::Eq => Operator::Eq,
            Comparison::Ge => Operator::GtEq,
            Comparison::Gt => Operator::Gt,
            Comparison::Ne => Operator::NotEq,
        };
        Ok(Some(df::binary_expr(l, op, r)))
    }

    /// The evaluator over the columns that the expression uses.
    pub(super) fn evaluate(&mut self, e: &Expr, columns: &[RelColumn]) -> Result<df::Expr> {
        let used = walk::used(e);
        let arguments: Vec<RelColumn> = columns.iter().filter(|c| used.contains(&c.id)).cloned().collect();
        let ids: Vec<ColId> = arguments.iter().map(|c| c.id).collect();
        let program = compile(e, &Scope::over(&ids, &HashMap::new()), &mut self.compiler)?;
        let mut volatile = false;
        walk::each(e, &mut |e| {
            volatile |= registry::volatility(e) == Volatility::Volatile || matches!(e.kind, ExprKind::Subquery { .. })
        });
        let types = arguments.iter().map(|c| c.ty).collect();
        let function = ScalarUDF::new_from_impl(Evaluate::new(program, self.exec.clone(), types, e.ty, volatile));
        Ok(function.call(ids.into_iter().map(column).collect()))
    }

    /// A conjunction over rows of `columns`. Terms that cannot fail stand alone, so that the optimizer can move them; when some can, or
    /// there are too many, one evaluation runs all terms in order and stops at the first that is not true.
    pub(super) fn predicate(&mut self, predicate: &Expr, columns: &[RelColumn]) -> Result<df::Expr> {
        let mut terms = Vec::new();
        walk::conjuncts(predicate.clone(), &mut terms);
        let mut native = Vec::new();
        let mut left_out = false;
        for t in &terms {
            if fallible(t) || !self.take_terms(1) {
                left_out = true;
            } else {
                native.push(self.expr(t, columns)?);
            }
        }
        if left_out {
            native.push(self.evaluate(predicate, columns)?);
        }
        Ok(balanced(native, Operator::And))
    }
}

/// The key by which a type is ordered, or the value itself where Arrow orders it rightly.
pub(super) fn order_key(ty: PgType, e: df::Expr) -> df::Expr {
    if has_key(ty) {
        ScalarUDF::new_from_impl(OrderKey::new(ty)).call(vec![e])
    } else {
        e
    }
}

/// A chain as a balanced tree: its depth is the logarithm of its length.
pub(super) fn balanced(mut args: Vec<df::Expr>, op: Operator) -> df::Expr {
    while args.len() > 1 {
        let mut next = Vec::with_capacity(args.len().div_ceil(2));
        let mut iter = args.into_iter();
        while let Some(a) = iter.next() {
            next.push(match iter.next() {
                Some(b) => df::binary_expr(a, op, b),
                None => a,
            });
        }
        args = next;
    }
    args.pop().unwrap_or_else(|| df::lit(true))
}
