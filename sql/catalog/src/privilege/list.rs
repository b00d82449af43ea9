//! What GRANT and REVOKE do to a list of privileges (`aclupdate`, `recursive_revoke`, `select_best_grantor`, `check_circularity`).

use super::authority::Roles;
use super::{AclItem, PUBLIC_ROLE, Rights};
use crate::object::Oid;
use curia_types::{Result, SqlError, SqlState};

/// 2BP01 of REVOKE.
const DEPENDENT_PRIVILEGES: SqlState = SqlState::new("2BP01");
/// 0LP01
pub const INVALID_GRANT_OPERATION: SqlState = SqlState::new("0LP01");

/// A change of a list.
#[derive(Clone, Debug)]
pub struct Grant<'a> {
    /// Takes away instead.
    pub revoke: bool,
    /// WITH GRANT OPTION; of REVOKE the option alone.
    pub option: bool,
    /// CASCADE
    pub cascade: bool,
    /// Who gives.
    pub grantor: Oid,
    /// Who gets.
    pub grantees: &'a [Oid],
    /// What.
    pub rights: Rights,
}

/// A list after GRANT or REVOKE.
pub fn merged(roles: Roles<'_>, items: &[AclItem], grant: &Grant<'_>, owner: Oid) -> Result<Vec<AclItem>> {
    let mut items = items.to_vec();
    for grantee in grant.grantees {
        if grant.option && !grant.revoke && *grantee == PUBLIC_ROLE {
            return Err(SqlError::new(INVALID_GRANT_OPERATION, "grant options can only be granted to roles"));
        }
        let item = AclItem {
            grantee: *grantee,
            grantor: grant.grantor,
            rights: if !grant.revoke || !grant.option {
                grant.rights
            } else {
                Rights::NONE
            },
            options: if grant.revoke || grant.option { grant.rights } else { Rights::NONE },
        };
        update(roles, &mut items, item, grant.revoke, owner, grant.cascade)?;
    }
    Ok(items)
}

fn update(roles: Roles<'_>, items: &mut Vec<AclItem>, change: AclItem, remove: bool, owner: Oid, cascade: bool) -> Result<()> {
    if !remove && !change.options.is_empty() {
        refuse_circle(roles, items, change, owner)?;
    }
    let at = items
        .iter()
        .position(|i| i.grantee == change.grantee && i.grantor == change.grantor)
        .unwrap_or_else(|| {
            items.push(AclItem::new(change.grantee, change.grantor, Rights::NONE));
            items.len() - 1
        });
    let before = items[at];
    let after = if remove {
        AclItem {
            rights: before.rights.without(change.rights),
            options: before.options.without(change.options),
            ..before
        }
    } else {
        AclItem {
            rights: before.rights | change.rights,
            options: before.options | change.options,
            ..before
        }
    };
    items[at] = after;
    if after.rights.is_empty() && after.options.is_empty() {
        items.remove(at);
    }
    let lost = before.options.without(after.options);
    if !lost.is_empty() {
        revoke_dependents(roles, items, change.grantee, lost, owner, cascade)?;
    }
    Ok(())
}

/// Takes back what a role gave on that may give it no longer.
fn revoke_dependents(roles: Roles<'_>, items: &mut Vec<AclItem>, grantee: Oid, lost: Rights, owner: Oid, cascade: bool) -> Result<()> {
    if grantee == owner {
        return Ok(());
    }
    let lost = lost.without(grant_options(roles, items, grantee, owner));
    if lost.is_empty() {
        return Ok(());
    }
    while let Some(item) = items.iter().find(|i| i.grantor == grantee && i.rights.intersects(lost)).copied() {
        if !cascade {
            return Err(SqlError::new(DEPENDENT_PRIVILEGES, "dependent privileges exist").hint("Use CASCADE to revoke them too."));
        }
        let change = AclItem {
            rights: lost,
            options: lost,
            ..item
        };
        update(roles, items, change, true, owner, cascade)?;
    }
    Ok(())
}

/// Grant options must not lead back to who grants.
fn refuse_circle(roles: Roles<'_>, items: &[AclItem], change: AclItem, owner: Oid) -> Result<()> {
    if change.grantor == owner {
        return Ok(());
    }
    // What would be left if all that the grantee gave on were taken back.
    let mut left = items.to_vec();
    while let Some(at) = left.iter().position(|i| i.grantee == change.grantee && !i.options.is_empty()) {
        let item = left[at];
        let gone = AclItem {
            rights: Rights::NONE,
            options: item.options,
            ..item
        };
        update(roles, &mut left, gone, true, owner, true)?;
    }
    let own = change.options.without(grant_options(roles, &left, change.grantor, owner));
    if own.is_empty() {
        return Ok(());
    }
    Err(SqlError::new(
        INVALID_GRANT_OPERATION,
        "grant options cannot be granted back to your own grantor",
    ))
}

/// What a role may do by a list, its memberships and what everybody may do counted.
pub fn held(roles: Roles<'_>, items: &[AclItem], role: Oid) -> Rights {
    let own = roles.held_by(role);
    let mut found = Rights::NONE;
    for item in items {
        if item.grantee == PUBLIC_ROLE || own.contains(&item.grantee) {
            found |= item.rights;
        }
    }
    found
}

/// What a role may give on by a list; an owner all.
pub fn grant_options(roles: Roles<'_>, items: &[AclItem], role: Oid, owner: Oid) -> Rights {
    if roles.has(role, owner) {
        return !Rights::NONE;
    }
    let mut found = Rights::NONE;
    for item in items {
        if item.grantee == role || roles.has(role, item.grantee) {
            found |= item.options;
        }
    }
    found
}

/// In whose name a role grants, and what of `wanted` that one may give.
pub fn best_grantor(roles: Roles<'_>, items: &[AclItem], role: Oid, owner: Oid, wanted: Rights) -> (Oid, Rights) {
    if roles.has(role, owner) {
        return (owner, wanted);
    }
    let mut best = (role, Rights::NONE);
    for candidate in roles.held_by(role) {
        let options = items
            .iter()
            .filter(|i| i.grantee == candidate)
            .fold(Rights::NONE, |all, i| all | i.options)
            & wanted;
        if options == wanted {
            return (candidate, options);
        }
        if options.count() > best.1.count() {
            best = (candidate, options);
        }
    }
    best
}

/// A list whose object goes from one owner to another (`aclnewowner`).
pub fn with_new_owner(items: &[AclItem], old: Oid, new: Oid) -> Vec<AclItem> {
    let moved = |role: Oid| if role == old { new } else { role };
    let mut out: Vec<AclItem> = Vec::with_capacity(items.len());
    for item in items {
        let item = AclItem {
            grantee: moved(item.grantee),
            grantor: moved(item.grantor),
            ..*item
        };
        match out.iter_mut().find(|i| i.grantee == item.grantee && i.grantor == item.grantor) {
            Some(same) => {
                same.rights |= item.rights;
                same.options |= item.options;
            }
            None => out.push(item),
        }
    }
    out
}
