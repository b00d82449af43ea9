//! The accumulators of all groups of a DataFusion aggregation.
//!
//! Each row goes to its group's accumulator where it stands. DataFusion's own way from one-group accumulators to many sorts a batch by
//! group and cuts its arrays into a slice for each, which costs more than the rows do where groups are small.

use super::aggregate::{Fold, rows};
use super::external;
use arrow::array::{Array, ArrayRef, BooleanArray};
use curia_functions::Accumulator;
use curia_types::arrow_map::ColumnBuilder;
use curia_types::{Datum, PgType};
use datafusion::common::Result;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};

/// One call's accumulators, by group.
pub(super) struct Groups {
    fold: Fold,
    /// Types of a partial result.
    state: Vec<PgType>,
    accumulators: Vec<Box<dyn Accumulator>>,
    /// What they hold.
    bytes: usize,
}

/// An accumulator's place among the others.
const PLACE_BYTES: usize = std::mem::size_of::<Box<dyn Accumulator>>();

impl Groups {
    pub fn new(fold: Fold) -> Groups {
        Groups {
            state: (fold.kernel.state)(&fold.call()),
            fold,
            accumulators: Vec::new(),
            bytes: 0,
        }
    }

    fn fresh(&self) -> Box<dyn Accumulator> {
        (self.fold.kernel.new)(&self.fold.call())
    }

    /// Makes accumulators for groups that are new.
    fn grow(&mut self, groups: usize) {
        while self.accumulators.len() < groups {
            let accumulator = self.fresh();
            self.bytes += accumulator.size() + PLACE_BYTES;
            self.accumulators.push(accumulator);
        }
    }

    /// Lets `f` take rows into their groups' accumulators.
    fn each(
        &mut self,
        types: &[PgType],
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        f: impl Fn(&mut dyn Accumulator, &[Datum]) -> curia_types::Result<()>,
    ) -> Result<()> {
        let (accumulators, mut bytes) = (&mut self.accumulators, self.bytes);
        let done = rows(types, values, |i, row| {
            if filter.is_some_and(|filter| filter.is_null(i) || !filter.value(i)) {
                return Ok(());
            }
            let accumulator = &mut *accumulators[groups[i]];
            let before = accumulator.size();
            f(accumulator, row)?;
            bytes = (bytes + accumulator.size()).saturating_sub(before);
            Ok(())
        });
        self.bytes = bytes;
        done
    }

    /// Takes out the accumulators of finished groups.
    fn emit(&mut self, to: EmitTo) -> Vec<Box<dyn Accumulator>> {
        let out = to.take_needed(&mut self.accumulators);
        let held: usize = out.iter().map(|a| a.size() + PLACE_BYTES).sum();
        self.bytes = self.bytes.saturating_sub(held);
        out
    }
}

impl GroupsAccumulator for Groups {
    fn update_batch(&mut self, values: &[ArrayRef], groups: &[usize], filter: Option<&BooleanArray>, total: usize) -> Result<()> {
        self.grow(total);
        let types = self.fold.types.clone();
        self.each(&types, values, groups, filter, |accumulator, row| accumulator.accumulate(row))
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.grow(total);
        let types = self.state.clone();
        self.each(&types, values, groups, None, |accumulator, state| accumulator.merge(state))
    }

    fn evaluate(&mut self, to: EmitTo) -> Result<ArrayRef> {
        let done = self.emit(to);
        let mut column = ColumnBuilder::new(self.fold.ret, done.len());
        for accumulator in done {
            let value = accumulator.finish().map_err(external)?;
            column.append(&value).map_err(external)?;
        }
        Ok(column.finish())
    }

    fn state(&mut self, to: EmitTo) -> Result<Vec<ArrayRef>> {
        let done = self.emit(to);
        let mut columns: Vec<ColumnBuilder> = self.state.iter().map(|t| ColumnBuilder::new(*t, done.len())).collect();
        for accumulator in done {
            let state = accumulator.state().map_err(external)?;
            for (column, value) in columns.iter_mut().zip(&state) {
                column.append(value).map_err(external)?;
            }
        }
        Ok(columns.iter_mut().map(ColumnBuilder::finish).collect())
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let mut one_row = Groups::new(self.fold.clone());
        let count = values.first().map_or(0, |v| v.len());
        let groups: Vec<usize> = (0..count).collect();
        one_row.update_batch(values, &groups, filter, count)?;
        one_row.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        self.bytes
    }
}
