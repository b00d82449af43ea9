//! What a role may do: by being a superuser, by membership, by owning, by what is granted.
//!
//! ```text
//!   superuser ─────────────────────────────▶ everything
//!   role ──member of, inheriting──▶ roles ──own the object──▶ everything with it
//!                                        └──are granted it───▶ that; what PUBLIC is granted, everybody
//! ```

use super::list;
use super::system;
use super::{AclItem, Kind, Rights};
use crate::lookup::{CURIA, INFORMATION_SCHEMA, PG_CATALOG, PUBLIC};
use crate::object::{Oid, Role};
use crate::system::{system_table, system_tables};
use crate::version::Catalog;
use curia_types::{Result, SqlError, SqlState};

/// Questions about roles alone.
#[derive(Clone, Copy)]
pub struct Roles<'a>(&'a Catalog);

impl<'a> Roles<'a> {
    fn get(self, role: Oid) -> Option<&'a Role> {
        self.0.roles.get(&role).map(|r| &**r)
    }

    /// Whether it is a superuser.
    pub fn is_superuser(self, role: Oid) -> bool {
        self.get(role).is_some_and(|r| r.superuser)
    }

    /// The roles that a role is a member of, itself first; `inherited` leaves out those beyond a role that does not inherit.
    fn closure(self, role: Oid, inherited: bool) -> Vec<Oid> {
        let mut found = vec![role];
        let mut at = 0;
        while let Some(one) = found.get(at).copied() {
            at += 1;
            let Some(r) = self.get(one) else { continue };
            if inherited && !r.inherit {
                continue;
            }
            for m in &r.member_of {
                if !found.contains(&m.role) {
                    found.push(m.role);
                }
            }
            if r.oid != system::DATABASE_OWNER
                && self.0.databases.values().any(|d| d.owner == one)
                && !found.contains(&system::DATABASE_OWNER)
            {
                found.push(system::DATABASE_OWNER);
            }
        }
        found
    }

    /// The roles whose privileges a role has (`roles_is_member_of`, as it inherits).
    pub fn held_by(self, role: Oid) -> Vec<Oid> {
        self.closure(role, true)
    }

    /// Whether a role has the privileges of another without SET ROLE.
    pub fn has(self, role: Oid, of: Oid) -> bool {
        role == of || self.is_superuser(role) || self.closure(role, true).contains(&of)
    }

    /// Whether a role may become another.
    pub fn is_member(self, role: Oid, of: Oid) -> bool {
        role == of || self.is_superuser(role) || self.is_member_itself(role, of)
    }

    /// Whether a role is a member of another, superusers too only when they are.
    pub fn is_member_itself(self, role: Oid, of: Oid) -> bool {
        role == of || self.closure(role, false).contains(&of)
    }

    /// Whether a role may grant membership in another.
    pub fn is_admin(self, role: Oid, of: Oid) -> bool {
        if self.is_superuser(role) {
            return true;
        }
        self.closure(role, false)
            .iter()
            .filter_map(|r| self.get(*r))
            .any(|r| r.member_of.iter().any(|m| m.role == of && m.admin))
    }
}

/// An object on which something can be granted.
#[derive(Clone, Debug, PartialEq)]
pub struct Granted<'a> {
    /// What it is.
    pub kind: Kind,
    /// As messages call its kind: `table`, `view`, ..
    pub word: &'static str,
    /// Its name.
    pub name: &'a str,
    /// Its owner.
    pub owner: Oid,
    /// Its schema, if it is in one.
    pub schema: Option<Oid>,
}

