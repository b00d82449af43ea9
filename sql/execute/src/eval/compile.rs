//! Bound expression to [`Program`].

use super::{Node, Program, Subquery, Use};
use crate::order;
use crate::registry;
use crate::rows::{Compiler, Op};
use crate::walk;
use curia_bind::ir::*;
use curia_functions::Volatility;
use curia_types::{Datum, Result, SqlError, oid, type_info};
use std::collections::HashMap;
use std::sync::Arc;

/// Which columns an expression can see, and where.
#[derive(Clone, Default, Debug)]
pub struct Scope {
    /// Position of each column in the input row.
    pub row: HashMap<ColId, usize>,
    /// Position of each outer column in the frame.
    pub frame: HashMap<ColId, usize>,
}

impl Scope {
    /// The scope over rows of these columns, with an enclosing frame.
    pub fn over(columns: &[ColId], frame: &HashMap<ColId, usize>) -> Scope {
        Scope {
            row: columns.iter().enumerate().map(|(i, c)| (*c, i)).collect(),
            frame: frame.clone(),
        }
    }
    fn resolve(&self, id: ColId) -> Result<Node> {
        match (self.row.get(&id), self.frame.get(&id)) {
            (Some(i), _) => Ok(Node::Column(*i)),
            (None, Some(i)) => Ok(Node::Frame(*i)),
            (None, None) => Err(SqlError::internal(format!("column {} is not in scope", id.0))),
        }
    }
}

/// Compiles an expression against a scope.
pub fn compile(expr: &Expr, scope: &Scope, compiler: &mut Compiler) -> Result<Program> {
    node(expr, scope, compiler).map(Program)
}

fn nodes(exprs: &[Expr], scope: &Scope, c: &mut Compiler) -> Result<Vec<Node>> {
    exprs.iter().map(|e| node(e, scope, c)).collect()
}

fn boxed(expr: &Expr, scope: &Scope, c: &mut Compiler) -> Result<Box<Node>> {
    node(expr, scope, c).map(Box::new)
}

pub(crate) fn node(expr: &Expr, scope: &Scope, c: &mut Compiler) -> Result<Node> {
    Ok(match &expr.kind {
        ExprKind::Const(d) => Node::Const(d.clone()),
        ExprKind::Param(i) => Node::Param(*i),
        ExprKind::Column(id) => scope.resolve(*id)?,
        ExprKind::Call { function, args } => Node::Call {
            function: registry::function(*function)?,
            args: nodes(args, scope, c)?,
            types: args.iter().map(|a| a.ty).collect(),
            ret: expr.ty,
        },
        ExprKind::IoCast(arg) => Node::IoCast {
            arg: boxed(arg, scope, c)?,
            from: arg.ty,
            to: expr.ty,
        },
        ExprKind::Relabel(arg) => {
            let inner = node(arg, scope, c)?;
            match (type_info::is_oid_like(arg.ty.oid), type_info::is_oid_like(expr.ty.oid)) {
                (a, b) if a != b && [arg.ty.oid, expr.ty.oid].contains(&oid::INT4) => Node::OidBits(Box::new(inner)),
                _ => inner,
            }
        }
        ExprKind::And(args) => Node::And(nodes(args, scope, c)?),
        ExprKind::Or(args) => Node::Or(nodes(args, scope, c)?),
        ExprKind::Not(arg) => Node::Not(boxed(arg, scope, c)?),
        ExprKind::IsNull { arg, negated } => Node::IsNull {
            arg: boxed(arg, scope, c)?,
            negated: *negated,
        },
        ExprKind::IsBool { arg, test, negated } => Node::IsBool {
            arg: boxed(arg, scope, c)?,
            test: *test,
            negated: *negated,
        },
        ExprKind::IsDistinct { args, equal, negated } => Node::IsDistinct {
            left: boxed(&args.0, scope, c)?,
            right: boxed(&args.1, scope, c)?,
            equal: registry::function(*equal)?,
            negated: *negated,
        },
        ExprKind::Case { branches, otherwise } => Node::Case {
            branches: branches
                .iter()
                .map(|(w, t)| Ok((node(w, scope, c)?, node(t, scope, c)?)))
                .collect::<Result<_>>()?,
            otherwise: otherwise.as_ref().map(|e| boxed(e, scope, c)).transpose()?,
        },
        ExprKind::Coalesce(args) => Node::Coalesce(nodes(args, scope, c)?),
        ExprKind::NullIf { args, equal } => Node::NullIf {
            left: boxed(&args.0, scope, c)?,
            right: boxed(&args.1, scope, c)?,
            equal: registry::function(*equal)?,
        },
        ExprKind::MinMax { args, less, greatest } => Node::MinMax {
            args: nodes(args, scope, c)?,
            less: registry::function(*less)?,
            greatest: *greatest,
        },
        ExprKind::InList { arg, list, equal, negated } => in_list(arg, list, *equal, *negated, scope, c)?,
        ExprKind::ArrayCompare { arg, array, function, all } => Node::ArrayCompare {
            arg: boxed(arg, scope, c)?,
            array: boxed(array, scope, c)?,
            function: registry::function(*function)?,
            all: *all,
        },
        ExprKind::Array(elements) => {
            let element = registry::element_type(expr.ty.oid)?;
            let nested = elements.first().is_some_and(|e| e.ty.oid == expr.ty.oid);
            Node::Array {
                elements: nodes(elements, scope, c)?,
                element,
                nested,
            }
        }
        ExprKind::Subscript { array, subscripts } => Node::Subscript {
            array: boxed(array, scope, c)?,
            subscripts: nodes(subscripts, scope, c)?,
        },
        ExprKind::Slice { array, bounds, shape } => Node::Slice {
            array: boxed(array, scope, c)?,
            bounds: nodes(bounds, scope, c)?,
            shape: shape.as_slice().into(),
        },
        ExprKind::SetElements {
            array,
            bounds,
            shape,
            value,
        } => Node::SetElements {
            array: boxed(array, scope, c)?,
            element: match curia_types::type_info::base_type(expr.ty.oid) {
                curia_types::oid::JSONB => 0,
                array => registry::element_type(array)?,
            },
            bounds: nodes(bounds, scope, c)?,
            shape: shape.as_slice().into(),
            value: boxed(value, scope, c)?,
        },
        ExprKind::Field { record, index } => Node::Field {
            record: boxed(record, scope, c)?,
            index: *index,
        },
        ExprKind::Row(fields, names) => Node::Row {
            names: names.clone(),
            fields: fields.iter().map(|f| Ok((f.ty, node(f, scope, c)?))).collect::<Result<_>>()?,
        },
        ExprKind::Subquery { kind, query, .. } => subquery(expr, kind, query, scope, c)?,
    })
}

