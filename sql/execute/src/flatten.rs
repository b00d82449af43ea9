//! Subqueries of WHERE, HAVING, the select list and aggregates' arguments as joins, where their link to the enclosing query is an equality.
//!
//! ```text
//!   WHERE EXISTS (SELECT .. FROM t WHERE t.k = o.k AND p)        o semi join (t where p) on t.k = o.k
//!   WHERE o.x IN (SELECT t.y FROM t WHERE p)                     o semi join (t where p) on o.x = t.y
//!   WHERE o.x NOT IN (SELECT t.y FROM t WHERE t.k = o.k)         o anti join t on t.k = o.k and (o.x = t.y) is not false
//!   o.x < (SELECT avg(t.y) FROM t WHERE t.k = o.k)               o left join (select k, avg(y) from t group by k) s on s.k = o.k,
//!                                                                then o.x < s.avg; NULL is what an empty group has, 0 for count
//! ```
//!
//! The same statement may run either way: with its subqueries run for one outer row at a time (`eval::subquery`), which is cheaper when
//! these rows are few, or flat. `cost` compares the two.
//!
//! A flat subquery computes for keys that no outer row has. Where PostgreSQL joins too (EXISTS, and IN without outer references), it
//! may raise an error there as PostgreSQL does. Elsewhere only what cannot fail is made flat. Nothing volatile is.

use crate::registry;
use crate::rewrite::{fallible, substitute};
use crate::rows::{equality, ids};
use crate::walk;
use curia_bind::ir::*;
use curia_functions::Volatility;
use curia_types::{Datum, PgType};
use std::collections::{BTreeSet, HashMap};

/// Columns made here are numbered from here on, above those of any binder.
const FIRST_COLUMN: u32 = 1 << 30;
/// `boolean = boolean`: how a comparison of rows within a subquery is asked for its truth.
const BOOLEQ: u32 = 60;

type Ids = BTreeSet<ColId>;

/// The relation with its subqueries as joins; `None` when it has none that can be.
pub(crate) fn flatten(rel: &Rel) -> Option<Rel> {
    if !walk::any_expression(rel, &|e| matches!(e.kind, ExprKind::Subquery { .. })) {
        return None;
    }
    let mut flattener = Flattener {
        next: FIRST_COLUMN,
        joins: 0,
    };
    let flat = flattener.rel(rel.clone());
    (flattener.joins > 0).then_some(flat)
}

struct Flattener {
    next: u32,
    joins: usize,
}

/// A subquery's join with the relation that its expression is over.
struct Joined {
    kind: JoinKind,
    right: Rel,
    on: Vec<Expr>,
}

impl Flattener {
    fn rel(&mut self, mut rel: Rel) -> Rel {
        match &mut rel {
            // These run again and again: what they would build would be built each time.
            Rel::Join { left, lateral: true, .. } => self.replace(left),
            Rel::With { ctes, body } => {
                for cte in ctes {
                    self.replace(&mut cte.query);
                }
                self.replace(body);
            }
            other => curia_bind::walk::rel_children_mut(other, &mut |_| {}, &mut |input| self.replace(input)),
        }
        match rel {
            Rel::Filter { input, predicate } => {
                let mut terms = Vec::new();
                walk::conjuncts(predicate, &mut terms);
                self.conditions(terms, &walk::columns(&input), &|_| false, |terms| filter(*input, terms))
            }
            Rel::Join {
                kind: JoinKind::Inner,
                left,
                right,
                on: Some(on),
                lateral: false,
            } => {
                let mut terms = Vec::new();
                walk::conjuncts(on, &mut terms);
                let (mut columns, others) = (walk::columns(&left), walk::columns(&right));
                let (left_ids, right_ids) = (ids(&columns), ids(&others));
                columns.extend(others);
                let key = |t: &Expr| equality(t, &left_ids, &right_ids).is_some();
                self.conditions(terms, &columns, &key, |terms| Rel::Join {
                    kind: JoinKind::Inner,
                    left,
                    right,
                    on: walk::conjunction(terms),
                    lateral: false,
                })
            }
            Rel::Project { input, mut columns } => {
                let outer = ids(&walk::columns(&input));
                let mut base = *input;
                for (_, e) in &mut columns {
                    self.once(e);
                    base = self.scalars(e, &outer, base);
                }
                Rel::Project {
                    input: Box::new(base),
                    columns,
                }
            }
            Rel::Aggregate {
                input,
                mut group_by,
                sets,
                mut aggregates,
            } => {
                let outer = ids(&walk::columns(&input));
                let mut base = *input;
                let grouped = group_by.iter_mut().map(|(_, e)| e);
                let called = aggregates.iter_mut().flat_map(|a| {
                    let ordered = a.order_by.iter_mut().map(|k| &mut k.expr);
                    a.args.iter_mut().chain(&mut a.filter).chain(ordered)
                });
                for e in grouped.chain(called) {
                    self.once(e);
                    base = self.scalars(e, &outer, base);
                }
                Rel::Aggregate {
                    input: Box::new(base),
                    group_by,
                    sets,
                    aggregates,
                }
            }
            mut other => {
                curia_bind::walk::rel_children_mut(&mut other, &mut |e| self.once(e), &mut |_| {});
                other
            }
        }
    }

