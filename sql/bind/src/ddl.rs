//! Types and expressions of definitions: checked by binding them, stored as normalised SQL text, bound again when used.
//!
//! Stored text names relations by OID (`nextval('16385'::regclass)`), so that renaming changes nothing; [`stored_text_shown`] shows it
//! with names, as `pg_get_expr` does.

use crate::binder::{Binder, at};
use crate::context::BindContext;
use crate::deparse::Deparse;
use crate::ir::{Bound, ColId, Expr, OutputColumn, Rel};
use crate::scope::{Clause, Scope};
use crate::view::{self, Depth, Meanings};
use crate::{coerce, walk};
use curia_catalog::{Catalog, Oid, Table, ViewRelation};
use curia_functions::CastContext;
use curia_parse::ast::{self, TypeName};
use curia_parse::{ObjectName, quote_identifier};
use curia_types::{IoContext, PgType, Result, SqlError, SqlState, oid};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

/// Resolves a written type.
///
/// # Errors
/// 42704, 3F000, 22023, 42601, 0A000 with position.
pub fn resolve_type(catalog: &Catalog, search_path: &[String], name: &TypeName) -> Result<PgType> {
    crate::type_name::resolve(name, catalog, search_path)
}

/// Finds a type by name: `None` when there is none.
///
/// # Errors
/// 3F000 for a schema that does not exist.
pub fn find_type(catalog: &Catalog, search_path: &[String], name: &ObjectName) -> Result<Option<Oid>> {
    crate::type_name::find(name, catalog, search_path)
}

/// A type's name that means the same type whatever is renamed and whatever the search path: what [`resolve_type`] reads back.
pub fn type_text(ty: PgType) -> String {
    crate::deparse::type_name(ty, None)
}

/// How definitions read literals: users' types as the catalog has them, nothing of the session's.
fn definition_io(catalog: &Catalog) -> IoContext {
    IoContext {
        types: Some(Arc::new(catalog.clone())),
        ..IoContext::default()
    }
}

