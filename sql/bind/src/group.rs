//! GROUP BY: its keys, grouping sets, and the check that nothing else is used ungrouped (`parse_agg.c`).

use crate::binder::{Binder, at};
use crate::ir::*;
use crate::scope::{Clause, NsItem, Scope};
use crate::select::Target;
use crate::walk;
use curia_parse::ast::{self, GroupItem};
use curia_types::{PgType, Result, SqlError, SqlState};
use std::collections::{HashMap, HashSet};

/// Bound keys; `sets` are indexes into them.
pub(crate) struct Grouping {
    keys: Vec<Expr>,
    sets: Option<Vec<Vec<usize>>>,
}

impl Binder<'_> {
    pub fn bind_group_by(&self, items: &[GroupItem], targets: &mut [Target], scope: &Scope<'_>) -> Result<Grouping> {
        let mut grouping = Grouping {
            keys: Vec::new(),
            sets: None,
        };
        let plain = items.iter().all(|i| matches!(i, GroupItem::Expr(_)));
        if plain {
            for item in items {
                if let GroupItem::Expr(e) = item {
                    self.group_keys(e, targets, scope, &mut grouping.keys)?;
                }
            }
            return Ok(grouping);
        }
        // The grouping sets of several items multiply.
        let mut sets: Vec<Vec<usize>> = vec![Vec::new()];
        for item in items {
            let own = self.grouping_sets(item, targets, scope, &mut grouping.keys)?;
            const MAX_SETS: usize = 4_096;
            if sets.len().saturating_mul(own.len()) > MAX_SETS {
                return Err(SqlError::new(
                    SqlState::STATEMENT_TOO_COMPLEX,
                    format!("too many grouping sets present (maximum {MAX_SETS})"),
                ));
            }
            sets = sets
                .iter()
                .flat_map(|a| {
                    own.iter().map(move |b| {
                        let mut set = a.clone();
                        set.extend(b.iter().filter(|k| !a.contains(k)));
                        set
                    })
                })
                .collect();
        }
        grouping.sets = Some(sets);
        Ok(grouping)
    }

    fn grouping_sets(&self, item: &GroupItem, targets: &mut [Target], scope: &Scope<'_>, keys: &mut Vec<Expr>) -> Result<Vec<Vec<usize>>> {
        let mut each = |list: &[ast::Expr], this: &Self| -> Result<Vec<Vec<usize>>> {
            list.iter().map(|e| this.group_keys(e, targets, scope, keys)).collect()
        };
        Ok(match item {
            GroupItem::Empty => vec![Vec::new()],
            GroupItem::Expr(e) => vec![each(std::slice::from_ref(e), self)?.concat()],
            GroupItem::Rollup(list) => {
                let parts = each(list, self)?;
                (0..=parts.len()).rev().map(|n| parts[..n].concat()).collect()
            }
            GroupItem::Cube(list) => {
                if list.len() > 12 {
                    return Err(SqlError::new(SqlState::TOO_MANY_COLUMNS, "CUBE is limited to 12 elements"));
                }
                let parts = each(list, self)?;
                (0..1usize << parts.len())
                    .rev()
                    .map(|mask| {
                        parts
                            .iter()
                            .enumerate()
                            .filter(|(i, _)| mask >> (parts.len() - 1 - i) & 1 == 1)
                            .flat_map(|(_, p)| p.clone())
                            .collect()
                    })
                    .collect()
            }
            GroupItem::Sets(list) => {
                let mut out = Vec::new();
                for inner in list {
                    out.extend(self.grouping_sets(inner, targets, scope, keys)?);
                }
                out
            }
        })
    }

    /// Adds the key (or, for a row, keys) of one item and gives their indexes.
    fn group_keys(&self, e: &ast::Expr, targets: &mut [Target], scope: &Scope<'_>, keys: &mut Vec<Expr>) -> Result<Vec<usize>> {
        if let ast::ExprKind::Row(items) = &e.kind {
            let mut out = Vec::new();
            for item in items {
                out.extend(self.group_keys(item, targets, scope, keys)?);
            }
            return Ok(out);
        }
        let expr = self.group_key(e, targets, scope)?;
        if let Some(record) = self.noting() {
            record.borrow_mut().groups.insert(e.pos, expr.clone());
        }
        self.check_hashable(&expr).map_err(|err| err.at(at(e.pos)))?;
        Ok(vec![match keys.iter().position(|k| walk::same(k, &expr)) {
            Some(i) => i,
            None => {
                keys.push(expr);
                keys.len() - 1
            }
        }])
    }

    /// A name means an input column first and an output column second; a number an output column.
    fn group_key(&self, e: &ast::Expr, targets: &mut [Target], scope: &Scope<'_>) -> Result<Expr> {
        let by_name = match &e.kind {
            ast::ExprKind::Column(parts) if parts.len() == 1 => {
                // Input columns of this level hide output names.
                let here = scope
                    .items
                    .iter()
                    .filter(|i| i.columns_visible)
                    .flat_map(|i| &i.columns)
                    .any(|c| c.name == parts[0].name);
                !here
            }
            ast::ExprKind::Literal(_) => true,
            _ => false,
        };
        if by_name && let Some(i) = self.named_target(e, targets, "GROUP BY")? {
            targets[i].expr = self.text_if_unknown(targets[i].expr.clone())?;
            let expr = targets[i].expr.clone();
            let mut aggregate = false;
            let aggregates = scope.aggregates.borrow();
            walk::columns_of(&expr, &mut |id| aggregate |= aggregates.iter().any(|a| a.output.id == id));
            if aggregate {
                return Err(SqlError::new(SqlState::GROUPING_ERROR, "aggregate functions are not allowed in GROUP BY").at(expr.position));
            }
            if scope
                .windows
                .borrow()
                .iter()
                .any(|w| matches!(expr.kind, ExprKind::Column(id) if id == w.output.id))
            {
                return Err(SqlError::new(SqlState::WINDOWING_ERROR, "window functions are not allowed in GROUP BY").at(expr.position));
            }
            return Ok(expr);
        }
        let expr = self.expr_in(e, scope, Clause::GroupBy)?;
        self.text_if_unknown(expr)
    }

    /// Rewrites expressions above the aggregation in terms of its output and refuses ungrouped columns. Gives the group columns and sets.
    #[allow(clippy::type_complexity)] // the two fields of Rel::Aggregate
    pub fn finish_grouping<'e>(
        &self,
        grouping: Grouping,
        aggregates: &[Aggregate],
        parts: impl Iterator<Item = &'e mut Expr>,
        scope: &Scope<'_>,
    ) -> Result<(Vec<(RelColumn, Expr)>, Option<Vec<Vec<usize>>>)> {
        let mut group_by: Vec<(RelColumn, Expr)> = Vec::with_capacity(grouping.keys.len());
        for key in grouping.keys {
            // A plain column keeps its id, so that correlated subqueries above need no change.
            let column = match key.kind {
                ExprKind::Column(id) => RelColumn { id, ty: key.ty },
                _ => self.column(key.ty),
            };
            group_by.push((column, key));
        }
        let mut allowed: HashSet<ColId> = group_by.iter().map(|(c, _)| c.id).collect();
        allowed.extend(aggregates.iter().map(|a| a.output.id));
        let level = Level::new(scope, allowed, grouping.sets.is_none());
        // Columns that depend on a grouped primary key become group columns themselves.
        let mut added: HashMap<ColId, PgType> = HashMap::new();
        let expressions: Vec<(RelColumn, Expr)> = group_by
            .iter()
            .filter(|(_, e)| !matches!(e.kind, ExprKind::Column(_) | ExprKind::Const(_)))
            .cloned()
            .collect();
        for part in parts {
            if !expressions.is_empty() {
                walk::replace(part, &mut |e| {
                    let (column, _) = expressions.iter().find(|(_, key)| walk::same(key, e))?;
                    Some(Expr {
                        kind: ExprKind::Column(column.id),
                        ty: column.ty,
                        position: e.position,
                    })
                });
            }
            self.check_grouped(part, &level, &mut added)?;
        }
        let mut added: Vec<_> = added.into_iter().collect();
        added.sort_by_key(|(id, _)| *id);
        for (id, ty) in added {
            group_by.push((
                RelColumn { id, ty },
                Expr {
                    kind: ExprKind::Column(id),
                    ty,
                    position: None,
                },
            ));
        }
        Ok((group_by, grouping.sets))
    }

    fn check_grouped(&self, e: &Expr, level: &Level<'_>, added: &mut HashMap<ColId, PgType>) -> Result<()> {
        match &e.kind {
            ExprKind::Column(id) => level.check(*id, false, e.position, added)?,
            ExprKind::Subquery { outer, .. } => {
                for id in outer {
                    level.check(*id, true, e.position, added)?;
                }
            }
            _ => {}
        }
        let mut result = Ok(());
        walk::expr_children(e, &mut |c| {
            if result.is_ok() {
                result = self.check_grouped(c, level, added);
            }
        });
        result
    }
}

