//! Bound relation to row operators.

use super::Op;
use super::aggregate::{Aggregate, Call};
use super::basic::{Filter, Limit, Project, Unit, Values};
use super::cte::{CteScan, Definition, With, WorkTableScan};
use super::function::{FunctionScan, ProjectSet};
use super::join::{HashJoin, NestedLoop};
use super::measure::Measured;
use super::scan::{Access, TableScan};
use super::setop::{Append, Counted};
use super::sort::{Distinct, Key, Sort};
use super::window::Window;
use crate::access;
use crate::comparison::{Comparison, comparison};
use crate::eval::{Program, Scope, compile, correlated};
use crate::prune::Pruning;
use crate::registry;
use crate::spill::By;
use crate::walk;
use curia_bind::ir::*;
use curia_catalog::{Catalog, Oid, Table};
use curia_txn::{Direction, TableLayout};
use curia_types::{PgType, Result, SqlError};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// Position of each outer column in the frame.
pub type Frame = HashMap<ColId, usize>;

/// State of one compilation.
pub struct Compiler {
    ids: usize,
    catalog: Arc<Catalog>,
    layouts: HashMap<Oid, Arc<TableLayout>>,
    definitions: HashMap<u32, Arc<Definition>>,
    /// What definitions refer to outside of themselves.
    free: HashMap<u32, Vec<ColId>>,
    /// Recursive definitions whose recursive term is being compiled.
    recursing: HashMap<u32, String>,
    /// The scan with this column runs in this direction: its order stands in for a sort.
    ordered: Option<(ColId, Direction)>,
    /// Compiling a statement whose WITH changes rows: its rows go through row operators, which share what the changes returned.
    pub(crate) staged: bool,
    /// Those definitions whose rows are there before the statement runs.
    given: HashSet<u32>,
    /// Wrap every operator to count its rows and time, for EXPLAIN ANALYZE.
    pub measure: bool,
}

impl Compiler {
    /// A compilation against the catalog version that the statement was bound to.
    pub fn new(catalog: Arc<Catalog>) -> Compiler {
        Compiler {
            ids: 0,
            catalog,
            layouts: HashMap::new(),
            definitions: HashMap::new(),
            free: HashMap::new(),
            recursing: HashMap::new(),
            ordered: None,
            staged: false,
            given: HashSet::new(),
            measure: false,
        }
    }

    /// A number that is unique in the plan.
    pub fn next_id(&mut self) -> usize {
        self.ids += 1;
        self.ids
    }

    /// The columns that a relation refers to and does not produce, those of the definitions that it reads included.
    pub fn free(&self, rel: &Rel) -> Vec<ColId> {
        let mut found: Vec<ColId> = walk::free(rel).into_iter().collect();
        walk::each_rel(rel, &mut |r| {
            if let Rel::CteScan { cte, .. } = r {
                for id in self.free.get(cte).into_iter().flatten() {
                    if !found.contains(id) {
                        found.push(*id);
                    }
                }
            }
        });
        found
    }

    /// Compiles an expression over rows of `columns`.
    pub fn expression(&mut self, e: &Expr, columns: &[RelColumn], frame: &Frame) -> Result<Program> {
        compile(e, &scope(columns, frame), self)
    }

