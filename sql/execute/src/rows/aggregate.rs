//! GROUP BY and aggregates; grouping sets; DISTINCT and ORDER BY inside calls.
//!
//! Groups are hashed. Rows of groups for which there is no room wait in a sorter by group, and are aggregated group after group when the
//! input is at its end. Where the state of a group grows with its rows (DISTINCT, ORDER BY, `array_agg`) all rows go that way, so that
//! one group's state is held at a time.

use super::sort::{Key, evaluate, same};
use super::{Cursor, Op, Operator, Row};
use crate::eval::{Env, Program};
use crate::order;
use crate::spill::{By, Hold, Sorted, Sorter};
use curia_bind::ir::RelColumn;
use curia_functions::{Accumulator, AggregateKernel, CallTypes};
use curia_types::{Datum, PgType, Result};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// An aggregate call.
pub struct Call {
    pub function: &'static AggregateKernel,
    pub name: &'static str,
    pub args: Vec<Program>,
    pub arg_types: Vec<PgType>,
    pub ret: PgType,
    pub distinct: bool,
    pub order_by: Vec<Key>,
    pub filter: Option<Program>,
}

impl Call {
    fn fresh(&self, env: Env<'_>) -> State {
        let ordered = (self.distinct || !self.order_by.is_empty()).then(|| {
            let types = self.arg_types.iter().filter(|_| self.distinct);
            let by: Vec<By> = self.order_by.iter().map(|k| k.by).chain(types.map(|t| By::ascending(*t))).collect();
            Box::new(Ordered {
                sorter: Sorter::new(&env.exec.room, by.clone()),
                by,
                seen: HashSet::new(),
                hold: Hold::new(&env.exec.room),
            })
        });
        let mut accumulator = (self.function.new)(&CallTypes {
            args: &self.arg_types,
            ret: self.ret,
        });
        accumulator.in_session(&*env.exec.context);
        State { accumulator, ordered }
    }

    /// Whether a group's state grows with its rows.
    fn grows(&self) -> bool {
        self.distinct || !self.order_by.is_empty() || self.function.ordered
    }
}

/// One call's state in one group.
struct State {
    accumulator: Box<dyn Accumulator>,
    /// Arguments that wait to be put in order.
    ordered: Option<Box<Ordered>>,
}

/// Arguments of a call with DISTINCT or ORDER BY. DISTINCT puts equal arguments side by side: PostgreSQL allows ORDER BY only over the
/// arguments then.
struct Ordered {
    sorter: Sorter,
    by: Vec<By>,
    /// Keys of arguments taken, with DISTINCT, as far as there was room: these need not be taken again.
    seen: HashSet<Vec<u8>>,
    hold: Hold,
}

impl State {
    fn take(&mut self, call: &Call, env: Env<'_>, row: &[Datum]) -> Result<()> {
        if let Some(filter) = &call.filter
            && !filter.holds(env, row)?
        {
            return Ok(());
        }
        let args = call.args.iter().map(|a| a.eval(env, row)).collect::<Result<Vec<_>>>()?;
        let Some(ordered) = &mut self.ordered else {
            return self.accumulator.accumulate(&args);
        };
        let mut keys = evaluate(&call.order_by, env, row)?;
        if call.distinct {
            let key = order::typed_key(&call.arg_types, &args);
            if ordered.seen.contains(&key) {
                return Ok(());
            }
            if ordered.hold.fits(key.len() + 48) {
                ordered.seen.insert(key);
            }
            keys.extend(args.iter().cloned());
        }
        ordered.sorter.push(keys, args)
    }

    fn finish(mut self, call: &Call, env: Env<'_>) -> Result<Datum> {
        if let Some(ordered) = self.ordered {
            let mut last: Option<Vec<Datum>> = None;
            let mut rows = ordered.sorter.finish()?;
            while let Some((keys, args)) = rows.next_keyed(env)? {
                if call.distinct && last.as_ref().is_some_and(|last| same(&ordered.by, last, &keys)) {
                    continue;
                }
                self.accumulator.accumulate(&args)?;
                last = Some(keys);
            }
        }
        self.accumulator.finish()
    }
}

/// GROUP BY.
pub struct Aggregate {
    pub input: Arc<Op>,
    pub groups: Vec<Program>,
    pub group_types: Vec<PgType>,
    pub sets: Option<Vec<Vec<usize>>>,
    pub calls: Vec<Call>,
    pub columns: Vec<RelColumn>,
}

/// A group: its values and the calls' states.
struct Group {
    values: Row,
    states: Vec<State>,
}

impl Group {
    fn new(op: &Aggregate, env: Env<'_>, values: Row) -> Group {
        Group {
            values,
            states: op.calls.iter().map(|c| c.fresh(env)).collect(),
        }
    }

    fn take(&mut self, op: &Aggregate, env: Env<'_>, row: &Row, hold: &mut Hold) -> Result<()> {
        let mut grown = 0;
        for (call, state) in op.calls.iter().zip(&mut self.states) {
            let before = state.accumulator.size();
            state.take(call, env, row)?;
            grown += state.accumulator.size().saturating_sub(before);
        }
        if grown > 0 { hold.must_fit(grown) } else { Ok(()) }
    }

