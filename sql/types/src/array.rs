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

    /// Number of dimensions; 0 for `{}`.
    pub fn ndims(&self) -> usize {
        self.dimensions.len()
    }
}
