//! GRANT, REVOKE, ALTER DEFAULT PRIVILEGES, ALTER GROUP, settings of roles, REASSIGN OWNED and DROP OWNED.

use super::*;

impl Parser<'_> {
    /// GRANT or REVOKE at the cursor.
    pub(super) fn grant(&mut self) -> Result<Statement> {
        let revoke = self.at_kw(Kw::Revoke);
        self.bump();
        let mut option = revoke && self.accept_kws(&[Kw::Grant, Kw::Option, Kw::For]);
        let admin_for = revoke && !option && self.accept_kws(&[Kw::Admin, Kw::Option, Kw::For]);
        let start = self.at;
        let privileges = self.privileges()?;
        let (to, with) = if revoke { (Kw::From, None) } else { (Kw::To, Some(Kw::With)) };
        if !admin_for && self.accept_kw(Kw::On) {
            let target = self.grant_target()?;
            self.expect_kw(to)?;
            let grantees = self.comma_list(|p| p.grantee())?;
            if with.is_some_and(|w| self.accept_kw(w)) {
                self.expect_kw(Kw::Grant)?;
                self.expect_kw(Kw::Option)?;
                option = true;
            }
            let grantor = self.granted_by()?;
            return Ok(authority(AuthorityStatement::Grant(GrantStatement {
                revoke,
                option,
                privileges,
                target,
                grantees,
                grantor,
                cascade: revoke && self.cascade(),
            })));
        }
        if option || privileges.is_empty() || privileges.iter().any(|p| !p.columns.is_empty()) || !self.at_kw(to) {
            return Err(self.unexpected());
        }
        // Names of roles are read as such: a quoted one keeps its case.
        self.at = start;
        let roles = self.comma_list(|p| p.role_spec())?;
        self.expect_kw(to)?;
        let members = self.comma_list(|p| p.role_spec())?;
        let mut admin = admin_for;
        if with.is_some_and(|w| self.accept_kw(w)) {
            self.expect_kw(Kw::Admin)?;
            self.expect_kw(Kw::Option)?;
            admin = true;
        }
        let grantor = self.granted_by()?;
        Ok(authority(AuthorityStatement::Membership(MembershipStatement {
            group: false,
            revoke,
            admin,
            roles,
            members,
            grantor,
            cascade: revoke && self.cascade(),
        })))
    }

    /// ALL, or privileges by name; empty for ALL.
    fn privileges(&mut self) -> Result<Vec<NamedPrivilege>> {
        if self.accept_kw(Kw::All) {
            self.accept_kw(Kw::Privileges);
            if self.peek() == Tok::LParen {
                let columns = self.paren_list(|p| p.column_id())?;
                return Ok(vec![NamedPrivilege { name: None, columns }]);
            }
            return Ok(Vec::new());
        }
        self.comma_list(|p| {
            let name = match p.kw() {
                Some(kw @ (Kw::Select | Kw::References | Kw::Create)) => {
                    p.bump();
                    kw.word().to_uppercase()
                }
                Some(Kw::Alter) => {
                    p.bump();
                    p.expect_kw(Kw::System)?;
                    "ALTER SYSTEM".to_owned()
                }
                _ => p.column_id()?.name.to_uppercase(),
            };
            let columns = if p.peek() == Tok::LParen {
                p.paren_list(|p| p.column_id())?
            } else {
                Vec::new()
            };
            Ok(NamedPrivilege { name: Some(name), columns })
        })
    }

    fn grantee(&mut self) -> Result<RoleSpec> {
        if self.at_kw(Kw::Group) {
            self.bump();
        }
        self.role_spec()
    }

    fn granted_by(&mut self) -> Result<Option<RoleSpec>> {
        if self.accept_kw(Kw::Granted) {
            self.expect_kw(Kw::By)?;
            return Ok(Some(self.role_spec()?));
        }
        Ok(None)
    }

    fn grant_kind(&mut self) -> Option<GrantKind> {
        let kind = match self.kw()? {
            Kw::Tables => GrantKind::Tables,
            Kw::Sequences => GrantKind::Sequences,
            Kw::Functions => GrantKind::Functions,
            Kw::Procedures => GrantKind::Procedures,
            Kw::Routines => GrantKind::Routines,
            Kw::Types => GrantKind::Types,
            Kw::Schemas => GrantKind::Schemas,
            _ => return None,
        };
        self.bump();
        Some(kind)
    }

    fn grant_target(&mut self) -> Result<GrantTarget> {
        let names = |p: &mut Self| p.comma_list(|p| p.relation_name());
        let idents = |p: &mut Self| p.comma_list(|p| p.column_id());
        // A word before a name, or the name itself.
        let before_name = !matches!(self.peek_at(1), Tok::Comma | Tok::Dot) && !self.kw_at(1, Kw::To) && !self.kw_at(1, Kw::From);
        if !before_name {
            return Ok(GrantTarget::Tables(names(self)?));
        }
        let kw = self.kw();
        let taken = |p: &mut Self| {
            p.bump();
        };
        Ok(match kw {
            Some(Kw::Table) => {
                taken(self);
                GrantTarget::Tables(names(self)?)
            }
            Some(Kw::Sequence) => {
                taken(self);
                GrantTarget::Sequences(names(self)?)
            }
            Some(Kw::Function) => {
                taken(self);
                GrantTarget::Routines(RoutineKind::Function, self.comma_list(|p| p.routine_name())?)
            }
            Some(Kw::Procedure) => {
                taken(self);
                GrantTarget::Routines(RoutineKind::Procedure, self.comma_list(|p| p.routine_name())?)
            }
            Some(Kw::Routine) => {
                taken(self);
                GrantTarget::Routines(RoutineKind::Routine, self.comma_list(|p| p.routine_name())?)
            }
            Some(Kw::Schema) => {
                taken(self);
                GrantTarget::Schemas(idents(self)?)
            }
            Some(Kw::Database) => {
                taken(self);
                GrantTarget::Databases(idents(self)?)
            }
            Some(Kw::Type) => {
                taken(self);
                GrantTarget::Types(self.comma_list(|p| p.object_name())?)
            }
            Some(Kw::Domain) => {
                taken(self);
                GrantTarget::Domains(self.comma_list(|p| p.object_name())?)
            }
            Some(Kw::Language) => {
                taken(self);
                GrantTarget::Languages(idents(self)?)
            }
            Some(Kw::Tablespace) => {
                taken(self);
                GrantTarget::Tablespaces(idents(self)?)
            }
            Some(Kw::Large) => self.no_target("large objects"),
            Some(Kw::Foreign) => self.no_target("foreign data wrappers and servers"),
            Some(Kw::Parameter) => self.no_target("parameters"),
            Some(Kw::All) => {
                taken(self);
                let kind = match self.grant_kind() {
                    None | Some(GrantKind::Types | GrantKind::Schemas) => return Err(self.unexpected()),
                    Some(kind) => kind,
                };
                self.expect_kw(Kw::In)?;
                self.expect_kw(Kw::Schema)?;
                GrantTarget::All(kind, idents(self)?)
            }
            _ => GrantTarget::Tables(names(self)?),
        })
    }

    /// Passes over the names of objects that there are none of.
    fn no_target(&mut self, what: &'static str) -> GrantTarget {
        while !matches!(self.peek(), Tok::Semicolon | Tok::Eof) && !self.at_kw(Kw::To) && !self.at_kw(Kw::From) {
            self.bump();
        }
        GrantTarget::Unsupported(what)
    }

    /// ALTER DEFAULT PRIVILEGES, behind DEFAULT.
    pub(super) fn alter_default_privileges(&mut self) -> Result<Statement> {
        self.expect_kw(Kw::Privileges)?;
        let (mut roles, mut schemas) = (Vec::new(), Vec::new());
        loop {
            if self.accept_kw(Kw::For) {
                if !self.accept_kw(Kw::Role) {
                    self.expect_kw(Kw::User)?;
                }
                roles = self.comma_list(|p| p.role_spec())?;
            } else if self.accept_kw(Kw::In) {
                self.expect_kw(Kw::Schema)?;
                schemas = self.comma_list(|p| p.column_id())?;
            } else {
                break;
            }
        }
        let revoke = self.at_kw(Kw::Revoke);
        if !revoke && !self.at_kw(Kw::Grant) {
            return Err(self.unexpected());
        }
        self.bump();
        let mut option = revoke && self.accept_kws(&[Kw::Grant, Kw::Option, Kw::For]);
        let privileges = self.privileges()?;
        self.expect_kw(Kw::On)?;
        let kind = self.grant_kind().ok_or_else(|| self.unexpected())?;
        self.expect_kw(if revoke { Kw::From } else { Kw::To })?;
        let grantees = self.comma_list(|p| p.grantee())?;
        if !revoke && self.accept_kw(Kw::With) {
            self.expect_kw(Kw::Grant)?;
            self.expect_kw(Kw::Option)?;
            option = true;
        }
        let cascade = revoke && self.cascade();
        Ok(authority(AuthorityStatement::DefaultPrivileges {
            roles,
            schemas,
            grant: GrantStatement {
                revoke,
                option,
                privileges,
                target: GrantTarget::All(kind, Vec::new()),
                grantees,
                grantor: None,
                cascade,
            },
        }))
    }

    /// ALTER GROUP, behind GROUP.
    pub(super) fn alter_group(&mut self) -> Result<Statement> {
        let role = self.role_spec()?;
        if self.accept_kw(Kw::Rename) {
            return self.rename_role(role);
        }
        let revoke = self.accept_kw(Kw::Drop);
        if !revoke {
            self.expect_kw(Kw::Add)?;
        }
        self.expect_kw(Kw::User)?;
        Ok(authority(AuthorityStatement::Membership(MembershipStatement {
            group: true,
            revoke,
            admin: false,
            roles: vec![role],
            members: self.comma_list(|p| p.role_spec())?,
            grantor: None,
            cascade: false,
        })))
    }

    /// RENAME TO of a role, behind RENAME.
    pub(super) fn rename_role(&mut self, from: RoleSpec) -> Result<Statement> {
        self.expect_kw(Kw::To)?;
        let to = self.role_spec()?;
        Ok(authority(AuthorityStatement::RenameRole { from, to }))
    }

    /// `[IN DATABASE d] SET .. | RESET ..` of a role; `None` for all.
    pub(super) fn role_settings(&mut self, role: Option<RoleSpec>) -> Result<Statement> {
        let mut database = None;
        if self.accept_kw(Kw::In) {
            self.expect_kw(Kw::Database)?;
            database = Some(self.column_id()?);
        }
        let (name, value) = self.start_setting()?;
        Ok(authority(AuthorityStatement::Settings {
            of_database: false,
            role,
            database,
            name,
            value,
        }))
    }

    /// SET or RESET of a role or database.
    fn start_setting(&mut self) -> Result<(Option<String>, Option<SetValue>)> {
        if self.accept_kw(Kw::Reset) {
            if self.accept_kw(Kw::All) {
                return Ok((None, None));
            }
            return Ok((Some(self.parameter_name()?), None));
        }
        if !self.at_kw(Kw::Set) {
            return Err(self.unexpected());
        }
        let at = self.pos();
        match self.set()? {
            Statement::Set(set) if !set.local => Ok((Some(set.name), Some(set.value))),
            _ => Err(error_near("syntax error", "SET", at)),
        }
    }

    /// ALTER DATABASE, behind DATABASE.
    pub(super) fn alter_database(&mut self) -> Result<Statement> {
        let name = self.column_id()?;
        if self.accept_kw(Kw::Owner) {
            self.expect_kw(Kw::To)?;
            let owner = self.role_spec()?;
            return Ok(authority(AuthorityStatement::DatabaseOwner { name, owner }));
        }
        if !matches!(self.kw(), Some(Kw::Set | Kw::Reset)) || self.kw_at(1, Kw::Tablespace) {
            return Ok(self.unsupported("ALTER DATABASE"));
        }
        let (parameter, value) = self.start_setting()?;
        Ok(authority(AuthorityStatement::Settings {
            of_database: true,
            role: None,
            database: Some(name),
            name: parameter,
            value,
        }))
    }

    /// REASSIGN OWNED, behind REASSIGN.
    pub(super) fn reassign_owned(&mut self) -> Result<Statement> {
        self.expect_kw(Kw::Owned)?;
        self.expect_kw(Kw::By)?;
        let from = self.comma_list(|p| p.role_spec())?;
        self.expect_kw(Kw::To)?;
        let to = self.role_spec()?;
        Ok(authority(AuthorityStatement::ReassignOwned { from, to }))
    }

    /// DROP OWNED, behind OWNED.
    pub(super) fn drop_owned(&mut self) -> Result<Statement> {
        self.expect_kw(Kw::By)?;
        let roles = self.comma_list(|p| p.role_spec())?;
        let cascade = self.cascade();
        Ok(authority(AuthorityStatement::DropOwned { roles, cascade }))
    }
}

fn authority(statement: AuthorityStatement) -> Statement {
    Statement::Authority(Box::new(statement))
}
