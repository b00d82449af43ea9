//! Apply: a subquery inside an expression, run for the values it takes from the enclosing row and remembered by them.

use super::run::{all, boolean, call};
use super::{Env, Subquery, Use};
use crate::order;
use crate::rows::{Cursor, Row};
use crate::spill::Hold;
use curia_types::{Datum, Result, SqlError, SqlState};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Remembered results of one subquery within one statement, by captured values.
#[derive(Default)]
pub(crate) struct Memo {
    entries: HashMap<Vec<u8>, Remembered>,
}

/// Results that one subquery remembers; at the limit the memo starts over.
const MEMO_ENTRIES: usize = 10_000;

#[derive(Clone)]
enum Remembered {
    Value(Datum),
    /// The first column of all rows.
    Column(Arc<(Vec<Datum>, Hold)>),
    /// Keys of the first column.
    Set(Arc<Set>),
}

struct Set {
    keys: HashSet<Vec<u8>>,
    has_null: bool,
    _hold: Hold,
}

impl Subquery {
    pub(crate) fn eval(&self, env: Env<'_>, row: &[Datum]) -> Result<Datum> {
        let frame = all(&self.captures, env, row)?;
        let key = order::row_key(&frame);
        let known = if self.stable {
            env.exec.memo(self.id, |m| m.entries.get(&key).cloned())
        } else {
            None
        };
        let remembered = match known {
            Some(r) => r,
            None => {
                let r = self.run(Env {
                    exec: env.exec,
                    frame: &frame,
                })?;
                if self.stable {
                    env.exec.memo(self.id, |m| {
                        if m.entries.len() >= MEMO_ENTRIES {
                            m.entries.clear();
                        }
                        m.entries.insert(key, r.clone());
                    });
                }
                r
            }
        };
        match (&self.kind, remembered) {
            (_, Remembered::Value(d)) => Ok(d),
            (Use::Compare { arg, .. }, Remembered::Set(set)) => {
                let x = arg.eval(env, row)?;
                Ok(if set.keys.is_empty() && !set.has_null {
                    Datum::Bool(false)
                } else if x.is_null() {
                    Datum::Null
                } else if set.keys.contains(&order::key_of(&x)) {
                    Datum::Bool(true)
                } else if set.has_null {
                    Datum::Null
                } else {
                    Datum::Bool(false)
                })
            }
            (Use::Compare { arg, function, all, .. }, Remembered::Column(values)) => {
                let x = arg.eval(env, row)?;
                let mut result = Some(*all);
                for v in &values.0 {
                    match call(function, env, &[x.clone(), v.clone()])? {
                        Datum::Bool(b) if b != *all => return Ok(Datum::Bool(b)),
                        Datum::Bool(_) => {}
                        _ => result = None,
                    }
                }
                Ok(boolean(result))
            }
            _ => Err(SqlError::internal("a subquery remembered rows of another shape")),
        }
    }

    fn run(&self, env: Env<'_>) -> Result<Remembered> {
        let mut cursor = self.plan.clone().open(env)?;
        Ok(match &self.kind {
            Use::Exists => Remembered::Value(Datum::Bool(cursor.next(env)?.is_some())),
            Use::Scalar => {
                let first = cursor.next(env)?.map_or(Datum::Null, first_column);
                if cursor.next(env)?.is_some() {
                    return Err(SqlError::new(
                        SqlState::CARDINALITY_VIOLATION,
                        "more than one row returned by a subquery used as an expression",
                    ));
                }
                Remembered::Value(first)
            }
            Use::Array { element } => {
                let (elements, _hold) = column(&mut *cursor, env)?;
                if elements.iter().any(|e| matches!(e, Datum::Array(_))) {
                    return Ok(Remembered::Value(super::run::array(elements, *element, true)?));
                }
                Remembered::Value(Datum::list(*element, elements))
            }
            Use::Compare { hashable: true, .. } => {
                let (mut keys, mut has_null, mut hold) = (HashSet::new(), false, Hold::new(&env.exec.room));
                while let Some(row) = cursor.next(env)? {
                    match first_column(row) {
                        Datum::Null => has_null = true,
                        value => {
                            let key = order::key_of(&value);
                            let bytes = key.len() + 48;
                            if keys.insert(key) {
                                hold.must_fit(bytes)?;
                            }
                        }
                    }
                }
                Remembered::Set(Arc::new(Set {
                    keys,
                    has_null,
                    _hold: hold,
                }))
            }
            Use::Compare { .. } => Remembered::Column(Arc::new(column(&mut *cursor, env)?)),
        })
    }
}

fn first_column(row: Row) -> Datum {
    row.into_iter().next().unwrap_or(Datum::Null)
}

fn column(cursor: &mut dyn Cursor, env: Env<'_>) -> Result<(Vec<Datum>, Hold)> {
    let (mut out, mut hold) = (Vec::new(), Hold::new(&env.exec.room));
    while let Some(row) = cursor.next(env)? {
        let value = first_column(row);
        hold.must_fit(order::row_bytes(std::slice::from_ref(&value)))?;
        out.push(value);
    }
    Ok((out, hold))
}
