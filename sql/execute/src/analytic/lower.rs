//! Bound relation to DataFusion's logical plan.

use super::aggregate::Fold;
use super::error;
use super::expression::{balanced, column, name, order_key};
use super::functions::{has_key, plainly_ordered};
use super::leaf::Leaf;
use crate::cost;
use crate::engine::Engine;
use crate::eval::Env;
use crate::exec::Exec;
use crate::prune::Pruning;
use crate::registry;
use crate::rows::{Compiler, bounds, equality, ids};
use crate::walk;
use arrow::datatypes::DataType;
use curia_bind::ir::*;
use curia_catalog::Catalog;
use curia_types::{Datum, PgType, Result, oid};
use datafusion::datasource::provider_as_source;
use datafusion::functions_aggregate::{count::count_udaf, first_last::first_value_udaf, min_max, sum::sum_udaf};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{self as df, AggregateUDF, JoinType, LogicalPlan, LogicalPlanBuilder, Operator};
use std::collections::HashMap;
use std::sync::Arc;

/// Scans of one table side by side where a plan has parts.
const SCANS: usize = 4;

/// Terms of AND and OR that DataFusion sees of one statement; the evaluator has the rest. Its optimizer compares terms pairwise and
/// chains them one under the other, which tens of thousands of terms turn into seconds and an overflowing stack.
const NATIVE_TERMS: usize = 256;

/// Inputs of one UNION that DataFusion unites; more are united by row operators, for the same reason.
const NATIVE_INPUTS: usize = 64;

/// Whether a node (not what is under it) has an operator of equal meaning in DataFusion.
fn native(rel: &Rel) -> bool {
    let keyed = |ty: PgType| plainly_ordered(ty) || has_key(ty);
    match rel {
        Rel::Scan(_) | Rel::Filter { .. } | Rel::Project { .. } => true,
        Rel::Limit { ties, .. } => ties.is_empty(),
        Rel::Join { lateral, .. } => !lateral,
        Rel::Sort { keys, .. } => keys.iter().all(|k| keyed(k.expr.ty)),
        Rel::Distinct { on, .. } => on.is_none() && walk::columns(rel).iter().all(|c| plainly_ordered(c.ty)),
        Rel::SetOp {
            op, all, inputs, columns, ..
        } => *op == SetOp::Union && inputs.len() <= NATIVE_INPUTS && (*all || columns.iter().all(|c| plainly_ordered(c.ty))),
        Rel::Aggregate {
            group_by,
            sets,
            aggregates,
            ..
        } => {
            sets.is_none()
                && group_by.iter().all(|(c, _)| keyed(c.ty))
                && aggregates
                    .iter()
                    .all(|a| !a.distinct && a.order_by.is_empty() && registry::aggregate(a.function).is_ok_and(|(_, k)| !k.ordered))
        }
        _ => false,
    }
}

/// Whether a stored table is read under nothing but native operators.
pub(super) fn reads_tables(rel: &Rel) -> bool {
    if !native(rel) {
        return false;
    }
    if let Rel::Filter { input, predicate } = rel
        && let Rel::Scan(scan) = &**input
    {
        let terms = walk::terms(predicate);
        return crate::access::choose(scan, &terms).is_none_or(|p| !p.unique);
    }
    let mut found = matches!(rel, Rel::Scan(_));
    walk::inputs(rel, &mut |i| found |= reads_tables(i));
    found && !point_query(rel)
}

/// A bare range of rows in key order streams faster from row operators.
fn point_query(rel: &Rel) -> bool {
    match rel {
        Rel::Project { input, .. } | Rel::Limit { input, .. } => point_query(input),
        Rel::SetOp {
            op: SetOp::Union,
            all: true,
            inputs,
            ..
        } => inputs.iter().all(|(input, _)| point_query(input)),
        Rel::Filter { input, predicate } => {
            if let Rel::Scan(scan) = &**input {
                let terms = walk::terms(predicate);
                return crate::access::choose(scan, &terms).is_some();
            }
            false
        }
        _ => false,
    }
}

