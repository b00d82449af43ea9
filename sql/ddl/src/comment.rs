//! COMMENT ON.

use crate::Ddl;
use crate::names::{find_column, no_schema};
use curia_catalog::{Change, Class, Comment as Stored, ObjectKey, Oid, Relation, TypeKind};
use curia_parse::ObjectName;
use curia_parse::ast::{Comment, Ident, ObjectKind, RoleSpec};
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
                self.commented_column(&ObjectName { parts: table.to_vec() }, column)?
            }
            ObjectKind::Function => {
                let (kind, name) = s
                    .routine
                    .as_ref()
                    .ok_or_else(|| SqlError::internal("a function without its name"))?;
                (self.routine(*kind, name)?.ok_or_else(|| self.no_routine(*kind, name))?.oid, 0)
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
        };
        let catalog = self.catalog();
        let composite = catalog.types.values().find(|t| t.relation() == Some(object)).map(|t| t.oid);
        self.must_own(composite.unwrap_or(object))?;
        self.put_comment(object, attnum, s.text.as_deref())
    }

    /// A column of a table or view, or an attribute of a composite type.
    fn commented_column(&self, relation: &ObjectName, column: &Ident) -> Result<(Oid, i16)> {
        let missing = |relation: &str| {
            SqlError::new(
                SqlState::UNDEFINED_COLUMN,
                format!("column \"{}\" of relation \"{relation}\" does not exist", column.name),
            )
        };
        let catalog = self.catalog();
        match self.lookup(relation)? {
            Some(Relation::View(oid)) => {
                let view = catalog
                    .views
                    .get(&oid)
                    .ok_or_else(|| SqlError::internal("a view that is not there"))?;
                let at = view.columns.iter().position(|c| c.name == column.name);
                Ok((oid, at.ok_or_else(|| missing(&view.name))? as i16 + 1))
            }
            None if let Ok(ty) = self.commented_type(relation, false)
                && let Some(TypeKind::Composite { relation, attributes }) = catalog.types.get(&ty).map(|t| &t.kind) =>
            {
                let name = catalog.types.get(&ty).map_or("", |t| &t.name);
                let found = attributes.iter().find(|a| a.name == column.name);
                Ok((*relation, found.ok_or_else(|| missing(name))?.attnum))
            }
            _ => {
                let table = self.find_indexed(relation)?;
                Ok((table.oid, table.columns[find_column(&table, column)?].attnum))
            }
        }
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
