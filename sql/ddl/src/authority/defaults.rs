//! ALTER DEFAULT PRIVILEGES: what is granted on objects when they are made.

use super::grant::rights_of;
use super::not_member;
use crate::Ddl;
use crate::names::no_schema;
use curia_catalog::privilege::list::{self, Grant, INVALID_GRANT_OPERATION};
use curia_catalog::{AclItem, Catalog, Change, Class, DefaultPrivileges, Kind, Oid};
use curia_parse::ast::{GrantKind, GrantStatement, GrantTarget, Ident, RoleSpec};
use curia_types::{Result, SqlError};

impl Ddl<'_> {
    pub(super) fn default_privileges(&mut self, roles: &[RoleSpec], schemas: &[Ident], s: &GrantStatement) -> Result<()> {
        let GrantTarget::All(kind, _) = &s.target else {
            return Err(SqlError::internal("default privileges of no kind of objects"));
        };
        let kind = match kind {
            GrantKind::Tables => Kind::Relation,
            GrantKind::Sequences => Kind::Sequence,
            GrantKind::Functions | GrantKind::Procedures | GrantKind::Routines => Kind::Function,
            GrantKind::Types => Kind::Type,
            GrantKind::Schemas => Kind::Schema,
        };
        let rights = rights_of(s, kind)?;
        let grantees = s.grantees.iter().map(|g| self.grantee(g)).collect::<Result<Vec<_>>>()?;
        let mut makers = Vec::new();
        for role in roles {
            let maker = self.find_role(role)?;
            if !self.catalog().authority().has(self.env.role, maker) {
                return Err(not_member(&self.role_name(maker)));
            }
            makers.push(maker);
        }
        if roles.is_empty() {
            makers.push(self.env.role);
        }
        if kind == Kind::Schema && !schemas.is_empty() {
            return Err(SqlError::new(
                INVALID_GRANT_OPERATION,
                "cannot use IN SCHEMA clause when using GRANT/REVOKE ON SCHEMAS",
            ));
        }
        let mut places = Vec::new();
        for name in schemas {
            places.push(self.catalog().schema(&name.name).ok_or_else(|| no_schema(&name.name))?.oid);
        }
        if schemas.is_empty() {
            places.push(0);
        }
        for role in makers {
            for schema in &places {
                self.set_default(role, *schema, kind, s, rights, &grantees)?;
            }
        }
        Ok(())
    }

    fn set_default(
        &mut self,
        role: Oid,
        schema: Oid,
        kind: Kind,
        s: &GrantStatement,
        rights: curia_catalog::Rights,
        grantees: &[Oid],
    ) -> Result<()> {
        let catalog = self.catalog();
        let old = of(&catalog, role, schema, kind);
        // Those of a schema are granted besides the others.
        let base = if schema == 0 { kind.initial(role) } else { Vec::new() };
        let items = old.map_or_else(|| base.clone(), |d| d.items.clone());
        let grant = Grant {
            revoke: s.revoke,
            option: s.option,
            cascade: s.cascade,
            grantor: role,
            grantees,
            rights,
        };
        let items = list::merged(catalog.authority(), &items, &grant, role)?;
        let row = DefaultPrivileges {
            oid: match old {
                Some(old) => old.oid,
                None => self.new_oid()?,
            },
            role,
            schema,
            kind,
            items: base,
        };
        self.put_defaults(&row, items)
    }

    /// Writes a row with another list, or removes it when that says nothing.
    pub(super) fn put_defaults(&mut self, row: &DefaultPrivileges, items: Vec<AclItem>) -> Result<()> {
        let base = if row.schema == 0 { row.kind.initial(row.role) } else { Vec::new() };
        if same(&items, &base) {
            return self.change(Change::drop(Class::DefaultPrivileges, row.oid));
        }
        self.change(Change::put(DefaultPrivileges { items, ..row.clone() }))
    }
}

fn of(catalog: &Catalog, role: Oid, schema: Oid, kind: Kind) -> Option<&DefaultPrivileges> {
    let mut all = catalog.default_privileges.values();
    all.find(|d| d.role == role && d.schema == schema && d.kind == kind).map(|d| &**d)
}

fn same(a: &[AclItem], b: &[AclItem]) -> bool {
    a.len() == b.len() && a.iter().all(|i| b.contains(i))
}

/// What is granted on a new object; `None` for what PostgreSQL grants on all of the kind.
pub(super) fn of_new(catalog: &Catalog, kind: Kind, owner: Oid, schema: Option<Oid>) -> Option<Vec<AclItem>> {
    if catalog.default_privileges.is_empty() || kind == Kind::Database {
        return None;
    }
    let general = of(catalog, owner, 0, kind);
    let inside = schema.and_then(|s| of(catalog, owner, s, kind));
    if general.is_none() && inside.is_none() {
        return None;
    }
    let initial = kind.initial(owner);
    let mut items = general.map_or_else(|| initial.clone(), |d| d.items.clone());
    for item in inside.iter().flat_map(|d| &d.items) {
        match items.iter_mut().find(|i| i.grantee == item.grantee && i.grantor == item.grantor) {
            Some(known) => {
                known.rights |= item.rights;
                known.options |= item.options;
            }
            None => items.push(*item),
        }
    }
    (!same(&items, &initial)).then_some(items)
}
