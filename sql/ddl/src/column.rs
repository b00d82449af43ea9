//! One column definition: type, NOT NULL, DEFAULT, serial and identity. Shared by CREATE TABLE and ADD COLUMN.

use crate::Ddl;
use crate::names::relation_exists;
use crate::sequence::Shape;
use curia_catalog::{Column, Identity, Oid, Origin, choose_name};
use curia_parse::ast::{ColumnConstraintKind, ColumnDef, Persistence, SequenceOption, SequenceOptionKind};
use curia_types::{PgType, Result, SqlError, SqlState, oid};

/// Most columns of a table, as in PostgreSQL.
pub(crate) const MAX_COLUMNS: usize = 1600;

/// A column definition, checked, before its table has an OID.
pub(crate) struct NewColumn {
    pub column: Column,
    /// The sequence to create for it, for serial and identity.
    pub sequence: Option<Shape>,
}

/// Names that every table has: they cannot be given to columns.
const SYSTEM_COLUMNS: [&str; 6] = ["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"];

impl Ddl<'_> {
    /// Checks a definition, all but its constraints that need the whole table.
    pub(crate) fn new_column(&self, table: &str, attnum: usize, def: &ColumnDef) -> Result<NewColumn> {
        let name = def.name.name.clone();
        if SYSTEM_COLUMNS.contains(&name.as_str()) {
            return Err(SqlError::new(
                SqlState::DUPLICATE_COLUMN,
                format!("column name \"{name}\" conflicts with a system column name"),
            ));
        }
        let serial = serial_type(def);
        let ty = match serial {
            Some(ty) => ty,
            None => self.resolve_type(&def.ty)?,
        };
        if matches!(
            ty.oid,
            oid::UNKNOWN | oid::RECORD | oid::VOID | oid::ANY | oid::ANYELEMENT | oid::ANYARRAY
        ) {
            let shown = curia_types::type_info::format_type(ty.oid, ty.typmod);
            return Err(SqlError::new(
                SqlState::INVALID_TABLE_DEFINITION,
                format!("column \"{name}\" has pseudo-type {shown}"),
            ));
        }
        self.check_storable(ty)?;
        self.must_use_type(ty.oid)?;
        if let Some(collation) = &def.collation {
            let known = matches!(collation.name(), "default" | "C" | "POSIX" | "C.UTF-8" | "ucs_basic");
            if !known {
                return Err(SqlError::unsupported(format!("collation \"{collation}\"")).at(Some(collation.pos())));
            }
        }
        let mut null = serial.map(|_| false);
        let mut default = None;
        let mut identity = None;
        let mut generated = false;
        let mut sequence = match serial {
            Some(ty) => Some(self.sequence_shape(&[], ty, None)?),
            None => None,
        };
        for c in &def.constraints {
            let twice = |what: &str| {
                SqlError::new(
                    SqlState::SYNTAX_ERROR,
                    format!("multiple {what} specified for column \"{name}\" of table \"{table}\""),
                )
                .at(Some(c.pos))
            };
            match &c.kind {
                ColumnConstraintKind::Null | ColumnConstraintKind::NotNull => {
                    let allow = matches!(c.kind, ColumnConstraintKind::Null);
                    if null.is_some_and(|n| n != allow) {
                        return Err(SqlError::new(
                            SqlState::SYNTAX_ERROR,
                            format!("conflicting NULL/NOT NULL declarations for column \"{name}\" of table \"{table}\""),
                        )
                        .at(Some(c.pos)));
                    }
                    null = Some(allow);
                }
                ColumnConstraintKind::Default(expr) => {
                    if default.is_some() || serial.is_some() {
                        return Err(twice("default values"));
                    }
                    if identity.is_some() {
                        return Err(both(("default", "identity"), &name, table, c.pos));
                    }
                    if generated {
                        return Err(both(("default", "generation expression"), &name, table, c.pos));
                    }
                    default = Some(self.column_default(expr, &name, ty)?);
                }
                ColumnConstraintKind::Identity { always, options } => {
                    if identity.is_some() {
                        return Err(twice("identity specifications"));
                    }
                    if default.is_some() || serial.is_some() {
                        return Err(both(("default", "identity"), &name, table, c.pos));
                    }
                    if generated {
                        return Err(both(("identity", "generation expression"), &name, table, c.pos));
                    }
                    if null == Some(true) {
                        return Err(SqlError::new(
                            SqlState::SYNTAX_ERROR,
                            format!("conflicting NULL/NOT NULL declarations for column \"{name}\" of table \"{table}\""),
                        )
                        .at(Some(c.pos)));
                    }
                    let (kind, shape) = self.identity_shape(*always, options, ty)?;
                    identity = Some(kind);
                    sequence = Some(shape);
                    null = Some(false);
                }
                // Its expression is looked at when all columns are known.
                ColumnConstraintKind::Generated(_) => {
                    if generated {
                        return Err(twice("generation clauses"));
                    }
                    if default.is_some() || serial.is_some() {
                        return Err(both(("default", "generation expression"), &name, table, c.pos));
                    }
                    if identity.is_some() {
                        return Err(both(("identity", "generation expression"), &name, table, c.pos));
                    }
                    generated = true;
                }
                ColumnConstraintKind::References(_)
                | ColumnConstraintKind::Unique { .. }
                | ColumnConstraintKind::PrimaryKey { .. }
                | ColumnConstraintKind::Check { .. } => {}
            }
        }
        let attnum = i16::try_from(attnum).map_err(|_| too_many_columns())?;
        let column = Column {
            attnum,
            name,
            ty,
            not_null: null == Some(false),
            default: default.flatten(),
            generated,
            missing: None,
            identity,
            dropped: false,
            origin: Origin::default(),
        };
        Ok(NewColumn { column, sequence })
    }

    /// Checks GENERATED .. AS IDENTITY.
    pub(crate) fn identity_shape(&self, always: bool, options: &[SequenceOption], ty: PgType) -> Result<(Identity, Shape)> {
        if !matches!(ty.oid, oid::INT2 | oid::INT4 | oid::INT8) {
            return Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                "identity column type must be smallint, integer, or bigint",
            ));
        }
        let kind = if always { Identity::Always } else { Identity::ByDefault };
        let (names, others): (Vec<_>, Vec<_>) = options.iter().cloned().partition(|o| matches!(o.kind, SequenceOptionKind::Name(_)));
        if let [_, second, ..] = names.as_slice() {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "conflicting or redundant options").at(Some(second.pos)));
        }
        let mut shape = self.sequence_shape(&others, ty, None)?;
        shape.name = names.into_iter().find_map(|o| match o.kind {
            SequenceOptionKind::Name(name) => Some(name),
            _ => None,
        });
        Ok((kind, shape))
    }

    /// Creates the sequence behind a column; gives a serial column its default.
    pub(crate) async fn add_column_sequence(&mut self, schema: Oid, table: (Oid, &str), new: &mut NewColumn) -> Result<()> {
        let Some(shape) = new.sequence.take() else { return Ok(()) };
        let (schema, name) = match &shape.name {
            Some(name) => {
                let schema = match name.parts.len() {
                    1 => schema,
                    _ => self.creation_schema(name, Persistence::Permanent)?.oid,
                };
                if self.catalog().relation_in(schema, name.name()).is_some() {
                    return Err(relation_exists(name.name()));
                }
                (schema, name.name().to_owned())
            }
            None => {
                let catalog = self.catalog();
                (
                    schema,
                    choose_name(table.1, Some(&new.column.name), "seq", |n| catalog.relation_in(schema, n).is_some()),
                )
            }
        };
        let oid = self.add_sequence(schema, name, &shape, Some((table.0, new.column.attnum))).await?;
        if new.column.identity.is_none() {
            new.column.default = Some(crate::expression::nextval_text(oid));
        }
        Ok(())
    }
}

pub(crate) fn too_many_columns() -> SqlError {
    SqlError::new(SqlState::TOO_MANY_COLUMNS, format!("tables can have at most {MAX_COLUMNS} columns"))
}

fn both((one, other): (&str, &str), column: &str, table: &str, pos: u32) -> SqlError {
    SqlError::new(
        SqlState::SYNTAX_ERROR,
        format!("both {one} and {other} specified for column \"{column}\" of table \"{table}\""),
    )
    .at(Some(pos))
}

/// `serial` and relatives are not types: they are an integer with a sequence.
fn serial_type(def: &ColumnDef) -> Option<PgType> {
    let unadorned = def.ty.name.parts.len() == 1 && def.ty.modifiers.is_empty() && def.ty.array_dimensions == 0;
    match def.ty.name.name() {
        "smallserial" | "serial2" if unadorned => Some(PgType::INT2),
        "serial" | "serial4" if unadorned => Some(PgType::INT4),
        "bigserial" | "serial8" if unadorned => Some(PgType::INT8),
        _ => None,
    }
}
