//! CREATE TABLE with parents: INHERITS and PARTITION OF.

use super::{inherited_twice, wrong_type};
use crate::Ddl;
use crate::column::NewColumn;
use crate::generated::expression_of;
use crate::like::plain;
use curia_catalog::temporary::is_temporary;
use curia_catalog::{Column, Constraint, ConstraintKind, Oid, Origin, Table};
use curia_parse::ast::{ColumnConstraintKind, ColumnDef, ConstraintAttributes, CreateTable, Expr, Ident};
use curia_txn::TableLock;
use curia_types::{PgType, Result, SqlError, SqlState, type_info};
use std::sync::Arc;

impl Ddl<'_> {
    /// The parents of a table to be made, locked against changes, in order.
    pub(crate) async fn parents_of(&mut self, s: &CreateTable, schema: Oid) -> Result<Vec<Arc<Table>>> {
        let names = s.inherits.iter().chain(s.partition_of.as_ref().map(|p| &p.parent));
        let is_partition = s.partition_of.is_some();
        if s.partition_by.is_some() && !s.inherits.is_empty() {
            return Err(SqlError::new(
                SqlState::INVALID_OBJECT_DEFINITION,
                "cannot create partitioned table as inheritance child",
            ));
        }
        let mut parents: Vec<Arc<Table>> = Vec::new();
        for name in names {
            let oid = match self.find_relation(name)? {
                curia_catalog::Relation::Table(oid) => oid,
                _ => return Err(not_inheritable(name.name())),
            };
            self.lock_table(oid, TableLock::ShareUpdateExclusive).await?;
            self.must_own(oid)?;
            let parent = self.table(oid)?;
            if parent.materialized.is_some() {
                return Err(not_inheritable(&parent.name));
            }
            let temporary = (
                is_temporary(self.catalog().schema_name(parent.schema)),
                is_temporary(self.catalog().schema_name(schema)),
            );
            if is_partition {
                if !parent.is_partitioned() {
                    return Err(SqlError::new(
                        SqlState::INVALID_OBJECT_DEFINITION,
                        format!("\"{}\" is not partitioned", parent.name),
                    ));
                }
                let of = match temporary {
                    (true, false) => Some(("permanent", "temporary")),
                    (false, true) => Some(("temporary", "permanent")),
                    _ => None,
                };
                if let Some((own, of)) = of {
                    return Err(wrong_type(format!(
                        "cannot create a {own} relation as partition of {of} relation \"{}\"",
                        parent.name
                    )));
                }
            } else {
                if parent.is_partitioned() {
                    return Err(wrong_type(format!("cannot inherit from partitioned table \"{}\"", parent.name)));
                }
                if parent.is_partition() {
                    return Err(wrong_type(format!("cannot inherit from partition \"{}\"", parent.name)));
                }
                if temporary == (true, false) {
                    return Err(wrong_type(format!("cannot inherit from temporary relation \"{}\"", parent.name)));
                }
            }
            if parents.iter().any(|p| p.oid == oid) {
                return Err(inherited_twice(&parent.name));
            }
            parents.push(parent);
        }
        Ok(parents)
    }

    /// The statement's own column definitions: of a partition those that its options stand for.
    pub(crate) fn own_columns(&self, s: &mut CreateTable, parents: &[Arc<Table>]) -> Result<()> {
        let (Some(of), [parent]) = (&s.partition_of, parents) else {
            return Ok(());
        };
        let mut out: Vec<ColumnDef> = Vec::new();
        for column in &of.columns {
            let Some((_, above)) = parent.column(&column.name.name) else {
                return Err(SqlError::new(
                    SqlState::UNDEFINED_COLUMN,
                    format!("column \"{}\" does not exist", column.name.name),
                ));
            };
            for c in &column.constraints {
                let what = match c.kind {
                    ColumnConstraintKind::Identity { .. } => "identity",
                    ColumnConstraintKind::Generated(_) => "generated",
                    _ => continue,
                };
                return Err(SqlError::new(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    format!("{what} columns are not supported on partitions"),
                ));
            }
            let mut def = plain(&above.name, above.ty)?;
            def.name = column.name.clone();
            def.constraints = column.constraints.clone();
            out.push(def);
        }
        s.columns = out;
        Ok(())
    }

    /// The columns of a table to be made: those of its parents first, merged with its own (`MergeAttributes`).
    pub(crate) fn merged_columns(&mut self, name: &str, own: &[ColumnDef], parents: &[Arc<Table>]) -> Result<Vec<NewColumn>> {
        let mut out: Vec<NewColumn> = Vec::new();
        // Columns whose parents disagree on a default, until the table's own definition settles it.
        let mut unsettled: Vec<String> = Vec::new();
        for parent in parents {
            for (_, above) in parent.live_columns() {
                let Some(found) = out.iter_mut().find(|n| n.column.name == above.name) else {
                    let attnum = i16::try_from(out.len() + 1).map_err(|_| crate::column::too_many_columns())?;
                    out.push(NewColumn {
                        column: Column {
                            attnum,
                            missing: None,
                            identity: None,
                            origin: Origin::INHERITED,
                            ..above.clone()
                        },
                        sequence: None,
                    });
                    continue;
                };
                let column = &mut found.column;
                self.notice(format!("merging multiple inherited definitions of column \"{}\"", above.name));
                if column.ty != above.ty {
                    return Err(conflict("inherited column", &above.name, column.ty, above.ty));
                }
                if column.generated != above.generated {
                    return Err(SqlError::new(
                        SqlState::DATATYPE_MISMATCH,
                        format!("inherited column \"{}\" has a generation conflict", above.name),
                    ));
                }
                column.origin.parents += 1;
                column.not_null |= above.not_null;
                match (&column.default, &above.default) {
                    (None, Some(_)) => column.default.clone_from(&above.default),
                    (Some(a), Some(b)) if a != b => unsettled.push(above.name.clone()),
                    _ => {}
                }
            }
        }
        let is_partition = parents.iter().any(|p| p.is_partitioned());
        for (at, def) in own.iter().enumerate() {
            if own[..at].iter().any(|c| c.name.name == def.name.name) {
                return Err(SqlError::new(
                    SqlState::DUPLICATE_COLUMN,
                    format!("column \"{}\" specified more than once", def.name.name),
                ));
            }
            let mut new = self.new_column(name, out.len() + 1, def)?;
            let Some(place) = out.iter().position(|n| n.column.name == def.name.name) else {
                out.push(new);
                continue;
            };
            let found = &mut out[place];
            if !is_partition {
                if place == at {
                    self.notice(format!("merging column \"{}\" with inherited definition", def.name.name));
                } else {
                    let message = format!("moving and merging column \"{}\" with inherited definition", def.name.name);
                    let notice = SqlError::new(SqlState::SUCCESSFUL_COMPLETION, message);
                    self.notices
                        .push(notice.detail("User-specified column moved to the position of the inherited column."));
                }
                found.column.origin.local = true;
            }
            if found.column.ty != new.column.ty {
                return Err(conflict("column", &def.name.name, found.column.ty, new.column.ty));
            }
            let has_default = def.constraints.iter().any(|c| matches!(c.kind, ColumnConstraintKind::Default(_)));
            if found.column.generated {
                let wrong = |message: String| SqlError::new(SqlState::INVALID_COLUMN_DEFINITION, message);
                if new.column.generated {
                    return Err(wrong(format!("child column \"{}\" specifies generation expression", def.name.name)).hint(
                        "Omit the generation expression in the definition of the child table column to inherit the generation expression from the parent table.",
                    ));
                }
                let what = match (has_default || new.sequence.is_some(), new.column.identity) {
                    (_, Some(_)) => Some("identity"),
                    (true, None) => Some("default"),
                    (false, None) => None,
                };
                if let Some(what) = what {
                    return Err(wrong(format!(
                        "column \"{}\" inherits from generated column but specifies {what}",
                        def.name.name
                    )));
                }
            }
            found.column.not_null |= new.column.not_null;
            found.column.identity = new.column.identity;
            if new.column.generated {
                found.column.generated = true;
                found.column.default = None;
            }
            if has_default || new.sequence.is_some() || new.column.generated {
                unsettled.retain(|n| *n != def.name.name);
                found.column.default = new.column.default.take();
                found.sequence = new.sequence.take();
            }
        }
        if let Some(name) = unsettled.first() {
            let generated = out.iter().any(|n| n.column.name == *name && n.column.generated);
            let (what, hint) = if generated {
                (
                    "generation expressions",
                    "To resolve the conflict, specify a generation expression explicitly.",
                )
            } else {
                ("default values", "To resolve the conflict, specify a default explicitly.")
            };
            return Err(SqlError::new(
                SqlState::INVALID_COLUMN_DEFINITION,
                format!("column \"{name}\" inherits conflicting {what}"),
            )
            .hint(hint));
        }
        Ok(out)
    }

    /// Computes the expressions of the generated columns that a statement defines itself.
    pub(crate) fn set_own_generated(&self, table: &mut Table, own: &[ColumnDef]) -> Result<()> {
        for def in own {
            if let Some(expr) = expression_of(def)
                && let Some((i, _)) = table.column(&def.name.name)
            {
                self.set_generated(table, i, expr)?;
            }
        }
        Ok(())
    }

    /// Gives a table to be made the CHECK constraints of its parents.
    pub(crate) fn take_checks(&self, table: &mut Table, parents: &[Arc<Table>]) -> Result<()> {
        for parent in parents {
            for above in parent.constraints.iter().filter(|c| !c.no_inherit) {
                let ConstraintKind::Check { .. } = &above.kind else { continue };
                match table.constraints.iter_mut().find(|c| c.name == above.name) {
                    Some(own) if own.kind == above.kind => own.origin.parents += 1,
                    Some(_) => {
                        return Err(SqlError::new(
                            SqlState::DUPLICATE_OBJECT,
                            format!(
                                "check constraint name \"{}\" appears multiple times but with different expressions",
                                above.name
                            ),
                        ));
                    }
                    None => table.constraints.push(Constraint {
                        oid: self.new_oid()?,
                        not_valid: false,
                        origin: Origin::INHERITED,
                        ..above.clone()
                    }),
                }
            }
        }
        Ok(())
    }

    /// Merges a CHECK of a statement with the inherited one of its name; whether there is one.
    pub(crate) fn merge_own_check(
        &mut self,
        table: &mut Table,
        name: Option<&Ident>,
        expr: &Expr,
        attributes: ConstraintAttributes,
    ) -> Result<bool> {
        let Some(name) = name else { return Ok(false) };
        let Some(at) = table
            .constraints
            .iter()
            .position(|c| c.name == name.name && c.origin.is_inherited() && !c.origin.local)
        else {
            return Ok(false);
        };
        let (expression, _) = self.check_text(expr, table)?;
        if table.constraints[at].kind != (ConstraintKind::Check { expression }) {
            return Ok(false);
        }
        if attributes.no_inherit {
            return Err(SqlError::new(
                SqlState::INVALID_OBJECT_DEFINITION,
                format!(
                    "constraint \"{}\" conflicts with inherited constraint on relation \"{}\"",
                    name.name, table.name
                ),
            ));
        }
        self.notice(format!("merging constraint \"{}\" with inherited definition", name.name));
        if !table.is_partition() {
            table.constraints[at].origin.local = true;
        }
        Ok(true)
    }
}

fn not_inheritable(name: &str) -> SqlError {
    wrong_type(format!("inherited relation \"{name}\" is not a table or foreign table"))
}

fn conflict(what: &str, name: &str, a: PgType, b: PgType) -> SqlError {
    let shown = |ty: PgType| type_info::format_type(ty.oid, ty.typmod);
    SqlError::new(SqlState::DATATYPE_MISMATCH, format!("{what} \"{name}\" has a type conflict")).detail(format!(
        "{} versus {}",
        shown(a),
        shown(b)
    ))
}
