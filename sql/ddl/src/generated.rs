//! Generated columns: GENERATED ALWAYS AS (..) STORED, and what depends on the columns that it uses.

use crate::Ddl;
use curia_catalog::Table;
use curia_parse::ast::{ColumnConstraintKind, ColumnDef, Expr};
use curia_types::{Result, SqlError, SqlState};

/// The expression of a column definition, if it has one.
pub(crate) fn expression_of(def: &ColumnDef) -> Option<&Expr> {
    def.constraints.iter().find_map(|c| match &c.kind {
        ColumnConstraintKind::Generated(expr) => Some(expr),
        _ => None,
    })
}

impl Ddl<'_> {
    /// Checks the expression of a column of `table`, which has all its columns, and keeps its text.
    pub(crate) fn set_generated(&self, table: &mut Table, column: usize, expr: &Expr) -> Result<()> {
        let text = curia_bind::generated_text(&self.catalog(), self.env.search_path, expr, table, column);
        table.columns[column].default = Some(self.placed(text)?);
        Ok(())
    }

    /// The generated columns that use a column.
    pub(crate) fn generated_from(&self, table: &Table, column: usize) -> Result<Vec<usize>> {
        let mut found = Vec::new();
        for (i, c) in table.live_columns().filter(|(i, c)| *i != column && c.generated) {
            if let Some(text) = &c.default
                && curia_bind::generated_columns_used(&self.catalog(), text, table)?.contains(&column)
            {
                found.push(i);
            }
        }
        Ok(found)
    }

    /// Rewrites the expressions of generated columns after a column of `old` got another name in `new`.
    pub(crate) fn rename_in_generated(&self, old: &Table, new: &mut Table) -> Result<()> {
        for i in 0..new.columns.len() {
            if new.columns[i].generated
                && !new.columns[i].dropped
                && let Some(text) = &new.columns[i].default
            {
                let text = curia_bind::generated_text_renamed(&self.catalog(), text, old, new)?;
                new.columns[i].default = Some(text);
            }
        }
        Ok(())
    }

    /// Refuses to change the type of a column that a generated column uses.
    pub(crate) fn refuse_used_by_generated(&self, table: &Table, column: usize) -> Result<()> {
        match self.generated_from(table, column)?.first() {
            None => Ok(()),
            Some(by) => Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "cannot alter type of a column used by a generated column",
            )
            .detail(format!(
                "Column \"{}\" is used by generated column \"{}\".",
                table.columns[column].name, table.columns[*by].name
            ))),
        }
    }

    /// The generated columns that go with a column; without CASCADE they keep it.
    pub(crate) fn generated_that_go(&mut self, table: &Table, column: usize, cascade: bool) -> Result<Vec<usize>> {
        let going = self.generated_from(table, column)?;
        let shown = self.shown(table.schema, &table.name);
        let named = |i: usize| format!("column {} of table {shown}", table.columns[i].name);
        if going.is_empty() {
            return Ok(going);
        }
        if !cascade {
            let lines: Vec<String> = going
                .iter()
                .map(|i| format!("{} depends on {}", named(*i), named(column)))
                .collect();
            let message = format!("cannot drop {} because other objects depend on it", named(column));
            return Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message)
                .detail(lines.join("\n"))
                .hint("Use DROP ... CASCADE to drop the dependent objects too."));
        }
        for i in &going {
            self.notice(format!("drop cascades to {}", named(*i)));
        }
        Ok(going)
    }
}

/// 42601 for what a generated column does not take.
pub(crate) fn is_generated(table: &Table, column: usize) -> SqlError {
    SqlError::new(
        SqlState::SYNTAX_ERROR,
        format!(
            "column \"{}\" of relation \"{}\" is a generated column",
            table.columns[column].name, table.name
        ),
    )
}
