//! GROUP BY and aggregates, by hashing; grouping sets; DISTINCT and ORDER BY inside calls.

use super::sort::{Key, compare_keys, evaluate};
use super::{Cursor, Held, Op, Operator, Row};
use crate::eval::{Env, Program};
use crate::order;
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
    fn fresh(&self) -> State {
        State {
            accumulator: (self.function.new)(&CallTypes {
                args: &self.arg_types,
                ret: self.ret,
            }),
            seen: HashSet::new(),
            held: Vec::new(),
        }
    }
}

/// One call's state in one group.
struct State {
    accumulator: Box<dyn Accumulator>,
    /// Keys of arguments taken, with DISTINCT.
    seen: HashSet<Vec<u8>>,
    /// (sort keys, arguments), with ORDER BY.
    held: Vec<(Vec<Datum>, Vec<Datum>)>,
}

impl State {
    fn take(&mut self, call: &Call, env: Env<'_>, row: &[Datum]) -> Result<()> {
        if let Some(filter) = &call.filter
            && !filter.holds(env, row)?
        {
            return Ok(());
        }
        let args = call.args.iter().map(|a| a.eval(env, row)).collect::<Result<Vec<_>>>()?;
        if call.distinct {
            let key = order::typed_key(&call.arg_types, &args);
            env.exec.charge(key.len() + 48)?;
            if !self.seen.insert(key) {
                return Ok(());
            }
        }
        if call.order_by.is_empty() {
            return self.accumulator.accumulate(&args);
        }
        let keys = evaluate(&call.order_by, env, row)?;
        env.exec.charge(order::row_bytes(&keys) + order::row_bytes(&args))?;
        self.held.push((keys, args));
        Ok(())
    }

    fn finish(mut self, call: &Call) -> Result<Datum> {
        self.held.sort_by(|a, b| compare_keys(&call.order_by, &a.0, &b.0));
        for (_, args) in &self.held {
            self.accumulator.accumulate(args)?;
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

impl Operator for Aggregate {
    fn columns(&self) -> &[RelColumn] {
        &self.columns
    }
    fn open(self: Arc<Self>, env: Env<'_>) -> Result<Box<dyn Cursor>> {
        let all: Vec<usize> = (0..self.groups.len()).collect();
        let sets: Vec<Vec<usize>> = self.sets.clone().unwrap_or_else(|| vec![all]);
        // Groups in order of their first row.
        let mut groups: Vec<Group> = Vec::new();
        let mut index: HashMap<Vec<u8>, usize> = HashMap::new();
        let mut sizes = 0usize;
        let mut input = self.input.clone().open(env)?;
        while let Some(row) = input.next(env)? {
            env.exec.check_cancel()?;
            let values = self.groups.iter().map(|p| p.eval(env, &row)).collect::<Result<Row>>()?;
            for (n, set) in sets.iter().enumerate() {
                let mut key = vec![n as u8, (n >> 8) as u8];
                set.iter()
                    .for_each(|i| order::write_key(self.group_types[*i].oid, &values[*i], &mut key));
                let at = match index.get(&key) {
                    Some(at) => *at,
                    None => {
                        let values: Row = values
                            .iter()
                            .enumerate()
                            .map(|(i, v)| if set.contains(&i) { v.clone() } else { Datum::Null })
                            .collect();
                        env.exec
                            .charge(key.len() + order::row_bytes(&values) + 128 + 64 * self.calls.len())?;
                        index.insert(key, groups.len());
                        groups.push(Group {
                            values,
                            states: self.calls.iter().map(Call::fresh).collect(),
                        });
                        groups.len() - 1
                    }
                };
                for (call, state) in self.calls.iter().zip(&mut groups[at].states) {
                    let before = state.accumulator.size();
                    state.take(call, env, &row)?;
                    sizes += state.accumulator.size().saturating_sub(before);
                }
                if sizes > 1 << 16 {
                    env.exec.charge(std::mem::take(&mut sizes))?;
                }
            }
        }
        // An empty set has a row even when there is none to group.
        for (n, set) in sets.iter().enumerate().filter(|(_, s)| s.is_empty()) {
            if !index.contains_key(&vec![n as u8, (n >> 8) as u8]) {
                let values = vec![Datum::Null; self.groups.len()];
                debug_assert!(set.is_empty());
                groups.push(Group {
                    values,
                    states: self.calls.iter().map(Call::fresh).collect(),
                });
            }
        }
        let rows = groups
            .into_iter()
            .map(|g| {
                let mut row = g.values;
                for (state, call) in g.states.into_iter().zip(&self.calls) {
                    row.push(state.finish(call)?);
                }
                Ok(row)
            })
            .collect::<Result<Vec<Row>>>()?;
        Ok(Box::new(Held(rows.into_iter())))
    }
    fn describe(&self) -> String {
        let names: Vec<&str> = self.calls.iter().map(|c| c.name).collect();
        format!(
            "{} ({})",
            if self.groups.is_empty() { "Aggregate" } else { "HashAggregate" },
            names.join(", ")
        )
    }
    fn inputs(&self) -> Vec<Arc<Op>> {
        vec![self.input.clone()]
    }
}