/// Runs `work` with a binder that keeps expressions as they were written.
pub(crate) fn with_binder<T>(catalog: &Catalog, search_path: &[String], work: impl FnOnce(&Binder<'_>) -> Result<T>) -> Result<T> {
    binder_for(catalog, search_path, false, work)
}

/// Runs `work` with a binder that folds constants, as it does in statements.
pub(crate) fn with_folding_binder<T>(catalog: &Catalog, work: impl FnOnce(&Binder<'_>) -> Result<T>) -> Result<T> {
    binder_for(catalog, &[], true, work)
}

fn binder_for<T>(catalog: &Catalog, search_path: &[String], fold: bool, work: impl FnOnce(&Binder<'_>) -> Result<T>) -> Result<T> {
    let io = definition_io(catalog);
    let cx = BindContext::of_definitions(catalog, search_path, &io);
    // None of these expressions may hold a query, so there are no views to go down into.
    let wanted = AtomicU32::new(0);
    work(&Binder::new(&cx, Depth::new(curia_parse::INLINE_DEPTH, 0, &wanted), fold))
}

/// What a view's query gives and names.
#[derive(Clone, Debug)]
pub struct ViewShape {
    /// Its result.
    pub columns: Vec<OutputColumn>,
    /// What its names of relations mean.
    pub relations: Vec<ViewRelation>,
    /// Tables that it reads, those of views in it too.
    pub tables: Vec<Oid>,
}

/// Binds the query of a view that is to be made; `depth` is that of its text.
///
/// # Errors
/// Those of binding; 0A000 for row locks.
pub fn view_shape(catalog: &Catalog, search_path: &[String], query: &ast::Query, depth: u32) -> Result<ViewShape> {
    let io = definition_io(catalog);
    let cx = BindContext::of_definitions(catalog, search_path, &io);
    view::with_depth(depth, |depth| {
        let mut binder = Binder::new(&cx, depth, true);
        binder.meanings = Meanings::keeping();
        binder.outermost.set(true);
        let mut bound = Bound::Query(binder.top_query(query)?);
        if !binder.stages.borrow().is_empty() {
            let message = "views must not contain data-modifying statements in WITH";
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
        }
        walk::prune(&mut bound);
        let Bound::Query(query) = bound else {
            return Err(SqlError::internal("a query became something else"));
        };
        let mut relations = binder.meanings.found();
        let mut tables = Vec::new();
        let mut locks = false;
        walk::each_rel(&query.rel, &mut |rel| match rel {
            Rel::LockRows { .. } => locks = true,
            Rel::Scan(scan) => {
                tables.push(scan.table.oid);
                for relation in relations.iter_mut().filter(|r| r.oid == scan.table.oid) {
                    relation
                        .used
                        .extend(scan.columns.iter().map(|(i, _)| scan.table.columns[*i].attnum));
                }
            }
            _ => {}
        });
        if locks {
            return Err(SqlError::unsupported("FOR UPDATE in a view"));
        }
        for relation in &mut relations {
            relation.used.sort_unstable();
            relation.used.dedup();
        }
        tables.sort_unstable();
        tables.dedup();
        Ok(ViewShape {
            columns: query.output,
            relations,
            tables,
        })
    })
}

/// A DEFAULT expression's text, checked to be assignable to the column.
///
/// # Errors
/// 42804 when it is not; 0A000 for column references and subqueries; those of binding.
pub fn default_text(catalog: &Catalog, search_path: &[String], expr: &ast::Expr, column: &str, ty: PgType) -> Result<String> {
    with_binder(catalog, search_path, |b| {
        let bound = b.default_expr(expr)?;
        let bound = b.default_of_type(bound, ty, column)?;
        Ok(Deparse {
            column: &|_| None,
            names: None,
            pretty: false,
            catalog: b.cx.catalog,
            special: None,
        }
        .text(&bound))
    })
}

/// `pg_get_expr`: stored text with relations by name, over a table's columns if it has any. Text that no longer binds is shown as it is.
pub fn stored_text_shown(catalog: &Catalog, search_path: &[String], text: &str, table: Option<&Table>, pretty: bool) -> String {
    let names = Some((catalog, search_path));
    let shown = curia_parse::parse_expression(text).and_then(|expr| {
        with_binder(catalog, search_path, |b| match table {
            None => Ok(Deparse {
                column: &|_| None,
                names,
                pretty,
                catalog: b.cx.catalog,
                special: None,
            }
            .text(&b.default_expr(&expr)?)),
            Some(t) => {
                let how = Shown { table: t, names, pretty };
                b.over_table(&expr, t, &how, Clause::Check, |_, e| Ok(e)).map(|(text, _)| text)
            }
        })
    });
    shown.unwrap_or_else(|_| text.to_owned())
}

/// How [`Binder::over_table`] shows what it bound.
pub(crate) struct Shown<'a> {
    /// Gives the columns their names.
    table: &'a Table,
    names: Option<(&'a Catalog, &'a [String])>,
    pretty: bool,
}

impl<'a> Shown<'a> {
    /// The form that is stored.
    pub(crate) fn stored(table: &'a Table) -> Shown<'a> {
        Shown {
            table,
            names: None,
            pretty: false,
        }
    }
}

/// A CHECK expression's text over a table, and the columns (indexes into `Table::columns`) it mentions.
///
/// # Errors
/// 42804 when it is not boolean; 42703 for unknown columns; 0A000 for subqueries.
pub fn check_text(catalog: &Catalog, search_path: &[String], expr: &ast::Expr, table: &Table) -> Result<(String, Vec<usize>)> {
    with_binder(catalog, search_path, |b| {
        b.over_table(expr, table, &Shown::stored(table), Clause::Check, |b, e| b.boolean(e, "CHECK"))
    })
}

/// The columns that a stored CHECK expression mentions.
///
/// # Errors
/// Those of binding.
pub fn check_columns(catalog: &Catalog, text: &str, table: &Table) -> Result<Vec<usize>> {
    let expr = curia_parse::parse_expression(text)?;
    Ok(check_text(catalog, &[], &expr, table)?.1)
}

/// A stored CHECK expression of `old` with the names that `new` gives to the same columns.
///
/// # Errors
/// Those of binding.
pub fn check_text_renamed(catalog: &Catalog, text: &str, old: &Table, new: &Table) -> Result<String> {
    let expr = curia_parse::parse_expression(text)?;
    with_binder(catalog, &[], |b| {
        b.over_table(&expr, old, &Shown::stored(new), Clause::Check, |b, e| b.boolean(e, "CHECK"))
    })
    .map(|r| r.0)
}

/// The text of ALTER COLUMN .. TYPE .. USING over the table's old columns.
///
/// # Errors
/// 42804 when its type cannot be assigned to the new one.
pub fn using_text(catalog: &Catalog, search_path: &[String], expr: &ast::Expr, table: &Table, ty: PgType) -> Result<String> {
    let check = |b: &Binder<'_>, e: Expr| {
        let source = e.ty.oid;
        let unknown = source == oid::UNKNOWN;
        if !coerce::can_coerce(source, ty.oid, CastContext::Assignment) {
            return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, "result of USING clause cannot be cast automatically").at(e.position));
        }
        // PostgreSQL converts the result without its place in the statement.
        let result = Expr { position: None, ..e };
        if unknown { b.implicit(result, ty.oid) } else { Ok(result) }
    };
    with_binder(catalog, search_path, |b| {
        b.over_table(expr, table, &Shown::stored(table), Clause::AlterUsing, check)
    })
    .map(|r| r.0)
}

