//! FOREIGN KEY constraints: which table and columns they refer to, and whether the rows that exist hold to them.

use crate::Ddl;
use crate::constraint::{Written, WrittenKind, cannot_be_marked, constraint_exists, joined, refuse_duplicate, timing};
use curia_catalog::temporary::is_temporary;
use curia_catalog::{Change, Column, Constraint, ConstraintKind, ForeignKey, ForeignKeyAction, Index, Oid, Relation, Table, choose_name};
use curia_parse::ast::{self, ForeignKeyMatch, Ident};
use curia_parse::quote_identifier;
use curia_txn::TableLock;
use curia_types::{Datum, IoContext, PgType, Result, SqlError, SqlState, text_io, type_info};
use std::sync::Arc;

impl Ddl<'_> {
    /// Adds a FOREIGN KEY to a table; `empty`: it has no rows yet.
    pub(crate) async fn add_foreign_key(&mut self, table: Oid, w: &Written<'_>, empty: bool) -> Result<()> {
        let WrittenKind::ForeignKey {
            columns,
            references,
            attributes,
        } = &w.kind
        else {
            return Err(SqlError::internal("not a foreign key"));
        };
        if attributes.no_inherit {
            return Err(cannot_be_marked("FOREIGN KEY", "NO INHERIT", Some(w.pos)));
        }
        let temporary = |t: &Table| is_temporary(self.catalog().schema_name(t.schema));
        // The first temporary table of a session is not on its search path yet.
        let own = self.table(table)?;
        let is_own = references.table.parts.len() == 1 && references.table.name() == own.name && temporary(&own);
        let found = match if is_own {
            Relation::Table(own.oid)
        } else {
            self.find_relation(&references.table)?
        } {
            Relation::Table(oid) if self.table(oid)?.materialized.is_none() => oid,
            _ => {
                return Err(SqlError::new(
                    SqlState::WRONG_OBJECT_TYPE,
                    format!("referenced relation \"{}\" is not a table", references.table.name()),
                ));
            }
        };
        // Nobody may delete rows of it, or drop it, before the constraint is there for all to see.
        self.lock_table(found, TableLock::ShareRowExclusive).await?;
        let other = self.table(found)?;
        let mut table = (*self.table(table)?).clone();
        let temporary = |t: &Table| is_temporary(self.catalog().schema_name(t.schema));
        let of = match (temporary(&table), temporary(&other)) {
            (false, true) => Some("permanent"),
            (true, false) => Some("temporary"),
            _ => None,
        };
        if let Some(kind) = of {
            return Err(SqlError::new(
                SqlState::INVALID_TABLE_DEFINITION,
                format!("constraints on {kind} tables may reference only {kind} tables"),
            ));
        }
        if table.is_partitioned() {
            let refused = |what: &str| {
                SqlError::new(
                    SqlState::WRONG_OBJECT_TYPE,
                    format!(
                        "cannot {what} foreign key on partitioned table \"{}\" referencing relation \"{}\"",
                        table.name, other.name
                    ),
                )
            };
            if self.only {
                return Err(refused("use ONLY for"));
            }
            if attributes.not_valid {
                return Err(refused("add NOT VALID").detail("This feature is not yet supported on partitioned tables."));
            }
        }
        let columns = fk_columns(&table, columns)?;
        if columns.iter().any(|c| table.columns[*c].generated) {
            use ast::ForeignKeyAction as Action;
            let sets = |a: Action| matches!(a, Action::SetNull | Action::SetDefault);
            let wrong = |what: &str| {
                let message = format!("invalid {what} action for foreign key constraint containing generated column");
                Err(SqlError::new(SqlState::SYNTAX_ERROR, message))
            };
            if sets(references.on_update) || references.on_update == Action::Cascade {
                return wrong("ON UPDATE");
            }
            if sets(references.on_delete) {
                return wrong("ON DELETE");
            }
        }
        let mut set: Vec<usize> = Vec::new();
        for column in fk_columns(&table, &references.set_columns.iter().collect::<Vec<_>>())? {
            if !set.contains(&column) {
                set.push(column);
            }
        }
        if let Some(outside) = set.iter().find(|c| !columns.contains(c)) {
            return Err(SqlError::new(
                SqlState::INVALID_COLUMN_REFERENCE,
                format!(
                    "column \"{}\" referenced in ON DELETE SET action must be part of foreign key",
                    table.columns[*outside].name
                ),
            ));
        }
        let generated = columns.iter().any(|c| table.columns[*c].generated);
        let changes = |a: ast::ForeignKeyAction| matches!(a, ast::ForeignKeyAction::SetNull | ast::ForeignKeyAction::SetDefault);
        let update = changes(references.on_update) || references.on_update == ast::ForeignKeyAction::Cascade;
        for (refused, clause) in [(update, "ON UPDATE"), (changes(references.on_delete), "ON DELETE")] {
            if generated && refused {
                let message = format!("invalid {clause} action for foreign key constraint containing generated column");
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
            }
        }
        let (key, index) = referenced_key(&other, &references.columns)?;
        if key.len() != columns.len() {
            return Err(SqlError::new(
                SqlState::INVALID_FOREIGN_KEY,
                "number of referencing and referenced columns for foreign key disagree",
            ));
        }
        self.may_reference(&other, &key)?;
        let catalog = self.catalog();
        let name = match w.name {
            Some(name) => {
                refuse_duplicate(&table, &name.name)?;
                name.name.clone()
            }
            None => {
                let names: Vec<&str> = columns.iter().map(|c| table.columns[*c].name.as_str()).collect();
                choose_name(&table.name, Some(&joined(&names)), "fkey", |n| {
                    constraint_exists(&catalog, &table, n)
                })
            }
        };
        for (referencing, referenced) in columns.iter().zip(&key) {
            let (from, to) = (&table.columns[*referencing], &other.columns[*referenced]);
            if !curia_bind::ddl::can_reference(from.ty, to.ty) {
                return Err(incompatible(&name, from, to));
            }
        }
        let key = ForeignKey {
            columns,
            table: other.oid,
            key,
            index,
            on_update: action(references.on_update),
            on_delete: action(references.on_delete),
            set,
            full: match references.matching {
                ForeignKeyMatch::Simple => false,
                ForeignKeyMatch::Full => true,
                ForeignKeyMatch::Partial => {
                    return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "MATCH PARTIAL not yet implemented").at(Some(w.pos)));
                }
            },
        };
        let constraint = Constraint {
            timing: timing(*attributes),
            not_valid: attributes.not_valid && !empty,
            ..Constraint::new(self.new_oid()?, name, ConstraintKind::ForeignKey(key.clone()))
        };
        if !empty && !attributes.not_valid {
            self.check_references(&table, &constraint.name, &key).await?;
        }
        let (owner, made) = (table.oid, constraint.oid);
        let spreads = table.is_partitioned();
        table.constraints.push(constraint);
        self.change(Change::put(table))?;
        if spreads {
            self.spread_foreign_key(owner, made).await?;
        }
        Ok(())
    }

    /// Fails with 23503 when a row of `table`, as the catalog has it, refers to nothing.
    pub(crate) async fn check_references(&mut self, table: &Table, name: &str, key: &ForeignKey) -> Result<()> {
        let other = self.table(key.table)?;
        let column = |alias: &str, t: &Table, c: usize| format!("{alias}.{}", quote_identifier(&t.columns[c].name));
        let values: Vec<String> = key.columns.iter().map(|c| column("fk", table, *c)).collect();
        let matches: Vec<String> = key
            .key
            .iter()
            .zip(&values)
            .map(|(k, v)| format!("{} = {v}", column("pk", &other, *k)))
            .collect();
        let known: Vec<String> = values.iter().map(|v| format!("{v} IS NOT NULL")).collect();
        let query = format!(
            "SELECT {} FROM ONLY {} AS fk LEFT JOIN {} AS pk ON {} WHERE {} IS NULL AND ({}) LIMIT 1",
            values.join(", "),
            self.qualified(table),
            self.qualified(&other),
            matches.join(" AND "),
            column("pk", &other, key.key[0]),
            known.join(if key.full { " OR " } else { " AND " }),
        );
        let mut rows = self.queries.open(self.tx, &query).await?;
        let first = rows.next().await?.and_then(|batch| batch.into_iter().next());
        let Some(row) = first else { return Ok(()) };
        let schema = self.catalog().schema_name(table.schema).to_owned();
        Err(SqlError::new(
            SqlState::FOREIGN_KEY_VIOLATION,
            format!(
                "insert or update on table \"{}\" violates foreign key constraint \"{name}\"",
                table.name
            ),
        )
        .detail(if row.iter().any(Datum::is_null) {
            "MATCH FULL does not allow mixing of null and nonnull key values.".to_owned()
        } else {
            let names: Vec<&str> = key.columns.iter().map(|c| table.columns[*c].name.as_str()).collect();
            let io = IoContext::default();
            let shown = |(c, v): (&usize, &Datum)| text_io::to_string(table.columns[*c].ty, v, &io);
            let values: Vec<String> = key.columns.iter().zip(&row).map(shown).collect();
            format!(
                "Key ({})=({}) is not present in table \"{}\".",
                names.join(", "),
                values.join(", "),
                other.name
            )
        })
        .table(&schema, &table.name)
        .constraint(name))
    }
}

