//! What every database has: types, functions, operators, casts, access methods, collations, languages, tablespaces.

use super::{Rows, flag, int2, int4, oid_of, oids, text};
use curia_catalog::system::{INFORMATION_SCHEMA, PG_CATALOG};
use curia_catalog::{IndexMethod, opclass};
use curia_functions::{CastContext, CastMethod, Volatility};
use curia_types::{Datum, type_info};

/// The operator class of an index's key: the one that was named, or the default one of the type; 0 when there is none.
pub(super) fn opclass(method: IndexMethod, name: Option<&str>, ty: u32) -> u32 {
    let named = name.and_then(|n| opclass::class_named(method, n, ty)).map(|(c, _)| c);
    named.or_else(|| opclass::default_class(method, ty)).map_or(0, |c| c.oid)
}

/// The collation of an index's key: the one that was named, or the type's.
pub(super) fn collation(name: Option<&str>, ty: u32) -> u32 {
    match name {
        Some("C") => 950,
        Some("POSIX") => 951,
        _ => type_info::by_oid(ty).map_or(0, |t| t.collation),
    }
}

/// Adds the rows of one of these tables.
pub(super) fn produce(name: &str, out: &mut Rows) {
    match name {
        "pg_type" => types(out),
        "pg_proc" => functions(out),
        "pg_operator" => operators(out),
        "pg_cast" => {
            for (i, c) in curia_functions::casts().iter().enumerate() {
                let (function, method) = match c.method {
                    CastMethod::Function(f) => (f, "f"),
                    CastMethod::Relabel => (0, "b"),
                    CastMethod::Io => (0, "i"),
                };
                let context = match c.context {
                    CastContext::Implicit => "i",
                    CastContext::Assignment => "a",
                    CastContext::Explicit => "e",
                };
                out.add(&[
                    ("oid", oid_of(10_100 + i as u32)),
                    ("castsource", oid_of(c.source)),
                    ("casttarget", oid_of(c.target)),
                    ("castfunc", oid_of(function)),
                    ("castcontext", text(context)),
                    ("castmethod", text(method)),
                ]);
            }
        }
        "pg_am" => {
            for (oid, name, handler, kind) in [
                (2, "heap", 3, "t"),
                (403, "btree", 330, "i"),
                (405, "hash", 331, "i"),
                (3580, "brin", 335, "i"),
            ] {
                out.add(&[
                    ("oid", oid_of(oid)),
                    ("amname", text(name)),
                    ("amhandler", oid_of(handler)),
                    ("amtype", text(kind)),
                ]);
            }
        }
        "pg_opclass" => {
            for c in opclass::OPERATOR_CLASSES {
                out.add(&[
                    ("oid", oid_of(c.oid)),
                    ("opcmethod", oid_of(c.method.oid())),
                    ("opcname", text(c.name)),
                    ("opcnamespace", oid_of(11)),
                    ("opcowner", oid_of(10)),
                    ("opcfamily", oid_of(c.family)),
                    ("opcintype", oid_of(c.input)),
                    ("opcdefault", flag(c.default)),
                ]);
            }
        }
        "pg_collation" => {
            for (oid, name, provider, encoding) in [(100, "default", "d", -1), (950, "C", "c", -1), (951, "POSIX", "c", -1)] {
                let locale = if oid == 100 { Datum::Null } else { text(name) };
                out.add(&[
                    ("oid", oid_of(oid)),
                    ("collname", text(name)),
                    ("collnamespace", oid_of(11)),
                    ("collowner", oid_of(10)),
                    ("collprovider", text(provider)),
                    ("collisdeterministic", flag(true)),
                    ("collencoding", int4(encoding)),
                    ("collcollate", locale.clone()),
                    ("collctype", locale),
                ]);
            }
        }
        "pg_language" => {
            for (oid, name, trusted) in [(12, "internal", false), (14, "sql", true)] {
                out.add(&[
                    ("oid", oid_of(oid)),
                    ("lanname", text(name)),
                    ("lanowner", oid_of(10)),
                    ("lanpltrusted", flag(trusted)),
                ]);
            }
        }
        "pg_tablespace" => {
            for (oid, name) in [(1663, "pg_default"), (1664, "pg_global")] {
                out.add(&[("oid", oid_of(oid)), ("spcname", text(name)), ("spcowner", oid_of(10))]);
            }
        }
        // The remaining tables describe objects that do not exist here.
        _ => {}
    }
}

fn types(out: &mut Rows) {
    let proc = |name: &str| oid_of(super::facts::support_named(name).unwrap_or(0));
    for t in type_info::all() {
        out.add(&[
            ("oid", oid_of(t.oid)),
            ("typname", text(t.name)),
            ("typnamespace", oid_of(11)),
            ("typowner", oid_of(10)),
            ("typlen", int2(t.len)),
            ("typbyval", flag(t.by_value)),
            ("typtype", text(t.kind.to_string())),
            ("typcategory", text(t.category.to_string())),
            ("typispreferred", flag(t.preferred)),
            ("typisdefined", flag(true)),
            ("typdelim", text(t.delimiter.to_string())),
            ("typelem", oid_of(t.element)),
            ("typarray", oid_of(t.array)),
            ("typinput", proc(t.input)),
            ("typoutput", proc(t.output)),
            ("typreceive", proc(t.receive)),
            ("typsend", proc(t.send)),
            ("typalign", text(t.align.to_string())),
            ("typstorage", text(t.storage.to_string())),
            ("typtypmod", int4(-1)),
            ("typcollation", oid_of(t.collation)),
        ]);
    }
}

fn functions(out: &mut Rows) {
    for f in curia_functions::functions() {
        let volatility = match f.volatility {
            Volatility::Immutable => "i",
            Volatility::Stable => "s",
            Volatility::Volatile => "v",
        };
        let kind = if f.is_aggregate() {
            "a"
        } else if f.is_window() {
            "w"
        } else {
            "f"
        };
        out.add(&[
            ("oid", oid_of(f.oid)),
            ("proname", text(f.name)),
            (
                "pronamespace",
                oid_of(if f.name.starts_with("_pg_") {
                    INFORMATION_SCHEMA
                } else {
                    PG_CATALOG
                }),
            ),
            ("proowner", oid_of(10)),
            ("prolang", oid_of(12)),
            ("procost", Datum::Float4(1.0)),
            ("prorows", Datum::Float4(if f.set { 1000.0 } else { 0.0 })),
            ("provariadic", oid_of(f.variadic)),
            ("prokind", text(kind)),
            ("proisstrict", flag(f.strict)),
            ("proretset", flag(f.set)),
            ("provolatile", text(volatility)),
            ("proparallel", text("s")),
            ("pronargs", int2(f.args.len() as i64)),
            ("pronargdefaults", int2(f.defaults.len() as i64)),
            ("prorettype", oid_of(f.ret)),
            ("proargtypes", oids(f.args)),
            ("prosrc", text(f.name)),
        ]);
    }
}

fn operators(out: &mut Rows) {
    for o in curia_functions::operator_names().flat_map(curia_functions::operators) {
        out.add(&[
            ("oid", oid_of(o.oid)),
            ("oprname", text(o.name)),
            ("oprnamespace", oid_of(11)),
            ("oprowner", oid_of(10)),
            ("oprkind", text(if o.left == 0 { "l" } else { "b" })),
            ("oprleft", oid_of(o.left)),
            ("oprright", oid_of(o.right)),
            ("oprresult", oid_of(o.result)),
            ("oprcom", oid_of(o.commutator)),
            ("oprnegate", oid_of(o.negator)),
            ("oprcode", oid_of(o.function)),
        ]);
    }
}
