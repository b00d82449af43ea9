//! Running a compiled expression over one row.

use super::{Env, Node, Program, elements};
use crate::order;
use curia_functions::{CallTypes, Function};
use curia_types::datum::ArrayValue;
use curia_types::{Datum, Json, PgType, RecordValue, Result, SqlError, SqlState};
use std::sync::Arc;

impl Program {
    /// The value over a row.
    pub fn eval(&self, env: Env<'_>, row: &[Datum]) -> Result<Datum> {
        self.0.eval(env, row)
    }
    /// Whether a predicate is true (not false, not NULL).
    pub fn holds(&self, env: Env<'_>, row: &[Datum]) -> Result<bool> {
        Ok(matches!(self.0.eval(env, row)?, Datum::Bool(true)))
    }
    /// The position in the row, when the expression is nothing but that column.
    pub fn as_column(&self) -> Option<usize> {
        if let Node::Column(i) = self.0 { Some(i) } else { None }
    }
}

/// Calls a comparison, whose declared types are its actual ones.
pub(crate) fn call(function: &Function, env: Env<'_>, args: &[Datum]) -> Result<Datum> {
    call_typed(
        function,
        &CallTypes {
            args: &[],
            ret: PgType {
                oid: function.ret,
                typmod: -1,
            },
        },
        env,
        args,
    )
}

/// Calls a function of the registry.
pub(crate) fn call_typed(function: &Function, types: &CallTypes<'_>, env: Env<'_>, args: &[Datum]) -> Result<Datum> {
    if function.strict && args.iter().any(Datum::is_null) {
        return Ok(Datum::Null);
    }
    function.kernel.call(function.oid, &*env.exec.context, types, args)
}

fn truth(d: Datum) -> Result<Option<bool>> {
    match d {
        Datum::Bool(b) => Ok(Some(b)),
        Datum::Null => Ok(None),
        other => Err(SqlError::internal(format!("a condition gave {other:?}"))),
    }
}

pub(crate) fn boolean(b: Option<bool>) -> Datum {
    b.map_or(Datum::Null, Datum::Bool)
}

