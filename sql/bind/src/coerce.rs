//! Conversions of types: `parse_coerce.c` (chapter 10 of the manual).

use crate::binder::Binder;
use crate::ir::*;
use crate::walk::location;
use curia_functions::{CastContext, Coercion, Volatility, coercion};
use curia_types::{Datum, PgType, Result, SqlError, SqlState, length, oid, text_io, type_info};

/// A type's name as messages show it.
pub(crate) fn type_text(oid: u32) -> String {
    type_info::format_type(oid, -1)
}

pub(crate) use type_info::{category, is_preferred};

/// The element type of an array, the vectors of the catalogs and domains over arrays among them.
pub(crate) fn element_of(array: u32) -> Option<u32> {
    match type_info::base_type(array) {
        oid::INT2VECTOR => Some(oid::INT2),
        oid::OIDVECTOR => Some(oid::OID),
        other => type_info::element_of(other),
    }
}

/// `can_coerce_type` for one argument.
pub(crate) fn can_coerce(source: u32, target: u32, context: CastContext) -> bool {
    if source == target || target == oid::ANY || source == oid::UNKNOWN {
        return true;
    }
    if type_info::is_polymorphic(target) {
        return match target {
            oid::ANYARRAY | oid::ANYCOMPATIBLEARRAY => element_of(source).is_some(),
            oid::ANYNONARRAY => element_of(source).is_none(),
            oid::ANYENUM => type_info::is_enum(type_info::base_type(source)),
            // Ranges and multiranges do not exist here.
            oid::ANYELEMENT | oid::ANYCOMPATIBLE | 5079 => true,
            _ => false,
        };
    }
    // Whether the fields of a row fit is seen when they are converted.
    if source == oid::RECORD && type_info::is_composite(type_info::base_type(target)) {
        return true;
    }
    coercion(source, target, context).is_some()
}