    fn replace(&mut self, rel: &mut Rel) {
        *rel = self.rel(std::mem::replace(rel, Rel::Unit));
    }

    /// Makes the subqueries inside an expression's own subqueries flat where these run once.
    fn once(&mut self, e: &mut Expr) {
        walk::operands_mut(e, &mut |o| self.once(o));
        if let ExprKind::Subquery { query, .. } = &mut e.kind
            && walk::free(query).is_empty()
        {
            self.replace(query);
        }
    }

    /// A conjunction over what `base` makes of those of its terms that stay below the joins. Terms behind the first subquery that
    /// could fail stay behind it, but for `key`s of `base` itself.
    fn conditions(
        &mut self,
        terms: Vec<Expr>,
        columns: &[RelColumn],
        key: &dyn Fn(&Expr) -> bool,
        base: impl FnOnce(Vec<Expr>) -> Rel,
    ) -> Rel {
        let outer = ids(columns);
        let (mut below, mut above, mut joins) = (Vec::new(), Vec::new(), Vec::new());
        let mut values = Vec::new();
        for mut term in terms {
            if let Some(joined) = self.semi(&term, &outer) {
                joins.push(joined);
                continue;
            }
            self.once(&mut term);
            if has_scalar(&term, &outer) {
                values.push(above.len());
                above.push(term);
            } else if (joins.is_empty() && above.is_empty()) || safe(&term) || key(&term) {
                below.push(term);
            } else {
                above.push(term);
            }
        }
        let mut rel = base(below);
        for Joined { kind, right, on } in joins {
            self.joins += 1;
            rel = Rel::Join {
                kind,
                left: Box::new(rel),
                right: Box::new(right),
                on: walk::conjunction(on),
                lateral: false,
            };
        }
        if values.is_empty() {
            return filter(rel, above);
        }
        let before = self.joins;
        for at in values {
            rel = self.scalars(&mut above[at], &outer, rel);
        }
        let rel = filter(rel, above);
        if self.joins == before {
            return rel;
        }
        // What the joins added ends here.
        Rel::Project {
            input: Box::new(rel),
            columns: columns.iter().map(|c| (c.clone(), column(c))).collect(),
        }
    }

    /// EXISTS, IN, ANY and ALL of a condition, negated or not, as a semi or an anti join.
    fn semi(&mut self, term: &Expr, outer: &Ids) -> Option<Joined> {
        let (e, negated) = match &term.kind {
            ExprKind::Not(arg) => (&**arg, true),
            _ => (term, false),
        };
        let ExprKind::Subquery { kind, query, .. } = &e.kind else {
            return None;
        };
        if volatile(query) {
            return None;
        }
        let saved = (self.next, self.joins);
        let joined = self.joined(kind, query, negated, outer);
        if joined.is_none() {
            (self.next, self.joins) = saved;
        }
        joined
    }

