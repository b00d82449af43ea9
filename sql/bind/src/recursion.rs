//! Where a recursive query may refer to itself, and in which order WITH RECURSIVE's definitions are bound (`parse_cte.c`).
//!
//! Both are decided on the syntax tree, before anything is bound: a definition may refer to one that stands behind it, so the order of
//! binding follows from who refers to whom; and a reference that is refused must be refused whatever else is wrong in the query.

use crate::binder::at;
use curia_parse::ast::walk::{Node, parts, query_without_with};
use curia_parse::ast::{self, CteBody, JoinKind, SetExpr, SetOperator, TableRef};
use curia_types::{Result, SqlError, SqlState};

/// 42P19
pub(crate) const RECURSION: SqlState = SqlState::new("42P19");

/// The order in which the definitions of a WITH RECURSIVE are bound: after those that they refer to, otherwise as written.
pub(crate) fn order(ctes: &[ast::Cte]) -> Result<Vec<usize>> {
    let mut needs: Vec<Vec<usize>> = Vec::with_capacity(ctes.len());
    for (i, cte) in ctes.iter().enumerate() {
        let mut found = References {
            ctes,
            hidden: Vec::new(),
            found: Vec::new(),
        };
        found.visit(Node::Cte(cte))?;
        found.found.retain(|n| *n != i);
        needs.push(found.found);
    }
    let mut order: Vec<usize> = Vec::with_capacity(ctes.len());
    let mut left: Vec<usize> = (0..ctes.len()).collect();
    while let Some(first) = left.first() {
        let Some(ready) = left.iter().position(|i| needs[*i].iter().all(|n| order.contains(n))) else {
            let message = "mutual recursion between WITH items is not implemented";
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(at(ctes[*first].name.pos)));
        };
        order.push(left.remove(ready));
    }
    Ok(order)
}

/// Refuses references to itself that a definition of a WITH RECURSIVE may not have.
pub(crate) fn check(cte: &ast::Cte) -> Result<()> {
    let mut own = References {
        ctes: std::slice::from_ref(cte),
        hidden: Vec::new(),
        found: Vec::new(),
    };
    own.visit(Node::Cte(cte))?;
    if own.found.is_empty() {
        return Ok(());
    }
    let name = &cte.name.name;
    let refuse = |why: String| Err(SqlError::new(RECURSION, why).at(at(cte.name.pos)));
    let CteBody::Query(query) = &cte.body else {
        return refuse(format!("recursive query \"{name}\" must not contain data-modifying statements"));
    };
    let parted = match &query.body {
        SetExpr::SetOp { first, rest } => rest.split_last().map(|(last, before)| (first, before, last)),
        _ => None,
    };
    let Some((first, before, last)) = parted.filter(|(_, _, last)| last.op == SetOperator::Union) else {
        return refuse(format!(
            "recursive query \"{name}\" does not have the form non-recursive-term UNION [ALL] recursive-term"
        ));
    };
    let mut own = Own {
        name,
        place: Place::NonRecursiveTerm,
        hidden: Vec::new(),
        seen: false,
    };
    own.visit(Node::Set(first))?;
    before.iter().try_for_each(|tail| own.visit(Node::Set(&tail.right)))?;
    own.place = Place::Allowed;
    own.visit(Node::Set(&last.right))?;
    own.place = Place::Subquery;
    let mut with = query.with.iter().flat_map(|w| &w.ctes);
    with.try_for_each(|cte| own.visit(Node::Cte(cte)))?;
    let decoration = [
        ("ORDER BY", query.order_by.first().map(|o| o.expr.pos)),
        ("OFFSET", query.offset.as_ref().map(|e| e.pos)),
        ("LIMIT", query.limit.as_ref().map(|l| l.count.as_ref().map_or(0, |e| e.pos))),
        ("FOR UPDATE/SHARE", query.locking.first().map(|_| 0)),
    ];
    match decoration.into_iter().find_map(|(what, pos)| pos.map(|pos| (what, pos))) {
        None => Ok(()),
        Some((what, pos)) => {
            let message = format!("{what} in a recursive query is not implemented");
            Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(at(pos)))
        }
    }
}

/// Collects which of `ctes` are referred to.
struct References<'c> {
    ctes: &'c [ast::Cte],
    /// Names of the WITH clauses inside, innermost last.
    hidden: Vec<String>,
    found: Vec<usize>,
}

impl References<'_> {
    fn visit(&mut self, node: Node<'_>) -> Result<()> {
        match node {
            Node::From(TableRef::Table { name, .. }) if name.parts.len() == 1 => {
                let name = name.name();
                if !self.hidden.iter().any(|h| h == name)
                    && let Some(i) = self.ctes.iter().position(|c| c.name.name == name)
                    && !self.found.contains(&i)
                {
                    self.found.push(i);
                }
                Ok(())
            }
            Node::Query(q) if q.with.is_some() => within(q, &mut |step, hide| match step {
                Some(node) => self.visit(node),
                None => {
                    hide.apply(&mut self.hidden);
                    Ok(())
                }
            }),
            other => parts(other, &mut |part| self.visit(part)),
        }
    }
}

/// How the names that a WITH hides change between two steps of a walk.
#[derive(Default)]
struct Hide {
    added: Vec<String>,
    dropped: usize,
}