/// What may be used above the aggregation of one level.
struct Level<'s> {
    /// The level's own columns with their FROM items, names and types; named items go before unnamed joins that show the same columns.
    own: HashMap<ColId, (&'s NsItem, &'s str, PgType)>,
    /// Group columns and aggregates.
    allowed: HashSet<ColId>,
    /// Columns of items whose whole primary key is grouped.
    dependent: HashSet<ColId>,
}

impl<'s> Level<'s> {
    fn new(scope: &'s Scope<'_>, allowed: HashSet<ColId>, dependencies: bool) -> Level<'s> {
        let mut own = HashMap::new();
        for item in &scope.items {
            for c in &item.columns {
                let this = (&**item, c.name.as_str(), c.column.ty);
                let slot = own.entry(c.column.id).or_insert(this);
                if slot.0.name.is_empty() {
                    *slot = this;
                }
            }
            if let Some(id) = item.row_key {
                own.insert(id, (&**item, "*", PgType::BYTEA));
            }
        }
        let mut dependent = HashSet::new();
        for item in scope.items.iter().filter(|_| dependencies) {
            let Some(table) = &item.stored else { continue };
            let Some(key) = table.primary_key() else { continue };
            let grouped = |attnum: i16| {
                item.columns
                    .iter()
                    .any(|c| c.origin == Some((table.oid, attnum)) && allowed.contains(&c.column.id))
            };
            if key
                .keys
                .iter()
                .all(|k| k.as_column().and_then(|i| table.columns.get(i)).is_some_and(|c| grouped(c.attnum)))
            {
                dependent.extend(item.columns.iter().map(|c| c.column.id).chain(item.row_key));
            }
        }
        Level { own, allowed, dependent }
    }

    fn check(&self, id: ColId, in_subquery: bool, position: Option<u32>, added: &mut HashMap<ColId, PgType>) -> Result<()> {
        let Some((item, column, ty)) = self.own.get(&id).filter(|_| !self.allowed.contains(&id)) else {
            return Ok(());
        };
        if self.dependent.contains(&id) {
            added.insert(id, *ty);
            return Ok(());
        }
        let shown = if item.name.is_empty() {
            (*column).to_owned()
        } else {
            format!("{}.{column}", item.name)
        };
        let message = if in_subquery {
            format!("subquery uses ungrouped column \"{shown}\" from outer query")
        } else {
            format!("column \"{shown}\" must appear in the GROUP BY clause or be used in an aggregate function")
        };
        Err(SqlError::new(SqlState::GROUPING_ERROR, message).at(position))
    }
}
