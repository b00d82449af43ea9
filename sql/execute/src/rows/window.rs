//! Window functions: rows are kept, sorted by partition and order, and each call computed over its frames.

use super::compile::{Compiler, Frame};
use super::sort::{Key, compare_by};
use super::{Cursor, Held, Op, Operator, Row, collect};
use crate::eval::{Env, Program};
use crate::order;
use crate::registry;
use curia_bind::ir::{FrameBound, FrameUnit, RelColumn, WindowCall};
use curia_functions::{CallTypes, Kernel, WindowFunction};
use curia_types::{Datum, PgType, Result, SqlError, SqlState};
use std::cmp::Ordering;
use std::sync::Arc;

/// Adds window function columns.
pub struct Window {
    input: Arc<Op>,
    calls: Vec<Call>,
    columns: Vec<RelColumn>,
}

struct Call {
    kernel: Kernel,
    name: &'static str,
    args: Vec<Program>,
    types: Vec<PgType>,
    ret: PgType,
    filter: Option<Program>,
    partition: Vec<(Program, PgType)>,
    order: Vec<Key>,
    frame: Option<(FrameUnit, Bound, Bound)>,
}

enum Bound {
    UnboundedPreceding,
    Preceding(Program),
    CurrentRow,
    Following(Program),
    UnboundedFollowing,
}

impl Window {
    pub fn new(c: &mut Compiler, input: Arc<Op>, calls: &[WindowCall], frame: &Frame) -> Result<Window> {
        let mut columns = input.columns().to_vec();
        let mut out = Vec::new();
        for call in calls {
            let function = registry::function(call.function)?;
            let mut program = |e: &curia_bind::ir::Expr| c.expression(e, input.columns(), frame);
            let args = call.args.iter().map(&mut program).collect::<Result<_>>()?;
            let filter = call.filter.as_ref().map(&mut program).transpose()?;
            let partition = call.partition_by.iter().map(|e| Ok((program(e)?, e.ty))).collect::<Result<_>>()?;
            let bounds = match &call.frame {
                None => None,
                Some(f) => {
                    let mut bound = |b: &FrameBound| {
                        Ok::<_, SqlError>(match b {
                            FrameBound::UnboundedPreceding => Bound::UnboundedPreceding,
                            FrameBound::Preceding(e) => Bound::Preceding(program(e)?),
                            FrameBound::CurrentRow => Bound::CurrentRow,
                            FrameBound::Following(e) => Bound::Following(program(e)?),
                            FrameBound::UnboundedFollowing => Bound::UnboundedFollowing,
                        })
                    };
                    let (start, end) = (bound(&f.start)?, bound(&f.end)?);
                    let offset = |b: &Bound| matches!(b, Bound::Preceding(_) | Bound::Following(_));
                    if f.unit == FrameUnit::Range && (offset(&start) || offset(&end)) {
                        return Err(SqlError::unsupported("RANGE with offset PRECEDING/FOLLOWING"));
                    }
                    Some((f.unit, start, end))
                }
            };
            out.push(Call {
                kernel: function.kernel,
                name: function.name,
                args,
                types: call.args.iter().map(|e| e.ty).collect(),
                ret: call.output.ty,
                filter,
                partition,
                order: c.keys(&call.order_by, input.columns(), frame)?,
                frame: bounds,
            });
            columns.push(call.output.clone());
        }
        Ok(Window {
            input,
            calls: out,
            columns,
        })
    }
}

impl Operator for Window {
    fn columns(&self) -> &[RelColumn] {
        &self.columns
    }
    fn open(self: Arc<Self>, env: Env<'_>) -> Result<Box<dyn Cursor>> {
        let mut input = self.input.clone().open(env)?;
        let mut rows = collect(&mut *input, env)?;
        let mut sequence: Vec<usize> = (0..rows.len()).collect();
        let mut results: Vec<Vec<Datum>> = Vec::new();
        for call in &self.calls {
            let (order, values) = call.run(env, &rows)?;
            sequence = order;
            results.push(values);
        }
        for values in results {
            for (row, value) in rows.iter_mut().zip(values) {
                row.push(value);
            }
        }
        let rows: Vec<Row> = sequence.into_iter().map(|i| std::mem::take(&mut rows[i])).collect();
        Ok(Box::new(Held(rows.into_iter())))
    }
    fn describe(&self) -> String {
        let names: Vec<&str> = self.calls.iter().map(|c| c.name).collect();
        format!("WindowAgg ({})", names.join(", "))
    }
    fn inputs(&self) -> Vec<Arc<Op>> {
        vec![self.input.clone()]
    }
}

