//! CREATE SCHEMA, ALTER SCHEMA.

use crate::authority::not_member;
use crate::names::no_schema;
use crate::{Ddl, Environment};
use curia_catalog::{Change, Oid, Rights, Schema};
use curia_parse::Statement;
use curia_parse::ast::{AlterSchema, AlterSchemaAction, CreateSchema, Persistence};
use curia_types::{Result, SqlError, SqlState};

impl Ddl<'_> {
    pub(crate) async fn create_schema(&mut self, s: &CreateSchema) -> Result<()> {
        let owner = match &s.authorization {
            Some(role) => self.find_role(role)?,
            None => self.env.role,
        };
        let database = self.catalog().databases.keys().next().copied().unwrap_or(0);
        self.must_have(database, Rights::CREATE)?;
        if !self.catalog().authority().is_member(self.env.role, owner) {
            return Err(not_member(&self.role_name(owner)));
        }
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
        self.change(Change::put(Schema {
            oid,
            name: name.clone(),
            owner,
        }))?;
        self.create_elements(&name, owner, &s.elements).await
    }

    /// Creates what stands inside CREATE SCHEMA, in the order that PostgreSQL puts it, with the new schema first on the search path.
    async fn create_elements(&mut self, schema: &str, owner: Oid, elements: &[Statement]) -> Result<()> {
        let mut ordered = Vec::with_capacity(elements.len());
        for element in elements {
            let (rank, name, temporary) = match element {
                Statement::CreateSequence(c) => (0, Some(&c.name), c.persistence == Persistence::Temporary),
                Statement::CreateTable(c) => (1, Some(&c.name), c.persistence == Persistence::Temporary),
                Statement::CreateView(c) => (2, Some(&c.name), c.temporary),
                Statement::CreateIndex(_) => (3, None, false),
                Statement::Authority(_) => (4, None, false),
                other => return Err(SqlError::unsupported(format!("{} inside CREATE SCHEMA", other.tag()))),
            };
            if temporary {
                let message = "cannot create temporary relation in non-temporary schema";
                return Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message));
            }
            if let Some(other) = name.and_then(|n| n.schema())
                && other != schema
            {
                return Err(SqlError::new(
                    SqlState::INVALID_SCHEMA_DEFINITION,
                    format!("CREATE specifies a schema ({other}) different from the one being created ({schema})"),
                ));
            }
            ordered.push((rank, element));
        }
        ordered.sort_by_key(|(rank, _)| *rank);
        let search_path: Vec<String> = std::iter::once(schema.to_owned())
            .chain(self.env.search_path.iter().cloned())
            .collect();
        let env = Environment {
            search_path: &search_path,
            temporary_first: false,
            role: owner,
            ..self.env
        };
        let mut inner = Ddl::new(self.tx, env, self.queries);
        for (_, element) in ordered {
            Box::pin(inner.run(element)).await?;
        }
        let notices = std::mem::take(&mut inner.notices);
        self.notices.extend(notices);
        self.refresh_catalog();
        Ok(())
    }

    pub(crate) async fn alter_schema(&mut self, s: &AlterSchema) -> Result<()> {
        let old = self
            .catalog()
            .schema(&s.name.name)
            .cloned()
            .ok_or_else(|| no_schema(&s.name.name))?;
        let mut new = (*old).clone();
        match &s.action {
            AlterSchemaAction::OwnerTo(role) => new.owner = self.new_owner(old.oid, role)?,
            AlterSchemaAction::RenameTo(name) => {
                self.must_own(old.oid)?;
                let database = self.catalog().databases.keys().next().copied().unwrap_or(0);
                self.must_have(database, Rights::CREATE)?;
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
