//! `information_schema.routines` and `parameters`.

use super::privileges::Asker;
use super::{CatalogScope, Rows, int4, text};
use curia_catalog::{Catalog, Function, Oid};
use curia_types::{Datum, PgType, oid, type_info};

fn yes(b: bool) -> Datum {
    text(if b { "YES" } else { "NO" })
}

/// Type of a value: `data_type`, its schema and its name.
fn type_of(catalog: &Catalog, ty: Oid) -> (Datum, Datum, Datum) {
    let (schema, name) = match (type_info::by_oid(ty), catalog.type_name(ty)) {
        (Some(info), _) => ("pg_catalog", info.name.to_owned()),
        (None, Some((schema, name))) => (catalog.schema_name(schema), name.to_owned()),
        (None, None) => ("pg_catalog", String::new()),
    };
    let shown = if type_info::element_of(ty).is_some() && !matches!(ty, oid::INT2VECTOR | oid::OIDVECTOR) {
        "ARRAY".to_owned()
    } else if schema == "pg_catalog" {
        type_info::format_type(ty, -1)
    } else {
        "USER-DEFINED".to_owned()
    };
    (text(shown), text(schema), text(name))
}

fn may_call(asker: &Asker<'_>, f: &Function) -> bool {
    let c = asker.catalog;
    let kind = curia_catalog::Kind::Function;
    c.owns(asker.role, f.owner)
        || c.rights_on(asker.role, f.oid, kind, f.owner)
            .contains(curia_catalog::Rights::EXECUTE)
}

/// Adds the rows of one of these views; false for another one.
pub(super) fn produce(name: &str, asker: &Asker<'_>, database: &Datum, out: &mut Rows) -> bool {
    match name {
        "routines" => routines(asker, database, out),
        "parameters" => parameters(asker, database, out),
        _ => return false,
    }
    true
}

fn routines(asker: &Asker<'_>, database: &Datum, out: &mut Rows) {
    let catalog = asker.catalog;
    for f in catalog.functions.values().filter(|f| may_call(asker, f)) {
        let schema = text(catalog.schema_name(f.schema));
        let mut row = vec![
            ("specific_catalog", database.clone()),
            ("specific_schema", schema.clone()),
            ("specific_name", text(format!("{}_{}", f.name, f.oid))),
            ("routine_catalog", database.clone()),
            ("routine_schema", schema),
            ("routine_name", text(&f.name)),
            ("routine_type", text(if f.procedure { "PROCEDURE" } else { "FUNCTION" })),
            ("routine_body", text(if f.language == "sql" { "SQL" } else { "EXTERNAL" })),
            ("external_language", text(f.language.to_uppercase())),
            ("parameter_style", text("GENERAL")),
            ("is_deterministic", yes(f.volatility == 'i')),
            ("sql_data_access", text("MODIFIES")),
            ("schema_level_routine", yes(true)),
            ("max_dynamic_result_sets", int4(0)),
            ("security_type", text(if f.security_definer { "DEFINER" } else { "INVOKER" })),
            ("as_locator", yes(false)),
            ("is_udt_dependent", yes(false)),
        ];
        if catalog.owns(asker.role, f.owner) {
            let body = if f.form == curia_catalog::BodyForm::Text {
                f.body.as_str()
            } else {
                ""
            };
            row.push(("routine_definition", text(body)));
        }
        if !f.procedure {
            let (shown, schema, name) = type_of(catalog, f.returns.oid);
            row.extend([
                ("data_type", shown),
                ("type_udt_catalog", database.clone()),
                ("type_udt_schema", schema),
                ("type_udt_name", name),
                ("dtd_identifier", text("0")),
                ("is_null_call", yes(f.strict)),
            ]);
        }
        out.add(&row);
    }
    for f in curia_functions::functions() {
        let (shown, schema, name) = type_of(catalog, f.ret);
        let kind = if f.is_aggregate() || matches!(f.kernel, curia_functions::Kernel::Window(_)) {
            Datum::Null
        } else {
            text("FUNCTION")
        };
        out.add(&[
            ("specific_catalog", database.clone()),
            ("specific_schema", text("pg_catalog")),
            ("specific_name", text(format!("{}_{}", f.name, f.oid))),
            ("routine_catalog", database.clone()),
            ("routine_schema", text("pg_catalog")),
            ("routine_name", text(f.name)),
            ("routine_type", kind),
            ("data_type", shown),
            ("type_udt_catalog", database.clone()),
            ("type_udt_schema", schema),
            ("type_udt_name", name),
            ("dtd_identifier", text("0")),
            ("routine_body", text("EXTERNAL")),
            ("external_language", text("INTERNAL")),
            ("parameter_style", text("GENERAL")),
            ("is_deterministic", yes(f.volatility == curia_functions::Volatility::Immutable)),
            ("sql_data_access", text("MODIFIES")),
            ("is_null_call", yes(f.strict)),
            ("schema_level_routine", yes(true)),
            ("max_dynamic_result_sets", int4(0)),
            ("security_type", text("INVOKER")),
            ("as_locator", yes(false)),
            ("is_udt_dependent", yes(false)),
        ]);
    }
}

fn parameters(asker: &Asker<'_>, database: &Datum, out: &mut Rows) {
    let catalog = asker.catalog;
    let path = ["public".to_owned()];
    let scope = CatalogScope {
        catalog,
        search_path: &path,
        role: asker.role,
        storage_bytes: &|_| 0,
    };
    let mut add = |schema: &str, function: &str, of: Oid, n: i32, mode: &str, name: &str, ty: PgType, default: Option<String>| {
        let (shown, udt_schema, udt_name) = type_of(catalog, ty.oid);
        out.add(&[
            ("specific_catalog", database.clone()),
            ("specific_schema", text(schema)),
            ("specific_name", text(format!("{function}_{of}"))),
            ("ordinal_position", int4(n)),
            ("parameter_mode", text(mode)),
            ("is_result", yes(false)),
            ("as_locator", yes(false)),
            ("parameter_name", if name.is_empty() { Datum::Null } else { text(name) }),
            ("data_type", shown),
            ("udt_catalog", database.clone()),
            ("udt_schema", udt_schema),
            ("udt_name", udt_name),
            ("dtd_identifier", text(n.to_string())),
            ("parameter_default", default.map_or(Datum::Null, text)),
        ]);
    };
    for f in catalog.functions.values().filter(|f| may_call(asker, f)) {
        for (n, p) in (1..).zip(&f.parameters) {
            let mode = match p.mode {
                'o' | 't' => "OUT",
                'b' => "INOUT",
                _ => "IN",
            };
            let owned = catalog.owns(asker.role, f.owner);
            let default = p.default.as_ref().filter(|_| owned);
            let default = default.map(|d| super::routines::default_shown(&scope, d, p));
            add(catalog.schema_name(f.schema), &f.name, f.oid, n, mode, &p.name, p.ty, default);
        }
    }
    for f in curia_functions::functions() {
        let names = curia_functions::argument_names(f.oid);
        for (n, ty) in (1..).zip(f.args.iter()) {
            let name = names.get(n as usize - 1).copied().unwrap_or("");
            add("pg_catalog", f.name, f.oid, n, "IN", name, PgType::with_typmod(*ty, -1), None);
        }
    }
}
