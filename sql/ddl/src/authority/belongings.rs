//! What belongs to a role: REASSIGN OWNED, DROP OWNED, and what keeps DROP ROLE from dropping it (`pg_shdepend.c`).

use crate::Ddl;
use curia_catalog::privilege::list::{self, Grant};
use curia_catalog::{Catalog, Change, Class, Kind, Object, Oid, Relation, Rights};
use curia_parse::ast::RoleSpec;
use curia_types::{Result, SqlError, SqlState};

impl Ddl<'_> {
    pub(super) fn reassign_owned(&mut self, from: &[RoleSpec], to: &RoleSpec) -> Result<()> {
        let from = from.iter().map(|r| self.find_role(r)).collect::<Result<Vec<_>>>()?;
        for role in &from {
            if !self.catalog().authority().has(self.env.role, *role) {
                return Err(denied_objects("reassign"));
            }
        }
        let to = self.find_role(to)?;
        if !self.catalog().authority().has(self.env.role, to) {
            return Err(denied_objects("reassign"));
        }
        for role in &from {
            if *role < curia_catalog::FIRST_USER_OID {
                let message = format!(
                    "cannot reassign ownership of objects owned by role {} because they are required by the database system",
                    self.role_name(*role)
                );
                return Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message));
            }
        }
        let catalog = self.catalog();
        for object in owned(&catalog, |owner| from.contains(&owner)) {
            self.change(Change::Put(with_owner(object, to)))?;
        }
        Ok(())
    }

    pub(super) async fn drop_owned(&mut self, roles: &[RoleSpec], cascade: bool) -> Result<()> {
        let roles = roles.iter().map(|r| self.find_role(r)).collect::<Result<Vec<_>>>()?;
        for role in &roles {
            if !self.catalog().authority().has(self.env.role, *role) {
                return Err(denied_objects("drop"));
            }
            if *role < curia_catalog::FIRST_USER_OID {
                let message = format!(
                    "cannot drop objects owned by role {} because they are required by the database system",
                    self.role_name(*role)
                );
                return Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message));
            }
        }
        self.take_back(&roles)?;
        let catalog = self.catalog();
        let is = |owner: Oid| roles.contains(&owner);
        let mut relations: Vec<Relation> = Vec::new();
        relations.extend(catalog.tables.values().filter(|t| is(t.owner)).map(|t| Relation::Table(t.oid)));
        relations.extend(catalog.views.values().filter(|v| is(v.owner)).map(|v| Relation::View(v.oid)));
        let free = catalog.sequences.values().filter(|s| is(s.owner) && s.owned_by.is_none());
        relations.extend(free.map(|s| Relation::Sequence(s.oid)));
        self.drop_relations(relations, Vec::new(), cascade).await?;
        let functions: Vec<Oid> = catalog.functions.values().filter(|f| is(f.owner)).map(|f| f.oid).collect();
        for function in functions {
            self.drop_routine(function)?;
        }
        let types: Vec<Oid> = catalog.types.values().filter(|t| is(t.owner)).map(|t| t.oid).collect();
        self.drop_with_users(types, cascade).await?;
        let schemas: Vec<_> = catalog.schemas.values().filter(|s| is(s.owner)).cloned().collect();
        let contents = self.contents(&schemas);
        if !contents.is_empty() && !cascade {
            return Err(SqlError::new(
                SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
                "cannot drop desired object(s) because other objects depend on them",
            )
            .hint("Use DROP ... CASCADE to drop the dependent objects too."));
        }
        self.drop_with_contents(schemas, contents, cascade).await
    }

    /// Takes back what owners granted to roles, and what will be granted to them.
    fn take_back(&mut self, roles: &[Oid]) -> Result<()> {
        let catalog = self.catalog();
        let all = |grantor| Grant {
            revoke: true,
            option: false,
            cascade: true,
            grantor,
            grantees: roles,
            rights: !Rights::NONE,
        };
        for ((object, attnum), row) in catalog.privileges.iter() {
            let owner = catalog.granted(*object).map_or(0, |g| g.owner);
            if !roles.contains(&owner) && row.items.iter().any(|i| roles.contains(&i.grantee)) {
                let items = list::merged(catalog.authority(), &row.items, &all(owner), owner)?;
                self.put_privileges(*object, *attnum, items)?;
            }
        }
        for d in catalog.default_privileges.values() {
            if roles.contains(&d.role) {
                self.change(Change::drop(Class::DefaultPrivileges, d.oid))?;
            } else if d.items.iter().any(|i| roles.contains(&i.grantee)) {
                let items = list::merged(catalog.authority(), &d.items, &all(d.role), d.role)?;
                self.put_defaults(d, items)?;
            }
        }
        Ok(())
    }

    /// What keeps a role: a line each, as DETAIL has them.
    pub(crate) fn depending_on(&self, role: Oid) -> Vec<String> {
        let catalog = self.catalog();
        let mut found: Vec<(Oid, i16, u8, String)> = Vec::new();
        for object in owned(&catalog, |owner| owner == role) {
            let oid = object.key().oid;
            found.push((oid, 0, 1, format!("owner of {}", self.described_object(oid, 0))));
        }
        for ((object, attnum), row) in catalog.privileges.iter() {
            let owner = catalog.granted(*object).map_or(0, |g| g.owner);
            let named = row.items.iter().any(|i| (i.grantee == role || i.grantor == role) && role != owner);
            if named {
                let what = self.described_object(*object, *attnum);
                found.push((*object, *attnum, 0, format!("privileges for {what}")));
            }
        }
        for d in catalog.default_privileges.values() {
            let word = match d.kind {
                Kind::Relation => "relations",
                Kind::Sequence => "sequences",
                Kind::Function => "functions",
                Kind::Type => "types",
                _ => "schemas",
            };
            let inside = match catalog.schemas.get(&d.schema) {
                Some(s) => format!(" in schema {}", curia_parse::quote_identifier(&s.name)),
                None => String::new(),
            };
            let what = format!(
                "default privileges on new {word} belonging to role {}{inside}",
                curia_parse::quote_identifier(&self.role_name(d.role))
            );
            if d.role == role {
                found.push((d.oid, 0, 1, format!("owner of {what}")));
            } else if d.items.iter().any(|i| i.grantee == role || i.grantor == role) {
                found.push((d.oid, 0, 0, format!("privileges for {what}")));
            }
        }
        found.sort();
        found.into_iter().map(|(.., line)| line).collect()
    }

    /// An object as messages describe it.
    fn described_object(&self, object: Oid, attnum: i16) -> String {
        let catalog = self.catalog();
        let Some(g) = catalog.granted(object) else {
            return format!("function {}", curia_functions::by_oid(object).map_or("", |f| f.name));
        };
        let word = g.word;
        let shown = match (g.kind, g.schema) {
            (Kind::Function, _) => catalog.functions.get(&object).map(|f| self.shown_function(f)).unwrap_or_default(),
            (Kind::Type, _) => self.shown_type(object),
            (_, Some(schema)) => self.shown(schema, g.name),
            (_, None) => curia_parse::quote_identifier(g.name).into_owned(),
        };
        if attnum != 0 {
            let column = match (catalog.tables.get(&object), catalog.views.get(&object)) {
                (Some(t), _) => t.columns.get(attnum as usize - 1).map(|c| c.name.clone()),
                (_, Some(v)) => v.columns.get(attnum as usize - 1).map(|c| c.name.clone()),
                _ => None,
            };
            return format!("column {} of {word} {shown}", column.unwrap_or_default());
        }
        format!("{word} {shown}")
    }
}

