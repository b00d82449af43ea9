//! Names and shapes of constraints: CHECK, UNIQUE and PRIMARY KEY, as columns and tables write them.

use crate::Ddl;
use curia_catalog::{Catalog, Constraint, ConstraintKind, Index, IndexKey, Oid, Table, choose_name, make_object_name};
use curia_parse::ast::{ColumnConstraintKind, ColumnDef, ConstraintAttributes, Expr, Ident, TableConstraint, TableConstraintKind};
use curia_types::{Result, SqlError, SqlState};

/// A constraint as written, on a column or on the table.
pub(crate) struct Written<'a> {
    pub name: Option<&'a Ident>,
    pub pos: u32,
    pub kind: WrittenKind<'a>,
}

pub(crate) enum WrittenKind<'a> {
    Check { expr: &'a Expr, attributes: ConstraintAttributes },
    Unique(Unique<'a>),
}

/// UNIQUE or PRIMARY KEY as written.
pub(crate) struct Unique<'a> {
    pub columns: Vec<&'a Ident>,
    pub primary: bool,
    pub nulls_not_distinct: bool,
    pub attributes: ConstraintAttributes,
}

/// Constraints of a column definition that become constraints of the table.
pub(crate) fn of_column(def: &ColumnDef) -> Vec<Written<'_>> {
    let written = |c: &'_ curia_parse::ast::ColumnConstraint, kind| (c.pos, kind);
    def.constraints
        .iter()
        .filter_map(|c| {
            let (pos, kind) = match &c.kind {
                ColumnConstraintKind::Check { expr, attributes, .. } => written(
                    c,
                    WrittenKind::Check {
                        expr,
                        attributes: *attributes,
                    },
                ),
                ColumnConstraintKind::Unique {
                    nulls_not_distinct,
                    attributes,
                } => written(
                    c,
                    WrittenKind::Unique(Unique {
                        columns: vec![&def.name],
                        primary: false,
                        nulls_not_distinct: *nulls_not_distinct,
                        attributes: *attributes,
                    }),
                ),
                ColumnConstraintKind::PrimaryKey { attributes } => written(
                    c,
                    WrittenKind::Unique(Unique {
                        columns: vec![&def.name],
                        primary: true,
                        nulls_not_distinct: false,
                        attributes: *attributes,
                    }),
                ),
                _ => return None,
            };
            Some(Written {
                name: c.name.as_ref(),
                pos,
                kind,
            })
        })
        .collect()
}

/// A table constraint; kinds that do not exist yet are 0A000.
pub(crate) fn of_table(c: &TableConstraint) -> Result<Written<'_>> {
    let unsupported = |what: &str| Err(SqlError::unsupported(what).at(Some(c.pos)));
    let kind = match &c.kind {
        TableConstraintKind::Check(expr) => WrittenKind::Check {
            expr,
            attributes: c.attributes,
        },
        TableConstraintKind::Unique { include, .. } | TableConstraintKind::PrimaryKey { include, .. } if !include.is_empty() => {
            return unsupported("INCLUDE columns of an index");
        }
        TableConstraintKind::Unique {
            columns,
            nulls_not_distinct,
            ..
        } => WrittenKind::Unique(Unique {
            columns: columns.iter().collect(),
            primary: false,
            nulls_not_distinct: *nulls_not_distinct,
            attributes: c.attributes,
        }),
        TableConstraintKind::PrimaryKey { columns, .. } => WrittenKind::Unique(Unique {
            columns: columns.iter().collect(),
            primary: true,
            nulls_not_distinct: false,
            attributes: c.attributes,
        }),
        TableConstraintKind::UsingIndex { .. } => return unsupported("ADD CONSTRAINT USING INDEX"),
        TableConstraintKind::ForeignKey { .. } => return unsupported("FOREIGN KEY"),
        TableConstraintKind::Exclude => return unsupported("EXCLUDE constraints"),
    };
    Ok(Written {
        name: c.name.as_ref(),
        pos: c.pos,
        kind,
    })
}

