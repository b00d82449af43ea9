//! `has_table_privilege` and its kin, `pg_has_role`, `acldefault` (`acl.c`).

use super::{CatalogScope, text};
use curia_catalog::privilege::list;
use curia_catalog::{AclItem, Catalog, Kind, Oid, PUBLIC_ROLE, Relation, Rights};
use curia_types::{Datum, PgType, Result, SqlError, SqlState, oid};

/// What is asked for: any of these, with or without the right to give it on.
type Asked = Vec<(Rights, bool)>;

/// Computes one of these functions; `None` when it is another one.
pub(super) fn call(scope: &CatalogScope<'_>, function: &str, args: &[Datum]) -> Option<Result<Datum>> {
    let catalog = scope.catalog;
    let known = match function {
        "acldefault" => return Some(Ok(default_acl(catalog, args))),
        "aclexplode" => return Some(exploded(catalog, &args[0])),
        "makeaclitem" => return Some(made_item(catalog, args)),
        "pg_has_role" => return Some(has_role(scope, args)),
        "has_table_privilege" | "has_column_privilege" | "has_any_column_privilege" => Kind::Relation,
        "has_sequence_privilege" => Kind::Sequence,
        "has_schema_privilege" => Kind::Schema,
        "has_database_privilege" => Kind::Database,
        "has_function_privilege" => Kind::Function,
        "has_type_privilege" => Kind::Type,
        "has_language_privilege" => Kind::Language,
        "has_tablespace_privilege" => Kind::Tablespace,
        _ => return None,
    };
    Some(has(scope, function, known, args))
}

fn has(scope: &CatalogScope<'_>, function: &str, kind: Kind, args: &[Datum]) -> Result<Datum> {
    let catalog = scope.catalog;
    let of_column = function == "has_column_privilege";
    let (role, rest) = match args.len() - usize::from(of_column) {
        2 => (scope.role, args),
        _ => (role(catalog, &args[0])?, &args[1..]),
    };
    let Some(object) = object(scope, kind, &rest[0])? else {
        return Ok(Datum::Null);
    };
    let allowed = match function {
        "has_any_column_privilege" | "has_column_privilege" => Kind::Column.all(),
        // A sequence is a relation too.
        "has_table_privilege" => Kind::Relation.all(),
        _ => kind.all(),
    };
    let asked = asked(&rest[rest.len() - 1], allowed)?;
    let (granted_kind, owner) = match catalog.granted(object) {
        Some(g) => (g.kind, g.owner),
        None => (kind, curia_catalog::lookup::FIRST_ROLE),
    };
    if kind == Kind::Sequence && granted_kind != Kind::Sequence {
        let name = catalog.granted(object).map_or("", |g| g.name);
        return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{name}\" is not a sequence")));
    }
    let roles = catalog.authority();
    let whole = |(right, option): &(Rights, bool)| {
        if *option {
            let items = catalog.acl_or_initial(object, 0, granted_kind, owner);
            return list::grant_options(roles, &items, role, owner).contains(*right);
        }
        roles.is_superuser(role) || catalog.rights_on(role, object, granted_kind, owner).contains(*right)
    };
    let column = |attnum: i16, (right, option): &(Rights, bool)| match catalog.privileges.get(&(object, attnum)) {
        Some(p) if *option => list::grant_options(roles, &p.items, role, owner).contains(*right),
        Some(_) => catalog.column_rights(role, object, attnum).contains(*right),
        None => false,
    };
    let found = match function {
        "has_column_privilege" => {
            let Some(attnum) = attnum(catalog, object, &rest[1])? else {
                return Ok(Datum::Null);
            };
            asked.iter().any(|a| whole(a) || column(attnum, a))
        }
        "has_any_column_privilege" => {
            let attnums = catalog.attnums(object);
            asked.iter().any(|a| whole(a) || attnums.iter().any(|n| column(*n, a)))
        }
        _ => asked.iter().any(whole),
    };
    Ok(Datum::Bool(found))
}

