//! ALTER ROLE .. SET and ALTER DATABASE .. SET: parameters that sessions start with.

use crate::Ddl;
use curia_catalog::{Change, Class, ObjectKey, StartSettings};
use curia_parse::ast::{AuthorityStatement, SetItem, SetValue};
use curia_types::{Result, SqlError, SqlState};

impl Ddl<'_> {
    /// The value has been checked and is one text: names and values of parameters are the session's.
    pub(super) fn start_settings(&mut self, s: &AuthorityStatement) -> Result<()> {
        let AuthorityStatement::Settings {
            of_database,
            role,
            database,
            name,
            value,
        } = s
        else {
            return Err(SqlError::internal("no settings"));
        };
        let catalog = self.catalog();
        let database = match database {
            Some(name) => {
                let missing = || SqlError::new(SqlState::INVALID_CATALOG_NAME, format!("database \"{}\" does not exist", name.name));
                catalog.database(&name.name).ok_or_else(missing)?.oid
            }
            None => 0,
        };
        let role = match role {
            Some(role) => self.find_role(role)?,
            None => 0,
        };
        if *of_database {
            self.must_own(database)?;
        } else if role == 0 {
            self.must_be_superuser("alter settings globally")?;
        } else if catalog.authority().is_superuser(role) {
            self.must_be_superuser("alter superusers")?;
        } else if role != self.env.role && !self.attributes().create_role && !self.is_superuser() {
            return Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, "permission denied"));
        }
        let key = (role, i16::from(database != 0));
        let mut row = match catalog.start_settings.get(&key) {
            Some(row) => (**row).clone(),
            None => StartSettings {
                role,
                database,
                settings: Vec::new(),
            },
        };
        match (name, value) {
            (None, _) => row.settings.clear(),
            (Some(name), value) => {
                let at = row.settings.iter().position(|(n, _)| n.eq_ignore_ascii_case(name));
                let text = match value {
                    Some(SetValue::Values(items)) => match items.as_slice() {
                        [SetItem::Text(text) | SetItem::Number(text)] => Some(text.clone()),
                        _ => return Err(SqlError::internal("a setting of several values")),
                    },
                    _ => None,
                };
                match (at, text) {
                    (Some(at), Some(text)) => row.settings[at].1 = text,
                    (None, Some(text)) => row.settings.push((name.clone(), text)),
                    (Some(at), None) => {
                        row.settings.remove(at);
                    }
                    (None, None) => {}
                }
            }
        }
        if row.settings.is_empty() {
            return self.change(Change::Drop(ObjectKey {
                class: Class::StartSettings,
                oid: role,
                sub: key.1,
            }));
        }
        self.change(Change::put(row))
    }
}