    fn finish(self, op: &Aggregate, env: Env<'_>) -> Result<Row> {
        let mut row = self.values;
        for (state, call) in self.states.into_iter().zip(&op.calls) {
            row.push(state.finish(call, env)?);
        }
        Ok(row)
    }
}

impl Aggregate {
    /// The order of rows that wait: number of the grouping set, then the group's values.
    fn by(&self) -> Vec<By> {
        let types = self.group_types.iter().map(|t| By::ascending(*t));
        [By::ascending(PgType::INT4)].into_iter().chain(types).collect()
    }
}

impl Operator for Aggregate {
    fn columns(&self) -> &[RelColumn] {
        &self.columns
    }
    fn open(self: Arc<Self>, env: Env<'_>) -> Result<Box<dyn Cursor>> {
        let all: Vec<usize> = (0..self.groups.len()).collect();
        let sets: Vec<Vec<usize>> = self.sets.clone().unwrap_or_else(|| vec![all]);
        let grows = self.calls.iter().any(Call::grows);
        let mut wait: Option<Sorter> = None;
        // Groups in order of their first row.
        let mut groups: Vec<Group> = Vec::new();
        let mut index: HashMap<Vec<u8>, usize> = HashMap::new();
        let mut hold = Hold::new(&env.exec.room);
        let mut input = self.input.clone().open(env)?;
        let mut any = false;
        while let Some(row) = input.next(env)? {
            env.exec.check_cancel()?;
            any = true;
            let values = self.groups.iter().map(|p| p.eval(env, &row)).collect::<Result<Row>>()?;
            for (n, set) in sets.iter().enumerate() {
                let mut key = vec![n as u8, (n >> 8) as u8];
                set.iter()
                    .for_each(|i| order::write_key(self.group_types[*i].oid, &values[*i], &mut key));
                let known = index.get(&key).copied();
                let values = || -> Row {
                    let value = |(i, v): (usize, &Datum)| if set.contains(&i) { v.clone() } else { Datum::Null };
                    values.iter().enumerate().map(value).collect()
                };
                let at = match known {
                    Some(at) => at,
                    None => {
                        let values = values();
                        let size = key.len() + order::row_bytes(&values) + 128 + 64 * self.calls.len();
                        // An empty set has one group: its rows need not wait for others.
                        if !set.is_empty() && (grows || wait.is_some() || !hold.fits(size)) {
                            let sorter = wait.get_or_insert_with(|| Sorter::new(&env.exec.room, self.by()));
                            let keys = [Datum::Int4(n as i32)].into_iter().chain(values).collect();
                            sorter.push(keys, row.clone())?;
                            continue;
                        }
                        index.insert(key, groups.len());
                        groups.push(Group::new(&self, env, values));
                        groups.len() - 1
                    }
                };
                groups[at].take(&self, env, &row, &mut hold)?;
            }
        }
        if !any {
            // An empty set has a row even when there is none to group.
            let empty = sets.iter().filter(|s| s.is_empty());
            groups.extend(empty.map(|_| Group::new(&self, env, vec![Datum::Null; self.groups.len()])));
        }
        Ok(Box::new(AggregateCursor {
            by: self.by(),
            op: self,
            groups: groups.into_iter(),
            hold,
            waiting: wait.map(Sorter::finish).transpose()?,
            ahead: None,
        }))
    }
    fn describe(&self) -> String {
        let names: Vec<&str> = self.calls.iter().map(|c| c.name).collect();
        let how = if self.groups.is_empty() {
            "Aggregate"
        } else if self.calls.iter().any(Call::grows) {
            "GroupAggregate"
        } else {
            "HashAggregate"
        };
        format!("{how} ({})", names.join(", "))
    }
    fn inputs(&self) -> Vec<Arc<Op>> {
        vec![self.input.clone()]
    }
}

/// The hashed groups, then those whose rows wait.
struct AggregateCursor {
    op: Arc<Aggregate>,
    by: Vec<By>,
    groups: std::vec::IntoIter<Group>,
    hold: Hold,
    waiting: Option<Sorted>,
    /// The first row of the next group, with its keys.
    ahead: Option<(Vec<Datum>, Row)>,
}

impl Cursor for AggregateCursor {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Row>> {
        let op = self.op.clone();
        if let Some(group) = self.groups.next() {
            return group.finish(&op, env).map(Some);
        }
        self.hold.clear();
        let Some(waiting) = &mut self.waiting else { return Ok(None) };
        let first = match self.ahead.take() {
            Some(first) => Some(first),
            None => waiting.next_keyed(env)?,
        };
        let Some((keys, row)) = first else { return Ok(None) };
        let mut group = Group::new(&op, env, keys[1..].to_vec());
        group.take(&op, env, &row, &mut self.hold)?;
        while let Some((next, row)) = waiting.next_keyed(env)? {
            if !same(&self.by, &keys, &next) {
                self.ahead = Some((next, row));
                break;
            }
            group.take(&op, env, &row, &mut self.hold)?;
        }
        group.finish(&op, env).map(Some)
    }
}