/// Operators for EXPLAIN.
pub(super) fn outline(rel: &Rel, depth: usize, lines: &mut Vec<String>) {
    let text = match rel {
        Rel::Scan(s) => format!("Seq Scan on {}", s.table.name),
        Rel::Filter { input, predicate } => match &**input {
            Rel::Scan(scan) => {
                let terms = walk::terms(predicate);
                match crate::access::choose(scan, &terms) {
                    Some(path) => {
                        let key = path.index.map_or("row key", |i| scan.table.indexes[i].name.as_str());
                        lines.push(format!("{}->  Index Scan using {key} on {}", "  ".repeat(depth), scan.table.name));
                    }
                    None => {
                        lines.push(format!("{}->  Seq Scan on {}", "  ".repeat(depth), scan.table.name));
                        lines.push(format!("{}Filter: {} terms", "  ".repeat(depth + 3), terms.len()));
                    }
                }
                return;
            }
            _ => "Filter".to_owned(),
        },
        Rel::Project { .. } => "Project".to_owned(),
        Rel::Join { kind, .. } => format!("Join ({kind:?})"),
        Rel::Aggregate { group_by, .. } => (if group_by.is_empty() { "Aggregate" } else { "HashAggregate" }).to_owned(),
        Rel::Sort { .. } => "Sort".to_owned(),
        Rel::Limit { .. } => "Limit".to_owned(),
        Rel::Distinct { .. } => "Distinct".to_owned(),
        Rel::SetOp { op, .. } => format!("{op:?}"),
        _ => "Rows".to_owned(),
    };
    lines.push(format!("{}->  {text}", "  ".repeat(depth)));
    if native(rel) {
        walk::inputs(rel, &mut |i| outline(i, depth + 1, lines));
    }
}

/// One lowering, with the execution that its functions and scans belong to.
pub(super) struct Lowering {
    engine: Arc<Engine>,
    pub exec: Arc<Exec>,
    pub compiler: Compiler,
    tables: usize,
    /// Scans of one table side by side.
    scans: usize,
    /// What is left of [`NATIVE_TERMS`].
    terms: usize,
}

type Built<T> = std::result::Result<T, datafusion::error::DataFusionError>;

impl Lowering {
    /// A lowering for plans of so many parts.
    pub fn new(engine: Arc<Engine>, exec: Arc<Exec>, catalog: Arc<Catalog>, parts: usize) -> Lowering {
        Lowering {
            engine,
            exec,
            compiler: Compiler::new(catalog),
            tables: 0,
            scans: if parts > 1 { SCANS } else { 1 },
            terms: NATIVE_TERMS,
        }
    }

    /// The whole statement: its rows with the wanted columns in order, named by position.
    pub fn statement(&mut self, rel: &Rel, wanted: &[ColId]) -> Result<LogicalPlan> {
        let plan = self.rel(rel)?;
        let outputs: Vec<df::Expr> = wanted
            .iter()
            .enumerate()
            .map(|(i, id)| column(*id).alias(format!("r{i}")))
            .collect();
        build(LogicalPlanBuilder::from(plan).project(outputs))
    }

    /// Whether `n` more terms may be DataFusion's own.
    pub(super) fn take_terms(&mut self, n: usize) -> bool {
        let left = self.terms.checked_sub(n);
        self.terms = left.unwrap_or(self.terms);
        left.is_some()
    }

    fn leaf(&mut self, leaf: Leaf) -> Result<LogicalPlan> {
        self.tables += 1;
        build(LogicalPlanBuilder::scan(
            format!("t{}", self.tables),
            provider_as_source(Arc::new(leaf)),
            None,
        ))
    }

    /// About how many rows a relation has.
    fn about(&self, rel: &Rel) -> Result<usize> {
        cost::rows(rel, &self.engine, self.exec.view()?)
    }

    /// A relation that row operators run.
    fn rows(&mut self, rel: &Rel) -> Result<LogicalPlan> {
        let op = self.compiler.relation(rel, &HashMap::new())?;
        let about = self.about(rel)?;
        self.leaf(Leaf::rows(self.exec.clone(), op, about))
    }