fn has_role(scope: &CatalogScope<'_>, args: &[Datum]) -> Result<Datum> {
    let catalog = scope.catalog;
    let (who, rest) = match args {
        [_, _, _] => (role(catalog, &args[0])?, &args[1..]),
        _ => (scope.role, args),
    };
    let of = role(catalog, &rest[0])?;
    let Datum::Text(words) = &rest[1] else { return Ok(Datum::Null) };
    let roles = catalog.authority();
    for word in words.split(',').map(|w| w.trim().to_uppercase()) {
        let found = match word.as_str() {
            "USAGE" => roles.has(who, of),
            "MEMBER" => roles.is_member(who, of),
            "USAGE WITH GRANT OPTION" | "USAGE WITH ADMIN OPTION" | "MEMBER WITH GRANT OPTION" | "MEMBER WITH ADMIN OPTION" => {
                roles.is_admin(who, of)
            }
            _ => return Err(unrecognized(word.as_str(), words)),
        };
        if found {
            return Ok(Datum::Bool(true));
        }
    }
    Ok(Datum::Bool(false))
}

fn unrecognized(word: &str, words: &str) -> SqlError {
    // As it was written.
    let written = words.split(',').map(str::trim).find(|w| w.to_uppercase() == word).unwrap_or(word);
    SqlError::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("unrecognized privilege type: \"{written}\""),
    )
}

fn asked(words: &Datum, allowed: Rights) -> Result<Asked> {
    let Datum::Text(words) = words else { return Ok(Vec::new()) };
    let mut out = Vec::new();
    for word in words.split(',').map(|w| w.trim().to_uppercase()) {
        let (name, option) = match word.strip_suffix(" WITH GRANT OPTION") {
            Some(name) => (name, true),
            None => (word.as_str(), false),
        };
        match Rights::named(name) {
            Some(right) if allowed.contains(right) => out.push((right, option)),
            // RULE is a privilege that there was once.
            None if name == "RULE" && allowed == Kind::Relation.all() => {}
            _ => return Err(unrecognized(&word, words)),
        }
    }
    Ok(out)
}

/// A role by name or OID; `public` is everybody.
fn role(catalog: &Catalog, value: &Datum) -> Result<Oid> {
    match value {
        Datum::Text(name) if &**name == "public" => Ok(PUBLIC_ROLE),
        Datum::Text(name) => catalog
            .role(name)
            .map(|r| r.oid)
            .ok_or_else(|| SqlError::new(SqlState::UNDEFINED_OBJECT, format!("role \"{name}\" does not exist"))),
        other => Ok(number(other)),
    }
}

fn number(value: &Datum) -> Oid {
    crate::order::integer(value).map_or(0, |v| v as Oid)
}

/// An object by name, or by an OID that may be nobody's.
fn object(scope: &CatalogScope<'_>, kind: Kind, value: &Datum) -> Result<Option<Oid>> {
    let catalog = scope.catalog;
    let Datum::Text(name) = value else {
        let object = number(value);
        let there = catalog.granted(object).is_some()
            || (kind == Kind::Function && curia_functions::by_oid(object).is_some())
            || (kind == Kind::Type && curia_types::type_info::by_oid(object).is_some());
        return Ok(there.then_some(object));
    };
    let missing = |code, what: &str| Err(SqlError::new(code, format!("{what} \"{name}\" does not exist")));
    match kind {
        Kind::Relation | Kind::Sequence | Kind::Column => match super::functions::relation_named(scope, name) {
            Some(found) => Ok(Some(found)),
            None => missing(SqlState::UNDEFINED_TABLE, "relation"),
        },
        Kind::Schema => match catalog.schema(name) {
            Some(found) => Ok(Some(found.oid)),
            None => missing(SqlState::INVALID_SCHEMA_NAME, "schema"),
        },
        Kind::Database => match catalog.database(name) {
            Some(found) => Ok(Some(found.oid)),
            None => missing(SqlState::INVALID_CATALOG_NAME, "database"),
        },
        Kind::Language => match curia_catalog::privilege::system::LANGUAGES.iter().find(|(_, n)| *n == &**name) {
            Some((found, _)) => Ok(Some(*found)),
            None => missing(SqlState::UNDEFINED_OBJECT, "language"),
        },
        Kind::Tablespace => match &**name {
            "pg_default" => Ok(Some(1663)),
            "pg_global" => Ok(Some(1664)),
            _ => missing(SqlState::UNDEFINED_OBJECT, "tablespace"),
        },
        Kind::Type => {
            let parsed = curia_parse::parse_type(name)?;
            curia_bind::ddl::resolve_type(catalog, scope.search_path, &parsed).map(|t| Some(t.oid))
        }
        Kind::Function => routine(scope, name).map(Some),
    }
}

