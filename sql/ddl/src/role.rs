//! CREATE ROLE, ALTER ROLE, DROP ROLE. Roles are superusers or not, may log in or not, and have a password; finer privileges do not exist.

use crate::Ddl;
use crate::names::no_role;
use curia_catalog::{Change, Class, Role};
use curia_parse::ast::{RoleOption, RoleSpec, RoleStatement};
use curia_types::{Result, SqlError, SqlState};

impl Ddl<'_> {
    pub(crate) async fn create_role(&mut self, s: &RoleStatement) -> Result<()> {
        self.require_superuser("create role")?;
        let RoleSpec::Name(name) = &s.role else {
            return Err(SqlError::new(SqlState::RESERVED_NAME, "role name is reserved"));
        };
        if name.name.starts_with("pg_") {
            return Err(
                SqlError::new(SqlState::RESERVED_NAME, format!("role name \"{}\" is reserved", name.name))
                    .detail("Role names starting with \"pg_\" are reserved."),
            );
        }
        self.lock_name(0, &format!("role {}", name.name)).await?;
        if self.catalog().role(&name.name).is_some() {
            return Err(SqlError::new(
                SqlState::DUPLICATE_OBJECT,
                format!("role \"{}\" already exists", name.name),
            ));
        }
        let oid = self.new_oid()?;
        let role = Role {
            oid,
            name: name.name.clone(),
            superuser: false,
            login: s.user,
            password: None,
        };
        let role = self.apply_options(role, &s.options)?;
        self.change(Change::put(role))
    }

    pub(crate) async fn alter_role(&mut self, s: &RoleStatement) -> Result<()> {
        let oid = self.find_role(&s.role)?;
        let only_own_password = oid == self.env.role && s.options.iter().all(|o| matches!(o, RoleOption::Password(_)));
        if !only_own_password {
            self.require_superuser("alter role")?;
        }
        let old = self
            .catalog()
            .roles
            .get(&oid)
            .cloned()
            .ok_or_else(|| SqlError::internal("role vanished"))?;
        let role = self.apply_options((*old).clone(), &s.options)?;
        self.change(Change::put(role))
    }

    pub(crate) async fn drop_role(&mut self, names: &[RoleSpec], if_exists: bool) -> Result<()> {
        self.require_superuser("drop role")?;
        for spec in names {
            let RoleSpec::Name(name) = spec else {
                return Err(SqlError::new(
                    SqlState::INVALID_PARAMETER_VALUE,
                    "cannot use special role specifier in DROP ROLE",
                ));
            };
            let catalog = self.catalog();
            let Some(role) = catalog.role(&name.name) else {
                if !if_exists {
                    return Err(no_role(&name.name));
                }
                self.notice(format!("role \"{}\" does not exist, skipping", name.name));
                continue;
            };
            if role.oid == self.env.role {
                return Err(SqlError::new(SqlState::OBJECT_IN_USE, "current user cannot be dropped"));
            }
            if role.oid < curia_catalog::FIRST_USER_OID {
                return Err(SqlError::new(
                    SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
                    format!("cannot drop role {} because it is required by the database system", role.name),
                ));
            }
            let owned = |owner: u32| owner == role.oid;
            let mut owns = Vec::new();
            owns.extend(
                catalog
                    .schemas
                    .values()
                    .filter(|s| owned(s.owner))
                    .map(|s| format!("owner of schema {}", s.name)),
            );
            owns.extend(
                catalog
                    .tables
                    .values()
                    .filter(|t| owned(t.owner))
                    .map(|t| format!("owner of table {}", self.shown(t.schema, &t.name))),
            );
            owns.extend(
                catalog
                    .sequences
                    .values()
                    .filter(|s| owned(s.owner))
                    .map(|s| format!("owner of sequence {}", self.shown(s.schema, &s.name))),
            );
            if !owns.is_empty() {
                return Err(SqlError::new(
                    SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
                    format!("role \"{}\" cannot be dropped because some objects depend on it", role.name),
                )
                .detail(owns.join("\n")));
            }
            self.change(Change::drop(Class::Role, role.oid))?;
        }
        Ok(())
    }

    fn apply_options(&self, mut role: Role, options: &[RoleOption]) -> Result<Role> {
        for option in options {
            match option {
                RoleOption::Superuser(b) => {
                    if role.oid < curia_catalog::FIRST_USER_OID && !b {
                        return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "permission denied to alter role")
                            .detail("The bootstrap user must have the SUPERUSER attribute."));
                    }
                    role.superuser = *b;
                }
                RoleOption::Login(b) => role.login = *b,
                RoleOption::Password(None) => role.password = None,
                RoleOption::Password(Some(p)) if p.is_empty() => role.password = None,
                // A text that already is a verifier is stored as it is, as PostgreSQL does.
                RoleOption::Password(Some(p)) if p.starts_with("SCRAM-SHA-256$") => role.password = Some(p.clone()),
                RoleOption::Password(Some(p)) => role.password = Some((self.env.verifier)(p)?),
                // Without finer privileges these say nothing that could be refused later; inheriting is the only behaviour there is.
                RoleOption::Inherit(true) | RoleOption::CreateDb(false) | RoleOption::CreateRole(false) => {}
                RoleOption::Replication(false) | RoleOption::BypassRls(false) | RoleOption::ConnectionLimit(-1) => {}
                RoleOption::Inherit(false) => return Err(SqlError::unsupported("NOINHERIT")),
                RoleOption::CreateDb(true) => return Err(SqlError::unsupported("CREATEDB")),
                RoleOption::CreateRole(true) => return Err(SqlError::unsupported("CREATEROLE")),
                RoleOption::Replication(true) => return Err(SqlError::unsupported("REPLICATION")),
                RoleOption::BypassRls(true) => return Err(SqlError::unsupported("BYPASSRLS")),
                RoleOption::ConnectionLimit(_) => return Err(SqlError::unsupported("CONNECTION LIMIT")),
                RoleOption::ValidUntil(_) => return Err(SqlError::unsupported("VALID UNTIL")),
                RoleOption::Membership(_) => return Err(SqlError::unsupported("role membership")),
            }
        }
        Ok(role)
    }

    fn require_superuser(&self, to: &str) -> Result<()> {
        match self.catalog().roles.get(&self.env.role) {
            Some(role) if role.superuser => Ok(()),
            _ => Err(SqlError::new(
                SqlState::INSUFFICIENT_PRIVILEGE,
                format!("permission denied to {to}"),
            )),
        }
    }
}
