//! Window functions: for each call the rows are sorted by partition and order, and the call computed over its frames.
//!
//! Sorting spills. What depends on earlier rows only (ranks, running aggregates) is computed as rows pass; for anything else one partition's
//! rows are held together.

use super::compile::{Compiler, Frame};
use super::in_range::{RangeBound, Side};
use super::sort::{Key, evaluate, same};
use super::{Cursor, Op, Operator, Row};
use crate::eval::{Env, Program};
use crate::order;
use crate::registry;
use crate::spill::{By, Hold, Sorted, Sorter};
use curia_bind::ir::{FrameBound, FrameExclude, FrameUnit, RelColumn, WindowCall};
use curia_functions::{Accumulator, AggregateKernel, CallTypes, Kernel, WindowFunction};
use curia_types::{Datum, PgType, Result, SqlError, SqlState};
use std::ops::Range;
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
    partition: Vec<Key>,
    order: Vec<Key>,
    frame: Option<(FrameUnit, Bound, Bound)>,
    exclude: Option<FrameExclude>,
}

/// A partition that is held: its rows, the number of each one's peer group, and the keys that RANGE offsets are added to.
struct Partition<'a> {
    rows: &'a [Row],
    peers: &'a [usize],
    keys: Vec<Datum>,
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
            let partition = call
                .partition_by
                .iter()
                .map(|e| {
                    Ok(Key {
                        program: program(e)?,
                        by: By::ascending(e.ty),
                    })
                })
                .collect::<Result<_>>()?;
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
                exclude: call.frame.as_ref().and_then(|f| f.exclude),
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
        let mut rows = self.input.clone().open(env)?;
        for (n, call) in self.calls.iter().enumerate() {
            let by: Vec<By> = call.partition.iter().chain(&call.order).map(|k| k.by).collect();
            let mut sorter = Sorter::as_postgresql(&env.exec.room, by.clone());
            while let Some(row) = rows.next(env)? {
                let mut keys = evaluate(&call.partition, env, &row)?;
                keys.extend(evaluate(&call.order, env, &row)?);
                sorter.push(keys, row)?;
            }
            rows = Box::new(WindowCursor {
                op: self.clone(),
                call: n,
                by,
                sorted: sorter.finish()?,
                ahead: None,
                running: None,
                done: Vec::new().into_iter(),
                hold: Hold::new(&env.exec.room),
            });
        }
        Ok(rows)
    }
    fn describe(&self) -> String {
        let names: Vec<&str> = self.calls.iter().map(|c| c.name).collect();
        format!("WindowAgg ({})", names.join(", "))
    }
    fn inputs(&self) -> Vec<Arc<Op>> {
        vec![self.input.clone()]
    }
}

/// One call over its sorted rows, a partition at a time.
struct WindowCursor {
    op: Arc<Window>,
    /// Position among the calls.
    call: usize,
    /// The order of the rows: partition, then order.
    by: Vec<By>,
    sorted: Sorted,
    /// The first row of the next partition, with its keys.
    ahead: Option<(Vec<Datum>, Row)>,
    /// What is known of the partition's earlier rows, where that is all that the call needs.
    running: Option<Running>,
    /// Rows with the call's value.
    done: std::vec::IntoIter<Row>,
    hold: Hold,
}