    fn programs<'a>(&mut self, list: impl IntoIterator<Item = &'a Expr>, columns: &[RelColumn], frame: &Frame) -> Result<Vec<Program>> {
        let scope = scope(columns, frame);
        list.into_iter().map(|e| compile(e, &scope, self)).collect()
    }

    fn typed(&mut self, list: &[Expr], columns: &[RelColumn], frame: &Frame) -> Result<Vec<(Program, PgType)>> {
        Ok(self
            .programs(list, columns, frame)?
            .into_iter()
            .zip(list.iter().map(|e| e.ty))
            .collect())
    }

    pub(crate) fn keys(&mut self, keys: &[SortKey], columns: &[RelColumn], frame: &Frame) -> Result<Vec<Key>> {
        let scope = scope(columns, frame);
        keys.iter()
            .map(|k| {
                Ok(Key {
                    program: compile(&k.expr, &scope, self)?,
                    by: By {
                        ty: k.expr.ty,
                        descending: k.descending,
                        nulls_first: k.nulls_first,
                    },
                })
            })
            .collect()
    }

    /// Compiles a relation with an enclosing frame.
    pub fn relation(&mut self, rel: &Rel, frame: &Frame) -> Result<Arc<Op>> {
        let op = self.operator(rel, frame)?;
        Ok(if self.measure { Arc::new(Measured::new(op)) } else { op })
    }

    fn operator(&mut self, rel: &Rel, frame: &Frame) -> Result<Arc<Op>> {
        Ok(match rel {
            Rel::Unit => Arc::new(Unit),
            Rel::Scan(scan) => self.scan(scan, Vec::new(), frame)?,
            Rel::System { table, columns } => Arc::new(crate::system::SystemScan::new(*table, columns)?),
            Rel::Values { rows, columns } => Arc::new(Values {
                rows: rows.iter().map(|r| self.programs(r, &[], frame)).collect::<Result<_>>()?,
                columns: columns.clone(),
            }),
            Rel::Function {
                function,
                args,
                columns,
                ordinality,
            } => {
                let args = self.typed(args, &[], frame)?;
                Arc::new(FunctionScan::new(*function, args, columns, ordinality.as_ref())?)
            }
            Rel::Project { input, columns } => {
                let input = self.relation(input, frame)?;
                let programs = self.programs(columns.iter().map(|(_, e)| e), input.columns(), frame)?;
                let columns: Vec<RelColumn> = columns.iter().map(|(c, _)| c.clone()).collect();
                Arc::new(Project { input, programs, columns })
            }
            Rel::ProjectSet { input, functions } => {
                let input = self.relation(input, frame)?;
                let calls = functions
                    .iter()
                    .map(|(c, f, args)| Ok((c.clone(), *f, self.typed(args, input.columns(), frame)?)))
                    .collect::<Result<Vec<_>>>()?;
                Arc::new(ProjectSet::new(input, calls)?)
            }
            Rel::Filter { input, predicate } => {
                if let Rel::Scan(scan) = &**input {
                    return self.scan(scan, walk::terms(predicate).into_owned(), frame);
                }
                let input = self.relation(input, frame)?;
                let predicate = self.expression(predicate, input.columns(), frame)?;
                Arc::new(Filter { input, predicate })
            }
            Rel::Join {
                kind,
                left,
                right,
                on,
                lateral,
            } => self.join(*kind, left, right, on.as_ref(), *lateral, frame)?,
            Rel::Aggregate {
                input,
                group_by,
                sets,
                aggregates,
            } => {
                let input = self.relation(input, frame)?;
                let groups = self.programs(group_by.iter().map(|(_, e)| e), input.columns(), frame)?;
                let calls = aggregates
                    .iter()
                    .map(|a| {
                        let (name, function) = registry::aggregate(a.function)?;
                        Ok(Call {
                            function,
                            name,
                            ret: a.output.ty,
                            args: self.programs(&a.args, input.columns(), frame)?,
                            arg_types: a.args.iter().map(|e| e.ty).collect(),
                            distinct: a.distinct,
                            order_by: self.keys(&a.order_by, input.columns(), frame)?,
                            filter: a.filter.as_ref().map(|f| self.expression(f, input.columns(), frame)).transpose()?,
                        })
                    })
                    .collect::<Result<Vec<_>>>()?;
                Arc::new(Aggregate {
                    input,
                    groups,
                    group_types: group_by.iter().map(|(c, _)| c.ty).collect(),
                    sets: sets.clone(),
                    calls,
                    columns: walk::columns(rel),
                })
            }
            Rel::Window { input, calls } => {
                let input = self.relation(input, frame)?;
                Arc::new(Window::new(self, input, calls, frame)?)
            }
            Rel::Sort { input, keys } => {
                let input = self.relation(input, frame)?;
                let keys = self.keys(keys, input.columns(), frame)?;
                Arc::new(Sort { input, keys })
            }
            Rel::Limit {
                input,
                limit,
                offset,
                ties,
            } => {
                let input = self.relation(input, frame)?;
                let mut compile = |e: &Option<Box<Expr>>| e.as_ref().map(|e| self.expression(e, &[], frame)).transpose();
                let (limit, offset) = (compile(limit)?, compile(offset)?);
                let ties = self.keys(ties, input.columns(), frame)?;
                Arc::new(Limit {
                    input,
                    limit,
                    offset,
                    ties,
                })
            }
            Rel::Distinct { input, on } => {
                let input = self.relation(input, frame)?;
                let on = match on {
                    None => None,
                    Some(keys) => {
                        let programs = self.programs(keys, input.columns(), frame)?;
                        Some(programs.into_iter().zip(keys.iter().map(|k| k.ty)).collect())
                    }
                };
                Arc::new(Distinct { input, on })
            }
            Rel::SetOp { op, all, inputs, columns } => {
                let inputs = inputs
                    .iter()
                    .map(|(r, ids)| {
                        let input = self.relation(r, frame)?;
                        let positions = positions(&*input, ids)?;
                        Ok((input, positions))
                    })
                    .collect::<Result<_>>()?;
                let columns = columns.clone();
                match (*op, *all) {
                    (SetOp::Union, true) => Arc::new(Append { inputs, columns }),
                    (SetOp::Union, false) => Arc::new(Distinct {
                        input: Arc::new(Append { inputs, columns }),
                        on: None,
                    }),
                    (op, all) => Arc::new(Counted { op, all, inputs, columns }),
                }
            }
            Rel::With { ctes, body } => {
                let mut definitions = Vec::new();
                for cte in ctes {
                    definitions.push(self.define_in(cte, passing(rel, cte), frame)?);
                }
                Arc::new(With {
                    definitions,
                    body: self.relation(body, frame)?,
                })
            }
            Rel::CteScan { cte, columns } => match (self.recursing.get(cte), self.definitions.get(cte)) {
                (Some(name), _) => Arc::new(WorkTableScan {
                    id: *cte,
                    name: name.clone(),
                    columns: columns.clone(),
                }),
                (None, Some(d)) => Arc::new(CteScan {
                    definition: d.clone(),
                    columns: columns.clone(),
                }),
                (None, None) => return Err(SqlError::internal(format!("common table expression {cte} is not in scope"))),
            },
            // Where a statement locks the rows that come out, what is below is compiled (see `write::lock`); anywhere else nobody would.
            Rel::LockRows { .. } => return Err(SqlError::unsupported("FOR UPDATE in a subquery")),
        })
    }

    /// Compiles a common table expression of the statement itself.
    pub(crate) fn define(&mut self, cte: &Cte, passing: bool) -> Result<Arc<Definition>> {
        self.define_in(cte, passing, &HashMap::new())
    }

    fn define_in(&mut self, cte: &Cte, passing: bool, frame: &Frame) -> Result<Arc<Definition>> {
        let terms = std::iter::once(&cte.query).chain(cte.recursive.as_ref().map(|(term, _, _)| term));
        let free: Vec<ColId> = terms.flat_map(|term| self.free(term)).collect();
        if !free.is_empty() {
            self.free.insert(cte.id, free);
        }
        let query = self.relation(&cte.query, frame)?;
        let ids: Vec<ColId> = cte.columns.iter().map(|c| c.id).collect();
        let recursive = match &cte.recursive {
            None => None,
            Some((term, ids, all)) => {
                self.recursing.insert(cte.id, cte.name.clone());
                let term = self.relation(term, frame)?;
                self.recursing.remove(&cte.id);
                let positions = positions(&*term, ids)?;
                Some((term, positions, *all))
            }
        };
        let definition = Arc::new(Definition {
            passing,
            id: cte.id,
            name: cte.name.clone(),
            positions: positions(&*query, &ids)?,
            query,
            types: cte.columns.iter().map(|c| c.ty).collect(),
            recursive,
        });
        self.definitions.insert(cte.id, definition.clone());
        Ok(definition)
    }

    /// A common table expression whose rows a change will have left when they are read.
    pub(crate) fn define_change(&mut self, id: u32, name: &str, columns: Vec<RelColumn>) {
        self.given.insert(id);
        let definition = Definition {
            passing: false,
            id,
            name: name.to_owned(),
            positions: (0..columns.len()).collect(),
            types: columns.iter().map(|c| c.ty).collect(),
            query: Arc::new(Values { rows: Vec::new(), columns }),
            recursive: None,
        };
        self.definitions.insert(id, Arc::new(definition));
    }

    /// A scan with the conjuncts over it.
    fn scan(&mut self, scan: &Scan, terms: Vec<Expr>, frame: &Frame) -> Result<Arc<Op>> {
        let columns = walk::columns(&Rel::Scan(scan.clone()));
        let direction = match self.ordered {
            Some((id, direction)) if columns.iter().any(|c| c.id == id) => direction,
            _ => Direction::Forward,
        };
        self.scan_ordered(scan, columns, terms, frame, direction)
            .map(|s| Arc::new(s) as Arc<Op>)
    }

    /// A scan in one direction of its path.
    pub(crate) fn scan_ordered(
        &mut self,
        scan: &Scan,
        columns: Vec<RelColumn>,
        terms: Vec<Expr>,
        frame: &Frame,
        direction: Direction,
    ) -> Result<TableScan> {
        let layout = self.layout(&scan.table)?;
        let pruning = Pruning::compile(self, scan, &terms, frame)?;
        let (access, residual) = match access::choose(scan, &terms) {
            Some(path) => {
                let residual = path.residual.clone();
                (Access::compile(self, &path, scan, &layout, frame)?, residual)
            }
            None => (Access::Full, terms),
        };
        let filter = walk::conjunction(residual)
            .map(|p| self.expression(&p, &columns, frame))
            .transpose()?;
        Ok(TableScan::new(scan, layout, columns, access, (pruning, filter), direction))
    }

    /// Makes the scan with this column run in a direction.
    pub(crate) fn order_scan(&mut self, column: ColId, direction: Direction) {
        self.ordered = Some((column, direction));
    }

    /// The catalog version it compiles against.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// The layout of a table, one for the whole plan.
    pub(crate) fn layout(&mut self, table: &Arc<Table>) -> Result<Arc<TableLayout>> {
        if let Some(layout) = self.layouts.get(&table.oid) {
            return Ok(layout.clone());
        }
        let layout = Arc::new(crate::write::table_layout(&self.catalog, table)?);
        self.layouts.insert(table.oid, layout.clone());
        Ok(layout)
    }

    /// Whether a relation is rows that are there before the statement runs.
    pub(crate) fn is_given(&self, rel: &Rel) -> bool {
        match rel {
            Rel::CteScan { cte, .. } => self.given.contains(cte),
            Rel::Project { input, .. } | Rel::Filter { input, .. } => self.is_given(input),
            _ => false,
        }
    }

    fn join(&mut self, kind: JoinKind, left: &Rel, right: &Rel, on: Option<&Expr>, lateral: bool, frame: &Frame) -> Result<Arc<Op>> {
        let mut terms = Vec::new();
        if let Some(on) = on {
            walk::conjuncts(on.clone(), &mut terms);
        }
        let few = bounded(left) || self.is_given(left);
        if kind == JoinKind::Inner && !lateral && !few && self.is_given(right) && lookup(left, &terms, &walk::columns(right)).is_some() {
            return self.join(kind, right, left, on, lateral, frame);
        }
        let left_op = self.relation(left, frame)?;
        // A right side with a key for the condition is looked up for each left row.
        let right_with_terms = if !lateral && !matches!(kind, JoinKind::Right | JoinKind::Full) && few {
            lookup(right, &terms, &walk::columns(left))
        } else {
            None
        };
        let lateral = lateral || right_with_terms.is_some();
        if lateral {
            let (right, on) = match &right_with_terms {
                Some(r) => (r, None),
                None => (right, on),
            };
            let outer = scope(left_op.columns(), frame);
            let (right_op, captures) = correlated(right, &outer, self)?;
            let columns = joined(&*left_op, &*right_op);
            let on = on.map(|on| self.expression(on, &columns, frame)).transpose()?;
            let columns = shown(kind, &*left_op, columns);
            return Ok(Arc::new(NestedLoop {
                kind,
                left: left_op,
                right: right_op,
                captures: Some(captures),
                on,
                columns,
            }));
        }
        let right_op = self.relation(right, frame)?;
        let columns = joined(&*left_op, &*right_op);
        let (left_ids, right_ids) = (ids(left_op.columns()), ids(right_op.columns()));
        let (mut left_keys, mut right_keys, mut key_types, mut residual) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for term in terms {
            match equality(&term, &left_ids, &right_ids) {
                Some((l, r)) => {
                    key_types.push(PgType { oid: l.ty.oid, typmod: -1 });
                    left_keys.push(self.expression(l, left_op.columns(), frame)?);
                    right_keys.push(self.expression(r, right_op.columns(), frame)?);
                }
                None => residual.push(term),
            }
        }
        let residual = walk::conjunction(residual)
            .map(|p| self.expression(&p, &columns, frame))
            .transpose()?;
        let columns = shown(kind, &*left_op, columns);
        if left_keys.is_empty() {
            return Ok(Arc::new(NestedLoop {
                kind,
                left: left_op,
                right: right_op,
                captures: None,
                on: residual,
                columns,
            }));
        }
        Ok(Arc::new(HashJoin {
            kind,
            left: left_op,
            right: right_op,
            left_keys,
            right_keys,
            key_types,
            residual,
            columns,
        }))
    }
}