impl Call {
    /// The rows' order, and the call's value for each row (by its original position).
    fn run(&self, env: Env<'_>, rows: &[Row]) -> Result<(Vec<usize>, Vec<Datum>)> {
        let mut keys: Vec<(Vec<Datum>, Vec<Datum>)> = Vec::with_capacity(rows.len());
        for row in rows {
            let partition = self.partition.iter().map(|(p, _)| p.eval(env, row)).collect::<Result<Vec<_>>>()?;
            let order = self.order.iter().map(|k| k.program.eval(env, row)).collect::<Result<Vec<_>>>()?;
            env.exec.charge(order::row_bytes(&partition) + order::row_bytes(&order))?;
            keys.push((partition, order));
        }
        let same_partition = |a: usize, b: usize| {
            self.partition
                .iter()
                .enumerate()
                .map(|(i, (_, ty))| order::compare(*ty, &keys[a].0[i], &keys[b].0[i]))
                .find(|o| o.is_ne())
        };
        let in_order = |a: usize, b: usize| {
            self.order
                .iter()
                .enumerate()
                .map(|(i, k)| compare_by(k.ty, k.descending, k.nulls_first, &keys[a].1[i], &keys[b].1[i]))
                .find(|o| o.is_ne())
                .unwrap_or(Ordering::Equal)
        };
        let mut sequence: Vec<usize> = (0..rows.len()).collect();
        sequence.sort_by(|a, b| same_partition(*a, *b).unwrap_or_else(|| in_order(*a, *b)));
        let mut values = vec![Datum::Null; rows.len()];
        let mut start = 0;
        while start < sequence.len() {
            env.exec.check_cancel()?;
            let mut end = start + 1;
            while end < sequence.len() && same_partition(sequence[start], sequence[end]).is_none() {
                end += 1;
            }
            let members = &sequence[start..end];
            // The number of the peer group of each row.
            let mut peers = Vec::with_capacity(members.len());
            for (i, m) in members.iter().enumerate() {
                let group = match i {
                    0 => 0,
                    _ => peers[i - 1] + usize::from(in_order(members[i - 1], *m).is_ne()),
                };
                peers.push(group);
            }
            self.partition(env, rows, members, &peers, &mut values)?;
            start = end;
        }
        Ok((sequence, values))
    }

    fn arg(&self, i: usize, env: Env<'_>, row: &Row) -> Result<Datum> {
        self.args.get(i).map_or(Ok(Datum::Null), |p| p.eval(env, row))
    }

    fn partition(&self, env: Env<'_>, rows: &[Row], members: &[usize], peers: &[usize], values: &mut [Datum]) -> Result<()> {
        let n = members.len();
        let first_peer = |i: usize| peers.partition_point(|p| *p < peers[i]);
        let after_peers = |i: usize| peers.partition_point(|p| *p <= peers[i]);
        let function = match self.kernel {
            Kernel::Window(f) => f,
            Kernel::Aggregate(_) => return self.aggregate(env, rows, members, peers, values),
            _ => return Err(SqlError::unsupported(format!("{}() as a window function", self.name))),
        };
        for i in 0..n {
            let row = &rows[members[i]];
            values[members[i]] = match function {
                WindowFunction::RowNumber => Datum::Int8(i as i64 + 1),
                WindowFunction::Rank => Datum::Int8(first_peer(i) as i64 + 1),
                WindowFunction::DenseRank => Datum::Int8(peers[i] as i64 + 1),
                WindowFunction::PercentRank => Datum::Float8(if n > 1 { first_peer(i) as f64 / (n - 1) as f64 } else { 0.0 }),
                WindowFunction::CumeDist => Datum::Float8(after_peers(i) as f64 / n as f64),
                WindowFunction::Ntile => match order::integer(&self.arg(0, env, row)?) {
                    None => Datum::Null,
                    Some(buckets) if buckets <= 0 => {
                        return Err(SqlError::new(SqlState::new("22014"), "argument of ntile must be greater than zero"));
                    }
                    Some(buckets) => {
                        let (buckets, n, i) = (buckets as u64, n as u64, i as u64);
                        let (size, larger) = (n / buckets, n % buckets);
                        let in_larger = larger * (size + 1);
                        let bucket = if i < in_larger {
                            i / (size + 1)
                        } else {
                            larger + (i - in_larger) / size.max(1)
                        };
                        Datum::Int4(i32::try_from(bucket + 1).unwrap_or(i32::MAX))
                    }
                },
                WindowFunction::Lag | WindowFunction::Lead => {
                    let offset = match self.args.get(1) {
                        None => Some(1),
                        Some(p) => order::integer(&p.eval(env, row)?),
                    };
                    match offset {
                        None => Datum::Null,
                        Some(offset) => {
                            let at = if function == WindowFunction::Lag {
                                i as i64 - offset
                            } else {
                                i as i64 + offset
                            };
                            match usize::try_from(at).ok().and_then(|at| members.get(at)) {
                                Some(m) => self.arg(0, env, &rows[*m])?,
                                None => self.arg(2, env, row)?,
                            }
                        }
                    }
                }
                WindowFunction::FirstValue | WindowFunction::LastValue | WindowFunction::NthValue => {
                    let (from, to) = self.frame(env, row, i, peers)?;
                    let at = match function {
                        WindowFunction::FirstValue => Some(from),
                        WindowFunction::LastValue => to.checked_sub(1),
                        _ => match order::integer(&self.arg(1, env, row)?) {
                            None => None,
                            Some(k) if k <= 0 => {
                                return Err(SqlError::new(
                                    SqlState::new("22016"),
                                    "argument of nth_value must be greater than zero",
                                ));
                            }
                            Some(k) => Some(from + k as usize - 1),
                        },
                    };
                    match at.filter(|at| *at >= from && *at < to) {
                        Some(at) => self.arg(0, env, &rows[members[at]])?,
                        None => Datum::Null,
                    }
                }
            };
        }
        Ok(())
    }