/// A routine by its signature.
fn routine(scope: &CatalogScope<'_>, signature: &str) -> Result<Oid> {
    let missing = || SqlError::new(SqlState::UNDEFINED_FUNCTION, format!("function \"{signature}\" does not exist"));
    let (name, rest) = signature
        .split_once('(')
        .ok_or_else(|| SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, "expected a left parenthesis"))?;
    let list = rest
        .trim_end()
        .strip_suffix(')')
        .ok_or_else(|| SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, "expected a right parenthesis"))?;
    let mut types = Vec::new();
    for one in list.split(',').map(str::trim).filter(|t| !t.is_empty()) {
        let parsed = curia_parse::parse_type(one)?;
        types.push(curia_bind::ddl::resolve_type(scope.catalog, scope.search_path, &parsed)?.oid);
    }
    let parts = super::functions::split_name(name.trim());
    let (path, bare): (Vec<String>, &str) = match parts.as_slice() {
        [schema, name] => (vec![schema.clone()], name),
        [name] => (scope.search_path.to_vec(), name),
        _ => return Err(missing()),
    };
    let built_in = parts.len() == 1 || path[0] == "pg_catalog";
    if built_in && let Some(f) = curia_functions::candidates(bare).iter().find(|f| f.args == types) {
        return Ok(f.oid);
    }
    let found = scope.catalog.functions_named(&path, bare);
    let found = found.iter().find(|f| f.input_types() == types);
    found.map(|f| f.oid).ok_or_else(missing)
}

/// A column by name, or by a number that may be nobody's.
fn attnum(catalog: &Catalog, relation: Oid, value: &Datum) -> Result<Option<i16>> {
    let Datum::Text(name) = value else {
        let attnum = number(value) as i16;
        return Ok(catalog.attnums(relation).contains(&attnum).then_some(attnum));
    };
    let found = if let Some(t) = catalog.tables.get(&relation) {
        t.column(name).map(|(_, c)| c.attnum)
    } else if let Some(v) = catalog.views.get(&relation) {
        (1..).zip(&v.columns).find(|(_, c)| c.name == **name).map(|(n, _)| n)
    } else {
        curia_catalog::system::system_table(relation).and_then(|t| t.column(name).map(|i| i as i16 + 1))
    };
    found.map(Some).ok_or_else(|| {
        let relation = match catalog.relation_by_oid(relation) {
            Some((_, name, Relation::Table(_) | Relation::View(_) | Relation::Sequence(_) | Relation::Index(..))) => name,
            None => "",
        };
        SqlError::new(
            SqlState::UNDEFINED_COLUMN,
            format!("column \"{name}\" of relation \"{relation}\" does not exist"),
        )
    })
}

/// `aclitem[]` of a list.
pub(super) fn acl_datum(catalog: &Catalog, items: &[AclItem]) -> Datum {
    let name = |role: Oid| catalog.roles.get(&role).map_or_else(|| role.to_string(), |r| r.name.clone());
    Datum::list(oid::ACLITEM, items.iter().map(|i| text(i.text(name))).collect())
}

