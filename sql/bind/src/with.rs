//! WITH: common table expressions, recursive ones among them (`parse_cte.c`).

use crate::binder::{Binder, at};
use crate::ir::*;
use crate::recursion::{self, RECURSION};
use crate::scope::{CteInfo, Scope};
use crate::select::Unknown;
use curia_functions::CastContext;
use curia_parse::ast::{self, CteBody, SetExpr};
use curia_types::{PgType, Result, SqlError, SqlState, type_info};
use std::cell::Cell;
use std::rc::Rc;

impl Binder<'_> {
    /// Binds the definitions and brings their names into `scope`.
    pub fn with(&self, with: Option<&ast::With>, scope: &mut Scope<'_>) -> Result<Vec<Cte>> {
        let outermost = self.outermost.take();
        let Some(with) = with else { return Ok(Vec::new()) };
        let staged = outermost && with.ctes.iter().any(|c| !matches!(c.body, CteBody::Query(_)));
        let mut out = Vec::with_capacity(with.ctes.len());
        for (i, cte) in with.ctes.iter().enumerate() {
            if with.ctes[..i].iter().any(|c| c.name.name == cte.name.name) {
                let message = format!("WITH query name \"{}\" specified more than once", cte.name.name);
                return Err(SqlError::new(SqlState::DUPLICATE_ALIAS, message).at(at(cte.name.pos)));
            }
        }
        let order = match with.recursive {
            true => recursion::order(&with.ctes)?,
            false => (0..with.ctes.len()).collect(),
        };
        if with.recursive {
            order.iter().try_for_each(|i| recursion::check(&with.ctes[*i]))?;
        }
        for cte in order.into_iter().map(|i| &with.ctes[i]) {
            let CteBody::Query(query) = &cte.body else {
                if !outermost {
                    let message = "WITH clause containing a data-modifying statement must be at the top level";
                    return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(at(cte.name.pos)));
                }
                let change = self.changing_cte(with.recursive, cte, scope)?;
                self.stages.borrow_mut().push(change);
                continue;
            };
            let mut inner = Vec::new();
            let bound = match self.recursive_cte(with.recursive, cte, query, scope, &mut inner)? {
                Some(bound) => bound,
                None if cte.search.is_some() || cte.cycle.is_some() => {
                    return Err(SqlError::new(SqlState::SYNTAX_ERROR, "WITH query is not recursive").at(at(cte.name.pos)));
                }
                None => self.plain_cte(with.recursive, cte, query, scope)?,
            };
            let bound = inner.into_iter().chain([bound]);
            if staged {
                self.stages.borrow_mut().extend(bound.map(Stage::Query));
            } else {
                out.extend(bound);
            }
        }
        Ok(out)
    }

    /// A common table expression that changes rows.
    fn changing_cte(&self, recursive: bool, cte: &ast::Cte, scope: &mut Scope<'_>) -> Result<Stage> {
        let name = &cte.name.name;
        let change = {
            let mut inner = Scope::inside(scope);
            if recursive {
                let why = format!("recursive query \"{name}\" must not contain data-modifying statements");
                inner.ctes.push(blocked(name, RECURSION, why, at(cte.name.pos)));
            }
            match &cte.body {
                CteBody::Insert(i) => self.insert(i, inner)?,
                CteBody::Update(u) => self.update(u, inner)?,
                CteBody::Delete(d) => self.delete(d, inner)?,
                CteBody::Query(_) => return Err(SqlError::internal("a query is no change")),
            }
        };
        let id = self.cte_id();
        match change.returning() {
            Some(returning) => {
                let output: Vec<OutputColumn> = returning.columns.iter().map(|(c, _)| c.clone()).collect();
                let names = column_names(cte, &output)?;
                self.register(
                    scope,
                    id,
                    name,
                    names.into_iter().zip(output.iter().map(|c| c.ty)).collect(),
                    0,
                    Vec::new(),
                );
            }
            None => {
                let why = format!("WITH query \"{name}\" does not have a RETURNING clause");
                scope.ctes.push(blocked(name, SqlState::FEATURE_NOT_SUPPORTED, why, None));
            }
        }
        Ok(Stage::Change {
            id,
            name: name.clone(),
            change,
        })
    }

    fn register(&self, scope: &mut Scope<'_>, id: u32, name: &str, columns: Vec<(String, PgType)>, unexpanded: usize, outer: Vec<ColId>) {
        scope.ctes.push(Rc::new(CteInfo {
            name: name.to_owned(),
            id,
            columns,
            unexpanded,
            blocked: None,
            used: Cell::new(false),
            recursing: false,
            outer,
        }));
    }

    fn plain_cte(&self, recursive: bool, cte: &ast::Cte, query: &ast::Query, scope: &mut Scope<'_>) -> Result<Cte> {
        let mut stand_in = scope.stand_in(Vec::new());
        if recursive {
            let why = format!(
                "recursive query \"{}\" does not have the form non-recursive-term UNION [ALL] recursive-term",
                cte.name.name
            );
            stand_in.ctes.push(blocked(&cte.name.name, RECURSION, why, at(cte.name.pos)));
        }
        let bound = {
            let mut inner = Scope::inside(&stand_in);
            self.query_scoped(query, &mut inner, Unknown::ToText)?
        };
        scope.absorb(&stand_in);
        let outer = stand_in.outer.take();
        let names = column_names(cte, &bound.output)?;
        let columns: Vec<RelColumn> = bound.output.iter().map(|c| RelColumn { id: c.id, ty: c.ty }).collect();
        let id = self.cte_id();
        self.register(
            scope,
            id,
            &cte.name.name,
            names.into_iter().zip(columns.iter().map(|c| c.ty)).collect(),
            0,
            outer,
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

    /// A definition of the form `a UNION [ALL] b` whose `b` refers to it; `None` when it does not. What the definition has in a WITH of
    /// its own cannot refer to it, and stands beside it, in `before`.
    fn recursive_cte(
        &self,
        recursive: bool,
        cte: &ast::Cte,
        query: &ast::Query,
        scope: &mut Scope<'_>,
        before: &mut Vec<Cte>,
    ) -> Result<Option<Cte>> {
        let SetExpr::SetOp { first, rest } = &query.body else {
            return Ok(None);
        };
        let Some((last, earlier)) = rest.split_last().filter(|(l, _)| recursive && l.op == ast::SetOperator::Union) else {
            return Ok(None);
        };
        let start = if earlier.is_empty() {
            (**first).clone()
        } else {
            SetExpr::SetOp {
                first: first.clone(),
                rest: earlier.to_vec(),
            }
        };
        if !earlier.is_empty() && (cte.search.is_some() || cte.cycle.is_some()) {
            let message = "with a SEARCH or CYCLE clause, the left side of the UNION must be a SELECT";
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
        }
        // The non-recursive term fixes names and types.
        let mut stand_in = scope.stand_in(Vec::new());
        let inner_with = self.with(query.with.as_ref(), &mut stand_in)?;
        let name = &cte.name.name;
        let why = format!("recursive reference to query \"{name}\" must not appear within its non-recursive term");
        stand_in.ctes.push(blocked(name, RECURSION, why, None));
        let base = {
            let mut inner = Scope::inside(&stand_in);
            self.set_input(&start, &mut inner, Unknown::ToText)?
        };
        stand_in.ctes.pop();
        let names = column_names(cte, &base.output)?;
        let id = self.cte_id();
        let traversal = self.traversal(cte, &names)?;
        let added = traversal.as_ref().map_or(Vec::new(), |t| t.columns());
        let unnamed = traversal.as_ref().map_or(0, |t| t.unnamed());
        let info = Rc::new(CteInfo {
            name: name.clone(),
            id,
            columns: names
                .iter()
                .cloned()
                .zip(base.output.iter().map(|c| c.ty))
                .chain(added.iter().cloned())
                .collect(),
            unexpanded: added.len(),
            blocked: None,
            used: Cell::new(false),
            recursing: true,
            outer: Vec::new(),
        });
        stand_in.ctes.push(Rc::clone(&info));
        let right = match &traversal {
            Some(t) => &t.with_own_columns(name, &last.right)?,
            None => &last.right,
        };
        let mut step = {
            let mut inner = Scope::inside(&stand_in);
            self.set_input(right, &mut inner, Unknown::Keep)?
        };
        let carried = step.output.split_off(step.output.len().saturating_sub(added.len()));
        if !info.used.get() {
            return Ok(None);
        }
        scope.absorb(&stand_in);
        let outer = stand_in.outer.take();
        if step.output.len() != base.output.len() {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "each UNION query must have the same number of columns").at(at(last.pos)));
        }
        let mut targets = Vec::with_capacity(base.output.len());
        for (i, (b, s)) in base.output.iter().zip(&step.output).enumerate() {
            let overall = self.common_type(&[(b.ty, None), (s.ty, None)], "UNION")?;
            let same = (s.ty.oid, s.ty.typmod) == (b.ty.oid, b.ty.typmod);
            let typmod = if same { b.ty.typmod } else { -1 };
            if (overall, typmod) != (b.ty.oid, b.ty.typmod) || !crate::coerce::can_coerce(s.ty.oid, b.ty.oid, CastContext::Implicit) {
                return Err(SqlError::new(
                    SqlState::DATATYPE_MISMATCH,
                    format!(
                        "recursive query \"{name}\" column {} has type {} in non-recursive term but type {} overall",
                        i + 1,
                        type_info::format_type(b.ty.oid, b.ty.typmod),
                        type_info::format_type(overall, typmod)
                    ),
                )
                .hint("Cast the output of the non-recursive term to the correct type."));
            }
            targets.push(PgType { oid: b.ty.oid, typmod: -1 });
        }
        let (base, step) = match traversal {
            None => (base, self.convert_outputs(step, &targets)?),
            Some(t) => (t.start(self, base)?, t.step(self, step, carried, &targets)?),
        };
        let columns: Vec<RelColumn> = base.output.iter().map(|c| RelColumn { id: c.id, ty: c.ty }).collect();
        let ids = step.output.iter().map(|c| c.id).collect();
        let names = names.into_iter().chain(added.into_iter().map(|(name, _)| name));
        self.register(scope, id, name, names.zip(columns.iter().map(|c| c.ty)).collect(), unnamed, outer);
        before.extend(inner_with);
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
fn blocked(name: &str, state: SqlState, why: String, position: Option<u32>) -> Rc<CteInfo> {
    Rc::new(CteInfo {
        name: name.to_owned(),
        id: u32::MAX,
        columns: Vec::new(),
        unexpanded: 0,
        blocked: Some((state, why, position)),
        used: Cell::new(false),
        recursing: false,
        outer: Vec::new(),
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
