//! Parts of values: `a[1]`, `a[1:2]`, `json['a']`, and assignments to them (`SET a[1] = ..`, `INSERT INTO t (a[1])`).

use crate::binder::{Binder, at};
use crate::coerce::type_text;
use crate::ir::*;
use crate::operator::operator;
use crate::scope::Scope;
use crate::walk::location;
use curia_functions::CastContext;
use curia_parse::ast::{self, Indirection};
use curia_types::array::MAX_DIMENSIONS;
use curia_types::{Datum, PgType, Result, SqlError, SqlState, oid, type_info};

/// Bound subscripts of one container.
struct Subscripts {
    bounds: Vec<Expr>,
    shape: Vec<Bounds>,
}

impl Subscripts {
    fn is_slice(&self) -> bool {
        self.shape.iter().any(|b| *b != Bounds::Index)
    }
}

impl Binder<'_> {
    /// `base[..][..]`
    pub(crate) fn subscript(&self, base: &ast::Expr, subscripts: &[ast::Subscript], scope: &Scope<'_>, pos: u32) -> Result<Expr> {
        let array = self.expr(base, scope)?;
        if is_jsonb(array.ty) {
            let path = Expr {
                kind: ExprKind::Array(self.jsonb_path(subscripts, scope, pos)?),
                ty: PgType::TEXT_ARRAY,
                position: at(pos),
            };
            return self.binary(&operator("#>"), array, path, pos);
        }
        if let ([ast::Subscript::Index(index)], oid::NAME) = (subscripts, array.ty.oid) {
            return self.character(array, index, scope, pos);
        }
        let element = element_type(array.ty).map_err(|e| e.at(at(pos)))?;
        let subscripts = self.subscripts(subscripts, scope)?;
        Ok(fetch(array, element, subscripts, at(pos)))
    }

    /// `name[i]`, counted from 0: a name's character as "char".
    fn character(&self, name: Expr, index: &ast::Expr, scope: &Scope<'_>, pos: u32) -> Result<Expr> {
        let wrong = || SqlError::new(SqlState::DATATYPE_MISMATCH, "array subscript must have type integer");
        let index = self.expr(index, scope)?;
        let position = location(&index);
        let index = self.coerce(index, PgType::INT4, CastContext::Assignment)?;
        let index = index.ok_or_else(|| wrong().at(position))?;
        let one = || self.constant(Datum::Int4(1), PgType::INT4, None);
        let from = self.binary(&operator("+"), index, one(), pos)?;
        let text = self.implicit(name, oid::TEXT)?;
        let part = self.named_call("substr", vec![text, from, one()], pos)?;
        let char = self.coerce(part, PgType::with_typmod(oid::CHAR, -1), CastContext::Explicit)?;
        char.ok_or_else(|| SqlError::internal("text is no character"))
    }

    fn subscripts(&self, subscripts: &[ast::Subscript], scope: &Scope<'_>) -> Result<Subscripts> {
        if subscripts.len() > MAX_DIMENSIONS {
            let message = format!(
                "number of array dimensions ({}) exceeds the maximum allowed ({MAX_DIMENSIONS})",
                subscripts.len()
            );
            return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message));
        }
        let mut out = Subscripts {
            bounds: Vec::with_capacity(subscripts.len()),
            shape: Vec::with_capacity(subscripts.len()),
        };
        for s in subscripts {
            let (low, high) = match s {
                ast::Subscript::Index(e) => {
                    out.shape.push(Bounds::Index);
                    (None, Some(e))
                }
                ast::Subscript::Slice(low, high) => {
                    out.shape.push(Bounds::Slice {
                        low: low.is_some(),
                        high: high.is_some(),
                    });
                    (low.as_ref(), high.as_ref())
                }
            };
            for e in low.into_iter().chain(high) {
                let e = self.expr(e, scope)?;
                let position = location(&e);
                out.bounds
                    .push(self.coerce(e, PgType::INT4, CastContext::Assignment)?.ok_or_else(|| {
                        SqlError::new(SqlState::DATATYPE_MISMATCH, "array subscript must have type integer").at(position)
                    })?);
            }
        }
        Ok(out)
    }

    /// The type that a value must have to be assigned to a part of a column of type `ty`.
    pub(crate) fn part_type(&self, ty: PgType, path: &[Indirection]) -> Result<PgType> {
        path.iter().try_fold(ty, |ty, step| match step {
            Indirection::Field(field) => self.attribute(ty, field, "").map(|(_, ty)| ty),
            Indirection::Subscripts(_) if is_jsonb(ty) => Ok(PgType::JSONB),
            Indirection::Subscripts(s) if s.iter().any(|s| matches!(s, ast::Subscript::Slice(..))) => element_type(ty).map(|_| ty),
            Indirection::Subscripts(_) => element_type(ty),
        })
    }

    /// The value of `base` after assigning `value` to a part of it; with an empty path, `value` itself. `column` is for messages.
    pub(crate) fn assign_part(&self, base: Expr, path: &[Indirection], value: Expr, column: &str, scope: &Scope<'_>) -> Result<Expr> {
        match path.split_first() {
            None => self.assign(value, base.ty, column),
            Some((Indirection::Field(field), rest)) => self.assign_field(base, field, rest, value, column, scope),
            Some((Indirection::Subscripts(subscripts), rest)) if is_jsonb(base.ty) => {
                if let Some(Indirection::Field(field)) = rest.first() {
                    self.attribute(base.ty, field, column)?;
                }
                let bounds = self.jsonb_path(subscripts, scope, 0)?;
                let value = self.assigned(value, PgType::JSONB, column)?;
                Ok(Expr {
                    ty: base.ty,
                    position: None,
                    kind: ExprKind::SetElements {
                        shape: vec![Bounds::Index; bounds.len()],
                        array: Box::new(base),
                        bounds,
                        value: Box::new(value),
                    },
                })
            }
            Some((Indirection::Subscripts(subscripts), rest)) => {
                let element = element_type(base.ty)?;
                let subscripts = self.subscripts(subscripts, scope)?;
                let part = if subscripts.is_slice() { base.ty } else { element };
                let value = if rest.is_empty() {
                    self.assigned(value, part, column)?
                } else {
                    let inner = fetch(
                        base.clone(),
                        element,
                        Subscripts {
                            bounds: subscripts.bounds.clone(),
                            shape: subscripts.shape.clone(),
                        },
                        None,
                    );
                    self.assign_part(inner, rest, value, column, scope)?
                };
                Ok(Expr {
                    ty: base.ty,
                    position: None,
                    kind: ExprKind::SetElements {
                        array: Box::new(base),
                        bounds: subscripts.bounds,
                        shape: subscripts.shape,
                        value: Box::new(value),
                    },
                })
            }
        }
    }

    /// The value of a subscripted assignment, converted to the type of the part.
    fn assigned(&self, value: Expr, part: PgType, column: &str) -> Result<Expr> {
        let (source, position) = (value.ty.oid, location(&value));
        self.coerce(value, part, CastContext::Assignment)?.ok_or_else(|| {
            SqlError::new(
                SqlState::DATATYPE_MISMATCH,
                format!(
                    "subscripted assignment to \"{column}\" requires type {} but expression is of type {}",
                    type_text(part.oid),
                    type_text(source)
                ),
            )
            .hint("You will need to rewrite or cast the expression.")
            .at(position)
        })
    }

    /// Subscripts of a jsonb as texts: keys, or integers.
    fn jsonb_path(&self, subscripts: &[ast::Subscript], scope: &Scope<'_>, pos: u32) -> Result<Vec<Expr>> {
        let mut path = Vec::with_capacity(subscripts.len());
        for s in subscripts {
            let ast::Subscript::Index(e) = s else {
                let message = "jsonb subscript does not support slices";
                return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message).at(at(pos)));
            };
            let e = self.expr(e, scope)?;
            let (source, position) = (e.ty.oid, e.position);
            let implicit = |target| curia_functions::coercion(source, target, CastContext::Implicit).is_some();
            let refused = |detail: &str| {
                SqlError::new(
                    SqlState::DATATYPE_MISMATCH,
                    format!("subscript type {} is not supported", type_text(source)),
                )
                .detail(detail.to_owned())
                .at(position)
            };
            let target = match (source, implicit(oid::INT4), implicit(oid::TEXT)) {
                (oid::UNKNOWN | oid::TEXT, ..) | (_, false, true) => PgType::TEXT,
                (oid::INT4, ..) | (_, true, false) => PgType::INT4,
                (_, true, true) => return Err(refused("jsonb subscript must be coercible to only one type, integer or text.")),
                (_, false, false) => return Err(refused("jsonb subscript must be coercible to either integer or text.")),
            };
            let e = self.implicit(e, target.oid)?;
            let text = self.coerce(e, PgType::TEXT, CastContext::Explicit)?;
            path.push(text.ok_or_else(|| refused("jsonb subscript must be coercible to either integer or text."))?);
        }
        Ok(path)
    }
}

fn is_jsonb(ty: PgType) -> bool {
    type_info::base_type(ty.oid) == oid::JSONB
}

fn element_type(ty: PgType) -> Result<PgType> {
    let base = type_info::base_type(ty.oid);
    let element = type_info::element_of(base)
        .or_else(|| type_info::by_oid(base).map(|t| t.element).filter(|e| *e != 0))
        .filter(|_| base != oid::NAME)
        .ok_or_else(|| {
            SqlError::new(
                SqlState::DATATYPE_MISMATCH,
                format!(
                    "cannot subscript type {} because it does not support subscripting",
                    type_text(ty.oid)
                ),
            )
        })?;
    Ok(PgType {
        oid: element,
        typmod: ty.typmod,
    })
}

fn fetch(array: Expr, element: PgType, subscripts: Subscripts, position: Option<u32>) -> Expr {
    let Subscripts { bounds, shape } = subscripts;
    let slice = shape.iter().any(|b| *b != Bounds::Index);
    let ty = if slice { array.ty } else { element };
    let array = Box::new(array);
    let kind = if slice {
        ExprKind::Slice { array, bounds, shape }
    } else {
        ExprKind::Subscript { array, subscripts: bounds }
    };
    Expr { kind, ty, position }
}