impl Binder<'_> {
    pub fn constant(&self, value: Datum, ty: PgType, position: Option<u32>) -> Expr {
        Expr {
            kind: ExprKind::Const(value),
            ty,
            position,
        }
    }

    /// A call of a registered function with arguments of its types, folded when it is immutable and all are constants.
    pub fn call_function(&self, function: u32, args: Vec<Expr>, ret: PgType, position: Option<u32>) -> Expr {
        if self.fold
            && args.iter().all(|a| matches!(a.kind, ExprKind::Const(_)))
            && let Some(f) = curia_functions::by_oid(function)
            && f.volatility == Volatility::Immutable
            && !f.set
        {
            let null = f.strict && args.iter().any(|a| matches!(a.kind, ExprKind::Const(Datum::Null)));
            let result = if null { Some(Datum::Null) } else { self.evaluate(f, &args, ret) };
            if let Some(value) = result {
                // Stands for the whole call from now on, so it starts where the call started.
                let start = args.iter().filter_map(|a| a.position).chain(position).min();
                return self.constant(value, ret, start);
            }
        }
        Expr {
            kind: ExprKind::Call { function, args },
            ty: ret,
            position,
        }
    }

    fn evaluate(&self, f: &curia_functions::Function, args: &[Expr], ret: PgType) -> Option<Datum> {
        use curia_functions::{CallTypes, Kernel, PlainContext};
        if !matches!(f.kernel, Kernel::Pure(_) | Kernel::Contextual(_) | Kernel::Typed(_)) {
            return None;
        }
        let values: Vec<Datum> = args
            .iter()
            .filter_map(|a| match &a.kind {
                ExprKind::Const(d) => Some(d.clone()),
                _ => None,
            })
            .collect();
        let types: Vec<PgType> = args.iter().map(|a| a.ty).collect();
        let cx = PlainContext { io: self.cx.io.clone() };
        f.kernel.call(f.oid, &cx, &CallTypes { args: &types, ret }, &values).ok()
    }

    /// Converts to a type and its modifier, where `context` allows it; `None` when there is no conversion there.
    ///
    /// # Errors
    /// Those of reading a literal of the target type, at the literal.
    pub fn coerce(&self, expr: Expr, target: PgType, context: CastContext) -> Result<Option<Expr>> {
        let explicit = context == CastContext::Explicit;
        // A parameter that takes the domain for its type is checked when it is read.
        let takes_type = matches!(expr.kind, ExprKind::Param(_)) && expr.ty.oid == oid::UNKNOWN;
        if type_info::is_domain(target.oid) && expr.ty.oid != target.oid && !takes_type {
            let base = type_info::base_of(target);
            let Some(expr) = self.coerce(expr, base, context)? else {
                return Ok(None);
            };
            return Ok(Some(self.to_domain(expr, target.oid)));
        }
        let Some(expr) = self.coerce_type(expr, target, context)? else {
            return Ok(None);
        };
        self.coerce_typmod(expr, target, explicit).map(Some)
    }

    /// A value of a domain's base type as one of the domain, checked where it is computed; a constant that passes is checked now.
    fn to_domain(&self, expr: Expr, domain: u32) -> Expr {
        let (position, ty) = (expr.position, PgType { oid: domain, typmod: -1 });
        if let ExprKind::Const(value) = &expr.kind
            && self.fold
            && self.cx.io.check_domain(domain, value).is_ok()
        {
            return self.constant(value.clone(), ty, position);
        }
        Expr {
            ty,
            position,
            kind: ExprKind::IoCast(Box::new(expr)),
        }
    }

    /// A row as a value of a composite type: each field becomes its attribute's type (`coerce_record_to_complex`).
    fn to_composite(&self, fields: Vec<Expr>, target: PgType, context: CastContext, position: Option<u32>) -> Result<Expr> {
        let error = |detail: String| {
            SqlError::new(
                SqlState::CANNOT_COERCE,
                format!("cannot cast type record to {}", type_text(target.oid)),
            )
            .detail(detail)
        };
        let attributes = self.cx.io.attributes(target.oid)?;
        if fields.len() != attributes.len() {
            let few = fields.len() < attributes.len();
            return Err(error(format!("Input has too {} columns.", if few { "few" } else { "many" })));
        }
        let mut out = Vec::with_capacity(fields.len());
        for (i, (field, attribute)) in fields.into_iter().zip(attributes.iter()).enumerate() {
            let source = field.ty.oid;
            let converted = self.coerce(field, attribute.ty, context)?;
            out.push(converted.ok_or_else(|| {
                error(format!(
                    "Cannot cast type {} to {} in column {}.",
                    type_text(source),
                    type_text(attribute.ty.oid),
                    i + 1
                ))
            })?);
        }
        Ok(Expr {
            kind: ExprKind::Row(out, None),
            ty: target,
            position,
        })
    }

    fn coerce_type(&self, mut expr: Expr, target: PgType, context: CastContext) -> Result<Option<Expr>> {
        let source = expr.ty.oid;
        if source == target.oid || target.oid == oid::ANY || target.oid == oid::UNKNOWN {
            return Ok(Some(expr));
        }
        let plain = PgType {
            oid: target.oid,
            typmod: -1,
        };
        if source == oid::UNKNOWN {
            let position = expr.position;
            match &mut expr.kind {
                ExprKind::Const(Datum::Null) => {
                    expr.ty = plain;
                    return Ok(Some(expr));
                }
                ExprKind::Const(Datum::Text(text)) => {
                    let value = self.read_literal(text, target, position)?;
                    let ty = if target.oid == oid::INTERVAL { target } else { plain };
                    return Ok(Some(self.constant(value, ty, position)));
                }
                ExprKind::Param(index) => {
                    self.set_param(*index, target.oid, position)?;
                    expr.ty = plain;
                    return Ok(Some(expr));
                }
                _ => {
                    return Ok(Some(Expr {
                        position,
                        ty: plain,
                        kind: ExprKind::IoCast(Box::new(expr)),
                    }));
                }
            }
        }
        if source == oid::RECORD && category(target.oid) != 'S' {
            return match expr.kind {
                ExprKind::Row(fields, _) if type_info::is_composite(target.oid) => {
                    self.to_composite(fields, plain, context, expr.position).map(Some)
                }
                _ => Ok(None),
            };
        }
        if type_info::is_domain(source) {
            // Out of a domain nothing is checked.
            let base = type_info::base_of(expr.ty);
            let relabelled = Expr {
                ty: base,
                position: expr.position,
                kind: match expr.kind {
                    ExprKind::Const(value) => ExprKind::Const(value),
                    _ => ExprKind::Relabel(Box::new(expr)),
                },
            };
            return self.coerce_type(relabelled, target, context);
        }
        let Some(way) = coercion(source, target.oid, context) else {
            return Ok(None);
        };
        Ok(Some(self.convert(
            expr,
            plain,
            way,
            target.typmod,
            context == CastContext::Explicit,
        )))
    }

    fn convert(&self, expr: Expr, target: PgType, way: Coercion, typmod: i32, explicit: bool) -> Expr {
        let position = expr.position;
        match way {
            Coercion::Relabel => {
                if let ExprKind::Const(value) = expr.kind {
                    // int4 and the oid types share their 32 bits, not their form as values.
                    let value = match value {
                        Datum::Int4(v) if curia_types::type_info::is_oid_like(target.oid) => Datum::Oid(v as u32),
                        Datum::Oid(v) if target.oid == curia_types::oid::INT4 => Datum::Int4(v as i32),
                        value => value,
                    };
                    return self.constant(value, target, position);
                }
                // Between string types the modifier means the same, so nothing has to be cut again.
                Expr {
                    ty: target,
                    position,
                    kind: ExprKind::Relabel(Box::new(expr)),
                }
            }
            Coercion::Function(function) => {
                let arity = curia_functions::by_oid(function).map_or(1, |f| f.args.len());
                let mut args = vec![expr];
                if arity > 1 {
                    args.push(self.constant(Datum::Int4(typmod), PgType::INT4, None));
                }
                if arity > 2 {
                    args.push(self.constant(Datum::Bool(explicit), PgType::BOOL, None));
                }
                let ret = curia_functions::by_oid(function).map_or(target.oid, |f| f.ret);
                if ret == curia_types::oid::INT4 && curia_types::type_info::is_oid_like(target.oid) {
                    // int2 becomes an oid by way of int4.
                    let number = self.call_function(function, args, PgType::INT4, position);
                    return self.convert(number, target, Coercion::Relabel, typmod, explicit);
                }
                let ty = if arity > 1 { PgType { oid: target.oid, typmod } } else { target };
                self.call_function(function, args, ty, position)
            }
            // Element conversions go by the array's text, element by element.
            Coercion::Io | Coercion::Array(..) => {
                if let (true, ExprKind::Const(value)) = (self.fold && immutable_text(expr.ty.oid, target.oid), &expr.kind) {
                    if value.is_null() {
                        return self.constant(Datum::Null, target, position);
                    }
                    let text = text_io::to_string(expr.ty, value, self.cx.io);
                    if let Ok(value) = text_io::parse(target, &text, self.cx.io) {
                        return self.constant(value, target, position);
                    }
                }
                Expr {
                    ty: target,
                    position,
                    kind: ExprKind::IoCast(Box::new(expr)),
                }
            }
        }
    }

    /// Applies a type modifier: `coerce_type_typmod`.
    fn coerce_typmod(&self, mut expr: Expr, target: PgType, explicit: bool) -> Result<Expr> {
        if target.typmod < 0 || expr.ty.typmod == target.typmod {
            return Ok(expr);
        }
        let position = expr.position;
        if let ExprKind::Const(value) = &expr.kind
            && self.fold
            && let Ok(value) = length::coerce(target, value.clone(), explicit)
        {
            return Ok(self.constant(value, target, position));
        }
        let element = element_of(target.oid).unwrap_or(target.oid);
        let Some(cast) = curia_functions::cast(element, element) else {
            expr.ty = target;
            return Ok(expr);
        };
        if element != target.oid {
            return Ok(Expr {
                ty: target,
                position,
                kind: ExprKind::IoCast(Box::new(expr)),
            });
        }
        match cast.method {
            curia_functions::CastMethod::Function(f) => Ok(self.convert(expr, target, Coercion::Function(f), target.typmod, explicit)),
            _ => Ok(Expr {
                ty: target,
                position,
                kind: ExprKind::IoCast(Box::new(expr)),
            }),
        }
    }

    /// Reads an unknown literal as a value of a type; the modifier is applied afterwards (an interval's while reading).
    fn read_literal(&self, text: &str, target: PgType, position: Option<u32>) -> Result<Datum> {
        if type_info::is_oid_like(target.oid) {
            return self.read_object_name(text, target.oid).map_err(|e| e.at(position));
        }
        let ty = if target.oid == oid::INTERVAL {
            target
        } else {
            PgType {
                oid: target.oid,
                typmod: -1,
            }
        };
        text_io::parse(ty, text, self.cx.io).map_err(|e| e.at(position))
    }

    /// Converts as an assignment to a column does.
    ///
    /// # Errors
    /// 42804 when the types do not match.
    pub fn assign(&self, expr: Expr, target: PgType, column: &str) -> Result<Expr> {
        let source = expr.ty.oid;
        let mismatch = || {
            SqlError::new(
                SqlState::DATATYPE_MISMATCH,
                format!(
                    "column \"{column}\" is of type {} but expression is of type {}",
                    type_text(target.oid),
                    type_text(source)
                ),
            )
            .hint("You will need to rewrite or cast the expression.")
        };
        if !can_coerce(source, target.oid, CastContext::Assignment) {
            return Err(mismatch().at(location(&expr)));
        }
        let position = expr.position;
        self.coerce(expr, target, CastContext::Assignment)
            .map_err(|e| e.at(position))?
            .ok_or_else(mismatch)
    }

    /// `coerce_to_boolean`: `what` is the construct, such as WHERE.
    pub fn boolean(&self, expr: Expr, what: &str) -> Result<Expr> {
        self.specific(expr, PgType::BOOL, what)
    }

    /// `coerce_to_specific_type`
    pub fn specific(&self, expr: Expr, target: PgType, what: &str) -> Result<Expr> {
        let source = expr.ty.oid;
        let mismatch = || {
            SqlError::new(
                SqlState::DATATYPE_MISMATCH,
                format!(
                    "argument of {what} must be type {}, not type {}",
                    type_text(target.oid),
                    type_text(source)
                ),
            )
        };
        if !can_coerce(source, target.oid, CastContext::Assignment) {
            return Err(mismatch().at(location(&expr)));
        }
        self.coerce(expr, target, CastContext::Assignment)?.ok_or_else(mismatch)
    }

    /// An implicit conversion that the caller knows to exist.
    pub fn implicit(&self, expr: Expr, target: u32) -> Result<Expr> {
        let (source, position) = (expr.ty.oid, expr.position);
        self.coerce(expr, PgType { oid: target, typmod: -1 }, CastContext::Implicit)?
            .ok_or_else(|| {
                SqlError::new(
                    SqlState::CANNOT_COERCE,
                    format!("cannot cast type {} to {}", type_text(source), type_text(target)),
                )
                .at(position)
            })
    }

    /// `select_common_type` of UNION, CASE, VALUES, ARRAY and others; `construct` names it in errors.
    pub fn common_type(&self, types: &[(PgType, Option<u32>)], construct: &str) -> Result<u32> {
        let Some(first) = types.first() else { return Ok(oid::TEXT) };
        if first.0.oid != oid::UNKNOWN && types.iter().all(|t| t.0.oid == first.0.oid) {
            return Ok(first.0.oid);
        }
        let mut chosen = oid::UNKNOWN;
        for (ty, position) in types {
            let t = ty.oid;
            if t == oid::UNKNOWN || t == chosen {
                continue;
            }
            if chosen == oid::UNKNOWN {
                chosen = t;
            } else if category(t) != category(chosen) {
                return Err(SqlError::new(
                    SqlState::DATATYPE_MISMATCH,
                    format!("{construct} types {} and {} cannot be matched", type_text(chosen), type_text(t)),
                )
                .at(*position));
            } else if !is_preferred(chosen) && can_coerce(chosen, t, CastContext::Implicit) && !can_coerce(t, chosen, CastContext::Implicit)
            {
                chosen = t;
            }
        }
        Ok(if chosen == oid::UNKNOWN { oid::TEXT } else { chosen })
    }

    /// The modifier that all of a construct's operands share.
    pub fn common_typmod<'e>(&self, exprs: impl IntoIterator<Item = &'e PgType>, ty: u32) -> i32 {
        let mut typmods = exprs.into_iter().map(|t| if t.oid == ty { t.typmod } else { -1 });
        let Some(first) = typmods.next() else { return -1 };
        if typmods.all(|t| t == first) { first } else { -1 }
    }

    /// `coerce_to_common_type`
    pub fn to_common(&self, expr: Expr, target: PgType, construct: &str) -> Result<Expr> {
        let (source, position) = (expr.ty.oid, expr.position);
        self.coerce(expr, target, CastContext::Implicit)?.ok_or_else(|| {
            SqlError::new(
                SqlState::CANNOT_COERCE,
                format!(
                    "{construct} could not convert type {} to {}",
                    type_text(source),
                    type_text(target.oid)
                ),
            )
            .at(position)
        })
    }

    /// Brings operands of one construct to their common type.
    pub fn unify(&self, exprs: Vec<Expr>, construct: &str) -> Result<(Vec<Expr>, PgType)> {
        let types: Vec<_> = exprs.iter().map(|e| (e.ty, None)).collect();
        let oid = self.common_type(&types, construct).or_else(|_| {
            // Positions cost a walk, so they are looked up for errors only.
            let types: Vec<_> = exprs.iter().map(|e| (e.ty, location(e))).collect();
            self.common_type(&types, construct)
        })?;
        let typmod = self.common_typmod(exprs.iter().map(|e| &e.ty), oid);
        let exprs = exprs
            .into_iter()
            .map(|e| self.to_common(e, PgType { oid, typmod: -1 }, construct))
            .collect::<Result<_>>()?;
        Ok((exprs, PgType { oid, typmod }))
    }
}

/// Whether the text forms of both types depend on no session parameter.
fn immutable_text(source: u32, target: u32) -> bool {
    let fixed = |t: u32| {
        matches!(category(type_info::element_of(t).unwrap_or(t)), 'B' | 'S' | 'X')
            || matches!(
                type_info::element_of(t).unwrap_or(t),
                oid::INT2 | oid::INT4 | oid::INT8 | oid::NUMERIC | oid::UUID
            )
    };
    fixed(source) && fixed(target)
}
