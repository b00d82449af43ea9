//! CREATE SCHEMA, ALTER SCHEMA.

use crate::Ddl;
use crate::names::no_schema;
use curia_catalog::{Change, Schema};
use curia_parse::ast::{AlterSchema, AlterSchemaAction, CreateSchema};
use curia_types::{Result, SqlError, SqlState};

impl Ddl<'_> {
    pub(crate) async fn create_schema(&mut self, s: &CreateSchema) -> Result<()> {
        if !s.elements.is_empty() {
            return Err(SqlError::unsupported("CREATE SCHEMA with schema elements"));
        }
        let owner = match &s.authorization {
            Some(role) => self.find_role(role)?,
            None => self.env.role,
        };
        let name = match &s.name {
            Some(name) => name.name.clone(),
            None => self.catalog().roles.get(&owner).map(|r| r.name.clone()).unwrap_or_default(),
        };
        check_name(&name)?;
        self.lock_name(0, &format!("schema {name}")).await?;
        if self.catalog().schema(&name).is_some() {
            let exists = SqlError::new(SqlState::DUPLICATE_SCHEMA, format!("schema \"{name}\" already exists"));
            if !s.if_not_exists {
                return Err(exists);
            }
            self.notices
                .push(SqlError::new(SqlState::DUPLICATE_SCHEMA, format!("{}, skipping", exists.message())));
            return Ok(());
        }
        let oid = self.new_oid()?;
        self.change(Change::put(Schema { oid, name, owner }))
    }

    pub(crate) async fn alter_schema(&mut self, s: &AlterSchema) -> Result<()> {
        let old = self
            .catalog()
            .schema(&s.name.name)
            .cloned()
            .ok_or_else(|| no_schema(&s.name.name))?;
        let mut new = (*old).clone();
        match &s.action {
            AlterSchemaAction::OwnerTo(role) => new.owner = self.find_role(role)?,
            AlterSchemaAction::RenameTo(name) => {
                check_name(&name.name)?;
                self.lock_name(0, &format!("schema {}", name.name)).await?;
                if self.catalog().schema(&name.name).is_some() {
                    return Err(SqlError::new(
                        SqlState::DUPLICATE_SCHEMA,
                        format!("schema \"{}\" already exists", name.name),
                    ));
                }
                new.name = name.name.clone();
            }
        }
        self.change(Change::put(new))
    }
}

fn check_name(name: &str) -> Result<()> {
    if name.starts_with("pg_") {
        return Err(
            SqlError::new(SqlState::RESERVED_NAME, format!("unacceptable schema name \"{name}\""))
                .detail("The prefix \"pg_\" is reserved for system schemas."),
        );
    }
    Ok(())
}
