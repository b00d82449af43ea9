//! Who a session is.
//!
//! ```text
//!   logged in as a ──SET SESSION AUTHORIZATION b──▶ session_user b ──SET ROLE c──▶ current_user c
//! ```
//!
//! Both are parameters, so that they are taken back as parameters are. What they mean is looked up when a parameter or the catalog has
//! changed, not at each statement.

use crate::context::Shared;
use crate::settings::{Scope, Settings};
use curia_catalog::{Catalog, Oid, Rights};
use curia_types::{Result, SqlError, SqlState};

/// An OID that no role has.
const NOBODY: Oid = Oid::MAX;

/// Who a session is, at one catalog version.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// `session_user`
    pub session: Oid,
    /// Its name.
    pub session_name: String,
    /// `current_user`
    pub current: Oid,
    /// Its name.
    pub current_name: String,
    /// Whether the current role is a superuser.
    pub superuser: bool,
}

impl Identity {
    /// Looks the roles of a session's parameters up.
    pub fn of(settings: &Settings, shared: &Shared, catalog: &Catalog) -> Identity {
        let own = || match catalog.roles.get(&shared.role) {
            Some(role) => (role.oid, role.name.clone()),
            None => (NOBODY, shared.user.clone()),
        };
        let named = |name: &str| match catalog.role(name) {
            Some(role) => (role.oid, role.name.clone()),
            None => (NOBODY, name.to_owned()),
        };
        let (session, session_name) = match settings.get("session_authorization") {
            Some(name) if name != shared.user => named(name),
            _ => own(),
        };
        let (current, current_name) = match settings.get("role") {
            None | Some("none" | "") => (session, session_name.clone()),
            Some(name) => named(name),
        };
        Identity {
            session,
            session_name,
            current,
            superuser: catalog.authority().is_superuser(current),
            current_name,
        }
    }
}

/// Whether a parameter says who the session is.
pub fn is_identity(parameter: &str) -> bool {
    parameter.eq_ignore_ascii_case("role") || parameter.eq_ignore_ascii_case("session_authorization")
}

/// SET ROLE and SET SESSION AUTHORIZATION; `None` takes them back.
///
/// # Errors
/// 22023 for an unknown role, 42501 for one that the session may not be.
pub fn assume(shared: &Shared, catalog: &Catalog, parameter: &str, name: Option<&str>, scope: Scope) -> Result<()> {
    let mut settings = shared.settings.lock();
    let roles = catalog.authority();
    let find = |name: &str| {
        let missing = || SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("role \"{name}\" does not exist"));
        catalog.role(name).map(|r| r.oid).ok_or_else(missing)
    };
    let denied = |message: String| SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message);
    if parameter.eq_ignore_ascii_case("role") {
        let name = name.filter(|n| *n != "none");
        if let Some(name) = name {
            let role = find(name)?;
            if !roles.is_member(Identity::of(&settings, shared, catalog).session, role) {
                return Err(denied(format!("permission denied to set role \"{name}\"")));
            }
        }
        settings.put_checked("role", name, scope);
    } else {
        if let Some(name) = name {
            let role = find(name)?;
            if role != shared.role && !roles.is_superuser(shared.role) {
                return Err(denied("permission denied to set session authorization".to_owned()));
            }
        }
        settings.put_checked("session_authorization", name, scope);
        settings.put_checked("role", None, scope);
    }
    let superuser = Identity::of(&settings, shared, catalog).superuser;
    settings.put_checked("is_superuser", Some(if superuser { "on" } else { "off" }), scope);
    Ok(())
}

/// The schemas of a search path that a role may look into.
pub fn usable(path: Vec<String>, identity: &Identity, catalog: &Catalog) -> Vec<String> {
    if identity.superuser {
        return path;
    }
    let may = |name: &String| match catalog.schema(name) {
        Some(s) => {
            s.oid < curia_catalog::FIRST_USER_OID && name != "public" || catalog.rights(identity.current, s.oid).contains(Rights::USAGE)
        }
        None => true,
    };
    path.into_iter().filter(may).collect()
}