impl Node {
    pub(crate) fn eval(&self, env: Env<'_>, row: &[Datum]) -> Result<Datum> {
        Ok(match self {
            Node::Const(d) => d.clone(),
            Node::Param(i) => env
                .exec
                .params
                .get(*i)
                .cloned()
                .ok_or_else(|| SqlError::internal(format!("no value for parameter ${}", i + 1)))?,
            Node::Column(i) => row[*i].clone(),
            Node::Frame(i) => env.frame[*i].clone(),
            Node::Call {
                function,
                args,
                types,
                ret,
            } => {
                let types = CallTypes { args: types, ret: *ret };
                match args.as_slice() {
                    [a] => call_typed(function, &types, env, &[a.eval(env, row)?])?,
                    [a, b] => call_typed(function, &types, env, &[a.eval(env, row)?, b.eval(env, row)?])?,
                    [a, b, c] => call_typed(function, &types, env, &[a.eval(env, row)?, b.eval(env, row)?, c.eval(env, row)?])?,
                    args => call_typed(function, &types, env, &all(args, env, row)?)?,
                }
            }
            Node::IoCast { arg, from, to } => env.exec.io_cast(arg.eval(env, row)?, *from, *to)?,
            Node::OidBits(arg) => match arg.eval(env, row)? {
                Datum::Int4(v) => Datum::Oid(v as u32),
                Datum::Oid(v) => Datum::Int4(v as i32),
                other => other,
            },
            Node::And(args) => {
                let mut unknown = false;
                for a in args {
                    match truth(a.eval(env, row)?)? {
                        Some(false) => return Ok(Datum::Bool(false)),
                        None => unknown = true,
                        Some(true) => {}
                    }
                }
                if unknown { Datum::Null } else { Datum::Bool(true) }
            }
            Node::Or(args) => {
                let mut unknown = false;
                for a in args {
                    match truth(a.eval(env, row)?)? {
                        Some(true) => return Ok(Datum::Bool(true)),
                        None => unknown = true,
                        Some(false) => {}
                    }
                }
                if unknown { Datum::Null } else { Datum::Bool(false) }
            }
            Node::Not(a) => boolean(truth(a.eval(env, row)?)?.map(|b| !b)),
            Node::IsNull { arg, negated } => {
                let null = match arg.eval(env, row)? {
                    Datum::Null => true,
                    // A row is null when all its fields are, not null when none is.
                    Datum::Record(fields) if *negated => {
                        return Ok(Datum::Bool(fields.iter().all(|(_, d)| !d.is_null())));
                    }
                    Datum::Record(fields) => fields.iter().all(|(_, d)| d.is_null()),
                    _ => false,
                };
                Datum::Bool(null != *negated)
            }
            Node::IsBool { arg, test, negated } => Datum::Bool((truth(arg.eval(env, row)?)? == *test) != *negated),
            Node::IsDistinct {
                left,
                right,
                equal,
                negated,
            } => {
                let (l, r) = (left.eval(env, row)?, right.eval(env, row)?);
                let distinct = match (l.is_null(), r.is_null()) {
                    (true, true) => false,
                    (false, false) => !matches!(call(equal, env, &[l, r])?, Datum::Bool(true)),
                    _ => true,
                };
                Datum::Bool(distinct != *negated)
            }
            Node::Case { branches, otherwise } => {
                for (when, then) in branches {
                    if truth(when.eval(env, row)?)? == Some(true) {
                        return then.eval(env, row);
                    }
                }
                match otherwise {
                    Some(e) => e.eval(env, row)?,
                    None => Datum::Null,
                }
            }
            Node::Coalesce(args) => {
                for a in args {
                    let d = a.eval(env, row)?;
                    if !d.is_null() {
                        return Ok(d);
                    }
                }
                Datum::Null
            }
            Node::NullIf { left, right, equal } => {
                let (l, r) = (left.eval(env, row)?, right.eval(env, row)?);
                if matches!(call(equal, env, &[l.clone(), r])?, Datum::Bool(true)) {
                    Datum::Null
                } else {
                    l
                }
            }
            Node::MinMax { args, less, greatest } => {
                let mut best = Datum::Null;
                for a in args {
                    let d = a.eval(env, row)?;
                    if d.is_null() {
                        continue;
                    }
                    let better = best.is_null()
                        || matches!(
                            if *greatest {
                                call(less, env, &[best.clone(), d.clone()])?
                            } else {
                                call(less, env, &[d.clone(), best.clone()])?
                            },
                            Datum::Bool(true)
                        );
                    if better {
                        best = d;
                    }
                }
                best
            }
            Node::InList { arg, list, equal, negated } => {
                let x = arg.eval(env, row)?;
                let mut found = Some(false);
                for item in list {
                    match truth(call(equal, env, &[x.clone(), item.eval(env, row)?])?)? {
                        Some(true) => {
                            found = Some(true);
                            break;
                        }
                        None => found = None,
                        Some(false) => {}
                    }
                }
                boolean(found.map(|f| f != *negated))
            }
            Node::InSet {
                arg,
                set,
                has_null,
                negated,
            } => {
                let x = arg.eval(env, row)?;
                if x.is_null() {
                    Datum::Null
                } else if set.contains(&order::key_of(&x)) {
                    Datum::Bool(!*negated)
                } else if *has_null {
                    Datum::Null
                } else {
                    Datum::Bool(*negated)
                }
            }
            Node::ArrayCompare { arg, array, function, all } => {
                let (x, a) = (arg.eval(env, row)?, array.eval(env, row)?);
                let Datum::Array(a) = a else { return Ok(Datum::Null) };
                let mut result = Some(*all);
                for e in &a.elements {
                    match truth(call(function, env, &[x.clone(), e.clone()])?)? {
                        Some(b) if b != *all => return Ok(Datum::Bool(b)),
                        None => result = None,
                        Some(_) => {}
                    }
                }
                boolean(result)
            }
            Node::Array { elements, element, nested } => array(all(elements, env, row)?, *element, *nested)?,
            Node::Subscript { array, subscripts } => {
                let a = array.eval(env, row)?;
                let at = all(subscripts, env, row)?;
                elements::subscript(&a, &at)
            }
            Node::Slice { array, bounds, shape } => {
                let a = array.eval(env, row)?;
                let bounds = all(bounds, env, row)?;
                elements::slice(&a, &bounds, shape)
            }
            Node::SetElements {
                array,
                element,
                bounds,
                shape,
                value,
            } => {
                let a = array.eval(env, row)?;
                let bounds = all(bounds, env, row)?;
                let value = value.eval(env, row)?;
                // jsonb is the one type of these without an element type.
                if *element == 0 {
                    assign_jsonb(&a, &bounds, &value)?
                } else {
                    elements::assign(a, *element, &bounds, shape, value)?
                }
            }
            Node::Field { record, index } => match record.eval(env, row)? {
                // A field that was added after the value was made is NULL.
                Datum::Record(fields) => fields.get(*index).map_or(Datum::Null, |(_, f)| f.clone()),
                _ => Datum::Null,
            },
            Node::Row { names, fields } => {
                let mut out = Vec::with_capacity(fields.len());
                for (ty, f) in fields {
                    out.push((*ty, f.eval(env, row)?));
                }
                Datum::Record(Arc::new(RecordValue {
                    names: names.clone(),
                    fields: out,
                }))
            }
            Node::Subquery(s) => s.eval(env, row)?,
        })
    }
}

/// A jsonb after an assignment to what a path of texts leads to.
fn assign_jsonb(base: &Datum, path: &[Datum], value: &Datum) -> Result<Datum> {
    let base = match base {
        Datum::Jsonb(j) => Some(j),
        _ => None,
    };
    let mut steps = Vec::with_capacity(path.len());
    for step in path {
        let Datum::Text(step) = step else {
            return Err(SqlError::new(
                SqlState::new("22004"),
                "jsonb subscript in assignment must not be null",
            ));
        };
        steps.push(&**step);
    }
    let value = match value {
        Datum::Jsonb(j) => j.clone(),
        _ => Json::Null,
    };
    curia_functions::jsonb_assign(base, &steps, &value).map(Datum::Jsonb)
}

pub(crate) fn all(nodes: &[Node], env: Env<'_>, row: &[Datum]) -> Result<Vec<Datum>> {
    nodes.iter().map(|n| n.eval(env, row)).collect()
}

/// Builds ARRAY[...]; nested arrays must agree in shape, and a NULL among them has the shape of an empty one.
pub(crate) fn array(values: Vec<Datum>, element: u32, nested: bool) -> Result<Datum> {
    if !nested {
        return Ok(Datum::list(element, values));
    }
    let empty = ArrayValue::of(element, Vec::new());
    let mut parts = Vec::with_capacity(values.len());
    for value in &values {
        parts.push(match value {
            Datum::Array(a) => a.as_ref(),
            _ => &empty,
        });
    }
    Ok(Datum::Array(Arc::new(ArrayValue::stack(element, &parts)?)))
}
