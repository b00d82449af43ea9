//! GRANT and REVOKE on objects (`aclchk.c`).

use crate::Ddl;
use crate::names::{no_relation, no_schema};
use curia_catalog::privilege::authority::denied;
use curia_catalog::privilege::list::{self, Grant, INVALID_GRANT_OPERATION};
use curia_catalog::privilege::system::LANGUAGES;
use curia_catalog::{Kind, Oid, Relation, Rights};
use curia_parse::ast::{GrantKind, GrantStatement, GrantTarget, Ident, NamedPrivilege};
use curia_types::{Result, SqlError, SqlState};

/// 01007
const PRIVILEGE_NOT_GRANTED: SqlState = SqlState::new("01007");
/// 01006
const PRIVILEGE_NOT_REVOKED: SqlState = SqlState::new("01006");

/// An object with what a statement grants on it.
struct Target {
    object: Oid,
    attnum: i16,
    kind: Kind,
    owner: Oid,
    /// As warnings name it.
    name: String,
    /// As refusals name its kind.
    word: &'static str,
}

/// What a statement grants, before it is known of what kind an object is.
struct Wanted {
    /// ALL
    all: bool,
    rights: Rights,
    /// Privileges on columns; none for all of them.
    columns: Vec<(Option<Rights>, Vec<Ident>)>,
}

