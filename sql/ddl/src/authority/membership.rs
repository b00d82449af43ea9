//! GRANT and REVOKE of roles, ALTER GROUP (`AddRoleMems`, `DelRoleMems`).

use crate::Ddl;
use curia_catalog::privilege::list::INVALID_GRANT_OPERATION;
use curia_catalog::privilege::system::DATABASE_OWNER;
use curia_catalog::{Change, Membership, Oid};
use curia_parse::ast::MembershipStatement;
use curia_types::{Result, SqlError, SqlState};

impl Ddl<'_> {
    pub(super) fn change_membership(&mut self, s: &MembershipStatement) -> Result<()> {
        let grantor = match &s.grantor {
            Some(role) => self.find_role(role)?,
            None => self.env.role,
        };
        let members = s.members.iter().map(|m| self.find_role(m)).collect::<Result<Vec<_>>>()?;
        for role in &s.roles {
            let role = self.find_role(role)?;
            if s.group && !self.attributes().create_role && !self.is_superuser() {
                return Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, "permission denied"));
            }
            if s.revoke {
                self.remove_members(role, &members, s.admin)?;
            } else {
                self.add_members(role, &members, grantor, s.admin)?;
            }
        }
        Ok(())
    }

    /// Makes roles members of another.
    pub(crate) fn add_members(&mut self, role: Oid, members: &[Oid], grantor: Oid, admin: bool) -> Result<()> {
        if members.is_empty() {
            return Ok(());
        }
        self.may_change_members(role)?;
        let name = self.role_name(role);
        if role == DATABASE_OWNER {
            return Err(SqlError::new(
                SqlState::INSUFFICIENT_PRIVILEGE,
                format!("role \"{name}\" cannot have explicit members"),
            ));
        }
        if grantor != self.env.role && !self.is_superuser() {
            return Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, "must be superuser to set grantor"));
        }
        for member in members {
            let catalog = self.catalog();
            let Some(old) = catalog.roles.get(member) else { continue };
            if *member == DATABASE_OWNER {
                let message = format!("role \"{}\" cannot be a member of any role", old.name);
                return Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message));
            }
            if catalog.authority().is_member_itself(role, *member) {
                let message = format!("role \"{name}\" is a member of role \"{}\"", old.name);
                return Err(SqlError::new(INVALID_GRANT_OPERATION, message));
            }
            let mut new = (**old).clone();
            match new.member_of.iter_mut().find(|m| m.role == role) {
                Some(m) if !admin || m.admin => {
                    let message = format!("role \"{}\" is already a member of role \"{name}\"", old.name);
                    self.notice(message);
                    continue;
                }
                Some(m) => *m = Membership { role, grantor, admin },
                None => new.member_of.push(Membership { role, grantor, admin }),
            }
            self.change(Change::put(new))?;
        }
        Ok(())
    }

    fn remove_members(&mut self, role: Oid, members: &[Oid], admin_only: bool) -> Result<()> {
        self.may_change_members(role)?;
        let name = self.role_name(role);
        for member in members {
            let catalog = self.catalog();
            let Some(old) = catalog.roles.get(member) else { continue };
            let mut new = (**old).clone();
            let Some(at) = new.member_of.iter().position(|m| m.role == role) else {
                let message = format!("role \"{}\" is not a member of role \"{name}\"", old.name);
                self.warn(SqlState::WARNING, message);
                continue;
            };
            if admin_only {
                new.member_of[at].admin = false;
            } else {
                new.member_of.remove(at);
            }
            self.change(Change::put(new))?;
        }
        Ok(())
    }

    fn may_change_members(&self, role: Oid) -> Result<()> {
        let catalog = self.catalog();
        let roles = catalog.authority();
        if roles.is_superuser(role) {
            return self.must_be_superuser("alter superusers");
        }
        if self.attributes().create_role || roles.is_admin(self.env.role, role) {
            return Ok(());
        }
        let name = self.role_name(role);
        Err(SqlError::new(
            SqlState::INSUFFICIENT_PRIVILEGE,
            format!("must have admin option on role \"{name}\""),
        ))
    }
}