/// Whether values of one type can be assigned to columns of another.
pub fn assignable(source: PgType, target: PgType) -> bool {
    coerce::can_coerce(source.oid, target.oid, CastContext::Assignment)
}

/// Whether a column of one type can refer to one of another: they are equal in one order, or convert implicitly.
pub fn can_reference(from: PgType, to: PgType) -> bool {
    let family = |t: u32| match t {
        oid::INT2 | oid::INT4 | oid::INT8 => oid::INT8,
        oid::FLOAT4 | oid::FLOAT8 => oid::FLOAT8,
        oid::DATE | oid::TIMESTAMP | oid::TIMESTAMPTZ => oid::TIMESTAMP,
        oid::VARCHAR | oid::NAME => oid::TEXT,
        t => t,
    };
    family(from.oid) == family(to.oid) || coerce::can_coerce(from.oid, to.oid, CastContext::Implicit)
}

/// Whether a stored default can be assigned to a column of another type.
///
/// # Errors
/// Those of binding.
pub fn default_assignable(catalog: &Catalog, search_path: &[String], text: &str, ty: PgType) -> Result<bool> {
    with_binder(catalog, search_path, |b| {
        let bound = b.default_expr(&curia_parse::parse_expression(text)?)?;
        Ok(coerce::can_coerce(bound.ty.oid, ty.oid, CastContext::Assignment))
    })
}

/// The functions, other than built-in ones, that a stored expression calls; none when it no longer binds.
pub fn functions_called(catalog: &Catalog, text: &str, table: Option<&Table>) -> Vec<Oid> {
    if catalog.functions.is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut collect = |e: &Expr| {
        walk::any_expr(e, &mut |e| {
            if let crate::ir::ExprKind::Call { function, .. } = &e.kind
                && catalog.functions.contains_key(function)
            {
                found.push(*function);
            }
            false
        });
    };
    let bound = curia_parse::parse_expression(text).and_then(|expr| {
        with_binder(catalog, &[], |b| match table {
            None => b.default_expr(&expr).map(|e| collect(&e)),
            Some(t) => b
                .over_table(&expr, t, &Shown::stored(t), Clause::Check, |_, e| {
                    collect(&e);
                    Ok(e)
                })
                .map(|_| ()),
        })
    });
    // What does not bind calls nothing that could be told.
    bound.map_or_else(|_| Vec::new(), |()| found)
}