impl Ddl<'_> {
    pub(crate) fn grant(&mut self, s: &GrantStatement) -> Result<()> {
        if let Some(grantor) = &s.grantor
            && self.find_role(grantor)? != self.env.role
        {
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "grantor must be current user"));
        }
        let grantees = s.grantees.iter().map(|g| self.grantee(g)).collect::<Result<Vec<_>>>()?;
        let wanted = wanted(s, &s.target)?;
        match &s.target {
            GrantTarget::Tables(names) => {
                for name in names {
                    let system = curia_catalog::system::system_table_named(name.schema().unwrap_or("pg_catalog"), name.name());
                    let object = match (self.lookup(name)?, system) {
                        (Some(Relation::Index(..)), _) => {
                            let message = format!("\"{}\" is an index", name.name());
                            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
                        }
                        (Some(relation), _) => relation.oid(),
                        (None, Some(system)) => system.oid,
                        (None, None) => return Err(no_relation(name)),
                    };
                    self.grant_on_relation(s, &wanted, object, &grantees)?;
                }
                Ok(())
            }
            GrantTarget::Sequences(names) => {
                for name in names {
                    let Relation::Sequence(object) = self.find_relation(name)? else {
                        let message = format!("\"{}\" is not a sequence", name.name());
                        return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
                    };
                    self.grant_on(s, &wanted, object, &grantees)?;
                }
                Ok(())
            }
            GrantTarget::Routines(kind, names) => {
                for name in names {
                    let object = self.granted_routine(*kind, name)?;
                    self.grant_on(s, &wanted, object, &grantees)?;
                }
                Ok(())
            }
            GrantTarget::Schemas(names) => {
                for name in names {
                    let object = self.schema_named(&name.name)?.oid;
                    self.grant_on(s, &wanted, object, &grantees)?;
                }
                Ok(())
            }
            GrantTarget::Databases(names) => {
                for name in names {
                    let missing = || SqlError::new(SqlState::INVALID_CATALOG_NAME, format!("database \"{}\" does not exist", name.name));
                    let object = self.catalog().database(&name.name).ok_or_else(missing)?.oid;
                    self.grant_on(s, &wanted, object, &grantees)?;
                }
                Ok(())
            }
            GrantTarget::Types(names) | GrantTarget::Domains(names) => {
                for name in names {
                    let object = self.type_by_name(name)?;
                    if curia_types::type_info::element_of(object).is_some() {
                        return Err(SqlError::new(INVALID_GRANT_OPERATION, "cannot set privileges of array types")
                            .hint("Set the privileges of the element type instead."));
                    }
                    let catalog = self.catalog();
                    let domain = catalog.types.get(&object).is_some_and(|t| t.domain().is_some());
                    if matches!(s.target, GrantTarget::Domains(_)) && !domain {
                        let message = format!("\"{}\" is not a domain", name.name());
                        return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
                    }
                    self.grant_on(s, &wanted, object, &grantees)?;
                }
                Ok(())
            }
            GrantTarget::Languages(names) => {
                for name in names {
                    let found = LANGUAGES.iter().find(|(_, n)| *n == name.name);
                    let missing = || SqlError::new(SqlState::UNDEFINED_OBJECT, format!("language \"{}\" does not exist", name.name));
                    let (object, _) = found.ok_or_else(missing)?;
                    if name.name != "sql" {
                        return Err(
                            SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("language \"{}\" is not trusted", name.name)).detail(
                                "GRANT and REVOKE are not allowed on untrusted languages, because only superusers can use untrusted languages.",
                            ),
                        );
                    }
                    self.grant_on(s, &wanted, *object, &grantees)?;
                }
                Ok(())
            }
            GrantTarget::Tablespaces(names) => {
                for name in names {
                    let object = match name.name.as_str() {
                        "pg_default" => 1663,
                        "pg_global" => 1664,
                        other => {
                            let message = format!("tablespace \"{other}\" does not exist");
                            return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message));
                        }
                    };
                    self.grant_on(s, &wanted, object, &grantees)?;
                }
                Ok(())
            }
            GrantTarget::All(kind, schemas) => {
                for object in self.all_in(*kind, schemas)? {
                    match kind {
                        GrantKind::Tables => self.grant_on_relation(s, &wanted, object, &grantees)?,
                        _ => self.grant_on(s, &wanted, object, &grantees)?,
                    }
                }
                Ok(())
            }
            GrantTarget::Unsupported(what) => Err(SqlError::unsupported(format!("GRANT and REVOKE on {what}"))),
        }
    }

    /// The objects of a kind in some schemas.
    fn all_in(&self, kind: GrantKind, schemas: &[Ident]) -> Result<Vec<Oid>> {
        let catalog = self.catalog();
        let mut found = Vec::new();
        for name in schemas {
            let schema = catalog.schema(&name.name).ok_or_else(|| no_schema(&name.name))?.oid;
            match kind {
                GrantKind::Tables => {
                    found.extend(catalog.tables.values().filter(|t| t.schema == schema).map(|t| t.oid));
                    found.extend(catalog.views.values().filter(|v| v.schema == schema).map(|v| v.oid));
                }
                GrantKind::Sequences => found.extend(catalog.sequences.values().filter(|q| q.schema == schema).map(|q| q.oid)),
                GrantKind::Functions | GrantKind::Procedures | GrantKind::Routines => {
                    let right = |procedure: bool| match kind {
                        GrantKind::Functions => !procedure,
                        GrantKind::Procedures => procedure,
                        _ => true,
                    };
                    let of = catalog.functions.values().filter(|f| f.schema == schema && right(f.procedure));
                    found.extend(of.map(|f| f.oid));
                }
                GrantKind::Types | GrantKind::Schemas => {}
            }
        }
        Ok(found)
    }

    /// A relation: its own privileges and those of its columns.
    fn grant_on_relation(&mut self, s: &GrantStatement, wanted: &Wanted, object: Oid, grantees: &[Oid]) -> Result<()> {
        let catalog = self.catalog();
        let Some(g) = catalog.granted(object) else { return Ok(()) };
        let (name, owner, kind) = (g.name.to_owned(), g.owner, g.kind);
        let mut rights = wanted.rights;
        if kind == Kind::Sequence {
            if !wanted.all && !Kind::Sequence.all().contains(rights) {
                let message = format!("sequence \"{name}\" only supports USAGE, SELECT, and UPDATE privileges");
                self.warn(INVALID_GRANT_OPERATION, message);
                rights = rights & Kind::Sequence.all();
            }
        } else if !wanted.all && !Kind::Relation.all().contains(rights) {
            return Err(SqlError::new(INVALID_GRANT_OPERATION, "invalid privilege type USAGE for table"));
        }
        if wanted.all {
            rights = kind.all();
        }
        let all = wanted.all;
        let target = |attnum, kind, name| Target {
            object,
            attnum,
            kind,
            owner,
            name,
            word: if g.kind == Kind::Sequence { "sequence" } else { "table" },
        };
        let mut of_columns: Vec<(i16, String, Rights, bool)> = Vec::new();
        let named = self.column_names(object);
        for (right, columns) in &wanted.columns {
            let rights = right.unwrap_or_else(|| Kind::Column.all());
            for column in columns {
                let missing = || {
                    SqlError::new(
                        SqlState::UNDEFINED_COLUMN,
                        format!("column \"{}\" of relation \"{name}\" does not exist", column.name),
                    )
                };
                let (attnum, column) = named.iter().find(|(_, n)| *n == column.name).cloned().ok_or_else(missing)?;
                match of_columns.iter_mut().find(|(n, ..)| *n == attnum) {
                    Some(known) => known.2 |= rights,
                    None => of_columns.push((attnum, column, rights, right.is_none())),
                }
            }
        }
        // What is taken back of the whole is taken back of each column.
        let of_whole = rights & Kind::Column.all();
        if s.revoke && kind == Kind::Relation && !of_whole.is_empty() {
            for (attnum, column) in named {
                if catalog.privileges.contains_key(&(object, attnum)) {
                    match of_columns.iter_mut().find(|(n, ..)| *n == attnum) {
                        Some(known) => known.2 |= of_whole,
                        None => of_columns.push((attnum, column, of_whole, true)),
                    }
                }
            }
        }
        if !rights.is_empty() {
            self.grant_rights(s, &target(0, kind, name.clone()), rights, all, grantees)?;
        }
        of_columns.sort_by_key(|(n, ..)| *n);
        for (attnum, column, rights, all) in of_columns {
            let mut of = target(attnum, Kind::Column, column);
            of.word = "column";
            self.grant_rights(s, &of, rights, all, grantees)?;
        }
        Ok(())
    }

    /// Any other object.
    fn grant_on(&mut self, s: &GrantStatement, wanted: &Wanted, object: Oid, grantees: &[Oid]) -> Result<()> {
        let catalog = self.catalog();
        let (name, owner, kind, word) = match catalog.granted(object) {
            Some(g) => (g.name.to_owned(), g.owner, g.kind, g.word),
            // A function or type of the system's own.
            None => {
                let owner = curia_catalog::lookup::FIRST_ROLE;
                match curia_functions::by_oid(object) {
                    Some(f) => (f.name.to_owned(), owner, Kind::Function, "function"),
                    None => (self.shown_type(object), owner, Kind::Type, "type"),
                }
            }
        };
        let rights = if wanted.all { kind.all() } else { wanted.rights };
        let target = Target {
            object,
            attnum: 0,
            kind,
            owner,
            name,
            word,
        };
        self.grant_rights(s, &target, rights, wanted.all, grantees)
    }

    fn grant_rights(&mut self, s: &GrantStatement, target: &Target, rights: Rights, all: bool, grantees: &[Oid]) -> Result<()> {
        let catalog = self.catalog();
        let roles = catalog.authority();
        let role = self.env.role;
        let items = catalog.acl_or_initial(target.object, target.attnum, target.kind, target.owner);
        let mut known = items.clone();
        let relation = || {
            catalog
                .granted(target.object)
                .map(|g| catalog.acl_or_initial(target.object, 0, g.kind, g.owner))
        };
        if target.kind == Kind::Column {
            // Whoever may give the whole may give its columns.
            known.extend(relation().unwrap_or_default());
        }
        let (grantor, options) = list::best_grantor(roles, &known, role, target.owner, rights);
        if options.is_empty() {
            let any = list::held(roles, &known, grantor) | list::grant_options(roles, &known, grantor, target.owner);
            if !any.intersects(target.kind.all()) {
                return Err(match target.kind {
                    Kind::Column => {
                        let of = catalog.granted(target.object).map_or("", |g| g.name);
                        SqlError::new(
                            SqlState::INSUFFICIENT_PRIVILEGE,
                            format!("permission denied for column \"{}\" of relation \"{of}\"", target.name),
                        )
                    }
                    _ => denied(target.word, &target.name),
                });
            }
        }
        let given = rights & options;
        if given != rights && (given.is_empty() || !all) {
            let of = match target.kind {
                Kind::Column => {
                    let relation = catalog.granted(target.object).map_or("", |g| g.name);
                    format!("column \"{}\" of relation \"{relation}\"", target.name)
                }
                _ => format!("\"{}\"", target.name),
            };
            let (code, message) = match (s.revoke, given.is_empty()) {
                (false, true) => (PRIVILEGE_NOT_GRANTED, format!("no privileges were granted for {of}")),
                (false, false) => (PRIVILEGE_NOT_GRANTED, format!("not all privileges were granted for {of}")),
                (true, true) => (PRIVILEGE_NOT_REVOKED, format!("no privileges could be revoked for {of}")),
                (true, false) => (PRIVILEGE_NOT_REVOKED, format!("not all privileges could be revoked for {of}")),
            };
            self.warn(code, message);
        }
        let grant = Grant {
            revoke: s.revoke,
            option: s.option,
            cascade: s.cascade,
            grantor,
            grantees,
            rights: given,
        };
        let items = list::merged(roles, &items, &grant, target.owner)?;
        self.put_privileges(target.object, target.attnum, items)
    }

    /// Live columns of a relation.
    fn column_names(&self, relation: Oid) -> Vec<(i16, String)> {
        let catalog = self.catalog();
        if let Some(t) = catalog.tables.get(&relation) {
            return t.live_columns().map(|(_, c)| (c.attnum, c.name.clone())).collect();
        }
        if let Some(v) = catalog.views.get(&relation) {
            return (1..).zip(&v.columns).map(|(n, c)| (n, c.name.clone())).collect();
        }
        match curia_catalog::system::system_table(relation) {
            Some(t) => (1..).zip(&t.columns).map(|(n, c)| (n, c.name.to_owned())).collect(),
            None => Vec::new(),
        }
    }

    /// A WARNING for the client.
    pub(crate) fn warn(&mut self, code: SqlState, message: String) {
        self.notices.push(SqlError::new(code, message));
    }
}

