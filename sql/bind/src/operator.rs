//! Operators: `parse_oper.c` (section 10.2 of the manual), row comparisons, and LIKE, BETWEEN and IN built on them.

use crate::binder::{Binder, at};
use crate::coerce::type_text;
use crate::ir::*;
use crate::resolve::{Candidate, Choice, choose, concretize};
use curia_functions::Operator;
use curia_parse::ast;
use curia_types::{PgType, Result, SqlError, SqlState, oid, type_info};
use std::cell::RefCell;
use std::collections::HashMap;

/// Choices that a thread remembers; at the limit it starts over.
const MAX_CHOSEN: usize = 4096;

thread_local! {
    /// What [`choose`] chose, by the operators of a name and the types of the operands. These never change: operators are the
    /// registry's, and what a type is stays with its OID.
    static CHOSEN: RefCell<HashMap<(usize, u32, u32), &'static Operator>> = RefCell::default();
}

impl Binder<'_> {
    /// Finds a binary operator for operand types.
    pub fn find_operator(&self, op: &ast::Operator, left: u32, right: u32, pos: u32) -> Result<(&'static Operator, Vec<u32>)> {
        let all = if op.schema.as_deref().is_none_or(|s| s == "pg_catalog") {
            curia_functions::operators(&op.name)
        } else {
            &[]
        };
        let wanted = |l: u32, r: u32| all.iter().find(|o| o.left == l && o.right == r);
        // An unknown operand is first taken to be of the other's type.
        let (l, r) = match (left == oid::UNKNOWN, right == oid::UNKNOWN) {
            (true, false) => (right, right),
            (false, true) => (left, left),
            _ => (left, right),
        };
        let base = type_info::base_type;
        if let Some(exact) = wanted(l, r).or_else(|| wanted(left, right)).or_else(|| wanted(base(l), base(r))) {
            return Ok((exact, vec![exact.left, exact.right]));
        }
        let key = (all.as_ptr() as usize, left, right);
        let known = CHOSEN.with_borrow(|c| c.get(&key).copied());
        if let Some(chosen) = known {
            return Ok((chosen, vec![chosen.left, chosen.right]));
        }
        let candidates: Vec<_> = all
            .iter()
            .filter(|o| o.left != 0 && o.right != 0)
            .map(|o| Candidate {
                what: *o,
                args: vec![o.left, o.right],
            })
            .collect();
        match choose(candidates, &[left, right]) {
            Choice::One(c) => {
                CHOSEN.with_borrow_mut(|chosen| {
                    if chosen.len() >= MAX_CHOSEN {
                        chosen.clear();
                    }
                    chosen.insert(key, c.what);
                });
                Ok((c.what, c.args))
            }
            Choice::Ambiguous => Err(self.operator_error(op, Some(left), right, true, pos)),
            Choice::None => Err(self.operator_error(op, Some(left), right, false, pos)),
        }
    }

    fn operator_error(&self, op: &ast::Operator, left: Option<u32>, right: u32, ambiguous: bool, pos: u32) -> SqlError {
        let left = left.map_or(String::new(), |l| format!("{} ", type_text(l)));
        let name = op
            .schema
            .as_ref()
            .map_or_else(|| op.name.to_string(), |s| format!("{s}.{}", op.name));
        let shown = format!("{left}{name} {}", type_text(right));
        let error = if ambiguous {
            SqlError::new(SqlState::AMBIGUOUS_FUNCTION, format!("operator is not unique: {shown}"))
                .hint("Could not choose a best candidate operator. You might need to add explicit type casts.")
        } else if left.is_empty() {
            SqlError::new(SqlState::UNDEFINED_FUNCTION, format!("operator does not exist: {shown}"))
                .hint("No operator matches the given name and argument type. You might need to add an explicit type cast.")
        } else {
            SqlError::new(SqlState::UNDEFINED_FUNCTION, format!("operator does not exist: {shown}"))
                .hint("No operator matches the given name and argument types. You might need to add explicit type casts.")
        };
        error.at(at(pos))
    }

    /// Applies a binary operator.
    pub fn binary(&self, op: &ast::Operator, left: Expr, right: Expr, pos: u32) -> Result<Expr> {
        if let (ExprKind::Row(..), ExprKind::Row(..)) = (&left.kind, &right.kind) {
            return self.row_compare(op, left, right, pos);
        }
        let given = [left.ty.oid, right.ty.oid];
        let (operator, mut declared) = self.find_operator(op, given[0], given[1], pos)?;
        let ret = concretize(&mut declared, &given, operator.result).map_err(|e| e.at(at(pos)))?;
        let left = self.implicit(left, declared[0])?;
        let right = self.implicit(right, declared[1])?;
        Ok(self.call_function(operator.function, vec![left, right], PgType { oid: ret, typmod: -1 }, at(pos)))
    }

    /// Applies a prefix operator.
    pub fn unary(&self, op: &ast::Operator, arg: Expr, pos: u32) -> Result<Expr> {
        let all = curia_functions::operators(&op.name);
        let given = arg.ty.oid;
        let candidates: Vec<_> = all
            .iter()
            .filter(|o| o.left == 0)
            .map(|o| Candidate {
                what: *o,
                args: vec![o.right],
            })
            .collect();
        match choose(candidates, &[given]) {
            Choice::One(c) => {
                let mut declared = c.args;
                let ret = concretize(&mut declared, &[given], c.what.result).map_err(|e| e.at(at(pos)))?;
                let arg = self.implicit(arg, declared[0])?;
                Ok(self.call_function(c.what.function, vec![arg], PgType { oid: ret, typmod: -1 }, at(pos)))
            }
            Choice::Ambiguous => Err(self.operator_error(op, None, given, true, pos)),
            // A plus sign before a number that has no operator of its own, and a minus in front of an unknown literal.
            Choice::None => Err(self.operator_error(op, None, given, false, pos)),
        }
    }

    /// The function of `=` (or another comparison) for two operands, with the operands converted.
    pub fn comparison(&self, name: &str, left: Expr, right: Expr, pos: u32) -> Result<(u32, Expr, Expr)> {
        let op = operator(name);
        let given = [left.ty.oid, right.ty.oid];
        let (found, mut declared) = self.find_operator(&op, given[0], given[1], pos)?;
        concretize(&mut declared, &given, found.result).map_err(|e| e.at(at(pos)))?;
        Ok((
            found.function,
            self.implicit(left, declared[0])?,
            self.implicit(right, declared[1])?,
        ))
    }

    /// Row comparison: `=` and `<>` field by field, the others lexicographically.
    fn row_compare(&self, op: &ast::Operator, left: Expr, right: Expr, pos: u32) -> Result<Expr> {
        let (ExprKind::Row(left, _), ExprKind::Row(right, _)) = (left.kind, right.kind) else {
            return Err(SqlError::internal("row comparison of values that are no rows"));
        };
        if left.len() != right.len() {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "unequal number of entries in row expressions").at(at(pos)));
        }
        if left.is_empty() {
            return Err(SqlError::unsupported("cannot compare rows of zero length").at(at(pos)));
        }
        let bool_expr = |kind| Expr {
            kind,
            ty: PgType::BOOL,
            position: at(pos),
        };
        match &*op.name {
            "=" | "<>" => {
                let mut terms = Vec::with_capacity(left.len());
                for (l, r) in left.into_iter().zip(right) {
                    terms.push(self.binary(op, l, r, pos)?);
                }
                Ok(match terms.len() {
                    1 => terms.remove(0),
                    _ if &*op.name == "=" => bool_expr(ExprKind::And(terms)),
                    _ => bool_expr(ExprKind::Or(terms)),
                })
            }
            "<" | ">" | "<=" | ">=" => {
                // (a, b) < (c, d) is a < c OR (a = c AND b < d), built from the last field backwards.
                let strict = operator(op.name.trim_end_matches('='));
                let equal = operator("=");
                let mut pairs: Vec<(Expr, Expr)> = left.into_iter().zip(right).collect();
                let Some((l, r)) = pairs.pop() else {
                    return Err(SqlError::internal("empty row comparison"));
                };
                let mut result = self.binary(op, l, r, pos)?;
                while let Some((l, r)) = pairs.pop() {
                    let less = self.binary(&strict, l.clone(), r.clone(), pos)?;
                    let same = self.binary(&equal, l, r, pos)?;
                    result = bool_expr(ExprKind::Or(vec![less, bool_expr(ExprKind::And(vec![same, result]))]));
                }
                Ok(result)
            }
            _ => {
                Err(SqlError::unsupported(format!("could not determine interpretation of row comparison operator {}", op.name)).at(at(pos)))
            }
        }
    }

    /// `x IS [NOT] DISTINCT FROM y`
    pub fn is_distinct(&self, left: Expr, right: Expr, negated: bool, pos: u32) -> Result<Expr> {
        let bool_expr = |kind| Expr {
            kind,
            ty: PgType::BOOL,
            position: at(pos),
        };
        if let (ExprKind::Row(l, _), ExprKind::Row(r, _)) = (&left.kind, &right.kind) {
            if l.len() != r.len() {
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, "unequal number of entries in row expressions").at(at(pos)));
            }
            let terms: Vec<Expr> = l
                .iter()
                .zip(r)
                .map(|(l, r)| self.is_distinct(l.clone(), r.clone(), false, pos))
                .collect::<Result<_>>()?;
            let any = bool_expr(ExprKind::Or(terms));
            return Ok(if negated { bool_expr(ExprKind::Not(Box::new(any))) } else { any });
        }
        let (equal, left, right) = self.comparison("=", left, right, pos)?;
        Ok(bool_expr(ExprKind::IsDistinct {
            args: Box::new((left, right)),
            equal,
            negated,
        }))
    }

    /// `x IN (a, b, ..)`
    pub fn in_list(&self, arg: Expr, list: Vec<Expr>, negated: bool, pos: u32) -> Result<Expr> {
        let bool_expr = |kind| Expr {
            kind,
            ty: PgType::BOOL,
            position: at(pos),
        };
        // One comparison for the whole list when the elements have a common type, as PostgreSQL's scalar array comparison.
        let types: Vec<_> = std::iter::once(&arg).chain(&list).map(|e| (e.ty, None)).collect();
        let rows = matches!(arg.kind, ExprKind::Row(..));
        if !rows
            && list.len() > 1
            && let Ok(common) = self.common_type(&types, "IN")
        {
            let list: Vec<Expr> = list
                .into_iter()
                .map(|e| self.to_common(e, PgType { oid: common, typmod: -1 }, "IN"))
                .collect::<Result<_>>()?;
            let given = [arg.ty.oid, common];
            let (found, mut declared) = self.find_operator(&operator("="), given[0], given[1], pos)?;
            concretize(&mut declared, &given, found.result).map_err(|e| e.at(at(pos)))?;
            let arg = Box::new(self.implicit(arg, declared[0])?);
            let list = list.into_iter().map(|e| self.implicit(e, declared[1])).collect::<Result<_>>()?;
            return Ok(bool_expr(ExprKind::InList {
                arg,
                list,
                equal: found.function,
                negated,
            }));
        }
        let op = operator(if negated { "<>" } else { "=" });
        let mut terms: Vec<Expr> = list
            .into_iter()
            .map(|e| self.binary(&op, arg.clone(), e, pos))
            .collect::<Result<_>>()?;
        Ok(match terms.len() {
            1 => terms.remove(0),
            _ if negated => bool_expr(ExprKind::And(terms)),
            _ => bool_expr(ExprKind::Or(terms)),
        })
    }

    /// `x op ANY|ALL (array)`
    pub fn array_compare(&self, arg: Expr, op: &ast::Operator, all: bool, array: Expr, pos: u32) -> Result<Expr> {
        let mut array = array;
        let element = if array.ty.oid == oid::UNKNOWN {
            // An untyped array is one of the left operand's type.
            let base = if arg.ty.oid == oid::UNKNOWN { oid::TEXT } else { arg.ty.oid };
            let target = type_info::array_of(base).unwrap_or(oid::TEXT_ARRAY);
            array = self.implicit(array, target)?;
            base
        } else {
            crate::coerce::element_of(array.ty.oid)
                .ok_or_else(|| SqlError::new(SqlState::WRONG_OBJECT_TYPE, "op ANY/ALL (array) requires array on right side").at(at(pos)))?
        };
        let given = [arg.ty.oid, element];
        let (found, mut declared) = self.find_operator(op, given[0], given[1], pos)?;
        let ret = concretize(&mut declared, &given, found.result).map_err(|e| e.at(at(pos)))?;
        if ret != oid::BOOL {
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, "op ANY/ALL (array) requires operator to yield boolean").at(at(pos)));
        }
        let arg = self.implicit(arg, declared[0])?;
        if declared[1] != element {
            let target = type_info::array_of(declared[1]).ok_or_else(|| {
                SqlError::new(
                    SqlState::UNDEFINED_OBJECT,
                    format!("could not find array type for data type {}", type_text(declared[1])),
                )
                .at(at(pos))
            })?;
            array = self.implicit(array, target)?;
        }
        let kind = ExprKind::ArrayCompare {
            arg: Box::new(arg),
            array: Box::new(array),
            function: found.function,
            all,
        };
        Ok(Expr {
            kind,
            ty: PgType::BOOL,
            position: at(pos),
        })
    }
}

/// An unqualified operator.
pub(crate) fn operator(name: &str) -> ast::Operator {
    ast::Operator {
        schema: None,
        name: name.into(),
    }
}
