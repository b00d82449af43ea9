//! Functions in SQL, as `pg_proc` and `pg_get_functiondef` show them (`ruleutils.c`).

use super::{CatalogScope, Rows, flag, int2, oid_of, oids, text};
use curia_catalog::{BodyForm, Catalog, Function, Oid, Parameter};
use curia_types::type_info::quote_identifier;
use curia_types::{Datum, PgType, oid, type_info};

/// `pg_language.oid` of SQL.
const SQL: u32 = 14;

/// Rows of `pg_proc`.
pub(super) fn produce(catalog: &Catalog, out: &mut Rows) {
    for f in catalog.functions.values() {
        let inputs = f.input_types();
        let variadic = f
            .inputs()
            .find(|p| p.mode == 'v')
            .map_or(0, |p| type_info::element_of(p.ty.oid).unwrap_or(p.ty.oid));
        let all: Vec<Datum> = f.parameters.iter().map(|p| Datum::Oid(p.ty.oid)).collect();
        let modes = f.parameters.iter().map(|p| text(p.mode.to_string())).collect();
        let names = f.parameters.iter().map(|p| text(&p.name)).collect();
        let plain = f.parameters.iter().all(|p| p.mode == 'i');
        let named = f.parameters.iter().any(|p| !p.name.is_empty());
        let unless = |not: bool, value: Datum| if not { Datum::Null } else { value };
        out.add(&[
            ("oid", oid_of(f.oid)),
            ("proname", text(&f.name)),
            ("pronamespace", oid_of(f.schema)),
            ("proowner", oid_of(f.owner)),
            ("prolang", oid_of(SQL)),
            ("procost", Datum::Float4(f.cost)),
            ("prorows", Datum::Float4(f.rows)),
            ("provariadic", oid_of(variadic)),
            ("prokind", text(if f.procedure { "p" } else { "f" })),
            ("prosecdef", flag(f.security_definer)),
            ("proleakproof", flag(f.leakproof)),
            ("proisstrict", flag(f.strict)),
            ("proretset", flag(f.set)),
            ("provolatile", text(f.volatility.to_string())),
            ("proparallel", text(f.parallel.to_string())),
            ("pronargs", int2(inputs.len() as i64)),
            ("pronargdefaults", int2(f.inputs().filter(|p| p.default.is_some()).count() as i64)),
            ("prorettype", oid_of(f.returns.oid)),
            ("proargtypes", oids(&inputs)),
            ("proallargtypes", unless(plain, Datum::list(oid::OID, all))),
            ("proargmodes", unless(plain, Datum::list(oid::CHAR, modes))),
            ("proargnames", unless(!named, Datum::list(oid::TEXT, names))),
            ("prosrc", text(if f.form == BodyForm::Text { f.body.as_str() } else { "" })),
        ]);
    }
}

/// A type as it is shown, qualified where it is not found by its name alone.
fn shown(scope: &CatalogScope<'_>, ty: Oid) -> String {
    scope.catalog.format_type(scope.search_path, PgType::with_typmod(ty, -1))
}

/// `pg_get_function_arguments`, or, without defaults and columns of the result, `pg_get_function_identity_arguments`.
pub(super) fn arguments(scope: &CatalogScope<'_>, f: &Function, identity: bool) -> String {
    let shown_ones = f
        .parameters
        .iter()
        .filter(|p| p.mode != 't' && !(identity && p.mode == 'o' && !f.procedure));
    let one = |p: &Parameter| {
        let mut out = String::new();
        out.push_str(match p.mode {
            'o' => "OUT ",
            'b' => "INOUT ",
            'v' => "VARIADIC ",
            // A procedure's are told apart from its outputs.
            _ if f.procedure => "IN ",
            _ => "",
        });
        if !p.name.is_empty() {
            out.push_str(&quote_identifier(&p.name));
            out.push(' ');
        }
        out.push_str(&shown(scope, p.ty.oid));
        if let Some(default) = p.default.as_ref().filter(|_| !identity) {
            out.push_str(" DEFAULT ");
            out.push_str(&default_shown(scope, default, p));
        }
        out
    };
    shown_ones.map(one).collect::<Vec<_>>().join(", ")
}