impl Cursor for WindowCursor {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Row>> {
        if let Some(row) = self.done.next() {
            return Ok(Some(row));
        }
        self.hold.clear();
        let op = self.op.clone();
        let call = &op.calls[self.call];
        let (partition, order) = self.by.split_at(call.partition.len());
        let first = match self.ahead.take() {
            Some(first) => Some(first),
            None => self.sorted.next_keyed(env)?,
        };
        let Some((mut keys, row)) = first else { return Ok(None) };
        let mut rows = vec![row];
        let reach = call.reach();
        if reach != Reach::Partition {
            while reach == Reach::Peers
                && let Some((next, row)) = self.sorted.next_keyed(env)?
            {
                if !same(&self.by, &keys, &next) {
                    self.ahead = Some((next, row));
                    break;
                }
                self.hold.must_fit(order::row_bytes(&row))?;
                rows.push(row);
            }
            let running = match &mut self.running {
                Some(r) if same(partition, &r.keys, &keys) => r,
                _ => self.running.insert(Running::new(call, env)),
            };
            let is_peer = running.rows > 0 && same(order, &running.keys[partition.len()..], &keys[partition.len()..]);
            running.keys = keys;
            let value = running.advance(call, env, is_peer, &rows)?;
            rows.iter_mut().for_each(|row| row.push(value.clone()));
            self.done = rows.into_iter();
            return Ok(self.done.next());
        }
        // The number of the peer group of each row.
        let mut peers = vec![0];
        while let Some((next, row)) = self.sorted.next_keyed(env)? {
            if !same(partition, &keys, &next) {
                self.ahead = Some((next, row));
                break;
            }
            self.hold.must_fit(order::row_bytes(&row) + 32)?;
            let is_peer = same(order, &keys[partition.len()..], &next[partition.len()..]);
            peers.push(peers[rows.len() - 1] + usize::from(!is_peer));
            rows.push(row);
            keys = next;
        }
        let mut values = vec![Datum::Null; rows.len()];
        let partition = Partition {
            rows: &rows,
            peers: &peers,
            keys: call.range_keys(env, &rows)?,
        };
        call.partition(env, &partition, &mut values)?;
        for (row, value) in rows.iter_mut().zip(values) {
            row.push(value);
        }
        self.done = rows.into_iter();
        Ok(self.done.next())
    }
}

/// The rows that a call's value for one row needs, apart from earlier ones.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    Row,
    Peers,
    Partition,
}

/// What the rows of a partition up to one of them come to.
struct Running {
    /// The last row's keys.
    keys: Vec<Datum>,
    rows: i64,
    rank: i64,
    dense_rank: i64,
    accumulator: Option<Box<dyn Accumulator>>,
}

impl Running {
    fn new(call: &Call, env: Env<'_>) -> Running {
        let accumulator = match call.kernel {
            Kernel::Aggregate(kernel) => Some(call.accumulator(kernel, env)),
            _ => None,
        };
        Running {
            keys: Vec::new(),
            rows: 0,
            rank: 0,
            dense_rank: 0,
            accumulator,
        }
    }

    /// The call's value for these rows, the next ones of the partition.
    fn advance(&mut self, call: &Call, env: Env<'_>, is_peer: bool, rows: &[Row]) -> Result<Datum> {
        if !is_peer {
            self.rank = self.rows + 1;
            self.dense_rank += 1;
        }
        self.rows += rows.len() as i64;
        let Some(accumulator) = &mut self.accumulator else {
            return Ok(Datum::Int8(match call.kernel {
                Kernel::Window(WindowFunction::Rank) => self.rank,
                Kernel::Window(WindowFunction::DenseRank) => self.dense_rank,
                _ => self.rows,
            }));
        };
        for row in rows {
            if let Some(args) = call.aggregated(env, row)? {
                accumulator.accumulate(&args)?;
            }
        }
        accumulator.finish()
    }
}

impl Call {
    fn reach(&self) -> Reach {
        use WindowFunction::{DenseRank, Rank, RowNumber};
        match (self.kernel, &self.frame) {
            (Kernel::Window(RowNumber | Rank | DenseRank), _) => Reach::Row,
            _ if self.exclude.is_some() => Reach::Partition,
            (Kernel::Aggregate(_), Some((FrameUnit::Rows, Bound::UnboundedPreceding, Bound::CurrentRow))) => Reach::Row,
            (Kernel::Aggregate(_), Some((_, Bound::UnboundedPreceding, Bound::CurrentRow)) | None) => Reach::Peers,
            _ => Reach::Partition,
        }
    }