/// Whether one scan reads a definition, but for those of its own recursive term, and reads it once.
fn passing(with: &Rel, cte: &Cte) -> bool {
    let count = |rel: &Rel| {
        let mut scans = 0;
        walk::each_rel(rel, &mut |r| {
            scans += usize::from(matches!(r, Rel::CteScan { cte: id, .. } if *id == cte.id))
        });
        scans
    };
    let own = cte.recursive.as_ref().map_or(0, |(term, _, _)| count(term));
    count(with) == own + 1 && reads_once(with, cte.id)
}

/// Whether a definition's scan is found where relations are opened once: in no expression, in nothing that is repeated for other rows.
fn reads_once(rel: &Rel, id: u32) -> bool {
    match rel {
        Rel::CteScan { cte, .. } => *cte == id,
        Rel::Filter { input, .. }
        | Rel::Project { input, .. }
        | Rel::ProjectSet { input, .. }
        | Rel::Aggregate { input, .. }
        | Rel::Window { input, .. }
        | Rel::Sort { input, .. }
        | Rel::Limit { input, .. }
        | Rel::Distinct { input, .. }
        | Rel::LockRows { input, .. } => reads_once(input, id),
        Rel::Join { left, right, lateral, .. } => {
            reads_once(left, id) || (!lateral && !matches!(**right, Rel::Join { .. }) && reads_once(right, id))
        }
        Rel::SetOp { inputs, .. } => inputs.iter().any(|(input, _)| reads_once(input, id)),
        Rel::With { ctes, body } => reads_once(body, id) || ctes.iter().any(|other| other.id != id && reads_once(&other.query, id)),
        Rel::Unit | Rel::Scan(_) | Rel::System { .. } | Rel::Values { .. } | Rel::Function { .. } => false,
    }
}