/// A default as an expression of the parameter's type.
pub(super) fn default_shown(scope: &CatalogScope<'_>, default: &str, p: &Parameter) -> String {
    let parsed = curia_parse::parse_expression(default);
    let stored = parsed.and_then(|e| curia_bind::ddl::default_text(scope.catalog, scope.search_path, &e, &p.name, p.ty));
    match stored {
        Ok(stored) => curia_bind::ddl::stored_text_shown(scope.catalog, scope.search_path, &stored, None, false),
        Err(_) => default.to_owned(),
    }
}

/// `pg_get_function_result`; nothing for a procedure.
pub(super) fn result(scope: &CatalogScope<'_>, f: &Function) -> Option<String> {
    if f.procedure {
        return None;
    }
    if f.parameters.iter().any(|p| p.mode == 't') {
        let columns = f.parameters.iter().filter(|p| p.mode == 't');
        let columns: Vec<String> = columns
            .map(|p| format!("{} {}", quote_identifier(&p.name), shown(scope, p.ty.oid)))
            .collect();
        return Some(format!("TABLE({})", columns.join(", ")));
    }
    let set = if f.set { "SETOF " } else { "" };
    Some(format!("{set}{}", shown(scope, f.returns.oid)))
}

/// `pg_get_function_sqlbody`: a body in the standard's form.
pub(super) fn sql_body(f: &Function) -> Option<String> {
    match f.form {
        BodyForm::Text => None,
        BodyForm::Return => Some(format!("RETURN {}", f.body.strip_prefix("SELECT ").unwrap_or(&f.body))),
        BodyForm::Atomic => {
            let body = f.body.trim();
            let lines: String = if body.is_empty() { String::new() } else { format!(" {body};\n") };
            Some(format!("BEGIN ATOMIC\n{lines}END"))
        }
    }
}

/// `pg_get_functiondef`
pub(super) fn definition(scope: &CatalogScope<'_>, f: &Function) -> String {
    let kind = if f.procedure { "PROCEDURE" } else { "FUNCTION" };
    let schema = quote_identifier(scope.catalog.schema_name(f.schema));
    let name = quote_identifier(&f.name);
    let mut out = format!("CREATE OR REPLACE {kind} {schema}.{name}({})\n", arguments(scope, f, false));
    if let Some(result) = result(scope, f) {
        out.push_str(&format!(" RETURNS {result}\n"));
    }
    out.push_str(" LANGUAGE sql\n");
    let mut words = Vec::new();
    match f.volatility {
        'i' => words.push("IMMUTABLE".to_owned()),
        's' => words.push("STABLE".to_owned()),
        _ => {}
    }
    match f.parallel {
        's' => words.push("PARALLEL SAFE".to_owned()),
        'r' => words.push("PARALLEL RESTRICTED".to_owned()),
        _ => {}
    }
    if f.strict {
        words.push("STRICT".to_owned());
    }
    if f.security_definer {
        words.push("SECURITY DEFINER".to_owned());
    }
    if f.leakproof {
        words.push("LEAKPROOF".to_owned());
    }
    if f.cost != 100.0 {
        words.push(format!("COST {}", f.cost));
    }
    if f.set && f.rows != 1000.0 {
        words.push(format!("ROWS {}", f.rows));
    }
    if !words.is_empty() {
        out.push_str(&format!(" {}\n", words.join(" ")));
    }
    match sql_body(f) {
        Some(body) => out.push_str(&format!("{body}\n")),
        None => {
            // A quote that the body does not hold.
            let mut tag = format!("${}", kind.to_lowercase());
            while f.body.contains(&tag) {
                tag.push('x');
            }
            out.push_str(&format!("AS {tag}${}{tag}$\n", f.body));
        }
    }
    out
}