    fn joined(&mut self, kind: &SubqueryKind, query: &Rel, negated: bool, outer: &Ids) -> Option<Joined> {
        let exists = matches!(kind, SubqueryKind::Exists);
        let first = walk::columns(query).into_iter().next();
        let (rest, value) = uncover(query.clone(), first.as_ref().map(column), exists);
        let rest = self.rel(rest);
        let mut on = Vec::new();
        let right = pull(rest, outer, &mut on)?;
        let linked = !on.is_empty();
        let join = match kind {
            SubqueryKind::Exists if negated => JoinKind::Anti,
            SubqueryKind::Exists => JoinKind::Semi,
            SubqueryKind::Compare { arg, function, all } => {
                let value = value?;
                if has_subquery(arg) || has_subquery(&value) || !movable(arg) {
                    return None;
                }
                let compared = match (&arg.kind, *function) {
                    (ExprKind::Const(Datum::Bool(true)), BOOLEQ) => value,
                    _ => call(*function, vec![(**arg).clone(), value]),
                };
                match (*all, negated) {
                    (false, false) => walk::conjuncts(compared, &mut on),
                    (false, true) => on.push(test(compared, false, true)),
                    (true, false) => on.push(test(compared, true, true)),
                    (true, true) => on.push(test(compared, false, false)),
                }
                if *all == negated { JoinKind::Semi } else { JoinKind::Anti }
            }
            _ => return None,
        };
        let inner = ids(&walk::columns(&right));
        let keyed = on.iter().any(|t| equality(t, outer, &inner).is_some());
        let as_postgres = exists || (!linked && join == JoinKind::Semi);
        (keyed && (as_postgres || harmless(&right))).then_some(Joined { kind: join, right, on })
    }

    /// Replaces aggregates of correlated subqueries in an expression by columns of joins with `base`.
    fn scalars(&mut self, e: &mut Expr, outer: &Ids, mut base: Rel) -> Rel {
        walk::operands_mut(e, &mut |o| {
            base = self.scalars(o, outer, std::mem::replace(&mut base, Rel::Unit));
        });
        let ExprKind::Subquery {
            kind: SubqueryKind::Scalar,
            query,
            ..
        } = &e.kind
        else {
            return base;
        };
        if walk::free(query).is_disjoint(outer) || volatile(query) {
            return base;
        }
        let saved = (self.next, self.joins);
        match self.grouped((**query).clone(), outer) {
            Some((value, right, on)) => {
                self.joins += 1;
                *e = value;
                Rel::Join {
                    kind: JoinKind::Left,
                    left: Box::new(base),
                    right: Box::new(right),
                    on: walk::conjunction(on),
                    lateral: false,
                }
            }
            None => {
                (self.next, self.joins) = saved;
                base
            }
        }
    }

    /// A scalar subquery over an aggregate: its value, the groups that it comes from, and how they are linked to the enclosing query.
    fn grouped(&mut self, query: Rel, outer: &Ids) -> Option<(Expr, Rel, Vec<Expr>)> {
        let first = walk::columns(&query).into_iter().next()?;
        let (rest, value) = uncover(query, Some(column(&first)), false);
        let Rel::Aggregate {
            input,
            group_by,
            sets: None,
            aggregates,
        } = rest
        else {
            return None;
        };
        let own = |e: &Expr| walk::used(e).is_disjoint(outer) && safe(e);
        let plain = |a: &Aggregate| !a.distinct && a.order_by.is_empty() && a.args.iter().chain(&a.filter).all(own) && cannot_fail(a);
        if !group_by.is_empty() || !aggregates.iter().all(plain) {
            return None;
        }
        let mut links = Vec::new();
        let input = pull(self.rel(*input), outer, &mut links)?;
        if links.is_empty() || !harmless(&input) {
            return None;
        }
        let inner = ids(&walk::columns(&input));
        let (mut group_by, mut on) = (Vec::new(), Vec::new());
        for link in &links {
            let (l, r) = equality(link, outer, &inner)?;
            let ExprKind::Call { function, args } = &link.kind else {
                return None;
            };
            let key = RelColumn {
                id: ColId(self.next),
                ty: r.ty,
            };
            self.next += 1;
            let flipped = args.first() == Some(r) && args.first() != Some(l);
            let (l, k) = (l.clone(), column(&key));
            on.push(call(*function, if flipped { vec![k, l] } else { vec![l, k] }));
            group_by.push((key, r.clone()));
        }
        let counts: Vec<(RelColumn, Expr)> = aggregates
            .iter()
            .filter(|a| registry::aggregate(a.function).is_ok_and(|(name, _)| name == "count"))
            .map(|a| (a.output.clone(), or_zero(&a.output)))
            .collect();
        let map: HashMap<ColId, &Expr> = counts.iter().map(|(c, e)| (c.id, e)).collect();
        let right = Rel::Aggregate {
            input: Box::new(input),
            group_by,
            sets: None,
            aggregates,
        };
        Some((substitute(value?, &map), right, on))
    }
}