/// What a statement names, checked against the kind of its target.
fn wanted(s: &GrantStatement, target: &GrantTarget) -> Result<Wanted> {
    let (allowed, word) = match target {
        GrantTarget::Tables(_) | GrantTarget::All(GrantKind::Tables, _) => (Kind::Relation.all() | Kind::Sequence.all(), "relation"),
        GrantTarget::Sequences(_) | GrantTarget::All(GrantKind::Sequences, _) => (Kind::Sequence.all(), "sequence"),
        GrantTarget::Routines(kind, _) => (Kind::Function.all(), kind.word()),
        GrantTarget::All(GrantKind::Procedures, _) => (Kind::Function.all(), "procedure"),
        GrantTarget::All(GrantKind::Routines, _) => (Kind::Function.all(), "routine"),
        GrantTarget::All(GrantKind::Functions, _) => (Kind::Function.all(), "function"),
        GrantTarget::Schemas(_) | GrantTarget::All(GrantKind::Schemas, _) => (Kind::Schema.all(), "schema"),
        GrantTarget::Databases(_) => (Kind::Database.all(), "database"),
        GrantTarget::Types(_) | GrantTarget::All(GrantKind::Types, _) => (Kind::Type.all(), "type"),
        GrantTarget::Domains(_) => (Kind::Type.all(), "domain"),
        GrantTarget::Languages(_) => (Kind::Language.all(), "language"),
        GrantTarget::Tablespaces(_) => (Kind::Tablespace.all(), "tablespace"),
        GrantTarget::Unsupported(_) => (!Rights::NONE, ""),
    };
    let mut out = Wanted {
        all: s.privileges.is_empty(),
        rights: Rights::NONE,
        columns: Vec::new(),
    };
    for NamedPrivilege { name, columns } in &s.privileges {
        let right = name.as_deref().map(named).transpose()?;
        let refuse = |word: &str| {
            let message = format!("invalid privilege type {} for {word}", name.as_deref().unwrap_or("ALL"));
            Err(SqlError::new(INVALID_GRANT_OPERATION, message))
        };
        if columns.is_empty() {
            let right = right.unwrap_or_default();
            if !allowed.contains(right) {
                return refuse(word);
            }
            out.rights |= right;
            continue;
        }
        if word != "relation" || matches!(target, GrantTarget::All(..)) {
            return Err(SqlError::new(
                INVALID_GRANT_OPERATION,
                "column privileges are only valid for relations",
            ));
        }
        if right.is_some_and(|r| !Kind::Column.all().contains(r)) {
            return refuse("column");
        }
        out.columns.push((right, columns.clone()));
    }
    Ok(out)
}

fn named(name: &str) -> Result<Rights> {
    Rights::named(name).ok_or_else(|| {
        SqlError::new(
            SqlState::SYNTAX_ERROR,
            format!("unrecognized privilege type \"{}\"", name.to_lowercase()),
        )
    })
}

/// The privileges of a statement on a kind of objects.
pub(super) fn rights_of(s: &GrantStatement, kind: Kind) -> Result<Rights> {
    let wanted = wanted(s, &s.target)?;
    Ok(if wanted.all { kind.all() } else { wanted.rights })
}