/// Whether a relation is expected to give few rows: everything it reads is bounded by keys.
pub(crate) fn bounded(rel: &Rel) -> bool {
    match rel {
        Rel::Unit | Rel::Values { .. } => true,
        Rel::Filter { input, predicate } => {
            if let Rel::Scan(scan) = &**input {
                let terms = walk::terms(predicate);
                return access::choose(scan, &terms).is_some();
            }
            bounded(input)
        }
        Rel::Project { input, .. } | Rel::Sort { input, .. } | Rel::Limit { input, .. } | Rel::Aggregate { input, .. } => bounded(input),
        Rel::SetOp { inputs, .. } => inputs.iter().all(|(input, _)| bounded(input)),
        Rel::Join { left, right, .. } => bounded(left) && (bounded(right) || matches!(**right, Rel::Scan(_) | Rel::Filter { .. })),
        _ => false,
    }
}

/// The right side with the join's condition as its filter, when that gives a scan a key over columns of the left side.
pub(crate) fn lookup(right: &Rel, terms: &[Expr], left: &[RelColumn]) -> Option<Rel> {
    let (scan, mut all) = match right {
        Rel::Scan(scan) => (scan, Vec::new()),
        Rel::Filter { input, predicate } => match &**input {
            Rel::Scan(scan) => {
                let own = walk::terms(predicate).into_owned();
                (scan, own)
            }
            _ => return None,
        },
        Rel::SetOp {
            op: SetOp::Union,
            all: true,
            inputs,
            columns,
        } => {
            // All inputs by a key, or none.
            let into = |(rel, ids): &(Rel, Vec<ColId>)| {
                let below = crate::rewrite::renamed(terms, columns, ids);
                lookup(rel, &below, left).map(|rel| (rel, ids.clone()))
            };
            return Some(Rel::SetOp {
                op: SetOp::Union,
                all: true,
                inputs: inputs.iter().map(into).collect::<Option<_>>()?,
                columns: columns.clone(),
            });
        }
        _ => return None,
    };
    let before = access::choose(scan, &all).map_or(0, |p| p.equal.len());
    all.extend(terms.iter().cloned());
    let path = access::choose(scan, &all)?;
    let left = ids(left);
    let over_left = path
        .equal
        .iter()
        .any(|b| matches!(b, access::Bound::Equal(e) if walk::used(e).iter().any(|id| left.contains(id))));
    (over_left && path.equal.len() > before).then(|| Rel::Filter {
        input: Box::new(Rel::Scan(scan.clone())),
        predicate: walk::conjunction(all).unwrap_or_else(always),
    })
}