/// Lists of constants above this size become a hash set.
const SET_FROM: usize = 9;

fn in_list(arg: &Expr, list: &[Expr], equal: u32, negated: bool, scope: &Scope, c: &mut Compiler) -> Result<Node> {
    let arg_node = boxed(arg, scope, c)?;
    let constant = |e: &Expr| if let ExprKind::Const(d) = &e.kind { Some(d.clone()) } else { None };
    if list.len() >= SET_FROM
        && registry::is_plain_equality(equal)
        && let Some(values) = list.iter().map(constant).collect::<Option<Vec<Datum>>>()
    {
        let has_null = values.iter().any(Datum::is_null);
        let set = values.iter().filter(|v| !v.is_null()).map(order::key_of).collect();
        return Ok(Node::InSet {
            arg: arg_node,
            set,
            has_null,
            negated,
        });
    }
    Ok(Node::InList {
        arg: arg_node,
        list: nodes(list, scope, c)?,
        equal: registry::function(equal)?,
        negated,
    })
}

fn subquery(expr: &Expr, kind: &SubqueryKind, query: &Rel, scope: &Scope, c: &mut Compiler) -> Result<Node> {
    let (plan, captures) = correlated(query, scope, c)?;
    let stable = !walk::any_expression(query, &|e| registry::volatility(e) == Volatility::Volatile);
    let kind = match kind {
        SubqueryKind::Scalar => Use::Scalar,
        SubqueryKind::Exists => Use::Exists,
        SubqueryKind::Compare { arg, function, all } => Use::Compare {
            arg: node(arg, scope, c)?,
            function: registry::function(*function)?,
            all: *all,
            hashable: !*all && registry::is_plain_equality(*function),
        },
        SubqueryKind::Array => Use::Array {
            element: registry::element_type(expr.ty.oid)?,
        },
    };
    Ok(Node::Subquery(Box::new(Subquery {
        id: c.next_id(),
        kind,
        plan,
        captures,
        stable,
    })))
}

/// Compiles a relation whose outer references are found in `scope`: the tree and the values for its frame.
pub(crate) fn correlated(query: &Rel, scope: &Scope, c: &mut Compiler) -> Result<(Arc<Op>, Vec<Node>)> {
    let mut frame = HashMap::new();
    let mut captures = Vec::new();
    for id in c.free(query) {
        captures.push(scope.resolve(id)?);
        frame.insert(id, captures.len() - 1);
    }
    let plan = c.relation(query, &frame)?;
    Ok((plan, captures))
}