    fn rel(&mut self, rel: &Rel) -> Result<LogicalPlan> {
        if !native(rel) {
            return self.rows(rel);
        }
        match rel {
            Rel::Scan(scan) => self.scan(scan, rel),
            Rel::Filter { input, predicate } => {
                if let Rel::Scan(scan) = &**input {
                    let terms = walk::terms(predicate);
                    if self.is_pruned(scan, &terms)? {
                        return self.rows(&Rel::Values {
                            rows: Vec::new(),
                            columns: walk::columns(rel),
                        });
                    }
                    if crate::access::choose(scan, &terms).is_some() {
                        return self.rows(rel);
                    }
                }
                let plan = self.rel(input)?;
                let predicate = self.predicate(predicate, &walk::columns(input))?;
                build(LogicalPlanBuilder::from(plan).filter(predicate))
            }
            Rel::Project { input, columns } => {
                let plan = self.rel(input)?;
                let below = walk::columns(input);
                let outputs = columns
                    .iter()
                    .map(|(c, e)| Ok(self.expr(e, &below)?.alias(name(c.id))))
                    .collect::<Result<Vec<_>>>()?;
                build(LogicalPlanBuilder::from(plan).project(outputs))
            }
            Rel::Join { kind, left, right, on, .. } => {
                let on = on.as_ref().map(|on| self.join_condition(on, left, right)).transpose()?;
                let (left, right) = (self.rel(left)?, self.rel(right)?);
                let kind = match kind {
                    JoinKind::Inner => JoinType::Inner,
                    JoinKind::Left => JoinType::Left,
                    JoinKind::Right => JoinType::Right,
                    JoinKind::Full => JoinType::Full,
                    JoinKind::Semi => JoinType::LeftSemi,
                    JoinKind::Anti => JoinType::LeftAnti,
                };
                let builder = LogicalPlanBuilder::from(left);
                match on {
                    None if kind == JoinType::Inner => build(builder.cross_join(right)),
                    None => build(builder.join_on(right, kind, [df::lit(true)])),
                    Some(on) => build(builder.join_on(right, kind, [on])),
                }
            }
            Rel::Sort { input, keys } => {
                let plan = self.rel(input)?;
                let below = walk::columns(input);
                let keys = keys
                    .iter()
                    .map(|k| Ok(order_key(k.expr.ty, self.expr(&k.expr, &below)?).sort(!k.descending, k.nulls_first)))
                    .collect::<Result<Vec<_>>>()?;
                build(LogicalPlanBuilder::from(plan).sort(keys))
            }
            Rel::Limit { input, limit, offset, .. } => {
                let mut program = |e: &Option<Box<Expr>>| e.as_ref().map(|e| self.compiler.expression(e, &[], &HashMap::new())).transpose();
                let (limit, offset) = (program(limit)?, program(offset)?);
                let (limit, offset) = bounds(
                    Env {
                        exec: &self.exec,
                        frame: &[],
                    },
                    limit.as_ref(),
                    offset.as_ref(),
                )?;
                let plan = self.rel(input)?;
                let narrow = |v: u64| usize::try_from(v).unwrap_or(usize::MAX);
                build(LogicalPlanBuilder::from(plan).limit(narrow(offset), limit.map(narrow)))
            }
            Rel::Distinct { input, .. } => {
                let plan = self.rel(input)?;
                build(LogicalPlanBuilder::from(plan).distinct())
            }
            Rel::SetOp { all, inputs, columns, .. } => self.union(*all, inputs, columns),
            Rel::Aggregate {
                input,
                group_by,
                aggregates,
                ..
            } => self.aggregate(input, group_by, aggregates),
            _ => Err(curia_types::SqlError::internal("a native operator without lowering")),
        }
    }

    /// A join's condition. Equalities between the sides stand alone even where an operand can fail, so that the join goes by their keys:
    /// these are computed for every row of a side, as PostgreSQL does it.
    fn join_condition(&mut self, on: &Expr, left: &Rel, right: &Rel) -> Result<df::Expr> {
        let (left, right) = (walk::columns(left), walk::columns(right));
        let (left_ids, right_ids) = (ids(&left), ids(&right));
        let both: Vec<RelColumn> = left.into_iter().chain(right).collect();
        let mut terms = Vec::new();
        walk::conjuncts(on.clone(), &mut terms);
        let (keys, rest): (Vec<Expr>, Vec<Expr>) = terms.into_iter().partition(|t| equality(t, &left_ids, &right_ids).is_some());
        let mut lowered = keys.iter().map(|k| self.expr(k, &both)).collect::<Result<Vec<_>>>()?;
        if let Some(rest) = walk::conjunction(rest) {
            lowered.push(self.predicate(&rest, &both)?);
        }
        Ok(balanced(lowered, Operator::And))
    }

    /// Whether a scan is of a partition in which the filter finds nothing.
    fn is_pruned(&mut self, scan: &Scan, terms: &[Expr]) -> Result<bool> {
        let env = Env {
            exec: &self.exec,
            frame: &[],
        };
        match Pruning::compile(&mut self.compiler, scan, terms, &HashMap::new())? {
            Some(pruning) => pruning.excludes(env),
            None => Ok(false),
        }
    }

    fn scan(&mut self, scan: &Scan, rel: &Rel) -> Result<LogicalPlan> {
        let layout = self.compiler.layout(&scan.table)?;
        let mut outputs: Vec<Option<usize>> = scan.columns.iter().map(|(i, _)| Some(*i)).collect();
        outputs.extend(scan.row_key.map(|_| None));
        let leaf = Leaf::table(self.exec.clone(), layout, outputs, walk::columns(rel), self.scans, self.about(rel)?)?;
        self.leaf(leaf)
    }

