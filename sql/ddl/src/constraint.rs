//! Names and shapes of constraints, as columns and tables write them: CHECK, UNIQUE and PRIMARY KEY; `foreign_key` has the rest.

use crate::Ddl;
use curia_catalog::{Catalog, Constraint, ConstraintKind, Index, IndexKey, Oid, Table, Timing, choose_name, make_object_name};
use curia_parse::ast::{
    ColumnConstraintKind, ColumnDef, ConstraintAttributes, Expr, ForeignKey, Ident, TableConstraint, TableConstraintKind,
};
use curia_types::{Result, SqlError, SqlState};

/// A constraint as written, on a column or on the table.
pub(crate) struct Written<'a> {
    pub name: Option<&'a Ident>,
    pub pos: u32,
    pub kind: WrittenKind<'a>,
}

pub(crate) enum WrittenKind<'a> {
    Check {
        expr: &'a Expr,
        attributes: ConstraintAttributes,
    },
    Unique(Unique<'a>),
    ForeignKey {
        columns: Vec<&'a Ident>,
        references: &'a ForeignKey,
        attributes: ConstraintAttributes,
    },
    /// UNIQUE or PRIMARY KEY USING INDEX.
    Using {
        index: &'a Ident,
        primary: bool,
        attributes: ConstraintAttributes,
    },
}

/// UNIQUE or PRIMARY KEY as written.
pub(crate) struct Unique<'a> {
    pub columns: Vec<&'a Ident>,
    pub include: Vec<&'a Ident>,
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
                        include: Vec::new(),
                        primary: false,
                        nulls_not_distinct: *nulls_not_distinct,
                        attributes: *attributes,
                    }),
                ),
                ColumnConstraintKind::PrimaryKey { attributes } => written(
                    c,
                    WrittenKind::Unique(Unique {
                        columns: vec![&def.name],
                        include: Vec::new(),
                        primary: true,
                        nulls_not_distinct: false,
                        attributes: *attributes,
                    }),
                ),
                ColumnConstraintKind::References(references) => written(
                    c,
                    WrittenKind::ForeignKey {
                        columns: vec![&def.name],
                        references,
                        attributes: references.attributes,
                    },
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
        TableConstraintKind::Unique {
            columns,
            nulls_not_distinct,
            include,
        } => WrittenKind::Unique(Unique {
            columns: columns.iter().collect(),
            include: include.iter().collect(),
            primary: false,
            nulls_not_distinct: *nulls_not_distinct,
            attributes: c.attributes,
        }),
        TableConstraintKind::PrimaryKey { columns, include } => WrittenKind::Unique(Unique {
            columns: columns.iter().collect(),
            include: include.iter().collect(),
            primary: true,
            nulls_not_distinct: false,
            attributes: c.attributes,
        }),
        TableConstraintKind::UsingIndex { index, primary } => WrittenKind::Using {
            index,
            primary: *primary,
            attributes: c.attributes,
        },
        TableConstraintKind::ForeignKey { columns, references } => WrittenKind::ForeignKey {
            columns: columns.iter().collect(),
            references,
            attributes: c.attributes,
        },
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
        pos: Option<u32>,
    ) -> Result<Constraint> {
        if attributes.deferrable || attributes.initially_deferred {
            return Err(cannot_be_marked("CHECK", "DEFERRABLE", pos));
        }
        if attributes.no_inherit && table.is_partitioned() {
            return Err(SqlError::new(
                SqlState::INVALID_TABLE_DEFINITION,
                format!("cannot add NO INHERIT constraint to partitioned table \"{}\"", table.name),
            ));
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
            no_inherit: attributes.no_inherit,
            not_valid: attributes.not_valid,
            ..Constraint::new(self.new_oid()?, name, ConstraintKind::Check { expression })
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
            include,
            primary,
            nulls_not_distinct,
            attributes,
        } = unique;
        let primary = *primary;
        let kind = if primary { "PRIMARY KEY" } else { "UNIQUE" };
        if attributes.not_valid {
            return Err(cannot_be_marked(kind, "NOT VALID", pos));
        }
        if attributes.no_inherit {
            return Err(cannot_be_marked(kind, "NO INHERIT", pos));
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
            if keys.iter().any(|k: &IndexKey| k.as_column() == Some(i)) {
                let kind = if primary { "primary key" } else { "unique" };
                return Err(SqlError::new(
                    SqlState::DUPLICATE_COLUMN,
                    format!("column \"{}\" appears twice in {kind} constraint", column.name),
                )
                .at(pos));
            }
            self.check_orderable(table.columns[i].ty)?;
            keys.push(IndexKey::column(i));
        }
        let mut included = Vec::with_capacity(include.len());
        for column in include {
            let Some((i, _)) = table.column(&column.name) else {
                return Err(SqlError::new(
                    SqlState::UNDEFINED_COLUMN,
                    format!("column \"{}\" named in key does not exist", column.name),
                )
                .at(pos));
            };
            included.push(i);
        }
        if primary {
            for i in keys.iter().filter_map(IndexKey::as_column) {
                table.columns[i].not_null = true;
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
                    let names: Vec<&str> = columns.iter().chain(include).map(|c| c.name.as_str()).collect();
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
            include: included,
            nulls_not_distinct: *nulls_not_distinct,
            deferrable: attributes.deferrable,
            ..Index::default()
        };
        crate::partition::check_unique_key(table, &index, kind)?;
        let constraint = Constraint {
            timing: timing(*attributes),
            ..Constraint::new(self.new_oid()?, name, ConstraintKind::Unique { index: index.oid, primary })
        };
        Ok((constraint, index))
    }
}

