//! ORDER BY ... LIMIT that the row key, or the index by which rows are found, already answers: the sort goes, and the scan runs in its
//! direction until LIMIT has enough.

use crate::access::{self, Bound, Path, PathKeyOf};
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

/// Recognises LIMIT over a sort in the order of a scan, forward or backward. `limited`: a LIMIT stands above.
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
    let first = *ids.first()?;
    let column = |id: &ColId| scan.columns.iter().find(|(_, c)| c.id == *id).map(|(i, _)| *i);
    let columns = ids.iter().map(column).collect::<Option<Vec<usize>>>()?;
    let path = access::choose(scan, &terms);
    // Of a column that is equal to one value, every order is one.
    let equal = path.iter().flat_map(|path| &path.equal);
    let fixed = equal.take_while(|bound| matches!(bound, Bound::Equal(_))).count();
    // The columns that the scan is ordered by, and whether descending.
    let order: Vec<(usize, bool)> = match &path {
        Some(path) if path.index.is_some() => in_order(path, fixed).collect(),
        _ => scan.table.row_key.iter().map(|column| (*column, false)).collect(),
    };
    let (fixed, order) = order.split_at(fixed.min(order.len()));
    let wanted = columns.iter().zip(keys).filter(|(i, _)| !fixed.iter().any(|(f, _)| f == *i));
    let mut backward = None;
    for (n, (column, key)) in wanted.enumerate() {
        let (at, descending) = order.get(n)?;
        let against = key.descending != *descending;
        if at != column || *backward.get_or_insert(against) != against {
            return None;
        }
    }
    let direction = match backward {
        Some(true) => Direction::Backward,
        _ => Direction::Forward,
    };
    Some((first, direction))
}

/// The leading columns of an index, and whether they descend, whose order is the one that ORDER BY asks for: those without NULLs.
fn in_order(path: &Path, fixed: usize) -> impl Iterator<Item = (usize, bool)> {
    path.keys.iter().enumerate().map_while(move |(n, key)| match key.of {
        PathKeyOf::Column(column) if key.not_null || n < fixed => Some((column, key.descending)),
        _ => None,
    })
}
