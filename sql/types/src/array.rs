//! Arrays as values: shape, comparison-free helpers that operators and executors share.

use crate::{ArrayValue, Datum, Result, SqlError, SqlState};

/// PostgreSQL's MAXDIM.
pub const MAX_DIMENSIONS: usize = 6;
/// Most elements of one array (MaxArraySize).
pub const MAX_ELEMENTS: usize = 134_217_727;

impl ArrayValue {
    /// A one-dimensional array from 1; `{}` of no elements.
    pub fn of(element: u32, elements: Vec<Datum>) -> ArrayValue {
        let dimensions = if elements.is_empty() {
            Vec::new()
        } else {
            vec![(elements.len() as i32, 1)]
        };
        ArrayValue {
            element,
            dimensions,
            elements,
        }
    }

    /// Stacks arrays of equal shape into one of one more dimension, as ARRAY[a, b] does. 2202E when shapes differ.
    pub fn stack(element: u32, parts: &[&ArrayValue]) -> Result<ArrayValue> {
        let Some(first) = parts.iter().find(|p| !p.elements.is_empty()) else {
            return Ok(ArrayValue::of(element, Vec::new()));
        };
        if parts.iter().any(|p| p.dimensions != first.dimensions) {
            return Err(SqlError::new(
                SqlState::ARRAY_SUBSCRIPT_ERROR,
                "multidimensional arrays must have array expressions with matching dimensions",
            ));
        }
        if first.dimensions.len() >= MAX_DIMENSIONS {
            return Err(SqlError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!(
                    "number of array dimensions ({}) exceeds the maximum allowed ({MAX_DIMENSIONS})",
                    first.dimensions.len() + 1
                ),
            ));
        }
        let mut dimensions = vec![(parts.len() as i32, 1)];
        dimensions.extend_from_slice(&first.dimensions);
        Ok(ArrayValue {
            element,
            dimensions,
            elements: parts.iter().flat_map(|p| p.elements.iter().cloned()).collect(),
        })
    }

    /// The element at the subscripts; NULL outside the bounds or with the wrong number of subscripts.
    pub fn get(&self, subscripts: &[i32]) -> Datum {
        if subscripts.len() != self.dimensions.len() || subscripts.is_empty() {
            return Datum::Null;
        }
        let mut index = 0usize;
        for (s, (n, low)) in subscripts.iter().zip(&self.dimensions) {
            let Some(offset) = s.checked_sub(*low).filter(|o| (0..*n).contains(o)) else {
                return Datum::Null;
            };
            index = index * (*n as usize) + offset as usize;
        }
        self.elements.get(index).cloned().unwrap_or(Datum::Null)
    }

    /// Order of two arrays with the same elements: the number of dimensions, their lengths, their lower bounds.
    pub fn compare_shape(&self, other: &ArrayValue) -> std::cmp::Ordering {
        let (a, b) = (&self.dimensions, &other.dimensions);
        let lengths = a.iter().map(|d| d.0).cmp(b.iter().map(|d| d.0));
        let lowers = || a.iter().map(|d| d.1).cmp(b.iter().map(|d| d.1));
        a.len().cmp(&b.len()).then(lengths).then_with(lowers)
    }

    /// Number of dimensions; 0 for `{}`.
    pub fn ndims(&self) -> usize {
        self.dimensions.len()
    }

    /// The elements between the bounds of each subscript, as an array from 1; empty when there are none. A missing bound is the
    /// array's own (`array_get_slice`).
    pub fn slice(&self, bounds: &[SliceBounds]) -> ArrayValue {
        let ranges: Option<Vec<(i32, i32)>> = (bounds.len() <= self.ndims() && self.ndims() > 0)
            .then(|| {
                let clipped = |(i, (n, first)): (usize, &(i32, i32))| {
                    let last = first + n - 1;
                    let (low, high) = bounds.get(i).copied().unwrap_or((None, None));
                    let (low, high) = (low.unwrap_or(*first).max(*first), high.unwrap_or(last).min(last));
                    (low <= high).then_some((low, high))
                };
                self.dimensions.iter().enumerate().map(clipped).collect()
            })
            .flatten();
        let Some(ranges) = ranges else {
            return ArrayValue::of(self.element, Vec::new());
        };
        let elements = self.offsets(&ranges).into_iter().map(|at| self.elements[at].clone()).collect();
        ArrayValue {
            element: self.element,
            dimensions: ranges.iter().map(|(low, high)| (high - low + 1, 1)).collect(),
            elements,
        }
    }

    /// Where the elements of a box stand, in row-major order; the box is inside the bounds.
    fn offsets(&self, ranges: &[(i32, i32)]) -> Vec<usize> {
        let mut offsets = vec![0usize];
        for ((n, first), (low, high)) in self.dimensions.iter().zip(ranges) {
            let inner = (low - first) as usize..=(high - first) as usize;
            offsets = offsets
                .iter()
                .flat_map(|outer| inner.clone().map(move |i| outer * *n as usize + i))
                .collect();
        }
        offsets
    }

    /// Assigns one element (`array_set_element`). One dimension grows as far as needed, with NULLs between; more do not.
    ///
    /// # Errors
    /// 2202E for the wrong number of subscripts or one outside; 54000 when the array would become too large.
    pub fn set_element(&mut self, subscripts: &[i32], value: Datum) -> Result<()> {
        if self.ndims() == 0 {
            if subscripts.iter().any(|s| s.checked_add(1).is_none()) {
                return Err(too_large());
            }
            self.dimensions = subscripts.iter().map(|s| (1, *s)).collect();
            self.elements = vec![value];
            return Ok(());
        }
        if self.ndims() != subscripts.len() {
            return Err(wrong_number());
        }
        if let [at] = subscripts {
            self.extend(*at, *at)?;
        }
        let mut index = 0usize;
        for (s, (n, low)) in subscripts.iter().zip(&self.dimensions) {
            let offset = s.checked_sub(*low).filter(|o| (0..*n).contains(o)).ok_or_else(out_of_range)?;
            index = index * *n as usize + offset as usize;
        }
        self.elements[index] = value;
        Ok(())
    }

    /// Assigns the elements of `source` to a slice (`array_set_slice`); those that it has beyond the slice are ignored.
    ///
    /// # Errors
    /// 2202E for the wrong number of subscripts, bounds outside or in disorder, and a source that is too small; 54000 for too large an array.
    pub fn set_slice(&mut self, bounds: &[SliceBounds], source: &ArrayValue) -> Result<()> {
        if self.ndims() == 0 {
            let mut dimensions = Vec::with_capacity(bounds.len());
            for bound in bounds {
                let (Some(low), Some(high)) = *bound else {
                    return Err(SqlError::new(
                        SqlState::ARRAY_SUBSCRIPT_ERROR,
                        "array slice subscript must provide both boundaries",
                    )
                    .detail("When assigning to a slice of an empty array value, slice boundaries must be fully specified."));
                };
                if low > high {
                    return Err(disorder());
                }
                let n = high.checked_sub(low).and_then(|n| n.checked_add(1)).ok_or_else(too_large)?;
                high.checked_add(1).ok_or_else(too_large)?;
                dimensions.push((n, low));
            }
            let total = dimensions.iter().try_fold(1usize, |t, (n, _)| t.checked_mul(*n as usize));
            let total = total.filter(|t| *t <= MAX_ELEMENTS).ok_or_else(too_large)?;
            if source.elements.len() < total {
                return Err(source_too_small());
            }
            self.elements = source.elements[..total].to_vec();
            self.dimensions = dimensions;
            return Ok(());
        }
        if self.ndims() < bounds.len() {
            return Err(wrong_number());
        }
        let mut ranges = Vec::with_capacity(self.ndims());
        for (i, (n, first)) in self.dimensions.iter().enumerate() {
            let (low, high) = bounds.get(i).copied().unwrap_or((None, None));
            let (low, high) = (low.unwrap_or(*first), high.unwrap_or(first + n - 1));
            if low > high {
                return Err(disorder());
            }
            if self.ndims() > 1 && (low < *first || high > first + n - 1) {
                return Err(out_of_range());
            }
            ranges.push((low, high));
        }
        let wanted = ranges.iter().try_fold(1usize, |t, (low, high)| {
            t.checked_mul((i64::from(*high) - i64::from(*low) + 1) as usize)
        });
        if wanted.is_none_or(|n| n > source.elements.len()) {
            return Err(source_too_small());
        }
        if let [(low, high)] = ranges[..] {
            self.extend(low, high)?;
        }
        for (at, value) in self.offsets(&ranges).into_iter().zip(&source.elements) {
            self.elements[at] = value.clone();
        }
        Ok(())
    }

    /// Grows a one-dimensional array with NULLs so that it reaches from `low` to `high`.
    fn extend(&mut self, low: i32, high: i32) -> Result<()> {
        let (n, first) = self.dimensions[0];
        let new_first = first.min(low);
        let end = i64::from(first) + i64::from(n);
        let new_end = end.max(i64::from(high) + 1);
        let length = new_end - i64::from(new_first);
        if length > MAX_ELEMENTS as i64 || new_end > i64::from(i32::MAX) {
            return Err(too_large());
        }
        let before = (i64::from(first) - i64::from(new_first)) as usize;
        self.elements.splice(0..0, std::iter::repeat_n(Datum::Null, before));
        self.elements.resize(length as usize, Datum::Null);
        self.dimensions[0] = (length as i32, new_first);
        Ok(())
    }
}

/// (low, high) of a slice, as far as they are given.
pub type SliceBounds = (Option<i32>, Option<i32>);

fn subscript_error(message: &str) -> SqlError {
    SqlError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, message)
}
fn wrong_number() -> SqlError {
    subscript_error("wrong number of array subscripts")
}
fn out_of_range() -> SqlError {
    subscript_error("array subscript out of range")
}
fn disorder() -> SqlError {
    subscript_error("upper bound cannot be less than lower bound")
}
fn source_too_small() -> SqlError {
    subscript_error("source array too small")
}
fn too_large() -> SqlError {
    SqlError::new(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        format!("array size exceeds the maximum allowed ({MAX_ELEMENTS})"),
    )
}
