//! Set-returning functions, in FROM and in select lists.

use super::{Cursor, Op, Operator, Row};
use crate::eval::{Env, Program};
use crate::registry;
use curia_bind::ir::RelColumn;
use curia_functions::{CallTypes, Function, Kernel, Rows};
use curia_types::{Datum, PgType, Result, SqlError, oid, type_info};
use std::sync::Arc;

/// Arguments with their types.
type Typed = Vec<(Program, PgType)>;

/// A set-returning function in FROM; a plain function gives one row.
pub struct FunctionScan {
    call: SetCall,
    columns: Vec<RelColumn>,
    ordinality: bool,
    /// Columns without the ordinality.
    width: usize,
    /// The function returns rows of one value each, which spread over the columns.
    spreads: bool,
}

/// A call that gives rows.
struct SetCall {
    function: &'static Function,
    args: Vec<Program>,
    types: Vec<PgType>,
    ret: PgType,
}

impl SetCall {
    fn open(&self, env: Env<'_>, row: &[Datum]) -> Result<Rows> {
        let args = self.args.iter().map(|a| a.eval(env, row)).collect::<Result<Vec<_>>>()?;
        if self.function.strict && args.iter().any(Datum::is_null) {
            return Ok(match self.function.kernel {
                Kernel::Set(_) => Box::new(std::iter::empty()),
                _ => Box::new(std::iter::once(Ok(vec![Datum::Null]))),
            });
        }
        let types = CallTypes {
            args: &self.types,
            ret: self.ret,
        };
        match self.function.kernel {
            Kernel::Set(f) => f(&*env.exec.context, &types, &args),
            kernel => {
                let value = kernel.call(self.function.oid, &*env.exec.context, &types, &args)?;
                Ok(Box::new(std::iter::once(Ok(vec![value]))))
            }
        }
    }
}

impl FunctionScan {
    pub fn new(function: u32, args: Typed, columns: &[RelColumn], ordinality: Option<&RelColumn>) -> Result<FunctionScan> {
        let (args, types): (_, Vec<PgType>) = args.into_iter().unzip();
        let ret = columns.first().map_or(PgType::VOID, |c| c.ty);
        let function = registry::function(function)?;
        let is_row = |ty: &PgType| type_info::physical(type_info::element_of(ty.oid).unwrap_or(ty.oid)) == oid::RECORD;
        let spreads = match function.ret {
            oid::RECORD => function.columns.is_empty(),
            oid::ANYELEMENT => types.first().is_some_and(is_row),
            ret => type_info::is_composite(ret),
        };
        let call = SetCall {
            function,
            args,
            types,
            ret,
        };
        Ok(FunctionScan {
            call,
            columns: columns.iter().chain(ordinality).cloned().collect(),
            ordinality: ordinality.is_some(),
            width: columns.len(),
            spreads,
        })
    }
}

impl Operator for FunctionScan {
    fn columns(&self) -> &[RelColumn] {
        &self.columns
    }
    fn open(self: Arc<Self>, env: Env<'_>) -> Result<Box<dyn Cursor>> {
        let rows = self.call.open(env, &[])?;
        Ok(Box::new(FunctionCursor { op: self, rows, count: 0 }))
    }
    fn describe(&self) -> String {
        format!("Function Scan on {}", self.call.function.name)
    }
}

struct FunctionCursor {
    op: Arc<FunctionScan>,
    rows: Rows,
    count: i64,
}

impl Cursor for FunctionCursor {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Row>> {
        env.exec.check_cancel()?;
        let Some(row) = self.rows.next() else { return Ok(None) };
        let mut row = row?;
        // A record in one value spreads over the columns.
        if self.op.spreads || self.op.width != row.len() {
            row = match row.as_slice() {
                [Datum::Record(fields)] if fields.len() == self.op.width => fields.iter().map(|(_, d)| d.clone()).collect(),
                [Datum::Null] => vec![Datum::Null; self.op.width],
                _ => return Err(SqlError::internal("a function returned rows of another width")),
            };
        }
        self.count += 1;
        if self.op.ordinality {
            row.push(Datum::Int8(self.count));
        }
        Ok(Some(row))
    }
}

/// Set-returning functions of a select list: they advance together; those that end early give NULL until the longest ends.
pub struct ProjectSet {
    input: Arc<Op>,
    calls: Vec<SetCall>,
    columns: Vec<RelColumn>,
}

impl ProjectSet {
    pub fn new(input: Arc<Op>, calls: Vec<(RelColumn, u32, Typed)>) -> Result<ProjectSet> {
        let mut columns: Vec<RelColumn> = input.columns().to_vec();
        let mut sets = Vec::new();
        for (column, function, args) in calls {
            let (args, types) = args.into_iter().unzip();
            sets.push(SetCall {
                function: registry::function(function)?,
                args,
                types,
                ret: column.ty,
            });
            columns.push(column);
        }
        Ok(ProjectSet {
            input,
            calls: sets,
            columns,
        })
    }
}

impl Operator for ProjectSet {
    fn columns(&self) -> &[RelColumn] {
        &self.columns
    }
    fn open(self: Arc<Self>, env: Env<'_>) -> Result<Box<dyn Cursor>> {
        let input = self.input.clone().open(env)?;
        Ok(Box::new(ProjectSetCursor {
            op: self,
            input,
            current: None,
        }))
    }
    fn describe(&self) -> String {
        "ProjectSet".into()
    }
    fn inputs(&self) -> Vec<Arc<Op>> {
        vec![self.input.clone()]
    }
}

struct ProjectSetCursor {
    op: Arc<ProjectSet>,
    input: Box<dyn Cursor>,
    current: Option<(Row, Vec<Rows>)>,
}

impl Cursor for ProjectSetCursor {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Row>> {
        let op = self.op.clone();
        loop {
            env.exec.check_cancel()?;
            let (row, sets) = match &mut self.current {
                Some(c) => c,
                None => {
                    let Some(row) = self.input.next(env)? else { return Ok(None) };
                    let sets = op.calls.iter().map(|c| c.open(env, &row)).collect::<Result<Vec<_>>>()?;
                    self.current.insert((row, sets))
                }
            };
            let mut out = row.clone();
            let mut any = false;
            for (set, call) in sets.iter_mut().zip(&op.calls) {
                out.push(match set.next() {
                    None => Datum::Null,
                    Some(values) => {
                        any = true;
                        let mut values = values?;
                        if values.len() == 1 {
                            values.remove(0)
                        } else {
                            let types = call.function.columns.iter().map(|(_, t)| PgType { oid: *t, typmod: -1 });
                            Datum::record(types.zip(values).collect())
                        }
                    }
                });
            }
            if any {
                return Ok(Some(out));
            }
            self.current = None;
        }
    }
}
