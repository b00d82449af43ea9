//! CREATE ROLE, ALTER ROLE, DROP ROLE.

use crate::Ddl;
use crate::authority::{new_role_name, refuse_public};
use crate::names::no_role;
use curia_catalog::{Change, Class, ObjectKey, Role};
use curia_parse::ast::{RoleOption, RoleSpec, RoleStatement};
use curia_types::{Datum, IoContext, PgType, Result, SqlError, SqlState, text_io};

fn denied(message: &str) -> SqlError {
    SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message)
}

impl Ddl<'_> {
    pub(crate) async fn create_role(&mut self, s: &RoleStatement) -> Result<()> {
        refuse_repeated(&s.options)?;
        let has = |wanted: RoleOption| s.options.contains(&wanted);
        if !self.is_superuser() {
            if has(RoleOption::Superuser(true)) {
                return Err(denied("must be superuser to create superusers"));
            }
            if has(RoleOption::Replication(true)) {
                return Err(denied("must be superuser to create replication users"));
            }
            if has(RoleOption::BypassRls(true)) {
                return Err(denied("must be superuser to create bypassrls users"));
            }
            if !self.attributes().create_role {
                return Err(denied("permission denied to create role"));
            }
        }
        let name = new_role_name(&s.role)?;
        self.lock_name(0, &format!("role {name}")).await?;
        self.refuse_role_name(&name)?;
        let oid = self.new_oid()?;
        let role = Role {
            oid,
            name,
            login: s.user,
            ..Role::default()
        };
        let role = self.apply_options(role, &s.options)?;
        self.change(Change::put(role))?;
        let grantor = self.env.role;
        for option in &s.options {
            match option {
                RoleOption::InRole(roles) => {
                    for role in roles {
                        let role = self.find_role(role)?;
                        self.add_members(role, &[oid], grantor, false)?;
                    }
                }
                RoleOption::Members(members, admin) => {
                    let members = members.iter().map(|m| self.find_role(m)).collect::<Result<Vec<_>>>()?;
                    self.add_members(oid, &members, grantor, *admin)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(crate) async fn alter_role(&mut self, s: &RoleStatement) -> Result<()> {
        refuse_repeated(&s.options)?;
        refuse_public(&s.role)?;
        let oid = self.find_role(&s.role)?;
        let missing = || SqlError::internal("role vanished");
        let old = self.catalog().roles.get(&oid).cloned().ok_or_else(missing)?;
        let any = |is: fn(&RoleOption) -> bool| s.options.iter().any(is);
        let only_own_password = oid == self.env.role && s.options.iter().all(|o| matches!(o, RoleOption::Password(_)));
        if !self.is_superuser() {
            if old.superuser || any(|o| matches!(o, RoleOption::Superuser(_))) {
                return Err(denied("must be superuser to alter superuser roles or change superuser attribute"));
            }
            if old.replication || any(|o| matches!(o, RoleOption::Replication(_))) {
                return Err(denied(
                    "must be superuser to alter replication roles or change replication attribute",
                ));
            }
            if any(|o| matches!(o, RoleOption::BypassRls(_))) {
                return Err(denied("must be superuser to change bypassrls attribute"));
            }
            if !self.attributes().create_role && !only_own_password {
                return Err(denied("permission denied"));
            }
        }
        if old.name.starts_with("pg_") && oid < curia_catalog::FIRST_USER_OID {
            return Err(
                SqlError::new(SqlState::RESERVED_NAME, format!("role name \"{}\" is reserved", old.name))
                    .detail("Cannot alter reserved roles."),
            );
        }
        let role = self.apply_options((*old).clone(), &s.options)?;
        self.change(Change::put(role))
    }

    pub(crate) async fn rename_role(&mut self, from: &RoleSpec, to: &RoleSpec) -> Result<()> {
        let RoleSpec::Name(from) = from else {
            return Err(SqlError::unsupported("ALTER ROLE CURRENT_USER RENAME"));
        };
        let catalog = self.catalog();
        let old = catalog.role(&from.name).ok_or_else(|| no_role(&from.name))?;
        if old.oid == self.env.session_role {
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "session user cannot be renamed"));
        }
        if old.oid == self.env.role {
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "current user cannot be renamed"));
        }
        if old.oid < curia_catalog::FIRST_USER_OID && old.name.starts_with("pg_") {
            return Err(
                SqlError::new(SqlState::RESERVED_NAME, format!("role name \"{}\" is reserved", old.name))
                    .detail("Role names starting with \"pg_\" are reserved."),
            );
        }
        let name = new_role_name(to)?;
        self.lock_name(0, &format!("role {name}")).await?;
        self.refuse_role_name(&name)?;
        if old.superuser {
            self.must_be_superuser("rename superusers")?;
        } else if !self.is_superuser() && !self.attributes().create_role {
            return Err(denied("permission denied to rename role"));
        }
        let mut new = (**old).clone();
        new.name = name;
        self.change(Change::put(new))
    }

    fn refuse_role_name(&self, name: &str) -> Result<()> {
        if self.catalog().role(name).is_none() {
            return Ok(());
        }
        Err(SqlError::new(SqlState::DUPLICATE_OBJECT, format!("role \"{name}\" already exists")))
    }

    pub(crate) async fn drop_role(&mut self, names: &[RoleSpec], if_exists: bool) -> Result<()> {
        if !self.is_superuser() && !self.attributes().create_role {
            return Err(denied("permission denied to drop role"));
        }
        let mut going = Vec::new();
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
            if role.oid == self.env.session_role {
                return Err(SqlError::new(SqlState::OBJECT_IN_USE, "session user cannot be dropped"));
            }
            if role.superuser {
                self.must_be_superuser("drop superusers")?;
            }
            if role.oid < curia_catalog::FIRST_USER_OID {
                return Err(SqlError::new(
                    SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
                    format!("cannot drop role {} because it is required by the database system", role.name),
                ));
            }
            let needed = self.depending_on(role.oid);
            if !needed.is_empty() {
                return Err(SqlError::new(
                    SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
                    format!("role \"{}\" cannot be dropped because some objects depend on it", role.name),
                )
                .detail(needed.join("\n")));
            }
            going.push(role.oid);
        }
        for oid in going {
            let catalog = self.catalog();
            for member in catalog.roles.values().filter(|r| r.member_of.iter().any(|m| m.role == oid)) {
                let mut member = (**member).clone();
                member.member_of.retain(|m| m.role != oid);
                self.change(Change::put(member))?;
            }
            for (role, sub) in catalog.start_settings.keys().filter(|(role, _)| *role == oid) {
                self.change(Change::Drop(ObjectKey {
                    class: Class::StartSettings,
                    oid: *role,
                    sub: *sub,
                }))?;
            }
            self.change(Change::drop(Class::Role, oid))?;
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
                RoleOption::Inherit(b) => role.inherit = *b,
                RoleOption::CreateDb(b) => role.create_db = *b,
                RoleOption::CreateRole(b) => role.create_role = *b,
                RoleOption::Replication(b) => role.replication = *b,
                RoleOption::BypassRls(b) => role.bypass_rls = *b,
                RoleOption::ConnectionLimit(n) => match i32::try_from(*n) {
                    Ok(n) if n >= -1 => role.connection_limit = n,
                    _ => {
                        return Err(SqlError::new(
                            SqlState::INVALID_PARAMETER_VALUE,
                            format!("invalid connection limit: {n}"),
                        ));
                    }
                },
                RoleOption::ValidUntil(text) => match text_io::parse(PgType::TIMESTAMPTZ, text, &IoContext::default())? {
                    Datum::Timestamptz(at) => role.valid_until = Some(at),
                    _ => return Err(SqlError::internal("a timestamp is none")),
                },
                // ALTER ROLE has a form of its own.
                RoleOption::InRole(_) | RoleOption::Members(..) => {}
            }
        }
        Ok(role)
    }
}

fn refuse_repeated(options: &[RoleOption]) -> Result<()> {
    let kind = std::mem::discriminant::<RoleOption>;
    for (i, option) in options.iter().enumerate() {
        let same = |o: &RoleOption| match (o, option) {
            (RoleOption::Members(_, a), RoleOption::Members(_, b)) => a == b,
            _ => kind(o) == kind(option),
        };
        if options[..i].iter().any(same) {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "conflicting or redundant options"));
        }
    }
    Ok(())
}
