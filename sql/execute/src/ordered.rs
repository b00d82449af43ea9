//! ORDER BY ... LIMIT that the row key already answers: the sort goes, and the scan runs in its direction until LIMIT has enough.

use crate::access;
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

/// Recognises LIMIT over a sort by leading row key columns of one table, all ascending or all descending.
pub(crate) fn by_row_key(rel: &Rel) -> Option<Ordered> {
    strip(rel, false)
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
        Rel::Sort { input, keys } if limited => {
            let (scan, direction) = order_of(input, keys)?;
            Some(Ordered {
                rel: (**input).clone(),
                scan,
                direction,
            })
        }
        _ => None,
    }
}

fn order_of(input: &Rel, keys: &[SortKey]) -> Option<(ColId, Direction)> {
    let as_column = |e: &Expr| if let ExprKind::Column(id) = e.kind { Some(id) } else { None };
    let mut ids = keys.iter().map(|k| as_column(&k.expr)).collect::<Option<Vec<ColId>>>()?;
    let direction = match (keys.iter().all(|k| !k.descending), keys.iter().all(|k| k.descending)) {
        (true, _) => Direction::Forward,
        (_, true) => Direction::Backward,
        _ => return None,
    };
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
    let in_key_order = access::choose(scan, &terms).is_none_or(|p| p.index.is_none());
    let row_key = &scan.table.row_key;
    let leads = ids.len() <= row_key.len()
        && ids
            .iter()
            .zip(row_key)
            .all(|(id, key)| scan.columns.iter().any(|(i, c)| c.id == *id && i == key));
    (in_key_order && leads).then(|| ids.first().map(|id| (*id, direction))).flatten()
}