/// Takes off what does not change which values a subquery has, or whether it has a row, and writes `value` over what is left.
fn uncover(mut rel: Rel, mut value: Option<Expr>, exists: bool) -> (Rel, Option<Expr>) {
    loop {
        rel = match rel {
            Rel::Project { input, columns } => {
                let map: HashMap<ColId, &Expr> = columns.iter().map(|(c, e)| (c.id, e)).collect();
                value = value.map(|v| substitute(v, &map));
                *input
            }
            Rel::Sort { input, .. } => *input,
            Rel::Distinct { input, on } if exists || on.is_none() => *input,
            // Whether there is a row is the same without them.
            Rel::Limit {
                input,
                limit,
                offset: None,
                ..
            } if exists && limit.as_ref().is_none_or(|l| matches!(l.kind, ExprKind::Const(Datum::Int8(1..)))) => *input,
            other => return (other, value),
        };
    }
}

/// The query of an EXISTS without what it selects, which nobody asks for: it raises no error.
pub(crate) fn of_exists(query: Rel) -> Rel {
    uncover(query, None, true).0
}

/// Takes the conditions that refer to the enclosing query out of a relation. `None`: they cannot leave it.
fn pull(rel: Rel, outer: &Ids, lifted: &mut Vec<Expr>) -> Option<Rel> {
    if walk::free(&rel).is_disjoint(outer) {
        return Some(rel);
    }
    let own = |e: &Expr| walk::used(e).is_disjoint(outer);
    let mut lift = |terms: Vec<Expr>| {
        let (own, theirs): (Vec<Expr>, Vec<Expr>) = terms.into_iter().partition(own);
        let plain = !theirs.iter().any(has_subquery);
        lifted.extend(theirs);
        plain.then_some(own)
    };
    let mut terms = Vec::new();
    match rel {
        Rel::Filter { input, predicate } => {
            walk::conjuncts(predicate, &mut terms);
            let kept = lift(terms)?;
            Some(filter(pull(*input, outer, lifted)?, kept))
        }
        Rel::Project { input, mut columns } => {
            if !columns.iter().all(|(_, e)| own(e)) {
                return None;
            }
            let input = pull(*input, outer, lifted)?;
            let wanted: Ids = lifted.iter().flat_map(walk::used).collect();
            for c in walk::columns(&input) {
                if wanted.contains(&c.id) && !columns.iter().any(|(known, _)| known.id == c.id) {
                    columns.push((c.clone(), column(&c)));
                }
            }
            Some(Rel::Project {
                input: Box::new(input),
                columns,
            })
        }
        Rel::Join {
            kind,
            left,
            right,
            on,
            lateral: false,
        } => {
            if let Some(on) = on {
                walk::conjuncts(on, &mut terms);
            }
            let (mut kept, mut right) = (terms, right);
            match kind {
                JoinKind::Inner => {
                    kept = lift(kept)?;
                    right = Box::new(pull(*right, outer, lifted)?);
                }
                JoinKind::Left | JoinKind::Semi | JoinKind::Anti if kept.iter().all(own) && walk::free(&right).is_disjoint(outer) => {}
                _ => return None,
            }
            Some(Rel::Join {
                kind,
                left: Box::new(pull(*left, outer, lifted)?),
                right,
                on: walk::conjunction(kept),
                lateral: false,
            })
        }
        _ => None,
    }
}

fn filter(input: Rel, terms: Vec<Expr>) -> Rel {
    match walk::conjunction(terms) {
        Some(predicate) => Rel::Filter {
            input: Box::new(input),
            predicate,
        },
        None => input,
    }
}

