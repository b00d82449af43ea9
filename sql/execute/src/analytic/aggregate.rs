//! Aggregates of the registry as DataFusion aggregates.

use super::external;
use super::groups::Groups;
use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, FieldRef};
use curia_functions::{AggregateKernel, CallTypes};
use curia_types::arrow_map::{ColumnReader, array_of, data_type};
use curia_types::{Datum, PgType};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, GroupsAccumulator, Signature, Volatility};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// An aggregate call with its types.
#[derive(Clone)]
pub(super) struct Fold {
    name: String,
    pub(super) kernel: &'static AggregateKernel,
    pub(super) types: Vec<PgType>,
    pub(super) ret: PgType,
    signature: Signature,
}

impl Fold {
    pub fn new(name: &str, kernel: &'static AggregateKernel, types: Vec<PgType>, ret: PgType) -> Fold {
        let signature = Signature::any(types.len().max(1), Volatility::Immutable);
        Fold {
            name: format!("{name}_{}_{}", ret.oid, types.len()),
            kernel,
            types,
            ret,
            signature,
        }
    }
    pub(super) fn call(&self) -> CallTypes<'_> {
        CallTypes {
            args: &self.types,
            ret: self.ret,
        }
    }
}

impl fmt::Debug for Fold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
impl PartialEq for Fold {
    fn eq(&self, other: &Fold) -> bool {
        std::ptr::eq(self.kernel, other.kernel) && self.types == other.types && self.ret == other.ret
    }
}
impl Eq for Fold {}
impl Hash for Fold {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        self.types.hash(state);
    }
}

impl AggregateUDFImpl for Fold {
    fn name(&self) -> &str {
        &self.name
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(data_type(self.ret))
    }
    fn accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Folding {
            inner: (self.kernel.new)(&self.call()),
            types: self.types.clone(),
            state: (self.kernel.state)(&self.call()),
            ret: self.ret,
        }))
    }
    fn groups_accumulator_supported(&self, _: AccumulatorArgs<'_>) -> bool {
        true
    }
    fn create_groups_accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Groups::new(self.clone())))
    }
    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let states = (self.kernel.state)(&self.call());
        Ok(states
            .into_iter()
            .enumerate()
            .map(|(i, t)| Arc::new(Field::new(format!("{}[{i}]", args.name), data_type(t), true)))
            .collect())
    }
}

/// The accumulator where there is one group.
struct Folding {
    inner: Box<dyn curia_functions::Accumulator>,
    types: Vec<PgType>,
    state: Vec<PgType>,
    ret: PgType,
}

impl fmt::Debug for Folding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("folding")
    }
}

/// Calls `f` for each row of arrays, with its number.
pub(super) fn rows(types: &[PgType], arrays: &[ArrayRef], mut f: impl FnMut(usize, &[Datum]) -> curia_types::Result<()>) -> Result<()> {
    let readers = types
        .iter()
        .zip(arrays)
        .map(|(t, a)| ColumnReader::new(*t, &**a).map_err(external))
        .collect::<Result<Vec<_>>>()?;
    let mut row = Vec::with_capacity(readers.len());
    for i in 0..arrays.first().map_or(0, |a| a.len()) {
        row.clear();
        for r in &readers {
            row.push(r.get(i).map_err(external)?);
        }
        f(i, &row).map_err(external)?;
    }
    Ok(())
}

fn scalar(ty: PgType, value: &Datum) -> Result<ScalarValue> {
    let array = array_of(ty, std::slice::from_ref(value)).map_err(external)?;
    ScalarValue::try_from_array(&array, 0)
}

impl Accumulator for Folding {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let types = self.types.clone();
        rows(&types, values, |_, row| self.inner.accumulate(row))
    }
    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let types = self.state.clone();
        rows(&types, states, |_, row| self.inner.merge(row))
    }
    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values = self.inner.state().map_err(external)?;
        self.state.iter().zip(&values).map(|(t, v)| scalar(*t, v)).collect()
    }
    fn evaluate(&mut self) -> Result<ScalarValue> {
        scalar(self.ret, &self.inner.finish().map_err(external)?)
    }
    fn size(&self) -> usize {
        std::mem::size_of_val(self) + self.inner.size()
    }
}