impl Catalog {
    /// Questions about roles.
    pub fn authority(&self) -> Roles<'_> {
        Roles(self)
    }

    /// An object by its OID.
    pub fn granted(&self, object: Oid) -> Option<Granted<'_>> {
        let one = |kind, word, name, owner, schema| {
            Some(Granted {
                kind,
                word,
                name,
                owner,
                schema,
            })
        };
        if let Some(t) = self.tables.get(&object) {
            let word = if t.materialized.is_some() { "materialized view" } else { "table" };
            return one(Kind::Relation, word, t.name.as_str(), t.owner, Some(t.schema));
        }
        if let Some(v) = self.views.get(&object) {
            return one(Kind::Relation, "view", &v.name, v.owner, Some(v.schema));
        }
        if let Some(s) = self.sequences.get(&object) {
            return one(Kind::Sequence, "sequence", &s.name, s.owner, Some(s.schema));
        }
        if let Some(s) = self.schemas.get(&object) {
            return one(Kind::Schema, "schema", &s.name, s.owner, None);
        }
        if let Some(f) = self.functions.get(&object) {
            let word = if f.procedure { "procedure" } else { "function" };
            return one(Kind::Function, word, &f.name, f.owner, Some(f.schema));
        }
        if let Some(t) = self.types.get(&object) {
            return one(Kind::Type, "type", &t.name, t.owner, Some(t.schema));
        }
        if let Some(d) = self.databases.get(&object) {
            return one(Kind::Database, "database", &d.name, d.owner, None);
        }
        let owner = crate::lookup::FIRST_ROLE;
        if let Some(t) = system_table(object) {
            return one(
                Kind::Relation,
                if t.kind == 'v' { "view" } else { "table" },
                t.name,
                owner,
                Some(t.schema),
            );
        }
        if let Some(name) = system::language(object) {
            return one(Kind::Language, "language", name, owner, None);
        }
        if let Some(name) = system::tablespace(object) {
            return one(Kind::Tablespace, "tablespace", name, owner, None);
        }
        None
    }

    /// What is granted on an object or column, if anything was granted or revoked, or PostgreSQL does so to begin with.
    pub fn acl(&self, object: Oid, attnum: i16) -> Option<Vec<AclItem>> {
        if let Some(p) = self.privileges.get(&(object, attnum)) {
            return Some(p.items.clone());
        }
        if attnum != 0 {
            return None;
        }
        let owner = crate::lookup::FIRST_ROLE;
        if let Some(schema) = self.schemas.get(&object)
            && [PUBLIC, PG_CATALOG, INFORMATION_SCHEMA, CURIA].contains(&object)
        {
            return Some(system::schema_acl(schema.owner));
        }
        system_table(object).and_then(|t| system::table_acl(t, owner))
    }

    /// What is granted on an object, what PostgreSQL grants on every object of the kind counted.
    pub fn acl_or_initial(&self, object: Oid, attnum: i16, kind: Kind, owner: Oid) -> Vec<AclItem> {
        self.acl(object, attnum).unwrap_or_else(|| kind.initial(owner))
    }

    /// What a role may do with an object as a whole.
    pub fn rights(&self, role: Oid, object: Oid) -> Rights {
        match self.granted(object) {
            Some(g) => self.rights_on(role, object, g.kind, g.owner),
            None => !Rights::NONE,
        }
    }

    /// What a role may do with an object whose kind and owner are known.
    pub fn rights_on(&self, role: Oid, object: Oid, kind: Kind, owner: Oid) -> Rights {
        let roles = self.authority();
        if roles.is_superuser(role) {
            return kind.all();
        }
        let mut found = list::held(roles, &self.acl_or_initial(object, 0, kind, owner), role);
        if kind == Kind::Schema && self.is_temporary(object) {
            // A session's own temporary schema takes what the database lets it make.
            found |= kind.all();
        }
        if matches!(kind, Kind::Relation | Kind::Sequence | Kind::Schema) {
            found |= self.predefined_rights(role, object, kind);
        }
        found
    }

    /// What `pg_read_all_data` and `pg_write_all_data` bring.
    fn predefined_rights(&self, role: Oid, object: Oid, kind: Kind) -> Rights {
        let roles = self.authority();
        let mut found = Rights::NONE;
        let system = kind == Kind::Relation && system_table(object).is_some();
        if roles.has(role, system::READ_ALL_DATA) {
            found |= match kind {
                Kind::Schema => Rights::USAGE,
                _ => Rights::SELECT,
            };
        }
        if roles.has(role, system::WRITE_ALL_DATA) {
            found |= match kind {
                Kind::Schema => Rights::USAGE,
                Kind::Relation if !system => Rights::INSERT | Rights::UPDATE | Rights::DELETE,
                Kind::Sequence => Rights::UPDATE,
                _ => Rights::NONE,
            };
        }
        found
    }

    /// What a role may do with one column besides what it may do with the whole.
    pub fn column_rights(&self, role: Oid, relation: Oid, attnum: i16) -> Rights {
        match self.privileges.get(&(relation, attnum)) {
            Some(p) => list::held(self.authority(), &p.items, role),
            None => Rights::NONE,
        }
    }

    /// Attnums of a relation's columns.
    pub fn attnums(&self, relation: Oid) -> Vec<i16> {
        if let Some(t) = self.tables.get(&relation) {
            return t.live_columns().map(|(_, c)| c.attnum).collect();
        }
        if let Some(v) = self.views.get(&relation) {
            return (1..).zip(&v.columns).map(|(n, _)| n).collect();
        }
        if self.sequences.contains_key(&relation) {
            return vec![1, 2, 3];
        }
        match system_tables().iter().find(|t| t.oid == relation) {
            Some(t) => (1..).zip(&t.columns).map(|(n, _)| n).collect(),
            None => Vec::new(),
        }
    }

    /// Whether a role owns an object, or has the privileges of its owner.
    pub fn owns(&self, role: Oid, owner: Oid) -> bool {
        self.authority().has(role, owner)
    }

    /// Refuses what a role may not do with an object.
    ///
    /// # Errors
    /// 42501
    pub fn require(&self, role: Oid, object: Oid, rights: Rights) -> Result<()> {
        match self.granted(object) {
            Some(g) if !self.rights_on(role, object, g.kind, g.owner).contains(rights) => Err(denied(g.word, g.name)),
            _ => Ok(()),
        }
    }
}

/// 42501 of what is not granted; `word` is the object's kind.
pub fn denied(word: &str, name: &str) -> SqlError {
    SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, format!("permission denied for {word} {name}"))
}

/// 42501 of what only an owner may do.
pub fn not_owner(word: &str, name: &str) -> SqlError {
    SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, format!("must be owner of {word} {name}"))
}
