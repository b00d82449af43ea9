//! ORDER BY that the way to the rows already answers: the sort goes, and the scan runs in its direction, until LIMIT has enough if there is
//! one.
//!
//! Rows come in the order of the row key or of an index, whichever finds them. What the filter holds equal to one value has no part in the
//! order. Without a LIMIT, and without anything held equal or with more to filter, the rows read may be many, which are for the pool.

use crate::access::{self, Bound};
use crate::walk;
use curia_bind::ir::*;
use curia_txn::Direction;

/// A relation whose sort was replaced by the order of a scan.
pub(crate) struct Ordered {
    /// The relation without its sort.
    pub rel: Rel,
    /// A column of the scan that gives the order.
    pub scan: ColId,
    /// The scan's direction.
    pub direction: Direction,
}

/// Recognises a sort in the order of a scan, forward or backward. `limited`: a LIMIT stands above.
pub(crate) fn by_scan(rel: &Rel, limited: bool) -> Option<Ordered> {
    strip(rel, limited)
}

fn strip(rel: &Rel, limited: bool) -> Option<Ordered> {
    let again = |inner: Ordered, wrap: &dyn Fn(Box<Rel>) -> Rel| Ordered {
        rel: wrap(Box::new(inner.rel)),
        ..inner
    };
    match rel {
        Rel::Limit { ties, .. } if !ties.is_empty() => None,
        Rel::Limit { input, limit, offset, .. } => strip(input, limited || limit.is_some()).map(|o| {
            again(o, &|input| Rel::Limit {
                input,
                limit: limit.clone(),
                offset: offset.clone(),
                ties: Vec::new(),
            })
        }),
        Rel::Project { input, columns } => strip(input, limited).map(|o| {
            again(o, &|input| Rel::Project {
                input,
                columns: columns.clone(),
            })
        }),
        Rel::Sort { input, keys } => {
            let (scan, direction) = order_of(input, keys, limited)?;
            Some(Ordered {
                rel: (**input).clone(),
                scan,
                direction,
            })
        }
        _ => None,
    }
}

fn order_of(input: &Rel, keys: &[SortKey], limited: bool) -> Option<(ColId, Direction)> {
    let as_column = |e: &Expr| if let ExprKind::Column(id) = e.kind { Some(id) } else { None };
    let mut ids = keys.iter().map(|k| as_column(&k.expr)).collect::<Option<Vec<ColId>>>()?;
    let mut rel = input;
    let mut terms = Vec::new();
    let scan = loop {
        match rel {
            Rel::Project { input, columns } => {
                let below = |id: &ColId| columns.iter().find(|(c, _)| c.id == *id).and_then(|(_, e)| as_column(e));
                ids = ids.iter().map(below).collect::<Option<_>>()?;
                rel = input;
            }
            Rel::Filter { input, predicate } if matches!(**input, Rel::Scan(_)) => {
                walk::conjuncts(predicate.clone(), &mut terms);
                rel = input;
            }
            Rel::Scan(scan) => break scan,
            _ => return None,
        }
    };
    let table = &scan.table;
    let path = access::choose(scan, &terms);
    let equal = path.as_ref().map_or(&[][..], |p| &p.equal);
    let is_one = |at: usize| matches!(equal.get(at), Some(Bound::Equal(_)));
    let rows_given = path.as_ref().is_some_and(|p| p.residual.is_empty());
    if !(limited || is_one(0) && rows_given) {
        return None;
    }
    // Column, whether it descends, and whether its NULLs come first.
    let order: Vec<(Option<usize>, bool, bool)> = match path.as_ref().and_then(|p| p.index) {
        None => table.row_key.iter().map(|c| (Some(*c), false, false)).collect(),
        Some(index) => table.indexes[index]
            .keys
            .iter()
            .map(|k| (k.as_column(), k.descending, k.nulls_first))
            .collect(),
    };
    let (mut at, mut direction) = (0, None);
    for (id, key) in ids.iter().zip(keys) {
        let column = scan.columns.iter().find(|(_, c)| c.id == *id).map(|(i, _)| *i)?;
        if (0..equal.len()).any(|at| is_one(at) && order[at].0 == Some(column)) {
            continue;
        }
        while is_one(at) {
            at += 1;
        }
        let (of, descending, nulls_first) = *order.get(at)?;
        let forward = descending == key.descending;
        let nulls_fit = table.columns[column].not_null || (nulls_first == key.nulls_first) == forward;
        let runs = if forward { Direction::Forward } else { Direction::Backward };
        if of != Some(column) || !nulls_fit || direction.is_some_and(|d| d != runs) {
            return None;
        }
        direction = Some(runs);
        at += 1;
    }
    ids.first().map(|id| (*id, direction.unwrap_or(Direction::Forward)))
}
