//! Which conversion leads from one type to another: `find_coercion_pathway` of PostgreSQL's parse_coerce.c.

use crate::{CastContext, CastMethod, cast};
use curia_types::{oid, type_info};

/// A way from one type to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coercion {
    /// Nothing to do, or only a new label.
    Relabel,
    /// A function of the registry: (value), (value, typmod) or (value, typmod, explicit).
    Function(u32),
    /// Text output and input.
    Io,
    /// Each element of an array by this element conversion (source element type, target element type).
    Array(u32, u32),
}

/// How a value of `source` becomes one of `target` where `context` is what the place allows (implicit places allow least).
/// `None`: there is no such conversion there.
pub fn coercion(source: u32, target: u32, context: CastContext) -> Option<Coercion> {
    // A domain converts as what it is over; its checks come on top and are the binder's.
    let (source, target) = (type_info::base_type(source), type_info::base_type(target));
    if source == target || (target == oid::RECORD && type_info::is_composite(source)) {
        return Some(Coercion::Relabel);
    }
    if let Some(c) = cast(source, target) {
        return (c.context <= context).then_some(match c.method {
            CastMethod::Function(f) => Coercion::Function(f),
            CastMethod::Relabel => Coercion::Relabel,
            CastMethod::Io => Coercion::Io,
        });
    }
    // int2vector and oidvector are arrays underneath.
    let source_element = match source {
        oid::INT2VECTOR => Some(oid::INT2),
        oid::OIDVECTOR => Some(oid::OID),
        other => type_info::element_of(other),
    };
    if let (Some(s), Some(t)) = (source_element, type_info::element_of(target)) {
        return match coercion(s, t, context)? {
            Coercion::Relabel if !type_info::is_domain(t) => Some(Coercion::Relabel),
            _ => Some(Coercion::Array(s, t)),
        };
    }
    // Any type to a string by assignment, a string to any type when written.
    if !type_info::is_supported(source) || !type_info::is_supported(target) {
        return None;
    }
    if type_info::category(target) == 'S' && context >= CastContext::Assignment {
        return Some(Coercion::Io);
    }
    if type_info::category(source) == 'S' && context == CastContext::Explicit {
        return Some(Coercion::Io);
    }
    None
}
