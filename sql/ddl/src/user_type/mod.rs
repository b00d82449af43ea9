//! CREATE, ALTER and DROP of types and domains.
//!
//! - here: finding a type to change, names of types and of their array types, RENAME, OWNER TO and SET SCHEMA.
//! - `enums`, `domain`, `composite`: what each kind of type has of its own.
//! - `uses`: where a type is used, and DROP.
//!
//! Columns, expressions and other types name a type by OID, so renaming it touches its own row only.

mod composite;
mod domain;
mod enums;
mod uses;

pub(crate) use uses::dropped_form;

use crate::Ddl;
use crate::names::no_schema;
use curia_catalog::{Catalog, Change, Oid, Type, TypeKind, types::array_name};
use curia_parse::ObjectName;
use curia_parse::ast::{AlterType, AlterTypeAction as Action, CreateType, CreateTypeKind, Persistence};
use curia_types::{PgType, Result, SqlError, SqlState, type_info};
use std::sync::Arc;

impl Ddl<'_> {
    pub(crate) async fn create_type(&mut self, s: &CreateType) -> Result<()> {
        match &s.kind {
            CreateTypeKind::Unsupported(feature) => Err(SqlError::unsupported(feature)),
            CreateTypeKind::Enum(labels) => {
                let kind = self.new_enum(labels)?;
                self.add_type(&s.name, kind).await
            }
            CreateTypeKind::Composite(attributes) => {
                let kind = self.new_composite(attributes)?;
                let schema = self.creation_schema(&s.name, Persistence::Permanent)?;
                // Its relation shares a namespace with tables.
                if self.catalog().relation_in(schema.oid, s.name.name()).is_some() {
                    return Err(crate::names::relation_exists(s.name.name()));
                }
                self.add_type(&s.name, kind).await
            }
        }
    }

    /// Adds a type under a new name, with its array type.
    async fn add_type(&mut self, name: &ObjectName, kind: TypeKind) -> Result<()> {
        let schema = self.creation_schema(name, Persistence::Permanent)?.oid;
        self.lock_name(schema, name.name()).await?;
        self.claim_type_name(schema, name.name())?;
        let array_name = free_array_name(&self.catalog(), schema, name.name());
        let ty = Type {
            oid: self.new_oid()?,
            schema,
            name: name.name().to_owned(),
            owner: self.env.role,
            array: self.new_oid()?,
            array_name,
            kind,
        };
        self.change(Change::put(ty))
    }

    /// Makes a name free for a type: an array type that has it takes another one, anything else is in the way.
    pub(crate) fn claim_type_name(&mut self, schema: Oid, name: &str) -> Result<()> {
        let catalog = self.catalog();
        let Some(oid) = catalog.type_in(schema, name) else { return Ok(()) };
        let owner = type_info::element_of(oid).and_then(|element| catalog.types.get(&element));
        match owner {
            Some(owner) => {
                let array_name = free_array_name(&catalog, schema, name);
                self.change(Change::put(Type {
                    array_name,
                    ..(**owner).clone()
                }))
            }
            // The array type of a row type gives way by itself.
            None if type_info::element_of(oid).is_some() => Ok(()),
            None => Err(type_exists(name)),
        }
    }

    /// A type by name: 42704 when there is none.
    pub(crate) fn type_by_name(&self, name: &ObjectName) -> Result<Oid> {
        let found = curia_bind::ddl::find_type(&self.catalog(), self.env.search_path, name).map_err(SqlError::nowhere)?;
        found.ok_or_else(|| no_type(name))
    }

    /// A type by OID as messages name it.
    pub(crate) fn shown_type(&self, oid: Oid) -> String {
        self.catalog().format_type(self.env.search_path, PgType { oid, typmod: -1 })
    }

    /// A user's type by name, to be changed.
    fn changeable_type(&self, name: &ObjectName) -> Result<Arc<Type>> {
        let oid = self.type_by_name(name)?;
        let catalog = self.catalog();
        if let Some(found) = catalog.types.get(&oid) {
            self.must_own(oid)?;
            return Ok(found.clone());
        }
        let wrong = |message: String| SqlError::new(SqlState::WRONG_OBJECT_TYPE, message);
        let shown = self.shown_type(oid);
        if type_info::is_composite(oid) {
            return Err(wrong(format!("{shown} is a table's row type")).hint("Use ALTER TABLE instead."));
        }
        if let Some(element) = type_info::element_of(oid) {
            return Err(wrong(format!("cannot alter array type {shown}")).hint(format!(
                "You can alter type {}, which will alter the array type as well.",
                self.shown_type(element)
            )));
        }
        Err(SqlError::new(
            SqlState::INSUFFICIENT_PRIVILEGE,
            format!("must be owner of type {shown}"),
        ))
    }

    pub(crate) async fn alter_type(&mut self, s: &AlterType) -> Result<()> {
        let oid = self.type_by_name(&s.name)?;
        if s.domain && !type_info::is_domain(oid) {
            return Err(not_a(&self.shown_type(oid), "a domain"));
        }
        let found = self.changeable_type(&s.name)?;
        self.lock_name(found.schema, &found.name).await?;
        let old = self.changeable_type(&s.name)?;
        let mut new = (*old).clone();
        match &s.action {
            Action::RenameTo(name) => self.rename_type(&mut new, &name.name).await?,
            Action::OwnerTo(role) => new.owner = self.new_owner(new.oid, role)?,
            Action::SetSchema(schema) => self.move_type(&mut new, &schema.name).await?,
            Action::AddValue {
                if_not_exists,
                label,
                neighbour,
            } => {
                if !self.add_label(&mut new, *if_not_exists, label, neighbour.as_ref())? {
                    return Ok(());
                }
            }
            Action::RenameValue(from, to) => self.rename_label(&mut new, from, to)?,
            Action::RenameAttribute(from, to) => self.rename_attribute(&mut new, &from.name, &to.name)?,
            Action::Attributes(actions) => {
                for action in actions {
                    self.alter_attribute(&mut new, action)?;
                }
            }
            Action::Options => return Err(SqlError::unsupported("ALTER TYPE .. SET (..)")),
            action => return self.alter_domain(new, action).await,
        }
        self.change(Change::put(new))
    }

    async fn rename_type(&mut self, ty: &mut Type, name: &str) -> Result<()> {
        self.lock_name(ty.schema, name).await?;
        if matches!(ty.kind, TypeKind::Composite { .. }) && self.catalog().relation_in(ty.schema, name).is_some() {
            return Err(crate::names::relation_exists(name));
        }
        self.claim_type_name(ty.schema, name)?;
        name.clone_into(&mut ty.name);
        ty.array_name = free_array_name(&self.catalog(), ty.schema, name);
        Ok(())
    }

    async fn move_type(&mut self, ty: &mut Type, schema: &str) -> Result<()> {
        let catalog = self.catalog();
        let to = catalog.schema(schema).ok_or_else(|| no_schema(schema))?.oid;
        if to == ty.schema {
            return Ok(());
        }
        self.lock_name(to, &ty.name).await?;
        if self.catalog().type_in(to, &ty.name).is_some() {
            return Err(SqlError::new(
                SqlState::DUPLICATE_OBJECT,
                format!("type \"{}\" already exists in schema \"{schema}\"", ty.name),
            ));
        }
        ty.schema = to;
        ty.array_name = free_array_name(&self.catalog(), to, &ty.name);
        Ok(())
    }

    /// The object that COMMENT ON TYPE or DOMAIN is about.
    pub(crate) fn commented_type(&self, name: &ObjectName, domain: bool) -> Result<Oid> {
        let oid = self.type_by_name(name)?;
        if domain && !type_info::is_domain(oid) {
            return Err(not_a(&format!("\"{}\"", name.name()), "a domain"));
        }
        Ok(oid)
    }

    /// The constraint that COMMENT ON CONSTRAINT .. ON DOMAIN is about.
    pub(crate) fn commented_domain_constraint(&self, domain: &ObjectName, name: &str) -> Result<Oid> {
        let oid = self.commented_type(domain, true)?;
        let catalog = self.catalog();
        let checks = catalog.types.get(&oid).and_then(|t| t.domain()).map(|d| &d.checks);
        let found = checks.into_iter().flatten().find(|c| c.name == name);
        found.map(|c| c.oid).ok_or_else(|| {
            SqlError::new(
                SqlState::UNDEFINED_OBJECT,
                format!("constraint \"{name}\" for domain {} does not exist", self.shown_type(oid)),
            )
        })
    }

    /// Refuses a new relation whose row type would take the name of another type.
    pub(crate) fn check_row_type_name(&mut self, schema: Oid, name: &str) -> Result<()> {
        let catalog = self.catalog();
        if catalog
            .types
            .values()
            .any(|t| t.schema == schema && t.name == name && matches!(t.kind, TypeKind::Composite { .. }))
        {
            return Err(crate::names::relation_exists(name));
        }
        self.claim_type_name(schema, name).map_err(|e| {
            e.hint(
                "A relation has an associated type of the same name, so you must use a name that doesn't conflict with any existing type.",
            )
        })
    }
}

/// PostgreSQL's `makeArrayTypeName`: underscores in front of the name until it is free.
fn free_array_name(catalog: &Catalog, schema: Oid, name: &str) -> String {
    let mut found = array_name(name);
    while catalog.type_in(schema, &found).is_some() {
        found = array_name(&found);
    }
    found
}

fn type_exists(name: &str) -> SqlError {
    SqlError::new(SqlState::DUPLICATE_OBJECT, format!("type \"{name}\" already exists"))
}

pub(crate) fn no_type(name: &ObjectName) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_OBJECT, format!("type \"{name}\" does not exist"))
}

fn not_a(shown: &str, what: &str) -> SqlError {
    SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("{shown} is not {what}"))
}