impl Hide {
    fn apply(self, hidden: &mut Vec<String>) {
        hidden.truncate(hidden.len() - self.dropped);
        hidden.extend(self.added);
    }
}

/// Walks a query that has a WITH: its names hide those outside in its body, and in its definitions all of them (RECURSIVE) or those
/// before.
fn within<'a>(q: &'a ast::Query, step: &mut dyn FnMut(Option<Node<'a>>, Hide) -> Result<()>) -> Result<()> {
    let Some(with) = &q.with else {
        return step(Some(Node::Query(q)), Hide::default());
    };
    let name = |cte: &ast::Cte| cte.name.name.clone();
    let add = |added: Vec<String>| Hide { added, dropped: 0 };
    if with.recursive {
        step(None, add(with.ctes.iter().map(name).collect()))?;
    }
    for cte in &with.ctes {
        step(Some(Node::Cte(cte)), Hide::default())?;
        if !with.recursive {
            step(None, add(vec![name(cte)]))?;
        }
    }
    query_without_with(q, &mut |part| step(Some(part), Hide::default()))?;
    let dropped = with.ctes.len();
    step(
        None,
        Hide {
            added: Vec::new(),
            dropped,
        },
    )
}

/// What a reference stands in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Allowed,
    NonRecursiveTerm,
    Subquery,
    OuterJoin,
    Intersect,
    Except,
}

impl Place {
    fn within(self) -> &'static str {
        match self {
            Place::Allowed => "",
            Place::NonRecursiveTerm => "its non-recursive term",
            Place::Subquery => "a subquery",
            Place::OuterJoin => "an outer join",
            Place::Intersect => "INTERSECT",
            Place::Except => "EXCEPT",
        }
    }
}

/// Looks for a definition's references to itself.
struct Own<'c> {
    name: &'c str,
    place: Place,
    hidden: Vec<String>,
    seen: bool,
}

impl Own<'_> {
    fn visit_at(&mut self, place: Place, node: Node<'_>) -> Result<()> {
        let before = self.place;
        if before == Place::Allowed {
            self.place = place;
        }
        let result = self.visit(node);
        self.place = before;
        result
    }

    fn visit(&mut self, node: Node<'_>) -> Result<()> {
        match node {
            Node::From(TableRef::Table { name, .. }) if name.parts.len() == 1 && name.name() == self.name => {
                if self.hidden.iter().any(|h| h == self.name) {
                    return Ok(());
                }
                let refuse = |how: &str| {
                    let message = format!("recursive reference to query \"{}\" must not appear {how}", self.name);
                    Err(SqlError::new(RECURSION, message).at(at(name.pos())))
                };
                if self.place != Place::Allowed {
                    return refuse(&format!("within {}", self.place.within()));
                }
                if self.seen {
                    return refuse("more than once");
                }
                self.seen = true;
                Ok(())
            }
            Node::From(TableRef::Join(join)) => {
                let (left, right) = match join.kind {
                    JoinKind::Cross | JoinKind::Inner => (Place::Allowed, Place::Allowed),
                    JoinKind::Left => (Place::Allowed, Place::OuterJoin),
                    JoinKind::Right => (Place::OuterJoin, Place::Allowed),
                    JoinKind::Full => (Place::OuterJoin, Place::OuterJoin),
                };
                self.visit_at(left, Node::From(&join.left))?;
                self.visit_at(right, Node::From(&join.right))?;
                match &join.condition {
                    ast::JoinCondition::On(on) => self.visit(Node::Expr(on)),
                    _ => Ok(()),
                }
            }
            // What a query inside an expression is, and nothing else of an expression, is a subquery.
            Node::Expr(e) => parts(Node::Expr(e), &mut |part| match part {
                Node::Query(_) => self.visit_at(Place::Subquery, part),
                other => self.visit(other),
            }),
            Node::Set(SetExpr::SetOp { first, rest }) => {
                // Each of the chain stands in the operations to its right, too.
                let left = |i: usize| {
                    rest[i..]
                        .iter()
                        .map(within_left)
                        .find(|p| *p != Place::Allowed)
                        .unwrap_or(Place::Allowed)
                };
                self.visit_at(left(0), Node::Set(first))?;
                for (i, tail) in rest.iter().enumerate() {
                    let own = match (tail.op, tail.all) {
                        (SetOperator::Except, _) => Place::Except,
                        _ => within_left(tail),
                    };
                    let place = if own == Place::Allowed { left(i + 1) } else { own };
                    self.visit_at(place, Node::Set(&tail.right))?;
                }
                Ok(())
            }
            Node::Query(q) if q.with.is_some() => within(q, &mut |step, hide| match step {
                Some(node) => self.visit(node),
                None => {
                    hide.apply(&mut self.hidden);
                    Ok(())
                }
            }),
            other => parts(other, &mut |part| self.visit(part)),
        }
    }
}

/// What the left input of a set operation stands in.
fn within_left(tail: &ast::SetTail) -> Place {
    match (tail.op, tail.all) {
        (SetOperator::Intersect, true) => Place::Intersect,
        (SetOperator::Except, true) => Place::Except,
        _ => Place::Allowed,
    }
}
