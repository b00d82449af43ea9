//! COMMENT ON.

use crate::Ddl;
use crate::names::{find_column, no_schema};
use curia_catalog::{Change, Class, Comment as Stored, ObjectKey, Oid, Relation};
use curia_parse::ObjectName;
use curia_parse::ast::{Comment, ObjectKind, RoleSpec};
use curia_types::{Result, SqlError, SqlState};

impl Ddl<'_> {
    pub(crate) async fn comment(&mut self, s: &Comment) -> Result<()> {
        let (object, attnum) = match s.kind {
            ObjectKind::Table => (self.find_table(&s.name)?.oid, 0),
            ObjectKind::MaterializedView => match self.find_relation(&s.name)? {
                found if self.kind_of(found) == ObjectKind::MaterializedView => (found.oid(), 0),
                _ => {
                    return Err(SqlError::new(
                        SqlState::WRONG_OBJECT_TYPE,
                        format!("\"{}\" is not a materialized view", s.name.name()),
                    ));
                }
            },
            ObjectKind::Index => match self.find_relation(&s.name)? {
                Relation::Index(_, oid) => (oid, 0),
                _ => {
                    return Err(SqlError::new(
                        SqlState::WRONG_OBJECT_TYPE,
                        format!("\"{}\" is not an index", s.name.name()),
                    ));
                }
            },
            ObjectKind::Sequence => match self.find_relation(&s.name)? {
                Relation::Sequence(oid) => (oid, 0),
                _ => {
                    return Err(SqlError::new(
                        SqlState::WRONG_OBJECT_TYPE,
                        format!("\"{}\" is not a sequence", s.name.name()),
                    ));
                }
            },
            ObjectKind::View => match self.find_relation(&s.name)? {
                Relation::View(oid) => (oid, 0),
                _ => {
                    return Err(SqlError::new(
                        SqlState::WRONG_OBJECT_TYPE,
                        format!("\"{}\" is not a view", s.name.name()),
                    ));
                }
            },
            ObjectKind::Schema => (self.catalog().schema(s.name.name()).ok_or_else(|| no_schema(s.name.name()))?.oid, 0),
            ObjectKind::Database => {
                let catalog = self.catalog();
                let missing = || {
                    SqlError::new(
                        SqlState::INVALID_CATALOG_NAME,
                        format!("database \"{}\" does not exist", s.name.name()),
                    )
                };
                (catalog.database(s.name.name()).ok_or_else(missing)?.oid, 0)
            }
            ObjectKind::Role => match s.name.parts.last() {
                Some(name) => (self.find_role(&RoleSpec::Name(name.clone()))?, 0),
                None => return Err(SqlError::internal("empty name")),
            },
            ObjectKind::Column => {
                let [table @ .., column] = s.name.parts.as_slice() else {
                    return Err(SqlError::internal("empty name"));
                };
                if table.is_empty() {
                    return Err(SqlError::new(SqlState::SYNTAX_ERROR, "column name must be qualified"));
                }
                let table = self.find_indexed(&ObjectName { parts: table.to_vec() })?;
                (table.oid, table.columns[find_column(&table, column)?].attnum)
            }
            ObjectKind::Constraint => {
                if let (Some(domain), true) = (&s.table, s.on_domain) {
                    let oid = self.commented_domain_constraint(domain, s.name.name())?;
                    return self.put_comment(oid, 0, s.text.as_deref());
                }
                let Some(table) = &s.table else {
                    return Err(SqlError::unsupported("COMMENT ON CONSTRAINT without a table"));
                };
                let table = self.find_table(table)?;
                self.must_own(table.oid)?;
                let found = table.constraints.iter().find(|c| c.name == s.name.name());
                let missing = || {
                    SqlError::new(
                        SqlState::UNDEFINED_OBJECT,
                        format!("constraint \"{}\" for table \"{}\" does not exist", s.name.name(), table.name),
                    )
                };
                (found.ok_or_else(missing)?.oid, 0)
            }
            ObjectKind::Type => (self.commented_type(&s.name, false)?, 0),
            ObjectKind::Domain => (self.commented_type(&s.name, true)?, 0),
            other => {
                return Err(SqlError::unsupported(format!(
                    "COMMENT ON {}",
                    crate::depend::kind_name(other).to_uppercase()
                )));
            }
        };
        self.must_own(object)?;
        self.put_comment(object, attnum, s.text.as_deref())
    }

    fn put_comment(&mut self, object: Oid, attnum: i16, text: Option<&str>) -> Result<()> {
        // An empty comment is no comment, as in PostgreSQL.
        let change = match text {
            None | Some("") => Change::Drop(ObjectKey {
                class: Class::Comment,
                oid: object,
                sub: attnum,
            }),
            Some(text) => Change::put(Stored {
                object,
                attnum,
                text: text.to_owned(),
            }),
        };
        self.change(change)
    }
}
