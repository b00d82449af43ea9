//! Which queries a cursor goes backward over without being declared SCROLL (`ExecSupportsBackwardScan`).

use crate::ir::{Rel, SetOp};

/// Whether PostgreSQL's plan of the query could run backward: reads of one relation, sorted ones of anything.
pub fn goes_backward(rel: &Rel) -> bool {
    match rel {
        Rel::Scan(_) | Rel::System { .. } | Rel::Values { .. } | Rel::Function { .. } | Rel::CteScan { .. } => true,
        Rel::Sort { input, .. } => !locks(input),
        Rel::Project { input, .. } | Rel::Filter { input, .. } | Rel::Limit { input, .. } => goes_backward(input),
        Rel::With { body, .. } => goes_backward(body),
        Rel::SetOp {
            op: SetOp::Union,
            all: true,
            inputs,
            ..
        } => inputs.iter().all(|(input, _)| goes_backward(input)),
        Rel::Unit
        | Rel::ProjectSet { .. }
        | Rel::Join { .. }
        | Rel::Aggregate { .. }
        | Rel::Window { .. }
        | Rel::Distinct { .. }
        | Rel::SetOp { .. }
        | Rel::LockRows { .. } => false,
    }
}

/// Whether rows are locked below: their keys may stand in projections above.
fn locks(rel: &Rel) -> bool {
    match rel {
        Rel::LockRows { .. } => true,
        Rel::Project { input, .. } | Rel::Filter { input, .. } | Rel::Limit { input, .. } | Rel::Sort { input, .. } => locks(input),
        _ => false,
    }
}
