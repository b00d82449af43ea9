//! What plans ask of the function registry.

use crate::comparison;
use curia_bind::ir::{Expr, ExprKind};
use curia_functions::{AggregateKernel, Function, Kernel, Volatility};
use curia_types::{PgType, Result, SqlError, type_info};

pub use comparison::is_plain_equality;

/// A function by OID.
pub fn function(oid: u32) -> Result<&'static Function> {
    curia_functions::by_oid(oid).ok_or_else(|| SqlError::unsupported(format!("function with OID {oid}")))
}

/// Volatility of one step of an expression, its operands apart.
pub fn volatility(expr: &Expr) -> Volatility {
    match &expr.kind {
        ExprKind::Call { function, .. } => curia_functions::by_oid(*function).map_or(Volatility::Volatile, |f| f.volatility),
        ExprKind::IoCast(_) => Volatility::Stable,
        _ => Volatility::Immutable,
    }
}

/// The element type of an array type.
pub fn element_type(array: u32) -> Result<u32> {
    type_info::element_of(array)
        .or_else(|| type_info::by_oid(array).map(|t| t.element).filter(|e| *e != 0))
        .ok_or_else(|| SqlError::internal(format!("type {array} is no array type")))
}

/// Whether a type is compared as bpchar.
pub fn is_bpchar(ty: PgType) -> bool {
    ty.oid == curia_types::oid::BPCHAR
}

/// An aggregate's name and code by OID.
pub fn aggregate(oid: u32) -> Result<(&'static str, &'static AggregateKernel)> {
    let f = function(oid)?;
    match f.kernel {
        Kernel::Aggregate(kernel) => Ok((f.name, kernel)),
        _ => Err(SqlError::internal(format!("{} is no aggregate", f.name))),
    }
}