    fn call_types(&self) -> CallTypes<'_> {
        CallTypes {
            args: &self.types,
            ret: self.ret,
        }
    }

    /// An aggregate's arguments from a row; `None` when FILTER leaves it out.
    fn aggregated(&self, env: Env<'_>, row: &Row) -> Result<Option<Vec<Datum>>> {
        if let Some(f) = &self.filter
            && !f.holds(env, row)?
        {
            return Ok(None);
        }
        self.args.iter().map(|p| p.eval(env, row)).collect::<Result<Vec<_>>>().map(Some)
    }

    fn arg(&self, i: usize, env: Env<'_>, row: &Row) -> Result<Datum> {
        self.args.get(i).map_or(Ok(Datum::Null), |p| p.eval(env, row))
    }

    /// The keys of rows, if a bound of the frame is a RANGE with an offset.
    fn range_keys(&self, env: Env<'_>, rows: &[Row]) -> Result<Vec<Datum>> {
        let offset = |b: &Bound| matches!(b, Bound::Preceding(_) | Bound::Following(_));
        match (&self.frame, self.order.first()) {
            (Some((FrameUnit::Range, start, end)), Some(key)) if offset(start) || offset(end) => {
                rows.iter().map(|row| key.program.eval(env, row)).collect()
            }
            _ => Ok(Vec::new()),
        }
    }

    fn partition(&self, env: Env<'_>, partition: &Partition<'_>, values: &mut [Datum]) -> Result<()> {
        let Partition { rows, peers, .. } = *partition;
        let n = rows.len();
        let first_peer = |i: usize| peers.partition_point(|p| *p < peers[i]);
        let after_peers = |i: usize| peers.partition_point(|p| *p <= peers[i]);
        let function = match self.kernel {
            Kernel::Window(f) => f,
            Kernel::Aggregate(_) => return self.aggregate(env, partition, values),
            _ => return Err(SqlError::unsupported(format!("{}() as a window function", self.name))),
        };
        for i in 0..n {
            let row = &rows[i];
            values[i] = match function {
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
                            match usize::try_from(at).ok().and_then(|at| rows.get(at)) {
                                Some(row) => self.arg(0, env, row)?,
                                None => self.arg(2, env, row)?,
                            }
                        }
                    }
                }
                WindowFunction::FirstValue | WindowFunction::LastValue | WindowFunction::NthValue => {
                    let frame = self.pieces(i, peers, self.frame(env, i, partition)?);
                    let at = match function {
                        WindowFunction::FirstValue => frame.first().map(|p| p.start),
                        WindowFunction::LastValue => frame.last().map(|p| p.end - 1),
                        _ => match order::integer(&self.arg(1, env, row)?) {
                            None => None,
                            Some(k) if k <= 0 => {
                                return Err(SqlError::new(
                                    SqlState::new("22016"),
                                    "argument of nth_value must be greater than zero",
                                ));
                            }
                            Some(k) => frame.iter().cloned().flatten().nth(usize::try_from(k - 1).unwrap_or(usize::MAX)),
                        },
                    };
                    match at {
                        Some(at) => self.arg(0, env, &rows[at])?,
                        None => Datum::Null,
                    }
                }
            };
        }
        Ok(())
    }

    /// The frame of row `i` of a partition: from, to (exclusive).
    fn frame(&self, env: Env<'_>, i: usize, partition: &Partition<'_>) -> Result<(usize, usize)> {
        let Partition { rows, peers, .. } = *partition;
        let (row, n) = (&rows[i], peers.len());
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
        if let (FrameUnit::Range, [key]) = (*unit, self.order.as_slice())
            && !partition.keys.is_empty()
        {
            let reach = |program: &Program, preceding: bool, side: Side| -> Result<usize> {
                let offset = program.eval(env, row)?;
                if offset.is_null() {
                    let what = if side == Side::Start { "starting" } else { "ending" };
                    let message = format!("frame {what} offset must not be null");
                    return Err(SqlError::new(SqlState::new("22004"), message));
                }
                let bound = RangeBound {
                    key,
                    current: &partition.keys[i],
                    offset: &offset,
                    preceding,
                    side,
                };
                bound.rows_before(&partition.keys, env.exec.context.io())
            };
            let from = match start {
                Bound::UnboundedPreceding => 0,
                Bound::UnboundedFollowing => n,
                Bound::CurrentRow => first_peer(peers[i]),
                Bound::Preceding(p) => reach(p, true, Side::Start)?,
                Bound::Following(p) => reach(p, false, Side::Start)?,
            };
            let to = match end {
                Bound::UnboundedPreceding => 0,
                Bound::UnboundedFollowing => n,
                Bound::CurrentRow => after_group(peers[i]),
                Bound::Preceding(p) => reach(p, true, Side::End)?,
                Bound::Following(p) => reach(p, false, Side::End)?,
            };
            return Ok((from, to.max(from)));
        }
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

    fn accumulator(&self, kernel: &AggregateKernel, env: Env<'_>) -> Box<dyn Accumulator> {
        let mut accumulator = (kernel.new)(&self.call_types());
        accumulator.in_session(&*env.exec.context);
        accumulator
    }

    /// A frame without what EXCLUDE leaves out of it: at most three pieces, none empty.
    fn pieces(&self, i: usize, peers: &[usize], (from, to): (usize, usize)) -> Vec<Range<usize>> {
        let group = || peers.partition_point(|p| *p < peers[i])..peers.partition_point(|p| *p <= peers[i]);
        let out = match self.exclude {
            None => to..to,
            Some(FrameExclude::CurrentRow) => i..i + 1,
            Some(FrameExclude::Group | FrameExclude::Ties) => group(),
        };
        let kept = if self.exclude == Some(FrameExclude::Ties) { i..i + 1 } else { i..i };
        let within = |r: Range<usize>| r.start.clamp(from, to)..r.end.clamp(from, to);
        [from..out.start, kept, out.end..to]
            .into_iter()
            .map(within)
            .filter(|r| !r.is_empty())
            .collect()
    }

    /// An aggregate over frames with EXCLUDE: each from its own rows.
    fn aggregate_pieces(&self, env: Env<'_>, partition: &Partition<'_>, values: &mut [Datum]) -> Result<()> {
        let Kernel::Aggregate(kernel) = self.kernel else { return Ok(()) };
        for (i, value) in values.iter_mut().enumerate() {
            env.exec.check_cancel()?;
            let mut accumulator = self.accumulator(kernel, env);
            for at in self
                .pieces(i, partition.peers, self.frame(env, i, partition)?)
                .into_iter()
                .flatten()
            {
                if let Some(args) = self.aggregated(env, &partition.rows[at])? {
                    accumulator.accumulate(&args)?;
                }
            }
            *value = accumulator.finish()?;
        }
        Ok(())
    }

    fn aggregate(&self, env: Env<'_>, partition: &Partition<'_>, values: &mut [Datum]) -> Result<()> {
        if self.exclude.is_some() {
            return self.aggregate_pieces(env, partition, values);
        }
        let rows = partition.rows;
        let Kernel::Aggregate(kernel) = self.kernel else { return Ok(()) };
        let mut accumulator = self.accumulator(kernel, env);
        let (mut from, mut to) = (0, 0);
        let mut last: Option<Datum> = None;
        for (i, result) in values.iter_mut().enumerate() {
            env.exec.check_cancel()?;
            let (f, t) = self.frame(env, i, partition)?;
            if (f, t) == (from, to)
                && let Some(value) = &last
            {
                *result = value.clone();
                continue;
            }
            // Take rows out at the front where the aggregate can; otherwise start over.
            let mut moved = f >= from && t >= to && f <= to;
            while moved && from < f {
                if let Some(args) = self.aggregated(env, &rows[from])? {
                    moved = accumulator.retract(&args)?;
                }
                from += 1;
            }
            if !moved {
                accumulator = self.accumulator(kernel, env);
                (from, to) = (f, f);
            }
            while to < t {
                if let Some(args) = self.aggregated(env, &rows[to])? {
                    accumulator.accumulate(&args)?;
                }
                to += 1;
            }
            let value = accumulator.finish()?;
            *result = value.clone();
            last = Some(value);
        }
        Ok(())
    }
}