/// PostgreSQL's `ChooseIndexNameAddition`: column names joined by `_`, cut when they grow too long.
pub(crate) fn joined<S: AsRef<str>>(names: &[S]) -> String {
    let mut out = String::new();
    for name in names {
        if !out.is_empty() {
            out.push('_');
        }
        out.push_str(name.as_ref());
        if out.len() >= curia_catalog::MAX_NAME_BYTES {
            return make_object_name(&out, None, None);
        }
    }
    out
}

pub(crate) fn constraint_exists(catalog: &Catalog, table: &Table, name: &str) -> bool {
    let named = |t: &Table| t.constraints.iter().any(|c| c.name == name);
    named(table)
        || catalog
            .tables
            .values()
            .any(|t| t.schema == table.schema && t.oid != table.oid && named(t))
}

pub(crate) fn refuse_duplicate(table: &Table, name: &str) -> Result<()> {
    if table.constraints.iter().any(|c| c.name == name) {
        return Err(SqlError::new(
            SqlState::DUPLICATE_OBJECT,
            format!("constraint \"{name}\" for relation \"{}\" already exists", table.name),
        ));
    }
    Ok(())
}

/// `CHECK constraints cannot be marked DEFERRABLE`
pub(crate) fn cannot_be_marked(kind: &str, what: &str, pos: Option<u32>) -> SqlError {
    SqlError::new(
        SqlState::FEATURE_NOT_SUPPORTED,
        format!("{kind} constraints cannot be marked {what}"),
    )
    .at(pos)
}

/// DEFERRABLE and INITIALLY.
pub(crate) fn timing(a: ConstraintAttributes) -> Timing {
    match (a.deferrable, a.initially_deferred) {
        (_, true) => Timing::Deferred,
        (true, false) => Timing::Deferrable,
        (false, false) => Timing::Immediate,
    }
}

/// The constraint that an index enforces, if any.
pub(crate) fn of_index(table: &Table, index: Oid) -> Option<&Constraint> {
    table
        .constraints
        .iter()
        .find(|c| matches!(c.kind, ConstraintKind::Unique { index: i, .. } if i == index))
}