/// 42804: columns that cannot be compared.
pub(crate) fn incompatible(name: &str, from: &Column, to: &Column) -> SqlError {
    let shown = |ty: PgType| type_info::format_type(ty.oid, -1);
    SqlError::new(
        SqlState::DATATYPE_MISMATCH,
        format!("foreign key constraint \"{name}\" cannot be implemented"),
    )
    .detail(format!(
        "Key columns \"{}\" and \"{}\" are of incompatible types: {} and {}.",
        from.name,
        to.name,
        shown(from.ty),
        shown(to.ty)
    ))
}

fn fk_columns(table: &Table, names: &[&Ident]) -> Result<Vec<usize>> {
    names
        .iter()
        .map(|name| {
            table.column(&name.name).map(|(i, _)| i).ok_or_else(|| {
                if matches!(name.name.as_str(), "ctid" | "xmin" | "xmax" | "cmin" | "cmax" | "tableoid") {
                    return SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "system columns cannot be used in foreign keys");
                }
                SqlError::new(
                    SqlState::UNDEFINED_COLUMN,
                    format!("column \"{}\" referenced in foreign key constraint does not exist", name.name),
                )
            })
        })
        .collect()
}

/// The columns that a foreign key refers to, and the unique index that has them.
fn referenced_key(other: &Arc<Table>, names: &[Ident]) -> Result<(Vec<usize>, Oid)> {
    let unready = |what: &str| {
        SqlError::new(
            SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("cannot use a deferrable {what} for referenced table \"{}\"", other.name),
        )
    };
    if names.is_empty() {
        let primary = other.primary_key().ok_or_else(|| {
            SqlError::new(
                SqlState::UNDEFINED_OBJECT,
                format!("there is no primary key for referenced table \"{}\"", other.name),
            )
        })?;
        if primary.deferrable {
            return Err(unready("primary key"));
        }
        return Ok((primary.columns().collect(), primary.oid));
    }
    let key = fk_columns(other, &names.iter().collect::<Vec<_>>())?;
    if (1..key.len()).any(|i| key[..i].contains(&key[i])) {
        return Err(SqlError::new(
            SqlState::INVALID_FOREIGN_KEY,
            "foreign key referenced-columns list must not contain duplicates",
        ));
    }
    let has_these = |i: &&Index| i.is_plain_unique() && !i.incomplete && i.keys.len() == key.len() && i.columns().all(|c| key.contains(&c));
    let mut candidates = other.indexes.iter().filter(has_these).peekable();
    if candidates.peek().is_none() {
        return Err(SqlError::new(
            SqlState::INVALID_FOREIGN_KEY,
            format!(
                "there is no unique constraint matching given keys for referenced table \"{}\"",
                other.name
            ),
        ));
    }
    match candidates.find(|i| !i.deferrable) {
        Some(index) => Ok((key, index.oid)),
        None => Err(unready("unique constraint")),
    }
}

fn action(written: ast::ForeignKeyAction) -> ForeignKeyAction {
    match written {
        ast::ForeignKeyAction::NoAction => ForeignKeyAction::NoAction,
        ast::ForeignKeyAction::Restrict => ForeignKeyAction::Restrict,
        ast::ForeignKeyAction::Cascade => ForeignKeyAction::Cascade,
        ast::ForeignKeyAction::SetNull => ForeignKeyAction::SetNull,
        ast::ForeignKeyAction::SetDefault => ForeignKeyAction::SetDefault,
    }
}
