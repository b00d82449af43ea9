//! CHECK constraints of domains: conditions over VALUE, which is of the domain's base type.

use crate::binder::Binder;
use crate::ddl::with_binder;
use crate::deparse::Deparse;
use crate::ir::{ColId, Expr, RelColumn};
use crate::scope::{Clause, NsColumn, NsItem, Scope};
use curia_catalog::Catalog;
use curia_parse::ast;
use curia_types::{Datum, PgType, Result, type_info};
use std::rc::Rc;

impl Binder<'_> {
    /// What a column without default has: its domain's default, or that of the domain under it, or NULL, which the domain may refuse.
    pub(crate) fn default_of_domain(&self, ty: PgType) -> Result<Expr> {
        let null = |ty| self.constant(Datum::Null, ty, None);
        if !type_info::is_domain(ty.oid) {
            return Ok(null(ty));
        }
        let mut at = ty.oid;
        let value = loop {
            let Some(domain) = self.cx.catalog.types.get(&at).and_then(|t| t.domain()) else {
                break null(type_info::base_of(ty));
            };
            if let Some(text) = &domain.default {
                let scope = Scope::root();
                scope.clause.set(Clause::Default);
                break self.expr(&curia_parse::parse_expression(text)?, &scope)?;
            }
            at = domain.base.oid;
        };
        self.assign(value, ty, "")
    }

    /// Binds a condition over VALUE.
    fn over_value(&self, expr: &ast::Expr, base: PgType) -> Result<(ColId, Expr)> {
        let column = RelColumn {
            id: self.column_id(),
            ty: base,
        };
        let id = column.id;
        let mut scope = Scope::root();
        let value = NsColumn {
            name: "value".to_owned(),
            column,
            merged: None,
            origin: None,
        };
        scope.items.push(Rc::new(NsItem {
            relation_visible: false,
            ..NsItem::new("", vec![value])
        }));
        Ok((id, self.condition(expr, &scope, Clause::Check, "CHECK")?))
    }
}

/// A CHECK's normalised text.
///
/// # Errors
/// 42804 when it is not boolean; 42703 for other columns than VALUE; 0A000 for subqueries.
pub fn check_text(catalog: &Catalog, search_path: &[String], expr: &ast::Expr, base: PgType) -> Result<String> {
    shown(catalog, search_path, expr, base, None, false)
}

fn shown(
    catalog: &Catalog,
    search_path: &[String],
    expr: &ast::Expr,
    base: PgType,
    names: Option<(&Catalog, &[String])>,
    pretty: bool,
) -> Result<String> {
    with_binder(catalog, search_path, |b| {
        let (_, bound) = b.over_value(expr, base)?;
        Ok(Deparse {
            column: &|_| Some("VALUE".to_owned()),
            names,
            pretty,
            catalog: b.cx.catalog,
            special: None,
        }
        .text(&bound))
    })
}

/// `pg_get_constraintdef` of a domain's CHECK: `CHECK ((VALUE > 0))`. Text that no longer binds is shown as it is.
pub fn constraint_shown(catalog: &Catalog, search_path: &[String], text: &str, base: PgType, pretty: bool) -> String {
    let names = Some((catalog, search_path));
    let expression = curia_parse::parse_expression(text).and_then(|e| shown(catalog, search_path, &e, base, names, pretty));
    format!("CHECK ({})", expression.unwrap_or_else(|_| text.to_owned()))
}

/// A stored CHECK ready to compile, and the column that VALUE is in it.
///
/// # Errors
/// Those of binding.
pub fn check_bound(catalog: &Catalog, text: &str, base: PgType) -> Result<(ColId, Expr)> {
    let expr = curia_parse::parse_expression(text)?;
    crate::ddl::with_folding_binder(catalog, |b| b.over_value(&expr, base))
}
