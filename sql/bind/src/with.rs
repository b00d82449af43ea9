//! WITH: common table expressions, recursive ones among them (`parse_cte.c`).

use crate::binder::{Binder, at};
use crate::coerce::type_text;
use crate::ir::*;
use crate::scope::{CteInfo, Scope};
use crate::select::Unknown;
use curia_functions::CastContext;
use curia_parse::ast::{self, CteBody, SetExpr};
use curia_types::{PgType, Result, SqlError, SqlState};
use std::cell::Cell;
use std::rc::Rc;

impl Binder<'_> {
    /// Binds the definitions and brings their names into `scope`.
    pub fn with(&self, with: Option<&ast::With>, scope: &mut Scope<'_>) -> Result<Vec<Cte>> {
        let Some(with) = with else { return Ok(Vec::new()) };
        let mut out = Vec::with_capacity(with.ctes.len());
        for (i, cte) in with.ctes.iter().enumerate() {
            if with.ctes[..i].iter().any(|c| c.name.name == cte.name.name) {
                let message = format!("WITH query name \"{}\" specified more than once", cte.name.name);
                return Err(SqlError::new(SqlState::DUPLICATE_ALIAS, message).at(at(cte.name.pos)));
            }
            if let Some(pos) = cte.search_or_cycle {
                return Err(SqlError::unsupported("SEARCH and CYCLE").at(at(pos)));
            }
            let query = match &cte.body {
                CteBody::Query(q) => q,
                CteBody::Insert(_) => return Err(SqlError::unsupported("INSERT in WITH").at(at(cte.name.pos))),
                CteBody::Update(_) => return Err(SqlError::unsupported("UPDATE in WITH").at(at(cte.name.pos))),
                CteBody::Delete(_) => return Err(SqlError::unsupported("DELETE in WITH").at(at(cte.name.pos))),
            };
            let bound = match self.recursive_cte(with.recursive, cte, query, scope)? {
                Some(bound) => bound,
                None => self.plain_cte(with.recursive, cte, query, scope)?,
            };
            out.push(bound);
        }
        Ok(out)
    }

    fn register(&self, scope: &mut Scope<'_>, id: u32, name: &str, columns: Vec<(String, PgType)>) {
        scope.ctes.push(Rc::new(CteInfo {
            name: name.to_owned(),
            id,
            columns,
            blocked: None,
            used: Cell::new(false),
        }));
    }

    fn plain_cte(&self, recursive: bool, cte: &ast::Cte, query: &ast::Query, scope: &mut Scope<'_>) -> Result<Cte> {
        let mut stand_in = scope.stand_in(Vec::new());
        if recursive {
            let why = format!(
                "recursive query \"{}\" does not have the form non-recursive-term UNION [ALL] recursive-term",
                cte.name.name
            );
            stand_in.ctes.push(blocked(&cte.name.name, why, at(cte.name.pos)));
        }
        let bound = {
            let mut inner = Scope::inside(&stand_in);
            self.query_scoped(query, &mut inner, Unknown::ToText)?
        };
        scope.absorb(&stand_in);
        let names = column_names(cte, &bound.output)?;
        let columns: Vec<RelColumn> = bound.output.iter().map(|c| RelColumn { id: c.id, ty: c.ty }).collect();
        let id = self.cte_id();
        self.register(
            scope,
            id,
            &cte.name.name,
            names.into_iter().zip(columns.iter().map(|c| c.ty)).collect(),
        );
        Ok(Cte {
            id,
            name: cte.name.name.clone(),
            query: bound.rel,
            columns,
            recursive: None,
            materialized: cte.materialized,
        })
    }

    /// A definition of the form `a UNION [ALL] b` whose `b` refers to it; `None` when it does not.
    fn recursive_cte(&self, recursive: bool, cte: &ast::Cte, query: &ast::Query, scope: &mut Scope<'_>) -> Result<Option<Cte>> {
        let SetExpr::SetOp { first, rest } = &query.body else {
            return Ok(None);
        };
        let Some((last, before)) = rest.split_last().filter(|(l, _)| recursive && l.op == ast::SetOperator::Union) else {
            return Ok(None);
        };
        let start = if before.is_empty() {
            (**first).clone()
        } else {
            SetExpr::SetOp {
                first: first.clone(),
                rest: before.to_vec(),
            }
        };
        // The non-recursive term fixes names and types.
        let mut stand_in = scope.stand_in(Vec::new());
        let inner_with = self.with(query.with.as_ref(), &mut stand_in)?;
        let name = &cte.name.name;
        let why = format!("recursive reference to query \"{name}\" must not appear within its non-recursive term");
        stand_in.ctes.push(blocked(name, why, None));
        let base = {
            let mut inner = Scope::inside(&stand_in);
            self.set_input(&start, &mut inner, Unknown::ToText)?
        };
        stand_in.ctes.pop();
        let names = column_names(cte, &base.output)?;
        let id = self.cte_id();
        let info = Rc::new(CteInfo {
            name: name.clone(),
            id,
            columns: names.iter().cloned().zip(base.output.iter().map(|c| c.ty)).collect(),
            blocked: None,
            used: Cell::new(false),
        });
        stand_in.ctes.push(Rc::clone(&info));
        let step = {
            let mut inner = Scope::inside(&stand_in);
            self.set_input(&last.right, &mut inner, Unknown::Keep)?
        };
        if !info.used.get() {
            return Ok(None);
        }
        scope.absorb(&stand_in);
        let refuse = |what: &str| {
            Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("{what} in a recursive query is not implemented"),
            ))
        };
        if !query.order_by.is_empty() {
            return refuse("ORDER BY");
        }
        if query.limit.is_some() {
            return refuse("LIMIT");
        }
        if query.offset.is_some() {
            return refuse("OFFSET");
        }
        if !query.locking.is_empty() {
            return refuse("FOR UPDATE/SHARE");
        }
        if step.output.len() != base.output.len() {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "each UNION query must have the same number of columns").at(at(last.pos)));
        }
        let mut targets = Vec::with_capacity(base.output.len());
        for (i, (b, s)) in base.output.iter().zip(&step.output).enumerate() {
            let overall = self.common_type(&[(b.ty, None), (s.ty, None)], "UNION")?;
            if overall != b.ty.oid || !crate::coerce::can_coerce(s.ty.oid, b.ty.oid, CastContext::Implicit) {
                return Err(SqlError::new(
                    SqlState::DATATYPE_MISMATCH,
                    format!(
                        "recursive query \"{name}\" column {} has type {} in non-recursive term but type {} overall",
                        i + 1,
                        type_text(b.ty.oid),
                        type_text(overall)
                    ),
                )
                .hint("Cast the output of the non-recursive term to the correct type."));
            }
            targets.push(PgType { oid: b.ty.oid, typmod: -1 });
        }
        let step = self.convert_outputs(step, &targets)?;
        let columns: Vec<RelColumn> = base.output.iter().map(|c| RelColumn { id: c.id, ty: c.ty }).collect();
        let ids = step.output.iter().map(|c| c.id).collect();
        self.register(scope, id, name, names.into_iter().zip(columns.iter().map(|c| c.ty)).collect());
        if !inner_with.is_empty() {
            return Err(SqlError::unsupported("WITH inside a recursive common table expression").at(at(cte.name.pos)));
        }
        Ok(Some(Cte {
            id,
            name: name.clone(),
            query: base.rel,
            columns,
            recursive: Some((step.rel, ids, last.all)),
            materialized: cte.materialized,
        }))
    }
}

/// A name that is in sight but may not be referred to; the error stands at `position`, else at the reference.
fn blocked(name: &str, why: String, position: Option<u32>) -> Rc<CteInfo> {
    Rc::new(CteInfo {
        name: name.to_owned(),
        id: u32::MAX,
        columns: Vec::new(),
        blocked: Some((why, position)),
        used: Cell::new(false),
    })
}

fn column_names(cte: &ast::Cte, output: &[OutputColumn]) -> Result<Vec<String>> {
    if cte.columns.len() > output.len() {
        return Err(SqlError::new(
            SqlState::INVALID_COLUMN_REFERENCE,
            format!(
                "WITH query \"{}\" has {} columns available but {} columns specified",
                cte.name.name,
                output.len(),
                cte.columns.len()
            ),
        )
        .at(at(cte.name.pos)));
    }
    let mut names: Vec<String> = output.iter().map(|c| c.name.clone()).collect();
    for (n, given) in names.iter_mut().zip(&cte.columns) {
        n.clone_from(&given.name);
    }
    Ok(names)
}
