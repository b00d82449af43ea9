//! Aggregates WITHIN GROUP (ORDER BY ..): percentiles and mode, and the ranks that a hypothetical row would have.
//!
//! The values of the ORDER BY follow the direct arguments as further arguments, and the rows come in that order. A hypothetical-set
//! aggregate is given, instead of both lists, whether the row sorts before the hypothetical one and whether it is its peer, and then the
//! values of the row: comparing is the binder's work, as it knows types and directions.

use crate::binder::{Binder, at};
use crate::call::{Resolved, no_function};
use crate::coerce::type_text;
use crate::ir::*;
use crate::scope::{Clause, Scope};
use crate::walk;
use curia_parse::ast::FunctionCall;
use curia_types::{PgType, Result, SqlError, SqlState};

/// How an aggregate takes its rows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum AggregateKind {
    Plain,
    OrderedSet,
    Hypothetical,
}

/// `aggkind` of an aggregate.
pub(crate) fn aggregate_kind(name: &str) -> AggregateKind {
    match name {
        "percentile_cont" | "percentile_disc" | "mode" => AggregateKind::OrderedSet,
        "rank" | "dense_rank" | "percent_rank" | "cume_dist" => AggregateKind::Hypothetical,
        _ => AggregateKind::Plain,
    }
}

impl Binder<'_> {
    /// The aggregate with its arguments, and the order of its rows.
    pub(crate) fn ordered_set(
        &self,
        call: &FunctionCall,
        direct: Vec<Expr>,
        scope: &Scope<'_>,
        pos: u32,
    ) -> Result<(Resolved, Vec<SortKey>)> {
        let name = call.name.name();
        if call.over.is_some() {
            let message = format!("OVER is not supported for ordered-set aggregate {name}");
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(at(pos)));
        }
        let mut keys = scope.within(Clause::AggregateArgument, || self.sort_keys(&call.within_group, scope))?;
        let given: Vec<u32> = direct.iter().chain(keys.iter().map(|k| &k.expr)).map(|e| e.ty.oid).collect();
        if aggregate_kind(name) == AggregateKind::Hypothetical {
            if direct.len() != keys.len() {
                return Err(no_function(name, &given, false, pos).hint(format!(
                    "To use the hypothetical-set aggregate {name}, the number of hypothetical direct arguments (here {}) must match the \
                     number of ordering columns (here {}).",
                    direct.len(),
                    keys.len()
                )));
            }
            let args = self.hypothetical(direct, &mut keys, pos)?;
            let function = curia_functions::candidates(name)
                .iter()
                .find(|f| f.is_aggregate())
                .ok_or_else(|| no_function(name, &given, false, pos))?;
            let ret = PgType {
                oid: function.ret,
                typmod: -1,
            };
            return Ok((Resolved { function, args, ret }, keys));
        }
        let args = direct.into_iter().chain(keys.iter().map(|k| k.expr.clone())).collect();
        let resolved = match self.resolve_call(call, args, &given, pos)? {
            Ok(resolved) if resolved.function.is_aggregate() => resolved,
            _ => {
                let message = format!("WITHIN GROUP specified, but {name} is not an aggregate function");
                return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).at(at(pos)));
            }
        };
        if aggregate_kind(resolved.function.name) == AggregateKind::Plain {
            let message = format!("{name} is not an ordered-set aggregate, so it cannot have WITHIN GROUP");
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).at(at(pos)));
        }
        let values = resolved.args.len() - keys.len();
        for (key, value) in keys.iter_mut().zip(&resolved.args[values..]) {
            key.expr = value.clone();
        }
        Ok((resolved, keys))
    }

    /// The arguments of a hypothetical-set aggregate: the row is before the hypothetical one, it is its peer, the row's values.
    fn hypothetical(&self, direct: Vec<Expr>, keys: &mut [SortKey], pos: u32) -> Result<Vec<Expr>> {
        let boolean = |kind| Expr {
            kind,
            ty: PgType::BOOL,
            position: None,
        };
        let is_null = |e: &Expr, negated| {
            boolean(ExprKind::IsNull {
                arg: Box::new(e.clone()),
                negated,
            })
        };
        let mut pairs = Vec::with_capacity(keys.len());
        for (key, hypothetical) in keys.iter_mut().zip(direct) {
            let (own, given) = (key.expr.ty.oid, hypothetical.ty.oid);
            let position = walk::location(&hypothetical);
            let (mut both, _) = self.unify(vec![hypothetical, key.expr.clone()], "WITHIN GROUP").map_err(|error| {
                if error.code() != SqlState::DATATYPE_MISMATCH {
                    return error;
                }
                let message = format!("WITHIN GROUP types {} and {} cannot be matched", type_text(given), type_text(own));
                SqlError::new(SqlState::DATATYPE_MISMATCH, message).at(position)
            })?;
            if let (Some(value), Some(hypothetical)) = (both.pop(), both.pop()) {
                key.expr = value.clone();
                pairs.push((value, hypothetical));
            }
        }
        // Built from the last key to the first: before = less, or equal and before in what follows.
        let mut before = self.constant(curia_types::Datum::Bool(false), PgType::BOOL, None);
        let mut peers = Vec::with_capacity(pairs.len());
        for (key, (value, hypothetical)) in keys.iter().zip(&pairs).rev() {
            let (left, right) = if key.descending {
                (hypothetical, value)
            } else {
                (value, hypothetical)
            };
            let (less, left, right) = self.comparison("<", left.clone(), right.clone(), pos)?;
            let less = boolean(ExprKind::Call {
                function: less,
                args: vec![left, right],
            });
            let nulls_first = self.constant(curia_types::Datum::Bool(key.nulls_first), PgType::BOOL, None);
            let nulls_last = self.constant(curia_types::Datum::Bool(!key.nulls_first), PgType::BOOL, None);
            let less = boolean(ExprKind::Case {
                branches: vec![
                    (
                        is_null(value, false),
                        boolean(ExprKind::And(vec![is_null(hypothetical, true), nulls_first])),
                    ),
                    (is_null(hypothetical, false), nulls_last),
                ],
                otherwise: Some(Box::new(less)),
            });
            let equal = self.is_distinct(value.clone(), hypothetical.clone(), true, pos)?;
            before = boolean(ExprKind::Or(vec![less, boolean(ExprKind::And(vec![equal.clone(), before]))]));
            peers.push(equal);
        }
        peers.push(self.constant(curia_types::Datum::Bool(true), PgType::BOOL, None));
        let mut args = vec![before, boolean(ExprKind::And(peers))];
        args.extend(pairs.into_iter().map(|(value, _)| value));
        Ok(args)
    }
}