fn boolean(kind: ExprKind) -> Expr {
    Expr {
        kind,
        ty: PgType::BOOL,
        position: None,
    }
}

fn call(function: u32, args: Vec<Expr>) -> Expr {
    boolean(ExprKind::Call { function, args })
}

fn test(e: Expr, value: bool, negated: bool) -> Expr {
    boolean(ExprKind::IsBool {
        arg: Box::new(e),
        test: Some(value),
        negated,
    })
}

fn column(c: &RelColumn) -> Expr {
    Expr {
        kind: ExprKind::Column(c.id),
        ty: c.ty,
        position: None,
    }
}

/// A count, which a group without rows has too.
fn or_zero(count: &RelColumn) -> Expr {
    let zero = Expr {
        kind: ExprKind::Const(Datum::Int8(0)),
        ty: count.ty,
        position: None,
    };
    Expr {
        kind: ExprKind::Coalesce(vec![column(count), zero]),
        ty: count.ty,
        position: None,
    }
}

fn has_subquery(e: &Expr) -> bool {
    let mut found = false;
    walk::each(e, &mut |e| found |= matches!(e.kind, ExprKind::Subquery { .. }));
    found
}

/// Whether an expression has a scalar subquery that refers to these columns.
fn has_scalar(e: &Expr, outer: &Ids) -> bool {
    let mut found = false;
    walk::each(e, &mut |e| {
        if let ExprKind::Subquery {
            kind: SubqueryKind::Scalar,
            query,
            ..
        } = &e.kind
        {
            found |= !walk::free(query).is_disjoint(outer);
        }
    });
    found
}

fn volatile(rel: &Rel) -> bool {
    walk::any_expression(rel, &|e| registry::volatility(e) == Volatility::Volatile)
}

fn movable(e: &Expr) -> bool {
    let mut ok = true;
    walk::each(e, &mut |e| ok &= registry::volatility(e) != Volatility::Volatile);
    ok
}

/// Whether an expression raises no error, or one that says nothing of its row: PostgreSQL computes constants before it runs.
fn safe(e: &Expr) -> bool {
    if !fallible(e) {
        return true;
    }
    let mut constant = true;
    walk::each(e, &mut |e| {
        constant &= !matches!(e.kind, ExprKind::Column(_) | ExprKind::Subquery { .. }) && registry::volatility(e) == Volatility::Immutable;
    });
    let mut ok = match &e.kind {
        _ if constant => return true,
        ExprKind::Call { function, .. } => curia_functions::by_oid(*function).is_some_and(|f| !f.fallible),
        ExprKind::IoCast(_) | ExprKind::Array(_) | ExprKind::Subquery { .. } => false,
        _ => true,
    };
    walk::operands(e, &mut |o| ok = ok && safe(o));
    ok
}

/// Whether no row of a relation can make it fail.
fn harmless(rel: &Rel) -> bool {
    let mut ok = true;
    match rel {
        Rel::Scan(_) | Rel::System { .. } | Rel::Filter { .. } | Rel::Project { .. } | Rel::Join { lateral: false, .. } => {}
        Rel::Aggregate { aggregates, .. } => ok = aggregates.iter().all(cannot_fail),
        Rel::Sort { .. } | Rel::Distinct { .. } | Rel::SetOp { .. } | Rel::Unit | Rel::Values { .. } => {}
        _ => return false,
    }
    walk::expressions(rel, &mut |e| ok = ok && safe(e));
    walk::inputs(rel, &mut |i| ok = ok && harmless(i));
    ok
}

/// Whether an aggregate's own work raises no error: sums of floats overflow, those of integers and numerics go by wider types.
fn cannot_fail(a: &Aggregate) -> bool {
    use curia_types::oid::{FLOAT4, FLOAT8, INTERVAL};
    registry::aggregate(a.function).is_ok_and(|(name, _)| match name {
        "count" | "min" | "max" | "bool_and" | "bool_or" | "every" => true,
        "sum" | "avg" => a.args.iter().all(|e| ![FLOAT4, FLOAT8, INTERVAL].contains(&e.ty.oid)),
        _ => false,
    })
}