fn always() -> Expr {
    Expr {
        kind: ExprKind::Const(curia_types::Datum::Bool(true)),
        ty: PgType::BOOL,
        position: None,
    }
}

/// `left = right` with each operand on its own side, whichever way it was written.
pub(crate) fn equality<'a>(term: &'a Expr, left: &BTreeSet<ColId>, right: &BTreeSet<ColId>) -> Option<(&'a Expr, &'a Expr)> {
    let ExprKind::Call { function, args } = &term.kind else {
        return None;
    };
    let (Comparison::Eq, lt, rt) = comparison(*function)? else {
        return None;
    };
    if !crate::comparison::same_order(lt, rt) {
        return None;
    }
    let [a, b] = args.as_slice() else { return None };
    let (ua, ub) = (walk::used(a), walk::used(b));
    let within = |used: &BTreeSet<ColId>, side: &BTreeSet<ColId>, other: &BTreeSet<ColId>| {
        used.iter().any(|id| side.contains(id)) && !used.iter().any(|id| other.contains(id))
    };
    if within(&ua, left, right) && within(&ub, right, left) {
        Some((a, b))
    } else if within(&ua, right, left) && within(&ub, left, right) {
        Some((b, a))
    } else {
        None
    }
}

fn scope(columns: &[RelColumn], frame: &Frame) -> Scope {
    let ids: Vec<ColId> = columns.iter().map(|c| c.id).collect();
    Scope::over(&ids, frame)
}

pub(crate) fn ids(columns: &[RelColumn]) -> BTreeSet<ColId> {
    columns.iter().map(|c| c.id).collect()
}

fn joined(left: &Op, right: &Op) -> Vec<RelColumn> {
    left.columns().iter().chain(right.columns()).cloned().collect()
}

/// Of the columns that a join's condition sees, those that come out.
fn shown(kind: JoinKind, left: &Op, joined: Vec<RelColumn>) -> Vec<RelColumn> {
    match kind {
        JoinKind::Semi | JoinKind::Anti => left.columns().to_vec(),
        _ => joined,
    }
}

/// Positions of columns in an operator's rows.
pub(crate) fn positions(op: &Op, ids: &[ColId]) -> Result<Vec<usize>> {
    ids.iter()
        .map(|id| {
            op.columns()
                .iter()
                .position(|c| c.id == *id)
                .ok_or_else(|| SqlError::internal(format!("column {} is not produced", id.0)))
        })
        .collect()
}