impl Ddl<'_> {
    /// A CHECK constraint of `table`, which already has its columns.
    pub(crate) async fn new_check(
        &mut self,
        table: &Table,
        name: Option<&Ident>,
        expr: &Expr,
        attributes: ConstraintAttributes,
    ) -> Result<Constraint> {
        refuse_attributes("CHECK constraints", attributes)?;
        if attributes.not_valid {
            return Err(SqlError::unsupported("NOT VALID"));
        }
        let (expression, columns) = self.check_text(expr, table)?;
        let catalog = self.catalog();
        let name = match name {
            Some(name) => {
                refuse_duplicate(table, &name.name)?;
                name.name.clone()
            }
            None => {
                let column = match columns.as_slice() {
                    [one] => Some(table.columns[*one].name.as_str()),
                    _ => None,
                };
                choose_name(&table.name, column, "check", |n| constraint_exists(&catalog, table, n))
            }
        };
        Ok(Constraint {
            oid: self.new_oid()?,
            name,
            kind: ConstraintKind::Check { expression },
        })
    }

    /// A UNIQUE or PRIMARY KEY constraint of `table` and its index, without storage. Marks primary key columns NOT NULL.
    pub(crate) async fn new_unique(
        &mut self,
        table: &mut Table,
        name: Option<&Ident>,
        unique: &Unique<'_>,
        pos: Option<u32>,
    ) -> Result<(Constraint, Index)> {
        let Unique {
            columns,
            primary,
            nulls_not_distinct,
            attributes,
        } = unique;
        let primary = *primary;
        refuse_attributes("unique constraints", *attributes)?;
        if *nulls_not_distinct {
            return Err(SqlError::unsupported("UNIQUE NULLS NOT DISTINCT").at(pos));
        }
        if primary && table.primary_key().is_some() {
            return Err(SqlError::new(
                SqlState::INVALID_TABLE_DEFINITION,
                format!("multiple primary keys for table \"{}\" are not allowed", table.name),
            )
            .at(pos));
        }
        let mut keys = Vec::with_capacity(columns.len());
        for column in columns {
            let Some((i, _)) = table.column(&column.name) else {
                return Err(SqlError::new(
                    SqlState::UNDEFINED_COLUMN,
                    format!("column \"{}\" named in key does not exist", column.name),
                )
                .at(pos));
            };
            if keys.iter().any(|k: &IndexKey| k.column == i) {
                let kind = if primary { "primary key" } else { "unique" };
                return Err(SqlError::new(
                    SqlState::DUPLICATE_COLUMN,
                    format!("column \"{}\" appears twice in {kind} constraint", column.name),
                )
                .at(pos));
            }
            self.check_orderable(table.columns[i].ty)?;
            keys.push(IndexKey {
                column: i,
                descending: false,
                nulls_first: false,
            });
        }
        if primary {
            for k in &keys {
                table.columns[k.column].not_null = true;
            }
        }
        let catalog = self.catalog();
        let name = match name {
            Some(name) => {
                refuse_duplicate(table, &name.name)?;
                if catalog.relation_in(table.schema, &name.name).is_some() || table.indexes.iter().any(|i| i.name == name.name) {
                    return Err(crate::names::relation_exists(&name.name));
                }
                name.name.clone()
            }
            None => {
                let taken = |n: &str| {
                    n == table.name
                        || catalog.relation_in(table.schema, n).is_some()
                        || table.indexes.iter().any(|i| i.name == n)
                        || constraint_exists(&catalog, table, n)
                };
                if primary {
                    choose_name(&table.name, None, "pkey", taken)
                } else {
                    let names: Vec<&str> = columns.iter().map(|c| c.name.as_str()).collect();
                    choose_name(&table.name, Some(&joined(&names)), "key", taken)
                }
            }
        };
        let index = Index {
            oid: self.new_oid()?,
            name: name.clone(),
            storage: None,
            keys,
            unique: true,
            primary,
        };
        let constraint = Constraint {
            oid: self.new_oid()?,
            name,
            kind: ConstraintKind::Unique { index: index.oid, primary },
        };
        Ok((constraint, index))
    }
}

/// PostgreSQL's `ChooseIndexNameAddition`: column names joined by `_`, cut when they grow too long.
pub(crate) fn joined(names: &[&str]) -> String {
    let mut out = String::new();
    for name in names {
        if !out.is_empty() {
            out.push('_');
        }
        out.push_str(name);
        if out.len() >= curia_catalog::MAX_NAME_BYTES {
            return make_object_name(&out, None, None);
        }
    }
    out
}

fn constraint_exists(catalog: &Catalog, table: &Table, name: &str) -> bool {
    let named = |t: &Table| t.constraints.iter().any(|c| c.name == name);
    named(table)
        || catalog
            .tables
            .values()
            .any(|t| t.schema == table.schema && t.oid != table.oid && named(t))
}

fn refuse_duplicate(table: &Table, name: &str) -> Result<()> {
    if table.constraints.iter().any(|c| c.name == name) {
        return Err(SqlError::new(
            SqlState::DUPLICATE_OBJECT,
            format!("constraint \"{name}\" for relation \"{}\" already exists", table.name),
        ));
    }
    Ok(())
}

fn refuse_attributes(what: &str, a: ConstraintAttributes) -> Result<()> {
    if a.deferrable || a.initially_deferred {
        return Err(SqlError::unsupported(format!("DEFERRABLE {what}")));
    }
    if a.no_inherit {
        return Err(SqlError::unsupported("NO INHERIT"));
    }
    Ok(())
}

/// The constraint that an index enforces, if any.
pub(crate) fn of_index(table: &Table, index: Oid) -> Option<&Constraint> {
    table
        .constraints
        .iter()
        .find(|c| matches!(c.kind, ConstraintKind::Unique { index: i, .. } if i == index))
}