fn default_acl(catalog: &Catalog, args: &[Datum]) -> Datum {
    let letter = match &args[0] {
        Datum::Text(t) => t.chars().next(),
        _ => None,
    };
    match letter.and_then(Kind::of_letter) {
        Some(kind) => {
            let mut items = kind.initial(number(&args[1]));
            // `c` stands for a column, which nothing is granted on.
            items.retain(|i| !i.rights.is_empty());
            acl_datum(catalog, &items)
        }
        None => Datum::Null,
    }
}

fn made_item(catalog: &Catalog, args: &[Datum]) -> Result<Datum> {
    let rights = asked(&args[2], !Rights::NONE)?.iter().fold(Rights::NONE, |all, (r, _)| all | *r);
    let item = AclItem {
        grantee: number(&args[0]),
        grantor: number(&args[1]),
        rights,
        options: if args[3] == Datum::Bool(true) { rights } else { Rights::NONE },
    };
    let name = |role: Oid| catalog.roles.get(&role).map_or_else(|| role.to_string(), |r| r.name.clone());
    Ok(text(item.text(name)))
}

/// `aclexplode`: (grantor, grantee, privilege_type, is_grantable), as an array of records.
fn exploded(catalog: &Catalog, acl: &Datum) -> Result<Datum> {
    let Datum::Array(items) = acl else { return Ok(Datum::Null) };
    let plain = |oid| PgType::with_typmod(oid, -1);
    let mut rows = Vec::new();
    for item in &items.elements {
        let Datum::Text(item) = item else { continue };
        let item = read_item(catalog, item)?;
        for (right, word) in item.rights.each() {
            rows.push(Datum::record(vec![
                (plain(oid::OID), Datum::Oid(item.grantor)),
                (plain(oid::OID), Datum::Oid(item.grantee)),
                (plain(oid::TEXT), text(word)),
                (plain(oid::BOOL), Datum::Bool(item.options.contains(right))),
            ]));
        }
    }
    Ok(Datum::list(oid::RECORD, rows))
}

/// An item in its text form (`aclparse`).
fn read_item(catalog: &Catalog, item: &str) -> Result<AclItem> {
    let bad = |what: &str| SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, what.to_owned());
    let (grantee, rest) = read_name(item);
    let rest = rest.strip_prefix('=').ok_or_else(|| bad("missing \"=\" sign"))?;
    let (letters, grantor) = rest.split_once('/').unwrap_or((rest, ""));
    let mut out = AclItem::new(PUBLIC_ROLE, curia_catalog::lookup::FIRST_ROLE, Rights::NONE);
    let mut last = Rights::NONE;
    for letter in letters.chars() {
        if letter == '*' {
            out.options |= last;
            continue;
        }
        let named = curia_catalog::privilege::NAMED.iter().find(|(_, l, _)| *l == letter);
        last = named.map(|(right, ..)| *right).ok_or_else(|| bad("invalid mode character"))?;
        out.rights |= last;
    }
    let find = |name: &str| {
        let missing = || SqlError::new(SqlState::UNDEFINED_OBJECT, format!("role \"{name}\" does not exist"));
        // A role that is gone is shown by its OID.
        let gone = || name.parse().ok();
        catalog.role(name).map(|r| r.oid).or_else(gone).ok_or_else(missing)
    };
    if !grantee.is_empty() {
        out.grantee = find(&grantee)?;
    }
    if !grantor.is_empty() {
        out.grantor = find(&read_name(grantor).0)?;
    }
    Ok(out)
}

/// A role's name, maybe quoted, and what follows it.
fn read_name(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut quoted = false;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' if quoted && chars.peek().is_some_and(|(_, next)| *next == '"') => {
                chars.next();
                name.push('"');
            }
            '"' => quoted = !quoted,
            '=' | '/' if !quoted => return (name, &text[at..]),
            c => name.push(c),
        }
    }
    (name, "")
}