/// Objects of owners that `is` says, by kind and OID.
fn owned(catalog: &Catalog, is: impl Fn(Oid) -> bool) -> Vec<Object> {
    let mut found = Vec::new();
    found.extend(catalog.schemas.values().filter(|o| is(o.owner)).map(|o| Object::Schema(o.clone())));
    found.extend(catalog.tables.values().filter(|o| is(o.owner)).map(|o| Object::Table(o.clone())));
    found.extend(catalog.views.values().filter(|o| is(o.owner)).map(|o| Object::View(o.clone())));
    found.extend(
        catalog
            .sequences
            .values()
            .filter(|o| is(o.owner))
            .map(|o| Object::Sequence(o.clone())),
    );
    found.extend(
        catalog
            .functions
            .values()
            .filter(|o| is(o.owner))
            .map(|o| Object::Function(o.clone())),
    );
    found.extend(catalog.types.values().filter(|o| is(o.owner)).map(|o| Object::Type(o.clone())));
    found.extend(
        catalog
            .databases
            .values()
            .filter(|o| is(o.owner))
            .map(|o| Object::Database(o.clone())),
    );
    found
}

fn with_owner(mut object: Object, owner: Oid) -> Object {
    use std::sync::Arc;
    match &mut object {
        Object::Schema(o) => Arc::make_mut(o).owner = owner,
        Object::Table(o) => Arc::make_mut(o).owner = owner,
        Object::View(o) => Arc::make_mut(o).owner = owner,
        Object::Sequence(o) => Arc::make_mut(o).owner = owner,
        Object::Function(o) => Arc::make_mut(o).owner = owner,
        Object::Type(o) => Arc::make_mut(o).owner = owner,
        Object::Database(o) => Arc::make_mut(o).owner = owner,
        _ => {}
    }
    object
}

fn denied_objects(to: &str) -> SqlError {
    SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, format!("permission denied to {to} objects"))
}
