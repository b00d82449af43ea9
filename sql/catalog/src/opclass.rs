//! Operator classes of PostgreSQL 15's index methods, as far as ordered indexes can stand for them (`pg_opclass`).

use crate::object::{IndexMethod, Oid};
use IndexMethod::*;
use curia_types::{oid, type_info};

/// An operator class.
#[derive(Clone, Copy, Debug)]
pub struct OperatorClass {
    /// `pg_opclass.oid`
    pub oid: Oid,
    /// `opcmethod`
    pub method: IndexMethod,
    /// `opcname`
    pub name: &'static str,
    /// `opcfamily`
    pub family: Oid,
    /// `opcintype`
    pub input: Oid,
    /// `opcdefault`
    pub default: bool,
}

const fn class(oid: Oid, method: IndexMethod, name: &'static str, family: Oid, input: Oid, default: bool) -> OperatorClass {
    OperatorClass {
        oid,
        method,
        name,
        family,
        input,
        default,
    }
}

/// All of them.
pub static OPERATOR_CLASSES: &[OperatorClass] = &[
    class(10069, Btree, "enum_ops", 3522, 3500, true),
    class(10070, Hash, "enum_ops", 3523, 3500, true),
    class(10000, Btree, "array_ops", 397, 2277, true),
    class(10003, Btree, "bool_ops", 424, 16, true),
    class(10004, Btree, "bpchar_ops", 426, 1042, true),
    class(10006, Btree, "bytea_ops", 428, 17, true),
    class(10007, Btree, "char_ops", 429, 18, true),
    class(3122, Btree, "date_ops", 434, 1082, true),
    class(10012, Btree, "float4_ops", 1970, 700, true),
    class(3123, Btree, "float8_ops", 1970, 701, true),
    class(1979, Btree, "int2_ops", 1976, 21, true),
    class(1978, Btree, "int4_ops", 1976, 23, true),
    class(3124, Btree, "int8_ops", 1976, 20, true),
    class(10022, Btree, "interval_ops", 1982, 1186, true),
    class(10028, Btree, "name_ops", 1994, 19, true),
    class(3125, Btree, "numeric_ops", 1988, 1700, true),
    class(1981, Btree, "oid_ops", 1989, 26, true),
    class(3126, Btree, "text_ops", 1994, 25, true),
    class(10038, Btree, "time_ops", 1996, 1083, true),
    class(3127, Btree, "timestamptz_ops", 434, 1184, true),
    class(3128, Btree, "timestamp_ops", 434, 1114, true),
    class(10065, Btree, "uuid_ops", 2968, 2950, true),
    class(10044, Btree, "varchar_ops", 1994, 25, false),
    class(4217, Btree, "text_pattern_ops", 2095, 25, false),
    class(4218, Btree, "varchar_pattern_ops", 2095, 25, false),
    class(4219, Btree, "bpchar_pattern_ops", 2097, 1042, false),
    class(10005, Hash, "bpchar_ops", 427, 1042, true),
    class(10008, Hash, "char_ops", 431, 18, true),
    class(10011, Hash, "date_ops", 435, 1082, true),
    class(10013, Hash, "float4_ops", 1971, 700, true),
    class(10014, Hash, "float8_ops", 1971, 701, true),
    class(10019, Hash, "int2_ops", 1977, 21, true),
    class(10020, Hash, "int4_ops", 1977, 23, true),
    class(10021, Hash, "int8_ops", 1977, 20, true),
    class(10023, Hash, "interval_ops", 1983, 1186, true),
    class(10031, Hash, "oid_ops", 1990, 26, true),
    class(10029, Hash, "name_ops", 1995, 19, true),
    class(10037, Hash, "text_ops", 1995, 25, true),
    class(10045, Hash, "varchar_ops", 1995, 25, false),
    class(10039, Hash, "time_ops", 1997, 1083, true),
    class(10030, Hash, "numeric_ops", 1998, 1700, true),
    class(10040, Hash, "timestamptz_ops", 1999, 1184, true),
    class(10046, Hash, "timestamp_ops", 2040, 1114, true),
    class(10048, Hash, "bool_ops", 2222, 16, true),
    class(10049, Hash, "bytea_ops", 2223, 17, true),
    class(10056, Hash, "text_pattern_ops", 2229, 25, false),
    class(10057, Hash, "varchar_pattern_ops", 2229, 25, false),
    class(10058, Hash, "bpchar_pattern_ops", 2231, 1042, false),
    class(10066, Hash, "uuid_ops", 2969, 2950, true),
    class(10092, Brin, "bytea_minmax_ops", 4064, 17, true),
    class(10094, Brin, "char_minmax_ops", 4062, 18, true),
    class(10096, Brin, "name_minmax_ops", 4065, 19, true),
    class(10098, Brin, "int8_minmax_ops", 4054, 20, true),
    class(10101, Brin, "int2_minmax_ops", 4054, 21, true),
    class(10104, Brin, "int4_minmax_ops", 4054, 23, true),
    class(10107, Brin, "text_minmax_ops", 4056, 25, true),
    class(10109, Brin, "oid_minmax_ops", 4068, 26, true),
    class(10115, Brin, "float4_minmax_ops", 4070, 700, true),
    class(10118, Brin, "float8_minmax_ops", 4070, 701, true),
    class(10131, Brin, "bpchar_minmax_ops", 4076, 1042, true),
    class(10133, Brin, "time_minmax_ops", 4077, 1083, true),
    class(10136, Brin, "date_minmax_ops", 4059, 1082, true),
    class(10139, Brin, "timestamp_minmax_ops", 4059, 1114, true),
    class(10142, Brin, "timestamptz_minmax_ops", 4059, 1184, true),
    class(10145, Brin, "interval_minmax_ops", 4078, 1186, true),
    class(10153, Brin, "numeric_minmax_ops", 4055, 1700, true),
    class(10156, Brin, "uuid_minmax_ops", 4081, 2950, true),
];

/// The type by which classes know a type: varchar is text to them, the reg* types are oid, a domain is what it is over.
fn known_as(ty: Oid) -> Oid {
    match type_info::base_type(ty) {
        oid::VARCHAR => oid::TEXT,
        t if type_info::is_enum(t) => oid::ANYENUM,
        t if type_info::element_of(t).is_some() => oid::ANYARRAY,
        t if type_info::is_oid_like(t) => oid::OID,
        t => t,
    }
}

/// The default class of a type.
pub fn default_class(method: IndexMethod, ty: Oid) -> Option<&'static OperatorClass> {
    let ty = known_as(ty);
    OPERATOR_CLASSES.iter().find(|c| c.method == method && c.default && c.input == ty)
}

/// A class by name; the second tells whether it takes a type.
pub fn class_named(method: IndexMethod, name: &str, ty: Oid) -> Option<(&'static OperatorClass, bool)> {
    let found = OPERATOR_CLASSES.iter().find(|c| c.method == method && c.name == name)?;
    Some((found, found.input == known_as(ty)))
}