    fn union(&mut self, all: bool, inputs: &[(Rel, Vec<ColId>)], columns: &[RelColumn]) -> Result<LogicalPlan> {
        let mut united: Option<LogicalPlan> = None;
        for (rel, ids) in inputs {
            let plan = self.rel(rel)?;
            let picked: Vec<df::Expr> = ids.iter().zip(columns).map(|(id, c)| column(*id).alias(name(c.id))).collect();
            let plan = build(LogicalPlanBuilder::from(plan).project(picked))?;
            united = Some(match united {
                None => plan,
                Some(before) => build(LogicalPlanBuilder::from(before).union(plan))?,
            });
        }
        let plan = united.ok_or_else(|| curia_types::SqlError::internal("a union of nothing"))?;
        if all {
            Ok(plan)
        } else {
            build(LogicalPlanBuilder::from(plan).distinct())
        }
    }

    /// Inputs are computed first, then grouped by column, then named.
    fn aggregate(&mut self, input: &Rel, group_by: &[(RelColumn, Expr)], aggregates: &[Aggregate]) -> Result<LogicalPlan> {
        let plan = self.rel(input)?;
        let below = walk::columns(input);
        let reference = |n: String| df::Expr::Column(datafusion::common::Column::from_name(n));
        let (mut inputs, mut groups, mut calls, mut outputs) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (i, (c, e)) in group_by.iter().enumerate() {
            let value = self.expr(e, &below)?;
            let (key, out) = (format!("g{i}"), name(c.id));
            if has_key(c.ty) {
                // Equal keys may have several forms (1.0 and 1.00): the first is shown.
                inputs.push(order_key(c.ty, value.clone()).alias(&key));
                inputs.push(value.alias(format!("v{i}")));
                calls.push(call(first_value_udaf(), vec![reference(format!("v{i}"))], None).alias(format!("f{i}")));
                outputs.push(reference(format!("f{i}")).alias(out));
            } else {
                inputs.push(value.alias(&key));
                outputs.push(reference(key.clone()).alias(out));
            }
            groups.push(reference(key));
        }
        for (i, a) in aggregates.iter().enumerate() {
            let mut args = Vec::new();
            for (n, e) in a.args.iter().enumerate() {
                let field = format!("a{i}_{n}");
                inputs.push(self.expr(e, &below)?.alias(&field));
                args.push(reference(field));
            }
            let filter = match &a.filter {
                None => None,
                Some(f) => {
                    let field = format!("w{i}");
                    inputs.push(self.predicate(f, &below)?.alias(&field));
                    Some(Box::new(reference(field)))
                }
            };
            let function = function(a, &mut args)?;
            calls.push(call(function, args, filter).alias(format!("x{i}")));
            outputs.push(reference(format!("x{i}")).alias(name(a.output.id)));
        }
        if inputs.is_empty() {
            inputs.push(df::lit(true).alias("one"));
        }
        let plan = build(LogicalPlanBuilder::from(plan).project(inputs))?;
        let plan = build(LogicalPlanBuilder::from(plan).aggregate(groups, calls))?;
        build(LogicalPlanBuilder::from(plan).project(outputs))
    }
}

/// DataFusion's own aggregate where it means the same, the registry's otherwise.
fn function(a: &Aggregate, args: &mut Vec<df::Expr>) -> Result<Arc<AggregateUDF>> {
    let (kernel_name, kernel) = registry::aggregate(a.function)?;
    let types: Vec<PgType> = a.args.iter().map(|e| e.ty).collect();
    let first = types.first().map_or(0, |t| t.oid);
    match kernel_name {
        "count" => {
            if args.is_empty() {
                args.push(df::lit(1i64));
            }
            return Ok(count_udaf());
        }
        "sum" if matches!(first, oid::INT2 | oid::INT4) => {
            let wide = args
                .drain(..)
                .map(|e| df::Expr::Cast(df::Cast::new(Box::new(e), DataType::Int64)))
                .collect();
            *args = wide;
            return Ok(sum_udaf());
        }
        "min" if plainly_ordered(types[0]) && first != oid::BYTEA => return Ok(min_max::min_udaf()),
        "max" if plainly_ordered(types[0]) && first != oid::BYTEA => return Ok(min_max::max_udaf()),
        _ => {}
    }
    if args.is_empty() {
        args.push(super::expression::literal(PgType::BOOL, &Datum::Bool(true))?);
    }
    Ok(Arc::new(AggregateUDF::new_from_impl(Fold::new(
        kernel_name,
        kernel,
        types,
        a.output.ty,
    ))))
}

fn call(function: Arc<AggregateUDF>, args: Vec<df::Expr>, filter: Option<Box<df::Expr>>) -> df::Expr {
    df::Expr::AggregateFunction(AggregateFunction::new_udf(function, args, false, filter, Vec::new(), None))
}

fn build(builder: Built<LogicalPlanBuilder>) -> Result<LogicalPlan> {
    builder.and_then(LogicalPlanBuilder::build).map_err(error)
}
