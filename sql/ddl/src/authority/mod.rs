//! Who may do what: GRANT and its kin, and what definitions ask of the role that makes them.
//!
//! - Here: the questions (is it an owner, may it create there), and what follows an object that is made, given away or dropped.
//! - `grant`: GRANT and REVOKE on objects.
//! - `defaults`: ALTER DEFAULT PRIVILEGES.
//! - `membership`: GRANT and REVOKE of roles.
//! - `settings`: parameters that sessions start with.
//! - `belongings`: REASSIGN OWNED, DROP OWNED, and what keeps a role from being dropped.

mod belongings;
mod defaults;
mod grant;
mod membership;
mod settings;

use crate::Ddl;
use crate::names::no_role;
use curia_catalog::privilege::authority::{denied, not_owner};
use curia_catalog::privilege::list;
use curia_catalog::{Change, Class, Kind, Object, Oid, Privileges, Relation, Rights, Table};
use curia_parse::ast::{AuthorityStatement, RoleSpec};
use curia_types::{Result, SqlError, SqlState};

impl Ddl<'_> {
    /// GRANT and its kin.
    pub(crate) async fn authority(&mut self, s: &AuthorityStatement) -> Result<()> {
        match s {
            AuthorityStatement::Grant(s) => self.grant(s),
            AuthorityStatement::Membership(s) => self.change_membership(s),
            AuthorityStatement::DefaultPrivileges { roles, schemas, grant } => self.default_privileges(roles, schemas, grant),
            AuthorityStatement::Settings { .. } => self.start_settings(s),
            AuthorityStatement::RenameRole { from, to } => self.rename_role(from, to).await,
            AuthorityStatement::DatabaseOwner { name, owner } => {
                let catalog = self.catalog();
                let missing = || SqlError::new(SqlState::INVALID_CATALOG_NAME, format!("database \"{}\" does not exist", name.name));
                let mut database = (**catalog.database(&name.name).ok_or_else(missing)?).clone();
                database.owner = self.new_owner(database.oid, owner)?;
                self.change(Change::put(database))
            }
            AuthorityStatement::ReassignOwned { from, to } => self.reassign_owned(from, to),
            AuthorityStatement::DropOwned { roles, cascade } => self.drop_owned(roles, *cascade).await,
        }
    }

    /// Whether the current role is a superuser.
    pub(crate) fn is_superuser(&self) -> bool {
        self.catalog().authority().is_superuser(self.env.role)
    }

    /// Refuses what only a superuser may do.
    pub(crate) fn must_be_superuser(&self, to: &str) -> Result<()> {
        if self.is_superuser() {
            return Ok(());
        }
        Err(SqlError::new(
            SqlState::INSUFFICIENT_PRIVILEGE,
            format!("must be superuser to {to}"),
        ))
    }

    /// Refuses what only an object's owner may do.
    pub(crate) fn must_own(&self, object: Oid) -> Result<()> {
        let catalog = self.catalog();
        match catalog.granted(object) {
            Some(g) if !catalog.owns(self.env.role, g.owner) => Err(not_owner(g.word, g.name)),
            _ => Ok(()),
        }
    }

    /// The same of a relation of any kind: an index belongs to its table's owner.
    pub(crate) fn must_own_relation(&self, relation: Relation) -> Result<()> {
        let Relation::Index(table, index) = relation else {
            return self.must_own(relation.oid());
        };
        let table = self.table(table)?;
        if self.catalog().owns(self.env.role, table.owner) {
            return Ok(());
        }
        let name = table.index(index).map_or("", |i| i.name.as_str());
        Err(not_owner("index", name))
    }

    /// Refuses DROP to who owns neither an object nor its schema.
    pub(crate) fn may_drop(&self, object: Oid) -> Result<()> {
        let catalog = self.catalog();
        let schema = catalog.granted(object).and_then(|g| g.schema).and_then(|s| catalog.schemas.get(&s));
        if schema.is_some_and(|s| catalog.owns(self.env.role, s.owner)) {
            return Ok(());
        }
        self.must_own(object)
    }

    /// DROP of a relation of any kind.
    pub(crate) fn may_drop_relation(&self, relation: Relation) -> Result<()> {
        let Relation::Index(table, _) = relation else {
            return self.may_drop(relation.oid());
        };
        match self.may_drop(table) {
            Ok(()) => Ok(()),
            Err(_) => self.must_own_relation(relation),
        }
    }

    /// Refuses what is not granted.
    pub(crate) fn must_have(&self, object: Oid, rights: Rights) -> Result<()> {
        self.catalog().require(self.env.role, object, rights)
    }

    /// Refuses a foreign key to columns that the role may not refer to.
    pub(crate) fn may_reference(&self, table: &Table, columns: &[usize]) -> Result<()> {
        let refused = self.must_have(table.oid, Rights::REFERENCES);
        let catalog = self.catalog();
        let of_column = |c: &usize| {
            let attnum = table.columns[*c].attnum;
            catalog.column_rights(self.env.role, table.oid, attnum).contains(Rights::REFERENCES)
        };
        if refused.is_err() && columns.iter().all(of_column) {
            return Ok(());
        }
        refused
    }

    /// Refuses columns of types that the role may not use.
    pub(crate) fn must_use_type(&self, ty: Oid) -> Result<()> {
        let ty = curia_types::type_info::element_of(ty).unwrap_or(ty);
        if self.is_superuser() || !self.catalog().types.contains_key(&ty) {
            return Ok(());
        }
        match self.must_have(ty, Rights::USAGE) {
            Ok(()) => Ok(()),
            Err(_) => Err(denied("type", &self.shown_type(ty))),
        }
    }

    /// The role that an object is given to, when it may be given.
    pub(crate) fn new_owner(&self, object: Oid, to: &RoleSpec) -> Result<Oid> {
        let new = self.find_role(to)?;
        let catalog = self.catalog();
        let Some(g) = catalog.granted(object) else { return Ok(new) };
        if g.owner == new || self.is_superuser() {
            return Ok(new);
        }
        if !catalog.owns(self.env.role, g.owner) {
            return Err(not_owner(g.word, g.name));
        }
        if !catalog.authority().is_member(self.env.role, new) {
            return Err(not_member(self.role_name(new).as_str()));
        }
        match (g.kind, g.schema) {
            (_, Some(schema)) => catalog.require(new, schema, Rights::CREATE)?,
            (Kind::Schema, None) => {
                let database = catalog.databases.keys().next().copied().unwrap_or(0);
                self.must_have(database, Rights::CREATE)?;
            }
            (Kind::Database, None) if !self.attributes().create_db => {
                return Err(SqlError::new(
                    SqlState::INSUFFICIENT_PRIVILEGE,
                    "permission denied to change owner of database",
                ));
            }
            _ => {}
        }
        Ok(new)
    }

    /// The current role.
    pub(crate) fn attributes(&self) -> curia_catalog::Role {
        self.catalog().roles.get(&self.env.role).map(|r| (**r).clone()).unwrap_or_default()
    }

    /// A role's name.
    pub(crate) fn role_name(&self, role: Oid) -> String {
        self.catalog().roles.get(&role).map(|r| r.name.clone()).unwrap_or_default()
    }

    /// A role, or everybody.
    fn grantee(&self, role: &RoleSpec) -> Result<Oid> {
        match role {
            RoleSpec::Public => Ok(curia_catalog::PUBLIC_ROLE),
            other => self.find_role(other),
        }
    }

    /// Writes what is granted on an object or column.
    fn put_privileges(&mut self, object: Oid, attnum: i16, items: Vec<curia_catalog::AclItem>) -> Result<()> {
        // Columns without any are as they were before the first GRANT.
        if attnum != 0 && items.is_empty() {
            return self.change(Change::Drop(curia_catalog::ObjectKey {
                class: Class::Privileges,
                oid: object,
                sub: attnum,
            }));
        }
        self.change(Change::put(Privileges { object, attnum, items }))
    }

    /// What follows a change of an object: privileges go with it, and come with a new one.
    pub(crate) fn privileges_after(&self, change: &Change) -> Vec<Change> {
        let catalog = self.catalog();
        let key = change.key();
        let of_class = matches!(
            key.class,
            Class::Table | Class::View | Class::Sequence | Class::Schema | Class::Function | Class::Type | Class::Database
        );
        if !of_class {
            return Vec::new();
        }
        let rows = || catalog.privileges.range((key.oid, i16::MIN)..=(key.oid, i16::MAX));
        let gone = |sub| {
            Change::Drop(curia_catalog::ObjectKey {
                class: Class::Privileges,
                oid: key.oid,
                sub,
            })
        };
        let object = match change {
            Change::Drop(_) => {
                let mut gone: Vec<Change> = rows().map(|((_, sub), _)| gone(*sub)).collect();
                if key.class == Class::Schema {
                    let inside = catalog.default_privileges.values().filter(|d| d.schema == key.oid);
                    gone.extend(inside.map(|d| Change::drop(Class::DefaultPrivileges, d.oid)));
                }
                return gone;
            }
            Change::Put(object) => object,
        };
        let Some((kind, owner, schema)) = made(object) else {
            return Vec::new();
        };
        let Some(old) = catalog.granted(key.oid) else {
            let items = defaults::of_new(&catalog, kind, owner, schema);
            let row = items.map(|items| {
                Change::put(Privileges {
                    object: key.oid,
                    attnum: 0,
                    items,
                })
            });
            return row.into_iter().collect();
        };
        let mut after = Vec::new();
        if let Object::Table(table) = object {
            let dropped = table.columns.iter().filter(|c| c.dropped).map(|c| c.attnum);
            after.extend(dropped.filter(|n| catalog.privileges.contains_key(&(key.oid, *n))).map(gone));
        }
        if old.owner != owner {
            after.extend(rows().map(|(_, row)| {
                Change::put(Privileges {
                    items: list::with_new_owner(&row.items, old.owner, owner),
                    ..(**row).clone()
                })
            }));
        }
        after
    }
}

