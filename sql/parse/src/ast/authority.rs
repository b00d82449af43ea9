//! Who may do what: GRANT, REVOKE, ALTER DEFAULT PRIVILEGES, membership, settings and belongings of roles.

use super::ddl::RoleSpec;
use super::expr::{Ident, ObjectName};
use super::function::{RoutineKind, RoutineName};
use super::statement::SetValue;

/// One of these statements.
#[derive(Clone, Debug, PartialEq)]
pub enum AuthorityStatement {
    /// GRANT and REVOKE of privileges.
    Grant(GrantStatement),
    /// GRANT and REVOKE of membership; ALTER GROUP with `group`.
    Membership(MembershipStatement),
    /// ALTER DEFAULT PRIVILEGES
    DefaultPrivileges {
        /// FOR ROLE; empty for the current one.
        roles: Vec<RoleSpec>,
        /// IN SCHEMA; empty for all.
        schemas: Vec<Ident>,
        /// What; its target names a kind of objects.
        grant: GrantStatement,
    },
    /// ALTER ROLE .. SET and RESET, ALTER DATABASE .. SET and RESET.
    Settings {
        /// ALTER DATABASE
        of_database: bool,
        /// The role; `None` for all of them.
        role: Option<RoleSpec>,
        /// The database; `None` for all of them.
        database: Option<Ident>,
        /// The parameter; `None` for RESET ALL.
        name: Option<String>,
        /// Its value; `None` for RESET.
        value: Option<SetValue>,
    },
    /// ALTER ROLE .. RENAME TO
    RenameRole {
        /// Old name.
        from: RoleSpec,
        /// New name.
        to: RoleSpec,
    },
    /// ALTER DATABASE .. OWNER TO
    DatabaseOwner {
        /// The database.
        name: Ident,
        /// New owner.
        owner: RoleSpec,
    },
    /// REASSIGN OWNED BY .. TO
    ReassignOwned {
        /// Old owners.
        from: Vec<RoleSpec>,
        /// New owner.
        to: RoleSpec,
    },
    /// DROP OWNED BY
    DropOwned {
        /// Owners.
        roles: Vec<RoleSpec>,
        /// CASCADE
        cascade: bool,
    },
}

/// GRANT .. ON .. TO, REVOKE .. ON .. FROM
#[derive(Clone, Debug, PartialEq)]
pub struct GrantStatement {
    /// REVOKE
    pub revoke: bool,
    /// WITH GRANT OPTION, GRANT OPTION FOR
    pub option: bool,
    /// What; empty for ALL.
    pub privileges: Vec<NamedPrivilege>,
    /// On what.
    pub target: GrantTarget,
    /// To or from whom.
    pub grantees: Vec<RoleSpec>,
    /// GRANTED BY
    pub grantor: Option<RoleSpec>,
    /// CASCADE
    pub cascade: bool,
}

/// A privilege, or all of them on columns.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedPrivilege {
    /// In upper case; `None` for ALL.
    pub name: Option<String>,
    /// Columns; empty for the whole relation.
    pub columns: Vec<Ident>,
}

/// What GRANT is about.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // SQL's own words
pub enum GrantTarget {
    Tables(Vec<ObjectName>),
    Sequences(Vec<ObjectName>),
    Routines(RoutineKind, Vec<RoutineName>),
    Schemas(Vec<Ident>),
    Databases(Vec<Ident>),
    Types(Vec<ObjectName>),
    Domains(Vec<ObjectName>),
    Languages(Vec<Ident>),
    Tablespaces(Vec<Ident>),
    /// ALL .. IN SCHEMA; without schemas a kind of ALTER DEFAULT PRIVILEGES.
    All(GrantKind, Vec<Ident>),
    /// What no object here is.
    Unsupported(&'static str),
}

/// Kinds of objects in the plural.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // SQL's own words
pub enum GrantKind {
    Tables,
    Sequences,
    Functions,
    Procedures,
    Routines,
    Types,
    Schemas,
}

/// GRANT role TO role, REVOKE role FROM role.
#[derive(Clone, Debug, PartialEq)]
pub struct MembershipStatement {
    /// ALTER GROUP
    pub group: bool,
    /// REVOKE
    pub revoke: bool,
    /// WITH ADMIN OPTION, ADMIN OPTION FOR
    pub admin: bool,
    /// Which roles.
    pub roles: Vec<RoleSpec>,
    /// To or from whom.
    pub members: Vec<RoleSpec>,
    /// GRANTED BY
    pub grantor: Option<RoleSpec>,
    /// CASCADE
    pub cascade: bool,
}

impl AuthorityStatement {
    /// The command tag.
    pub fn tag(&self) -> &'static str {
        match self {
            AuthorityStatement::Grant(g) if g.revoke => "REVOKE",
            AuthorityStatement::Grant(_) => "GRANT",
            AuthorityStatement::Membership(m) if m.group => "ALTER ROLE",
            AuthorityStatement::Membership(m) if m.revoke => "REVOKE ROLE",
            AuthorityStatement::Membership(_) => "GRANT ROLE",
            AuthorityStatement::DefaultPrivileges { .. } => "ALTER DEFAULT PRIVILEGES",
            AuthorityStatement::Settings { of_database: true, .. } | AuthorityStatement::DatabaseOwner { .. } => "ALTER DATABASE",
            AuthorityStatement::Settings { .. } | AuthorityStatement::RenameRole { .. } => "ALTER ROLE",
            AuthorityStatement::ReassignOwned { .. } => "REASSIGN OWNED",
            AuthorityStatement::DropOwned { .. } => "DROP OWNED",
        }
    }
}