/// Whether a stored default must be computed for each row.
///
/// # Errors
/// Those of binding.
pub fn is_volatile(catalog: &Catalog, search_path: &[String], text: &str) -> Result<bool> {
    with_binder(catalog, search_path, |b| {
        Ok(walk::is_volatile(&b.default_expr(&curia_parse::parse_expression(text)?)?))
    })
}

impl Binder<'_> {
    fn default_expr(&self, expr: &ast::Expr) -> Result<Expr> {
        let scope = Scope::root();
        scope.clause.set(Clause::Default);
        self.expr(expr, &scope)
    }

    /// Checks a default against its column; a literal of unknown type takes the column's.
    pub fn default_of_type(&self, bound: Expr, ty: PgType, column: &str) -> Result<Expr> {
        let (source, position) = (bound.ty.oid, bound.position);
        if source == oid::UNKNOWN {
            // Reads the literal, so that a bad one is refused now.
            self.coerce(bound.clone(), ty, CastContext::Assignment)?;
            return self.implicit(bound, ty.oid);
        }
        if coerce::can_coerce(source, ty.oid, CastContext::Assignment) {
            return Ok(bound);
        }
        let name = coerce::type_text;
        Err(SqlError::new(
            SqlState::DATATYPE_MISMATCH,
            format!(
                "column \"{column}\" is of type {} but default expression is of type {}",
                name(ty.oid),
                name(source)
            ),
        )
        .hint("You will need to rewrite or cast the expression.")
        .at(position))
    }

    /// Binds an expression over a table's columns and shows it with the names of `shown`'s columns.
    pub(crate) fn over_table(
        &self,
        expr: &ast::Expr,
        table: &Table,
        shown: &Shown<'_>,
        clause: Clause,
        finish: impl FnOnce(&Self, Expr) -> Result<Expr>,
    ) -> Result<(String, Vec<usize>)> {
        let table = Arc::new(table.clone());
        let (row, item) = self.new_row(&table, &table.name, true);
        let mut scope = Scope::root();
        scope.items.push(Rc::new(item));
        let bound = finish(self, self.expr_in(expr, &scope, clause)?)?;
        let index_of = |id: ColId| row.iter().find(|(_, c)| c.id == id).map(|(i, _)| *i);
        let name = |id: ColId| {
            index_of(id)
                .and_then(|i| shown.table.columns.get(i))
                .map(|c| quote_identifier(&c.name).into_owned())
        };
        let mut columns = Vec::new();
        walk::columns_of(&bound, &mut |id| columns.extend(index_of(id)));
        columns.sort_unstable();
        columns.dedup();
        Ok((
            Deparse {
                column: &name,
                names: shown.names,
                pretty: shown.pretty,
                catalog: self.cx.catalog,
                special: None,
            }
            .text(&bound),
            columns,
        ))
    }

    /// Refuses what definitions may not contain.
    pub(crate) fn refuse_in_definition(&self, clause: Clause, what: &str, pos: u32) -> Result<()> {
        let place = match clause {
            Clause::Default => "DEFAULT expression",
            Clause::Check => "check constraint",
            Clause::Generated => "column generation expression",
            Clause::AlterUsing => "transform expression",
            Clause::IndexExpression => "index expression",
            Clause::IndexPredicate => "index predicate",
            Clause::CopyWhere => "COPY FROM WHERE condition",
            Clause::PartitionKey => "partition key expression",
            Clause::PartitionBound if what == "column reference" => "partition bound expression",
            Clause::PartitionBound => "partition bound",
            _ => return Ok(()),
        };
        if what == "column reference" && !matches!(clause, Clause::Default | Clause::PartitionBound) {
            return Ok(());
        }
        Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, format!("cannot use {what} in {place}")).at(at(pos)))
    }
}