/// What an object is that a change puts.
fn made(object: &Object) -> Option<(Kind, Oid, Option<Oid>)> {
    Some(match object {
        Object::Table(o) => (Kind::Relation, o.owner, Some(o.schema)),
        Object::View(o) => (Kind::Relation, o.owner, Some(o.schema)),
        Object::Sequence(o) => (Kind::Sequence, o.owner, Some(o.schema)),
        Object::Function(o) => (Kind::Function, o.owner, Some(o.schema)),
        Object::Type(o) => (Kind::Type, o.owner, Some(o.schema)),
        Object::Schema(o) => (Kind::Schema, o.owner, None),
        Object::Database(o) => (Kind::Database, o.owner, None),
        _ => return None,
    })
}

/// 42501 of what only members may do.
pub(crate) fn not_member(role: &str) -> SqlError {
    SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, format!("must be member of role \"{role}\""))
}

/// The name of a role that is to be made or renamed.
pub(crate) fn new_role_name(role: &RoleSpec) -> Result<String> {
    let name = match role {
        RoleSpec::Name(name) => name.name.clone(),
        RoleSpec::Public => "public".to_owned(),
        RoleSpec::CurrentUser => return Err(reserved("current_user")),
        RoleSpec::SessionUser => return Err(reserved("session_user")),
    };
    if name == "public" || name == "none" {
        let position = match role {
            RoleSpec::Name(name) => Some(name.pos),
            _ => None,
        };
        return Err(SqlError::new(SqlState::RESERVED_NAME, format!("role name \"{name}\" is reserved")).at(position));
    }
    if name.starts_with("pg_") {
        return Err(SqlError::new(SqlState::RESERVED_NAME, format!("role name \"{name}\" is reserved"))
            .detail("Role names starting with \"pg_\" are reserved."));
    }
    Ok(name)
}

fn reserved(word: &str) -> SqlError {
    SqlError::new(
        SqlState::RESERVED_NAME,
        format!("{} cannot be used as a role name here", word.to_uppercase()),
    )
}

/// A role that a statement names and changes: not one by key word PUBLIC.
pub(crate) fn refuse_public(role: &RoleSpec) -> Result<()> {
    if *role == RoleSpec::Public {
        return Err(no_role("public"));
    }
    Ok(())
}