    /// The frame of row `i` of a partition: from, to (exclusive).
    fn frame(&self, env: Env<'_>, row: &Row, i: usize, peers: &[usize]) -> Result<(usize, usize)> {
        let n = peers.len();
        let first_peer = |g: usize| peers.partition_point(|p| *p < g);
        let after_group = |g: usize| peers.partition_point(|p| *p <= g);
        let Some((unit, start, end)) = &self.frame else {
            return Ok(if self.order.is_empty() {
                (0, n)
            } else {
                (0, after_group(peers[i]))
            });
        };
        let offset = |p: &Program, what: &str| -> Result<usize> {
            match order::integer(&p.eval(env, row)?) {
                None => Err(SqlError::new(
                    SqlState::new("22004"),
                    format!("frame {what} offset must not be null"),
                )),
                Some(v) if v < 0 => Err(SqlError::new(
                    SqlState::INVALID_PRECEDING_OR_FOLLOWING_SIZE,
                    format!("frame {what} offset must not be negative"),
                )),
                Some(v) => Ok(usize::try_from(v).unwrap_or(usize::MAX)),
            }
        };
        let rows = *unit == FrameUnit::Rows;
        let from = match start {
            Bound::UnboundedPreceding => 0,
            Bound::UnboundedFollowing => n,
            Bound::CurrentRow if rows => i,
            Bound::CurrentRow => first_peer(peers[i]),
            Bound::Preceding(p) if rows => i.saturating_sub(offset(p, "starting")?),
            Bound::Preceding(p) => first_peer(peers[i].saturating_sub(offset(p, "starting")?)),
            Bound::Following(p) if rows => i.saturating_add(offset(p, "starting")?).min(n),
            Bound::Following(p) => first_peer(peers[i].saturating_add(offset(p, "starting")?)),
        };
        let to = match end {
            Bound::UnboundedPreceding => 0,
            Bound::UnboundedFollowing => n,
            Bound::CurrentRow if rows => i + 1,
            Bound::CurrentRow => after_group(peers[i]),
            Bound::Preceding(p) if rows => (i + 1).saturating_sub(offset(p, "ending")?),
            Bound::Preceding(p) => peers[i].checked_sub(offset(p, "ending")?).map_or(0, after_group),
            Bound::Following(p) if rows => (i + 1).saturating_add(offset(p, "ending")?).min(n),
            Bound::Following(p) => after_group(peers[i].saturating_add(offset(p, "ending")?)),
        };
        Ok((from, to.max(from)))
    }

    fn aggregate(&self, env: Env<'_>, rows: &[Row], members: &[usize], peers: &[usize], values: &mut [Datum]) -> Result<()> {
        let Kernel::Aggregate(kernel) = self.kernel else { return Ok(()) };
        let types = CallTypes {
            args: &self.types,
            ret: self.ret,
        };
        let args_of = |m: usize| -> Result<Option<Vec<Datum>>> {
            if let Some(f) = &self.filter
                && !f.holds(env, &rows[m])?
            {
                return Ok(None);
            }
            self.args
                .iter()
                .map(|p| p.eval(env, &rows[m]))
                .collect::<Result<Vec<_>>>()
                .map(Some)
        };
        let mut accumulator = (kernel.new)(&types);
        let (mut from, mut to) = (0, 0);
        let mut last: Option<Datum> = None;
        for i in 0..members.len() {
            env.exec.check_cancel()?;
            let (f, t) = self.frame(env, &rows[members[i]], i, peers)?;
            if (f, t) == (from, to)
                && let Some(value) = &last
            {
                values[members[i]] = value.clone();
                continue;
            }
            // Take rows out at the front where the aggregate can; otherwise start over.
            let mut moved = f >= from && t >= to && f <= to;
            while moved && from < f {
                if let Some(args) = args_of(members[from])? {
                    moved = accumulator.retract(&args)?;
                }
                from += 1;
            }
            if !moved {
                accumulator = (kernel.new)(&types);
                (from, to) = (f, f);
            }
            while to < t {
                if let Some(args) = args_of(members[to])? {
                    accumulator.accumulate(&args)?;
                }
                to += 1;
            }
            let value = accumulator.finish()?;
            values[members[i]] = value.clone();
            last = Some(value);
        }
        Ok(())
    }
}
